"""Columns that ``/_api`` alone shows: whoever listed them opened more than anything asks for.

``Webapi/<table>/fields`` is for scripts of the site. A column in it is taken to be meant where something of the
solution shows or names it (``Surroundings.asked``), where a column permission of the person's web roles speaks of it,
or where the person reads it at another door anyway: at ``/data`` if the table is a data entity's, or at the Dataverse
Web API. Columns of a copy are held against their source, and not looked at here. What is left is a finding, with a row
in which it can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE
from forecourt.kernel.principal import Door
from forecourt.security.admission import admitted
from forecourt.security.audit.columns import opened
from forecourt.security.audit.doors import Check, comparison
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.surroundings import Surroundings
from forecourt.security.columns import RIGHTS
from forecourt.security.rules import Operation


def unasked(planes: Planes, group: Class, around: Surroundings) -> Iterator[Check]:
    """A question for each table with such columns: how many rows show them?"""
    scope = group.first.scope(Door.PORTAL_API)
    if scope is None or around.asked is None:
        return
    enforcer = planes.dataverse.enforcer
    for name in planes.rules.portal.columns:
        table = planes.dataverse.model.entities.get(name)
        if table is None or (rows := admitted(enforcer, scope, table)) == FALSE:
            continue
        names = enforcer.readable(table, scope) - frozenset(table.key) - around.asked.get(name, frozenset())
        names -= _permitted(planes, group.first, table) | _elsewhere(planes, group.first, table, around)
        if names:
            told = _Unasked(table, tuple(sorted(names)))
            yield comparison(planes.dataverse, scope, table, rows, FALSE, told, listed=1)


def _permitted(planes: Planes, first: Identity, table: Entity) -> frozenset[str]:
    """Columns that a column permission lets the person read by name."""
    roles = first.portal.web_roles if first.portal is not None else frozenset()
    counting = (item for item in planes.rules.portal.profiles if item.table == table.name and item.web_roles & roles)
    right = RIGHTS[Operation.READ]
    return frozenset(name for item in counting for name, rights in item.columns.items() if right in rights)


def _elsewhere(planes: Planes, first: Identity, table: Entity, around: Surroundings) -> frozenset[str]:
    """Columns that the person reads at another door, or that are copies."""
    found = opened(planes.dataverse, first, Door.DATAVERSE, table) or frozenset()
    if table.virtual_of is not None:
        entity = planes.operations.model.entities[table.virtual_of]
        found |= opened(planes.operations, first, Door.OPERATIONS, entity) or frozenset()
    found |= {column for copy in around.copies if copy.table.name == table.name for column, _ in copy.columns}
    return frozenset(name for name, field in table.fields.items() if {field.base or name, field.column} & found)


@dataclass(frozen=True)
class _Unasked:
    """Columns show at ``/_api`` and nowhere else."""

    table: Entity
    names: tuple[str, ...]

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        listed = ", ".join(self.names)
        return Finding(
            "FC7019",
            f"{len(self.names)} columns of {self.table.collection} can be read at /_api in {rows} rows; nothing of the "
            f"site shows or names them, and no other door shows them to the same identity: {listed}",
            f"take them out of Webapi/{self.table.name}/fields, or give the web roles a column permission for them",
            self.table.name,
            identity.label,
            rows,
            example,
            str(self.table.where),
            subject=listed,
        )
