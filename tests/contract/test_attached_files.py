"""Files of notes: sent with a form, kept in the note, given back to who may read it, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forecourt.identity import csrf
from forecourt.pages.site.loader import load_site
from forecourt.security.rules import Scope
from forecourt.store.embedded import EmbeddedServer
from support.forms import attach, fields_of, multipart, opened, post
from support.server import Answer, Person
from support.small_portal import (
    Content,
    Permission,
    SmallPortal,
    SmallSite,
    id_of,
    small_portal,
    solution,
    step_id,
    steps,
)
from support.stepped import ALONE, EDIT, FORM, HEAD

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
NOTES = "cts_thing_Annotations"

TAKES = {"adx_attachfile": True, "adx_attachfilemaxsize": 64}
MORE = {
    **{"adx_name": "More", "adx_type": FORM, "adx_mode": EDIT, "adx_targetentitylogicalname": "cts_thing"},
    **{"adx_formname": "Head", "adx_entitysourcetype": 100000003, "adx_entitysourcestep": "Header", **TAKES},
}

SETTINGS = {
    **{"CreateEnabled": True, "EditEnabled": True, "DeleteEnabled": True, "AttachFileMaxSize": 64},
    **{"AddNoteButtonLabel": [{"LCID": 1033, "Value": "Write a note"}], "ListTitle": "Correspondence"},
}

SITE = SmallSite(
    permissions=(
        Permission("own things", "cts_thing", Scope.CONTACT, "rwcdat", link="cts_thing_contact"),
        Permission("own notes", "annotation", Scope.PARENT, "rwcda", link=NOTES, parent="own things"),
        Permission("every thing", "cts_thing", Scope.GLOBAL, "rwt", ("Restricted",)),
        Permission("every note", "annotation", Scope.GLOBAL, "rwcda", ("Restricted",)),
        Permission("no notes", "cts_thing", Scope.CONTACT, "rwca", ("Managers",), link="cts_thing_contact"),
        Permission("oneself", "contact", Scope.SELF, "rat", ("Members", "Managers")),
    ),
    pages=(Content("New", shows="new"), Content("Thing", shows="form"), Content("Apply", shows="steps apply")),
    new_form={
        "adx_associatecurrentportaluser": True,
        "adx_targetentityportaluserlookupattribute": "cts_buyer",
        "adx_attachfile": True,
        "adx_attachfilelabel": "Drawing",
        "adx_attachfilemaxsize": 64,
        "adx_attachfileallowmultiple": True,
    },
    more={
        **steps("apply", {}, {**ALONE, **TAKES, "adx_nextstep": "More"}, MORE),
        "advanced-forms/apply/advanced-form-steps/More/More.advancedformstep.advancedformstepmetadata.yml": [
            {
                "adx_webformmetadataid": str(uuid.uuid4()),
                "adx_webformstep": step_id("apply", "More"),
                "adx_type": 100000005,
                "adx_notes_settings": json.dumps(SETTINGS),
            }
        ],
        "basic-forms/thing/Thing.basicform.yml": {
            "adx_entityformid": id_of("form", "thing"),
            "adx_name": "Thing",
            "adx_entityname": "cts_thing",
            "adx_formname": "Thing",
            "adx_mode": 100000001,
            "adx_attachfile": True,
            "adx_attachfileaccept": "application/pdf",
            "adx_attachfileacceptextensions": ".svg",
            "adx_attachfilerestrictaccept": True,
            "adx_attachfiletypeerrormessage": "PDF or SVG, please.",
        },
        "basic-forms/thing/Thing.basicformmetadata.yml": [
            {
                "adx_entityformmetadataid": id_of("metadata", "notes"),
                "adx_entityform": id_of("form", "thing"),
                "adx_type": 100000005,
                "adx_notes_settings": json.dumps(SETTINGS),
            }
        ],
    },
)


@pytest.fixture(scope="module")
async def portal(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path_factory.mktemp("files"), SITE, more={"cts_thing": HEAD}) as made:
        await made.person("ann", "Members")
        await made.person("bob", "Members")
        await made.person("max", "Managers")
        await made.person("ron", "Restricted")
        yield made


async def send(person: Person, files: list[tuple[str, bytes]], path: str = "/new/", **changed: str) -> Answer:
    return await attach(person, files, path, **changed)


async def notes(portal: SmallPortal, thing: str) -> list[tuple[object, ...]]:
    sql = "select annotationid, filename, mimetype, filesize, documentbody, notetext from dataverse.annotation a join "
    rows = await portal.site.dataverse(
        sql + "dataverse.cts_thing t on a.objectid = t.cts_thingid where cts_name = $1", thing
    )
    return [tuple(row) for row in rows]


async def thing_of(portal: SmallPortal, name: str) -> str:
    return str(
        (await portal.site.dataverse("select cts_thingid from dataverse.cts_thing where cts_name = $1", name))[0][0]
    )


async def count(portal: SmallPortal) -> tuple[int, int]:
    sql = "select (select count(*) from dataverse.cts_thing), (select count(*) from dataverse.annotation)"
    row = (await portal.site.dataverse(sql))[0]
    return row[0], row[1]


async def test_a_file_comes_with_its_row_and_goes_to_who_may_read_it(portal: SmallPortal) -> None:
    ann, bob = portal.people["ann"], portal.people["bob"]
    made = await send(ann, [("C:\\in\\../Plan Ü.png", PNG), ("b.txt", b"plain")], cts_name="with files")
    assert made.status == 303, html.unescape(
        re.sub(r"(?s).*<ul>(.*?)</ul>.*", r"\1", made.text[made.text.index("alert") :])
    )
    found = sorted(await notes(portal, "with files"), key=lambda row: str(row[1]))
    assert [row[1:4] for row in found] == [("Plan Ü.png", "image/png", len(PNG)), ("b.txt", "text/plain", 5)]
    assert base64.b64decode(str(found[0][4])) == PNG and str(found[0][5]).startswith("*WEB*")
    path = f"/_entity/annotation/{found[0][0]}"
    given = await ann.get(path)
    assert given.status == 200 and given.body == PNG
    headers = dict(given.headers)
    assert headers["content-disposition"] == "attachment; filename=\"Plan _.png\"; filename*=UTF-8''Plan%20%C3%9C.png"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox;")
    page = await ann.get(made.headers["location"])
    assert f'href="{path}"' in page.text and "Plan Ü.png" in page.text and "*WEB*" not in page.text
    hidden = [await bob.get(path), await bob.get(f"/_entity/annotation/{uuid.uuid4()}")]
    assert {answer.status for answer in hidden} == {404}
    first, second = (_told(answer.text) for answer in hidden)
    assert first == second
    visitor = await portal.site.ask("GET", path)
    assert visitor.status == 404
    await portal.site.dataverse("update dataverse.annotation set notetext = 'internal'")
    assert (await ann.get(path)).status == 404
    assert "Plan" not in (await ann.get(made.headers["location"])).text


def _told(text: str) -> str:
    """A page without what differs from request to request."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    text = re.sub(r'(name="__RequestVerificationToken" value=")[^"]*', r"\1", text)
    return re.sub(r"\b[0-9a-f]{16}\b", "CORRELATION", text)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.gif", b"GIF89a/*<script>alert(1)</script>*/", "not what its name says"),
        ("a.png", b"GIF89a" + bytes(40), "not what its name says"),
        ("a.pdf", b"MZ" + bytes(40), "not what its name says"),
        ("a.txt", b"<!DOCTYPE html><p>", "not what its name says"),
        ("a.html", b"<p>", "are not accepted"),
        ("a.svg", b"<svg/>", "are not accepted"),
        ("bill.pdf.exe", b"%PDF-1.7", "are not accepted"),
        ("bill.exe.pdf", b"%PDF-1.7", "are not accepted"),
        ("bill\u202efdp.exe", b"%PDF-1.7", "are not accepted"),
        ("a.txt", b"", "is empty"),
        ("a.txt", b"x" * (64 * 1024 + 1), "larger than 64 KB"),
    ],
)
async def test_what_a_file_may_not_be_is_said_and_nothing_is_written(
    portal: SmallPortal, name: str, data: bytes, says: str
) -> None:
    before = await count(portal)
    answer = await send(portal.people["ann"], [(name, data)], cts_name="typed text")
    assert answer.status == 422
    assert says in html.unescape(answer.text) and "typed text" in answer.text
    assert 'href="#f-@attachment"' in answer.text
    assert await count(portal) == before


async def test_a_form_that_is_far_too_large_or_broken_is_refused_unread(portal: SmallPortal) -> None:
    ann, before = portal.people["ann"], await count(portal)
    large = await send(ann, [("a.txt", bytes(10 * 1024 * 1024))], cts_name="large")
    assert large.status == 413
    kind, body = multipart({**await opened(ann, "/new/"), "cts_name": "cut"}, [("a.txt", b"abc")])
    headers = {"content-type": kind, "cookie": await ann.cookie()}
    for broken in (body[:-12], body.replace(b"form-data; name", b"form-data; x"), b"--edge"):
        assert (await ann.site.ask("POST", "/new/", headers, broken)).status == 400
    assert await count(portal) == before


async def test_a_file_without_token_or_right_is_not_kept(portal: SmallPortal) -> None:
    ann, before = portal.people["ann"], await count(portal)
    forged = await send(ann, [("a.png", PNG)], cts_name="forged", **{csrf.FIELD: ""})
    assert forged.status == 403 and "forged" in forged.text
    page = await portal.people["max"].get("/new/")
    assert 'type="file"' not in page.text
    smuggled = await send(portal.people["max"], [("a.png", PNG)], cts_name="smuggled")
    assert smuggled.status == 422 and "may not attach" in smuggled.text
    kind, body = multipart({"cts_name": "nobody"}, [("a.png", PNG)])
    visitor = await portal.site.ask("POST", "/new/", {"content-type": kind}, body)
    assert visitor.status == 401
    assert await count(portal) == before


async def test_a_note_cannot_be_put_on_somebody_elses_row(portal: SmallPortal) -> None:
    theirs = await portal.thing("theirs", portal.people["bob"].contact)
    before = await count(portal)
    kind, body = multipart({csrf.FIELD: await portal.people["ann"].proof()}, [("a.png", PNG)])
    headers = {"content-type": kind, "cookie": await portal.people["ann"].cookie()}
    answer = await portal.site.ask("POST", f"/thing/?id={theirs}", headers, body)
    assert answer.status == 404
    assert await count(portal) == before


async def test_a_form_that_changes_a_row_adds_files_of_the_kinds_it_names(portal: SmallPortal) -> None:
    ann = portal.people["ann"]
    path = f"/thing/?id={await portal.thing('changed', ann.contact)}"
    refused = await send(ann, [("a.png", PNG)], path, cts_memo="new text")
    assert refused.status == 422 and "PDF or SVG, please." in refused.text and "new text" in refused.text
    assert (await send(ann, [("a.pdf", b"%PDF-1.7")], path)).status == 303
    assert (await send(ann, [("b.svg", b"<svg><script/></svg>")], path, cts_memo="new text")).status == 303
    found = sorted((str(row[1]), row[0]) for row in await notes(portal, "changed"))
    assert [name for name, _ in found] == ["a.pdf", "b.svg"]
    given = await ann.get(f"/_entity/annotation/{found[1][1]}")
    assert given.headers["content-type"] == "application/octet-stream"
    assert given.headers["content-disposition"].startswith("attachment")


async def test_steps_take_files_with_their_row_once(portal: SmallPortal) -> None:
    ann = portal.people["ann"]
    first = (await ann.get("/apply/")).headers["location"]
    wrong = await send(ann, [("a.gif", b"MZ")], first, cts_name="stepped")
    assert wrong.status == 422 and "not what its name says" in html.unescape(wrong.text) and "stepped" in wrong.text
    assert "choose it again" in wrong.text
    fields = {**await opened(ann, first), "cts_name": "stepped"}
    kind, body = multipart(fields, [("a.png", PNG)])
    headers = {"content-type": kind, "cookie": await ann.cookie()}
    answers = [await ann.site.ask("POST", first, headers, body) for _ in range(2)]
    assert [answer.status for answer in answers] == [303, 303]
    assert [row[1] for row in await notes(portal, "stepped")] == ["a.png"]
    second = answers[0].headers["location"]
    kept = await send(ann, [("b.txt", b"plain")], second, cts_memo="typed", **{"@move": "previous"})
    assert kept.status == 303
    shown = await ann.get(second)
    assert "files are not. Choose them again." in shown.text and fields_of(shown.text)["cts_memo"] == "typed"
    forged = await send(ann, [("b.txt", b"plain")], second, cts_memo="typed", **{csrf.FIELD: "wrong"})
    assert forged.status == 403 and "choose it again" in forged.text and "typed" in forged.text
    for address in (second, f"/thing/?id={await thing_of(portal, 'stepped')}"):
        file = ("b.txt", b"plain") if address == second else ("c.svg", b"<svg/>")
        kind, body = multipart(await opened(ann, address), [file])
        headers = {"content-type": kind, "cookie": await ann.cookie()}
        answers = await asyncio.gather(*(ann.site.ask("POST", address, headers, body) for _ in range(3)))
        assert [answer.status for answer in answers] == [303, 303, 303]
    assert sorted(str(row[1]) for row in await notes(portal, "stepped")) == ["a.png", "b.txt", "c.svg"]


async def test_what_is_typed_outlives_the_session_however_large_the_file_was(portal: SmallPortal) -> None:
    ann = portal.people["ann"]
    kind, body = multipart({**await opened(ann, "/new/"), "cts_name": "outlived"}, [("a.txt", bytes(9 * 1024 * 1024))])
    headers = {"content-type": kind, "cookie": "fc-session=gone; __Host-fc-session=gone"}
    answer = await ann.site.ask("POST", "/new/", headers, body)
    assert answer.status == 401 and "outlived" in answer.text


def links(text: str) -> dict[str, str]:
    """What is offered for notes, by its words."""
    found = re.findall(r'<a class="btn[^"]*" href="([^"]*note=[^"]*)" rel="nofollow">([^<]*)', text)
    return {words: html.unescape(address) for address, words in found}


async def test_a_note_with_a_file_is_added_changed_and_deleted_by_its_author(portal: SmallPortal) -> None:
    ann, ron = portal.people["ann"], portal.people["ron"]
    thing = await portal.thing("noted", ann.contact)
    path = f"/thing/?id={thing}"
    page = await ann.get(path)
    assert "Correspondence" in page.text and "There are none." in page.text
    add = links(page.text)["Write a note"]
    nothing = await send(ann, [], add)
    assert nothing.status == 422 and "Write something, or choose a file." in nothing.text
    wrong = await send(ann, [("a.gif", b"MZ")], add, notetext="kept <b>text</b>")
    assert wrong.status == 422 and fields_of(wrong.text)["notetext"] == "kept <b>text</b>"
    kind, body = multipart({**await opened(ann, add), "notetext": "<b>first</b>"}, [("a.png", PNG)])
    for _ in range(2):
        made = await ann.site.ask("POST", add, {"content-type": kind, "cookie": await ann.cookie()}, body)
        assert made.status == 303 and made.headers["location"] == f"{path}&notice=added#notes"
    [(note, name, _, size, _, text)] = await notes(portal, "noted")
    assert (name, size, text) == ("a.png", len(PNG), "*WEB*<b>first</b>")
    shown = await ann.get(path)
    assert "&lt;b&gt;first" in shown.text and "<b>first" not in shown.text and "[contact:" not in shown.text
    assert re.search(r"</time>\s+ann", shown.text) and {"Edit", "Delete"} <= set(links(shown.text))
    assert not {"Edit", "Delete"} & set(links((await ron.get(path)).text))  # may write every note, wrote none
    edit, delete = links(shown.text)["Edit"], links(shown.text)["Delete"]
    for address in (edit, delete):
        assert (await ron.get(address)).status == 403
        assert (await post(ron, address, {"notetext": "theirs"})).status == 403
    fields = await opened(ann, edit)
    assert fields["notetext"] == "<b>first</b>"
    await portal.site.dataverse("update dataverse.annotation set notetext = '*WEB*moved' where annotationid = $1", note)
    conflict = await post(ann, edit, {**fields, "notetext": "mine"})
    assert conflict.status == 409
    assert "moved" in conflict.text and fields_of(conflict.text)["notetext"] == "mine"
    forged = await post(ann, edit, {**fields_of(conflict.text), csrf.FIELD: "wrong"})
    assert forged.status in {400, 403} and fields_of(forged.text)["notetext"] == "mine"
    assert (await post(ann, edit, fields_of(conflict.text))).headers["location"] == f"{path}&notice=changed#notes"
    assert [row[5] for row in await notes(portal, "noted")] == ["*WEB*mine"]
    question = await ann.get(delete)
    refused = await post(ann, delete, {**fields_of(question.text), csrf.FIELD: "wrong"})
    assert refused.status in {400, 403} and len(await notes(portal, "noted")) == 1
    assert (await post(ann, delete, fields_of(question.text))).headers["location"] == f"{path}&notice=deleted#notes"
    assert await notes(portal, "noted") == []


async def test_notes_are_listed_and_written_in_steps_which_stay_where_they_are(portal: SmallPortal) -> None:
    ann, bob = portal.people["ann"], portal.people["bob"]
    first = (await ann.get("/apply/")).headers["location"]
    assert "Write a note" not in (await ann.get(first)).text and (await ann.get(f"{first}&note=new")).status == 404
    step = (await post(ann, first, {**await opened(ann, first), "cts_name": "noted step"})).headers["location"]
    add = links((await ann.get(step)).text)["Write a note"]
    made = await post(ann, add, {**await opened(ann, add), "notetext": "from the step"})
    assert made.status == 303 and made.headers["location"] == f"{step}&notice=added#notes"
    shown = await ann.get(step)
    assert "from the step" in shown.text and "Correspondence" in shown.text
    delete = links(shown.text)["Delete"]
    for address in (add, delete):
        assert (await bob.get(address)).status == 404
        assert (await post(bob, address, {"notetext": "theirs"})).status == 404
    assert (await post(ann, delete, await opened(ann, delete))).headers["location"] == f"{step}&notice=deleted#notes"
    assert await notes(portal, "noted step") == []


async def test_notes_are_written_on_ones_own_rows_alone(portal: SmallPortal) -> None:
    ann, bob, before = portal.people["ann"], portal.people["bob"], await count(portal)
    mine, theirs = await portal.thing("mine", ann.contact), await portal.thing("theirs too", bob.contact)
    assert (await ann.get(f"/thing/?id={theirs}&note=new")).status == 404
    fields = {**await opened(ann, f"/thing/?id={mine}&note=new"), "notetext": "smuggled"}
    assert (await post(ann, f"/thing/?id={theirs}&note=new", fields)).status == 404
    assert (await post(bob, f"/thing/?id={theirs}&note=new", fields)).status in {400, 403}  # somebody else's token
    own = {**await opened(bob, f"/thing/?id={theirs}&note=new"), "notetext": "of Bob"}
    assert (await post(bob, f"/thing/?id={theirs}&note=new", own)).status == 303
    [(note, *_)] = await notes(portal, "theirs too")
    for what in (note, uuid.uuid4(), "x", "new"):
        for do in ("&do=delete", "&do=x") if what == "new" else ("", "&do=delete", "&do=x"):
            assert (await ann.get(f"/thing/?id={mine}&note={what}{do}")).status == 404
    assert (await portal.people["max"].get(f"/thing/?id={mine}&note=new")).status in {403, 404}
    assert (await count(portal))[1] == before[1] + 1
    await portal.site.dataverse("delete from dataverse.annotation where annotationid = $1", note)


async def test_a_site_says_what_its_forms_take(tmp_path: Path) -> None:
    site = load_site(solution(tmp_path, SITE) / "site")
    forms = {form.name: form for form in site.forms.values()}
    assert forms["New thing"].attach is not None and forms["New thing"].attach.max_size == 64
    attach = forms["Thing"].attach
    assert attach is not None and attach.accept == ("application/pdf", ".svg") and attach.restrict
    assert forms["Thing"].notes and not forms["New thing"].notes
