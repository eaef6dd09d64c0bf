"""New rows at the portal's doors: whose they are, and who may choose their id.

A Create permission of access type Contact or Account speaks of rows that a lookup ties to the person. Where the body
leaves that lookup out, it is set; where it names somebody else, or nothing ties the row to its maker, the row is
refused once it is written (``FC3005``), since nobody but others could see it. There, such a row is accepted, an orphan
(pages-and-dataverse A1.4).

An id tells whether a row exists: an insert under a taken one fails. So only who reads every row of a table may choose
the id of a new one, at the portal and at Dataverse's own door; for anybody else a row that is hidden and a row that is
not there are one and the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.kernel.predicate import TRUE
from forecourt.security.permissions import PERSONS, node_predicate, nodes, parent_relation
from forecourt.security.rules import PortalRules, Right, Scope, TablePermission
from forecourt.security.scope import Scope as AskerScope


def of_its_maker(
    rules: PortalRules, model: Model, scope: AskerScope, entity: Entity, given: Collection[str]
) -> Mapping[str, object]:
    """The lookup that ties a new row to the person who makes it, where the body names no row that could.

    ``given``: the fields that the body sets. Nothing is set where a permission admits every row, or where permissions
    rest on several lookups: then the body has to say which.
    """
    if not scope.portal_door or entity.virtual_of is not None or scope.principal.contact is None:
        return {}
    found = nodes(rules, entity.name, Right.CREATE, scope.principal.web_roles)
    if any(node_predicate(rules, model, permission) == TRUE for permission in found):
        return {}
    ties = [tie for permission in found for tie in _ties(rules, model, entity, permission)]
    if any(name in given for name, _ in ties):
        return {}
    own = {name: value for name, param in ties if param and (value := scope.values.get(param)) is not None}
    return own if len(own) == 1 else {}


def _ties(rules: PortalRules, model: Model, entity: Entity, permission: TablePermission) -> list[tuple[str, str]]:
    """The lookups that a permission rests on, each with the name of the person's value that belongs there, '' where it
    is no person's row that it names."""
    name = permission.relationship or ""
    if permission.scope is Scope.PARENT:
        parent = rules.by_id.get(permission.parent) if permission.parent is not None else None
        relation = parent_relation(model, entity, name, parent.table) if parent is not None else None
        return [(own, "") for own, _ in relation.on if entity.fields[own].targets] if relation is not None else []
    link = rules.relationships.get((entity.name, name)) if permission.scope in PERSONS else None
    if link is None or len(link.match) != 1:
        return []
    ((own, theirs),) = link.match
    person = PERSONS[permission.scope]
    key = model.entities[person].key[0] if person in model.entities else ""
    return [(own, f"{person}.{theirs}")] if theirs == key and person in entity.fields[own].targets else []


def refuse_chosen_id(entity: Entity, given: Collection[str], reads_all: bool) -> None:
    """Raises Refusal FC3004 for a new row of a native table whose id is chosen by who does not read all of its rows."""
    if reads_all or entity.virtual_of is not None or not set(entity.key) & set(given):
        return
    raise Refusal(
        "FC3004",
        f"The id of a new row of {entity.collection} is not yours to choose.",
        hint=f"Leave {entity.key[0]} out.",
        source=entity.key[0],
    )
