"""The site's redirects: an address that is asked for, and where it leads (pages-and-dataverse A4.1).

The inbound address is compared whole, path and query, without regard to case. It leads to the first that the row has:
an address, a page, a site marker's page. One that leads to itself is passed over, as is one whose page is inactive;
who may read the page is decided there. What a visitor sends never becomes part of where it leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from starlette.responses import RedirectResponse

from forecourt.pages.site import Site
from forecourt.pages.site.definitions import Redirect


class Redirects:
    """The redirects of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        targets: dict[str, tuple[str, int]] = {}
        for redirect in site.redirects:
            target = self._target(redirect)
            inbound = _key(redirect.inbound)
            if target and _key(target) != inbound:
                targets.setdefault(inbound, (target, redirect.status))
        self._targets: Mapping[str, tuple[str, int]] = targets

    def answer(self, path: str, query: str) -> RedirectResponse | None:
        """The redirect of an address, None where there is none. ``path``: decoded; ``query``: as it was sent."""
        found = self._targets.get(_normal(path, query))
        if found is None:
            return None
        return RedirectResponse(found[0], found[1], headers={"cache-control": "no-store"})

    def _target(self, redirect: Redirect) -> str:
        if redirect.url:
            relative = not urlsplit(redirect.url).scheme and not redirect.url.startswith("/")
            return f"/{redirect.url.removeprefix('~/')}" if relative else redirect.url
        page = self._site.pages.get(redirect.page) if redirect.page else None
        page = page or (self._site.marked(redirect.marker) if redirect.marker else None)
        return page.path if page is not None and page.active else ""


def _key(address: str) -> str:
    """A redirect's address as it is compared: that of the site alone, whatever host it names."""
    parts = urlsplit(address.removeprefix("~"))
    return _normal(unquote(parts.path), parts.query)


def _normal(path: str, query: str) -> str:
    return f"/{path.strip('/')}?{query}".lower()
