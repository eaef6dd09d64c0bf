"""Explain: which rule of which layer admits or hides a row, for any identity.

The verdicts come from the predicates that requests run under: each rule's own predicate is put to the database for
the row (or counted over all rows, without a key). Layers in the order of the chain: row, table permissions, mapping,
privilege, legal entity, policies; then what each door makes of them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, TRUE, Compare, Const, In, Operand, Predicate, Slot, all_of, map_operands
from forecourt.kernel.principal import Door, OperationsUser, Principal
from forecourt.kernel.relation import Select, aliases_of
from forecourt.kernel.types import Kind, Scalar
from forecourt.odata.dialect import DATAVERSE, OPERATIONS
from forecourt.odata.query import plan
from forecourt.odata.request import analyse
from forecourt.security.enforce import admitted
from forecourt.security.gate import Gate
from forecourt.security.grants import granted
from forecourt.security.lowering import Lowering
from forecourt.security.permissions import node_predicate, root_of
from forecourt.security.rules import Operation, Right
from forecourt.security.scope import Scope
from forecourt.security.xds import Filter, broken, holds


@dataclass(frozen=True)
class Verdict:
    """``admits``: yes, no, or None where the rule does not apply. ``rows``: without a key, how many it admits."""

    layer: str
    rule: str
    admits: bool | None
    detail: str = ""
    where: str = ""
    rows: int | None = None


@dataclass(frozen=True)
class Subject:
    """What is asked about: the data entity, its virtual table, and the row's key as a condition (TRUE: all rows)."""

    entity: Entity
    virtual: Entity | None
    key: Predicate


class Explainer:
    """Explains over the gates that serve requests."""

    def __init__(self, operations: Gate, dataverse: Gate) -> None:
        self._operations = operations
        self._dataverse = dataverse

    def subject(self, table: str, key: str | None) -> Subject:
        """The entity behind a table's, entity's or set's name, and the key in OData form or as plain values.

        Raises Refusal FC1002, FC1001, FC1003.
        """
        entities, tables = self._operations.model, self._dataverse.model
        virtual = tables.entities.get(table) or tables.by_collection.get(table)
        entity = entities.entities.get(table) or entities.by_collection.get(table)
        if virtual is not None and virtual.virtual_of is None:
            raise Refusal("FC1002", f"'{table}' is a native table; explain covers data entities and virtual tables.")
        if virtual is not None:
            entity = entities.entities[str(virtual.virtual_of)]
        if entity is None:
            names = [*entities.entities, *entities.by_collection, *tables.entities]
            raise Refusal(
                "FC1002", f"'{table}' is neither a data entity nor a virtual table.", hint=suggest(table, names)
            )
        if virtual is None:
            virtual = next((e for e in tables.entities.values() if e.virtual_of == entity.name), None)
        return Subject(entity, virtual, TRUE if key is None else self._key(entity, virtual, key))

    def _key(self, entity: Entity, virtual: Entity | None, text: str) -> Predicate:
        asked, dialect, model = entity, OPERATIONS, self._operations.model
        if virtual is not None and _is_guid(text):
            asked, dialect, model = virtual, DATAVERSE, self._dataverse.model
        elif "=" not in text:
            parts = [part.strip() for part in text.split(",")]
            if len(parts) != len(entity.key):
                raise Refusal(
                    "FC1001", f"The key of {entity.name} is {', '.join(entity.key)}.", hint="Give each value."
                )
            text = ",".join(
                f"{name}={_literal(entity, name, part)}" for name, part in zip(entity.key, parts, strict=True)
            )
        request = analyse(f"/{asked.collection}({quote(text, safe=chr(39) + ',=()')})", "", dialect)
        parsed = plan(request, model, dialect)
        values = parsed.bind(request.literals)
        found = asked.fields

        def bound(operand: Operand) -> Operand:
            return Const(_scalar(values[operand.index])) if isinstance(operand, Slot) else operand

        lowering = Lowering(
            self._operations.enforcer.rules, model, Scope(Principal(), Door.OPERATIONS), self._operations.key_of
        )
        conditions = [
            map_operands(Compare("eq", lowering.column(asked, "", name), slot), bound) for name, slot in parsed.plan.key
        ]
        return all_of(*conditions) if found else FALSE

    async def explain(self, identity: Principal, subject: Subject) -> list[Verdict]:
        """The verdict of every layer, then of every door."""
        user = identity.operations_user
        direct = Principal(operations_user=user, claims=identity.claims)
        source = await self._operations.scope(direct, Door.OPERATIONS)
        portal = await self._dataverse.scope(identity, Door.PORTAL)
        found = [await self._row(subject, source)]
        if identity.contact is not None or user is None:
            found += await self._permissions(subject, portal)
            found.append(_mapping(identity))
        if user is not None:
            found += await self._chain(subject, user, source)
        found += await self._doors(subject, identity, source, portal)
        return found

    # -- layers --------------------------------------------------------------------------------------------------

    async def _row(self, subject: Subject, scope: Scope) -> Verdict:
        rows = await self._count(subject, scope, TRUE)
        if subject.key == TRUE:
            return Verdict("database", str(subject.entity.root.table), True, "all rows, of all owners", rows=rows)
        return Verdict(
            "database", str(subject.entity.root.table), rows > 0, "the row exists" if rows else "no such row"
        )

    async def _permissions(self, subject: Subject, scope: Scope) -> list[Verdict]:
        if subject.virtual is None:
            return [
                Verdict("table permission", "no virtual table", False, f"{subject.entity.name} is not in Dataverse")
            ]
        rules = self._dataverse.enforcer.rules.portal
        by_id = {permission.id: permission for permission in rules.permissions}
        found = []
        for permission in rules.permissions:
            if permission.table != subject.virtual.name:
                continue
            root = root_of(permission, by_id)
            roles = root.web_roles if root is not None else frozenset()
            where = str(permission.where)
            if not roles & scope.principal.web_roles:
                detail = f"for web roles {', '.join(sorted(roles)) or 'none'}; the person has "
                detail += ", ".join(sorted(scope.principal.web_roles)) or "none"
                found.append(Verdict("table permission", permission.name, None, detail, where))
            elif Right.READ not in permission.rights:
                found.append(Verdict("table permission", permission.name, None, "does not give read", where))
            else:
                condition = node_predicate(rules, self._dataverse.model, permission)
                rows = await self._count(subject, scope, self._lowered(condition, subject.virtual, scope))
                detail = f"access type {permission.scope.name.title()}"
                found.append(self._verdict(subject, "table permission", permission.name, rows, detail, where))
        if not found:
            found.append(Verdict("table permission", "none", False, f"no permission names {subject.virtual.name}"))
        return found

    def _lowered(self, condition: Predicate, entity: Entity, scope: Scope) -> Predicate:
        enforcer = self._dataverse.enforcer
        lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
        lowering.in_rule()
        try:
            return lowering.predicate(condition, entity, "")
        except Refusal:
            return FALSE

    async def _chain(self, subject: Subject, user: OperationsUser, scope: Scope) -> list[Verdict]:
        rules = self._operations.enforcer.rules.operations
        entity = subject.entity
        grant = granted(rules, user, entity.name, Operation.READ, shared=entity.company is None)
        found = []
        if not user.enabled:
            found.append(Verdict("operations user", user.id, False, "is disabled"))
        for role, given in grant.grants:
            found.append(Verdict("privilege", f"{role} > {given.privilege}", True, "grants read", str(given.where)))
        if not grant.grants:
            detail = (
                "is an administrator" if grant.allowed else f"no role of {', '.join(sorted(user.roles))} grants read"
            )
            found.append(Verdict("privilege", user.id, grant.allowed, detail))
        if entity.company is not None and grant.companies is not None:
            field = entity.fields[entity.company]
            column = Lowering(self._operations.enforcer.rules, self._operations.model, scope, self._operations.key_of)
            among = In(column.column(entity, "", entity.company), tuple(Const(c) for c in sorted(grant.companies)))
            rows = await self._count(subject, scope, among)
            detail = f"{field.name} in {', '.join(sorted(grant.companies)) or 'no legal entity'}"
            found.append(self._verdict(subject, "legal entity", user.id, rows, detail, ""))
        constrained = False
        for policy in rules.policies:
            tables = [s for s in entity.sources if s.table in policy.tables]
            if not tables:
                continue
            where, context = str(policy.where), f"context {policy.context[0]} '{policy.context[1]}'"
            if not policy.enabled:
                found.append(Verdict("policy", policy.name, None, "is not enabled", where))
            elif broken(rules, policy):
                found.append(Verdict("policy", policy.name, False, f"{context} can never hold: it denies", where))
            elif not holds(rules, user, policy):
                found.append(Verdict("policy", policy.name, None, f"{context} does not hold for {user.id}", where))
            else:
                constrained = constrained or entity.root.table in policy.tables
                only = dataclasses.replace(rules, policies=(policy,))
                for position, item in enumerate(tables):
                    counter = _Fresh(f"p{position}_")
                    filters = Filter(only, user, dict(scope.sizes), self._operations.key_of, counter)
                    condition = filters.on(item.table, item.alias, Operation.READ)
                    rows = await self._count(subject, scope, condition)
                    found.append(
                        self._verdict(subject, "policy", policy.name, rows, f"on {item.table}, {context}", where)
                    )
        if user.external and not constrained and rules.external_users == "policy-required":
            found.append(
                Verdict("policy", "required", False, f"no active policy constrains {entity.root.table} for {user.id}")
            )
        return found

    async def _doors(self, subject: Subject, identity: Principal, source: Scope, portal: Scope) -> list[Verdict]:
        found = []
        if identity.operations_user is not None:
            condition = admitted(self._operations.enforcer, source, subject.entity)
            rows = await self._count(subject, source, condition)
            found.append(self._verdict(subject, "door", "/data", rows, "with cross-company=true", ""))
            if subject.virtual is not None:
                web = await self._dataverse.scope(Principal(operations_user=identity.operations_user), Door.DATAVERSE)
                condition = admitted(self._dataverse.enforcer, web, subject.virtual)
                rows = await self._count(subject, web, condition)
                found.append(self._verdict(subject, "door", "/api/data/v9.2", rows, subject.virtual.collection, ""))
        if identity.contact is not None or identity.operations_user is None:
            condition = FALSE
            if subject.virtual is not None:
                condition = admitted(self._dataverse.enforcer, portal, subject.virtual)
            rows = await self._count(subject, portal, condition)
            found.append(
                self._verdict(subject, "door", "portal", rows, ", ".join(sorted(portal.principal.web_roles)), "")
            )
        return found

    # -- asking --------------------------------------------------------------------------------------------------

    @staticmethod
    def _verdict(subject: Subject, layer: str, rule: str, rows: int, detail: str, where: str) -> Verdict:
        if subject.key == TRUE:
            return Verdict(layer, rule, rows > 0, detail, where, rows)
        return Verdict(layer, rule, rows > 0, detail, where)

    async def _count(self, subject: Subject, scope: Scope, condition: Predicate) -> int:
        entity = subject.entity
        where = all_of(subject.key, condition)
        if where == FALSE:
            return 0
        enforcer = self._operations.enforcer
        lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
        sources = lowering.sources(entity, "", Operation.READ, aliases_of(where))
        nullable = lowering.nullable(entity, "")
        select = Select(sources, where, count=True, nullable=nullable)
        return (await self._operations.look(entity, select, scope.values)).total or 0


class _Fresh:
    """Aliases with a prefix, counted."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0

    def __call__(self, name: str) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}_{name}"


def _mapping(identity: Principal) -> Verdict:
    table = "msdyn_externalportalusermapping"
    if identity.operations_user is not None:
        return Verdict("mapping", table, True, f"{identity.label} acts as {identity.operations_user.id}")
    if identity.contact is None:
        return Verdict("mapping", "anonymous user", False, "no operations user serves anonymous visitors")
    return Verdict("mapping", table, False, f"{identity.label} is mapped to no operations user")


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _literal(entity: Entity, name: str, text: str) -> str:
    if entity.fields[name].kind is Kind.STRING:
        return "'" + text.strip("'").replace("'", "''") + "'"
    return text


def _scalar(value: object) -> Scalar:
    assert isinstance(value, Scalar), "a key value is a scalar"
    return value
