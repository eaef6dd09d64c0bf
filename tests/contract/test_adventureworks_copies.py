"""AdventureWorks, attached: its maps keep a Dataverse database beside it in step; stopped, they leave it as it was.

Without the dump these tests are skipped, by name (see ``support.adventureworks``).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from forecourt.store.embedded import EmbeddedServer
from support import adventureworks as aw
from support.catalogue import CATALOG
from support.contoso import differences, drain
from support.server import Answer, Installation, Person, url

A = "/api/data/v9.2"


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    if not aw.DUMP.is_file():
        pytest.skip(aw.MISSING)
    async with aw.adventureworks_site(postgres) as opened:
        yield opened


@pytest.fixture(scope="module")
async def started(site: Installation) -> tuple[Installation, list[tuple[Any, ...]]]:
    """The maps started, and what the attached database was made of before."""
    before = [tuple(row) for row in await site.sql(CATALOG)]
    assert not any(row[1].startswith("forecourt") for row in before)
    done = await site.forecourt.dual_write.start((), "test")
    assert all("is running" in line and "0 in error" in line for line in done), done
    return site, before


async def send(person: Person, method: str, target: str, body: object) -> Answer:
    headers = {**await person.headers(target), "content-type": "application/json"}
    return await person.site.ask(method, target, headers, json.dumps(body).encode())


async def line(site: Installation) -> tuple[int, int]:
    """An order line: order, line."""
    row = (await site.sql("select salesorderid, salesorderdetailid from sales.salesorderdetail order by 2 limit 1"))[0]
    return row[0], row[1]


async def copied(site: Installation, number: int) -> list[tuple[Any, ...]]:
    sql = "select quantity, priceperunit from dataverse.salesorderdetail where aw_salesorderlineid = $1"
    return [tuple(row) for row in await site.dataverse(sql, number)]


Started = tuple[Installation, list[tuple[Any, ...]]]


async def test_every_map_starts_and_both_sides_are_equal(started: Started) -> None:
    site, _ = started
    states = {status.record.name: status.record.state for status in await site.forecourt.dual_write.status()}
    assert set(states.values()) == {"running"}, states
    assert await differences(site) == []


async def test_plain_sql_of_the_attached_database_reaches_dataverse_through_the_queue(started: Started) -> None:
    site, _ = started
    order, number = await line(site)
    await site.sql(
        "update sales.salesorderdetail set unitprice = 12.5, orderqty = 7 where salesorderid = $1 "
        "and salesorderdetailid = $2",
        order,
        number,
    )
    await drain(site, "sales-orders", "sales-order-lines")
    assert await copied(site, number) == [(Decimal(7), Decimal("12.5"))]
    await site.sql(
        "delete from sales.salesorderdetail where salesorderid = $1 and salesorderdetailid = $2", order, number
    )
    await drain(site, "sales-orders", "sales-order-lines")
    assert await copied(site, number) == []
    assert await differences(site, "sales-order-lines") == []


async def test_a_live_write_is_in_both_databases_in_the_same_call_whichever_side_it_starts_on(started: Started) -> None:
    site, _ = started
    admin = await site.operations_user("admin")
    order = (await line(site))[0]
    at_data = await send(admin, "PATCH", f"/data/SalesOrderHeaders(SalesOrderId={order})", {"Comment": "at /data"})
    assert at_data.status == 204, at_data.text
    sql = "select salesorderid, description from dataverse.salesorder where aw_salesorderid = $1"
    ((key, comment),) = await site.dataverse(sql, order)
    assert comment == "at /data"
    there = await send(admin, "PATCH", f"{A}/salesorders({key})", {"description": "at Dataverse"})
    assert there.status == 204, there.text
    assert (
        await site.value("select comment from sales.salesorderheader where salesorderid = $1", order) == "at Dataverse"
    )
    shown = await admin.get(url(f"/data/SalesOrderHeaders(SalesOrderId={order})", _select="Comment"))
    assert shown.json["Comment"] == "at Dataverse"


async def test_what_the_attached_database_refuses_is_kept_on_neither_side(started: Started) -> None:
    """A check constraint of its own: orders are due after they were entered."""
    site, _ = started
    admin = await site.operations_user("admin")
    order = (await line(site))[0]
    sql = "select salesorderid, aw_duedate, versionnumber from dataverse.salesorder where aw_salesorderid = $1"
    (before,) = await site.dataverse(sql, order)
    due = await site.value("select duedate from sales.salesorderheader where salesorderid = $1", order)
    refused = await send(
        admin, "PATCH", f"{A}/salesorders({before[0]})", {"aw_duedate": "1999-01-01", "description": "x"}
    )
    assert 400 <= refused.status < 500, refused.text
    assert "SalesOrder" in refused.text
    assert [tuple(row) for row in await site.dataverse(sql, order)] == [tuple(before)]
    assert await site.value("select duedate from sales.salesorderheader where salesorderid = $1", order) == due


async def test_stopping_leaves_the_attached_database_as_it_was(started: Started) -> None:
    site, before = started
    during = [tuple(row) for row in await site.sql(CATALOG)]
    assert during != before
    await drain(site)
    await site.forecourt.dual_write.stop((), "test")
    after = [tuple(row) for row in await site.sql(CATALOG)]
    assert sorted(set(after) ^ set(before)) == []
    assert after == before
