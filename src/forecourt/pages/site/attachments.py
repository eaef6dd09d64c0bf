"""Attach file: what a basic form says of files that are sent with it (``adx_attachfile*``, A4.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from forecourt.pages.site.record import Record

#: ``adx_attachfilestoragelocation`` and ``adx_attachfilesaveoption``: a note's attachment.
NOTE = "756150000"


@dataclass(frozen=True, slots=True)
class Attach:
    """``accept``: MIME types, ``image/*`` for a family, and endings with their dot, in lower case; a hint for browsers
    unless ``restrict``. ``max_size``: KB, 0 for the server's own limit. The ``_text`` fields are what is said where
    something is wrong, '' for the usual words."""

    label: str = ""
    required: bool = False
    multiple: bool = False
    accept: tuple[str, ...] = ()
    restrict: bool = False
    max_size: int = 0
    required_text: str = ""
    type_text: str = ""
    size_text: str = ""


def read_attach(record: Record, text: Callable[[Record, str], str], notices: list[str]) -> Attach | None:
    """What the form's row says, None where no files are attached. ``text``: reads a text for people."""
    if not record.flag("adx_attachfile"):
        return None
    for key in ("adx_attachfilestoragelocation", "adx_attachfilesaveoption"):
        if record.text(key, NOTE) != NOTE:
            notices.append(f"{record.where(key)}: files are kept as attachments of notes, not elsewhere.")
    size = record.number("adx_attachfilemaxsize", 0)
    if size < 0:
        record.fault(f"'adx_attachfilemaxsize' is {size}.", "adx_attachfilemaxsize", "Write a number of KB.")
        size = 0
    named = f"{record.text('adx_attachfileaccept')},{record.text('adx_attachfileacceptextensions')}"
    accept = tuple(dict.fromkeys(item for part in named.replace(";", ",").split(",") if (item := part.strip().lower())))
    return Attach(
        label=text(record, "adx_attachfilelabel"),
        required=record.flag("adx_attachfilerequired"),
        multiple=record.flag("adx_attachfileallowmultiple"),
        accept=tuple(item for item in accept if item not in {"*/*", "*", ".*"}),
        restrict=record.flag("adx_attachfilerestrictaccept"),
        max_size=size,
        required_text=text(record, "adx_attachfilerequirederrormessage"),
        type_text=text(record, "adx_attachfiletypeerrormessage"),
        size_text=text(record, "adx_attachfilesizeerrormessage"),
    )
