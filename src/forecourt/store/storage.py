"""How values meet columns: families of PostgreSQL types, and what a bound value is cast to beside a column.

The one rule: the bound value is brought to the column, never the column to the value, for a column inside a cast has
lost its index. Integers travel as ``bigint`` whatever the column's width, so that a large literal is compared instead
of overflowing on its way; a decimal beside an integer column stays a decimal, for it may have a fraction (this one
comparison converts the column). Moments travel as ``timestamptz``; a column without time zone holds UTC.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum, auto
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine, UserDefinedType

from forecourt.kernel.types import Kind, Scalar

Expression = sa.ColumnElement[Any]


class Family(Enum):
    """PostgreSQL types that take the same bound values."""

    INTEGER = auto()
    DECIMAL = auto()
    FLOAT = auto()
    TEXT = auto()
    PADDED = auto()
    BOOLEAN = auto()
    DATE = auto()
    LOCAL = auto()  # timestamp without time zone
    INSTANT = auto()  # timestamp with time zone
    UUID = auto()
    OTHER = auto()


NUMBERS = frozenset({Family.INTEGER, Family.DECIMAL, Family.FLOAT})
MOMENTS = frozenset({Family.DATE, Family.LOCAL, Family.INSTANT})
TEXTS = frozenset({Family.TEXT, Family.PADDED})

_BY_TYPE = {
    "int2": Family.INTEGER,
    "int4": Family.INTEGER,
    "int8": Family.INTEGER,
    "numeric": Family.DECIMAL,
    "float4": Family.FLOAT,
    "float8": Family.FLOAT,
    "text": Family.TEXT,
    "varchar": Family.TEXT,
    "bpchar": Family.PADDED,
    "bool": Family.BOOLEAN,
    "date": Family.DATE,
    "timestamp": Family.LOCAL,
    "timestamptz": Family.INSTANT,
    "uuid": Family.UUID,
}

_BY_KIND = {
    Kind.STRING: Family.TEXT,
    Kind.INT32: Family.INTEGER,
    Kind.INT64: Family.INTEGER,
    Kind.DECIMAL: Family.DECIMAL,
    Kind.DOUBLE: Family.FLOAT,
    Kind.BOOLEAN: Family.BOOLEAN,
    Kind.DATE: Family.DATE,
    Kind.DATETIME: Family.INSTANT,
    Kind.GUID: Family.UUID,
}

_UTC: Expression = sa.literal_column("'UTC'")


class _Padded(UserDefinedType[str]):
    """``char(n)`` of any length."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "bpchar"


_SQL: dict[Family, TypeEngine[Any]] = {
    Family.INTEGER: sa.BigInteger(),
    Family.DECIMAL: sa.Numeric(),
    Family.FLOAT: sa.Double(),
    Family.TEXT: sa.Text(),
    Family.PADDED: _Padded(),
    Family.BOOLEAN: sa.Boolean(),
    Family.DATE: sa.Date(),
    Family.LOCAL: sa.TIMESTAMP(timezone=False),
    Family.INSTANT: sa.TIMESTAMP(timezone=True),
    Family.UUID: sa.Uuid(),
}


def family_of_type(name: str) -> Family:
    """The family of a base type, by PostgreSQL's name of it."""
    return _BY_TYPE.get(name, Family.OTHER)


def family_of_kind(kind: Kind) -> Family | None:
    """The family that literals of the kind are bound as; None for an enum, which looks like its column."""
    return _BY_KIND.get(kind)


def family_of_value(value: Scalar) -> Family:
    """The family of a Python value."""
    match value:
        case bool():
            return Family.BOOLEAN
        case int():
            return Family.INTEGER
        case Decimal():
            return Family.DECIMAL
        case float():
            return Family.FLOAT
        case dt.datetime():
            return Family.INSTANT
        case dt.date():
            return Family.DATE
        case UUID():
            return Family.UUID
        case _:
            return Family.TEXT


def cast(expression: Expression, family: Family) -> Expression:
    return sa.cast(expression, _SQL[family])


def bounded(expression: Expression) -> Expression:
    """A number as a decimal of less than 51 digits before the point and 30 behind it; others are refused."""
    return sa.cast(expression, sa.Numeric(80, 30))


def instant(expression: Expression) -> Expression:
    """A moment without time zone as the moment in UTC that it stands for, and the other way round."""
    return sa.func.timezone(_UTC, expression)


def bound(value: Expression, own: Family | None, beside: Family | None) -> Expression:
    """A bind parameter, typed as ``own`` (None: whatever the other side is) for comparison with ``beside``."""
    if beside is Family.OTHER:
        return value  # PostgreSQL takes its type from the column
    if own is None:
        own = Family.TEXT if beside is None else Family.INSTANT if beside is Family.LOCAL else beside
    typed = cast(value, own)
    if beside is None or own is beside:
        return typed
    if own in NUMBERS and beside in NUMBERS:
        return cast(typed, Family.DECIMAL) if own is Family.FLOAT else typed
    if own in MOMENTS and beside in MOMENTS:
        return instant(typed) if own is Family.INSTANT and beside is Family.LOCAL else typed
    return cast(typed, beside)


def bound_list(value: Expression, beside: Family | None) -> Expression:
    """A bind parameter that holds a list of values for comparison with ``beside``."""
    if beside is Family.OTHER:
        return value
    if beside is Family.LOCAL:
        return sa.cast(sa.cast(value, sa.ARRAY(_SQL[Family.INSTANT])), sa.ARRAY(_SQL[Family.LOCAL]))
    return sa.cast(value, sa.ARRAY(_SQL[beside or Family.TEXT]))


def shown(column: Expression, family: Family, kind: Kind | None) -> Expression:
    """A column as an output of the kind: moments in UTC, types without a kind of their own as text."""
    match family, kind:
        case ((Family.LOCAL | Family.INSTANT), Kind.DATE):
            return cast(column if family is Family.LOCAL else instant(column), Family.DATE)
        case Family.LOCAL, _:
            return instant(column)
        case Family.DATE, Kind.DATETIME:
            return instant(cast(column, Family.LOCAL))
        case Family.INTEGER, Kind.BOOLEAN:
            return column != sa.literal_column("0")
        case Family.OTHER, _:
            return cast(column, Family.TEXT)
        case _, Kind.STRING if family not in TEXTS:
            return cast(column, Family.TEXT)
        case _:
            return column
