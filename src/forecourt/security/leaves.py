"""Leaves of a predicate: comparisons over an entity's own fields, as comparisons over columns.

A column with ``empty_date`` holds 1900-01-01 for no day: to whoever asks, that is null, which equals no day and is
earlier than nothing (operations-and-integration 2.7). Leaves out navigation, which brings other entities' rules along
(``lowering``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from forecourt.kernel.model import Entity, EntityField
from forecourt.kernel.predicate import (
    And,
    Any,
    AnyRow,
    Arith,
    Column,
    Compare,
    Const,
    Field,
    In,
    InParam,
    IsNull,
    Linked,
    Match,
    Not,
    Operand,
    Or,
    Predicate,
    all_of,
    any_of,
    map_operands,
    operands,
)
from forecourt.kernel.types import EMPTY_DATE, Kind

EMPTY_MOMENT = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)

#: Entities that a plan links to, by alias: (alias of the source with their rows, entity).
LinkedEntities = dict[str, tuple[str, Entity]]


def plain(item: Predicate, entity: Entity, prefix: str, linked: LinkedEntities) -> Predicate:
    """A leaf without navigation, over the columns of the entity's sources under ``prefix``."""
    empties = {
        operand: found
        for operand in operands(item)
        if (found := _field(operand, entity, linked)) is not None and found.empty_date
    }

    def lowered(value: Operand) -> Operand:
        return operand_of(value, entity, prefix, linked)

    match item:
        case IsNull(operand) if empties:
            column = lowered(operand)
            return any_of(IsNull(column), Compare("eq", column, Const(empty_of(next(iter(empties.values()))))))
        case IsNull(operand):
            return IsNull(lowered(operand))
        case Compare(op, left, right):
            result: Predicate = Compare(op, lowered(left), lowered(right))
            if op in ("eq", "ne") and {left, right} <= set(empties):
                return result  # of two columns, no day equals no day
            if op == "ne":
                return any_of(result, *(Not(guard) for guard in _days(empties, lowered)))
            return all_of(result, *_days(empties, lowered))
        case In(operand, values):
            among = In(lowered(operand), tuple(lowered(value) for value in values))
            return all_of(among, *_days(empties, lowered))
        case InParam(operand, param):
            return InParam(lowered(operand), param)
        case Match(op, left, right):
            return Match(op, lowered(left), lowered(right))
        case _:
            return item


def _days(empties: Mapping[Operand, EntityField], lowered: Callable[[Operand], Operand]) -> list[Predicate]:
    """That columns hold a day: the one that stands for none is not a value which anything compares with."""
    return [Compare("ne", lowered(each), Const(empty_of(found))) for each, found in empties.items()]


def _field(operand: Operand, entity: Entity, linked: LinkedEntities) -> EntityField | None:
    match operand:
        case Field(path):
            return entity.fields[path[0]]
        case Linked(alias, name):
            return linked[alias][1].fields[name]
        case _:
            return None


def operand_of(value: Operand, entity: Entity, prefix: str, linked: LinkedEntities) -> Operand:
    """An operand over fields as one over columns."""
    match value:
        case Field(path):
            return _column(entity, prefix, path[0])
        case Linked(alias, name):
            return Column(linked[alias][0], f"{alias}.{name}")
        case Arith(op, left, right):
            return Arith(op, operand_of(left, entity, prefix, linked), operand_of(right, entity, prefix, linked))
        case _:
            return value


def _column(entity: Entity, prefix: str, name: str) -> Column:
    return entity.fields[name].at(prefix)


def fields_of(item: Predicate) -> set[str]:
    """Own fields named by a predicate: single-step paths outside of ``Any``."""
    match item:
        case And(items) | Or(items):
            return set().union(*(fields_of(child) for child in items))
        case Not(child):
            return fields_of(child)
        case Any() | AnyRow():
            return set()
        case _:
            return {o.path[0] for o in operands(item) if isinstance(o, Field) and len(o.path) == 1}


def shortened(item: Predicate, relation: str) -> Predicate:
    """The predicate as the row behind a relation sees it: one step less."""

    def change(operand: Operand) -> Operand:
        if isinstance(operand, Field) and operand.path[0] == relation and len(operand.path) > 1:
            return Field(operand.path[1:])
        return operand

    return map_operands(item, change)


def empty_of(found: EntityField) -> dt.date | dt.datetime:
    """What a column with ``empty_date`` holds for no day."""
    return EMPTY_DATE if found.kind is Kind.DATE else EMPTY_MOMENT
