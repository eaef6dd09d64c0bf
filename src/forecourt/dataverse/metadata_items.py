"""Parts of the metadata's JSON: items with their links, labels, ids (pages-and-dataverse B3).

An :class:`Item` is one definition: what it says of itself, and what hangs on it, which answers have only where they
are asked for it. Ids are the same in every database. Labels are in
all languages that the solution has for them, the base language first; :func:`spoken` picks the asker's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forecourt.kernel.label import Label, number_of, stem
from forecourt.security.standing import id_of

NAMESPACE = "Microsoft.Dynamics.CRM"

#: English, United States: what labels are said to be in whose file does not say.
LANGUAGE = 1033

Value = Any


@dataclass(frozen=True)
class Item:
    """``type``: ``StringAttributeMetadata``. ``links``: navigation properties, an item, several or None."""

    type: str
    values: Mapping[str, Value]
    links: Mapping[str, Item | tuple[Item, ...] | None] = field(default_factory=dict)


def metadata_id(kind: str, name: str) -> str:
    """The id of a definition: of a table, of a column (``table.column``), …"""
    return str(id_of(f"metadata/{kind}", name))


def label(text: str, owner: str = "") -> dict[str, Value]:
    """A label. Without text it has no translation. ``owner``: what it is the label of, for its id."""
    if not text:
        return {"LocalizedLabels": [], "UserLocalizedLabel": None}
    base, others = LANGUAGE, {}
    if isinstance(text, Label):
        base = number_of(text.base) or LANGUAGE if text.base else LANGUAGE
        numbered = ((number_of(code), other) for code, other in sorted(text.translations.items()))
        others = {number: other for number, other in numbered if number is not None}
    labels = [
        {
            "Label": str(one),
            "LanguageCode": number,
            "IsManaged": False,
            "MetadataId": metadata_id("label", f"{owner}/{text}" if number == base else f"{owner}/{text}/{number}"),
            "HasChanged": None,
        }
        for number, one in {base: text, **others}.items()
    ]
    return {"LocalizedLabels": labels, "UserLocalizedLabel": labels[0]}


def spoken(value: Value, languages: Sequence[str]) -> Value:
    """A part of an answer with the ``UserLocalizedLabel`` of each label in the first of ``languages`` that it has: that
    language, else another of the same stem (``de-AT`` by ``de``). Without any it stays in the base language."""
    wanted = [number for code in languages for number in (number_of(code), number_of(stem(code))) if number is not None]
    return _spoken(value, wanted) if wanted else value


def _spoken(value: Value, wanted: Sequence[int]) -> Value:
    if isinstance(value, list):
        return [_spoken(item, wanted) for item in value]
    if not isinstance(value, dict):
        return value
    labels = value.get("LocalizedLabels")
    if not isinstance(labels, list):
        return {name: _spoken(item, wanted) for name, item in value.items()}
    known = {item["LanguageCode"]: item for item in labels}
    found = next((known[number] for number in wanted if number in known), value["UserLocalizedLabel"])
    return {**value, "UserLocalizedLabel": found}


def managed(value: Value, name: str, can_change: bool = False) -> dict[str, Value]:
    """A managed property."""
    return {"Value": value, "CanBeChanged": can_change, "ManagedPropertyLogicalName": name}


def option(value: int, text: str, owner: str, **more: Value) -> dict[str, Value]:
    """An option of a choice."""
    return {
        "Value": value,
        "Color": None,
        "IsManaged": False,
        "ExternalValue": None,
        "ParentValues": [],
        "Tag": None,
        "IsHidden": False,
        "Label": label(text, f"{owner}/{value}"),
        "Description": label(""),
        "MetadataId": None,
        "HasChanged": None,
        **more,
    }


def option_set(
    name: str, text: str, options: list[dict[str, Value]], kind: str = "Picklist", shared: bool = False
) -> Item:
    """A choice. ``shared``: global, used by many columns."""
    values = {
        "MetadataId": metadata_id("choice", name),
        "HasChanged": None,
        "Name": name,
        "DisplayName": label(text, name),
        "Description": label(""),
        "IsCustomOptionSet": shared,
        "IsGlobal": shared,
        "IsManaged": False,
        "OptionSetType": kind,
        "ExternalTypeName": None,
        "ParentOptionSetName": None,
        "IsCustomizable": managed(False, "iscustomizable"),
        "Options": options,
    }
    return Item("OptionSetMetadata", values)
