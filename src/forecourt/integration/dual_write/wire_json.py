"""Wire values as values of JSON, and integration keys back from there: of errors that are kept, of change sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from forecourt.kernel.errors import Refusal
from forecourt.kernel.sync import Leg, LegColumn, WireRow
from forecourt.kernel.types import Kind


def shown(value: object) -> Any:
    """A wire value as a value of JSON."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return str(value)


def typed(value: Any, column: LegColumn) -> object:
    """A value of JSON as the wire value of a column. Raises Refusal FC1003 for one that is none."""
    if value is None or isinstance(value, bool):
        return value
    try:
        match column.kind:
            case Kind.INT32 | Kind.INT64:
                return int(value)
            case Kind.DECIMAL:
                return Decimal(str(value))
            case Kind.DOUBLE:
                return float(value)
            case Kind.ENUM if str(value).lstrip("-").isdigit():
                return int(value)
            case Kind.DATE:
                return dt.date.fromisoformat(value)
            case Kind.DATETIME:
                return dt.datetime.fromisoformat(value)
            case Kind.GUID:
                return UUID(str(value))
            case _:
                return value if isinstance(value, str) else str(value)
    except (ValueError, TypeError, ArithmeticError):
        text = f"'{value}' is no value of {column.target}."
        raise Refusal("FC1003", text, source=column.target) from None


def key_from(leg: Leg, values: Sequence[Any]) -> WireRow:
    """An integration key of a leg from values of JSON. Raises Refusal FC1003."""
    return tuple(typed(value, column) for value, column in zip(values, leg.key, strict=True))
