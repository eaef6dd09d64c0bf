"""Rows of an entity for packages: read page by page, written one by one, through the gate as the owner.

An imported row is an upsert by the entity's key. A row that is there already is read first, as the owner, and only
what differs is written: a row that says what is so changes nothing, and columns that nobody may set do no harm while
they stay as they are. Of a new row such columns are passed over.
Source: operations-and-integration 5.8, 5.10; design, section 4.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from forecourt.kernel.change import Write
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import ReadPlan, SecuredPlan
from forecourt.kernel.predicate import Compare, Field, Slot, all_of, any_of
from forecourt.kernel.principal import Door, Principal
from forecourt.odata.paging import effective_order
from forecourt.odata.slots import slot_kind
from forecourt.operations.packages.files import missing
from forecourt.operations.packages.records import StagedRow
from forecourt.operations.packages.values import Reading, same
from forecourt.security.gate import Gate
from forecourt.security.grants import granted
from forecourt.security.rules import Mode, Operation
from forecourt.security.scope import Scope
from forecourt.store.statements import ReadStatement
from forecourt.store.work import Work

#: Rows of a page of an export, and of a unit of work of an import.
PAGE = 2_000
BATCH = 100

#: A key: pairs (field, stored value).
Key = tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of an export: stored values in the order of ``names``."""

    names: tuple[str, ...]
    rows: list[tuple[object, ...]]


def may(gate: Gate, principal: Principal, entity: Entity, *operations: Operation) -> bool:
    """Whether a privilege allows one of the operations to data packages (DataManagement) at all."""
    user = principal.operations_user
    rules = gate.enforcer.rules.operations
    shared = entity.company is None
    return user is not None and any(
        granted(rules, user, entity.name, operation, Mode.DATA_MANAGEMENT, shared).allowed for operation in operations
    )


async def pages(
    gate: Gate, principal: Principal, entity: Entity, columns: Sequence[str], company: str, most: int = 0
) -> AsyncIterator[Page]:
    """The rows that the principal may read, by key. ``company``: of one legal entity, '' for all. ``most``: 0 for all.

    At least one page, maybe an empty one, so that the columns are known. Raises Refusal.
    """
    order = effective_order(ReadPlan(entity.name), entity)
    first: list[object] = []
    condition = None
    if entity.company is not None and company:
        first.append(company)
        condition = Compare("eq", Field((entity.company,)), Slot(0, slot_kind(entity.fields[entity.company])))
    size = min(PAGE, most) if most else PAGE
    after: tuple[object, ...] | None = None
    done = 0
    while True:
        values = list(first)
        position: list[Slot | None] | None = None
        if after is not None:
            position = []
            for step, value in zip(order, after, strict=True):
                kind = slot_kind(entity.fields[step.path[0]])
                position.append(None if value is None else Slot(len(values), kind))
                values.extend(() if value is None else (value,))
        plan = ReadPlan(
            entity.name,
            select=tuple(columns) or None,
            filter=condition,
            cross_company=True,
            after=None if position is None else tuple(position),
            page_size=size,
            versions=False,
        )
        scope = await gate.scope(principal, Door.PACKAGES)
        prepared, result = await gate.read(scope, ("package", plan), partial(_same, plan), _places, values)
        names, places, keyset = prepared.extra
        rows = result.rows[:size]
        wanted = rows[: most - done] if most else rows
        yield Page(names, [tuple(row[place] for place in places) for row in wanted])
        done += len(wanted)
        if len(result.rows) <= size or (most and done >= most):
            return
        after = tuple(rows[-1][place] for place in keyset)


def _same(plan: ReadPlan) -> ReadPlan:
    return plan


def _places(secured: SecuredPlan, _: ReadStatement) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]:
    """Names and places of the columns of a page, and the places of its position."""
    outputs = [output.name for output in secured.select.outputs]
    names = tuple(name for name in outputs if not name.startswith("@"))
    return names, tuple(map(outputs.index, names)), tuple(outputs.index(name) for name in secured.keyset)


class Importing:
    """Writes the rows of one entity. ``company``: legal entity of the run, '' where rows say, else the owner's."""

    def __init__(self, gate: Gate, entity: Entity, company: str) -> None:
        self.entity = entity
        self._gate = gate
        self._company = company
        self._reading = Reading(entity, gate.model)

    def check(self, row: StagedRow) -> None:
        """Raises Refusal FC1003 for a row that does not fit the entity, whatever the target holds."""
        lacking = missing(self.entity, [name for name, text in row.texts.items() if text])
        if lacking:
            raise Refusal("FC1003", f"The row has no '{lacking[0]}', which is part of the key.", source=lacking[0])
        self._values(row, self._company)

    def _values(self, row: StagedRow, company: str) -> dict[str, object]:
        values = self._reading.values(
            {name: text for name, text in row.texts.items() if text or not self._by_itself(name)}
        )
        name = self.entity.company
        if name is None:
            return values
        given = values.get(name)
        if given in (None, ""):
            values[name] = company
        elif self._company and given != self._company:
            message = f"The row is of legal entity '{given}'; the job is for '{self._company}'."
            raise Refusal("FC1003", message, source=name)
        return values

    def _by_itself(self, name: str) -> bool:
        """Whether an empty field is one that the row gets by itself: its legal entity, a number."""
        return name == self.entity.company or (name in self.entity.key and self.entity.fields[name].filled)

    async def write(self, work: Work, scope: Scope, rows: Sequence[StagedRow]) -> None:
        """Creates or updates rows as the owner, in their order. Raises Refusal for the first that cannot be written;
        nothing of the unit of work may then be kept."""
        user = scope.principal.operations_user
        company = self._company or (user.company if user is not None else "")
        asked = [self._values(row, company) for row in rows]
        keys = [tuple((name, values.get(name)) for name in self.entity.key) for values in asked]
        known = await self._all_found(work, scope, keys) if self._at_once(keys) else None
        for values, key in zip(asked, keys, strict=True):
            found = None
            if known is not None:
                found = known.get(tuple(value for _, value in key))
            elif all(value is not None for _, value in key):
                found = await self._found(work, scope, key)
            await self._write(work, scope, values, key, found)

    def _at_once(self, keys: Sequence[Key]) -> bool:
        """Whether all rows may be looked for before the first is written: none is there twice, and no business logic
        could change one because of another. Of whole batches only, so that their shape is known."""
        logic = self._gate.writer.logic
        return (
            len(keys) == BATCH
            and len(set(keys)) == len(keys)
            and all(value is not None for key in keys for _, value in key)
            and not logic.concerns(self.entity, "create")
            and not logic.concerns(self.entity, "update")
        )

    async def _write(
        self, work: Work, scope: Scope, values: Mapping[str, object], key: Key, found: Mapping[str, object] | None
    ) -> None:
        entity = self.entity
        if found is None:
            if not may(self._gate, scope.principal, entity, Operation.CREATE):
                message = f"There is no such {entity.label or entity.public_name} for you, and you may create none."
                raise Refusal("FC3001", message)
            given = tuple((name, value) for name, value in values.items() if entity.fields[name].creatable)
            await self._gate.write(work, scope, Write(entity.name, "create", values=given))
            return
        changes = tuple(
            (name, value)
            for name, value in values.items()
            if name not in entity.key and (name not in found or not same(found[name], value))
        )
        if changes:
            await self._gate.write(work, scope, Write(entity.name, "update", key, changes))

    async def _found(self, work: Work, scope: Scope, key: Key) -> Mapping[str, object] | None:
        """The row as it is, for the owner; None where there is none, or none that the owner may read."""
        fields = self.entity.fields
        plan = ReadPlan(
            self.entity.name,
            key=tuple((name, Slot(place, slot_kind(fields[name]))) for place, (name, _) in enumerate(key)),
            cross_company=True,
        )
        rows = await self._read(work, scope, plan, [value for _, value in key])
        return rows[0] if rows else None

    async def _all_found(
        self, work: Work, scope: Scope, keys: Sequence[Key]
    ) -> Mapping[tuple[object, ...], Mapping[str, object]]:
        """The rows that are there, by their keys."""
        fields, names = self.entity.fields, self.entity.key
        places = count()
        condition = any_of(
            *(
                all_of(*(Compare("eq", Field((name,)), Slot(next(places), slot_kind(fields[name]))) for name in names))
                for _ in keys
            )
        )
        plan = ReadPlan(self.entity.name, filter=condition, cross_company=True)
        rows = await self._read(work, scope, plan, [value for key in keys for _, value in key])
        return {tuple(row[name] for name in names): row for row in rows}

    async def _read(
        self, work: Work, scope: Scope, plan: ReadPlan, values: Sequence[object]
    ) -> list[Mapping[str, object]]:
        try:
            return await self._gate.read_in(work, scope, plan, values)
        except Refusal as refusal:
            if refusal.code != "FC3001":
                raise
            return []  # who may create and not read
