"""Change sets: what a repair would write, as lines of JSON that a person reviews, and exactly that applied.

A line says which row of which map, in which direction, and of each column what the target holds and what it would get::

    {"map": "orders", "direction": "to_dataverse", "key": {"cts_number": "X1"}, "kind": "different",
     "columns": {"cts_note": {"old": "a", "new": "b"}}}

``kind``: ``missing`` (the row would be made), ``surplus`` (deleted), ``different``. Names are the target's fields,
values as they travel: lookups as natural keys, decimal numbers as text so that they keep all digits.
Lines may be left out of a set, not altered: one that is no longer what both sides hold is skipped and said. A set is
bound to no time and no process. Source: operations-and-integration 1.12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.verify import Comparison, Difference, legs_of
from forecourt.integration.dual_write.wire_json import key_from, shown
from forecourt.kernel.errors import Refusal
from forecourt.kernel.sync import Leg, Side, Unsent, WireRow

#: Lines that are applied in one unit of work.
BATCH = 500


class Cell(msgspec.Struct, frozen=True):
    """One column of a line."""

    old: Any = None
    new: Any = None


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a change set."""

    map: str
    direction: Literal["to_dataverse", "to_operations"]
    key: dict[str, Any]
    kind: Literal["missing", "surplus", "different"]
    columns: dict[str, Cell]


@dataclass(frozen=True)
class Repaired:
    """What became of a change set. ``skipped``: lines whose rows have changed since; ``errors``: lines that a side has
    turned down, with its reason."""

    applied: int = 0
    skipped: tuple[Line, ...] = ()
    errors: tuple[tuple[Line, str], ...] = ()


def lines_of(name: str, comparison: Comparison) -> Iterator[Line]:
    """The change set of a comparison. Rows that can't be sent are no part of it."""
    for difference in comparison.differences:
        if difference.kind != "unsent":
            yield line_of(name, comparison.leg, difference)


def line_of(name: str, leg: Leg, difference: Difference) -> Line:
    """What a difference would take."""
    kind = difference.kind
    assert kind != "unsent"
    rows: Sequence[Sequence[object]] = (
        difference.target or (None,) * len(leg.columns),
        difference.source or (None,) * len(leg.columns),
    )
    cells = {
        column.target: Cell(shown(rows[0][place]), shown(rows[1][place]))
        for place, column in enumerate(leg.columns)
        if not column.key and (kind != "different" or column.target in difference.columns)
    }
    key = {column.target: shown(value) for column, value in zip(leg.key, difference.key, strict=True)}
    return Line(name, _direction(leg), key, kind, cells)


def encoded(line: Line) -> bytes:
    """A line as JSON."""
    return msgspec.json.encode(line)


def decoded(text: bytes | str) -> Line:
    """A line of a file. Raises Refusal FC1006."""
    try:
        return msgspec.json.decode(text, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal("FC1006", f"This is no line of a change set: {error}") from None


def converted(value: Any) -> Line:
    """A line that came as a value of JSON. Raises Refusal FC1006."""
    try:
        return msgspec.convert(value, type=Line)
    except msgspec.ValidationError as error:
        raise Refusal("FC1006", f"This is no line of a change set: {error}") from None


def by_leg(item: TableMap, lines: Iterable[Line]) -> list[tuple[Leg, dict[WireRow, Line]]]:
    """The lines of a map by direction, by integration key. Raises Refusal FC1002, FC1003 for what the map has not."""
    found = [(leg, dict[WireRow, Line]()) for leg in legs_of(item)]
    for line in lines:
        leg, keyed = next((pair for pair in found if _direction(pair[0]) == line.direction), (None, {}))
        if leg is None:
            raise Refusal("FC1002", f"{item.name} is not verified {line.direction.replace('_', ' ')}.", source="map")
        if set(line.key) != {column.target for column in leg.key}:
            wanted = ", ".join(column.target for column in leg.key)
            raise Refusal("FC1002", f"The integration key of {item.name} is {wanted}.", source="key")
        keyed[key_from(leg, [line.key[column.target] for column in leg.key])] = line
    return [(leg, keyed) for leg, keyed in found if keyed]


def stands(line: Line, leg: Leg, source: WireRow | None, target: WireRow | None, key: WireRow) -> bool:
    """Whether a line still is what the two rows differ in."""
    if isinstance(source, Unsent) or source == target:
        return False
    columns: tuple[str, ...] = ()
    if source is not None and target is not None:
        pairs = zip(leg.columns, source, target, strict=True)
        columns = tuple(column.target for column, ours, theirs in pairs if ours != theirs)
    return line_of(line.map, leg, Difference(key, source, target, columns)) == line


def _direction(leg: Leg) -> Literal["to_dataverse", "to_operations"]:
    return "to_dataverse" if leg.target_side is Side.DATAVERSE else "to_operations"


def by_map(lines: Iterable[Line]) -> Mapping[str, list[Line]]:
    """Lines by map, in their order."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.map, []).append(line)
    return found
