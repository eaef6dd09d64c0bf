"""Long work on maps that nobody waits for: initial syncs that have begun, and jobs asked for over the API.

A job is kept in the operations database and taken by whichever process serves the solution; one whose process dies is
taken again by another. So is an initial sync: a map that is *initializing* is copied by whoever gets hold of it, from
where the last one came to. Verifying reads only; repairing and retrying are safe to do twice.

::

    Verify    compares both sides        result: Differences (a change set, at most MOST lines), per direction counts
    Repair    applies a change set       input: Changes or the ExecutionId of a Verify; result: RowsApplied, Skipped,
                                         Errors
    Retry     tries rows in error again  result: RowsApplied
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from forecourt.integration.dual_write.change_set import converted, lines_of
from forecourt.integration.dual_write.life import DualWrite
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.repair import Repairer
from forecourt.integration.dual_write.verify import Verifier
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.journal import Job, JobKind, JobState
from forecourt.kernel.observe import Fault, Observer, nobody
from forecourt.kernel.sync import Activity

#: Lines of a change set that a job keeps; the counts are of all.
MOST: Final = 10_000

#: Seconds between two looks for work, and for which a worker is believed to be alive.
INTERVAL: Final = 2.0
HELD: Final = 30.0

#: Seconds between two times that the journal is tidied.
TIDY: Final = 600.0

#: Codes of what another process is at, or will do.
_BUSY: Final = frozenset({"FC4121", "FC5031"})

Result = tuple[JobState, dict[str, Any], str]


class MapJobs:
    """Does the work. Any number of processes may run one."""

    def __init__(
        self, life: DualWrite, verifier: Verifier, repairer: Repairer, observer: Observer = nobody, name: str = ""
    ) -> None:
        self._life = life
        self._verifier = verifier
        self._repairer = repairer
        self._observer = observer
        self._name = name or secrets.token_hex(6)
        self._asked = asyncio.Event()
        self._tidied = -TIDY

    def wake(self) -> None:
        """Something is to be done."""
        self._asked.set()

    async def ask(self, name: str, kind: JobKind, by: str, given: dict[str, Any]) -> int:
        """Keeps a job; its number. Raises Refusal FC4042 for a map that there is not."""
        self._life.named([name])
        await self._life.registry.install()
        await self._life.journal.install()
        number = await self._life.journal.ask(name, kind, by, given)
        self.wake()
        return number

    async def run(self) -> None:
        """Works for ever, until cancelled. What is out of reach is tried again."""
        while True:
            self._asked.clear()
            try:
                await self.once()
            except (Refusal, Unavailable):
                pass  # a database is away, or somebody else is at it: at the next look
            except Exception as error:
                self._observer(Fault("jobs of maps", error))
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._asked.wait()

    async def once(self) -> int:
        """Does all that there is to do; how many pieces of work that were."""
        if not await self._life.registry.installed():
            return 0
        await self._life.journal.install()
        if time.monotonic() - self._tidied > TIDY:
            self._tidied = time.monotonic()
            await self._life.journal.tidy()
        done = await self._copy()
        while (job := await self._life.journal.take(self._name, HELD)) is not None:
            await self._do(job)
            done += 1
        return done

    # -- initial syncs --------------------------------------------------------------------------------------------

    async def _copy(self) -> int:
        """Copies the rows of maps that have begun. A sync that can't be done ends; one that is interrupted goes on."""
        await self._life.refresh()
        records = await self._life.registry.maps()
        begun = [
            item
            for name, item in self._life.maps.items()
            if name in records and records[name].state == "initializing" and records[name].version == item.version
        ]
        if not begun or await self._busy(begun):
            return 0
        try:
            await self._life.begin([item.name for item in begun], "server")
            return len(await self._life.copy(begun, "server"))
        except Refusal as refusal:
            if refusal.code in _BUSY:
                raise
            await self._life.give_up(begun, refusal.text)
            return 0

    async def _busy(self, items: Sequence[TableMap]) -> bool:
        """Whether somebody is at one of the maps."""
        for item in items:
            lease = await self._life.registry.lease(item.name, self._name, HELD)
            if lease is None:
                return True
            await self._life.registry.release(lease)
        return False

    # -- jobs -----------------------------------------------------------------------------------------------------

    async def _do(self, job: Job) -> None:
        async with self._holding(job):
            try:
                state, result, detail = await self._result(job)
            except Refusal as refusal:
                state, result, detail = "Failed", {"Code": refusal.code}, refusal.text
            except Unavailable as error:
                state, result, detail = "Failed", {"Code": "FC5031"}, str(error)
            except Exception as error:
                self._observer(Fault(f"job {job.id}", error))
                state, result, detail = "Failed", {"Code": "FC5000"}, "An unexpected error occurred; see the log."
        await self._life.journal.finish(job.id, self._name, state, result, detail)
        await self._life.registry.note(Activity(job.map, job.kind.lower(), job.by, 0, detail or state))

    @asynccontextmanager
    async def _holding(self, job: Job) -> AsyncIterator[None]:
        """Says again and again that the job is being worked on."""

        async def hold() -> None:
            while True:
                await asyncio.sleep(HELD / 3)
                with suppress(Refusal, Unavailable):
                    await self._life.journal.hold(job.id, self._name, HELD)

        task = asyncio.create_task(hold())
        try:
            yield
        finally:
            task.cancel()

    async def _result(self, job: Job) -> Result:
        (item,) = self._life.named([job.map])
        match job.kind:
            case "Verify":
                return await self._verify(item)
            case "Repair":
                return await self._repair(item, job)
            case "Retry":
                return "Succeeded", {"RowsApplied": await self._life.retry([item.name])}, ""

    async def _verify(self, item: TableMap) -> Result:
        await self._life.check_fit([item])
        directions, lines, total = [], [], 0
        for comparison in await self._verifier.compare(item):
            directions.append(
                {
                    "Direction": f"to_{comparison.leg.target_side}",
                    "Rows": comparison.rows,
                    "Segments": comparison.segments,
                    "Differences": len(comparison.differences),
                    "Unsent": sum(difference.kind == "unsent" for difference in comparison.differences),
                    "InFlight": comparison.pending,
                }
            )
            total += len(comparison.differences)
            lines += [msgspec.to_builtins(line) for line in lines_of(item.name, comparison)]
        result = {"Directions": directions, "Differences": total, "Changes": lines[:MOST]}
        return "Succeeded", {**result, "ChangesLeftOut": max(0, len(lines) - MOST)}, f"{total} rows differ"

    async def _repair(self, item: TableMap, job: Job) -> Result:
        given = job.input.get("Changes")
        if given is None:
            verified = await self._life.journal.job(int(job.input.get("ExecutionId", 0)))
            if verified is None or verified.kind != "Verify" or verified.map != item.name or not verified.done_at:
                raise Refusal("FC4042", "There is no finished Verify of this map with that ExecutionId.")
            given = verified.result.get("Changes", [])
        lines = [converted(line) for line in given]
        strangers = {line.map for line in lines} - {item.name}
        if strangers:
            raise Refusal("FC1003", f"A line is of map {min(strangers)}, not {item.name}.", source="Changes")
        done = await self._repairer.apply(item, lines)
        result = {
            "RowsApplied": done.applied,
            "Skipped": [msgspec.to_builtins(line) for line in done.skipped],
            "Errors": [{"Change": msgspec.to_builtins(line), "Message": text} for line, text in done.errors],
        }
        state: JobState = "PartiallySucceeded" if done.skipped or done.errors else "Succeeded"
        told = f"{done.applied} applied, {len(done.skipped)} have changed since, {len(done.errors)} in error"
        return state, result, told


@dataclass(frozen=True)
class Copies:
    """Everything that deals with the copies of a solution."""

    life: DualWrite
    verifier: Verifier
    repairer: Repairer
    jobs: MapJobs
