"""Migrations run once, in order, all or none."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database
from forecourt.store.migrate import MigrationError, migrate

FIRST = ("0001_people", "create table forecourt.person (id int); insert into forecourt.person values (1)")
SECOND = ("0002_names", "alter table forecourt.person add name text not null default ''")


async def people(database: Database) -> int:
    return int((await database.system(SystemPlan("count", "select count(*) from forecourt.person")))[0][0])


async def test_each_migration_runs_once_in_the_order_given(database: Database) -> None:
    assert await migrate(database, (FIRST,)) == ("0001_people",)
    assert await migrate(database, (FIRST, SECOND)) == ("0002_names",)
    assert await migrate(database, (FIRST, SECOND)) == ()
    assert await people(database) == 1


async def test_processes_that_start_at_once_run_them_once(database_url: str) -> None:
    databases = [await Database.open(database_url) for _ in range(4)]
    ran = await asyncio.gather(*(migrate(database, (FIRST, SECOND)) for database in databases))
    assert sorted(ran) == [(), (), (), ("0001_people", "0002_names")]
    for database in databases:
        await database.close()


async def test_a_failing_migration_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await migrate(database, (FIRST, ("0002_wrong", "create tabel x (id int)")))
    assert await migrate(database, (FIRST,)) == ("0001_people",)


async def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    await migrate(database, (FIRST, SECOND))
    with pytest.raises(MigrationError, match="newer version"):
        await migrate(database, (FIRST,))


async def test_a_migration_that_changed_after_it_ran_is_refused(database: Database) -> None:
    await migrate(database, (FIRST,))
    with pytest.raises(MigrationError, match="0001_people"):
        await migrate(database, ((FIRST[0], "select 1"), SECOND))


async def test_a_migration_that_a_module_adds_in_the_middle_runs_in_a_database_that_has_the_later_ones(
    database: Database,
) -> None:
    other = ("other-0001", "create table forecourt.thing (id int)")
    await migrate(database, (FIRST, other))
    assert await migrate(database, (FIRST, SECOND, other)) == ("0002_names",)
    assert await migrate(database, (FIRST, SECOND, other)) == ()
