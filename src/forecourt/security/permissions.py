"""Table permissions: the forest of the portal's grants, as one predicate per table, right and set of web roles.

The algorithm is the one of the portal's last open release (pages-and-dataverse A1.3): roots carry the web roles, a
child inherits its root's, and a root that no role of the person names takes its whole tree with it. A table's rights
are the OR over all its nodes, row by row. No node means no. What a node reaches:

=======  ==============================================================================================
Global   every row
Contact  the rows that a relationship ties to the person's own contact: many to one, one to many, many to many
Account  the same with the account that the person's contact belongs to
Self     the contact's own row
Parent   the rows tied to a row that the parent permission's chain reaches, whatever rights that one has itself
Custom   the rows that the filter of its FetchXML admits
=======  ==============================================================================================

An unknown relationship reaches nothing; the solution that names it is refused (``permission_checks``). A visitor has
neither contact nor account: null, which ties to no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from forecourt.kernel.model import Entity, Model, Relation
from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    Any,
    Compare,
    Field,
    Param,
    Predicate,
    all_of,
    any_of,
)
from forecourt.security.rules import PortalRules, Right, Scope, TablePermission

CONTACT_TABLE = "contact"

#: Whose row a scope starts from: the table, which also begins the names of the person's values.
PERSONS = {Scope.CONTACT: CONTACT_TABLE, Scope.ACCOUNT: "account"}


def nodes(rules: PortalRules, table: str, right: Right, web_roles: frozenset[str]) -> tuple[TablePermission, ...]:
    """The permissions for ``table`` that grant ``right`` and whose root is open to one of ``web_roles``."""
    return tuple(
        permission
        for permission in rules.permissions
        if permission.table == table
        and right in permission.rights
        and (root := root_of(permission, rules.by_id)) is not None
        and root.web_roles & web_roles
    )


def root_of(permission: TablePermission, by_id: Mapping[UUID, TablePermission]) -> TablePermission | None:
    """The root of a permission's tree, or None where its chain is broken or circular."""
    seen = set()
    while permission.scope is Scope.PARENT:
        if permission.id in seen or permission.parent is None or permission.parent not in by_id:
            return None
        seen.add(permission.id)
        permission = by_id[permission.parent]
    return permission


def admits(rules: PortalRules, model: Model, table: str, right: Right, web_roles: frozenset[str]) -> Predicate:
    """The rows of ``table`` that the web roles reach with ``right``, as a predicate over its fields."""
    found = nodes(rules, table, right, web_roles)
    return any_of(*(node_predicate(rules, model, permission) for permission in found))


def node_predicate(rules: PortalRules, model: Model, permission: TablePermission) -> Predicate:
    """The rows that one permission reaches. A circle of parents reaches nothing."""
    entity = model.entities.get(permission.table)
    if entity is None or root_of(permission, rules.by_id) is None:
        return FALSE
    match permission.scope:
        case Scope.GLOBAL:
            return TRUE
        case Scope.SELF:
            if permission.table != CONTACT_TABLE:
                return FALSE
            return Compare("eq", Field((entity.key[0],)), Param("contact.contactid"))
        case Scope.CONTACT | Scope.ACCOUNT:
            return _of_person(rules, model, entity, PERSONS[permission.scope], permission.relationship or "")
        case Scope.PARENT:
            return _under_parent(rules, model, entity, permission)
        case Scope.CUSTOM:
            return permission.condition
    return FALSE


def _of_person(rules: PortalRules, model: Model, entity: Entity, person: str, name: str) -> Predicate:
    """The rows that a relationship ties to the person's row: by values, or through a table of pairs."""
    link = rules.relationships.get((entity.name, name))
    if link is not None:
        if link.target != person or not link.match:
            return FALSE
        return all_of(*(Compare("eq", Field((own,)), Param(f"{person}.{theirs}")) for own, theirs in link.match))
    relation = entity.relations.get(name)
    if relation is None or relation.through is None or relation.target != person:
        return FALSE
    key = model.entities[person].key[0]
    return Any((name,), Compare("eq", Field((key,)), Param(f"{person}.{key}")))


def _under_parent(rules: PortalRules, model: Model, entity: Entity, permission: TablePermission) -> Predicate:
    parent = rules.by_id.get(permission.parent) if permission.parent is not None else None
    if parent is None:
        return FALSE
    relation = parent_relation(model, entity, permission.relationship or "", parent.table)
    if relation is None:
        return FALSE
    above = node_predicate(rules, model, parent)
    return FALSE if above == FALSE else Any((relation.name,), above)


def parent_relation(model: Model, entity: Entity, name: str, parent: str) -> Relation | None:
    """The relation of a table that leads to its parents: by its own name, or by the schema name of the relationship.

    A relationship of a table to itself, whose schema name stands for both directions, leads up: from the row that
    holds the lookup to the one that it names.
    """
    own = entity.relations.get(name)
    if own is not None and own.target == parent and not (own.many and own.through is None and parent == entity.name):
        return own
    above = model.entities.get(parent)
    back = above.relations.get(name) if above is not None else None
    if back is None or back.target != entity.name or not back.many or back.through is not None:
        return None
    mirrored = {(theirs, mine) for mine, theirs in back.on}
    for found in entity.relations.values():
        if found.target == parent and not found.many and set(found.on) == mirrored:
            return found
    return None
