"""A customer's copied orders in Chromium: the list and an order with its lines, wide and narrow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, Page
from portal_pages import overflow, sign_in, violations

from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import serving

pytestmark = pytest.mark.browser

ALL = "/orders/?view=all-orders"


@pytest.fixture(scope="module")
def copied_url(postgres: EmbeddedServer) -> Iterator[str]:
    with serving(lambda settings: sample.copied_site(postgres, settings=settings)) as url:
        yield url


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
    await sign_in(page, *someone("Customers"), to=ALL)
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
