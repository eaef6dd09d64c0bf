"""Values of rows: as the database stores them, and as Dataverse shows them and takes them (pages-and-dataverse B1).

A choice is its number, several are numbers with commas between them; a moment is in UTC; a row id of a virtual table is
a GUID; the day that means none is null. Leaves out how a protocol writes them.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField, Model
from forecourt.kernel.types import EMPTY_DATE, Kind, is_empty_date
from forecourt.odata import record_id
from forecourt.odata.slots import enum_of, to_choices

_TYPES: dict[Kind, type | tuple[type, ...]] = {
    Kind.STRING: str,
    Kind.INT32: int,
    Kind.INT64: int,
    Kind.DECIMAL: (Decimal, int),
    Kind.DOUBLE: (float, int),
    Kind.BOOLEAN: bool,
    Kind.DATE: dt.date,
    Kind.DATETIME: dt.datetime,
    Kind.GUID: (UUID, str),
    Kind.ENUM: (int, str),
}


def shown(field: EntityField, value: Any, model: Model) -> Any:
    """A stored value as Dataverse shows it."""
    if value is None or (field.empty_date and is_empty_date(value)):
        return None
    if field.record_of is not None:
        return str(record_id.encode(field.record_of, value))
    if field.kind is Kind.ENUM and field.enum is not None:
        member = enum_of(field, model).by_value.get(value)
        return None if member is None else member.choice
    if field.kind is Kind.DATE and isinstance(value, dt.datetime):
        return value.date()
    if field.kind is Kind.DATETIME and isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    if field.kind is Kind.GUID:
        return str(value)
    return value


def stored(field: EntityField, value: object, model: Model) -> object:
    """A Dataverse value as the database stores it. Refusal FC1003 where it does not fit."""
    if value is None:
        if field.empty_date:
            return EMPTY_DATE if field.kind is Kind.DATE else dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
        if not field.nullable:
            raise Refusal("FC1003", f"{field.label or field.name} needs a value.", source=field.name)
        return None
    if field.kind is Kind.ENUM and field.enum is not None:
        member = enum_of(field, model).by_choice.get(value) if isinstance(value, int) else None
        if member is None:
            raise Refusal("FC1003", f"{field.label or field.name} has no such choice.", source=field.name)
        return member.value
    if field.several and isinstance(value, str):
        return to_choices(field.name, enum_of(field, model))(value) or None
    if isinstance(value, str) and (len(value) > (field.length or len(value)) or "\x00" in value):
        raise Refusal(
            "FC1003", f"{field.label or field.name} takes at most {field.length} characters.", source=field.name
        )
    expected = _TYPES[field.kind]
    fits = isinstance(value, expected) and not (expected is int and isinstance(value, bool))
    if not fits or (field.kind is Kind.DATE and isinstance(value, dt.datetime)):
        raise Refusal("FC1003", f"{field.label or field.name} has a value of the wrong type.", source=field.name)
    return Decimal(value) if field.kind is Kind.DECIMAL and isinstance(value, int) else value
