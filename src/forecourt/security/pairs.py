"""Pairs of rows: a many-to-many relation is a table of pairs, whose rows are written like any other.

A pair that exists already is refused like any taken key; one that does not exist cannot be removed. Who may do so is
decided by the rights to the table of pairs, and to the rows that a pair names (pages-and-dataverse B2.2, B4).
"""

from __future__ import annotations

from collections.abc import Mapping

from forecourt.kernel.change import Write
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Relation
from forecourt.security.gate import Gate
from forecourt.security.references import Found, Key, shown
from forecourt.security.scope import Scope
from forecourt.store.work import Work


class Pairs:
    """Writes the tables of pairs of a gate's model."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def add(self, work: Work, scope: Scope, relation: Relation, row: Found, other: Found) -> None:
        """Makes a pair. Raises Refusal."""
        entity = self._entity(relation)
        await self._gate.write(work, scope, Write(entity.name, "create", values=_pair(entity, relation, row, other)))

    async def remove(self, work: Work, scope: Scope, relation: Relation, row: Found, other: Found) -> None:
        """Removes a pair. Raises Refusal FC4041 where there is none."""
        entity = self._entity(relation)
        await self._gate.write(work, scope, Write(entity.name, "delete", _pair(entity, relation, row, other)))

    def _entity(self, relation: Relation) -> Entity:
        """The table of pairs. Refusal FC1004 where the model does not publish it."""
        through = relation.through
        for entity in self._gate.model.entities.values():
            if through is not None and entity.root.table == through.table:
                return entity
        raise Refusal("FC1004", f"'{relation.name}' cannot be changed here.", source=relation.name)


def _pair(entity: Entity, relation: Relation, row: Found, other: Found) -> Key:
    assert relation.through is not None
    names: Mapping[str, str] = {field.column: field.name for field in entity.fields.values()}
    ends = ((relation.through.own, row), (relation.through.theirs, other))
    return tuple((names[column], shown(values, name)) for pairs, values in ends for name, column in pairs)
