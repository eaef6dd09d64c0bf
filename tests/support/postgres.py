"""A PostgreSQL for tests: one server per test run, a database of its own for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from forecourt.store.embedded import EmbeddedServer
from forecourt.store.statements import ReadStatement

#: Names the folder of the run's server, for the process that began the run and for its workers.
VARIABLE = "FORECOURT_TEST_POSTGRES"


def begin_run() -> bool:
    """Chooses the folder of the run's server. False in a worker, which uses its controller's."""
    if VARIABLE in os.environ:
        return False
    # Not below pytest's own folder, which every other run makes impassable for other users.
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix="forecourt-tests-")
    return True


def end_run() -> None:
    """Removes the folder of the run's server; its last user has stopped the server."""
    shutil.rmtree(os.environ.pop(VARIABLE), ignore_errors=True)


def start_server() -> EmbeddedServer:
    """The run's server. It need not survive the machine: nothing waits for the disk. (Tests of faults have servers of
    their own.)"""
    server = EmbeddedServer.start(Path(os.environ[VARIABLE]))
    asyncio.run(_hurry(server.url("postgres")))
    return server


async def _hurry(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            await connection.execute(f"alter system set {setting} = off")
        await connection.execute("select pg_reload_conf()")
    finally:
        await connection.close()


@asynccontextmanager
async def fresh_database(server: EmbeddedServer) -> AsyncIterator[str]:
    """The address of a new, empty database, dropped afterwards, whoever is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute(f'create database "{name}" strategy file_copy')  # half the time of the log
        try:
            yield server.url(name)
        finally:
            await connection.execute(f'drop database "{name}" with (force)')
    finally:
        await connection.close()


async def explain(
    url: str, statement: ReadStatement, slots: Sequence[object], params: Mapping[str, object], mode: str
) -> str:
    """How PostgreSQL runs the statement for these values (numbers, text and lists) under this ``plan_cache_mode``."""
    connection = await asyncpg.connect(url, server_settings={"plan_cache_mode": mode})
    try:
        await connection.execute(f"prepare examined as {statement.sql}")
        values = ", ".join(map(_literal, statement.collect(slots, params)))
        rows = await connection.fetch(f"explain execute examined({values})")
        return "\n".join(row[0] for row in rows)
    finally:
        await connection.close()


def _literal(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"array[{', '.join(map(_literal, value))}]"
    quoted = str(value).replace("'", "''")
    return f"'{quoted}'" if isinstance(value, str) else quoted
