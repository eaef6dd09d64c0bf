"""Rows to JSON bytes in one pass: a :class:`RowWriter` is built once per plan shape and used for every answer.

Works by columns: rows are turned to columns, the columns whose stored form isn't the protocol's are converted, and
records of a type made for this shape (msgspec, untracked by the garbage collector) are built from them and encoded at
once. What a value looks like::

    enum             its symbol; as a choice its number, preceded by its label where annotations are asked for
    date             operations 2026-10-01T12:00:00Z, Dataverse 2026-10-01; empty_date: 1900-01-01 is null
    datetime         2026-10-01T08:30:00Z, in UTC
    decimal, int64   numbers, exactly as stored (no binary fraction in between)
    record id        the row id of the virtual table, a GUID
    @version         "@odata.etag", first, as W/"<version>"

Other outputs that begin with ``@`` are bookkeeping and aren't written. ``odata.metadata``: ``none`` leaves out context
and ETag, ``full`` adds ``@odata.type``, ``@odata.id`` and ``@odata.editLink`` (relative to the context), not the types
of properties. A number that JSON can't hold (NaN, infinity) is null. Annotations of values are ``formatted``'s.
Sources: operations-and-integration 2.5, 2.7, 5.2; pages-and-dataverse B1.1, B1.6, B2.3; performance 4, 12.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import Any, Literal, cast
from urllib.parse import quote

import msgspec

from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.plan import Expand, ReadPlan, SecuredExpand, SecuredPlan
from forecourt.kernel.relation import ROW_VERSION
from forecourt.kernel.types import EMPTY_DATE, Kind
from forecourt.odata import record_id
from forecourt.odata.dialect import Dialect
from forecourt.odata.formatted import Column, Made, annotated
from forecourt.odata.slots import enum_of

Metadata = Literal["none", "minimal", "full"]
Row = Sequence[Any]

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Fetched:
    """Rows of one expanded relation, for all parents together, and the rows expanded under them in turn."""

    rows: Sequence[Row]
    children: tuple[Fetched, ...] = ()


@dataclass(frozen=True)
class ChildWriter:
    """Writes an expanded relation. ``parent``: positions of the parent's outputs that ``keys`` of the child equal."""

    name: str
    many: bool
    writer: RowWriter
    parent: tuple[int, ...]
    keys: tuple[int, ...]


class RowWriter:
    """Writes rows of one shape. ``outputs``: names of the row's columns in order; ``visible``: those to write.

    Rows are asyncpg Records or any sequences. Children come as :class:`Fetched`, one per child writer. ``sparse``:
    properties that are null are left out.
    """

    def __init__(
        self,
        entity: Entity,
        model: Model,
        outputs: Sequence[str],
        dialect: Dialect,
        *,
        annotations: frozenset[str] = frozenset(),
        metadata: Metadata = "minimal",
        children: Sequence[ChildWriter] = (),
        visible: Collection[str] | None = None,
        sparse: bool = False,
    ) -> None:
        self.children = tuple(children)
        self._columns: list[Made] = []
        names: list[str] = []
        if ROW_VERSION in outputs and metadata != "none":
            names.append("@odata.etag")
            self._columns.append(_made(list(outputs).index(ROW_VERSION), _etags))
        for position, name in enumerate(outputs):
            if name.startswith("@") or (visible is not None and name not in visible):
                continue
            field = entity.fields[name]
            if annotations and metadata != "none":
                for property_name, made in annotated(field, entity, model, dialect, outputs, annotations):
                    names.append(property_name)
                    self._columns.append(made)
            names.append(name)
            made = _made(position, _converter(field, model, dialect))
            self._columns.append(_without_nulls(made) if sparse else made)
        if metadata == "full":
            names[:0] = self._add_links(entity, model, outputs, dialect)
        names.extend(child.name for child in self.children)
        self._names = names
        self._make: Callable[..., msgspec.Struct] = msgspec.defstruct(
            "Row",
            [(f"f{index}", object) for index in range(len(names))],
            rename={f"f{index}": name for index, name in enumerate(names)},
            gc=False,
        )

    def _add_links(self, entity: Entity, model: Model, outputs: Sequence[str], dialect: Dialect) -> list[str]:
        type_name = f"#{dialect.namespace}.{entity.public_name}"
        self._columns.insert(0, lambda columns: [type_name] * _length(columns))
        if not all(name in outputs for name in entity.key):
            return ["@odata.type"]
        keys = [(entity.fields[name], list(outputs).index(name)) for name in entity.key]

        def links(columns: list[Column]) -> Column:
            parts = [_key_texts(field, columns[position], model, len(keys) > 1) for field, position in keys]
            return [f"{entity.collection}({','.join(values)})" for values in zip(*parts, strict=True)]

        self._columns[1:1] = [links, links]
        return ["@odata.type", "@odata.id", "@odata.editLink"]

    def records(self, rows: Sequence[Row], children: Sequence[Fetched] = ()) -> list[msgspec.Struct]:
        """The rows as encodable records."""
        if not rows:
            return []
        raw = cast("list[Column]", list(zip(*rows, strict=True)))
        columns: list[Column] = [made(raw) for made in self._columns]
        for child, fetched in zip(self.children, children, strict=True):
            columns.append(_grouped(child, fetched, [raw[at] for at in child.parent]))
        if not columns:
            return [self._make() for _ in rows]
        return list(map(self._make, *columns))

    def mappings(self, rows: Sequence[Row]) -> Iterator[dict[str, object]]:
        """The rows as mappings from names to values, those that would not be written left out."""
        for record in self.records(rows):
            pairs = zip(self._names, msgspec.structs.astuple(record), strict=True)
            yield {name: value for name, value in pairs if value is not msgspec.UNSET}

    def encode(self, rows: Sequence[Row], children: Sequence[Fetched] = ()) -> bytes:
        """A JSON array of the rows."""
        return _ENCODE(self.records(rows, children))

    def encode_one(self, row: Row, children: Sequence[Fetched] = ()) -> bytes:
        """A JSON object of one row."""
        return _ENCODE(self.records((row,), children)[0])

    def encode_member(self, row: Row, name: str, children: Sequence[Fetched] = ()) -> bytes:
        """One property of a row, or what is expanded under that name, as JSON."""
        return _ENCODE(getattr(self.records((row,), children)[0], f"f{self._names.index(name)}"))


def writer_for(
    secured: SecuredPlan | SecuredExpand,
    model: Model,
    dialect: Dialect,
    *,
    annotations: frozenset[str] = frozenset(),
    metadata: Metadata = "minimal",
    visible: Collection[str] | None = None,
) -> RowWriter:
    """The writer of a secured plan and of all that is expanded in it."""
    outputs = [output.name for output in secured.select.outputs]
    children = []
    for expand in secured.expands:
        inner = writer_for(expand, model, dialect, annotations=annotations, metadata=metadata)
        names = [output.name for output in expand.select.outputs]
        keys = tuple(names.index(f"@key{number}") for number in range(len(expand.keys)))
        parent = tuple(outputs.index(name) for name in expand.parent)
        children.append(ChildWriter(expand.name, expand.many, inner, parent, keys))
    return RowWriter(
        model.entities[secured.entity],
        model,
        outputs,
        dialect,
        annotations=annotations,
        metadata=metadata,
        children=children,
        visible=visible,
    )


def _length(columns: list[Column]) -> int:
    return len(cast("tuple[object, ...]", columns[0])) if columns else 0


def _grouped(child: ChildWriter, fetched: Fetched, parents: list[Column]) -> Column:
    """For each parent row its child, or list of children. A key that holds null has none."""
    records = child.writer.records(fetched.rows, fetched.children)
    keys = list(zip(*(map(itemgetter(position), fetched.rows) for position in child.keys), strict=True))
    if child.many:
        groups: defaultdict[tuple[object, ...], list[msgspec.Struct]] = defaultdict(list)
        for key, record in zip(keys, records, strict=True):
            groups[key].append(record)
        return [groups.get(key, []) for key in zip(*parents, strict=True)]
    single = dict(zip(keys, records, strict=True))
    return [single.get(key) for key in zip(*parents, strict=True)]


# ------------------------------------------------------------------------------------------ columns


def _made(position: int, convert: Callable[[Column], Column] | None) -> Made:
    """The stored column at a position, converted."""
    return itemgetter(position) if convert is None else lambda columns: convert(columns[position])


def _without_nulls(made: Made) -> Made:
    return lambda columns: [msgspec.UNSET if value is None else value for value in made(columns)]


class _Texts(dict[object, object]):
    """Stored value -> symbol or number. Null stays null; a value that the enum lacks is shown as it is stored."""

    def __missing__(self, key: object) -> object:
        return None if key is None else str(key)


class _Numbers(dict[object, object]):
    """Stored value -> choice number. Null, and a value without a number, are null."""

    def __missing__(self, key: object) -> object:
        return None


def _converter(field: EntityField, model: Model, dialect: Dialect) -> Callable[[Column], Column] | None:
    """From the stored column to the written one; None where msgspec writes it as it is."""
    if field.record_of is not None:
        write = record_id.writer(field.record_of)
        return lambda column: [None if value is None else write(cast("int", value)) for value in column]
    match field.kind:
        case Kind.ENUM:
            members = enum_of(field, model).members
            if field.choice:
                find = _Numbers({member.value: member.choice for member in members}).__getitem__
            else:
                find = _Texts({member.value: member.symbol for member in members}).__getitem__
            return lambda column: map(find, column)
        case Kind.DATE:
            if dialect.date_as_datetime:
                find_noon = (_NoonTextsOrNull() if field.empty_date else _NoonTexts()).__getitem__
                return lambda column: map(find_noon, column)
            return _days_or_null if field.empty_date else _days
        case Kind.DATETIME:
            return _moments_or_null if field.empty_date else _moments
        case Kind.DECIMAL:
            return _decimals
        case _:
            return None


def _etags(column: Column) -> Column:
    return map('W/"%s"'.__mod__, column)


def _day(value: Any) -> dt.date:
    return value.date() if type(value) is dt.datetime else value


def _days(column: Column) -> Column:
    return [value.date() if type(value) is dt.datetime else value for value in column]


def _days_or_null(column: Column) -> Column:
    return [None if value is None or (day := _day(value)) == EMPTY_DATE else day for value in column]


class _NoonTexts(dict[Any, str | None]):
    """Day -> its noon in UTC as text. Days repeat within a page and from page to page, so they are remembered."""

    LIMIT = 50_000

    def __missing__(self, value: Any) -> str | None:
        text = None if value is None else _day(value).isoformat() + "T12:00:00Z"
        if len(self) < self.LIMIT:
            self[value] = text
        return text


class _NoonTextsOrNull(_NoonTexts):
    """The same, where 1900-01-01 means that there is no day."""

    def __missing__(self, value: Any) -> str | None:
        if value is not None and _day(value) == EMPTY_DATE:
            return None
        return super().__missing__(value)


def _moments(column: Column) -> Column:
    return [
        value if value is None or value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
        for value in cast("Iterable[dt.datetime | None]", column)
    ]


def _moments_or_null(column: Column) -> Column:
    moments = cast("Iterable[dt.datetime | None]", _moments(column))
    return [None if value is None or value.date() == EMPTY_DATE else value for value in moments]


def _decimals(column: Column) -> Column:
    return [value if value is None or value.is_finite() else None for value in cast("Iterable[Decimal | None]", column)]


def _key_texts(field: EntityField, column: Column, model: Model, named: bool) -> list[str]:
    """The values of one key field as they stand in a URL."""
    head = f"{field.name}=" if named else ""
    if field.record_of is not None:
        write = record_id.writer(field.record_of)
        return [head + write(cast("int", value)) for value in column]
    match field.kind:
        case Kind.STRING:
            texts = (quote(str(value).replace("'", "''"), safe="'") for value in column)
            return [f"{head}'{text}'" for text in texts]
        case Kind.ENUM if not field.choice:
            enum = enum_of(field, model)
            symbols = _Texts({member.value: member.symbol for member in enum.members})
            return [f"{head}{model.namespace}.{enum.name}'{symbols[value]}'" for value in column]
        case Kind.DATETIME:
            return [head + cast("dt.datetime", value).isoformat().replace("+00:00", "Z") for value in _moments(column)]
        case _:
            return [f"{head}{value}" for value in column]


# ------------------------------------------------------------------------------------------ answers


def context_url(base_url: str, collection: str, read: ReadPlan | Expand | None, *, single: bool = False) -> str:
    """The context of an answer: ``<base>/$metadata#Set(selected,expanded())[/$entity]``."""
    tail = "/$entity" if single else ""
    return f"{base_url}/$metadata#{collection}{_shape(read) if read is not None else ''}{tail}"


def shaped_context(base_url: str, result: Entity) -> str:
    """The context of an answer whose columns are those of ``result``."""
    names = ",".join(name for name in result.fields if not name.startswith("@"))
    return f"{base_url}/$metadata#{result.collection}({names})"


def _shape(read: ReadPlan | Expand) -> str:
    parts = list(read.select or ())
    parts += [f"{item.relation}{_shape(item) or '()'}" for item in read.expand]
    return f"({','.join(parts)})" if parts else ""


def collection(
    rows: bytes,
    *,
    context: str = "",
    count: int | None = None,
    next_link: str = "",
    notes: Mapping[str, object] = {},
) -> bytes:
    """The answer of a set. ``rows``: a JSON array. An empty ``context`` is left out (metadata none, the portal).
    ``notes``: annotations of the answer, by qualified name."""
    head = b'{"@odata.context":' + _ENCODE(context) + b"," if context else b"{"
    head += b"".join(b"%b:%b," % (_ENCODE("@" + name), _ENCODE(value)) for name, value in notes.items())
    total = b'"@odata.count":%d,' % count if count is not None else b""
    tail = b',"@odata.nextLink":' + _ENCODE(next_link) + b"}" if next_link else b"}"
    return b"".join((head, total, b'"value":', rows, tail))


def single(row: bytes, *, context: str = "") -> bytes:
    """The answer of one row. ``row``: a JSON object."""
    if not context:
        return row
    head = b'{"@odata.context":' + _ENCODE(context)
    return head + b"}" if row == b"{}" else head + b"," + row[1:]


def property_value(value: bytes, *, context: str = "") -> bytes:
    """The answer of ``Set(key)/Property``."""
    return single(b'{"value":' + value + b"}", context=context)


def count_text(total: int) -> bytes:
    """The answer of ``/$count``, text/plain."""
    return str(total).encode("ascii")
