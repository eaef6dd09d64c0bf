"""Audit: does any door show an identity more than another?

For every identity and data entity the two predicates that requests run under, the direct door's and the portal's, are
put into one statement each way: rows that one admits and the other does not. Each difference is a finding with its
count, an example key and the rule that is missing. A predicate that cannot be compared is never counted as fine.

Beside the comparison: grants to external users that no active policy constrains, portal mappings to administrators,
policies that can never be active. Columns are not compared, rows are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from forecourt.kernel.errors import DefinitionError, Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, Const, Predicate, all_of, negate
from forecourt.kernel.principal import Door, OperationsUser, Principal
from forecourt.kernel.relation import Output, Select, aliases_of
from forecourt.security.enforce import admitted
from forecourt.security.gate import Gate
from forecourt.security.grants import granted
from forecourt.security.lowering import Lowering
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation, Right
from forecourt.security.scope import Scope
from forecourt.security.xds import active, constrained

#: Comparisons under way at once.
CONCURRENCY = 4


@dataclass(frozen=True)
class Identity:
    """Somebody from outside. ``direct``: as a caller of ``/data``; ``portal``: as a visitor of the site; ``fault``:
    why the portal refuses the person."""

    label: str
    direct: Principal | None = None
    portal: Principal | None = None
    fault: Refusal | None = None


@dataclass(frozen=True)
class Finding:
    """``rows``: how many, None where rows are not the matter. ``rule``: what is missing or wrong."""

    code: str
    message: str
    rule: str
    entity: str = ""
    identity: str = ""
    rows: int | None = None
    example: str = ""
    where: str = ""


@dataclass(frozen=True)
class Report:
    findings: tuple[Finding, ...]
    identities: int
    comparisons: int


@dataclass
class _Unconstrained:
    """External users with a grant on an entity that no active policy constrains."""

    roles: set[str] = field(default_factory=set)
    users: list[str] = field(default_factory=list)


class Auditor:
    """Compares doors over the gates that serve them."""

    def __init__(self, operations: Gate, dataverse: Gate, progress: Callable[[], None] = lambda: None) -> None:
        self._operations = operations
        self._dataverse = dataverse
        self._progress = progress
        self._virtual = {
            entity.virtual_of: entity for entity in dataverse.model.entities.values() if entity.virtual_of is not None
        }
        self._comparisons = 0

    async def run(self, identities: Sequence[Identity], checks: Iterable[DefinitionError] = ()) -> Report:
        """Everything that is found, worst first."""
        self._comparisons = 0
        turn = asyncio.Semaphore(CONCURRENCY)

        async def one(identity: Identity) -> list[Finding]:
            async with turn:
                found = [item async for item in self._identity(identity)]
                self._progress()
                return found

        groups = await asyncio.gather(*(one(identity) for identity in identities))
        findings = [finding for group in groups for finding in group]
        findings += self._unconstrained([i.direct.operations_user for i in identities if i.direct is not None])
        findings += [
            Finding("FC7005", error.message, error.hint, where=f"{error.file}:{error.line}") for error in checks
        ]
        findings.sort(key=lambda item: (item.code, item.entity, -(item.rows or 0), item.identity))
        return Report(tuple(findings), len(identities), self._comparisons)

    # -- one identity --------------------------------------------------------------------------------------------

    async def _identity(self, identity: Identity) -> AsyncIterator[Finding]:
        if identity.fault is not None:
            if identity.fault.code == "FC3003":
                yield Finding("FC7004", identity.fault.message, identity.fault.hint, identity=identity.label)
            return
        if identity.direct is None or identity.portal is None:
            return
        direct = await self._operations.scope(identity.direct, Door.OPERATIONS)
        portal = await self._dataverse.scope(identity.portal, Door.PORTAL)
        for entity in self._operations.model.entities.values():
            async for finding in self._compare(identity, entity, direct, portal):
                yield finding

    async def _compare(
        self, identity: Identity, entity: Entity, direct: Scope, portal: Scope
    ) -> AsyncIterator[Finding]:
        virtual = self._virtual.get(entity.name)
        by_source = admitted(self._operations.enforcer, direct, entity)
        by_portal = FALSE if virtual is None else admitted(self._dataverse.enforcer, portal, virtual)
        if by_source == FALSE and by_portal == FALSE:
            return
        self._comparisons += 1
        only_direct = await self._difference(entity, direct, portal, by_source, by_portal)
        if only_direct[0]:
            yield Finding(
                "FC7001",
                f"{only_direct[0]} rows of {entity.collection} can be read at /data and not through the portal",
                self._missing(entity, virtual, direct, portal),
                entity.name,
                identity.label,
                *only_direct,
                where=str(entity.where),
            )
        only_portal = await self._difference(entity, direct, portal, by_portal, by_source)
        if only_portal[0]:
            yield Finding(
                "FC7002",
                f"{only_portal[0]} rows of {entity.collection} show in the portal and not at /data",
                f"the table permissions of {virtual.name if virtual else entity.name} admit more than the source does",
                entity.name,
                identity.label,
                *only_portal,
                where=str(entity.where),
            )

    async def _difference(
        self, entity: Entity, direct: Scope, portal: Scope, wide: Predicate, narrow: Predicate
    ) -> tuple[int, str]:
        """How many rows ``wide`` admits and ``narrow`` does not, and the key of one of them."""
        where = all_of(wide, negate(narrow))
        if where == FALSE:
            return 0, ""
        enforcer = self._operations.enforcer
        lowering = Lowering(enforcer.rules, enforcer.model, direct, enforcer.key_of)
        keys = tuple(Output(name, lowering.column(entity, "", name), entity.fields[name].kind) for name in entity.key)
        used = aliases_of(where) | {entity.fields[name].source for name in entity.key}
        sources = lowering.sources(entity, "", Operation.READ, used)
        nullable = lowering.nullable(entity, "") | _columns_of(entity)
        values = {**direct.values, **portal.values}
        counting = Select(sources, where, count=True, nullable=nullable)
        result = await self._operations.look(entity, counting, _Missing(values))
        if not result.total:
            return 0, ""
        one = Select(sources, where, keys, limit=Const(1), nullable=nullable)
        row = (await self._operations.look(entity, one, _Missing(values))).rows[0]
        example = ",".join(f"{name}={value}" for name, value in zip(entity.key, row, strict=True))
        return result.total, example

    def _missing(self, entity: Entity, virtual: Entity | None, direct: Scope, portal: Scope) -> str:
        """The rule whose absence makes the direct door wider."""
        user = direct.principal.operations_user
        rules = self._operations.enforcer.rules
        assert user is not None
        if not constrained(rules.operations, user, entity, Operation.READ):
            table = entity.root.table
            return f"no active XDS policy constrains {table} for {user.id}: write one under operations/policies"
        names = ", ".join(p.name for p in active(rules.operations, user, Operation.READ))
        if virtual is None:
            return f"{entity.name} has no virtual table, so the portal cannot show what policies {names} admit"
        found = nodes(rules.portal, virtual.name, Right.READ, portal.principal.web_roles)
        if not found:
            roles = ", ".join(sorted(portal.principal.web_roles)) or "none"
            return f"no table permission on {virtual.name} for web roles {roles}"
        shown = ", ".join(f"'{p.name}' ({p.where})" for p in found)
        return f"table permissions {shown} admit fewer rows than policies {names}"

    # -- grants ---------------------------------------------------------------------------------------------------

    def _unconstrained(self, users: Iterable[OperationsUser | None]) -> list[Finding]:
        rules = self._operations.enforcer.rules
        found: dict[str, _Unconstrained] = {}
        for user in users:
            if user is None or not user.external:
                continue
            for entity in self._operations.model.entities.values():
                grant = granted(rules.operations, user, entity.name, Operation.READ, None, entity.company is None)
                if grant.allowed and not constrained(rules.operations, user, entity, Operation.READ):
                    item = found.setdefault(entity.name, _Unconstrained())
                    item.roles |= {role for role, _ in grant.grants}
                    item.users.append(user.id)
        open_door = rules.operations.external_users == "open"
        effect = "reads every row of its legal entities" if open_door else "reads nothing of it"
        findings = []
        for name, item in found.items():
            entity = self._operations.model.entities[name]
            findings.append(
                Finding(
                    "FC7003",
                    f"{len(set(item.users))} external users are granted {entity.collection} by "
                    f"{', '.join(sorted(item.roles))}, and no active policy constrains it: each {effect}",
                    f"an XDS policy that constrains {entity.root.table}, or no grant",
                    name,
                    sorted(item.users)[0],
                    where=str(entity.where),
                )
            )
        return findings


class _Missing(dict[str, object]):
    """Values of both scopes; what neither has is null."""

    def __missing__(self, name: str) -> object:
        return None


def _columns_of(entity: Entity) -> frozenset[tuple[str, str]]:
    """Every column of the entity counts as nullable where differences are taken: exactness before speed."""
    return frozenset((found.source, found.column) for found in entity.fields.values())
