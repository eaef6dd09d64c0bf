"""Deleting by a page that asks, and rows beneath a row that are made on their own form."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forecourt.identity import csrf
from forecourt.security.rules import Scope
from forecourt.store.embedded import EmbeddedServer
from support.forms import fields_of, opened, post
from support.server import Person
from support.small_portal import Content, Permission, SmallPortal, SmallSite, small_portal

THING = "_cts_thing_value"

SITE = SmallSite(
    permissions=(
        Permission("own things", "cts_thing", Scope.CONTACT, "rwcdat", link="cts_thing_contact"),
        Permission("every thing", "cts_thing", Scope.GLOBAL, "r"),
        Permission("parts", "cts_part", Scope.PARENT, "rwcdat", roles=(), link="cts_thing_parts", parent="own things"),
        Permission("only reading", "cts_thing", Scope.GLOBAL, "rw", roles=("Managers",)),
    ),
    pages=(
        Content("Things", shows="list"),
        Content("Thing", parent="Things", shows="form"),
        Content("Part", parent="Thing", shows="part"),
    ),
)


@pytest.fixture
async def portal(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path, SITE) as opened_portal:
        await opened_portal.person("ann", "Members")
        yield opened_portal


@pytest.fixture
def ann(portal: SmallPortal) -> Person:
    return portal.people["ann"]


def form_at(row_id: str) -> str:
    return f"/things/thing/?id={row_id}"


def asking(row_id: str) -> str:
    return form_at(row_id) + "&action=delete"


async def test_a_row_is_deleted_after_it_was_asked_for(portal: SmallPortal, ann: Person) -> None:
    thing = await portal.thing("<b>old</b>", ann.contact)
    page = await ann.get(form_at(thing))
    assert html.escape(asking(thing)) in page.text
    question = await ann.get(asking(thing))
    assert (
        question.status == 200 and "Delete: &lt;b&gt;old&lt;/b&gt;" in question.text and "<b>old" not in question.text
    )
    assert await portal.stored(thing)
    answer = await post(ann, asking(thing), fields_of(question.text))
    assert answer.status == 303 and answer.headers["location"] == "/things/?notice=deleted"
    assert not await portal.stored(thing) and "It is deleted." in (await ann.get("/things/?notice=deleted")).text
    assert (await post(ann, asking(thing), fields_of(question.text))).status == 404


async def test_a_row_that_somebody_has_changed_meanwhile_stays(portal: SmallPortal, ann: Person) -> None:
    thing = await portal.thing("old", ann.contact)
    fields = await opened(ann, asking(thing))
    await portal.site.dataverse("update dataverse.cts_thing set cts_memo = 'new' where cts_thingid = $1", thing)
    answer = await post(ann, asking(thing), fields)
    assert answer.status == 412 and "Somebody else has changed it meanwhile" in answer.text
    assert await portal.stored(thing)
    assert (await post(ann, asking(thing), fields_of(answer.text))).status == 303


async def test_what_may_not_be_deleted_stays_and_the_page_says_why(portal: SmallPortal, ann: Person) -> None:
    bob = await portal.person("bob", "Members")
    thing = await portal.thing("of Bob", bob.contact)
    refused = await post(ann, asking(thing), await opened(ann, asking(thing)))
    assert refused.status == 403 and "not delete it" in refused.text and await portal.stored(thing)
    mine = await portal.thing("above", ann.contact)
    await portal.site.dataverse("update dataverse.cts_thing set cts_parent = $1 where cts_thingid = $2", mine, thing)
    restricted = await post(ann, asking(mine), await opened(ann, asking(mine)))
    assert restricted.status >= 400 and await portal.stored(mine)
    forged = await post(ann, asking(mine), {**await opened(ann, asking(mine)), csrf.FIELD: "wrong"})
    assert forged.status in {400, 403} and await portal.stored(mine)
    mia = await portal.person("mia", "Managers")
    assert "action=delete" not in (await mia.get(form_at(mine))).text
    assert (await mia.get(asking(mine))).status == 403


async def test_a_row_is_made_beneath_another_and_names_it(portal: SmallPortal, ann: Person) -> None:
    thing = await portal.thing("above", ann.contact)
    text = (await ann.get(form_at(thing))).text
    links = re.findall(r'href="(/things/thing/part/[^"]*)"', text)
    assert links == [f"/things/thing/part/?thing={thing}"]
    fields = await opened(ann, links[0])
    assert fields[THING] == thing
    answer = await post(ann, links[0], {**fields, "cts_name": "beneath"})
    assert answer.status == 303 and answer.headers["location"] == "/things/?notice=created", answer.text[:3000]
    rows = await portal.site.dataverse("select cts_name, cts_thing from dataverse.cts_part")
    assert [(row["cts_name"], str(row["cts_thing"])) for row in rows] == [("beneath", thing)]
    shown = (await ann.get(form_at(thing))).text
    assert "beneath" in shown and ">above</td>" in shown  # the lookup by its name


async def test_nothing_is_made_beneath_a_row_of_somebody_else(portal: SmallPortal, ann: Person) -> None:
    bob = await portal.person("bob", "Members")
    thing = await portal.thing("of Bob", bob.contact)
    address = f"/things/thing/part/?thing={thing}"
    refused = await post(ann, address, {**await opened(ann, address), "cts_name": "smuggled"})
    assert refused.status == 403 and fields_of(refused.text)["cts_name"] == "smuggled"
    assert await portal.site.dataverse("select from dataverse.cts_part") == []
    assert (await ann.get("/things/thing/part/?thing=nonsense")).status == 404
