"""Business logic of a solution: Python functions around the writes of data entities, and actions.

A solution's ``operations/*.py`` registers functions by decorator::

    from forecourt.operations.hooks import Refused, action, context, default, finish, initial, validate

    @initial("SalesOrderHeaderV2Entity")
    def new_order(row):
        row["SalesOrderStatus"] = 1

    @validate("SalesOrderLineEntity", field="OrderedSalesQuantity")
    def positive(row, value):
        if value <= 0:
            raise Refused("The quantity must be positive.", field="OrderedSalesQuantity")

    @action("PurchPurchaseOrderHeaderV2Entity", name="confirm")
    async def confirm(row, *, Note: str = "") -> str:
        await row.update(PurchaseOrderStatus=2, VendorOrderReference=Note)
        return row["PurchaseOrderNumber"]

Order of a write (operations-and-integration 5.6)::

    create   initial, validate(field), default, validate(row), number sequences, write, finish
    update   validate(field), default, validate(row), write, finish
    delete   validate(row, operation="delete"), delete, finish

Functions may be synchronous or asynchronous and run in the unit of work of the write: what they raise undoes it. A row
is read and set by field name; values are stored ones (``Decimal``, ``date``, aware ``datetime``, an enum's value).
What is wrong may be noted line by line (:meth:`Row.warning`); the write is turned down at the end of the stage, with
all its lines. How actions are called is ``actions``' affair.

``row.rows`` are rows as the system; ``row.asker`` are rows as who asks, under that user's privileges and policies. What
a function says it is doing, ``with context("VendorAudit"):``, makes policies of context type ContextString active.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from forecourt.kernel.change import Draft, Rows
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import DefinitionError, Refusal
from forecourt.kernel.model import Entity, Where
from forecourt.kernel.plan import WriteOperation
from forecourt.kernel.principal import Principal
from forecourt.security.contexts import context as context
from forecourt.store.folder import Faults
from forecourt.store.scripts import load_scripts

Stage = Literal["initial", "field", "default", "row", "finish"]

#: Key in what the stages of a write share: what their functions have noted.
INFOLOG = "operations.infolog"

#: Attribute of a function that holds its registrations.
_MARK = "__forecourt_hooks__"

_EVERY: tuple[WriteOperation, ...] = ("create", "update", "delete")
F = TypeVar("F", bound=Callable[..., Any])


class Refused(Exception):
    """Raised by a function to turn a write down; the asker is shown the text. ``field``: what is at fault."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Registration:
    """What a decorator was told. ``name``: of an action; ``bound``: it is called on a row, else on the set."""

    stage: Stage | Literal["action"]
    entity: str
    field: str = ""
    operations: tuple[WriteOperation, ...] = ()
    name: str = ""
    bound: bool = True


def _register(registration: Registration) -> Callable[[F], F]:
    def mark(function: F) -> F:
        known: tuple[Registration, ...] = getattr(function, _MARK, ())
        setattr(function, _MARK, (registration, *known))
        return function

    return mark


def initial(entity: str) -> Callable[[F], F]:
    """``f(row)`` sets values of a new row before those that the asker supplies (initValue)."""
    return _register(Registration("initial", entity, operations=("create",)))


def default(entity: str) -> Callable[[F], F]:
    """``f(row)`` completes a row that is created or updated (defaultRow)."""
    return _register(Registration("default", entity, operations=("create", "update")))


def validate(entity: str, *, field: str = "", operation: WriteOperation | None = None) -> Callable[[F], F]:
    """``f(row, value)`` looks at one field that is set (validateField), ``f(row)`` at the whole row (validateWrite,
    validateDelete). It raises :class:`Refused` to turn the write down. ``operation``: left out, create and update."""
    operations: tuple[WriteOperation, ...] = ("create", "update") if operation is None else (operation,)
    return _register(Registration("field" if field else "row", entity, field, operations))


def finish(entity: str, *, operation: WriteOperation | None = None) -> Callable[[F], F]:
    """``f(row)`` runs when the row is written or deleted: what follows from it, through ``row.rows``."""
    return _register(Registration("finish", entity, "", _EVERY if operation is None else (operation,)))


def action(entity: str, name: str = "", *, bound: bool = True) -> Callable[[F], F]:
    """``f(row, *, Parameter: type = default)`` is called by ``POST Set(key)/Microsoft.Dynamics.DataEntities.<name>``
    with its parameters as JSON; what it returns is the answer. ``bound`` False: it is called on the set, ``POST
    Set/Microsoft.Dynamics.DataEntities.<name>``, and its row is empty. ``name``: left out, the function's own."""
    return _register(Registration("action", entity, name=name, bound=bound))


def noted(shared: dict[str, object], key: str) -> list[str]:
    """Lines that stages of a write share."""
    lines = shared.setdefault(key, [])
    assert isinstance(lines, list)
    return lines


class Row(MutableMapping[str, Any]):
    """A row on its way: what is set by this write, else what it was. ``before``: the row as it was, None for a new one;
    ``rows``: further rows of any data entity, as the system; ``asker``: as who asks; ``principal``: who that is;
    ``operation``."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @property
    def before(self) -> Mapping[str, object] | None:
        before = self._draft.before
        if before is None or self._draft.entity.virtual_of is None:
            return before
        fields = self._draft.entity.fields
        own = {base: value for name, value in before.items() if name in fields and (base := fields[name].base)}
        return {**before, **own}

    @property
    def operation(self) -> WriteOperation:
        return self._draft.operation

    @property
    def principal(self) -> Principal:
        return self._draft.principal

    @property
    def rows(self) -> Rows:
        return self._draft.rows

    @property
    def asker(self) -> Rows:
        return self._draft.asker

    def warning(self, text: str) -> None:
        """Notes what is wrong (checkFailed): the write is turned down when the stage is over."""
        noted(self._draft.shared, INFOLOG).append(text)

    def supplied(self, name: str) -> bool:
        """Whether the asker has set the field."""
        return self._field(name) in self._draft.supplied

    def __getitem__(self, name: str) -> Any:
        found = self._field(name)
        if self._draft.after is not None:
            return self._draft.after.get(found)
        return self._draft.value(found)

    def __setitem__(self, name: str, value: Any) -> None:
        if self._draft.after is not None or self._draft.operation == "delete":
            raise TypeError("the row is written: change it through row.rows")
        self._draft.values[self._field(name)] = value

    def __delitem__(self, name: str) -> None:
        self._draft.values.pop(self._field(name), None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._draft.entity.fields)

    def __len__(self) -> int:
        return len(self._draft.entity.fields)

    def _field(self, name: str) -> str:
        """The draft's own name of a data entity's field: a virtual table has others."""
        fields = self._draft.entity.fields
        if name in fields:
            return name
        found = next((own for own, field in fields.items() if field.base == name), None)
        if found is None:
            raise KeyError(f"{self._draft.entity.name} has no field '{name}'. {suggest(name, fields)}")
        return found


@dataclass(frozen=True)
class Hook:
    """A registered function."""

    registration: Registration
    function: Callable[..., object]
    where: Where

    @property
    def name(self) -> str:
        """An action's name."""
        return self.registration.name or getattr(self.function, "__name__", "")

    async def run(self, *arguments: object, **named: object) -> object:
        """Calls the function. Raises Refusal FC4005 with what it says."""
        try:
            result = self.function(*arguments, **named)
            return await result if inspect.isawaitable(result) else result
        except Refused as error:
            said = str(error) or "Business logic turned the write down."
            raise Refusal("FC4005", said, source=error.field or self.registration.entity) from error


@dataclass(frozen=True)
class Hooks:
    """The functions of a solution, in the order of their files."""

    found: Mapping[tuple[str, str], tuple[Hook, ...]] = field(default_factory=dict)

    def of(self, entity: str, stage: str, operation: WriteOperation, name: str = "") -> Iterator[Hook]:
        for hook in self.found.get((entity, stage), ()):
            if operation in hook.registration.operations and hook.registration.field == name:
                yield hook

    def any(self, entity: str, operation: WriteOperation) -> bool:
        """Whether some function takes part in such writes."""
        return any(
            operation in hook.registration.operations
            for (name, _), hooks in self.found.items()
            if name == entity
            for hook in hooks
        )

    @property
    def called(self) -> list[Hook]:
        """Every action."""
        return [hook for (_, stage), hooks in self.found.items() if stage == "action" for hook in hooks]

    def actions(self) -> list[tuple[str, str]]:
        """(entity, name) of every action."""
        return [(hook.registration.entity, hook.name) for hook in self.called]


def load_hooks(root: Path, entities: Mapping[str, Entity], faults: Faults) -> Hooks:
    """The functions of ``operations/*.py``; what they name is checked."""
    found: dict[tuple[str, str], list[Hook]] = {}
    for script in load_scripts(root, "operations/*.py", faults):
        for item in script.functions(_MARK):
            for registration in getattr(item, _MARK):
                where = script.where(item)
                try:
                    _check(registration, item.__name__, where, entities)
                except DefinitionError as error:
                    faults.add(error)
                    continue
                key = (registration.entity, registration.stage)
                found.setdefault(key, []).append(Hook(registration, item, where))
    return Hooks({key: tuple(hooks) for key, hooks in found.items()})


def _check(given: Registration, name: str, where: Where, entities: Mapping[str, Entity]) -> None:
    entity = entities.get(given.entity)
    if entity is None:
        message = f"{name} names data entity '{given.entity}', which does not exist."
        raise DefinitionError(where.file, where.line, message, suggest(given.entity, entities), "FC6002")
    if given.field and given.field not in entity.fields:
        message = f"{name} names field '{given.field}', which {given.entity} does not have."
        raise DefinitionError(where.file, where.line, message, suggest(given.field, entity.fields), "FC6002")
