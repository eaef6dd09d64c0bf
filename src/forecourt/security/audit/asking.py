"""Asking: the questions about one class of identities, put to the databases, and what the answers say.

A cohort holds the values of the class, one for each database that is asked. What is not answered becomes a finding of
its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from forecourt.kernel.errors import Refusal
from forecourt.security.audit.doors import Check
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class
from forecourt.security.audit.questions import Apart, Question, ask, lifted
from forecourt.security.gate import Plane
from forecourt.store.cohort.attributes import Attributes
from forecourt.store.cohort.session import Count, Unanswered, cohort
from forecourt.store.cohort.statements import compile_pairs, compile_rowset

#: Identities of a class that a cohort holds at most.
AT_ONCE = 20_000

#: Identities with a finding of their own, of one class, table and pair of doors; the others are counted.
LISTED = 1_000

#: Classes under way at once, and seconds for one question.
CONCURRENCY = 2
PATIENCE = 600.0


@dataclass(frozen=True)
class Limits:
    """What an audit may take. ``patience``: seconds for one question."""

    at_once: int = AT_ONCE
    listed: int = LISTED
    concurrency: int = CONCURRENCY
    patience: float = PATIENCE


#: Pairs of one database that are looked up in another at once.
CHUNK = 10_000

#: What an audit takes where nothing else is said.
LIMITS = Limits()


@dataclass(frozen=True)
class Asked:
    """A question as it was put, and of whom. ``database``: which one, as long as it is open."""

    database: int
    question: Question
    people: str

    def __hash__(self) -> int:
        return hash((self.database, self.question.entity.name, self.question.way, self.people))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asked) and self._content == other._content

    @property
    def _content(self) -> Hashable:
        asked = self.question
        return (self.database, asked.entity.name, asked.way, asked.selects, asked.missing, self.people)


#: Answers by what was asked: for who asks again while the data stay as they are.
Memory = dict[Asked, Mapping[int, Count]]


class Asking:
    """Asks, within limits. ``comparisons``: how many there have been, those among them that needed no question.
    ``memory``: answers that hold already; None to ask anew."""

    def __init__(self, limits: Limits, memory: Memory | None = None) -> None:
        self.limits = limits
        self.comparisons = 0
        self._memory = memory

    async def differences(self, group: Class, checks: Sequence[Check]) -> AsyncIterator[Finding]:
        """What the questions about one class bring to light."""
        self.comparisons += len(checks)
        for check in checks:
            if check.obstacles and check.asked.way != "contained":
                yield _unknown(check, group, check.obstacles[0])
            elif check.apart is not None:
                try:
                    answer = await self._apart(group, check.apart)
                except (Unanswered, Refusal) as reason:
                    yield _unknown(check, group, str(reason))
                    continue
                for finding in self._told(check, group, answer):
                    yield finding
        asking = [c for c in checks if c.asked.way not in ("contained", "apart") and not c.obstacles]
        by_plane: dict[int, tuple[Plane, list[Check]]] = {}
        for check in asking:
            plane = check.gate.plane_of(check.asked.entity)
            by_plane.setdefault(id(plane.database), (plane, []))[1].append(check)
        people = "" if self._memory is None else repr([sorted(member.values.items()) for member in group.members])
        for plane, waiting in by_plane.values():
            attributes = Attributes(plane.catalog)
            ready: list[tuple[Check, Question]] = []
            for check in waiting:
                known = (
                    None if self._memory is None else self._memory.get(Asked(id(plane.database), check.asked, people))
                )
                if known is not None:
                    for finding in self._told(check, group, known):
                        yield finding
                    continue
                try:
                    ready.append((check, lifted(check.asked, attributes)))
                except Refusal as refusal:
                    yield _unknown(check, group, refusal.message)
            if not ready:
                continue
            async with cohort(plane.database, self.limits.patience) as session:
                await session.fill(attributes, [member.values for member in group.members])
                for check, asked in ready:
                    try:
                        answer = await ask(session, asked, attributes, len(group.members), self.limits.listed)
                    except Unanswered as reason:
                        yield _unknown(check, group, reason.reason)
                        continue
                    if self._memory is not None:
                        self._memory[Asked(id(plane.database), check.asked, people)] = answer
                    for finding in self._told(check, group, answer):
                        yield finding

    async def _apart(self, group: Class, apart: Apart) -> Mapping[int, Count]:
        """The answer to a question about two databases: pairs of the first, a chunk at a time, put to the second."""
        found: dict[int, Count] = {}
        values = [member.values for member in group.members]
        first, second = apart.first, apart.gate.plane_of(apart.entity)
        here, there = Attributes(first.catalog), Attributes(second.catalog, carried=apart.types)
        pairs, missing = here.lifted(apart.pairs), there.lifted(apart.missing)
        limit = self.limits.patience
        async with cohort(first.database, limit) as one, cohort(second.database, limit) as other:
            await one.fill(here, values)
            await other.fill(there, values)
            statement = compile_pairs([missing], there.table())
            async for rows in one.chunks(compile_rowset(pairs, here.table()), CHUNK):
                await other.carry(there, rows)
                for count in await other.counts(statement):
                    known = found.get(count.person)
                    found[count.person] = count if known is None else known._replace(rows=known.rows + count.rows)
        return found

    def _told(self, check: Check, group: Class, answer: Mapping[int, Count]) -> list[Finding]:
        """A finding for each identity, up to a limit; the last one says how many more there are."""
        worst = sorted(answer.values(), key=lambda count: (-count.rows, count.person))
        shown = worst[: self.limits.listed if check.listed is None else check.listed]
        key = check.asked.entity.key
        found = [
            check.told(
                group.members[count.person],
                count.rows,
                ",".join(f"{name}={value}" for name, value in zip(key, count.key, strict=False)),
            )
            for count in shown
        ]
        if len(worst) > len(shown):
            found[-1] = replace(found[-1], others=len(worst) - len(shown))
        return found


def _unknown(check: Check, group: Class, reason: str) -> Finding:
    told = check.told(group.first, 0, "")
    return Finding(
        "FC7000",
        f"{check.asked.entity.collection} could not be compared for {len(group.members)} identities: {reason}",
        f"what could not be asked is whether {told.code} holds: {told.title[0].lower()}{told.title[1:]}",
        check.asked.entity.name,
        group.first.label,
        where=told.where,
        subject=f"{told.code} {told.subject}",
        others=len(group.members) - 1,
    )
