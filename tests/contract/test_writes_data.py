"""Writes at ``/data``: rows over several tables, business logic in its order, numbers without gaps, change sets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.server import Installation, Person, send
from support.small_erp import emptied, small_erp

CUSTOMER = {"Name": "Ann", "Email": "ann@example.com", "Note": "careful", "CreditLimit": 10.5, "OnHold": "Invoice"}


@pytest.fixture(scope="module")
async def opened(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as site:
        yield site


@pytest.fixture
async def site(opened: Installation) -> AsyncIterator[Installation]:
    """The solution with empty tables."""
    await emptied(opened)
    yield opened
    assert not opened.faults


@pytest.fixture
async def clerk(site: Installation) -> Person:
    return await site.operations_user("clerk")


async def customer(person: Person, **values: object) -> dict[str, Any]:
    answer = await send(person, "POST", "/data/SmallCustomers", {**CUSTOMER, **values})
    assert answer.status == 201, answer.text
    return dict(answer.json)


async def order(person: Person, account: str, **values: object) -> dict[str, Any]:
    answer = await send(person, "POST", "/data/SmallOrders", {"Account": account, **values})
    assert answer.status == 201, answer.text
    return dict(answer.json)


def at(row: Mapping[str, Any], collection: str, number: str) -> str:
    return f"/data/{collection}(dataAreaId='{row['dataAreaId']}',{number}='{row[number]}')"


def customer_at(row: Mapping[str, Any]) -> str:
    return at(row, "SmallCustomers", "CustomerAccount")


def order_at(row: Mapping[str, Any]) -> str:
    return at(row, "SmallOrders", "SalesOrderNumber")


async def tables(site: Installation) -> dict[str, int]:
    names = ("party", "cust", "custnote", "orders", "log")
    return {name: int(await site.value(f"select count(*) from erp.{name}")) for name in names}


# ------------------------------------------------------------------------------------------- one row, many tables


async def test_a_create_writes_every_table_of_the_entity_and_answers_with_the_row(
    site: Installation, clerk: Person
) -> None:
    given = {
        **CUSTOMER,
        "Since": "2026-03-01",
        "Visited": "2026-03-01T10:30:00Z",
        "Ref": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "Points": 9_007_199_254_740_993,
        "Rate": 0.25,
        "Vip": True,
    }
    answer = await send(clerk, "POST", "/data/SmallCustomers", given)
    assert answer.status == 201, answer.text
    assert answer.headers["location"] == (
        "http://portal.test/data/SmallCustomers(dataAreaId='usmf',CustomerAccount='C-0001')"
    )
    row = answer.json
    assert row["@odata.etag"].startswith('W/"') and row["dataAreaId"] == "usmf" and row["CustomerAccount"] == "C-0001"
    expected = {**given, "Since": "2026-03-01T12:00:00Z"}
    assert {name: row[name] for name in expected} == expected
    assert [
        tuple(item)
        for item in await site.sql(
            "select p.name, p.email, n.note, c.blocked, c.points from erp.cust c join erp.party p on p.recid = c.party "
            "join erp.custnote n on n.custrecid = c.recid"
        )
    ] == [("Ann", "ann@example.com", "careful", 1, 9_007_199_254_740_993)]


async def test_an_update_reaches_the_table_that_a_field_is_in_and_no_other(site: Installation, clerk: Person) -> None:
    row = await customer(clerk)
    other = await customer(clerk, Name="Bob")
    answer = await send(clerk, "PATCH", customer_at(row), {"Email": "new@example.com", "Note": "kind", "OnHold": "No"})
    assert (answer.status, answer.body) == (204, b"")
    shown = (await clerk.get(customer_at(row))).json
    assert (shown["Name"], shown["Email"], shown["Note"], shown["OnHold"]) == ("Ann", "new@example.com", "kind", "No")
    assert (await clerk.get(customer_at(other))).json["Email"] == CUSTOMER["Email"]


async def test_a_delete_takes_what_is_the_entitys_own_and_leaves_what_others_share(
    site: Installation, clerk: Person
) -> None:
    row = await customer(clerk)
    answer = await send(clerk, "DELETE", customer_at(row))
    assert (answer.status, answer.body) == (204, b"")
    assert await tables(site) == {"party": 1, "cust": 0, "custnote": 0, "orders": 0, "log": 0}
    again = await send(clerk, "DELETE", customer_at(row))
    assert (again.status, again.refusal) == (404, "FC4041")


async def test_a_refused_row_leaves_nothing_in_any_table(site: Installation, clerk: Person) -> None:
    row = await customer(clerk)
    before = await tables(site)
    taken = await send(clerk, "POST", "/data/SmallCustomers", {**CUSTOMER, "CustomerAccount": row["CustomerAccount"]})
    assert (taken.status, taken.refusal) == (409, "FC4092")
    nameless = await send(clerk, "POST", "/data/SmallCustomers", {"Email": "x@example.com"})
    assert (nameless.status, nameless.refusal) == (400, "FC1003")
    assert await tables(site) == before


async def test_a_patch_of_a_row_that_is_not_there_makes_none(site: Installation, clerk: Person) -> None:
    answer = await send(
        clerk, "PATCH", "/data/SmallCustomers(dataAreaId='usmf',CustomerAccount='C-9999')", {"Name": "Nobody"}
    )
    assert (answer.status, answer.refusal) == (404, "FC4041")
    assert (await tables(site))["cust"] == 0


async def test_a_row_goes_into_the_company_that_its_body_names(site: Installation, clerk: Person) -> None:
    abroad = await customer(clerk, dataAreaId="demf")
    assert abroad["dataAreaId"] == "demf"
    assert (await clerk.get("/data/SmallCustomers")).rows == [], "the own company is another one"
    assert len((await clerk.get("/data/SmallCustomers?cross-company=true")).rows) == 1
    assert (await send(clerk, "PATCH", customer_at(abroad), {"Name": "Dora"})).status == 204
    assert (await send(clerk, "DELETE", customer_at(abroad))).status == 204


async def test_a_company_is_one_that_there_is_in_its_own_case(site: Installation, clerk: Person) -> None:
    assert (await customer(clerk, dataAreaId="DEMF"))["dataAreaId"] == "demf"
    answer = await send(clerk, "POST", "/data/SmallCustomers", {**CUSTOMER, "dataAreaId": "demg"})
    assert (answer.status, answer.refusal) == (400, "FC1003")
    assert "demf" in answer.json["error"]["message"]
    assert (await tables(site))["cust"] == 1


async def test_who_may_only_read_writes_nothing(site: Installation, clerk: Person) -> None:
    row = await customer(clerk)
    reader = await site.operations_user("reader")
    before = await tables(site)
    for method, target, body in (
        ("POST", "/data/SmallCustomers", CUSTOMER),
        ("PATCH", customer_at(row), {"Name": "Mine"}),
        ("DELETE", customer_at(row), None),
    ):
        answer = await send(reader, method, target, body)
        assert (answer.status, answer.refusal) == (403, "FC3001")
    assert await tables(site) == before


@pytest.mark.parametrize(
    "body",
    [
        {"Name": 5},
        {"Name": "x" * 61},
        {"Name": None},
        {"Name": ""},
        {"Nmae": "x"},
        {"Name": "x", "OnHold": "Maybe"},
        {"Name": "x", "OnHold": 1},
        {"Name": "x", "CreditLimit": "10"},
        {"Name": "x", "CreditLimit": 10**40},
        {"Name": "x", "Points": 2**63},
        {"Name": "x", "Points": 1.5},
        {"Name": "x", "Vip": "true"},
        {"Name": "x", "Since": "2026-02-30"},
        {"Name": "x", "Visited": "yesterday"},
        {"Name": "x", "Ref": "no guid"},
        {"Name": "x", "CustomerAccount": "x" * 21},
        {"Name": "a\x00b"},
        b'{"Name":"a","Name":"b"}',
        b'{"Name":"x","Rate":1e999}',
        b"[1]",
        b"",
        b"{",
    ],
)
async def test_a_body_that_does_not_fit_is_refused_and_nothing_is_written(
    site: Installation, clerk: Person, body: object
) -> None:
    answer = await send(clerk, "POST", "/data/SmallCustomers", body)
    assert answer.status == 400, answer.text
    assert set(answer.json["error"]) == {"code", "message", "innererror"}
    assert set((await tables(site)).values()) == {0}


async def test_a_stale_version_neither_changes_nor_deletes(site: Installation, clerk: Person) -> None:
    row = await customer(clerk)
    tag = {"if-match": row["@odata.etag"]}
    assert (await send(clerk, "PATCH", customer_at(row), {"CreditLimit": 11}, tag)).status == 204
    for method, body in (("PATCH", {"CreditLimit": 12}), ("DELETE", None)):
        late = await send(clerk, method, customer_at(row), body, tag)
        assert (late.status, late.refusal) == (412, "FC4121")
    now = {"if-match": (await clerk.get(customer_at(row))).headers["etag"]}
    assert (await send(clerk, "DELETE", customer_at(row), None, now)).status == 204


# ------------------------------------------------------------------------------------------------ business logic


async def test_a_create_goes_through_the_stages_in_the_documented_order(site: Installation, clerk: Person) -> None:
    account = (await customer(clerk))["CustomerAccount"]
    row = await order(clerk, account, Quantity=4)
    assert row["Trace"] == "initial;field 4;default;row;"
    assert (row["Quantity"], row["Price"], row["Total"], row["Status"]) == (4, 2, 8, "Backorder")
    plain = await order(clerk, account)
    assert plain["Trace"] == "initial;default;row;", (
        "the initial quantity is not the asker's: its field is not validated"
    )
    assert plain["Total"] == 2


async def test_an_update_validates_the_fields_that_are_set(site: Installation, clerk: Person) -> None:
    row = await order(clerk, (await customer(clerk))["CustomerAccount"])
    assert (await send(clerk, "PATCH", order_at(row), {"Quantity": 6, "Trace": ""})).status == 204
    shown = (await clerk.get(order_at(row))).json
    assert (shown["Trace"], shown["Total"]) == ("field 6;default;row;", 12)


async def test_what_follows_is_done_in_the_same_unit_of_work(site: Installation, clerk: Person) -> None:
    row = await order(clerk, (await customer(clerk))["CustomerAccount"])
    assert (await send(clerk, "DELETE", order_at(row))).status == 204
    number = row["SalesOrderNumber"]
    assert [item["text"] for item in await site.sql("select text from erp.log order by recid")] == [
        f"create {number}",
        f"delete {number}",
    ]
    kept = await order(clerk, (await customer(clerk))["CustomerAccount"])
    before = await tables(site)
    refused = await send(clerk, "PATCH", order_at(kept), {"Quantity": 666})
    assert (refused.status, refused.refusal) == (400, "FC4005")
    assert (await clerk.get(order_at(kept))).json["Quantity"] == 1
    assert await tables(site) == before


async def test_a_write_turned_down_says_why_in_the_originals_words(site: Installation, clerk: Person) -> None:
    account = (await customer(clerk))["CustomerAccount"]
    answer = await send(clerk, "POST", "/data/SmallOrders", {"Account": account, "Quantity": 1_001})
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (400, "FC4005")
    assert error["message"] == "There are only 1,000 of them. They come in pairs."
    assert error["innererror"]["message"] == (
        "Write failed for table row of type 'SmallOrderEntity'. Infolog: Warning: There are only 1,000 of them; "
        "Warning: They come in pairs; "
        "Warning: validateField failed on field 'Quantity' on data source 'SmallOrderEntity'."
    )
    unknown = await send(clerk, "POST", "/data/SmallOrders", {"Account": "nobody"})
    assert unknown.json["error"]["innererror"]["message"] == (
        "Write failed for table row of type 'SmallOrderEntity'. Infolog: Error: There is no customer nobody; "
        "Warning: validateWrite failed on data source 'SmallOrderEntity'."
    )
    assert (await tables(site))["orders"] == 0


async def test_a_delete_is_validated(site: Installation, clerk: Person) -> None:
    row = await order(clerk, (await customer(clerk))["CustomerAccount"])
    await site.sql("update erp.orders set status = 3")
    answer = await send(clerk, "DELETE", order_at(row))
    assert (answer.status, answer.json["error"]["message"]) == (400, "An invoiced order stays.")
    assert "validateDelete failed" in answer.json["error"]["innererror"]["message"]
    assert (await tables(site))["orders"] == 1


# -------------------------------------------------------------------------------------------------- numbers


async def test_numbers_have_no_gap_however_many_take_one_and_fail(site: Installation, clerk: Person) -> None:
    account = (await customer(clerk))["CustomerAccount"]

    async def one(place: int) -> int:
        quantity = 5_000 if place % 3 == 0 else place + 1
        body = {"Account": account, "Quantity": quantity, "dataAreaId": "usmf" if place % 2 else "USMF"}
        return (await send(clerk, "POST", "/data/SmallOrders", body)).status

    # Numbers are taken last: what is turned down before takes none, and what is undone gives its number back.
    late = [send(clerk, "POST", "/data/SmallOrders", {"Account": account, "Quantity": 666}) for _ in range(6)]
    statuses = await asyncio.gather(*(one(place) for place in range(30)), *late)
    made = [item for item in statuses if item == 201]
    assert len(made) == 20
    numbers = sorted(item["salesid"] for item in await site.sql("select salesid from erp.orders"))
    assert numbers == [f"USMF-{number:05}" for number in range(1, 21)]


async def test_each_company_counts_for_itself(site: Installation, clerk: Person) -> None:
    ours = await customer(clerk)
    theirs = await customer(clerk, dataAreaId="demf")
    assert (ours["CustomerAccount"], theirs["CustomerAccount"]) == ("C-0001", "C-0002"), "one sequence for all"
    first = await order(clerk, "C-0001")
    second = await order(clerk, "C-0002", dataAreaId="demf")
    assert (first["SalesOrderNumber"], second["SalesOrderNumber"]) == ("USMF-00001", "DEMF-00001")


async def test_a_number_that_the_asker_gives_is_kept(site: Installation, clerk: Person) -> None:
    account = (await customer(clerk))["CustomerAccount"]
    assert (await order(clerk, account, SalesOrderNumber="OWN"))["SalesOrderNumber"] == "OWN"
    assert (await order(clerk, account))["SalesOrderNumber"] == "USMF-00001"


async def test_of_two_who_create_one_key_exactly_one_does(site: Installation, clerk: Person) -> None:
    answers = await asyncio.gather(
        *(send(clerk, "POST", "/data/SmallCustomers", {**CUSTOMER, "CustomerAccount": "ONE"}) for _ in range(5))
    )
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]
    assert await tables(site) == {"party": 1, "cust": 1, "custnote": 1, "orders": 0, "log": 0}


# ---------------------------------------------------------------------------------------------- change sets


def batch(*parts: str | list[str]) -> tuple[dict[str, str], bytes]:
    """Parts as whole HTTP requests; a list is a change set."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += f"--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{part}\r\n"
            continue
        text += "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
        for number, item in enumerate(part, 1):
            text += (
                "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
                f"Content-ID: {number}\r\n\r\n{item}\r\n"
            )
        text += "--c--\r\n"
    return {"content-type": "multipart/mixed; boundary=b"}, (text + "--b--\r\n").encode()


def request(method: str, target: str, body: object = None) -> str:
    text = f"{method} {target} HTTP/1.1\r\nContent-Type: application/json\r\n"
    return text + ("\r\n" if body is None else f"\r\n{json.dumps(body)}")


async def test_a_change_set_is_one_unit_of_work(site: Installation, clerk: Person) -> None:
    account = (await customer(clerk))["CustomerAccount"]
    good = request("POST", "/data/SmallOrders", {"Account": account, "Quantity": 2})
    bad = request("POST", "SmallOrders", {"Account": account, "Quantity": 5_000})
    headers, body = batch([good, bad], [good, good], request("GET", "/data/SmallOrders/$count"))
    answer = await send(clerk, "POST", "/data/$batch", body, {**headers, "prefer": "odata.continue-on-error"})
    assert answer.status == 200, answer.text
    assert answer.text.count("HTTP/1.1 400") == 1 and answer.text.count("HTTP/1.1 201") == 2
    assert "There are only 1,000 of them." in answer.text
    numbers = [item["salesid"] for item in await site.sql("select salesid from erp.orders order by 1")]
    assert numbers == ["USMF-00001", "USMF-00002"], "the change set that failed has left neither row nor number"


async def test_a_later_request_of_a_change_set_names_the_row_of_an_earlier_one(
    site: Installation, clerk: Person
) -> None:
    account = (await customer(clerk))["CustomerAccount"]
    headers, body = batch(
        [request("POST", "/data/SmallOrders", {"Account": account}), request("PATCH", "$1", {"Quantity": 9})]
    )
    answer = await send(clerk, "POST", "/data/$batch", body, headers)
    assert answer.status == 200 and "HTTP/1.1 204" in answer.text, answer.text
    assert [tuple(row) for row in await site.sql("select quantity, total from erp.orders")] == [(9, Decimal(18))]
