"""Values of fields that nobody types: what a maker wrote, today, or something of the person who asks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from uuid import UUID

from forecourt.kernel.model import EntityField, Enum
from forecourt.kernel.principal import Contact
from forecourt.kernel.types import INTEGERS, NUMBERS, Kind
from forecourt.pages import formatting
from forecourt.pages.formatting import Locales
from forecourt.pages.site.field_rules import Preset, PresetKind


def value_of(
    preset: Preset,
    column: EntityField,
    enums: Mapping[str, Enum],
    locales: Locales,
    contact: Contact | None,
    hidden: frozenset[str],
) -> object:
    """The Dataverse value, None where there is none. ``hidden``: columns of the contact that they may not read."""
    match preset.kind:
        case PresetKind.TODAY:
            now = dt.datetime.now(dt.UTC)
            return now.astimezone(locales.zone).date() if column.kind is Kind.DATE else now.replace(microsecond=0)
        case PresetKind.PERSON:
            return _of_person(preset.column, column, contact, hidden)
        case _:
            return _written(preset.value, column, enums)


def _of_person(name: str, column: EntityField, contact: Contact | None, hidden: frozenset[str]) -> object:
    if contact is None or name in hidden:
        return None
    if column.targets or name in ("", "contactid"):
        return str(contact.id) if name in ("", "contactid") else _guid(dict(contact.columns).get(name))
    own = {"fullname": contact.name, "emailaddress1": contact.email}
    return dict(contact.columns).get(name, own.get(name))


def _written(text: str, column: EntityField, enums: Mapping[str, Enum]) -> object:
    """What a maker wrote for a column; None where it is no value of it."""
    enum = enums.get(column.enum) if column.enum else None
    if column.kind is Kind.BOOLEAN or (enum is not None and formatting.is_yes_no(enum)):
        yes = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
        if enum is None or yes is None:
            return yes
        return next((member.choice for member in enum.members if (member.symbol.lower() == "yes") == yes), None)
    if column.several:
        return text
    try:
        if enum is not None or column.kind in INTEGERS:
            return int(text)
        if column.kind in NUMBERS:
            number = Decimal(text)
            return float(number) if column.kind is Kind.DOUBLE else number
        if column.kind is Kind.DATE:
            return dt.date.fromisoformat(text[:10])
        if column.kind is Kind.DATETIME:
            return formatting.as_moment(text)
    except (ValueError, InvalidOperation):
        return None
    return _guid(text) if column.kind is Kind.GUID else text


def _guid(value: object) -> str | None:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return None
