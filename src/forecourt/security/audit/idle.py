"""Rules that have no effect: nothing is open through them, but whoever wrote them thought that they did something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from forecourt.kernel.model import Where
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.surroundings import Surroundings
from forecourt.security.grants import granted
from forecourt.security.permissions import root_of
from forecourt.security.rules import Operation, Right, Scope, TablePermission

#: What a right of a table permission has to be granted as at the source.
_OPERATIONS = {
    Right.READ: Operation.READ,
    Right.WRITE: Operation.UPDATE,
    Right.CREATE: Operation.CREATE,
    Right.DELETE: Operation.DELETE,
}


def idle(planes: Planes, groups: Sequence[Class], around: Surroundings) -> list[Finding]:
    """Every rule that could be taken away without a difference to anybody."""
    found = [_finding(item.what, item.name, "nothing refers to it", item.where) for item in around.unused]
    for policy in planes.rules.operations.policies:
        if not policy.enabled:
            found.append(_finding("policy", policy.name, "it is switched off", policy.where))
    by_id = {permission.id: permission for permission in planes.rules.portal.permissions}
    for permission in planes.rules.portal.permissions:
        root = root_of(permission, by_id)
        roles = root.web_roles if root is not None else frozenset()
        for reason in _reasons(planes, groups, around, permission, roles):
            found.append(_finding("table permission", permission.name, reason, permission.where))
    return found


def _reasons(
    planes: Planes,
    groups: Sequence[Class],
    around: Surroundings,
    permission: TablePermission,
    roles: frozenset[str],
) -> Iterator[str]:
    if not roles:
        yield "no web role has it"
        return
    if around.held is not None and not roles & around.held:
        yield f"nobody holds {', '.join(sorted(roles))}"
    if around.used is not None and permission.table not in around.used:
        yield f"no page, list, form, template or Web API setting names {permission.table}"
    shadow = _shadowed(planes.rules.portal.permissions, permission, roles)
    if shadow is not None:
        yield f"'{shadow.name}' ({shadow.where}) gives the same on every row"
    entity = planes.dataverse.model.entities.get(permission.table)
    if entity is not None and entity.virtual_of is not None:
        yield from _refused(planes, groups, permission, roles, entity.virtual_of)


def _shadowed(
    permissions: Iterable[TablePermission], permission: TablePermission, roles: frozenset[str]
) -> TablePermission | None:
    for other in permissions:
        wide = other.scope is Scope.GLOBAL and other.table == permission.table
        narrower = permission.scope is not Scope.GLOBAL or str(other.id) < str(permission.id)
        if other.id == permission.id or not wide or not narrower:
            continue
        if permission.rights <= other.rights and roles <= other.web_roles:
            return other
    return None


def _refused(
    planes: Planes, groups: Sequence[Class], permission: TablePermission, roles: frozenset[str], entity: str
) -> Iterator[str]:
    """Rights on a virtual table that the source grants to nobody who has them."""
    users = [
        user
        for group in groups
        if group.first.portal is not None
        and group.first.portal.web_roles & roles
        and (user := group.first.portal.operations_user) is not None
    ]
    shared = planes.operations.model.entities[entity].company is None
    rules = planes.rules.operations
    for right in sorted(permission.rights):
        operation = _OPERATIONS.get(right)
        if operation is None or not users:
            continue
        if not any(granted(rules, user, entity, operation, shared=shared).allowed for user in users):
            yield f"it gives '{right.value}', which the source grants to nobody who holds {', '.join(sorted(roles))}"


def _finding(what: str, name: str, reason: str, where: Where) -> Finding:
    return Finding(
        "FC7012",
        f"{what} {name} has no effect: {reason}",
        "take it away, or mend what it was meant to do",
        where=str(where),
        subject=f"{what} {name}: {reason}",
    )
