"""Direct doors compared with one another, for people who come without the portal, too.

What ``/data`` admits is the measure of data packages, of the Dataverse Web API's virtual tables and of plain SQL under
a mapped database role. All but SQL run the same gate; they differ by the ways that privileges open and by security
roles, so that rows may be open at one of them alone. Dataverse's own tables have no ``/data``: the Web API is held
against the portal, and nothing of theirs is open to somebody outside who has no contact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, Predicate
from forecourt.kernel.principal import Door
from forecourt.security.admission import admitted
from forecourt.security.audit.doors import DIRECT, Check, comparison, counted
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.plain_sql import shown
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.surroundings import Surroundings
from forecourt.security.rules import Operation

WEB_API = "the Dataverse Web API"
PLAIN_SQL = "plain SQL"


class Direct:
    """The comparisons of direct doors for classes of identities."""

    def __init__(self, planes: Planes, around: Surroundings) -> None:
        self._planes = planes
        self._sql = around.sql

    def checks(self, group: Class) -> Iterator[Check]:
        """Every comparison of a class; what is contained by construction is among them, too."""
        first = group.first
        scope = first.scope(Door.OPERATIONS)
        if scope is None:
            return
        for entity in self._planes.operations.model.entities.values():
            for operation in Operation:
                data = admitted(self._planes.operations.enforcer, scope, entity, "", operation)
                for door, rows in self._beside(first, entity, operation):
                    told = _Beside(entity, door, operation)
                    yield comparison(self._planes.operations, scope, entity, rows, data, told)
        if first.sort != "sql":
            yield from self._native(first)

    def _beside(self, first: Identity, entity: Entity, operation: Operation) -> Iterator[tuple[str, Predicate]]:
        """What the other doors to an entity admit."""
        for name, door in DIRECT.items() if first.sort != "sql" else ():
            scope = first.scope(door)
            asked = self._planes.virtual(entity) if door is Door.DATAVERSE else entity
            if door is not Door.OPERATIONS and scope is not None and asked is not None:
                gate = self._planes.dataverse if door is Door.DATAVERSE else self._planes.operations
                rows = admitted(gate.enforcer, scope, asked, "", operation)
                if rows != FALSE:
                    yield name, rows
        if self._sql is not None and first.user is not None and operation is Operation.READ:
            rows = shown(self._sql.protection, entity, first.user)
            if rows != FALSE:
                yield PLAIN_SQL, rows

    def _native(self, first: Identity) -> Iterator[Check]:
        """Dataverse's own tables at the Web API, which security roles open."""
        scope, person = first.scope(Door.DATAVERSE), first.scope(Door.PORTAL)
        enforcer = self._planes.dataverse.enforcer
        for table in self._planes.native if scope is not None else ():
            for operation in Operation:
                assert scope is not None
                rows = admitted(enforcer, scope, table, "", operation)
                if rows == FALSE:
                    continue
                portal = FALSE if person is None else admitted(enforcer, person, table, "", operation)
                yield comparison(self._planes.dataverse, scope, table, rows, portal, _ByRole(table, operation))


@dataclass(frozen=True)
class _Beside:
    """A direct door reaches what ``/data`` hides."""

    entity: Entity
    door: str
    operation: Operation

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        return Finding(
            "FC7020",
            f"{counted(rows, self.entity, self.operation)} at {self.door} and not at /data",
            "open or close both ways in the privilege"
            if self.door != PLAIN_SQL
            else "bring the database to the rules with 'forecourt native apply'",
            self.entity.name,
            identity.label,
            rows,
            example,
            str(self.entity.where),
            subject=f"{self.operation.value} at {self.door}",
        )


@dataclass(frozen=True)
class _ByRole:
    """A security role opens rows of Dataverse's own tables that the portal hides."""

    table: Entity
    operation: Operation

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        roles = ", ".join(sorted(identity.direct.security_roles)) if identity.direct is not None else ""
        reading = self.operation is Operation.READ
        return Finding(
            "FC7001" if reading else "FC7007",
            f"{counted(rows, self.table, self.operation)} at {WEB_API} and not through the portal",
            f"security roles {roles} of user {identity.user.id if identity.user is not None else ''} reach them",
            self.table.name,
            identity.label,
            rows,
            example,
            str(self.table.where),
            subject=WEB_API if reading else f"{self.operation.value} at {WEB_API}",
        )
