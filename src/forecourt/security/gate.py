"""The gate: the one way from a plan and a person to rows.

parse -> plan -> **secure -> compile** -> run -> render. What is between the stars is done once per request shape and
scope shape and kept in a bounded cache (shapes are the caller's to choose). A statement that comes back empty under
witnesses is run again under a freshly resolved scope if anything changed, so a revoked or new membership counts at
once. A read that the scope refuses is decided again in the same way, so that a right just given counts as well.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from forecourt.kernel.change import Logic, NoLogic, Stamp, Write, Written
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.kernel.observe import Denied, Observer, PlanCompiled, nobody
from forecourt.kernel.plan import ReadPlan, SecuredPlan, Witness
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.relation import Select
from forecourt.odata.shapes import entities_beside
from forecourt.security.constructs import is_moment
from forecourt.security.enforce import LIMIT, OFFSET, Enforcer
from forecourt.security.rules import Rules
from forecourt.security.scope import Scope
from forecourt.security.scopes import Scopes
from forecourt.security.writes import Writer
from forecourt.store.catalog import Catalog
from forecourt.store.compile import PLANES, compile_guard, compile_read, compile_select
from forecourt.store.database import Database, ReadResult
from forecourt.store.statements import ReadStatement
from forecourt.store.unit import Unit
from forecourt.store.work import Coordinator, Work

T = TypeVar("T")

#: How often a read is run again because what it rested on has changed meanwhile.
ATTEMPTS = 3

#: Plans kept; the oldest unused go first.
CACHE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Plane:
    """A database with its catalog."""

    database: Database
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class Prepared(Generic[T]):
    """A secured and compiled read, and what the door made of it (its row writer). ``elsewhere``: the guard of the
    witnesses that the other plane's database has."""

    secured: SecuredPlan
    statement: ReadStatement
    extra: T
    elsewhere: ReadStatement | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of the result: ``limit`` None for all that a page holds."""

    limit: int | None = None
    offset: int = 0


class Gate:
    """Runs plans over one model for whoever asks.

    Entities of the Dataverse plane's own tables are in ``dataverse``, all others in ``operations``. ``logic``: the
    business logic around writes; ``behind``: the gate of the data entities behind virtual tables; ``stamp``: what the
    system sets in each row.
    """

    def __init__(
        self,
        rules: Rules,
        model: Model,
        scopes: Scopes,
        operations: Plane,
        dataverse: Plane | None = None,
        observer: Observer = nobody,
        coordinator: Coordinator | None = None,
        logic: Logic | None = None,
        behind: Gate | None = None,
        stamp: Stamp | None = None,
    ) -> None:
        self.model = model
        self.scopes = scopes
        self.enforcer = Enforcer(rules, model, self.key_of, self.generated_of)
        databases = {"operations": operations.database}
        if dataverse is not None:
            databases["dataverse"] = dataverse.database
        self.coordinator = coordinator or Coordinator(databases)
        self.writer = Writer(self, logic or NoLogic(), behind, stamp)
        self._operations = operations
        self._dataverse = dataverse
        self._observer = observer
        self._plans: OrderedDict[Hashable, Prepared[object]] = OrderedDict()
        self._looks: OrderedDict[Select, ReadStatement] = OrderedDict()

    def key_of(self, table: object) -> tuple[str, ...]:
        """Primary key columns of a table of either plane."""
        for plane in (self._operations, self._dataverse):
            if plane is not None and (found := plane.catalog.tables.get(table)) is not None:  # type: ignore[call-overload]
                return tuple(found.primary)
        return ()

    def generated_of(self, table: object) -> tuple[str, ...]:
        """Columns of a table of either plane that the database fills by itself."""
        for plane in (self._operations, self._dataverse):
            if plane is not None and (found := plane.catalog.tables.get(table)) is not None:  # type: ignore[call-overload]
                return tuple(name for name, column in found.columns.items() if column.generated)
        return ()

    @property
    def operations(self) -> Plane:
        """The database of the data entities."""
        return self._operations

    @property
    def direct(self) -> bool:
        """Whether this gate serves the data entities themselves."""
        return self._dataverse is None

    def plane_of(self, entity: Entity) -> Plane:
        """The database that holds an entity's tables."""
        native = entity.virtual_of is None and self._dataverse is not None
        return self._dataverse if native and self._dataverse is not None else self._operations

    def planes_of(self, entity: Entity) -> frozenset[str]:
        """The planes that are in the database of an entity's tables."""
        if self._dataverse is None or self._dataverse.database is self._operations.database:
            return PLANES
        return frozenset({"dataverse" if self.plane_of(entity) is self._dataverse else "operations"})

    def _elsewhere(self, entity: Entity, witnesses: Sequence[Witness]) -> ReadStatement | None:
        """The guard of witnesses that are not in the database of the entity's tables."""
        here = self.planes_of(entity)
        others = [witness for witness in witnesses if witness.plane not in here]
        return compile_guard(others, self._other(entity).catalog) if others else None

    def _other(self, entity: Entity) -> Plane:
        assert self._dataverse is not None
        return self._operations if self.plane_of(entity) is self._dataverse else self._dataverse

    async def scope(self, principal: Principal, door: Door, fresh: bool = False) -> Scope:
        return await self.scopes.resolve(principal, door, fresh)

    def known(self, scope: Scope, shape: Hashable) -> Prepared[object] | None:
        """The prepared plan of a shape, if there is one."""
        key = (shape, scope.shape)
        found = self._plans.get(key)
        if found is not None:
            self._plans.move_to_end(key)
        return found

    async def read(
        self,
        scope: Scope,
        shape: Hashable,
        plan: Callable[[], ReadPlan],
        finish: Callable[[SecuredPlan, ReadStatement], T],
        slots: Sequence[object],
        window: Window = Window(),
        prepared: Prepared[T] | None = None,
    ) -> tuple[Prepared[T], ReadResult]:
        """Rows for a person. ``shape`` identifies the plan; ``finish`` makes what the door keeps with it.

        ``prepared``: what :meth:`known` gave for the same scope and shape, if the caller asked.
        """
        if prepared is None:
            try:
                prepared = self._prepare(scope, shape, plan, finish)
            except Refusal as refusal:
                if refusal.status != 403 or scope.principal.operations_user is None:
                    raise
                # No statement has run, so no witness could tell that a right has been given meanwhile.
                again = await self.scope(scope.principal, scope.door, fresh=True)
                if again.shape == scope.shape:
                    raise
                scope = again
                prepared = self._prepare(scope, shape, plan, finish)
        result = await self._run(prepared, scope, slots, window)
        for _ in range(ATTEMPTS):
            if result.rows or result.total or not prepared.secured.witnesses:
                break
            again = await self.scope(scope.principal, scope.door, fresh=True)
            if again.shape == scope.shape and again.values == scope.values:
                break
            scope = again
            prepared = self._prepare(scope, shape, plan, finish)
            result = await self._run(prepared, scope, slots, window)
        return prepared, result

    async def write(self, work: Work, scope: Scope, write: Write) -> Written:
        """Writes one row in a unit of work. Raises Refusal; nothing of the unit of work may then be kept."""
        work.caused_by = work.caused_by or scope.principal.label
        try:
            return await self.writer.write(work, scope, write)
        except Refusal as refusal:
            self.note(scope, refusal, self.model.entities[write.entity])
            raise

    async def unit(self, work: Work, entity: Entity) -> Unit:
        """The part of a unit of work that an entity's rows are in."""
        return await work.unit(self.plane_of(entity).database)

    async def change(self, scope: Scope, write: Write) -> Written:
        """Writes one row in a unit of work of its own."""
        return await self.coordinator.run(lambda work: self.write(work, scope, write), f"write {write.entity}")

    async def read_in(
        self, work: Work, scope: Scope, plan: ReadPlan, slots: Sequence[object]
    ) -> list[Mapping[str, object]]:
        """Rows inside of a unit of work, as it sees them: every field by name."""

        def names(secured: SecuredPlan, statement: ReadStatement) -> tuple[str, ...]:
            return tuple(output.name for output in secured.select.outputs)

        scope = scope.in_place
        prepared = self._prepare(scope, ("within", plan), lambda: plan, names)
        unit = await work.unit(self.plane_of(self.model.entities[plan.entity]).database)
        result = await unit.read(prepared.statement, slots, _Window(scope.values, None, 0))
        return [dict(zip(prepared.extra, row, strict=False)) for row in result.rows]

    async def look(self, entity: Entity, select: Select, values: Mapping[str, object]) -> ReadResult:
        """A select of audit or explain, which look at rows for an administrator, never for the person asked about."""
        plane = self.plane_of(entity)
        statement = self._looks.get(select)
        if statement is None:
            statement = self._looks[select] = compile_select(select, plane.catalog)
            if len(self._looks) > CACHE_SIZE:
                self._looks.popitem(last=False)
        return await plane.database.read(statement, (), values)

    # -- steps ---------------------------------------------------------------------------------------------------

    def _prepare(
        self,
        scope: Scope,
        shape: Hashable,
        plan: Callable[[], ReadPlan],
        finish: Callable[[SecuredPlan, ReadStatement], T],
    ) -> Prepared[T]:
        key = (shape, scope.shape)
        found = self._plans.get(key)
        if found is not None:
            self._plans.move_to_end(key)
            return found  # type: ignore[return-value]
        wanted = plan()
        entity = self.model.entities[wanted.entity]
        for name in entities_beside(wanted):
            if self.plane_of(self.model.entities[name]).database is not self.plane_of(entity).database:
                message = f"{entity.name} and {name} are in different databases and cannot be joined."
                raise Refusal("FC1004", message, hint="Ask for them one after the other.", source=name)
        try:
            secured = self.enforcer.read(wanted, scope)
        except Refusal as refusal:
            self.note(scope, refusal, entity)
            raise
        statement = compile_read(secured, self.plane_of(entity).catalog, self.planes_of(entity))
        guard = self._elsewhere(entity, secured.witnesses)
        prepared = Prepared(secured, statement, finish(secured, statement), guard)
        self._plans[key] = prepared  # type: ignore[assignment]
        if len(self._plans) > CACHE_SIZE:
            self._plans.popitem(last=False)
        self._observer(PlanCompiled(scope.door.value, entity.name))
        return prepared

    async def _run(self, prepared: Prepared[T], scope: Scope, slots: Sequence[object], window: Window) -> ReadResult:
        page = prepared.secured.page_size
        limit = window.limit
        if page is not None:
            limit = page + 1 if limit is None else min(limit, page + 1)
        values: Mapping[str, object] = _Window(scope.values, limit, window.offset)
        entity = self.model.entities[prepared.secured.entity]
        read = self.plane_of(entity).database.read(prepared.statement, slots, values)
        if prepared.elsewhere is None:
            return await read
        guard = self._other(entity).database.read(prepared.elsewhere, slots, values)
        result, held = await asyncio.gather(read, guard)
        return result if held.rows else ReadResult([])

    def note(self, scope: Scope, refusal: Refusal, entity: Entity) -> None:
        if refusal.status in (401, 403):
            self._observer(Denied(scope.door.value, scope.principal.label, refusal.code, entity.collection))


class _Window(dict[str, object]):
    """The scope's values with the page's limits, without copying them; the moment is the same for the whole read."""

    def __init__(self, values: Mapping[str, object], limit: int | None, offset: int) -> None:
        super().__init__({LIMIT.name: limit, OFFSET.name: offset})
        self._values = values

    def __missing__(self, name: str) -> object:
        if is_moment(name):
            return self.setdefault(name, self._values[name])
        return self._values[name]
