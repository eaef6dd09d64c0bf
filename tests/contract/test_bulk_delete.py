"""BulkDelete of Dataverse's Web API: rows by their ids, all or none; every other query is refused, not guessed."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from support.server import Answer, Installation, Person

A = "/api/data/v9.2"


async def send(person: Person, target: str, body: object) -> Answer:
    headers = {**await person.headers(target), "content-type": "application/json"}
    return await person.site.ask("POST", target, headers, json.dumps(body).encode())


def request(*ids: str, **criteria: Any) -> dict[str, Any]:
    values = [{"Value": item, "Type": "System.Guid"} for item in ids]
    condition = {"AttributeName": "accountid", "Operator": "In", "Values": values}
    return {"QuerySet": [{"EntityName": "account", "Criteria": {"Conditions": [condition], **criteria}}]}


async def made(person: Person, count: int) -> list[str]:
    found = []
    for _ in range(count):
        answer = await send(person, f"{A}/accounts", {"name": "to go in bulk"})
        found.append(answer.headers["odata-entityid"].rpartition("(")[2].rstrip(")"))
    return found


async def left(site: Installation, ids: list[str]) -> int:
    sql = "select count(*) from dataverse.account where accountid = any($1)"
    return int((await site.dataverse(sql, [uuid.UUID(item) for item in ids]))[0][0])


async def test_rows_are_gone_when_the_answer_comes_and_missing_ones_are_passed_over(contoso: Installation) -> None:
    admin = await contoso.operations_user("admin")
    ids = await made(admin, 3)
    answer = await send(admin, f"{A}/BulkDelete", request(*ids, str(uuid.uuid4())))
    assert answer.status == 200, answer.text
    assert uuid.UUID(answer.json["JobId"])
    assert await left(contoso, ids) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(QuerySet=[]),
        lambda body: body.update(QuerySet="all"),
        lambda body: body.update(RecurrencePattern="FREQ=DAILY"),
        lambda body: body["QuerySet"][0].update(EntityName="nonsense"),
        lambda body: body["QuerySet"][0].update(Criteria=None),
        lambda body: body["QuerySet"][0].update(LinkEntities=[{}]),
        lambda body: body["QuerySet"][0]["Criteria"].update(Conditions=[]),
        lambda body: body["QuerySet"][0]["Criteria"].update(Filters=[{}]),
        lambda body: body["QuerySet"][0]["Criteria"]["Conditions"][0].update(Operator="NotIn"),
        lambda body: body["QuerySet"][0]["Criteria"]["Conditions"][0].update(AttributeName="name"),
        lambda body: body["QuerySet"][0]["Criteria"]["Conditions"][0].update(Values=[{"Value": "' or 1=1"}]),
        lambda body: body["QuerySet"][0]["Criteria"]["Conditions"].append({}),
    ],
)
async def test_what_is_no_list_of_ids_is_refused_and_deletes_nothing(contoso: Installation, change: Any) -> None:
    admin = await contoso.operations_user("admin")
    ids = await made(admin, 1)
    body = request(*ids)
    change(body)
    assert (await send(admin, f"{A}/BulkDelete", body)).status == 400
    assert (await admin.get(f"{A}/BulkDelete")).status == 405
    assert await left(contoso, ids) == 1


async def test_who_may_not_delete_deletes_nothing(contoso: Installation) -> None:
    admin, vendor = await contoso.operations_user("admin"), contoso.in_role("Vendors")
    ids = await made(admin, 2)
    assert (await send(vendor, f"{A}/BulkDelete", request(*ids))).status in (401, 403)
    assert await left(contoso, ids) == 2
