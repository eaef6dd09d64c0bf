"""Passwords: what one must be like, how it is kept, how one is made.

Hashing is argon2id (RFC 9106) with the parameters that OWASP gives for a server (19 MiB, 2 passes, 1 lane), in worker
threads of its own: two at once, so that a flood of sign-ins takes two cores and 40 MiB at most, and never the event
loop. Verification costs the same whether or not the user exists: without a hash, a made-up one is verified.

The policy is that of the portal's settings (reference: pages-and-dataverse A3.3): 8 characters, 3 of 4 classes.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from forecourt.kernel.errors import Refusal

T = TypeVar("T")

#: No letters or digits that look like one another.
_LOWER = "abcdefghjkmnpqrstuvwxyz"
_UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_DIGITS = "23456789"


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters of argon2id: ``memory`` in KiB."""

    passes: int = 2
    memory: int = 19_456
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """``length``: fewest characters (RequiredLength); ``classes``: how many of lower, upper, digit, other."""

    length: int = 8
    classes: int = 3
    longest: int = 256

    def faults(self, password: str, username: str = "") -> tuple[str, ...]:
        """What is wrong with ``password``, as sentences for the person; () when nothing is."""
        found: list[str] = []
        if len(password) < self.length:
            found.append(f"The password needs at least {self.length} characters.")
        if len(password) > self.longest:
            found.append(f"The password may have at most {self.longest} characters.")
        if _classes(password) < self.classes:
            found.append(
                f"The password needs {self.classes} of these: lower-case letters, upper-case letters, digits, "
                "other characters."
            )
        if username and password.casefold() == username.casefold():
            found.append("The password must not be the user name.")
        return tuple(found)

    def require(self, password: str, username: str = "") -> None:
        """Raises Refusal FC1003 with every fault."""
        found = self.faults(password, username)
        if found:
            raise Refusal("FC1003", found[0], hint=" ".join(found[1:]), source="password")


def _classes(password: str) -> int:
    lower = any(c.islower() for c in password)
    upper = any(c.isupper() for c in password)
    digit = any(c.isdigit() for c in password)
    other = any(not (c.islower() or c.isupper() or c.isdigit()) for c in password)
    return lower + upper + digit + other


def generate_password() -> str:
    """A password to read out or copy from paper: four groups of four, about 90 bits.

    Every group starts with a letter of each case and a digit in some order, so the policy is always met.
    """

    def group() -> str:
        signs = [secrets.choice(_LOWER), secrets.choice(_UPPER), secrets.choice(_DIGITS)]
        signs.append(secrets.choice(_LOWER + _UPPER + _DIGITS))
        secrets.SystemRandom().shuffle(signs)
        return "".join(signs)

    return "-".join(group() for _ in range(4))


class Passwords:
    """Hashes and verifies. ``workers``: how many at once; ``seats``: how many may be signing in at once."""

    def __init__(self, cost: Cost | None = None, workers: int = 2, seats: int = 200, longest: int = 256) -> None:
        cost = cost or Cost()
        self._hasher = argon2.PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory, parallelism=cost.lanes, type=argon2.Type.ID
        )
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="passwords")
        self._seats = seats
        self._taken = 0
        self._longest = longest
        self._nobody = _made_up(cost)

    async def hash(self, password: str) -> str:
        """The hash to store, in PHC string format."""
        data = _bytes(password)
        return await self._run(lambda: self._hasher.hash(data))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the one behind ``stored``. ``None`` (no such user) costs the same and is False.

        A password longer than any that can be set is cut before it is hashed, and is False too.
        """
        data = _bytes(password[: self._longest + 1])
        known = stored if stored is not None else self._nobody

        def work() -> bool:
            try:
                return self._hasher.verify(known, data)
            except (VerificationError, InvalidHashError):
                return False

        right = await self._run(work)
        return right and stored is not None and len(password) <= self._longest

    def outdated(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters, so that it wants renewing at the next sign-in."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def seat(self) -> Iterator[None]:
        """A place among those who are served, for as long as one sign-in takes.

        To be taken before an attempt is counted against anybody. Raises Refusal FC2004 (429) when all are taken.
        """
        if self._taken >= self._seats:
            raise Refusal(
                "FC2004",
                "Too many people are signing in at this moment.",
                hint="Try again in a few seconds.",
                headers=(("Retry-After", "5"),),
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _bytes(password: str) -> bytes:
    """One spelling for one text (keyboards differ in how they compose letters); lone surrogates pass through."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _made_up(cost: Cost) -> str:
    """A well-formed hash that no password has, of the same cost as real ones."""

    def text(size: int) -> str:
        return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")

    return f"$argon2id$v=19$m={cost.memory},t={cost.passes},p={cost.lanes}${text(16)}${text(32)}"
