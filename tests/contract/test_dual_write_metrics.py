"""/metrics says how copies stand, however often it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from forecourt.cli.copy_metrics import copy_metrics
from forecourt.kernel.observe import Observation, SystemWork
from forecourt.server import Server
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.work import decider_name
from support import pairs
from support.pairs import Pair
from support.postgres import fresh_database
from support.server import ask


@dataclass
class Case:
    pair: Pair
    registry: CollectorRegistry
    observed: list[Observation]

    async def scrape(self) -> dict[str, float]:
        """The samples, looked up anew."""
        answer = await ask(Server(self.pair.forecourt, self.registry), "GET", "/metrics")
        assert answer.status == 200
        lines = [line for line in answer.text.splitlines() if line.startswith("forecourt_") and "_created" not in line]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
async def case(postgres: EmbeddedServer) -> AsyncIterator[Case]:
    registry, observed = CollectorRegistry(), list[Observation]()
    counted = copy_metrics(registry)

    def observer(observation: Observation) -> None:
        observed.append(observation)
        counted(observation)

    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        async with pairs.opened(operations, dataverse, observer) as pair:
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann'), ('C2', 'Bob')")
            await pair.dual_write.start((), "test")
            yield Case(pair, registry, observed)


async def test_what_waits_and_what_has_moved_is_told_by_map_and_side(case: Case) -> None:
    await case.pair.order(Quantity=1)
    await case.pair.erp("update erp.cust set name = 'waits'")
    await case.pair.erp("insert into erp.orders (salesid, account) values ('X1', 'nobody')")
    await case.pair.dual_write.queue.drain(case.pair.dual_write.maps["orders"])
    found = await case.scrape()
    assert found['forecourt_sync_backlog_rows{map="customers",side="operations"}'] == 2
    assert found['forecourt_sync_backlog_rows{map="customers",side="dataverse"}'] == 0
    assert found['forecourt_sync_lag_seconds{map="customers",side="operations"}'] > 0
    assert found['forecourt_sync_rows_total{map="orders",operation="written",side="operations"}'] == 1
    assert found['forecourt_sync_row_errors_total{map="orders",side="operations"}'] == 1
    assert found['forecourt_sync_errors{map="orders"}'] == 1
    assert found['forecourt_sync_state{map="orders",state="running"}'] == 1
    assert found['forecourt_sync_state{map="orders",state="paused"}'] == 0
    await case.pair.drain()
    found = await case.scrape()
    assert found['forecourt_sync_backlog_rows{map="customers",side="operations"}'] == 0
    assert found['forecourt_sync_rows_total{map="customers",operation="written",side="operations"}'] == 2


async def test_a_prepared_transaction_that_is_left_behind_is_told_with_its_age(case: Case) -> None:
    assert (await case.scrape())["forecourt_prepared_transactions"] == 0
    name = await decider_name(case.pair.forecourt.databases.dataverse)
    connection = await asyncpg.connect(case.pair.forecourt.databases.operations.url)
    try:
        await connection.execute(
            f"begin; insert into erp.cust (account) values ('X'); prepare transaction 'forecourt:{name}:1'"
        )
        found = await case.scrape()
        assert found["forecourt_prepared_transactions"] == 1
        assert found["forecourt_prepared_transaction_age_seconds"] >= 0
        await connection.execute(f"rollback prepared 'forecourt:{name}:1'")
    finally:
        await connection.close()


async def test_however_many_ask_one_looks(case: Case) -> None:
    server = Server(case.pair.forecourt, case.registry)
    await ask(server, "GET", "/metrics")
    case.observed.clear()
    for _ in range(20):
        assert (await ask(server, "GET", "/metrics")).status == 200
    assert [item for item in case.observed if isinstance(item, SystemWork)] == []
