"""Random questions about an entity: conditions, order, pages, columns, what is expanded, which row.

A question speaks of a data entity (or of a native table) under its own names, so that it can be asked at every door;
``doors`` writes it as a request, ``oracle`` answers it. Values come from the rows of the database, hidden ones
included, and the fields from all that there are.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind

Pool = Mapping[TableName, Sequence[Mapping[str, Any]]]

#: Kinds that conditions are about.
ASKED = frozenset({Kind.STRING, Kind.INT32, Kind.INT64, Kind.DECIMAL, Kind.DATE, Kind.BOOLEAN, Kind.ENUM})
ORDERED = frozenset({Kind.STRING, Kind.INT32, Kind.INT64, Kind.DECIMAL, Kind.DATE})
MATCHES = ("contains", "startswith", "endswith")


Form = Literal["list", "count", "item", "groups"]


@dataclass(frozen=True)
class Leaf:
    """``relation/field op value``; ``relation`` '' for an own field, ``many``: any row of it. ``op`` may be a match."""

    relation: str
    many: bool
    field: str
    op: str
    value: object


@dataclass(frozen=True)
class Joined:
    op: Literal["and", "or", "not"]
    items: tuple[Condition, ...]


Condition = Leaf | Joined


@dataclass(frozen=True)
class Key:
    """A row: ``values`` of the entity's key, of a native table's alternate key; ``id``: its number, or a native row's
    id. Either may be unknown."""

    values: Mapping[str, object] | None
    id: int | UUID | None


@dataclass(frozen=True)
class Question:
    """``form``: what is asked for; ``groups``: how many rows have each value of the selected field, or how many there
    are. ``order``: (field, descending)."""

    entity: str
    form: Form
    where: Condition | None = None
    order: tuple[tuple[str, bool], ...] = ()
    select: tuple[str, ...] = ()
    expand: str = ""
    page: int | None = None
    top: int | None = None
    total: bool = False
    key: Key | None = None
    batched: bool = False


@dataclass
class Asking:
    """Draws questions about a model. ``pool``: rows of the tables as JSON gives them."""

    model: Model
    pool: Pool
    draw: random.Random

    def question(self, entity: Entity, keys: Sequence[Key]) -> Question:
        """A question. ``keys``: rows that the asker is known to read."""
        draw = self.draw
        names = sorted(entity.fields)
        form: Form = draw.choice(("list", "list", "list", "count", "item", "groups"))
        chosen = tuple(draw.sample(names, min(len(names), draw.randint(1, 4)))) if draw.random() < 0.8 else ()
        relations = sorted(entity.relations)
        expand = draw.choice(relations) if relations and draw.random() < 0.2 else ""
        batched = draw.random() < 0.1
        if form == "item":
            return Question(
                entity.name, form, select=chosen, expand=expand, key=self.key(entity, keys), batched=batched
            )
        where = self._condition(entity, 2) if draw.random() < 0.75 else None
        if form == "count":
            return Question(entity.name, form, where)
        if form == "groups":
            kinds = [name for name in names if entity.fields[name].kind in ASKED]
            return Question(entity.name, form, where, select=tuple(draw.sample(kinds, min(1, len(kinds)))))
        return Question(
            entity.name,
            form,
            where,
            order=self._order(entity),
            select=chosen,
            expand=expand,
            page=draw.choice((None, 1, 2, 3, 7, 50)),
            top=draw.choice((None, None, None, 1, 5)),
            total=draw.random() < 0.3,
            batched=batched,
        )

    def _order(self, entity: Entity) -> tuple[tuple[str, bool], ...]:
        names = sorted(name for name, field in entity.fields.items() if field.kind in ORDERED)
        count = self.draw.choice((0, 0, 1, 1, 2))
        return tuple((name, self.draw.random() < 0.5) for name in self.draw.sample(names, min(count, len(names))))

    def _condition(self, entity: Entity, depth: int) -> Condition | None:
        draw = self.draw
        if depth and draw.random() < 0.4:
            op: Literal["and", "or", "not"] = draw.choice(("and", "or", "not"))
            items = [self._condition(entity, depth - 1) for _ in range(1 if op == "not" else 2)]
            kept = tuple(item for item in items if item is not None)
            return Joined(op, kept) if kept else None
        relations = sorted(entity.relations)
        if relations and draw.random() < 0.3:
            relation = entity.relations[draw.choice(relations)]
            leaf = self._leaf(self.model.entities[relation.target])
            return None if leaf is None else Leaf(relation.name, relation.many, leaf.field, leaf.op, leaf.value)
        return self._leaf(entity)

    def _leaf(self, entity: Entity) -> Leaf | None:
        draw = self.draw
        names = sorted(name for name, field in entity.fields.items() if field.kind in ASKED)
        for _ in range(5):
            field = entity.fields[draw.choice(names)] if names else None
            if field is None:
                return None
            if draw.random() < 0.1 and field.kind is not Kind.ENUM:
                return Leaf("", False, field.name, draw.choice(("eq", "ne")), None)
            value = self.value(entity, field)
            if value is None:
                continue
            if isinstance(value, str) and field.kind is Kind.STRING and value and draw.random() < 0.4:
                start = draw.randrange(len(value))
                return Leaf("", False, field.name, draw.choice(MATCHES), value[start : start + draw.randint(1, 5)])
            ops = ("eq", "ne", "lt", "le", "gt", "ge") if field.kind in ORDERED else ("eq", "ne")
            return Leaf("", False, field.name, draw.choice(ops), value)
        return None

    def value(self, entity: Entity, field: EntityField) -> object:
        """A value that some row has in a field's column, as Python has it; None where there is none."""
        table = next(source.table for source in entity.sources if source.alias == field.source)
        rows = self.pool.get(table, ())
        return typed(field, self.draw.choice(rows).get(field.column)) if rows else None

    def key(self, entity: Entity, keys: Sequence[Key]) -> Key:
        """A row of the asker's, of anybody's, or one that does not exist."""
        draw = self.draw
        rows = self.pool.get(entity.root.table, ())
        if entity.alternate_keys and rows and draw.random() < 0.4:
            names = entity.alternate_keys[draw.choice(sorted(entity.alternate_keys))]
            row = draw.choice(rows)
            values = {name: typed(entity.fields[name], row.get(entity.fields[name].column)) for name in names}
            return Key(values if None not in values.values() else None, None)
        if keys and (not rows or draw.random() < 0.5):
            return draw.choice(keys)
        if not rows or draw.random() < 0.2:
            values = {name: self.value(entity, entity.fields[name]) for name in entity.key}
            return Key(values if None not in values.values() else None, UUID(int=draw.getrandbits(128)))
        return key_of_row(entity, draw.choice(rows))


def key_of_row(entity: Entity, row: Mapping[str, Any]) -> Key:
    """The key of an entity's row, from the row of its root table."""
    fields = [entity.fields[name] for name in entity.key]
    values: Mapping[str, object] | None = None
    if all(field.source == entity.root.alias for field in fields):
        found = {field.name: typed(field, row.get(field.column)) for field in fields}
        values = found if None not in found.values() else None
    record: int | UUID | None = None
    if entity.record_id is not None and (number := row.get(entity.record_id[1])) is not None:
        record = int(number)
    elif len(fields) == 1 and fields[0].kind is Kind.GUID and values is not None:
        return Key(None, UUID(str(values[entity.key[0]])))
    return Key(values, record)


def typed(field: EntityField, value: Any) -> Any:
    """A value of a row's JSON as Python has it by the field's kind; None for one that it cannot be."""
    if value is None or isinstance(value, list | dict):
        return None
    try:
        match field.kind:
            case Kind.STRING:
                return str(value) if "*" not in str(value) else None
            case Kind.INT32 | Kind.INT64:
                return int(value)
            case Kind.DECIMAL:
                return Decimal(str(value))
            case Kind.DATE:
                return dt.date.fromisoformat(str(value)[:10])
            case Kind.DATETIME:
                return dt.datetime.fromisoformat(str(value)).replace(tzinfo=dt.UTC)
            case Kind.BOOLEAN:
                return bool(value)
            case Kind.GUID:
                return UUID(str(value))
            case _:
                return value
    except (ValueError, ArithmeticError):
        return None
