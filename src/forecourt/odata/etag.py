"""ETags and the conditional headers.

An ETag is weak and made of the row's version: ``W/"<version>"``; versions are compared for equality only, and whether
a client writes ``W/`` or not makes no difference. ``If-None-Match: null``, the literal word, is what Dataverse clients
send to get past a browser's cache: it means no condition. A header that can't be read is refused, since to ignore it
would be to overwrite. Sources: pages-and-dataverse B1.1, B2.2, B2.3; operations-and-integration 5.2; RFC 9110, 13.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from forecourt.kernel.errors import Refusal

MAX_HEADER = 2048
_TAG = re.compile(r'\s*+(?:W/)?"([\x21\x23-\x7e\x80-\xff]*+)"\s*+(?:,|\Z)')


@dataclass(frozen=True, slots=True)
class Condition:
    """``any``: ``*``, every existing row. ``versions``: the versions named."""

    any: bool = False
    versions: tuple[str, ...] = ()

    def holds(self, version: str) -> bool:
        return self.any or version in self.versions


def make(version: object) -> str:
    """The ETag of a row's version.

    >>> make(501097)
    'W/"501097"'
    """
    return f'W/"{version}"'


def parse(header: str | None, name: str = "If-Match") -> Condition | None:
    """A conditional header, or None where there is no condition. Raises Refusal FC1001.

    >>> parse('W/"1", "2"').versions
    ('1', '2')
    """
    if header is None:
        return None
    text = header.strip()
    if name.lower() == "if-none-match" and text in ("", "null"):
        return None
    if not text:
        raise Refusal("FC1001", f"{name} is empty.", hint='Write * or W/"...", as received.', source=name)
    if text == "*":
        return Condition(any=True)
    versions: list[str] = []
    at = 0
    while at < len(text):
        found = _TAG.match(text, at) if len(text) <= MAX_HEADER else None
        if found is None:
            raise Refusal("FC1001", f"{name} is not an ETag.", hint='Write * or W/"...", as received.', source=name)
        versions.append(found[1])
        at = found.end()
    return Condition(versions=tuple(versions))
