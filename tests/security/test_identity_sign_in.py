"""Sign-in: lockout under parallel guesses, no clue about who has an account, failures by address."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from test_identity_support import PASSWORD, Identity, wired

from forecourt.identity.accounts import Credential
from forecourt.identity.passwords import Cost, Passwords
from forecourt.identity.throttle import Throttle
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import SignIn
from forecourt.kernel.plan import SystemPlan


@pytest.fixture
async def identity(database_url: str) -> AsyncIterator[Identity]:
    async with wired(database_url) as made:
        yield made


async def vera(identity: Identity) -> Credential:
    return await identity.accounts.create("vera@acme.example", PASSWORD, contact_id=uuid4())


async def refused(identity: Identity, name: str, password: str, address: str = "192.0.2.1") -> Refusal:
    with pytest.raises(Refusal) as caught:
        await identity.accounts.sign_in(name, password, address)
    return caught.value


def count_verifications(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry per verification: whether a stored hash was at stake."""
    calls: list[bool] = []
    verify = identity.passwords.verify

    async def counted(stored: str | None, password: str) -> bool:
        calls.append(stored is not None)
        return await verify(stored, password)

    monkeypatch.setattr(identity.passwords, "verify", counted)
    return calls


async def test_the_right_password_signs_in_whatever_the_case_of_the_name(identity: Identity) -> None:
    created = await vera(identity)
    found = await identity.accounts.sign_in(" VERA@acme.example ", PASSWORD, "192.0.2.1")
    assert found.id == created.id
    assert found.last_sign_in == identity.time()


async def test_fifty_parallel_guesses_try_no_more_passwords_than_the_limit(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vera(identity)
    calls = count_verifications(identity, monkeypatch)
    guesses = [
        identity.accounts.sign_in("vera@acme.example", f"Guess-number-{n}", f"198.51.100.{n}") for n in range(50)
    ]
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(answer, Refusal) and answer.code == "FC2001" for answer in answers)
    assert sum(calls) == 5
    assert len(calls) == 50


async def test_parallel_guesses_in_several_processes_share_the_limit(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vera(identity)
    calls = count_verifications(identity, monkeypatch)
    others = [Identity(identity.database, identity.time, identity.passwords) for _ in range(5)]
    guesses = [
        other.accounts.sign_in("vera@acme.example", f"Guess-number-{n}", f"198.51.{k}.{n}")
        for k, other in enumerate(others)
        for n in range(10)
    ]
    await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(calls) == 5


async def test_a_locked_account_refuses_the_right_password_until_the_lock_ends(identity: Identity) -> None:
    await vera(identity)
    for n in range(5):
        await refused(identity, "vera@acme.example", f"Wrong-{n}-word")
    answer = await refused(identity, "vera@acme.example", PASSWORD)
    assert answer.code == "FC2001"
    assert identity.seen[-1] == SignIn("vera@acme.example", "password", "locked")
    identity.time.passes(minutes=14, seconds=59)
    await refused(identity, "vera@acme.example", PASSWORD)
    identity.time.passes(seconds=1)
    await identity.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1")


async def test_after_a_lock_a_person_has_all_attempts_again(identity: Identity) -> None:
    await vera(identity)
    for n in range(5):
        await refused(identity, "vera@acme.example", f"Wrong-{n}-word")
    identity.time.passes(minutes=15)
    for n in range(4):
        await refused(identity, "vera@acme.example", f"Wrong-{n}-word")
    await identity.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1")


async def test_success_sets_the_count_back(identity: Identity) -> None:
    await vera(identity)
    for _ in range(3):
        for n in range(4):
            await refused(identity, "vera@acme.example", f"Wrong-{n}-word")
        await identity.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1")


async def test_signing_in_correctly_from_many_windows_at_once_locks_nobody_out(identity: Identity) -> None:
    await vera(identity)
    attempts = [identity.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1") for _ in range(20)]
    assert len(await asyncio.gather(*attempts)) == 20


async def test_an_administrator_lifts_a_lock(identity: Identity) -> None:
    credential = await vera(identity)
    for n in range(5):
        await refused(identity, "vera@acme.example", f"Wrong-{n}-word")
    await identity.accounts.unlock(credential.id)
    await identity.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1")


async def test_no_answer_tells_who_has_an_account(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    await vera(identity)
    disabled = await identity.accounts.create("dora@acme.example", PASSWORD, contact_id=uuid4())
    await identity.accounts.disable(disabled.id)
    await identity.accounts.create("lola@acme.example", PASSWORD, operations_user="lola")
    for n in range(5):
        await refused(identity, "lola@acme.example", f"Wrong-{n}-word")
    calls = count_verifications(identity, monkeypatch)
    answers = [
        await refused(identity, name, password)
        for name, password in (
            ("nobody@acme.example", PASSWORD),
            ("vera@acme.example", "Wrong-password-1"),
            ("dora@acme.example", PASSWORD),
            ("dora@acme.example", "Wrong-password-1"),
            ("lola@acme.example", PASSWORD),
            ("lola@acme.example", "Wrong-password-1"),
            ("", ""),
            ("a\0b", "x\0y"),
            ("\udcff", "\udcff"),
            ("vera@acme.example", PASSWORD + "x" * 5000),
        )
    ]
    shown = {(a.code, a.status, a.message, a.detail, a.hint, a.source, a.headers) for a in answers}
    assert len(shown) == 1
    assert len(calls) == len(answers)


async def test_a_name_that_nobody_has_is_not_observed_since_it_may_be_a_password(identity: Identity) -> None:
    await refused(identity, "My-Secret-1", "")
    assert identity.seen == [SignIn("(unknown)", "password", "refused")]


async def test_an_address_has_thirty_failures_in_three_minutes(identity: Identity) -> None:
    await vera(identity)
    for n in range(30):
        assert (await refused(identity, f"name-{n}", "Guess-1-word")).code == "FC2001"
    answer = await refused(identity, "vera@acme.example", PASSWORD)
    assert (answer.code, answer.status) == ("FC2004", 429)
    assert answer.headers == (("Retry-After", "181"),)
    await identity.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.2")
    identity.time.passes(minutes=3)
    await identity.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1")


async def test_parallel_failures_of_one_address_share_the_limit(identity: Identity) -> None:
    guesses = [identity.accounts.sign_in(f"name-{n}", "Guess-1-word", "192.0.2.1") for n in range(60)]
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, Refusal)]
    assert (codes.count("FC2001"), codes.count("FC2004")) == (30, 30)


async def test_processes_share_the_limit_of_an_address(identity: Identity) -> None:
    others = [Throttle(identity.database, identity.time) for _ in range(60)]
    charges = await asyncio.gather(*(other.charge("192.0.2.1") for other in others), return_exceptions=True)
    assert sum(isinstance(charge, int) for charge in charges) == 30


async def test_sign_ins_that_succeed_do_not_use_up_an_address(identity: Identity) -> None:
    await vera(identity)
    for _ in range(40):
        await identity.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1")


async def test_addresses_of_one_ipv6_subscriber_count_together(identity: Identity) -> None:
    for n in range(30):
        await refused(identity, "nobody", "Guess-1-word", f"2001:db8:1:2::{n:x}")
    assert (await refused(identity, "nobody", "Guess-1-word", "2001:db8:1:2:ffff::1")).code == "FC2004"
    assert (await refused(identity, "nobody", "Guess-1-word", "2001:db8:1:3::1")).code == "FC2001"


async def test_who_is_turned_away_in_a_flood_is_not_counted_as_having_failed(identity: Identity) -> None:
    await vera(identity)
    small = Identity(identity.database, identity.time, Passwords(Cost(passes=1, memory=64), seats=2))
    guesses = [small.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1") for _ in range(50)]
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(answer, Credential) for answer in answers) == 2
    assert {answer.code for answer in answers if isinstance(answer, Refusal)} == {"FC2004"}
    rows = await identity.database.system(SystemPlan("test", "select failed_count from forecourt.credential"))
    assert rows[0]["failed_count"] == 0
    small.passwords.close()


async def test_a_name_is_taken_in_any_case_and_a_contact_has_one_account(identity: Identity) -> None:
    credential = await vera(identity)
    with pytest.raises(Refusal) as caught:
        await identity.accounts.create("Vera@ACME.example", PASSWORD, operations_user="vera")
    assert caught.value.status == 409
    with pytest.raises(Refusal):
        await identity.accounts.create("other", PASSWORD, contact_id=credential.contact_id)
    with pytest.raises(ValueError, match="either"):
        await identity.accounts.create("other", PASSWORD, contact_id=uuid4(), operations_user="vera")


async def test_changing_a_password_needs_the_current_one_under_the_same_limits(identity: Identity) -> None:
    credential = await vera(identity)
    for _ in range(5):
        with pytest.raises(Refusal):
            await identity.accounts.change_password("vera@acme.example", "Wrong-1-word", "New-Password-2", "192.0.2.1")
    with pytest.raises(Refusal):
        await identity.accounts.change_password("vera@acme.example", PASSWORD, "New-Password-2", "192.0.2.1")
    await identity.accounts.unlock(credential.id)
    changed = await identity.accounts.change_password("vera@acme.example", PASSWORD, "New-Password-2", "192.0.2.1")
    assert changed.security_stamp != credential.security_stamp
    await refused(identity, "vera@acme.example", PASSWORD)
    await identity.accounts.sign_in("vera@acme.example", "New-Password-2", "192.0.2.1")


async def test_no_password_and_no_cookie_is_stored_as_it_is(identity: Identity) -> None:
    credential = await vera(identity)
    session = await identity.sessions.start(credential)
    stored = ""
    for table in ("credential", "session"):
        rows = await identity.database.system(
            SystemPlan("test", f"select to_jsonb(t)::text as t from forecourt.{table} t")
        )
        stored += "".join(row["t"] for row in rows)
    assert "$argon2id$" in stored
    assert PASSWORD not in stored
    assert session.cookie not in stored
    assert session.cookie.encode().hex() not in stored


async def test_an_outdated_hash_is_renewed_at_the_next_sign_in(identity: Identity) -> None:
    await vera(identity)
    stronger = Identity(identity.database, identity.time, Passwords())
    await stronger.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1")
    [row] = await identity.database.system(SystemPlan("test", "select password_hash from forecourt.credential"))
    assert "m=19456,t=2,p=1" in row["password_hash"]
    await stronger.accounts.sign_in("vera@acme.example", PASSWORD, "192.0.2.1")


async def test_lists_and_finds_accounts(identity: Identity) -> None:
    credential = await vera(identity)
    other = await identity.accounts.create("admin", PASSWORD, operations_user="admin")
    assert [item.username for item in await identity.accounts.list()] == ["admin", "vera@acme.example"]
    assert await identity.accounts.find("VERA@acme.example") == credential
    assert await identity.accounts.find("nobody") is None
    assert other.created_at == dt.datetime(2030, 6, 1, 12, 0, tzinfo=dt.UTC)
