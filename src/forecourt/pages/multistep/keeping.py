"""Sessions of multistep forms as they are kept: whose they are, which one an address names, how two windows meet.

A session that an address names and nobody has begun is a new one, at the first step only; it is kept when that step is
sent. Somebody else's does not exist.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from forecourt.dataverse.rows import Rows
from forecourt.dataverse.tables import Tables
from forecourt.kernel.errors import Refusal, not_found
from forecourt.pages.lookups import uuid_of
from forecourt.pages.multistep.session import FormSession, Made, load
from forecourt.pages.ports import FormSessions
from forecourt.pages.site import FormStep, MultistepForm, Page
from forecourt.pages.visit import Visit

SESSION: Final = "sessionid"
STEP: Final = "stepid"

#: How often a session that another window has changed is read anew before this one gives up.
_TRIES: Final = 8


@dataclass(frozen=True)
class At:
    """A person at a step. ``owner``: whose session it is; ``definition``: the form to show, which edits where the step
    has made its row already; ``row``: that row."""

    visit: Visit
    page: Page
    form: MultistepForm
    session: FormSession
    step: FormStep
    owner: bytes

    @property
    def made(self) -> Made | None:
        return self.session.rows.get(self.step.id)


@dataclass(frozen=True)
class Keeping:
    """Finds and keeps sessions."""

    sessions: FormSessions
    tables: Tables
    rows: Rows

    async def closed(self, visit: Visit, form: MultistepForm, session: FormSession) -> bool:
        """Whether it is sent, and what was sent is changed no more."""
        if not session.finished:
            return False
        first = form.steps.get(session.path[0]) if session.path else None
        return form.several or not form.edit or first is None or await self.expired(visit, form, session, first)

    async def expired(self, visit: Visit, form: MultistepForm, session: FormSession, first: FormStep) -> bool:
        """Whether the row that the form began with has the state in which it is changed no more."""
        state, status = form.expired
        made, table = session.rows.get(first.id), self.tables.by_name.get(first.table)
        if (state is None and status is None) or made is None or table is None:
            return False
        wanted = {"statecode": state, "statuscode": status}
        names = tuple(name for name, code in wanted.items() if code is not None and table.column(name) is not None)
        row = await self.rows.row(visit.principal, table.name, made.row, names)
        return all(str(row.values.get(name)) == str(wanted[name]) for name in names)

    async def session(self, visit: Visit, form: MultistepForm, query: Mapping[str, str] | None = None) -> FormSession:
        """The session that the address names: the person's own, or a new one at the first step. Raises FC4041."""
        asked = visit.query if query is None else query
        session_id = uuid_of(asked.get(SESSION))
        if session_id is None or form.start is None:
            raise not_found("The session of this form")
        found = await self.stored(visit, form, session_id)
        if found is not None:
            return found
        if uuid_of(asked.get(STEP)) != form.start:
            raise not_found("The session of this form")
        return FormSession(session_id, subject_of(form, asked), form.start)

    async def stored(self, visit: Visit, form: MultistepForm, session_id: UUID) -> FormSession | None:
        """A session that is kept. Steps that the form no longer has are done no more. Raises FC4041 for another's."""
        found = await self.sessions.load(session_id, form.id)
        if found is None:
            return None
        owner, text, version = found
        if not secrets.compare_digest(owner, owner_of(visit)):
            raise not_found("The session of this form")
        session = load(session_id, text, version)
        known = [step for step in session.path if step in form.steps]
        gone = session.current is not None and session.current not in form.steps
        if len(known) != len(session.path) or gone:
            return replace(session, path=(), current=form.start)
        return session

    async def begin(self, at: At) -> At:
        """Keeps the new session, or takes the one that there is: of this number, or of a form that is sent once."""
        text = urlencode(sorted(at.session.subject.items()))
        if await self.sessions.begin(at.session.id, at.owner, at.form.id, text, not at.form.several, at.session.dump()):
            return replace(at, session=replace(at.session, version=1))
        session = await self.stored(at.visit, at.form, at.session.id)
        if session is None:
            for finished in (False, True):
                other = await self.sessions.latest(at.owner, at.form.id, text, finished)
                session = await self.stored(at.visit, at.form, other) if other is not None else session
        if session is None:
            raise not_found("The session of this form")
        return replace(at, session=session)

    async def keep(self, at: At, change: Callable[[FormSession], FormSession]) -> FormSession:
        """Keeps the session after a change, which is made anew where another window was quicker."""
        session = at.session
        for _ in range(_TRIES):
            changed = change(session)
            if await self.sessions.save(session.id, at.owner, changed.dump(), changed.finished, session.version):
                return changed
            found = await self.stored(at.visit, at.form, session.id)
            if found is None:
                raise not_found("The session of this form")
            session = found
        raise Refusal("FC4121", "The form is open in another window, which is sending it.")


def owner_of(visit: Visit) -> bytes:
    """Whom a session belongs to: the contact, the account without one, or the browser of a visitor; b"" for none."""
    contact = visit.principal.contact
    if contact is not None:
        return _digest(b"contact", contact.id.bytes)
    if visit.session is not None:
        return _digest(b"account", visit.session.credential.id.bytes)
    return _digest(b"visitor", visit.visitor_cookie.encode()) if visit.visitor_cookie else b""


def _digest(kind: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=32, person=kind).digest()


def subject_of(form: MultistepForm, query: Mapping[str, str]) -> Mapping[str, str]:
    """What of a query the steps look at, by lower-case names."""
    basics = [step.basic for step in form.steps.values() if step.basic is not None]
    names = {name.lower() for basic in basics for name in (basic.id_parameter, basic.parent_parameter) if name}
    return {name.lower(): value for name, value in query.items() if name.lower() in names - {SESSION, STEP}}
