"""What policies mean, said once more and plainly: row by row, over rows in lists, by the words of the reference.

Nothing here shares a line with what serves requests but the predicate's leaves. A property test holds the two against
each other (operations-and-integration 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from forecourt.kernel.predicate import Column, Const, Operand, Param, Predicate, map_operands, operands
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import Output, Select, Source, TableName
from forecourt.security.rules import Constraint, Operation, OperationsRules, Policy
from forecourt.store.memory import evaluate

Row = Mapping[str, object]
Tables = Mapping[TableName, list[dict[str, object]]]
#: The row at hand of each table that a chain has come to, by alias.
Sight = Mapping[str, Row]


@dataclass(frozen=True)
class Oracle:
    rules: OperationsRules
    user: OperationsUser
    tables: Tables
    values: Mapping[str, object]

    def sees(self, table: TableName, row: Row, operation: Operation = Operation.READ) -> bool:
        """Whether the policies let the user reach a row of a table that is not the root of an entity."""
        if "-SYSADMIN-" in self.user.roles:
            return True
        if "XDSDataAccessPolicyBypassRole" in self.user.roles and not self.user.external:
            return True
        concerned = [
            policy
            for policy in self.rules.policies
            if policy.enabled and operation in policy.operations and table in self.constrained(policy)
        ]
        if any(self.impossible(policy) for policy in concerned):
            return False
        active = [policy for policy in concerned if self.active(policy)]
        if self.user.external and self.rules.external_users != "open" and concerned and not active:
            return False
        return all(self.admits(policy, table, row) for policy in active)

    def constrained(self, policy: Policy) -> set[TableName]:
        found = {policy.primary} if policy.constrain_primary else set()
        return found | {path[-1].table for path in chains(policy.constraints) if path[-1].constrained}

    def impossible(self, policy: Policy) -> bool:
        kind, value = policy.context
        if kind == "RoleName":
            return value not in self.rules.roles
        if kind == "RoleProperty":
            return value not in {role.context for role in self.rules.roles.values()}
        return value not in self.rules.strings

    def active(self, policy: Policy) -> bool:
        kind, value = policy.context
        if kind == "RoleName":
            return value in self.user.roles
        if kind == "RoleProperty":
            return any(self.rules.roles[name].context == value for name in self.user.roles if name in self.rules.roles)
        return value in self.user.contexts

    def admits(self, policy: Policy, table: TableName, row: Row) -> bool:
        if policy.not_exists and any(self.values[name] is None for name in named(policy)):
            return False  # ours: what is not known of the user opens nothing
        verdicts = []
        if policy.constrain_primary and table == policy.primary:
            verdicts.append(any(found == row for found in self.umbrella(policy)))
        for path in chains(policy.constraints):
            if path[-1].constrained and path[-1].table == table:
                verdicts.append(self.hangs(policy, path, row, {path[-1].alias: row}))
        return all(verdict is not policy.not_exists for verdict in verdicts)

    def umbrella(self, policy: Policy) -> list[Row]:
        """The rows of the primary table that the policy query finds."""
        primary, alias = self.tables[policy.primary], policy.sources[0].alias
        names = list(primary[0]) if primary else []
        outputs = tuple(Output(name, Column(alias, name), None) for name in names)
        found = evaluate(Select(policy.sources, policy.filter, outputs), self.tables, (), self.values)
        return [dict(zip(names, values, strict=True)) for values in found]

    def hangs(self, policy: Policy, path: tuple[Constraint, ...], row: Row, sight: Sight) -> bool:
        """Whether the row belongs to a row above that belongs to one above, up to one of the umbrella."""
        node, above = path[-1], path[:-1]
        alias = above[-1].alias if above else policy.sources[0].alias
        parents = self.tables[above[-1].table] if above else self.umbrella(policy)
        for parent in parents:
            if any(row[own] is None or row[own] != parent[theirs] for own, theirs in node.relation):
                continue
            seen = {**sight, alias: parent}
            if above and self.hangs(policy, above, parent, seen):
                return True
            if not above and all(self.holds(each.condition, seen) for each in policy.nodes if each.alias in seen):
                return True
        return False

    def holds(self, condition: Predicate, sight: Sight) -> bool:
        def value(operand: Operand) -> Operand:
            if not isinstance(operand, Column):
                return operand
            found = sight[operand.alias][operand.name]
            return Param("null") if found is None else Const(found)  # type: ignore[arg-type]

        where = map_operands(condition, value)
        one = {TableName("o", "one"): [{"x": 1}]}
        select = Select((Source("one", TableName("o", "one")),), where, (Output("x", Column("one", "x"), None),))
        return bool(evaluate(select, one, (), {**self.values, "null": None}))


def named(policy: Policy) -> set[str]:
    """The values of the user that a policy query names, its constructs' included."""
    parts = [policy.filter, *(join.construct.filter for join in policy.constructs)]
    return {item.name for part in parts for item in operands(part) if isinstance(item, Param)}


def chains(nodes: tuple[Constraint, ...], above: tuple[Constraint, ...] = ()) -> Iterator[tuple[Constraint, ...]]:
    """Each node with those above it."""
    for node in nodes:
        yield (*above, node)
        yield from chains(node.nested, (*above, node))
