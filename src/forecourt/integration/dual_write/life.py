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
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final, Literal

from forecourt.integration.dual_write.active import Versions, runs
from forecourt.integration.dual_write.alerts import Alarm
from forecourt.integration.dual_write.captures import Captures
from forecourt.integration.dual_write.drift import Drift, Look, drift
from forecourt.integration.dual_write.flow import Flow
from forecourt.integration.dual_write.initial import InitialSync, Synced
from forecourt.integration.dual_write.live import Live
from forecourt.integration.dual_write.loader import Maps
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.order import order
from forecourt.integration.dual_write.overview import Status, overview
from forecourt.integration.dual_write.queued import LEASE, Queue
from forecourt.integration.dual_write.transport import Waiting
from forecourt.kernel.bulk import Bulk
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.journal import Journal
from forecourt.kernel.steps import Step, unwatched
from forecourt.kernel.sync import Activity, Lease, MapState, Position, Side
from forecourt.kernel.sync_ports import Registry

#: Tries, a tenth of a second apart, to get hold of a map that a worker is at.
PATIENCE = 600

#: The instants of changes of state (see ``kernel/steps``), beside those of what they run.
STEPS: Final = (
    "life: registered",
    "life: initializing",
    "life: captured",
    "life: side begun",
    "life: begun",
    "life: copied",
    "life: running",
    "life: changed",
    "life: noted",
    "life: forgotten",
    "life: played back",
)

RUNNING: Final[tuple[MapState, ...]] = ("initializing", "running", "paused", "resuming")

#: Detail of a map that begins without an initial sync.
EMPTY: Final = "without initial sync"

Resume = Literal["play_back", "catch_up", "discard"]

#: Told (map, rows so far, rows in all).
Progress = Callable[[str, int, int], None]


class DualWrite:
    """All maps of a solution, parents first."""

    def __init__(
        self,
        maps: Maps,
        flow: Flow,
        registry: Registry,
        journal: Journal,
        live: Live,
        queue: Queue,
        alarm: Alarm,
        bulk: Bulk,
        look: Look,
        step: Step = unwatched,
    ) -> None:
        self._bulk = bulk
        self._step = step
        self.versions = Versions(maps)
        #: The maps in the versions that count (see ``active``), parents first, as last looked up.
        self.maps = self.versions.active({}, {})
        self.queue = queue
        self.registry = registry
        self.journal = journal
        self._alarm = alarm
        self._flow = flow
        self._live = live
        self._look = look
        self._kept = False
        self._captures = Captures(flow, registry, journal, self.versions, step)
        alarm.act, alarm.doubt = self._act, self._doubt

    def named(self, names: Sequence[str]) -> list[TableMap]:
        """Maps by name, all where none is given, in the order of their dependencies. Raises Refusal FC4042."""
        for name in names:
            if name not in self.maps:
                raise Refusal("FC4042", f"There is no map {name}.", hint=suggest(name, self.maps))
        return [item for name, item in self.maps.items() if not names or name in names]

    @property
    def waiting(self) -> Waiting:
        """Looks at what waits for the maps: for workers that a transport calls."""
        return Waiting(lambda: self.maps, self._flow, self.registry)

    async def refresh(self) -> None:
        """Looks up which maps are not stopped, and in which version: what live writers and the worker go by."""
        records = await self.registry.maps() if await self.registry.installed() else {}
        if records and not self._kept:
            await self.journal.install()
            self._kept = True
        self.maps = self.versions.active(records, await self.journal.choices())
        # One that is being filled may not be captured yet, and nobody is live in it.
        started = {name: record for name, record in records.items() if runs(record) and record.state != "initializing"}
        going = (name for name, record in started.items() if not self.versions.standing(record))
        self._live.use(self.maps.values(), frozenset(going) & self.maps.keys())
        self.queue.use(self.maps.values())

    async def choose(self, name: str, version: str, by: str) -> str:
        """Chooses the version of a map that is not running; '' for the highest. Raises Refusal FC4042, FC4093."""
        self.named([name])
        there = [found.version for found in self.versions.maps.versions[name]]
        if version and version not in there:
            raise Refusal("FC4042", f"{name} has no version {version}.", hint=f"There is {', '.join(there)}.")
        records = await self.registry.maps() if await self.registry.installed() else {}
        if name in records and runs(records[name]):
            text = f"{name} is {records[name].state} in version {records[name].version}."
            raise Refusal("FC4093", text, hint="Stop it, choose, and start it again.")
        await self.journal.install()
        await self.registry.install()
        await self.journal.choose(name, version)
        await self.refresh()
        await self.registry.note(Activity(name, f"version {self.maps[name].version} chosen", by))
        return f"{name} counts in version {self.maps[name].version}"

    async def drift(self, items: Sequence[TableMap]) -> list[Drift]:
        """What has changed in the databases under maps. What only may matter one day is among it: see ``breaks``."""
        live = await self._look() if items else {}
        return [found for item in items for found in drift(item, live)]

    async def check_fit(self, items: Sequence[TableMap]) -> None:
        """Raises Refusal FC6004 where a map no longer fits the databases."""
        broken = [str(found) for found in await self.drift(items) if found.breaks]
        if broken:
            more = f" And {len(broken) - 1} more." if len(broken) > 1 else ""
            hint = "Mend the map or the database; 'forecourt sync status' shows all."
            raise Refusal("FC6004", broken[0] + more, status=409, hint=hint)

    def related(self, names: Sequence[str]) -> list[str]:
        """The other maps whose rows refer to those of these maps, or the other way round."""
        chosen = self.named(names)
        tables = {item.table.name for item in chosen}
        parents = frozenset[str]().union(*(item.parents for item in chosen))
        around = (item for item in self.maps.values() if item.parents & tables or item.table.name in parents)
        return [item.name for item in around if item not in chosen]

    # -- changes of state -----------------------------------------------------------------------------------------

    async def start(
        self, names: Sequence[str], by: str, initial: bool = True, progress: Progress | None = None
    ) -> list[str]:
        """Starts maps that are not running, with an initial sync unless the map or the caller leaves it out.

        One that was cut off goes on. Returns what was done, for people. Raises Refusal for what can't be started.
        """
        fresh, done = await self.begin(names, by, initial)
        return done + await self.copy(fresh, by, progress)

    async def begin(self, names: Sequence[str], by: str, initial: bool = True) -> tuple[list[TableMap], list[str]]:
        """Captures from now on what maps that are not running have to send; :meth:`copy` is what is left to do, by
        this process or any other. Returns these maps, and what is to be said of the others."""
        await self.refresh()
        chosen = self.named(names)
        choices = await self.journal.choices()
        for item in chosen:
            if choices.get(item.name, item.version) != item.version and item.name not in self._live.started:
                text = f"{item.name} was chosen in version {choices[item.name]}, which the solution does not have."
                raise Refusal("FC4093", text, hint=f"Choose another: forecourt sync version … {item.name}.")
        await self.check_fit(chosen)
        if any(Side.DATAVERSE in item.legs or item.mode == "live" for item in chosen):
            await self.registry.check_both()
        done: list[str] = []
        fresh: list[TableMap] = []

        async def register() -> None:
            done.clear()
            fresh.clear()
            await self.registry.install()
            await self.journal.install()
            for item in chosen:
                await self.registry.register(item.name, item.version, item.mode)
                await self._step("life: registered")
                state = await self._initializing(item, by, initial)
                if state == "initializing":
                    fresh.append(item)
                else:
                    done.append(f"{item.name} is {state} already")
            await self._captures.renew(self.maps)

        await self._captures.alone(register)
        for item in fresh:
            await self._reset(item, anew=False)
        return fresh, done

    async def copy(self, items: Sequence[TableMap], by: str, progress: Progress | None = None) -> list[str]:
        """Copies the rows of maps that have begun, and lets them run."""
        done = []
        copy = InitialSync(self._flow, self.registry, self._bulk, step=self._step)
        for step in order(items):
            async with AsyncExitStack() as stack:
                leases = {item.name: await stack.enter_async_context(self._held(item)) for item in step.maps}
                records = await self.registry.maps()
                begun = tuple(item for item in step.maps if records[item.name].state == "initializing")
                wanted = tuple(
                    item for item in begun if not item.record.initial.skip and records[item.name].detail != EMPTY
                )
                rows = await copy.run(replace(step, maps=wanted), leases, progress)
                await self._step("life: copied")
                done += [await self._running(item, by, rows.get(item.name)) for item in begun]
        await self.refresh()
        return done

    async def give_up(self, items: Sequence[TableMap], reason: str) -> None:
        """Maps whose initial sync can't be done are not running (operations-and-integration 1.11)."""
        for item in items:
            if await self.registry.set_state(item.name, "not running", ("initializing",), reason):
                await self.registry.note(Activity(item.name, "initial sync failed", "server", 0, reason))
                async with self._held(item):
                    await self.registry.forget_positions(item.name)
        await self.refresh()
        await self._captures.change(self.maps)

    async def _initializing(self, item: TableMap, by: str, initial: bool) -> str:
        """Lets a map that is not running begin, and says its state. What a stop that was cut off has left is forgotten
        first; a start that was cut off goes on."""
        state = (await self.registry.maps())[item.name].state
        if state == "not running":
            async with self._held(item):
                state = (await self.registry.maps())[item.name].state
                if state == "not running":
                    await self.registry.forget_positions(item.name)
                    detail = "" if initial else EMPTY
                    await self.registry.set_state(item.name, "initializing", ("not running",), detail)
                    await self.registry.note(Activity(item.name, "initializing", by, 0, detail))
                    await self._step("life: initializing")
                    state = "initializing"
        return state

    async def _running(self, item: TableMap, by: str, synced: Synced | None) -> str:
        """A map whose rows have been copied, or need not be, runs."""
        if synced is not None:
            told = f"{synced.written} written, {synced.errors} in error"
            await self.registry.note(Activity(item.name, "initial sync", by, synced.rows, told))
        await self.registry.set_state(item.name, "running", ("initializing",))
        await self._step("life: running")
        await self.registry.note(Activity(item.name, "started", by))
        if synced is None or not synced.rows:
            return f"{item.name} is running"
        return f"{item.name} is running ({synced.rows} rows copied, {synced.errors} in error)"

    async def pause(self, names: Sequence[str], by: str) -> list[str]:
        """Pauses running maps: what changes from now on waits."""
        return [await self._change(item, "paused", ("running",), by, "paused") for item in self.named(names)]

    async def resume(self, names: Sequence[str], by: str, how: Resume = "play_back", wait: bool = True) -> list[str]:
        """Resumes paused maps. Without ``wait``, playing back is left to the worker."""
        done = []
        chosen = self.named(names)
        await self.check_fit(chosen)
        records = await self.registry.maps() if await self.registry.installed() else {}
        for item in chosen:
            paused = item.name in records and records[item.name].state == "paused"
            if how == "discard" and paused:
                await self._reset(item)
            if how == "play_back":
                said = await self._change(item, "resuming", ("paused",), by, "resumed")
                if wait:
                    await self.queue.drain(item)
                await self._step("life: played back")
            else:
                said = await self._change(item, "running", ("paused",), by, f"resumed ({how})")
            done.append(said)
        return done

    async def stop(self, names: Sequence[str], by: str) -> list[str]:
        """Stops maps and forgets how far they have come; the last one takes capture along, and from a database that is
        attached everything else, too."""
        done = []
        for item in self.named(names):
            done.append(await self._change(item, "not running", RUNNING, by, "stopped"))
            if await self.registry.installed():
                async with self._held(item):
                    await self.registry.forget_positions(item.name)
            await self._step("life: forgotten")
        if await self.registry.installed():
            await self._captures.change(self.maps)
            await self._leave()
        return done

    async def _change(
        self, item: TableMap, state: MapState, expected: Sequence[MapState], by: str, what: str, detail: str = ""
    ) -> str:
        if not await self.registry.installed():
            return f"{item.name} is not running: not {what}"
        changed = await self.registry.set_state(item.name, state, expected, detail)
        await self._step("life: changed")
        await self.refresh()
        if not changed:
            record = (await self.registry.maps()).get(item.name)
            return f"{item.name} is {record.state if record is not None else 'not running'}: not {what}"
        await self.registry.note(Activity(item.name, what, by, 0, detail))
        await self._step("life: noted")
        return f"{item.name} is {state}"

    async def _act(self, name: str, action: str, reason: str) -> None:
        """What an alert, or a database that a map no longer fits, does with it, also while a worker is at the map: what
        a stop leaves is forgotten when the map is started again."""
        item = self.maps[name]
        if action == "pause":
            await self._change(item, "paused", ("running", "resuming"), "alert", "paused", reason)
        elif action == "stop":
            if await self.registry.set_state(name, "not running", ("running", "resuming", "paused"), reason):
                await self.registry.note(Activity(name, "stopped", "alert", 0, reason))
                await self._captures.change(self.maps)
                await self.refresh()
        else:
            await self.registry.note(Activity(name, "alert", "alert", 0, reason))

    async def _doubt(self, item: TableMap) -> str:
        """Why a map breaks on the databases as they are now, '' where it does not."""
        return next((str(found) for found in await self.drift([item]) if found.breaks), "")

    async def _reset(self, item: TableMap, anew: bool = True) -> None:
        """Both directions begin now; unless ``anew``, only where one of them has not begun yet."""
        coordinator = self._flow.planes[Side.OPERATIONS].gate.coordinator
        async with self._held(item) as lease:
            begun = [await self.registry.position(item.name, side) is not None for side in item.legs]
            if all(begun) and not anew:
                return
            await self.registry.forget_positions(item.name)
            for side in item.legs:
                position = Position(await self._flow.planes[side].outbox.snapshot())

                async def attempt(work: object, side: Side = side, position: Position = position) -> None:
                    unit = await self._flow.unit(work, side.other)
                    await self.registry.save_position(unit, item.name, side, position, lease.token)

                await coordinator.run(attempt, f"begin {item.name}", settle=False)
                await self._step("life: side begun")
        await self._step("life: begun")

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

    # -- upkeep --------------------------------------------------------------------------------------------------------

    async def status(self, names: Sequence[str] = ()) -> list[Status]:
        """Every map, or those that are named, with what waits for it."""
        await self.refresh()
        return await overview(self.registry, self._flow, self.versions, self.named(names))

    async def retry(self, names: Sequence[str]) -> int:
        """Tries rows in error again now. Returns how many have arrived."""
        total = 0
        for item in self.named(names) if await self.registry.installed() else ():
            async with self._held(item) as lease:
                total += await self.queue.retry(item, lease, force=True)
        return total

    async def tidy(self) -> None:
        """Deletes from the outboxes what every map is done with; where no map runs any more, everything."""
        if not await self._captures.tidy(self.maps):
            await self._leave()

    async def _leave(self) -> None:
        await self._captures.leave()
        await self.refresh()
