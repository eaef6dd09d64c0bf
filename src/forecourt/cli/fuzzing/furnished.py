"""Scratch databases furnished for random requests: notes with files on people's rows, security roles of Dataverse.

A solution whose notes are empty and whose people hold no security roles would show nothing at those doors. What is
added here is what the solution's own portal and definitions allow, on copies alone, and the same in every copy.
"""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

from forecourt.cli.fuzzing.readable import DOORS
from forecourt.cli.fuzzing.worlds import Person, World, opened_world, people
from forecourt.dataverse.design import NOTES
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import SYSTEM_ADMIN_ROLE
from forecourt.kernel.relation import TableName
from forecourt.security.rules import BASIC_USER
from forecourt.security.standing import USER_ROLES, USERS, id_of
from forecourt.settings import Settings
from forecourt.store.cells import Cells, Change, Row
from forecourt.store.clone import copy_of

#: Notes that are made, and people who get a security role.
COUNT, HOLDERS = 60, 6


@asynccontextmanager
async def furnished(
    root: Path, urls: Sequence[str], settings: Settings, seed: int
) -> AsyncIterator[tuple[list[str], list[Person]]]:
    """The addresses of copies of a solution's databases that are furnished, and who holds a security role in them."""
    draw = random.Random(seed)  # noqa: S311 - the same seed has to make the same again
    async with AsyncExitStack() as stack:
        copies = [await stack.enter_async_context(copy_of(url)) for url in dict.fromkeys(urls)]
        async with opened_world(root, copies, settings) as world:
            holders = await _cast(world, draw)
            await _notes(world, draw)
        yield copies, holders


async def _cast(world: World, draw: random.Random) -> list[Person]:
    """Gives some people who come to the Web API security roles of the solution."""
    roles = sorted(set(world.forecourt.definitions.rules.dataverse.roles) - {SYSTEM_ADMIN_ROLE, BASIC_USER})
    cells = _cells(world, USER_ROLES)
    coming = [person for person in await people(world.forecourt, draw, HOLDERS * 3) if "web" in person.doors]
    holders: list[Person] = []
    for person in draw.sample(coming, min(HOLDERS, len(coming))) if cells is not None and roles else ():
        try:
            principal = await world.principal(person, "web")
            await world.forecourt.dataverse_gate.scope(principal, DOORS["web"], fresh=True)  # makes the user's row
        except Refusal:
            continue
        if cells is None or principal.operations_user is None:
            continue
        user = id_of("systemuser", f"user/{principal.operations_user.id}")
        row = {
            "systemuserrolesid": str(UUID(int=draw.getrandbits(128), version=5)),
            "systemuserid": str(user),
            "roleid": str(id_of("role", draw.choice(roles))),
            "versionnumber": 1,
        }
        if await cells.change((Change("insert", USER_ROLES, None, row),)):
            holders.append(person)
    return holders


async def _notes(world: World, draw: random.Random) -> None:
    """Makes notes with files, of several owners, on rows of the tables that take notes."""
    entity = world.forecourt.dataverse_gate.model.entities.get(NOTES[0])
    if entity is None:
        return
    cells = _cells(world, entity.root.table)
    if cells is None or await cells.sample(entity.root.table, 1, "any"):
        return
    users = await cells.sample(USERS, HOLDERS * 4, str(draw.random()))
    targets = next((field.targets for field in entity.fields.values() if NOTES[1] in field.name and field.targets), ())
    for number in range(COUNT if users and targets else 0):
        above = world.forecourt.dataverse_gate.model.entities[draw.choice(targets)]
        rows = await cells.sample(above.root.table, 1, f"{number}")
        if rows:
            row = _note(number, above.name, rows[0][above.fields[above.key[0]].column], draw.choice(users), draw)
            await cells.change((Change("insert", entity.root.table, None, row),))


def _note(number: int, target: str, above: object, owner: Row, draw: random.Random) -> Row:
    text = f"File {number} of {target} {draw.randrange(10**6)}"
    return {
        "annotationid": str(UUID(int=draw.getrandbits(128), version=5)),
        "subject": f"Note {number}",
        "notetext": f"About {text}",
        "objectid": above,
        "objectid_type": target,
        "isdocument": True,
        "filename": f"file-{number}.txt",
        "mimetype": "text/plain",
        "filesize": len(text),
        "documentbody": base64.b64encode(text.encode()).decode(),
        "ownerid": owner["systemuserid"],
        "ownerid_type": "systemuser",
        "owninguser": owner["systemuserid"],
        "owningbusinessunit": owner["businessunitid"],
        "createdby": owner["systemuserid"],
        "modifiedby": owner["systemuserid"],
        "createdon": "2024-01-01T00:00:00Z",
        "modifiedon": "2024-01-01T00:00:00Z",
        "versionnumber": number + 1,
    }


def _cells(world: World, table: TableName) -> Cells | None:
    return next((cells for cells in world.cells.values() if table in {item.name for item in cells.tables}), None)
