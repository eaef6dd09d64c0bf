"""The data-management actions of ``/data``, the addresses of blobs, and the queues of recurring jobs."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from forecourt.operations.packages.queues import Queues
from support.packages import csv_rows, csv_text, package, unpacked
from support.server import Answer, Installation, Person

ACTIONS = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities."
BLOB = {"x-ms-blob-type": "BlockBlob"}

#: Activities of the sample's recurring jobs.
PRICES_IN = "2b7f6c1e-4f0a-4f3e-9c55-0d8c6b5a1a01"
PRODUCTS_OUT = "2b7f6c1e-4f0a-4f3e-9c55-0d8c6b5a1a02"


async def call(person: Person, name: str, **parameters: object) -> Answer:
    headers = {**await person.headers("/data"), "content-type": "application/json"}
    return await person.site.ask("POST", ACTIONS + name, headers, json.dumps(parameters).encode())


async def value(person: Person, name: str, **parameters: object) -> Any:
    answer = await call(person, name, **parameters)
    assert answer.status == 200, answer.text
    assert answer.json["@odata.context"].startswith("http://portal.test/data/$metadata#Edm.")
    return answer.json["value"]


async def uploaded(person: Person, data: bytes) -> str:
    """The address of a package that has been put there."""
    address = str(json.loads(await value(person, "GetAzureWriteUrl", uniqueFileName=f"{uuid4()}.zip"))["BlobUrl"])
    answer = await person.site.ask("PUT", local(address), BLOB, data)
    assert answer.status == 201, answer.text
    return address


def local(address: str) -> str:
    assert address.startswith("http://portal.test/")
    return address.removeprefix("http://portal.test")


async def fetched(site: Installation, address: str) -> bytes:
    answer = await site.ask("GET", local(address))
    assert answer.status == 200, answer.text
    assert len(answer.body) == int(answer.headers["content-length"])
    return answer.body


def prices(*rows: tuple[str, str]) -> bytes:
    listed = [{"dataAreaId": "usmf", "ItemNumber": item, "SalesPrice": price} for item, price in rows]
    return package(("EcoResReleasedProductV2Entity", "prices.csv", csv_text(listed)))


async def items(site: Installation, count: int) -> list[str]:
    found = await site.sql("select itemid from erp.inventtable where dataareaid = 'usmf' order by 1 limit $1", count)
    return [str(row[0]) for row in found]


async def price(site: Installation, item: str) -> float:
    sql = "select salesprice from erp.inventtable where itemid = $1 and dataareaid = 'usmf'"
    return float(await site.value(sql, item))


async def test_a_package_goes_in_by_the_actions_as_microsofts_clients_call_them(contoso_alone: Installation) -> None:
    site = contoso_alone
    person = await site.operations_user("integration")
    good, bad, refused = await items(site, 3)
    await site.sql("create function erp.no() returns trigger language plpgsql as $$ begin raise 'no'; end $$")
    await site.sql(
        f"create trigger no before update on erp.inventtable for each row when (old.itemid = '{refused}') "
        "execute function erp.no()"
    )
    address = await uploaded(person, prices((good, "77.5"), (bad, "cheap"), (refused, "1.25")))
    job = await value(
        person,
        "ImportFromPackage",
        packageUrl=address,
        definitionGroupId="product-prices",
        executionId="",
        execute=True,
        overwrite=False,
        legalEntityId="usmf",
    )
    assert await value(person, "GetExecutionSummaryStatus", executionId=job) == "NotRun"
    assert (await call(person, "GetImportStagingErrorFileUrl", executionId=job, entityName="x")).status == 409
    assert await site.forecourt.packages.run_due() == 1
    assert await value(person, "GetExecutionSummaryStatus", executionId=job) == "PartiallySucceeded"
    assert await price(site, good) == 77.5
    errors = json.loads(await value(person, "GetExecutionErrors", executionId=job))
    assert [(item["RecordId"], item["Field"]) for item in errors] == [("2", "SalesPrice"), ("3", "")]
    named = {"executionId": job, "entityName": "Released product"}
    staging = await value(person, "GetImportStagingErrorFileUrl", **named)
    (row,) = csv_rows(await fetched(site, staging))
    assert (row["row"], row["ItemNumber"], row["SalesPrice"]) == ("2", bad, "cheap")
    assert await value(person, "GetImportTargetErrorKeysFileUrl", **named) == ""
    assert await value(person, "GenerateImportTargetErrorKeysFile", **named) is True
    keys = await value(person, "GetImportTargetErrorKeysFileUrl", **named)
    (row,) = csv_rows(await fetched(site, keys))
    assert (row["row"], row["dataAreaId"], row["ItemNumber"]) == ("3", "usmf", refused)


async def test_a_package_comes_out_by_the_actions_with_the_askers_rows_alone(contoso: Installation) -> None:
    person = contoso.signed_up("anna.berg@northwind-parts.example")
    job = await value(
        person,
        "ExportToPackage",
        definitionGroupId="purchase-orders",
        packageName="orders",
        executionId="",
        reExecute=False,
        legalEntityId="usmf",
    )
    assert await contoso.forecourt.packages.run_due() >= 1
    assert await value(person, "GetExecutionSummaryStatus", executionId=job) == "Succeeded"
    files = unpacked(await fetched(contoso, await value(person, "GetExportedPackageUrl", executionId=job)))
    accounts = {row["OrderVendorAccountNumber"] for row in csv_rows(files["PurchaseOrderHeaderV2.csv"])}
    assert len(accounts) == 1
    again = await value(
        person,
        "ExportToPackagePreview",
        definitionGroupId="purchase-orders",
        packageName="orders",
        executionId="",
        exportPreviewCount=3,
    )
    await contoso.forecourt.packages.run_due()
    files = unpacked(await fetched(contoso, await value(person, "GetExportedPackageUrl", executionId=again)))
    assert len(csv_rows(files["PurchaseOrderHeaderV2.csv"])) == 3
    refused = await call(person, "ExportToPackage", definitionGroupId="products", packageName="x")
    assert (refused.status, refused.refusal) == (403, "FC3001")


async def test_a_job_is_unknown_to_everybody_but_its_owner(contoso: Installation) -> None:
    owner = contoso.signed_up("anna.berg@northwind-parts.example")
    other = contoso.signed_up("jonas.weber@rheintal-metallbau.example")
    job = await value(owner, "ExportToPackage", definitionGroupId="purchase-orders", packageName="x")
    await contoso.forecourt.packages.run_due()
    assert await value(other, "GetExecutionSummaryStatus", executionId=job) == "Unknown"
    for name in ("GetExportedPackageUrl", "GetExecutionErrors"):
        answer = await call(other, name, executionId=job)
        assert (answer.status, answer.refusal) == (404, "FC4042")
    taken = await call(other, "ExportToPackage", definitionGroupId="purchase-orders", executionId=job, reExecute=True)
    assert (taken.status, taken.refusal) == (409, "FC4802")


async def test_an_address_opens_one_blob_for_one_purpose_and_one_identity(contoso: Installation) -> None:
    person = await contoso.operations_user("integration")
    other = await contoso.operations_user("sales.clerk")
    item = (await items(contoso, 1))[0]
    address = await uploaded(person, prices((item, "5")))
    again = await contoso.ask("PUT", local(address), BLOB, b"other")
    assert (again.status, again.refusal) == (409, "FC4802")
    for wrong in (
        local(address),  # an address to write is none to read
        local(address).replace("sp=w", "sp=r"),
        local(address).partition("&sig=")[0],
        local(address).replace("se=", "se=9"),
        "/api/blobs/" + str(uuid4()) + "?" + local(address).partition("?")[2],
        "/api/blobs/x",
        "/api/blobs/",
    ):
        answer = await contoso.ask("GET", wrong)
        assert (answer.status, answer.refusal) == (403, "FC4803"), wrong
    stolen = await call(other, "ImportFromPackage", packageUrl=address, definitionGroupId="product-prices")
    assert (stolen.status, stolen.refusal) == (403, "FC4803")
    elsewhere = "https://attacker.example/x.zip?sp=w&se=9999999999&sig=x"
    answer = await call(person, "ImportFromPackage", packageUrl=elsewhere, definitionGroupId="product-prices")
    assert (answer.status, answer.refusal) == (403, "FC4803")


async def test_an_address_ends_with_its_blob(contoso: Installation) -> None:
    person = await contoso.operations_user("integration")
    address = await uploaded(person, b"x")
    blob = json.loads(await value(person, "GetAzureWriteUrl", uniqueFileName="a.zip"))
    await contoso.dataverse("update forecourt.package_blob set expires_at = now() where owner = 'integration'")
    answer = await call(person, "ImportFromPackage", packageUrl=address, definitionGroupId="product-prices")
    assert answer.refusal == "FC4803"
    assert (await contoso.ask("PUT", local(blob["BlobUrl"]), BLOB, b"x")).refusal == "FC4803"
    await contoso.forecourt.packages.purge()
    kept = await contoso.dataverse("select count(*) from forecourt.package_blob where owner = 'integration'")
    assert kept[0][0] == 0


async def test_a_blob_has_a_size_and_a_way_to_be_sent(contoso: Installation) -> None:
    person = await contoso.operations_user("integration")

    async def fresh() -> str:
        return local(json.loads(await value(person, "GetAzureWriteUrl", uniqueFileName="a.zip"))["BlobUrl"])

    large = {**BLOB, "content-length": str(10**12)}
    assert (await contoso.ask("PUT", await fresh(), large, b"x")).status == 413
    assert (await contoso.ask("PUT", await fresh(), {}, b"x")).refusal == "FC1004"
    assert (await contoso.ask("PUT", await fresh() + "&comp=block", BLOB, b"x")).refusal == "FC1004"
    assert (await contoso.ask("POST", await fresh(), BLOB, b"x")).status == 405


@pytest.mark.parametrize(
    ("name", "parameters", "status"),
    [
        ("ImportFromPackage", {"packageUrl": "x", "definitionGroupId": "product-prices"}, 403),
        ("ImportFromPackage", {"packageUrl": 5, "definitionGroupId": "product-prices"}, 400),
        ("ImportFromPackage", {"packageURL": "x"}, 400),
        ("ExportToPackage", {"definitionGroupId": "purchase-order"}, 400),
        ("ExportToPackage", {"definitionGroupId": "products", "legalEntityId": "usmff"}, 400),
        ("ExportToPackage", {"definitionGroupId": "products", "executionId": "x" * 500}, 400),
        ("ExportToPackage", {"definitionGroupId": "products", "reExecute": "yes", "executionId": "a\nb"}, 400),
        ("ExportToPackagePreview", {"definitionGroupId": "products", "exportPreviewCount": -1}, 400),
        ("GetExecutionErrors", {"executionId": "none"}, 404),
        ("GetMessageStatus", {"messageId": "none"}, 400),
        ("GetMessageStatus", {"messageId": str(uuid4())}, 404),
        ("Nonsense", {}, 404),
    ],
)
async def test_what_makes_no_sense_is_refused(
    contoso: Installation, name: str, parameters: dict[str, object], status: int
) -> None:
    person = await contoso.operations_user("integration")
    answer = await call(person, name, **parameters)
    assert answer.status == status, answer.text
    assert contoso.faults == []


async def test_the_actions_want_a_token_and_a_post(contoso: Installation) -> None:
    assert (await contoso.ask("POST", ACTIONS + "GetAzureWriteUrl", {}, b"{}")).status == 401
    person = await contoso.operations_user("integration")
    assert (await person.get(ACTIONS + "GetAzureWriteUrl")).status == 405


# ------------------------------------------------------------------------------------------------- recurring jobs


async def queued(person: Person, method: str, path: str, body: bytes = b"") -> Answer:
    return await person.site.ask(method, f"/api/connector/{path}", await person.headers("/data"), body)


async def test_a_file_that_is_enqueued_goes_in_and_says_how_it_went(contoso_alone: Installation) -> None:
    site = contoso_alone
    jobs, queues = site.forecourt.packages, Queues(site.forecourt.packages)
    person = await site.operations_user("integration")
    first, second = await items(site, 2)
    sent = [
        prices((first, "31.5")),
        csv_text([{"dataAreaId": "usmf", "ItemNumber": second, "SalesPrice": "x"}]),
        b"PK nonsense",
        prices((second, "41.5")),
    ]
    messages = []
    for data in sent:
        answer = await queued(person, "POST", f"enqueue/{PRICES_IN}?entity=Released%20product&company=usmf", data)
        assert answer.status == 200, answer.text
        messages.append(answer.json)

    async def states() -> list[str]:
        return [await value(person, "GetMessageStatus", messageId=message) for message in messages]

    assert await states() == ["Enqueued"] * 4
    found = []
    for _ in sent:
        await queues.tick()
        await jobs.run_due()
        found.append(await states())
        assert await queues.tick() == 0, "not before its time"
        await site.dataverse("update forecourt.package_recurrence set next_run = now()")
    assert found == [
        ["Processed", "Enqueued", "Enqueued", "Enqueued"],
        ["Processed", "ProcessedWithErrors", "Enqueued", "Enqueued"],
        ["Processed", "ProcessedWithErrors", "PreProcessingError", "Enqueued"],
        ["Processed", "ProcessedWithErrors", "PreProcessingError", "Processed"],
    ]
    assert (await price(site, first), await price(site, second)) == (31.5, 41.5)


async def test_a_package_is_laid_out_until_it_is_acknowledged(contoso_alone: Installation) -> None:
    site = contoso_alone
    jobs, queues = site.forecourt.packages, Queues(site.forecourt.packages)
    person = await site.operations_user("integration")
    assert (await queued(person, "GET", f"dequeue/{PRODUCTS_OUT}")).status == 204
    await queues.tick()
    await jobs.run_due()
    await queues.settle()
    first = await queued(person, "GET", f"dequeue/{PRODUCTS_OUT}")
    assert next(iter(unpacked(await fetched(site, first.json["DownloadLocation"])))) == "ReleasedProductV2.xlsx"
    message = first.json["CorrelationId"]
    assert await value(person, "GetMessageStatus", messageId=message) == "Dequeued"
    assert (await queued(person, "GET", f"dequeue/{PRODUCTS_OUT}")).status == 204
    await site.dataverse("update forecourt.package_message set visible_at = visible_at - interval '30 minutes'")
    second = await queued(person, "GET", f"dequeue/{PRODUCTS_OUT}")
    assert second.json["CorrelationId"] == message
    late = await queued(person, "POST", f"ack/{PRODUCTS_OUT}", first.body)
    assert (late.status, late.refusal) == (409, "FC4802")
    assert (await queued(person, "POST", f"ack/{PRODUCTS_OUT}", second.body)).status == 200
    assert await value(person, "GetMessageStatus", messageId=message) == "Acked"
    await site.dataverse("update forecourt.package_message set visible_at = now()")
    assert (await queued(person, "GET", f"dequeue/{PRODUCTS_OUT}")).status == 204


async def test_a_queue_exists_for_its_owner_alone(contoso: Installation) -> None:
    other = await contoso.operations_user("sales.clerk")
    for method, path in (
        ("POST", f"enqueue/{PRICES_IN}?entity=x"),
        ("GET", f"dequeue/{PRODUCTS_OUT}"),
        ("POST", f"ack/{PRODUCTS_OUT}"),
        ("GET", f"dequeue/{uuid4()}"),
        ("GET", "dequeue/x"),
    ):
        body = json.dumps({"CorrelationId": str(uuid4()), "PopReceipt": str(uuid4())}).encode()
        answer = await queued(other, method, path, body if method == "POST" else b"")
        assert (answer.status, answer.refusal) == (404, "FC4042"), path
    assert (await contoso.ask("GET", f"/api/connector/dequeue/{PRODUCTS_OUT}")).status == 401


async def test_a_run_is_started_by_one_of_many_processes(contoso_alone: Installation) -> None:
    site = contoso_alone
    started = await asyncio.gather(*(Queues(site.forecourt.packages).tick() for _ in range(4)))
    assert sum(started) == 1, "the export; nothing is in the queue of the import"
    rows = await site.dataverse("select count(*) from forecourt.package_job where direction = 'export'")
    assert rows[0][0] == 1
