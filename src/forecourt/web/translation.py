"""The words of pages in a person's language: gettext, from the catalogues in ``locale/<language>.po``.

A message is its English text. ``gettext`` and ``ngettext`` (one, many) are the only two functions that put words into a
page: templates have them as ``_`` and ``{% trans %}``, Python code by :class:`~forecourt.pages.formatting.Locales`;
``N_`` marks a text that is translated later. Values are named, as in ``%(name)s``, so that a language may order them.
The catalogues are read once. A language without one, and a message that is not in it, are English.
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from forecourt.kernel.label import in_language

#: The languages that pages speak; the first is that of the messages.
LANGUAGES: Final = ("en", "de", "fr")

CATALOGUES: Final = Path(__file__).parent / "locale"


def language_of(code: str) -> str:
    """The language of the catalogues for a language code.

    >>> language_of("de-AT"), language_of("ja-JP")
    ('de', 'en')
    """
    stem = code.replace("_", "-").split("-")[0].lower()
    return stem if stem in LANGUAGES else LANGUAGES[0]


@cache
def translations(language: str) -> NullTranslations:
    """The messages of a language of :data:`LANGUAGES`."""
    if language == LANGUAGES[0]:
        return NullTranslations()
    compiled = BytesIO()
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def gettext(language: str, text: str, /, **values: object) -> str:
    """The message ``text`` with its values."""
    found = translations(language).gettext(text)
    return found % {name: in_language(value, language) for name, value in values.items()} if values else found


def ngettext(language: str, one: str, many: str, number: int, /, **values: object) -> str:
    """The message for a number of things; ``%(num)s`` is the number."""
    return translations(language).ngettext(one, many, number) % {
        "num": number,
        **{name: in_language(value, language) for name, value in values.items()},
    }


def N_(text: str) -> str:
    """``text`` as it is, marked as a message for who translates it later."""
    return text
