"""Lines to a database server that can be cut: a socket whose bytes are passed on in both directions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"


class Line:
    """One line. ``calls``: how often somebody has tried to connect while it was there."""

    def __init__(self, target: str, folder: str) -> None:
        self._target = str(Path(target) / SOCKET)
        self._path = Path(folder) / SOCKET
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.calls = 0

    async def connect(self) -> None:
        """Lays the line, or mends it."""
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def cut(self) -> int:
        """Ends all connections; how many there were. The server's side of each is closed, which it may not notice."""
        count = len(self._open)
        for writer in list(self._open):
            writer.transport.abort()
        self._open.clear()
        return count // 2

    async def close(self) -> None:
        """Cuts the line and takes the socket away."""
        assert self._server is not None
        self._server.close()
        self._server = None
        self._path.unlink(missing_ok=True)
        await self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
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


@asynccontextmanager
async def line(address: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to the server of a database, and the database's address through it."""
    folder = tempfile.mkdtemp(prefix="forecourt-line-")
    host = parse_qs(urlsplit(address).query)["host"][0]
    found = Line(host, folder)
    await found.connect()
    try:
        yield found, f"{address.partition('?')[0]}?host={folder}"
    finally:
        if found._server is not None:
            await found.close()
        shutil.rmtree(folder)
