"""A row that refers to one that does not exist answers as one that refers to a row that is hidden."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from forecourt.store.embedded import EmbeddedServer
from support import adventureworks as aw
from support.server import Answer, Installation, Person

NOBODY = 1_999_999
CONFIRM = """        grant: [read, update]
        fields:
          update: [ShipDate]
"""


async def create(person: Person, vendor: int) -> Answer:
    order = {
        "VendorId": vendor,
        "BuyerId": 250,
        "ShipMethodId": 5,
        "PurchaseOrderStatus": "Pending",
        "OrderDate": "2026-01-01T00:00:00Z",
        "SubTotalAmount": 1,
        "TaxAmount": 0,
        "FreightAmount": 0,
        "RevisionNumber": 1,
    }
    headers = {**await person.headers("/data"), "content-type": "application/json"}
    return await person.site.ask("POST", "/data/PurchaseOrderHeaders", headers, json.dumps(order).encode())


def told(answer: Answer) -> tuple[int, dict[str, Any]]:
    return answer.status, answer.json


async def vendors(site: Installation, person: Person) -> tuple[int, int]:
    """The person's own vendor, and another one."""
    own = int((await person.get("/data/Vendors")).rows[0]["VendorId"])
    other = await site.value("select max(businessentityid) from purchasing.vendor where businessentityid <> $1", own)
    return own, int(other)


async def test_a_missing_row_is_referred_to_in_vain_like_a_hidden_one(postgres: EmbeddedServer, tmp_path: Path) -> None:
    if not aw.DUMP.is_file():
        pytest.skip(aw.MISSING)
    root = tmp_path / "solution"
    shutil.copytree(aw.ROOT, root)
    roles = root / "operations" / "roles.yaml"
    assert CONFIRM in roles.read_text("utf-8")
    roles.write_text(roles.read_text("utf-8").replace(CONFIRM, "        grant: [read, create, update]\n"), "utf-8")
    async with aw.adventureworks_site(postgres, root) as site:
        vendor = aw.case(site).person()
        own, other = await vendors(site, vendor)
        # The dump leaves the sequence where it began.
        await site.sql("select setval('purchasing.purchaseorderheader_purchaseorderid_seq', 90000)")
        made = await create(vendor, own)
        assert made.status == 201, made.text
        hidden, missing = await create(vendor, other), await create(vendor, NOBODY)
        assert told(hidden) == told(missing) and hidden.status == 403, missing.text
        order = f"/data/PurchaseOrderHeaders({made.json['PurchaseOrderId']})"
        hidden = await vendor.patch(order, {"VendorId": other})
        missing = await vendor.patch(order, {"VendorId": NOBODY})
        assert told(hidden) == told(missing) and hidden.status == 403, missing.text
        administrator = await site.operations_user("admin")
        answer = await create(administrator, NOBODY)
        assert answer.status == 409 and answer.refusal == "FC4091", answer.text
