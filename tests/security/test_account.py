"""A person's own account: devices that are signed in, the password, the profile; each its owner's alone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from forecourt.identity import csrf, sessions
from forecourt.security.rules import Scope
from forecourt.store.embedded import EmbeddedServer
from support.mailbox import Mailbox, Visitor, hidden, mailbox, text_of
from support.server import Person
from support.small_portal import PROFILE_FORM, Permission, SmallPortal, SmallSite, id_of, put, small_portal

MANAGE, PASSWORD_PAGE = "/Account/Manage", "/Account/Manage/ChangePassword"
NEW = "Another-horse-2"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@dataclass(frozen=True)
class ProfileSite(SmallSite):
    """With a page marked "Profile", whose form is the built-in one of contacts."""

    def write(self, root: Path) -> None:
        super().write(root)
        page = {
            "adx_webpageid": id_of("page", "Profile"),
            "adx_name": "Profile",
            "adx_partialurl": "profile",
            "adx_isroot": True,
            "adx_parentpageid": id_of("page", "Home"),
            "adx_publishingstateid": id_of("state", "Published"),
            "adx_entityform": id_of("form", "profile"),
        }
        put(root / "web-pages" / "profile" / "Profile.webpage.yml", page)
        marker = {"adx_name": "Profile", "adx_pageid": id_of("page", "Profile"), "adx_sitemarkerid": id_of("m", "p")}
        put(root / "sitemarker.yml", [marker])
        put(root / "basic-forms" / "profile" / "Profile.basicform.yml", PROFILE_FORM)


SELF = Permission("Own contact", "contact", Scope.SELF, "rw", ("Members",))


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


@pytest.fixture
async def portal(postgres: EmbeddedServer, tmp_path: Path, box: Mailbox) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path, ProfileSite([SELF]), box.settings) as made:
        yield made


async def device(person: Person, agent: str = "") -> Visitor:
    visitor = Visitor(person.site, headers={"user-agent": agent} if agent else {})
    answer = await visitor.fill("/SignIn", username=person.username, password=person.password)
    assert answer.status == 303, answer.text
    return visitor


async def here(visitor: Visitor) -> bool:
    return (await visitor.get(MANAGE)).status == 200


def handles(text: str) -> list[str]:
    return re.findall(r'name="device" value="([0-9a-f]{64})"', text)


# -- devices ---------------------------------------------------------------------------------------------------------


async def test_a_person_sees_their_devices_and_signs_one_out(portal: SmallPortal) -> None:
    ann = await portal.person("ann")
    first, second = await device(ann), await device(ann, FIREFOX)
    page = (await first.get(MANAGE)).text
    assert page.count("(this device)") == 1 and "Firefox on Linux" in page
    assert first.cookies[sessions.COOKIE] not in page and second.cookies[sessions.COOKIE] not in page
    (handle,) = handles(page)
    answer = await first.post(MANAGE, {**hidden(page), "device": handle, "everywhere": ""})
    assert answer.headers["location"] == "/Account/Manage?notice=device-signed-out"
    assert await here(first) and not await here(second)


async def test_nobody_signs_another_out(portal: SmallPortal) -> None:
    ann, bob = await portal.person("ann"), await portal.person("bob")
    hers, other, his = await device(ann), await device(ann), await device(bob)
    (handle,) = handles((await hers.get(MANAGE)).text)
    page = hidden((await his.get(MANAGE)).text)
    await his.post(MANAGE, {**page, "everywhere": "", "device": handle})
    for wrong in ("", "x", "%", "0" * 64):
        await his.post(MANAGE, {**page, "everywhere": "", "device": wrong})
    assert await here(hers) and await here(other)
    assert "ann" not in (await his.get(MANAGE)).text.replace("cannot", "")


async def test_signing_out_everywhere_ends_every_session(portal: SmallPortal) -> None:
    ann = await portal.person("ann")
    devices = [await device(ann) for _ in range(3)]
    stolen = dict(devices[0].cookies)
    answer = await devices[0].fill(MANAGE)
    assert answer.headers["location"] == "/SignIn?notice=signed-out-everywhere"
    for visitor in (*devices, Visitor(portal.site, stolen)):
        assert not await here(visitor)
    assert await here(await device(ann))


async def test_forms_of_the_account_need_the_sessions_token(portal: SmallPortal) -> None:
    ann, bob = await portal.person("ann"), await portal.person("bob")
    hers, his = await device(ann), await device(bob)
    for fields, headers in (
        ({}, {}),
        (hidden((await his.get(MANAGE)).text), {}),
        (hidden((await hers.get(MANAGE)).text), {"sec-fetch-site": "cross-site"}),
    ):
        answer = await hers.post(MANAGE, {**fields, "everywhere": "1"}, **headers)
        assert answer.status == 403 and await here(hers)
        sent = {**fields, "current": ann.password, "password": NEW}
        assert (await hers.post(PASSWORD_PAGE, sent, **headers)).status == 403
    assert await here(await device(ann))


async def test_a_visitor_is_asked_to_sign_in_first(portal: SmallPortal) -> None:
    for target in (MANAGE, PASSWORD_PAGE):
        answer = await Visitor(portal.site).get(target)
        assert (answer.status, answer.headers["location"]) == (303, f"/SignIn?returnUrl={target}")
        assert (await Visitor(portal.site).post(target, {csrf.FIELD: "x"})).status == 303


# -- the password ----------------------------------------------------------------------------------------------------


async def test_a_changed_password_signs_out_all_other_devices_and_is_told_by_mail(
    portal: SmallPortal, box: Mailbox
) -> None:
    ann = await portal.person("ann")
    first, second = await device(ann), await device(ann)
    before = first.cookies[sessions.COOKIE]
    answer = await first.fill(PASSWORD_PAGE, current=ann.password, password=NEW)
    assert answer.headers["location"] == "/Account/Manage?notice=password-changed"
    assert first.cookies[sessions.COOKIE] != before
    assert await here(first) and not await here(second)
    assert not await here(Visitor(portal.site, {sessions.COOKIE: before}))
    assert "has just been changed" in text_of(box.to("ann@example.com")[0])
    logged = await portal.site.dataverse(
        "select actor, detail::text from forecourt.security_log where subject = 'credential' order by id desc limit 1"
    )
    assert logged[0][0] == "ann" and '"password_hash"' in logged[0][1] and "argon2" not in logged[0][1]


async def test_an_open_browser_is_not_enough_to_change_the_password(portal: SmallPortal, box: Mailbox) -> None:
    ann = await portal.person("ann")
    visitor = await device(ann)
    for n in range(5):
        answer = await visitor.fill(PASSWORD_PAGE, current=f"Wrong-{n}-word", password=NEW)
        assert answer.status == 401 and "current password is not right" in answer.text
        assert f"Wrong-{n}" not in answer.text
    locked = await visitor.fill(PASSWORD_PAGE, current=ann.password, password=NEW)
    assert locked.status == 401 and not box.letters
    weak = await visitor.fill(PASSWORD_PAGE, current=ann.password, password="x")
    assert weak.status == 400


# -- the profile -----------------------------------------------------------------------------------------------------


async def test_a_person_changes_their_own_contact_under_their_permissions(portal: SmallPortal) -> None:
    ann, bob = await portal.person("ann", "Members"), await portal.person("bob")
    visitor = await device(ann)
    assert 'href="/profile/"' in (await visitor.get(MANAGE)).text
    saved = await visitor.fill("/profile/", firstname="Ann", lastname="Berg", mobilephone="+1 555 0100")
    assert saved.status == 303, saved.text
    rows = await portal.site.dataverse(
        "select fullname, mobilephone, emailaddress1 from dataverse.contact where contactid = $1", ann.contact
    )
    assert tuple(rows[0]) == ("Ann Berg", "+1 555 0100", "ann@example.com")
    target = f"/profile/?id={bob.contact}"
    await visitor.fill(target, firstname="Eve", lastname="Eve", emailaddress1="eve@example.com")
    rows = await portal.site.dataverse(
        "select fullname, emailaddress1 from dataverse.contact where contactid = $1", bob.contact
    )
    assert tuple(rows[0]) == ("bob", "bob@example.com")
    refused = await (await device(bob)).get("/profile/")
    assert refused.status in (403, 404)
