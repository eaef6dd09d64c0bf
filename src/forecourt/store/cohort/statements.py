"""Statements about a cohort: for each person a count and the least key of the rows asked about.

The pairs of people and rows never leave the database, which sorts or hashes them within its ``work_mem`` and on disk
beyond that. Each part of a key is given as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.sql import quoted_name

from forecourt.kernel.predicate import Param
from forecourt.kernel.relation import Select
from forecourt.store.catalog import Catalog
from forecourt.store.cohort.attributes import COHORT, NUMBER, PERSON
from forecourt.store.compile import Statement
from forecourt.store.scopes import Scope
from forecourt.store.statements import ReadStatement
from forecourt.store.storage import Family, cast

#: Bound at run time: the numbers of the people that a statement is about.
NUMBERS = "cohort.numbers"


def compile_pairs(branches: Sequence[Select], catalog: Catalog) -> ReadStatement:
    """For each person with a row in any of the branches: its number, how many rows, the least key.

    A branch has the person's number and then the key as its outputs. A pair counts once, however often it is found.
    """
    statement = Statement(catalog)
    queries = [_pairs(statement, branch) for branch in branches]
    rows: Any = queries[0].distinct() if len(queries) == 1 else sa.union(*queries)
    pairs: Any = rows.subquery("pairs")
    columns: list[Any] = list(pairs.c)
    query: Any = sa.select(columns[0], sa.func.count(), _least(columns[1:])).group_by(columns[0])
    return statement.finish(query, (NUMBER, "rows", "key"), "list")


def compile_rowset(select: Select, catalog: Catalog) -> ReadStatement:
    """The pairs themselves, each once, every output as text."""
    statement = Statement(catalog)
    return statement.finish(statement.as_text(select).distinct(), [output.name for output in select.outputs], "list")


def compile_rows(select: Select, catalog: Catalog) -> ReadStatement:
    """One row: how many rows there are, and the least key."""
    statement = Statement(catalog)
    scope, source = statement.sources(select, None)
    key = [statement.output(output, scope) for output in select.outputs]
    query: Any = sa.select(sa.func.count(), _least(key)).select_from(source)
    query = query.where(statement.expressions.predicate(select.where, scope))
    return statement.finish(query, ("rows", "key"), "list")


def compile_each(select: Select, catalog: Catalog, first: bool) -> ReadStatement:
    """For each person of a list of numbers: with ``first`` the key of any one row, else count and least key.

    ``select`` is correlated: the cohort is not among its sources.
    """
    statement = Statement(catalog)
    person = statement.table(COHORT).alias(quoted_name(PERSON, True))
    outer = Scope({PERSON: (COHORT, person)}, frozenset((PERSON, name) for name in catalog.tables[COHORT].columns))
    scope, source = statement.sources(select, outer)
    key = [statement.output(output, scope) for output in select.outputs]
    where = statement.expressions.predicate(select.where, scope)
    if first:
        inner: Any = sa.select(sa.literal_column("1").label("rows"), _array(key).label("key"))
        inner = inner.select_from(source).where(where).limit(sa.literal_column("1"))
    else:
        inner = sa.select(sa.func.count().label("rows"), _least(key).label("key")).select_from(source).where(where)
    found = inner.correlate(person).lateral("found")
    numbers = statement.expressions.carried(Param(NUMBERS), Family.INTEGER)
    query: Any = sa.select(person.c[NUMBER], found.c.rows, found.c.key).select_from(person.join(found, sa.true()))
    query = query.where(person.c[NUMBER] == sa.any_(numbers))
    return statement.finish(query, (NUMBER, "rows", "key"), "list")


def _pairs(statement: Statement, branch: Select) -> Any:
    scope, source = statement.sources(branch, None)
    columns = [statement.output(output, scope).label(f"c{place}") for place, output in enumerate(branch.outputs)]
    query: Any = sa.select(*columns).select_from(source)
    return query.where(statement.expressions.predicate(branch.where, scope))


def _array(key: Sequence[Any]) -> Any:
    return array([cast(part, Family.TEXT) for part in key])


def _least(key: Sequence[Any]) -> Any:
    return sa.func.min(_array(key))
