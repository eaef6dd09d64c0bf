"""Signing in through a provider: who comes in, as whom, and that nobody comes in who was not vouched for here."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from urllib.parse import urlsplit

import pytest
from test_second_factor import TWO_FACTOR, code_of, protected

from forecourt.identity import pending, sessions
from forecourt.identity.accounts import Credential
from forecourt.store.embedded import EmbeddedServer
from support.mailbox import Visitor, hidden
from support.providers import CLIENT, SECRET, Provider, approve, own_provider, person_at, stock_provider
from support.server import Answer, Person
from support.small_portal import SmallPortal, SmallSite, small_portal

MANAGE, CHANGE, START = "/Account/Manage", "/Account/Manage/ChangeLogin", "/Account/Login/ExternalLogin"
OPEN = {"Authentication/Registration/OpenRegistrationEnabled": "true"}
BY_EMAIL = {"AllowContactMappingWithEmail": "true"}


@pytest.fixture(scope="module")
def own() -> Iterator[Provider]:
    with own_provider() as made:
        yield made


def settings_of(issuer: str, name: str = "Own", **more: str) -> dict[str, str]:
    """The settings of a provider; ``more`` by key."""
    given = {"Authority": issuer, "ClientId": CLIENT, "ClientSecret": "${OWN_SECRET}", "Scope": "openid profile email"}
    return {f"Authentication/OpenIdConnect/{name}/{key}": value for key, value in {**given, **more}.items()}


async def portal_of(
    server: EmbeddedServer, folders: pytest.TempPathFactory, *settings: Mapping[str, str]
) -> AsyncIterator[SmallPortal]:
    merged = {name: value for part in settings for name, value in part.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OWN_SECRET", SECRET)
        async with small_portal(server, folders.mktemp("portal"), SmallSite(settings=merged)) as made:
            yield made


@pytest.fixture(scope="module")
async def opened(
    postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, own: Provider
) -> AsyncIterator[SmallPortal]:
    """Open for registration; ``Mail`` finds contacts by address."""
    settings = (OPEN, settings_of(own.issuer), settings_of(own.issuer, "Mail", **BY_EMAIL))
    async for made in portal_of(postgres, tmp_path_factory, *settings):
        yield made


@pytest.fixture(scope="module")
async def closed(
    postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, own: Provider
) -> AsyncIterator[SmallPortal]:
    """Not open; ``Lacking`` has a secret that the environment lacks."""
    lacking = settings_of(own.issuer, "Lacking", ClientSecret="${NOBODY_SETS_THIS}")
    settings = (TWO_FACTOR, settings_of(own.issuer), settings_of(own.issuer, "Mail", **BY_EMAIL), lacking)
    async for made in portal_of(postgres, tmp_path_factory, *settings):
        yield made
        # Whichever of the tests shows the sign-in page first has it said.
        assert all("NOBODY_SETS_THIS" in str(item) for item in made.site.faults)


async def leave(visitor: Visitor, page: str = "/SignIn", provider: str = "Own", **fields: str) -> str:
    """Presses the provider's button; gives where the browser is sent."""
    shown = await visitor.get(page)
    answer = await visitor.post(START, {**hidden(shown.text), "provider": provider, **fields})
    return departs(answer)


def departs(answer: Answer) -> str:
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    assert answer.status == 200 and found is not None, answer.text
    return html.unescape(found.group(1))


async def comes_back(visitor: Visitor, url: str) -> Answer:
    parts = urlsplit(url)
    return await visitor.get(f"{parts.path}?{parts.query}")


async def through(
    portal: SmallPortal, own: Provider, subject: str, provider: str = "Own", **claims: object
) -> tuple[Visitor, Answer]:
    """A new browser that has been to the provider and back."""
    visitor = Visitor(portal.site)
    url = await leave(visitor, provider=provider)
    return visitor, await comes_back(visitor, own.agrees(url, subject, **claims))


async def account(portal: SmallPortal, name: str) -> Credential:
    found = await portal.site.forecourt.accounts.find(name)
    assert found is not None
    return found


async def count(portal: SmallPortal) -> list[int]:
    """Contacts, accounts, external identities."""
    tables = ("dataverse.contact", "forecourt.credential", "forecourt.external_identity")
    return [(await portal.site.dataverse(f"select count(*) from {table}"))[0][0] for table in tables]


# -- a provider that others wrote ------------------------------------------------------------------------------------


async def test_a_person_registers_and_signs_in_through_a_provider_that_others_wrote(
    postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mapping = {
        "RegistrationClaimsMapping": "jobtitle=nickname,emailaddress1=email,nosuch=sub",
        "LoginClaimsMapping": "department=userinfo.zoneinfo",
        "ExternalLogoutEnabled": "true",
        "Caption": "Acme staff",
    }
    with stock_provider() as issuer:
        told = {"email": "ada@acme.example", "email_verified": True, "given_name": "Ada", "family_name": "Byron"}
        await person_at(issuer, "ada-1", **told, nickname="x" * 150 + "\u202e", zoneinfo="Engines")
        async for portal in portal_of(postgres, tmp_path_factory, OPEN, settings_of(issuer, "Mock", **mapping)):
            visitor = Visitor(portal.site)
            assert "Continue with Acme staff" in (await visitor.get("/SignIn")).text
            url = await leave(visitor, f"/SignIn?returnUrl={MANAGE}", "Mock")
            back = await approve(url, "ada-1")
            assert sessions.COOKIE not in visitor.cookies
            answer = await comes_back(visitor, back)
            assert (answer.status, answer.headers["location"]) == (303, MANAGE)
            assert "ada@acme.example" in (await visitor.get(MANAGE)).text.replace("<wbr>", "")
            [row] = await portal.site.dataverse("select * from dataverse.contact")
            assert (row["firstname"], row["fullname"], row["emailaddress1"]) == ("Ada", "Ada Byron", told["email"])
            assert (row["jobtitle"], row["department"]) == ("x" * 100, "Engines")
            assert (await comes_back(visitor, back)).status == 401
            await person_at(issuer, "ada-1", **told, nickname="changed", zoneinfo="Looms")
            again = Visitor(portal.site)
            answer = await comes_back(again, await approve(await leave(again, provider="mock"), "ada-1"))
            assert answer.headers["location"] == "/" and await count(portal) == [1, 1, 1]
            [row] = await portal.site.dataverse("select * from dataverse.contact")
            assert (row["jobtitle"], row["department"]) == ("x" * 100, "Looms")
            out = await again.fill("/Account/Login/LogOff")
            assert departs(out).startswith(f"{issuer}/oauth2/end_session?") and "You are signed out here" in out.text
            assert sessions.COOKIE not in again.cookies and (await again.get(MANAGE)).status == 303
            wrong = Visitor(portal.site)
            assert (await wrong.fill("/SignIn", username=told["email"], password="")).status == 401
            log = await portal.site.dataverse(
                "select actor, subject, outcome from forecourt.security_log where kind = 'sign-in' order by id"
            )
            assert ("ada@acme.example", "registration", "ok") in {tuple(row) for row in log}
            assert ("ada@acme.example", "Mock", "ok") in {tuple(row) for row in log}


# -- who comes in ----------------------------------------------------------------------------------------------------


async def test_registration_follows_the_sites_rules(closed: SmallPortal, own: Provider) -> None:
    portal = closed
    ann = await portal.person("rita")
    known = {"email": "rita@example.com", "email_verified": True}
    before = await count(portal)
    for claims in ({}, known, {"email": "new@example.com", "email_verified": True}):
        visitor, answer = await through(portal, own, "stranger", **claims)
        assert answer.status == 403 and sessions.COOKIE not in visitor.cookies
        assert "Nobody here is connected" in answer.text
    assert await count(portal) == before
    code = await portal.site.forecourt.invitations.create(dt.timedelta(days=1), contact=None, most=1)
    visitor = Visitor(portal.site)
    url = await leave(visitor, f"/Register?invitation={code}")
    assert (await comes_back(visitor, own.agrees(url, "new", given_name="New"))).headers["location"]
    assert await count(portal) == [number + 1 for number in before] and (await visitor.get(MANAGE)).status == 200
    again = await portal.site.forecourt.invitations.create(dt.timedelta(days=1), contact=ann.contact)
    visitor = Visitor(portal.site)
    form = hidden((await visitor.get("/SignIn")).text)
    answer = await visitor.post(START, {**form, "provider": "own", "invitation": again})
    answer = await comes_back(visitor, own.agrees(departs(answer), "thief"))
    assert answer.status == 403 and "You have an account already" in answer.text
    assert await count(portal) == [number + 1 for number in before]


async def test_an_address_leads_to_a_contact_only_where_allowed_and_verified_and_unique(
    opened: SmallPortal, own: Provider
) -> None:
    portal = opened
    ann = await portal.person("ann")
    await portal.person("twin")
    await portal.site.dataverse(
        "insert into dataverse.contact (lastname, emailaddress1) values ('2', 'Twin@example.com')"
    )
    visitor, answer = await through(portal, own, "s1", "Mail", email="ann@example.com", email_verified=False)
    assert answer.headers["location"] == "/" and (await account(portal, "ann")).contact_id == ann.contact
    assert "ann@" not in (await visitor.get(MANAGE)).text
    [mine] = await portal.site.dataverse(
        "select c.username, p.emailaddress1 from forecourt.credential c join forecourt.external_identity e on "
        "e.credential_id = c.id join dataverse.contact p on p.contactid = c.contact_id where e.subject = 's1'"
    )
    assert mine["emailaddress1"] is None and mine["username"] != "ann"
    visitor, answer = await through(portal, own, "s2", "Mail", email="ANN@example.com", email_verified=True)
    assert answer.headers["location"] == "/" and "<strong>ann</strong>" in (await visitor.get(MANAGE)).text
    _, answer = await through(portal, own, "s3", "Mail", email="twin@example.com", email_verified=True)
    assert answer.status == 403 and "on file here already" in answer.text
    _, answer = await through(portal, own, "s4", "Mail", email="ann@example.com", email_verified=True)
    assert answer.status == 409 and "connected already" in answer.text
    await portal.site.forecourt.accounts.disable((await account(portal, "ann")).id)
    _, answer = await through(portal, own, "s2", "Mail", email="ann@example.com", email_verified=True)
    assert answer.status == 403 and "disabled" in answer.text


async def test_the_second_factor_is_asked_for_whoever_vouches(closed: SmallPortal, own: Provider) -> None:
    portal = closed
    ann = await portal.person("sue")
    _, app, _ = await protected(ann)
    visitor, answer = await through(portal, own, "sue", "Mail", email="sue@example.com", email_verified=True)
    assert answer.headers["location"] == pending.VERIFY and sessions.COOKIE not in visitor.cookies
    assert (await visitor.get(MANAGE)).status == 303
    assert (await visitor.fill(pending.VERIFY, code=code_of(app))).status == 303
    assert (await visitor.get(MANAGE)).status == 200


# -- nobody else -----------------------------------------------------------------------------------------------------


async def test_an_answer_counts_once_and_in_the_browser_that_began(opened: SmallPortal, own: Provider) -> None:
    portal = opened
    before = await count(portal)
    victim, thief = Visitor(portal.site), Visitor(portal.site)
    back = own.agrees(await leave(victim), "victim")
    assert (await comes_back(thief, back)).status == 401
    assert (await comes_back(Visitor(portal.site, dict(thief.cookies)), back)).status == 401
    await leave(thief)
    assert (await comes_back(thief, back)).status == 401
    cookie = victim.cookies[pending.COOKIES["provider"]]
    assert (await comes_back(victim, back)).status == 303
    replayed = Visitor(portal.site, {pending.COOKIES["provider"]: cookie})
    assert (await comes_back(replayed, back)).status == 401
    for target in ("/signin-Own", "/signin-own?error=access_denied&state=x", "/signin-own?code=%00&state=%ff"):
        answer = await Visitor(portal.site).get(target)
        assert answer.status == 401 and sessions.COOKIE not in answer.cookies
    assert (await Visitor(portal.site).get("/signin-other")).status == 404
    assert await count(portal) == [number + 1 for number in before]


async def test_a_session_from_before_is_not_taken_over(opened: SmallPortal, own: Provider) -> None:
    portal = opened
    ann = await portal.person("paul")
    visitor = await signed_in(ann)
    planted = visitor.cookies[sessions.COOKIE]
    answer = await comes_back(visitor, own.agrees(await start_signed_in(visitor), "pauls-other"))
    assert answer.status == 303 and visitor.cookies[sessions.COOKIE] != planted
    assert (await Visitor(portal.site, {sessions.COOKIE: planted}).get(MANAGE)).status == 303


async def start_signed_in(visitor: Visitor) -> str:
    form = hidden((await visitor.get(MANAGE)).text)
    return departs(await visitor.post(START, {**form, "provider": "Own"}))


async def test_the_way_back_stays_on_this_site_and_the_form_is_ours(opened: SmallPortal, own: Provider) -> None:
    portal = opened
    for wanted in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        visitor = Visitor(portal.site)
        answer = await comes_back(visitor, own.agrees(await leave(visitor, returnUrl=wanted), "ada"))
        assert answer.headers["location"] == "/"
    visitor = Visitor(portal.site)
    assert (await visitor.post(START, {"provider": "Own"})).status == 403
    form = hidden((await visitor.get("/SignIn")).text)
    assert (await visitor.post(START, {**form, "provider": "Own"}, **{"sec-fetch-site": "cross-site"})).status == 403
    assert (await visitor.post(START, {**form, "provider": "nobody"})).status == 404
    assert pending.COOKIES["provider"] not in visitor.cookies
    assert (await visitor.get(START)).headers["location"] == "/SignIn"


async def signed_in(person: Person) -> Visitor:
    visitor = Visitor(person.site)
    form = hidden((await visitor.get("/SignIn")).text)
    sent = {**form, "username": person.username, "password": person.password}
    assert (await visitor.post("/SignIn", sent)).status == 303
    return visitor


# -- connecting ------------------------------------------------------------------------------------------------------


async def test_an_account_is_connected_with_the_password_and_disconnected(closed: SmallPortal, own: Provider) -> None:
    portal = closed
    ann, bob = await portal.person("ann"), await portal.person("bob")
    visitor, his = await signed_in(ann), await signed_in(bob)
    page = hidden((await visitor.get(CHANGE)).text)
    assert (await visitor.post(CHANGE, {**page, "provider": "Own", "current": "wrong"})).status == 401
    url = departs(await visitor.post(CHANGE, {**page, "provider": "Own", "current": ann.password}))
    back = own.agrees(url, "ann-1", email="a@x.example")
    assert (await comes_back(his, back)).status == 401
    url = departs(await visitor.post(CHANGE, {**page, "provider": "Own", "current": ann.password}))
    answer = await comes_back(visitor, own.agrees(url, "ann-1", email="a@x.example"))
    assert answer.headers["location"] == f"{CHANGE}?notice=provider-connected"
    page_of_bob = hidden((await his.get(CHANGE)).text)
    url = departs(await his.post(CHANGE, {**page_of_bob, "provider": "Own", "current": bob.password}))
    answer = await comes_back(his, own.agrees(url, "ann-1"))
    assert answer.status == 409 and "connected already" in answer.text
    by_provider, answer = await through(portal, own, "ann-1")
    assert answer.headers["location"] == "/"
    shown = (await visitor.get(CHANGE)).text
    assert "a@<wbr>x.example" in shown or "ann-1" in shown
    form = hidden(shown.partition("</ul>")[0])
    sent = {**page_of_bob, "step": "disconnect", "identity": form["identity"]}
    await his.post(CHANGE, sent)
    assert (await by_provider.get(MANAGE)).status == 200
    answer = await visitor.post(CHANGE, {**form, "step": "disconnect"})
    assert answer.headers["location"] == f"{CHANGE}?notice=provider-disconnected"
    assert (await by_provider.get(MANAGE)).status == 303 and (await visitor.get(MANAGE)).status == 200
    assert (await through(portal, own, "ann-1"))[1].status == 403


async def test_the_only_way_to_sign_in_stays_and_no_mail_gives_it_a_password(
    opened: SmallPortal, own: Provider
) -> None:
    portal = opened
    visitor, _ = await through(portal, own, "only", email="only@example.com", email_verified=True)
    shown = (await visitor.get(CHANGE)).text
    form = hidden(shown.partition("</ul>")[0])
    answer = await visitor.post(CHANGE, form)
    assert answer.status == 409 and "You sign in this way alone" in answer.text
    assert (await account(portal, "only@example.com")).has_password is False
    assert "Change password" not in (await visitor.get(MANAGE)).text


async def test_a_provider_whose_secret_the_environment_lacks_is_closed(closed: SmallPortal) -> None:
    page = (await Visitor(closed.site).get("/SignIn")).text
    assert "Continue with Own" in page and "Lacking" not in page
    assert (await Visitor(closed.site).get("/signin-lacking")).status == 404
    assert any("NOBODY_SETS_THIS" in str(item) for item in closed.site.faults)
