"""Notes of a form's row: what its metadata of type Notes, or of the timeline, lets people do with them (A4.4).

``adx_notes_settings`` is JSON, read leniently; what it does not switch on is off::

    {"CreateEnabled": true, "EditEnabled": true, "DeleteEnabled": true, "ListTitle": texts, "EmptyMessage": texts,
     "AddNoteButtonLabel": texts, "AttachFileAccept": "application/pdf", "AttachFileRestrictAccept": true,
     "AttachFileMaxSize": 512, "CreateDialog": {"DisplayAttachFile": true, "AttachFileRequired": false}}

``adx_timeline_settings`` has the same switches; a timeline's notes are not changed or deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from forecourt.pages.site.attachments import Attach
from forecourt.pages.site.kinds import Kind
from forecourt.pages.site.list_actions import label_of
from forecourt.pages.site.record import Folder, Record

#: ``adx_type`` of metadata of a column, and of the notes.
COLUMN: Final = "100000000"
NOTES: Final = "100000005"

_SETTINGS, _TIMELINE = "adx_notes_settings", "adx_timeline_settings"


@dataclass(frozen=True, slots=True)
class NoteRule:
    """``create``: people add notes; ``edit``, ``delete``: they change and delete their own. ``attach``: the file of a
    note, None where notes have none. The texts are '' for the usual words."""

    create: bool = False
    edit: bool = False
    delete: bool = False
    attach: Attach | None = None
    title: str = ""
    add_label: str = ""
    empty_text: str = ""


def is_notes(record: Record) -> bool:
    """Whether a row of metadata is about notes."""
    kind = record.text("adx_type", COLUMN)
    return kind == NOTES or (kind != COLUMN and any(record.text(key) for key in (_SETTINGS, _TIMELINE)))


def read_notes(folder: Folder, kind: Kind) -> Mapping[UUID, NoteRule]:
    """By the form that shows notes of its row."""
    found: dict[UUID, NoteRule] = {}
    for record in folder.records(kind):
        owner = record.uuid(kind.owned_by)
        if owner is not None and record.active and is_notes(record):
            found[owner] = _rule(record)
    return found


def _rule(record: Record) -> NoteRule:
    of_notes = bool(record.text(_SETTINGS)) or not record.text(_TIMELINE)
    settings = _object(record.json(_SETTINGS if of_notes else _TIMELINE))
    dialog = _object(settings.get("CreateDialog"))
    return NoteRule(
        create=settings.get("CreateEnabled") is True,
        edit=of_notes and settings.get("EditEnabled") is True,
        delete=of_notes and settings.get("DeleteEnabled") is True,
        attach=None if dialog.get("DisplayAttachFile") is False else _attach(settings, dialog),
        title=label_of(settings.get("ListTitle")),
        add_label=label_of(settings.get("AddNoteButtonLabel")),
        empty_text=label_of(settings.get("EmptyMessage")),
    )


def _attach(settings: Mapping[str, Any], dialog: Mapping[str, Any]) -> Attach:
    named = ",".join(str(settings.get(key) or "") for key in ("AttachFileAccept", "AttachFileAcceptExtensions"))
    accept = dict.fromkeys(item for part in named.replace(";", ",").split(",") if (item := part.strip().lower()))
    size = settings.get("AttachFileMaxSize")
    return Attach(
        label=label_of(dialog.get("AttachFileLabel")),
        required=dialog.get("AttachFileRequired") is True,
        accept=tuple(item for item in accept if item not in {"*/*", "*", ".*"}),
        restrict=settings.get("AttachFileRestrictAccept") is True,
        max_size=size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else 0,
        type_text=label_of(settings.get("AttachFileTypeErrorMessage")),
        size_text=label_of(settings.get("AttachFileSizeErrorMessage")),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
