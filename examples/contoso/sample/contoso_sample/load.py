"""Rows as the text that PostgreSQL's COPY reads: tab separated, \\N for null, a table at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

Row = tuple[str | int | None, ...]
_ESCAPE = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class Load:
    """The rows of one table in COPY's text format."""

    table: str  # qualified, e.g. 'erp.purchtable' or 'dataverse.contact'
    columns: tuple[str, ...]
    rows: int  # exactly as many as the chunks hold
    chunks: Iterator[bytes]  # about 1 MB each


def _text(row: Row) -> str:
    return "\t".join("\\N" if cell is None else str(cell).translate(_ESCAPE) for cell in row) + "\n"


def many(table: str, columns: str, rows: int, lines: Iterator[str], batch: int) -> Load:
    def chunks() -> Iterator[bytes]:
        while text := "".join(islice(lines, batch)):
            yield text.encode()

    return Load(table, tuple(columns.split()), rows, chunks())


def few(table: str, columns: str, rows: list[Row]) -> Load:
    return many(table, columns, len(rows), map(_text, rows), 5000)
