"""Policies as a list that people read: what each constrains, when, and by which query (ModelSecPolRuntimeView).

The query is the condition on each constrained table as it stands when nothing is bound, in words close to SQL.
Source: operations-and-integration 4.6.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from forecourt.kernel.predicate import (
    And,
    Bool,
    Column,
    Compare,
    Const,
    Exists,
    In,
    IsNull,
    Match,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
)
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import Select
from forecourt.security.constructs import NOW, TODAY
from forecourt.security.rules import Operation, OperationsRules, Policy
from forecourt.security.xds.activity import broken
from forecourt.security.xds.filters import Filter

_NAMES = {
    frozenset(Operation): "AllOperations",
    frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE}): "InsertUpdateDelete",
    frozenset({Operation.READ}): "Select",
    frozenset({Operation.CREATE}): "Insert",
    frozenset({Operation.UPDATE}): "Update",
    frozenset({Operation.DELETE}): "Delete",
}
_SIGNS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True)
class Listed:
    """A policy. ``tables``: constrained tables, each with its condition. ``roles``: whose holders it constrains."""

    name: str
    label: str
    primary_table: str
    operation: str
    context: str
    state: str
    roles: tuple[str, ...]
    constructs: tuple[str, ...]
    tables: tuple[tuple[str, str], ...]
    help_text: str
    tags: tuple[str, ...]
    where: str


def listed(rules: OperationsRules) -> list[Listed]:
    """Every policy, in the order of the files."""
    return [_listed(rules, policy) for policy in rules.policies]


def _listed(rules: OperationsRules, policy: Policy) -> Listed:
    kind, value = policy.context
    states = [
        "enabled" if policy.enabled else "not enabled",
        *(["obsolete"] if policy.obsolete else []),
        *(["can never be active: its tables are closed"] if policy.enabled and broken(rules, policy) else []),
    ]
    roles = {
        "RoleName": [value],
        "RoleProperty": [name for name, role in rules.roles.items() if role.context == value],
        "ContextString": [],
    }[kind]
    return Listed(
        policy.name,
        policy.label,
        str(policy.primary),
        _NAMES.get(policy.operations, ", ".join(sorted(policy.operations))),
        f"{kind} {value}",
        ", ".join(states),
        tuple(sorted(roles)),
        tuple(join.construct.name for join in policy.constructs),
        tuple((str(table), readable(_condition(policy, str(table)))) for table in sorted(policy.tables, key=str)),
        policy.help_text,
        policy.tags,
        str(policy.where),
    )


def _condition(policy: Policy, table: str) -> Predicate:
    """What the policy alone puts on a table for whom it constrains."""
    name = next(found for found in policy.tables if str(found) == table)
    number = itertools.count(1)
    nobody = OperationsUser("", "", "", "", frozenset())
    filters = Filter(OperationsRules(), nobody, {}, lambda _: (), lambda alias: f"{alias}_{next(number)}")
    return filters.of(policy, name, name.name)


def readable(item: Predicate) -> str:
    """A predicate in words close to SQL."""
    match item:
        case Bool(value):
            return "TRUE" if value else "FALSE"
        case And(items):
            return " AND ".join(_grouped(child) for child in items)
        case Or(items):
            return " OR ".join(_grouped(child) for child in items)
        case Not(child):
            return f"NOT {_grouped(child)}"
        case Compare(op, left, right):
            return f"{_operand(left)} {_SIGNS[op]} {_operand(right)}"
        case In(operand, values):
            return f"{_operand(operand)} IN ({', '.join(_operand(value) for value in values)})"
        case IsNull(operand):
            return f"{_operand(operand)} IS NULL"
        case Match("startswith", Param() as value, Const("")):
            return f"{_operand(value)} IS KNOWN"
        case Match(op, left, right):
            return f"{_operand(left)} {'LIKE' if op == 'wildcard' else op.upper()} {_operand(right)}"
        case Exists(select):
            return f"EXISTS ({_select(select)})"
        case _:
            return type(item).__name__


def _grouped(item: Predicate) -> str:
    return f"({readable(item)})" if isinstance(item, And | Or) else readable(item)


def _select(select: Select) -> str:
    first, *others = select.sources
    joins = "".join(f" JOIN {source.table} AS {source.alias} ON {readable(source.on)}" for source in others)
    return " ".join(("SELECT 'x' FROM", f"{first.table} AS {first.alias}{joins}", "WHERE", readable(select.where)))


def _operand(operand: Operand) -> str:
    match operand:
        case Column(alias, name):
            return f"{alias}.{name}"
        case Param() if operand in (NOW, TODAY):
            return "$now" if operand == NOW else "$today"
        case Param(name):
            return f"${name}"
        case Const(value):
            return f"'{value}'" if isinstance(value, str) else str(value)
        case _:
            return type(operand).__name__
