"""Rows for business logic, in the unit of work of what it takes part in: as the system, or as who asks.

As the system no grant and no policy counts: what a solution's functions do is decided by who wrote them. As who asks
everything does, with the context strings that are set at that moment (``contexts``). Writes go through the same stages
either way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, cast

from forecourt.kernel.change import Write, Written
from forecourt.kernel.plan import OrderBy, ReadPlan
from forecourt.kernel.predicate import Compare, Field, IsNull, Predicate, Slot, all_of
from forecourt.kernel.principal import INTEGRATION, Door, Principal
from forecourt.odata.slots import slot_kind
from forecourt.security.scope import Scope
from forecourt.store.work import Work

if TYPE_CHECKING:
    from forecourt.security.gate import Gate

Values = Mapping[str, object]


class _LogicRows(ABC):
    """What both have in common. ``_given`` says how values count: computed, or asked for."""

    _given: Literal["values", "computed"]

    def __init__(self, gate: Gate, work: Work, depth: int) -> None:
        self._gate = gate
        self._work = work
        self._depth = depth

    @abstractmethod
    async def _scope(self) -> Scope:
        """As whom."""

    async def find(self, entity: str, key: Values) -> Values | None:
        """One row by any unique key, or None."""
        rows = await self.select(entity, key)
        return rows[0] if rows else None

    async def lock(self, entity: str, key: Values) -> Values | None:
        """One row by any unique key, locked until the unit of work ends, or None."""
        scope = await self._scope()
        found = await self._gate.writer.lock(self._work, scope, self._gate.model.entities[entity], key)
        return cast("Values | None", found)

    async def select(self, entity: str, where: Values, order: tuple[str, ...] = ()) -> list[Values]:
        """The rows whose fields have these values."""
        found = self._gate.model.entities[entity]
        slots: list[object] = []
        conditions: list[Predicate] = []
        for name, value in where.items():
            if value is None:
                conditions.append(IsNull(Field((name,))))
                continue
            conditions.append(Compare("eq", Field((name,)), Slot(len(slots), slot_kind(found.fields[name]))))
            slots.append(value)
        steps = tuple(OrderBy((name.removeprefix("-"),), name.startswith("-")) for name in order)
        plan = ReadPlan(entity, filter=all_of(*conditions), order=steps, cross_company=True)
        return await self._gate.read_in(self._work, await self._scope(), plan, slots)

    async def create(self, entity: str, values: Values) -> Written:
        return await self._write(entity, "create", (), values)

    async def update(self, entity: str, key: Values, values: Values) -> Written:
        return await self._write(entity, "update", tuple(key.items()), values)

    async def delete(self, entity: str, key: Values) -> Written:
        return await self._write(entity, "delete", tuple(key.items()), {})

    async def _write(
        self,
        entity: str,
        operation: Literal["create", "update", "delete"],
        key: tuple[tuple[str, object], ...],
        values: Values,
    ) -> Written:
        given = tuple(values.items())
        asked = given if self._given == "values" else ()
        write = Write(entity, operation, key, asked, computed=given if not asked else ())
        return await self._gate.writer.write(self._work, await self._scope(), write, self._depth)


class SystemRows(_LogicRows):
    """Rows as the system."""

    _given = "computed"

    def __init__(self, gate: Gate, work: Work, depth: int) -> None:
        super().__init__(gate, work, depth)
        self._system = Scope(INTEGRATION, Door.OPERATIONS if gate.direct else Door.DATAVERSE)

    async def _scope(self) -> Scope:
        return self._system


class AskerRows(_LogicRows):
    """Rows as who asks: its privileges, legal entities and policies, or its security roles, decide."""

    _given = "values"

    def __init__(self, gate: Gate, work: Work, depth: int, principal: Principal, door: Door) -> None:
        super().__init__(gate, work, depth)
        self._asker = Scope(principal, door)

    async def _scope(self) -> Scope:
        return await self._gate.writer.current(self._work, self._asker)
