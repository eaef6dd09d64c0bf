"""Mail waits in the database until the mail server has it: nothing is lost, and nothing is readable for longer."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest

from forecourt.identity.mail.languages import Languages
from forecourt.identity.mail.message import Letter, is_address
from forecourt.identity.mail.outbox import KEPT, Outbox
from forecourt.identity.mail.sender import Sender
from forecourt.identity.mail.smtp import MailError, MailServer, server_of
from forecourt.identity.schema import SCRIPTS
from forecourt.identity.vault import Vault
from forecourt.kernel.observe import Fault, Observation
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.migrate import migrate
from support.mail_worker import LETTERS
from support.mailbox import SENDER, Mailbox, link_in, mailbox, text_of
from support.postgres import fresh_database

HOUR, KEY = dt.timedelta(hours=1), "a key of thirty-two characters or more"


@dataclass
class Desk:
    """An outbox over a database, a sender and a mail server. ``now``: the time of all of them."""

    url: str
    database: Database
    box: Mailbox
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    seen: list[Observation] = field(default_factory=list)

    def outbox(self, key: str = "") -> Outbox:
        return Outbox(self.database, lambda: self.now, Vault(key))

    async def write(self, *letters: Letter, key: str = "") -> None:
        async with self.database.transaction("write") as transaction:
            for letter in letters:
                await self.outbox(key).put(transaction, letter)

    async def send(self, key: str = "", **server: object) -> int:
        given = MailServer("127.0.0.1", self.box.port, SENDER, "none")
        sender = Sender(self.outbox(key), replace(given, **server), lambda: self.now, self.seen.append)  # type: ignore[arg-type]
        sent = await sender.send_due()
        sender.close()
        return sent

    async def kept(self, column: str) -> list[object]:
        async with self.database.transaction("look") as transaction:
            return [
                row[0] for row in await transaction.fetch(f"select {column} from forecourt.mail order by created_at")
            ]

    @property
    def faults(self) -> list[str]:
        found = [str(item.error) for item in self.seen if isinstance(item, Fault)]
        self.seen.clear()
        return found


@pytest.fixture(scope="module")
async def made(postgres: EmbeddedServer) -> AsyncIterator[tuple[str, Database]]:
    async with fresh_database(postgres) as url:
        database = await Database.open(url, lane_size=4)
        await migrate(database, SCRIPTS)
        yield url, database
        await database.close()


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as running:
        yield running


@pytest.fixture
async def desk(made: tuple[str, Database], box: Mailbox) -> Desk:
    url, database = made
    await database.script("start anew", "delete from forecourt.mail")
    return Desk(url, database, box)


def news(to: str = "ann@example.com", language: str = "en") -> Letter:
    return LETTERS.has_account(language, to)


def reset(code: str = "the-secret-code") -> Letter:
    return LETTERS.recovery("en", "ann@example.com", "<ann>", code, HOUR)


# -- sent, and when ---------------------------------------------------------------------------------------------------


async def test_mail_is_there_with_what_caused_it_and_not_without(desk: Desk) -> None:
    with suppress(ZeroDivisionError):
        async with desk.database.transaction("write") as transaction:
            await desk.outbox().put(transaction, news())
            raise ZeroDivisionError
    assert await desk.send() == 0
    await desk.write(news())
    assert await desk.send() == 1
    assert [letter["To"] for letter in desk.box.letters] == ["ann@example.com"]
    assert await desk.kept("id") == []


async def test_a_server_that_is_down_or_says_later_gets_the_message_later_and_the_pauses_grow(desk: Desk) -> None:
    await desk.write(news())
    assert await desk.send(port=1) == 0
    desk.box.answers += ["451 later", "421 later"]
    for seconds in (5, 20, 80):
        assert not desk.box.letters
        desk.now += dt.timedelta(seconds=seconds - 1)
        assert await desk.send() == 0  # not due yet: the server is not asked
        desk.now += dt.timedelta(seconds=1)
        await desk.send()
    assert [letter["To"] for letter in desk.box.letters] == ["ann@example.com"]
    faults = desk.faults
    assert len(faults) == 3 and "ConnectionRefusedError" in faults[0] and "451" in faults[1]
    assert not any("ann" in fault for fault in faults)


async def test_what_the_server_refuses_for_good_is_set_aside_and_does_not_hold_up_the_rest(desk: Desk) -> None:
    desk.box.answers.append("554 no")
    await desk.write(news("one@example.com"))
    desk.now += dt.timedelta(seconds=1)
    await desk.write(news("two@example.com"))
    assert await desk.send() == 1
    outbox = desk.outbox()
    assert await outbox.count() == (0, 1)
    (kept,) = await outbox.list()
    assert (kept.recipient, kept.kind, kept.due_at, kept.whole) == ("one@example.com", "has account", None, True)
    assert "554" in kept.said
    desk.now += HOUR
    assert await desk.send() == 0
    assert await outbox.retry(uuid4()) == 0
    assert await outbox.retry() == 1
    assert await desk.send() == 1
    assert [letter["To"] for letter in desk.box.letters] == ["two@example.com", "one@example.com"]
    await desk.write(news())
    (kept,) = await outbox.list()
    assert (await outbox.drop(kept.id), await outbox.drop(kept.id)) == (True, False)


async def test_no_message_goes_unencrypted_where_encryption_is_asked_for(desk: Desk) -> None:
    given: tuple[dict[str, object], ...] = (
        {"security": "starttls"},
        {"security": "tls"},
        {"user": "u", "password": "p"},
    )
    for server in given:
        await desk.write(news())
        assert await desk.send(**server) == 0
    assert not desk.box.letters and await desk.outbox().count() == (0, 3)


# -- secrets ----------------------------------------------------------------------------------------------------------


async def test_a_code_that_waits_is_sealed_and_gone_when_it_is_sent_or_of_no_use(desk: Desk) -> None:
    await desk.write(reset(), key=KEY)
    (sealed,) = await desk.kept("mail::text")
    assert "the-secret-code" not in str(sealed) and "ann@example.com" in str(sealed)
    assert await desk.send(key=KEY) == 1 and await desk.kept("id") == []
    assert "the-secret-code" in link_in(desk.box.letters[0])
    await desk.write(reset("another-code"))
    desk.now += HOUR
    assert await desk.send() == 0  # too late: it is not sent any more
    outbox = desk.outbox()
    assert await outbox.tidy() == 1 and await outbox.tidy() == 0
    assert await desk.kept("sealed") == [None]
    (kept,) = await outbox.list()
    assert (kept.due_at, kept.whole, kept.said) == (None, False, "It could not be sent in time.")
    assert await outbox.retry() == 0 == await outbox.retry(kept.id)
    desk.now += KEPT
    await outbox.tidy()
    assert await desk.kept("id") == []


async def test_a_text_that_cannot_be_unsealed_is_set_aside_and_does_not_hold_up_the_rest(desk: Desk) -> None:
    await desk.write(news("one@example.com"), key=KEY)
    await desk.write(news("two@example.com"))
    assert await desk.send() == 1
    (kept,) = await desk.outbox().list()
    assert kept.recipient == "one@example.com" and "FORECOURT_SECRET_KEY" in kept.said


async def test_nobodys_mail_is_not_sent_and_not_shown(desk: Desk) -> None:
    await desk.write(replace(reset(), kind="nobody"))
    assert await desk.outbox().list() == [] and await desk.outbox().count() == (0, 0)
    assert await desk.send() == 0 and await desk.kept("id") == [] and not desk.box.letters


# -- several processes ------------------------------------------------------------------------------------------------


async def process(verb: str, *arguments: object) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "support.mail_worker", verb, *(str(item) for item in arguments)]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd="tests")


async def test_a_process_that_dies_before_sending_loses_nothing_and_after_sending_repeats_one(desk: Desk) -> None:
    """A copy comes only of what the mail server had taken when the process died, under the same Message-ID."""
    writer, dying = await process("write", desk.url, "ann@example.com"), await process("sent", desk.url, desk.box.port)
    assert await writer.wait() == -9
    assert dying.stdin is not None
    dying.stdin.write(b"go\n")
    assert await dying.wait() == -9
    assert len(desk.box.letters) == 1
    async with desk.database.transaction("wait until the dead hand is open") as transaction:
        assert len(await transaction.fetch("select id from forecourt.mail for update")) == 1
    desk.now = dt.datetime.now(dt.UTC)
    assert await desk.send() == 1
    first, copy = desk.box.letters
    assert first["Message-ID"] == copy["Message-ID"] and first["Date"] == copy["Date"]


async def test_two_processes_send_each_message_once(desk: Desk) -> None:
    other = await process("send", desk.url, desk.box.port)
    assert other.stdout is not None and other.stdin is not None
    assert await other.stdout.readline() == b"ready\n"
    await desk.write(*(news(f"p{n}@example.com") for n in range(40)))
    other.stdin.write(b"go\n")
    sent = await desk.send()
    told = int(await other.stdout.readline())
    assert await other.wait() == 0 and sent + told == 40
    assert sorted(letter["To"] for letter in desk.box.letters) == sorted(f"p{n}@example.com" for n in range(40))


async def test_a_sender_that_is_told_to_end_ends_with_the_message_in_hand(desk: Desk) -> None:
    desk.box.gate.clear()
    sender = Sender(
        desk.outbox(), MailServer("127.0.0.1", desk.box.port, SENDER, "none"), lambda: desk.now, desk.seen.append
    )
    await desk.write(news(), news("bob@example.com"))
    running = asyncio.create_task(sender.run())
    await asyncio.to_thread(desk.box.asked.wait, 60)
    running.cancel()
    desk.box.gate.set()
    await asyncio.wait({running})
    sender.close()
    assert len(desk.box.letters) == 1 and len(await desk.kept("id")) == 1


# -- words ------------------------------------------------------------------------------------------------------------


async def test_letters_are_text_and_html_that_says_the_same(desk: Desk) -> None:
    await desk.write(reset("c&de"))
    assert await desk.send() == 1
    (letter,) = desk.box.letters
    assert letter["Subject"] == "A new password for Nœud & <Söhne>"
    assert "your account <ann> at Nœud & <Söhne>" in " ".join(text_of(letter).split())
    markup = text_of(letter, "html")
    assert "&lt;ann&gt;" in markup and "<ann>" not in markup and "code=c%26de" in markup


@pytest.mark.parametrize(("code", "word"), [("de-AT", "Passwort"), ("fr-FR", "mot de passe"), ("ja-JP", "password")])
def test_letters_speak_the_persons_language(code: str, word: str) -> None:
    message = LETTERS.password_changed(code, "ann@example.com", "ann").message
    assert word in message.subject and word in message.text and word in message.html
    assert f'lang="{code[:2] if code[:2] != "ja" else "en"}"' in message.html


def test_a_preferred_language_counts_before_the_one_that_the_site_was_used_in() -> None:
    languages = Languages("en-US", {"11111111-1111-1111-1111-111111111111": "fr-FR"})
    assert languages.of({"preferred_language": "11111111-1111-1111-1111-111111111111"}, "de-DE") == "fr-FR"
    assert languages.of({"preferred_language": "22222222-1111-1111-1111-111111111111"}, "de-DE") == "de-DE"
    assert languages.of({"preferred_number": "-7"}) == "en-US"


@pytest.mark.parametrize("wrong", [{"security": "ssl"}, {"sender": ""}, {"sender": "a\r\nBcc: b@x.example"}])
def test_settings_that_cannot_be_used_are_named(wrong: dict[str, str]) -> None:
    given = {"security": "none", "user": "", "password": "", "sender": SENDER, "authority": "", **wrong}
    with pytest.raises(MailError, match="FORECOURT_SMTP_"):
        server_of("localhost", 25, **given)


@pytest.mark.parametrize("text", ["a@b", "a.b+c@x-y.example", "o'neil@example.com"])
def test_people_have_such_addresses(text: str) -> None:
    assert is_address(text)
