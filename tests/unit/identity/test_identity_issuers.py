"""Tokens of other issuers: which are believed, and how often the issuer is asked for its keys."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from forecourt.identity.bearer import issuer_of
from forecourt.identity.issuers import Issuers
from forecourt.identity.published import public_key
from forecourt.kernel.errors import Refusal
from forecourt.kernel.solution import Issuer

IDP = "https://idp.example/tenant"
KEYS = "https://idp.example/keys"
NOW = dt.datetime(2030, 6, 1, 12, 0, tzinfo=dt.UTC)
FIRST = ECKey.generate_key("P-256", auto_kid=True)
SECOND = ECKey.generate_key("P-256", auto_kid=True)
RSA = RSAKey.generate_key(2048, auto_kid=True)


class World:
    """An issuer that publishes keys, a clock, and a count of what was fetched."""

    def __init__(self, *configured: Issuer) -> None:
        self.now = NOW
        self.published: list[ECKey | RSAKey] = [FIRST, RSA]
        self.reachable = True
        self.fetched: list[str] = []
        self.discovery: dict[str, Any] = {"issuer": IDP, "jwks_uri": KEYS}
        items = configured or (Issuer(issuer=IDP, audience="forecourt", jwks_uri=KEYS),)
        self.issuers = Issuers(items, self.fetch, lambda: self.now)

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if not self.reachable:
            raise OSError("not reachable")
        if url.endswith("/.well-known/openid-configuration"):
            return json.dumps(self.discovery).encode()
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.published]}).encode()

    async def refused(self, token: str, issuer: str = IDP) -> Refusal:
        with pytest.raises(Refusal) as caught:
            await self.issuers.check(issuer, token)
        assert caught.value.code == "FC2002"
        return caught.value


def token(key: ECKey | RSAKey = FIRST, algorithm: str = "ES256", **changes: Any) -> str:
    now = int(NOW.timestamp())
    claims = {"iss": IDP, "aud": "forecourt", "sub": "s-1", "exp": now + 3600, "email": "vera@acme.example", **changes}
    claims = {name: value for name, value in claims.items() if value is not ...}
    return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])


async def test_a_token_of_a_configured_issuer_names_a_user() -> None:
    claims = await World().issuers.check(IDP, token())
    assert (claims.match, claims.value, claims.subject) == ("email", "vera@acme.example", "s-1")


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "RS512"])
async def test_rsa_issuers_are_understood(algorithm: str) -> None:
    assert (await World().issuers.check(IDP, token(RSA, algorithm))).subject == "s-1"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://idp.example/other"},
        {"iss": IDP + "/"},
        {"iss": ...},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": []},
        {"aud": ...},
        {"exp": int(NOW.timestamp())},
        {"exp": ...},
        {"exp": "4000000000"},
        {"exp": 10**30},
        {"nbf": int(NOW.timestamp()) + 61},
        {"nbf": "soon"},
        {"email": ...},
        {"email": ""},
        {"email": ["vera@acme.example"]},
        {"email_verified": False},
        {"email_verified": "false"},
        {"email_verified": None},
    ],
    ids=repr,
)
async def test_a_claim_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    await World().refused(token(**changes))


async def test_audience_lists_verified_addresses_and_leeway_are_accepted() -> None:
    accepted = token(aud=["another", "forecourt"], email_verified=True, nbf=int(NOW.timestamp()) + 60)
    assert (await World().issuers.check(IDP, accepted)).audience == "forecourt"


async def test_symmetric_and_unsigned_tokens_are_refused() -> None:
    world = World()
    _, payload, signature = token().split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": FIRST.kid}).encode()).decode().rstrip("=")
    await world.refused(f"{head}.{payload}.")
    await world.refused(f"{head}.{payload}.{signature}")
    secret = OctKey.import_key(json.dumps(FIRST.as_dict(private=False)))
    claims = {"iss": IDP, "aud": "forecourt", "exp": int(NOW.timestamp()) + 60, "email": "admin@contoso.example"}
    await world.refused(jwt.encode({"alg": "HS256", "kid": FIRST.kid}, claims, secret, algorithms=["HS256"]))
    await world.refused(token(SECOND))


async def test_an_issuer_that_is_not_configured_is_never_asked() -> None:
    world = World()
    await world.refused(token(iss="https://evil.example"), "https://evil.example")
    assert world.fetched == []


async def test_one_issuer_does_not_speak_for_another() -> None:
    other = "https://other.example"
    world = World(
        Issuer(issuer=IDP, audience="forecourt", jwks_uri=KEYS),
        Issuer(issuer=other, audience="forecourt", jwks_uri="https://other.example/keys"),
    )
    await world.refused(token(), other)


async def test_keys_are_fetched_when_needed_and_kept_five_minutes() -> None:
    world = World()
    assert world.fetched == []
    for n in range(10):
        await world.issuers.check(IDP, token(sub=str(n)))
    world.now += dt.timedelta(minutes=4, seconds=59)
    await world.issuers.check(IDP, token(sub="late"))
    assert world.fetched == [KEYS]
    world.now += dt.timedelta(seconds=1)
    await world.issuers.check(IDP, token(sub="later"))
    assert world.fetched == [KEYS, KEYS]


async def test_a_new_key_of_the_issuer_is_found_at_once_and_a_made_up_one_does_not_make_us_ask_again() -> None:
    world = World()
    await world.issuers.check(IDP, token())
    world.published = [FIRST, SECOND]
    await world.refused(token(SECOND))  # the keys were fetched in this very second
    world.now += dt.timedelta(seconds=10)
    await world.issuers.check(IDP, token(SECOND))
    assert len(world.fetched) == 2
    forged = ECKey.generate_key("P-256", auto_kid=True)
    for _ in range(20):
        await world.refused(token(forged))
    assert len(world.fetched) == 2


async def test_an_issuer_that_is_down_is_asked_each_ten_seconds_at_most() -> None:
    world = World()
    world.reachable = False
    for _ in range(20):
        await world.refused(token())
    assert len(world.fetched) == 1
    world.reachable = True
    world.now += dt.timedelta(seconds=10)
    await world.issuers.check(IDP, token())


async def test_the_last_keys_count_for_an_hour_while_the_issuer_is_down() -> None:
    world = World()
    lasting = int(NOW.timestamp()) + 86_400
    await world.issuers.check(IDP, token(exp=lasting))
    world.reachable = False
    world.now += dt.timedelta(minutes=59)
    await world.issuers.check(IDP, token(exp=lasting, sub="x"))
    world.now += dt.timedelta(minutes=1)
    await world.refused(token(exp=lasting, sub="y"))


async def test_a_withdrawn_key_is_refused_after_five_minutes_even_for_a_token_seen_before() -> None:
    world = World()
    seen = token()
    await world.issuers.check(IDP, seen)
    assert world.issuers.cached(seen) is not None
    world.published = [SECOND]
    world.now += dt.timedelta(minutes=5)
    assert world.issuers.cached(seen) is None
    await world.refused(seen)


async def test_without_a_key_address_discovery_finds_it_if_it_is_the_issuers_own() -> None:
    world = World(Issuer(issuer=IDP, audience="forecourt"))
    await world.issuers.check(IDP, token())
    assert world.fetched == [f"{IDP}/.well-known/openid-configuration", KEYS]
    world = World(Issuer(issuer=IDP, audience="forecourt"))
    world.discovery["issuer"] = "https://evil.example"
    await world.refused(token())


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"keys": 1}', b'{"keys": [1, null, {}]}', b"{" * 50])
async def test_a_broken_key_document_is_no_key_document(answer: bytes) -> None:
    async def fetch(url: str) -> bytes:
        return answer

    with pytest.raises(Refusal):
        await Issuers((Issuer(issuer=IDP, audience="forecourt", jwks_uri=KEYS),), fetch, lambda: NOW).check(
            IDP, token()
        )


def test_only_strong_public_signature_keys_are_taken_from_a_set() -> None:
    good = FIRST.as_dict(private=False)
    assert public_key(good) is not None
    assert public_key({**good, "use": "enc"}) is None
    assert public_key({**good, "x": "AAAA"}) is None
    assert public_key({name: value for name, value in good.items() if name != "kid"}) is None
    assert public_key({"kty": "oct", "k": "c2VjcmV0", "kid": "x"}) is None
    assert public_key({"kty": "RSA", "n": "AQAB" * 32, "e": "AQAB", "kid": "weak"}) is None


def test_the_issuer_of_a_token_is_read_without_trust() -> None:
    assert issuer_of(token()) == IDP
    for text in ("", "a.b", "a.!.c", "a.W10.c", "a.bnVsbA.c", "a.eyJpc3MiOjF9.c", "é.é.é"):
        assert issuer_of(text) is None
    with pytest.raises(Refusal):
        issuer_of("A" * 20_000)
