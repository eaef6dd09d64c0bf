"""Makes the pictures of `docs/images` anew: the sample company's portal, served as the demo, in the system's Chromium.

    FORECOURT_CHROMIUM=$(sh scripts/chromium.sh) .venv/bin/python scripts/pictures.py

A demo of its own is started in a temporary folder; its sign-ins are read from what it prints.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"

#: Width, height and palette of each picture, whose portal it is, and the page that it shows; with * the first row of a
#: list.
PICTURES = (
    ("purchase-orders", 1280, 800, "light", "vendor", "/purchase-orders/"),
    ("purchase-orders-dark", 1280, 800, "dark", "vendor", "/purchase-orders/"),
    ("purchase-orders-phone", 360, 760, "light", "vendor", "/purchase-orders/"),
    ("home", 1280, 800, "light", "vendor", "/"),
    ("order-german", 1280, 900, "light", "vendor", "/purchase-orders/*"),
    ("response", 1280, 900, "light", "vendor", "/orders-for-review/*"),
    ("leave", 1280, 800, "light", "worker", "/leave/?view=all-requests"),
    ("ask-for-leave-phone", 360, 760, "light", "worker", "/leave/new/"),
    ("order-wizard", 1280, 900, "light", "customer", "/orders/new/"),
    ("order-wizard-phone", 360, 760, "light", "customer", "/orders/new/"),
    ("order-lines", 1280, 900, "light", "customer", "/orders/*"),
)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def demo() -> Iterator[tuple[str, dict[str, tuple[str, str]]]]:
    """A demo: its address, and the user name and password of the first person of each role that it prints."""
    with tempfile.TemporaryDirectory(prefix="forecourt-pictures-") as folder:
        port = free_port()
        command = [str(Path(sys.executable).parent / "forecourt"), "demo", "--port", str(port), "--data", folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            said: list[str] = []
            for line in process.stdout or ():
                said.append(line)
                if line.startswith("Serving "):
                    break
            people = {role: _sign_in("".join(said), role) for role in {picture[4] for picture in PICTURES}}
            yield f"http://127.0.0.1:{port}", people
        finally:
            process.terminate()
            process.wait(30)


def _sign_in(said: str, role: str) -> tuple[str, str]:
    """User name and password of the first person of a role."""
    found = re.search(rf"^  (\S+@\S+) +(\S+) +.*{role}", said, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise SystemExit(f"The demo printed no sign-in of a {role}:\n{said}")
    return found.group(1), found.group(2)


async def shoot(address: str, people: dict[str, tuple[str, str]]) -> None:
    """Takes the pictures."""
    async with async_playwright() as playwright:
        path = os.environ.get("FORECOURT_CHROMIUM") or "/usr/bin/chromium"
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for picture, width, height, palette, role, path in PICTURES:
            name, password = people[role]
            page = await opened(browser, address, (width, height), palette, "de-DE" if "german" in picture else "en-US")
            await page.goto("/SignIn")
            await page.fill("#username", name)
            await page.fill("#password", password)
            await page.click("main button[type=submit]")
            await page.wait_for_load_state()
            await page.goto(path.rstrip("*"))
            if path.endswith("*"):
                await page.locator(".fc-row-link").first.click()
                await page.wait_for_url(re.compile(r"[?&]id="))
            await page.wait_for_load_state("networkidle")
            await page.screenshot(path=IMAGES / f"{picture}.png")
            await page.context.close()
            print(f"docs/images/{picture}.png")
        await browser.close()


async def opened(browser: Browser, address: str, size: tuple[int, int], palette: str, language: str) -> Page:
    """A page of the portal in a context of its own."""
    scheme = "dark" if palette == "dark" else "light"
    context = await browser.new_context(
        base_url=address,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=language,
    )
    return await context.new_page()


def main() -> int:
    """Makes them all."""
    with demo() as (address, people):
        asyncio.run(shoot(address, people))
    return 0


if __name__ == "__main__":
    sys.exit(main())
