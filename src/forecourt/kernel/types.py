"""Scalar types of fields and literals.

Decides what kinds of value exist, which of them may be compared, and how a Python value of each looks. The kinds
are those that data entities expose (reference: operations-and-integration 2.7 and 5.2); what a database stores
under them is the store's affair, how a protocol writes them is the protocol's.

Python values by kind::

    string guid->uuid.UUID  int32/int64 -> int  decimal -> Decimal  double -> float  boolean -> bool
    date -> datetime.date   datetime -> aware datetime.datetime (UTC)   enum -> the stored value (int or str)
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

Scalar = str | int | Decimal | float | bool | dt.date | dt.datetime | UUID


class Kind(StrEnum):
    """The kind of a field or literal."""

    STRING = "string"
    INT32 = "int32"
    INT64 = "int64"
    DECIMAL = "decimal"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    GUID = "guid"
    ENUM = "enum"


INTEGERS = frozenset({Kind.INT32, Kind.INT64})
NUMBERS = frozenset({Kind.INT32, Kind.INT64, Kind.DECIMAL, Kind.DOUBLE})
MOMENTS = frozenset({Kind.DATE, Kind.DATETIME})

#: Finance and operations stores "no date" as this day; virtual tables show it as null (reference 2.7).
EMPTY_DATE = dt.date(1900, 1, 1)


def comparable(left: Kind, right: Kind) -> bool:
    """Whether values of the two kinds may stand on the two sides of a comparison."""
    return left == right or {left, right} <= NUMBERS or {left, right} <= MOMENTS


def is_empty_date(value: object) -> bool:
    """Whether ``value`` is the sentinel 1900-01-01, as a date or at any hour of that day."""
    if isinstance(value, dt.datetime):
        return value.date() == EMPTY_DATE
    return value == EMPTY_DATE
