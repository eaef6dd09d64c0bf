"""Associating: rows that are there already are chosen to belong to a row, by a lookup or as pairs.

The rows to choose from are those of the lookup view of their table which the person may read and which do not belong to
the row yet, searched and paged
(``&q=<text>&cursor=<token>``); several are taken at once, all or none. Append and Append To are decided by the store,
for the very rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from forecourt.dataverse.rows import Rows
from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Observer, nobody
from forecourt.pages.acting import DO, told_at
from forecourt.pages.asking import told
from forecourt.pages.details import Forms, heading_of
from forecourt.pages.picking import CURSOR, MAX_SEARCH, SEARCH, Picking
from forecourt.pages.render import Renderer, finish
from forecourt.pages.site.list_actions import ActionKind
from forecourt.pages.subgrids.offering import At, Subgrids
from forecourt.pages.visit import Visit
from forecourt.web.requests import read_form

#: Fields of rows that are chosen begin with it.
_ROW = "row."


class Associating:
    """Shows the rows to choose from, and binds those that are chosen."""

    def __init__(
        self,
        subgrids: Subgrids,
        forms: Forms,
        rows: Rows,
        picking: Picking,
        renderer: Renderer,
        observer: Observer = nobody,
    ) -> None:
        self._subgrids = subgrids
        self._forms = forms
        self._rows = rows
        self._picking = picking
        self._renderer = renderer
        self._observer = observer

    async def answer(self, visit: Visit, at: At, replayed: bool = False) -> Response:
        """The answer to a request. Raises Refusal FC4042, FC3001, FC4041."""
        if at.actions.associate is None:
            raise Refusal("FC4042", "There is no such action here.")
        if not self._subgrids.associates(visit, at):
            raise Refusal("FC3001", "You may not do this.", source=at.table.name)
        if visit.request.method != "POST" or replayed:
            return await self._show(visit, at, {})
        return await self._post(visit, at, await read_form(visit.request))

    async def _post(self, visit: Visit, at: At, posted: Mapping[str, str]) -> Response:
        _ = visit.locales.gettext
        try:
            visit.require_token(posted.get(csrf.FIELD))
        except Refusal as refusal:
            text = _("For your safety nothing was done: the page was opened too long ago.")
            return await self._show(visit, at, posted, text, refusal.status)
        try:
            chosen = tuple(UUID(name.removeprefix(_ROW)) for name in posted if name.startswith(_ROW))
        except ValueError:
            raise Refusal("FC4041", "The row does not exist.") from None
        if not chosen:
            return await self._show(visit, at, posted, _("Choose a row."), 422)
        try:
            await self._rows.associate(visit.principal, at.above.name, at.row, at.subgrid.relation, chosen)
        except Refusal as refusal:
            return await self._show(visit, at, posted, told(visit, self._observer, refusal, ""), refusal.status)
        return finish(visit, RedirectResponse(told_at(at.back, "associated", at.said_by(at.actions.associate)), 303))

    async def _show(
        self, visit: Visit, at: At, posted: Mapping[str, str], problem: str = "", status: int = 200
    ) -> Response:
        above = await self._forms.row(visit.principal, at.above, at.row, ())
        text = " ".join(at.query.get(SEARCH, "").split())[:MAX_SEARCH]
        cursor = at.query.get(CURSOR) or None
        grid, names = await self._picking.grid(
            visit, at.table, text, cursor, (at.subgrid.relation, at.above.name, at.row)
        )
        do = {DO: ActionKind.ASSOCIATE.value, **({SEARCH: text} if text else {})}
        grid = replace(
            grid,
            caption=at.table.entity.label_plural or at.table.label,
            next=at.here(**do, **{CURSOR: grid.next}) if grid.next else "",
            first=at.here(**do) if cursor else "",
            number=2 if cursor else 1,
        )
        kept = {name: value for name, value in at.query.items() if name not in {SEARCH, CURSOR}}
        return await self._renderer.page(
            visit,
            "associate.html",
            title=self._subgrids.label(visit, at.actions.associate),
            page=at.page,
            status=status,
            subject=f"{at.above.label} {heading_of(at.above, above)}",
            action=at.here(**do, **({CURSOR: cursor} if cursor else {})),
            cancel_url=at.back,
            kept=tuple(kept.items()),
            looked_for=text,
            grid=grid,
            names=names,
            chosen={name.removeprefix(_ROW) for name in posted if name.startswith(_ROW)},
            problem=problem,
            notice=None,
        )
