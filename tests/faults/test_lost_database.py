"""When the database goes away, requests say so and nothing else; when it is back, so are they."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.lines import Line, line
from support.server import Installation, cloned, installed, url

ODATA = ("data", "web", "api")


@pytest.fixture
async def far(postgres: EmbeddedServer) -> AsyncIterator[tuple[Installation, Line]]:
    """The sample company at the other end of a line."""
    await sample.ensure_loaded(postgres)
    async with (
        cloned(postgres, sample.TEMPLATE) as address,
        line(address) as (found, through),
        installed(sample.ROOT, through, "", sample.credentials()) as site,
    ):
        site.url = site.dataverse_url = address  # plain SQL goes around the line
        yield site, found


async def test_a_database_that_was_away_is_found_again_and_one_that_is_away_is_told(
    far: tuple[Installation, Line],
) -> None:
    site, line = far
    case = sample.case(site)
    person = case.person(0)
    own = (await case.own(person))[0]
    for door in ODATA:  # connections that died while idle: a read is run again on another
        surface = case.surface(door)
        assert (await person.get(surface.orders(_top=1))).status == 200
        assert await line.cut() > 0
        assert (await person.get(url(surface.row(own), **surface.options))).status == 200
    assert (await person.get("/purchase-orders/")).status == 200
    assert not site.faults
    before = await case.stored(own)
    await line.close()
    for door in ("data", "web"):
        surface = case.surface(door)
        read = await person.get(surface.orders(_top=1))
        assert read.status == 503, (door, read.text)
        assert read.headers["retry-after"].isdigit()
        written = await person.patch(surface.row(own), {surface.column(case.writable): case.value})
        assert written.status == 503, (door, written.text)
        for answer in (read, written):
            assert "error" in answer.json
            assert not any(word in answer.text for word in ("asyncpg", "PGSQL", "Traceback", "Connection"))
    assert (await site.ask("GET", "/health")).status == 503
    assert await case.stored(own) == before
    await line.connect()
    for door in ODATA:
        assert (await person.get(case.surface(door).orders(_top=1))).status == 200
    assert (await person.get("/purchase-orders/")).status == 200
    assert (await site.ask("GET", "/health")).status == 200


async def test_a_write_whose_connection_had_died_is_done_once_or_told(far: tuple[Installation, Line]) -> None:
    site, line = far
    case = sample.case(site)
    person = case.person(0)
    own = (await case.own(person))[0]
    for door, day in zip(ODATA, ("2026-12-01", "2026-12-02", "2026-12-03"), strict=True):
        surface = case.surface(door)
        target = url(surface.row(own), **surface.options)
        assert (await person.patch(target, {surface.column(case.writable): case.value})).status == 204
        await line.cut()
        again = await person.patch(target, {surface.column(case.writable): day})
        assert again.status in (204, 503)
        expected = day if again.status == 204 else case.value
        assert str((await case.stored(own))[case.column]) == expected


async def test_the_portal_says_that_the_database_is_away(far: tuple[Installation, Line]) -> None:
    site, line = far
    case = sample.case(site)
    person = case.person(0)
    assert (await person.get("/purchase-orders/")).status == 200
    await line.close()
    try:
        for target in (case.surface("api").orders(_top=1), "/purchase-orders/", "/"):
            answer = await person.get(target)
            assert answer.status == 503
            assert "Traceback" not in answer.text
    finally:
        await line.connect()
