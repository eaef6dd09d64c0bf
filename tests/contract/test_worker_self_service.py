"""The sample's portal for workers: their addresses, and leave that they ask for and their managers decide on.

Through pages alone, as people use it; plain SQL says what came of it.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from support.forms import opened, post
from support.server import Installation, Person

ADDRESSES, LEAVE = "/my-record/addresses", "/leave"
#: A week of which nobody of the sample has anything: Monday to Friday.
MONDAY = dt.date(2027, 11, 1)
FRIDAY = MONDAY + dt.timedelta(4)

pytestmark = pytest.mark.xdist_group("workers")


@pytest.fixture(scope="module")
async def manager(contoso: Installation) -> Person:
    """Worker 000001 of usmf."""
    return contoso.in_role("Workers")


@pytest.fixture(scope="module")
async def worker(contoso: Installation) -> Person:
    """Worker 000002, whom demf employs, and usmf, where 000001 decides."""
    return contoso.in_role("Workers", 1)


@pytest.fixture(scope="module")
async def stranger(contoso: Installation) -> Person:
    """Worker 000003 of frrt."""
    return await contoso.contact_of("w-000003")


async def ask_for(worker: Person, company: str, first: dt.date, last: dt.date, comment: str = "") -> tuple[int, str]:
    fields = await opened(worker, f"{LEAVE}/new")
    typed = {
        "mserp_dataareaid": company,
        "mserp_leavetype": "200000000",
        "mserp_startdate": first.isoformat(),
        "mserp_enddate": last.isoformat(),
        "mserp_comment": comment,
    }
    answer = await post(worker, f"{LEAVE}/new", {**fields, **typed})
    return answer.status, answer.headers.get("location", "") if answer.status == 303 else answer.text


async def change(person: Person, row: str, typed: dict[str, str]) -> tuple[int, str]:
    page = f"{LEAVE}/edit/?id={row}"
    answer = await person.get(page)
    if answer.status != 200:
        return answer.status, answer.text
    answer = await post(person, page, {**await opened(person, page), **typed})
    return answer.status, answer.text


async def stored(site: Installation, number: str, first: dt.date) -> dict[str, Any]:
    rows = await site.sql(
        "select * from erp.leaverequest where personnelnumber = $1 and startdate = $2 order by recid desc",
        number,
        first,
    )
    return dict(rows[0]) if rows else {}


def row_of(text: str) -> str:
    found = re.search(r"id=([0-9a-f-]{36})", text)
    assert found is not None, text[:2000]
    return found.group(1)


async def test_a_worker_asks_and_the_manager_of_that_legal_entity_decides(
    contoso: Installation, worker: Person, manager: Person, stranger: Person
) -> None:
    status, text = await ask_for(worker, "usmf", MONDAY, FRIDAY, "<b>Skiing</b>")
    assert status == 303, text[:3000]
    row = row_of(text)
    asked = await stored(contoso, "000002", MONDAY)
    assert asked["dataareaid"] == "usmf" and asked["status"] == 1 and asked["days"] == 5
    assert asked["requestid"].startswith("LR-") and asked["workername"] == "Daniel Okafor"
    seen = await manager.get(f"{LEAVE}/?view=5ad6a5ea-7c6e-5b7b-9c41-5d4e1c7b8a03&search={asked['requestid']}")
    assert asked["requestid"] in seen.text and "Daniel Okafor" in seen.text
    assert "Daniel Okafor" not in (await stranger.get(f"{LEAVE}/?search={asked['requestid']}")).text
    for door in (f"{LEAVE}/details/?id={row}", f"{LEAVE}/edit/?id={row}"):
        assert (await stranger.get(door)).status == 404
    status, text = await change(worker, row, {"mserp_status": "200000002"})
    assert status == 400 and "You can withdraw it" in text
    status, text = await change(manager, row, {"mserp_status": "200000003"})
    assert status == 400 and "Say why." in text
    status, text = await change(manager, row, {"mserp_comment": "mine now"})
    assert status == 400 and "Only who asks" in text
    status, text = await change(manager, row, {"mserp_status": "200000002", "mserp_decisioncomment": "Enjoy it."})
    assert status == 303, text[:3000]
    decided = await stored(contoso, "000002", MONDAY)
    assert (decided["status"], decided["decidedby"], decided["comment"]) == (2, "000001", "<b>Skiing</b>")
    status, text = await change(worker, row, {"mserp_status": "200000004"})
    assert status == 400 and "decided or withdrawn" in text
    shown = await worker.get(f"{LEAVE}/details/?id={row}")
    assert "Enjoy it." in shown.text and "<b>Skiing" not in shown.text


async def test_leave_that_makes_no_sense_is_refused_at_its_field(contoso: Installation, worker: Person) -> None:
    tuesday = MONDAY + dt.timedelta(15)
    for company, first, last, says in (
        ("frrt", tuesday, tuesday, "Your companies then: demf, usmf"),
        ("demf", tuesday, tuesday - dt.timedelta(1), "The last day is before the first"),
        ("demf", dt.date(2027, 11, 20), dt.date(2027, 11, 21), "weekend"),
        ("demf", tuesday, tuesday + dt.timedelta(400), "one year at most"),
    ):
        status, text = await ask_for(worker, company, first, last)
        assert status == 400 and says in text, (company, first, last, text[-4000:])
    assert await stored(contoso, "000002", tuesday) == {}
    status, _ = await ask_for(worker, "demf", tuesday, tuesday)
    assert status == 303
    status, text = await ask_for(worker, "usmf", tuesday, tuesday + dt.timedelta(1))
    assert status == 400 and "has some of these days already" in text


async def test_only_the_manager_of_the_legal_entity_sees_a_request(
    contoso: Installation, worker: Person, manager: Person
) -> None:
    """Whom usmf's manager decides for in usmf, demf's requests are none of its business, at any door."""
    day = MONDAY + dt.timedelta(22)
    status, text = await ask_for(worker, "demf", day, day)
    assert status == 303, text[:2000]
    row, number = row_of(text), (await stored(contoso, "000002", day))["requestid"]
    assert (await manager.get(f"{LEAVE}/details/?id={row}")).status == 404
    path = f"/data/LeaveRequests?cross-company=true&$filter=RequestId%20eq%20'{number}'"
    assert (await worker.get(path)).rows and not (await manager.get(path)).rows


async def test_addresses_are_the_workers_own_and_letters_go_to_one(
    contoso: Installation, worker: Person, stranger: Person
) -> None:
    fields = await opened(worker, f"{ADDRESSES}/new")
    typed = {
        "mserp_description": "Parents",
        "mserp_street": "Am Hafen 3",
        "mserp_city": "Kiel",
        "mserp_countryregionid": "DEU",
        "mserp_isprimary": "1",
    }
    answer = await post(worker, f"{ADDRESSES}/new", {**fields, **typed})
    assert answer.status == 303, answer.text[:3000]
    kept = await contoso.sql("select * from erp.hcmworkeraddress where personnelnumber = '000002' order by recid")
    assert [row["description"] for row in kept if row["isprimary"]] == ["Parents"]
    record = kept[-1]["recid"]
    row = contoso.row_id("mserp_hcmworkeraddressentity", record)
    assert (await stranger.get(f"{ADDRESSES}/edit/?id={row}")).status == 404
    theirs = await stranger.get("/data/WorkerAddresses")
    assert theirs.rows and {item["PersonnelNumber"] for item in theirs.rows} == {"000003"}
    changed = await stranger.patch(f"/api/data/v9.2/mserp_hcmworkeraddressentities({row})", {"mserp_city": "Ulm"})
    assert changed.status == 404
    page = f"{ADDRESSES}/edit/?id={row}"
    answer = await post(worker, page, {**await opened(worker, page), "mserp_city": "Lübeck"})
    assert answer.status == 303, answer.text[:3000]
    assert await contoso.value("select city from erp.hcmworkeraddress where recid = $1", record) == "Lübeck"


async def test_who_asks_for_somebody_else_is_refused_at_data_too(worker: Person, stranger: Person) -> None:
    headers = {**await stranger.headers("/data"), "content-type": "application/json"}
    body = b'{"dataAreaId":"frrt","PersonnelNumber":"000002","StartDate":"2028-01-03","EndDate":"2028-01-03"}'
    answer = await stranger.site.ask("POST", "/data/LeaveRequests", headers, body)
    assert answer.status in (400, 403), answer.text
    body = b'{"PersonnelNumber":"000002","Description":"x","City":"x","CountryRegionId":"FRA"}'
    answer = await stranger.site.ask("POST", "/data/WorkerAddresses", headers, body)
    assert answer.status in (400, 403), answer.text
