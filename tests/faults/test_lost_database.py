"""When the database goes away, requests say so and nothing else; when it is back, so are they."""

from __future__ import annotations

import asyncpg
import pytest

from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import Case, Installation, url

ODATA = ("data", "web", "api")


async def cut(server: EmbeddedServer, site: Installation) -> int:
    """Ends every connection to the installation's database; how many there were."""
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        return int(
            await connection.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1 and pid <> $2",
                site.url.rpartition("/")[2].partition("?")[0],
                connection.get_server_pid(),
            )
        )
    finally:
        await connection.close()


async def allow(server: EmbeddedServer, site: Installation, *, connections: bool) -> None:
    name = site.url.rpartition("/")[2].partition("?")[0]
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute(f'alter database "{name}" with allow_connections {str(connections).lower()}')
    finally:
        await connection.close()


async def warm(case: Case) -> None:
    person = case.person(0)
    for door in ODATA:
        assert (await person.get(case.surface(door).orders(_top=1))).status == 200


@pytest.fixture
def case(contoso_alone: Installation) -> Case:
    return sample.case(contoso_alone)


async def test_a_database_that_was_away_is_found_again_and_one_that_is_away_is_told(
    case: Case, postgres: EmbeddedServer
) -> None:
    person, site = case.person(0), case.site
    own = (await case.own(person))[0]
    site._plain.clear()
    for door in ODATA:  # connections that died while idle: a read is run again on another
        await warm(case)
        assert await cut(postgres, site) > 0
        surface = case.surface(door)
        assert (await person.get(url(surface.row(own), **surface.options))).status == 200
    assert not site.faults
    await warm(case)
    await allow(postgres, site, connections=False)
    await cut(postgres, site)
    try:
        for door in ODATA:
            surface = case.surface(door)
            for answer in (
                await person.get(surface.orders(_top=1)),
                await person.patch(url(surface.row(own), **surface.options), {surface.column(case.writable): None}),
            ):
                assert answer.status == 503, (door, answer.text)
                assert "error" in answer.json
                assert not any(word in answer.text for word in ("asyncpg", "postgres", "Traceback", "allow_conn"))
        page = await person.get("/purchase-orders/")
        assert page.status == 503
        assert "Traceback" not in page.text
        assert (await site.ask("GET", "/health")).status == 503
    finally:
        await allow(postgres, site, connections=True)
    await warm(case)
    assert (await person.get("/purchase-orders/")).status == 200
    assert (await site.ask("GET", "/health")).status == 200


async def test_a_write_whose_connection_had_died_is_done_once_or_told(case: Case, postgres: EmbeddedServer) -> None:
    person, site = case.person(0), case.site
    surface = case.surface("data")
    order = (await case.own(person))[0]
    target = surface.row(order)
    assert (await person.patch(target, {case.writable: "2026-12-01"})).status == 204
    site._plain.clear()
    await cut(postgres, site)
    answer = await person.patch(target, {case.writable: case.value})
    assert answer.status in (204, 503)
    expected = case.value if answer.status == 204 else "2026-12-01"
    assert str((await case.stored(order))[case.column]) == expected
