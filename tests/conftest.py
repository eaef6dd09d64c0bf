"""Fixtures for all tests: databases, and the example solutions installed over databases of their own."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from support import adventureworks as aw
from support import contoso as sample
from support import postgres as support
from support.server import Case, Installation, serving

_BEGAN: list[bool] = []


def pytest_configure() -> None:
    # Hundreds of processes are started: each of them would compile the product anew, which takes a second.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.set_threshold(50_000, 20, 20)  # definitions and plans are many and stay: looking through them finds nothing
    _BEGAN.append(support.begin_run())


def pytest_unconfigure() -> None:
    if _BEGAN.pop():
        support.end_run()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    """The server of the test run, shared by all workers."""
    server = support.start_server()
    yield server
    server.stop()


@pytest.fixture
async def database_url(postgres: EmbeddedServer) -> AsyncIterator[str]:
    """The address of an empty database that belongs to the test alone."""
    async with support.fresh_database(postgres) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty database that belongs to the test alone."""
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def contoso(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    """The sample company, one database for all tests of a worker: a test changes only what belongs to a person whom it
    has taken for itself (``support.contoso.fresh_vendor``)."""
    async with sample.contoso_site(postgres) as site:
        yield site


@pytest.fixture
async def contoso_alone(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    """The sample company in a database that belongs to the test alone."""
    async with sample.contoso_site(postgres) as site:
        yield site


@pytest.fixture(scope="session")
async def adventureworks(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    """AdventureWorks, attached; one database for all tests of a worker. Skips where there is no dump."""
    if not aw.DUMP.is_file():
        pytest.skip(aw.MISSING)
    async with aw.adventureworks_site(postgres) as site:
        yield site


@pytest.fixture(params=["contoso", "adventureworks"])
def case(request: pytest.FixtureRequest) -> Case:
    """The purchase orders of each solution in turn."""
    site = request.getfixturevalue(request.param)
    return {"contoso": sample.case, "adventureworks": aw.case}[request.param](site)


@pytest.fixture(scope="session")
def portal_url(postgres: EmbeddedServer) -> Iterator[str]:
    """The address of the sample company's portal on a real server, with a database of its own."""
    with serving(lambda settings: sample.contoso_site(postgres, settings=settings)) as url:
        yield url


@pytest.fixture(scope="session")
def portal_people(portal_url: str) -> dict[str, tuple[str, str]]:
    """Who may sign in at ``portal_url``: role -> (user name, password).

    ``vendor`` and ``other vendor`` have 1,000 orders each, ``common vendor`` an account number that exists twice;
    ``stranger`` has the vendors' web role and no operations user.
    """
    entries = sample.credentials()

    def pick(role: str, number: int = 0, *, mapped: bool = True) -> tuple[str, str]:
        wanted = [e for e in entries if e["web_roles"] == [role] and bool(e["operations_user"]) is mapped]
        return wanted[number]["username"], wanted[number]["password"]

    return {
        "vendor": pick("Vendors"),
        "other vendor": pick("Vendors", 1),
        "common vendor": pick("Vendors", 4),
        "customer": pick("Customer representatives"),
        "worker": pick("Workers"),
        "stranger": pick("Vendors", mapped=False),
    }
