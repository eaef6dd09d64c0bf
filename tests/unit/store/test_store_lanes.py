"""Connections are shared, bounded, replaced when lost, and never handed on in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from forecourt.kernel.errors import Unavailable
from forecourt.store.lanes import Connection, Lane

OpenLane = Callable[..., Lane]


@pytest.fixture
async def lane(database_url: str) -> AsyncIterator[OpenLane]:
    """Makes lanes of a test database, and closes them."""
    made = []

    def connect() -> Awaitable[Connection]:
        return asyncpg.connect(database_url)

    def make(size: int = 1, patience: float = 5) -> Lane:
        made.append(Lane(connect, size, patience))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def session(lane: Lane) -> int:
    return int((await lane.fetch("select pg_backend_pid()", ()))[0][0])


async def sessions(lane: Lane, at_once: int) -> set[int]:
    async def one() -> int:
        return int((await lane.fetch("select pg_backend_pid() from pg_sleep(0.02)", ()))[0][0])

    return set(await asyncio.gather(*(one() for _ in range(at_once))))


async def test_the_connection_used_last_is_used_next(lane: OpenLane) -> None:
    many = lane(size=4)
    await sessions(many, 4)
    assert len({await session(many) for _ in range(5)}) == 1


async def test_no_more_connections_are_opened_than_allowed(lane: OpenLane) -> None:
    assert len(await sessions(lane(size=3), 20)) == 3


async def test_who_waits_too_long_for_a_connection_is_told_so(lane: OpenLane) -> None:
    one = lane(patience=1)
    async with one.connection():
        with pytest.raises(Unavailable, match="busy"):
            await session(one)
    assert await session(one)


async def test_a_read_on_a_lost_connection_is_run_again_on_another(lane: OpenLane) -> None:
    one = lane()
    first = await session(one)
    killer = lane()
    await killer.fetch("select pg_terminate_backend($1, 5000)", (first,))
    assert await session(one) != first


async def test_all_idle_connections_lost_at_once_cost_no_read(lane: OpenLane) -> None:
    many, killer = lane(size=5), lane()
    lost = await sessions(many, 5)
    await killer.fetch("select pg_terminate_backend(p, 5000) from unnest($1::int[]) p", (list(lost),))
    found = await asyncio.gather(*(session(many) for _ in range(20)))
    assert not lost & set(found)


async def test_a_cancelled_read_gives_its_place_back_but_not_its_connection(lane: OpenLane) -> None:
    one = lane()
    first = await session(one)
    for _ in range(3):
        read = asyncio.create_task(one.fetch("select pg_sleep(600)", ()))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read, 0.05)
    assert await session(one) != first


async def test_who_stops_waiting_takes_no_connection_with_him(lane: OpenLane) -> None:
    one = lane()
    async with one.connection():
        waiting = [asyncio.create_task(session(one)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    # Given in this very moment, to one who is cancelled before he wakes up.
    waiting[1].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError) and isinstance(results[2], int)
    assert await session(one)


async def test_an_orderly_error_keeps_the_connection(lane: OpenLane) -> None:
    one = lane()
    first = await session(one)
    for sql, arguments in (("select 1 / 0", ()), ("selec", ()), ("select $1::int", ("no number",))):
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await one.fetch(sql, arguments)
    assert await session(one) == first


async def test_a_connection_left_inside_a_transaction_is_not_handed_on(lane: OpenLane) -> None:
    one = lane()
    async with one.connection() as connection:
        first = connection.get_server_pid()
        await connection.execute("begin")
    assert await session(one) != first


async def test_a_closed_lane_gives_nothing(lane: OpenLane) -> None:
    one = lane()
    await session(one)
    await one.close()
    with pytest.raises(Unavailable):
        await session(one)
