"""Where a person is in a multistep form, as one value, and what each step makes of it.

``path`` holds the steps that are done, in order, ``current`` the one after them; no other step can be opened, so that
none is reached before those in front of it. Rows are kept by step and outlive a change of the way: who goes back, takes
another branch and returns finds the row that was made there. All functions are pure, and doing a step twice is doing it
once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

#: Characters of what is typed in one step and not sent yet, beyond which it is not kept.
MAX_DRAFT: Final = 200_000


@dataclass(frozen=True, slots=True)
class Made:
    """The row of a step. ``once``: number of the form that made it, '' for one that was there; ``files``: digest of
    the files that were sent last, '' without any."""

    row: UUID
    once: str = ""
    files: str = ""


@dataclass(frozen=True, slots=True)
class FormSession:
    """``subject``: of the query that the form was opened with, what its steps look at. ``current`` None: it is sent.

    ``drafts``: what was typed in a step and is not stored, by step. ``version``: of what is kept, 0 for a session that
    is not kept yet.
    """

    id: UUID
    subject: Mapping[str, str]
    current: UUID | None
    path: tuple[UUID, ...] = ()
    rows: Mapping[UUID, Made] = field(default_factory=dict)
    drafts: Mapping[UUID, Mapping[str, str]] = field(default_factory=dict)
    version: int = 0

    @property
    def finished(self) -> bool:
        return self.current is None

    def open_to(self, step: UUID) -> bool:
        """Whether the step is done or next."""
        return step == self.current or step in self.path

    def before(self, step: UUID) -> UUID | None:
        """The step before, None for the first."""
        at = self.path.index(step) if step in self.path else len(self.path)
        return self.path[at - 1] if at else None

    def done(self, step: UUID, made: Made | None, following: UUID | None) -> FormSession:
        """After a step that leads to ``following``, None at the end. Where that is another way than before, what was
        done on the old one is to be done no more."""
        rows = {**self.rows, step: made} if made is not None else self.rows
        drafts = {key: draft for key, draft in self.drafts.items() if key != step}
        if step in self.path:
            at = self.path.index(step)
            behind = self.path[at + 1] if at + 1 < len(self.path) else self.current
            if behind == following:
                return replace(self, rows=rows, drafts=drafts)
            return replace(self, path=self.path[: at + 1], current=following, rows=rows, drafts=drafts)
        return replace(self, path=(*self.path, step), current=following, rows=rows, drafts=drafts)

    def holding(self, step: UUID, made: Made) -> FormSession:
        """With the row of a step that is not done yet."""
        return replace(self, rows={**self.rows, step: made})

    def drafted(self, step: UUID, typed: Mapping[str, str]) -> FormSession:
        """With what was typed in a step that is not sent; too much of it is not kept."""
        size = sum(len(name) + len(text) for name, text in typed.items())
        if size > MAX_DRAFT:
            return self
        return replace(self, drafts={**self.drafts, step: dict(typed)})

    def dump(self) -> str:
        """The session as text."""
        return json.dumps(
            {
                "subject": dict(self.subject),
                "current": str(self.current) if self.current else None,
                "path": [str(step) for step in self.path],
                "rows": {str(step): [str(made.row), made.once, made.files] for step, made in self.rows.items()},
                "drafts": {str(step): dict(typed) for step, typed in self.drafts.items()},
            }
        )


def load(session_id: UUID, text: str, version: int) -> FormSession:
    """A session that was kept as text."""
    data = json.loads(text)
    return FormSession(
        session_id,
        data["subject"],
        UUID(data["current"]) if data["current"] else None,
        tuple(UUID(step) for step in data["path"]),
        {UUID(step): Made(UUID(row), *more) for step, (row, *more) in data["rows"].items()},
        {UUID(step): typed for step, typed in data["drafts"].items()},
        version,
    )
