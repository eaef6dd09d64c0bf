"""A process that writes or sends mail, and ends as it is told.

``mail_worker write DATABASE_URL TO`` dies as soon as a letter is committed; ``mail_worker sent DATABASE_URL PORT`` dies
after the mail server has taken a message, and ``mail_worker send DATABASE_URL PORT`` sends what is due.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime

from forecourt.identity.clock import utc_now
from forecourt.identity.mail.letters import Letters
from forecourt.identity.mail.message import Message
from forecourt.identity.mail.outbox import Outbox
from forecourt.identity.mail.sender import Sender
from forecourt.identity.mail.smtp import MailServer
from forecourt.identity.vault import Vault
from forecourt.kernel.observe import nobody
from forecourt.store.database import Database
from forecourt.web.translation import gettext, language_of
from support.mailbox import SENDER

LETTERS = Letters("Nœud & <Söhne>", "https://portal.example", "us", gettext, language_of)


@dataclass(frozen=True, slots=True)
class Mortal(MailServer):
    """Takes its process along as soon as a message is taken."""

    def transmit(self, message: Message, number: str, written: datetime) -> None:
        super(Mortal, self).transmit(message, number, written)
        os.kill(os.getpid(), signal.SIGKILL)


async def work(verb: str, url: str, last: str) -> None:
    database = await Database.open(url, lane_size=2)
    outbox = Outbox(database, utc_now, Vault())
    if verb == "write":
        async with database.transaction("write") as transaction:
            await outbox.put(transaction, LETTERS.has_account("en", last))
        os.kill(os.getpid(), signal.SIGKILL)
    kind = Mortal if verb == "sent" else MailServer
    sender = Sender(outbox, kind("127.0.0.1", int(last), SENDER, "none"), utc_now, nobody)
    print("ready", flush=True)
    sys.stdin.readline()
    print(await sender.send_due(), flush=True)
    sender.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:4]))
