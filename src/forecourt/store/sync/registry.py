"""The registry: what becomes of each table map, in the operations database; and how far each direction has come.

A map's state changes by compare and set. Whoever works on a map holds its *lease*: a number that grows with each new
holder, and a time. A position is kept in the target's own database, in the transaction that applies what was read; it
takes the holder's number along and refuses an older one, so that a worker which was believed dead cannot apply a change
again, whichever database it writes to. Errors, and the log of what was done, are kept until they are dismissed.

Everything is made by :meth:`Registry.install`, when copies are first asked for, and taken away by
:meth:`Registry.remove`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.sync import Activity, Lease, MapRecord, MapState, Mode, Position, Side, SyncError, Unit, WireRow
from forecourt.store.database import Database
from forecourt.store.failures import ATTEMPTS, contended, refuse, unless_removed

#: What is said where the registry was removed meanwhile.
STOPPED: Final = "All maps have been stopped meanwhile."

_REGISTRY = """
create schema if not exists forecourt;
create table if not exists forecourt.sync_map (
    name text primary key, version text not null, state text not null default 'not running', mode text not null,
    detail text not null default '', changed_at timestamptz not null default now(),
    token bigint not null default 0, worker text, leased_until timestamptz);
create table if not exists forecourt.sync_error (
    id bigint generated always as identity primary key, map text not null, side text not null, operation text not null,
    key jsonb not null, message text not null, kind text not null, attempts int not null default 1,
    at timestamptz not null default now(), unique (map, side, key));
create table if not exists forecourt.sync_activity (
    id bigint generated always as identity primary key, map text not null, what text not null, by text not null,
    rows bigint not null default 0, detail text not null default '', at timestamptz not null default now());
create or replace function forecourt.sync_enter(maps text[], pairs text[])
returns table (map text, map_state text, map_mode text) language plpgsql as $enter$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('forecourt.map.' || wanted, 0)) from unnest(maps) wanted;
    perform pg_advisory_xact_lock(hashtextextended('forecourt.pair.' || wanted, 0)) from unnest(pairs) wanted;
    -- A statement of its own, so that it sees what the locks have waited for.
    return query select m.name, m.state, m.mode from forecourt.sync_map m where m.name = any(maps);
end $enter$;
"""
_POSITIONS = """
create schema if not exists forecourt;
create table if not exists forecourt.sync_position (
    map text not null, side text not null, since text not null, until text not null, after bigint not null,
    token bigint not null, primary key (map, side));
create table if not exists forecourt.sync_progress (map text primary key, after jsonb not null, rows bigint not null);
"""
_TABLES = ("sync_map", "sync_error", "sync_activity", "sync_position", "sync_progress")
_RECORD = "name, version, state, mode, detail, changed_at"
_ERROR = "id, map, side, operation, key::text, message, kind, attempts, at"
_LEASE = """
update forecourt.sync_map set token = token + 1, worker = $2, leased_until = now() + make_interval(secs => $3)
where name = $1 and (worker is null or leased_until < now()) returning token, leased_until"""
_RENEW = """
update forecourt.sync_map set leased_until = now() + make_interval(secs => $3)
where name = $1 and token = $2 and ($4::text[] = '{}' or state = any($4)) returning token, leased_until"""
_SAVE = """
insert into forecourt.sync_position as p (map, side, since, until, after, token) values ($1, $2, $3, $4, $5, $6)
on conflict (map, side) do update
set since = excluded.since, until = excluded.until, after = excluded.after, token = excluded.token
where p.token <= excluded.token and ($7::text is null or (p.since, p.until, p.after) = ($7, $8, $9)) returning 1"""
_ERRORS = """
insert into forecourt.sync_error as e (map, side, operation, key, message, kind)
select $1, $2, r->>'operation', r->'key', r->>'message', r->>'kind' from jsonb_array_elements($3::text::jsonb) r
on conflict (map, side, key) do update
set message = excluded.message, kind = excluded.kind, operation = excluded.operation,
    attempts = e.attempts + 1, at = now()"""


class Registry:
    """``operations``: where maps are registered; ``databases``: every side's, for positions."""

    def __init__(self, databases: Mapping[Side, Database]) -> None:
        self._databases = dict(databases)
        self._operations = databases[Side.OPERATIONS]

    async def install(self) -> None:
        """Makes the tables where they are missing."""
        await self._operations.script("make the registry of maps", _REGISTRY)
        for database in {id(item): item for item in self._databases.values()}.values():
            await database.script("make the positions of maps", _POSITIONS)

    async def installed(self) -> bool:
        """Whether copies were ever asked for."""
        sql = "select to_regclass('forecourt.sync_map') is not null"
        return bool((await self._operations.system(SystemPlan("look for the registry", sql)))[0][0])

    async def check_both(self) -> None:
        """Raises Refusal FC6004 where the databases can't take part in one unit of work: writes to the operations
        database are logged in the other one."""
        if self._operations is self._databases[Side.DATAVERSE]:
            return
        sql = "select current_setting('max_prepared_transactions')::int"
        if not (await self._operations.system(SystemPlan("look for prepared transactions", sql)))[0][0]:
            raise Refusal(
                "FC6004",
                "The operations database has max_prepared_transactions = 0, so nothing can be written to both sides.",
                hint="Set it to 64, say, and restart that server; or copy to Dataverse only, in mode queued.",
            )

    async def remove(self) -> bool:
        """Takes the tables away. False: a map has been started meanwhile, nothing is taken away."""
        drops = "; ".join(f"drop table if exists forecourt.{name}" for name in _TABLES)
        function = "drop function if exists forecourt.sync_enter(text[], text[])"
        async with self._operations.transaction("remove the registry of maps") as transaction:
            if await transaction.value("select to_regclass('forecourt.sync_map') is not null"):
                await transaction.execute("lock table forecourt.sync_map in access exclusive mode")
                runs = "select exists (select from forecourt.sync_map where state <> 'not running')"
                if await transaction.value(runs):
                    return False
            for database in self._databases.values():
                if database is not self._operations:
                    await database.script("remove the registry of maps", f"{function}; {drops}")
            await transaction.execute(f"{function}; {drops}")
        return True

    @staticmethod
    async def _rows(database: Database, plan: SystemPlan) -> list[asyncpg.Record]:
        """A statement about the registry. Raises Refusal FC4121 where it was removed meanwhile."""
        return await unless_removed(database.system(plan), STOPPED)

    @staticmethod
    async def _own(unit: Unit, plan: SystemPlan, writes: bool = True) -> list[asyncpg.Record]:
        """The same within a unit."""
        return list(await unless_removed(unit.system(plan, writes), STOPPED))

    # -- maps -----------------------------------------------------------------------------------------------------

    async def register(self, name: str, version: str, mode: Mode) -> None:
        """Notes a map of the solution; what is known of it stays, and its version while it is not stopped."""
        sql = """insert into forecourt.sync_map (name, version, mode) values ($1, $2, $3)
        on conflict (name) do update set version = excluded.version, mode = excluded.mode
        where sync_map.state = 'not running'"""
        await self._rows(self._operations, SystemPlan("register a map", sql, (name, version, mode)))

    async def maps(self) -> dict[str, MapRecord]:
        """Every map by name."""
        sql = f"select {_RECORD} from forecourt.sync_map order by name"
        rows = await self._rows(self._operations, SystemPlan("list maps", sql))
        return {row[0]: MapRecord(*row) for row in rows}

    async def enter(
        self, unit: Unit, names: Sequence[str], pairs: Sequence[str] = ()
    ) -> dict[str, tuple[MapState, Mode]]:
        """State and mode of maps, which nobody changes until the unit's end (see :meth:`set_state`). ``pairs``: names
        of pairs of rows that other writers are kept out of until then."""
        sql = "select map, map_state, map_mode from forecourt.sync_enter($1, $2)"
        plan = SystemPlan("enter maps", sql, (sorted(names), sorted(pairs)))
        return {row[0]: (row[1], row[2]) for row in await self._own(unit, plan, writes=False)}

    async def hold(self, unit: Unit, name: str) -> None:
        """Keeps every live writer of a map out until the unit's end."""
        sql = "select pg_advisory_xact_lock(hashtextextended('forecourt.map.' || $1::text, 0))"
        await unit.system(SystemPlan("hold a map", sql, (name,)), writes=False)

    async def set_state(self, name: str, state: MapState, expected: Sequence[MapState] = (), detail: str = "") -> bool:
        """Sets a state, if the map is in one of ``expected`` (() for any). Waits for writers that rely on the old one.
        False: it was in another. Raises Refusal FC5031 where writers do not let go of the map."""
        for attempt in range(ATTEMPTS):
            try:
                return await self._set_state(name, state, expected, detail)
            except Exception as error:
                if not contended(error):
                    raise
                if attempt == ATTEMPTS - 1:
                    refuse(error)
        raise AssertionError("unreachable")

    async def _set_state(self, name: str, state: MapState, expected: Sequence[MapState], detail: str) -> bool:
        async with self._operations.transaction("change a map's state") as transaction:
            await transaction.execute("set local lock_timeout = '60s'")
            lock = "select pg_advisory_xact_lock(hashtextextended('forecourt.map.' || $1::text, 0))"
            await transaction.execute(lock, name)
            sql = """update forecourt.sync_map set state = $2, detail = $3, changed_at = now()
            where name = $1 and ($4::text[] = '{}' or state = any($4)) returning 1"""
            setting = transaction.value(sql, name, state, detail, list(expected))
            return await unless_removed(setting, STOPPED) is not None

    # -- leases and positions -------------------------------------------------------------------------------------

    async def lease(self, name: str, worker: str, seconds: float) -> Lease | None:
        """The right to work on a map; None while another worker holds it."""
        rows = await self._rows(self._operations, SystemPlan("lease a map", _LEASE, (name, worker, seconds)))
        return Lease(name, rows[0][0], rows[0][1]) if rows else None

    async def renew(self, lease: Lease, seconds: float, states: Sequence[MapState] = ()) -> Lease | None:
        """The same lease for longer; None where somebody else has it by now, or the map is in none of these states."""
        plan = SystemPlan("renew a lease", _RENEW, (lease.map, lease.token, seconds, list(states)))
        rows = await self._rows(self._operations, plan)
        return Lease(lease.map, rows[0][0], rows[0][1]) if rows else None

    async def release(self, lease: Lease) -> None:
        """Lets another worker have the map."""
        sql = "update forecourt.sync_map set worker = null, leased_until = null where name = $1 and token = $2"
        await self._rows(self._operations, SystemPlan("release a lease", sql, (lease.map, lease.token)))

    async def position(self, name: str, side: Side) -> Position | None:
        """How far the direction that starts at ``side`` has come, as its target's database says."""
        sql = "select since, until, after from forecourt.sync_position where map = $1 and side = $2"
        plan = SystemPlan("read a position", sql, (name, side.value))
        rows = await self._rows(self._databases[side.other], plan)
        return Position(*rows[0]) if rows else None

    async def save_position(
        self, unit: Unit, name: str, side: Side, position: Position, token: int, known: Position | None = None
    ) -> None:
        """Keeps a position in the target's unit. Raises Refusal FC4121 where a newer lease has been at work, or where
        the position is not ``known``, the one that was read, any more: a unit of work in doubt has moved it since."""
        before = (known.since, known.until, known.after) if known is not None else (None, None, None)
        args = (name, side.value, position.since, position.until, position.after, token, *before)
        if not await self._own(unit, SystemPlan("keep a position", _SAVE, args)):
            raise Refusal("FC4121", f"Map {name} is worked on by somebody else.")

    async def fence(self, unit: Unit, name: str, side: Side, token: int) -> None:
        """Claims a direction for a lease in the target's unit, which keeps older ones out. Raises Refusal FC4121 where
        a newer one has been at work, or the map was stopped."""
        sql = "update forecourt.sync_position set token = $3 where map = $1 and side = $2 and token <= $3 returning 1"
        if not await self._own(unit, SystemPlan("claim a direction", sql, (name, side.value, token))):
            raise Refusal("FC4121", f"Map {name} is worked on by somebody else, or was stopped.")

    async def positions(self) -> dict[tuple[str, Side], Position]:
        """How far every direction has come."""
        sql = "select map, side, since, until, after from forecourt.sync_position"
        found = {}
        for database in {id(item): item for item in self._databases.values()}.values():
            for row in await self._rows(database, SystemPlan("read positions", sql)):
                found[row[0], Side(row[1])] = Position(*tuple(row)[2:])
        return found

    async def forget_positions(self, name: str) -> None:
        """A stopped map has come nowhere."""
        for database in {id(item): item for item in self._databases.values()}.values():
            for table in ("sync_position", "sync_progress"):
                sql = f"delete from forecourt.{table} where map = $1 or map in ($1 || ' 1', $1 || ' 2')"
                await self._rows(database, SystemPlan("forget positions", sql, (name,)))

    async def progress(self, name: str, side: Side) -> tuple[WireRow | None, int]:
        """How far an initial sync from ``side`` has come: the last root key and the rows; (None, 0) at its start."""
        sql = "select after::text, rows from forecourt.sync_progress where map = $1"
        rows = await self._rows(self._databases[side.other], SystemPlan("read progress", sql, (name,)))
        return (tuple(msgspec.json.decode(rows[0][0])), rows[0][1]) if rows else (None, 0)

    async def save_progress(self, unit: Unit, name: str, after: WireRow | None, rows: int) -> None:
        """Keeps that in the target's unit; None: it is over."""
        if after is None:
            sql, args = "delete from forecourt.sync_progress where map = $1", (name,)
            await self._own(unit, SystemPlan("end progress", sql, args))
            return
        text = msgspec.json.encode(list(after), enc_hook=str).decode()
        sql = """insert into forecourt.sync_progress (map, after, rows) values ($1, $2::text::jsonb, $3)
        on conflict (map) do update set after = excluded.after, rows = excluded.rows"""
        await self._own(unit, SystemPlan("keep progress", sql, (name, text, rows)))

    # -- errors and activity --------------------------------------------------------------------------------------

    async def add_errors(self, name: str, side: Side, errors: Sequence[SyncError]) -> None:
        """Keeps rows that did not arrive; one that is known already has one attempt more."""
        rows = msgspec.json.encode(
            [
                {"operation": e.operation, "key": list(e.key), "message": e.message, "kind": e.kind}
                for e in {tuple(map(str, error.key)): error for error in errors}.values()
            ],
            enc_hook=str,
        ).decode()
        await self._rows(self._operations, SystemPlan("keep errors", _ERRORS, (name, side.value, rows)))

    async def errors(self, name: str = "", limit: int = 1000) -> list[SyncError]:
        """Errors that are kept, the oldest first."""
        sql = f"""select {_ERROR} from forecourt.sync_error
        where $1 = '' or map = $1 order by id limit $2"""
        rows = await self._rows(self._operations, SystemPlan("list errors", sql, (name, limit)))
        return [_error(row) for row in rows]

    async def error_counts(self) -> dict[str, int]:
        """How many errors are kept, by map."""
        sql = "select map, count(*)::int from forecourt.sync_error group by map"
        return {row[0]: row[1] for row in await self._rows(self._operations, SystemPlan("count errors", sql))}

    async def error(self, number: int) -> SyncError | None:
        """One error by its number."""
        sql = f"select {_ERROR} from forecourt.sync_error where id = $1"
        rows = await self._rows(self._operations, SystemPlan("read an error", sql, (number,)))
        return _error(rows[0]) if rows else None

    async def dismiss(self, ids: Sequence[int]) -> int:
        """Forgets errors: they were mended, or nobody cares. Returns how many there were."""
        sql = "delete from forecourt.sync_error where id = any($1) returning 1"
        return len(await self._rows(self._operations, SystemPlan("forget errors", sql, (list(ids),))))

    async def forget(self, name: str, side: Side, keys: Sequence[tuple[object, ...]]) -> None:
        """Forgets errors of rows that have arrived since."""
        texts = [msgspec.json.encode(list(key), enc_hook=str).decode() for key in keys]
        sql = "delete from forecourt.sync_error where map = $1 and side = $2 and key = any($3::text[]::jsonb[])"
        await self._rows(self._operations, SystemPlan("forget errors", sql, (name, side.value, texts)))

    async def note(self, activity: Activity) -> None:
        """An entry of the activity log."""
        sql = "insert into forecourt.sync_activity (map, what, by, rows, detail) values ($1, $2, $3, $4, $5)"
        args = (activity.map, activity.what, activity.by, activity.rows, activity.detail)
        await self._rows(self._operations, SystemPlan("log activity", sql, args))

    async def activities(self, name: str = "", limit: int = 100) -> list[Activity]:
        """The latest entries of the activity log, the newest first."""
        sql = """select map, what, by, rows, detail, at from forecourt.sync_activity
        where $1 = '' or map = $1 order by id desc limit $2"""
        rows = await self._rows(self._operations, SystemPlan("list activity", sql, (name, limit)))
        return [Activity(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]

    async def clock(self) -> dt.datetime:
        """The operations database's time."""
        moment: dt.datetime = (await self._operations.system(SystemPlan("time", "select now()")))[0][0]
        return moment


def _error(row: Sequence[Any]) -> SyncError:
    number, name, side, operation, key, message, kind, attempts, at = row
    return SyncError(number, name, Side(side), operation, tuple(msgspec.json.decode(key)), message, kind, attempts, at)
