"""Live dual-write: what people and programs write through Forecourt reaches both sides in one unit of work, or neither.

Takes part in every unit of work (:class:`~forecourt.kernel.change.Partner`):

    before   a row of a mapped entity is looked for: the states of its maps are held until the end, and the pair of rows
             is locked by its integration key, in the operations database, so that writers that start on different
             sides meet there and not across the databases
    settle   what the unit has captured is written to the other side, parents first, deletions the other way round;
             again for what that in turn has changed there (a header's total), until nothing is left

The caller gets the other side's reason when it refuses. Where the other side can't be reached, the map's ``on_outage``
decides: ``refuse`` the write, or ``queue`` what was captured for the worker; for a few seconds nobody then waits for
the missing database again. There is no limit to rows or maps in one unit of work.
Source: operations-and-integration 1.7.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from forecourt.integration.dual_write.alerts import Alarm, kind_of
from forecourt.integration.dual_write.flow import Flow, Outcome
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.change import DEEPEST
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.journal import FailureKind
from forecourt.kernel.model import Entity
from forecourt.kernel.observe import Observer, Synced, nobody
from forecourt.kernel.relation import TableName
from forecourt.kernel.sync import Captured, Leg, LegColumn, MapState, Mode, RowError, Side, Unit, WireRow
from forecourt.kernel.sync_ports import Registry

Work = Any

#: Seconds for which a database that was away is not waited for again.
BREAK = 5.0

#: Notes that a unit of work keeps.
_STATES, _SETTLING, _QUEUED = "dual-write states", "dual-write settling", "dual-write queued"
_FAILED = "dual-write failed"


class Live:
    """The partner of every unit of work. ``maps``: in the order of their dependencies, parents first.

    ``shared``: both planes in one database, where nothing can be out of reach alone and the database sees deadlocks.
    ``wake``: called after a commit that left something for the worker.
    """

    def __init__(
        self,
        maps: Sequence[TableMap],
        flow: Flow,
        registry: Registry,
        shared: bool,
        wake: Callable[[], None],
        alarm: Alarm,
        observer: Observer = nobody,
    ) -> None:
        self._observer = observer
        self._alarm = alarm
        self._maps = {item.name: item for item in maps}
        self._flow = flow
        self._registry = registry
        self._shared = shared
        self._wake = wake
        self._broken: dict[Side, float] = {}
        #: Names of the maps that are not stopped, as last looked up: where there are none, nothing is asked.
        self.started: frozenset[str] = frozenset()
        #: By the sides that share a database: the tables that are captured there for them.
        self._captured: dict[tuple[Side, ...], frozenset[TableName]] = {}

    def use(self, maps: Iterable[TableMap], started: frozenset[str]) -> None:
        """The maps that count from now on, parents first, and which of them are not stopped."""
        self._maps = {item.name: item for item in maps}
        self.started = started
        databases = [tuple(Side)] if self._shared else [(side,) for side in Side]
        self._captured = {sides: self._tables(sides) for sides in databases}

    # -- the partner ----------------------------------------------------------------------------------------------

    async def before(self, work: Work, entity: Entity, key: Mapping[str, object]) -> None:
        """Holds the states of the entity's maps, and locks the pair of rows."""
        if not self.started or _SETTLING in work.notes:
            return
        name = entity.virtual_of or entity.name
        concerned = [item for item in self._maps.values() if name in (item.entity.name, item.table.name)]
        concerned = [item for item in concerned if item.name in self.started]
        if not concerned:
            return
        native = entity.virtual_of is None and entity.name == concerned[0].table.name
        side = Side.DATAVERSE if native else Side.OPERATIONS
        pairs = [] if self._shared else await self._pairs(work, concerned, side, entity, key)
        live = await self._live(work, pairs, concerned)
        if any(item.name in live and side in item.legs for item in concerned):
            self._foresee(work, side.other)

    async def settle(self, work: Work) -> None:
        """Writes to the other side what the unit has changed on one. Raises Refusal: then nothing is kept."""
        if not self.started:
            return
        work.notes[_SETTLING] = True
        for _ in range(DEEPEST):
            if not await self._round(work):
                return
        raise Refusal("FC4003", f"Live dual-write went to and fro {DEEPEST} times without an end.")

    async def settled(self, work: Work, committed: bool) -> None:
        """Wakes the worker where something is left for it; counts what the other side has turned down."""
        if committed:
            if self.started:
                self._wake()
                self._tell(work)
            return
        for item, kind, reason in work.notes.pop(_FAILED, ()):
            if reason:
                await self._alarm.pause(item, reason)
            else:
                await self._alarm.failed(item, [kind])
                await self._alarm.check(item)

    def _tell(self, work: Work) -> None:
        """Says how many rows went along."""
        moved: dict[tuple[str, Side], list[int]] = {}
        for entry in work.entries:
            if entry.engine == "live":
                side = Side.OPERATIONS if entry.direction == "to_dataverse" else Side.DATAVERSE
                counts = moved.setdefault((entry.map, side), [0, 0])
                counts[entry.operation == "delete"] += entry.rows
        for (name, side), (rows, deleted) in moved.items():
            self._observer(Synced(name, side.value, rows, deleted, 0))

    # -- steps ----------------------------------------------------------------------------------------------------

    async def _live(
        self, work: Work, pairs: Sequence[str] = (), concerned: Sequence[TableMap] = ()
    ) -> Mapping[str, tuple[MapState, Mode]]:
        """The maps that are live and running, which stays so until the unit ends. ``pairs``: locked as well;
        ``concerned``: the maps whose rule counts where nobody can tell, all where that is not known."""
        known: Mapping[str, tuple[MapState, Mode]] | None = work.notes.get(_STATES)
        if known is not None and not pairs:
            return known
        names = () if known is not None else sorted(self.started)
        try:
            unit = await self._unit(work, Side.OPERATIONS)
            states = await self._registry.enter(unit, names, pairs)
        except Unavailable:
            asked = concerned or [item for name, item in self._maps.items() if name in self.started]
            self._refuse_or_queue(work, Side.OPERATIONS, [item.name for item in asked if item.mode == "live"])
            states = {}
        if known is None:
            known = {name: state for name, state in states.items() if state == ("running", "live")}
            work.notes[_STATES] = known
        return known

    async def _pairs(
        self, work: Work, maps: Sequence[TableMap], side: Side, entity: Entity, key: Mapping[str, object]
    ) -> list[str]:
        """Names of the pairs of rows that a row is part of, by integration key: what is locked in the operations
        database. None for a new row that has no number yet."""
        found = []
        for item in maps:
            leg = item.legs.get(side)
            wire = await self._pair_key(work, leg, entity, key) if leg is not None and item.mode == "live" else None
            if leg is not None and wire is not None:
                found.append(_pair(leg, wire))
        return found

    async def _pair_key(
        self, work: Work, leg: Leg, entity: Entity, key: Mapping[str, object]
    ) -> tuple[object, ...] | None:
        """The integration key of a row that is about to be written: as the write names it, or looked up."""
        base = {(found.base or name): key[name] for name, found in entity.fields.items() if name in key}
        known = {name: value for name, value in base.items() if name in leg.source.fields and value is not None}
        if all(column.source in known and _travels_as_it_is(column) for column in leg.key):
            return tuple(known[column.source] for column in leg.key)
        identifying = (leg.source.key, *leg.source.alternate_keys.values(), [c.source for c in leg.key])
        fields = next((names for names in identifying if all(name in known for name in names)), None)
        if fields is None:
            return None
        unit = await self._flow.unit(work, leg.source_side)
        found = await self._flow.ends.keys(unit, leg, {name: known[name] for name in fields})
        return found[0] if found else None

    def _foresee(self, work: Work, side: Side) -> None:
        """The other side is going to be written to: its transaction begins beside what is done here."""
        if not self._shared and self._broken.get(side, 0.0) <= time.monotonic():
            work.foresee(self._flow.planes[side].database)

    async def _round(self, work: Work) -> bool:
        """One look at what either side has captured. False: nothing is left."""
        found = False
        queued = work.notes.get(_QUEUED, frozenset())
        for sides, tables in self._captured.items():
            plane = self._flow.planes[sides[0]]
            unit = work.units.get(id(plane.database))
            if unit is None or not unit.stirred(tables):
                continue
            if _STATES not in work.notes and not await plane.outbox.captured(unit):
                continue
            live = [name for name in await self._live(work) if name not in queued]
            changes = await plane.outbox.own(unit, sorted(live)) if live else []
            concerned = [
                (item, leg)
                for name, item in self._maps.items()
                for leg in (item.legs[one] for one in sides if one in item.legs)
                if name in live and any(change.table in _tables(leg) for change in changes)
            ]
            away = {item.name for item, leg in concerned if not await self._reachable(work, item, leg.target_side)}
            if away:
                await plane.outbox.release(unit, sorted(away))
            concerned = [(item, leg) for item, leg in concerned if item.name not in away]
            if concerned:
                found = True
                await self._send(work, concerned, changes)
        return found

    def _tables(self, sides: Sequence[Side]) -> frozenset[TableName]:
        """What is captured of these sides for the maps that are started."""
        legs = (item.legs.get(side) for item in self._maps.values() if item.name in self.started for side in sides)
        return frozenset(table for leg in legs if leg is not None for table in _tables(leg))

    async def _reachable(self, work: Work, item: TableMap, side: Side) -> bool:
        """Whether a side takes part; where not, the map's changes wait in the queue."""
        try:
            await self._unit(work, side)
        except Unavailable:
            self._refuse_or_queue(work, side, [item.name])
            return False
        return True

    async def _unit(self, work: Work, side: Side) -> Unit:
        """The part of a unit of work on a side. Raises Unavailable, for a few seconds without asking again."""
        if self._broken.get(side, 0.0) > time.monotonic() and id(self._flow.planes[side].database) not in work.units:
            raise Unavailable(f"The {side} database could not be reached just now.")
        try:
            return await self._flow.unit(work, side)
        except Unavailable:
            self._broken[side] = time.monotonic() + BREAK
            raise

    def _refuse_or_queue(self, work: Work, side: Side, names: Sequence[str]) -> None:
        refusing = [name for name in names if self._maps[name].record.on_outage == "refuse"]
        if refusing:
            raise Refusal(
                "FC5031",
                f"Unable to write data to {side}: its database cannot be reached, and map {refusing[0]} is live.",
                hint="Try again later. With 'on_outage: queue' the map would catch up by itself.",
            )
        work.notes[_QUEUED] = work.notes.get(_QUEUED, frozenset()) | set(names)

    async def _send(self, work: Work, concerned: Sequence[tuple[TableMap, Leg]], changes: Sequence[Captured]) -> None:
        outcomes: list[tuple[TableMap, Outcome, list[Captured]]] = []
        for item, leg in concerned:
            tables = _tables(leg)
            own = [change for change in changes if change.table in tables]
            async with self._reasons(work, item, leg):
                outcomes.append((item, await self._flow.outcome(work, leg, own), own))
        for item, outcome, _ in reversed(outcomes):
            async with self._reasons(work, item, outcome.leg):
                await self._flow.delete(work, outcome, apart=False)
        written = False
        for item, outcome, own in outcomes:
            leg = outcome.leg
            async with self._reasons(work, item, leg):
                if written and any(column.source_reference is not None for column in leg.columns):
                    # What the rows look up may have been given its key only now: a line's order its number.
                    outcome = await self._flow.outcome(work, leg, own)
                applied = await self._flow.write(work, item, outcome, apart=False)
                if applied.errors:
                    raise _refused(applied.errors[0])
            written = written or bool(applied.written)

    @asynccontextmanager
    async def _reasons(self, work: Work, item: TableMap, leg: Leg) -> AsyncIterator[None]:
        """Says of a refusal inside that the other side has refused. Where a database is no longer as the map has it,
        the map is paused when the unit of work is undone, and what is written then waits."""
        failed: list[tuple[TableMap, FailureKind, str]] = work.notes.setdefault(_FAILED, [])
        name = leg.target.public_name
        try:
            yield
        except Unavailable:
            failed.append((item, "system", ""))
            raise
        except Refusal as error:
            drifted = await self._alarm.drifted(item) if error.code == "FC1003" else ""
            failed.append((item, kind_of(error.code), drifted))
            raise Refusal(
                error.code,
                f"Unable to write data to entity {name}. Writes to {name} failed with error message: {error.message}",
                hint=error.hint,
                source=error.source,
            ) from error
        except Exception as error:
            drifted = await self._alarm.drifted(item)
            if not drifted:
                raise
            failed.append((item, "system", drifted))
            hint = "The map is paused now, and what is written waits. Try again."
            raise Refusal("FC5031", f"Unable to write data to entity {name}: {drifted}", hint=hint) from error


def _tables(leg: Leg) -> set[TableName]:
    return {source.table for source in leg.source.sources}


def _travels_as_it_is(column: LegColumn) -> bool:
    return column.source_reference is None and not column.values and column.null_in is None


def _pair(leg: Leg, key: WireRow) -> str:
    """What a pair of rows is called, on whichever side somebody starts."""
    outward = leg.source_side is Side.OPERATIONS
    named = ((c.source if outward else c.target, _plain(value)) for c, value in zip(leg.key, key, strict=True))
    return "\x1f".join((leg.map, *(value for _, value in sorted(named))))


def _plain(value: object) -> str:
    """A value without what only its type adds: 1, 1.0 and 1.00 are one number, and Dataverse's text ignores case."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return format(Decimal(value).normalize(), "f")
    return str(value).casefold()


def _refused(error: RowError) -> Refusal:
    return Refusal(error.code or "FC1003", error.message, source=error.field)
