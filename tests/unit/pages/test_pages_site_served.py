"""A site of either data model is served as it was downloaded: pages by language, files, redirects, page rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from pages_browser import Browser

from forecourt.pages.site import load_site
from support.portal import Preview, preview
from support.sites import ENHANCED, PICTURE, STANDARD, write


@pytest.fixture(params=["standard", "enhanced"])
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> Preview:
    models: Mapping[str, Mapping[str, str | bytes]] = {"standard": STANDARD, "enhanced": ENHANCED}
    folder = tmp_path if request.param == "standard" else tmp_path / ".powerpages-site"
    write(folder, models[request.param])
    return preview(load_site(tmp_path))


async def get(shown: Preview, path: str, language: str = "en") -> httpx.Response:
    transport = httpx.ASGITransport(app=shown.portal, client=("192.0.2.7", 1))
    async with Browser(transport=transport, base_url="http://portal.example") as browser:
        answer = await browser.get(path, headers={"accept-language": language}, follow_redirects=False)
    assert not shown.faults
    return answer


async def test_a_page_is_served_in_the_visitors_language(shown: Preview) -> None:
    assert "<h1>Welcome</h1>" in (await get(shown, "/")).text
    assert "<h1>Willkommen</h1>" in (await get(shown, "/", "de")).text


async def test_a_web_file_is_served_with_its_bytes(shown: Preview) -> None:
    answer = await get(shown, "/terms.pdf")
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "application/pdf"


async def test_a_redirect_is_followed_to_a_page_whose_own_rules_hold(shown: Preview) -> None:
    answer = await get(shown, "/Old-Orders")
    assert (answer.status_code, answer.headers["location"]) == (301, "/orders/")
    assert (await get(shown, "/orders/")).status_code in {302, 303, 401, 403}
    answer = await get(shown, "/lost/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/page-not-found/")


async def test_style_and_script_of_a_page_are_files_that_it_links_for_who_may_open_it(tmp_path: Path) -> None:
    home, orders = "web-pages/home/content-pages/Home.en-US.webpage.custom", "web-pages/orders/Orders.webpage.custom"
    own = {f"{home}_css.css": "h1 { color: red }", f"{home}_javascript.js": "window.ours = 1"}
    hidden = {f"{orders}_javascript.js": "window.secret = 1", f"{orders}_css.css": "/* {{ user.id }} */"}
    write(tmp_path, {**STANDARD, **own, **hidden})
    site = load_site(tmp_path)
    shown = preview(site)
    linked = re.findall(r'"(/_layout/page/[^"]+)"', (await get(shown, "/")).text)
    answers = {path.rpartition(".")[2]: await get(shown, path) for path in linked}
    assert {kind: answer.text for kind, answer in answers.items()} == {
        "css": "h1 { color: red }",
        "js": "window.ours = 1",
    }
    assert answers["js"].headers["content-type"].startswith("text/javascript")
    page = next(page for page in site.pages.values() if page.path == "/orders/")
    [code] = page.contents
    assert page.contents[code].script and not page.contents[code].style
    for path in (
        f"{page.id}/{code}.js",
        f"{page.id}/{code}.css",
        "x/en-US.js",
        f"{page.id}/xx.js",
        f"{page.id}/{code}.txt",
    ):
        assert (await get(shown, f"/_layout/page/{path}")).status_code == 404


async def test_a_page_that_is_not_published_is_not_served(shown: Preview) -> None:
    assert (await get(shown, "/orders/details/lines/")).status_code in {302, 303, 401, 403, 404}
