"""Every version: captured images of a leg's rows as a sequence of outcomes, each row's versions in commit order.

A map with ``versions: every`` sends what a row was after each change, not what it is by now. An image is projected
through the leg as the row would have been: the root table's columns from the image, joined tables and lookups as they
are now. Changes of joined tables have no image; they send the row as it is now.

Versions are put into *rounds*, which are written as sets: a version comes in the first round behind those of everything
that it touches, its row and its integration keys. So no order between two versions of one row, or between two rows that
had one key after another, is lost, and a thousand rows with three versions each take three rounds.

A version that is older than its row is never answered: what the target computes for it is not written back. Source:
operations-and-integration 1.12.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from forecourt.integration.dual_write.flow import Flow, Outcome, key_of
from forecourt.kernel.sync import WAS, Captured, Leg, Unsent, WireRow

Work = Any

#: Whether later versions of the rows with these integration keys are still to come, by place.
Waiting = Callable[[Sequence[WireRow]], Awaitable[list[bool]]]


@dataclass
class Step:
    """What one statement has made of rows: (root key, wire row) of each, and the integration keys that are left."""

    rows: list[tuple[WireRow, WireRow]] = field(default_factory=list)
    gone: list[WireRow] = field(default_factory=list)


async def outcomes(
    flow: Flow, work: Work, leg: Leg, changes: Sequence[Captured], waiting: Waiting | None = None
) -> list[Outcome]:
    """The rounds of captured changes, in the order in which they have to be written.

    ``waiting``: of a map that goes both ways; says of integration keys whether later versions are still to come. A row
    that has no later ones, and yet is another by now, was changed by the other side: it is sent as it is in the end, so
    that an old version never has the last word.
    """
    steps = await _steps(flow, work, leg, changes)
    roots = dict.fromkeys(root for step in steps for root, _ in step.rows)
    unit = await flow.unit(work, leg.source_side)
    now = dict(await flow.ends.project(unit, leg, list(roots)))
    rest = await _overtaken(leg, steps, now, waiting) if waiting is not None else None
    done = [
        Outcome(
            leg,
            tuple((root if now.get(root) == row else (), row) for root, row in rows if not isinstance(row, Unsent)),
            tuple(gone),
            tuple(row for _, row in rows if isinstance(row, Unsent)),
        )
        for rows, gone in rounds(leg, steps)
    ]
    return done if rest is None else [*done, rest]


async def _overtaken(leg: Leg, steps: Sequence[Step], now: dict[WireRow, WireRow], waiting: Waiting) -> Outcome | None:
    """The rows whose last version is not what they are, though nothing more is to come."""
    last: dict[WireRow, tuple[WireRow, WireRow] | None] = {}
    for step in steps:
        last.update(dict.fromkeys(step.gone))
        last.update({key_of(leg, row): (root, row) for root, row in step.rows})
    stale = {key: pair[0] for key, pair in last.items() if pair is not None and pair[0] and now.get(pair[0]) != pair[1]}
    if not stale:
        return None
    coming = await waiting(list(stale))
    over = [(key, root) for (key, root), more in zip(stale.items(), coming, strict=True) if not more]
    rows = tuple((root, now[root]) for _, root in over if root in now and not isinstance(now[root], Unsent))
    return Outcome(leg, rows, tuple(key for key, root in over if root not in now))


async def _steps(flow: Flow, work: Work, leg: Leg, changes: Sequence[Captured]) -> list[Step]:
    unit, root = await flow.unit(work, leg.source_side), leg.source.root.table
    noted = [(at, row) for at, change in enumerate(changes) if _imaged(change, leg) for row in change.rows]
    alive = [place for place, (at, row) in enumerate(noted) if changes[at].operation != "delete" and WAS not in row]
    keys = await flow.ends.image_keys(unit, leg, [row for _, row in noted])
    images = await flow.ends.images(unit, leg, [noted[place][1] for place in alive])
    sent = dict(zip(alive, images, strict=True))
    steps = [Step() for _ in changes]
    for place, (at, _) in enumerate(noted):
        pair, key = sent.get(place), keys[place]
        if pair is not None:
            steps[at].rows.append(pair)
        elif key is not None:
            steps[at].gone.append(key)
    for at, change in enumerate(changes):
        if not _imaged(change, leg):
            found = await flow.outcome(work, leg, [change])
            steps[at].gone += found.gone
            # Rows of a joined table are somebody's parts: that the row is gone is told by its own image.
            steps[at].rows += [*found.rows, *(((), row) for row in found.unsent)]
            if change.table != root:
                steps[at].gone.clear()
    return steps


def _imaged(change: Captured, leg: Leg) -> bool:
    return change.images and change.table == leg.source.root.table


def rounds(leg: Leg, steps: Sequence[Step]) -> list[tuple[list[tuple[WireRow, WireRow]], list[WireRow]]]:
    """Pairs (rows, keys that are gone): within one, no row and no integration key comes twice. Pure."""
    found: list[tuple[list[tuple[WireRow, WireRow]], list[WireRow]]] = []
    last: dict[tuple[str, WireRow], int] = {}
    for step in steps:
        latest = {key_of(leg, row): (root, row) for root, row in step.rows}
        fresh: dict[tuple[str, WireRow], int] = {}

        def place(*touched: tuple[str, WireRow], fresh: dict[tuple[str, WireRow], int] = fresh) -> int:
            at = 1 + max(last.get(item, -1) for item in touched)
            fresh.update(dict.fromkeys(touched, at))
            while len(found) <= at:
                found.append(([], []))
            return at

        for key, (root, row) in latest.items():
            at = place(("key", key), ("root", root)) if root else place(("key", key))
            found[at][0].append((root, row))
        for key in dict.fromkeys(step.gone):
            if key not in latest:
                found[place(("key", key))][1].append(key)
        last.update(fresh)
    return found
