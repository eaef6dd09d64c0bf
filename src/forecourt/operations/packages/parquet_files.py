"""Parquet, by pyarrow, which the extra ``forecourt[packages]`` brings.

========  ==========================    ========  =================
kind      Arrow type                    kind      Arrow type
========  ==========================    ========  =================
string    string                        boolean   bool
int32     int32                         date      date32
int64     int64                         datetime  timestamp[us, UTC]
decimal   decimal128(38, 12)            guid      string
double    double                        enum      string, its symbol
========  ==========================    ========  =================

A number with more than 12 digits after the point, or 26 before it, is refused rather than rounded.
Files of others are read whatever their types are, as far as a value can be read as text of the field. What such a file
costs to unpack is known to the library alone: what it says of itself is checked, then each batch as it comes.
"""

from __future__ import annotations

import datetime as dt
import decimal
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.types import Kind
from forecourt.operations.packages.archive import broken
from forecourt.operations.packages.formats import LONGEST, Table, TextRow
from forecourt.operations.packages.values import text_of

#: Rows of a group that is written.
GROUP = 10_000

#: Rows of a batch that is read, and its bytes at most: a few bytes of a file can stand for as many as it likes.
BATCH = 500
BATCH_BYTES = 64 * 1024**2

#: Bytes of a row group at most, unpacked.
GROUP_BYTES = 512 * 1024**2

_SCALE = 12


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        hint = "Install forecourt[packages]."
        raise Refusal("FC4801", "Parquet files need pyarrow, which is not installed.", hint=hint) from None
    return pyarrow, pyarrow.parquet


def read_parquet(stream: IO[bytes], table: Table) -> Iterator[TextRow]:
    """The rows of a Parquet file."""
    arrow, parquet = _arrow()
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        count = 0
        try:
            source = parquet.ParquetFile(file)
            schema = source.schema_arrow
            fields = table.fields(schema.names)
            for place in range(source.metadata.num_row_groups):
                if source.metadata.row_group(place).total_byte_size > GROUP_BYTES:
                    raise broken(f"A row group is larger than {GROUP_BYTES // 1024**2} MB.", table.file)
            for kind, name in zip(schema.types, schema.names, strict=True):
                if arrow.types.is_nested(kind):
                    raise broken(f"The column '{name}' holds lists or structures.", table.file)
            for batch in source.iter_batches(batch_size=BATCH, use_threads=False):
                if batch.nbytes > BATCH_BYTES:
                    raise table.at(count + 1, f"{BATCH} rows are larger than {BATCH_BYTES // 1024**2} MB.")
                columns = [column.to_pylist() for column in batch.columns]
                for values in zip(*columns, strict=True):
                    count += 1
                    yield _row(count, fields, values, table)
        except (arrow.ArrowException, OSError, UnicodeDecodeError, OverflowError):
            raise table.at(count + 1, "The file is not Parquet, or damaged.") from None


def _row(number: int, fields: Sequence[EntityField], values: Sequence[object], table: Table) -> TextRow:
    texts: dict[str, str | None] = {}
    for field, value in zip(fields, values, strict=True):
        if isinstance(value, bytes):
            return TextRow(number, {}, f"The value of '{field.name}' is binary.")
        if isinstance(value, dt.datetime) and field.kind is Kind.DATE:
            value = value.date()
        text = str(value) if isinstance(value, str) else text_of(value, _PLAIN, table.model)
        if text is not None and len(text) > LONGEST:
            return TextRow(number, {}, f"The value of '{field.name}' is longer than {LONGEST} characters.")
        texts[field.name] = text
    return TextRow(number, texts)


#: Any field but an enum: a file has symbols already.
_PLAIN = EntityField("", "", "", Kind.STRING)


class ParquetWriter:
    """Writes a Parquet file, one row group at a time."""

    def __init__(self, stream: IO[bytes], table: Table, fields: Sequence[EntityField]) -> None:
        self._arrow, parquet = _arrow()
        self._table = table
        self._fields = tuple(fields)
        self._schema = self._arrow.schema([(field.name, self._type(field)) for field in fields])
        self._sink = self._arrow.PythonFile(stream, mode="w")
        self._writer = parquet.ParquetWriter(self._sink, self._schema)
        self._waiting: list[Sequence[object]] = []
        self._count = 0

    def _type(self, field: EntityField) -> Any:
        arrow = self._arrow
        match field.kind:
            case Kind.INT32:
                return arrow.int32()
            case Kind.INT64:
                return arrow.int64()
            case Kind.DECIMAL:
                return arrow.decimal128(38, _SCALE)
            case Kind.DOUBLE:
                return arrow.float64()
            case Kind.BOOLEAN:
                return arrow.bool_()
            case Kind.DATE:
                return arrow.date32()
            case Kind.DATETIME:
                return arrow.timestamp("us", tz="UTC")
        return arrow.string()

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        for row in rows:
            self._waiting.append(row)
            if len(self._waiting) >= GROUP:
                self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        columns = [
            self._column(place, field, [row[place] for row in self._waiting])
            for place, field in enumerate(self._fields)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(columns, schema=self._schema))
        self._count += len(self._waiting)
        self._waiting = []

    def _column(self, place: int, field: EntityField, values: list[Any]) -> Any:
        kind = self._schema.types[place]
        if self._arrow.types.is_string(kind):
            values = [text_of(value, field, self._table.model) for value in values]
        try:
            if field.kind is Kind.DECIMAL:
                values = [None if value is None else value.quantize(_STEP, context=_EXACT) for value in values]
            elif field.kind is Kind.DATETIME:
                values = [v.replace(tzinfo=dt.UTC) if v is not None and v.tzinfo is None else v for v in values]
            return self._arrow.array(values, kind)
        except (self._arrow.ArrowException, decimal.DecimalException, OverflowError, ValueError):
            message = f"A value of '{field.name}' is larger, or finer, than Parquet holds here."
            raise self._table.at(self._count + 1, message, "Use CSV, XML or XLSX.") from None

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def discard(self) -> None:
        self._waiting = []
        self._writer.close()


_STEP = decimal.Decimal(1).scaleb(-_SCALE)
_EXACT = decimal.Context(prec=38, traps=[decimal.Inexact, decimal.InvalidOperation])
