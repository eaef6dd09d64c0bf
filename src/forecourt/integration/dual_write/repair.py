"""Repair: exactly a change set, as far as it still is what the two sides differ in.

Rows are looked at again while the map's writers wait. Deletions come first, children before parents being the caller's
to see to by the order of maps. Everything else goes the way of every copied row: through the target's business logic,
noted for the integration log. Also decides conflicts that a map leaves to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecourt.integration.dual_write.change_set import BATCH, Line, Repaired, by_leg, stands
from forecourt.integration.dual_write.flow import Flow, Outcome, key_of
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.sync import Leg, Side, Unsent, WireRow
from forecourt.kernel.sync_ports import Registry

Work = Any


class Repairer:
    """Applies change sets."""

    def __init__(self, flow: Flow, registry: Registry) -> None:
        self._flow = flow.of("repair")
        self._registry = registry
        self._coordinator = flow.planes[Side.OPERATIONS].gate.coordinator

    async def apply(self, item: TableMap, lines: Sequence[Line]) -> Repaired:
        """Applies the lines of one map. Raises Refusal FC1002, FC1003 for lines that are none of it; nothing is done
        then."""
        done = Repaired()
        for leg, keyed in by_leg(item, lines):
            keys = list(keyed)
            for at in range(0, len(keys), BATCH):
                part = {key: keyed[key] for key in keys[at : at + BATCH]}
                more = await self._apply(item, leg, part)
                done = Repaired(
                    done.applied + more.applied, (*done.skipped, *more.skipped), (*done.errors, *more.errors)
                )
        return done

    async def _apply(self, item: TableMap, leg: Leg, lines: dict[WireRow, Line]) -> Repaired:
        async def attempt(work: Work) -> Repaired:
            await self._registry.hold(await self._flow.unit(work, Side.OPERATIONS), item.name)
            keys = list(lines)
            sent = await self._flow.ends.by_key(await self._flow.unit(work, leg.source_side), leg, keys)
            here = {key_of(leg, row): (root, row) for root, row in sent}
            there = await self._flow.ends.image(await self._flow.unit(work, leg.target_side), leg, keys)
            chosen: list[WireRow] = []
            skipped: list[WireRow] = []
            for key, target in zip(keys, there, strict=True):
                source = here[key][1] if key in here else None
                (chosen if stands(lines[key], leg, source, target, key) else skipped).append(key)
            return await self._write(work, item, leg, lines, chosen, skipped, here)

        return await self._coordinator.run(attempt, f"repair {item.name}", settle=False, slow=True)

    async def _write(
        self,
        work: Work,
        item: TableMap,
        leg: Leg,
        lines: dict[WireRow, Line],
        chosen: Sequence[WireRow],
        skipped: Sequence[WireRow],
        here: dict[WireRow, tuple[WireRow, WireRow]],
    ) -> Repaired:
        outcome = Outcome(
            leg, tuple(here[key] for key in chosen if key in here), tuple(key for key in chosen if key not in here)
        )
        deleted = await self._flow.delete(work, outcome, apart=True)
        written = await self._flow.write(work, item, outcome, apart=True)
        errors = [(lines[outcome.gone[error.index]], error.message) for error in deleted.errors]
        errors += [(lines[key_of(leg, outcome.rows[error.index][1])], error.message) for error in written.errors]
        return Repaired(len(chosen) - len(errors), tuple(lines[key] for key in skipped), tuple(errors))

    # -- conflicts ------------------------------------------------------------------------------------------------

    async def both(self, item: TableMap, side: Side, key: WireRow) -> tuple[Leg, WireRow | None, WireRow | None]:
        """A row that did not arrive, as its source and its target have it now. ``side``: where it starts."""
        leg = item.legs[side]

        async def attempt(work: Work) -> tuple[Leg, WireRow | None, WireRow | None]:
            sent = await self._flow.ends.by_key(await self._flow.unit(work, leg.source_side), leg, [key])
            (target,) = await self._flow.ends.image(await self._flow.unit(work, leg.target_side), leg, [key])
            return leg, sent[0][1] if sent else None, target

        return await self._coordinator.run(attempt, f"look at a row of {item.name}", settle=False)

    async def take(self, item: TableMap, side: Side, key: WireRow) -> str:
        """Makes the other side's row what ``side`` has. Returns why that was refused, '' where it was done."""
        leg = item.legs[side]

        async def attempt(work: Work) -> str:
            await self._registry.hold(await self._flow.unit(work, Side.OPERATIONS), item.name)
            sent = await self._flow.ends.by_key(await self._flow.unit(work, leg.source_side), leg, [key])
            if sent and isinstance(sent[0][1], Unsent):
                return sent[0][1].reason
            outcome = Outcome(leg, tuple(sent), () if sent else (key,))
            deleted = await self._flow.delete(work, outcome, apart=True)
            written = await self._flow.write(work, item, outcome, apart=True)
            return next((error.message for error in (*deleted.errors, *written.errors)), "")

        return await self._coordinator.run(attempt, f"decide a row of {item.name}", settle=False, slow=True)
