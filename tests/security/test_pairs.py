"""Pairs of a many-to-many relationship: who makes, sees and removes them, without a role that speaks of pairs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.server import Answer, Installation, Person, send
from support.small_erp import small_erp

A = "/api/data/v9.2"


@pytest.fixture
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as opened:
        yield opened
        assert not opened.faults


@pytest.fixture
async def admin(site: Installation) -> Person:
    return await site.operations_user("admin")


@pytest.fixture
async def friend(site: Installation) -> Person:
    return await site.operations_user("invoicer")


async def make(person: Person, collection: str, **values: object) -> str:
    answer = await send(person, "POST", f"{A}/{collection}", values)
    assert answer.status == 204, answer.text
    return answer.headers["odata-entityid"][-37:-1]


async def tie(person: Person, thing: str, contact: str, way: str = "thing") -> Answer:
    if way == "thing":
        target, other = f"{A}/cts_things({thing})/cts_thing_contacts/$ref", f"contacts({contact})"
    else:
        target, other = f"{A}/contacts({contact})/cts_thing_contacts/$ref", f"cts_things({thing})"
    return await send(person, "POST", target, {"@odata.id": other})


async def pairs(site: Installation) -> int:
    return int((await site.dataverse("select count(*) from dataverse.cts_thing_contacts"))[0][0])


@pytest.mark.parametrize("way", ["thing", "contact"])
async def test_append_on_both_rows_makes_and_removes_a_pair(
    site: Installation, admin: Person, friend: Person, way: str
) -> None:
    thing, contact = await make(friend, "cts_things", cts_name="T"), await make(friend, "contacts", lastname="C")
    made = await tie(friend, thing, contact, way)
    assert made.status == 204, made.text
    assert await pairs(site) == 1
    found = await friend.get(f"{A}/cts_things({thing})?$select=cts_name&$expand=cts_thing_contacts($select=lastname)")
    assert [row["lastname"] for row in found.json["cts_thing_contacts"]] == ["C"]
    gone = await send(friend, "DELETE", f"{A}/cts_things({thing})/cts_thing_contacts({contact})/$ref")
    assert gone.status == 204, gone.text
    assert await pairs(site) == 0


async def test_append_on_one_of_them_alone_does_not(site: Installation, admin: Person, friend: Person) -> None:
    own, foreign = await make(friend, "cts_things", cts_name="T"), await make(admin, "contacts", lastname="C")
    answer = await tie(friend, own, foreign)
    assert answer.status == 403, (answer.status, answer.text)
    assert await pairs(site) == 0
    assert (await tie(admin, own, foreign)).status == 204
    kept = await send(friend, "DELETE", f"{A}/cts_things({own})/cts_thing_contacts({foreign})/$ref")
    assert kept.status in (403, 404), kept.text
    assert await pairs(site) == 1


async def test_without_append_to_one_table_nobody_ties_its_rows(site: Installation, admin: Person) -> None:
    clerk = await site.operations_user("clerk")
    thing, contact = await make(clerk, "cts_things", cts_name="T"), await make(admin, "contacts", lastname="C")
    for way in ("thing", "contact"):
        answer = await tie(clerk, thing, contact, way)
        assert (answer.status, answer.json["error"]["code"]) == (403, "0x80040220")
    assert await pairs(site) == 0


async def test_a_row_out_of_reach_is_tied_by_nobody(site: Installation, admin: Person, friend: Person) -> None:
    hidden, contact = await make(admin, "cts_things", cts_name="T"), await make(friend, "contacts", lastname="C")
    for way in ("thing", "contact"):
        assert (await tie(friend, hidden, contact, way)).status == 404
    assert await pairs(site) == 0


async def test_pairs_are_seen_by_who_reads_both_ends(site: Installation, admin: Person, friend: Person) -> None:
    contact = await make(friend, "contacts", lastname="C")
    own, hidden = await make(friend, "cts_things", cts_name="T"), await make(admin, "cts_things", cts_name="H")
    for thing in (own, hidden):
        assert (await tie(admin, thing, contact)).status == 204
    (collection,) = [
        row["EntitySetName"]
        for row in (await admin.get(f"{A}/EntityDefinitions?$select=EntitySetName,LogicalName")).rows
        if row["LogicalName"] == "cts_thing_contacts"
    ]
    assert len((await admin.get(f"{A}/{collection}")).rows) == 2
    assert [row["cts_thingid"] for row in (await friend.get(f"{A}/{collection}")).rows] == [own]
    clerk = await site.operations_user("clerk")
    assert (await clerk.get(f"{A}/{collection}")).status == 403
    names = (await friend.get(f"{A}/contacts({contact})?$expand=cts_thing_contacts($select=cts_name)")).json
    assert [row["cts_name"] for row in names["cts_thing_contacts"]] == ["T"]


async def test_pairs_that_decide_about_rights_are_an_administrators(site: Installation, admin: Person) -> None:
    giver = await site.operations_user("reader")
    assert (await giver.get(f"{A}/WhoAmI")).status == 200
    user = (await giver.get(f"{A}/WhoAmI")).json["UserId"]
    role = (
        await admin.get(f"{A}/roles?$filter=name eq 'System Administrator'&$select=roleid".replace(" ", "%20"))
    ).rows
    target = f"{A}/systemusers({user})/systemuserroles_association/$ref"
    answer = await send(giver, "POST", target, {"@odata.id": f"roles({role[0]['roleid']})"})
    assert answer.status in (403, 404), answer.text
    assert await site.dataverse("select 1 from dataverse.systemuserroles") == []
