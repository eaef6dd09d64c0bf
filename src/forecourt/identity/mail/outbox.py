"""Mail that waits to be sent, in the database of the accounts: nothing that was promised is lost with a process.

A message is put in by the transaction of what it is about, so there is neither mail about what did not happen nor a
change without its mail. One process at a time has a message in its hands: a locked row, which the others skip, and
which is free again when that process dies. So a message comes once, and twice only where a process ends after the mail
server has taken it and before the row is gone (both copies have one Message-ID).

What a message says may let its reader in, so it is sealed (:class:`~forecourt.identity.vault.Vault`), and gone with the
row as soon as it is sent; at the latest it is emptied when its links end. One that the server refuses for good, or did
not take in time, is *set aside* for an administrator, for :data:`KEPT`.

Nobody's mail (``nobody``) is put in and thrown away: an address that gets none costs the same work as one that does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from forecourt.identity.clock import Clock
from forecourt.identity.mail.message import Letter, Message
from forecourt.identity.vault import Vault, VaultError
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database, Transaction
from forecourt.store.lanes import Record

#: How long what was set aside is shown, without its text once that is of no use.
KEPT: Final = dt.timedelta(days=30)

EXPIRED: Final = "It could not be sent in time."

_PUT: Final = """
insert into forecourt.mail (kind, recipient, sealed, created_at, expires_at, due_at)
values ($1, $2, $3, $4, $5, $4)
"""
_TAKE: Final = """
select id, kind, recipient, sealed, created_at, attempts from forecourt.mail
where due_at <= $1 and expires_at > $1 order by due_at, id limit 1 for update skip locked
"""
_DONE: Final = "delete from forecourt.mail where id = $1"
_LATER: Final = "update forecourt.mail set attempts = attempts + 1, due_at = $2, said = $3 where id = $1"
_ASIDE: Final = "update forecourt.mail set attempts = attempts + 1, due_at = null, said = $2 where id = $1"
_EMPTY: Final = """
with late as (select id, due_at is not null as waited from forecourt.mail
    where expires_at <= $1 and sealed is not null and kind <> 'nobody' for update skip locked)
update forecourt.mail m set sealed = null, due_at = null, said = case when l.waited then $2 else m.said end
from late l where l.id = m.id returning l.waited
"""
_PURGE: Final = """
delete from forecourt.mail where id in (
    select id from forecourt.mail where created_at <= $1 or (kind = 'nobody' and expires_at <= $2)
    for update skip locked)
"""
_LIST: Final = """
select id, kind, recipient, created_at, due_at, attempts, said, sealed is not null as whole from forecourt.mail
where kind <> 'nobody' and ($1 or due_at is null) order by created_at, id limit $2
"""
_COUNT: Final = """
select count(*) filter (where due_at is not null) as waiting, count(*) filter (where due_at is null) as aside
from forecourt.mail where kind <> 'nobody'
"""
_RETRY: Final = """
update forecourt.mail set due_at = $2, attempts = 0
where sealed is not null and expires_at > $2 and case when $1::uuid is null then due_at is null else id = $1 end
returning id
"""
_DROP: Final = "delete from forecourt.mail where id = $1 and kind <> 'nobody' returning id"


@dataclass(frozen=True, slots=True)
class Taken:
    """A message in this process's hands. ``attempts``: those before."""

    id: UUID
    message: Message
    created_at: dt.datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as an administrator sees it, without what it says. ``due_at`` None: it was set aside; ``whole``: it can
    still be sent; ``said``: why the last attempt failed."""

    id: UUID
    kind: str
    recipient: str
    created_at: dt.datetime
    due_at: dt.datetime | None
    attempts: int
    said: str
    whole: bool


class Hand:
    """What becomes of the message that was taken; nothing said: it stays as it was."""

    def __init__(self, transaction: Transaction, taken: Taken) -> None:
        self._transaction = transaction
        self.taken = taken

    async def done(self) -> None:
        """It is sent, and gone."""
        await self._transaction.execute(_DONE, self.taken.id)

    async def later(self, at: dt.datetime, said: str) -> None:
        """It is tried again then."""
        await self._transaction.execute(_LATER, self.taken.id, at, said)

    async def set_aside(self, said: str) -> None:
        """It is not tried again unless an administrator says so."""
        await self._transaction.execute(_ASIDE, self.taken.id, said)


class Outbox:
    """The messages that wait and those that were set aside."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something is due now: a transaction that put letters in has ended."""
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Waits until something is due here, or for so long: another process may have put something in."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        self._woken.clear()

    async def put(self, transaction: Transaction, letter: Letter) -> None:
        """Keeps a letter with whatever else the transaction does; ``wake`` when it has ended."""
        now, message = self._clock(), letter.message
        sealed = self._vault.seal(msgspec.json.encode([message.subject, message.text, message.html]).decode())
        await transaction.execute(_PUT, letter.kind, message.to, sealed, now, now + letter.lifetime)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Hand | None]:
        """The message that has waited longest of those that are due and in nobody's hands, for as long as the block
        runs; None: there is none. One whose text cannot be read is set aside. Raises Unavailable."""
        async with self._database.transaction("send mail") as transaction:
            while (row := await transaction.row(_TAKE, self._clock())) is not None:
                if row["kind"] == "nobody":
                    await transaction.execute(_DONE, row["id"])
                    continue
                try:
                    taken = self._opened(row)
                except VaultError as error:
                    await transaction.execute(_ASIDE, row["id"], str(error))
                    continue
                yield Hand(transaction, taken)
                return
            yield None

    async def tidy(self) -> int:
        """Empties what is of no use any more and drops what is old. Returns how many messages were not sent in time."""
        now = self._clock()
        rows = await self._database.system(SystemPlan("empty mail that is too late", _EMPTY, (now, EXPIRED)))
        await self._database.system(SystemPlan("purge mail", _PURGE, (now - KEPT, now)))
        return sum(row["waited"] for row in rows)

    async def list(self, waiting: bool = True, limit: int = 1000) -> Sequence[Kept]:
        """What was set aside and, if wanted, what waits; oldest first."""
        rows = await self._database.system(SystemPlan("list mail", _LIST, (waiting, limit)))
        return [Kept(*row) for row in rows]

    async def count(self) -> tuple[int, int]:
        """How many wait, and how many were set aside."""
        [row] = await self._database.system(SystemPlan("count mail", _COUNT))
        return row["waiting"], row["aside"]

    async def retry(self, message: UUID | None = None) -> int:
        """Makes a message due at once, or all that were set aside. Returns how many; what is empty stays aside."""
        rows = await self._database.system(SystemPlan("send mail again", _RETRY, (message, self._clock())))
        return len(rows)

    async def drop(self, message: UUID) -> bool:
        """Removes a message unsent. False: there is none."""
        return bool(await self._database.system(SystemPlan("drop mail", _DROP, (message,))))

    def _opened(self, row: Record) -> Taken:
        subject, text, html = msgspec.json.decode(self._vault.open(row["sealed"]), type=tuple[str, str, str])
        message = Message(row["recipient"], subject, text, html)
        return Taken(row["id"], message, row["created_at"], row["attempts"])
