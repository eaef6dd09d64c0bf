"""One open transaction of one database: what a unit of work holds of it.

Everything in it happens, or nothing. Its statements wait a bounded time for a lock. Its rows are captured as
Forecourt's own (``forecourt.origin``, see ``sync/capture``), which also keeps NOTIFY out of it: a transaction that
notifies cannot be prepared. Leaves out: what joins two of them (``work``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NoReturn

from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import SystemWork
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName
from forecourt.store.database import Database, ReadResult
from forecourt.store.failures import contended, refuse
from forecourt.store.lanes import Connection, Record
from forecourt.store.statements import ReadStatement, TableStatement, WriteStatement
from forecourt.store.watched import acting

#: Chunks of a copy that may wait for their reader.
AHEAD = 8


class Unit:
    """A transaction. Made by :class:`~forecourt.store.work.Work`; used by one task at a time.

    Errors are those of ``failures``; a collision with another transaction stays the driver's, for the coordinator to
    try again. After an error nothing but a rollback is possible, except inside of a savepoint.
    """

    def __init__(
        self, database: Database, connection: Connection, lane: AbstractAsyncContextManager[Connection]
    ) -> None:
        self.database = database
        self.wrote = False
        self._touched: set[TableName] = set()
        self._answered = False
        self._connection = connection
        self._lane = lane

    def touch(self, *tables: TableName, answered: bool = False) -> None:
        """Rows of these tables are changed and captured; ``answered``: triggers may change others in reply."""
        self._touched.update(tables)
        self._answered = self._answered or answered

    def stirred(self, tables: Set[TableName]) -> bool:
        """Whether changes of these tables may have been captured since this was last asked."""
        found = self._answered or not self._touched.isdisjoint(tables)
        self._touched, self._answered = set(), False
        return found

    # -- the gate's -----------------------------------------------------------------------------------------------

    async def find(
        self, statement: WriteStatement, slots: Sequence[object], params: Mapping[str, object]
    ) -> Record | None:
        """Locks the row that is to be written, and gives it as it is; None: no such row for this person.

        Raises Refusal FC4121 where it has another version than the one asked for.
        """
        assert statement.find is not None
        rows = await self._fetch(statement.find.sql, statement.find.collect(slots, params))
        if not rows:
            return None
        if statement.version is not None and str(rows[0]["@version"]) != str(slots[statement.version.index]):
            message = "The row has been changed by somebody else."
            raise Refusal("FC4121", message, hint="Read it again, then repeat the change.")
        return rows[0]

    async def apply(
        self, statement: WriteStatement, found: Record | None, slots: Sequence[object], params: Mapping[str, object]
    ) -> Record | None:
        """Changes the tables, and gives the row as it has become; None for a delete.

        Refusals: FC3005 out of the person's reach afterwards, FC4091 against a rule of the database, FC4092 the key is
        taken, FC1003 values that do not fit.
        """
        self.wrote = True
        values = _Row(params)
        if found is not None:
            values.update({name: value for name, value in found.items() if name.startswith("@id.")})
        for table in statement.tables:
            await self._change(table, values, slots)
        if statement.check is None:
            return None
        for place, name in enumerate(statement.identity):
            values[f"@id.{place}"] = values[name]
        rows = await self._fetch(statement.check.sql, statement.check.collect(slots, values))
        if not rows:
            raise Refusal("FC3005", "The change would move the row out of your reach.")
        return rows[0]

    async def _change(self, table: TableStatement, values: _Row, slots: Sequence[object]) -> None:
        if table.operation != "create" and any(values[name] is None for name in table.identity):
            if table.operation == "delete":
                return  # an outer-joined row that is not there
            raise Refusal("FC1003", "A row that this one refers to does not exist yet, so it cannot be changed.")
        self.touch(table.table, answered=table.answers)
        rows = await self._fetch(table.sql, table.collect(slots, values))
        if len(rows) != 1 and (table.root or table.operation != "delete"):
            raise Refusal("FC4091", "The database refuses the change: a rule of its own is violated.")
        for name, value in zip(table.outputs, rows[0] if rows else (), strict=False):
            values[name] = value

    async def read(self, statement: ReadStatement, slots: Sequence[object], params: Mapping[str, object]) -> ReadResult:
        """Runs a read without expands, as the transaction sees its rows."""
        return ReadResult(await self._fetch(statement.sql, statement.collect(slots, params)))

    # -- the system's ---------------------------------------------------------------------------------------------

    async def system(self, plan: SystemPlan, writes: bool = True) -> list[Record]:
        """One statement of the system's own. ``writes``: whether it may change anything that has to be committed."""
        self.wrote = self.wrote or writes
        self.database.observer(SystemWork(plan.reason))
        return await self._fetch(plan.sql, plan.args)

    async def acting(self, label: str) -> None:
        """Says whose doing the changes of this transaction are, to tables that are watched."""
        await self.system(acting(label))

    async def script(self, reason: str, sql: str) -> None:
        """Several statements, separated by semicolons."""
        self.wrote = True
        self.database.observer(SystemWork(reason))
        await self._run(sql)

    async def copy_in(self, table: TableName, columns: Sequence[str], chunks: AsyncIterator[bytes]) -> int:
        """Loads rows in PostgreSQL's binary format, from :meth:`copy_out`. ``table`` without a schema: a temporary
        one. Returns the rows."""
        self.wrote = True
        try:
            tag = await self._connection.copy_to_table(
                table.name, schema_name=table.schema or None, columns=list(columns), source=chunks, format="binary"
            )
        except Exception as error:
            self._failed(error)
        return int(str(tag).split()[-1])

    async def copy_out(self, sql: str, args: Sequence[object] = ()) -> AsyncIterator[bytes]:
        """The rows of a query in PostgreSQL's binary format, chunk by chunk, a few chunks ahead of the reader."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)

        async def fill() -> None:
            try:
                await self._connection.copy_from_query(sql, *args, output=queue.put, format="binary")
            finally:
                await queue.put(None)

        task = asyncio.ensure_future(fill())
        try:
            while (chunk := await queue.get()) is not None:
                yield chunk
            await task
        except Exception as error:
            self._failed(error)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is done inside is undone alone when the block raises."""
        await self._run("savepoint forecourt")
        try:
            yield
        except BaseException:
            await self._run("rollback to savepoint forecourt; release savepoint forecourt")
            raise
        await self._run("release savepoint forecourt")

    # -- the coordinator's ----------------------------------------------------------------------------------------

    async def close(self, command: str) -> None:
        """Ends the transaction by a command and gives its connection back. Raises what the driver raises."""
        try:
            await self._connection.execute(command)
        except BaseException as error:
            await self._lane.__aexit__(type(error), error, error.__traceback__)
            raise
        await self._lane.__aexit__(None, None, None)

    async def abandon(self) -> None:
        """Undoes everything. A connection that cannot even do that is closed, which undoes it as well."""
        try:
            if not self._connection.is_closed() and self._connection.is_in_transaction():
                await self._connection.execute("rollback")
        except Exception:
            self._connection.terminate()
        await self._lane.__aexit__(None, None, None)

    # -- steps ----------------------------------------------------------------------------------------------------

    async def _fetch(self, sql: str, arguments: Sequence[object]) -> list[Record]:
        try:
            return list(await self._connection.fetch(sql, *arguments))
        except Exception as error:
            self._failed(error)

    async def _run(self, sql: str) -> None:
        try:
            await self._connection.execute(sql)
        except Exception as error:
            self._failed(error)

    @staticmethod
    def _failed(error: Exception) -> NoReturn:
        if contended(error):
            raise error
        refuse(error)


class _Row(dict[str, object]):
    """Values of the row at hand, in front of those of the asking identity."""

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__()
        self._values = values

    def __missing__(self, name: str) -> object:
        return self._values[name]
