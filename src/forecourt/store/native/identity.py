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
from forecourt.kernel.row_security import Directory, Protection
from forecourt.store.catalog import Catalog
from forecourt.store.compile import Statement
from forecourt.store.native.expressions import written_out
from forecourt.store.native.pieces import HELPERS, Names, Piece, text, texts

#: Columns of what is known of the user of the session; one row for each role and legal entity.
_PERSON = "id text, email text, company text, attributes jsonb, role text, legal_entity text"


def identity_pieces(names: Names, protection: Protection, catalog: Catalog) -> list[Piece]:
    """The functions, and the view of declared users."""
    administrator, external = text(protection.administrator), text(protection.external)
    free = _holds(f"array[{administrator}]")
    passes = free
    if protection.bypass:
        passes += f"\n    or {_holds(f'array[{text(protection.bypass)}]')} and not {_holds(f'array[{external}]')}"
    counting = "(shared or p.legal_entity is null or p.legal_entity = c.id)"

    def some(roles: str) -> str:
        return f"exists (select from p where p.role = any ({roles}) and {counting})"

    return [
        _declared(protection.directory),
        _function(names, "person", "", f"table ({_PERSON})", _person(protection.directory, catalog), callable_=False),
        _function(names, "is_administrator", "", "boolean", f"select {free}"),
        _function(names, "passes", "", "boolean", f"select {passes}"),
        _function(names, "holds", "roles text[]", "boolean", f"select {_holds('roles')}"),
        _function(
            names,
            "opens",
            "granting text[], denying text[], needed text[]",
            "boolean",
            f"select {free}\n    or ({_holds('granting')} and not {_holds('denying')}\n"
            f"        and (needed is null or not {_holds(f'array[{external}]')} or {_holds('needed')}))",
        ),
        _function(
            names,
            "legal_entities",
            "roles text[]",
            "text[]",
            "select case when bool_or(p.legal_entity is null) then null\n"
            "    else coalesce(array_agg(distinct p.legal_entity), '{}') end\n"
            f"from {HELPERS}.person() p where p.role = any (roles)",
        ),
        _function(
            names,
            "shows",
            "granting text[], denying text[], showing text[], hiding text[], shared boolean",
            "boolean",
            f"with p as (select * from {HELPERS}.person())\n"
            f"select {free} or coalesce(bool_and({some('showing')} and not {some('hiding')}), false)\n"
            "from (select distinct p.legal_entity as id from p union select null) c\n"
            f"where {some('granting')} and not {some('denying')}",
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


def _holds(roles: str) -> str:
    return f"exists (select from {HELPERS}.person() h where h.role = any ({roles}))"


def _declared(directory: Directory) -> Piece:
    rows = []
    for user in directory.declared:
        limits = dict(user.companies)
        own = [text(item) for item in (user.id, user.email, user.company, json.dumps(dict(user.attributes)))]
        enabled = "true" if user.enabled else "false"
        for role in sorted(user.roles):
            companies = [text(company) for company in sorted(limits.get(role) or ())] or ["null"]
            rows += [f"({', '.join((*own, text(role), company, enabled))})" for company in companies]
        if not user.roles:
            rows.append(f"({', '.join((*own, 'null', 'null', enabled))})")
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
    limited = "where found.legal_entity is not null or found.limits = 0" if "legal_entity" in outputs else ""
    limits = "count(t.legal_entity) over (partition by t.role)" if "legal_entity" in outputs else "0"
    return (
        body + "\nunion all\n"
        "select found.id, found.email, found.company, found.attributes, found.role, found.legal_entity from (\n"
        f"select t.id, coalesce({column('email')}, '') as email, coalesce({column('company')}, '') as company,\n"
        f"    '{{}}'::jsonb as attributes, {column('role')} as role, {column('legal_entity')}::text as legal_entity,\n"
        f"    {limits} as limits\n"
        f"from me cross join lateral (\n{written_out(query, me)}\n) as t({', '.join(outputs)})\n"
        f"where not exists (select from {HELPERS}.declared_user d where d.id = me.id){enabled}\n) found {limited}"
    )


def _function(names: Names, name: str, arguments: str, returns: str, body: str, *, callable_: bool = True) -> Piece:
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


#: The conditions that the user passes every check, and that no rule for rows constrains the user.
ADMINISTRATOR, PASSES = f"(select {HELPERS}.is_administrator())", f"(select {HELPERS}.passes())"
