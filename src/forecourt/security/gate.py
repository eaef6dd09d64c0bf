"""The gate: the one way from a plan and a person to rows.

parse -> plan -> **secure -> compile** -> run -> render. What is between the stars is done once per request shape and
scope shape and kept in a bounded cache (shapes are the caller's to choose). A statement that comes back empty under
witnesses is run again under a freshly resolved scope if anything changed, so a revoked or new membership counts at
once. A read that the scope refuses is decided again in the same way, so that a right just given counts as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.kernel.observe import Denied, Observer, PlanCompiled, nobody
from forecourt.kernel.plan import ReadPlan, SecuredPlan, WritePlan
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.relation import Select
from forecourt.security.enforce import LIMIT, OFFSET, Enforcer
from forecourt.security.rules import Rules
from forecourt.security.scope import Scope
from forecourt.security.scopes import Scopes
from forecourt.store.catalog import Catalog
from forecourt.store.compile import compile_read, compile_select, compile_write
from forecourt.store.database import Database, ReadResult
from forecourt.store.statements import ReadStatement

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
    """A secured and compiled read, and what the door made of it (its row writer)."""

    secured: SecuredPlan
    statement: ReadStatement
    extra: T


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of the result: ``limit`` None for all that a page holds."""

    limit: int | None = None
    offset: int = 0


class Gate:
    """Runs plans over one model for whoever asks.

    ``native`` tells the entities of the Dataverse plane's own tables; all others are read from ``operations``.
    """

    def __init__(
        self,
        rules: Rules,
        model: Model,
        scopes: Scopes,
        operations: Plane,
        dataverse: Plane | None = None,
        observer: Observer = nobody,
    ) -> None:
        self.model = model
        self.scopes = scopes
        self.enforcer = Enforcer(rules, model, self.key_of)
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

    def plane_of(self, entity: Entity) -> Plane:
        """The database that holds an entity's tables."""
        native = entity.virtual_of is None and self._dataverse is not None
        return self._dataverse if native and self._dataverse is not None else self._operations

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

    async def update(self, scope: Scope, plan: WritePlan, slots: Sequence[object]) -> None:
        """Changes one row. Raises Refusal FC4041, FC4121, FC3001, FC3004, FC3005, FC4091, FC1003."""
        entity = self.model.entities[plan.entity]
        plane = self.plane_of(entity)
        fresh = await self.scope(scope.principal, scope.door, fresh=True)
        try:
            secured = self.enforcer.update(plan, fresh)
            statement = compile_write(secured, plane.catalog)
            await plane.database.update(statement, slots, fresh.values)
        except Refusal as refusal:
            self._note(scope, refusal, entity)
            raise

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
        try:
            secured = self.enforcer.read(wanted, scope)
        except Refusal as refusal:
            self._note(scope, refusal, entity)
            raise
        statement = compile_read(secured, self.plane_of(entity).catalog)
        prepared = Prepared(secured, statement, finish(secured, statement))
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
        return await self.plane_of(entity).database.read(prepared.statement, slots, values)

    def _note(self, scope: Scope, refusal: Refusal, entity: Entity) -> None:
        if refusal.status in (401, 403):
            self._observer(Denied(scope.door.value, scope.principal.label, refusal.code, entity.collection))


class _Window(dict[str, object]):
    """The scope's values with the page's limits, without copying them."""

    def __init__(self, values: Mapping[str, object], limit: int | None, offset: int) -> None:
        super().__init__({LIMIT.name: limit, OFFSET.name: offset})
        self._values = values

    def __missing__(self, name: str) -> object:
        return self._values[name]
