"""Writes as values: what is asked for, what was done, and what business logic sees in between.

A :class:`Write` is one row's change as a request or an engine wants it; values are in stored form (see
``kernel/types``), by field name. A :class:`Written` is what became of it, with the row before and after. A
:class:`Draft` is the write on its way through business logic, which may read it, refuse it, and set further fields.

Order of a write (operations-and-integration 5.6; pages-and-dataverse B6)::

    validate   Dataverse: pre-validation plug-ins, before anything is locked
    find       the row is locked and read (update, delete)
    prepare    operations: initial values, field validation, defaults, row validation; Dataverse: pre-operation
    write      the tables of the entity; the row as it will be is checked against the rules
    finish     Dataverse: post-operation; operations: what follows from a write
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from forecourt.kernel.model import Entity
from forecourt.kernel.plan import WriteOperation
from forecourt.kernel.principal import Principal

#: Who writes: a person, a program or business logic, or the integration.
Origin = Literal["work", "sync"]

#: How deep writes of business logic may cause further ones (Dataverse: 8).
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Write:
    """One row's write. ``upsert``: update where the key finds a row, else create.

    ``key``: the row's key, any unique one; () for a create. ``version``: the row must still have it. ``origin``: who
    writes: a person or program, business logic, or the integration, whose own rows are not captured again.
    """

    entity: str
    operation: WriteOperation | Literal["upsert"]
    key: tuple[tuple[str, object], ...] = ()
    values: tuple[tuple[str, object], ...] = ()
    version: str | None = None
    computed: tuple[tuple[str, object], ...] = ()
    origin: Origin = "work"


@dataclass(frozen=True, slots=True)
class Written:
    """What was done to one row. ``before``, ``after``: every field, None where there is no row. ``identity``: values of
    the root table's key columns, () after a delete."""

    entity: str
    operation: WriteOperation
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    version: str = ""
    identity: tuple[object, ...] = ()


class Rows(Protocol):
    """Rows for business logic, inside of the same unit of work."""

    async def find(self, entity: str, key: Mapping[str, object]) -> Mapping[str, object] | None:
        """One row by any unique key, or None."""
        ...

    async def lock(self, entity: str, key: Mapping[str, object]) -> Mapping[str, object] | None:
        """The same, locked until the unit of work ends: what is computed from it stays true."""
        ...

    async def select(
        self, entity: str, where: Mapping[str, object], order: tuple[str, ...] = ()
    ) -> list[Mapping[str, object]]:
        """The rows whose fields have these values."""
        ...

    async def create(self, entity: str, values: Mapping[str, object]) -> Written: ...

    async def update(self, entity: str, key: Mapping[str, object], values: Mapping[str, object]) -> Written: ...

    async def delete(self, entity: str, key: Mapping[str, object]) -> Written: ...


@dataclass
class Draft:
    """A write on its way. ``values`` may be changed by business logic until the row is written.

    ``supplied``: names of the fields that the asker set. ``before``: the row as it is, for an update or delete;
    ``after``: the row as it has become, at ``finish``. ``rows``: further rows, as the system itself, in the same unit
    of work; ``asker``: as who asks. ``work``: the unit of work (opaque here). ``shared``: values passed from one stage
    to a later one.
    """

    entity: Entity
    operation: WriteOperation
    principal: Principal
    values: dict[str, object]
    supplied: frozenset[str]
    rows: Rows
    asker: Rows
    work: Any
    before: Mapping[str, object] | None = None
    after: Mapping[str, object] | None = None
    depth: int = 1
    origin: Origin = "work"
    shared: dict[str, object] = field(default_factory=dict)

    def value(self, name: str) -> object:
        """The field as it will be: set by this write, else as it is."""
        if name in self.values:
            return self.values[name]
        return None if self.before is None else self.before.get(name)


class Logic(Protocol):
    """Business logic of one side, or of a solution: the stages around a write. Raises Refusal to turn it down."""

    def concerns(self, entity: Entity, operation: WriteOperation, origin: Origin = "work") -> bool:
        """Whether any stage does anything for such writes: rows that nothing watches may be written as a set."""
        ...

    async def validate(self, draft: Draft) -> None: ...

    async def prepare(self, draft: Draft) -> None: ...

    async def finish(self, draft: Draft) -> None: ...


class NoLogic:
    """Rows that are just rows."""

    def concerns(self, entity: Entity, operation: WriteOperation, origin: Origin = "work") -> bool:
        return False

    async def validate(self, draft: Draft) -> None:
        """Nothing to validate."""

    async def prepare(self, draft: Draft) -> None:
        """Nothing to set."""

    async def finish(self, draft: Draft) -> None:
        """Nothing follows."""


class Stamp(Protocol):
    """What the system itself sets in a row that is written by itself, after :meth:`Logic.prepare`, whoever watches:
    its owner, who made it. Rows that are written as a set have the table's defaults instead."""

    async def __call__(self, draft: Draft) -> None: ...


class SidedLogic:
    """Business logic of a model that holds both native tables and virtual ones: each goes by its own side's."""

    def __init__(self, native: Logic, virtual: Logic) -> None:
        self._native = native
        self._virtual = virtual

    def _of(self, entity: Entity) -> Logic:
        return self._native if entity.virtual_of is None else self._virtual

    def concerns(self, entity: Entity, operation: WriteOperation, origin: Origin = "work") -> bool:
        return self._of(entity).concerns(entity, operation, origin)

    async def validate(self, draft: Draft) -> None:
        await self._of(draft.entity).validate(draft)

    async def prepare(self, draft: Draft) -> None:
        await self._of(draft.entity).prepare(draft)

    async def finish(self, draft: Draft) -> None:
        await self._of(draft.entity).finish(draft)


class Partner(Protocol):
    """What takes part in every unit of work: live dual-write. ``work`` is the store's unit of work, opaque here."""

    async def before(self, work: Any, entity: Entity, key: Mapping[str, object]) -> None:
        """Called before a row is looked for or locked, so that a pair of rows is locked in one fixed order."""
        ...

    async def settle(self, work: Any) -> None:
        """Called when the caller's writes are done, before anything is committed. Raises Refusal to undo it all."""
        ...

    async def settled(self, work: Any, committed: bool) -> None:
        """Called when the outcome is known."""
        ...


class NoPartner:
    """Nobody takes part."""

    async def before(self, work: Any, entity: Entity, key: Mapping[str, object]) -> None:
        """Nothing to lock."""

    async def settle(self, work: Any) -> None:
        """Nothing to send."""

    async def settled(self, work: Any, committed: bool) -> None:
        """Nothing to tidy up."""
