"""Policies of every kind at work: who reaches which rows through which door, and where no change can lead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from forecourt.operations.packages.records import Owner
from forecourt.store.embedded import EmbeddedServer
from support.packages import csv_text, imported, package
from support.policied_erp import filled, policied_erp
from support.server import Answer, Installation, Person, send, url

A = "/api/data/v9.2"
NS = "Microsoft.Dynamics.DataEntities"
SET = f"{A}/mserp_smallorderentities"


@pytest.fixture(scope="module")
async def opened(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with policied_erp(postgres, tmp_path_factory.mktemp("policied")) as site:
        yield site


@pytest.fixture
async def site(opened: Installation) -> AsyncIterator[Installation]:
    await filled(opened)
    yield opened
    assert not opened.faults


def order(area: str, number: str) -> str:
    return f"/data/SmallOrders(dataAreaId='{area}',SalesOrderNumber='{number}')?cross-company=true"


async def seen(site: Installation, user: str, collection: str = "SmallOrders") -> set[tuple[str, str]]:
    """The keys of the rows that a user reads at /data, which are those of the virtual table."""
    person = await site.operations_user(user)
    rows = await person.everything(url(f"/data/{collection}", cross_company=True))
    key = "SalesOrderNumber" if "Orders" in collection else "CustomerAccount"
    found = {(str(row["dataAreaId"]), str(row[key])) for row in rows}
    if collection == "SmallOrders":
        web = await person.everything(SET)
        assert {(row["mserp_dataareaid"], row["mserp_salesordernumber"]) for row in web} == found
    return found


async def stored(site: Installation) -> list[tuple[Any, ...]]:
    rows = await site.sql("select dataareaid, salesid, account, quantity from erp.orders order by 1, 2, 3")
    return [tuple(row) for row in rows]


ALL = {(area, f"{account}{status}") for area in ("usmf", "demf") for account in "AB" for status in (1, 3)}
OWN = {("usmf", "A1"), ("usmf", "A3")}


# ------------------------------------------------------------------------------------------------- who sees what


async def test_a_construct_and_an_expression_lead_to_the_own_rows_and_a_change_counts_at_once(
    site: Installation,
) -> None:
    assert await seen(site, "ann") == OWN
    assert await seen(site, "ann", "SmallCustomers") == {("usmf", "A")}
    await site.sql("insert into erp.mine (who, area, account) values ('ann', 'demf', 'B')")
    assert await seen(site, "ann") == {*OWN, ("demf", "B1"), ("demf", "B3")}
    await site.sql("delete from erp.mine where who = 'ann' and area = 'usmf'")
    assert await seen(site, "ann") == {("demf", "B1"), ("demf", "B3")}


async def test_the_moment_of_the_call_decides_and_nothing_of_it_is_kept(site: Installation) -> None:
    assert await seen(site, "timed") == OWN
    await site.sql("update erp.mine set till = now() - interval '1 second' where who = 'timed'")
    assert await seen(site, "timed") == set()
    await site.sql("update erp.mine set till = now() + interval '1 hour' where who = 'timed'")
    assert await seen(site, "timed") == OWN


async def test_not_exists_turns_the_rows_round_and_shows_nothing_to_whose_value_is_not_known(
    site: Installation,
) -> None:
    assert await seen(site, "excluded") == {key for key in ALL if key[0] == "demf"}
    assert await seen(site, "unknown") == set()


async def test_a_policy_that_no_context_makes_active_constrains_nobody_from_inside_and_closes_for_those_outside(
    site: Installation,
) -> None:
    assert await seen(site, "free") == ALL
    assert await seen(site, "lone") == set()


async def test_the_bypass_role_lifts_policies_inside_and_never_outside(site: Installation) -> None:
    assert await seen(site, "region") == {key for key in ALL if key[0] == "usmf"}
    assert await seen(site, "bypassing") == ALL
    assert await seen(site, "outsider") == set()


async def test_a_view_shows_its_rows_where_a_policy_names_it_and_none_where_it_names_only_what_is_beneath(
    site: Installation,
) -> None:
    assert await seen(site, "ann", "OpenOrders") == {("usmf", "A1")}
    assert await seen(site, "ann", "EveryOrders") == set()
    assert await seen(site, "region", "EveryOrders") == set()
    assert await seen(site, "free", "EveryOrders") == ALL


async def test_columns_of_a_table_that_only_policies_of_others_constrain_stay_empty_outside(
    site: Installation,
) -> None:
    """The notes are constrained for readers; ann is none of them, so that nothing says which of them are hers."""
    path = "/data/SmallCustomers(dataAreaId='usmf',CustomerAccount='A')"
    ann, free = await site.operations_user("ann"), await site.operations_user("free")
    assert (await ann.get(path)).json["Note"] is None
    assert (await free.get(path)).json["Note"] == "public A"
    asked = await ann.get(url("/data/SmallCustomers", _filter="Note eq 'public A'", _count=True))
    assert (asked.json["value"], asked.json["@odata.count"]) == ([], 0)


async def test_business_logic_says_what_it_does_and_the_word_is_taken_back_by_itself(site: Installation) -> None:
    region = await site.operations_user("region")
    target = f"/data/SmallOrders/{NS}.reviewed"
    for fail, between in ((False, ["A3", "B3"]), (True, []), (False, ["A3", "B3"])):
        answer = await send(region, "POST", target, {"Fail": fail})
        assert answer.json["value"] == ["4", *between, "4"], answer.text
    assert len(await seen(site, "region")) == 4
    lone = await site.operations_user("lone")
    answer = await send(lone, "POST", target, {})
    assert answer.json["value"] == ["0", "A3", "A3", "B3", "B3", "0"], "the one policy that is active for lone"


# ------------------------------------------------------------------------------------------------- what is denied


async def test_a_denial_wins_over_every_grant_at_every_door(site: Installation) -> None:
    careful, before = await site.operations_user("careful"), await stored(site)
    for target in (order("usmf", "A1"), f"{SET}({site.row_id('mserp_smallorderentity', 1)})"):
        assert (await send(careful, "DELETE", target)).status == 403
    for answer in (
        await careful.patch(order("usmf", "A1"), {"Quantity": 9}),
        await careful.patch(f"{SET}({site.row_id('mserp_smallorderentity', 1)})", {"mserp_quantity": 9}),
        await careful.get(url("/data/SmallOrders", _select="Price")),
        await careful.get(url("/data/SmallOrders", _filter="Price gt 1")),
        await careful.get(url("/data/SmallOrders", _orderby="Price")),
        await careful.get(url(SET, _filter="mserp_price gt 1")),
    ):
        assert (answer.status, answer.refusal[:6]) == (403, "FC3004"), answer.text
    shown = (await careful.get(order("usmf", "A1"))).json
    assert "Price" not in shown and shown["Quantity"] == 5
    assert await stored(site) == before


async def test_a_denial_counts_in_the_legal_entities_of_its_role_alone(site: Installation) -> None:
    partly = await site.operations_user("partly")
    assert (await send(partly, "DELETE", order("demf", "A1"))).status == 404
    assert (await send(partly, "DELETE", order("usmf", "A1"))).status == 204
    assert ("usmf", "A1", "A", 5) not in await stored(site)
    assert ("demf", "A1", "A", 5) in await stored(site)


# --------------------------------------------------------------------------- neither out of reach nor into it


async def data(site: Installation, who: Person, number: str, account: str) -> Answer:
    return await who.patch(order("usmf", number), {"Account": account})


async def web(site: Installation, who: Person, number: str, account: str) -> Answer:
    record = await site.value("select recid from erp.orders where dataareaid = 'usmf' and salesid = $1", number)
    return await who.patch(f"{SET}({site.row_id('mserp_smallorderentity', record)})", {"mserp_account": account})


async def bulk(site: Installation, who: Person, number: str, account: str) -> Answer:
    record = await site.value("select recid from erp.orders where dataareaid = 'usmf' and salesid = $1", number)
    row_id = str(site.row_id("mserp_smallorderentity", record))
    targets = [{"mserp_smallorderentityid": row_id, "mserp_account": account}]
    return await send(who, "POST", f"{SET}/Microsoft.Dynamics.CRM.UpdateMultiple", {"Targets": targets})


async def act(site: Installation, who: Person, number: str, account: str) -> Answer:
    target = f"/data/SmallOrders(dataAreaId='usmf',SalesOrderNumber='{number}')/{NS}.moved"
    return await send(who, "POST", target, {"Account": account})


async def batch(site: Installation, who: Person, number: str, account: str) -> Answer:
    inner = f'{{"Account": "{account}"}}'
    text = (
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n"
        f"PATCH {order('usmf', number)} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{inner}\r\n--c--\r\n--b--\r\n"
    )
    headers = {"content-type": "multipart/mixed; boundary=b"}
    return await send(who, "POST", "/data/$batch", text.encode(), headers)


@pytest.mark.parametrize("door", [data, web, bulk, act, batch])
async def test_no_update_moves_a_row_out_of_reach_or_into_it(site: Installation, door: Any) -> None:
    ann, before = await site.operations_user("ann"), await stored(site)
    out = await door(site, ann, "A1", "B")
    assert out.status == 403 or "403" in out.text, out.text
    into = await door(site, ann, "B1", "A")
    assert into.status == 404 or "404" in into.text, into.text
    assert await stored(site) == before
    await site.sql("insert into erp.mine (who, area, account) values ('ann', 'usmf', 'B')")
    moved = await door(site, ann, "A1", "B")
    assert moved.status in (200, 204), moved.text
    assert ("usmf", "A1", "B", 5) in await stored(site)


async def test_no_package_moves_a_row_out_of_reach_or_into_it_or_makes_one_there(site: Installation) -> None:
    before = await stored(site)
    rows = [
        {"dataAreaId": "usmf", "SalesOrderNumber": "A1", "Account": "B"},
        {"dataAreaId": "usmf", "SalesOrderNumber": "B1", "Account": "A"},
        {"dataAreaId": "usmf", "SalesOrderNumber": "N1", "Account": "B"},
        {"dataAreaId": "usmf", "SalesOrderNumber": "N2", "Account": "A"},
    ]
    job = await imported(site, package(("SmallOrder", "o.csv", csv_text(rows))), Owner("ann"))
    assert job.status == "PartiallySucceeded", job.message
    assert [row for row in await stored(site) if row not in before] == [("usmf", "N2", "A", 0)]


@pytest.mark.parametrize("door", ["data", "web", "bulk"])
async def test_nothing_is_created_out_of_reach_and_what_is_within_is_also_under_a_policy_on_the_table_itself(
    site: Installation, door: str
) -> None:
    """Region's umbrella is the orders: a new one is not among those that were there."""

    async def create(who: str, number: str, account: str, area: str = "usmf", quantity: int = 5) -> Answer:
        person = await site.operations_user(who)
        row = {"dataAreaId": area, "SalesOrderNumber": number, "Account": account, "Quantity": quantity}
        if door == "data":
            return await send(person, "POST", url("/data/SmallOrders", cross_company=True), row)
        named = {f"mserp_{name.lower()}": value for name, value in row.items()}
        if door == "web":
            return await send(person, "POST", SET, named)
        return await send(person, "POST", f"{SET}/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": [named]})

    before = await stored(site)
    assert (await create("ann", "N1", "B")).status == 403
    assert (await create("lone", "N1", "A")).status == 403
    assert (await create("region", "N1", "B", "demf")).status == 403
    assert (await create("region", "N1", "B", "usmf", 100)).status == 403
    assert await stored(site) == before
    for who, number in (("ann", "N2"), ("region", "N3"), ("region", "N4")):
        made = await create(who, number, "A")
        assert made.status in (200, 201, 204), made.text
    assert len(await stored(site)) == len(before) + 3


async def test_an_update_is_checked_on_the_row_as_it_will_be_under_a_policy_on_the_table_itself(
    site: Installation,
) -> None:
    region, before = await site.operations_user("region"), await stored(site)
    assert (await region.patch(order("usmf", "A1"), {"Quantity": 100})).status == 403
    assert (await region.patch(order("demf", "A1"), {"Quantity": 9})).status == 404
    assert await stored(site) == before
    assert (await region.patch(order("usmf", "A1"), {"Quantity": 99})).status == 204


async def test_a_change_set_sees_its_own_rows(site: Installation) -> None:
    """A row made by one request is changed by the next: policies are read in place inside of a unit of work."""
    region = await site.operations_user("region")

    def part(number: int, method: str, target: str, body: str) -> str:
        return (
            "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: {number}\r\n\r\n{method} {target} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n"
            f"{body}\r\n"
        )

    made = '{"dataAreaId": "usmf", "SalesOrderNumber": "N1", "Account": "A", "Quantity": 1}'
    parts = part(1, "POST", "/data/SmallOrders", made) + part(2, "PATCH", order("usmf", "N1"), '{"Quantity": 7}')
    text = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n--b--\r\n"
    headers = {"content-type": "multipart/mixed; boundary=b"}
    answer = await send(region, "POST", "/data/$batch", text.encode(), headers)
    assert answer.status == 200, answer.text
    assert ("usmf", "N1", "A", 7) in await stored(site), answer.text
