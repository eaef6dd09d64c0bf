"""A list's rows as a file: the very rows that its pages show, in XLSX or CSV.

Columns, filter, search and order are those of the page (``lists``), and so are the permissions. Numbers, dates and
moments (in UTC) are values that a spreadsheet computes with; all else is the text that the page shows. A text can never
become a formula: XLSX has it as a string, in CSV an apostrophe stands before a sign that begins one. A list of more
than :data:`MOST` rows is refused. Source: pages-and-dataverse A4.3.
"""

from __future__ import annotations

import asyncio
import codecs
import csv
import datetime as dt
import io
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

import xlsxwriter

from forecourt.dataverse.rows import Row
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.principal import Principal
from forecourt.kernel.types import NUMBERS, Kind
from forecourt.pages import formatting
from forecourt.pages.formatting import Locales
from forecourt.pages.lists import FORMATS, Asked, Lists, cells_of, key_of

#: Rows of a file at most.
MOST = 50_000

MEDIA = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}

#: Characters of a cell of a sheet at most.
_CELL = 32_767

#: Digits that a number of a sheet keeps.
_DIGITS = 15

#: From here on both calendars of spreadsheets agree with everybody else's.
_SAFE = dt.date(1900, 3, 1)

#: How a text begins that a spreadsheet takes for a formula, also behind blanks.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")

#: What XML 1.0 cannot hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a currency, by its code of three letters."""

    amount: Decimal | float
    currency: str


Value = str | Decimal | float | Money | dt.date | dt.datetime | None


async def download(
    lists: Lists, principal: Principal, asked: Asked, form: str, locales: Locales
) -> tuple[bytes, str, int]:
    """The file, its name, and how many rows are in it. Raises Refusal FC1005; FC4042 for a format that there is not."""
    if form not in FORMATS:
        raise Refusal("FC4042", "The list is not offered in this format.")
    asked = replace(asked, columns=tuple((column, locales.label(label)) for column, label in asked.columns))
    writer: _Writer = _Sheet(asked) if form == "xlsx" else _Text(asked)
    count = 0
    try:
        async for rows in lists.batches(principal, asked, MOST):
            count += len(rows)
            await asyncio.to_thread(writer.write, [values(row, asked, lists, locales) for row in rows])
        body = await asyncio.to_thread(writer.close)
    finally:
        writer.discard()
    return body, f"{key_of(asked.label) or asked.table.name}.{form}", count


def values(row: Row, asked: Asked, lists: Lists, locales: Locales) -> list[Value]:
    """A row's values: numbers and dates as such, all else as the page shows it."""
    cells = cells_of(row, asked.columns, lists.tables, locales)
    return [_value(column, row, cell.text) for (column, _), cell in zip(asked.columns, cells, strict=True)]


def _value(column: EntityField, row: Row, shown: str) -> Value:
    value: Any = row.values.get(column.name)
    if value is None or value == "":
        return None
    if column.enum is None:
        if column.kind in NUMBERS:
            number = formatting.as_number(value)
            held = column.currency or ""
            currency = str(row.values.get(formatting.code_of(held), row.values.get(held)) or "")
            if number is None or not re.fullmatch("[A-Za-z]{3}", currency):
                return shown if number is None else number
            return Money(number, currency.upper())
        if column.kind is Kind.DATE:
            return formatting.as_date(value) or shown
        if column.kind is Kind.DATETIME:
            return formatting.as_moment(value) or shown
    return shown


class _Writer(Protocol):
    def write(self, rows: Iterable[Sequence[Value]]) -> None: ...

    def close(self) -> bytes: ...

    def discard(self) -> None: ...


class _Sheet:
    """A workbook of one sheet, through a temporary file."""

    def __init__(self, asked: Asked) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - until discard
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        }
        self._book = xlsxwriter.Workbook(self._file, options)
        self._open = True
        self._sheet = self._book.add_worksheet()
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._moment = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        self._money: dict[str, Any] = {}
        self._at = 0
        bold = self._book.add_format({"bold": True})
        for place, (_, label) in enumerate(asked.columns):
            self._sheet.write_string(0, place, _text(label), bold)
        self._sheet.freeze_panes(1, 0)

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        for row in rows:
            self._at += 1
            for place, value in enumerate(row):
                self._cell(place, value)

    def _cell(self, place: int, value: Value) -> None:
        match value:
            case None:
                return
            case dt.datetime() if value.date() >= _SAFE:
                naive = value.astimezone(dt.UTC).replace(tzinfo=None)
                self._sheet.write_datetime(self._at, place, naive, self._moment)
            case dt.date() if not isinstance(value, dt.datetime) and value >= _SAFE:
                self._sheet.write_datetime(self._at, place, dt.datetime(value.year, value.month, value.day), self._day)
            case Money(amount, currency) if _short(amount):
                self._sheet.write_number(self._at, place, float(amount), self._amounts(currency))
            case Decimal() | float() if _short(value):
                self._sheet.write_number(self._at, place, float(value))
            case _:
                shown = value.amount if isinstance(value, Money) else value
                self._sheet.write_string(self._at, place, _text(str(shown)))

    def _amounts(self, currency: str) -> Any:
        """The format of amounts in a currency."""
        if currency not in self._money:
            self._money[currency] = self._book.add_format({"num_format": f'#,##0.00 "{currency}"'})
        return self._money[currency]

    def close(self) -> bytes:
        self._end()
        self._file.seek(0)
        return self._file.read()

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._book.close()  # removes what it has put beside the file

    def discard(self) -> None:
        self._end()
        self._file.close()


class _Text:
    """A CSV file with a byte order mark, so that spreadsheets take it for UTF-8."""

    def __init__(self, asked: Asked) -> None:
        self._text = io.StringIO(newline="")
        self._rows = csv.writer(self._text)
        self._rows.writerow([guarded(label) for _, label in asked.columns])

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        self._rows.writerows([_plain(value) for value in row] for row in rows)

    def close(self) -> bytes:
        return codecs.BOM_UTF8 + self._text.getvalue().encode("utf-8", "replace")

    def discard(self) -> None:
        self._text.close()


def _plain(value: Value) -> str:
    match value:
        case Money(amount, _):
            return _plain(amount)
        case None:
            return ""
        case dt.datetime():
            return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case dt.date():
            return value.isoformat()
        case Decimal() if value.is_finite():
            return format(value, "f")
        case float() if value - value == 0:
            return repr(value)
        case _:
            return guarded(str(value))


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    >>> guarded("=1+1"), guarded("A-1")
    ("'=1+1", 'A-1')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def _text(text: str) -> str:
    """A text as a cell of a sheet holds it."""
    return _CONTROL.sub("\ufffd", text)[:_CELL]


def _short(value: Decimal | float) -> bool:
    """Whether a number survives a sheet: plain, of few enough digits."""
    if isinstance(value, float):
        return value - value == 0
    return value.is_finite() and len(value.as_tuple().digits) <= _DIGITS and -_DIGITS <= value.adjusted() <= _DIGITS
