"""What enforcement admits, as conditions without a request: for audit, prove and explain, which compare and tell.

The same lowering that requests go through, and the same secured write. Nothing is decided here that ``enforce`` does
not decide; nothing is run.
"""

from __future__ import annotations

from functools import partial

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import WriteOperation, WritePlan
from forecourt.kernel.predicate import FALSE, TRUE, And, Compare, Param, Predicate, Slot, all_of
from forecourt.security import appending
from forecourt.security.enforce import Enforcer
from forecourt.security.lowering import RIGHTS, Lowering
from forecourt.security.rules import Operation
from forecourt.security.scope import Scope


def admitted(
    enforcer: Enforcer, scope: Scope, entity: Entity, prefix: str = "", operation: Operation = Operation.READ
) -> Predicate:
    """The rows of an entity that the scope may read (or change), as a predicate over its tables; FALSE where none.

    For audit and explain, which compare doors row by row: the same lowering that requests go through. A row that is
    changed has to be readable at the source as well. Of a create: the rows that may come into being.
    """
    decide = partial(_admitted, enforcer, scope, entity, prefix, operation)
    return enforcer.remembered(("admitted", prefix, operation), scope, entity, decide)


def _admitted(enforcer: Enforcer, scope: Scope, entity: Entity, prefix: str, operation: Operation) -> Predicate:
    lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
    try:
        appending.require(enforcer.rules.portal, scope, entity, RIGHTS[operation])
        grant = lowering.require(entity, operation)
        found = lowering.rows(entity, prefix, operation, grant)
        if operation is Operation.READ:
            return found
        reading = lowering.require(entity, Operation.READ)
        return all_of(found, lowering.rows(entity, prefix, Operation.READ, reading, permissions=False))
    except Refusal:
        return FALSE


def reads_all(enforcer: Enforcer, entity: Entity, scope: Scope) -> bool:
    """Whether the person reads every row of a table, whatever rows it has."""
    return admitted(enforcer, scope, entity) == TRUE


def written(
    enforcer: Enforcer,
    scope: Scope,
    entity: Entity,
    operation: WriteOperation,
    changes: tuple[tuple[str, Slot | None], ...] = (),
) -> tuple[Predicate, ...] | None:
    """The conditions that a write puts on the row as it is and on the row as it becomes; None where it is refused.

    For explain, as :func:`admitted`: they are taken from the secured write that a request would run.
    """
    try:
        secured = enforcer.write(WritePlan(entity.name, (), changes, operation=operation), scope)
    except Refusal:
        return None
    return tuple(_rules(select.where) for select in (secured.find, secured.check) if select is not None)


def _rules(where: Predicate) -> Predicate:
    """The conditions without those that find the row by its identity."""
    parts = where.items if isinstance(where, And) else (where,)
    return all_of(
        *(
            part
            for part in parts
            if not (isinstance(part, Compare) and isinstance(part.right, Param) and part.right.name.startswith("@id."))
        )
    )
