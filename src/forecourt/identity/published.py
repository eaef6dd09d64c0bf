"""Keys that an OIDC issuer publishes, and tokens that are signed under them.

Keys are fetched when first needed, kept 5 minutes, and fetched again for an unknown ``kid``, at most each 10 s whether
that succeeds or not. While an issuer cannot be reached its last keys count for an hour. Only asymmetric algorithms are
taken, and no weak key. What a token says is not looked at here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol, RSAKey

from forecourt.identity.claims import invalid_token
from forecourt.identity.clock import Clock

#: Gives the body of a URL. Raises OSError or ValueError.
Fetch = Callable[[str], Awaitable[bytes]]

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")

FRESH: Final = dt.timedelta(minutes=5)
RETRY: Final = dt.timedelta(seconds=10)
_STALE = dt.timedelta(hours=1)
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)

PublicKey = RSAKey | ECKey


class UnknownKey(Exception):
    """The header names no key that the issuer publishes."""


class PublishedKeys:
    """The published keys of one issuer. ``address``: finds where they are; it may raise as ``fetch`` does."""

    def __init__(self, address: Callable[[], Awaitable[str]], fetch: Fetch, clock: Clock) -> None:
        self._address = address
        self._fetch = fetch
        self._clock = clock
        self._by_id: dict[str, PublicKey] = {}
        self._read = _LONG_AGO
        self._tried = _LONG_AGO
        self._turn = asyncio.Lock()

    async def get(self, *, again: bool) -> dict[str, PublicKey]:
        """The keys by ``kid``. ``again``: a key was missing, so an answer of the last 5 minutes will not do."""
        if again or self._clock() - self._read >= FRESH:
            async with self._turn:
                now = self._clock()
                if (again or now - self._read >= FRESH) and now - self._tried >= RETRY:
                    self._tried = now
                    await self._renew()
        return self._by_id if self._clock() - self._read < _STALE else {}

    async def claims(self, token: str) -> dict[str, Any]:
        """What a token of the issuer says. Raises Refusal FC2002 for one that is not signed under its keys."""
        try:
            return verified(token, await self.get(again=False))
        except UnknownKey:
            try:
                return verified(token, await self.get(again=True))
            except UnknownKey:
                raise invalid_token("signed with a key that the issuer does not publish") from None

    async def _renew(self) -> None:
        try:
            published = msgspec.json.decode(await self._fetch(await self._address()))["keys"]
            found = [public_key(item) for item in published]
        except (OSError, ValueError, TypeError, KeyError, msgspec.DecodeError):
            return
        self._by_id = {str(key.kid): key for key in found if key is not None and key.kid}
        self._read = self._clock()


def public_key(published: object) -> PublicKey | None:
    """A usable signature key of a JWK set; None for symmetric, encryption, weak and unknown ones."""
    if not isinstance(published, dict) or published.get("use", "sig") != "sig":
        return None
    try:
        if published.get("kty") == "EC":
            return ECKey.import_key({name: published[name] for name in ("kty", "crv", "x", "y", "kid")})
        if published.get("kty") == "RSA" and len(str(published["n"])) >= 342:  # 2048 bits in base64url
            return RSAKey.import_key({name: published[name] for name in ("kty", "n", "e", "kid")})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None


def verified(token: str, keys: dict[str, PublicKey]) -> dict[str, Any]:
    """The claims of a token that is signed under one of the keys. Raises UnknownKey, or Refusal FC2002."""

    def find(signature: GuestProtocol) -> PublicKey:
        kid = signature.headers().get("kid")
        if kid is None and len(keys) == 1:  # OpenID Connect Core 10.1: the only key needs no name
            return next(iter(keys.values()))
        key = keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise UnknownKey
        return key

    try:
        return dict(jwt.decode(token, find, algorithms=ALGORITHMS).claims)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise invalid_token(type(error).__name__) from None


def moment_of(value: object) -> dt.datetime | None:
    """A NumericDate (RFC 7519), None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
