"""Actions of a list's rows: which each row offers to whom, and what is asked and done.

A row offers an action where the list's settings name it and the person may do it to that very row: the statement that
reads the rows decides both (``Query.rights``). Editing leads to the page of a form. All else asks first, on a page of
its own, and is done by a form with a token, in the version of the row that the question was about::

    ?do=<action>&row=<id>     beside what the list's address keeps, to which it leads back

Only rows of the list's views are asked about and changed: the permission decides, and the list narrows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from forecourt.dataverse.rows import Query, Row, Rows
from forecourt.dataverse.tables import Table
from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.observe import Observer, nobody
from forecourt.kernel.plan import WriteOperation
from forecourt.kernel.predicate import FALSE, Predicate, any_of, shift_slots
from forecourt.pages import page_rules, site_map
from forecourt.pages.asking import told
from forecourt.pages.details import heading_of
from forecourt.pages.editing import VERSION
from forecourt.pages.lists import Action, Lists, Offers
from forecourt.pages.render import Renderer, finish, notice_of
from forecourt.pages.site import ListDefinition, Page, Site
from forecourt.pages.site.list_actions import ActionKind, RowAction
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_

DO, ROW = "do", "row"

_STATE = "statecode"

#: What an action is called, what it asks, which right it takes, which notice tells of it.
_USUAL: Mapping[ActionKind, tuple[str, str, WriteOperation, str]] = {
    ActionKind.EDIT: (N_("Edit"), "", "update", ""),
    ActionKind.DELETE: (N_("Delete"), N_("This cannot be undone."), "delete", "deleted"),
    ActionKind.ACTIVATE: (N_("Activate"), N_("It becomes active again."), "update", "activated"),
    ActionKind.DEACTIVATE: (N_("Deactivate"), N_("It stays, and is no longer active."), "update", "deactivated"),
}

#: The state that an action brings about.
_STATES = {ActionKind.ACTIVATE: 0, ActionKind.DEACTIVATE: 1}


def asked(query: Mapping[str, str]) -> bool:
    """Whether a request is about an action of a row."""
    return DO in query


@dataclass(frozen=True, slots=True)
class _Asked:
    """An action that somebody asks for. ``row``: as it is; ``back``, ``here``: addresses of the list and the action."""

    action: RowAction
    table: Table
    row: Row
    back: str
    here: str


class Acting:
    """Offers actions, asks and does."""

    def __init__(self, site: Site, lists: Lists, rows: Rows, renderer: Renderer, observer: Observer = nobody) -> None:
        self._site = site
        self._lists = lists
        self._rows = rows
        self._renderer = renderer
        self._observer = observer

    async def offers(self, visit: Visit, page: Page, definition: ListDefinition, url: Callable[..., str]) -> Offers:
        """What rows of the list offer on its page. ``url``: the page's address with changes."""
        table = self._lists.tables.by_name[definition.table]
        ways = [
            (action, way)
            for action in definition.actions
            if (way := await self._way(visit, page, table, action, url)) is not None
        ]
        rights = tuple(dict.fromkeys(_USUAL[action.kind][2] for action, _ in ways))
        states = any(action.kind in _STATES for action, _ in ways)

        def of(row: Row) -> tuple[Action, ...]:
            return tuple(
                Action(_label(action, visit), way(row), action.tooltip)
                for action, way in ways
                if _USUAL[action.kind][2] in row.rights and _fits(action, row)
            )

        return Offers(rights, (_STATE,) if states else (), of)

    async def _way(
        self, visit: Visit, page: Page, table: Table, action: RowAction, url: Callable[..., str]
    ) -> Callable[[Row], str] | None:
        """Where the action leads for a row; None where it is not open to the person at all."""
        if action.kind not in _USUAL:
            return None  # the row itself leads to its details
        right = "write" if _USUAL[action.kind][2] == "update" else "delete"
        if not self._rows.may(visit.principal, table.name, right):
            return None
        if action.kind is ActionKind.EDIT:
            target = self._site.pages.get(action.page) if action.page else None
            if target is None or self._site.form_of(target) is None:
                target = site_map.edit_page(self._site, visit, page, table.name)
            if target is None or not page_rules.may_read(self._site, target, visit.principal.web_roles):
                return None
            found = target
            return lambda row: site_map.row_url(self._site, found, row.id)
        if action.kind in _STATES and not await self._has_states(visit, table):
            return None
        return lambda row: url(**{DO: action.kind.value, ROW: str(row.id)})

    async def _has_states(self, visit: Visit, table: Table) -> bool:
        """Whether the person may read and set the state of rows of the table."""
        if table.virtual or table.column(_STATE) is None:
            return False
        readable = await self._rows.columns(visit.principal, table.name, "read")
        return _STATE in readable and _STATE in await self._rows.columns(visit.principal, table.name, "write")

    def notice(self, visit: Visit, definition: ListDefinition) -> str | None:
        """What is said after an action: its own words, where it has any."""
        key = visit.query.get("notice", "")
        own = (item.success for item in definition.actions if item.kind in _USUAL and _USUAL[item.kind][3] == key)
        return next((text for text in own if text), None) or notice_of(visit)

    async def get(
        self, visit: Visit, page: Page, definition: ListDefinition, problem: str = "", status: int = 200
    ) -> Response:
        """The page that asks. Raises Refusal FC4042 for an action that there is not, FC4041, FC3001."""
        return await self._ask(visit, page, await self._asked(visit, page, definition), problem, status)

    async def post(self, visit: Visit, page: Page, definition: ListDefinition, posted: Mapping[str, str]) -> Response:
        """Does it, and leads back to the list."""
        wanted = await self._asked(visit, page, definition)
        try:
            visit.require_token(posted.get(csrf.FIELD))
        except Refusal as refusal:
            text = visit.locales.gettext("For your safety nothing was done: the page was opened too long ago.")
            return await self._ask(visit, page, wanted, text, refusal.status)
        version = posted.get(VERSION)
        if not version:
            return await self._ask(visit, page, wanted)
        try:
            await self._do(visit, wanted, version)
        except Refusal as refusal:
            changed = visit.locales.gettext(
                "Somebody else has changed it meanwhile. Look at it again before you go on."
            )
            text = told(visit, self._observer, refusal, changed)
            return await self._ask(visit, page, wanted, text, refusal.status)
        notice = urlencode({"notice": _USUAL[wanted.action.kind][3]})
        address = f"{wanted.back}{'&' if '?' in wanted.back else '?'}{notice}"
        return finish(visit, RedirectResponse(address, 303))

    async def _do(self, visit: Visit, wanted: _Asked, version: str) -> None:
        state = _STATES.get(wanted.action.kind)
        if state is None:
            await self._rows.delete(visit.principal, wanted.table.name, wanted.row.id, version)
        else:
            changes = {_STATE: state}
            await self._rows.update(visit.principal, wanted.table.name, wanted.row.id, changes, version)

    async def _asked(self, visit: Visit, page: Page, definition: ListDefinition) -> _Asked:
        """The action and the row that an address names. Raises Refusal."""
        table = self._lists.tables.by_name[definition.table]
        action = next((item for item in definition.actions if item.kind.value == visit.query[DO]), None)
        if action is None or action.kind not in _USUAL or action.kind is ActionKind.EDIT:
            raise Refusal("FC4042", "The list has no such action.")
        kept = {key: value for key, value in visit.query.items() if key not in {DO, ROW, "notice"}}
        back = f"{page.path}?{urlencode(kept)}" if kept else page.path
        way = await self._way(visit, page, table, action, lambda **changes: "")
        if way is None:
            raise Refusal("FC3001", "You may not do this.", source=table.name)
        row = await self._row(visit, definition, table, action)
        if _USUAL[action.kind][2] not in row.rights or not _fits(action, row):
            raise Refusal("FC3001", "You may not do this with it.", source=table.name)
        here = f"{page.path}?{urlencode({**kept, DO: action.kind.value, ROW: str(row.id)})}"
        return _Asked(action, table, row, back, here)

    async def _row(self, visit: Visit, definition: ListDefinition, table: Table, action: RowAction) -> Row:
        """The row, where one of the list's views has it. Raises Refusal FC4041."""
        try:
            row_id = UUID(visit.query.get(ROW, ""))
        except ValueError:
            raise not_found(table.label) from None
        where: Predicate = FALSE
        slots: tuple[object, ...] = ()
        for view, _ in self._lists.views(definition):
            found, values = self._lists.view_filter(table, view.filter)
            where, slots = any_of(where, shift_slots(found, len(slots))), (*slots, *values)
        readable = await self._rows.columns(visit.principal, table.name, "read")
        columns = tuple(name for name in (table.primary_name, _STATE) if name in readable)
        rights = (_USUAL[action.kind][2],)
        query = Query(table.name, columns, where, slots, size=1, key=row_id, rights=rights, versions=True)
        page = await self._rows.page(visit.principal, query)
        if not page.rows:
            raise not_found(table.label)
        return page.rows[0]

    async def _ask(self, visit: Visit, page: Page, wanted: _Asked, problem: str = "", status: int = 200) -> Response:
        label = _label(wanted.action, visit)
        return await self._renderer.page(
            visit,
            "delete.html",
            title=f"{label}: {heading_of(wanted.table, wanted.row)}",
            page=page,
            status=status,
            kind=wanted.table.label,
            question=wanted.action.question or visit.locales.gettext(_USUAL[wanted.action.kind][1]),
            problem=problem,
            version=wanted.row.version,
            action=wanted.here,
            cancel_url=wanted.back,
            submit=label,
            notice=None,
        )


def _label(action: RowAction, visit: Visit) -> str:
    return action.label or visit.locales.gettext(_USUAL[action.kind][0])


def _fits(action: RowAction, row: Row) -> bool:
    """Whether the row is in a state that the action leaves."""
    state = _STATES.get(action.kind)
    return state is None or row.values.get(_STATE) not in (None, state)
