"""The portal in a browser: lists, details, forms, and what must hold at every width, with and without script."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, expect
from portal_pages import (
    ALL,
    DELIVERY,
    LIST,
    REFERENCE,
    NewPage,
    SignIn,
    end_session,
    obscured,
    open_form,
    open_order,
    overflow,
    save,
    sign_in,
    violations,
)

pytestmark = pytest.mark.browser


async def numbers(page: Page) -> list[str]:
    return await page.locator(".fc-row-link").all_inner_texts()


async def test_home_shows_the_lists_of_the_person_and_who_they_are(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page()
    await page.goto("/")
    await expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    await sign_in(page, vendor.username, vendor.password)
    await expect(page.locator(".fc-tile").first).to_contain_text("Purchase orders")
    await expect(page.locator(".fc-account")).to_contain_text(re.compile(r"Anna Berg\s*for Northwind"))
    await page.locator(".fc-tile a").first.click()
    await expect(page).to_have_url(re.compile(LIST))


async def test_a_list_is_sorted_by_its_headers(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await page.goto(ALL)
    header = page.get_by_role("columnheader", name="Purchase order")
    await header.get_by_role("link").click()
    await expect(header).to_have_attribute("aria-sort", "ascending")
    rising = await numbers(page)
    await header.get_by_role("link").click()
    await expect(header).to_have_attribute("aria-sort", "descending")
    falling = await numbers(page)
    assert rising == sorted(rising) and falling == sorted(falling, reverse=True) and rising != falling


async def test_searching_narrows_the_list_and_clearing_brings_it_back(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await page.goto(ALL)
    wanted = (await numbers(page))[3]
    await page.get_by_role("searchbox").fill(wanted)
    await page.get_by_role("searchbox").press("Enter")
    await expect(page.locator(".fc-row-link")).to_have_count(1)
    assert await numbers(page) == [wanted]
    query = parse_qs(urlsplit(page.url).query)
    assert query["search"] == [wanted] and query["view"] == ["all-purchase-orders"]
    await page.get_by_role("link", name="Clear").click()
    await expect(page.locator(".fc-row-link").nth(5)).to_be_visible()


async def test_pages_follow_each_other_without_repeating(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await page.goto(ALL)
    first = await numbers(page)
    await page.get_by_role("link", name="Next page").click()
    await expect(page.locator(".fc-pager-place")).to_contain_text("Page 2 of")
    second = await numbers(page)
    assert second and not set(first) & set(second)
    await page.get_by_role("link", name="First page").click()
    await expect(page.locator(".fc-row-link").first).to_have_text(first[0])


async def test_an_empty_list_says_what_to_do(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await page.goto(f"{LIST}?search=zzzzzz")
    await expect(page.get_by_role("heading", name="Nothing contains “zzzzzz”")).to_be_visible()
    await page.get_by_role("link", name="Show all").click()
    await expect(page.locator(".fc-row-link").first).to_be_visible()


async def test_a_whole_row_is_its_link(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await page.goto(ALL)
    [number, *_] = await numbers(page)
    await page.locator("tbody tr").first.locator("td").nth(2).click(force=True)
    await expect(page.get_by_role("heading", level=1)).to_contain_text(number)


async def test_details_show_the_lines_of_an_order(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await open_order(page)
    await expect(page.get_by_role("table", name="Lines")).to_be_visible()
    await expect(page.get_by_role("link", name="Confirm delivery")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Breadcrumb")).to_contain_text("Purchase orders")


async def test_a_change_is_saved_and_said_once(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await open_form(page, 1)
    await page.fill(DELIVERY, "2027-04-15")
    await page.fill(REFERENCE, "MY-4711")
    await save(page)
    await expect(page.get_by_role("status").first).to_contain_text("Thank you")
    await expect(page.locator("main")).to_contain_text("Apr 15, 2027")
    await expect(page.locator("main")).to_contain_text("MY-4711")
    assert "notice" not in page.url
    await page.reload()
    await expect(page.locator("main")).not_to_contain_text("Thank you")


async def test_mistakes_take_the_focus_and_lead_to_their_fields(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await open_form(page, 2)
    await page.fill(DELIVERY, "")
    await page.fill(REFERENCE, "KEPT-1")
    await save(page)
    summary = page.get_by_role("alert")
    await expect(summary).to_be_focused()
    await expect(page.locator(DELIVERY)).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(REFERENCE)).to_have_value("KEPT-1")
    await summary.get_by_role("link").click()
    await expect(page.locator(DELIVERY)).to_be_focused()


async def test_two_people_at_one_order_both_see_it_and_the_second_decides(new_page: NewPage, vendor: SignIn) -> None:
    page, other = await new_page(by=vendor), await new_page()
    await sign_in(other, vendor.username, vendor.password)
    url = await open_form(page, 3)
    await other.goto(url)
    await other.fill(DELIVERY, "2027-05-03")
    await save(other)
    await page.fill(DELIVERY, "2027-05-10")
    await save(page)
    await expect(page.get_by_role("heading", name="Somebody else has changed this")).to_be_visible()
    await expect(page.locator(".fc-decide")).to_contain_text("May 3, 2027")
    await expect(page.locator(DELIVERY)).to_have_value("2027-05-10")
    assert await violations(page) == []
    await page.get_by_label("Mine, as above").check()
    await save(page)
    await expect(page.locator("main")).to_contain_text("May 10, 2027")


@pytest.mark.parametrize("script", [True, False])
async def test_nothing_typed_is_lost_when_the_session_has_ended(
    new_page: NewPage, vendor: SignIn, script: bool
) -> None:
    page = await new_page(script=script, by=vendor)
    await open_form(page, 4 + script)
    await page.fill(DELIVERY, "2027-06-07")
    await page.fill(REFERENCE, "LATE-9")
    await end_session(page)
    await save(page)
    await expect(page.get_by_role("heading", name="Please sign in again")).to_be_visible()
    await page.fill("#username", vendor.username)
    await page.fill("#password", vendor.password)
    await page.click("main button[type=submit]")
    await expect(page.locator(REFERENCE)).to_have_value("LATE-9")
    await expect(page.locator("main")).to_contain_text("nothing is saved yet")
    await save(page)
    await expect(page.locator("main")).to_contain_text("Jun 7, 2027")


@pytest.mark.parametrize(("width", "dark"), [(360, False), (1440, True)])
async def test_pages_fit_their_window_and_axe_finds_nothing(
    new_page: NewPage, vendor: SignIn, width: int, dark: bool
) -> None:
    page = await new_page(width=width, dark=dark)
    found = {}

    async def look(name: str) -> None:
        found[name] = [*await violations(page), *([f"{wide} px too wide"] if (wide := await overflow(page)) else [])]

    for path in ("/", "/SignIn", LIST, "/nowhere"):
        await page.goto(path)
        await look(f"{path} (visitor)")
    await sign_in(page, vendor.username, vendor.password)
    for path in ("/", LIST, ALL, f"{LIST}?search=zzzzzz", f"{LIST}?view=x&sort=x", "/sales-orders/", "/my-record/"):
        await page.goto(path)
        await look(path)
    await page.goto("/")
    await page.locator(".fc-nav-narrow summary" if width == 360 else ".fc-person summary").click()
    await look("menu")
    await open_order(page, 6)
    await look("details")
    await open_form(page, 6)
    await look("form")
    await page.fill(DELIVERY, "")
    await save(page)
    await page.locator(DELIVERY).focus()  # out from under the bar of buttons
    await look("form with a mistake")
    assert {name: faults for name, faults in found.items() if faults} == {}


async def test_rows_are_cards_on_a_telephone(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(width=360, by=vendor)
    await page.goto(ALL)
    box = await page.locator("tbody tr").first.bounding_box()
    assert box is not None and box["width"] <= 360 and box["height"] > 100
    await expect(page.get_by_role("row").nth(1)).to_be_visible()
    label = await page.evaluate("getComputedStyle(document.querySelector('tbody td'), '::before').content")
    assert label.strip('"')


async def test_everything_works_without_script(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(width=360, script=False)
    await sign_in(page, vendor.username, vendor.password)
    await page.locator(".fc-nav-narrow summary").click()
    await page.get_by_role("link", name="Purchase orders").first.click()
    await page.get_by_role("link", name="All purchase orders").click()
    wanted = (await numbers(page))[1]
    await page.get_by_role("searchbox").fill(wanted)
    await page.get_by_role("button", name="Search").click()
    await page.locator(".fc-row-link").click()
    await page.get_by_role("link", name="Confirm delivery").click()
    await page.fill(DELIVERY, "2027-07-01")
    await save(page)
    await expect(page.locator("main")).to_contain_text("Jul 1, 2027")
    await page.locator(".fc-person summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("main")).to_contain_text("You are signed out.")


async def test_the_keyboard_reaches_everything_in_order(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await page.emulate_media(reduced_motion="reduce")  # so that the page has scrolled when a key is done
    await page.goto(ALL)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.classList.contains('fc-row-link')"):
            break
    for _ in range(25):  # down the list, past the edge of the window, and up again beneath the header
        await page.keyboard.press("Tab")
        assert await obscured(page) == ""
    for _ in range(25):
        await page.keyboard.press("Shift+Tab")
        assert await obscured(page) == ""
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/details/**")
    await page.locator(".fc-person summary").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    await expect(page.locator(".fc-person summary")).to_be_focused()


async def test_in_a_form_tab_goes_from_field_to_field_and_on_to_its_buttons(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await open_form(page, 7)
    await page.locator(REFERENCE).focus()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.locator(".fc-form-actions button")).to_be_focused()


async def test_somebody_else_is_told_that_the_page_is_not_theirs(new_page: NewPage, customer: SignIn) -> None:
    page = await new_page(by=customer)
    await page.goto(LIST)
    await expect(page.get_by_role("heading", level=1)).to_have_text("This page is not for you")
    assert await violations(page) == []


async def test_a_language_and_a_palette_are_chosen_without_script_and_kept(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(script=False)
    await page.goto("/")
    await page.locator(".fc-languages summary").click()
    await page.get_by_role("link", name="Deutsch").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Willkommen")
    await page.get_by_role("button", name="Dunkel").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.locator("body")).to_have_css("background-color", "rgb(20, 24, 29)")
    await sign_in(page, vendor.username, vendor.password, LIST)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Bestellungen")
    await expect(page.locator("html")).to_have_attribute("lang", "de-DE")
    await expect(page.locator("body")).to_have_css("background-color", "rgb(20, 24, 29)")
    await page.emulate_media(media="print")
    await expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    await expect(page.locator(".fc-palette")).to_be_hidden()


async def test_a_printed_list_is_its_rows(new_page: NewPage, vendor: SignIn) -> None:
    page = await new_page(by=vendor)
    await page.goto(LIST)
    await page.emulate_media(media="print")
    await expect(page.locator(".fc-search")).to_be_hidden()
    await expect(page.locator(".fc-pager")).to_be_hidden()
    await expect(page.locator(".fc-row-link").first).to_be_visible()
