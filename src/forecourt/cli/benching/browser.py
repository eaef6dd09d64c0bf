"""What a person sees of a page: Chromium on a slow connection, nothing in its cache.

Milliseconds until the first contentful paint, bytes that came over the wire, and the layout shift score
(https://web.dev/articles/cls), each page in a fresh profile.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import click

#: Of the connection: bits per second down and up, and milliseconds for each round trip ("slow 4G").
DOWN, UP, ROUND_TRIP = 1_600_000, 750_000, 150

#: Pixels: a telephone and a desk.
SIZES = ((360, 800), (1440, 900))

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

_SHIFTS = """
    window.shift = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
    }).observe({type: 'layout-shift', buffered: true});
"""
_PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length > 0"
_FOUND = """() => ({
    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    weight: [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .reduce((sum, entry) => sum + entry.transferSize, 0),
    parts: 1 + performance.getEntriesByType('resource').length,
    shift: window.shift,
})"""


@dataclass(frozen=True)
class Look:
    """``paint`` in ms, ``weight`` in bytes, in so many ``parts`` (requests)."""

    page: str
    width: int
    paint: float
    weight: int
    parts: int
    shift: float


def program() -> str:
    """Chromium's path. Raises ClickException."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("FORECOURT_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        raise click.ClickException("No Chromium was found: set FORECOURT_CHROMIUM to the path of one, or --no-browser.")
    return found


def looks(origin: str, paths: Mapping[str, str], cookie: str, times: int) -> list[Look]:
    """Every page at every size, the median of some ``times``. ``cookie``: name=value, of who is signed in.

    Raises ClickException without Playwright or Chromium.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise click.ClickException("Playwright is not installed: make setup, or --no-browser.") from None
    name, _, value = cookie.partition("=")
    found: list[Look] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program(), args=_ARGUMENTS)
        for width, height in SIZES:
            for page_name, path in paths.items():
                taken = []
                for _ in range(times):
                    context = chromium.new_context(viewport={"width": width, "height": height}, locale="en-US")
                    context.add_cookies([{"name": name, "value": value, "url": origin}])
                    page = context.new_page()
                    page.add_init_script(_SHIFTS)
                    session = context.new_cdp_session(page)
                    session.send("Network.enable")
                    session.send(
                        "Network.emulateNetworkConditions",
                        {
                            "offline": False,
                            "latency": ROUND_TRIP,
                            "downloadThroughput": DOWN / 8,
                            "uploadThroughput": UP / 8,
                        },
                    )
                    page.goto(origin + path, wait_until="networkidle")
                    page.wait_for_function(_PAINTED)
                    taken.append(page.evaluate(_FOUND))
                    context.close()
                found.append(
                    Look(
                        page_name,
                        width,
                        median(item["paint"] for item in taken),
                        max(item["weight"] for item in taken),
                        max(item["parts"] for item in taken),
                        max(item["shift"] for item in taken),
                    )
                )
        chromium.close()
    return found
