"""The life of maps: versions that are chosen, alerts that act, databases that change under a map, long pauses."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Alerted, Observation
from forecourt.kernel.sync import Side
from forecourt.store.embedded import EmbeddedServer
from support import pairs
from support.pairs import Pair
from support.postgres import fresh_database


@asynccontextmanager
async def pair_of(
    postgres: EmbeddedServer, root: Path, observed: list[Observation] | None = None
) -> AsyncIterator[tuple[Pair, tuple[str, str]]]:
    """A pair with two customers, its maps started; and the addresses of its databases."""
    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        observer = observed.append if observed is not None else lambda _: None
        async with pairs.opened(operations, dataverse, observer, root) as pair:
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann'), ('C2', 'Bob')")
            await pair.dual_write.start((), "test")
            yield pair, (operations, dataverse)


async def state(pair: Pair, name: str) -> tuple[str, str]:
    record = (await pair.dual_write.registry.maps())[name]
    return record.state, record.detail


# ---------------------------------------------------------------------------------------------------------- alerts


async def test_too_many_errors_pause_the_map_at_once_and_say_so(postgres: EmbeddedServer, tmp_path: Path) -> None:
    alerts = "alerts: [{errors: application, count: 3, minutes: 15, action: pause, notify: [it@contoso.test]}]\n"
    root = pairs.variant(tmp_path / "pair", orders=alerts)
    observed: list[Observation] = []
    async with pair_of(postgres, root, observed) as (pair, _):
        await pair.erp("insert into erp.orders (salesid, account) values ('X1', 'nobody'), ('X2', 'nobody')")
        await pair.drain()
        assert (await state(pair, "orders"))[0] == "running", "two are not three"
        await pair.erp("insert into erp.orders (salesid, account) values ('X3', 'nobody')")
        await pair.drain()
        assert await state(pair, "orders") == ("paused", "3 application errors in 15 minutes: 3")
        (alert,) = [item for item in observed if isinstance(item, Alerted)]
        assert (alert.map, alert.action, alert.count, alert.notify) == ("orders", "pause", 3, ("it@contoso.test",))
        entry = (await pair.dual_write.registry.activities("orders", 1))[0]
        assert (entry.what, entry.by, entry.detail) == ("paused", "alert", "3 application errors in 15 minutes: 3")
        await pair.erp("insert into erp.cust (account) values ('nobody')")
        await pair.drain()
        await pair.dual_write.resume(["orders"], "test")
        await pair.dual_write.retry(())
        assert (await state(pair, "orders"))[0] == "running", "what was before the resume does not count"
        assert await pair.differences() == []


async def test_what_a_live_writer_is_refused_counts_and_can_stop_the_map(
    postgres: EmbeddedServer, tmp_path: Path
) -> None:
    root = pairs.variant(tmp_path / "pair", orders="alerts: [{count: 2, minutes: 1, action: stop}]\n")
    async with pair_of(postgres, root) as (pair, _):
        for _ in range(2):
            with pytest.raises(Refusal, match="Unable to write data to entity PairOrder"):
                await pair.cts("create", "cts_order", cts_quantity=2_000)
        assert await state(pair, "orders") == ("not running", "2 application errors in 1 minutes: 2")
        look = "select count(*)::int from pg_trigger where tgname like 'forecourt_capture%' and tgrelid = $1::regclass"
        assert await pair.dataverse(look.replace("$1", "'dataverse.cts_order'")) == [(0,)]
        await pair.cts("create", "cts_order", cts_quantity=2_000)
        assert await pair.erp("select * from erp.orders") == []


async def test_an_alert_that_only_tells_does_so_once_in_its_minutes(postgres: EmbeddedServer, tmp_path: Path) -> None:
    root = pairs.variant(tmp_path / "pair", orders="alerts: [{errors: any, count: 1, minutes: 60}]\n")
    observed: list[Observation] = []
    async with pair_of(postgres, root, observed) as (pair, _):
        for number in range(3):
            await pair.erp("insert into erp.orders (salesid, account) values ($1, 'nobody')", f"X{number}")
            await pair.drain()
        assert [item.action for item in observed if isinstance(item, Alerted)] == ["none"]
        assert (await state(pair, "orders"))[0] == "running"


# ----------------------------------------------------------------------------------------------------------- drift


async def test_a_column_that_is_dropped_pauses_the_queue_with_the_reason(postgres: EmbeddedServer) -> None:
    async with pair_of(postgres, pairs.ROOT) as (pair, _):
        await pair.dataverse("alter table dataverse.cts_customer drop column cts_credit")
        await pair.erp("update erp.cust set name = name || '!'")
        assert await pair.drain() == 0
        reason = "customers: dataverse dataverse.cts_customer.cts_credit column dropped."
        assert await state(pair, "customers") == ("paused", reason)
        assert await pair.dual_write.registry.errors() == [], "no row is to blame"
        with pytest.raises(Refusal, match=r"dataverse\.cts_customer\.cts_credit column dropped"):
            await pair.dual_write.resume(["customers"], "test")
        await pair.dataverse("alter table dataverse.cts_customer add column cts_credit numeric(32, 6)")
        await pair.erp("update erp.cust set credit = 1")
        await pair.dual_write.resume(["customers"], "test")
        assert (await state(pair, "customers"))[0] == "running"
        assert await pair.differences() == []


async def test_a_column_that_is_dropped_pauses_a_live_map_and_the_next_write_waits(postgres: EmbeddedServer) -> None:
    async with pair_of(postgres, pairs.ROOT) as (pair, _):
        await pair.dataverse("alter table dataverse.cts_order drop column cts_note")
        with pytest.raises(Refusal, match=r"cts_order\.cts_note column dropped.*") as refused:
            await pair.order(Quantity=1)
        assert refused.value.status == 503
        assert (await state(pair, "orders"))[0] == "paused"
        await pair.order(Quantity=1)
        status = {item.record.name: item for item in await pair.dual_write.status()}
        assert status["orders"].backlog[Side.OPERATIONS] == 1


async def test_a_column_that_is_retyped_is_told_before_a_map_starts(postgres: EmbeddedServer) -> None:
    async with pair_of(postgres, pairs.ROOT) as (pair, _):
        await pair.dual_write.stop(["customers"], "test")
        await pair.erp("alter table erp.cust alter credit type text")
        with pytest.raises(Refusal, match=r"operations erp\.cust\.credit \(field Credit\) retyped") as refused:
            await pair.dual_write.start(["customers"], "test")
        assert refused.value.code == "FC6004"
        assert (await state(pair, "customers"))[0] == "not running"


# -------------------------------------------------------------------------------------------------------- versions


def second_version(root: Path) -> None:
    """A second file of the map of customers, which leaves the credit out."""
    text = (root / "maps" / "customers.yaml").read_text("utf-8").replace("  Credit: cts_credit\n", "")
    (root / "maps" / "customers-2.yaml").write_text(text + "version: 1.1.0.0\npublisher: contoso\n", "utf-8")


async def test_of_several_versions_the_chosen_one_runs(postgres: EmbeddedServer, tmp_path: Path) -> None:
    root = pairs.variant(tmp_path / "pair")
    second_version(root)
    async with pair_of(postgres, root) as (pair, _):
        life = pair.dual_write
        assert life.maps["customers"].version == "1.1.0.0", "the highest, where none is chosen"
        with pytest.raises(Refusal, match="running in version") as refused:
            await life.choose("customers", "1.0.0.0", "test")
        assert refused.value.code == "FC4093"
        await life.stop(["customers"], "test")
        with pytest.raises(Refusal, match=r"has no version 3\.0"):
            await life.choose("customers", "3.0", "test")
        assert await life.choose("customers", "1.0.0.0", "test") == "customers counts in version 1.0.0.0"
        await pair.erp("update erp.cust set credit = 5")
        await life.start(["customers"], "test")
        assert (await life.registry.maps())["customers"].version == "1.0.0.0"
        assert await pair.dataverse("select distinct cts_credit::int from dataverse.cts_customer") == [(5,)]


async def test_a_map_never_changes_its_version_while_it_runs(postgres: EmbeddedServer, tmp_path: Path) -> None:
    root = pairs.variant(tmp_path / "pair")
    async with pair_of(postgres, root) as (_, (operations, dataverse)):
        second_version(root)
        async with pairs.opened(operations, dataverse, root=root) as later:
            assert later.dual_write.maps["customers"].version == "1.0.0.0"
            await later.erp("update erp.cust set credit = 7")
            await later.drain()
            assert await later.dataverse("select distinct cts_credit::int from dataverse.cts_customer") == [(7,)]
        (root / "maps" / "customers.yaml").unlink()
        async with pairs.opened(operations, dataverse, root=root) as later:
            (status,) = await later.dual_write.status(["customers"])
            assert "version 1.0.0.0, which the solution no longer has (there is 1.1.0.0)" in status.standing
            await later.erp("update erp.cust set name = 'waits'")
            assert await later.drain() == 0
            assert (await later.dual_write.status(["customers"]))[0].backlog[Side.OPERATIONS] == 2
            assert await later.dataverse("select cts_name from dataverse.cts_customer order by 1") == [
                ("Ann",),
                ("Bob",),
            ]
        shutil.copy(pairs.ROOT / "maps" / "customers.yaml", root / "maps")
        async with pairs.opened(operations, dataverse, root=root) as later:
            await later.drain()
            assert await later.differences() == []


# ---------------------------------------------------------------------------------------------------------- pauses


@pytest.mark.parametrize("how", ["play_back", "catch_up", "discard"])
async def test_a_pause_has_no_cap_however_it_ends(postgres: EmbeddedServer, how: str) -> None:
    rows = 30_000
    async with pair_of(postgres, pairs.ROOT) as (pair, _):
        await pair.dual_write.pause(["customers"], "test")
        await pair.erp("insert into erp.cust (account, name) select 'M' || n, 'm' from generate_series(1, $1) n", rows)
        (status,) = await pair.dual_write.status(["customers"])
        assert status.backlog[Side.OPERATIONS] == rows
        await pair.dual_write.resume(["customers"], "test", how)  # type: ignore[arg-type]
        arrived = (await pair.dataverse("select count(*)::int from dataverse.cts_customer"))[0][0]
        assert arrived == {"play_back": rows + 2, "catch_up": 2, "discard": 2}[how]
        await pair.drain()
        arrived = (await pair.dataverse("select count(*)::int from dataverse.cts_customer"))[0][0]
        assert arrived == {"play_back": rows + 2, "catch_up": rows + 2, "discard": 2}[how]
        (comparison,) = await pair.forecourt.verifier.compare(pair.dual_write.maps["customers"])
        assert len(comparison.differences) == (rows if how == "discard" else 0)


async def test_discarding_is_for_paused_maps_alone(postgres: EmbeddedServer) -> None:
    async with pair_of(postgres, pairs.ROOT) as (pair, _):
        await pair.erp("update erp.cust set name = 'kept'")
        said = await pair.dual_write.resume(["customers"], "test", "discard")
        assert said == ["customers is running: not resumed (discard)"]
        await pair.drain()
        assert await pair.differences() == []


async def test_both_sides_can_be_compared_while_no_map_runs(postgres: EmbeddedServer) -> None:
    async with pair_of(postgres, pairs.ROOT) as (pair, _):
        await pair.dual_write.stop((), "test")
        await pair.erp("update erp.cust set name = 'unseen' where account = 'C1'")
        assert await pair.differences() == ["customers ('C1',): different ('cts_name',)"]
        assert await pair.drain() == 0


async def test_maps_whose_rows_refer_to_each_other_are_named(postgres: EmbeddedServer) -> None:
    async with pair_of(postgres, pairs.ROOT) as (pair, _):
        assert pair.dual_write.related(["orders"]) == ["customers"]
        assert pair.dual_write.related(["customers"]) == ["orders"]
        assert pair.dual_write.related([]) == []
