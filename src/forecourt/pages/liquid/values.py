"""Values as a text has them: names without regard to case, choices, references, days and moments.

Names also match without their underscores, as the original's do (``more_records``, ``MoreRecords``). Put out, a choice
is its label, a reference its row's name, a day ``3/1/2026``, a moment ``3/1/2026 10:30 AM`` in UTC.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from forecourt.kernel.model import EntityField, Enum


def plain(name: object) -> str:
    """A name as names are compared."""
    return str(name).lower().replace("_", "")


class Lookup(Mapping[str, object]):
    """A mapping whose names match in any case, with or without underscores. ``shown``: what it is when put out."""

    def __init__(self, values: Mapping[str, object], shown: str = "") -> None:
        self._values = {name.lower(): value for name, value in values.items()}
        self._loose = {plain(name): name.lower() for name in values}
        self._names = tuple(values)
        self._shown = shown

    def __getitem__(self, name: str) -> object:
        key = str(name).lower()
        return self._values[key if key in self._values else self._loose[plain(name)]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __str__(self) -> str:
        return self._shown


class Choice(Lookup):
    """A choice: ``value`` and ``label``; equal to its number and to its label."""

    def __init__(self, value: int, label: str) -> None:
        super().__init__({"value": value, "label": label}, label)
        self._value, self._label = value, label

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Choice):
            return self._value == other._value
        return other in (self._value, self._label)

    def __hash__(self) -> int:
        return hash(self._value)

    def __lt__(self, other: object) -> bool:
        return self._value < (other._value if isinstance(other, Choice) else int(str(other)))


class Day(dt.date):
    """A day that is put out as ``3/1/2026``."""

    def __str__(self) -> str:
        return f"{self.month}/{self.day}/{self.year}"


class Moment(dt.datetime):
    """A moment that is put out as ``3/1/2026 10:30 AM``."""

    def __str__(self) -> str:
        half = "AM" if self.hour < 12 else "PM"
        return f"{self.month}/{self.day}/{self.year} {self.hour % 12 or 12}:{self.minute:02} {half}"


def day(value: dt.date) -> Day:
    return Day(value.year, value.month, value.day)


def moment(value: dt.datetime) -> Moment:
    """In UTC."""
    found = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    return Moment.combine(found.date(), found.time(), dt.UTC)


def shown(
    field: EntityField | None, value: object, enums: Mapping[str, Enum], spoken: Callable[[str], str], label: str = ""
) -> object:
    """A row's value for a text: as Dataverse shows it, choices with their labels as ``spoken``. Not for lookups."""
    if value is None:
        return None
    if field is not None and field.enum is not None and isinstance(value, int):
        member = enums[field.enum].by_choice.get(value) if field.enum in enums else None
        return Choice(value, spoken(member.label or member.symbol) if member else label or str(value))
    if field is not None and field.several and field.enum is not None and field.enum in enums:
        return [Choice(int(number), spoken(text)) for number, text in enums[field.enum].chosen(str(value))]
    if isinstance(value, dt.datetime):
        return moment(value)
    if isinstance(value, dt.date):
        return day(value)
    if isinstance(value, Decimal | float | int | bool | str):
        return value
    return str(value)
