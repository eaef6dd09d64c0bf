"""Who is signed in: helper functions that find the user of the session and what it holds, at the time of each query.

The identity is ``session_user``, the role that signed in. SET ROLE, SET SESSION and the search path do not change it;
SET SESSION AUTHORIZATION does, and only a superuser may. The functions are SECURITY DEFINER with a pinned search path
and read three things: the mapping of roles, the users that the solution declares, and the ERP's own tables of users. A
role that is not mapped, and a user that is disabled or gone, hold nothing.

They are called as scalar subqueries, once per statement.
"""

from __future__ import annotations

import json

from forecourt.kernel.predicate import Param
from forecourt.kernel.row_security import Directory
from forecourt.store.catalog import Catalog
from forecourt.store.compile import Statement
from forecourt.store.native.expressions import written_out
from forecourt.store.native.pieces import HELPERS, Names, Piece, text, texts

#: Columns of what is known of the user of the session; one row for each role and legal entity.
_PERSON = "id text, email text, company text, attributes jsonb, role text, legal_entity text"


def identity_pieces(names: Names, directory: Directory, administrator: str, catalog: Catalog) -> list[Piece]:
    """The functions, and the view of declared users."""
    declared = _declared(directory)
    free = f"exists (select from {HELPERS}.person() p where p.role = {text(administrator)})"
    return [
        declared,
        _function(names, "person", "", f"table ({_PERSON})", _person(directory, catalog), callable_=False),
        _function(names, "is_administrator", "", "boolean", f"select {free}"),
        _function(
            names,
            "holds",
            "roles text[]",
            "boolean",
            f"select exists (select from {HELPERS}.person() p where p.role = any (roles))",
        ),
        _function(
            names,
            "opens",
            "granting text[], marked text, needed text[]",
            "boolean",
            f"select coalesce(bool_or(p.role = {text(administrator)}), false)\n"
            "    or (coalesce(bool_or(p.role = any (granting)), false)\n"
            "        and (needed is null or not coalesce(bool_or(p.role = marked), false)\n"
            "            or coalesce(bool_or(p.role = any (needed)), false)))\n"
            f"from {HELPERS}.person() p",
        ),
        _function(
            names,
            "legal_entities",
            "granting text[]",
            "text[]",
            f"select case when {free} or bool_or(limited.ids is null) then null\n"
            "    else coalesce(array_agg(distinct each.id) filter (where each.id is not null), '{}') end\n"
            "from (select p.role, array_agg(p.legal_entity) filter (where p.legal_entity is not null) as ids\n"
            f"      from {HELPERS}.person() p where p.role = any (granting) group by p.role) limited\n"
            "    left join lateral unnest(limited.ids) as each(id) on true",
        ),
        _function(
            names,
            "user_value",
            "name text",
            "text",
            "select case name when 'id' then p.id when 'email' then p.email when 'company' then p.company\n"
            f"    else p.attributes ->> name end\nfrom {HELPERS}.person() p limit 1",
        ),
    ]


def _declared(directory: Directory) -> Piece:
    rows = []
    for user in directory.declared:
        limits = dict(user.companies)
        for role in sorted(user.roles) or [None]:
            for company in sorted(limits.get(role or "") or ()) or [None]:
                values = (user.id, user.email, user.company, json.dumps(dict(user.attributes)), role, company)
                shown = ", ".join("null" if value is None else text(value) for value in values)
                rows.append(f"({shown}, {'true' if user.enabled else 'false'})")
    listed = ",\n    ".join(rows or ["(null, null, null, null, null, null, false)"])
    name = f"{HELPERS}.declared_user"
    create = (
        f"create view {name} as select d.id::text, d.email::text, d.company::text, d.attributes::jsonb, d.role::text,\n"
        "    d.legal_entity::text, d.enabled\n"
        f"from (values\n    {listed}\n) as d(id, email, company, attributes, role, legal_entity, enabled)\n"
        "where d.id is not null"
    )
    replace = create.replace("create view", "create or replace view", 1)
    return Piece("view", name, (create,), (f"drop view {name}",), alter=(replace,))


def _person(directory: Directory, catalog: Catalog) -> str:
    body = (
        f"with me as materialized (\n"
        f"    select m.user_id as id from {HELPERS}.database_role m\n"
        "    where m.role = (select r.oid from pg_catalog.pg_roles r where r.rolname = session_user))\n"
        "select d.id, d.email, d.company, d.attributes, d.role, d.legal_entity\n"
        f"from me join {HELPERS}.declared_user d on d.id = me.id where d.enabled"
    )
    if directory.select is None:
        return body
    outputs = [output.name for output in directory.select.outputs]
    statement = Statement(catalog)
    query = statement.finish(statement.as_text(directory.select), outputs, "key")

    def me(param: Param) -> str:
        return "me.id"

    def column(name: str) -> str:
        return f"t.{name}" if name in outputs else "null"

    enabled = ""
    if "enabled" in outputs:
        off = ", ".join(text(value) for value in directory.off)
        enabled = f"\n    and t.enabled is not null and lower(t.enabled) not in ({off})"
    return (
        body + "\nunion all\n"
        f"select t.id, coalesce({column('email')}, ''), coalesce({column('company')}, ''), '{{}}', {column('role')},"
        f" {column('legal_entity')}\n"
        f"from me cross join lateral (\n{written_out(query, me)}\n) as t({', '.join(outputs)})\n"
        f"where not exists (select from {HELPERS}.declared_user d where d.id = me.id){enabled}"
    )


def _function(
    names: Names, name: str, arguments: str, returns: str, body: str, *, callable_: bool = True
) -> Piece:
    types = ", ".join(part.strip().rpartition(" ")[2] for part in arguments.split(",")) if arguments else ""
    signature = f"{HELPERS}.{name}({types})"
    make = (
        f"create or replace function {HELPERS}.{name}({arguments}) returns {returns}\n"
        "language sql stable security definer parallel restricted set search_path = pg_catalog, pg_temp\n"
        f"as $native$\n{body}\n$native$"
    )
    roles = ", ".join(f'"{role}"' for role in (names.users, names.views))
    open_to = (f"grant execute on function {signature} to {roles}",) if callable_ else ()
    made = (make, f"revoke all on function {signature} from public", *open_to)
    return Piece("function", f"{HELPERS}.{name}", made, (f"drop function {signature}",), alter=made)


def roles_held(roles: frozenset[str]) -> str:
    """The condition that the user holds one of the roles."""
    return f"(select {HELPERS}.holds({texts(tuple(roles))}))"


ADMINISTRATOR = f"(select {HELPERS}.is_administrator())"
