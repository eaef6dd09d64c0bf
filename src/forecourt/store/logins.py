"""Scratch logins: database roles made for a while, under which the entities' views are read by plain SQL.

For trying out what native access gives to a role. Roles belong to a whole server, so each is dropped afterwards. Leaves
out what a role may read (``security/native``) and whom it stands for (``operations/native``).
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from asyncpg import exceptions as pg

from forecourt.kernel.errors import Refusal
from forecourt.store.native.pieces import ENTITIES, quoted, text


@dataclass(frozen=True)
class ScratchLogin:
    """``url``: the address of the database as the role."""

    role: str
    url: str

    async def rows(self, view: str, columns: Sequence[str], most: int) -> list[tuple[Any, ...]] | None:
        """Columns of at most so many rows of an entity's view; None where the database refuses them."""
        listed = ", ".join(quoted(name) for name in columns)
        return await self._fetch(f"select {listed} from {ENTITIES}.{quoted(view)} limit {int(most)}")

    async def count(self, view: str, column: str) -> int | None:
        """How many rows of an entity's view have a value in a column; None where the database refuses to say."""
        found = await self._fetch(f"select count(*) from {ENTITIES}.{quoted(view)} where {quoted(column)} is not null")
        return None if found is None else int(found[0][0])

    async def _fetch(self, sql: str) -> list[tuple[Any, ...]] | None:
        connection = await asyncpg.connect(self.url, timeout=30)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        except (pg.InsufficientPrivilegeError, pg.UndefinedTableError):
            return None
        finally:
            await connection.close()


@asynccontextmanager
async def scratch_login(url: str) -> AsyncIterator[ScratchLogin]:
    """A role that may sign in to the database at ``url``, dropped afterwards.

    Raises Refusal FC7102 where the user of ``url`` may not create roles.
    """
    role, password = f"forecourt_scratch_{secrets.token_hex(8)}", secrets.token_urlsafe(24)
    connection = await asyncpg.connect(url)
    try:
        try:
            await connection.execute(f"create role {role} login password {text(password)}")
        except pg.InsufficientPrivilegeError:
            raise Refusal(
                "FC7102",
                "No scratch login can be made: the database's user may not create roles.",
                hint="Give the user CREATEROLE.",
            ) from None
        try:
            parts = urlsplit(url)
            host = parts.netloc.rpartition("@")[2]
            yield ScratchLogin(role, urlunsplit(parts._replace(netloc=f"{role}:{password}@{host}")))
        finally:
            await connection.execute(f"drop owned by {role}")
            await connection.execute(f"drop role {role}")
    finally:
        await connection.close()
