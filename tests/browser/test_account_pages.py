"""Registration, a new password and the account in a real browser: at both widths, by keyboard, without script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from portal_pages import NewPage, overflow, violations

from forecourt.store.embedded import EmbeddedServer
from support.mailbox import Mailbox, link_in, mailbox
from support.server import serving
from support.small_portal import SmallSite, small_portal

SETTINGS = {"Authentication/Registration/OpenRegistrationEnabled": "true"}


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


@pytest.fixture
def portal_url(postgres: EmbeddedServer, tmp_path: Path, box: Mailbox) -> Iterator[str]:
    """A small portal that is open for registration."""

    @asynccontextmanager
    async def start(settings):  # type: ignore[no-untyped-def]
        async with small_portal(postgres, tmp_path, SmallSite(settings=SETTINGS), box.settings) as portal:
            yield portal.site

    with serving(start) as url:
        yield url


@pytest.mark.parametrize(("width", "script"), [(360, False), (1440, True)])
async def test_a_person_registers_and_looks_after_the_account(
    new_page: NewPage, box: Mailbox, width: int, script: bool
) -> None:
    page = await new_page(width=width, script=script)
    found: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        wide = await overflow(page) if script else 0
        found[name] = [*(await violations(page) if script else []), *([f"{wide} px too wide"] if wide else [])]

    await page.goto("/SignIn")
    await look("sign-in")
    await page.get_by_role("link", name="Register").click()
    await look("register")
    await page.get_by_label("E-mail").press_sequentially("ada@example.com")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Look into your mail").wait_for()
    await look("sent")
    await page.goto(link_in(await box.arrived(1)))
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
    await page.get_by_label("E-mail").fill("ada@example.com")
    await page.get_by_role("button", name="Send me the link").click()
    await page.get_by_role("heading", name="Look into your mail").wait_for()
    await page.goto(link_in(await box.arrived(2)))
    await look("reset")
    await page.get_by_label("New password").fill("Third-horse-3")
    await page.get_by_role("button", name="Set password").click()
    await page.get_by_text("Your new password is set").wait_for()
    await page.go_back()
    await page.reload()
    assert not {name: faults for name, faults in found.items() if faults}
