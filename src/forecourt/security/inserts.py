"""Rows that are created, with what they refer to and what is nested in them, in one unit of work.

First what a row refers to, then the row itself, then what refers to it. Every row is written through the gate as the
asker, who needs the right to each. A body that is refused has changed nothing.
Sources: pages-and-dataverse B2.1; operations-and-integration 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from forecourt.kernel.change import Write, Written
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Relation
from forecourt.odata.rows import RowBody
from forecourt.security.admission import reads_all
from forecourt.security.gate import Gate
from forecourt.security.pairs import Pairs
from forecourt.security.references import Batch, Found, Key, References, shown
from forecourt.security.scope import Scope
from forecourt.store.work import Work


class Inserts:
    """Creates rows of a gate's model."""

    def __init__(self, gate: Gate, references: References) -> None:
        self._gate = gate
        self._references = references
        self._pairs = Pairs(gate)

    async def create(self, work: Work, scope: Scope, batch: Batch, entity: Entity, row: RowBody) -> Written:
        """Creates a row and everything nested in it."""
        values = dict(row.values)
        values.update(await self.links(work, scope, batch, row))
        for relation, rows in row.nested:
            if not relation.many:
                above = await self.create(work, scope, batch, self._target(relation), rows[0])
                values.update({own: (above.after or {})[theirs] for own, theirs in relation.on})
        written = await self.write(work, scope, entity, "create", (), tuple(values.items()))
        after = written.after or {}
        for relation, rows in row.nested:
            for child in rows if relation.many else ():
                await self._beneath(work, scope, batch, entity, relation, child, after)
        await self.adopt(work, scope, batch, entity, row, after)
        return written

    async def write(
        self,
        work: Work,
        scope: Scope,
        entity: Entity,
        operation: Literal["create", "update", "upsert"],
        key: Key,
        values: tuple[tuple[str, object], ...],
        version: str | None = None,
    ) -> Written:
        """Writes one row. A taken key is named in the refusal to who reads every row: the key may be a hidden one's."""
        try:
            return await self._gate.write(work, scope, Write(entity.name, operation, key, values, version))
        except Refusal as refusal:
            if refusal.code == "FC4092" and reads_all(self._gate.enforcer, entity, scope):
                raise _taken(refusal, entity, {*dict(values), *dict(key)}) from refusal
            raise

    async def links(self, work: Work, scope: Scope, batch: Batch, row: RowBody) -> list[tuple[str, object]]:
        """The columns behind the single rows that a row is bound to. Refusal FC1003 for one column with two values: a
        polymorphic lookup names one row."""
        values: dict[str, object] = {}
        given = dict(row.values)
        for relation, references in row.binds:
            if relation.many:
                continue
            for name, value in await self._references.link(work, scope, batch, relation, references[0]):
                other = values.get(name, given.get(name))
                if other is not None and value is None:
                    continue  # another table's row: the lookup is not empty
                if other is not None and other != value:
                    raise Refusal("FC1003", f"'{relation.name}' and another property set the same lookup.", source=name)
                values[name] = value
        return list(values.items())

    async def adopt(self, work: Work, scope: Scope, batch: Batch, entity: Entity, row: RowBody, above: Found) -> None:
        """Binds existing rows to a new row above them."""
        for relation, references in row.binds:
            for reference in references if relation.many else ():
                target, child = await self._references.refer(work, scope, batch, relation, reference)
                await self.attach(work, scope, entity, relation, above, target, child)

    async def attach(
        self, work: Work, scope: Scope, entity: Entity, relation: Relation, above: Found, target: Entity, child: Found
    ) -> None:
        """Adds a row to a collection of another."""
        if relation.through is not None:
            await self._pairs.add(work, scope, relation, above, child)
            return
        links = tuple((theirs, shown(above, own)) for own, theirs in relation.on)
        await self._gate.write(work, scope, Write(target.name, "update", key_of(target, child), links))

    async def detach(
        self, work: Work, scope: Scope, entity: Entity, relation: Relation, above: Found, target: Entity, child: Found
    ) -> None:
        """Takes a row out of a collection of another. Refusal FC4041 where it is not in it."""
        if relation.through is not None:
            await self._pairs.remove(work, scope, relation, above, child)
            return
        if any(child.get(theirs) != above.get(own) for own, theirs in relation.on):
            raise Refusal("FC4041", f"The row is not among '{relation.name}' of the other.", source=relation.name)
        links = tuple((theirs, None) for _, theirs in relation.on)
        await self._gate.write(work, scope, Write(target.name, "update", key_of(target, child), links))

    # -- parts ---------------------------------------------------------------------------------------------------

    async def _beneath(
        self,
        work: Work,
        scope: Scope,
        batch: Batch,
        entity: Entity,
        relation: Relation,
        child: RowBody,
        above: Mapping[str, object],
    ) -> None:
        """Creates a nested row. A column of its own that says what it is nested in must say the same."""
        target = self._target(relation)
        if relation.through is not None:
            written = await self.create(work, scope, batch, target, child)
            await self._pairs.add(work, scope, relation, above, written.after or {})
            return
        links = tuple((theirs, above[own]) for own, theirs in relation.on)
        given = dict(child.values)
        for name, value in links:
            if name in given and given[name] != value:
                raise Refusal("FC1003", f"'{name}' differs from the row that this one is nested in.", source=name)
        own_values = tuple(pair for pair in child.values if pair[0] not in dict(links))
        await self.create(work, scope, batch, target, replace(child, values=(*own_values, *links)))

    def _target(self, relation: Relation) -> Entity:
        return self._gate.model.entities[relation.target]


def key_of(entity: Entity, row: Found) -> Key:
    """The key of a row that was read."""
    return tuple((name, shown(row, name)) for name in entity.key)


def _taken(refusal: Refusal, entity: Entity, names: set[str]) -> Refusal:
    """The refusal of a row whose key is taken, in Dataverse's words where only an alternate key can be meant."""
    keys = {name: fields for name, fields in entity.alternate_keys.items() if names.intersection(fields)}
    if len(keys) != 1 or names.intersection(entity.key):
        return refusal
    ((name, fields),) = keys.items()
    return Refusal(
        "FC4092",
        f"Entity Key {name} violated. A record with the same value for {', '.join(fields)} already exists.",
        surface="0x80060892",
        source=name,
    )
