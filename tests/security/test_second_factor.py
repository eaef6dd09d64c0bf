"""The second factor: codes once and in time, lockout, recovery codes, and no way in without it at any door."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pyotp
import pytest
from test_identity_support import PASSWORD, Identity, wired

from forecourt.identity import csrf, pending, second_factor, sessions
from forecourt.identity.accounts import Credential
from forecourt.identity.second_factor import SecondFactors
from forecourt.identity.vault import Vault, VaultError
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.embedded import EmbeddedServer
from support.mailbox import Visitor, hidden
from support.server import SETTINGS, Person
from support.small_portal import SmallPortal, SmallSite, small_portal

KEY = "a key of thirty-two characters or more"
HERE = "192.0.2.1"
SETUP, VERIFY, MANAGE = "/Account/Manage/ChangeTwoFactor", pending.VERIFY, "/Account/Manage"
TWO_FACTOR = {"Authentication/Registration/TwoFactorEnabled": "true"}


# -- codes, with a clock that stands still ---------------------------------------------------------------------------


@pytest.fixture
async def identity(database_url: str) -> AsyncIterator[Identity]:
    async with wired(database_url) as made:
        yield made


def factors_of(identity: Identity, key: str = KEY) -> SecondFactors:
    return SecondFactors(identity.database, identity.time, identity.seen.append, Vault(key), "Contoso")


async def enrolled(identity: Identity) -> tuple[Credential, str, tuple[str, ...]]:
    """An account with a second factor, the secret, and the recovery codes."""
    made = await identity.accounts.create("vera@acme.example", PASSWORD, contact_id=uuid4())
    factors = factors_of(identity)
    secret = (await factors.enrol(made)).secret
    credential, codes = await factors.confirm(made, pyotp.TOTP(secret).at(identity.time()))
    identity.time.passes(seconds=90)
    return credential, secret, codes


async def refused(factors: SecondFactors, credential: Credential, code: str, address: str = HERE) -> str:
    with pytest.raises(Refusal) as caught:
        await factors.prove(credential, code, address)
    return caught.value.code


async def test_a_code_counts_once_in_its_step_and_the_ones_beside_it(identity: Identity) -> None:
    credential, secret, _ = await enrolled(identity)
    factors, app, now = factors_of(identity), pyotp.TOTP(secret), identity.time()
    for steps in (-2, 2):
        assert await refused(factors, credential, app.at(now, counter_offset=steps)) == "FC2007"
    await factors.prove(credential, " ".join(app.at(now, counter_offset=-1)), HERE)
    await factors.prove(credential, app.at(now), HERE)
    assert await refused(factors, credential, app.at(now)) == "FC2007"
    assert await refused(factors, credential, app.at(now, counter_offset=-1)) == "FC2007"
    await factors.prove(credential, app.at(now, counter_offset=1), HERE)


async def test_of_one_code_sent_twenty_times_at_once_one_is_taken(identity: Identity) -> None:
    credential, secret, _ = await enrolled(identity)
    factors = SecondFactors(
        identity.database, identity.time, identity.seen.append, Vault(KEY), "Contoso", failures=10_000
    )
    code = pyotp.TOTP(secret).at(identity.time())
    done = await asyncio.gather(*(factors.prove(credential, code, HERE) for _ in range(20)), return_exceptions=True)
    assert [answer for answer in done if not isinstance(answer, Refusal)] == [None]


async def test_wrong_codes_lock_the_second_factor_and_the_right_one_is_refused_too(identity: Identity) -> None:
    credential, secret, codes = await enrolled(identity)
    factors, app = factors_of(identity), pyotp.TOTP(secret)
    wrong = ("000000" if app.at(identity.time()) != "000000" else "000001", "", "12345", "x" * 5000, "a" * 16)
    assert [await refused(factors, credential, code) for code in wrong] == ["FC2007"] * 5
    for code in (app.at(identity.time()), codes[0]):
        assert await refused(factors, credential, code) == "FC2004"
    assert SignIn("vera@acme.example", "second factor", "locked") in identity.seen
    identity.time.passes(minutes=16)
    await factors.prove(credential, app.at(identity.time()), HERE)


async def test_an_address_that_tries_codes_of_many_accounts_is_stopped(identity: Identity) -> None:
    credential, _, _ = await enrolled(identity)
    factors = SecondFactors(
        identity.database, identity.time, identity.seen.append, Vault(KEY), "Contoso", failures=10_000
    )
    answers = {await refused(factors, credential, "000000", "192.0.2.9") for _ in range(31)}
    assert answers == {"FC2007", "FC2004"}
    assert await refused(factors, credential, "000000") == "FC2007"


async def test_a_recovery_code_works_once_however_it_is_written(identity: Identity) -> None:
    credential, _, codes = await enrolled(identity)
    factors = factors_of(identity)
    assert len(set(codes)) == second_factor.CODES
    await factors.prove(credential, codes[0].upper().replace("-", " "), HERE)
    assert await refused(factors, credential, codes[0]) == "FC2007"
    assert await factors.codes_left(credential) == 9
    renewed = await factors.renew_codes(credential)
    assert await refused(factors, credential, codes[1]) == "FC2007"
    await factors.prove(credential, renewed[1], HERE)


async def test_what_is_kept_is_of_no_use_to_who_reads_it(identity: Identity) -> None:
    credential, secret, codes = await enrolled(identity)
    await factors_of(identity).trust(credential)
    for table in ("second_factor", "recovery_code", "trusted_browser", "credential"):
        rows = await identity.database.system(SystemPlan("look", f"select t::text as row from forecourt.{table} t"))
        kept = " ".join(row["row"] for row in rows)
        assert rows and secret not in kept and not any(code.replace("-", "") in kept for code in codes)


async def test_a_key_may_come_later_and_another_key_opens_nothing(identity: Identity) -> None:
    vault = Vault(KEY)
    assert vault.open(Vault().seal("secret")) == "secret" and vault.open(vault.seal("secret")) == "secret"
    for other in (Vault(), Vault(KEY.upper())):
        with pytest.raises(VaultError):
            other.open(vault.seal("secret"))
    with pytest.raises(VaultError, match="32"):
        Vault("short")
    credential, secret, _ = await enrolled(identity)
    other_key = factors_of(identity, KEY.upper())
    assert await refused(other_key, credential, pyotp.TOTP(secret).at(identity.time())) == "FC2007"


async def test_no_session_begins_without_the_code_and_those_from_before_have_ended(identity: Identity) -> None:
    made = await identity.accounts.create("vera@acme.example", PASSWORD, contact_id=uuid4())
    before = await identity.sessions.start(made)
    factors = factors_of(identity)
    secret = (await factors.enrol(made)).secret
    assert (await factors.enrol(made)).secret == secret
    with pytest.raises(Refusal, match="not right"):
        await factors.confirm(made, "")
    assert await identity.sessions.load(before.cookie) is not None
    await factors.confirm(made, pyotp.TOTP(secret).at(identity.time()))
    assert await identity.sessions.load(before.cookie) is None
    proved = await identity.accounts.sign_in("vera@acme.example", PASSWORD, HERE)
    with pytest.raises(Refusal, match="second factor"):
        await identity.sessions.start(proved)
    with pytest.raises(Refusal):
        await factors.enrol(proved)
    assert await identity.sessions.load((await identity.sessions.start(proved, proved=True)).cookie) is not None


async def test_an_administrators_reset_ends_sessions_trust_and_waiting_sign_ins(identity: Identity) -> None:
    credential, _, codes = await enrolled(identity)
    factors, waiting = factors_of(identity), pending.Pending(identity.database, identity.time)
    session = await identity.sessions.start(credential, proved=True)
    trusted, half = await factors.trust(credential), await waiting.start("code", {}, credential)
    assert await factors.trusts(credential, trusted) and await waiting.peek("code", half) is not None
    after = await factors.reset(credential.id)
    assert not after.second_factor and await identity.sessions.load(session.cookie) is None
    assert not await factors.trusts(after, trusted) and await waiting.take("code", half) is None
    assert await refused(factors, after, codes[0]) == "FC2004"


async def test_trust_and_half_a_sign_in_end_by_themselves(identity: Identity) -> None:
    credential, _, _ = await enrolled(identity)
    factors, waiting = factors_of(identity), pending.Pending(identity.database, identity.time)
    trusted, half = await factors.trust(credential), await waiting.start("code", {"wanted": "/"}, credential)
    for wrong in (None, "", "x" * 43, trusted + "x"):
        assert not await factors.trusts(credential, wrong) and await waiting.peek("code", wrong) is None
    assert await waiting.peek("provider", half) is None
    identity.time.passes(minutes=5)
    assert await waiting.take("code", half) is None
    identity.time.passes(days=13)
    assert await factors.trusts(credential, trusted)
    identity.time.passes(days=1)
    assert not await factors.trusts(credential, trusted)


# -- at the portal ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def portal(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path, SmallSite(settings=TWO_FACTOR)) as made:
        yield made


def app_of(page: str) -> pyotp.TOTP:
    """The authenticator app that a person has typed the page's key into."""
    found = re.search(r'<code class="fc-code">([A-Z2-7 ]{39})</code>', page)
    assert found is not None, page
    return pyotp.TOTP(found.group(1).replace(" ", ""))


def code_of(app: pyotp.TOTP, steps: int = 0) -> str:
    return app.at(dt.datetime.now(dt.UTC), counter_offset=steps)


async def signed_in(person: Person) -> Visitor:
    visitor = Visitor(person.site)
    assert (await visitor.fill("/SignIn", username=person.username, password=person.password)).status == 303
    return visitor


async def protected(person: Person) -> tuple[Visitor, pyotp.TOTP, list[str]]:
    """A browser that has set a second factor up, the app, the recovery codes."""
    visitor = await signed_in(person)
    begun = await visitor.fill(SETUP)
    app = app_of(begun.text)
    assert 'role="img" aria-label="QR code' in begun.text and app.secret not in begun.text.replace(" ", "~")
    done = await visitor.post(SETUP, {**hidden(begun.text), "code": code_of(app, -1)})
    codes = re.findall(r'<code class="fc-code">([a-z2-7-]{19})</code>', done.text)
    assert done.status == 200 and len(codes) == 10 and done.headers["cache-control"] == "no-store"
    return visitor, app, codes


async def test_a_person_sets_it_up_and_signs_in_with_a_code(portal: SmallPortal) -> None:
    ann = await portal.person("ann")
    elsewhere = await signed_in(ann)
    here, app, codes = await protected(ann)
    assert (await here.get(MANAGE)).status == 200 and (await elsewhere.get(MANAGE)).status == 303
    again = Visitor(portal.site)
    planted = dict(again.cookies)
    answer = await again.fill(f"/SignIn?returnUrl={MANAGE}", username=ann.username, password=ann.password)
    assert (answer.status, answer.headers["location"]) == (303, VERIFY) and sessions.COOKIE not in again.cookies
    assert (await again.get(MANAGE)).status == 303
    wrong = await again.fill(VERIFY, code="000000" if code_of(app) != "000000" else "000001")
    assert wrong.status == 401 and "The code is not right" in wrong.text and sessions.COOKIE not in again.cookies
    half = again.cookies[pending.COOKIES["code"]]
    right = await again.fill(VERIFY, code=code_of(app))
    assert (right.status, right.headers["location"]) == (303, MANAGE)
    assert again.cookies[sessions.COOKIE] != planted.get(sessions.COOKIE)
    assert pending.COOKIES["code"] not in again.cookies and (await again.get(MANAGE)).status == 200
    thief = Visitor(portal.site, {pending.COOKIES["code"]: half})
    assert (await thief.get(VERIFY)).headers["location"] == "/SignIn?notice=too-late"
    with_recovery = Visitor(portal.site)
    await with_recovery.fill("/SignIn", username=ann.username, password=ann.password)
    assert (await with_recovery.fill(VERIFY, code=codes[3])).status == 303
    assert "You have 9 recovery codes left" in (await with_recovery.get(SETUP)).text


async def test_a_trusted_browser_is_not_asked_and_only_there(portal: SmallPortal) -> None:
    ann, bob = await portal.person("ann"), await portal.person("bob")
    _, app, _ = await protected(ann)
    visitor = Visitor(portal.site)
    await visitor.fill("/SignIn", username=ann.username, password=ann.password)
    await visitor.fill(VERIFY, code=code_of(app), trust="1")
    trust = visitor.cookies[second_factor.COOKIE]
    later = Visitor(portal.site, {second_factor.COOKIE: trust})
    answer = await later.fill("/SignIn", username=ann.username, password=ann.password)
    assert answer.headers["location"] == "/"
    assert (await later.fill(MANAGE)).headers["location"] == "/SignIn?notice=signed-out-everywhere"
    ended = Visitor(portal.site, {second_factor.COOKIE: trust})
    answer = await ended.fill("/SignIn", username=ann.username, password=ann.password)
    assert answer.headers["location"] == VERIFY
    other, his_app, _ = await protected(bob)
    borrowed = Visitor(portal.site, {second_factor.COOKIE: trust})
    answer = await borrowed.fill("/SignIn", username=bob.username, password=bob.password)
    assert (
        answer.headers["location"] == VERIFY and his_app.secret != app.secret and (await other.get("/")).status == 200
    )


async def test_turning_it_off_takes_the_password_and_a_code(portal: SmallPortal) -> None:
    ann = await portal.person("ann")
    visitor, app, codes = await protected(ann)
    page = hidden((await visitor.get(SETUP)).text)
    assert page["step"] == "off"
    for current, code in (("wrong", codes[0]), (ann.password, "000000"), (ann.password, ""), ("", code_of(app))):
        assert (await visitor.post(SETUP, {**page, "current": current, "code": code})).status == 401
    assert (
        await visitor.post(SETUP, {**page, csrf.FIELD: "x", "current": ann.password, "code": codes[1]})
    ).status == 403
    assert "FC2004" not in (await visitor.get(SETUP)).text
    done = await visitor.post(SETUP, {**page, "current": ann.password, "code": codes[1]})
    assert done.headers["location"] == f"{MANAGE}?notice=two-factor-off"
    assert (await (await signed_in(ann)).get(MANAGE)).status == 200
    log = await portal.site.forecourt.databases.dataverse.system(
        SystemPlan("read", "select actor, detail::text from forecourt.security_log where subject = 'credential'")
    )
    turned = [row for row in log if '"second_factor"' in row["detail"] and row["actor"] == ann.username]
    assert len(turned) == 2


async def test_where_the_site_does_not_offer_it_who_has_it_is_still_asked(
    postgres: EmbeddedServer, tmp_path: Path
) -> None:
    async with small_portal(postgres, tmp_path, SmallSite()) as portal:
        ann = await portal.person("ann")
        visitor = await signed_in(ann)
        assert (await visitor.get(SETUP)).status == 404 and "Second factor" not in (await visitor.get(MANAGE)).text
        forecourt = portal.site.forecourt
        account = await forecourt.accounts.find(ann.username)
        assert account is not None
        enrolment = await forecourt.factors.enrol(account)
        await forecourt.factors.confirm(account, code_of(pyotp.TOTP(enrolment.secret)))
        answer = await Visitor(portal.site).fill("/SignIn", username=ann.username, password=ann.password)
        assert answer.headers["location"] == VERIFY
        form = f"grant_type=password&client_id=forecourt-cli&username={ann.username}&password={ann.password}"
        token = await portal.site.ask(
            "POST",
            f"/{forecourt.header.tenant}/oauth2/v2.0/token",
            {"content-type": "application/x-www-form-urlencoded"},
            form.encode(),
        )
        assert SETTINGS.password_grant and token.status == 400 and b"second factor" in token.body
