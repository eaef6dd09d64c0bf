"""Registration and forgotten passwords by mail: nobody learns who is known, and no link works twice."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from forecourt.identity import csrf, sessions
from forecourt.identity.recovery import MOST
from forecourt.identity.throttle import Throttle
from forecourt.kernel.observe import SignIn, SystemWork
from forecourt.store.embedded import EmbeddedServer
from support.mailbox import SENDER, Mailbox, Visitor, hidden, link_in, mailbox, text_of
from support.server import Answer
from support.small_portal import SmallPortal, SmallSite, small_portal

PASSWORD = "Correct-horse-1"
REGISTER, CONFIRM = "/Account/Login/Register", "/Account/Login/ConfirmEmail"
FORGOT, RESET = "/Account/Login/ForgotPassword", "/Account/Login/ResetPassword"
OPEN = {"Authentication/Registration/OpenRegistrationEnabled": "true"}
NAMES = {"firstname": "Ada", "lastname": "Byron"}


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


@pytest.fixture
async def portal(postgres: EmbeddedServer, tmp_path: Path, box: Mailbox) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path, SmallSite(settings=OPEN), box.settings) as made:
        yield made


def shape(answer: Answer, *gone: str) -> tuple[object, ...]:
    """What an answer tells, without what is new each time and without the address that was typed."""
    text = re.sub(r'value="[A-Za-z0-9_-]{86}"', "", answer.text)
    for word in gone:
        text = text.replace(word, "ADDRESS").replace(word.replace("@", "@<wbr>"), "ADDRESS")
    own = {"x-correlation-id", "content-length", "set-cookie"}
    return answer.status, text, frozenset(answer.headers) - own


async def asked(portal: SmallPortal, target: str, email: str) -> Answer:
    return await Visitor(portal.site).fill(target, email=email)


async def registered(portal: SmallPortal, box: Mailbox, email: str = "ada@example.com") -> Visitor:
    await asked(portal, REGISTER, email)
    visitor = Visitor(portal.site)
    answer = await visitor.fill(link_in(box.to(email)[-1]), **NAMES, password=PASSWORD)
    assert answer.status == 303, answer.text
    return visitor


async def signs_in(portal: SmallPortal, username: str, password: str) -> bool:
    return (await Visitor(portal.site).fill("/SignIn", username=username, password=password)).status == 303


# -- registration ----------------------------------------------------------------------------------------------------


async def test_a_person_registers_by_mail_and_is_signed_in(portal: SmallPortal, box: Mailbox) -> None:
    answer = await asked(portal, REGISTER, "ada@example.com")
    assert answer.status == 200 and "ada@<wbr>example.com" in answer.text
    (letter,) = box.letters
    assert letter["From"] == SENDER and letter["Auto-Submitted"] == "auto-generated"
    assert not await portal.site.dataverse("select from dataverse.contact")
    visitor = Visitor(portal.site)
    done = await visitor.fill(link_in(letter), **NAMES, password=PASSWORD)
    assert (done.status, done.headers["location"]) == (303, "/?notice=registered")
    home = await visitor.get("/?notice=registered")
    assert "Ada Byron" in home.text and "Welcome." in home.text
    (contact,) = await portal.site.dataverse("select fullname, emailaddress1 from dataverse.contact")
    assert tuple(contact) == ("Ada Byron", "ada@example.com")
    assert await signs_in(portal, "ADA@example.com", PASSWORD)
    assert SignIn("ada@example.com", "registration", "ok") in portal.site.observed
    logged = await portal.site.dataverse(
        "select actor, outcome from forecourt.security_log where subject = 'credential'"
    )
    assert [tuple(row) for row in logged] == [("ada@example.com", "added")]


async def test_one_answer_for_whoever_is_known(portal: SmallPortal, box: Mailbox) -> None:
    await portal.person("known")
    await portal.site.dataverse(
        "insert into dataverse.contact (lastname, fullname, emailaddress1, statecode) values ('x', 'x', $1, 1)",
        "file@example.com",
    )
    emails = ("known@example.com", "KNOWN@example.com", "file@example.com", "new@example.com")
    shown = {shape(await asked(portal, REGISTER, email), email) for email in emails}
    assert len(shown) == 1
    assert "has an account already" in text_of(box.to("known@example.com")[0])
    assert "needs an invitation" in text_of(box.to("file@example.com")[0])
    assert link_in(box.to("new@example.com")[0]).startswith(CONFIRM)
    kept = await portal.site.dataverse("select purpose from forecourt.link order by purpose")
    assert [row[0] for row in kept] == ["nobody", "nobody", "nobody", "register"]


async def test_a_link_works_once_and_lasts_a_day(portal: SmallPortal, box: Mailbox) -> None:
    await asked(portal, REGISTER, "ada@example.com")
    target = link_in(box.letters[0])
    first, second = Visitor(portal.site), Visitor(portal.site)
    pages = [hidden((await visitor.get(target)).text) for visitor in (first, second)]
    answers = [
        await visitor.post(CONFIRM, {**page, **NAMES, "password": PASSWORD})
        for visitor, page in zip((first, second), pages, strict=True)
    ]
    assert [answer.status for answer in answers] == [303, 410]
    assert sessions.COOKIE not in second.cookies
    assert (await second.get(target)).status == 410
    await asked(portal, REGISTER, "eve@example.com")
    await portal.site.dataverse("update forecourt.link set expires_at = now()")
    assert (await first.get(link_in(box.to("eve@example.com")[0]))).status == 410


async def test_of_two_registrations_of_an_address_one_makes_an_account(portal: SmallPortal, box: Mailbox) -> None:
    for _ in range(2):
        await asked(portal, REGISTER, "ada@example.com")
    targets = [link_in(letter) for letter in box.letters]
    assert (await Visitor(portal.site).fill(targets[0], **NAMES, password=PASSWORD)).status == 303
    assert (await Visitor(portal.site).fill(targets[1], **NAMES, password="Another-horse-2")).status == 410
    assert await signs_in(portal, "ada@example.com", PASSWORD)


async def test_what_is_wrong_is_said_and_names_are_kept_but_no_password(portal: SmallPortal, box: Mailbox) -> None:
    await asked(portal, REGISTER, "ada@example.com")
    target, visitor = link_in(box.letters[0]), Visitor(portal.site)
    weak = await visitor.fill(target, firstname="Ada<b>", lastname="Byron", password="short")
    assert weak.status == 400 and "at least 8 characters" in weak.text and "Ada&lt;b&gt;" in weak.text
    assert "short" not in weak.text.replace("Go shorter", "")
    assert (await visitor.fill(target, firstname="", lastname="Byron", password=PASSWORD)).status == 400
    assert (await visitor.fill(target, firstname="x" * 51, lastname="Byron", password=PASSWORD)).status == 400
    assert (await visitor.fill(target, **NAMES, password="ada@example.com")).status == 400
    assert (await visitor.fill(target, **NAMES, password=PASSWORD)).status == 303


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@x.example",
        "a@b@c",
        "ada@example.com\r\nBcc: all@x.example",
        "a" * 300 + "@x.example",
        "a\0 b@x.example",
        "ada@exam ple.com",
        "<ada@example.com>",
    ],
)
async def test_what_is_no_address_gets_no_mail(portal: SmallPortal, box: Mailbox, email: str) -> None:
    for target in (REGISTER, FORGOT):
        visitor = Visitor(portal.site)
        page = hidden((await visitor.get(target)).text)
        assert (await visitor.post(target, {**page, "email": email})).status == 400
    assert not box.letters


async def test_links_lead_to_the_configured_origin_whatever_host_is_named(portal: SmallPortal, box: Mailbox) -> None:
    visitor = Visitor(portal.site, headers={"host": "evil.example", "x-forwarded-host": "evil.example"})
    await visitor.fill(REGISTER, email="ada@example.com")
    assert "evil" not in text_of(box.letters[0]) and link_in(box.letters[0])


async def test_forms_need_the_token_of_this_site(portal: SmallPortal, box: Mailbox) -> None:
    await portal.person("known")
    for target in (REGISTER, FORGOT):
        visitor = Visitor(portal.site)
        page = hidden((await visitor.get(target)).text)
        for fields, headers in (
            ({}, {}),
            ({csrf.FIELD: "x" * 86}, {}),
            (page, {"sec-fetch-site": "cross-site"}),
            (page, {"origin": "https://evil.example"}),
        ):
            answer = await visitor.post(target, {**fields, "email": "known@example.com"}, **headers)
            assert answer.status == 403
    assert not box.letters


async def test_a_session_that_was_planted_ends_with_registration(portal: SmallPortal, box: Mailbox) -> None:
    mallory = await portal.person("mallory")
    planted = (await mallory.cookie()).partition("=")[2]
    await asked(portal, REGISTER, "ada@example.com")
    visitor = Visitor(portal.site, {sessions.COOKIE: planted})
    answer = await visitor.fill(link_in(box.letters[0]), **NAMES, password=PASSWORD)
    assert answer.status == 303 and visitor.cookies[sessions.COOKIE] != planted
    assert "Ada Byron" in (await visitor.get("/")).text
    after = await Visitor(portal.site, {sessions.COOKIE: planted}).get("/")
    assert "mallory" not in after.text


async def test_mailboxes_are_not_flooded_and_nobody_is_told(portal: SmallPortal, box: Mailbox) -> None:
    answers = {shape(await asked(portal, REGISTER, "ada@example.com"), "ada@example.com") for _ in range(7)}
    assert len(answers) == 1 and len(box.letters) == 5
    for n in range(13):
        assert (await asked(portal, FORGOT, f"x{n}@example.com")).status == 200
    refused = await asked(portal, FORGOT, "y@example.com")
    assert refused.status == 429 and int(refused.headers["retry-after"]) > 60
    throttle: Throttle = portal.site.forecourt.throttle
    await throttle.refund(await throttle.charge("127.0.0.1"))  # sign-in is not what was used up


async def test_an_oversized_form_is_refused(portal: SmallPortal) -> None:
    visitor = Visitor(portal.site)
    page = hidden((await visitor.get(REGISTER)).text)
    assert (await visitor.post(REGISTER, {**page, "email": "x" * 600_000})).status == 413
    many = {f"f{n}": "" for n in range(600)}
    assert (await visitor.post(REGISTER, {**page, **many})).status == 400


@pytest.mark.parametrize(
    ("settings", "register", "forgot"),
    [
        ({}, 404, 200),
        ({"OpenRegistrationEnabled": "yes"}, 404, 200),
        ({"OpenRegistrationEnabled": "true", "Enabled": "false"}, 404, 200),
        ({"OpenRegistrationEnabled": "true", "RequiresInvitation": "true"}, 404, 200),
        ({"OpenRegistrationEnabled": "true", "LocalLoginEnabled": "false"}, 404, 404),
        ({"OpenRegistrationEnabled": "true", "ResetPasswordEnabled": "false"}, 200, 404),
    ],
)
async def test_settings_say_what_is_open(
    postgres: EmbeddedServer,
    tmp_path: Path,
    box: Mailbox,
    settings: dict[str, str],
    register: int,
    forgot: int,
) -> None:
    given = {f"Authentication/Registration/{name}": value for name, value in settings.items()}
    async with small_portal(postgres, tmp_path, SmallSite(settings=given), box.settings) as portal:
        visitor = Visitor(portal.site)
        assert (await visitor.get(REGISTER)).status == register
        assert (await visitor.get(FORGOT)).status == forgot
        page = (await visitor.get("/SignIn")).text
        assert (REGISTER in page, FORGOT in page) == (register == 200, forgot == 200)
        if settings.get("LocalLoginEnabled") == "false":
            token = (await visitor.get("/_layout/tokenhtml")).text
            fields = {csrf.FIELD: token.split('value="')[1].split('"')[0], "username": "x", "password": "y"}
            assert (await visitor.post("/SignIn", fields)).status == 404


async def test_without_a_mail_server_nobody_registers(postgres: EmbeddedServer, tmp_path: Path) -> None:
    async with small_portal(postgres, tmp_path, SmallSite(settings=OPEN)) as portal:
        for target in (REGISTER, FORGOT, CONFIRM, RESET):
            assert (await Visitor(portal.site).get(target)).status == 404
        assert "Ask " in (await Visitor(portal.site).get("/SignIn")).text


# -- forgotten passwords ---------------------------------------------------------------------------------------------


async def test_a_forgotten_password_is_set_again_and_all_sessions_end(portal: SmallPortal, box: Mailbox) -> None:
    visitor = await registered(portal, box)
    for n in range(5):
        assert not await signs_in(portal, "ada@example.com", f"Wrong-{n}-word")
    assert not await signs_in(portal, "ada@example.com", PASSWORD)  # locked
    await asked(portal, FORGOT, "Ada@Example.com")
    letter = box.letters[-1]
    assert letter["To"] == "ada@example.com"
    fresh = Visitor(portal.site)
    done = await fresh.fill(link_in(letter), password="Another-horse-2")
    assert (done.status, done.headers["location"]) == (303, "/SignIn?notice=password-set")
    assert "Your new password is set" in (await fresh.get("/SignIn?notice=password-set")).text
    assert sessions.COOKIE not in fresh.cookies
    assert "Ada Byron" not in (await visitor.get("/")).text
    assert not await signs_in(portal, "ada@example.com", PASSWORD)
    assert await signs_in(portal, "ada@example.com", "Another-horse-2")
    assert "has just been changed" in text_of(box.to("ada@example.com")[-1])


async def test_one_answer_for_whoever_has_an_account(portal: SmallPortal, box: Mailbox) -> None:
    await portal.person("known")
    off = await portal.person("off")
    account = await portal.site.forecourt.accounts.find("off")
    assert account is not None and off.contact is not None
    await portal.site.forecourt.accounts.disable(account.id)
    await portal.site.forecourt.accounts.create("boss@example.com", PASSWORD, operations_user="boss")
    emails = ("known@example.com", "off@example.com", "boss@example.com", "new@example.com")
    shown = {shape(await asked(portal, FORGOT, email), email) for email in emails}
    assert len(shown) == 1
    assert [letter["To"] for letter in box.letters] == ["known@example.com"]
    assert len(await portal.site.dataverse("select from forecourt.link")) == 4 * MOST


async def test_the_same_work_is_done_whoever_has_an_account(portal: SmallPortal) -> None:
    """The statements are the same, and so are the rows: what differs is which of them are sent."""
    await portal.person("known")
    done = set()
    for target in (REGISTER, FORGOT):
        for email in ("known@example.com", "unknown@example.com"):
            visitor, site = Visitor(portal.site), portal.site
            page = hidden((await visitor.get(target)).text)
            site.observed.clear()
            sending, sender = site.forecourt, site.forecourt.sender
            site.forecourt = replace(sending, sender=None)
            await visitor.post(target, {**page, "email": email})
            site.forecourt = replace(sending, sender=sender)
            work = tuple(item.reason for item in site.observed if isinstance(item, SystemWork))
            [rows] = await site.dataverse(
                "select count(*), (select count(*) from forecourt.link), max(length(sealed)) > 100 from forecourt.mail"
            )
            await site.dataverse("delete from forecourt.mail")
            await site.dataverse("delete from forecourt.link")
            done.add((target, work, tuple(rows)))
    assert len(done) == 2, sorted(done)


async def test_a_letter_is_in_the_language_that_the_person_prefers_or_the_site_was_used_in(
    portal: SmallPortal, box: Mailbox
) -> None:
    await registered(portal, box)
    await portal.site.dataverse("alter table dataverse.contact add column adx_preferredlcid int")
    await portal.site.dataverse("update dataverse.contact set adx_preferredlcid = 1036")
    await asked(portal, FORGOT, "ada@example.com")
    assert "mot de passe" in str(box.letters[-1]["Subject"])


async def test_a_used_link_and_a_changed_password_end_all_links(portal: SmallPortal, box: Mailbox) -> None:
    await registered(portal, box)
    for _ in range(3):
        await asked(portal, FORGOT, "ada@example.com")
    first, second, third = (link_in(letter) for letter in box.to("ada@example.com")[1:4])
    other = Visitor(portal.site)
    page = hidden((await other.get(second)).text)
    assert (await Visitor(portal.site).fill(first, password="Another-horse-2")).status == 303
    assert (await other.post(RESET, {**page, "password": "Third-horse-3"})).status == 410
    assert (await other.get(first)).status == (await other.get(third)).status == 410
    assert await signs_in(portal, "ada@example.com", "Another-horse-2")


async def test_a_link_is_worth_nothing_for_another_purpose_or_changed(portal: SmallPortal, box: Mailbox) -> None:
    await portal.person("known")
    await asked(portal, FORGOT, "known@example.com")
    await asked(portal, REGISTER, "ada@example.com")
    reset, register = (link_in(letter).partition("code=")[2] for letter in box.letters)
    visitor = Visitor(portal.site)
    for target in (
        f"{CONFIRM}?code={reset}",
        f"{RESET}?code={register}",
        f"{RESET}?code={reset[:-1]}",
        f"{RESET}?code=",
        RESET,
        f"{RESET}?code={'A' * 43}",
        f"{RESET}?code=%00%ff",
    ):
        assert (await visitor.get(target)).status == 410, target
    stored = await portal.site.dataverse("select code_hash, email from forecourt.link")
    assert not any(code.encode() in bytes(row["code_hash"]) for row in stored for code in (reset, register))


async def test_pages_with_a_code_are_kept_by_no_cache(portal: SmallPortal, box: Mailbox) -> None:
    await portal.person("known")
    await asked(portal, FORGOT, "known@example.com")
    page = await Visitor(portal.site).get(link_in(box.letters[0]))
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "strict-origin-when-cross-origin"


# -- mail ------------------------------------------------------------------------------------------------------------


async def test_a_mail_server_that_refuses_changes_no_answer(portal: SmallPortal, box: Mailbox) -> None:
    box.answers.append("554 not today")
    answer = await asked(portal, REGISTER, "ada@example.com")
    assert answer.status == 200 and not box.letters
    (fault,) = portal.site.faults
    assert "554" in str(fault.error) and "ada@" not in str(fault.error)
