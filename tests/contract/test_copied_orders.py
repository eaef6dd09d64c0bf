"""The sample company with its copies: an order of the portal is the ERP's in the same call, and the ERP's changes are
Dataverse's, in the same call or through the queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.contoso import differences, drain
from support.orders import Customer, customer
from support.server import Answer, Installation, Person, url

A = "/api/data/v9.2"


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with sample.copied_site(postgres) as opened:
        yield opened


@pytest.fixture
async def alone(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    """For a test that leaves the leases of a worker behind."""
    async with sample.copied_site(postgres) as opened:
        yield opened


@pytest.fixture
async def buyer(site: Installation) -> Customer:
    return await customer(site)


@pytest.fixture
async def admin(site: Installation) -> Person:
    return await site.operations_user("admin")


async def send(person: Person, method: str, target: str, body: object = None, **headers: str) -> Answer:
    given = {**await person.headers(target), "content-type": "application/json", **headers}
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return await person.site.ask(method, target, given, raw)


async def erp(site: Installation, number: str) -> list[tuple[Any, ...]]:
    """Lines of an order in the ERP: item, quantity, price, amount."""
    sql = "select itemid, salesqty, salesprice, lineamount from erp.salesline where salesid = $1 order by linenum"
    return [tuple(row) for row in await site.sql(sql, number)]


async def copy(site: Installation, number: str) -> list[tuple[Any, ...]]:
    """The same in Dataverse."""
    sql = (
        "select p.productnumber, d.quantity, d.priceperunit, d.extendedamount from dataverse.salesorderdetail d "
        "join dataverse.salesorder o on o.salesorderid = d.salesorderid "
        "join dataverse.product p on p.productid = d.productid "
        "where o.msdyn_salesordernumber = $1 order by d.msdyn_linenumber"
    )
    return [tuple(row) for row in await site.dataverse(sql, number)]


async def counts(site: Installation) -> tuple[int, ...]:
    """Orders and lines of both sides, and the next number."""
    tables = ("erp.salestable", "erp.salesline", "dataverse.salesorder", "dataverse.salesorderdetail")
    return tuple([await site.value(f"select count(*) from {table}") for table in tables])


# ------------------------------------------------------------------------------------- from the portal


async def test_an_order_of_the_portal_is_in_the_erp_in_the_same_call_with_the_erps_number(
    site: Installation, buyer: Customer
) -> None:
    item, price = await buyer.item()
    entered = await buyer.enter({"msdyn_itemnumber": item, "quantity": 3}, msdyn_customersorderreference="R-1")
    number = entered["msdyn_salesordernumber"]
    assert number.startswith("SO-")
    (order,) = await site.sql("select * from erp.salestable where salesid = $1", number)
    assert (order["custaccount"], order["dataareaid"], order["customerref"], order["salesstatus"]) == (
        buyer.number,
        buyer.company,
        "R-1",
        1,
    )
    amount = (3 * price).quantize(Decimal("0.01"))
    assert order["ordertotalamount"] == amount
    assert await erp(site, number) == await copy(site, number) == [(item, 3, price, amount)]
    again = await buyer.ask("GET", f"salesorders({entered['salesorderid']})", _expand="order_details")
    assert (again.json["msdyn_salesordernumber"], Decimal(str(again.json["totalamount"]))) == (number, amount)
    assert again.json["msdyn_paymentterm"] == order["payment"], "what the ERP took from the customer came back"
    (line,) = again.json["order_details"]
    assert Decimal(str(line["priceperunit"])) == price


async def test_a_line_that_is_added_changed_or_deleted_changes_the_total_on_both_sides(
    site: Installation, buyer: Customer
) -> None:
    item, price = await buyer.item()
    entered = await buyer.enter({"msdyn_itemnumber": item, "quantity": 1})
    key, number = entered["salesorderid"], entered["msdyn_salesordernumber"]

    async def total() -> tuple[Decimal, Decimal]:
        shown = await buyer.ask("GET", f"salesorders({key})", _select="totalamount")
        theirs = await site.value("select ordertotalamount from erp.salestable where salesid = $1", number)
        return Decimal(str(shown.json["totalamount"])), theirs

    body = {"salesorderid@odata.bind": f"/salesorders({key})", "msdyn_itemnumber": item, "quantity": 2}
    added = await buyer.ask("POST", "salesorderdetails", body)
    assert added.status == 201, added.text
    assert await total() == (3 * price, 3 * price)
    line = f"salesorderdetails({added.json['salesorderdetailid']})"
    changed = await buyer.ask("PATCH", line, {"quantity": 5})
    assert changed.status in (200, 204), changed.text
    assert await total() == (6 * price, 6 * price)
    assert (await buyer.ask("DELETE", line)).status == 204
    assert await total() == (price, price)
    assert await erp(site, number) == await copy(site, number)


async def test_what_the_erp_refuses_is_told_with_its_reason_and_kept_on_neither_side(
    site: Installation, buyer: Customer
) -> None:
    item, _ = await buyer.item()
    before = await counts(site)
    await site.sql("update erp.custtable set blocked = 2 where accountnum = $1 and dataareaid = $2", *key_of(buyer))
    try:
        refused = await buyer.ask("POST", "salesorders", buyer.order({"msdyn_itemnumber": item, "quantity": 1}))
    finally:
        await site.sql("update erp.custtable set blocked = 0 where accountnum = $1 and dataareaid = $2", *key_of(buyer))
    assert refused.status == 400
    error = refused.json["error"]
    assert (error["code"], error["cdscode"][:2]) == ("9004010D", "0x")
    assert f"Customer {buyer.number} is on hold." in error["message"]
    assert await counts(site) == before
    none = await buyer.ask("POST", "salesorders", buyer.order({"msdyn_itemnumber": item, "quantity": 0}))
    assert (none.status, "The quantity must be more than zero." in none.text) == (400, True)
    assert await counts(site) == before
    kept = await buyer.enter()
    last = int(kept["msdyn_salesordernumber"].removeprefix("SO-"))
    earlier = await site.value(
        "select max(substr(salesid, 4)::int) from erp.salestable where salesid < $1", f"SO-{last}"
    )
    assert last == earlier + 1 or earlier < 100_001, "the refused orders took no number"


def key_of(buyer: Customer) -> tuple[str, str]:
    return buyer.number, buyer.company


# ------------------------------------------------------------------------------- from Dataverse's Web API


async def test_a_deep_insert_of_dataverse_is_in_the_erp_in_the_same_call(
    site: Installation, admin: Person, buyer: Customer
) -> None:
    item, price = await buyer.item()
    lines = [{"msdyn_itemnumber": item, "quantity": quantity} for quantity in (1, 2, 3)]
    answer = await send(admin, "POST", f"{A}/salesorders", buyer.order(*lines), prefer="return=representation")
    assert answer.status == 201, answer.text
    number = answer.json["msdyn_salesordernumber"]
    assert [row[:3] for row in await erp(site, number)] == [(item, n, price) for n in (1, 2, 3)]
    assert await erp(site, number) == await copy(site, number)
    total = await site.value("select ordertotalamount from erp.salestable where salesid = $1", number)
    assert total == 6 * price


async def test_a_change_set_is_in_the_erp_whole_or_not_at_all(
    site: Installation, admin: Person, buyer: Customer
) -> None:
    item, _ = await buyer.item()

    def batch(*quantities: int) -> bytes:
        parts = [("salesorders", {**buyer.order(), "name": "of a batch"})]
        parts += [
            (
                "salesorderdetails",
                {"salesorderid@odata.bind": "$1", "msdyn_itemnumber": item, "quantity": quantity},
            )
            for quantity in quantities
        ]
        text = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
        for number, (collection, body) in enumerate(parts, 1):
            text += (
                "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
                f"Content-ID: {number}\r\n\r\nPOST {A}/{collection} HTTP/1.1\r\n"
                f"Content-Type: application/json\r\n\r\n{json.dumps(body)}\r\n"
            )
        return (text + "--c--\r\n\r\n--b--\r\n").encode()

    kind = {"content-type": "multipart/mixed; boundary=b"}
    before = await counts(site)
    refused = await send(admin, "POST", f"{A}/$batch", batch(1, 0), **kind)
    assert "The quantity must be more than zero." in refused.text
    assert await counts(site) == before
    done = await send(admin, "POST", f"{A}/$batch", batch(4, 5), **kind)
    assert done.text.count("HTTP/1.1 204") == 3, done.text
    assert await counts(site) == tuple(now + more for now, more in zip(before, (1, 2, 1, 2), strict=True))
    (number,) = (await site.sql("select salesid from erp.salestable order by recid desc limit 1"))[0]
    assert [row[1] for row in await erp(site, number)] == [4, 5]
    assert await erp(site, number) == await copy(site, number)


# ------------------------------------------------------------------------------------- from the ERP


async def test_a_price_changed_by_plain_sql_reaches_dataverse_through_the_queue_deletes_too(
    site: Installation, buyer: Customer
) -> None:
    item, _ = await buyer.item()
    lines = [{"msdyn_itemnumber": item, "quantity": quantity} for quantity in (1, 2)]
    number = (await buyer.enter(*lines))["msdyn_salesordernumber"]
    await site.sql("update erp.salesline set salesprice = 7.5, lineamount = 7.5 * salesqty where salesid = $1", number)
    await site.sql("update erp.salestable set ordertotalamount = 22.5 where salesid = $1", number)
    assert [row[2] for row in await copy(site, number)] != [Decimal("7.5")] * 2
    await drain(site)
    assert [row[2:] for row in await copy(site, number)] == [
        (Decimal("7.5"), Decimal("7.5")),
        (Decimal("7.5"), Decimal("15")),
    ]
    total = "select totalamount from dataverse.salesorder where msdyn_salesordernumber = $1"
    assert (await site.dataverse(total, number))[0][0] == Decimal("22.5")
    await site.sql("delete from erp.salesline where salesid = $1 and salesqty = 1", number)
    await drain(site)
    assert [row[1] for row in await copy(site, number)] == [2]
    await site.sql("delete from erp.salesline where salesid = $1", number)
    await site.sql("delete from erp.salestable where salesid = $1", number)
    await drain(site)
    assert await site.dataverse(total, number) == []
    assert await differences(site, "sales-orders", "sales-order-lines") == []


async def test_an_order_deleted_by_plain_sql_in_dataverse_is_deleted_in_the_erp_with_its_lines(
    site: Installation, buyer: Customer
) -> None:
    item, _ = await buyer.item()
    number = (await buyer.enter({"msdyn_itemnumber": item, "quantity": 1}))["msdyn_salesordernumber"]
    await site.dataverse(
        "with gone as (delete from dataverse.salesorderdetail d using dataverse.salesorder o "
        "where o.salesorderid = d.salesorderid and o.msdyn_salesordernumber = $1 returning 1) "
        "select count(*) from gone",
        number,
    )
    await site.dataverse("delete from dataverse.salesorder where msdyn_salesordernumber = $1", number)
    await drain(site)
    assert await site.sql("select 1 from erp.salestable where salesid = $1", number) == []
    assert await erp(site, number) == []


async def test_the_running_worker_applies_what_plain_sql_changes_without_being_asked(alone: Installation) -> None:
    site, buyer = alone, await customer(alone)
    entered = await buyer.enter()
    key, number = entered["salesorderid"], entered["msdyn_salesordernumber"]
    worker = asyncio.create_task(site.forecourt.dual_write.queue.run())
    try:
        await site.sql("update erp.salestable set salesname = 'by plain SQL' where salesid = $1", number)
        name = ""
        async with asyncio.timeout(60):
            while name != "by plain SQL":
                name = (await buyer.ask("GET", f"salesorders({key})", _select="name")).json["name"]
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def test_an_order_of_data_is_in_dataverse_in_the_same_call(
    site: Installation, admin: Person, buyer: Customer
) -> None:
    body = {"dataAreaId": buyer.company, "OrderingCustomerAccountNumber": buyer.number}
    made = await send(admin, "POST", "/data/SalesOrderHeadersV2", body)
    assert made.status == 201, made.text
    number = made.json["SalesOrderNumber"]
    assert number in [row["msdyn_salesordernumber"] for row in (await buyer.ask("GET", "salesorders")).rows]
    row = f"/data/SalesOrderHeadersV2(dataAreaId='{buyer.company}',SalesOrderNumber='{number}')"
    gone = await send(admin, "DELETE", url(row, cross_company=True))
    assert gone.status == 204, gone.text
    assert number not in [row["msdyn_salesordernumber"] for row in (await buyer.ask("GET", "salesorders")).rows]


# ----------------------------------------------------------------------------------- purchase orders


async def test_a_purchase_order_changed_at_data_is_changed_in_dataverse_in_the_same_call_and_back(
    site: Installation, admin: Person
) -> None:
    (order,) = await site.sql("select dataareaid, purchid from erp.purchtable order by recid desc limit 1")
    company, number = order
    row = f"/data/PurchaseOrderHeadersV2(dataAreaId='{company}',PurchaseOrderNumber='{number}')"
    assert (
        await send(admin, "PATCH", url(row, cross_company=True), {"VendorOrderReference": "at /data"})
    ).status == 204
    sql = (
        "select o.msdyn_purchaseorderid, o.msdyn_vendororderreference from dataverse.msdyn_purchaseorder o "
        "join dataverse.cdm_company c on c.cdm_companyid = o.msdyn_company "
        "where o.msdyn_name = $1 and c.cdm_companycode = $2"
    )
    ((key, reference),) = await site.dataverse(sql, number, company)
    assert reference == "at /data"
    there = await send(
        admin, "PATCH", f"{A}/msdyn_purchaseorders({key})", {"msdyn_vendororderreference": "at Dataverse"}
    )
    assert there.status == 204, there.text
    stored = "select vendorref from erp.purchtable where purchid = $1 and dataareaid = $2"
    assert await site.value(stored, number, company) == "at Dataverse"
    (line,) = await site.sql(
        "select linenumber, purchqty from erp.purchline where purchid = $1 and dataareaid = $2 order by 1 limit 1",
        number,
        company,
    )
    target = f"/data/PurchaseOrderLinesV2(dataAreaId='{company}',PurchaseOrderNumber='{number}',LineNumber={line[0]})"
    assert (await send(admin, "PATCH", url(target, cross_company=True), {"OrderedPurchaseQuantity": 77})).status == 204
    quantity = "select msdyn_quantity from dataverse.msdyn_purchaseorderproduct where msdyn_purchaseorder = $1"
    assert 77 in [row[0] for row in await site.dataverse(quantity, key)]


async def test_all_maps_are_equal_after_all_this_and_survive_pause_resume_and_stop(site: Installation) -> None:
    dual_write = site.forecourt.dual_write
    await drain(site)
    assert await differences(site) == []

    async def states() -> set[str]:
        return {status.record.state for status in await dual_write.status()}

    await dual_write.pause((), "test")
    assert await states() == {"paused"}
    await site.sql(
        "update erp.salestable set customerref = 'meanwhile' where salesid = (select min(salesid) from erp.salestable)"
    )
    await dual_write.resume((), "test")
    assert await states() == {"running"}
    assert await differences(site) == []
    await dual_write.stop((), "test")
    assert await states() == {"not running"}
    await dual_write.start((), "test")
    assert await states() == {"running"}
    assert await differences(site) == []
