"""Words in templates that no catalogue translates: visible texts, labels and placeholders outside the messages.

A template is read, not rendered: expressions stand as marks, so that HTML tells whether a text or an attribute is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

#: Attributes that people read or hear.
SEEN = frozenset({"alt", "aria-label", "placeholder", "title", "aria-description", "label", "content"})

_COMMENT = re.compile(r"\{#.*?#\}", re.S)
_TRANSLATED = re.compile(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", re.S)
_ATTRIBUTES = re.compile(r"\{%\s*set\s+\w+\s*%\}((?:(?!endset).)*?=\".*?)\{%\s*endset\s*%\}", re.S)
_STATEMENT = re.compile(r"\{%.*?%\}", re.S)
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.S)
_MESSAGE = re.compile(r"""\b(?:_|ngettext)\(\s*(?:"[^"]*"|'[^']*')(?:\s*,\s*(?:"[^"]*"|'[^']*'))?""")
_LITERAL = re.compile(r""""([^"]*)"|'([^']*)'""")
_LETTERS = re.compile(r"[A-Za-zÀ-ÿ]{2,}")


def bare(source: str) -> list[str]:
    """What a template says in one language."""
    text = _COMMENT.sub("", source)
    text = _TRANSLATED.sub("", text)
    text = _ATTRIBUTES.sub(r"<i \1>", text)
    text = _EXPRESSION.sub(lambda found: "\x01".join(("", *_literals(found.group(1)), "")), text)
    text = _STATEMENT.sub("", text)
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.found


def _literals(expression: str) -> Iterator[str]:
    """Texts of an expression that may be words: none of a message, none that is a name."""
    within_call = "(" in expression
    for double, single in _LITERAL.findall(_MESSAGE.sub("(", expression)):
        text = double or single
        name = within_call and re.fullmatch(r"[a-z0-9_\-:/.#]*|@<wbr>|@|[A-Z]", text)
        if _LETTERS.search(text) and not name:
            yield text


class _Reader(HTMLParser):
    """Collects what is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.found += [f"{name}={value}" for name, value in attrs if name in SEEN and _words(value or "")]

    def handle_data(self, data: str) -> None:
        if _words(data):
            self.found.append(data.strip())


def _words(text: str) -> bool:
    return bool(_LETTERS.search(text))
