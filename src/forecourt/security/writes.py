"""Writes through the gate: one row at a time, with the business logic around it, in a unit of work.

validate -> lock the pair -> find and lock the row -> prepare -> secure, compile, run -> check -> finish

Business logic sees and sets values by field name (:class:`~forecourt.kernel.change.Draft`). What it sets beyond what
was asked for is *computed*: no grant limits it. Rows that it writes itself (``rows``) are written in the same unit of
work, under the same stages. Leaves out: the tables of a write (``writing``), the commit (the store's unit of work).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from forecourt.kernel.change import DEEPEST, Draft, Logic, Stamp, Write, Written
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import ReadPlan, WriteOperation, WritePlan
from forecourt.kernel.predicate import Slot
from forecourt.kernel.principal import INTEGRATION, SYSTEM_ADMIN_ROLE, Door, Principal
from forecourt.kernel.types import Kind
from forecourt.odata.slots import slot_kind
from forecourt.security import binding
from forecourt.security.admission import reads_all
from forecourt.security.appending import MISSING
from forecourt.security.collisions import knows_of, out_of_reach, sees_all
from forecourt.security.constructs import is_moment
from forecourt.security.contexts import contexts
from forecourt.security.rows import AskerRows, SystemRows
from forecourt.security.rules import Right
from forecourt.security.scope import Scope
from forecourt.store.compile_write import compile_write
from forecourt.store.failures import breaks_reference
from forecourt.store.statements import WriteStatement
from forecourt.store.unit import Unit
from forecourt.store.watched import notes
from forecourt.store.work import Contended, Work

if TYPE_CHECKING:
    from forecourt.security.gate import Gate

#: Statements kept; the oldest unused go first.
CACHE_SIZE = 4096

Record = Any


@dataclass(frozen=True)
class _Bound:
    """A plan with the values of its slots."""

    plan: WritePlan
    slots: tuple[object, ...]


class Writer:
    """Writes rows of a gate's model. ``behind``: the gate of the data entities behind virtual tables."""

    def __init__(self, gate: Gate, logic: Logic, behind: Gate | None = None, stamp: Stamp | None = None) -> None:
        self._gate = gate
        self.logic = logic
        self._stamp = stamp
        self._behind = behind
        self._statements: OrderedDict[Hashable, WriteStatement] = OrderedDict()

    async def write(self, work: Work, scope: Scope, write: Write, depth: int = 1) -> Written:
        """Writes one row. Raises Refusal; the unit of work must then be undone."""
        if depth > DEEPEST:
            raise Refusal("FC4003", f"Business logic caused writes more than {DEEPEST} deep.", source=write.entity)
        entity = self._gate.model.entities[write.entity]
        scope = await self.current(work, scope)
        if write.operation != "upsert":
            done = await self._one(work, scope, entity, write, write.operation, depth)
            if done is None:
                await self._refuse_readable(work, scope, entity, write)
                alternate = {name for name, _ in write.key} != set(entity.key)
                raise not_found(entity.label or entity.public_name, alternate)
            return done
        found = await self._one(work, scope, entity, write, "update", depth)
        if found is not None:
            return found
        await self._refuse_readable(work, scope, entity, write)
        if self._hides_ids(scope, entity) and any(name in entity.key for name, _ in write.key):
            raise not_found(entity.label or entity.public_name)
        keyed = {name: value for name, value in write.key if value is not None}
        values = tuple({**keyed, **dict(write.values)}.items())
        fresh = replace(write, operation="create", key=(), values=values, version=None)
        try:
            created = await self._one(work, scope, entity, fresh, "create", depth)
        except Refusal as refusal:
            if refusal.code == "FC4092":  # created by somebody else meanwhile: the next attempt updates it
                raise Contended(refusal) from refusal
            raise
        assert created is not None
        return created

    async def lock(self, work: Work, scope: Scope, entity: Entity, key: Mapping[str, object]) -> Record | None:
        """One row by any unique key, locked until the unit of work ends; every field by name."""
        await self._gate.coordinator.partner.before(work, entity, key)
        unit = await work.unit(self._gate.plane_of(entity).database)
        slots = list(key.values())
        pairs = tuple((name, Slot(n, slot_kind(entity.fields[name]))) for n, name in enumerate(key))
        statement = self._statement(scope, WritePlan(entity.name, pairs, ()))
        found = await unit.find(statement, slots, _Values(scope.values, "work"))
        return None if found is None else _fields(entity, found)

    # -- steps ---------------------------------------------------------------------------------------------------

    async def _one(
        self, work: Work, scope: Scope, entity: Entity, write: Write, operation: WriteOperation, depth: int
    ) -> Written | None:
        """One create, update or delete; None where no row of the key is within reach."""
        gate, behind = self._gate, self._rows_gate(entity)
        door = scope.door if behind is gate else Door.OPERATIONS
        given = {**dict(write.values), **dict(write.computed)}
        supplied = frozenset(name for name, _ in write.values)
        if operation == "create":
            rules = gate.enforcer.rules.portal
            given = {**given, **binding.of_its_maker(rules, gate.model, scope, entity, given)}
            if supplied.intersection(entity.key):
                binding.refuse_chosen_id(entity, supplied, not self._hides_ids(scope, entity))
        draft = Draft(
            entity=entity,
            operation=operation,
            principal=scope.principal,
            values=given,
            supplied=supplied,
            rows=SystemRows(behind, work, depth + 1),
            asker=AskerRows(behind, work, depth + 1, scope.principal, door),
            work=work,
            depth=depth,
            origin=write.origin,
        )
        watched = self.logic.concerns(entity, operation)
        if watched:
            await self.logic.validate(draft)
        await gate.coordinator.partner.before(work, entity, dict(write.key) or draft.values)
        unit = await work.unit(gate.plane_of(entity).database)
        found: Record | None = None
        values = _Values(scope.values, write.origin)
        if operation != "create":
            asked = self._bound(entity, draft, operation, write)
            found = await unit.find(self._statement(scope, asked.plan), asked.slots, values)
            if found is None:
                return None
            draft.before = _fields(entity, found)
        if watched:
            await self.logic.prepare(draft)
        if self._stamp is not None:
            await self._stamp(draft)
        if notes(entity.root.table, operation, draft.values):
            await unit.acting(work.caused_by or scope.principal.label)
        bound = self._bound(entity, draft, operation, write)
        try:
            after = await self._apply(unit, scope, bound, found, values)
        except Refusal as refusal:
            taken = refusal.code == "FC4092" and not await knows_of(gate, behind, scope, entity, draft.values)
            dangling = operation != "delete" and breaks_reference(refusal) and not sees_all(gate, scope, entity)
            if not taken and not dangling:
                raise
            raise out_of_reach(scope, operation) from None
        draft.after = None if after is None else _fields(entity, after)
        if watched:
            await self.logic.finish(draft)
        if after is None:
            return Written(entity.name, operation, draft.before, None)
        root = entity.root.alias
        places = range(len(gate.enforcer.writing.identities(entity)[root]))
        identity = tuple(after[f"@id.{root}.{place}"] for place in places)
        return Written(entity.name, operation, draft.before, draft.after, str(after["@version"]), identity)

    async def _apply(
        self, unit: Unit, scope: Scope, bound: _Bound, found: Record | None, values: Mapping[str, object]
    ) -> Record | None:
        try:
            return await unit.apply(self._statement(scope, bound.plan), found, bound.slots, values)
        except Refusal as refusal:
            if refusal.code == "FC3005":
                raise out_of_reach(scope, bound.plan.operation) from None
            raise

    def _hides_ids(self, scope: Scope, entity: Entity) -> bool:
        """Whether a native table may have rows that the asker does not read, so that an id that is taken would tell."""
        return entity.virtual_of is None and not self._gate.direct and not reads_all(self._gate.enforcer, entity, scope)

    async def _refuse_readable(self, work: Work, scope: Scope, entity: Entity, write: Write) -> None:
        """Raises Refusal FC3006 for a row that the asker reads and may not change: hiding it would hide nothing.

        For native tables, whose depths and table permissions differ by privilege (pages-and-dataverse A1.3, B4);
        elsewhere such a row does not exist.
        """
        if entity.virtual_of is not None or not (scope.portal_door or scope.door is Door.DATAVERSE):
            return
        if scope.portal_door and not self._gate.enforcer.readable(entity, scope):
            return
        administers = scope.door is Door.DATAVERSE and SYSTEM_ADMIN_ROLE in scope.principal.security_roles
        if administers or any(value is None for _, value in write.key):
            return
        key = tuple((name, Slot(n, slot_kind(entity.fields[name]))) for n, (name, _) in enumerate(write.key))
        plan = ReadPlan(entity.name, key=key, cross_company=True)
        if await self._gate.read_in(work, scope, plan, [value for _, value in write.key]):
            what, right = ("delete", Right.DELETE) if write.operation == "delete" else ("change", Right.WRITE)
            surface = MISSING[right] if scope.portal_door else ""
            message = f"You may read this {entity.label or entity.public_name} but not {what} it."
            raise Refusal("FC3006", message, surface=surface)

    async def current(self, work: Work, scope: Scope) -> Scope:
        """The asker's scope, resolved anew once in a unit of work: a write rests on rights as they are now, and its
        policies on rows as the unit of work sees them."""
        key = ("scope", scope.door, scope.principal.label, id(scope.principal), contexts())
        known = cast("tuple[Principal, Scope] | None", work.notes.get(key))
        if known is None:
            fresh = scope
            if scope.principal is not INTEGRATION:
                fresh = (await self._gate.scope(scope.principal, scope.door, fresh=True)).in_place
            known = (scope.principal, fresh)  # holds the principal, so that its id stays its own
            work.notes[key] = known
        return known[1]

    def _bound(self, entity: Entity, draft: Draft, operation: WriteOperation, write: Write) -> _Bound:
        """The plan of a draft as it now is. Fields that were not asked for are computed."""
        slots: list[object] = []

        def slot(name: str, value: object) -> Slot | None:
            if value is None:
                return None
            slots.append(value)
            return Slot(len(slots) - 1, slot_kind(entity.fields[name]))

        key = []
        if operation != "create":
            for name, value in write.key:
                found = slot(name, value)
                if found is None:
                    raise not_found(entity.label or entity.public_name)
                key.append((name, found))
        version = None
        if write.version is not None:
            version = Slot(len(slots), Kind.STRING)
            slots.append(write.version)
        changes: list[tuple[str, Slot | None]] = []
        computed: list[tuple[str, Slot | None]] = []
        for name, value in draft.values.items() if operation != "delete" else ():
            if draft.before is not None and name in dict(write.key) and draft.before.get(name) == value:
                continue  # the key, repeated
            (changes if name in draft.supplied else computed).append((name, slot(name, value)))
        plan = WritePlan(
            entity.name,
            tuple(key),
            tuple(changes),
            version=version,
            operation=operation,
            computed=tuple(computed),
        )
        return _Bound(plan, tuple(slots))

    def _statement(self, scope: Scope, plan: WritePlan) -> WriteStatement:
        key = (plan, scope.shape)
        found = self._statements.get(key)
        if found is not None:
            self._statements.move_to_end(key)
            return found
        entity = self._gate.model.entities[plan.entity]
        try:
            secured = self._gate.enforcer.write(plan, scope)
        except Refusal as refusal:
            self._gate.note(scope, refusal, entity)
            raise
        statement = self._statements[key] = compile_write(
            secured, self._gate.plane_of(entity).catalog, self._gate.planes_of(entity)
        )
        if len(self._statements) > CACHE_SIZE:
            self._statements.popitem(last=False)
        return statement

    def _rows_gate(self, entity: Entity) -> Gate:
        return self._behind if entity.virtual_of is not None and self._behind is not None else self._gate


class _Values(dict[str, object]):
    """A scope's values and the origin of the write, without copying them; the moment is one for the whole write."""

    def __init__(self, values: Mapping[str, object], origin: str) -> None:
        super().__init__({"forecourt.origin": origin})
        self._values = values

    def __missing__(self, name: str) -> object:
        if is_moment(name):
            return self.setdefault(name, self._values[name])
        return self._values[name]


def _fields(entity: Entity, row: Record) -> dict[str, object]:
    return {name: row[name] for name in entity.fields}
