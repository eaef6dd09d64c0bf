"""OIDC issuers that a solution trusts: their JWTs name an operations user (kernel.solution.Issuer).

Accepted is a token whose ``iss`` and ``aud`` equal a configured pair exactly, signed with an asymmetric algorithm
under a key that the issuer publishes, not expired, with the configured claim. Keys are fetched when first needed,
kept 5 minutes, and fetched again for an unknown ``kid``, at most each 10 s whether that succeeds or not. While an
issuer cannot be reached its last keys count for an hour.

A claim ``email`` is believed as the issuer gives it, unless ``email_verified`` is false; an issuer that lets people
choose their own address must not be matched by it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol, RSAKey

from forecourt.identity.cache import TokenCache
from forecourt.identity.claims import LONGEST_TOKEN, NOT_BEFORE_LEEWAY, ExternalClaims, invalid_token
from forecourt.identity.clock import Clock
from forecourt.kernel.solution import Issuer

#: Gives the body of a URL. Raises OSError or ValueError.
Fetch = Callable[[str], Awaitable[bytes]]

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")

_FRESH = dt.timedelta(minutes=5)
_RETRY = dt.timedelta(seconds=10)
_STALE = dt.timedelta(hours=1)
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)

PublicKey = RSAKey | ECKey


class _UnknownKey(Exception):
    pass


class _Keys:
    """The published keys of one issuer."""

    def __init__(self, issuer: Issuer, fetch: Fetch, clock: Clock) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._by_id: dict[str, PublicKey] = {}
        self._read = _LONG_AGO
        self._tried = _LONG_AGO
        self._turn = asyncio.Lock()

    async def get(self, *, again: bool) -> dict[str, PublicKey]:
        """The keys by ``kid``. ``again``: a key was missing, so an answer of the last 5 minutes will not do."""
        if again or self._clock() - self._read >= _FRESH:
            async with self._turn:
                now = self._clock()
                if (again or now - self._read >= _FRESH) and now - self._tried >= _RETRY:
                    self._tried = now
                    await self._renew()
        return self._by_id if self._clock() - self._read < _STALE else {}

    async def _renew(self) -> None:
        try:
            uri = self._issuer.jwks_uri or await self._discover()
            published = msgspec.json.decode(await self._fetch(uri))["keys"]
            found = [public_key(item) for item in published]
        except (OSError, ValueError, TypeError, KeyError, msgspec.DecodeError):
            return
        self._by_id = {str(key.kid): key for key in found if key is not None and key.kid}
        self._read = self._clock()

    async def _discover(self) -> str:
        document = msgspec.json.decode(
            await self._fetch(self._issuer.issuer.rstrip("/") + "/.well-known/openid-configuration")
        )
        if document["issuer"] != self._issuer.issuer:
            raise ValueError("the discovery document is of another issuer")
        return str(document["jwks_uri"])


class Issuers:
    """Checks tokens of the configured issuers."""

    def __init__(self, issuers: Sequence[Issuer], fetch: Fetch, clock: Clock) -> None:
        self._clock = clock
        self._configured: dict[str, list[Issuer]] = {}
        for item in issuers:
            self._configured.setdefault(item.issuer, []).append(item)
        self._keys = {name: _Keys(items[0], fetch, clock) for name, items in self._configured.items()}
        self._cache: TokenCache[ExternalClaims] = TokenCache(clock)
        #: What ``check`` found for this very token in the last 5 minutes.
        self.cached = self._cache.get

    def knows(self, issuer: str) -> bool:
        """Whether tokens of this issuer are accepted at all."""
        return issuer in self._configured

    async def check(self, issuer: str, token: str) -> ExternalClaims:
        """The claims of a valid token that says it is of ``issuer``. Raises Refusal FC2002 for every other."""
        if len(token) > LONGEST_TOKEN or issuer not in self._configured:
            raise invalid_token("of an issuer that is not configured")
        keys = self._keys[issuer]
        try:
            claims = _verified(token, await keys.get(again=False))
        except _UnknownKey:
            try:
                claims = _verified(token, await keys.get(again=True))
            except _UnknownKey:
                raise invalid_token("signed with a key that the issuer does not publish") from None
        found = self._decide(issuer, claims)
        self._cache.put(token, found, min(found.expires_at, self._clock() + _FRESH))
        return found

    def _decide(self, issuer: str, claims: dict[str, Any]) -> ExternalClaims:
        if claims.get("iss") != issuer:
            raise invalid_token("of another issuer")
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        configured = next((item for item in self._configured[issuer] if item.audience in audiences), None)
        if configured is None:
            raise invalid_token("for another audience")
        now = self._clock()
        expires = _moment(claims.get("exp"))
        if expires is None or expires <= now:
            raise invalid_token("expired")
        begins = _moment(claims.get("nbf")) if "nbf" in claims else now
        if begins is None or begins > now + NOT_BEFORE_LEEWAY:
            raise invalid_token("not valid yet")
        value = claims.get(configured.claim)
        if not isinstance(value, str) or not value.strip():
            raise invalid_token(f"without the claim {configured.claim}")
        if configured.claim == "email" and claims.get("email_verified", True) not in (True, "true"):
            raise invalid_token("with an e-mail address that the issuer has not verified")
        return ExternalClaims(
            issuer, configured.audience, str(claims.get("sub", "")), configured.match, value.strip(), expires
        )


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


def _verified(token: str, keys: dict[str, PublicKey]) -> dict[str, Any]:
    def find(signature: GuestProtocol) -> PublicKey:
        kid = signature.headers().get("kid")
        key = keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise _UnknownKey
        return key

    try:
        return dict(jwt.decode(token, find, algorithms=ALGORITHMS).claims)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise invalid_token(type(error).__name__) from None


def _moment(value: object) -> dt.datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
