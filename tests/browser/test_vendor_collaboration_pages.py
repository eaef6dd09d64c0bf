"""Vendor collaboration in Chromium: two people of one vendor, narrow and wide, their buyer, and what plain SQL says;
a visitor who registers interest in a request for quotation; workers, their addresses and leave, and who decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect
from portal_pages import overflow, rows_of, save, sign_in, violations

from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import Installation, serving

pytestmark = pytest.mark.browser

ANNA, MARCUS = "v-us-101", "v-us-102"


@dataclass(frozen=True)
class Portal:
    url: str
    database: str

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return await rows_of(self.database, statement, *values)

    async def act(self, target: str, action: str) -> Any:
        """Calls an action at /data as the buyer does."""
        entry = next(item for item in sample.credentials() if item["username"] == "purch.clerk")
        form = {"grant_type": "password", "client_id": "forecourt-cli"}
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            sign_in = {**form, "username": entry["username"], "password": entry["password"]}
            token = (await client.post("/contoso/oauth2/v2.0/token", data=sign_in)).json()["access_token"]
            answer = await client.post(
                f"/data/{target}/Microsoft.Dynamics.DataEntities.{action}",
                json={},
                headers={"authorization": f"Bearer {token}"},
            )
        assert answer.status_code in (200, 204), answer.text
        return answer.json().get("value") if answer.content else None


@pytest.fixture(scope="module")
def portal(postgres: EmbeddedServer) -> Iterator[Portal]:
    databases: list[str] = []

    @asynccontextmanager
    async def start(settings: Settings) -> AsyncIterator[Installation]:
        async with sample.contoso_site(postgres, settings=settings) as site:
            # Marcus Hill works for Anna Berg's company as well.
            await site.sql(
                "update erp.contactperson c set contactforparty = v.party from erp.dirpersonuser u, erp.vendtable v "
                "where u.personparty = c.party and u.user_ = $1 and v.accountnum = 'US-101' and v.dataareaid = 'usmf'",
                MARCUS,
            )
            await site.dataverse(
                "update dataverse.contact set parentcustomerid = "
                "(select parentcustomerid from dataverse.contact where emailaddress1 = $1) where emailaddress1 = $2",
                *(username(ANNA), username(MARCUS)),
            )
            databases.append(site.url)
            yield site

    with serving(start) as url:
        yield Portal(url, databases[0])


def username(user: str) -> str:
    return str(credentials(user)[0])


def credentials(user: str) -> tuple[str, str]:
    entry = next(item for item in sample.credentials() if item["operations_user"] == user)
    return entry["username"], entry["password"]


async def opened(chromium: Browser, portal: Portal, width: int, user: str = "") -> Page:
    size: Any = {"width": width, "height": 900}
    context = await chromium.new_context(base_url=portal.url, viewport=size, locale="en-US")
    page = await context.new_page()
    if user:
        await sign_in(page, *credentials(user), to="/orders-for-review/")
    return page


async def test_a_version_is_changed_split_answered_once_and_confirmed(chromium: Browser, portal: Portal) -> None:
    anna, marcus = await opened(chromium, portal, 360, ANNA), await opened(chromium, portal, 1440, MARCUS)
    await anna.locator(".fc-row-link").first.click()
    reference = await anna.locator("h1").inner_text()
    assert (await overflow(anna), await violations(anna)) == (0, [])
    document = anna.url

    # A part of the first line comes later.
    await anna.locator("section tbody a").first.click()
    await anna.get_by_role("link", name="Change line").click()
    await anna.fill("#f-mserp_confirmedpurchasequantity", "3")
    await anna.fill("#f-mserp_confirmeddeliverydate", "2027-05-03")
    await anna.fill("#f-mserp_remainderdeliverydate", "2027-06-01")
    await save(anna)
    await expect(anna.locator("body")).to_contain_text("Do not forget to send your answer")
    await anna.get_by_role("link", name="Back to order").click()
    await expect(anna.locator("body")).to_contain_text("Split into schedule")

    # Both are about to answer: one comes first, the other sees what has happened.
    await marcus.goto(document)
    for page in (anna, marcus):
        await page.get_by_role("link", name="Answer", exact=True).click()
        await page.wait_for_url("**/answer/**")
    assert (await overflow(marcus), await violations(marcus)) == (0, [])
    await anna.select_option("#f-mserp_answer", label="Accept with changes")
    await save(anna)
    await expect(anna.locator("body")).to_contain_text("Thank you. Your answer is with us.")
    await marcus.select_option("#f-mserp_answer", label="Reject")
    await marcus.fill("#f-mserp_responsenote", "We have no steel.")
    await save(marcus)
    await expect(marcus.locator("main")).to_contain_text("Accept with changes")
    await expect(marcus.locator("#f-mserp_responsenote")).to_have_value("We have no steel.")

    number = reference.split()[0].rpartition("-")[0]
    version = int(reference.split()[0].rpartition("-")[2])
    key = f"dataAreaId='usmf',PurchaseOrderNumber='{number}'"
    assert await portal.act(f"PurchaseOrderResponseHeaders({key},PurchaseOrderVersion={version})", "processUpdate") == 1
    assert await portal.act(f"PurchaseOrderHeadersV2({key})", "sendForConfirmation") == version + 1
    await anna.goto(f"/orders-for-review/?search={number}-{version + 1}")
    await anna.locator(".fc-row-link").first.click()
    await anna.get_by_role("link", name="Answer", exact=True).click()
    await anna.select_option("#f-mserp_answer", label="Accept")
    await save(anna)
    await expect(anna.locator("body")).to_contain_text("Thank you.")

    assert await portal.sql(
        "select responsestate, processingstate, respondedby, note from erp.purchaseorderresponseheader "
        "where dataareaid = 'usmf' and purchid = $1 and versionnumber >= $2 order by versionnumber",
        *(number, version),
    ) == [(4, 1, "Anna Berg", ""), (1, 1, "Anna Berg", "")]
    lines = await portal.sql(
        "select purchqty::int, deliverydate::text, confirmeddlv::text from erp.purchline l "
        "where dataareaid = 'usmf' and purchid = $1 and itemid = (select itemid from erp.purchline f "
        "where f.dataareaid = 'usmf' and f.purchid = $1 order by linenumber limit 1) order by linenumber",
        number,
    )
    assert lines[0] == (3, "2027-05-03", "2027-05-03") and lines[-1][1:] == ("2027-06-01", "2027-06-01")
    ((state,),) = await portal.sql(
        "select documentstate from erp.purchtable where dataareaid = 'usmf' and purchid = $1", number
    )
    assert state == 5


async def test_a_visitor_registers_interest_and_sees_nobodys(chromium: Browser, portal: Portal) -> None:
    page = await opened(chromium, portal, 360)
    await page.goto("/requests-for-quotation/")
    shown = await page.locator(".fc-row-link").all_inner_texts()
    public = await portal.sql(
        "select count(*) from erp.purchrfqcasetable where published = 1 and statuslow = 1 and expirydate >= now()"
    )
    assert len(shown) == public[0][0]
    assert (await overflow(page), await violations(page)) == (0, [])
    await page.locator(".fc-row-link").first.click()
    await page.get_by_role("link", name="Register interest").click()
    await page.fill("#f-mserp_organizationname", "Nordhafen Guss GmbH")
    await page.fill("#f-mserp_contactname", "Ole Petersen")
    await page.fill("#f-mserp_emailaddress", "not an address@")
    await save(page)
    await expect(page.locator("#f-mserp_organizationname")).to_have_value("Nordhafen Guss GmbH")
    await page.fill("#f-mserp_emailaddress", "ole@nordhafen-guss.example")
    await save(page)
    await expect(page.locator("body")).to_contain_text("We have noted your interest")
    assert await portal.sql("select organizationname, email, dataareaid from erp.purchrfqinterest") == [
        ("Nordhafen Guss GmbH", "ole@nordhafen-guss.example", "usmf")
    ]
    assert "Nordhafen" not in await (await page.goto("/requests-for-quotation/")).text()  # type: ignore[union-attr]


WORKER, MANAGER = "w-000002", "w-000001"


@pytest.mark.parametrize(("width", "other", "day"), [(360, 1440, "2028-03-06"), (1440, 360, "2028-03-13")])
async def test_a_worker_keeps_addresses_and_asks_for_leave_that_the_manager_approves(
    chromium: Browser, portal: Portal, width: int, other: int, day: str
) -> None:
    worker, manager = await opened(chromium, portal, width), await opened(chromium, portal, other)
    await sign_in(worker, *credentials(WORKER), to="/my-record/worker/")
    await sign_in(manager, *credentials(MANAGER), to="/leave/")

    # The own record and no other; an address is added, and changed.
    await expect(worker.locator(".fc-row-link")).to_have_count(1)
    await worker.locator(".fc-row-link").click()
    await expect(worker.locator("main")).to_contain_text("Okafor")
    assert (await overflow(worker), await violations(worker)) == (0, [])
    await worker.goto("/my-record/addresses/")
    await worker.get_by_role("link", name="Add an address").click()
    await worker.fill("#f-mserp_description", f"Parents {width}")
    await worker.fill("#f-mserp_street", "Am Hafen 3")
    await worker.fill("#f-mserp_city", "Kiel")
    await worker.fill("#f-mserp_countryregionid", "DEU")
    await save(worker)
    await expect(worker.locator("body")).to_contain_text("Your address is kept.")
    await worker.goto("/my-record/addresses/")
    await worker.get_by_role("link", name=f"Parents {width}", exact=True).click()
    await worker.fill("#f-mserp_city", "Lübeck")
    await save(worker)
    await expect(worker.locator("body")).to_contain_text("Your address is changed.")

    # Leave is asked for; the manager approves it while the worker is about to write something else.
    await worker.goto("/leave/new/")
    await worker.fill("#f-mserp_dataareaid", "usmf")
    await worker.select_option("#f-mserp_leavetype", index=1)
    await worker.fill("#f-mserp_startdate", day)
    await worker.fill("#f-mserp_enddate", day)
    await worker.fill("#f-mserp_comment", "To the dentist")
    assert (await overflow(worker), await violations(worker)) == (0, [])
    await save(worker)
    await expect(worker.locator("body")).to_contain_text("Your manager will decide.")
    ((number,),) = await portal.sql("select requestid from erp.leaverequest where startdate = $1::text::date", day)
    for page in (worker, manager):
        await page.goto(f"/leave/?view=all-requests&search={number}")
        await page.locator(".fc-row-link").first.click()
        await page.get_by_role("link", name="Change or decide").click()
        await page.wait_for_url("**/edit/**")
    await worker.fill("#f-mserp_comment", "To the dentist, and back by noon")
    await manager.select_option("#f-mserp_status", label="Approved")
    await manager.fill("#f-mserp_decisioncomment", "Get well.")
    assert (await overflow(manager), await violations(manager)) == (0, [])
    await save(manager)
    await expect(manager.locator("body")).to_contain_text("It is written down.")
    await save(worker)
    await expect(worker.locator("#f-mserp_comment")).to_have_value("To the dentist, and back by noon")
    await expect(worker.locator("main")).to_contain_text("Approved")

    assert await portal.sql(
        "select status, decidedby, comment, decisioncomment, days::int from erp.leaverequest where requestid = $1",
        number,
    ) == [(2, "000001", "To the dentist", "Get well.", 1)]
    assert await portal.sql(
        "select city, personnelnumber from erp.hcmworkeraddress where description = $1", f"Parents {width}"
    ) == [("Lübeck", "000002")]
