"""Plug-ins: Python functions of a solution that take part in writes of Dataverse's native tables (reference B6).

A solution's ``dataverse/plugins*.py`` registers a function for a message, a table and a stage::

    from forecourt.dataverse.plugins import PluginError, plugin

    @plugin("Update", "account", "pre-operation", filtering=["creditlimit"])
    async def keep_the_limit(context):
        if context.target["creditlimit"] > 100_000:
            raise PluginError("A limit above 100,000 needs the credit manager.")

Stages: ``pre-validation`` runs before the row is looked for and before rights are checked; ``pre-operation`` after the
row has been locked, and may change what is written; ``post-operation`` sees the row as it has become. All run in the
unit of work of the write: what they raise undoes it. Functions may be synchronous (they hold up the server while they
run) or asynchronous. Columns go by their logical name (``parentcustomerid``); values are stored ones (``Decimal``,
``UUID``, aware ``datetime``, the number of a choice).

``integration=False`` leaves out what dual-write writes: for a plug-in that fills in what the integration brings along.
Rows that no plug-in looks at are written as sets.

Leaves out: other messages (Retrieve, Associate, Assign as such), asynchronous steps, plug-ins of virtual tables, which
belong to the data entity behind them.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from forecourt.kernel.change import Draft, Origin, Rows
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import DefinitionError, Refusal
from forecourt.kernel.model import Entity, Where
from forecourt.kernel.plan import WriteOperation
from forecourt.kernel.principal import Principal
from forecourt.store.folder import Faults
from forecourt.store.scripts import load_scripts

Message = Literal["Create", "Update", "Delete"]
Stage = Literal["pre-validation", "pre-operation", "post-operation"]

MESSAGES: Mapping[str, WriteOperation] = {"Create": "create", "Update": "update", "Delete": "delete"}

#: Attribute of a function that holds its registrations.
_MARK = "__forecourt_plugins__"

F = TypeVar("F", bound=Callable[..., Any])


class PluginError(Exception):
    """Raised by a plug-in to turn a write down; the asker is shown its text. ``InvalidPluginExecutionException``."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What :func:`plugin` was told."""

    message: Message
    table: str
    stage: Stage
    filtering: tuple[str, ...]
    rank: int
    integration: bool = True


def plugin(
    message: Message,
    table: str,
    stage: Stage,
    *,
    filtering: Iterable[str] = (),
    rank: int = 1,
    integration: bool = True,
) -> Callable[[F], F]:
    """Registers a function; more than one registration is allowed.

    ``filtering``: of an Update, run only if one of these columns is written. ``rank``: lower ones run first, equal ones
    in the order of the files. ``integration``: whether it runs for what dual-write writes, too. Raises ValueError for a
    message or stage that does not exist.
    """
    if message not in MESSAGES:
        raise ValueError(f"'{message}' is not a message; write {', '.join(MESSAGES)}")
    if stage not in get_args(Stage):
        raise ValueError(f"'{stage}' is not a stage; write {', '.join(get_args(Stage))}")
    columns = (filtering,) if isinstance(filtering, str) else tuple(filtering)
    if columns and message != "Update":
        raise ValueError("'filtering' is for Update alone")

    def register(function: F) -> F:
        known: tuple[Registration, ...] = getattr(function, _MARK, ())
        setattr(function, _MARK, (Registration(message, table, stage, columns, rank, integration), *known))
        return function

    return register


class Image(Mapping[str, Any]):
    """A row by the logical names of its columns; the names of the Web API (``_parentcustomerid_value``) do as well."""

    def __init__(self, entity: Entity, values: Mapping[str, object]) -> None:
        self._entity = entity
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[field_name(self._entity, name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _find(self._entity, name) in self._values

    def __iter__(self) -> Iterator[str]:
        return (self._entity.fields[name].column for name in self._values)

    def __len__(self) -> int:
        return len(self._values)


class Target(Image, MutableMapping[str, Any]):
    """The columns that a write sets. Before the row is written they may be changed and further ones added."""

    def __init__(self, entity: Entity, values: dict[str, object], open_: bool) -> None:
        super().__init__(entity, values)
        self._draft = values
        self._open = open_

    def __setitem__(self, name: str, value: Any) -> None:
        self._require_open()
        self._draft[field_name(self._entity, name)] = value

    def __delitem__(self, name: str) -> None:
        self._require_open()
        del self._draft[field_name(self._entity, name)]

    def _require_open(self) -> None:
        if not self._open:
            raise TypeError("the row is written: a post-operation plug-in changes it through context.rows")


@dataclass(frozen=True)
class Context:
    """What a plug-in is given.

    ``target``: the columns being written (empty for Delete); ``pre_image``: the whole row before, from pre-operation on
    (None for Create); ``post_image``: the whole row after, in post-operation (None for Delete). ``principal``: who
    asks. ``rows``: further rows of any native table, in the same unit of work and as the system, with the names of the
    Web API. ``shared``: values that one stage leaves for a later one. ``depth``: 1 for a request's own write.
    """

    message: Message
    table: str
    stage: Stage
    target: Target
    pre_image: Image | None
    post_image: Image | None
    principal: Principal
    rows: Rows
    depth: int
    shared: dict[str, object]


@dataclass(frozen=True)
class Step:
    """A registered function. ``filtering``: names of fields; () runs always."""

    registration: Registration
    function: Callable[[Context], object]
    where: Where
    filtering: frozenset[str] = frozenset()

    async def run(self, draft: Draft) -> None:
        """Runs the function where the write concerns it. Raises Refusal FC4005 with what the plug-in says."""
        if self.filtering and not self.filtering & draft.values.keys():
            return
        given = self.registration
        if draft.origin == "sync" and not given.integration:
            return
        entity, done = draft.entity, given.stage == "post-operation"
        early = given.stage == "pre-validation"
        context = Context(
            message=given.message,
            table=given.table,
            stage=given.stage,
            target=Target(entity, draft.values, not done),
            pre_image=None if draft.before is None or early else Image(entity, draft.before),
            post_image=Image(entity, draft.after) if done and draft.after is not None else None,
            principal=draft.principal,
            rows=draft.rows,
            depth=draft.depth,
            shared=draft.shared,
        )
        try:
            result = self.function(context)
            if inspect.isawaitable(result):
                await _awaited(result)
        except PluginError as error:
            raise Refusal("FC4005", str(error) or "A plug-in turned the write down.", source=entity.name) from error


async def _awaited(result: Awaitable[object]) -> object:
    return await result


@dataclass(frozen=True)
class Plugins:
    """The steps of a solution, in the order in which they run."""

    steps: Mapping[tuple[str, WriteOperation, Stage], tuple[Step, ...]] = field(default_factory=dict)

    def of(self, table: str, operation: WriteOperation, stage: Stage) -> tuple[Step, ...]:
        return self.steps.get((table, operation, stage), ())

    def any(self, table: str, operation: WriteOperation, origin: Origin = "work") -> bool:
        """Whether some plug-in takes part in such writes."""
        steps = (step for stage in get_args(Stage) for step in self.of(table, operation, stage))
        return any(origin == "work" or step.registration.integration for step in steps)


def load_plugins(root: Path, native: Mapping[str, Entity], faults: Faults) -> Plugins:
    """The plug-ins of ``dataverse/plugins*.py``; what they name is checked."""
    found: list[Step] = []
    for script in load_scripts(root, "dataverse/plugins*.py", faults):
        for item in script.functions(_MARK):
            for registration in getattr(item, _MARK):
                try:
                    found.append(_step(registration, item, script.where(item), native))
                except DefinitionError as error:
                    faults.add(error)
    steps: dict[tuple[str, WriteOperation, Stage], list[Step]] = {}
    for step in sorted(found, key=lambda step: step.registration.rank):
        given = step.registration
        steps.setdefault((given.table, MESSAGES[given.message], given.stage), []).append(step)
    return Plugins({key: tuple(items) for key, items in steps.items()})


def _step(given: Registration, function: Callable[..., Any], where: Where, native: Mapping[str, Entity]) -> Step:
    entity = native.get(given.table)
    if entity is None:
        raise DefinitionError(
            where.file,
            where.line,
            f"plug-in {function.__name__} names '{given.table}', which is no native table.",
            suggest(given.table, native) or "A virtual table's logic belongs to its data entity.",
            "FC6002",
        )
    names = set()
    for column in given.filtering:
        name = _find(entity, column)
        if name is None:
            known = [found.column for found in entity.fields.values()]
            message = f"plug-in {function.__name__} names column '{column}', which {given.table} does not have."
            raise DefinitionError(where.file, where.line, message, suggest(column, known), "FC6002")
        names.add(name)
    return Step(given, function, where, frozenset(names))


def field_name(entity: Entity, name: str) -> str:
    """The field of a column's logical name, or of its name in the Web API. Raises KeyError with the nearest names."""
    found = _find(entity, name)
    if found is None:
        hint = suggest(name, [item.column for item in entity.fields.values()])
        raise KeyError(f"{entity.name} has no column '{name}'. {hint}")
    return found


def _find(entity: Entity, name: str) -> str | None:
    if name in entity.fields:
        return name
    lookup = f"_{name}_value"
    return lookup if lookup in entity.fields else None
