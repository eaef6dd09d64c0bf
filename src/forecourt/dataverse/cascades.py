"""What a delete does to the rows beneath: refused, deleted with it, or let go (Relation.on_delete).

The whole tree is found first, a set at a time for each relation, whatever its depth. Then: a row that must not lose
what it refers to (``restrict``) and does not go itself refuses the delete, before anything is changed; rows are let go
(``clear``); rows are deleted from the lowest up. Every row is written through the gate as the system, so plug-ins and
live maps see it, in the unit of work of the delete. The asker needs no right to the rows beneath: who drew the relation
has decided that they go together. A user or a team that owns rows cannot be deleted.

Where no plug-in watches, rows are let go by the database's foreign keys, as pairs of many-to-many relations always are.

Leaves out: other owners (``assigning``), sharing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from forecourt.dataverse.plugins import Plugins
from forecourt.kernel.change import Draft
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model, Relation
from forecourt.security.ownership import OWNER
from forecourt.store.beneath import children, holder
from forecourt.store.database import Database

#: Key in the notes of a unit of work: rows, as (table, id), whose delete is taken care of.
_GOING = "dataverse.going"


@dataclass
class _Tree:
    """``going``: table -> ids, from the deleted row down; ``order``: (table, ids) as they were found."""

    going: dict[str, set[object]] = field(default_factory=dict)
    order: list[tuple[str, list[object]]] = field(default_factory=list)

    def add(self, table: str, ids: Sequence[object]) -> list[object]:
        known = self.going.setdefault(table, set())
        fresh = [row for row in dict.fromkeys(ids) if row not in known]
        known.update(fresh)
        if fresh:
            self.order.append((table, fresh))
        return fresh


@dataclass(frozen=True)
class Cascades:
    """Deletes over the native tables of a model."""

    model: Model
    database: Database
    plugins: Plugins = field(default_factory=Plugins)

    def concern(self, entity: Entity) -> bool:
        """Whether a delete from this table is more than the database's own affair."""
        return any(True for _ in self.beneath(entity))

    def beneath(self, entity: Entity) -> Iterator[Relation]:
        """The relations along which a delete has consequences."""
        for relation in entity.relations.values():
            if not relation.many or relation.through is not None:
                continue
            if relation.on_delete == "clear" and not self.plugins.any(relation.target, "update"):
                continue
            if relation.on_delete != "none" or self._owns(relation):
                yield relation

    def _owns(self, relation: Relation) -> bool:
        """Whether it leads to the rows that a user or a team owns."""
        target = self.model.entities[relation.target]
        return target.fields[relation.on[0][1]].column == OWNER

    async def apply(self, draft: Draft) -> None:
        """Does to the rows beneath what their relations say. Raises Refusal FC4051."""
        entity = draft.entity
        assert draft.before is not None
        notes: dict[object, Any] = draft.work.notes
        row = draft.before[entity.key[0]]
        if (entity.name, row) in notes.get(_GOING, ()):
            return
        tree = _Tree()
        await self._grow(draft, tree, entity.name, tree.add(entity.name, [row]))
        await self._check(draft, tree)
        outer = notes.get(_GOING, frozenset())
        notes[_GOING] = outer | {(table, each) for table, ids in tree.order for each in ids}
        try:
            await self._let_go(draft, tree)
            for table, ids in reversed(tree.order[1:]):
                key = self.model.entities[table].key[0]
                for each in ids:
                    await draft.rows.delete(table, {key: each})
        finally:
            notes[_GOING] = outer

    async def _grow(self, draft: Draft, tree: _Tree, table: str, ids: Sequence[object]) -> None:
        """Adds the rows that go with ``ids``, and those that go with them."""
        pending = [(table, list(ids))]
        while pending:
            above, parents = pending.pop(0)
            for relation in self.beneath(self.model.entities[above]):
                if relation.on_delete == "cascade":
                    fresh = tree.add(relation.target, await self._children(draft, relation, parents))
                    if fresh:
                        pending.append((relation.target, fresh))

    async def _check(self, draft: Draft, tree: _Tree) -> None:
        for table, ids in tree.order:
            for relation in self.beneath(self.model.entities[table]):
                if relation.on_delete != "restrict" and not self._owns(relation):
                    continue
                target = self.model.entities[relation.target]
                key, lookup = _columns(target, relation)
                going = list(tree.going.get(relation.target, ()))
                unit = await draft.work.unit(self.database)
                if await unit.system(holder(target.root.table, key, lookup, ids, going), writes=False):
                    raise Refusal(
                        "FC4051",
                        "The object you tried to delete is associated with another object and cannot be deleted.",
                        hint=f"Delete the rows of {target.label or target.name} that refer to it first.",
                        source=target.name,
                    )

    async def _let_go(self, draft: Draft, tree: _Tree) -> None:
        for table, ids in tree.order:
            for relation in self.beneath(self.model.entities[table]):
                if relation.on_delete == "clear":
                    going = tree.going.get(relation.target, ())
                    target = self.model.entities[relation.target]
                    for row in await self._children(draft, relation, ids):
                        if row not in going:
                            await draft.rows.update(target.name, {target.key[0]: row}, {relation.on[0][1]: None})

    async def _children(self, draft: Draft, relation: Relation, parents: Sequence[object]) -> list[object]:
        """Ids of the rows of a one-to-many relation, locked, in an order that every delete takes."""
        target = self.model.entities[relation.target]
        key, lookup = _columns(target, relation)
        unit = await draft.work.unit(self.database)
        rows = await unit.system(children(target.root.table, key, lookup, list(parents)), writes=False)
        return [row[0] for row in rows]


def _columns(target: Entity, relation: Relation) -> tuple[str, str]:
    """The key and the lookup of the rows of a one-to-many relation."""
    return target.fields[target.key[0]].column, target.fields[relation.on[0][1]].column
