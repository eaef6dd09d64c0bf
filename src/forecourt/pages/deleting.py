"""Deleting a row: a page that asks, and the form on it that does it.

A form with a Delete action (A4.4) offers it on its page to who may delete rows of the table, by ``?action=delete``. The
row goes in the version that the person was asked about; what is refused is said where it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from forecourt.dataverse.rows import Rows
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Observer, nobody
from forecourt.pages import site_map
from forecourt.pages.asking import Asking, Question
from forecourt.pages.details import Forms, heading_of
from forecourt.pages.render import Renderer
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
        self._asking = Asking(renderer, observer)

    def offered(self, visit: Visit, definition: FormDefinition) -> bool:
        """Whether the form deletes rows and the person may delete some of its table."""
        return bool(definition.delete_label) and self._rows.may(visit.principal, definition.table, DELETE)

    async def get(self, visit: Visit, page: Page, definition: FormDefinition, query: Mapping[str, str]) -> Response:
        """The page that asks. Raises Refusal FC3001 where nothing is offered, FC4041."""
        return await self._asking.ask(visit, await self._question(visit, page, definition, query))

    async def post(self, visit: Visit, page: Page, definition: FormDefinition, posted: Mapping[str, str]) -> Response:
        """Deletes the row, and leads to the list that it was in."""
        question = await self._question(visit, page, definition, visit.query)
        row_id = self._forms.row_id(definition, visit.principal, visit.query)

        async def do(version: str) -> None:
            await self._rows.delete(visit.principal, definition.table, row_id, version)

        return await self._asking.settle(visit, question, posted, do, self._after(visit, page, definition.table))

    async def _question(
        self, visit: Visit, page: Page, definition: FormDefinition, query: Mapping[str, str]
    ) -> Question:
        if not self.offered(visit, definition):
            raise Refusal("FC3001", "You may not delete this.")
        table, _ = self._forms.form(definition)
        row_id = self._forms.row_id(definition, visit.principal, query)
        row = await self._forms.row(visit.principal, table, row_id, ())
        return Question(
            page,
            f"{definition.delete_label}: {heading_of(table, row)}",
            table.label,
            definition.delete_question or visit.locales.gettext("This cannot be undone."),
            row.version,
            site_map.row_url(self._site, page, row.id, **{ACTION: DELETE}),
            site_map.row_url(self._site, page, row.id),
            definition.delete_label,
        )

    def _after(self, visit: Visit, page: Page, table: str) -> str:
        above = (item for item in self._site.chain(page)[1:] if self._renderer.readable(visit, item))
        target = site_map.list_page(self._site, visit, page, table) or next(above, None)
        return f"{target.path if target is not None else '/'}?notice=deleted"
