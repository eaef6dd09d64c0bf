"""A NATS server with JetStream on loopback, which can be killed, and come back with or without what it held."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

SERVER = Path(sys.executable).parent / "nats-server"


class NatsServer:
    """One server. ``folder``: of its own; ``options``: of its command line."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.port = -1

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts it, on the port that it had before, if any, and waits until it answers."""
        arguments = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder / "store")]
        ports = ["--ports_file_dir", str(self._folder)] if self.port < 0 else []
        self._process = await asyncio.create_subprocess_exec(
            str(SERVER),
            *arguments,
            *ports,
            *self._options,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(20):
            while not await self._answers():
                assert self._process.returncode is None, "the server has ended"
                await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        if self.port < 0:
            for file in self._folder.glob("*.ports"):
                with suppress(ValueError, KeyError):
                    self.port = int(json.loads(file.read_text("utf-8"))["nats"][0].rpartition(":")[2])
            return False
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    async def kill(self, forgetting: bool = False) -> None:
        """Ends it at once. ``forgetting``: its disk is lost as well."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if forgetting:
            shutil.rmtree(self._folder / "store", ignore_errors=True)


@asynccontextmanager
async def running(folder: Path, *options: str) -> AsyncIterator[NatsServer]:
    """A server for the block."""
    folder.mkdir(parents=True, exist_ok=True)
    server = NatsServer(folder, *options)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
