"""A PostgreSQL database: runs compiled statements and the system's own work. The only module that talks to one.

Five lanes of connections, so that each kind of work runs under its own session settings at no round trip:

    key    reads by key: ``plan_cache_mode=auto``, PostgreSQL soon stops planning them
    list   lists: ``force_custom_plan``, planned for the very values (reference: performance, 2)
    write  units of work: rows created, updated, deleted
    finish the end of prepared transactions: ``synchronous_commit=off``
    work   the system's own work: migrations, loads, catalogue; no time limit

The first two are read-only sessions. All run in UTC. A value comes back as the driver gives it: ``Decimal``, ``UUID``
(of the driver, a ``uuid.UUID``), aware ``datetime``.

Errors: see ``failures``. A read whose connection was lost is run again on another one; a write is not, for it may have
been done, except where the database says that it was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import asyncpg
from asyncpg import exceptions as pg

from forecourt.kernel.answers import once
from forecourt.kernel.errors import Unavailable
from forecourt.kernel.observe import Observer, SystemWork, nobody
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName
from forecourt.store.failures import ATTEMPTS, is_gone, refuse
from forecourt.store.lanes import Connection, Lane, Record
from forecourt.store.operator import operator
from forecourt.store.statements import Carried, ChildStatement, ReadStatement

#: The oldest server that is supported.
OLDEST = 160000

Progress = Callable[[int], None]

#: Foreign tables change without a trace here: with any, every moment is another one.
_MOMENT = """select pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text ||
case when exists (select from pg_catalog.pg_foreign_table) then ' ' || clock_timestamp()::text else '' end"""


class ReadResult(NamedTuple):
    """``rows`` hold the statement's outputs in order. ``total``: None where none was asked for, or a witness failed."""

    rows: list[Record]
    total: int | None = None
    children: tuple[ChildResult, ...] = ()


@dataclass(frozen=True, slots=True)
class ChildResult:
    """The rows of an expand, grouped by the parents' key values."""

    statement: ChildStatement
    rows: list[Record]
    groups: Mapping[object, list[Record]]
    children: tuple[ChildResult, ...] = ()

    def of(self, parent: Record) -> Sequence[Record]:
        """The rows that belong to one row of the parents, in the order that the plan asks for."""
        return self.groups.get(_key(parent, self.statement.parent), ())


class Transaction:
    """One transaction of the system's own work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, sql: str, *args: object) -> str:
        """Runs a statement (without arguments: several) and returns its command tag, ``UPDATE 3``."""
        return str(await self._connection.execute(sql, *args))

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        await self._connection.executemany(sql, rows)

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        return list(await self._connection.fetch(sql, *args))

    async def row(self, sql: str, *args: object) -> Record | None:
        return await self._connection.fetchrow(sql, *args)

    async def value(self, sql: str, *args: object) -> Any:
        return await self._connection.fetchval(sql, *args)

    async def copy_in(
        self, table: TableName, columns: Sequence[str], chunks: Iterable[bytes], on_progress: Progress | None = None
    ) -> int:
        """Loads rows in PostgreSQL's text format. ``on_progress`` hears the bytes sent so far. Returns the rows."""

        async def source() -> AsyncIterator[bytes]:
            sent = 0
            for chunk in chunks:
                yield chunk
                sent += len(chunk)
                if on_progress is not None:
                    on_progress(sent)

        tag = await self._connection.copy_to_table(
            table.name, schema_name=table.schema, columns=list(columns), source=source(), format="text"
        )
        return int(str(tag).split()[-1])


class Database:
    """Connections to one database. Made by :meth:`open`; belongs to the event loop that opened it."""

    def __init__(self, lanes: Mapping[str, Lane], observer: Observer, version: int = OLDEST, url: str = "") -> None:
        self.url = url
        self._lanes = dict(lanes)
        self._key, self._list = lanes["key"], lanes["list"]
        self._write, self._work, self._finish = lanes["write"], lanes["work"], lanes["finish"]
        self.observer = observer
        self.version = version

    @classmethod
    async def open(
        cls,
        url: str,
        observer: Observer = nobody,
        lane_size: int = 8,
        statement_timeout: float = 30.0,
        patience: float = 10.0,
    ) -> Database:
        """Connects. ``statement_timeout``: for requests' statements, in seconds; ``patience``: for a connection.

        Raises Unavailable when the database does not answer or is older than PostgreSQL 16.
        """
        limit = str(int(statement_timeout * 1000))
        read = {"default_transaction_read_only": "on", "statement_timeout": limit}
        ours = {"forecourt.acting": operator()}
        lanes = {
            "key": _lane(url, read | {"plan_cache_mode": "auto"}, lane_size, patience),
            "list": _lane(url, read | {"plan_cache_mode": "force_custom_plan"}, lane_size, patience),
            "write": _lane(url, ours | {"statement_timeout": limit}, max(2, lane_size // 2), patience),
            "finish": _lane(url, {"synchronous_commit": "off"}, max(2, lane_size // 2), patience),
            "work": _lane(url, ours | {"statement_timeout": "0"}, max(2, lane_size // 2), patience),
        }
        database = cls(lanes, observer, url=url)
        version = (await database._fetch(database._work, "select current_setting('server_version_num')::int", ()))[0][0]
        if version < OLDEST:
            await database.close()
            raise Unavailable(f"PostgreSQL {OLDEST // 10000} or newer is needed; this is {version // 10000}.")
        database.version = version
        return database

    async def close(self) -> None:
        for lane in self._lanes.values():
            await lane.close()

    # ---------------------------------------------------------------------------------------------- for requests

    async def moment(self) -> str:
        """What a statement that begins now would see, by PostgreSQL's snapshot, and since when the server runs."""
        return str((await self._fetch(self._key, _MOMENT, ()))[0][0])

    async def read(self, statement: ReadStatement, slots: Sequence[object], params: Mapping[str, object]) -> ReadResult:
        """Runs a read. ``slots``: the request's literals; ``params``: values of the asking identity, by name.

        No rows and no total: nothing fits, or a witness has changed. Raises Refusal and Unavailable.
        """
        lane = self._key if statement.lane == "key" else self._list
        beside = None
        if statement.guard is not None and not statement.children:
            beside = asyncio.ensure_future(self._holds(statement.guard, slots, params))
        try:
            rows = await lane.fetch(statement.sql, statement.collect(slots, params))
        except BaseException as error:
            if beside is not None:
                beside.cancel()
            if not isinstance(error, Exception):
                raise
            refuse(error)
        if beside is not None and not await beside:
            return ReadResult([])
        if not (statement.counted or statement.totals or statement.children):
            return ReadResult(rows)
        return await self._completed(statement, rows, slots, params)

    async def _holds(self, guard: ReadStatement, slots: Sequence[object], params: Mapping[str, object]) -> bool:
        """Whether the witnesses of a plan are as they were."""
        values = guard.collect(slots, params)

        async def ask() -> bool:
            return bool(await self._fetch(self._key, guard.sql, values))

        return await once((id(self), guard.sql, repr(values)), ask)

    async def _completed(
        self, statement: ReadStatement, rows: list[Record], slots: Sequence[object], params: Mapping[str, object]
    ) -> ReadResult:
        """The result with total and children."""
        if statement.totals:
            return ReadResult(rows, rows[0][0] if rows else None)
        total: int | None = None
        if statement.count is not None:
            total = rows[0][-1] if rows else (await self.read(statement.count, slots, params)).total
        if not statement.children:
            return ReadResult(rows, total)
        children = await self._children(statement.children, rows, slots, params) if rows else ()
        if statement.guard is not None and not await self._holds(statement.guard, slots, params):
            return ReadResult([])  # a witness changed before the last statement: nothing of it counts
        return ReadResult(rows, total, children)

    async def _children(
        self,
        statements: Sequence[ChildStatement],
        parents: Sequence[Record],
        slots: Sequence[object],
        params: Mapping[str, object],
    ) -> tuple[ChildResult, ...]:
        results = []
        for statement in statements:
            rows = await self._rows_of(statement, parents, slots, params)
            groups: dict[object, list[Record]] = {}
            for row in rows:
                groups.setdefault(_key(row, statement.keys), []).append(row)
            nested = await self._children(statement.read.children, rows, slots, params)
            results.append(ChildResult(statement, rows, groups, nested))
        return tuple(results)

    async def _rows_of(
        self,
        statement: ChildStatement,
        parents: Sequence[Record],
        slots: Sequence[object],
        params: Mapping[str, object],
    ) -> list[Record]:
        keys = dict.fromkeys(tuple(parent[index] for index in statement.parent) for parent in parents)
        known = [key for key in keys if None not in key]
        if not known:
            return []
        values = list(zip(*known, strict=True))
        arguments = statement.read.collect(slots, params)
        for place, bind in enumerate(statement.read.binds):
            if isinstance(bind, Carried):
                arguments[place] = values[bind.index]
        return await self._fetch(self._list, statement.read.sql, arguments)

    def connection(self, slow: bool = False) -> AbstractAsyncContextManager[Connection]:
        """A connection for a unit of work (``unit``). ``slow``: its statements have no time limit."""
        return (self._work if slow else self._write).connection()

    async def finish(self, command: str) -> bool:
        """``COMMIT PREPARED`` or ``ROLLBACK PREPARED``. False: no such transaction, or another session is at it.

        It need not be on disk when this returns: after a crash the transaction is prepared again, and finished again.
        """
        for attempt in range(ATTEMPTS):
            try:
                async with self._finish.connection(fresh=attempt > 0) as connection:
                    await connection.execute(command)
                return True
            except (pg.UndefinedObjectError, pg.ObjectNotInPrerequisiteStateError):
                return False
            except Exception as error:
                if attempt == ATTEMPTS - 1 or not is_gone(error):
                    refuse(error)
        raise AssertionError("unreachable")

    # --------------------------------------------------------------------------------------- for the system itself

    async def lookup(self, plan: SystemPlan) -> list[Record]:
        """One read of the system's own that requests wait for: a session, a contact. Raises Refusal, Unavailable."""
        self.observer(SystemWork(plan.reason))
        return await self._fetch(self._key, plan.sql, plan.args)

    async def system(self, plan: SystemPlan) -> list[Record]:
        """One statement of the system's own."""
        self.observer(SystemWork(plan.reason))
        try:
            async with self._work.connection() as connection:
                return list(await connection.fetch(plan.sql, *plan.args))
        except Exception as error:
            if is_gone(error):
                refuse(error)
            raise

    @asynccontextmanager
    async def transaction(self, reason: str) -> AsyncIterator[Transaction]:
        """A transaction of the system's own, undone if the block raises."""
        self.observer(SystemWork(reason))
        try:
            async with self._work.connection() as connection, connection.transaction():
                yield Transaction(connection)
        except Exception as error:
            if is_gone(error):
                refuse(error)
            raise

    async def script(self, reason: str, sql: str) -> None:
        """Several statements, separated by semicolons, in one transaction."""
        async with self.transaction(reason) as transaction:
            await transaction.execute(sql)

    async def copy_in(
        self, table: TableName, columns: Sequence[str], chunks: Iterable[bytes], on_progress: Progress | None = None
    ) -> int:
        """Loads rows in PostgreSQL's text format in a transaction of their own. Returns how many."""
        async with self.transaction(f"load {table}") as transaction:
            return await transaction.copy_in(table, columns, chunks, on_progress)

    async def _fetch(self, lane: Lane, sql: str, arguments: Sequence[object]) -> list[Record]:
        try:
            return await lane.fetch(sql, arguments)
        except Exception as error:
            refuse(error)


def _lane(url: str, settings: Mapping[str, str], size: int, patience: float) -> Lane:
    session = {"application_name": "forecourt", "timezone": "UTC", "datestyle": "ISO", "jit": "off", **settings}

    async def connect() -> Connection:
        return await asyncpg.connect(
            url,
            server_settings=session,
            statement_cache_size=512,
            max_cached_statement_lifetime=0,  # a lifetime costs a timer for each statement
            max_cacheable_statement_size=0,
        )

    return Lane(connect, size, patience)


def _key(row: Record, places: Sequence[int]) -> object:
    return row[places[0]] if len(places) == 1 else tuple(row[place] for place in places)
