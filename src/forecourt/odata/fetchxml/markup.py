"""FetchXML's text as a tree of known elements, its values lifted out.

Decides what is FetchXML at all: its elements, where each may stand, and their attributes. Document types and entities
are refused, as is what is too large or too deep. The values of conditions leave the tree, so that two texts that differ
in nothing else are one shape::

    <condition attribute="name" operator="eq" value="A"/>      Node("condition", …, first=0, count=1), texts ("A",)
    <condition attribute="a" operator="in"><value>1</value>…    one text for each value

What an attribute's value means is left to who reads the tree. Source: pages-and-dataverse B1.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as xml

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.odata.lexer import MAX_LITERALS, printable

SOURCE = "fetchXml"

MAX_TEXT = 65_536
MAX_DEPTH = 40
MAX_ELEMENTS = 2_000

_FETCH = frozenset(
    [
        "aggregate",
        "count",
        "distinct",
        "latematerialize",
        "mapping",
        "no-lock",
        "output-format",
        "page",
        "paging-cookie",
        "returntotalrecordcount",
        "top",
        "utc-offset",
        "version",
    ]
)
_LINK = frozenset(
    ["alias", "enableprefiltering", "from", "intersect", "link-type", "name", "prefilterparametername", "to", "visible"]
)
_FILTER = frozenset(
    ["hint", "isquickfindfields", "overridequickfindrecordlimitdisabled", "overridequickfindrecordlimitenabled", "type"]
)
_CONDITION = frozenset(
    ["attribute", "column", "entityname", "operator", "uihidden", "uiname", "uitype", "value", "valueof"]
)
_ATTRIBUTE = frozenset(["aggregate", "alias", "build", "dategrouping", "distinct", "groupby", "name", "usertimezone"])

#: Element -> its attributes.
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "fetch": _FETCH,
    "entity": frozenset({"name", "enableprefiltering", "prefilterparametername"}),
    "all-attributes": frozenset(),
    "attribute": _ATTRIBUTE,
    "order": frozenset({"alias", "attribute", "descending", "entityname"}),
    "filter": _FILTER,
    "condition": _CONDITION,
    "value": frozenset({"uiname", "uitype"}),
    "link-entity": _LINK,
}

_ROWS = frozenset({"all-attributes", "attribute", "filter", "link-entity", "order"})

#: Element -> what may stand in it.
CHILDREN: Mapping[str, frozenset[str]] = {
    "fetch": frozenset({"entity"}),
    "entity": _ROWS,
    "link-entity": _ROWS,
    "filter": frozenset({"condition", "filter", "link-entity"}),
    "condition": frozenset({"value"}),
}

#: Attributes that say nothing about the rows: how they are shown, how the original reads them.
_IGNORED = frozenset(
    [
        "build",
        "enableprefiltering",
        "intersect",
        "latematerialize",
        "mapping",
        "no-lock",
        "output-format",
        "prefilterparametername",
        "uihidden",
        "uiname",
        "uitype",
        "usertimezone",
        "utc-offset",
        "version",
        "visible",
    ]
)


@dataclass(frozen=True, slots=True)
class Node:
    """An element. ``first``, ``count``: which of the texts are its values, of a condition."""

    tag: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Node, ...] = ()
    first: int = 0
    count: int = 0

    def get(self, name: str, default: str = "") -> str:
        """An attribute, or ``default``."""
        return next((value for key, value in self.attributes if key == name), default)

    def all(self, *tags: str) -> tuple[Node, ...]:
        """The children of certain elements, in order."""
        return tuple(child for child in self.children if child.tag in tags)

    def flag(self, name: str) -> bool:
        """An attribute that is ``true``/``1`` or ``false``/``0``. Raises Refusal FC1001."""
        text = self.get(name, "false").lower()
        if text not in ("true", "1", "false", "0"):
            raise wrong(f"'{name}' of <{self.tag}> is true or false.")
        return text in ("true", "1")


@dataclass(frozen=True, slots=True)
class Fetch:
    """``root``: the element ``fetch``. ``texts``: the values of its conditions."""

    root: Node
    texts: tuple[str, ...]


def wrong(message: str, hint: str = "", code: str = "FC1001", surface: str = "") -> Refusal:
    """A refusal of a FetchXML."""
    return Refusal(code, message, hint=hint, source=SOURCE, surface=surface)


def read(text: str) -> Fetch:
    """The fetch that a text says. Raises Refusal FC1001, FC1004, FC1005."""
    if len(text) > MAX_TEXT:
        raise Refusal("FC1005", f"The FetchXML is longer than {MAX_TEXT} characters.", status=400, source=SOURCE)
    root = _parse(text)
    if root.tag != "fetch":
        raise wrong(f"The FetchXML begins with <fetch>, not <{_shown(root.tag)}>.")
    lifted = _Lifted()
    node = lifted.node(root)
    if len(lifted.texts) > MAX_LITERALS:
        raise Refusal("FC1005", f"The FetchXML has more than {MAX_LITERALS} values.", status=400, source=SOURCE)
    return Fetch(node, tuple(lifted.texts))


def entity_of(fetch: Fetch) -> Node:
    """The one element ``entity``. Raises Refusal FC1001."""
    found = fetch.root.all("entity")
    if len(found) != 1:
        raise wrong("A fetch has one <entity>.")
    return found[0]


def _parse(text: str) -> Element:
    """The text as elements: no document type, none too deep, not too many."""
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        raise wrong("The FetchXML is not valid text.") from None
    depth = count = 0
    root: Element | None = None
    try:
        for event, element in xml.iterparse(BytesIO(raw), events=("start", "end"), forbid_dtd=True):
            if event == "end":
                depth -= 1
                continue
            depth, count = depth + 1, count + 1
            root = element if root is None else root
            if depth > MAX_DEPTH:
                raise wrong(f"The FetchXML is nested deeper than {MAX_DEPTH} levels.")
            if count > MAX_ELEMENTS:
                raise wrong(f"The FetchXML has more than {MAX_ELEMENTS} elements.")
    except DefusedXmlException:
        raise wrong("Document types and entities are not allowed in FetchXML.") from None
    except (ParseError, LookupError, ValueError):
        raise wrong("Invalid XML: it is not well-formed.", "Encode & as &amp; and < as &lt; in values.") from None
    assert root is not None  # a text without an element is not well-formed
    return root


@dataclass
class _Lifted:
    """The making of nodes; ``texts`` grows as conditions are met, in the order of the document."""

    texts: list[str] = field(default_factory=list)

    def node(self, element: Element) -> Node:
        tag = str(element.tag)
        known = ATTRIBUTES.get(tag)
        if known is None:
            hint = suggest(_shown(tag), ATTRIBUTES)
            raise wrong(f"The element <{_shown(tag)}> is not known in FetchXML.", hint, surface="0x8004111c")
        for name in element.attrib:
            if name not in known:
                shown = _shown(str(name))
                raise wrong(f"'{shown}' of <{tag}> is not supported.", suggest(shown, known), "FC1004")
        allowed = CHILDREN.get(tag, frozenset())
        for child in element:
            if child.tag in ATTRIBUTES and child.tag not in allowed:
                raise wrong(f"<{child.tag}> has no place in <{tag}>.")
        if tag != "value" and _said(element):
            raise wrong(f"Text has no place in <{tag}>.")
        attributes = tuple(
            sorted(
                (str(name), str(value))
                for name, value in element.attrib.items()
                if name not in _IGNORED and not (tag == "condition" and name == "value")
            )
        )
        if tag != "condition":
            return Node(tag, attributes, tuple(self.node(child) for child in element))
        first = len(self.texts)
        for child in element:
            self.node(child)
            self.texts.append((child.text or "").strip())
        if "value" in element.attrib:
            if len(self.texts) > first:
                raise wrong("A condition has a value or elements <value>, not both.")
            self.texts.append(str(element.attrib["value"]))
        return Node(tag, attributes, (), first, len(self.texts) - first)


def _said(element: Element) -> bool:
    return any(text and text.strip() for text in (element.text, *(child.tail for child in element)))


def _shown(name: str) -> str:
    return printable(name[:60])
