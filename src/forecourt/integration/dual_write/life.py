"""The life of table maps: starting, pausing, resuming and stopping them; what the command line and the API ask for.

States (operations-and-integration 1.11)::

    not running -> initializing -> running <-> paused -> resuming -> running
         ^______________|____________|___________|

A map that is not stopped is captured. Stopping the last one removes everything that capture has put into a database.
A paused map keeps what changes, without a limit. Resuming plays it back first (``play_back``), goes live at once and
catches up (``catch_up``), or passes over what has changed (``discard``), after which ``verify`` shows what differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from forecourt.integration.dual_write.flow import Flow
from forecourt.integration.dual_write.initial import InitialSync, Synced
from forecourt.integration.dual_write.live import Live
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.order import order
from forecourt.integration.dual_write.queued import LEASE, Queue
from forecourt.kernel.bulk import Bulk
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.sync import Activity, Lease, MapRecord, Position, Registry, Side

#: Tries, a tenth of a second apart, to get hold of a map that a worker is at.
PATIENCE = 600

Resume = Literal["play_back", "catch_up", "discard"]

#: Told (map, rows so far, rows in all).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Status:
    """A map as people see it. ``backlog``: changed rows that wait, ``lag``: age of the oldest in seconds, by side."""

    record: MapRecord
    backlog: Mapping[Side, int]
    lag: Mapping[Side, float]
    errors: int


class DualWrite:
    """All maps of a solution, parents first."""

    def __init__(
        self, maps: Sequence[TableMap], flow: Flow, registry: Registry, live: Live, queue: Queue, bulk: Bulk
    ) -> None:
        self._bulk = bulk
        self.maps = {item.name: item for item in maps}
        self.queue = queue
        self.registry = registry
        self._flow = flow
        self._live = live

    def named(self, names: Sequence[str]) -> list[TableMap]:
        """Maps by name, all where none is given, in the order of their dependencies. Raises Refusal FC4042."""
        for name in names:
            if name not in self.maps:
                raise Refusal("FC4042", f"There is no map {name}.", hint=suggest(name, self.maps))
        return [item for name, item in self.maps.items() if not names or name in names]

    async def refresh(self) -> None:
        """Looks up which maps are not stopped: what live writers go by."""
        records = await self.registry.maps() if await self.registry.installed() else {}
        self._live.started = frozenset(
            name for name, record in records.items() if record.state != "not running" and name in self.maps
        )

    # -- changes of state -----------------------------------------------------------------------------------------

    async def start(
        self, names: Sequence[str], by: str, initial: bool = True, progress: Progress | None = None
    ) -> list[str]:
        """Starts maps that are not running, with an initial sync unless the map or the caller leaves it out.

        One that was cut off goes on. Returns what was done, for people. Raises Refusal for what can't be started.
        """
        chosen = self.named(names)
        problems = [said for item in chosen for leg in item.legs.values() for said in self._flow.ends.check(leg)]
        if problems:
            raise Refusal("FC6004", problems[0], hint="Mend the map or the database, then start it again.")
        await self.registry.install()
        records = await self.registry.maps()
        done = []
        fresh = []
        for item in chosen:
            await self.registry.register(item.name, item.version, item.mode)
            state = records[item.name].state if item.name in records else "not running"
            if state in ("not running", "initializing"):
                fresh.append(item)
            else:
                done.append(f"{item.name} is {state} already")
        for item in fresh:
            await self.registry.set_state(item.name, "initializing", ("not running", "initializing"))
        await self._capture()
        for item in fresh:
            if await self.registry.position(item.name, next(iter(item.legs))) is None:
                await self._reset(item)
        for step in order(fresh):
            wanted = [item for item in step.maps if initial and not item.record.initial.skip]
            rows = await InitialSync(self._flow, self.registry, self._bulk).run(
                replace(step, maps=tuple(wanted)), progress
            )
            done += [await self._running(item, by, rows.get(item.name)) for item in step.maps]
        await self.refresh()
        return done

    async def _running(self, item: TableMap, by: str, synced: Synced | None) -> str:
        """A map whose rows have been copied, or need not be, runs."""
        if synced is not None:
            told = f"{synced.written} written, {synced.errors} in error"
            await self.registry.note(Activity(item.name, "initial sync", by, synced.rows, told))
        await self.registry.set_state(item.name, "running", ("initializing",))
        await self.registry.note(Activity(item.name, "started", by))
        if synced is None or not synced.rows:
            return f"{item.name} is running"
        return f"{item.name} is running ({synced.rows} rows copied, {synced.errors} in error)"

    async def pause(self, names: Sequence[str], by: str) -> list[str]:
        """Pauses running maps: what changes from now on waits."""
        return [await self._change(item, "paused", ("running",), by, "paused") for item in self.named(names)]

    async def resume(self, names: Sequence[str], by: str, how: Resume = "play_back") -> list[str]:
        """Resumes paused maps."""
        done = []
        for item in self.named(names):
            if how == "discard":
                await self._reset(item)
            if how == "play_back":
                said = await self._change(item, "resuming", ("paused",), by, "resumed")
                await self.queue.drain(item)
            else:
                said = await self._change(item, "running", ("paused",), by, f"resumed ({how})")
            done.append(said)
        return done

    async def stop(self, names: Sequence[str], by: str) -> list[str]:
        """Stops maps and forgets how far they have come; the last one takes capture along."""
        done = []
        for item in self.named(names):
            done.append(await self._change(item, "not running", (), by, "stopped"))
            async with self._held(item):
                await self.registry.forget_positions(item.name)
        await self._capture()
        return done

    async def _change(self, item: TableMap, state: str, expected: Sequence[str], by: str, what: str) -> str:
        changed = await self.registry.set_state(item.name, state, expected)  # type: ignore[arg-type]
        await self.refresh()
        if not changed:
            record = (await self.registry.maps()).get(item.name)
            return f"{item.name} is {record.state if record is not None else 'not running'}: not {what}"
        await self.registry.note(Activity(item.name, what, by))
        return f"{item.name} is {state}"

    async def _reset(self, item: TableMap) -> None:
        """Both directions begin now."""
        coordinator = self._flow.planes[Side.OPERATIONS].gate.coordinator
        async with self._held(item) as lease:
            await self.registry.forget_positions(item.name)
            for side in item.legs:
                position = Position(await self._flow.planes[side].outbox.snapshot())

                async def attempt(work: object, side: Side = side, position: Position = position) -> None:
                    unit = await self._flow.unit(work, side.other)
                    await self.registry.save_position(unit, item.name, side, position, lease.token)

                await coordinator.run(attempt, f"begin {item.name}", settle=False)

    @asynccontextmanager
    async def _held(self, item: TableMap) -> AsyncIterator[Lease]:
        """No worker is at the map meanwhile. Raises Refusal FC5031 where one does not let go of it."""
        for _ in range(PATIENCE):
            lease = await self.registry.lease(item.name, "life", LEASE)
            if lease is not None:
                break
            await asyncio.sleep(0.1)
        else:
            raise Refusal("FC5031", f"Map {item.name} is being worked on.", hint="Try again in a moment.")
        try:
            yield lease
        finally:
            await self.registry.release(lease)

    async def _capture(self) -> None:
        """Makes the triggers of both sides be those of the maps that are not stopped."""
        records = await self.registry.maps()
        started = [item for name, item in self.maps.items() if name in records and records[name].state != "not running"]
        shared = self._flow.planes[Side.OPERATIONS].database is self._flow.planes[Side.DATAVERSE].database
        captures: dict[Side, list[object]] = {side: [] for side in Side}
        for item in started:
            for side, leg in item.legs.items():
                images = item.record.versions == "every"
                captures[Side.OPERATIONS if shared else side] += self._flow.ends.capture([leg], side, images)
        for side in (Side.OPERATIONS,) if shared else tuple(Side):
            outbox = self._flow.planes[side].outbox
            if captures[side]:
                await outbox.install(captures[side])  # type: ignore[arg-type]
            else:
                await outbox.remove()

    # -- looking --------------------------------------------------------------------------------------------------

    async def status(self, names: Sequence[str] = ()) -> list[Status]:
        """Every map, with what waits for it."""
        chosen = self.named(names)
        records = await self.registry.maps() if await self.registry.installed() else {}
        found = []
        for item in chosen:
            record = records.get(item.name) or MapRecord(item.name, item.version, "not running", item.mode)
            backlog, lag = {}, {}
            for side, leg in item.legs.items():
                if record.state == "not running":
                    continue
                position = await self.registry.position(item.name, side)
                if position is not None:
                    tables = [source.table for source in leg.source.sources]
                    outbox = self._flow.planes[side].outbox
                    backlog[side], lag[side] = await outbox.backlog(position, tables, item.name)
            errors = len(await self.registry.errors(item.name)) if records else 0
            found.append(Status(record, backlog, lag, errors))
        return found

    async def retry(self, names: Sequence[str]) -> int:
        """Tries rows in error again now. Returns how many have arrived."""
        total = 0
        for item in self.named(names):
            async with self._held(item) as lease:
                total += await self.queue.retry(item, lease, force=True)
        return total

    async def tidy(self) -> None:
        """Deletes from the outboxes what every map is done with."""
        positions: dict[Side, list[Position]] = {side: [] for side in Side}
        for name, record in (await self.registry.maps()).items():
            if record.state == "not running" or name not in self.maps:
                continue
            for side in self.maps[name].legs:
                position = await self.registry.position(name, side)
                if position is not None:
                    positions[side].append(position)
        planes = self._flow.planes
        if planes[Side.OPERATIONS].database is planes[Side.DATAVERSE].database:
            positions = {Side.OPERATIONS: [item for found in positions.values() for item in found]}
        for side, found in positions.items():
            if found:
                await planes[side].outbox.tidy(found)
