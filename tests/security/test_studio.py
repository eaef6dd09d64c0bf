"""The studio: for administrators alone, without anything to learn for others, and without a way to change anything."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from urllib.parse import urlencode

import pyotp
import pytest

from forecourt.identity import csrf, pending, sessions
from support.mailbox import Visitor
from support.server import Answer, Installation, Person

PAGES = ("/studio/", "/studio/explain", "/studio/nothing", "/studio/explain?as=admin&table=contact")
FORM = "application/x-www-form-urlencoded"
ORDERS = "PurchaseOrderHeadersV2"
ANNA = "anna.berg@northwind-parts.example"


def proof(page: str) -> str:
    found = re.search(rf'name="{csrf.FIELD}" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def signed_in(site: Installation, person: Person, **more: str) -> Answer:
    """The answer to the studio's sign-in form."""
    page = await site.ask("GET", "/studio/sign-in")
    form = {"username": person.username, "password": person.password, csrf.FIELD: proof(page.text), **more}
    cookie = f"{csrf.COOKIE}={page.cookies[csrf.COOKIE]}"
    headers = {"content-type": FORM, "cookie": cookie}
    return await site.ask("POST", "/studio/sign-in", headers, urlencode(form).encode())


@pytest.fixture
async def admin(contoso: Installation) -> dict[str, str]:
    """The Cookie header of an administrator."""
    answer = await signed_in(contoso, contoso.signed_up("admin"))
    assert answer.status == 303
    return {"cookie": f"{sessions.COOKIE}={answer.cookies[sessions.COOKIE]}"}


@pytest.mark.parametrize("path", PAGES)
async def test_visitors_see_the_sign_in_wherever_they_go(contoso: Installation, path: str) -> None:
    answer = await contoso.ask("GET", path)
    assert answer.status == 401
    assert "Sign in to the studio" in answer.text
    assert "Table" not in answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_who_is_no_administrator_is_refused_everywhere_alike(contoso: Installation, path: str) -> None:
    anna = contoso.signed_up(ANNA)
    answer = await contoso.ask("GET", path, {"cookie": await anna.cookie()})
    assert answer.status == 403
    assert "not an account of an administrator" in answer.text
    assert ORDERS not in answer.text


async def test_no_session_begins_for_who_is_no_administrator(contoso: Installation) -> None:
    answer = await signed_in(contoso, contoso.signed_up(ANNA))
    assert answer.status == 403
    assert sessions.COOKIE not in answer.cookies


async def test_a_wrong_password_tells_no_more_than_at_the_portal(contoso: Installation) -> None:
    wrong = replace(contoso.signed_up("admin"), username="nobody.at.all")
    answer = await signed_in(contoso, wrong)
    assert answer.status == 401
    assert "The user name or the password is not right." in answer.text


async def test_a_sign_in_without_the_pages_token_is_refused(contoso: Installation) -> None:
    admin = contoso.signed_up("admin")
    form = urlencode({"username": admin.username, "password": admin.password}).encode()
    answer = await contoso.ask("POST", "/studio/sign-in", {"content-type": FORM}, form)
    assert answer.status == 403
    assert sessions.COOKIE not in answer.cookies


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/studio/", "/studio/../x", "/purchase-orders/"]
)
async def test_the_way_back_after_sign_in_stays_in_the_studio(contoso: Installation, wanted: str) -> None:
    answer = await signed_in(contoso, contoso.signed_up("admin"), returnUrl=wanted)
    assert answer.status == 303
    assert answer.headers["location"] == "/studio/"


async def test_an_account_of_an_operations_user_without_the_role_is_refused(contoso: Installation) -> None:
    accounts = contoso.forecourt.accounts
    clerk = await accounts.find("studio.clerk")
    password = "A long enough pass phrase 1"
    if clerk is None:
        await accounts.create("studio.clerk", password, operations_user="purch.clerk")
    person = replace(contoso.signed_up("admin"), username="studio.clerk", password=password, _cookie="")
    answer = await signed_in(contoso, person)
    assert answer.status == 403
    assert sessions.COOKIE not in answer.cookies
    answer = await contoso.ask("GET", "/studio/explain", {"cookie": await person.cookie()})
    assert answer.status == 403


async def test_an_account_with_a_second_factor_gives_its_code_at_the_portal_and_comes_back(
    contoso: Installation,
) -> None:
    parts, admin = contoso.forecourt, contoso.signed_up("admin")
    password = "A long enough pass phrase 1"
    made = await parts.accounts.create("studio.second", password, operations_user=admin.operations_user)
    app = pyotp.TOTP((await parts.factors.enrol(made)).secret)
    await parts.factors.confirm(made, app.at(dt.datetime.now(dt.UTC), counter_offset=-1))
    answer = await signed_in(contoso, replace(admin, username="studio.second", password=password, _cookie=""))
    assert (answer.status, answer.headers["location"]) == (303, pending.VERIFY)
    assert sessions.COOKIE not in answer.cookies
    browser = Visitor(contoso, dict(answer.cookies))
    assert (await browser.get("/studio/")).status == 401
    answer = await browser.fill(pending.VERIFY, code=app.at(dt.datetime.now(dt.UTC)))
    assert (answer.status, answer.headers["location"]) == (303, "/studio/")
    assert (await browser.get("/studio/")).status == 200


async def test_answers_are_never_stored_framed_or_referred_to(contoso: Installation, admin: dict[str, str]) -> None:
    headers = (await contoso.ask("GET", "/studio/explain", admin)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "script-src 'self'" in headers["content-security-policy"]


async def test_the_page_explains_a_hidden_row(contoso: Installation, admin: dict[str, str]) -> None:
    rows = await contoso.sql("select dataareaid, purchid from erp.purchtable where orderaccount = 'US-102' limit 1")
    query = urlencode({"as": ANNA, "table": ORDERS, "key": ",".join(rows[0])})
    answer = await contoso.ask("GET", f"/studio/explain?{query}", admin)
    assert answer.status == 200
    assert "VendProfileAccount.yaml" in answer.text
    assert "is not among" in answer.text
    assert "Smallest change" in answer.text


async def test_the_page_says_who_can_see_a_row(contoso: Installation, admin: dict[str, str]) -> None:
    rows = await contoso.sql("select dataareaid, purchid from erp.purchtable where orderaccount = 'US-102' limit 1")
    query = urlencode({"tab": "who", "table": ORDERS, "key": ",".join(rows[0])})
    answer = await contoso.ask("GET", f"/studio/explain?{query}", admin)
    assert answer.status == 200
    assert "v-us-102" in answer.text
    assert "v-us-101" not in answer.text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"as": "berg", "table": ORDERS}, 404, "Choose one of the people below."),
        ({"as": "nobody at all", "table": ORDERS}, 404, "neither a contact nor an operations user"),
        ({"as": ANNA, "table": "PurchaseOrderHeaderV2s"}, 404, "neither a data entity nor a table"),
        ({"as": ANNA, "table": ORDERS, "key": "'"}, 400, ""),
        ({"as": ANNA, "table": ORDERS, "key": "usmf"}, 400, "The key of"),
        ({"as": ANNA, "table": ORDERS, "key": "usmf,PO-999999"}, 200, "There is no such row."),
        ({"as": ANNA, "table": ORDERS, "column": "Nothing"}, 404, "has no column"),
        ({"as": "<script>alert(1)</script>", "table": "<b>"}, 404, ""),
        ({"operation": "drop", "door": "window", "tab": "x"}, 200, "Name a person and a table"),
    ],
)
async def test_what_cannot_be_answered_says_what_to_do(
    contoso: Installation, admin: dict[str, str], query: dict[str, str], status: int, said: str
) -> None:
    answer = await contoso.ask("GET", f"/studio/explain?{urlencode(query)}", admin)
    assert answer.status == status, answer.text
    assert said in answer.text.replace("&#39;", "'")
    assert "<script>alert" not in answer.text
    assert "Traceback" not in answer.text


async def test_signing_out_ends_the_session(contoso: Installation, admin: dict[str, str]) -> None:
    page = await contoso.ask("GET", "/studio/", admin)
    refused = await contoso.ask("POST", "/studio/sign-out", {**admin, "content-type": FORM}, b"")
    assert refused.status == 403
    form = urlencode({csrf.FIELD: proof(page.text)}).encode()
    answer = await contoso.ask("POST", "/studio/sign-out", {**admin, "content-type": FORM}, form)
    assert answer.status == 303
    assert (await contoso.ask("GET", "/studio/", admin)).status == 401
