"""A Forecourt process that is there to be killed: writers on both sides through the gates, the queue's worker, recovery
and changes of state, told what to do over a pipe and telling over it what it has done.

Commands::

    ("write", seed, sides, deletes)     writers begin on these sides
    ("life", kind)                      maps are paused and resumed, or stopped and started, over and over
    ("arm", label, count)               the process kills itself when it passes the label for the count-th time
    ("rest",)                           everything that was begun comes to an end; answered by ("idle",)
    ("leave",)                          the process ends

Messages: ("ready",), ("reached", label), ("killed", label), ("idle",), ("fault", text), and of each write, before it
("try", row, version) and afterwards ("done", row, version), ("refused", row, version) where it has not happened
for certain, or ("lost", row, version) where nobody can say. A version that is negative deletes the row.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from forecourt.app import build, connect
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.settings import from_environment
from forecourt.store.recovery import watch
from support import pairs
from support.pairs import Pair

#: Writers on each side, and rows that each of them keeps.
WRITERS = 2
ROWS = 4

#: Rows that all writers change, by their numbers.
HOT = ("HOT-1", "HOT-2")

#: A note that the ERP refuses when its transaction is prepared or committed.
UNWANTED = "unwanted"


def main(pipe: Connection, operations: str, dataverse: str, name: str) -> None:
    """Runs one process."""
    os.environ["PAIR_OPERATIONS"], os.environ["PAIR_DATAVERSE"] = operations, dataverse
    asyncio.run(Worker(pipe, name).run())


class Worker:
    """The process."""

    def __init__(self, pipe: Connection, name: str) -> None:
        self._pipe = pipe
        self._name = name
        self._pair: Pair
        self._hits: Counter[str] = Counter()
        self._armed = ("", 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy = False
        self._rows = 0
        self._left = asyncio.Event()

    async def step(self, label: str) -> None:
        """Where the process dies."""
        self._hits[label] += 1
        if self._hits[label] == 1:
            self._pipe.send(("reached", label))
        if label == self._armed[0]:
            self._armed = (label, self._armed[1] - 1)
            if self._armed[1] <= 0:
                self._pipe.send(("killed", label))
                os.kill(os.getpid(), signal.SIGKILL)

    async def run(self) -> None:
        settings = from_environment(lane_size=16)
        databases = await connect(pairs.ROOT, Path("unused"), settings)
        self._pair = Pair(await build(pairs.ROOT, databases, settings, step=self.step))
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._command)
        background = [
            asyncio.create_task(self._guarded(watch(self._pair.forecourt.coordinator, 0.3))),
            asyncio.create_task(self._guarded(self._pair.dual_write.queue.run())),
            asyncio.create_task(self._guarded(self._upkeep())),
        ]
        self._pipe.send(("ready",))
        await self._left.wait()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await databases.close()

    async def _guarded(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except Exception:
            self._pipe.send(("fault", f"{self._name}: {traceback.format_exc()}"))

    async def _upkeep(self) -> None:
        """What a server does beside."""
        while True:
            with suppress(Unavailable, Refusal):
                await self._pair.dual_write.refresh()
                await self._pair.dual_write.tidy()
            await asyncio.sleep(0.3)

    # -- commands -------------------------------------------------------------------------------------------------

    def _command(self) -> None:
        try:
            command = self._pipe.recv()
        except (EOFError, OSError):  # nobody is there any more
            sys.exit(0)
        match command:
            case ("write", seed, sides, deletes):
                self._busy = True
                for side in sides:
                    for number in range(WRITERS):
                        self._begin(self._write(side, random.Random(f"{seed} {self._name} {side} {number}"), deletes))
            case ("life", kind):
                self._busy = True
                self._begin(self._life(kind))
            case ("arm", label, count):
                self._armed = (label, count)
            case ("rest",):
                self._busy = False
                asyncio.get_running_loop().create_task(self._rest())
            case ("leave",):
                self._left.set()

    def _begin(self, doing: Awaitable[None]) -> None:
        task = asyncio.create_task(self._guarded(doing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rest(self) -> None:
        await asyncio.gather(*self._tasks)
        self._pipe.send(("idle",))

    # -- changes of state -----------------------------------------------------------------------------------------

    async def _life(self, kind: str) -> None:
        dual_write = self._pair.dual_write
        while self._busy:
            for change in self._changes(kind):
                try:
                    await change()
                except (Refusal, Unavailable):
                    await asyncio.sleep(0.05)
        # What was begun is brought to its end by whoever looks after the round.
        with suppress(Refusal, Unavailable):
            await dual_write.refresh()

    def _changes(self, kind: str) -> list[Callable[[], Awaitable[object]]]:
        dual_write = self._pair.dual_write
        if kind == "stop":
            return [lambda: dual_write.stop((), "faults"), lambda: dual_write.start((), "faults")]
        return [
            lambda: dual_write.pause((), "faults"),
            lambda: dual_write.resume(("orders",), "faults", "play_back"),
            lambda: dual_write.resume(("customers",), "faults", "catch_up"),
        ]

    # -- writers --------------------------------------------------------------------------------------------------

    async def _write(self, side: str, chance: random.Random, deletes: bool) -> None:
        """One writer: a row that is its own is created, changed, deleted; now and then a row that is everybody's."""
        rows: dict[str, tuple[Any, int]] = {}
        hot = await self._hot(side)
        while self._busy:
            choice = chance.random()
            if choice < 0.15 and hot:
                row = chance.choice(sorted(hot))
                await self._attempt("hot", 0, lambda row=row: self._change(side, hot[row], f"hot {chance.random()}"))
            elif choice < 0.2 and side == "operations":
                await self._attempt("unwanted", 0, lambda: self._create(side, UNWANTED, chance))
            elif len(rows) < ROWS or choice < 0.35:
                row = self._row()
                done = await self._attempt(row, 1, lambda row=row: self._create(side, f"{row} 1", chance))
                if done is not None:
                    rows[row] = (done, 1)
            elif choice < 0.9 or not deletes:
                row = chance.choice(sorted(rows))
                key, version = rows[row]
                rows[row] = (key, version + 1)
                note = f"{row} {version + 1}"
                await self._attempt(row, version + 1, lambda key=key, note=note: self._change(side, key, note))
            else:
                row = chance.choice(sorted(rows))
                key, version = rows.pop(row)
                await self._attempt(row, -version - 1, lambda key=key: self._delete(side, key))

    def _row(self) -> str:
        self._rows += 1
        return f"{self._name}.{self._rows}"

    async def _hot(self, side: str) -> dict[str, Any]:
        if side == "operations":
            return {number: number for number in HOT}
        with suppress(Refusal, Unavailable):
            sql = "select cts_number, cts_orderid from dataverse.cts_order where cts_number = any($1)"
            return dict(await self._pair.dataverse(sql, list(HOT)))
        return {}

    async def _attempt(self, row: str, version: int, doing: Callable[[], Awaitable[Any]]) -> Any:
        """Tries a write and tells of it. Its key, None where it did not happen or nobody can say."""
        self._pipe.send(("try", row, version))
        try:
            key = await doing()
        except Refusal:
            self._pipe.send(("refused", row, version))
            await asyncio.sleep(0.02)  # not a busy loop while a server is away
            return None
        except Unavailable:
            self._pipe.send(("lost", row, version))
            await asyncio.sleep(0.02)
            return None
        self._pipe.send(("done", row, version))
        return key

    async def _create(self, side: str, note: str, chance: random.Random) -> Any:
        quantity = chance.randrange(1, 900)
        if side == "operations":
            written = await self._pair.order(Account=chance.choice(("C1", "C2")), Quantity=quantity, Note=note)
            assert written.after is not None
            return written.after["Number"]
        written = await self._pair.cts("create", "cts_order", cts_quantity=quantity, cts_note=note)
        assert written.after is not None
        return written.after["cts_orderid"]

    async def _change(self, side: str, key: Any, note: str) -> Any:
        if side == "operations":
            await self._pair.change_order(key, Note=note)
        else:
            await self._pair.cts("update", "cts_order", {"cts_orderid": key}, cts_note=note)
        return key

    async def _delete(self, side: str, key: Any) -> Any:
        if side == "operations":
            await self._pair.delete_order(key)
        else:
            await self._pair.cts("delete", "cts_order", {"cts_orderid": key})
        return key
