"""Requests in another user's name: decided as if that user had come, for administrators alone, never half."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping

import pytest

from forecourt.kernel.observe import RequestDone
from forecourt.security.standing import id_of
from forecourt.store.embedded import EmbeddedServer
from support.server import Answer, Installation, Person
from support.small_erp import small_erp

A = "/api/data/v9.2"
CLERK, READER = (id_of("systemuser", f"user/{name}") for name in ("clerk", "reader"))
ENTRA = uuid.UUID(int=7)


@pytest.fixture
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as opened:
        for user in ("admin", "clerk", "reader", "abroad"):
            assert (await (await opened.operations_user(user)).get(f"{A}/WhoAmI")).status == 200
        await opened.dataverse(
            "update dataverse.systemuser set azureactivedirectoryobjectid = $1 where systemuserid = $2", ENTRA, CLERK
        )
        yield opened
        assert not opened.faults


@pytest.fixture
async def admin(site: Installation) -> Person:
    return await site.operations_user("admin")


def named(user: object, header: str = "MSCRMCallerID") -> dict[str, str]:
    return {header: str(user)}


async def send(
    person: Person, method: str, target: str, body: object = None, headers: Mapping[str, str] = {}
) -> Answer:
    given = {**await person.headers(target), "content-type": "application/json", **headers}
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return await person.site.ask(method, target, given, raw)


@pytest.mark.parametrize(("header", "user"), [("MSCRMCallerID", CLERK), ("CallerObjectId", ENTRA)])
async def test_an_administrator_asks_as_another_user(
    site: Installation, admin: Person, header: str, user: uuid.UUID
) -> None:
    assert (await admin.get(f"{A}/WhoAmI", named(user, header))).json["UserId"] == str(CLERK)
    made = await send(admin, "POST", f"{A}/cts_things", {"cts_name": "Theirs"}, named(user, header))
    assert made.status == 204, made.text
    await send(admin, "POST", f"{A}/cts_things", {"cts_name": "Not theirs"})
    rows = await site.dataverse("select ownerid, createdby from dataverse.cts_thing where cts_name = 'Theirs'")
    assert tuple(rows[0]) == (CLERK, CLERK)
    seen = (await admin.get(f"{A}/cts_things?$select=cts_name", named(user, header))).rows
    assert [row["cts_name"] for row in seen] == ["Theirs"]
    assert len((await admin.get(f"{A}/cts_things")).rows) == 2
    denied = await admin.get(f"{A}/contacts", named(user, header))
    assert (denied.status, denied.json["error"]["code"]) == (403, "0x80040220"), "the other one's rights alone count"
    assert "admin as clerk" in {item.identity for item in site.observed if isinstance(item, RequestDone)}


async def test_virtual_tables_are_the_other_users_too(site: Installation, admin: Person) -> None:
    await site.sql("insert into erp.orders (dataareaid, salesid, status) values ('usmf', '1', 1)")
    order = site.row_id("mserp_smallorderentity", 1)
    target = f"{A}/mserp_smallorderentities({order})/Microsoft.Dynamics.CRM.mserp_invoice"
    denied = await send(admin, "POST", target, {"On": "2026-01-01"}, named(CLERK))
    assert (denied.status, denied.json["error"]["code"]) == (403, "0x80040220"), denied.text
    writing = await send(admin, "PATCH", target.rpartition("/")[0], {"mserp_quantity": 2}, named(READER))
    assert writing.status == 403
    assert (await send(admin, "PATCH", target.rpartition("/")[0], {"mserp_quantity": 2}, named(CLERK))).status != 403


async def test_nobody_else_may(site: Installation) -> None:
    clerk = await site.operations_user("clerk")
    for header in ("MSCRMCallerID", "CallerObjectId", "mscrmcallerid"):
        for user in (READER, CLERK, uuid.uuid4(), "nonsense"):
            answer = await clerk.get(f"{A}/cts_things", named(user, header))
            assert (answer.status, answer.json["error"]["code"]) == (403, "0x80040220")
            assert "prvActOnBehalfOfAnotherUser" in answer.json["error"]["message"]


async def test_a_user_who_is_none_is_refused(site: Installation, admin: Person) -> None:
    for user in (uuid.uuid4(), id_of("systemuser", "SYSTEM"), id_of("systemuser", "PORTAL")):
        answer = await admin.get(f"{A}/cts_things", named(user))
        assert (answer.status, answer.json["error"]["code"]) == (403, "0x80072560")
    await site.dataverse("update dataverse.systemuser set isdisabled = true where systemuserid = $1", CLERK)
    assert (await admin.get(f"{A}/cts_things", named(CLERK))).status == 403
    for text in ("x", "'", f"{CLERK},{READER}", "*"):
        assert (await admin.get(f"{A}/cts_things", named(text))).status == 400
    both = {**named(READER), **named(ENTRA, "CallerObjectId")}
    assert (await admin.get(f"{A}/cts_things", both)).status == 400


async def test_who_is_no_administrator_any_more_asks_as_nobody(site: Installation, admin: Person) -> None:
    clerk = await site.operations_user("clerk")
    role = id_of("role", "System Administrator")
    await site.dataverse("insert into dataverse.systemuserroles (systemuserid, roleid) values ($1, $2)", CLERK, role)
    assert (await clerk.get(f"{A}/WhoAmI", named(READER))).json["UserId"] == str(READER)
    await site.dataverse("delete from dataverse.systemuserroles where systemuserid = $1", CLERK)
    assert (await clerk.get(f"{A}/WhoAmI", named(READER))).status == 403


async def test_a_batch_is_in_one_name(site: Installation, admin: Person) -> None:
    def body(extra: str = "") -> bytes:
        return (
            "--b\r\nContent-Type: application/http\r\n\r\n"
            f"POST cts_things HTTP/1.1\r\nContent-Type: application/json\r\n{extra}\r\n"
            '{"cts_name":"Batch"}\r\n--b--\r\n'
        ).encode()

    kind = {"content-type": "multipart/mixed; boundary=b"}
    other = await send(admin, "POST", f"{A}/$batch", body(f"MSCRMCallerID: {CLERK}\r\n"), kind)
    assert other.status == 400, other.text
    assert await site.dataverse("select 1 from dataverse.cts_thing") == []
    answer = await send(admin, "POST", f"{A}/$batch", body(), {**kind, **named(CLERK)})
    assert answer.status == 200, answer.text
    rows = await site.dataverse("select ownerid from dataverse.cts_thing")
    assert [row[0] for row in rows] == [CLERK]
