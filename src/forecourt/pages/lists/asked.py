"""A list as its address asks for it: the one reading behind its page, its count and its file.

What the address says wrongly (a view, a column that does not exist) is put right, and a notice says so. Nothing in it
can widen what is shown: columns and filter are the view's, all else narrows it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from forecourt.dataverse.definitions import View
from forecourt.dataverse.rows import Query, Rows
from forecourt.dataverse.tables import Table
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import Field, Match, Predicate, Slot, all_of, any_of, shift_slots
from forecourt.kernel.principal import Principal
from forecourt.kernel.types import Kind
from forecourt.pages import filtering
from forecourt.pages.filtering import Filtering, Panel, persons
from forecourt.pages.formatting import Locales
from forecourt.pages.lists.grid import is_text, key_of, needed, view_columns, view_order
from forecourt.pages.ports import ViewFilter
from forecourt.pages.site import ListDefinition
from forecourt.web.translation import N_

MAX_SEARCH = 100


@dataclass(frozen=True)
class Asked:
    """A list as the URL asks for it: the one reading behind its page, its count and its file.

    ``keys``: of the views that there are; ``chosen``: the one that is shown; ``query``: without size and cursor.
    """

    table: Table
    views: tuple[tuple[View, str], ...]
    keys: tuple[str, ...]
    chosen: str
    columns: tuple[tuple[EntityField, str], ...]
    query: Query
    search: str
    sort: str
    notices: tuple[str, ...]
    panel: Panel | None = None
    owners: tuple[str, ...] = ()
    owner: str = ""

    @property
    def label(self) -> str:
        """The view's."""
        return self.views[self.keys.index(self.chosen)][1]

    @property
    def state(self) -> dict[str, str]:
        """What of it the URL keeps."""
        view = "" if self.chosen == self.keys[0] else self.chosen
        kept = {"view": view, "search": self.search, "sort": self.sort}
        kept[filtering.PARAMETER] = self.panel.chosen if self.panel is not None else ""
        kept[persons.PARAMETER] = self.owner if self.owners and self.owner != self.owners[0] else ""
        return {key: value for key, value in kept.items() if value}


@dataclass
class Narrowing:
    """Conditions that come one by one, each with the values of its own slots."""

    where: Predicate
    slots: tuple[object, ...]

    def add(self, condition: Predicate, values: tuple[object, ...]) -> None:
        self.where = all_of(self.where, shift_slots(condition, len(self.slots)))
        self.slots = (*self.slots, *values)


@dataclass(frozen=True)
class Reading:
    """Reads addresses of lists. ``panels``: the filter panels."""

    rows: Rows
    view_filter: ViewFilter
    panels: Filtering = field(repr=False)

    async def read(
        self,
        principal: Principal,
        definition: ListDefinition,
        table: Table,
        views: tuple[tuple[View, str], ...],
        asked: Mapping[str, str],
        locales: Locales,
    ) -> Asked:
        """The list as ``asked``, the address's query. Raises Refusal FC4042 when the list has no view."""
        if not views:
            raise Refusal("FC4042", "The list has no view that can be shown.")
        notices: list[str] = []
        keys = _keys(views)
        chosen = asked.get("view", keys[0])
        if chosen not in keys:
            notices.append(N_("That view does not exist here; this is the first one."))
            chosen = keys[0]
        view = views[keys.index(chosen)][0]
        readable = await self.rows.columns(principal, table.name, "read")
        columns = view_columns(table, view, readable)
        order, sort = _order(view, columns, asked.get("sort", ""), notices, readable)
        left = Narrowing(*self.view_filter(table, view.filter))
        search = " ".join(asked.get("search", "").split())[:MAX_SEARCH] if definition.search else ""
        texts = [column for column, _ in columns if is_text(column)]
        if search and texts:
            slot = Slot(0, Kind.STRING)
            left.add(any_of(*(Match("contains", Field((column.name,)), slot) for column in texts)), (search,))
        owners = persons.ways(definition.person_column, definition.account_column)
        owner = asked.get(persons.PARAMETER, "")
        owner = owner if owner in owners else (owners[0] if owners else "")
        own = definition.person_column if owner == persons.PERSON else definition.account_column
        left.add(*persons.own_rows(table, principal, owner, own, readable))
        panel: Panel | None = None
        if definition.filters:
            wanted = asked.get(filtering.PARAMETER, "")
            narrowed = await self.panels.read(principal, definition, table, wanted, locales)
            panel = narrowed.panel
            notices.extend(narrowed.notices)
            for condition in narrowed.where:
                left.add(*condition)
        shown = needed([column for column, _ in columns], readable)
        query = Query(table.name, shown, left.where, left.slots, order)
        return Asked(
            table=table,
            views=views,
            keys=tuple(keys),
            chosen=chosen,
            columns=tuple(columns),
            query=query,
            search=search,
            sort=sort,
            notices=tuple(notices),
            panel=panel,
            owners=owners if len(owners) > 1 else (),
            owner=owner,
        )


def _keys(views: Sequence[tuple[View, str]]) -> list[str]:
    """A distinct key for each view."""
    keys: list[str] = []
    for view, label in views:
        key = key_of(label) or key_of(view.id) or "view"
        keys.append(key if key not in keys else f"{key}-{len(keys) + 1}")
    return keys


def _order(
    view: View,
    columns: Sequence[tuple[EntityField, str]],
    asked: str,
    notices: list[str],
    readable: Collection[str],
) -> tuple[tuple[OrderBy, ...], str]:
    """The order to read in, and what of it the URL keeps."""
    if not asked:
        return view_order(view, readable), ""
    name = asked.removeprefix("-")
    if name not in {column.name for column, _ in columns}:
        notices.append(N_("The list cannot be sorted by that; it is in its own order."))
        return view_order(view, readable), ""
    return (OrderBy((name,), asked.startswith("-")),), asked
