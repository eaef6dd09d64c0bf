"""The page of an audit: it fits a phone and a desk, by day and by night, and axe finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser
from portal_pages import overflow, violations

from forecourt.cli.auditing.page import as_html
from forecourt.security.audit import Finding, Report

pytestmark = pytest.mark.browser

LONG = "mserp_purchpurchaseorderheaderv2entity_" * 3


def report() -> Report:
    rows = [
        Finding("FC7001", f"{n} rows of {LONG} can be read at /data", f"rule {LONG}", LONG, f"anna{n}@parts.example", n,
                f"{LONG}={n}", f"operations/entities/{LONG}.yaml:{n}")
        for n in range(1, 30)
    ]  # fmt: skip
    others = [Finding(code, f"something of {code}", "a rule", LONG) for code in ("FC7000", "FC7006", "FC7012")]
    return Report((*rows, *others), 29, 400, 3, (), (rows[0],), (("x", f"gone {LONG}"),))


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_the_page_fits_and_axe_finds_nothing(chromium: Browser, tmp_path: Path, width: int, dark: bool) -> None:
    file = tmp_path / "audit.html"
    file.write_text(as_html(report()), "utf-8")
    context = await chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    try:
        page = await context.new_page()
        await page.goto(file.as_uri())
        assert await overflow(page) <= 0
        assert await violations(page) == []
        assert await page.locator("h1").inner_text() == "32 findings"
        await page.emulate_media(media="print")
        assert await page.locator(".cards li").first.is_visible()
    finally:
        await context.close()
