"""Local accounts: user name and password, lockout, no clue about who has an account.

One answer (Refusal FC2001, one text, the same work) for an unknown name, a wrong password, a disabled account, and a
locked account whatever the password: while an account is locked no password is tried against it, else the lock
would be an oracle for further guesses.

An attempt is counted against the account *before* the password is verified, in one UPDATE that also locks at the
limit, and success sets the count back: so of any number of guesses at the same moment no more than the limit are
verified. Within a process the attempts on one name take turns, so that a person who signs in correctly from several
windows at once does not lock the account out.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from forecourt.identity.clock import Clock
from forecourt.identity.passwords import PasswordPolicy, Passwords
from forecourt.identity.throttle import Throttle
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.observe import Observer, SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database, Transaction
from forecourt.store.watched import acting

#: $1 name, $2 now, $3 limit, $4 the end of a lock that begins now. One row when the name is known, else none;
#: ``reserved`` is null when the account is locked or disabled. The conditions stand in the UPDATE itself, so that
#: PostgreSQL looks at them again after it has waited for another attempt.
_RESERVE: Final = """
with found as (
    select id, username, enabled from forecourt.credential where lower(username) = lower($1)
), reserved as (
    update forecourt.credential c
    set failed_count = case when c.locked_until is null then c.failed_count + 1 else 1 end,
        locked_until = case when c.locked_until is null and c.failed_count + 1 >= $3::int or $3::int <= 1
            then $4::timestamptz end
    from found
    where c.id = found.id and c.enabled and (c.locked_until is null or c.locked_until <= $2)
    returning c.id, c.password_hash, c.security_stamp
)
select found.username, found.enabled, reserved.id as reserved, reserved.password_hash, reserved.security_stamp
from found left join reserved on reserved.id = found.id
"""

_ACCEPT: Final = """
update forecourt.credential
set failed_count = 0, locked_until = null, last_sign_in = $2, password_hash = coalesce($3, password_hash)
where id = $1 and enabled and security_stamp = $4
returning *
"""

#: $1 name, $2 contact, $3 operations user, $4 hash, $5 now. No row where the name or the contact has an account.
CREATE: Final = """
insert into forecourt.credential (username, contact_id, operations_user, password_hash, created_at)
values ($1, $2, $3, $4, $5)
on conflict do nothing
returning *
"""

#: $1 account, $2 hash. Ends its sessions and links, lifts its lock.
RENEW: Final = """
update forecourt.credential
set password_hash = $2, security_stamp = gen_random_uuid(), failed_count = 0, locked_until = null
where id = $1
returning *
"""

_ENABLE: Final = """
update forecourt.credential
set enabled = $2, security_stamp = case when $2 then security_stamp else gen_random_uuid() end
where id = $1 returning id
"""

_UNLOCK: Final = "update forecourt.credential set failed_count = 0, locked_until = null where id = $1 returning id"

_LIST: Final = "select * from forecourt.credential order by lower(username)"

_FIND: Final = "select * from forecourt.credential where lower(username) = lower($1)"


@dataclass(frozen=True, slots=True)
class Credential:
    """A local account. Exactly one of ``contact_id`` and ``operations_user`` is set.

    ``security_stamp`` changes with everything that must end the account's sessions. ``second_factor``: a password alone
    starts none. ``has_password``: False where a sign-in provider alone says who it is.
    """

    id: UUID
    username: str
    contact_id: UUID | None
    operations_user: str | None
    enabled: bool
    failed_count: int
    locked_until: dt.datetime | None
    security_stamp: UUID
    created_at: dt.datetime
    last_sign_in: dt.datetime | None
    second_factor: bool = False
    has_password: bool = True


def credential_of(row: Mapping[str, Any]) -> Credential:
    """A row of ``forecourt.credential`` (columns of Credential) as a record."""
    return Credential(
        row["id"],
        row["username"],
        row["contact_id"],
        row["operations_user"],
        row["enabled"],
        row["failed_count"],
        row["locked_until"],
        row["security_stamp"],
        row["created_at"],
        row["last_sign_in"],
        row["second_factor"],
        row["password_hash"] is not None,
    )


def sign_in_refused() -> Refusal:
    """The one answer to every sign-in that fails."""
    return Refusal(
        "FC2001",
        "The user name or the password is not right.",
        hint="After several failures an account is locked for a while; then the right password is refused too.",
    )


#: What a change of an account does beside, in its transaction.
Also = Callable[[Transaction, Credential], Awaitable[None]]


class Accounts:
    """``failures``: how many wrong passwords lock an account; ``lock``: for how long."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        observer: Observer,
        passwords: Passwords,
        throttle: Throttle,
        *,
        policy: PasswordPolicy | None = None,
        failures: int = 5,
        lock: dt.timedelta = dt.timedelta(minutes=15),
    ) -> None:
        self._database = database
        self._clock = clock
        self._observer = observer
        self._passwords = passwords
        self._throttle = throttle
        self._policy = policy or PasswordPolicy()
        self._failures = failures
        self._lock = lock
        self._turns = tuple(asyncio.Lock() for _ in range(256))

    async def sign_in(self, username: str, password: str, address: str) -> Credential:
        """The account behind a name and a password that came from ``address``.

        Raises Refusal FC2001 (the same for every cause) or FC2004 when the address has failed too often.
        """
        name = _name(username)
        with self._passwords.seat():
            charge = await self._throttle.charge(address)
            row, credential = await self._attempt(name, password)
        if credential is None:
            locked = row is not None and row["enabled"] and row["reserved"] is None
            known = row["username"] if row else "(unknown)"  # a mistyped name may be a password
            self._observer(SignIn(known, "password", "locked" if locked else "refused"))
            raise sign_in_refused()
        await self._throttle.refund(charge)
        self._observer(SignIn(credential.username, "password", "ok"))
        return credential

    async def _attempt(self, name: str | None, password: str) -> tuple[Mapping[str, Any] | None, Credential | None]:
        """What is known of the account, and the account itself if the attempt counts and the password is right."""
        async with self._turns[hash(name.casefold() if name else None) % len(self._turns)]:
            now = self._clock()
            rows = await self._database.system(
                SystemPlan("count a sign-in attempt", _RESERVE, (name, now, self._failures, now + self._lock))
            )
            row = rows[0] if rows else None
            if row is not None and row["reserved"] is not None:
                return row, await self._proved(row, password)
        await self._passwords.verify(None, password)
        return row, None

    async def _proved(self, row: Mapping[str, Any], password: str) -> Credential | None:
        stored: str | None = row["password_hash"]
        if not await self._passwords.verify(stored, password) or stored is None:
            return None
        renewed = await self._passwords.hash(password) if self._passwords.outdated(stored) else None
        accepted = await self._database.system(
            SystemPlan("accept a sign-in", _ACCEPT, (row["reserved"], self._clock(), renewed, row["security_stamp"]))
        )
        return credential_of(accepted[0]) if accepted else None

    async def create(
        self, username: str, password: str, *, contact_id: UUID | None = None, operations_user: str | None = None
    ) -> Credential:
        """A new account for a contact or an operations user.

        Raises Refusal FC1003 for an unusable name or password, FC4091 when the name or the contact has an account.
        """
        if (contact_id is None) == (operations_user is None):
            raise ValueError("an account belongs either to a contact or to an operations user")
        name = _name(username)
        if name is None:
            raise Refusal(
                "FC1003", "The user name cannot be used.", hint="Use 1 to 256 visible characters.", source="username"
            )
        hashed = await self.hashed(password, name)
        rows = await self._database.system(
            SystemPlan("create an account", CREATE, (name, contact_id, operations_user, hashed, self._clock()))
        )
        if not rows:
            raise Refusal("FC4091", "This user name, or this contact, already has an account.", source="username")
        return credential_of(rows[0])

    async def change_password(
        self, username: str, current: str, new: str, address: str, also: Also | None = None
    ) -> Credential:
        """A person's own change: the current password is proved first, under the same limits as a sign-in.

        Ends all sessions of the account; the caller starts a new one from the answer.
        """
        self._policy.require(new, username)
        credential = await self.sign_in(username, current, address)
        return await self.set_password(credential.id, new, credential.username, also)

    async def set_password(
        self, credential_id: UUID, new: str, actor: str = "", also: Also | None = None
    ) -> Credential:
        """A new password, given by an administrator or after a proof. Ends all sessions, lifts a lock.

        ``actor``: whose doing it is, for the security log; '' for whoever runs this process; ``also``: what the same
        transaction does.
        """
        hashed = await self.hashed(new)
        async with self._database.transaction("set a password") as tx:
            if actor:
                await say_who(tx, actor)
            rows = await tx.fetch(RENEW, credential_id, hashed)
            if not rows:
                raise not_found("The account")
            credential = credential_of(rows[0])
            if also is not None:
                await also(tx, credential)
        return credential

    async def hashed(self, password: str, username: str = "") -> str:
        """The hash of a new password. Raises Refusal FC1003 unless the policy allows it."""
        self._policy.require(password, username)
        with self._passwords.seat():
            return await self._passwords.hash(password)

    async def disable(self, credential_id: UUID) -> None:
        """Nobody signs in to it any more, and its sessions end."""
        await self._touch("disable an account", _ENABLE, credential_id, False)

    async def enable(self, credential_id: UUID) -> None:
        """Takes ``disable`` back; ended sessions stay ended."""
        await self._touch("enable an account", _ENABLE, credential_id, True)

    async def unlock(self, credential_id: UUID) -> None:
        """Lifts a lock before its time."""
        await self._touch("unlock an account", _UNLOCK, credential_id)

    async def list(self) -> tuple[Credential, ...]:
        """All accounts by name."""
        rows = await self._database.system(SystemPlan("list accounts", _LIST))
        return tuple(credential_of(row) for row in rows)

    async def find(self, username: str) -> Credential | None:
        """The account of that name, for administrators."""
        rows = await self._database.system(SystemPlan("find an account", _FIND, (_name(username),)))
        return credential_of(rows[0]) if rows else None

    async def _touch(self, reason: str, sql: str, *args: object) -> None:
        if not await self._database.system(SystemPlan(reason, sql, args)):
            raise not_found("The account")


def _name(username: str) -> str | None:
    """The name as it is stored and looked for; None for what cannot be a name (no row has it)."""
    name = unicodedata.normalize("NFC", username).strip()
    if not name or len(name) > 256 or any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} for c in name):
        return None
    return name


async def say_who(transaction: Transaction, name: str) -> None:
    """Whose doing the changes of the transaction are, for the security log."""
    plan = acting(name)
    await transaction.execute(plan.sql, *plan.args)
