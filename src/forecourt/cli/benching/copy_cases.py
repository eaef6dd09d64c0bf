"""What the benchmark of copies measures: live writes, capture, the queue, and initial sync, each next to plain SQL.

Each scene opens databases of its own and gives its cases, which share them. Plain SQL is as somebody would write it who
knows the tables: prepared, over a connection of its own, in the same server.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import click

from forecourt.cli.benching import machine
from forecourt.cli.benching.copy_rounds import Case, Contender, Goal, Timed, times
from forecourt.cli.benching.pair import MAP, Pair, opened_pair, order_number
from forecourt.store.embedded import EmbeddedServer

#: Orders that the cases of single writes take turns on.
ORDERS = 2_000

#: Writes of a contender in a round; rows of a set; sets in a round.
WRITES = 150
SET = 1_000
SETS = 20

#: What cost per row is compared with.
FEW = 10_000

UPDATE_ERP = "update erp.orders set quantity = $2, total = $3 where salesid = $1"
UPDATE_DATAVERSE = "update dataverse.cts_order set cts_quantity = $2, cts_total = $3 where cts_number = $1"

#: Fills the twin as the captured table is.
TWIN = """
insert into erp.plain (salesid, account, quantity, total, note)
select salesid, account, quantity, total, note from erp.orders order by recid
"""

#: One statement each of a captured table and of its twin.
STATEMENTS = {
    "insert one row": (
        "insert into erp.orders (salesid, account, quantity, note) values ('N' || $1::int, 'C1', 1, 'new')",
        "insert into erp.plain (salesid, account, quantity, note) values ('N' || $1::int, 'C1', 1, 'new')",
    ),
    "update one row": (
        "update erp.orders set quantity = quantity + 1 where salesid = 'S' || lpad(($1::int % 2000 + 1)::text, 9, '0')",
        "update erp.plain set quantity = quantity + 1 where salesid = 'S' || lpad(($1::int % 2000 + 1)::text, 9, '0')",
    ),
    "insert 1,000 rows": (
        "insert into erp.orders (salesid, account, quantity, note) "
        "select 'M' || $1::int || '-' || n, 'C1', 1, 'new' from generate_series(1, 1000) n",
        "insert into erp.plain (salesid, account, quantity, note) "
        "select 'M' || $1::int || '-' || n, 'C1', 1, 'new' from generate_series(1, 1000) n",
    ),
    "update 1,000 rows": (
        "update erp.orders set quantity = quantity + 1 where recid % 2 = $1::int % 2 and recid <= 2000",
        "update erp.plain set quantity = quantity + 1 where recid % 2 = $1::int % 2 and recid <= 2000",
    ),
}

#: A twin of the table that copies go to, and the rows to be copied beside it.
STAGED = """
create schema bench;
create table bench.copied (like dataverse.cts_order including all);
create table bench.orders (
    salesid text primary key, account text, quantity int, price numeric, total numeric, note text);
"""
NEW_ORDERS = """
insert into erp.orders (salesid, account, quantity, total, note)
select 'Q' || $1::int || '-' || n, 'C' || n % 100, n % 50, n % 50 * 2, 'Note ' || n
from generate_series($2::int, $2::int + 999) n
"""
STAGE_ORDERS = """
insert into bench.orders select 'Q' || n, 'C' || n % 100, n % 50, 2, n % 50 * 2, 'Note ' || n
from generate_series(1, $1::int) n
"""
INSERT_SELECT = """
insert into bench.copied (cts_number, cts_customer, cts_quantity, cts_price, cts_total, cts_note)
select s.salesid || '-' || $1::int, c.cts_customerid, s.quantity, s.price, s.total, s.note
from bench.orders s left join dataverse.cts_customer c on c.cts_number = s.account
"""


@dataclass(frozen=True)
class Prepared:
    """``between``: before each round; ``check``: after the last, raises ClickException."""

    cases: list[Case]
    between: Callable[[], Awaitable[None]]
    check: Callable[[], Awaitable[None]]


#: Opens a scene: server, folder for files, rows of a large copy.
Scene = Callable[[EmbeddedServer, Path, int], AbstractAsyncContextManager[Prepared]]


async def _timed(step: Callable[[], Awaitable[object]], units: int = 1) -> Timed:
    began = time.perf_counter()
    for _ in range(units):
        await step()
    return Timed((time.perf_counter() - began) * 1e6 / units)


# ------------------------------------------------------------------------------------------------------- live


@asynccontextmanager
async def live(server: EmbeddedServer, folder: Path, rows: int) -> AsyncIterator[Prepared]:
    """A write that reaches both sides at once, next to two plain commits, in two databases and in one."""
    async with (
        opened_pair(server, "two", ORDERS) as two,
        opened_pair(server, "two_bare", ORDERS) as two_bare,
        opened_pair(server, "one", ORDERS, shared=True) as one,
        opened_pair(server, "one_bare", ORDERS, shared=True) as one_bare,
    ):
        pairs = (two, two_bare, one, one_bare)
        for pair in pairs:
            await pair.start()
        for pair in (two_bare, one_bare):
            await pair.stop()

        async def between() -> None:
            for pair in pairs:
                await pair.settle()

        async def check() -> None:
            await two.check()
            await one.check()

        cases = [
            await _live("live, two databases", two, two_bare, 1.8),
            await _live("live, one database", one, one_bare, 1.1),
        ]
        yield Prepared(cases, between, check)


async def _live(name: str, mapped: Pair, bare: Pair, wanted: float) -> Case:
    erp, dataverse = await bare.erp.prepare(UPDATE_ERP), await bare.dataverse.prepare(UPDATE_DATAVERSE)
    plain, gate, both = "two plain commits", "gate, no map", "gate, live map"
    numbers = {contender: itertools.count(1) for contender in (plain, gate, both)}

    def following(contender: str) -> tuple[str, int]:
        at = next(numbers[contender])
        return order_number(at % ORDERS + 1), at % 900 + 51

    async def commits() -> None:
        number, quantity = following(plain)
        await erp.fetch(number, quantity, quantity * 2)
        await dataverse.fetch(number, quantity, quantity * 2)

    async def without() -> None:
        await bare.change(*following(gate))

    async def through() -> None:
        await mapped.change(*following(both))

    return Case(
        name,
        f"One order changed, {name}: both sides in one unit of work, next to a plain commit on each",
        "write",
        {plain: _writes(commits), gate: _writes(without), both: _writes(through)},
        (Goal("live write to two plain commits", times(both, plain), wanted),),
    )


def _writes(step: Callable[[], Awaitable[None]]) -> Contender:
    return lambda: _timed(step, WRITES)


# ---------------------------------------------------------------------------------------------------- capture


@asynccontextmanager
async def capture(server: EmbeddedServer, folder: Path, rows: int) -> AsyncIterator[Prepared]:
    """Plain SQL of another program on a captured table, next to the same on its twin."""
    async with opened_pair(server, "capture", ORDERS) as pair:
        await pair.erp.execute(TWIN)
        await pair.start()
        cases = []
        for what, (captured, plain) in STATEMENTS.items():
            wanted = 1.45 if "one" in what else 1.7
            many = WRITES if "one" in what else SETS
            cases.append(await _captured(pair.erp, what, captured, plain, many, wanted, False))
            if "one" in what:
                cases.append(await _captured(pair.erp, what, captured, plain, many, wanted, True))

        async def between() -> None:
            await pair.drain()
            await pair.settle()

        async def check() -> None:
            await pair.drain()
            await pair.check()

        yield Prepared(cases, between, check)


async def _captured(
    connection: asyncpg.Connection, what: str, captured: str, plain: str, many: int, wanted: float, together: bool
) -> Case:
    how = f"{many} in a transaction" if together else "each committed"
    prepared = {"not captured": await connection.prepare(plain), "captured": await connection.prepare(captured)}
    numbers = {name: itertools.count(1_000_000 if together else 1) for name in prepared}

    def contender(name: str) -> Contender:
        async def step() -> None:
            await prepared[name].fetch(next(numbers[name]))

        async def run() -> Timed:
            if not together:
                return await _timed(step, many)
            began = time.perf_counter()
            async with connection.transaction():
                for _ in range(many):
                    await step()
            return Timed((time.perf_counter() - began) * 1e6 / many)

        return run

    return Case(
        f"{what}, {how}",
        f"Plain SQL: {what}, {how}",
        "statement",
        {name: contender(name) for name in prepared},
        (Goal("captured to not captured", times("captured", "not captured"), wanted),),
    )


# ------------------------------------------------------------------------------------------------------ queued


@asynccontextmanager
async def queued(server: EmbeddedServer, folder: Path, rows: int) -> AsyncIterator[Prepared]:
    """Rows that another program has inserted, applied to the other side, next to one INSERT ... SELECT of them."""
    async with opened_pair(server, "queued", ORDERS) as pair:
        await pair.start()
        count = SET * SETS
        await pair.dataverse.execute(STAGED)
        await pair.dataverse.execute(STAGE_ORDERS, count)
        turns = itertools.count(1)

        async def plain() -> Timed:
            began = time.perf_counter()
            await pair.dataverse.execute(INSERT_SELECT, next(turns))
            return Timed((time.perf_counter() - began) * 1e6 / count)

        async def apply() -> Timed:
            for start in range(1, count, SET):
                await pair.erp.execute(NEW_ORDERS, next(turns), start)
            began = time.perf_counter()
            with machine.peak_memory() as memory:
                done = await pair.drain()
            took = time.perf_counter() - began
            if done != count:
                raise click.ClickException(f"{done} rows were applied of {count}.")
            return Timed(took * 1e6 / count, memory[0])

        select, queue = "INSERT ... SELECT", "queued apply"
        goal = Goal("rows per second to INSERT ... SELECT", times(select, queue), 0.25, most=False)
        case = Case(
            "queued", f"{count:,} inserted rows reach the other side", "row", {select: plain, queue: apply}, (goal,)
        )
        yield Prepared([case], pair.settle, pair.check)


# ----------------------------------------------------------------------------------------------------- initial


@asynccontextmanager
async def initial(server: EmbeddedServer, folder: Path, rows: int) -> AsyncIterator[Prepared]:
    """Starting a map with all rows of a table, next to COPY of these rows into an empty twin of the target."""
    async with opened_pair(server, "large", rows) as large, opened_pair(server, "small", FEW) as small:
        file = folder / "orders.copy"
        await large.start()
        await large.dataverse.execute(STAGED)
        await large.dataverse.copy_from_query("select * from dataverse.cts_order", output=file, format="binary")
        await small.start()

        async def copy() -> Timed:
            await large.dataverse.execute("truncate bench.copied")
            began = time.perf_counter()
            await large.dataverse.copy_to_table("copied", schema_name="bench", source=file, format="binary")
            return Timed((time.perf_counter() - began) * 1e6 / rows)

        plain, many, few = f"COPY, {rows:,} rows", f"initial sync, {rows:,} rows", f"initial sync, {FEW:,} rows"

        case = Case(
            "initial",
            "A map is started: all orders are copied to the other side",
            "row",
            {plain: copy, many: lambda: _started(large, rows), few: lambda: _started(small, FEW)},
            (
                Goal("rows per second to COPY", times(plain, many), 0.25, most=False),
                Goal("peak memory of the process in MB", lambda one: one[many].megabytes, 300.0),
                Goal(
                    f"cost per row at {rows:,} to that at {FEW:,}, start apart",
                    lambda one: one[many].net / one[few].net,
                    1.25,
                ),
            ),
        )

        async def between() -> None:
            await large.settle()
            await small.settle()

        async def check() -> None:
            await large.check()
            await small.check()

        yield Prepared([case], between, check)


async def _started(pair: Pair, count: int) -> Timed:
    """Starts the map with an empty target, after a start that copies nothing, whose time is told apart."""
    dual_write = pair.forecourt.dual_write
    took = []
    megabytes = 0.0
    for first in (False, True):
        await dual_write.stop([MAP], "benchmark")
        await pair.dataverse.execute("truncate dataverse.cts_order")
        began = time.perf_counter()
        with machine.peak_memory() as memory:
            await dual_write.start([MAP], "benchmark", initial=first)
        took.append((time.perf_counter() - began) * 1e6)
        megabytes = memory[0]
    found = await pair.dataverse.fetchval("select count(*) from dataverse.cts_order")
    if found != count:
        raise click.ClickException(f"{found} rows were copied of {count}.")
    return Timed(took[1] / count, megabytes, took[0] / count)


#: Scenes by name, the one that looks at memory first.
SCENES: Mapping[str, Scene] = {"initial": initial, "live": live, "capture": capture, "queued": queued}
