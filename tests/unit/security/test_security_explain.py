"""Explain says of every layer what it admits and why, its doors are what requests get, and its changes work."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Door
from forecourt.security.explain import Answer, Asked, Question, Verdict
from forecourt.security.explain.subject import Doing
from support import contoso as sample
from support.server import Installation, url

ORDERS = "PurchaseOrderHeadersV2"
ANNA = "anna.berg@northwind-parts.example"
NORA = "nora.falk@baltic-tooling.example"


async def asked(site: Installation, who: str) -> Asked:
    return await site.forecourt.people.find(who)


async def answers(
    site: Installation, who: str, table: str, key: str | None = None, question: Question | None = None
) -> dict[str, Answer]:
    explainer = site.forecourt.explainer
    found = await explainer.explain(await asked(site, who), explainer.subject(table, key), question or Question())
    return {answer.door: answer for answer in found}


def verdicts(answer: Answer) -> dict[tuple[str, str], Verdict]:
    return {(verdict.layer, verdict.rule): verdict for layer in answer.layers for verdict in layer.verdicts}


def steps(answer: Answer) -> list[str]:
    """The steps of the smallest change."""
    return [change.text for change in answer.changes[0]] if answer.changes else []


async def hidden(site: Installation) -> str:
    """An order of another vendor, in the legal entity of the first one."""
    rows = await site.sql("select dataareaid, purchid from erp.purchtable where orderaccount = 'US-102' limit 1")
    return ",".join(rows[0])


async def test_counts_of_layers_and_doors_are_those_of_requests(contoso: Installation) -> None:
    case = sample.case(contoso)
    person = case.person(0)
    own = len(await case.own(person))
    found = await answers(contoso, person.username, ORDERS)
    assert [answer.rows for answer in found.values()] == [own] * 5
    portal = verdicts(found["portal"])
    assert portal["policy", "VendProfileAccount"].rows == own
    assert portal["table permission", "Vendor: own purchase orders"].rows == own
    assert portal["legal entity", "v-us-101"].rows == await contoso.value(
        "select count(*) from erp.purchtable where dataareaid = 'usmf'"
    )
    for door in ("data", "web", "api"):
        surface = case.surface(door)
        counted = await person.get(url(surface.set(case.orders) + "/$count", **surface.options))
        assert counted.text == str(own)


async def test_layers_come_in_the_order_of_the_chain(contoso: Installation) -> None:
    found = await answers(contoso, ANNA, ORDERS, None, Question(column="OrderVendorAccountNumber"))
    chain = ["mapping", "privilege, read", "legal entity", "policy", "column"]
    assert [layer.layer for layer in found["portal"].layers] == ["table permission", *chain]
    assert [layer.layer for layer in found["portal_api"].layers] == ["site setting", "table permission", *chain]
    assert [layer.layer for layer in found["dataverse"].layers] == ["security role, read", *chain]
    assert [layer.layer for layer in found["operations"].layers] == chain


@pytest.mark.parametrize("form", ["plain", "odata", "guid"])
async def test_a_row_is_named_by_its_values_its_odata_key_or_its_guid(contoso: Installation, form: str) -> None:
    case = sample.case(contoso)
    person = case.person(0)
    own = (await case.own(person))[0]
    table = case.surface("web").table(case.orders)
    key = {
        "plain": ",".join(map(str, own.key)),
        "odata": f"dataAreaId='{own.key[0]}',PurchaseOrderNumber='{own.key[1]}'",
        "guid": str(contoso.row_id(table, own.recid)),
    }[form]
    found = await answers(contoso, person.username, table, key)
    assert [answer.admits for answer in found.values()] == [True] * 5


async def test_a_hidden_row_names_the_rule_its_line_and_the_values(contoso: Installation) -> None:
    found = await answers(contoso, ANNA, ORDERS, await hidden(contoso))
    assert [answer.admits for answer in found.values()] == [False] * 5
    portal = verdicts(found["portal"])
    permission = portal["table permission", "Vendor: own purchase orders"]
    assert permission.admits is False
    assert [failed.text for failed in permission.failed] == [
        "purchtable.orderaccount = 'US-102' is not 'US-101' ($account.accountnumber)"
    ]
    policy = portal["policy", "VendProfileAccount"]
    assert "VendProfileAccount.yaml:" in policy.where
    assert policy.failed[0].text == (
        "purchtable.orderaccount, purchtable.dataareaid = ('US-102', 'usmf') is not among ('US-101', 'usmf') "
        "(by $user.id)"
    )
    assert policy.failed[1].text.startswith("there is no row in erp.contactperson with ")
    assert [layer.layer for layer in found["portal"].layers if not layer.admits] == ["table permission", "policy"]


async def test_a_nested_path_is_walked_to_the_table_where_it_ends(contoso: Installation) -> None:
    key = await hidden(contoso)
    line = await contoso.value("select min(linenumber) from erp.purchline where purchid = $1", key.split(",")[1])
    found = await answers(contoso, ANNA, "PurchaseOrderLinesV2", f"{key},{line}", Question(door=Door.OPERATIONS))
    policy = verdicts(found["operations"])["policy", "VendProfileAccount"]
    assert policy.failed[0].text.startswith("purchtable.orderaccount, purchtable.dataareaid = ('US-102', 'usmf')")


async def test_the_missing_row_of_a_membership_table_turns_the_verdict_when_it_is_there(contoso: Installation) -> None:
    key = await hidden(contoso)
    before = (await answers(contoso, "v-us-101", ORDERS, key, Question(door=Door.OPERATIONS)))["operations"]
    (step,) = before.changes[0]
    assert step.kind == "data"
    table, _, pairs = step.text.removeprefix("a row in ").partition(" with ")
    values = dict(pair.split(" = ") for pair in pairs.split(", "))
    assert table == "erp.contactperson"
    inserted = f"insert into {table} ({', '.join(values)}, recid) values ({', '.join(values.values())}, 99000001)"
    columns = await contoso.sql(
        "select column_name from information_schema.columns where table_schema = 'erp' and "
        "table_name = 'contactperson' and is_nullable = 'NO' and column_default is null"
    )
    needed = {row[0] for row in columns} - values.keys() - {"recid"}
    assert needed <= {"contactpersonid"}, needed
    if needed:
        inserted = inserted.replace("recid)", "recid, contactpersonid)").replace("99000001)", "99000001, 'X-1')")
    try:
        await contoso.sql(inserted)
        after = (await answers(contoso, "v-us-101", ORDERS, key, Question(door=Door.OPERATIONS)))["operations"]
        assert after.admits
    finally:
        await contoso.sql("delete from erp.contactperson where recid = 99000001")
    again = (await answers(contoso, "v-us-101", ORDERS, key, Question(door=Door.OPERATIONS)))["operations"]
    assert not again.admits


async def test_when_several_layers_fail_every_step_that_is_needed_is_named(contoso: Installation) -> None:
    rows = await contoso.sql("select dataareaid, purchid from erp.purchtable where dataareaid <> 'usmf' limit 1")
    key = ",".join(rows[0])
    found = (await answers(contoso, ANNA, ORDERS, key, Question(door=Door.OPERATIONS)))["operations"]
    assert not found.admits
    assert steps(found)[0] == f"role VendVendorExternal of v-us-101 in legal entity {rows[0][0]}"
    assert steps(found)[1].startswith("a row in erp.contactperson with ")
    assert len(steps(found)) == 2


async def test_who_is_not_mapped_is_offered_a_user_who_reaches_the_row(contoso: Installation) -> None:
    found = (await answers(contoso, NORA, ORDERS, await hidden(contoso), Question(door=Door.PORTAL)))["portal"]
    assert "acts as no operations user" in verdicts(found)["mapping", "mapping"].detail
    permission = verdicts(found)["table permission", "Vendor: own purchase orders"]
    assert permission.failed[0].text.endswith("the person has no account.accountnumber")
    assert steps(found) == [
        "put the contact under the account with accountnumber = 'US-102', msdyn_companycode = 'usmf'",
        f"map {NORA} to operations user v-us-102",
    ]


async def test_a_missing_privilege_names_the_roles_that_give_it(contoso: Installation) -> None:
    found = (await answers(contoso, "v-us-101", "SalesOrderHeadersV2"))["operations"]
    layer = next(layer for layer in found.layers if layer.layer == "privilege, read")
    assert not layer.admits
    assert "grants it" in layer.verdicts[0].detail
    assert steps(found)[0].startswith("give role CustCustomerExternal (privilege ")
    assert "roles.yaml:" in found.changes[0][0].where


async def test_a_row_that_does_not_exist_is_said_to_be_none(contoso: Installation) -> None:
    explainer = contoso.forecourt.explainer
    subject = explainer.subject(ORDERS, "usmf,PO-999999")
    found = await explainer.explanation(await asked(contoso, ANNA), subject, Question(), ORDERS, "usmf,PO-999999")
    assert found.found is False
    assert all(not answer.admits and not answer.changes for answer in found.answers)


async def test_an_administrator_is_explained_as_one(contoso: Installation) -> None:
    found = (await answers(contoso, "admin", ORDERS))["operations"]
    privilege = verdicts(found)["privilege, read", "admin"]
    assert (privilege.admits, privilege.detail) == (True, "is a system administrator")


async def test_a_native_table_is_explained_by_security_roles_and_table_permissions(contoso: Installation) -> None:
    contact = await contoso.dataverse("select contactid from dataverse.contact where emailaddress1 = $1", ANNA)
    key = str(contact[0][0])
    found = await answers(contoso, ANNA, "contact", key)
    assert set(found) == {"portal", "portal_api", "dataverse"}
    layer = next(layer for layer in found["dataverse"].layers if layer.layer == "security role, read")
    assert found["dataverse"].admits == layer.admits
    assert [layer.layer for layer in found["portal"].layers] == ["table permission"]


async def test_a_column_is_explained_by_the_setting_and_the_privilege_that_close_it(contoso: Installation) -> None:
    case = sample.case(contoso)
    own = ",".join(map(str, (await case.own(case.person(0)))[0].key))
    table = case.surface("web").table(case.orders)
    rules = contoso.forecourt.definitions.rules
    entity = contoso.forecourt.definitions.tables.model.entities[table]
    closed = sorted(set(entity.fields) - rules.portal.columns[table] - {entity.key[0]})
    if not closed:
        pytest.skip("every column is open")
    found = (await answers(contoso, ANNA, table, own, Question(column=closed[0], door=Door.PORTAL_API)))["portal_api"]
    assert not found.admits
    named = [text for text in steps(found) if text == f"add {closed[0]} to the site setting Webapi/{table}/fields"]
    fields = [text for text in steps(found) if text.startswith("add field ")]
    assert named
    assert len(named) + len(fields) == len(steps(found))


@pytest.mark.parametrize("operation", ["update", "delete", "create"])
async def test_operations_are_explained_by_their_own_rights(contoso: Installation, operation: Doing) -> None:
    case = sample.case(contoso)
    own = ",".join(map(str, (await case.own(case.person(0)))[0].key))
    found = (await answers(contoso, ANNA, ORDERS, own, Question(operation, door=Door.PORTAL)))["portal"]
    assert found.admits == all(layer.admits for layer in found.layers)
    assert any(layer.layer == f"privilege, {operation}" for layer in found.layers)
    if not found.admits:
        assert steps(found)


async def test_everybody_who_sees_a_row_is_found_and_nobody_else(contoso_alone: Installation) -> None:
    contoso = contoso_alone
    key = await hidden(contoso)
    forecourt = contoso.forecourt
    subject = forecourt.explainer.subject(ORDERS, key)
    found = await forecourt.reverse.who(subject, Question(), ORDERS, key)
    assert found.found
    by_door: dict[str, set[str]] = {}
    for seen in found.seen:
        by_door.setdefault(seen.door, set()).add(seen.identity)
        assert seen.rules
    assert by_door["operations"] == {"admin", "integration", "purch.clerk", "v-us-102"}
    assert by_door["dataverse"] == by_door["operations"]
    assert by_door["portal"] == {"marcus.hill@cascade-components.example"}
    people: Sequence[str] = ["admin", "v-us-101", "v-us-102", ANNA, NORA, "marcus.hill@cascade-components.example"]
    for who in (*people, "anonymous"):
        for answer in (await answers(contoso, who, ORDERS, key)).values():
            label = (await asked(contoso, who)).principal.label
            direct = answer.door not in ("portal", "portal_api")
            user = (await asked(contoso, who)).principal.operations_user
            name = user.id if direct and user is not None else label
            assert answer.admits == (name in by_door.get(answer.door, set())), (who, answer.door)


@pytest.mark.parametrize(
    ("table", "key", "code"),
    [
        ("NoSuch", None, "FC1002"),
        (ORDERS, "usmf", "FC1001"),
        (ORDERS, "NoSuch='x'", "FC1001"),
        (ORDERS, "'", "FC1001"),
        ("PurchaseOrderLinesV2", "usmf,PO-000001,x", None),
    ],
)
async def test_what_cannot_be_explained_is_refused(
    contoso: Installation, table: str, key: str | None, code: str | None
) -> None:
    with pytest.raises(Refusal) as refused:
        contoso.forecourt.explainer.subject(table, key)
    assert refused.value.status == 400
    assert code is None or refused.value.code == code


async def test_an_unknown_column_is_refused_with_a_hint(contoso: Installation) -> None:
    with pytest.raises(Refusal) as refused:
        await answers(contoso, ANNA, ORDERS, None, Question(column="OrderVendorAccountNumbr"))
    assert refused.value.code == "FC1002"
    assert "ordervendoraccountnumber" in refused.value.hint
