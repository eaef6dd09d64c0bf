"""The integration log: every write of dual-write is in it, with its keys, exactly when the write is there."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from forecourt.kernel.change import Write
from forecourt.kernel.errors import Refusal
from forecourt.kernel.integration_log import Entry, Filter
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.sync import Position, Side
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.integration_log import IntegrationLog
from forecourt.store.work import Work
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
            yield pair


def log(pair: Pair) -> IntegrationLog:
    return IntegrationLog(pair.forecourt.databases.dataverse)


EVERYTHING = Filter()


async def entries(pair: Pair, wanted: Filter = EVERYTHING) -> list[Entry]:
    """The oldest first."""
    return [logged.entry for logged in reversed(await log(pair).read(wanted))]


def told(entry: Entry) -> tuple[object, ...]:
    return (entry.map, entry.engine, entry.direction, entry.operation, entry.keys)


async def started(pair: Pair) -> int:
    """The maps run; the number of the last entry that this has made."""
    await pair.dual_write.start((), "test")
    return max((logged.number for logged in await log(pair).read(EVERYTHING)), default=0)


async def since(pair: Pair, number: int) -> list[Entry]:
    return [logged.entry for logged in reversed(await log(pair).read(EVERYTHING)) if logged.number > number]


async def test_initial_sync_tells_the_range_of_each_batch(pair: Pair) -> None:
    await started(pair)
    (entry,) = await entries(pair, Filter(maps=("customers",)))
    assert (entry.engine, entry.direction, entry.operation, entry.rows) == ("initial", "to_dataverse", "create", 2)
    assert entry.span is not None
    assert (entry.span.after, len(entry.span.last)) == (None, 1)


async def test_a_live_write_is_there_with_its_key_and_whose_it_was(pair: Pair) -> None:
    number = await started(pair)
    user = await pair.forecourt.users.get("april")
    april = await pair.forecourt.scopes.resolve(Principal(operations_user=user), Door.OPERATIONS)
    values = (("Account", "C1"), ("Quantity", 3))
    await pair.forecourt.operations_gate.change(april, Write("PairOrderEntity", "create", values=values))
    first, *rest = await since(pair, number)
    assert told(first) == ("orders", "live", "to_dataverse", "create", (("O-000001",),))
    assert (first.target, first.fields, first.rows, first.caused_by) == ("cts_order", ("cts_number",), 1, "april")
    assert rest == []
    (logged,) = await log(pair).read(Filter(limit=1))
    assert logged.principal == "forecourt.integration"
    await pair.delete_order("O-000001")
    *_, last = await since(pair, number)
    assert told(last) == ("orders", "live", "to_dataverse", "delete", (("O-000001",),))


async def test_a_row_that_the_target_numbers_is_found_by_its_number_and_so_is_what_was_given_back(pair: Pair) -> None:
    number = await started(pair)
    await pair.cts("create", "cts_order", cts_quantity=5)
    found = await since(pair, number)
    assert [told(entry)[2:] for entry in found] == [
        ("to_dataverse", "give back", (("O-000001",),)),
        ("to_operations", "create", (("O-000001",),)),
    ]
    assert await entries(pair, Filter(key=("O-000001",))) == found
    assert await entries(pair, Filter(key=("O-000002",))) == []
    works = {logged.work for logged in await log(pair).read(Filter(key=("O-000001",)))}
    assert len(works) == 1, "both are of one unit of work"


async def test_a_write_that_is_undone_leaves_nothing_in_the_log(pair: Pair) -> None:
    number = await started(pair)
    with pytest.raises(Refusal):
        await pair.cts("create", "cts_order", cts_quantity=2_000)

    async def attempt(work: object) -> None:
        await pair.forecourt.operations_gate.write(
            work, pairs.OPERATIONS, Write("PairOrderEntity", "create", values=(("Quantity", 1),))
        )
        await pair.forecourt.coordinator.partner.settle(work)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await pair.forecourt.coordinator.run(attempt, "undone")
    assert await since(pair, number) == []


async def test_a_write_whose_entry_cannot_be_kept_is_undone(pair: Pair) -> None:
    await started(pair)
    await pair.dataverse(
        "alter table forecourt.integration_log add constraint full_up check (map <> 'orders') not valid"
    )
    with pytest.raises(Refusal):
        await pair.order(Quantity=1)
    assert await pair.erp("select * from erp.orders") == []
    assert await pair.dataverse("select * from dataverse.cts_order") == []
    await pair.dataverse("alter table forecourt.integration_log drop constraint full_up")
    await pair.order(Quantity=1)
    assert await pair.differences() == []


async def test_what_the_queue_writes_is_there_with_its_keys_either_way_deletes_too(pair: Pair) -> None:
    number = await started(pair)
    await pair.erp("insert into erp.orders (salesid, quantity) values ('X1', 1), ('X2', 2)")
    await pair.drain()
    await pair.erp("delete from erp.orders where salesid = 'X1'")
    await pair.erp("update erp.orders set salesid = salesid")
    await pair.dataverse("update dataverse.cts_order set cts_note = 'changed here' where cts_number = 'X2'")
    await pair.drain()
    found = [entry for entry in await since(pair, number) if entry.engine == "queued"]
    done = {(entry.direction, entry.operation, key) for entry in found for key in entry.keys}
    assert {
        ("to_dataverse", "create", ("X1",)),
        ("to_dataverse", "create", ("X2",)),
        ("to_dataverse", "delete", ("X1",)),
        ("to_operations", "update", ("X2",)),
    } <= done
    assert {entry.caused_by for entry in found} == {""}
    assert ("to_dataverse", "update", ("X1",)) not in done
    assert await pair.differences() == []


async def test_a_row_in_error_is_not_in_the_log_until_it_arrives(pair: Pair) -> None:
    number = await started(pair)
    await pair.erp("insert into erp.orders (salesid, account) values ('X1', 'nobody'), ('X2', 'C1')")
    await pair.drain()
    assert [key for entry in await since(pair, number) for key in entry.keys] == [("X2",)]
    await pair.erp("insert into erp.cust (account) values ('nobody')")
    await pair.drain()
    await pair.dual_write.retry(())
    assert [entry.operation for entry in await entries(pair, Filter(key=("X1",)))] == ["create"]


async def test_many_rows_are_a_few_entries_and_no_key_is_left_out(pair: Pair) -> None:
    number = await started(pair)
    await pair.erp("insert into erp.cust (account, name) select 'N' || n, 'New' from generate_series(1, 2500) n")
    await pair.drain()
    found = [entry for entry in await since(pair, number) if entry.map == "customers"]
    assert sorted(entry.rows for entry in found) == [500, 1000, 1000]
    assert {key for entry in found for key in entry.keys} == {(f"N{n}",) for n in range(1, 2501)}


async def test_what_repair_writes_is_there_as_such(pair: Pair) -> None:
    number = await started(pair)
    await pair.dual_write.stop(("customers",), "test")
    await pair.dataverse("update dataverse.cts_customer set cts_name = 'wrong' where cts_number = 'C1'")
    await pair.dual_write.start(("customers",), "test", initial=False)
    item = pair.dual_write.maps["customers"]
    for comparison in await pair.forecourt.verifier.compare(item):
        await pair.forecourt.verifier.repair(item, comparison)
    assert [told(entry) for entry in await since(pair, number) if entry.engine == "repair"] == [
        ("customers", "repair", "to_dataverse", "update", (("C1",),))
    ]


async def test_nobody_changes_or_removes_an_entry(pair: Pair) -> None:
    await started(pair)
    for sql in (
        "update forecourt.integration_log set map = ''",
        "delete from forecourt.integration_log",
        "truncate forecourt.integration_log",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added to"):
            await pair.dataverse(sql)
    assert await entries(pair) != []


async def test_the_log_stays_when_the_last_map_is_stopped_and_the_operations_database_has_none_of_it(
    pair: Pair,
) -> None:
    await started(pair)
    before = await entries(pair)
    await pair.dual_write.stop((), "test")
    assert await entries(pair) == before != []
    if not pair.forecourt.databases.shared:
        assert await pair.erp("select to_regclass('forecourt.integration_log')") == [(None,)]


async def test_entries_are_found_by_map_time_and_number(pair: Pair) -> None:
    await started(pair)
    await pair.order(Quantity=1)
    newest, *_ = await log(pair).read(EVERYTHING)
    assert newest.entry.map == "orders"
    assert await entries(pair, Filter(maps=("customers",), since=newest.at)) == []
    assert newest not in await log(pair).read(Filter(until=newest.at))
    assert newest not in await log(pair).read(Filter(before=newest.number))
    assert await log(pair).read(Filter(since=newest.at, until=newest.at + dt.timedelta(hours=1))) == [newest]


async def test_what_is_given_back_to_many_rows_is_one_entry(pair: Pair) -> None:
    number = await started(pair)
    await pair.dataverse("insert into dataverse.cts_order (cts_quantity) select n from generate_series(1, 30) n")
    await pair.drain()
    found = [entry for entry in await since(pair, number) if entry.operation == "give back"]
    assert [entry.rows for entry in found] == [30]
    assert {key for (key,) in found[0].keys} == {f"O-{n:06}" for n in range(1, 31)}


async def test_a_position_that_a_unit_of_work_in_doubt_has_moved_is_not_moved_from_where_it_was_read(
    pair: Pair,
) -> None:
    await started(pair)
    registry, database = pair.dual_write.registry, pair.forecourt.databases.dataverse
    read = await registry.position("orders", Side.OPERATIONS)
    assert read is not None

    async def move(work: Work, known: Position, token: int) -> None:
        moved = Position(known.since, known.until, known.after + 1)
        await registry.save_position(await work.unit(database), "orders", Side.OPERATIONS, moved, token, known)

    await pair.forecourt.coordinator.run(lambda work: move(work, read, 50), "move", settle=False)
    with pytest.raises(Refusal, match="somebody else"):
        await pair.forecourt.coordinator.run(lambda work: move(work, read, 51), "move again", settle=False)


@pytest.mark.slow
async def test_maps_towards_a_database_without_prepared_transactions_are_refused_at_their_start(
    tmp_path: Path, postgres: EmbeddedServer
) -> None:
    bare = EmbeddedServer.start(tmp_path / "bare")
    try:
        connection = await asyncpg.connect(bare.url("postgres"))
        await connection.execute("alter system set max_prepared_transactions = 0")
        await connection.close()
        bare.stop()
        bare = EmbeddedServer.start(tmp_path / "bare")
        async with fresh_database(bare) as operations, fresh_database(postgres) as dataverse:
            await pairs.make(operations)
            async with pairs.opened(operations, dataverse) as pair:
                with pytest.raises(Refusal, match="max_prepared_transactions = 0"):
                    await pair.dual_write.start((), "test")
                assert await pair.erp("select to_regclass('forecourt.sync_map')") == [(None,)]
    finally:
        bare.stop()


HOSTILE = ("'", "\\", "\\';drop table x--", "$1", "{}", "\u2028", '"')


async def test_keys_are_kept_as_they_are_whatever_is_in_them(pair: Pair) -> None:
    await started(pair)
    await pair.erp("insert into erp.orders (salesid, quantity) select k, 1 from unnest($1::text[]) k", list(HOSTILE))
    await pair.drain()
    for key in HOSTILE:
        (entry,) = await entries(pair, Filter(key=(key,)))
        assert set(entry.keys) == {(item,) for item in HOSTILE}
    assert await pair.differences() == []
