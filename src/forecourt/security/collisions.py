"""Keys that are taken, and rows that are referred to: whether the asker may know of them.

A row out of reach must not show in the refusal of another one. To somebody who does not read the row that has the key,
a new row with it is one out of reach, the same as a row that no rule lets them make. So is a row that refers to one
that does not exist: with one that is hidden it would be out of reach as well. What cannot be hidden is that the key
cannot be had: see docs/reference/differences.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import ReadPlan, WriteOperation
from forecourt.kernel.predicate import Compare, Field, Slot, all_of
from forecourt.kernel.principal import SYSTEM_ADMINISTRATOR
from forecourt.odata.slots import slot_kind
from forecourt.security.admission import reads_all
from forecourt.security.appending import MISSING
from forecourt.security.rules import Right
from forecourt.security.scope import Scope

if TYPE_CHECKING:
    from forecourt.security.gate import Gate


def sees_all(gate: Gate, scope: Scope, entity: Entity) -> bool:
    """Whether no row of the entity is hidden from the asker."""
    user = scope.principal.operations_user
    administers = user is not None and SYSTEM_ADMINISTRATOR in user.roles and not scope.portal_door
    return administers or reads_all(gate.enforcer, entity, scope)


async def knows_of(gate: Gate, behind: Gate, scope: Scope, entity: Entity, values: Mapping[str, object]) -> bool:
    """Whether the asker reads a row that has one of the keys in ``values``, or reads all rows that there are.

    ``behind``: the gate of the data entities behind virtual tables.
    """
    if sees_all(gate, scope, entity):
        return True
    for names in _keys(behind, entity):
        slots = [values.get(name) for name in names]
        if None in slots or not names:
            continue
        same = (
            Compare("eq", Field((name,)), Slot(place, slot_kind(entity.fields[name])))
            for place, name in enumerate(names)
        )
        plan = ReadPlan(entity.name, select=names, filter=all_of(*same), cross_company=True, page_size=1)
        try:
            _, result = await gate.read(scope, ("collision", plan), partial(_same, plan), _nothing, slots)
        except Refusal:
            continue  # a column of the key is not open
        if result.rows:
            return True
    return False


def out_of_reach(scope: Scope, operation: WriteOperation) -> Refusal:
    """The refusal of a row as it would be after a write."""
    if operation != "create":
        return Refusal("FC3005", "The change would move the row out of your reach.")
    surface = MISSING[Right.CREATE] if scope.portal_door else ""
    return Refusal("FC3005", "The new row would be out of your reach.", surface=surface)


def _same(plan: ReadPlan) -> ReadPlan:
    return plan


def _nothing(*_: object) -> None:
    return None


def _keys(behind: Gate, entity: Entity) -> Iterator[tuple[str, ...]]:
    """The keys of an entity; of a virtual table, those of the data entity behind it."""
    if entity.virtual_of is None:
        yield from (entity.key, *entity.alternate_keys.values())
        return
    source = behind.model.entities[entity.virtual_of]
    names = {field.base: name for name, field in entity.fields.items() if field.base}
    for key in (source.key, *source.alternate_keys.values()):
        if all(name in names for name in key):
            yield tuple(names[name] for name in key)
