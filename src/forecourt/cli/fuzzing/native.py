"""Plain SQL as a door: under a role that stands for a person, a view shows the rows and columns that ``/data`` gives.

Native access is applied to the scratch copy, with a role for each person, and taken away again: roles belong to the
whole server. Where the connection may not create roles, or the rules cannot be given to the database, that is said.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forecourt.cli.fuzzing.readable import MOST, Reach, reading, shown
from forecourt.cli.fuzzing.worlds import Person, World
from forecourt.kernel.errors import Refusal
from forecourt.operations.native import NativeAccess
from forecourt.store.logins import ScratchLogin, scratch_login


@dataclass
class NativeTally:
    """``skipped``: why nothing was asked, '' where it was."""

    statements: int = 0
    rows: int = 0
    people: set[str] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)
    skipped: str = ""

    def line(self) -> str:
        """What came of it."""
        if self.skipped:
            return f"Plain SQL was NOT tried: {self.skipped}"
        return (
            f"{self.statements} statements of plain SQL by {len(self.people)} identities, {self.rows} rows: "
            f"{len(self.differences) or 'no'} differences."
        )


async def plain_sql(world: World, people: Sequence[Person], most: int, draw: random.Random) -> NativeTally:
    """Every entity by plain SQL, for at most ``most`` of the people."""
    tally = NativeTally()
    forecourt = world.forecourt
    database = forecourt.databases.operations
    access = await NativeAccess.open(forecourt.definitions.operations, forecourt.users, database)
    asking = [person for person in people if person.user is not None]
    try:
        await access.apply()
        try:
            for person in draw.sample(asking, min(most, len(asking))):
                async with scratch_login(database.url) as login:
                    await access.map(login.role, person.user or "")
                    await _person(world, person, login, tally, draw)
                    await access.unmap(login.role)
        finally:
            await access.drop()
    except Refusal as refusal:
        tally.skipped = refusal.message
    return tally


async def _person(world: World, person: Person, login: ScratchLogin, tally: NativeTally, draw: random.Random) -> None:
    try:
        reaches: Mapping[str, Reach] = (await reading(world, person, "data")).reaches
    except Refusal:
        reaches = {}
    tally.people.add(person.label)
    for entity in world.forecourt.operations_gate.model.entities.values():
        reach = reaches.get(entity.name)
        open_to = () if reach is None else reach.fields
        hidden = sorted(set(entity.fields) - set(open_to))
        if hidden:
            name = draw.choice(hidden)
            tally.statements += 1
            if await login.count(entity.collection, name):
                tally.differences.append(f"{person.label} by SQL: a condition on {entity.collection}.{name}")
        if reach is None or not open_to or not reach.whole:
            continue
        tally.statements += 1
        rows = await login.rows(entity.collection, open_to, MOST + 1) or []
        ours = Counter(repr([row[name] for name in open_to]) for row in reach.rows)
        theirs = Counter(repr([shown(entity, name, row[at]) for at, name in enumerate(open_to)]) for row in rows)
        tally.rows += len(rows)
        if ours != theirs:
            one = next(iter((theirs - ours) or (ours - theirs)))
            tally.differences.append(
                f"{person.label} by SQL: {len(rows)} rows of {entity.collection} instead of {len(reach.rows)}; {one}"
            )
