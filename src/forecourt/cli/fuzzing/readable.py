"""What an identity may read at a door: rows and columns, worked out from the rules without any request.

This is the measure of everything else: two worlds in which it is the same are the same to that identity.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from forecourt.cli.fuzzing.worlds import Doorway, Person, World
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, Column, Const
from forecourt.kernel.principal import Door
from forecourt.kernel.relation import Output, Select, aliases_of
from forecourt.kernel.types import Kind, is_empty_date
from forecourt.odata import record_id
from forecourt.security.admission import admitted
from forecourt.security.gate import Gate
from forecourt.security.lowering import Lowering
from forecourt.security.ownership import depth
from forecourt.security.permissions import nodes
from forecourt.security.rules import Depth, Operation, Privilege, Right
from forecourt.security.scope import Scope

DOORS: Mapping[Doorway, Door] = {
    "data": Door.OPERATIONS,
    "web": Door.DATAVERSE,
    "api": Door.PORTAL_API,
    "pages": Door.PORTAL,
    "packages": Door.PACKAGES,
}

#: Rows of an entity that are compared; an identity that reads more of one is not asked about it.
MOST = 3_000

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reach:
    """An identity's part of an entity at a door. ``rows`` by the names of its open ``fields``; ``refusal``: why there
    is none; ``whole``: False where there are more rows than are compared; ``deep``: whether the person has the
    privilege to read every row of a native table, now and later."""

    entity: Entity
    fields: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    refusal: Refusal | None = None
    whole: bool = True
    deep: bool = False

    @cached_property
    def _indices(self) -> dict[tuple[str, ...], dict[tuple[object, ...], list[Row]]]:
        return {}

    def having(self, names: tuple[str, ...], values: tuple[object, ...]) -> list[Row]:
        """The rows whose fields ``names`` have these values; null equals nothing."""
        if None in values:
            return []
        if names not in self._indices:
            index = self._indices[names] = {}
            for row in self.rows:
                index.setdefault(tuple(row[name] for name in names), []).append(row)
        return self._indices[names].get(values, [])


@dataclass(frozen=True)
class Reading:
    """All of an identity's parts at a door, by name of the entity. ``roles``: the security roles that it has there."""

    door: Doorway
    reaches: Mapping[str, Reach]
    roles: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Reach]:
        return iter(self.reaches.values())


def gate_of(world: World, door: Doorway) -> Gate:
    operations = door in ("data", "packages")
    return world.forecourt.operations_gate if operations else world.forecourt.dataverse_gate


async def reading(world: World, person: Person, door: Doorway) -> Reading:
    """What a person may read at a door. Raises Refusal where the door does not know the person at all."""
    gate = gate_of(world, door)
    scope = await gate.scope(await world.principal(person, door), DOORS[door], fresh=True)
    reaches = {name: await _reach(gate, scope, entity) for name, entity in gate.model.entities.items()}
    return Reading(door, reaches, scope.principal.security_roles)


async def _reach(gate: Gate, scope: Scope, entity: Entity) -> Reach:
    enforcer = gate.enforcer
    lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
    try:
        grant = lowering.require(entity, Operation.READ)
    except Refusal as refusal:
        return Reach(entity, refusal=refusal)
    if scope.portal_door and not nodes(enforcer.rules.portal, entity.name, Right.READ, scope.principal.web_roles):
        return Reach(entity, refusal=Refusal("FC3001", "No table permission.", source=entity.name))
    names = tuple(sorted(lowering.readable(entity, grant)))
    where = admitted(enforcer, scope, entity)
    if where == FALSE:
        return Reach(entity, names)
    outputs = tuple(Output(name, lowering.column(entity, "", name), entity.fields[name].kind) for name in names)
    outputs += tuple(_tables(entity, names))
    used = aliases_of(where) | {entity.fields[name].source for name in names}
    select = Select(
        lowering.sources(entity, "", Operation.READ, used),
        where,
        outputs,
        limit=Const(MOST + 1),
        nullable=lowering.nullable(entity, ""),
    )
    found = (await gate.look(entity, select, _Values(scope.values))).rows
    rows = [
        {
            output.name: shown(entity, output.name, value) if output.name in entity.fields else value
            for output, value in zip(outputs, row, strict=True)
        }
        for row in found
    ]
    return Reach(entity, names, tuple(rows[:MOST]), whole=len(rows) <= MOST, deep=_deep(gate, scope, entity))


def _tables(entity: Entity, names: tuple[str, ...]) -> Iterator[Output]:
    """Beside a lookup that leads to several tables, which of them it is: answers name it."""
    for name in names:
        field = entity.fields[name]
        if field.target_column:
            yield Output(f"{name}@table", Column(field.source, field.target_column), Kind.STRING)


def _deep(gate: Gate, scope: Scope, entity: Entity) -> bool:
    if entity.virtual_of is not None or scope.door is not Door.DATAVERSE:
        return False
    rules, roles = gate.enforcer.rules.dataverse, scope.principal.security_roles
    return depth(rules, roles, entity, Privilege.READ) is Depth.ORGANIZATION


def shown(entity: Entity, name: str, value: Any) -> Any:
    """A stored value as rules of the door compare it: an id for a record's number, null for an empty date."""
    field = entity.fields[name]
    if value is None:
        return None
    if field.record_of is not None:
        return record_id.encode(field.record_of, value)
    if field.empty_date and is_empty_date(value):
        return None
    if field.kind is Kind.DATETIME and isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    if field.kind is Kind.DATE and isinstance(value, dt.datetime):
        return value.date()
    return value


class _Values(dict[str, object]):
    """A scope's values; what it does not say is null, which matches nothing."""

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__()
        self._values = values

    def __missing__(self, name: str) -> object:
        try:
            return self._values[name]
        except KeyError:
            return None
