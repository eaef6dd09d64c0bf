"""Queries of policies and constructs: a first table, what is joined to it, and the conditions.

Everything that a query names is checked: against the database where its catalog is at hand, else against the file
alone. Values are brought to the type of the column that they stand beside.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from forecourt.kernel.document import Document, suggest
from forecourt.kernel.predicate import (
    Column,
    Compare,
    CompareOp,
    Const,
    In,
    IsNull,
    Match,
    Operand,
    Param,
    Predicate,
    all_of,
    negate,
)
from forecourt.kernel.relation import Source, TableName
from forecourt.kernel.types import Kind, Scalar
from forecourt.operations.definitions import PolicyQuery, QueryJoin, Range, RangeValue
from forecourt.operations.entities import table_name
from forecourt.security.constructs import NOW, TODAY, Construct, ConstructJoin, given
from forecourt.store.catalog import Catalog

USER_VALUES = ("id", "email", "company")

_COMPARED: Mapping[str, CompareOp] = {
    "equals": "eq",
    "not_equals": "ne",
    "lt": "lt",
    "le": "le",
    "gt": "gt",
    "ge": "ge",
}

_READ: Mapping[Kind, Callable[[str], Scalar]] = {
    Kind.DATE: dt.date.fromisoformat,
    Kind.DATETIME: lambda text: _moment(dt.datetime.fromisoformat(text)),
    Kind.DECIMAL: Decimal,
    Kind.GUID: UUID,
}

Aliases = Mapping[str, TableName]


def _moment(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value


@dataclass(frozen=True)
class Query:
    """``filter``: of the ranges and of the constructs."""

    sources: tuple[Source, ...]
    filter: Predicate
    constructs: tuple[ConstructJoin, ...]

    @property
    def aliases(self) -> dict[str, TableName]:
        return {source.alias: source.table for source in self.sources}


class QueryBuilder:
    """Builds queries of one file. ``attributes``: of users, that ``$user.`` may name; ``constructs``: by name. Raises
    DefinitionError at the first fault."""

    def __init__(
        self,
        document: Document,
        catalog: Catalog | None,
        attributes: frozenset[str],
        constructs: Mapping[str, Construct],
    ) -> None:
        self.document = document
        self.catalog = catalog
        self._attributes = attributes
        self._constructs = constructs

    def build(self, primary: TableName, alias: str, query: PolicyQuery) -> Query:
        """The query over ``primary`` under ``alias``."""
        aliases = {alias: primary}
        sources = [Source(alias, primary)]
        constructs: list[ConstructJoin] = []
        for position, join in enumerate(query.joins):
            path = ("query", "joins", position)
            if (join.table is None) == (join.construct is None):
                raise self.document.error("a join needs a table or a construct.", *path)
            if not join.on:
                raise self.document.error("a join needs at least one pair of columns.", *path, "on")
            if join.construct is not None:
                constructs.append(self._construct(join, join.construct, aliases, *path))
            else:
                sources.append(self._joined(join, str(join.table), aliases, *path))
        ranges = [self._range(item, aliases, position) for position, item in enumerate(query.ranges)]
        return Query(tuple(sources), all_of(*ranges, *(join.condition for join in constructs)), tuple(constructs))

    def _joined(self, join: QueryJoin, name: str, aliases: dict[str, TableName], *path: str | int) -> Source:
        table = self.table(name, *path, "table")
        alias = join.alias or table.name
        if alias in aliases:
            raise self.document.error(f"alias '{alias}' is used twice.", *path, hint="Give the join an alias.")
        links: list[Predicate] = []
        for own, above in join.on.items():
            self.column(table, own, *path, "on", own)
            links.append(Compare("eq", self.reference(above, aliases, *path, "on", own), Column(alias, own)))
        aliases[alias] = table
        return Source(alias, table, "inner", all_of(*links))

    def _construct(self, join: QueryJoin, name: str, aliases: Aliases, *path: str | int) -> ConstructJoin:
        construct = self._constructs.get(name)
        if construct is None:
            hint = suggest(name, self._constructs)
            raise self.document.error(f"construct '{name}' is not known.", *path, "construct", hint=hint, code="FC6002")
        keys = [key for key, _ in construct.keys]
        if set(join.on) != set(keys):
            raise self.document.error(
                f"construct {name} is joined by all of its keys.", *path, "on", hint=f"They are {', '.join(keys)}."
            )
        pairs = [(key, self.reference(above, aliases, *path, "on", key)) for key, above in join.on.items()]
        return ConstructJoin(construct, tuple(pairs))

    def _range(self, item: Range, aliases: Aliases, position: int) -> Predicate:
        path = ("query", "ranges", position)
        column = self.reference(item.column, aliases, *path, "column")
        kind = self.kind(aliases[column.alias], column.name)
        found: list[Predicate] = []
        for name, op in _COMPARED.items():
            if (bound := getattr(item, name)) is not None:
                found.append(Compare(op, column, value := self.value(bound, kind, *path, name)))
                if op == "ne" and isinstance(value, Param):
                    found.append(given(value))
        if item.one_of is not None:
            found.append(In(column, tuple(self.value(each, kind, *path, "one_of") for each in item.one_of)))
        if item.between is not None:
            if len(item.between) != 2:
                raise self.document.error("between needs two values.", *path, "between", hint="Write [least, most].")
            low, high = (self.value(each, kind, *path, "between") for each in item.between)
            found += [Compare("ge", column, low), Compare("le", column, high)]
        for name, match in (("like", "wildcard"), ("starts_with", "startswith")):
            if (text := getattr(item, name)) is None:
                continue
            if kind not in (None, Kind.STRING):
                raise self.document.error(f"{name} is for texts; '{item.column}' is none.", *path, name, code="FC6004")
            pattern = self.value(text, Kind.STRING, *path, name)
            if name == "like" and isinstance(pattern, Param):
                hint = "Use starts_with or equals."
                raise self.document.error("a value of the user cannot be a pattern.", *path, name, hint=hint)
            found.append(Match("wildcard" if match == "wildcard" else "startswith", column, pattern))
        if item.is_null is not None:
            found.append(IsNull(column) if item.is_null else negate(IsNull(column)))
        if not found:
            hint = "Write one of equals, not_equals, one_of, lt, le, gt, ge, between, like, starts_with, is_null."
            raise self.document.error("a range needs a condition.", *path, hint=hint)
        return all_of(*found)

    def value(self, value: RangeValue, kind: Kind | None, *path: str | int) -> Operand:
        """A value beside a column of this kind."""
        if isinstance(value, str) and value.startswith("$"):
            return self._named(value, kind, *path)
        if isinstance(value, str) and kind is not None and kind in _READ:
            try:
                return Const(_READ[kind](value))
            except (ValueError, ArithmeticError):
                raise self.document.error(f"'{value}' is no {kind.value}.", *path, code="FC6004") from None
        return Const(Decimal(str(value)) if isinstance(value, float) else value)

    def _named(self, value: str, kind: Kind | None, *path: str | int) -> Operand:
        moments = {"$now": (NOW, Kind.DATETIME), "$today": (TODAY, Kind.DATE)}
        if value in moments:
            moment, fitting = moments[value]
            if kind not in (None, fitting):
                hint = "Use $now beside a date and time, $today beside a date."
                raise self.document.error(f"'{value}' does not fit the column.", *path, hint=hint, code="FC6004")
            return moment
        subject, _, attribute = value[1:].partition(".")
        known = [*USER_VALUES, *sorted(self._attributes)]
        if subject != "user" or attribute not in known:
            raise self.document.error(
                f"'{value}' is not a value of the user.",
                *path,
                hint="Known are: " + ", ".join(["$now", "$today", *(f"$user.{item}" for item in known)]) + ".",
                code="FC6002",
            )
        return Param(value[1:])

    # -- names -----------------------------------------------------------------------------------------------------

    def table(self, text: str, *path: str | int) -> TableName:
        """A table or view of the database."""
        table = table_name(text, self.document, *path)
        if self.catalog is not None and table not in self.catalog.tables:
            raise self.document.error(
                f"table {table} does not exist in the database.",
                *path,
                hint=suggest(str(table), (str(name) for name in self.catalog.tables)),
                code="FC6004",
            )
        return table

    def reference(self, text: str, aliases: Aliases, *path: str | int) -> Column:
        """``Alias.column``, or a column of the first table."""
        alias, dot, column = text.partition(".")
        if not dot:
            alias, column = next(iter(aliases)), text
        if alias not in aliases:
            raise self.document.error(
                f"'{alias}' is not a table of this query.", *path, hint=suggest(alias, aliases), code="FC6002"
            )
        self.column(aliases[alias], column, *path)
        return Column(alias, column)

    def column(self, table: TableName, column: str, *path: str | int) -> None:
        """Checks that the table has the column."""
        if self.catalog is not None and self.catalog.column(table, column) is None:
            raise self.document.error(
                f"table {table} has no column '{column}'.",
                *path,
                hint=suggest(column, self.catalog.tables[table].columns),
                code="FC6004",
            )

    def kind(self, table: TableName, column: str) -> Kind | None:
        """The kind of a column, None where the database was not asked."""
        found = None if self.catalog is None else self.catalog.column(table, column)
        return None if found is None else found.kind
