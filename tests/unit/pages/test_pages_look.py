"""How pages look and where they lead: themes, header and footer, navigation, maps for search engines, caches."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from defusedxml.ElementTree import fromstring
from pages_browser import Browser

from forecourt.pages.languages import IN_URL
from forecourt.pages.site import LinkSet, PageRight, PageRule, RuleScope, Site, WebFile, WebLink
from forecourt.pages.site.definitions import (
    PageTemplate,
    TemplateKind,
    WebTemplate,
)
from forecourt.web import theme
from support.portal import NAMESPACE, ORDERS, Preview, contoso, preview

LOCATION = "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"


def made(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


def changed(**changes: Any) -> Site:
    """The sample company's site with other fields."""
    site = contoso().site
    assert site is not None
    return replace(site, **changes)


def page_id(path: str) -> UUID:
    page = changed().page_at(path)
    assert page is not None
    return page.id


@asynccontextmanager
async def visiting(shown: Preview) -> AsyncIterator[Browser]:
    transport = httpx.ASGITransport(app=shown.portal, client=("192.0.2.7", 1))
    async with Browser(transport=transport, base_url="http://portal.example") as browser:
        yield browser
    assert not shown.faults


async def text_of(site: Site, path: str = "/", *, signed_in: bool = False, **headers: str) -> str:
    async with visiting(preview(site)) as browser:
        if signed_in:
            await browser.sign_in()
        return (
            await browser.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        ).text


# -- themes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accent", ["", "#ffff00", "#0f6b5c", "#000000", "#ffffff", "#3366ff", "#c8102e", "red;}*{"])
def test_every_pair_of_colours_can_be_read_in_light_and_dark(accent: str) -> None:
    assert theme.from_settings({"Theme/Accent": accent}).faults == ()


def test_a_maker_sets_tokens_and_what_cannot_be_read_is_named() -> None:
    settings = {"theme/token/Radius": "2px", "Theme/Light/page": "#fff8e7", "Theme/Dark/quiet": "#333333"}
    made = theme.from_settings({**settings, "Theme/Token/font": "url(x);} body{", "Theme/Light/text": "black"})
    sheet = theme.stylesheet(made)
    assert "--fc-radius:2px;" in sheet and "--fc-page:#fff8e7;" in sheet
    assert "url(" not in sheet and "black" not in sheet
    assert any(fault.startswith("dark: quiet on page has a contrast of") for fault in made.faults)


def test_a_theme_of_the_originals_editor_gives_the_accent() -> None:
    sheet = ":root { --portalThemeColor1: #7B2D8E; --portalThemeColor2: #fff; }"
    assert theme.from_settings({}, ("body{}", sheet)).accent == "#7B2D8E"
    assert theme.from_settings({"Theme/Accent": "#112233"}, (sheet,)).accent == "#112233"


def test_no_style_sheet_has_a_colour_of_its_own_where_a_token_would_do() -> None:
    """Bare colours would be wrong on pages of the other palette."""
    sheet = (Path(theme.__file__).parent / "files" / "forecourt.css").read_text()
    used = set(re.findall(r"var\(--fc-([a-z-]+)", sheet))
    known = {*theme.LIGHT, *theme.SHAPE, "accent", "accent-rgb", "on-accent", "shadow", "shadow-menu"}
    own = set(re.findall(r"--fc-([a-z0-9-]+)\s*:", sheet))
    assert used <= known | own
    assert set(theme.LIGHT) == set(theme.DARK)


async def test_a_chosen_palette_is_kept_and_sent_with_the_page() -> None:
    async with visiting(preview()) as browser:
        assert 'data-bs-theme="light"' in (await browser.get("/")).text
        answer = await browser.post("/_layout/theme", data={"theme": "dark", "returnUrl": "/SignIn"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/SignIn")
        assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=Lax" in answer.headers["set-cookie"]
        assert 'data-bs-theme="dark" data-theme="dark">' in (await browser.get("/")).text
        away = await browser.post("/_layout/theme", data={"theme": "dark", "returnUrl": "https://evil.example/"})
        assert away.headers["location"] == "/"
        other = {"sec-fetch-site": "cross-site"}
        refused = await browser.post("/_layout/theme", data={"theme": "light"}, headers=other)
        assert refused.status_code == 403 and 'data-theme="dark"' in (await browser.get("/")).text
        await browser.post("/_layout/theme", data={"theme": "", "returnUrl": "/"})
        assert "data-theme=" not in (await browser.get("/")).text


async def test_style_sheets_of_the_site_come_after_the_products_in_their_order(tmp_path: Path) -> None:
    home, orders = page_id("/"), page_id("/purchase-orders/")
    files = {}
    for name, parent, order in (
        ("b.css", home, 2),
        ("a.css", home, 1),
        ("o.css", orders, 0),
        ("bootstrap.min.css", home, 0),
    ):
        path = ("/purchase-orders/" if parent == orders else "/") + name
        (tmp_path / name).write_text("p { color: red }")
        files[path] = WebFile(made(path), name, path, parent, tmp_path / name, "text/css", order=order)
    site = changed(files=files)
    found = re.findall(r'rel="stylesheet" href="([^"]+)"', await text_of(site, "/purchase-orders/", signed_in=True))
    assert found[-3:] == ["/a.css", "/b.css", "/purchase-orders/o.css"]
    assert len(found) == 6 and "bootstrap" in found[0]


# -- header, footer, navigation --------------------------------------------------------------------------------------


def with_header(source: str, **more: Any) -> Site:
    header = WebTemplate(made("header"), "Header", source)
    return changed(web_templates={header.id: header}, header=header.id, **more)


async def test_the_websites_header_and_footer_are_rendered_for_each_person() -> None:
    footer = WebTemplate(
        made("footer"), "Footer", "<p>{{ page.title }} {{ resx['Sign_In'] }} {{ resx['Made_Up'] }}</p>"
    )
    site = with_header("<nav>{% if user %}Hello {{ user.fullname }}{% else %}Hello you{% endif %}</nav>")
    site = replace(site, web_templates={**site.web_templates, footer.id: footer}, footer=footer.id)
    text = await text_of(site, "/purchase-orders/", signed_in=True, accept_language="de")
    assert "<header><nav>Hello Anna Berg</nav></header>" in text and 'class="fc-header"' not in text
    assert "<p>Bestellungen Anmelden Made Up</p>" in text
    assert "Hello you" in await text_of(site)


async def test_a_header_that_cannot_be_rendered_gives_way_to_the_products() -> None:
    text = await text_of(with_header("<b>{% fetchxml x %}<broken>{% endfetchxml %}</b>"))
    assert 'class="fc-header"' in text and 'href="/SignIn"' in text


async def test_links_beneath_links_open_without_script_and_the_current_one_is_marked() -> None:
    below = (WebLink("Orders here", page_id("/purchase-orders/")), WebLink("Manual", url="https://manual.example/"))
    links = (WebLink("Work", links=below), WebLink("Code", url="javascript:alert(1)"), WebLink("Home", page_id("/")))
    text = await text_of(changed(links={"en-US": {"Default": LinkSet(links)}}), "/purchase-orders/", signed_in=True)
    assert '<summary aria-current="true">Work' in text and "javascript:" not in text
    assert '<a href="/purchase-orders/" aria-current="page">Orders here</a>' in text
    assert text.count('href="https://manual.example/"') == 2  # the bar and the narrow menu
    # A visitor may read none of the orders: the group keeps what is open to everybody.
    visitor = await text_of(changed(links={"en-US": {"Default": LinkSet(links)}}))
    assert "Orders here" not in visitor and "Manual" in visitor


async def test_without_a_link_set_of_its_own_a_language_calls_pages_as_they_are_called() -> None:
    text = await text_of(changed(), "/", signed_in=True, accept_language="fr")
    assert ">Commandes d’achat</a>" in text and ">Accueil</a>" in await text_of(
        changed(), "/purchase-orders/", signed_in=True, accept_language="fr"
    )


async def test_marked_error_pages_have_their_own_title_text_and_template() -> None:
    template = WebTemplate(made("t"), "Lost", "<h1>Nobody home at {{ request.path }}</h1>")
    around = PageTemplate(made("pt"), "Lost", TemplateKind.WEB_TEMPLATE, template.id)
    missing = page_id("/page-not-found/")
    pages = {**changed().pages}
    pages[missing] = replace(pages[missing], template=around.id)
    site = changed(pages=pages, page_templates={around.id: around}, web_templates={template.id: template})
    async with visiting(preview(site)) as browser:
        answer = await browser.get("/no/where")
        assert answer.status_code == 404 and "<h1>Nobody home at /no/where</h1>" in answer.text
        assert 'name="robots" content="noindex"' in answer.text
    async with visiting(preview(changed(markers={}))) as browser:
        plain = await browser.get("/no/where")
        assert plain.status_code == 404 and "<h1>We cannot find that</h1>" in plain.text


# -- search engines --------------------------------------------------------------------------------------------------


def places(text: str) -> list[str]:
    return [str(place.text) for place in fromstring(text).iter(LOCATION)]


async def test_the_map_for_search_engines_has_what_everybody_may_read_and_nothing_else() -> None:
    rule = PageRule(
        "Staff", page_id("/orders/"), PageRight.RESTRICT_READ, RuleScope.ALL_CONTENT, frozenset({"Vendors"})
    )
    async with visiting(preview(changed(rules=(rule,)))) as browser:
        answer = await browser.get("/sitemap.xml")
        assert answer.headers["content-type"] == "application/xml"
        found = places(answer.text)
        assert "http://portal.example/" in found and "http://portal.example/purchase-orders/" in found
        assert not [place for place in found if place.endswith(("example/orders/", "not-found/", "/purchase-order/"))]
        assert 'hreflang="de-DE" href="http://portal.example/de-DE/"' in answer.text
        robots = (await browser.get("/robots.txt")).text
        assert "Sitemap: http://portal.example/sitemap.xml" in robots and "Disallow: /_api/" in robots
        home = (await browser.get("/")).text
        assert 'rel="canonical" href="http://portal.example/"' in home and "noindex" not in home
        assert "noindex" in (await browser.get("/SignIn")).text
    closed = await text_of(changed(), "/sitemap.xml")
    assert "http://portal.example/" in places(closed) and "purchase-orders" not in closed


async def test_links_forms_and_redirects_carry_the_languages_code_where_the_setting_says_so() -> None:
    shown = preview(changed(settings={**changed().settings, IN_URL: "true"}))
    async with visiting(shown) as browser:
        await browser.sign_in()
        text = (await browser.get("/de-DE/purchase-orders/")).text
        led = re.findall(r'<(?:a|form|button)[^>]*? (?:href|action|formaction)="(/[^"]*)"', text)
        assert "/de-DE/orders-for-review/" in led
        assert any(item.startswith("/de-DE/") and "?id=" in item for item in led), "\n".join(led)
        other = {item for item in led if not item.startswith("/de-DE/")}
        assert other and all(re.match("/(en-US|fr-FR|_)", item) for item in other), other
        assert 'href="/assets/' in text
        home = (await browser.get("/fr-FR/")).text
        assert 'rel="canonical" href="http://portal.example/fr-FR/"' in home
        assert "http://portal.example/en-US/" in places((await browser.get("/sitemap.xml")).text)
        moved = await browser.get("/de-DE/purchase-orders", follow_redirects=False)
        assert moved.headers.get("location", "/de-DE/").startswith("/de-DE/")
        away = await browser.get("/fr-FR/Account/Manage/ChangePassword", follow_redirects=False)
        assert away.status_code == 200
    async with visiting(shown) as visitor:
        sent = await visitor.get("/fr-FR/Account/Manage", follow_redirects=False)
        assert sent.status_code == 303
        assert sent.headers["location"].startswith("/fr-FR/SignIn?returnUrl=")
    assert 'href="/purchase-orders/"' in await text_of(changed(), "/", signed_in=True, accept_language="de")


# -- caches ----------------------------------------------------------------------------------------------------------


async def asked_again(browser: Browser, path: str, answer: httpx.Response) -> httpx.Response:
    return await browser.get(path, headers={"if-none-match": answer.headers["etag"]})


async def test_an_anonymous_page_is_asked_for_again_and_sent_again_where_it_has_changed() -> None:
    shown = preview()
    async with visiting(shown) as browser:
        first = await browser.get("/")
        assert first.headers["cache-control"] == "private, no-cache"
        assert first.headers["vary"].startswith("cookie, accept-language")
        again = await asked_again(browser, "/", first)
        assert (again.status_code, again.content) == (304, b"")
        german = await browser.get("/", headers={"if-none-match": first.headers["etag"], "accept-language": "de"})
        assert german.status_code == 200
        # A page with a form has a token of its own each time, and no tag that would answer for it.
        assert "etag" not in (await browser.get("/SignIn")).headers


async def test_a_signed_in_persons_page_is_kept_by_no_cache_and_always_made_anew() -> None:
    shown = preview()
    async with visiting(shown) as browser:
        await browser.sign_in()
        page = await browser.get("/purchase-orders/")
        assert page.headers["cache-control"] == "no-store" and "etag" not in page.headers
        shown.rows.rows[ORDERS].clear()
        assert "There is no order in this view." in (await browser.get("/purchase-orders/")).text


async def test_a_web_file_is_named_by_its_content_and_its_permission_is_asked_each_time(tmp_path: Path) -> None:
    file = tmp_path / "terms.txt"
    file.write_text("one")
    home = page_id("/")
    web_file = WebFile(made("file"), "terms", "/terms.txt", home, file, "text/plain")
    files: Mapping[str, WebFile] = {web_file.path: web_file}
    rule = PageRule("Closed", home, PageRight.RESTRICT_READ, RuleScope.ALL_CONTENT, frozenset({"Nobody"}))
    async with (
        visiting(preview(changed(files=files))) as browser,
        visiting(preview(changed(files=files, rules=(rule,)))) as closed,
    ):
        first = await browser.get(web_file.path)
        assert first.text == "one" and first.headers["cache-control"] == "private, no-cache"
        assert (await asked_again(browser, web_file.path, first)).status_code == 304
        assert (await asked_again(closed, web_file.path, first)).status_code == 404
        file.write_text("two")
        os.utime(file, ns=(1, 1))
        assert (await asked_again(browser, web_file.path, first)).text == "two"
