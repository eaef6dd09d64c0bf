"""Aggregates and parts of dates as SQL expressions.

Nothing that a row holds can make one fail: sums and averages are those of ``numeric``, which has no overflow, of which
a ``double`` becomes the decimal of its 15 digits. Sessions run in UTC, so that a part of a moment is one of UTC.
"""

from __future__ import annotations

import functools

import sqlalchemy as sa

from forecourt.kernel.predicate import Operand
from forecourt.kernel.relation import Aggregate, Computed, DatePart, Plain, Rank
from forecourt.store.expressions import Expressions
from forecourt.store.scopes import Scope
from forecourt.store.storage import Expression, Family, cast


def _joined(one: Expression, other: Expression) -> Expression:
    return one.op("||")(other)


_NO_WORDS: Expression = sa.literal_column("''::tsvector")


class Computations:
    """Renders for one statement."""

    def __init__(self, expressions: Expressions) -> None:
        self._expressions = expressions

    def column(self, operand: Operand | Computed, scope: Scope) -> tuple[Expression, Family | None]:
        """The expression, as the database has it, and its family."""
        match operand:
            case Plain(inner, empty):
                column, family = self.column(inner, scope)
                return sa.func.nullif(column, self._expressions.operand(empty, scope, family)), family
            case DatePart(unit, inner):
                column, _ = self.column(inner, scope)
                return (_week(column) if unit == "week" else _part(unit, column)), Family.INTEGER
            case Aggregate():
                return self._aggregate(operand, scope)
            case Rank(columns, query):
                words: list[Expression] = [
                    sa.func.coalesce(self._expressions.words(one, scope), _NO_WORDS) for one in columns
                ]
                words[0] = sa.func.setweight(words[0], sa.literal_column("'A'"))
                every = functools.reduce(_joined, words)
                rank = sa.func.ts_rank(every, self._expressions.asked(query, scope))
                return cast(rank, Family.FLOAT), Family.FLOAT
            case _:
                return self._expressions.operand(operand, scope), self._expressions.family(operand, scope)

    def _aggregate(self, item: Aggregate, scope: Scope) -> tuple[Expression, Family | None]:
        if item.operand is None:
            return sa.func.count(), Family.INTEGER
        column, family = self.column(item.operand, scope)
        match item.function:
            case "count" | "countcolumn":
                return sa.func.count(column), Family.INTEGER
            case "countdistinct":
                return sa.func.count(sa.distinct(column)), Family.INTEGER
            case "min":
                return sa.func.min(column), family
            case "max":
                return sa.func.max(column), family
        value = cast(column, Family.DECIMAL) if family is Family.FLOAT else column
        if item.function == "avg":
            return sa.func.avg(value), Family.DECIMAL
        return cast(sa.func.sum(value), Family.DECIMAL), Family.DECIMAL


def _part(unit: str, column: Expression) -> Expression:
    return cast(sa.func.date_part(sa.literal_column(f"'{unit}'"), column), Family.INTEGER)


def _week(column: Expression) -> Expression:
    """The first week is the one with January 1st; weeks begin on Sunday."""
    first = _part("dow", sa.func.date_trunc(sa.literal_column("'year'"), column))
    one: Expression = sa.literal_column("1")
    seven: Expression = sa.literal_column("7")
    return (_part("doy", column) - one + first).op("/", precedence=8)(seven) + one
