"""What is in the database: the pieces that were recorded when they were made, and what the catalogue shows of them now.

A piece's *mark* is a digest of what PostgreSQL's catalogue says about it: definition, owner, rights, members. It is
recorded when the piece has been made; another mark later means that somebody has changed it by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from forecourt.kernel.relation import TableName
from forecourt.store.database import Transaction
from forecourt.store.native.pieces import ENTITIES, HELPERS, Names

#: The bookkeeping, beside the mapping of database roles to users. A role is kept by its number, so that another role of
#: the same name later is not taken for it.
BOOKKEEPING = f"""
create schema if not exists {HELPERS};
create table if not exists {HELPERS}.database_role (
    role oid primary key,
    user_id text not null,
    mapped_at timestamptz not null default now());
create table if not exists {HELPERS}.piece (
    place int primary key,
    kind text not null,
    name text not null,
    made json not null,
    undo json not null,
    mark text not null,
    unique (kind, name));
revoke all on schema {HELPERS} from public;
revoke all on {HELPERS}.database_role, {HELPERS}.piece from public;
"""

#: (kind, name, mark) of everything that may be a piece. $1: the role of users, $2: the owner of views.
MARKS = f"""
with ours as (select oid from pg_namespace where nspname in ('{HELPERS}', '{ENTITIES}')),
found(kind, name, shown) as (
    select 'role', rolname::text, row(rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
        case when rolname = $2 then (select array_agg(m.member order by 1) from pg_auth_members m where m.roleid = r.oid
            and m.member <> (select oid from pg_roles where rolname = current_user)) end,
        (select array_agg(m.roleid order by 1) from pg_auth_members m where m.member = r.oid))::text
    from pg_roles r where rolname in ($1, $2)
    union all select 'schema', nspname::text, row(nspowner, nspacl)::text from pg_namespace where nspname = '{ENTITIES}'
    union all select 'view', n.nspname || '.' || c.relname, row(c.relowner, c.relacl, c.reloptions,
        pg_get_viewdef(c.oid))::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'v' and c.relnamespace in (select oid from ours)
    union all select 'function', n.nspname || '.' || p.proname,
        row(p.proowner, p.proacl, pg_get_functiondef(p.oid))::text
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = '{HELPERS}'
    union all select 'row security', n.nspname || '.' || c.relname, row(c.relforcerowsecurity)::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relrowsecurity
    union all select 'policy', n.nspname || '.' || c.relname || '.' || p.polname, row(p.polpermissive, p.polcmd,
        p.polroles, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
    union all select 'columns', n.nspname || '.' || c.relname,
        string_agg(a.attname || g.privilege_type, ',' order by a.attname, g.privilege_type)
    from pg_attribute a cross join aclexplode(a.attacl) g
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where g.grantee = (select oid from pg_roles where rolname = $2) and n.oid not in (select oid from ours)
    group by n.nspname, c.relname
    union all select 'member', m.rolname::text, row(a.inherit_option, a.set_option, a.admin_option)::text
    from pg_auth_members a join pg_roles m on m.oid = a.member join pg_roles r on r.oid = a.roleid
    where r.rolname = $1 and m.rolname <> current_user
    union all select 'grant', n.nspname || '.' || c.relname || ' to ' || coalesce(r.rolname, 'public'),
        string_agg(a.attname || g.privilege_type || g.is_grantable, ',' order by a.attname, g.privilege_type)
    from pg_attribute a cross join aclexplode(a.attacl) g left join pg_roles r on r.oid = g.grantee
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = '{ENTITIES}'
    group by n.nspname, c.relname, r.rolname
)
select kind, name, md5(shown) from found
"""

_LOGINS = f"""
select m.role, r.rolname::text, m.user_id from {HELPERS}.database_role m left join pg_roles r on r.oid = m.role
order by r.rolname
"""

_RECORDED = f"select kind, name, made::text, undo::text, mark from {HELPERS}.piece order by place"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A piece as it was made: its SQL, what takes it back, and the mark that it had then."""

    kind: str
    name: str
    made: tuple[str, ...]
    undo: tuple[str, ...]
    mark: str

    @property
    def key(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class State:
    """``recorded``: in the order in which they were made. ``marks``: of what is there, by key. ``logins``: pairs (role,
    user). ``gone``: users whose role does not exist any more. ``secured``, ``forced``: tables with row security."""

    names: Names
    recorded: tuple[Recorded, ...]
    marks: Mapping[str, str]
    logins: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]
    secured: frozenset[TableName]
    forced: frozenset[TableName]

    @property
    def applied(self) -> bool:
        return bool(self.recorded)


async def read_state(tx: Transaction) -> State:
    """What was made in this database, and what is there."""
    names = Names.of(str(await tx.value("select current_database()")))
    recorded: tuple[Recorded, ...] = ()
    logins: list[tuple[str, str]] = []
    gone: list[str] = []
    if await tx.value(f"select to_regclass('{HELPERS}.piece') is not null"):
        recorded = tuple(
            Recorded(row[0], row[1], tuple(json.loads(row[2])), tuple(json.loads(row[3])), row[4])
            for row in await tx.fetch(_RECORDED)
        )
        for _, role, user in await tx.fetch(_LOGINS):
            if role is None:
                gone.append(user)
            else:
                logins.append((role, user))
    tables = await tx.fetch(
        "select n.nspname, c.relname, c.relforcerowsecurity"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relrowsecurity"
    )
    return State(
        names,
        recorded,
        await read_marks(tx, names),
        tuple(logins),
        tuple(gone),
        frozenset(TableName(row[0], row[1]) for row in tables),
        frozenset(TableName(row[0], row[1]) for row in tables if row[2]),
    )


async def read_marks(tx: Transaction, names: Names) -> dict[str, str]:
    """The marks of everything that may be a piece, by key."""
    rows = await tx.fetch(MARKS, names.users, names.views)
    return {f"{row[0]} {row[1]}": row[2] for row in rows}
