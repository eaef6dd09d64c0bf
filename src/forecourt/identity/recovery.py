"""A forgotten password: a link by mail leads to a new one. One answer, and the same work, for every address.

Only accounts of contacts can be recovered; the mail goes to the contact's ``emailaddress1`` as it is stored, never to
the text that was typed. An operations user's password is set by an administrator, and an account that signs in through
a provider alone gets none by mail: a mailbox would be a way around the provider.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from typing import Final

from forecourt.identity.accounts import RENEW, Accounts, Credential, credential_of, say_who
from forecourt.identity.links import Link, Links, ended
from forecourt.identity.mail.languages import PREFERRED
from forecourt.identity.mail.letters import Letters
from forecourt.identity.mail.message import is_address
from forecourt.identity.mail.outbox import Outbox
from forecourt.identity.registration import MailLimits, require_address
from forecourt.kernel.observe import Observer, SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database, Transaction
from forecourt.store.lanes import Record

LIFETIME: Final = dt.timedelta(minutes=60)

#: Accounts that share an address get a letter each, up to this many; for each that is missing the same work is done.
MOST: Final = 3

_FIND: Final = f"""
select c.*, p.emailaddress1, {PREFERRED} from forecourt.credential c
join dataverse.contact p on p.contactid = c.contact_id and p.statecode = 0
where c.enabled and c.password_hash is not null and p.emailaddress1 is not null and lower(p.emailaddress1) = lower($1)
order by lower(c.username) limit {MOST}
"""  # noqa: S608 -- no value of a request is in it

_EMAIL: Final = f"""
select p.emailaddress1, {PREFERRED} from forecourt.credential c join dataverse.contact p on p.contactid = c.contact_id
where c.id = $1
"""  # noqa: S608 -- no value of a request is in it


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
        outbox: Outbox,
    ) -> None:
        self._database = database
        self._observer = observer
        self._accounts = accounts
        self._links = links
        self._limits = limits
        self._letters = letters
        self._outbox = outbox

    async def ask(self, email: str, address: str, language: str) -> None:
        """Sends a link where an account has this address; nobody is told whether.

        ``language``: code of the one that the site is used in.

        Raises Refusal FC1003 for what is no address, FC2004 for a network address that asks too often.
        """
        wanted = require_address(email)
        allowed = await self._limits.admit(address, wanted)
        rows = await self._database.system(SystemPlan("find accounts by address", _FIND, (wanted,)))
        found: list[Record | None] = [row for row in rows if allowed and is_address(row["emailaddress1"])]
        async with self._database.transaction("write to somebody who forgot a password") as tx:
            for row in (found + [None] * MOST)[:MOST]:
                await self._write(tx, row, wanted, language)
        self._outbox.wake()

    async def peek(self, code: str) -> Link:
        """The account that a link leads to. Raises Refusal FC2006."""
        return await self._links.peek("reset", code)

    async def complete(self, code: str, password: str, language: str) -> Credential:
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
            await self._tell(tx, credential, language)
        self._outbox.wake()
        self._observer(SignIn(credential.username, "password reset", "ok"))
        return credential

    async def change(self, username: str, current: str, new: str, address: str, language: str) -> Credential:
        """:meth:`Accounts.change_password`, and the contact is written to about it."""
        tell = partial(self._tell, language=language)
        credential = await self._accounts.change_password(username, current, new, address, tell)
        self._outbox.wake()
        return credential

    async def _write(self, transaction: Transaction, row: Record | None, wanted: str, language: str) -> None:
        """A link to the account of a row; without one the same work for nobody."""
        if row is None:
            code = await self._links.issue(transaction, "nobody", LIFETIME, wanted)
            nobody = self._letters.recovery(language, wanted, wanted, code, LIFETIME)
            await self._outbox.put(transaction, replace(nobody, kind="nobody"))
            return
        credential, email = credential_of(row), row["emailaddress1"]
        code = await self._links.issue(transaction, "reset", LIFETIME, email, credential)
        spoken = self._letters.languages.of(row, language)
        await self._outbox.put(transaction, self._letters.recovery(spoken, email, credential.username, code, LIFETIME))

    async def _tell(self, transaction: Transaction, credential: Credential, language: str) -> None:
        """Writes to the account's contact that the password has changed."""
        row = await transaction.row(_EMAIL, credential.id)
        if row is not None and row["emailaddress1"] and is_address(row["emailaddress1"]):
            spoken = self._letters.languages.of(row, language)
            letter = self._letters.password_changed(spoken, row["emailaddress1"], credential.username)
            await self._outbox.put(transaction, letter)
