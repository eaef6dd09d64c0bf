"""What opens for a subgrid: the form that makes a row beneath another, those of its rows, and the questions about them.

All of it stands at the address of the page or the step that shows the subgrid, and leads back to it: whoever may not
open that, or whose row it is not, gets no further. A new row names the row above whatever is sent; who may not append
to that one is refused by the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from starlette.responses import Response

from forecourt.dataverse.rows import Rows
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.pages import picking
from forecourt.pages.acting import DO, ROW, Acting, Wanted
from forecourt.pages.details import Forms
from forecourt.pages.form_pages import FormPages, Host
from forecourt.pages.liquid import Fragment
from forecourt.pages.lookups import uuid_of
from forecourt.pages.picking import Picking
from forecourt.pages.render import Renderer
from forecourt.pages.site import FormDefinition, FormMode
from forecourt.pages.site.list_actions import ActionKind
from forecourt.pages.subgrids.associating import Associating
from forecourt.pages.subgrids.offering import At, Subgrids
from forecourt.pages.visit import Visit
from forecourt.web.requests import read_form


class SubgridPages:
    """Answers what is asked of a subgrid."""

    def __init__(
        self,
        subgrids: Subgrids,
        forms: Forms,
        rows: Rows,
        acting: Acting,
        writing: FormPages,
        picking: Picking,
        associating: Associating,
        renderer: Renderer,
    ) -> None:
        self._subgrids = subgrids
        self._forms = forms
        self._rows = rows
        self._acting = acting
        self._writing = writing
        self._picking = picking
        self._associating = associating
        self._renderer = renderer

    async def answer(self, visit: Visit, at: At, replayed: Mapping[str, str] | None = None) -> Response:
        """The answer to a request. ``replayed``: what was typed before the browser's session ended, of which nothing
        is written. Raises Refusal FC3001, FC4041, FC4042."""
        if at.query.get(DO) == ActionKind.ASSOCIATE.value:
            return await self._associating.answer(visit, at, replayed is not None)
        try:
            found = await self._opening(visit, at)
        except Unavailable:
            away = self._unread(at)
            if away is None or (visit.request.method != "POST" and replayed is None):
                raise
            found = away
        if isinstance(found, tuple):
            return await self._form(visit, at, *found, replayed)
        if visit.request.method == "POST" and replayed is None:
            return await self._acting.post(visit, found, await read_form(visit.request))
        return await self._acting.get(visit, found)

    async def _opening(self, visit: Visit, at: At) -> tuple[FormDefinition, Host] | Wanted:
        """The form that opens, and where; or the action that asks. Raises Refusal FC3001, FC4041, FC4042."""
        if at.query.get(DO) == ActionKind.CREATE.value:
            return await self._creating(visit, at)
        wanted = await self._acting.wanted(visit, at.place, at.query)
        if wanted.form is None:
            return wanted
        modes = (FormMode.EDIT,) if wanted.action.kind is ActionKind.EDIT else (FormMode.READ_ONLY,)
        found = self._subgrids.form(wanted.action, at.table, *modes)
        if found is None:
            raise Refusal("FC4042", "The form does not exist.")
        return found, Host(wanted.here, at.back, wanted.row.id, grid=at.said_by(wanted.action))

    async def _creating(self, visit: Visit, at: At) -> tuple[FormDefinition, Host]:
        """The form that makes a row beneath. Raises Refusal FC4042, FC4041."""
        definition = self._subgrids.form(at.actions.create, at.table, FormMode.INSERT)
        if definition is None:
            raise Refusal("FC4042", "There is no such action here.")
        here, grid = at.here(**{DO: ActionKind.CREATE.value}), at.said_by(at.actions.create)
        if at.pairs:
            if not self._subgrids.associates(visit, at):
                raise Refusal("FC3001", "You may not do this.", source=at.table.name)
            await self._rows.row(visit.principal, at.above.name, at.row, ())
            related = (at.subgrid.relation, at.above.name, at.row)
            return definition, Host(here, at.back, related=related, grid=grid)
        own = tuple(name for name, _ in at.relation.on if name != at.above.primary_id)
        row = await self._rows.row(visit.principal, at.above.name, at.row, own)
        values = {**row.values, at.above.primary_id: str(row.id)}
        above = {theirs: values.get(name) for name, theirs in at.relation.on}
        return definition, Host(here, at.back, above=above, grid=grid)

    def _unread(self, at: At) -> tuple[FormDefinition, Host] | None:
        """The form that a request is about, while the rows that it stands on cannot be read: nothing is written, and
        what was typed is kept. None where it is about no form, or names no row."""
        do = at.query.get(DO)
        if do == ActionKind.CREATE.value:
            found, row = self._subgrids.form(at.actions.create, at.table, FormMode.INSERT), None
        elif do == ActionKind.EDIT.value and (row := uuid_of(at.query.get(ROW))) is not None:
            action = next((item for item in at.actions.rows if item.kind is ActionKind.EDIT), None)
            found = self._subgrids.form(action, at.table, FormMode.EDIT)
        else:
            return None
        kept = {ROW: str(row)} if row is not None else {}
        above = {theirs: None for _, theirs in at.relation.on}
        host = Host(at.here(**{DO: do}, **kept), at.back, row, above, away=True)
        return (found, host) if found is not None else None

    async def _form(
        self, visit: Visit, at: At, definition: FormDefinition, host: Host, replayed: Mapping[str, str] | None
    ) -> Response:
        if replayed is not None:
            return await self._writing.again(visit, at.page, definition, at.query, replayed, host)
        if visit.request.method == "POST":
            if definition.mode is FormMode.READ_ONLY:
                raise Refusal("FC1008", "This page takes no form.", headers=(("Allow", "GET, HEAD"),))
            return await self._writing.post(visit, at.page, definition, host)
        if definition.mode is FormMode.READ_ONLY:
            return await self._details(visit, at, definition, host)
        if picking.asked(visit.query):
            return await self._picking.get(visit, at.page, definition)
        return await self._writing.get(visit, at.page, definition, host)

    async def _details(self, visit: Visit, at: At, definition: FormDefinition, host: Host) -> Response:
        assert host.row is not None
        form = replace(definition, notes=None)
        found = await self._forms.details(visit.principal, form, host.row, {}, host.action, visit.locales, {}, None)
        return await self._renderer.page(
            visit,
            "details.html",
            title=found.heading,
            page=at.page,
            details=found,
            text=Fragment(),
            kind=at.table.label,
            back=host.back,
            notes=None,
            edit_url="",
            delete=None,
            notice=None,
        )
