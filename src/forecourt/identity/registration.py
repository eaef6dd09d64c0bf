"""Registration: from an e-mail address to a contact with an account.

A person first says an address, and everything else after following the link that was sent there. So an address is
confirmed before anything exists, nobody can prepare an account with a password of theirs for somebody else's address,
and there is one answer whatever is known of the address: what differs is what the mail says.

An address of a contact that exists never leads to that contact: who it is, and what it may see, was entered by others,
and mail is a weak proof. It needs an invitation. (Reference: pages-and-dataverse A3.3, RequireUniqueEmail.)
"""

from __future__ import annotations

import datetime as dt
import hashlib
import unicodedata
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from forecourt.identity.accounts import CREATE, Accounts, Credential, credential_of, say_who
from forecourt.identity.clock import Clock
from forecourt.identity.invitations import Invitations
from forecourt.identity.links import Link, Links, Purpose, ended
from forecourt.identity.mail.languages import PREFERRED
from forecourt.identity.mail.letters import Letters
from forecourt.identity.mail.message import is_address
from forecourt.identity.mail.outbox import Outbox
from forecourt.identity.throttle import Throttle
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Observer, SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

LIFETIME: Final = dt.timedelta(hours=24)

#: Longest first and last name: the contact's columns.
LONGEST_NAME: Final = 50

_KNOWN: Final = f"""
select exists (
    select from forecourt.credential c left join dataverse.contact p on p.contactid = c.contact_id
    where lower(c.username) = lower($1) or lower(p.emailaddress1) = lower($1)) as account,
exists (select from dataverse.contact where lower(emailaddress1) = lower($1)) as contact, preferred.*
from (values (1)) one left join (
    select {PREFERRED} from dataverse.contact p where lower(p.emailaddress1) = lower($1) and p.statecode = 0 limit 1
) preferred on true
"""  # noqa: S608 -- no value of a request is in it

#: Two registrations of one address take turns.
_TURN: Final = "select pg_advisory_xact_lock(hashtextextended('forecourt.registration ' || lower($1), 0))"

_CONTACT: Final = """
insert into dataverse.contact (firstname, lastname, fullname, emailaddress1) values ($1, $2, $3, $4)
returning contactid
"""


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who registers, in their own words."""

    first_name: str
    last_name: str

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


class MailLimits:
    """How many mails may be asked for: 20 an hour from an address of the network, 5 an hour to one of mail.

    More than the first is refused; more than the second is not sent, without a word, since it says nothing of whoever
    asks now.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        hour = dt.timedelta(hours=1)
        refusal = "Too many mails were asked for from this address."
        self._asker = Throttle(database, clock, limit=20, window=hour, name="mail from", refusal=refusal)
        self._mailbox = Throttle(database, clock, limit=5, window=hour, name="mail to")

    async def admit(self, address: str, email: str) -> bool:
        """Whether a mail may go. Raises Refusal FC2004 for a network address that asks too often."""
        await self._asker.charge(address)
        try:
            await self._mailbox.charge(hashlib.sha256(email.lower().encode()).hexdigest())
        except Refusal:
            return False
        return True


class Registration:
    """Registration by e-mail, open or by an invitation."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        observer: Observer,
        accounts: Accounts,
        links: Links,
        limits: MailLimits,
        letters: Letters,
        outbox: Outbox,
        invitations: Invitations,
    ) -> None:
        self._invitations = invitations
        self._database = database
        self._clock = clock
        self._observer = observer
        self._accounts = accounts
        self._links = links
        self._limits = limits
        self._letters = letters
        self._outbox = outbox

    async def ask(self, email: str, address: str, language: str, invitation: UUID | None = None) -> None:
        """Writes to ``email``; what the letter says depends on who that is, and nothing else does.

        ``language``: code of the one that the site is used in.

        Raises Refusal FC1003 for what is no address, FC2004 for a network address that asks too often.
        """
        wanted = require_address(email)
        allowed = await self._limits.admit(address, wanted)
        [known] = await self._database.system(SystemPlan("look whether an address is known", _KNOWN, (wanted,)))
        free = not known["account"] and not known["contact"]
        language = self._letters.languages.of(known, language)
        async with self._database.transaction("write to somebody who registers") as tx:
            purpose: Purpose = "register" if free and allowed else "nobody"
            code = await self._links.issue(tx, purpose, LIFETIME, wanted, None, invitation)
            if free:
                letter = self._letters.registration(language, wanted, code, LIFETIME)
            elif known["account"]:
                letter = self._letters.has_account(language, wanted)
            else:
                letter = self._letters.known(language, wanted)
            await self._outbox.put(tx, letter if allowed else replace(letter, kind="nobody"))
        self._outbox.wake()

    async def peek(self, code: str) -> Link:
        """The registration that a link leads to. Raises Refusal FC2006."""
        return await self._links.peek("register", code)

    async def complete(self, code: str, applicant: Applicant, password: str) -> Credential:
        """Makes the contact and its account, and uses the link up: all of it or nothing.

        Raises Refusal FC2006 for the link, FC1003 for the names or the password.
        """
        link = await self.peek(code)
        person = require_names(applicant)
        hashed = await self._accounts.hashed(password, link.email)
        async with self._database.transaction("register a person") as tx:
            await say_who(tx, link.email)
            await tx.execute(_TURN, link.email)
            await self._links.consume(tx, code)
            [known] = await tx.fetch(_KNOWN, link.email)
            if known["account"] or known["contact"]:
                raise ended()
            contact = await tx.value(_CONTACT, person.first_name, person.last_name, person.full_name, link.email)
            rows = await tx.fetch(CREATE, link.email, contact, None, hashed, self._clock())
            if not rows:
                raise ended()
            if link.invitation_id is not None:
                await self._invitations.redeem(tx, link.invitation_id, contact)
        credential = credential_of(rows[0])
        self._observer(SignIn(credential.username, "registration", "ok"))
        return credential


def require_address(email: str) -> str:
    """The address as it is kept. Raises Refusal FC1003."""
    wanted = unicodedata.normalize("NFC", email).strip()
    if len(wanted) > 100 or not is_address(wanted):
        raise Refusal("FC1003", "This is not an e-mail address.", hint="Write it as name@example.com.", source="email")
    return wanted


def require_names(applicant: Applicant) -> Applicant:
    """The names as they are kept. Raises Refusal FC1003."""
    names = []
    for label, source, text in (
        ("first", "firstname", applicant.first_name),
        ("last", "lastname", applicant.last_name),
    ):
        name = " ".join(unicodedata.normalize("NFC", text).split())
        if not name or len(name) > LONGEST_NAME or any(unicodedata.category(sign)[0] == "C" for sign in name):
            raise Refusal("FC1003", f"Your {label} name needs 1 to {LONGEST_NAME} characters.", source=source)
        names.append(name)
    return Applicant(*names)
