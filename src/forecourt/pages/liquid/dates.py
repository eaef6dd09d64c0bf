"""Filters of days and moments. Formats are .NET's, or with ``%`` those of plain Liquid; names are English, zone UTC.

::

    'd' 3/1/2026   'D' Sunday, March 1, 2026   'g' 3/1/2026 10:30 AM   'f' Sunday, March 1, 2026 10:30 AM
    't' 10:30 AM   'T' 10:30:00 AM   'M' March 1   'Y' March 2026   's' 2026-03-01T10:30:00   'u' 2026-03-01 10:30:00Z
    'yyyy-MM-dd HH:mm', 'ddd, MMM d', "'on' dd/MM/yy", 'h:mm tt', 'zzz'

Source: pages-and-dataverse A4.2; custom and standard formats as .NET defines them.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Callable, Mapping
from email.utils import format_datetime
from typing import Any

from liquid.exceptions import FilterArgumentError
from liquid.undefined import Undefined

from forecourt.pages.liquid.values import Day, Moment, day, moment

_STANDARD = {
    "d": "M/d/yyyy",
    "D": "dddd, MMMM d, yyyy",
    "f": "dddd, MMMM d, yyyy h:mm tt",
    "F": "dddd, MMMM d, yyyy h:mm:ss tt",
    "g": "M/d/yyyy h:mm tt",
    "G": "M/d/yyyy h:mm:ss tt",
    "m": "MMMM d",
    "M": "MMMM d",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "O": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "t": "h:mm tt",
    "T": "h:mm:ss tt",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
    "U": "dddd, MMMM d, yyyy h:mm:ss tt",
    "y": "MMMM yyyy",
    "Y": "MMMM yyyy",
}

_PIECE = re.compile(r"'[^']*'|\"[^\"]*\"|\\.|%.|d+|M+|y+|H+|h+|m+|s+|f+|F+|t+|z+|K|.", re.DOTALL)


def to_moment(value: object) -> Moment | None:
    """A value as a moment in UTC; texts are ISO dates, ``now``, or ``3/1/2026 10:30 AM``. None for what is none."""
    if value is None or isinstance(value, Undefined):
        return None
    if isinstance(value, dt.datetime):
        return moment(value)
    if isinstance(value, dt.date):
        return moment(dt.datetime.combine(value, dt.time(), dt.UTC))
    text = str(value).strip()
    if text.lower() in ("now", "today"):
        now = dt.datetime.now(dt.UTC)
        return moment(now if text.lower() == "now" else now.replace(hour=0, minute=0, second=0, microsecond=0))
    try:
        return moment(dt.datetime.fromisoformat(text))
    except ValueError:
        pass
    for pattern in ("%m/%d/%Y", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%d %b %Y", "%B %d, %Y", "%b %d, %Y"):
        try:
            return moment(dt.datetime.strptime(text, pattern).replace(tzinfo=dt.UTC))
        except ValueError:
            continue
    return None


def date(value: object, form: object = None) -> str:
    """The moment in a format; what is no moment stays as it is."""
    found = to_moment(value)
    if found is None:
        return "" if value is None else str(value)
    if form is None or isinstance(form, Undefined) or not str(form):
        return str(day(found)) if type(value) is Day else str(found)
    text = str(form)
    if re.search("%[a-zA-Z-]", text) and not re.fullmatch("%[dMyHhmsftzK]", text):
        try:
            return found.strftime(text)
        except ValueError:
            raise FilterArgumentError("the format of a date is not known", token=None) from None
    return dotnet(found, text)


def dotnet(value: dt.datetime, form: str) -> str:
    """A moment in a .NET format.

    >>> dotnet(dt.datetime(2026, 3, 1, 15, 5), "ddd d MMM yyyy, h:mm tt")
    'Sun 1 Mar 2026, 3:05 PM'
    """
    if len(form) == 1:
        if form not in _STANDARD:
            raise FilterArgumentError("the format of a date is not known", token=None)
        form = _STANDARD[form]
    return "".join(_piece(value, piece) for piece in _PIECE.findall(form))


def _piece(value: dt.datetime, piece: str) -> str:
    count = len(piece)
    match piece[0]:
        case "'" | '"' if count > 1:
            return piece[1:-1]
        case "\\" if count > 1:
            return piece[1]
        case "%" if count > 1:
            return _piece(value, piece[1])
        case "d":
            return (str(value.day), f"{value.day:02}", value.strftime("%a"), value.strftime("%A"))[min(count, 4) - 1]
        case "M":
            names = (str(value.month), f"{value.month:02}", value.strftime("%b"), value.strftime("%B"))
            return names[min(count, 4) - 1]
        case "y":
            return (
                str(value.year % 100) if count == 1 else f"{value.year % 100:02}" if count == 2 else f"{value.year:04}"
            )
        case "H":
            return f"{value.hour:02}" if count > 1 else str(value.hour)
        case "h":
            hour = value.hour % 12 or 12
            return f"{hour:02}" if count > 1 else str(hour)
        case "m":
            return f"{value.minute:02}" if count > 1 else str(value.minute)
        case "s":
            return f"{value.second:02}" if count > 1 else str(value.second)
        case "f" | "F":
            digits = f"{value.microsecond:06}0"[: min(count, 7)]
            return digits if piece[0] == "f" else digits.rstrip("0")
        case "t":
            half = "AM" if value.hour < 12 else "PM"
            return half[:1] if count == 1 else half
        case "z":
            return {1: "+0", 2: "+00"}.get(count, "+00:00")
        case "K":
            return "Z"
    return piece


def _added(value: object, amount: object, **steps: int) -> object:
    found = to_moment(value)
    if found is None:
        return value
    try:
        number = float(str(amount))
        later = moment(found + dt.timedelta(**{name: step * number for name, step in steps.items()}))
    except (ValueError, OverflowError):
        raise FilterArgumentError("the amount of time does not fit", token=None) from None
    return day(later) if type(value) is Day and "days" in steps else later


def _months(value: object, amount: object, factor: int = 1) -> object:
    found = to_moment(value)
    if found is None:
        return value
    try:
        index = found.year * 12 + found.month - 1 + int(float(str(amount))) * factor
        year, month = divmod(index, 12)
        last = calendar.monthrange(year, month + 1)[1]
        later = found.replace(year=year, month=month + 1, day=min(found.day, last))
    except (ValueError, OverflowError):
        raise FilterArgumentError("the amount of time does not fit", token=None) from None
    return day(later) if type(value) is Day else later


def date_to_iso8601(value: object) -> str:
    """``2026-03-01T10:30:00Z``, of a day ``2026-03-01``."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    found = to_moment(value)
    return "" if found is None else found.isoformat(timespec="seconds").replace("+00:00", "Z")


def date_to_rfc822(value: object) -> str:
    found = to_moment(value)
    return "" if found is None else format_datetime(dt.datetime.combine(found.date(), found.time(), dt.UTC))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "date": date,
    "date_add_days": lambda value, amount: _added(value, amount, days=1),
    "date_add_hours": lambda value, amount: _added(value, amount, hours=1),
    "date_add_minutes": lambda value, amount: _added(value, amount, minutes=1),
    "date_add_seconds": lambda value, amount: _added(value, amount, seconds=1),
    "date_add_months": _months,
    "date_add_years": lambda value, amount: _months(value, amount, 12),
    "date_to_iso": date_to_iso8601,
    "date_to_iso8601": date_to_iso8601,
    "date_to_rfc822": date_to_rfc822,
}
