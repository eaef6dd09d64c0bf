"""Plain SQL under a mapped database role gives the rows of ``/data?cross-company=true``, of every entity."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from forecourt.store.embedded import EmbeddedServer
from support import adventureworks as aw
from support import contoso as sample
from support.native import forget, native_access, native_connection
from support.server import Installation, url

#: People of the sample company, of each kind: outside, inside, in one legal entity, administrators, nobody.
SAMPLE_PEOPLE = """
select distinct on (roles) id from (
    select u.id, array_agg(r.role order by r.role) as roles from erp.userinfo u
    left join erp.securityuserrole r on r.user_ = u.id group by u.id) p
order by roles, id
"""


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with sample.contoso_site(postgres) as opened:
        yield opened
        await drop(opened)


@pytest.fixture(scope="module")
async def attached(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    if not aw.DUMP.is_file():
        pytest.skip(aw.MISSING)
    async with aw.adventureworks_site(postgres) as opened:
        yield opened
        await drop(opened)


async def drop(site: Installation) -> None:
    logins = (await (await native_access(site)).plan()).logins
    await forget(site, *(user for _, user in logins))


async def at_data(site: Installation, user: str, entity: Any) -> list[tuple[str, ...]] | str:
    """The keys of all rows of an entity that ``/data`` gives to a user, sorted, or the code of the refusal."""
    person = await site.operations_user(user)
    target = url(f"/data/{entity.collection}", _select=",".join(entity.key), cross_company=True)
    answer = await person.get(target)
    if answer.status != 200:
        return answer.refusal
    rows = await person.everything(target)
    return sorted(tuple(str(row[name]) for name in entity.key) for row in rows)


async def by_sql(connection: asyncpg.Connection, entity: Any) -> list[tuple[str, ...]] | str:
    """The same by plain SQL."""
    columns = ", ".join(f'"{name}"' for name in entity.key)
    try:
        rows = await connection.fetch(f'select {columns} from forecourt_data."{entity.collection}"')
    except asyncpg.InsufficientPrivilegeError:
        return "FC3001"
    return sorted(tuple(str(value) for value in row) for row in rows)


async def differing(site: Installation, users: list[str]) -> tuple[list[str], int]:
    """Where the two doors differ, and how many rows were the same."""
    found, same = [], 0
    for user in users:
        async with native_connection(site, user) as connection:
            for entity in site.forecourt.definitions.operations.model.entities.values():
                theirs, ours = await at_data(site, user, entity), await by_sql(connection, entity)
                if theirs != ours and not (theirs == "FC3001" and ours == []):
                    found.append(f"{user} {entity.collection}: {len(theirs)} at /data, {len(ours)} by SQL")
                same += len(ours) if isinstance(ours, list) else 0
    return found, same


async def test_everybody_of_the_sample_company_gets_the_same_rows_by_sql_as_at_data(site: Installation) -> None:
    users = [str(row[0]) for row in await site.sql(SAMPLE_PEOPLE)]
    assert len(users) > 5
    found, same = await differing(site, users)
    assert found == []
    assert same > 1000


async def test_everybody_of_adventureworks_gets_the_same_rows_by_sql_as_at_data(attached: Installation) -> None:
    users = list(attached.forecourt.definitions.operations.users)
    found, same = await differing(attached, users)
    assert found == []
    assert same > 1000
