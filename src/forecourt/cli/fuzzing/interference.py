"""Noninterference: two worlds in lockstep that differ in nothing that a person may read, and give the same answers.

One round: in the second world cells are changed, rows inserted and deleted. What changes something that the person may
read is put back, for that is no secret from this person. Then the same requests go to both worlds, writes at last, and
every pair of answers has to be the same. At the end of the round the changes are undone.

What the person writes happens in both worlds. Declared, and so not a finding: that a write collides with a rule of the
database (a key that is taken, a row that others refer to) tells of hidden rows, see docs/reference/differences.md.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Awaitable, Callable, Sequence

from forecourt.cli.fuzzing.agreement import known_keys, readings, smaller_than, subjects
from forecourt.cli.fuzzing.changes import OWN, Changes
from forecourt.cli.fuzzing.client import Answered, Asked
from forecourt.cli.fuzzing.doors import Door, doors_of
from forecourt.cli.fuzzing.findings import Findings, Interference
from forecourt.cli.fuzzing.probes import tags_in, told, write
from forecourt.cli.fuzzing.questions import Asking, Pool, Question
from forecourt.cli.fuzzing.readable import Reach, reading
from forecourt.cli.fuzzing.site import Words, crawl, further
from forecourt.cli.fuzzing.tracked import Mark, TrackedDoor, followed, mark
from forecourt.cli.fuzzing.ways import ways_of
from forecourt.cli.fuzzing.worlds import Person, World
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.relation import TableName
from forecourt.store.cells import Cells, Change

#: Tables of which a round follows the delta links: so many that the person reads whole, so many that have changed.
MARKS = 2
#: How many of the requests are about tables that have changed; how many ask for all rows.
NEAR, PLAIN = 0.6, 0.25

#: Codes of refusals that the database's own rules cause.
DATABASE = (b"FC4091", b"FC4092", b"FC4051", b"0x80060892", b"0x80040237", b"0x80040265", b"0x80040227")

#: Doors that writes go to.
ODATA = ("data", "web", "api")

Pair = tuple[list[Answered], list[Answered]]


class Stuck(Exception):
    """A world cannot be brought back to what it was: a new pair is needed."""


class Lockstep:
    """Two worlds that were copied from the same database."""

    def __init__(self, first: World, second: World, pool: Pool, draw: random.Random, since: int) -> None:
        self._worlds = (first, second)
        self._pool = pool
        self._draw = draw
        self._since = since
        self._day = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)).date().isoformat()
        self._entities = subjects(first)
        self._changes = Changes(second, pool, draw)
        self._words = Words(pool, draw)
        #: Changes of hidden columns of rows that are read.
        self._own: list[Change] = []

    async def round(self, person: Person, probes: int, writes: int, findings: Findings) -> None:
        """One round for a person. Raises Stuck."""
        first = self._worlds[0]
        seen = await self._sight(first, person)
        applied: list[Change] = []
        self._own.clear()
        candidates = await self._changes.candidates(await readings(self._worlds[1], person))
        kept = await self._hide(person, seen, candidates, applied, findings)
        if not kept:
            await self._undo(applied)
            return
        findings.rounds += 1
        findings.people.add(person.label)
        marks = await self._marks(person, kept)
        await self._read(person, probes, kept, findings)
        await self._follow(person, marks, kept, findings)
        await self._write(person, writes, kept, findings)
        await self._undo(applied)

    async def alike(self, person: Person) -> bool:
        """Whether a person sees the same in both worlds before anything is changed: when somebody came differs."""
        return await self._sight(self._worlds[0], person) == await self._sight(self._worlds[1], person)

    # -- changes -------------------------------------------------------------------------------------------------

    async def _sight(self, world: World, person: Person) -> dict[str, object]:
        """All that a person may read, at every door, and what is known of him."""
        found: dict[str, object] = {}
        for door in person.doors:
            try:
                principal = await world.principal(person, door)
                known = await reading(world, person, door)
                found[f"who {door}"] = (
                    principal.contact,
                    principal.web_roles,
                    principal.operations_user,
                    known.roles,
                )
                found[door] = {reach.entity.name: _seen(reach) for reach in known}
            except Refusal as refusal:
                found[door] = refusal.code
        return found

    async def _hide(
        self,
        person: Person,
        seen: dict[str, object],
        changes: Sequence[tuple[str, Cells, Change]],
        applied: list[Change],
        findings: Findings,
    ) -> list[Change]:
        """Makes the changes that the person cannot see, and no others."""
        made = [item for item in changes if await item[1].change((item[2],))]
        if not made:
            return []
        if await self._sight(self._worlds[1], person) == seen:
            applied.extend(change for _, _, change in made)
            self._own.extend(change for label, _, change in made if label == OWN)
            findings.changed.update(label for label, _, _ in made)
            return [change for _, _, change in made]
        for _, cells, change in reversed(made):
            if not await cells.change((change.undone(),)):
                raise Stuck
        if len(made) == 1:
            findings.changed["(seen, and put back)"] += 1
            return []
        half = len(made) // 2
        return [
            *await self._hide(person, seen, made[:half], applied, findings),
            *await self._hide(person, seen, made[half:], applied, findings),
        ]

    async def _undo(self, applied: list[Change]) -> None:
        for change in reversed(applied):
            if not await self._cells_of(change.table).change((change.undone(),)):
                raise Stuck
        applied.clear()

    def _cells_of(self, table: TableName) -> Cells:
        world = self._worlds[1]
        plane = next(name for name, catalog in world.catalogs.items() if table in catalog.tables)
        return world.cells[plane]

    # -- probes --------------------------------------------------------------------------------------------------

    async def _read(self, person: Person, probes: int, kept: list[Change], findings: Findings) -> None:
        first, _ = self._worlds
        known = await readings(first, person)
        doors = doors_of(first, person)
        for _ in range(probes if doors else 0):
            subject, asking = self._subject(kept)
            plain = Question(subject.name, "list", page=self._draw.choice((None, 50)))
            drawn = asking.question(subject, known_keys(doors, known, subject))
            door = self._draw.choice(ways_of(first, person))
            question = door.heard(plain if self._draw.random() < PLAIN else drawn)
            pair = None if question is None else await self._both(person, door, question)
            if question is not None and pair is not None:
                findings.doors[door.label] += 1
                await self._compare(person, door, question, pair, kept, findings)
        if "pages" in person.doors and first.forecourt.portal is not None:
            pages = await crawl(first, person)
            for label, asked in [*(("pages", page.asked) for page in pages), *further(pages, self._words)]:
                findings.doors[label] += 1
                await self._single(person, label, asked, kept, findings)

    async def _marks(self, person: Person, kept: Sequence[Change]) -> list[Mark]:
        """Delta links of some tables from before the changes, which are taken back and made again for it."""
        door = next((item for item in ways_of(self._worlds[0], person) if isinstance(item, TrackedDoor)), None)
        if door is None:
            return []
        known = (await readings(self._worlds[0], person)).get(door.name)
        changed = {change.table for change in kept}
        tables = [entity for entity in self._entities if door.entity(entity.name) is not None]
        tables.sort(key=lambda entity: (entity.root.table not in changed, self._draw.random()))
        deep = [entity for entity in tables if known is not None and known.reaches[entity.name].deep]
        await self._undo(list(kept))
        asked = dict.fromkeys(entity.name for entity in (*deep[:MARKS], *tables[:MARKS]))
        marks = [await mark(self._worlds, person, door, name) for name in asked]
        for change in kept:
            if not await self._cells_of(change.table).change((change,)):
                raise Stuck
        return [item for item in marks if item is not None]

    async def _follow(self, person: Person, marks: Sequence[Mark], kept: list[Change], findings: Findings) -> None:
        """What delta links say by now."""
        for item in marks:
            findings.doors["delta links"] += 1
            findings.requests += 1
            one, other = await followed(self._worlds, person, item)
            if self._told([one]) == self._told([other]):
                self._shared(person, "delta links", str(item), findings)
                continue
            shown = _first(one, other, self._told)
            findings.found.append(Interference(person.label, "delta links", str(item), tuple(kept), *shown))

    async def _write(self, person: Person, writes: int, kept: list[Change], findings: Findings) -> None:
        first, _ = self._worlds
        known = await readings(first, person)
        doors = doors_of(first, person)
        for _ in range(writes if doors else 0):
            subject, asking = self._subject(kept)
            door = self._draw.choice(doors)
            keys = known_keys(doors, known, subject)
            listed = await door.answers(first, person, Question(subject.name, "list", page=5))
            asked = write(door, asking, subject, keys, tags_in(listed or []))
            if asked is not None:
                findings.doors[f"{door.name} (writes)"] += 1
                await self._single(person, door.name, asked, kept, findings)

    def _subject(self, kept: Sequence[Change]) -> tuple[Entity, Asking]:
        """What to ask about: more often than not something beneath which a table has changed, best of all
        in a row that the person reads."""
        own = [change for change in kept if change in self._own]
        changed = {change.table for change in own or kept}
        beneath = [entity for entity in self._entities if any(source.table in changed for source in entity.sources)]
        near = bool(beneath) and self._draw.random() < NEAR
        subject = self._draw.choice(beneath if near else self._entities)
        forecourt = self._worlds[0].forecourt
        native = subject.name in forecourt.dataverse_gate.model.entities
        gate = forecourt.dataverse_gate if native else forecourt.operations_gate
        return subject, Asking(gate.model, self._pool, self._draw)

    async def _both(self, person: Person, door: Door, question: Question) -> Pair | None:
        one, other = [await door.answers(world, person, question) for world in self._worlds]
        return None if one is None or other is None else (one, other)

    async def _single(self, person: Person, door: str, asked: Asked, kept: list[Change], findings: Findings) -> None:
        findings.requests += 1
        one, other = [await world.ask(person, asked) for world in self._worlds]
        if self._told([one]) == self._told([other]):
            self._shared(person, door, str(asked), findings)
            return
        if asked.method != "GET" and door in ODATA and _declared(one, other):
            findings.declared += 1
            return
        changes = tuple(kept)
        if asked.method == "GET" or door not in ODATA or (one.status >= 400 and other.status >= 400):
            changes = await self._fewest(kept, lambda: self._differs(person, asked))
        findings.found.append(Interference(person.label, door, str(asked), changes, *_first(one, other, self._told)))

    def _shared(self, person: Person, door: str, request: str, findings: Findings) -> None:
        """An unexpected error that both worlds have is no difference, and a finding all the same."""
        faults = [fault for world in self._worlds for fault in world.faults()]
        if faults:
            shown = ("an unexpected error in both worlds", repr(faults[0].error)[:200])
            findings.found.append(Interference(person.label, door, request, (), *shown))

    async def _differs(self, person: Person, asked: Asked) -> bool:
        one, other = [await world.ask(person, asked) for world in self._worlds]
        return self._told([one]) != self._told([other])

    async def _compare(
        self,
        person: Person,
        door: Door,
        question: Question,
        pair: Pair,
        kept: list[Change],
        findings: Findings,
    ) -> None:
        findings.requests += len(pair[0])
        if self._told(pair[0]) == self._told(pair[1]):
            self._shared(person, door.label, str(door.asked(question)), findings)
            return

        async def differs(item: Question) -> bool:
            again = await self._both(person, door, item)
            return again is not None and self._told(again[0]) != self._told(again[1])

        changes = await self._fewest(kept, lambda: differs(question))
        shrunk = True
        while shrunk:
            shrunk = False
            for smaller in smaller_than(question):
                if await differs(smaller):
                    question, shrunk = smaller, True
                    break
        again = await self._both(person, door, question)
        one, other = (again or pair)[0], (again or pair)[1]
        at = next(
            (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if self._told([a]) != self._told([b])), 0
        )
        shown = _first(one[at], other[at], self._told)
        findings.found.append(Interference(person.label, door.label, str(door.asked(question)), changes, *shown))

    async def _fewest(self, kept: list[Change], differs: Callable[[], Awaitable[bool]]) -> tuple[Change, ...]:
        """The changes that a difference needs. All of them are made again afterwards."""
        needed = list(kept)
        undone: list[Change] = []
        for change in list(kept):
            cells = self._cells_of(change.table)
            if len(needed) == 1 or not await cells.change((change.undone(),)):
                continue
            if await differs():
                needed.remove(change)
                undone.append(change)
            elif not await cells.change((change,)):
                raise Stuck
        for change in reversed(undone):
            if not await self._cells_of(change.table).change((change,)):
                raise Stuck
        return tuple(needed)

    def _told(self, answers: Sequence[Answered]) -> list[object]:
        return [told(answer, self._since, self._day) for answer in answers]


def _seen(reach: Reach) -> object:
    if reach.refusal is not None:
        return reach.refusal.code
    return reach.fields, sorted(repr(sorted(row.items())) for row in reach.rows)


def _declared(one: Answered, other: Answered) -> bool:
    """Whether one of two writes has met a rule of the database."""
    return any(code in answer.body for answer in (one, other) for code in DATABASE)


def _first(one: Answered, other: Answered, plain: Callable[[Sequence[Answered]], list[object]]) -> tuple[str, str]:
    """Two answers from where they differ."""
    left, right = str(plain([one])[0]), str(plain([other])[0])
    at = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), 0)
    start = max(0, at - 60)
    return left[start : at + 120], right[start : at + 120]
