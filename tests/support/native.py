"""Plain SQL as a door: database roles that are mapped to operations users, and connections under them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from forecourt.operations.native import NativeAccess
from support.server import Installation


async def native_access(site: Installation) -> NativeAccess:
    """Native access of an installed solution; nothing is applied by this."""
    forecourt = site.forecourt
    return await NativeAccess.open(forecourt.definitions.operations, forecourt.users, forecourt.databases.operations)


def role_of(site: Installation, user_id: str) -> str:
    """The name of the role that stands for a user in this test's database; roles belong to the whole server."""
    digest = hashlib.sha256(f"{site.url}|{user_id}".encode()).hexdigest()[:16]
    return f"native_{digest}"


def address_of(site: Installation, role: str) -> str:
    """The address of the operations database as a role."""
    parts = urlsplit(site.url)
    return urlunsplit(parts._replace(netloc=f"{role}@"))


async def ensure_mapped(site: Installation, user_id: str) -> str:
    """A role with which somebody signs in as the user; native access is applied where it is not yet."""
    access = await native_access(site)
    role = role_of(site, user_id)
    if not await site.value("select count(*) from pg_roles where rolname = $1", role):
        await site.sql(f"create role {role} login")
    await access.apply()
    await access.map(role, user_id)
    return role


async def forget(site: Installation, *user_ids: str) -> None:
    """Drops native access, and the roles of these users."""
    await (await native_access(site)).drop()
    for user_id in user_ids:
        await site.sql(f"drop role if exists {role_of(site, user_id)}")


@asynccontextmanager
async def native_connection(site: Installation, user_id: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection under the role of an operations user: what is selected from ``forecourt_data`` is what that user
    gets. Changes of policies or roles in the solution's files want :func:`ensure_mapped` again."""
    role = await ensure_mapped(site, user_id)
    connection = await asyncpg.connect(address_of(site, role), timeout=30)
    try:
        yield connection
    finally:
        await connection.close()
