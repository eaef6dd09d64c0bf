"""Passwords: the policy, made-up passwords, hashing that costs the same for nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.identity.passwords import Cost, PasswordPolicy, Passwords, generate_password
from forecourt.kernel.errors import Refusal

CHEAP = Cost(passes=1, memory=64)
POLICY = PasswordPolicy()


@pytest.mark.parametrize("password", ["Abcdef1x", "abcdef1-", "ABCDEF1-", "Abcdefg-", "Äöüäöü1x"])
def test_eight_characters_of_three_classes_are_enough(password: str) -> None:
    assert POLICY.faults(password) == ()


@pytest.mark.parametrize(
    ("password", "count"),
    [("Abcde1x", 1), ("abcdefg1", 1), ("abc", 2), ("", 2), ("A1-" + "x" * 254, 1), ("Vera@acme1", 1)],
)
def test_a_weak_password_is_told_every_fault(password: str, count: int) -> None:
    assert len(POLICY.faults(password, "vera@ACME1")) == count


def test_a_weak_password_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        POLICY.require("short")
    assert (caught.value.code, caught.value.source) == ("FC1003", "password")


def test_made_up_passwords_meet_the_policy_and_can_be_read_out() -> None:
    made = {generate_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert POLICY.faults(password) == ()
        assert [len(group) for group in password.split("-")] == [4, 4, 4, 4]
        assert not set(password) & set("0O1lIio")


async def test_only_the_same_password_verifies() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("Correct-horse-1")
    assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert stored != await passwords.hash("Correct-horse-1")
    assert await passwords.verify(stored, "Correct-horse-1")
    assert not await passwords.verify(stored, "correct-horse-1")
    assert not await passwords.verify("not a hash", "Correct-horse-1")
    passwords.close()


async def test_one_text_is_one_password_however_the_keyboard_composes_it() -> None:
    passwords = Passwords(CHEAP)
    assert await passwords.verify(await passwords.hash("Cafe\u0301-123"), "Caf\u00e9-123")
    passwords.close()


async def test_a_password_beyond_the_longest_is_never_right() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("x" * 257)
    assert not await passwords.verify(stored, "x" * 257)
    assert not await passwords.verify(stored, "x" * 300)
    passwords.close()


async def test_nobodys_password_costs_what_anybodys_costs_and_is_wrong() -> None:
    passwords = Passwords(Cost(passes=2, memory=8192))
    stored = await passwords.hash("Correct-horse-1")

    async def best(known: str | None) -> float:
        times = []
        for _ in range(7):
            started = time.perf_counter()
            assert not await passwords.verify(known, "Wrong-horse-1")
            times.append(time.perf_counter() - started)
        return min(times)

    somebody, nobody = await best(stored), await best(None)
    assert 1 / 3 < nobody / somebody < 3
    passwords.close()


async def test_no_more_than_two_hashes_are_made_at_once_and_the_loop_stays_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords = Passwords(CHEAP)
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(2, timeout=5)

    def work(data: bytes) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1
        together.wait()
        return threading.current_thread().name

    monkeypatch.setattr(passwords, "_hasher", SimpleNamespace(hash=work))
    names = await asyncio.gather(*(passwords.hash("x") for _ in range(10)))
    assert most == 2
    assert all(name.startswith("passwords") for name in names)
    passwords.close()


async def test_only_so_many_may_sign_in_at_once_and_a_seat_is_free_again() -> None:
    passwords = Passwords(CHEAP, seats=2)
    with passwords.seat():
        with passwords.seat(), pytest.raises(Refusal) as caught, passwords.seat():
            pass
        assert (caught.value.code, caught.value.status) == ("FC2004", 429)
        with passwords.seat():
            pass
    passwords.close()


@given(st.text(alphabet=st.characters(), max_size=40))
async def test_any_text_can_be_tried(text: str) -> None:
    passwords = Passwords(CHEAP)
    assert not await passwords.verify(None, text)
    passwords.close()
