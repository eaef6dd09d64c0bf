"""Append and Append To of table permissions: what binding rows takes in the portal (pages-and-dataverse A1.4).

A lookup that somebody sets or empties needs Append on the row that holds it, as it is and as it becomes, and Append To
on the row that it names. Both are decided row by row, as every other right is: a permission of Account scope lets its
people append to rows of their own account alone. Lookups that business logic sets are not for the asker's rights to
judge. Virtual tables have no lookups of their own: their references are the ERP's columns.

A pair of a many-to-many relationship is held by neither of its rows, so making and removing one takes both rights on
both: what the real product has been seen to ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import WritePlan
from forecourt.kernel.predicate import TRUE, Compare, Exists, IsNull, Predicate, all_of, any_of
from forecourt.kernel.relation import Select, aliases_of
from forecourt.security.ownership import NO_TIES, Ties
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation, PortalRules, Right
from forecourt.security.scope import Scope

if TYPE_CHECKING:
    from forecourt.security.lowering import Lowering

#: The portal's codes where no permission gives the right (pages-and-dataverse A2.3).
MISSING = {
    Right.READ: "90040120",
    Right.WRITE: "90040102",
    Right.CREATE: "90040103",
    Right.DELETE: "90040104",
    Right.APPEND: "90040105",
    Right.APPEND_TO: "90040106",
}


def require(rules: PortalRules, scope: Scope, entity: Entity, right: Right) -> None:
    """Raises Refusal FC3001 at the portal's doors where no permission of the asker gives the right to any row."""
    if not scope.portal_door or (entity.pairs and right in (Right.CREATE, Right.DELETE)):
        return  # a pair is made and removed by who may append its two rows
    if not nodes(rules, entity.name, right, scope.principal.web_roles):
        raise Refusal(
            "FC3001",
            f"You have no permission to {right.value} {entity.label or entity.name}.",
            source=entity.name,
            surface=MISSING[right],
        )


def ties(lowering: Lowering, entity: Entity, plan: WritePlan) -> Ties:
    """What a write of lookups needs beside its own right, at the portal's doors. Raises Refusal FC3001."""
    if not lowering.scope.portal_door or entity.virtual_of is not None or plan.operation == "delete" or entity.pairs:
        return NO_TIES
    lookups = {name: value for name, value in plan.changes if entity.fields[name].targets}
    if not lookups:
        return NO_TIES
    holder = _reach(lowering, entity, "", Right.APPEND, entity)
    named = [_named(lowering, entity, name) for name, value in sorted(lookups.items()) if value is not None]
    return Ties(TRUE if plan.operation == "create" else holder, all_of(holder, *named))


def pair(lowering: Lowering, entity: Entity, prefix: str) -> Predicate:
    """The pairs whose two rows the asker may both append, and append to. Raises Refusal FC3001."""
    ends = [(name, lowering.model.entities[entity.fields[name].targets[0]]) for name in entity.pairs]
    conditions = []
    for (name, table), (_, other) in zip(ends, reversed(ends), strict=True):
        inner = lowering.fresh("")
        holds = _reach(lowering, table, inner, Right.APPEND, table)
        held = _reach(lowering, table, inner, Right.APPEND_TO, other)
        conditions.append(_exists(lowering, entity, prefix, name, table, inner, all_of(holds, held)))
    return all_of(*conditions)


def _named(lowering: Lowering, entity: Entity, name: str) -> Predicate:
    """The row that a lookup names is one that the asker may append to; of several possible tables, in one of them."""
    found: list[Predicate] = []
    refused: Refusal | None = None
    for table in entity.fields[name].targets:
        target = lowering.model.entities[table]
        inner = lowering.fresh("")
        try:
            reach = _reach(lowering, target, inner, Right.APPEND_TO, entity)
        except Refusal as refusal:
            refused = refused or refusal
            continue
        found.append(_exists(lowering, entity, "", name, target, inner, reach))
    if not found and refused is not None:
        raise refused
    return any_of(IsNull(lowering.column(entity, "", name)), *found)


def _exists(
    lowering: Lowering, entity: Entity, prefix: str, name: str, target: Entity, inner: str, reach: Predicate
) -> Predicate:
    """The row that a lookup names is within reach."""
    link = Compare("eq", lowering.column(target, inner, target.key[0]), lowering.column(entity, prefix, name))
    where = all_of(link, reach)
    return Exists(
        Select(
            sources=lowering.sources(target, inner, Operation.READ, aliases_of(where)),
            where=where,
            nullable=lowering.nullable(target, inner) | lowering.nullable(entity, prefix),
        )
    )


def _reach(lowering: Lowering, entity: Entity, prefix: str, right: Right, holder: Entity) -> Predicate:
    """The rows that the asker's permissions reach with a right. Refusal FC3001 where none gives it."""
    if not nodes(lowering.rules.portal, entity.name, right, lowering.scope.principal.web_roles):
        one, other = (holder, "other tables") if right is Right.APPEND else (entity, holder.label or holder.name)
        raise Refusal(
            "FC3001",
            f"You have no permission to associate or disassociate {one.label or one.name} with {other}.",
            hint=f"It takes the privilege {'Append' if right is Right.APPEND else 'Append To'} of a table permission.",
            source=entity.name,
            surface=MISSING[right],
        )
    return lowering.permitted(entity, prefix, right)
