"""Filters of maps: OData text over a side's own columns to a predicate with constants.

Parsed as every ``$filter`` is, in the side's own dialect. A filter looks at columns of the row alone: no relations, no
``any`` and ``all``, no parameters of a person. Source: operations-and-integration 1.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from urllib.parse import quote

from forecourt.kernel import predicate as p
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.kernel.sync import Side
from forecourt.kernel.types import Scalar
from forecourt.odata import query, request
from forecourt.odata.dialect import DATAVERSE, OPERATIONS, Dialect

DIALECTS: Mapping[Side, Dialect] = {Side.OPERATIONS: OPERATIONS, Side.DATAVERSE: DATAVERSE}


def parse(text: str, entity: Entity, model: Model, side: Side) -> p.Predicate:
    """The predicate over the entity's fields. Raises Refusal FC1001-FC1005 for what is no filter of a map."""
    if not text.strip():
        return p.TRUE
    dialect = DIALECTS[side]
    asked = request.analyse(entity.collection, f"$filter={quote(text.strip(), safe='')}", dialect)
    parsed = query.plan(asked, model, dialect)
    bound = parsed.bind(asked.literals)

    def constant(item: p.Operand) -> p.Operand:
        return p.Const(cast(Scalar, bound[item.index])) if isinstance(item, p.Slot) else item

    found = p.map_operands(parsed.plan.filter or p.TRUE, constant)
    _own(found)
    return found


def fields(item: p.Predicate) -> tuple[str, ...]:
    """The fields that a filter looks at, each once."""
    return tuple(dict.fromkeys(leaf.path[-1] for leaf in p.operands(item) if isinstance(leaf, p.Field)))


def _own(item: p.Predicate) -> None:
    for part in _parts(item):
        if isinstance(part, p.Any):
            raise _foreign(part.path[0])
    for leaf in p.operands(item):
        if isinstance(leaf, p.Field) and len(leaf.path) > 1:
            raise _foreign(leaf.path[0])


def _foreign(name: str) -> Refusal:
    hint = "A change of another row would not be seen: name columns of the row alone."
    return Refusal("FC1004", f"'{name}' leads to other rows.", hint=hint, source="filter")


def _parts(item: p.Predicate) -> list[p.Predicate]:
    match item:
        case p.And(items) | p.Or(items):
            return [part for child in items for part in _parts(child)]
        case p.Not(child):
            return _parts(child)
        case _:
            return [item]
