"""Style and script of a single page (``custom_css``, ``custom_javascript``), as files of this portal.

A page links them where it has them: its policy runs what comes from files alone. Who may not open the page does not get
them either. They are sent as they were written; of one with Liquid in it nothing is sent, for no value of a row can be
put into a script safely (pages-and-dataverse A4.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from uuid import UUID

from starlette.responses import Response

from forecourt.kernel.errors import not_found
from forecourt.pages import navigation
from forecourt.pages.caching import finish
from forecourt.pages.site import Page, Site
from forecourt.pages.visit import Visit

#: Where they are: the page's id, the language of the text, and what it is.
ADDRESS: Final = "/_layout/page/{page}/{language}.{kind}"

_MEDIA: Final[Mapping[str, str]] = {"css": "text/css", "js": "text/javascript"}


def addresses(site: Site, visit: Visit, page: Page | None) -> Mapping[str, str]:
    """Addresses of what a page has of them, by ``css`` and ``js``."""
    return dict(_addresses(site, visit, page)) if page is not None else {}


def _addresses(site: Site, visit: Visit, page: Page) -> Iterator[tuple[str, str]]:
    content = site.content(page, visit.languages)
    code = next((code for code, own in page.contents.items() if own is content), "")
    for kind, text in (("css", content.style), ("js", content.script)):
        if text and code:
            yield kind, ADDRESS.format(page=page.id, language=code, kind=kind)


class PageFiles:
    """Answers with them."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def answer(self, visit: Visit) -> Response:
        """Raises Refusal 404 where there is none for this person."""
        asked = visit.request.path_params
        try:
            page = self._site.pages.get(UUID(asked["page"]))
        except ValueError:
            raise not_found() from None
        content = page.contents.get(asked["language"]) if page is not None else None
        if page is None or content is None or not navigation.readable(self._site, visit, page):
            raise not_found()
        text = {"css": content.style, "js": content.script}.get(asked["kind"], "")
        if not text:
            raise not_found()
        return finish(visit, Response(text.encode(), media_type=_MEDIA[asked["kind"]]))
