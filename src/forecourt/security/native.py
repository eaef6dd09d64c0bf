"""Native protection: the rules that decide requests, as rules that a database enforces by itself.

Nothing is decided here a second time. A policy's condition is what :class:`~forecourt.security.xds.Filter` puts on the
table; whom it constrains, which roles open an entity and which of its fields they show are found by asking ``xds`` and
``grants`` about users with one role each. What a user may do follows from its roles one by one, so that the database
can put it together at the time of a query, for the roles that the user has then.

What the database cannot express (a policy whose context a program sets, a value that only a request has) closes the
policy's tables there, and is named. Deny by default.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

from forecourt.kernel.model import Entity, Model
from forecourt.kernel.predicate import (
    After,
    And,
    Any,
    ChangedSince,
    Exists,
    InParam,
    Not,
    Or,
    Param,
    Predicate,
    Slot,
    operands,
)
from forecourt.kernel.principal import Door, OperationsUser, Principal
from forecourt.kernel.relation import TableName
from forecourt.kernel.row_security import CLOSED, Directory, EntityRule, Login, Opening, Protection, RowRule, Unexpressed
from forecourt.security.grants import granted
from forecourt.security.lowering import Lowering
from forecourt.security.rules import EXTERNAL_USER, SYSTEM_ADMINISTRATOR, Operation, OperationsRules, Policy, Rules
from forecourt.security.scope import Scope
from forecourt.security.xds import Filter, KeyOf, broken, constrained, holds

#: Values of a user that a database knows; those of declared users' attributes come on top.
KNOWN = ("user.id", "user.email", "user.company")


def protection(rules: OperationsRules, model: Model, directory: Directory, key_of: KeyOf) -> Protection:
    """What a database has to enforce for a solution's operations side."""
    attributes = {f"user.{name}" for user in directory.declared for name, _ in user.attributes}
    rows: list[RowRule] = []
    unexpressed: list[Unexpressed] = []
    for policy in rules.policies:
        if policy.enabled:
            for rule, missing in _row_rules(rules, policy, {*KNOWN, *attributes}, key_of):
                rows.append(rule)
                if missing:
                    unexpressed.append(Unexpressed(f"policy {policy.name} on {rule.table}", missing, policy.where))
    entities = tuple(_entity_rule(rules, model, entity, key_of) for entity in model.entities.values())
    return Protection(tuple(rows), entities, directory, SYSTEM_ADMINISTRATOR, tuple(dict.fromkeys(unexpressed)))


def login(rules: OperationsRules, model: Model, user: OperationsUser, role: str, key_of: KeyOf) -> Login:
    """The columns of entities that a user may name, for the database role under which it signs in."""
    columns = []
    for entity in model.entities.values():
        grant = granted(rules, user, entity.name, Operation.READ)
        if grant.allowed:
            shown = _lowering(rules, model, user, key_of).readable(entity, grant)
            columns.append((entity.name, tuple(name for name in entity.fields if name in shown)))
    return Login(role, user.id, tuple(columns))


def holder(*roles: str) -> OperationsUser:
    """Somebody who holds these roles, in every legal entity, and nothing else."""
    return OperationsUser("", "", "", "", frozenset(roles), external=EXTERNAL_USER in roles)


def _lowering(rules: OperationsRules, model: Model, user: OperationsUser, key_of: KeyOf) -> Lowering:
    return Lowering(Rules(operations=rules), model, Scope(Principal(operations_user=user), Door.OPERATIONS), key_of)


def _row_rules(
    rules: OperationsRules, policy: Policy, known: set[str], key_of: KeyOf
) -> Iterator[tuple[RowRule, str]]:
    """The rules of one policy, each with what cannot be expressed about it."""
    alone = dataclasses.replace(rules, policies=(policy,))
    everybody = broken(rules, policy)
    roles = frozenset(name for name in rules.roles if name != SYSTEM_ADMINISTRATOR and holds(rules, holder(name), policy))
    if not everybody and not roles:
        return
    asking = holder(*sorted(roles)[:1])
    missing = "its context is set by a program" if policy.context[0] == "ContextString" else ""
    for table in sorted(policy.tables, key=str):
        alike: dict[Predicate, list[str]] = {}
        for operation in Operation:
            if operation in policy.operations:
                number = itertools.count(1)
                filters = Filter(alone, asking, {}, key_of, lambda name, number=number: f"n{next(number)}_{name}")  # type: ignore[misc]
                alike.setdefault(filters.on(table, table.name, operation), []).append(operation.value)
        for condition, operations in alike.items():
            why = missing or _missing(condition, known)
            found = RowRule(
                policy.name,
                table,
                tuple(operations),
                None if everybody else roles,
                CLOSED if why else condition,
                policy.where,
            )
            yield found, why


def _missing(condition: Predicate, known: set[str]) -> str:
    """What a database does not know of a condition; '' where it can decide."""
    for item in _leaves(condition):
        if isinstance(item, InParam | After | ChangedSince | Any):
            return "it speaks of values that only a request has"
        for operand in operands(item):
            if isinstance(operand, Slot) or (isinstance(operand, Param) and operand.name not in known):
                name = operand.name if isinstance(operand, Param) else "a literal of the request"
                return f"it speaks of {name}, which the database does not know"
    return ""


def _leaves(item: Predicate) -> Iterator[Predicate]:
    match item:
        case And(items) | Or(items):
            for child in items:
                yield from _leaves(child)
        case Not(child):
            yield from _leaves(child)
        case Exists(select):
            yield from _leaves(select.where)
            for source in select.sources:
                yield from _leaves(source.on)
        case _:
            yield item


def _entity_rule(rules: OperationsRules, model: Model, entity: Entity, key_of: KeyOf) -> EntityRule:
    shown: dict[str, frozenset[str]] = {}
    fields: dict[str, set[str]] = {name: set() for name in entity.fields}
    granting = set()
    for name in rules.roles:
        if name == SYSTEM_ADMINISTRATOR:
            continue
        grant = granted(rules, holder(name), entity.name, Operation.READ)
        if grant.allowed:
            granting.add(name)
            for each in _lowering(rules, model, holder(name), key_of).readable(entity, grant):
                fields[each].add(name)
    for each, roles in fields.items():
        if roles != granting:
            shown[each] = frozenset(roles)
    return EntityRule(entity, _opening(rules, entity, Operation.READ, frozenset(granting)), shown, EXTERNAL_USER)


def _opening(rules: OperationsRules, entity: Entity, operation: Operation, granting: frozenset[str]) -> Opening:
    if rules.external_users == "open":
        return Opening(granting, None)
    roles = frozenset(name for name in rules.roles if constrained(rules, holder(name), entity, operation))
    return Opening(granting, roles)


def tables_of(protection: Protection) -> Mapping[TableName, frozenset[str]]:
    """The tables beneath the entities, with the columns that entities show or join by."""
    found: dict[TableName, set[str]] = {}
    for rule in protection.entities:
        by_alias = {source.alias: source.table for source in rule.entity.sources}
        for field in rule.entity.fields.values():
            found.setdefault(by_alias[field.source], set()).add(field.column)
        for source in rule.entity.sources:
            found.setdefault(source.table, set())
            for (above, theirs), own in source.on:
                found[by_alias[above]].add(theirs)
                found[source.table].add(own)
    return {table: frozenset(columns) for table, columns in found.items()}
