"""What somebody looks for, as PostgreSQL's text search queries, and where a text has it.

A word is looked for from its beginning (``bear`` finds ``bearing``), ``"a phrase"`` as it is. All else is no operator:
it is quoted, so that nothing that is typed can be anything but words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

#: Characters that are looked at, and words, at most.
MAX_LENGTH = 200
MAX_WORDS = 10

_PART = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Words:
    """``text``: as it was typed; ``queries``: one for each word or phrase."""

    text: str
    queries: tuple[str, ...]
    plain: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.queries)

    def marked(self, text: str, most: int = 240) -> Markup:
        """The part of a text around the first word that was looked for, escaped, words marked."""
        pattern = re.compile("|".join(rf"\b{re.escape(word)}\w*" for word in self.plain) or r"(?!)", re.IGNORECASE)
        first = pattern.search(text)
        start = max(0, (first.start() if first else 0) - most // 3)
        if start:
            start = text.find(" ", start) + 1 or start
        part = text[start : start + most]
        found = [escape("… " if start else "")]
        at = 0
        for hit in pattern.finditer(part):
            found += [escape(part[at : hit.start()]), Markup("<mark>"), escape(hit.group()), Markup("</mark>")]
            at = hit.end()
        found += [escape(part[at:]), escape(" …" if start + most < len(text) else "")]
        return Markup("").join(found)


def words(text: str) -> Words:
    """What a text looks for.

    >>> words('bear "cast iron" \\'; --').queries
    ("'bear':*", "'cast iron'")
    """
    typed = " ".join("".join(sign if sign.isprintable() else " " for sign in text[:MAX_LENGTH]).split())
    queries, plain = [], []
    for phrase, word in _PART.findall(typed):
        found = phrase or word
        if not any(sign.isalnum() for sign in found):
            continue
        quoted = found.replace("\\", "\\\\").replace("'", "''")
        queries.append(f"'{quoted}'" if phrase else f"'{quoted}':*")
        plain.append(found.strip("\"'.,;:!?()"))
    return Words(typed, tuple(queries[:MAX_WORDS]), tuple(word for word in plain[:MAX_WORDS] if word))
