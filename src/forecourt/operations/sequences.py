"""Number sequences: document numbers without gaps, however many people take one at once.

The next number is taken in the transaction of the row that gets it: its row is locked until then, so that numbers are
given in the order of commits, and a write that is undone gives its number back. Taken as late as possible, since others
wait meanwhile. Definitions: ``operations/number_sequences.yaml``. Source: operations-and-integration 5.1, 8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from forecourt.kernel.errors import DefinitionError, Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.operations.definitions import NumberSequenceDefinition, NumberSequencesFile
from forecourt.store.folder import Faults, Loaded
from forecourt.store.unit import Unit

#: The table, in the operations database; made when the first number is wanted.
TABLE: Final = """
select pg_advisory_xact_lock({lock});
create schema if not exists forecourt;
create table if not exists forecourt.number_sequence (
    name text not null, company text not null default '', next bigint not null, primary key (name, company))"""

_TAKE = """
insert into forecourt.number_sequence as s (name, company, next) values ($1, $2, $3::bigint + $4::bigint)
on conflict (name, company) do update set next = s.next + $4::bigint returning next - $4::bigint"""

_PART = re.compile(r"\{(company|number)(?::([1-9][0-9]?))?\}")


class Sequences(Protocol):
    """Gives numbers."""

    async def take(self, unit: Unit, name: str, company: str) -> str: ...


@dataclass(frozen=True)
class NumberSequences:
    """The number sequences of a solution, by name."""

    definitions: Mapping[str, NumberSequenceDefinition]

    async def take(self, unit: Unit, name: str, company: str) -> str:
        """The next number, of the legal entity where the sequence has one for each."""
        definition = self.definitions[name]
        scope = company.lower() if definition.per_company else ""
        plan = SystemPlan(f"number of {name}", _TAKE, (name, scope, definition.start, definition.step))
        number = (await unit.system(plan))[0][0]
        if definition.largest is not None and number > definition.largest:
            raise Refusal("FC4091", f"Number sequence {name} is used up.", hint="Raise 'largest' of the sequence.")
        return written(definition.format, number, company)


def written(form: str, number: int, company: str) -> str:
    """A number in its form.

    >>> written("PO-{number:6}", 42, "usmf"), written("{company}-{number}", 7, "usmf")
    ('PO-000042', 'USMF-7')
    """

    def part(found: re.Match[str]) -> str:
        return company.upper() if found[1] == "company" else str(number).zfill(int(found[2] or 1))

    return _PART.sub(part, form)


def load_sequences(files: list[Loaded[NumberSequencesFile]], faults: Faults) -> NumberSequences:
    """The sequences of ``operations/number_sequences.yaml``."""
    found: dict[str, NumberSequenceDefinition] = {}
    for loaded in files:
        for name, definition in loaded.record.sequences.items():
            try:
                _check(loaded, name, definition)
            except DefinitionError as error:
                faults.add(error)
            found[name] = definition
    return NumberSequences(found)


def _check(loaded: Loaded[NumberSequencesFile], name: str, definition: NumberSequenceDefinition) -> None:
    path = ("sequences", name)
    rest = _PART.sub("", definition.format)
    if definition.format.count("{number") != 1 or "{" in rest or "}" in rest:
        raise loaded.document.error(
            f"'{definition.format}' is no form of a number.", *path, "format", hint="Write PO-{number:6}."
        )
    if definition.step < 1:
        raise loaded.document.error("a step is at least 1.", *path, "step")
    if "{company" in definition.format and not definition.per_company:
        raise loaded.document.error("only a sequence per company can show the company.", *path, "format")
