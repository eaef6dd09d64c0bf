"""Deciding a row that did not arrive: whose values stand, where a map leaves that to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forecourt.integration.dual_write.jobs import Copies
from forecourt.integration.dual_write.wire_json import key_from, shown
from forecourt.kernel.errors import Refusal
from forecourt.kernel.sync import Activity, Leg, Side, SyncError, WireRow


@dataclass(frozen=True)
class Sides:
    """Both sides of a row in error: (column of the target, the source's value, the target's) where they differ."""

    differing: tuple[tuple[str, Any, Any], ...]
    source_there: bool
    target_there: bool


async def both_sides(copies: Copies, error: SyncError) -> Sides | None:
    """What the two sides of a row in error hold now; None where its key can't be said."""
    item = copies.life.maps.get(error.map)
    leg = item.legs.get(error.source) if item is not None else None
    if item is None or leg is None or len(error.key) != len(leg.key):
        return None
    leg, source, target = await copies.repairer.both(item, error.source, key_from(leg, error.key))
    return Sides(tuple(_differing(leg, source, target)), source is not None, target is not None)


def _differing(leg: Leg, source: WireRow | None, target: WireRow | None) -> Sequence[tuple[str, Any, Any]]:
    nothing = (None,) * len(leg.columns)
    pairs = zip(leg.columns, source or nothing, target or nothing, strict=True)
    return [(column.target, shown(ours), shown(theirs)) for column, ours, theirs in pairs if ours != theirs]


async def decide(copies: Copies, number: int, take: Side, by: str, name: str = "") -> str:
    """Lets the values of a side stand for a row in error: the other side's row is made the same, and the error is
    forgotten. ``name``: the map that the error has to be of. Raises Refusal FC4042, FC4091, FC4093."""
    registry = copies.life.registry
    error = await registry.error(number) if await registry.installed() else None
    if error is None or (name and error.map != name):
        raise Refusal("FC4042", f"There is no error {number}.", hint="'forecourt sync errors' lists them.")
    (item,) = copies.life.named([error.map])
    leg = item.legs.get(take)
    known = item.legs.get(error.source)
    if leg is None or known is None or len(error.key) != len(known.key):
        raise Refusal("FC4093", f"Rows of {item.name} do not go from {take}.", hint="Take the other side's values.")
    own = key_from(known, error.key)
    here = error.source == take
    by_field = {(c.source if here else c.target): value for c, value in zip(known.key, own, strict=True)}
    refused = await copies.repairer.take(item, take, tuple(by_field[column.source] for column in leg.key))
    if refused:
        raise Refusal("FC4091", f"{take.other} refuses the row: {refused}")
    await registry.dismiss([number])
    key = ", ".join(map(str, error.key))
    await registry.note(Activity(item.name, "conflict decided", by, 1, f"{key}: {take} stands"))
    return f"{item.name} {key}: the values of {take} stand"
