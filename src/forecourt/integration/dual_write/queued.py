"""Queued dual-write: what has been captured and no live writer has dealt with is applied by a worker.

One turn of a map, under its lease::

    read    the next captured changes of both sides, in the order of each row's writers (see ``kernel/sync``)
    apply   what the rows look like now, to the other side; live writers of the map wait meanwhile
    match   keys that the other side has changed as well: the map's conflict rule says whose values stand
    keep    how far this has come, in the transaction that applies it

A position that is kept together with what it stands for makes each change count once, whatever dies when. A row in
error is set aside with its reason, the others go on; it is tried again by itself now and then, and whenever its row
changes. Source: operations-and-integration 1.9, 1.12.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, Final

from forecourt.integration.dual_write import versions
from forecourt.integration.dual_write.alerts import Alarm, kind_of
from forecourt.integration.dual_write.conflicts import Conflicts, Contested, Turn, without
from forecourt.integration.dual_write.flow import Flow, Outcome, key_of
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.tally import Tally, error_of, texts
from forecourt.integration.dual_write.wire_json import key_from
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Fault, Observer, Synced, nobody
from forecourt.kernel.steps import Step, unwatched
from forecourt.kernel.sync import Lease, Leg, Position, RowError, Side, SyncError, Unsent, WireRow
from forecourt.kernel.sync_ports import Outbox, Registry

Work = Any

#: Rows of the outbox in one turn; each may hold some thousand keys.
BATCH = 100

#: Seconds of a lease, and between two attempts of rows in error.
LEASE = 30.0
RETRY = 30.0

#: Seconds before a map that could not go on is tried again.
PAUSE = 2.0

#: How often a turn is done again since yet other rows were changed on both sides meanwhile.
ROUNDS = 10

#: States in which a map is worked on.
ACTIVE: Final = ("running", "resuming")

#: The instants of a turn (see ``kernel/steps``).
STEPS: Final = (
    "queued: leased",
    "queued: read",
    "queued: applied",
    "queued: set aside",
    "queued: kept",
    "queued: committed",
    "queued: released",
)


class Queue:
    """The worker of the maps that are neither stopped nor paused. Any number of processes may run one."""

    def __init__(
        self,
        maps: Sequence[TableMap],
        flow: Flow,
        registry: Registry,
        alarm: Alarm,
        observer: Observer = nobody,
        name: str = "",
        step: Step = unwatched,
    ) -> None:
        self._alarm = alarm
        self._maps = {item.name: item for item in maps}
        self._flow = flow.of("queued")
        self._registry = registry
        self._conflicts = Conflicts(self._flow, registry, alarm)
        self._observer = observer
        self._name = name or secrets.token_hex(6)
        self._step = step
        self._retried: dict[str, float] = {}

    # -- running --------------------------------------------------------------------------------------------------

    def use(self, maps: Iterable[TableMap]) -> None:
        """The maps that count from now on."""
        self._maps = {item.name: item for item in maps}

    async def run(self) -> None:
        """Works for ever, until cancelled. What is out of reach is tried again."""
        woken = {name: asyncio.Event() for name in self._maps}
        outboxes = {id(plane.outbox): plane.outbox for plane in self._flow.planes.values()}
        async with asyncio.TaskGroup() as tasks:
            for outbox in outboxes.values():
                tasks.create_task(self._watch(outbox, woken.values()))
            for name, event in woken.items():
                tasks.create_task(self._serve(name, event))

    @staticmethod
    async def _watch(outbox: Outbox, woken: Collection[asyncio.Event]) -> None:
        """Wakes every map whenever something may have been captured on a side."""
        async with aclosing(outbox.listen()) as wakes:
            async for _ in wakes:
                for event in woken:
                    event.set()

    async def _serve(self, name: str, woken: asyncio.Event) -> None:
        while True:
            await woken.wait()
            woken.clear()
            try:
                await self.drain(self._maps[name])
            except (Unavailable, Refusal):
                await asyncio.sleep(PAUSE)  # counted already
            except Exception as error:
                self._observer(Fault(f"queue of {name}", error))
                await asyncio.sleep(PAUSE)

    async def drain(self, item: TableMap) -> int:
        """Works off what waits for a map; how many rows that were. 0 as well where another worker has the map.

        What stands in its way counts for alerts; a map that no longer fits the databases is paused. Raises Refusal,
        Unavailable.
        """
        try:
            total = await self._drain(item)
        except Exception as error:
            if not await self._trouble(item, error):
                raise
            return 0
        if item.name in self._alarm.fresh:
            await self._alarm.check(item)
        return total

    async def _trouble(self, item: TableMap, error: Exception) -> bool:
        """Deals with what keeps a map from going on. False: it is tried again."""
        if isinstance(error, Refusal) and error.code == "FC6004":
            await self._alarm.pause(item, error.message)
            return True
        if not isinstance(error, Refusal | Unavailable):
            drifted = await self._alarm.drifted(item)
            if drifted:
                await self._alarm.pause(item, drifted)
                return True
        await self._alarm.failed(item, ["system" if isinstance(error, Unavailable) else kind_of(_code(error))])
        return await self._alarm.check(item)

    async def _drain(self, item: TableMap) -> int:
        try:
            record = (await self._registry.maps()).get(item.name)
        except Refusal:
            return 0  # no map runs, and the registry is gone
        if record is None or record.state not in ACTIVE or record.version != item.version:
            return 0
        lease = await self._registry.lease(item.name, self._name, LEASE)
        if lease is None:
            return 0
        total = 0
        try:
            await self._step("queued: leased")
            while await self._registry.renew(lease, LEASE, ACTIVE) is not None:
                total += await self.retry(item, lease)
                rows, more = await self.turn(item, lease)
                total += rows
                if item.name in self._alarm.fresh and await self._alarm.check(item):
                    break
                if not more:
                    if record.state == "resuming":
                        await self._registry.set_state(item.name, "running", ("resuming",))
                    break
            return total
        finally:
            with suppress(Unavailable, Refusal):
                await self._registry.release(lease)
                await self._step("queued: released")

    # -- one turn -------------------------------------------------------------------------------------------------

    async def turn(self, item: TableMap, lease: Lease, limit: int = BATCH) -> tuple[int, bool]:
        """Applies the next captured changes of both sides. Returns the rows, and whether more may be waiting."""
        turns = [turn for leg in item.legs.values() if (turn := await self._waiting(item, leg, limit)) is not None]
        await self._step("queued: read")
        total = 0
        more = False
        positions = {turn.leg.source_side: turn.position for turn in turns}
        for turn in turns:
            assert turn.next is not None
            if turn.idle:
                continue
            total += await self._apply(item, turn, lease, positions.get(turn.leg.target_side))
            positions[turn.leg.source_side] = turn.next
            more = more or turn.next.until != ""
        return total, more

    async def _waiting(self, item: TableMap, leg: Leg, limit: int) -> Turn | None:
        """What waits on the side where a leg starts; None where its position is not known: it was never started."""
        position = await self._registry.position(item.name, leg.source_side)
        if position is None:
            return None
        outbox = self._flow.planes[leg.source_side].outbox
        tables = [source.table for source in leg.source.sources]
        changes, following = await outbox.read(position, tables, limit)
        idle = not changes and not position.until
        return Turn(leg, position, [change for change in changes if item.name not in change.taken], following, idle)

    async def _apply(self, item: TableMap, turn: Turn, lease: Lease, back: Position | None) -> int:
        """Applies what one side has changed. ``back``: how far the other direction has come, None where there is none.

        Whether the other side has changed a row too is asked when it has been written, and so is held: then the answer
        is final. Where it has, all is undone and done again with what the map's rule says.
        """
        contested: dict[WireRow, dt.datetime] = {}
        for _ in range(ROUNDS):
            try:
                tally = await self._attempt(item, turn, lease, back, contested)
                break
            except Contested as found:
                contested.update(found.keys)
        else:
            raise Refusal("FC5031", f"Rows of {item.name} are changed on both sides all the time.")
        await self._step("queued: committed")
        await self._alarm.failed(item, [error.kind for error in tally.errors])
        if tally.mended:
            await self._registry.forget(item.name, turn.leg.source_side, tally.mended)
        if turn.changes:
            told = Synced(item.name, turn.leg.source_side.value, tally.written, tally.deleted, len(tally.errors))
            self._observer(told)
        return tally.written + tally.deleted

    async def _attempt(
        self,
        item: TableMap,
        turn: Turn,
        lease: Lease,
        back: Position | None,
        contested: Mapping[WireRow, dt.datetime],
    ) -> Tally:
        leg, following = turn.leg, turn.next
        assert following is not None

        async def attempt(work: Work) -> Tally:
            tally = Tally()
            operations = await self._flow.unit(work, Side.OPERATIONS)
            if turn.changes:
                await self._registry.hold(operations, item.name)
                losing = await self._conflicts.losing(work, item, turn, contested) if back is not None else frozenset()
                for outcome in await self._outcomes(work, item, turn, back):
                    await self._write(work, item, without(outcome, losing), tally)
                if back is not None:
                    await self._conflicts.check(work, item, turn, back, contested, tally)
                if tally.errors and (drifted := await self._alarm.drifted(item)):
                    raise Refusal("FC6004", drifted)
                await self._step("queued: applied")
                if contested and item.record.conflict.resolve == "manual":
                    await self._conflicts.keep(item, leg, list(contested))
            if tally.errors:  # kept before the position passes them, whatever dies in between
                await self._registry.add_errors(item.name, leg.source_side, tally.errors)
                await self._step("queued: set aside")
            target = await self._flow.unit(work, leg.target_side)
            await self._registry.save_position(
                target, item.name, leg.source_side, following, lease.token, turn.position
            )
            await self._step("queued: kept")
            return tally

        coordinator = self._flow.planes[Side.OPERATIONS].gate.coordinator
        return await coordinator.run(attempt, f"apply changes of {item.name}", settle=False, slow=True)

    # -- writing --------------------------------------------------------------------------------------------------

    async def _outcomes(self, work: Work, item: TableMap, turn: Turn, back: Position | None) -> Sequence[Outcome]:
        """What has become of changed rows: of each its latest version, or every one in turn."""
        if item.record.versions != "every":
            return (await self._flow.outcome(work, turn.leg, turn.changes),)
        following = turn.next
        assert following is not None

        async def waiting(keys: Sequence[WireRow]) -> list[bool]:
            """Whether later versions of rows are still to come."""
            unit = await self._flow.unit(work, turn.leg.source_side)
            times = await self._flow.ends.touched(unit, turn.leg, following, keys)
            return [at is not None for at in times]

        return await versions.outcomes(self._flow, work, turn.leg, turn.changes, waiting if back is not None else None)

    async def _write(self, work: Work, item: TableMap, outcome: Outcome, tally: Tally) -> None:
        """Writes and deletes, errors apart."""
        leg = outcome.leg
        deleted = await self._flow.delete(work, outcome, apart=True)
        written = await self._flow.write(work, item, replace(outcome, unsent=()), apart=True)
        tally.deleted += deleted.deleted
        tally.written += written.written
        keys = [key_of(leg, row) for _, row in outcome.rows]
        for key in (*outcome.gone, *keys):
            tally.arrived(key)
        for error in deleted.errors:
            tally.failed(self._kept(leg, "delete", outcome.gone[error.index], error))
        for error in written.errors:
            tally.failed(self._kept(leg, "upsert", keys[error.index], error))
        for row, error in zip(outcome.unsent, outcome.refused, strict=True):
            tally.failed(self._kept(leg, "upsert", key_of(leg, row), error))

    @staticmethod
    def _kept(leg: Leg, operation: str, key: WireRow, error: RowError) -> SyncError:
        return error_of(leg.map, leg.source_side, operation, key, error.message, kind_of(error.code))

    # -- rows in error --------------------------------------------------------------------------------------------

    async def retry(self, item: TableMap, lease: Lease, force: bool = False) -> int:
        """Tries rows in error again, now and then or when ``force``d. Returns how many have arrived."""
        now = asyncio.get_running_loop().time()
        if not force and now - self._retried.get(item.name, now - RETRY) < RETRY:
            return 0
        self._retried[item.name] = now
        kept = [error for error in await self._registry.errors(item.name) if error.kind != "conflict"]
        total = 0
        for side, leg in item.legs.items():
            wrong = [error for error in kept if error.source is side]
            if wrong:
                total += await self._again(item, leg, wrong)
        return total

    async def _again(self, item: TableMap, leg: Leg, wrong: Sequence[SyncError]) -> int:
        tally = Tally()
        width = len(leg.key)

        async def attempt(work: Work) -> None:
            nonlocal tally
            tally = Tally()
            await self._registry.hold(await self._flow.unit(work, Side.OPERATIONS), item.name)
            unit = await self._flow.unit(work, leg.source_side)
            keys = [key_from(leg, error.key) for error in wrong if len(error.key) == width]
            sent = await self._flow.ends.by_key(unit, leg, keys)
            alive = {texts(key_of(leg, row)) for _, row in sent}
            gone = tuple(key for key in keys if texts(key) not in alive)
            rows = tuple(pair for pair in sent if not isinstance(pair[1], Unsent))
            unsent = tuple(row for _, row in sent if isinstance(row, Unsent))
            await self._write(work, item, Outcome(leg, rows, gone, unsent), tally)

        coordinator = self._flow.planes[Side.OPERATIONS].gate.coordinator
        await coordinator.run(attempt, f"try rows of {item.name} again", settle=False, slow=True)
        failed = {texts(error.key) for error in tally.errors}
        done = [error.id for error in wrong if texts(error.key) not in failed]
        await self._registry.dismiss(done)
        if tally.errors:
            await self._registry.add_errors(item.name, leg.source_side, tally.errors)
        return len(done)


def _code(error: Exception) -> str:
    return error.code if isinstance(error, Refusal) else "FC5000"
