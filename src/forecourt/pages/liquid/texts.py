"""Filters of texts, numbers and types, and the two that make markup or render it (pages-and-dataverse A4.2).

``rawhtml`` is ours: it says that a value is markup, and is the maker's to answer for. ``liquid`` renders what the site
itself says, and nothing else: a value of a row or a request is never a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from babel.numbers import format_currency, format_decimal
from liquid import RenderContext
from liquid.filter import with_context
from liquid.undefined import Undefined
from markupsafe import Markup, escape

from forecourt.pages.liquid.dialect import Dialect, SiteText

_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")


def _text(value: object) -> str:
    return "" if value is None else str(value)


def boolean(value: object) -> bool:
    return _text(value).strip().lower() in {"true", "1", "yes", "on", "enabled"}


def integer(value: object) -> int | None:
    found = decimal(value)
    return None if found is None or not found.is_finite() else int(found)


def decimal(value: object) -> Decimal | None:
    try:
        found = Decimal(_text(value).strip()[:100])
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found.adjusted()) < 30 else None


def string(value: object) -> str:
    return _text(value)


def has_role(user: object, role: object) -> bool:
    """Whether the user (``user`` of the page) holds a web role."""
    return isinstance(user, Mapping) and _text(role) in user.get("roles", ())


def escaped(value: object) -> str:
    """The text itself, which autoescaping then escapes once."""
    return str.__str__(value) if isinstance(value, Markup) else _text(value)


def text_to_html(value: object) -> Markup:
    """Paragraphs, line breaks and links of a plain text, escaped."""
    paragraphs = [part for part in re.split(r"(?:\r?\n){2,}", _text(value).strip()) if part]
    return Markup("\n").join(
        Markup("<p>{}</p>").format(Markup("<br />").join(map(_linked, part.splitlines()))) for part in paragraphs
    )


def _linked(line: str) -> Markup:
    found, at = Markup(), 0
    for link in _LINK.finditer(line):
        found += escape(line[at : link.start()]) + Markup('<a href="{0}" rel="nofollow noopener">{0}</a>').format(
            link[0]
        )
        at = link.end()
    return found + escape(line[at:])


def newline_to_br(value: object) -> Markup:
    return Markup("<br />\n").join(escape(line) for line in _text(value).splitlines())


def strip_html(value: object) -> str:
    """The text without tags, scripts and styles."""
    text = _text(value)
    text = re.sub(r"(?is)<(script|style)\b.*?(</\1\s*>|$)", "", text)
    text = re.sub(r"(?s)<!--.*?(-->|$)", "", text)
    return re.sub(r"(?s)<[^>]*(>|$)", "", text)


def truncate_words(value: object, count: object = 15, ending: object = "...") -> str:
    words = _text(value).split()
    most = max(1, int(str(count)))
    return " ".join(words[:most]) + _text(ending) if len(words) > most else _text(value)


def split(value: object, separator: object = " ") -> list[str]:
    text, between = _text(value), _text(separator)
    return [part for part in (text.split(between) if between else list(text)) if part or not between.isspace()]


def file_size(value: object, precision: object = 1) -> str:
    """A number of bytes in a unit that people read."""
    size = float(decimal(value) or 0)
    digits = min(max(int(str(precision)), 0), 6)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.{digits}f} {unit}"
        size /= 1024
    return ""


def money(value: object, currency: object = None) -> str:
    """An amount with two decimals, in a currency with its symbol: ours, the original has no such filter."""
    amount = decimal(value)
    if amount is None:
        return ""
    code = _text(currency).strip().upper()
    if isinstance(currency, Undefined) or not re.fullmatch("[A-Z]{3}", code):
        return str(format_decimal(amount, "#,##0.00", locale="en_US"))
    return str(format_currency(amount, code, locale="en_US"))


def rawhtml(value: object) -> Markup:
    return Markup(_text(value))  # noqa: S704 - the maker says that it is markup


@with_context
def liquid(value: object, *, context: RenderContext) -> object:
    """The value: only where texts are rendered can one be rendered within another."""
    return value


async def _liquid(value: object, *, context: RenderContext) -> object:
    if type(value) is not SiteText:
        return value
    assert isinstance(context.env, Dialect)
    return await rendered(context, str.__str__(value))


async def rendered(context: RenderContext, source: str) -> Markup:
    """A text of the site within the one that is rendered."""
    assert isinstance(context.env, Dialect)
    template = context.env.parsed(source, "a text of the site")
    for error in template.errors:
        context.env.error(error)
    buffer = context.get_buffer()
    with context.extend({}, template=template):
        await template.render_with_context_async(context, buffer, partial=True)
    return Markup(buffer.getvalue())  # noqa: S704 - values were escaped


liquid.filter_async = _liquid  # type: ignore[attr-defined]

FILTERS: Mapping[str, Callable[..., Any]] = {
    "boolean": boolean,
    "decimal": decimal,
    "escape": escaped,
    "file_size": file_size,
    "h": escaped,
    "has_role": has_role,
    "html_safe_escape": escaped,
    "integer": integer,
    "liquid": liquid,
    "money": money,
    "newline_to_br": newline_to_br,
    "rawhtml": rawhtml,
    "split": split,
    "string": string,
    "strip_html": strip_html,
    "text_to_html": text_to_html,
    "truncate_words": truncate_words,
    "truncatewords": truncate_words,
    "xml_escape": escaped,
}
