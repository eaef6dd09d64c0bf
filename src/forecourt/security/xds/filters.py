"""What the policies put on a table, as one predicate.

Policies on a table combine by AND, also across roles; so do several constrained nodes for one table. A constrained
table that hangs deeper is reached through those above it: the chain of relations and expressions up to the primary
table, and the policy query there (operations-and-integration 4.2). NOT EXISTS policies turn the whole chain round.

A value of the user that is not known never opens anything: equal to nothing, and under NOT EXISTS it closes the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    And,
    Column,
    Compare,
    Exists,
    InParam,
    Operand,
    Param,
    Predicate,
    all_of,
    any_of,
    map_operands,
    negate,
    operands,
)
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import Select, Source, TableName, columns_of, renamed
from forecourt.security.constructs import ConstructJoin, given
from forecourt.security.rules import Constraint, Operation, OperationsRules, Policy
from forecourt.security.xds.activity import beneath, broken, bypasses, holds, shut
from forecourt.security.xds.sets import (
    LISTED,
    KeyOf,
    bindable,
    lasting,
    list_name,
    member_name,
    set_name,
    value_name,
)

#: Stands for the row of a bound umbrella until its values take its place.
UMBRELLA = ""

#: Makes an alias that the statement does not use yet.
Fresh = Callable[[str], str]


@dataclass(frozen=True)
class Filter:
    """Builds the predicates of active policies on a table.

    ``sizes``: size class of each bound set, None where it stays a subquery; by policy, and by ``set_name`` of
    constructs. Empty: everything is read in place.
    """

    rules: OperationsRules
    user: OperationsUser
    sizes: Mapping[str, int | None]
    key_of: KeyOf
    fresh: Fresh

    def on(self, table: TableName, alias: str, operation: Operation) -> Predicate:
        """The condition that all policies together put on ``table`` under ``alias``."""
        if bypasses(self.user):
            return TRUE
        if shut(self.rules, self.user, table, operation):
            return FALSE
        found: list[Predicate] = []
        for policy in self.rules.policies:
            if not policy.enabled or operation not in policy.operations:
                continue
            around = beneath(self.rules, policy, table)
            if table not in policy.tables and not around:
                continue
            if broken(self.rules, policy):
                return FALSE
            if holds(self.rules, self.user, policy):
                if around:
                    return FALSE
                found.extend(self._conditions(policy, table, alias))
        return all_of(*found)

    def of(self, policy: Policy, table: TableName, alias: str) -> Predicate:
        """The condition that one policy puts on a table for whom it constrains."""
        return all_of(*self._conditions(policy, table, alias))

    def _conditions(self, policy: Policy, table: TableName, alias: str) -> Iterator[Predicate]:
        if policy.constrain_primary and table == policy.primary:
            yield self._signed(policy, self._primary(policy, alias))
        for path in _paths(policy.constraints, table):
            yield self._signed(policy, self._chain(policy, path, alias, {path[-1].alias: alias}, ()))

    def _signed(self, policy: Policy, condition: Predicate) -> Predicate:
        if not policy.not_exists:
            return condition
        return all_of(negate(condition), *(given(Param(name)) for name in policy.user_values))

    # -- the primary table -----------------------------------------------------------------------------------------

    def _size(self, policy: Policy) -> int | None:
        return self.sizes.get(policy.name) if bindable(policy, self.key_of) else None

    def _primary(self, policy: Policy, alias: str) -> Predicate:
        size = self._size(policy)
        if size is not None:
            keys = self.key_of(policy.primary)
            same = all_of(*(Compare("eq", Column(alias, key), Column(UMBRELLA, key)) for key in keys))
            return self._bound(policy, same, size)
        names = {policy.sources[0].alias: alias}
        rest = policy.sources[1:]
        if not rest:
            return renamed(self._query(policy), names, self.fresh)
        return Exists(self._subselect(policy, names, rest, (), ()))

    def _bound(self, policy: Policy, condition: Predicate, size: int) -> Predicate:
        """``condition`` for some row of the umbrella."""

        def row(number: int) -> Predicate:
            def value(operand: Operand) -> Operand:
                if isinstance(operand, Column) and operand.alias == UMBRELLA:
                    return Param(value_name(policy, number, operand.name))
                return operand

            return map_operands(condition, value)

        return any_of(*(row(number) for number in range(size)))

    def _query(self, policy: Policy) -> Predicate:
        """The predicate of the policy query, the sets of its constructs bound where they are."""
        bound = {join.condition: found for join in policy.constructs if (found := self._set(join)) is not None}
        if not bound:
            return policy.filter
        items = policy.filter.items if isinstance(policy.filter, And) else (policy.filter,)
        return all_of(*(bound.get(item, item) for item in items))

    def _set(self, join: ConstructJoin) -> Predicate | None:
        """A construct's bound set as a condition, None where it is read in place."""
        construct = join.construct
        size = self.sizes.get(set_name(construct)) if lasting(construct) else None
        if size is None:
            return None
        if size == LISTED:
            ((_, column),) = join.on
            return InParam(column, list_name(construct))
        return any_of(
            *(
                all_of(*(Compare("eq", column, Param(member_name(construct, row, key))) for key, column in join.on))
                for row in range(size)
            )
        )

    # -- the tables under it ---------------------------------------------------------------------------------------

    def _chain(
        self,
        policy: Policy,
        path: tuple[Constraint, ...],
        alias: str,
        names: Mapping[str, str],
        waiting: tuple[Predicate, ...],
    ) -> Predicate:
        """That the row of ``path``'s last node, under ``alias``, hangs link by link on a row of the policy query.

        ``names``: alias in the statement of each node that has been passed, by its own. ``waiting``: conditions of
        these that speak of a table further up.
        """
        node, primary = path[-1], policy.sources[0].alias
        conditions = (*waiting, *_items(node.condition))
        if len(path) == 1:
            size = self._size(policy)
            if size is None:
                return Exists(self._subselect(policy, names, policy.sources, _links(node, alias), conditions))
            names = {**names, primary: UMBRELLA}
            links = [Compare("eq", Column(alias, own), Column(UMBRELLA, parent)) for own, parent in node.relation]
            return self._bound(policy, all_of(*links, *(renamed(each, names, self.fresh) for each in conditions)), size)
        above = path[-2]
        here = self.fresh(above.alias)
        names = {**names, above.alias: here}
        settled = [item for item in conditions if _aliases(item) <= names.keys()]
        where = all_of(
            *(Compare("eq", Column(here, parent), column) for parent, column in _links(node, alias)),
            *(renamed(item, names, self.fresh) for item in settled),
            self._chain(policy, path[:-1], here, names, tuple(item for item in conditions if item not in settled)),
        )
        return Exists(Select((Source(here, above.table),), where, nullable=columns_of(where)))

    def _subselect(
        self,
        policy: Policy,
        names: Mapping[str, str],
        sources: tuple[Source, ...],
        links: tuple[tuple[str, Column], ...],
        conditions: tuple[Predicate, ...],
    ) -> Select:
        """The policy query as a subquery. ``links``: pairs (column of the primary table, column of the row)."""
        names = {**names, **{source.alias: self.fresh(source.alias) for source in sources}}
        primary = names[policy.sources[0].alias]
        first, *others = sources
        where = all_of(
            *(Compare("eq", Column(primary, parent), column) for parent, column in links),
            *(renamed(item, names, self.fresh) for item in conditions),
            renamed(first.on, names, self.fresh),
            renamed(self._query(policy), names, self.fresh),
        )
        joined = tuple(Source(names[s.alias], s.table, s.join, renamed(s.on, names, self.fresh)) for s in others)
        return Select((Source(names[first.alias], first.table), *joined), where, nullable=columns_of(where))


def _links(node: Constraint, alias: str) -> tuple[tuple[str, Column], ...]:
    return tuple((parent, Column(alias, own)) for own, parent in node.relation)


def _paths(
    nodes: tuple[Constraint, ...], table: TableName, above: tuple[Constraint, ...] = ()
) -> Iterator[tuple[Constraint, ...]]:
    for node in nodes:
        path = (*above, node)
        if node.constrained and node.table == table:
            yield path
        yield from _paths(node.nested, table, path)


def _items(item: Predicate) -> tuple[Predicate, ...]:
    if item == TRUE:
        return ()
    return item.items if isinstance(item, And) else (item,)


def _aliases(item: Predicate) -> set[str]:
    return {found.alias for found in operands(item) if isinstance(found, Column)}
