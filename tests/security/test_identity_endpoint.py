"""The token endpoint: which requests get a token, and what the others are told."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette
from test_identity_support import BASE, PASSWORD, Identity, wired

from forecourt.identity.endpoint import TokenEndpoint

SECRET = "a-client-secret-of-some-length"
SCOPE = f"{BASE}/.default"
FORM = {"content-type": "application/x-www-form-urlencoded"}
TOKEN = "/contoso/oauth2/v2.0/token"


@pytest.fixture
async def identity(database_url: str) -> AsyncIterator[Identity]:
    async with wired(database_url) as made:
        yield made


def client(identity: Identity, *, password_grant: bool = True, address: str = "192.0.2.1") -> httpx.AsyncClient:
    endpoint = TokenEndpoint(
        identity.tokens, identity.accounts, identity.applications, identity.time, password_grant=password_grant
    )
    transport = httpx.ASGITransport(Starlette(routes=endpoint.routes()), client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url=BASE)


@pytest.fixture
async def http(identity: Identity) -> AsyncIterator[httpx.AsyncClient]:
    await identity.applications.register("integration", SECRET, "svc")
    async with client(identity) as made:
        yield made


def asking(**changes: str | None) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "client_id": "integration", "client_secret": SECRET, "scope": SCOPE}
    return {name: value for name, value in {**form, **changes}.items() if value is not None}


def as_person(**changes: str | None) -> dict[str, str]:
    form = {"grant_type": "password", "client_id": "forecourt-cli", "username": "vera", "password": PASSWORD}
    return {name: value for name, value in {**form, **changes}.items() if value is not None}


def outcome(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id"}
    return answer.status_code, body["error"]


async def test_a_client_gets_a_token_for_its_operations_user(http: httpx.AsyncClient, identity: Identity) -> None:
    answer = await http.post(TOKEN, data=asking())
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert (body["token_type"], body["expires_in"], body["ext_expires_in"]) == ("Bearer", 3599, 3599)
    claims = await identity.tokens.check(body["access_token"])
    assert (claims.subject, claims.kind, claims.client_id, claims.audience) == (
        "svc",
        "operations",
        "integration",
        BASE,
    )


async def test_a_client_may_prove_itself_by_basic_and_by_body_but_not_by_both(http: httpx.AsyncClient) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(f"integration:{SECRET}".encode()).decode()}
    form = asking(client_id=None, client_secret=None)
    assert (await http.post(TOKEN, data=form, headers=basic)).status_code == 200
    assert outcome(await http.post(TOKEN, data=asking(), headers=basic)) == (400, "invalid_request")
    other = {"Authorization": "Basic " + base64.b64encode(b"other:x").decode()}
    assert outcome(await http.post(TOKEN, data=asking(client_secret=None), headers=other)) == (400, "invalid_request")


async def test_unknown_client_and_wrong_secret_are_one_answer(http: httpx.AsyncClient) -> None:
    answers = []
    for changes in ({"client_id": "nobody"}, {"client_secret": "wrong"}, {"client_id": "a\0b"}, {"client_id": "é"}):
        answer = await http.post(TOKEN, data=asking(**changes), headers={"client-request-id": str(uuid4())})
        assert outcome(answer) == (401, "invalid_client")
        body = answer.json()
        answers.append((body["error_description"], str(body["error_codes"]), answer.headers["www-authenticate"]))
    assert len(set(answers)) == 1


async def test_a_proved_secret_is_remembered_and_a_changed_one_is_not(
    http: httpx.AsyncClient, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    await http.post(TOKEN, data=asking())
    worked: list[str] = []
    verify = identity.passwords.verify

    async def counted(stored: str | None, password: str) -> bool:
        worked.append(password)
        return await verify(stored, password)

    monkeypatch.setattr(identity.passwords, "verify", counted)
    assert (await http.post(TOKEN, data=asking())).status_code == 200
    assert worked == []
    await identity.applications.register("integration", "another-secret-entirely", "svc")
    assert outcome(await http.post(TOKEN, data=asking())) == (401, "invalid_client")
    assert (await http.post(TOKEN, data=asking(client_secret="another-secret-entirely"))).status_code == 200
    await identity.applications.remove("integration")
    assert outcome(await http.post(TOKEN, data=asking(client_secret="another-secret-entirely"))) == (
        401,
        "invalid_client",
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"client_id": None}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
    ],
)
async def test_a_faulty_request_is_told_what_is_wrong(
    http: httpx.AsyncClient, changes: dict[str, str | None], expected: str
) -> None:
    assert outcome(await http.post(TOKEN, data=asking(**changes))) == (400, expected)


async def test_a_missing_secret_is_no_secret(http: httpx.AsyncClient) -> None:
    assert outcome(await http.post(TOKEN, data=asking(client_secret=None))) == (401, "invalid_client")
    assert outcome(await http.post(TOKEN, data=asking(client_secret=""))) == (401, "invalid_client")


async def test_another_tenant_is_not_known_here(http: httpx.AsyncClient) -> None:
    for tenant in ("fabrikam", "common", "Contoso"):
        assert outcome(await http.post(f"/{tenant}/oauth2/v2.0/token", data=asking())) == (400, "invalid_request")
        for path in ("v2.0/.well-known/openid-configuration", "discovery/v2.0/keys"):
            assert outcome(await http.get(f"/{tenant}/{path}")) == (400, "invalid_request")


@pytest.mark.parametrize(
    "kind",
    ["application/json", "multipart/form-data; boundary=x", "", "application/x-www-form-urlencoded; charset=utf-16"],
)
async def test_only_forms_are_read(http: httpx.AsyncClient, kind: str) -> None:
    answer = await http.post(TOKEN, content=b"grant_type=client_credentials", headers={"content-type": kind})
    assert outcome(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=client_credentials&grant_type=password",
        b"client_id=integration&client_id=integration&grant_type=client_credentials",
        b"grant_type",
        b"\xff\xfe=1",
        b"a=%ff",
        b"",
        b"a=1&" * 60 + b"b=1",
        b"a=" + b"x" * 70_000,
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_a_body_that_is_no_good_form_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    assert outcome(await http.post(TOKEN, content=body, headers=FORM)) == (400, "invalid_request")


async def test_an_endless_body_is_not_read_to_its_end(http: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10_000_000:
            sent += 16_384
            yield b"a" * 16_384

    assert outcome(await http.post(TOKEN, content=endless(), headers=FORM)) == (400, "invalid_request")
    assert sent < 10_000_000


async def test_a_person_gets_a_token_only_from_the_command_line_client(
    http: httpx.AsyncClient, identity: Identity
) -> None:
    contact = uuid4()
    await identity.accounts.create("vera", PASSWORD, contact_id=contact)
    await identity.accounts.create("admin", PASSWORD, operations_user="admin")
    body = (await http.post(TOKEN, data=as_person())).json()
    claims = await identity.tokens.check(body["access_token"])
    assert (claims.subject, claims.kind, claims.client_id) == (str(contact), "contact", "forecourt-cli")
    body = (await http.post(TOKEN, data=as_person(username="admin", scope=SCOPE))).json()
    assert (await identity.tokens.check(body["access_token"])).kind == "operations"
    assert outcome(await http.post(TOKEN, data=as_person(client_id="integration"))) == (400, "unauthorized_client")
    assert outcome(await http.post(TOKEN, data=as_person(client_secret="x"))) == (401, "invalid_client")
    assert outcome(await http.post(TOKEN, data=as_person(password=None))) == (400, "invalid_request")


async def test_nobody_registers_the_command_line_client_as_one_with_a_secret(http: httpx.AsyncClient) -> None:
    assert outcome(await http.post(TOKEN, data=asking(client_id="forecourt-cli"))) == (401, "invalid_client")


async def test_people_get_no_tokens_unless_it_is_switched_on(identity: Identity) -> None:
    await identity.accounts.create("vera", PASSWORD, contact_id=uuid4())
    async with client(identity, password_grant=False) as http:
        assert outcome(await http.post(TOKEN, data=as_person())) == (400, "unsupported_grant_type")
        document = (await http.get("/contoso/v2.0/.well-known/openid-configuration")).json()
        assert document["grant_types_supported"] == ["client_credentials"]


async def test_unknown_wrong_disabled_and_locked_people_are_one_answer(
    http: httpx.AsyncClient, identity: Identity
) -> None:
    await identity.accounts.create("vera", PASSWORD, contact_id=uuid4())
    disabled = await identity.accounts.create("dora", PASSWORD, contact_id=uuid4())
    await identity.accounts.disable(disabled.id)
    await identity.accounts.create("lola", PASSWORD, contact_id=uuid4())
    for n in range(5):
        await http.post(TOKEN, data=as_person(username="lola", password=f"Wrong-{n}-word"))
    shown = set()
    for name, password in (("nobody", PASSWORD), ("vera", "Wrong-1-word"), ("dora", PASSWORD), ("lola", PASSWORD)):
        answer = await http.post(
            TOKEN, data=as_person(username=name, password=password), headers={"client-request-id": str(disabled.id)}
        )
        shown.add((answer.status_code, answer.content, str(sorted(answer.headers.items()))))
    assert len(shown) == 1
    assert outcome(answer) == (400, "invalid_grant")


async def test_an_address_that_fails_too_often_waits(http: httpx.AsyncClient, identity: Identity) -> None:
    for _ in range(30):
        await http.post(TOKEN, data=asking(client_secret="wrong"))
    answer = await http.post(TOKEN, data=asking())
    assert outcome(answer) == (429, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "181"
    async with client(identity, address="192.0.2.2") as other:
        assert (await other.post(TOKEN, data=asking())).status_code == 200


async def test_only_post_asks_for_tokens(http: httpx.AsyncClient) -> None:
    assert (await http.get(TOKEN, params=asking())).status_code == 405


async def test_the_public_documents_lead_from_issuer_to_keys(http: httpx.AsyncClient, identity: Identity) -> None:
    document = (await http.get("/contoso/v2.0/.well-known/openid-configuration")).json()
    token = (await http.post(document["token_endpoint"], data=asking())).json()["access_token"]
    assert (await identity.tokens.check(token)).issuer == document["issuer"]
    keys = (await http.get(document["jwks_uri"])).json()["keys"]
    assert [set(key) & {"d", "p", "q"} for key in keys] == [set()]


async def test_the_correlation_id_of_the_client_comes_back_and_nothing_else_does(http: httpx.AsyncClient) -> None:
    mine = str(uuid4())
    answer = await http.post(TOKEN, data={}, headers={"client-request-id": mine})
    assert answer.json()["correlation_id"] == mine
    answer = await http.post(TOKEN, data={}, headers={"client-request-id": "<script>"})
    assert "<script>" not in answer.text
