"""What subgrids offer beside their rows: making one, changing, deleting, taking out; to whom, and at which address.

::

    <address of the row's page or step>&grid=<key>&do=<action>[&row=<id>]

The form's metadata names the actions (``site.subgrid_actions``); without any, a page with a form that makes a row
beneath is linked to. Each row's own rights come with the statement that reads the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import UUID

from forecourt.dataverse.definitions import Subgrid
from forecourt.dataverse.rows import Row, Rows
from forecourt.dataverse.tables import Table
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Relation
from forecourt.pages import acting, page_rules, site_map
from forecourt.pages.acting import DO, ROW, Acting, Place, told_by
from forecourt.pages.details import Forms, Offered, Offering, key_of
from forecourt.pages.site import FormDefinition, FormMode, Page, Site
from forecourt.pages.site.list_actions import ActionKind, RowAction
from forecourt.pages.site.subgrid_actions import SubgridActions
from forecourt.pages.subgrids.naming import names_of
from forecourt.pages.visit import Visit

#: Which subgrid a request is about.
GRID = "grid"

_NONE = SubgridActions()


def asked(query: Mapping[str, str]) -> bool:
    """Whether a request is about what a subgrid offers."""
    return GRID in query and acting.asked(query)


def without(query: Mapping[str, str]) -> dict[str, str]:
    """The query of the row's page."""
    return {name: value for name, value in query.items() if name not in {GRID, DO, ROW, "notice"}}


def actions_of(definition: FormDefinition, subgrid: Subgrid) -> SubgridActions:
    """What a form's metadata says of a subgrid."""
    own = (definition.subgrids.get(name) for name in names_of(subgrid))
    return next((found for found in own if found is not None), _NONE)


@dataclass(frozen=True, slots=True)
class At:
    """A subgrid beneath ``row`` of ``above``. ``url``: address of the page or step that shows it; ``query``: what is
    asked of it."""

    page: Page
    definition: FormDefinition
    above: Table
    subgrid: Subgrid
    key: str
    relation: Relation
    table: Table
    row: UUID
    url: str
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def actions(self) -> SubgridActions:
        """What the form's metadata says of it."""
        return actions_of(self.definition, self.subgrid)

    @property
    def back(self) -> str:
        return f"{self.url}#{self.key}"

    @property
    def by_lookup(self) -> bool:
        """Whether a lookup of the rows names the row above."""
        found = [self.table.entity.fields.get(theirs) for _, theirs in self.relation.on]
        return len(found) == 1 and found[0] is not None and bool(found[0].targets)

    @property
    def pairs(self) -> bool:
        """Whether the relation is many-to-many."""
        return self.relation.through is not None

    def said_by(self, action: RowAction | None) -> Mapping[str, str]:
        """What an address holds beside its notice, so that an action's own words are found."""
        return {GRID: self.key} if action is not None and action.success else {}

    def here(self, **more: str) -> str:
        """The address of what the subgrid offers."""
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode({GRID: self.key, **more})}"

    @property
    def place(self) -> Place:
        return Place(
            self.page,
            self.table,
            self.actions.rows,
            self.back,
            self.here,
            related=(self.subgrid.relation, self.above.name, self.row),
            releases=self.pairs or self.by_lookup,
            pairs=self.pairs,
            opens=True,
            told={GRID: self.key},
        )


class Subgrids:
    """Finds them, and what they offer."""

    def __init__(self, site: Site, forms: Forms, rows: Rows, acting: Acting) -> None:
        self._site = site
        self._forms = forms
        self._rows = rows
        self._acting = acting

    def at(self, page: Page, definition: FormDefinition, row: UUID, url: str, query: Mapping[str, str]) -> At:
        """The subgrid that a query names. Raises Refusal FC4042."""
        above, form = self._forms.form(definition)
        for index, subgrid in enumerate(form.subgrids):
            relation = above.entity.relations.get(subgrid.relation)
            table = self._forms.tables.by_name.get(relation.target) if relation is not None else None
            key = key_of(index)
            if key == query.get(GRID) and relation is not None and table is not None:
                return At(page, definition, above, subgrid, key, relation, table, row, url, query)
        raise Refusal("FC4042", "The form has no such subgrid.")

    def offering(self, visit: Visit, page: Page) -> Offering:
        """What subgrids on a page offer, for ``Forms.below``."""

        async def offered(definition: FormDefinition, row: UUID, url: str, key: str) -> Offered:
            at = self.at(page, definition, row, url, {GRID: key})
            rows = await self._acting.offers(visit, at.place)
            links = (*self._links(visit, at), *self._associate(visit, at))
            return Offered(links, rows, self._details(at), at.actions.empty_text)

        return offered

    def form(self, action: RowAction | None, table: Table, *modes: FormMode) -> FormDefinition | None:
        """The basic form that an action opens in place; None where it names none that fits."""
        found = self._site.forms.get(action.form) if action is not None and action.form is not None else None
        return found if found is not None and found.table == table.name and found.mode in modes else None

    def _details(self, at: At) -> Callable[[Row], str] | None:
        action = next((item for item in at.actions.rows if item.kind is ActionKind.DETAILS), None)
        if self.form(action, at.table, FormMode.READ_ONLY) is None:
            return None
        return lambda row: at.here(**{DO: ActionKind.DETAILS.value, ROW: str(row.id)})

    def _links(self, visit: Visit, at: At) -> tuple[tuple[str, str], ...]:
        """Labels and addresses of what the subgrid itself offers, for who may."""
        if not self._rows.may(visit.principal, at.table.name, "create") or (
            at.pairs and not self.associates(visit, at)
        ):
            return ()
        action = at.actions.create
        label = (action.label if action is not None else "") or visit.locales.gettext("Add")
        if self.form(action, at.table, FormMode.INSERT) is not None:
            return ((label, at.here(**{DO: ActionKind.CREATE.value})),)
        page = self._create_page(visit, at, action)
        form = self._site.form_of(page) if page is not None else None
        if page is None or form is None:
            return ()
        if action is None or not action.label:
            label = self._site.content(page, visit.languages).title
        return ((label, f"{page.path}?{urlencode({form.parent_parameter: str(at.row)})}"),)

    def _associate(self, visit: Visit, at: At) -> tuple[tuple[str, str], ...]:
        action = at.actions.associate
        if action is None or not self.associates(visit, at):
            return ()
        return ((self.label(visit, action), at.here(**{DO: ActionKind.ASSOCIATE.value})),)

    def open_to(self, visit: Visit, at: At) -> bool:
        """Whether the person may do what is asked of the subgrid, as far as rights to tables say."""
        do = at.query.get(DO)
        if do == ActionKind.ASSOCIATE.value:
            return self.associates(visit, at)
        right = {ActionKind.CREATE.value: "create", ActionKind.DELETE.value: "delete"}.get(do or "", "write")
        return self._rows.may(visit.principal, at.table.name, right)

    def associates(self, visit: Visit, at: At) -> bool:
        """Whether the person may add rows that are there already, as far as rights to tables say."""
        if not at.pairs and not at.by_lookup:
            return False
        held = ((at.above, ("appendto",)), (at.table, ("write", "append")))
        tied = ((at.above, ("append", "appendto")), (at.table, ("append", "appendto")))
        return all(
            self._rows.may(visit.principal, table.name, right)
            for table, rights in (tied if at.pairs else held)
            for right in ("read", *rights)
        )

    def said(self, visit: Visit, definition: FormDefinition) -> str | None:
        """What a subgrid's own action says of what was done, where the address names the subgrid; None otherwise."""
        key, notice = visit.query.get(GRID, ""), visit.query.get("notice", "")
        _, form = self._forms.form(definition)
        names = [(key_of(index), subgrid) for index, subgrid in enumerate(form.subgrids)]
        for actions in (actions_of(definition, subgrid) for found, subgrid in names if found == key):
            kinds = {"added": ActionKind.CREATE, "changed": ActionKind.EDIT, "associated": ActionKind.ASSOCIATE}
            every = (*actions.rows, *(item for item in (actions.create, actions.associate) if item is not None))
            kind = kinds.get(notice) or told_by(notice)
            return next((item.success for item in every if item.kind is kind and item.success), None)
        return None

    def label(self, visit: Visit, action: RowAction | None) -> str:
        """What associating is called."""
        return (action.label if action is not None else "") or visit.locales.gettext("Add existing")

    def _create_page(self, visit: Visit, at: At, action: RowAction | None) -> Page | None:
        """The page that makes a row beneath: the one that is named, else one whose form takes the row from its query;
        none where the metadata is there and does not let rows be made."""
        if action is None and at.actions is not _NONE:
            return None
        named = self._site.pages.get(action.page) if action is not None and action.page is not None else None
        if named is not None:
            return named if page_rules.may_read(self._site, named, visit.principal.web_roles) else None
        if len(at.relation.on) != 1:
            return None
        return site_map.create_beneath(self._site, visit, at.page, at.table, at.relation.on[0][1])
