"""What the client prefers and accepts: ``Prefer``, ``Accept``, ``Content-Type``.

``Prefer`` is a wish: what isn't known or can't be read is passed over (RFC 7240), what is honoured is named in
``Preference-Applied``. ``Accept`` is a demand: JSON in one of three metadata levels, or 406 (FC1010). Leaves out
quality values beyond ``q=0``. Sources: pages-and-dataverse B1.2, B1.6, B2.1, B2.5; operations-and-integration 5.2.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from forecourt.kernel.errors import Refusal
from forecourt.odata.dialect import Dialect

MAX_HEADER = 4096
FORMATTED_VALUE = "OData.Community.Display.V1.FormattedValue"
ASSOCIATED_PROPERTY = "Microsoft.Dynamics.CRM.associatednavigationproperty"
LOOKUP_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"
TOTAL = "Microsoft.Dynamics.CRM.totalrecordcount"
COOKIE = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
MORE = "Microsoft.Dynamics.CRM.morerecords"
TOTAL_EXCEEDED = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"

#: Annotations of values, and of answers.
OF_VALUES = (FORMATTED_VALUE, ASSOCIATED_PROPERTY, LOOKUP_TABLE)

_ITEM = re.compile(r'\s*+([^\s=;,"]++)(?:\s*+=\s*+("(?:[^"\\]++|\\.)*+"|[^\s;,"]++))?+[^,"]*+(?:,|\Z)')


@dataclass(frozen=True, slots=True)
class Preferences:
    """``page_size``: rows per page, at most the dialect's maximum. ``annotations``: patterns with ``*``.

    ``representation``: whether a write answers with the row, None where nothing was said.
    """

    page_size: int | None = None
    annotations: tuple[str, ...] = ()
    representation: bool | None = None
    continue_on_error: bool = False
    track_changes: bool = False

    def wants(self, annotation: str) -> bool:
        """Whether an annotation of that qualified name was asked for; a pattern ``-x`` takes it away.

        >>> Preferences(annotations=("*",)).wants("OData.Community.Display.V1.FormattedValue")
        True
        """
        wanted = False
        for pattern in self.annotations:
            if fnmatch.fnmatchcase(annotation, pattern.removeprefix("-")):
                wanted = not pattern.startswith("-")
        return wanted

    @property
    def beside(self) -> frozenset[str]:
        """The annotations of values that were asked for."""
        if not self.annotations:
            return frozenset()
        return frozenset(name for name in OF_VALUES if self.wants(name))

    def applied(self) -> str:
        """The value of Preference-Applied, '' for none."""
        parts = []
        if self.page_size is not None:
            parts.append(f"odata.maxpagesize={self.page_size}")
        if self.annotations:
            parts.append(f'odata.include-annotations="{",".join(self.annotations)}"')
        if self.representation is not None:
            parts.append("return=representation" if self.representation else "return=minimal")
        if self.continue_on_error:
            parts.append("odata.continue-on-error")
        if self.track_changes:
            parts.append("odata.track-changes")
        return ",".join(parts)


NO_PREFERENCES = Preferences()
_PATTERN = re.compile(r"-?[A-Za-z0-9_.*]++")


def _items(header: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(header):
        found = _ITEM.match(header, at)
        if found is None:
            return
        value = found[2] or ""
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        yield found[1].lower(), value
        at = found.end()


@lru_cache(maxsize=1024)
def parse_prefer(header: str | None, dialect: Dialect) -> Preferences:
    """The ``Prefer`` header (several joined by commas). Never refuses."""
    if not header or len(header) > MAX_HEADER:
        return NO_PREFERENCES
    page_size: int | None = None
    annotations: tuple[str, ...] = ()
    representation: bool | None = None
    names: set[str] = set()
    for name, value in _items(header):
        names.add(name.removeprefix("odata."))
        match name.removeprefix("odata."):
            case "maxpagesize" if page_size is None and re.fullmatch("[0-9]{1,9}", value) and int(value) > 0:
                page_size = min(int(value), dialect.max_page)
            case "include-annotations" if not annotations:
                annotations = tuple(item for item in value.replace(" ", "").split(",") if _PATTERN.fullmatch(item))[:50]
            case "return" if representation is None and value in ("representation", "minimal"):
                representation = value == "representation"
    return Preferences(page_size, annotations, representation, "continue-on-error" in names, "track-changes" in names)


Metadata = Literal["none", "minimal", "full"]
_LEVELS: dict[str, Metadata] = {"none": "none", "minimal": "minimal", "full": "full"}


def _media(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    for item in header.split(","):
        media, *rest = item.split(";")
        parameters: dict[str, str] = {}
        for parameter in rest:
            name, _, value = parameter.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"').lower()
        yield media.strip().lower(), parameters


@lru_cache(maxsize=256)
def accept_json(header: str | None) -> Metadata:
    """The metadata level of a JSON answer. Raises Refusal FC1010 where JSON isn't acceptable."""
    if not header or not header.strip() or len(header) > MAX_HEADER:
        return "minimal"
    for media, parameters in _media(header):
        if media in ("application/json", "application/*", "*/*", "text/json") and not _zero(parameters):
            level = parameters.get("odata.metadata", parameters.get("metadata", "minimal"))
            if level in _LEVELS:
                return _LEVELS[level]
    raise Refusal("FC1010", "The answer is JSON, which the request does not accept.", hint="Accept: application/json")


def accept_any(header: str | None, *kinds: str) -> str:
    """The first of ``kinds`` (media types, best first) that the header accepts. Raises Refusal FC1010."""
    if not header or not header.strip() or len(header) > MAX_HEADER:
        return kinds[0]
    asked = [media for media, parameters in _media(header) if not _zero(parameters)]
    for kind in kinds:
        if kind in asked or "*/*" in asked or kind.partition("/")[0] + "/*" in asked:
            return kind
    raise Refusal("FC1010", "None of the accepted content types is available.", hint="Accept: " + ", ".join(kinds))


def _zero(parameters: dict[str, str]) -> bool:
    return re.fullmatch(r"0(\.0{0,3})?", parameters.get("q", "")) is not None


def content_is_json(header: str | None) -> bool:
    """Checks the content type of a body; returns whether numbers may come as strings (IEEE754Compatible=true).

    Raises Refusal FC1009 for anything but JSON. A missing type is taken for JSON.
    """
    if not header or not header.strip():
        return False
    media, parameters = next(_media(header))
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        raise Refusal("FC1009", "The body is not JSON.", hint="Content-Type: application/json")
    return parameters.get("ieee754compatible") == "true"
