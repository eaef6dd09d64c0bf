"""Actions of data entities: who may call them, on which rows, with what, and what comes of it; at both doors."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from forecourt.kernel.errors import DefinitionErrors
from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import Answer, Installation, Person
from support.small_erp import ROOT, emptied, small_erp

NS = "Microsoft.Dynamics.DataEntities"
CRM = "Microsoft.Dynamics.CRM"
A = "/api/data/v9.2"
TABLE = "mserp_smallorderentity"
SET = f"{A}/mserp_smallorderentities"
ORDER = "/data/SmallOrders(dataAreaId='usmf',SalesOrderNumber='1')"


@pytest.fixture(scope="module")
async def opened(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as site:
        yield site


@pytest.fixture
async def site(opened: Installation) -> Installation:
    """The solution with two orders: number 1 in both companies."""
    await emptied(opened)
    await opened.sql(
        "insert into erp.orders (dataareaid, salesid, account, quantity, price, total, status) "
        "values ('usmf', '1', 'A', 3, 2, 6, 1), ('demf', '1', 'B', 5, 2, 10, 1)"
    )
    await opened.sql(
        "with p as (insert into erp.party (name) values ('Ann') returning recid) "
        "insert into erp.cust (dataareaid, accountnum, party) "
        "select company, account, recid from p, (values ('usmf', 'A'), ('demf', 'B')) as a (company, account)"
    )
    return opened


@pytest.fixture
async def invoicer(site: Installation) -> Person:
    return await site.operations_user("invoicer")


async def call(person: Person, target: str, body: object = None, headers: Mapping[str, str] = {}) -> Answer:
    given = {**await person.headers(target), "content-type": "application/json", **headers}
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return await person.site.ask("POST", target, given, raw)


async def state(site: Installation) -> list[tuple[Any, ...]]:
    """Company, status, price and total of the orders, and how many lines the log has."""
    log = await site.value("select count(*) from erp.log")
    rows = await site.sql("select dataareaid, status, price::int, total::int from erp.orders order by recid")
    return [*(tuple(row) for row in rows), (log,)]


UNTOUCHED = [("usmf", 1, 2, 6), ("demf", 1, 2, 10), (0,)]


async def test_an_action_changes_its_row_through_the_rows_own_logic(site: Installation, invoicer: Person) -> None:
    answer = await call(invoicer, f"{ORDER}/{NS}.invoice", {"On": "2026-05-01", "Discount": 0.5, "Note": "paid"})
    assert answer.status == 200, answer.text
    assert answer.json == {
        "@odata.context": "http://portal.test/data/$metadata#Edm.String",
        "value": "1/3",
    }
    query = "select status, price::text, total::text from erp.orders where dataareaid = 'usmf'"
    assert [tuple(row) for row in await site.sql(query)] == [(3, "1.500000", "4.500000")]
    assert [row[0] for row in await site.sql("select text from erp.log order by recid")] == [
        "update 1",
        "invoiced 2026-05-01 paid 4.50",
    ]


async def test_no_right_to_rows_brings_an_action_along(site: Installation) -> None:
    for user in ("clerk", "reader"):
        person = await site.operations_user(user)
        answer = await call(person, f"{ORDER}/{NS}.invoice", {"On": "2026-05-01"})
        assert (answer.status, answer.refusal) == (403, "FC3001")
    assert await state(site) == UNTOUCHED
    admin = await site.operations_user("admin")
    assert (await call(admin, f"{ORDER}/{NS}.invoice", {"On": "2026-05-01"})).status == 200


async def test_the_right_to_an_action_is_not_the_right_to_write(site: Installation, invoicer: Person) -> None:
    answer = await invoicer.patch(ORDER, {"Price": 1})
    assert (answer.status, answer.refusal) == (403, "FC3001")
    assert await state(site) == UNTOUCHED


async def test_a_role_held_in_one_company_calls_in_no_other(site: Installation) -> None:
    abroad = await site.operations_user("abroad")
    answer = await call(abroad, f"{ORDER}/{NS}.invoice", {"On": "2026-05-01"})
    assert answer.status in (403, 404), answer.text
    recount = await call(abroad, f"/data/SmallOrders/{NS}.recount", {"Since": "2026-05-01T00:00:00Z", "Accounts": []})
    assert (recount.status, recount.refusal) == (403, "FC3001"), "its own company is not the granted one"
    assert await state(site) == UNTOUCHED
    there = ORDER.replace("usmf", "demf")
    assert (await call(abroad, f"{there}/{NS}.invoice", {"On": "2026-05-01"})).status == 200


async def test_a_row_out_of_reach_does_not_exist(site: Installation, invoicer: Person) -> None:
    gone = ORDER.replace("'1'", "'2'")
    answer = await call(invoicer, f"{gone}/{NS}.invoice", {"On": "2026-05-01"})
    assert (answer.status, answer.refusal) == (404, "FC4041")


async def test_an_action_of_a_set_gives_an_object(site: Installation, invoicer: Person) -> None:
    body = {"Since": "2026-05-01T12:00:00+02:00", "Accounts": ["A", "Z"]}
    answer = await call(invoicer, f"/data/SmallOrders/{NS}.recount", body)
    assert answer.status == 200, answer.text
    assert answer.json == {
        "@odata.context": "http://portal.test/data/$metadata#Edm.Untyped",
        "count": 1,
        "total": 6.0,
        "since": "2026-05-01T10:00:00Z",
        "deep": False,
        "by": "invoicer",
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        None,
        {"On": None},
        {"On": 5},
        {"On": "2026-02-30"},
        {"On": "2026-05-01", "Discount": "1"},
        {"On": "2026-05-01", "Discount": 10**400},
        {"On": "2026-05-01", "Discount": None},
        {"On": "2026-05-01", "Note": ["x"]},
        {"On": "2026-05-01", "Note": "a\x00b"},
        {"On": "2026-05-01", "order": {}},
        {"On": "2026-05-01", "on": "2026-05-01"},
        b'{"On": "2026-05-01", "On": "2026-05-01"}',
        b"[]",
        b"{",
    ],
)
async def test_parameters_that_do_not_fit_are_refused(site: Installation, invoicer: Person, body: object) -> None:
    answer = await call(invoicer, f"{ORDER}/{NS}.invoice", body)
    assert answer.status == 400, answer.text
    assert await state(site) == UNTOUCHED


@pytest.mark.parametrize(
    "target",
    [
        f"/data/SmallOrders/{NS}.invoice",
        f"{ORDER}/{NS}.recount",
        f"{ORDER}/{CRM}.invoice",
        f"{ORDER}/invoice",
        f"{ORDER}/{NS}.Invoice",
        f"{ORDER}/Customer/{NS}.invoice",
        f"/data/SmallCustomers(dataAreaId='usmf',CustomerAccount='A')/{NS}.invoice",
        f"/data/SmallOrders('1')/{NS}.invoice",
        f"/data/SmallOrders(SalesOrderNumber='1')/{NS}.invoice",
        f"{SET}/{CRM}.mserp_invoice",
        f"{SET}({'0' * 8}-0000-0000-0000-{'0' * 12})/{CRM}.mserp_invoice",
        f"{SET}(nonsense)/{CRM}.mserp_invoice",
    ],
)
async def test_a_place_where_the_action_is_not_is_refused(site: Installation, invoicer: Person, target: str) -> None:
    answer = await call(invoicer, target, {"On": "2026-05-01"})
    assert answer.status in (400, 404, 405), answer.text
    assert await state(site) == UNTOUCHED


async def test_an_action_is_called_by_post_alone(site: Installation, invoicer: Person) -> None:
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        target = f"{ORDER}/{NS}.invoice"
        headers = {**await invoicer.headers(target), "content-type": "application/json"}
        answer = await site.ask(method, target, headers, b'{"On": "2026-05-01"}' if method != "GET" else b"")
        assert (answer.status, answer.refusal, answer.headers["allow"]) == (405, "FC1008", "POST")
    assert await state(site) == UNTOUCHED


async def test_an_action_turns_down_with_its_own_words_and_keeps_nothing(site: Installation, invoicer: Person) -> None:
    await site.sql("update erp.orders set status = 3 where dataareaid = 'usmf'")
    answer = await call(invoicer, f"{ORDER}/{NS}.invoice", {"On": "2026-05-01"})
    assert (answer.status, answer.json["error"]["message"]) == (400, "1 is invoiced already.")
    assert (await state(site))[-1] == (0,)


async def test_a_fault_of_an_action_tells_nothing_of_the_house(site: Installation, invoicer: Person) -> None:
    answer = await call(invoicer, f"{ORDER}/{NS}.broken")
    assert answer.status == 500 and "secret" not in answer.text and "x-ms-service-request-id" in answer.headers
    (fault,) = site.faults
    assert "secret" in str(fault.error)


async def test_of_many_callers_at_once_one_succeeds(site: Installation, invoicer: Person) -> None:
    answers = await asyncio.gather(
        *(call(invoicer, f"{ORDER}/{NS}.invoice", {"On": "2026-05-01", "Discount": 1}) for _ in range(6))
    )
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400, 400]
    assert (await state(site))[0] == ("usmf", 3, 1, 3)


async def test_actions_take_part_in_change_sets(site: Installation, invoicer: Person) -> None:
    def part(number: int, target: str) -> str:
        return (
            "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: {number}\r\n\r\nPOST {target}/{NS}.invoice HTTP/1.1\r\n"
            'Content-Type: application/json\r\n\r\n{"On":"2026-05-01"}\r\n'
        )

    def body(*targets: str) -> bytes:
        inner = "".join(part(number, target) for number, target in enumerate(targets, 1))
        return f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{inner}--c--\r\n--b--\r\n".encode()

    kind = {"content-type": "multipart/mixed; boundary=b"}
    there = ORDER.replace("usmf", "demf")
    twice = await call(invoicer, "/data/$batch", body(there, ORDER, ORDER), kind)
    assert "HTTP/1.1 400" in twice.text and await state(site) == UNTOUCHED
    both = await call(invoicer, "/data/$batch", body(there, ORDER), kind)
    assert both.text.count("HTTP/1.1 200") == 2, both.text
    assert [row[1] for row in (await state(site))[:2]] == [3, 3]


# --------------------------------------------------------------------------------------------- Dataverse


async def test_a_virtual_table_has_the_actions_of_its_entity(site: Installation, invoicer: Person) -> None:
    record = await site.value("select recid from erp.orders where dataareaid = 'usmf'")
    row = f"{SET}({site.row_id(TABLE, record)})"
    denied = await call(await site.operations_user("clerk"), f"{row}/{CRM}.mserp_invoice", {"On": "2026-05-01"})
    assert (denied.status, denied.json["error"]["code"]) == (403, "0x80040220")
    assert await state(site) == UNTOUCHED
    answer = await call(invoicer, f"{row}/{CRM}.mserp_invoice", {"On": "2026-05-01"})
    assert (answer.status, answer.json["value"]) == (200, "1/3")
    again = await call(invoicer, f"{row}/{CRM}.mserp_invoice", {"On": "2026-05-01"})
    assert (again.status, again.json["error"]["code"]) == (400, "0x80040265")
    static = await call(invoicer, f"{SET}/{CRM}.mserp_recount", {"Since": "2026-05-01T00:00:00Z", "Accounts": ["A"]})
    assert (static.status, static.json["count"]) == (200, 1)


async def test_the_model_tells_of_actions_at_both_doors(site: Installation, invoicer: Person) -> None:
    data = re.sub(r"\s+", " ", (await invoicer.get("/data/$metadata")).text)
    assert (
        f'<Action Name="invoice" IsBound="true"> <Parameter Name="SmallOrder" Type="{NS}.SmallOrder"/> '
        '<Parameter Name="On" Type="Edm.DateTimeOffset" Nullable="false"/> <Parameter Name="Note" Type="Edm.String"/> '
        '<Parameter Name="Discount" Type="Edm.Decimal"/> <ReturnType Type="Edm.String"/> </Action>'
    ) in data
    assert f'Type="Collection({NS}.SmallOrder)"/>' in data
    web = (await invoicer.get(f"{A}/$metadata")).text
    assert '<Action Name="mserp_invoice" IsBound="true">' in web and 'Name="On" Type="Edm.Date"' in web


# ------------------------------------------------------------------------------------------- the sample


async def test_a_vendor_accepts_its_own_order_and_nobody_elses(contoso: Installation) -> None:
    person = await sample.fresh_vendor(contoso)
    assert person.operations_user is not None
    admin = await contoso.operations_user("admin")
    own = (await contoso.sql(sample.OWN_ORDERS, person.operations_user))[0]
    responses = await contoso.sql(
        "select recid, dataareaid, purchid, versionnumber from erp.purchaseorderresponseheader "
        "where purchid <> $1 and responsestate = 0 order by recid limit 3",
        own["purchid"],
    )
    set_name = f"{A}/mserp_purchaseorderresponseheaderentities"

    def response(company: str, number: str, version: int) -> str:
        key = f"dataAreaId='{company}',PurchaseOrderNumber='{number}',PurchaseOrderVersion={version}"
        return f"/data/PurchaseOrderResponseHeaders({key})"

    for other in responses:
        answer = await call(person, f"{response(other[1], other[2], other[3])}/{NS}.accept", {})
        assert (answer.status, answer.refusal) == (404, "FC4041")
        web = f"{set_name}({contoso.row_id('mserp_purchaseorderresponseheaderentity', other['recid'])})"
        answer = await call(person, f"{web}/{CRM}.mserp_accept", {})
        assert (answer.status, answer.json["error"]["code"]) == (404, "0x80040217")
    await contoso.sql("update erp.purchtable set purchstatus = 1, documentstate = 3 where recid = $1", own["recid"])
    await contoso.sql(
        "update erp.purchline set purchstatus = 1 where dataareaid = $1 and purchid = $2",
        *(own["dataareaid"], own["purchid"]),
    )
    order = f"/data/PurchaseOrderHeadersV2(dataAreaId='{own['dataareaid']}',PurchaseOrderNumber='{own['purchid']}')"
    sent = await call(admin, f"{order}/{NS}.sendForConfirmation", {})
    accept = f"{response(own['dataareaid'], own['purchid'], sent.json['value'])}/{NS}.accept"
    answer = await call(person, accept, {"VendorOrderReference": "OURS"})
    assert answer.status == 200, answer.text
    await call(admin, f"{order}/{NS}.confirm", {})
    kept = await contoso.sql("select documentstate, vendorref from erp.purchtable where recid = $1", own["recid"])
    assert tuple(kept[0]) == (5, "OURS")
    direct = await person.patch(order, {"DocumentApprovalStatus": "Finalized"})
    assert direct.status in (400, 403)


# ------------------------------------------------------------------------------------------- definitions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(): ...", "takes no row"),
        ("def f(row, **rest): ...", "no name to call it by"),
        ("def f(row, x): ...", "needs a type"),
        ("def f(row, x: object): ...", "needs a type"),
        ("def f(row, x: list[list[int]]): ...", "needs a type"),
        ("def f(row, x: 'Unknown'): ...", "Unknown"),
        ("def invoice(row): ...", "two actions named invoice"),
    ],
)
async def test_an_action_that_cannot_be_called_is_a_fault_of_its_file(
    postgres: EmbeddedServer, tmp_path: Path, text: str, message: str
) -> None:
    root = copytree(ROOT, tmp_path / "solution")
    (root / "operations" / "wrong.py").write_text(
        "from forecourt.operations.hooks import action\n\n\n@action('SmallOrderEntity')\n" + text + "\n", "utf-8"
    )
    with pytest.raises(DefinitionErrors, match=message) as raised:
        async with small_erp(postgres, root):
            raise AssertionError
    assert "wrong.py:4:" in str(raised.value)


async def test_a_role_that_names_an_unknown_action_is_a_fault(postgres: EmbeddedServer, tmp_path: Path) -> None:
    root = copytree(ROOT, tmp_path / "solution")
    roles = root / "operations" / "roles.yaml"
    roles.write_text(roles.read_text("utf-8").replace("[invoice, recount", "[invioce, recount"), "utf-8")
    with pytest.raises(DefinitionErrors, match=r"action 'invioce' is not known.*invoice"):
        async with small_erp(postgres, root):
            raise AssertionError
