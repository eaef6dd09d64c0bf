"""The resource path: which rows of which entity set, or what else, a URL names.

Grammar (below the service root; percent-decoded per segment, so that ``%2F`` in a key stays part of the key)::

    path      = "" | "$metadata" | "$batch" | segment *( "/" segment )
    segment   = name [ "(" key | arguments ")" ] | "$count" | "$value" | "$ref" | namespace "." operation
    key       = literal | name "=" literal *( "," name "=" literal )

Key values are literals: lifted like all others, they aren't part of the shape. Names are case-sensitive and not looked
up here: whether ``X`` in ``Set(key)/X`` is a relation or a field is for ``query.plan``. Paths longer than the kinds
below name are of kind ``other``: their segments are there for those who know them (metadata, ``$ref``).
Sources: operations-and-integration 5.2, 5.5; pages-and-dataverse B1.1, B3; OData 4.0 Part 2, section 4.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote

import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import Literal, Token, lift, printable, tokenise

MAX_SEGMENTS = 16


class PathKind(StrEnum):
    """``MEMBER``: ``Set(key)/X``, where X is a relation or a field. ``OPERATION``: a function or an action."""

    SERVICE = "service"
    METADATA = "metadata"
    BATCH = "batch"
    SET = "set"
    COUNT = "count"
    ROW = "row"
    MEMBER = "member"
    MEMBER_COUNT = "member-count"
    OPERATION = "operation"
    OTHER = "other"


class KeyPart(msgspec.Struct, frozen=True, gc=False):
    """One value of a key. ``name`` is '' in ``Set('x')``. ``literal``: its number; ``token`` tells its kind."""

    name: str
    literal: int
    token: Token


class Segment(msgspec.Struct, frozen=True):
    """``key`` None: no parentheses. ``arguments``: the text in the parentheses where that is not a key."""

    name: str
    key: tuple[KeyPart, ...] | None = None
    arguments: str = ""


class ResourcePath(msgspec.Struct, frozen=True):
    """A parsed path. ``set``, ``key``, ``member``: of the kinds that have them. ``operation``: the qualified name."""

    kind: PathKind
    segments: tuple[Segment, ...] = ()
    set: str = ""
    key: tuple[KeyPart, ...] = ()
    member: str = ""
    operation: str = ""
    arguments: str = ""


class PathShape(msgspec.Struct, frozen=True):
    """A path, its shape (the cache key's part) and its literals."""

    path: ResourcePath
    shape: str
    literals: tuple[Literal, ...]


_NAME = re.compile(r"\$?[A-Za-z_][\w.\-]*+", re.ASCII)
_DOLLAR = {"$count", "$value", "$ref", "$metadata", "$batch"}


def decode(text: str, source: str) -> str:
    """Percent-decoding, strictly UTF-8. Refuses anything else, and NUL."""
    if "%" in text:
        try:
            text = unquote(text, errors="strict")
        except UnicodeDecodeError:
            raise Refusal("FC1001", f"The {source} is not UTF-8.", source=source) from None
        if "\x00" in text:
            raise Refusal("FC1001", f"The {source} contains a NUL character.", source=source)
    return text


def parse_path(raw: str, dialect: Dialect) -> PathShape:
    """``raw`` is percent-encoded and relative to the service root; a leading slash is optional."""
    if "'" not in raw and "%" not in raw and "(" not in raw and len(raw) <= 256:
        return _plain(raw)
    shapes: list[str] = []
    literals: list[Literal] = []
    for part in raw.split("/"):
        shape, found = _lift_segment(decode(part, "path"), dialect)
        shapes.append(shape)
        literals.extend(found)
    key = tuple(shapes)
    path = _structure(key) if sum(map(len, key)) <= 512 else _build(key)
    return PathShape(path, "/".join(shapes), tuple(literals))


@lru_cache(maxsize=1024)
def _plain(raw: str) -> PathShape:
    return PathShape(_build(tuple(raw.split("/"))), raw, ())


def _lift_segment(text: str, dialect: Dialect) -> tuple[str, tuple[Literal, ...]]:
    """Only the values of a key are literals; arguments of a function stay as they are, behind a blank."""
    name, mark, inner = text.partition("(")
    if not mark:
        return text, ()
    if " " in name:
        raise Refusal("FC4042", "Resource not found: a segment's name holds a blank.", source="path")
    if not inner.endswith(")"):
        raise Refusal("FC1001", "A parenthesis is not closed.", source="path")
    if "." in name or inner[0] == ")" or "@" in inner.partition("'")[0]:
        return f"{name} ({inner}", ()
    shape, literals = lift(inner, dialect, None, "key")
    return f"{name}({shape}", literals


def _build(shapes: tuple[str, ...]) -> ResourcePath:
    if shapes and not shapes[0]:
        shapes = shapes[1:]
    if shapes and not shapes[-1]:
        shapes = shapes[:-1]
    if not shapes:
        return ResourcePath(PathKind.SERVICE)
    if len(shapes) > MAX_SEGMENTS:
        raise Refusal("FC1001", f"The path has more than {MAX_SEGMENTS} segments.", source="path")
    first = 0
    segments: list[Segment] = []
    for shape in shapes:
        segment = _segment(shape, first)
        segments.append(segment)
        first += len(segment.key or ())
    return _classify(tuple(segments))


_structure = lru_cache(maxsize=4096)(_build)


def _segment(shape: str, first: int) -> Segment:
    name, mark, inner = shape.partition("(")
    call = name.endswith(" ")
    name = name.removesuffix(" ")
    if not _NAME.fullmatch(name) or (name[0] == "$" and name not in _DOLLAR):
        raise Refusal("FC4042", f"Resource not found for the segment '{printable(name[:100])}'.", source="path")
    if not mark:
        return Segment(name)
    inner = inner.removesuffix(")")
    return Segment(name, (), inner) if call else Segment(name, _key(tokenise(inner, first, "key")))


def _key(tokens: list[Token]) -> tuple[KeyPart, ...]:
    parts: list[KeyPart] = []
    at = 0
    while True:
        name = ""
        if tokens[at].type == "word" and tokens[at + 1].type == "=":
            name = tokens[at].text
            at += 2
        token = tokens[at]
        if token.type not in ("literal", "enum"):
            raise Refusal(
                "FC1001",
                "The key cannot be read.",
                source="key",
                hint="Write Set('value') or Set(Field1='value',Field2=5); text stands in single quotes.",
            )
        parts.append(KeyPart(name, token.index, token))
        at += 1
        if tokens[at].type == "end":
            break
        if tokens[at].type != ",":
            raise Refusal("FC1001", "The parts of a key are separated by commas.", source="key")
        at += 1
    names = [part.name for part in parts]
    if len(set(names)) < len(names) or (len(names) > 1 and "" in names):
        raise Refusal("FC1001", "Each part of a key is named, once: Set(Field1='value',Field2=5).", source="key")
    return tuple(parts)


def _classify(segments: tuple[Segment, ...]) -> ResourcePath:
    head = segments[0]
    last = segments[-1]
    count = len(segments)
    if head.name.startswith("$"):
        if count > 1 or head.name not in ("$metadata", "$batch") or head.key is not None:
            raise Refusal("FC4042", f"Resource not found for the segment '{head.name}'.", source="path")
        return ResourcePath(PathKind.METADATA if head.name == "$metadata" else PathKind.BATCH, segments)
    if any(segment.key is not None and segment.name.startswith("$") for segment in segments):
        raise Refusal("FC4042", "Resource not found: a key after a '$' segment.", source="path")
    unbound = count == 1 and head.key == ()
    if unbound or ("." in last.name and count <= 2):
        return ResourcePath(
            PathKind.OPERATION,
            segments,
            set="" if count == 1 else head.name,
            key=() if count == 1 else head.key or (),
            operation=last.name,
            arguments=last.arguments,
        )
    if head.key is None:
        if count == 1:
            return ResourcePath(PathKind.SET, segments, set=head.name)
        if count == 2 and last.name == "$count":
            return ResourcePath(PathKind.COUNT, segments, set=head.name)
    elif head.key:
        if count == 1:
            return ResourcePath(PathKind.ROW, segments, set=head.name, key=head.key)
        member = segments[1].key is None and not segments[1].name.startswith("$")
        if member and count == 2:
            return ResourcePath(PathKind.MEMBER, segments, set=head.name, key=head.key, member=last.name)
        if member and count == 3 and last.name == "$count":
            return ResourcePath(PathKind.MEMBER_COUNT, segments, set=head.name, key=head.key, member=segments[1].name)
    return ResourcePath(PathKind.OTHER, segments, set=head.name, key=head.key or ())
