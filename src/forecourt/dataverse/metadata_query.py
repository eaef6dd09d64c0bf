"""``EntityDefinitions`` and its like over HTTP: paths, ``$select``, ``$filter``, ``$expand`` over the metadata's items.

::

    EntityDefinitions[(LogicalName='x')|(guid)][/Attributes|Keys|ManyToOneRelationships|…][(…)][/Microsoft.Dynamics.CRM.T]
    RelationshipDefinitions[(SchemaName='x')|(guid)][/Microsoft.Dynamics.CRM.T]
    GlobalOptionSetDefinitions[(Name='x')|(guid)]

``$top`` and ``$count`` work; nothing is paged. ``$orderby`` is refused, as is everything that writes. A property that
is chosen and unknown here is left out: the original has more of them. Reading is open to whoever may ask the Web API
at all. ``UserLocalizedLabel`` is in the asker's language, by ``Accept-Language``. Sources: pages-and-dataverse B3;
clients, "HTTP per operation".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from forecourt.dataverse.metadata import Metadata
from forecourt.dataverse.metadata_filter import Test, parse_filter, text_of
from forecourt.dataverse.metadata_items import NAMESPACE, Item, spoken
from forecourt.kernel.errors import Refusal
from forecourt.kernel.label import preferred_languages
from forecourt.security.services import Answer, Call, Service, json_answer

#: Deepest expand.
_DEEPEST: Final = 5

#: First segment of a path -> property of :class:`Metadata`, names of its alternate key.
ROOTS: Final[Mapping[str, tuple[str, str]]] = {
    "EntityDefinitions": ("entities", "LogicalName"),
    "RelationshipDefinitions": ("relationships", "SchemaName"),
    "GlobalOptionSetDefinitions": ("choices", "Name"),
}


#: What can be expanded.
_LINKS: Final = frozenset(
    {
        "Attributes",
        "Keys",
        "ManyToOneRelationships",
        "OneToManyRelationships",
        "ManyToManyRelationships",
        "OptionSet",
        "GlobalOptionSet",
    }
)


@dataclass(frozen=True)
class Options:
    """System query options of one level."""

    select: tuple[str, ...] | None = None
    test: Test | None = None
    expand: Mapping[str, Options] = field(default_factory=dict)
    top: int | None = None
    count: bool = False


class MetadataService:
    """Answers reads of metadata (:class:`~forecourt.security.services.Service`)."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def __call__(self, call: Call) -> Answer:
        """Raises Refusal FC1001, FC1002, FC1004, FC1008, FC4042."""
        if call.method not in ("GET", "HEAD"):
            raise Refusal("FC1008", "Tables are defined in the solution's files.", source="path")
        body = read(self._metadata, call.segments, call.options, call.base)
        return json_answer(spoken(body, preferred_languages(call.headers.get("accept-language", ""))))


def metadata_services(metadata: Metadata) -> dict[str, Service]:
    """The service under the names that it answers to."""
    service = MetadataService(metadata)
    return dict.fromkeys(ROOTS, service)


def read(metadata: Metadata, segments: Sequence[str], options: Mapping[str, str], base: str) -> dict[str, Any]:
    """The body of an answer. ``segments``: of the path below the service root, decoded; ``options``: the query's,
    decoded; ``base``: the service root as the client called it. Raises Refusal FC1001, FC1002, FC1004, FC4042."""
    path, wanted = [_segment(text) for text in segments], _options(options, 0)
    found, context = _found(metadata, path)
    if isinstance(found, _Value):
        return {"@odata.context": f"{base}/$metadata#{context}", "value": found.value}
    if wanted.select is not None:
        context += f"({','.join(wanted.select)})"
    if isinstance(found, Item):
        return {"@odata.context": f"{base}/$metadata#{context}/$entity", **_shown(found, wanted, True)}
    body: dict[str, Any] = {"@odata.context": f"{base}/$metadata#{context}"}
    kept = [item for item in found if wanted.test is None or wanted.test(item)]
    if wanted.count:
        body["@odata.count"] = len(kept)
    body["value"] = [_shown(item, wanted, True) for item in kept[: wanted.top]]
    return body


@dataclass(frozen=True)
class _Value:
    """A property that a path leads to."""

    value: Any


def _found(metadata: Metadata, path: Sequence[_Segment]) -> tuple[Item | tuple[Item, ...] | _Value, str]:
    """What a path leads to, and its place in the context."""
    head = path[0]
    if head.name not in ROOTS:
        raise _nothing(head.name)
    found: Item | tuple[Item, ...] = getattr(metadata, ROOTS[head.name][0])
    if head.key is not None:
        found = _one(found, head, ROOTS[head.name][1])
    context = head.name
    for place, segment in enumerate(path[1:], 2):
        context += f"/{segment.name}"
        if "." in segment.name:
            kind = segment.name.removeprefix(f"{NAMESPACE}.")
            if isinstance(found, tuple):
                found = tuple(item for item in found if item.type == kind)
            elif found.type != kind:
                raise _nothing(segment.name)
        elif isinstance(found, tuple):
            raise _nothing(segment.name)
        elif segment.name in found.values and place == len(path) and segment.key is None:
            return _Value(found.values[segment.name]), context
        else:
            target = found.links.get(segment.name)
            if target is None:
                raise _nothing(segment.name)
            found = target
        if segment.key is not None:
            found = _one(found, segment, "SchemaName" if "Relationship" in segment.name else "LogicalName")
    return found, context


# ------------------------------------------------------------------------------------------------------------ items


def _shown(item: Item, options: Options, typed: bool) -> dict[str, Any]:
    """An item as JSON: the chosen values, its id always, and what is expanded."""
    found: dict[str, Any] = {}
    if typed and item.type not in ("EntityMetadata", "EntityKeyMetadata"):
        found["@odata.type"] = f"#{NAMESPACE}.{item.type}"
    if options.select is None:
        found |= item.values
    else:
        for name in options.select:
            if name in item.values:
                found[name] = item.values[name]
        if "MetadataId" in item.values:
            found["MetadataId"] = item.values["MetadataId"]
    for name, inner in options.expand.items():
        if name not in item.links:
            continue
        target = item.links[name]
        if isinstance(target, tuple):
            kept = [child for child in target if inner.test is None or inner.test(child)]
            found[name] = [_shown(child, inner, True) for child in kept[: inner.top]]
        else:
            found[name] = None if target is None else _shown(target, inner, False)
    return found


@dataclass(frozen=True)
class _Segment:
    name: str
    key: tuple[str, str] | None = None


_SEGMENT = re.compile(r"(?P<name>[\w.]+)(?:\((?P<key>.*)\))?", re.S)
_KEY = re.compile(r"(?:(?P<name>\w+)\s*=\s*)?(?P<value>'(?:[^']|'')*'|[0-9A-Fa-f-]{36})")


def _segment(text: str) -> _Segment:
    found = _SEGMENT.fullmatch(text)
    if found is None:
        raise _nothing(text)
    if found["key"] is None:
        return _Segment(found["name"])
    key = _KEY.fullmatch(found["key"].strip())
    if key is None:
        raise Refusal(
            "FC1001", "The key cannot be read.", hint="Write (LogicalName='account') or (guid).", source="key"
        )
    return _Segment(found["name"], (key["name"] or "MetadataId", text_of(key["value"])))


def _one(found: Item | tuple[Item, ...], segment: _Segment, alternate: str) -> Item:
    """The item of a set with the segment's key."""
    if segment.key is None or isinstance(found, Item):
        raise _nothing(segment.name)
    name, value = segment.key
    if name not in ("MetadataId", alternate):
        hint = f"Write ({alternate}='…') or (guid)."
        raise Refusal("FC1001", "The key in the request URI is not valid.", hint=hint, source="key")
    if name == "MetadataId" and re.fullmatch(r"[0-9A-Fa-f-]{36}", value):
        value = str(UUID(value))
    for item in found:
        if str(item.values.get(name)).lower() == value.lower():
            return item
    raise Refusal("FC4042", f"Could not find a definition with {name} '{value[:100]}'.", source="key")


def _nothing(name: str) -> Refusal:
    return Refusal("FC4042", f"Resource not found for the segment '{name[:100]}'.", source="path")


# ---------------------------------------------------------------------------------------------------------- options


def _options(given: Mapping[str, str], depth: int) -> Options:
    select, test, expand, top, count = None, None, {}, None, False
    for name, text in given.items():
        match name:
            case "$select":
                select = tuple(part.strip() for part in text.split(",") if part.strip())
            case "$filter":
                test = parse_filter(text)
            case "$expand":
                if depth >= _DEEPEST:
                    raise Refusal("FC1004", "$expand is nested too deep.", source="$expand")
                expand = dict(_expanded(part.strip(), depth) for part in _split(text, ",") if part.strip())
            case "$top" if text.strip().isascii() and text.strip().isdigit() and len(text) < 10:
                top = int(text)
            case "$count" if text in ("true", "false"):
                count = text == "true"
            case _ if name.startswith("$"):
                raise Refusal("FC1004", f"{name[:30]} is not supported on metadata.", source=name[:30])
            case _:
                pass  # LabelLanguages and other options of a caller's own
    return Options(select, test, expand, top, count)


_EXPANDED = re.compile(r"(?P<name>[\w./]+)(?:\((?P<inner>.*)\))?", re.S)


def _expanded(text: str, depth: int) -> tuple[str, Options]:
    found = _EXPANDED.fullmatch(text)
    if found is None:
        raise Refusal(
            "FC1001", "$expand cannot be read.", hint="Write Attributes($select=LogicalName).", source="$expand"
        )
    if found["name"] not in _LINKS:
        raise Refusal(
            "FC1002", f"Could not find a navigation property named '{found['name'][:100]}'.", source="$expand"
        )
    inner = found["inner"]
    given = (part.strip().partition("=")[::2] for part in _split(inner, ";") if part.strip()) if inner else ()
    return found["name"], _options({name.strip(): value for name, value in given}, depth + 1)


def _split(text: str, mark: str) -> list[str]:
    """Parts of a text at a mark outside of parentheses and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for place, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted and letter in "()":
            depth += 1 if letter == "(" else -1
        elif not quoted and depth == 0 and letter == mark:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]
