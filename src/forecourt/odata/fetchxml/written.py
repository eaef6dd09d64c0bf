"""Filters that come condition by condition instead of as FetchXML's text: what a filter panel puts together.

A :class:`Writer` makes the nodes and keeps their values aside, as reading a text does; :func:`narrowing` makes one
predicate of them, with the values of its slots. Leaves out what a text could say beside filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from forecourt.kernel.model import Entity, Model
from forecourt.kernel.predicate import Predicate
from forecourt.odata.fetchxml.filters import Filters
from forecourt.odata.fetchxml.markup import Node
from forecourt.odata.fetchxml.values import Asker, Bindings


@dataclass
class Writer:
    """Makes nodes of filters. ``texts``: their values, in the order in which they were made."""

    texts: list[str] = field(default_factory=list)

    def condition(self, attribute: str, operator: str, values: Iterable[str] = ()) -> Node:
        """A condition on an attribute, by its logical name."""
        first = len(self.texts)
        self.texts.extend(values)
        named = (("attribute", attribute), ("operator", operator))
        return Node("condition", named, (), first, len(self.texts) - first)

    @staticmethod
    def either(parts: Iterable[Node]) -> Node:
        """A filter of which one part is enough."""
        return Node("filter", (("type", "or"),), tuple(parts))

    @staticmethod
    def every(parts: Iterable[Node]) -> Node:
        """A filter all of whose parts hold."""
        return Node("filter", (("type", "and"),), tuple(parts))


def narrowing(
    parts: Iterable[Node], texts: Sequence[str], entity: Entity, model: Model, asker: Asker
) -> tuple[Predicate, tuple[object, ...]]:
    """Nodes, all of which hold, as a predicate and the values of its slots. Raises Refusal FC1002-FC1005."""
    bindings = Bindings(model)
    found = Filters(model, bindings).of(Node("entity", (), (Writer.every(parts),)), entity)
    return found, tuple(bound(texts, asker) for bound in bindings.bounds)
