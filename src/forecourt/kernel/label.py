"""Labels: names for people of tables, columns, choices and views, in several languages.

A label is its text in the base language, and is that text wherever nothing asks for a language. In a definition file it
is a text, or a text for each language, the base language first::

    label: Order
    label: {en: Order, de: Auftrag, fr: Commande}

A text alone has the translations that ``labels/<language>.yaml`` gives for it. A language is met exactly, else without
its region (``de-AT`` by ``de``), else by the base language. Leaves out the portal's own words (``web/translation``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from locale import windows_locale
from typing import Any, Final, cast

#: Translations by language code and text of the base language.
Words = Mapping[str, Mapping[str, str]]

_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")

#: Language codes by the numbers that Dataverse gives them, main regions before others.
_NUMBERS: Final = {name.replace("_", "-").lower(): number for number, name in sorted(windows_locale.items())}


class Label(str):
    """``base``: code of the language of the text itself, '' where the file does not say."""

    __slots__ = ("base", "translations")

    base: str
    translations: Mapping[str, str]

    def __new__(cls, text: str, translations: Mapping[str, str] | None = None, base: str = "") -> Label:
        made = super().__new__(cls, text)
        made.translations = translations or {}
        made.base = base
        return made

    def of(self, code: str) -> str:
        """The text in a language.

        >>> label = Label("Order", {"de": "Auftrag"})
        >>> label.of("de-AT"), label.of("fr"), str(label)
        ('Auftrag', 'Order', 'Order')
        """
        wanted = code.lower()
        return self.translations.get(wanted) or self.translations.get(stem(wanted)) or str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Label, (str(self), dict(self.translations), self.base)


#: No label: plain text, since schemas of definition files say their defaults.
UNNAMED: Final = cast(Label, "")


def stem(code: str) -> str:
    """A language code without its region."""
    return code.partition("-")[0]


def in_language(text: object, code: str) -> object:
    """A label in a language; anything else as it is."""
    return text.of(code) if isinstance(text, Label) else text


def each(text: str, form: Callable[[str], str]) -> str:
    """What ``form`` makes of a text: of a label in every language.

    >>> numbered = each(Label("Items", {"de": "Artikel"}), "2. {}".format)
    >>> in_language(numbered, "de"), each("Items", str.upper)
    ('2. Artikel', 'ITEMS')
    """
    if not isinstance(text, Label):
        return form(text)
    return Label(form(str(text)), {code: form(other) for code, other in text.translations.items()}, text.base)


def is_code(text: str) -> bool:
    """Whether a text is written as a language code: ``de``, ``de-AT``."""
    return _CODE.fullmatch(text) is not None


def preferred_languages(header: str) -> tuple[str, ...]:
    """The codes of an Accept-Language header, best first; at most eight.

    >>> preferred_languages("de-DE,de;q=0.9,en;q=0.5,*;q=0.1")
    ('de-DE', 'de', 'en')
    """
    found: list[tuple[float, int, str]] = []
    for index, part in enumerate(header[:256].split(",")):
        code, _, weight = part.partition(";")
        code = code.strip()
        if not _CODE.fullmatch(code.lower()):
            continue
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
        except ValueError:
            quality = 0.0
        if quality > 0:
            found.append((-quality, index, code))
    return tuple(code for _, _, code in sorted(found)[:8])


def number_of(code: str) -> int | None:
    """The number (LCID) of a language, of its main region where the code has none; None: it has no number.

    >>> number_of("de"), number_of("de-AT"), number_of("fr-FR")
    (1031, 3079, 1036)
    """
    wanted = code.lower()
    if wanted in _NUMBERS:
        return _NUMBERS[wanted]
    return min((number for name, number in _NUMBERS.items() if stem(name) == stem(wanted)), default=None)


def code_of(number: int) -> str:
    """The code of a language that Dataverse gives this number (LCID); '' for none.

    >>> code_of(1031), code_of(7)
    ('de-DE', '')
    """
    return windows_locale.get(number, "").replace("_", "-")


def label_of(value: object, words: Words) -> Label:
    """A label as a definition file has it. Raises ValueError for what is none."""
    if isinstance(value, str):
        found = {code: texts[value] for code, texts in words.items() if value in texts}
        return Label(value, found)
    if not isinstance(value, dict) or not value:
        raise ValueError("Expected `str` or texts by language")
    for code, text in value.items():
        if not is_code(code):
            raise ValueError(f"`{code}` is no language code")
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"Expected a text for the language `{code}`")
    (base, text), *_ = value.items()
    return Label(text, {code.lower(): item for code, item in value.items()}, base)
