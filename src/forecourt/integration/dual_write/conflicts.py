"""Conflicts: rows that both sides have changed since they last agreed, and whose values stand.

A worker writes what one side has changed, and so holds these rows on the other one. Then it asks whether that side has
changed any of them too, among all that still waits there: nobody can any more, so the answer is final. Where it has,
the worker undoes what it did and does it again without the rows that lose by the map's rule::

    operations, dataverse   the named side's change stands
    newer                   the later one; of two as old, that of operations
    manual                  neither, and nothing more happens to the row until a person has decided

Whose change loses is overwritten when the other side's is applied. Source: operations-and-integration 1.9.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from forecourt.integration.dual_write.alerts import Alarm
from forecourt.integration.dual_write.flow import Flow, Outcome, key_of, turned
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.tally import Tally, error_of
from forecourt.integration.dual_write.wire_json import key_from
from forecourt.kernel.sync import Captured, Leg, Position, Side, WireRow
from forecourt.kernel.sync_ports import Registry

Work = Any


@dataclass
class Turn:
    """What one side of a map has to be dealt with. ``position``: before it, ``next``: afterwards; ``idle``: nothing was
    captured, not even what others have dealt with."""

    leg: Leg
    position: Position
    changes: list[Captured] = field(default_factory=list)
    next: Position | None = None
    idle: bool = False


class Contested(Exception):
    """Rows that were written have been changed on the other side too, last at these times; by integration key."""

    def __init__(self, keys: Mapping[WireRow, dt.datetime]) -> None:
        super().__init__("changed on both sides")
        self.keys = dict(keys)


class Conflicts:
    """Finds and decides conflicts."""

    def __init__(self, flow: Flow, registry: Registry, alarm: Alarm) -> None:
        self._flow = flow
        self._registry = registry
        self._alarm = alarm

    async def check(
        self,
        work: Work,
        item: TableMap,
        turn: Turn,
        back: Position,
        contested: Mapping[WireRow, dt.datetime],
        tally: Tally,
    ) -> None:
        """Raises Contested for rows that were written here and that the other side has changed as well."""
        other = item.legs[turn.leg.target_side]
        keys = [key for key, _ in tally.found.values() if key not in contested and None not in key]
        unit = await self._flow.unit(work, turn.leg.target_side)
        times = await self._flow.ends.touched(unit, other, back, [turned(turn.leg, other, key) for key in keys])
        found = {key: at for key, at in zip(keys, times, strict=True) if at is not None}
        if found:
            raise Contested(found)

    async def losing(
        self, work: Work, item: TableMap, turn: Turn, contested: Mapping[WireRow, dt.datetime]
    ) -> frozenset[WireRow]:
        """Integration keys whose changes on the side of a turn do not stand."""
        leg = turn.leg
        match item.record.conflict.resolve:
            case "manual":
                return frozenset(contested) | await self._undecided(item, leg)
            case "newer":
                keys = list(contested)
                unit = await self._flow.unit(work, leg.source_side)
                own = await self._flow.ends.touched(unit, leg, turn.position, keys)
                latest = turn.changes[-1].at
                ours = leg.source_side is Side.OPERATIONS  # whose change stands where both are as old
                return frozenset(
                    key
                    for key, at in zip(keys, own, strict=True)
                    if contested[key] > (at or latest) or (contested[key] == (at or latest) and not ours)
                )
            case winner:
                return frozenset() if Side(winner) is leg.source_side else frozenset(contested)

    async def keep(self, item: TableMap, leg: Leg, keys: Sequence[WireRow]) -> None:
        """Keeps conflicts for a person to decide."""
        text = "Both sides have changed this row; the map leaves it to you whose values stand."
        first = item.legs[Side.OPERATIONS]
        named = [key if leg is first else turned(leg, first, key) for key in keys]
        errors = [error_of(item.name, Side.OPERATIONS, "upsert", key, text, "conflict") for key in named]
        await self._registry.add_errors(item.name, Side.OPERATIONS, errors)
        await self._alarm.failed(item, ["conflict"] * len(errors))

    async def _undecided(self, item: TableMap, leg: Leg) -> frozenset[WireRow]:
        """Keys of the conflicts that nobody has decided yet: whatever else happens to these rows waits for that."""
        first = item.legs[Side.OPERATIONS]
        kept = [error for error in await self._registry.errors(item.name, 100_000) if error.kind == "conflict"]
        keys = [key_from(first, error.key) for error in kept]
        return frozenset(key if leg is first else turned(first, leg, key) for key in keys)


def without(outcome: Outcome, losing: frozenset[WireRow]) -> Outcome:
    """The outcome without the rows whose changes do not stand."""
    if not losing:
        return outcome
    leg = outcome.leg
    rows = tuple(pair for pair in outcome.rows if key_of(leg, pair[1]) not in losing)
    gone = tuple(key for key in outcome.gone if key not in losing)
    return replace(outcome, rows=rows, gone=gone)
