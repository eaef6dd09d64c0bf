"""Drift: what has become of the columns that a map stands on, in the databases as they are now.

A map is made against the models of the two sides. A column that somebody drops, retypes or shortens afterwards is
found here before the next row of the map breaks on it. Pure: the catalogs are passed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from forecourt.integration.dual_write import filters
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.model import Entity
from forecourt.kernel.relation import TableName
from forecourt.kernel.sync import Side

What = Literal["table dropped", "column dropped", "retyped", "shortened", "may be null"]


class LiveColumn(Protocol):
    """A column as the database has it. ``type``: the database's short name of it, as in ``EntityField.storage``."""

    @property
    def type(self) -> str: ...
    @property
    def nullable(self) -> bool: ...
    @property
    def length(self) -> int | None: ...


class LiveTable(Protocol):
    @property
    def columns(self) -> Mapping[str, LiveColumn]: ...


Live = Mapping[Side, Mapping[TableName, LiveTable]]

#: Reads the two databases' catalogs anew.
Look = Callable[[], Awaitable[Live]]


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as the map has it. ``field``: of the entity or table, '' for a column that joins tables.
    ``was``, ``now``: types, lengths."""

    map: str
    side: Side
    table: TableName
    column: str
    what: What
    field: str = ""
    was: str = ""
    now: str = ""

    @property
    def breaks(self) -> bool:
        """Whether the map can't work with it. The rest are limits that a row may meet one day."""
        return self.what in ("table dropped", "column dropped", "retyped")

    def __str__(self) -> str:
        subject = f"{self.table}.{self.column}" if self.column else str(self.table)
        change = f": {self.was} before, {self.now} now" if self.was or self.now else ""
        behind = f" (field {self.field})" if self.field and self.field != self.column else ""
        return f"{self.map}: {self.side.value} {subject}{behind} {self.what}{change}."


def drift(item: TableMap, live: Live) -> tuple[Drift, ...]:
    """What has changed under a map. ``live``: by side, the tables of its database (a ``Catalog``'s ``tables``)."""
    found: dict[tuple[Side, TableName, str], Drift] = {}
    for side, entity, names in _uses(item):
        for change in _entity(item.name, side, entity, names, live[side]):
            found.setdefault((side, change.table, change.column), change)
    return tuple(found.values())


def _uses(item: TableMap) -> Iterator[tuple[Side, Entity, frozenset[str]]]:
    """Every entity that the map reads or writes on a side, with the fields of it."""
    own: set[str] = set(item.entity.key)
    theirs: set[str] = set(item.table.key) | ({item.table.version} & set(item.table.fields))
    for side, leg in item.legs.items():
        outward = side is Side.OPERATIONS
        own |= {column.source if outward else column.target for column in leg.columns} - {""}
        theirs |= {column.target if outward else column.source for column in leg.columns} - {""}
        (own if outward else theirs).update(filters.fields(leg.filter))
    yield Side.OPERATIONS, item.entity, frozenset(own)
    yield Side.DATAVERSE, item.table, frozenset(theirs)
    for leg in item.legs.values():
        for column in leg.columns:
            for reference in (column.source_reference, column.target_reference):
                if reference is not None:
                    company = {reference.company} if reference.company is not None else set()
                    names = frozenset({reference.id_field, reference.natural} | company)
                    yield Side.DATAVERSE, reference.entity, names


def _entity(
    name: str, side: Side, entity: Entity, fields: Iterable[str], live: Mapping[TableName, LiveTable]
) -> Iterator[Drift]:
    tables = {source.alias: source.table for source in entity.sources}
    gone = {alias for alias, table in tables.items() if table not in live}
    for alias in sorted(gone):
        yield Drift(name, side, tables[alias], "", "table dropped")
    for source in entity.sources:
        for (above, theirs), own in source.on:
            for alias, column in ((above, theirs), (source.alias, own)):
                if alias not in gone and column not in live[tables[alias]].columns:
                    yield Drift(name, side, tables[alias], column, "column dropped")
    for field_name in sorted(fields):
        found = entity.fields[field_name]
        if found.source in gone:
            continue
        table = tables[found.source]
        now = live[table].columns.get(found.column)
        if now is None:
            yield Drift(name, side, table, found.column, "column dropped", found.name)
        elif found.storage and now.type != found.storage:
            yield Drift(name, side, table, found.column, "retyped", found.name, found.storage, now.type)
        elif now.length is not None and (found.length is None or now.length < found.length):
            was = "" if found.length is None else str(found.length)
            if found.storage and was:
                yield Drift(name, side, table, found.column, "shortened", found.name, was, str(now.length))
        elif now.nullable and not found.nullable and found.storage:
            yield Drift(name, side, table, found.column, "may be null", found.name)
