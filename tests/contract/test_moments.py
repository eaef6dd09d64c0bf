"""The databases' moment: as it was while nothing is written, another one after every commit, wherever it is made."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.moments import Moments
from support.postgres import fresh_database


async def test_a_commit_in_any_database_of_the_server_ends_the_moment(
    postgres: EmbeddedServer, database: Database
) -> None:
    moments = Moments((database, database))
    async with fresh_database(postgres) as other:
        for url in (database.url, other):
            connection = await asyncpg.connect(url)
            before = await moments()
            await connection.execute("create table seen (a int); insert into seen values (1)")
            made = await moments()
            await connection.execute("update seen set a = 2")
            changed = await moments()
            await connection.execute("delete from seen")
            assert len({before, made, changed, await moments()}) == 4
            await connection.close()


async def test_the_moment_stays_while_nobody_writes_and_reading_is_no_writing(database: Database) -> None:
    moments = Moments((database,))
    for _ in range(10_000):  # other tests write on the server meanwhile
        before = await moments()
        await database._fetch(database._key, "select count(*) from pg_class", ())
        if await moments() == before:
            return
    pytest.fail("the moment never stays")


async def test_with_foreign_tables_no_moment_stays_for_what_they_hold_is_written_elsewhere(database: Database) -> None:
    async with database.transaction("set the stage") as tx:
        await tx.execute("create foreign data wrapper far; create server far foreign data wrapper far")
        await tx.execute("create foreign table far (a int) server far")
    moments = Moments((database,))
    assert len({await moments() for _ in range(20)}) == 20


async def test_those_who_ask_at_once_share_a_question_that_is_sent_after_they_asked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0
    asked, gate = asyncio.Event(), asyncio.Event()

    async def moment(self: Database) -> str:
        nonlocal sent
        sent += 1
        number = sent
        asked.set()
        await gate.wait()
        return str(number)

    monkeypatch.setattr(Database, "moment", moment)
    moments = Moments((database,))
    first = [asyncio.ensure_future(moments()) for _ in range(5)]
    await asked.wait()
    later = [asyncio.ensure_future(moments()) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*first) == [("1",)] * 5
    assert await asyncio.gather(*later) == [("2",)] * 5, "their question was sent after theirs had been asked"
