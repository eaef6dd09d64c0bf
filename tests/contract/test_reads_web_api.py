"""Reads of Dataverse's native tables: every column type there and back, queries, pages, annotations, conditions."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.server import Installation, Person, send, url
from support.small_erp import small_erp
from support.statements import recorded

A = "/api/data/v9.2"
THINGS = f"{A}/cts_things"
SHOWN = {"prefer": "return=representation"}
ALL = {"prefer": 'odata.include-annotations="*"'}
FORMATTED = "@OData.Community.Display.V1.FormattedValue"
WAY = "@Microsoft.Dynamics.CRM.associatednavigationproperty"
TABLE = "@Microsoft.Dynamics.CRM.lookuplogicalname"


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as opened:
        yield opened


@pytest.fixture
async def admin(site: Installation) -> Person:
    return await site.operations_user("admin")


@pytest.fixture
async def clerk(site: Installation) -> Person:
    return await site.operations_user("clerk")


async def make(person: Person, collection: str, **values: object) -> str:
    answer = await send(person, "POST", f"{A}/{collection}", values)
    assert answer.status == 204, answer.text
    return answer.headers["odata-entityid"][-37:-1]


# --------------------------------------------------------------------------------------------- column types

STANDARD = (
    *("account", "contact", "systemuser", "team", "businessunit", "role", "annotation"),
    *("cdm_company", "transactioncurrency"),
)
TYPES: dict[str, tuple[Any, Any]] = {
    "cts_memo": ("two\nlines", "two\nlines"),
    "cts_whole": (-5, -5),
    "cts_big": (2**63 - 1, 2**63 - 1),
    "cts_decimal": (-12.345, -12.345),
    "cts_double": (1.5e300, 1.5e300),
    "cts_money": (1234.5, 1234.5),
    "cts_date": ("2026-03-01", "2026-03-01"),
    "cts_moment": ("2026-03-01T23:30:00+02:00", "2026-03-01T21:30:00Z"),
    "cts_day": ("2026-03-01", "2026-03-01"),
    "cts_clock": ("2026-03-01T10:30:00Z", "2026-03-01T10:30:00Z"),
    "cts_choice": (1, 1),
    "cts_choices": ("12, 1,12", "1,12"),
    "cts_yesno": (False, False),
    "cts_unique": ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
}


async def test_every_type_of_column_comes_back_as_it_went(admin: Person) -> None:
    given = {name: value for name, (value, _) in TYPES.items()}
    answer = await send(admin, "POST", THINGS, {"cts_name": "Typed", **given}, SHOWN)
    assert answer.status == 201, answer.text
    row = answer.json
    assert {name: row[name] for name in TYPES} == {name: shown for name, (_, shown) in TYPES.items()}
    assert row["cts_number"].startswith("T-") and row["statecode"] == 0 and row["statuscode"] == 1
    assert row["_transactioncurrencyid_value"] and row["exchangerate"] == 1 and row["cts_money_base"] == 1234.5
    again = await send(admin, "PATCH", f"{THINGS}({row['cts_thingid']})", given, SHOWN)
    assert again.status == 200
    assert {name: again.json[name] for name in TYPES} == {name: row[name] for name in TYPES}


async def test_every_column_that_may_be_empty_is_emptied(admin: Person) -> None:
    key = await make(admin, "cts_things", cts_name="Emptied", **{name: value for name, (value, _) in TYPES.items()})
    answer = await send(admin, "PATCH", f"{THINGS}({key})", dict.fromkeys(TYPES), SHOWN)
    assert answer.status == 200, answer.text
    assert {answer.json[name] for name in TYPES} == {None}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("cts_name", ["x"]),
        ("cts_number", "x" * 101),
        ("cts_memo", "x" * 201),
        ("cts_whole", 5001),
        ("cts_whole", -6),
        ("cts_whole", 1.5),
        ("cts_whole", "1"),
        ("cts_big", 2**63),
        ("cts_decimal", 10**30),
        ("cts_double", 10**400),
        ("cts_double", "NaN"),
        ("cts_money", True),
        ("cts_money", 10**16),
        ("cts_date", "2026-13-01"),
        ("cts_date", 5),
        ("cts_moment", "soon"),
        ("cts_moment", "2026-03-01T10:30:00+99:00"),
        ("cts_choice", 3),
        ("cts_choices", 1),
        ("cts_choices", "1,3"),
        ("cts_choices", "1;2"),
        ("cts_choices", "Red"),
        ("cts_choice", "One"),
        ("cts_yesno", 1),
        ("cts_unique", "x"),
        ("cts_thingid", "x"),
        ("cts_money_base", 1),
        ("exchangerate", 1),
        ("versionnumber", 1),
        ("createdon", "2026-03-01T10:30:00Z"),
        ("statuscode", 9),
        ("statecode", 1.0),
        ("owningbusinessunit", "x"),
        ("cts_parent", 5),
    ],
)
async def test_a_value_of_another_type_is_refused_and_no_row_made(
    site: Installation, admin: Person, column: str, value: object
) -> None:
    name = f"no {uuid.uuid4()}"[:40]
    answer = await send(admin, "POST", THINGS, {"cts_name": name, column: value})
    assert answer.status == 400, (answer.status, answer.text)
    assert answer.json["error"]["code"].startswith("0x8004")
    assert await site.dataverse("select 1 from dataverse.cts_thing where cts_name = $1", name) == []
    assert not site.faults


async def test_an_amount_follows_its_currency(site: Installation, admin: Person) -> None:
    pound = await make(
        admin,
        "transactioncurrencies",
        isocurrencycode="GBP",
        currencyname="Pound",
        currencysymbol="£",
        exchangerate=0.8,
    )
    bind = {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({pound})"}
    answer = await send(admin, "POST", THINGS, {"cts_name": "Dear", "cts_money": 1000, **bind}, {**SHOWN})
    assert answer.status == 201, answer.text
    assert (answer.json["exchangerate"], answer.json["cts_money_base"]) == (0.8, 1250)
    row = (await admin.get(f"{THINGS}({answer.json['cts_thingid']})?$select=cts_money,cts_money_base", ALL)).json
    assert row[f"cts_money{FORMATTED}"] == "£1,000.00"
    assert row[f"cts_money_base{FORMATTED}"] == "1,250.0000"


# ---------------------------------------------------------------------------------------------- annotations


async def test_values_come_with_their_forms_and_lookups_with_their_rows(site: Installation, admin: Person) -> None:
    account = await make(admin, "accounts", name="Buyer Ltd")
    parent = await make(admin, "cts_things", cts_name="Above")
    given = {name: value for name, (value, _) in TYPES.items()}
    key = await make(
        admin,
        "cts_things",
        cts_name="Shown",
        **given,
        **{"cts_parent@odata.bind": f"cts_things({parent})", "cts_buyer_account@odata.bind": f"accounts({account})"},
    )
    answer = await admin.get(f"{THINGS}({key})", ALL)
    row = answer.json
    forms = {
        "cts_whole": "-5",
        "cts_big": "9,223,372,036,854,775,807",
        "cts_decimal": "-12.345",
        "cts_date": "3/1/2026",
        "cts_moment": "3/1/2026 9:30 PM",
        "cts_clock": "3/1/2026 10:30 AM",
        "cts_choice": "One",
        "cts_choices": "Red; Blue",
        "cts_yesno": "No",
        "statecode": "Active",
        "statuscode": "Active",
        "_cts_parent_value": "Above",
        "_cts_buyer_value": "Buyer Ltd",
        "_ownerid_value": "admin",
        "_createdby_value": "admin",
        "_owningbusinessunit_value": "Small",
        "_transactioncurrencyid_value": row[f"_transactioncurrencyid_value{FORMATTED}"],
    }
    assert {name: row[name + FORMATTED] for name in forms} == forms
    ways = {
        "_cts_parent_value": ("cts_parent", "cts_thing"),
        "_cts_buyer_value": ("cts_buyer_account", "account"),
        "_ownerid_value": ("ownerid", "systemuser"),
        "_createdby_value": ("createdby", "systemuser"),
        "_owningbusinessunit_value": ("owningbusinessunit", "businessunit"),
    }
    assert {name: (row[name + WAY], row[name + TABLE]) for name in ways} == ways
    assert not any(name.startswith(("cts_name@", "_owningteam_value@", "cts_thingid@", "@name")) for name in row)
    assert answer.headers["preference-applied"] == 'odata.include-annotations="*"'
    keys = list(row)
    assert keys.index(f"cts_whole{FORMATTED}") + 1 == keys.index("cts_whole"), "an annotation precedes its value"


async def test_annotations_are_those_that_were_asked_for(admin: Person) -> None:
    key = await make(admin, "cts_things", cts_name="Few")
    target = f"{THINGS}({key})?$select=cts_choice,_ownerid_value"
    plain = (await admin.get(target)).json
    assert not any("@" in name and not name.startswith("@") for name in plain)
    tables = (await admin.get(target, {"prefer": 'odata.include-annotations="*.lookuplogicalname"'})).json
    assert tables[f"_ownerid_value{TABLE}"] == "systemuser"
    assert not any(FORMATTED in name or WAY in name for name in tables)
    bare = (await admin.get(target, {**ALL, "accept": "application/json;odata.metadata=none"})).json
    assert not any("@" in name for name in bare)


async def test_expanded_rows_have_their_annotations(admin: Person) -> None:
    key = await make(admin, "cts_things", cts_name="Whole")
    await make(admin, "cts_parts", cts_name="Part", **{"cts_thing@odata.bind": f"/cts_things({key})"})
    target = f"{THINGS}({key})?$select=cts_name&$expand=cts_thing_parts($select=cts_name,_cts_thing_value)"
    (part,) = (await admin.get(target, ALL)).json["cts_thing_parts"]
    assert part[f"_cts_thing_value{FORMATTED}"] == "Whole"
    target = url(f"{A}/cts_parts", _expand="cts_thing($select=statecode)", _filter="cts_name eq 'Part'")
    (row,) = (await admin.get(target, ALL)).rows
    assert row["cts_thing"][f"statecode{FORMATTED}"] == "Active"


async def test_a_row_that_may_not_be_read_is_not_named(site: Installation, admin: Person, clerk: Person) -> None:
    """A lookup shows the id that its row holds; the name behind it only to who may read it."""
    account = await make(admin, "accounts", name="Secret Ltd")
    key = await make(clerk, "cts_things", cts_name="Mine")
    bound = await send(admin, "PATCH", f"{THINGS}({key})", {"cts_buyer_account@odata.bind": f"/accounts({account})"})
    assert bound.status == 204, bound.text
    answer = await clerk.get(f"{THINGS}({key})", ALL)
    assert answer.json["_cts_buyer_value"] == account
    assert f"_cts_buyer_value{FORMATTED}" not in answer.json and "Secret" not in answer.text
    assert f"_createdby_value{FORMATTED}" not in answer.json, "without a right to users, no user is named"
    assert answer.json[f"_cts_buyer_value{TABLE}"] == "account"
    await site.dataverse(
        "update dataverse.account set ownerid = (select ownerid from dataverse.cts_thing where cts_thingid = $1) "
        "where accountid = $2", uuid.UUID(key), uuid.UUID(account),
    )  # fmt: skip
    assert (await clerk.get(f"{THINGS}({key})", ALL)).json[f"_cts_buyer_value{FORMATTED}"] == "Secret Ltd"


async def test_totals_of_a_set_are_annotations_too(admin: Person) -> None:
    await make(admin, "cts_things", cts_name="Counted")
    target = url(THINGS, _filter="cts_name eq 'Counted'", _count=True)
    counted = (await admin.get(target, ALL)).json
    assert counted["@Microsoft.Dynamics.CRM.totalrecordcount"] == counted["@odata.count"] == 1
    assert counted["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is False
    assert (await admin.get(THINGS, ALL)).json["@Microsoft.Dynamics.CRM.totalrecordcount"] == -1


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return recorded(monkeypatch)


async def test_names_cost_no_statement_of_their_own(admin: Person, statements: list[str]) -> None:
    await make(admin, "cts_things", cts_name="Cheap")
    counts = []
    for headers in ({}, ALL):
        assert (await admin.get(f"{THINGS}?$top=50", headers)).status == 200
        statements.clear()
        assert (await admin.get(f"{THINGS}?$top=50", headers)).status == 200
        counts.append(len(statements))
    assert counts[0] == counts[1]


# --------------------------------------------------------------------------------------------------- queries


@pytest.fixture(scope="module")
async def listed(site: Installation) -> str:
    """Twelve things, numbered, under one above; its id."""
    admin = await site.operations_user("admin")
    above = await make(admin, "cts_things", cts_name="List")
    for number in range(12):
        await make(
            admin,
            "cts_things",
            cts_name=f"L {number:02}",
            cts_whole=number % 4 if number else None,
            cts_choice=1 + number % 2,
            cts_choices={1: "2,12", 2: "12", 3: "1,2"}.get(number),
            cts_code=f"c{number}",
            **{"cts_parent@odata.bind": f"/cts_things({above})"},
        )
    return above


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("cts_whole eq 3", [3, 7, 11]),
        ("cts_whole eq null", [0]),
        ("cts_whole gt 1 and cts_choice eq 1", [2, 6, 10]),
        ("not (cts_whole lt 3)", [0, 3, 7, 11]),
        ("cts_choices eq '12,2'", [1]),
        ("Microsoft.Dynamics.CRM.ContainValues(PropertyName='cts_choices',PropertyValues=['2'])", [1, 3]),
        ("Microsoft.Dynamics.CRM.ContainValues(PropertyName='cts_choices',PropertyValues=['1','12'])", [1, 2, 3]),
        (
            "Microsoft.Dynamics.CRM.DoesNotContainValues(PropertyName='cts_choices',PropertyValues=['2'])",
            [0, 2, *range(4, 12)],
        ),
        ("startswith(cts_name,'l 0')", list(range(10))),
        ("contains(cts_name,'1')", [1, 10, 11]),
        ("endswith(cts_code,'1')", [1, 11]),
        ("cts_name eq 'L 0''5'", []),
        ("Microsoft.Dynamics.CRM.In(PropertyName='cts_code',PropertyValues=['c1','c9'])", [1, 9]),
        ('Microsoft.Dynamics.CRM.Between(PropertyName=\'cts_whole\',PropertyValues=["2","3"])', [2, 3, 6, 7, 10, 11]),
        ("cts_parent/cts_name eq 'List'", list(range(12))),
    ],
)
async def test_filters_find_their_rows(admin: Person, listed: str, condition: str, numbers: list[int]) -> None:
    target = url(
        THINGS, _filter=f"_cts_parent_value eq {listed} and ({condition})", _select="cts_name", _orderby="cts_name"
    )
    assert [row["cts_name"] for row in (await admin.get(target)).rows] == [f"L {number:02}" for number in numbers]


async def test_an_id_may_stand_in_quotes_and_a_blank_may_be_a_plus(admin: Person, listed: str) -> None:
    answer = await admin.get(f"{THINGS}?$filter=cts_thingid+eq+'{listed}'&$select=cts_name")
    assert [row["cts_name"] for row in answer.rows] == ["List"]


async def test_pages_follow_each_other_without_gap_or_repeat(admin: Person, listed: str) -> None:
    target = url(
        THINGS,
        _filter=f"_cts_parent_value eq {listed}",
        _select="cts_name,cts_whole",
        _orderby="cts_whole desc,cts_name",
        _count=True,
    )
    pages = await admin.pages(target, {"prefer": "odata.maxpagesize=5"})
    assert [len(page.rows) for page in pages] == [5, 5, 2]
    assert {page.json["@odata.count"] for page in pages} == {12}
    names = [row["cts_name"] for page in pages for row in page.rows]
    assert names == [f"L {n:02}" for n in (3, 7, 11, 2, 6, 10, 1, 5, 9, 4, 8, 0)]
    assert pages[0].headers["preference-applied"] == "odata.maxpagesize=5"
    assert "%24skiptoken=" in pages[0].json["@odata.nextLink"] or "$skiptoken=" in pages[0].json["@odata.nextLink"]
    link = pages[0].json["@odata.nextLink"].removeprefix("http://portal.test")
    other = await admin.get(link.replace("desc", "asc"))
    assert (other.status, other.refusal) == (400, "FC1007"), "a token belongs to its query"


async def test_a_collection_of_a_row_is_a_set_of_its_own(admin: Person, listed: str) -> None:
    rows = (await admin.get(f"{THINGS}({listed})/cts_thing_things?$select=cts_name&$top=3&$orderby=cts_name")).rows
    assert [row["cts_name"] for row in rows] == ["L 00", "L 01", "L 02"]
    counted = await admin.get(f"{THINGS}({listed})/cts_thing_things/$count")
    assert (counted.status, counted.text) == (200, "12")
    single = await admin.get(f"{THINGS}({rows[0]['cts_thingid']})/cts_parent?$select=cts_name")
    assert single.json["cts_name"] == "List"


async def test_an_alternate_key_finds_its_row(admin: Person, listed: str) -> None:
    assert (await admin.get(f"{THINGS}(cts_code='c5')?$select=cts_name")).json["cts_name"] == "L 05"
    missing = await admin.get(f"{THINGS}(cts_code='none')")
    assert missing.status == 404
    assert (await admin.get(f"{THINGS}(cts_name='L 05')")).status == 400, "a column that is no key"


async def test_a_row_that_has_not_changed_is_not_sent_again(admin: Person) -> None:
    key = await make(admin, "cts_things", cts_name="Cached")
    tag = (await admin.get(f"{THINGS}({key})")).headers["etag"]
    same = await admin.get(f"{THINGS}({key})", {"if-none-match": tag})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag)
    await send(admin, "PATCH", f"{THINGS}({key})", {"cts_name": "Changed"})
    changed = await admin.get(f"{THINGS}({key})", {"if-none-match": tag})
    assert (changed.status, changed.json["cts_name"]) == (200, "Changed")
    assert (await admin.get(f"{THINGS}({key})", {"if-none-match": "null"})).status == 200, "what browsers send"


# ----------------------------------------------------------------------------------------------- definitions


async def test_definitions_are_read_as_clients_read_them(admin: Person) -> None:
    table = url(
        f"{A}/EntityDefinitions",
        _select="LogicalName,EntitySetName,PrimaryIdAttribute",
        _filter="LogicalName eq 'cts_thing'",
    )
    (found,) = (await admin.get(table)).rows
    assert (found["EntitySetName"], found["PrimaryIdAttribute"]) == ("cts_things", "cts_thingid")
    assert found["MetadataId"]
    picklists = (
        f"{A}/EntityDefinitions(LogicalName='cts_thing')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
        "?$select=LogicalName&$expand=OptionSet($select=Options)"
    )
    (choice,) = (await admin.get(picklists)).rows
    assert [option["Value"] for option in choice["OptionSet"]["Options"]] == [1, 2]
    several = picklists.replace("Picklist", "MultiSelectPicklist").replace("=LogicalName&", "=AttributeTypeName&")
    (colours,) = (await admin.get(several)).rows
    assert [option["Label"]["UserLocalizedLabel"]["Label"] for option in colours["OptionSet"]["Options"]][2] == "Blue"
    assert colours["AttributeTypeName"] == {"Value": "MultiSelectPicklistType"}
    by_id = await admin.get(f"{A}/EntityDefinitions({found['MetadataId']})/Attributes(LogicalName='cts_money')")
    assert by_id.json["AttributeType"] == "Money"
    for name in STANDARD:
        answer = await admin.get(f"{A}/EntityDefinitions(LogicalName='{name}')?$select=LogicalName")
        assert (answer.status, answer.json["LogicalName"]) == (200, name)
    assert (await admin.get(f"{A}/EntityDefinitions(LogicalName='nothing')")).status == 404
    assert (await send(admin, "POST", f"{A}/EntityDefinitions", {"LogicalName": "x"})).status in (400, 405, 501)


# --------------------------------------------------------------------------------------------- many-to-many


async def test_pairs_lead_from_either_end_to_the_other(admin: Person) -> None:
    things = [await make(admin, "cts_things", cts_name=f"N {number}") for number in range(2)]
    people = [await make(admin, "contacts", lastname=f"P {number}") for number in range(3)]
    for thing, tied in zip(things, (people, people[2:]), strict=True):
        for person in tied:
            body = {"@odata.id": f"contacts({person})"}
            assert (await send(admin, "POST", f"{THINGS}({thing})/cts_thing_contacts/$ref", body)).status == 204
    wanted = url(
        THINGS,
        _select="cts_name",
        _filter="startswith(cts_name,'N ')",
        _orderby="cts_name",
        _expand="cts_thing_contacts($select=lastname;$orderby=lastname desc)",
    )
    found = [[item["lastname"] for item in row["cts_thing_contacts"]] for row in (await admin.get(wanted)).rows]
    assert found == [["P 2", "P 1", "P 0"], ["P 2"]]
    top = wanted.replace("%20desc", "%20desc;$top=1;$filter=lastname%20ne%20'P%202'")
    found = [[item["lastname"] for item in row["cts_thing_contacts"]] for row in (await admin.get(top)).rows]
    assert found == [["P 1"], []]
    back = (await admin.get(f"{A}/contacts({people[2]})?$expand=cts_thing_contacts($select=cts_name)")).json
    assert sorted(row["cts_name"] for row in back["cts_thing_contacts"]) == ["N 0", "N 1"]
    member = await admin.get(f"{THINGS}({things[0]})/cts_thing_contacts?$select=lastname&$orderby=lastname&$top=2")
    assert [row["lastname"] for row in member.rows] == ["P 0", "P 1"]
    counted = await admin.get(f"{THINGS}({things[0]})/cts_thing_contacts/$count")
    assert (counted.status, counted.text) == (200, "3")
    second = f"{THINGS}({things[1]})/cts_thing_contacts"
    assert [row["lastname"] for row in (await admin.get(second)).rows] == ["P 2"]
    assert (await admin.get(f"{second}/$count")).text == "1"
    condition = "cts_thing_contacts/all(c:c/lastname eq 'P 2') and startswith(cts_name,'N ')"
    every = url(THINGS, _select="cts_name", _filter=condition)
    assert [row["cts_name"] for row in (await admin.get(every)).rows] == ["N 1"]
    both = url(THINGS, _select="cts_name", _filter="cts_thing_contacts/any(c:c/lastname eq 'P 0')")
    assert [row["cts_name"] for row in (await admin.get(both)).rows] == ["N 0"]
    nested = (
        f"{A}/contacts({people[0]})?$expand=cts_thing_contacts($select=cts_name;"
        "$expand=cts_thing_contacts($select=lastname))"
    )
    (thing,) = (await admin.get(nested)).json["cts_thing_contacts"]
    assert len(thing["cts_thing_contacts"]) == 3


async def test_an_amount_keeps_its_rate_when_it_changes(admin: Person) -> None:
    yen = await make(
        admin, "transactioncurrencies", isocurrencycode="JPY", currencyname="Yen", currencysymbol="¥",
        exchangerate=150, currencyprecision=0,
    )  # fmt: skip
    bind = {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({yen})"}
    key = await make(admin, "cts_things", cts_name="Far", cts_money=300, **bind)
    changed = await send(admin, "PATCH", f"{THINGS}({key})", {"cts_money": 1500}, {**SHOWN, **ALL})
    assert changed.status in (200, 204), changed.text
    row = (await admin.get(f"{THINGS}({key})?$select=cts_money,cts_money_base,exchangerate", ALL)).json
    assert (row["cts_money"], row["cts_money_base"], row["exchangerate"]) == (1500, 10, 150)
    assert row[f"cts_money{FORMATTED}"] == "¥1,500"


# -------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        (f"{A}/Cts_things", 404, "0x8006088a"),
        (f"{THINGS}?$select=nothing", 400, "0x0"),
        (f"{THINGS}?$filter=nothing%20eq%201", 400, "0x0"),
        (f"{THINGS}?$filter=cts_name%20eq", 400, "0x80060888"),
        (f"{THINGS}?$filter=cts_whole%20eq%20'x'", 400, "0x80060888"),
        (f"{THINGS}?$skip=1", 400, "0x80060888"),
        (f"{THINGS}?$apply=frobnicate($count%20as%20n)", 400, "0x80060888"),
        (f"{THINGS}({uuid.UUID(int=1)})", 404, "0x80040217"),
        (f"{THINGS}(cts_code='none')", 404, "0x80060891"),
        (f"{THINGS}(cts_code=5)", 400, None),
        (f"{THINGS}(x)", 400, None),
        (f"{THINGS}?$expand=nothing", 400, None),
        (f"{THINGS}?$top=-1", 400, "0x80060888"),
        (f"{THINGS}?$skiptoken=made-up", 400, "0x80060888"),
    ],
)
async def test_a_refused_read_has_the_originals_code(
    site: Installation, admin: Person, target: str, status: int, code: str | None
) -> None:
    answer = await admin.get(target)
    assert answer.status == status, answer.text
    assert code is None or answer.json["error"]["code"] == code, answer.text
    assert not site.faults


async def test_many_who_upsert_one_key_make_one_row(site: Installation, admin: Person) -> None:
    target = f"{THINGS}(cts_code='race')"
    answers = await asyncio.gather(
        *(send(admin, "PATCH", target, {"cts_name": f"R {number}", "cts_whole": number}) for number in range(8))
    )
    assert {answer.status for answer in answers} == {204}
    rows = await site.dataverse("select cts_name, cts_whole from dataverse.cts_thing where cts_code = 'race'")
    assert len(rows) == 1 and rows[0][0] == f"R {rows[0][1]}", "one row, with all that one of them has sent"
    first = await asyncio.gather(
        *(send(admin, "PATCH", target, {"cts_name": "No"}, {"if-none-match": "*"}) for _ in range(3)),
        *(send(admin, "POST", THINGS, {"cts_name": "No", "cts_code": "race"}) for _ in range(3)),
    )
    assert {answer.status for answer in first} == {412}


async def test_of_writers_with_one_version_one_wins(admin: Person) -> None:
    key = await make(admin, "cts_things", cts_name="Raced")
    tag = {"if-match": (await admin.get(f"{THINGS}({key})")).headers["etag"]}
    answers = await asyncio.gather(
        *(send(admin, "PATCH", f"{THINGS}({key})", {"cts_whole": number}, tag) for number in range(6))
    )
    assert sorted(answer.status for answer in answers) == [204, 412, 412, 412, 412, 412]
