"""Pages with a form that writes: a row is made, or changed.

Every way out but success shows the form with what was typed: what is wrong with it, what the store refuses, what
somebody else has changed, what a lookup has found, a session that began anew. A success leads to another address, so
that going back or reloading sends nothing; a form that makes a row and is sent twice makes one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from forecourt.dataverse.rows import Row, Rows
from forecourt.dataverse.tables import Table
from forecourt.identity import csrf
from forecourt.kernel.errors import CODES, Refusal, Unavailable
from forecourt.kernel.observe import Denied, Fault, Observer, nobody
from forecourt.kernel.principal import Door
from forecourt.pages import deleting, lookups, site_map
from forecourt.pages.deleting import Deleting
from forecourt.pages.details import Forms, Makes, heading_of
from forecourt.pages.editing import BLANK, ONCE, VERSION, Editor, Filled
from forecourt.pages.render import Renderer, finish, notice_of
from forecourt.pages.site import FormDefinition, FormMode, Page, Site
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_

_TOO_OLD = N_("For your safety the form was not sent: it was opened too long ago. Check it and save again.")
_AGAIN = N_("You are signed in again. Nothing that you typed is lost, and nothing is saved yet: check it and save.")


@dataclass(frozen=True)
class _Opened:
    """A form for one visitor. ``row``: as it is stored, a blank one for a form that makes it; ``query``: of the form's
    address."""

    visit: Visit
    page: Page
    definition: FormDefinition
    table: Table
    editor: Editor
    row: Row
    query: Mapping[str, str]

    @property
    def new(self) -> bool:
        return self.editor.new


class FormPages:
    """Shows and takes them."""

    def __init__(
        self,
        site: Site,
        forms: Forms,
        rows: Rows,
        renderer: Renderer,
        deletes: Deleting,
        observer: Observer = nobody,
    ) -> None:
        self._deleting = deletes
        self._site = site
        self._forms = forms
        self._rows = rows
        self._renderer = renderer
        self._observer = observer

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
        if key == "created" and own is not None and own.mode is FormMode.INSERT:
            source: Page | None = page
        else:
            source = find(self._site, visit, page, table) if find is not None else None
        form = self._site.form_of(source) if source is not None else None
        return form.success if form is not None and form.success else notice_of(visit)

    def makes(self, visit: Visit, page: Page) -> Makes:
        """The forms that make rows beneath one on ``page``."""

        def find(child: Table, lookup: str, row_id: UUID) -> tuple[str, str] | None:
            target = site_map.create_beneath(self._site, visit, page, child, lookup)
            form = self._site.form_of(target) if target is not None else None
            if target is None or form is None:
                return None
            address = f"{target.path}?{urlencode({form.parent_parameter: str(row_id)})}"
            return self._site.content(target, visit.languages).title, address

        return find

    async def get(self, visit: Visit, page: Page, definition: FormDefinition) -> Response:
        """The form as it is opened. Raises Refusal FC3001, FC4041, FC4042."""
        opened = await self._open(visit, page, definition, visit.query)
        if not opened.new and not self._rows.may(visit.principal, opened.table.name, "write"):
            raise Refusal("FC3001", "You may read this, but not change it.")
        filled = opened.editor.again(BLANK, self._given(opened), {}) if opened.new else opened.editor.opened(opened.row)
        return await self._show(opened, filled, {})

    async def post(self, visit: Visit, page: Page, definition: FormDefinition, posted: Mapping[str, str]) -> Response:
        """Writes what was typed, and leads on."""
        opened = await self._open(visit, page, definition, visit.query)
        editor, row = opened.editor, opened.row
        try:
            visit.require_token(posted.get(csrf.FIELD))
        except Refusal as refusal:
            return await self._show(opened, editor.again(row, posted, {}), posted, refusal.status, _TOO_OLD)
        if lookups.wanted(editor.sections, posted):
            return await self._show(opened, editor.again(row, posted, {}), posted)
        changes, errors = editor.changes(posted)
        if errors:
            return await self._show(opened, editor.again(row, posted, errors), posted, 422)
        try:
            return await (self._make if opened.new else self._change)(opened, changes, posted)
        except Unavailable as error:
            self._observer(Fault(visit.correlation, error))
            refused = Refusal("FC5031", CODES["FC5031"][1])
        except Refusal as error:
            if error.code == "FC4041" and not opened.new:
                raise
            if error.status == 403:
                self._observer(Denied(Door.PORTAL, visit.principal.label, error.code, visit.path))
            refused = error
        if refused.code == "FC4121":
            now = await self._forms.row(visit.principal, opened.table, row.id, editor.sections)
            return await self._show(opened, editor.conflicting(now, posted), posted, 409)
        found, general = editor.refusal(refused)
        return await self._show(opened, editor.again(row, posted, found, general), posted, refused.status)

    async def replay(self, visit: Visit, page: Page, query: Mapping[str, str], posted: Mapping[str, str]) -> Response:
        """The form with what was typed before the session ended, for the person who has just signed in again.

        Nothing is written: the form carries a token of the new session and waits to be sent.
        """
        definition = self._site.form_of(page)
        if definition is not None and deleting.asked(query):
            return await self._deleting.get(visit, page, definition, query)
        if definition is None or definition.mode is FormMode.READ_ONLY:
            raise Refusal("FC4042", "The form does not exist.")
        opened = await self._open(visit, page, definition, query)
        return await self._show(opened, opened.editor.again(opened.row, posted, {}), posted, banner=_AGAIN)

    # -- steps ---------------------------------------------------------------------------------------------------

    async def _open(self, visit: Visit, page: Page, definition: FormDefinition, query: Mapping[str, str]) -> _Opened:
        table, form = self._forms.form(definition)
        enums, new = self._forms.tables.enums, definition.mode is FormMode.INSERT
        if new:
            sections = await self._forms.new_sections(visit.principal, table, form, definition.all_required)
            row = BLANK
        else:
            row_id = self._forms.row_id(definition, visit.principal, query)
            sections = await self._forms.sections(visit.principal, table, form)
            row = await self._forms.row(visit.principal, table, row_id, sections)
        editor = Editor(table, sections, enums, visit.locales, new)
        return _Opened(visit, page, definition, table, editor, row, query)

    def _given(self, opened: _Opened) -> dict[str, str]:
        """What a new row brings without being typed: who makes it, and the row that the address names."""
        found: dict[str, str] = {}
        definition, contact = opened.definition, opened.visit.principal.contact
        person = opened.table.column(definition.person_column)
        if person is not None and contact is not None:
            found[person.name] = str(contact.id)
        parent = opened.table.column(definition.parent_column)
        wanted = {name.lower(): value for name, value in opened.query.items()}.get(definition.parent_parameter.lower())
        if parent is not None and wanted:
            try:
                found[parent.name] = str(UUID(wanted))
            except ValueError:
                raise Refusal("FC4041", "The row that this belongs to does not exist.") from None
        return found

    async def _make(self, opened: _Opened, changes: dict[str, object], posted: Mapping[str, str]) -> Response:
        shown = {item.name for section in opened.editor.sections for item in section.fields}
        values = {**{name: value for name, value in self._given(opened).items() if name not in shown}, **changes}
        if not values:
            raise Refusal("FC1003", "Nothing is filled in yet.")
        visit, definition = opened.visit, opened.definition
        mark = _mark(posted.get(ONCE, ""), visit.principal.label, definition.id, values)
        row_id = await self._rows.create(visit.principal, opened.table.name, values, mark)
        return finish(visit, RedirectResponse(await self._after(opened, row_id), 303))

    async def _change(self, opened: _Opened, changes: dict[str, object], posted: Mapping[str, str]) -> Response:
        visit, row = opened.visit, opened.row
        if changes:
            version = posted.get(VERSION) or row.version
            await self._rows.update(visit.principal, opened.table.name, row.id, changes, version)
        back = site_map.details_page(self._site, visit, opened.page, opened.table.name) or opened.page
        notice = "saved" if changes else "unchanged"
        return finish(visit, RedirectResponse(site_map.row_url(self._site, back, row.id, notice=notice), 303))

    async def _after(self, opened: _Opened, row_id: UUID) -> str:
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
            except Refusal:
                details = None
        if details is not None:
            return site_map.row_url(self._site, details, row_id, notice="created")
        return f"{opened.page.path}?{urlencode({**self._kept(opened), 'notice': 'created'})}"

    def _kept(self, opened: _Opened) -> dict[str, str]:
        """What of the query belongs to the form's address."""
        name = opened.definition.parent_parameter if opened.new else opened.definition.id_parameter
        return {key: value for key, value in opened.query.items() if key.lower() == name.lower()}

    async def _show(
        self, opened: _Opened, filled: Filled, posted: Mapping[str, str], status: int = 200, banner: str = ""
    ) -> Response:
        visit, page, table, row = opened.visit, opened.page, opened.table, opened.row
        look = self._forms.lookups
        found = {
            item.name: await look.search(visit.principal, item.column, posted.get(lookups.FIND + item.name, ""))
            for item in lookups.wanted(opened.editor.sections, posted)
        }
        held = [(entry.field.column, value) for entry in filled.entries for value in (entry.text, entry.shown.text)]
        filled = filled.dressed(await look.names(visit.principal, held), found)
        paths = site_map.details_paths(self._site, visit, page)
        below = (
            ()
            if opened.new
            else await self._forms.below(
                visit.principal,
                opened.definition,
                row,
                opened.query,
                page.path,
                visit.locales,
                paths,
                self.makes(visit, page),
            )
        )
        title = self._site.content(page, visit.languages).title
        address = urlencode(self._kept(opened))
        return await self._renderer.page(
            visit,
            "edit.html",
            title=title,
            page=page,
            status=status,
            text=await self._renderer.text(visit, page),
            filled=filled,
            banner=visit.locales.gettext(banner) if banner else "",
            below=below,
            once=(posted.get(ONCE) or secrets.token_urlsafe(16)) if opened.new else "",
            subject=visit.locales.gettext("New %(kind)s", kind=table.label)
            if opened.new
            else f"{table.label} {heading_of(table, row)}",
            action=f"{page.path}?{address}" if address else page.path,
            cancel_url=self._cancel(opened),
            submit=opened.definition.submit_label or visit.locales.gettext("Save"),
            delete=self._delete(opened),
            notice=self.notice(visit, page, table.name) if not posted else None,
        )

    def _delete(self, opened: _Opened) -> tuple[str, str] | None:
        definition = opened.definition
        if opened.new or not self._deleting.offered(opened.visit, definition):
            return None
        url = site_map.row_url(self._site, opened.page, opened.row.id, **{deleting.ACTION: deleting.DELETE})
        return definition.delete_label, url

    def _cancel(self, opened: _Opened) -> str:
        visit, page = opened.visit, opened.page
        if opened.new:
            above = self._site.pages.get(page.parent) if page.parent else None
            return above.path if above is not None and self._renderer.readable(visit, above) else ""
        back = site_map.details_page(self._site, visit, page, opened.table.name)
        return "" if back is None or back.id == page.id else site_map.row_url(self._site, back, opened.row.id)


def _mark(once: str, person: str, form: UUID, values: Mapping[str, object]) -> bytes:
    """What tells a form that is sent twice from one that is filled in anew: the same page, person and values."""
    if not once:
        return b""
    text = repr((once, person, form, sorted((name, str(value)) for name, value in values.items())))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
