"""What an identity may not read does not show: not in rows, not in ETags, not in refusals, at whatever door."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forecourt.cli.fuzzing.run import fuzzed
from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support import adventureworks as aw
from support import contoso as sample
from support.server import Installation, cloned, installed, send, url

ODATA = ("data", "web", "api")
SETTINGS = Settings(lane_size=4)


@pytest.mark.parametrize("seed", [11])
async def test_random_requests_and_changed_worlds_show_nothing_that_is_hidden(
    postgres: EmbeddedServer, seed: int
) -> None:
    await sample.ensure_loaded(postgres)
    found = await fuzzed(sample.ROOT, [postgres.url(sample.TEMPLATE)], 60, seed, SETTINGS, rounds=4)
    assert found.clean, "\n".join(found.lines())
    assert found.tally.requests >= 60
    assert found.native.rows > 100, found.native.line()
    assert found.findings.rounds, "nothing was changed that nobody may see"


async def test_random_requests_of_an_attached_solution_show_nothing_that_is_hidden(postgres: EmbeddedServer) -> None:
    if not aw.DUMP.is_file():
        pytest.skip(aw.MISSING)
    await aw.ensure_loaded(postgres)
    urls = [postgres.url(aw.TEMPLATE), postgres.url(aw.DATAVERSE)]
    found = await fuzzed(aw.ROOT, urls, 60, 12, SETTINGS)
    assert found.clean, "\n".join(found.lines())


# ------------------------------------------------------------------------------------------------------ ETags


@pytest.mark.parametrize("door", ODATA)
async def test_an_etag_moves_with_what_is_read_and_with_nothing_else(contoso: Installation, door: str) -> None:
    """The vendor's own record, whose credit rating is for the company's eyes."""
    person = await sample.fresh_vendor(contoso)
    surface = sample.case(contoso).surface(door)
    target = url(surface.set("VendVendorV2Entity"), **surface.options)

    async def tag() -> str:
        (row,) = (await person.get(target)).rows
        return str(row["@odata.etag"])

    vendor = await contoso.value(
        "select v.recid from erp.vendtable v join erp.contactperson c on c.contactforparty = v.party "
        "and c.dataareaid = v.dataareaid join erp.dirpersonuser u on u.personparty = c.party where u.user_ = $1",
        person.operations_user,
    )
    before = await tag()
    await contoso.sql("update erp.vendtable set creditrating = creditrating || '!' where recid = $1", vendor)
    assert await tag() == before
    await contoso.sql("update erp.vendtable set ouraccountnum = ouraccountnum || '!' where recid = $1", vendor)
    assert await tag() != before


async def test_a_change_under_if_match_meets_the_columns_that_are_read(contoso: Installation) -> None:
    person = await sample.fresh_vendor(contoso)
    case = sample.case(contoso)
    order = (await case.own(person))[0]
    for door in ODATA:
        surface = case.surface(door)
        target = url(surface.row(order), **surface.options)
        changes = {surface.column("VendorOrderReference"): f"by {door}"}
        stale = (await person.get(target)).headers["etag"]
        first = await person.patch(target, changes, {"if-match": stale})
        assert first.status == 204, first.text
        again = await person.patch(target, {surface.column("VendorOrderReference"): "x"}, {"if-match": stale})
        assert again.status == 412
        fresh = (await person.get(target)).headers["etag"]
        assert fresh != stale
        assert (await person.get(target, {"if-none-match": fresh})).status == 304


async def test_an_administrator_is_told_of_every_change(contoso: Installation) -> None:
    admin = contoso.signed_up("admin")
    target = "/data/VendorsV2?cross-company=true&$top=1"
    before = (await admin.get(target)).rows[0]
    key = (before["dataAreaId"], before["VendorAccountNumber"])
    await contoso.sql("update erp.vendtable set recid = recid where dataareaid = $1 and accountnum = $2", *key)
    after = (await admin.get(target)).rows[0]
    assert after["@odata.etag"] != before["@odata.etag"]


# -------------------------------------------------------------------------------------- ways to hidden columns


@pytest.fixture
async def narrow(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Installation]:
    """The sample company, whose lines do not open the number of their order to ``/_api``."""
    root = tmp_path / "contoso"
    shutil.copytree(sample.ROOT, root)
    settings = root / "site" / "sitesetting.yml"
    lines = settings.read_text("utf-8").splitlines()
    at = next(n for n, line in enumerate(lines) if "Webapi/mserp_purchpurchaseorderlinev2entity/fields" in line)
    lines[at + 2] = lines[at + 2].replace("mserp_purchaseordernumber,", "")
    settings.write_text("\n".join(lines) + "\n", "utf-8")
    await sample.ensure_loaded(postgres)
    async with (
        cloned(postgres, sample.TEMPLATE) as address,
        installed(root, address, "", sample.credentials()) as opened,
    ):
        yield opened


async def test_a_relation_that_rests_on_a_hidden_column_is_not_a_way_to_it(narrow: Installation) -> None:
    case = sample.case(narrow)
    person, surface = case.person(0), case.surface("api")
    for target in (
        surface.orders(_expand="mserp_purchaseorderlinesv2($select=mserp_linenumber)"),
        surface.orders(_filter="mserp_purchaseorderlinesv2/any(x:x/mserp_linenumber eq 1)"),
        url(surface.set(case.lines), _filter="mserp_purchaseorderheaderv2/mserp_currencycode eq 'USD'"),
        url(surface.set(case.lines), _expand="mserp_purchaseorderheaderv2($select=mserp_currencycode)"),
    ):
        answer = await person.get(target)
        assert answer.status == 403, (target, answer.text[:200])
    assert (await person.get(surface.orders(_top=1))).rows


async def test_a_row_is_not_found_by_a_key_whose_columns_are_hidden(contoso: Installation) -> None:
    """The company of a sales order is not among the columns that ``/_api`` opens, so no key may ask for it."""
    person = contoso.in_role("Customer representatives")
    key = "msdyn_salesordernumber='SO-000001',_msdyn_company_value=00000000-0000-0000-0000-000000000001"
    answer = await person.get(f"/_api/salesorders({key})")
    assert answer.status == 403, answer.text


async def test_a_key_that_a_hidden_row_has_is_refused_like_any_row_out_of_reach(contoso: Installation) -> None:
    """The clerk makes orders in two legal entities; what is in the third must not show in refusals."""
    clerk = contoso.signed_up("purch.clerk")
    taken = await contoso.sql("select purchid, orderaccount from erp.purchtable where dataareaid = 'frrt' limit 1")
    answers = []
    for number in (taken[0][0], "PO-999123"):
        body = {
            "dataAreaId": "frrt",
            "PurchaseOrderNumber": number,
            "OrderVendorAccountNumber": taken[0][1],
            "InvoiceVendorAccountNumber": taken[0][1],
            "PurchaseOrderName": "x",
            "CurrencyCode": "EUR",
        }
        answers.append(await send(clerk, "POST", "/data/PurchaseOrderHeadersV2?cross-company=true", body))
    assert [answer.status for answer in answers] == [403, 403], [answer.text for answer in answers]
    assert answers[0].body == answers[1].body


async def test_the_day_that_stands_for_none_is_found_as_none_and_never_as_a_day(contoso: Installation) -> None:
    """A virtual table shows it as null, so no comparison may tell it from null."""
    admin = contoso.signed_up("admin")
    table = "/api/data/v9.2/mserp_purchpurchaseorderlinev2entities"

    async def count(condition: str) -> int:
        answer = await admin.get(f"{table}/$count?$filter=mserp_confirmeddeliverydate {condition}")
        assert answer.status == 200, answer.text
        return int(answer.text.removeprefix("\ufeff"))

    none, some = await count("eq null"), await count("ne null")
    assert none and some
    day = "1900-01-01"
    assert [await count(f"{op} {day}") for op in ("eq", "lt", "le", "gt", "ge", "ne")] == [
        0,
        0,
        0,
        some,
        some,
        none + some,
    ]
