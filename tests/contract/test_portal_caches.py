"""Two servers of one site: a change of data, of a person's roles or of the site is honoured at the next request to
each, whatever a browser has kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from forecourt.cli.reload import taken_up
from forecourt.cli.rule_files import digest_of, rule_digests
from forecourt.cli.serving import Serving
from forecourt.kernel.observe import Observation
from forecourt.security.rules import Scope
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.servers import Servers
from support.server import Answer, ask, installed
from support.small_portal import Content, Permission, SmallPortal, SmallSite, id_of, small_portal

COUNT = (
    "<p>{% fetchxml q %}<fetch><entity name='cts_thing'><attribute name='cts_name'/></entity></fetch>{% endfetchxml %}"
    "Things: {{ q.results.entities.size }}</p>"
)
SITE = SmallSite(
    permissions=(
        Permission("Everybody", "cts_thing", Scope.GLOBAL, "r", ("Anonymous Users",)),
        Permission("Members", "cts_thing", Scope.GLOBAL, "r", ("Members",)),
    ),
    pages=(Content("Open", "Home", copy=COUNT), Content("Things", "Home", shows="list")),
)


@pytest.fixture
async def portal(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path, SITE) as opened:
        yield opened


@pytest.fixture
async def servers(portal: SmallPortal) -> AsyncIterator[list[Serving]]:
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            opened = await stack.enter_async_context(
                installed(portal.site.root, portal.site.url, portal.site.dataverse_url)
            )
            observed: list[Observation] = []
            serving = Serving(portal.site.root, opened.forecourt, CollectorRegistry(), observed.append)
            found.append(await stack.enter_async_context(serving))
        yield found


async def test_what_changes_is_seen_at_the_next_request_to_every_server(
    portal: SmallPortal, servers: list[Serving]
) -> None:
    member = await portal.person("mia", "Members")
    cookies = await member.headers("/")
    await portal.thing("one")

    async def opened(tag: str = "") -> list[Answer]:
        headers = {"if-none-match": tag} if tag else {}
        return [await ask(serving, "GET", "/open/", headers) for serving in servers]

    async def listed() -> list[Answer]:
        return [await ask(serving, "GET", "/things/", cookies) for serving in servers]

    first = await opened()
    tag = first[0].headers["etag"]
    assert "Things: 1" in first[0].text and first[1].headers["etag"] == tag, "one page, one tag, at each server"
    assert [answer.status for answer in await opened(tag)] == [304, 304]
    assert all("one" in answer.text and answer.headers["cache-control"] == "no-store" for answer in await listed())

    await portal.thing("two")
    assert ["Things: 2" in answer.text for answer in await opened(tag)] == [True, True]
    assert all("two" in answer.text for answer in await listed())

    permission = portal.site.root / "site" / "table-permissions" / "Everybody.tablepermission.yml"
    permission.unlink()
    registered = Servers(portal.site.forecourt.databases.dataverse)
    number = await registered.ask(digest_of(rule_digests(portal.site.root)))
    assert [server.refused for server in await taken_up(registered, number, 60)] == ["", ""]
    assert ["Things: 0" in answer.text for answer in await opened(tag)] == [True, True]

    await portal.site.dataverse(
        "delete from dataverse.adx_webrole_contact where adx_webroleid = $1::text::uuid", id_of("role", "Members")
    )
    assert [answer.status for answer in await listed()] == [403, 403]


async def test_a_page_that_was_given_again_and_again_follows_what_plain_sql_changes_at_once(
    portal: SmallPortal, servers: list[Serving]
) -> None:
    member = await portal.person("mia", "Members")
    cookies = await member.headers("/")
    row = await portal.thing("one")

    async def listed() -> list[Answer]:
        return [await ask(serving, "GET", "/things/", cookies) for serving in servers]

    async def kept() -> None:
        for _ in range(4):
            assert all("mia" in answer.text for answer in await listed())

    await kept()
    await portal.site.dataverse(
        "update dataverse.cts_thing set cts_name = 'two' where cts_thingid = $1::text::uuid", row
    )
    assert all("two" in answer.text and ">one<" not in answer.text for answer in await listed())
    await kept()
    await portal.site.dataverse("update forecourt.credential set security_stamp = gen_random_uuid()")
    assert all("mia" not in answer.text for answer in await listed()), "nobody is signed in any more"
