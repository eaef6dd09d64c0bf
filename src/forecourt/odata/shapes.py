"""Shaped answers of FetchXML and ``$apply``: their columns as an entity, their complete order.

:func:`completed` adds what tells any two rows apart, as columns that are not shown, so that an answer can be paged by
position however it is sorted. :func:`result_entity` gives an entity whose fields are the answer's columns: to whoever
writes rows, a shaped answer is like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from forecourt.kernel.model import Entity, EntityField, Model, Relation
from forecourt.kernel.plan import Link, OrderBy, ReadPlan, Shape, ShapeColumn
from forecourt.kernel.predicate import TRUE
from forecourt.kernel.predicate import linked_entities as filtered
from forecourt.kernel.types import Kind

_COUNTS = frozenset({"count", "countcolumn", "countdistinct"})


def linked_entities(links: tuple[Link, ...], model: Model) -> dict[str, Entity]:
    """Alias -> entity, of all links however deep."""
    found: dict[str, Entity] = {}
    for link in links:
        found[link.alias] = model.entities[link.entity]
        found.update(linked_entities(link.links, model))
    return found


def entities_beside(plan: ReadPlan) -> frozenset[str]:
    """The names of entities whose rows a plan asks for beside its own, by links and in filters."""
    found = set(filtered(plan.filter or TRUE))
    pending = list(plan.shape.links) if plan.shape is not None else []
    while pending:
        link = pending.pop()
        found |= {link.entity, *filtered(link.filter or TRUE)}
        pending.extend(link.links)
    return frozenset(found)


def is_unique(target: Entity, fields: frozenset[str]) -> bool:
    """Whether at most one row of the entity has given values in these fields."""
    keys = (target.key, target.natural_key, *target.alternate_keys.values())
    return any(fields >= set(key) for key in keys if key)


def completed(plan: ReadPlan, model: Model) -> ReadPlan:
    """The plan with an order in which no two rows are tied. ``plan``: a shaped one."""
    shape = plan.shape
    assert shape is not None
    columns, order = list(shape.columns), list(plan.order)
    ordered = {item.path[0] for item in order}
    descending = order[-1].descending if order else False
    if shape.grouped or shape.distinct:
        ties = [column for column in columns if column.function is None]
    else:
        ties = list(_keys("", model.entities[plan.entity], shape.links, model))
    known = {(column.alias, column.field): column.name for column in columns if _plain(column)}
    for tie in ties:
        name = known.get((tie.alias, tie.field), tie.name) if _plain(tie) else tie.name
        if name == tie.name and tie not in columns:
            columns.append(tie)
        if name not in ordered:
            ordered.add(name)
            order.append(OrderBy((name,), descending))
    return replace(plan, order=tuple(order), shape=replace(shape, columns=tuple(columns)))


def _plain(column: ShapeColumn) -> bool:
    return column.function is None and column.part is None


def _keys(alias: str, entity: Entity, links: tuple[Link, ...], model: Model) -> Iterator[ShapeColumn]:
    """The keys that tell rows apart: the entity's, and those of what is linked more than once."""
    for name in entity.key:
        yield ShapeColumn(f"@key.{alias}.{name}", alias, name)
    for link in links:
        target = model.entities[link.entity]
        found = _keys(link.alias, target, link.links, model)
        if is_unique(target, frozenset(theirs for _, theirs in link.on)):
            found = (column for column in found if column.alias != link.alias)
        yield from found


def result_entity(plan: ReadPlan, model: Model) -> Entity:
    """The columns of a shaped answer as an entity, whose rows have the key of the plan's entity where they show it."""
    shape = plan.shape
    assert shape is not None
    root = model.entities[plan.entity]
    entities = {"": root, **linked_entities(shape.links, model)}
    fields: dict[str, EntityField] = {}
    relations: dict[str, Relation] = {}
    for column in shape.columns:
        found = entities[column.alias].fields.get(column.field)
        fields[column.name] = _field(column, found)
        if found is not None and found.targets and column.function is None:
            for relation in entities[column.alias].relations.values():
                if relation.column == found.column and not relation.many:
                    relations[f"{column.name}/{relation.name}"] = replace(relation, column=column.name)
    key = root.key if all(name in fields for name in root.key) and not shape.grouped else ()
    return replace(root, fields=fields, relations=relations, key=key, alternate_keys={})


def _field(column: ShapeColumn, found: EntityField | None) -> EntityField:
    if column.function in _COUNTS or found is None:
        return EntityField(column.name, "", column.name, Kind.INT64, nullable=False)
    if column.part is not None:
        return EntityField(column.name, "", column.name, Kind.INT32)
    if column.function in ("sum", "avg"):
        return EntityField(column.name, "", column.name, Kind.DECIMAL)
    return replace(found, name=column.name, column=column.name, nullable=True, currency=None)


def visible(shape: Shape) -> Mapping[str, ShapeColumn]:
    """The columns that are shown, by name."""
    return {column.name: column for column in shape.columns if not column.name.startswith("@")}
