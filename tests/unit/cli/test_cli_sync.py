"""``forecourt sync audit``: administrators find who has written a row."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from forecourt.cli import main
from forecourt.store.embedded import EmbeddedServer
from support import pairs
from support.postgres import fresh_database

Audit = Callable[..., Awaitable[list[str]]]


@pytest.fixture
async def audit(postgres: EmbeddedServer, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Audit]:
    """The command line to a pair whose maps run and in which an order was made on either side."""

    async def run(*arguments: str) -> list[str]:
        def work() -> None:
            with pytest.raises(SystemExit) as done:
                main(["sync", "audit", str(pairs.ROOT), *arguments])
            assert done.value.code == 0

        capsys.readouterr()
        await asyncio.to_thread(work)
        return capsys.readouterr().out.splitlines()

    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        async with pairs.opened(operations, dataverse) as pair:
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann')")
            await pair.dual_write.start((), "test")
            await pair.order(Quantity=1)
            await pair.cts("create", "cts_order", cts_quantity=2)
            yield run


async def test_the_newest_entry_comes_first_in_one_line(audit: Audit) -> None:
    first, *_, last = await audit()
    assert "orders, live to operations: create 1 row of PairOrderEntity by forecourt.integration for" in first
    assert first.endswith(": O-000002")
    assert "customers, initial to dataverse: create 1 row of cts_customer by forecourt.integration: source" in last


async def test_entries_are_found_by_map_key_and_page(audit: Audit) -> None:
    (line,) = await audit("orders", "--key", "O-000001")
    assert "orders, live to dataverse: create 1 row of cts_order" in line
    number = line.partition(" ")[0]
    assert await audit("orders", "--before", number) == []
    assert len(await audit("--before", number)) == 1
    assert len(await audit("--limit", "1")) == 1
    assert await audit("--until", "2020-01-01") == []
    assert len(await audit("--since", "2020-01-01T08:00")) == 4


async def test_json_has_every_field(audit: Audit) -> None:
    (line,) = await audit("--key", "O-000001", "--json")
    logged = json.loads(line)
    entry = logged.pop("entry")
    assert logged.pop("principal") == "forecourt.integration"
    assert set(logged) == {"number", "at", "work"}
    assert entry == {
        "map": "orders",
        "engine": "live",
        "direction": "to_dataverse",
        "target": "cts_order",
        "operation": "create",
        "rows": 1,
        "fields": ["cts_number"],
        "keys": [["O-000001"]],
        "span": None,
        "caused_by": "forecourt.integration",
    }
