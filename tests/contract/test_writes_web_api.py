"""Writes of Dataverse's Web API, as clients send them: what is answered, and what plain SQL sees afterwards."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import Answer, Installation, Person, send, url

A = "/api/data/v9.2"
CRM = "Microsoft.Dynamics.CRM"
SHOWN = {"prefer": "return=representation"}


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with sample.contoso_site(postgres) as opened:
        yield opened


@pytest.fixture
async def admin(site: Installation) -> Person:
    return await site.operations_user("admin")


async def create(person: Person, collection: str, body: object) -> str:
    answer = await send(person, "POST", f"{A}/{collection}", body)
    assert (answer.status, answer.body) == (204, b""), answer.text
    return id_of(answer)


def id_of(answer: Answer) -> str:
    found = re.search(r"\(([0-9a-f-]{36})\)$", answer.headers["odata-entityid"])
    assert found is not None, answer.headers
    return found[1]


def code(answer: Answer) -> str:
    return str(answer.json["error"]["code"])


async def account(site: Installation, key: str) -> Mapping[str, Any] | None:
    rows = await site.dataverse("select * from dataverse.account where accountid = $1", uuid.UUID(key))
    return rows[0] if rows else None


async def accounts(site: Installation, name: str) -> int:
    return int((await site.dataverse("select count(*) from dataverse.account where name = $1", name))[0][0])


# ---------------------------------------------------------------------------------------------- create


async def test_a_create_answers_with_the_address_of_the_row(site: Installation, admin: Person) -> None:
    answer = await send(admin, "POST", f"{A}/accounts", {"name": "Made", "creditlimit": 10.5, "industrycode": 7})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["odata-entityid"] == answer.headers["location"]
    assert answer.headers["odata-entityid"].startswith(f"http://portal.test{A}/accounts(")
    row = await account(site, id_of(answer))
    assert row is not None and (row["name"], float(row["creditlimit"]), row["industrycode"]) == ("Made", 10.5, 7)


async def test_who_prefers_the_row_gets_what_it_selects(admin: Person) -> None:
    answer = await send(admin, "POST", f"{A}/accounts?$select=name", {"name": "Shown"}, SHOWN)
    assert answer.status == 201
    assert answer.json["name"] == "Shown" and answer.json["@odata.etag"].startswith('W/"')
    assert set(answer.json) == {"@odata.context", "@odata.etag", "name", "accountid"}
    assert answer.headers["preference-applied"] == "return=representation"
    assert answer.headers["location"].endswith(f"accounts({answer.json['accountid']})")


async def test_a_row_keeps_the_id_that_its_maker_gives_and_no_second_row_gets_it(
    site: Installation, admin: Person
) -> None:
    key = str(uuid.uuid4())
    assert await create(admin, "accounts", {"accountid": key, "name": "Own id"}) == key
    again = await send(admin, "POST", f"{A}/accounts", {"accountid": key, "name": "Twice"})
    assert (again.status, code(again), again.refusal) == (412, "0x80040237", "FC4092")
    assert (await account(site, key) or {})["name"] == "Own id"


async def test_a_deep_insert_makes_all_rows_and_ties_them(site: Installation, admin: Person) -> None:
    key = await create(
        admin,
        "accounts",
        {
            "name": "Parent",
            "primarycontactid": {"lastname": "First"},
            "contact_customer_accounts": [{"lastname": "Second"}, {"lastname": "Third"}],
        },
    )
    row = await account(site, key)
    assert row is not None
    names = await site.dataverse("select lastname from dataverse.contact where contactid = $1", row["primarycontactid"])
    assert [item[0] for item in names] == ["First"]
    beneath = await site.dataverse(
        "select lastname from dataverse.contact where parentcustomerid = $1 order by 1", uuid.UUID(key)
    )
    assert [item[0] for item in beneath] == ["Second", "Third"]


async def test_a_deep_insert_is_all_or_nothing(site: Installation, admin: Person) -> None:
    body = {"name": "Halved", "contact_customer_accounts": [{"lastname": "Fine"}, {"lastname": "x" * 51}]}
    answer = await send(admin, "POST", f"{A}/accounts", body)
    assert (answer.status, code(answer)) == (400, "0x80044331")
    taken = await create(admin, "contacts", {"lastname": "Taken"})
    body["contact_customer_accounts"] = [{"lastname": "Halved"}, {"lastname": "Halved", "contactid": taken}]
    answer = await send(admin, "POST", f"{A}/accounts", body)
    assert answer.status == 412
    assert await accounts(site, "Halved") == 0
    assert await site.dataverse("select 1 from dataverse.contact where lastname = 'Halved'") == []


@pytest.mark.parametrize("slash", ["/", "", f"{A}/", f"https://anywhere.example{A}/"])
async def test_a_lookup_is_bound_by_address(site: Installation, admin: Person, slash: str) -> None:
    person = await create(admin, "contacts", {"lastname": "Bound"})
    key = await create(admin, "accounts", {"name": "B", "primarycontactid@odata.bind": f"{slash}contacts({person})"})
    assert str((await account(site, key) or {})["primarycontactid"]) == person
    cleared = await send(admin, "PATCH", f"{A}/accounts({key})", {"primarycontactid@odata.bind": None})
    assert cleared.status == 204
    assert (await account(site, key) or {})["primarycontactid"] is None


async def test_a_lookup_is_bound_by_an_alternate_key(site: Installation, admin: Person) -> None:
    company = await create(admin, "cdm_companies", {"cdm_companycode": "zz01", "cdm_name": "Bound"})
    key = await create(
        admin, "accounts", {"name": "B", "msdyn_company@odata.bind": "cdm_companies(cdm_companycode='zz01')"}
    )
    assert str((await account(site, key) or {})["msdyn_company"]) == company


async def test_a_polymorphic_lookup_names_a_row_of_one_of_its_tables(site: Installation, admin: Person) -> None:
    above = await create(admin, "accounts", {"name": "Above"})
    boss = await create(admin, "contacts", {"lastname": "Boss"})
    key = await create(admin, "contacts", {"parentcustomerid_account@odata.bind": f"/accounts({above})"})
    query = "select parentcustomerid::text, parentcustomerid_type from dataverse.contact where contactid = $1"
    assert tuple((await site.dataverse(query, uuid.UUID(key)))[0]) == (above, "account")
    moved = await send(
        admin, "PATCH", f"{A}/contacts({key})", {"parentcustomerid_contact@odata.bind": f"/contacts({boss})"}
    )
    assert moved.status == 204
    assert tuple((await site.dataverse(query, uuid.UUID(key)))[0]) == (boss, "contact")
    both = {
        "parentcustomerid_account@odata.bind": f"/accounts({above})",
        "parentcustomerid_contact@odata.bind": f"/contacts({boss})",
    }
    assert (await send(admin, "PATCH", f"{A}/contacts({key})", both)).status == 400
    wrong = {"parentcustomerid_account@odata.bind": f"/contacts({boss})"}
    assert (await send(admin, "PATCH", f"{A}/contacts({key})", wrong)).status == 400


async def test_the_owner_may_be_a_user_or_a_team(site: Installation, admin: Person) -> None:
    team = (await site.dataverse("select teamid::text from dataverse.team limit 1"))[0][0]
    key = await create(admin, "accounts", {"name": "Owned", "ownerid@odata.bind": f"/teams({team})"})
    assert str((await account(site, key) or {})["owningteam"]) == team


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"nmae": "x"}, "0x80048d19"),
        ({"name": 5}, "0x80048d19"),
        ({"name": "x" * 161}, "0x80044331"),
        ({"industrycode": 999}, "0x8004431A"),
        ({"name": "x", "primarycontactid@odata.bind": "/contacts(1)"}, None),
        ({"name": "x", "primarycontactid@odata.bind": f"/contacts({uuid.UUID(int=5)})"}, "0x80040217"),
        ({"name": "x", "primarycontactid@odata.bind": 5}, "0x80048d19"),
        ({"name": "x", "primarycontactid@odata.bind": ["/contacts(1)"]}, "0x80048d19"),
        ({"name": "x", "primarycontactid@odata.bind": "/accounts"}, "0x80048d19"),
        ({"name": "x", "_primarycontactid_value": str(uuid.UUID(int=5))}, "0x80048d19"),
        ({"name": "x", "contact_customer_accounts": {"lastname": "x"}}, "0x80048d19"),
        ({"name": "x", "primarycontactid": [{}]}, "0x80048d19"),
        (b'{"name":"a","name":"b"}', "0x80048d19"),
        (b'{"creditlimit":NaN}', "0x80048d19"),
        (b'{"numberofemployees":' + b"9" * 4000 + b"}", "0x80048d19"),
        (b"[]", "0x80048d19"),
        (b"", "0x80048d19"),
        (b"{" * 5000, "0x80048d19"),
    ],
)
async def test_a_body_that_cannot_be_written_is_refused_with_its_code(
    site: Installation, admin: Person, body: object, found: str | None
) -> None:
    before = await accounts(site, "x")
    answer = await send(admin, "POST", f"{A}/accounts", body)
    assert answer.status in (400, 404), answer.text
    assert found is None or code(answer) == found, answer.text
    assert await accounts(site, "x") == before
    assert not site.faults


async def test_rows_nested_too_deep_or_too_many_are_refused(site: Installation, admin: Person) -> None:
    deep: dict[str, Any] = {"name": "Deep"}
    for _ in range(7):
        deep = {"name": "Deep", "account_parent_account": [deep]}
    assert (await send(admin, "POST", f"{A}/accounts", deep)).status == 400
    wide = {"name": "Wide", "contact_customer_accounts": [{"lastname": "w"}] * 1001}
    assert (await send(admin, "POST", f"{A}/accounts", wide)).status == 413
    assert await accounts(site, "Deep") + await accounts(site, "Wide") == 0


# ---------------------------------------------------------------------------------------------- update, upsert


async def test_a_patch_updates_what_is_there_and_creates_what_is_not(site: Installation, admin: Person) -> None:
    key = str(uuid.uuid4())
    made = await send(admin, "PATCH", f"{A}/accounts({key})", {"name": "Upserted"})
    assert (made.status, id_of(made)) == (204, key)
    changed = await send(admin, "PATCH", f"{A}/accounts({key})", {"description": "later"})
    assert (changed.status, id_of(changed)) == (204, key)
    assert "location" not in changed.headers
    row = await account(site, key)
    assert row is not None and (row["name"], row["description"]) == ("Upserted", "later")


async def test_an_upsert_that_prefers_the_row_tells_which_it_was(admin: Person) -> None:
    key = uuid.uuid4()
    made = await send(admin, "PATCH", f"{A}/accounts({key})?$select=name", {"name": "One"}, SHOWN)
    assert (made.status, made.json["name"]) == (201, "One")
    changed = await send(admin, "PATCH", f"{A}/accounts({key})?$select=name", {"name": "Two"}, SHOWN)
    assert (changed.status, changed.json["name"]) == (200, "Two")


async def test_an_upsert_by_alternate_key_sets_the_key_and_echoes_it(site: Installation, admin: Person) -> None:
    target = f"{A}/cdm_companies(cdm_companycode='zz02')"
    made = await send(admin, "PATCH", target, {"cdm_name": "Upserted"})
    assert (made.status, made.headers["odata-entityid"]) == (204, f"http://portal.test{target}")
    changed = await send(admin, "PATCH", target, {"cdm_name": "Changed", "cdm_companycode": "zz02"})
    assert changed.status == 204
    rows = await site.dataverse("select cdm_name from dataverse.cdm_company where cdm_companycode = 'zz02'")
    assert [row[0] for row in rows] == ["Changed"]
    other = await send(admin, "PATCH", target, {"cdm_companycode": "zz03"})
    assert other.status == 400, "the key of the URL and the body disagree"


async def test_an_alternate_key_that_is_taken_is_named(admin: Person) -> None:
    await create(admin, "cdm_companies", {"cdm_companycode": "zz04"})
    again = await send(admin, "POST", f"{A}/cdm_companies", {"cdm_companycode": "zz04"})
    assert (again.status, code(again)) == (412, "0x80060892")
    assert "cdm_companycode" in again.json["error"]["message"]


async def test_conditions_keep_an_upsert_to_one_of_the_two(site: Installation, admin: Person) -> None:
    key = str(uuid.uuid4())
    absent = await send(admin, "PATCH", f"{A}/accounts({key})", {"name": "No"}, {"if-match": "*"})
    assert (absent.status, code(absent)) == (404, "0x80040217")
    assert await account(site, key) is None
    made = await send(admin, "PATCH", f"{A}/accounts({key})", {"name": "New"}, {"if-none-match": "*"})
    assert made.status == 204
    twice = await send(admin, "PATCH", f"{A}/accounts({key})", {"name": "Newer"}, {"if-none-match": "*"})
    assert twice.status == 412
    assert (await account(site, key) or {})["name"] == "New"
    both = {"if-none-match": "*", "if-match": "*"}
    assert (await send(admin, "PATCH", f"{A}/accounts({key})", {"name": "Newer"}, both)).status == 400


async def test_a_stale_version_changes_and_deletes_nothing(site: Installation, admin: Person) -> None:
    key = await create(admin, "accounts", {"name": "Versioned"})
    target = f"{A}/accounts({key})"
    tag = (await admin.get(target)).headers["etag"]
    assert (await send(admin, "PATCH", target, {"name": "Newer"}, {"if-match": tag})).status == 204
    for method, body in (("PATCH", {"name": "Late"}), ("DELETE", None)):
        late = await send(admin, method, target, body, {"if-match": tag})
        assert (late.status, code(late)) == (412, "0x80060882")
    assert (await send(admin, "PUT", f"{target}/name", {"value": "Late"}, {"if-match": tag})).status == 412
    assert (await account(site, key) or {})["name"] == "Newer"
    tag = (await admin.get(target)).headers["etag"]
    assert (await send(admin, "DELETE", target, None, {"if-match": tag})).status == 204
    assert await account(site, key) is None


async def test_a_version_of_a_row_that_is_gone_does_not_bring_it_back(site: Installation, admin: Person) -> None:
    key = uuid.uuid4()
    answer = await send(admin, "PATCH", f"{A}/accounts({key})", {"name": "Back"}, {"if-match": 'W/"1"'})
    assert answer.status == 404
    assert await accounts(site, "Back") == 0


async def test_one_property_is_put_and_emptied(site: Installation, admin: Person) -> None:
    key = await create(admin, "accounts", {"name": "One", "description": "text"})
    target = f"{A}/accounts({key})"
    assert (await send(admin, "PUT", f"{target}/name", {"value": "Other"})).status == 204
    assert (await send(admin, "DELETE", f"{target}/description")).status == 204
    row = await account(site, key)
    assert row is not None and (row["name"], row["description"]) == ("Other", None)
    for name, body in (("accountid", {"value": key}), ("name", {"x": 1}), ("_primarycontactid_value", {"value": None})):
        assert (await send(admin, "PUT", f"{target}/{name}", body)).status == 400, name
    assert (await send(admin, "PUT", f"{target}/nothing", {"value": 1})).status == 404


async def test_a_delete_is_told_once(site: Installation, admin: Person) -> None:
    key = await create(admin, "accounts", {"name": "Short-lived"})
    first = await send(admin, "DELETE", f"{A}/accounts({key})", None, {"if-match": "*"})
    assert (first.status, first.body) == (204, b"")
    again = await send(admin, "DELETE", f"{A}/accounts({key})", None, {"if-match": "*"})
    assert (again.status, code(again)) == (404, "0x80040217")


# ---------------------------------------------------------------------------------------------- $ref


async def test_a_row_joins_a_collection_and_leaves_it(site: Installation, admin: Person) -> None:
    above = await create(admin, "accounts", {"name": "Above"})
    below = [await create(admin, "contacts", {"lastname": str(n)}) for n in range(3)]
    target = f"{A}/accounts({above})/contact_customer_accounts"
    for key in below:
        body = {"@odata.id": f"http://portal.test{A}/contacts({key})"}
        assert (await send(admin, "POST", f"{target}/$ref", body)).status == 204
    query = "select contactid::text from dataverse.contact where parentcustomerid = $1"
    assert {row[0] for row in await site.dataverse(query, uuid.UUID(above))} == set(below)
    assert (await send(admin, "DELETE", f"{target}({below[0]})/$ref")).status == 204
    address = f"http://portal.test{A}/contacts({below[1]})"
    assert (await send(admin, "DELETE", url(f"{target}/$ref", _id=address))).status == 204
    assert [row[0] for row in await site.dataverse(query, uuid.UUID(above))] == [below[2]]
    assert (await send(admin, "DELETE", f"{target}({below[0]})/$ref")).status == 404, "it is not among them"
    assert (await send(admin, "DELETE", f"{target}/$ref")).status == 400, "which one?"
    assert (await send(admin, "PUT", f"{target}/$ref", {"@odata.id": address})).status == 405


async def test_a_lookup_is_set_and_emptied_by_reference(site: Installation, admin: Person) -> None:
    key = await create(admin, "accounts", {"name": "Referring"})
    person = await create(admin, "contacts", {"lastname": "Referred"})
    target = f"{A}/accounts({key})/primarycontactid/$ref"
    assert (await send(admin, "PUT", target, {"@odata.id": f"contacts({person})"})).status == 204
    assert str((await account(site, key) or {})["primarycontactid"]) == person
    assert (await send(admin, "DELETE", target)).status == 204
    assert (await account(site, key) or {})["primarycontactid"] is None
    absent = await send(admin, "PUT", target, {"@odata.id": f"contacts({uuid.uuid4()})"})
    assert absent.status == 404
    assert (await send(admin, "PUT", target, {"@odata.id": f"accounts({key})"})).status == 400


async def test_pairs_are_made_and_removed(site: Installation, admin: Person) -> None:
    team = await create(admin, "teams", {"name": f"Team {uuid.uuid4()}"})
    user = (await site.dataverse("select systemuserid::text from dataverse.systemuser limit 1"))[0][0]
    target = f"{A}/teams({team})/teammembership_association"
    body = {"@odata.id": f"systemusers({user})"}
    assert (await send(admin, "POST", f"{target}/$ref", body)).status == 204
    query = "select systemuserid::text from dataverse.teammembership where teamid = $1"
    assert [row[0] for row in await site.dataverse(query, uuid.UUID(team))] == [user]
    assert (await send(admin, "POST", f"{target}/$ref", body)).status == 412
    assert (await send(admin, "DELETE", f"{target}({user})/$ref")).status == 204
    assert await site.dataverse(query, uuid.UUID(team)) == []
    assert (await send(admin, "DELETE", f"{target}({user})/$ref")).status == 404


# ---------------------------------------------------------------------------------------------- bulk


async def test_many_rows_are_made_changed_and_upserted_in_one_request(site: Installation, admin: Person) -> None:
    targets: list[dict[str, Any]] = [{"@odata.type": f"{CRM}.account", "name": f"Many {n}"} for n in range(20)]
    made = await send(admin, "POST", f"{A}/accounts/{CRM}.CreateMultiple", {"Targets": targets})
    assert made.status == 200, made.text
    ids = made.json["Ids"]
    assert made.json["@odata.context"].endswith(f"#{CRM}.CreateMultipleResponse")
    assert [(await account(site, key) or {})["name"] for key in ids] == [f"Many {n}" for n in range(20)]
    changes = [{"@odata.type": f"#{CRM}.account", "accountid": key, "description": "changed"} for key in ids]
    changed = await send(admin, "POST", f"{A}/accounts/{CRM}.UpdateMultiple", {"Targets": changes})
    assert (changed.status, changed.body) == (204, b"")
    assert {(await account(site, key) or {})["description"] for key in ids} == {"changed"}
    upserts = [
        {"@odata.type": f"{CRM}.cdm_company", "@odata.id": "cdm_companies(cdm_companycode='zz10')", "cdm_name": "A"},
        {"@odata.type": f"{CRM}.cdm_company", "cdm_companycode": "zz11", "cdm_name": "B"},
        {"@odata.type": f"{CRM}.cdm_company", "cdm_companycode": "zz10", "cdm_name": "C"},
    ]
    done = await send(admin, "POST", f"{A}/cdm_companies/{CRM}.UpsertMultiple", {"Targets": upserts})
    assert done.status in (200, 204), done.text
    rows = await site.dataverse(
        "select cdm_companycode, cdm_name from dataverse.cdm_company "
        "where cdm_companycode in ('zz10', 'zz11') order by 1"
    )
    assert [tuple(row) for row in rows] == [("zz10", "C"), ("zz11", "B")]


async def test_a_bulk_action_is_all_or_nothing(site: Installation, admin: Person) -> None:
    key = await create(admin, "accounts", {"name": "Kept"})
    targets = [{"name": "Half"}, {"name": "Half", "accountid": key}]
    assert (await send(admin, "POST", f"{A}/accounts/{CRM}.CreateMultiple", {"Targets": targets})).status == 412
    changes = [{"accountid": key, "name": "Half"}, {"accountid": str(uuid.uuid4()), "name": "Half"}]
    absent = await send(admin, "POST", f"{A}/accounts/{CRM}.UpdateMultiple", {"Targets": changes})
    assert (absent.status, code(absent)) == (404, "0x80040217")
    assert await accounts(site, "Half") == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Targets": []},
        {"Targets": {}},
        {"Targets": [5]},
        {"Targets": [{"name": "No key"}]},
        {"Targets": [{"@odata.type": f"{CRM}.contact", "accountid": str(uuid.UUID(int=1)), "name": "x"}]},
        {"Targets": [{"@odata.id": f"contacts({uuid.UUID(int=1)})", "name": "x"}]},
        {"Targets": [{"accountid": str(uuid.UUID(int=1))}]},
    ],
)
async def test_targets_that_make_no_sense_are_refused(site: Installation, admin: Person, body: object) -> None:
    answer = await send(admin, "POST", f"{A}/accounts/{CRM}.UpdateMultiple", body)
    assert answer.status == 400, answer.text
    assert not site.faults


async def test_unknown_operations_are_not_found(admin: Person) -> None:
    for path in (f"accounts/{CRM}.DeleteMultiple", "accounts/CreateMultiple", f"accounts/{CRM}.X", f"{CRM}.Merge"):
        answer = await send(admin, "POST", f"{A}/{path}", {"Targets": []})
        assert answer.status in (404, 405), (path, answer.status)


# ---------------------------------------------------------------------------------------------- virtual tables


async def test_a_virtual_row_is_never_made_by_a_patch(site: Installation, admin: Person) -> None:
    entity = site.forecourt.definitions.tables.by_name[sample.ORDERS].entity
    target = f"{A}/{entity.collection}({site.row_id(sample.ORDERS, 42)})"
    before = await site.value("select count(*) from erp.purchtable")
    for headers in ({}, {"if-match": "*"}, {"if-none-match": "*"}):
        answer = await send(admin, "PATCH", target, {"mserp_deliveryaddressname": "x"}, headers)
        assert answer.status == 404, answer.text
    assert await site.value("select count(*) from erp.purchtable") == before


async def test_who_has_no_security_role_for_a_table_writes_nothing_to_it(site: Installation) -> None:
    vendor = site.signed_up(sample.case(site).usernames[0])
    key = (await site.dataverse("select accountid::text from dataverse.account limit 1"))[0][0]
    for method, target, body in (
        ("POST", "accounts", {"name": "x"}),
        ("PATCH", f"accounts({key})", {"name": "x"}),
        ("PATCH", f"accounts({uuid.uuid4()})", {"name": "x"}),
        ("DELETE", f"accounts({key})", None),
        ("PUT", f"accounts({key})/name", {"value": "x"}),
        ("POST", f"accounts/{CRM}.CreateMultiple", {"Targets": [{"name": "x"}]}),
        ("DELETE", f"accounts({key})/primarycontactid/$ref", None),
    ):
        answer = await send(vendor, method, f"{A}/{target}", body)
        assert (answer.status, code(answer)) == (403, "0x80040220"), (method, target, answer.text)
    assert not site.faults
