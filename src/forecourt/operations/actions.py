"""Actions of data entities: Python functions of a solution that people call.

::

    POST /data/Set(key)/Microsoft.Dynamics.DataEntities.Confirm   {"Note": "x"}      on a row
    POST /data/Set/Microsoft.Dynamics.DataEntities.Recount        {}                 on the set (static)

Order of a call: the permission for the action (deny by default, no right to rows brings it along) -> the parameters ->
the row, as the caller reads it, which is locked -> the function, in one unit of work -> 200 with what it returns, 204
where it returns nothing. What the function reads and writes through ``row.rows`` is the system's, as with other
business logic: who grants the action has decided what it does. A row that the caller cannot read does not exist.

The parameters are those of the function behind its row, by their annotations. Leaves out functions (GET), parameters
that are rows. Sources: operations-and-integration 5.5, 5.10.
"""

from __future__ import annotations

import datetime as dt
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from forecourt.kernel.change import Rows
from forecourt.kernel.errors import DefinitionError, Refusal, not_found
from forecourt.kernel.model import Entity, Where
from forecourt.kernel.plan import ReadPlan
from forecourt.kernel.predicate import Slot
from forecourt.kernel.principal import Door, OperationsUser, Principal
from forecourt.kernel.types import Kind
from forecourt.odata.signature import Parameter, Signature, ValueType, json_value, read_parameters
from forecourt.odata.slots import slot_kind
from forecourt.operations.hooks import Hook, Hooks
from forecourt.security.gate import Gate
from forecourt.security.grants import Granted, may_call
from forecourt.security.lowering import unmapped
from forecourt.security.rows import AskerRows, SystemRows
from forecourt.security.scope import Scope
from forecourt.security.services import NO_CONTENT, Answer, Call
from forecourt.store.work import Work

Key = tuple[tuple[str, object], ...]

_KINDS: Mapping[object, Kind | None] = {
    str: Kind.STRING,
    int: Kind.INT64,
    Decimal: Kind.DECIMAL,
    float: Kind.DOUBLE,
    bool: Kind.BOOLEAN,
    dt.date: Kind.DATE,
    dt.datetime: Kind.DATETIME,
    UUID: Kind.GUID,
    dict: None,
}


class Called(Mapping[str, Any]):
    """What an action is called on: the fields of its row, none on a set. ``rows``: rows of any data entity, as the
    system; ``asker``: as who calls; ``principal``: who that is; ``company``: the row's legal entity, else the
    caller's."""

    def __init__(
        self,
        entity: Entity,
        key: Key,
        values: Mapping[str, object],
        rows: Rows,
        asker: Rows,
        principal: Principal,
        company: str,
    ) -> None:
        self.rows = rows
        self.asker = asker
        self.principal = principal
        self.company = company
        self._entity = entity
        self._key = dict(key)
        self._values = dict(values)

    async def update(self, **values: object) -> None:
        """Changes fields of the row, through the business logic of such a write."""
        if not self._key:
            raise TypeError("the action is called on no row")
        written = await self.rows.update(self._entity.name, self._key, values)
        self._values = dict(written.after or {})

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class EntityAction:
    """An action with its function; as a service it answers at ``/data``. ``gate``: of the data entities."""

    signature: Signature
    hook: Hook
    gate: Gate

    async def __call__(self, call: Call) -> Answer:
        """Answers a call on the entity's own set. Raises Refusal."""

        def key_of(row: Mapping[str, object]) -> Key:
            return tuple((name, row[name]) for name in self.gate.model.entities[self.signature.entity].key)

        return await self.serve(call, self.signature, self.require, key_of)

    async def serve(
        self,
        call: Call,
        signature: Signature,
        admit: Callable[[Scope], object],
        key_of: Callable[[Mapping[str, object]], Key],
    ) -> Answer:
        """Answers a call as ``signature`` has it. ``admit`` refuses callers; ``key_of``: the key of the data entity's
        row from the row that the call names."""
        require_call(call, signature)

        async def attempt(work: Work) -> object:
            scope = await call.gate.scope(call.principal, call.scope.door, fresh=True)
            admit(scope)
            arguments = read_parameters(signature, call.parameters, call.gate.model, call.dialect)
            key: Key = ()
            if signature.bound:
                entity, given = call.target()
                key = key_of(await seen(work, call.gate, scope, entity, given))
            return await self.run(work, scope, key, arguments)

        return self.answer(call, await call.run(attempt, f"action {signature.name}"))

    def require(self, scope: Scope) -> OperationsUser:
        """The caller's operations user. Raises Refusal FC3001, FC3002."""
        user = scope.principal.operations_user
        if user is None:
            raise unmapped(scope.principal)
        if not self._granted(user).allowed:
            entity = self.gate.model.entities[self.signature.entity]
            raise self._denied(f"You have no right to call {self.signature.name} of {entity.public_name}.")
        return user

    async def run(self, work: Work, scope: Scope, key: Key, arguments: Mapping[str, object]) -> object:
        """Calls the function. ``key``: of the data entity's row, which the caller may read; () on the set."""
        user = self.require(scope)
        entity = self.gate.model.entities[self.signature.entity]
        rows = SystemRows(self.gate, work, 2)
        values: Mapping[str, object] = {}
        if self.signature.bound:
            found = await rows.lock(entity.name, dict(key))
            if found is None:
                raise not_found(entity.label or entity.public_name)
            values = found
        company = str(values[entity.company]) if entity.company is not None and values else user.company
        if not self._granted(user).counts_in(company):
            raise self._denied(f"You may not call {self.signature.name} in legal entity {company}.")
        own = tuple((name, values[name]) for name in entity.key) if values else ()
        asker = AskerRows(self.gate, work, 2, scope.principal, Door.OPERATIONS)
        called = Called(entity, own, values, rows, asker, scope.principal, company)
        return await self.hook.run(called, **arguments)

    def _granted(self, user: OperationsUser) -> Granted:
        return may_call(self.gate.enforcer.rules.operations, user, self.signature.entity, self.signature.name)

    def answer(self, call: Call, result: object) -> Answer:
        """The answer with what the function has returned."""
        returns = self.signature.returns
        if returns is None:
            return NO_CONTENT
        value = json_value(result, call.dialect)
        name = returns.edm(call.dialect)
        if returns.kind is None and not returns.many and isinstance(value, dict):
            return call.value(name, value)
        return call.value(name, {"value": value})

    def _denied(self, text: str) -> Refusal:
        return Refusal("FC3001", text, source=self.signature.name)


def require_call(call: Call, signature: Signature) -> None:
    """Raises Refusal where a request is no call of the action: by its method, its namespace or its place."""
    parts = call.segments
    name = f"{call.dialect.namespace}.{signature.name}"
    if len(parts) != 2 or parts[1] != name or ("(" in parts[0]) is not signature.bound:
        hint = f"Call it on {'a row' if signature.bound else 'the set'}: POST Set{'(key)' * signature.bound}/{name}."
        raise Refusal("FC4042", "Resource not found for the segment.", hint=hint, source="path")
    if call.method != "POST":
        allow = (("Allow", "POST"),)
        raise Refusal("FC1008", f"{call.method[:20]} is not supported on an action.", hint="Use POST.", headers=allow)


async def seen(work: Work, gate: Gate, scope: Scope, entity: Entity, key: Key) -> Mapping[str, object]:
    """The row of a key as the caller reads it. Raises Refusal FC3001, FC4041."""
    if any(value is None for _, value in key):
        raise not_found(entity.label or entity.public_name)
    slots = tuple((name, Slot(place, slot_kind(entity.fields[name]))) for place, (name, _) in enumerate(key))
    rows = await gate.read_in(
        work, scope, ReadPlan(entity.name, key=slots, cross_company=True), [value for _, value in key]
    )
    if not rows:
        raise not_found(entity.label or entity.public_name)
    return rows[0]


def entity_actions(hooks: Hooks, gate: Gate) -> dict[str, EntityAction]:
    """The actions of a solution by the name of their service at ``/data``, ``Set/Name``."""
    found = {}
    for hook in hooks.called:
        signature = signature_of(hook)
        entity = gate.model.entities[signature.entity]
        found[f"{entity.collection}/{signature.name}"] = EntityAction(signature, hook, gate)
    return found


def signature_of(hook: Hook) -> Signature:
    """What an action takes and gives, from the function's annotations. Raises DefinitionError."""
    given, function = hook.registration, hook.function
    try:
        hints = typing.get_type_hints(function)
        parameters = list(inspect.signature(function).parameters.values())
    except (NameError, TypeError, ValueError) as error:
        raise _fault(hook.where, f"{hook.name}: {error}.") from None
    if not parameters:
        raise _fault(hook.where, f"{hook.name} takes no row.", "Write def f(row, *, Parameter: type).")
    found = []
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise _fault(hook.where, f"{hook.name}: parameter '{parameter.name}' has no name to call it by.")
        kind = _type(hook.where, parameter.name, hints.get(parameter.name))
        found.append(Parameter(parameter.name, kind, parameter.default is parameter.empty))
    returned = hints.get("return", type(None))
    returns = None if returned is type(None) else _type(hook.where, "return", returned)
    return Signature(hook.name, given.entity, given.bound, tuple(found), returns)


def _type(where: Where, name: str, hint: object, many: bool = False) -> ValueType:
    nullable = False
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and type(None) in arguments:
        (hint,), nullable = [item for item in arguments if item is not type(None)][:1], True
        arguments = typing.get_args(hint)
    origin = typing.get_origin(hint) or hint
    if origin is list and not many and len(arguments) == 1:
        inner = _type(where, name, arguments[0], many=True)
        return ValueType(inner.kind, True, nullable)
    if origin not in _KINDS:
        text = f"'{name}' needs a type that JSON can carry."
        raise _fault(
            where, text, "Write str, int, Decimal, float, bool, date, datetime, UUID, dict, or a list of them."
        )
    return ValueType(_KINDS[origin], False, nullable)


def _fault(where: Where, message: str, hint: str = "") -> DefinitionError:
    return DefinitionError(where.file, where.line, message, hint)


def check_actions(hooks: Hooks, report: Callable[[DefinitionError], None]) -> None:
    """Reports actions whose signature cannot be told, and names that are given twice."""
    known: set[tuple[str, str]] = set()
    for hook in hooks.called:
        pair = (hook.registration.entity, hook.name)
        if pair in known:
            report(_fault(hook.where, f"{pair[0]} has two actions named {hook.name}.", "Give one another name."))
        elif not hook.name.isidentifier():
            report(_fault(hook.where, f"'{hook.name}' is no name of an action.", "Use letters and digits."))
        known.add(pair)
        try:
            signature_of(hook)
        except DefinitionError as error:
            report(error)
