"""Which containments the rules of a solution pose.

People are taken by *kind*: those whom the rules cannot tell apart but by values (web roles, operations roles, legal
entities). For each kind and each data entity:

    portal      what the portal shows is among what the source admits, for each operation
    direct      what the source admits to the same person is among what the portal shows; and of virtual tables, what
                it lets be created, changed and deleted: new rows, too, like none that is there
    permission  what one table permission names is among what the source admits: nothing hangs on the source alone.
                Not asked of what ``public`` says is meant for everybody: there the source decides

Policies stand as subqueries here, the form that means what the bound one means (see ``xds``). The predicates are those
of requests, made by the same lowering.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, Exists, Predicate, all_of, negate
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.relation import Output, Select, Source, aliases_of
from forecourt.security.audit.identities import Identity
from forecourt.security.enforce import Enforcer
from forecourt.security.lowering import RIGHTS, Lowering
from forecourt.security.permissions import node_predicate, nodes
from forecourt.security.prove.assumptions import Tie, inward, outward, ties
from forecourt.security.prove.decide import Assumption
from forecourt.security.rules import Operation, Policy, TablePermission
from forecourt.security.scope import Scope
from forecourt.security.xds import active

Containment = Literal["portal", "direct", "permission"]
Make = Callable[[Policy, tuple[Tie, ...]], tuple[Assumption, ...]]


@dataclass(frozen=True)
class Kind:
    """People whom rules tell apart by values only: ``direct``, ``portal`` are one of them at either door."""

    label: str
    direct: Principal
    portal: Principal
    people: tuple[Identity, ...] = ()

    @property
    def absent(self) -> tuple[str, ...]:
        """Beginnings of the names of parameters that are null: a visitor has no contact and no account."""
        return () if self.portal.contact is not None else ("contact.", "account.")


@dataclass(frozen=True)
class Question:
    """Whether every row of ``sources`` that ``wide`` admits is admitted by ``narrow``. ``keys`` name a row."""

    containment: Containment
    kind: Kind
    entity: str
    operation: Operation
    text: str
    sources: tuple[Source, ...]
    wide: Predicate
    narrow: Predicate
    keys: tuple[Output, ...]
    nullable: frozenset[tuple[str, str]]
    assumptions: tuple[Assumption, ...] = ()
    where: str = ""

    @property
    def leak(self) -> Predicate:
        """Some row that the wide side admits and the narrow one does not."""
        return Exists(Select(self.sources, all_of(self.wide, negate(self.narrow))))

    def rows(self, where: Predicate) -> Select:
        """The keys of the rows that a side admits."""
        return Select(self.sources, where, self.keys, nullable=self.nullable)


def kinds(identities: Iterable[Identity]) -> list[Kind]:
    """People by kind. Those who cannot enter at one of the doors are left out."""
    found: dict[object, list[tuple[Identity, Principal, Principal]]] = {}
    for identity in identities:
        direct, portal, user = identity.direct, identity.portal, identity.user
        if direct is not None and portal is not None and user is not None and identity.fault is None:
            decided = (user.roles, user.companies, user.external, user.enabled)
            shape = (decided, portal.web_roles, portal.contact is None)
            found.setdefault(shape, []).append((identity, direct, portal))
    result = []
    for group in found.values():
        first, direct, portal = group[0]
        named = ", ".join(sorted(portal.web_roles)) or "no web role"
        others = f" and {len(group) - 1} more" if len(group) > 1 else ""
        people = tuple(identity for identity, _, _ in group)
        result.append(Kind(f"{named} ({first.label}{others})", direct, portal, people))
    return result


@dataclass(frozen=True)
class Questioner:
    """Poses questions over the enforcers of the two gates. ``public``: rights that everybody is meant to have, by
    table."""

    operations: Enforcer
    dataverse: Enforcer
    public: Mapping[str, Collection[str]] = field(default_factory=dict)

    def all(self, kinds: Sequence[Kind]) -> Iterator[Question]:
        """Every question of every kind."""
        virtual = {e.virtual_of: e for e in self.dataverse.model.entities.values() if e.virtual_of is not None}
        for kind in kinds:
            for entity in self.operations.model.entities.values():
                yield from self._doors(kind, entity, virtual.get(entity.name))
                table = virtual.get(entity.name)
                if table is not None:
                    yield from self._permissions(kind, entity, table)

    # -- doors -----------------------------------------------------------------------------------------------------

    def _doors(self, kind: Kind, entity: Entity, table: Entity | None) -> Iterator[Question]:
        for operation in Operation:
            source = self._reach(self.operations, kind.direct, Door.OPERATIONS, entity, operation)
            portal = FALSE if table is None else self._reach(self.dataverse, kind.portal, Door.PORTAL, table, operation)
            if portal != FALSE:
                text = f"what the portal lets {_done(operation)} of {entity.collection} is what the source admits"
                yield self._question("portal", kind, entity, operation, text, portal, source)
            if source != FALSE and (table is not None or operation is Operation.READ):
                text = f"what the source lets {_done(operation)} of {entity.collection} is what the portal does"
                if operation is Operation.READ:
                    text = f"what the source admits of {entity.collection} is what the portal shows"
                assumed = () if table is None else self._assumptions(kind, table, operation, outward)
                yield self._question("direct", kind, entity, operation, text, source, portal, assumed)

    def _permissions(self, kind: Kind, entity: Entity, table: Entity) -> Iterator[Question]:
        meant = self.public.get(table.name, ())
        for operation in (item for item in Operation if RIGHTS[item].value not in meant):
            source = self._reach(self.operations, kind.direct, Door.OPERATIONS, entity, operation)
            found = nodes(self.dataverse.rules.portal, table.name, RIGHTS[operation], kind.portal.web_roles)
            for permission in found:
                named = self._named(kind, table, operation, permission)
                if named is None or named == FALSE:
                    continue
                text = (
                    f"what table permission '{permission.name}' lets {_done(operation)} of {entity.collection} is what "
                    "the source admits"
                )
                assumed = self._assumed(kind, (permission,), operation, inward)
                where = str(permission.where)
                yield self._question("permission", kind, entity, operation, text, named, source, assumed, where)

    def _question(
        self,
        containment: Containment,
        kind: Kind,
        entity: Entity,
        operation: Operation,
        text: str,
        wide: Predicate,
        narrow: Predicate,
        assumptions: tuple[Assumption, ...] = (),
        where: str = "",
    ) -> Question:
        keys = tuple(
            Output(name, self._lowering(kind).column(entity, "", name), entity.fields[name].kind) for name in entity.key
        )
        named = {entity.fields[name].source for name in entity.key}
        both = aliases_of(wide) | aliases_of(narrow) | named
        sources = self._lowering(kind).sources(entity, "", operation, both)
        return Question(
            containment,
            kind,
            entity.name,
            operation,
            text,
            sources,
            wide,
            narrow,
            keys,
            self._lowering(kind).nullable(entity, ""),
            assumptions,
            where or str(entity.where),
        )

    # -- predicates ------------------------------------------------------------------------------------------------

    def _lowering(self, kind: Kind) -> Lowering:
        return _lowering(self.operations, Scope(kind.direct, Door.OPERATIONS))

    def _reach(
        self, enforcer: Enforcer, principal: Principal, door: Door, entity: Entity, operation: Operation
    ) -> Predicate:
        """The rows that a person may do something to at a door: as they are, for a new row as it is to be."""
        scope = Scope(principal, door)
        lowering = _lowering(enforcer, scope)
        try:
            if scope.portal_door and not nodes(
                enforcer.rules.portal, entity.name, RIGHTS[operation], principal.web_roles
            ):
                return FALSE
            grant = lowering.require(entity, operation)
            reach = lowering.rows(entity, "", operation, grant)
            if operation in (Operation.UPDATE, Operation.DELETE):
                reading = lowering.require(entity, Operation.READ)
                reach = all_of(reach, lowering.rows(entity, "", Operation.READ, reading, permissions=False))
        except Refusal:
            return FALSE
        return reach

    def _named(self, kind: Kind, table: Entity, operation: Operation, permission: TablePermission) -> Predicate | None:
        """What a permission alone names, within the legal entities of the grant; None where nothing is granted."""
        enforcer = self.dataverse
        lowering = _lowering(enforcer, Scope(kind.portal, Door.PORTAL))
        try:
            grant = lowering.require(table, operation)
            lowering.in_rule()
            named = lowering.predicate(node_predicate(enforcer.rules.portal, enforcer.model, permission), table, "")
        except Refusal:
            return None
        return all_of(lowering.companies(table, "", grant), named)

    def _assumptions(self, kind: Kind, table: Entity, operation: Operation, make: Make) -> tuple[Assumption, ...]:
        rules = self.dataverse.rules.portal
        return self._assumed(kind, nodes(rules, table.name, RIGHTS[operation], kind.portal.web_roles), operation, make)

    def _assumed(
        self, kind: Kind, permissions: Iterable[TablePermission], operation: Operation, make: Make
    ) -> tuple[Assumption, ...]:
        """What permissions and active policies need of the data, to mean the same."""
        user = kind.direct.operations_user
        if user is None:
            return ()
        found: dict[str, Assumption] = {}
        for permission in permissions:
            for policy in active(self.operations.rules.operations, user, operation):
                pairs = ties(self.dataverse.rules.portal, self.dataverse.model, permission, policy)
                if pairs and not policy.not_exists:
                    found |= {item.text: item for item in make(policy, pairs)}
        return tuple(found.values())


def _lowering(enforcer: Enforcer, scope: Scope) -> Lowering:
    return Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)


def _done(operation: Operation) -> str:
    return {Operation.READ: "read", Operation.CREATE: "create", Operation.UPDATE: "update", Operation.DELETE: "delete"}[
        operation
    ]
