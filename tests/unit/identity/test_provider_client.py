"""What a sign-in provider says is believed only where all of it holds: client, keys, moment, browser, sign-in."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from forecourt.identity.clock import utc_now
from forecourt.identity.fetch import ask
from forecourt.identity.providers.client import Departure, ProviderClient, Vouched
from forecourt.identity.providers.definitions import ClaimMapping, read_providers
from forecourt.identity.providers.definitions import Provider as Definition
from forecourt.kernel.errors import Refusal
from support.providers import CLIENT, SECRET, Provider, own_provider

ORIGIN = "https://portal.example"
PREFIX = "Authentication/OpenIdConnect/Own/"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with own_provider() as made:
        yield made


@pytest.fixture
def own(running: Provider) -> Provider:
    running.claims, running.document, running.key, running.sign, running.user_info = {}, {}, None, None, {}
    return running


def definition(own: Provider, **given: Any) -> Definition:
    settings = {PREFIX + "Authority": own.issuer, PREFIX + "ClientId": CLIENT, PREFIX + "ClientSecret": "${SECRET}"}
    reading = read_providers(settings, {"SECRET": SECRET}.get, ORIGIN)
    assert reading.notices == () and reading.unset == ()
    return replace(reading.providers[0], **given)


def client_of(own: Provider, **given: Any) -> ProviderClient:
    return ProviderClient(definition(own, **given), ORIGIN, ask, utc_now)


def answer(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


async def vouched(own: Provider, client: ProviderClient, **claims: Any) -> Vouched:
    departure = await client.depart()
    return await client.arrive(answer(own.agrees(departure.url, **claims)), departure)


async def refused(own: Provider, client: ProviderClient) -> str:
    with pytest.raises(Refusal) as caught:
        await vouched(own, client)
    assert caught.value.code == "FC2008" and caught.value.detail not in caught.value.text
    return caught.value.detail


async def test_a_good_answer_says_who_it_is(own: Provider) -> None:
    found = await vouched(own, client_of(own), email=" ada@example.com ", email_verified=True, given_name="Ada")
    assert (found.issuer, found.subject, found.email) == (own.issuer, "ada", "ada@example.com")
    assert own.asked[-1]["client_secret"] == SECRET and len(own.asked[-1]["code_verifier"]) >= 43
    departure = await client_of(own).depart()
    query = answer(departure.url)
    assert query["redirect_uri"] == f"{ORIGIN}/signin-Own" and query["scope"] == "openid"
    assert departure.verifier not in departure.url and SECRET not in departure.url + repr(departure)


@pytest.mark.parametrize("proof", [None, False, "false", 0, "yes"])
async def test_an_address_that_the_provider_has_not_verified_is_none(own: Provider, proof: object) -> None:
    assert (await vouched(own, client_of(own), email="ada@example.com", email_verified=proof)).email == ""


def now() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp())


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://other.example"}, "another issuer"),
        ({"aud": "another"}, "another client"),
        ({"aud": [CLIENT, "another"]}, "given to another client"),
        ({"aud": [CLIENT], "azp": "another"}, "given to another client"),
        ({"aud": None}, "another client"),
        ({"exp": now() - 3600}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": True}, "expired"),
        ({"iat": now() + 3600}, "another time"),
        ({"iat": now() - 86_400}, "another time"),
        ({"iat": None}, "another time"),
        ({"nbf": now() + 3600}, "another time"),
        ({"nonce": "another"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"sub": ""}, "nobody"),
        ({"sub": None}, "nobody"),
        ({"sub": ["ada"]}, "nobody"),
        ({"sub": "a" * 256}, "nobody"),
        ({"sub": "a\n"}, "nobody"),
    ],
)
async def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    own: Provider, claims: dict[str, Any], why: str
) -> None:
    own.claims = claims
    assert why in await refused(own, client_of(own))


def unsigned(claims: Mapping[str, Any]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


async def test_an_id_token_that_the_provider_has_not_signed_is_refused(own: Provider) -> None:
    client = client_of(own)
    own.key = RSAKey.generate_key(2048)
    assert "BadSignature" in await refused(own, client)
    public = OctKey.import_key(json.dumps(own.published.as_dict(private=False)))
    signers = (
        unsigned,
        lambda claims: jwt.encode({"alg": "HS256", "kid": own.published.kid}, dict(claims), public),
        lambda claims: jwt.encode({"alg": "RS256", "kid": "another"}, dict(claims), own.published),
        lambda claims: "x" * 20_000,
        lambda claims: "not a token",
    )
    for sign in signers:
        own.sign = sign
        assert await refused(own, client)


async def test_the_answer_belongs_to_the_browser_and_the_issuer_that_it_was_begun_with(own: Provider) -> None:
    client = client_of(own)
    first, second = await client.depart(), await client.depart()
    good = answer(own.agrees(first.url))
    for wrong, departure in (
        (good, second),
        ({**good, "state": ""}, first),
        ({"code": good["code"]}, first),
        ({**good, "iss": "https://other.example"}, first),
        ({"state": first.state, "error": "access_denied"}, first),
        ({"state": first.state}, first),
        ({**good, "code": "made up"}, first),
        (good, Departure("", first.state, first.nonce, second.verifier)),
    ):
        with pytest.raises(Refusal) as caught:
            await client.arrive(wrong, departure)
        assert caught.value.code == "FC2008"
    with pytest.raises(Refusal):
        await client.arrive(good, first)


async def test_a_discovery_document_that_is_another_issuers_or_leads_elsewhere_is_not_used(own: Provider) -> None:
    for document in (
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://other.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"end_session_endpoint": "http://other.example/"},
        {"jwks_uri": None},
    ):
        own.document = document
        with pytest.raises(Refusal, match="cannot be reached"):
            await client_of(own).depart()
    with pytest.raises(Refusal, match="cannot be reached"):
        await client_of(own, metadata="http://127.0.0.1:9/.well-known/openid-configuration").depart()


async def test_user_info_is_asked_for_where_claims_need_it_and_is_of_the_same_person(own: Provider) -> None:
    mapped = {"on_sign_in": (ClaimMapping("jobtitle", "title", True),)}
    own.user_info = {"sub": "ada", "title": "Countess", "email": "ada@example.com", "email_verified": True}
    found = await vouched(own, client_of(own, **mapped))
    assert found.user_info["title"] == "Countess" and found.email == "ada@example.com"
    assert (await vouched(own, client_of(own))).user_info == {}
    own.user_info = {"sub": "bob"}
    assert "somebody else" in await refused(own, client_of(own, **mapped))


async def test_signing_out_leads_to_the_provider_where_the_setting_says_so(own: Provider) -> None:
    assert await client_of(own).farewell() == ""
    url = await client_of(own, external_logout=True).farewell()
    assert url.startswith(f"{own.issuer}/logout?") and answer(url)["post_logout_redirect_uri"] == f"{ORIGIN}/"


def test_settings_say_what_they_say_and_never_weaken() -> None:
    settings = {
        PREFIX + "Authority": "https://login.example/t/v2.0/",
        PREFIX.lower() + "clientid": "one",
        PREFIX + "RedirectUri": f"{ORIGIN}/signin-entra",
        PREFIX + "Scope": "openid profile, email",
        PREFIX + "Caption": "Our staff",
        PREFIX + "ValidateIssuer": "false",
        PREFIX + "NonceEnabled": "false",
        PREFIX + "UnheardOf": "1",
        PREFIX + "RegistrationClaimsMapping": "FirstName=given_name, lastname = family_name,jobtitle=userinfo.title",
        PREFIX + "LoginClaimsMapping": "emailaddress1=email,adx_identity_username=sub,x,=y,telephone1=",
        "Authentication/OpenIdConnect/Closed/Authority": "https://login.example",
        "Authentication/OpenIdConnect/Elsewhere/Authority": "https://login.example",
        "Authentication/OpenIdConnect/Elsewhere/ClientId": "one",
        "Authentication/OpenIdConnect/Elsewhere/RedirectUri": "https://evil.example/signin-elsewhere",
        "Authentication/OpenIdConnect/Plain/Authority": "http://login.example",
        "Authentication/OpenIdConnect/Plain/ClientId": "one",
        "Authentication/OpenIdConnect/Literal/Authority": "https://login.example",
        "Authentication/OpenIdConnect/Literal/ClientId": "one",
        "Authentication/OpenIdConnect/Literal/ClientSecret": "in a file",
        "Authentication/OpenIdConnect/Unset/Authority": "https://login.example",
        "Authentication/OpenIdConnect/Unset/ClientId": "${NOBODY_SETS_THIS}",
        "Authentication/OpenIdConnect/Old/ClientId": "one",
        "Authentication/OpenIdConnect/Old/Deprecated": "true",
        "Authentication/SAML2/Corp/MetadataAddress": "https://saml.example",
    }
    reading = read_providers(settings, {}.get, ORIGIN)
    (found,) = reading.providers
    assert (found.caption, found.callback, found.by_email, found.registration) == (
        "Our staff",
        "/signin-entra",
        False,
        True,
    )
    assert found.scopes == ("openid", "profile", "email") and found.issuer == "https://login.example/t/v2.0"
    assert found.on_registration == (
        ClaimMapping("firstname", "given_name"),
        ClaimMapping("lastname", "family_name"),
        ClaimMapping("jobtitle", "title", True),
    )
    assert found.on_sign_in == ()
    said = {name.removeprefix("Authentication/") for name, _ in reading.notices}
    assert said >= {
        "SAML2/Corp/MetadataAddress",
        "OpenIdConnect/Own/ValidateIssuer",
        "OpenIdConnect/Own/UnheardOf",
        "OpenIdConnect/Own/LoginClaimsMapping",
        "OpenIdConnect/Closed/Authority",
        "OpenIdConnect/Elsewhere/RedirectUri",
        "OpenIdConnect/Plain/Authority",
        "OpenIdConnect/Literal/ClientSecret",
    }
    assert [name for name, _ in reading.unset] == ["Authentication/OpenIdConnect/Unset/ClientId"]
