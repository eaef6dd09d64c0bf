"""From the fields of a write to the columns of tables: which tables receive what, in which order.

The root always takes part; a joined table only where the solution lets the entity write it (``DataSource.writable``).
How a joined table hangs on the one above it decides the order of a create:

- its link column is filled by the database (an identity): the joined row comes first, and the one above refers to it
  (a customer and its party);
- otherwise the row above comes first, and the joined row repeats its values (an extension table).

A link that the write sets itself refers to a row that exists: nothing is inserted there. A delete removes extension
rows, then the root's; a row that others may share (the party) stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import DataSource, Entity
from forecourt.kernel.plan import TableChange, WriteOperation, WritePlan
from forecourt.kernel.predicate import Slot
from forecourt.security.columns import open_columns
from forecourt.security.grants import Granted
from forecourt.security.lowering import Lowering
from forecourt.security.rules import Operation
from forecourt.security.xds import KeyOf

OPERATIONS = {"create": Operation.CREATE, "update": Operation.UPDATE, "delete": Operation.DELETE}

#: Alias -> column -> value.
Assignments = Mapping[str, Mapping[str, Slot | None]]


def no_columns(table: object) -> tuple[str, ...]:
    """For a store that fills no column by itself."""
    return ()


@dataclass(frozen=True)
class Writing:
    """``key_of``: primary key columns of a table; ``generated_of``: columns that the database fills on insert."""

    key_of: KeyOf
    generated_of: KeyOf
    _identities: dict[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict, compare=False)

    def identities(self, entity: Entity) -> Mapping[str, tuple[str, ...]]:
        """Alias -> columns that identify the row, for the root and every table that may be written."""
        known = self._identities.get(entity.name)
        if known is not None:
            return known
        found = {}
        for source in entity.sources:
            if source is entity.root:
                own = tuple(entity.fields[name].column for name in entity.key)
                found[source.alias] = self.key_of(source.table) or own
            elif source.writable:
                found[source.alias] = self.key_of(source.table) or tuple(own for _, own in source.on)
        return self._identities.setdefault(entity.name, found)

    def assignments(self, lowering: Lowering, entity: Entity, plan: WritePlan, grant: Granted) -> Assignments:
        """The columns that the plan sets. Raises Refusal FC1003 (not writable), FC3004 (not open to the asker)."""
        found: dict[str, dict[str, Slot | None]] = {}
        settable = self.settable(lowering, entity, grant, OPERATIONS[plan.operation])
        for name, value in plan.changes:
            self._permit(entity, name, settable, plan.operation)
            source, column = self._place(entity, name)
            found.setdefault(source, {})[column] = value
        for name, value in plan.computed:
            source, column = self._place(entity, name)
            found.setdefault(source, {})[column] = value
        return found

    def settable(self, lowering: Lowering, entity: Entity, grant: Granted, operation: Operation) -> frozenset[str]:
        """The fields that grants, the door and column permissions let the asker set."""
        granted = frozenset(name for name, field in entity.fields.items() if grant.opens(field.base or name))
        opened = open_columns(lowering.rules.portal, lowering.scope, entity, operation)
        return granted if opened is None or entity.pairs else granted & opened

    @staticmethod
    def _permit(entity: Entity, name: str, settable: frozenset[str], operation: WriteOperation) -> None:
        wanted = entity.fields[name]
        allowed = wanted.creatable if operation == "create" else wanted.editable and name not in entity.key
        if entity.read_only or not allowed:
            raise _fixed(entity, name)
        if name not in settable:
            raise Refusal("FC3004", f"Column {name} of {entity.collection} may not be changed by you.", source=name)

    def _place(self, entity: Entity, name: str) -> tuple[str, str]:
        wanted = entity.fields[name]
        if wanted.source != entity.root.alias and wanted.source not in self.identities(entity):
            raise _fixed(entity, name)
        return wanted.source, wanted.column

    def tables(self, entity: Entity, operation: WriteOperation, assignments: Assignments) -> tuple[TableChange, ...]:
        """What each table receives, in order."""
        identities = self.identities(entity)
        if operation == "update":
            return tuple(
                TableChange(source.alias, source.table, "update", identities[source.alias], tuple(found.items()))
                for source in entity.sources
                if (found := assignments.get(source.alias))
            )
        if operation == "delete":
            return tuple(
                TableChange(source.alias, source.table, "delete", identities[source.alias])
                for source in reversed(entity.sources)
                if source is entity.root or (source.writable and not self._comes_first(source))
            )
        return self._inserts(entity, assignments)

    def _comes_first(self, source: DataSource) -> bool:
        """Whether the row above refers to this one by a value that only the database knows."""
        generated = self.generated_of(source.table)
        return any(own in generated for _, own in source.on)

    def _inserts(self, entity: Entity, assignments: Assignments) -> tuple[TableChange, ...]:
        identities = self.identities(entity)
        values = {alias: dict(found) for alias, found in assignments.items()}
        carried: dict[str, list[tuple[str, tuple[str, str]]]] = {}
        first: list[DataSource] = []
        last: list[DataSource] = []
        for source in entity.sources[1:]:
            if not source.writable or (source.join == "left" and not values.get(source.alias)):
                continue
            if self._comes_first(source):
                if any(theirs in values.get(above, {}) for (above, theirs), _ in source.on):
                    if values.get(source.alias):
                        name = next(f.name for f in entity.fields.values() if f.source == source.alias)
                        raise Refusal(
                            "FC1003",
                            f"'{name}' cannot be set for a row that exists already.",
                            hint="Leave the reference out, or change that row by itself.",
                            source=name,
                        )
                    continue
                first.insert(0, source)
                for (above, theirs), own in source.on:
                    carried.setdefault(above, []).append((theirs, (source.alias, own)))
            else:
                last.append(source)
                for (above, theirs), own in source.on:
                    carried.setdefault(source.alias, []).append((own, (above, theirs)))
        return tuple(
            TableChange(
                source.alias,
                source.table,
                "create",
                identities[source.alias],
                tuple(values.get(source.alias, {}).items()),
                tuple(carried.get(source.alias, ())),
            )
            for source in (*first, entity.root, *last)
        )


def _fixed(entity: Entity, name: str) -> Refusal:
    return Refusal("FC1003", f"Column {name} of {entity.collection} cannot be changed.", source=name)
