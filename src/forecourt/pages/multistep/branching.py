"""Which step follows one that is done: the next with a form, past all conditions, or a redirect, or the end.

A condition looks at the row of its own source step, else at that of the step just done. The row is read as the person
may read it; of what they may not read, only what they have just written counts. What is not known makes no condition
hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from forecourt.dataverse.rows import Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.pages import formatting
from forecourt.pages.multistep.session import FormSession
from forecourt.pages.site.conditions import Condition, columns, holds
from forecourt.pages.site.step_definitions import (
    FormStep,
    MultistepForm,
    StepKind,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A step that is done: its row, and what was written to it."""

    step: FormStep
    row: UUID | None
    values: Mapping[str, object]


@dataclass(frozen=True)
class Branching:
    """Finds the way."""

    tables: Tables
    rows: Rows

    async def following(
        self, principal: Principal, form: MultistepForm, session: FormSession, answer: Answer
    ) -> FormStep | None:
        """The step after ``answer``; None at the end."""
        passed = {answer.step.id}
        step = form.steps.get(answer.step.next) if answer.step.next else None
        while step is not None and step.kind in (StepKind.CONDITION, StepKind.LOAD_USER_CONTROL):
            if step.id in passed:
                return None
            passed.add(step.id)
            lead = step.next
            if step.condition is not None:
                values = await self._values(principal, form, session, step, step.condition, answer)
                lead = step.next if holds(step.condition, values) else step.otherwise
            step = form.steps.get(lead) if lead else None
        return step

    async def _values(
        self,
        principal: Principal,
        form: MultistepForm,
        session: FormSession,
        step: FormStep,
        condition: Condition,
        answer: Answer,
    ) -> Mapping[str, Any]:
        """What the condition looks at, by the names it uses."""
        source, row, written = answer.step, answer.row, answer.values
        if step.source_step is not None and step.source_step != answer.step.id and step.source_step in form.steps:
            source, written = form.steps[step.source_step], {}
            made = session.rows.get(source.id)
            row = made.row if made is not None else None
        table = self.tables.by_name.get(source.table)
        if table is None or row is None:
            return {}
        wanted = {name: column for name in columns(condition) if (column := table.column(name)) is not None}
        readable = await self.rows.columns(principal, table.name, "read")
        names = tuple(dict.fromkeys(column.name for column in wanted.values() if column.name in readable))
        try:
            stored = (await self.rows.row(principal, table.name, row, names)).values
        except Refusal as refusal:
            if refusal.status >= 500:
                raise
            stored = {}
        known = {**written, **stored}
        return {name: self._plain(table, column.name, known.get(column.name)) for name, column in wanted.items()}

    def _plain(self, table: Table, name: str, value: Any) -> Any:
        """A value as a condition compares it: a yes/no of the ERP is true or false."""
        column = table.entity.fields[name]
        enum = self.tables.enums.get(column.enum) if column.enum else None
        if enum is not None and value is not None and formatting.is_yes_no(enum):
            member = formatting.member_of(enum, value)
            return member is not None and member.symbol.lower() == "yes"
        return value
