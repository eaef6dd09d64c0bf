"""Pages with a multistep form: the step that a person is at, what they send, and where that leads (A4.4).

An address names the session and the step (``?sessionid=…&stepid=…``). Each step is a form of its own, opened and
written as on any page, by the person's own rights. A step that is done already changes its row instead of making a
second one, so that going back, a second window and a form that is sent twice do no harm. Leaves out how the way is
found (:mod:`~forecourt.pages.multistep.branching`) and what a session is.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from starlette.responses import RedirectResponse, Response

from forecourt.dataverse.rows import Rows
from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal, not_found
from forecourt.pages import site_map
from forecourt.pages.details import Forms, Makes, heading_of
from forecourt.pages.editing import ONCE, VERSION, WAS
from forecourt.pages.filling import TOO_OLD, Asked, Filling, Opened, Written
from forecourt.pages.inputs import text_of
from forecourt.pages.multistep.branching import Answer, Branching
from forecourt.pages.multistep.progress import way
from forecourt.pages.multistep.session import FormSession, Made, load
from forecourt.pages.ports import FormSessions
from forecourt.pages.render import Renderer, finish
from forecourt.pages.site import FormMode, FormStep, MultistepForm, Page, Site, StepKind
from forecourt.pages.site.definitions import StepSource
from forecourt.pages.visit import Visit
from forecourt.web.requests import local_url
from forecourt.web.translation import N_

SESSION = "sessionid"
STEP = "stepid"

#: The buttons of a step.
MOVE = "@move"
PREVIOUS = "previous"
RESTART = "restart"

#: How often a session that another window has changed is read anew before this one gives up.
_TRIES = 8

_SENT = N_("It is sent. Thank you.")
_CLOSED = N_("You have already completed a submission. Thank you!")
_LOST = N_("What you were working on is no longer there, or no longer open to you.")
_MEANWHILE = N_("You filled this in in two windows. Decide below what shall stay.")


@dataclass(frozen=True)
class _At:
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


class MultistepPages:
    """Shows and takes the steps."""

    def __init__(
        self,
        site: Site,
        forms: Forms,
        rows: Rows,
        renderer: Renderer,
        filling: Filling,
        sessions: FormSessions,
        makes: Callable[[Visit, Page], Makes],
    ) -> None:
        self._site = site
        self._forms = forms
        self._rows = rows
        self._renderer = renderer
        self._filling = filling
        self._sessions = sessions
        self._makes = makes
        self._branching = Branching(forms.tables, rows)

    def takes(self, visit: Visit, page: Page) -> bool:
        """Whether a visitor may send the form: each step decides for itself what they may do."""
        form = self._site.multistep_of(page)
        return form is not None and not form.sign_in

    async def get(self, visit: Visit, page: Page, form: MultistepForm) -> Response:
        """The step that the address names; the one to go on with where it names none. Raises Refusal FC4042, FC4041."""
        if form.sign_in and not visit.signed_in:
            return finish(visit, RedirectResponse(f"/SignIn?{urlencode({'returnUrl': visit.return_url})}", 303))
        if SESSION not in visit.query:
            return await self._arrive(visit, page, form)
        session = await self._session(visit, form)
        wanted = _uuid(visit.query.get(STEP)) or session.current
        if wanted is None or await self._closed(visit, form, session):
            return await self._end(visit, page, form, session)
        if not session.open_to(wanted):
            return self._to(visit, page, session, session.current)
        at = _At(visit, page, form, session, form.steps[wanted], _owner(visit))
        if at.made is not None and wanted != session.current and not self._may_read(visit, at.step):
            return self._to(visit, page, session, session.current)
        draft = session.drafts.get(wanted)
        try:
            if self._reads(at):
                return await self._show_row(at)
            opened = await self._open(at)
            filled = opened.editor.again(opened.row, draft, {}) if draft else self._filling.blank(opened)
            return await self._show(at, opened, Asked(filled), draft or {})
        except Refusal as refusal:
            return await self._lost(at, refusal)

    async def post(self, visit: Visit, page: Page, form: MultistepForm, posted: Mapping[str, str]) -> Response:
        """Takes a step, and leads to the one that follows."""
        if form.sign_in and not visit.signed_in:
            raise Refusal("FC2001", "Sign in first.")
        session = await self._session(visit, form)
        wanted = _uuid(visit.query.get(STEP)) or session.current
        if wanted is None or not session.open_to(wanted) or await self._closed(visit, form, session):
            return self._to(visit, page, session, session.current)
        at = _At(visit, page, form, session, form.steps[wanted], _owner(visit))
        try:
            visit.require_token(posted.get(csrf.FIELD))
            trusted = True
        except Refusal:
            trusted = False
        if not trusted and (self._reads(at) or posted.get(MOVE)):
            return await self._show_row(at, TOO_OLD) if self._reads(at) else await self._again(at, posted, TOO_OLD)
        if trusted and posted.get(MOVE) == RESTART and form.several:
            await self._sessions.drop(session.id, at.owner)
            return finish(visit, RedirectResponse(_address(page, self._start(form, session.subject)), 303))
        if trusted and not session.version:
            at = await self._begin(at)
            if at.session.finished:
                return finish(visit, RedirectResponse(page.path, 303))
        if trusted and posted.get(MOVE) == PREVIOUS:
            return await self._back(at, posted)
        return await self._forward(at, posted)

    async def replay(self, visit: Visit, page: Page, query: Mapping[str, str], posted: Mapping[str, str]) -> Response:
        """The step with what was typed before the session of the browser ended. Nothing is written."""
        form = self._site.multistep_of(page)
        if form is None:
            raise Refusal("FC4042", "The form does not exist.")
        session = await self._session(visit, form, query)
        wanted = _uuid(query.get(STEP)) or session.current
        if wanted is None or session.finished or not session.open_to(wanted):
            return self._to(visit, page, session, session.current)
        at = _At(visit, page, form, session, form.steps[wanted], _owner(visit))
        return await self._again(at, posted, "", replayed=True)

    # -- coming and going --------------------------------------------------------------------------------------

    async def _arrive(self, visit: Visit, page: Page, form: MultistepForm) -> Response:
        """Leads to the session to go on with, or to a new one."""
        if form.start is None:
            raise Refusal("FC4042", "The form has no step to begin with.")
        subject, owner = _subject(form, visit.query), _owner(visit)
        text = urlencode(sorted(subject.items()))
        notice = {"notice": visit.query["notice"]} if "notice" in visit.query else {}
        if owner and not form.fresh:
            open_one = await self._sessions.latest(owner, form.id, text, False)
            if open_one is not None:
                return finish(visit, RedirectResponse(_address(page, {SESSION: str(open_one), **notice}), 303))
        if owner and not form.several:
            sent = await self._sessions.latest(owner, form.id, text, True)
            if sent is not None:
                return await self._revisit(visit, page, form, sent)
        return finish(visit, RedirectResponse(_address(page, {**self._start(form, subject), **notice}), 303))

    def _start(self, form: MultistepForm, subject: Mapping[str, str]) -> Mapping[str, str]:
        return {**subject, SESSION: str(uuid4()), STEP: str(form.start)}

    async def _revisit(self, visit: Visit, page: Page, form: MultistepForm, session_id: UUID) -> Response:
        """What somebody finds who has sent a form that is sent once: what they sent, where it may still be changed."""
        if not form.edit:
            return await self._said(visit, page, form.closed_text or _CLOSED)
        session = await self._stored(visit, form, session_id)
        if session is None or await self._closed(visit, form, session):
            return await self._said(visit, page, form.expired_text or _CLOSED)
        return self._to(visit, page, session, session.path[0])

    async def _closed(self, visit: Visit, form: MultistepForm, session: FormSession) -> bool:
        """Whether it is sent, and what was sent is changed no more."""
        if not session.finished:
            return False
        first = form.steps.get(session.path[0]) if session.path else None
        return form.several or not form.edit or first is None or await self._expired(visit, form, session, first)

    async def _expired(self, visit: Visit, form: MultistepForm, session: FormSession, first: FormStep) -> bool:
        """Whether the row that the form began with has the state in which it is changed no more."""
        state, status = form.expired
        made, table = session.rows.get(first.id), self._forms.tables.by_name.get(first.table)
        if (state is None and status is None) or made is None or table is None:
            return False
        wanted = {"statecode": state, "statuscode": status}
        names = tuple(name for name, code in wanted.items() if code is not None and table.column(name) is not None)
        row = await self._rows.row(visit.principal, table.name, made.row, names)
        return all(str(row.values.get(name)) == str(wanted[name]) for name in names)

    async def _session(self, visit: Visit, form: MultistepForm, query: Mapping[str, str] | None = None) -> FormSession:
        """The session that the address names: the person's own, or a new one at the first step. Raises FC4041."""
        asked = visit.query if query is None else query
        session_id = _uuid(asked.get(SESSION))
        if session_id is None or form.start is None:
            raise not_found("The session of this form")
        found = await self._stored(visit, form, session_id)
        if found is not None:
            return found
        if _uuid(asked.get(STEP)) != form.start:
            raise not_found("The session of this form")
        return FormSession(session_id, _subject(form, asked), form.start)

    async def _stored(self, visit: Visit, form: MultistepForm, session_id: UUID) -> FormSession | None:
        """A session that is kept. Steps that the form no longer has are done no more. Raises FC4041 for another's."""
        found = await self._sessions.load(session_id, form.id)
        if found is None:
            return None
        owner, text, version = found
        if not secrets.compare_digest(owner, _owner(visit)):
            raise not_found("The session of this form")
        session = load(session_id, text, version)
        known = [step for step in session.path if step in form.steps]
        gone = session.current is not None and session.current not in form.steps
        if len(known) != len(session.path) or gone:
            return replace(session, path=(), current=form.start)
        return session

    async def _begin(self, at: _At) -> _At:
        """Keeps the new session, or takes the one that there is: of this number, or of a form that is sent once."""
        text = urlencode(sorted(at.session.subject.items()))
        if await self._sessions.begin(
            at.session.id, at.owner, at.form.id, text, not at.form.several, at.session.dump()
        ):
            return replace(at, session=replace(at.session, version=1))
        session = await self._stored(at.visit, at.form, at.session.id)
        if session is None:
            for finished in (False, True):
                other = await self._sessions.latest(at.owner, at.form.id, text, finished)
                session = await self._stored(at.visit, at.form, other) if other is not None else session
        if session is None:
            raise not_found("The session of this form")
        return replace(at, session=session)

    async def _keep(self, at: _At, change: Callable[[FormSession], FormSession]) -> FormSession:
        """Keeps the session after a change, which is made anew where another window was quicker."""
        session = at.session
        for _ in range(_TRIES):
            changed = change(session)
            if await self._sessions.save(session.id, at.owner, changed.dump(), changed.finished, session.version):
                return changed
            found = await self._stored(at.visit, at.form, session.id)
            if found is None:
                raise not_found("The session of this form")
            session = found
        raise Refusal("FC4121", "The form is open in another window, which is sending it.")

    async def _back(self, at: _At, posted: Mapping[str, str]) -> Response:
        """To the step before; what was typed here stays in the session."""
        target = self._previous(at)
        if target is None:
            return self._to(at.visit, at.page, at.session, at.step.id)
        typed = {name: text for name, text in posted.items() if name not in (csrf.FIELD, MOVE)}
        reads = self._reads(at)
        session = at.session if reads else await self._keep(at, lambda found: found.drafted(at.step.id, typed))
        return self._to(at.visit, at.page, session, target)

    async def _forward(self, at: _At, posted: Mapping[str, str]) -> Response:
        """Writes the step, and leads on."""
        if at.step.id in at.session.path and not self._may_read(at.visit, at.step):
            return self._to(at.visit, at.page, at.session, at.session.current)  # sent twice; nothing to compare with
        try:
            if self._reads(at):
                made, values = await self._row(at), {}
            else:
                done, opened = await self._write(at, posted)
                if isinstance(done, Asked):
                    return await self._show(at, opened, done, posted)
                once = at.made.once if at.made is not None else posted.get(ONCE, "")
                made, values = Made(done.row, once), dict(done.values)
        except Refusal as refusal:
            return await self._lost(at, refusal)
        answer = Answer(at.step, made.row, values)
        following = await self._branching.following(at.visit.principal, at.form, at.session, answer)
        shows = following.id if following is not None and following.basic is not None else None
        session = await self._keep(at, lambda found: found.done(at.step.id, made, shows))
        if following is not None and following.kind is StepKind.REDIRECT:
            return finish(at.visit, RedirectResponse(await self._redirect(at, following, made.row), 303))
        return self._to(at.visit, at.page, session, shows)

    async def _write(self, at: _At, posted: Mapping[str, str]) -> tuple[Written | Asked, Opened]:
        opened = await self._open(at)
        if opened.new:
            key = hashlib.blake2b(at.session.id.bytes + at.step.id.bytes, digest_size=16, person=b"form step").digest()
            return await self._filling.write(opened, posted, key), opened
        if VERSION in posted:
            return await self._filling.write(opened, posted), opened
        # The form by which the row was made, sent again: from here, or from another window that did not know of it.
        editor, stored = opened.editor, opened.row.values
        own = at.made is not None and at.made.once == posted.get(ONCE, "")
        fields = [item for section in editor.sections for item in section.fields if item.name in posted]
        was = {
            WAS + item.name: text_of(item, stored.get(item.name), editor.enums, editor.locales) if own else ""
            for item in fields
        }
        typed = {**posted, **was}
        if own or all(posted[item.name] in ("", stored_text(opened, item.name)) for item in fields):
            return await self._filling.write(opened, typed), opened
        asked = await self._filling.conflict(opened, typed)
        return replace(asked, banner=_MEANWHILE), opened

    def _to(self, visit: Visit, page: Page, session: FormSession, step: UUID | None) -> Response:
        more = {STEP: str(step)} if step is not None else {}
        return finish(visit, RedirectResponse(_address(page, {SESSION: str(session.id), **more}), 303))

    async def _redirect(self, at: _At, step: FormStep, row: UUID) -> str:
        """Where a redirect step leads."""
        found = step.redirection
        assert found is not None
        target = self._site.pages.get(found.page) if found.page else None
        url = target.path if target is not None else found.url
        url = local_url(url) if url.startswith("/") else url
        more: dict[str, str] = dict(at.session.subject) if found.keep_query else {}
        if found.id_parameter:
            more[found.id_parameter] = str(row)
        table = self._forms.tables.by_name.get(at.step.table)
        column = table.column(found.column) if table is not None else None
        if table is not None and column is not None and found.parameter:
            value = (await self._rows.row(at.visit.principal, table.name, row, (column.name,))).values.get(column.name)
            more[found.parameter] = "" if value is None else str(value)
        query = "&".join(part for part in (urlencode(more), found.query.lstrip("?&")) if part)
        return f"{url}{'&' if '?' in url else '?'}{query}" if query else url

    # -- steps -------------------------------------------------------------------------------------------------

    def _reads(self, at: _At) -> bool:
        """Whether the step only shows its row: as it is meant, or because the person may not change what it made."""
        basic = at.step.basic
        assert basic is not None
        if basic.mode is FormMode.READ_ONLY:
            return True
        return at.made is not None and not self._rows.may(at.visit.principal, basic.table, "write")

    async def _row(self, at: _At) -> Made:
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
        return Made(self._forms.row_id(step.basic, at.visit.principal, session.subject))

    async def _open(self, at: _At) -> Opened:
        step, session = at.step, at.session
        basic = step.basic
        assert basic is not None
        if basic.mode is FormMode.INSERT and at.made is None:
            parent = session.rows.get(step.reference_step) if step.reference_step else None
            if step.reference_step and parent is None:
                raise not_found("The row of an earlier step")
            return await self._filling.open(
                at.visit, at.page, basic, session.subject, parent=parent.row if parent is not None else None
            )
        row = (await self._row(at)).row
        definition = replace(basic, mode=FormMode.EDIT)
        return await self._filling.open(at.visit, at.page, definition, session.subject, row)

    def _previous(self, at: _At) -> UUID | None:
        """The step to go back to: one whose row the person may read."""
        if not at.step.back:
            return None
        before = at.session.before(at.step.id)
        step = at.form.steps.get(before) if before is not None else None
        if step is None or step.basic is None:
            return None
        return step.id if self._may_read(at.visit, step) else None

    def _may_read(self, visit: Visit, step: FormStep) -> bool:
        """Whether the person may read rows of the step's table at all: who only makes them cannot come back to one."""
        return step.basic is not None and self._rows.may(visit.principal, step.basic.table, "read")

    # -- pages -------------------------------------------------------------------------------------------------

    async def _again(self, at: _At, posted: Mapping[str, str], banner: str, replayed: bool = False) -> Response:
        """The step with what was typed."""
        if self._reads(at):
            return await self._show_row(at)
        opened = await self._open(at)
        filled = opened.editor.again(opened.row, posted, {})
        return await self._show(at, opened, Asked(filled, 200 if replayed else 400, banner), posted)

    async def _show(self, at: _At, opened: Opened, asked: Asked, posted: Mapping[str, str]) -> Response:
        filled = await self._filling.dressed(opened, asked.filled, posted)
        below = () if opened.new else await self._below(at, opened)
        new = at.visit.locales.gettext("New %(kind)s", kind=opened.table.label)
        subject = new if opened.new else heading_of(opened.table, opened.row)
        once = (posted.get(ONCE) or secrets.token_urlsafe(16)) if opened.new else ""
        return await self._page(
            at, asked.status, filled=filled, banner=asked.banner, once=once, below=below, subject=subject, sections=()
        )

    async def _show_row(self, at: _At, banner: str = "") -> Response:
        """A step that is only read."""
        basic = at.step.basic
        assert basic is not None
        row = (await self._row(at)).row
        found = await self._forms.details(
            at.visit.principal,
            basic,
            row,
            at.visit.query,
            self._action(at),
            at.visit.locales,
            site_map.details_paths(self._site, at.visit, at.page),
            self._makes(at.visit, at.page),
        )
        return await self._page(
            at,
            400 if banner else 200,
            filled=None,
            banner=banner,
            once="",
            below=found.below,
            subject=found.heading,
            sections=found.sections,
        )

    async def _below(self, at: _At, opened: Opened) -> object:
        visit, page = at.visit, at.page
        return await self._forms.below(
            visit.principal,
            opened.definition,
            opened.row,
            visit.query,
            self._action(at),
            visit.locales,
            site_map.details_paths(self._site, visit, page),
            self._makes(visit, page),
        )

    def _action(self, at: _At) -> str:
        subject = {} if at.session.version else at.session.subject
        return _address(at.page, {**subject, SESSION: str(at.session.id), STEP: str(at.step.id)})

    async def _page(self, at: _At, status: int, banner: str, **shown: Any) -> Response:
        form, step = at.form, at.step
        assert step.basic is not None
        _ = at.visit.locales.gettext
        submit = (step.next_label or _("Next")) if step.next else (step.basic.submit_label or _("Submit"))
        return await self._renderer.page(
            at.visit,
            "step.html",
            title=step.title,
            page=at.page,
            status=status,
            text=await self._renderer.text(at.visit, at.page),
            way=way(form, at.session, step),
            instructions=step.instructions,
            banner=_(banner) if banner else "",
            action=self._action(at),
            submit=submit,
            previous=(step.previous_label or _("Previous")) if self._previous(at) is not None else "",
            restart=_("Start again") if form.several and at.session.version and at.session.path else "",
            **shown,
        )

    async def _end(self, visit: Visit, page: Page, form: MultistepForm, session: FormSession) -> Response:
        """After the last step."""
        last = form.steps.get(session.path[-1]) if session.path else None
        said = last.basic.success if last is not None and last.basic is not None else ""
        again = page.path if form.several else ""
        return await self._said(visit, page, said or _SENT, again)

    async def _said(self, visit: Visit, page: Page, text: str, again: str = "", status: int = 200) -> Response:
        return await self._renderer.page(
            visit,
            "step_end.html",
            title=self._site.content(page, visit.languages).title,
            page=page,
            status=status,
            said=visit.locales.gettext(text),
            again=again,
            notice=None,
        )

    async def _lost(self, at: _At, refusal: Refusal) -> Response:
        """A row of the session that is no longer there ends it; every other refusal is the page's."""
        if refusal.code != "FC4041" or not at.session.rows:
            raise refusal
        await self._sessions.drop(at.session.id, at.owner)
        text = at.step.columns.get("adx_recordnotfoundmessage", "") or _LOST
        return await self._said(at.visit, at.page, text, at.page.path, 404)


def stored_text(opened: Opened, name: str) -> str:
    """What an input of the form would hold for the stored value of a column."""
    editor = opened.editor
    item = next(item for section in editor.sections for item in section.fields if item.name == name)
    return text_of(item, opened.row.values.get(name), editor.enums, editor.locales)


def _owner(visit: Visit) -> bytes:
    """Whom a session belongs to: the contact, the account without one, or the browser of a visitor; b"" for none."""
    contact = visit.principal.contact
    if contact is not None:
        return _digest(b"contact", contact.id.bytes)
    if visit.session is not None:
        return _digest(b"account", visit.session.credential.id.bytes)
    return _digest(b"visitor", visit.visitor_cookie.encode()) if visit.visitor_cookie else b""


def _digest(kind: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=32, person=kind).digest()


def _subject(form: MultistepForm, query: Mapping[str, str]) -> Mapping[str, str]:
    """What of a query the steps look at, by lower-case names."""
    basics = [step.basic for step in form.steps.values() if step.basic is not None]
    names = {name.lower() for basic in basics for name in (basic.id_parameter, basic.parent_parameter) if name}
    return {name.lower(): value for name, value in query.items() if name.lower() in names - {SESSION, STEP}}


def _address(page: Page, query: Mapping[str, str]) -> str:
    return f"{page.path}?{urlencode(query)}" if query else page.path


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
