"""What audit has to know beside the rules, from an opened solution's files and its Dataverse database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from forecourt.app import Forecourt
from forecourt.dataverse.tables import Table
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.errors import Refusal
from forecourt.kernel.sync import Leg, Side
from forecourt.operations.definitions import RolesFile
from forecourt.operations.native import NativeAccess
from forecourt.pages.site.definitions import FormMode
from forecourt.pages.site.site import Site
from forecourt.security.audit.plain_sql import Enforced
from forecourt.security.audit.surroundings import Copy, CopyKey, Surroundings, Unused
from forecourt.security.rules import Right
from forecourt.store.folder import Faults, read_file
from forecourt.store.native.pieces import HELPERS

#: Media types of web files that may ask ``/_api`` for columns.
SCRIPTS = ("text/javascript", "application/javascript", "text/html")

#: By what the portal knows a person and its account, and tells them on pages of its own and in templates (``user``).
KNOWN_BY: Mapping[str, tuple[str, ...]] = {
    "contact": ("firstname", "lastname", "fullname", "emailaddress1"),
    "account": ("name", "accountnumber", "emailaddress1"),
}


async def surroundings(forecourt: Forecourt, root: Path) -> Surroundings:
    """The surroundings of a solution whose folder is ``root``."""
    found = forecourt.definitions
    site = found.site
    held, asked, text = None, None, ""
    named: dict[str, frozenset[str]] = {}
    if site is not None:
        text = "\n".join(_texts(site))
        opened = {name: table for name, table in found.tables.by_name.items() if name in site.web_api_columns}
        named = {name: _named(table, text, root) for name, table in opened.items()}
        asked = {name: named[name] | _always(table) for name, table in opened.items()}
        names = (site.web_roles.name_of(role) for role in await forecourt.contacts.web_roles())
        given = frozenset(name for name in names if name is not None)
        held = given | site.web_roles.authenticated | site.web_roles.anonymous
    return Surroundings(
        copies=tuple(copy(item) for item in found.maps.by_name.values()),
        shown={name: shown for name, table in found.tables.by_name.items() if (shown := _shown(table))},
        taken={} if site is None else _taken(site, found.tables.by_name, named),
        asked=asked,
        used=None if site is None else _used(site, found.tables.by_name, text),
        held=held,
        public={table: frozenset(Right(right) for right in rights) for table, rights in found.header.public.items()},
        public_rows=found.public_rows,
        unused=tuple(_unused(root)),
        sql=await _enforced(forecourt),
    )


async def _enforced(forecourt: Forecourt) -> Enforced | None:
    """What the operations database enforces by itself; None where it was never told."""
    if not any(table.schema == HELPERS for table in forecourt.operations_gate.operations.catalog.tables):
        return None
    access = await NativeAccess.open(forecourt.definitions.operations, forecourt.users, forecourt.databases.operations)
    try:
        plan = await access.plan()
    except Refusal as refusal:
        return Enforced(access.protection, unknown=refusal.message)
    if not plan.applied:
        return None
    return Enforced(access.protection, plan.logins, tuple(step.what for step in plan.steps), plan.wider)


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
        back=outward,
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
    fields = ((name, table.column(name)) for name in (*views, *cells))
    return frozenset(name if field is None else field.name for name, field in fields)


def _named(table: Table, text: str, root: Path) -> frozenset[str]:
    """Columns that the site's texts and scripts name, or plug-ins of the solution, which look at what is sent."""
    code = "\n".join(path.read_text("utf-8") for path in sorted(root.glob("dataverse/**/*.py")))
    words = frozenset(re.findall(r"\w+", f"{text}\n{code}"))
    return frozenset(name for name, field in table.entity.fields.items() if {name, field.column} & words)


def _always(table: Table) -> frozenset[str]:
    """Columns that nobody has to ask for: in views and forms, the name of a row and its state, and by what the portal
    knows a person and its account."""
    found = {table.primary_name, "statecode", "statuscode", *KNOWN_BY.get(table.name, ())}
    return frozenset(found & table.entity.fields.keys()) | _shown(table)


def _taken(
    site: Site, tables: Mapping[str, Table], named: Mapping[str, frozenset[str]]
) -> Mapping[str, frozenset[str]]:
    """Columns by table that forms of the site let be filled in, or fill in themselves; beside forms, what scripts may
    send."""
    steps = (step for form in site.multistep_forms.values() for step in form.steps.values())
    forms = [(f.table, f.form, f.mode, (f.person_column, f.parent_column)) for f in site.forms.values()]
    forms += [(step.table, step.form, step.mode, ("", "")) for step in steps if step.mode is not None]
    found: dict[str, set[str]] = {}
    for name, form_name, mode, columns in forms:
        table = tables.get(name)
        form = table.form(form_name) if table is not None else None
        if table is None or form is None or mode is FormMode.READ_ONLY:
            continue
        cells = (c for section in form.sections for c in section.columns)
        asked = [c if isinstance(c, str) else c.column for c in cells if isinstance(c, str) or not c.read_only]
        fields = (table.column(column) for column in (*asked, *columns) if column)
        found.setdefault(name, set()).update(field.name for field in fields if field is not None)
    return {name: frozenset(columns) | named.get(name, frozenset()) for name, columns in found.items()}


def _used(site: Site, tables: Mapping[str, Table], text: str) -> frozenset[str]:
    """Tables that something of the site names: lists, forms and what their subgrids show, settings, templates;
    and the currencies of amounts, which pages show with these."""
    found = {item.table for item in site.lists.values()} | {item.table for item in site.forms.values()}
    found |= set(site.web_api_columns)
    for name in tuple(found):
        table = tables.get(name)
        grids = (grid for form in table.forms for grid in form.subgrids) if table is not None else ()
        found |= {table.entity.relations[grid.relation].target for grid in grids if table is not None}
    found |= {name for name in tables if name in text}
    return frozenset(found | {name for table in found & tables.keys() for name in _currencies(tables[table])})


def _currencies(table: Table) -> frozenset[str]:
    """The tables of the currencies that a table's amounts are in."""
    held = (table.column(field.currency) for field in table.entity.fields.values() if field.currency)
    return frozenset(target for field in held if field is not None for target in field.targets)


def _texts(site: Site) -> Iterator[str]:
    for page in site.pages.values():
        for content in page.contents.values():
            yield content.copy
    for languages in site.snippets.values():
        yield from languages.values()
    for template in site.web_templates.values():
        yield template.source
    for file in site.files.values():
        if file.media_type in SCRIPTS:
            yield file.file.read_text("utf-8", errors="replace")


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
