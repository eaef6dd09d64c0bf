"""Sessions: no fixation, no use after the end, nothing that one session's secrets do in another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from test_identity_support import PASSWORD, Identity, wired

from forecourt.identity import csrf
from forecourt.identity.accounts import Credential
from forecourt.identity.sessions import Sessions, clear_cookie, set_cookie
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan

ORIGIN = "https://portal.example"


@pytest.fixture
async def identity(database_url: str) -> AsyncIterator[Identity]:
    async with wired(database_url) as made:
        yield made


async def vera(identity: Identity) -> Credential:
    return await identity.accounts.create("vera", PASSWORD, contact_id=uuid4())


async def test_a_sign_in_never_keeps_the_id_that_the_browser_sent(identity: Identity) -> None:
    credential = await vera(identity)
    planted = "A" * 43
    session = await identity.sessions.start(credential, previous=planted)
    assert session.cookie != planted
    assert await identity.sessions.load(planted) is None


async def test_signing_in_again_ends_the_browsers_earlier_session(identity: Identity) -> None:
    credential = await vera(identity)
    first = await identity.sessions.start(credential)
    second = await identity.sessions.start(credential, previous=first.cookie)
    assert await identity.sessions.load(first.cookie) is None
    assert await identity.sessions.load(second.cookie) is not None


async def test_a_session_carries_its_account_and_secret(identity: Identity) -> None:
    credential = await vera(identity)
    session = await identity.sessions.start(credential, user_agent="Browser\0 \udcff")
    loaded = await identity.sessions.load(session.cookie)
    assert loaded is not None
    assert loaded.credential == credential
    assert loaded.csrf_secret == session.csrf_secret
    assert not loaded.reissue


async def test_a_stolen_id_is_worthless_after_sign_out(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    await identity.sessions.sign_out(session.cookie)
    assert await identity.sessions.load(session.cookie) is None


async def test_a_session_ends_24_hours_after_its_last_use(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    identity.time.passes(hours=24)
    assert await identity.sessions.load(session.cookie) is None


async def test_a_used_session_moves_on_past_its_half_and_sends_its_cookie_again(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    identity.time.passes(hours=13)
    moved = await identity.sessions.load(session.cookie)
    assert moved is not None
    assert moved.reissue
    identity.time.passes(hours=23)
    assert await identity.sessions.load(session.cookie) is not None


async def test_no_session_outlives_seven_days_however_much_it_is_used(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    for _ in range(14):
        assert await identity.sessions.load(session.cookie) is not None
        identity.time.passes(hours=12)
    assert await identity.sessions.load(session.cookie) is None


async def test_sign_out_everywhere_ends_every_session_and_those_being_started(identity: Identity) -> None:
    proved = await vera(identity)
    sessions = [await identity.sessions.start(proved) for _ in range(3)]
    await identity.sessions.sign_out_everywhere(proved.id)
    late = await identity.sessions.start(proved)
    assert [await identity.sessions.load(item.cookie) for item in (*sessions, late)] == [None] * 4


async def test_a_new_password_ends_every_session(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    changed = await identity.accounts.set_password(session.credential.id, "New-Password-2")
    assert await identity.sessions.load(session.cookie) is None
    assert await identity.sessions.load((await identity.sessions.start(changed)).cookie) is not None


async def test_disabling_an_account_ends_its_sessions_for_good(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    await identity.accounts.disable(session.credential.id)
    assert await identity.sessions.load(session.cookie) is None
    await identity.accounts.enable(session.credential.id)
    assert await identity.sessions.load(session.cookie) is None


async def test_deleting_an_account_ends_its_sessions(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    await identity.database.system(SystemPlan("test", "delete from forecourt.credential"))
    assert await identity.sessions.load(session.cookie) is None


@pytest.mark.parametrize("cookie", [None, "", "x", "A" * 43, "A" * 42 + "\0", "é" * 43, "A" * 100_000, "' or 1=1 --"])
async def test_what_is_no_session_id_is_nobody(identity: Identity, cookie: str | None) -> None:
    assert await identity.sessions.load(cookie) is None
    await identity.sessions.sign_out(cookie)


async def test_a_request_costs_one_query(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    asked: list[str] = []

    class Counting:
        async def lookup(self, plan: SystemPlan) -> object:
            asked.append(plan.reason)
            return await identity.database.lookup(plan)

    counting = Sessions(Counting(), identity.time)  # type: ignore[arg-type]
    assert await counting.load(session.cookie) is not None
    assert asked == ["load a session"]


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(identity: Identity) -> None:
    session = await identity.sessions.start(await vera(identity))
    assert set_cookie(session, secure=True) == (
        f".AspNet.ApplicationCookie={session.cookie}; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert "Secure" not in set_cookie(session, secure=False)
    kept = await identity.sessions.start(session.credential, persistent=True)
    assert set_cookie(kept, secure=False).endswith("; Expires=Sun, 02 Jun 2030 12:00:00 GMT")
    assert clear_cookie(secure=True).endswith("; Secure; Max-Age=0")


async def test_purging_keeps_what_can_still_be_used(identity: Identity) -> None:
    credential = await vera(identity)
    await identity.sessions.start(credential)
    identity.time.passes(hours=20)
    kept = await identity.sessions.start(credential)
    identity.time.passes(hours=5)
    await identity.sessions.purge()
    rows = await identity.database.system(SystemPlan("test", "select id_hash from forecourt.session"))
    assert len(rows) == 1
    assert await identity.sessions.load(kept.cookie) is not None


async def test_an_anti_forgery_token_of_one_session_is_worthless_in_another(identity: Identity) -> None:
    credential = await vera(identity)
    mine = await identity.sessions.start(credential)
    theirs = await identity.sessions.start(credential)
    token = csrf.session_token(mine.csrf_secret)

    def post(secret: bytes) -> None:
        csrf.require(
            "POST",
            token,
            csrf_secret=secret,
            visitor_cookie=None,
            sec_fetch_site="same-origin",
            origin=ORIGIN,
            own_origins={ORIGIN},
        )

    post(mine.csrf_secret)
    with pytest.raises(Refusal) as caught:
        post(theirs.csrf_secret)
    assert caught.value.code == "FC2005"
