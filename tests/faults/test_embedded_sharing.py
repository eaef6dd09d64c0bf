"""Several processes use one folder's server at once; it stops with the last of them, however they end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from test_embedded import postmaster, processes, until

from forecourt.store.embedded import EmbeddedServer

USER = """
import sys
from pathlib import Path
from forecourt.store.embedded import EmbeddedServer
server = EmbeddedServer.start(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""


class Peer:
    """Another process that uses the server until it is told to exit."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def leave(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="forecourt-faults-"))
    yield path
    for process in processes(path):
        os.kill(process, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


async def works(server: EmbeddedServer) -> bool:
    connection = await asyncpg.connect(server.url())
    try:
        return bool(await connection.fetchval("select true"))
    finally:
        await connection.close()


async def test_processes_that_start_at_once_on_a_new_folder_share_one_server(folder: Path) -> None:
    peers = [Peer(folder) for _ in range(3)]
    for peer in peers:
        peer.ready()
    server = EmbeddedServer.start(folder)
    number = postmaster(folder)
    for peer in peers:
        peer.leave()
    assert await works(server) and postmaster(folder) == number
    server.stop()
    assert not processes(folder)


async def test_the_server_outlives_the_process_that_started_it(folder: Path) -> None:
    first = Peer(folder)
    first.ready()
    server = EmbeddedServer.start(folder)
    first.leave()
    assert await works(server)
    server.stop()
    assert not processes(folder)


async def test_a_killed_user_neither_stops_the_server_nor_keeps_it_from_stopping(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    peer = Peer(folder)
    peer.ready()
    peer.kill()
    assert await works(server)
    server.stop()
    assert not processes(folder)


async def test_a_server_left_by_killed_users_is_joined_and_stopped_by_the_next(folder: Path) -> None:
    peers = [Peer(folder), Peer(folder)]
    for peer in peers:
        peer.ready()
    number = postmaster(folder)
    for peer in peers:
        peer.kill()
    server = EmbeddedServer.start(folder)
    assert postmaster(folder) == number and await works(server)
    server.stop()
    assert not processes(folder)


async def test_server_and_user_killed_together_leave_a_folder_that_starts_again(folder: Path) -> None:
    peer = Peer(folder)
    peer.ready()
    os.kill(postmaster(folder), signal.SIGKILL)
    peer.kill()
    server = EmbeddedServer.start(folder)
    assert await works(server)
    server.stop()
    until(lambda: not processes(folder))


async def test_two_holds_of_one_process_count_as_two(folder: Path) -> None:
    first, second = EmbeddedServer.start(folder), EmbeddedServer.start(folder)
    first.stop()
    first.stop()
    assert await works(second)
    second.stop()
    assert not processes(folder)


def test_a_forked_child_is_not_a_user_of_its_own(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    child = os.fork()
    if child == 0:
        server.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert processes(folder)
    server.stop()
    assert not processes(folder)
