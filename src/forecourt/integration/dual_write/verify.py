"""Verify and repair: both sides compared through the map, and what it takes to make them equal again.

The rows of each end are hashed in segments by integration key, in the form in which they travel (transforms, filters
and companies applied), without a lock and while people write. Only segments that differ are read. A row that differs
may be on its way: what waits in the queue is worked off first, and the rows that still differ are looked at once more
while the map's writers wait for an instant. What is left is divergence. Source: operations-and-integration 1.12.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from forecourt.integration.dual_write.flow import Flow, Outcome, key_of
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.queued import Queue
from forecourt.kernel.sync import Leg, RowError, Side, Unsent, WireRow
from forecourt.kernel.sync_ports import Registry

Work = Any
T = TypeVar("T")

#: Segments at least, rows in one at about, and keys looked at again under one lock.
SEGMENTS = 16
ROWS = 500
KEYS = 500

#: Told (steps done, steps): hashing each side, then every segment that differs.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Difference:
    """A row that is not the same on both sides. ``source``, ``target``: wire rows, None where there is none;
    ``columns``: the leg's target columns that differ, () where one row is missing. ``reason``: why it can't be sent."""

    key: WireRow
    source: WireRow | None
    target: WireRow | None
    columns: tuple[str, ...] = ()
    reason: str = ""

    @property
    def kind(self) -> Literal["missing", "surplus", "different", "unsent"]:
        if self.reason:
            return "unsent"
        if self.target is None:
            return "missing"
        return "surplus" if self.source is None else "different"


@dataclass(frozen=True)
class Comparison:
    """What one direction of a map was found to be. ``rows`` at the source; ``pending``: rows that only were on their
    way."""

    leg: Leg
    rows: int
    segments: int
    differences: tuple[Difference, ...]
    pending: int = 0


class Verifier:
    """Compares the ends of maps."""

    def __init__(self, flow: Flow, registry: Registry, queue: Queue) -> None:
        self._flow = flow.of("repair")
        self._registry = registry
        self._queue = queue
        self._coordinator = flow.planes[Side.OPERATIONS].gate.coordinator

    async def compare(self, item: TableMap, progress: Progress | None = None) -> list[Comparison]:
        """Every direction of a map; of two, the second one for the columns that the first does not have."""
        done = []
        for leg in legs_of(item):
            done.append(await self._compare(item, leg, progress))
        return done

    async def _compare(self, item: TableMap, leg: Leg, progress: Progress | None) -> Comparison:
        total = await self._reading(item, lambda work: self._count(work, leg))
        segments = max(SEGMENTS, total // ROWS)
        source = await self._reading(item, lambda work: self._hashes(work, leg, "source", segments))
        told = progress or (lambda done, total: None)
        told(1, 2)
        target = await self._reading(item, lambda work: self._hashes(work, leg, "target", segments))
        wrong = sorted(number for number in source.keys() | target.keys() if source.get(number) != target.get(number))
        suspects: list[WireRow] = []
        for at, number in enumerate(wrong):
            here = await self._reading(item, self._segment(leg, "source", segments, number))
            there = await self._reading(item, self._segment(leg, "target", segments, number))
            suspects += [key for key in here.keys() | there.keys() if here.get(key) != there.get(key)]
            told(at + 3, len(wrong) + 2)
        await self._queue.drain(item)
        found: list[Difference] = []
        for at in range(0, len(suspects), KEYS):
            found += await self._reading(item, self._suspects(item, leg, suspects[at : at + KEYS]))
        rows = sum(segment[0] for segment in source.values())
        return Comparison(leg, rows, segments, tuple(found), len(suspects) - len(found))

    async def _reading(self, item: TableMap, attempt: Callable[[Work], Awaitable[T]]) -> T:
        """Reads in a unit of work of its own, in which no live writer takes part."""
        return await self._coordinator.run(attempt, f"verify {item.name}", settle=False, slow=True)

    def _segment(
        self, leg: Leg, end: Literal["source", "target"], segments: int, number: int
    ) -> Callable[[Work], Awaitable[dict[WireRow, WireRow]]]:
        return lambda work: self._rows(work, leg, end, segments, number)

    def _suspects(
        self, item: TableMap, leg: Leg, keys: Sequence[WireRow]
    ) -> Callable[[Work], Awaitable[list[Difference]]]:
        return lambda work: self._again(work, item, leg, keys)

    async def _count(self, work: Work, leg: Leg) -> int:
        return await self._flow.ends.count(await self._flow.unit(work, leg.source_side), leg)

    async def _hashes(
        self, work: Work, leg: Leg, end: Literal["source", "target"], segments: int
    ) -> dict[int, tuple[int, int]]:
        unit = await self._flow.unit(work, leg.source_side if end == "source" else leg.target_side)
        found = await self._flow.ends.segments(unit, leg, end, segments)
        return {segment.number: (segment.rows, segment.hash) for segment in found}

    async def _rows(
        self, work: Work, leg: Leg, end: Literal["source", "target"], segments: int, number: int
    ) -> dict[WireRow, WireRow]:
        unit = await self._flow.unit(work, leg.source_side if end == "source" else leg.target_side)
        rows = await self._flow.ends.segment(unit, leg, end, segments, number)
        return {key_of(leg, row): row for row in rows}

    async def _again(self, work: Work, item: TableMap, leg: Leg, keys: Sequence[WireRow]) -> list[Difference]:
        """The keys that still differ while the map's writers wait."""
        await self._registry.hold(await self._flow.unit(work, Side.OPERATIONS), item.name)
        sent = await self._flow.ends.by_key(await self._flow.unit(work, leg.source_side), leg, keys)
        here = {key_of(leg, row): row for _, row in sent}
        there = await self._flow.ends.image(await self._flow.unit(work, leg.target_side), leg, keys)
        found = []
        for key, target in zip(keys, there, strict=True):
            source = here.get(key)
            if isinstance(source, Unsent):
                found.append(Difference(key, source, target, reason=source.reason))
            elif source != target:
                found.append(Difference(key, source, target, _columns(leg, source, target)))
        return found

    # -- repair ---------------------------------------------------------------------------------------------------

    async def repair(self, item: TableMap, comparison: Comparison) -> list[RowError]:
        """Makes the target what the source is for the rows that differ. Looks at them again first: a row that has
        changed since is sent as it is now. Returns what could not be repaired."""
        leg = comparison.leg
        keys = [difference.key for difference in comparison.differences if not difference.reason]
        errors: list[RowError] = []

        async def attempt(work: Work) -> None:
            errors.clear()
            await self._registry.hold(await self._flow.unit(work, Side.OPERATIONS), item.name)
            sent = await self._flow.ends.by_key(await self._flow.unit(work, leg.source_side), leg, keys)
            rows = tuple(pair for pair in sent if not isinstance(pair[1], Unsent))
            alive = {key_of(leg, row) for _, row in sent}
            outcome = Outcome(leg, rows, tuple(key for key in keys if key not in alive))
            deleted = await self._flow.delete(work, outcome, apart=True)
            written = await self._flow.write(work, item, outcome, apart=True)
            errors.extend((*deleted.errors, *written.errors))

        if keys:
            await self._coordinator.run(attempt, f"repair {item.name}", settle=False, slow=True)
        return errors


def legs_of(item: TableMap) -> list[Leg]:
    """What is compared of a map: the direction of the master, and of the other one what it alone sets."""
    first = item.legs[item.master]
    second = item.legs.get(item.master.other)
    if second is None:
        return [first]
    known = {(column.source, column.target) for column in first.columns}
    rest = [c for c in second.columns if not c.key and c.source and (c.target, c.source) not in known]
    if not rest:
        return [first]
    kept = tuple(c for c in second.columns if c.key or c.company or c in rest)
    return [first, replace(second, columns=kept)]


def _columns(leg: Leg, source: WireRow | None, target: WireRow | None) -> tuple[str, ...]:
    if source is None or target is None:
        return ()
    return tuple(
        column.target for column, ours, theirs in zip(leg.columns, source, target, strict=True) if ours != theirs
    )
