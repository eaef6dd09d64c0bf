"""FetchXML at the Web API: columns, links, filters, order, pages, aggregates; what it may not name."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, quoteattr

import pytest
from defusedxml import ElementTree

from forecourt.odata.fetchxml.markup import ATTRIBUTES, CHILDREN
from forecourt.odata.fetchxml.operators import OPERATORS
from forecourt.store.embedded import EmbeddedServer
from support.server import Answer, Installation, Person, send
from support.small_erp import small_erp

A = "/api/data/v9.2"
FORMATTED = "@OData.Community.Display.V1.FormattedValue"
MORE = "@Microsoft.Dynamics.CRM.morerecords"
COOKIE = "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
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
    """A mark that the rows of these tests, and no others, have: two makers, three things, four parts of two of them."""
    mark = uuid.uuid4().hex[:8]
    makers = [await make(admin, "accounts", name=f"{mark} {name}") for name in ("Acme", "Bolt")]
    things = []
    for number, (whole, choice, date) in enumerate(
        ((5, 1, "2026-01-15"), (7, 2, "2026-02-15"), (None, 2, "2026-02-20"))
    ):
        things.append(
            await make(
                admin,
                "cts_things",
                cts_name=f"{mark} {'ABC'[number]}",
                cts_whole=whole,
                cts_choice=choice,
                cts_choices=("1,12", "2,12", None)[number],
                cts_date=date,
            )
        )
    for name, thing, maker in (("P1", 0, 0), ("P2", 0, 1), ("P3", 1, 0), ("P4", 1, None)):
        bound: dict[str, object] = {"cts_thing@odata.bind": f"/cts_things({things[thing]})"}
        if maker is not None:
            bound["cts_maker@odata.bind"] = f"/accounts({makers[maker]})"
        await make(admin, "cts_parts", cts_name=f"{mark} {name}", **bound)
    return mark


async def fetch(
    person: Person, collection: str, inner: str, attributes: str = "", headers: Mapping[str, str] = {}, more: str = ""
) -> Answer:
    table = collection.removesuffix("s")
    text = f'<fetch {attributes}><entity name="{table}">{inner}</entity></fetch>'
    return await send(person, "GET", f"{A}/{collection}?fetchXml={quote(text)}{more}", headers=headers)


def mine(mark: str) -> str:
    return f'<filter><condition attribute="cts_name" operator="begins-with" value="{mark}"/></filter>'


def names(answer: Answer, column: str = "cts_name") -> list[Any]:
    return [row.get(column, "-")[-2:].strip() for row in answer.rows]


NAME = '<attribute name="cts_name"/><order attribute="cts_name"/>'


async def test_rows_hold_the_asked_columns_the_key_and_an_etag_and_no_nulls(admin: Person, mark: str) -> None:
    answer = await fetch(admin, "cts_things", f'{NAME}<attribute name="cts_whole"/>{mine(mark)}')
    assert names(answer) == ["A", "B", "C"]
    assert [sorted(row) for row in answer.rows] == [
        ["@odata.etag", "cts_name", "cts_thingid", "cts_whole"],
        ["@odata.etag", "cts_name", "cts_thingid", "cts_whole"],
        ["@odata.etag", "cts_name", "cts_thingid"],
    ]
    assert answer.json["@odata.context"].endswith("/$metadata#cts_things(cts_name,cts_whole,cts_thingid)")


async def test_a_fetch_and_a_filter_give_the_same_rows(admin: Person, mark: str) -> None:
    fetched = await fetch(admin, "cts_things", f'<all-attributes/><order attribute="cts_name"/>{mine(mark)}')
    target = f"{A}/cts_things?$filter=startswith(cts_name,'{mark}')&$orderby=cts_name"
    filtered = await send(admin, "GET", target)
    assert fetched.rows == [{name: value for name, value in row.items() if value is not None} for row in filtered.rows]


async def test_inner_links_bring_columns_and_leave_rows_without_out(admin: Person, mark: str) -> None:
    link = (
        '<link-entity name="account" from="accountid" to="cts_maker" alias="m"><attribute name="name"/>'
        '<attribute name="accountid" alias="maker"/></link-entity>'
    )
    answer = await fetch(admin, "cts_parts", NAME + link + mine(mark), headers=ALL)
    assert names(answer) == ["P1", "P2", "P3"]
    assert [row["m.name"][9:] for row in answer.rows] == ["Acme", "Bolt", "Acme"]
    assert answer.rows[0]["maker"] == answer.rows[2]["maker"]


async def test_outer_links_keep_rows_and_their_filter_belongs_to_the_join(admin: Person, mark: str) -> None:
    inside = f'<filter><condition attribute="name" operator="like" value="{mark}%ac%"/></filter>'
    link = (
        '<link-entity name="account" from="accountid" to="cts_maker" link-type="outer" alias="m">'
        '<attribute name="name"/>'
    )
    answer = await fetch(admin, "cts_parts", f"{NAME}{link}{inside}</link-entity>{mine(mark)}")
    assert [row.get("m.name", "-")[9:] for row in answer.rows] == ["Acme", "", "Acme", ""]
    after = (
        f'<filter><condition attribute="cts_name" operator="begins-with" value="{mark}"/>'
        '<condition entityname="m" attribute="accountid" operator="null"/></filter>'
    )
    answer = await fetch(admin, "cts_parts", f"{NAME}{link}</link-entity>{after}")
    assert names(answer) == ["P4"]


async def test_links_nest_and_join_rows_many_times(admin: Person, mark: str) -> None:
    link = (
        '<link-entity name="cts_part" from="cts_thing" to="cts_thingid" alias="p"><attribute name="cts_name"/>'
        '<order attribute="cts_name" descending="true"/>'
        '<link-entity name="account" from="accountid" to="cts_maker" link-type="outer" alias="m">'
        '<attribute name="name"/></link-entity></link-entity>'
    )
    answer = await fetch(admin, "cts_things", NAME + link + mine(mark))
    assert names(answer) == ["A", "A", "B", "B"]
    assert names(answer, "p.cts_name") == ["P2", "P1", "P4", "P3"]
    assert [row.get("m.name", "")[9:] for row in answer.rows] == ["Bolt", "Acme", "", "Acme"]


async def test_an_inner_link_within_an_outer_one_belongs_to_what_is_linked(admin: Person, mark: str) -> None:
    link = (
        '<link-entity name="cts_thing" from="cts_thingid" to="cts_thing" link-type="outer" alias="t">'
        '<attribute name="cts_name"/><link-entity name="account" from="accountid" to="cts_buyer"/></link-entity>'
    )
    answer = await fetch(admin, "cts_parts", NAME + link + mine(mark))
    assert names(answer) == ["P1", "P2", "P3", "P4"] and all("t.cts_name" not in row for row in answer.rows)


@pytest.mark.parametrize(
    ("operator", "values", "found"),
    [
        ("contain-values", (1,), "A"),
        ("contain-values", (1, 2), "A B"),
        ("contain-values", (12,), "A B"),
        ("not-contain-values", (1,), "B C"),
        ("in", ("12,1",), "A"),
    ],
)
async def test_choices_are_asked_for(
    admin: Person, mark: str, operator: str, values: tuple[object, ...], found: str
) -> None:
    listed = "".join(f"<value>{value}</value>" for value in values)
    condition = f'<filter><condition attribute="cts_choices" operator="{operator}">{listed}</condition></filter>'
    answer = await fetch(admin, "cts_things", f'{NAME}<order attribute="cts_name"/>{mine(mark)}{condition}')
    assert " ".join(names(answer)) == found


@pytest.mark.parametrize(("kind", "found"), [("any", "A B"), ("not any", "C"), ("all", ""), ("not all", "A B")])
async def test_rows_are_asked_whether_linked_ones_exist(admin: Person, mark: str, kind: str, found: str) -> None:
    inner = (
        f'<filter><link-entity name="cts_part" from="cts_thing" to="cts_thingid" link-type="{kind}"><filter>'
        f'<condition attribute="cts_name" operator="ends-with" value="3"/>'
        f'<condition attribute="cts_name" operator="like" value="% P_"/>'
        "</filter></link-entity></filter>"
    )
    widened = inner.replace("<filter><condition", '<filter type="or"><condition')
    answer = await fetch(admin, "cts_things", NAME + mine(mark) + widened)
    assert " ".join(names(answer)) == found


async def test_exists_gives_each_row_once(admin: Person, mark: str) -> None:
    link = '<link-entity name="cts_part" from="cts_thing" to="cts_thingid" link-type="exists"/>'
    assert names(await fetch(admin, "cts_things", NAME + link + mine(mark))) == ["A", "B"]


async def test_distinct_rows_come_once(admin: Person, mark: str) -> None:
    inner = f'<attribute name="cts_choice"/><order attribute="cts_choice"/>{mine(mark)}'
    answer = await fetch(admin, "cts_things", inner, 'distinct="true" returntotalrecordcount="true"', headers=ALL)
    assert [row["cts_choice"] for row in answer.rows] == [1, 2]
    assert answer.rows[0][f"cts_choice{FORMATTED}"] == "One"
    assert answer.json["@Microsoft.Dynamics.CRM.totalrecordcount"] == 2


async def pages(person: Person, collection: str, inner: str, attributes: str = "") -> list[list[dict[str, Any]]]:
    found, cookie = [], ""
    for page in range(1, 9):
        answer = await fetch(person, collection, inner, f'{attributes} page="{page}"{cookie}', headers=ALL)
        found.append(answer.rows)
        if not answer.json[MORE]:
            assert COOKIE not in answer.json
            return found
        outer = ElementTree.fromstring(answer.json[COOKIE])
        assert outer.get("pagenumber") == str(page + 1)
        cookie = f" paging-cookie={quoteattr(unquote(unquote(outer.get('pagingcookie') or '')))}"
    raise AssertionError("the pages do not end")


LINKED = (
    '<link-entity name="cts_part" from="cts_thing" to="cts_thingid" link-type="outer" alias="p">'
    '<attribute name="cts_name"/>'
)
MAKER = (
    '<link-entity name="account" from="accountid" to="cts_maker" link-type="outer" alias="m">'
    '<order attribute="name"/></link-entity>'
)


@pytest.mark.parametrize(
    "inner",
    [
        '<attribute name="cts_name"/>',
        '<attribute name="cts_name"/><order attribute="cts_whole" descending="true"/>',
        f'<attribute name="cts_name"/><order attribute="cts_choice"/>{LINKED}</link-entity>',
        f'<attribute name="cts_name"/>{LINKED}{MAKER}</link-entity>',
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_by_cookie_and_by_number_are_the_rows(admin: Person, mark: str, inner: str, size: int) -> None:
    whole = (await fetch(admin, "cts_things", inner + mine(mark))).rows
    by_cookie = await pages(admin, "cts_things", inner + mine(mark), f'count="{size}"')
    clean = [
        [{k: v for k, v in row.items() if k in whole[0] or ("." in k and "@" not in k)} for row in page]
        for page in by_cookie
    ]
    assert [row for page in clean for row in page] == whole
    assert all(len(page) == size for page in by_cookie[:-1])
    second = await fetch(admin, "cts_things", inner + mine(mark), f'count="{size}" page="2"')
    assert second.rows == whole[size : 2 * size]


async def test_groups_have_pages_too(admin: Person, mark: str) -> None:
    inner = (
        '<attribute name="cts_name" alias="n" groupby="true"/>'
        '<attribute name="cts_thingid" alias="c" aggregate="count"/>'
        f'<order alias="c" descending="true"/>{mine(mark)}'
    )
    found = await pages(admin, "cts_things", inner, 'aggregate="true" count="1"')
    assert [page[0]["n"][9:] for page in found] == ["C", "B", "A"]


async def test_top_takes_the_first(admin: Person, mark: str) -> None:
    assert names(await fetch(admin, "cts_things", NAME + mine(mark), 'top="2"')) == ["A", "B"]


async def test_the_number_of_rows_is_told_where_it_is_asked_for(admin: Person, mark: str) -> None:
    answer = await fetch(admin, "cts_things", NAME + mine(mark), 'count="1"', ALL, "&$count=true")
    assert answer.json["@odata.count"] == 3 and answer.json[MORE] is True
    plain = await fetch(admin, "cts_things", NAME + mine(mark), headers=ALL)
    assert plain.json["@Microsoft.Dynamics.CRM.totalrecordcount"] == -1 and plain.json[MORE] is False


async def test_aggregates_of_all_rows(admin: Person, mark: str) -> None:
    inner = "".join(
        f'<attribute name="cts_whole" alias="{name}" aggregate="{name.rstrip("_")}"/>'
        for name in ("count", "countcolumn", "sum", "avg", "min", "max")
    )
    answer = await fetch(admin, "cts_things", inner + mine(mark), 'aggregate="true"')
    assert answer.rows == [{"count": 3, "countcolumn": 2, "sum": 12, "avg": 6.0, "min": 5, "max": 7}]
    none = await fetch(admin, "cts_things", inner + mine("no such mark"), 'aggregate="true"')
    assert none.rows == [{"count": 0, "countcolumn": 0}]


async def test_groups_by_choice_by_linked_column_and_by_parts_of_a_date(admin: Person, mark: str) -> None:
    inner = (
        '<attribute name="cts_date" alias="y" groupby="true" dategrouping="year"/>'
        '<attribute name="cts_date" alias="m" groupby="true" dategrouping="month"/>'
        '<attribute name="cts_date" alias="q" groupby="true" dategrouping="quarter"/>'
        '<attribute name="cts_date" alias="w" groupby="true" dategrouping="week"/>'
        '<attribute name="cts_choice" alias="c" groupby="true"/>'
        '<attribute name="cts_choice" alias="n" aggregate="countcolumn" distinct="true"/><order alias="m"/>'
    )
    answer = await fetch(admin, "cts_things", inner + mine(mark), 'aggregate="true"', ALL)
    shown = [tuple(row[name] for name in "ymqwcn") for row in answer.rows]
    assert shown == [(2026, 1, 1, 3, 1, 1), (2026, 2, 1, 8, 2, 1)]
    assert answer.rows[1][f"c{FORMATTED}"] == "Two"
    link = (
        '<link-entity name="account" from="accountid" to="cts_maker" link-type="outer" alias="a">'
        '<attribute name="name" alias="maker" groupby="true"/></link-entity>'
        '<attribute name="cts_partid" alias="n" aggregate="count"/><order alias="n" descending="true"/>'
        '<order alias="maker"/>'
    )
    answer = await fetch(admin, "cts_parts", link + mine(mark), 'aggregate="true"')
    assert [(row.get("maker", "")[9:], row["n"]) for row in answer.rows] == [("Acme", 2), ("", 1), ("Bolt", 1)]


async def test_lookups_are_annotated_also_in_links_and_groups(admin: Person, mark: str) -> None:
    link = (
        '<link-entity name="cts_part" from="cts_thing" to="cts_thingid" alias="p"><attribute name="cts_maker"/>'
        '<order attribute="cts_name"/></link-entity>'
    )
    answer = await fetch(admin, "cts_things", NAME + link + mine(mark), headers=ALL)
    row = answer.rows[0]
    assert row[f"p.cts_maker{FORMATTED}"].endswith("Acme")
    assert row["p.cts_maker@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    inner = (
        '<attribute name="cts_maker" alias="maker" groupby="true"/>'
        '<attribute name="cts_partid" alias="n" aggregate="count"/><order alias="n"/>'
    )
    answer = await fetch(admin, "cts_parts", inner + mine(mark), 'aggregate="true"', ALL)
    assert answer.rows[-1][f"maker{FORMATTED}"].endswith("Acme")


async def test_a_batch_takes_a_fetch(admin: Person, mark: str) -> None:
    text = f'<fetch><entity name="cts_thing">{NAME}{mine(mark)}</entity></fetch>'
    part = f"--b\r\nContent-Type: application/http\r\n\r\nGET {A}/cts_things?fetchXml={quote(text)} HTTP/1.1\r\n\r\n"
    long = part.replace(quote(mark), quote(mark), 1)
    body = f"{part}{long}--b--\r\n".encode()
    answer = await send(admin, "POST", f"{A}/$batch", body, {"content-type": "multipart/mixed; boundary=b"})
    assert answer.status == 200 and answer.text.count(f'"{mark} B"') == 2


@pytest.mark.parametrize(
    ("attributes", "inner", "code", "said"),
    [
        ("", '<attribute name="nothing"/>', "FC1002", "doesn't contain attribute"),
        *(
            (
                "",
                f'<filter><condition attribute="{column}" operator="{operator}" value="{value}"/></filter>',
                code,
                told,
            )
            for column, operator, value, code, told in (
                ("cts_choices", "like", "%1%", "FC1003", "contain-values"),
                ("cts_choices", "gt", "1", "FC1004", "eq and ne"),
                ("cts_choices", "contain-values", "7", "FC1003", "choice number"),
                ("cts_choice", "contain-values", "1", "FC1003", "does not hold several"),
                ("cts_name", "contain-values", "1", "FC1003", "does not hold several"),
            )
        ),
        ("", '<link-entity name="nothing" from="a" to="b"/>', "FC1002", "was not found"),
        ("", '<link-entity name="account" from="accountid" to="nothing"/>', "FC1002", "doesn't contain attribute"),
        ("", '<link-entity name="account" from="accountid" to="cts_name"/>', "FC1003", "different types"),
        ("", '<link-entity name="account"/>', "FC1001", "from which attribute"),
        ("", '<link-entity name="account" from="accountid" to="cts_buyer" link-type="any"/>', "FC1004", "in a filter"),
        (
            "",
            '<link-entity name="account" from="accountid" to="cts_buyer" link-type="matchfirstrowusingcrossapply"/>',
            "FC1004",
            "not supported",
        ),
        ("", '<link-entity name="account" from="accountid" to="cts_buyer" alias="a.b"/>', "FC1001", "not an alias"),
        ("", '<link-entity name="account" from="accountid" to="cts_buyer"/>' * 16, "FC1004", "at most 15"),
        ("", '<order attribute="nothing"/>', "FC1002", "doesn't contain attribute"),
        ("", '<attribute name="cts_name"/><attribute name="cts_code" alias="cts_name"/>', "FC1001", "Two columns"),
        ("", '<attribute name="cts_name" alias="n" aggregate="count"/>', "FC1001", "aggregate="),
        ('aggregate="true"', '<attribute name="cts_name" aggregate="count"/>', "FC1001", "has an alias"),
        ('aggregate="true"', '<attribute name="cts_name" alias="n" aggregate="sum"/>', "FC1003", "of numbers"),
        ('aggregate="true"', '<attribute name="cts_yesno" alias="n" aggregate="max"/>', "FC1003", "numbers and dates"),
        (
            'aggregate="true"',
            '<attribute name="cts_name" alias="n" groupby="true" dategrouping="day"/>',
            "FC1003",
            "of dates",
        ),
        (
            'aggregate="true"',
            '<attribute name="cts_date" alias="n" groupby="true" dategrouping="fiscal-year"/>',
            "FC1004",
            "no dategrouping",
        ),
        (
            'aggregate="true"',
            '<attribute name="cts_name" alias="n" aggregate="count"/><order attribute="cts_name"/>',
            "FC1001",
            "by an alias",
        ),
        ('distinct="true"', '<attribute name="cts_name"/><order attribute="cts_code"/>', "FC1004", "Distinct rows"),
        ('top="5" count="5"', "", "FC1001", "top attribute"),
        ('count="many"', "", "FC1001", "whole number"),
        ('count="5000" page="12"', "", "FC1004", "50000"),
        ('aggregate="perhaps"', "", "FC1001", "true or false"),
        ('paging-cookie="x"', "", "FC1007", "paging cookie"),
        ('datasource="retained"', "", "FC1004", "datasource"),
    ],
)
async def test_what_a_fetch_cannot_mean_is_refused(
    admin: Person, attributes: str, inner: str, code: str, said: str
) -> None:
    answer = await fetch(admin, "cts_things", inner, attributes)
    assert answer.status == 400 and answer.refusal == code and said in answer.json["error"]["message"], answer.text


async def test_only_a_set_is_fetched_and_only_count_goes_with_it(admin: Person) -> None:
    text = quote('<fetch><entity name="cts_thing"/></fetch>')
    for target, code in (
        (f"cts_things?fetchXml={text}&$filter=cts_name eq 'a'".replace(" ", "%20"), "FC1004"),
        (f"cts_things?fetchXml={text}&fetchXml={text}", "FC1001"),
        (f"cts_things/$count?fetchXml={text}", "FC1004"),
        (f"cts_things({uuid.uuid4()})?fetchXml={text}", "FC1004"),
        (f"accounts?fetchXml={text}", "FC1002"),
        (f"nothing?fetchXml={text}", "FC4042"),
        ("cts_things?savedQuery=x", "FC1004"),
    ):
        answer = await send(admin, "GET", f"{A}/{target}")
        assert answer.refusal == code, (target, answer.text)


async def test_a_cookie_of_another_query_is_refused(admin: Person, mark: str) -> None:
    answer = await fetch(admin, "cts_things", NAME + mine(mark), 'count="1"', ALL)
    outer = ElementTree.fromstring(answer.json[COOKIE])
    cookie = f"paging-cookie={quoteattr(unquote(unquote(outer.get('pagingcookie') or '')))}"
    other = await fetch(admin, "cts_things", NAME + mine("other"), f'count="1" page="2" {cookie}')
    assert other.refusal == "FC1007"
    same = await fetch(admin, "cts_things", NAME + mine(mark), f'count="1" page="2" {cookie}')
    assert names(same) == ["B"]


WORDS = (
    *(
        "cts_thing",
        "cts_part",
        "account",
        "cts_thingid",
        "cts_name",
        "cts_whole",
        "cts_date",
        "cts_moment",
        "cts_choice",
    ),
    *(
        "cts_parent",
        "cts_maker",
        "cts_yesno",
        "cts_money",
        "accountid",
        "name",
        "x",
        "y",
        "x.name",
        "",
        "true",
        "false",
    ),
    *("1", "0", "-1", "99999999999999999999", "2026-02-30", "9999-12-31", "%", "[", "\\", "or", "and", "month", "sum"),
    *("count", "countcolumn", "outer", "inner", "any", "not any", "all", "exists", "day", "week", "'", '"<&'),
)


def drawn_element(pick: random.Random, tag: str, depth: int) -> str:
    """An element of any shape that the grammar has, with any words for its attributes."""
    names = pick.sample(sorted(ATTRIBUTES[tag]), k=min(len(ATTRIBUTES[tag]), pick.randrange(6)))
    likely = {
        "entity": {"name": "cts_thing"},
        "link-entity": pick.choice(
            [
                {"name": "cts_part", "from": "cts_thing", "to": "cts_thingid", "alias": "x"},
                {"name": "account", "from": "accountid", "to": "cts_maker", "alias": "y"},
                {},
            ]
        ),
        "condition": {"attribute": pick.choice(WORDS[3:13]), "operator": pick.choice(sorted(OPERATORS))},
        "attribute": {"name": pick.choice(WORDS[3:13])},
        "order": {"attribute": pick.choice(WORDS[3:13])},
        "fetch": pick.choice([{"aggregate": "true"}, {"distinct": "true"}, {}, {}]),
    }.get(tag, {})
    given = {name: pick.choice(WORDS) for name in names if name != "datasource"} if pick.randrange(2) else {}
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in {**given, **likely}.items())
    children = sorted(CHILDREN.get(tag, ()))
    inner = ""
    if tag == "fetch":
        inner = drawn_element(pick, "entity", depth)
    elif children and depth:
        inner = "".join(drawn_element(pick, pick.choice(children), depth - 1) for _ in range(pick.randrange(5)))
    return f"<{tag} {attributes}>{escape(pick.choice(WORDS)) if tag == 'value' else inner}</{tag}>"


async def test_no_fetch_is_a_fault(admin: Person) -> None:
    statuses: Counter[int] = Counter()
    for seed in range(1_500):
        text = drawn_element(random.Random(seed), "fetch", 4)
        answer = await send(admin, "GET", f"{A}/cts_things?fetchXml={quote(text, safe='')}", headers=ALL)
        assert answer.status in (200, 400), (seed, text, answer.text)
        statuses[answer.status] += 1
    assert min(statuses.values()) > 50 and len(statuses) == 2, statuses
