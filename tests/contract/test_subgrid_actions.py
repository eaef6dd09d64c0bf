"""What subgrids offer on pages and in steps: to whom, beneath which row, and where it leads back to."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import urlencode

import pytest

from forecourt.identity import csrf
from forecourt.store.embedded import EmbeddedServer
from support.forms import fields_of, opened, post, signed_in
from support.gridded import FRIENDS, HEADED, PART, SITE
from support.server import Answer, Person
from support.small_portal import SmallPortal, small_portal

BUTTON = re.compile(
    r'<a class="btn[^"]*" href="([^"]*)" rel="nofollow"[^>]*>([^<]+)<span class="visually-hidden"> ([^<]*)'
)


@pytest.fixture(scope="module")
async def portal(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SmallPortal]:
    more = {"cts_thing": HEADED, "cts_part": PART, "contact": FRIENDS}
    async with small_portal(postgres, tmp_path_factory.mktemp("grids"), SITE, more=more) as opened_portal:
        await opened_portal.person("ann", "Members")
        await opened_portal.person("bob", "Members")
        await opened_portal.person("mia", "Managers")
        await opened_portal.person("ron", "Restricted")
        await opened_portal.person("max", "Restricted", "Managers")
        yield opened_portal


@pytest.fixture
def ann(portal: SmallPortal) -> Person:
    return portal.people["ann"]


async def buttons(person: Person, address: str) -> dict[tuple[str, str], str]:
    """Addresses of what a page offers, by what it is called and for which row or subgrid."""
    answer = await person.get(address)
    assert answer.status == 200, answer.text[:800]
    return {(label.strip(), of): unescape(url) for url, label, of in BUTTON.findall(answer.text)}


async def parts(portal: SmallPortal, thing: str) -> list[str]:
    sql = "select cts_name from dataverse.cts_part where cts_thing = $1 order by cts_name"
    return [row["cts_name"] for row in await portal.site.dataverse(sql, uuid.UUID(thing))]


def at(thing: str) -> str:
    return f"/things/thing/?id={thing}"


async def test_a_row_is_made_beneath_changed_and_deleted_where_it_is_shown(portal: SmallPortal, ann: Person) -> None:
    thing = await portal.thing("above", ann.contact)
    assert "No parts yet." in (await ann.get(at(thing))).text
    add = (await buttons(ann, at(thing)))["Add a part", "Parts"]
    fields = await opened(ann, add)
    assert "_cts_thing_value" not in fields
    made = await post(ann, add, {**fields, "cts_name": "bolt", "_cts_thing_value": str(uuid.uuid4())})
    assert made.status == 303 and made.headers["location"] == f"{at(thing)}&notice=added#rows-1", made.text[:900]
    assert (
        await parts(portal, thing) == ["bolt"] and "It is added." in (await ann.get(f"{at(thing)}&notice=added")).text
    )
    again = await post(ann, add, {**fields, "cts_name": "bolt"})
    assert again.status == 303 and await parts(portal, thing) == ["bolt"]  # sent twice
    there = await buttons(ann, at(thing))
    assert {label for label, of in there if of == "bolt"} == {"Edit", "Delete"}
    changed = await post(ann, there["Edit", "bolt"], {**await opened(ann, there["Edit", "bolt"]), "cts_name": "nut"})
    assert changed.headers["location"] == f"{at(thing)}&notice=changed#rows-1"
    there = await buttons(ann, at(thing))
    wrong = await post(ann, there["Edit", "nut"], {**await opened(ann, there["Edit", "nut"]), "cts_name": "n" * 41})
    assert wrong.status == 422 and fields_of(wrong.text)["cts_name"] == "n" * 41
    shown = await ann.get(unescape(re.search(r'fc-row-link" href="([^"]*)"', (await ann.get(at(thing))).text)[1]))
    assert shown.status == 200 and "nut" in shown.text and f'href="{at(thing)}#rows-1"' in shown.text
    question = await ann.get(there["Delete", "nut"])
    assert "Really?" in question.text
    gone = await post(ann, there["Delete", "nut"], fields_of(question.text))
    assert gone.headers["location"] == f"{at(thing)}&notice=deleted#rows-1" and await parts(portal, thing) == []


async def test_a_row_is_taken_out_and_stays(portal: SmallPortal, ann: Person) -> None:
    ron = portal.people["ron"]
    thing = await portal.thing("above", ron.contact)
    part = await portal.part("loose", thing)
    remove = (await buttons(ron, at(thing)))["Remove", "loose"]
    answer = await post(ron, remove, await opened(ron, remove))
    assert answer.status == 303 and await parts(portal, thing) == []
    sql = "select cts_thing from dataverse.cts_part where cts_partid = $1"
    assert (await portal.site.dataverse(sql, uuid.UUID(part)))[0]["cts_thing"] is None


async def test_nobody_takes_a_row_out_of_their_own_reach(portal: SmallPortal, ann: Person) -> None:
    thing = await portal.thing("above", ann.contact)
    await portal.part("held", thing)
    offered = await buttons(ann, at(thing))
    assert ("Edit", "held") in offered and ("Remove", "held") not in offered
    remove = offered["Edit", "held"].replace("do=edit", "do=disassociate")
    assert (await post(ann, remove, await opened(ann, offered["Edit", "held"]))).status == 403
    assert await parts(portal, thing) == ["held"]


async def test_rows_that_are_there_are_chosen_to_belong_to_another(portal: SmallPortal, ann: Person) -> None:
    mine, other = await portal.thing("mine", ann.contact), await portal.thing("other", ann.contact)
    theirs = await portal.thing("theirs", portal.people["bob"].contact)
    moved, foreign = await portal.part("moved", other), await portal.part("hidden from Ann", theirs)
    add = (await buttons(ann, at(mine)))["Add existing", "Parts"]
    page = await ann.get(f"{add}&q=mov")
    assert f'name="row.{moved}"' in page.text and "hidden from Ann" not in page.text
    assert "moved" not in (await ann.get(f"{add}&q=nothing")).text
    fields = fields_of(page.text)
    assert (await post(ann, add, fields)).status == 422
    forged = await post(ann, add, {**fields, f"row.{moved}": "1", csrf.FIELD: "wrong"})
    assert forged.status in {400, 403} and await parts(portal, mine) == []
    for wrong in (foreign, str(uuid.uuid4()), "x"):  # all or none
        answer = await post(ann, add, {**fields, f"row.{moved}": "1", f"row.{wrong}": "1"})
        assert answer.status == 404 and await parts(portal, mine) == []
    done = await post(ann, add, {**fields, f"row.{moved}": "1"})
    assert done.headers["location"] == f"{at(mine)}&notice=associated#rows-1"
    assert await parts(portal, mine) == ["moved"] and await parts(portal, other) == []
    address = f"{at(theirs)}&grid=rows-1&do=associate"
    assert (await ann.get(address)).status == 404
    assert (await post(ann, address, {**fields, f"row.{moved}": "1"})).status == 404
    assert (await portal.people["mia"].get(f"{at(mine)}&grid=rows-1&do=associate")).status == 403


async def test_pairs_are_made_and_removed_by_who_may_append_both_rows(portal: SmallPortal, ann: Person) -> None:
    ron, bob = portal.people["ron"], portal.people["bob"]
    thing = await portal.thing("paired", ron.contact)
    here = f"/paired/?id={thing}"
    add = (await buttons(ron, here))["Add existing", "Contacts"]
    fields = fields_of((await ron.get(add)).text)
    for status in (303, 403):  # a pair that is there is not made again
        answer = await post(ron, add, {**fields, f"row.{bob.contact}": "1"})
        assert answer.status == status, answer.text[answer.text.find("fc-notice") :][:400]
    assert f"row.{bob.contact}" not in (page := (await ron.get(add)).text) and f"row.{ron.contact}" in page
    shown = await buttons(ron, here)
    remove = shown["Remove", "bob"]
    sql = "select count(*) from dataverse.cts_thing_contacts"
    assert (await portal.site.dataverse(sql))[0][0] == 1
    assert (await ann.get(remove)).status == 404
    answer = await post(ron, remove, await opened(ron, remove))
    assert answer.status == 303 and (await portal.site.dataverse(sql))[0][0] == 0
    mine = await portal.thing("of Ann", ann.contact)
    add = (await buttons(ann, f"/paired/?id={mine}"))["Add existing", "Contacts"]
    fields = fields_of((await ann.get(add)).text)
    assert (await post(ann, add, {**fields, f"row.{bob.contact}": "1"})).status == 404  # whom she does not see
    assert (await portal.site.dataverse(sql))[0][0] == 0


async def test_a_row_is_made_and_paired_at_once_or_not_at_all(portal: SmallPortal, ann: Person) -> None:
    ron = portal.people["ron"]
    thing = await portal.thing("paired", ron.contact)
    here = f"/paired/?id={thing}"
    add = (await buttons(ron, here))["New friend", "Contacts"]
    made = await post(ron, add, {**await opened(ron, add), "lastname": "Fresh"})
    assert made.status == 303 and made.headers["location"] == f"{here}&notice=added&grid=rows-1#rows-1"
    page = (await ron.get(f"{here}&notice=added&grid=rows-1")).text
    assert "You have a friend." in page and ("Remove", "Fresh") in await buttons(ron, here)
    mine = await portal.thing("of Ann", ann.contact)
    address = f"/paired/?id={mine}&grid=rows-1&do=create"
    count = "select count(*) from dataverse.contact where lastname = 'Lost'"
    assert ("New friend", "Contacts") not in await buttons(portal.people["mia"], here)
    max = portal.people["max"]  # makes contacts and reads every thing, and appends to his own alone
    refused = await post(max, address, {**await opened(max, address), "lastname": "Lost"})
    assert refused.status == 403 and fields_of(refused.text)["lastname"] == "Lost"
    assert (await portal.site.dataverse(count))[0][0] == 0


async def test_visitors_write_beneath_rows_where_their_role_lets_them(portal: SmallPortal) -> None:
    site, thing = portal.site, await portal.thing("public", portal.people["ann"].contact)
    shown = await site.ask("GET", at(thing))
    [add] = [unescape(url) for url, label, _ in BUTTON.findall(shown.text) if "Add a part" in label]
    page = await site.ask("GET", add)
    fields = {**fields_of(page.text), "cts_name": "theirs"}
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "cookie": f"{csrf.COOKIE}={page.cookies[csrf.COOKIE]}",
    }

    async def send(address: str, sent: dict[str, str]) -> Answer:
        return await site.ask("POST", address, headers, urlencode(sent).encode())

    forged = await send(add, {**fields, csrf.FIELD: "wrong"})
    assert forged.status in {400, 403} and fields_of(forged.text)["cts_name"] == "theirs"
    assert await parts(portal, thing) == []
    made = await send(add, fields)
    assert made.status == 303 and await parts(portal, thing) == ["theirs"], made.text[:900]
    for query in (f"grid=rows-1&do=delete&row={uuid.uuid4()}", "grid=rows-1&do=associate", "note=new"):
        assert (await send(f"{at(thing)}&{query}", fields)).status == 401, query  # for people who sign in


async def test_a_subgrid_that_no_form_has_is_named_with_its_place(portal: SmallPortal) -> None:
    found = [item for item in portal.site.forecourt.definitions.notices if "has no subgrid 'freinds'" in item]
    assert len(found) == 1 and "Paired.basicformmetadata.yml:" in found[0] and "friends" in found[0]


async def test_somebody_else_changes_it_meanwhile_and_nothing_is_lost(portal: SmallPortal, ann: Person) -> None:
    thing = await portal.thing("above", ann.contact)
    part = await portal.part("old", thing)
    edit = (await buttons(ann, at(thing)))["Edit", "old"]
    fields = await opened(ann, edit)
    await portal.site.dataverse(
        "update dataverse.cts_part set cts_name = 'theirs' where cts_partid = $1", uuid.UUID(part)
    )
    answer = await post(ann, edit, {**fields, "cts_name": "mine"})
    assert answer.status == 409 and fields_of(answer.text)["cts_name"] == "mine" and "theirs" in answer.text
    kept = await post(ann, edit, {**fields_of(answer.text), "@keep.cts_name": "mine"})
    assert kept.status == 303 and await parts(portal, thing) == ["mine"]


async def test_what_is_sent_without_its_token_is_not_done(portal: SmallPortal, ann: Person) -> None:
    thing = await portal.thing("above", ann.contact)
    await portal.part("kept", thing)
    there = await buttons(ann, at(thing))
    for key, typed in ((("Add a part", "Parts"), "forged"), (("Edit", "kept"), "forged"), (("Delete", "kept"), "")):
        fields = {**await opened(ann, there[key]), csrf.FIELD: "wrong"}
        answer = await post(ann, there[key], {**fields, "cts_name": typed} if typed else fields)
        assert answer.status in {400, 403} and await parts(portal, thing) == ["kept"]
        if typed:
            assert fields_of(answer.text)["cts_name"] == typed


async def test_rows_of_others_and_of_other_parents_are_out_of_reach(portal: SmallPortal, ann: Person) -> None:
    mine, other = await portal.thing("mine", ann.contact), await portal.thing("other", ann.contact)
    theirs = await portal.thing("theirs", portal.people["bob"].contact)
    elsewhere, foreign = await portal.part("elsewhere", other), await portal.part("foreign", theirs)
    for row in (elsewhere, foreign, str(uuid.uuid4()), "x"):
        for do in ("edit", "delete", "details", "disassociate"):
            address = f"{at(mine)}&grid=rows-1&do={do}&row={row}"
            refused = (
                403 if do == "disassociate" else 404
            )  # not even of the own one, which she could not reach any more
            assert (await ann.get(address)).status == refused
            assert (await post(ann, address, {"@version": "1", "cts_name": "taken"})).status == refused
    create = f"{at(theirs)}&grid=rows-1&do=create"
    assert (await ann.get(create)).status == 404
    fields = await opened(ann, f"{at(mine)}&grid=rows-1&do=create")
    assert (await post(ann, create, {**fields, "cts_name": "smuggled"})).status == 404
    assert await parts(portal, theirs) == ["foreign"] and await parts(portal, other) == ["elsewhere"]
    for query in (
        "grid=rows-2&do=create",
        "grid=x&do=create",
        f"grid=rows-1&do=activate&row={elsewhere}",
        "grid=rows-1&do=",
    ):
        assert (await ann.get(f"{at(mine)}&{query}")).status == 404


async def test_who_may_only_read_is_offered_nothing_and_refused(portal: SmallPortal, ann: Person) -> None:
    thing, mia = await portal.thing("above", ann.contact), portal.people["mia"]
    part = await portal.part("seen", thing)
    assert not any(of == "seen" or label.startswith("Add") for label, of in await buttons(mia, at(thing)))
    for query in ("do=create", f"do=edit&row={part}", f"do=delete&row={part}"):
        assert (await mia.get(f"{at(thing)}&grid=rows-1&{query}")).status == 403
        assert (await post(mia, f"{at(thing)}&grid=rows-1&{query}", {"@version": "1", "cts_name": "x"})).status == 403
    assert await parts(portal, thing) == ["seen"]


async def test_a_step_takes_rows_beneath_its_own_and_stays_where_it_is(portal: SmallPortal, ann: Person) -> None:
    first = (await ann.get("/apply/")).headers["location"]
    answer = await post(ann, first, {**await opened(ann, first), "cts_name": "Order"})
    items = answer.headers["location"]
    add = (await buttons(ann, items))["Add a part", "Parts"]
    for name in ("one", "two"):
        made = await post(ann, add, {**await opened(ann, add), "cts_name": name})
        assert made.status == 303 and made.headers["location"].startswith(items), made.text[:900]
    there = await buttons(ann, items)
    await post(ann, there["Edit", "one"], {**await opened(ann, there["Edit", "one"]), "cts_name": "three"})
    await post(ann, there["Delete", "two"], await opened(ann, there["Delete", "two"]))
    bob = portal.people["bob"]
    assert (await bob.get(add)).status == 404
    assert (await post(bob, add, {"cts_name": "smuggled"})).status == 404
    review = (await post(ann, items, await opened(ann, items))).headers["location"]
    shown = await ann.get(review)
    assert "three" in shown.text and "two" not in shown.text
    [thing] = await portal.site.dataverse("select cts_thingid from dataverse.cts_thing where cts_name = 'Order'")
    assert await parts(portal, str(thing["cts_thingid"])) == ["three"]
    assert (await ann.get(f"{review}&grid=rows-1&do=create")).status == 404  # this step offers nothing


async def test_what_is_typed_beneath_a_row_outlives_the_session(portal: SmallPortal) -> None:
    bob = portal.people["bob"]
    thing = await portal.thing("above", bob.contact)
    first = (await bob.get("/apply/")).headers["location"]
    items = (await post(bob, first, {**await opened(bob, first), "cts_name": "Later"})).headers["location"]
    for address in (at(thing), items):
        add = (await buttons(bob, address))["Add a part", "Parts"]
        fields = {**await opened(bob, add), "cts_name": "late"}
        await portal.site.dataverse("update forecourt.session set expires_at = now() - interval '1 hour'")
        ended = await post(bob, add, fields)
        assert ended.status == 401
        answer = await signed_in(bob, ended, bob)
        assert answer.status == 200 and "nothing is saved yet" in answer.text
        assert fields_of(answer.text)["cts_name"] == "late" and await parts(portal, thing) == []
        await portal.site.dataverse("delete from forecourt.session")
        bob._cookie = ""


async def test_a_workflow_is_named_to_the_maker_with_its_place(portal: SmallPortal) -> None:
    notices = portal.site.forecourt.definitions.site.notices
    assert [item for item in notices if "Thing.basicformmetadata.yml" in item and "WorkflowAction" in item]
