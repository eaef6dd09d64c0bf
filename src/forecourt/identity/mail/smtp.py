"""The mail server: its settings, and one message handed over to it by SMTP.

Decides whether a failure is worth another attempt. Leaves out when that is (``sender``).
"""

from __future__ import annotations

import datetime as dt
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, Literal, cast

from forecourt.identity.mail.message import Message, is_address
from forecourt.kernel.errors import ForecourtError

Security = Literal["starttls", "tls", "none"]

#: Seconds that each step of a conversation with the server may take.
PATIENCE: Final = 20


class MailError(ForecourtError):
    """A message could not be sent, or the settings of the server cannot be used. ``passing``: try again."""

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


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

    def transmit(self, message: Message, number: str, written: dt.datetime) -> None:
        """Hands a message over; blocks. ``number``: the same at each attempt, hence for a copy; ``written``: its date.

        Raises MailError, which names neither the address nor what the server said of it.
        """
        try:
            self._transmit(_composed(message, self.sender, number, written))
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise MailError(_said(error), _passing(error)) from None

    def _transmit(self, mail: EmailMessage) -> None:
        context = ssl.create_default_context(cafile=self.authority or None)
        if self.security == "tls":
            client: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=PATIENCE, context=context)
        else:
            client = smtplib.SMTP(self.host, self.port, timeout=PATIENCE)
        with client:
            if self.security == "starttls":
                client.starttls(context=context)
            if self.user:
                client.login(self.user, self.password)
            client.send_message(mail)


def server_of(host: str, port: int, security: str, user: str, password: str, sender: str, authority: str) -> MailServer:
    """A mail server from settings. Raises MailError for those that cannot be used."""
    if security not in ("starttls", "tls", "none"):
        raise MailError(f"FORECOURT_SMTP_SECURITY must be starttls, tls or none, not '{security}'.")
    if not is_address(sender):
        raise MailError("FORECOURT_SMTP_FROM must be the address that mail is sent from.")
    return MailServer(host, port, sender, cast(Security, security), user, password, authority)


def _composed(message: Message, sender: str, number: str, written: dt.datetime) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = message.to
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = format_datetime(written)
    mail["Message-ID"] = f"<{number}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _passing(error: Exception) -> bool:
    """Whether it is worth another attempt: the server is away, or answered 4xx."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(400 <= code < 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    return not isinstance(error, ssl.SSLError | smtplib.SMTPNotSupportedError | ValueError)


def _said(error: Exception) -> str:
    """What went wrong, without the addresses and the server's own words, which repeat them."""
    code: object = getattr(error, "smtp_code", "")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = " ".join(str(item) for item in sorted({code for code, _ in error.recipients.values()}))
    return f"A message could not be sent: {type(error).__name__} {code}".rstrip() + "."
