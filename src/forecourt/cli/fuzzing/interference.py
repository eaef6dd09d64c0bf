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
from collections.abc import Awaitable, Callable, Mapping, Sequence

from forecourt.cli.fuzzing.agreement import known_keys, readings, smaller_than, subjects
from forecourt.cli.fuzzing.client import Answered, Asked
from forecourt.cli.fuzzing.doors import Door, ask, doors_of
from forecourt.cli.fuzzing.fetch import spoken
from forecourt.cli.fuzzing.findings import Findings, Interference
from forecourt.cli.fuzzing.probes import portal_questions, site_pages, tags_in, told, write
from forecourt.cli.fuzzing.questions import Asking, Pool, Question
from forecourt.cli.fuzzing.readable import Reach, Reading, reading
from forecourt.cli.fuzzing.worlds import Person, World
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.relation import TableName
from forecourt.odata import record_id
from forecourt.store.catalog import Table
from forecourt.store.cells import Cells, Change, Row

#: Changes that are tried in a round.
CHANGES = 24
OWN = "a column of a row that is read"
#: How many of the requests are about tables that have changed; how many ask for all rows.
NEAR, PLAIN = 0.6, 0.25

#: Searches of the site in a round, each with a list that is searched and filtered.
SEARCHES = 3

#: Codes of refusals that the database's own rules cause.
DATABASE = (b"FC4091", b"FC4092", b"FC4051", b"0x80060892", b"0x80040237", b"0x80040265", b"0x80040227")


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
        #: Changes of hidden columns of rows that are read.
        self._own: list[Change] = []

    async def round(self, person: Person, probes: int, writes: int, findings: Findings) -> None:
        """One round for a person. Raises Stuck."""
        first = self._worlds[0]
        seen = await self._sight(first, person)
        applied: list[Change] = []
        self._own.clear()
        kept = await self._hide(person, seen, await self._candidates(person, findings), applied, findings)
        if not kept:
            await self._undo(applied)
            return
        findings.rounds += 1
        findings.people.add(person.label)
        await self._read(person, probes, kept, findings)
        await self._write(person, writes, kept, findings)
        await self._undo(applied)

    # -- changes -------------------------------------------------------------------------------------------------

    async def _sight(self, world: World, person: Person) -> dict[str, object]:
        """All that a person may read, at every door, and what is known of him."""
        found: dict[str, object] = {}
        for door in person.doors:
            try:
                principal = await world.principal(person, door)
                found[f"who {door}"] = (principal.contact, principal.web_roles, principal.operations_user)
                found[door] = {reach.entity.name: _seen(reach) for reach in await reading(world, person, door)}
            except Refusal as refusal:
                found[door] = refusal.code
        return found

    async def _candidates(self, person: Person, findings: Findings) -> list[tuple[str, Cells, Change]]:
        """Changes to try: of rows that the person reads, of others, of tables behind no entity."""
        known = await readings(self._worlds[1], person)
        found: list[tuple[str, Cells, Change]] = []
        for _ in range(CHANGES * 4):
            if len(found) >= CHANGES:
                break
            cells = self._draw.choice(list(self._worlds[1].cells.values()))
            own = await self._own_row(known) if self._draw.random() < 0.4 else None
            if own is not None:
                cells, table, row = own
                change = self._update(table, row)
                label = OWN
            else:
                table = self._draw.choice(cells.tables)
                rows = self._pool.get(table.name, ())
                if not rows:
                    continue
                change = self._any_change(table, self._draw.choice(rows))
                label = {"update": "a column of another row", "insert": "a new row", "delete": "a row that goes"}[
                    change.kind if change is not None else "update"
                ]
            if change is not None:
                found.append((label, cells, change))
        return found

    async def _own_row(self, known: Mapping[str, Reading]) -> tuple[Cells, Table, Row] | None:
        """A row that the person reads, as it is in its table."""
        reaches = [reach for found in known.values() for reach in found if reach.rows]
        if not reaches:
            return None
        reach = self._draw.choice(reaches)
        entity, row = reach.entity, self._draw.choice(reach.rows)
        values: dict[str, object] = {}
        for name in entity.key:
            own = entity.fields[name]
            if own.source != entity.root.alias or name not in row:
                return None
            number = own.record_of
            values[own.column] = row[name] if number is None else record_id.decode(number, row[name])
        for world_cells, catalog in zip(self._worlds[1].cells.values(), self._worlds[1].catalogs.values(), strict=True):
            table = catalog.tables.get(entity.root.table)
            if table is not None and table.primary:
                found = await world_cells.find(table.name, values)
                return None if found is None else (world_cells, table, found)
        return None

    def _any_change(self, table: Table, row: Row) -> Change | None:
        kind = self._draw.choice(("update", "update", "update", "insert", "delete"))
        if kind == "delete":
            return Change("delete", table.name, row, None)
        return self._update(table, row) if kind == "update" else self._insert(table, row)

    def _update(self, table: Table, row: Row) -> Change | None:
        names = [name for name, column in table.columns.items() if not column.generated and name not in table.primary]
        if not names:
            return None
        name = self._draw.choice(names)
        value = self._other(table, name, row.get(name))
        return None if value == row.get(name) else Change("update", table.name, row, {**row, name: value}, name)

    def _insert(self, table: Table, row: Row) -> Change | None:
        """A row like another one, under a key of its own."""
        fresh = dict(row)
        for name in {*table.primary, *(name for key in table.unique for name in key)}:
            if (changed := self._fresh(table, name, row.get(name))) is not None:
                fresh[name] = changed
        return Change("insert", table.name, None, fresh) if fresh != row else None

    def _fresh(self, table: Table, name: str, value: object) -> object:
        column = table.columns[name]
        number = self._draw.randrange(10**6, 10**9)
        if column.type == "uuid":
            return f"{number:08x}-0000-0000-0000-{number:012x}"
        if column.type in ("int4", "int8", "numeric"):
            return number
        if column.type in ("text", "varchar") and (column.length is None or column.length > 11):
            return f"Z{number}"
        return None

    def _other(self, table: Table, name: str, value: object) -> object:
        """Another value for a cell: one that some row has, or one that none has."""
        column = table.columns[name]
        rows = self._pool.get(table.name, ())
        if rows and self._draw.random() < 0.5:
            return self._draw.choice(rows).get(name)
        match column.type:
            case "int2" | "int4" | "int8" | "numeric" | "float4" | "float8":
                return self._draw.choice((0, 1, -1, 7, self._draw.randrange(10**4)))
            case "bool":
                return not value
            case "date" | "timestamp" | "timestamptz":
                return f"20{self._draw.randrange(10, 30)}-0{self._draw.randint(1, 9)}-1{self._draw.randrange(10)}"
            case "text" | "varchar" | "bpchar":
                return f"Q{self._draw.randrange(100)}"[: column.length or 3]
            case "uuid":
                return f"{self._draw.randrange(10**8):08x}-0000-0000-0000-000000000000"
            case _:
                return value

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
            question = plain if self._draw.random() < PLAIN else drawn
            door = self._draw.choice(spoken(doors))
            pair = await self._both(person, door, question)
            if pair is not None:
                findings.doors[door.label] += 1
                await self._compare(person, door, question, pair, kept, findings)
        if "pages" in person.doors and first.forecourt.portal is not None:
            for asked in await site_pages(first, person):
                findings.doors["pages"] += 1
                await self._single(person, "pages", asked, kept, findings)
            for _ in range(SEARCHES):
                subject, asking = self._subject(kept)
                for asked in portal_questions(first, asking, subject):
                    findings.doors["lists and search"] += 1
                    await self._single(person, "pages", asked, kept, findings)

    async def _write(self, person: Person, writes: int, kept: list[Change], findings: Findings) -> None:
        first, _ = self._worlds
        known = await readings(first, person)
        doors = doors_of(first, person)
        for _ in range(writes if doors else 0):
            subject, asking = self._subject(kept)
            door = self._draw.choice(doors)
            keys = known_keys(doors, known, subject)
            listed = await ask(first, person, door, Question(subject.name, "list", page=5))
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
        one, other = [await ask(world, person, door, question) for world in self._worlds]
        return None if one is None or other is None else (one, other)

    async def _single(self, person: Person, door: str, asked: Asked, kept: list[Change], findings: Findings) -> None:
        findings.requests += 1
        one, other = [await world.ask(person, asked) for world in self._worlds]
        if self._told([one]) == self._told([other]):
            self._shared(person, door, str(asked), findings)
            return
        if asked.method != "GET" and _declared(one, other):
            findings.declared += 1
            return
        changes = tuple(kept)
        if asked.method == "GET" or (one.status >= 400 and other.status >= 400):
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
