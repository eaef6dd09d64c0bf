"""Recovery: finishes or undoes what a crash has left in doubt between two databases.

A prepared transaction of ours whose unit of work was decided is committed, every other one is rolled back. Runs at the
start and every few seconds, in any number of processes at once: a transaction that somebody else finishes first is
none of ours. Old decisions are forgotten once nothing can ask for them any more.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.plan import SystemPlan
from forecourt.store.work import Coordinator, decided, decider_name, finish

#: Seconds between two looks, and the age at which a decision is forgotten.
INTERVAL = 5.0
KEPT = 24 * 3600

#: Seconds between two looks while something in doubt is still running.
SOON = 0.5

#: The instants of a recovery (see ``kernel/steps``).
STEPS: Final = ("recovery: found", "recovery: looked up", "recovery: finished", "recovery: forgotten")

_PREPARED = """
select gid, extract(epoch from now() - prepared)::float8 from pg_prepared_xacts
where database = current_database() and starts_with(gid, $1) order by prepared"""
_OLD = "select id from forecourt.decision where at < now() - make_interval(secs => $1)"
_FORGET = "delete from forecourt.decision where id = any($1::bigint[])"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A prepared transaction. ``number``: of its unit of work; ``age`` in seconds."""

    gid: str
    number: int
    age: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a look has found: transactions committed, rolled back, and left since their work is still running."""

    committed: int = 0
    undone: int = 0
    running: int = 0


async def in_doubt(coordinator: Coordinator) -> list[Doubt]:
    """The prepared transactions of this Forecourt's units of work."""
    if coordinator.shared:
        return []
    prefix = f"forecourt:{await decider_name(coordinator.decider)}:"
    rows = await coordinator.operations.system(SystemPlan("look for prepared transactions", _PREPARED, (prefix,)))
    return [Doubt(gid, int(gid.removeprefix(prefix)), age) for gid, age in rows]


async def recover(coordinator: Coordinator) -> Recovered:
    """Finishes what is in doubt. Raises Unavailable where a database can't be reached."""
    committed = undone = running = 0
    if coordinator.shared:
        return Recovered()
    old = await coordinator.decider.system(SystemPlan("look for old decisions", _OLD, (float(KEPT),)))
    doubts = await in_doubt(coordinator)
    for doubt in doubts:
        await coordinator.step("recovery: found")
        outcome = await decided(coordinator.decider, doubt.number, wait=False)
        await coordinator.step("recovery: looked up")
        if outcome is None:
            running += 1
        elif await finish(coordinator.operations, doubt.gid, "commit" if outcome else "rollback"):
            committed, undone = committed + outcome, undone + (not outcome)
            await coordinator.step("recovery: finished")
    if old:
        await _forget(coordinator, {row[0] for row in old})
    await coordinator.step("recovery: forgotten")
    return Recovered(committed, undone, running)


async def _forget(coordinator: Coordinator, numbers: set[int]) -> None:
    """Forgets decisions that nothing can ask for any more. It is not their age, by whatever clock, that tells: they
    were made before what is in doubt is looked up here, are not in doubt, and so have been finished; and what finished
    them is on disk. All in one session, which a crash of the server would have ended."""
    prefix = f"forecourt:{await decider_name(coordinator.decider)}:"
    async with coordinator.operations.transaction("see which old decisions are finished") as transaction:
        there = {int(row[0].removeprefix(prefix)) for row in await transaction.fetch(_PREPARED, prefix)}
        end = await transaction.value("select pg_current_wal_insert_lsn()::text")
        if not await transaction.value("select pg_current_wal_flush_lsn() >= $1::text::pg_lsn", end):
            return  # next time
    await coordinator.decider.system(SystemPlan("forget old decisions", _FORGET, (list(numbers - there),)))


async def watch(coordinator: Coordinator, interval: float = INTERVAL) -> None:
    """Recovers for ever, until cancelled. A database that is away is tried again at the next look; a work that was
    still running is looked at again soon, since others wait for its rows."""
    while True:
        running = 0
        with suppress(Unavailable, Refusal):
            running = (await recover(coordinator)).running
        await asyncio.sleep(min(interval, SOON) if running else interval)
