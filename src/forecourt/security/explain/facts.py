"""Predicates over rows as they might be: a column of the row with another value, a further row in a table.

Both are rewritings of the predicate, so that one algebra evaluates what is and what would be. A column of the row
becomes a constant. With a further row ``r`` in table T, ``EXISTS (… T t …)`` becomes itself or the same with ``t``
taken to be ``r``. Values travel as parameters, that null has a meaning and that a statement serves many values.

Leaves out: outer joins inside of EXISTS, where a further row could also hide a null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

from forecourt.kernel.predicate import (
    TRUE,
    And,
    Column,
    Exists,
    InParam,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
    all_of,
    any_of,
    map_operands,
    negate,
)
from forecourt.kernel.relation import Select, TableName

#: A column that nobody has given a value.
NULL = Param("explain.null")


@dataclass(frozen=True)
class RowValue:
    """The row's column is this value."""

    column: Column
    value: object


@dataclass(frozen=True)
class FurtherRow:
    """The table holds one more row; columns that are not among ``values`` are null."""

    table: TableName
    values: tuple[tuple[str, object], ...]


Fact = RowValue | FurtherRow


def supposed(item: Predicate, facts: tuple[Fact, ...]) -> tuple[Predicate, Mapping[str, object]]:
    """The predicate as it would be with the facts, and the values of the parameters it then has."""
    numbers = count()
    values: dict[str, object] = {NULL.name: None}

    def bind(value: object) -> Param:
        found = Param(f"explain.{next(numbers)}")
        values[found.name] = value
        return found

    columns = {fact.column: bind(fact.value) for fact in facts if isinstance(fact, RowValue)}
    item = deep(item, lambda operand: columns.get(operand, operand) if isinstance(operand, Column) else operand)
    for fact in facts:
        if isinstance(fact, FurtherRow):
            row = {name: bind(value) for name, value in fact.values}
            item = deep(item, lambda operand: operand, lambda select, f=fact, r=row: _with(select, f.table, r))  # type: ignore[misc]
    return item, values


def deep(
    item: Predicate,
    change: Callable[[Operand], Operand],
    exists: Callable[[Select], Predicate] = Exists,
) -> Predicate:
    """The predicate with every operand changed, those within EXISTS too, and every EXISTS made anew by ``exists``."""
    match item:
        case And(items):
            return all_of(*(deep(child, change, exists) for child in items))
        case Or(items):
            return any_of(*(deep(child, change, exists) for child in items))
        case Not(child):
            return negate(deep(child, change, exists))
        case Exists(select):
            sources = tuple(replace(s, on=deep(s.on, change, exists)) for s in select.sources)
            return exists(replace(select, sources=sources, where=deep(select.where, change, exists)))
        case _:
            return map_operands(item, change)


def _with(select: Select, table: TableName, row: Mapping[str, Param]) -> Predicate:
    options: list[Predicate] = [Exists(select)]
    for source in select.sources:
        if source.table == table and source.join != "left":
            fixed = without(select, source.alias, lambda column: row.get(column.name, NULL))
            options.append(fixed)
    return any_of(*options)


def without(select: Select, alias: str, value: Callable[[Column], Operand]) -> Predicate:
    """The select with one source taken away, its columns replaced, as a condition."""

    def change(operand: Operand) -> Operand:
        return value(operand) if isinstance(operand, Column) and operand.alias == alias else operand

    where = all_of(select.where, *(s.on for s in select.sources if s.alias == alias))
    rest = [s for s in select.sources if s.alias != alias]
    if not rest:
        return deep(where, change)
    first, *others = rest
    # Conditions of the new first source move to WHERE: nothing before it can be joined any more.
    where = deep(all_of(where, first.on), change)
    sources = (
        replace(first, join="root", on=TRUE),
        *(replace(s, on=deep(s.on, change)) for s in others),
    )
    nullable = frozenset(pair for pair in select.nullable if pair[0] != alias)
    return Exists(replace(select, sources=sources, where=where, nullable=nullable))


def conjuncts(item: Predicate) -> Iterator[Predicate]:
    """The conditions that must all hold."""
    if isinstance(item, And):
        for child in item.items:
            yield from conjuncts(child)
    elif item != TRUE:
        yield item


def columns_in(item: Predicate) -> list[Column]:
    """The columns that a condition names, in order, those of EXISTS too."""
    found: dict[Column, None] = {}

    def note(operand: Operand) -> Operand:
        if isinstance(operand, Column):
            found[operand] = None
        return operand

    deep(item, note)
    return list(found)


def params_in(item: Predicate) -> list[str]:
    """The names of the person's values that a condition looks at."""
    found: dict[str, None] = {}

    def note(operand: Operand) -> Operand:
        if isinstance(operand, Param):
            found[operand.name] = None
        return operand

    deep(item, note)

    def lists(part: Predicate) -> None:
        match part:
            case InParam(_, name):
                found[name] = None
            case And(items) | Or(items):
                for child in items:
                    lists(child)
            case Not(child):
                lists(child)
            case Exists(select):
                lists(all_of(select.where, *(s.on for s in select.sources)))

    lists(item)
    return list(found)
