"""When the database goes away, requests say so and nothing else; when it is back, so are they."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import Installation, cloned, installed, url

ODATA = ("data", "web", "api")
SOCKET = ".s.PGSQL.5432"


class Line:
    """A line to the server that can be cut: a socket whose bytes are passed on in both directions."""

    def __init__(self, target: str, folder: str) -> None:
        self._target = str(Path(target) / SOCKET)
        self._path = Path(folder) / SOCKET
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def connect(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def cut(self) -> int:
        """Ends all connections; how many there were."""
        count = len(self._open)
        for writer in list(self._open):
            writer.transport.abort()
        self._open.clear()
        return count // 2

    async def close(self) -> None:
        """Cuts the line and takes the socket away."""
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)
        await self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._target)
        self._open |= {writer, back}
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await asyncio.gather(_pass(reader, back), _pass(there, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@pytest.fixture
async def far(postgres: EmbeddedServer) -> AsyncIterator[tuple[Installation, Line]]:
    """The sample company at the other end of a line."""
    await sample.ensure_loaded(postgres)
    folder = tempfile.mkdtemp(prefix="forecourt-line-")
    async with cloned(postgres, sample.TEMPLATE) as address:
        host = parse_qs(urlsplit(address).query)["host"][0]
        line = Line(host, folder)
        await line.connect()
        through = f"{address.partition('?')[0]}?host={folder}"
        async with installed(sample.ROOT, through, "", sample.credentials()) as site:
            site.url = site.dataverse_url = address  # plain SQL goes around the line
            yield site, line
        await line.close()
    shutil.rmtree(folder)


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
