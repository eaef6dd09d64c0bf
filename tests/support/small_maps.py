"""A small pair of planes for tests of table maps: customers with contacts, orders, workers; their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forecourt.dataverse.definitions import TableFile
from forecourt.dataverse.design import design
from forecourt.dataverse.entities import native_tables
from forecourt.dataverse.solution import STANDARD
from forecourt.integration.dual_write.definitions import MapFile
from forecourt.integration.dual_write.loader import Maps, load_maps
from forecourt.kernel.document import Document, compose, convert
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import DataSource, Entity, EntityField, Enum, EnumMember, LegalEntity, Model
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.store.folder import Faults, read_files

BLOCKED = Enum("Blocked", (EnumMember("No", 0, "No"), EnumMember("Invoice", 1, "Invoice"), EnumMember("All", 2, "All")))
NO_YES = Enum("NoYes", (EnumMember("No", 0, "No"), EnumMember("Yes", 1, "Yes")))


def text(name: str, **more: Any) -> EntityField:
    """A text as finance and operations stores it: never null."""
    return field(name, Kind.STRING, **{"storage": "text", "nullable": False, "length": 60, **more})


def field(name: str, kind: Kind, storage: str = "int4", nullable: bool = False, **more: Any) -> EntityField:
    return EntityField(name, "r", name.lower(), kind, storage=storage, nullable=nullable, **more)


def entity(name: str, key: tuple[str, ...], *fields: EntityField, company: bool = True, **more: Any) -> Entity:
    every = [text("dataAreaId", editable=False), *fields] if company else [*fields]
    keys = ("dataAreaId", *key) if company else key
    return Entity(
        name, name, f"{name}s", (DataSource("r", TableName("erp", name.lower())),), {f.name: f for f in every}, keys,
        company="dataAreaId" if company else None, **more,
    )  # fmt: skip


OPERATIONS = Model(
    {
        item.name: item
        for item in (
            entity(
                "Customer",
                ("Account",),
                text("Account", editable=False),
                text("Name", editable=False, creatable=False),
                text("Group", required=True),
                field("Hold", Kind.ENUM, enum="Blocked"),
                field("OneTime", Kind.ENUM, enum="NoYes"),
                field("CreditMax", Kind.DECIMAL, "numeric"),
                field("Since", Kind.DATE, "date"),
                field("Visits", Kind.INT64, "int8"),
                field("Rating", Kind.STRING, "text", nullable=True),
                text("InvoiceAccount"),
                text("Contact"),
                text("Currency"),
            ),
            entity("Person", ("Number",), text("Number"), text("Name"), text("Customer")),
            entity("Order", ("Number",), text("Number"), text("Customer", required=True)),
            entity(
                "Line",
                ("Order", "LineNumber"),
                text("Order"),
                field("LineNumber", Kind.INT32),
                field("Quantity", Kind.DECIMAL, "numeric"),
            ),
            entity("Worker", ("Number",), text("Number"), text("Name"), company=False),
            entity("Closed", ("Number",), text("Number"), text("Name"), company=False, read_only=True),
        )
    },
    {item.name: item for item in (BLOCKED, NO_YES)},
    {"usmf": LegalEntity("usmf", "USA", "USD")},
)

_COMPANY = {"type": "lookup", "target": "cdm_company"}
_HOLD = [{"value": 10, "label": "No"}, {"value": 11, "label": "Invoice"}, {"value": 12, "label": "All"}]
_TABLES: tuple[dict[str, Any], ...] = (
    {
        "table": "cts_customer",
        "primary_name": "cts_name",
        "columns": {
            "cts_number": {"type": "text", "length": 60},
            "cts_name": {"type": "text"},
            "cts_group": {"type": "text"},
            "cts_company": _COMPANY,
            "cts_hold": {"type": "choice", "options": _HOLD},
            "cts_onetime": {"type": "yesno"},
            "cts_limit": {"type": "money"},
            "cts_since": {"type": "date"},
            "cts_visits": {"type": "whole"},
            "cts_many": {"type": "big"},
            "cts_rating": {"type": "text"},
            "cts_invoice": {"type": "lookup", "target": "cts_customer"},
            "cts_contact": {"type": "lookup", "target": "cts_person"},
            "cts_anybody": {"type": "lookup", "targets": ["cts_person", "cts_customer"]},
            "cts_worker": {"type": "lookup", "target": "cts_worker"},
        },
        "keys": {"cts_customer_key": ["cts_number", "cts_company"]},
    },
    {
        "table": "cts_person",
        "columns": {
            "cts_number": {"type": "text"},
            "cts_name": {"type": "text"},
            "cts_company": _COMPANY,
            "cts_customer": {"type": "lookup", "target": "cts_customer"},
        },
        "keys": {"cts_person_key": ["cts_number", "cts_company"]},
    },
    {
        "table": "cts_order",
        "columns": {
            "cts_number": {"type": "text"},
            "cts_company": _COMPANY,
            "cts_customer": {"type": "lookup", "target": "cts_customer", "required": True},
        },
        "keys": {"cts_order_key": ["cts_number", "cts_company"]},
    },
    {
        "table": "cts_line",
        "columns": {
            "cts_order": {"type": "lookup", "target": "cts_order"},
            "cts_line": {"type": "whole"},
            "cts_quantity": {"type": "decimal", "precision": 4},
            "cts_company": _COMPANY,
        },
        "keys": {"cts_line_key": ["cts_order", "cts_line", "cts_company"]},
    },
    {
        "table": "cts_worker",
        "columns": {
            "cts_number": {"type": "text", "required": True},
            "cts_name": {"type": "text"},
            "cts_grade": {"type": "text", "required": True, "default": "A"},
            "cts_customer": {"type": "lookup", "target": "cts_customer"},
        },
        "keys": {"cts_worker_key": ["cts_number"]},
    },
    {
        "table": "cts_loose",
        "columns": {"cts_number": {"type": "text"}, "cts_badge": {"type": "text", "required": True}},
    },
    {
        "table": "cts_double",
        "columns": {"cts_number": {"type": "text"}, "cts_company": _COMPANY, "cts_owner": _COMPANY},
        "keys": {"cts_double_key": ["cts_number", "cts_owner"]},
    },
)


def _dataverse() -> Model:
    faults = Faults()
    standard = [item.record for item in read_files(STANDARD, "*.yaml", TableFile, faults)]
    faults.raise_any()
    files = [*standard, *(convert(Document("tables", shape), TableFile) for shape in _TABLES)]
    tables, enums = native_tables(design(files))
    return Model({name: table.entity for name, table in tables.items()}, enums)


DATAVERSE = _dataverse()


@dataclass(frozen=True)
class Source:
    """A file that has been read."""

    document: Document
    record: MapFile


def source(yaml: str, file: str = "maps/test.yaml") -> Source:
    document = compose(yaml, file)
    return Source(document, convert(document, MapFile))


def load(*files: str) -> tuple[Maps, tuple[DefinitionError, ...]]:
    """The maps of YAML texts, against the small planes."""
    read = [source(yaml, f"maps/{place}.yaml") for place, yaml in enumerate(files)]
    return load_maps(read, OPERATIONS, DATAVERSE)


def loaded(*files: str) -> Maps:
    """The same, without faults."""
    maps, faults = load(*files)
    assert not faults, "\n".join(map(str, faults))
    return maps


CUSTOMERS = """
name: customers
entity: Customer
table: cts_customer
columns:
  Account: cts_number
  Name: {dataverse: cts_name, direction: to_dataverse}
  Group: {dataverse: cts_group, operations_default: RETAIL}
  Hold: cts_hold
  OneTime: cts_onetime
  CreditMax: cts_limit
  Since: cts_since
  Rating: cts_rating
  InvoiceAccount: cts_invoice.cts_number
  Contact: cts_contact.cts_number
"""
PERSONS = """
name: persons
entity: Person
table: cts_person
columns:
  Number: cts_number
  Name: cts_name
  Customer: cts_customer.cts_number
"""
ORDERS = """
name: orders
entity: Order
table: cts_order
columns:
  Number: cts_number
  Customer: cts_customer.cts_number
"""
LINES = """
name: lines
entity: Line
table: cts_line
columns:
  Order: cts_order.cts_number
  LineNumber: cts_line
  Quantity: cts_quantity
"""
WORKERS = """
name: workers
entity: Worker
table: cts_worker
columns:
  Number: cts_number
  Name: cts_name
"""
