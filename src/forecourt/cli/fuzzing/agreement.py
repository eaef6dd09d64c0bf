"""The same rows at every door: random questions of random people, each asked at every door and worked out beside it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from forecourt.cli.fuzzing.client import Answered
from forecourt.cli.fuzzing.doors import Door, doors_of
from forecourt.cli.fuzzing.kinds import kinds
from forecourt.cli.fuzzing.oracle import Oracle, Unknown
from forecourt.cli.fuzzing.questions import Asking, Condition, Joined, Key, Pool, Question
from forecourt.cli.fuzzing.readable import DOORS, Reading, gate_of, reading
from forecourt.cli.fuzzing.ways import ways_of
from forecourt.cli.fuzzing.worlds import Person, World
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.odata import record_id

#: Rows of each table that values are drawn from.
SAMPLED = 200


@dataclass(frozen=True)
class Difference:
    """An answer that is not what the rules say. ``asked``: the request, as it can be sent again."""

    person: str
    door: str
    asked: str
    what: str
    question: Question

    def __str__(self) -> str:
        return f"{self.person} at {self.door}: {self.asked}\n    {self.what}"


@dataclass
class Tally:
    """What was asked. ``answers``: by door and status; ``kinds``: questions of each kind, by door."""

    requests: int = 0
    unknown: int = 0
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    differences: list[Difference] = field(default_factory=list)


async def pool_of(world: World, seed: int) -> Pool:
    """Rows of all tables, to draw values from."""
    return {
        table.name: await cells.sample(table.name, SAMPLED, str(seed))
        for cells in world.cells.values()
        for table in cells.tables
    }


async def readings(world: World, person: Person) -> Mapping[str, Reading]:
    """What a person may read at each door that answers questions and knows them."""
    found: dict[str, Reading] = {}
    for name in dict.fromkeys(door.name for door in ways_of(world, person)):
        try:
            found[name] = await reading(world, person, name)
        except Refusal:
            continue
    return found


async def arrive(world: World, people: Sequence[Person]) -> None:
    """Lets everybody come to the Web API once, which gives a user its row there: nothing is to change by asking."""
    for person in people:
        if "web" in person.doors:
            with suppress(Refusal):
                gate = gate_of(world, "web")
                await gate.scope(await world.principal(person, "web"), DOORS["web"], fresh=True)


async def comparable(world: World, people: Sequence[Person]) -> list[Person]:
    """Those who read no more of any entity than is compared."""
    found = []
    for person in people:
        known = await readings(world, person)
        if all(reach.whole for each in known.values() for reach in each):
            found.append(person)
    return found


def subjects(world: World) -> list[Entity]:
    """Data entities and native tables: what questions are about."""
    native = [item for item in world.forecourt.dataverse_gate.model.entities.values() if item.virtual_of is None]
    return [*world.forecourt.operations_gate.model.entities.values(), *native]


def known_keys(doors: Sequence[Door], found: Mapping[str, Reading], subject: Entity) -> list[Key]:
    """Rows of a subject that a person reads, as far as the doors say which they are."""
    keys = []
    for door in doors:
        entity = door.entity(subject.name)
        if entity is None or door.name not in found:
            continue
        for row in found[door.name].reaches[entity.name].rows[:50]:
            names = {name: door.field(entity, name) for name in subject.key}
            values = {name: row.get(own.name) if own else None for name, own in names.items()}
            identity = row.get(entity.key[0])
            number = entity.fields[entity.key[0]].record_of
            if door.of_data:
                keys.append(Key(values, None))
            else:
                keys.append(
                    Key(
                        values if None not in values.values() else None,
                        record_id.decode(number, identity) if number is not None and identity else identity,
                    )
                )
    return keys


async def agreement(
    world: World,
    people: Sequence[Person],
    requests: int,
    draw: random.Random,
    pool: Pool,
    progress: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Asks until ``requests`` questions have been put to some door."""
    tally = Tally()
    await arrive(world, people)
    known = {person: await readings(world, person) for person in people}
    open_to = {person: await _subjects(world, person, known[person]) for person in people}
    models = {id(item): item for item in subjects(world)}
    operations = Asking(world.forecourt.operations_gate.model, pool, draw)
    dataverse = Asking(world.forecourt.dataverse_gate.model, pool, draw)
    everything = list(models.values())
    while tally.requests < requests:
        person = draw.choice(people)
        favoured = open_to[person]
        subject = draw.choice(favoured) if favoured and draw.random() < 0.85 else draw.choice(everything)
        native = subject.name in dataverse.model.entities
        doors = doors_of(world, person)
        question = (dataverse if native else operations).question(subject, known_keys(doors, known[person], subject))
        tally.people.add(person.label)
        for door in ways_of(world, person):
            await _one(world, tally, person, door, known[person], question)
        progress(tally.requests)
    return tally


async def _one(
    world: World, tally: Tally, person: Person, door: Door, known: Mapping[str, Reading], question: Question
) -> None:
    heard = door.heard(question)
    answers = await door.answers(world, person, heard) if heard is not None else None
    if heard is None or answers is None:
        return
    question = heard
    tally.requests += len(answers)
    for answer in answers:
        tally.answers[door.label, answer.status] += 1
    tally.kinds.setdefault(door.label, Counter()).update(kinds(door, question, known.get(door.name)))
    what = judged(door, known, question, answers)
    if what is None:
        tally.unknown += 1
        return
    faults = world.faults()
    if faults:
        what = f"{what}; {faults[0].error!r}"
    if what:
        small, what = await _smallest(world, person, door, known, question, what)
        tally.differences.append(Difference(person.label, door.label, str(door.asked(small)), what, small))


def judged(door: Door, known: Mapping[str, Reading], question: Question, answers: Sequence[Answered]) -> str | None:
    """What is wrong with answers, '' for nothing, None where it cannot be said."""
    if door.name not in known:
        return "" if answers[0].status in (401, 403, 404) else f"status {answers[0].status} for somebody unknown"
    try:
        return Oracle(door, known[door.name]).difference(question, answers)
    except Unknown:
        return None


async def _smallest(
    world: World, person: Person, door: Door, known: Mapping[str, Reading], question: Question, what: str
) -> tuple[Question, str]:
    """The question with everything left out that the difference does not need."""
    shrunk = True
    while shrunk:
        shrunk = False
        for smaller in smaller_than(question):
            answers = await door.answers(world, person, smaller)
            found = judged(door, known, smaller, answers) if answers else ""
            if found:
                question, what, shrunk = smaller, found, True
                break
    world.faults()
    return question, what


def smaller_than(question: Question) -> list[Question]:
    """The question without one of its parts, in each way."""
    where: list[Condition | None] = [None]
    if isinstance(question.where, Joined):
        where += question.where.items
    found = [replace(question, where=item) for item in where]
    found += [
        replace(question, order=()),
        replace(question, select=()),
        replace(question, expand=""),
        replace(question, top=None),
        replace(question, page=None),
        replace(question, total=False),
        replace(question, batched=False),
    ]
    if len(question.select) > 1:
        found += [replace(question, select=(name,)) for name in question.select]
    return [item for item in found if item != question]


async def _subjects(world: World, person: Person, known: Mapping[str, Reading]) -> list[Entity]:
    """What a person reads some row of."""
    found = []
    for subject in subjects(world):
        for door in doors_of(world, person):
            entity = door.entity(subject.name)
            if entity is not None and door.name in known and known[door.name].reaches[entity.name].rows:
                found.append(subject)
                break
    return found
