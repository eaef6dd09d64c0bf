"""Multistep forms: the way through them, branches, coming back, two windows, and whose session it is."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from forecourt.identity import csrf
from forecourt.store.embedded import EmbeddedServer
from support.forms import fields_of, opened, post
from support.server import Answer, Person
from support.small_portal import SmallPortal, small_portal, step_id
from support.stepped import HEAD, SITE

START = "/apply/"


@pytest.fixture(scope="module")
async def served(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SmallPortal]:
    async with small_portal(
        postgres, tmp_path_factory.mktemp("steps"), SITE, more={"cts_thing": HEAD}
    ) as opened_portal:
        await opened_portal.person("ann", "Members")
        await opened_portal.person("bob", "Members")
        await opened_portal.person("noah")
        yield opened_portal


@pytest.fixture
async def portal(served: SmallPortal) -> SmallPortal:
    """Without rows, and nobody has begun anything."""
    await served.site.dataverse("delete from forecourt.form_session")
    await served.site.dataverse("delete from dataverse.cts_part")
    await served.site.dataverse("delete from dataverse.cts_thing")
    return served


@pytest.fixture
def ann(portal: SmallPortal) -> Person:
    return portal.people["ann"]


@pytest.fixture
def bob(portal: SmallPortal) -> Person:
    return portal.people["bob"]


async def begin(person: Person, page: str = START) -> str:
    """The address of the first step of a new session."""
    answer = await person.get(page)
    assert answer.status == 303, answer.text[:2000]
    return answer.headers["location"]


async def send(person: Person, address: str, **typed: str) -> str:
    """Fills in a step and sends it; where it leads."""
    answer = await post(person, address, {**await opened(person, address), **typed})
    assert answer.status == 303, re.sub(r"\s+", " ", answer.text)[:3000]
    return answer.headers["location"]


def step_of(address: str) -> str:
    return parse_qs(urlsplit(address).query).get("stepid", [""])[0]


def at(name: str) -> str:
    return step_id("apply", name)


async def things(portal: SmallPortal) -> list[dict[str, object]]:
    return [dict(row) for row in await portal.site.dataverse("select * from dataverse.cts_thing order by createdon")]


async def parts(portal: SmallPortal) -> list[tuple[object, str]]:
    rows = await portal.site.dataverse("select cts_name, cts_thing from dataverse.cts_part order by createdon")
    return [(row["cts_name"], str(row["cts_thing"])) for row in rows]


async def test_header_line_and_review_are_gone_through_and_make_their_rows(portal: SmallPortal, ann: Person) -> None:
    first = await begin(ann)
    shown = await ann.get(first)
    assert step_of(first) == at("Header") and "Step 1 of 4" in shown.text and ">Next</button>" in shown.text
    assert 'value="previous"' not in shown.text
    second = await send(ann, first, cts_name="Order", cts_whole="3")
    assert step_of(second) == at("Line") and "Step 2 of 3" in (await ann.get(second)).text
    third = await send(ann, second, cts_name="Line one")
    review = await ann.get(third)
    assert step_of(third) == at("Review") and "Line one" in review.text and ">Send all</button>" in review.text
    end = await send(ann, third)
    assert "Your application is with us." in (await ann.get(end)).text
    [thing] = await things(portal)
    assert (thing["cts_name"], thing["cts_whole"], thing["cts_buyer"]) == ("Order", 3, ann.contact)
    assert await parts(portal) == [("Line one", str(thing["cts_thingid"]))]
    assert step_of(await begin(ann)) == at("Header")  # what is sent is not gone on with


async def test_a_condition_decides_which_step_follows_and_another_answer_changes_the_way(
    portal: SmallPortal, ann: Person
) -> None:
    first = await begin(ann)
    why = await send(ann, first, cts_name="Order", cts_whole="500")
    assert step_of(why) == at("Reason") and "Why so many" in (await ann.get(why)).text
    line = await send(ann, why, cts_memo="because")
    review = await send(ann, line, cts_name="One")
    assert step_of(review) == at("Review")
    again = await send(ann, first, cts_whole="5")  # the first step, changed: the way is another
    assert step_of(again) == at("Line")
    for gone in (why, review):
        assert step_of((await ann.get(gone)).headers["location"]) == at("Line")
    assert step_of(await send(ann, again, cts_name="Renamed")) == at("Review")  # the row that was made there
    [thing] = await things(portal)
    assert (thing["cts_whole"], thing["cts_memo"]) == (5, "because")
    assert [name for name, _ in await parts(portal)] == ["Renamed"]
    assert step_of(await send(ann, first, cts_whole="500", cts_memo="smaller")) == at("Line")


async def test_no_step_is_reached_before_those_in_front_of_it(portal: SmallPortal, ann: Person) -> None:
    first = await begin(ann)
    session = parse_qs(urlsplit(first).query)["sessionid"][0]
    for name in ("Reason", "Line", "Review", "Large"):
        address = f"{START}?{urlencode({'sessionid': session, 'stepid': at(name)})}"
        assert (await ann.get(address)).status == 404  # no session is kept yet
        assert (await post(ann, address, {"cts_name": "x"})).status == 404
    await send(ann, first, cts_name="Order")
    for name in ("Reason", "Review", "Large", "nonsense"):
        address = f"{START}?{urlencode({'sessionid': session, 'stepid': at(name)})}"
        assert step_of((await ann.get(address)).headers["location"]) == at("Line")
        forged = await post(ann, address, {**await opened(ann, first), "cts_memo": "smuggled"})
        assert step_of(forged.headers["location"]) == at("Line")
    assert [thing["cts_memo"] for thing in await things(portal)] == [None]


async def test_somebody_elses_session_does_not_exist(portal: SmallPortal, ann: Person, bob: Person) -> None:
    first = await begin(ann)
    second = await send(ann, first, cts_name="Mine")
    for address in (first, second, second.rpartition("&")[0]):
        assert (await bob.get(address)).status == 404 and (await portal.site.ask("GET", address)).status == 404
        assert (await post(bob, address, {"cts_name": "stolen", "@move": "restart"})).status == 404
    unknown = f"{START}?sessionid={uuid.uuid4()}&stepid={at('Line')}"
    assert (await bob.get(unknown)).status == 404 and (await bob.get(f"{START}?sessionid=nonsense")).status == 404
    assert [thing["cts_name"] for thing in await things(portal)] == ["Mine"]
    assert step_of(await begin(bob)) == at("Header")


async def test_who_comes_back_goes_on_where_they_were_or_begins_again(portal: SmallPortal, ann: Person) -> None:
    second = await send(ann, await begin(ann), cts_name="Order", cts_whole="500")
    back = (await ann.get(START)).headers["location"]
    assert step_of((await ann.get(back)).headers.get("location", back)) in ("", at("Reason"))
    assert "Why so many" in (await ann.get(back)).text
    fields = {**await opened(ann, second), "cts_memo": "not sent yet", "@move": "previous"}
    first = (await post(ann, second, fields)).headers["location"]
    assert step_of(first) == at("Header") and fields_of((await ann.get(first)).text)["cts_whole"] == "500"
    assert fields_of((await ann.get(second)).text)["cts_memo"] == "not sent yet"  # kept, though it was not saved
    anew = await post(ann, first, {**await opened(ann, first), "@move": "restart"})
    assert step_of(anew.headers["location"]) == at("Header")
    assert fields_of((await ann.get(anew.headers["location"])).text)["cts_name"] == ""
    assert len(await things(portal)) == 1


async def test_a_step_that_is_sent_twice_or_gone_back_to_makes_one_row(portal: SmallPortal, ann: Person) -> None:
    first = await begin(ann)
    fields = {**await opened(ann, first), "cts_name": "Once", "cts_memo": "a note"}
    both = await asyncio.gather(post(ann, first, fields), post(ann, first, fields))
    assert {answer.status for answer in both} == {303} and len(await things(portal)) == 1
    changed = await post(ann, first, {**fields, "cts_name": "Twice", "cts_memo": ""})  # the browser's own copy
    assert changed.status == 303
    [thing] = await things(portal)
    assert (thing["cts_name"], thing["cts_memo"]) == ("Twice", None)


async def test_two_windows_at_one_step_show_each_other_what_was_changed(portal: SmallPortal, ann: Person) -> None:
    first = await begin(ann)
    here, there = await opened(ann, first), await opened(ann, first)
    assert (await post(ann, first, {**here, "cts_name": "Here"})).status == 303
    asked = await post(ann, first, {**there, "cts_name": "There", "cts_memo": "typed"})
    assert asked.status == 409 and "Decide below" in asked.text
    kept = fields_of(asked.text)
    assert (kept["cts_name"], kept["cts_memo"]) == ("There", "typed") and [
        t["cts_name"] for t in await things(portal)
    ] == ["Here"]
    assert (await post(ann, first, {**kept, "@keep.cts_name": "mine"})).status == 303
    assert [(t["cts_name"], t["cts_memo"]) for t in await things(portal)] == [("There", "typed")]


async def test_what_is_wrong_with_a_step_is_said_there_and_nothing_is_made(portal: SmallPortal, ann: Person) -> None:
    first = await begin(ann)
    fields = await opened(ann, first)
    wrong = await post(ann, first, {**fields, "cts_name": "", "cts_whole": "many", "cts_memo": "<b>kept</b>"})
    assert wrong.status == 422 and 'href="#f-cts_whole"' in wrong.text and "<b>kept" not in wrong.text
    assert fields_of(wrong.text)["cts_memo"] == "<b>kept</b>"
    stale = await post(ann, first, {**fields, "cts_name": "Stale", csrf.FIELD: "wrong"})
    assert stale.status in {400, 403} and fields_of(stale.text)["cts_name"] == "Stale"
    assert await things(portal) == []
    assert (await post(ann, first, fields_of(stale.text))).status == 303


async def test_a_step_is_refused_to_who_may_not_do_it(portal: SmallPortal) -> None:
    nobody = portal.people["noah"]
    assert (await nobody.get(await begin(nobody))).status == 403


async def test_a_row_that_is_gone_ends_the_session(portal: SmallPortal, ann: Person) -> None:
    second = await send(ann, await begin(ann), cts_name="Order", cts_whole="500")
    await portal.site.dataverse("delete from dataverse.cts_thing")
    gone = await ann.get(second)
    assert gone.status == 404 and "no longer there" in gone.text
    assert step_of(await begin(ann)) == at("Header")


async def test_a_visitor_who_only_makes_rows_goes_on_and_never_back(portal: SmallPortal) -> None:
    ask = portal.site.ask
    first = (await ask("GET", START)).headers["location"]
    page = await ask("GET", first)
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "cookie": f"{csrf.COOKIE}={page.cookies[csrf.COOKIE]}",
    }
    body = urlencode({**fields_of(page.text), "cts_name": "From outside", "cts_whole": "500"}).encode()
    answers: list[Answer] = [await ask("POST", first, headers, body) for _ in range(2)]
    assert [answer.status for answer in answers] == [303, 303], answers[0].text[:2000]
    # The condition knows what was typed; the step that would change the row is not theirs.
    assert step_of(answers[0].headers["location"]) == at("Reason")
    assert (await ask("GET", answers[0].headers["location"], headers)).status in {403, 404}
    assert [thing["cts_name"] for thing in await things(portal)] == ["From outside"]


async def test_a_form_that_is_sent_once_is_sent_once(portal: SmallPortal, ann: Person) -> None:
    here, there = await begin(ann, "/once/"), await begin(ann, "/once/")
    fields = await opened(ann, there)
    await send(ann, here, cts_name="Once")
    late = await post(ann, there, {**fields, "cts_name": "Twice"})
    assert late.status == 303 and "You have sent it." in (await ann.get(late.headers["location"])).text
    assert [thing["cts_name"] for thing in await things(portal)] == ["Once"]


async def test_what_was_sent_may_be_changed_until_it_expires(portal: SmallPortal, ann: Person) -> None:
    end = await send(ann, await begin(ann, "/editable/"), cts_name="Sent")
    assert "Thank you" in (await ann.get(end)).text
    again = await begin(ann, "/editable/")
    assert fields_of((await ann.get(again)).text)["cts_name"] == "Sent"
    await send(ann, again, cts_name="Changed")
    assert [thing["cts_name"] for thing in await things(portal)] == ["Changed"]
    fields = await opened(ann, again)
    await portal.site.dataverse("update dataverse.cts_thing set statecode = 1, statuscode = 2")
    assert "It is closed." in (await ann.get("/editable/")).text
    await post(ann, again, {**fields, "cts_name": "Too late"})
    assert [thing["cts_name"] for thing in await things(portal)] == ["Changed"]


async def test_a_redirect_leads_away_with_what_it_is_to_bring(portal: SmallPortal, ann: Person) -> None:
    away = await send(ann, await begin(ann, "/leave/"), cts_name="a&b")
    [thing] = await things(portal)
    assert away == f"https://example.com/thanks?id={thing['cts_thingid']}&name=a%26b&from=portal"


async def test_a_form_for_people_who_are_signed_in_leads_others_to_sign_in(portal: SmallPortal) -> None:
    answer = await portal.site.ask("GET", "/members/")
    assert answer.status == 303 and answer.headers["location"] == "/SignIn?returnUrl=%2Fmembers%2F"


@pytest.mark.parametrize("page", ["/new/", "/ruled/"])
async def test_a_form_has_rules_of_its_own_for_its_fields(portal: SmallPortal, ann: Person, page: str) -> None:
    address = page if page == "/new/" else await begin(ann, page)
    shown = await ann.get(address)
    assert ">Subject " in shown.text and "&lt;i&gt;In short" in shown.text and "<i>" not in shown.text
    fields = fields_of(shown.text)
    assert (fields["cts_name"], fields["cts_whole"]) == ("ann", "7")
    for wrong, said in (
        ({"cts_name": ""}, "Say what it is about."),
        ({"cts_code": ""}, "Enter cts_code."),
        ({"cts_code": "A1"}, "Write capitals."),
        ({"cts_whole": "9999"}, "That is too many."),
        ({"cts_code": "A" * 9 + "!"}, "Write capitals."),
    ):
        answer = await post(ann, address, {**fields, "cts_code": "ABC", **wrong})
        assert answer.status == 422 and said in answer.text, (wrong, answer.text[:3000])
    assert await things(portal) == []
    assert (await post(ann, address, {**fields, "cts_code": "ABC", "cts_memo": "typed"})).status == 303
    [thing] = await things(portal)
    assert (thing["cts_name"], thing["cts_whole"], thing["cts_memo"]) == ("ann", 7, "from the form")
    assert thing["cts_date"] is not None


@pytest.mark.parametrize(("page", "before"), [("/inserted/", "<h2>Before</h2>"), ("/framed/", "<i>in</i>")])
async def test_a_text_says_where_its_form_stands(portal: SmallPortal, ann: Person, page: str, before: str) -> None:
    shown = await ann.get(page)
    assert before in shown.text.partition('<form class="fc-form"')[0] and shown.text.count('class="fc-form"') == 1
    wrong = await post(ann, page, {**fields_of(shown.text), "cts_code": "low"})
    assert wrong.status == 422 and before in wrong.text.partition('<form class="fc-form"')[0]
    assert (await post(ann, page, {**fields_of(wrong.text), "cts_code": "ABC"})).status == 303
    assert [thing["cts_code"] for thing in await things(portal)] == ["ABC"]


async def test_a_text_says_where_its_steps_are_gone_through(portal: SmallPortal, ann: Person) -> None:
    first = await begin(ann, "/wizard/")
    assert "<h2>Before</h2>" in (await ann.get(first)).text.partition('<form class="fc-form"')[0]
    assert step_of(await send(ann, first, cts_name="Order")) == at("Line")
    computed = await ann.get("/computed/")
    assert computed.status == 200 and "Still here" in computed.text and "fc-form" not in computed.text
