"""Connections, kept open and taken last used first.

A lane is a set of connections with the same session settings. Nothing is sent when a connection changes hands: the
statements of a lane leave no state in the session, so that there is nothing to reset. A connection that has failed
itself, or is cancelled in the middle of an answer, is closed, and a new one is made when it is wanted.

Waiting for a connection is bounded. Leaves out: the meaning of errors (``failures``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from asyncpg import exceptions as pg

from forecourt.kernel.errors import Unavailable
from forecourt.store.failures import ATTEMPTS, is_collision, is_gone, refuse

Connection = Any
Record = Any

#: A server that answers so listens, but is about to start or to recover.
_SOON = (pg.CannotConnectNowError, pg.ConnectionDoesNotExistError, pg.CrashShutdownError, ConnectionResetError)


class Lane:
    """At most ``size`` connections made by ``connect``; ``patience``: how long to wait for one, in seconds."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int, patience: float) -> None:
        self._connect = connect
        self._size = size
        self._patience = patience
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    async def fetch(self, sql: str, arguments: Sequence[object]) -> list[Record]:
        """Runs one statement that only reads. On a lost connection or a collision it runs again."""
        connection = self._idle.pop() if self._idle else await self._obtain()
        try:
            rows: list[Record] = await connection.fetch(sql, *arguments)
        except Exception as error:
            lost = is_gone(error) or connection.is_closed()
            self._settle(connection, error)
            if not (lost or is_collision(error)):
                raise
        except BaseException:  # cancelled: an answer may still be on its way
            self._discard(connection)
            raise
        else:
            if self._waiting or self._closed:
                self._release(connection)
            else:
                self._idle.append(connection)
            return rows
        return await self._again(sql, arguments, lost)

    async def _again(self, sql: str, arguments: Sequence[object], lost: bool) -> list[Record]:
        for attempt in range(1, ATTEMPTS):
            try:
                async with self.connection(fresh=lost) as connection:
                    return list(await connection.fetch(sql, *arguments))
            except Exception as error:
                lost = is_gone(error)
                if attempt == ATTEMPTS - 1 or not (lost or is_collision(error)):
                    raise
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def connection(self, fresh: bool = False) -> AsyncIterator[Connection]:
        """A connection for the block alone; ``fresh``: not one that may have died unnoticed."""
        if fresh:
            self._drop_idle()
        connection = self._idle.pop() if self._idle else await self._obtain()
        while connection.is_closed():
            self._discard(connection)
            connection = self._idle.pop() if self._idle else await self._obtain()
        try:
            yield connection
        except Exception as error:
            self._settle(connection, error)
            raise
        except BaseException:
            self._discard(connection)
            raise
        if connection.is_closed() or connection.is_in_transaction():
            self._discard(connection)
        else:
            self._release(connection)

    async def close(self) -> None:
        """Closes what is idle now and the rest when it comes back."""
        self._closed = True
        idle, self._idle = self._idle, []
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        for connection in idle:
            self._open -= 1
            try:
                await connection.close(timeout=2)
            except (OSError, TimeoutError, pg.PostgresError, pg.InterfaceError):
                connection.terminate()

    async def _obtain(self) -> Connection:
        """A connection that is given back, or a new one. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    if self._closed:
                        raise Unavailable("The database has been closed.")
                    if self._idle:
                        return self._idle.pop()
                    if self._open < self._size:
                        return await self._made()
                    given = await self._given()
                    if given is not None:
                        return given
        except TimeoutError:
            raise Unavailable("The database is busy, or does not answer: no connection in time.") from None

    async def _made(self) -> Connection:
        self._open += 1
        try:
            while True:
                try:
                    return await self._connect()
                except _SOON:
                    await asyncio.sleep(0.05)  # the time limit ends this
                except (OSError, pg.PostgresError) as error:
                    refuse(error)
        except BaseException:
            self._open -= 1
            self._wake()
            raise

    async def _given(self) -> Connection | None:
        """What the next one gives back: a connection, or None for the right to make one."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():  # given just now, to one who no longer waits
                connection = waiter.result()
                if connection is None:
                    self._wake()
                else:
                    self._release(connection)
            raise

    def _release(self, connection: Connection) -> None:
        if self._closed:
            self._discard(connection)
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def _settle(self, connection: Connection, error: Exception) -> None:
        """Keeps the connection unless the error is one of the connection itself."""
        broken = is_gone(error) or isinstance(error, pg.InterfaceError | OSError)
        if broken or connection.is_closed() or connection.is_in_transaction():
            self._discard(connection)
        else:
            self._release(connection)

    def _discard(self, connection: Connection) -> None:
        connection.terminate()
        self._open -= 1
        self._wake()

    def _drop_idle(self) -> None:
        """Forgets the idle connections: where one was lost, the others may be."""
        idle, self._idle = self._idle, []
        for connection in idle:
            self._discard(connection)

    def _wake(self) -> None:
        """Tells one who waits that a connection may be made."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
