"""Rows that a request refers to: by an address in its body or URL, or by the Content-ID of an earlier one.

They are read as the asker, in the unit of work that binds them: nobody binds a row that they cannot see.
Sources: pages-and-dataverse B2.1, B2.2, B2.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.model import Entity, Relation
from forecourt.kernel.plan import ReadPlan
from forecourt.kernel.predicate import Slot
from forecourt.odata.dialect import Dialect
from forecourt.odata.keys import reference_path
from forecourt.odata.path import PathKind
from forecourt.odata.query import row_key
from forecourt.odata.request import Request, analyse
from forecourt.odata.slots import slot_kind
from forecourt.security.gate import Gate
from forecourt.security.scope import Scope
from forecourt.store.work import Work

Key = tuple[tuple[str, object], ...]
Found = Mapping[str, object]


@dataclass
class Batch:
    """What the operations of one unit of work share: addresses of rows by Content-ID."""

    named: dict[str, str] = field(default_factory=dict)


class References:
    """Finds rows by address. ``root``: path of the service root."""

    def __init__(self, gate: Gate, dialect: Dialect, root: str) -> None:
        self._gate = gate
        self._dialect = dialect
        self._root = root

    async def link(
        self, work: Work, scope: Scope, batch: Batch, relation: Relation, reference: object
    ) -> list[tuple[str, object]]:
        """The columns behind a single row: what they are to be set to."""
        if reference is None:
            return [(own, None) for own, _ in relation.on]
        target, found = await self.refer(work, scope, batch, relation, reference)
        if target.name != relation.target:  # another of the tables that the lookup leads to, by its row id
            return [(relation.on[0][0], shown(found, target.key[0]))]
        return [(own, shown(found, theirs)) for own, theirs in relation.on]

    async def refer(
        self, work: Work, scope: Scope, batch: Batch, relation: Relation, reference: object
    ) -> tuple[Entity, Found]:
        """The row that a reference names, as the asker sees it. Raises Refusal FC4041 where there is none."""
        if isinstance(reference, str) and reference.removeprefix("/").startswith("$"):
            name = reference.removeprefix("/").removeprefix("$")
            if name not in batch.named:
                raise Refusal(
                    "FC1001",
                    f"Content-ID Reference: '${name[:20]}' does not exist in the batch context.",
                    source="body",
                )
            reference = batch.named[name]
        entity, key = self.address(reference, relation.name)
        if entity.name not in (relation.target, *relation.others):
            wanted = self._gate.model.entities[relation.target].collection
            raise Refusal("FC1003", f"'{relation.name}' takes a row of {wanted}.", source=relation.name)
        found = await self.seen(work, scope, entity, key)
        if found is None:
            raise not_found(f"{entity.public_name} with this key")
        return entity, found

    def address(self, reference: object, source: str) -> tuple[Entity, Key]:
        """The row that an address in a body names; it is not looked for. Raises Refusal."""
        request = analyse(reference_path(reference, self._root, source), "", self._dialect)
        if request.path.kind is not PathKind.ROW:
            raise Refusal("FC1006", f"'{source}' is not bound to a row.", hint='Write "/Set(key)".', source="body")
        return self.key(request)

    async def seen(self, work: Work, scope: Scope, entity: Entity, key: Key) -> Found | None:
        """A row by its key, None where the asker sees none."""
        slots = tuple((name, Slot(at, slot_kind(entity.fields[name]))) for at, (name, _) in enumerate(key))
        plan = ReadPlan(entity.name, key=slots, cross_company=True)
        rows = await self._gate.read_in(work, scope, plan, [value for _, value in key])
        return rows[0] if rows else None

    def key(self, request: Request) -> tuple[Entity, Key]:
        """The row that ``Set(key)`` names."""
        entity, key = row_key(request, self._gate.model, self._dialect)
        return entity, key.bind(request.literals)


def shown(row: Found, name: str) -> object:
    """A column that a relation rests on. Refusal FC3004 where the asker may not read it."""
    if name not in row:
        raise Refusal("FC3004", f"Column {name} is not open to you, so no row can be bound by it.", source=name)
    return row[name]


def unnamed(name: str) -> Refusal:
    """A Content-ID that no earlier request of the batch has."""
    return Refusal("FC1001", f"Content-ID Reference: '${name[:20]}' does not exist in the batch context.")
