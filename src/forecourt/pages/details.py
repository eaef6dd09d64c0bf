"""Details of a row: the sections of a read-only form, and the rows that belong to the row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from msgspec import structs

from forecourt.dataverse.definitions import Form, View
from forecourt.dataverse.rows import Query, Row, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.principal import Principal
from forecourt.pages import formatting, lists
from forecourt.pages.formatting import Cell, Locales
from forecourt.pages.inputs import Section, sections_of
from forecourt.pages.lists import Column, Grid, Line, Offers
from forecourt.pages.lookups import Lookups
from forecourt.pages.ports import ViewFilter
from forecourt.pages.site import FormDefinition, FormSource

#: Rows of a subgrid at a time.
SUBGRID_SIZE = 50


@dataclass(frozen=True, slots=True)
class Offered:
    """What a subgrid offers. ``links``: labels and addresses, for who may; ``rows``: what each row offers; ``details``:
    where a row leads, None for its table's own page; ``empty_text``: what is said without rows."""

    links: tuple[tuple[str, str], ...]
    rows: Offers
    details: Callable[[Row], str] | None = None
    empty_text: str = ""


#: What a form's subgrid offers beneath a row: of the address that shows it, and the subgrid's key.
Offering = Callable[[FormDefinition, UUID, str, str], Awaitable[Offered]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A section to show: labels and values."""

    label: str
    items: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Below:
    """A subgrid to show. ``key``: id of its heading; ``refused``: the person may not read its table; ``links``: labels
    and addresses of what it offers; ``empty_text``: what is said without rows, '' for the usual words."""

    key: str
    label: str
    grid: Grid | None
    refused: bool = False
    links: tuple[tuple[str, str], ...] = ()
    empty_text: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """``status``: the first choice of the form that is a status or state, shown beside the heading."""

    row: Row
    heading: str
    sections: tuple[Shown, ...]
    status: Cell | None
    below: tuple[Below, ...]


@dataclass(frozen=True)
class Forms:
    """Reads rows for forms."""

    tables: Tables
    rows: Rows
    view_filter: ViewFilter

    @property
    def lookups(self) -> Lookups:
        return Lookups(self.tables, self.rows)

    def form(self, definition: FormDefinition) -> tuple[Table, Form]:
        """The table and the form that a definition names. Raises Refusal FC4042 when there is none."""
        table = self.tables.by_name.get(definition.table)
        form = table.form(definition.form) if table else None
        if table is None or form is None:
            raise Refusal("FC4042", "The form does not exist.")
        if definition.tab:
            of_tab = tuple(section for section in form.sections if section.tab == definition.tab)
            form = structs.replace(form, sections=of_tab)
        return table, form

    def row_id(self, definition: FormDefinition, principal: Principal, query: Mapping[str, str]) -> UUID:
        """The row that a request to the form's page is about. Raises Refusal FC4041 when it names none."""
        if definition.source is FormSource.CURRENT_USER:
            if principal.contact is None or definition.table != "contact":
                raise not_found()
            return principal.contact.id
        if definition.source is FormSource.RELATED_TO_USER:
            return self._related(definition, principal)
        lowered = {name.lower(): value for name, value in query.items()}
        try:
            return UUID(lowered.get(definition.id_parameter.lower(), ""))
        except ValueError:
            raise not_found() from None

    def _related(self, definition: FormDefinition, principal: Principal) -> UUID:
        """The row that the person's contact names by the relationship. Raises Refusal FC4041."""
        table, contacts = self.tables.by_name.get(definition.table), self.tables.by_name.get("contact")
        relation = table.entity.relations.get(definition.source_relation) if table is not None else None
        if principal.contact is None or contacts is None or relation is None or relation.target != contacts.name:
            raise not_found()
        lookup = contacts.entity.fields[relation.on[0][1]]
        try:
            return UUID(str(dict(principal.contact.columns).get(lookup.column)))
        except ValueError:
            raise not_found() from None

    async def sections(self, principal: Principal, table: Table, form: Form) -> tuple[Section, ...]:
        """The form's sections with the columns that the person may read; those that they may not set are read-only."""
        readable = await self.rows.columns(principal, table.name, "read")
        settable = await self.rows.columns(principal, table.name, "write")
        return tuple(
            replace(section, fields=fields)
            for section in sections_of(table, form, self.tables.enums)
            if (
                fields := tuple(
                    field if field.name in settable else replace(field, read_only=True)
                    for field in section.fields
                    if field.name in readable
                )
            )
        )

    async def new_sections(
        self, principal: Principal, table: Table, form: Form, all_required: bool
    ) -> tuple[Section, ...]:
        """The form's sections with the columns that the person may bring to a new row. Raises Refusal FC3001."""
        settable = await self.rows.columns(principal, table.name, "create")
        if not settable or not self.rows.may(principal, table.name, "create"):
            raise Refusal("FC3001", f"You may not make a new {table.label}.", source=table.name)
        return tuple(
            replace(section, fields=tuple(replace(item, required=item.required or all_required) for item in fields))
            for section in sections_of(table, form, self.tables.enums, new=True)
            if (fields := tuple(item for item in section.fields if item.name in settable and not item.read_only))
        )

    async def row(self, principal: Principal, table: Table, row_id: UUID, sections: tuple[Section, ...]) -> Row:
        """The row with the columns of the form. Raises Refusal FC4041, FC3001."""
        columns = [field.column for section in sections for field in section.fields]
        readable = await self.rows.columns(principal, table.name, "read")
        names = dict.fromkeys([*lists.needed(columns, readable), table.primary_name])
        if table.primary_name not in readable:
            del names[table.primary_name]
        row = await self.rows.row(principal, table.name, row_id, tuple(names))
        (priced,) = await self.lookups.priced(principal, columns, (row,))
        return priced

    async def details(
        self,
        principal: Principal,
        definition: FormDefinition,
        row_id: UUID,
        asked: Mapping[str, str],
        path: str,
        locales: Locales,
        pages: Mapping[str, str],
        offering: Offering | None,
    ) -> Details:
        """What the details page shows. ``pages``: details page by table, for the rows beneath; ``offering``: what these
        offer, None where the page shows none of them."""
        table, form = self.form(definition)
        sections = await self.sections(principal, table, form)
        row = await self.row(principal, table, row_id, sections)
        fields = [field.column for section in sections for field in section.fields]
        (named,) = await self.lookups.named(principal, fields, (row,))
        shown = []
        status: Cell | None = None
        for section in sections:
            items = []
            for field in section.fields:
                cell = formatting.cell(field.column, named.values, self.tables.enums, locales)
                if status is None and cell.kind == "badge" and "stat" in f"{field.name} {field.label}".lower():
                    status = cell
                items.append((field.label, cell))
            shown.append(Shown(section.label, tuple(items)))
        below: tuple[Below, ...] = ()
        if offering is not None:
            below = await self.below(principal, definition, row, asked, path, locales, pages, offering)
        return Details(row, heading_of(table, row), tuple(shown), status, below)

    async def below(
        self,
        principal: Principal,
        definition: FormDefinition,
        row: Row,
        asked: Mapping[str, str],
        path: str,
        locales: Locales,
        pages: Mapping[str, str],
        offering: Offering,
    ) -> tuple[Below, ...]:
        """The subgrids of the form that the row is shown on. ``path``: of its page, or its whole address."""
        table, form = self.form(definition)
        url = path if "?" in path else f"{path}?{definition.id_parameter}={row.id}"
        found = []
        for index, subgrid in enumerate(form.subgrids):
            relation = table.entity.relations.get(subgrid.relation)
            target = self.tables.by_name.get(relation.target) if relation is not None else None
            view = target.view(subgrid.view) if target is not None else None
            if target is None or view is None:
                continue
            key = key_of(index)
            offered = await offering(definition, row.id, url, key)
            beneath = (subgrid.relation, table.name, row.id)
            label = subgrid.label or target.entity.label_plural or view.name
            found.append(
                await self._below(principal, target, view, beneath, label, key, asked, url, locales, pages, offered)
            )
        return tuple(found)

    async def _below(
        self,
        principal: Principal,
        target: Table,
        view: View,
        beneath: tuple[str, str, UUID],
        label: str,
        key: str,
        asked: Mapping[str, str],
        url: str,
        locales: Locales,
        pages: Mapping[str, str],
        offered: Offered,
    ) -> Below:
        readable = await self.rows.columns(principal, target.name, "read")
        columns = lists.view_columns(target, view, readable)
        where, slots = self.view_filter(target, view.filter)
        query = Query(
            target.name,
            tuple(dict.fromkeys((*lists.needed([column for column, _ in columns], readable), *offered.rows.columns))),
            where,
            slots,
            lists.view_order(view, readable),
            size=SUBGRID_SIZE,
            cursor=asked.get(key) or None,
            total=True,
            related=beneath,
            rights=offered.rows.rights,
        )
        try:
            page = await self.rows.page(principal, query)
        except Refusal as refusal:
            if refusal.status == 403:
                return Below(key, label, None, refused=True, links=offered.links)
            if query.cursor is None:
                raise
            return await self._below(principal, target, view, beneath, label, key, {}, url, locales, pages, offered)
        shown = await self.lookups.named(principal, [column for column, _ in columns], page.rows)
        grid = Grid(
            caption=label,
            columns=tuple(Column(c.name, name, formatting.is_numeric(c)) for c, name in columns),
            lines=tuple(
                Line(
                    lists.cells_of(line, columns, self.tables, locales),
                    offered.details(line)
                    if offered.details is not None
                    else lists.row_url(pages.get(target.name), "id", line),
                    offered.rows.of(plain),
                )
                for line, plain in zip(shown, page.rows, strict=True)
            ),
            total=page.total,
            number=2 if query.cursor else 1,
            next=f"{url}&{key}={page.cursor}#{key}" if page.cursor else "",
            first=f"{url}#{key}" if query.cursor else "",
        )
        return Below(key, label, grid, links=offered.links, empty_text=offered.empty_text)


def key_of(index: int) -> str:
    """The key of a form's subgrid, in its page's address and as the id of its heading."""
    return f"rows-{index + 1}"


def heading_of(table: Table, row: Row) -> str:
    """What a row is called."""
    return str(row.values.get(table.primary_name) or table.label)
