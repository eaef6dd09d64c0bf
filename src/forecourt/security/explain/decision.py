"""The decision of a door about rows, as requests have it: what explain must never disagree with.

Reads, writes and calls are taken from ``enforce`` and from what it stands on; nothing is decided anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import WriteOperation
from forecourt.kernel.predicate import FALSE, Predicate, Slot, all_of
from forecourt.kernel.principal import Door
from forecourt.odata.slots import slot_kind
from forecourt.security import ownership
from forecourt.security.admission import admitted, written
from forecourt.security.enforce import Enforcer
from forecourt.security.explain.subject import Doing, Question
from forecourt.security.grants import may_call
from forecourt.security.lowering import Lowering
from forecourt.security.rules import Operation, Privilege, Right
from forecourt.security.scope import Scope

WRITES: Mapping[Doing, WriteOperation] = {"create": "create", "update": "update", "delete": "delete"}
TIES = {"append": (Right.APPEND, Privilege.APPEND), "append_to": (Right.APPEND_TO, Privilege.APPEND_TO)}


def final(enforcer: Enforcer, scope: Scope, entity: Entity, question: Question) -> Predicate:
    """The rows for which the door says yes, as requests have it; FALSE where it says no to all of them."""
    column = question.column
    doing = question.operation
    if doing == "read":
        found = admitted(enforcer, scope, entity)
        return found if column is None else all_of(found, _shown(enforcer, scope, entity, column))
    if doing == "call":
        return _callable(enforcer, scope, entity, question)
    if doing in TIES:
        return _tied(enforcer, scope, entity, doing)
    reach = written(enforcer, scope, entity, WRITES[doing], changes_of(entity, column))
    return FALSE if reach is None else all_of(*reach)


def changes_of(entity: Entity, column: str | None) -> tuple[tuple[str, Slot | None], ...]:
    """The changes of a plan that sets a column, to a value that does not matter here."""
    return () if column is None else ((column, Slot(0, slot_kind(entity.fields[column]))),)


def _shown(enforcer: Enforcer, scope: Scope, entity: Entity, column: str) -> Predicate:
    """The rows in which the person sees the column's value: all, none, or those whose joined table is not hidden."""
    lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
    try:
        grant = lowering.require(entity, Operation.READ)
    except Refusal:
        return FALSE
    if column not in lowering.readable(entity, grant):
        return FALSE
    return joined(lowering, entity, column)


def joined(lowering: Lowering, entity: Entity, column: str) -> Predicate:
    """What policies put on the outer-joined tables that a column's value comes through (reference 4.3)."""
    by_alias = {source.alias: source for source in entity.sources}
    found: list[Predicate] = []
    pending = [entity.fields[column].source]
    while pending:
        source = by_alias[pending.pop()]
        pending.extend(above for (above, _), _ in source.on)
        if source.join == "left":
            found.append(lowering.policies(entity, source.alias, source.alias, Operation.READ))
    return all_of(*found)


def _tied(enforcer: Enforcer, scope: Scope, entity: Entity, doing: str) -> Predicate:
    lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
    right, privilege = TIES[doing]
    if entity.virtual_of is not None:
        return FALSE  # a virtual table has no lookups of its own
    if scope.portal_door:
        if scope.door is Door.PORTAL_API and entity.name not in enforcer.rules.portal.columns:
            return FALSE
        return lowering.permitted(entity, "", right)
    return ownership.rows(lowering, entity, "", privilege) if scope.door is Door.DATAVERSE else FALSE


def _callable(enforcer: Enforcer, scope: Scope, entity: Entity, question: Question) -> Predicate:
    """An action is called on a row that the caller reads, in a legal entity in which it may call it."""
    user = scope.principal.operations_user
    name = entity.virtual_of or entity.name
    if user is None or scope.portal_door:
        return FALSE
    grant = may_call(enforcer.rules.operations, user, name, question.action or "")
    if not grant.allowed:
        return FALSE
    lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
    return all_of(admitted(enforcer, scope, entity), lowering.companies(entity, "", grant))
