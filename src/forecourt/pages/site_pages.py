"""The site's pages: content, home, lists, details and web files, each behind its page permission.

Forms that write are :mod:`~forecourt.pages.form_pages`'.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.responses import FileResponse, Response

from forecourt.dataverse.rows import Rows
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Exported, Observer, nobody
from forecourt.kernel.principal import Door
from forecourt.pages import acting, caching, deleting, filtering, page_rules, picking, site_map, subgrids
from forecourt.pages.acting import Acting
from forecourt.pages.deleting import Deleting
from forecourt.pages.details import Forms
from forecourt.pages.downloads import MEDIA, download
from forecourt.pages.form_pages import FormPages
from forecourt.pages.liquid import Fragment
from forecourt.pages.lists import Lists
from forecourt.pages.multistep import MultistepPages
from forecourt.pages.notes import writing as notes_written
from forecourt.pages.notes.attaching import NOTES
from forecourt.pages.notes.reading import NEW, NOTE, Notes
from forecourt.pages.notes.writing import NotePages
from forecourt.pages.picking import Picking
from forecourt.pages.render import Link, Renderer, finish
from forecourt.pages.searching import Searching
from forecourt.pages.site import FormDefinition, FormMode, ListDefinition, Page, Site, WebFile
from forecourt.pages.subgrids import At, SubgridPages, Subgrids
from forecourt.pages.visit import Visit
from forecourt.web.requests import read_form


@dataclass(frozen=True, slots=True)
class Card:
    """A list on the home page. ``total``: rows of its first view, called ``view``, that the person may read."""

    title: str
    url: str
    total: int
    view: str


class SitePages:
    """Answers requests for the site's own paths."""

    def __init__(
        self,
        site: Site,
        lists: Lists,
        forms: Forms,
        writing: FormPages,
        deletes: Deleting,
        steps: MultistepPages,
        rows: Rows,
        renderer: Renderer,
        searching: Searching,
        notes: Notes,
        acting: Acting,
        grids: Subgrids,
        beneath: SubgridPages,
        picking: Picking,
        noting: NotePages,
        observer: Observer = nobody,
    ) -> None:
        self._notes = notes
        self._acting = acting
        self._subgrids = grids
        self._beneath = beneath
        self._picking = picking
        self._noting = noting
        self._observer = observer
        self._site = site
        self._lists = lists
        self._forms = forms
        self._writing = writing
        self._deleting = deletes
        self._steps = steps
        self._rows = rows
        self._renderer = renderer
        self._searching = searching

    def page_for(self, visit: Visit, path: str) -> Page:
        """The page at ``path``. Raises Refusal FC4042 when there is none, FC3001 when the person may not read it."""
        page = self._site.page_at(path)
        if page is None or not page_rules.served(self._site, page, visit.principal.web_roles):
            raise Refusal("FC4042", "The page does not exist.")
        if visit.trouble is not None and page.path != "/":
            raise visit.trouble
        if not self._renderer.readable(visit, page):
            raise Refusal("FC3001", "This page is not open to you.")
        return page

    def beneath(self, visit: Visit, page: Page) -> bool | None:
        """Whether somebody may do what they ask of a note or a subgrid of the page's row, as far as rights to tables
        say; None where they ask for neither. Raises Refusal FC4041, FC4042."""
        form = self._site.form_of(page)
        if form is None or form.mode is FormMode.INSERT:
            return None
        if subgrids.asked(visit.query):
            return self._subgrids.open_to(visit, self._subgrid(visit, page, form, visit.query))
        if notes_written.asked(visit.query):
            return self._rows.may(visit.principal, NOTES, "create") and visit.query[NOTE] == NEW
        return None

    async def answer(self, visit: Visit) -> Response:
        """The answer to a request for a path of the site. Raises Refusal."""
        request = visit.request
        file = self._site.file_at(visit.path)
        if file is not None and request.method in {"GET", "HEAD"}:
            return self._file(visit, file)
        built_in = visit.path.lower().rstrip("/") == "/search" == self._searching.page(visit)
        if built_in and request.method != "POST":
            return await self._search(visit, None)
        page = self.page_for(visit, visit.path)
        form = self._site.form_of(page)
        listing = self._site.list_of(page)
        multistep = self._site.multistep_of(page)
        if multistep is not None:
            return await (self._steps.post if request.method == "POST" else self._steps.get)(visit, page, multistep)
        if form is not None and subgrids.asked(visit.query):
            return await self._beneath.answer(visit, self._subgrid(visit, page, form, visit.query))
        if form is not None and notes_written.asked(visit.query):
            return await self._note(visit, page, form, visit.query)
        if listing is not None and acting.asked(visit.query):
            wanted = await self._acting.wanted(visit, self._acting.listed(visit, page, listing), visit.query)
            if request.method == "POST":
                return await self._acting.post(visit, wanted, await read_form(request))
            return await self._acting.get(visit, wanted)
        if form is not None and picking.asked(visit.query) and request.method == "GET":
            return await self._picking.get(visit, page, form)
        if request.method == "POST":
            if form is not None and deleting.asked(visit.query):
                return await self._deleting.post(visit, page, form, await read_form(request))
            if form is None or form.mode is FormMode.READ_ONLY:
                raise Refusal("FC1008", "This page takes no form.", headers=(("Allow", "GET, HEAD"),))
            return await self._writing.post(visit, page, form)
        if form is not None:
            return await self._form(visit, page, form)
        if listing is not None:
            return await self._list(visit, page)
        return await self._content(visit, page)

    async def replay(self, visit: Visit, path: str, query: Mapping[str, str], posted: Mapping[str, str]) -> Response:
        """The form of a page with what was typed before the browser's session ended. Nothing is written."""
        page = self.page_for(visit, path)
        form = self._site.form_of(page)
        if page.multistep:
            return await self._steps.replay(visit, page, query, posted)
        if form is not None and subgrids.asked(query):
            return await self._beneath.answer(visit, self._subgrid(visit, page, form, query), posted)
        if form is not None and notes_written.asked(query):
            return await self._note(visit, page, form, query, posted)
        return await self._writing.replay(visit, page, query, posted)

    async def _note(
        self,
        visit: Visit,
        page: Page,
        form: FormDefinition,
        query: Mapping[str, str],
        replayed: Mapping[str, str] | None = None,
    ) -> Response:
        row = self._forms.row_id(form, visit.principal, query)
        url = site_map.row_url(self._site, page, row)
        return await self._noting.answer(visit, page, form, row, query, url, replayed)

    def _subgrid(self, visit: Visit, page: Page, form: FormDefinition, query: Mapping[str, str]) -> At:
        """The subgrid that a query is about, beneath the row that it names. Raises Refusal FC4042, FC4041."""
        if form.mode is FormMode.INSERT:
            raise Refusal("FC4042", "The form has no such subgrid.")
        row = self._forms.row_id(form, visit.principal, query)
        return self._subgrids.at(page, form, row, site_map.row_url(self._site, page, row), query)

    def _file(self, visit: Visit, file: WebFile) -> Response:
        if not page_rules.may_read_file(self._site, file, visit.principal.web_roles):
            raise Refusal("FC4042", "The file does not exist.")
        headers = {"cache-control": caching.REVALIDATED, "etag": caching.file_tag(file.file)}
        response = FileResponse(
            file.file,
            headers=headers,
            media_type=file.media_type,
            filename=file.path.rpartition("/")[2],
            content_disposition_type="attachment" if file.attachment or "svg" in file.media_type else "inline",
        )
        return caching.unchanged(visit, finish(visit, response))

    async def _content(self, visit: Visit, page: Page) -> Response:
        template = self._renderer.template_of(page)
        if template is not None:
            return await self._renderer.by_template(visit, page, *template)
        if self._searching.page(visit) == page.path and page.path != "/":
            return await self._search(visit, page)
        home = page.path == "/"
        cards = await self._cards(visit) if home and visit.trouble is None else ()
        return await self._renderer.page(
            visit,
            "home.html" if home else "content.html",
            title=self._site.content(page, visit.languages).title,
            page=page,
            text=await self._renderer.text(visit, page),
            cards=cards,
            trouble=visit.trouble,
        )

    async def _search(self, visit: Visit, page: Page | None) -> Response:
        """What somebody looks for, found: ``?q=<text>&filter=<label>&page=<number>``."""
        asked = visit.query
        chosen = dict(self._searching.filters)
        label = asked.get("filter", "") if asked.get("filter", "") in chosen else ""
        number = asked.get("page", "1")
        found = await self._searching.search(
            visit, asked.get("q", ""), chosen.get(label, ()), int(number) if re.fullmatch(r"\d{1,3}", number) else 1
        )
        path = page.path if page is not None else visit.path
        title = self._site.content(page, visit.languages).title if page is not None else visit.locales.gettext("Search")

        def url(**changes: str) -> str:
            kept = {"q": found.words.text, "filter": label, **changes}
            return f"{path}?{urlencode({key: value for key, value in kept.items() if value})}"

        return await self._renderer.page(
            visit,
            "search.html",
            title=title,
            page=page,
            text=await self._renderer.text(visit, page) if page is not None else Fragment(),
            found=found,
            path=path,
            label=label,
            choices=[(name, url(filter=name)) for name in chosen],
            everything=url(filter=""),
            next=url(page=str(found.number + 1)) if found.more else "",
            previous=url(page=str(found.number - 1)) if found.number > 1 else "",
        )

    async def _cards(self, visit: Visit) -> tuple[Card, ...]:
        """The lists that the person may open and whose table they may read."""
        found = []
        for page in self._site.in_tree:
            definition = self._site.list_of(page)
            if definition is None or not page.in_sitemap or not self._renderer.readable(visit, page):
                continue
            if self._rows.may(visit.principal, definition.table, "read"):
                found.append((page, definition))
        totals = await asyncio.gather(*(self._lists.total(visit.principal, item) for _, item in found))
        cards = []
        for (page, _), total in zip(found, totals, strict=True):
            if total is not None:
                title = self._site.content(page, visit.languages).title
                cards.append(Card(title, page.path, total[0], total[1]))
        return tuple(cards)

    async def _list(self, visit: Visit, page: Page) -> Response:
        definition = self._site.list_of(page)
        assert definition is not None
        if "download" in visit.query:
            return await self._download(visit, definition)
        details = site_map.details_page(self._site, visit, page, definition.table)
        shown = await self._lists.read(
            visit.principal,
            definition,
            page.path,
            _asked(visit),
            details.path if details else None,
            visit.locales,
            lambda url: self._acting.offers(visit, replace(self._acting.listed(visit, page, definition), here=url)),
        )
        table = self._lists.tables.by_name[definition.table]
        return await self._renderer.page(
            visit,
            "list.html",
            title=self._site.content(page, visit.languages).title,
            page=page,
            text=await self._renderer.text(visit, page),
            listing=shown,
            placeholder=definition.search_placeholder,
            empty_text=definition.empty_text,
            noun=table.entity.label_plural or visit.locales.gettext("rows"),
            create=self._create(visit, page, definition),
            notice=self._acting.notice(visit, definition.actions),
        )

    def _create(self, visit: Visit, page: Page, definition: ListDefinition) -> Link | None:
        """The way to the form that makes a row, for who may."""
        target = site_map.create_page(self._site, visit, page, definition.table)
        if target is None or not self._rows.may(visit.principal, definition.table, "create"):
            return None
        return Link(definition.create_label or self._site.content(target, visit.languages).title, target.path)

    async def _download(self, visit: Visit, definition: ListDefinition) -> Response:
        """The rows of a list as a file."""
        if not definition.download or visit.request.method == "HEAD":
            raise Refusal("FC4042", "The list cannot be downloaded.")
        asked = await self._lists.asked(visit.principal, definition, _asked(visit), visit.locales)
        form = visit.query["download"]
        body, name, rows = await download(self._lists, visit.principal, asked, form, visit.locales)
        self._observer(Exported(Door.PORTAL.value, visit.principal.label, definition.table, rows))
        response = Response(body, media_type=MEDIA[form])
        response.headers["content-disposition"] = f'attachment; filename="{name}"'
        response.headers["cache-control"] = "no-store"
        return finish(visit, response)

    async def _form(self, visit: Visit, page: Page, definition: FormDefinition) -> Response:
        if deleting.asked(visit.query):
            return await self._deleting.get(visit, page, definition, visit.query)
        if definition.mode is not FormMode.READ_ONLY:
            return await self._writing.get(visit, page, definition)
        row_id = self._forms.row_id(definition, visit.principal, visit.query)
        found = await self._forms.details(
            visit.principal,
            definition,
            row_id,
            visit.query,
            page.path,
            visit.locales,
            site_map.details_paths(self._site, visit, page),
            self._subgrids.offering(visit, page),
        )
        edit = site_map.edit_page(self._site, visit, page, definition.table)
        may_edit = edit is not None and self._rows.may(visit.principal, definition.table, "write")
        table = self._lists.tables.by_name[definition.table]
        url = site_map.row_url(self._site, page, row_id)
        notes = await self._notes.of(visit.principal, definition, table, found.row, visit.query, url, visit.locales)
        return await self._renderer.page(
            visit,
            "details.html",
            notes=notes,
            title=found.heading,
            page=page,
            text=await self._renderer.text(visit, page),
            details=found,
            kind=table.label,
            edit_url=site_map.row_url(self._site, edit, row_id) if edit is not None and may_edit else "",
            edit_label=self._site.content(edit, visit.languages).title if edit is not None else "",
            back="",
            delete=(
                Link(definition.delete_label, site_map.row_url(self._site, page, row_id, action=deleting.DELETE))
                if self._deleting.offered(visit, definition)
                else None
            ),
            notice=self._writing.notice(visit, page, definition.table),
        )


def _asked(visit: Visit) -> dict[str, str]:
    """The query of a list's address, with what the filter panel chooses as one parameter."""
    chosen = filtering.gathered(visit.request.query_params.multi_items())
    return {**visit.query, filtering.PARAMETER: chosen}
