"""Values of data entities as text of a file, and back.

One textual form serves every format; a format that has types of its own may use them beside it::

    string    as it is                        date      2026-10-01
    int       -5                              datetime  2026-10-01T12:00:00Z
    decimal   9.95                            guid      00000a6c-0000-0000-0d00-005001000000
    double    0.1                             boolean   true, false
    enum      its symbol, Backorder           null      see below

Cells of a sheet (CSV, XLSX) are texts that a spreadsheet may take for a formula, and cannot tell null from an empty
text. So a text gets an apostrophe in front where it begins with ``= + - @``, a tab, a line break or an apostrophe, or
is ``\\N``; a text that is null is written ``\\N``. Of all other kinds an empty cell is null. Reading takes the
apostrophe away again where it can stand for one of these, so that what is written is what is read. Numbers and dates
are no texts and stay as they are: nothing but digits and a sign can stand there.
Source: operations-and-integration 5.2, 5.8.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.types import INTEGERS, NUMBERS, Kind
from forecourt.odata.slots import enum_of, from_text, misfit

#: A text that is null, in a cell.
NULL = r"\N"

#: How a formula begins, for one spreadsheet or another.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

_MARKED = (*FORMULA, "'")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def cell_of(text: str | None, field: EntityField) -> str:
    """A text as a sheet's cell.

    >>> text = EntityField("Name", "t", "name", Kind.STRING)
    >>> [cell_of(item, text) for item in ("Berg", "=1+1", "'tis", "", None)]
    ['Berg', "'=1+1", "''tis", '', '\\\\N']
    """
    if field.kind is not Kind.STRING:
        return text or ""
    if text is None:
        return NULL
    return f"'{text}" if text.startswith(_MARKED) or text == NULL else text


def text_of_cell(cell: str, field: EntityField) -> str | None:
    """A sheet's cell as text: the other way."""
    if field.kind is not Kind.STRING:
        return cell or None
    if cell == NULL:
        return None
    if cell.startswith("'") and (cell[1:].startswith(_MARKED) or cell[1:] == NULL):
        return cell[1:]
    return cell


def text_of(value: object, field: EntityField, model: Model) -> str | None:
    """A stored value as text, None for null."""
    match value:
        case None:
            return None
        case _ if field.kind is Kind.ENUM:
            member = enum_of(field, model).by_value.get(value)  # type: ignore[call-overload]
            return member.symbol if member is not None else str(value)
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case float():
            return repr(value)
        case dt.datetime() if field.kind is Kind.DATE:
            return value.date().isoformat()
        case dt.datetime():
            moment = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
            return moment.replace(tzinfo=None).isoformat() + "Z"
        case dt.date():
            return value.isoformat()
        case _:
            return str(value)


def reader_of(field: EntityField, model: Model) -> Callable[[str | None], object]:
    """What makes the stored value of a text. It raises Refusal FC1003 for one that does not fit, naming the field."""
    convert = from_text(field, model)
    form = _WHOLE if field.kind in INTEGERS else _NUMBER if field.kind in NUMBERS else None
    wanted = "a whole number" if field.kind in INTEGERS else "a number such as 9.95"

    def read(text: str | None) -> object:
        if text is None or (not text and field.kind is not Kind.STRING):
            if not field.nullable:
                raise Refusal("FC1003", f"'{field.name}' cannot be empty.", source=field.name)
            return None
        if form is not None and not form.fullmatch(text):
            raise misfit(field.name, wanted)
        if field.kind is Kind.STRING and field.length is not None and len(text) > field.length:
            message = f"The value for '{field.name}' is longer than {field.length} characters."
            raise Refusal("FC1003", message, hint=f"It has {len(text)}.", source=field.name)
        return convert(text)

    return read


def same(stored: object, value: object) -> bool:
    """Whether a stored value is the one that was read from a text."""
    if isinstance(stored, dt.datetime) and isinstance(value, dt.date):
        if not isinstance(value, dt.datetime):
            return stored.date() == value
        stored = stored if stored.tzinfo else stored.replace(tzinfo=dt.UTC)
    return stored == value


class Reading:
    """How the texts of an entity's fields are read, made once for each."""

    def __init__(self, entity: Entity, model: Model) -> None:
        self.entity = entity
        self._model = model
        self._readers: dict[str, Callable[[str | None], object]] = {}

    def value(self, name: str, text: str | None) -> object:
        """The stored value of a field. Raises Refusal FC1003."""
        reader = self._readers.get(name)
        if reader is None:
            reader = self._readers[name] = reader_of(self.entity.fields[name], self._model)
        return reader(text)

    def values(self, texts: Mapping[str, str | None]) -> dict[str, object]:
        """The stored values of a row. Raises Refusal FC1003 for the first that does not fit."""
        return {name: self.value(name, text) for name, text in texts.items()}
