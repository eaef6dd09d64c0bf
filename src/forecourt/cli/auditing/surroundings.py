"""What audit has to know beside the rules, from an opened solution's files and its Dataverse database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from forecourt.app import Forecourt
from forecourt.dataverse.tables import Table
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.sync import Leg, Side
from forecourt.operations.definitions import RolesFile
from forecourt.pages.site.site import Site
from forecourt.security.audit.surroundings import Copy, CopyKey, Surroundings, Unused
from forecourt.security.rules import Right
from forecourt.store.folder import Faults, read_file


async def surroundings(forecourt: Forecourt, root: Path) -> Surroundings:
    """The surroundings of a solution whose folder is ``root``."""
    found = forecourt.definitions
    site = found.site
    held = None
    if site is not None:
        names = (site.web_roles.name_of(role) for role in await forecourt.contacts.web_roles())
        given = frozenset(name for name in names if name is not None)
        held = given | site.web_roles.authenticated | site.web_roles.anonymous
    return Surroundings(
        copies=tuple(copy(item) for item in found.maps.by_name.values()),
        shown={name: shown for name, table in found.tables.by_name.items() if (shown := _shown(table))},
        used=None if site is None else _used(site, found.tables.by_name),
        held=held,
        public={table: frozenset(Right(right) for right in rights) for table, rights in found.header.public.items()},
        unused=tuple(_unused(root)),
    )


def copy(item: TableMap) -> Copy:
    """A table map as audit compares its ends."""
    outward = Side.OPERATIONS in item.legs
    leg: Leg = item.legs[Side.OPERATIONS] if outward else item.legs[Side.DATAVERSE]
    key = tuple(
        CopyKey(column.source, column.target, column.target_reference)
        if outward
        else CopyKey(column.target, column.source, column.source_reference)
        for column in leg.key
    )
    pairs = tuple((c.target, c.source) if outward else (c.source, c.target) for c in leg.columns)
    return Copy(
        name=item.name,
        entity=item.entity,
        table=item.table,
        key=key,
        columns=tuple((column, field) for column, field in pairs if column and field),
        filter=leg.target_filter if outward else leg.filter,
        exact=not any(column.values for column in leg.key),
        where=item.where,
    )


def _shown(table: Table) -> frozenset[str]:
    """Columns that the table's views and forms show."""
    views = (c if isinstance(c, str) else c.column for view in table.views for c in view.columns)
    cells = (
        c if isinstance(c, str) else c.column
        for form in table.forms
        for section in form.sections
        for c in section.columns
    )
    return frozenset((*views, *cells))


def _used(site: Site, tables: Mapping[str, Table]) -> frozenset[str]:
    """Tables that something of the site names: lists, forms and what their subgrids show, settings, templates."""
    found = {item.table for item in site.lists.values()} | {item.table for item in site.forms.values()}
    found |= set(site.web_api_columns)
    for name in tuple(found):
        table = tables.get(name)
        grids = (grid for form in table.forms for grid in form.subgrids) if table is not None else ()
        found |= {table.entity.relations[grid.relation].target for grid in grids if table is not None}
    text = "\n".join(_texts(site))
    return frozenset(found | {name for name in tables if name in text})


def _texts(site: Site) -> Iterator[str]:
    for page in site.pages.values():
        for content in page.contents.values():
            yield content.copy
    for languages in site.snippets.values():
        yield from languages.values()


def _unused(root: Path) -> Iterator[Unused]:
    """Privileges that no duty or role has, and duties that no role has."""
    path = root / "operations" / "roles.yaml"
    loaded = read_file(root, path, RolesFile, Faults()) if path.is_file() else None
    if loaded is None:
        return
    file = loaded.record
    duties = {duty for role in file.roles.values() for duty in role.duties}
    privileges = {name for role in file.roles.values() for name in role.privileges}
    privileges |= {name for duty in file.duties.values() for name in duty.privileges}
    for name in file.duties:
        if name not in duties:
            yield Unused("duty", name, loaded.document.where("duties", name))
    for name in file.privileges:
        if name not in privileges:
            yield Unused("privilege", name, loaded.document.where("privileges", name))
