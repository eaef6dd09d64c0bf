"""Forms that write: what was typed against what was read and what is stored now.

A form carries, beside each field, the text it was opened with (``@was.<column>``) and the row's version
(``@version``). So only what the person changed is written, and when somebody else has changed the row meanwhile
(FC4121) the person sees, field by field, both values and decides: ``@ask.<column>`` marks such a field,
``@keep.<column>`` is the answer, mine or theirs. All of it comes
from the browser and is trusted in nothing: it can only say what the person wants to write.

A form that makes a row has no version and nothing that it was opened with; it carries ``@once``, by which it is known
when it is sent twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from forecourt.dataverse.rows import Row
from forecourt.dataverse.tables import Table
from forecourt.kernel import answers
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Enum
from forecourt.pages import formatting
from forecourt.pages.formatting import Cell, Locales
from forecourt.pages.inputs import FormField, Section, Unreadable, text_of, value_of
from forecourt.pages.lookups import HIDDEN, Search

WAS = "@was."
KEEP = "@keep."
ASK = "@ask."
VERSION = "@version"
ONCE = "@once"

#: What a row that is not made yet holds.
BLANK = Row(UUID(int=0), {}, "")


def sent_once(posted: Mapping[str, str], makes: bool) -> str:
    """What a form that ``makes`` something is known by: what was posted with it, else something new; '' for others."""
    if posted.get(ONCE) or not makes:
        return posted.get(ONCE, "")
    answers.passing()
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Entry:
    """A field on the page. ``text``: what its input holds; ``was``: what it held when the form was opened.

    ``theirs``: what somebody else has stored meanwhile, where the person has to decide. Of a lookup, ``chosen`` is the
    name of the row that ``text`` is the id of, and ``search`` what was looked for.
    """

    field: FormField
    text: str
    was: str
    shown: Cell
    error: str = ""
    theirs: Cell | None = None
    keep: str = ""
    chosen: str = ""
    search: Search | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled-in form. ``errors``: (field name or '', text), in the order of the page."""

    sections: tuple[tuple[str, tuple[Entry, ...]], ...]
    version: str
    errors: tuple[tuple[str, str], ...] = ()
    conflict: bool = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(entry for _, entries in self.sections for entry in entries)

    def dressed(self, names: Mapping[str, str], found: Mapping[str, Search]) -> Filled:
        """With the names of the rows that lookups hold, and what was ``found`` for those that are looked for."""

        def dress(entry: Entry) -> Entry:
            if not entry.field.column.targets:
                return entry
            theirs = entry.theirs
            if theirs is not None and theirs.text:
                theirs = replace(theirs, text=names.get(theirs.text.lower(), HIDDEN))
            name = names.get(entry.text.strip().lower(), HIDDEN) if entry.text.strip() else ""
            shown = replace(entry.shown, text=name) if entry.shown.text else entry.shown
            search = found.get(entry.field.name)
            return replace(entry, chosen=name, theirs=theirs, shown=shown, search=search)

        sections = tuple((label, tuple(dress(entry) for entry in entries)) for label, entries in self.sections)
        return replace(self, sections=sections)


@dataclass(frozen=True)
class Editor:
    """Fills one form for one person."""

    table: Table
    sections: tuple[Section, ...]
    enums: Mapping[str, Enum]
    locales: Locales
    new: bool = False

    def opened(self, row: Row) -> Filled:
        """The form as it is opened."""
        return self._filled(row, {}, {}, row.version)

    def changes(self, posted: Mapping[str, str]) -> tuple[dict[str, object], dict[str, str]]:
        """Values of the fields that the person changed, and what is wrong, by field name.

        A field whose ``@keep`` says 'theirs' is left as it is stored.
        """
        values: dict[str, object] = {}
        errors: dict[str, str] = {}
        for item in self._editable():
            if item.name not in posted or posted.get(KEEP + item.name) == "theirs":
                continue
            if ASK + item.name in posted and posted.get(KEEP + item.name) != "mine":
                errors[item.name] = self.locales.gettext("Decide which value of %(label)s to keep.", label=item.label)
                continue
            text = posted[item.name]
            needed = item.required and not text.strip()
            if self.new and not text.strip() and not needed:
                continue  # left empty: the table's own default
            if not self.new and text == posted.get(WAS + item.name) and not needed:
                continue
            try:
                values[item.name] = value_of(item, text, self.enums, self.locales)
            except Unreadable as error:
                errors[item.name] = str(error)
        return values, errors

    def again(self, row: Row, posted: Mapping[str, str], errors: Mapping[str, str], general: str = "") -> Filled:
        """The form with everything that was typed, to be corrected and sent again."""
        return self._filled(row, posted, errors, posted.get(VERSION) or row.version, general)

    def conflicting(self, row: Row, posted: Mapping[str, str]) -> Filled:
        """The form after somebody else's change: ``row`` is what is stored now.

        Where only they changed a field, their value is taken; where both did, the person decides.
        """
        return self._filled(row, posted, {}, row.version, conflict=True)

    def refusal(self, refusal: Refusal) -> tuple[dict[str, str], str]:
        """A refusal of the store as an error at its field, or of the whole form."""
        for item in self._editable():
            if refusal.source and refusal.source in (item.name, item.column.base, item.column.column):
                return {item.name: self.locales.said(refusal)}, ""
        return {}, self.locales.said(refusal)

    def _editable(self) -> tuple[FormField, ...]:
        return tuple(item for section in self.sections for item in section.fields if not item.read_only)

    def _filled(
        self,
        row: Row,
        posted: Mapping[str, str],
        errors: Mapping[str, str],
        version: str,
        general: str = "",
        conflict: bool = False,
    ) -> Filled:
        sections = []
        for section in self.sections:
            entries = tuple(self._entry(item, row, posted, errors, conflict) for item in section.fields)
            sections.append((section.label, entries))
        order = [entry.field.name for _, entries in sections for entry in entries]
        listed = [(name, errors[name]) for name in order if name in errors]
        if general:
            listed.insert(0, ("", general))
        return Filled(tuple(sections), version, tuple(listed), conflict)

    def _entry(
        self, item: FormField, row: Row, posted: Mapping[str, str], errors: Mapping[str, str], conflict: bool
    ) -> Entry:
        value: Any = row.values.get(item.name)
        now = text_of(item, value, self.enums, self.locales)
        shown = formatting.cell(item.column, row.values, self.enums, self.locales)
        if item.read_only or item.name not in posted:
            return Entry(item, now, now, shown)
        mine, was = posted[item.name], posted.get(WAS + item.name, now)
        if not conflict:
            theirs = shown if ASK + item.name in posted else None
            return Entry(item, mine, was, shown, errors.get(item.name, ""), theirs, posted.get(KEEP + item.name, ""))
        if mine in (was, now):
            return Entry(item, now, now, shown)
        return Entry(item, mine, now, shown, theirs=shown if now != was else None)
