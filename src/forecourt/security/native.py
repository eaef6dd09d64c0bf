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
from collections.abc import Iterator, Mapping, Sequence

from forecourt.kernel.model import Entity, Model
from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    After,
    And,
    Any,
    AnyRow,
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
from forecourt.kernel.row_security import (
    CLOSED,
    Directory,
    EntityRule,
    FieldRule,
    Login,
    Opening,
    Protection,
    RowRule,
    Unexpressed,
)
from forecourt.security.grants import Granted, union
from forecourt.security.lowering import Lowering
from forecourt.security.rules import (
    BYPASS,
    EXTERNAL_USER,
    NOW,
    SYSTEM_ADMINISTRATOR,
    TODAY,
    Grant,
    Mode,
    Operation,
    OperationsRules,
    Policy,
    Rules,
)
from forecourt.security.scope import Scope
from forecourt.security.xds import Filter, Fresh, KeyOf, broken, bypasses, constrained, holds

#: Values that a database knows, of the user and of the moment; those of declared users' attributes come on top.
KNOWN = ("user.id", "user.email", "user.company", NOW.name, TODAY.name)


def protection(rules: OperationsRules, model: Model, directory: Directory, key_of: KeyOf) -> Protection:
    """What a database has to enforce for a solution's operations side."""
    attributes = {f"user.{name}" for user in directory.declared for name, _ in user.attributes}
    sources = {source.table for entity in model.entities.values() for source in entity.sources}
    rows: list[RowRule] = []
    unexpressed: list[Unexpressed] = []
    for policy in rules.policies:
        if policy.enabled:
            tables = sorted(policy.tables | sources, key=str)
            for rule, missing in _row_rules(rules, policy, tables, {*KNOWN, *attributes}, key_of):
                rows.append(rule)
                if missing:
                    unexpressed.append(Unexpressed(f"policy {policy.name} on {rule.table}", missing, policy.where))
    for table in sorted({rule.table for rule in rows}, key=str):
        rows += _shut(rules, table, key_of)
    entities = tuple(_entity_rule(rules, model, entity, key_of) for entity in model.entities.values())
    return Protection(
        tuple(rows),
        entities,
        directory,
        SYSTEM_ADMINISTRATOR,
        EXTERNAL_USER,
        BYPASS if bypasses(holder(BYPASS)) and not bypasses(holder(BYPASS, EXTERNAL_USER)) else "",
        tuple(dict.fromkeys(unexpressed)),
    )


def login(rules: OperationsRules, model: Model, user: OperationsUser, role: str, key_of: KeyOf) -> Login:
    """The columns of entities that a user may name, for the database role under which it signs in."""
    columns = []
    for entity in model.entities.values():
        lowering = _lowering(rules, model, user, key_of)
        grant = lowering.grant(entity, Operation.READ)
        if grant.allowed:
            shown = lowering.readable(entity, grant)
            columns.append((entity.name, tuple(name for name in entity.fields if name in shown)))
    return Login(role, user.id, tuple(columns))


def holder(*roles: str) -> OperationsUser:
    """Somebody who holds these roles, in every legal entity, and nothing else."""
    return OperationsUser("", "", "", "", frozenset(roles), external=EXTERNAL_USER in roles)


def _lowering(rules: OperationsRules, model: Model, user: OperationsUser, key_of: KeyOf) -> Lowering:
    return Lowering(Rules(operations=rules), model, Scope(Principal(operations_user=user), Door.OPERATIONS), key_of)


def _row_rules(
    rules: OperationsRules, policy: Policy, tables: Sequence[TableName], known: set[str], key_of: KeyOf
) -> Iterator[tuple[RowRule, str]]:
    """The rules of one policy, each with what cannot be expressed about it."""
    alone = dataclasses.replace(rules, policies=(policy,))
    missing = "its context is set by a program" if policy.context[0] == "ContextString" else ""
    roles = _holders(rules, policy)
    everybody = broken(rules, policy) or bool(missing)
    if not everybody and not roles:
        return
    asking = holder(*sorted(roles)[:1])
    for table in tables:
        alike: dict[Predicate, list[str]] = {}
        for operation in Operation:
            if operation in policy.operations:
                filters = Filter(alone, asking, {}, key_of, _fresh(table))
                alike.setdefault(filters.on(table, table.name, operation), []).append(operation.value)
        for condition, operations in alike.items():
            if condition == TRUE and table not in policy.tables:
                continue
            why = missing or _missing(condition, known)
            constrained = None if everybody else roles
            asked = CLOSED if why else condition
            yield RowRule(policy.name, table, tuple(operations), constrained, asked, policy.where), why


def _holders(rules: OperationsRules, policy: Policy) -> frozenset[str]:
    """The roles for which a policy is active."""
    others = (name for name in rules.roles if name != SYSTEM_ADMINISTRATOR)
    return frozenset(name for name in others if holds(rules, holder(name), policy))


def _shut(rules: OperationsRules, table: TableName, key_of: KeyOf) -> Iterator[RowRule]:
    """What shuts a table to somebody outside for whom no policy on it is active."""
    alike: dict[frozenset[str], list[str]] = {}
    for operation in Operation:
        filters = Filter(rules, holder(EXTERNAL_USER), {}, key_of, _fresh(table))
        if filters.on(table, table.name, operation) == FALSE:
            policies = [p for p in rules.policies if p.enabled and operation in p.operations and table in p.tables]
            opening = frozenset[str]().union(*(_holders(rules, policy) for policy in policies))
            alike.setdefault(opening, []).append(operation.value)
    for opening, operations in alike.items():
        yield RowRule("outside", table, tuple(operations), frozenset({EXTERNAL_USER}), FALSE, unless=opening)


def _fresh(table: TableName) -> Fresh:
    """Makes aliases, none of which is the table's own name."""
    number, first = itertools.count(1), "m" if table.name.startswith("n") else "n"
    return lambda name: f"{first}{next(number)}_{name}"


def _missing(condition: Predicate, known: set[str]) -> str:
    """What a database does not know of a condition; '' where it can decide."""
    for item in _leaves(condition):
        if isinstance(item, InParam | After | ChangedSince | Any | AnyRow):
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
    held = {
        name: tuple(grant for grant in role.by_entity.get(entity.name, ()) if Mode.DATA_SERVICES in grant.modes)
        for name, role in rules.roles.items()
        if name != SYSTEM_ADMINISTRATOR
    }
    granting = {name: found for name, grants in held.items() if (found := tuple(filter(_reads, grants)))}
    denying = frozenset(name for name, grants in held.items() if any(grant.denies(Operation.READ) for grant in grants))
    opened = {name: union(grant.read_fields for grant in grants) for name, grants in granting.items()}
    always = _lowering(rules, model, holder(), key_of).readable(entity, Granted(True, fields=frozenset()))
    fields = {}
    for each in entity.fields:
        showing = frozenset(name for name, names in opened.items() if names is None or each in names)
        hiding = frozenset(name for name, grants in held.items() if any(each in grant.denied_read for grant in grants))
        if each not in always and (hiding or showing != frozenset(granting)):
            fields[each] = FieldRule(showing, hiding)
    needed = None
    if rules.external_users != "open":
        needed = frozenset(name for name in rules.roles if constrained(rules, holder(name), entity, Operation.READ))
    return EntityRule(entity, Opening(frozenset(granting), denying, needed), fields)


def _reads(grant: Grant) -> bool:
    return Operation.READ in grant.operations


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
