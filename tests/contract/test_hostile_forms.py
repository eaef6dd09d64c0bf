"""Forms under hostile values: for each type of column what nobody should send, and never a fault, an echo or a row."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlencode

import pytest

from forecourt.identity import csrf
from forecourt.security.rules import Scope
from forecourt.store.embedded import EmbeddedServer
from support.forms import fields_of, opened, post
from support.server import Answer, Person
from support.small_portal import Content, Permission, SmallPortal, SmallSite, small_portal

NEW = "/new/"
SCRIPT: Final = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ user.id }}{% include 'x' %}"
ATTRIBUTE: Final = '" autofocus onfocus=alert(1) x="'
LONG: Final = "x" * 150_000
OVERRIDE: Final = "abc\u202etxt.exe\u200b\u2066"

ANY: Final = (
    SCRIPT,
    ATTRIBUTE,
    LONG,
    OVERRIDE,
    "\ufffd\ufffe",
    "%00",
    "' or 1=1 --",
    "../../etc/passwd",
    "\x1b[31m\x7f\x01",
)
NUMBERS: Final = (
    "NaN",
    "Infinity",
    "-inf",
    "1e400",
    "1e5",
    "9" * 400,
    "0x10",
    "1,2,3",
    "१२",
    "--1",
    "1 2",
    "1_000",
    "½",
)
DATES: Final = (
    *("0000-00-00", "9999-13-01", "0001-01-01", "9999-12-31", "2026-02-30", "-2026-01-01", "2026-1-1", "20260101"),
    *("now", "2026-W01-1", "1e9", "२०२६-०१-०१"),
)  # fmt: skip
MOMENTS: Final = (*DATES, "0001-01-01T00:00", "9999-12-31T23:59:59+00:00", "2026-01-01T25:00", "2026-01-01T00:00+99:99",
                  "2026-01-01T00:00:00.0000000000001Z")  # fmt: skip

#: Values of each column that no form may take.
REFUSED: Final = {
    "cts_name": (LONG, "x" * 41, "", "   "),
    "cts_memo": (LONG, "x" * 201),
    "cts_code": ("x" * 11, SCRIPT),
    "cts_whole": (*ANY, *NUMBERS, "-6", "5001", "1.5", str(2**31), str(-(2**70))),
    "cts_big": (*ANY, *NUMBERS, str(2**63), "0.1"),
    "cts_decimal": (*ANY, *NUMBERS, "1" * 30),
    "cts_double": (*ANY, *NUMBERS),
    "cts_money": (*ANY, *NUMBERS, "1" * 30),
    "cts_date": (*ANY, *DATES),
    "cts_moment": (*ANY, *MOMENTS),
    "cts_day": (*ANY, *MOMENTS),
    "cts_clock": (*ANY, *MOMENTS),
    "cts_choice": (*ANY, *NUMBERS, "0", "77", "-1", "1.0", "One"),
    "cts_choices": (*ANY, *NUMBERS, "0", "1,77", "1;2", "1,,2,", "Red"),
    "cts_yesno": (*ANY, "2", "true", "yes"),
    "_cts_parent_value": (*ANY, *NUMBERS, "{}", str(uuid.UUID(int=0)), str(uuid.uuid4())),
    "_cts_buyer_value": (*ANY, str(uuid.uuid4()), f"/contacts({uuid.uuid4()})"),
    "cts_unique": (*ANY, "{}", "not-a-guid"),
}  # fmt: skip

#: Texts that are texts: stored as they are, and shown as texts.
KEPT: Final = {"cts_memo": (SCRIPT, ATTRIBUTE, OVERRIDE, "' or 1=1 --", "{{ 1 | plus: 1 }}")}

SITE = SmallSite(
    permissions=(
        Permission("own things", "cts_thing", Scope.CONTACT, "rwcdat", link="cts_thing_contact"),
        Permission("oneself", "contact", Scope.SELF, "rat"),
    ),
    pages=(Content("Things", shows="list"), Content("New", shows="new"), Content("Thing", shows="form")),
    new_form={"adx_associatecurrentportaluser": True, "adx_targetentityportaluserlookupattribute": "cts_buyer"},
)


@pytest.fixture(scope="module")
async def served(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path_factory.mktemp("hostile"), SITE) as opened_portal:
        await opened_portal.person("ann", "Members")
        await opened_portal.person("bob", "Members")
        yield opened_portal


@pytest.fixture
async def portal(served: SmallPortal) -> SmallPortal:
    await served.site.dataverse("delete from dataverse.cts_thing")
    return served


@pytest.fixture
def ann(portal: SmallPortal) -> Person:
    return portal.people["ann"]


async def names(portal: SmallPortal) -> list[object]:
    return [row[0] for row in await portal.site.dataverse("select cts_name from dataverse.cts_thing")]


def unharmed(answer: Answer) -> None:
    """No fault, and nothing typed that a browser would take for more than text."""
    assert answer.status < 500, (answer.status, answer.text[:1000])
    for raw in ("<script>alert", "<img src=x", 'onfocus=alert(1) x=""', "\x00", "Traceback", "DataError", "asyncpg"):
        assert raw not in answer.text, raw
    assert ATTRIBUTE not in answer.text


@pytest.mark.parametrize("column", REFUSED)
async def test_what_is_no_value_of_the_column_is_refused_at_the_field(
    portal: SmallPortal, ann: Person, column: str
) -> None:
    fields = {**await opened(ann, NEW), "cts_name": "fine"}
    assert column in fields or column == "cts_yesno"
    for value in REFUSED[column]:
        answer = await post(ann, NEW, {**fields, column: value})
        unharmed(answer)
        if answer.status == 303:
            raise AssertionError(f"{column} takes {value[:50]!r}")
        assert answer.status in {400, 403, 409, 422}, (answer.status, value[:50])
        assert f'id="f-{column}-error"' in answer.text, (value[:50], answer.status)
        if column not in ("cts_yesno", "cts_choice", "cts_choices"):
            assert fields_of(answer.text)[column].strip() == value.strip().replace("\x00", ""), value[:50]
    assert await names(portal) == []


@pytest.mark.parametrize("column", KEPT)
async def test_a_text_is_stored_and_shown_as_it_is(portal: SmallPortal, ann: Person, column: str) -> None:
    for value in KEPT[column]:
        answer = await post(ann, NEW, {**await opened(ann, NEW), "cts_name": "fine", column: value})
        assert answer.status == 303, answer.text[:500]
        unharmed(await ann.get(answer.headers["location"]))
        row_id = answer.headers["location"].partition("id=")[2].partition("&")[0]
        assert (await portal.stored(row_id))[column] == value
    unharmed(await ann.get("/things/"))
    for download in ("csv", "xlsx"):
        assert (await ann.get(f"/things/?download={download}")).status < 500


async def raw(person: Person, path: str, body: bytes, kind: str = "application/x-www-form-urlencoded") -> Answer:
    headers = {**await person.headers(path), "content-type": kind}
    return await person.site.ask("POST", path, headers, body)


async def test_forms_that_no_page_made_are_refused(portal: SmallPortal, ann: Person) -> None:
    fields = {**await opened(ann, NEW), "cts_name": "fine"}
    body = urlencode(fields).encode()
    for wrong in (
        b"cts_name=%ff%fe",
        b"\xff\xfe\x00",
        b"&".join(b"f%d=1" % number for number in range(600)),
        body + b"&cts_memo=" + b"x" * 600_000,
        body + b"&cts_name=" + b"%00" * 10,
        b"",
    ):
        answer = await raw(ann, NEW, wrong)
        unharmed(answer)
        assert answer.status in {400, 403, 413, 422}, (answer.status, wrong[:40])
    for kind in ("multipart/form-data; boundary=x", "application/json", "text/plain"):
        assert (await raw(ann, NEW, body, kind)).status in {400, 415}
    assert await names(portal) == []


async def test_fields_that_the_form_does_not_ask_for_are_not_taken(portal: SmallPortal, ann: Person) -> None:
    bob = portal.people["bob"]
    fields = {**await opened(ann, NEW), "cts_name": "fine"}
    smuggled = {
        "cts_thingid": str(uuid.UUID(int=7)),
        "statecode": "1",
        "statuscode": "2",
        "ownerid": str(uuid.UUID(int=7)),
        "createdon": "2000-01-01T00:00",
        "versionnumber": "1",
        "cts_unknown": SCRIPT,
        "@was.cts_unknown": "x",
        "@keep.cts_unknown": "mine",
        "__proto__": "x",
        "cts_number": "T-0000",
    }
    assert (await post(ann, NEW, {**fields, **smuggled})).status in {303, 400, 422}
    [row] = [dict(item) for item in await portal.site.dataverse("select * from dataverse.cts_thing")] or [{}]
    assert row["cts_thingid"] != uuid.UUID(int=7) and row["statecode"] == 0 and row["createdon"].year > 2020
    await portal.site.dataverse("delete from dataverse.cts_thing")
    twice = urlencode(fields).encode() + b"&" + urlencode({"cts_name": "last"}).encode()
    assert (await raw(ann, NEW, twice)).status == 303 and await names(portal) == ["last"]
    # The form names no owner of its own: a buyer that is somebody else is no row that Ann can choose.
    other = await post(ann, NEW, {**fields, "_cts_buyer_value": str(bob.contact), "@once": "another"})
    assert other.status in {400, 403} and 'id="f-_cts_buyer_value-error"' in other.text
    assert await names(portal) == ["last"]


async def test_a_forged_edit_changes_nothing(portal: SmallPortal, ann: Person) -> None:
    thing = await portal.thing("mine", ann.contact)
    page = f"/thing/?id={thing}"
    fields = {**await opened(ann, page), "cts_name": "changed"}
    for forged in (
        {"@version": "nonsense"},
        {"@version": "9" * 300},
        {"@version": SCRIPT},
        {"@version": 'W/"1"'},
        {csrf.FIELD: "wrong"},
        {"@ask.cts_name": "1"},
        {"@ask.cts_name": "1", "@keep.cts_name": SCRIPT},
    ):
        answer = await post(ann, page, {**fields, **forged})
        unharmed(answer)
        assert answer.status in {400, 403, 409, 412, 422}, (forged, answer.status)
    assert await names(portal) == ["mine"]
    for address in (f"/thing/?id={SCRIPT}", "/thing/?id=" + "9" * 4000, "/thing/?id=", "/thing/"):
        unharmed(await ann.get(address))
