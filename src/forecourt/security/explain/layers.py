"""The chain of a door as layers of rules, each with the predicate that it puts on rows (design, section 4).

Each predicate is made by the function that requests go through (``lowering``, ``ownership``, ``xds``,
``permissions``); here they are only kept apart and named. Together they admit what ``decision.final`` admits, which
is the decision of ``enforce`` itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import DataSource, Entity
from forecourt.kernel.plan import WritePlan
from forecourt.kernel.predicate import FALSE, TRUE, Predicate, all_of, any_of
from forecourt.kernel.principal import Door, OperationsUser
from forecourt.security import appending, ownership
from forecourt.security.enforce import Enforcer
from forecourt.security.explain.decision import TIES, WRITES, changes_of, joined
from forecourt.security.explain.subject import Question
from forecourt.security.grants import may_call
from forecourt.security.lowering import RIGHTS, Lowering
from forecourt.security.permissions import node_predicate, root_of
from forecourt.security.rules import (
    SYSTEM_ADMIN_ROLE,
    Depth,
    Operation,
    Policy,
    Privilege,
    Right,
    TablePermission,
)
from forecourt.security.scope import Scope
from forecourt.security.writing import OPERATIONS
from forecourt.security.xds import Filter
from forecourt.security.xds.activity import beneath, broken, bypasses, holds, shut


@dataclass(frozen=True)
class Rule:
    """One rule of a layer. ``condition`` None: it does not apply to the asker. ``subject``: the rule itself, for
    those who look for a change."""

    name: str
    condition: Predicate | None
    detail: str = ""
    where: str = ""
    subject: object = None


@dataclass(frozen=True)
class Layer:
    """``any``: one rule that admits is enough, and it takes one. Else every rule that applies must admit."""

    name: str
    rules: tuple[Rule, ...]
    any: bool = False
    about: object = field(default=None)

    @property
    def condition(self) -> Predicate:
        found = [rule.condition for rule in self.rules if rule.condition is not None]
        return any_of(*found) if self.any else all_of(*found)


def layers(enforcer: Enforcer, scope: Scope, entity: Entity, question: Question) -> tuple[Layer, ...]:
    """The layers that decide at the scope's door, in the order of the chain."""
    return tuple(_Chain(enforcer, scope, entity, question).layers())


class _Chain:
    def __init__(self, enforcer: Enforcer, scope: Scope, entity: Entity, question: Question) -> None:
        self.enforcer = enforcer
        self.rules = enforcer.rules
        self.scope = scope
        self.entity = entity
        self.question = question
        self.lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What must be allowed: a change needs the right to read, too (reference 4.4)."""
        doing = self.question.operation
        if doing in ("read", "call") or doing in TIES:
            return (Operation.READ,)
        own = OPERATIONS[WRITES[doing]]
        return (own,) if own is Operation.CREATE else (own, Operation.READ)

    def layers(self) -> Iterator[Layer]:
        scope, entity = self.scope, self.entity
        if scope.door is Door.PORTAL_API:
            yield self._enabled()
        if scope.portal_door:
            yield self._permissions()
        if scope.door is Door.DATAVERSE:
            yield from self._security_roles()
        if self.lowering.operations_name(entity) is not None:
            yield from self._operations()
        if self.question.column is not None:
            yield self._column(self.question.column)
            if self.question.operation in ("create", "update") and entity.fields[self.question.column].targets:
                yield self._ties(self.question.column)

    # -- the portal ----------------------------------------------------------------------------------------------

    def _enabled(self) -> Layer:
        opened = self.entity.name in self.rules.portal.columns or bool(self.entity.pairs)
        rule = Rule(
            f"Webapi/{self.entity.name}/enabled",
            TRUE if opened else FALSE,
            "is enabled" if opened else "is not enabled",
            subject="enabled",
        )
        return Layer("site setting", (rule,))

    def _permissions(self) -> Layer:
        portal, held = self.rules.portal, self.scope.principal.web_roles
        doing = self.question.operation
        right = TIES[doing][0] if doing in TIES else RIGHTS[self.operations[0]]
        found = [
            self._node(permission, root_of(permission, portal.by_id), held, right)
            for permission in portal.permissions
            if permission.table == self.entity.name
        ]
        if self.entity.pairs and right in (Right.CREATE, Right.DELETE):
            found = [Rule("both rows", self._pair(right), "a pair takes Append and Append To on both of its rows")]
        if not found:
            found.append(Rule("none", None, f"no permission names {self.entity.name}"))
        return Layer("table permission", tuple(found), any=True, about=right)

    def _node(
        self, permission: TablePermission, root: TablePermission | None, held: frozenset[str], right: Right
    ) -> Rule:
        where = str(permission.where)
        roles = root.web_roles if root is not None else frozenset()
        if not roles & held:
            detail = f"for web role {_listed(roles)}; the person has {_listed(held)}"
            return Rule(permission.name, None, detail, where, permission)
        if right not in permission.rights:
            return Rule(permission.name, None, f"does not give {right.value}", where, permission)
        condition = self._in_rule(node_predicate(self.rules.portal, self.enforcer.model, permission))
        detail = f"access type {permission.scope.name.title()}, web role {_listed(roles & held)}"
        return Rule(permission.name, condition, detail, where, permission)

    def _pair(self, right: Right) -> Predicate:
        try:
            return self.lowering.permitted(self.entity, "", right)
        except Refusal:
            return FALSE

    def _in_rule(self, condition: Predicate) -> Predicate:
        self.lowering.in_rule()
        try:
            return self.lowering.predicate(condition, self.entity, "")
        except Refusal:
            return FALSE

    # -- Dataverse -----------------------------------------------------------------------------------------------

    def _security_roles(self) -> Iterator[Layer]:
        doing = self.question.operation
        if doing in TIES:
            yield self._privilege(TIES[doing][1])
            return
        for operation in self.operations:
            yield self._privilege(ownership.PRIVILEGES[operation])

    def _privilege(self, privilege: Privilege) -> Layer:
        rules, held, entity = self.rules.dataverse, self.scope.principal.security_roles, self.entity
        name = f"security role, {privilege.value.replace('_', ' ')}"
        if entity.pairs and not ownership.spoken_of(rules, held, entity):
            condition = ownership.rows(self.lowering, entity, "", privilege)
            detail = "a pair is reached by who reaches both of its rows"
            return Layer(name, (Rule("both ends", condition, detail),), any=True, about=privilege)
        found: list[Rule] = []
        if SYSTEM_ADMIN_ROLE in held:
            found.append(Rule(SYSTEM_ADMIN_ROLE, TRUE, "passes every check"))
        names = (entity.name, "*") if entity.virtual_of is not None else (entity.name,)
        for role_name in sorted(held & rules.roles.keys()):
            role = rules.roles[role_name]
            depth = max(role.tables.get(table, {}).get(privilege, Depth.NONE) for table in names)
            if depth is Depth.NONE:
                continue
            if not ownership.owned(entity):
                depth = Depth.ORGANIZATION
            condition = ownership.reach(entity, "", privilege, depth)
            detail = f"depth {depth.name.lower().replace('_', ' ')}"
            found.append(Rule(role_name, condition, detail, str(role.where), role))
        if not found:
            detail = f"no role of {_listed(held)} has the privilege to {privilege.value} {entity.name}"
            found.append(Rule("none", None, detail))
        return Layer(name, tuple(found), any=True, about=privilege)

    # -- the operations chain ------------------------------------------------------------------------------------

    def _operations(self) -> Iterator[Layer]:
        user = self.scope.principal.operations_user
        yield self._mapping(user)
        if user is None:
            return
        for operation in self.operations:
            yield self._granted(operation)
        if self.question.operation == "call":
            yield self._action(user)
        if self.entity.company is not None:
            yield self._companies(user)
        yield self._policies(user)

    def _mapping(self, user: OperationsUser | None) -> Layer:
        person = self.scope.principal
        if user is None:
            who = person.label if person.contact is not None else "anonymous visitor"
            return Layer("mapping", (Rule("mapping", FALSE, f"{who} acts as no operations user"),))
        detail = f"{person.label} acts as {user.id}" if person.contact is not None else f"operations user {user.id}"
        if not user.enabled:
            return Layer("mapping", (Rule(user.id, FALSE, f"{detail}, who is disabled"),), about=user)
        return Layer("mapping", (Rule("mapping" if person.contact is not None else user.id, TRUE, detail),))

    def _granted(self, operation: Operation) -> Layer:
        grant = self.lowering.grant(self.entity, operation)
        name, doing = f"privilege, {operation.value}", operation.value
        found = [
            Rule(
                f"{role} > {given.privilege}",
                TRUE if grant.allowed else None,
                f"grants {doing}" if grant.allowed else f"grants {doing}, which is denied elsewhere",
                str(given.where),
                given,
            )
            for role, given in grant.grants
        ]
        for role, given in grant.denials:
            detail = f"denies {doing}" + (" in its legal entities" if grant.allowed else "")
            found.append(
                Rule(f"{role} > {given.privilege}", None if grant.allowed else FALSE, detail, str(given.where), given)
            )
        if not found:
            held = self.scope.principal.operations_user
            assert held is not None
            detail = "is a system administrator" if grant.allowed else f"no role of {_listed(held.roles)} grants it"
            found.append(Rule(held.id, TRUE if grant.allowed else None, detail))
        return Layer(name, tuple(found), any=True, about=operation)

    def _action(self, user: OperationsUser) -> Layer:
        action, name = self.question.action or "", str(self.lowering.operations_name(self.entity))
        grant = may_call(self.rules.operations, user, name, action)
        found = [
            Rule(f"{role} > {item.privilege}", TRUE, "may call it", str(item.where)) for role, item in grant.grants
        ]
        if not found:
            found.append(Rule(action, TRUE if grant.allowed else None, "" if grant.allowed else "no role may call it"))
        return Layer("action", tuple(found), any=True, about=action)

    def _companies(self, user: OperationsUser) -> Layer:
        grants = [(operation.value, self.lowering.grant(self.entity, operation)) for operation in self.operations]
        if self.question.operation == "call":
            name = str(self.lowering.operations_name(self.entity))
            grants.append(("call", may_call(self.rules.operations, user, name, self.question.action or "")))
        found = []
        for doing, grant in grants:
            if not grant.allowed:
                continue
            ids = "every legal entity" if grant.companies is None else _listed(grant.companies)
            if grant.closed:
                ids += f" but {_listed(grant.closed)}, where it is denied"
            condition = self.lowering.companies(self.entity, "", grant)
            found.append(Rule(user.id, condition, f"{doing} in {ids}", subject=doing))
        return Layer("legal entity", tuple(found))

    def _policies(self, user: OperationsUser) -> Layer:
        found: list[Rule] = []
        rules, sources = self.rules.operations, [s for s in self.entity.sources if s.join != "left"]
        for operation in self.operations:
            if self.lowering.open(self.entity, operation) == FALSE:
                detail = f"no active policy constrains {self.entity.root.table} for {operation.value} by {user.id}"
                found.append(Rule("required", FALSE, detail, subject=operation))
            for table in dict.fromkeys(source.table for source in sources):
                if shut(rules, user, table, operation):
                    detail = f"{table} is constrained by policies of which none is active for {user.id}"
                    found.append(Rule("required", FALSE, detail, subject=operation))
        for policy in rules.policies:
            found += self._policy(user, policy, sources)
        return Layer("policy", tuple(dict.fromkeys(found)))

    def _policy(self, user: OperationsUser, policy: Policy, sources: Sequence[DataSource]) -> Iterator[Rule]:
        rules = self.rules.operations
        where, context = str(policy.where), f"context {policy.context[0]} '{policy.context[1]}'"
        over = [s for s in sources if s.table in policy.tables]
        around = [s for s in sources if beneath(rules, policy, s.table)]
        if not over and not around:
            return
        if bypasses(user):
            yield Rule(policy.name, None, f"does not constrain {user.id}, who bypasses policies", where, policy)
        elif not policy.enabled:
            yield Rule(policy.name, None, "is not enabled", where, policy)
        elif not any(operation in policy.operations for operation in self.operations):
            yield Rule(policy.name, None, f"constrains {', '.join(sorted(policy.operations))} only", where, policy)
        elif broken(rules, policy):
            yield Rule(policy.name, FALSE, f"{context} can never hold: it denies", where, policy)
        elif not holds(rules, user, policy):
            yield Rule(policy.name, None, f"{context} does not hold for {user.id}", where, policy)
        else:
            filters = Filter(rules, user, dict(self.scope.sizes), self.enforcer.key_of, self.lowering.fresh)
            for source in around:
                detail = f"constrains a table beneath the view {source.table}, and not the view: it denies"
                yield Rule(policy.name, FALSE, detail, where, policy)
            for source in over:
                condition = filters.of(policy, source.table, source.alias)
                yield Rule(policy.name, condition, f"on {source.table}, {context}", where, policy)

    # -- columns -------------------------------------------------------------------------------------------------

    def _column(self, name: str) -> Layer:
        entity, doing = self.entity, self.question.operation
        if doing in ("read", "call") or doing in TIES:
            lowering = Lowering(self.rules, self.enforcer.model, self.scope, self.enforcer.key_of)
            opened = False
            try:
                opened = name in lowering.readable(entity, lowering.require(entity, Operation.READ))
            except Refusal as refusal:
                return Layer("column", (Rule(name, FALSE, refusal.message, subject="read"),))
            detail = "is open for read" if opened else "is not open for read at this door"
            rules = [Rule(name, TRUE if opened else FALSE, detail, subject="read")]
            shown = joined(lowering, entity, name)
            if shown != TRUE:
                table = next(s.table for s in entity.sources if s.alias == entity.fields[name].source)
                rules.append(Rule(name, shown, f"of {table}: null where a policy hides its row", subject="joined"))
            return Layer("column", tuple(rules))
        try:
            self.enforcer.write(self._plan(name), self.scope)
        except Refusal as refusal:
            if refusal.code in ("FC3004", "FC1003"):
                return Layer("column", (Rule(name, FALSE, refusal.message, subject=doing),))
            if refusal.source == entity.fields[name].name:
                return Layer("column", (Rule(name, FALSE, refusal.message, subject=doing),))
        return Layer("column", (Rule(name, TRUE, f"is open for {doing}", subject=doing),))

    def _plan(self, name: str) -> WritePlan:
        operation = WRITES[self.question.operation]
        return WritePlan(self.entity.name, (), changes_of(self.entity, name), operation=operation)

    def _ties(self, name: str) -> Layer:
        """Append on the row, Append To on the row that the lookup names (as it is now)."""
        conditions: list[Predicate] = []
        detail = "takes Append on this row and Append To on the row that it names"
        try:
            for made in (ownership.ties, appending.ties):
                found = made(self.lowering, self.entity, self._plan(name))
                conditions += [found.before, found.after]
        except Refusal as refusal:
            conditions, detail = [FALSE], refusal.text
        return Layer("append", (Rule(name, all_of(*conditions), detail),))


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"
