"""Vendor collaboration on the sample company: versions, answers, what follows from them, and who sees which prices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from support import contoso as sample
from support.server import Answer, Installation, Person

NS = "Microsoft.Dynamics.DataEntities"
RESPONSES, LINES = "PurchaseOrderResponseHeaders", "PurchaseOrderResponseLines"


@dataclass
class Deal:
    """A vendor's person, a buyer, and one order between them, approved and of two lines: 10 at 2.00, 4 at 5.00."""

    site: Installation
    vendor: Person
    buyer: Person
    company: str
    number: str
    account: str

    @property
    def key(self) -> str:
        return f"dataAreaId='{self.company}',PurchaseOrderNumber='{self.number}'"

    def response(self, version: int = 1) -> str:
        return f"/data/{RESPONSES}({self.key},PurchaseOrderVersion={version})"

    def line(self, number: int, version: int = 1) -> str:
        return f"/data/{LINES}({self.key},PurchaseOrderVersion={version},ResponseLineNumber={number})"

    async def call(self, person: Person, target: str, action: str, **given: object) -> Answer:
        headers = {**await person.headers("/data"), "content-type": "application/json"}
        return await self.site.ask("POST", f"{target}/{NS}.{action}", headers, json.dumps(given).encode())

    async def send(self) -> Answer:
        return await self.call(self.buyer, f"/data/PurchaseOrderHeadersV2({self.key})", "sendForConfirmation")

    async def confirm(self) -> Answer:
        return await self.call(self.buyer, f"/data/PurchaseOrderHeadersV2({self.key})", "confirm")

    async def collaboration(self, method: int, prices: int = 1) -> None:
        """The vendor's settings: 1 orders are confirmed automatically, 2 they are not."""
        await self.site.sql(
            "update erp.vendtable set vendorcollaborationactive = $3, purchamountpurchaseorder = $4 "
            "where dataareaid = $1 and accountnum = $2",
            *(self.company, self.account, method, prices),
        )

    async def order(self) -> tuple[int, str]:
        rows = await self.site.sql(
            "select documentstate, confirmeddlv::text from erp.purchtable where dataareaid = $1 and purchid = $2",
            *(self.company, self.number),
        )
        return tuple(rows[0])  # type: ignore[return-value]

    async def lines(self) -> list[tuple[int, int, str, str]]:
        """Number, quantity, amount and confirmed date of the order's lines."""
        rows = await self.site.sql(
            "select linenumber, purchqty::int, lineamount::numeric(20, 2)::text, confirmeddlv::text from erp.purchline "
            "where dataareaid = $1 and purchid = $2 order by linenumber",
            *(self.company, self.number),
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]

    async def states(self) -> list[tuple[int, int]]:
        """Response and processing state of each version."""
        rows = await self.site.sql(
            "select responsestate, processingstate from erp.purchaseorderresponseheader "
            "where dataareaid = $1 and purchid = $2 order by versionnumber",
            *(self.company, self.number),
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


@pytest.fixture
async def deal(contoso: Installation) -> Deal:
    person = await sample.fresh_vendor(contoso)
    assert person.operations_user is not None
    (order, *_) = await contoso.sql(sample.OWN_ORDERS, person.operations_user)
    company, number = order["dataareaid"], order["purchid"]
    for table in ("purchline", "purchaseorderresponseline", "purchaseorderresponseheader"):
        await contoso.sql(f"delete from erp.{table} where dataareaid = $1 and purchid = $2", company, number)
    (kept,) = await contoso.sql(
        "update erp.purchtable set purchstatus = 1, documentstate = 3, deliverydate = '2027-03-01', "
        "confirmeddlv = '1900-01-01', vendorref = '' where dataareaid = $1 and purchid = $2 returning orderaccount",
        *(company, number),
    )
    await contoso.sql(
        "insert into erp.purchline (dataareaid, purchid, linenumber, itemid, name, purchqty, purchprice, lineamount, "
        "purchunit, currencycode, deliverydate) select $1, $2, n, item, name, quantity, price, 20, 'ea', 'USD', "
        "'2027-03-01' from (values (1, 'A', 'Bolt', 10, 2), (2, 'B', 'Nut', 4, 5)) l (n, item, name, quantity, price)",
        *(company, number),
    )
    buyer = await contoso.operations_user("admin")
    found = Deal(contoso, person, buyer, company, number, kept["orderaccount"])
    await found.collaboration(2)
    return found


def said(answer: Answer) -> str:
    assert answer.status in (400, 409), answer.text
    return str(answer.json["error"]["message"])


async def test_an_accepted_version_is_confirmed_at_once_where_the_account_says_so(deal: Deal) -> None:
    await deal.collaboration(1)
    assert (await deal.send()).json["value"] == 1
    assert await deal.order() == (4, "1900-01-01")
    answer = await deal.call(deal.vendor, deal.response(), "accept", VendorOrderReference="OUR-7")
    assert (answer.status, answer.json["value"]) == (200, "accepted"), answer.text
    assert await deal.order() == (5, "2027-03-01")
    assert [line[3] for line in await deal.lines()] == ["2027-03-01", "2027-03-01"]
    again = await deal.call(deal.vendor, deal.response(), "reject", Note="No.")
    assert "has accepted version 1" in said(again)
    assert await deal.states() == [(1, 1)]


async def test_an_accepted_version_waits_for_the_buyer_otherwise(deal: Deal) -> None:
    await deal.send()
    assert (await deal.vendor.patch(deal.response(), {"Answer": "Accept"})).status < 300
    assert (await deal.order(), await deal.states()) == ((4, "1900-01-01"), [(1, 0)])
    assert (await deal.confirm()).status == 204
    assert (await deal.order(), await deal.states()) == ((5, "2027-03-01"), [(1, 1)])


async def test_changes_become_the_orders_when_the_buyer_processes_them_once(deal: Deal) -> None:
    await deal.collaboration(1)
    await deal.send()
    later = {
        "ConfirmedPurchaseQuantity": 6,
        "ConfirmedDeliveryDate": "2027-03-04",
        "RemainderDeliveryDate": "2027-04-01",
    }
    assert (await deal.vendor.patch(deal.line(1), later)).status < 300
    assert (await deal.vendor.patch(deal.line(2), {"ConfirmedDeliveryDate": "2027-03-09"})).status < 300
    assert await deal.states() == [(3, 0)]
    assert "You have changed lines" in said(await deal.call(deal.vendor, deal.response(), "accept"))
    answer = await deal.call(deal.vendor, deal.response(), "acceptWithChanges", Note="In two loads.")
    assert answer.status == 200, answer.text
    assert (await deal.order(), await deal.states()) == ((4, "1900-01-01"), [(4, 0)])
    assert "act on that" in said(await deal.confirm())
    processed = await deal.call(deal.buyer, deal.response(), "processUpdate")
    assert processed.status == 200, [repr(f.error) for f in deal.site.faults]
    assert processed.json["value"] == 2
    assert await deal.lines() == [
        (1, 6, "12.00", "2027-03-04"),
        (2, 4, "20.00", "2027-03-09"),
        (3, 4, "8.00", "2027-04-01"),
    ]
    assert (await deal.order())[0] == 3
    assert "processed already" in said(await deal.call(deal.buyer, deal.response(), "processUpdate"))
    assert (await deal.send()).json["value"] == 2
    assert (await deal.call(deal.vendor, deal.response(2), "accept")).status == 200
    assert (await deal.order())[0] == 5
    assert await deal.states() == [(4, 1), (1, 1)]


async def test_what_a_vendor_cannot_mean_is_refused_and_nothing_is_written(deal: Deal) -> None:
    await deal.send()
    refused: list[tuple[Mapping[str, object], str]] = [
        ({"ConfirmedPurchaseQuantity": 11}, "At most 10"),
        ({"ConfirmedPurchaseQuantity": 0}, "more than zero"),
        ({"ConfirmedPurchaseQuantity": -1}, "more than zero"),
        ({"ConfirmedDeliveryDate": "1900-01-01"}, "when you deliver"),
        ({"RemainderDeliveryDate": "2027-05-01"}, "There is no rest"),
        ({"ConfirmedPurchaseQuantity": 5, "RemainderDeliveryDate": "2027-02-01"}, "after the first"),
    ]
    for changes, text in refused:
        assert text in said(await deal.vendor.patch(deal.line(1), changes))
    for deliveries in ([{"Quantity": 4}], [{"Quantity": "NaN", "ConfirmedReceiptDate": "2027-03-01"}] * 2):
        assert "A delivery is" in said(await deal.call(deal.vendor, deal.line(1), "split", Deliveries=deliveries))
    assert "Nothing is changed" in said(await deal.vendor.patch(deal.response(), {"Answer": "AcceptWithChanges"}))
    assert "Say why" in said(await deal.vendor.patch(deal.response(), {"Answer": "Reject"}))
    for target, field, value in (
        (deal.response(), "ResponseState", "Accepted"),
        (deal.response(), "ResponseProcessingState", "Processed"),
        (deal.line(1), "OrderedPurchaseQuantity", 1),
    ):
        assert (await deal.vendor.patch(target, {field: value})).status in (400, 403)
    for action in ("sendForConfirmation", "confirm"):
        answer = await deal.call(deal.vendor, f"/data/PurchaseOrderHeadersV2({deal.key})", action)
        assert (answer.status, answer.refusal) == (403, "FC3001")
    assert await deal.states() == [(0, 0)]


async def test_a_split_is_taken_back_as_a_whole(deal: Deal) -> None:
    await deal.send()
    days = ("2027-03-01", "2027-03-08", "2027-03-15")
    split = [{"Quantity": 3, "ConfirmedReceiptDate": day} for day in days]
    assert (await deal.call(deal.vendor, deal.line(1), "split", Deliveries=split)).json["value"] == 3
    rows = (
        await deal.vendor.get(f"/data/{LINES}?$filter=PurchaseOrderNumber eq '{deal.number}' and LineNumber eq 1")
    ).rows
    assert [row["ResponseLineState"] for row in rows] == ["SplitIntoSchedule", *["ScheduleLine"] * 3]
    assert "deliveries" in said(await deal.vendor.patch(deal.line(1), {"ConfirmedPurchaseQuantity": 2}))
    assert (await deal.call(deal.vendor, deal.line(1), "revert")).status == 204
    rows = (
        await deal.vendor.get(f"/data/{LINES}?$filter=PurchaseOrderNumber eq '{deal.number}' and LineNumber eq 1")
    ).rows
    assert [(row["ResponseLineState"], row["ConfirmedPurchaseQuantity"]) for row in rows] == [("Accepted", 10)]


async def test_a_new_version_supersedes_the_open_response(deal: Deal) -> None:
    await deal.send()
    assert (await deal.send()).json["value"] == 2
    assert await deal.states() == [(5, 1), (0, 0)]
    assert "new version" in said(await deal.call(deal.vendor, deal.response(1), "accept"))
    assert "new version" in said(await deal.vendor.patch(deal.line(1), {"ConfirmedPurchaseQuantity": 2}))


async def test_an_answer_counts_only_for_what_was_sent(deal: Deal) -> None:
    await deal.send()
    await deal.site.sql(
        "update erp.purchline set purchqty = 12 where dataareaid = $1 and purchid = $2 and linenumber = 1",
        *(deal.company, deal.number),
    )
    for action in ("accept", "acceptWithChanges"):
        assert "changed line 1" in said(await deal.call(deal.vendor, deal.response(), action))
    assert await deal.states() == [(0, 0)]


@pytest.mark.parametrize("commits", [True, False])
async def test_an_answer_waits_for_a_change_of_the_order_that_is_under_way(deal: Deal, commits: bool) -> None:
    await deal.send()
    connection = await asyncpg.connect(deal.site.url)
    change = connection.transaction()
    await change.start()
    await connection.execute(
        "update erp.purchline set purchqty = 5 where dataareaid = $1 and purchid = $2 and linenumber = 2",
        *(deal.company, deal.number),
    )
    answering = asyncio.create_task(deal.call(deal.vendor, deal.response(), "accept"))
    while not await deal.site.value("select exists (select from pg_locks where not granted)"):
        assert not answering.done(), (await answering).text
    await (change.commit() if commits else change.rollback())
    await connection.close()
    answer = await answering
    if commits:
        assert "changed line 2" in said(answer)
    else:
        assert answer.status == 200, answer.text
    assert await deal.states() == [(0, 0) if commits else (1, 0)]


async def test_of_two_people_who_answer_at_once_one_wins_and_the_other_is_told(deal: Deal) -> None:
    await deal.send()
    answers = await asyncio.gather(
        deal.call(deal.vendor, deal.response(), "accept"),
        deal.call(deal.vendor, deal.response(), "reject", Note="No steel."),
    )
    assert sorted(answer.status for answer in answers) == [200, 400], [answer.text for answer in answers]
    (lost,) = [answer for answer in answers if answer.status == 400]
    assert "version 1 of" in said(lost)


async def test_prices_are_for_vendors_whose_account_says_so_at_every_door(deal: Deal) -> None:
    await deal.send()
    prices = f"/data/{LINES}?$filter=PurchaseOrderNumber eq '{deal.number}'"
    virtual = sample_set("mserp_purchaseorderresponselineentity")
    web = f"/api/data/v9.2/{virtual}?$filter=mserp_purchaseordernumber eq '{deal.number}'"
    api = f"/_api/{virtual}?$select=mserp_disclosedpurchaseprice&$filter=mserp_purchaseordernumber eq '{deal.number}'"

    async def seen() -> list[list[Any]]:
        found = []
        for target, name in ((prices, "D"), (web, "mserp_d"), (api, "mserp_d")):
            column = f"{name}isclosed{'PurchasePrice' if name == 'D' else 'purchaseprice'}"
            answer = await deal.vendor.get(target)
            assert answer.status == 200, answer.text
            found.append(sorted(row[column] or 0 for row in answer.rows))
        return found

    assert await seen() == [[2, 5]] * 3
    await deal.collaboration(2, prices=0)
    assert await seen() == [[0, 0]] * 3
    guessed = await deal.vendor.get(f"{prices} and DisclosedPurchasePrice ge 0")
    assert guessed.rows == []
    for field in ("PurchasePrice", "LineAmount"):
        for question in (f"$select={field}", f"$filter={field} gt 1", f"$orderby={field}"):
            assert (await deal.vendor.get(f"/data/{LINES}?{question}")).status == 403
            assert (await deal.vendor.get(f"/data/PurchaseOrderLinesV2?{question}")).status == 403


def sample_set(table: str) -> str:
    return table.removesuffix("y") + "ies"


async def test_responses_of_others_do_not_exist(deal: Deal) -> None:
    await deal.send()
    other = await sample.fresh_vendor(deal.site)
    assert (await other.get(deal.response())).status == 404
    assert (await deal.call(other, deal.response(), "accept")).status == 404
    assert (await other.patch(deal.line(1), {"ConfirmedPurchaseQuantity": 1})).status == 404
    assert Decimal(len((await other.get(f"/data/{LINES}?$filter=PurchaseOrderNumber eq '{deal.number}'")).rows)) == 0


# ------------------------------------------------------------------------------------------- requests for quotation

INTERESTS = "RequestForQuotationInterests"
OPEN = (
    "select dataareaid, rfqcaseid from erp.purchrfqcasetable "
    "where published = 1 and statuslow = 1 and expirydate >= now()"
)


async def register(person: Person, case: tuple[str, str], **given: str) -> Answer:
    body = {"OrganizationName": "Nord", "ContactName": "Ole", "EmailAddress": "ole@nord.example", **given}
    values = {"dataAreaId": case[0], "RFQCaseNumber": case[1], **body}
    headers = {**await person.headers("/data"), "content-type": "application/json"}
    return await person.site.ask("POST", f"/data/{INTERESTS}", headers, json.dumps(values).encode())


async def test_visitors_see_what_is_published_and_open_and_nobodys_interest(contoso: Installation) -> None:
    table = "mserp_purchpublishedrequestforquotationheaderentit"
    answer = await contoso.ask(
        "GET", f"/_api/{table}ies?$select=mserp_dataareaid,mserp_rfqcasenumber&$orderby={table}yid"
    )
    seen = sorted((row["mserp_dataareaid"], row["mserp_rfqcasenumber"]) for row in answer.rows)
    assert seen and seen == sorted(tuple(row) for row in await contoso.sql(OPEN))
    for hidden in ("mserp_rfqstatus", "mserp_requestername"):
        assert (await contoso.ask("GET", f"/_api/{table}ies?$select={hidden}")).status in (400, 403)
    assert (await contoso.ask("GET", "/_api/mserp_purchrequestforquotationinterestentities")).status in (401, 403, 404)
    for closed in (sample.ORDERS, "mserp_purchaseorderresponseheaderentity"):
        answer = await contoso.ask("GET", f"/_api/{sample_set(closed)}?$select=mserp_purchaseordernumber")
        assert answer.status == 403 and b"PO-" not in answer.body


async def test_interest_is_taken_in_what_is_open_as_far_as_it_goes(contoso: Installation) -> None:
    person = await sample.fresh_vendor(contoso)
    case, *_ = [tuple(row) for row in await contoso.sql(OPEN + " order by recid desc")]
    answer = await register(person, case)
    assert answer.status == 204, "who may not read the row is not shown it"
    assert (await person.get(f"/data/{INTERESTS}?cross-company=true")).status == 403
    for fault in ({"EmailAddress": "ole"}, {"EmailAddress": "a@b.c d"}, {"ContactName": ""}, {"ContactName": "\x00"}):
        assert (await register(person, case, **fault)).status == 400, fault
    assert (await register(person, case, OrganizationName="x" * 101)).status == 400
    for column, value in (("published", 0), ("statuslow", 3), ("expirydate", "2020-01-01")):
        change = f"update erp.purchrfqcasetable set {column} = $3 where dataareaid = $1 and rfqcaseid = $2"
        kept = await contoso.value(
            f"select {column} from erp.purchrfqcasetable where (dataareaid, rfqcaseid) = ($1, $2)", *case
        )
        await contoso.sql(change, *case, type(kept).fromisoformat(value) if isinstance(value, str) else value)
        assert (await register(person, case)).status in (400, 403, 404), column
        await contoso.sql(change, *case, kept)
    await contoso.sql(
        "insert into erp.purchrfqinterest (dataareaid, rfqcaseid, interestid, registereddatetime) "
        "select $1, $2, gen_random_uuid(), now() from generate_series(1, 19)",
        *case,
    )
    assert "try again in an hour" in said(await register(person, case))
    count = "select count(*) from erp.purchrfqinterest where (dataareaid, rfqcaseid) = ($1, $2)"
    assert await contoso.value(count, *case) == 20


async def test_a_text_follows_a_line_to_its_response(deal: Deal) -> None:
    await deal.send()
    found = {
        table: await deal.site.value(
            f"select min(recid) from erp.{name} where dataareaid = $1 and purchid = $2", deal.company, deal.number
        )
        for table, name in (
            ("mserp_purchaseorderresponselineentity", "purchaseorderresponseline"),
            ("mserp_purchaseorderresponseheaderentity", "purchaseorderresponseheader"),
        )
    }
    line, response = (deal.site.row_id(table, record) for table, record in found.items())
    page = await deal.vendor.get(f"/orders-for-review/line/?id={line}")
    assert f'href="/orders-for-review/response/?id={response}"' in page.text
    other = await sample.fresh_vendor(deal.site)
    assert str(response) not in (await other.get(f"/orders-for-review/line/?id={line}")).text
