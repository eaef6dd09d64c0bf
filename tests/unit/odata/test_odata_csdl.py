"""$metadata and the service document."""

from __future__ import annotations

import dataclasses
import json
from xml.etree.ElementTree import Element, fromstring

from odata_model import DATAVERSE_MODEL, HEADER, OPERATIONS_MODEL

from forecourt.kernel.model import Model
from forecourt.odata.csdl import metadata, service_document
from forecourt.odata.dialect import DATAVERSE, OPERATIONS, Dialect

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


def schema(model: Model, dialect: Dialect) -> Element:
    document = fromstring(metadata(model, dialect))  # noqa: S314 (it is our own document)
    found = document.find(f".//{EDM}Schema")
    assert found is not None
    return found


def properties(root: Element, name: str) -> dict[str, dict[str, str]]:
    kind = root.find(f"{EDM}EntityType[@Name='{name}']")
    assert kind is not None
    return {item.attrib["Name"]: item.attrib for item in kind.findall(f"{EDM}Property")}


def test_operations_publish_types_keys_enums_and_sets() -> None:
    root = schema(OPERATIONS_MODEL, OPERATIONS)
    assert root.attrib == {"Namespace": "Microsoft.Dynamics.DataEntities"}
    found = properties(root, "PurchaseOrderHeaderV2")
    kinds = {name: item["Type"] for name, item in found.items()}
    assert kinds["PurchaseOrderStatus"] == "Microsoft.Dynamics.DataEntities.PurchStatus"
    assert kinds["AccountingDate"] == kinds["CreatedDateTime"] == "Edm.DateTimeOffset"
    assert kinds["RecordId"] == "Edm.Int64"
    assert found["dataAreaId"]["Nullable"] == "false" and found["dataAreaId"]["MaxLength"] == "4"
    assert "Nullable" not in found["Email"]
    keys = root.findall(f"{EDM}EntityType[@Name='PurchaseOrderHeaderV2']/{EDM}Key/{EDM}PropertyRef")
    assert [item.attrib["Name"] for item in keys] == ["dataAreaId", "PurchaseOrderNumber"]
    members = root.findall(f"{EDM}EnumType[@Name='PurchStatus']/{EDM}Member")
    assert [(item.attrib["Name"], item.attrib["Value"]) for item in members] == [
        ("None", "0"),
        ("Backorder", "1"),
        ("Received", "2"),
    ]
    sets = root.findall(f"{EDM}EntityContainer/{EDM}EntitySet")
    assert [item.attrib["Name"] for item in sets] == sorted(OPERATIONS_MODEL.by_collection)


def test_relations_name_partner_constraints_and_target() -> None:
    root = schema(OPERATIONS_MODEL, OPERATIONS)
    lines = root.find(".//*[@Name='PurchaseOrderLinesV2'][@Partner]")
    assert lines is not None
    assert lines.attrib["Type"] == "Collection(Microsoft.Dynamics.DataEntities.PurchaseOrderLineV2)"
    assert lines.attrib["Partner"] == "Header"
    vendor = root.find(f".//{EDM}NavigationProperty[@Name='VendorV2']")
    assert vendor is not None
    constraints = [tuple(item.attrib.values()) for item in vendor]
    assert constraints == [("dataAreaId", "dataAreaId"), ("OrderVendorAccountNumber", "VendorAccountNumber")]
    bindings = root.findall(f".//{EDM}EntitySet[@Name='PurchaseOrderHeadersV2']/{EDM}NavigationPropertyBinding")
    assert {(item.attrib["Path"], item.attrib["Target"]) for item in bindings} == {
        ("PurchaseOrderLinesV2", "PurchaseOrderLinesV2"),
        ("VendorV2", "VendorsV2"),
    }


def test_dataverse_publishes_choices_as_numbers_and_row_ids_as_guids() -> None:
    root = schema(DATAVERSE_MODEL, DATAVERSE)
    assert root.attrib == {"Namespace": "Microsoft.Dynamics.CRM", "Alias": "mscrm"}
    kinds = {name: item["Type"] for name, item in properties(root, "mserp_order").items()}
    assert kinds["mserp_orderid"] == "Edm.Guid"
    assert kinds["mserp_status"] == "Edm.Int32"
    assert kinds["mserp_date"] == "Edm.Date"
    assert kinds["mserp_big"] == "Edm.Decimal"
    assert root.findall(f"{EDM}EnumType") == []


def test_a_relation_to_what_is_not_published_is_left_out() -> None:
    model = dataclasses.replace(OPERATIONS_MODEL, entities={"PurchHeaderEntity": HEADER})
    assert b"NavigationProperty" not in metadata(model, OPERATIONS)


def test_names_are_escaped() -> None:
    model = dataclasses.replace(
        OPERATIONS_MODEL, entities={"x": dataclasses.replace(HEADER, public_name='A&B<"', relations={})}
    )
    assert schema(model, OPERATIONS).find(f"{EDM}EntityType").attrib["Name"] == 'A&B<"'  # type: ignore[union-attr]


def test_the_service_document_lists_the_sets() -> None:
    found = json.loads(service_document(DATAVERSE_MODEL, "http://h/api/data/v9.2"))
    assert found["@odata.context"] == "http://h/api/data/v9.2/$metadata"
    assert {"name": "contacts", "kind": "EntitySet", "url": "contacts"} in found["value"]
