"""The portal under measurement: many people of outside companies, signed in, each asking for pages of their own.

Before anything is timed, every page is asked for by every person, in this process, and has to show what the SQL by hand
says that it shows. The solution is a copy, with the suite's edits (how many rows a list has on a page).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import click

from forecourt.app import Forecourt
from forecourt.cli.benching.pgbench import by_hand
from forecourt.cli.benching.questions import Question
from forecourt.cli.benching.subject import HOST, Asker, Subject, free_port, subject_of, system, url
from forecourt.cli.benching.suite import PortalPage, Suite, Variant, named, spread
from forecourt.cli.workspace import example, opened
from forecourt.identity import sessions
from forecourt.identity.passwords import generate_password
from forecourt.settings import from_environment
from forecourt.store.database import Database

DOOR, IDENTITY = "portal", "people of vendors"

#: How a list's row leads to its details.
_LINK = b"fc-row-link"


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in. ``cookie``: the request header's value."""

    user: str
    account: str
    company: str
    cookie: str


@asynccontextmanager
async def prepared(
    suite: Suite, names: Sequence[str], data: Path, scale: int, people: int
) -> AsyncIterator[tuple[Subject, Mapping[str, str], str]]:
    """The portal with everybody signed in and every answer checked; the path of each page, and the cookie, for the
    first person. Raises ClickException."""
    solution, port = data / "solution", free_port()
    _copy(suite, solution)
    origin = f"http://{HOST}:{port}"
    settings = from_environment(host=HOST, port=port, base_url=origin)
    async with opened(solution, data, settings, scale=scale) as forecourt:
        crowd = await _people(forecourt, suite.people, people)
        asker = Asker(forecourt, origin)
        pages = [page for page in suite.pages if not names or page.name in names]
        database = forecourt.databases.operations
        paths: dict[str, str] = {}
        questions = []
        for page in pages:
            variants = [await _variant(database, page, person) for person in crowd]
            targets = [url(page.path, variant) for variant in variants]
            for person, variant, target in zip(crowd, variants, targets, strict=True):
                await _check(asker, page, person, variant, target)
            requests = tuple(_raw(origin, target, person) for person, target in zip(crowd, targets, strict=True))
            paths[page.name] = targets[0]
            hand = by_hand(page.sql, spread(variants))
            questions.append(Question(page.name, {(DOOR, IDENTITY): requests}, (), hand))
        yield await subject_of(forecourt, solution, data, port, tuple(questions)), paths, crowd[0].cookie


@asynccontextmanager
async def written(url: str) -> AsyncIterator[None]:
    """A transaction is committed every few milliseconds on the server of ``url``: no page is given again meanwhile."""
    database = await Database.open(url)

    async def write() -> None:
        while True:
            await system(database, "select pg_current_xact_id()")
            await asyncio.sleep(0.003)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()


def _copy(suite: Suite, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(example(suite.solution), folder)
    for name, text, other in suite.edits:
        path = folder / name
        found = path.read_text("utf-8")
        if text not in found:
            raise click.ClickException(f"{name} does not say '{text}': the suite is of another version of the sample.")
        path.write_text(found.replace(text, other), "utf-8")


async def _people(forecourt: Forecourt, query: str, count: int) -> list[Person]:
    """So many people of vendors, signed in."""
    dataverse = forecourt.databases.dataverse
    there = await system(forecourt.databases.operations, query)
    accounts = {account.contact_id: account for account in await forecourt.accounts.list()}
    if len(there) < count:
        raise click.ClickException(f"The sample has vendors for {len(there)} people; ask for fewer.")
    found = []
    for user, account, company in there[:count]:
        contact = "select msdyn_contactid from dataverse.msdyn_externalportalusermapping where msdyn_userid = $1"
        ((contact_id,),) = await system(dataverse, contact, user)
        known = accounts.get(UUID(str(contact_id)))
        if known is None:
            known = await forecourt.accounts.create(user, generate_password(), contact_id=UUID(str(contact_id)))
        session = await forecourt.sessions.start(known)
        found.append(Person(user, account, company, f"{sessions.COOKIE}={session.cookie}"))
    return found


async def _variant(database: Database, page: PortalPage, person: Person) -> Variant:
    rows = await system(database, page.variants, person.account, person.company)
    if not rows:
        raise click.ClickException(f"{page.name}: the sample has nothing for {person.user}.")
    return named(dict(rows[0].items()), page.entity_id)


async def _check(asker: Asker, page: PortalPage, person: Person, variant: Variant, target: str) -> None:
    status, body = await asker.get(target, {"cookie": person.cookie, "accept": "text/html"})
    links = body.count(_LINK)
    fits = page.links is None or links == page.links
    if status != 200 or variant[page.shows].encode() not in body or not fits:
        told = f"{status} with {links} rows, for {person.user}; '{variant[page.shows]}' was expected"
        raise click.ClickException(f"{page.name}, {target}: {told}. Nothing was timed.")


def _raw(origin: str, target: str, person: Person) -> str:
    """A whole HTTP request, as a browser sends it."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {origin.partition('//')[2]}\r\nCookie: {person.cookie}\r\n"
        "Accept: text/html,application/xhtml+xml;q=0.9\r\nAccept-Language: en-US,en;q=0.9\r\n"
        "Accept-Encoding: gzip, deflate, br\r\nUser-Agent: forecourt-bench\r\n\r\n"
    )
