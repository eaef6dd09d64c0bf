"""Deleting a row: a page that asks, and the form on it that does it.

A form with a Delete action (A4.4) offers it on its page to who may delete rows of the table, by ``?action=delete``. The
row goes in the version that the person was asked about; what is refused is said where it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import RedirectResponse, Response

from forecourt.dataverse.rows import Rows
from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Observer, nobody
from forecourt.pages import site_map
from forecourt.pages.asking import told
from forecourt.pages.details import Forms, heading_of
from forecourt.pages.editing import VERSION
from forecourt.pages.render import Renderer, finish
from forecourt.pages.site import FormDefinition, Page, Site
from forecourt.pages.visit import Visit

ACTION = "action"
DELETE = "delete"


def asked(query: Mapping[str, str]) -> bool:
    """Whether a request is about deleting the row."""
    return query.get(ACTION) == DELETE


class Deleting:
    """Asks and deletes."""

    def __init__(self, site: Site, forms: Forms, rows: Rows, renderer: Renderer, observer: Observer = nobody) -> None:
        self._site = site
        self._forms = forms
        self._rows = rows
        self._renderer = renderer
        self._observer = observer

    def offered(self, visit: Visit, definition: FormDefinition) -> bool:
        """Whether the form deletes rows and the person may delete some of its table."""
        return bool(definition.delete_label) and self._rows.may(visit.principal, definition.table, DELETE)

    async def get(
        self,
        visit: Visit,
        page: Page,
        definition: FormDefinition,
        query: Mapping[str, str],
        problem: str = "",
        status: int = 200,
    ) -> Response:
        """The page that asks. Raises Refusal FC3001 where nothing is offered, FC4041."""
        if not self.offered(visit, definition):
            raise Refusal("FC3001", "You may not delete this.")
        table, _ = self._forms.form(definition)
        row_id = self._forms.row_id(definition, visit.principal, query)
        row = await self._forms.row(visit.principal, table, row_id, ())
        back = site_map.row_url(self._site, page, row.id)
        return await self._renderer.page(
            visit,
            "delete.html",
            title=f"{definition.delete_label}: {heading_of(table, row)}",
            page=page,
            status=status,
            kind=table.label,
            question=definition.delete_question or visit.locales.gettext("This cannot be undone."),
            problem=problem,
            version=row.version,
            action=site_map.row_url(self._site, page, row.id, **{ACTION: DELETE}),
            cancel_url=back,
            submit=definition.delete_label,
            notice=None,
        )

    async def post(self, visit: Visit, page: Page, definition: FormDefinition, posted: Mapping[str, str]) -> Response:
        """Deletes the row, and leads to the list that it was in."""
        if not self.offered(visit, definition):
            raise Refusal("FC3001", "You may not delete this.")
        row_id = self._forms.row_id(definition, visit.principal, visit.query)
        try:
            visit.require_token(posted.get(csrf.FIELD))
        except Refusal as refusal:
            text = visit.locales.gettext("For your safety nothing was deleted: the page was opened too long ago.")
            return await self.get(visit, page, definition, visit.query, text, refusal.status)
        version = posted.get(VERSION)
        if not version:
            return await self.get(visit, page, definition, visit.query)
        try:
            await self._rows.delete(visit.principal, definition.table, row_id, version)
        except Refusal as refusal:
            changed = visit.locales.gettext(
                "Somebody else has changed it meanwhile. Look at it again before you delete it."
            )
            text = told(visit, self._observer, refusal, changed)
            return await self.get(visit, page, definition, visit.query, text, refusal.status)
        return finish(visit, RedirectResponse(self._after(visit, page, definition.table), 303))

    def _after(self, visit: Visit, page: Page, table: str) -> str:
        above = (item for item in self._site.chain(page)[1:] if self._renderer.readable(visit, item))
        target = site_map.list_page(self._site, visit, page, table) or next(above, None)
        return f"{target.path if target is not None else '/'}?notice=deleted"
