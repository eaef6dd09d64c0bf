"""Explain says of every layer what it admits, and its doors are what requests get."""

from __future__ import annotations

import pytest

from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Door
from forecourt.security.explain import Explainer, Verdict
from support import contoso as sample
from support.server import Installation, url

ORDERS = "PurchaseOrderHeadersV2"


async def verdicts(site: Installation, username: str, table: str, key: str | None = None) -> list[Verdict]:
    explainer = Explainer(site.forecourt.operations_gate, site.forecourt.dataverse_gate)
    person = site.signed_up(username)
    door = Door.PORTAL if person.contact is not None else Door.OPERATIONS
    return await explainer.explain(await person.principal(door), explainer.subject(table, key))


async def test_counts_of_layers_and_doors_are_those_of_requests(contoso: Installation) -> None:
    case = sample.case(contoso)
    person = case.person(0)
    own = len(await case.own(person))
    found = await verdicts(contoso, person.username, ORDERS)
    by_rule = {(verdict.layer, verdict.rule): verdict for verdict in found}
    everything = await contoso.value("select count(*) from erp.purchtable")
    assert by_rule["database", "erp.purchtable"].rows == everything
    assert by_rule["policy", "VendProfileAccount"].rows == own
    assert by_rule["table permission", "Vendor: own purchase orders"].rows == own
    assert by_rule["legal entity", "v-us-101"].rows == await contoso.value(
        "select count(*) from erp.purchtable where dataareaid = 'usmf'"
    )
    assert by_rule["mapping", "msdyn_externalportalusermapping"].admits is True
    for rule in ("/data", "/api/data/v9.2", "portal"):
        assert by_rule["door", rule].rows == own
    for door in ("data", "web", "api"):
        surface = case.surface(door)
        counted = await person.get(url(surface.set(case.orders) + "/$count", **surface.options))
        assert counted.text == str(own)


async def test_layers_come_in_the_order_of_the_chain(contoso: Installation) -> None:
    found = await verdicts(contoso, "anna.berg@northwind-parts.example", ORDERS)
    layers = list(dict.fromkeys(verdict.layer for verdict in found))
    assert layers == ["database", "table permission", "mapping", "privilege", "legal entity", "policy", "door"]


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
    found = await verdicts(contoso, person.username, table, key)
    assert [verdict.admits for verdict in found if verdict.layer == "door"] == [True, True, True]


async def test_a_hidden_row_names_the_rule_that_hides_it(contoso: Installation) -> None:
    case = sample.case(contoso)
    person = case.person(0)
    rows = await contoso.sql("select dataareaid, purchid from erp.purchtable where orderaccount = 'US-102' limit 1")
    found = await verdicts(contoso, person.username, ORDERS, ",".join(rows[0]))
    by_layer = {verdict.layer: verdict for verdict in found if verdict.layer != "door"}
    assert by_layer["database"].admits is True
    assert by_layer["privilege"].admits is True
    assert by_layer["legal entity"].admits is True
    assert by_layer["policy"].admits is False
    assert by_layer["policy"].rule == "VendProfileAccount"
    assert "VendProfileAccount.yaml:" in by_layer["policy"].where
    assert by_layer["table permission"].admits is False
    assert [verdict.admits for verdict in found if verdict.layer == "door"] == [False, False, False]


async def test_a_row_that_does_not_exist_is_said_to_be_none(contoso: Installation) -> None:
    found = await verdicts(contoso, "anna.berg@northwind-parts.example", ORDERS, "usmf,PO-999999")
    assert (found[0].admits, found[0].detail) == (False, "no such row")


async def test_who_lacks_the_privilege_or_the_mapping_is_told_so(contoso: Installation) -> None:
    found = await verdicts(contoso, "anna.berg@northwind-parts.example", "SalesOrderHeadersV2")
    privilege = next(verdict for verdict in found if verdict.layer == "privilege")
    assert privilege.admits is False
    assert "grants read" in privilege.detail
    stranger = await verdicts(contoso, "nora.falk@baltic-tooling.example", ORDERS)
    mapping = next(verdict for verdict in stranger if verdict.layer == "mapping")
    assert mapping.admits is False
    assert [verdict.rows for verdict in stranger if verdict.layer == "door"] == [0]


async def test_an_administrator_is_explained_as_one(contoso: Installation) -> None:
    found = await verdicts(contoso, "admin", ORDERS)
    privilege = next(verdict for verdict in found if verdict.layer == "privilege")
    assert (privilege.admits, privilege.detail) == (True, "is an administrator")


@pytest.mark.parametrize(
    ("table", "key", "code"),
    [
        ("NoSuch", None, "FC1002"),
        ("contact", None, "FC1002"),
        (ORDERS, "usmf", "FC1001"),
        (ORDERS, "NoSuch='x'", "FC1001"),
        (ORDERS, "'", "FC1001"),
        ("PurchaseOrderLinesV2", "usmf,PO-000001,x", None),
    ],
)
async def test_what_cannot_be_explained_is_refused(
    contoso: Installation, table: str, key: str | None, code: str | None
) -> None:
    explainer = Explainer(contoso.forecourt.operations_gate, contoso.forecourt.dataverse_gate)
    with pytest.raises(Refusal) as refused:
        explainer.subject(table, key)
    assert refused.value.status == 400
    assert code is None or refused.value.code == code
