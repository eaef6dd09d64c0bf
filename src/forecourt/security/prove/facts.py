"""What a database guarantees of all its rows, as the formulas of one universe: that rows of one key are one row.

A fact has a name, so that a proof can say which it used. Only keys whose equality is what the terms say count; a
column that holds different texts for equal is none. Leaves out the rows that foreign keys promise, for they make rows
(``encode``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import z3

from forecourt.kernel.relation import TableName
from forecourt.security.prove.terms import Value, line
from forecourt.store.catalog import Table
from forecourt.store.storage import family_of_type


@dataclass(frozen=True)
class Row:
    """A row of the universe. ``there``: it is a row of the database. ``depth``: by how many others it exists."""

    number: int
    table: TableName
    there: z3.BoolRef
    depth: int


@dataclass(frozen=True)
class Fact:
    """What the database guarantees of all rows."""

    name: str
    formula: z3.BoolRef


#: A column of a row.
Read = Callable[[Row, str], Value]


def keys(table: Table | None, rows: Sequence[Row], named: set[str], read: Read) -> Iterator[Fact]:
    """Rows of one key are one row. ``rows``: those of the table; ``named``: its columns that some condition names."""
    if table is None or not table.kept:
        return
    for key in (table.primary, *table.unique):
        if not key or not named.issuperset(key) or not _exact(table, key):
            continue
        name = f"{table.name} has one row for each {', '.join(key)}"
        for first, second in itertools.combinations(rows, 2):
            equal = [first.there, second.there, *_equal(first, second, key, True, read)]
            same = list(_equal(first, second, sorted(named), False, read))
            yield Fact(name, z3.Implies(z3.And(equal), z3.And(same)))


def _exact(table: Table, columns: tuple[str, ...]) -> bool:
    """Whether equality in these columns is what the terms say, so that the database's key is the solver's."""
    return all(
        (column := table.columns.get(name)) is not None
        and not column.folds
        and line(family_of_type(column.type)) is not None
        for name in columns
    )


def _equal(first: Row, second: Row, columns: Iterable[str], known: bool, read: Read) -> Iterator[z3.BoolRef]:
    """The conditions that two rows agree in columns; ``known``: in values, not in null."""
    for name in columns:
        a, b = read(first, name), read(second, name)
        if known:
            yield z3.And(z3.Not(a.null), z3.Not(b.null))
        else:
            yield a.null == b.null
        if a.term is not None and b.term is not None:
            yield z3.Or(a.null, a.term == b.term)
