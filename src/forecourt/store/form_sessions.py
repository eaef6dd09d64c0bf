"""Sessions of multistep forms: where a person is in a form of several steps, kept until they come back.

A session belongs to one owner (a digest of the person, or of a visitor's cookie) and one form. What is in it is text
that the portal reads; here it has a version, so that two windows at once do not overwrite each other unseen. Of a form
that a person sends once there is one ``single`` session.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

SCRIPTS: Final = (
    (
        "form sessions",
        """
    create table forecourt.form_session (
        id uuid primary key,
        owner bytea not null,
        form uuid not null,
        subject text not null,
        single boolean not null,
        state text not null,
        finished boolean not null default false,
        version integer not null default 1,
        at timestamptz not null default now());
    create index form_session_owner on forecourt.form_session (owner, form);
    create unique index form_session_single on forecourt.form_session (owner, form, subject) where single;
    create index form_session_at on forecourt.form_session (at);
    """,
    ),
)

#: Days for which a session is kept that is not touched.
KEPT: Final = 30

_LOAD: Final = "select owner, state, version from forecourt.form_session where id = $1 and form = $2"
_LATEST: Final = """
select id from forecourt.form_session
where owner = $1 and form = $2 and subject = $3 and finished = $4 order by at desc, id limit 1
"""
_BEGIN: Final = f"""
with old as (
    delete from forecourt.form_session where id in (
        select id from forecourt.form_session where at < now() - interval '{KEPT} days'
        order by at limit 20 for update skip locked))
insert into forecourt.form_session (id, owner, form, subject, single, state) values ($1, $2, $3, $4, $5, $6)
on conflict do nothing returning id
"""
_SAVE: Final = """
update forecourt.form_session set state = $3, finished = $4, version = version + 1, at = now()
where id = $1 and owner = $2 and version = $5 returning id
"""
_DROP: Final = "delete from forecourt.form_session where id = $1 and owner = $2 returning id"


class FormSessions:
    """The sessions in Forecourt's own schema."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, session_id: UUID, form: UUID) -> tuple[bytes, str, int] | None:
        """Owner, state and version of a session of ``form``; None where there is none."""
        rows = await self._database.lookup(SystemPlan("load a form's session", _LOAD, (session_id, form)))
        return (bytes(rows[0]["owner"]), str(rows[0]["state"]), int(rows[0]["version"])) if rows else None

    async def latest(self, owner: bytes, form: UUID, subject: str, finished: bool) -> UUID | None:
        """The session of ``owner`` that was used last, among those that are finished or not."""
        plan = SystemPlan("find a form's session", _LATEST, (owner, form, subject, finished))
        rows = await self._database.lookup(plan)
        return UUID(str(rows[0]["id"])) if rows else None

    async def begin(self, session_id: UUID, owner: bytes, form: UUID, subject: str, single: bool, state: str) -> bool:
        """Keeps a new session; False where there is one of this id, or another of a form that is sent once."""
        values = (session_id, owner, form, subject, single, state)
        return bool(await self._database.system(SystemPlan("begin a form's session", _BEGIN, values)))

    async def save(self, session_id: UUID, owner: bytes, state: str, finished: bool, version: int) -> bool:
        """Keeps a session that was loaded with ``version``; False where it has changed meanwhile, or is no more."""
        plan = SystemPlan("keep a form's session", _SAVE, (session_id, owner, state, finished, version))
        return bool(await self._database.system(plan))

    async def drop(self, session_id: UUID, owner: bytes) -> None:
        """Ends a session of ``owner``."""
        await self._database.system(SystemPlan("drop a form's session", _DROP, (session_id, owner)))
