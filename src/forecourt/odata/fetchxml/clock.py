"""Moments relative to now, as conditions of FetchXML name them: the edges of spans of time.

::

    today           from the start of today, to before the start of tomorrow
    last-x-days     from the start of the day x days ago, to now
    next-x-months   from now, to before the start of the day after the one x months ahead
    last-month      from the first of last month, to before the first of this one

Days, weeks (they begin on Sunday), months and years are those of UTC. Source: pages-and-dataverse B1.8.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["minutes", "hours", "days", "weeks", "months", "years"]
Floor = Literal["", "day", "week", "month", "year"]

#: How a parameter of a rule is called whose value is a moment.
PREFIX = "clock."

_EARLIEST, _LATEST = dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Edge:
    """Now, moved by ``times`` × the condition's number, then to the start of ``floor``, then moved by ``plus``."""

    unit: Unit = "days"
    times: int = 0
    floor: Floor = ""
    plus: int = 0
    plus_unit: Unit = "days"

    def at(self, now: dt.datetime, number: int = 0) -> dt.datetime:
        """The moment. ``now``: aware, in UTC. What lies beyond the calendar is its end."""
        moved = shifted(now, self.unit, self.times * number)
        return shifted(floored(moved, self.floor), self.plus_unit, self.plus)

    def name(self, number: int, day: bool) -> str:
        """The name of a parameter that :func:`moment_named` understands. ``day``: a date is wanted."""
        kind = "date" if day else "time"
        moved = f"{self.unit}{self.times * number:+d}"
        return f"{PREFIX}{kind}.{moved}.{self.floor or 'now'}.{self.plus_unit}{self.plus:+d}"


_NAME = re.compile(
    re.escape(PREFIX) + r"(date|time)\.([a-z]+)([+-]\d{1,9})\.(now|day|week|month|year)\.([a-z]+)([+-]\d{1,9})"
)


def moment_named(name: str, now: dt.datetime) -> dt.datetime | dt.date | None:
    """The value of a parameter of that name, None for one that is no moment.

    >>> moment_named("clock.date.days-1.day.days+0", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC))
    datetime.date(2026, 2, 28)
    """
    found = _NAME.fullmatch(name)
    if found is None or not {found[2], found[5]} <= set(_DAYS) | {"months", "years"}:
        return None
    floor: Floor = "" if found[4] == "now" else found[4]  # type: ignore[assignment]
    unit, plus_unit = found[2], found[5]
    edge = Edge(unit, 1, floor, int(found[6]), plus_unit)  # type: ignore[arg-type]
    value = edge.at(now, int(found[3]))
    return value.date() if found[1] == "date" else value


def next_change(name: str, now: dt.datetime) -> dt.datetime:
    """When the value of a parameter of that name may next be another: ``now`` itself, or the next day's start.

    >>> next_change("clock.date.days-1.day.days+0", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)).isoformat()
    '2026-03-02T00:00:00+00:00'
    """
    found = _NAME.fullmatch(name)
    steady = found is not None and found[4] != "now" and found[2] not in ("minutes", "hours")
    return floored(now, "day") + dt.timedelta(days=1) if steady else now


_DAYS = {"minutes": 1 / 1440, "hours": 1 / 24, "days": 1, "weeks": 7}


def shifted(moment: dt.datetime, unit: Unit, amount: int) -> dt.datetime:
    """``moment`` moved; the last of a month stays within its month."""
    if not amount:
        return moment
    try:
        if unit in ("months", "years"):
            months = moment.year * 12 + moment.month - 1 + amount * (12 if unit == "years" else 1)
            year, month = divmod(months, 12)
            day = min(moment.day, calendar.monthrange(year, month + 1)[1])
            return moment.replace(year=year, month=month + 1, day=day)
        return moment + dt.timedelta(**{unit: amount})
    except (ValueError, OverflowError, calendar.IllegalMonthError):
        return _LATEST if amount > 0 else _EARLIEST


def floored(moment: dt.datetime, floor: Floor) -> dt.datetime:
    """The start of the day, week, month or year that ``moment`` is in."""
    if not floor:
        return moment
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match floor:
        case "week":
            return shifted(day, "days", -((day.weekday() + 1) % 7))
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day
