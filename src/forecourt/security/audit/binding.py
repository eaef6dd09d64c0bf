"""Binding: which rows a person's lookups may be set in, and which rows they may name, at the portal.

Setting a lookup takes Append on the row that holds it and Append To on the row that it names, beside the right to write
or create the first. A right of the two that leads nowhere, for want of the other or of a lookup, reaches no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, Predicate, all_of, any_of
from forecourt.security.admission import admitted
from forecourt.security.enforce import Enforcer
from forecourt.security.lowering import Lowering
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation, Right
from forecourt.security.scope import Scope

#: What may be done to rows, in the order of reports.
ACTS: tuple[Operation | Right, ...] = (*Operation, Right.APPEND, Right.APPEND_TO)


def reached(enforcer: Enforcer, scope: Scope, entity: Entity, act: Operation | Right) -> Predicate:
    """The rows of an entity to which something may be done, as a predicate over its tables; FALSE where none."""
    if isinstance(act, Operation):
        return admitted(enforcer, scope, entity, "", act)
    if not scope.portal_door or entity.pairs:
        return FALSE
    return enforcer.remembered(("bound", act), scope, entity, partial(_bound, enforcer, scope, entity, act))


def _bound(enforcer: Enforcer, scope: Scope, entity: Entity, act: Right) -> Predicate:
    lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
    if act is Right.APPEND_TO:
        holders = (
            holder for holder in enforcer.model.entities.values() if entity.name in _named(enforcer, scope, holder)
        )
        return lowering.permitted(entity, "", act) if next(holders, None) is not None else FALSE
    if not any(_may(enforcer, scope, target, Right.APPEND_TO) for target in _named(enforcer, scope, entity)):
        return FALSE
    written = (admitted(enforcer, scope, entity, "", item) for item in (Operation.CREATE, Operation.UPDATE))
    return all_of(any_of(*written), lowering.permitted(entity, "", act))


def _named(enforcer: Enforcer, scope: Scope, holder: Entity) -> frozenset[str]:
    """Tables whose rows the lookups of a table may name that the person may set."""
    if holder.virtual_of is not None or holder.pairs or not _may(enforcer, scope, holder, Right.APPEND):
        return frozenset()
    return enforcer.remembered("named", scope, holder, lambda: frozenset(_targets(enforcer, scope, holder)))


def _targets(enforcer: Enforcer, scope: Scope, holder: Entity) -> Iterator[str]:
    for operation in (Operation.CREATE, Operation.UPDATE):
        for name in enforcer.readable(holder, scope, operation):
            yield from holder.fields[name].targets


def _may(enforcer: Enforcer, scope: Scope, table: str | Entity, right: Right) -> bool:
    name = table if isinstance(table, str) else table.name
    return bool(nodes(enforcer.rules.portal, name, right, scope.principal.web_roles))
