"""Speaks to a sign-in provider: OpenID Connect Core 1.0 (authorization code), PKCE (RFC 7636), Discovery 1.0.

A sign-in is bound to one browser by ``state``, to its ID token by ``nonce`` and to its code by the verifier of PKCE;
all three are random, made here, and used once. The ID token has to be signed under a key of the provider, be for this
client, not have expired, and carry the nonce. What a provider says when something is wrong goes to the operator's log.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from forecourt.identity.claims import LONGEST_TOKEN
from forecourt.identity.clock import Clock
from forecourt.identity.fetch import is_allowed
from forecourt.identity.providers.definitions import Provider
from forecourt.identity.published import FRESH, RETRY, PublishedKeys, moment_of
from forecourt.kernel.errors import Refusal

_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)

#: How old an ID token may be, whatever its own expiry says.
_OLDEST: Final = dt.timedelta(minutes=10)


class Ask(Protocol):
    """Asks a provider. ``identity.fetch.ask``. Raises OSError or ValueError."""

    def __call__(
        self, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Awaitable[bytes]: ...


class Metadata(msgspec.Struct, frozen=True):
    """What is read of a discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


@dataclass(frozen=True, slots=True)
class Departure:
    """A sign-in that begins: where the person goes, and what has to be kept until they are back."""

    url: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom a provider vouches for. ``email``: an address that it has verified, else ''; ``user_info``: of UserInfo."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]
    user_info: Mapping[str, Any]
    email: str


class ProviderClient:
    """One provider. ``origin``: where this site is."""

    def __init__(self, provider: Provider, origin: str, ask: Ask, clock: Clock) -> None:
        self.provider = provider
        self._redirect = origin + provider.callback
        self._ask = ask
        self._clock = clock
        self._metadata: Metadata | None = None
        self._read = _LONG_AGO
        self._tried = _LONG_AGO
        self._turn = asyncio.Lock()
        self._keys = PublishedKeys(self._jwks, ask, clock)

    async def depart(self) -> Departure:
        """Begins a sign-in. Raises Refusal FC2008 while the provider cannot be reached."""
        metadata = await self._known()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self._redirect,
            "scope": " ".join(self.provider.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": self.provider.prompt,
            "acr_values": self.provider.acr_values,
        }
        given = {name: value for name, value in query.items() if value}
        sign = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        url = f"{metadata.authorization_endpoint}{sign}{urlencode(given, quote_via=quote)}"
        return Departure(url, state, nonce, verifier)

    async def arrive(self, answer: Mapping[str, str], departure: Departure) -> Vouched:
        """Whom the provider vouches for, from the query that it sent a person back with. Raises Refusal FC2008."""
        metadata = await self._known()
        if not hmac.compare_digest(answer.get("state", "").encode(), departure.state.encode()):
            raise unusable("the state is another one")
        if answer.get("iss", metadata.issuer) != metadata.issuer:
            raise unusable("the answer is of another issuer")
        if "error" in answer or not answer.get("code"):
            raise unusable("the provider says no: " + _plain(answer.get("error", "no code")))
        tokens = await self._exchange(metadata, answer["code"], departure.verifier)
        claims = await self._checked(metadata, tokens.id_token, departure.nonce)
        user_info = await self._user_info(metadata, tokens, str(claims["sub"]))
        return Vouched(metadata.issuer, claims["sub"], claims, user_info, _verified_email(claims, user_info))

    async def farewell(self) -> str:
        """Where a person signs out at the provider, too; '' where it has no such place, or is away."""
        if not self.provider.external_logout:
            return ""
        try:
            metadata = await self._known()
        except Refusal:
            return ""
        if not metadata.end_session_endpoint:
            return ""
        back = self.provider.after_logout or self._redirect.removesuffix(self.provider.callback) + "/"
        query = urlencode({"client_id": self.provider.client_id, "post_logout_redirect_uri": back})
        return f"{metadata.end_session_endpoint}{'&' if '?' in metadata.end_session_endpoint else '?'}{query}"

    # -- what the provider says ----------------------------------------------------------------------------------

    async def _known(self) -> Metadata:
        if self._metadata is None or self._clock() - self._read >= FRESH:
            async with self._turn:
                now = self._clock()
                if (self._metadata is None or now - self._read >= FRESH) and now - self._tried >= RETRY:
                    self._tried = now
                    await self._discover()
        if self._metadata is None:
            raise Refusal(
                "FC2008",
                "The provider cannot be reached now.",
                hint="Try again in a moment, or sign in another way.",
                detail=self.provider.name,
            )
        return self._metadata

    async def _discover(self) -> None:
        try:
            found = msgspec.json.decode(await self._ask(self.provider.metadata), type=Metadata)
        except (OSError, ValueError, msgspec.DecodeError):
            return
        wanted = self.provider.issuer
        addresses = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
        optional = filter(None, (found.userinfo_endpoint, found.end_session_endpoint))
        if (wanted and found.issuer.rstrip("/") != wanted) or not all(map(is_allowed, (*addresses, *optional))):
            return
        self._metadata, self._read = found, self._clock()

    async def _jwks(self) -> str:
        if self._metadata is None:
            raise ValueError("the provider is not known")
        return self._metadata.jwks_uri

    async def _exchange(self, metadata: Metadata, code: str, verifier: str) -> _Tokens:
        provider = self.provider
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "client_id": provider.client_id,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        methods = metadata.token_endpoint_auth_methods_supported
        if provider.client_secret and "client_secret_basic" in methods and "client_secret_post" not in methods:
            pair = f"{quote(provider.client_id, safe='')}:{quote(provider.client_secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif provider.client_secret:
            form["client_secret"] = provider.client_secret
        try:
            return msgspec.json.decode(await self._ask(metadata.token_endpoint, form, headers), type=_Tokens)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise unusable(f"the code is not taken: {type(error).__name__}") from None

    async def _checked(self, metadata: Metadata, token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token that is for this sign-in (OpenID Connect Core 3.1.3.7)."""
        if len(token) > LONGEST_TOKEN:
            raise unusable("the ID token is longer than any")
        try:
            claims = await self._keys.claims(token)
        except Refusal as refusal:
            raise unusable(f"the ID token is {refusal.detail}") from None
        now, skew = self._clock(), self.provider.clock_skew
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        allowed = {self.provider.client_id, *self.provider.audiences}
        expires, issued = moment_of(claims.get("exp")), moment_of(claims.get("iat"))
        begins = moment_of(claims.get("nbf")) if "nbf" in claims else now
        subject, told = claims.get("sub"), claims.get("nonce")
        if claims.get("iss") != metadata.issuer:
            raise unusable("the ID token is of another issuer")
        if not any(isinstance(audience, str) and audience in allowed for audience in audiences):
            raise unusable("the ID token is for another client")
        if claims.get("azp", self.provider.client_id) not in allowed or (len(audiences) > 1 and "azp" not in claims):
            raise unusable("the ID token was given to another client")
        if expires is None or expires + skew <= now:
            raise unusable("the ID token has expired")
        if (
            issued is None
            or issued - skew > now
            or issued + _OLDEST + skew < now
            or begins is None
            or begins - skew > now
        ):
            raise unusable("the ID token is of another time")
        if not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):
            raise unusable("the ID token is of another sign-in")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
            raise unusable("the ID token names nobody")
        return claims

    async def _user_info(self, metadata: Metadata, tokens: _Tokens, subject: str) -> Mapping[str, Any]:
        if not self.provider.needs_user_info:
            return {}
        try:
            headers = {"Authorization": f"Bearer {tokens.access_token}"}
            found = msgspec.json.decode(await self._ask(metadata.userinfo_endpoint, None, headers), type=dict[str, Any])
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise unusable(f"UserInfo is not given: {type(error).__name__}") from None
        if found.get("sub") != subject:
            raise unusable("UserInfo is of somebody else")
        return found


def unusable(why: str) -> Refusal:
    """FC2008. ``why`` is for the operator's log; the person learns no more than that it did not work."""
    return Refusal(
        "FC2008",
        "The sign-in did not work.",
        detail=why,
        hint="Begin again. If it fails again, sign in another way or ask for help.",
    )


def _verified_email(*sources: Mapping[str, Any]) -> str:
    """An address that the provider says it has verified (``email_verified``, or Entra's ``xms_edov``), else ''."""
    for claims in sources:
        email = claims.get("email")
        proofs = (claims.get("email_verified"), claims.get("xms_edov"))
        if isinstance(email, str) and any(proof is True or proof in ("true", "1", 1) for proof in proofs):
            return email.strip()
    return ""


def _plain(text: str) -> str:
    return "".join(sign for sign in text[:60] if sign.isalnum() or sign in "_- ")
