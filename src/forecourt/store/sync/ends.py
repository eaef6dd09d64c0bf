"""The two ends of legs: reading wire rows at the source, reading and writing them at the target, as SQL over sets.

Implements :class:`~forecourt.kernel.sync_ports.Ends`. Every method is a fixed number of statements, however many rows.
Leaves out bulk amounts (``bulk``) and what an engine does with all this.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import DataSource
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.predicate import Field, operands
from forecourt.kernel.sync import (
    Capture,
    Captured,
    Leg,
    Merged,
    Position,
    RowError,
    Segment,
    Side,
    Unit,
    Unsent,
    WireRow,
)
from forecourt.store.catalog import Catalog
from forecourt.store.sync.altered import Altered
from forecourt.store.sync.capture import qualified, quoted
from forecourt.store.sync.contests import touched
from forecourt.store.sync.merge import Merge, arrays
from forecourt.store.sync.wire import Wire, primary


class Ends:
    """Legs against the catalogs of the two databases (one and the same where both planes share a database)."""

    def __init__(self, operations: Catalog, dataverse: Catalog) -> None:
        self._catalogs = {Side.OPERATIONS: operations, Side.DATAVERSE: dataverse}
        self._wires: dict[int, tuple[Leg, Wire]] = {}
        self._merges: dict[int, Merge] = {}
        self._changes: dict[int, Altered] = {}

    def wire(self, leg: Leg) -> Wire:
        """The SQL of a leg, made once."""
        known = self._wires.get(id(leg))
        if known is None:
            wire = Wire(leg, self._catalogs[leg.source_side], self._catalogs[leg.target_side])
            known = self._wires[id(leg)] = (leg, wire)
        return known[1]

    def merging(self, leg: Leg) -> Merge:
        """The merge of a leg. Raises Refusal FC6004 where no set can be written to its target."""
        known = self._merges.get(id(leg))
        if known is None:
            known = self._merges[id(leg)] = Merge(self.wire(leg))
        return known

    def capture(self, legs: Sequence[Leg], side: Side, images: bool = False) -> tuple[Capture, ...]:
        """What must be captured on one side for the legs that start there. Raises Refusal FC6004."""
        captures = []
        for leg in legs:
            if leg.source_side is not side:
                continue
            entity = leg.source
            for source in entity.sources:
                columns = _read(leg, source)
                links = tuple(own for _, own in source.on)
                links += tuple(theirs for s in entity.sources for (above, theirs), _ in s.on if above == source.alias)
                keys = tuple(
                    entity.fields[c.source].column
                    for c in leg.key
                    if c.source and entity.fields[c.source].source == source.alias
                )
                identity = tuple(name for name, _ in primary(self._catalogs[side], source.table))
                captures.append(
                    Capture(
                        source.table,
                        identity,
                        tuple(dict.fromkeys((*keys, *links))),
                        tuple(dict.fromkeys((*columns, *links))) or identity,
                        images and source is entity.root,
                    )
                )
        return tuple(captures)

    # -- the source -----------------------------------------------------------------------------------------------

    async def affected(self, unit: Unit, leg: Leg, changes: Sequence[Captured]) -> list[WireRow]:
        """Root keys of the source rows that changes of its tables may have altered, each once, by last change."""
        altered = self._altered(leg)
        aliases, args = altered.noted(changes)
        if not aliases:
            return []
        plan = SystemPlan(f"rows of {leg.source.name} that changed", altered.keys(aliases), args)
        return [tuple(row) for row in await unit.system(plan, writes=False)]

    async def changed(
        self, unit: Unit, leg: Leg, changes: Sequence[Captured]
    ) -> tuple[list[tuple[WireRow, WireRow]], bool]:
        """:meth:`project` of the :meth:`affected` rows, in one statement; and whether every noted row is among them
        with the key that it was noted with, so that there are no :meth:`noted_keys` of others."""
        altered = self._altered(leg)
        aliases, args = altered.noted(changes)
        if not aliases:
            return [], True
        plan = SystemPlan(f"read what changed of {leg.source.name}", altered.rows(aliases), args)
        sent = self._pairs(leg, await unit.system(plan, writes=False))
        return sent, altered.whole(changes, len(sent))

    def _altered(self, leg: Leg) -> Altered:
        known = self._changes.get(id(leg))
        if known is None:
            known = self._changes[id(leg)] = Altered(self.wire(leg))
        return known

    async def project(self, unit: Unit, leg: Leg, roots: Sequence[WireRow]) -> list[tuple[WireRow, WireRow]]:
        """(root key, wire row) of the source rows with these root keys that exist and pass the filter, in the order
        given. A row with a value that the value map lacks is an :class:`Unsent`."""
        if not roots:
            return []
        wire = self.wire(leg)
        given = ", ".join(f"${at}::{kind}[]" for at, (_, kind) in enumerate(wire.root, 1))
        names = ", ".join(f"k{at}" for at in range(len(wire.root)))
        alias = quoted(leg.source.root.alias)
        same = " and ".join(f"{alias}.{quoted(name)} = given.k{at}" for at, (name, _) in enumerate(wire.root))
        sql = (
            f"select {wire.roots()}, {', '.join(wire.sent)}, {wire.unmapped} {wire.reading()} "
            f"join unnest({given}) with ordinality as given({names}, n) on {same} where {wire.filter} order by given.n"
        )
        args = tuple([row[at] for row in roots] for at in range(len(wire.root)))
        return self._pairs(leg, await unit.system(SystemPlan(f"read {leg.source.name}", sql, args), writes=False))

    async def roots(self, unit: Unit, leg: Leg, after: WireRow | None, limit: int) -> list[WireRow]:
        """Root keys of the source in their order, behind ``after``."""
        wire = self.wire(leg)
        names = ", ".join(quoted(name) for name, _ in wire.root)
        where = ""
        if after is not None:
            given = ", ".join(f"${at}::{kind}" for at, (_, kind) in enumerate(wire.root, 2))
            where = f"where ({names}) > ({given})"
        sql = f"select {names} from {qualified(leg.source.root.table)} {where} order by {names} limit $1"
        plan = SystemPlan(f"keys of {leg.source.name}", sql, (limit, *(after or ())))
        return [tuple(row) for row in await unit.system(plan, writes=False)]

    async def count(self, unit: Unit, leg: Leg) -> int:
        """About how many rows the source's root table has."""
        sql = "select greatest(reltuples, 0)::bigint from pg_class where oid = $1::text::regclass"
        table = qualified(leg.source.root.table)
        return int((await unit.system(SystemPlan("count rows", sql, (table,)), writes=False))[0][0])

    async def keys(self, unit: Unit, leg: Leg, fields: Mapping[str, object]) -> list[WireRow]:
        """Integration keys of the source rows whose fields have these stored values."""
        wire, entity = self.wire(leg), leg.source
        tables = {source.alias: source.table for source in entity.sources}
        conditions = []
        for at, name in enumerate(fields, 1):
            field = entity.fields[name]
            kind = wire.source.tables[tables[field.source]].columns[field.column].type
            conditions.append(f"{quoted(field.source)}.{quoted(field.column)} = ${at}::{kind}")
        sent = ", ".join(wire.sent[place] for place, column in enumerate(leg.columns) if column.key)
        sql = f"select {sent} {wire.reading()} where {' and '.join(conditions)}"
        plan = SystemPlan(f"find {entity.name}", sql, tuple(fields.values()))
        return [tuple(row) for row in await unit.system(plan, writes=False)]

    async def by_key(self, unit: Unit, leg: Leg, keys: Sequence[WireRow]) -> list[tuple[WireRow, WireRow]]:
        """The same, of the source rows with these integration keys."""
        if not keys:
            return []
        wire = self.wire(leg)
        places = [place for place, column in enumerate(leg.columns) if column.key]
        rows, args = arrays(wire, keys, places)
        same = " and ".join(f"{wire.bare(wire.sent[place])} = w.c{place}" for place in places)
        sql = (
            f"select {wire.roots()}, {', '.join(wire.sent)}, {wire.unmapped} {wire.reading()} "
            f"join {rows} on {same} where {wire.filter}"
        )
        plan = SystemPlan(f"read {leg.source.name} by key", sql, tuple(args))
        return self._pairs(leg, await unit.system(plan, writes=False))

    def _pairs(self, leg: Leg, rows: Iterable[Sequence[object]]) -> list[tuple[WireRow, WireRow]]:
        width = len(self.wire(leg).root)
        return [
            (tuple(row[:width]), Unsent(str(row[-1]), tuple(row[width:-1])) if row[-1] else tuple(row[width:-1]))
            for row in map(tuple, rows)
        ]

    async def noted_keys(self, unit: Unit, leg: Leg, changes: Sequence[Captured]) -> list[WireRow]:
        """Integration keys that rows of the root table had when they were noted, each once; those that can't be said
        any more (a lookup whose row is gone) are left out."""
        wire, table = self.wire(leg), leg.source.root.table
        rows = [row for change in changes if change.table == table for row in change.rows]
        if not rows:
            return []
        keys = ", ".join(wire.sent[place] for place, column in enumerate(leg.columns) if column.key)
        sql = f"select distinct {keys} {wire.reading(wire.remembered())}"
        found = await unit.system(SystemPlan(f"keys of {leg.source.name}", sql, (_json(rows),)), writes=False)
        return [key for key in (tuple(row) for row in found) if None not in key]

    async def images(
        self, unit: Unit, leg: Leg, rows: Sequence[Mapping[str, object]]
    ) -> list[tuple[WireRow, WireRow] | None]:
        """The same as :meth:`project` of noted images of the root table, joined tables as they are now; by place, None
        for a row that the filter or a join does not admit."""
        if not rows:
            return []
        wire = self.wire(leg)
        number = f'{quoted(leg.source.root.alias)}."@n"'
        sql = (
            f"select {number}, {wire.roots()}, {', '.join(wire.sent)}, {wire.unmapped} "
            f"{wire.reading(wire.remembered(whole=True), whole=True)} where {wire.filter}"
        )
        plan = SystemPlan(f"versions of {leg.source.name}", sql, (_numbered(rows),))
        found = [tuple(row) for row in await unit.system(plan, writes=False)]
        pairs = dict(zip((row[0] for row in found), self._pairs(leg, (row[1:] for row in found)), strict=True))
        return [pairs.get(at) for at in range(len(rows))]

    async def image_keys(self, unit: Unit, leg: Leg, rows: Sequence[Mapping[str, object]]) -> list[WireRow | None]:
        """Integration keys of noted rows of the root table, by place; None for one that can't be said any more."""
        if not rows:
            return []
        wire = self.wire(leg)
        keys = ", ".join(wire.sent[place] for place, column in enumerate(leg.columns) if column.key)
        sql = f'select {quoted(leg.source.root.alias)}."@n", {keys} {wire.reading(wire.remembered())}'
        plan = SystemPlan(f"keys of {leg.source.name}", sql, (_numbered(rows),))
        found = {row[0]: tuple(row)[1:] for row in await unit.system(plan, writes=False)}
        return [None if None in (key := found.get(at, (None,))) else key for at in range(len(rows))]

    async def touched(
        self, unit: Unit, leg: Leg, position: Position, keys: Sequence[WireRow]
    ) -> list[dt.datetime | None]:
        """When changes behind a position last touched the source's rows with these integration keys, by place."""
        return await touched(unit, self.wire(leg), position, keys) if keys else []

    # -- the target -----------------------------------------------------------------------------------------------

    async def image(self, unit: Unit, leg: Leg, keys: Sequence[WireRow]) -> list[WireRow | None]:
        """The target's rows with these integration keys as wire rows, None where there is none."""
        if not keys:
            return []
        wire = self.wire(leg)
        places = [place for place, column in enumerate(leg.columns) if column.key]
        rows, args = arrays(wire, keys, places)
        held = [wire.held(place, column) for place, column in enumerate(leg.columns)]
        same = " and ".join(f"{wire.bare(held[place])} = w.c{place}" for place in places)
        sql = f"select w.n, {', '.join(held)} {wire.holding()} join {rows} on {same}"
        found = await unit.system(SystemPlan(f"read {leg.target.name}", sql, tuple(args)), writes=False)
        images = {row[0]: tuple(row)[1:] for row in found}
        return [images.get(at) for at in range(len(keys))]

    async def merge(self, unit: Unit, leg: Leg, rows: Sequence[WireRow], apart: bool = True) -> Merged:
        """Inserts and updates, as a set. Rows in error are left out and named; the others are written. Not ``apart``,
        what the database refuses is raised, and nothing of the unit can be kept."""
        if not rows:
            return Merged()
        merging = self.merging(leg)
        unit.touch(answered=any(part.table.answers for part in merging.parts))
        return await merging.run(unit, rows, apart)

    async def delete(self, unit: Unit, leg: Leg, keys: Sequence[WireRow]) -> list[int]:
        """Deletes the target's rows with these integration keys, as a set. Returns the places of those there were."""
        if not keys:
            return []
        wire = self.wire(leg)
        places = [place for place, column in enumerate(leg.columns) if column.key]
        rows, args = arrays(wire, keys, places)
        sql = self.merging(leg).deletion(rows)
        unit.touch(answered=True)
        gone = await unit.system(SystemPlan(f"delete from {leg.target.name}", sql, tuple(args)))
        return sorted({row[0] for row in gone})

    async def resolve(self, unit: Unit, leg: Leg, rows: Sequence[WireRow]) -> list[Mapping[str, object] | RowError]:
        """Wire rows as values of the target entity's fields, lookups resolved: for writing row by row."""
        wire = self.wire(leg)
        places = [place for place, column in enumerate(leg.columns) if column.target_reference is not None]
        found: list[tuple[object, ...]] = [()] * len(rows)
        if places and rows:
            given = [place for place, column in enumerate(leg.columns) if place in places or column.company]
            source, args = arrays(wire, [tuple(row[place] for place in given) for row in rows], given)
            values = ", ".join(wire.resolved(place) for place in places)
            owner = wire.owner()
            extra = "" if owner is None else f", {owner[1]}"
            sql = f"select w.n, {values}{extra} from {source} {wire.resolving()}"
            for row in await unit.system(SystemPlan("resolve lookups", sql, tuple(args)), writes=False):
                found[row[0]] = tuple(row)[1:]
        return [self._values(leg, places, row, looked) for row, looked in zip(rows, found, strict=True)]

    def _values(
        self, leg: Leg, places: Sequence[int], row: WireRow, looked: tuple[object, ...]
    ) -> Mapping[str, object] | RowError:
        ids = dict(zip(places, looked, strict=False))
        values: dict[str, object] = {}
        for place, column in enumerate(leg.columns):
            value = row[place]
            if place in ids:
                if value is not None and ids[place] is None:
                    assert column.target_reference is not None
                    name = column.target_reference.entity.name
                    return RowError(0, f"{column.target}: no row of {name} has this key: {value}", column.target)
                value = ids[place]
            elif value is None:
                value = column.null_out
            values[column.target] = value
        if leg.owner_field and len(looked) > len(places) and looked[-1] is not None:
            values[leg.owner_field] = looked[-1]
        return values

    # -- comparing ------------------------------------------------------------------------------------------------

    async def segments(self, unit: Unit, leg: Leg, end: Literal["source", "target"], segments: int) -> list[Segment]:
        """One end's rows by a hash of the integration key modulo ``segments``."""
        wire = self.wire(leg)
        values, origin = self._end(leg, end)
        number = wire.segment(values, segments)
        sql = f"select {number}, count(*), sum({wire.hashed(values)}::numeric) {origin} group by 1 order by 1"
        rows = await unit.system(SystemPlan(f"hash {end} of {leg.map}", sql), writes=False)
        return [Segment(row[0], row[1], int(row[2])) for row in rows]

    async def segment(
        self, unit: Unit, leg: Leg, end: Literal["source", "target"], segments: int, number: int
    ) -> list[WireRow]:
        """The wire rows of one segment of one end."""
        values, origin = self._end(leg, end)
        sql = f"select {', '.join(values)} {origin} and {self.wire(leg).segment(values, segments)} = $1"
        rows = await unit.system(SystemPlan(f"read {end} of {leg.map}", sql, (number,)), writes=False)
        return [tuple(row) for row in rows]

    def _end(self, leg: Leg, end: Literal["source", "target"]) -> tuple[list[str], str]:
        wire = self.wire(leg)
        if end == "source":
            return list(wire.sent), f"{wire.reading()} where {wire.filter}"
        return [
            wire.held(place, column) for place, column in enumerate(leg.columns)
        ], f"{wire.holding()} where {wire.belonging}"

    def settable(self, leg: Leg) -> bool:
        """Whether rows may be merged as a set: all columns are of tables that the entity writes."""
        try:
            self.merging(leg)
        except Refusal:
            return False
        return True

    def check(self, leg: Leg) -> list[str]:
        """What a leg reads or writes and the databases no longer have, for people."""
        found = []
        for side, entity, names in (
            (leg.source_side, leg.source, [c.source for c in leg.columns if c.source]),
            (leg.target_side, leg.target, [c.target for c in leg.columns]),
        ):
            catalog = self._catalogs[side]
            tables = {source.alias: source.table for source in entity.sources}
            for name in names:
                field = entity.fields[name]
                if catalog.column(tables[field.source], field.column) is None:
                    found.append(f"{entity.name}.{name}: {tables[field.source]} has no column {field.column} any more")
        return found


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return msgspec.json.encode(rows).decode()


def _numbered(rows: Sequence[Mapping[str, object]]) -> str:
    return _json([{**row, "@n": at} for at, row in enumerate(rows)])


def _read(leg: Leg, source: DataSource) -> tuple[str, ...]:
    """Columns of a source's table that the leg reads, for its values or its filter."""
    names = [column.source for column in leg.columns if column.source]
    names += [operand.path[0] for operand in operands(leg.filter) if isinstance(operand, Field)]
    fields = [leg.source.fields[name] for name in names]
    return tuple(field.column for field in fields if field.source == source.alias)
