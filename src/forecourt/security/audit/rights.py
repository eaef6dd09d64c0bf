"""Rights in short: which kinds of people may do what to which table at which door, so that two runs can be compared.

The list is part of each report. Against a baseline, a right that it does not have is a finding (FC7015), whatever else
is said of it: with the identity, how many rows, and one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, Predicate
from forecourt.kernel.principal import Door
from forecourt.security.audit.binding import ACTS, reached
from forecourt.security.audit.doors import DONE, Check, comparison, counted
from forecourt.security.audit.findings import Finding, RightHeld
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.gate import Gate
from forecourt.security.rules import Operation, Right

#: The doors, by the name that a report gives them, with the plane whose tables they show.
DOORS = {
    "/data": Door.OPERATIONS,
    "data packages": Door.PACKAGES,
    "the Dataverse Web API": Door.DATAVERSE,
    "the portal": Door.PORTAL,
}


@dataclass(frozen=True)
class Reached:
    """A right of a class, and the rows that it reaches."""

    right: RightHeld
    act: Operation | Right
    entity: Entity
    gate: Gate
    door: Door
    rows: Predicate


def rights(planes: Planes, group: Class) -> Iterator[Reached]:
    """What the people of a class may do at each door."""
    people = people_of(group.first)
    if group.first.sort == "sql":
        return
    for name, door in DOORS.items():
        scope = group.first.scope(door)
        if scope is None:
            continue
        gate = planes.operations if scope.operations_door else planes.dataverse
        for entity in gate.model.entities.values():
            for act in ACTS:
                rows = reached(gate.enforcer, scope, entity, act)
                if rows != FALSE:
                    yield Reached(RightHeld(people, name, entity.name, act.value), act, entity, gate, door, rows)


def people_of(identity: Identity) -> str:
    """The roles that tell a class from others; legal entities left out, for they are data."""
    user, portal = identity.user, identity.portal
    held = sorted(user.roles) if user is not None else []
    web = sorted(portal.web_roles) if portal is not None else []
    return f"{identity.sort}; web roles {', '.join(web) or 'none'}; roles {', '.join(held) or 'none'}"


def new(group: Class, found: Reached) -> Check:
    """The question about a right that a baseline does not have."""
    scope = group.first.scope(found.door)
    assert scope is not None
    return comparison(found.gate, scope, found.entity, found.rows, FALSE, _New(found))


def unknown_right(found: Reached, identity: Identity) -> Finding:
    """A right that is new, with no row to show for it."""
    return _New(found)(identity, 0, "")


@dataclass(frozen=True)
class _New:
    """Somebody has a right that the baseline does not have."""

    found: Reached

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        right = self.found.right
        what = counted(rows, self.found.entity, self.found.act)
        if not rows:
            what = f"rows of {self.found.entity.collection} can be {DONE[self.found.act]}"
        return Finding(
            "FC7015",
            f"{what} at {right.door}, to which the baseline knows no right",
            f"the right is new for {right.people}",
            right.table,
            identity.label,
            rows,
            example,
            str(self.found.entity.where),
            subject=f"{right.operation} at {right.door}",
        )
