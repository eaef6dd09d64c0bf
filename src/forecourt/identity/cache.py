"""A bounded cache from a token to what its verification found.

Verifying a signature costs some 100 us, the rest of a small read hardly more: a client that sends the same token
with each request is recognised by the SHA-256 of the token. The token itself is not kept. When the cache is full the
oldest entry goes, run out or not: an attacker can fill it only with tokens that are valid.
"""

from __future__ import annotations

import datetime as dt
from hashlib import sha256
from typing import Generic, TypeVar

from forecourt.identity.claims import LONGEST_TOKEN
from forecourt.identity.clock import Clock

T = TypeVar("T")


class TokenCache(Generic[T]):
    """Entries end at the moment given for them; ``size``: how many at most."""

    def __init__(self, clock: Clock, size: int = 10_000) -> None:
        self._clock = clock
        self._size = size
        self._entries: dict[bytes, tuple[dt.datetime, T]] = {}

    def get(self, token: str) -> T | None:
        """What was found for ``token``; None when it has run out, or was never seen."""
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            entry = self._entries.get(sha256(token.encode("ascii")).digest())
        except UnicodeEncodeError:
            return None
        if entry is None:
            return None
        if entry[0] <= self._clock():
            return None
        return entry[1]

    def put(self, token: str, found: T, until: dt.datetime) -> None:
        """Remembers a verified token."""
        if len(self._entries) >= self._size:
            del self._entries[next(iter(self._entries))]
        self._entries[sha256(token.encode("ascii")).digest()] = (until, found)

    def clear(self) -> None:
        """Forgets everything: a key is no longer trusted."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
