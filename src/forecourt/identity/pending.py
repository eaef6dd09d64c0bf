"""Sign-ins that wait for their second half: a code of the second factor, the answer of a provider; and what was typed
into a form when the session had ended.

The browser holds a random number, the database its hash and everything else: whose it is, where to go on, what was
agreed with a provider. A pending sign-in is for one browser, for some minutes, and ends with a new password and with
"sign out everywhere" (the account's security stamp). Looking at one does not use it up; :meth:`Pending.take` does, and
one caller alone can.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import msgspec

from forecourt.identity.accounts import Credential, credential_of
from forecourt.identity.clock import Clock
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

Purpose = Literal["code", "provider", "form"]

#: Reference: pages-and-dataverse A3.3 (TwoFactorCookie), A3.4 (NonceLifetime).
LIFETIMES: Final[Mapping[Purpose, dt.timedelta]] = {
    "code": dt.timedelta(minutes=5),
    "provider": dt.timedelta(minutes=10),
    "form": dt.timedelta(minutes=30),
}
COOKIES: Final[Mapping[Purpose, str]] = {
    "code": ".AspNet.TwoFactorCookie",
    "provider": ".AspNet.ExternalCookie",
    "form": ".AspNet.FormCookie",
}

#: Where the code is asked for, whichever door the password was given at.
VERIFY: Final = "/Account/Login/VerifyCode"

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

_START: Final = """
insert into forecourt.pending_sign_in
    (id_hash, purpose, credential_id, security_stamp, detail, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""
_COLUMNS: Final = "p.credential_id as pending_for, p.detail, c.*"
_PEEK: Final = f"""
select {_COLUMNS} from forecourt.pending_sign_in p left join forecourt.credential c
    on c.id = p.credential_id and c.enabled and c.security_stamp = p.security_stamp
where p.id_hash = $1 and p.purpose = $2 and p.expires_at > $3
"""  # noqa: S608 -- no value of a request is in it
_TAKE: Final = f"""
with p as (delete from forecourt.pending_sign_in where id_hash = $1 and purpose = $2 and expires_at > $3 returning *)
select {_COLUMNS} from p left join forecourt.credential c
    on c.id = p.credential_id and c.enabled and c.security_stamp = p.security_stamp
"""  # noqa: S608 -- no value of a request is in it
_PURGE: Final = "delete from forecourt.pending_sign_in where expires_at <= $1"


@dataclass(frozen=True, slots=True)
class Half:
    """A sign-in as far as it has come. ``credential``: whose it is, None for nobody's yet; ``detail``: what it was
    started with."""

    credential: Credential | None
    detail: Mapping[str, str]


class Pending:
    """Keeps halves of sign-ins."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def start(self, purpose: Purpose, detail: Mapping[str, str], credential: Credential | None = None) -> str:
        """Keeps a half; gives the cookie's value."""
        value, now = secrets.token_urlsafe(32), self._clock()
        owner, stamp = (credential.id, credential.security_stamp) if credential else (None, None)
        text = msgspec.json.encode(detail).decode()
        row = (_digest(value), purpose, owner, stamp, text, now, now + LIFETIMES[purpose])
        await self._database.system(SystemPlan("keep half of a sign-in", _START, row))
        return value

    async def peek(self, purpose: Purpose, value: str | None) -> Half | None:
        """The half that a cookie names, which stays; None for a cookie that names none any more."""
        return await self._find("look at half of a sign-in", _PEEK, purpose, value)

    async def take(self, purpose: Purpose, value: str | None) -> Half | None:
        """The half that a cookie names, which is gone then: whoever asks again gets None."""
        return await self._find("take half of a sign-in", _TAKE, purpose, value)

    async def purge(self) -> None:
        """Drops what has expired; for a timer."""
        await self._database.system(SystemPlan("purge halves of sign-ins", _PURGE, (self._clock(),)))

    async def _find(self, reason: str, sql: str, purpose: Purpose, value: str | None) -> Half | None:
        if value is None or not _VALUE.fullmatch(value):
            return None
        rows = await self._database.system(SystemPlan(reason, sql, (_digest(value), purpose, self._clock())))
        if not rows:
            return None
        row: Mapping[str, object] = rows[0]
        owned: UUID | None = rows[0]["pending_for"]
        if owned is not None and row["id"] is None:
            return None
        return Half(credential_of(row) if owned is not None else None, msgspec.json.decode(rows[0]["detail"]))


def set_cookie(purpose: Purpose, value: str, *, secure: bool) -> str:
    """The ``Set-Cookie`` value that hands a half to the browser."""
    return f"{COOKIES[purpose]}={value}{_attributes(secure)}; Max-Age={int(LIFETIMES[purpose].total_seconds())}"


def clear_cookie(purpose: Purpose, *, secure: bool) -> str:
    """The ``Set-Cookie`` value that takes it away."""
    return f"{COOKIES[purpose]}={_attributes(secure)}; Max-Age=0"


def _attributes(secure: bool) -> str:
    return "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("ascii")).digest()
