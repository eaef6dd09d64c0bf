"""Copies under the faults that have a name: each is brought about at the very instant at which it would do harm."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.sync import Side
from forecourt.store.database import Database
from forecourt.store.embedded import SYSTEM_USER, EmbeddedServer
from forecourt.store.recovery import Recovered, in_doubt, recover
from forecourt.store.work import Coordinator, decider_name
from support import pairs
from support.lines import Line, line
from support.pairs import Pair
from support.postgres import fresh_database

#: Whose wait for a lock is not granted: what a test waits for to know that somebody waits.
WAITING = "select exists (select from pg_locks where not granted)"


class Holds:
    """Steps at which a process of a test waits until it is let go."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    def at(self, label: str) -> tuple[asyncio.Event, asyncio.Event]:
        """The next one who passes the label waits there. (it is there, let it go)"""
        self._held[label] = found = (asyncio.Event(), asyncio.Event())
        return found

    async def __call__(self, label: str) -> None:
        found = self._held.pop(label, None)
        if found is not None:
            found[0].set()
            await found[1].wait()


@pytest.fixture
async def addresses(postgres: EmbeddedServer) -> AsyncIterator[tuple[str, str]]:
    """Two databases with the ERP's tables in the first."""
    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        yield operations, dataverse


@pytest.fixture
def holds() -> Holds:
    return Holds()


@pytest.fixture
async def pair(addresses: tuple[str, str], holds: Holds) -> AsyncIterator[Pair]:
    """The pair with its maps running."""
    async with pairs.opened(*addresses, step=holds) as pair:
        await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann')")
        await pair.dual_write.start((), "test")
        yield pair


@asynccontextmanager
async def plain(address: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of another program."""
    connection = await asyncpg.connect(address)
    try:
        yield connection
    finally:
        await connection.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def come(there: asyncio.Event, task: asyncio.Future[Any]) -> None:
    """Waits until a task has come to a hold; what has kept it from that is raised."""
    arrival = asyncio.create_task(there.wait())
    await asyncio.wait((arrival, task), timeout=60, return_when=asyncio.FIRST_COMPLETED)
    arrival.cancel()
    if not there.is_set():
        task.cancel()
        await task
        raise AssertionError("it has not come to the hold")


async def prepared(pair: Pair) -> int:
    return int((await pair.erp("select count(*) from pg_prepared_xacts where database = current_database()"))[0][0])


async def time_passes(pair: Pair) -> None:
    """Every lease has run out: its holder is believed dead, or a clock has jumped."""
    await pair.erp("update forecourt.sync_map set leased_until = now() - interval '1 day' where worker is not null")


# -- recovery ---------------------------------------------------------------------------------------------------------


async def doubtful(addresses: tuple[str, str], pair: Pair, count: int) -> None:
    """Units of work whose coordinator has died after they were prepared; every other one was decided."""
    name = await decider_name(pair.forecourt.databases.dataverse)
    async with plain(addresses[0]) as connection:
        for number in range(count):
            await connection.execute(
                f"begin; insert into erp.cust (account) values ('D{number}'); "
                f"prepare transaction 'forecourt:{name}:{number}'"
            )
    await pair.dataverse("insert into forecourt.decision (id) select generate_series(0, $1 - 1, 2)", count)


async def test_two_nodes_that_recover_at_once_finish_everything_once(addresses: tuple[str, str], pair: Pair) -> None:
    await doubtful(addresses, pair, 20)
    async with pairs.opened(*addresses) as second:
        found = await asyncio.gather(*(recover(node.forecourt.coordinator) for node in (pair, second)))
    assert sum(one.committed for one in found) == 10
    assert sum(one.undone for one in found) == 10
    assert await prepared(pair) == 0
    kept = await pair.erp("select account from erp.cust where account like 'D%' order by recid")
    assert [row[0] for row in kept] == [f"D{number}" for number in range(0, 20, 2)]


async def test_a_decision_outlives_any_clock_until_what_it_decides_is_finished(
    addresses: tuple[str, str], pair: Pair
) -> None:
    await doubtful(addresses, pair, 2)
    await pair.dataverse("update forecourt.decision set at = at - interval '30 days'")
    assert await recover(pair.forecourt.coordinator) == Recovered(committed=1, undone=1)
    assert await pair.erp("select account from erp.cust where account like 'D%'") == [("D0",)]
    await recover(pair.forecourt.coordinator)
    await until(lambda: _forgotten(pair))


async def _forgotten(pair: Pair) -> bool:
    await recover(pair.forecourt.coordinator)
    return (await pair.dataverse("select count(*) from forecourt.decision")) == [(0,)]


@pytest.mark.slow
async def test_a_commit_that_arrives_after_its_client_has_given_up_counts_and_is_waited_for(
    addresses: tuple[str, str],
) -> None:
    async with line(addresses[1]) as (wire, through), pairs.opened(addresses[0], through) as pair:
        await pair.dual_write.start((), "test")
        await pair.dataverse(
            "create function dataverse.linger() returns trigger language plpgsql as $$ begin "
            "perform set_config('lock_timeout', '60s', true); perform pg_advisory_xact_lock(42); return null; end $$"
        )
        await pair.dataverse(
            "create constraint trigger linger after insert on dataverse.cts_order "
            "deferrable initially deferred for each row execute function dataverse.linger()"
        )
        async with plain(addresses[1]) as other, pairs.opened(*addresses) as second:
            await other.execute("select pg_advisory_lock(42)")
            writing = asyncio.create_task(pair.order(Quantity=1))
            await until(lambda: _waits(other))
            assert await wire.cut() > 0  # the server goes on committing and does not know
            assert await recover(second.forecourt.coordinator) == Recovered(running=1)
            with pytest.raises(Unavailable):
                await writing
            assert await recover(second.forecourt.coordinator) == Recovered(running=1)
            assert await prepared(second) == 1
            await other.execute("select pg_advisory_unlock(42)")
            await until(lambda: _recovered(second))
            assert await second.erp("select salesid, quantity from erp.orders") == [("O-000001", 1)]
            assert await second.dataverse("select cts_number from dataverse.cts_order") == [("O-000001",)]


async def _waits(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(WAITING))


async def _recovered(pair: Pair) -> bool:
    return (await recover(pair.forecourt.coordinator)).committed == 1


# -- the queue --------------------------------------------------------------------------------------------------------


async def test_a_worker_that_was_believed_dead_applies_nothing_again(
    addresses: tuple[str, str], pair: Pair, holds: Holds
) -> None:
    await pair.erp("insert into erp.orders (salesid, quantity) values ('X1', 1), ('X2', 2)")
    there, on = holds.at("queued: read")
    late = asyncio.create_task(pair.dual_write.queue.drain(pair.dual_write.maps["orders"]))
    await come(there, late)
    await time_passes(pair)
    look = "select cts_number, versionnumber from dataverse.cts_order order by 1"
    async with pairs.opened(*addresses) as second:
        assert await second.drain() == 2
        before = await second.dataverse(look)
        on.set()
        with suppress(Refusal):  # of a lease that is somebody else's
            await late
        assert [row[0] for row in before] == ["X1", "X2"]
        assert await second.dataverse(look) == before
        assert await second.drain() == 0
        assert await second.differences() == []


async def test_clocks_that_jump_while_a_batch_is_applied_do_not_apply_it_twice(
    addresses: tuple[str, str], pair: Pair, holds: Holds
) -> None:
    await pair.dataverse("insert into dataverse.cts_order (cts_quantity) select 1 from generate_series(1, 5)")
    there, on = holds.at("queued: applied")
    first = asyncio.create_task(pair.dual_write.queue.drain(pair.dual_write.maps["orders"]))
    await come(there, first)
    await time_passes(pair)
    async with pairs.opened(*addresses) as second:
        other = asyncio.create_task(second.dual_write.queue.drain(second.dual_write.maps["orders"]))
        await until(lambda: _blocked(pair))
        on.set()
        await asyncio.gather(first, other, return_exceptions=True)
        await time_passes(pair)
        await second.drain()
        numbers = await second.erp("select salesid from erp.orders order by 1")
        assert [row[0] for row in numbers] == [f"O-{number:06}" for number in range(1, 6)]
        assert await second.differences() == []


async def _blocked(pair: Pair) -> bool:
    return bool((await pair.erp(WAITING))[0][0])


async def test_locks_that_were_lost_undo_what_rested_on_them(pair: Pair, holds: Holds) -> None:
    await pair.erp("insert into erp.orders (salesid, quantity) values ('X1', 1)")
    there, on = holds.at("queued: kept")
    late = asyncio.create_task(pair.dual_write.queue.drain(pair.dual_write.maps["orders"]))
    await come(there, late)
    cut = await pair.erp(
        "select pg_terminate_backend(pid, 10000) from pg_locks where locktype = 'advisory' and granted "
        "and database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()"
    )
    assert cut
    on.set()
    with suppress(Unavailable):
        await late
    assert await pair.dataverse("select * from dataverse.cts_order") == []
    await time_passes(pair)
    await pair.drain()
    assert await pair.differences() == []


async def test_a_poison_row_is_kept_before_the_queue_goes_past_it(pair: Pair, holds: Holds) -> None:
    await pair.erp("insert into erp.orders (salesid, account) values ('X1', 'nobody'), ('X2', 'C1')")
    await pair.dual_write.queue.drain(pair.dual_write.maps["customers"])
    before = await pair.dual_write.registry.position("orders", Side.OPERATIONS)
    there, on = holds.at("queued: set aside")
    draining = asyncio.create_task(pair.drain())
    await come(there, draining)
    assert [error.key for error in await pair.dual_write.registry.errors()] == [("X1",)]
    assert await pair.dual_write.registry.position("orders", Side.OPERATIONS) == before
    on.set()
    await draining
    assert await pair.dataverse("select cts_number from dataverse.cts_order") == [("X2",)]


async def test_a_worker_lives_on_when_its_maps_are_stopped_and_started(addresses: tuple[str, str], pair: Pair) -> None:
    async with pairs.opened(*addresses) as second:
        working = asyncio.create_task(second.dual_write.queue.run())
        for _ in range(3):
            await pair.dual_write.stop((), "test")
            await pair.dual_write.start((), "test")
        await pair.erp("insert into erp.orders (salesid) values ('X1')")
        await until(lambda: _arrived(pair, "X1"))
        assert not working.done()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _arrived(pair: Pair, number: str) -> bool:
    return bool(await pair.dataverse("select from dataverse.cts_order where cts_number = $1", number))


# -- the life of maps -------------------------------------------------------------------------------------------------


async def cut_off(doing: Awaitable[Any], there: asyncio.Event) -> None:
    """Gives something up where it has come to a hold."""
    task = asyncio.ensure_future(doing)
    await come(there, task)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    "label", ["life: registered", "life: initializing", "life: captured", "life: side begun", "life: copied"]
)
async def test_a_start_that_was_cut_off_goes_on_in_both_directions(
    addresses: tuple[str, str], holds: Holds, label: str
) -> None:
    async with pairs.opened(*addresses, step=holds) as pair:
        there, _ = holds.at(label)
        await cut_off(pair.dual_write.start((), "test"), there)
        await pair.dual_write.start((), "test")
        await pair.erp("insert into erp.orders (salesid) values ('X1')")
        await pair.dataverse("insert into dataverse.cts_order (cts_number) values ('X2')")
        await pair.drain()
        assert await pair.erp("select salesid from erp.orders order by 1") == [("X1",), ("X2",)]
        assert await pair.differences() == []


async def test_a_stop_that_was_cut_off_leaves_nothing_that_a_start_would_rest_on(pair: Pair, holds: Holds) -> None:
    there, _ = holds.at("life: changed")
    await cut_off(pair.dual_write.stop(["orders"], "test"), there)
    await pair.erp("insert into erp.orders (salesid) values ('X1')")
    await pair.dual_write.tidy()
    await pair.dual_write.start((), "test")
    await pair.drain()
    assert await _arrived(pair, "X1")
    assert await pair.differences() == []


async def test_two_who_start_different_maps_at_once_leave_each_others_triggers(
    addresses: tuple[str, str], holds: Holds
) -> None:
    async with pairs.opened(*addresses, step=holds) as pair, pairs.opened(*addresses) as second:
        await pair.dual_write.registry.install()
        there, on = holds.at("capture: made")
        first = asyncio.create_task(pair.dual_write.start(["customers"], "test"))
        await come(there, first)
        other = asyncio.create_task(second.dual_write.start(["orders"], "test"))

        async def met() -> bool:
            return other.done() or await _blocked(pair)

        await until(met)
        on.set()
        await asyncio.gather(first, other)
        captured = "select distinct tgrelid::regclass::text from pg_trigger where tgname like 'forecourt_capture%'"
        assert sorted(row[0] for row in await pair.erp(captured)) == ["erp.cust", "erp.orders"]


async def test_rows_in_error_of_an_initial_sync_that_was_cut_off_are_kept(
    addresses: tuple[str, str], holds: Holds
) -> None:
    async with pairs.opened(*addresses, step=holds) as pair:
        await pair.erp("insert into erp.orders (salesid, account) values ('X1', 'nobody'), ('X2', '')")
        there, _ = holds.at("initial: set aside")
        await cut_off(pair.dual_write.start((), "test"), there)
        assert [error.key for error in await pair.dual_write.registry.errors()] == [("X1",)]
        await pair.dual_write.start((), "test")
        assert [error.key for error in await pair.dual_write.registry.errors()] == [("X1",)]
        await pair.erp("insert into erp.cust (account) values ('nobody')")
        await pair.drain()
        await pair.dual_write.retry(())
        assert await pair.dual_write.registry.errors() == []
        assert await pair.differences() == []


async def test_an_initial_sync_that_was_believed_dead_writes_nothing_over_what_came_after_it(
    addresses: tuple[str, str], holds: Holds
) -> None:
    async with pairs.opened(*addresses, step=holds) as pair, pairs.opened(*addresses) as second:
        await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann')")
        there, on = holds.at("initial: counted")
        late = asyncio.create_task(pair.dual_write.start(["customers"], "test"))
        await come(there, late)
        await time_passes(pair)
        await second.dual_write.start(["customers"], "test")
        await second.erp("update erp.cust set name = 'Anne'")
        await second.drain()
        on.set()
        with pytest.raises(Refusal) as refused:
            await late
        assert refused.value.code == "FC4121"
        assert await second.dataverse("select cts_name from dataverse.cts_customer") == [("Anne",)]


# -- servers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def far(addresses: tuple[str, str], tmp_path: Path) -> AsyncIterator[tuple[Pair, dict[Side, Line]]]:
    """The pair over lines; map orders queues in an outage."""
    async with (
        line(addresses[0]) as (first, operations),
        line(addresses[1]) as (second, dataverse),
        pairs.opened(operations, dataverse) as pair,
    ):
        await pair.dual_write.start((), "test")
        yield pair, {Side.OPERATIONS: first, Side.DATAVERSE: second}


async def test_while_one_side_is_down_the_other_one_queues_does_not_wait_and_catches_up(
    far: tuple[Pair, dict[Side, Line]],
) -> None:
    pair, lines = far
    await pair.order(Quantity=1)
    ((known,),) = await pair.dataverse("select cts_orderid from dataverse.cts_order")
    await lines[Side.DATAVERSE].close()
    await pair.order(Quantity=2)
    await lines[Side.DATAVERSE].connect()
    calls = lines[Side.DATAVERSE].calls
    await pair.order(Quantity=3)
    assert lines[Side.DATAVERSE].calls == calls, "nobody asks again for a few seconds"
    await pair.drain()
    assert len(await pair.dataverse("select from dataverse.cts_order")) == 3
    await lines[Side.OPERATIONS].close()
    await pair.cts("update", "cts_order", {"cts_orderid": known}, cts_quantity=4)
    await lines[Side.OPERATIONS].connect()
    calls = lines[Side.OPERATIONS].calls
    await pair.cts("update", "cts_order", {"cts_orderid": known}, cts_quantity=5)
    assert lines[Side.OPERATIONS].calls == calls, "nobody asks again for a few seconds"
    await pair.drain()
    assert await pair.erp("select quantity from erp.orders order by salesid") == [(5,), (2,), (3,)]
    assert await pair.differences() == []


async def test_a_map_that_refuses_in_an_outage_keeps_nothing_and_works_again_afterwards(
    addresses: tuple[str, str], tmp_path: Path
) -> None:
    root = shutil.copytree(pairs.ROOT, tmp_path / "pair")
    file = root / "maps" / "orders.yaml"
    file.write_text(file.read_text("utf-8").replace("on_outage: queue", "on_outage: refuse"), "utf-8")
    async with line(addresses[1]) as (wire, through), pairs.opened(addresses[0], through, root=root) as pair:
        await pair.dual_write.start((), "test")
        await wire.close()
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                await pair.order(Quantity=1)
            assert refused.value.code == "FC5031"
        assert await pair.erp("select * from erp.orders") == []
        await wire.connect()

        async def written() -> bool:
            with suppress(Refusal):
                await pair.order(Quantity=1)
            return bool(await pair.erp("select * from erp.orders"))

        await until(written)
        assert await pair.differences() == []


@pytest.fixture
def tiny() -> Any:
    """A folder for a tablespace on a file system of a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = Path(tempfile.mkdtemp(prefix="forecourt-tiny-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", folder], check=False)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("a small file system cannot be mounted here")
    account = pwd.getpwnam(SYSTEM_USER)
    os.chown(folder, account.pw_uid, account.pw_gid)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


async def test_a_full_disk_refuses_live_writes_on_both_sides_and_holds_the_queue_up_without_loss(
    addresses: tuple[str, str], pair: Pair, tiny: Path
) -> None:
    space = f"tiny_{secrets.token_hex(4)}"
    async with plain(addresses[1]) as other:
        await other.execute(f"create tablespace {space} location '{tiny}'")
        try:
            await other.execute(f"alter table dataverse.cts_order set tablespace {space}")
            await other.execute(f"create table filler (t text) tablespace {space}")
            with pytest.raises(asyncpg.DiskFullError):
                while True:
                    await other.execute("insert into filler select repeat('x', 500) from generate_series(1, 14)")
            with pytest.raises(Unavailable):
                while True:  # what room there is in the table's last page is used up
                    await pair.order(Quantity=1, Note="n" * 100)
            count = "select count(*) from {}"
            here = await pair.erp(count.format("erp.orders"))
            assert here == await pair.dataverse(count.format("dataverse.cts_order"))
            assert await prepared(pair) == 0
            await pair.erp("insert into erp.orders (salesid, note) select 'X' || n, repeat('n', 100) "
                           "from generate_series(1, 200) n")  # fmt: skip
            with suppress(Unavailable, Refusal):
                await pair.drain()
            assert here == await pair.dataverse(count.format("dataverse.cts_order"))
            assert await pair.dual_write.registry.errors() == []
            await other.execute("drop table filler")
            await pair.drain()
            assert await pair.differences() == []
            assert await pair.erp(count.format("erp.orders")) == [(here[0][0] + 200,)]
            await pair.order(Quantity=1)
            assert await in_doubt(pair.forecourt.coordinator) == []
        finally:
            await other.execute("drop table if exists filler")
            await other.execute("alter table dataverse.cts_order set tablespace pg_default")
            await other.execute(f"drop tablespace {space}")


async def test_a_connection_that_is_lost_within_a_unit_of_work_is_told_as_unavailable(
    addresses: tuple[str, str],
) -> None:
    database = await Database.open(addresses[0])
    try:

        async def attempt(work: Any) -> None:
            unit = await work.unit(database)
            unit._connection.terminate()
            await unit.script("anything", "select 1")

        with pytest.raises(Unavailable):
            await Coordinator({"operations": database}).run(attempt, "test")
        async with database.connection() as connection:
            connection.terminate()
        assert await database.finish("rollback prepared 'none'") is False
    finally:
        await database.close()
