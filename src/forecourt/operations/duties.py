"""Segregation of duties: who has two duties that a rule keeps apart (operations-and-integration 6).

A role that alone contains both is a conflict for whoever gets it; a user may hold both by several roles. An override
of the role or the user, with its reason, accepts the risk. Leaves out who may override: the solution's files are under
review like all rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from forecourt.kernel.errors import DefinitionError
from forecourt.security.rules import DutyRule, OperationsRules, Role

#: Users named in a message.
SHOWN = 5


def role_conflicts(rules: OperationsRules) -> list[DefinitionError]:
    """Roles that contain both duties of a rule."""
    found = []
    for rule in rules.segregation:
        accepted = {subject for subject, _ in rule.overrides}
        for role in rules.roles.values():
            if rule.concerns(role.duties) and role.name not in accepted:
                found.append(_conflict(rule, f"role {role.name} contains", role))
    return found


def user_conflicts(rules: OperationsRules, users: Iterable[tuple[str, frozenset[str]]]) -> list[DefinitionError]:
    """Users, as pairs (id, names of roles), who hold both duties of a rule: those whom no role alone gives both."""
    held = sorted(users)
    found = []
    for rule in rules.segregation:
        accepted = {subject for subject, _ in rule.overrides}
        ids = [
            user
            for user, roles in held
            if f"user:{user}" not in accepted and rule.concerns(_duties(rules.roles, roles - accepted))
        ]
        if ids:
            more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
            found.append(_conflict(rule, f"{', '.join(ids[:SHOWN])}{more} hold" + "s" * (len(ids) == 1)))
    return found


def _duties(roles: Mapping[str, Role], names: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(roles[name].duties for name in names if name in roles))


def _conflict(rule: DutyRule, who: str, role: Role | None = None) -> DefinitionError:
    where = rule.where if role is None else role.where
    risk = f" {rule.risk}" if rule.risk else ""
    return DefinitionError(
        where.file,
        where.line,
        f"{who} both {rule.first} and {rule.second}, which '{rule.name}' keeps apart (severity {rule.severity}).{risk}",
        "Take one of the duties away, or add an override with its reason.",
        "FC6008",
    )
