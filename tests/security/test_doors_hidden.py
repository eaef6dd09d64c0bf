"""Another vendor's order cannot be told from one that does not exist, however it is asked for."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

import msgspec
import pytest

from forecourt.dataverse.rows import Query
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import OrderBy
from support import contoso as sample
from support.server import Answer, Case, Installation, Known, literal, table_rows, url

ODATA = ("data", "web", "api")


def absent(case: Case, like: Known) -> Known:
    """An order that does not exist."""
    key = tuple("PO-999999" if isinstance(value, str) and value[:3] == "PO-" else value for value in like.key)
    return Known(key if case.site.header_name == "contoso" else (99_999_999,), 99_999_999)


def same(one: Answer, other: Answer) -> None:
    """Two answers that nobody can tell apart."""
    assert (one.status, one.body) == (other.status, other.body)
    mark = "x-correlation-id"
    assert {**one.headers, mark: ""} == {**other.headers, mark: ""}


@pytest.mark.parametrize("door", ODATA)
async def test_by_key_a_hidden_order_is_as_one_that_does_not_exist(case: Case, door: str) -> None:
    for number in range(3):
        person, surface = case.person(number), case.surface(door)
        own = (await case.own(person))[0]
        assert (await person.get(url(surface.row(own), **surface.options))).status == 200
        for order in await case.others(person):
            hidden = await person.get(url(surface.row(order), **surface.options))
            assert hidden.status == 404
            same(hidden, await person.get(url(surface.row(absent(case, order)), **surface.options)))


@pytest.mark.parametrize("door", ODATA)
@pytest.mark.parametrize("member", ["property", "lines", "count", "vendor", "expand"])
async def test_beneath_a_hidden_order_there_is_what_is_beneath_none(case: Case, door: str, member: str) -> None:
    person, surface = case.person(0), case.surface(door)
    lines, vendor = surface.column(case.to_lines), surface.column(case.to_vendor)
    suffix = {
        "property": "/" + surface.column(case.writable),
        "lines": "/" + lines,
        "count": f"/{lines}/$count",
        "vendor": "/" + vendor,
        "expand": "",
    }[member]
    options = {**surface.options, **({"_expand": lines} if member == "expand" else {})}
    own = (await case.own(person))[0]
    assert (await person.get(url(surface.row(own) + suffix, **options))).status == 200
    for order in await case.others(person, 3):
        hidden = await person.get(url(surface.row(order) + suffix, **options))
        nothing = await person.get(url(surface.row(absent(case, order)) + suffix, **options))
        if member == "count":
            assert (hidden.status, hidden.text) == (nothing.status, nothing.text) == (200, "0")
        elif member == "lines" and hidden.status == 200:
            assert hidden.json["value"] == nothing.json["value"] == []
        else:
            assert hidden.status == 404
            same(hidden, nothing)


@pytest.mark.parametrize("door", ODATA)
async def test_a_filter_finds_no_hidden_order(case: Case, door: str) -> None:
    person, surface = case.person(0), case.surface(door)
    number, account = surface.column(case.key[-1]), surface.column(case.account)
    own = {order.key for order in await case.own(person)}
    for order in await case.others(person):
        wanted = f"{number} eq {literal(order.key[-1])}"
        found = surface.keys(await person.everything(surface.selecting(_filter=wanted)))
        assert order.key not in found
        assert set(found) <= own
        counted = await person.get(url(surface.set(case.orders) + "/$count", _filter=wanted, **surface.options))
        assert counted.text == str(len(found))
    mine = (await person.get(surface.orders(_top=1))).rows[0][account]
    assert await person.everything(surface.orders(_filter=f"{account} ne {literal(mine)}")) == []
    for widening in (
        f"{number} eq {literal(order.key[-1])} or true",
        f"not ({number} eq {literal(order.key[-1])})",
        f"{number} ne null or {number} eq null",
        f"not (not ({account} eq {literal(mine)} and false))or true",
    ):
        found = surface.keys(await person.everything(surface.selecting(_filter=widening)))
        assert set(found) <= own


@pytest.mark.parametrize("door", ODATA)
async def test_a_filter_along_a_relation_sees_only_what_the_person_may_read(case: Case, door: str) -> None:
    """Neither the hidden row nor its absence can be learnt through a navigation path, any or all."""
    person, surface = case.person(0), case.surface(door)
    number, account, back = (surface.column(name) for name in (case.key[-1], case.account, case.to_order))
    lines, orders, vendor = (surface.column(name) for name in (case.to_lines, case.to_orders, case.to_vendor))
    hidden, nothing = (await case.others(person))[0], absent(case, (await case.others(person))[0])
    for order in (hidden, nothing):
        value = literal(order.key[-1])
        answers = [
            await person.get(target)
            for target in (
                url(surface.set(case.lines), _filter=f"{back}/{number} eq {value}", **surface.options),
                surface.orders(_filter=f"{lines}/any(l:l/{number} eq {value})"),
                surface.orders(_filter=f"{lines}/any(l:l/{back}/{number} eq {value})"),
                url(surface.set(case.vendor), _filter=f"{orders}/any(o:o/{number} eq {value})", **surface.options),
                surface.orders(_filter=f"{vendor}/{orders}/any(o:o/{number} eq {value})"),
            )
        ]
        own_numbers = {each.key[-1] for each in await case.own(person)}
        if order.key[-1] not in own_numbers:  # the same number may be one of the person's own, in its own company
            assert [answer.rows for answer in answers] == [[]] * len(answers)
    mine = (await person.get(surface.orders(_top=1))).rows[0][account]
    for everyone in (
        url(surface.set(case.vendor), _filter=f"{orders}/all(o:o/{account} eq {literal(mine)})", **surface.options),
        url(surface.set(case.vendor), _filter=f"not {orders}/any(o:o/{account} ne {literal(mine)})", **surface.options),
    ):
        assert len((await person.get(everyone)).rows) == 1


@pytest.mark.parametrize("door", ODATA)
async def test_expanding_either_way_shows_no_hidden_row(case: Case, door: str) -> None:
    person, surface = case.person(0), case.surface(door)
    own = {order.key for order in await case.own(person)}
    orders, vendor, back = (surface.column(name) for name in (case.to_orders, case.to_vendor, case.to_order))
    names = ",".join(map(surface.column, case.key))
    (row,) = await person.everything(
        url(surface.set(case.vendor), _expand=f"{orders}($select={names})", **surface.options)
    )
    assert set(surface.keys(row[orders])) == own
    for line in await person.everything(
        url(surface.set(case.lines), _expand=f"{back}($select={names})", **surface.options)
    ):
        (key,) = surface.keys([line[back]])
        assert key in own
    for shown in await person.everything(surface.orders(_expand=vendor, _top=20)):
        assert shown[vendor] is not None
        assert shown[vendor][surface.column("VendorAccountNumber")] == shown[surface.column(case.account)]


@pytest.mark.parametrize("door", ODATA)
async def test_a_column_outside_the_grant_is_open_to_no_option(case: Case, door: str) -> None:
    """A vendor must not learn its own credit rating: not by reading, comparing, sorting or expanding."""
    person, surface = case.person(0), case.surface(door)
    hidden, vendor, orders = (surface.column(name) for name in (case.hidden, case.to_vendor, case.to_orders))
    value = "'A'" if case.site.header_name == "contoso" else "1"
    vendors = surface.set(case.vendor)
    for target in (
        url(vendors, _select=hidden, **surface.options),
        url(vendors, _filter=f"{hidden} eq {value}", **surface.options),
        url(vendors, _filter=f"{hidden} eq null", **surface.options),
        url(vendors, _filter=f"not ({hidden} ne {value})", **surface.options),
        url(vendors, _orderby=hidden, **surface.options),
        url(vendors + "/$count", _filter=f"{hidden} eq {value}", **surface.options),
        surface.orders(_filter=f"{vendor}/{hidden} eq {value}"),
        surface.orders(_filter=f"{vendor}/{hidden} ne null"),
        surface.orders(_expand=f"{vendor}($select={hidden})"),
        url(vendors, _filter=f"{orders}/any(o:o/{vendor}/{hidden} eq {value})", **surface.options),
    ):
        answer = await person.get(target)
        assert answer.status in (400, 403), (target, answer.text[:300])
        assert answer.status == 403 or hidden in answer.text, "an unknown column is refused the same way"
    (row,) = await person.everything(url(vendors, **surface.options))
    assert hidden not in row
    for shown in await person.everything(surface.orders(_expand=vendor, _top=3)):
        assert hidden not in shown[vendor]


@pytest.mark.parametrize("door", ODATA)
async def test_a_column_of_the_order_is_not_mistaken_for_one_of_its_vendor(case: Case, door: str) -> None:
    """A comparison between a row and its relation's row is made between these two, or refused."""
    if case.site.header_name != "contoso":
        pytest.skip("no column has the same name on both sides")
    person, surface = case.person(0), case.surface(door)
    vendor, currency, email = (surface.column(name) for name in ("VendorV2", "CurrencyCode", "LanguageId"))
    for condition in (f"{vendor}/{currency} ne {currency}", f"{vendor}/{email} eq {currency}"):
        answer = await person.get(surface.orders(_filter=condition))
        assert answer.status == 400 or answer.rows == []


@pytest.mark.parametrize("door", ("web", "api"))
async def test_a_column_that_is_not_open_cannot_be_asked_for(contoso: Installation, door: str) -> None:
    """The source hides it at every door, ``/_api`` leaves it out of its setting as well."""
    case = sample.case(contoso)
    person, surface = case.person(0), case.surface(door)
    closed = "mserp_buyergroupid"
    for target in (
        surface.orders(_select=closed),
        surface.orders(_filter=f"{closed} eq 'x'"),
        surface.orders(_orderby=closed),
        url(surface.set(case.lines), _filter=f"mserp_purchaseorderheaderv2/{closed} eq 'x'"),
        url(surface.set(case.lines), _expand=f"mserp_purchaseorderheaderv2($select={closed})", _top=1),
    ):
        assert (await person.get(target)).status == 403, target
    row = (await person.get(surface.orders(_top=1))).rows[0]
    assert closed not in row


# -------------------------------------------------------------------------------------------- paging tokens


@pytest.mark.parametrize("door", ODATA)
async def test_a_paging_token_of_another_identity_gives_only_own_rows(case: Case, door: str) -> None:
    person, thief = case.person(0), case.person(1)
    surface = case.surface(door)
    first = await person.get(surface.selecting(), {"prefer": "odata.maxpagesize=5"})
    link = first.json["@odata.nextLink"].removeprefix("http://portal.test")
    own = {order.key for order in await case.own(thief)}
    answer = await thief.get(link, {"prefer": "odata.maxpagesize=500"})
    assert answer.status in (200, 400)
    if answer.status == 200:
        assert set(surface.keys(answer.rows)) <= own


@pytest.mark.parametrize("door", ODATA)
async def test_a_tampered_paging_token_is_refused_or_gives_only_own_rows(case: Case, door: str) -> None:
    person, surface = case.person(0), case.surface(door)
    own = {order.key for order in await case.own(person)}
    first = await person.get(surface.selecting(), {"prefer": "odata.maxpagesize=5"})
    link = first.json["@odata.nextLink"].removeprefix("http://portal.test")
    head, _, token = link.partition("$skiptoken=")
    values = msgspec.msgpack.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    forged: list[object] = [
        [*values[:3], [["s", ""]] * len(values[3])],
        [*values[:3], [["s", "\uffff"]] * len(values[3])],
        [*values[:3], [["i", "-1"]] * len(values[3])],
        [*values[:3], [None] * len(values[3])],
        [*values[:3], [*values[3], ["s", "x"]]],
        [*values[:3], [["x", "'; drop table erp.purchtable; --"]]],
        [values[0], values[1], 10**15, values[3]],
        [values[0], b"\0" * 8, values[2], values[3]],
        [99, *values[1:]],
        values[:2],
        {},
    ]
    for item in forged:
        text = base64.urlsafe_b64encode(msgspec.msgpack.encode(item)).decode().rstrip("=")
        answer = await person.get(f"{head}$skiptoken={text}", {"prefer": "odata.maxpagesize=500"})
        assert answer.status in (200, 400), (item, answer.text)
        if answer.status == 200:
            assert set(surface.keys(answer.rows)) <= own
    assert (await person.get(f"{head}$skiptoken={token[:-2]}")).status == 400
    other = surface.selecting(_filter=f"{surface.column(case.account)} ne null")
    assert (await person.get(f"{other}&$skiptoken={token}")).status == 400
    assert not case.site.faults


async def test_a_cursor_of_another_identitys_list_gives_only_own_rows(case: Case) -> None:
    person, thief = case.person(0), case.person(1)
    table = case.surface("web").table(case.orders)
    column = case.surface("web").column(case.key[-1])
    rows = case.site.forecourt.rows
    order = (OrderBy((column,), True),)
    cursor = (await rows.page(await person.principal(), Query(table, (column,), order=order, size=3))).cursor
    assert cursor is not None
    page = await rows.page(
        await thief.principal(), Query(table, (column,), order=order, size=10_000, cursor=cursor, total=True)
    )
    own = {case.site.row_id(table, each.recid) for each in await case.own(thief)}
    assert {row.id for row in page.rows} <= own
    assert page.total == len(own)
    with pytest.raises(Refusal) as refused:
        await rows.page(await person.principal(), Query(table, (column,), size=3, cursor=cursor))
    assert refused.value.code == "FC1007"


# ---------------------------------------------------------------------------------------------- the portal


async def test_a_page_of_a_hidden_order_is_the_page_of_one_that_does_not_exist(case: Case) -> None:
    person, surface = case.person(0), case.surface("web")
    table = surface.table(case.orders)
    own = (await case.own(person))[0]
    listed = await person.get(case.list_path)
    target = _details(listed.text)
    assert (await person.get(f"{target}?id={case.site.row_id(table, own.recid)}")).status == 200
    for order in await case.others(person, 3):
        hidden = await person.get(f"{target}?id={case.site.row_id(table, order.recid)}")
        nothing = await person.get(f"{target}?id={case.site.row_id(table, absent(case, order).recid)}")
        assert hidden.status == nothing.status == 404
        assert _anonymised(hidden) == _anonymised(nothing)


async def test_the_search_of_a_list_finds_no_hidden_order(case: Case) -> None:
    person = case.person(0)
    own = {case.site.row_id(case.surface("web").table(case.orders), each.recid) for each in await case.own(person)}
    for order in await case.others(person, 3):
        page = await person.get(f"{case.list_path}&search={order.key[-1]}")
        assert page.status == 200
        assert {row for row, _ in table_rows(page.text)} <= own


async def test_visitors_and_contacts_without_a_user_read_no_order_at_any_door(case: Case) -> None:
    stranger = case.site.signed_up(
        {"contoso": "nora.falk@baltic-tooling.example", "adventureworks": "jo3@adventure-works.com"}[
            case.site.header_name
        ]
    )
    for door in ODATA:
        surface = case.surface(door)
        anonymous = await case.site.ask("GET", surface.orders())
        assert anonymous.status in (401, 403)
        assert b'"value"' not in anonymous.body
    assert (await stranger.get(case.surface("api").orders())).status == 403
    page = await stranger.get(case.list_path)
    assert page.status in (200, 403)
    assert table_rows(page.text) == []
    form = (
        f"grant_type=password&client_id=forecourt-cli&username={stranger.username.replace('@', '%40')}"
        f"&password={stranger.password}"
    )
    tenant = case.site.forecourt.header.tenant
    granted = await case.site.ask(
        "POST",
        f"/{tenant}/oauth2/v2.0/token",
        {"content-type": "application/x-www-form-urlencoded"},
        form.encode(),
    )
    bearer = {"authorization": f"Bearer {granted.json['access_token']}"}
    for door in ("data", "web"):
        answer = await case.site.ask("GET", case.surface(door).orders(), bearer)
        assert answer.status == 403
        assert answer.refusal == "FC3002"


def _details(page: str) -> str:
    return page.split('class="fc-row-link" href="', 1)[1].partition("?")[0]


def _anonymised(answer: Answer) -> Sequence[str]:
    """A page without what differs by request: correlation id, ids that were asked for, tokens."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", answer.text)
    text = re.sub(r'value="[^"]{40,}"', 'value="TOKEN"', text)
    return re.sub(r"\b[0-9a-f]{16}\b", "CORRELATION", text).splitlines()
