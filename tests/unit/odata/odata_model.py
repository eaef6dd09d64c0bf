"""A small model in both forms: data entities of operations, and the same and a native table as Dataverse sees them."""

from __future__ import annotations

from typing import Any

from forecourt.kernel.model import DataSource, Entity, EntityField, Enum, EnumMember, Model, Relation
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind

NAMESPACE = "Microsoft.Dynamics.DataEntities"

PURCH_STATUS = Enum(
    "PurchStatus",
    (
        EnumMember("None", 0, "None", 200000000),
        EnumMember("Backorder", 1, "Open order", 200000001),
        EnumMember("Received", 2, "Received", 200000002),
    ),
)
STATE = Enum("contact_statecode", (EnumMember("0", 0, "Active", 0), EnumMember("1", 1, "Inactive", 1)))


def fields(*given: tuple[str, Kind] | tuple[str, Kind, dict[str, Any]]) -> dict[str, EntityField]:
    found = {}
    for name, kind, *rest in given:
        found[name] = EntityField(name, "root", name.lower(), kind, **(rest[0] if rest else {}))
    return found


def entity(
    name: str, public: str, collection: str, columns: dict[str, EntityField], key: tuple[str, ...], **more: Any
) -> Entity:
    return Entity(name, public, collection, (DataSource("root", TableName("erp", name.lower())),), columns, key, **more)


HEADER = entity(
    "PurchHeaderEntity",
    "PurchaseOrderHeaderV2",
    "PurchaseOrderHeadersV2",
    fields(
        ("dataAreaId", Kind.STRING, {"nullable": False, "length": 4}),
        ("PurchaseOrderNumber", Kind.STRING, {"nullable": False, "length": 20}),
        ("OrderVendorAccountNumber", Kind.STRING),
        ("InvoiceVendorAccountNumber", Kind.STRING),
        ("PurchaseOrderStatus", Kind.ENUM, {"enum": "PurchStatus", "nullable": False}),
        ("RequestedDeliveryDate", Kind.DATE),
        ("AccountingDate", Kind.DATE),
        ("CreatedDateTime", Kind.DATETIME),
        ("TotalDiscountPercentage", Kind.DECIMAL),
        ("Weight", Kind.DOUBLE),
        ("Version", Kind.INT32),
        ("RecordId", Kind.INT64),
        ("IsClosed", Kind.BOOLEAN),
        ("LineId", Kind.GUID),
        ("Email", Kind.STRING, {"editable": False}),
    ),
    ("dataAreaId", "PurchaseOrderNumber"),
    relations={
        "PurchaseOrderLinesV2": Relation(
            "PurchaseOrderLinesV2",
            "PurchLineEntity",
            True,
            (("dataAreaId", "dataAreaId"), ("PurchaseOrderNumber", "PurchaseOrderNumber")),
        ),
        "VendorV2": Relation(
            "VendorV2",
            "VendorEntity",
            False,
            (("dataAreaId", "dataAreaId"), ("OrderVendorAccountNumber", "VendorAccountNumber")),
        ),
    },
    company="dataAreaId",
)
LINE = entity(
    "PurchLineEntity",
    "PurchaseOrderLineV2",
    "PurchaseOrderLinesV2",
    fields(
        ("dataAreaId", Kind.STRING, {"nullable": False}),
        ("PurchaseOrderNumber", Kind.STRING, {"nullable": False}),
        ("LineNumber", Kind.INT64, {"nullable": False}),
        ("Quantity", Kind.DECIMAL),
        ("Price", Kind.DECIMAL),
    ),
    ("dataAreaId", "PurchaseOrderNumber", "LineNumber"),
    relations={
        "Header": Relation(
            "Header",
            "PurchHeaderEntity",
            False,
            (("dataAreaId", "dataAreaId"), ("PurchaseOrderNumber", "PurchaseOrderNumber")),
        )
    },
    company="dataAreaId",
)
VENDOR = entity(
    "VendorEntity",
    "VendorV2",
    "VendorsV2",
    fields(
        ("dataAreaId", Kind.STRING, {"nullable": False}),
        ("VendorAccountNumber", Kind.STRING, {"nullable": False}),
        ("VendorName", Kind.STRING),
    ),
    ("dataAreaId", "VendorAccountNumber"),
    relations={
        "Orders": Relation(
            "Orders",
            "PurchHeaderEntity",
            True,
            (("dataAreaId", "dataAreaId"), ("VendorAccountNumber", "OrderVendorAccountNumber")),
        )
    },
    company="dataAreaId",
)
OPERATIONS_MODEL = Model(
    {e.name: e for e in (HEADER, LINE, VENDOR)}, {"PurchStatus": PURCH_STATUS}, namespace=NAMESPACE
)

V_HEADER = entity(
    "mserp_order",
    "mserp_order",
    "mserp_orders",
    fields(
        ("mserp_orderid", Kind.GUID, {"record_of": 0xA6C, "nullable": False, "editable": False}),
        ("mserp_dataareaid", Kind.STRING),
        ("mserp_number", Kind.STRING, {"length": 20}),
        ("mserp_status", Kind.ENUM, {"enum": "PurchStatus", "choice": True}),
        ("mserp_date", Kind.DATE, {"empty_date": True}),
        ("mserp_moment", Kind.DATETIME, {"empty_date": True, "nullable": False}),
        ("mserp_amount", Kind.DECIMAL),
        ("mserp_big", Kind.INT64),
    ),
    ("mserp_orderid",),
    relations={
        "mserp_lines": Relation(
            "mserp_lines",
            "mserp_line",
            True,
            (("mserp_dataareaid", "mserp_dataareaid"), ("mserp_number", "mserp_number")),
        )
    },
    virtual_of="PurchHeaderEntity",
)
V_LINE = entity(
    "mserp_line",
    "mserp_line",
    "mserp_lines",
    fields(
        ("mserp_lineid", Kind.GUID, {"record_of": 7, "nullable": False, "editable": False}),
        ("mserp_dataareaid", Kind.STRING),
        ("mserp_number", Kind.STRING),
        ("mserp_qty", Kind.DECIMAL),
    ),
    ("mserp_lineid",),
    relations={
        "mserp_header": Relation(
            "mserp_header",
            "mserp_order",
            False,
            (("mserp_dataareaid", "mserp_dataareaid"), ("mserp_number", "mserp_number")),
        )
    },
    virtual_of="PurchLineEntity",
)
CONTACT = entity(
    "contact",
    "contact",
    "contacts",
    fields(
        ("contactid", Kind.GUID, {"nullable": False}),
        ("fullname", Kind.STRING, {"length": 160}),
        ("_parentcustomerid_value", Kind.GUID),
        ("statecode", Kind.ENUM, {"enum": "contact_statecode", "choice": True}),
        ("numberofchildren", Kind.INT32),
        ("donotemail", Kind.BOOLEAN),
        ("createdon", Kind.DATETIME),
    ),
    ("contactid",),
    relations={
        "parentcustomerid_contact": Relation(
            "parentcustomerid_contact", "contact", False, (("_parentcustomerid_value", "contactid"),)
        ),
        "children": Relation("children", "contact", True, (("contactid", "_parentcustomerid_value"),)),
    },
)
DATAVERSE_MODEL = Model(
    {e.name: e for e in (V_HEADER, V_LINE, CONTACT)},
    {"PurchStatus": PURCH_STATUS, "contact_statecode": STATE},
    namespace="Microsoft.Dynamics.CRM",
)
