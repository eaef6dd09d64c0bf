"""Rows as JSON: values per dialect, ETags, annotations, expanded rows, envelopes."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

from odata_model import CONTACT, DATAVERSE_MODEL, HEADER, LINE, OPERATIONS_MODEL, V_HEADER

from forecourt.kernel.model import Entity
from forecourt.kernel.plan import Expand, ReadPlan, SecuredExpand, SecuredPlan
from forecourt.kernel.predicate import Column
from forecourt.kernel.relation import Output, Select
from forecourt.odata import record_id
from forecourt.odata.dialect import DATAVERSE, OPERATIONS, Dialect
from forecourt.odata.payload import (
    Fetched,
    RowWriter,
    collection,
    context_url,
    count_text,
    property_value,
    single,
    writer_for,
)
from forecourt.odata.prefer import FORMATTED_VALUE


def write(entity: Entity, dialect: Dialect, row: dict[str, Any], **options: Any) -> bytes:
    model = OPERATIONS_MODEL if dialect is OPERATIONS else DATAVERSE_MODEL
    return RowWriter(entity, model, list(row), dialect, **options).encode_one(tuple(row.values()))


def text(entity: Entity, dialect: Dialect, row: dict[str, Any], **options: Any) -> str:
    return write(entity, dialect, row, **options).decode()


def test_operations_write_symbols_and_noons() -> None:
    row = {
        "PurchaseOrderNumber": "PO-1",
        "PurchaseOrderStatus": 1,
        "AccountingDate": dt.date(2026, 10, 1),
        "CreatedDateTime": dt.datetime(2026, 10, 1, 8, 30, tzinfo=dt.UTC),
        "TotalDiscountPercentage": Decimal("10.50"),
        "RecordId": 5637144589,
        "IsClosed": True,
    }
    assert text(HEADER, OPERATIONS, row) == (
        '{"PurchaseOrderNumber":"PO-1","PurchaseOrderStatus":"Backorder","AccountingDate":"2026-10-01T12:00:00Z",'
        '"CreatedDateTime":"2026-10-01T08:30:00Z","TotalDiscountPercentage":10.50,"RecordId":5637144589,"IsClosed":true}'
    )


def test_dataverse_writes_choice_numbers_days_and_row_ids() -> None:
    row = {
        "mserp_orderid": 77,
        "mserp_status": 1,
        "mserp_date": dt.date(2026, 10, 1),
        "mserp_moment": dt.datetime(2026, 10, 1, 8, 30),
        "mserp_big": 5637144589,
    }
    assert json.loads(write(V_HEADER, DATAVERSE, row)) == {
        "mserp_orderid": str(record_id.encode(0xA6C, 77)),
        "mserp_status": 200000001,
        "mserp_date": "2026-10-01",
        "mserp_moment": "2026-10-01T08:30:00Z",
        "mserp_big": 5637144589,
    }


def test_the_empty_date_is_null_on_virtual_tables_and_a_day_in_operations() -> None:
    empty = dt.date(1900, 1, 1)
    row = {"mserp_date": empty, "mserp_moment": dt.datetime(1900, 1, 1, 12)}
    assert text(V_HEADER, DATAVERSE, row) == '{"mserp_date":null,"mserp_moment":null}'
    assert text(HEADER, OPERATIONS, {"AccountingDate": empty}) == '{"AccountingDate":"1900-01-01T12:00:00Z"}'


def test_null_is_null_in_every_column() -> None:
    for entity, dialect in ((HEADER, OPERATIONS), (V_HEADER, DATAVERSE), (CONTACT, DATAVERSE)):
        row = dict.fromkeys(entity.fields)
        assert json.loads(write(entity, dialect, row)) == row


def test_decimals_keep_every_digit() -> None:
    number = "98765432109876543210.123456789012345678"
    assert number in text(HEADER, OPERATIONS, {"TotalDiscountPercentage": Decimal(number)})


def test_what_json_has_no_number_for_is_null() -> None:
    row = {"TotalDiscountPercentage": Decimal("NaN"), "Weight": float("inf")}
    assert text(HEADER, OPERATIONS, row) == '{"TotalDiscountPercentage":null,"Weight":null}'


def test_the_etag_comes_first_and_bookkeeping_is_not_written() -> None:
    row = {"Email": "a", "@sort0": 1, "@version": "501097", "@id0": 5}
    assert text(HEADER, OPERATIONS, row) == '{"@odata.etag":"W/\\"501097\\"","Email":"a"}'
    assert text(HEADER, OPERATIONS, row, metadata="none") == '{"Email":"a"}'


def test_only_visible_columns_are_written() -> None:
    assert text(HEADER, OPERATIONS, {"Email": "a", "Version": 1}, visible={"Version"}) == '{"Version":1}'


def test_labels_precede_their_choice_when_asked_for() -> None:
    row = {"fullname": "Ann", "statecode": 0}
    assert text(CONTACT, DATAVERSE, row, annotations=frozenset({FORMATTED_VALUE})) == (
        '{"fullname":"Ann","statecode@OData.Community.Display.V1.FormattedValue":"Active","statecode":0}'
    )
    assert (
        text(CONTACT, DATAVERSE, {"statecode": None}, annotations=frozenset({FORMATTED_VALUE})) == '{"statecode":null}'
    )


def test_a_stored_value_that_the_enum_lacks_does_not_break_the_answer() -> None:
    assert text(HEADER, OPERATIONS, {"PurchaseOrderStatus": 9}) == '{"PurchaseOrderStatus":"9"}'
    assert text(CONTACT, DATAVERSE, {"statecode": 9}, annotations=frozenset({FORMATTED_VALUE})) == '{"statecode":null}'


def test_full_metadata_adds_type_and_links() -> None:
    row = {"dataAreaId": "usmf", "PurchaseOrderNumber": "PO/1'2", "@version": 7}
    assert json.loads(write(HEADER, OPERATIONS, row, metadata="full")) == {
        "@odata.type": "#Microsoft.Dynamics.DataEntities.PurchaseOrderHeaderV2",
        "@odata.id": "PurchaseOrderHeadersV2(dataAreaId='usmf',PurchaseOrderNumber='PO%2F1''2')",
        "@odata.editLink": "PurchaseOrderHeadersV2(dataAreaId='usmf',PurchaseOrderNumber='PO%2F1''2')",
        "@odata.etag": 'W/"7"',
        "dataAreaId": "usmf",
        "PurchaseOrderNumber": "PO/1'2",
    }
    row = {"contactid": UUID(int=7), "fullname": "x"}
    assert json.loads(write(CONTACT, DATAVERSE, row, metadata="full"))["@odata.id"] == f"contacts({UUID(int=7)})"


def outputs(*names: str) -> Select:
    return Select((), outputs=tuple(Output(name, Column("root", name), None) for name in names))


def test_expanded_rows_are_written_under_their_parent() -> None:
    lines = SecuredExpand(
        "PurchaseOrderLinesV2",
        True,
        "PurchLineEntity",
        outputs("LineNumber", "Quantity", "@key0"),
        ("PurchaseOrderNumber",),
        (Column("root", "no"),),
    )
    vendor = SecuredExpand(
        "VendorV2", False, "VendorEntity", outputs("VendorName", "@key0"), ("@vendor",), (Column("root", "no"),)
    )
    secured = SecuredPlan("PurchHeaderEntity", outputs("PurchaseOrderNumber", "@vendor"), expands=(lines, vendor))
    writer = writer_for(secured, OPERATIONS_MODEL, OPERATIONS)
    rows = [("PO-1", "V1"), ("PO-2", "V9"), ("PO-3", None)]
    children = [
        Fetched([(1, Decimal("5"), "PO-1"), (2, Decimal("6"), "PO-1"), (1, Decimal("7"), "PO-3")]),
        Fetched([("Acme", "V1")]),
    ]
    assert json.loads(writer.encode(rows, children)) == [
        {
            "PurchaseOrderNumber": "PO-1",
            "PurchaseOrderLinesV2": [{"LineNumber": 1, "Quantity": 5}, {"LineNumber": 2, "Quantity": 6}],
            "VendorV2": {"VendorName": "Acme"},
        },
        {"PurchaseOrderNumber": "PO-2", "PurchaseOrderLinesV2": [], "VendorV2": None},
        {"PurchaseOrderNumber": "PO-3", "PurchaseOrderLinesV2": [{"LineNumber": 1, "Quantity": 7}], "VendorV2": None},
    ]
    assert writer.encode_member(rows[0], "VendorV2", [children[0], children[1]]) == b'{"VendorName":"Acme"}'


def test_no_rows_is_an_empty_array() -> None:
    writer = RowWriter(LINE, OPERATIONS_MODEL, ["Quantity"], OPERATIONS)
    assert writer.encode([]) == b"[]"


def test_envelopes() -> None:
    assert collection(b"[]") == b'{"value":[]}'
    assert collection(b"[1]", context='http://h/"', count=0, next_link="http://h/n") == (
        b'{"@odata.context":"http://h/\\"","@odata.count":0,"value":[1],"@odata.nextLink":"http://h/n"}'
    )
    assert single(b'{"a":1}', context="c") == b'{"@odata.context":"c","a":1}'
    assert single(b"{}", context="c") == b'{"@odata.context":"c"}'
    assert single(b'{"a":1}') == b'{"a":1}'
    assert property_value(b'"x"', context="c") == b'{"@odata.context":"c","value":"x"}'
    assert count_text(42) == b"42"


def test_the_context_names_what_was_selected() -> None:
    read = ReadPlan("contact", select=("fullname",), expand=(Expand("children", ("fullname",)), Expand("parent")))
    assert context_url("http://h/api", "contacts", read) == (
        "http://h/api/$metadata#contacts(fullname,children(fullname),parent())"
    )
    assert context_url("http://h/api", "contacts", None, single=True) == "http://h/api/$metadata#contacts/$entity"
