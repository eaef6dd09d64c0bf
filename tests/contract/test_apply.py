"""``$apply`` at the Web API: rows filtered, grouped and summed up; what it may not name."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.server import Answer, Installation, Person, send, url
from support.small_erp import small_erp

A = "/api/data/v9.2"
ALL = {"prefer": 'odata.include-annotations="*"'}


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as opened:
        yield opened


@pytest.fixture(scope="module")
async def admin(site: Installation) -> Person:
    return await site.operations_user("admin")


async def make(person: Person, collection: str, **values: object) -> str:
    answer = await send(person, "POST", f"{A}/{collection}", values)
    assert answer.status == 204, answer.text
    return answer.headers["odata-entityid"][-37:-1]


@pytest.fixture(scope="module")
async def mark(admin: Person) -> str:
    """A mark that these rows alone have: an account, and three things of which two have it as their buyer."""
    mark = uuid.uuid4().hex[:8]
    buyer = await make(admin, "accounts", name=f"{mark} Acme")
    for name, whole, choice, bought in (("A", 5, 1, True), ("B", 7, 2, True), ("C", None, 2, False)):
        bound = {"cts_buyer_account@odata.bind": f"/accounts({buyer})"} if bought else {}
        await make(admin, "cts_things", cts_name=f"{mark} {name}", cts_whole=whole, cts_choice=choice, **bound)
    return mark


async def apply(person: Person, mark: str, steps: str, collection: str = "cts_things", **options: object) -> Answer:
    text = f"filter(startswith(cts_name,'{mark}'))/{steps}" if mark else steps
    return await send(person, "GET", url(f"{A}/{collection}", _apply=text, **options), headers=ALL)


async def test_all_rows_are_summed_up(admin: Person, mark: str) -> None:
    items = "cts_whole with sum as s,cts_whole with average as a,cts_whole with min as l,cts_whole with max as m"
    answer = await apply(admin, mark, f"aggregate($count as n,{items},cts_choice with countdistinct as c)")
    shown = {name: value for name, value in answer.rows[0].items() if "@" not in name}
    assert shown == {"n": 3, "s": 12, "a": 6.0, "l": 5, "m": 7, "c": 2} and len(answer.rows) == 1
    assert answer.json["@odata.context"].endswith("/$metadata#cts_things(n,s,a,l,m,c)")
    none = await apply(admin, "no such mark", "aggregate($count as n,cts_whole with sum as s)")
    assert none.rows == [{"n@OData.Community.Display.V1.FormattedValue": "0", "n": 0, "s": None}]


async def test_rows_are_grouped_sorted_and_cut(admin: Person, mark: str) -> None:
    steps = "groupby((cts_choice),aggregate($count as n,cts_whole with sum as s))"
    answer = await apply(admin, mark, steps, _orderby="n desc", _count=True)
    assert [(row["cts_choice"], row["n"], row["s"]) for row in answer.rows] == [(2, 2, 7), (1, 1, 5)]
    assert answer.rows[0]["cts_choice@OData.Community.Display.V1.FormattedValue"] == "Two"
    assert answer.json["@odata.count"] == 2
    first = await apply(admin, mark, steps, _orderby="n desc", _top=1)
    assert [row["n"] for row in first.rows] == [2]


async def test_groups_alone_are_the_distinct_values(admin: Person, mark: str) -> None:
    answer = await apply(admin, mark, "groupby((cts_choice))", _orderby="cts_choice desc")
    assert [row["cts_choice"] for row in answer.rows] == [2, 1]


async def test_groups_cross_relations_and_rows_without_are_grouped_under_null(admin: Person, mark: str) -> None:
    steps = "groupby((cts_buyer_account/name),aggregate($count as n))"
    answer = await apply(admin, mark, steps, _orderby="cts_buyer_account/name")
    assert [(row["cts_buyer_account_name"], row["n"]) for row in answer.rows] == [(None, 1), (f"{mark} Acme", 2)]
    answer = await apply(admin, mark, "aggregate(cts_buyer_account/name with countdistinct as n)")
    assert answer.rows[0]["n"] == 1


async def test_groups_have_pages(admin: Person, mark: str) -> None:
    steps = f"filter(startswith(cts_name,'{mark}'))/groupby((cts_name),aggregate(cts_whole with sum as s))"
    target = url(f"{A}/cts_things", _apply=steps, _orderby="s desc")
    pages = await admin.pages(target, {"prefer": "odata.maxpagesize=1"})
    assert [page.rows[0]["cts_name"][9:] for page in pages] == ["B", "A", "C"]
    assert all(len(page.rows) == 1 for page in pages)


@pytest.mark.parametrize(
    ("steps", "options", "code"),
    [
        ("groupby((nothing))", {}, "FC1002"),
        ("groupby((cts_buyer_account/nothing))", {}, "FC1002"),
        ("groupby((cts_thing_parts/cts_name))", {}, "FC1004"),
        ("groupby((cts_name),aggregate(cts_name with sum as s))", {}, "FC1003"),
        ("aggregate(cts_name with max as s)", {}, "FC1003"),
        ("aggregate(cts_whole with median as s)", {}, "FC1004"),
        ("aggregate(cts_whole with sum)", {}, "FC1001"),
        ("aggregate(cts_whole with sum as a.b)", {}, "FC1001"),
        ("aggregate($count as n,$count as n)", {}, "FC1001"),
        ("groupby((cts_name))/filter(cts_name eq 'a')", {}, "FC1004"),
        ("filter(cts_name eq 'a')", {}, "FC1004"),
        ("compute(cts_whole add 1 as x)", {}, "FC1004"),
        ("groupby((cts_name),topcount(1))", {}, "FC1004"),
        ("groupby((cts_name)", {}, "FC1001"),
        ("aggregate($count as n) x", {}, "FC1001"),
        ("aggregate($count as n)", {"_select": "cts_name"}, "FC1004"),
        ("aggregate($count as n)", {"_filter": "n gt 1"}, "FC1004"),
        ("aggregate($count as n)", {"_orderby": "cts_name"}, "FC1002"),
    ],
)
async def test_what_apply_cannot_mean_is_refused(
    admin: Person, steps: str, options: dict[str, object], code: str
) -> None:
    answer = await apply(admin, "", steps, **options)
    assert answer.status == 400 and answer.refusal == code, answer.text


async def test_apply_shapes_sets_of_the_dataverse_doors_alone(admin: Person) -> None:
    for target in (f"{A}/cts_things/$count", f"{A}/cts_things({uuid.uuid4()})", "/data/PurchaseOrderHeadersV2"):
        answer = await send(admin, "GET", url(target, _apply="aggregate($count as n)"))
        assert answer.refusal == "FC1004", answer.text


async def test_rows_beneath_a_row_are_summed_up(admin: Person, mark: str) -> None:
    thing = await make(admin, "cts_things", cts_name=f"{mark[::-1]} X")
    for name in ("P", "Q"):
        await make(admin, "cts_parts", cts_name=name, **{"cts_thing@odata.bind": f"/cts_things({thing})"})
    answer = await apply(admin, "", "aggregate($count as n)", f"cts_things({thing})/cts_thing_parts")
    assert answer.rows[0]["n"] == 2
