"""The portal's pages over rows in memory: what is shown, kept, refused, and put right."""

from __future__ import annotations

import datetime as dt
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pages_browser import Browser, token_of

from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Denied, RequestDone
from support.portal import LINES, ORDERS, Preview, row_id

LIST = "/purchase-orders/"
EDIT = f"/purchase-orders/confirm/?id={row_id(ORDERS, 4)}"
DETAILS = f"/purchase-orders/details/?id={row_id(ORDERS, 4)}"
DELIVERY, REFERENCE = "mserp_confirmeddeliverydate", "mserp_vendororderreference"


def form_of(text: str) -> dict[str, str]:
    """The fields of the page's main form as a browser would send them, unchanged."""
    form = text[text.index('<form class="fc-form"') :].split("</form>")[0]
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes.get("type") not in {"radio", "checkbox"} or " checked" in tag:
            fields[unescape(attributes["name"])] = unescape(attributes.get("value", ""))
    for name, inner in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.S):
        found = re.search(r'value="([^"]*)" selected', inner)
        fields[name] = found.group(1) if found else ""
    for name, inner in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>\n(.*?)</textarea>', form, re.S):
        fields[name] = unescape(inner)
    return fields


def first_cells(text: str) -> list[str]:
    return re.findall(r'class="fc-row-link"[^>]*>([^<]*)<', text)


def links(text: str) -> list[str]:
    return [unescape(item) for item in re.findall(r'href="([^"]+)"', text)]


# -- every answer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", LIST, "/nowhere", "/SignIn", "/_layout/tokenhtml", "/favicon.svg", "/_api/x"])
async def test_every_answer_carries_the_security_headers(browser: Browser, path: str) -> None:
    answer = await browser.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'self'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["x-correlation-id"]


async def test_no_page_holds_a_script_or_style_of_its_own(browser: Browser) -> None:
    await browser.sign_in()
    for path in ("/", LIST, DETAILS, EDIT, "/nowhere"):
        text = (await browser.get(path)).text
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", text), path


async def test_pages_of_a_signed_in_person_are_kept_in_no_cache(browser: Browser) -> None:
    assert (await browser.get("/")).headers["cache-control"] == "private, no-cache"
    await browser.sign_in()
    assert (await browser.get("/")).headers["cache-control"] == "no-store"


async def test_assets_are_immutable_under_their_content_hash(browser: Browser) -> None:
    page = (await browser.get("/")).text
    assets = [url for url in links(page) if url.startswith("/assets/")]
    assert len(assets) == 3
    for url in assets:
        answer = await browser.get(url)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
        again = await browser.get(url, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
    name = assets[0].rpartition("/")[2]
    assert (await browser.get(f"/assets/0000000000000000/{name}")).status_code == 404


async def test_requests_and_refusals_are_observed(browser: Browser, shown: Preview) -> None:
    await browser.sign_in("customer")
    await browser.get(LIST)
    denied = [item for item in shown.observed if isinstance(item, Denied)]
    done = [item for item in shown.observed if isinstance(item, RequestDone)]
    assert denied and denied[-1].code == "FC3001" and "luis@" in denied[-1].identity
    assert done[-1].status == 403 and done[-1].door == "portal"


# -- home and navigation ---------------------------------------------------------------------------------------------


async def test_home_invites_visitors_to_sign_in(browser: Browser) -> None:
    text = (await browser.get("/")).text
    assert "Sign in to see what is yours." in text and "fc-tile" not in text
    assert "Purchase orders</a>" not in text


async def test_home_counts_what_the_person_may_open(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    text = (await browser.get("/")).text
    assert re.search(r'href="/purchase-orders/">Purchase orders</a></h3>\s*<p class="fc-figure">46</p>', text)
    assert "Anna Berg" in text and "Northwind Bearings Inc." in text
    assert "Sales orders" not in text.split("fc-copy")[0]
    shown.rows.refused.add(ORDERS)
    assert "fc-figure" in (await browser.get("/")).text
    assert 'href="/purchase-orders/">Purchase orders</a></h3>' not in (await browser.get("/")).text


async def test_navigation_shows_only_pages_that_the_person_may_read(browser: Browser) -> None:
    await browser.sign_in("customer")
    text = (await browser.get("/sales-orders/")).text
    assert 'href="/sales-orders/" aria-current="page"' in text
    assert 'href="/purchase-orders/"' not in text


async def test_somebody_with_whom_nothing_is_shared_is_told_whom_to_ask(browser: Browser, shown: Preview) -> None:
    shown.rows.refused.add("mserp_purchpublishedrequestforquotationheaderentity")  # open to visitors and vendors
    await browser.sign_in("nobody")
    text = (await browser.get("/")).text
    assert "Nothing is shared with you yet" in text and "your contact at Contoso Supplies" in text


# -- lists -----------------------------------------------------------------------------------------------------------


async def test_a_list_shows_the_first_view_with_its_order_and_links_rows(browser: Browser) -> None:
    await browser.sign_in()
    text = (await browser.get(LIST)).text
    assert "<strong>46</strong> entries" in text and len(first_cells(text)) == 25
    assert 'aria-sort="ascending"' in text
    assert any(url.startswith("/purchase-orders/details/?id=") for url in links(text))


async def test_sorting_searching_and_views_live_in_the_address(browser: Browser) -> None:
    await browser.sign_in()
    answer = await browser.get(LIST, params={"view": "all-purchase-orders", "sort": "mserp_purchaseordernumber",
                                             "search": "PO-00100"})  # fmt: skip
    assert first_cells(answer.text) == [f"PO-00100{n}" for n in range(10)]
    assert 'value="PO-00100"' in answer.text
    turned = next(url for url in links(answer.text) if "sort=-mserp_purchaseordernumber" in url)
    assert "search=PO-00100" in turned and "view=all-purchase-orders" in turned
    assert first_cells((await browser.get(turned)).text)[0] == "PO-001009"


async def test_pages_follow_each_other_and_lead_back(browser: Browser) -> None:
    await browser.sign_in()
    url, seen = f"{LIST}?view=all-purchase-orders&sort=mserp_purchaseordernumber", []
    for number in (1, 2, 3):
        text = (await browser.get(url)).text
        assert f"Page {number} of 3" in text
        seen += first_cells(text)
        following = [item for item in links(text) if item.startswith(LIST) and "cursor=" in item]
        url = following[0] if following else ""
    assert not url and seen == [f"PO-{n:06d}" for n in range(1000, 1063)]
    assert f"{LIST}?view=all-purchase-orders&sort=mserp_purchaseordernumber" in links(text)


@pytest.mark.parametrize("query", ["view=x", "sort=mserp_email", "sort=-", "cursor=bad", "cursor=1'--&page=999999999"])
async def test_what_the_address_says_wrongly_is_put_right(browser: Browser, shown: Preview, query: str) -> None:
    await browser.sign_in()
    answer = await browser.get(f"{LIST}?{query}")
    assert answer.status_code == 200 and "fc-notice-info" in answer.text
    assert len(first_cells(answer.text)) == 25
    assert not shown.faults


async def test_an_empty_search_says_where_it_looked(browser: Browser) -> None:
    await browser.sign_in()
    text = (await browser.get(LIST, params={"search": "<zz>"})).text
    assert "Nothing contains “&lt;zz&gt;”" in text and "Vendor reference" in text
    assert LIST in links(text)


async def test_an_empty_view_says_what_the_maker_wrote(browser: Browser, shown: Preview) -> None:
    shown.rows.rows[ORDERS].clear()
    await browser.sign_in()
    assert "There is no order in this view." in (await browser.get(LIST)).text


async def test_dates_follow_the_browsers_language(browser: Browser) -> None:
    await browser.sign_in()
    text = (await browser.get(LIST, headers={"accept-language": "de-DE,de;q=0.9"})).text
    assert re.search(r">\d\d\.\d\d\.2026<", text)


async def test_tables_columns_views_and_choices_are_called_as_in_the_pages_language(browser: Browser) -> None:
    await browser.sign_in()
    text = (await browser.get(LIST, headers={"accept-language": "de-AT"})).text
    assert (
        'data-label="Gewünschte Lieferung"' in text and "Offener Auftrag" in text and ">Alle Bestellungen</a>" in text
    )
    assert "Requested delivery" not in text and "Open order" not in text
    details = (await browser.get(DETAILS, headers={"accept-language": "fr"})).text
    assert "<dt>Livraison souhaitée</dt>" in details and ">Dates</h2>" in details and "Lignes" in details
    assert "Requested delivery" in (await browser.get(LIST, headers={"accept-language": "it"})).text


# -- details ---------------------------------------------------------------------------------------------------------


async def test_details_show_sections_and_the_rows_beneath(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    text = (await browser.get(DETAILS)).text
    assert "<h1>PO-001004" in text and "Requested delivery" in text
    assert '<span class="fc-total">5</span>' in text
    assert f'href="/purchase-orders/confirm/?id={row_id(ORDERS, 4)}">Confirm delivery</a>' in text
    shown.rows.denied.add(ORDERS)
    assert "btn-primary" not in (await browser.get(DETAILS)).text.split("fc-copy")[0]
    shown.rows.refused.add(LINES)
    assert "You have no access to these." in (await browser.get(DETAILS)).text


@pytest.mark.parametrize("query", ["", "?id=x", "?id=00000000-0000-0000-0000-000000000001"])
async def test_rows_that_do_not_exist_look_alike(browser: Browser, query: str) -> None:
    await browser.sign_in()
    answer = await browser.get(f"/purchase-orders/details/{query}")
    assert answer.status_code == 404 and "it is not one of yours" in answer.text


async def test_values_are_escaped(browser: Browser, shown: Preview) -> None:
    shown.rows.put(ORDERS, row_id(ORDERS, 4), {REFERENCE: '"><img src=x>'})
    await browser.sign_in()
    for path in (DETAILS, EDIT, f"{LIST}?view=all-purchase-orders"):
        assert "<img" not in (await browser.get(path)).text


# -- edit ------------------------------------------------------------------------------------------------------------


async def save(browser: Browser, changes: dict[str, str], **options: Any) -> Any:
    fields = {**form_of((await browser.get(EDIT)).text), **changes}
    return await browser.post(EDIT, data=fields, **options)


async def test_saving_writes_what_was_changed_and_says_so_once(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    answer = await save(browser, {DELIVERY: "2026-12-24"})
    assert answer.status_code == 303
    target = answer.headers["location"]
    assert urlsplit(target).path == "/purchase-orders/details/" and parse_qs(urlsplit(target).query)["notice"]
    assert "Thank you. Your buyer sees the dates right away." in (await browser.get(target)).text
    assert "Thank you" not in (await browser.get(DETAILS)).text
    row = next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4))
    assert row.values[DELIVERY] == dt.date(2026, 12, 24) and row.version == "2"


async def test_saving_nothing_writes_nothing(browser: Browser, shown: Preview) -> None:
    shown.rows.put(ORDERS, row_id(ORDERS, 4), {DELIVERY: dt.date(2026, 11, 30)})
    await browser.sign_in()
    answer = await save(browser, {})
    assert answer.status_code == 303 and "notice=unchanged" in answer.headers["location"]
    assert next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4)).version == "2"


async def test_read_only_columns_cannot_be_posted(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    await save(browser, {DELIVERY: "2026-12-24", "mserp_purchaseordernumber": "X", "mserp_email": "x@y.z"})
    row = next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4))
    assert row.values["mserp_purchaseordernumber"] == "PO-001004"
    assert row.values["mserp_email"] == "purchasing@contoso.example"


async def test_mistakes_are_summed_up_and_nothing_typed_is_lost(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    answer = await save(browser, {DELIVERY: "", REFERENCE: "x" * 70})
    assert answer.status_code == 422
    assert "2 things need your attention" in answer.text
    assert f'href="#f-{DELIVERY}"' in answer.text and f'aria-describedby="f-{DELIVERY}-error"' in answer.text
    assert 'aria-invalid="true"' in answer.text and "x" * 70 in answer.text
    assert next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4)).version == "1"


async def test_a_refusal_of_the_database_stands_at_its_field(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    shown.rows.refuses = Refusal("FC1003", "Choose a working day.", source=DELIVERY)
    answer = await save(browser, {DELIVERY: "2026-12-25"})
    assert answer.status_code == 400 and f'href="#f-{DELIVERY}">Choose a working day.' in answer.text
    shown.rows.refuses = Refusal("FC4091", "The order is closed.")
    answer = await save(browser, {DELIVERY: "2026-12-25"})
    assert answer.status_code == 409 and "<li>The order is closed.</li>" in answer.text
    assert 'value="2026-12-25"' in answer.text


async def test_a_conflict_shows_both_values_and_the_person_decides(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    opened = form_of((await browser.get(EDIT)).text)
    shown.rows.put(ORDERS, row_id(ORDERS, 4), {DELIVERY: dt.date(2027, 2, 1), REFERENCE: "THEIRS"})
    answer = await browser.post(EDIT, data={**opened, DELIVERY: "2027-01-05"})
    assert answer.status_code == 409
    assert "Feb 1, 2027" in answer.text and 'value="2027-01-05"' in answer.text
    again = form_of(answer.text)
    assert again[REFERENCE] == "THEIRS", "what only they changed is taken over"
    answer = await browser.post(EDIT, data=again)
    assert answer.status_code == 422 and "Decide which value" in answer.text
    assert "Theirs: Feb 1, 2027" in answer.text
    answer = await browser.post(EDIT, data={**again, f"@keep.{DELIVERY}": "theirs"})
    assert answer.status_code == 303
    row = next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4))
    assert row.values[DELIVERY] == dt.date(2027, 2, 1)
    answer = await browser.post(EDIT, data={**again, f"@keep.{DELIVERY}": "mine"})
    assert answer.status_code == 303
    row = next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4))
    assert row.values[DELIVERY] == dt.date(2027, 1, 5) and row.values[REFERENCE] == "THEIRS"


async def test_a_form_without_its_token_is_shown_again_and_not_saved(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    answer = await save(browser, {REFERENCE: "TYPED", "__RequestVerificationToken": "x"})
    assert answer.status_code == 403 and 'value="TYPED"' in answer.text
    answer = await save(browser, {REFERENCE: "TYPED"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4)).version == "1"


async def test_who_may_not_write_gets_no_form(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    shown.rows.denied.add(ORDERS)
    assert (await browser.get(EDIT)).status_code == 403


async def test_a_page_without_a_form_takes_none(browser: Browser) -> None:
    await browser.sign_in()
    answer = await browser.post(LIST, data={"a": "b"})
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD"


async def test_a_form_in_another_shape_or_too_large_is_refused(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    assert (await browser.post(EDIT, json={})).status_code == 415
    assert (await browser.post(EDIT, data={"a": "x" * 600_000})).status_code == 413
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert (await browser.post(EDIT, content=b"a=%ff", headers=kind)).status_code == 400
    assert (await browser.post(EDIT, content=b"a&" * 600, headers=kind)).status_code == 400
    assert not shown.faults


# -- sign-in ---------------------------------------------------------------------------------------------------------


async def test_signing_in_leads_back_to_where_the_person_came_from(browser: Browser) -> None:
    answer = await browser.get(f"{LIST}?sort=x")
    assert answer.status_code == 403 and "Please sign in" in answer.text
    assert "/SignIn?returnUrl=%2Fpurchase-orders%2F%3Fsort%3Dx" in links(answer.text)
    page = await browser.get("/SignIn?returnUrl=/purchase-orders/")
    fields = {"__RequestVerificationToken": token_of(page), "username": "vendor", "password": "demo"}
    answer = await browser.post("/SignIn", data={**fields, "returnUrl": "/purchase-orders/"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/purchase-orders/")
    assert "httponly" in answer.headers["set-cookie"].lower()


async def test_a_foreign_return_url_is_not_followed(browser: Browser) -> None:
    page = await browser.get("/SignIn?returnUrl=https://evil.example/")
    assert "evil.example" not in page.text
    fields = {"__RequestVerificationToken": token_of(page), "username": "vendor", "password": "demo"}
    answer = await browser.post("/SignIn", data={**fields, "returnUrl": "//evil.example/"})
    assert answer.headers["location"] == "/"


async def test_wrong_passwords_and_unknown_names_get_one_answer(browser: Browser) -> None:
    texts = set()
    for name in ("vendor", "unknown"):
        token = token_of(await browser.get("/SignIn"))
        data = {"__RequestVerificationToken": token, "username": name, "password": "wrong"}
        answer = await browser.post("/SignIn", data=data)
        assert answer.status_code == 401 and f'value="{name}"' in answer.text and "wrong" not in answer.text
        texts.add(re.search(r'role="alert".*?<p>(.*?)</p>', answer.text, re.S).group(1))  # type: ignore[union-attr]
    assert len(texts) == 1


async def test_too_many_failures_say_when_to_try_again(browser: Browser) -> None:
    token = token_of(await browser.get("/SignIn"))
    data = {"__RequestVerificationToken": token, "username": "locked", "password": "x"}
    answer = await browser.post("/SignIn", data=data)
    assert answer.status_code == 429 and answer.headers["retry-after"] == "60"


async def test_signing_in_needs_a_token_of_this_site(browser: Browser) -> None:
    data = {"username": "vendor", "password": "demo"}
    assert (await browser.post("/SignIn", data=data)).status_code == 403
    token = token_of(await browser.get("/SignIn"))
    crossed = {"origin": "https://evil.example"}
    answer = await browser.post("/SignIn", data={**data, "__RequestVerificationToken": token}, headers=crossed)
    assert answer.status_code == 403


async def test_signing_out_needs_a_token_and_ends_the_session(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    assert "Do you want to sign out" in (await browser.get("/Account/Login/LogOff")).text
    assert (await browser.post("/Account/Login/LogOff", data={})).status_code == 403
    assert len(shown.people.started) == 1
    data = {"__RequestVerificationToken": token_of(await browser.get("/"))}
    answer = await browser.post("/Account/Login/LogOff", data=data)
    assert answer.status_code == 303 and not shown.people.started
    assert "You are signed out." in (await browser.get(answer.headers["location"])).text


async def test_what_was_typed_survives_the_end_of_the_session(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    fields = form_of((await browser.get(EDIT)).text)
    shown.people.started.clear()
    answer = await browser.post(EDIT, data={**fields, DELIVERY: "2027-03-01", REFERENCE: 'A "B" <c>'})
    assert answer.status_code == 401 and "Please sign in again" in answer.text
    hidden = {unescape(name): unescape(value) for name, value in
              re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.text)}  # fmt: skip
    assert hidden["returnUrl"] == EDIT and hidden[f"replay.{REFERENCE}"] == 'A "B" <c>'
    answer = await browser.post("/SignIn", data={**hidden, "username": "vendor", "password": "wrong"})
    assert answer.status_code == 401 and "replay.mserp" in answer.text
    answer = await browser.post("/SignIn", data={**hidden, "username": "vendor", "password": "demo"})
    assert answer.status_code == 200 and "nothing is saved yet" in answer.text
    again = form_of(answer.text)
    assert again[DELIVERY] == "2027-03-01" and again[REFERENCE] == 'A "B" <c>'
    assert next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4)).version == "1"
    answer = await browser.post(EDIT, data=again)
    assert answer.status_code == 303
    row = next(item for item in shown.rows.rows[ORDERS] if item.id == row_id(ORDERS, 4))
    assert row.values[DELIVERY] == dt.date(2027, 3, 1)


async def test_another_site_cannot_fill_in_a_form_by_way_of_sign_in(browser: Browser) -> None:
    crossed = {"sec-fetch-site": "cross-site"}
    answer = await browser.post(EDIT, data={REFERENCE: "EVIL"}, headers=crossed)
    assert answer.status_code == 401 and "EVIL" not in answer.text


async def test_after_the_end_of_a_session_somebody_else_may_sign_in_and_sees_only_theirs(
    browser: Browser, shown: Preview
) -> None:
    await browser.sign_in()
    fields = form_of((await browser.get(EDIT)).text)
    shown.people.started.clear()
    answer = await browser.post(EDIT, data=fields)
    hidden = {unescape(name): unescape(value) for name, value in
              re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.text)}  # fmt: skip
    answer = await browser.post("/SignIn", data={**hidden, "username": "customer", "password": "demo"})
    assert answer.status_code == 403 and "PO-001004" not in answer.text


# -- trouble ---------------------------------------------------------------------------------------------------------


async def test_the_unexpected_shows_a_reference_and_nothing_else(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    shown.rows.fails = RuntimeError("secret of the database")
    answer = await browser.get(LIST)
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.headers["x-correlation-id"] in answer.text
    assert shown.faults[-1].correlation == answer.headers["x-correlation-id"]
    shown.rows.fails = Unavailable("no connection to 10.0.0.7")
    answer = await browser.get(LIST)
    assert answer.status_code == 503 and "10.0.0.7" not in answer.text and "try again" in answer.text


async def test_an_account_that_may_not_be_used_can_still_be_signed_out_of(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    shown.people.trouble = Refusal("FC3003", "The mapped operations user is an administrator.")
    home = await browser.get("/")
    assert home.status_code == 200 and "Your account is not ready yet" in home.text
    assert "administrator" not in home.text
    answer = await browser.get(LIST)
    assert answer.status_code == 403 and "Your account is not ready yet" in answer.text
    data = {"__RequestVerificationToken": token_of(home)}
    assert (await browser.post("/Account/Login/LogOff", data=data)).status_code == 303


async def test_a_page_that_is_not_there_and_one_that_is_not_for_them(browser: Browser) -> None:
    assert (await browser.get("/nowhere")).status_code == 404
    await browser.sign_in("customer")
    answer = await browser.get(LIST)
    assert answer.status_code == 403 and "This page is not for you" in answer.text


# -- how it is sent --------------------------------------------------------------------------------------------------


async def test_a_page_is_packed_for_who_unpacks_it(browser: Browser) -> None:
    await browser.sign_in()
    plain = await browser.get(LIST, headers={"accept-encoding": "identity, gzip;q=0"})
    packed = await browser.get(LIST, headers={"accept-encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.text) // 3
    assert "accept-encoding" in plain.headers["vary"] and "accept-encoding" in packed.headers["vary"]
    assert first_cells(packed.text) == first_cells(plain.text) != []


async def test_cells_that_are_kept_are_those_of_the_row(browser: Browser, shown: Preview) -> None:
    """Markup is kept by what it shows: another value is other markup, in the same request or in the next."""
    await browser.sign_in()
    before = await browser.get(LIST)
    row = next(row for row in shown.rows.rows[ORDERS] if row.values["mserp_purchaseordernumber"] in before.text)
    number = str(row.values["mserp_purchaseordernumber"])
    line = next(part for part in before.text.split("<tr ") if number in part)
    shown.rows.put(ORDERS, row.id, {REFERENCE: "<i>new</i>"})
    after = await browser.get(LIST)
    other = next(part for part in after.text.split("<tr ") if number in part)
    assert "&lt;i&gt;new&lt;/i&gt;" in other and "&lt;i&gt;new&lt;/i&gt;" not in line
