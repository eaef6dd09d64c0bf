"""How a step of a multistep form looks: its form or its row, what belongs to the row, and the way through the form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from forecourt.dataverse.rows import Row
from forecourt.pages import site_map
from forecourt.pages.details import Forms, heading_of
from forecourt.pages.editing import sent_once
from forecourt.pages.filling import Asked, Filling, Opened
from forecourt.pages.liquid import Fragment
from forecourt.pages.multistep.keeping import SESSION, STEP, At
from forecourt.pages.multistep.progress import way
from forecourt.pages.multistep.steps import Steps
from forecourt.pages.notes.attaching import FIELD
from forecourt.pages.notes.reading import Notes, Shown
from forecourt.pages.render import Renderer, notice_of
from forecourt.pages.site import FormDefinition, FormMode, Page, Site
from forecourt.pages.subgrids import Subgrids


@dataclass(frozen=True)
class Showing:
    """Makes the pages of steps."""

    site: Site
    forms: Forms
    renderer: Renderer
    filling: Filling
    steps: Steps
    subgrids: Subgrids
    notes: Notes

    async def form(self, at: At, opened: Opened, asked: Asked, posted: Mapping[str, str]) -> Response:
        """A step that is filled in. ``posted``: what was typed in it."""
        asked = await self.filling.dressed(opened, asked, posted)
        below = () if opened.new or asked.away else await self._below(at, opened)
        new = at.visit.locales.gettext("New %(kind)s", kind=opened.table.label)
        subject = new if opened.new else heading_of(opened.table, opened.row)
        notes = None if opened.new or asked.away else await self._noted(at, opened.row)
        once = sent_once(posted, bool(opened.new or opened.attach))
        return await self._page(
            at,
            asked.status,
            filled=asked.filled,
            banner=asked.banner,
            once=once,
            below=below,
            notes=notes,
            subject=subject,
            sections=(),
            attach=opened.attach,
        )

    async def row(self, at: At, banner: str = "") -> Response:
        """A step that is only read."""
        basic = at.step.basic
        assert basic is not None
        row = (await self.steps.row(at)).row
        found = await self.forms.details(
            at.visit.principal,
            basic,
            row,
            at.visit.query,
            self.address(at),
            at.visit.locales,
            site_map.details_paths(self.site, at.visit, at.page),
            self.subgrids.offering(at.visit, at.page),
        )
        return await self._page(
            at,
            400 if banner else 200,
            filled=None,
            banner=banner,
            once="",
            below=found.below,
            notes=await self._noted(at, found.row),
            subject=found.heading,
            sections=found.sections,
            attach=None,
        )

    async def _noted(self, at: At, row: Row) -> Shown | None:
        """The notes of the step's row."""
        visit, definition = at.visit, at.step.basic
        assert definition is not None
        table, _ = self.forms.form(definition)
        shown, url = shown_as(definition), self.address(at)
        return await self.notes.of(visit.principal, shown, table, row, visit.query, url, visit.locales)

    async def _below(self, at: At, opened: Opened) -> object:
        visit, page = at.visit, at.page
        return await self.forms.below(
            visit.principal,
            opened.definition,
            opened.row,
            visit.query,
            self.address(at),
            visit.locales,
            site_map.details_paths(self.site, visit, page),
            self.subgrids.offering(visit, page),
        )

    def address(self, at: At) -> str:
        """Of the step."""
        subject = {} if at.session.version else at.session.subject
        return address_of(at.page, {**subject, SESSION: str(at.session.id), STEP: str(at.step.id)})

    async def _page(self, at: At, status: int, banner: str, **shown: Any) -> Response:
        form, step = at.form, at.step
        assert step.basic is not None
        _ = at.visit.locales.gettext
        submit = (step.next_label or _("Next")) if step.next else (step.basic.submit_label or _("Submit"))
        return await self.renderer.page(
            at.visit,
            "step.html",
            title=step.title,
            page=at.page,
            status=status,
            text=await self.renderer.text(at.visit, at.page) if status != 503 else Fragment(),
            attach_field=FIELD,
            way=way(form, at.session, step),
            instructions=step.instructions,
            banner=_(banner) if banner else "",
            action=self.address(at),
            submit=submit,
            notice=self.subgrids.said(at.visit, step.basic) or notice_of(at.visit),
            previous=(step.previous_label or _("Previous")) if self.steps.previous(at) is not None else "",
            restart=_("Start again") if form.several and at.session.version and at.session.path else "",
            **shown,
        )


def shown_as(definition: FormDefinition) -> FormDefinition:
    """The form of a step whose row is there."""
    return replace(definition, mode=FormMode.EDIT) if definition.mode is FormMode.INSERT else definition


def address_of(page: Page, query: Mapping[str, str]) -> str:
    """The address of a page with a query."""
    return f"{page.path}?{urlencode(query)}" if query else page.path
