"""Relational form of a secured plan: sources, joins, outputs, order. What the store compiles and nothing else.

A :class:`Select` names physical tables. Its predicates hold only Columns, Slots, Consts and Params (no entity paths).

Selects compose: a source may be the rows of another select, whose outputs are its columns. So what is linked, grouped
or made distinct comes with its own conditions, and what stands around it filters, sorts and pages plain columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from forecourt.kernel.predicate import (
    TRUE,
    And,
    Column,
    Const,
    Exists,
    Not,
    Operand,
    Or,
    Predicate,
    all_of,
    any_of,
    map_operands,
    negate,
    operands,
)
from forecourt.kernel.types import Kind


@dataclass(frozen=True, slots=True)
class TableName:
    """A table of a database; ``schema`` is never empty."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Source:
    """One table of a select. The first source has ``join='root'`` and ``on=TRUE``.

    ``rows``: a select whose rows stand in place of the table's; ``table`` is then the one of its first source.
    """

    alias: str
    table: TableName
    join: Literal["root", "inner", "left"] = "root"
    on: Predicate = TRUE
    rows: Select | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """The one output of the one row that a select finds, null where it finds none. Its predicates may speak of the
    sources around it."""

    select: Select


AggregateFunction = Literal["count", "countcolumn", "countdistinct", "sum", "avg", "min", "max"]
DateUnit = Literal["day", "week", "month", "quarter", "year"]


@dataclass(frozen=True, slots=True)
class Plain:
    """The operand, null where it equals ``empty``, which some columns hold for no value."""

    operand: Operand
    empty: Const


@dataclass(frozen=True, slots=True)
class DatePart:
    """A part of a date or moment (in UTC) as a number: the day of the month, the week of the year (weeks begin on
    Sunday, the first is the one with January 1st), the month, the quarter, the year."""

    unit: DateUnit
    operand: Operand | Plain


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A value of all rows of a group: ``count`` of the rows (``operand`` None), of values that are not null
    (``countcolumn``), of distinct ones; sum, average, least and greatest of values, null where there is none."""

    function: AggregateFunction
    operand: Operand | Plain | None = None


@dataclass(frozen=True, slots=True)
class Rank:
    """How well texts fit what a text search query asks for (PostgreSQL 12.3.3): the columns together,
    the first of which counts most. Never null."""

    columns: tuple[Column, ...]
    query: Operand


Computed = Plain | DatePart | Aggregate | Rank


@dataclass(frozen=True, slots=True)
class Holds:
    """Whether a predicate is true of the row. For explain, which takes rules apart."""

    where: Predicate


@dataclass(frozen=True, slots=True)
class Digest:
    """A number made of what columns hold: equal as long as they are. It tells no more than the columns themselves."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """One column of the answer. ``kind`` None marks a bookkeeping column (row version, keyset value).

    What is Computed is an output of a select that is the source of another.
    """

    name: str
    operand: Operand | Looked | Computed | Holds | Digest
    kind: Kind | None


@dataclass(frozen=True, slots=True)
class Given:
    """Rows that are bound when the select runs, in front of its sources: the asking identities, many at once.

    ``columns``: their names. The values of column ``x`` are the list parameter ``<alias>.x``, as text or null; beside a
    column of a table they are read as that column's type.
    """

    alias: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key. Null sorts lowest: first ascending, last descending."""

    operand: Operand
    descending: bool = False
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Select:
    """A query over tables. ``limit``/``offset`` are Slots, Consts or None. ``count``: one row, one number. ``given``:
    rows that are crossed with those of the sources.

    ``nullable`` holds the columns that may be null though their table does not say so, as (alias, name).
    ``grouped``: rows that are equal in the outputs that are no aggregates become one; where all are aggregates, all
    rows do, also none. ``distinct``: of rows that are equal in all outputs one is kept.
    """

    sources: tuple[Source, ...]
    where: Predicate = TRUE
    outputs: tuple[Output, ...] = ()
    order: tuple[Sort, ...] = ()
    limit: Operand | None = None
    offset: Operand | None = None
    count: bool = False
    nullable: frozenset[tuple[str, str]] = frozenset()
    grouped: bool = False
    distinct: bool = False
    given: Given | None = None


#: The pseudo column that carries a row's version (PostgreSQL: ``xmin``); equality only.
ROW_VERSION = "@version"


def aliases_of(item: Predicate) -> set[str]:
    """Every alias that a predicate over columns mentions, those inside of ``Exists`` included."""
    found = {operand.alias for operand in operands(item) if isinstance(operand, Column)}
    for inner in _selects(item):
        found |= aliases_of(inner.where)
        for source in inner.sources:
            found |= aliases_of(source.on)
    return found


def columns_of(item: Predicate) -> frozenset[tuple[str, str]]:
    """Every column that a predicate names itself, as (alias, name); those inside of ``Exists`` left out."""
    return frozenset((found.alias, found.name) for found in operands(item) if isinstance(found, Column))


def renamed(item: Predicate, names: Mapping[str, str], fresh: Callable[[str], str]) -> Predicate:
    """The predicate with other aliases, inside of ``Exists`` too; the sources there get aliases that are ``fresh``."""

    def other(operand: Operand) -> Operand:
        if not isinstance(operand, Column):
            return operand
        return replace(operand, alias=names.get(operand.alias, operand.alias))

    match item:
        case And(items):
            return all_of(*(renamed(child, names, fresh) for child in items))
        case Or(items):
            return any_of(*(renamed(child, names, fresh) for child in items))
        case Not(child):
            return negate(renamed(child, names, fresh))
        case Exists(select):
            inner = {**names, **{source.alias: fresh(source.alias) for source in select.sources}}
            return Exists(
                Select(
                    tuple(Source(inner[s.alias], s.table, s.join, renamed(s.on, inner, fresh)) for s in select.sources),
                    renamed(select.where, inner, fresh),
                    nullable=frozenset((inner.get(alias, alias), name) for alias, name in select.nullable),
                )
            )
        case _:
            return map_operands(item, other)


def _selects(item: Predicate) -> Iterator[Select]:
    match item:
        case Exists(select):
            yield select
        case And(items) | Or(items):
            for child in items:
                yield from _selects(child)
        case Not(child):
            yield from _selects(child)
        case _:
            return
