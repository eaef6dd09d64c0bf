"""Mail: a message, and the post that carries it to an SMTP server.

Sending is never part of an answer: what a person sees, and how long it takes, is the same whether or not there was
anything to send. A message waits in memory while the server cannot be reached, for some minutes; one that a process
loses is asked for again by the person. Leaves out what is written (``letters``) and to whom it may be.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Final, Literal, Protocol, cast

from forecourt.kernel.errors import ForecourtError
from forecourt.kernel.observe import Fault, Observer

Security = Literal["starttls", "tls", "none"]

#: Seconds before each further attempt.
PAUSES: Final = (5.0, 30.0, 120.0)

#: Messages that wait at most; what comes then is given up, and observed.
WAITING: Final = 1000

#: An address without quotes, comments or routes: what people have.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{1,190}\Z)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class MailError(ForecourtError):
    """A message could not be sent, or the mail server's settings cannot be used."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server. ``authority``: file of certificates to check it against, '' for the system's."""

    host: str
    port: int
    sender: str
    security: Security = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A mail to one address, as plain text and as HTML."""

    to: str
    subject: str
    text: str
    html: str = field(repr=False)


class Post(Protocol):
    """Takes messages. ``send`` comes back at once."""

    def send(self, message: Message) -> None: ...


def server_of(host: str, port: int, security: str, user: str, password: str, sender: str, authority: str) -> MailServer:
    """A mail server from settings. Raises MailError for those that cannot be used."""
    if security not in ("starttls", "tls", "none"):
        raise MailError(f"FORECOURT_SMTP_SECURITY must be starttls, tls or none, not '{security}'.")
    if not is_address(sender):
        raise MailError("FORECOURT_SMTP_FROM must be the address that mail is sent from.")
    return MailServer(host, port, sender, cast(Security, security), user, password, authority)


def is_address(text: str) -> bool:
    """Whether a text is an e-mail address that mail can be sent to.

    >>> is_address("ann@example.com"), is_address("ann@example.com\\nBcc: all@example.com"), is_address("ann")
    (True, False, False)
    """
    return _ADDRESS.fullmatch(text) is not None and ".." not in text


class Smtp:
    """The post by SMTP: one connection per message, in a thread, one after the other."""

    def __init__(self, server: MailServer, observer: Observer, pauses: Sequence[float] = PAUSES) -> None:
        self._server = server
        self._observer = observer
        self._pauses = tuple(pauses)
        self._pool = ThreadPoolExecutor(1, "mail")
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, message: Message) -> None:
        """Sends in the background, again after a while where the server says "later" or is away."""
        if len(self._tasks) >= WAITING:
            self._observer(Fault("mail", MailError("Too many messages wait for the mail server.")))
            return
        task = asyncio.create_task(self._deliver(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Waits until everything is sent or given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Gives up what waits."""
        for task in self._tasks:
            task.cancel()
        await self.settle()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _deliver(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        composed = _composed(message, self._server.sender)
        for pause in (*self._pauses, None):
            try:
                await loop.run_in_executor(self._pool, _transmit, self._server, composed)
                return
            except (OSError, smtplib.SMTPException) as error:
                if pause is None or not _passing(error):
                    self._observer(Fault("mail", MailError(_said(error))))
                    return
            await asyncio.sleep(pause)


def _composed(message: Message, sender: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = message.to
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _transmit(server: MailServer, mail: EmailMessage) -> None:
    context = ssl.create_default_context(cafile=server.authority or None)
    if server.security == "tls":
        client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=20, context=context)
    else:
        client = smtplib.SMTP(server.host, server.port, timeout=20)
    with client:
        if server.security == "starttls":
            client.starttls(context=context)
        if server.user:
            client.login(server.user, server.password)
        client.send_message(mail)


def _passing(error: Exception) -> bool:
    """Whether it is worth another attempt: the server is away, or answered 4xx."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(400 <= code < 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    return not isinstance(error, ssl.SSLError | smtplib.SMTPNotSupportedError)


def _said(error: Exception) -> str:
    """What went wrong, without the addresses and the server's own words, which repeat them."""
    code = getattr(error, "smtp_code", "")
    return f"A message could not be sent: {type(error).__name__} {code}".rstrip() + "."
