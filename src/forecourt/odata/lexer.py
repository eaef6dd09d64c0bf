"""Lifts literals out of an option's text, and turns what is left (the shape) into tokens.

Decides where a literal begins and ends, so that everything behind the lexer depends on the shape alone and a plan can
be cached by it. One regular expression finds the literals; each is replaced by ``'k'`` where ``k`` is its kind::

    OrderNumber eq 'PO-1' and Qty gt 5      ->  OrderNumber eq 's' and Qty gt 'i'
    Status eq Ns.PurchStatus'Backorder'     ->  Status eq Ns.PurchStatus'e'

A quote begins a literal or is an error, so a placeholder can't be forged, and two texts have one shape exactly when
they differ in nothing but the values of literals of the same kinds. ``null``, ``true``, ``false`` stay in the shape,
as does the column that ``PropertyName='...'`` names. Every alternative is possessive: time is linear in the text.

Kinds are those of OData 4.0 ABNF that fields can have; durations, times of day and binary are left out.
Source: performance 5, 12 (shape plans); OData 4.0 ABNF, primitiveLiteral.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.odata.dialect import Dialect

MAX_LITERALS = 1000


class LiteralKind(StrEnum):
    """The kind of a literal, told by its form alone. ``WILDCARD``: text with ``*``, in dialects that match by it."""

    STRING = "s"
    WILDCARD = "w"
    GUID = "g"
    DATE = "d"
    DATETIME = "t"
    INTEGER = "i"
    DECIMAL = "n"
    DOUBLE = "f"
    ENUM = "e"
    BOOLEAN = "b"


class Literal(msgspec.Struct, frozen=True, gc=False):
    """A literal of a request. ``text``: its characters, quotes and escapes removed; an enum's is its symbol."""

    kind: LiteralKind
    text: str


KINDS = {kind.value: kind for kind in LiteralKind}

_GUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![\w\-])"
_PROPERTY = r"PropertyName\s*+=\s*+'"

#: One match takes a stretch of structure (words and marks) and the literal that ends it.
_LIFT = re.compile(
    rf"""
    (?P<structure>(?:
        (?!{_GUID}|{_PROPERTY})[A-Za-z_$][\w.]*+(?!')
      | [^\w'"@\-]++
    )*+)
    (?:
        '(?P<s>(?:[^']++|'')*+)'
      | (?P<x>')
      | "(?P<q>(?:[^"\\]++|\\.)*+)"
      | (?P<y>")
      | (?P<g>{_GUID})
      | {_PROPERTY}(?P<p>[A-Za-z_][A-Za-z0-9_/]*+)'
      | (?P<type>[A-Za-z_][\w.]*+)'(?P<e>(?:[^']++|'')*+)'
      | (?P<t>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,12}}+)?+)?+
              (?:Z|[+-][0-9]{{2}}:[0-9]{{2}})?+)(?![\w.:+\-])
      | (?P<d>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?![\w.:+\-])
      | (?P<n>-?+[0-9]++\.[0-9]++)(?![\w.])
      | (?P<f>-?+[0-9]++(?:\.[0-9]++)?+[eE][+-]?+[0-9]++)(?![\w.])
      | (?P<i>-?+[0-9]++)(?![\w.\-])
      | (?P<a>@[A-Za-z_]\w*+)
      | (?P<rest>[\w.\-@]++)
      | \Z
    )
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)


def lift(
    text: str, dialect: Dialect, aliases: Mapping[str, str] | None = None, source: str = ""
) -> tuple[str, tuple[Literal, ...]]:
    """``text`` (decoded) as its shape and its literals in order. Refuses quotes that are not closed.

    ``aliases``: parameter aliases of the request, ``@p1`` -> text; an alias without a value is null.
    """
    parts: list[str] = []
    literals: list[Literal] = []
    for found in _LIFT.finditer(text):
        kind = found.lastgroup
        parts.append(found["structure"])
        if kind == "s":
            value = found["s"]
            if "'" in value:
                value = value.replace("''", "'")
            if dialect.wildcard and "*" in value:
                literals.append(Literal(LiteralKind.WILDCARD, value))
                parts.append("'w'")
            else:
                literals.append(Literal(LiteralKind.STRING, value))
                parts.append("'s'")
        elif kind == "e":
            literals.append(Literal(LiteralKind.ENUM, found["e"].replace("''", "'")))
            parts.append(found["type"] + "'e'")
        elif kind == "structure":
            continue
        elif kind == "rest":
            parts.append(found["rest"])
        elif kind == "p":
            parts.append(f"PropertyName={found['p']}")
        elif kind == "a":
            shape, inner = _alias(found["a"], dialect, aliases, source)
            parts.append(shape)
            literals.extend(inner)
        elif kind in KINDS:
            literals.append(Literal(KINDS[kind], found[kind]))
            parts.append(f"'{kind}'")
        else:
            literals.append(_double_quoted(found, dialect, source))
            parts.append("'s'")
    if len(literals) > MAX_LITERALS:
        raise Refusal("FC1005", f"The request has more than {MAX_LITERALS} literals.", status=400, source=source)
    return "".join(parts), tuple(literals)


_ONE_LITERAL = re.compile(r"(?:[A-Za-z_][\w.]*+)?'[a-z]'|null|true|false", re.ASCII)


def _double_quoted(found: re.Match[str], dialect: Dialect, source: str) -> Literal:
    if found.lastgroup == "q" and dialect.crm_functions:
        try:
            return Literal(LiteralKind.STRING, msgspec.json.decode(f'"{found["q"]}"', type=str))
        except (msgspec.DecodeError, UnicodeEncodeError):
            raise Refusal("FC1001", "A text in double quotes is not valid JSON.", source=source) from None
    if found.lastgroup == "q":
        raise Refusal("FC1001", "Text stands in single quotes: 'text'.", source=source)
    raise Refusal(
        "FC1001",
        "A text is not closed by a quote.",
        hint="A quote inside a text is written twice: 'O''Brian'.",
        source=source,
    )


def _alias(
    name: str, dialect: Dialect, aliases: Mapping[str, str] | None, source: str
) -> tuple[str, tuple[Literal, ...]]:
    if not dialect.aliases:
        raise Refusal("FC1004", f"Parameter aliases ({name}) are not supported here.", source=source)
    value = (aliases or {}).get(name)
    if value is None:
        return "null", ()
    shape, literals = lift(value, dialect, None, name)
    shape = shape.strip()
    if _ONE_LITERAL.fullmatch(shape):
        return f" {shape} ", literals
    raise Refusal("FC1001", f"The value of {name} is not a literal.", source=name)


class Token(msgspec.Struct, frozen=True, gc=False):
    """A token of a shape. ``type``: word, literal, enum, option (``$x``), or the punctuation character itself.

    ``text``: the word, the literal's kind, or an enum literal's type name. ``index``: the literal's number.
    """

    type: str
    text: str
    index: int = -1


_TOKEN = re.compile(
    r"""
      \s++
    | (?P<enum>[A-Za-z_][\w.]*+)'e'
    | '(?P<literal>[a-z])'
    | (?P<word>[A-Za-z_][\w.]*+)
    | (?P<option>\$[A-Za-z]++)
    | (?P<mark>[(),/;:=\[\]*\-])
    """,
    re.VERBOSE | re.ASCII,
)

END = Token("end", "the end")


def tokenise(shape: str, first: int, source: str) -> list[Token]:
    """The tokens of a shape, the last one ``END``. ``first``: number of its first literal in the request."""
    tokens: list[Token] = []
    at = 0
    while at < len(shape):
        found = _TOKEN.match(shape, at)
        if found is None:
            raise Refusal(
                "FC1001",
                f"'{printable(shape[at : at + 20])}' cannot be read in {source}.",
                hint="" if not shape[at].isdigit() else "Dates, numbers and GUIDs must be written in full.",
                source=source,
            )
        at = found.end()
        kind = found.lastgroup
        if kind is None:
            continue
        text = found[kind]
        if kind == "mark":
            tokens.append(Token(text, text))
        elif kind in ("literal", "enum"):
            tokens.append(Token(kind, text, first))
            first += 1
        else:
            tokens.append(Token(kind, text))
    tokens.append(END)
    return tokens


def printable(text: str) -> str:
    """``text`` fit to stand in a message: no control characters, no lone surrogates, placeholders as '…'."""
    clean = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return re.sub(r"'[a-z]'", "'…'", clean)
