"""Dual-write between two databases, and within one: what is written on one side is on the other, or on neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import pytest

from forecourt.kernel.errors import Refusal
from forecourt.kernel.sync import Side
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.recovery import in_doubt
from support import pairs
from support.pairs import Pair
from support.postgres import fresh_database


@pytest.fixture(params=["two databases", "one database"])
async def pair(postgres: EmbeddedServer, request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with fresh_database(postgres) as operations, fresh_database(postgres) as second:
        await pairs.make(operations)
        dataverse = second if request.param == "two databases" else operations
        async with pairs.opened(operations, dataverse) as pair:
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann'), ('C2', 'Bob')")
            await pair.dual_write.start((), "test")
            yield pair


async def orders(pair: Pair) -> list[tuple[object, ...]]:
    return await pair.dataverse(
        "select o.cts_number, c.cts_number, cts_quantity, cts_total, cts_note from dataverse.cts_order o "
        "left join dataverse.cts_customer c on c.cts_customerid = o.cts_customer order by 1"
    )


async def test_initial_sync_copies_what_is_there(pair: Pair) -> None:
    assert await pair.dataverse("select cts_number, cts_name from dataverse.cts_customer order by 1") == [
        ("C1", "Ann"),
        ("C2", "Bob"),
    ]
    assert await pair.differences() == []


async def test_an_order_of_the_erp_is_in_dataverse_in_the_same_call(pair: Pair) -> None:
    written = await pair.order(Account="C1", Quantity=3)
    assert written.after is not None and written.after["Number"] == "O-000001"
    assert await orders(pair) == [("O-000001", "C1", 3, Decimal(6), None)]
    await pair.change_order("O-000001", Quantity=4, Note="soon")
    assert await orders(pair) == [("O-000001", "C1", 4, Decimal(8), "soon")]
    await pair.delete_order("O-000001")
    assert await orders(pair) == []


async def test_an_order_of_dataverse_has_the_erps_number_and_total_in_the_same_call(pair: Pair) -> None:
    ((customer,),) = await pair.dataverse("select cts_customerid from dataverse.cts_customer where cts_number = 'C2'")
    written = await pair.cts("create", "cts_order", _cts_customer_value=customer, cts_quantity=5)
    assert await orders(pair) == [("O-000001", "C2", 5, Decimal(10), None)]
    assert await pair.erp("select salesid, account, quantity, total from erp.orders") == [
        ("O-000001", "C2", 5, Decimal(10))
    ]
    assert written.after is not None
    key = {"cts_orderid": written.after["cts_orderid"]}
    await pair.cts("update", "cts_order", key, cts_quantity=6)
    assert await pair.erp("select quantity, total from erp.orders") == [(6, Decimal(12))]
    assert await orders(pair) == [("O-000001", "C2", 6, Decimal(12), None)]
    await pair.cts("delete", "cts_order", key)
    assert await pair.erp("select * from erp.orders") == []


async def test_what_the_other_side_refuses_is_refused_with_its_reason_and_nothing_is_kept(pair: Pair) -> None:
    with pytest.raises(Refusal) as refused:
        await pair.cts("create", "cts_order", cts_quantity=2_000)
    assert "There are only 1,000 of them." in refused.value.message
    assert "Unable to write data to entity PairOrder" in refused.value.message
    assert (await orders(pair), await pair.erp("select * from erp.orders")) == ([], [])
    await pair.order(Quantity=1)
    assert (await orders(pair))[0][0] == "O-000001", "the number of the refused order was given back"


async def test_plain_sql_reaches_the_other_side_through_the_queue_deletes_too(pair: Pair) -> None:
    await pair.erp("insert into erp.orders (salesid, account, quantity) values ('X1', 'C1', 1), ('X2', 'C2', 2)")
    await pair.erp("update erp.cust set name = 'Anne' where account = 'C1'")
    await pair.drain()
    assert [row[:3] for row in await orders(pair)] == [("X1", "C1", 1), ("X2", "C2", 2)]
    await pair.erp("delete from erp.orders where salesid = 'X1'")
    await pair.dataverse("update dataverse.cts_order set cts_note = 'changed here' where cts_number = 'X2'")
    await pair.drain()
    assert [row[0] for row in await orders(pair)] == ["X2"]
    assert await pair.erp("select salesid, note from erp.orders") == [("X2", "changed here")]
    assert await pair.dataverse("select cts_name from dataverse.cts_customer order by cts_number") == [
        ("Anne",),
        ("Bob",),
    ]
    assert await pair.drain() == 0
    assert await pair.differences() == []


async def test_what_is_left_out_on_one_side_becomes_what_the_other_side_keeps_for_it(pair: Pair) -> None:
    await pair.dataverse("insert into dataverse.cts_customer (cts_number, cts_name) values ('D1', 'Dora')")
    await pair.drain()
    look = "select cts_credit from dataverse.cts_customer where cts_number = 'D1'"
    assert await pair.erp("select credit from erp.cust where account = 'D1'") == [(Decimal(0),)]
    assert await pair.dataverse(look) == [(Decimal(0),)]
    await pair.dataverse("update dataverse.cts_customer set cts_credit = null, cts_name = 'Dorothy'")
    await pair.drain()
    assert await pair.dataverse(look) == [(Decimal(0),)]
    assert await pair.differences() == []


async def test_what_another_program_changes_while_a_row_is_applied_stays(pair: Pair) -> None:
    await pair.order(Quantity=1)
    await pair.dataverse("update dataverse.cts_order set cts_quantity = 2, cts_note = 'first'")
    other = await asyncpg.connect(pair.forecourt.databases.operations.url)
    await other.execute("begin; select from erp.orders for update")
    draining = asyncio.create_task(pair.drain())
    waits = (
        "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())"
    )
    while not (await pair.erp(waits))[0][0]:  # then the row has been read, and is about to be written
        assert not draining.done()
    await pair.dataverse("update dataverse.cts_order set cts_note = 'second'")
    await other.execute("commit")
    await other.close()
    await draining
    assert await pair.dataverse("select cts_note, cts_total from dataverse.cts_order") == [("second", Decimal(4))]
    await pair.drain()
    assert await pair.erp("select note, total from erp.orders") == [("second", Decimal(4))]
    assert await pair.differences() == []


async def test_a_key_that_changes_takes_its_row_along(pair: Pair) -> None:
    await pair.erp("insert into erp.orders (salesid, quantity) values ('X1', 1), ('X2', 2)")
    await pair.drain()
    await pair.erp("update erp.orders set salesid = 'X' || (4 - right(salesid, 1)::int)")
    await pair.drain()
    assert [row[0] for row in await orders(pair)] == ["X2", "X3"]
    assert await pair.differences() == []


async def test_a_row_in_error_is_set_aside_and_arrives_when_it_can(pair: Pair) -> None:
    await pair.erp("insert into erp.orders (salesid, account) values ('X1', 'nobody'), ('X2', 'C1')")
    await pair.drain()
    assert [row[0] for row in await orders(pair)] == ["X2"]
    (error,) = await pair.dual_write.registry.errors()
    assert (error.map, error.key, error.source) == ("orders", ("X1",), Side.OPERATIONS)
    assert "no row of cts_customer has this key: nobody" in error.message
    await pair.erp("insert into erp.cust (account) values ('nobody')")
    await pair.drain()
    assert await pair.dual_write.retry(()) == 1
    assert [row[0] for row in await orders(pair)] == ["X1", "X2"]
    assert await pair.dual_write.registry.errors() == []


async def test_a_paused_map_keeps_what_changes_and_plays_it_back(pair: Pair) -> None:
    assert await pair.dual_write.pause(["orders"], "test") == ["orders is paused"]
    await pair.order(Quantity=1)
    await pair.order(Quantity=2)
    await pair.drain()
    assert await orders(pair) == []
    status = {item.record.name: item for item in await pair.dual_write.status()}
    assert status["orders"].backlog[Side.OPERATIONS] == 2
    assert await pair.dual_write.resume(["orders"], "test") == ["orders is resuming"]
    assert [row[0] for row in await orders(pair)] == ["O-000001", "O-000002"]
    assert (await pair.dual_write.registry.maps())["orders"].state == "running"


async def test_what_is_discarded_at_a_resume_is_found_by_verify_and_mended_by_repair(pair: Pair) -> None:
    await pair.dual_write.pause(["orders"], "test")
    await pair.order(Quantity=1)
    await pair.dual_write.resume(["orders"], "test", "discard")
    await pair.drain()
    assert await pair.differences() == ["orders ('O-000001',): missing ()"]
    item = pair.dual_write.maps["orders"]
    for comparison in await pair.forecourt.verifier.compare(item):
        assert await pair.forecourt.verifier.repair(item, comparison) == []
    assert await pair.differences() == []


async def test_stopping_leaves_no_trace_of_capture(pair: Pair) -> None:
    await pair.dual_write.stop((), "test")
    look = "select count(*) from pg_trigger where tgname like 'forecourt_capture%'"
    assert (await pair.erp(look), await pair.dataverse(look)) == ([(0,)], [(0,)])
    assert await pair.erp("select to_regclass('forecourt.outbox')") == [(None,)]
    await pair.order(Quantity=1)
    assert await orders(pair) == []
    done = await pair.dual_write.start((), "test")
    assert [row[0] for row in await orders(pair)] == ["O-000001"]
    assert any("orders is running" in line for line in done)


async def test_writers_on_both_sides_at_once_end_with_both_sides_equal(pair: Pair) -> None:
    for _ in range(3):
        await pair.order(Quantity=1)
    ids = dict(await pair.dataverse("select cts_number, cts_orderid from dataverse.cts_order"))

    async def here(number: str) -> None:
        for quantity in range(6):
            await pair.change_order(number, Quantity=quantity)

    async def there(number: str) -> None:
        for quantity in range(6):
            await pair.cts("update", "cts_order", {"cts_orderid": ids[number]}, cts_note=f"n{quantity}")

    await asyncio.gather(*(work(number) for number in ids for work in (here, there)))
    assert await pair.erp("select distinct quantity, total, note from erp.orders") == [(5, Decimal(10), "n5")]
    assert {row[2:] for row in await orders(pair)} == {(5, Decimal(10), "n5")}
    assert await pair.differences() == []
    assert await in_doubt(pair.forecourt.coordinator) == []


async def test_numbers_have_no_gaps_however_many_take_one_at_once(pair: Pair) -> None:
    async def attempt(number: int) -> None:
        quantity = 2_000 if number % 3 == 0 else number
        try:
            await pair.order(Quantity=quantity)
        except Refusal:
            assert quantity == 2_000

    await asyncio.gather(*(attempt(number) for number in range(30)))
    numbers = [row[0] for row in await pair.erp("select salesid from erp.orders order by 1")]
    assert numbers == [f"O-{number:06}" for number in range(1, 21)]


async def test_a_conflict_is_decided_by_the_maps_rule(pair: Pair) -> None:
    await pair.erp("update erp.cust set name = 'from the ERP' where account = 'C1'")
    await pair.dataverse("update dataverse.cts_customer set cts_name = 'from Dataverse'")
    await pair.drain()
    assert await pair.erp("select account, name from erp.cust order by 1") == [
        ("C1", "from the ERP"),
        ("C2", "from Dataverse"),
    ]
    assert await pair.differences() == []


async def test_nothing_echoes(pair: Pair) -> None:
    await pair.order(Quantity=1)
    await pair.erp("update erp.cust set name = 'x'")
    await pair.drain()
    count = "select count(*) from forecourt.outbox"
    before = (await pair.erp(count), await pair.dataverse(count))
    assert await pair.drain() == 0
    assert (await pair.erp(count), await pair.dataverse(count)) == before


async def test_another_database_in_doubt_is_left_alone(pair: Pair) -> None:
    connection = await asyncpg.connect(pair.forecourt.databases.operations.url)
    await connection.execute("begin; insert into erp.cust (account) values ('mine'); prepare transaction 'theirs'")
    assert await in_doubt(pair.forecourt.coordinator) == []
    await connection.execute("rollback prepared 'theirs'")
    await connection.close()
