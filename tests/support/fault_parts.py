"""Who takes part in rounds of faults outside of Forecourt: database servers, programs that write plain SQL, and a
journal of what every writer was told.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from forecourt.store.embedded import EmbeddedServer
from support.fault_worker import HOT, UNWANTED

#: What a program meets whose connection is lost, or whose statement is turned down.
LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError)


# -- what may be ------------------------------------------------------------------------------------------------------


@dataclass
class Journal:
    """What writers have said, by row. A state is a version, 0 where there is no row."""

    attempts: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    results: int = 0
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    def attempt(self, row: str, version: int) -> None:
        self.attempts[row].append((version, "tried"))

    def result(self, row: str, version: int, outcome: str) -> None:
        attempts = self.attempts[row]
        assert attempts[-1][0] == version, (row, attempts, version)
        attempts[-1] = (version, outcome)
        self.results += 1

    def states(self, row: str) -> set[int]:
        """The states that a row may be in."""
        possible = {0}
        for version, outcome in self.attempts[row]:
            state = max(version, 0)
            if outcome == "done":
                possible = {state}
            elif outcome != "refused":
                possible.add(state)
        return possible

    def settle(self, found: dict[str, int]) -> list[str]:
        """What is wrong with the rows found. Afterwards they are as found."""
        tracked = {row: self.states(row) for row in self.attempts if row not in ("hot", UNWANTED)}
        wrong = [f"{row} {found.get(row, 0)}, not {sorted(states)}: {self.attempts[row][-4:]}"
                 for row, states in tracked.items() if found.get(row, 0) not in states]  # fmt: skip
        wrong += [f"{row} {version}, which nobody wrote" for row, version in found.items() if row not in tracked]
        self.attempts.clear()
        for row, version in found.items():
            self.attempts[row].append((version, "done"))
        return wrong


# -- servers and programs ---------------------------------------------------------------------------------------------


class Server:
    """A database server in a folder of its own, that can be killed and started again."""

    def __init__(self, side: str) -> None:
        self.side = side
        self.folder = Path(tempfile.mkdtemp(prefix=f"forecourt-faults-{side}-"))
        self.up = asyncio.Event()
        self._server = EmbeddedServer.start(self.folder)
        self.up.set()

    @property
    def url(self) -> str:
        return self._server.url()

    def kill(self, how: signal.Signals) -> None:
        """SIGQUIT: an immediate stop. SIGKILL: of the postmaster, whose processes then end by themselves."""
        self.up.clear()
        os.kill(int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0]), how)

    async def restart(self) -> None:
        before, self._server = self._server, await asyncio.to_thread(EmbeddedServer.start, self.folder)
        before.stop()
        self.up.set()

    async def run(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *args)]
        finally:
            await connection.close()

    async def cut(self, chance: random.Random) -> None:
        """Ends some of Forecourt's connections."""
        await self.run(
            "select pg_terminate_backend(pid) from pg_stat_activity where starts_with(application_name, 'forecourt') "
            "and pid <> pg_backend_pid() and hashint4(pid # $1) % 2 = 0",
            chance.randrange(1 << 30),
        )

    def close(self) -> None:
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Program:
    """Another program: writes one side by plain SQL, rows of its own, and makes a new connection when it loses one."""

    def __init__(
        self,
        journal: Journal,
        moved: asyncio.Event,
        server: Server,
        name: str,
        chance: random.Random,
        stopping: bool,
    ) -> None:
        self._journal = journal
        self._moved = moved
        self._server = server
        self._name = name
        self._chance = chance
        self._deletes = not stopping
        self._rows: dict[str, int] = {}
        self._late: list[str] = []
        self._count = 0
        self.busy = True

    async def run(self) -> None:
        while self.busy:
            await self._server.up.wait()
            with suppress(*LOST):
                connection = await asyncpg.connect(self._server.url)
                try:
                    while self.busy:
                        await self._once(connection)
                        await asyncio.sleep(0.01)
                finally:
                    connection.terminate()

    async def finish(self) -> None:
        """Mends what was wrong on purpose: customers that orders had named before there were any."""
        for account in self._late:
            await self._server.run("insert into erp.cust (account) values ($1) on conflict do nothing", account)

    async def _once(self, connection: asyncpg.Connection) -> None:
        choice = self._chance.random()
        if not self._rows or choice < 0.35:
            self._count += 1
            row = f"{self._name}.{self._count}"
            self._rows[row] = 1
            await self._write(row, 1, lambda: self._insert(connection, row))
        elif choice < 0.45:
            sql = {
                "operations": "update erp.orders set note = $1 where salesid = $2",
                "dataverse": "update dataverse.cts_order set cts_note = $1 where cts_number = $2",
            }[self._server.side]
            await self._write("hot", 0, lambda: connection.execute(sql, f"hot {choice}", self._chance.choice(HOT)))
        elif choice < 0.9 or not self._deletes:
            row = self._chance.choice(sorted(self._rows))
            self._rows[row] += 1
            version = self._rows[row]
            await self._write(row, version, lambda: self._update(connection, row, f"{row} {version}"))
        else:
            row = self._chance.choice(sorted(self._rows))
            version = self._rows.pop(row)
            await self._write(row, -version - 1, lambda: self._delete(connection, row))

    async def _write(self, row: str, version: int, doing: Callable[[], Awaitable[object]]) -> None:
        self._journal.attempt(row, version)
        outcome = "lost"
        try:
            await doing()
            outcome = "done"
        finally:
            if outcome == "lost":
                self._rows.pop(row, None)
            self._journal.result(row, version, outcome)
            self._moved.set()

    def _customer(self, row: str) -> bool:
        """Whether a row is a customer; all others are orders."""
        return int(row.rpartition(".")[2]) % 3 == 0

    async def _insert(self, connection: asyncpg.Connection, row: str) -> None:
        note = f"{row} 1"
        if self._server.side == "operations":
            if self._customer(row):
                await connection.execute("insert into erp.cust (account, name) values ($1, $2)", row, note)
                return
            account = self._chance.choice(("C1", "C2", ""))
            if self._chance.random() < 0.2:
                account = f"late {row}"
                self._late.append(account)
            sql = "insert into erp.orders (salesid, account, note) values ($1, $2, $3)"
            await connection.execute(sql, row, account, note)
        elif self._customer(row):
            sql = "insert into dataverse.cts_customer (cts_number, cts_name) values ($1, $2)"
            await connection.execute(sql, row, note)
        else:
            number = row if self._chance.random() < 0.6 else None  # the ERP gives it one
            sql = "insert into dataverse.cts_order (cts_number, cts_quantity, cts_note) values ($1, 1, $2)"
            await connection.execute(sql, number, note)

    async def _update(self, connection: asyncpg.Connection, row: str, note: str) -> None:
        table, column = self._where(row)
        await connection.execute(f"update {table} set {column} = $1 where starts_with({column}, $2)", note, f"{row} ")

    async def _delete(self, connection: asyncpg.Connection, row: str) -> None:
        table, column = self._where(row)
        await connection.execute(f"delete from {table} where starts_with({column}, $1)", f"{row} ")

    def _where(self, row: str) -> tuple[str, str]:
        return {
            ("operations", True): ("erp.cust", "name"),
            ("operations", False): ("erp.orders", "note"),
            ("dataverse", True): ("dataverse.cts_customer", "cts_name"),
            ("dataverse", False): ("dataverse.cts_order", "cts_note"),
        }[self._server.side, self._customer(row)]
