"""XLSX: the first sheet of a workbook; its first row holds the headings.

Numbers and dates are cells of their own type where the cell can hold them exactly, else text: a number of more than
15 digits, a date before March 1900 and every moment are written as text. Formulas are never written, and never read:
a workbook with one is refused, since what it showed to whom saved it need not be what it says.
A workbook is a zip archive itself and is judged like one before anything of it is unpacked.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import IO, Any

import python_calamine as calamine
import xlsxwriter

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.types import INTEGERS, Kind
from forecourt.operations.packages.archive import UNREADABLE, Limits, broken, check_ratio
from forecourt.operations.packages.formats import LONGEST, Table, TextRow
from forecourt.operations.packages.values import cell_of, text_of, text_of_cell

#: What a workbook may be: it is in memory as a whole.
LIMITS = Limits(files=200, unpacked=256 * 1024**2, ratio=200, small=1024**2)

#: Rows and characters of a cell that a sheet can hold.
ROWS = 1_048_575
CELL = 32_767

#: Digits that a number of a sheet keeps.
_DIGITS = 15

#: From here on both calendars of spreadsheets agree with everybody else's.
_SAFE = dt.date(1900, 3, 1)

#: Cells of the rectangle that a sheet reaches over, empty ones included: a reader keeps all of it.
CELLS = 10_000_000

#: Bytes of a tag with the text behind it.
LONGEST_TAG = 512 * 1024

#: Parts of workbooks in other formats, which the reader would take instead.
_OTHERS = frozenset({"xl/workbook.bin", "content.xml", "mimetype"})

_FORMULA = re.compile(rb"<(?:[\w.-]+:)?f[\s/>]")
_CELL = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]*)([0-9]+)["']""")
_DECLARED = re.compile(rb'<\?xml[^>]*encoding=["\']([^"\']*)["\']')


def read_xlsx(stream: IO[bytes], table: Table) -> Iterator[TextRow]:
    """The rows of a workbook's first sheet."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        _judge(file, table)
        file.seek(0)
        try:
            book = calamine.CalamineWorkbook.from_filelike(file)
            sheet = book.get_sheet_by_index(0)
            start = sheet.start
            rows = sheet.iter_rows()
        except (calamine.CalamineError, IndexError):
            raise broken("The workbook cannot be read.", table.file) from None
        headings = next(rows, None)
        if start is None or headings is None:
            raise broken("The first sheet is empty: it has no row of headings.", table.file)
        fields = table.fields(_names(headings, table))
        for count, cells in enumerate(rows, 1):
            if all(cell == "" for cell in cells):
                continue
            try:
                texts = {
                    field.name: text_of_cell(_text(cell, field), field)
                    for field, cell in zip(fields, cells, strict=False)
                }
            except _Unfit as fault:
                yield TextRow(count, {}, str(fault))
                continue
            yield TextRow(count, texts)


def _names(headings: Sequence[Any], table: Table) -> list[str]:
    names = [str(name).strip() for name in headings]
    while names and not names[-1]:
        names.pop()
    if any(not name for name in names):
        raise broken("A column of the first sheet has no heading.", table.file)
    return names


class _Unfit(Exception):
    """A cell that the field cannot be read from."""


def _text(cell: object, field: EntityField) -> str:
    match cell:
        case str():
            if len(cell) > LONGEST:
                raise _Unfit(f"The value of '{field.name}' is longer than {LONGEST} characters.")
            return cell
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer() and abs(cell) < 2**53:
            return str(int(cell))
        case int() | float():
            return format(Decimal(repr(cell)), "f")
        case dt.datetime():
            if field.kind is Kind.DATE:
                return cell.date().isoformat()
            return cell.isoformat() + ("Z" if field.kind is Kind.DATETIME else "")
        case dt.date():
            return cell.isoformat()
    raise _Unfit(f"The cell of '{field.name}' holds a span of time, which no field does.")


def _judge(file: IO[bytes], table: Table) -> None:
    """Raises Refusal FC4801 for a workbook that is none, may do harm, or holds formulas.

    Every part is looked through, whatever its name: which of them is the first sheet, the workbook itself decides.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            names = {info.filename.lower() for info in members}
            if "xl/workbook.xml" not in names or names & _OTHERS:
                raise broken("The workbook is not XLSX.", table.file, "Save it as XLSX.")
            if len(members) > LIMITS.files:
                raise broken(f"The workbook holds more than {LIMITS.files} parts.", table.file)
            for info in members:
                check_ratio(info, LIMITS, table.file)
            if sum(info.file_size for info in members) > LIMITS.unpacked:
                size = LIMITS.unpacked // 1024**2
                raise broken(f"The workbook is larger than {size} MB unpacked.", table.file, "Use CSV or Parquet.")
            for info in members:
                with archive.open(info) as part:
                    _judge_part(part, table, info.filename.lower().endswith((".xml", ".rels")))
    except UNREADABLE:
        raise broken("The file is not a workbook in XLSX.", table.file) from None


def _judge_part(part: IO[bytes], table: Table, markup: bool) -> None:
    before = b""
    first = True
    columns: set[bytes] = set()
    rows: set[bytes] = set()
    while chunk := part.read(1024 * 1024):
        window = before + chunk
        if first and markup:
            declared = _DECLARED.search(window[:200])
            if b"\x00" in window[:4] or (declared and declared.group(1).lower() not in (b"utf-8", b"us-ascii")):
                raise broken("A part of the workbook is not UTF-8.", table.file)
        first = False
        if b"<!DOCTYPE" in window or b"<!ENTITY" in window:
            raise broken("Document types and entities are not allowed.", table.file)
        found = _FORMULA.search(window)
        if found is not None:
            cells = _CELL.findall(window, 0, found.start())
            where = f"cell {b''.join(cells[-1]).decode()}: " if cells else ""
            hint = "Put its value in its place (paste special, values)."
            raise Refusal("FC4801", f"{table.file}: {where}A formula is not read.", hint=hint, source=table.file)
        for column, row in _CELL.findall(window):
            columns.add(column)
            rows.add(row)
        if max(map(_column, columns), default=1) * max(map(_row, rows), default=1) > CELLS:
            message = f"The sheet reaches over more than {CELLS} cells."
            raise broken(message, table.file, "Use CSV or Parquet, or delete what stands far outside.")
        columns, rows = {max(columns, key=_column, default=b"")}, {max(rows, key=_row, default=b"1")}
        before = window[window.rfind(b"<") :] if b"<" in window else b""
        if len(before) > LONGEST_TAG:
            raise broken("A part of the workbook cannot be read.", table.file)


def _column(letters: bytes) -> int:
    """The number of a column: A is 1."""
    if len(letters) > 3:
        return 10**9
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return max(number, 1)


def _row(digits: bytes) -> int:
    return int(digits) if len(digits) < 10 else 10**9


class XlsxWriter:
    """Writes a workbook of one sheet, row by row, through a temporary file."""

    def __init__(self, stream: IO[bytes], table: Table, fields: Sequence[EntityField]) -> None:
        self._stream = stream
        self._table = table
        self._fields = tuple(fields)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - until close
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        }
        self._book = xlsxwriter.Workbook(self._file, options)
        self._sheet = self._book.add_worksheet()
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._count = 0
        bold = self._book.add_format({"bold": True})
        for place, field in enumerate(fields):
            self._sheet.write_string(0, place, field.name, bold)
        self._sheet.freeze_panes(1, 0)

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        for row in rows:
            self._count += 1
            if self._count > ROWS:
                raise broken(f"A sheet holds {ROWS} rows; there are more.", self._table.file, "Use CSV or Parquet.")
            for place, (field, value) in enumerate(zip(self._fields, row, strict=True)):
                self._cell(place, field, value)

    def _cell(self, place: int, field: EntityField, value: object) -> None:
        at = self._count
        match value:
            case bool():
                self._sheet.write_boolean(at, place, value)
            case int() if field.kind in INTEGERS and abs(value) < 10**_DIGITS:
                self._sheet.write_number(at, place, value)
            case Decimal() if _short(value):
                self._sheet.write_number(at, place, float(value))
            case dt.date() if not isinstance(value, dt.datetime) and value >= _SAFE:
                self._sheet.write_datetime(at, place, dt.datetime(value.year, value.month, value.day), self._day)
            case _:
                cell = cell_of(text_of(value, field, self._table.model), field)
                if len(cell) > CELL:
                    message = f"'{field.name}' is longer than a cell of a sheet can be ({CELL} characters)."
                    raise self._table.at(at, message, "Use CSV, XML or Parquet.")
                if cell:
                    self._sheet.write_string(at, place, cell)

    def close(self) -> None:
        self._book.close()  # removes what it has put beside the file
        self._file.seek(0)
        shutil.copyfileobj(self._file, self._stream)
        self._file.close()

    def discard(self) -> None:
        self._book.close()
        self._file.close()


def _short(value: Decimal) -> bool:
    """Whether a number survives a sheet: plain, of few enough digits."""
    return len(value.as_tuple().digits) <= _DIGITS and -_DIGITS <= value.adjusted() <= _DIGITS
