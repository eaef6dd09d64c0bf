"""Native protection of one database: planned, applied, dropped, and its logins kept.

Everything is one transaction: either the database enforces all of it, or nothing has happened. Planning changes
nothing. What was made is recorded beside it, so that dropping needs no definition files and leaves the catalogue as it
was found. A lock on a table is waited for five seconds at most.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forecourt.kernel.errors import Refusal
from forecourt.kernel.relation import TableName
from forecourt.kernel.row_security import Login, Protection
from forecourt.store.catalog import Catalog
from forecourt.store.database import Database, Transaction
from forecourt.store.native.pieces import HELPERS, Piece, quoted
from forecourt.store.native.rendering import pieces
from forecourt.store.native.state import BOOKKEEPING, State, read_marks, read_state
from forecourt.store.native.steps import Step, between

#: Held by who changes the protection.
_LOCK = 0x464F52454E4154

_SETTINGS = """
set local standard_conforming_strings = on;
set local search_path = pg_catalog, pg_temp;
set local lock_timeout = '5s';
"""

#: What a role that is mapped must not be: $1 the role, $2 the owner of views, $3 and $4 schemas and names of tables.
_UNFIT = """
select case
    when not r.rolcanlogin then 'nobody can sign in with it'
    when r.rolsuper then 'it is a superuser'
    when r.rolbypassrls then 'it bypasses row security'
    when r.rolcreaterole then 'it may make roles, and give itself their rights'
    when r.rolreplication then 'it may replicate, and so read everything'
    when pg_has_role(r.oid, $2::name, 'member') then 'it is a member of the owner of the views'
    when exists (select from pg_roles p where p.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_maintain',
        'pg_database_owner', 'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
        and pg_has_role(r.oid, p.oid, 'member')) then 'a role that it is a member of reads or writes everything'
    when exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join unnest($3::text[], $4::text[]) as t(schema, name) on t.schema = n.nspname and t.name = c.relname
        where pg_has_role(r.oid, c.relowner, 'member')) then 'it owns tables, or is a member of their owner'
    end
from pg_roles r where r.rolname = $1
"""

#: Rights of mapped roles on tables beneath, by grants that are not ours: (role, table).
_BESIDE = """
select r.rolname::text, n.nspname || '.' || c.relname
from pg_roles r cross join unnest($2::text[], $3::text[]) as t(schema, name)
    join pg_namespace n on n.nspname = t.schema join pg_class c on c.relnamespace = n.oid and c.relname = t.name
where r.rolname = any ($1) and has_schema_privilege(r.oid, n.oid, 'usage')
    and (has_any_column_privilege(r.oid, c.oid, 'select, insert, update')
        or has_table_privilege(r.oid, c.oid, 'delete'))
order by 1, 2
"""

#: Roles beside owners that may load a table with COPY, which row security takes from them: (table, role).
_LOADERS = """
select n.nspname || '.' || c.relname, coalesce(r.rolname, 'public')::text
from unnest($1::text[], $2::text[]) as t(schema, name)
    join pg_namespace n on n.nspname = t.schema join pg_class c on c.relnamespace = n.oid and c.relname = t.name
    cross join aclexplode(c.relacl) g left join pg_roles r on r.oid = g.grantee
where g.privilege_type = 'INSERT' and g.grantee <> c.relowner and not coalesce(r.rolsuper or r.rolbypassrls, false)
order by 1, 2
"""


@dataclass(frozen=True)
class Plan:
    """``steps``: what lies between. ``logins``: pairs (role, user). ``notices``: what an administrator should know.
    ``wider``: those of them by which a mapped role reads more than the rules say."""

    steps: tuple[Step, ...]
    logins: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()
    applied: bool = False
    wider: tuple[str, ...] = ()


@dataclass(frozen=True)
class Native:
    """One database. ``beneath``: the tables under the entities, with the columns that entities show or join by."""

    database: Database
    catalog: Catalog
    protection: Protection
    beneath: Mapping[TableName, frozenset[str]]

    async def logins(self) -> tuple[tuple[str, str], ...]:
        """The mapped roles, as pairs (role, user)."""
        async with self.database.transaction("read the mapped roles") as tx:
            return (await read_state(tx)).logins

    async def plan(self, logins: Sequence[Login]) -> Plan:
        """What applying would do. Raises Refusal FC6006."""
        async with self.database.transaction("plan native protection") as tx:
            state = await read_state(tx)
            return await self._planned(tx, state, self._wanted(state, logins))

    async def apply(self, logins: Sequence[Login]) -> Plan:
        """Brings the database to the protection, and returns what was done. Raises Refusal FC6006."""
        async with self.database.transaction("apply native protection") as tx:
            await self._begin(tx)
            await tx.execute(f"delete from {HELPERS}.database_role where role not in (select oid from pg_roles)")
            return await self._carry_out(tx, logins)

    async def drop(self) -> tuple[Step, ...]:
        """Takes everything away again, the mapping too. Returns what was done."""
        async with self.database.transaction("drop native protection") as tx:
            await tx.execute(f"{_SETTINGS} select pg_advisory_xact_lock({_LOCK})")
            state = await read_state(tx)
            steps = tuple(between((), state))
            for step in steps:
                await _run(tx, step)
            await tx.execute(
                f"drop table if exists {HELPERS}.piece, {HELPERS}.database_role; drop schema if exists {HELPERS}"
            )
            return steps

    async def map(self, role: str, user: str, logins: Sequence[Login]) -> Plan:
        """Maps a role to a user, and gives it what its user may read. ``logins``: all, this one among them.

        Raises Refusal FC6006 for a role with which more could be read, or where nothing was applied yet.
        """
        async with self.database.transaction("map a database role") as tx:
            await self._begin(tx)
            state = await read_state(tx)
            if not state.applied:
                raise Refusal("FC6006", "Native protection is not applied.", hint="Run 'forecourt native apply' first.")
            await self._check(tx, role, state)
            await tx.execute(
                f"insert into {HELPERS}.database_role (role, user_id) select oid, $2 from pg_roles where rolname = $1"
                " on conflict (role) do update set user_id = excluded.user_id, mapped_at = now()",
                role,
                user,
            )
            return await self._carry_out(tx, logins)

    async def unmap(self, role: str, logins: Sequence[Login]) -> Plan:
        """Takes a role's user and rights away. ``logins``: those that stay. Raises Refusal FC6006 if not mapped."""
        async with self.database.transaction("unmap a database role") as tx:
            await self._begin(tx)
            gone = await tx.fetch(
                f"delete from {HELPERS}.database_role where role = (select oid from pg_roles where rolname = $1)"
                " returning user_id",
                role,
            )
            if not gone:
                raise Refusal("FC6006", f"The role {role} is not mapped.", source=role)
            return await self._carry_out(tx, logins)

    # -- steps ---------------------------------------------------------------------------------------------------

    async def _begin(self, tx: Transaction) -> None:
        await tx.execute(f"{_SETTINGS} select pg_advisory_xact_lock({_LOCK}); {BOOKKEEPING}")

    async def _carry_out(self, tx: Transaction, logins: Sequence[Login]) -> Plan:
        state = await read_state(tx)
        wanted = self._wanted(state, logins)
        plan = await self._planned(tx, state, wanted)
        for step in plan.steps:
            await _run(tx, step)
        if plan.steps:
            await _record(tx, wanted, state)
        return plan

    async def _planned(self, tx: Transaction, state: State, wanted: Sequence[Piece]) -> Plan:
        steps = tuple(between(wanted, state))
        wider = await self._wider(tx, state)
        notices = await self._notices(tx, state)
        return Plan(steps, state.logins, (*wider, *notices), state.applied, tuple(wider))

    def _wanted(self, state: State, logins: Sequence[Login]) -> list[Piece]:
        ours = {item.name for item in state.recorded if item.kind == "row security"}
        secured = frozenset(table for table in state.secured if str(table) not in ours)
        forced = sorted(str(table) for table in state.forced if table in self.beneath)
        if forced:
            raise Refusal(
                "FC6006",
                f"Row security of {forced[0]} is forced on its owner, which would hide rows from policies.",
                hint=f"ALTER TABLE {forced[0]} NO FORCE ROW LEVEL SECURITY.",
                source=forced[0],
            )
        known = set(state.logins)
        kept = [login for login in logins if (login.role, login.user) in known]
        return pieces(self.protection, self.beneath, self.catalog, state.names, kept, secured)

    async def _check(self, tx: Transaction, role: str, state: State) -> None:
        tables = list(self.beneath)
        rows = await tx.fetch(
            _UNFIT, role, state.names.views, [table.schema for table in tables], [table.name for table in tables]
        )
        if not rows:
            hint = f"CREATE ROLE {quoted(role)} LOGIN PASSWORD '…'."
            raise Refusal("FC6006", f"There is no role {role} in the database.", hint=hint, source=role)
        if rows[0][0] is not None:
            raise Refusal("FC6006", f"The role {role} cannot be mapped: {rows[0][0]}.", source=role)

    async def _wider(self, tx: Transaction, state: State) -> list[str]:
        """By which rights mapped roles read more than the rules say."""
        tables = list(self.beneath)
        schemas, names = [table.schema for table in tables], [table.name for table in tables]
        beside = await tx.fetch(_BESIDE, [role for role, _ in state.logins], schemas, names)
        found = [f"Role {role} has rights on {table} by other grants." for role, table in beside]
        for role, _ in state.logins if state.applied else ():
            rows = await tx.fetch(_UNFIT, role, state.names.views, schemas, names)
            if rows and rows[0][0] is not None:
                found.append(f"Role {role} should not be mapped: {rows[0][0]}.")
        return found

    async def _notices(self, tx: Transaction, state: State) -> list[str]:
        found = [
            f"{item.what}: {item.why}; the table is closed ({item.where})." for item in self.protection.unexpressed
        ]
        ruled = [table for table in self.protection.ruled if table in self.beneath]
        loaders = await tx.fetch(_LOADERS, [table.schema for table in ruled], [table.name for table in ruled])
        found += [f"Role {role} cannot load {table} with COPY while it has row security." for table, role in loaders]
        found += [f"The role of user {user} does not exist any more; 'native apply' forgets it." for user in state.gone]
        ours = {item.key for item in state.recorded}
        names_of_tables = tuple(f"policy {table}." for table in ruled)
        found += [
            f"{key} is not ours."
            for key in sorted(state.marks)
            if key.startswith(names_of_tables) and key not in ours and state.applied
        ]
        return found


async def _run(tx: Transaction, step: Step) -> None:
    for statement in step.sql:
        await tx.execute(statement)


async def _record(tx: Transaction, wanted: Sequence[Piece], state: State) -> None:
    marks = await read_marks(tx, state.names)
    missing = [piece.key for piece in wanted if piece.key not in marks]
    if missing:
        raise Refusal("FC6006", f"The database does not show {missing[0]}, which was just made.", source=missing[0])
    await tx.execute(f"delete from {HELPERS}.piece")
    await tx.executemany(
        f"insert into {HELPERS}.piece (place, kind, name, made, undo, mark) values ($1, $2, $3, $4, $5, $6)",
        [
            (place, piece.kind, piece.name, json.dumps(piece.create), json.dumps(piece.drop), marks[piece.key])
            for place, piece in enumerate(wanted)
        ],
    )
