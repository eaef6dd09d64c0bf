"""``Authorization: Bearer``: from the header of a request to the principal behind it.

A token is checked as the issuer that it names says: our own, or one that the solution configures. The name is read
before anything is verified and decides nothing but who verifies.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from forecourt.identity.claims import LONGEST_TOKEN, ExternalClaims, TokenClaims, invalid_token
from forecourt.identity.issuers import Issuers
from forecourt.identity.principals import Principals
from forecourt.identity.tokens import Tokens
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal


class _Payload(msgspec.Struct):
    iss: str


class Bearer:
    """Authenticates requests that carry a token."""

    def __init__(self, tokens: Tokens, issuers: Issuers, principals: Principals) -> None:
        self._tokens = tokens
        self._issuers = issuers
        self._principals = principals

    async def authenticate(self, authorization: str | None) -> Principal:
        """The principal. Raises Refusal FC2001 without a token, FC2002 for a bad one, FC3002/FC3003 for mappings."""
        return await self._principals.from_token(await self.check(token_of(authorization)))

    async def check(self, token: str) -> TokenClaims | ExternalClaims:
        """The verified claims of a token of whichever issuer. Raises Refusal FC2002."""
        known = self._tokens.cached(token) or self._issuers.cached(token)
        if known is not None:
            return known
        issuer = issuer_of(token)
        if issuer is not None and issuer != self._tokens.issuer and self._issuers.knows(issuer):
            return await self._issuers.check(issuer, token)
        return await self._tokens.check(token)


def token_of(authorization: str | None) -> str:
    """The token of an Authorization header. Raises Refusal FC2001 (401, WWW-Authenticate) when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal(
            "FC2001",
            "No valid credentials came with the request.",
            hint="Send the header Authorization: Bearer <token>.",
            headers=(("WWW-Authenticate", "Bearer"),),
        )
    return token.strip()


def issuer_of(token: str) -> str | None:
    """The ``iss`` that a JWT claims, unverified; None when it cannot be read. Raises Refusal FC2002 when too long."""
    if len(token) > LONGEST_TOKEN:
        raise invalid_token("longer than any token")
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(payload, type=_Payload).iss
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
