"""Dataverse's security roles at the Web API: depth, ownership, and how soon a change of either counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from forecourt.app import Databases, prepare
from forecourt.security.standing import id_of
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from support.contoso import ROOT, TEMPLATE, credentials, ensure_loaded
from support.server import Answer, Installation, Person, cloned, installed

WEB = "/api/data/v9.2"

ROLES = """
roles:
  Keeper:
    tables:
      account:
        {read: organization, create: user, write: user, delete: user, append: user, append_to: user, assign: user}
      contact: {read: user, create: user, write: user, append: user, append_to: user}
  Reader of its unit:
    tables:
      account: {read: business_unit}
      contact: {read: business_unit}
  Climber:
    tables:
      systemuser: [read, write, create, append, append_to]
      systemuserroles: [read, create, delete, append]
      team: [read, write, append_to]
      role: [read, write, append_to]
      teammembership: [read, create, append]
users:
  admin: [System Administrator]
"""


PLUGINS = """
from forecourt.dataverse.plugins import PluginError, plugin


@plugin("Create", "account", "pre-operation")
@plugin("Update", "account", "pre-operation", filtering=["name"])
async def no_jokes(context):
    if "joke" in context.target.get("name", ""):
        raise PluginError("This is no place for jokes.")
"""


@pytest.fixture
async def site(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Installation]:
    """The sample company with roles and a plug-in of this test's own."""
    root = tmp_path / "contoso"
    shutil.copytree(ROOT, root)
    (root / "dataverse" / "roles.yaml").write_text(ROLES)
    (root / "dataverse" / "plugins.py").write_text(PLUGINS)
    await ensure_loaded(postgres)
    async with cloned(postgres, TEMPLATE) as address:
        database = await Database.open(address, lane_size=2)
        await prepare(root, Databases(database, database, None))
        await database.close()
        async with installed(root, address, "", credentials()) as opened:
            yield opened


@pytest.fixture
def admin(site: Installation) -> Person:
    return site.signed_up("admin")


@pytest.fixture
async def clerk(site: Installation) -> Person:
    """Somebody of the operations side, who has been at the door before."""
    person = site.signed_up("purch.clerk")
    assert (await person.get(f"{WEB}/WhoAmI")).status == 200
    return person


async def send(person: Person, method: str, path: str, body: object = None, **headers: str) -> Answer:
    given = {**await person.headers(WEB), "content-type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await person.site.ask(method, WEB + path, given, b"" if body is None else json.dumps(body).encode())


async def names(person: Person, table: str = "accounts") -> list[str]:
    column = "name" if table == "accounts" else "lastname"
    rows = await person.everything(f"{WEB}/{table}?$select={column}")
    return sorted(row[column] for row in rows if str(row[column]).startswith("Z "))


async def make(person: Person, name: str, **more: object) -> str:
    """An account; its id."""
    row = str(uuid4())
    answer = await send(person, "POST", "/accounts", {"accountid": row, "name": f"Z {name}", **more})
    assert answer.status == 204, answer.text
    return row


async def give(site: Installation, person: Person, *roles: str) -> UUID:
    """Roles for a user, by plain SQL; the user's id."""
    user = id_of("systemuser", f"user/{person.operations_user}")
    for role in roles:
        await site.dataverse(
            "insert into dataverse.systemuserroles (systemuserid, roleid) values ($1, $2)", user, id_of("role", role)
        )
    return user


def refused(answer: Answer, code: str, status: int) -> None:
    found = answer.json["error"]["code"] if answer.body else ""
    assert (found, answer.status) == (code, status), answer.text


async def who(person: Person) -> dict[str, Any]:
    return dict((await person.get(f"{WEB}/WhoAmI()")).json)


async def test_everybody_learns_who_they_are(site: Installation, admin: Person, clerk: Person) -> None:
    mine, theirs = await who(clerk), await who(admin)
    assert mine["@odata.context"].endswith("/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse")
    assert mine["UserId"] == str(id_of("systemuser", "user/purch.clerk")) != theirs["UserId"]
    assert mine["OrganizationId"] == theirs["OrganizationId"]
    units = await site.dataverse("select businessunitid from dataverse.businessunit where parentbusinessunitid is null")
    assert mine["BusinessUnitId"] == theirs["BusinessUnitId"] == str(units[0][0])


async def test_without_a_role_nothing_of_a_native_table_is_open(clerk: Person) -> None:
    refused(await clerk.get(f"{WEB}/accounts"), "0x80040220", 403)
    refused(await clerk.get(f"{WEB}/accounts/$count"), "0x80040220", 403)
    refused(await send(clerk, "POST", "/accounts", {"name": "Z x"}), "0x80040220", 403)
    refused(await clerk.get(f"{WEB}/systemusers"), "0x80040220", 403)


async def test_people_of_the_portal_have_no_security_role(site: Installation) -> None:
    vendor = site.in_role("Vendors")
    refused(await vendor.get(f"{WEB}/accounts"), "0x80040220", 403)
    refused(await vendor.get(f"{WEB}/contacts({vendor.contact})"), "0x80040220", 403)
    assert (await vendor.get(f"{WEB}/mserp_purchpurchaseorderheaderv2entities?$top=1")).status == 200


async def test_a_row_belongs_to_who_makes_it_and_others_only_read_it(
    site: Installation, admin: Person, clerk: Person
) -> None:
    user = await give(site, clerk, "Keeper")
    theirs, mine = await make(admin, "theirs"), await make(clerk, "mine")
    assert await names(clerk) == ["Z mine", "Z theirs"]
    row = (await clerk.get(f"{WEB}/accounts({mine})")).json
    assert row["_ownerid_value"] == row["_createdby_value"] == row["_owninguser_value"] == str(user)
    assert row["_owningbusinessunit_value"] == (await who(clerk))["BusinessUnitId"]
    assert (await send(clerk, "PATCH", f"/accounts({mine})", {"name": "Z renamed"})).status == 204
    refused(await send(clerk, "PATCH", f"/accounts({theirs})", {"name": "Z taken"}), "0x80048306", 403)
    refused(await send(clerk, "PATCH", f"/accounts({theirs})", {"name": "x"}, if_match="*"), "0x80048306", 403)
    refused(await send(clerk, "DELETE", f"/accounts({theirs})"), "0x80048306", 403)
    refused(await send(clerk, "DELETE", f"/accounts({uuid4()})"), "0x80040217", 404)
    assert (await send(clerk, "DELETE", f"/accounts({mine})")).status == 204
    assert await names(clerk) == ["Z theirs"]
    assert site.faults == []


async def test_depth_decides_in_every_way_to_a_row(site: Installation, admin: Person, clerk: Person) -> None:
    user = await give(site, clerk, "Keeper")
    hidden, shown = str(uuid4()), str(uuid4())
    account = await make(admin, "theirs")
    for row, owner in ((hidden, None), (shown, user)):
        body = {
            "contactid": row,
            "lastname": f"Z {row}",
            "parentcustomerid_account@odata.bind": f"/accounts({account})",
        }
        body |= {"ownerid@odata.bind": f"/systemusers({owner})"} if owner else {}
        answer = await send(admin, "POST", "/contacts", body)
        assert answer.status == 204, answer.text
    assert await names(clerk, "contacts") == [f"Z {shown}"]
    refused(await clerk.get(f"{WEB}/contacts({hidden})"), "0x80040217", 404)
    assert (await clerk.get(f"{WEB}/contacts/$count")).text.lstrip("\ufeff") == "1"
    beneath = "contact_customer_accounts"
    relations = site.forecourt.definitions.tables.by_name["account"].entity.relations
    collection = next(r.name for r in relations.values() if r.many and r.target == "contact" and r.name == beneath)
    row = (await clerk.get(f"{WEB}/accounts({account})?$expand={collection}($select=contactid)")).json
    assert [item["contactid"] for item in row[collection]] == [shown]
    filtered = f"{WEB}/accounts?$select=name&$filter={collection}/any(c:c/contactid eq {hidden})".replace(" ", "%20")
    assert (await clerk.get(filtered)).rows == []
    bind = {"primarycontactid@odata.bind": f"/contacts({hidden})"}
    mine = await make(clerk, "mine")
    refused(await send(clerk, "PATCH", f"/accounts({mine})", bind), "0x80040217", 404)
    assert site.faults == []


async def test_a_lookup_takes_only_rows_that_may_be_appended_to(
    site: Installation, admin: Person, clerk: Person
) -> None:
    await give(site, clerk, "Keeper")
    theirs, mine = await make(admin, "theirs"), await make(clerk, "mine")
    row = {"lastname": "Z x", "parentcustomerid_account@odata.bind": f"/accounts({theirs})"}
    refused(await send(clerk, "POST", "/contacts", row), "0x80048306", 403)
    row["parentcustomerid_account@odata.bind"] = f"/accounts({mine})"
    assert (await send(clerk, "POST", "/contacts", row)).status == 204


async def test_a_role_assigned_and_taken_away_through_the_api_counts_at_once(
    site: Installation, admin: Person, clerk: Person
) -> None:
    user = (await who(clerk))["UserId"]
    await make(admin, "theirs")
    pair = {"systemuserid": user, "roleid": str(id_of("role", "Reader of its unit"))}
    answer = await send(admin, "POST", "/systemuserrolescollection", pair)
    assert answer.status == 204, answer.text
    assert await names(clerk) == ["Z theirs"]
    made = answer.headers["odata-entityid"].removeprefix(f"http://portal.test{WEB}")
    assert (await send(admin, "DELETE", made)).status == 204
    refused(await clerk.get(f"{WEB}/accounts"), "0x80040220", 403)


async def test_a_business_unit_of_its_own_and_a_team_across(site: Installation, admin: Person, clerk: Person) -> None:
    user = await give(site, clerk, "Reader of its unit")
    unit, team = str(uuid4()), str(uuid4())
    await make(admin, "of the root")
    assert (await send(admin, "POST", "/businessunits", {"businessunitid": unit, "name": "West"})).status == 204
    west = {"teamid": team, "name": "West people", "businessunitid@odata.bind": f"/businessunits({unit})"}
    assert (await send(admin, "POST", "/teams", west)).status == 204
    await make(admin, "of the west", **{"ownerid@odata.bind": f"/teams({team})"})
    assert await names(clerk) == ["Z of the root"]
    moved = {"businessunitid@odata.bind": f"/businessunits({unit})"}
    assert (await send(admin, "PATCH", f"/systemusers({user})", moved)).status == 204
    assert await names(clerk) == ["Z of the west"]
    role = {"teamid": team, "roleid": str(id_of("role", "Keeper"))}
    assert (await send(admin, "POST", "/teamrolescollection", role)).status == 204
    member = {"teamid": team, "systemuserid": str(user)}
    assert (await send(admin, "POST", "/teammemberships", member)).status == 204
    assert await names(clerk) == ["Z of the root", "Z of the west"]
    answer = await send(admin, "DELETE", f"/businessunits({unit})")
    refused(answer, "0x80040227", 405)
    refused(await send(admin, "DELETE", f"/teams({team})"), "0x80040227", 405)


async def test_nobody_gives_rights_to_themselves(site: Installation, clerk: Person) -> None:
    user = await give(site, clerk, "Climber")
    boss = str(id_of("role", "System Administrator"))
    pair = {"systemuserid": str(user), "roleid": boss}
    refused(await send(clerk, "POST", "/systemuserrolescollection", pair), "0x80040220", 403)
    refused(await send(clerk, "PATCH", f"/systemusers({user})", {"domainname": "admin"}), "0x80040220", 403)
    refused(await send(clerk, "PATCH", f"/roles({boss})", {"name": "mine"}), "0x80040220", 403)
    teams = await site.dataverse("select teamid from dataverse.team")
    member = {"systemuserid": str(user), "teamid": str(teams[0][0])}
    refused(await send(clerk, "POST", "/teammemberships", member), "0x80040220", 403)
    assert site.faults == []


async def test_changes_are_tracked_over_http(site: Installation, admin: Person) -> None:
    first = await make(admin, "first")
    answer = await admin.get(f"{WEB}/accounts?$select=name", {"prefer": "odata.track-changes"})
    assert answer.headers["preference-applied"] == "odata.track-changes"
    link = answer.json["@odata.deltaLink"].removeprefix("http://portal.test")
    assert (await send(admin, "DELETE", f"/accounts({first})")).status == 204
    await make(admin, "second")
    found = (await admin.get(link)).rows
    assert [row["name"] for row in found if "name" in row] == ["Z second"]
    assert [row["id"] for row in found if "reason" in row] == [first]
    expired = await admin.get(f"{WEB}/accounts?$deltatoken=919042!08/22/2017")
    assert (expired.status, expired.refusal) == (400, "FC1007")
    assert site.faults == []


async def test_a_disabled_user_of_either_side_is_out_at_once(site: Installation, admin: Person, clerk: Person) -> None:
    user = await give(site, clerk, "Keeper")
    await make(clerk, "mine")
    assert (await send(admin, "PATCH", f"/systemusers({user})", {"isdisabled": True})).status == 204
    refused(await clerk.get(f"{WEB}/accounts"), "0x80040220", 403)
    refused(await clerk.get(f"{WEB}/WhoAmI"), "0x80072560", 403)
    assert (await send(admin, "PATCH", f"/systemusers({user})", {"isdisabled": False})).status == 204
    assert await names(clerk) == ["Z mine"]
    await site.sql("update erp.userinfo set enable = 0 where id = 'purch.clerk'")
    assert (await clerk.get(f"{WEB}/accounts")).status in (401, 403)


async def test_a_plug_in_of_the_solution_turns_writes_down(site: Installation, admin: Person) -> None:
    answer = await send(admin, "POST", "/accounts", {"name": "Z joke"})
    refused(answer, "0x80040265", 400)
    assert answer.json["error"]["message"] == "This is no place for jokes."
    made = await make(admin, "serious")
    refused(await send(admin, "PATCH", f"/accounts({made})", {"name": "joke"}), "0x80040265", 400)
    assert (await send(admin, "PATCH", f"/accounts({made})", {"telephone1": "joke"})).status == 204
    assert site.faults == []


async def test_a_company_comes_with_the_team_that_owns_its_rows(site: Installation, admin: Person) -> None:
    row = str(uuid4())
    company = {"cdm_companyid": row, "cdm_companycode": "zzzz", "cdm_name": "Z"}
    assert (await send(admin, "POST", "/cdm_companies", company)).status == 204
    found = await site.dataverse(
        "select t.name, u.name as unit from dataverse.cdm_company c"
        " join dataverse.team t on t.teamid = c.cdm_defaultowningteam"
        " join dataverse.businessunit u on u.businessunitid = t.businessunitid where c.cdm_companyid = $1",
        UUID(row),
    )
    assert [tuple(item) for item in found] == [("zzzz Dual Write", "zzzz")]
    cleared = {"cdm_defaultowningteam": None}
    refused(await send(admin, "PATCH", f"/cdm_companies({row})", cleared), "0x80048d19", 400)
    refused(await send(admin, "PATCH", f"/cdm_companies({row})", {"cdm_companycode": "yyyy"}), "0x80048d19", 400)
    assert site.faults == []


async def test_a_hidden_row_and_one_that_is_not_there_answer_alike(
    site: Installation, admin: Person, clerk: Person
) -> None:
    """Also where it is written: an id that is taken must not be told from one that is free."""
    await give(site, clerk, "Keeper")
    hidden, absent = str(uuid4()), str(uuid4())
    row = {"contactid": hidden, "lastname": "Z hidden"}
    assert (await send(admin, "POST", "/contacts", row)).status == 204
    change = {"lastname": "Z changed"}
    target = {**change, "@odata.type": "Microsoft.Dynamics.CRM.contact"}
    multiple = "/contacts/Microsoft.Dynamics.CRM"
    for method, path, body, headers in (
        ("GET", "/contacts({0})", None, {}),
        ("PATCH", "/contacts({0})", change, {}),
        ("PATCH", "/contacts({0})", change, {"if_match": "*"}),
        ("PATCH", "/contacts({0})", change, {"if_match": 'W/"1"'}),
        ("PATCH", "/contacts({0})", change, {"if_none_match": "*"}),
        ("PATCH", "/contacts({0})", {}, {}),
        ("PATCH", "/contacts({0})", {}, {"if_none_match": "*"}),
        ("PUT", "/contacts({0})/lastname", {"value": "Z changed"}, {}),
        ("DELETE", "/contacts({0})/lastname", None, {}),
        ("DELETE", "/contacts({0})", None, {}),
        ("DELETE", "/contacts({0})", None, {"if_match": 'W/"1"'}),
        ("POST", "/contacts", {**change, "contactid": "{0}"}, {}),
        ("POST", f"{multiple}.CreateMultiple", {"Targets": [{**target, "contactid": "{0}"}]}, {}),
        ("POST", f"{multiple}.UpdateMultiple", {"Targets": [{**target, "contactid": "{0}"}]}, {}),
        ("POST", f"{multiple}.UpsertMultiple", {"Targets": [{**target, "@odata.id": "contacts({0})"}]}, {}),
        ("POST", "/contacts", {**change, "parentcustomerid_contact@odata.bind": "/contacts({0})"}, {}),
        ("PUT", "/contacts({0})/parentcustomerid_contact/$ref", {"@odata.id": "/contacts({0})"}, {}),
        ("DELETE", "/contacts({0})/parentcustomerid_contact/$ref", None, {}),
        ("POST", "/contacts({0})/contact_customer_contacts/$ref", {"@odata.id": "/contacts({0})"}, {}),
    ):
        found = []
        for item in (hidden, absent):
            sent = None if body is None else json.loads(json.dumps(body).replace("{0}", item))
            answer = await send(clerk, method, path.replace("{0}", item), sent, **headers)
            found.append((answer.status, answer.text.replace(item, "…"), sorted(answer.headers)))
        assert found[0] == found[1], (method, path, body, headers)
        assert found[0][0] >= 400
    rows = await site.dataverse("select lastname from dataverse.contact where contactid = $1", UUID(hidden))
    assert [row[0] for row in rows] == ["Z hidden"]
    assert await names(clerk, "contacts") == []


async def test_who_reads_the_whole_table_chooses_ids_and_learns_which_key_is_taken(
    site: Installation, admin: Person, clerk: Person
) -> None:
    await give(site, clerk, "Keeper")
    chosen = str(uuid4())
    assert (await send(clerk, "PATCH", f"/accounts({chosen})", {"name": "Z chosen"})).status == 204
    assert (await send(clerk, "PATCH", f"/accounts({chosen})", {"name": "Z again"})).status == 204
    refused(await send(clerk, "PATCH", f"/accounts({chosen})", {}, if_none_match="*"), "0x80040237", 412)
    assert await names(clerk) == ["Z again"]
