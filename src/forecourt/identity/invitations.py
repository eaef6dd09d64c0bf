"""Invitations: a code that makes somebody a contact with web roles and an account.

An invitation is for one contact, or for whoever has the code and a mailbox; it counts until it expires or has been
redeemed as often as it may be (reference: pages-and-dataverse A3.5). Codes are kept as hashes. Redeeming one is a
single transaction: the count, the roles and the account, or nothing. A contact redeems an invitation once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from forecourt.identity.accounts import CREATE, Accounts, Credential, credential_of, say_who
from forecourt.identity.clock import Clock
from forecourt.identity.mappings import MAP_CONTACT
from forecourt.identity.throttle import Throttle
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Observer, SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database, Transaction

_CODE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

_CREATE: Final = """
insert into forecourt.invitation
    (code_hash, contact_id, account_id, web_roles, operations_user, most, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8) returning id
"""

_FIND: Final = """
select i.id, i.contact_id, coalesce(c.fullname, '') as name, coalesce(c.emailaddress1, '') as email, k.id as account
from forecourt.invitation i
left join dataverse.contact c on c.contactid = i.contact_id and c.statecode = 0
left join forecourt.credential k on k.contact_id = i.contact_id
where i.code_hash = $1 and i.expires_at > $2 and (i.most = 0 or i.redeemed < i.most)
  and (i.contact_id is null or c.contactid is not null)
"""

#: The conditions stand in the UPDATE, so that PostgreSQL looks at them again after it has waited for another person.
_COUNT: Final = """
update forecourt.invitation set redeemed = redeemed + 1
where id = $1 and expires_at > $2 and (most = 0 or redeemed < most) and (contact_id is null or contact_id = $3)
returning account_id, web_roles, operations_user
"""
_NOTE: Final = """
insert into forecourt.invitation_redemption (invitation_id, contact_id, at) values ($1, $2, $3)
on conflict do nothing returning contact_id
"""
_ROLES: Final = """
insert into dataverse.adx_webrole_contact (contactid, adx_webroleid) select $1, unnest($2::uuid[])
on conflict do nothing
"""
_ACCOUNT: Final = (
    "update dataverse.contact set parentcustomerid = $2, parentcustomerid_type = 'account' where contactid = $1"
)
_FIND_ACCOUNT: Final = """
select accountid from dataverse.account
where statecode = 0 and lower($1) in (accountid::text, lower(accountnumber), lower(name)) limit 2
"""


@dataclass(frozen=True, slots=True)
class Invitation:
    """One that still counts. ``contact_id`` None: for whoever has the code; ``has_account``: the contact signs in
    already."""

    id: UUID
    contact_id: UUID | None
    name: str
    email: str
    has_account: bool


class Invitations:
    """Makes invitations and redeems them."""

    def __init__(self, database: Database, clock: Clock, observer: Observer, accounts: Accounts) -> None:
        self._database = database
        self._clock = clock
        self._observer = observer
        self._accounts = accounts
        hour = dt.timedelta(hours=1)
        refusal = "Too many invitations were tried from this address."
        self._throttle = Throttle(database, clock, limit=30, window=hour, name="invitation", refusal=refusal)

    async def create(
        self,
        lifetime: dt.timedelta,
        *,
        contact: UUID | None = None,
        account: UUID | None = None,
        web_roles: Collection[UUID] = (),
        operations_user: str | None = None,
        most: int = 1,
        also: Callable[[Transaction, str], Awaitable[None]] | None = None,
    ) -> str:
        """The code of a new invitation. ``operations_user``: whom each is mapped to who redeems it, one that a portal
        may act as; ``most``: how many may redeem it, 0 for any number; ``also``: what the same
        transaction does with the code."""
        code, now = secrets.token_urlsafe(32), self._clock()
        row = (_digest(code), contact, account, list(web_roles), operations_user, most, now, now + lifetime)
        async with self._database.transaction("invite somebody") as tx:
            await tx.execute(_CREATE, *row)
            if also is not None:
                await also(tx, code)
        return code

    async def find_account(self, text: str) -> list[UUID]:
        """The active accounts with this id, number or name; two where it is ambiguous."""
        rows = await self._database.system(SystemPlan("find an account to invite to", _FIND_ACCOUNT, (text,)))
        return [row["accountid"] for row in rows]

    async def peek(self, code: str, address: str) -> Invitation:
        """The invitation that a code names, which stays as it is.

        Raises Refusal FC2006; FC2004 for a network address that has tried too many.
        """
        charge = await self._throttle.charge(address)
        rows = []
        if _CODE.fullmatch(code.strip()):
            args = (_digest(code.strip()), self._clock())
            rows = await self._database.system(SystemPlan("look at an invitation", _FIND, args))
        if not rows:
            raise no_invitation()
        await self._throttle.refund(charge)
        row = rows[0]
        return Invitation(row["id"], row["contact_id"], row["name"], row["email"], row["account"] is not None)

    async def accept(self, invitation: Invitation, password: str) -> Credential:
        """An account for the contact who is invited. Raises Refusal FC2006, FC1003."""
        if invitation.contact_id is None or invitation.has_account or not invitation.email:
            raise no_invitation()
        hashed = await self._accounts.hashed(password, invitation.email)
        async with self._database.transaction("accept an invitation") as tx:
            await say_who(tx, invitation.email)
            await self.redeem(tx, invitation.id, invitation.contact_id)
            rows = await tx.fetch(CREATE, invitation.email, invitation.contact_id, None, hashed, self._clock())
            if not rows:
                raise no_invitation()
        credential = credential_of(rows[0])
        self._observer(SignIn(credential.username, "invitation", "ok"))
        return credential

    async def join(self, invitation: Invitation, credential: Credential) -> None:
        """Redeems it for somebody who is signed in. Raises Refusal FC2006 unless it is for them."""
        if credential.contact_id is None:
            raise no_invitation()
        async with self._database.transaction("redeem an invitation") as tx:
            await say_who(tx, credential.username)
            await self.redeem(tx, invitation.id, credential.contact_id)

    async def redeem(self, transaction: Transaction, invitation_id: UUID, contact_id: UUID) -> None:
        """Counts it, and gives the contact what it promises. Raises Refusal FC2006."""
        now = self._clock()
        rows = await transaction.fetch(_COUNT, invitation_id, now, contact_id)
        if not rows or not await transaction.fetch(_NOTE, invitation_id, contact_id, now):
            raise no_invitation()
        await transaction.execute(_ROLES, contact_id, rows[0]["web_roles"])
        if rows[0]["operations_user"] is not None:
            # A mapping that is active stays: nobody can say that the invitation knows better.
            await transaction.execute(MAP_CONTACT, contact_id, rows[0]["operations_user"])
        if rows[0]["account_id"] is not None:
            await transaction.execute(_ACCOUNT, contact_id, rows[0]["account_id"])


def no_invitation() -> Refusal:
    """The one answer to a code that is wrong, expired, used up or somebody else's."""
    hint = "Look whether the code is whole, or ask for a new one."
    return Refusal("FC2006", "This invitation is not valid.", hint=hint, source="invitation")


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
