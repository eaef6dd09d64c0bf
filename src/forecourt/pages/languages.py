"""Which of a site's languages a request is answered in (pages-and-dataverse A3.7, A4.1).

The first of these that the site has, published::

    /de-DE/orders/       a code that begins the address
    ?lang=de-DE          the query
    ContextLanguageCode  the cookie: what was chosen before, in one of the two ways above
    the person           the contact's preferred language
    Accept-Language      what the browser prefers
    the mapped user      the language of the operations user that the person acts as
    the site's own       its default language

A code is met exactly, else by its language alone (``de-AT`` by ``de-DE``). Dates and numbers are written as in that
language, in the region that the browser prefers of it. A site that names no languages has its default one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from babel.core import Locale, UnknownLocaleError

from forecourt.kernel.principal import Principal
from forecourt.pages.formatting import Locales, locales_for
from forecourt.pages.site import Site
from forecourt.pages.site.languages import CODES

COOKIE: Final = "ContextLanguageCode"
QUERY: Final = "lang"

#: Whether a code that begins an address stays there, or leads to the address without it.
IN_URL: Final = "MultiLanguage/DisplayLanguageCodeInURL"

#: What an address that leads to another host could begin with.
_AWAY: Final = "/\\" + "".join(map(chr, range(33)))

_YEAR = 31_536_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of languages: codes, '' where it says nothing. ``accepted``: the browser's, best first."""

    path: str = ""
    query: str = ""
    cookie: str = ""
    person: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    mapped: str = ""


def split(site: Site, path: str) -> tuple[str, str]:
    """The site's language code that begins a path, and the rest of it; ('', path) where none does.

    The rest begins with one '/' and no character that a browser passes over, so that it never leads to another host.
    """
    first, _, rest = path.lstrip("/").partition("/")
    code = next((code for code in site.codes if code.lower() == first.lower()), "")
    return (code, "/" + rest.lstrip(_AWAY)) if code else ("", path)


def chosen(site: Site, asked: Asked) -> str:
    """The code of the language to answer in."""
    offered = site.codes or (site.language,)
    for code in (asked.path, asked.query, asked.cookie, *asked.person, *asked.accepted, asked.mapped):
        if code and (found := _met(offered, code)):
            return found
    return site.language


def _met(offered: Iterable[str], code: str) -> str:
    wanted = code.lower()
    near = ""
    for item in offered:
        if item.lower() == wanted:
            return item
        if not near and _stem(item) == _stem(wanted):
            near = item
    return near


def _stem(code: str) -> str:
    return code.split("-")[0].lower()


def locales(code: str, accepted: tuple[str, ...], zone: str) -> Locales:
    """How the language ``code`` writes values, in the region that the browser prefers of it."""
    regions = (item for item in accepted if _stem(item) == _stem(code) and "-" in item)
    return locales_for((*regions, code), zone)


def of_person(site: Site, principal: Principal) -> tuple[str, ...]:
    """The languages that a contact prefers, by its lookup or by number."""
    found = []
    if principal.contact is not None:
        columns: Mapping[str, object] = dict(principal.contact.columns)
        preferred = str(columns.get("adx_preferredlanguageid") or "").lower()
        found += [item.code for item in site.languages.values() if preferred and str(item.portal) == preferred]
        number = columns.get("adx_preferredlcid")
        found += [CODES[number]] if isinstance(number, int) and number in CODES else []
    return tuple(code for code in found if code)


def cookie(code: str, *, secure: bool) -> str:
    """The Set-Cookie value that keeps a choice. ``code`` is one of the site's."""
    return f"{COOKIE}={code}; Path=/; Max-Age={_YEAR}; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")


def own_name(code: str) -> str:
    """A language as it calls itself, with its region where the code has one that matters.

    >>> own_name("de-DE"), own_name("fr")
    ('Deutsch', 'Français')
    """
    try:
        locale = Locale.parse(_stem(code))
    except (UnknownLocaleError, ValueError):
        return code
    name = str(locale.get_language_name() or code)
    return name[:1].upper() + name[1:]
