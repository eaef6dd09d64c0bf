"""Filters of URLs (pages-and-dataverse A4.2). Their results are plain text, so autoescaping still applies to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit


def url_escape(value: object) -> str:
    return quote(_text(value), safe="")


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


def base(url: object) -> str:
    """Scheme and host."""
    parts = urlsplit(_text(url))
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def scheme(url: object) -> str:
    return urlsplit(_text(url)).scheme


def port(url: object) -> int | None:
    parts = urlsplit(_text(url))
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _text(value: object) -> str:
    return "" if value is None else str(value)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "add_query": add_query,
    "base": base,
    "host": host,
    "path": path,
    "path_and_query": path_and_query,
    "port": port,
    "remove_query": remove_query,
    "scheme": scheme,
    "url_escape": url_escape,
}
