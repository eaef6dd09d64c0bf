"""Predicates over columns in the form that the encoding takes: no outer joins, every column by its alias.

An outer join is a choice: a row that fits, or none and null in all its columns. Written as such, a select has inner
joins only, and means the same (two truth values: reference in ``kernel/predicate``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from forecourt.kernel.predicate import (
    And,
    Column,
    Const,
    Exists,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
    all_of,
    any_of,
    map_operands,
    negate,
    operands,
)
from forecourt.kernel.relation import Select, Source, TableName
from forecourt.store.catalog import Catalog
from forecourt.store.storage import Family, family_of_type

#: A column of a row that an outer join did not find. Never compiled: the encoding knows it.
NULL = Const(None)  # type: ignore[arg-type]

#: Outer joins of one select that are written out; each doubles its size.
MOST = 6


class Unfit(Exception):
    """What the prover does not understand. The question stays unknown; the text says why."""


def deeply(item: Predicate, change: Callable[[Operand], Operand]) -> Predicate:
    """The predicate with every operand changed, those inside of ``Exists`` as well."""
    match item:
        case Exists(select):
            sources = tuple(replace(source, on=deeply(source.on, change)) for source in select.sources)
            return Exists(replace(select, sources=sources, where=deeply(select.where, change)))
        case And(items):
            return And(tuple(deeply(child, change) for child in items))
        case Or(items):
            return Or(tuple(deeply(child, change) for child in items))
        case Not(child):
            return Not(deeply(child, change))
        case _:
            return map_operands(item, change)


def params_as(item: Predicate, values: Callable[[str], Operand | None]) -> Predicate:
    """The predicate with parameters put in; None leaves one as it is."""

    def change(operand: Operand) -> Operand:
        found = values(operand.name) if isinstance(operand, Param) else None
        return operand if found is None else found

    return deeply(item, change)


def tables_of(item: Predicate) -> set[TableName]:
    """Every table that the predicate looks into."""
    match item:
        case Exists(select):
            found = {source.table for source in select.sources} | tables_of(select.where)
            return found.union(*(tables_of(source.on) for source in select.sources))
        case And(items) | Or(items):
            return set().union(*(tables_of(child) for child in items))
        case Not(child):
            return tables_of(child)
        case _:
            return set()


def typed_params(
    item: Predicate, catalog: Catalog, sight: Mapping[str, TableName] = MappingProxyType({})
) -> dict[str, set[Family]]:
    """The parameters of a predicate, each with the families of the columns that it is compared with."""
    found: dict[str, set[Family]] = {}

    def add(more: Mapping[str, set[Family]]) -> None:
        for name, families in more.items():
            found.setdefault(name, set()).update(families)

    match item:
        case Exists(select):
            seen = {**sight, **{source.alias: source.table for source in select.sources}}
            for part in (select.where, *(source.on for source in select.sources)):
                add(typed_params(part, catalog, seen))
        case And(items) | Or(items):
            for child in items:
                add(typed_params(child, catalog, sight))
        case Not(child):
            add(typed_params(child, catalog, sight))
        case _:
            leaves = list(operands(item))
            columns = [catalog.column(sight[o.alias], o.name) for o in leaves if isinstance(o, Column)]
            families = {family_of_type(column.type) for column in columns if column is not None}
            add({operand.name: families for operand in leaves if isinstance(operand, Param)})
    return found


def inner(select: Select, left: int = MOST) -> Predicate:
    """``Exists`` of a select as one over inner joins only. Raises Unfit."""
    if select.limit is not None or select.offset is not None or select.grouped:
        raise Unfit("a condition takes only a part of the related rows")
    place = next((n for n, source in enumerate(select.sources) if source.join == "left"), None)
    if place is None:
        first = select.sources[0]
        rest = (replace(source, join="inner") for source in select.sources[1:])
        return Exists(Select((replace(first, join="root"), *rest), select.where, nullable=select.nullable))
    if not left:
        raise Unfit(f"more than {MOST} outer joins in one condition")
    before, outer, after = select.sources[:place], select.sources[place], select.sources[place + 1 :]
    if any(_declares(part, outer.alias) for part in (select.where, *(source.on for source in after))):
        raise Unfit(f"'{outer.alias}' names two tables")
    found = replace(select, sources=(*before, replace(outer, join="inner"), *after))

    def absent(operand: Operand) -> Operand:
        return NULL if isinstance(operand, Column) and operand.alias == outer.alias else operand

    none = negate(Exists(Select((Source(outer.alias, outer.table),), outer.on)))
    missing = replace(
        select,
        sources=(*before, *(replace(source, on=deeply(source.on, absent)) for source in after)),
        where=all_of(none, deeply(select.where, absent)),
    )
    return any_of(inner(found, left - 1), inner(missing, left - 1))


def _declares(item: Predicate, alias: str) -> bool:
    """Whether a select within the predicate has a source of this name, which would hide the one around it."""
    match item:
        case Exists(select):
            parts = (select.where, *(source.on for source in select.sources))
            return any(source.alias == alias for source in select.sources) or any(_declares(p, alias) for p in parts)
        case And(items) | Or(items):
            return any(_declares(child, alias) for child in items)
        case Not(child):
            return _declares(child, alias)
        case _:
            return False
