"""Fixtures for tests of pages: a site folder, and a portal over rows in memory with a browser that signs in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pages_browser import Browser
from pages_site_folder import Folder

from support.portal import Preview, preview


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def shown() -> Preview:
    return preview()


@pytest.fixture
async def browser(shown: Preview) -> AsyncIterator[Browser]:
    transport = httpx.ASGITransport(app=shown.portal, client=("192.0.2.7", 1))
    async with Browser(transport=transport, base_url="http://portal.example") as client:
        yield client
