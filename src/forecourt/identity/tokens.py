"""Access tokens of our own: JWTs signed with ES256, and the documents by which others verify them.

Only ES256 is accepted, and only under a key of ``forecourt.signing_key`` that the header's ``kid`` names: ``none``,
HMAC under a public key, embedded keys and key URLs lead nowhere. Issuer, audience, tenant and expiry are compared
exactly; "not before" has 60 s of leeway. A token that was verified is recognised by its SHA-256 until it expires
(:mod:`forecourt.identity.cache`).

Keys are made at the first start. ``rotate`` makes a new one; the old one verifies until the last token that it may
have signed has expired. A ``kid`` that is not known makes this process read the keys again, each 10 s at most.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol

from forecourt.identity.cache import TokenCache
from forecourt.identity.claims import LONGEST_TOKEN, NOT_BEFORE_LEEWAY, SubjectKind, TokenClaims, invalid_token
from forecourt.identity.clock import Clock
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

ALGORITHM: Final = "ES256"

#: How long a retired key verifies, hence the longest lifetime of a token.
LONGEST_LIFETIME: Final = 86_400
_RELOAD_EVERY = dt.timedelta(seconds=10)
_OBJECTS = uuid.UUID("8a0f5c3e-9a52-4c0e-8a39-6d1c1f6b7a10")

_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended('forecourt.signing_key', 0))"
_CURRENT: Final = "select kid from forecourt.signing_key where retired_at is null"
_ADD: Final = "insert into forecourt.signing_key (kid, jwk, created_at) values ($1, $2, $3)"
_RETIRE: Final = "update forecourt.signing_key set retired_at = $2 where retired_at is null and kid <> $1"
_DROP: Final = "delete from forecourt.signing_key where retired_at <= $1"
_LOAD: Final = """
select kid, jwk, retired_at from forecourt.signing_key
where retired_at is null or retired_at > $1
order by retired_at is not null, created_at desc, kid
"""


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    sub: str
    tid: str
    appid: str
    iat: int
    nbf: int
    exp: int
    jti: str
    kind: SubjectKind


class UnknownKey(Exception):
    """The header names no key that we know."""


class Tokens:
    """Issues and checks. ``base_url``: our own origin; ``audiences``: resources that tokens may be for.

    ``start`` reads the keys (and makes the first one) and comes before everything else.
    """

    def __init__(
        self, database: Database, clock: Clock, *, base_url: str, tenant: str, audiences: Collection[str] = ()
    ) -> None:
        self._database = database
        self._clock = clock
        self._base = base_url.rstrip("/")
        self.tenant = tenant
        self.issuer = f"{self._base}/{tenant}/v2.0"
        self.audiences = frozenset(item.rstrip("/") for item in (self._base, *audiences))
        self._keys: dict[str, ECKey] = {}
        self._signing: ECKey | None = None
        self._loaded = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._cache: TokenCache[TokenClaims] = TokenCache(clock)
        #: What ``check`` found for this very token before, without waiting; None: ask ``check``.
        self.cached = self._cache.get

    @property
    def default_audience(self) -> str:
        """The resource of a token whose asker names none: this server."""
        return self._base

    async def start(self) -> None:
        """Reads the keys; makes one if there is none (one, however many processes start at once)."""
        async with self._database.transaction("make the first signing key") as tx:
            await tx.execute(_LOCK)
            if not await tx.fetch(_CURRENT):
                key = _new_key()
                await tx.execute(_ADD, _kid(key), _private(key), self._clock())
        await self.refresh()

    async def refresh(self) -> None:
        """Reads the keys again; for a timer, so that every process signs with the newest."""
        now = self._clock()
        oldest = now - dt.timedelta(seconds=LONGEST_LIFETIME)
        rows = await self._database.system(SystemPlan("load signing keys", _LOAD, (oldest,)))
        keys = {row["kid"]: ECKey.import_key(msgspec.json.decode(row["jwk"])) for row in rows}
        if self._keys.keys() - keys.keys():
            self._cache.clear()
        self._keys = keys
        self._signing = next((keys[row["kid"]] for row in rows if row["retired_at"] is None), None)
        self._loaded = now

    async def rotate(self) -> str:
        """Makes a new signing key and retires the others; gives its ``kid``."""
        key = _new_key()
        now = self._clock()
        async with self._database.transaction("rotate the signing key") as tx:
            await tx.execute(_LOCK)
            await tx.execute(_ADD, _kid(key), _private(key), now)
            await tx.execute(_RETIRE, _kid(key), now)
            await tx.execute(_DROP, now - dt.timedelta(seconds=LONGEST_LIFETIME))
        await self.refresh()
        return _kid(key)

    def issue(
        self, subject: str, kind: SubjectKind, *, audience: str = "", client_id: str, lifetime: int = 3600
    ) -> str:
        """A signed token for ``lifetime`` seconds. ``audience``: one of ``audiences``, this server when left out."""
        if self._signing is None:
            raise RuntimeError("Tokens.start() has not run")
        audience = (audience or self._base).rstrip("/")
        if audience not in self.audiences or not 0 < lifetime <= LONGEST_LIFETIME:
            raise ValueError("a token needs a known audience and a lifetime of a day at most")
        now = int(self._clock().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": audience,
            "sub": subject,
            "oid": str(uuid.uuid5(_OBJECTS, f"{self.tenant}/{kind}/{subject}")),
            "tid": self.tenant,
            "appid": client_id,
            "kind": kind,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "jti": str(uuid.uuid4()),
            "ver": "2.0",
        }
        header = {"alg": ALGORITHM, "kid": _kid(self._signing), "typ": "JWT"}
        return jwt.encode(header, claims, self._signing, algorithms=[ALGORITHM])

    async def check(self, token: str) -> TokenClaims:
        """The claims of a valid token. Raises Refusal FC2002 (401, WWW-Authenticate) for every other text."""
        found = self._cache.get(token)
        if found is not None:
            return found
        if len(token) > LONGEST_TOKEN:
            raise invalid_token("longer than any token")
        try:
            claims = self._verified(token)
        except UnknownKey:
            if self._clock() - self._loaded < _RELOAD_EVERY:
                raise invalid_token("signed with a key that is not ours") from None
            await self.refresh()
            try:
                claims = self._verified(token)
            except UnknownKey:
                raise invalid_token("signed with a key that is not ours") from None
        self._cache.put(token, claims, claims.expires_at)
        return claims

    def jwks(self) -> dict[str, Any]:
        """The public keys, for ``/{tenant}/discovery/v2.0/keys``."""
        return {
            "keys": [
                {**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM, "issuer": self.issuer}
                for key in self._keys.values()
            ]
        }

    def configuration(self, *, password_grant: bool = False) -> dict[str, Any]:
        """The document ``/{tenant}/v2.0/.well-known/openid-configuration`` (OpenID Connect Discovery 1.0)."""
        root = f"{self._base}/{self.tenant}"
        return {
            "issuer": self.issuer,
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "grant_types_supported": ["client_credentials", *(["password"] if password_grant else [])],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "scopes_supported": [f"{item}/.default" for item in sorted(self.audiences)],
            "claims_supported": [
                "iss",
                "aud",
                "sub",
                "oid",
                "tid",
                "appid",
                "kind",
                "iat",
                "nbf",
                "exp",
                "jti",
                "ver",
            ],
        }

    def _verified(self, token: str) -> TokenClaims:
        try:
            raw = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            claims = msgspec.convert(raw, _Claims, strict=True)
            issued = dt.datetime.fromtimestamp(claims.iat, dt.UTC)
            begins = dt.datetime.fromtimestamp(claims.nbf, dt.UTC)
            expires = dt.datetime.fromtimestamp(claims.exp, dt.UTC)
        except (JoseError, ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
            raise invalid_token(type(error).__name__) from None
        now = self._clock()
        if claims.iss != self.issuer or claims.tid != self.tenant:
            raise invalid_token("of another issuer or tenant")
        if claims.aud not in self.audiences:
            raise invalid_token("for another audience")
        if expires <= now:
            raise invalid_token("expired")
        if begins > now + NOT_BEFORE_LEEWAY:
            raise invalid_token("not valid yet")
        return TokenClaims(
            claims.iss, claims.aud, claims.sub, claims.kind, claims.tid, claims.appid, issued, expires, claims.jti
        )

    def _key(self, signature: GuestProtocol) -> ECKey:
        kid = signature.headers().get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise UnknownKey
        return key


def _new_key() -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


def _kid(key: ECKey) -> str:
    assert key.kid is not None
    return key.kid


def _private(key: ECKey) -> str:
    return msgspec.json.encode(key.as_dict(private=True)).decode()
