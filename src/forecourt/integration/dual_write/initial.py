"""Initial sync: all rows of one side to the other, before a map runs.

Rows go in key order, some thousand at a time, each batch in a transaction of its own together with the key that it
ended at, so that a sync which is cut off goes on where it was. What changes meanwhile is captured and applied
afterwards: the map's position is taken before the first row is read. Where both sides have a row, the master's values
stand.
Maps come in the order of their dependencies; lookups within a cycle of maps, and of a table to itself, are set in a
second pass. Source: operations-and-integration 1.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from forecourt.integration.dual_write.flow import Flow, Outcome, key_of
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.order import Step as Maps
from forecourt.integration.dual_write.order import first_pass, second_pass
from forecourt.integration.dual_write.queued import LEASE
from forecourt.kernel.bulk import Bulk, Range
from forecourt.kernel.errors import Refusal
from forecourt.kernel.integration_log import Span
from forecourt.kernel.steps import Step, unwatched
from forecourt.kernel.sync import Lease, Leg, RowError, Side, SyncError, Unsent, WireRow
from forecourt.kernel.sync_ports import Registry

Work = Any

#: Rows in one batch that business logic looks at, and how many times that where none does.
BATCH = 5_000
SET = 10

#: The instants of a batch (see ``kernel/steps``).
STEPS: Final = (
    "initial: counted",
    "initial: claimed",
    "initial: moved",
    "initial: set aside",
    "initial: kept",
    "initial: committed",
    "initial: tried again",
)

#: A row in error: its root key, its integration key, what is wrong.
Wrong = tuple[WireRow, WireRow, RowError]


@dataclass(frozen=True)
class Synced:
    """What an initial sync did."""

    rows: int
    written: int
    errors: int


@dataclass(frozen=True)
class _Batch:
    """What became of one batch. ``last``: the root key that it came to, None at the end."""

    last: WireRow | None
    rows: int
    written: int
    wrong: list[Wrong]


class InitialSync:
    """Copies whole tables."""

    def __init__(self, flow: Flow, registry: Registry, bulk: Bulk, batch: int = BATCH, step: Step = unwatched) -> None:
        self._step = step
        self._bulk = bulk
        self._flow = flow.of("initial")
        self._registry = registry
        self._batch = batch

    async def run(
        self, step: Maps, leases: Mapping[str, Lease], progress: Callable[[str, int, int], None] | None = None
    ) -> dict[str, Synced]:
        """Copies all rows of the maps of a step from their master sides. Rows in error are kept with their map.

        ``leases``: the caller's, by map. Raises Refusal FC4121 where a lease is lost or the map is stopped meanwhile.
        """
        done = {}
        for item in step.maps:
            leg = item.legs[item.master]
            late = step.late.get(item.name, ())
            first = first_pass(leg, late) if late else leg
            done[item.name] = await self._pass(item, first, "1", leases[item.name], progress)
        for item in step.maps:
            late = step.late.get(item.name, ())
            if late:
                second = second_pass(item.legs[item.master], late)
                again = await self._pass(item, second, "2", leases[item.name], progress)
                done[item.name] = replace(done[item.name], errors=done[item.name].errors + again.errors)
        return done

    async def _pass(
        self, item: TableMap, leg: Leg, number: str, lease: Lease, told: Callable[[str, int, int], None] | None
    ) -> Synced:
        coordinator = self._flow.planes[Side.OPERATIONS].gate.coordinator
        mark = f"{item.name} {number}"
        after, rows = await self._registry.progress(mark, leg.source_side)
        move = self._set if self._flow.as_set(leg) else self._each
        total = await coordinator.run(lambda work: self._count(work, leg), f"count {leg.source.name}", settle=False)
        await self._step("initial: counted")
        written = 0
        again: list[WireRow] = []
        while True:
            if await self._registry.renew(lease, LEASE, ("initializing",)) is None:
                raise Refusal("FC4121", f"Map {item.name} is worked on by somebody else, or was stopped.")

            async def attempt(work: Work, after: WireRow | None = after, rows: int = rows) -> _Batch:
                target = await self._flow.unit(work, leg.target_side)
                await self._registry.fence(target, item.name, leg.source_side, lease.token)
                await self._step("initial: claimed")
                moved = await move(work, item, leg, after)
                await self._step("initial: moved")
                if moved.wrong:  # kept before the progress passes them, whatever dies in between
                    await self._keep(item, leg, moved.wrong)
                    await self._step("initial: set aside")
                await self._registry.save_progress(target, mark, moved.last, rows + moved.rows)
                await self._step("initial: kept")
                return moved

            done = await coordinator.run(attempt, f"initial sync of {item.name}", settle=False, slow=True)
            rows, written, after = rows + done.rows, written + done.written, done.last
            await self._step("initial: committed")
            again += [root for root, _, _ in done.wrong]
            if after is None:
                break
            if told is not None:
                told(item.name, rows, max(total, rows))
        return Synced(rows, written, await self._again(item, leg, lease, again))

    async def _set(self, work: Work, item: TableMap, leg: Leg, after: WireRow | None) -> _Batch:
        """The next rows as a set, which no row of passes through here."""
        source, target = await self._flow.unit(work, leg.source_side), await self._flow.unit(work, leg.target_side)
        staged = await self._bulk.stage(source, target, leg, Range(after, self._batch * SET))
        merged = await self._bulk.merge(target, leg)
        if staged.last is not None:
            span = Span(after, staged.last)
            self._flow.log(work, leg, "create", span=span, rows=merged.inserted)
            self._flow.log(work, leg, "update", span=span, rows=merged.updated)
        wrong = await self._named(source, leg, {e.root: RowError(-1, e.message, e.field) for e in merged.errors})
        rows = merged.inserted + merged.updated + merged.unchanged + len(wrong)
        return _Batch(staged.last, rows, merged.inserted + merged.updated, wrong)

    async def _each(self, work: Work, item: TableMap, leg: Leg, after: WireRow | None) -> _Batch:
        """The next rows one by one, through the target's business logic."""
        unit = await self._flow.unit(work, leg.source_side)
        roots = await self._flow.ends.roots(unit, leg, after, self._batch)
        sent = await self._flow.ends.project(unit, leg, roots)
        outcome = Outcome(leg, tuple(pair for pair in sent if not isinstance(pair[1], Unsent)))
        applied = await self._flow.write(work, item, outcome, apart=True)
        wrong = [(root, key_of(leg, row), RowError(-1, row.reason)) for root, row in sent if isinstance(row, Unsent)]
        for error in applied.errors:
            root, row = outcome.rows[error.index]
            wrong.append((root, key_of(leg, row), error))
        return _Batch(roots[-1] if roots else None, len(roots), applied.written, wrong)

    async def _again(self, item: TableMap, leg: Leg, lease: Lease, roots: list[WireRow]) -> int:
        """Rows in error once more, as long as that helps: what they look up may be there by now. Keeps and counts the
        errors that are left."""
        coordinator = self._flow.planes[Side.OPERATIONS].gate.coordinator
        while roots:

            async def attempt(work: Work, roots: list[WireRow] = roots) -> tuple[list[Wrong], list[WireRow]]:
                target = await self._flow.unit(work, leg.target_side)
                await self._registry.fence(target, item.name, leg.source_side, lease.token)
                unit = await self._flow.unit(work, leg.source_side)
                sent = await self._flow.ends.project(unit, leg, roots)
                unsent = [(root, row, RowError(-1, row.reason)) for root, row in sent if isinstance(row, Unsent)]
                outcome = Outcome(leg, tuple(pair for pair in sent if not isinstance(pair[1], Unsent)))
                applied = await self._flow.write(work, item, outcome, apart=True)
                wrong = [*unsent, *((*outcome.rows[error.index], error) for error in applied.errors)]
                failed = [(root, key_of(leg, row), error) for root, row, error in wrong]
                lost = {root for root, _, _ in failed}
                return failed, [key_of(leg, row) for root, row in sent if root not in lost]

            failed, arrived = await coordinator.run(attempt, f"initial sync of {item.name}", settle=False, slow=True)
            await self._step("initial: tried again")
            await self._registry.forget(item.name, leg.source_side, arrived)
            if len(failed) == len(roots):
                await self._keep(item, leg, failed)
                return len(failed)
            roots = [root for root, _, _ in failed]
        return 0

    async def _named(self, source: Any, leg: Leg, errors: Mapping[WireRow, RowError]) -> list[Wrong]:
        """Rows in error with their integration keys."""
        sent = await self._flow.ends.project(source, leg, list(errors)) if errors else []
        return [(root, key_of(leg, row), errors[root]) for root, row in sent]

    async def _count(self, work: Work, leg: Leg) -> int:
        return await self._flow.ends.count(await self._flow.unit(work, leg.source_side), leg)

    async def _keep(self, item: TableMap, leg: Leg, wrong: Sequence[Wrong]) -> None:
        kept = [
            SyncError(0, item.name, leg.source_side, "upsert", key, error.message, "application", 1)
            for _, key, error in wrong
        ]
        await self._registry.add_errors(item.name, leg.source_side, kept)
