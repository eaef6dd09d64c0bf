"""Tokens: nothing but a token that we signed, for us, in time, is taken for one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey
from test_identity_support import BASE, Identity, wired

from forecourt.identity.claims import TokenClaims
from forecourt.identity.tokens import Tokens
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan


@pytest.fixture
async def identity(database_url: str) -> AsyncIterator[Identity]:
    async with wired(database_url) as made:
        yield made


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def issue(identity: Identity, **more: Any) -> str:
    return identity.tokens.issue("vera", "operations", client_id="client-1", **more)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    header, payload, signature = token.split(".")
    return (
        json.loads(base64.urlsafe_b64decode(header + "==")),
        json.loads(base64.urlsafe_b64decode(payload + "==")),
        signature,
    )


async def private_key(identity: Identity) -> ECKey:
    [row] = await identity.database.system(SystemPlan("test", "select jwk from forecourt.signing_key"))
    return ECKey.import_key(json.loads(row["jwk"]))


async def signed(identity: Identity, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token signed with the real key, with claims of our choice; a claim set to ... is left out."""
    key = await private_key(identity)
    _, claims, _ = parts(issue(identity))
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
    return jwt.encode({"alg": "ES256", "kid": key.kid, **(header or {})}, claims, key, algorithms=["ES256"])


async def refused(tokens: Tokens, token: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await tokens.check(token)
    refusal = caught.value
    assert (refusal.code, refusal.status) == ("FC2002", 401)
    assert refusal.headers == (("WWW-Authenticate", 'Bearer error="invalid_token"'),)
    return refusal


async def test_a_token_says_who_and_for_what(identity: Identity) -> None:
    claims = await identity.tokens.check(issue(identity))
    now = identity.time()
    assert claims == TokenClaims(
        f"{BASE}/contoso/v2.0",
        BASE,
        "vera",
        "operations",
        "contoso",
        "client-1",
        now,
        claims.expires_at,
        claims.token_id,
    )
    assert (claims.expires_at - now).total_seconds() == 3600


async def test_an_expired_token_is_refused_to_the_second_also_from_the_cache(identity: Identity) -> None:
    token = issue(identity, lifetime=600)
    identity.time.passes(seconds=599)
    await identity.tokens.check(token)
    assert identity.tokens.cached(token) is not None
    identity.time.passes(seconds=1)
    assert identity.tokens.cached(token) is None
    assert (await refused(identity.tokens, token)).detail == "expired"


async def test_not_before_has_sixty_seconds_of_leeway(identity: Identity) -> None:
    now = int(identity.time().timestamp())
    await identity.tokens.check(await signed(identity, nbf=now + 60))
    await refused(identity.tokens, await signed(identity, nbf=now + 61))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"aud": [BASE]},
        {"iss": f"{BASE}/fabrikam/v2.0"},
        {"iss": f"{BASE}/contoso/v2.0/"},
        {"tid": "fabrikam"},
        {"exp": ...},
        {"nbf": ...},
        {"sub": ...},
        {"kind": "system"},
        {"kind": ...},
        {"exp": "2099"},
        {"exp": True},
        {"exp": 10**400},
        {"exp": 1e400},
        {"exp": -1},
        {"nbf": 10**18},
        {"sub": None},
    ],
    ids=repr,
)
async def test_a_claim_that_does_not_fit_is_refused_even_under_our_signature(
    identity: Identity, changes: dict[str, Any]
) -> None:
    await refused(identity.tokens, await signed(identity, **changes))


async def test_a_token_of_another_tenant_of_the_same_server_is_refused(identity: Identity) -> None:
    other = Tokens(identity.database, identity.time, base_url=BASE, tenant="fabrikam")
    await other.start()
    await refused(identity.tokens, other.issue("vera", "operations", client_id="client-1"))


async def test_an_unsigned_token_is_refused(identity: Identity) -> None:
    header, payload, signature = issue(identity).split(".")
    kid = parts(issue(identity))[0]["kid"]
    for algorithm in ("none", "None", "NONE", ""):
        head = b64(json.dumps({"alg": algorithm, "kid": kid}).encode())
        await refused(identity.tokens, f"{head}.{payload}.")
        await refused(identity.tokens, f"{head}.{payload}.{signature}")
    await refused(identity.tokens, f"{header}.{payload}.")
    await refused(identity.tokens, f"{header}.{payload}")


async def test_the_public_key_is_no_hmac_secret(identity: Identity) -> None:
    _, payload, _ = issue(identity).split(".")
    key = await private_key(identity)
    head = b64(json.dumps({"alg": "HS256", "kid": key.kid}).encode())
    for secret in (
        key.as_pem(private=False),
        key.as_der(private=False),
        json.dumps(key.as_dict(private=False)).encode(),
        base64.urlsafe_b64decode(str(key.as_dict(private=False)["x"]) + "=="),
        b"",
    ):
        mac = hmac.new(secret, f"{head}.{payload}".encode(), hashlib.sha256).digest()
        await refused(identity.tokens, f"{head}.{payload}.{b64(mac)}")


async def test_a_key_that_the_token_brings_along_is_not_used(identity: Identity) -> None:
    own = ECKey.generate_key("P-256", auto_kid=True)
    _, claims, _ = parts(issue(identity))
    real = (await private_key(identity)).kid
    for header in (
        {"kid": own.kid},
        {"kid": real},
        {"kid": own.kid, "jwk": own.as_dict(private=False)},
        {"kid": real, "jwk": own.as_dict(private=False)},
        {},
    ):
        token = jwt.encode({"alg": "ES256", **header}, claims, own, algorithms=["ES256"])
        await refused(identity.tokens, token)
    for name in ("jku", "x5u"):
        head = b64(json.dumps({"alg": "ES256", "kid": real, name: "http://127.0.0.1/keys"}).encode())
        _, payload, signature = token.split(".")
        await refused(identity.tokens, f"{head}.{payload}.{signature}")


@pytest.mark.parametrize("kid", [None, 1, [], {}, "", "../../dev/null", "' or 1=1 --", "x" * 300])
async def test_a_key_id_is_looked_up_and_nothing_else(identity: Identity, kid: object) -> None:
    _, payload, signature = issue(identity).split(".")
    head = b64(json.dumps({"alg": "ES256", "kid": kid}).encode())
    await refused(identity.tokens, f"{head}.{payload}.{signature}")


async def test_no_part_of_a_token_can_be_changed(identity: Identity) -> None:
    token = issue(identity)
    header, claims, signature = parts(token)
    claims["sub"] = "admin"
    head = token.split(".")[0]
    await refused(identity.tokens, f"{head}.{b64(json.dumps(claims).encode())}.{signature}")
    flipped = "B" if signature[10] != "B" else "C"
    await refused(identity.tokens, token[: -len(signature)] + signature[:10] + flipped + signature[11:])
    header["typ"] = "at+jwt"
    await refused(identity.tokens, f"{b64(json.dumps(header).encode())}.{token.split('.', 1)[1]}")


async def test_a_token_of_a_megabyte_is_refused_unread(identity: Identity) -> None:
    assert (await refused(identity.tokens, "A" * 1_048_576)).detail == "longer than any token"


DEEP = (b64(b'{"alg":"ES256","kid":' + b"[" * 5000), b64(b"[" * 9000))
NO_TOKENS = (
    "",
    ".",
    "..",
    "...",
    "a.b.c",
    "a.b.c.d.e",
    "\0",
    "é.é.é",
    "\udcff.x.y",
    "e30.e30.e30",
    "W10.W10.W10",
    "bnVsbA.e30.",
)


@pytest.mark.parametrize("token", [*NO_TOKENS, *(f"{head}.e30.e30" for head in DEEP)])
async def test_what_is_no_token_is_refused(identity: Identity, token: str) -> None:
    await refused(identity.tokens, token)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=120)
@given(text=st.text(), payload=st.binary(max_size=200), cut=st.integers(0, 400))
async def test_no_text_breaks_the_check(identity: Identity, text: str, payload: bytes, cut: int) -> None:
    token = issue(identity)
    head = token.split(".")[0]
    for broken in (text, f"{head}.{b64(payload)}.{b64(payload)}", token[:cut] + text + token[cut:] + "!"):
        await refused(identity.tokens, broken)


async def test_a_rotated_key_verifies_until_its_tokens_have_expired(identity: Identity) -> None:
    old = issue(identity, lifetime=86_400)
    before = parts(old)[0]["kid"]
    after = await identity.tokens.rotate()
    new = issue(identity)
    assert parts(new)[0]["kid"] == after != before
    await identity.tokens.check(old)
    await identity.tokens.check(new)
    identity.time.passes(days=1)
    await identity.tokens.refresh()
    assert {key["kid"] for key in identity.tokens.jwks()["keys"]} == {after}
    await refused(identity.tokens, old)


async def test_another_process_learns_of_a_new_key_by_itself(identity: Identity) -> None:
    other = Tokens(identity.database, identity.time, base_url=BASE, tenant="contoso")
    await other.start()
    await identity.tokens.rotate()
    identity.time.passes(seconds=10)
    assert (await other.check(issue(identity))).subject == "vera"


async def test_unknown_keys_make_a_process_ask_the_database_each_ten_seconds_at_most(identity: Identity) -> None:
    asked: list[str] = []

    class Counting:
        async def system(self, plan: SystemPlan) -> object:
            asked.append(plan.reason)
            return await identity.database.system(plan)

    own = ECKey.generate_key("P-256", auto_kid=True)
    _, claims, _ = parts(issue(identity))
    token = jwt.encode({"alg": "ES256", "kid": own.kid}, claims, own, algorithms=["ES256"])
    tokens = Tokens(Counting(), identity.time, base_url=BASE, tenant="contoso")  # type: ignore[arg-type]
    await tokens.refresh()
    identity.time.passes(seconds=10)
    for _ in range(20):
        await refused(tokens, token)
    assert len(asked) == 2


async def test_processes_that_start_at_once_make_one_key(identity: Identity) -> None:
    await identity.database.system(SystemPlan("test", "delete from forecourt.signing_key"))
    several = [Tokens(identity.database, identity.time, base_url=BASE, tenant="contoso") for _ in range(8)]
    await asyncio.gather(*(tokens.start() for tokens in several))
    assert len({tokens.jwks()["keys"][0]["kid"] for tokens in several}) == 1


async def test_published_keys_hold_no_private_part(identity: Identity) -> None:
    [key] = identity.tokens.jwks()["keys"]
    assert "d" not in key
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


async def test_tokens_are_issued_for_known_audiences_and_a_day_at_most(identity: Identity) -> None:
    assert (
        await identity.tokens.check(issue(identity, audience="https://erp.example/"))
    ).audience == "https://erp.example"
    for more in ({"audience": "https://other.example"}, {"lifetime": 86_401}, {"lifetime": 0}):
        with pytest.raises(ValueError, match="known audience"):
            issue(identity, **more)
