"""How changes of one side become writes of the other: what live and queued dual-write have in common.

A :class:`Flow` reads what changed rows of a leg's source look like now and writes them to its target: as a set where
the target's rows are one table that no business logic watches, else row by row through the target's gate, as the
integration's own principal, with its logic. What the target computes on the way (a number, a total) is written back to
the source's row in the same unit of work. Nothing that is written here is captured again; what business logic or a
database's triggers do in reply is, and flows back in its turn.

A row that the leg's filter no longer admits leaves the copy, as a deleted one does.

Whatever is written here is noted for the integration log (``kernel/integration_log``), as a set, in the unit of work
that writes it. Source: operations-and-integration 1.7, 1.9, 1.15.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.change import Write, Written
from forecourt.kernel.errors import Refusal
from forecourt.kernel.integration_log import Engine, Entry, Operation, Span
from forecourt.kernel.model import Entity
from forecourt.kernel.principal import INTEGRATION, Door
from forecourt.kernel.sync import Captured, Leg, RowError, Side, Unit, Unsent, WireRow
from forecourt.kernel.sync_ports import Ends, Outbox
from forecourt.security.gate import Gate
from forecourt.security.scope import Scope

Work = Any


@dataclass(frozen=True)
class Plane:
    """One side: its gate, and what is captured there. ``database``: the store's, opaque here."""

    side: Side
    gate: Gate
    database: Any
    outbox: Outbox

    @property
    def scope(self) -> Scope:
        """The scope of the integration."""
        return Scope(INTEGRATION, Door.OPERATIONS if self.side is Side.OPERATIONS else Door.DATAVERSE)


@dataclass(frozen=True)
class Outcome:
    """What has become of changed rows. ``rows``: (root key at the source, wire row), parents as they come; the root
    key is () where the source has moved on since; ``gone``: integration keys whose rows are no more; ``unsent``: rows
    that can't be sent."""

    leg: Leg
    rows: tuple[tuple[WireRow, WireRow], ...] = ()
    gone: tuple[WireRow, ...] = ()
    unsent: tuple[Unsent, ...] = ()

    @property
    def refused(self) -> tuple[RowError, ...]:
        """Why the unsent rows can't be sent. Without a place: they are not among the rows."""
        return tuple(RowError(-1, row.reason, row.reason.partition(":")[0]) for row in self.unsent)


@dataclass(frozen=True)
class Applied:
    """What was done to the target. ``errors``: per place in the outcome's rows."""

    written: int = 0
    deleted: int = 0
    errors: tuple[RowError, ...] = ()


def key_of(leg: Leg, row: WireRow) -> WireRow:
    """The integration key of a wire row."""
    return tuple([row[place] for place in leg.key_places])


class Flow:
    """Moves rows between two planes, for one of the engines."""

    def __init__(self, planes: Mapping[Side, Plane], ends: Ends, engine: Engine = "live") -> None:
        self.planes = dict(planes)
        self.ends = ends
        self.engine: Engine = engine

    def of(self, engine: Engine) -> Flow:
        """The same for another engine."""
        return Flow(self.planes, self.ends, engine)

    async def unit(self, work: Work, side: Side) -> Unit:
        """The part of a unit of work on one side."""
        return await work.unit(self.planes[side].database)

    # -- reading --------------------------------------------------------------------------------------------------

    async def outcome(self, work: Work, leg: Leg, changes: Sequence[Captured]) -> Outcome:
        """What changed rows look like now."""
        unit = await self.unit(work, leg.source_side)
        sent, whole = await self.ends.changed(unit, leg, changes)
        alive = {key_of(leg, row) for _, row in sent}
        noted = [] if whole else await self.ends.noted_keys(unit, leg, changes)
        missing = [key for key in noted if key not in alive]
        if missing:
            sent += await self.ends.by_key(unit, leg, missing)  # another row has taken the key over
            alive = {key_of(leg, row) for _, row in sent}
        gone = tuple(key for key in missing if key not in alive)
        rows = tuple(pair for pair in sent if not isinstance(pair[1], Unsent))
        unsent = tuple(row for _, row in sent if isinstance(row, Unsent))
        return Outcome(leg, rows, gone, unsent)

    # -- writing --------------------------------------------------------------------------------------------------

    def as_set(self, leg: Leg, operation: str = "") -> bool:
        """Whether rows of a leg may be written as a set."""
        if not self.ends.settable(leg):
            return False
        logic = self.planes[leg.target_side].gate.writer.logic
        wanted = (operation,) if operation else ("create", "update")
        return not any(logic.concerns(leg.target, item, "sync") for item in wanted)  # type: ignore[arg-type]

    async def write(self, work: Work, table_map: TableMap, outcome: Outcome, apart: bool) -> Applied:
        """Writes new and changed rows. ``apart``: a row in error is undone alone and told; else the first raises."""
        leg = outcome.leg
        if not outcome.rows:
            return Applied(errors=outcome.refused)
        unit = await self.unit(work, leg.target_side)
        rows = [row for _, row in outcome.rows]
        keyed = all(None not in key_of(leg, row) for row in rows)
        if keyed and self.as_set(leg):
            merged = await self.ends.merge(unit, leg, rows, apart)
            inserted = [key_of(leg, rows[at]) for at in merged.inserted]
            self.log(work, leg, "create", inserted)
            self.log(work, leg, "update", [key_of(leg, rows[at]) for at in merged.updated])
            changed = [key_of(leg, rows[at]) for at in merged.updated] if _lossy(leg) else []
            await self._take_back(work, table_map, outcome, [*inserted, *changed])
            written = len(merged.inserted) + len(merged.updated)
            return Applied(written, 0, (*outcome.refused, *merged.errors))
        errors: list[RowError] = list(outcome.refused)
        keys: dict[Operation, list[WireRow]] = {"create": [], "update": []}
        resolved = await self.ends.resolve(unit, leg, rows)
        for at, ((root, row), values) in enumerate(zip(outcome.rows, resolved, strict=True)):
            if isinstance(values, RowError):
                errors.append(replace(values, index=at))
                continue
            try:
                async with _apart(unit, apart):
                    done = await self._write_row(work, leg, row, values)
                    await self._give_back(work, table_map, leg, root, row, done)
            except Refusal as refusal:
                if not apart:
                    raise
                errors.append(RowError(at, refusal.message, refusal.source or "", refusal.code))
            else:
                keys["create" if done.operation == "create" else "update"].append(_key_written(leg, row, done))
        for operation, found in keys.items():
            self.log(work, leg, operation, found)
        return Applied(sum(map(len, keys.values())), 0, tuple(errors))

    async def _write_row(self, work: Work, leg: Leg, row: WireRow, values: Mapping[str, object]) -> Written:
        plane = self.planes[leg.target_side]
        names = [column.target for column in leg.key]
        if None in key_of(leg, row):
            given = {name: value for name, value in values.items() if name not in names or value is not None}
            write = Write(leg.target.name, "create", values=tuple(given.items()), origin="sync")
            return await plane.gate.write(work, plane.scope, write)
        key = tuple((name, values[name]) for name in names)
        rest = tuple((name, value) for name, value in values.items() if name not in names)
        owner = ((leg.owner_field, values[leg.owner_field]),) if leg.owner_field in values else ()
        if owner and await self._exists(work, leg, row):
            rest = tuple(pair for pair in rest if pair[0] != leg.owner_field)
        return await plane.gate.write(work, plane.scope, Write(leg.target.name, "upsert", key, rest, origin="sync"))

    async def _exists(self, work: Work, leg: Leg, row: WireRow) -> bool:
        (image,) = await self.ends.image(await self.unit(work, leg.target_side), leg, [key_of(leg, row)])
        return image is not None

    async def delete(self, work: Work, outcome: Outcome, apart: bool) -> Applied:
        """Deletes the rows whose sources are gone."""
        leg = outcome.leg
        if not outcome.gone:
            return Applied()
        unit = await self.unit(work, leg.target_side)
        if self.as_set(leg, "delete") and len(leg.target.sources) == 1:
            async with _apart(unit, apart):
                places = await self.ends.delete(unit, leg, outcome.gone)
            self.log(work, leg, "delete", [outcome.gone[at] for at in places])
            return Applied(deleted=len(places))
        plane = self.planes[leg.target_side]
        errors: list[RowError] = []
        deleted: list[WireRow] = []
        for at, image in enumerate(await self.ends.image(unit, leg, outcome.gone)):
            if image is None:
                continue
            (values,) = await self.ends.resolve(unit, leg, [image])
            assert not isinstance(values, RowError)
            where = tuple((column.target, values[column.target]) for column in leg.key)
            try:
                async with _apart(unit, apart):
                    await plane.gate.write(work, plane.scope, Write(leg.target.name, "delete", where, origin="sync"))
            except Refusal as refusal:
                if not apart:
                    raise
                errors.append(RowError(at, refusal.message, "", refusal.code))
            else:
                deleted.append(outcome.gone[at])
        self.log(work, leg, "delete", deleted)
        return Applied(deleted=len(deleted), errors=tuple(errors))

    def log(
        self,
        work: Work,
        leg: Leg,
        operation: Operation,
        keys: Sequence[WireRow] = (),
        span: Span | None = None,
        rows: int = 0,
    ) -> None:
        """Notes what has been done to rows of a leg's target. ``span`` and ``rows``: in place of keys."""
        if not keys and not rows:
            return
        fields = tuple(column.target for column in leg.key) if keys else ()
        caused_by = work.caused_by if self.engine == "live" else ""
        way: Any = f"to_{leg.target_side}"
        entry = Entry(
            leg.map, self.engine, way, leg.target.name, operation, rows or len(keys), fields, tuple(keys), span,
            caused_by,
        )  # fmt: skip
        work.entries.add(entry)

    # -- what the target computes ---------------------------------------------------------------------------------

    async def _give_back(
        self, work: Work, table_map: TableMap, leg: Leg, root: WireRow, sent: WireRow, written: Written
    ) -> None:
        """Writes to the source's row what its row at the target has become."""
        back = table_map.legs.get(leg.target_side)
        if back is None or not root or not written.identity:
            return
        target = await self.unit(work, leg.target_side)
        found = await self.ends.project(target, back, [written.identity])
        if not found or isinstance(found[0][1], Unsent):
            return
        await self._keep(work, leg, back, root, sent, found[0][1])

    async def _take_back(self, work: Work, table_map: TableMap, outcome: Outcome, keys: Sequence[WireRow]) -> None:
        """The same for rows that were written as a set, where the way back has columns that the way there lacks, or the
        target keeps a default where the source has nothing."""
        leg = outcome.leg
        back = table_map.legs.get(leg.target_side)
        if back is None or not keys:
            return
        if not _lossy(leg) and {c.target for c in back.columns} <= {c.source for c in leg.columns}:
            return
        source, target = await self.unit(work, leg.source_side), await self.unit(work, leg.target_side)
        given = {key_of(leg, row): (root, row) for root, row in outcome.rows}
        found = await self.ends.by_key(target, back, [turned(leg, back, key) for key in keys])
        images = await self.ends.image(source, back, [key_of(back, row) for _, row in found])
        for (_, row), image in zip(found, images, strict=True):
            if not isinstance(row, Unsent) and image != row:
                root, sent = given[turned(back, leg, key_of(back, row))]
                if root:
                    await self._keep(work, leg, back, root, sent, row)

    async def _keep(self, work: Work, leg: Leg, back: Leg, root: WireRow, sent: WireRow, row: WireRow) -> None:
        """Sets the columns of the source's row that the target has not taken as they were ``sent``, and those that only
        the target has, from ``row``, a wire row of the way back. What another program has changed at the source since
        it was read stays."""
        source, target = await self.unit(work, leg.source_side), await self.unit(work, leg.target_side)
        plane = self.planes[leg.source_side]
        (there,) = await self.ends.image(target, leg, [turned(back, leg, key_of(back, row))])
        (image,) = await self.ends.image(source, back, [key_of(back, row)])
        changed = _altered(leg, back, sent, there, image, row)
        if not changed:
            return
        (values,) = await self.ends.resolve(source, back, [row])
        if isinstance(values, RowError):
            return  # a lookup that the source does not know: the target's own affair
        key = _source_key(leg.source, root, back, values)
        computed = tuple((name, values[name]) for name in changed if name not in dict(key))
        write = Write(leg.source.name, "update", key, computed=computed, origin="sync")
        await plane.gate.write(work, plane.scope, write)
        self.log(work, back, "give back", [key_of(back, row)])


def _altered(
    leg: Leg, back: Leg, sent: WireRow, there: WireRow | None, image: WireRow | None, row: WireRow
) -> list[str]:
    """The source's fields that its row at the target has made other. ``there``: that row in the form of what was
    ``sent``; ``image``: the source's in the form of ``row``, the way back; None where there is none by its key."""
    taken = {
        column.source: value == now
        for column, value, now in zip(leg.columns, sent, there or sent, strict=True)
        if column.source
    }
    filled = {c.source for c, value in zip(leg.columns, sent, strict=True) if value is not None and value == c.default}
    found = []
    for place, column in enumerate(back.columns):
        same = image is not None and image[place] == row[place]
        empty = image is None or image[place] is None
        if column.target in taken:
            wanted = not taken[column.target] or (column.target in filled and empty)
        else:
            wanted = not column.key
        if wanted and not same:
            found.append(column.target)
    return found


def _lossy(leg: Leg) -> bool:
    """Whether the target may keep something else than the source has: a default in place of nothing."""
    return any(column.source and not column.key and column.default is not None for column in leg.columns)


def _key_written(leg: Leg, row: WireRow, written: Written) -> WireRow:
    """The integration key of a row that has been written; what the target has numbered itself is taken from there."""
    after = written.after or {}
    return tuple(
        after.get(column.target) if value is None else value
        for column, value in zip(leg.key, key_of(leg, row), strict=True)
    )


def _source_key(
    entity: Entity, root: WireRow, back: Leg, values: Mapping[str, object]
) -> tuple[tuple[str, object], ...]:
    """How the source's row is found: by its own id where that is its key, else by the integration key."""
    if len(entity.key) == 1 and len(root) == 1:
        return ((entity.key[0], root[0]),)
    return tuple((column.target, values[column.target]) for column in back.key)


def turned(leg: Leg, other: Leg, key: WireRow) -> WireRow:
    """The integration key of one direction in the order of the other."""
    values = {column.target: value for column, value in zip(leg.key, key, strict=True)}
    return tuple(values[column.source] for column in other.key)


@asynccontextmanager
async def _apart(unit: Unit, apart: bool) -> AsyncIterator[None]:
    """What runs inside can be undone alone."""
    if not apart:
        yield
        return
    async with unit.savepoint():
        yield
