"""Pages with a form that writes: a row is made, or changed.

Every way out but success shows the form with what was typed: what is wrong with it, what the store refuses, what
somebody else has changed, what a lookup has found, a session that began anew. A success leads to another address, so
that going back or reloading sends nothing; a form that makes a row and is sent twice makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from forecourt.dataverse.rows import Rows
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.pages import deleting, site_map
from forecourt.pages.acting import told_at
from forecourt.pages.deleting import Deleting
from forecourt.pages.details import Forms, Offering, heading_of
from forecourt.pages.editing import sent_once
from forecourt.pages.filling import AGAIN, Asked, Filling, Opened
from forecourt.pages.liquid import Fragment
from forecourt.pages.notes.attaching import FIELD, bounds
from forecourt.pages.notes.reading import Notes
from forecourt.pages.render import Renderer, finish, notice_of
from forecourt.pages.site import FormDefinition, FormMode, Page, Site
from forecourt.pages.visit import Visit
from forecourt.web.requests import read_posted


@dataclass(frozen=True, slots=True)
class Host:
    """A form that opens in another's place. ``action``: its own address; ``back``: where it leads; ``row``: that it
    changes; ``above``: what a new one holds whatever was typed, by column; ``related``: collection of another row that
    a new one is added to (relation, table, row). ``grid``: names the subgrid whose words say what was done. ``away``:
    what stands around it cannot be read now, so that nothing is written."""

    action: str
    back: str
    row: UUID | None = None
    above: Mapping[str, object] = field(default_factory=dict)
    away: bool = False
    related: tuple[str, str, UUID] | None = None
    grid: Mapping[str, str] = field(default_factory=dict)


class FormPages:
    """Shows and takes them."""

    def __init__(
        self,
        site: Site,
        forms: Forms,
        rows: Rows,
        renderer: Renderer,
        deletes: Deleting,
        filling: Filling,
        notes: Notes,
        offering: Callable[[Visit, Page], Offering],
        said: Callable[[Visit, FormDefinition], str | None],
    ) -> None:
        self._said = said
        self._notes = notes
        self._offering = offering
        self._deleting = deletes
        self._filling = filling
        self._site = site
        self._forms = forms
        self._rows = rows
        self._renderer = renderer

    def takes(self, visit: Visit, page: Page) -> bool:
        """Whether the page's form makes rows and the visitor may make them."""
        form = self._site.form_of(page)
        return (
            form is not None and form.mode is FormMode.INSERT and self._rows.may(visit.principal, form.table, "create")
        )

    def notice(self, visit: Visit, page: Page, table: str) -> str | None:
        """What the form says after a change, for a page that it leads to: its own words, where it has any."""
        key = visit.query.get("notice", "")
        find = {"saved": site_map.edit_page, "created": site_map.create_page}.get(key)
        own = self._site.form_of(page)
        if own is not None and (said := self._said(visit, own)):
            return said
        if key == "created" and own is not None and own.mode is FormMode.INSERT:
            source: Page | None = page
        else:
            source = find(self._site, visit, page, table) if find is not None else None
        form = self._site.form_of(source) if source is not None else None
        return form.success if form is not None and form.success else notice_of(visit)

    async def get(self, visit: Visit, page: Page, definition: FormDefinition, host: Host | None = None) -> Response:
        """The form as it is opened. Raises Refusal FC3001, FC4041, FC4042."""
        opened = await self._open(visit, page, definition, visit.query, host)
        if not opened.new and not self._rows.may(visit.principal, opened.table.name, "write"):
            raise Refusal("FC3001", "You may read this, but not change it.")
        return await self._show(opened, Asked(self._filling.blank(opened)), {}, host)

    async def post(self, visit: Visit, page: Page, definition: FormDefinition, host: Host | None = None) -> Response:
        """Writes what was typed and the files that came with it, and leads on."""
        sent = await read_posted(visit.request, bounds(self._filling.attach(visit, definition)))
        posted = sent.fields
        opened = await self._open(visit, page, definition, visit.query, host, posted)
        done = await self._filling.write(opened, posted, files=sent.files)
        if isinstance(done, Asked):
            return await self._show(opened, done, posted, host)
        if host is not None:
            notice = "added" if opened.new else "changed" if done.values or done.files else "unchanged"
            return finish(visit, RedirectResponse(told_at(host.back, notice, host.grid), 303))
        if opened.new:
            return finish(visit, RedirectResponse(await self._after(opened, done.row), 303))
        back = site_map.details_page(self._site, visit, page, opened.table.name) or page
        notice = "saved" if done.values or done.files else "unchanged"
        return finish(visit, RedirectResponse(site_map.row_url(self._site, back, done.row, notice=notice), 303))

    async def replay(self, visit: Visit, page: Page, query: Mapping[str, str], posted: Mapping[str, str]) -> Response:
        """The form with what was typed before the session ended, for the person who has just signed in again.

        Nothing is written: the form carries a token of the new session and waits to be sent.
        """
        definition = self._site.form_of(page)
        if definition is not None and deleting.asked(query):
            return await self._deleting.get(visit, page, definition, query)
        if definition is None or definition.mode is FormMode.READ_ONLY:
            raise Refusal("FC4042", "The form does not exist.")
        return await self.again(visit, page, definition, query, posted)

    async def again(
        self,
        visit: Visit,
        page: Page,
        definition: FormDefinition,
        query: Mapping[str, str],
        posted: Mapping[str, str],
        host: Host | None = None,
    ) -> Response:
        """The form with what was typed, which nothing is written of."""
        opened = await self._open(visit, page, definition, query, host, posted)
        if opened.away:
            return await self._show(opened, self._filling.kept(opened, posted), posted, host)
        filled = opened.editor.again(opened.row, posted, {})
        return await self._show(opened, Asked(filled, banner=AGAIN), posted, host)

    # -- steps ---------------------------------------------------------------------------------------------------

    async def _open(
        self,
        visit: Visit,
        page: Page,
        definition: FormDefinition,
        query: Mapping[str, str],
        host: Host | None,
        typed: Mapping[str, str] | None = None,
    ) -> Opened:
        """The form; in another's place with the row above instead of what the query says."""
        if host is None:
            return await self._filling.open(visit, page, definition, query, typed=typed)
        alone = replace(definition, parent_column="", parent_relation="")
        opened = await self._filling.open(visit, page, alone, {}, host.row, typed=typed, away=host.away)
        return opened.beneath(host.above, host.related) if opened.new else opened

    async def _after(self, opened: Opened, row_id: UUID) -> str:
        """Where a new row leads: where the form says, else to its details where they can be read, else to the form."""
        visit, definition, name = opened.visit, opened.definition, opened.table.name
        target = self._site.pages.get(definition.redirect) if definition.redirect else None
        url = target.path if target is not None else definition.redirect_url
        if url:
            more = {definition.id_parameter: str(row_id)} if definition.append_id else {}
            if url.startswith("/"):
                more["notice"] = "created"
            return f"{url}{'&' if '?' in url else '?'}{urlencode(more)}" if more else url
        details = site_map.details_page(self._site, visit, opened.page, name)
        if details is not None:
            try:
                await self._rows.row(visit.principal, name, row_id, ())
            except (Refusal, Unavailable):
                details = None
        if details is not None:
            return site_map.row_url(self._site, details, row_id, notice="created")
        return f"{opened.page.path}?{urlencode({**self._kept(opened), 'notice': 'created'})}"

    def _kept(self, opened: Opened) -> dict[str, str]:
        """What of the query belongs to the form's address."""
        name = opened.definition.parent_parameter if opened.new else opened.definition.id_parameter
        return {key: value for key, value in opened.query.items() if key.lower() == name.lower()}

    async def _show(
        self, opened: Opened, asked: Asked, posted: Mapping[str, str], host: Host | None = None
    ) -> Response:
        visit, page, table, row = opened.visit, opened.page, opened.table, opened.row
        asked = await self._filling.dressed(opened, asked, posted)
        alone = opened.new or host is not None or asked.away
        paths = site_map.details_paths(self._site, visit, page)
        below = (
            ()
            if alone
            else await self._forms.below(
                visit.principal,
                opened.definition,
                row,
                opened.query,
                page.path,
                visit.locales,
                paths,
                self._offering(visit, page),
            )
        )
        url = site_map.row_url(self._site, page, row.id)
        notes = (
            None
            if alone
            else await self._notes.of(visit.principal, opened.definition, table, row, opened.query, url, visit.locales)
        )
        subject = (
            visit.locales.gettext("New %(kind)s", kind=table.label)
            if opened.new
            else table.label
            if opened.away
            else f"{table.label} {heading_of(table, row)}"
        )
        title = subject if host is not None else self._site.content(page, visit.languages).title
        kept = urlencode(self._kept(opened))
        action = host.action if host is not None else f"{page.path}?{kept}" if kept else page.path
        return await self._renderer.page(
            visit,
            "edit.html",
            title=title,
            page=page,
            status=asked.status,
            text=await self._renderer.text(visit, page) if host is None and not asked.away else Fragment(),
            filled=asked.filled,
            attach=opened.attach,
            attach_field=FIELD,
            banner=visit.locales.gettext(asked.banner) if asked.banner else "",
            below=below,
            notes=notes,
            once=sent_once(posted, bool(opened.new or opened.attach)),
            subject=table.label if host is not None else subject,
            action=action,
            cancel_url=host.back if host is not None else self._cancel(opened),
            submit=opened.definition.submit_label or visit.locales.gettext("Save"),
            delete=self._delete(opened) if host is None else None,
            notice=self.notice(visit, page, table.name) if not posted and host is None else None,
        )

    def _delete(self, opened: Opened) -> tuple[str, str] | None:
        definition = opened.definition
        if opened.new or not self._deleting.offered(opened.visit, definition):
            return None
        url = site_map.row_url(self._site, opened.page, opened.row.id, **{deleting.ACTION: deleting.DELETE})
        return definition.delete_label, url

    def _cancel(self, opened: Opened) -> str:
        visit, page = opened.visit, opened.page
        if opened.new:
            above = self._site.pages.get(page.parent) if page.parent else None
            return above.path if above is not None and self._renderer.readable(visit, above) else ""
        back = site_map.details_page(self._site, visit, page, opened.table.name)
        return "" if back is None or back.id == page.id else site_map.row_url(self._site, back, opened.row.id)
