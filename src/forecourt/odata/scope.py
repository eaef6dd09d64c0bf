"""Names of a request looked up in the model: fields, relations and the paths between them.

A name means what it means in the entity of its scope: the requested one, the target of an expanded relation, or the
variable of ``any``/``all``. An unknown name is refused with FC1002 and the nearest known names. A path crosses
single-valued relations only, at most five; collections are crossed by ``any``/``all``.
Source: pages-and-dataverse B1.3; operations-and-integration 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField, Model, Relation

MAX_PATH = 5


@dataclass(frozen=True, slots=True)
class Scope:
    """``variable``: of ``any``/``all``, '' outside; names in its body begin with it."""

    model: Model
    entity: Entity
    variable: str = ""


def unknown_name(name: str, entity: Entity, source: str) -> Refusal:
    return Refusal(
        "FC1002",
        f"Could not find a property named '{name[:100]}' on type '{entity.public_name}'.",
        hint=suggest(name[:100], [*entity.fields, *entity.relations]),
        source=source,
    )


def target_of(relation: Relation, model: Model) -> Entity:
    """The entity that a relation leads to. One that the model lacks is unknown to the request as well."""
    entity = model.entities.get(relation.target)
    if entity is None:
        raise Refusal("FC1002", f"The relation '{relation.name}' leads to nothing that is published here.")
    return entity


def entity_of(model: Model, collection: str) -> Entity:
    """The entity behind an entity set. Names are case-sensitive. Raises Refusal FC4042."""
    entity = model.by_collection.get(collection)
    if entity is None:
        raise Refusal(
            "FC4042",
            f"Resource not found for the segment '{collection[:100]}'.",
            hint=suggest(collection[:100], model.by_collection),
            source="path",
        )
    return entity


def follow(names: list[str], scope: Scope, source: str) -> tuple[Entity, tuple[str, ...]]:
    """The entity at the end of a path of single-valued relations."""
    if len(names) > MAX_PATH:
        raise Refusal("FC1004", f"A path crosses at most {MAX_PATH} relations.", source=source)
    entity = scope.entity
    for name in names:
        relation = entity.relations.get(name)
        if relation is None:
            if name in entity.fields:
                raise Refusal("FC1002", f"'{name}' is a column and has no columns of its own.", source=source)
            raise unknown_name(name, entity, source)
        if relation.many:
            raise Refusal(
                "FC1004",
                f"'{name}' is a collection.",
                hint=f"Ask for some of it: {name}/any(x:x/Column eq ...).",
                source=source,
            )
        entity = target_of(relation, scope.model)
    return entity, tuple(names)


def field_at(names: list[str], scope: Scope, source: str) -> tuple[EntityField, tuple[str, ...]]:
    """The field that a path names, and the path."""
    entity, path = follow(names[:-1], scope, source)
    name = names[-1]
    field = entity.fields.get(name)
    if field is None:
        if name in entity.relations:
            raise Refusal(
                "FC1004",
                f"'{name}' is a relation; name one of its columns.",
                source=source,
                hint=f"Write {name}/Column, or {name}/any(x:x/Column eq ...) for a collection.",
            )
        raise unknown_name(name, entity, source)
    return field, (*path, name)
