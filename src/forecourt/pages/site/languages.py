"""The languages of a site, and which of them a row is in (pages-and-dataverse A5.2, A5.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from forecourt.pages.site.definitions import WebsiteLanguage
from forecourt.pages.site.kinds import LANGUAGE, PORTAL_LANGUAGE, STATE
from forecourt.pages.site.record import Folder, Record

#: Language codes by LCID, where a row has the number alone.
CODES: Final[Mapping[int, str]] = {
    1025: "ar-SA",
    1029: "cs-CZ",
    1030: "da-DK",
    1031: "de-DE",
    1032: "el-GR",
    1033: "en-US",
    1035: "fi-FI",
    1036: "fr-FR",
    1037: "he-IL",
    1038: "hu-HU",
    1040: "it-IT",
    1041: "ja-JP",
    1042: "ko-KR",
    1043: "nl-NL",
    1044: "nb-NO",
    1045: "pl-PL",
    1046: "pt-BR",
    1048: "ro-RO",
    1049: "ru-RU",
    1051: "sk-SK",
    1053: "sv-SE",
    1055: "tr-TR",
    1058: "uk-UA",
    2052: "zh-CN",
    2057: "en-GB",
    2070: "pt-PT",
    3082: "es-ES",
}

_TAG = r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*"
_CODE = re.compile(_TAG)

#: ``<Name>.<language>.webpage.yml``: the language code in a file's name.
_IN_NAME = re.compile(rf"\.({_TAG})\.(?:webpage|weblinkset|contentsnippet)\b")

#: Folders that can be taken for a language's: those that hold one folder a language in the enhanced model.
_IN_FOLDER = re.compile(rf"(?:content-pages|content-snippets/[^/]+|weblink-sets/[^/]+)/({_TAG})/[^/]+$")


@dataclass(frozen=True)
class Languages:
    """``default``: the code of the site's own language. ``known``: the site's languages by id."""

    default: str
    known: Mapping[UUID, WebsiteLanguage] = field(default_factory=dict)

    def of(self, record: Record) -> str:
        """The language of a row: that of its column, else its file's name or folder, else the site's."""
        key = record.kind.language
        named = record.refer(key, self.known, "language") if key and self.known else None
        if named is not None and self.known[named].code:
            return self.known[named].code
        found = _IN_NAME.search(record.place.name) or _IN_FOLDER.search(str(record.place))
        return found.group(1) if found else self.default


def read_languages(folder: Folder, website: Record) -> Languages:
    """The site's languages; the default is the website's own, which must be one of them where it is named."""
    states = {record.uuid(STATE.id): record.flag("adx_isvisible") for record in folder.records(STATE)}
    portal = {record.uuid(PORTAL_LANGUAGE.id): _code(record) for record in folder.records(PORTAL_LANGUAGE)}
    known = {}
    for record in folder.records(LANGUAGE):
        language_id = record.id(LANGUAGE.id)
        state = record.refer("adx_publishingstate", states, "publishing state")
        stands_for = record.uuid("adx_portallanguageid")
        code = portal.get(stands_for) or _code(record)
        known[language_id] = WebsiteLanguage(
            language_id, code, record.text("adx_name"), record.where(), stands_for, state is None or states[state]
        )
    default = website.refer("adx_defaultlanguage", known, "language") if known else None
    number = website.number("adx_website_language", 1033)
    code = (known[default].code if default else "") or CODES.get(number, "en-US")
    if len(known) == 1 and not next(iter(known.values())).code:
        only = next(iter(known.values()))
        known = {only.id: replace(only, code=code)}
    return Languages(code, known)


def _code(record: Record) -> str:
    """The language code that a row has, or that its LCID stands for; '' where neither is known."""
    code = record.text("adx_languagecode")
    if _CODE.fullmatch(code):
        return code
    for key in ("adx_lcid", "adx_systemlanguage", "adx_websitelcid"):
        if found := CODES.get(record.number(key)):
            return found
    return ""
