"""Append and Append To of table permissions: what binding rows takes in the portal (pages-and-dataverse A1.4).

A lookup that somebody sets or empties needs Append on the row that holds it, as it is and as it becomes, and Append To
on the row that it names. Both are decided row by row, as every other right is: a permission of Account scope lets its
people append to rows of their own account alone. Lookups that business logic sets are not for the asker's rights to
judge. Virtual tables have no lookups of their own: their references are the ERP's columns.
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
from forecourt.security.rules import Operation, Right

if TYPE_CHECKING:
    from forecourt.security.lowering import Lowering

#: The portal's codes where no permission gives the right at all.
MISSING = {Right.APPEND: "90040105", Right.APPEND_TO: "90040106"}


def ties(lowering: Lowering, entity: Entity, plan: WritePlan) -> Ties:
    """What a write of lookups needs beside its own right, at the portal's doors. Raises Refusal FC3001."""
    if not lowering.scope.portal_door or entity.virtual_of is not None or plan.operation == "delete":
        return NO_TIES
    lookups = {name: value for name, value in plan.changes if entity.fields[name].targets}
    if not lookups:
        return NO_TIES
    holder = _reach(lowering, entity, "", Right.APPEND, entity)
    named = [_named(lowering, entity, name) for name, value in sorted(lookups.items()) if value is not None]
    return Ties(TRUE if plan.operation == "create" else holder, all_of(holder, *named))


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
        link = Compare("eq", lowering.column(target, inner, target.key[0]), lowering.column(entity, "", name))
        where = all_of(link, reach)
        found.append(
            Exists(
                Select(
                    sources=lowering.sources(target, inner, Operation.READ, aliases_of(where)),
                    where=where,
                    nullable=lowering.nullable(target, inner) | lowering.nullable(entity, ""),
                )
            )
        )
    if not found and refused is not None:
        raise refused
    return any_of(IsNull(lowering.column(entity, "", name)), *found)


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
