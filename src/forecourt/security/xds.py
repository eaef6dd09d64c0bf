"""XDS: which policies are active for a user, and the predicate each puts on a table (operations-and-integration 4).

A policy is active when it is enabled, covers the operation, and its context holds: the user has the role (RoleName)
or any of its roles carries the context string (RoleProperty). Policies on a table combine by AND, also across roles;
so do several constrained nodes for one table. System administrators are not constrained.

The allowed set of a policy, its *umbrella* (the vendors of this user), is resolved first and bound as values where it
is small: a policy left as a subquery on the user costs the planner its estimates. Above ``BOUND_LIMIT`` rows, for
NOT EXISTS policies and where no key is known, the condition stays a subquery; both forms mean the same.

Where theirs is unsafe: a policy whose context nothing carries (a misspelling) is silently inactive there; here it
denies its tables to everybody but administrators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import (
    FALSE,
    Column,
    Compare,
    Exists,
    Operand,
    Param,
    Predicate,
    all_of,
    any_of,
    map_operands,
    negate,
)
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import Output, Select, Source, TableName
from forecourt.security.rules import SYSTEM_ADMINISTRATOR, Constraint, Operation, OperationsRules, Policy

#: Umbrella sets up to this many rows are bound as values.
BOUND_LIMIT = 16

#: Gives primary key columns of a table, () where none is known.
KeyOf = Callable[[TableName], tuple[str, ...]]
#: Makes an alias that the statement does not use yet.
Fresh = Callable[[str], str]


def active(rules: OperationsRules, user: OperationsUser, operation: Operation) -> tuple[Policy, ...]:
    """The policies that constrain ``user`` in ``operation``, misspelt ones left out."""
    if SYSTEM_ADMINISTRATOR in user.roles:
        return ()
    return tuple(
        policy
        for policy in rules.policies
        if policy.enabled and operation in policy.operations and holds(rules, user, policy)
    )


def holds(rules: OperationsRules, user: OperationsUser, policy: Policy) -> bool:
    """Whether the policy's context holds for the user."""
    kind, value = policy.context
    if kind == "RoleName":
        return value in user.roles
    if kind == "RoleProperty":
        return any((role := rules.roles.get(name)) is not None and role.context == value for name in user.roles)
    return False


def broken(rules: OperationsRules, policy: Policy) -> bool:
    """Whether nothing can ever make the policy's context hold: a misspelt role or context string."""
    kind, value = policy.context
    if kind == "RoleName":
        return value not in rules.roles
    if kind == "RoleProperty":
        return value not in rules.contexts
    return True


def constrained(rules: OperationsRules, user: OperationsUser, entity: Entity, operation: Operation) -> bool:
    """Whether an active policy constrains the entity's root table."""
    return any(entity.root.table in policy.tables for policy in active(rules, user, operation))


def umbrella_columns(policy: Policy, key_of: KeyOf) -> tuple[str, ...]:
    """Columns of the primary table that bound predicates compare: its key and those that nodes relate to."""
    columns = list(key_of(policy.primary)) if policy.constrain_primary else []
    for node in policy.constraints:
        columns.extend(parent for _, parent in node.relation)
    return tuple(dict.fromkeys(columns))


def bindable(policy: Policy, key_of: KeyOf) -> bool:
    """Whether the policy's umbrella may be bound as values. One that constrains nothing has none to bind."""
    keyed = not policy.constrain_primary or bool(key_of(policy.primary))
    return not policy.not_exists and keyed and bool(umbrella_columns(policy, key_of))


def umbrella(policy: Policy, key_of: KeyOf) -> Select:
    """The query that resolves the policy's allowed set for a user."""
    root = policy.sources[0].alias
    return Select(
        sources=policy.sources,
        where=policy.filter,
        outputs=tuple(Output(name, Column(root, name), None) for name in umbrella_columns(policy, key_of)),
    )


def padded(size: int) -> int | None:
    """Size class of a bound set: 0, a power of two up to the limit, or None for a set that stays a subquery."""
    if size > BOUND_LIMIT:
        return None
    return 0 if size == 0 else 1 << (size - 1).bit_length()


def value_name(policy: Policy, row: int, column: str) -> str:
    """The parameter that holds one value of a bound umbrella."""
    return f"xds.{policy.name}.{row}.{column}"


def values(policy: Policy, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> Iterator[tuple[str, object]]:
    """The parameters of a bound umbrella, the last row repeated up to its size class."""
    size = padded(len(rows)) or 0
    for index in range(size):
        row = rows[min(index, len(rows) - 1)]
        for column, value in zip(columns, row, strict=True):
            yield value_name(policy, index, column), value


@dataclass(frozen=True)
class Filter:
    """Builds the predicates of active policies on a table.

    ``sizes``: size class of each bound policy's umbrella, None where it stays a subquery.
    """

    rules: OperationsRules
    user: OperationsUser
    sizes: Mapping[str, int | None]
    key_of: KeyOf
    fresh: Fresh

    def on(self, table: TableName, alias: str, operation: Operation) -> Predicate:
        """The condition that all policies together put on ``table`` under ``alias``."""
        if SYSTEM_ADMINISTRATOR in self.user.roles:
            return all_of()
        found: list[Predicate] = []
        for policy in self.rules.policies:
            if not policy.enabled or operation not in policy.operations or table not in policy.tables:
                continue
            if broken(self.rules, policy):
                return FALSE
            if holds(self.rules, self.user, policy):
                found.extend(self._conditions(policy, table, alias))
        return all_of(*found)

    def _conditions(self, policy: Policy, table: TableName, alias: str) -> Iterator[Predicate]:
        if policy.constrain_primary and table == policy.primary:
            yield self._signed(policy, self._primary(policy, alias))
        for path in _paths(policy.constraints, table):
            yield self._signed(policy, self._nested(policy, path, alias))

    def _signed(self, policy: Policy, condition: Predicate) -> Predicate:
        return negate(condition) if policy.not_exists else condition

    def _size(self, policy: Policy) -> int | None:
        return self.sizes.get(policy.name) if bindable(policy, self.key_of) else None

    def _bound(self, policy: Policy, pairs: tuple[tuple[str, str], ...], alias: str, size: int) -> Predicate:
        return any_of(
            *(
                all_of(*(Compare("eq", Column(alias, own), Param(value_name(policy, row, key))) for own, key in pairs))
                for row in range(size)
            )
        )

    def _primary(self, policy: Policy, alias: str) -> Predicate:
        size = self._size(policy)
        if size is not None:
            keys = self.key_of(policy.primary)
            return self._bound(policy, tuple((key, key) for key in keys), alias, size)
        names = {policy.sources[0].alias: alias}
        rest = policy.sources[1:]
        if not rest:
            return _renamed(policy.filter, names)
        return Exists(self._subselect(policy, names, rest, ()))

    def _nested(self, policy: Policy, path: tuple[Constraint, ...], alias: str) -> Predicate:
        node = path[-1]
        if len(path) > 1:
            above = self.fresh(path[-2].alias)
            link = [Compare("eq", Column(above, parent), Column(alias, own)) for own, parent in node.relation]
            return Exists(
                Select(
                    sources=(Source(above, path[-2].table),),
                    where=all_of(*link, self._nested(policy, path[:-1], above)),
                )
            )
        size = self._size(policy)
        if size is not None:
            return self._bound(policy, node.relation, alias, size)
        return Exists(self._subselect(policy, {}, policy.sources, tuple((alias, *pair) for pair in node.relation)))

    def _subselect(
        self,
        policy: Policy,
        names: dict[str, str],
        sources: tuple[Source, ...],
        link: tuple[tuple[str, str, str], ...],
    ) -> Select:
        names = names | {source.alias: self.fresh(source.alias) for source in sources}
        primary = names[policy.sources[0].alias]
        conditions = [Compare("eq", Column(primary, parent), Column(alias, own)) for alias, own, parent in link]
        first, *others = sources
        return Select(
            sources=(
                Source(names[first.alias], first.table),
                *(Source(names[s.alias], s.table, s.join, _renamed(s.on, names)) for s in others),
            ),
            where=all_of(*conditions, _renamed(first.on, names), _renamed(policy.filter, names)),
        )


def _paths(
    nodes: tuple[Constraint, ...], table: TableName, above: tuple[Constraint, ...] = ()
) -> Iterator[tuple[Constraint, ...]]:
    for node in nodes:
        path = (*above, node)
        if node.constrained and node.table == table:
            yield path
        yield from _paths(node.nested, table, path)


def _renamed(item: Predicate, names: Mapping[str, str]) -> Predicate:
    def change(operand: Operand) -> Operand:
        return Column(names.get(operand.alias, operand.alias), operand.name) if isinstance(operand, Column) else operand

    return map_operands(item, change)
