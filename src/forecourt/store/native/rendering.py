"""What native protection looks like in PostgreSQL: roles, helper views, row security, views of entities, grants.

On each table that a rule speaks of: a permissive policy that leaves everybody as they were, a restrictive one that
closes the table to mapped roles, and one restrictive policy for each rule and operation, which acts on the owner of the
entities' views. Restrictive policies combine by AND, as XDS policies do. The views read the tables as that owner, so
that every row passes row security beneath each entity: an inner join loses the row, an outer join only its columns.

A mapped role has no right on any table, only on columns of views. A right on a table could not say that one column is
shown with these rows and another with those; a view per entity can.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from forecourt.kernel.model import DataSource, EntityField
from forecourt.kernel.relation import TableName
from forecourt.kernel.row_security import EntityRule, Login, Protection, RowRule
from forecourt.store.catalog import Catalog
from forecourt.store.days import written
from forecourt.store.native.expressions import condition, helper_view, own_columns, tables_in
from forecourt.store.native.identity import ADMINISTRATOR, PASSES, identity_pieces, roles_held
from forecourt.store.native.pieces import ENTITIES, HELPERS, Names, Piece, fitted, quoted, text, texts
from forecourt.store.storage import TEXTS, family_of_type

#: Commands of PostgreSQL's policies by operation, with whether they take USING and WITH CHECK.
COMMANDS = {
    "read": ("select", True, False),
    "create": ("insert", False, True),
    "update": ("update", True, True),
    "delete": ("delete", True, False),
}

#: Attributes of our roles: nobody signs in with them, and they bypass nothing.
POWERLESS = "nologin nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls"


def qualified(table: TableName) -> str:
    """A table's name, quoted."""
    return f"{quoted(table.schema)}.{quoted(table.name)}"


def pieces(
    protection: Protection,
    beneath: Mapping[TableName, frozenset[str]],
    catalog: Catalog,
    names: Names,
    logins: Sequence[Login],
    secured: Collection[TableName],
) -> list[Piece]:
    """Every piece, in the order in which they are made. ``beneath``: the columns of tables that entities show or join
    by. ``secured``: tables that have row security of their own."""
    ruled = [table for table in protection.ruled if table in beneath and not catalog.tables[table].view]
    rules = [rule for rule in protection.rows if rule.table in beneath]
    return [
        *_roles(names),
        *identity_pieces(names, protection, catalog),
        *_helpers(rules, catalog, names),
        *(_columns(table, beneath[table] | _asked_of(table, rules, catalog), names) for table in beneath),
        *(piece for table in ruled for piece in _table(table, rules, catalog, names, table in secured)),
        *(_entity(rule, rules, catalog, names) for rule in protection.entities),
        *_logins(protection, names, logins),
    ]


def _roles(names: Names) -> Iterator[Piece]:
    for role in (names.users, names.views):
        create = f"create role {quoted(role)} {POWERLESS}"
        alter = [f"alter role {quoted(role)} {POWERLESS}"]
        if role == names.views:
            alter.append(_nobody(role))
        yield Piece("role", role, (create,), (f"drop role {quoted(role)}",), alter=tuple(alter))
    made = (
        f"create schema {ENTITIES}",
        f"revoke all on schema {ENTITIES} from public",
        f"grant usage on schema {ENTITIES} to {quoted(names.users)}",
    )
    yield Piece("schema", ENTITIES, made, (f"drop schema {ENTITIES}",), alter=made[1:])


def _nobody(role: str) -> str:
    return (
        "do $do$ declare member name; begin\n"
        "    for member in select m.rolname from pg_catalog.pg_auth_members a\n"
        "        join pg_catalog.pg_roles m on m.oid = a.member join pg_catalog.pg_roles r on r.oid = a.roleid\n"
        f"        where r.rolname = {text(role)}\n"
        f"    loop execute format('revoke %I from %I', {text(role)}, member); end loop;\nend $do$"
    )


def _helpers(rules: Sequence[RowRule], catalog: Catalog, names: Names) -> Iterator[Piece]:
    """Views through which conditions read tables, each with the columns that some condition names."""
    wanted: dict[TableName, set[str]] = {}
    for rule in rules:
        for table, columns in tables_in(rule.condition).items():
            wanted.setdefault(table, set()).update(columns)
    for table, named in sorted(wanted.items(), key=lambda item: str(item[0])):
        view = helper_view(table)
        listed = [quoted(name) for name in catalog.tables[table].columns if name in named] or ["1 as nothing"]
        create = (
            f"create view {qualified(view)} as select {', '.join(listed)} from {qualified(table)}",
            f"grant select on {qualified(view)} to {quoted(names.views)}",
        )
        yield Piece("view", str(view), create, (f"drop view {qualified(view)}",))


def _asked_of(table: TableName, rules: Sequence[RowRule], catalog: Catalog) -> frozenset[str]:
    """What rules ask of a view of the ERP's: there they stand in the statement, not in row security."""
    if not catalog.tables[table].view:
        return frozenset()
    return frozenset().union(*(own_columns(rule.condition, table) for rule in rules if rule.table == table))


def _columns(table: TableName, columns: frozenset[str], names: Names) -> Piece:
    listed = ", ".join(quoted(name) for name in sorted(columns))
    create = f"grant select ({listed}) on {qualified(table)} to {quoted(names.views)}"
    drop = f"revoke select ({listed}) on {qualified(table)} from {quoted(names.views)}"
    return Piece("columns", str(table), (create,), (drop,))


def _table(
    table: TableName, rules: Sequence[RowRule], catalog: Catalog, names: Names, secured: bool
) -> Iterator[Piece]:
    others = quoted(names.views) if secured else "public"
    yield _policy(table, "forecourt_others", f"as permissive for all to {others} using (true) with check (true)")
    yield _policy(table, "forecourt_users", f"as restrictive for all to {quoted(names.users)} using (false)")
    for rule in rules:
        if rule.table != table:
            continue
        inner = tables_in(rule.condition)
        needs = frozenset(f"view {helper_view(name)}" for name in inner)
        written = _rule(rule, catalog)
        if set(rule.operations) == set(COMMANDS):
            body = f"as restrictive for all to {quoted(names.views)}\nusing ({written})"
            yield _policy(table, f"forecourt_{rule.policy}", body, needs)
            continue
        for operation in rule.operations:
            command, using, check = COMMANDS[operation]
            body = f"as restrictive for {command} to {quoted(names.views)}"
            body += f"\nusing ({written})" if using else ""
            body += f"\nwith check ({written})" if check else ""
            yield _policy(table, f"forecourt_{rule.policy}_{command}", body, needs)
    if not secured:
        yield Piece(
            "row security",
            str(table),
            (f"alter table {qualified(table)} enable row level security",),
            (f"alter table {qualified(table)} disable row level security",),
        )


def _policy(table: TableName, name: str, body: str, needs: frozenset[str] = frozenset()) -> Piece:
    found = fitted(name)
    create = f"create policy {quoted(found)} on {qualified(table)} {body}"
    return Piece(
        "policy", f"{table}.{found}", (create,), (f"drop policy {quoted(found)} on {qualified(table)}",), (), needs
    )


def _rule(rule: RowRule, catalog: Catalog, alias: str = "") -> str:
    asked = condition(rule.condition, rule.table, catalog, alias)
    free = [] if rule.roles is None else [f"not {roles_held(rule.roles)}"]
    free += [roles_held(rule.unless)] if rule.unless else []
    return "\n    or ".join([PASSES, *free, f"({asked})"])


def _on_view(source: DataSource, rules: Sequence[RowRule], catalog: Catalog) -> list[str]:
    """What rules ask of a source that is a view of the ERP's, on which row security cannot be put."""
    if not catalog.tables[source.table].view:
        return []
    asked = [rule for rule in rules if rule.table == source.table and "read" in rule.operations]
    return [f"({_rule(rule, catalog, source.alias)})" for rule in asked]


def _entity(rule: EntityRule, rules: Sequence[RowRule], catalog: Catalog, names: Names) -> Piece:
    entity = rule.entity
    name = TableName(ENTITIES, fitted(entity.collection))
    shown = [f"{_column(item, rule)} as {quoted(item.name)}" for item in entity.fields.values()]
    lines, where = [], list(_opened(rule, catalog))
    for source in entity.sources:
        asked = _on_view(source, rules, catalog)
        where += asked if source.join != "left" else []
        place = f"{qualified(source.table)} as {quoted(source.alias)}"
        if source.join == "root":
            lines.append(f"from {place}")
            continue
        on = [
            f"{quoted(above)}.{quoted(theirs)} = {quoted(source.alias)}.{quoted(own)}"
            for (above, theirs), own in source.on
        ]
        on += asked if source.join == "left" else []
        lines.append(f"    {source.join} join {place} on {' and '.join(on) or 'true'}")
    create = (
        f"create view {qualified(name)} with (security_barrier = true) as\nselect "
        + ",\n    ".join(shown)
        + "\n"
        + "\n".join(lines)
        + "\nwhere "
        + "\n    and ".join(where)
    )
    own = f"alter view {qualified(name)} owner to {quoted(names.views)}"
    inner = {table for each in rules for table in tables_in(each.condition)}
    needs = frozenset(f"view {helper_view(table)}" for table in inner if qualified(helper_view(table)) in create)
    return Piece("view", str(name), (create, own), (f"drop view {qualified(name)}",), needs=needs)


def _column(item: EntityField, rule: EntityRule) -> str:
    column = written(f"{quoted(item.source)}.{quoted(item.column)}", item)
    found = rule.fields.get(item.name)
    if found is None:
        return column
    roles = (rule.read.granting, rule.read.denying, found.showing, found.hiding)
    shared = "true" if rule.entity.company is None else "false"
    return f"case when (select {HELPERS}.shows({', '.join(map(_roles_of, roles))}, {shared})) then {column} end"


def _roles_of(roles: frozenset[str]) -> str:
    return texts(tuple(roles))


def _opened(rule: EntityRule, catalog: Catalog) -> Iterator[str]:
    """The conditions under which the user sees rows of the entity at all, and those of its legal entities."""
    entity, opening = rule.entity, rule.read
    granting, denying = _roles_of(opening.granting), _roles_of(opening.denying)
    needed = "null" if opening.constrained is None else _roles_of(opening.constrained)
    wholly = denying if entity.company is None else texts(())
    yield f"(select {HELPERS}.opens({granting}, {wholly}, {needed}))"
    if entity.company is None:
        return
    found = entity.fields[entity.company]
    table = next(source.table for source in entity.sources if source.alias == found.source)
    column, listed = f"{quoted(found.source)}.{quoted(found.column)}", "text[]"
    known = catalog.column(table, found.column)
    if known is not None and known.type == "bpchar":
        listed = "bpchar[]"
    elif known is not None and family_of_type(known.type) not in TEXTS:
        column = f"{column}::text"
    kept = f"(select {HELPERS}.legal_entities({granting}))"
    inside = f"{kept} is null or {column} = any ({kept}::{listed})"
    if opening.denying:
        closed = f"(select {HELPERS}.legal_entities({denying}))"
        inside = f"({inside}) and {closed} is not null and ({column} = any ({closed}::{listed})) is not true"
    yield f"({ADMINISTRATOR} or {inside})"


def _logins(protection: Protection, names: Names, logins: Sequence[Login]) -> Iterator[Piece]:
    collections = {rule.entity.name: fitted(rule.entity.collection) for rule in protection.entities}
    for login in logins:
        role = quoted(login.role)
        create = f"grant {quoted(names.users)} to {role} with inherit true, set false"
        yield Piece("member", login.role, (create,), (f"revoke {quoted(names.users)} from {role}",))
        for entity, columns in login.columns:
            view = TableName(ENTITIES, collections[entity])
            listed = ", ".join(quoted(column) for column in columns)
            yield Piece(
                "grant",
                f"{view} to {login.role}",
                (f"grant select ({listed}) on {qualified(view)} to {role}",),
                (f"revoke select ({listed}) on {qualified(view)} from {role}",),
                needs=frozenset({f"view {view}"}),
            )
