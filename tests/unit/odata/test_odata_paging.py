"""Order and paging tokens."""

from __future__ import annotations

import base64
import datetime as dt
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from odata_model import HEADER, OPERATIONS_MODEL

from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import OrderBy, ReadPlan
from forecourt.kernel.predicate import Slot
from forecourt.kernel.types import Kind
from forecourt.odata.dialect import OPERATIONS
from forecourt.odata.paging import effective_order, make_token, next_link
from forecourt.odata.query import plan
from forecourt.odata.request import Request, analyse

PATH = "/PurchaseOrderHeadersV2"
BASE = "http://localhost/data"


def ask(query: str) -> Request:
    return analyse(PATH, query, OPERATIONS)


def follow(link: str) -> Request:
    parts = urlsplit(link)
    return analyse(parts.path.removeprefix("/data"), parts.query, OPERATIONS)


def names(order: tuple[OrderBy, ...]) -> list[str]:
    return [("-" if item.descending else "") + "/".join(item.path) for item in order]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((), ["dataAreaId", "PurchaseOrderNumber"]),
        ((OrderBy(("Email",)),), ["Email", "dataAreaId", "PurchaseOrderNumber"]),
        ((OrderBy(("Email",), True),), ["-Email", "-dataAreaId", "-PurchaseOrderNumber"]),
        ((OrderBy(("PurchaseOrderNumber",)),), ["PurchaseOrderNumber", "dataAreaId"]),
        (
            (OrderBy(("PurchaseOrderNumber",)), OrderBy(("dataAreaId",)), OrderBy(("Email",))),
            ["PurchaseOrderNumber", "dataAreaId"],
        ),
        (
            (OrderBy(("Email",)), OrderBy(("Email",), True), OrderBy(("VendorV2", "dataAreaId"))),
            ["Email", "VendorV2/dataAreaId", "dataAreaId", "PurchaseOrderNumber"],
        ),
    ],
)
def test_the_key_breaks_ties_exactly_where_ties_can_be(order: tuple[OrderBy, ...], expected: list[str]) -> None:
    assert names(effective_order(ReadPlan("PurchHeaderEntity", order=order), HEADER)) == expected


def test_a_token_brings_the_position_back_as_slots() -> None:
    request = ask("$filter=Version gt 3&$orderby=CreatedDateTime desc,TotalDiscountPercentage")
    moment = dt.datetime(2026, 10, 1, 8, 30, 0, 5, tzinfo=dt.UTC)
    token = make_token(request, [moment, Decimal("1.50"), "usmf", "PO'1&2"], 50)
    following = follow(next_link(BASE, request, token))
    parsed = plan(following, OPERATIONS_MODEL, OPERATIONS)
    assert parsed.plan.after == (
        Slot(1, Kind.DATETIME),
        Slot(2, Kind.DECIMAL),
        Slot(3, Kind.STRING),
        Slot(4, Kind.STRING),
    )
    assert parsed.bind(following.literals) == (3, moment, Decimal("1.50"), "usmf", "PO'1&2")
    assert following.position is not None and following.position.taken == 50


def test_null_positions_belong_to_the_shape() -> None:
    request = ask("$orderby=Email")
    some = follow(next_link(BASE, request, make_token(request, ["a", "usmf", "1"], 5)))
    other = follow(next_link(BASE, request, make_token(request, ["b", "usmf", "2"], 5)))
    null = follow(next_link(BASE, request, make_token(request, [None, "usmf", "1"], 5)))
    assert some.shape_key == other.shape_key != null.shape_key
    assert plan(null, OPERATIONS_MODEL, OPERATIONS).plan.after == (None, Slot(0, Kind.STRING), Slot(1, Kind.STRING))


def test_values_of_every_kind_survive() -> None:
    columns = "IsClosed,LineId,Weight,Version,AccountingDate,PurchaseOrderStatus"
    request = ask(f"$orderby={columns}")
    values = [True, UUID(int=7), 0.1, -5, dt.date(2026, 1, 2), 1, "usmf", "PO"]
    following = follow(next_link(BASE, request, make_token(request, values, 5)))
    assert list(plan(following, OPERATIONS_MODEL, OPERATIONS).bind(following.literals)) == values


def test_top_counts_over_all_pages_and_skip_applies_once() -> None:
    request = ask("$top=120&$skip=10")
    second = follow(next_link(BASE, request, make_token(request, ["usmf", "1"], 50)))
    third = follow(next_link(BASE, second, make_token(second, ["usmf", "2"], 50)))
    for following, left in ((second, 70), (third, 20)):
        parsed = plan(following, OPERATIONS_MODEL, OPERATIONS)
        values = parsed.bind(following.literals)
        assert parsed.plan.top is not None and values[parsed.plan.top.index] == left
        assert parsed.plan.skip is not None and values[parsed.plan.skip.index] == 0


def test_a_next_link_has_one_token_and_the_rest_as_it_came() -> None:
    request = ask("$filter=Email%20eq%20'a%26b'&cross-company=true")
    link = next_link(BASE, request, make_token(request, ["usmf", "1"], 5))
    assert link.startswith(f"{BASE}{PATH}?$filter=Email%20eq%20'a%26b'&cross-company=true&$skiptoken=")
    again = next_link(BASE, follow(link), make_token(follow(link), ["usmf", "2"], 5))
    assert again.count("$skiptoken=") == 1


def test_a_token_of_another_query_is_refused() -> None:
    request = ask("$filter=Version gt 3")
    token = make_token(request, ["usmf", "1"], 5)
    for query in ("$filter=Version gt 4", "$filter=Version lt 3", "", "$filter=Version gt 3&$top=5"):
        with pytest.raises(Refusal) as caught:
            ask(f"{query}&$skiptoken={token}")
        assert caught.value.code == "FC1007"


@pytest.mark.parametrize("token", ["", "x", "AAAA", "é", "A" * 9000, "%00", base64.b64encode(b"\x94" * 50).decode()])
def test_garbage_is_no_token(token: str) -> None:
    with pytest.raises(Refusal) as caught:
        ask(f"$skiptoken={token}")
    assert caught.value.status == 400


def test_a_token_altered_anywhere_is_refused_or_just_another_position() -> None:
    request = ask("$orderby=Version")
    token = make_token(request, [5, "usmf", "1"], 5)
    for at in range(len(token)):
        altered = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        try:
            following = ask(f"$orderby=Version&$skiptoken={altered}")
            plan(following, OPERATIONS_MODEL, OPERATIONS).bind(following.literals)
        except Refusal as refusal:
            assert refusal.status == 400


@pytest.mark.parametrize("query", ["$skip=x", "$top=x", "$top=x&$skip=y", "$top='1'&$skip='2'", "$top=0", "$top=5"])
def test_a_forged_token_on_a_faulty_query_is_refused_like_any_other(query: str) -> None:
    request = ask(query)
    token = make_token(request, ["usmf", "1"], 5)
    with pytest.raises(Refusal) as caught:
        plan(ask(f"{query}&$skiptoken={token}"), OPERATIONS_MODEL, OPERATIONS)
    assert caught.value.status == 400


def test_a_value_of_another_type_is_refused() -> None:
    request = ask("$orderby=Version")
    for values in (["x", "usmf", "1"], [5, "usmf"], [5, 6, "1"]):
        following = ask(f"$orderby=Version&$skiptoken={make_token(request, values, 5)}")
        with pytest.raises(Refusal) as caught:
            plan(following, OPERATIONS_MODEL, OPERATIONS)
        assert caught.value.code == "FC1007"


def test_a_sort_value_that_is_too_long_cannot_be_paged_by() -> None:
    with pytest.raises(Refusal) as caught:
        make_token(ask("$orderby=Email"), ["x" * 10_000, "usmf", "1"], 5)
    assert caught.value.code == "FC1004"
