"""A request's URL as data: path, options as shapes, literals apart, and the key under which its plan is cached.

Decides structure before anything is decoded: the query is split at ``&`` first, so that ``%26`` in a literal stays in
the literal; then each option is decoded and its literals are lifted (``lexer``). Names are not looked up here and
expressions not parsed: that is ``query.plan``, which depends on nothing but :attr:`Request.shape_key` and so runs once
per shape. What a single option gives is remembered (bounded), since clients repeat themselves.

Options that begin with ``$`` and aren't known are refused, as are options given twice; other names are handed on in
``custom`` (``fetchXml``, ``sql``, ``tag``) and ignored by all who don't know them (OData 4.0 Part 1, 11.2.1). The shape
of ``$id``, the address of a row, is its text.
Limits: URL 32,768 characters, 1,000 literals.
Sources: performance 5, 12; pages-and-dataverse B1.1; operations-and-integration 5.3, 5.4.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache

import msgspec

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import MAX_LITERALS, Literal, LiteralKind, lift, printable
from forecourt.odata.paging import Position, fingerprint, read_token
from forecourt.odata.path import ResourcePath, decode, parse_path

MAX_URL = 32_768
_CACHED_OPTION = 512


class Option(msgspec.Struct, frozen=True, gc=False):
    """A system query option: its shape, and the number of its first literal in the request."""

    name: str
    shape: str
    first: int


class Request(msgspec.Struct, frozen=True):
    """What a URL says. ``literals``: path first, then options in order, then the position of ``$skiptoken``.

    ``custom``: options that aren't the protocol's, decoded. ``raw_query``: the query as it came, without
    ``$skiptoken``, for next links; ``raw_path`` likewise. ``position``: decoded ``$skiptoken``; the literals of
    ``$top`` and ``$skip`` are already lowered by what earlier pages returned. ``top``: number of $top's literal, or -1.
    """

    shape_key: Hashable
    path: ResourcePath
    options: tuple[Option, ...]
    literals: tuple[Literal, ...]
    custom: tuple[tuple[str, str], ...]
    cross_company: bool
    raw_path: str
    raw_query: str
    position: Position | None = None
    top: int = -1
    fingerprint_source: tuple[Hashable, tuple[Literal, ...]] | None = None

    def option(self, name: str) -> Option | None:
        """The system option of that name (``$filter``), or None."""
        for option in self.options:
            if option.name == name:
                return option
        return None

    def custom_option(self, name: str) -> str | None:
        """The value of an option that isn't the protocol's, or None."""
        for known, value in self.custom:
            if known == name:
                return value
        return None


def _text(raw: str | bytes, what: str) -> str:
    if isinstance(raw, bytes):
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Refusal("FC1001", f"The {what} is not UTF-8.", source=what) from None
    if not raw.isascii():
        try:
            raw.encode("utf-8")
        except UnicodeEncodeError:
            raise Refusal("FC1001", f"The {what} is not valid text.", source=what) from None
    return raw


def analyse(raw_path: str | bytes, raw_query: str | bytes, dialect: Dialect) -> Request:
    """The URL below the service root as a Request. Both parts are percent-encoded, as they came; no leading ``?``.

    Raises Refusal FC1001, FC1004, FC1005 (414 for the URL's length), FC1007, FC4042.
    """
    if len(raw_path) + len(raw_query) >= MAX_URL:
        raise Refusal("FC1005", f"The URL is longer than {MAX_URL} characters.", status=414, hint="Use $batch.")
    path_text = _text(raw_path, "path")
    query = _text(raw_query, "query")
    if "\x00" in query or "\x00" in path_text:
        raise Refusal("FC1001", "The URL contains a NUL character.")
    path = parse_path(path_text, dialect)
    if not query:
        key = (dialect.name, path.shape)
        return Request(key, path.path, (), path.literals, (), False, path_text, "")
    return _with_query(path_text, path.shape, path.path, path.literals, query, dialect)


def _with_query(
    path_text: str,
    path_shape: str,
    path: ResourcePath,
    path_literals: tuple[Literal, ...],
    query: str,
    dialect: Dialect,
) -> Request:
    literals = list(path_literals)
    options: list[Option] = []
    custom: list[tuple[str, str]] = []
    key: list[str] = [dialect.name, path_shape]
    top = skip = -1
    cross_company = False
    token: str | None = None
    seen: set[str] = set()
    aliases = _aliases(query) if dialect.aliases and _has_aliases(query) else None
    for part in query.split("&"):
        if not part:
            continue
        if aliases is None and len(part) <= _CACHED_OPTION:
            name, shape, found = _cached_option(part, dialect)
        else:
            name, shape, found = _option(part, dialect, aliases)
        if name in seen:
            raise Refusal("FC1001", f"The option {printable(name)} is given twice.", source=name)
        seen.add(name)
        if name[:1] != "$":
            if name == "cross-company" and dialect.cross_company:
                cross_company = shape == "true"
                key.append(f"&{name}={shape}")
            else:
                custom.append((name, shape))
        elif name == "$skiptoken":
            token = shape
        else:
            if name == "$top" and found:
                top = len(literals)
            elif name == "$skip" and found:
                skip = len(literals)
            options.append(Option(name, shape, len(literals)))
            key.append(name)
            key.append(shape)
            if found:
                literals.extend(found)
    if len(literals) > MAX_LITERALS:
        raise Refusal("FC1005", f"The request has more than {MAX_LITERALS} literals.", status=400)
    shape_key = tuple(key)
    if token is None:
        return Request(
            shape_key,
            path,
            tuple(options),
            tuple(literals),
            tuple(custom),
            cross_company,
            path_text,
            query,
            None,
            top,
        )
    position = read_token(token, fingerprint(shape_key, literals))
    source = (shape_key, tuple(literals))
    _lower(literals, top, position.taken)
    if skip >= 0:
        literals[skip] = Literal(LiteralKind.INTEGER, "0")
    options.append(Option("$skiptoken", position.shape, len(literals)))
    literals.extend(position.literals)
    rest = "&".join(part for part in query.split("&") if not _is_token(part))
    return Request(
        (*shape_key, "$skiptoken", position.shape),
        path,
        tuple(options),
        tuple(literals),
        tuple(custom),
        cross_company,
        path_text,
        rest,
        position,
        top,
        source,
    )


def _lower(literals: list[Literal], top: int, taken: int) -> None:
    """``$top`` counts over all pages: what is left of it after ``taken`` rows."""
    if top < 0 or not literals[top].text.isdigit() or len(literals[top].text) > 10:
        return
    left = int(literals[top].text) - taken
    if left <= 0:
        raise Refusal("FC1007", "The paging token does not belong to this query.", source="$skiptoken")
    literals[top] = Literal(LiteralKind.INTEGER, str(left))


def _is_token(part: str) -> bool:
    return decode(part.partition("=")[0].replace("+", " "), "option") == "$skiptoken"


def _has_aliases(query: str) -> bool:
    padded = f"&{query}"
    return "&@" in padded or "&%40" in padded


def _aliases(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name = decode(name, "option")
        if name.startswith("@"):
            if name in found:
                raise Refusal("FC1001", f"The alias {printable(name)} is given twice.", source=printable(name))
            found[name] = decode(value.replace("+", " "), name)
    return found


def _option(part: str, dialect: Dialect, aliases: dict[str, str] | None) -> tuple[str, str, tuple[Literal, ...]]:
    """One option as (name, shape, literals); of a custom one the shape is its decoded value."""
    raw_name, _, raw_value = part.partition("=")
    name = decode(raw_name.replace("+", " "), "option")
    value = decode(raw_value.replace("+", " "), "option " + printable(name[:40]))
    if name[:1] != "$":
        if name == "cross-company" and dialect.cross_company:
            value = value.lower()
            if value not in ("true", "false"):
                raise Refusal("FC1001", "cross-company is true or false.", source=name)
        return name, value, ()
    if name == "$id":
        return name, value, ()
    if name not in dialect.options:
        shown = printable(name[:40])
        raise Refusal(
            "FC1004",
            f"The query option {shown} is not supported here.",
            source=shown,
            hint=suggest(shown, dialect.options) or "Supported are: " + ", ".join(sorted(dialect.options)) + ".",
        )
    if name in ("$skiptoken", "$format"):
        value = value.strip()
        if name == "$format":
            _check_format(value)
        return name, value, ()
    shape, literals = lift(value, dialect, aliases, name)
    shape = shape.strip()
    if not shape:
        raise Refusal("FC1001", f"The option {name} is empty.", source=name)
    return name, shape, literals


@lru_cache(maxsize=8192)
def _cached_option(part: str, dialect: Dialect) -> tuple[str, str, tuple[Literal, ...]]:
    return _option(part, dialect, None)


def _check_format(value: str) -> None:
    if value.partition(";")[0].strip().lower() not in ("json", "application/json"):
        raise Refusal("FC1010", "The only format is JSON.", hint="$format=json", source="$format")
