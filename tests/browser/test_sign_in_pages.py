"""A second factor and a sign-in provider in a real browser, at both widths: set up, sign in, connect, sign out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pyotp
import pytest
from portal_pages import NewPage, overflow, violations

from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support.providers import person_at, stock_provider
from support.server import serving
from support.small_portal import SmallSite, small_portal

RULES = {
    "Authentication/Registration/OpenRegistrationEnabled": "true",
    "Authentication/Registration/TwoFactorEnabled": "true",
}
PASSWORD = "Correct-horse-1"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with stock_provider() as address:
        yield address


@pytest.fixture
def portal_url(postgres: EmbeddedServer, tmp_path: Path, issuer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small portal with the provider, and an account of Ann's."""
    monkeypatch.setenv("ACME_SECRET", "the portal's secret")
    keys = {
        "Authority": issuer,
        "ClientId": "portal",
        "ClientSecret": "${ACME_SECRET}",
        "Scope": "openid profile email",
        "Caption": "Acme staff",
    }
    provider = {f"Authentication/OpenIdConnect/acme/{key}": value for key, value in keys.items()}
    provider["Authentication/OpenIdConnect/acme/ExternalLogoutEnabled"] = "true"

    @asynccontextmanager
    async def start(settings: Settings):  # type: ignore[no-untyped-def]
        async with small_portal(postgres, tmp_path, SmallSite(settings={**RULES, **provider}), settings) as portal:
            ann = await portal.person("ann")
            account = await portal.site.forecourt.accounts.find("ann")
            assert account is not None and ann.username == "ann"
            await portal.site.forecourt.accounts.set_password(account.id, PASSWORD)
            yield portal.site

    with serving(start) as url:
        yield url


def code_of(key: str, steps: int = 0) -> str:
    return pyotp.TOTP(key.replace(" ", "")).at(dt.datetime.now(dt.UTC), counter_offset=steps)


@pytest.mark.parametrize("width", [360, 1440])
async def test_a_person_protects_an_account_and_signs_in_by_code_and_by_provider(
    new_page: NewPage, issuer: str, width: int
) -> None:
    await person_at(issuer, "ada", email="ada@acme.example", email_verified=True, name="Ada Byron")
    page = await new_page(width=width)
    found: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        wide = await overflow(page)
        found[name] = [*(await violations(page)), *([f"{wide} px too wide"] if wide else [])]

    async def sign_in() -> None:
        await page.goto("/SignIn")
        await page.get_by_label("User name or e-mail").fill("ann")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in", exact=True).click()

    await page.goto("/SignIn")
    await look("sign-in")
    await sign_in()
    await page.goto("/Account/Manage")
    await look("account")
    await page.get_by_role("link", name="Second factor: off").click()
    await look("second factor off")
    await page.get_by_role("button", name="Set up").click()
    key = await page.locator(".fc-code").inner_text()
    await page.get_by_role("img", name="QR code with the key below").wait_for()
    await look("set up")
    await page.get_by_role("textbox", name="Code", exact=True).fill("000000" if code_of(key) != "000000" else "000001")
    await page.get_by_role("button", name="Turn on").click()
    await page.get_by_text("The code is not right").wait_for()
    await page.get_by_role("textbox", name="Code", exact=True).fill(code_of(key, -1))
    await page.get_by_role("button", name="Turn on").click()
    await page.get_by_text("they are shown this once").wait_for()
    await look("recovery codes")
    recovery = await page.locator(".fc-codes .fc-code").first.inner_text()
    await page.goto("/Account/Manage/ChangeTwoFactor")
    await look("second factor on")
    await page.context.clear_cookies()
    await sign_in()
    await page.get_by_role("heading", name="Enter your code").wait_for()
    await look("code")
    await page.keyboard.press("Tab")
    await page.get_by_role("textbox", name="Code", exact=True).fill(code_of(key))
    await page.keyboard.press("Enter")
    await page.get_by_text("ann", exact=True).first.wait_for()
    await page.context.clear_cookies()
    await sign_in()
    await page.get_by_role("textbox", name="Code", exact=True).fill(recovery)
    await page.get_by_role("button", name="Sign in").click()
    await page.goto("/Account/Manage/ChangeLogin")
    await look("providers")
    await page.context.clear_cookies()
    await page.goto("/SignIn?returnUrl=/Account/Manage/ChangeLogin")
    await page.get_by_role("button", name="Continue with Acme staff").click()
    await page.wait_for_url(f"{issuer}/**")
    await page.locator("input[name=sub]").first.fill("ada")
    await page.get_by_role("button", name="Authorize").first.click()
    await page.get_by_role("button", name="Disconnect").wait_for()
    await look("connected")
    await page.get_by_role("button", name="Disconnect").click()
    await page.get_by_text("You sign in this way alone").wait_for()
    await look("not disconnected")
    await page.goto("/Account/Login/LogOff")
    await page.locator("main").get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{issuer}/**")
    assert not {name: faults for name, faults in found.items() if faults}
