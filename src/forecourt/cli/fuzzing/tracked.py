"""Change tracking as a door: all rows of a native table under ``Prefer: odata.track-changes``, and delta links.

A table is read whole, page by page, up to its delta link. Whoever does not hold the privilege to read the table at
organization depth is refused: what was deleted could not be told otherwise without telling of rows that were hidden.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from forecourt.cli.fuzzing.client import ORIGIN, Answered, Asked
from forecourt.cli.fuzzing.doors import Door, parsed
from forecourt.cli.fuzzing.questions import Question
from forecourt.cli.fuzzing.readable import Reach
from forecourt.cli.fuzzing.worlds import Person, World
from forecourt.dataverse.changes import tracked
from forecourt.kernel.model import Entity

_TOKEN = re.compile(r"deltatoken=[^&\"]+")


@dataclass(frozen=True)
class TrackedDoor(Door):
    """The Web API with change tracking."""

    @property
    def label(self) -> str:
        return f"{self.name} delta"

    def entity(self, subject: str) -> Entity | None:
        found = self.model.entities.get(subject)
        return found if found is not None and tracked(found) else None

    def heard(self, question: Question) -> Question | None:
        """A table, some of its columns, and the size of pages."""
        if question.form != "list":
            return None
        return Question(question.entity, "list", select=question.select, page=question.page)

    def opens(self, reach: Reach) -> bool:
        return reach.deep

    def asked(self, question: Question) -> Asked | None:
        found = super().asked(question)
        if found is None:
            return None
        size = "" if question.page is None else f",odata.maxpagesize={question.page}"
        return Asked("GET", found.target, (("prefer", f"odata.track-changes{size}"),))


@dataclass(frozen=True)
class Mark:
    """Where a person stands with a table: the delta link that each of two worlds has given."""

    collection: str
    links: tuple[Asked, Asked]

    def __str__(self) -> str:
        return f"GET {_TOKEN.sub('deltatoken=(a token from before)', self.links[0].target)}"


async def mark(worlds: tuple[World, World], person: Person, door: TrackedDoor, entity: str) -> Mark | None:
    """A table read to its end in both worlds; None where the person is refused."""
    links = []
    for world in worlds:
        answers = await door.answers(world, person, Question(entity, "list"))
        link = parsed(answers[-1]).get("@odata.deltaLink") if answers else None
        if link is None:
            return None
        links.append(Asked("GET", str(link).removeprefix(ORIGIN)))
    return Mark(entity, (links[0], links[1]))


async def followed(worlds: tuple[World, World], person: Person, known: Mark) -> tuple[Answered, Answered]:
    """What each world says has changed since a mark."""
    first, second = [await world.ask(person, link) for world, link in zip(worlds, known.links, strict=True)]
    return first, second
