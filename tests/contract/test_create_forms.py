"""Forms that make rows: every type of column, what is refused, lookups, and that nothing typed is lost."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import pytest

from forecourt.identity import csrf
from forecourt.security.rules import Scope
from forecourt.store.embedded import EmbeddedServer
from support.forms import fields_of, offered, opened, post, signed_in
from support.server import Person
from support.small_portal import Content, Permission, Profile, SmallPortal, SmallSite, small_portal

NEW = "/new/"
PARENT, BUYER = "_cts_parent_value", "_cts_buyer_value"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ user.id }}"

SITE = SmallSite(
    permissions=(
        Permission("own things", "cts_thing", Scope.CONTACT, "rwcdat", link="cts_thing_contact"),
        Permission("every thing", "cts_thing", Scope.GLOBAL, "rc", roles=("Managers",)),
        Permission("visitors", "cts_thing", Scope.GLOBAL, "c", roles=("Anonymous Users",)),
        Permission("a manager", "contact", Scope.SELF, "r", roles=("Managers",)),
        Permission("oneself", "contact", Scope.SELF, "rat"),
    ),
    profiles=(Profile("narrow", "cts_thing", {"cts_name": "cru", "cts_memo": "r"}),),
    pages=(
        Content("Things", shows="list"),
        Content("New", shows="new"),
        Content("Thing", shows="form"),
    ),
    new_form={
        "adx_associatecurrentportaluser": True,
        "adx_targetentityportaluserlookupattribute": "cts_buyer",
    },
)


@pytest.fixture(scope="module")
async def served(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SmallPortal]:
    async with small_portal(postgres, tmp_path_factory.mktemp("forms"), SITE) as opened_portal:
        await opened_portal.person("ann", "Members")
        await opened_portal.person("bob", "Members")
        yield opened_portal


@pytest.fixture
async def portal(served: SmallPortal) -> SmallPortal:
    """Without rows."""
    await served.site.dataverse("delete from dataverse.cts_thing")
    return served


@pytest.fixture
def ann(portal: SmallPortal) -> Person:
    return portal.people["ann"]


async def made(portal: SmallPortal) -> list[dict[str, object]]:
    return [dict(row) for row in await portal.site.dataverse("select * from dataverse.cts_thing order by createdon")]


async def test_a_column_of_every_type_is_stored_as_it_was_typed(portal: SmallPortal, ann: Person) -> None:
    other = await portal.thing("above", ann.contact)
    fields = await opened(ann, NEW)
    assert "cts_number" not in fields or fields["cts_number"] == ""
    typed = {
        "cts_name": "Bolt",
        "cts_memo": "two\nlines",
        "cts_code": "B1",
        "cts_whole": "12",
        "cts_big": "9000000000",
        "cts_decimal": "1.125",
        "cts_double": "0.5",
        "cts_money": "19.99",
        "cts_date": "2026-12-31",
        "cts_moment": "2026-12-31T17:00",
        "cts_day": "2026-12-30",
        "cts_clock": "2026-12-29T08:15",
        "cts_choice": "1",
        "cts_choices": "12,2",
        "cts_yesno": "0",
        PARENT: other,
    }
    answer = await post(ann, NEW, {**fields, **typed})
    assert answer.status == 303, answer.text[:3000]
    assert answer.headers["location"].startswith("/thing/?id=")
    row = next(item for item in await made(portal) if item["cts_name"] == "Bolt")
    assert (row["cts_memo"], row["cts_code"], row["cts_whole"], row["cts_big"]) == ("two\nlines", "B1", 12, 9000000000)
    assert (row["cts_decimal"], row["cts_double"]) == (Decimal("1.125"), 0.5)
    assert row["cts_money"] == Decimal("19.99") and row["cts_date"] == dt.date(2026, 12, 31)
    assert row["cts_choices"] == "2,12"
    assert row["cts_choice"] == 1 and row["cts_yesno"] is False
    assert str(row["cts_parent"]) == other and row["cts_buyer"] == ann.contact
    shown = await ann.get(answer.headers["location"])
    assert shown.status == 200 and "It is sent. Thank you." in shown.text


async def test_what_is_wrong_stands_at_its_field_and_on_top_and_nothing_typed_is_lost(
    portal: SmallPortal, ann: Person
) -> None:
    fields = await opened(ann, NEW)
    typed = {"cts_name": "", "cts_memo": HOSTILE, "cts_whole": "9999", "cts_decimal": "1,2,3", "cts_choice": "77"}
    answer = await post(ann, NEW, {**fields, **typed})
    assert answer.status == 422
    assert "4 things need your attention" in answer.text
    for name in ("cts_name", "cts_whole", "cts_decimal", "cts_choice"):
        assert f'href="#f-{name}"' in answer.text and f'id="f-{name}-error"' in answer.text
    assert "between -5 and 5,000" in answer.text or "between -5 and 5000" in answer.text
    kept = fields_of(answer.text)
    assert kept["cts_memo"] == HOSTILE and kept["cts_whole"] == "9999" and kept["cts_decimal"] == "1,2,3"
    assert "<script>alert" not in answer.text and "<img src=x" not in answer.text
    assert await made(portal) == []


async def test_a_form_that_is_sent_twice_makes_one_row(portal: SmallPortal, ann: Person) -> None:
    fields = {**await opened(ann, NEW), "cts_name": "Once"}
    first, second = await asyncio.gather(post(ann, NEW, fields), post(ann, NEW, fields))
    third = await post(ann, NEW, fields)
    assert {first.status, second.status, third.status} == {303}
    assert first.headers["location"] == second.headers["location"] == third.headers["location"]
    assert len(await made(portal)) == 1
    anew = await post(ann, NEW, {**fields, "cts_name": "Another"})  # gone back, and filled in anew
    assert anew.status == 303 and len(await made(portal)) == 2


async def test_a_lookup_finds_what_the_person_may_read_and_binds_nothing_else(portal: SmallPortal, ann: Person) -> None:
    bob = portal.people["bob"]
    mine, hidden = await portal.thing("Bolt of mine", ann.contact), await portal.thing("Bolt of Bob", bob.contact)
    fields = {**await opened(ann, NEW), "cts_name": "Nut", "cts_memo": "kept"}
    found = await post(ann, NEW, {**fields, f"@find.{PARENT}": "bolt", "@search": PARENT})
    assert found.status == 200 and "Bolt of mine" in found.text and "Bolt of Bob" not in found.text
    assert mine in offered(found.text, PARENT) and fields_of(found.text)["cts_memo"] == "kept"
    assert len(await made(portal)) == 2
    unread = await post(ann, NEW, {**fields, f"@find.{PARENT}": "bolt"})  # sent without having looked
    assert unread.status == 200 and mine in offered(unread.text, PARENT)
    refused = await post(ann, NEW, {**fields, PARENT: hidden})
    assert refused.status == 400 and "no row that you can choose" in refused.text and "Bolt of Bob" not in refused.text
    assert fields_of(refused.text)["cts_memo"] == "kept"
    answer = await post(ann, NEW, {**fields_of(found.text), PARENT: mine})
    assert answer.status == 303
    assert [str(row["cts_parent"]) for row in await made(portal) if row["cts_name"] == "Nut"] == [mine]


async def test_lookups_show_names_in_the_form(portal: SmallPortal, ann: Person) -> None:
    text = (await ann.get(NEW)).text
    assert fields_of(text)[BUYER] == str(ann.contact) and '<p class="fc-chosen">ann</p>' in text


async def test_a_new_row_needs_create_and_its_lookups_append(portal: SmallPortal, ann: Person) -> None:
    nobody = await portal.person("noah")
    assert (await nobody.get(NEW)).status == 403
    mia = await portal.person("mia", "Managers")  # may create every thing, but append nothing
    fields = {**await opened(mia, NEW), "cts_name": "Loose"}
    refused = await post(mia, NEW, fields)
    assert refused.status == 403 and fields_of(refused.text)["cts_name"] == "Loose"
    assert "associate" in refused.text and await made(portal) == []
    assert (await post(mia, NEW, {**fields, BUYER: ""})).status == 303


async def test_columns_that_a_profile_closes_are_not_asked_for(portal: SmallPortal) -> None:
    rita = await portal.person("rita", "Members", "Restricted")
    fields = await opened(rita, NEW)
    assert {name for name in fields if name.startswith("cts_")} == {"cts_name"}
    forged = await post(rita, NEW, {**fields, "cts_name": "R", "cts_memo": "smuggled"})
    assert forged.status in {303, 403}
    assert all(row["cts_memo"] is None for row in await made(portal))


async def test_without_a_token_nothing_is_made_and_the_form_comes_back(portal: SmallPortal, ann: Person) -> None:
    fields = {**await opened(ann, NEW), "cts_name": "Forged", csrf.FIELD: "wrong"}
    answer = await post(ann, NEW, fields)
    assert answer.status == 400 or answer.status == 403
    assert fields_of(answer.text)["cts_name"] == "Forged" and await made(portal) == []
    assert (await post(ann, NEW, fields_of(answer.text))).status == 303


async def test_what_was_typed_survives_the_end_of_the_session_for_its_person_alone(
    portal: SmallPortal, ann: Person
) -> None:
    bob = portal.people["bob"]
    for whom, kept in ((bob, ""), (ann, "Late")):
        fields = {**await opened(ann, NEW), "cts_name": "Late", "cts_memo": "a\nb"}
        await portal.site.dataverse("update forecourt.session set expires_at = now() - interval '1 hour'")
        ended = await post(ann, NEW, fields)
        assert ended.status == 401 and "Late" not in ended.text and "What you typed is kept" in ended.text
        answer = await signed_in(ann, ended, whom)
        if kept:
            assert answer.status == 200 and fields_of(answer.text)["cts_name"] == "Late"
            assert fields_of(answer.text)["cts_memo"] == "a\nb"
        else:
            assert answer.status == 303 and answer.headers["location"] == NEW
        assert (await signed_in(ann, ended, ann)).status == 303  # once
        await portal.site.dataverse("delete from forecourt.session")
        ann._cookie = ""
    assert await made(portal) == []


async def test_a_visitor_sends_a_form_that_is_open_to_visitors(portal: SmallPortal) -> None:
    site = portal.site
    page = await site.ask("GET", NEW)
    assert page.status == 200
    fields = {**fields_of(page.text), "cts_name": "From outside"}
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "cookie": f"{csrf.COOKIE}={page.cookies[csrf.COOKIE]}",
    }
    bare = {"content-type": "application/x-www-form-urlencoded"}
    assert (await site.ask("POST", NEW, bare, urlencode(fields).encode())).status != 303
    answer = await site.ask("POST", NEW, headers, urlencode(fields).encode())
    assert answer.status == 303 and answer.headers["location"] == "/new/?notice=created", answer.text[:500]
    assert [row["cts_name"] for row in await made(portal)] == ["From outside"]


async def test_a_list_leads_to_the_form_for_who_may_use_it(portal: SmallPortal, ann: Person) -> None:
    assert 'href="/new/">New</a>' in (await ann.get("/things/")).text
    sam = await portal.person("sam", "Restricted")
    assert 'href="/new/">New</a></div>' not in (await sam.get("/things/")).text


async def test_a_form_makes_a_row_of_a_virtual_table_as_the_mapped_user(
    postgres: EmbeddedServer, tmp_path: Path
) -> None:
    site = SmallSite(
        permissions=(Permission("orders", "mserp_smallorderentity", Scope.GLOBAL, "rc"),),
        pages=(Content("New", shows="new"),),
        new_form={"adx_entityname": "mserp_smallorderentity", "adx_formname": "Order"},
    )
    async with small_portal(postgres, tmp_path, site) as portal:
        ann, bob = await portal.person("ann", "Members"), await portal.person("bob", "Members")
        for person, user in ((ann, "clerk"), (bob, "reader")):
            await portal.site.dataverse(
                "insert into dataverse.msdyn_externalportalusermapping (msdyn_contactid, msdyn_userid) values ($1, $2)",
                person.contact,
                user,
            )
        fields = await opened(ann, NEW)
        typed = {"mserp_dataareaid": "usmf", "mserp_account": "US-1", "mserp_quantity": "3", "mserp_price": "2.5"}
        wrong = await post(ann, NEW, {**fields, **typed, "mserp_account": ""})
        assert wrong.status == 422 and 'href="#f-mserp_account"' in wrong.text
        sent = {**fields, **typed, "mserp_trace": HOSTILE}
        unknown = await post(ann, NEW, sent)  # the ERP's own logic refuses, at the field that it names
        assert unknown.status == 400 and "There is no customer US-1." in unknown.text
        assert 'id="f-mserp_account-error"' in unknown.text and fields_of(unknown.text)["mserp_trace"] == HOSTILE
        await portal.site.sql(
            "with p as (insert into erp.party (name) values ('One') returning recid) "
            "insert into erp.cust (dataareaid, accountnum, party) select 'usmf', 'US-1', recid from p"
        )
        first, second = await asyncio.gather(post(ann, NEW, sent), post(ann, NEW, sent))
        assert first.status == second.status == 303
        rows = await portal.site.sql("select account, quantity, price, salesid from erp.orders")
        assert [(row["account"], row["quantity"], row["price"]) for row in rows] == [("US-1", 3, Decimal("2.5"))]
        assert rows[0]["salesid"]
        assert (await bob.get(NEW)).status == 403
