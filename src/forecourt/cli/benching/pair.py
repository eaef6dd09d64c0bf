"""The subject of the benchmark of copies: ``bench/pair``, a small solution with maps, over one database or two.

Every case gets databases of its own in one server, filled with orders of the ERP, and plain connections beside the
solution: what another program would use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import click

from forecourt.app import Databases, Forecourt, build, prepare
from forecourt.cli.benching.suite import suite_folder
from forecourt.kernel.change import Write
from forecourt.kernel.principal import INTEGRATION, Door
from forecourt.security.scope import Scope
from forecourt.settings import from_environment
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer

#: The map that is measured, and whose side its rows come from.
MAP = "orders"

FILL = """
insert into erp.orders (salesid, account, quantity, total, note)
select 'S' || lpad(n::text, 9, '0'), 'C' || n % 100, n % 50, n % 50 * 2, 'Note ' || n from generate_series(1, $1::int) n
"""

_SCOPE = Scope(INTEGRATION, Door.OPERATIONS)


@dataclass(frozen=True)
class Pair:
    """``erp`` and ``dataverse``: plain connections, one and the same where the planes share a database."""

    forecourt: Forecourt
    erp: asyncpg.Connection
    dataverse: asyncpg.Connection

    async def start(self) -> None:
        """Starts all maps, with initial sync."""
        await self.forecourt.dual_write.start((), "benchmark")

    async def stop(self) -> None:
        """Stops all maps: nothing is captured any more."""
        await self.forecourt.dual_write.stop((), "benchmark")

    async def change(self, number: str, quantity: int) -> None:
        """Changes one order of the ERP through its gate."""
        write = Write("PairOrderEntity", "update", (("Number", number),), (("Quantity", quantity),))
        await self.forecourt.operations_gate.change(_SCOPE, write)

    async def drain(self) -> int:
        """Applies what waits for the map; how many rows."""
        dual_write = self.forecourt.dual_write
        return await dual_write.queue.drain(dual_write.maps[MAP])

    async def settle(self) -> None:
        """So that nobody's cleaning falls into somebody else's time."""
        for connection in {self.erp, self.dataverse}:
            await connection.execute("vacuum analyze")
        await self.erp.execute("checkpoint")

    async def check(self) -> None:
        """Both sides are the same. Raises ClickException."""
        for item in self.forecourt.dual_write.maps.values():
            for comparison in await self.forecourt.verifier.compare(item):
                if comparison.differences:
                    raise click.ClickException(f"{item.name}: the sides differ: {comparison.differences[0]}")


def order_number(at: int) -> str:
    """The number of an order that ``FILL`` makes, from 1 on.

    >>> order_number(7)
    'S000000007'
    """
    return f"S{at:09}"


@asynccontextmanager
async def opened_pair(server: EmbeddedServer, name: str, orders: int, shared: bool = False) -> AsyncIterator[Pair]:
    """The solution over new databases, with that many orders, its maps not started. The databases go in the end."""
    names = [f"bench_{name}"] if shared else [f"bench_{name}_erp", f"bench_{name}_dataverse"]
    for database in names:
        await _drop(server, database)
        server.ensure_database(database)
    urls = [server.url(database) for database in names]
    erp = await asyncpg.connect(urls[0])
    dataverse = erp if shared else await asyncpg.connect(urls[1])
    root = suite_folder() / "pair"
    try:
        await erp.execute((root / "schema.sql").read_text("utf-8"))
        await erp.execute(FILL, orders)
        operations = await Database.open(urls[0])
        databases = Databases(operations, operations if shared else await Database.open(urls[1]), None)
        try:
            await prepare(root, databases)
            yield Pair(await build(root, databases, from_environment()), erp, dataverse)
        finally:
            await databases.close()
    finally:
        await erp.close()
        await dataverse.close()
        for database in names:
            await _drop(server, database)


async def _drop(server: EmbeddedServer, database: str) -> None:
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute(f'drop database if exists "{database}" with (force)')
    finally:
        await connection.close()
