"""The outbox of one database: installing its triggers, and reading what they have noted.

What has been captured is read by *snapshot difference*: the transactions visible in one snapshot and not in the one
before, in the order of their numbers. A transaction that commits late is in the next difference, whatever its number;
the notes of one row come in the order in which its writers held its lock. How far a consumer has come is a
:class:`~forecourt.kernel.sync.Position`, which it keeps in the transaction that applies what it has read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from decimal import Decimal
from typing import Final, Literal

import asyncpg
import msgspec
from asyncpg import exceptions as pg

from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName
from forecourt.kernel.steps import Step, unwatched
from forecourt.kernel.sync import Capture, Captured, Position, Side, Unit
from forecourt.store.catalog import Catalog
from forecourt.store.database import Database
from forecourt.store.failures import unless_removed
from forecourt.store.sync.capture import OUTBOX, PREFIX, merged, qualified, relation_of, remembered, statements

#: How often and how long DDL waits for a table's writers, in tries and milliseconds.
TRIES = 20
WAIT = 1_000

#: What is said where capture was removed meanwhile.
STOPPED: Final = "Changes are no longer captured here: the maps have been stopped."

#: Seconds between two looks where nobody wakes the worker, and how many of them may pass without a wake.
POLL = 1.0
IDLE = 5

#: The instants of installing and removing capture (see ``kernel/steps``).
STEPS: Final = (
    "capture: made",
    "capture: table captured",
    "capture: trigger removed",
    "capture: table dropped",
    "capture: removed",
)

_COLUMNS = "id, relation, operation::text, columns, rows::text, at, images, taken"
_READ = f"""
select {_COLUMNS} from forecourt.outbox
where xid >= pg_snapshot_xmin($1::text::pg_snapshot) and xid < pg_snapshot_xmax($2::text::pg_snapshot)
  and pg_visible_in_snapshot(xid, $2::text::pg_snapshot) and not pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
  and id > $3 and relation = any($4) order by id limit $5"""
_OWN = f"""
with own as (update forecourt.outbox set taken = taken || $1::text[]
    where xid = pg_current_xact_id_if_assigned() and not taken @> $1::text[] returning {_COLUMNS})
select * from own order by 1"""
_ANY = "select exists (select from forecourt.outbox where xid = pg_current_xact_id_if_assigned())"
_RELEASE = """
update forecourt.outbox set taken = array(select name from unnest(taken) name where name <> all($1::text[]))
where xid = pg_current_xact_id_if_assigned()"""
_BACKLOG = """
select coalesce(sum(jsonb_array_length(rows)), 0)::bigint,
       coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 from forecourt.outbox
where (xid >= pg_snapshot_xmin($1::text::pg_snapshot) and not pg_visible_in_snapshot(xid, $1::text::pg_snapshot))
  and id > $2 and relation = any($3) and not taken @> array[$4::text]"""
_TIDY = """
delete from forecourt.outbox where id in (
    select id from forecourt.outbox o where not exists (
        select from unnest($1::text[], $2::text[]) as waits(relation, since)
        where waits.relation in (o.relation, '') and not pg_visible_in_snapshot(o.xid, waits.since::pg_snapshot))
    and pg_visible_in_snapshot(o.xid, pg_current_snapshot()) limit 10000)
returning 1"""
#: Asks to be notified, and looks what came before that.
_ASLEEP = "select setval('forecourt.outbox_awake', 2) = 2 and exists (select from forecourt.outbox)"
_TRIGGERS = f"""
select t.tgname, n.nspname, c.relname, p.prosrc from pg_trigger t
join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace join pg_proc p on p.oid = t.tgfoid
where starts_with(t.tgname, '{PREFIX}') and not t.tgisinternal"""
_EMPTY = """
select not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'forecourt')
   and not exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'forecourt')
   and exists (select from pg_namespace where nspname = 'forecourt')"""


class Outbox:
    """Captured changes of one database. ``catalog``: of its tables."""

    def __init__(self, side: Side, database: Database, catalog: Catalog, step: Step = unwatched) -> None:
        self.side = side
        self._step = step
        self._database = database
        self._catalog = catalog
        self._url = database.url
        self._woken = asyncio.Event()

    # -- installing -----------------------------------------------------------------------------------------------

    async def install(self, captures: Sequence[Capture]) -> tuple[str, ...]:
        """Makes the triggers be these and no others; says what was done. Online: writers wait a second at most.

        Raises Refusal FC6004 for a table that can't be captured, FC5031 where its writers don't let go of it.
        """
        wanted = merged(captures)
        for capture in wanted:
            self._check(capture)
        async with self._database.transaction("install capture") as transaction:
            if await transaction.value("select to_regclass('forecourt.outbox_awake')") is None:
                await transaction.execute(OUTBOX)
        await self._step("capture: made")
        rows = await self._database.system(SystemPlan("look for capture's triggers", _TRIGGERS))
        found = {name: (TableName(schema, table), source) for name, schema, table, source in rows}
        done: list[str] = []
        names: set[str] = set()
        for capture in wanted:
            parts = list(statements(capture))
            names.update(name for name, _, _ in parts)
            if all(name in found and found[name][1] in function for name, function, _ in parts):
                continue
            await self._online([sql for _, function, trigger in parts for sql in (function, trigger)])
            await self._step("capture: table captured")
            done.append(f"changes of {capture.table} are captured")
        for name, (table, _) in found.items():
            if name not in names:
                await self._online([f"drop trigger {name} on {qualified(table)}", f"drop function forecourt.{name}()"])
                await self._step("capture: trigger removed")
                done.append(f"trigger {name} of {table} is removed")
        return tuple(done)

    async def remove(self) -> None:
        """Removes every trigger, function and table of capture: nothing stays behind."""
        if await self._value("select to_regclass('forecourt.outbox') is not null"):
            await self.install(())
            await self._online(["drop table forecourt.outbox", "drop sequence forecourt.outbox_awake"])
            await self._step("capture: table dropped")
        if await self._value(_EMPTY):
            await self._online(["drop schema forecourt"])
        await self._step("capture: removed")

    async def installed(self) -> bool:
        """Whether anything is captured here."""
        return bool(await self._value("select to_regclass('forecourt.outbox') is not null"))

    def _check(self, capture: Capture) -> None:
        table = self._catalog.tables.get(capture.table)
        if table is None or table.view:
            raise Refusal("FC6004", f"{capture.table} is no table of the database, so its changes cannot be captured.")
        if not capture.identity or not set(remembered(capture)) <= set(table.columns):
            raise Refusal(
                "FC6004", f"{capture.table} has no primary key.", hint="Changes are captured by primary key: add one."
            )

    async def _online(self, commands: Sequence[str]) -> None:
        for attempt in range(TRIES):
            try:
                async with self._database.transaction("install capture") as transaction:
                    await transaction.execute(f"set local lock_timeout = {WAIT}")
                    await transaction.execute("select pg_advisory_xact_lock(hashtext('forecourt.capture'))")
                    for command in commands:
                        await transaction.execute(command)
                return
            except (pg.LockNotAvailableError, pg.DeadlockDetectedError):
                if attempt == TRIES - 1:
                    raise Refusal("FC5031", "A table is busy: its triggers could not be changed in time.") from None

    async def _value(self, sql: str) -> object:
        return (await self._system(SystemPlan("look at capture", sql)))[0][0]

    async def _system(self, plan: SystemPlan) -> list[asyncpg.Record]:
        """A statement about what is captured. Raises Refusal FC4121 where that was removed meanwhile."""
        return await unless_removed(self._database.system(plan), STOPPED)

    @staticmethod
    async def _own(unit: Unit, plan: SystemPlan, writes: bool = True) -> list[asyncpg.Record]:
        """The same about what a unit has captured itself."""
        return list(await unless_removed(unit.system(plan, writes), STOPPED))

    # -- reading --------------------------------------------------------------------------------------------------

    async def own(self, unit: Unit, maps: Sequence[str]) -> list[Captured]:
        """What the unit's own transaction has captured and these maps have not taken; marks it taken by them."""
        rows = await self._own(unit, SystemPlan("read own changes", _OWN, (list(maps),)))
        return [self._captured(row) for row in rows]

    async def captured(self, unit: Unit) -> bool:
        """Whether the unit's own transaction has captured anything."""
        return bool((await self._own(unit, SystemPlan("look for own changes", _ANY), writes=False))[0][0])

    async def release(self, unit: Unit, maps: Sequence[str]) -> None:
        """Leaves to the queue what the unit's own transaction has captured for these maps."""
        await self._own(unit, SystemPlan("leave own changes", _RELEASE, (list(maps),)))

    async def snapshot(self) -> str:
        """The present snapshot, as text."""
        return str(await self._value("select pg_current_snapshot()::text"))

    async def read(
        self, position: Position, tables: Sequence[TableName], limit: int
    ) -> tuple[list[Captured], Position]:
        """The next changes of these tables, at most ``limit`` rows of the outbox, and the position after them."""
        until = position.until or await self.snapshot()
        names = [relation_of(table) for table in tables]
        await self._check_position(position)
        args = (position.since, until, position.after, names, limit)
        rows = await self._system(SystemPlan("read captured changes", _READ, args))
        if len(rows) < limit:
            return [self._captured(row) for row in rows], Position(until)
        return [self._captured(row) for row in rows], Position(position.since, until, rows[-1][0])

    async def _check_position(self, position: Position) -> None:
        """A database that was set back (restored from a backup) numbers its transactions anew."""
        sql = "select pg_snapshot_xmax($1::text::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot())"
        if (await self._database.system(SystemPlan("compare snapshots", sql, (position.since,))))[0][0]:
            raise Refusal(
                "FC6004",
                "The database is older than what has been read from it: it was restored from a backup.",
                hint="Run 'forecourt sync verify', repair, and start the map again.",
            )

    async def backlog(self, position: Position, tables: Sequence[TableName], map: str) -> tuple[int, float]:
        """Changed rows that wait for the map, and the age of the oldest in seconds."""
        names = [relation_of(table) for table in tables]
        args = (position.since, position.after, names, map)
        row = (await self._system(SystemPlan("measure the backlog", _BACKLOG, args)))[0]
        return row[0], row[1]

    async def tidy(self, consumers: Sequence[tuple[Position, Sequence[TableName] | None]]) -> int:
        """Deletes what every consumer of a table is done with; None: of any. Returns how many rows of the outbox."""
        waits = [
            (relation, position.since)
            for position, tables in consumers
            for relation in ([""] if tables is None else map(relation_of, tables))
        ]
        args = ([relation for relation, _ in waits], [since for _, since in waits])
        deleted = 0
        while True:
            rows = await self._system(SystemPlan("tidy the outbox", _TIDY, args))
            deleted += len(rows)
            if len(rows) < 10_000:
                return deleted

    @staticmethod
    def _captured(row: asyncpg.Record) -> Captured:
        number, relation, operation, columns, rows, at, images, taken = row
        schema, _, name = relation.partition(".")
        values = _NOTED.decode(rows)
        return Captured(
            number,
            TableName(schema, name),
            _OPERATIONS[operation],
            tuple(values) if images else tuple(dict(zip(columns, item, strict=False)) for item in values),
            at,
            images,
            frozenset(taken),
        )

    # -- waking ---------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something of Forecourt's own may have been captured."""
        self._woken.set()

    async def listen(self) -> AsyncGenerator[None, None]:
        """Wakes at once, whenever something may have been captured, and every few seconds. For one listener at a time.

        A database that is away is asked again every second.
        """
        connection: asyncpg.Connection | None = None
        filled = False
        try:
            while True:
                yield None
                for _ in range(IDLE):
                    if (connection is None or connection.is_closed()) and self._url:
                        connection = await self._listener()
                    before, filled = filled, await self._filled()
                    if (filled and not before) or await self._woke():
                        break
        finally:
            if connection is not None:
                connection.terminate()

    async def _filled(self) -> bool:
        """Asks to be notified, and looks whether anything is in the outbox already."""
        self._woken.clear()
        try:
            return bool(await self._value(_ASLEEP))
        except (Unavailable, Refusal):
            return False

    async def _woke(self) -> bool:
        """Waits for a wake, a second at most."""
        try:
            async with asyncio.timeout(POLL):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    async def _listener(self) -> asyncpg.Connection | None:
        try:
            connection = await asyncpg.connect(self._url, server_settings={"application_name": "forecourt outbox"})
            await connection.add_listener("forecourt_outbox", lambda *_: self._woken.set())
        except (OSError, pg.PostgresError):
            return None
        return connection


#: Numbers of a note keep all of their digits.
_NOTED = msgspec.json.Decoder(float_hook=Decimal)
_OPERATIONS: dict[str, Literal["insert", "update", "delete"]] = {"i": "insert", "u": "update", "d": "delete"}
