"""Values of rows as a person reads them: in their language, numbers aligned, money with its currency.

A :class:`Cell` is what templates show; the macro ``cell`` is the only place that turns one into markup. Nothing here
escapes: templates do.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel.core import Locale, UnknownLocaleError, get_locale_identifier
from babel.dates import format_date, format_time, get_datetime_format
from babel.numbers import format_currency, format_decimal

from forecourt.kernel.errors import Refusal
from forecourt.kernel.label import in_language
from forecourt.kernel.model import EntityField, Enum, EnumMember
from forecourt.kernel.types import NUMBERS, Kind
from forecourt.web import translation

CellKind = Literal["text", "memo", "number", "money", "date", "badge", "yesno", "empty"]
Tone = Literal["", "info", "good", "warn", "bad"]

_WORDS: Mapping[Tone, str] = {
    "bad": r"reject|cancel|overdue|block|den(?:y|ied)|decline|fail|error|terminat",
    "warn": r"hold|on hold|review|pending|wait|chang|expir|late\b|partial|backorder|stop",
    "good": r"approv|confirm|complete|paid|accept|receiv|deliver|clos|final|invoic|active|settle|done|employed\b",
    "info": r"open|sent|in progress|new\b|submit|releas|ship|start",
}

#: Words that begin in the label or symbol of a choice, and the tone that they give its badge. The first fit counts.
TONES = tuple((tone, re.compile(rf"\b(?:{words})")) for tone, words in _WORDS.items())
_NEGATED = re.compile(r"not\b|un(?!der|it)|in(?=active|complete|valid)|no\b")

_QUANTITY = "#,##0.####"
_MONEY = "#,##0.00\u00a0¤¤"


@dataclass(frozen=True, slots=True)
class Cell:
    """A value to show. ``machine``: the same for programs (ISO date), where there is one."""

    kind: CellKind
    text: str
    tone: Tone = ""
    machine: str = ""

    @property
    def plain(self) -> bool:
        """Whether the text is all there is to show."""
        return self.kind in {"text", "number", "money", "yesno"} and "@" not in self.text

    @property
    def css(self) -> str:
        """The classes of a table's cell; a short text in one piece (a code) is not broken."""
        code = self.kind == "text" and len(self.text) <= 24 and " " not in self.text
        return f"fc-cell-{self.kind} fc-code" if code else f"fc-cell-{self.kind}"


EMPTY = Cell("empty", "")


class Message(str):
    """A text of the portal's among values of rows: it is translated where it is shown."""


@dataclass(frozen=True)
class Locales:
    """The language of words and values, and the time zone of moments."""

    locale: Locale
    zone: dt.tzinfo = dt.UTC

    @property
    def code(self) -> str:
        """As the ``lang`` attribute wants it."""
        return get_locale_identifier(
            (self.locale.language, self.locale.territory, self.locale.script, self.locale.variant), sep="-"
        )

    @property
    def language(self) -> str:
        """The catalogue that words come from."""
        return translation.language_of(self.locale.language)

    def label(self, text: str) -> str:
        """A label in the language; any other text as it is."""
        return str(in_language(text, self.code))

    def gettext(self, text: str, /, **values: object) -> str:
        """A message (:mod:`forecourt.web.translation`) with its values."""
        return translation.gettext(self.language, text, **values)

    def said(self, refusal: Refusal) -> str:
        """What a refusal says and hints at, as far as the catalogues have it; else in English."""
        return " ".join(self.gettext(text) for text in (refusal.message, refusal.hint) if text)

    def ngettext(self, one: str, many: str, number: int, /, **values: object) -> str:
        """A message for a number of things."""
        return translation.ngettext(self.language, one, many, number, **values)


DEFAULT = Locales(Locale("en", "US"))


@lru_cache(maxsize=256)
def locales_for(languages: tuple[str, ...], zone: str = "UTC") -> Locales:
    """The first of ``languages`` that is known, else English."""
    place = ZoneInfo(zone) if zone != "UTC" else dt.UTC
    for code in languages:
        for attempt in (code, code.split("-")[0]):
            try:
                return Locales(Locale.parse(attempt, sep="-"), place)
            except (UnknownLocaleError, ValueError, TypeError):
                continue
    return Locales(DEFAULT.locale, place)


@lru_cache(maxsize=4096)
def tone_of(member: EnumMember) -> Tone:
    """The colour of a choice: by the words of its label, then of its symbol; a negated word is for attention.

    >>> tone_of(EnumMember("Canceled", 4, "Canceled")), tone_of(EnumMember("X", 1, "Unpaid"))
    ('bad', 'warn')
    """
    for text in (member.label, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", member.symbol)):
        words = text.lower()
        negated = _NEGATED.match(words)
        rest = words[negated.end() :].strip() if negated else words
        for tone, pattern in TONES:
            if pattern.search(rest):
                return "warn" if negated else tone
    return ""


def member_of(enum: Enum | None, value: object) -> EnumMember | None:
    """The member of ``enum`` that a row's value stands for: a choice number, a stored value or a symbol."""
    if enum is None or value is None:
        return None
    if isinstance(value, int):
        return enum.by_choice.get(value) or enum.by_value.get(value)
    text = str(value)
    found = enum.by_symbol.get(text) or enum.by_value.get(text)
    if found is None and text.lstrip("-").isdigit():
        found = enum.by_choice.get(int(text)) or enum.by_value.get(int(text))
    return found


def cell(column: EntityField, values: Mapping[str, Any], enums: Mapping[str, Enum], locales: Locales) -> Cell:
    """The cell for ``column`` of a row; the row's currency column, where the column names one, is read beside it."""
    value = values.get(column.name)
    if value is None or value == "":
        return EMPTY
    if isinstance(value, Message):
        return Cell("text", locales.gettext(value))
    if column.several and column.enum is not None:
        return Cell("text", "; ".join(locales.label(text) for _, text in enums[column.enum].chosen(str(value))))
    if column.enum is not None:
        member = member_of(enums.get(column.enum), value)
        if member is None:
            return Cell("text", str(value))
        if is_yes_no(enums.get(column.enum)):
            return Cell("yesno", locales.label(member.label or member.symbol))
        return Cell("badge", locales.label(member.label or member.symbol), tone_of(member))
    match column.kind:
        case Kind.BOOLEAN:
            return Cell("yesno", locales.gettext("Yes") if value in (True, "true", 1) else locales.gettext("No"))
        case Kind.DATE:
            day = as_date(value)
            return Cell("date", _date(day, locales), machine=day.isoformat()) if day else Cell("text", str(value))
        case Kind.DATETIME:
            moment = as_moment(value)
            if moment is None:
                return Cell("text", str(value))
            return Cell("date", moment_text(moment, locales), machine=moment.isoformat())
        case kind if kind in NUMBERS:
            number = as_number(value)
            if number is None:
                return Cell("text", str(value))
            if column.currency is not None:
                code = str(values.get(code_of(column.currency), values.get(column.currency)) or "")
                return Cell("money", money(number, code, locales))
            return Cell("number", format_decimal(number, _QUANTITY, locale=locales.locale))
        case _:
            return Cell("memo" if column.memo else "text", str(value))


def money(number: Decimal | float, currency: str, locales: Locales) -> str:
    """An amount with its currency's decimals and code."""
    if re.fullmatch(r"[A-Za-z]{3}", currency):
        return format_currency(number, currency.upper(), _MONEY, locale=locales.locale)
    return format_decimal(number, "#,##0.00", locale=locales.locale)


def count(number: int, locales: Locales) -> str:
    """A number of rows."""
    return format_decimal(number, locale=locales.locale)


def is_yes_no(enum: Enum | None) -> bool:
    """Whether the enum says yes or no and nothing else (NoYes)."""
    return (
        enum is not None
        and len(enum.members) == 2
        and {member.symbol.lower() for member in enum.members} == {"no", "yes"}
    )


def is_numeric(column: EntityField) -> bool:
    """Whether the column's values stand at the right."""
    return column.kind in NUMBERS and column.enum is None


def as_date(value: object) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def as_moment(value: object) -> dt.datetime | None:
    """An aware moment; one without a zone is UTC."""
    if not isinstance(value, dt.datetime):
        try:
            value = dt.datetime.fromisoformat(str(value))
        except ValueError:
            return None
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def as_number(value: object) -> Decimal | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal | int | float):
        return Decimal(value) if isinstance(value, int) else value
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


@lru_cache(maxsize=4096)
def _date(day: dt.date, locales: Locales) -> str:
    return format_date(day, "medium", locale=locales.locale)


def _moment(moment: dt.datetime, locales: Locales) -> str:
    """Date and time to the minute."""
    pattern = str(get_datetime_format("medium", locale=locales.locale)).replace("'", "")
    time = format_time(moment, "short", locale=locales.locale)
    return pattern.replace("{0}", time).replace("{1}", _date(moment.date(), locales))


def moment_text(moment: dt.datetime, locales: Locales) -> str:
    """A moment in the person's language and time zone."""
    local = moment.astimezone(locales.zone)
    return f"{_moment(local, locales)} {local.tzname() or ''}".strip()


def code_of(currency: str) -> str:
    """By which name a row brings the code of the currency that a lookup of it holds."""
    return f"@code.{currency}"


def currencies(columns: Iterable[EntityField]) -> tuple[str, ...]:
    """Columns that hold the currencies of ``columns``."""
    return tuple(dict.fromkeys(column.currency for column in columns if column.currency))
