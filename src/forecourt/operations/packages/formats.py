"""The formats of data files: what reads rows from one, what writes rows to one.

A reader gives rows as texts by field name; a field that the row does not mention is not in it, null is None. It names
row and reason where it cannot go on. A writer takes stored values. Both hold a few rows at a time:

=========  ====================================================  ==================================================
format     read                                                  written
=========  ====================================================  ==================================================
CSV        row by row                                            row by row
XML        row by row                                            row by row
Parquet    500 rows at a time; pages of columns pass through     by row groups of 10,000 rows
           memory as they are packed
XLSX       the whole sheet is in memory, packed in Rust, so      row by row, through a temporary file
           that such a file is limited to 256 MB unpacked
=========  ====================================================  ==================================================

Rows are counted from 1, headings left out. Leaves out what the values mean (``values``) and which columns an entity
has to have (``columns``). Source: operations-and-integration 5.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Protocol

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.operations.packages.archive import broken

#: Characters of one value at most.
LONGEST = 131_072

#: Columns of a file at most.
WIDEST = 2_000


class Format(StrEnum):
    """The formats, by the names that manifests and files of a solution use."""

    CSV = "CSV"
    XLSX = "XLSX"
    XML = "XML"
    PARQUET = "Parquet"

    @property
    def suffix(self) -> str:
        return self.value.lower()


#: How manifests of others name the formats.
_ALIASES = {
    "csv": Format.CSV,
    "csv-unicode": Format.CSV,
    "excel": Format.XLSX,
    "xlsx": Format.XLSX,
    "xml": Format.XML,
    "xml-element": Format.XML,
    "parquet": Format.PARQUET,
}


def format_of(name: str, file: str) -> Format:
    """The format that a manifest names, or else the file's ending. Raises Refusal FC4801."""
    found = _ALIASES.get(name.lower())
    if found is None:
        known = ", ".join(item.value for item in Format)
        raise broken(f"The format '{name[:40]}' is not known.", file, f"Known are {known}.")
    return found


@dataclass(frozen=True, slots=True)
class Table:
    """The table in a file: an entity's fields by name."""

    entity: Entity
    model: Model
    file: str

    def field(self, name: str) -> EntityField:
        """The field of a column. Raises Refusal FC4801 with a suggestion."""
        found = self.entity.fields.get(name)
        if found is None:
            shown = "".join(c if c.isprintable() else "?" for c in name[:60])
            message = f"The column '{shown}' is not a field of {self.entity.public_name}."
            raise broken(message, self.file, suggest(name[:100], self.entity.fields))
        return found

    def fields(self, names: Sequence[str]) -> tuple[EntityField, ...]:
        """The fields of all columns. Raises Refusal FC4801."""
        if len(names) > WIDEST:
            raise broken(f"The file has more than {WIDEST} columns.", self.file)
        found = tuple(self.field(name) for name in names)
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            raise broken(f"The column '{twice}' is there twice.", self.file)
        return found

    def at(self, row: int, message: str, hint: str = "") -> Refusal:
        """A file that cannot be read on from a row."""
        return broken(f"row {row}: {message}", self.file, hint)


@dataclass(frozen=True, slots=True)
class TextRow:
    """A row of a file. ``number``: from 1; ``texts``: by field; ``fault``: what keeps the row, but not the file, from
    being used."""

    number: int
    texts: Mapping[str, str | None] = field(default_factory=dict)
    fault: str = ""


class Reader(Protocol):
    """Reads the rows of a stream. Raises Refusal FC4801 where the file cannot be read, naming file and row."""

    def __call__(self, stream: IO[bytes], table: Table) -> Iterator[TextRow]: ...


class Writer(Protocol):
    """Writes rows of stored values, in the order of its fields. It is ended by one of ``close`` and ``discard``."""

    def write(self, rows: Iterable[Sequence[object]]) -> None: ...

    def close(self) -> None:
        """Completes the file."""
        ...

    def discard(self) -> None:
        """Gives the file up, and what it has taken beside the stream."""
        ...


class Opener(Protocol):
    """Starts a writer on a stream that is written from start to end. Raises Refusal FC4801 for what it cannot hold."""

    def __call__(self, stream: IO[bytes], table: Table, fields: Sequence[EntityField]) -> Writer: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """How a format is read and written."""

    read: Reader
    write: Opener
