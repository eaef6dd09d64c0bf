"""Columns compared: what may be read of an entity at one door has to be what may be read of it at another.

Whoever reads a column may filter, sort, group and expand by it, and a column that is not readable is none of these at
any door: the same set decides them all. So the sets are compared. Of the portal it is what its Web API opens, and what
views and forms show, as far as column permissions go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.principal import Door
from forecourt.security.audit.doors import DIRECT
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.surroundings import Surroundings
from forecourt.security.columns import permitted
from forecourt.security.gate import Gate
from forecourt.security.lowering import Lowering
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation, Right


def columns(planes: Planes, groups: Iterable[Class], around: Surroundings) -> list[Finding]:
    """Columns that a direct door shows and the portal hides, a finding for each set of them."""
    found: dict[tuple[str, str, tuple[str, ...]], list[Identity]] = {}
    for group in groups:
        for entity in planes.operations.model.entities.values():
            doors: dict[tuple[str, ...], list[str]] = {}
            for door, names in _differences(planes, group.first, entity, around):
                doors.setdefault(names, []).append(door)
            for names, where in doors.items():
                found.setdefault((entity.name, ", ".join(where), names), []).extend(group.members)
    return [_finding(planes, *key, people) for key, people in found.items()]


def readable(gate: Gate, identity: Identity, door: Door, entity: Entity) -> frozenset[str] | None:
    """The fields that the identity reads of an entity, by the data entity's names; None where it reads no row."""
    scope = identity.scope(door)
    if scope is None:
        return None
    lowering = Lowering(gate.enforcer.rules, gate.model, scope, gate.enforcer.key_of)
    try:
        grant = lowering.require(entity, Operation.READ)
    except Refusal:
        return None
    names = lowering.readable(entity, grant)
    return frozenset(entity.fields[name].base or name for name in names if entity.fields[name].record_of is None)


def _differences(
    planes: Planes, first: Identity, entity: Entity, around: Surroundings
) -> Iterator[tuple[str, tuple[str, ...]]]:
    virtual = planes.virtual(entity)
    if virtual is None or first.portal is None:
        return
    opened = planes.rules.portal.columns.get(virtual.name)
    shown = around.shown.get(virtual.name, frozenset())
    if (opened is None and not shown) or not nodes(
        planes.rules.portal, virtual.name, Right.READ, first.portal.web_roles
    ):
        return
    left = permitted(planes.rules.portal, virtual, Operation.READ, first.portal.web_roles)
    listed = (opened or frozenset()) | shown
    listed = listed if left is None else listed & left
    portal = frozenset(
        virtual.fields[name].base or name for name in listed | frozenset(virtual.key) if name in virtual.fields
    ) | frozenset(entity.key)
    for name, door in DIRECT.items():
        gate, asked = (planes.dataverse, virtual) if door is Door.DATAVERSE else (planes.operations, entity)
        direct = readable(gate, first, door, asked)
        if direct is not None and (more := direct - portal):
            yield name, tuple(sorted(more))


def _finding(planes: Planes, entity: str, door: str, names: tuple[str, ...], people: list[Identity]) -> Finding:
    known = planes.operations.model.entities[entity]
    virtual = planes.virtual(known)
    listed = ", ".join(names)
    return Finding(
        "FC7008",
        f"{len(names)} columns of {known.collection} can be read at {door}, and no page or Web API setting of the "
        f"portal shows them: {listed}",
        "list the columns that people outside may read under 'fields:' of the privilege, or open these in "
        f"Webapi/{virtual.name if virtual else entity}/fields",
        entity,
        people[0].label,
        where=str(known.where),
        subject=f"{door}: {listed}",
        others=len(people) - 1,
    )
