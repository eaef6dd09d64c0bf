"""Rounds of faults: processes of Forecourt and other programs write on both sides, something dies, and when all is up
again both sides must be the same and hold what was acknowledged.

One :class:`Arena` has two database servers, two processes of Forecourt (``fault_worker``), and programs of plain SQL.
It lives through all rounds, and so do the processes that a round does not kill. A :class:`Journal` outside of
whatever dies knows of each row which values it may have.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg

from forecourt.integration.dual_write import initial, life, queued
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.store import recovery, work
from forecourt.store.sync import outbox
from support import fault_worker, pairs
from support.fault_parts import LOST, Journal, Program, Server
from support.fault_worker import HOT, UNWANTED
from support.pairs import Pair

#: All instants at which a process is killed, by protocol.
PROTOCOLS = {
    "work": work.STEPS,
    "recovery": recovery.STEPS,
    "queued": queued.STEPS,
    "initial": initial.STEPS,
    "capture": outbox.STEPS,
    "life": life.STEPS,
}
LABELS = tuple(label for labels in PROTOCOLS.values() for label in labels)

#: Labels that are passed when maps are paused and resumed; others of a map's life when they are started and stopped.
PAUSING = frozenset({"life: changed", "life: noted", "life: played back"})

#: Seconds for what a round waits for: a kill, an instant, everything being settled.
KILL, PHASE, SETTLED = 6.0, 3.0, 40.0

_MORE = f"""
create function erp.turn_down() returns trigger language plpgsql as $$
begin raise exception 'not wanted'; end $$;
create constraint trigger turn_down after insert or update on erp.orders deferrable initially deferred
for each row when (new.note = '{UNWANTED}') execute function erp.turn_down();
create table erp.taken (number text not null);
create function erp.take() returns trigger language plpgsql as $$
begin insert into erp.taken values (new.salesid); return null; end $$;
create trigger take after insert on erp.orders for each row when (new.salesid like 'O-%') execute function erp.take();
insert into erp.cust (account, name) values ('C1', 'Ann'), ('C2', 'Bob');
insert into erp.orders (salesid, note) values {", ".join(f"('{number}', 'hot')" for number in HOT)};
"""


class Process:
    """A process of Forecourt."""

    def __init__(self, arena: Arena, name: str) -> None:
        self._arena = arena
        self.name = name
        self.ready, self.idle, self.dead = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.killed = ""
        self._pipe, theirs = arena.context.Pipe()
        urls = [server.url for server in arena.servers]
        self._process = arena.context.Process(target=fault_worker.main, args=(theirs, *urls, name), daemon=True)
        self._process.start()
        theirs.close()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pipe.fileno(), self._hear)

    def tell(self, *command: object) -> None:
        with suppress(OSError):
            self._pipe.send(command)

    def kill(self) -> None:
        self._process.kill()

    def _hear(self) -> None:
        try:
            while self._pipe.poll():
                self._heard(self._pipe.recv())
        except (EOFError, OSError):
            self.dead.set()
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()
            self._process.join()

    def _heard(self, message: tuple[Any, ...]) -> None:
        journal = self._arena.journal
        match message:
            case ("try", row, version):
                journal.attempt(f"{row}", version)
            case (("done" | "refused" | "lost") as outcome, row, version):
                journal.result(row, version, outcome)
            case ("reached", label):
                self._arena.reached.add(label)
            case ("killed", label):
                self.killed = label
            case ("fault", text):
                self._arena.faults.append(text)
            case ("ready",):
                self.ready.set()
            case ("idle",):
                self.idle.set()
        self._arena.moved.set()


# -- rounds -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What happens in a round. ``label``: where a process kills itself, '' for another fault: ``fault``."""

    number: int
    life: str  # "", "pause", "stop"
    label: str = ""
    count: int = 1
    fault: str = ""
    before: int = 20
    after: int = 20

    def __str__(self) -> str:
        what = f"kill at {self.label} #{self.count}" if self.label else self.fault
        return f"{what}{', ' + self.life if self.life else ''}"


def plans(rounds: int, chance: random.Random) -> list[Plan]:
    """What happens in each round: every label first, in a random order, mixed with the other faults; then anything."""
    labels = chance.sample(LABELS, len(LABELS))
    faults = (
        "kill a process",
        "stop operations",
        "stop dataverse",
        "kill operations",
        "kill dataverse",
        "cut",
        "cut all",
    )
    found = []
    for number in range(1, rounds + 1):
        label = ""
        if number % 3:
            label = labels.pop() if labels else chance.choice(LABELS)
        protocol = label.partition(":")[0]
        if label in PAUSING:
            happening = "pause"
        elif protocol in ("life", "capture", "initial"):
            happening = "stop"
        else:
            happening = chance.choice(("", "", "pause") if label else ("", "", "pause", "stop"))
        most = 8 if protocol == "work" and label != "work: undoing" else 1 if protocol == "recovery" else 2
        found.append(
            Plan(
                number,
                happening,
                label,
                chance.randint(1, most),
                "" if label else chance.choice(faults),
                chance.randrange(5, 60),
                chance.randrange(5, 30),
            )
        )
    return found


class Arena:
    """Two database servers, the processes and the programs. ``reached``, ``killed``: labels so far."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.journal = Journal()
        self.reached: set[str] = set()
        self.killed: set[str] = set()
        self.faults: list[str] = []
        self.moved = asyncio.Event()
        self.context: Any = multiprocessing.get_context("forkserver")
        self.pair: Pair
        self._processes: dict[str, Process] = {}
        self._made = 0

    async def open(self, stack: AsyncExitStack) -> None:
        self.context.set_forkserver_preload(["support.fault_worker"])
        for side in ("operations", "dataverse"):
            server = Server(side)
            stack.callback(server.close)
            self.servers.append(server)
        await pairs.make(self.servers[0].url)
        connection = await asyncpg.connect(self.servers[0].url)
        await connection.execute(_MORE)
        await connection.close()
        self.pair = await stack.enter_async_context(pairs.opened(*(server.url for server in self.servers)))
        await self.pair.dual_write.start((), "faults")
        stack.callback(lambda: [process.kill() for process in self._processes.values()])

    def server(self, side: str) -> Server:
        return next(server for server in self.servers if server.side == side)

    async def _process(self, name: str) -> Process:
        """A process of this name, a new one where it was killed."""
        found = self._processes.get(name)
        if found is None or found.dead.is_set():
            self._made += 1
            found = self._processes[name] = Process(self, f"{name}{self._made}")
            await asyncio.wait_for(found.ready.wait(), 30)
        found.idle.clear()
        return found

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Waits for something that writers or processes bring about. False where it does not come in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    self.moved.clear()
                    await self.moved.wait()
        return condition()

    async def _results(self, count: int) -> None:
        wanted = self.journal.results + count
        await self._until(lambda: self.journal.results >= wanted, PHASE)

    # -- one round ------------------------------------------------------------------------------------------------

    async def round(self, plan: Plan, chance: random.Random) -> tuple[str, list[str]]:
        """Plays a round: what has happened, for people, and what is wrong afterwards."""
        began = time.monotonic()
        victim, other = await self._process("a"), await self._process("b")
        stopping = plan.life == "stop"
        sides = ("operations",) if stopping else ("operations", "dataverse")
        programs = [
            Program(
                self.journal,
                self.moved,
                self.server(side),
                f"{side[0]}{plan.number}",
                random.Random(chance.random()),
                stopping,
            )
            for side in sides
        ]
        tasks = [asyncio.create_task(program.run()) for program in programs]
        before = self.journal.results
        if plan.label:
            victim.tell("arm", plan.label, plan.count)
            if plan.label.startswith("recovery: ") and plan.label != "recovery: forgotten":
                other.tell("arm", chance.choice(("work: prepared", "work: committing", "work: committed")), 3)
        for process in (victim, other):
            process.tell("write", f"{plan.number}", sides, not stopping)
        if plan.life:
            victim.tell("life", plan.life)
        await self._strike(plan, victim, chance)
        await self._results(plan.after)
        for server in self.servers:
            if not server.up.is_set():
                await server.restart()
        if chance.random() < 0.5:
            await self._results(plan.after)
        for program in programs:
            program.busy = False
        for process in (victim, other):
            process.tell("rest")
        await self._ended(tasks, (victim, other))
        resting = [p for p in (victim, other) if not await self._rested(p)]
        for program in programs:
            await program.finish()
        wrong = [f"{process.name} does not come to rest" for process in resting]
        for process in (victim, other):
            if process.dead.is_set() and process.killed:
                self.killed.add(process.killed)
        wrong += await self._settled()
        if not wrong:
            wrong += await self._check()
        wrong += self.faults
        self.faults.clear()
        said = f"{self.journal_size(before)} writes, {time.monotonic() - began:.1f} s"
        if plan.label and victim.killed != plan.label:
            said += ", not reached"
        return said, wrong

    def journal_size(self, before: int) -> int:
        return self.journal.results - before

    async def _strike(self, plan: Plan, victim: Process, chance: random.Random) -> None:
        """Brings about what the plan says."""
        if plan.label:
            if not await self._until(victim.dead.is_set, KILL):
                victim.kill()
            return
        await self._results(plan.before)
        match plan.fault.split():
            case ["kill", "a", "process"]:
                victim.kill()
            case [("stop" | "kill") as how, side]:
                self.server(side).kill(signal.SIGQUIT if how == "stop" else signal.SIGKILL)
            case ["cut", *_]:
                for _ in range(3 if plan.fault == "cut all" else 1):
                    for server in self.servers if plan.fault == "cut all" else [chance.choice(self.servers)]:
                        await server.cut(chance)
                    await self._results(3)

    async def _ended(self, tasks: Sequence[asyncio.Task[None]], processes: Sequence[Process]) -> None:
        """Waits for the programs. What they wait for may be held by a prepared transaction: where no process is left
        that recovers it, it is recovered here."""
        async with asyncio.timeout(SETTLED):
            while (await asyncio.wait(tasks, timeout=1))[1]:
                if all(process.dead.is_set() for process in processes):
                    with suppress(Refusal, Unavailable, *LOST):
                        await recovery.recover(self.pair.forecourt.coordinator)
        for task in tasks:
            await task

    async def _rested(self, process: Process) -> bool:
        return await self._until(lambda: process.idle.is_set() or process.dead.is_set(), SETTLED)

    # -- afterwards -----------------------------------------------------------------------------------------------

    async def _settled(self) -> list[str]:
        """Recovers, has all maps run, and works off what waits; what does not come to an end."""
        last: object = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLED):
                while True:
                    try:
                        last = await self._unsettled()
                        if not last:
                            return []
                    except (Refusal, Unavailable, *LOST) as error:
                        last = error
                    await asyncio.sleep(0.05)
        return [f"does not settle: {last!r}"]

    async def _unsettled(self) -> str:
        """One attempt; what is left to do."""
        dual_write = self.pair.dual_write
        await recovery.recover(self.pair.forecourt.coordinator)
        await dual_write.refresh()
        # Time passes: leases of those who were killed, or could not give them back, come to an end.
        if await dual_write.registry.installed():
            await self.pair.erp(
                "update forecourt.sync_map set leased_until = now() - interval '1s' where worker is not null"
            )
        await dual_write.start((), "faults")
        states = {name: record.state for name, record in (await dual_write.registry.maps()).items()}
        for name, state in states.items():
            if state == "paused":
                await dual_write.resume((name,), "faults")
        await self.pair.drain()
        if await dual_write.registry.errors():
            await dual_write.retry(())
            await self.pair.drain()
        for server in self.servers:
            prepared = await server.run("select gid from pg_prepared_xacts")
            if prepared:
                return f"{server.side} has prepared transactions: {prepared}"
        for status in await dual_write.status():
            if status.record.state != "running" or any(status.backlog.values()):
                return f"{status.record.name} is {status.record.state}, waiting {status.backlog}"
        errors = await dual_write.registry.errors()
        return f"errors are kept: {errors[:3]}" if errors else ""

    async def _check(self) -> list[str]:
        """What is not as it must be when all has settled."""
        wrong = await self.pair.differences()
        orders = await self.pair.erp("select salesid, note from erp.orders")
        copies = await self.pair.dataverse("select cts_number, cts_note from dataverse.cts_order")
        people = await self.pair.erp("select account, name from erp.cust")
        copied = await self.pair.dataverse("select cts_number, cts_name from dataverse.cts_customer")
        for ours, theirs, what in ((orders, copies, "orders"), (people, copied, "customers")):
            if sorted(ours) != sorted((number, note or "") for number, note in theirs):
                wrong.append(f"{what} differ: {sorted(set(ours) ^ {(n, t or '') for n, t in theirs})[:6]}")
        found: dict[str, int] = {}
        for number, note in (*orders, *people):
            row, _, version = note.rpartition(" ")
            if note == UNWANTED:
                wrong.append(f"{number} is there, which was turned down")
            elif version.isdecimal():
                if row in found:
                    wrong.append(f"{row} is there twice")
                found[row] = int(version)
        wrong += self.journal.settle(found)
        wrong += await self._gaps()
        if len(found) > 150:
            await self._trim()
        return wrong

    async def _gaps(self) -> list[str]:
        """Numbers that were left out, or given twice."""
        rows = await self.pair.erp("select next from forecourt.number_sequence where name = 'orders'")
        wanted = [f"O-{number:06}" for number in range(1, rows[0][0] if rows else 1)]
        taken = [row[0] for row in await self.pair.erp("select number from erp.taken order by 1")]
        wrong = sorted(set(wanted) ^ set(taken))
        doubled = len(taken) - len(set(taken))
        return [f"numbers are missing or doubled: {wrong[:5]}, {doubled}"] if wrong or doubled else []

    async def _trim(self) -> None:
        """Another program clears up, as a set."""
        await self.pair.erp("delete from erp.orders where salesid <> all($1)", list(HOT))
        await self.pair.erp("delete from erp.cust where account <> all($1)", ["C1", "C2"])
        await self._settled()
        left = await self.pair.dataverse("select count(*) from dataverse.cts_order")
        assert left == [(len(HOT),)], left
        self.journal.attempts.clear()


@asynccontextmanager
async def arena() -> AsyncIterator[Arena]:
    """Everything that rounds are played with."""
    async with AsyncExitStack() as stack:
        found = Arena()
        await found.open(stack)
        yield found


__all__ = ["LABELS", "PROTOCOLS", "Arena", "Plan", "arena", "plans"]
