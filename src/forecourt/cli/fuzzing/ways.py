"""All ways in which a question can be asked: the OData doors, FetchXML beside them, change tracking, data packages."""

from __future__ import annotations

from collections.abc import Sequence

from forecourt.cli.fuzzing.doors import Door, doors_of
from forecourt.cli.fuzzing.exported import PackageDoor
from forecourt.cli.fuzzing.fetch import FetchDoor
from forecourt.cli.fuzzing.tracked import TrackedDoor
from forecourt.cli.fuzzing.worlds import Person, World


def ways_of(world: World, person: Person) -> Sequence[Door]:
    """Every way that is open to a person's questions."""
    found = list(doors_of(world, person))
    for door in tuple(found):
        if door.name == "data":
            found.append(PackageDoor("packages", door.model))
        else:
            found.append(FetchDoor(door.name, door.model))
        if door.name == "web":
            found.append(TrackedDoor("web", door.model))
    return found
