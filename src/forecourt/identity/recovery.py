"""A forgotten password: a link by mail leads to a new one. One answer, and the same work, for every address.

Only accounts of contacts can be recovered; the mail goes to the contact's ``emailaddress1`` as it is stored, never to
the text that was typed. An operations user's password is set by an administrator, and an account that signs in through
a provider alone gets none by mail: a mailbox would be a way around the provider.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from forecourt.identity.accounts import RENEW, Accounts, Credential, credential_of, say_who
from forecourt.identity.letters import Letters
from forecourt.identity.links import Link, Links, ended
from forecourt.identity.mail import Post, is_address
from forecourt.identity.registration import MailLimits, require_address
from forecourt.kernel.observe import Observer, SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

LIFETIME: Final = dt.timedelta(minutes=60)

#: Accounts that share an address get a letter each, up to this many.
MOST: Final = 3

_FIND: Final = """
select c.*, p.emailaddress1 from forecourt.credential c
join dataverse.contact p on p.contactid = c.contact_id and p.statecode = 0
where c.enabled and c.password_hash is not null and p.emailaddress1 is not null and lower(p.emailaddress1) = lower($1)
order by lower(c.username) limit 3
"""

_EMAIL: Final = """
select p.emailaddress1 from forecourt.credential c join dataverse.contact p on p.contactid = c.contact_id
where c.id = $1
"""


class Recovery:
    """Sends links and takes the new passwords."""

    def __init__(
        self,
        database: Database,
        observer: Observer,
        accounts: Accounts,
        links: Links,
        limits: MailLimits,
        letters: Letters,
        post: Post,
    ) -> None:
        self._database = database
        self._observer = observer
        self._accounts = accounts
        self._links = links
        self._limits = limits
        self._letters = letters
        self._post = post

    async def ask(self, email: str, address: str) -> None:
        """Sends a link where an account has this address; nobody is told whether.

        Raises Refusal FC1003 for what is no address, FC2004 for a network address that asks too often.
        """
        wanted = require_address(email)
        allowed = await self._limits.admit(address, wanted)
        rows = await self._database.system(SystemPlan("find accounts by address", _FIND, (wanted,)))
        found = [row for row in rows if allowed and is_address(row["emailaddress1"])]
        for row in found[:MOST]:
            credential = credential_of(row)
            code = await self._links.issue("reset", LIFETIME, row["emailaddress1"], credential)
            minutes = int(LIFETIME.total_seconds()) // 60
            self._post.send(self._letters.recovery(row["emailaddress1"], credential.username, code, minutes))
        if not found:
            await self._links.issue("nobody", LIFETIME, wanted)

    async def peek(self, code: str) -> Link:
        """The account that a link leads to. Raises Refusal FC2006."""
        return await self._links.peek("reset", code)

    async def complete(self, code: str, password: str) -> Credential:
        """Sets the password, uses the link up, ends all sessions, lifts a lock. Raises Refusal FC2006, FC1003."""
        link = await self.peek(code)
        hashed = await self._accounts.hashed(password, link.username)
        async with self._database.transaction("set a forgotten password") as tx:
            await say_who(tx, link.username)
            await self._links.consume(tx, code)
            rows = await tx.fetch(RENEW, link.credential_id, hashed)
            if not rows:
                raise ended()
        credential = credential_of(rows[0])
        self._observer(SignIn(credential.username, "password reset", "ok"))
        await self.tell(credential)
        return credential

    async def tell(self, credential: Credential) -> None:
        """Writes to the account's contact that the password has changed."""
        rows = await self._database.system(SystemPlan("find an account's address", _EMAIL, (credential.id,)))
        email = rows[0]["emailaddress1"] if rows else None
        if email and is_address(email):
            self._post.send(self._letters.password_changed(email, credential.username))
