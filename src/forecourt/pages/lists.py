"""List pages: rows of a table by one of its views, with search, sorting and paging, all of it in the URL.

::

    ?view=<key> &search=<text> &sort=<column> or <-column> &cursor=<token> &page=<number, for show> &download=<format>

What the URL says wrongly (a view, column or cursor that does not exist) is put right and said so; nothing in it can
widen what is shown: columns and filter are the view's, rows are those that the person may read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from forecourt.dataverse.definitions import View, ViewColumn
from forecourt.dataverse.rows import Page as RowPage
from forecourt.dataverse.rows import Query, Row, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import Field, Match, Predicate, Slot, all_of, any_of
from forecourt.kernel.principal import Principal
from forecourt.kernel.types import Kind
from forecourt.pages import formatting
from forecourt.pages.formatting import Cell, Locales
from forecourt.pages.lookups import Lookups
from forecourt.pages.ports import ViewFilter
from forecourt.pages.site import ListDefinition

MAX_SEARCH = 100

#: Formats of a list's rows as a file, with their labels.
FORMATS: Mapping[str, str] = {"xlsx": "Excel", "csv": "CSV"}

#: Rows that are read at a time for a file.
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view. ``sort``: address that sorts by it, '' where it cannot; ``sorted``: as ``aria-sort``."""

    name: str
    label: str
    numeric: bool
    sort: str = ""
    sorted: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row to show. ``url``: its details, '' where there is no page for them."""

    cells: tuple[Cell, ...]
    url: str


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """Everything that the table macro shows."""

    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    total: int | None
    number: int = 1
    pages: int = 1
    next: str = ""
    first: str = ""


@dataclass(frozen=True, slots=True)
class ListPage:
    """A list page's content. ``state``: hidden fields of the search form; ``notices``: what was put right;
    ``downloads``: pairs (label, address) of its rows as files; ``download``: what that is called."""

    grid: Grid
    tabs: tuple[Tab, ...]
    search: str
    searchable: tuple[str, ...]
    clear: str
    state: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]
    downloads: tuple[tuple[str, str], ...] = ()
    download: str = ""


@dataclass(frozen=True)
class Asked:
    """A list as the URL asks for it: the one reading behind its page, its count and its file.

    ``keys``: of the views that there are; ``chosen``: the one that is shown; ``query``: without size and cursor.
    """

    table: Table
    views: tuple[tuple[View, str], ...]
    keys: tuple[str, ...]
    chosen: str
    columns: tuple[tuple[EntityField, str], ...]
    query: Query
    search: str
    sort: str
    notices: tuple[str, ...]

    @property
    def label(self) -> str:
        """The view's."""
        return self.views[self.keys.index(self.chosen)][1]

    @property
    def state(self) -> dict[str, str]:
        """What of it the URL keeps."""
        view = "" if self.chosen == self.keys[0] else self.chosen
        return {key: value for key, value in (("view", view), ("search", self.search), ("sort", self.sort)) if value}


def view_columns(table: Table, view: View, readable: Collection[str]) -> tuple[tuple[EntityField, str], ...]:
    """The columns of a view that the table has and the person may read, with their labels."""
    found = []
    for item in view.columns:
        name, label = (item.column, item.label) if isinstance(item, ViewColumn) else (item, "")
        column = table.column(name)
        if column is not None and column.name in readable:
            found.append((column, label or column.label or column.name))
    return tuple(found)


def needed(columns: Sequence[EntityField], readable: Collection[str]) -> tuple[str, ...]:
    """The columns to ask for: those shown and the currencies beside their amounts."""
    beside = [name for name in formatting.currencies(columns) if name in readable]
    return tuple(dict.fromkeys([column.name for column in columns] + beside))


def view_order(view: View, readable: Collection[str]) -> tuple[OrderBy, ...]:
    """The order of a view, columns that the person may not read left out: it would tell what they hold."""
    return tuple(OrderBy((item.column,), item.descending) for item in view.order if item.column in readable)


def cells_of(
    row: Row, columns: Sequence[tuple[EntityField, str]], tables: Tables, locales: Locales
) -> tuple[Cell, ...]:
    return tuple(formatting.cell(column, row.values, tables.enums, locales) for column, _ in columns)


def row_url(path: str | None, parameter: str, row: Row) -> str:
    return f"{path}?{urlencode({parameter: str(row.id)})}" if path else ""


def key_of(label: str) -> str:
    """A view's name in a URL.

    >>> key_of("Open purchase orders (2026)")
    'open-purchase-orders-2026'
    """
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


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
        query = Query(table.name, (table.primary_id,), where, slots, size=1, total=True)
        try:
            page = await self.rows.page(principal, query)
        except Refusal:
            return None
        return page.total or 0, views[0][1]

    async def asked(self, principal: Principal, definition: ListDefinition, asked: Mapping[str, str]) -> Asked:
        """The list as ``asked`` (the URL's query). Raises Refusal FC4042 when the list has no view."""
        views = self.views(definition)
        if not views:
            raise Refusal("FC4042", "The list has no view that can be shown.")
        table = self.tables.by_name[definition.table]
        notices: list[str] = []
        keys = _keys(views)
        chosen = asked.get("view", keys[0])
        if chosen not in keys:
            notices.append("That view does not exist here; this is the first one.")
            chosen = keys[0]
        view = views[keys.index(chosen)][0]
        readable = await self.rows.columns(principal, table.name, "read")
        columns = view_columns(table, view, readable)
        order, sort = _order(view, columns, asked.get("sort", ""), notices, readable)
        search = " ".join(asked.get("search", "").split())[:MAX_SEARCH] if definition.search else ""
        text_columns = [column for column, _ in columns if _is_text(column)]
        where, slots = self._filter(table, view)
        if search and text_columns:
            slot = Slot(len(slots), Kind.STRING)
            found = [Match("contains", Field((column.name,)), slot) for column in text_columns]
            where, slots = all_of(where, any_of(*found)), (*slots, search)
        query = Query(table.name, needed([column for column, _ in columns], readable), where, slots, order)
        return Asked(table, views, tuple(keys), chosen, tuple(columns), query, search, sort, tuple(notices))

    async def read(
        self,
        principal: Principal,
        definition: ListDefinition,
        path: str,
        asked: Mapping[str, str],
        details: str | None,
        locales: Locales,
    ) -> ListPage:
        """The list as ``asked`` (the URL's query). ``details``: path of the page that shows a row.

        Raises Refusal FC3001 when the person may not read the table, FC4042 when the list has no view.
        """
        found = await self.asked(principal, definition, asked)
        columns, notices = found.columns, list(found.notices)
        query = replace(found.query, size=definition.page_size, cursor=asked.get("cursor") or None, total=True)
        page, first_again = await self._page(principal, query)
        number = 1
        if first_again:
            notices.append("That page of the list is no longer available; this is the first one.")
        elif query.cursor:
            number = min(int(asked["page"]), 1_000_000) if re.fullmatch(r"[1-9]\d{0,6}", asked.get("page", "")) else 2

        def url(**changes: str) -> str:
            kept = {key: value for key, value in {**found.state, **changes}.items() if value}
            return f"{path}?{urlencode(kept)}" if kept else path

        rows = await Lookups(self.tables, self.rows).named(principal, [column for column, _ in columns], page.rows)
        grid = Grid(
            caption=found.label,
            columns=tuple(_column(column, name, query.order, url) for column, name in columns),
            lines=tuple(
                Line(
                    cells_of(row, columns, self.tables, locales),
                    row_url(details, definition.id_parameter, row),
                )
                for row in rows
            ),
            total=page.total,
            number=number,
            pages=-(-page.total // definition.page_size) if page.total else 1,
            next=url(cursor=page.cursor, page=str(number + 1)) if page.cursor else "",
            first=url() if number > 1 else "",
        )
        tabs = tuple(
            Tab(
                name,
                f"{path}?{urlencode(state)}" if (state := _tab_state(key, found.keys, found.search)) else path,
                key == found.chosen,
            )
            for key, (_, name) in zip(found.keys, found.views, strict=True)
        )
        return ListPage(
            grid,
            tabs if len(tabs) > 1 else (),
            found.search,
            tuple(name for column, name in columns if _is_text(column)) if definition.search else (),
            url(search=""),
            tuple((key, value) for key, value in found.state.items() if key != "search"),
            tuple(notices),
            tuple((label, url(download=name)) for name, label in FORMATS.items()) if definition.download else (),
            definition.download,
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


def _keys(views: Sequence[tuple[View, str]]) -> list[str]:
    """A distinct key for each view."""
    keys: list[str] = []
    for view, label in views:
        key = key_of(label) or key_of(view.id) or "view"
        keys.append(key if key not in keys else f"{key}-{len(keys) + 1}")
    return keys


def _tab_state(key: str, keys: Sequence[str], search: str) -> dict[str, str]:
    state = {} if key == keys[0] else {"view": key}
    return {**state, "search": search} if search else state


def _order(
    view: View,
    columns: Sequence[tuple[EntityField, str]],
    asked: str,
    notices: list[str],
    readable: Collection[str],
) -> tuple[tuple[OrderBy, ...], str]:
    """The order to read in, and what of it the URL keeps."""
    if not asked:
        return view_order(view, readable), ""
    name = asked.removeprefix("-")
    if name not in {column.name for column, _ in columns}:
        notices.append("The list cannot be sorted by that; it is in its own order.")
        return view_order(view, readable), ""
    return (OrderBy((name,), asked.startswith("-")),), asked


def _is_text(column: EntityField) -> bool:
    return column.kind is Kind.STRING and column.enum is None


def _column(column: EntityField, label: str, order: tuple[OrderBy, ...], url: object) -> Column:
    first = order[0] if order and order[0].path == (column.name,) else None
    state = "" if first is None else ("descending" if first.descending else "ascending")
    assert callable(url)
    target = url(sort=f"-{column.name}" if state == "ascending" else column.name)
    return Column(column.name, label, formatting.is_numeric(column), target, state)
