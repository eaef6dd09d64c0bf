"""What another owner of a row means for the rows beneath it (Relation.on_assign).

::

    none         nothing
    cascade      every row gets the new owner
    active       those whose state is the first one
    user_owned   those that belonged to the row's old owner

As with a delete, the whole tree is found first, a set at a time for each relation, whatever its depth; then each row is
written through the gate as the system, so that plug-ins and live maps see it. The asker needs Assign on the row itself:
who drew the relation has decided that they go together. Rows are locked as they are found, in one order.

Leaves out: cascades of sharing, and of a parent that changes (reparent), which pass on rights that sharing would keep.
Source: pages-and-dataverse B4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from forecourt.kernel.change import Draft
from forecourt.kernel.model import Entity, Model, Relation
from forecourt.security.ownership import OWNER, field_of, owned
from forecourt.store.beneath import assignable
from forecourt.store.database import Database

#: Key in the notes of a unit of work: rows, as (table, id), that are being assigned.
_GOING = "dataverse.assigned"

#: The first state of a table, in which its rows are active.
_ACTIVE = 0


@dataclass(frozen=True)
class Assigning:
    """Assignments over the native tables of a model."""

    model: Model
    database: Database

    def concern(self, entity: Entity) -> bool:
        """Whether another owner of such a row is the affair of others."""
        return any(True for _ in self.beneath(entity))

    def beneath(self, entity: Entity) -> Iterator[Relation]:
        """The relations along which owners are passed on."""
        for relation in entity.relations.values():
            if relation.many and relation.on_assign != "none" and owned(self.model.entities[relation.target]):
                yield relation

    async def apply(self, draft: Draft) -> None:
        """Passes the owner of an updated row on. Does nothing where it is the same."""
        owner = field_of(draft.entity, OWNER)
        if owner is None or draft.before is None or draft.after is None:
            return
        old, new = draft.before[owner.name], draft.after[owner.name]
        notes: dict[object, Any] = draft.work.notes
        row = (draft.entity.name, draft.after[draft.entity.key[0]])
        if old == new or row in notes.get(_GOING, ()):
            return
        found = await self._tree(draft, row, old, new)
        outer = notes.get(_GOING, frozenset())
        notes[_GOING] = outer | {row, *found}
        try:
            for table, key in found:
                target = self.model.entities[table]
                own = field_of(target, OWNER)
                assert own is not None
                await draft.rows.update(table, {target.key[0]: key}, {own.name: new})
        finally:
            notes[_GOING] = outer

    async def _tree(self, draft: Draft, top: tuple[str, object], old: object, new: object) -> list[tuple[str, object]]:
        """The rows that get the new owner, as they are found from the row down."""
        unit = await draft.work.unit(self.database)
        found: dict[tuple[str, object], None] = {}
        pending: list[tuple[str, list[object]]] = [(top[0], [top[1]])]
        while pending:
            above, parents = pending.pop(0)
            for relation in self.beneath(self.model.entities[above]):
                target = self.model.entities[relation.target]
                key, lookup = target.fields[target.key[0]].column, target.fields[relation.on[0][1]].column
                state = _ACTIVE if relation.on_assign == "active" and field_of(target, "statecode") else None
                was = old if relation.on_assign == "user_owned" else None
                plan = assignable(target.root.table, key, lookup, parents, new, state, was)
                fresh = [
                    row[0]
                    for row in await unit.system(plan, writes=False)
                    if (target.name, row[0]) not in {*found, top}
                ]
                found |= {(target.name, each): None for each in fresh}
                if fresh:
                    pending.append((target.name, fresh))
        return list(found)
