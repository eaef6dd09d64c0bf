"""The customer portal of the sample company: who sees which orders, drafts that are sent, reorders, hostile ids."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from forecourt.identity import csrf
from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.forms import fields_of, opened, post
from support.lines import line
from support.orders import Customer, customer_of
from support.server import Answer, Installation, cloned, installed

DRAFT, OPEN = 192350005, 192350001


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with sample.copied_site(postgres) as served:
        yield served
        assert not served.faults


async def person(site: Installation, user: str) -> Customer:
    return await customer_of(await site.contact_of(user))


@pytest.fixture
async def grace(site: Installation) -> Customer:
    """Orders for everybody of Maple Street Stores."""
    return await person(site, "c-us-00001")


@pytest.fixture
async def rachel(site: Installation) -> Customer:
    """Administers them."""
    return await person(site, "c-us-00001-admin")


@pytest.fixture
async def luis(site: Installation) -> Customer:
    """Orders for himself there."""
    return await person(site, "c-us-00001-buyer")


@pytest.fixture
async def felix(site: Installation) -> Customer:
    """Orders for another customer, of another company."""
    return await person(site, "c-de-00001")


async def in_the_erp(site: Installation) -> tuple[int, int]:
    return tuple([await site.value(f"select count(*) from erp.{table}") for table in ("salestable", "salesline")])


async def draft(buyer: Customer, *lines: dict[str, Any], **values: Any) -> str:
    entered = await buyer.enter(*lines, msdyn_salesorderstatus=DRAFT, **values)
    assert (entered["msdyn_salesorderstatus"], entered["msdyn_salesordernumber"]) == (DRAFT, None)
    return str(entered["salesorderid"])


async def test_a_draft_is_not_in_the_erp_and_sending_it_brings_its_number_in_the_same_call(
    site: Installation, grace: Customer
) -> None:
    item, price = await grace.item()
    before = await in_the_erp(site)
    key = await draft(grace, {"msdyn_itemnumber": item, "quantity": 3})
    line = {"salesorderid@odata.bind": f"/salesorders({key})", "msdyn_itemnumber": item, "quantity": 2}
    added = await grace.ask("POST", "salesorderdetails", line)
    assert added.status == 201, added.text
    shown = await grace.ask("GET", f"salesorders({key})", _select="totalamount,msdyn_salesorderstatus")
    assert Decimal(str(shown.json["totalamount"])) == 5 * price
    assert await in_the_erp(site) == before
    sent = await grace.ask("PATCH", f"salesorders({key})", {"msdyn_salesorderstatus": OPEN})
    assert sent.status in (200, 204), sent.text
    number = (await grace.ask("GET", f"salesorders({key})")).json["msdyn_salesordernumber"]
    assert number.startswith("SO-")
    (order,) = await site.sql(
        "select custaccount, salesstatus, ordertotalamount, contactpersonid from erp.salestable where salesid = $1",
        number,
    )
    assert tuple(order) == (grace.number, 1, 5 * price, f"CP-{grace.number}")
    lines = await site.sql(
        "select itemid, salesqty, salesprice from erp.salesline where salesid = $1 order by linenum", number
    )
    assert [tuple(row) for row in lines] == [(item, 3, price), (item, 2, price)]


# -- the wizard --------------------------------------------------------------------------------------------------------


async def step(who: Customer, address: str, **typed: str) -> Answer:
    """Fills in a form and sends it."""
    return await post(who.person, address, {**await opened(who.person, address), **typed})


async def forth(who: Customer, address: str, **typed: str) -> str:
    """The same; where it leads."""
    answer = await step(who, address, **typed)
    assert answer.status == 303, re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))[:2000]
    return str(answer.headers["location"])


async def begin(who: Customer) -> str:
    answer = await who.person.get("/orders/new/")
    assert answer.status == 303, answer.text[:500]
    return str(answer.headers["location"])


async def product(who: Customer) -> tuple[str, str, Decimal]:
    """Id, number and price of a product of the customer's company."""
    number, price = await who.item()
    sql = (
        "select p.productid from dataverse.product p join dataverse.cdm_company c on c.cdm_companyid = p.msdyn_company "
        "where p.productnumber = $1 and c.cdm_companycode = $2"
    )
    return str((await who.site.dataverse(sql, number, who.company))[0][0]), number, price


def link(page: str, text: str) -> str:
    found = re.search(rf'<a[^>]*href="([^"]+)"[^>]*>(?:(?!</a>).)*{re.escape(text)}', page, re.S)
    assert found is not None, (text, re.findall(r'href="([^"]+)"', page))
    return html.unescape(found[1])


async def test_the_wizard_leads_from_header_and_items_to_an_order_with_the_erps_number(
    site: Installation, grace: Customer
) -> None:
    key, item, price = await product(grace)
    before = await in_the_erp(site)
    header = await begin(grace)
    fields = await opened(grace.person, header)
    assert fields["shipto_city"] and fields["_msdyn_contactpersonid_value"] == str(grace.person.contact)
    items = await forth(grace, header, requestdeliveryby="2027-03-01", msdyn_customerrequisitionnumber="R-77")
    page = (await grace.person.get(items)).text
    assert "2. Items" in page and "USD" not in page
    added = await forth(grace, link(page, "Add item"), _productid_value=key, quantity="4")
    assert added.startswith(items)
    page = (await grace.person.get(added)).text
    assert all(text in page for text in (item, f"{4 * price:.2f}", "USD"))
    assert (await forth(grace, link(page, "Change"), quantity="5")).startswith(items)
    review = await forth(grace, items)
    assert await in_the_erp(site) == before
    page = (await grace.person.get(review)).text
    assert all(text in page for text in ("R-77", f"{5 * price:.2f}", "Send order"))
    end = await forth(grace, review)
    page = (await grace.person.get(end)).text
    number = await newest(site)
    assert f"Your order is with us as {number}." in page and "Open order" in page
    (order,) = await site.sql(
        "select receiptdaterequested::text, purchorderformnum, ordertotalamount from erp.salestable where salesid = $1",
        number,
    )
    assert tuple(order) == ("2027-03-01", "R-77", 5 * price)
    again = await step_again(grace, review)
    assert again == 303 and await newest(site) == number, "sent twice, there is one order"


async def newest(site: Installation) -> str:
    return str(await site.value("select salesid from erp.salestable order by recid desc limit 1"))


async def step_again(who: Customer, address: str) -> int:
    return (await post(who.person, address, {"@move": "", csrf.FIELD: await who.person.proof()})).status


async def test_an_order_is_for_a_whole_address_and_for_one_of_the_customers_people(
    site: Installation, grace: Customer, felix: Customer
) -> None:
    header = await begin(grace)
    part = await step(grace, header, requestdeliveryby="2027-03-01", shipto_city="", shipto_country="DEU")
    assert part.status == 400 and "Missing: city." in part.text
    typed = await step(grace, header, requestdeliveryby="", shipto_line1="12 New Road", shipto_country="Germany")
    assert typed.status == 422 and "Say when you would like to have the goods." in typed.text
    assert "Write the code of the country" in typed.text and "12 New Road" in typed.text
    for other in (felix.person.contact, "00000000-0000-0000-0000-000000000007"):
        wrong = await step(grace, header, requestdeliveryby="2027-03-01", _msdyn_contactpersonid_value=str(other))
        assert wrong.status == 400 and "is no row that you can choose" in wrong.text
    rachel = await person(site, "c-us-00001-admin")
    items = await forth(
        grace, header, requestdeliveryby="2027-03-01", _msdyn_contactpersonid_value=str(rachel.person.contact)
    )
    empty = await step(grace, await forth(grace, items))
    assert empty.status == 400 and "Add at least one item before you send the order." in empty.text


async def test_a_draft_is_gone_on_with_by_a_colleague_and_its_items_taken_off(
    site: Installation, grace: Customer, rachel: Customer
) -> None:
    item, _ = await grace.item()
    key = await draft(grace, {"msdyn_itemnumber": item, "quantity": 1}, {"msdyn_itemnumber": item, "quantity": 9})
    details = (await rachel.person.get(f"/orders/details/?id={key}")).text
    assert "This order is a draft: we do not have it yet." in details
    header = (await rachel.person.get(link(details, "Go on with it"))).headers["location"]
    items = await forth(rachel, header, requestdeliveryby="2027-04-01")
    page = (await rachel.person.get(items)).text
    removed = await forth(rachel, link(page, "Remove"))
    removed, _, _ = removed.partition("#")
    assert removed.startswith(items) and "It is deleted." in (await rachel.person.get(removed)).text
    end = await forth(rachel, await forth(rachel, items))
    number = await newest(site)
    assert number in (await rachel.person.get(end)).text
    lines = await site.sql("select salesqty from erp.salesline where salesid = $1", number)
    assert [int(row[0]) for row in lines] == [9]
    late = await rachel.ask("PATCH", f"salesorders({key})", {"msdyn_salesorderstatus": DRAFT})
    assert late.status == 400 and "has been sent already" in late.text


async def test_reordering_makes_a_draft_with_the_lines_of_the_order_at_the_prices_of_today(
    site: Installation, grace: Customer
) -> None:
    item, price = await grace.item()
    first = await grace.enter({"msdyn_itemnumber": item, "quantity": 6}, msdyn_customersorderreference="Every month")
    await site.sql(
        "update erp.salesline set salesprice = 1, lineamount = 6 where salesid = $1", first["msdyn_salesordernumber"]
    )
    before = await in_the_erp(site)
    again = link((await grace.person.get(f"/orders/details/?id={first['salesorderid']}")).text, "Order the same again")
    header = await forth(grace, again, requestdeliveryby="2027-05-01")
    assert header.startswith("/orders/draft/?id=") and await in_the_erp(site) == before
    header = (await grace.person.get(header)).headers["location"]
    items = await forth(grace, header)
    page = (await grace.person.get(items)).text
    assert item in page and f"{6 * price:.2f}" in page
    await forth(grace, await forth(grace, items))
    (order,) = await site.sql(
        "select customerref, ordertotalamount, receiptdaterequested::text from erp.salestable where salesid = $1",
        await newest(site),
    )
    assert tuple(order) == ("Every month", 6 * price, "2027-05-01")


# -- who sees what -----------------------------------------------------------------------------------------------------

SEEN = (
    "select o.salesid from erp.salestable o join erp.custtable c on c.accountnum = o.custaccount "
    "and c.dataareaid = o.dataareaid where c.accountnum = $1 and c.dataareaid = $2 order by 1"
)


async def numbers(who: Customer) -> list[str]:
    rows = await who.person.everything("/_api/salesorders?$select=msdyn_salesordernumber")
    return sorted(row["msdyn_salesordernumber"] for row in rows if row["msdyn_salesordernumber"])


async def live(who: Customer) -> list[str]:
    rows = await who.person.everything("/data/SalesOrderHeadersV2?cross-company=true&$select=SalesOrderNumber")
    return sorted(row["SalesOrderNumber"] for row in rows)


async def test_three_roles_see_three_sets_of_orders_at_every_door(
    site: Installation, grace: Customer, rachel: Customer, luis: Customer, felix: Customer
) -> None:
    of_all = [row[0] for row in await site.sql(SEEN, grace.number, grace.company)]
    own = [
        row[0]
        for row in await site.sql(
            "select salesid from erp.salestable where contactpersonid = $1 and dataareaid = $2 order by 1",
            *(f"CP-{luis.number}-3", luis.company),
        )
    ]
    assert own and set(own) < set(of_all)
    for who, orders in ((grace, of_all), (rachel, of_all), (luis, own)):
        assert await numbers(who) == await live(who) == orders
        shown = (await who.person.get("/orders/?view=all-orders")).text
        assert set(re.findall(r"SO-\d{6}", shown)) <= set(orders)
    assert not set(await numbers(felix)) & set(of_all)
    people = {row["fullname"] for row in (await grace.ask("GET", "contacts", _select="fullname")).rows}
    assert len(people) == 3 and people == {row["fullname"] for row in (await rachel.ask("GET", "contacts")).rows}
    assert [row["contactid"] for row in (await luis.ask("GET", "contacts")).rows] == [str(luis.person.contact)]
    company = (await luis.person.get("/company/")).text
    assert "Maple Street Stores Inc." in company and "Rachel Underhill" not in company
    assert "Rachel Underhill" in (await grace.person.get("/company/")).text
    for path in ("/orders/", "/orders/new/", "/orders/draft/", "/company/"):
        assert (await site.ask("GET", path)).status in (302, 303, 401, 403), path


async def test_an_authorised_user_orders_in_the_own_name_alone(
    site: Installation, grace: Customer, luis: Customer
) -> None:
    item, _ = await luis.item()
    key = await draft(luis, {"msdyn_itemnumber": item, "quantity": 1})
    given = await luis.ask(
        "PATCH", f"salesorders({key})", {"msdyn_contactpersonid@odata.bind": f"/contacts({grace.person.contact})"}
    )
    assert given.status in (403, 404)
    others = await draft(grace, {"msdyn_itemnumber": item, "quantity": 1})
    assert (await luis.ask("GET", f"salesorders({others})")).status == 404
    assert (await grace.ask("GET", f"salesorders({key})")).status == 200
    assert (await luis.ask("PATCH", f"salesorders({key})", {"msdyn_salesorderstatus": OPEN})).status in (200, 204)
    (order,) = await site.sql("select contactpersonid from erp.salestable where salesid = $1", await newest(site))
    assert order[0] == f"CP-{luis.number}-3"


async def test_drafts_are_thrown_away_by_their_maker_or_an_administrator_and_orders_by_nobody(
    site: Installation, grace: Customer, rachel: Customer, luis: Customer
) -> None:
    item, _ = await grace.item()
    mine = await draft(grace, {"msdyn_itemnumber": item, "quantity": 1})
    of_luis = await draft(luis, {"msdyn_itemnumber": item, "quantity": 1})
    assert (await luis.ask("DELETE", f"salesorders({mine})")).status == 404
    assert (await grace.ask("DELETE", f"salesorders({of_luis})")).status in (403, 404)
    before = await in_the_erp(site)
    assert (await grace.ask("DELETE", f"salesorders({mine})")).status == 204
    assert (await rachel.ask("DELETE", f"salesorders({of_luis})")).status == 204
    assert await in_the_erp(site) == before
    sent = (await grace.enter({"msdyn_itemnumber": item, "quantity": 1}))["salesorderid"]
    for who in (grace, rachel):
        refused = await who.ask("DELETE", f"salesorders({sent})")
        assert refused.status == 400 and "Ask us to cancel it." in refused.text


async def test_what_belongs_to_another_customer_can_be_named_nowhere(
    site: Installation, grace: Customer, felix: Customer
) -> None:
    theirs, _, _ = await product(felix)
    item, _ = await felix.item()
    order = await draft(felix, {"msdyn_itemnumber": item, "quantity": 1})
    sent = (await felix.enter({"msdyn_itemnumber": item, "quantity": 1}))["salesorderid"]
    key = await draft(grace)
    before = await in_the_erp(site)
    own = {"salesorderid@odata.bind": f"/salesorders({key})", "quantity": 1}
    tried = [
        ("salesorderdetails", {**own, "productid@odata.bind": f"/products({theirs})"}),
        ("salesorderdetails", {**own, "salesorderid@odata.bind": f"/salesorders({order})", "msdyn_itemnumber": item}),
        ("salesorders", {"customerid_account@odata.bind": f"/accounts({felix.account})"}),
        ("salesorders", {"msdyn_contactpersonid@odata.bind": f"/contacts({felix.person.contact})"}),
        ("salesorders", {"cts_reorderof@odata.bind": f"/salesorders({sent})"}),
        ("salesorders", {"msdyn_salesorderstatus": 192350003}),
        ("salesorderdetails", {**own, "msdyn_itemnumber": item, "priceperunit": 0.01}),
    ]
    for table, body in tried:
        answer = await grace.ask("POST", table, body)
        assert answer.status in (400, 403, 404), (body, answer.text)
        assert felix.number not in answer.text and "Sonnenhof" not in answer.text
    for path in (f"/orders/draft/?id={order}", f"/orders/again/?order={sent}", f"/orders/details/?id={sent}"):
        answer = await grace.person.get(path)
        if answer.status == 303:
            answer = await grace.person.get(answer.headers["location"])
        stolen = await post(
            grace.person, path, {"requestdeliveryby": "2027-01-01", csrf.FIELD: await grace.person.proof()}
        )
        assert answer.status == 404 or stolen.status in (400, 403, 404), (path, answer.status, stolen.status)
    assert await in_the_erp(site) == before


# -- without the ERP ---------------------------------------------------------------------------------------------------


async def test_without_the_erp_nothing_is_half_written_nothing_typed_is_lost_and_a_draft_waits(
    postgres: EmbeddedServer,
) -> None:
    await sample.ensure_copied(postgres)
    async with (
        cloned(postgres, sample.COPIED) as operations,
        cloned(postgres, sample.COPIED) as dataverse,
        line(operations) as (found, through),
        installed(sample.ROOT, through, dataverse, sample.credentials()) as far,
    ):
        far.url = operations  # plain SQL goes around the line
        grace = await person(far, "c-us-00001")
        key, _, price = await product(grace)
        before = await in_the_erp(far)
        header = await begin(grace)
        typed = {"requestdeliveryby": "2027-03-01", "msdyn_customersorderreference": "In the night"}
        fields = {**await opened(grace.person, header), **typed}
        drafts = "select count(*) from dataverse.salesorder where msdyn_salesordernumber is null"
        await found.close()
        down = await post(grace.person, header, fields)
        assert down.status == 503 and "PGSQL" not in down.text, down.text[:2000]
        assert fields_of(down.text)["msdyn_customersorderreference"] == "In the night"
        assert (await far.dataverse(drafts))[0][0] == 0
        await found.connect()
        items = await forth(grace, header, **typed)
        added = link((await grace.person.get(items)).text, "Add item")
        await forth(grace, added, _productid_value=key, quantity="2")
        review = await forth(grace, items)
        sent = await opened(grace.person, review)
        again, one_more = await opened(grace.person, header), await opened(grace.person, added)
        await found.close()
        for address, form, word in (
            (header, {**again, "msdyn_customersorderreference": "By day"}, "By day"),
            (added, {**one_more, "_productid_value": key, "quantity": "7"}, "7"),
        ):
            down = await post(grace.person, address, form)
            assert down.status == 503 and "What you typed is still here" in down.text, down.text[:2000]
            back = fields_of(down.text)
            assert word in back.values() and {**back, csrf.FIELD: ""} == {**form, csrf.FIELD: ""}, (back, form)
        down = await post(grace.person, review, sent)
        assert down.status == 503 and "PGSQL" not in down.text
        assert (await far.dataverse(drafts))[0][0] == 1
        assert await in_the_erp(far) == before
        await found.connect()
        end = await forth(grace, review)
        number = await newest(far)
        assert f"Your order is with us as {number}." in (await grace.person.get(end)).text
        (order,) = await far.sql("select customerref, ordertotalamount from erp.salestable where salesid = $1", number)
        assert tuple(order) == ("In the night", 2 * price)
