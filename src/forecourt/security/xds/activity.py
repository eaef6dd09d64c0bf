"""Which policies are active for a user, and which tables are shut to one from outside.

A policy is active when it is enabled, covers the operation, and its context holds: the user has the role (RoleName),
any of its roles carries the context string (RoleProperty), or business logic has set the string (ContextString). What
counts are the roles that the user was given: a policy that is bound to a sub-role does not constrain who holds only
the parent role (operations-and-integration 4.3), wherever a role counts: assignments to legal entities limit what a
role grants, never whom a policy constrains.

Where theirs is unsafe:

- A policy whose context can never hold (a misspelling) is silently inactive there; here it denies its tables to
  everybody whom policies constrain.
- An external user reads nothing of an entity whose root no active policy constrains, and nothing of any other table
  beneath it that some policy constrains and none that is active. A policy without conditions opens such a table, and
  says so by name.
- A view is a way around the policies of the tables beneath it. A policy that constrains one of these and not the view
  itself denies the view to whom it constrains.
- Nobody from outside bypasses policies, whatever roles they hold.
"""

from __future__ import annotations

from forecourt.kernel.model import Entity
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import TableName
from forecourt.security.rules import BYPASS, SYSTEM_ADMINISTRATOR, Operation, OperationsRules, Policy


def bypasses(user: OperationsUser) -> bool:
    """Whether no policy constrains the user: a system administrator, or a holder of the bypass role from inside."""
    return SYSTEM_ADMINISTRATOR in user.roles or (BYPASS in user.roles and not user.external)


def active(rules: OperationsRules, user: OperationsUser, operation: Operation) -> tuple[Policy, ...]:
    """The policies that constrain ``user`` in ``operation``, misspelt ones left out."""
    if bypasses(user):
        return ()
    return tuple(
        policy
        for policy in rules.policies
        if policy.enabled and operation in policy.operations and holds(rules, user, policy)
    )


def holds(rules: OperationsRules, user: OperationsUser, policy: Policy) -> bool:
    """Whether the policy's context holds for the user."""
    if broken(rules, policy):
        return False
    kind, value = policy.context
    if kind == "RoleName":
        return value in user.roles
    if kind == "RoleProperty":
        return any((role := rules.roles.get(name)) is not None and role.context == value for name in user.roles)
    return value in user.contexts


def broken(rules: OperationsRules, policy: Policy) -> bool:
    """Whether nothing can ever make the policy's context hold: a misspelt role or context string."""
    kind, value = policy.context
    if kind == "RoleName":
        return value not in rules.roles
    if kind == "RoleProperty":
        return value not in rules.contexts
    return value not in rules.strings


def constrained(rules: OperationsRules, user: OperationsUser, entity: Entity, operation: Operation) -> bool:
    """Whether an active policy constrains the entity's root table."""
    return any(entity.root.table in policy.tables for policy in active(rules, user, operation))


def beneath(rules: OperationsRules, policy: Policy, table: TableName) -> bool:
    """Whether ``table`` is a view over one that the policy constrains, and is not constrained itself."""
    return table not in policy.tables and bool(rules.views.get(table, frozenset()) & policy.tables)


def shut(rules: OperationsRules, user: OperationsUser, table: TableName, operation: Operation) -> bool:
    """Whether some policy constrains the table, and none that is active for this user from outside."""
    if not user.external or rules.external_users == "open" or bypasses(user):
        return False
    some = any(
        policy.enabled and operation in policy.operations and (table in policy.tables or beneath(rules, policy, table))
        for policy in rules.policies
    )
    return some and not any(table in policy.tables for policy in active(rules, user, operation))
