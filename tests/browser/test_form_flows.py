"""Forms in Chromium, wide and narrow, by keyboard: made, changed by two people, gone through in steps, interrupted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from portal_pages import end_session, overflow, sign_in, violations

from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support.server import Installation, serving
from support.small_portal import small_portal
from support.stepped import HEAD, SITE

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address, and passwords by name."""
    passwords: dict[str, str] = {}
    folder: Path = tmp_path_factory.mktemp("flows")

    @asynccontextmanager
    async def start(settings: Settings) -> AsyncIterator[Installation]:
        async with small_portal(postgres, folder, SITE, settings, more={"cts_thing": HEAD}) as portal:
            for name in ("ann", "bob"):
                passwords[name] = (await portal.person(name, "Members", "Managers")).password
            yield portal.site

    with serving(start) as url:
        yield url, passwords


@pytest.fixture(params=[360, 1440])
async def pages(
    chromium: Browser, served: tuple[str, dict[str, str]], request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Page, Page]]:
    """Ann's and Bob's."""
    url, passwords = served
    view = {"width": request.param, "height": 900}
    contexts = [await chromium.new_context(base_url=url, viewport=view, locale="en-US") for _ in passwords]
    opened = [await context.new_page() for context in contexts]
    for page, name in zip(opened, passwords, strict=True):
        await sign_in(page, name, passwords[name], "/")
    yield opened[0], opened[1]
    for context in contexts:
        await context.close()


async def sound(page: Page) -> None:
    assert await overflow(page) <= 0
    assert await violations(page) == []


async def send(page: Page) -> None:
    """Sends the form by the keyboard: Enter in a field, or on the button where nothing has the focus."""
    button = page.locator(".fc-form-actions .btn-primary")
    await button.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_load_state()


async def title(page: Page, text: str) -> None:
    await expect(page.locator("h1")).to_have_text(text)


async def test_a_form_of_several_steps_is_gone_through_back_and_on_and_interrupted(
    pages: tuple[Page, Page], served: tuple[str, dict[str, str]]
) -> None:
    page, _ = pages
    await page.goto("/apply/")
    await title(page, "Header")
    await expect(page.locator(".fc-way")).to_have_text("Step 1 of 4")
    await send(page)  # nothing is filled in
    await expect(page.locator('a[href="#f-cts_name"]')).to_be_visible()
    await sound(page)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")  # from the mistake to its field
    await page.keyboard.type("Order")
    await page.fill("#f-cts_whole", "500")
    await page.locator("#f-cts_name").press("Enter")
    await title(page, "Why so many")
    await sound(page)
    await page.fill("#f-cts_memo", "because of the fair")
    await page.get_by_role("button", name="Previous").click()  # what was typed stays
    await title(page, "Header")
    await expect(page.locator("#f-cts_name")).to_have_value("Order")
    await send(page)
    await expect(page.locator("#f-cts_memo")).to_have_value("because of the fair")
    await send(page)
    await title(page, "Line")
    await page.go_back()  # the browser's own way back
    await title(page, "Why so many")
    await expect(page.locator("#f-cts_memo")).to_have_value("because of the fair")
    await page.go_forward()
    await title(page, "Line")
    await page.fill("#f-cts_name", "Line one")
    await end_session(page)
    await send(page)
    await expect(page.get_by_role("heading", name="Please sign in again")).to_be_visible()
    await page.fill("#username", "ann")
    await page.fill("#password", served[1]["ann"])
    await page.locator("#password").press("Enter")
    await expect(page.locator("#f-cts_name")).to_have_value("Line one")
    await expect(page.locator("main")).to_contain_text("nothing is saved yet")
    await send(page)
    await title(page, "Review")
    await expect(page.locator("main")).to_contain_text("because of the fair")
    await expect(page.locator("main")).to_contain_text("Line one")
    await sound(page)
    await send(page)
    await expect(page.locator("main")).to_contain_text("Your application is with us.")
    await sound(page)


async def test_a_row_is_made_and_two_people_change_it(pages: tuple[Page, Page]) -> None:
    ann, bob = pages
    await ann.goto("/new/")
    await expect(ann.locator("#f-cts_name")).to_have_value("ann")  # filled in from the person
    await ann.fill("#f-cts_name", "Bolt")
    await ann.fill("#f-cts_code", "low")
    await send(ann)
    await expect(ann.locator("#f-cts_code-error")).to_contain_text("Write capitals.")
    await sound(ann)
    await ann.fill("#f-cts_code", f"W{'X' * (await ann.evaluate('innerWidth') // 200)}")  # no two things have one code
    await send(ann)
    await ann.wait_for_url("**/thing/?id=*")
    url = ann.url
    await bob.goto(url)
    await bob.fill("#f-cts_name", "Bolt of Bob")
    await send(bob)
    await ann.fill("#f-cts_name", "Bolt of Ann")
    await ann.fill("#f-cts_memo", "Ann's words")
    await send(ann)
    await expect(ann.get_by_role("heading", name="Somebody else has changed this")).to_be_visible()
    await expect(ann.locator(".fc-decide")).to_contain_text("Bolt of Bob")
    await expect(ann.locator("#f-cts_memo")).to_have_value("Ann's words")
    await sound(ann)
    await ann.get_by_label("Theirs: Bolt of Bob").check()
    await send(ann)
    await ann.wait_for_url("**/thing/?id=*")
    await expect(ann.locator("#f-cts_name")).to_have_value("Bolt of Bob")
    await expect(ann.locator("#f-cts_memo")).to_have_value("Ann's words")
