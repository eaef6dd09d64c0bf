"""What a form says of single fields beyond the table: metadata of basic forms and of steps (A4.4).

A rule is about a column: another label, that it needs a value, a pattern, its own words for what is wrong, a text
beside it, what it holds when the form is opened, and what is stored whatever was typed. Metadata of sections and tabs
and control styles have no effect here; of subgrids and notes :mod:`~forecourt.pages.site.subgrid_actions` and
:mod:`~forecourt.pages.site.note_settings` read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID

import regex

from forecourt.pages.site.kinds import FORM_METADATA, STEP_METADATA, Kind
from forecourt.pages.site.list_actions import label_of
from forecourt.pages.site.note_settings import COLUMN, is_notes
from forecourt.pages.site.record import Folder, Record
from forecourt.pages.site.subgrid_actions import is_subgrid

#: Columns of a rule that have no effect.
_WITHOUT: Final = ("adx_controlstyle", "adx_entityformforcreate")


class PresetKind(IntEnum):
    """Where a value comes from that nobody types."""

    VALUE = 100000000
    TODAY = 100000001
    PERSON = 100000002


class Position(IntEnum):
    """Where a field's description stands."""

    ABOVE_FIELD = 100000000
    BELOW_FIELD = 100000001
    ABOVE_LABEL = 100000002


@dataclass(frozen=True, slots=True)
class Preset:
    """``value``: as the maker wrote it; ``column``: of the contact who is asking."""

    kind: PresetKind
    value: str = ""
    column: str = ""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Of one column. ``pattern``: what a text must match; the ``_text`` fields are what is said where something is
    wrong, '' for the usual words. ``prefill``: when a row is made; ``on_save``: whenever the form is sent."""

    label: str = ""
    required: bool = False
    required_text: str = ""
    pattern: str = ""
    pattern_text: str = ""
    range_text: str = ""
    error_text: str = ""
    description: str = ""
    position: Position = Position.ABOVE_FIELD
    prefill: Preset | None = None
    on_save: Preset | None = None


FieldRules = Mapping[str, FieldRule]


def read_field_rules(folder: Folder, kind: Kind) -> Mapping[UUID, FieldRules]:
    """Rules by the form or step that they belong to, then by the column's logical name."""
    found: dict[UUID, dict[str, FieldRule]] = {}
    for record in folder.records(kind):
        owner = record.uuid(kind.owned_by)
        column = record.text("adx_attributelogicalname").lower()
        if owner is not None and column and record.active and record.text("adx_type", COLUMN) == COLUMN:
            found.setdefault(owner, {})[column] = _rule(record)
    return found


def without_effect(record: Record) -> bool:
    """Whether a row of metadata asks for something that no page does."""
    if record.kind not in (FORM_METADATA, STEP_METADATA) or is_notes(record):
        return False
    if is_subgrid(record):
        return False
    return record.text("adx_type", COLUMN) != COLUMN or any(record.chosen(key) for key in _WITHOUT)


def _rule(record: Record) -> FieldRule:
    pattern = record.text("adx_validationregularexpression")
    try:
        regex.compile(pattern)
    except regex.error as error:
        record.fault(
            f"the regular expression of '{record.text('adx_attributelogicalname')}' cannot be read: {error}.",
            "adx_validationregularexpression",
        )
        pattern = ""
    described = record.flag("adx_adddescription") and not record.flag("adx_useattributedescriptionproperty")
    return FieldRule(
        label=_text(record, "adx_label"),
        required=record.flag("adx_fieldisrequired"),
        required_text=_text(record, "adx_requiredfieldvalidationerrormessage"),
        pattern=pattern,
        pattern_text=_text(record, "adx_validationregularexpressionerrormessage"),
        range_text=_text(record, "adx_rangevalidationerrormessage"),
        error_text=_text(record, "adx_validationerrormessage"),
        description=_text(record, "adx_description") if described else "",
        position=record.choice("adx_descriptionposition", Position, Position.ABOVE_FIELD) or Position.ABOVE_FIELD,
        prefill=_preset(record, "adx_prepopulate"),
        on_save=_preset(record, "adx_onsave") if record.flag("adx_setvalueonsave") else None,
    )


def _preset(record: Record, prefix: str) -> Preset | None:
    key = f"{prefix}type"
    kind = record.choice(key, PresetKind) if record.chosen(key) else None
    if kind is None:
        return None
    return Preset(kind, record.text(f"{prefix}value"), record.text(f"{prefix}fromattribute").lower())


def _text(record: Record, key: str) -> str:
    value = record.json(key)
    return label_of(value) if isinstance(value, list) else record.text(key)
