"""What is asked about: a table by any of its names, a row by any of its keys, an operation, perhaps a column.

A data entity and its virtual table are one subject, for they are the same rows. A native table of Dataverse, a copy
too, is a subject of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote
from uuid import UUID

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import TRUE, Column, Compare, Const, Operand, Predicate, Slot, all_of, map_operands
from forecourt.kernel.principal import Door
from forecourt.kernel.types import Kind, Scalar
from forecourt.odata.dialect import DATAVERSE, OPERATIONS
from forecourt.odata.query import plan
from forecourt.odata.request import analyse
from forecourt.security.gate import Gate

Doing = Literal["read", "create", "update", "delete", "append", "append_to", "call"]
DOINGS: tuple[str, ...] = get_args(Doing)

#: The doors, in the order in which people from outside meet them, and where each is.
DOORS: Mapping[Door, str] = {
    Door.PORTAL: "pages, lists and forms",
    Door.PORTAL_API: "/_api",
    Door.DATAVERSE: "/api/data/v9.2",
    Door.OPERATIONS: "/data",
    Door.PACKAGES: "data packages",
}


@dataclass(frozen=True)
class Question:
    """``column``: a field of the table, or None. ``action``: the name of what is called. ``door`` None: all doors."""

    operation: Doing = "read"
    column: str | None = None
    action: str | None = None
    door: Door | None = None


@dataclass(frozen=True)
class Subject:
    """``entity``: the data entity; ``table``: its virtual table, or the native one. ``key``: a condition on the row's
    columns, TRUE for all rows. ``gate``: the one that looks at the rows."""

    entity: Entity | None
    table: Entity | None
    key: Predicate
    gate: Gate

    @property
    def row(self) -> Entity:
        """The entity whose tables hold the row."""
        found = self.entity or self.table
        assert found is not None
        return found

    @property
    def keyed(self) -> bool:
        return self.key != TRUE

    def at(self, door: Door) -> Entity | None:
        """What the door knows the rows as; None where it does not know them."""
        return self.entity if door in (Door.OPERATIONS, Door.PACKAGES) else self.table

    def column(self, name: str, entity: Entity) -> str:
        """The entity's field for a column that may be named as any door names it. Raises Refusal FC1002."""
        if name in entity.fields:
            return name
        for other in (self.entity, self.table):
            found = other.fields.get(name) if other is not None else None
            if found is not None:
                wanted = found.base or found.name
                for field in entity.fields.values():
                    if (field.base or field.name) == wanted:
                        return field.name
        bare = [field.name for field in entity.fields.values() if field.column == name]
        if len(bare) == 1:
            return bare[0]
        raise Refusal(
            "FC1002", f"{entity.public_name} has no column '{name}'.", hint=suggest(name, list(entity.fields))
        )


class Subjects:
    """Finds subjects by name in the models of the two gates."""

    def __init__(self, operations: Gate, dataverse: Gate) -> None:
        self._operations = operations
        self._dataverse = dataverse

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a table may be asked by in its everyday form, sorted."""
        natives = [e.name for e in self._dataverse.model.entities.values() if e.virtual_of is None]
        return tuple(sorted([*self._operations.model.by_collection, *natives], key=str.casefold))

    def find(self, table: str, key: str | None) -> Subject:
        """The subject of a table's, entity's or set's name, and the key in OData form, as plain values or as a GUID.

        Raises Refusal FC1002, FC1001, FC1003.
        """
        entities, tables = self._operations.model, self._dataverse.model
        native = tables.entities.get(table) or tables.by_collection.get(table)
        if native is not None and native.virtual_of is None:
            subject = Subject(None, native, TRUE, self._dataverse)
        else:
            entity = entities.entities.get(table) or entities.by_collection.get(table)
            entity = entity or entities.by_public_name.get(table)
            if native is not None:
                entity = entities.entities[str(native.virtual_of)]
            if entity is None:
                names = [*entities.by_collection, *tables.entities]
                raise Refusal("FC1002", f"'{table}' is neither a data entity nor a table.", hint=suggest(table, names))
            virtual = next((e for e in tables.entities.values() if e.virtual_of == entity.name), None)
            subject = Subject(entity, virtual, TRUE, self._operations)
        if key is None or not key.strip():
            return subject
        return Subject(subject.entity, subject.table, self._key(subject, key.strip()), subject.gate)

    def _key(self, subject: Subject, text: str) -> Predicate:
        asked, dialect, model = subject.row, OPERATIONS, self._operations.model
        if subject.table is not None and (subject.entity is None or _is_guid(text)):
            asked, dialect, model = subject.table, DATAVERSE, self._dataverse.model
        if "=" not in text and not (dialect is DATAVERSE and _is_guid(text)):
            parts = [part.strip() for part in text.split(",")]
            if len(parts) != len(asked.key):
                raise Refusal("FC1001", f"The key of {asked.name} is {', '.join(asked.key)}.", hint="Give each value.")
            text = ",".join(
                f"{name}={_literal(asked, name, part)}" for name, part in zip(asked.key, parts, strict=True)
            )
        request = analyse(f"/{asked.collection}({quote(text, safe=chr(39) + ',=()')})", "", dialect)
        parsed = plan(request, model, dialect)
        values = parsed.bind(request.literals)

        def bound(operand: Operand) -> Operand:
            return Const(_scalar(values[operand.index])) if isinstance(operand, Slot) else operand

        def column(name: str) -> Column:
            return asked.fields[name].at()

        return all_of(*(map_operands(Compare("eq", column(name), slot), bound) for name, slot in parsed.plan.key))


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _literal(entity: Entity, name: str, text: str) -> str:
    if entity.fields[name].kind is Kind.STRING:
        return "'" + text.strip("'").replace("'", "''") + "'"
    return text


def _scalar(value: object) -> Scalar:
    assert isinstance(value, Scalar), "a key value is a scalar"
    return value
