"""What browser tests of the portal share: signing in, and checks that hold for every page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import asyncpg
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

LIST = "/purchase-orders/"
ALL = "/purchase-orders/?view=all-purchase-orders"
DELIVERY = "#f-mserp_confirmeddeliverydate"
REFERENCE = "#f-mserp_vendororderreference"
SESSION = ".AspNet.ApplicationCookie"

#: Read from its package once.
AXE = Axe()

#: ``new_page(width=360, dark=True, script=False)``
NewPage = Callable[..., Coroutine[Any, Any, Page]]


@dataclass(frozen=True)
class SignIn:
    username: str
    password: str


async def sign_in(page: Page, username: str, password: str, to: str = "/") -> None:
    """Signs in by the form, and goes on to ``to``."""
    await page.goto("/SignIn")
    await page.fill("#username", username)
    await page.fill("#password", password)
    await page.click("main button[type=submit]")
    await page.wait_for_load_state()
    await page.goto(to)


async def open_order(page: Page, number: int = 0) -> str:
    """Opens the details of the n-th order of the list of all orders; gives the address."""
    await page.goto(ALL)
    await page.locator(".fc-row-link").nth(number).click()
    await page.wait_for_url("**/details/**")
    return page.url


async def open_form(page: Page, number: int = 0) -> str:
    """Opens the form by which the n-th order's delivery is confirmed; gives the address."""
    await open_order(page, number)
    await page.click(".fc-head a.btn-primary")
    await page.wait_for_url("**/confirm/**")
    return page.url


async def save(page: Page) -> None:
    await page.click(".fc-form-actions button")
    await page.wait_for_load_state()


async def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    width: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


async def violations(page: Page) -> list[str]:
    """What axe finds, the size of targets (WCAG 2.2) included: rule, help and place."""
    options = {"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations"]}
    result: dict[str, Any] = (await AXE.run(page, options=options)).response
    assert result["passes"], "axe has looked at nothing"
    return [
        f"{found['id']}: {found['help']}: {node['target']}" for found in result["violations"] for node in found["nodes"]
    ]


async def obscured(page: Page) -> str:
    """The element that has the focus, where something else lies upon it; '' where it is seen (WCAG 2.2, 2.4.11)."""
    found: str = await page.evaluate(
        """() => {
          const item = document.activeElement, box = item.getBoundingClientRect();
          const seen = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
          return seen && (item.contains(seen) || seen.contains(item)) ? "" : item.outerHTML.slice(0, 200);
        }"""
    )
    return found


async def end_session(page: Page) -> None:
    """The browser keeps a cookie whose session is no more, as after a night."""
    [cookie] = [item for item in await page.context.cookies() if item.get("name") == SESSION]
    await page.context.clear_cookies(name=SESSION)
    fields: Any = {**cookie, "value": "9" * 43}
    await page.context.add_cookies([fields])


async def rows_of(database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of a statement, by plain SQL. ``database``: its address."""
    connection = await asyncpg.connect(database)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()
