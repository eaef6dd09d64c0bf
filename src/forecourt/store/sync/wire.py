"""Wire rows as SQL: what a leg reads at its source, what the same row looks like at its target, and how it is written.

A wire row is the leg's columns in order, in the types of the target, with lookups as natural keys. Everything here is
text of SQL made of a solution's definitions: names are quoted, constants are literals. What comes from rows is never
part of it. Leaves out running it (``ends``, ``merge``, ``bulk``).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from uuid import UUID

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import TIMESTAMPS, Entity
from forecourt.kernel.predicate import TRUE, Const, Field, Operand, Predicate, map_operands, operands
from forecourt.kernel.relation import Select, Source, TableName
from forecourt.kernel.sync import Leg, LegColumn, Reference
from forecourt.kernel.types import INTEGERS
from forecourt.store.catalog import Catalog, TableColumn
from forecourt.store.compile import Statement
from forecourt.store.days import written
from forecourt.store.storage import Family, family_of_type
from forecourt.store.sync.capture import literal, qualified, quoted

_NAMES = {
    Family.INTEGER: "bigint",
    Family.DECIMAL: "numeric",
    Family.FLOAT: "double precision",
    Family.BOOLEAN: "boolean",
    Family.DATE: "date",
    Family.LOCAL: "timestamptz",
    Family.INSTANT: "timestamptz",
    Family.UUID: "uuid",
}

#: Column of a company with the team that owns its rows (operations-and-integration 1.5).
OWNING_TEAM = "cdm_defaultowningteam"


def constant(value: object) -> str:
    """A value of a definition as an SQL literal."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | Decimal() | float():
            return f"({value})"
        case dt.datetime():
            return f"timestamptz {literal(value.isoformat())}"
        case dt.date():
            return f"date {literal(value.isoformat())}"
        case UUID():
            return f"uuid {literal(str(value))}"
        case _:
            return f"{literal(str(value))}::text"


@dataclass(frozen=True)
class Wire:
    """A leg against the catalogs of its two databases."""

    leg: Leg
    source: Catalog
    target: Catalog

    # -- types ----------------------------------------------------------------------------------------------------

    @cached_property
    def types(self) -> tuple[str, ...]:
        """PostgreSQL's type of each column of a wire row."""
        return tuple(_NAMES.get(self._family(column), "text") for column in self.leg.columns)

    def _family(self, column: LegColumn) -> Family:
        if column.target_reference is not None:
            reference = column.target_reference
            return _family(self.target, reference.entity, reference.natural)
        return _family(self.target, self.leg.target, column.target)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a wire row's columns in SQL."""
        return tuple(f"c{place}" for place in range(len(self.leg.columns)))

    @cached_property
    def root(self) -> tuple[tuple[str, str], ...]:
        """Pairs (column, type) of the primary key of the source's root table."""
        return primary(self.source, self.leg.source.root.table)

    # -- the source -----------------------------------------------------------------------------------------------

    @cached_property
    def distinct(self) -> bool:
        """Whether the source's database sees to it that no two of its rows have one integration key."""
        entity, tables = self.leg.source, self.source.tables
        plain = {
            entity.fields[column.source].column
            for column in self.leg.key
            if column.source and entity.fields[column.source].source == entity.root.alias
            if column.source_reference is None and not column.values and column.null_in is None
        }
        joined = ((tables[source.table], {own for _, own in source.on}) for source in entity.sources[1:])
        return tables[entity.root.table].names_one(plain) and all(table.names_one(own) for table, own in joined)

    def reading(self, root: str | None = None, whole: bool = False) -> str:
        """``FROM …`` of the source: its tables and those that its lookups lead to. ``root``: :meth:`remembered` for
        the root table; only what the integration key needs is joined then, unless the rows are ``whole``."""
        entity = self.leg.source
        whole = whole or root is None
        columns = [(place, c) for place, c in enumerate(self.leg.columns) if c.source and (whole or c.key)]
        wanted = {entity.fields[column.source].source for _, column in columns}
        for source in reversed(entity.sources):
            if source.alias in wanted:
                wanted.update(above for (above, _), _ in source.on)
        parts = [f"{root or qualified(entity.root.table)} as {quoted(entity.root.alias)}"]
        for source in entity.sources[1:]:
            if not whole and source.alias not in wanted:
                continue
            on = " and ".join(
                f"{quoted(above)}.{quoted(theirs)} = {quoted(source.alias)}.{quoted(own)}"
                for (above, theirs), own in source.on
            )
            kind = "join" if source.join == "inner" and whole else "left join"
            parts.append(f"{kind} {qualified(source.table)} as {quoted(source.alias)} on {on}")
        for place, column in columns:
            if column.source_reference is not None:
                reference = column.source_reference
                own = self._column(entity, column.source)
                parts.append(f"left join {_table(reference)} as sr{place} on sr{place}.{_id(reference)} = {own}")
        return "from " + " ".join(parts)

    @cached_property
    def filter(self) -> str:
        """The leg's filter over its source, as a condition. A row without a company takes no part in a leg with one."""
        own = [self.sent[place] for place, column in enumerate(self.leg.columns) if column.company and column.source]
        return _all(
            [condition(self.leg.filter, self.leg.source, self.source), *(f"{item} is not null" for item in own)]
        )

    @cached_property
    def belonging(self) -> str:
        """The rows of the target that belong to the map, as a condition."""
        own = [self.held(place, column) for place, column in enumerate(self.leg.columns) if column.company]
        rest = condition(self.leg.target_filter, self.leg.target, self.target)
        return _all([rest, *(f"{item} is not null" for item in own)])

    @cached_property
    def sent(self) -> tuple[str, ...]:
        """Expressions of the wire row over :meth:`reading`."""
        return tuple(self._sent(place, column) for place, column in enumerate(self.leg.columns))

    def _sent(self, place: int, column: LegColumn) -> str:
        kind = self.types[place]
        if not column.source:
            return f"{constant(column.default)}::{kind}"
        value, family = self._taken(place, column)
        if column.values:
            cases = " ".join(f"when {constant(theirs)} then {constant(ours)}" for theirs, ours in column.values)
            value = f"case {value} {cases} end::{kind}"
        elif family is Family.INTEGER and kind == "boolean":
            value = f"({value} <> 0)"
        elif family is Family.BOOLEAN and kind in ("bigint", "numeric"):
            value = f"{value}::int::{kind}"
        elif _NAMES.get(family, "text") != kind:
            value = f"{value}::{kind}"
        value = self._fitted(value, column)
        return value if column.default is None else f"coalesce({value}, {constant(column.default)}::{kind})"

    def _fitted(self, value: str, column: LegColumn) -> str:
        """A value as the target's column can hold it: what would be lost there is lost here, and both ends agree."""
        if column.target_reference is not None:
            return value
        target = self._physical(self.target, self.leg.target, column.target)
        if target.type == "numeric" and target.scale is not None:
            own = self._physical(self.source, self.leg.source, column.source) if not column.source_reference else None
            exact = own is not None and (own.kind in INTEGERS or (own.scale is not None and own.scale <= target.scale))
            return value if exact else f"round({value}, {target.scale})"
        if target.type in TIMESTAMPS and target.scale is not None and not self.leg.target.fields[column.target].day:
            return f"{value}::timestamptz({target.scale})"
        if target.type == "float4":
            return f"{value}::real::double precision"
        return f"rtrim({value}, ' ')" if target.type == "bpchar" else value

    @staticmethod
    def _physical(catalog: Catalog, entity: Entity, name: str) -> TableColumn:
        found = entity.fields[name]
        table = next(source.table for source in entity.sources if source.alias == found.source)
        return catalog.tables[table].columns[found.column]

    def _taken(self, place: int, column: LegColumn) -> tuple[str, Family]:
        """A source's value, null where it stands for none, and its family."""
        if column.source_reference is not None:
            reference = column.source_reference
            natural = reference.entity.fields[reference.natural].column
            family = _family(self.source, reference.entity, reference.natural)
            value = _plain(f"sr{place}.{quoted(natural)}", family)
        else:
            family = _family(self.source, self.leg.source, column.source)
            value = _plain(self._column(self.leg.source, column.source), family)
        if column.null_in is not None:
            value = f"nullif({value}, {constant(column.null_in)})"
        return value, family

    @cached_property
    def unmapped(self) -> str:
        """The first column whose value the value map lacks, as text; null where there is none."""
        cases = []
        for place, column in enumerate(self.leg.columns):
            if column.values:
                value, _ = self._taken(place, column)
                known = ", ".join(constant(theirs) for theirs, _ in column.values)
                cases.append(f"when {value} not in ({known}) then {literal(column.source)} || ': ' || {value}::text")
        return f"case {' '.join(cases)} end" if cases else "null::text"

    def roots(self, alias: str | None = None) -> str:
        """The root key's columns, comma-separated."""
        return ", ".join(f"{quoted(alias or self.leg.source.root.alias)}.{quoted(name)}" for name, _ in self.root)

    def remembered(self, whole: bool = False) -> str:
        """A set of rows in place of the root table, made of noted values: ``$1``, a JSON array of objects, numbered by
        their ``@n``. ``whole``: with every column that the leg reads, not those of its key alone."""
        return f'(select * from jsonb_to_recordset($1::text::jsonb) as noted("@n" int, {self.noted(whole)}))'

    def noted(self, whole: bool = False) -> str:
        """The columns of noted rows of the root table, with their types."""
        entity = self.leg.source
        table = self.source.tables[entity.root.table]
        names = [name for name, _ in self.root]
        alias = entity.root.alias
        read = [column.source for column in (self.leg.columns if whole else self.leg.key) if column.source]
        if whole:
            read += [operand.path[0] for operand in operands(self.leg.filter) if isinstance(operand, Field)]
        names += [found.column for found in (entity.fields[name] for name in read) if found.source == alias]
        names += [theirs for source in entity.sources for (above, theirs), _ in source.on if above == alias]
        return ", ".join(f"{quoted(name)} {table.columns[name].type}" for name in dict.fromkeys(names))

    # -- the target -----------------------------------------------------------------------------------------------

    @property
    def table(self) -> str:
        """The target's root table."""
        return qualified(self.leg.target.root.table)

    def held(self, place: int, column: LegColumn) -> str:
        """What the target holds in a column, as a wire value, over :meth:`holding`."""
        if column.target_reference is not None:
            reference = column.target_reference
            natural = reference.entity.fields[reference.natural].column
            value = _plain(f"tr{place}.{quoted(natural)}", self._family(column))
        else:
            value = _plain(self._column(self.leg.target, column.target), self._family(column))
        return value if column.null_out is None else f"nullif({value}, {constant(column.null_out)})"

    def holding(self) -> str:
        """``FROM …`` of the target: its tables and those that its lookups lead to."""
        entity = self.leg.target
        parts = [f"{self.table} as {quoted(entity.root.alias)}"]
        for source in entity.sources[1:]:
            on = " and ".join(
                f"{quoted(above)}.{quoted(theirs)} = {quoted(source.alias)}.{quoted(own)}"
                for (above, theirs), own in source.on
            )
            kind = "left join" if source.join == "left" else "join"
            parts.append(f"{kind} {qualified(source.table)} as {quoted(source.alias)} on {on}")
        for place, column in enumerate(self.leg.columns):
            if column.target_reference is not None:
                reference = column.target_reference
                own = self._column(entity, column.target)
                parts.append(f"left join {_table(reference)} as tr{place} on tr{place}.{_id(reference)} = {own}")
        return "from " + " ".join(parts)

    def resolving(self, places: Sequence[int] | None = None) -> str:
        """Joins from wire rows ``w`` to the rows that their natural keys name: the company first. ``places``: of these
        columns alone."""
        order = sorted(enumerate(self.leg.columns), key=lambda item: not item[1].company)
        company = next((place for place, column in order if column.company), None)
        parts = []
        for place, column in order:
            reference = column.target_reference
            if reference is None or (places is not None and place not in places):
                continue
            natural = reference.entity.fields[reference.natural].column
            on = f"tr{place}.{quoted(natural)} = w.c{place}"
            if reference.company is not None and company is not None and place != company:
                theirs = reference.entity.fields[reference.company].column
                on += f" and tr{place}.{quoted(theirs)} = {self.resolved(company)}"
            parts.append(f"left join {_table(reference)} as tr{place} on {on}")
        return " ".join(parts)

    def resolved(self, place: int) -> str:
        """A wire value as the target stores it, over ``w`` and :meth:`resolving`."""
        column = self.leg.columns[place]
        if column.target_reference is not None:
            return f"tr{place}.{_id(column.target_reference)}"
        value = f"w.c{place}"
        if column.null_out is not None:
            value = f"coalesce({value}, {constant(column.null_out)})"
        family = self._family(column)
        found = self.leg.target.fields[column.target]
        if family is Family.LOCAL:
            return f"({value} at time zone 'UTC')"
        if family is Family.OTHER:
            table = next(source.table for source in self.leg.target.sources if source.alias == found.source)
            return f"{value}::{self.target.tables[table].columns[found.column].type}"
        return value

    def owner(self) -> tuple[str, str] | None:
        """(column, expression) of the owner that a new row gets: the owning team of its company. None: no such."""
        if not self.leg.owner_field:
            return None
        for place, column in enumerate(self.leg.columns):
            reference = column.target_reference
            if column.company and reference is not None:
                columns = [found.column for found in reference.entity.fields.values()]
                if OWNING_TEAM in columns:
                    return self.leg.target.fields[self.leg.owner_field].column, f"tr{place}.{quoted(OWNING_TEAM)}"
        return None

    def hashed(self, values: list[str]) -> str:
        """A number that depends on all of the values, the same for equal rows of either end."""
        texts = [_canonical(value, kind) for value, kind in zip(values, self.types, strict=True)]
        return f"hashtextextended(row({', '.join(texts)})::text, 0)"

    def segment(self, values: Sequence[str], segments: int) -> str:
        """The number of a row's segment, from 0: a hash of its integration key."""
        texts = [
            _canonical(values[place], self.types[place]) for place, column in enumerate(self.leg.columns) if column.key
        ]
        hashed = f"hashtextextended(row({', '.join(texts)})::text, 0)"
        return f"((({hashed} % {segments}) + {segments}) % {segments})::int"

    @staticmethod
    def bare(value: str) -> str:
        """A value for a comparison with a wire value: every integer compares with a bigint, and a column inside of a
        cast has lost its index."""
        return value.removesuffix("::bigint")

    def _column(self, entity: Entity, name: str) -> str:
        found = entity.fields[name]
        return written(f"{quoted(found.source)}.{quoted(found.column)}", found)


def _all(conditions: Sequence[str]) -> str:
    return " and ".join(f"({item})" for item in conditions)


def condition(predicate: Predicate, entity: Entity, catalog: Catalog) -> str:
    """A filter over an entity's fields as SQL, its constants as literals."""
    if predicate == TRUE:
        return "true"
    statement = Statement(catalog)
    nullable = frozenset((found.source, found.column) for found in entity.fields.values() if found.nullable)
    sources = tuple(Source(source.alias, source.table) for source in entity.sources)
    select = Select(sources, TRUE, (), nullable=nullable)
    scope, _ = statement.sources(select, None)

    def lowered(operand: Operand) -> Operand:
        if isinstance(operand, Field):
            return entity.fields[operand.path[0]].at()
        return operand

    compiled = statement.condition(map_operands(predicate, lowered), scope)
    values = [constant(bind.value) for bind in compiled.binds if isinstance(bind, Const)]

    def value(found: re.Match[str]) -> str:
        return found[0] if found[1] is None else values[int(found[1]) - 1]

    return re.sub(r'"(?:[^"]|"")*"|\$([0-9]+)', value, compiled.sql)


def _canonical(value: str, kind: str) -> str:
    """A value with one text: a row's own text tells null from '', and where a value ends."""
    return f"trim_scale({value})" if kind == "numeric" else value


def _plain(value: str, family: Family) -> str:
    """A column in its wire type."""
    if family is Family.LOCAL:
        return f"({value} at time zone 'UTC')"
    if family in (Family.INTEGER, Family.FLOAT):
        return f"{value}::{_NAMES[family]}"
    return f"{value}::text" if family in (Family.PADDED, Family.OTHER) else value


def _family(catalog: Catalog, entity: Entity, name: str) -> Family:
    found = entity.fields[name]
    table = next(source.table for source in entity.sources if source.alias == found.source)
    column = catalog.column(table, found.column)
    if column is None:
        raise Refusal("FC6004", f"{table} has no column {found.column}: it was dropped or renamed.")
    return Family.DATE if found.day else family_of_type(column.type)


def _table(reference: Reference) -> str:
    return qualified(reference.entity.root.table)


def _id(reference: Reference) -> str:
    return quoted(reference.entity.fields[reference.id_field].column)


def primary(catalog: Catalog, table: TableName) -> tuple[tuple[str, str], ...]:
    """Pairs (column, type) of a table's primary key. Raises Refusal FC6004 where it has none."""
    found = catalog.tables.get(table)
    if found is None or not found.primary:
        raise Refusal("FC6004", f"{table} has no primary key, or does not exist.")
    return tuple((name, found.columns[name].type) for name in found.primary)
