"""Invitations give web roles and an account to whom they are for, as often as they may, and to nobody else."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from forecourt.cli.inviting import user
from forecourt.cli.mail import mail
from forecourt.store.embedded import EmbeddedServer
from support.mailbox import Mailbox, Visitor, hidden, link_in, mailbox, text_of
from support.small_portal import SmallPortal, SmallSite, id_of, small_portal

PASSWORD, PAGE, WEEK = "Correct-horse-1", "/Register", dt.timedelta(days=7)
MEMBERS = uuid.UUID(id_of("role", "Members"))
NAMES = {"firstname": "Ada", "lastname": "Byron"}


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


@pytest.fixture
async def portal(postgres: EmbeddedServer, tmp_path: Path, box: Mailbox) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path, SmallSite(), box.settings) as made:
        yield made


async def on_file(portal: SmallPortal, email: str = "ada@example.com", state: int = 0) -> uuid.UUID:
    rows = await portal.site.dataverse(
        "insert into dataverse.contact (firstname, lastname, emailaddress1, statecode) values ('Ada', 'Byron', $1, $2) "
        "returning contactid",
        email,
        state,
    )
    return uuid.UUID(str(rows[0][0]))


async def acme(portal: SmallPortal) -> uuid.UUID:
    rows = await portal.site.dataverse("insert into dataverse.account (name) values ('Acme') returning accountid")
    return uuid.UUID(str(rows[0][0]))


async def roles(portal: SmallPortal, contact: object) -> set[uuid.UUID]:
    sql = "select adx_webroleid from dataverse.adx_webrole_contact where contactid = $1"
    return {row[0] for row in await portal.site.dataverse(sql, contact)}


def address(code: str) -> str:
    return f"{PAGE}?invitation={code}"


async def test_a_contact_on_file_chooses_a_password_and_has_the_roles_and_the_account(portal: SmallPortal) -> None:
    contact, account = await on_file(portal), await acme(portal)
    invitations = portal.site.forecourt.invitations
    code = await invitations.create(
        WEEK, contact=contact, account=account, web_roles=[MEMBERS], operations_user="reader"
    )
    visitor = Visitor(portal.site)
    assert "Welcome, <strong>Ada Byron</strong>" in (await visitor.get(address(code))).text
    assert (await visitor.fill(address(code), password="x")).status == 400
    answer = await visitor.fill(address(code), password=PASSWORD)
    assert answer.headers["location"] == "/?notice=registered"
    assert "Acme" in (await visitor.get("/")).text
    principal = await portal.site.forecourt.principals.for_contact(contact)
    assert "Members" in principal.web_roles and principal.contact and principal.contact.account == account
    assert principal.operations_user is not None and principal.operations_user.id == "reader"
    assert (await Visitor(portal.site).get(address(code))).status == 410
    again = Visitor(portal.site)
    assert (await again.fill("/SignIn", username="ada@example.com", password=PASSWORD)).status == 303
    logged = await portal.site.dataverse(
        "select actor from forecourt.security_log where subject = 'adx_webrole_contact' order by id desc limit 1"
    )
    assert logged[0][0] == "ada@example.com"


async def test_a_group_invitation_registers_by_mail_as_often_as_it_may(portal: SmallPortal, box: Mailbox) -> None:
    code = await portal.site.forecourt.invitations.create(WEEK, web_roles=[MEMBERS], most=2)
    people = [f"p{n}@example.com" for n in range(3)]
    for email in people:
        answer = await Visitor(portal.site).fill(address(code), email=email)
        assert answer.status == 200 and "Look into your mail" in answer.text
    targets = [link_in(box.to(email)[0]) for email in people]
    answers = [await Visitor(portal.site).fill(target, **NAMES, password=PASSWORD) for target in targets]
    assert [answer.status for answer in answers] == [303, 303, 410]
    made = await portal.site.dataverse("select contactid from dataverse.contact order by emailaddress1")
    assert len(made) == 2  # of the third nothing is left
    for row in made:
        assert await roles(portal, row[0]) == {MEMBERS}


async def test_the_last_place_of_an_invitation_goes_to_one(portal: SmallPortal) -> None:
    invitations, accounts = portal.site.forecourt.invitations, portal.site.forecourt.accounts
    code = await invitations.create(WEEK, web_roles=[MEMBERS], most=1)
    people = [await portal.person(f"person{n}") for n in range(5)]
    credentials = [await accounts.find(person.username) for person in people]
    invitation = await invitations.peek(code, "192.0.2.1")
    tries = [invitations.join(invitation, credential) for credential in credentials if credential is not None]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    assert [item for item in ended if item is None] == [None]
    assert sum([len(await roles(portal, person.contact)) for person in people]) == 1


async def test_somebody_signed_in_adds_it_to_their_account_once(portal: SmallPortal) -> None:
    ann = await portal.person("ann")
    code = await portal.site.forecourt.invitations.create(WEEK, web_roles=[MEMBERS], most=0)
    visitor = Visitor(portal.site)
    await visitor.fill("/SignIn", username="ann", password=ann.password)
    page = await visitor.get(address(code))
    assert await roles(portal, ann.contact) == set()  # to open it is not to redeem it
    assert (await visitor.post(PAGE, {"invitation": code, "step": "join"})).status == 403
    assert (await visitor.post(PAGE, hidden(page.text))).headers["location"] == "/?notice=invited"
    assert await roles(portal, ann.contact) == {MEMBERS}
    assert (await visitor.fill(address(code))).status == 410


async def test_an_invitation_is_nobody_elses(portal: SmallPortal) -> None:
    contact = await on_file(portal)
    bob = await portal.person("bob")
    code = await portal.site.forecourt.invitations.create(WEEK, contact=contact, web_roles=[MEMBERS])
    visitor = Visitor(portal.site)
    await visitor.fill("/SignIn", username="bob", password=bob.password)
    assert (await visitor.fill(address(code))).status == 410
    assert await roles(portal, bob.contact) == set()


async def test_codes_that_do_not_count_look_alike(portal: SmallPortal) -> None:
    invitations = portal.site.forecourt.invitations
    old = await invitations.create(-WEEK, web_roles=[MEMBERS])
    gone = await invitations.create(WEEK, contact=await on_file(portal, state=1))
    answers = {
        (answer.status, "This invitation is not valid." in answer.text)
        for answer in [
            await Visitor(portal.site).get(address(code)) for code in (old, gone, "x", "A" * 43, old[:-1], "%00%ff")
        ]
    }
    assert answers == {(410, True)}
    stored = await portal.site.dataverse("select code_hash from forecourt.invitation")
    assert not any(code.encode() in bytes(row[0]) for row in stored for code in (old, gone))


async def test_codes_are_not_guessed(portal: SmallPortal) -> None:
    visitor = Visitor(portal.site)
    statuses = [(await visitor.get(address(f"{n:043}"))).status for n in range(31)]
    assert statuses == [410] * 30 + [429]


@pytest.mark.parametrize(
    ("settings", "status"), [({"InvitationEnabled": "false"}, 404), ({"Enabled": "false"}, 404), ({}, 200)]
)
async def test_settings_say_whether_there_are_invitations(
    postgres: EmbeddedServer, tmp_path: Path, settings: dict[str, str], status: int
) -> None:
    given = {f"Authentication/Registration/{name}": value for name, value in settings.items()}
    async with small_portal(postgres, tmp_path, SmallSite(settings=given)) as portal:
        assert (await Visitor(portal.site).get(PAGE)).status == status


async def test_an_invitation_is_mailed_by_the_server_and_what_is_not_sent_is_listed_sent_again_or_dropped(
    portal: SmallPortal, box: Mailbox
) -> None:
    await on_file(portal)
    root, sender = str(portal.site.root), portal.site.forecourt.sender
    assert sender is not None

    async def said(group: click.Group, verb: str, *words: str, code: int = 0) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, group, [verb, root, *words])
        assert result.exit_code == code, result.output
        return result.output

    given = ("--contact", "ada@example.com", "--role", "members", "--send")
    assert "waits to be sent" in await said(user, "invite", *given)
    box.answers.append("554 no")
    assert await sender.send_due() == 0
    [line] = (await said(mail, "list", code=1)).splitlines()
    assert "aside" in line and "ada@example.com" in line and "554" in line and "invitation=" not in line
    assert "1 due now." in await said(mail, "retry")
    assert await sender.send_due() == 1
    assert len(portal.site.faults) == 1
    code = text_of(box.letters[0]).partition("invitation=")[2].split()[0]
    assert (await Visitor(portal.site).fill(address(code), password=PASSWORD)).status == 303
    assert "Everything is sent." in await said(mail, "list")
    await on_file(portal, "eve@example.com")
    await said(user, "invite", "--contact", "eve@example.com", "--send")
    number = (await said(mail, "list")).split()[0]
    assert "1 dropped." in await said(mail, "drop", number)
    await said(mail, "drop", number, code=1)
    await said(user, "invite", "--send", code=2)
    assert len(box.letters) == 1


async def test_the_command_prints_an_address_that_works(portal: SmallPortal) -> None:
    contact = await on_file(portal)
    await acme(portal)
    given = ["--contact", "ada@example.com", "--role", "members", "--account", "acme", "--operations-user", "reader"]
    command = ["invite", str(portal.site.root), *given]
    result = await asyncio.to_thread(CliRunner().invoke, user, command)
    assert result.exit_code == 0, result.output
    code = result.output.strip().rpartition("invitation=")[2]
    answer = await Visitor(portal.site).fill(address(code), password=PASSWORD)
    assert answer.status == 303 and await roles(portal, contact) == {MEMBERS}
    principal = await portal.site.forecourt.principals.for_contact(contact)
    assert principal.operations_user is not None and principal.operations_user.id == "reader"
    for wrong in (
        ["--operations-user", "admin"],
        ["--role", "Nobody"],
        ["--account", "nowhere"],
        ["--contact", "x@example.com"],
    ):
        refused = await asyncio.to_thread(CliRunner().invoke, user, ["invite", str(portal.site.root), *wrong])
        assert refused.exit_code == 1
