"""The notes of a row, the newest first: those that the portal shows and the person may read.

Texts are shown as they are, without markup. A note that was written on a page names its author at the end of its
subject, which stands as the author's name. What the person may do with each note comes with the statement that reads
them. Leaves out writing notes (:mod:`~forecourt.pages.notes.writing`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from forecourt.dataverse.rows import Query, Row, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import OrderBy, WriteOperation
from forecourt.kernel.predicate import Field, Match, Slot
from forecourt.kernel.principal import Contact, Principal
from forecourt.kernel.types import Kind
from forecourt.pages import formatting
from forecourt.pages.formatting import Cell, Locales
from forecourt.pages.notes.attaching import NOTES, REGARDING, prefix
from forecourt.pages.notes.downloading import path_of
from forecourt.pages.site import FormDefinition, Site
from forecourt.pages.visit import Visit

#: Notes at a time, and the parameter of the page's address that says where further ones begin.
SIZE = 25
PARAMETER = "notes"
PLACE = "notes"

#: What is asked of a note: its id, or a new one; what is done with it.
NOTE, NEW, DO = "note", "new", "do"

#: Rights to a note, and the characters of a subject.
_CHANGE: Final[WriteOperation] = "update"
_DELETE: Final[WriteOperation] = "delete"
_SUBJECT: Final = 500

_COLUMNS = ("subject", "notetext", "isdocument", "filename", "createdon")

#: The author at the end of a subject.
_AUTHOR = re.compile(r"(?:.* by )?(?P<name>.*) \[contact:(?P<id>[0-9a-fA-F-]{36})\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Note:
    """``author``: who has written it on a page, '' where nobody has; ``file``: its name, '' without one, and ``url``
    where it is given out; ``change``, ``delete``: addresses, '' for who may not."""

    title: str
    text: str
    made: Cell
    file: str
    url: str
    author: str = ""
    change: str = ""
    delete: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """``next`` and ``first``: addresses of further notes and of the newest, '' where there are none; ``add``: label and
    address for who may write one; ``title``, ``empty_text``: '' for the usual words."""

    notes: tuple[Note, ...]
    next: str = ""
    first: str = ""
    add: tuple[str, str] | None = None
    title: str = ""
    empty_text: str = ""


@dataclass(frozen=True)
class Notes:
    """Reads them."""

    site: Site
    tables: Tables
    rows: Rows

    async def of(
        self,
        principal: Principal,
        definition: FormDefinition,
        table: Table,
        row: Row,
        asked: Mapping[str, str],
        url: str,
        locales: Locales,
    ) -> Shown | None:
        """The notes of a row. None where the form shows none, the table has none, or the person may read none. ``url``:
        of the row's page. Raises Refusal FC1007."""
        notes, relation, rule = self.tables.by_name.get(NOTES), _relation(table), definition.notes
        if rule is None or notes is None or not relation or not self.rows.may(principal, NOTES, "read"):
            return None
        readable = await self.rows.columns(principal, NOTES, "read")
        if "notetext" not in readable:
            return None
        columns = tuple(name for name in _COLUMNS if name in readable)
        query = Query(
            NOTES,
            columns,
            Match("startswith", Field(("notetext",)), Slot(0, Kind.STRING)),
            (prefix(self.site),),
            (OrderBy(("createdon",), True),) if "createdon" in readable else (),
            size=SIZE,
            cursor=asked.get(PARAMETER) or None,
            related=(relation, table.name, row.id),
            rights=tuple(right for right, on in ((_CHANGE, rule.edit), (_DELETE, rule.delete)) if on),
        )
        try:
            page = await self.rows.page(principal, query)
        except Refusal as refusal:
            if refusal.status == 403:
                return None
            raise
        begins = f"{url}{'&' if '?' in url else '?'}"
        adds = rule.create and self.rows.may(principal, NOTES, "create")
        return Shown(
            tuple(self._note(notes, item, principal.contact, url, locales) for item in page.rows),
            f"{begins}{PARAMETER}={page.cursor}#{PARAMETER}" if page.cursor else "",
            f"{url}#{PARAMETER}" if query.cursor else "",
            (rule.add_label or locales.gettext("Add a note"), url_of(url, NEW)) if adds else None,
            rule.title,
            rule.empty_text,
        )

    async def note(self, principal: Principal, table: Table, above: Row, note: UUID) -> Row | None:
        """A note of a row that the portal shows, with its version and rights; None where there is none for them."""
        relation = _relation(table)
        if not relation or NOTES not in self.tables.by_name or not self.rows.may(principal, NOTES, "read"):
            return None
        readable = await self.rows.columns(principal, NOTES, "read")
        if "notetext" not in readable:
            return None
        query = Query(
            NOTES,
            tuple(name for name in _COLUMNS if name in readable),
            Match("startswith", Field(("notetext",)), Slot(0, Kind.STRING)),
            (prefix(self.site),),
            size=1,
            key=note,
            related=(relation, table.name, above.id),
            rights=(_CHANGE, _DELETE),
            versions=True,
        )
        return next(iter((await self.rows.page(principal, query)).rows), None)

    def subject(self, visit: Visit) -> str:
        """The subject of a note that somebody writes now."""
        contact = visit.principal.contact
        made = f"Note created on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        if contact is None:
            return made
        most = _SUBJECT - len(made) - len(" by  [contact:]") - 36
        return f"{made} by {contact.name[:most]} [contact:{contact.id}]"

    def _note(self, notes: Table, row: Row, contact: Contact | None, url: str, locales: Locales) -> Note:
        values = row.values
        own = signed(row, contact)
        author = _AUTHOR.fullmatch(str(values.get("subject") or ""))
        made = notes.entity.fields["createdon"]
        file = str(values.get("filename") or "") if values.get("isdocument") else ""
        title = str(values.get("subject") or "")
        return Note(
            "" if title == file or author is not None else title,
            text_of(row, self.site),
            formatting.cell(made, values, self.tables.enums, locales),
            file,
            path_of(row.id) if file else "",
            author["name"] if author is not None else "",
            url_of(url, str(row.id)) if own and _CHANGE in row.rights else "",
            url_of(url, str(row.id), "delete") if own and _DELETE in row.rights else "",
        )


def signed(note: Row, contact: Contact | None) -> bool:
    """Whether the contact has written the note on a page."""
    found = _AUTHOR.fullmatch(str(note.values.get("subject") or ""))
    return found is not None and contact is not None and found["id"].lower() == str(contact.id)


def text_of(note: Row, site: Site) -> str:
    """The text of a note without its prefix."""
    return str(note.values.get("notetext") or "")[len(prefix(site)) :].strip()


def url_of(url: str, note: str, do: str = "") -> str:
    """Where something is done with a note of the row whose page is at ``url``."""
    query = urlencode({NOTE: note, **({DO: do} if do else {})})
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _relation(table: Table) -> str:
    """The relation of a table to its notes, '' where it has none."""
    lookup = f"_{REGARDING}_value"
    for name, relation in table.entity.relations.items():
        if relation.many and relation.target == NOTES and {theirs for _, theirs in relation.on} & {lookup, REGARDING}:
            return name
    return ""
