"""What ``check`` says of well-formed policies that can have no effect, or not the intended one (FC6005).

Enforcement takes the safe meaning, which is to deny; here it is said aloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from forecourt.kernel.document import Document, suggest
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Entity, Where
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import TableName
from forecourt.security.grants import granted
from forecourt.security.rules import BYPASS, EXTERNAL_USER, Operation, OperationsRules, Policy
from forecourt.security.xds.activity import beneath, constrained, shut

CLOSED = "its tables are closed to everybody."

#: Users named in a message.
SHOWN = 3

#: A user as the rules see it: id and names of roles.
Held = tuple[str, frozenset[str]]


def policy_findings(
    policies: Iterable[tuple[Policy, Document]], rules: OperationsRules, entities: Mapping[str, Entity]
) -> list[DefinitionError]:
    """What the files alone tell."""
    found: list[DefinitionError] = []
    tables = {source.table for entity in entities.values() for source in entity.sources}
    for policy, document in policies:
        found += _context(policy, document, rules)
        if not policy.tables & tables:
            message = f"policy {policy.name} constrains no table of any entity."
            hint = "Name the tables beneath the entities it is meant for."
            found.append(document.error(message, "constrained_tables", hint=hint, code="FC6005"))
        views = sorted({str(table) for table in tables if beneath(rules, policy, table)})
        if views:
            found.append(
                document.error(
                    f"policy {policy.name} constrains tables beneath {', '.join(views)} and not the view itself, "
                    "which is closed to whom the policy constrains.",
                    "constrained_tables",
                    hint="Name the view as a constrained table as well.",
                    code="FC6005",
                )
            )
    return found


def _context(policy: Policy, document: Document, rules: OperationsRules) -> list[DefinitionError]:
    kind, value = policy.context
    if kind == "RoleName" and value not in rules.roles:
        message = f"policy {policy.name} names role '{value}', which does not exist: {CLOSED}"
        return [document.error(message, "context", "role", hint=suggest(value, rules.roles), code="FC6005")]
    if kind == "RoleProperty" and value not in rules.contexts:
        message = f"policy {policy.name} has context '{value}', which no role carries: {CLOSED}"
        hint = suggest(value, sorted(rules.contexts))
        return [document.error(message, "context", "value", hint=hint, code="FC6005")]
    if kind == "ContextString" and value not in rules.strings:
        message = (
            f"policy {policy.name} waits for context string '{value}', which no file of the solution sets: {CLOSED}"
        )
        hint = suggest(value, sorted(rules.strings)) or f'Business logic sets it: with context("{value}").'
        if value in rules.contexts:
            hint = "A role carries it as its context: use RoleProperty."
        return [document.error(message, "context", "value", hint=hint, code="FC6005")]
    return [
        document.error(
            f"policy {policy.name} is bound to role {role}, which role {parent} contains: who holds {parent} alone has "
            "the grants, and not the policy.",
            "context",
            hint="Use RoleProperty, and give both roles the same context.",
            code="FC6005",
        )
        for role in _bound(policy, rules)
        for parent, found in sorted(rules.roles.items())
        if role in found.roles and parent not in _bound(policy, rules)
    ]


def _bound(policy: Policy, rules: OperationsRules) -> list[str]:
    """The roles whose holders a policy constrains."""
    kind, value = policy.context
    if kind == "RoleName":
        return [value]
    return [name for name, role in rules.roles.items() if kind == "RoleProperty" and role.context == value]


@dataclass
class _Outside:
    """Users from outside whom something stays closed to."""

    where: Where
    users: list[str] = field(default_factory=list)


def user_findings(
    rules: OperationsRules, entities: Mapping[str, Entity], users: Iterable[Held], where: Where
) -> list[DefinitionError]:
    """What the rules mean for users. ``where``: the file that roles are defined in."""
    found: list[DefinitionError] = []
    bypassing: list[str] = []
    roots: dict[str, _Outside] = {}
    joined: dict[tuple[str, TableName], _Outside] = {}
    seen: dict[frozenset[str], list[str]] = {}
    for user, roles in sorted(users):
        seen.setdefault(roles, []).append(user)
    for roles, ids in seen.items():
        external = EXTERNAL_USER in roles
        if BYPASS in roles:
            bypassing += [f"{each} (from outside: without effect)" if external else each for each in ids]
        if external:
            who = OperationsUser(ids[0], "", "", "", roles, external=True)
            _outside(rules, entities, who, ids, roots, joined)
    if bypassing:
        message = f"no policy constrains {_some(bypassing)}: they hold {BYPASS}."
        hint = "Take the role away when it has shown which policy hides a row."
        found.append(DefinitionError(where.file, where.line, message, hint, "FC6005"))
    for name, item in roots.items():
        entity = entities[name]
        message = (
            f"{_some(item.users)} from outside may read {entity.collection}, and no active policy constrains "
            f"{entity.root.table}: they see nothing of it."
        )
        hint = "Write a policy for them, or take the grant away."
        found.append(DefinitionError(item.where.file, item.where.line, message, hint, "FC6005"))
    for (name, table), item in joined.items():
        message = (
            f"{_some(item.users)} from outside see nothing of {table} in {entities[name].collection}: some policy "
            "constrains the table, and none that is active for them."
        )
        hint = "Constrain it for them as well; a policy without conditions opens the whole table."
        found.append(DefinitionError(item.where.file, item.where.line, message, hint, "FC6005"))
    return found


def _outside(
    rules: OperationsRules,
    entities: Mapping[str, Entity],
    who: OperationsUser,
    ids: list[str],
    roots: dict[str, _Outside],
    joined: dict[tuple[str, TableName], _Outside],
) -> None:
    if rules.external_users == "open":
        return
    for entity in entities.values():
        if not granted(rules, who, entity.name, Operation.READ, None, entity.company is None).allowed:
            continue
        if not constrained(rules, who, entity, Operation.READ):
            roots.setdefault(entity.name, _Outside(entity.where)).users += ids
            continue
        for table in {source.table for source in entity.sources[1:] if shut(rules, who, source.table, Operation.READ)}:
            joined.setdefault((entity.name, table), _Outside(entity.where)).users += ids


def _some(users: list[str]) -> str:
    more = f" and {len(users) - SHOWN} more" if len(users) > SHOWN else ""
    return ", ".join(users[:SHOWN]) + more
