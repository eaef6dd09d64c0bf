"""Rows of Dataverse tables in other shapes than pages: in groups with a number each, and by how well they fit a search.

Both are plans of the gate like all others: table permissions, policies and column permissions decide what is counted
and what is found, in the statement itself. Leaves out what rows are in Dataverse's words, which it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any
from uuid import UUID

from forecourt.dataverse.rows import Found, GroupQuery, Groups, Row, SearchQuery
from forecourt.dataverse.tables import Table
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy, ReadPlan, SecuredPlan, Shape, ShapeColumn
from forecourt.kernel.predicate import TRUE, Field, Match, Slot, all_of, any_of
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.types import Kind
from forecourt.odata.shapes import completed
from forecourt.security.gate import Gate, Window
from forecourt.security.shaping import RANK
from forecourt.store.statements import ReadStatement


class ShapedRows:
    """Reads them. ``shown``: a stored value as Dataverse shows it."""

    def __init__(self, gate: Gate, shown: Callable[[EntityField, Any], Any]) -> None:
        self._gate = gate
        self._shown = shown

    async def groups(self, principal: Principal, table: Table, query: GroupQuery, door: Door) -> Groups:
        """Rows in groups, ordered by these."""
        names = tuple(f"g{place}" for place in range(len(query.by)))

        def make() -> ReadPlan:
            columns = [ShapeColumn(name, "", by, part=part) for name, (by, part) in zip(names, query.by, strict=True)]
            columns.append(ShapeColumn("value", "", query.column, query.measure))
            shaped = ReadPlan(
                table.name,
                filter=None if query.filter == TRUE else query.filter,
                cross_company=True,
                order=tuple(OrderBy((name,)) for name in names),
                page_size=query.size,
                shape=Shape(tuple(columns), grouped=True),
            )
            return completed(shaped, self._gate.model)

        shape: Hashable = (
            "groups",
            door,
            table.name,
            query.by,
            query.measure,
            query.column,
            query.filter,
            query.size,
        )
        scope = await self._gate.scope(principal, door)
        finish = _places(*names, "value")
        prepared, result = await self._gate.read(scope, shape, make, finish, query.slots)
        *places, value = prepared.extra
        fields = [table.entity.fields[name] if part is None else None for name, part in query.by]
        rows = []
        for row in result.rows[: query.size]:
            values = (row[at] for at in places)
            group = (
                raw if field is None else self._shown(field, raw) for raw, field in zip(values, fields, strict=True)
            )
            rows.append((tuple(group), row[value]))
        return Groups(tuple(rows), len(result.rows) > query.size)

    async def search(self, principal: Principal, table: Table, query: SearchQuery, door: Door) -> Found:
        """Rows that fit a search, the best first."""
        names = tuple(dict.fromkeys((table.primary_id, *query.columns)))
        first = len(query.slots)
        places = tuple(Slot(first + place, Kind.STRING) for place in range(len(query.words)))
        every = Slot(first + len(places), Kind.STRING)

        def make() -> ReadPlan:
            fits = [any_of(*(Match("words", Field((name,)), slot) for name in query.columns)) for slot in places]
            shaped = ReadPlan(
                table.name,
                filter=all_of(query.filter, *fits),
                cross_company=True,
                skip=Slot(0, Kind.INT32) if query.skip else None,
                want="rows+count",
                order=(OrderBy((RANK,), True), OrderBy((query.columns[0],))),
                page_size=query.size,
                shape=Shape(tuple(ShapeColumn(name, "", name) for name in names), rank=(query.columns, every)),
            )
            return completed(shaped, self._gate.model)

        shape: Hashable = (
            "search",
            door,
            table.name,
            query.columns,
            len(query.words),
            query.filter,
            query.size,
            bool(query.skip),
        )
        scope = await self._gate.scope(principal, door)
        slots = (*query.slots, *query.words, " | ".join(query.words))
        window = Window(None, query.skip)
        prepared, result = await self._gate.read(scope, shape, make, _places(*names, RANK), slots, window)
        identity, *shown, rank = prepared.extra
        fields = table.entity.fields
        rows = []
        for row in result.rows[: query.size]:
            values = {name: self._shown(fields[name], row[at]) for name, at in zip(names[1:], shown, strict=True)}
            found = UUID(str(self._shown(fields[table.primary_id], row[identity])))
            rows.append((Row(found, values, ""), float(row[rank])))
        return Found(tuple(rows), result.total or 0)


def _places(*names: str) -> Callable[[SecuredPlan, ReadStatement], tuple[int, ...]]:
    """Where outputs stand in a row."""

    def finish(secured: SecuredPlan, statement: ReadStatement) -> tuple[int, ...]:
        found = [output.name for output in secured.select.outputs]
        return tuple(found.index(name) for name in names)

    return finish
