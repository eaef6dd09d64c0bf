"""Forms that were sent: one that is sent twice is done once.

A form's mark is kept in the unit of work that does what the form asks, so that either both are there or neither. A
second sending of the same mark waits for the first, then learns which row it made. Leaves out what a mark is made of.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database
from forecourt.store.work import Work

SCRIPTS: Final = (
    (
        "submissions",
        """
    create table forecourt.submission (
        mark bytea primary key,
        row_id uuid,
        at timestamptz not null default now());
    create index submission_at on forecourt.submission (at);
    """,
    ),
)

#: Hours for which a mark is kept.
KEPT: Final = 24

_CLAIM: Final = f"""
with old as (
    delete from forecourt.submission where mark in (
        select mark from forecourt.submission where at < now() - interval '{KEPT} hours'
        order by at limit 20 for update skip locked))
insert into forecourt.submission (mark) values ($1) on conflict (mark) do nothing returning mark
"""
_MADE: Final = "select row_id from forecourt.submission where mark = $1"
_KEEP: Final = "update forecourt.submission set row_id = $2 where mark = $1"


class Submissions:
    """The marks of forms in Forecourt's own schema."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, work: Work, mark: bytes) -> UUID | None:
        """None for who sends the mark first; else the row that was made."""
        unit = await work.unit(self._database)
        if await unit.system(SystemPlan("claim a form's mark", _CLAIM, (mark,))):
            return None
        rows = await unit.system(SystemPlan("read what a form made", _MADE, (mark,)), writes=False)
        found = rows[0]["row_id"] if rows else None
        return None if found is None else UUID(str(found))

    async def keep(self, work: Work, mark: bytes, row_id: UUID) -> None:
        """Says which row was made."""
        unit = await work.unit(self._database)
        await unit.system(SystemPlan("keep what a form made", _KEEP, (mark, row_id)))
