"""Whom a sign-in provider vouches for, as accounts: known ones, new ones, connected ones.

The subject of an issuer is one account (``forecourt.external_identity``); an address never is. Somebody whom nobody
knows yet comes in, in this order (reference: pages-and-dataverse A3.4):

* by an invitation, as the contact that it is for, or as a new one;
* as the one contact with an address that the provider has verified, where its ``AllowContactMappingWithEmail`` says so;
* as a new contact, where registration is open and no contact has the address;
* else not at all. Everything is one transaction.

A contact that exists is never reached by an address otherwise: what it may see was entered for a person whom the
company knows. An invitation does not lead into an account that exists: who has one signs in first. Claims are written
into columns of text and of yes and no, cut to the column's length. Leaves out the second factor, which an account has
whatever has vouched for it (``Sessions.start``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from forecourt.identity.accounts import CREATE, Credential, credential_of, say_who
from forecourt.identity.clock import Clock
from forecourt.identity.invitations import Invitations, no_invitation
from forecourt.identity.mail.message import is_address
from forecourt.identity.providers.client import Vouched
from forecourt.identity.providers.definitions import ClaimMapping, Provider
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Observer, SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.catalog import Table
from forecourt.store.database import Database, Transaction

_KNOWN: Final = """
select c.* from forecourt.external_identity e join forecourt.credential c on c.id = e.credential_id
where e.issuer = $1 and e.subject = $2
"""
_SEEN: Final = """
with seen as (update forecourt.external_identity set last_sign_in = $3, label = $4 where issuer = $1 and subject = $2
    returning credential_id)
update forecourt.credential c set last_sign_in = $3 from seen where c.id = seen.credential_id
"""
#: The same lock as a registration by mail: two registrations of one address take turns.
_TURN: Final = "select pg_advisory_xact_lock(hashtextextended('forecourt.registration ' || lower($1), 0))"
_BY_EMAIL: Final = """
select contactid, statecode from dataverse.contact where lower(emailaddress1) = lower($1) limit 2
"""
_TAKEN: Final = "select exists (select from forecourt.credential where lower(username) = lower($1))"
_ACCOUNT: Final = "select * from forecourt.credential where contact_id = $1 for update"
_INVITED: Final = "select contact_id from forecourt.invitation where id = $1"
_NAME: Final = "select coalesce(emailaddress1, '') from dataverse.contact where contactid = $1 and statecode = 0"
_CONTACT: Final = """
insert into dataverse.contact (firstname, lastname, fullname, emailaddress1) values ($1, $2, $3, $4)
returning contactid
"""
_LINK: Final = """
insert into forecourt.external_identity (credential_id, provider, issuer, subject, label, created_at, last_sign_in)
values ($1, $2, $3, $4, $5, $6, $6) on conflict do nothing returning id
"""
_FULL_NAME: Final = """
update dataverse.contact set fullname = left(concat_ws(' ', nullif(firstname, ''), nullif(lastname, '')), 160)
where contactid = $1
"""
_LIST: Final = """
select id, provider, label, created_at, last_sign_in from forecourt.external_identity
where credential_id = $1 order by provider, created_at
"""
_HOLD: Final = "select password_hash is not null as has_password from forecourt.credential where id = $1 for update"
_COUNT: Final = "select count(*) as all from forecourt.external_identity where credential_id = $1"
_UNLINK: Final = "delete from forecourt.external_identity where id = $1 and credential_id = $2 returning provider"
_END_SESSIONS: Final = "delete from forecourt.session where credential_id = $1 and provider = $2"


How = Literal["made", "invited", "matched"]


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """One that an account is connected with. ``label``: what the provider calls the person."""

    id: UUID
    provider: str
    label: str
    created_at: dt.datetime
    last_sign_in: dt.datetime | None


class ExternalIdentities:
    """``registers``: whether anybody new may come in; ``matches``: as a contact with their address, too; ``opens``: as
    a new contact without an invitation. ``contact``: the table of contacts, for what claims may be written to."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        observer: Observer,
        invitations: Invitations,
        contact: Table,
        *,
        registers: bool = False,
        matches: bool = False,
        opens: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._observer = observer
        self._invitations = invitations
        self._columns = contact.columns
        self._registers = registers
        self._matches = matches
        self._opens = opens

    async def arrive(self, provider: Provider, vouched: Vouched, invitation: UUID | None = None) -> Credential:
        """The account of somebody whom a provider vouches for, made where the rules let it be.

        Raises Refusal FC2009 for somebody who may not come in, FC2006 for an invitation that is not for them.
        """
        rows = await self._database.system(
            SystemPlan("find an external identity", _KNOWN, (vouched.issuer, vouched.subject))
        )
        if rows:
            credential = credential_of(rows[0])
            if not credential.enabled:
                self._observer(SignIn(credential.username, provider.name, "refused"))
                raise Refusal("FC2009", "The account is disabled.", hint="Ask an administrator to enable it.")
            await self._note(provider, vouched, credential)
        else:
            credential = await self._register(provider, vouched, invitation)
        self._observer(SignIn(credential.username, provider.name, "ok"))
        return credential

    async def connect(self, credential: Credential, provider: Provider, vouched: Vouched) -> None:
        """Connects an account that has been proved with an identity. Raises Refusal FC4091 where either has another."""
        async with self._database.transaction("connect an external identity") as tx:
            await say_who(tx, credential.username)
            await self._link(tx, credential.id, provider, vouched)

    async def list(self, credential: Credential) -> tuple[ExternalIdentity, ...]:
        """The identities that an account is connected with."""
        rows = await self._database.system(SystemPlan("list external identities", _LIST, (credential.id,)))
        return tuple(ExternalIdentity(*row) for row in rows)

    async def disconnect(self, credential: Credential, identity: UUID) -> None:
        """Takes an identity from an account, and ends the sessions that it began. Another account's names nothing.

        Raises Refusal FC4091 for the only way to sign in that an account has.
        """
        async with self._database.transaction("disconnect an external identity") as tx:
            await say_who(tx, credential.username)
            [held] = await tx.fetch(_HOLD, credential.id)
            [counted] = await tx.fetch(_COUNT, credential.id)
            if not held["has_password"] and counted["all"] < 2:
                raise Refusal(
                    "FC4091", "You sign in this way alone.", hint="Connect another one first.", source="identity"
                )
            for row in await tx.fetch(_UNLINK, identity, credential.id):
                await tx.execute(_END_SESSIONS, credential.id, row["provider"])

    # -- registration ------------------------------------------------------------------------------------------------

    async def _register(self, provider: Provider, vouched: Vouched, invitation: UUID | None) -> Credential:
        if not (self._registers and provider.registration):
            raise self._unknown(provider)
        async with self._database.transaction("register by a provider") as tx:
            await say_who(tx, f"{provider.name} {vouched.subject}"[:256])
            if vouched.email:
                await tx.execute(_TURN, vouched.email)
            contact, how = await self._contact_for(tx, provider, vouched, invitation)
            if invitation is not None:
                await self._invitations.redeem(tx, invitation, contact)
            await self._write(tx, contact, vouched, (*provider.on_registration, *provider.on_sign_in))
            credential = await self._account_of(tx, contact, how, vouched)
            await self._link(tx, credential.id, provider, vouched)
        self._observer(SignIn(credential.username, "registration", "ok"))
        return credential

    async def _contact_for(
        self, tx: Transaction, provider: Provider, vouched: Vouched, invitation: UUID | None
    ) -> tuple[UUID, How]:
        """The contact that somebody new is, and how that is known."""
        if invitation is not None:
            [invited] = await tx.fetch(_INVITED, invitation) or [None]
            if invited is None:
                raise no_invitation()
            if invited["contact_id"] is not None:
                return invited["contact_id"], "invited"
        found = await tx.fetch(_BY_EMAIL, vouched.email) if vouched.email else []
        if self._matches and provider.by_email and len(found) == 1 and found[0]["statecode"] == 0:
            return found[0]["contactid"], "matched"
        if invitation is None and not self._opens:
            raise self._unknown(provider)
        if found:
            raise Refusal(
                "FC2009",
                "Your e-mail address is on file here already.",
                hint="Ask for an invitation, or sign in the way you did before and connect this one there.",
            )
        first, last = _names(vouched)
        full = f"{first} {last}".strip()
        email = vouched.email if len(vouched.email) <= 100 and is_address(vouched.email) else None
        contact: UUID = await tx.value(_CONTACT, first, last, full, email)
        return contact, "made"

    async def _account_of(self, tx: Transaction, contact: UUID, how: How, vouched: Vouched) -> Credential:
        """The contact's account, without a password where it is new."""
        rows = [] if how == "made" else await tx.fetch(_ACCOUNT, contact)
        if rows and how == "invited":
            raise Refusal(
                "FC2009",
                "You have an account already.",
                hint="Sign in the way you did before, then open the invitation again.",
            )
        if rows:
            credential = credential_of(rows[0])
            if not credential.enabled:
                raise Refusal("FC2009", "The account is disabled.", hint="Ask an administrator to enable it.")
            return credential
        email = vouched.email if how == "made" else await tx.value(_NAME, contact)
        if email is None:
            raise Refusal("FC2009", "The contact is not active.", hint="Ask the company to activate it.")
        name = str(contact) if not email or await tx.value(_TAKEN, email) else email
        rows = await tx.fetch(CREATE, name, contact, None, None, self._clock())
        if not rows:
            raise Refusal("FC2009", "No account can be made.", hint="Begin again.")
        return credential_of(rows[0])

    async def _link(self, tx: Transaction, credential_id: UUID, provider: Provider, vouched: Vouched) -> None:
        label, now = _label(vouched), self._clock()
        row = (credential_id, provider.name, vouched.issuer, vouched.subject, label, now)
        if not await tx.fetch(_LINK, *row):
            raise Refusal(
                "FC4091",
                "The provider is connected already.",
                hint="An account has one identity of each provider, and an identity belongs to one account.",
                source="provider",
            )

    async def _note(self, provider: Provider, vouched: Vouched, credential: Credential) -> None:
        """What every sign-in writes down."""
        async with self._database.transaction("sign in by a provider") as tx:
            await say_who(tx, credential.username)
            await tx.execute(_SEEN, vouched.issuer, vouched.subject, self._clock(), _label(vouched))
            if credential.contact_id is not None:
                await self._write(tx, credential.contact_id, vouched, provider.on_sign_in)

    async def _write(self, tx: Transaction, contact: UUID, vouched: Vouched, mappings: Sequence[ClaimMapping]) -> None:
        """Claims into the contact's columns; what is not there, or neither text nor yes or no, changes nothing."""
        values: dict[str, str | bool] = {}
        for mapping in mappings:
            column = self._columns.get(mapping.column)
            source: Mapping[str, Any] = vouched.user_info if mapping.from_user_info else vouched.claims
            value = source.get(mapping.claim, vouched.user_info.get(mapping.claim))
            if column is None or column.generated:
                continue
            if column.type == "bool" and isinstance(value, bool):
                values[mapping.column] = value
            elif column.type in ("text", "varchar") and isinstance(value, str):
                values[mapping.column] = "".join(sign for sign in value if sign.isprintable())[: column.length]
        if not values:
            return
        # The names are those of the database's own catalog.
        places = ", ".join(f'"{name}" = ${place}' for place, name in enumerate(values, 2))
        same = " or ".join(f'"{name}" is distinct from ${place}' for place, name in enumerate(values, 2))
        sql = f"update dataverse.contact set {places} where contactid = $1 and ({same})"  # noqa: S608
        await tx.execute(sql, contact, *values.values())
        if values.keys() & {"firstname", "lastname"}:
            await tx.execute(_FULL_NAME, contact)

    def _unknown(self, provider: Provider) -> Refusal:
        self._observer(SignIn("(unknown)", provider.name, "refused"))
        return Refusal(
            "FC2009",
            "Nobody here is connected with your identity at the provider.",
            hint="Ask for an invitation, or sign in the way you did before and connect this one there.",
        )


def _names(vouched: Vouched) -> tuple[str, str]:
    """First and last name of a new contact, as the provider says them."""
    sources = (vouched.claims, vouched.user_info)

    def text(claim: str) -> str:
        found = next((source[claim] for source in sources if isinstance(source.get(claim), str)), "")
        return " ".join("".join(sign if sign.isprintable() else " " for sign in found).split())[:50]

    first, last = text("given_name"), text("family_name")
    return (first, last) if last else (first, text("name") or text("preferred_username") or "(no name)")


def _label(vouched: Vouched) -> str:
    """What the person's own page calls an identity."""
    for claim in ("email", "preferred_username", "name"):
        value = vouched.claims.get(claim, vouched.user_info.get(claim))
        if isinstance(value, str) and value.strip():
            return "".join(sign for sign in value if sign.isprintable())[:100]
    return vouched.subject[:100]
