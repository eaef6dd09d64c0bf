"""Days over columns that hold moments: the day in UTC, and what it is compared with.

A comparison of the day with a value becomes a range of moments, so that an index on the column serves it::

    day = d     column >= d and column < d + 1          day < d     column < d
    day <= d    column < d + 1                          day > d     column >= d + 1         day >= d    column >= d

A column that holds no time zone holds UTC. The order of days, and what days of two columns have in common, is that of
the casts: an index for it is one on the cast.
"""

from __future__ import annotations

import sqlalchemy as sa

from forecourt.kernel.model import EntityField
from forecourt.kernel.predicate import CompareOp
from forecourt.store.storage import Expression, Family, cast, instant


def day_of(column: Expression, family: Family) -> Expression:
    """The day of a moment."""
    return cast(column if family is Family.LOCAL else instant(column), Family.DATE)


def written(column: str, field: EntityField) -> str:
    """A field's column, given as SQL: the day where the field is one."""
    if not field.day:
        return column
    return f"({column} at time zone 'UTC')::date" if field.storage == "timestamptz" else f"{column}::date"


def within(op: CompareOp, column: Expression, family: Family, day: Expression) -> Expression:
    """The comparison of a moment's day with a day, as one of the moment. ``op`` is not ``ne``."""

    def midnight(value: Expression) -> Expression:
        local = cast(value, Family.LOCAL)
        return local if family is Family.LOCAL else instant(local)

    start, end = midnight(day), midnight(day + sa.literal_column("1"))
    match op:
        case "eq":
            return sa.and_(column >= start, column < end)
        case "lt":
            return column < start
        case "le":
            return column < end
        case "gt":
            return column >= end
        case _:
            return column >= start
