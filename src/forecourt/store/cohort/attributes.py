"""The values of people that queries compare with, as columns of a temporary table: the *cohort*.

A predicate that requests run under compares columns with values of the asker (Params). Here each of these values is a
column of a table with a row for each person. It has the type that a request would bind the value as, so that both mean
the same. A value that is a list (the teams of a user) has its members in a table beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from forecourt.kernel.errors import Refusal
from forecourt.kernel.predicate import (
    And,
    Arith,
    Column,
    Compare,
    Const,
    Exists,
    In,
    InParam,
    Match,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
    all_of,
    map_operands,
)
from forecourt.kernel.relation import Select, Source, TableName
from forecourt.store.catalog import Catalog, Table, TableColumn
from forecourt.store.storage import Family, family_of_type, family_of_value

#: The cohort's table, its alias in a query, and the column with a person's number.
COHORT = TableName("pg_temp", "forecourt_cohort")
PERSON = "@person"
NUMBER = "number"

#: The table with list-valued values, one row for each member of a list.
LISTS = TableName("pg_temp", "forecourt_cohort_lists")

#: The table with pairs found in another database, its alias, and the columns beside a person's number: ``key``, the key
#: of the row there as text, and ``k0``, ``k1``, … that lead to rows here.
ROWS = TableName("pg_temp", "forecourt_cohort_rows")
ROW = "@row"

#: PostgreSQL's names of the types that values are bound as.
_TYPES: Mapping[Family, str] = {
    Family.INTEGER: "int8",
    Family.DECIMAL: "numeric",
    Family.FLOAT: "float8",
    Family.TEXT: "text",
    Family.PADDED: "bpchar",
    Family.BOOLEAN: "bool",
    Family.DATE: "date",
    Family.LOCAL: "timestamp",
    Family.INSTANT: "timestamptz",
    Family.UUID: "uuid",
}


@dataclass
class Attributes:
    """The values of people that queries ask for, and the columns that hold them.

    ``columns``: (name of the value, type) -> column of the cohort. ``lists``: (name, type) -> number of the list.
    ``carried``: types of what leads from pairs of another database to rows here.
    """

    catalog: Catalog
    columns: dict[tuple[str, str], str] = field(default_factory=dict)
    lists: dict[tuple[str, str], int] = field(default_factory=dict)
    carried: tuple[str, ...] = ()
    _aliases: int = 0

    def lifted(self, select: Select) -> Select:
        """The select with columns of the cohort in the place of Params. The cohort is among its sources as PERSON."""
        return self._select(select, {})

    def table(self) -> Catalog:
        """The catalog with the cohort's tables."""
        number = TableColumn(NUMBER, "int4", nullable=False)
        columns = {NUMBER: number} | {name: TableColumn(name, kind) for (_, kind), name in self.columns.items()}
        kinds = {f"value_{kind}": TableColumn(f"value_{kind}", kind) for _, kind in self.lists}
        lists = {NUMBER: number, "list": TableColumn("list", "int4", nullable=False), **kinds}
        rows = {NUMBER: number, "key": TableColumn("key", "text")}
        rows |= {f"k{place}": TableColumn(f"k{place}", kind) for place, kind in enumerate(self.carried)}
        own = {COHORT: Table(COHORT, columns), LISTS: Table(LISTS, lists), ROWS: Table(ROWS, rows)}
        return replace(self.catalog, tables={**self.catalog.tables, **own})

    def _select(self, select: Select, outer: Mapping[str, TableName]) -> Select:
        tables = {**outer, **{source.alias: source.table for source in select.sources}}
        return replace(
            select,
            sources=tuple(replace(source, on=self._predicate(source.on, tables)) for source in select.sources),
            where=self._predicate(select.where, tables),
            nullable=select.nullable | {(PERSON, name) for name in self.columns.values()},
        )

    def _predicate(self, item: Predicate, tables: Mapping[str, TableName]) -> Predicate:
        match item:
            case And(items):
                return And(tuple(self._predicate(child, tables) for child in items))
            case Or(items):
                return Or(tuple(self._predicate(child, tables) for child in items))
            case Not(child):
                return Not(self._predicate(child, tables))
            case Exists(select):
                return Exists(self._select(select, tables))
            case InParam(operand, param):
                return self._listed(operand, param, tables)
            case Compare(op, left, right):
                return Compare(op, self._operand(left, right, tables), self._operand(right, left, tables))
            case In(operand, values):
                beside = next((v for v in (operand, *values) if not isinstance(v, Param)), operand)
                return In(
                    self._operand(operand, beside, tables),
                    tuple(self._operand(value, beside, tables) for value in values),
                )
            case Match(op, left, right):
                return Match(op, self._text(left), self._text(right))
            case _:
                return map_operands(item, self._text)

    def _operand(self, value: Operand, beside: Operand, tables: Mapping[str, TableName]) -> Operand:
        if isinstance(value, Arith):
            return Arith(
                value.op, self._operand(value.left, value.right, tables), self._operand(value.right, value.left, tables)
            )
        if not isinstance(value, Param):
            return value
        return self._column(value.name, self._family(beside, tables))

    def _family(self, beside: Operand, tables: Mapping[str, TableName]) -> Family:
        match beside:
            case Column(alias, name, day) if alias in tables:
                found = self.catalog.column(tables[alias], name)
                family = family_of_type(found.type) if found is not None else Family.TEXT
                family = Family.DATE if day else family
            case Const(value):
                family = family_of_value(value)
            case Arith():
                family = Family.DECIMAL
            case _:
                family = Family.TEXT
        return family

    def _text(self, value: Operand) -> Operand:
        return self._column(value.name, Family.TEXT) if isinstance(value, Param) else value

    def _column(self, name: str, family: Family) -> Column:
        if family not in _TYPES:
            raise Refusal("FC1003", f"The value {name} is compared with a column of a type that has no like here.")
        key = (name, _TYPES[family])
        return Column(PERSON, self.columns.setdefault(key, f"v{len(self.columns)}"))

    def _listed(self, operand: Operand, param: str, tables: Mapping[str, TableName]) -> Predicate:
        family = self._family(operand, tables)
        kind = _TYPES[family if family in _TYPES else Family.TEXT]
        number = self.lists.setdefault((param, kind), len(self.lists))
        self._aliases += 1
        alias = f"@list{self._aliases}"
        where = all_of(
            Compare("eq", Column(alias, NUMBER), Column(PERSON, NUMBER)),
            Compare("eq", Column(alias, "list"), Const(number)),
            Compare("eq", Column(alias, f"value_{kind}"), self._operand(operand, operand, tables)),
        )
        return Exists(Select((Source(alias, LISTS),), where))
