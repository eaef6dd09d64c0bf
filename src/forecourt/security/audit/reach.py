"""The reach of visitors and of somebody who has just registered: what there is to be had without being known.

They have the web roles that everybody has, no account, and no operations user of their own. Whatever row such a person
reaches is open to the world; where that is meant, ``public:`` in ``solution.yaml`` says so, and ``public_rows:`` which
rows: of a table whose policies alone decide that, nothing else would tell that one of them has been weakened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE
from forecourt.kernel.principal import Door
from forecourt.security.admission import admitted
from forecourt.security.audit.doors import DONE, Check, comparison
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.surroundings import Surroundings
from forecourt.security.lowering import RIGHTS, Lowering
from forecourt.security.permissions import nodes, root_of
from forecourt.security.rules import Operation, Right, Scope


def public(planes: Planes, group: Class, around: Surroundings) -> Iterator[Check]:
    """A question for each table and right: how many rows does the visitor or newcomer reach?"""
    first = group.first
    scope = first.scope(Door.PORTAL)
    if first.sort not in ("anonymous", "registered") or scope is None:
        return
    enforcer = planes.dataverse.enforcer
    for table in planes.dataverse.model.entities.values():
        for operation in Operation:
            right = RIGHTS[operation]
            public = right in around.public.get(table.name, frozenset())
            if operation is Operation.CREATE or (public and table.name not in around.public_rows):
                continue
            rows = admitted(enforcer, scope, table, "", operation)
            if rows == FALSE:
                continue
            lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
            meant = lowering.ruled(around.public_rows[table.name], table, "") if public else FALSE
            told = _Open(table, operation, _names(planes, first, table, right), public)
            yield comparison(planes.dataverse, scope, table, rows, meant, told)


def standing(planes: Planes, group: Class, around: Surroundings) -> Iterator[Finding]:
    """Rights that count although there is no row yet: every row of a table, and the right to create rows."""
    first = group.first
    scope = first.scope(Door.PORTAL)
    if first.sort not in ("anonymous", "registered") or scope is None or first.portal is None:
        return
    rules = planes.rules.portal
    by_id = {permission.id: permission for permission in rules.permissions}
    for table in planes.dataverse.model.entities.values():
        for operation in Operation:
            right = RIGHTS[operation]
            if right in around.public.get(table.name, frozenset()):
                continue
            if admitted(planes.dataverse.enforcer, scope, table, "", operation) == FALSE:
                continue
            for node in nodes(rules, table.name, right, first.portal.web_roles):
                root = root_of(node, by_id)
                if root is not None and root.scope is Scope.GLOBAL:
                    told = _Open(table, operation, f"'{node.name}' ({node.where})")
                    yield told(first, 0, "")
                    break


@dataclass(frozen=True)
class _Open:
    """Rows are open to anybody. ``beyond``: others of the table are meant to be."""

    table: Entity
    operation: Operation
    named: str
    beyond: bool = False

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        who = "visitors" if identity.sort == "anonymous" else "everybody who registers"
        verb = DONE[self.operation]
        every = f"rows of {self.table.collection} can be {verb} by {who}"
        meant = f"list {self.table.name} with '{RIGHTS[self.operation].value}' under public: in solution.yaml"
        if self.beyond:
            every += " that are not among the public rows of the table"
            meant = "let public_rows: in solution.yaml admit them; if not, narrow the policies at the source"
        return Finding(
            "FC7011",
            f"{rows} {every}" if rows else f"all {every}, as soon as there are some",
            f"table permission {self.named} reaches them; if that is meant, {meant}",
            self.table.name,
            identity.label,
            rows,
            example,
            self.named.rpartition("(")[2].rstrip(")"),
            subject=self.operation.value,
        )


def _names(planes: Planes, first: Identity, table: Entity, right: Right) -> str:
    roles = first.portal.web_roles if first.portal is not None else frozenset()
    return ", ".join(f"'{p.name}' ({p.where})" for p in nodes(planes.rules.portal, table.name, right, roles))
