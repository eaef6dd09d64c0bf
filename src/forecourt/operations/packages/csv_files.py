"""CSV: UTF-8 with or without a byte order mark, commas, double quotes, one line of headings (RFC 4180)."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from forecourt.kernel.model import EntityField
from forecourt.operations.packages.archive import broken
from forecourt.operations.packages.formats import LONGEST, Table, TextRow
from forecourt.operations.packages.values import cell_of, text_of, text_of_cell

#: Bytes of one line at most: what a file without line breaks may bring into memory.
LINE = 4 * 1024 * 1024

_OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_csv(stream: IO[bytes], table: Table) -> Iterator[TextRow]:
    """The rows of a CSV file."""
    count = 0
    try:
        rows = csv.reader(_lines(stream, table), strict=True)
        names = next(rows, None)
        if not names:
            raise broken("The file is empty: it has no line of headings.", table.file)
        if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
            raise broken("The headings are not separated by commas.", table.file, "Save the file with commas.")
        fields = table.fields([name.strip() for name in names])
        for cells in rows:
            if not cells:
                continue  # an empty line
            count += 1
            if len(cells) != len(fields):
                yield TextRow(count, {}, f"The row has {len(cells)} cells; the headings are {len(fields)}.")
                continue
            texts = {field.name: text_of_cell(cell, field) for field, cell in zip(fields, cells, strict=True)}
            yield TextRow(count, texts)
    except UnicodeDecodeError:
        raise table.at(count + 1, "The text is not UTF-8.", "Save the file as CSV UTF-8.") from None
    except csv.Error as error:
        reason = "The quotes do not match, or a line ends in the middle."
        if "limit" in str(error):
            reason = f"A cell is longer than {LONGEST} characters."
        raise table.at(count + 1, reason) from None
    except _TooLong:
        raise table.at(count + 1, f"A line is longer than {LINE} bytes.") from None


class _TooLong(Exception):
    """A line that is not taken into memory."""


def _lines(stream: IO[bytes], table: Table) -> Iterator[str]:
    """The lines of a stream as text, each decoded by itself, so that the one that cannot be is known."""
    line = stream.readline(LINE + 1)
    if line[:2] in _OTHER_ENCODINGS:
        raise broken("The file is not UTF-8 text.", table.file, "Save it as CSV UTF-8.")
    line = line.removeprefix(codecs.BOM_UTF8)
    while line:
        if len(line) > LINE:
            raise _TooLong
        yield line.decode()
        line = stream.readline(LINE + 1)


class CsvWriter:
    """Writes a CSV file with a byte order mark, so that spreadsheets take it for UTF-8."""

    def __init__(self, stream: IO[bytes], table: Table, fields: Sequence[EntityField]) -> None:
        self._stream = stream
        self._table = table
        self._fields = tuple(fields)
        stream.write(codecs.BOM_UTF8)
        self._put([[field.name for field in fields]])

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        model = self._table.model
        self._put(
            [cell_of(text_of(value, field, model), field) for field, value in zip(self._fields, row, strict=True)]
            for row in rows
        )

    def _put(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._stream.write(text.getvalue().encode())

    def close(self) -> None:
        """Nothing follows the last row."""

    def discard(self) -> None:
        """There is nothing beside the stream."""
