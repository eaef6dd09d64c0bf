"""The second factor of an account: codes of an authenticator app by time (TOTP, RFC 6238), and recovery codes.

A person enrols (a secret, as yet without effect), confirms with a first code, and gets ten recovery codes, which are
shown once and kept as hashes. From then on no session of the account begins without a code (``Sessions.start``).
Confirming ends all other sessions, for they began without one.

A code counts in its own step of 30 seconds and in the one before and after, and once: no code of a step that has been
used, or of an earlier one, is taken. As with passwords an attempt is counted before it is decided, and so many wrong
ones lock the second factor for a while; attempts are counted by address, too. A browser may be trusted for two weeks
and is not asked again; a new password and "sign out everywhere" end that.

Leaves out how a secret is encrypted (``vault``) and the wait between password and code (``pending``).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import pyotp
from pyotp.exceptions import OTPVerificationError

from forecourt.identity.accounts import Credential, credential_of, say_who
from forecourt.identity.clock import Clock
from forecourt.identity.throttle import Throttle
from forecourt.identity.vault import Vault, VaultError
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.observe import Fault, Observer, SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database, Transaction

COOKIE: Final = ".AspNet.TwoFactorRememberBrowser"
TRUST: Final = dt.timedelta(days=14)

#: Recovery codes that an account gets, of 80 random bits each.
CODES: Final = 10

_BY_TIME = re.compile(r"[0-9]{6}", re.ASCII)
_RECOVERY = re.compile(r"[a-z2-7]{16}", re.ASCII)
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

#: An enrolment that is not confirmed keeps its secret, so that a page that is opened again shows the same.
_ENROL: Final = """
insert into forecourt.second_factor (credential_id, secret, created_at) values ($1, $2, $3)
on conflict (credential_id) do update set created_at = excluded.created_at
where second_factor.confirmed_at is null
returning secret
"""
_UNCONFIRMED: Final = (
    "select secret from forecourt.second_factor where credential_id = $1 and confirmed_at is null for update"
)
_CONFIRM: Final = """
update forecourt.second_factor set confirmed_at = $2, last_step = $3, failed_count = 0, locked_until = null
where credential_id = $1
"""
#: $2: the stamp that the person's session has.
_SWITCH_ON: Final = """
update forecourt.credential set second_factor = true, security_stamp = gen_random_uuid()
where id = $1 and security_stamp = $2 and enabled returning *
"""
_SWITCH_OFF: Final = "update forecourt.credential set second_factor = false where id = $1 returning *"
_END: Final = """
update forecourt.credential set second_factor = false, security_stamp = gen_random_uuid() where id = $1 returning *
"""
_DROP: Final = "delete from forecourt.second_factor where credential_id = $1"

#: $1 account, $2 now, $3 limit, $4 the end of a lock that begins now. The conditions stand in the UPDATE, see accounts.
_RESERVE: Final = """
update forecourt.second_factor
set failed_count = case when locked_until is null then failed_count + 1 else 1 end,
    locked_until = case when locked_until is null and failed_count + 1 >= $3::int or $3::int <= 1
        then $4::timestamptz end
where credential_id = $1 and confirmed_at is not null and (locked_until is null or locked_until <= $2)
returning secret
"""
#: $2: the step of the code; null for a recovery code.
_ACCEPT: Final = """
update forecourt.second_factor
set last_step = coalesce($2::bigint, last_step), failed_count = 0, locked_until = null
where credential_id = $1 and confirmed_at is not null and ($2::bigint is null or last_step < $2::bigint)
returning credential_id
"""
_USE_CODE: Final = "delete from forecourt.recovery_code where credential_id = $1 and code_hash = $2 returning code_hash"
_FORGET_CODES: Final = "delete from forecourt.recovery_code where credential_id = $1"
_KEEP_CODES: Final = """
insert into forecourt.recovery_code (credential_id, code_hash)
select credential_id, unnest($2::bytea[]) from forecourt.second_factor
where credential_id = $1 and confirmed_at is not null
"""
_COUNT_CODES: Final = "select count(*) as left from forecourt.recovery_code where credential_id = $1"

_TRUST: Final = """
insert into forecourt.trusted_browser (id_hash, credential_id, security_stamp, expires_at) values ($1, $2, $3, $4)
"""
_TRUSTED: Final = """
select from forecourt.trusted_browser b join forecourt.credential c on c.id = b.credential_id
where b.id_hash = $1 and b.credential_id = $2 and b.expires_at > $3 and b.security_stamp = c.security_stamp
"""
_PURGE: Final = "delete from forecourt.trusted_browser where expires_at <= $1"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that is not confirmed: ``secret`` in base32, and as the address that an app reads from a code."""

    secret: str = field(repr=False)
    address: str = field(repr=False)


class SecondFactors:
    """``failures``: how many wrong codes lock a second factor; ``lock``: for how long; ``title``: what an app calls the
    account."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        observer: Observer,
        vault: Vault,
        title: str,
        *,
        failures: int = 5,
        lock: dt.timedelta = dt.timedelta(minutes=15),
    ) -> None:
        self._database = database
        self._clock = clock
        self._observer = observer
        self._vault = vault
        self._title = title
        self._failures = failures
        self._lock = lock
        refusal = "Too many wrong codes from this address."
        self._throttle = Throttle(database, clock, name="second factor", refusal=refusal)

    # -- enrolment ---------------------------------------------------------------------------------------------------

    async def enrol(self, credential: Credential) -> Enrolment:
        """A secret for an account without a second factor. Raises Refusal FC4091 where it has one."""
        made = self._vault.seal(pyotp.random_base32())
        rows = await self._database.system(SystemPlan("enrol", _ENROL, (credential.id, made, self._clock())))
        if not rows:
            raise Refusal("FC4091", "The account has a second factor already.", hint="Turn it off first.")
        secret = self._opened(rows[0]["secret"])
        uri = pyotp.TOTP(secret).provisioning_uri(name=credential.username, issuer_name=self._title.replace(":", " "))
        return Enrolment(secret, uri)

    async def confirm(self, credential: Credential, code: str) -> tuple[Credential, tuple[str, ...]]:
        """Puts an enrolment into effect; gives the account with its new stamp, and its recovery codes.

        Raises Refusal FC2007 for a code that is not of the secret, FC4091 where nothing is to be confirmed.
        """
        async with self._database.transaction("confirm a second factor") as tx:
            await say_who(tx, credential.username)
            rows = await tx.fetch(_UNCONFIRMED, credential.id)
            if not rows:
                raise Refusal("FC4091", "There is no second factor to confirm.", hint="Begin again.")
            step = self._step(self._opened(rows[0]["secret"]), _normal(code))
            if step is None:
                raise wrong_code()
            await tx.execute(_CONFIRM, credential.id, self._clock(), step)
            changed = await tx.fetch(_SWITCH_ON, credential.id, credential.security_stamp)
            if not changed:
                raise Refusal("FC2001", "You are not signed in any more.")
            codes = await _new_codes(tx, credential.id)
        self._observer(SignIn(credential.username, "second factor", "on"))
        return credential_of(changed[0]), codes

    async def codes_left(self, credential: Credential) -> int:
        """How many recovery codes are not used."""
        rows = await self._database.system(SystemPlan("count recovery codes", _COUNT_CODES, (credential.id,)))
        return int(rows[0]["left"])

    async def renew_codes(self, credential: Credential) -> tuple[str, ...]:
        """New recovery codes in place of all earlier ones, after a proof."""
        async with self._database.transaction("renew recovery codes") as tx:
            codes = await _new_codes(tx, credential.id)
        self._observer(SignIn(credential.username, "recovery codes", "renewed"))
        return codes

    async def turn_off(self, credential: Credential) -> Credential:
        """Takes the second factor away, after a proof of password and code."""
        return await self._without("turn a second factor off", _SWITCH_OFF, credential.id, credential.username)

    async def reset(self, credential_id: UUID) -> Credential:
        """Takes it away for an administrator, and ends all sessions. Raises Refusal FC4041."""
        return await self._without("reset a second factor", _END, credential_id, "")

    async def _without(self, reason: str, sql: str, credential_id: UUID, actor: str) -> Credential:
        async with self._database.transaction(reason) as tx:
            if actor:
                await say_who(tx, actor)
            await tx.execute(_DROP, credential_id)
            rows = await tx.fetch(sql, credential_id)
            if not rows:
                raise not_found("The account")
        return credential_of(rows[0])

    # -- proof -------------------------------------------------------------------------------------------------------

    async def prove(self, credential: Credential, code: str, address: str) -> None:
        """Uses a code up. Raises Refusal FC2007 for one that is not right or has been used; FC2004 while the second
        factor is locked, or when the address has tried too often."""
        charge = await self._throttle.charge(address)
        now, given = self._clock(), _normal(code)
        args = (credential.id, now, self._failures, now + self._lock)
        rows = await self._database.system(SystemPlan("count a code", _RESERVE, args))
        if not rows:
            self._observer(SignIn(credential.username, "second factor", "locked"))
            raise Refusal(
                "FC2004", "Too many wrong codes were given for this account.", hint="Wait some minutes and try again."
            )
        used = await self._used(credential.id, self._opened(rows[0]["secret"]), given)
        if not used:
            self._observer(SignIn(credential.username, "second factor", "refused"))
            raise wrong_code()
        await self._throttle.refund(charge)
        self._observer(SignIn(credential.username, used, "ok"))

    async def _used(self, credential_id: UUID, secret: str, given: str) -> str:
        """What kind of code was used up, '' for none."""
        if _RECOVERY.fullmatch(given):
            plan = SystemPlan("use a recovery code", _USE_CODE, (credential_id, _digest(given)))
            kind, step = "recovery code" if await self._database.system(plan) else "", None
        else:
            step = self._step(secret, given)
            kind = "second factor" if step is not None else ""
        if not kind:
            return ""
        accepted = await self._database.system(SystemPlan("accept a code", _ACCEPT, (credential_id, step)))
        return kind if accepted else ""

    def _step(self, secret: str, code: str) -> int | None:
        """The time step that a code is of; None for a wrong one."""
        if not _BY_TIME.fullmatch(code):
            return None
        try:
            return pyotp.TOTP(secret).verify_and_get_timecode(code, for_time=self._clock(), valid_window=1)
        except OTPVerificationError:
            return None

    def _opened(self, kept: str) -> str:
        try:
            return self._vault.open(kept)
        except VaultError as error:
            self._observer(Fault("second factor", error))
            raise Refusal(
                "FC2007",
                "Your second factor cannot be checked.",
                hint="Ask an administrator to reset your second factor.",
            ) from None

    # -- trusted browsers --------------------------------------------------------------------------------------------

    async def trust(self, credential: Credential) -> str:
        """The value of a cookie for a browser that is not asked again for two weeks."""
        value = secrets.token_urlsafe(32)
        args = (_digest(value), credential.id, credential.security_stamp, self._clock() + TRUST)
        await self._database.system(SystemPlan("trust a browser", _TRUST, args))
        return value

    async def trusts(self, credential: Credential, value: str | None) -> bool:
        """Whether a browser with this cookie is trusted for the account."""
        if value is None or not _COOKIE_VALUE.fullmatch(value):
            return False
        args = (_digest(value), credential.id, self._clock())
        return bool(await self._database.system(SystemPlan("look for a trusted browser", _TRUSTED, args)))

    async def purge(self) -> None:
        """Drops trust that has expired; for a timer."""
        await self._database.system(SystemPlan("purge trusted browsers", _PURGE, (self._clock(),)))


def set_cookie(value: str, *, secure: bool) -> str:
    """The ``Set-Cookie`` value of a trusted browser."""
    attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
    return f"{COOKIE}={value}{attributes}; Max-Age={int(TRUST.total_seconds())}"


def wrong_code() -> Refusal:
    """The one answer to a code that is wrong, of another time, or used."""
    return Refusal(
        "FC2007",
        "The code is not right.",
        hint="Wait for the next code of your app. Each code works once.",
        source="code",
    )


async def _new_codes(transaction: Transaction, credential_id: UUID) -> tuple[str, ...]:
    codes = tuple(base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(CODES))
    await transaction.execute(_FORGET_CODES, credential_id)
    await transaction.execute(_KEEP_CODES, credential_id, [_digest(code) for code in codes])
    return tuple("-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes)


def _normal(code: str) -> str:
    """A code as it is compared: people copy spaces, dashes and capitals.

    >>> _normal(" 123 456 "), _normal("ABCD-EFGH-ijkl-mnop")
    ('123456', 'abcdefghijklmnop')
    """
    return "".join(code.split()).replace("-", "").lower()


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("ascii")).digest()
