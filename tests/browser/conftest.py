"""A browser, and the people who use the sample company's portal in it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from portal_pages import SESSION, NewPage, SignIn, sign_in

# A browser, a server and a database share two cores with other tests: what is expected comes, but not at once.
expect.set_options(timeout=20_000)

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def vendor(portal_people: dict[str, tuple[str, str]]) -> SignIn:
    """Anna Berg, who has more purchase orders than a page shows."""
    return SignIn(*portal_people["vendor"])


@pytest.fixture(scope="session")
def customer(portal_people: dict[str, tuple[str, str]]) -> SignIn:
    return SignIn(*portal_people["customer"])


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    path = os.environ.get("FORECOURT_CHROMIUM") or "/usr/bin/chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def signed_in() -> dict[str, dict[str, Any]]:
    """The cookies of sessions, by the portal's address and user name."""
    return {}


@pytest.fixture
def sessions(signed_in: dict[str, dict[str, Any]], portal_url: str) -> dict[str, Any]:
    """The cookie of a session at ``portal_url`` by user name. Nobody ends one: who signs out signs in alone."""
    return signed_in.setdefault(portal_url, {})


@pytest.fixture
async def new_page(chromium: Browser, portal_url: str, sessions: dict[str, Any]) -> AsyncIterator[NewPage]:
    """Opens a page of the portal in a context of its own: ``new_page(by=vendor, width=360, dark=True, script=False)``.
    ``by``: who is signed in already.

    What the browser complains about (a blocked script, an exception) fails the test; refusals of the server do not.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    async def open_page(width: int = 1440, dark: bool = False, script: bool = True, by: SignIn | None = None) -> Page:
        context = await chromium.new_context(
            base_url=portal_url,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            locale="en-US",
        )
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if _complains(message.text) else None)
        if by is not None and by.username in sessions:
            await context.add_cookies([sessions[by.username]])
        elif by is not None:
            await sign_in(page, by.username, by.password)
            [sessions[by.username]] = [item for item in await context.cookies() if item.get("name") == SESSION]
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not complaints


def _complains(text: str) -> bool:
    return "Content Security Policy" in text or "Uncaught" in text
