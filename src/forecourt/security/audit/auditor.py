"""Audit: does any door show an identity more than another, or than was meant?

Identities are grouped into classes of one rule shape. For each class, table and pair of doors the two predicates that
requests run under become one statement over all people of the class: rows that one admits and the other does not. Each
difference is a finding with its count, an example key and the rule that is missing. What cannot be compared is a
finding of its own (FC7000), never fine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from forecourt.kernel.errors import DefinitionError
from forecourt.security.audit.asking import LIMITS, Asking, Limits, Memory
from forecourt.security.audit.columns import columns
from forecourt.security.audit.copies import Copies
from forecourt.security.audit.direct import Direct
from forecourt.security.audit.doors import Check, Doors
from forecourt.security.audit.findings import Finding, Report, RightHeld, in_order
from forecourt.security.audit.grants import unconstrained
from forecourt.security.audit.identities import Class, Identity, classes
from forecourt.security.audit.idle import idle
from forecourt.security.audit.plain_sql import unenforced
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.reach import public, standing
from forecourt.security.audit.rights import Reached, new, rights, unknown_right
from forecourt.security.audit.roles import deciding, unrestrained
from forecourt.security.audit.surroundings import ALONE, Surroundings
from forecourt.security.audit.web_api import unasked
from forecourt.security.gate import Gate
from forecourt.security.rules import Operation


class Auditor:
    """Compares doors over the gates that serve them. ``progress`` hears of identities that are done.

    ``known``: the rights that a baseline has, by fingerprint; None without a baseline. ``memory``: answers of
    earlier audits of the same data.
    """

    def __init__(
        self,
        operations: Gate,
        dataverse: Gate,
        progress: Callable[[int], None] = lambda done: None,
        limits: Limits = LIMITS,
        around: Surroundings = ALONE,
        known: frozenset[str] | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._planes = Planes(operations, dataverse)
        self._around = around
        self._doors = Doors(self._planes, around.public)
        self._direct = Direct(self._planes, around)
        self._copies = Copies(self._planes, around)
        self._progress = progress
        self._asking = Asking(limits, memory)
        self._known = known

    async def run(self, identities: Sequence[Identity], checks: Iterable[DefinitionError] = ()) -> Report:
        """Everything that is found, worst first."""
        groups = list(classes(identities, self._asking.limits.at_once))
        turn = asyncio.Semaphore(self._asking.limits.concurrency)
        held: dict[RightHeld, None] = {}

        async def one(group: Class) -> list[Finding]:
            async with turn:
                reached = list(rights(self._planes, group))
                held.update(dict.fromkeys(item.right for item in reached))
                found = [item async for item in self._asking.differences(group, list(self._checks(group, reached)))]
                found += self._created(group, reached)
                self._progress(len(group.members))
                return found

        found = [item for part in await asyncio.gather(*(one(group) for group in groups)) for item in part]
        found += self._standing(identities, groups)
        found += [
            Finding("FC7005", error.message, error.hint, where=f"{error.file}:{error.line}", subject=error.message)
            for error in checks
        ]
        people = [identity for identity in identities if identity.sort != "registered"]
        return Report(
            tuple(sorted(_told_once(found), key=in_order)),
            len(people),
            self._asking.comparisons,
            len(groups),
            tuple(sorted(held, key=lambda right: (right.people, right.door, right.table, right.operation))),
        )

    def _checks(self, group: Class, reached: Iterable[Reached]) -> Iterator[Check]:
        """Every question about the rows of a class."""
        yield from self._doors.checks(group)
        yield from self._direct.checks(group)
        yield from self._copies.checks(group)
        yield from public(self._planes, group, self._around)
        yield from unasked(self._planes, group, self._around)
        for item in self._unknown_to_baseline(reached):
            yield new(group, item)

    def _unknown_to_baseline(self, reached: Iterable[Reached]) -> Iterator[Reached]:
        if self._known is not None:
            yield from (item for item in reached if item.right.fingerprint not in self._known)

    def _created(self, group: Class, reached: Iterable[Reached]) -> Iterator[Finding]:
        for item in self._unknown_to_baseline(reached):
            if item.right.operation == Operation.CREATE.value:
                yield unknown_right(item, group.first)

    def _standing(self, identities: Sequence[Identity], groups: Sequence[Class]) -> Iterator[Finding]:
        """What rules say by themselves, whatever rows there are."""
        yield from (item for identity in identities for item in _faults(identity))
        yield from unconstrained(self._planes, identities)
        yield from unrestrained(identities)
        yield from deciding(self._planes, groups, self._around)
        yield from columns(self._planes, groups, self._around)
        yield from idle(self._planes, groups, self._around)
        yield from unenforced(self._around.sql)
        for group in groups:
            yield from standing(self._planes, group, self._around)
            yield from self._copies.columns(group)


def _told_once(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once: the one that counts rows before the one that does not."""
    found: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda item: -(item.rows or 0)):
        found.setdefault(finding.fingerprint, finding)
    return list(found.values())


def _faults(identity: Identity) -> list[Finding]:
    fault = identity.fault
    if fault is None:
        return []
    code = "FC7004" if fault.code == "FC3003" else "FC7000"
    return [Finding(code, fault.message, fault.hint, identity=identity.label, subject=fault.message)]
