"""Blobs: packages and error files, taken in and given out by signed addresses.

A blob is kept in rows of the Dataverse database, a MiB each, so that every process can serve it; nothing of it is on
the disk of a server but while a job reads it. An address is for one blob, one purpose (read or write) and seven days::

    /api/blobs/<id>?sp=<r|w>&se=<seconds since 1970>&sig=<HMAC-SHA-256 of the three>

Who has it may use it, as with a shared access signature; nobody can make one. It opens nothing else: a job takes a
blob only of the identity that asked for its address. A blob is written once.
Source: operations-and-integration 5.8.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database, Transaction

PATH: Final = "/api/blobs/"

#: How long an address, and what is behind it, lasts.
DAYS: Final = 7

CHUNK: Final = 1024 * 1024

#: Packages of the largest size that one owner may keep.
SHARE: Final = 20

Purpose = Literal["r", "w"]

_HELD = (
    "select coalesce(sum(b.size), 0)::bigint from forecourt.package_blob b "
    "where b.owner = (select owner from forecourt.package_blob where id = $1)"
)


@dataclass(frozen=True, slots=True)
class Blob:
    """``size``: bytes, None until all of it has arrived."""

    id: UUID
    owner: str
    name: str
    size: int | None


class Blobs:
    """The blobs of a Dataverse database. ``limit``: bytes of one at most."""

    def __init__(self, database: Database, limit: int) -> None:
        self.database = database
        self.limit = limit
        self._secret: bytes | None = None

    # -- addresses ------------------------------------------------------------------------------------------------

    async def address(self, base: str, blob: UUID, purpose: Purpose) -> str:
        """The address of a blob for a purpose. ``base``: the origin that the client called."""
        expires = int(time.time()) + DAYS * 86_400
        signature = self._signature(await self._key(), blob, purpose, expires)
        return f"{base}{PATH}{blob}?sp={purpose}&se={expires}&sig={signature}"

    async def admitted(self, path: str, query: str, purpose: Purpose) -> Blob:
        """The blob of an address. Raises Refusal FC4803 for one that was not given out for the purpose."""
        refusal = Refusal("FC4803", "The address is not valid, has expired, or is for another use.")
        try:
            blob = UUID(path.removeprefix(PATH))
            given = {name: values[0] for name, values in parse_qs(query).items()}
            expires = int(given["se"]) if len(given["se"]) < 12 and given["se"].isascii() else 0
            signature = given["sig"].encode()
        except (ValueError, KeyError):
            raise refusal from None
        wanted = self._signature(await self._key(), blob, purpose, expires).encode()
        if given.get("sp") != purpose or not hmac.compare_digest(signature, wanted) or expires < time.time():
            raise refusal
        found = await self.get(blob)
        if found is None:
            raise refusal
        return found

    async def of_address(self, address: str, owner: str) -> Blob:
        """The blob that an address of the owner's own names, for a job. Raises Refusal FC4803; FC4802 while nothing
        has been put there."""
        parts = urlsplit(address)
        purpose = parse_qs(parts.query).get("sp", [""])[0]
        if purpose not in ("r", "w"):
            raise Refusal("FC4803", "The address is not one of a blob here.", hint="Ask GetAzureWriteUrl for one.")
        blob = await self.admitted(parts.path, parts.query, purpose)  # type: ignore[arg-type]
        if blob.owner != owner:
            raise Refusal("FC4803", "The address is not valid, has expired, or is for another use.")
        if blob.size is None:
            raise Refusal("FC4802", "Nothing has been put there yet.", hint="PUT the package to the address first.")
        return blob

    @staticmethod
    def _signature(secret: bytes, blob: UUID, purpose: Purpose, expires: int) -> str:
        digest = hmac.digest(secret, f"{blob}:{purpose}:{expires}".encode(), hashlib.sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def _key(self) -> bytes:
        """The secret that signs, of all processes; made by the first that needs it."""
        if self._secret is None:
            async with self.database.transaction("the key of blob addresses") as tx:
                await tx.execute(
                    "insert into forecourt.package_key (secret) values ($1) on conflict do nothing",
                    secrets.token_bytes(32),
                )
                self._secret = bytes(await tx.value("select secret from forecourt.package_key"))
        return self._secret

    # -- contents -------------------------------------------------------------------------------------------------

    async def new(self, owner: str, name: str) -> UUID:
        """A blob that is to be filled."""
        async with self.database.transaction("make a blob") as tx:
            return await self._new(tx, owner, name)

    @staticmethod
    async def _new(tx: Transaction, owner: str, name: str) -> UUID:
        found = await tx.value(
            "insert into forecourt.package_blob (owner, name, expires_at) "
            "values ($1, $2, now() + make_interval(days => $3)) returning id",
            owner,
            name[:200],
            DAYS,
        )
        return UUID(str(found))

    async def get(self, blob: UUID) -> Blob | None:
        """A blob that has not expired."""
        sql = "select id, owner, name, size from forecourt.package_blob where id = $1 and expires_at > now()"
        rows = await self.database.lookup(SystemPlan("look up a blob", sql, (blob,)))
        return Blob(**dict(rows[0])) if rows else None

    async def fill(self, blob: UUID, chunks: AsyncIterator[bytes]) -> int:
        """Takes the contents in, all or none; they wait on the disk until the last has come, and no connection waits
        for a slow sender. Raises Refusal FC4802 where the blob has some, FC1005 where they are too many."""
        with tempfile.TemporaryFile() as file:
            size = 0
            async for chunk in chunks:
                size += len(chunk)
                if size > self.limit:
                    message = f"The package is larger than {self.limit // 1024**2} MB."
                    raise Refusal("FC1005", message, hint="FORECOURT_PACKAGE_LIMIT says how large one may be.")
                await asyncio.to_thread(file.write, chunk)
            file.seek(0)
            async with self.database.transaction("fill a blob") as tx:
                sql = "select 1 from forecourt.package_blob where id = $1 and size is null for update skip locked"
                if not await tx.value(sql, blob):
                    raise Refusal("FC4802", "The blob is written already.", hint="Ask for a new address.")
                await self._take(tx, blob, file)
        return size

    async def keep(self, tx: Transaction, owner: str, name: str, file: BinaryIO) -> UUID:
        """Makes a blob of a file, in a transaction of the caller's."""
        blob = await self._new(tx, owner, name)
        await self._take(tx, blob, file)
        return blob

    async def _take(self, tx: Transaction, blob: UUID, file: BinaryIO) -> None:
        size = place = 0
        sql = "insert into forecourt.package_chunk (blob, place, data) values ($1, $2, $3)"
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            await tx.execute(sql, blob, place, chunk)
            size += len(chunk)
            place += 1
        await tx.execute("update forecourt.package_blob set size = $2 where id = $1", blob, size)
        if await tx.value(_HELD, blob) > self.limit * SHARE:
            message = f"You keep more than {self.limit * SHARE // 1024**2} MB of packages here."
            raise Refusal("FC1005", message, hint=f"They go after {DAYS} days.")

    async def chunks(self, blob: UUID) -> AsyncIterator[bytes]:
        """The contents."""
        place = 0
        sql = "select data from forecourt.package_chunk where blob = $1 and place = $2"
        while rows := await self.database.lookup(SystemPlan("read a blob", sql, (blob, place))):
            yield bytes(rows[0]["data"])
            place += 1

    async def write_to(self, blob: UUID, file: BinaryIO) -> None:
        """Writes the contents to a file."""
        async for chunk in self.chunks(blob):
            await asyncio.to_thread(file.write, chunk)
