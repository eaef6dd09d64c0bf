"""The ways through a site: the navigation of its web link sets, breadcrumbs, and the map for search engines.

Only pages that the person may read are there. A link set that is missing in the person's language is that of the
site's, with links to pages called as the pages are in the person's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID
from xml.sax.saxutils import escape, quoteattr

from forecourt.pages import page_rules
from forecourt.pages.language_links import coded, in_use
from forecourt.pages.site import FormMode, Page, Site, WebLink
from forecourt.pages.site.definitions import FormSource
from forecourt.pages.visit import Visit

#: Names of the link set that makes the navigation; the first that the site has.
NAVIGATION = ("Primary Navigation", "Default")

#: Site markers of pages that people come to by other ways.
SYSTEM = ("Access Denied", "Page Not Found", "Profile", "Search", "Login")

#: Nothing for search engines is here.
_CLOSED = ("/_api/", "/_layout/", "/_services/", "/account/", "/register", "/signin", "/studio/")


@dataclass(frozen=True, slots=True)
class Link:
    """A link to show. ``current``: it leads to where the person is, or above it. ``links``: those beneath it."""

    label: str
    url: str
    current: bool = False
    new_window: bool = False
    links: tuple[Link, ...] = ()


def readable(site: Site, visit: Visit, page: Page) -> bool:
    """Whether the person may open the page."""
    return page_rules.may_read(site, page, visit.principal.web_roles)


def navigation(site: Site, visit: Visit, page: Page | None) -> tuple[Link, ...]:
    """Links that the person may follow; without a link set, the pages under Home."""
    here = {item.id for item in site.chain(page)} if page else set()
    for name in NAVIGATION:
        if links := site.link_set(name, visit.languages).links:
            return tuple(_shown(site, visit, links, page, here))
    home = site.home
    if home is None:
        return ()
    return tuple(
        Link(title(site, visit, child), child.path, _is_current(child, page, here))
        for child in site.children(home)
        if child.in_sitemap and child.form is None and not is_system(site, child) and readable(site, visit, child)
    )


def _shown(site: Site, visit: Visit, links: Sequence[WebLink], page: Page | None, here: set[UUID]) -> Iterable[Link]:
    for link in links:
        below = tuple(_shown(site, visit, link.links, page, here))
        target = site.pages.get(link.page) if link.page else None
        if target is None:
            if link.url.startswith(("/", "https://", "http://")) or below:
                yield Link(link.name, link.url, any(item.current for item in below), link.new_window, below)
        elif not link.validate or readable(site, visit, target):
            label = title(site, visit, target) if link.name == site.content(target).title else link.name
            current = _is_current(target, page, here) or any(item.current for item in below)
            yield Link(label, target.path, current, link.new_window, below)
        elif below:
            yield Link(link.name, "", any(item.current for item in below), False, below)


def breadcrumbs(site: Site, visit: Visit, page: Page | None) -> tuple[Link, ...]:
    """The ancestors of a page, Home first; () on Home itself. One that the person may not open leads nowhere."""
    if page is None:
        return ()
    chain = [item for item in site.chain(page)[1:] if readable(site, visit, item)]
    home = visit.locales.gettext("Home")
    return tuple(Link(home if item.path == "/" else title(site, visit, item), item.path) for item in reversed(chain))


def title(site: Site, visit: Visit, page: Page) -> str:
    """What a page is called in the person's language."""
    return site.content(page, visit.languages).title


def is_system(site: Site, page: Page) -> bool:
    """Whether the page is one that people come to by other ways than the navigation."""
    return any((marked := site.marked(name)) is not None and marked.id == page.id for name in SYSTEM)


def _is_current(target: Page, page: Page | None, here: set[UUID]) -> bool:
    return target.id in here and (target.parent is not None or (page is not None and page.id == target.id))


# -- search engines --------------------------------------------------------------------------------------------------


def is_public(site: Site, page: Page) -> bool:
    """Whether a page is one for search engines: everybody may read it, and it needs no row to be named."""
    form = site.form_of(page)
    needs_row = form is not None and form.mode is not FormMode.INSERT and form.source is FormSource.QUERY_STRING
    if not page.in_sitemap or needs_row or is_system(site, page):
        return False
    return page_rules.may_read(site, page, site.web_roles.anonymous)


def sitemap(site: Site, origin: str) -> str:
    """``/sitemap.xml``: the pages that everybody may read, each with its addresses by language. ``origin``: of the
    site, as ``https://portal.example``."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml">',
    ]
    for page in site.in_tree:
        if is_public(site, page):
            others = "".join(
                f'<xhtml:link rel="alternate" hreflang="{code}" href={quoteattr(f"{origin}/{code}{page.path}")}/>'
                for code in site.codes
                if len(site.codes) > 1
            )
            own = coded(page.path, site.language, site.codes) if in_use(site) else page.path
            lines.append(f"<url><loc>{escape(origin + own)}</loc>{others}</url>")
    return "\n".join([*lines, "</urlset>", ""])


def robots(origin: str) -> str:
    """``/robots.txt``: what search engines leave alone, and where the map is."""
    closed = "".join(f"Disallow: {path}\n" for path in _CLOSED)
    return f"User-agent: *\n{closed}Sitemap: {origin}/sitemap.xml\n"
