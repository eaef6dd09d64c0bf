"""Worlds: a solution over scratch copies of its databases, served in this process, and people at its doors.

A person gets a token and a session without a password: both are made by the parts that make them after a sign-in. What
is made for a person is in the copies alone.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote
from uuid import UUID

from prometheus_client import CollectorRegistry

from forecourt.app import Databases, Forecourt, build
from forecourt.cli.fuzzing.client import Answered, Asked, send
from forecourt.identity import csrf, sessions
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Fault, Observation
from forecourt.kernel.principal import Principal
from forecourt.security.rules import ADMINISTRATORS
from forecourt.server import Server
from forecourt.settings import Settings
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.cells import Cells
from forecourt.store.clone import copy_of
from forecourt.store.database import Database

Doorway = Literal["data", "web", "api", "pages", "packages"]
ROOTS: Mapping[str, str] = {"data": "/data", "web": "/api/data/v9.2", "api": "/_api", "pages": "", "packages": "/data"}
TOKENS = ("data", "web")

#: In a body: the anti-forgery token of whoever sends it.
PROOF = b"(proof)"

#: Of a kind of people, how many are looked at.
LOOKED = 60

T = TypeVar("T")

_PROOF = re.compile(rb'value="([^"]+)"')


@dataclass(frozen=True)
class Person:
    """Somebody who asks. ``contact``: a portal's; ``user``: the operations user; neither: an anonymous visitor."""

    label: str
    contact: UUID | None = None
    user: str | None = None

    @property
    def doors(self) -> tuple[Doorway, ...]:
        """Where the person may knock."""
        if self.contact is not None:
            return ("data", "packages", "web", "api", "pages") if self.user is not None else ("api", "pages")
        return ("data", "packages", "web") if self.user is not None else ("api", "pages")


@dataclass
class World:
    """A solution over databases of its own. ``cells``: by plane, how its rows are changed around all rules."""

    forecourt: Forecourt
    server: Server
    cells: Mapping[str, Cells]
    catalogs: Mapping[str, Catalog]
    observed: list[Observation]
    _headers: dict[tuple[Person, str], Mapping[str, str]] = field(default_factory=dict)
    _proofs: dict[Person, str] = field(default_factory=dict)

    async def ask(self, person: Person, asked: Asked) -> Answered:
        """The answer to a person's request."""
        credentials = dict(await self._credentials(person, asked.target))
        if asked.target.startswith("/_api") and asked.method not in ("GET", "HEAD"):
            credentials[csrf.HEADER.lower()] = await self._proof(person)
        elif PROOF in asked.body:
            proof = quote(await self._proof(person)).encode()
            asked = replace(asked, body=asked.body.replace(PROOF, proof))
            credentials = dict(await self._credentials(person, asked.target))
        return await send(self.server, asked, credentials)

    def faults(self) -> list[Fault]:
        """What went wrong unexpectedly since the last look."""
        found = [item for item in self.observed if isinstance(item, Fault)]
        self.observed.clear()
        return found

    async def principal(self, person: Person, door: Doorway) -> Principal:
        """The person as identity sees it at a door. Raises Refusal."""
        principals = self.forecourt.principals
        if person.contact is not None:
            return await principals.for_contact(person.contact)
        if person.user is not None:
            return await principals.for_operations_user(person.user)
        return await principals.anonymous()

    async def _credentials(self, person: Person, target: str) -> Mapping[str, str]:
        kind = "token" if target.startswith(tuple(ROOTS[door] for door in TOKENS)) else "session"
        if (person, kind) not in self._headers:
            made = self._token(person) if kind == "token" else await self._session(person)
            self._headers[person, kind] = made
        return self._headers[person, kind]

    def _token(self, person: Person) -> Mapping[str, str]:
        issue = self.forecourt.tokens.issue
        if person.contact is not None:
            return {"authorization": f"Bearer {issue(str(person.contact), 'contact', client_id='fuzz')}"}
        if person.user is not None:
            return {"authorization": f"Bearer {issue(person.user, 'operations', client_id='fuzz')}"}
        return {}

    async def _session(self, person: Person) -> Mapping[str, str]:
        if person.contact is None:
            return {}
        accounts = self.forecourt.accounts
        found = [item for item in await accounts.list() if item.contact_id == person.contact and item.enabled]
        if not found:
            password = secrets.token_urlsafe(24)
            found = [await accounts.create(f"fuzz {person.contact}", password, contact_id=person.contact)]
        session = await self.forecourt.sessions.start(found[0])
        return {"cookie": f"{sessions.COOKIE}={session.cookie}"}

    async def _proof(self, person: Person) -> str:
        """The anti-forgery token of a person's session, or of a visitor."""
        if person not in self._proofs:
            headers = await self._credentials(person, "/_api")
            fragment = await send(self.server, Asked("GET", "/_layout/tokenhtml"), headers)
            found = _PROOF.search(fragment.body)
            self._proofs[person] = found[1].decode() if found is not None else ""
            if visitor := fragment.cookie(csrf.COOKIE):
                self._headers[person, "session"] = {"cookie": f"{csrf.COOKIE}={visitor}"}
        return self._proofs[person]


@asynccontextmanager
async def copied(root: Path, urls: Sequence[str], settings: Settings) -> AsyncIterator[World]:
    """A solution over scratch copies of its databases, one URL or two (operations, Dataverse)."""
    async with AsyncExitStack() as stack:
        copies = [await stack.enter_async_context(copy_of(url)) for url in dict.fromkeys(urls)]
        yield await stack.enter_async_context(opened_world(root, copies, settings))


@asynccontextmanager
async def opened_world(root: Path, urls: Sequence[str], settings: Settings) -> AsyncIterator[World]:
    observed: list[Observation] = []
    opened = [await Database.open(url, observed.append, settings.lane_size) for url in urls]
    databases = Databases(opened[0], opened[-1], None)
    try:
        forecourt = await build(root, databases, settings, observed.append)
        planes = {"operations": opened[0], **({} if databases.shared else {"dataverse": opened[-1]})}
        catalogs = {name: await read_catalog(database) for name, database in planes.items()}
        cells = {name: Cells(database, catalogs[name]) for name, database in planes.items()}
        yield World(forecourt, Server(forecourt, CollectorRegistry()), cells, catalogs, observed)
    finally:
        await databases.close()


async def people(forecourt: Forecourt, draw: random.Random, most: int) -> list[Person]:
    """Some of those who may ask: users of the operations side, contacts of every set of web roles, contacts that are
    not mapped, an anonymous visitor. No administrators: there is nothing that they may not read."""
    mapped = await forecourt.contacts.mapped()
    behind = {user for _, user in mapped}
    found: list[Person] = []
    for user_id in _shuffled(draw, [item for item in await forecourt.users.ids() if item not in behind])[:LOOKED]:
        known = await forecourt.users.get(user_id)
        if len(found) < most // 3 and known is not None and known.enabled and not known.roles & ADMINISTRATORS:
            found.append(Person(user_id, None, user_id))
    contacts = {contact for contact, _ in mapped}
    accounts = await forecourt.accounts.list()
    unmapped = sorted(item.contact_id for item in accounts if item.contact_id and item.contact_id not in contacts)
    groups: dict[frozenset[str], list[Person]] = {}
    sampled: list[tuple[UUID, str | None]] = [*_shuffled(draw, mapped)[:LOOKED]]
    sampled += [(item, None) for item in _shuffled(draw, unmapped)[:1]]
    for contact, user in sampled:
        try:
            principal = await forecourt.principals.for_contact(contact)
        except Refusal:
            continue
        acting = user if principal.operations_user is not None else None
        person = Person(f"{principal.label} ({acting or 'not mapped'})", contact, acting)
        groups.setdefault(principal.web_roles if acting else frozenset(), []).append(person)
    while any(groups.values()) and len(found) < most - 1:
        for group in groups.values():
            if group and len(found) < most - 1:
                found.append(group.pop())
    return [*found, Person("an anonymous visitor")] if forecourt.portal is not None else found


def _shuffled(draw: random.Random, items: Sequence[T]) -> list[T]:
    return draw.sample(items, len(items))
