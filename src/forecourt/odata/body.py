"""The JSON body of a write: bytes to pairs (field, value), names and types checked.

Values are what is bound for the field (``slots``); null is None, or 1900-01-01 where that day means null. What is
refused: more than 1 MB (FC1005), anything but one JSON object or a property given twice (FC1006), unknown properties
(FC1002), read-only fields, values of another type, text longer than the column, null where the column has none
(FC1003), a key that contradicts the URL's (FC1003), nested rows and ``@odata.bind`` (FC1004). Other annotations are
ignored. Sources: operations-and-integration 2.5, 2.7, 5.2; pages-and-dataverse B2.1, B2.2.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.types import EMPTY_DATE, Kind
from forecourt.odata import slots
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import printable
from forecourt.odata.record_id import NO_RECORD

MAX_BODY = 1_000_000
MAX_PROPERTIES = 2_000


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


def parse_object(body: bytes) -> dict[str, Any]:
    """The body as one JSON object; numbers with a point or an exponent are Decimals. Raises Refusal FC1005, FC1006."""
    if len(body) > MAX_BODY:
        raise Refusal("FC1005", f"The body is larger than {MAX_BODY} bytes.", source="body")
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


def read_changes(
    body: bytes,
    entity: Entity,
    model: Model,
    dialect: Dialect,
    *,
    key: Mapping[str, object] | None = None,
    ieee754: bool = False,
) -> tuple[tuple[str, object], ...]:
    """The fields of a body with their bound values, in the order of the body.

    ``key``: bound values of the row's key, for an update: key fields that repeat it are left out, others are refused.
    None: a new row, whose key fields are fields like others. ``ieee754``: 64-bit integers and decimals may be strings.
    """
    changes: list[tuple[str, object]] = []
    for name, value in parse_object(body).items():
        if "@" in name:
            if name.endswith("@odata.bind"):
                raise Refusal(
                    "FC1004",
                    f"'{printable(name[:100])}': relations cannot be bound here.",
                    hint="Write the columns of the relation.",
                    source="body",
                )
            continue
        field = entity.fields.get(name)
        if field is None:
            if name in entity.relations:
                raise Refusal("FC1004", f"'{name}': rows cannot be written through a relation.", source="body")
            raise Refusal(
                "FC1002",
                f"Could not find a property named '{printable(name[:100])}' on type '{entity.public_name}'.",
                hint=suggest(printable(name[:100]), entity.fields),
                source="body",
            )
        bound = read_value(value, field, model, dialect, ieee754=ieee754)
        if key is not None and name in entity.key:
            if key.get(name) != bound:
                raise Refusal("FC1003", f"'{name}' is part of the key and cannot be changed.", source=name)
            continue
        if not field.editable or (key is not None and entity.read_only):
            raise Refusal("FC1003", f"'{name}' is read-only.", hint="Leave it out.", source=name)
        changes.append((name, bound))
    return tuple(changes)


def read_value(value: Any, field: EntityField, model: Model, dialect: Dialect, *, ieee754: bool = False) -> object:
    """A JSON value as the field's bound value. Raises Refusal FC1003."""
    target = field.name
    if value is None:
        return _null(field)
    match field.kind:
        case Kind.STRING if isinstance(value, str):
            if field.length is not None and len(value) > field.length:
                raise Refusal(
                    "FC1003",
                    f"The value for '{target}' is longer than {field.length} characters.",
                    hint=f"It has {len(value)}.",
                    source=target,
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
            return slots.to_choice(target, slots.enum_of(field, model))(_digits(field, value))
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


def _integer(field: EntityField, value: int) -> int:
    limits = slots.INT32 if field.kind is Kind.INT32 else slots.INT64
    if value not in limits:
        raise slots.misfit(field.name, f"a whole number from {limits.start} to {limits.stop - 1}")
    return value


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
