"""Mail goes out over SMTP: again where the server says later, encrypted and signed in where it wants that."""

from __future__ import annotations

import pytest

from forecourt.identity.letters import Letters
from forecourt.identity.mail import MailError, MailServer, Message, Smtp, is_address, server_of
from forecourt.kernel.observe import Fault, Observation
from support.mailbox import SENDER, Mailbox, mailbox, text_of

LETTERS = Letters("Nœud & <Söhne>", "https://portal.example", "us")


async def sent(box: Mailbox, message: Message, *, pauses: tuple[float, ...] = (0, 0), **server: str) -> list[str]:
    """What was observed."""
    seen: list[Observation] = []
    post = Smtp(MailServer("127.0.0.1", box.port, SENDER, **{"security": "none", **server}), seen.append, pauses)  # type: ignore[arg-type]
    post.send(message)
    await post.settle()
    await post.close()
    return [str(item.error) for item in seen if isinstance(item, Fault)]


async def test_a_server_that_says_later_gets_the_message_later() -> None:
    with mailbox() as box:
        box.answers += ["451 later", "421 later"]
        assert not await sent(box, LETTERS.has_account("ann@example.com"))
        assert [letter["To"] for letter in box.letters] == ["ann@example.com"]


async def test_what_the_server_never_takes_is_given_up_and_observed_without_the_address() -> None:
    with mailbox() as box:
        box.answers += ["451 later"] * 3
        (fault,) = await sent(box, LETTERS.has_account("ann@example.com"))
        assert "451" in fault and "ann" not in fault
    (fault,) = await sent(box, LETTERS.has_account("ann@example.com"), pauses=())
    assert "ConnectionRefusedError" in fault


async def test_no_message_goes_unencrypted_where_encryption_is_asked_for() -> None:
    with mailbox() as box:
        assert await sent(box, LETTERS.has_account("ann@example.com"), security="starttls")
        assert await sent(box, LETTERS.has_account("ann@example.com"), security="tls")
        assert await sent(box, LETTERS.has_account("ann@example.com"), user="u", password="p")
        assert not box.letters


async def test_letters_are_text_and_html_that_says_the_same() -> None:
    with mailbox() as box:
        assert not await sent(box, LETTERS.recovery("ann@example.com", "<ann>", "c&de", 60))
        (letter,) = box.letters
        assert letter["Subject"] == "A new password for Nœud & <Söhne>"
        assert "your account <ann> at Nœud & <Söhne>" in " ".join(text_of(letter).split())
        markup = text_of(letter, "html")
        assert "&lt;ann&gt;" in markup and "<ann>" not in markup and "code=c%26de" in markup


@pytest.mark.parametrize("wrong", [{"security": "ssl"}, {"sender": ""}, {"sender": "a\r\nBcc: b@x.example"}])
def test_settings_that_cannot_be_used_are_named(wrong: dict[str, str]) -> None:
    given = {"security": "none", "user": "", "password": "", "sender": SENDER, "authority": "", **wrong}
    with pytest.raises(MailError, match="FORECOURT_SMTP_"):
        server_of("localhost", 25, **given)


@pytest.mark.parametrize("text", ["a@b", "a.b+c@x-y.example", "o'neil@example.com"])
def test_people_have_such_addresses(text: str) -> None:
    assert is_address(text)
