"""FetchXML's ``filter``: conditions, joined by and or or, as a predicate over an entity's fields.

::

    filter       type and (the default) | or; conditions, filters, link-entities
    condition    attribute, operator, value(s) | valueof; entityname: of the link with that alias
    link-entity  link-type any | not any | all | not all | exists | in: rows of another table that exist, or do not

``all`` means: there are linked rows, and none of them satisfies the filter inside; ``not all`` is the same as ``any``.
So the original has it. An attribute is named by its logical name. Source: pages-and-dataverse B1.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecourt.kernel import predicate as p
from forecourt.kernel.document import suggest
from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.types import comparable
from forecourt.odata.comparison import check_order
from forecourt.odata.fetchxml.markup import Node, entity_of, read, wrong
from forecourt.odata.fetchxml.operators import COMPARISONS, Values, condition
from forecourt.odata.fetchxml.values import Constants
from forecourt.odata.filter import MAX_LINKS

MAX_CONDITIONS = 500

#: Dataverse's codes: a table, an attribute that is not known; too many links (pages-and-dataverse B1.8).
NO_ENTITY, NO_ATTRIBUTE, TOO_MANY_LINKS = "0x80041102", "0x80041103", "0x8004430D"

#: Link types that say whether linked rows exist, and bring no columns.
EXISTING = frozenset({"any", "not any", "all", "not all", "exists", "in"})


def rule_filter(text: str, entity: Entity, model: Model) -> p.Predicate:
    """The rows that the filter of a FetchXML admits, for a rule; all else in it is ignored (A1.2).

    Moments are Params that :func:`~forecourt.odata.fetchxml.clock.moment_named` understands; the asking person is the
    contact. Raises Refusal.
    """
    fetch = read(text)
    root = entity_of(fetch)
    if root.get("name") != entity.name:
        raise wrong(f"The FetchXML asks for '{root.get('name')[:100]}', not for '{entity.name}'.", code="FC1002")
    return Filters(model, Constants(model, fetch.texts)).of(root, entity)


def attribute(entity: Entity, name: str) -> EntityField:
    """The field of a logical name. Raises Refusal FC1002."""
    found = entity.fields.get(name)
    if found is not None and logical(found) == name:
        return found
    found = entity.fields.get(f"_{name}_value")
    if found is not None and found.targets:
        return found
    hint = suggest(name[:100], [logical(known) for known in entity.fields.values()])
    message = f"'{entity.name}' entity doesn't contain attribute with Name = '{name[:100]}'."
    raise wrong(message, hint, "FC1002", NO_ATTRIBUTE)


def logical(found: EntityField) -> str:
    """The name by which FetchXML knows a field: of a lookup its own, without ``_`` and ``_value``."""
    return found.column if found.targets else found.name


def table(model: Model, name: str) -> Entity:
    """The entity of a logical name. Raises Refusal FC1002."""
    found = model.entities.get(name)
    if found is None:
        message = f"The entity with a name = '{name[:100]}' was not found."
        raise wrong(message, suggest(name[:100], model.entities), "FC1002", NO_ENTITY)
    return found


def joined(node: Node, above: Entity, target: Entity) -> tuple[str, str]:
    """By which fields a link-entity finds its rows: (of the entity above, of its own). Raises Refusal."""
    if not node.get("from") or not node.get("to"):
        raise wrong("A link-entity says from which attribute to which: from=… to=….")
    theirs, own = attribute(target, node.get("from")), attribute(above, node.get("to"))
    if not comparable(own.kind, theirs.kind) or own.record_of != theirs.record_of or own.enum != theirs.enum:
        raise wrong(f"'{logical(own)}' and '{logical(theirs)}' are of different types.", code="FC1003")
    return own.name, theirs.name


@dataclass
class Filters:
    """Reads the filters of one fetch. ``links``: the entities that conditions may name by alias; limits count over
    all filters."""

    model: Model
    values: Values
    links: Mapping[str, Entity] = field(default_factory=dict)
    conditions: int = 0
    joins: int = 0

    def of(self, node: Node, entity: Entity) -> p.Predicate:
        """What the filters of an ``entity`` or ``link-entity`` say, all of them; TRUE without one."""
        return p.all_of(*(self._filter(child, entity) for child in node.all("filter")))

    def link(self) -> None:
        """Counts a link. Raises Refusal FC1004 for one too many."""
        self.joins += 1
        if self.joins > MAX_LINKS:
            raise wrong(f"A fetch has at most {MAX_LINKS} link-entities.", "", "FC1004", TOO_MANY_LINKS)

    def _filter(self, node: Node, entity: Entity) -> p.Predicate:
        kind = node.get("type", "and")
        if kind not in ("and", "or"):
            raise wrong("The type of a filter is and or or.")
        if node.get("hint", "union") != "union":
            raise wrong("The only hint of a filter is union.")
        parts = [self._part(child, entity) for child in node.children]
        if not parts:
            return p.TRUE
        return p.all_of(*parts) if kind == "and" else p.any_of(*parts)

    def _part(self, node: Node, entity: Entity) -> p.Predicate:
        match node.tag:
            case "filter":
                return self._filter(node, entity)
            case "link-entity":
                return self.existing(node, entity)
            case _:
                return self._condition(node, entity)

    def existing(self, node: Node, entity: Entity) -> p.Predicate:
        """A link-entity that asks whether rows exist. Raises Refusal FC1004 for another."""
        kind = node.get("link-type", "inner")
        if kind not in EXISTING:
            hint = 'Write link-type="any", or put the link-entity beside the filter.'
            raise wrong(f"A link-entity of type '{kind[:40]}' has no place here.", hint, "FC1004")
        if node.all("attribute", "all-attributes", "order"):
            raise wrong(f"A link-entity of type '{kind}' has no columns.", code="FC1004")
        self.link()
        target = table(self.model, node.get("name"))
        on = (joined(node, entity, target),)
        nested = []
        for child in node.all("link-entity"):
            if child.get("link-type", "inner") == "outer":
                continue  # it keeps every row, and nothing can be shown of it here
            inner = Node(child.tag, _as_any(child), child.children)
            nested.append(self.existing(inner, target))
        where = p.all_of(self.of(node, target), *nested)
        match kind:
            case "not any":
                return p.Not(p.AnyRow(target.name, on, where))
            case "all":
                return p.all_of(p.AnyRow(target.name, on, p.TRUE), p.Not(p.AnyRow(target.name, on, where)))
            case _:
                return p.AnyRow(target.name, on, where)

    def _condition(self, node: Node, entity: Entity) -> p.Predicate:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise wrong(f"A fetch has at most {MAX_CONDITIONS} conditions.", code="FC1005")
        if node.get("column"):
            raise wrong("'column' of a condition is not supported.", "Write attribute=….", "FC1004")
        found, operand = self._operand(node.get("entityname"), node.get("attribute"), entity)
        if not node.get("valueof"):
            return condition(node, found, operand, self.values)
        if node.count:
            raise wrong("A condition has a value or valueof, not both.")
        op = COMPARISONS.get(node.get("operator"))
        if op is None:
            raise wrong("Columns are compared by eq, ne, lt, le, gt, ge.", code="FC1004")
        alias, _, name = node.get("valueof").rpartition(".")
        other, right = self._operand(alias, name, entity)
        check_order(op, found)
        if not comparable(found.kind, other.kind) or found.enum != other.enum or found.record_of != other.record_of:
            raise wrong(f"'{logical(found)}' and '{logical(other)}' are of different types.", code="FC1003")
        return p.Compare(op, operand, right)

    def _operand(self, alias: str, name: str, entity: Entity) -> tuple[EntityField, p.Operand]:
        if not name:
            raise wrong("A condition names an attribute.")
        if not alias:
            found = attribute(entity, name)
            return found, p.Field((found.name,))
        linked = self.links.get(alias)
        if linked is None:
            hint = suggest(alias[:60], self.links)
            raise wrong(f"No link-entity has the alias '{alias[:60]}' here.", hint, "FC1002", NO_ENTITY)
        found = attribute(linked, name)
        return found, p.Linked(alias, found.name)


def _as_any(node: Node) -> tuple[tuple[str, str], ...]:
    """The attributes of a link that was meant to join, of which only the existence of rows counts."""
    kind = node.get("link-type", "inner")
    rest = tuple(pair for pair in node.attributes if pair[0] != "link-type")
    return (*rest, ("link-type", "any" if kind == "inner" else kind))
