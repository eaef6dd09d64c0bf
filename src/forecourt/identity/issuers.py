"""OIDC issuers that a solution trusts: their JWTs name an operations user (kernel.solution.Issuer).

Accepted is a token whose ``iss`` and ``aud`` equal a configured pair exactly, signed with an asymmetric algorithm
under a key that the issuer publishes (``published``), not expired, with the configured claim.

A claim ``email`` is believed as the issuer gives it, unless ``email_verified`` is false; an issuer that lets people
choose their own address must not be matched by it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from forecourt.identity.cache import TokenCache
from forecourt.identity.claims import LONGEST_TOKEN, NOT_BEFORE_LEEWAY, ExternalClaims, invalid_token
from forecourt.identity.clock import Clock
from forecourt.identity.published import FRESH, Fetch, PublishedKeys, moment_of
from forecourt.kernel.solution import Issuer


class Issuers:
    """Checks tokens of the configured issuers."""

    def __init__(self, issuers: Sequence[Issuer], fetch: Fetch, clock: Clock) -> None:
        self._clock = clock
        self._configured: dict[str, list[Issuer]] = {}
        for item in issuers:
            self._configured.setdefault(item.issuer, []).append(item)
        self._keys = {
            name: PublishedKeys(_discovered(items[0], fetch), fetch, clock) for name, items in self._configured.items()
        }
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
        claims = await self._keys[issuer].claims(token)
        found = self._decide(issuer, claims)
        self._cache.put(token, found, min(found.expires_at, self._clock() + FRESH))
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
        expires = moment_of(claims.get("exp"))
        if expires is None or expires <= now:
            raise invalid_token("expired")
        begins = moment_of(claims.get("nbf")) if "nbf" in claims else now
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


def _discovered(issuer: Issuer, fetch: Fetch) -> Callable[[], Awaitable[str]]:
    """Finds where an issuer publishes its keys."""

    async def find() -> str:
        if issuer.jwks_uri:
            return issuer.jwks_uri
        address = issuer.issuer.rstrip("/") + "/.well-known/openid-configuration"
        document = msgspec.json.decode(await fetch(address))
        if document["issuer"] != issuer.issuer:
            raise ValueError("the discovery document is of another issuer")
        return str(document["jwks_uri"])

    return find
