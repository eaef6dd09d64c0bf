"""Data packages: what goes out is what the owner may read, what comes in is what the owner may write."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from pathlib import Path

import pytest

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.operations.packages.blobs import SHARE, Blobs
from forecourt.operations.packages.files import CODECS
from forecourt.operations.packages.formats import Format, Table, TextRow
from forecourt.operations.packages.jobs import Wanted
from forecourt.operations.packages.projects import ProjectEntity, project_entity
from forecourt.operations.packages.records import Job, Options, Owner
from forecourt.operations.packages.register import MOST
from forecourt.store.embedded import EmbeddedServer
from support.contoso import OWN_ORDERS, ROOT, TEMPLATE, copied_site, credentials, differences, ensure_loaded
from support.packages import STAFF, chunks, csv_rows, csv_text, exported, imported, package, unpacked
from support.server import Installation, Person, cloned, installed, url

ORDERS = "PurchPurchaseOrderHeaderV2Entity"
IN_DOUBT = "select count(*) from pg_prepared_xacts where database = current_database()"
TESTS = Path(__file__).parents[1]
PRODUCTS = "EcoResReleasedProductV2Entity"


def entity(site: Installation, name: str) -> Entity:
    return site.forecourt.operations_gate.model.entities[name]


def wanted_of(site: Installation, name: str, kind: Format = Format.CSV, *columns: str) -> ProjectEntity:
    return project_entity(entity(site, name), kind, columns)


async def vendor(site: Installation) -> Person:
    return site.signed_up("anna.berg@northwind-parts.example")


async def test_a_vendor_exports_the_rows_that_data_shows_and_no_others(contoso: Installation) -> None:
    person = await vendor(contoso)
    owner = Owner(str(person.operations_user), person.contact)
    wanted = Wanted(owner, "own", entities=(wanted_of(contoso, ORDERS),), options=Options(cross_company=True))
    rows = csv_rows(unpacked(await exported(contoso, wanted))["PurchaseOrderHeaderV2.csv"])
    shown = await person.everything(url("/data/PurchaseOrderHeadersV2", cross_company=True))
    own = await contoso.sql(OWN_ORDERS, person.operations_user)
    keys = [(row["dataAreaId"], row["PurchaseOrderNumber"]) for row in rows]
    assert keys == [(row["dataAreaId"], row["PurchaseOrderNumber"]) for row in shown]
    assert sorted(keys) == [(row["dataareaid"], row["purchid"]) for row in own]
    assert len(keys) == 1000
    assert set(rows[0]) == {name for name in shown[0] if "@" not in name}


async def test_fields_that_are_hidden_from_the_owner_are_not_exported(contoso: Installation) -> None:
    person = await vendor(contoso)
    owner = Owner(str(person.operations_user), person.contact)
    wanted = Wanted(owner, "own", entities=(wanted_of(contoso, "VendVendorV2Entity"),))
    rows = csv_rows(unpacked(await exported(contoso, wanted))["VendorV2.csv"])
    assert rows and "CreditRating" not in rows[0]


async def test_good_rows_go_in_and_wrong_ones_are_kept_with_their_reason(contoso_alone: Installation) -> None:
    site = contoso_alone
    known = await site.sql("select itemid from erp.inventtable where dataareaid = 'usmf' order by 1 limit 2")
    first, second = (str(row[0]) for row in known)
    rows = [
        {"dataAreaId": "usmf", "ItemNumber": first, "SalesPrice": "12.34", "ProductType": "Item"},
        {"dataAreaId": "usmf", "ItemNumber": second, "SalesPrice": "twelve", "ProductType": "Item"},
        {"dataAreaId": "usmf", "ItemNumber": "NEW-1", "SalesPrice": "5", "ProductType": "Service"},
        {"dataAreaId": "usmf", "ItemNumber": "NEW-2", "SalesPrice": "5", "ProductType": "Servce"},
    ]
    job = await imported(site, package(("Released product", "p.csv", csv_text(rows))))
    assert job.status == "PartiallySucceeded", job.message
    (part,) = await site.forecourt.packages.register.parts(job)
    assert (part.staged, part.applied, part.failed) == (4, 2, 2)
    wrong = await site.forecourt.packages.register.wrong(job, 0, 0, 0, 10)
    assert [(row.n, row.field) for row in wrong] == [(2, "SalesPrice"), (4, "ProductType")]
    assert "Service" in wrong[1].message
    stored = await site.sql("select itemid, salesprice from erp.inventtable where itemid = any($1)", [first, "NEW-1"])
    assert {str(row[0]): float(row[1]) for row in stored} == {first: 12.34, "NEW-1": 5.0}


async def test_an_import_cannot_touch_what_is_out_of_reach(contoso: Installation) -> None:
    person = await vendor(contoso)
    (other,) = await contoso.sql(
        "select dataareaid, purchid, vendorref from erp.purchtable where not (purchid = any("
        "select purchid from erp.purchtable where orderaccount = 'V-US-101')) limit 1"
    )
    (own,) = (await contoso.sql(OWN_ORDERS, person.operations_user))[:1]
    rows = [
        {"dataAreaId": other[0], "PurchaseOrderNumber": other[1], "VendorOrderReference": "mine now"},
        {"dataAreaId": own[0], "PurchaseOrderNumber": own[1], "VendorOrderReference": "from the package"},
    ]
    data = package(("PurchaseOrderHeaderV2", "o.csv", csv_text(rows)))
    job = await imported(contoso, data, Owner(str(person.operations_user), person.contact))
    assert job.status == "PartiallySucceeded", job.message
    stored = await contoso.sql(
        "select purchid, vendorref from erp.purchtable where (dataareaid, purchid) in (($1, $2), ($3, $4))",
        other[0],
        other[1],
        own[0],
        own[1],
    )
    assert dict(stored) == {other[1]: other[2], own[1]: "from the package"}


def worker(site: Installation, job: Job, label: str, count: int) -> list[str]:
    """The command of a process that dies at a step."""
    addresses = (site.url, site.dataverse_url)
    return [sys.executable, "-m", "support.package_worker", *addresses, job.id, label, str(count)]


async def test_a_killed_import_goes_on_and_applies_no_row_twice(contoso_alone: Installation) -> None:
    """A worker is killed while it stages, in the middle of a batch, and after one; the next ones go on."""
    site, jobs = contoso_alone, contoso_alone.forecourt.packages
    (account,) = (await site.sql("select accountnum from erp.vendtable where dataareaid = 'usmf' limit 1"))[0]
    rows = [
        {"PurchaseOrderNumber": "", "OrderVendorAccountNumber": account, "VendorOrderReference": f"kill-{n}"}
        for n in range(650)
    ]
    rows[321]["VendorOrderReference"] = "x" * 61
    data = package(("PurchaseOrderHeaderV2", "o.csv", csv_text(rows)))
    blob = await jobs.blobs.new(STAFF.user, "test.zip")
    await jobs.blobs.fill(blob, chunks(data))
    job = await jobs.ask_import(Wanted(STAFF, "kill", options=Options(open=True)), blob)
    found = []
    for label, count in (("staged", 1), ("written", 1), ("applied", 2), ("written", 2)):
        process = await asyncio.create_subprocess_exec(*worker(site, job, f"package: {label}", count), cwd=TESTS)
        assert await process.wait() == -signal.SIGKILL
        (part,) = await jobs.register.parts(job)
        found.append((part.staged, part.applied))
        assert await jobs.register.claim(job.id) is None, "its lease has not lapsed yet"
        await site.dataverse("update forecourt.package_job set lease_until = now()")
    assert found == [(500, 0), (650, 0), (650, 200), (650, 300)]
    assert await jobs.run_due() == 1
    ended = await jobs.find(job.id)
    assert ended is not None and ended.status == "PartiallySucceeded", ended
    (part,) = await jobs.register.parts(job)
    assert (part.staged, part.applied, part.failed) == (650, 649, 1)
    stored = await site.sql("select vendorref from erp.purchtable where vendorref like 'kill-%'")
    assert sorted(row[0] for row in stored) == sorted(
        str(row["VendorOrderReference"]) for n, row in enumerate(rows) if n != 321
    )


async def test_a_worker_that_has_lost_its_lease_writes_nothing_more(contoso_alone: Installation) -> None:
    site, jobs = contoso_alone, contoso_alone.forecourt.packages
    data = package(("ReleasedProductV2", "p.csv", csv_text([{"ItemNumber": "LATE-1", "dataAreaId": "usmf"}])))
    blob = await jobs.blobs.new(STAFF.user, "test.zip")
    await jobs.blobs.fill(blob, chunks(data))
    first = await jobs.ask_import(Wanted(STAFF, "late", options=Options(open=True)), blob, claimed=True)
    await site.dataverse("update forecourt.package_job set lease_until = now()")
    second = await jobs.register.claim(first.id)
    assert second is not None
    assert (await jobs.run(first)).status == "Executing"
    assert await site.value("select count(*) from erp.inventtable where itemid = 'LATE-1'") == 0
    assert (await jobs.run(second)).status == "Succeeded"
    assert await site.value("select count(*) from erp.inventtable where itemid = 'LATE-1'") == 1


async def test_what_is_exported_imported_and_exported_again_is_the_same(contoso_alone: Installation) -> None:
    """Rows that were deleted in between come back; those that are there change in nothing."""
    site = contoso_alone
    await site.sql("update erp.inventtable set name = '=1+1' where itemid = (select min(itemid) from erp.inventtable)")
    for kind in Format:
        wanted = Wanted(STAFF, "round", company="usmf", entities=(wanted_of(site, PRODUCTS, kind),))
        first = unpacked(packed := await exported(site, wanted))
        deleted = await site.sql(
            "delete from erp.inventtable where recid in (select recid from erp.inventtable where dataareaid = 'usmf' "
            "order by itemid limit 7) returning itemid"
        )
        assert len(deleted) == 7
        untouched = await site.value("select max(xmin::text::bigint) from erp.inventtable")
        job = await imported(site, packed, company="usmf")
        assert job.status == "Succeeded", (kind, job.message)
        changed = await site.value("select count(*) from erp.inventtable where xmin::text::bigint > $1", untouched)
        assert changed == 7
        again = unpacked(await exported(site, wanted))
        if kind is Format.XLSX:  # a workbook says when it was made
            assert read_file(site, kind, again) == read_file(site, kind, first)
        else:
            assert again == first


def read_file(site: Installation, kind: Format, files: dict[str, bytes]) -> list[TextRow]:
    table = Table(entity(site, PRODUCTS), site.forecourt.operations_gate.model, "x")
    return list(CODECS[kind].read(io.BytesIO(files[f"ReleasedProductV2.{kind.suffix}"]), table))


async def test_a_file_that_breaks_off_reaches_the_target_with_no_row(contoso_alone: Installation) -> None:
    site = contoso_alone
    good = csv_text([{"dataAreaId": "usmf", "ItemNumber": f"HALF-{n}"} for n in range(600)])
    data = package(
        ("ReleasedProductV2", "p.csv", good), ("CustomerV3", "c.csv", b'dataAreaId,CustomerAccount\nusmf,"US\n')
    )
    job = await imported(site, data)
    assert job.status == "Failed"
    assert job.message.startswith("c.csv: row 1: ")
    assert await site.value("select count(*) from erp.inventtable where itemid like 'HALF-%'") == 0


async def test_a_row_of_another_legal_entity_than_the_jobs_is_left_out(contoso_alone: Installation) -> None:
    site = contoso_alone
    rows = [{"dataAreaId": "demf", "ItemNumber": "ELSE-1"}, {"dataAreaId": "", "ItemNumber": "ELSE-2"}]
    job = await imported(site, package(("ReleasedProductV2", "p.csv", csv_text(rows))), company="usmf")
    assert job.status == "PartiallySucceeded"
    stored = await site.sql("select dataareaid, itemid from erp.inventtable where itemid like 'ELSE-%'")
    assert [tuple(row) for row in stored] == [("usmf", "ELSE-2")]


async def test_who_may_not_create_imports_no_new_row_and_who_may_not_import_starts_no_job(
    contoso: Installation,
) -> None:
    person = await vendor(contoso)
    owner = Owner(str(person.operations_user), person.contact)
    rows = [{"dataAreaId": "usmf", "PurchaseOrderNumber": "MINE-1", "VendorOrderReference": "x"}]
    job = await imported(contoso, package(("PurchaseOrderHeaderV2", "o.csv", csv_text(rows))), owner)
    assert job.status == "Failed"
    assert await contoso.value("select count(*) from erp.purchtable where purchid = 'MINE-1'") == 0
    product = csv_text([{"dataAreaId": "usmf", "ItemNumber": "MINE-1"}])
    job = await imported(contoso, package(("ReleasedProductV2", "p.csv", product)), owner)
    assert job.status == "Failed"
    assert "no right to import ReleasedProductV2" in job.message
    with pytest.raises(Refusal, match="no right to export ReleasedProductV2"):
        await exported(contoso, Wanted(owner, "own", entities=(wanted_of(contoso, PRODUCTS),)))
    with pytest.raises(Refusal, match="does not exist"):
        await exported(contoso, Wanted(Owner("nobody"), "own", entities=(wanted_of(contoso, PRODUCTS),)))


async def test_a_job_ends_with_the_rights_of_its_owner(contoso_alone: Installation) -> None:
    site, jobs = contoso_alone, contoso_alone.forecourt.packages
    rows = [{"dataAreaId": "usmf", "ItemNumber": "GONE-1"}]
    blob = await jobs.blobs.new(STAFF.user, "test.zip")
    await jobs.blobs.fill(blob, chunks(package(("ReleasedProductV2", "p.csv", csv_text(rows)))))
    wanted = Wanted(STAFF, "gone", options=Options(execute=False, open=True))
    job = await jobs.run(await jobs.ask_import(wanted, blob, claimed=True))
    assert job.status == "Succeeded"
    await site.sql("delete from erp.securityuserrole where user_ = 'integration'")
    await jobs.again(job)
    assert await jobs.run_due() == 1
    (part,) = await jobs.register.parts(job)
    assert (part.applied, part.failed) == (0, 1)
    assert await site.value("select count(*) from erp.inventtable where itemid = 'GONE-1'") == 0


async def test_one_import_of_a_project_at_a_time(contoso: Installation) -> None:
    jobs = contoso.forecourt.packages
    blob = await jobs.blobs.new(STAFF.user, "test.zip")
    await jobs.blobs.fill(blob, chunks(package(("ReleasedProductV2", "p.csv", b"dataAreaId,ItemNumber\n"))))
    wanted = Wanted(STAFF, "turns", options=Options(open=True))
    first = await jobs.ask_import(wanted, blob)
    with pytest.raises(Refusal, match="is not done yet"):
        await jobs.ask_import(wanted, blob)
    assert await jobs.register.cancel(first)
    second = await jobs.ask_import(wanted, blob, claimed=True)
    assert (await jobs.run(second)).status == "Succeeded"
    assert (await jobs.find(first.id)).status == "Canceled"  # type: ignore[union-attr]


async def test_an_import_over_two_databases_keeps_rows_and_progress_in_step(postgres: EmbeddedServer) -> None:
    await ensure_loaded(postgres)
    async with (
        cloned(postgres, TEMPLATE) as operations,
        cloned(postgres, TEMPLATE) as dataverse,
        installed(ROOT, operations, dataverse, credentials()) as site,
    ):
        await site.dataverse("truncate erp.inventtable")
        rows = [{"dataAreaId": "usmf", "ItemNumber": f"TWO-{n}", "SalesPrice": "1"} for n in range(250)]
        rows[120]["SalesPrice"] = "99999999999999999999999999999999999999999"
        job = await imported(site, package(("ReleasedProductV2", "p.csv", csv_text(rows))))
        (part,) = await site.forecourt.packages.register.parts(job)
        assert (job.status, part.applied, part.failed) == ("PartiallySucceeded", 249, 1), job.message
        assert await site.value("select count(*) from erp.inventtable where itemid like 'TWO-%'") == 249
        assert (await site.dataverse("select count(*) from erp.inventtable"))[0][0] == 0
        assert await site.value("select to_regclass('forecourt.package_row') is not null") is True
        assert await site.value("select count(*) from forecourt.package_row") == 0
        assert await site.value(IN_DOUBT) == 0


async def test_a_worker_killed_between_two_databases_leaves_no_row_out_and_none_twice(
    postgres: EmbeddedServer,
) -> None:
    await ensure_loaded(postgres)
    async with (
        cloned(postgres, TEMPLATE) as operations,
        cloned(postgres, TEMPLATE) as dataverse,
        installed(ROOT, operations, dataverse, credentials()) as site,
    ):
        jobs = site.forecourt.packages
        (account,) = (await site.sql("select accountnum from erp.vendtable where dataareaid = 'usmf' limit 1"))[0]
        rows = [
            {"PurchaseOrderNumber": "", "OrderVendorAccountNumber": account, "VendorOrderReference": f"kill-{n}"}
            for n in range(450)
        ]
        blob = await jobs.blobs.new(STAFF.user, "test.zip")
        await jobs.blobs.fill(blob, chunks(package(("PurchaseOrderHeaderV2", "o.csv", csv_text(rows)))))
        job = await jobs.ask_import(Wanted(STAFF, "kill", options=Options(open=True)), blob)
        doubts = []
        for label in ("prepared", "committing", "committed"):
            process = await asyncio.create_subprocess_exec(*worker(site, job, f"work: {label}", 1), cwd=TESTS)
            assert await process.wait() == -signal.SIGKILL
            doubts.append(
                await site.value("select count(*) from pg_prepared_xacts where database = current_database()")
            )
            await site.dataverse("update forecourt.package_job set lease_until = now()")
        assert doubts == [1, 1, 1]
        assert await jobs.run_due() == 1
        ended = await jobs.find(job.id)
        assert ended is not None and ended.status == "Succeeded", ended
        stored = await site.sql("select vendorref from erp.purchtable where vendorref like 'kill-%'")
        assert sorted(row[0] for row in stored) == sorted(str(row["VendorOrderReference"]) for row in rows)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (package(("ReleasedProductV2", "p.csv", b"0" * 20_000_000)), "zip bomb"),
        (package(("ReleasedProductV2", "../p.csv", b"x")), "leads out of the package"),
        (package(("ReleasedProductsV3", "p.csv", b"x")), "Did you mean"),
        (package(("ReleasedProductV2", "p.exe", b"x")), "The format 'exe' is not known"),
        (package(("ReleasedProductV2", "p.csv", b"dataAreaId,ItemNumer\n")), "Did you mean 'ItemNumber'?"),
        (package(("ReleasedProductV2", "p.xml", b"<!DOCTYPE x [<!ENTITY y 'z'>]><Document/>")), "entities"),
        (b"PK\x05\x06" + b"\x00" * 18, "no Manifest.xml"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
async def test_a_hostile_package_ends_its_job_and_nothing_else(contoso: Installation, data: bytes, said: str) -> None:
    job = await imported(contoso, data)
    assert (job.status, said in job.message) == ("Failed", True), job.message


async def test_a_row_without_its_key_is_left_out(contoso: Installation) -> None:
    job = await imported(contoso, package(("ReleasedProductV2", "p.csv", b"dataAreaId,SalesPrice\nusmf,1\n")))
    assert job.status == "Failed"
    (wrong,) = await contoso.forecourt.packages.register.wrong(job, 0, 0, 0, 10)
    assert wrong.message.startswith("The row has no 'ItemNumber'")


async def test_nobody_fills_the_database_or_the_queue(contoso_alone: Installation) -> None:
    site, jobs = contoso_alone, contoso_alone.forecourt.packages
    small = Blobs(site.forecourt.databases.dataverse, 100_000)
    kept = 0
    with pytest.raises(Refusal, match="You keep more than") as caught:
        for _ in range(SHARE + 1):
            await small.fill(await small.new("sales.clerk", "x.zip"), chunks(b"x" * 100_000))
            kept += 1
    assert (kept, caught.value.status) == (SHARE, 413)
    wanted = Wanted(STAFF, "many", entities=(wanted_of(site, PRODUCTS),))
    for _ in range(MOST):
        await jobs.ask_export(wanted)
    with pytest.raises(Refusal, match="are not done yet"):
        await jobs.ask_export(wanted)


async def test_a_batch_may_name_a_row_twice_and_the_last_one_stands(contoso_alone: Installation) -> None:
    """Whole batches look for their rows at once, unless a key is there twice."""
    site = contoso_alone
    rows = [{"dataAreaId": "usmf", "ItemNumber": f"TWICE-{n % 150}", "SalesPrice": str(n)} for n in range(300)]
    job = await imported(site, package(("ReleasedProductV2", "p.csv", csv_text(rows))))
    assert job.status == "Succeeded", job.message
    rows[250]["SalesPrice"] = "7.5"
    rows[260]["ItemNumber"] = ""
    untouched = await site.value("select max(xmin::text::bigint) from erp.inventtable")
    job = await imported(site, package(("ReleasedProductV2", "p.csv", csv_text(rows[150:]))))
    assert job.status == "PartiallySucceeded", job.message
    changed = await site.sql("select itemid, salesprice from erp.inventtable where xmin::text::bigint > $1", untouched)
    assert [(row[0], float(row[1])) for row in changed] == [("TWICE-100", 7.5)]
    assert await site.value("select count(*) from erp.inventtable where itemid like 'TWICE-%'") == 150


async def test_a_row_outside_of_the_owners_legal_entities_is_left_out(contoso_alone: Installation) -> None:
    """Roles of the purchasing clerk count in usmf and demf."""
    site = contoso_alone
    (moved,) = await site.sql("select purchid from erp.purchtable where dataareaid = 'frrt' limit 1")
    rows = [
        {"dataAreaId": "usmf", "PurchaseOrderNumber": "REACH-1", "OrderVendorAccountNumber": "x"},
        {"dataAreaId": "frrt", "PurchaseOrderNumber": "REACH-2", "OrderVendorAccountNumber": "x"},
        {"dataAreaId": "frrt", "PurchaseOrderNumber": moved[0], "OrderVendorAccountNumber": "x"},
    ]
    (account,) = (await site.sql("select accountnum from erp.vendtable where dataareaid = 'usmf' limit 1"))[0]
    for row in rows:
        row["OrderVendorAccountNumber"] = account
    before = await site.sql("select * from erp.purchtable where dataareaid = 'frrt' order by recid")
    job = await imported(site, package(("PurchaseOrderHeaderV2", "o.csv", csv_text(rows))), Owner("purch.clerk"))
    (part,) = await site.forecourt.packages.register.parts(job)
    assert (job.status, part.applied, part.failed) == ("PartiallySucceeded", 1, 2), job.message
    assert await site.sql("select * from erp.purchtable where dataareaid = 'frrt' order by recid") == before
    whole = Wanted(
        Owner("purch.clerk"), "all", entities=(wanted_of(site, ORDERS),), options=Options(cross_company=True)
    )
    found = {row["dataAreaId"] for row in csv_rows(unpacked(await exported(site, whole))["PurchaseOrderHeaderV2.csv"])}
    assert found == {"usmf", "demf"}


async def test_rows_of_a_live_map_reach_the_copy_with_the_import(postgres: EmbeddedServer) -> None:
    async with copied_site(postgres) as site:
        known = await site.sql("select purchid from erp.purchtable where dataareaid = 'usmf' order by recid limit 120")
        rows = [
            {"dataAreaId": "usmf", "PurchaseOrderNumber": row[0], "VendorOrderReference": f"live-{n}"}
            for n, row in enumerate(known)
        ]
        rows[7]["VendorOrderReference"] = "x" * 61
        job = await imported(site, package(("PurchaseOrderHeaderV2", "o.csv", csv_text(rows))))
        (part,) = await site.forecourt.packages.register.parts(job)
        assert (part.applied, part.failed) == (119, 1), job.message
        assert await differences(site, "purchase-orders") == []
        assert await site.value("select count(*) from erp.purchtable where vendorref like 'live-%'") == 119
