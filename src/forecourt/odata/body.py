"""The JSON body of a write: bytes to an object, JSON values to what is bound for a field (``slots``).

Null is None, or 1900-01-01 where that day means null. What is refused: more than 1 MB (FC1005), anything but one JSON
object or a property given twice (FC1006), values of another type, text longer than the column, null where the column
has none (FC1003). Leaves out names and relations (``rows``).
Sources: operations-and-integration 2.5, 2.7, 5.2; pages-and-dataverse B2.1, B2.2.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField, Model
from forecourt.kernel.types import EMPTY_DATE, Kind
from forecourt.odata import slots
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import printable
from forecourt.odata.record_id import NO_RECORD

MAX_BODY = 1_000_000
MAX_PROPERTIES = 2_000

#: Dataverse's codes for a text that is too long, a number out of its range, a choice that is none (reference B2.10).
OUT_OF_RANGE = "0x80044330"
TOO_LONG = "0x80044331"
NO_CHOICE = "0x8004431A"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Refusal("FC1006", f"The property '{printable(name[:100])}' is given twice.", source="body")
            seen.add(name)
    return result


def _no_constant(name: str) -> Any:
    raise Refusal("FC1006", f"{name} is not a JSON number.", source="body")


def parse_object(body: bytes, limit: int = MAX_BODY) -> dict[str, Any]:
    """The body as one JSON object; numbers with a point or an exponent are Decimals. ``limit``: in bytes.

    Raises Refusal FC1005, FC1006.
    """
    if len(body) > limit:
        raise Refusal("FC1005", f"The body is larger than {limit} bytes.", source="body")
    try:
        data = json.loads(
            body.decode("utf-8-sig"), object_pairs_hook=_object, parse_float=Decimal, parse_constant=_no_constant
        )
    except (ValueError, ArithmeticError, RecursionError):
        raise Refusal("FC1006", "The body is not valid JSON.", source="body") from None
    if not isinstance(data, dict):
        raise Refusal("FC1006", "The body is not a JSON object.", hint='Write {"Column": value}.', source="body")
    if len(data) > MAX_PROPERTIES:
        raise Refusal("FC1006", f"The body has more than {MAX_PROPERTIES} properties.", source="body")
    return data


def read_value(value: Any, field: EntityField, model: Model, dialect: Dialect, *, ieee754: bool = False) -> object:
    """A JSON value as the field's bound value. Raises Refusal FC1003."""
    if value is None:
        return _null(field)
    bound = _bound(value, field, model, dialect, ieee754)
    if field.least is not None or field.most is not None:
        _ranged(field, bound)
    return bound


def _bound(value: Any, field: EntityField, model: Model, dialect: Dialect, ieee754: bool) -> object:
    target = field.name
    match field.kind:
        case Kind.STRING if field.several and isinstance(value, str):
            return _choices(field, value, model)
        case Kind.STRING if isinstance(value, str):
            if field.length is not None and len(value) > field.length:
                raise Refusal(
                    "FC1003",
                    f"The value for '{target}' is longer than {field.length} characters.",
                    hint=f"It has {len(value)}.",
                    source=target,
                    surface=TOO_LONG,
                )
            return slots.to_string(target)(value)
        case Kind.INT32 | Kind.INT64 if isinstance(value, int) and not isinstance(value, bool):
            return _integer(field, value)
        case Kind.INT64 if ieee754 and isinstance(value, str):
            return slots.to_integer(target, slots.INT64)(value)
        case Kind.DECIMAL if isinstance(value, Decimal | int) and not isinstance(value, bool):
            return slots.to_decimal(target)(_digits(field, value))
        case Kind.DECIMAL if ieee754 and isinstance(value, str):
            return slots.to_decimal(target)(value)
        case Kind.DOUBLE if isinstance(value, Decimal | int) and not isinstance(value, bool):
            return slots.to_double(target)(_digits(field, value))
        case Kind.BOOLEAN if isinstance(value, bool):
            return value
        case Kind.GUID if isinstance(value, str):
            return _guid(field, value)
        case Kind.DATE if isinstance(value, str):
            return slots.to_date(target)(value)
        case Kind.DATETIME if isinstance(value, str):
            return slots.to_datetime(target)(value)
        case Kind.ENUM if field.choice and isinstance(value, int) and not isinstance(value, bool):
            return _choice(field, value, model)
        case Kind.ENUM if not field.choice and isinstance(value, str):
            return slots.to_symbol(target, slots.enum_of(field, model))(value)
    raise slots.misfit(target, _JSON_FORMS[field.kind] if not field.choice else "a choice number")


_JSON_FORMS: Mapping[Kind, str] = {
    Kind.STRING: 'text, as in "abc",',
    Kind.INT32: "a whole number, as in 5,",
    Kind.INT64: "a whole number, as in 5,",
    Kind.DECIMAL: "a number, as in 9.95,",
    Kind.DOUBLE: "a number, as in 9.95,",
    Kind.BOOLEAN: "true or false",
    Kind.GUID: "a GUID as text",
    Kind.DATE: 'a date, as in "2026-10-01",',
    Kind.DATETIME: 'a moment, as in "2026-10-01T12:00:00Z",',
    Kind.ENUM: "the name of a value, as text,",
}


def _null(field: EntityField) -> object:
    if field.empty_date:
        if field.kind is Kind.DATE:
            return EMPTY_DATE
        return dt.datetime(EMPTY_DATE.year, EMPTY_DATE.month, EMPTY_DATE.day, tzinfo=dt.UTC)
    if not field.nullable:
        raise Refusal("FC1003", f"'{field.name}' cannot be null.", source=field.name)
    return None


def _ranged(field: EntityField, value: Any) -> None:
    """Raises Refusal FC1003 for a number out of the column's range."""
    least, most = field.least, field.most
    if (least is not None and value < least) or (most is not None and value > most):
        raise Refusal(
            "FC1003",
            f"The value of '{field.name}' is outside of its range.",
            hint=f"It is at least {'-∞' if least is None else least} and at most {'∞' if most is None else most}.",
            source=field.name,
            surface=OUT_OF_RANGE,
        )


def _integer(field: EntityField, value: int) -> int:
    limits = slots.INT32 if field.kind is Kind.INT32 else slots.INT64
    if value not in limits:
        raise slots.misfit(field.name, f"a whole number from {limits.start} to {limits.stop - 1}")
    return value


def _choice(field: EntityField, value: int, model: Model) -> object:
    try:
        return slots.to_choice(field.name, slots.enum_of(field, model))(_digits(field, value))
    except Refusal as refusal:
        refusal.surface = NO_CHOICE
        raise


def _choices(field: EntityField, value: str, model: Model) -> object:
    """None where nothing is chosen."""
    try:
        return slots.to_choices(field.name, slots.enum_of(field, model))(value) or None
    except Refusal as refusal:
        refusal.surface = NO_CHOICE
        raise


def _digits(field: EntityField, value: Decimal | int) -> str:
    """A number as text, bounded before it is spelled out."""
    if isinstance(value, int) and value.bit_length() > 400:
        raise slots.misfit(field.name, "a smaller number")
    return str(value)


def _guid(field: EntityField, value: str) -> object:
    if field.record_of is None:
        return slots.to_guid(field.name)(value)
    record = slots.to_record(field.name, field.record_of)(value)
    if record == NO_RECORD:
        raise slots.misfit(field.name, "an id of this table")
    return record
