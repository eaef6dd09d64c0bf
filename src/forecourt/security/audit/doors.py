"""Doors compared: rows that an identity reaches at one of them and not at another, to read or to change.

The direct doors are ``/data``, data packages and the Dataverse Web API; the other side is the portal, whose lists,
forms, search, export and ``/_api`` show the same rows. What may be created is asked of the rows that are there: where
one door admits a row and the other does not, the like of it can be created at one of them alone. Beside the doors
themselves stands the portal's own layer: what table permissions reach by themselves, which the source still narrows,
but only as long as it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, Predicate
from forecourt.kernel.principal import Door
from forecourt.security.admission import admitted
from forecourt.security.audit.algebra import canonical
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.questions import Apart, Question, question
from forecourt.security.gate import Gate
from forecourt.security.lowering import RIGHTS, Lowering
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation, Right
from forecourt.security.scope import Scope
from forecourt.security.xds import active, constrained

#: The doors past the portal, by the name that a report gives them.
DIRECT = {"/data": Door.OPERATIONS, "data packages": Door.PACKAGES, "the Dataverse Web API": Door.DATAVERSE}

CHANGES = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
DONE: Mapping[Operation | Right, str] = {
    Operation.READ: "read",
    Operation.CREATE: "created",
    Operation.UPDATE: "changed",
    Operation.DELETE: "deleted",
    Right.APPEND: "bound to other rows",
    Right.APPEND_TO: "named in lookups",
}


def counted(rows: int, entity: Entity, operation: Operation | Right) -> str:
    """Rows and what is done to them. Of a create: rows that are there, the like of which can be created, for a rule
    looks at a new row as it looks at one that is there."""
    like = "the like of " if operation is Operation.CREATE else ""
    return f"{like}{rows} rows of {entity.collection} can be {DONE[operation]}"


class Told(Protocol):
    """Makes the finding of one identity from how many rows it is and the key of one."""

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding: ...


@dataclass(frozen=True)
class Check:
    """One comparison for a class: the question, the database that answers it, and what an answer means.

    ``obstacles``: why it cannot be asked, where it cannot. ``apart``: how two databases are asked. ``listed``: how many
    identities have a finding of their own, None for as many as an audit lists."""

    gate: Gate
    asked: Question
    told: Told
    obstacles: tuple[str, ...] = ()
    apart: Apart | None = None
    listed: int | None = None


def comparison(
    gate: Gate,
    scope: Scope,
    entity: Entity,
    wide: Predicate,
    narrow: Predicate,
    told: Told,
    obstacles: tuple[str, ...] = (),
    listed: int | None = None,
) -> Check:
    """The rows of an entity that one side admits and the other does not. ``scope``: whose outer joins they are."""
    lowering = Lowering(gate.enforcer.rules, gate.model, scope, gate.enforcer.key_of)
    return Check(gate, question(lowering, entity, wide, narrow), told, obstacles, listed=listed)


class Doors:
    """The comparisons of doors for classes of identities. ``public``: rights that everybody is meant to have, by table;
    there the source decides alone."""

    def __init__(self, planes: Planes, public: Mapping[str, frozenset[Right]] = {}) -> None:
        self._planes = planes
        self._public = public

    def checks(self, found: Class) -> Iterator[Check]:
        """Every comparison that is worth a question; what is contained by construction is among them, too."""
        if found.first.portal is None or found.first.direct is None:
            return
        for entity in self._planes.operations.model.entities.values():
            yield from self._reading(found.first, entity)
            for operation in CHANGES:
                yield from self._changing(found.first, entity, operation)

    # -- reading -------------------------------------------------------------------------------------------------

    def _reading(self, first: Identity, entity: Entity) -> Iterator[Check]:
        virtual = self._planes.virtual(entity)
        portal = self._portal(first, virtual, Operation.READ)
        for door, rows in self._direct(first, entity, virtual, Operation.READ):
            missing = self._missing(first, entity, virtual)
            yield self._check(first, entity, rows, portal, _Wider(entity, door, missing))
        if portal == FALSE or virtual is None:
            return
        source = self._source(first, entity, Operation.READ)
        rule = f"the table permissions of {virtual.name} admit more than the source does"
        yield self._check(first, entity, portal, source, _Shown(entity, rule))
        if source != FALSE and Right.READ not in self._public.get(virtual.name, ()):
            scope = first.scope(Door.PORTAL)
            assert scope is not None
            alone = self._lowering(self._planes.dataverse, scope).permitted(virtual, "", Right.READ)
            yield self._check(first, entity, alone, source, _Alone(entity, virtual, self._named(first, virtual)))

    def _source(self, first: Identity, entity: Entity, operation: Operation) -> Predicate:
        """What the source admits for the user behind the identity, by whichever way to the entity."""
        scope = first.scope(Door.OPERATIONS)
        return FALSE if scope is None else admitted(self._planes.operations.enforcer, scope, entity, "", operation)

    def _direct(
        self, first: Identity, entity: Entity, virtual: Entity | None, operation: Operation
    ) -> Iterator[tuple[str, Predicate]]:
        """What each direct door admits, the same predicate once."""
        seen: set[Predicate] = {FALSE}
        for name, door in DIRECT.items():
            scope = first.scope(door)
            if scope is None or (door is Door.DATAVERSE and virtual is None):
                continue
            gate = self._planes.dataverse if door is Door.DATAVERSE else self._planes.operations
            asked = virtual if door is Door.DATAVERSE and virtual is not None else entity
            rows = canonical(admitted(gate.enforcer, scope, asked, "", operation))
            if rows not in seen:
                seen.add(rows)
                yield name, rows

    def _portal(self, first: Identity, virtual: Entity | None, operation: Operation) -> Predicate:
        scope = first.scope(Door.PORTAL)
        if virtual is None or scope is None:
            return FALSE
        return admitted(self._planes.dataverse.enforcer, scope, virtual, "", operation)

    # -- changing ------------------------------------------------------------------------------------------------

    def _changing(self, first: Identity, entity: Entity, operation: Operation) -> Iterator[Check]:
        virtual = self._planes.virtual(entity)
        if virtual is None:
            return
        portal = self._portal(first, virtual, operation)
        for door, rows in self._direct(first, entity, virtual, operation):
            yield self._check(
                first, entity, rows, portal, _Changed(entity, door, operation, self._fewer(first, virtual, operation))
            )

    def _fewer(self, first: Identity, virtual: Entity, operation: Operation) -> str:
        """The rule whose absence makes a direct door write more than the portal."""
        right = RIGHTS[operation]
        shown = self._named(first, virtual, right)
        if not shown:
            return f"no table permission on {virtual.name} gives '{right.value}' on them"
        user = first.user
        assert user is not None
        found = active(self._planes.operations.enforcer.rules.operations, user, operation)
        names = f"policies {', '.join(p.name for p in found)} admit" if found else "the source admits without a policy"
        return f"table permissions {shown} give '{right.value}' on fewer rows than {names}"

    # -- parts ---------------------------------------------------------------------------------------------------

    def _check(self, first: Identity, entity: Entity, wide: Predicate, narrow: Predicate, told: Told) -> Check:
        scope = first.scope(Door.OPERATIONS)
        assert scope is not None
        return comparison(self._planes.operations, scope, entity, wide, narrow, told)

    @staticmethod
    def _lowering(gate: Gate, scope: Scope) -> Lowering:
        return Lowering(gate.enforcer.rules, gate.model, scope, gate.enforcer.key_of)

    def _named(self, first: Identity, virtual: Entity, right: Right = Right.READ) -> str:
        found = nodes(self._planes.rules.portal, virtual.name, right, self._web_roles(first))
        return ", ".join(f"'{p.name}' ({p.where})" for p in found)

    @staticmethod
    def _web_roles(first: Identity) -> frozenset[str]:
        return first.portal.web_roles if first.portal is not None else frozenset()

    def _missing(self, first: Identity, entity: Entity, virtual: Entity | None) -> str:
        """The rule whose absence makes the direct door wider."""
        user = first.user
        rules = self._planes.operations.enforcer.rules
        assert user is not None
        if not constrained(rules.operations, user, entity, Operation.READ):
            return (
                f"no active XDS policy constrains {entity.root.table} for {{user}}: write one under operations/policies"
            )
        names = ", ".join(p.name for p in active(rules.operations, user, Operation.READ))
        if virtual is None:
            return f"{entity.name} has no virtual table, so the portal cannot show what policies {names} admit"
        shown = self._named(first, virtual)
        if not shown:
            roles = ", ".join(sorted(self._web_roles(first))) or "none"
            return f"no table permission on {virtual.name} for web roles {roles}"
        return f"table permissions {shown} admit fewer rows than policies {names}"


@dataclass(frozen=True)
class _Wider:
    """A direct door shows what the portal hides."""

    entity: Entity
    door: str
    missing: str

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        user = identity.user
        return Finding(
            "FC7001",
            f"{rows} rows of {self.entity.collection} can be read at {self.door} and not through the portal",
            self.missing.replace("{user}", user.id if user is not None else ""),
            self.entity.name,
            identity.label,
            rows,
            example,
            str(self.entity.where),
            subject=self.door,
        )


@dataclass(frozen=True)
class _Shown:
    """The portal shows what the source hides."""

    entity: Entity
    rule: str

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        return Finding(
            "FC7002",
            f"{rows} rows of {self.entity.collection} show in the portal and not at /data",
            self.rule,
            self.entity.name,
            identity.label,
            rows,
            example,
            str(self.entity.where),
        )


@dataclass(frozen=True)
class _Alone:
    """Table permissions reach what the source hides: nothing is open as long as the source is asked."""

    entity: Entity
    virtual: Entity
    named: str

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        return Finding(
            "FC7006",
            f"{rows} rows of {self.entity.collection} are within reach of the table permissions and hidden by the "
            "source alone",
            f"table permissions {self.named} admit more than the source",
            self.entity.name,
            identity.label,
            rows,
            example,
            self.named.rpartition("(")[2].rstrip(")"),
            subject=self.virtual.name,
        )


@dataclass(frozen=True)
class _Changed:
    """A direct door changes what the portal does not let be changed."""

    entity: Entity
    door: str
    operation: Operation
    rule: str

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        return Finding(
            "FC7007",
            f"{counted(rows, self.entity, self.operation)} at {self.door} and not through the portal",
            self.rule,
            self.entity.name,
            identity.label,
            rows,
            example,
            str(self.entity.where),
            subject=f"{self.operation.value} at {self.door}",
        )
