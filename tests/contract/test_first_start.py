"""What ``forecourt demo`` does with table maps: they are started once, and what somebody has stopped stays stopped."""

from __future__ import annotations

from forecourt.cli.copying import start_untouched
from forecourt.store.embedded import EmbeddedServer
from support import pairs
from support.postgres import fresh_database


async def test_maps_are_started_at_the_first_start_and_never_again(postgres: EmbeddedServer) -> None:
    async with fresh_database(postgres) as database:
        await pairs.make(database)
        async with pairs.opened(database, database) as pair:
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann')")
            done = await start_untouched(pair.forecourt)
            assert sorted(line.partition(" (")[0] for line in done) == ["customers is running", "orders is running"]
            assert await pair.dataverse("select cts_name from dataverse.cts_customer") == [("Ann",)]
            assert await start_untouched(pair.forecourt) == []
            await pair.dual_write.stop(["orders"], "test")
            assert await start_untouched(pair.forecourt) == []
            states = {item.record.name: item.record.state for item in await pair.dual_write.status()}
            assert states == {"customers": "running", "orders": "not running"}


async def test_a_start_that_was_cut_off_goes_on_at_the_next(postgres: EmbeddedServer) -> None:
    async with fresh_database(postgres) as database:
        await pairs.make(database)
        async with pairs.opened(database, database) as pair:
            await pair.dual_write.start((), "test")
            await pair.erp("update forecourt.sync_map set state = 'initializing' where name = 'orders'")
            (done,) = await start_untouched(pair.forecourt)
            assert done.startswith("orders is running")
