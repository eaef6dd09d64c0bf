"""The embedded server survives what happens to servers: kills, crashes, left-over files, odd folders."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from forecourt.kernel.errors import Unavailable
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database
from forecourt.store.embedded import SYSTEM_USER, EmbeddedServer
from forecourt.store.statements import ReadStatement

ONE = ReadStatement("select count(*) from kept", (), ("n",), lane="key")


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="forecourt-faults-"))
    yield path
    for process in processes(path):
        os.kill(process, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


def postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


def processes(folder: Path) -> list[int]:
    """The server processes that work in the folder's data directory."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and (entry / "cwd").readlink() == folder / "postgres":
                found.append(int(entry.name))
    return found


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@contextlib.asynccontextmanager
async def opened(server: EmbeddedServer) -> AsyncIterator[Database]:
    database = await Database.open(server.url(), patience=5)
    try:
        yield database
    finally:
        await database.close()


async def keep_a_row(database: Database) -> None:
    await database.script("keep something", "create table kept (x int); insert into kept values (1)")


async def kept(database: Database) -> int:
    return int((await database.read(ONE, (), {})).rows[0][0])


async def test_the_server_has_the_settings_and_the_order_of_text_that_the_rest_relies_on(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    async with opened(server) as database:
        shown = {
            name: (await database.system(SystemPlan("look", f"show {name}")))[0][0]
            for name in ("fsync", "max_prepared_transactions", "max_connections", "listen_addresses", "shared_buffers")
        }
        assert shown == {
            "fsync": "on",
            "max_prepared_transactions": "64",
            "max_connections": "200",
            "listen_addresses": "",
            "shared_buffers": "256MB",
        }
        texts = ["a", "B", "b", "Ä", "ä", "z", "￿", "😀"]
        query = "select array_agg(x order by x), array_agg(lower(x) order by x) from unnest($1::text[]) x"
        ((ordered, lowered),) = await database.system(SystemPlan("sort", query, (texts,)))
        assert ordered == sorted(texts) and lowered == [text.lower() for text in sorted(texts)]
    server.stop()


async def test_a_killed_server_recovers_at_the_next_start_and_open_databases_find_it_again(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    async with opened(server) as database:
        await keep_a_row(database)
        assert await kept(database) == 1
        os.kill(postmaster(folder), signal.SIGKILL)
        until(lambda: not processes(folder))
        with pytest.raises(Unavailable):
            await kept(database)
        again = EmbeddedServer.start(folder)
        assert await kept(database) == 1
        again.stop()
    server.stop()
    assert not processes(folder)


async def test_a_start_right_after_the_kill_waits_for_what_is_left_of_the_old_server(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    async with opened(server) as database:
        await keep_a_row(database)
        os.kill(postmaster(folder), signal.SIGKILL)
        again = EmbeddedServer.start(folder)
        assert await kept(database) == 1
    again.stop()
    server.stop()


async def test_all_of_the_server_killed_at_once_recovers(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    async with opened(server) as database:
        await keep_a_row(database)
    for process in processes(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    server.stop()
    server = EmbeddedServer.start(folder)
    async with opened(server) as database:
        assert await kept(database) == 1
    server.stop()


async def test_reads_wait_while_the_server_recovers_from_the_death_of_one_of_its_processes(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    async with opened(server) as database:
        await keep_a_row(database)
        other = await asyncpg.connect(server.url())
        os.kill(other.get_server_pid(), signal.SIGKILL)  # the server then restarts all of its sessions
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError):
            while True:
                await other.fetch("select 1")
        other.terminate()
        assert await asyncio.gather(*(kept(database) for _ in range(20))) == [1] * 20
    server.stop()


async def test_a_left_over_process_number_that_now_belongs_to_another_program_does_no_harm(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    file = folder / "postgres" / "postmaster.pid"
    content, owner = file.read_text().splitlines(), file.stat()
    for process in processes(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    server.stop()
    root = os.geteuid() == 0
    other = subprocess.Popen(["sleep", "600"], user=owner.st_uid if root else None)
    try:
        file.write_text("\n".join([str(other.pid), *content[1:], ""]))
        os.chown(file, owner.st_uid, owner.st_gid)
        server = EmbeddedServer.start(folder)
        server.stop()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("name", ["x" * 150, "with space, 'quote' and ünicode"])
async def test_any_folder_name_will_do(folder: Path, name: str) -> None:
    server = EmbeddedServer.start(folder / name)
    server.ensure_database('odd "name"')
    server.ensure_database('odd "name"')
    connection = await asyncpg.connect(server.url('odd "name"'))
    assert await connection.fetchval("select current_database()") == 'odd "name"'
    await connection.close()
    server.stop()


async def test_a_folder_that_holds_something_else_is_left_as_it_is(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "precious").write_text("data")
    with pytest.raises(Unavailable, match="not a database"):
        EmbeddedServer.start(folder)
    assert (folder / "postgres" / "precious").read_text() == "data"


async def test_a_server_that_cannot_start_says_why_instead_of_trying_for_ever(folder: Path) -> None:
    EmbeddedServer.start(folder).stop()
    (folder / "postgres" / "postgresql.auto.conf").write_text("max_connections = 'many'\n")
    with pytest.raises(Unavailable, match="max_connections"):
        EmbeddedServer.start(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_runs_it_as_well(folder: Path) -> None:
    EmbeddedServer.start(folder / "root").stop()  # opens the way to the programs, and makes the account
    account = pwd.getpwnam(SYSTEM_USER)
    os.chown(folder, account.pw_uid, account.pw_gid)
    code = (
        "import os, sys; from pathlib import Path; from forecourt.store.embedded import EmbeddedServer\n"
        "assert os.geteuid() != 0; EmbeddedServer.start(Path(sys.argv[1]) / 'own').stop(); print('fine')"
    )
    become = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": (), "cwd": "/"}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for interpreter in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):  # it may lie where only root may go
            done = subprocess.run(
                [interpreter, "-c", code, str(folder)], env=environment, capture_output=True, text=True, **become
            )
            assert done.stdout.strip() == "fine", done.stderr
            return
    pytest.skip("no interpreter that another user may run")
