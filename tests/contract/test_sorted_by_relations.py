"""``$orderby`` along single-valued relations, with pages, at the Web API and at ``/data``."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.server import Installation, Person, send, url
from support.small_erp import small_erp

A = "/api/data/v9.2"


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
    mark = uuid.uuid4().hex[:8]
    makers = {name: await make(admin, "accounts", name=f"{mark} {name}") for name in ("Acme", "Bolt")}
    thing = await make(
        admin, "cts_things", cts_name=f"{mark} T", **{"cts_buyer_account@odata.bind": f"/accounts({makers['Acme']})"}
    )
    for name, maker in (("P1", "Bolt"), ("P2", None), ("P3", "Acme"), ("P4", "Bolt")):
        bound = {"cts_maker@odata.bind": f"/accounts({makers[maker]})"} if maker else {}
        await make(
            admin, "cts_parts", cts_name=f"{mark} {name}", **bound, **{"cts_thing@odata.bind": f"/cts_things({thing})"}
        )
    return mark


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("cts_maker/name,cts_name", "P2 P3 P1 P4"),
        ("cts_maker/name desc,cts_name", "P1 P4 P3 P2"),
        ("cts_thing/cts_buyer_account/name,cts_name desc", "P4 P3 P2 P1"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
async def test_rows_are_sorted_by_what_they_lead_to(
    admin: Person, mark: str, order: str, found: str, size: int
) -> None:
    target = url(f"{A}/cts_parts", _filter=f"startswith(cts_name,'{mark}')", _orderby=order, _select="cts_name")
    rows = await admin.everything(target, {"prefer": f"odata.maxpagesize={size}"})
    assert " ".join(row["cts_name"][9:] for row in rows) == found
    assert all(set(row) == {"@odata.etag", "cts_name", "cts_partid"} for row in rows)


async def test_collections_have_no_place_in_an_order(admin: Person) -> None:
    for order in ("cts_thing_parts/cts_name", "cts_parent/cts_thing_parts/cts_name"):
        assert (await admin.get(url(f"{A}/cts_things", _orderby=order))).refusal == "FC1004"
