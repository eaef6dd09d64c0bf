"""The examples of the how-to about web templates, on the sample company's site: each works as it is printed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from pages_browser import Browser

from forecourt.pages.site import PageContent
from forecourt.pages.site.definitions import (
    WebTemplate,
)
from support.portal import ORDERS, contoso, preview, row_id

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "write-a-web-template.md"
BLOCKS = re.findall(r"^```liquid\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
SHOWN = (
    "PO-001001</a>",
    "<td>PO-001052</td>",
    "Good day, Anna Berg, of Northwind Bearings Inc..",
    '<section class="frame"></section>\nNo news.',
    '<section class="frame"><p>Home</p></section>\nNo news.',
)


@pytest.mark.parametrize(("number", "shown"), list(enumerate(SHOWN)))
async def test_every_example_works(number: int, shown: str) -> None:
    site = contoso().site
    assert site is not None and site.home is not None and len(BLOCKS) == len(SHOWN)
    home = replace(site.home, contents={site.language: PageContent("Home", BLOCKS[number])})
    frame = WebTemplate(UUID(int=1), "Frame", BLOCKS[3])
    settings = {**site.settings, "Liquid/ShowErrors": "true"}
    pages = {**site.pages, home.id: home}
    portal = preview(replace(site, pages=pages, settings=settings, web_templates={frame.id: frame})).portal
    transport = httpx.ASGITransport(app=portal, client=("192.0.2.7", 1))
    async with Browser(transport=transport, base_url="http://portal.example") as browser:
        await browser.sign_in("vendor")
        text = (await browser.get(f"/?id={row_id(ORDERS, 4)}")).text
    assert shown in text and "A part of this page cannot be shown" not in text
