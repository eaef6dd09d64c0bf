"""Rows that both sides have changed: seen however far apart the changes are, and decided by the map's rule."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from forecourt.integration.dual_write.queued import BATCH
from forecourt.kernel.steps import Step, unwatched
from forecourt.store.embedded import EmbeddedServer
from support import pairs
from support.pairs import Pair
from support.postgres import fresh_database


@asynccontextmanager
async def pair_of(postgres: EmbeddedServer, root: Path, step: Step = unwatched) -> AsyncIterator[Pair]:
    """A pair with many customers, its maps started."""
    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        async with pairs.opened(operations, dataverse, root=root, step=step) as pair:
            await pair.erp("insert into erp.cust (account, name) select 'C' || n, 'old' from generate_series(1, 300) n")
            await pair.dual_write.start((), "test")
            yield pair


async def names(pair: Pair, account: str) -> tuple[str, str]:
    """What the ERP and Dataverse call a customer."""
    ((ours,),) = await pair.erp("select name from erp.cust where account = $1", account)
    ((theirs,),) = await pair.dataverse("select cts_name from dataverse.cts_customer where cts_number = $1", account)
    return ours, theirs


@pytest.mark.parametrize("versions", ["latest", "every"])
@pytest.mark.parametrize("rule", ["operations", "dataverse", "newer", "manual"])
async def test_a_conflict_is_seen_however_far_apart_the_changes_are(
    postgres: EmbeddedServer, tmp_path: Path, rule: str, versions: str
) -> None:
    lines = f"conflict: {{resolve: {rule}}}\nversions: {versions}\n"
    async with pair_of(postgres, pairs.variant(tmp_path / "pair", customers=lines)) as pair:
        for number in range(2, BATCH + 20):
            await pair.erp("update erp.cust set name = 'ours' where account = $1", f"C{number}")
        await pair.erp("update erp.cust set name = 'ours' where account = 'C1'")
        await pair.dataverse("update dataverse.cts_customer set cts_name = 'theirs' where cts_number = 'C1'")
        for number in range(200, 200 + BATCH):
            await pair.dataverse("update dataverse.cts_customer set cts_name = 'x' where cts_number = $1", f"C{number}")
        await pair.drain()
        stands = {"operations": "ours", "dataverse": "theirs", "newer": "theirs"}
        expected = (stands[rule], stands[rule]) if rule != "manual" else ("ours", "theirs")
        assert await names(pair, "C1") == expected
        assert await names(pair, f"C{BATCH + 19}") == ("ours", "ours")
        assert await names(pair, f"C{199 + BATCH}") == ("x", "x")
        errors = await pair.dual_write.registry.errors()
        assert [(error.key, error.kind) for error in errors] == ([(("C1",), "conflict")] if rule == "manual" else [])
        assert await pair.drain() == 0
        assert len(await pair.differences()) == (1 if rule == "manual" else 0)


@pytest.mark.parametrize("rule", ["operations", "dataverse", "manual"])
async def test_a_change_that_comes_while_the_other_sides_is_applied_is_a_conflict_too(
    postgres: EmbeddedServer, tmp_path: Path, rule: str
) -> None:
    meanwhile: list[Callable[[], Awaitable[object]]] = []

    async def step(label: str) -> None:
        if label == "queued: read" and meanwhile:
            await meanwhile.pop()()

    root = pairs.variant(tmp_path / "pair", customers=f"conflict: {{resolve: {rule}}}\n")
    async with pair_of(postgres, root, step) as pair:
        await pair.erp("update erp.cust set name = 'ours' where account = 'C1'")
        sql = "update dataverse.cts_customer set cts_name = 'theirs' where cts_number = 'C1'"
        meanwhile.append(lambda: pair.dataverse(sql))
        await pair.dual_write.queue.drain(pair.dual_write.maps["customers"])
        assert meanwhile == [], "it came behind what was read, before it was applied"
        await pair.drain()
        expected = {"operations": ("ours", "ours"), "dataverse": ("theirs", "theirs"), "manual": ("ours", "theirs")}
        assert await names(pair, "C1") == expected[rule]


async def test_of_a_delete_and_a_change_the_rule_says_which_stands(postgres: EmbeddedServer, tmp_path: Path) -> None:
    root = pairs.variant(tmp_path / "pair", customers="conflict: {resolve: dataverse}\n")
    async with pair_of(postgres, root) as pair:
        await pair.erp("delete from erp.cust where account in ('C1', 'C2')")
        await pair.dataverse("update dataverse.cts_customer set cts_name = 'kept' where cts_number = 'C1'")
        await pair.drain()
        assert await names(pair, "C1") == ("kept", "kept")
        assert await pair.erp("select * from erp.cust where account = 'C2'") == []
        assert await pair.differences() == []


async def test_an_old_version_never_has_the_last_word(postgres: EmbeddedServer, tmp_path: Path) -> None:
    """Dataverse's versions come after the ERP's change has won over them."""
    lines = "conflict: {resolve: operations}\nversions: every\n"
    async with pair_of(postgres, pairs.variant(tmp_path / "pair", customers=lines)) as pair:
        for name in ("one", "two", "three"):
            await pair.dataverse("update dataverse.cts_customer set cts_name = $1 where cts_number = 'C1'", name)
        await pair.erp("update erp.cust set name = 'ours' where account = 'C1'")
        await pair.drain()
        assert await names(pair, "C1") == ("ours", "ours")
        assert await pair.drain() == 0
        assert await pair.differences() == []
