"""Scratch copies of a database: for work that tries things out and must leave no trace.

A copy is made on the same server, with the database as its template, and dropped when the work is done; the database
itself is only read. PostgreSQL copies a database that nobody is connected to, so a running Forecourt has to be stopped
first. Leaves out databases on other servers and dumps.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from asyncpg import exceptions as pg

from forecourt.kernel.errors import Refusal

#: The database through which copies are made and dropped.
MAINTENANCE = "postgres"


@asynccontextmanager
async def copy_of(url: str) -> AsyncIterator[str]:
    """The address of a copy of the database at ``url``, dropped afterwards.

    Raises Refusal FC7102 where somebody is connected to the database, or its user may not create databases.
    """
    name = f"forecourt_scratch_{uuid.uuid4().hex[:16]}"
    connection = await asyncpg.connect(url, database=MAINTENANCE)
    try:
        await _copy(connection, name, _name(url))
        try:
            yield _renamed(url, name)
        finally:
            await connection.execute(f'drop database "{name}" with (force)')
    finally:
        await connection.close()


async def _copy(connection: asyncpg.Connection, name: str, template: str) -> None:
    quoted = template.replace('"', '""')
    try:
        await connection.execute(f'create database "{name}" template "{quoted}" strategy file_copy')
    except pg.ObjectInUseError:
        raise Refusal(
            "FC7102",
            f"No scratch copy of database {template} can be made while somebody is connected to it.",
            hint="Stop the servers that use it, or name a restored backup in solution.yaml.",
        ) from None
    except pg.InsufficientPrivilegeError:
        raise Refusal(
            "FC7102",
            f"No scratch copy of database {template} can be made: its user may not create databases.",
            hint="Give the user CREATEDB and the ownership of the database, or use a restored backup.",
        ) from None


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _renamed(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
