"""List pages: rows of a table by one of its views, with search, sorting and paging, all of it in the URL.

::

    ?view=<key> &search=<text> &sort=<column> or <-column> &cursor=<token> &page=<number, for show> &download=<format>
    &mf=<what the filter panel chooses> &filter=<user or account>

What the URL says wrongly (a view, column or cursor that does not exist) is put right and said so; nothing in it can
widen what is shown: columns and filter are the view's, rows are those that the person may read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from forecourt.dataverse.definitions import View
from forecourt.dataverse.rows import Page as RowPage
from forecourt.dataverse.rows import Query, Row, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import Predicate
from forecourt.kernel.principal import Principal
from forecourt.pages import formatting
from forecourt.pages.filtering import Filtering, Panel
from forecourt.pages.formatting import DEFAULT, Locales
from forecourt.pages.lists.asked import Asked, Reading
from forecourt.pages.lists.grid import FORMATS, Column, Grid, Line, Offers, Tab, cells_of, is_text, row_url
from forecourt.pages.lookups import Lookups
from forecourt.pages.ports import ViewFilter
from forecourt.pages.site import ListDefinition
from forecourt.web.translation import N_

#: What rows offer on a page, whose addresses (with changes) it is given.
Offering = Callable[[Callable[..., str]], Awaitable[Offers]]

#: Rows that are read at a time for a file.
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class ListPage:
    """A list page's content. ``state``: what the address keeps, for fields of forms; ``notices``: what was put right;
    ``downloads``: pairs (label, address) of its rows as files; ``download``: what that is called; ``chips``: pairs
    (what is chosen, address without it); ``unfiltered``: address without all of it; ``owners``: whose rows it has."""

    grid: Grid
    tabs: tuple[Tab, ...]
    search: str
    searchable: tuple[str, ...]
    clear: str
    state: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]
    downloads: tuple[tuple[str, str], ...] = ()
    download: str = ""
    panel: Panel | None = None
    chips: tuple[tuple[str, str], ...] = ()
    unfiltered: str = ""
    owners: tuple[Tab, ...] = ()


@dataclass(frozen=True)
class Lists:
    """Reads list pages. ``view_filter``: a view's filter as a predicate."""

    tables: Tables
    rows: Rows
    view_filter: ViewFilter

    def views(self, definition: ListDefinition) -> tuple[tuple[View, str], ...]:
        """The views that a list offers and its table has, with their labels."""
        table = self.tables.by_name.get(definition.table)
        if table is None:
            return ()
        offered = []
        for item in definition.views:
            view = table.view(item.view) or next((v for v in table.views if v.id.lower() == item.view.lower()), None)
            if view is not None:
                offered.append((view, item.label or view.name))
        return tuple(offered)

    async def total(self, principal: Principal, definition: ListDefinition) -> tuple[int, str] | None:
        """Rows of the list's first view that the person may read, and the view's label; None where they may not."""
        views = self.views(definition)
        if not views:
            return None
        table = self.tables.by_name[definition.table]
        where, slots = self._filter(table, views[0][0])
        query = Query(table.name, (table.primary_id,), where, slots, size=0, total=True)
        try:
            page = await self.rows.page(principal, query)
        except Refusal:
            return None
        return page.total or 0, views[0][1]

    async def asked(
        self, principal: Principal, definition: ListDefinition, asked: Mapping[str, str], locales: Locales = DEFAULT
    ) -> Asked:
        """The list as ``asked`` (the URL's query). Raises Refusal FC4042 when the list has no view."""
        views = self.views(definition)
        if not views:
            raise Refusal("FC4042", "The list has no view that can be shown.")
        table = self.tables.by_name[definition.table]
        panels = Filtering(self.tables, self.rows, self.view_filter)
        return await Reading(self.rows, self.view_filter, panels).read(
            principal, definition, table, views, asked, locales
        )

    async def read(
        self,
        principal: Principal,
        definition: ListDefinition,
        path: str,
        asked: Mapping[str, str],
        details: str | None,
        locales: Locales,
        offering: Offering | None = None,
    ) -> ListPage:
        """The list as ``asked`` (the URL's query). ``details``: path of the page that shows a row; ``offering``: what
        rows offer, on the page with these addresses.

        Raises Refusal FC3001 when the person may not read the table, FC4042 when the list has no view.
        """
        found = await self.asked(principal, definition, asked, locales)
        columns, notices = found.columns, list(found.notices)
        query = replace(found.query, size=definition.page_size, cursor=asked.get("cursor") or None, total=True)

        def url(**changes: str) -> str:
            kept = {key: value for key, value in {**found.state, **changes}.items() if value}
            return f"{path}?{urlencode(kept)}" if kept else path

        offers = await offering(url) if offering is not None else None
        if offers is not None:
            names = tuple(dict.fromkeys((*query.columns, *offers.columns)))
            query = replace(query, columns=names, rights=offers.rights)
        page, first_again = await self._page(principal, query)
        number = 1
        if first_again:
            notices.append(N_("That page of the list is no longer available; this is the first one."))
        elif query.cursor:
            number = min(int(asked["page"]), 1_000_000) if re.fullmatch(r"[1-9]\d{0,6}", asked.get("page", "")) else 2

        rows = await Lookups(self.tables, self.rows).named(principal, [column for column, _ in columns], page.rows)
        grid = Grid(
            caption=found.label,
            columns=tuple(_column(column, name, query.order, url) for column, name in columns),
            lines=tuple(
                Line(
                    cells_of(row, columns, self.tables, locales),
                    row_url(details, definition.id_parameter, row),
                    offers.of(plain) if offers is not None else (),
                )
                for row, plain in zip(rows, page.rows, strict=True)
            ),
            total=page.total,
            number=number,
            pages=-(-page.total // definition.page_size) if page.total else 1,
            next=url(cursor=page.cursor, page=str(number + 1)) if page.cursor else "",
            first=url() if number > 1 else "",
        )
        panel = found.panel
        return ListPage(
            grid,
            _tabs(found, url) if len(found.keys) > 1 else (),
            found.search,
            tuple(locales.label(name) for column, name in columns if is_text(column)) if definition.search else (),
            url(search=""),
            tuple(found.state.items()),
            tuple(map(locales.gettext, notices)),
            tuple((label, url(download=name)) for name, label in FORMATS.items()) if definition.download else (),
            definition.download,
            panel,
            tuple((chip.label, url(mf=chip.without)) for chip in panel.chips) if panel is not None else (),
            url(mf=""),
            tuple(Tab(way, url(filter=way), way == found.owner) for way in found.owners),
        )

    async def batches(self, principal: Principal, asked: Asked, most: int) -> AsyncIterator[tuple[Row, ...]]:
        """All rows of a list, some at a time. Raises Refusal FC1005 where there are more than ``most``."""
        query, count = replace(asked.query, size=BATCH), 0
        while True:
            page = await self.rows.page(principal, query)
            count += len(page.rows)
            if count > most or (page.cursor is not None and count == most):
                hint = "Search, or choose another view."
                raise Refusal("FC1005", f"The list has more than {most} rows.", status=400, hint=hint)
            yield await Lookups(self.tables, self.rows).named(
                principal, [column for column, _ in asked.columns], page.rows
            )
            if page.cursor is None:
                return
            query = replace(query, cursor=page.cursor)

    async def _page(self, principal: Principal, query: Query) -> tuple[RowPage, bool]:
        """The page, or the first one where the cursor is not one of this list (then True)."""
        try:
            return await self.rows.page(principal, query), False
        except Refusal as refusal:
            if query.cursor is None or refusal.status != 400:
                raise
        return await self.rows.page(principal, replace(query, cursor=None)), True

    def _filter(self, table: Table, view: View) -> tuple[Predicate, tuple[object, ...]]:
        return self.view_filter(table, view.filter)


def _tabs(found: Asked, url: Callable[..., str]) -> tuple[Tab, ...]:
    """The views; what narrows one narrows the others as well, an order does not go along."""
    return tuple(
        Tab(name, url(view=key if key != found.keys[0] else "", sort=""), key == found.chosen)
        for key, (_, name) in zip(found.keys, found.views, strict=True)
    )


def _column(column: EntityField, label: str, order: tuple[OrderBy, ...], url: Callable[..., str]) -> Column:
    first = order[0] if order and order[0].path == (column.name,) else None
    state = "" if first is None else ("descending" if first.descending else "ascending")
    target = url(sort=f"-{column.name}" if state == "ascending" else column.name)
    return Column(column.name, label, formatting.is_numeric(column), target, state)
