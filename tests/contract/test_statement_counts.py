"""A read costs one statement, and one more for each level of an expand; policies and totals are inside.

Beside a list runs one guard, which looks at the rows that the decision rests on and at nothing that was asked for.
"""

from __future__ import annotations

import pytest

from forecourt.dataverse.rows import Query
from forecourt.kernel.observe import PlanCompiled
from support import contoso as sample
from support.server import Case, Installation, Surface, url
from support.statements import recorded

#: Statements that look up who asks, and guards.
OTHERS = ("select c.*", "select to_jsonb(c)", "SELECT 1 ")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement, as it is run."""
    return recorded(monkeypatch)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of requests for rows, as they are run; who asks is looked up by statements of its own."""
    return recorded(monkeypatch, lambda sql: not sql.lstrip().startswith(OTHERS))


def targets(case: Case, door: str) -> dict[str, tuple[str, int]]:
    surface = case.surface(door)
    number = surface.column(case.key[-1])
    lines, vendor, back = (surface.column(name) for name in (case.to_lines, case.to_vendor, case.to_order))
    found = {
        "a page": (surface.orders(_top=5), 1),
        "a page with filter and order": (surface.orders(_filter=f"{number} ne null", _orderby=f"{number} desc"), 1),
        "a page with its total": (surface.orders(_count=True, _top=5), 1),
        "a total": (url(surface.set(case.orders) + "/$count", **surface.options), 1),
        "a filter along relations": (surface.orders(_filter=f"{lines}/any(l:l/{number} ne null)", _top=5), 1),
        "an expand of one": (surface.orders(_expand=vendor, _top=5), 2),
        "an expand of many": (surface.orders(_expand=lines, _top=5), 2),
        "two expands": (surface.orders(_expand=f"{lines},{vendor}", _top=5), 3),
    }
    found["an order along a relation"] = (surface.orders(_orderby=f"{vendor}/{vendor_number(surface)}", _top=5), 1)
    if door != "data":
        found["an expand in an expand"] = (surface.orders(_expand=f"{lines}($expand={back})", _top=5), 3)
        steps = f"groupby(({vendor}/{vendor_number(surface)}),aggregate($count as n))"
        found["groups with their number"] = (surface.orders(_apply=steps, _count=True), 1)
        found["a fetch with a link and its total"] = (fetch(case, surface, "A"), 1)
    return found


def vendor_number(surface: Surface) -> str:
    return surface.column("VendorAccountNumber")


def fetch(case: Case, surface: Surface, number: str) -> str:
    """Orders with their vendor; the other's number is a value, and no part of the shape."""
    account = surface.column(case.account)
    text = (
        f'<fetch returntotalrecordcount="true" count="5"><entity name="{surface.table(case.orders)}">'
        f'<attribute name="{account}"/>'
        f'<filter><condition attribute="{account}" operator="ne" value="{number}"/></filter>'
        f'<link-entity name="{surface.table(case.vendor)}" from="{vendor_number(surface)}" to="{account}" alias="v">'
        f'<attribute name="{vendor_number(surface)}"/></link-entity></entity></fetch>'
    )
    return url(surface.set(case.orders), fetchXml=text)


@pytest.mark.parametrize("door", ["web", "api"])
async def test_fetches_that_differ_in_values_alone_share_a_plan(contoso: Installation, door: str) -> None:
    case = sample.case(contoso)
    person, surface = case.person(0), case.surface(door)
    answer = await person.get(fetch(case, surface, "A"))
    assert answer.status == 200, answer.text
    contoso.observed.clear()
    for value in ("B", "C &amp; D", "' or 1=1"):
        assert (await person.get(fetch(case, surface, value))).status == 200
    assert not [item for item in contoso.observed if isinstance(item, PlanCompiled)]


@pytest.mark.parametrize("door", ["data", "web", "api"])
async def test_a_warm_read_is_one_statement_and_one_more_per_expand(
    case: Case, door: str, statements: list[str]
) -> None:
    person, surface = case.person(0), case.surface(door)
    own = (await case.own(person))[0]
    rows = {
        "a row": (url(surface.row(own), **surface.options), 1),
        "a row with its lines": (url(surface.row(own), _expand=surface.column(case.to_lines), **surface.options), 2),
        "the lines of a row": (url(f"{surface.row(own)}/{surface.column(case.to_lines)}", **surface.options), 1),
        "a property": (url(f"{surface.row(own)}/{surface.column(case.writable)}", **surface.options), 1),
    }
    for what, (target, expected) in {**targets(case, door), **rows}.items():
        first = await person.get(target)
        assert first.status == 200, (what, first.text)
        statements.clear()
        assert (await person.get(target)).body == first.body
        assert len(statements) == expected, (what, statements)


async def test_a_list_of_the_portal_is_one_statement_with_its_total(case: Case, statements: list[str]) -> None:
    person = case.person(0)
    table = case.surface("web").table(case.orders)
    column = case.surface("web").column(case.key[-1])
    principal = await person.principal()
    query = Query(table, (column,), size=25, total=True)
    page = await case.site.forecourt.rows.page(principal, query)
    statements.clear()
    again = await case.site.forecourt.rows.page(await person.principal(), query)
    assert len(statements) == 1
    assert again == page
    statements.clear()
    await case.site.forecourt.rows.row(principal, table, page.rows[0].id, (column,))
    assert len(statements) == 1


async def test_a_list_has_one_guard_and_a_row_by_key_none(case: Case, seen: list[str]) -> None:
    person, surface = case.person(0), case.surface("data")
    own = (await case.own(person))[0]
    for target, guards in (
        (surface.row(own), 0),
        (surface.orders(_top=3), 1),
        (surface.orders(_top=3, _expand=f"{case.to_lines},{case.to_vendor}"), 1),
    ):
        await person.get(target)
        seen.clear()
        assert (await person.get(target)).status == 200
        assert sum(sql.startswith("SELECT 1 ") for sql in seen) == guards


async def test_the_lists_of_a_page_share_their_guard_and_the_next_page_asks_anew(
    contoso: Installation, seen: list[str]
) -> None:
    person = await sample.fresh_vendor(contoso)
    await person.get("/")
    for _ in range(2):
        await contoso.dataverse("select pg_current_xact_id()")  # something is written: the page is made anew
        seen.clear()
        assert (await person.get("/")).status == 200
        totals = sum(sql.startswith("SELECT count(*)") for sql in seen)
        asked = [sql for sql in seen if sql.startswith("SELECT 1 ")]
        assert totals > 3
        assert 1 <= len(asked) == len(set(asked)) < totals
    before = (await person.get("/")).text.count("fc-tile")
    await contoso.sql("update erp.userinfo set enable = 0 where id = $1", person.operations_user)
    assert (await person.get("/")).text.count("fc-tile") < before


async def test_a_statement_holds_no_value_of_the_request_or_of_the_person(
    contoso: Installation, statements: list[str]
) -> None:
    case = sample.case(contoso)
    for number in (0, 1):
        person = case.person(number)
        await person.get(case.surface("data").orders(_filter="VendorOrderReference eq 'secret-4711'", _top=7))
    assert statements
    for sql in statements:
        assert "secret-4711" not in sql
        for person in (case.person(0), case.person(1)):
            assert str(person.operations_user) not in sql
        assert "US-101" not in sql


async def test_people_of_one_shape_share_a_statement(contoso: Installation, statements: list[str]) -> None:
    case = sample.case(contoso)
    target = case.surface("data").selecting(_orderby="PurchaseOrderNumber", _top=3)
    texts = set()
    for user in ("v-us-101", "v-us-102", "v-us-103"):
        person = await contoso.contact_of(user)
        await person.get(target)
        statements.clear()
        assert (await person.get(target)).status == 200
        texts |= set(statements)
    assert len(texts) == 1


async def test_an_answer_without_etags_makes_none(contoso: Installation, statements: list[str]) -> None:
    """Neither a page without metadata, with what it expands, nor a list of the portal."""
    case = sample.case(contoso)
    surface = case.surface("data")
    target = surface.orders(_expand=surface.column(case.to_lines), _top=5)
    person = case.person(0)
    plain = {"accept": "application/json;odata.metadata=none"}
    for headers, shown in (({}, True), (plain, False)):
        await person.get("/data")  # who asks is known before statements are looked at
        statements.clear()
        answer = await person.get(target, headers)
        assert ("@odata.etag" in answer.text) is shown
        assert [("hash_record" in sql) for sql in statements] == [shown, shown]
    principal = await case.person(0).principal()
    statements.clear()
    page = await contoso.forecourt.rows.page(principal, Query(surface_table(case), (), size=5))
    assert [row.version for row in page.rows] == [""] * len(page.rows)
    assert statements and not any("hash_record" in sql for sql in statements)


def surface_table(case: Case) -> str:
    return case.surface("api").table(case.orders)


async def test_the_number_of_rows_alone_is_a_count_and_nothing_more(
    contoso: Installation, statements: list[str]
) -> None:
    case = sample.case(contoso)
    principal = await case.person(0).principal()
    rows = contoso.forecourt.rows
    table = surface_table(case)
    whole = await rows.page(principal, Query(table, (), size=5, total=True))
    statements.clear()
    alone = await rows.page(principal, Query(table, (), size=0, total=True))
    assert (alone.rows, alone.cursor, alone.total) == ((), None, whole.total) and alone.total
    assert len(statements) == 1 and "ORDER BY" not in statements[0] and "LIMIT" not in statements[0]
