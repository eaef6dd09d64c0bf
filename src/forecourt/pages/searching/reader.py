"""Finds pages and rows for one person.

::

    Search/Enabled                    false: there is no search
    Search/EnableAdditionalEntities   true: tables are searched whose pages are marked
    Search/IndexQueryName             name of the views that say what of a table is searched ("Portal Search")
    Search/Filters                    Label:table,table;Label:table    what can be chosen to be searched

A table is searched by its view of that name: its columns are the texts, the first of them the title, its filter decides
which rows. A row that is found leads to the page with the marker ``<table>_SearchResultPage`` (``incident``: ``Case``,
``knowledgearticle``: ``Knowledge Article``); without a page that the person may read the table is not searched.
Permissions decide in the statement that finds rows, so totals and order say nothing of others; nothing is kept, so
nothing is stale. Source: pages-and-dataverse A4.6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from forecourt.dataverse.rows import Found, Rows, SearchQuery
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.pages import page_rules, site_map
from forecourt.pages.lists import is_text, view_columns
from forecourt.pages.ports import TextRanking, ViewFilter
from forecourt.pages.searching.pages import page_texts
from forecourt.pages.searching.words import Words, words
from forecourt.pages.site import Page, Site
from forecourt.pages.visit import Visit

#: Results of a search that can be paged through.
MAX_RESULTS = 200
PAGE_SIZE = 10
MAX_SIZE = 50

PAGES = "adx_webpage"

_MARKERS = {"incident": "Case", "knowledgearticle": "Knowledge Article"}


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found. ``kind``: what it is, for people; ``table``, ``id``: of the row, ``adx_webpage`` of a page."""

    title: str
    url: str
    fragment: Markup
    score: float
    kind: str
    table: str
    id: str


@dataclass(frozen=True, slots=True)
class Results:
    """A page of what was found. ``total``: all of it, as far as the person may read; ``more``: a further page."""

    words: Words
    hits: tuple[Hit, ...]
    total: int
    number: int
    size: int
    more: bool


@dataclass(frozen=True, slots=True)
class _Target:
    """A table that is searched. ``columns``: its texts, the title first; ``page``: of its rows."""

    table: Table
    columns: tuple[str, ...]
    view: str
    page: Page


@dataclass(frozen=True)
class Searching:
    """Searches a site. ``texts``: ranks texts of pages."""

    site: Site
    tables: Tables
    rows: Rows
    view_filter: ViewFilter
    texts: TextRanking

    @property
    def enabled(self) -> bool:
        return self.site.setting("Search/Enabled").lower() != "false"

    @property
    def filters(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What can be chosen to be searched: a label, and names of tables."""
        found = []
        for part in self.site.setting("Search/Filters").split(";"):
            label, _, names = part.partition(":")
            chosen = tuple(name.strip().lower() for name in names.split(",") if name.strip())
            if label.strip() and chosen:
                found.append((label.strip(), chosen))
        return tuple(found)

    def page(self, visit: Visit) -> str:
        """The path of the search page, '' where there is none for the person."""
        marked = self.site.marked("Search")
        if not self.enabled:
            return ""
        if marked is None:
            return "" if self.site.page_at("/search") is not None else "/search"
        return marked.path if page_rules.may_read(self.site, marked, visit.principal.web_roles) else ""

    async def search(
        self, visit: Visit, text: str, only: Sequence[str] = (), number: int = 1, size: int = PAGE_SIZE
    ) -> Results:
        """A page of what fits. ``only``: names of tables, () for all. Raises Refusal as rows do."""
        asked = words(text)
        size, number = min(max(size, 1), MAX_SIZE), max(number, 1)
        if not asked or not self.enabled:
            return Results(asked, (), 0, 1, size, False)
        number = min(number, max(1, MAX_RESULTS // size))
        wanted = {name.lower() for name in only}
        hits = list(await self._pages(visit, asked)) if not wanted or PAGES in wanted else []
        total = len(hits)
        targets = [item for item in await self._targets(visit) if not wanted or item.table.name in wanted]
        most = number * size
        for target, found in zip(
            targets, await asyncio.gather(*(self._rows(visit, item, asked, most) for item in targets)), strict=True
        ):
            total += found.total
            hits += [self._hit(target, asked, row.id, row.values, rank) for row, rank in found.rows]
        hits.sort(key=lambda hit: -hit.score)  # stable: each source keeps its own order, page after page
        shown = tuple(hits[most - size : most])
        return Results(asked, shown, total, number, size, total > most and most < MAX_RESULTS)

    async def _pages(self, visit: Visit, asked: Words) -> tuple[Hit, ...]:
        roles = visit.principal.web_roles

        def readable(page: Page) -> bool:
            return page_rules.served(self.site, page, roles) and page_rules.may_read(self.site, page, roles)

        texts = list(page_texts(self.site, visit.languages, readable))
        ranked = await self.texts.ranked([item.title for item in texts], [item.body for item in texts], asked.queries)
        return tuple(
            Hit(
                item.title,
                item.page.path,
                asked.marked(item.body),
                rank,
                visit.locales.gettext("Page"),
                PAGES,
                str(item.page.id),
            )
            for item, rank in ((texts[place], rank) for place, rank in ranked)
        )

    async def _targets(self, visit: Visit) -> list[_Target]:
        """The tables that the settings, their views, markers and permissions open to the person's search."""
        name = (self.site.setting("Search/IndexQueryName") or "Portal Search").lower()
        more = self.site.setting("Search/EnableAdditionalEntities").lower() == "true"
        found = []
        for table in self.tables.by_name.values():
            view = next((item for item in table.views if item.name.lower() == name), None)
            if view is None or not (more or table.name in _MARKERS):
                continue
            page = self.site.marked(_MARKERS.get(table.name, f"{table.name}_SearchResultPage"))
            if page is None or not page_rules.may_read(self.site, page, visit.principal.web_roles):
                continue
            if not self.rows.may(visit.principal, table.name, "read"):
                continue
            readable = await self.rows.columns(visit.principal, table.name, "read")
            columns = [column.name for column, _ in view_columns(table, view, readable) if is_text(column)]
            if columns:
                found.append(_Target(table, tuple(columns), view.filter, page))
        return found

    async def _rows(self, visit: Visit, target: _Target, asked: Words, most: int) -> Found:
        where, slots = self.view_filter(target.table, target.view)
        query = SearchQuery(target.table.name, target.columns, asked.queries, where, slots, most)
        return await _refused_is_none(self.rows, visit.principal, query)

    def _hit(self, target: _Target, asked: Words, row_id: object, values: object, rank: float) -> Hit:
        assert isinstance(values, dict)
        title = str(values.get(target.columns[0]) or target.table.label)
        text = " · ".join(str(values[name]) for name in target.columns[1:] if values.get(name))
        url = site_map.row_url(self.site, target.page, row_id)
        table = target.table
        return Hit(title, url, asked.marked(text), rank, table.label, table.name, str(row_id))


async def _refused_is_none(rows: Rows, principal: Principal, query: SearchQuery) -> Found:
    try:
        return await rows.search(principal, query)
    except Refusal as refusal:
        if refusal.status not in (401, 403):
            raise
        return Found((), 0)
