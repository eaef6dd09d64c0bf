"""Writes of data entities in the documented order of validation, for the entities and for their virtual tables.

::

    create   initial values | field validation | default | required | row validation | number sequences
    update   field validation | default | required | row validation
    delete   row validation
    after    what follows: totals, postings

What the asker supplies is never overwritten by an initial value. Source: operations-and-integration 5.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from forecourt.kernel.change import Draft, Origin
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Enum, Model
from forecourt.kernel.plan import WriteOperation
from forecourt.odata.body import read_value
from forecourt.odata.dialect import OPERATIONS
from forecourt.operations.definitions import EntityFile, FieldDefinition
from forecourt.operations.hooks import INFOLOG, Hook, Hooks, Row, noted
from forecourt.operations.sequences import NumberSequences
from forecourt.store.database import Database
from forecourt.store.folder import Faults, Loaded

#: Key in what the stages of a write share: the stages that have failed.
FAILED = "operations.failed"


@dataclass(frozen=True)
class FieldRules:
    """What the files say of an entity's fields: initial values (stored), number sequences, what is required."""

    initial: Mapping[str, object] = field(default_factory=dict)
    sequences: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    @property
    def any(self) -> bool:
        return bool(self.initial or self.sequences or self.required)


def field_rules(
    files: Sequence[Loaded[EntityFile]],
    entities: Mapping[str, Entity],
    enums: Mapping[str, Enum],
    sequences: NumberSequences,
    faults: Faults,
) -> dict[str, FieldRules]:
    """The rules of every entity. Faults: an initial value that does not fit, a sequence that does not exist."""
    model = Model(entities, enums)
    found = {}
    for loaded in files:
        entity = entities.get(loaded.record.name)
        if entity is None:
            continue
        initial: dict[str, object] = {}
        numbers: dict[str, str] = {}
        for name, value in loaded.record.fields.items():
            definition = FieldDefinition(column=value) if isinstance(value, str) else value
            path = ("fields", name)
            if definition.default is not None:
                given = (
                    Decimal(str(definition.default)) if isinstance(definition.default, float) else definition.default
                )
                try:
                    initial[name] = read_value(given, entity.fields[name], model, OPERATIONS)
                except Refusal as refusal:
                    faults.add(loaded.document.error(refusal.message, *path, "default", hint=refusal.hint))
            if definition.number_sequence is not None:
                numbers[name] = definition.number_sequence
                if definition.number_sequence not in sequences.definitions:
                    said = f"there is no number sequence '{definition.number_sequence}'."
                    hint = suggest(definition.number_sequence, sequences.definitions)
                    faults.add(loaded.document.error(said, *path, "number_sequence", hint=hint, code="FC6002"))
        required = frozenset(name for name, field in entity.fields.items() if field.required)
        found[entity.name] = FieldRules(initial, numbers, required)
    return found


@dataclass(frozen=True)
class EntityLogic:
    """Implements :class:`~forecourt.kernel.change.Logic` for data entities. ``rules``: by entity; ``companies``: ids of
    the legal entities, of which a new row needs one; none listed: any will do."""

    hooks: Hooks
    sequences: NumberSequences
    rules: Mapping[str, FieldRules]
    database: Database
    companies: tuple[str, ...] = ()

    def concerns(self, entity: Entity, operation: WriteOperation, origin: Origin = "work") -> bool:
        """Whether a function or a rule takes part: other rows may be written as a set."""
        name = entity.virtual_of or entity.name
        rules = self.rules.get(name)
        return self.hooks.any(name, operation) or (operation != "delete" and rules is not None and rules.any)

    async def validate(self, draft: Draft) -> None:
        """Nothing runs before the row is locked."""

    async def prepare(self, draft: Draft) -> None:
        name = draft.entity.virtual_of or draft.entity.name
        row = Row(draft)
        if draft.operation == "create":
            await self._initial(draft, name, row)
        if draft.operation != "delete":
            for supplied in sorted(draft.supplied):
                base = draft.entity.fields[supplied].base or supplied
                hooks = self.hooks.of(name, "field", draft.operation, base)
                await self._stage(draft, hooks, f"validateField failed on field '{base}'", row, draft.values[supplied])
            _turn_down(draft)
            await self._stage(draft, self.hooks.of(name, "default", draft.operation), "defaultRow failed", row)
            _turn_down(draft)
            self._required(draft, name, row)
        failed = "validateDelete failed" if draft.operation == "delete" else "validateWrite failed"
        await self._stage(draft, self.hooks.of(name, "row", draft.operation), failed, row)
        _turn_down(draft)
        if draft.operation == "create":
            await self._number(draft, name, row)

    async def finish(self, draft: Draft) -> None:
        name = draft.entity.virtual_of or draft.entity.name
        hooks = self.hooks.of(name, "finish", draft.operation)
        await self._stage(draft, hooks, "a following step failed", Row(draft))
        _turn_down(draft)

    # -- steps ----------------------------------------------------------------------------------------------------

    async def _stage(self, draft: Draft, hooks: Iterable[Hook], failed: str, row: Row, *more: object) -> None:
        """Runs functions. What one raises ends the write with the lines noted so far; lines alone wait."""
        last = f"{failed} on data source '{draft.entity.virtual_of or draft.entity.name}'"
        count = len(noted(draft.shared, INFOLOG))
        for hook in hooks:
            try:
                await hook.run(row, *more)
            except Refusal as refusal:
                if refusal.code == "FC4005" and not refusal.inner:
                    refusal.inner = _infolog(draft, refusal.message, last)
                raise
        if len(noted(draft.shared, INFOLOG)) > count:
            noted(draft.shared, FAILED).append(last)

    async def _initial(self, draft: Draft, name: str, row: Row) -> None:
        """Initial values, without those that the asker has supplied. A null is no value here."""
        given = {key: value for key, value in draft.values.items() if value is not None}
        company, user = draft.entity.company, draft.principal.operations_user
        if company is not None and given.get(company) in (None, "") and user is not None:
            draft.values[company] = user.company
        elif company is not None and draft.origin == "work":
            given[company] = self._company(company, given.get(company))
        for key, value in self.rules.get(name, FieldRules()).initial.items():
            row[key] = value
        await self._stage(draft, self.hooks.of(name, "initial", "create"), "initValue failed", row)
        _turn_down(draft)
        draft.values.update(given)

    def _company(self, name: str, value: object) -> object:
        """A legal entity as it is written, whatever case it is given in. Raises Refusal FC1003."""
        found = next((item for item in self.companies if item.casefold() == str(value).casefold()), None)
        if found is None and self.companies:
            raise Refusal(
                "FC1003",
                f"Legal entity '{str(value)[:20]}' does not exist.",
                hint=suggest(str(value), self.companies),
                source=name,
            )
        return value if found is None else found

    def _required(self, draft: Draft, name: str, row: Row) -> None:
        rules = self.rules.get(name, FieldRules())
        for key in sorted(rules.required):
            if row[key] in (None, "") and not (draft.operation == "create" and key in rules.sequences):
                raise Refusal("FC1003", f"Field '{key}' must be filled in.", source=key)

    async def _number(self, draft: Draft, name: str, row: Row) -> None:
        """Numbers come last: from then on others who want one wait."""
        company = draft.entity.company
        for key, sequence in self.rules.get(name, FieldRules()).sequences.items():
            if row[key] in (None, ""):
                unit = await draft.work.unit(self.database)
                where = str(draft.value(company) or "") if company is not None else ""
                row[key] = await self.sequences.take(unit, sequence, where)


def _turn_down(draft: Draft) -> None:
    """Raises Refusal FC4005 where functions have noted something, with all of it."""
    lines = noted(draft.shared, INFOLOG)
    if lines:
        name = draft.entity.virtual_of or draft.entity.name
        raise Refusal("FC4005", " ".join(lines), source=name, inner=_infolog(draft))


def _infolog(draft: Draft, error: str = "", last: str = "") -> str:
    """The original's words for a write that business logic turned down."""
    warnings = (*noted(draft.shared, INFOLOG), *noted(draft.shared, FAILED))
    lines = [*(f"Warning: {line}" for line in warnings)]
    lines += [f"Error: {error}", f"Warning: {last}"] if error else []
    said = "; ".join(line.rstrip(".") for line in lines)
    return f"Write failed for table row of type '{draft.entity.virtual_of or draft.entity.name}'. Infolog: {said}."
