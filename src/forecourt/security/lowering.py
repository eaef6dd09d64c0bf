"""From entities to tables: the paths, relations and conditions of a plan as sources and columns, policies woven in.

Every use of an entity, be it the one asked for, a navigation in a filter, a collection in ``any`` or an expanded
relation, brings the same rules with it: the user's grant on that entity, its legal entities, and the policies on each
table beneath. There is no way to mention an entity without them.

A policy on an outer-joined table goes to its ON: the row stays, the table's columns are null (reference 4.3). A
navigation leaf ``nav/field op x`` becomes EXISTS of the related row satisfying the leaf; leaves that are true of null
(``eq null``, ``ne``) become NOT EXISTS of the opposite.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model, Through
from forecourt.kernel.predicate import (
    FALSE,
    After,
    And,
    Any,
    AnyRow,
    ChangedSince,
    Column,
    Compare,
    Exists,
    Field,
    In,
    InParam,
    IsNull,
    Match,
    Not,
    Or,
    Predicate,
    all_of,
    any_of,
    negate,
    operands,
)
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.relation import Select, Source, TableName, aliases_of
from forecourt.security import appending, ownership
from forecourt.security.columns import open_columns
from forecourt.security.grants import DENIED, Granted, granted
from forecourt.security.leaves import LinkedEntities, fields_of, operand_of, plain, shortened
from forecourt.security.permissions import admits
from forecourt.security.rules import SYSTEM_ADMINISTRATOR, Operation, Right, Rules
from forecourt.security.scope import Scope
from forecourt.security.xds import Filter, KeyOf, constrained

RIGHTS = {
    Operation.READ: Right.READ,
    Operation.CREATE: Right.CREATE,
    Operation.UPDATE: Right.WRITE,
    Operation.DELETE: Right.DELETE,
}


@dataclass
class Lowering:
    """Lowers the parts of one plan for one scope. Aliases are counted, so a shape always gives the same SQL."""

    rules: Rules
    model: Model
    scope: Scope
    key_of: KeyOf
    _count: int = 0
    _filters: Filter | None = field(default=None)
    #: Entities that the plan links to, by alias: (alias of the source with their rows, entity).
    linked: LinkedEntities = field(default_factory=dict)
    #: Inside a rule's own predicate: its paths are the solution's, not the person's (no field or web-role checks).
    _in_rule: bool = False

    def __post_init__(self) -> None:
        user = self.scope.principal.operations_user
        if user is not None:
            self._filters = Filter(self.rules.operations, user, dict(self.scope.sizes), self.key_of, self.fresh)

    def in_rule(self) -> None:
        """From here on predicates are the solution's own: no field or web-role checks."""
        self._in_rule = True

    def fresh(self, name: str) -> str:
        self._count += 1
        return f"n{self._count}_{name}"

    # -- what the layers say ------------------------------------------------------------------------------------

    def grant(self, entity: Entity, operation: Operation) -> Granted:
        """The operations chain's grant. Native Dataverse tables have none of their own: all is allowed here."""
        base = self.operations_name(entity)
        if base is None:
            return Granted(True)
        user = self.scope.principal.operations_user
        if user is None:
            return DENIED
        shared = entity.company is None
        return granted(self.rules.operations, user, base, operation, self.scope.mode, shared)

    def operations_name(self, entity: Entity) -> str | None:
        """The data entity whose security decides, or None for a native Dataverse table."""
        return entity.virtual_of or (entity.name if self.scope.operations_door else None)

    def require(self, entity: Entity, operation: Operation) -> Granted:
        """The grant, or a Refusal."""
        user = self.scope.principal.operations_user
        if entity.virtual_of is not None and user is None:
            raise unmapped(self.scope.principal)
        opened = self.rules.portal.columns
        closed = entity.name not in opened and not entity.pairs  # who opens both rows opens the pair
        if self.scope.door is Door.PORTAL_API and not self._in_rule and closed:
            raise Refusal("FC4042", f"Resource not found for the segment '{entity.collection}'.", source=entity.name)
        ownership.require(self, entity, ownership.PRIVILEGES[operation])
        found = self.grant(entity, operation)
        if not found.allowed:
            raise Refusal(
                "FC3001",
                f"You have no right to {operation.value} {entity.public_name}.",
                source=entity.collection,
            )
        return found

    def readable(self, entity: Entity, grant: Granted) -> frozenset[str]:
        """The fields that a request may name: the grant's, and what the door opens."""
        names = frozenset(entity.fields)
        if self._in_rule:
            return names
        if grant.fields is not None or grant.hidden:
            always = self._always(entity)
            bases = {name: entity.fields[name].base or name for name in names}
            names = frozenset(n for n, base in bases.items() if grant.opens(base) or base in always)
        opened = open_columns(self.rules.portal, self.scope, entity, Operation.READ)
        return names if opened is None else names & (opened | {entity.key[0]})

    def _always(self, entity: Entity) -> frozenset[str]:
        keys = [entity.fields[name].base or name for name in entity.key]
        return frozenset(keys) | {f.base or f.name for f in entity.fields.values() if f.record_of is not None}

    # -- an entity's rows ----------------------------------------------------------------------------------------

    def sources(self, entity: Entity, prefix: str, operation: Operation, used: Iterable[str]) -> tuple[Source, ...]:
        """The entity's tables. ``used``: aliases that the select mentions, prefix included.

        Outer joins that nothing mentions are left out; they can't change which rows there are.
        """
        wanted = _closure(entity, {alias.removeprefix(prefix) for alias in used if alias.startswith(prefix)})
        result = []
        for source in entity.sources:
            if source.join == "left" and source.alias not in wanted:
                continue
            alias = prefix + source.alias
            on = all_of(
                *(
                    Compare("eq", Column(prefix + above, theirs), Column(alias, own))
                    for (above, theirs), own in source.on
                )
            )
            if source.join == "left":
                on = all_of(on, self.policies(entity, source.alias, alias, operation))
            result.append(Source(alias, source.table, source.join, on))
        return tuple(result)

    def rows(
        self,
        entity: Entity,
        prefix: str,
        operation: Operation,
        grant: Granted,
        permissions: bool = True,
        owned: bool = True,
    ) -> Predicate:
        """The rows of the entity that all layers admit, its outer joins' policies left to their ON.

        ``permissions`` False leaves the portal's table permissions out: a Write permission does not need a Read one.
        ``owned`` False leaves out the depth of security roles: a row may be given away.
        """
        conditions = [self.open(entity, operation), self.companies(entity, prefix, grant)]
        if owned:
            conditions.append(ownership.rows(self, entity, prefix, ownership.PRIVILEGES[operation]))
        for source in entity.sources:
            if source.join != "left":
                conditions.append(self.policies(entity, source.alias, prefix + source.alias, operation))
        if permissions and self.scope.portal_door and not self._in_rule:
            conditions.append(self.permitted(entity, prefix, RIGHTS[operation]))
        return all_of(*conditions)

    def permitted(self, entity: Entity, prefix: str, right: Right) -> Predicate:
        """The rows that the asker's table permissions reach with a right."""
        if entity.pairs and right in (Right.CREATE, Right.DELETE):
            return appending.pair(self, entity, prefix)
        allowed = admits(self.rules.portal, self.model, entity.name, right, self.scope.principal.web_roles)
        return self.ruled(allowed, entity, prefix)

    def ruled(self, where: Predicate, entity: Entity, prefix: str) -> Predicate:
        """A condition that a rule makes, which may look at rows that the asker does not see."""
        self._in_rule = True
        try:
            return self.predicate(where, entity, prefix)
        finally:
            self._in_rule = False

    def open(self, entity: Entity, operation: Operation) -> Predicate:
        """FALSE for an external user where no active policy constrains the entity and the solution wants one."""
        user = self.scope.principal.operations_user
        if self.operations_name(entity) is None or user is None or SYSTEM_ADMINISTRATOR in user.roles:
            return all_of()
        if not user.external or self.rules.operations.external_users == "open":
            return all_of()
        return all_of() if constrained(self.rules.operations, user, entity, operation) else FALSE

    def companies(self, entity: Entity, prefix: str, grant: Granted) -> Predicate:
        """The rows of the legal entities in which a grant counts."""
        return all_of() if entity.company is None else grant.within(self.column(entity, prefix, entity.company))

    def policies(self, entity: Entity, source: str, alias: str, operation: Operation) -> Predicate:
        """What the active policies put on the table of one of the entity's sources, under ``alias``."""
        if self.operations_name(entity) is None or self._filters is None:
            return all_of()
        table = next(s.table for s in entity.sources if s.alias == source)
        return self._filters.on(table, alias, operation)

    # -- fields and predicates -----------------------------------------------------------------------------------

    def column(self, entity: Entity, prefix: str, name: str) -> Column:
        return entity.fields[name].at(prefix)

    def nullable(self, entity: Entity, prefix: str) -> frozenset[tuple[str, str]]:
        """Columns of the entity's tables that may be null; those that only policies compare count as such."""
        own = {(prefix + f.source, f.column) for f in entity.fields.values() if f.nullable}
        return frozenset(own | {(prefix + s.alias, name) for s in entity.sources for name in self._compared(s.table)})

    def _compared(self, table: TableName) -> frozenset[str]:
        return self.rules.operations.compared.get(table, frozenset())

    def predicate(self, item: Predicate, entity: Entity, prefix: str) -> Predicate:
        """A predicate over the entity's fields as one over columns."""
        match item:
            case And(items):
                return all_of(*(self.predicate(child, entity, prefix) for child in items))
            case Or(items):
                return any_of(*(self.predicate(child, entity, prefix) for child in items))
            case Not(child):
                return negate(self.predicate(child, entity, prefix))
            case Any(path, where):
                return self._any(path, where, entity, prefix)
            case AnyRow(other, on, where):
                target = self.model.entities[other]
                grant = self.require(target, Operation.READ)
                return self._some(target, grant, on, where, entity, prefix)
            case Compare() | In() | InParam() | Match() | IsNull():
                return self._leaf(item, entity, prefix)
            case After(by, values):
                keys = tuple((operand_of(key, entity, prefix, self.linked), down, null) for key, down, null in by)
                return After(keys, values)
            case ChangedSince(operand, snapshot):
                return ChangedSince(operand_of(operand, entity, prefix, self.linked), snapshot)
            case _:
                return item

    def _any(self, path: tuple[str, ...], where: Predicate, entity: Entity, prefix: str) -> Predicate:
        relation = entity.relations[path[0]]
        rest = Any(path[1:], where) if len(path) > 1 else where
        return self._related(entity, prefix, relation.name, rest)

    def _related(self, entity: Entity, prefix: str, name: str, where: Predicate) -> Predicate:
        """EXISTS of a row along the relation, under all rules of its entity, that satisfies ``where``."""
        relation = entity.relations[name]
        target = self.model.entities[relation.target]
        grant = self.require(target, Operation.READ)
        return self._some(target, grant, relation.on, where, entity, prefix, relation.through)

    def _some(
        self,
        target: Entity,
        grant: Granted,
        on: tuple[tuple[str, str], ...],
        where: Predicate,
        entity: Entity,
        prefix: str,
        through: Through | None = None,
    ) -> Predicate:
        if self.scope.door is Door.PORTAL_API and not self._in_rule:  # as for rows that are expanded
            appending.require(self.rules.portal, self.scope, target, Right.READ)
        self.check_link(entity, target, on)
        self.check_fields(where, target, grant)
        inner = self.fresh("")
        link: list[Predicate] = [
            Compare("eq", self.column(target, inner, theirs), self.column(entity, prefix, own)) for own, theirs in on
        ]
        if through is not None:
            link.append(self._paired(through, entity, prefix, target, inner))
        condition = all_of(*link, self.rows(target, inner, Operation.READ, grant), self.predicate(where, target, inner))
        return Exists(
            Select(
                sources=self.sources(target, inner, Operation.READ, aliases_of(condition)),
                where=condition,
                nullable=self.nullable(target, inner) | self.nullable(entity, prefix),
            )
        )

    def _paired(self, through: Through, entity: Entity, prefix: str, target: Entity, inner: str) -> Predicate:
        """EXISTS of a pair of the two rows. Who reads both of them reads the pair."""
        pair = self.fresh("pair")
        ends = (
            *((self.column(entity, prefix, name), column) for name, column in through.own),
            *((self.column(target, inner, name), column) for name, column in through.theirs),
        )
        where = all_of(*(Compare("eq", Column(pair, column), end) for end, column in ends))
        return Exists(Select(sources=(Source(pair, through.table),), where=where))

    def check_names(self, entity: Entity, names: Iterable[str]) -> None:
        """Refuses fields that are not open to the person."""
        readable = self.readable(entity, self.grant(entity, Operation.READ))
        for name in names:
            if name not in readable:
                raise hidden(entity, name)

    def check_link(self, entity: Entity, target: Entity, on: Iterable[tuple[str, str]]) -> None:
        """Refuses a way along fields that are not open to the person: who goes it learns what they hold."""
        for own, theirs in on:
            self.check_names(entity, (own,))
            self.check_names(target, (theirs,))

    def check_fields(self, where: Predicate, entity: Entity, grant: Granted) -> None:
        """Refuses a predicate that names a field which is not open to the person."""
        readable = self.readable(entity, grant)
        for name in fields_of(where):
            if name not in readable:
                raise hidden(entity, name)

    def _leaf(self, item: Predicate, entity: Entity, prefix: str) -> Predicate:
        for operand in operands(item):
            if isinstance(operand, Field) and len(operand.path) > 1:
                return self._navigated(item, operand.path[0], entity, prefix)
        return plain(item, entity, prefix, self.linked)

    def _navigated(self, item: Predicate, relation: str, entity: Entity, prefix: str) -> Predicate:
        """A leaf over ``relation/…``: see the module's docstring."""
        inner = shortened(item, relation)
        match item:
            case IsNull():
                return negate(self._related(entity, prefix, relation, negate(inner)))
            case Compare("ne", left, right):
                opposite = Compare("eq", left, right)
                return negate(self._related(entity, prefix, relation, shortened(opposite, relation)))
            case _:
                return self._related(entity, prefix, relation, inner)


def unmapped(principal: Principal) -> Refusal:
    """The refusal for a person without an operations user, on a table that only such a user may read."""
    if principal.contact is None:
        return Refusal("FC3002", "This data is not open to anonymous visitors.", hint="Sign in.")
    return Refusal(
        "FC3002",
        "Your contact is not connected to a user of the order system.",
        hint="Ask the company to connect it.",
    )


def hidden(entity: Entity, name: str) -> Refusal:
    """The refusal for a field that exists but is not open to the person."""
    return Refusal("FC3004", f"Column {name} of {entity.collection} is not open to you.", source=name)


def _closure(entity: Entity, used: set[str]) -> set[str]:
    """The aliases used, and those that their joins stand on."""
    by_alias: Mapping[str, object] = {source.alias: source for source in entity.sources}
    pending, found = list(used), set()
    while pending:
        alias = pending.pop()
        if alias in found or alias not in by_alias:
            continue
        found.add(alias)
        source = next(s for s in entity.sources if s.alias == alias)
        pending.extend(above for (above, _), _ in source.on)
    return found
