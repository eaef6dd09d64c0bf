"""The dialog of a lookup: the rows that may be chosen, by the lookup view of their table, searched and paged.

A form's address with ``?lookup=<column>&q=<text>&of=<table>&cursor=<token>`` gives the inside of a dialog, which a
script shows; without one the form searches by itself (``lookups``). It is there for who may open the form and set the
column, and shows what they may read: rows of the lookup's tables, the columns of the view named ``… Lookup View``, else
of the first one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from forecourt.dataverse.definitions import View
from forecourt.dataverse.rows import Query, Rows
from forecourt.dataverse.tables import Table
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import Field, Match, Slot, any_of
from forecourt.kernel.types import Kind
from forecourt.pages.details import Forms
from forecourt.pages.inputs import FormField
from forecourt.pages.lists import Column, Grid, Line, cells_of, is_text, needed, view_columns
from forecourt.pages.lists.asked import Narrowing
from forecourt.pages.render import Renderer
from forecourt.pages.site import FormDefinition, FormMode, Page
from forecourt.pages.visit import Visit

LOOKUP, SEARCH, TABLE, CURSOR = "lookup", "q", "of", "cursor"

#: Rows of a dialog at a time.
SIZE = 10
MAX_SEARCH = 100


def asked(query: Mapping[str, str]) -> bool:
    """Whether a request is about the dialog of a lookup."""
    return LOOKUP in query


@dataclass(frozen=True, slots=True)
class Pick:
    """What a dialog shows. ``names``: of the rows with their ids, in the order of the grid's lines; ``tables``: those
    that can be chosen from, (label, address, whether it is this one)."""

    field: FormField
    text: str
    grid: Grid
    names: tuple[tuple[str, str], ...]
    tables: tuple[tuple[str, str, bool], ...]
    table: str


class Picking:
    """Answers with the inside of dialogs."""

    def __init__(self, forms: Forms, rows: Rows, renderer: Renderer) -> None:
        self._forms = forms
        self._rows = rows
        self._renderer = renderer

    async def get(self, visit: Visit, page: Page, definition: FormDefinition) -> Response:
        """The rows to choose from. Raises Refusal FC4042 for a column that is no lookup of the form, FC3001, FC4041."""
        field = await self._field(visit, definition)
        tables = [item for name in field.column.targets if (item := await self._open(visit, name)) is not None]
        query = visit.query
        chosen = next((item for item in tables if item.name == query.get(TABLE)), tables[0] if tables else None)
        text = " ".join(query.get(SEARCH, "").split())[:MAX_SEARCH]
        kept = {key: value for key, value in query.items() if key not in {SEARCH, TABLE, CURSOR}}

        def url(**more: str) -> str:
            return f"{page.path}?{urlencode({**kept, SEARCH: text, **more})}"

        pick = Pick(field, text, Grid("", (), (), 0), (), (), "")
        if chosen is not None:
            own = {TABLE: chosen.name}
            grid, names = await self.grid(visit, chosen, text, query.get(CURSOR) or None)
            grid = replace(
                grid,
                next=url(**own, **{CURSOR: grid.next}) if grid.next else "",
                first=url(**own) if query.get(CURSOR) else "",
            )
            choices = tuple((item.label, url(**{TABLE: item.name}), item is chosen) for item in tables)
            pick = Pick(field, text, grid, names, choices if len(choices) > 1 else (), chosen.name)
        return await self._renderer.page(
            visit, "_pick.html", title=field.label, page=page, pick=pick, path=page.path, kept=tuple(kept.items())
        )

    async def _field(self, visit: Visit, definition: FormDefinition) -> FormField:
        table, form = self._forms.form(definition)
        if definition.mode is FormMode.INSERT:
            sections = await self._forms.new_sections(visit.principal, table, form, definition.all_required)
        else:
            if not self._rows.may(visit.principal, table.name, "write"):
                raise Refusal("FC3001", "You may read this, but not change it.", source=table.name)
            sections = await self._forms.sections(visit.principal, table, form)
        wanted = visit.query[LOOKUP]
        for item in (item for section in sections for item in section.fields):
            if item.name == wanted and item.kind == "lookup" and not item.read_only:
                return item
        raise Refusal("FC4042", "The form has no such lookup.")

    async def _open(self, visit: Visit, name: str) -> Table | None:
        """A table of the lookup, where the person may read names of its rows."""
        table = self._forms.tables.by_name.get(name)
        if table is None or not self._rows.may(visit.principal, name, "read"):
            return None
        readable = await self._rows.columns(visit.principal, name, "read")
        return table if table.primary_name in readable else None

    async def grid(
        self,
        visit: Visit,
        table: Table,
        text: str,
        cursor: str | None,
        apart: tuple[str, str, UUID] | None = None,
    ) -> tuple[Grid, tuple[tuple[str, str], ...]]:
        """A page of rows; ``next`` of the grid is the token of the next one. ``apart``: without those beneath a row."""
        readable = await self._rows.columns(visit.principal, table.name, "read")
        view = lookup_view(table)
        columns = list(view_columns(table, view, readable)) if view is not None else []
        title = table.entity.fields[table.primary_name]
        if all(column.name != title.name for column, _ in columns):
            columns.insert(0, (title, title.label or table.label))
        left = Narrowing(*self._forms.view_filter(table, view.filter if view is not None else ""))
        texts = [column for column, _ in columns if is_text(column)]
        if text and texts:
            slot = Slot(0, Kind.STRING)
            left.add(any_of(*(Match("contains", Field((column.name,)), slot) for column in texts)), (text,))
        shown = needed([column for column, _ in columns], readable)
        order = (OrderBy((title.name,)),)
        query = Query(table.name, shown, left.where, left.slots, order, size=SIZE, cursor=cursor, apart=apart)
        try:
            found = await self._rows.page(visit.principal, query)
        except Refusal as refusal:
            if cursor is None or refusal.status != 400:
                raise
            found = await self._rows.page(visit.principal, replace(query, cursor=None))
        rows = await self._forms.lookups.named(visit.principal, [column for column, _ in columns], found.rows)
        grid = Grid(
            caption=table.label,
            columns=tuple(Column(column.name, label, False) for column, label in columns),
            lines=tuple(Line(cells_of(row, columns, self._forms.tables, visit.locales), "") for row in rows),
            total=None,
            next=found.cursor or "",
        )
        return grid, tuple((str(row.id), str(row.values.get(title.name) or table.label)) for row in found.rows)


def lookup_view(table: Table) -> View | None:
    """The view that a lookup shows rows of a table by: the one named ``… Lookup View``, else the first."""
    named = (view for view in table.views if view.name.lower().endswith("lookup view"))
    return next(named, next(iter(table.views), None))
