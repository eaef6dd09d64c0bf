"""Workers that are called over NATS: whatever becomes of them, of messages or of the NATS server, each change arrives
once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import nats
import pytest

from forecourt.integration.dual_write.jetstream import Access, JetStream
from forecourt.integration.dual_write.transport import Offer, Relay, Worker
from forecourt.kernel.errors import Unavailable
from forecourt.kernel.integration_log import Filter
from forecourt.kernel.observe import Observation, nobody
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.integration_log import IntegrationLog
from forecourt.store.work import decider_name
from support import pairs
from support.nats import NatsServer, running
from support.pairs import Pair
from support.postgres import fresh_database

#: Seconds after which what a test waits for will not come any more.
PATIENCE = 60.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with running(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def pair(postgres: EmbeddedServer) -> AsyncIterator[Pair]:
    """Two databases whose maps run; every order that reaches Dataverse is counted there."""
    async with fresh_database(postgres) as operations, fresh_database(postgres) as dataverse:
        await pairs.make(operations)
        async with pairs.opened(operations, dataverse) as pair:
            await pair.dual_write.start((), "test")
            yield pair


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - it is in another process or in a database
            await asyncio.sleep(0.05)


async def copied(pair: Pair, count: int) -> bool:
    """Whether Dataverse has as many orders."""
    return await pair.dataverse("select count(*) from dataverse.cts_order") == [(count,)]


async def created(pair: Pair) -> list[str]:
    """The numbers of all orders that the integration has created in Dataverse, as often as it has."""
    log = IntegrationLog(pair.forecourt.databases.dataverse)
    found = await log.read(Filter(maps=("orders",), limit=10_000))
    return sorted(str(key[0]) for logged in found if logged.entry.operation == "create" for key in logged.entry.keys)


async def orders(pair: Pair, first: int, last: int) -> None:
    """New orders of another program."""
    await pair.erp(
        f"insert into erp.orders (salesid, quantity) select 'X' || n, 1 from generate_series({first}, {last}) n"
    )


def numbers(last: int) -> list[str]:
    return sorted(f"X{n}" for n in range(1, last + 1))


async def called(pair: Pair, server: NatsServer) -> int:
    """How many errands workers have been given."""
    connection = await nats.connect(server.url)
    try:
        scope = await decider_name(pair.forecourt.databases.dataverse)
        info = await connection.jetstream().consumer_info(f"forecourt-{scope}", "workers")
        return info.delivered.consumer_seq if info.delivered is not None else 0
    finally:
        await connection.close()


class Process:
    """A worker process, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            asyncio.create_task(self._read(process.stdout, self.lines)),
            asyncio.create_task(self._read(process.stderr, self.errors)),
        ]

    @staticmethod
    async def _read(stream: asyncio.StreamReader | None, lines: list[str]) -> None:
        assert stream is not None
        while line := await stream.readline():
            lines.append(line.decode().rstrip())

    async def ready(self) -> None:
        async def working() -> bool:
            assert self.process.returncode is None, "\n".join(self.errors)
            return any(line.startswith("Working on") for line in self.lines)

        await until(working)

    async def end(self, kill: bool = False) -> int:
        if self.process.returncode is None:
            self.process.kill() if kill else self.process.terminate()
        code = await self.process.wait()
        await asyncio.gather(*self._readers)
        return code


@asynccontextmanager
async def worker(server: NatsServer, *arguments: str) -> AsyncIterator[Process]:
    """``forecourt sync work`` in a process of its own."""
    program = str(Path(sys.executable).parent / "forecourt")
    command = ("sync", "work", str(pairs.ROOT), "--nats", server.url, "--verbose", *arguments)
    process = Process(
        await asyncio.create_subprocess_exec(
            program,
            *command,
            env=dict(os.environ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    )
    try:
        await process.ready()
        yield process
    finally:
        await process.end(kill=True)


@asynccontextmanager
async def calling(pair: Pair, server: NatsServer, at_once: int) -> AsyncIterator[JetStream]:
    """A relay and a worker in this process; the worker looks at nothing by itself any more after its first look."""
    scope = await decider_name(pair.forecourt.databases.dataverse)
    copies = pair.dual_write
    async with AsyncExitStack() as stack:
        transport = JetStream(Access.of(server.url), scope, nobody)
        stack.push_async_callback(transport.close)
        tasks = [asyncio.create_task(Relay(copies.waiting, transport, nobody).run())]
        if at_once:
            work = Worker(copies.waiting, copies.queue, transport, nobody, at_once)
            tasks.append(asyncio.create_task(work.run()))
        try:
            yield transport
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.slow
async def test_two_worker_processes_share_the_load(pair: Pair, server: NatsServer) -> None:
    async with worker(server, "--relay") as first, worker(server) as second:
        made = 0

        async def both() -> bool:
            nonlocal made
            made += 1
            await orders(pair, made, made)
            await pair.erp(f"insert into erp.cust (account, name) values ('C{made}', 'Ann')")
            return all(any("written" in line for line in process.lines) for process in (first, second))

        await until(both)
        await until(lambda: copied(pair, made))
        assert await called(pair, server) > 1
        assert await first.end() == await second.end() == 0
    assert await created(pair) == numbers(made)
    await pair.drain()
    assert await pair.differences() == []


@pytest.mark.slow
async def test_a_worker_that_is_killed_loses_nothing_and_another_one_takes_over(pair: Pair, server: NatsServer) -> None:
    async with worker(server, "--relay") as first:
        await orders(pair, 1, 20)
        await until(lambda: copied(pair, 20))
        await orders(pair, 21, 400)
        await first.end(kill=True)
        await pair.erp(
            "update forecourt.sync_map set leased_until = now() - interval '1 second'"
        )  # half a minute later
        async with worker(server, "--relay"):
            await until(lambda: copied(pair, 400))
    await pair.drain()
    assert await created(pair) == numbers(400)
    assert await pair.differences() == []


@pytest.mark.parametrize("forgetting", [False, True], ids=["with its disk", "without its disk"])
async def test_a_nats_server_that_is_killed_and_comes_back_loses_nothing(
    pair: Pair, server: NatsServer, forgetting: bool
) -> None:
    async with calling(pair, server, 1):
        await orders(pair, 1, 20)
        await until(lambda: copied(pair, 20))
        await server.kill(forgetting)
        await orders(pair, 21, 40)
        await server.start()
        await orders(pair, 41, 60)
        await until(lambda: copied(pair, 60))
    assert await created(pair) == numbers(60)
    assert await pair.differences() == []


async def test_without_a_nats_server_a_worker_looks_by_itself(pair: Pair, server: NatsServer) -> None:
    await server.kill()
    await orders(pair, 1, 20)
    async with calling(pair, server, 1):
        await until(lambda: copied(pair, 20))
    assert await created(pair) == numbers(20)


async def test_what_is_delivered_again_is_not_done_again(pair: Pair, server: NatsServer) -> None:
    async with calling(pair, server, 2) as transport:
        await orders(pair, 1, 20)
        for turn in range(30):  # each under a mark of its own: the server takes them for different ones
            await transport.offer(Offer("orders", f"again {turn}"))
        await until(lambda: copied(pair, 20))
        await orders(pair, 21, 40)
        await until(lambda: copied(pair, 40))
    assert await created(pair) == numbers(40)
    assert await pair.differences() == []


async def test_an_offer_that_is_made_twice_is_one_message(pair: Pair, server: NatsServer) -> None:
    one, other = (JetStream(Access.of(server.url), "twice", nobody) for _ in range(2))
    await one.offer(Offer("orders", "mark"))
    await other.offer(Offer("orders", "mark"))
    await other.offer(Offer("customers", "mark"))
    connection = await nats.connect(server.url)
    try:
        info = await connection.jetstream().stream_info("forecourt-twice")
        assert info.state.messages == 2
        assert info.state.last_seq == 2
    finally:
        await connection.close()
        await one.close()
        await other.close()


async def test_messages_that_nobody_can_do_anything_with_are_taken_away_and_hold_up_nothing(
    pair: Pair, server: NatsServer
) -> None:
    scope = await decider_name(pair.forecourt.databases.dataverse)
    async with calling(pair, server, 1) as transport:
        await transport.offer(Offer("no such map", "mark"))
        connection = await nats.connect(server.url)
        try:
            stream = connection.jetstream()
            for at, payload in enumerate((b"", b"\xff\xfe", b'{"map": 7}', b"[]", b'{"map": "orders"}')):
                await stream.publish(f"forecourt.{scope}.hostile{at}", payload)
            await orders(pair, 1, 20)
            await until(lambda: copied(pair, 20))

            async def empty() -> bool:
                return (await stream.stream_info(f"forecourt-{scope}")).state.messages == 0

            await until(empty)
        finally:
            await connection.close()
    assert await created(pair) == numbers(20)


async def test_a_map_that_cannot_be_worked_off_does_not_hold_up_the_others(pair: Pair, server: NatsServer) -> None:
    lease = await pair.dual_write.registry.lease("customers", "somebody else", 3600)
    assert lease is not None
    async with calling(pair, server, 1):
        await pair.erp("insert into erp.cust (account, name) values ('C1', 'Ann')")
        await orders(pair, 1, 20)
        await until(lambda: copied(pair, 20))
        assert await pair.dataverse("select * from dataverse.cts_customer") == []
        await pair.dual_write.registry.release(lease)

        async def there() -> bool:
            return await pair.dataverse("select cts_number from dataverse.cts_customer") == [("C1",)]

        await until(there)


async def test_a_server_that_asks_for_a_password_gets_it_from_the_address_and_no_fault_tells_it(
    pair: Pair, tmp_path: Path
) -> None:
    async with running(tmp_path / "guarded", "--user", "worker", "--pass", "s3cret") as guarded:
        host = guarded.url.removeprefix("nats://")
        faults: list[Observation] = []
        stranger = JetStream(Access.of(f"nats://worker:wr0ng@{host}"), "guarded", faults.append)
        with pytest.raises(Unavailable):
            await stranger.offer(Offer("orders", "mark"))
        await stranger.close()
        assert len(faults) == 1
        assert "wr0ng" not in repr(faults)
        friend = JetStream(Access.of(f"nats://worker:s3cret@{host}"), "guarded", faults.append)
        await friend.offer(Offer("orders", "mark"))
        async for errand in friend.errands():
            assert errand.map == "orders"
            await errand.done()
            break
        await friend.close()
        assert len(faults) == 1


@pytest.mark.parametrize("url", ["", "http://127.0.0.1", "127.0.0.1:4222", "nats://", "nats://host:0"])
def test_what_is_no_address_of_a_nats_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"nats://|no server"):
        Access.of(url)


def test_a_file_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        Access.of("nats://127.0.0.1", credentials=str(tmp_path / "missing.creds"))
    with pytest.raises(OSError, match="No such file"):
        Access.of("nats://127.0.0.1", authority=str(tmp_path / "missing.pem"))
