"""Filters of the portal's Liquid dialect that plain Liquid has not (pages-and-dataverse A4.2), for texts and URLs.

Their results are plain text, so autoescaping still applies to them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit


def url_escape(value: object) -> str:
    return quote(_text(value), safe="")


def boolean(value: object) -> bool:
    return _text(value).strip().lower() in {"true", "1", "yes", "on", "enabled"}


def integer(value: object) -> int | None:
    try:
        return int(Decimal(_text(value).strip()))
    except (InvalidOperation, ValueError, OverflowError):
        return None


def decimal(value: object) -> Decimal | None:
    try:
        return Decimal(_text(value).strip())
    except InvalidOperation:
        return None


def string(value: object) -> str:
    return _text(value)


def has_role(user: object, role: object) -> bool:
    """Whether the user (``user`` of the page) holds a web role."""
    return isinstance(user, Mapping) and _text(role) in user.get("roles", ())


def add_query(url: object, name: object, value: object) -> str:
    """The URL with one more parameter; one of the same name is replaced."""
    parts = urlsplit(_text(url))
    pairs = [(key, text) for key, text in parse_qsl(parts.query, keep_blank_values=True) if key != _text(name)]
    return urlunsplit(parts._replace(query=urlencode([*pairs, (_text(name), _text(value))])))


def remove_query(url: object, name: object) -> str:
    parts = urlsplit(_text(url))
    pairs = [(key, text) for key, text in parse_qsl(parts.query, keep_blank_values=True) if key != _text(name)]
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def path(url: object) -> str:
    return urlsplit(_text(url)).path


def path_and_query(url: object) -> str:
    parts = urlsplit(_text(url))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def host(url: object) -> str:
    return urlsplit(_text(url)).hostname or ""


def date_to_iso8601(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else _text(value)


def plain(value: object) -> str:
    """``escape``, ``h`` and their like: the text itself, which autoescaping then escapes once."""
    return _text(value)


def _text(value: object) -> str:
    return "" if value is None else str(value)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "url_escape": url_escape,
    "boolean": boolean,
    "integer": integer,
    "decimal": decimal,
    "string": string,
    "has_role": has_role,
    "add_query": add_query,
    "remove_query": remove_query,
    "path": path,
    "path_and_query": path_and_query,
    "host": host,
    "date_to_iso8601": date_to_iso8601,
    "h": plain,
    "xml_escape": plain,
    "html_safe_escape": plain,
}
