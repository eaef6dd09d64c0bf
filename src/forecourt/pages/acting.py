"""Actions of rows in a list or a subgrid: which each row offers to whom, and what is asked and done.

A row offers an action where the settings name it and the person may do it to that very row: the statement that
reads the rows decides both (``Query.rights``). Editing leads to the page of a form, or to a form that opens in place
(``subgrids``). All else asks first, on a page of its own, and is done by a form with a token, in the version of the row
that the question was about::

    ?do=<action>&row=<id>     beside what the address keeps, to which it leads back

Only rows of the list's views, or of the subgrid, are asked about and changed: the permission decides, and the place
narrows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from forecourt.dataverse.rows import Query, Row, Rows
from forecourt.dataverse.tables import Table
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.observe import Observer, nobody
from forecourt.kernel.plan import WriteOperation
from forecourt.kernel.predicate import FALSE, TRUE, Predicate, any_of, shift_slots
from forecourt.pages import page_rules, site_map
from forecourt.pages.asking import Asking, Question
from forecourt.pages.details import heading_of
from forecourt.pages.lists import Action, Lists, Offers
from forecourt.pages.render import Renderer, notice_of
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
    ActionKind.DISASSOCIATE: (N_("Remove"), N_("It stays, and no longer belongs here."), "update", "disassociated"),
}

#: The state that an action brings about.
_STATES = {ActionKind.ACTIVATE: 0, ActionKind.DEACTIVATE: 1}


#: Rights of table permissions by what is done.
_TYPES: Mapping[WriteOperation, str] = {"update": "write", "delete": "delete", "create": "create"}

#: Actions that open a form; they ask nothing by themselves.
_FORMS = (ActionKind.EDIT, ActionKind.DETAILS)


def asked(query: Mapping[str, str]) -> bool:
    """Whether a request is about an action of a row."""
    return DO in query


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows are, and what they offer there. ``back``: its address, ``#``-part included; ``here``: its address with
    changes; ``where`` and ``slots``: which rows it has; ``related``: beneath which row they are;
    ``releases``: they may be taken out of it, by their lookup (True) or as pairs (``pairs``); ``opens``: forms open in
    place, for actions that name one; ``told``: what the address holds beside its notice, so that an action's own words
    are found."""

    page: Page
    table: Table
    actions: tuple[RowAction, ...]
    back: str
    here: Callable[..., str]
    where: Predicate = TRUE
    slots: tuple[object, ...] = ()
    related: tuple[str, str, UUID] | None = None
    releases: bool = False
    pairs: bool = False
    opens: bool = False
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An action that somebody asks for. ``row``: as it is; ``here``: address of the action."""

    place: Place
    action: RowAction
    row: Row
    here: str

    @property
    def form(self) -> UUID | None:
        """The basic form that opens in place; None where the action asks."""
        return self.action.form if self.action.kind in _FORMS else None


class Acting:
    """Offers actions, asks and does."""

    def __init__(self, site: Site, lists: Lists, rows: Rows, renderer: Renderer, observer: Observer = nobody) -> None:
        self._site = site
        self._lists = lists
        self._rows = rows
        self._asking = Asking(renderer, observer)

    def listed(self, visit: Visit, page: Page, definition: ListDefinition) -> Place:
        """The rows of a list's views, as the address has it."""
        table = self._lists.tables.by_name[definition.table]
        kept = {key: value for key, value in visit.query.items() if key not in {DO, ROW, "notice"}}
        where: Predicate = FALSE
        slots: tuple[object, ...] = ()
        for view, _ in self._lists.views(definition):
            found, values = self._lists.view_filter(table, view.filter)
            where, slots = any_of(where, shift_slots(found, len(slots))), (*slots, *values)

        def here(**changes: str) -> str:
            return f"{page.path}?{urlencode({**kept, **changes})}" if kept or changes else page.path

        return Place(page, table, definition.actions, here(), here, where, slots)

    async def offers(self, visit: Visit, place: Place) -> Offers:
        """What rows of a place offer."""
        ways = [(action, way) for action in place.actions if (way := await self._way(visit, place, action)) is not None]
        rights = tuple(dict.fromkeys(right for action, _ in ways for right in _rights(place, action)))
        states = any(action.kind in _STATES for action, _ in ways)

        def of(row: Row) -> tuple[Action, ...]:
            return tuple(
                Action(_label(action, visit), way(row), action.tooltip)
                for action, way in ways
                if row.rights.issuperset(_rights(place, action)) and _fits(action, row)
            )

        return Offers(rights, (_STATE,) if states else (), of)

    async def _way(self, visit: Visit, place: Place, action: RowAction) -> Callable[[Row], str] | None:
        """Where the action leads for a row; None where it is not open to the person at all."""
        page, table = place.page, place.table
        if action.kind not in _USUAL:
            return None  # the row itself leads to its details
        if not all(self._rows.may(visit.principal, table.name, _TYPES[right]) for right in _rights(place, action)):
            return None
        if action.kind is ActionKind.EDIT and not (place.opens and action.form in self._site.forms):
            target = self._site.pages.get(action.page) if action.page else None
            if target is None or self._site.form_of(target) is None:
                target = site_map.edit_page(self._site, visit, page, table.name)
            if target is None or not page_rules.may_read(self._site, target, visit.principal.web_roles):
                return None
            found = target
            return lambda row: site_map.row_url(self._site, found, row.id)
        if action.kind in _STATES and not await self._has_states(visit, table):
            return None
        if action.kind is ActionKind.DISASSOCIATE and not self._releases(visit, place):
            return None
        return lambda row: place.here(**{DO: action.kind.value, ROW: str(row.id)})

    def _releases(self, visit: Visit, place: Place) -> bool:
        """Whether the person may take rows out of the place. A row that leaves it leaves the reach of permissions that
        lead through it: others are needed."""
        if not place.releases or place.related is None:
            return False
        relation, above, _ = place.related
        may, person, table = self._rows.may, visit.principal, place.table.name
        if place.pairs:
            return all(may(person, name, right) for name in (above, table) for right in ("append", "appendto"))
        return all(may(person, table, right, relation) for right in ("write", "append"))

    async def _has_states(self, visit: Visit, table: Table) -> bool:
        """Whether the person may read and set the state of rows of the table."""
        if table.virtual or table.column(_STATE) is None:
            return False
        readable = await self._rows.columns(visit.principal, table.name, "read")
        return _STATE in readable and _STATE in await self._rows.columns(visit.principal, table.name, "write")

    def notice(self, visit: Visit, actions: Iterable[RowAction]) -> str | None:
        """What is said after an action: its own words, where it has any."""
        key = visit.query.get("notice", "")
        own = (item.success for item in actions if item.kind in _USUAL and _USUAL[item.kind][3] == key)
        return next((text for text in own if text), None) or notice_of(visit)

    @staticmethod
    def _told(wanted: Wanted) -> Mapping[str, str]:
        return wanted.place.told if wanted.action.success else {}

    async def wanted(self, visit: Visit, place: Place, query: Mapping[str, str]) -> Wanted:
        """The action and the row that a ``query`` names. Raises Refusal FC4042 for an action that there is not, FC4041,
        FC3001."""
        action = next((item for item in place.actions if item.kind.value == query[DO]), None)
        opens = action is not None and action.kind in _FORMS
        if action is None or (action.kind not in _USUAL and not opens):
            raise Refusal("FC4042", "There is no such action here.")
        if opens and not (place.opens and action.form in self._site.forms):
            raise Refusal("FC4042", "There is no such action here.")
        if action.kind is not ActionKind.DETAILS and await self._way(visit, place, action) is None:
            raise Refusal("FC3001", "You may not do this.", source=place.table.name)
        row = await self._row(visit, place, action, query.get(ROW, ""))
        if action.kind is not ActionKind.DETAILS and not (
            row.rights.issuperset(_rights(place, action)) and _fits(action, row)
        ):
            raise Refusal("FC3001", "You may not do this with it.", source=place.table.name)
        return Wanted(place, action, row, place.here(**{DO: action.kind.value, ROW: str(row.id)}))

    async def get(self, visit: Visit, wanted: Wanted) -> Response:
        """The page that asks."""
        return await self._asking.ask(visit, self._question(visit, wanted))

    async def post(self, visit: Visit, wanted: Wanted, posted: Mapping[str, str]) -> Response:
        """Does it, and leads back."""
        after = told_at(wanted.place.back, _USUAL[wanted.action.kind][3], self._told(wanted))

        async def do(version: str) -> None:
            await self._do(visit, wanted, version)

        return await self._asking.settle(visit, self._question(visit, wanted), posted, do, after)

    @staticmethod
    def _question(visit: Visit, wanted: Wanted) -> Question:
        label, table = _label(wanted.action, visit), wanted.place.table
        return Question(
            wanted.place.page,
            f"{label}: {heading_of(table, wanted.row)}",
            table.label,
            wanted.action.question or visit.locales.gettext(_USUAL[wanted.action.kind][1]),
            wanted.row.version,
            wanted.here,
            wanted.place.back,
            label,
        )

    async def _do(self, visit: Visit, wanted: Wanted, version: str) -> None:
        state, place = _STATES.get(wanted.action.kind), wanted.place
        if wanted.action.kind is ActionKind.DELETE:
            await self._rows.delete(visit.principal, place.table.name, wanted.row.id, version)
        elif state is not None:
            changes = {_STATE: state}
            await self._rows.update(visit.principal, place.table.name, wanted.row.id, changes, version)
        elif place.related is not None:
            relation, above, row = place.related
            await self._rows.disassociate(visit.principal, above, row, relation, wanted.row.id)

    async def _row(self, visit: Visit, place: Place, action: RowAction, named: str) -> Row:
        """The row, where the place has it. Raises Refusal FC4041."""
        table = place.table
        try:
            row_id = UUID(named)
        except ValueError:
            raise not_found(table.label) from None
        readable = await self._rows.columns(visit.principal, table.name, "read")
        columns = tuple(name for name in (table.primary_name, _STATE) if name in readable)
        rights = _rights(place, action) if action.kind in _USUAL else ()
        query = Query(
            table.name,
            columns,
            place.where,
            place.slots,
            size=1,
            key=row_id,
            rights=rights,
            versions=True,
            related=place.related,
        )
        page = await self._rows.page(visit.principal, query)
        if not page.rows:
            raise not_found(table.label)
        return page.rows[0]


def told_by(notice: str) -> ActionKind | None:
    """The action that a notice tells of."""
    return next((kind for kind, usual in _USUAL.items() if usual[3] and usual[3] == notice), None)


def told_at(address: str, notice: str, more: Mapping[str, str] | None = None) -> str:
    """An address that says what has been done; ``more``: beside that.

    >>> told_at("/orders/?id=1#rows-1", "deleted")
    '/orders/?id=1&notice=deleted#rows-1'
    """
    url, mark, place = address.partition("#")
    return f"{url}{'&' if '?' in url else '?'}{urlencode({'notice': notice, **(more or {})})}{mark}{place}"


def _rights(place: Place, action: RowAction) -> tuple[WriteOperation, ...]:
    """What somebody has to be able to do to a row. A pair is held by neither of its rows."""
    if action.kind is ActionKind.DISASSOCIATE and place.pairs:
        return ()
    return (_USUAL[action.kind][2],)


def _label(action: RowAction, visit: Visit) -> str:
    return action.label or visit.locales.gettext(_USUAL[action.kind][0])


def _fits(action: RowAction, row: Row) -> bool:
    """Whether the row is in a state that the action leaves."""
    state = _STATES.get(action.kind)
    return state is None or row.values.get(_STATE) not in (None, state)
