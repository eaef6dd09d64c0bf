"""Grants that no policy restrains: what external users may do to an entity with nothing to say to which rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from forecourt.kernel.model import Entity
from forecourt.kernel.principal import OperationsUser
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.grants import granted
from forecourt.security.rules import Operation
from forecourt.security.xds import constrained

_VERBS = {
    Operation.READ: "reads",
    Operation.CREATE: "creates",
    Operation.UPDATE: "changes",
    Operation.DELETE: "deletes",
}


@dataclass
class _Found:
    roles: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)


def unconstrained(planes: Planes, identities: Iterable[Identity]) -> list[Finding]:
    """External users with a grant on an entity that no active policy constrains, one finding for each operation."""
    rules = planes.operations.enforcer.rules
    found: dict[tuple[str, Operation], _Found] = {}
    decided: dict[object, list[tuple[Entity, Operation, set[str]]]] = {}
    for identity in identities:
        user = identity.user
        if user is None or not user.external:
            continue
        shape = (user.roles, user.enabled)
        if shape not in decided:
            decided[shape] = list(_of(planes, user))
        for entity, operation, roles in decided[shape]:
            item = found.setdefault((entity.name, operation), _Found())
            item.roles |= roles
            item.labels[user.id] = identity.label
    open_door = rules.operations.external_users == "open"
    return [_finding(planes, name, operation, item, open_door) for (name, operation), item in found.items()]


def _of(planes: Planes, user: OperationsUser) -> Iterable[tuple[Entity, Operation, set[str]]]:
    rules = planes.operations.enforcer.rules.operations
    for entity in planes.operations.model.entities.values():
        reading = constrained(rules, user, entity, Operation.READ)
        for operation in Operation:
            grant = granted(rules, user, entity.name, operation, None, entity.company is None)
            if not grant.allowed or constrained(rules, user, entity, operation):
                continue
            if operation is Operation.READ or reading:  # what cannot be read is told once
                yield entity, operation, {role for role, _ in grant.grants}


def _finding(planes: Planes, name: str, operation: Operation, item: _Found, open_door: bool) -> Finding:
    entity = planes.operations.model.entities[name]
    verb = _VERBS[operation]
    effect = f"{verb} every row of its legal entities" if open_door else f"{verb} nothing of it"
    users = sorted(item.labels)
    return Finding(
        "FC7003",
        f"{len(users)} external users are granted {entity.collection} by {', '.join(sorted(item.roles))}, "
        f"and no active policy constrains it to {operation.value}: each {effect}",
        f"an XDS policy that constrains {entity.root.table}, or no grant",
        name,
        users[0],
        where=str(entity.where),
        subject=operation.value,
        others=len(users) - 1,
    )
