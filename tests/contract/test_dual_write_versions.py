"""Every version of a row, in the order in which its writers committed them; and the versions of a map."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forecourt.store.embedded import EmbeddedServer
from support import pairs
from support.pairs import Pair
from support.postgres import fresh_database

#: What happens to the customers of Dataverse, as they see it.
WITNESS = """
create table witness (n bigint generated always as identity, number text, what text, name text);
create function witnessed() returns trigger language plpgsql as $$
begin
    insert into witness (number, what, name)
    values (coalesce(new.cts_number, old.cts_number), lower(tg_op), coalesce(new.cts_name, old.cts_name));
    return null;
end $$;
create trigger witnessed after insert or update or delete on dataverse.cts_customer
for each row execute function witnessed();
"""


@pytest.fixture
async def every(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Pair]:
    """The pair, whose customers are sent in every version."""
    root = pairs.variant(tmp_path / "pair", customers="versions: every\n")
    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        async with pairs.opened(operations, dataverse, root=root) as pair:
            await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann'), ('C2', 'Bob')")
            await pair.dual_write.start((), "test")
            await pair.forecourt.databases.dataverse.script("witness", WITNESS)
            yield pair


async def seen(pair: Pair, number: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in await pair.dataverse(
        "select what, name from witness where number = $1 order by n", number
    )]  # fmt: skip


async def test_each_version_arrives_in_turn(every: Pair) -> None:
    for name in ("NameA", "NameB", "NameC"):
        await every.erp("update erp.cust set name = $1 where account = 'C1'", name)
    await every.drain()
    assert await seen(every, "C1") == [("update", "NameA"), ("update", "NameB"), ("update", "NameC")]
    assert await every.drain() == 0
    assert await every.differences() == []


async def test_a_row_that_comes_and_goes_does_so_there_too(every: Pair) -> None:
    await every.erp("insert into erp.cust (account, name) values ('C3', 'one')")
    await every.erp("update erp.cust set name = 'two' where account = 'C3'")
    await every.erp("delete from erp.cust where account = 'C3'")
    await every.erp("insert into erp.cust (account, name) values ('C3', 'three')")
    await every.drain()
    assert await seen(every, "C3") == [("insert", "one"), ("update", "two"), ("delete", "two"), ("insert", "three")]
    assert await every.differences() == []


async def test_a_pause_keeps_every_version_and_plays_them_back(every: Pair) -> None:
    await every.dual_write.pause(["customers"], "test")
    for name in ("one", "two", "three"):
        await every.erp("update erp.cust set name = $1 || account", name)
    await every.erp("delete from erp.cust where account = 'C2'")
    await every.drain()
    assert await seen(every, "C1") == []
    await every.dual_write.resume(["customers"], "test")
    assert await seen(every, "C1") == [("update", "oneC1"), ("update", "twoC1"), ("update", "threeC1")]
    assert [what for what, _ in await seen(every, "C2")] == ["update", "update", "update", "delete"]
    assert await every.differences() == []


async def test_keys_that_change_hands_take_their_rows_along(every: Pair) -> None:
    await every.erp("update erp.cust set account = 'C9' where account = 'C1'")
    await every.erp("update erp.cust set account = 'C1' where account = 'C2'")
    await every.erp("update erp.cust set name = 'Bert' where account = 'C1'")
    await every.drain()
    rows = await every.dataverse("select cts_number, cts_name from dataverse.cts_customer order by 1")
    assert rows == [("C1", "Bert"), ("C9", "Ann")]
    assert await seen(every, "C1") == [("delete", "Ann"), ("insert", "Bob"), ("update", "Bert")]
    assert await every.differences() == []


async def test_versions_of_many_rows_are_written_as_sets(every: Pair) -> None:
    await every.erp("insert into erp.cust (account, name) select 'M' || n, 'a' from generate_series(1, 5000) n")
    await every.erp("update erp.cust set name = 'b' where account like 'M%'")
    await every.erp("delete from erp.cust where account like 'M%' and right(account, 1) = '0'")
    await every.drain()
    counts = "select what, count(*)::int from witness where number like 'M%' group by what order by what"
    assert await every.dataverse(counts) == [("delete", 500), ("insert", 5000), ("update", 5000)]
    assert await every.differences() == []


async def test_a_version_in_error_is_kept_until_a_later_one_arrives(every: Pair) -> None:
    await every.forecourt.databases.dataverse.script(
        "a rule", "alter table dataverse.cts_customer add constraint polite check (cts_name <> 'rude')"
    )
    await every.erp("update erp.cust set name = 'rude' where account = 'C1'")
    await every.erp("update erp.cust set name = 'well' where account = 'C2'")
    await every.drain()
    (error,) = await every.dual_write.registry.errors()
    assert (error.key, error.kind) == (("C1",), "application")
    await every.erp("update erp.cust set name = 'kind' where account = 'C1'")
    await every.drain()
    assert await every.dual_write.registry.errors() == []
    await every.erp("update erp.cust set name = 'fine' where account = 'C1'")
    await every.erp("update erp.cust set name = 'rude' where account = 'C1'")
    await every.drain()
    assert [item.key for item in await every.dual_write.registry.errors()] == [("C1",)]
    assert await seen(every, "C1") == [("update", "kind"), ("update", "fine")]
