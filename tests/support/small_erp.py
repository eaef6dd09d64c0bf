"""A small ERP with business logic, served: its solution in a database of its own, and its users at the doors."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from forecourt.app import Databases, prepare
from forecourt.settings import Settings
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from support.server import SETTINGS, Installation, cloned, ensure_template, installed

ROOT = Path(__file__).parent / "small_erp"
TEMPLATE = "small_erp_template"


async def _load(address: str) -> None:
    os.environ["SMALL_ERP"] = address
    connection = await asyncpg.connect(address)
    try:
        await connection.execute((ROOT / "schema.sql").read_text("utf-8"))
    finally:
        await connection.close()
    database = await Database.open(address, lane_size=2)
    try:
        await prepare(ROOT, Databases(database, database, None))
    finally:
        await database.close()


async def ensure_loaded(server: EmbeddedServer) -> None:
    """The template: its tables, prepared, without rows."""
    await ensure_template(server, TEMPLATE, _load)


@asynccontextmanager
async def small_erp(
    server: EmbeddedServer, root: Path = ROOT, settings: Settings = SETTINGS
) -> AsyncIterator[Installation]:
    """The solution (or a changed copy of it) over a database of its own, empty."""
    await ensure_loaded(server)
    async with cloned(server, TEMPLATE) as address:
        os.environ["SMALL_ERP"] = address
        async with installed(root, address, settings=settings) as site:
            yield site


async def emptied(site: Installation) -> None:
    """Every row gone, every number given back."""
    await site.sql("truncate erp.cust, erp.custnote, erp.party, erp.orders, erp.log restart identity")
    await site.sql("delete from forecourt.number_sequence")
    site.observed.clear()
