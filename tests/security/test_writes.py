"""What a vendor may change is changed, through every door; all else is refused, and nothing of it is written."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from typing import Any

import pytest

from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Door
from support import contoso as sample
from support.server import Answer, Case, Installation, Known, Person, Surface, url

ODATA = ("data", "web", "api")

#: What PostgreSQL would say, and what our tables are called.
DATABASE_WORDS = (
    "erp.",
    "purchtable",
    "purchasing.",
    "constraint",
    "violates",
    "relation ",
    'column "',
    "asyncpg",
    "psql",
)


def changed(case: Case, order: dict[str, Any]) -> object:
    return order[case.column]


def value_of(case: Case) -> object:
    """The value that tests write, as the database holds it."""
    text = case.value
    return dt.datetime.fromisoformat(text).replace(tzinfo=None) if "T" in text else dt.date.fromisoformat(text)


async def own(case: Case, number: int = 0, place: int = -1) -> tuple[Person, Known]:
    person = case.person(number)
    orders = await case.own(person)
    return person, orders[place]


def without_database(answer: Answer) -> None:
    assert not any(word in answer.text.lower() for word in DATABASE_WORDS), answer.text


@pytest.mark.parametrize("door", ODATA)
async def test_a_vendor_confirms_a_date_and_plain_sql_sees_it(case: Case, door: str) -> None:
    surface = case.surface(door)
    person, order = await own(case, 0, -1 - ODATA.index(door))
    before = await case.stored(order)
    assert changed(case, before) != value_of(case)
    answer = await person.patch(url(surface.row(order), **surface.options), {surface.column(case.writable): case.value})
    assert (answer.status, answer.body) == (204, b"")
    after = await case.stored(order)
    assert changed(case, after) == value_of(case)
    untouched = {name for name in before if name not in ("xmin", case.column)}
    assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
    shown = await person.get(url(surface.row(order), **surface.options))
    assert str(shown.json[surface.column(case.writable)])[:10] == case.value[:10]


async def test_a_vendor_confirms_a_date_through_the_service_behind_forms(case: Case) -> None:
    person, order = await own(case, 0, -5)
    table = case.surface("web").table(case.orders)
    column = case.surface("web").column(case.writable)
    value = value_of(case)
    if isinstance(value, dt.datetime):
        value = value.date()  # the field is a date over a timestamp
    row_id = case.site.row_id(table, order.recid)
    await case.site.forecourt.rows.update(await person.principal(), table, row_id, {column: value})
    assert changed(case, await case.stored(order)) == value_of(case)


@pytest.mark.parametrize("door", ODATA)
async def test_a_hidden_order_is_changed_as_little_as_one_that_does_not_exist(case: Case, door: str) -> None:
    person, surface = case.person(0), case.surface(door)
    change = {surface.column(case.writable): case.value}
    for order in await case.others(person):
        before = await case.stored(order)
        hidden = await person.patch(url(surface.row(order), **surface.options), change)
        other_key = tuple("PO-999999" if isinstance(part, str) and part[:3] == "PO-" else part for part in order.key)
        nothing = Known(other_key if len(order.key) > 1 else (99_999_999,), 99_999_999)
        absent = await person.patch(url(surface.row(nothing), **surface.options), change)
        assert hidden.status == absent.status == 404
        assert hidden.body == absent.body
        versioned = await person.patch(url(surface.row(order), **surface.options), change, {"if-match": 'W/"1"'})
        assert versioned.status == 404, "a version must not tell that the row exists"
        assert await case.stored(order) == before


async def test_a_hidden_order_is_not_changed_through_the_service_behind_forms(case: Case) -> None:
    person = case.person(0)
    table, column = case.surface("web").table(case.orders), case.surface("web").column(case.writable)
    (order,) = await case.others(person, 1)
    before = await case.stored(order)
    with pytest.raises(Refusal) as refused:
        await case.site.forecourt.rows.update(
            await person.principal(), table, case.site.row_id(table, order.recid), {column: None}
        )
    assert refused.value.code in ("FC4041", "FC1003")
    assert await case.stored(order) == before


@pytest.mark.parametrize("door", ODATA)
async def test_a_column_outside_the_grant_is_refused_and_nothing_of_the_request_is_written(
    case: Case, door: str
) -> None:
    surface = case.surface(door)
    person, order = await own(case)
    before = await case.stored(order)
    for name, value in ((case.closed, case.closed_value), (case.account, "DE-101")):
        answer = await person.patch(
            url(surface.row(order), **surface.options),
            {
                surface.column(case.writable): "2026-01-01" if len(case.value) == 10 else "2026-01-01T00:00:00Z",
                surface.column(name): value,
            },
        )
        assert answer.status in (400, 403), answer.text
        assert answer.status == 403 or name == case.account, "a joined column cannot be written by anybody"
        assert await case.stored(order) == before


@pytest.mark.parametrize("door", ODATA)
async def test_key_columns_cannot_be_changed(case: Case, door: str) -> None:
    surface = case.surface(door)
    person, order = await own(case)
    before = await case.stored(order)
    name = case.key[-1]
    other: object = "PO-777777" if isinstance(order.key[-1], str) else 777777
    answer = await person.patch(url(surface.row(order), **surface.options), {surface.column(name): other})
    assert answer.status in (400, 403)
    assert await case.stored(order) == before
    if door != "data":
        identity = {f"{surface.table(case.orders)}id": str(uuid.uuid4())}
        assert (await person.patch(surface.row(order), identity)).status in (400, 403)
        assert await case.stored(order) == before


async def test_not_even_who_may_write_every_column_moves_a_row_out_of_reach(contoso_alone: Installation) -> None:
    """The grant of a purchasing agent under the policy of a vendor: handing an order to another vendor is refused."""
    site = contoso_alone
    case = sample.case(site)
    person, order = await own(case)
    await site.sql("insert into erp.securityuserrole values ($1, 'PurchPurchasingAgent')", person.operations_user)
    before = await case.stored(order)
    for door, status in (("data", 403), ("web", 403), ("api", 403)):
        surface = case.surface(door)
        answer = await person.patch(surface.row(order), {surface.column(case.account): "US-102"})
        assert (answer.status, await case.stored(order)) == (status, before), answer.text
        without_database(answer)
    data = case.surface("data")
    moved = await person.patch(data.row(order), {case.account: "US-102"})
    assert moved.refusal == "FC3005"
    renamed = await person.patch(data.row(order), {"DeliveryAddressName": "Dock 7"})
    assert renamed.status == 204
    assert (await case.stored(order))["deliveryname"] == "Dock 7"


# ---------------------------------------------------------------------------------------------- concurrency


@pytest.mark.parametrize("door", ODATA)
async def test_a_stale_version_is_refused_and_the_current_one_is_taken(case: Case, door: str) -> None:
    surface = case.surface(door)
    person, order = await own(case, 1, -1 - ODATA.index(door))
    target = url(surface.row(order), **surface.options)
    first = (await person.get(target)).headers["etag"]
    column = surface.column(case.writable)
    assert (await person.patch(target, {column: case.value}, {"if-match": first})).status == 204
    before = await case.stored(order)
    late = await person.patch(target, {column: case.value.replace("12-24", "12-31")}, {"if-match": first})
    assert late.status == 412
    assert await case.stored(order) == before
    second = (await person.get(target)).headers["etag"]
    assert second != first
    assert (await person.patch(target, {column: case.value}, {"if-match": second})).status == 204
    assert (await person.patch(target, {column: case.value}, {"if-match": "*"})).status == 204


@pytest.mark.parametrize("door", ODATA)
async def test_of_two_writers_with_one_version_exactly_one_wins(case: Case, door: str) -> None:
    surface = case.surface(door)
    person, order = await own(case, 1, -5 - ODATA.index(door))
    target = url(surface.row(order), **surface.options)
    column = surface.column(case.writable)
    for round_ in range(3):
        tag = (await person.get(target)).headers["etag"]
        values = [case.value.replace("12-24", f"12-{10 + 4 * round_ + number}") for number in range(4)]
        answers = await asyncio.gather(*(person.patch(target, {column: value}, {"if-match": tag}) for value in values))
        assert sorted(answer.status for answer in answers) == [204, 412, 412, 412]
        (winner,) = [value for value, answer in zip(values, answers, strict=True) if answer.status == 204]
        assert str(changed(case, await case.stored(order)))[:10] == winner[:10]


@pytest.mark.parametrize("door", ODATA)
async def test_writers_without_a_version_all_succeed_one_after_the_other(case: Case, door: str) -> None:
    surface = case.surface(door)
    person, order = await own(case, 1, -9 - ODATA.index(door))
    target = url(surface.row(order), **surface.options)
    values = [case.value.replace("12-24", f"12-{10 + number}") for number in range(6)]
    answers = await asyncio.gather(*(person.patch(target, {surface.column(case.writable): value}) for value in values))
    assert [answer.status for answer in answers] == [204] * 6
    assert str(changed(case, await case.stored(order)))[:10] in {value[:10] for value in values}


@pytest.mark.parametrize("door", ODATA)
async def test_a_rule_of_the_database_is_a_conflict_without_its_words(adventureworks: Installation, door: str) -> None:
    """The database itself refuses a shipment before the order."""
    from support import adventureworks as aw

    case = aw.case(adventureworks)
    surface = case.surface(door)
    person, order = await own(case)
    before = await case.stored(order)
    answer = await person.patch(surface.row(order), {surface.column(case.writable): "1999-01-01T00:00:00Z"})
    assert answer.status == 409
    assert "rule of its own" in answer.text
    without_database(answer)
    assert await case.stored(order) == before


# -------------------------------------------------------------------------------------------- hostile bodies


def hostile(surface: Surface, case: Case) -> list[tuple[bytes, tuple[int, ...]]]:
    """Bodies with the statuses that may answer them."""
    column = surface.column(case.writable)
    bad = (400,)
    return [
        (b"", bad),
        (b"not json", bad),
        (b"{", bad),
        (b"[]", bad),
        (b"null", bad),
        (b'"text"', bad),
        (b"{}", bad),
        (b"\xff\xfe", bad),
        (b"\x00", bad),
        (b'{"a":' * 20_000, bad),
        (b"[" * 100_000, bad),
        (json.dumps({"NoSuchColumn": 1}).encode(), bad),
        (json.dumps({column + "\x00": 1}).encode(), bad),
        (json.dumps({column: "yesterday"}).encode(), bad),
        (json.dumps({column: 5}).encode(), bad),
        (json.dumps({column: True}).encode(), bad),
        (json.dumps({column: [case.value]}).encode(), bad),
        (json.dumps({column: {"value": case.value}}).encode(), bad),
        (json.dumps({column: "9999999-01-01"}).encode(), bad),
        (json.dumps({column: "2026-13-45"}).encode(), bad),
        (json.dumps({column: "2026-12-24T25:00:00Z"}).encode(), bad),
        (b'{"%s": "\\ud800"}' % column.encode(), bad),
        (b'{"%s": 1e400}' % column.encode(), bad),
        (b'{"%s": NaN}' % column.encode(), bad),
        (json.dumps({surface.column(case.to_lines): []}).encode(), bad),
        (json.dumps({surface.column(case.to_vendor) + "@odata.bind": "x"}).encode(), bad),
        (json.dumps({"@odata.type": 7, column: "x"}).encode(), bad),
        (b" " * (1024 * 1024 + 1), (413,)),
        (json.dumps({column: "x" * (1024 * 1024)}).encode(), (413,)),
        (json.dumps({column: "x" * 500_000}).encode(), bad),
        (json.dumps({f"c{number}": number for number in range(50_000)}).encode(), bad),
    ]


@pytest.mark.parametrize("door", ODATA)
async def test_a_hostile_body_is_refused_in_the_doors_shape_and_changes_nothing(case: Case, door: str) -> None:
    surface = case.surface(door)
    person, order = await own(case, 2)
    before = await case.stored(order)
    for body, statuses in hostile(surface, case):
        answer = await asyncio.wait_for(person.patch(url(surface.row(order), **surface.options), body), 20)
        assert answer.status in statuses, (body[:60], answer.status, answer.text[:300])
        assert set(answer.json["error"]) >= {"code", "message"}
        without_database(answer)
    assert await case.stored(order) == before
    assert not case.site.faults


@pytest.mark.parametrize("door", ODATA)
async def test_null_in_a_column_that_needs_a_value_is_refused_or_means_no_date(case: Case, door: str) -> None:
    surface = case.surface(door)
    person, order = await own(case, 2, -2)
    before = await case.stored(order)
    answer = await person.patch(url(surface.row(order), **surface.options), {surface.column(case.writable): None})
    assert answer.status in (204, 400, 409)
    after = await case.stored(order)
    if answer.status == 204:
        assert changed(case, after) in (None, dt.date(1900, 1, 1))
    else:
        assert after == before
    assert not case.site.faults


@pytest.mark.parametrize("door", ODATA)
async def test_an_update_without_json_without_a_key_or_with_odd_conditions_is_refused(case: Case, door: str) -> None:
    surface = case.surface(door)
    person, order = await own(case, 2)
    before = await case.stored(order)
    change = {surface.column(case.writable): case.value}
    target = url(surface.row(order), **surface.options)
    for headers in (
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
    ):
        assert (await person.patch(target, change, headers)).status in (400, 415), headers
    for condition in ("", "x", 'W/"', "W/1", '""', "\xff", 'W/"1", W/"2"', '"' + "9" * 5000 + '"'):
        answer = await person.patch(target, change, {"if-match": condition})
        assert answer.status in (400, 412), (condition[:20], answer.status, answer.text)
    assert (await person.patch(surface.set(case.orders), change)).status == 405
    for method in ("PUT", "DELETE", "POST", "TRACE", "MERGE", "OPTIONS", "PROPFIND", "get", ""):
        headers = await person.headers(target)
        answer = await case.site.ask(method, target, headers, json.dumps(change).encode())
        assert answer.status in (400, 401, 403, 404, 405), (method, answer.status)
    assert await case.stored(order) == before
    assert not case.site.faults


async def test_a_write_to_the_portals_api_needs_the_sessions_proof(case: Case) -> None:
    surface = case.surface("api")
    person, order = await own(case, 2)
    before = await case.stored(order)
    change = {surface.column(case.writable): case.value}
    for proof in ("", "x", await case.person(1).proof()):
        answer = await person.patch(surface.row(order), change, {"__RequestVerificationToken": proof})
        assert answer.status == 401
    other_site = await person.patch(surface.row(order), change, {"origin": "https://evil.example"})
    assert other_site.status == 401
    assert await case.stored(order) == before


async def test_a_reader_of_the_portal_who_lacks_the_write_permission_changes_nothing(contoso: Installation) -> None:
    """A customer may read sales orders, and nothing says that it may write them."""
    customer = contoso.in_role("Customer representatives")
    case = sample.case(contoso)
    for door in ODATA:
        surface = case.surface(door)
        rows = (await customer.get(url(surface.set("SalesOrderHeaderV2Entity"), _top=1, **surface.options))).rows
        assert rows
        keys = (
            ",".join(f"{name}='{rows[0][name]}'" for name in ("dataAreaId", "SalesOrderNumber"))
            if door == "data"
            else (rows[0]["mserp_salesorderheaderv2entityid"])
        )
        answer = await customer.patch(
            f"{surface.set('SalesOrderHeaderV2Entity')}({keys})", {surface.column("CustomersOrderReference"): "x"}
        )
        assert answer.status == 403, answer.text


async def test_a_forms_update_names_the_door_that_decides(case: Case) -> None:
    """The same change by the same person: the portal's rules decide at the portal's door, whoever calls."""
    person, order = await own(case, 2)
    table = case.surface("web").table(case.lines)
    principal = await person.principal()
    with pytest.raises(Refusal) as refused:
        await case.site.forecourt.rows.update(
            principal, table, case.site.row_id(table, order.recid), {"mserp_nothing": 1}, door=Door.PORTAL
        )
    assert refused.value.status in (400, 403, 404)
