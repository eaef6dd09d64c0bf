"""Values as one reads them in an explanation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

#: Values of an umbrella that are listed; more are counted.
SHOWN = 5


def shown(value: object) -> str:
    """A value as one reads it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str() | UUID() | dt.datetime() | dt.date():
            return f"'{value}'"
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


def shown_tuple(values: Sequence[object]) -> str:
    """Values that belong together; one by itself."""
    return shown(values[0]) if len(values) == 1 else "(" + ", ".join(shown(value) for value in values) + ")"


def some(values: Sequence[str]) -> str:
    """The first of many, and how many more."""
    more = len(values) - SHOWN
    listed = ", ".join(values[:SHOWN]) or "nothing"
    return listed if more <= 0 else f"{listed} and {'more' if more >= SHOWN else f'{more} more'}"
