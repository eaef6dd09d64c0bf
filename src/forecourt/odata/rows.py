"""The JSON of a row that is written, with what it is bound to and the rows inside of it.

::

    {"name": "A", "nav@odata.bind": "/contacts(…)", "nav": {…}, "lines": [{…}, {…}], "@odata.id": "accounts(…)"}

A row inside of a row is created with it (deep insert). Other annotations are ignored.
Sources: pages-and-dataverse B2.1, B2.2; operations-and-integration 5.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model, Relation
from forecourt.odata.body import read_value
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import printable

BIND = "@odata.bind"

#: How deep rows may be nested, and how many one body may hold.
DEEPEST = 5
MOST = 1_000


@dataclass(frozen=True)
class RowBody:
    """``values``: pairs (field, bound value). ``binds``: pairs (relation, references as written; (None,) for no row).
    ``nested``: pairs (relation, rows to create). ``id``: what ``@odata.id`` says."""

    values: tuple[tuple[str, object], ...] = ()
    binds: tuple[tuple[Relation, tuple[object, ...]], ...] = ()
    nested: tuple[tuple[Relation, tuple[RowBody, ...]], ...] = ()
    id: object = None

    @property
    def empty(self) -> bool:
        return not (self.values or self.binds or self.nested)

    def count(self) -> int:
        """How many rows it makes."""
        return 1 + sum(row.count() for _, rows in self.nested for row in rows)


@dataclass(frozen=True)
class BodyReader:
    """Reads bodies against a model. ``ieee754``: 64-bit integers and decimals may be strings."""

    model: Model
    dialect: Dialect
    ieee754: bool = False

    def row(
        self,
        data: Mapping[str, Any],
        entity: Entity,
        key: Mapping[str, object] | None = None,
        may_create: bool = False,
    ) -> RowBody:
        """``data``: the parsed object. ``key``: bound values of the row's key, for an update: key fields that repeat
        it are left out, others are refused. None: a new row, whose key fields are fields like others. ``may_create``:
        an update that may turn out to be a create, which columns that are set once have to wait for."""
        found = self._row(data, entity, key, 1, may_create)
        if found.count() > MOST:
            raise Refusal("FC1005", f"The body holds more than {MOST} rows.", hint="Send them in several requests.")
        return found

    def _row(
        self,
        data: Mapping[str, Any],
        entity: Entity,
        key: Mapping[str, object] | None,
        depth: int,
        may_create: bool = False,
    ) -> RowBody:
        if entity.read_only:
            raise Refusal("FC1003", f"{entity.collection} is read-only.", source="body")
        if depth > DEEPEST:
            raise Refusal("FC1006", f"Rows are nested more than {DEEPEST} deep.", source="body")
        values: list[tuple[str, object]] = []
        binds: list[tuple[Relation, tuple[object, ...]]] = []
        nested: list[tuple[Relation, tuple[RowBody, ...]]] = []
        for name, value in data.items():
            if name.endswith(BIND):
                binds.append(self._bind(name.removesuffix(BIND), value, entity, key is None))
            elif "@" in name:
                continue
            elif name in entity.fields:
                values += self._value(name, value, entity, key, may_create)
            elif name in entity.relations:
                relation = entity.relations[name]
                if value is None and not relation.many:
                    binds.append((relation, (None,)))
                else:
                    nested.append((relation, tuple(self._nested(name, relation, value, key is None, depth))))
            else:
                raise _unknown(name, entity)
        return RowBody(tuple(values), tuple(binds), tuple(nested), data.get("@odata.id"))

    def _value(
        self, name: str, value: Any, entity: Entity, key: Mapping[str, object] | None, may_create: bool
    ) -> Iterator[tuple[str, object]]:
        field = entity.fields[name]
        bound = read_value(value, field, self.model, self.dialect, ieee754=self.ieee754)
        if key is not None and name in key:
            if key[name] != bound:
                raise Refusal("FC1003", f"'{name}' is part of the key and cannot be changed.", source=name)
            return
        if field.targets and (way := _way(entity, name)):
            hint = f'Write "{way}{BIND}": "/Set(key)".'
            raise Refusal("FC1003", f"'{name}' is read-only.", hint=hint, source=name)
        if not (field.creatable if key is None else field.editable or (may_create and field.creatable)):
            raise Refusal("FC1003", f"'{name}' is read-only.", hint="Leave it out.", source=name)
        yield name, bound

    def _bind(self, name: str, value: Any, entity: Entity, creating: bool) -> tuple[Relation, tuple[object, ...]]:
        relation = entity.relations.get(name)
        if relation is None:
            raise _unknown(name, entity)
        if isinstance(value, list):
            if not relation.many or not creating:
                hint = "Write one address." if not relation.many else "Use $ref to add rows to an existing one."
                raise Refusal("FC1003", f"'{name}{BIND}' takes no list here.", hint=hint, source=name)
            return relation, tuple(value)
        if relation.many:
            raise Refusal("FC1003", f"'{name}{BIND}' takes a list of addresses.", source=name)
        return relation, (value,)

    def _nested(self, name: str, relation: Relation, value: Any, creating: bool, depth: int) -> Iterator[RowBody]:
        if not creating:
            hint = f"Refer to a row with '{name}{BIND}', or change that row by itself."
            raise Refusal("FC1004", f"'{name}': rows cannot be nested in an update.", hint=hint, source=name)
        target = self.model.entities[relation.target]
        rows = value if relation.many else [value]
        if not isinstance(rows, list) or any(not isinstance(row, dict) for row in rows):
            expected = "a list of objects" if relation.many else "an object"
            raise Refusal("FC1006", f"'{name}' is {expected}.", source=name)
        for row in rows:
            yield self._row(row, target, None, depth + 1)


def _way(entity: Entity, name: str) -> str:
    """The relation that a lookup's column belongs to, '' for none (pages-and-dataverse B1.7)."""
    return next((r.name for r in entity.relations.values() if not r.many and r.column and r.on[0][0] == name), "")


def _unknown(name: str, entity: Entity) -> Refusal:
    shown = printable(name[:100])
    return Refusal(
        "FC1002",
        f"Could not find a property named '{shown}' on type '{entity.public_name}'.",
        hint=suggest(shown, {**entity.fields, **entity.relations}),
        source="body",
    )
