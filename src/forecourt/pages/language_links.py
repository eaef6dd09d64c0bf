"""Language codes in links, where the site setting ``MultiLanguage/DisplayLanguageCodeInURL`` says so.

A page's links, the addresses that its forms are sent to, and redirects lead to addresses that begin with the code of
the language that the page is in: ``/de-DE/orders/?id=1`` for ``/orders/?id=1``. Left as they are: addresses of other
hosts, of parts of this page, of services (``/_api``, ``/_layout``) and other doors, and those that begin with a code
already. One rule for all that answers, the site's own texts included, so that no template has to think of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from forecourt.pages.languages import IN_URL
from forecourt.pages.site import Site

#: The address in a tag that leads somewhere.
_ADDRESS = re.compile(r"""(<(?:a|form|button)\b[^<>]*?\s(?:href|action|formaction)=")(/[^"]*)""", re.IGNORECASE)

#: What begins the addresses of other doors than the pages.
_OTHERS = frozenset({"api", "assets", "data", "studio"})


def in_use(site: Site) -> bool:
    """Whether links of the site carry codes."""
    return len(site.codes) > 1 and site.setting(IN_URL).lower() == "true"


def coded(address: str, code: str, codes: Collection[str]) -> str:
    """An address of the site with a language code, where it is a page's without one.

    >>> coded("/orders/?id=1", "de-DE", ("en-US", "de-DE")), coded("/en-us/", "de-DE", ("en-US", "de-DE"))
    ('/de-DE/orders/?id=1', '/en-us/')
    >>> coded("//evil.example/", "de-DE", ("de-DE",)), coded("/_api/x", "de-DE", ("de-DE",))
    ('//evil.example/', '/_api/x')
    """
    if not address.startswith("/") or address[1:2] in ("/", "\\", "_"):
        return address
    first = re.split(r"[/?#]", address[1:], maxsplit=1)[0].lower()
    return address if first in _OTHERS or first in {item.lower() for item in codes} else f"/{code}{address}"


def with_codes(page: str, code: str, codes: Collection[str]) -> str:
    """A page's HTML whose links carry a language code."""
    return _ADDRESS.sub(lambda found: found[1] + coded(found[2], code, codes), page)
