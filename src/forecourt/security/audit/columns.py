"""Columns compared: what may be read or set of an entity at one door has to be what may be at another.

Whoever reads a column may filter, sort, group and expand by it, and a column that is not readable is none of these at
any door: the same set decides them all. So the sets are compared. Of the portal it is what its Web API opens, and what
views and forms show, as far as column permissions go; to set, what forms take and scripts of the site name, or, where
there are none, what its Web API opens.

The portal asks the source for each column of a virtual table, so that it never shows or takes more than the source
does. A copy has no source to ask (:mod:`~forecourt.security.audit.copies`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField
from forecourt.kernel.principal import Door
from forecourt.security.audit.doors import DIRECT
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.surroundings import Surroundings
from forecourt.security.columns import permitted
from forecourt.security.gate import Gate
from forecourt.security.lowering import RIGHTS, Lowering
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation
from forecourt.security.scope import Scope

#: What is done to a column, by the operation that does it.
SET = {Operation.READ: "read", Operation.CREATE: "set in new rows", Operation.UPDATE: "changed"}


def columns(planes: Planes, groups: Iterable[Class], around: Surroundings) -> list[Finding]:
    """Columns that a direct door shows, or lets be set, and the portal does not: a finding for each set of them."""
    found: dict[tuple[str, Operation, str, tuple[str, ...]], list[Identity]] = {}
    for group in groups:
        for entity in planes.operations.model.entities.values():
            for operation in SET:
                doors: dict[tuple[str, ...], list[str]] = {}
                for door, names in _differences(planes, group.first, entity, operation, around):
                    doors.setdefault(names, []).append(door)
                for names, where in doors.items():
                    found.setdefault((entity.name, operation, ", ".join(where), names), []).extend(group.members)
    return [_finding(planes, *key, people) for key, people in found.items()]


def opened(
    gate: Gate, identity: Identity, door: Door, entity: Entity, operation: Operation = Operation.READ
) -> frozenset[str] | None:
    """The fields that the identity reads of an entity, or may set, by the data entity's names; None where it may not do
    that with any row."""
    scope = identity.scope(door)
    if scope is None:
        return None
    decide = partial(_opened, gate, scope, entity, operation)
    return gate.enforcer.remembered(("opened", operation), scope, entity, decide)


def _opened(gate: Gate, scope: Scope, entity: Entity, operation: Operation) -> frozenset[str] | None:
    lowering = Lowering(gate.enforcer.rules, gate.model, scope, gate.enforcer.key_of)
    try:
        grant = lowering.require(entity, operation)
    except Refusal:
        return None
    if operation is Operation.READ:
        names = lowering.readable(entity, grant)
        return frozenset(entity.fields[name].base or name for name in names if entity.fields[name].record_of is None)
    names = gate.enforcer.writing.settable(lowering, entity, grant, operation)
    return frozenset(
        entity.fields[name].base or name for name in names if taken(entity, entity.fields[name], operation)
    )


def taken(entity: Entity, field: EntityField, operation: Operation) -> bool:
    """Whether a create or an update may bring a value for a field at all, whoever asks."""
    if entity.read_only or field.record_of is not None:
        return False
    return field.creatable if operation is Operation.CREATE else field.editable and field.name not in entity.key


def offered(
    planes: Planes, first: Identity, table: Entity, operation: Operation, around: Surroundings
) -> frozenset[str] | None:
    """The columns of a table that the portal shows to the identity: those of ``/_api``, of views and forms; or that it
    takes: those of forms and scripts where there are some, for what ``/_api`` opens it opens to be read as well. None
    where the identity has no permission, or nothing of the site has the table."""
    rules = planes.rules.portal
    if first.portal is None or not nodes(rules, table.name, RIGHTS[operation], first.portal.web_roles):
        return None
    reading = operation is Operation.READ
    listed, on_pages = rules.columns.get(table.name), (around.shown if reading else around.taken).get(table.name)
    if listed is None and not on_pages:
        return None
    on_pages, listed = on_pages or frozenset(), listed or frozenset()
    found = on_pages | listed if reading or not on_pages else on_pages
    left = permitted(rules, table, operation, first.portal.web_roles)
    return found if left is None else found & left


def _differences(
    planes: Planes, first: Identity, entity: Entity, operation: Operation, around: Surroundings
) -> Iterator[tuple[str, tuple[str, ...]]]:
    virtual = planes.virtual(entity)
    if virtual is None:
        return
    listed = offered(planes, first, virtual, operation, around)
    if listed is None:
        return
    if operation is Operation.READ:
        listed |= frozenset(virtual.key)
    portal = frozenset(virtual.fields[name].base or name for name in listed if name in virtual.fields)
    if operation is not Operation.UPDATE:  # whoever creates has to name the key, unless it is given out
        reading = operation is Operation.READ
        portal |= frozenset(name for name in entity.key if reading or not entity.fields[name].filled)
    for name, door in DIRECT.items():
        gate, asked = (planes.dataverse, virtual) if door is Door.DATAVERSE else (planes.operations, entity)
        direct = opened(gate, first, door, asked, operation)
        if direct is not None and (more := direct - portal):
            yield name, tuple(sorted(more))


def _finding(
    planes: Planes, entity: str, operation: Operation, door: str, names: tuple[str, ...], people: list[Identity]
) -> Finding:
    known = planes.operations.model.entities[entity]
    virtual = planes.virtual(known)
    listed = ", ".join(names)
    reading = operation is Operation.READ
    portal = "no page or Web API setting of the portal shows them"
    if not reading:
        portal = "no form or script of the portal takes them"
    return Finding(
        "FC7008" if reading else "FC7018",
        f"{len(names)} columns of {known.collection} can be {SET[operation]} at {door}, and {portal}: {listed}",
        f"list the columns that people outside may {'read' if reading else 'set'} under 'fields:' of the privilege, or "
        + (f"open these in Webapi/{virtual.name if virtual else entity}/fields" if reading else "put them on a form"),
        entity,
        people[0].label,
        where=str(known.where),
        subject=f"{door}: {listed}" if reading else f"{operation.value} at {door}: {listed}",
        others=len(people) - 1,
    )
