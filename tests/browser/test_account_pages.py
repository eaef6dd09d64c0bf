"""Registration, a new password, the account, the profile and the second factor in a real browser: at both widths, by
keyboard, without script."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from contextlib import asynccontextmanager

import pyotp
import pytest
import yaml
from playwright.async_api import Page
from portal_pages import NewPage, overflow, violations

from forecourt.security.rules import Scope
from forecourt.store.embedded import EmbeddedServer
from forecourt.web.translation import translations
from support import contoso
from support.mailbox import Mailbox, link_in, mailbox
from support.server import serving
from support.small_portal import PROFILE_FORM, Permission, SmallSite, id_of, small_portal

SETTINGS = {
    "Authentication/Registration/OpenRegistrationEnabled": "true",
    "Authentication/Registration/TwoFactorEnabled": "true",
}


#: The maker's profile page: the built-in form of contacts, for oneself.
PROFILE: dict[str, object] = {
    "basic-forms/profile/Profile.basicform.yml": PROFILE_FORM,
    "web-pages/profile/Profile.webpage.yml": {
        "adx_webpageid": id_of("page", "Profile"),
        "adx_name": "Profile",
        "adx_partialurl": "profile",
        "adx_isroot": True,
        "adx_publishingstateid": id_of("state", "Published"),
        "adx_entityform": id_of("form", "profile"),
    },
}


def spoken() -> dict[str, object]:
    """The languages of the sample company's site."""
    site = contoso.ROOT / "site"
    found: dict[str, object] = {
        name: yaml.safe_load((site / name).read_text("utf-8"))
        for name in ("websitelanguage.yml", ".portalconfig/portallanguage.yml")
    }
    first, *_ = found["websitelanguage.yml"]  # type: ignore[misc]
    for item in found["websitelanguage.yml"]:  # type: ignore[attr-defined]
        del item["adx_publishingstate"]
    default = first["adx_websitelanguageid"]
    website = {"adx_websiteid": id_of("site", "small"), "adx_name": "Small", "adx_defaultlanguage": default}
    return {**found, "website.yml": website}


@pytest.fixture(scope="module")
def box() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


@pytest.fixture(scope="module")
def portal_url(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, box: Mailbox) -> Iterator[str]:
    """A small portal that is open for registration."""

    @asynccontextmanager
    async def start(settings):  # type: ignore[no-untyped-def]
        oneself = Permission("oneself", "contact", Scope.SELF, "rw", roles=("Authenticated Users",))
        more = {**spoken(), **PROFILE}
        site = SmallSite(permissions=(oneself,), markers={"Profile": "Profile"}, settings=SETTINGS, more=more)
        async with small_portal(postgres, tmp_path_factory.mktemp("account"), site, box.settings) as portal:
            assert portal.site.forecourt.sender is not None
            sending = asyncio.create_task(portal.site.forecourt.sender.run())
            yield portal.site
            sending.cancel()
            await asyncio.wait({sending})

    with serving(start) as url:
        yield url


@pytest.mark.parametrize(("width", "script"), [(360, False), (1440, True)])
async def test_a_person_registers_and_looks_after_the_account(
    new_page: NewPage, box: Mailbox, width: int, script: bool
) -> None:
    page, before, email = await new_page(width=width, script=script), len(box.letters), f"ada-{width}@example.com"
    found: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        wide = await overflow(page) if script else 0
        found[name] = [*(await violations(page) if script else []), *([f"{wide} px too wide"] if wide else [])]

    await page.goto("/SignIn")
    await look("sign-in")
    await page.get_by_role("link", name="Register").click()
    await look("register")
    await page.get_by_label("E-mail").press_sequentially(email)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Look into your mail").wait_for()
    await look("sent")
    await page.goto(link_in(await box.arrived(before + 1)))
    await look("confirm")
    await page.get_by_label("First name").fill("Ada")
    await page.get_by_label("Last name").fill("Byron")
    await page.get_by_label("New password").fill("Correct-horse-1")
    await page.get_by_role("button", name="Register").click()
    await page.get_by_text("Your account is made").wait_for()
    await page.goto("/Account/Manage")
    await look("account")
    assert await page.get_by_text("(this device)").count() == 1
    await page.get_by_role("link", name="Change password").click()
    await look("change password")
    await page.get_by_label("Current password").fill("wrong")
    await page.get_by_label("New password").fill("Another-horse-2")
    await page.get_by_role("button", name="Change password").click()
    await page.get_by_text("current password is not right").wait_for()
    await look("not changed")
    await page.goto("/Account/Manage")
    await page.get_by_role("button", name="Sign out on all devices").click()
    await page.get_by_text("signed out on all devices").wait_for()
    await page.get_by_role("link", name="Forgotten your password?").click()
    await look("forgotten")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_role("button", name="Send me the link").click()
    await page.get_by_role("heading", name="Look into your mail").wait_for()
    await page.goto(link_in(await box.arrived(before + 2)))
    await look("reset")
    await page.get_by_label("New password").fill("Third-horse-3")
    await page.get_by_role("button", name="Set password").click()
    await page.get_by_text("Your new password is set").wait_for()
    await page.go_back()
    await page.reload()
    assert not {name: faults for name, faults in found.items() if faults}


async def english(page: Page, language: str) -> list[str]:
    """The lines of a page that are the English words of something that the language has words for; not the site's own
    page, which is called Home."""
    words = translations(language)
    lines = {line.strip() for line in (await page.locator("body").inner_text()).splitlines()}
    return sorted(line for line in lines - {"Home"} if line and words.gettext(line) not in (line, ""))


@pytest.mark.parametrize("language", ["de", "fr"])
async def test_account_pages_speak_german_and_french_and_fit_a_phone(
    new_page: NewPage, box: Mailbox, language: str
) -> None:
    page, before, email = await new_page(width=360), len(box.letters), f"ada-{language}@example.com"
    found: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        wide = await overflow(page)
        faults = [*await violations(page), *await english(page, language)]
        found[name] = [*faults, *([f"{wide} px too wide"] if wide else [])]
        assert (await page.locator("html").get_attribute("lang") or "").startswith(language), name

    async def fill(path: str, **fields: str) -> None:
        """Types into the form by name, and sends it by keyboard."""
        if path:
            await page.goto(path)
        for name, text in fields.items():
            await page.locator(f"main [name={name}]").fill(text)
        await page.evaluate("document.querySelectorAll('form').forEach(form => form.noValidate = true)")
        async with page.expect_navigation():
            await page.keyboard.press("Enter")

    await page.goto(f"/SignIn?lang={language}-{language.upper()}")
    await look("sign-in")
    await fill("", username="nobody", password="Wrong-horse-1")
    await look("not signed in")
    await page.goto("/Account/Login/Register")
    await look("register")
    await fill("", email="ada")
    await look("no address")
    await fill("", email=email)
    await look("sent")
    letter = await box.arrived(before + 1)
    assert "Finish" not in str(letter["Subject"])
    await page.goto(link_in(letter))
    await look("confirm")
    await fill("", firstname="Ada", lastname="Byron", password="short")
    await look("not confirmed")
    await fill("", firstname="Ada", lastname="Byron", password="Correct-horse-1")
    for path in ("/?notice=registered", "/Account/Manage", "/Account/Manage/ChangePassword"):
        await page.goto(path)
        await look(path)
    await fill("", current="wrong", password="Another-horse-2")
    await look("not changed")
    await page.goto("/Account/Manage/ChangeTwoFactor")
    await look("second factor")
    await page.locator("main form button[type=submit]").first.click()
    await page.locator("main [name=code]").wait_for()
    await look("second factor, set up")
    await fill("", code="000000")
    await look("no such code")
    key = (await page.locator("main .fc-code").inner_text()).replace(" ", "")
    await fill("", code=pyotp.TOTP(key).at(dt.datetime.now(dt.UTC), counter_offset=-1))
    await page.locator(".fc-codes").wait_for()
    await look("recovery codes")
    await page.goto("/Account/Manage/ChangeTwoFactor")
    await look("second factor, on")
    await page.goto("/profile/")
    await look("profile")
    await fill("", firstname="Augusta")
    await look("profile, kept")
    await page.reload()
    assert await page.locator("main [name=firstname]").input_value() == "Augusta"
    await page.context.clear_cookies()
    await page.goto(f"/SignIn?lang={language}-{language.upper()}")
    await fill("", username=email, password="Correct-horse-1")
    await page.locator("main [name=code]").wait_for()
    await look("code")
    await fill("", code="000000")
    await look("another code")
    await fill("", code=pyotp.TOTP(key).at(dt.datetime.now(dt.UTC)))
    await page.goto("/Account/Login/ForgotPassword")
    await look("forgotten")
    await fill("", email=email)
    await look("sent again")
    await page.goto(link_in(await box.arrived(before + 2)))
    await look("reset")
    assert not {name: faults for name, faults in found.items() if faults}
