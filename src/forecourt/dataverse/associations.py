"""Rows of collections: added to a row and taken out of it, by their lookup or as pairs of a many-to-many relation.

All of one call is one unit of work. Whoever asks has to see the rows; Append and Append To, and Write where a lookup
changes, are the gate's to decide for the very rows (pages-and-dataverse A1.4, B2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.change import Write
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.plan import ReadPlan
from forecourt.kernel.predicate import Slot
from forecourt.odata import record_id
from forecourt.odata.slots import slot_kind
from forecourt.security.gate import Gate
from forecourt.security.pairs import Pairs
from forecourt.security.references import Found
from forecourt.security.scope import Scope
from forecourt.store.work import Work


class Associations:
    """Changes collections of rows."""

    def __init__(self, tables: Tables, gate: Gate) -> None:
        self._tables = tables
        self._gate = gate
        self._pairs = Pairs(gate)

    async def change(
        self, scope: Scope, table: Table, row_id: UUID, name: str, others: Sequence[UUID], *, add: bool
    ) -> None:
        """Adds ``others`` to the collection ``name`` of a row, or takes them out: all or none. Raises Refusal FC1002,
        FC4041 for a row that is not seen or not in it, FC3001, FC4091 for a pair that there is."""
        relation = table.entity.relations.get(name)
        target = self._tables.by_name.get(relation.target) if relation is not None else None
        if relation is None or target is None or not relation.many:
            raise Refusal("FC1002", f"{table.name} has no collection '{name}'.", source=name)

        async def change(work: Work) -> None:
            above = await self._found(work, scope, table, row_id)
            for other in others:
                row = await self._found(work, scope, target, other)
                if relation.through is not None:
                    await (self._pairs.add if add else self._pairs.remove)(work, scope, relation, above, row)
                    continue
                if not add and any(row.get(theirs) != above.get(own) for own, theirs in relation.on):
                    raise not_found(target.label)
                links = tuple((theirs, above[own] if add else None) for own, theirs in relation.on)
                key = ((target.primary_id, key_value(target, other)),)
                await self._gate.write(work, scope, Write(target.name, "update", key, links))

        await self._gate.coordinator.run(change, f"write {table.name} {name}")

    async def _found(self, work: Work, scope: Scope, table: Table, row_id: UUID) -> Found:
        """A row that the person sees. Raises Refusal FC4041."""
        slot = Slot(0, slot_kind(table.entity.fields[table.primary_id]))
        plan = ReadPlan(table.name, key=((table.primary_id, slot),), cross_company=True)
        rows = await self._gate.read_in(work, scope, plan, (key_value(table, row_id),))
        if not rows:
            raise not_found(table.label)
        return rows[0]


def key_value(table: Table, row_id: UUID) -> object:
    """A row's id as its table holds it."""
    field = table.entity.fields[table.primary_id]
    return row_id if field.record_of is None else record_id.decode(field.record_of, row_id)
