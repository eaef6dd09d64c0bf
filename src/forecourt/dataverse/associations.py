"""Rows of collections: added to a row and taken out of it, by their lookup or as pairs of a many-to-many relation.

All of one call is one unit of work. Whoever asks has to see the rows; Append and Append To, and Write where a lookup
changes, are the gate's to decide for the very rows (pages-and-dataverse A1.4, B2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal, not_found
from forecourt.odata import record_id
from forecourt.odata.dialect import DATAVERSE
from forecourt.security.gate import Gate
from forecourt.security.inserts import Inserts
from forecourt.security.references import Found, References
from forecourt.security.scope import Scope
from forecourt.store.work import Work


class Associations:
    """Changes collections of rows, as ``$ref`` does for rows that are named by their addresses."""

    def __init__(self, tables: Tables, gate: Gate) -> None:
        self._tables = tables
        self._gate = gate
        self._references = References(gate, DATAVERSE, "")
        self._inserts = Inserts(gate, self._references)

    async def change(
        self, scope: Scope, table: Table, row_id: UUID, name: str, others: Sequence[UUID], *, add: bool
    ) -> None:
        """Adds ``others`` to the collection ``name`` of a row, or takes them out: all or none. Raises Refusal FC1002,
        FC4041 for a row that is not seen or not in it, FC3001, FC4091 for a pair that there is."""
        relation = table.entity.relations.get(name)
        target = self._tables.by_name.get(relation.target) if relation is not None else None
        if relation is None or target is None or not relation.many:
            raise Refusal("FC1002", f"{table.name} has no collection '{name}'.", source=name)
        one = self._inserts.attach if add else self._inserts.detach

        async def change(work: Work) -> None:
            above = await self._seen(work, scope, table, row_id)
            for other in others:
                row = await self._seen(work, scope, target, other)
                await one(work, scope, table.entity, relation, above, target.entity, row)

        await self._gate.coordinator.run(change, f"write {table.name} {name}")

    async def add(
        self, work: Work, scope: Scope, table: Table, row_id: UUID, name: str, target: Table, new: Found
    ) -> None:
        """Adds a row that has just been made to the collection ``name`` of another. Raises Refusal FC1002, FC4041,
        FC3001."""
        relation = table.entity.relations.get(name)
        if relation is None or relation.target != target.name or not relation.many:
            raise Refusal("FC1002", f"{table.name} has no collection '{name}' of {target.name}.", source=name)
        above = await self._seen(work, scope, table, row_id)
        await self._inserts.attach(work, scope, table.entity, relation, above, target.entity, new)

    async def _seen(self, work: Work, scope: Scope, table: Table, row_id: UUID) -> Found:
        """A row that the person sees. Raises Refusal FC4041."""
        key = ((table.primary_id, key_value(table, row_id)),)
        found = await self._references.seen(work, scope, table.entity, key)
        if found is None:
            raise not_found(table.label)
        return found


def key_value(table: Table, row_id: UUID) -> object:
    """A row's id as its table holds it."""
    field = table.entity.fields[table.primary_id]
    return row_id if field.record_of is None else record_id.decode(field.record_of, row_id)
