"""The studio in a browser: at both widths, light and dark, with and without script, by keyboard."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, expect
from portal_pages import NewPage, SignIn, overflow, violations

from support import contoso as sample

pytestmark = pytest.mark.browser

ORDERS = "PurchaseOrderHeadersV2"
ANNA = "anna.berg@northwind-parts.example"


@pytest.fixture(scope="session")
def administrator(portal_url: str) -> SignIn:
    found = next(entry for entry in sample.credentials() if entry["username"] == "admin")
    return SignIn(found["username"], found["password"])


async def enter(page: Page, administrator: SignIn) -> None:
    await page.goto("/studio/")
    await page.fill("#username", administrator.username)
    await page.fill("#password", administrator.password)
    await page.click("main button[type=submit]")
    await expect(page.get_by_role("heading", name="Start")).to_be_visible()


def address(**fields: str) -> str:
    return "/studio/explain?" + urlencode(fields)


@pytest.mark.parametrize(("width", "dark"), [(360, False), (1440, True)])
async def test_pages_fit_their_window_and_axe_finds_nothing(
    new_page: NewPage, administrator: SignIn, width: int, dark: bool
) -> None:
    page = await new_page(width=width, dark=dark)
    found = {}

    async def look(name: str) -> None:
        found[name] = [*await violations(page), *([f"{wide} px too wide"] if (wide := await overflow(page)) else [])]

    await page.goto("/studio/explain")
    await look("sign-in")
    await enter(page, administrator)
    await look("start")
    for path in (
        "/studio/explain",
        "/studio/nothing",
        address(**{"as": ANNA, "table": ORDERS}),
        address(**{"as": ANNA, "table": ORDERS, "key": "usmf,PO-000002"}),
        address(**{"as": ANNA, "table": ORDERS, "key": "usmf,PO-000002", "operation": "update"}),
        address(**{"as": "anonymous", "table": "contact"}),
        address(**{"as": "berg", "table": ORDERS}),
        address(**{"as": ANNA, "table": "Nothing", "key": "'"}),
        address(tab="who", table=ORDERS, key="usmf,PO-000002"),
        address(tab="who", table=ORDERS),
    ):
        await page.goto(path)
        await look(path)
    await page.locator(".fc-account summary").click()
    await look("menu")
    assert {name: faults for name, faults in found.items() if faults} == {}


async def test_a_row_is_explained_by_keyboard_and_without_script(new_page: NewPage, administrator: SignIn) -> None:
    page = await new_page(script=False)
    await enter(page, administrator)
    await page.goto("/studio/explain")
    await page.focus("#as")
    await page.keyboard.type(ANNA)
    await page.keyboard.press("Tab")
    await page.keyboard.type(ORDERS)
    await page.keyboard.press("Tab")
    await page.keyboard.type("usmf,PO-000002")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Smallest change").first).to_be_visible()
    await expect(page.locator(".st-failed").first).to_contain_text("is not")
    await page.get_by_role("link", name="Who can").click()
    await expect(page.locator(".st-people").first).to_be_visible()


async def test_a_person_is_found_by_a_part_of_the_name(new_page: NewPage, administrator: SignIn) -> None:
    page = await new_page()
    await enter(page, administrator)
    await page.goto(address(**{"as": "Anna Berg", "table": ORDERS}))
    await page.get_by_role("link", name=ANNA).click()
    await expect(page.locator(".st-answer").first).to_be_visible()
    await expect(page.locator("#as")).to_have_value(ANNA)
    await page.locator(".st-choices a").first.click()
    await expect(page.locator("#key")).not_to_have_value("")
