"""A step of a multistep form as a form: its row, whether it reads or writes, what sending it does.

A step that has made its row changes it from then on, so that going back, a second window and a form that is sent twice
do no harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from forecourt.dataverse.rows import Rows
from forecourt.kernel.errors import not_found
from forecourt.pages.details import Forms
from forecourt.pages.editing import ONCE, VERSION, WAS
from forecourt.pages.filling import Asked, Filling, Opened, Written
from forecourt.pages.inputs import text_of
from forecourt.pages.multistep.keeping import At
from forecourt.pages.multistep.session import Made
from forecourt.pages.notes.attaching import digest
from forecourt.pages.site import FormMode, FormStep
from forecourt.pages.site.step_definitions import StepSource
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_
from forecourt.web.uploads import Upload

_MEANWHILE = N_("You filled this in in two windows. Decide below what shall stay.")


@dataclass(frozen=True)
class Steps:
    """Opens and writes them."""

    forms: Forms
    rows: Rows
    filling: Filling

    def reads(self, at: At) -> bool:
        """Whether the step only shows its row: as it is meant, or because the person may not change what it made."""
        basic = at.step.basic
        assert basic is not None
        if basic.mode is FormMode.READ_ONLY:
            return True
        return at.made is not None and not self.rows.may(at.visit.principal, basic.table, "write")

    async def row(self, at: At) -> Made:
        """The row that a step shows or changes. Raises Refusal FC4041."""
        step, session = at.step, at.session
        assert step.basic is not None
        if at.made is not None:
            return at.made
        if step.source is StepSource.EARLIER_STEP:
            last = next((item for item in reversed(session.path) if item in session.rows), None)
            named = step.source_step or last
            source = session.rows.get(named) if named is not None else None
            if source is None:
                raise not_found("The row of an earlier step")
            return Made(source.row)
        return Made(self.forms.row_id(step.basic, at.visit.principal, session.subject))

    async def open(self, at: At, typed: Mapping[str, str] | None = None) -> Opened:
        """The step's form; ``typed``: as of :meth:`Filling.open`."""
        step, session = at.step, at.session
        basic = step.basic
        assert basic is not None
        if basic.mode is FormMode.INSERT and at.made is None:
            parent = session.rows.get(step.reference_step) if step.reference_step else None
            if step.reference_step and parent is None:
                raise not_found("The row of an earlier step")
            above = parent.row if parent is not None else None
            return await self.filling.open(at.visit, at.page, basic, session.subject, parent=above, typed=typed)
        row = (await self.row(at)).row
        definition = replace(basic, mode=FormMode.EDIT)
        return await self.filling.open(at.visit, at.page, definition, session.subject, row, typed=typed)

    def previous(self, at: At) -> UUID | None:
        """The step to go back to: one whose row the person may read."""
        if not at.step.back:
            return None
        before = at.session.before(at.step.id)
        step = at.form.steps.get(before) if before is not None else None
        if step is None or step.basic is None:
            return None
        return step.id if self.may_read(at.visit, step) else None

    def may_read(self, visit: Visit, step: FormStep) -> bool:
        """Whether the person may read rows of the step's table at all: who only makes them cannot come back to one."""
        return step.basic is not None and self.rows.may(visit.principal, step.basic.table, "read")

    async def write(
        self, at: At, posted: Mapping[str, str], files: Sequence[Upload] = ()
    ) -> tuple[Written | Asked, Opened]:
        """Writes what was typed, and ``files`` with it; a form that is sent twice brings them once."""
        opened = await self.open(at, posted)
        if opened.away:
            return await self.filling.write(opened, posted), opened
        own = at.made is not None and at.made.once == posted.get(ONCE, "")
        if files and own and at.made is not None and at.made.files == digest(files):
            files, opened = (), replace(opened, attach=None)
        if opened.new:
            key = hashlib.blake2b(at.session.id.bytes + at.step.id.bytes, digest_size=16, person=b"form step").digest()
            return await self.filling.write(opened, posted, key, files), opened
        if VERSION in posted:
            return await self.filling.write(opened, posted, files=files), opened
        # The form by which the row was made, sent again: from here, or from another window that did not know of it.
        editor, stored = opened.editor, opened.row.values
        fields = [item for section in editor.sections for item in section.fields if item.name in posted]
        was = {
            WAS + item.name: text_of(item, stored.get(item.name), editor.enums, editor.locales) if own else ""
            for item in fields
        }
        typed = {**posted, **was}
        if own or all(posted[item.name] in ("", stored_text(opened, item.name)) for item in fields):
            return await self.filling.write(opened, typed, files=files), opened
        asked = await self.filling.conflict(opened, typed)
        return replace(asked, banner=_MEANWHILE), opened


def stored_text(opened: Opened, name: str) -> str:
    """What an input of the form would hold for the stored value of a column."""
    editor = opened.editor
    item = next(item for section in editor.sections for item in section.fields if item.name == name)
    return text_of(item, opened.row.values.get(name), editor.enums, editor.locales)
