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

#: Width, height and palette of each picture, and the page that it shows; with * the first row of a list.
PICTURES = (
    ("purchase-orders", 1280, 800, "light", "/purchase-orders/"),
    ("purchase-orders-dark", 1280, 800, "dark", "/purchase-orders/"),
    ("purchase-orders-phone", 390, 760, "light", "/purchase-orders/"),
    ("home", 1280, 800, "light", "/"),
    ("order-german", 1280, 900, "light", "/purchase-orders/*"),
    ("response", 1280, 900, "light", "/orders-for-review/*"),
)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def demo() -> Iterator[tuple[str, str, str]]:
    """A demo: its address, and the user name and password of the first vendor that it prints."""
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
            found = re.search(r"^  (\S+@\S+) +(\S+) +.*vendor", "".join(said), re.MULTILINE | re.IGNORECASE)
            if found is None:
                raise SystemExit("The demo printed no sign-in of a vendor:\n" + "".join(said))
            yield f"http://127.0.0.1:{port}", found.group(1), found.group(2)
        finally:
            process.terminate()
            process.wait(30)


async def shoot(address: str, name: str, password: str) -> None:
    """Takes the pictures."""
    async with async_playwright() as playwright:
        path = os.environ.get("FORECOURT_CHROMIUM") or "/usr/bin/chromium"
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for picture, width, height, palette, path in PICTURES:
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
    with demo() as (address, name, password):
        asyncio.run(shoot(address, name, password))
    return 0


if __name__ == "__main__":
    sys.exit(main())
