"""Server-side sessions: what the browser holds is a random number, what the database holds is its hash.

A session begins at sign-in with a new number, whatever the browser sent before (no fixation), and ends at sign-out,
at its expiry (24 hours, moved on while it is used; 7 days at most), when the account is disabled, and when the
account's security stamp changes (new password, "sign out everywhere"). Reference: pages-and-dataverse A3.3,
ApplicationCookie, except that the stamp is compared at every request and not each 30 minutes.

A request costs one query by primary key, and each five minutes a note that the session is used. Past the half of its
time a session is moved on, and the cookie is to be sent again (:attr:`Session.reissue`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from typing import Final
from uuid import UUID

from forecourt.identity.accounts import Credential, credential_of
from forecourt.identity.clock import Clock
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

COOKIE: Final = ".AspNet.ApplicationCookie"

#: How exactly the last use of a session is kept.
USED: Final = dt.timedelta(minutes=5)

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

_START: Final = """
insert into forecourt.session
    (id_hash, credential_id, csrf_secret, created_at, expires_at, last_seen, security_stamp, persistent, user_agent,
     provider)
values ($1, $2, $3, $4, $5, $4, $6, $7, $8, $9)
"""

#: The stamp of the session must still be the account's, and the account enabled.
_LOAD: Final = """
select c.*, s.csrf_secret, s.created_at as session_created_at, s.expires_at, s.last_seen, s.persistent,
    s.provider
from forecourt.session s join forecourt.credential c on c.id = s.credential_id
where s.id_hash = $1 and s.expires_at > $2 and s.security_stamp = c.security_stamp and c.enabled
"""

_MOVE_ON: Final = "update forecourt.session set expires_at = $2, last_seen = $3 where id_hash = $1 returning id_hash"
_SEEN: Final = "update forecourt.session set last_seen = $2 where id_hash = $1 returning id_hash"
_WHOSE: Final = "select credential_id from forecourt.session where id_hash = $1"
_END: Final = "delete from forecourt.session where id_hash = $1"
_NEW_STAMP: Final = "update forecourt.credential set security_stamp = gen_random_uuid() where id = $1"
_END_ALL: Final = "delete from forecourt.session where credential_id = $1"
#: Sessions that could still be loaded. The handle names one without being of use as its cookie.
_LIST: Final = """
select encode(sha256(s.id_hash), 'hex') as handle, s.created_at, s.last_seen, s.user_agent, s.id_hash = $2 as current
from forecourt.session s join forecourt.credential c on c.id = s.credential_id
where s.credential_id = $1 and s.expires_at > $3 and s.security_stamp = c.security_stamp
order by s.id_hash = $2 desc, s.created_at desc limit 100
"""
_END_ONE: Final = "delete from forecourt.session where credential_id = $1 and encode(sha256(id_hash), 'hex') = $2"
_END_OTHERS: Final = "delete from forecourt.session where credential_id = $1 and id_hash <> $2"
_PURGE: Final = """
delete from forecourt.session s using forecourt.credential c
where c.id = s.credential_id and (s.expires_at <= $1 or s.security_stamp <> c.security_stamp)
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. ``cookie``: the value that names it; ``reissue``: the answer must set the cookie again;
    ``provider``: which sign-in provider vouched for the person, '' for a password."""

    credential: Credential
    created_at: dt.datetime
    expires_at: dt.datetime
    last_seen: dt.datetime
    persistent: bool
    cookie: str = field(repr=False)
    csrf_secret: bytes = field(repr=False)
    reissue: bool = False
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A session as its owner sees it. ``handle`` names it in a form; ``current``: it is the one that asks."""

    handle: str
    created_at: dt.datetime
    last_seen: dt.datetime
    user_agent: str
    current: bool


class Sessions:
    """``lifetime``: without use; ``longest``: from the sign-in, however much it is used."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        lifetime: dt.timedelta = dt.timedelta(hours=24),
        longest: dt.timedelta = dt.timedelta(days=7),
    ) -> None:
        self._database = database
        self._clock = clock
        self._lifetime = lifetime
        self._longest = longest

    async def start(
        self,
        credential: Credential,
        *,
        previous: str | None = None,
        persistent: bool = False,
        user_agent: str = "",
        proved: bool = False,
        provider: str = "",
    ) -> Session:
        """A new session for an account whose password has just been proved, or for whom a provider has vouched.

        ``previous``: the cookie that the browser sent, whose session ends. ``persistent``: the cookie outlives the
        browser ("remember me"). The stamp is that of the proof: what changed it since has ended this session too.
        ``proved``: its second factor has been proved, too. ``provider``: which sign-in provider has vouched.
        Raises Refusal FC2007 for an account with a second factor that has not been proved, whichever door forgets it.
        """
        if credential.second_factor and not proved:
            raise Refusal("FC2007", "The account needs a code of its second factor.")
        now = self._clock()
        session = Session(
            credential,
            now,
            min(now + self._lifetime, now + self._longest),
            now,
            persistent,
            secrets.token_urlsafe(32),
            secrets.token_bytes(32),
            True,
            provider,
        )
        async with self._database.transaction("start a session") as tx:
            if previous is not None and _VALUE.fullmatch(previous):
                await tx.execute(_END, _digest(previous))
            await tx.execute(
                _START,
                _digest(session.cookie),
                credential.id,
                session.csrf_secret,
                now,
                session.expires_at,
                credential.security_stamp,
                persistent,
                _text(user_agent),
                provider,
            )
        return session

    async def load(self, cookie: str | None) -> Session | None:
        """The session that ``cookie`` names, in one query; None when there is none, or no longer."""
        if cookie is None or not _VALUE.fullmatch(cookie):
            return None
        now = self._clock()
        digest = _digest(cookie)
        rows = await self._database.lookup(SystemPlan("load a session", _LOAD, (digest, now)))
        if not rows:
            return None
        row = rows[0]
        session = Session(
            credential_of(row),
            row["session_created_at"],
            row["expires_at"],
            row["last_seen"],
            row["persistent"],
            cookie,
            bytes(row["csrf_secret"]),
            provider=row["provider"],
        )
        expiry = min(now + self._lifetime, session.created_at + self._longest)
        if session.expires_at - now > self._lifetime / 2 or expiry <= session.expires_at:
            return session if now - session.last_seen < USED else await self._seen(session, digest, now)
        moved = await self._database.system(SystemPlan("move a session on", _MOVE_ON, (digest, expiry, now)))
        return replace(session, expires_at=expiry, last_seen=now, reissue=True) if moved else None

    async def _seen(self, session: Session, digest: bytes, now: dt.datetime) -> Session | None:
        seen = await self._database.system(SystemPlan("note that a session is used", _SEEN, (digest, now)))
        return replace(session, last_seen=now) if seen else None

    async def whose(self, cookie: str | None) -> UUID | None:
        """The account of a session that may have expired; None where it is not known any more."""
        if cookie is None or not _VALUE.fullmatch(cookie):
            return None
        rows = await self._database.lookup(SystemPlan("look whose a session was", _WHOSE, (_digest(cookie),)))
        return rows[0]["credential_id"] if rows else None

    async def sign_out(self, cookie: str | None) -> None:
        """Ends the session: its number is worth nothing from now on, in whosever hands it is."""
        if cookie is not None and _VALUE.fullmatch(cookie):
            await self._database.system(SystemPlan("sign out", _END, (_digest(cookie),)))

    async def sign_out_everywhere(self, credential_id: UUID) -> None:
        """Ends all sessions of an account, also those that are just being started from an earlier proof."""
        async with self._database.transaction("sign out everywhere") as tx:
            await tx.execute(_NEW_STAMP, credential_id)
            await tx.execute(_END_ALL, credential_id)

    async def list(self, session: Session) -> tuple[Device, ...]:
        """All sessions of the account that ``session`` is one of, itself first."""
        args = (session.credential.id, _digest(session.cookie), self._clock())
        rows = await self._database.system(SystemPlan("list sessions", _LIST, args))
        return tuple(Device(*row) for row in rows)

    async def end(self, credential_id: UUID, handle: str) -> None:
        """Ends one session of an account; another account's handle names nothing."""
        await self._database.system(SystemPlan("end a session", _END_ONE, (credential_id, handle)))

    async def end_others(self, session: Session) -> None:
        """Ends all sessions of the account but this one."""
        args = (session.credential.id, _digest(session.cookie))
        await self._database.system(SystemPlan("end other sessions", _END_OTHERS, args))

    async def purge(self) -> None:
        """Drops sessions that can never be loaded again; for a timer."""
        await self._database.system(SystemPlan("purge ended sessions", _PURGE, (self._clock(),)))


def set_cookie(session: Session, *, secure: bool) -> str:
    """The ``Set-Cookie`` value that hands the session to the browser. ``secure``: the site is served by https."""
    expires = ""
    if session.persistent:
        expires = "; Expires=" + format_datetime(session.expires_at.astimezone(dt.UTC), usegmt=True)
    return f"{COOKIE}={session.cookie}{_attributes(secure)}{expires}"


def clear_cookie(*, secure: bool) -> str:
    """The ``Set-Cookie`` value that takes the session from the browser."""
    return f"{COOKIE}={_attributes(secure)}; Max-Age=0"


def _attributes(secure: bool) -> str:
    return "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("ascii")).digest()


def _text(user_agent: str) -> str:
    return "".join(c for c in user_agent if c.isprintable()).encode(errors="replace").decode()[:256]
