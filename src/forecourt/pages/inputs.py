"""Form fields: from a row's value to the text of an input, and from what a person typed to a Dataverse value.

A date or moment crosses in the form that browsers use (ISO); a number in the person's language, without grouping;
a choice as its number, several with commas between them; yes/no as ``1`` or ``0``; a lookup as the id of its row.
Reading is strict: what cannot be read is the person's to correct, with a sentence that says how.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import regex
from babel.numbers import NumberFormatError, format_decimal, parse_decimal

from forecourt.dataverse.definitions import Form, FormColumn
from forecourt.dataverse.tables import Table
from forecourt.kernel.model import EntityField, Enum
from forecourt.kernel.types import INTEGERS, NUMBERS, Kind
from forecourt.pages import formatting
from forecourt.pages.formatting import Locales
from forecourt.pages.site.field_rules import FieldRule, FieldRules

InputKind = Literal[
    "text", "memo", "date", "datetime", "number", "choice", "choices", "yesno", "email", "tel", "url", "lookup"
]

MAX_TEXT = 4000

#: Seconds for which a form's pattern is tried on what was typed.
PATTERN_SECONDS = 0.1

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
#: Of numbers; what else stands between digits is the language's to say.
_NO_NUMBER = re.compile(r"[^\W0-9]|_", re.UNICODE)
MAX_MEMO = 100_000
_LIMITS = {Kind.INT32: 2**31, Kind.INT64: 2**63}


class Unreadable(Exception):
    """What was typed is no value of the field; the text says what to write. ``about``: what of it is wrong."""

    def __init__(self, text: str, about: Literal["value", "required", "range"] = "value") -> None:
        super().__init__(text)
        self.about = about


@dataclass(frozen=True, slots=True)
class FormField:
    """A column on a form. ``options``: (value, label) of a choice. ``rule``: what the form says of it."""

    column: EntityField
    label: str
    kind: InputKind
    required: bool
    read_only: bool
    options: tuple[tuple[str, str], ...] = ()
    rule: FieldRule | None = None

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def whole(self) -> bool:
        return self.column.kind in INTEGERS

    @property
    def length(self) -> int:
        return self.column.length or (MAX_MEMO if self.kind == "memo" else MAX_TEXT)


@dataclass(frozen=True, slots=True)
class Section:
    label: str
    fields: tuple[FormField, ...]


def ruled(section: Section, rules: FieldRules) -> Section:
    """The section as the form has it: other labels, fields that need a value."""
    fields = []
    for item in section.fields:
        rule = rules.get(item.name) or rules.get(item.name.removeprefix("_").removesuffix("_value"))
        if rule is not None:
            item = replace(item, rule=rule, label=rule.label or item.label, required=item.required or rule.required)
        fields.append(item)
    return replace(section, fields=tuple(fields))


def sections_of(table: Table, form: Form, enums: Mapping[str, Enum], new: bool = False) -> tuple[Section, ...]:
    """The form's sections with the columns that the table has. ``new``: for a row that is made by it."""
    found = []
    for section in form.sections:
        fields = []
        for item in section.columns:
            placed = item if isinstance(item, FormColumn) else FormColumn(column=item)
            column = table.column(placed.column)
            if column is not None:
                fields.append(_field(table, column, placed, enums, new))
        if fields:
            found.append(Section(section.label, tuple(fields)))
    return tuple(found)


def _field(table: Table, column: EntityField, placed: FormColumn, enums: Mapping[str, Enum], new: bool) -> FormField:
    enum = enums.get(column.enum) if column.enum else None
    kind: InputKind = "text"
    options: tuple[tuple[str, str], ...] = ()
    if enum is not None and (column.several or not formatting.is_yes_no(enum)):
        kind = "choices" if column.several else "choice"
        options = tuple((str(member.choice), member.label or member.symbol) for member in enum.members)
    elif column.targets:
        kind = "lookup"
    elif enum is not None or column.kind is Kind.BOOLEAN:
        kind = "yesno"
    elif column.kind is Kind.DATE:
        kind = "date"
    elif column.kind is Kind.DATETIME:
        kind = "datetime"
    elif column.kind in NUMBERS:
        kind = "number"
    elif column.memo:
        kind = "memo"
    elif re.search(r"e-?mail", column.name):
        kind = "email"
    elif re.search(r"phone", column.name):
        kind = "tel"
    elif re.search(r"(url|website)$", column.name):
        kind = "url"
    if new:
        fixed = placed.read_only or not column.creatable or column.name == table.primary_id
    else:
        fixed = placed.read_only or not column.editable or column.name in {table.primary_id, *table.entity.key}
    required = placed.required or (new and column.required and not column.filled)
    return FormField(column, placed.label or column.label or column.name, kind, required, fixed, options)


def text_of(field: FormField, value: Any, enums: Mapping[str, Enum], locales: Locales) -> str:
    """The text that the field's input holds for a row's value."""
    if value is None:
        return "0" if field.kind == "yesno" else ""
    match field.kind:
        case "choices":
            chosen = str(value).split(",")
            return ",".join(number for number, _ in field.options if number in chosen)
        case "choice" | "yesno" if field.column.enum:
            member = formatting.member_of(enums.get(field.column.enum), value)
            if field.kind == "yesno":
                return "1" if member is not None and member.symbol.lower() == "yes" else "0"
            return str(member.choice) if member is not None else ""
        case "yesno":
            return "1" if value in (True, 1, "true", "True") else "0"
        case "date":
            day = formatting.as_date(value)
            return day.isoformat() if day else ""
        case "datetime":
            moment = formatting.as_moment(value)
            return moment.astimezone(zone_of(field.column, locales)).strftime("%Y-%m-%dT%H:%M") if moment else ""
        case "number":
            number = formatting.as_number(value)
            return "" if number is None else format_decimal(number, "0.##########", locale=locales.locale)
        case _:
            return str(value).replace("\r\n", "\n")


def value_of(field: FormField, text: str, enums: Mapping[str, Enum], locales: Locales) -> object:
    """The Dataverse value of what was typed. Raises Unreadable, in the form's own words where it has them."""
    rule = field.rule
    try:
        value = _value_of(field, text, enums, locales)
        if rule is not None and rule.pattern and text.strip() and not _matches(rule.pattern, text.strip()):
            raise Unreadable(
                rule.pattern_text or locales.gettext("%(label)s is not written as it should be.", label=field.label)
            )
    except Unreadable as error:
        if rule is None:
            raise
        own = {"required": rule.required_text, "range": rule.range_text, "value": ""}[error.about]
        raise Unreadable(own or rule.error_text or str(error), error.about) from None
    return value


def _matches(pattern: str, text: str) -> bool:
    """Whether a text matches as a whole. One that takes too long to try does not."""
    try:
        return regex.fullmatch(pattern, text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        return False


def _value_of(field: FormField, text: str, enums: Mapping[str, Enum], locales: Locales) -> object:
    _, within = locales.gettext, _within(field.label, locales)
    if field.kind == "yesno":
        if text not in ("0", "1"):
            raise Unreadable(_("Choose %(label)s from the list.", label=within))
        return _yes_no(field, text == "1", enums)
    if not text.strip():
        if field.required:
            raise Unreadable(_needed(field, locales), "required")
        return None if field.column.nullable or field.column.kind is not Kind.STRING else ""
    match field.kind:
        case "choice":
            if text not in {value for value, _ in field.options}:
                raise Unreadable(_("Choose %(label)s from the list.", label=within))
            return int(text)
        case "choices":
            if not set(text.split(",")) <= {value for value, _ in field.options}:
                raise Unreadable(_("Choose %(label)s from the list.", label=within))
            return ",".join(sorted(set(text.split(",")), key=int))
        case "date":
            return _date(field, text, locales)
        case "datetime":
            return _moment(field, text, locales)
        case "number":
            return _number(field, text, locales)
        case "email" if not re.fullmatch(r"[^@\s]+@[^@\s]+", text.strip()):
            raise Unreadable(_("Write %(label)s in the form name@company.com.", label=within))
        case "url" if not re.fullmatch(r"https?://[^\s<>\"']+", text.strip(), re.IGNORECASE):
            raise Unreadable(_("Write %(label)s in the form https://www.company.com.", label=within))
    if field.column.kind is Kind.GUID:
        try:
            return str(UUID(text.strip()))
        except ValueError:
            if field.kind == "lookup":
                raise Unreadable(_("Choose %(label)s from the rows found.", label=within)) from None
            raise Unreadable(_("%(label)s is not a valid reference.", label=field.label)) from None
    value = text if field.kind == "memo" else text.strip()
    if len(value) > field.length:
        text = _(
            "%(label)s may have at most %(most)s characters; it has %(now)s.",
            label=field.label,
            most=field.length,
            now=len(value),
        )
        raise Unreadable(text)
    return value


def _range(label: str, least: float | None, most: float | None, locales: Locales) -> str:
    low, high = (format_decimal(Decimal(str(end or 0)), "0.##########", locale=locales.locale) for end in (least, most))
    if least is None:
        return locales.gettext("%(label)s must be at most %(high)s.", label=label, high=high)
    if most is None:
        return locales.gettext("%(label)s must be at least %(low)s.", label=label, low=low)
    return locales.gettext("%(label)s must be between %(low)s and %(high)s.", label=label, low=low, high=high)


def _needed(field: FormField, locales: Locales) -> str:
    label = _within(field.label, locales)
    if field.kind in {"choice", "choices", "date", "datetime", "lookup"}:
        return locales.gettext("Choose %(label)s.", label=label)
    return locales.gettext("Enter %(label)s.", label=label)


def _within(label: str, locales: Locales) -> str:
    """A label within a sentence: in English its first letter is small unless the word is an abbreviation."""
    label = locales.label(label)
    return label if locales.language != "en" or label[:2].isupper() else label[:1].lower() + label[1:]


def _yes_no(field: FormField, yes: bool, enums: Mapping[str, Enum]) -> object:
    enum = enums.get(field.column.enum) if field.column.enum else None
    if enum is None:
        return yes
    return next(member.choice for member in enum.members if (member.symbol.lower() == "yes") == yes)


def _date(field: FormField, text: str, locales: Locales) -> dt.date:
    _ = locales.gettext
    try:
        if not _DAY.fullmatch(text.strip()):
            raise ValueError
        day = dt.date.fromisoformat(text.strip())
    except ValueError:
        raise Unreadable(_("%(label)s is not a date. Write it as 2026-12-31.", label=field.label)) from None
    if not 1900 < day.year < 2155:
        raise Unreadable(_("%(label)s must be a date between 1901 and 2154.", label=field.label))
    return day


def _moment(field: FormField, text: str, locales: Locales) -> dt.datetime:
    try:
        if not _MOMENT.fullmatch(text.strip()):
            raise ValueError
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        text = locales.gettext("%(label)s is not a date and time. Write it as 2026-12-31T17:00.", label=field.label)
        raise Unreadable(text) from None
    if not 1900 < moment.year < 2155:
        text = locales.gettext("%(label)s must be a date between 1901 and 2154.", label=field.label)
        raise Unreadable(text, "range")
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone_of(field.column, locales))).astimezone(dt.UTC)


def zone_of(column: EntityField, locales: Locales) -> dt.tzinfo:
    """The time zone that a moment of the column is typed and shown in: of a native column without one, as it stands."""
    return dt.UTC if column.storage == "timestamp" and not column.base else locales.zone


def _number(field: FormField, text: str, locales: Locales) -> Decimal | int | float:
    _ = locales.gettext
    example = format_decimal(12 if field.whole else Decimal("1234.5"), "0.##", locale=locales.locale)
    try:
        if _NO_NUMBER.search(text):
            raise NumberFormatError(text)
        number = parse_decimal(text.strip(), locale=locales.locale, strict=True)
    except NumberFormatError:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Unreadable(_("%(label)s is not a number. Write it as %(example)s.", label=field.label, example=example))
    if abs(number) >= Decimal(10) ** 26:
        raise Unreadable(_("%(label)s is too large.", label=field.label))
    if field.whole:
        if number != number.to_integral_value():
            raise Unreadable(
                _("%(label)s must be a whole number, such as %(example)s.", label=field.label, example=example)
            )
        if not -_LIMITS[field.column.kind] <= number < _LIMITS[field.column.kind]:
            raise Unreadable(_("%(label)s is too large.", label=field.label))
    least, most = field.column.least, field.column.most
    if (least is not None and number < Decimal(str(least))) or (most is not None and number > Decimal(str(most))):
        raise Unreadable(_range(field.label, least, most, locales), "range")
    if field.whole:
        return int(number)
    return float(number) if field.column.kind is Kind.DOUBLE else number
