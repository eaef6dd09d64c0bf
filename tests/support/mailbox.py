"""A real SMTP server on loopback that keeps what it is given, and a browser without script at the account pages."""

from __future__ import annotations

import asyncio
import email
import html
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from forecourt.identity import csrf
from forecourt.settings import Settings
from support.server import Answer, Installation

SENDER = "portal@contoso.example"


@dataclass
class Mailbox:
    """What has come in, oldest first. ``answers``: replies to give first, in place of taking a message; ``asked``: it
    was offered one, which it takes when ``gate`` is open."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)
    asked: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.asked.set()
        await asyncio.to_thread(self.gate.wait, 60)
        if self.answers:
            return self.answers.pop(0)
        parsed = email.message_from_bytes(bytes(envelope.content or b""), policy=default)
        assert isinstance(parsed, EmailMessage)
        assert envelope.rcpt_tos == [parsed["To"]]
        with self.came:
            self.letters.append(parsed)
            self.came.notify_all()
        return "250 kept"

    async def arrived(self, count: int) -> EmailMessage:
        """The letter that is the ``count``-th to come, waited for."""
        await asyncio.wait_for(asyncio.to_thread(self._wait, count), 60)
        return self.letters[count - 1]

    def _wait(self, count: int) -> None:
        with self.came:
            self.came.wait_for(lambda: len(self.letters) >= count, 60)

    @property
    def settings(self) -> Settings:
        return Settings(
            password_grant=True,
            lane_size=4,
            smtp_host="127.0.0.1",
            smtp_port=self.port,
            smtp_security="none",
            smtp_from=SENDER,
            base_url="https://portal.example",
        )

    def to(self, address: str) -> list[EmailMessage]:
        return [letter for letter in self.letters if letter["To"] == address]


def text_of(letter: EmailMessage, kind: str = "plain") -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def link_in(letter: EmailMessage) -> str:
    """Path and query of the link in a letter, which both of its parts have."""
    found = re.search(r"https://portal\.example(/\S+)", text_of(letter))
    assert found is not None, text_of(letter)
    assert html.escape(found.group(0)) in text_of(letter, "html")
    return found.group(1)


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """The server, in a thread of its own, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        box = Mailbox(probe.getsockname()[1])
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Visitor:
    """A browser with cookies at the application, without script."""

    site: Installation
    cookies: dict[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    async def get(self, target: str) -> Answer:
        return await self._ask("GET", target)

    async def post(self, target: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """The fields as they are."""
        given = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await self._ask("POST", target, given, urlencode(fields).encode())

    async def fill(self, target: str, **fields: str) -> Answer:
        """Opens a page and sends its form with these fields filled in."""
        page = await self.get(target)
        assert page.status == 200, page.text
        return await self.post(urlsplit(target).path, {**hidden(page.text), **fields})

    async def _ask(self, method: str, target: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> Answer:
        given: dict[str, str] = {**self.headers, **headers}
        if self.cookies:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.site.ask(method, target, given, body)
        for name, value in answer.cookies.items():
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        if self.site.forecourt.sender is not None:
            await self.site.forecourt.sender.send_due()
        return answer


def hidden(text: str) -> dict[str, str]:
    """The hidden fields of the page's last form that carries the anti-forgery token."""
    for form in reversed(text.split("<form")[1:]):
        found: dict[str, Any] = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        if csrf.FIELD in found:
            return {name: html.unescape(value) for name, value in found.items()}
    raise AssertionError(text)
