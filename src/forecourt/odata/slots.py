"""From the text of a literal to the value that is bound for it: one :class:`SlotSpec` per literal of a request.

Which conversion a literal needs follows from its kind and the field it is compared with, so it is chosen once per
shape; the values come later, per request. What a literal may stand for::

    field                literal kinds          bound value
    string               string                 str, without NUL or lone surrogates
    int32 int64          integer (decimal, double: compared as such)      int within the range of the kind
    decimal double       integer decimal double                           Decimal / finite float
    date                 date, datetime         date (of a datetime: its day in UTC)
    datetime             datetime, date         aware datetime in UTC (of a date: its midnight)
    guid                 guid (Dataverse: also in quotes)                 UUID
    guid, record_of      the same               int, the record id; NO_RECORD for another entity's GUID
    enum                 Namespace.Type'Symbol'                           the stored value
    enum, choice         integer                the stored value of that choice number

Everything else is refused with FC1003, naming the column and the form that it expects. Booleans are keywords of the
shape, never literals. Sources: operations-and-integration 2.5, 2.7, 5.2, 5.3; pages-and-dataverse B1.3; clients.md.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from uuid import UUID

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField, Enum, Model
from forecourt.kernel.types import Kind
from forecourt.odata import record_id
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import Literal, LiteralKind

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)

#: $top and $skip stay below this.
MAX_ROWS = 2**31 - 1

#: Characters of choice numbers with commas between them.
MAX_CHOICES = 4000

_MAX_DIGITS = 60


@dataclass(frozen=True, slots=True)
class SlotSpec:
    """How the literal of one slot becomes a value. ``kind``: of the slot in the plan. ``target``: column or option."""

    kind: Kind
    literal: LiteralKind
    target: str
    convert: Callable[[str], object]


def bind(slots: Sequence[SlotSpec], literals: Sequence[Literal]) -> tuple[object, ...]:
    """The values of all slots. Raises Refusal FC1003 for a value that does not fit."""
    return tuple([slot.convert(literal.text) for slot, literal in zip(slots, literals, strict=True)])


def unused(literal: LiteralKind) -> SlotSpec:
    """The slot of a literal that the plan does not look at."""
    return SlotSpec(Kind.STRING, literal, "", _identity)


def _identity(text: str) -> object:
    return text


# ------------------------------------------------------------------------------------------ text -> value


def misfit(target: str, expected: str, hint: str = "") -> Refusal:
    return Refusal(
        "FC1003", f"The value for '{target}' does not fit: {expected} is expected.", hint=hint, source=target
    )


def to_string(target: str) -> Callable[[str], object]:
    def convert(text: str) -> str:
        if "\x00" in text:
            raise misfit(target, "text without NUL characters")
        if not text.isascii():
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                raise misfit(target, "text of whole characters") from None
        return text

    return convert


def to_integer(target: str, limits: range) -> Callable[[str], object]:
    def convert(text: str) -> int:
        if len(text) <= 20:
            try:
                value = int(text)
            except ValueError:
                raise misfit(target, "a whole number") from None
            if value in limits:
                return value
        raise misfit(target, f"a whole number from {limits.start} to {limits.stop - 1}")

    return convert


def to_count(target: str) -> Callable[[str], object]:
    """``$top``, ``$skip``."""

    def convert(text: str) -> int:
        if len(text) <= 10 and text.isascii() and text.isdigit() and int(text) <= MAX_ROWS:
            return int(text)
        raise misfit(target, f"a whole number from 0 to {MAX_ROWS}")

    return convert


def to_decimal(target: str) -> Callable[[str], object]:
    def convert(text: str) -> Decimal:
        try:
            value = Decimal(text) if len(text) <= 2 * _MAX_DIGITS else Decimal("NaN")
        except InvalidOperation:
            raise misfit(target, "a number") from None
        if not value.is_finite() or len(value.as_tuple().digits) > _MAX_DIGITS or abs(value.adjusted()) > _MAX_DIGITS:
            raise misfit(target, f"a number of at most {_MAX_DIGITS} digits")
        return value

    return convert


def to_double(target: str) -> Callable[[str], object]:
    def convert(text: str) -> float:
        try:
            value = float(text) if len(text) <= 400 else float("nan")
        except ValueError:
            raise misfit(target, "a number") from None
        if value - value != 0:
            raise misfit(target, "a number within the range of double precision")
        return value

    return convert


_FRACTION = re.compile(r"(\.[0-9]{6})[0-9]+")


def parse_moment(text: str, target: str) -> dt.datetime:
    """A datetimeoffset as an aware datetime in UTC; without offset it is UTC. Digits past microseconds are dropped."""
    try:
        if "\x00" in text:
            raise ValueError("fromisoformat stops reading there")
        value = dt.datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        raise misfit(target, "a moment such as 2026-10-01T12:00:00Z") from None


def to_datetime(target: str) -> Callable[[str], object]:
    def convert(text: str) -> dt.datetime:
        return parse_moment(text, target)

    return convert


def to_date(target: str) -> Callable[[str], object]:
    def convert(text: str) -> dt.date:
        if len(text) > 10:
            return parse_moment(text, target).date()
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            raise misfit(target, "a date such as 2026-10-01") from None

    return convert


def to_guid(target: str) -> Callable[[str], object]:
    def convert(text: str) -> UUID:
        return parse_guid(text, target)

    return convert


_GUID = re.compile(r"\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")


def parse_guid(text: str, target: str) -> UUID:
    if not _GUID.fullmatch(text):
        raise misfit(target, "a GUID such as 00000a6c-0000-0000-0d00-005001000000")
    return UUID(text)


def to_record(target: str, entity_id: int) -> Callable[[str], object]:
    def convert(text: str) -> int:
        return record_id.decode(entity_id, parse_guid(text, target))

    return convert


def to_symbol(target: str, enum: Enum) -> Callable[[str], object]:
    members = enum.by_symbol

    def convert(text: str) -> int | str:
        member = members.get(text)
        if member is None:
            raise misfit(target, f"a value of {enum.name}", suggest(text, members))
        return member.value

    return convert


def to_choice(target: str, enum: Enum) -> Callable[[str], object]:
    values: Mapping[str, int | str] = {str(member.choice): member.value for member in enum.members}

    def convert(text: str) -> int | str:
        if text not in values:
            known = ", ".join(f"{member.choice} ({member.label or member.symbol})" for member in enum.members[:12])
            raise misfit(target, "a choice number", f"Known are: {known}." if known else "")
        return values[text]

    return convert


def to_choices(target: str, enum: Enum) -> Callable[[str], str]:
    """Choice numbers with commas between them, ascending and each once; '' for none."""
    one = to_choice(target, enum)

    def convert(text: str) -> str:
        if len(text) > MAX_CHOICES:
            raise misfit(target, "choice numbers with commas between them, as in '1,3',")
        numbers = {one(part.strip()): int(part) for part in text.split(",") if part.strip()}
        return ",".join(map(str, sorted(numbers.values())))

    return convert


def to_boolean(target: str) -> Callable[[str], object]:
    def convert(text: str) -> bool:
        if text not in ("true", "false"):
            raise misfit(target, "true or false")
        return text == "true"

    return convert


# ------------------------------------------------------------------------------------- which conversion it is


def single(field: EntityField) -> EntityField:
    """One of the choices of a field that holds several, as a field of its own."""
    return replace(field, several=False)


def enum_of(field: EntityField, model: Model) -> Enum:
    """The enum of an enum field; an empty one where the model lacks it, so that no value fits."""
    return model.enums.get(field.enum or "") or Enum(field.enum or field.name, ())


def expected_form(field: EntityField, model: Model, dialect: Dialect) -> str:
    """How a literal for the field is written, for messages."""
    match field.kind:
        case Kind.STRING if field.several:
            return "choice numbers in single quotes, as in '1,3',"
        case Kind.STRING:
            return "text in single quotes, as in 'abc',"
        case Kind.GUID:
            return "a GUID without quotes, as in 00000a6c-0000-0000-0d00-005001000000,"
        case Kind.INT32 | Kind.INT64:
            return "a whole number, as in 5,"
        case Kind.DECIMAL | Kind.DOUBLE:
            return "a number, as in 9.95,"
        case Kind.BOOLEAN:
            return "true or false"
        case Kind.DATE:
            return "a date without quotes, as in 2026-10-01,"
        case Kind.DATETIME:
            return "a moment without quotes, as in 2026-10-01T12:00:00Z,"
        case Kind.ENUM:
            enum = enum_of(field, model)
            if field.choice:
                number = enum.members[0].choice if enum.members else 200000000
                return f"a choice number, as in {number},"
            symbol = enum.members[0].symbol if enum.members else "Symbol"
            return f"a qualified value, as in {model.namespace}.{enum.name}'{symbol}',"


_NUMBER_KINDS = {
    LiteralKind.INTEGER: Kind.INT64,
    LiteralKind.DECIMAL: Kind.DECIMAL,
    LiteralKind.DOUBLE: Kind.DOUBLE,
}
_TEXTS = (LiteralKind.STRING, LiteralKind.WILDCARD)
_MOMENTS = (LiteralKind.DATE, LiteralKind.DATETIME)


def field_slot(
    field: EntityField, literal: LiteralKind, enum_type: str, model: Model, dialect: Dialect, quoted: bool = False
) -> SlotSpec:
    """The slot of a literal that is compared with ``field``. Raises Refusal FC1003 where the kinds don't go together.

    ``enum_type``: qualified type of an enum literal. ``quoted``: the value stands in quotes whatever its type, as in
    ``PropertyValues=["1","2"]``.
    """
    target = field.name
    if quoted and literal in _TEXTS:
        return SlotSpec(slot_kind(field), literal, target, from_text(field, model))
    match field.kind:
        case Kind.STRING if literal in _TEXTS:
            return SlotSpec(Kind.STRING, literal, target, from_text(field, model))
        case Kind.GUID if literal is LiteralKind.GUID or (dialect.quoted_guid and literal in _TEXTS):
            return SlotSpec(slot_kind(field), literal, target, from_text(field, model))
        case Kind.INT32 | Kind.INT64 if literal is LiteralKind.INTEGER:
            return SlotSpec(field.kind, literal, target, from_text(field, model))
        case Kind.INT32 | Kind.INT64 | Kind.DECIMAL if literal in _NUMBER_KINDS:
            return SlotSpec(Kind.DECIMAL, literal, target, to_decimal(target))
        case Kind.DOUBLE if literal in _NUMBER_KINDS:
            return SlotSpec(Kind.DOUBLE, literal, target, to_double(target))
        case Kind.DATE | Kind.DATETIME if literal in _MOMENTS:
            return SlotSpec(field.kind, literal, target, from_text(field, model))
        case Kind.ENUM if field.choice and literal is LiteralKind.INTEGER:
            return SlotSpec(Kind.ENUM, literal, target, from_text(field, model))
        case Kind.ENUM if not field.choice and literal is LiteralKind.ENUM:
            enum = enum_of(field, model)
            if enum_type in (f"{model.namespace}.{enum.name}", f"{dialect.namespace}.{enum.name}"):
                return SlotSpec(Kind.ENUM, literal, target, to_symbol(target, enum))
    raise misfit(target, expected_form(field, model, dialect))


def slot_kind(field: EntityField) -> Kind:
    """The kind of value that is bound for a field: a row id of a virtual table is bound as its record id."""
    return Kind.INT64 if field.record_of is not None else field.kind


def from_text(field: EntityField, model: Model) -> Callable[[str], object]:
    """Converts text to the field's value, whatever form of literal it came in."""
    target = field.name
    match field.kind:
        case Kind.STRING if field.several:
            return to_choices(target, enum_of(field, model))
        case Kind.STRING if field.choice:
            one = to_choice(target, enum_of(field, model))
            return lambda text: str(one(text))
        case Kind.STRING:
            return to_string(target)
        case Kind.GUID:
            return to_guid(target) if field.record_of is None else to_record(target, field.record_of)
        case Kind.INT32:
            return to_integer(target, INT32)
        case Kind.INT64:
            return to_integer(target, INT64)
        case Kind.DECIMAL:
            return to_decimal(target)
        case Kind.DOUBLE:
            return to_double(target)
        case Kind.BOOLEAN:
            return to_boolean(target)
        case Kind.DATE:
            return to_date(target)
        case Kind.DATETIME:
            return to_datetime(target)
        case Kind.ENUM:
            enum = enum_of(field, model)
            return to_choice(target, enum) if field.choice else to_symbol(target, enum)


def number_slot(literal: LiteralKind, target: str) -> SlotSpec:
    """The slot of a number inside an arithmetic expression."""
    kind = _NUMBER_KINDS.get(literal)
    if kind is None:
        raise misfit(target, "a number")
    convert = {Kind.INT64: to_integer(target, INT64), Kind.DECIMAL: to_decimal(target), Kind.DOUBLE: to_double(target)}
    return SlotSpec(kind, literal, target, convert[kind])


_STORED: Mapping[LiteralKind, Callable[[str], Callable[[str], object]]] = {
    LiteralKind.STRING: to_string,
    LiteralKind.INTEGER: lambda target: to_integer(target, INT64),
    LiteralKind.DECIMAL: to_decimal,
    LiteralKind.DOUBLE: to_double,
    LiteralKind.DATE: to_date,
    LiteralKind.DATETIME: to_datetime,
    LiteralKind.GUID: to_guid,
    LiteralKind.BOOLEAN: to_boolean,
}

_STORED_KINDS: Mapping[Kind, tuple[LiteralKind, ...]] = {
    Kind.STRING: (LiteralKind.STRING,),
    Kind.INT32: (LiteralKind.INTEGER,),
    Kind.INT64: (LiteralKind.INTEGER,),
    Kind.DECIMAL: (LiteralKind.DECIMAL, LiteralKind.INTEGER),
    Kind.DOUBLE: (LiteralKind.DOUBLE,),
    Kind.DATE: _MOMENTS,
    Kind.DATETIME: _MOMENTS,
    Kind.GUID: (LiteralKind.GUID,),
    Kind.BOOLEAN: (LiteralKind.BOOLEAN,),
    Kind.ENUM: (LiteralKind.STRING, LiteralKind.INTEGER, LiteralKind.BOOLEAN),
}


def position_slot(field: EntityField, literal: LiteralKind) -> SlotSpec | None:
    """The slot of a value of a paging token, which is a value as the store returns it. None where it can't be one."""
    kind = slot_kind(field)
    if literal not in _STORED_KINDS[kind]:
        return None
    make = to_date if kind is Kind.DATE else _STORED[literal]
    convert = to_integer(field.name, INT32) if kind is Kind.INT32 else make(field.name)
    return SlotSpec(kind, literal, field.name, convert)
