"""Lists in a browser, at 360 and at 1440 px: filters, actions, charts, lookups and search, by keyboard and by axe."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect
from portal_pages import overflow, sign_in, violations

from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support.server import Installation, serving
from support.things import things

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of the portal of things, and Ann's password."""
    passwords: list[str] = []

    @asynccontextmanager
    async def start(settings: Settings) -> AsyncIterator[Installation]:
        async with things(postgres, tmp_path_factory.mktemp("lists"), settings) as opened:
            passwords.append(opened.ann.password)
            yield opened.portal.site

    with serving(start) as url:
        yield url, passwords[0]


async def fine(page: Page) -> None:
    """No page is wider than the window, and axe finds nothing."""
    assert await overflow(page) == 0
    assert await violations(page) == []


async def names(page: Page) -> list[str]:
    return await page.locator(".fc-row-link").all_inner_texts()


@pytest.mark.parametrize("width", [360, 1440])
async def test_a_list_is_filtered_acted_upon_and_searched(chromium: Browser, site: tuple[str, str], width: int) -> None:
    url, password = site
    context = await chromium.new_context(base_url=url, viewport={"width": width, "height": 900}, locale="en-US")
    page = await context.new_page()
    try:
        await sign_in(page, "ann", password, "/things/")
        await page.locator(".fc-filters summary").focus()
        await page.keyboard.press("Enter")
        await page.get_by_label("One", exact=True).focus()
        await page.keyboard.press("Space")
        await page.get_by_label("Note").fill("note")
        await fine(page)
        await page.keyboard.press("Enter")
        await expect(page.locator(".fc-chip")).to_have_count(2)
        assert await names(page) == ["A2", "A4"]
        await page.get_by_role("link", name=re.compile("Remove the filter Kind: One")).click()
        await expect(page.locator(".fc-chip")).to_have_count(1)
        await fine(page)

        await page.get_by_role("link", name="Deactivate A2").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Deactivate: A2")
        await fine(page)
        await page.get_by_role("button", name="Deactivate").click()
        await expect(page.get_by_role("status").first).to_contain_text("no longer active")
        await page.get_by_role("link", name="Activate A2", exact=True).click()
        await page.get_by_role("button", name="Activate").click()
        await expect(page.get_by_role("link", name="Deactivate A2")).to_be_visible()

        await page.goto("/charts/?chart=c3")
        await expect(page.get_by_role("img", name="Exported")).to_be_visible()
        await page.get_by_text("The numbers").click()
        await expect(page.get_by_role("rowheader", name="Nov 2026")).to_be_visible()
        await fine(page)

        await page.goto("/things/new/")
        find = page.get_by_role("button", name=re.compile("Find.*parent", re.IGNORECASE))
        await find.focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.type("note 4")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("button", name="A4")).to_be_visible()
        await expect(dialog.get_by_role("button", name="A3")).to_have_count(0)
        await fine(page)
        await dialog.get_by_role("button", name="A4").press("Enter")
        await expect(dialog).to_have_count(0)
        await expect(find).to_be_focused()
        await expect(page.locator(".fc-chosen").filter(has_text="A4")).to_be_visible()
        await find.press("Enter")
        await expect(dialog.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(find).to_be_focused()
        await page.locator("#f-cts_name").fill(f"N{width}")
        await page.locator(".fc-form-actions button").click()
        await page.wait_for_load_state()

        await page.goto("/")
        await page.get_by_role("link", name="Search").click()
        await page.get_by_role("searchbox").fill("deliv")
        await page.keyboard.press("Enter")
        await expect(page.locator("main").get_by_role("link", name="Terms")).to_be_visible()
        await expect(page.locator("mark").first).to_have_text("delivery")
        await fine(page)
    finally:
        await context.close()
