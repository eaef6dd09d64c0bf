"""Table permissions: the forest of the portal's grants, as one predicate per table, right and set of web roles.

The algorithm is the one of the portal's last open release (pages-and-dataverse A1.3): roots carry the web roles, a
child inherits its root's; a table's rights are the OR over all its nodes; Global admits every row; Contact and
Account compare with the person's contact and account row; Self is the contact's own row; Parent admits the rows whose
parent row the parent permission's chain admits, whatever rights that permission itself has. No node means no.

Ours is safer in one point: an unknown relationship is an error when the solution is loaded, never at a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import UUID

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Entity, Model, Where
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


def nodes(rules: PortalRules, table: str, right: Right, web_roles: frozenset[str]) -> tuple[TablePermission, ...]:
    """The permissions for ``table`` that grant ``right`` and whose root is open to one of ``web_roles``."""
    by_id = {permission.id: permission for permission in rules.permissions}
    return tuple(
        permission
        for permission in rules.permissions
        if permission.table == table
        and right in permission.rights
        and (root := root_of(permission, by_id)) is not None
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
    """The rows that one permission reaches."""
    entity = model.entities.get(permission.table)
    if entity is None:
        return FALSE
    match permission.scope:
        case Scope.GLOBAL:
            return TRUE
        case Scope.SELF:
            if permission.table != CONTACT_TABLE:
                return FALSE
            return Compare("eq", Field((entity.key[0],)), Param("contact.contactid"))
        case Scope.CONTACT | Scope.ACCOUNT:
            person = "contact" if permission.scope is Scope.CONTACT else "account"
            link = rules.relationships.get((permission.table, permission.relationship or ""))
            if link is None or link.target != person or not link.match:
                return FALSE
            return all_of(*(Compare("eq", Field((own,)), Param(f"{person}.{theirs}")) for own, theirs in link.match))
        case Scope.PARENT:
            return _under_parent(rules, model, entity, permission)
    return FALSE


def _under_parent(rules: PortalRules, model: Model, entity: Entity, permission: TablePermission) -> Predicate:
    parent = next((p for p in rules.permissions if p.id == permission.parent), None)
    relation = entity.relations.get(permission.relationship or "")
    if parent is None or relation is None or relation.target != parent.table:
        return FALSE
    above = node_predicate(rules, model, parent)
    if above == FALSE:
        return FALSE
    return Any((relation.name,), above)


def opened(columns: Mapping[str, frozenset[str]], model: Model) -> Mapping[str, frozenset[str]]:
    """``Webapi/<table>/fields`` as names of fields: a lookup is listed by its logical name (``customerid``) or by that
    of its value (``_customerid_value``), which is what requests name."""
    found = {}
    for table, listed in columns.items():
        entity = model.entities.get(table)
        fields = entity.fields.values() if entity is not None and entity.virtual_of is None else ()
        found[table] = listed | {field.name for field in fields if field.column in listed}
    return found


def faults(rules: PortalRules, model: Model) -> Iterator[DefinitionError]:
    """What permissions and ``Webapi/`` settings name that does not exist. An unknown name admits nobody, silently."""
    by_id = {permission.id: permission for permission in rules.permissions}
    for permission in rules.permissions:
        where, name = permission.where, permission.relationship or ""
        entity = model.entities.get(permission.table)
        if entity is None:
            hint = suggest(permission.table, model.entities)
            yield _fault(where, f"permission '{permission.name}' names table '{permission.table}'", hint)
            continue
        if permission.scope in (Scope.CONTACT, Scope.ACCOUNT):
            person = "contact" if permission.scope is Scope.CONTACT else "account"
            known = [
                n for (table, n), link in rules.relationships.items() if table == entity.name and link.target == person
            ]
            if name not in known:
                yield _fault(
                    where,
                    f"permission '{permission.name}' names the relationship '{name}' of {entity.name} to {person}",
                    suggest(name, known) or "Define it under 'relationships' in the table's file.",
                )
        elif permission.scope is Scope.PARENT:
            parent = by_id.get(permission.parent) if permission.parent is not None else None
            if parent is None or root_of(permission, by_id) is None:
                yield _fault(where, f"permission '{permission.name}' names a parent permission")
                continue
            known = [n for n, found in entity.relations.items() if found.target == parent.table]
            if name not in known:
                yield _fault(
                    where,
                    f"permission '{permission.name}' names the relationship '{name}' to {parent.table}",
                    suggest(name, known),
                )


def _fault(where: Where, what: str, hint: str = "") -> DefinitionError:
    return DefinitionError(
        where.file, where.line, f"{what}, which does not exist: it would admit nobody.", hint, "FC6002"
    )
