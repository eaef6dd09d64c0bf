"""A customer's copied orders in Chromium: the list, an order with its lines, and ordering, wide and narrow; what plain
SQL says of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from portal_pages import end_session, overflow, rows_of, sign_in, violations

from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import Installation, serving

pytestmark = pytest.mark.browser

ALL = "/orders/?view=all-orders"


@pytest.fixture(scope="module")
def copied(postgres: EmbeddedServer) -> Iterator[tuple[str, str]]:
    """Addresses of the portal and of its database."""
    databases: list[str] = []

    @asynccontextmanager
    async def start(settings: Settings) -> AsyncIterator[Installation]:
        async with sample.copied_site(postgres, settings=settings) as site:
            databases.append(site.url)
            yield site

    with serving(start) as url:
        yield url, databases[0]


@pytest.fixture(scope="module")
def copied_url(copied: tuple[str, str]) -> str:
    return copied[0]


@pytest.fixture(params=[360, 1440])
async def page(chromium: Browser, copied_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    context = await chromium.new_context(
        base_url=copied_url, viewport={"width": request.param, "height": 900}, locale="en-US"
    )
    yield await context.new_page()
    await context.close()


def someone(role: str) -> tuple[str, str]:
    entry = next(item for item in sample.credentials() if item["web_roles"] == [role] and item["operations_user"])
    return entry["username"], entry["password"]


async def test_a_customer_finds_its_copied_orders_and_their_lines(page: Page) -> None:
    await sign_in(page, *someone("Customer representatives"), to=ALL)
    assert await page.locator("h1").inner_text() == "Orders"
    rows = page.locator(".fc-row-link")
    number = await rows.first.inner_text()
    assert number.startswith("SO-")
    assert (await overflow(page), await violations(page)) == (0, [])
    await rows.first.click()
    await page.wait_for_url("**/orders/details/**")
    assert (await page.locator("h1").inner_text()).startswith(number)
    assert await page.get_by_text("Price Per Unit").count() > 0
    assert (await overflow(page), await violations(page)) == (0, [])


async def test_a_vendor_is_not_shown_the_page_of_orders(page: Page) -> None:
    await sign_in(page, *someone("Vendors"), to="/orders/")
    assert await page.locator(".fc-row-link").count() == 0
    assert await page.locator("nav").get_by_text("Orders", exact=True).count() == 0


GRACE, FELIX = "c-us-00001", "c-de-00001"


def credentials(user: str) -> tuple[str, str]:
    entry = next(item for item in sample.credentials() if item["operations_user"] == user)
    return entry["username"], entry["password"]


async def shot(page: Page, name: str) -> None:
    """A picture, where somebody asks for them."""
    if folder := os.environ.get("FORECOURT_TEST_PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}-{page.viewport_size['width']}.png", full_page=True)  # type: ignore[index]


async def sound(page: Page, name: str) -> None:
    await shot(page, name)
    assert (await overflow(page), await violations(page)) == (0, []), name


async def save(page: Page) -> None:
    await page.click(".fc-form-actions .btn-primary")


async def header(page: Page, reference: str) -> None:
    await page.get_by_role("link", name="New order").first.click()
    await expect(page.locator("h1")).to_have_text("Delivery")
    assert await page.locator("#f-shipto_city").input_value()
    await page.fill("#f-requestdeliveryby", "2027-03-01")
    await page.fill("#f-msdyn_customersorderreference", reference)


async def add(page: Page, item: str, quantity: str) -> None:
    await page.get_by_role("link", name="Add item").click()
    await page.get_by_role("button", name="Find Product").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("searchbox").fill(item)
    await dialog.get_by_role("searchbox").press("Enter")
    await expect(dialog.get_by_role("row")).to_have_count(2)
    await shot(page, "product")
    await dialog.get_by_role("row").last.get_by_role("button").click()
    await page.fill("#f-quantity", quantity)
    await save(page)
    await expect(page.locator("h1")).to_have_text("Items")


async def test_two_customers_order_at_once_and_each_is_shown_the_erps_number(
    chromium: Browser, copied: tuple[str, str]
) -> None:
    url, database = copied
    pages = []
    for width, user in ((360, GRACE), (1440, FELIX)):
        size: Any = {"width": width, "height": 900}
        context = await chromium.new_context(base_url=url, viewport=size, locale="en-US")
        page = await context.new_page()
        await sign_in(page, *credentials(user), to="/orders/")
        pages.append(page)
    grace, felix = pages
    await sound(grace, "orders")
    await header(grace, "At 360")
    await header(felix, "At 1440")
    await sound(grace, "delivery")
    await end_session(felix)  # the session ends in the first step
    await save(felix)
    await expect(felix.get_by_role("heading", name="Please sign in again")).to_be_visible()
    name, password = credentials(FELIX)
    await felix.fill("#username", name)
    await felix.fill("#password", password)
    await felix.locator("#password").press("Enter")
    await expect(felix.locator("#f-msdyn_customersorderreference")).to_have_value("At 1440")
    for page in pages:
        await save(page)
        await expect(page.locator("h1")).to_have_text("Items")
        await add(page, "AUD-1001", "3")
        await sound(page, "items")
    await grace.go_back()  # to the form that has made the line, and to the step again
    await grace.goto("/orders/new/")
    await expect(grace.locator("main")).to_contain_text("USD")
    await expect(felix.locator("main")).to_contain_text("EUR")
    for page in pages:
        await save(page)
        await expect(page.locator("h1")).to_have_text("Review")
        await sound(page, "review")
        await save(page)
        await expect(page.locator("main")).to_contain_text("Your order is with us as SO-")
        await sound(page, "sent")
    sql = (
        "select o.dataareaid, o.salesid, o.customerref, l.itemid, l.salesqty::int, o.salesstatus "
        "from erp.salestable o join erp.salesline l on l.salesid = o.salesid and l.dataareaid = o.dataareaid "
        "where o.customerref like 'At %' order by 3 desc"
    )
    rows = await rows_of(database, sql)
    assert [(*row[:1], *row[2:]) for row in rows] == [
        ("usmf", "At 360", "AUD-1001", 3, 1),
        ("demf", "At 1440", "AUD-1001", 3, 1),
    ]
    for page, row in zip(pages, rows, strict=True):
        await expect(page.locator("h1")).to_contain_text(row[1])
        await page.get_by_role("link", name="Order the same again").click()
        await page.fill("#f-requestdeliveryby", "2027-04-01")
        await save(page)
        await expect(page.locator("h1")).to_have_text("Delivery")
    await grace.goto("/company/")
    await sound(grace, "company")
    await expect(grace.locator("main")).to_contain_text("Rachel Underhill")
    for page in pages:
        await page.context.close()
