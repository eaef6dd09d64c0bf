"""The notes of a row, the newest first: those that the portal shows and the person may read.

Texts are shown as they are, without markup. Leaves out writing notes: files come with the row's forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forecourt.dataverse.rows import Query, Row, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import Field, Match, Slot
from forecourt.kernel.principal import Principal
from forecourt.kernel.types import Kind
from forecourt.pages import formatting
from forecourt.pages.formatting import Cell, Locales
from forecourt.pages.notes.attaching import NOTES, REGARDING, prefix
from forecourt.pages.notes.downloading import path_of
from forecourt.pages.site import FormDefinition, Site

#: Notes at a time, and the parameter of the page's address that says where further ones begin.
SIZE = 25
PARAMETER = "notes"

_COLUMNS = ("subject", "notetext", "isdocument", "filename", "createdon")


@dataclass(frozen=True, slots=True)
class Note:
    """``file``: its name, '' without one, and ``url`` where it is given out."""

    title: str
    text: str
    made: Cell
    file: str
    url: str


@dataclass(frozen=True, slots=True)
class Shown:
    """``next`` and ``first``: addresses of further notes and of the newest, '' where there are none."""

    notes: tuple[Note, ...]
    next: str = ""
    first: str = ""


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
        notes, relation = self.tables.by_name.get(NOTES), _relation(table)
        if not definition.notes or notes is None or not relation or not self.rows.may(principal, NOTES, "read"):
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
        )
        try:
            page = await self.rows.page(principal, query)
        except Refusal as refusal:
            if refusal.status == 403:
                return None
            raise
        begins = f"{url}{'&' if '?' in url else '?'}"
        return Shown(
            tuple(self._note(notes, item, locales) for item in page.rows),
            f"{begins}{PARAMETER}={page.cursor}#{PARAMETER}" if page.cursor else "",
            f"{url}#{PARAMETER}" if query.cursor else "",
        )

    def _note(self, notes: Table, row: Row, locales: Locales) -> Note:
        values = row.values
        made = notes.entity.fields["createdon"]
        file = str(values.get("filename") or "") if values.get("isdocument") else ""
        title = str(values.get("subject") or "")
        return Note(
            "" if title == file else title,
            str(values.get("notetext") or "")[len(prefix(self.site)) :].strip(),
            formatting.cell(made, values, self.tables.enums, locales),
            file,
            path_of(row.id) if file else "",
        )


def _relation(table: Table) -> str:
    """The relation of a table to its notes, '' where it has none."""
    lookup = f"_{REGARDING}_value"
    for name, relation in table.entity.relations.items():
        if relation.many and relation.target == NOTES and {theirs for _, theirs in relation.on} & {lookup, REGARDING}:
            return name
    return ""
