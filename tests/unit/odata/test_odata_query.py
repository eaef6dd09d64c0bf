"""Shapes against the model: what is asked for, what each literal is for, and what is refused with which help."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal
from urllib.parse import quote
from uuid import UUID

import pytest
from odata_model import DATAVERSE_MODEL, HEADER, OPERATIONS_MODEL, V_HEADER

from forecourt.kernel import predicate as p
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import Expand, OrderBy
from forecourt.kernel.predicate import Compare, Const, Field, In, IsNull, Match, Not, Slot
from forecourt.kernel.types import Kind
from forecourt.odata import record_id
from forecourt.odata.dialect import DATAVERSE, OPERATIONS, Dialect
from forecourt.odata.query import Parsed, plan, row_key
from forecourt.odata.request import analyse

ORDERS = "PurchaseOrderHeadersV2"
ONE = ORDERS + "(dataAreaId='usmf',PurchaseOrderNumber='PO-1')"
ROW = str(record_id.encode(0xA6C, 77))


def parse(url: str, dialect: Dialect | None = None) -> tuple[Parsed, tuple[object, ...]]:
    """The plan of a URL whose query isn't encoded, and its bound values."""
    path, _, query = url.partition("?")
    dialect = dialect or (OPERATIONS if path.startswith(("Purchase", "Vendors")) else DATAVERSE)
    model = OPERATIONS_MODEL if dialect is OPERATIONS else DATAVERSE_MODEL
    request = analyse("/" + path, quote(query, safe="$&=(),;/:'"), dialect)
    parsed = plan(request, model, dialect)
    return parsed, parsed.bind(request.literals)


def where(condition: str, path: str = ORDERS) -> tuple[p.Predicate | None, tuple[object, ...]]:
    parsed, values = parse(f"{path}?$filter={condition}")
    return parsed.plan.filter, values


def refused(url: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse(url)
    assert 400 <= caught.value.status < 500
    return caught.value


# ------------------------------------------------------------------------------------------ filters


@pytest.mark.parametrize(
    ("condition", "name", "kind", "value"),
    [
        ("PurchaseOrderNumber eq 'PO-1'", "PurchaseOrderNumber", Kind.STRING, "PO-1"),
        ("Version eq 5", "Version", Kind.INT32, 5),
        ("Version eq 5.5", "Version", Kind.DECIMAL, Decimal("5.5")),
        ("RecordId eq 5637144589", "RecordId", Kind.INT64, 5637144589),
        ("TotalDiscountPercentage eq 5", "TotalDiscountPercentage", Kind.DECIMAL, Decimal(5)),
        ("TotalDiscountPercentage eq 5.10", "TotalDiscountPercentage", Kind.DECIMAL, Decimal("5.10")),
        ("Weight eq 5", "Weight", Kind.DOUBLE, 5.0),
        ("Weight eq 1e3", "Weight", Kind.DOUBLE, 1000.0),
        ("AccountingDate eq 2026-10-01", "AccountingDate", Kind.DATE, dt.date(2026, 10, 1)),
        ("AccountingDate eq 2026-10-01T12:00:00Z", "AccountingDate", Kind.DATE, dt.date(2026, 10, 1)),
        ("AccountingDate eq 2026-10-01T23:00:00-02:00", "AccountingDate", Kind.DATE, dt.date(2026, 10, 2)),
        (
            "CreatedDateTime eq 2026-10-01T12:00:00+02:00",
            "CreatedDateTime",
            Kind.DATETIME,
            dt.datetime(2026, 10, 1, 10, tzinfo=dt.UTC),
        ),
        ("CreatedDateTime eq 2026-10-01", "CreatedDateTime", Kind.DATETIME, dt.datetime(2026, 10, 1, tzinfo=dt.UTC)),
        (f"LineId eq {ROW}", "LineId", Kind.GUID, UUID(ROW)),
        (
            "PurchaseOrderStatus eq Microsoft.Dynamics.DataEntities.PurchStatus'Backorder'",
            "PurchaseOrderStatus",
            Kind.ENUM,
            1,
        ),
    ],
)
def test_a_literal_becomes_the_value_of_its_column(condition: str, name: str, kind: Kind, value: object) -> None:
    condition_, values = where(condition)
    assert condition_ == Compare("eq", Field((name,)), Slot(0, kind))
    assert values == (value,)
    assert type(values[0]) is type(value)


@pytest.mark.parametrize(
    ("condition", "name", "value"),
    [
        ("mserp_status eq 200000001", "mserp_status", 1),
        (f"mserp_orderid eq {ROW}", "mserp_orderid", 77),
        (f"mserp_orderid eq '{ROW}'", "mserp_orderid", 77),
        (f"mserp_orderid eq {record_id.encode(5, 77)}", "mserp_orderid", record_id.NO_RECORD),
    ],
)
def test_virtual_tables_compare_choices_and_row_ids_as_they_are_stored(condition: str, name: str, value: int) -> None:
    condition_, values = where(condition, "mserp_orders")
    assert isinstance(condition_, Compare) and condition_.left == Field((name,))
    assert values == (value,)


def test_a_guid_may_stand_in_quotes_in_dataverse_only() -> None:
    assert where(f"contactid eq '{ROW}'", "contacts")[1] == (UUID(ROW),)
    assert refused(f"{ORDERS}?$filter=LineId eq '{ROW}'").code == "FC1003"
    assert refused("contacts?$filter=contactid eq 'x'").code == "FC1003"


def test_null_has_predicates_of_its_own() -> None:
    field = Field(("Email",))
    assert where("Email eq null")[0] == IsNull(field)
    assert where("null eq Email")[0] == IsNull(field)
    assert where("Email ne null")[0] == Not(IsNull(field))
    assert where("Email gt null or Version eq 1")[0] == Compare("eq", Field(("Version",)), Slot(0, Kind.INT32))


def test_a_literal_may_stand_on_the_left() -> None:
    assert where("5 lt Version")[0] == Compare("gt", Field(("Version",)), Slot(0, Kind.INT32))


def test_booleans_are_conditions_and_constants() -> None:
    closed = Compare("eq", Field(("IsClosed",)), Const(True))
    assert where("IsClosed")[0] == closed
    assert where("IsClosed eq true")[0] == closed
    assert where("true eq IsClosed")[0] == closed
    assert where("not IsClosed")[0] == Not(closed)
    assert where("contains(Email,'x') eq false")[0] == Not(Match("contains", Field(("Email",)), Slot(0, Kind.STRING)))
    assert where("true")[0] is None
    assert where("false")[0] == p.FALSE


def test_and_binds_tighter_than_or_and_not_takes_a_comparison() -> None:
    one, two, three = (Compare("eq", Field(("Version",)), Slot(i, Kind.INT32)) for i in range(3))
    assert where("Version eq 1 or Version eq 2 and Version eq 3")[0] == p.any_of(one, p.all_of(two, three))
    assert where("(Version eq 1 or Version eq 2) and Version eq 3")[0] == p.all_of(p.any_of(one, two), three)
    assert where("not Version eq 1 and Version eq 2")[0] == p.all_of(Not(one), two)
    assert where("not not Version eq 1")[0] == one


def test_a_star_in_eq_matches_a_pattern_in_operations() -> None:
    assert where("Email eq '*x*'") == (Match("wildcard", Field(("Email",)), Slot(0, Kind.STRING)), ("*x*",))
    assert where("Email ne 'x*'")[0] == Not(Match("wildcard", Field(("Email",)), Slot(0, Kind.STRING)))
    assert where("Email gt 'x*'")[0] == Compare("gt", Field(("Email",)), Slot(0, Kind.STRING))
    assert where("fullname eq '*x*'", "contacts")[0] == Compare("eq", Field(("fullname",)), Slot(0, Kind.STRING))


@pytest.mark.parametrize("name", ["contains", "startswith", "endswith"])
def test_text_functions_match(name: str) -> None:
    condition, values = where(f"{name}(VendorV2/VendorName,'a*')")
    assert isinstance(condition, Match) and condition.op == name
    assert condition.left == Field(("VendorV2", "VendorName"))
    assert values == ("a*",)


def test_columns_are_compared_with_columns_of_a_like_type() -> None:
    assert where("AccountingDate gt RequestedDeliveryDate")[0] == Compare(
        "gt", Field(("AccountingDate",)), Field(("RequestedDeliveryDate",))
    )
    assert refused(f"{ORDERS}?$filter=Version eq Email").code == "FC1003"
    assert refused(f"{ORDERS}?$filter=PurchaseOrderStatus eq Version").code == "FC1003"


def test_arithmetic_is_for_operations() -> None:
    condition, values = where("TotalDiscountPercentage add 5 mul 2 gt Version sub 1.5")
    assert condition == Compare(
        "gt",
        p.Arith("add", Field(("TotalDiscountPercentage",)), p.Arith("mul", Slot(0, Kind.INT64), Slot(1, Kind.INT64))),
        p.Arith("sub", Field(("Version",)), Slot(2, Kind.DECIMAL)),
    )
    assert values == (5, 2, Decimal("1.5"))
    assert refused("contacts?$filter=numberofchildren add 1 gt 2").code == "FC1004"
    assert refused(f"{ORDERS}?$filter=Email add 1 gt 2").code == "FC1003"


def test_any_and_all_ask_for_rows_of_a_collection() -> None:
    quantity = Compare("gt", Field(("Quantity",)), Slot(0, Kind.DECIMAL))
    lines = ("PurchaseOrderLinesV2",)
    assert where("PurchaseOrderLinesV2/any(l:l/Quantity gt 5)")[0] == p.Any(lines, quantity)
    assert where("PurchaseOrderLinesV2/all(l:l/Quantity gt 5)")[0] == Not(p.Any(lines, Not(quantity)))
    assert where("PurchaseOrderLinesV2/any()")[0] == p.Any(lines, p.TRUE)
    nested, _ = where("VendorV2/Orders/any(o:o/PurchaseOrderLinesV2/any(l:l/Quantity gt 5))")
    assert nested == p.Any(("VendorV2", "Orders"), p.Any(lines, quantity))


def test_query_functions_of_dataverse() -> None:
    condition, values = where(
        'Microsoft.Dynamics.CRM.In(PropertyName=\'numberofchildren\',PropertyValues=["1","2"])', "contacts"
    )
    assert condition == In(Field(("numberofchildren",)), (Slot(0, Kind.INT32), Slot(1, Kind.INT32)))
    assert values == (1, 2)
    condition, values = where(
        f"Microsoft.Dynamics.CRM.NotIn(PropertyName='mserp_orderid',PropertyValues=['{ROW}'])", "mserp_orders"
    )
    assert condition == Not(In(Field(("mserp_orderid",)), (Slot(0, Kind.INT64),)))
    assert values == (77,)
    condition, values = where(
        "Microsoft.Dynamics.CRM.Between(PropertyName='createdon',PropertyValues=['2026-01-01','2026-02-01'])",
        "contacts",
    )
    low, high = (Slot(i, Kind.DATETIME) for i in range(2))
    assert condition == p.all_of(Compare("ge", Field(("createdon",)), low), Compare("le", Field(("createdon",)), high))
    condition, values = where("Microsoft.Dynamics.CRM.In(PropertyName='statecode',PropertyValues=['1'])", "contacts")
    assert values == (1,)
    assert refused("contacts?$filter=Microsoft.Dynamics.CRM.Today(PropertyName='createdon')").code == "FC1004"


@pytest.mark.parametrize(
    ("url", "code", "help_"),
    [
        (f"{ORDERS}?$filter=Emial eq 'x'", "FC1002", "Email"),
        (f"{ORDERS}?$filter=VendorV2/VendorNam eq 'x'", "FC1002", "VendorName"),
        (f"{ORDERS}?$filter=email eq 'x'", "FC1002", "Email"),
        (f"{ORDERS}?$select=PurchaseOrderNumbr", "FC1002", "PurchaseOrderNumber"),
        (f"{ORDERS}?$orderby=Nothing", "FC1002", ""),
        (f"{ORDERS}?$expand=Vendor", "FC1002", "VendorV2"),
        (f"{ORDERS}?$select=VendorV2", "FC1002", "$expand=VendorV2"),
        ("PurchaseOrderHeaderV2", "FC4042", "PurchaseOrderHeadersV2"),
        (f"{ONE}/Line", "FC4042", ""),
        (f"{ORDERS}?$filter=PurchaseOrderStatus eq 'Backorder'", "FC1003", ""),
        (f"{ORDERS}?$filter=PurchaseOrderStatus eq PurchStatus'Backorder'", "FC1003", ""),
        (
            f"{ORDERS}?$filter=PurchaseOrderStatus eq Microsoft.Dynamics.DataEntities.PurchStatus'Bakorder'",
            "FC1003",
            "Backorder",
        ),
        (f"{ORDERS}?$filter=PurchaseOrderStatus gt Microsoft.Dynamics.DataEntities.PurchStatus'None'", "FC1004", ""),
        (f"{ORDERS}?$filter=Version eq 'x'", "FC1003", ""),
        (f"{ORDERS}?$filter=Email eq 5", "FC1003", ""),
        (f"{ORDERS}?$filter=Version eq 3000000000", "FC1003", ""),
        (f"{ORDERS}?$filter=RecordId eq {10**30}", "FC1003", ""),
        (f"{ORDERS}?$filter=TotalDiscountPercentage eq 1e99999", "FC1003", ""),
        (f"{ORDERS}?$filter=Weight eq 1e999", "FC1003", ""),
        (f"{ORDERS}?$filter=AccountingDate eq 2026-02-30", "FC1003", ""),
        (f"{ORDERS}?$filter=CreatedDateTime eq 0001-01-01T00:00:00%2B10:00".replace("%2B", "+"), "FC1003", ""),
        (f"{ORDERS}?$filter=IsClosed eq 1", "FC1003", ""),
        (f"{ORDERS}?$filter=Version eq true", "FC1003", ""),
        (f"{ORDERS}?$filter=1 eq 1", "FC1004", ""),
        (f"{ORDERS}?$filter=true eq null", "FC1004", ""),
        (f"{ORDERS}?$filter=true eq 5", "FC1004", ""),
        (f"{ORDERS}?$filter=Email in ('a','b')", "FC1004", " or "),
        ("contacts?$filter=fullname in ('a','b')", "FC1004", "Microsoft.Dynamics.CRM.In"),
        (f"{ORDERS}?$filter=tolower(Email) eq 'x'", "FC1004", "contains"),
        (f"{ORDERS}?$filter=contains('x',Email)", "FC1004", ""),
        (f"{ORDERS}?$filter=contains(Version,'x')", "FC1003", ""),
        (f"{ORDERS}?$filter=contains(Email,5)", "FC1003", ""),
        (f"{ORDERS}?$filter=PurchaseOrderLinesV2/Quantity gt 5", "FC1004", "any"),
        (f"{ORDERS}?$filter=VendorV2/any(v:v/VendorName eq 'x')", "FC1004", "VendorV2/"),
        (f"{ORDERS}?$filter=PurchaseOrderLinesV2/any(l:Quantity gt 5)", "FC1004", "l/Column"),
        (f"{ORDERS}?$filter=PurchaseOrderLinesV2/$count gt 5", "FC1004", "any"),
        (f"{ORDERS}?$filter=VendorV2 eq null", "FC1004", ""),
        (f"{ORDERS}?$filter=Email", "FC1001", ""),
        (f"{ORDERS}?$filter=Email eq", "FC1001", ""),
        (f"{ORDERS}?$filter=(Version eq 1", "FC1001", ""),
        (f"{ORDERS}?$filter=Version eq 1)", "FC1001", ""),
        (f"{ORDERS}?$filter=Version eq 1 Version eq 2", "FC1001", ""),
        (f"{ORDERS}?$filter=and", "FC1002", ""),
        (f"{ORDERS}?$expand=PurchaseOrderLinesV2($filter=Quantity gt 5)", "FC1004", "$select"),
        (f"{ORDERS}?$expand=VendorV2($expand=Orders)", "FC1004", ""),
        (f"{ORDERS}?$expand=VendorV2/Orders", "FC1004", ""),
        (f"{ORDERS}?$expand=VendorV2,VendorV2", "FC1001", ""),
        (f"{ORDERS}?$expand=*", "FC1004", ""),
        (f"{ORDERS}?$top=-1", "FC1003", ""),
        (f"{ORDERS}?$top=99999999999", "FC1003", ""),
        (f"{ORDERS}?$top=x", "FC1003", ""),
        (f"{ORDERS}?$top='5'", "FC1003", ""),
        (f"{ORDERS}?$count=maybe", "FC1001", ""),
        ("contacts?$skip=5", "FC1004", ""),
        ("contacts?$filter=statecode eq 7", "FC1003", "Active"),
        ("contacts?$filter=statecode gt 0", "FC1004", ""),
        (f"{ORDERS}('x')", "FC1001", "dataAreaId="),
        (f"{ORDERS}(dataAreaId='usmf')", "FC1001", ""),
        (f"{ORDERS}(dataAreaId='usmf',PurchaseOrderNumber=5)", "FC1003", ""),
        (f"{ONE}?$filter=Version eq 1", "FC1004", ""),
        ("contacts('x')", "FC1003", ""),
        ("WhoAmI()", "FC1004", ""),
        (f"{ONE}/VendorV2/$count", "FC1004", ""),
        (f"{ONE}/Email/$count", "FC4042", ""),
    ],
)
def test_what_cannot_be_answered_is_refused_with_help(url: str, code: str, help_: str) -> None:
    refusal = refused(url)
    assert refusal.code == code, refusal.text
    assert help_ in refusal.text


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 10_000 + "Version eq 1" + ")" * 10_000,
        "not " * 7_000 + "IsClosed",
        "(" * 10_000,
        "Version eq " + "(" * 5_000 + "1",
        "Version add " * 2_000 + "1 gt 2",
        "PurchaseOrderLinesV2/any(l:l/Header/" * 500 + "x",
        "Version eq Version and " * 1_200 + "Version eq Version",
        "not(" * 5_000,
    ],
)
def test_input_nested_without_end_is_refused_quickly(condition: str) -> None:
    started = time.process_time()
    assert refused(f"{ORDERS}?$filter={condition}").status in (400, 414)
    assert time.process_time() - started < 1


def test_a_hundred_levels_are_enough_and_possible() -> None:
    assert where("(" * 99 + "Version eq 1" + ")" * 99)[0] == Compare("eq", Field(("Version",)), Slot(0, Kind.INT32))


def test_a_long_chain_is_one_flat_predicate() -> None:
    condition, values = where(" or ".join(f"Version eq {number}" for number in range(900)))
    assert isinstance(condition, p.Or) and len(condition.items) == 900
    assert values == tuple(range(900))


def test_a_filter_crosses_a_limited_number_of_relations() -> None:
    assert refused(f"{ORDERS}?$filter=" + " or ".join(["PurchaseOrderLinesV2/any()"] * 16)).code == "FC1004"
    assert refused("contacts?$filter=" + "parentcustomerid_contact/" * 6 + "fullname eq 'x'").code == "FC1004"


# ------------------------------------------------------------------------------------------ options and paths


def test_options_become_the_plan() -> None:
    parsed, values = parse(
        f"{ORDERS}?$select=PurchaseOrderNumber,Email,Email&$orderby=AccountingDate desc,VendorV2/VendorName asc"
        "&$top=5&$skip=2&$count=true&cross-company=true&$expand=VendorV2($select=VendorName),PurchaseOrderLinesV2"
    )
    read = parsed.plan
    assert read.select == ("PurchaseOrderNumber", "Email")
    assert read.order == (OrderBy(("AccountingDate",), True), OrderBy(("VendorV2", "VendorName")))
    assert values[read.top.index] == 5 if read.top else False
    assert values[read.skip.index] == 2 if read.skip else False
    assert read.want == "rows+count" and read.cross_company
    assert read.expand == (Expand("VendorV2", ("VendorName",)), Expand("PurchaseOrderLinesV2"))
    assert read.page_size == 10_000
    assert parsed.result == "set"


def test_select_star_is_everything() -> None:
    assert parse(f"{ORDERS}?$select=*")[0].plan.select is None


def test_the_key_is_always_returned_by_dataverse() -> None:
    assert parse("contacts?$select=fullname")[0].plan.select == ("fullname", "contactid")


def test_expands_nest_in_dataverse() -> None:
    parsed, values = parse(
        "contacts?$expand=children($select=fullname;$filter=statecode eq 1;$orderby=fullname desc;$top=3;"
        "$expand=parentcustomerid_contact)"
    )
    assert parsed.plan.expand == (
        Expand(
            "children",
            ("fullname", "contactid"),
            Compare("eq", Field(("statecode",)), Slot(0, Kind.ENUM)),
            (OrderBy(("fullname",), True),),
            Slot(1, Kind.INT64),
            (Expand("parentcustomerid_contact"),),
        ),
    )
    assert values == (1, 3)


def test_at_most_fifteen_relations_are_expanded() -> None:
    inner = "children"
    for _ in range(15):
        inner = f"children($expand={inner})"
    assert refused(f"contacts?$expand={inner}").code == "FC1004"


def test_a_row_is_found_by_its_key_in_any_order() -> None:
    parsed, values = parse(f"{ORDERS}(PurchaseOrderNumber='PO-1',dataAreaId='usmf')?$select=Email")
    assert parsed.result == "row"
    assert parsed.plan.key == (("dataAreaId", Slot(1, Kind.STRING)), ("PurchaseOrderNumber", Slot(0, Kind.STRING)))
    assert values == ("PO-1", "usmf")
    assert parse("contacts(contactid=" + ROW + ")")[1] == parse(f"contacts({ROW})")[1] == (UUID(ROW),)


def test_a_virtual_row_is_found_by_its_record_id() -> None:
    parsed, values = parse(f"mserp_orders({ROW})")
    assert parsed.plan.key == (("mserp_orderid", Slot(0, Kind.INT64)),)
    assert values == (77,)


def test_count_alone_looks_at_the_filter_only() -> None:
    parsed, _ = parse(f"{ORDERS}/$count?$filter=Version eq 1&$top=2&$orderby=Email&$select=Email")
    assert parsed.result == "count"
    assert parsed.plan.want == "count"
    assert (parsed.plan.top, parsed.plan.order, parsed.plan.select) == (None, (), None)
    assert parsed.plan.filter is not None


def test_rows_under_a_row_are_a_set_restricted_by_the_relation_back() -> None:
    parsed, values = parse(f"{ONE}/PurchaseOrderLinesV2?$filter=Quantity gt 5&$top=3")
    assert parsed.result == "set" and parsed.entity.name == "PurchLineEntity"
    assert parsed.plan.filter == p.all_of(
        Compare("eq", Field(("Header", "dataAreaId")), Slot(0, Kind.STRING)),
        Compare("eq", Field(("Header", "PurchaseOrderNumber")), Slot(1, Kind.STRING)),
        Compare("gt", Field(("Quantity",)), Slot(2, Kind.DECIMAL)),
    )
    assert values == ("usmf", "PO-1", Decimal(5), 3)
    assert parse(f"{ONE}/PurchaseOrderLinesV2/$count")[0].result == "count"
    assert parse(f"mserp_orders({ROW})/mserp_lines")[1] == (77,)


def test_the_single_row_under_a_row_is_expanded() -> None:
    parsed, _ = parse(f"{ONE}/VendorV2?$select=VendorName")
    assert (parsed.result, parsed.member) == ("child", "VendorV2")
    assert parsed.plan.expand == (Expand("VendorV2", ("VendorName",)),)
    assert parsed.plan.select == HEADER.key


def test_one_property_of_a_row_can_be_read() -> None:
    parsed, _ = parse(f"{ONE}/Email")
    assert (parsed.result, parsed.member, parsed.plan.select) == ("property", "Email", ("Email",))


def test_the_page_size_is_bounded_by_the_dialect() -> None:
    request = analyse("/contacts", "", DATAVERSE)
    assert plan(request, DATAVERSE_MODEL, DATAVERSE, 50).plan.page_size == 50
    assert plan(request, DATAVERSE_MODEL, DATAVERSE, 50_000).plan.page_size == 5_000


def test_the_key_of_a_row_is_bound_for_its_fields() -> None:
    request = analyse("/contacts(" + ROW + ")", "", DATAVERSE)
    entity, key = row_key(request, DATAVERSE_MODEL, DATAVERSE)
    assert (entity.name, key.bind(request.literals)) == ("contact", (("contactid", UUID(ROW)),))


def test_every_literal_of_a_request_has_a_slot() -> None:
    parsed, values = parse(f"{ORDERS}/$count?$filter=Version eq 1&$top=2")
    assert len(parsed.slots) == len(values) == 2


def test_the_virtual_table_names_its_empty_dates_plainly() -> None:
    """Fields become columns elsewhere; there the day 1900-01-01 is taken for null."""
    assert V_HEADER.fields["mserp_date"].empty_date
    assert where("mserp_date eq null", "mserp_orders")[0] == IsNull(Field(("mserp_date",)))
