"""Data packages: what goes out is what the owner may read, what comes in is what the owner may write."""

from __future__ import annotations

from forecourt.kernel.model import Entity
from forecourt.operations.packages.formats import Format
from forecourt.operations.packages.jobs import Wanted
from forecourt.operations.packages.projects import ProjectEntity, project_entity
from forecourt.operations.packages.register import Options, Owner
from support.contoso import OWN_ORDERS
from support.packages import csv_rows, csv_text, exported, imported, package, unpacked
from support.server import Installation, Person, url

ORDERS = "PurchPurchaseOrderHeaderV2Entity"
PRODUCTS = "EcoResReleasedProductV2Entity"


def entity(site: Installation, name: str) -> Entity:
    return site.forecourt.operations_gate.model.entities[name]


def wanted_of(site: Installation, name: str, kind: Format = Format.CSV, *columns: str) -> ProjectEntity:
    return project_entity(entity(site, name), kind, columns)


async def vendor(site: Installation) -> Person:
    return site.signed_up("anna.berg@northwind-parts.example")


async def test_a_vendor_exports_the_rows_that_data_shows_and_no_others(contoso: Installation) -> None:
    person = await vendor(contoso)
    owner = Owner(str(person.operations_user), person.contact)
    wanted = Wanted(owner, "own", entities=(wanted_of(contoso, ORDERS),), options=Options(cross_company=True))
    rows = csv_rows(unpacked(await exported(contoso, wanted))["PurchaseOrderHeaderV2.csv"])
    shown = await person.everything(url("/data/PurchaseOrderHeadersV2", cross_company=True))
    own = await contoso.sql(OWN_ORDERS, person.operations_user)
    keys = [(row["dataAreaId"], row["PurchaseOrderNumber"]) for row in rows]
    assert keys == [(row["dataAreaId"], row["PurchaseOrderNumber"]) for row in shown]
    assert sorted(keys) == [(row["dataareaid"], row["purchid"]) for row in own]
    assert len(keys) == 1000
    assert set(rows[0]) == {name for name in shown[0] if "@" not in name}


async def test_fields_that_are_hidden_from_the_owner_are_not_exported(contoso: Installation) -> None:
    person = await vendor(contoso)
    owner = Owner(str(person.operations_user), person.contact)
    wanted = Wanted(owner, "own", entities=(wanted_of(contoso, "VendVendorV2Entity"),))
    rows = csv_rows(unpacked(await exported(contoso, wanted))["VendorV2.csv"])
    assert rows and "CreditRating" not in rows[0]


async def test_good_rows_go_in_and_wrong_ones_are_kept_with_their_reason(contoso_alone: Installation) -> None:
    site = contoso_alone
    known = await site.sql("select itemid from erp.inventtable where dataareaid = 'usmf' order by 1 limit 2")
    first, second = (str(row[0]) for row in known)
    rows = [
        {"dataAreaId": "usmf", "ItemNumber": first, "SalesPrice": "12.34", "ProductType": "Item"},
        {"dataAreaId": "usmf", "ItemNumber": second, "SalesPrice": "twelve", "ProductType": "Item"},
        {"dataAreaId": "usmf", "ItemNumber": "NEW-1", "SalesPrice": "5", "ProductType": "Service"},
        {"dataAreaId": "usmf", "ItemNumber": "NEW-2", "SalesPrice": "5", "ProductType": "Servce"},
    ]
    job = await imported(site, package(("Released product", "p.csv", csv_text(rows))))
    assert job.status == "PartiallySucceeded", job.message
    (part,) = await site.forecourt.packages.register.parts(job)
    assert (part.staged, part.applied, part.failed) == (4, 2, 2)
    wrong = await site.forecourt.packages.register.wrong(job, 0, 0, 0, 10)
    assert [(row.n, row.field) for row in wrong] == [(2, "SalesPrice"), (4, "ProductType")]
    assert "Service" in wrong[1].message
    stored = await site.sql("select itemid, salesprice from erp.inventtable where itemid = any($1)", [first, "NEW-1"])
    assert {str(row[0]): float(row[1]) for row in stored} == {first: 12.34, "NEW-1": 5.0}


async def test_an_import_cannot_touch_what_is_out_of_reach(contoso: Installation) -> None:
    person = await vendor(contoso)
    (other,) = await contoso.sql(
        "select dataareaid, purchid, vendorref from erp.purchtable where not (purchid = any("
        "select purchid from erp.purchtable where orderaccount = 'V-US-101')) limit 1"
    )
    (own,) = (await contoso.sql(OWN_ORDERS, person.operations_user))[:1]
    rows = [
        {"dataAreaId": other[0], "PurchaseOrderNumber": other[1], "VendorOrderReference": "mine now"},
        {"dataAreaId": own[0], "PurchaseOrderNumber": own[1], "VendorOrderReference": "from the package"},
    ]
    data = package(("PurchaseOrderHeaderV2", "o.csv", csv_text(rows)))
    job = await imported(contoso, data, Owner(str(person.operations_user), person.contact))
    assert job.status == "PartiallySucceeded", job.message
    stored = await contoso.sql(
        "select purchid, vendorref from erp.purchtable where (dataareaid, purchid) in (($1, $2), ($3, $4))",
        other[0],
        other[1],
        own[0],
        own[1],
    )
    assert dict(stored) == {other[1]: other[2], own[1]: "from the package"}
