"""Arguments of a function: ``Fn(Name='x',Count=5,Target=@p1)?@p1={...}`` as name -> text.

A quoted text loses its quotes; everything else (numbers, GUIDs, enums, JSON) stays as it is written, for who knows the
type. Source: pages-and-dataverse B3; OData 4.0 Part 2, section 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping

from forecourt.kernel.errors import Refusal
from forecourt.odata.lexer import printable

MOST = 50


def read_arguments(segment: str, options: Mapping[str, str]) -> dict[str, str]:
    """``segment``: decoded. ``options``: those of the query, where aliases are. Raises Refusal FC1001.

    >>> read_arguments("Fn(a='it''s',b=5,c=@p)", {"@p": '["x","y"]'})
    {'a': "it's", 'b': '5', 'c': '["x","y"]'}
    """
    name, mark, inner = segment.partition("(")
    if not mark:
        return {}
    if not inner.endswith(")"):
        raise Refusal("FC1001", f"The arguments of {printable(name[:100])} are not closed.", source="path")
    found: dict[str, str] = {}
    for part in _split(inner[:-1]):
        key, equals, text = part.partition("=")
        key, text = key.strip(), text.strip()
        if not equals or not key or not text or key in found or len(found) == MOST:
            hint = f"Write {printable(name[:100])}(Name=value,Other=value)."
            raise Refusal("FC1001", "Each argument is named, once.", hint=hint, source="path")
        if text.startswith("@"):
            if text not in options:
                raise Refusal("FC1001", f"The alias {printable(text[:40])} has no value.", source=printable(key[:40]))
            text = options[text].strip()
        found[key] = _unquoted(text, key)
    return found


def _split(text: str) -> list[str]:
    """At commas that are in no quotes, brackets or braces."""
    parts: list[str] = []
    quote, depth, start = "", 0, 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[{(":
            depth += 1
        elif char in "]})":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    if quote or depth:
        raise Refusal("FC1001", "A quote or bracket of the arguments is not closed.", source="path")
    return [*parts, text[start:]] if text.strip() else []


def _unquoted(text: str, name: str) -> str:
    if not text.startswith("'"):
        return text
    inner = text[1:-1]
    if len(text) < 2 or not text.endswith("'") or "'" in inner.replace("''", ""):
        raise Refusal("FC1001", f"The text of '{printable(name[:40])}' is not closed.", source=printable(name[:40]))
    return inner.replace("''", "'")
