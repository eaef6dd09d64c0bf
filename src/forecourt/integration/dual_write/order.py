"""The order in which maps are filled: rows that others look up come first.

A map comes after the maps of the tables that its lookups lead to, and after those that it names itself
(``depends_on``). Maps that depend on one another in a circle make one step; in a first pass they leave the lookups
empty that lead to rows which are not there yet, in a second pass these are filled. The same holds for a map whose table
looks up itself. Deletes go the other way round. Source: operations-and-integration 1.10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.sync import Leg, LegColumn


@dataclass(frozen=True)
class Step:
    """Maps that are filled together: one, or a circle in the order in which to begin. ``late``: by map, the lookup
    columns of the table (field names) that the first pass leaves out and a second one fills."""

    maps: tuple[TableMap, ...]
    late: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def passes(self) -> int:
        return 2 if any(self.late.values()) else 1


def order(maps: Iterable[TableMap]) -> tuple[Step, ...]:
    """The steps, parents first. Among maps that don't depend on each other: by ``initial.order``, then by name."""
    found = {item.name: item for item in sorted(maps, key=lambda item: (item.record.initial.order, item.name))}
    above = {name: tuple(above for above in found if above in parents(item, found)) for name, item in found.items()}
    return tuple(_step([found[name] for name in names], above) for names in _components(above))


def parents(item: TableMap, maps: Mapping[str, TableMap]) -> frozenset[str]:
    """The maps that have to come before a map, itself left out."""
    led = {name for name, other in maps.items() if other.table.name in item.parents}
    return frozenset((led | set(item.depends_on)) & set(maps)) - {item.name}


def first_pass(leg: Leg, late: Iterable[str]) -> Leg:
    """The leg without the lookups that a second pass fills."""
    left_out = frozenset(late)
    return replace(leg, columns=tuple(column for column in leg.columns if _lookup_field(column) not in left_out))


def second_pass(leg: Leg, late: Iterable[str]) -> Leg:
    """The leg with its key and the lookups that the first pass has left out."""
    wanted = frozenset(late)
    kept = tuple(column for column in leg.columns if column.key or column.company or _lookup_field(column) in wanted)
    return replace(leg, columns=kept)


def _lookup_field(column: LegColumn) -> str:
    """The table's field, of a column that is a lookup; '' of any other."""
    if column.target_reference is not None:
        return column.target
    return column.source if column.source_reference is not None else ""


def lookups(item: TableMap) -> Mapping[str, str]:
    """The lookup fields of the table that the map fills or reads -> the table that they lead to."""
    return {
        _lookup_field(column): reference.entity.name
        for leg in item.legs.values()
        for column in leg.columns
        for reference in (column.target_reference, column.source_reference)
        if reference is not None
    }


def _step(maps: list[TableMap], above: Mapping[str, tuple[str, ...]]) -> Step:
    """A component in the order that leaves fewest lookups for later. A map whose key leads to rows of another waits for
    these; then the map with fewest parents left begins."""
    left, begun = list(maps), []

    def waiting(item: TableMap) -> tuple[int, int]:
        others = [other for other in left if other is not item]
        tables = {other.table.name for other in others}
        keys = sum(name in item.key and table in tables for name, table in lookups(item).items())
        return keys, sum(other.name in above[item.name] for other in others)

    while left:
        first = min(left, key=waiting)
        left.remove(first)
        begun.append(first)
    late = {}
    for position, item in enumerate(begun):
        unready = {other.table.name for other in begun[position:]}
        found = tuple(name for name, table in lookups(item).items() if table in unready)
        if found:
            late[item.name] = found
    return Step(tuple(begun), late)


def _components(above: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Strongly connected components, parents before children (Tarjan's algorithm, without recursion)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []
    for start in above:
        if start in number:
            continue
        number[start] = low[start] = len(number)
        stack.append(start)
        path = [(start, iter(above[start]))]
        while path:
            name, rest = path[-1]
            follower = next(rest, None)
            if follower is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[name])
                if low[name] == number[name]:
                    place = stack.index(name)
                    found.append(stack[place:])
                    del stack[place:]
            elif follower not in number:
                number[follower] = low[follower] = len(number)
                stack.append(follower)
                path.append((follower, iter(above[follower])))
            elif follower in stack:
                low[name] = min(low[name], number[follower])
    return found
