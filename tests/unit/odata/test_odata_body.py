"""Bodies of writes."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal
from uuid import UUID

import pytest
from odata_model import CONTACT, DATAVERSE_MODEL, HEADER, OPERATIONS_MODEL, V_HEADER

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.odata import record_id
from forecourt.odata.body import MAX_BODY, parse_object
from forecourt.odata.dialect import DATAVERSE, OPERATIONS
from forecourt.odata.rows import DEEPEST, MOST, BodyReader, RowBody

KEY = {"dataAreaId": "usmf", "PurchaseOrderNumber": "PO-1"}


def read(text: str, entity: Entity = HEADER, ieee754: bool = False) -> tuple[tuple[str, object], ...]:
    return row(text, entity, ieee754).values


def row(text: str, entity: Entity = HEADER, ieee754: bool = False, new: bool = False) -> RowBody:
    """The body of an update; ``new``: of a create."""
    dialect, model = (OPERATIONS, OPERATIONS_MODEL) if entity is HEADER else (DATAVERSE, DATAVERSE_MODEL)
    key = None if new else KEY if entity is HEADER else {}
    return BodyReader(model, dialect, ieee754).row(parse_object(text.encode()), entity, key)


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ('{"InvoiceVendorAccountNumber":"V1"}', HEADER, "V1"),
        ('{"PurchaseOrderStatus":"Backorder"}', HEADER, 1),
        ('{"AccountingDate":"2026-10-01T12:00:00Z"}', HEADER, dt.date(2026, 10, 1)),
        ('{"AccountingDate":"2026-10-01"}', HEADER, dt.date(2026, 10, 1)),
        ('{"CreatedDateTime":"2026-10-01T12:00:00+02:00"}', HEADER, dt.datetime(2026, 10, 1, 10, tzinfo=dt.UTC)),
        ('{"TotalDiscountPercentage":10.50}', HEADER, Decimal("10.50")),
        ('{"TotalDiscountPercentage":10}', HEADER, Decimal(10)),
        ('{"Weight":1}', HEADER, 1.0),
        ('{"Version":-5}', HEADER, -5),
        ('{"RecordId":5637144589}', HEADER, 5637144589),
        ('{"IsClosed":false}', HEADER, False),
        ('{"LineId":"00000000-0000-0000-0000-000000000007"}', HEADER, UUID(int=7)),
        ('{"CreatedDateTime":null}', HEADER, None),
        ('{"mserp_status":200000001}', V_HEADER, 1),
        ('{"mserp_date":null}', V_HEADER, dt.date(1900, 1, 1)),
        ('{"mserp_moment":null}', V_HEADER, dt.datetime(1900, 1, 1, tzinfo=dt.UTC)),
        ('{"statecode":1}', CONTACT, 1),
    ],
)
def test_a_value_becomes_what_is_bound(text: str, entity: Entity, value: object) -> None:
    changes = read(text, entity)
    assert len(changes) == 1
    assert changes[0][1] == value and type(changes[0][1]) is type(value)


@pytest.mark.parametrize(
    ("text", "entity", "code"),
    [
        ('{"Nothing":1}', HEADER, "FC1002"),
        ('{"invoicevendoraccountnumber":"x"}', HEADER, "FC1002"),
        ('{"Email":"x"}', HEADER, "FC1003"),
        ('{"Version":"5"}', HEADER, "FC1003"),
        ('{"Version":5.5}', HEADER, "FC1003"),
        ('{"Version":true}', HEADER, "FC1003"),
        ('{"Version":3000000000}', HEADER, "FC1003"),
        ('{"RecordId":' + "9" * 30 + "}", HEADER, "FC1003"),
        ('{"RecordId":' + "9" * 5000 + "}", HEADER, "FC1006"),
        ('{"TotalDiscountPercentage":1e999999}', HEADER, "FC1003"),
        ('{"TotalDiscountPercentage":' + "9" * 4000 + "}", HEADER, "FC1003"),
        ('{"TotalDiscountPercentage":"1.5"}', HEADER, "FC1003"),
        ('{"Weight":1e999}', HEADER, "FC1003"),
        ('{"Weight":NaN}', HEADER, "FC1006"),
        ('{"IsClosed":"true"}', HEADER, "FC1003"),
        ('{"IsClosed":1}', HEADER, "FC1003"),
        ('{"PurchaseOrderStatus":1}', HEADER, "FC1003"),
        ('{"PurchaseOrderStatus":"backorder"}', HEADER, "FC1003"),
        ('{"PurchaseOrderStatus":null}', HEADER, "FC1003"),
        ('{"AccountingDate":"soon"}', HEADER, "FC1003"),
        ('{"AccountingDate":5}', HEADER, "FC1003"),
        ('{"InvoiceVendorAccountNumber":"a\\u0000b"}', HEADER, "FC1003"),
        ('{"InvoiceVendorAccountNumber":"\\ud800"}', HEADER, "FC1003"),
        ('{"InvoiceVendorAccountNumber":{}}', HEADER, "FC1003"),
        ('{"dataAreaId":"usrt"}', HEADER, "FC1003"),
        ('{"dataAreaId":null}', HEADER, "FC1003"),
        ('{"VendorV2":{}}', HEADER, "FC1004"),
        ('{"Version":1,"Version":2}', HEADER, "FC1006"),
        ('{"\\ud800":1}', HEADER, "FC1002"),
        ("[]", HEADER, "FC1006"),
        ("", HEADER, "FC1006"),
        ("{", HEADER, "FC1006"),
        ('{"Version":1} x', HEADER, "FC1006"),
        ('{"x":' + "[" * 100_000, HEADER, "FC1006"),
        ('{"mserp_status":7}', V_HEADER, "FC1003"),
        ('{"mserp_status":"Backorder"}', V_HEADER, "FC1003"),
        ('{"mserp_orderid":"' + str(record_id.encode(5, 7)) + '"}', V_HEADER, "FC1003"),
        ('{"mserp_number":"' + "x" * 21 + '"}', V_HEADER, "FC1003"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, entity: Entity, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(text, entity)
    assert caught.value.code == code, caught.value.text


def test_a_body_beyond_the_limit_is_a_413() -> None:
    started = time.process_time()
    with pytest.raises(Refusal) as caught:
        read('{"x":"' + "a" * MAX_BODY + '"}')
    assert caught.value.status == 413
    assert time.process_time() - started < 0.5


def test_a_key_that_repeats_the_url_is_no_change() -> None:
    assert read('{"dataAreaId":"usmf","PurchaseOrderNumber":"PO-1","Version":1}') == (("Version", 1),)


def test_a_new_row_brings_its_key() -> None:
    assert row('{"dataAreaId":"usmf"}', new=True).values == (("dataAreaId", "usmf"),)


def test_a_row_says_what_it_is_bound_to_and_null_takes_the_binding_away() -> None:
    found = row('{"VendorV2@odata.bind":"/VendorsV2(1)"}')
    assert [(relation.name, references) for relation, references in found.binds] == [("VendorV2", ("/VendorsV2(1)",))]
    for text in ('{"VendorV2":null}', '{"VendorV2@odata.bind":null}'):
        assert [references for _, references in row(text).binds] == [(None,)]


def test_a_new_row_brings_the_rows_inside_of_it_within_limits() -> None:
    found = row('{"Version":1,"PurchaseOrderLinesV2":[{"LineNumber":1},{"LineNumber":2}]}', new=True)
    assert found.count() == 3
    assert [inner.values for _, rows in found.nested for inner in rows] == [(("LineNumber", 1),), (("LineNumber", 2),)]
    many = ",".join(['{"LineNumber":1}'] * MOST)
    deep = '{"PurchaseOrderLinesV2":[{"Header":' * DEEPEST + "{}" + "}]}" * DEEPEST
    for text, code in (
        (f'{{"PurchaseOrderLinesV2":[{many}]}}', "FC1005"),
        (deep, "FC1006"),
        ('{"PurchaseOrderLinesV2":{}}', "FC1006"),
    ):
        with pytest.raises(Refusal) as caught:
            row(text, new=True)
        assert caught.value.code == code


def test_annotations_are_ignored() -> None:
    assert read('{"@odata.etag":"W/1","Version@odata.type":"#Int32","Version":1}') == (("Version", 1),)


def test_numbers_may_be_strings_where_the_client_says_so() -> None:
    text = '{"RecordId":"5637144589","TotalDiscountPercentage":"10.50"}'
    assert read(text, ieee754=True) == (("RecordId", 5637144589), ("TotalDiscountPercentage", Decimal("10.50")))


def test_an_unknown_property_is_named_with_the_right_one() -> None:
    with pytest.raises(Refusal) as caught:
        read('{"Versoin":1}')
    assert "Version" in caught.value.hint
