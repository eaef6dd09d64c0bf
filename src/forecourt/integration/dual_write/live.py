"""Live dual-write: what people and programs write through Forecourt reaches both sides in one unit of work, or neither.

Takes part in every unit of work (:class:`~forecourt.kernel.change.Partner`):

    before   a row of a mapped entity is looked for: the states of its maps are held until the end, and the pair of rows
             is locked by its integration key, in the operations database, so that writers that start on different
             sides meet there and not across the databases
    settle   what the unit has captured is written to the other side, parents first, deletions the other way round;
             again for what that in turn has changed there (a header's total), until nothing is left

The caller gets the other side's reason when it refuses. Where the other side can't be reached, the map's ``on_outage``
decides: ``refuse`` the write, or ``queue`` what was captured for the worker; for a few seconds nobody then waits for
the missing database again. There is no limit to rows or maps in one unit of work.
Source: operations-and-integration 1.7.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from forecourt.integration.dual_write.alerts import Alarm, kind_of
from forecourt.integration.dual_write.flow import Flow, Outcome
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.change import DEEPEST
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.journal import FailureKind
from forecourt.kernel.model import Entity
from forecourt.kernel.sync import Captured, Leg, MapState, Mode, Registry, RowError, Side

Work = Any

#: Seconds for which a database that was away is not waited for again.
BREAK = 5.0

#: Notes that a unit of work keeps.
_STATES, _SETTLING, _QUEUED = "dual-write states", "dual-write settling", "dual-write queued"
_FAILED = "dual-write failed"


class Live:
    """The partner of every unit of work. ``maps``: in the order of their dependencies, parents first.

    ``shared``: both planes in one database, where nothing can be out of reach alone and the database sees deadlocks.
    ``wake``: called after a commit that left something for the worker.
    """

    def __init__(
        self,
        maps: Sequence[TableMap],
        flow: Flow,
        registry: Registry,
        shared: bool,
        wake: Callable[[], None],
        alarm: Alarm,
    ) -> None:
        self._alarm = alarm
        self._maps = {item.name: item for item in maps}
        self._flow = flow
        self._registry = registry
        self._shared = shared
        self._wake = wake
        self._broken: dict[Side, float] = {}
        #: Names of the maps that are not stopped, as last looked up: where there are none, nothing is asked.
        self.started: frozenset[str] = frozenset()

    def use(self, maps: Iterable[TableMap], started: frozenset[str]) -> None:
        """The maps that count from now on, parents first, and which of them are not stopped."""
        self._maps = {item.name: item for item in maps}
        self.started = started

    # -- the partner ----------------------------------------------------------------------------------------------

    async def before(self, work: Work, entity: Entity, key: Mapping[str, object]) -> None:
        """Holds the states of the entity's maps, and locks the pair of rows."""
        if not self.started or _SETTLING in work.notes:
            return
        name = entity.virtual_of or entity.name
        concerned = [item for item in self._maps.values() if name in (item.entity.name, item.table.name)]
        concerned = [item for item in concerned if item.name in self.started]
        if not concerned:
            return
        live = await self._live(work)
        if self._shared:
            return
        native = entity.virtual_of is None and entity.name == concerned[0].table.name
        side = Side.DATAVERSE if native else Side.OPERATIONS
        for item in concerned:
            if item.name in live and side in item.legs:
                await self._lock(work, item.legs[side], entity, key)

    async def settle(self, work: Work) -> None:
        """Writes to the other side what the unit has changed on one. Raises Refusal: then nothing is kept."""
        if not self.started:
            return
        work.notes[_SETTLING] = True
        for _ in range(DEEPEST):
            if not await self._round(work):
                return
        raise Refusal("FC4003", f"Live dual-write went to and fro {DEEPEST} times without an end.")

    async def settled(self, work: Work, committed: bool) -> None:
        """Wakes the worker where something is left for it; counts what the other side has turned down."""
        if committed:
            if self.started:
                self._wake()
            return
        for item, kind, reason in work.notes.pop(_FAILED, ()):
            if reason:
                await self._alarm.pause(item, reason)
            else:
                await self._alarm.failed(item, [kind])
                await self._alarm.check(item)

    # -- steps ----------------------------------------------------------------------------------------------------

    async def _live(self, work: Work) -> Mapping[str, tuple[MapState, Mode]]:
        """The maps that are live and running, which stays so until the unit ends."""
        known: Mapping[str, tuple[MapState, Mode]] | None = work.notes.get(_STATES)
        if known is None:
            try:
                unit = await self._flow.unit(work, Side.OPERATIONS)
                states = await self._registry.states(unit, sorted(self.started))
            except Unavailable:
                self._refuse_or_queue(work, Side.OPERATIONS, sorted(self.started))
                states = {}
            known = {name: state for name, state in states.items() if state == ("running", "live")}
            work.notes[_STATES] = known
        return known

    async def _lock(self, work: Work, leg: Leg, entity: Entity, key: Mapping[str, object]) -> None:
        """Locks a pair of rows by its integration key, in the operations database."""
        wire = await self._pair_key(work, leg, entity, key)
        if wire is not None:
            unit = await self._flow.unit(work, Side.OPERATIONS)
            await self._registry.pair(unit, leg.map, wire)

    async def _pair_key(
        self, work: Work, leg: Leg, entity: Entity, key: Mapping[str, object]
    ) -> tuple[object, ...] | None:
        """The integration key of a row that is about to be written; None for a new one that has no number yet."""
        unit = await self._flow.unit(work, leg.source_side)
        base = {(found.base or name): key[name] for name, found in entity.fields.items() if name in key}
        known = {name: value for name, value in base.items() if name in leg.source.fields and value is not None}
        if not known:
            return None
        identifying = (leg.source.key, *leg.source.alternate_keys.values(), [c.source for c in leg.key])
        fields = next((names for names in identifying if all(name in known for name in names)), None)
        if fields is None:
            return None
        roots = await self._flow.ends.find(unit, leg, {name: known[name] for name in fields})
        found = await self._flow.ends.project(unit, leg, roots)
        return tuple(v for v, c in zip(found[0][1], leg.columns, strict=True) if c.key) if found else None

    async def _round(self, work: Work) -> bool:
        """One look at what either side has captured. False: nothing is left."""
        found = False
        queued = work.notes.get(_QUEUED, frozenset())
        seen: set[int] = set()
        for side, plane in self._flow.planes.items():
            unit = work.units.get(id(plane.database))
            if unit is None or not unit.wrote or id(plane.database) in seen:
                continue
            seen.add(id(plane.database))
            live = [name for name in await self._live(work) if name not in queued]
            live = [name for name in live if await self._reachable(work, self._maps[name], side)]
            if not live:
                continue
            changes = await plane.outbox.own(unit, sorted(live))
            if changes:
                found = True
                sides = tuple(Side) if self._shared else (side,)
                await self._send(work, [self._maps[name] for name in self._maps if name in live], sides, changes)
        return found

    async def _reachable(self, work: Work, item: TableMap, side: Side) -> bool:
        """Whether the other side takes part; where not, the map's changes wait in the queue."""
        other = side.other
        if side not in item.legs:
            return True
        try:
            if self._broken.get(other, 0.0) > time.monotonic():
                raise Unavailable(f"The {other} database could not be reached just now.")
            await self._flow.unit(work, other)
        except Unavailable:
            self._broken[other] = max(self._broken.get(other, 0.0), time.monotonic() + BREAK)
            self._refuse_or_queue(work, other, [item.name])
            return False
        return True

    def _refuse_or_queue(self, work: Work, side: Side, names: Sequence[str]) -> None:
        refusing = [name for name in names if self._maps[name].record.on_outage == "refuse"]
        if refusing:
            raise Refusal(
                "FC5031",
                f"Unable to write data to {side}: its database cannot be reached, and map {refusing[0]} is live.",
                hint="Try again later. With 'on_outage: queue' the map would catch up by itself.",
            )
        work.notes[_QUEUED] = work.notes.get(_QUEUED, frozenset()) | set(names)

    async def _send(
        self, work: Work, maps: Sequence[TableMap], sides: Sequence[Side], changes: Sequence[Captured]
    ) -> None:
        outcomes: list[tuple[TableMap, Outcome, Sequence[Captured]]] = []
        for item in maps:
            for side in sides:
                leg = item.legs.get(side)
                tables = {source.table for source in leg.source.sources} if leg is not None else set()
                concerned = [change for change in changes if change.table in tables]
                if leg is not None and concerned:
                    async with self._reasons(work, item, leg):
                        outcomes.append((item, await self._flow.outcome(work, leg, concerned), concerned))
        for item, outcome, _ in reversed(outcomes):
            async with self._reasons(work, item, outcome.leg):
                await self._flow.delete(work, outcome, apart=False)
        written = False
        for item, outcome, concerned in outcomes:
            leg = outcome.leg
            async with self._reasons(work, item, leg):
                if written and any(column.source_reference is not None for column in leg.columns):
                    # What the rows look up may have been given its key only now: a line's order its number.
                    outcome = await self._flow.outcome(work, leg, concerned)
                applied = await self._flow.write(work, item, outcome, apart=False)
                if applied.errors:
                    raise _refused(applied.errors[0])
            written = written or bool(applied.written)

    @asynccontextmanager
    async def _reasons(self, work: Work, item: TableMap, leg: Leg) -> AsyncIterator[None]:
        """Says of a refusal inside that the other side has refused. Where a database is no longer as the map has it,
        the map is paused when the unit of work is undone, and what is written then waits."""
        failed: list[tuple[TableMap, FailureKind, str]] = work.notes.setdefault(_FAILED, [])
        name = leg.target.public_name
        try:
            yield
        except Unavailable:
            failed.append((item, "system", ""))
            raise
        except Refusal as error:
            drifted = await self._alarm.drifted(item) if error.code == "FC1003" else ""
            failed.append((item, kind_of(error.code), drifted))
            raise Refusal(
                error.code,
                f"Unable to write data to entity {name}. Writes to {name} failed with error message: {error.message}",
                hint=error.hint,
                source=error.source,
            ) from error
        except Exception as error:
            drifted = await self._alarm.drifted(item)
            if not drifted:
                raise
            failed.append((item, "system", drifted))
            hint = "The map is paused now, and what is written waits. Try again."
            raise Refusal("FC5031", f"Unable to write data to entity {name}: {drifted}", hint=hint) from error


def _refused(error: RowError) -> Refusal:
    return Refusal(error.code or "FC1003", error.message, source=error.field)
