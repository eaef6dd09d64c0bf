"""A reload: when it is done, the next request to every server is decided by the files as they are."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from forecourt.cli.reload import taken_up
from forecourt.cli.rule_files import digest_of, rule_digests
from forecourt.cli.serving import Serving
from forecourt.kernel.observe import Observation
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.servers import Servers
from support.server import Answer, Installation, Person, ask, installed
from support.small_erp import ROOT, small_erp

ORDERS = "/data/SmallOrders?cross-company=true"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the solution that a test may change."""
    return Path(shutil.copytree(ROOT, tmp_path / "solution"))


@pytest.fixture
async def site(postgres: EmbeddedServer, root: Path) -> AsyncIterator[Installation]:
    async with small_erp(postgres, root) as opened:
        yield opened


@pytest.fixture
async def servers(site: Installation) -> AsyncIterator[list[Serving]]:
    """Two servers of the solution, as ``serve`` runs them, each with connections of its own."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            opened = await stack.enter_async_context(installed(site.root, site.url, site.dataverse_url))
            observed: list[Observation] = []
            serving = Serving(site.root, opened.forecourt, CollectorRegistry(), observed.append)
            found.append(await stack.enter_async_context(serving))
        yield found


async def orders(serving: Serving, person: Person) -> Answer:
    return await ask(serving, "GET", ORDERS, await person.headers("/data"))


async def reloaded(site: Installation) -> list[str]:
    """Asks for a reload and waits for it. Why servers refused, '' for each that did not."""
    registered = Servers(site.forecourt.databases.dataverse)
    number = await registered.ask(digest_of(rule_digests(site.root)))
    live = await taken_up(registered, number, 60)
    assert all(server.reload == number and server.process == os.getpid() for server in live)
    return [server.refused for server in live]


def change(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text("utf-8")
    assert old in text
    (root / path).write_text(text.replace(old, new), "utf-8")


async def test_a_grant_that_is_taken_from_the_files_is_gone_at_every_server(
    site: Installation, servers: list[Serving]
) -> None:
    reader = await site.operations_user("reader")
    assert [(await orders(serving, reader)).status for serving in servers] == [200, 200]
    change(site.root, "operations/roles.yaml", "  Reader: {privileges: [Look]}", "  Reader: {privileges: []}")
    assert [(await orders(serving, reader)).status for serving in servers] == [200, 200], "nobody has asked yet"
    assert await reloaded(site) == ["", ""]
    assert [(await orders(serving, reader)).status for serving in servers] == [403, 403]
    change(site.root, "operations/roles.yaml", "  Reader: {privileges: []}", "  Reader: {privileges: [Look]}")
    assert await reloaded(site) == ["", ""]
    assert [(await orders(serving, reader)).status for serving in servers] == [200, 200]


POLICY = """
name: Small
context: {type: RoleName, role: Reader}
primary_table: erp.orders
query: {ranges: [{column: quantity, lt: 10}]}
"""


async def test_a_policy_that_comes_into_the_files_takes_its_rows_at_every_server(
    site: Installation, servers: list[Serving]
) -> None:
    await site.sql(
        "insert into erp.orders (dataareaid, salesid, account, quantity) "
        "select 'usmf', 'S' || n, 'A', n from unnest(array[5, 50]) n"
    )
    reader, path = await site.operations_user("reader"), site.root / "operations/policies/Small.yaml"
    assert [len((await orders(serving, reader)).rows) for serving in servers] == [2, 2]
    path.parent.mkdir(exist_ok=True)
    path.write_text(POLICY, "utf-8")
    assert await reloaded(site) == ["", ""]
    assert [len((await orders(serving, reader)).rows) for serving in servers] == [1, 1]


async def test_files_with_faults_are_refused_and_the_servers_go_on_as_before(
    site: Installation, servers: list[Serving]
) -> None:
    reader = await site.operations_user("reader")
    change(site.root, "operations/roles.yaml", "privileges: [Look]}", "privileges: [Lok]}")
    refused = await reloaded(site)
    assert all("roles.yaml" in text and "'Lok' is not known" in text for text in refused), refused
    assert [(await orders(serving, reader)).status for serving in servers] == [200, 200]
    change(site.root, "operations/orders.py", "import", "raise RuntimeError('no')\nimport")
    change(site.root, "operations/roles.yaml", "privileges: [Lok]}", "privileges: [Look]}")
    assert all(await reloaded(site)), "Python that does not run is refused too"
    assert [(await orders(serving, reader)).status for serving in servers] == [200, 200]


async def test_requests_go_on_while_servers_take_up_new_rules(site: Installation, servers: list[Serving]) -> None:
    reader = await site.operations_user("reader")
    done = asyncio.Event()

    async def ask_on(serving: Serving) -> set[int]:
        found = set()
        while not done.is_set():
            found.add((await orders(serving, reader)).status)
        return found

    asking = [asyncio.create_task(ask_on(serving)) for serving in servers]
    for old, new in (("Look]}", "Look, Invoice]}"), ("Look, Invoice]}", "Look]}")):
        change(site.root, "operations/roles.yaml", f"Reader: {{privileges: [{old}", f"Reader: {{privileges: [{new}")
        assert await reloaded(site) == ["", ""]
    done.set()
    assert [await task for task in asking] == [{200}, {200}]


async def test_the_security_log_says_which_rules_came_into_force(site: Installation, servers: list[Serving]) -> None:
    change(site.root, "operations/roles.yaml", "privileges: [Look]}", "privileges: []}")
    await reloaded(site)
    rows = await site.dataverse(
        "select subject, outcome from forecourt.security_log where kind = 'rule' and outcome <> 'in force'"
    )
    assert [tuple(row) for row in rows] == [("operations/roles.yaml", "changed")]


async def test_a_server_that_stops_is_not_waited_for(site: Installation, servers: list[Serving]) -> None:
    registered = Servers(site.forecourt.databases.dataverse)
    assert len(await registered.live()) == 2
    await servers[1].__aexit__(None, None, None)
    assert len(await registered.live()) == 1
    assert await reloaded(site) == [""]
