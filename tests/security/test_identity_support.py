"""What the identity tests share: a clock that stands still, cheap hashing, and the services over a fresh database."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from forecourt.identity.accounts import Accounts
from forecourt.identity.applications import Applications
from forecourt.identity.passwords import Cost, Passwords
from forecourt.identity.schema import SCRIPTS
from forecourt.identity.sessions import Sessions
from forecourt.identity.throttle import Throttle
from forecourt.identity.tokens import Tokens
from forecourt.kernel.observe import Observation
from forecourt.store.database import Database
from forecourt.store.migrate import migrate

BASE = "http://127.0.0.1:8000"
PASSWORD = "Correct-horse-1"


@dataclass
class Time:
    """A clock that moves when told to."""

    now: dt.datetime = dt.datetime(2030, 6, 1, 12, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def passes(self, **span: float) -> None:
        self.now += dt.timedelta(**span)


@dataclass
class Identity:
    """Every service of identity, wired as the application wires them."""

    database: Database
    time: Time
    passwords: Passwords
    throttle: Throttle = field(init=False)
    accounts: Accounts = field(init=False)
    sessions: Sessions = field(init=False)
    applications: Applications = field(init=False)
    tokens: Tokens = field(init=False)
    seen: list[Observation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.database, self.time)
        parts = (self.database, self.time, self.seen.append, self.passwords, self.throttle)
        self.accounts = Accounts(*parts)
        self.applications = Applications(*parts)
        self.sessions = Sessions(self.database, self.time)
        self.tokens = Tokens(
            self.database, self.time, base_url=BASE, tenant="contoso", audiences=("https://erp.example",)
        )


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[Identity]:
    """The services over the database of that address, with identity's tables made and the first key in place."""
    database = await Database.open(url)
    await migrate(database, SCRIPTS)
    passwords = Passwords(Cost(passes=1, memory=64))
    built = Identity(database, Time(), passwords)
    await built.tokens.start()
    yield built
    passwords.close()
    await database.close()
