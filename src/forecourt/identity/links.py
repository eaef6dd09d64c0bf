"""Links that are sent by mail: single-use, expiring, kept as hashes.

A link that is about an account counts only as long as the account's security stamp is the one that it was sent under:
a new password, "sign out everywhere" and a disabled account end all of them. Looking at a link does not use it up, for
mail programs open links before people do; :meth:`Links.consume` does, in the transaction of what it is for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from forecourt.identity.accounts import Credential
from forecourt.identity.clock import Clock
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database, Transaction

#: ``nobody``: kept and never sent, so that an address that nobody has costs the same work.
Purpose = Literal["register", "reset", "nobody"]

_CODE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

_ISSUE: Final = """
insert into forecourt.link
    (code_hash, purpose, email, credential_id, security_stamp, invitation_id, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""

_FIND: Final = """
select l.email, l.credential_id, l.invitation_id, c.username
from forecourt.link l left join forecourt.credential c on c.id = l.credential_id
where l.code_hash = $1 and l.purpose = $2 and l.expires_at > $3
  and (l.credential_id is null or (c.enabled and c.security_stamp = l.security_stamp))
"""

#: Locks the account, so that of two links to it at the same moment the second sees what the first has done.
_USE: Final = """
delete from forecourt.link l where l.code_hash = $1 and l.expires_at > $2 and (l.credential_id is null or exists (
    select from forecourt.credential c
    where c.id = l.credential_id and c.enabled and c.security_stamp = l.security_stamp for update))
returning l.code_hash
"""
_PURGE: Final = "delete from forecourt.link where expires_at <= $1"


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is about. ``username``: of its account, '' without."""

    email: str
    credential_id: UUID | None
    invitation_id: UUID | None
    username: str


class Links:
    """Gives out links and knows them again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def issue(
        self,
        transaction: Transaction,
        purpose: Purpose,
        lifetime: dt.timedelta,
        email: str,
        credential: Credential | None = None,
        invitation: UUID | None = None,
    ) -> str:
        """The code of a new link, which is there when the transaction is."""
        code, now = secrets.token_urlsafe(32), self._clock()
        stamp = credential.security_stamp if credential else None
        owner = credential.id if credential else None
        row = (_digest(code), purpose, email[:320], owner, stamp, invitation, now, now + lifetime)
        await transaction.execute(_ISSUE, *row)
        return code

    async def peek(self, purpose: Purpose, code: str) -> Link:
        """The link that a code names, which stays as it is. Raises Refusal FC2006."""
        if not _CODE.fullmatch(code):
            raise ended()
        rows = await self._database.system(SystemPlan("look at a link", _FIND, (_digest(code), purpose, self._clock())))
        if not rows:
            raise ended()
        row = rows[0]
        return Link(row["email"], row["credential_id"], row["invitation_id"], row["username"] or "")

    async def consume(self, transaction: Transaction, code: str) -> None:
        """Uses a link up, which one transaction alone can do. Raises Refusal FC2006."""
        if not await transaction.fetch(_USE, _digest(code), self._clock()):
            raise ended()

    async def purge(self) -> None:
        """Drops links that have expired; for a timer."""
        await self._database.system(SystemPlan("purge expired links", _PURGE, (self._clock(),)))


def ended() -> Refusal:
    """The one answer to a link that is wrong, used or too old."""
    return Refusal("FC2006", "This link has expired or has been used.", hint="Ask for a new one.", source="code")


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
