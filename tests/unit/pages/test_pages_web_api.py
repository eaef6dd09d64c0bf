"""``/_api``: sessions, anti-forgery and the shape of errors; rows are somebody else's."""

from __future__ import annotations

import json
import re

import pytest
from pages_browser import Browser

from forecourt.kernel.errors import Refusal
from support.portal import Preview

SET = "/_api/accounts"
ROW = "/_api/accounts(00000000-0000-0000-0000-000000000001)"


async def token(browser: Browser) -> str:
    found = re.search(r'value="([^"]+)"', (await browser.get("/_layout/tokenhtml")).text)
    assert found is not None
    return found.group(1)


async def test_a_read_is_handed_on_undecoded(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    answer = await browser.get(SET + "?$filter=name%20eq%20'a%26b'&$top=2")
    assert answer.status_code == 200 and answer.json() == {"value": []}
    assert answer.headers["cache-control"] == "no-store"
    assert shown.requests.asked == [("GET", b"accounts", b"$filter=name%20eq%20'a%26b'&$top=2")]


async def test_the_token_fragment_is_what_scripts_expect(browser: Browser) -> None:
    answer = await browser.get("/_layout/tokenhtml")
    shape = r'<input name="__RequestVerificationToken" type="hidden" value="[A-Za-z0-9_-]+" />'
    assert re.fullmatch(shape, answer.text)
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_write_needs_the_token_of_the_session(browser: Browser, shown: Preview) -> None:
    visitor = await token(browser)
    await browser.sign_in()
    answer = await browser.patch(ROW, json={"name": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "90040108")
    for wrong in (visitor, "x" * 86):
        answer = await browser.patch(ROW, json={"name": "x"}, headers={"__RequestVerificationToken": wrong})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "90040107")
    assert not shown.requests.asked
    shown.requests.answer = (204, (), b"")
    answer = await browser.patch(ROW, json={"name": "x"}, headers={"__RequestVerificationToken": await token(browser)})
    assert answer.status_code == 204
    assert json.loads(shown.requests.asked[0][2]) == {"name": "x"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_every_write_needs_the_token(browser: Browser, shown: Preview, method: str) -> None:
    await browser.sign_in()
    answer = await browser.request(method, ROW, json={"name": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "90040108")
    assert not shown.requests.asked
    shown.requests.answer = (204, (), b"")
    proof = {"__RequestVerificationToken": await token(browser)}
    answer = await browser.request(method, ROW, json={"name": "x"}, headers=proof)
    assert answer.status_code == 204
    assert shown.requests.asked[0][0] == method


async def test_other_methods_are_not_allowed(browser: Browser) -> None:
    await browser.sign_in()
    answer = await browser.request("OPTIONS", SET)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "9004010A")
    assert "PATCH" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal("FC4042", "Resource not found for the segment 'leads'."), 404, "9004010C"),
        (Refusal("FC3001", "No right."), 403, "90040120"),
        (Refusal("FC3004", "Attribute x in table account is not enabled for Web Api."), 403, "90040101"),
        (Refusal("FC1002", "Attribute x cannot be found for table account."), 400, "90040100"),
        (Refusal("FC1001", "Bad filter."), 400, "9004010D"),
    ],
)
async def test_refusals_have_the_portals_codes(
    browser: Browser, shown: Preview, refusal: Refusal, status: int, code: str
) -> None:
    shown.requests.answer = refusal
    answer = await browser.get(SET)
    assert answer.status_code == status
    behind = {"cdscode": "0x80060888"} if code == "9004010D" else {}
    assert answer.json() == {"error": {"code": code, "message": refusal.message, **behind}}


async def test_errors_of_the_protocol_are_put_in_the_portals_shape(browser: Browser, shown: Preview) -> None:
    body = b'{"error":{"code":"0x80060888","message":"Syntax error at position 3."}}'
    shown.requests.answer = (400, (), body)
    assert (await browser.get(SET)).json() == {
        "error": {"code": "9004010D", "message": "CDS error occurred.", "cdscode": "0x80060888"}
    }
    ours = b'{"error":{"code":"90040101","message":"Attribute x in table account is not enabled for Web Api."}}'
    shown.requests.answer = (403, (), ours)
    answer = await browser.get(SET)
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "90040101"


async def test_an_account_that_may_not_be_used_reads_nothing(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    shown.people.trouble = Refusal("FC3003", "The mapped operations user is an administrator.")
    answer = await browser.get(SET)
    assert answer.status_code == 403 and not shown.requests.asked
