"""The words of a site's pages: what its makers wrote, in the language that somebody reads.

Liquid and markup are left out, so nothing that a row says is ever a page's word; snippets that a page names count as
its own. Pages that nobody comes to by themselves (a form of a row, an error page) are not searched, nor are those with
``adx_excludefromsearch``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from forecourt.pages.site import FormMode, Page, Site

MAX_TEXT = 20_000

_LIQUID = re.compile(r"\{%-?\s*(comment|raw)\s*-?%\}.*?\{%-?\s*end\1\s*-?%\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_HIDDEN = re.compile(r"<(script|style|template)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
_SNIPPET = re.compile(r"snippets\s*(?:\[\s*['\"]([^'\"]+)['\"]\s*\]|\.(\w+)|\s+['\"]([^'\"]+)['\"])")

#: Markers of pages that people are led to, and search nothing for.
_LED_TO = ("Access Denied", "Page Not Found", "Search", "Login")


@dataclass(frozen=True, slots=True)
class PageText:
    page: Page
    title: str
    body: str


def page_texts(site: Site, languages: tuple[str, ...], readable: Callable[[Page], bool]) -> Iterator[PageText]:
    """The texts of the pages that the person may read."""
    led = {marked.id for name in _LED_TO if (marked := site.marked(name)) is not None}
    for page in site.in_tree:
        form = site.form_of(page)
        if page.id in led or (form is not None and form.mode is not FormMode.INSERT):
            continue
        if page.columns.get("adx_excludefromsearch", "").lower() in ("true", "1") or not readable(page):
            continue
        content = site.content(page, languages)
        source = f"{content.summary} {content.copy}"
        for names in _SNIPPET.findall(source):
            source += " " + site.snippet(next(filter(None, names)), languages)
        yield PageText(page, content.title, _plain(source[:MAX_TEXT]))


@lru_cache(maxsize=2048)
def _plain(source: str) -> str:
    """The words of a text without Liquid and markup.

    >>> _plain("<p>Our {{ page.title }} &amp; <b>you</b></p>{% if x %}a{% endif %}")
    'Our & you a'
    """
    return " ".join(html.unescape(_HIDDEN.sub(" ", _LIQUID.sub(" ", source))).split())
