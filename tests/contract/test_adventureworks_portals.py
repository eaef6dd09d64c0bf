"""The portals of AdventureWorks: what a vendor and a customer find there is what plain SQL says of them.

Without the dump these tests are skipped, by name (see ``support.adventureworks``).
"""

from __future__ import annotations

import re

import pytest

from support import adventureworks as aw
from support.server import Installation, Person, table_rows

#: The lines of a user's orders, with the terms that were agreed on, by the links that the database keeps.
LINES = """
select d.purchaseorderdetailid as line, d.rejectedqty, d.receivedqty, d.orderqty, h.status, p.name as product,
    pv.averageleadtime as lead
from purchasing.purchaseorderdetail d
join purchasing.purchaseorderheader h using (purchaseorderid)
join production.product p using (productid)
left join purchasing.productvendor pv on pv.productid = d.productid and pv.businessentityid = h.vendorid
join person.businessentitycontact c on c.businessentityid = h.vendorid
join person.emailaddress e on e.businessentityid = c.personid
where e.emailaddress = $1
"""
MARK = "mark3@adventure-works.com"
COMPLETE = 200000003


@pytest.fixture(scope="module")
def vendor(adventureworks: Installation) -> Person:
    return adventureworks.signed_up(aw.CROWLEY)


def shown(text: str) -> int:
    """How many rows a list says that there are."""
    found = re.search(r"<strong>([\d,]+)</strong>", text)
    assert found is not None, text[:2000]
    return int(found.group(1).replace(",", ""))


async def test_a_vendor_finds_the_lines_of_the_own_orders_with_the_terms_agreed_on(
    adventureworks: Installation, vendor: Person
) -> None:
    lines = [dict(row) for row in await adventureworks.sql(LINES, aw.CROWLEY)]
    short = [row for row in lines if row["receivedqty"] < row["orderqty"]]
    expected = {
        "received-short": len(short),
        "with-rejected-goods": sum(row["rejectedqty"] > 0 for row in lines),
        "all-lines": len(lines),
    }
    pages = {view: await vendor.get(f"/deliveries/?view={view}") for view in expected}
    assert {view: shown(page.text) if page.status == 200 else page.status for view, page in pages.items()} == expected
    terms = await vendor.everything(
        "/api/data/v9.2/mserp_purchaseorderlineentities?$select=mserp_purchaseorderlineid,mserp_leadtimedays"
    )
    agreed = {row["mserp_purchaseorderlineid"]: row["mserp_leadtimedays"] for row in terms}
    assert agreed == {row["line"]: row["lead"] for row in lines}
    assert any(agreed.values())


async def test_the_filter_panels_narrow_a_vendors_lists_to_what_plain_sql_finds(
    adventureworks: Installation, vendor: Person
) -> None:
    own = {row[0] for row in await adventureworks.sql(aw.OWN_ORDERS, aw.CROWLEY)}
    done = await adventureworks.sql("select purchaseorderid from purchasing.purchaseorderheader where status = 4")
    complete = len(own & {row[0] for row in done})
    by_view = await vendor.get("/purchase-orders/?view=complete-purchase-orders")
    by_filter = await vendor.get(f"/purchase-orders/?view=all-purchase-orders&mf=purchaseorderstatus%3D{COMPLETE}")
    assert shown(by_view.text) == shown(by_filter.text) == complete < len(own)
    [product] = {row["product"] for row in await adventureworks.sql(LINES, aw.CROWLEY) if row["product"][:2] == "ML"}
    lines = [row for row in await adventureworks.sql(LINES, aw.CROWLEY) if row["product"] == product]
    assert shown((await vendor.get("/deliveries/?view=all-lines&mf=productname%3DML")).text) == len(lines)


async def test_nobody_else_finds_the_page_or_its_rows(adventureworks: Installation, vendor: Person) -> None:
    customer = adventureworks.signed_up(MARK)
    assert (await customer.get("/deliveries/")).status in (403, 404)
    first = table_rows((await vendor.get("/deliveries/?view=all-lines")).text)[0][0]
    assert (await customer.get(f"/deliveries/line?id={first}")).status in (403, 404)
    neighbour = adventureworks.signed_up(aw.WHEELS)
    assert (await neighbour.get(f"/deliveries/line?id={first}")).status == 404


async def test_the_start_page_draws_what_is_the_persons_own(adventureworks: Installation, vendor: Person) -> None:
    page = (await vendor.get("/")).text
    assert "What we order from you, by quarter" in page and "What you order from us" not in page
    customer = (await adventureworks.signed_up(MARK).get("/")).text
    assert "What you order from us, by quarter" in customer and "What we order from you" not in customer


async def test_days_kept_as_timestamps_are_days_at_every_door(adventureworks: Installation, vendor: Person) -> None:
    placed = "select orderdate::date from purchasing.purchaseorderheader where purchaseorderid = any($1::int[])"
    own = [row[0] for row in await adventureworks.sql(aw.OWN_ORDERS, aw.CROWLEY)]
    days = sorted(row[0].isoformat() for row in await adventureworks.sql(placed, own))
    table = "/api/data/v9.2/mserp_purchaseorderheaderentities?$select=mserp_orderdate"
    ascending = [row["mserp_orderdate"] for row in await vendor.everything(f"{table}&$orderby=mserp_orderdate")]
    assert ascending == days
    middle = days[len(days) // 2]
    for op, fits in (
        ("eq", str.__eq__),
        ("lt", str.__lt__),
        ("le", str.__le__),
        ("gt", str.__gt__),
        ("ne", str.__ne__),
    ):
        found = await vendor.everything(f"{table}&$filter=mserp_orderdate {op} {middle}")
        assert len(found) == sum(fits(day, middle) for day in days), op
    for path in ("/purchase-orders/?view=all-purchase-orders", "/deliveries/?view=all-lines"):
        page = (await vendor.get(path)).text
        assert "12:00 AM" not in page and "UTC" not in page
