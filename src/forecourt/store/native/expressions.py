"""Predicates and selects as SQL text that stands in the database: values of the author as literals, those of the user
as calls that find who is signed in.

The text comes from the same compiler as that of requests; only its bind parameters are written out. Tables that a
condition looks at are read through helper views, on which no row security acts: a policy means what it says, whatever
its reader sees of the tables that it speaks of, and no two policies go round in circles.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import sqlalchemy as sa

from forecourt.kernel.errors import Refusal
from forecourt.kernel.predicate import (
    And,
    Bool,
    Column,
    Const,
    Exists,
    Not,
    Or,
    Param,
    Predicate,
    operands,
)
from forecourt.kernel.relation import Select, TableName
from forecourt.store.catalog import Catalog
from forecourt.store.compile import Statement
from forecourt.store.native.pieces import HELPERS, fitted, quoted, text
from forecourt.store.scopes import Scope
from forecourt.store.statements import ReadStatement

#: A quoted name, a quoted text, or a placeholder: only the last is replaced.
_TOKEN = re.compile(r'"(?:[^"]|"")*"|\'(?:[^\']|\'\')*\'|\$(\d+)')

#: Params of the moment of a query.
MOMENTS = {
    "clock.time.days+0.now.days+0": "(select pg_catalog.now())",
    "clock.date.days+0.day.days+0": "(select (pg_catalog.now() at time zone 'UTC')::date)",
}


def helper_view(table: TableName) -> TableName:
    """The view through which conditions read a table."""
    return TableName(HELPERS, fitted(f"{table.schema}.{table.name}"))


def written_out(statement: ReadStatement, value: Callable[[Param], str]) -> str:
    """The statement with its values in it. ``value`` writes those of the user.

    Raises Refusal FC6006 for a value that only a request has.
    """

    def place(found: re.Match[str]) -> str:
        if found.group(1) is None:
            return found.group(0)
        match statement.binds[int(found.group(1)) - 1]:
            case Const(constant):
                return literal(constant)
            case Param() as param:
                return value(param)
            case _:
                raise Refusal("FC6006", "The database cannot decide by a value that only a request has.")

    return _TOKEN.sub(place, statement.sql)


def literal(value: object) -> str:
    """A constant as a literal that the cast around it reads."""
    if isinstance(value, bool):
        return "'true'" if value else "'false'"
    return text(str(value))


def of_the_user(param: Param) -> str:
    """A value of whoever is signed in, looked up once per statement; of the moment, that of the transaction."""
    if param.name in MOMENTS:
        return MOMENTS[param.name]
    return f"(select {HELPERS}.user_value({text(param.name.removeprefix('user.'))}))"


def condition(predicate: Predicate, table: TableName, catalog: Catalog, alias: str = "") -> str:
    """A predicate over one table's columns, to stand in a policy on it, or where the table is under an alias.

    Raises Refusal FC6006 for an alias that the condition has for a table of its own.
    """
    if isinstance(predicate, Bool):
        return "true" if predicate.value else "false"
    named = alias or table.name
    if any(named == source.alias for select, _ in _selects(predicate, {}) for source in select.sources):
        raise Refusal("FC6006", f"The name {named} would be taken for another table's.", source=str(table))
    statement = Statement(looking_through(catalog, tables_in(predicate)))
    scope = _RowScope({table.name: (table, _row(table, catalog, named))}, nullables(catalog, {table.name: table}))
    return written_out(statement.condition(through_helpers(predicate, catalog), scope), of_the_user)


class _RowScope(Scope):
    """The scope of a policy: the row that it is about stands there already, and is no source of any select."""

    def sources(self) -> list[sa.FromClause]:
        return []


def _row(table: TableName, catalog: Catalog, alias: str) -> sa.FromClause:
    """The row's columns, as they are named where the condition stands."""
    names = catalog.tables[table].columns
    columns: dict[str, object] = {name: sa.literal_column(f"{quoted(alias)}.{quoted(name)}") for name in names}
    return cast(sa.FromClause, SimpleNamespace(c=columns))


def nullables(catalog: Catalog, tables: dict[str, TableName]) -> frozenset[tuple[str, str]]:
    """The columns of tables that may be null, as (alias, name)."""
    return frozenset(
        (alias, name)
        for alias, table in tables.items()
        for name, column in catalog.tables[table].columns.items()
        if column.nullable
    )


def through_helpers(predicate: Predicate, catalog: Catalog) -> Predicate:
    """The same predicate, its inner selects over helper views, told which of their columns may be null."""
    match predicate:
        case And(items):
            return And(tuple(through_helpers(child, catalog) for child in items))
        case Or(items):
            return Or(tuple(through_helpers(child, catalog) for child in items))
        case Not(child):
            return Not(through_helpers(child, catalog))
        case Exists(select):
            inner = nullables(catalog, {source.alias: source.table for source in select.sources})
            sources = tuple(
                dataclasses.replace(source, table=helper_view(source.table), on=through_helpers(source.on, catalog))
                for source in select.sources
            )
            where = through_helpers(select.where, catalog)
            return Exists(dataclasses.replace(select, sources=sources, where=where, nullable=select.nullable | inner))
        case _:
            return predicate


def looking_through(catalog: Catalog, tables: dict[TableName, frozenset[str]]) -> Catalog:
    """The catalogue with the helper views of tables in it."""
    views = {
        helper_view(table): dataclasses.replace(catalog.tables[table], name=helper_view(table)) for table in tables
    }
    return dataclasses.replace(catalog, tables={**catalog.tables, **views})


def tables_in(predicate: Predicate) -> dict[TableName, frozenset[str]]:
    """The tables that the inner selects of a predicate read, with the columns of them that it names."""
    found: dict[TableName, set[str]] = {}
    for select, around in _selects(predicate, {}):
        here = {**around, **{source.alias: source.table for source in select.sources}}
        for source in select.sources:
            found.setdefault(source.table, set())
        for item in (select.where, *(source.on for source in select.sources)):
            for operand in _every_operand(item):
                if isinstance(operand, Column) and operand.alias in here:
                    found.setdefault(here[operand.alias], set()).add(operand.name)
    return {table: frozenset(columns) for table, columns in found.items()}


def own_columns(predicate: Predicate, table: TableName) -> frozenset[str]:
    """The columns that a predicate names of the row that it is about."""
    parts = [predicate]
    for select, around in _selects(predicate, {}):
        if table.name not in {*around, *(source.alias for source in select.sources)}:
            parts += [select.where, *(source.on for source in select.sources)]
    named = (operand for part in parts for operand in _every_operand(part))
    return frozenset(item.name for item in named if isinstance(item, Column) and item.alias == table.name)


def _selects(predicate: Predicate, around: dict[str, TableName]) -> Iterator[tuple[Select, dict[str, TableName]]]:
    match predicate:
        case And(items) | Or(items):
            for child in items:
                yield from _selects(child, around)
        case Not(child):
            yield from _selects(child, around)
        case Exists(select):
            yield select, around
            here = {**around, **{source.alias: source.table for source in select.sources}}
            for item in (select.where, *(source.on for source in select.sources)):
                yield from _selects(item, here)
        case _:
            return


def _every_operand(predicate: Predicate) -> Iterator[object]:
    match predicate:
        case And(items) | Or(items):
            for child in items:
                yield from _every_operand(child)
        case Not(child):
            yield from _every_operand(child)
        case Exists():
            return
        case _:
            yield from operands(predicate)
