"""Paging cookies of FetchXML.

::

    <cookie pagenumber="2" pagingcookie="%253ccookie%2520page%253d%25221%2522%253e…" istracking="False" />

The inner cookie is encoded twice. A client decodes it as often and writes it, escaped, into ``paging-cookie``, with the
page's number. It holds a token of ours (``odata/paging``), which belongs to its query and proves nothing. Source:
pages-and-dataverse B1.2, B1.8.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

from forecourt.odata.fetchxml.markup import wrong

MAX_COOKIE = 24_576

_TOKEN = re.compile(r"<position\s+token=[\"']([A-Za-z0-9_\-]{1,8192})[\"']\s*/>")


def make(token: str, page: int) -> str:
    """The cookie after page ``page``, for the annotation ``fetchxmlpagingcookie``."""
    inner = f'<cookie page="{page}"><position token="{token}" /></cookie>'
    twice = quote(quote(inner, safe=""), safe="")
    return f'<cookie pagenumber="{page + 1}" pagingcookie={quoteattr(twice)} istracking="False" />'


def read(text: str) -> str:
    """The token in a ``paging-cookie``, however often it is still encoded. Raises Refusal FC1007."""
    if len(text) <= MAX_COOKIE:
        for _ in range(3):
            found = _TOKEN.search(text)
            if found is not None:
                return found[1]
            text = unquote(text)
    raise wrong(
        "The paging cookie was not issued for this query.",
        "Decode the cookie of the last page twice and write it into paging-cookie, or leave it out.",
        "FC1007",
    )
