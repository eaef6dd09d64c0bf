"""Two solutions compared over the same data: which identities gain or lose which rows, columns and operations.

The later solution is compared with the earlier one door by door, for everybody at once: rows that one admits and the
other does not. What becomes possible is a warning, what is no longer possible a note.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, Exists, InParam, Operand, Param, Predicate, map_operands
from forecourt.kernel.principal import Door
from forecourt.security.audit.algebra import rebuilt
from forecourt.security.audit.asking import LIMITS, Asking, Limits, Memory
from forecourt.security.audit.binding import ACTS, reached
from forecourt.security.audit.columns import opened
from forecourt.security.audit.doors import Check, comparison, counted
from forecourt.security.audit.findings import Finding, Report, in_order
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.rights import DOORS
from forecourt.security.gate import Gate
from forecourt.security.rules import Operation, Right

Way = Literal["gains", "loses"]

#: Of values of the person that the two solutions do not have alike: those of the earlier one.
EARLIER = "earlier."

_COLUMN_DOORS = {**DOORS, "/_api": Door.PORTAL_API}

#: How columns are called that an operation shows or takes.
_COLUMNS = {Operation.READ: "", Operation.UPDATE: "writable ", Operation.CREATE: "in new rows the "}


@dataclass(frozen=True)
class Pair:
    """An identity as each solution knows it; None where it does not."""

    earlier: Identity | None
    later: Identity | None

    @property
    def shape(self) -> Hashable:
        return tuple(None if one is None or one.fault is not None else one.shape for one in (self.earlier, self.later))

    @property
    def alike(self) -> bool:
        """Whether both solutions compare with the same values."""
        return (
            self.earlier is not None and self.later is not None and dict(self.earlier.values) == dict(self.later.values)
        )

    @property
    def member(self) -> Identity:
        """One identity with the values of both."""
        known = self.later or self.earlier
        assert known is not None
        before = self.earlier.values if self.earlier is not None else {}
        standing = {**(self.later or known).standing, **{EARLIER + name: value for name, value in before.items()}}
        return replace(known, standing=standing)


class Differ:
    """Compares two solutions over the gates that serve them."""

    def __init__(
        self,
        earlier: Planes,
        later: Planes,
        progress: Callable[[int], None] = lambda done: None,
        limits: Limits = LIMITS,
        memory: Memory | None = None,
    ) -> None:
        self._earlier = earlier
        self._later = later
        self._progress = progress
        self._asking = Asking(limits, memory)

    async def run(self, earlier: Iterable[Identity], later: Iterable[Identity]) -> Report:
        """Every gain and loss, worst first. People are the same who have the same label."""
        groups = list(_groups(earlier, later, self._asking.limits.at_once))
        turn = asyncio.Semaphore(self._asking.limits.concurrency)

        async def one(pairs: Sequence[Pair]) -> list[Finding]:
            async with turn:
                group = Class(tuple(pair.member for pair in pairs))
                checks = list(self._checks(pairs[0], all(pair.alike for pair in pairs)))
                found = [item async for item in self._asking.differences(group, checks)]
                found += self._columns(pairs[0], len(pairs))
                self._progress(len(pairs))
                return found

        parts = await asyncio.gather(*(one(group) for group in groups))
        found = {finding.fingerprint: finding for part in parts for finding in part}
        people = sum(len(group) for group in groups)
        return Report(tuple(sorted(found.values(), key=in_order)), people, self._asking.comparisons, len(groups))

    # -- rows ----------------------------------------------------------------------------------------------------

    def _checks(self, pair: Pair, alike: bool) -> Iterator[Check]:
        for name, door in DOORS.items():
            for table in self._tables(door):
                for act in ACTS:
                    yield from self._rows(pair, alike, name, door, table, act)

    def _tables(self, door: Door) -> list[str]:
        names = [*self._gate(self._later, door).model.entities, *self._gate(self._earlier, door).model.entities]
        return list(dict.fromkeys(names))

    @staticmethod
    def _gate(planes: Planes, door: Door) -> Gate:
        return planes.operations if door in (Door.OPERATIONS, Door.PACKAGES) else planes.dataverse

    def _rows(
        self, pair: Pair, alike: bool, name: str, door: Door, table: str, act: Operation | Right
    ) -> Iterator[Check]:
        before, after = self._gate(self._earlier, door), self._gate(self._later, door)
        then, now = (
            _reached(before, pair.earlier, door, table, act),
            _reached(after, pair.later, door, table, act),
        )
        if not alike:
            then = _marked(then)
        if then == now:
            return
        here, there = after.model.entities.get(table), before.model.entities.get(table)
        same = (
            here is None
            or there is None
            or {s.alias: s.table for s in here.sources} == {s.alias: s.table for s in there.sources}
        )
        obstacles = () if same or FALSE in (then, now) else (f"{table} stands on other tables than before",)
        sides: tuple[tuple[Way, Gate, Identity | None, Entity | None, Predicate, Predicate], ...] = (
            ("gains", after, pair.later, here, now, then),
            ("loses", before, pair.earlier, there, then, now),
        )
        for way, gate, identity, entity, wide, narrow in sides:
            scope = identity.scope(door) if identity is not None else None
            if scope is None or entity is None or wide == FALSE:
                continue
            yield comparison(gate, scope, entity, wide, narrow, _Changed(way, name, entity, act), obstacles)

    # -- columns and what is created ------------------------------------------------------------------------------

    def _columns(self, pair: Pair, people: int) -> Iterator[Finding]:
        for name, door in _COLUMN_DOORS.items():
            for table in self._tables(door):
                for operation, kind in _COLUMNS.items():
                    then = self._opened(self._earlier, pair.earlier, door, table, operation)
                    now = self._opened(self._later, pair.later, door, table, operation)
                    for way, names in (("gains", now - then), ("loses", then - now)):
                        if names and then and now:
                            what = f"{kind}columns {', '.join(sorted(names))} of {table} at {name}"
                            yield self._told(pair, people, way, what, table)
                if door is Door.PORTAL_API:
                    continue
                creates = [
                    _reached(self._gate(planes, door), identity, door, table, Operation.CREATE) != FALSE
                    for planes, identity in ((self._earlier, pair.earlier), (self._later, pair.later))
                ]
                if creates[0] != creates[1]:
                    way = "gains" if creates[1] else "loses"
                    yield self._told(pair, people, way, f"the right to create rows of {table} at {name}", table)

    def _opened(
        self, planes: Planes, identity: Identity | None, door: Door, table: str, operation: Operation
    ) -> frozenset[str]:
        gate = self._gate(planes, door)
        entity = gate.model.entities.get(table)
        if identity is None or identity.fault is not None or entity is None:
            return frozenset()
        if _reached(gate, identity, door, table, operation) == FALSE:
            return frozenset()
        return opened(gate, identity, door, entity, operation) or frozenset()

    def _told(self, pair: Pair, people: int, way: str, what: str, table: str) -> Finding:
        verb = "becomes" if way == "gains" else "is no longer"
        return Finding(
            "FC7016" if way == "gains" else "FC7017",
            f"{way} {what}",
            f"{what[0].upper()}{what[1:]} {verb} open",
            table,
            pair.member.label,
            subject=f"{way} {what}",
            others=people - 1,
        )


def _groups(earlier: Iterable[Identity], later: Iterable[Identity], at_once: int) -> Iterator[list[Pair]]:
    before = {identity.label: identity for identity in earlier}
    after = {identity.label: identity for identity in later}
    found: dict[Hashable, list[Pair]] = {}
    for label in {**after, **before}:
        pair = Pair(before.get(label), after.get(label))
        found.setdefault((pair.shape, pair.alike), []).append(pair)
    for pairs in found.values():
        for start in range(0, len(pairs), at_once):
            yield pairs[start : start + at_once]


def _reached(gate: Gate, identity: Identity | None, door: Door, table: str, act: Operation | Right) -> Predicate:
    entity = gate.model.entities.get(table)
    if identity is None or identity.fault is not None or entity is None:
        return FALSE
    scope = identity.scope(door)
    return FALSE if scope is None else reached(gate.enforcer, scope, entity, act)


def _marked(item: Predicate) -> Predicate:
    """The predicate over the values that the earlier solution knows."""

    def operand(value: Operand) -> Operand:
        return Param(EARLIER + value.name) if isinstance(value, Param) else value

    def leaf(part: Predicate) -> Predicate:
        if isinstance(part, InParam):
            part = InParam(part.operand, EARLIER + part.param)
        return map_operands(part, operand)

    def exists(inner: Exists) -> Predicate:
        select = inner.select
        return Exists(
            replace(
                select,
                sources=tuple(replace(source, on=rebuilt(source.on, exists, leaf)) for source in select.sources),
                where=rebuilt(select.where, exists, leaf),
            )
        )

    return rebuilt(item, exists, leaf)


@dataclass(frozen=True)
class _Changed:
    """Rows that an identity gains or loses."""

    way: Way
    door: str
    entity: Entity
    act: Operation | Right

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        gains = self.way == "gains"
        can = "can now be" if gains else "can no longer be"
        return Finding(
            "FC7016" if gains else "FC7017",
            counted(rows, self.entity, self.act).replace("can be", can) + f" at {self.door}",
            "the later solution admits them" if gains else "the later solution hides them",
            self.entity.name,
            identity.label,
            rows,
            example,
            str(self.entity.where),
            subject=f"{self.way} {self.act.value} at {self.door}",
        )
