"""Pages with a multistep form: the step that a person is at, what they send, and where that leads (A4.4).

An address names the session and the step (``?sessionid=…&stepid=…``). Each step is a form of its own, opened and
written as on any page, by the person's own rights. A step that is done already changes its row instead of making a
second one, so that going back, a second window and a form that is sent twice do no harm. Leaves out how the way is
found (:mod:`~forecourt.pages.multistep.branching`) and what a session is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlencode
from uuid import UUID, uuid4

from starlette.responses import RedirectResponse, Response

from forecourt.dataverse.rows import Rows
from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.pages import subgrids
from forecourt.pages.details import Forms
from forecourt.pages.editing import ONCE
from forecourt.pages.filling import AGAIN, TOO_OLD, Asked, Filling, Opened
from forecourt.pages.lookups import uuid_of
from forecourt.pages.multistep.branching import Answer, Branching
from forecourt.pages.multistep.keeping import SESSION, STEP, At, Keeping, owner_of, subject_of
from forecourt.pages.multistep.session import FormSession, Made
from forecourt.pages.multistep.showing import Showing, address_of, shown_as
from forecourt.pages.multistep.steps import Steps
from forecourt.pages.notes import writing as notes_written
from forecourt.pages.notes.attaching import bounds, digest
from forecourt.pages.notes.reading import Notes
from forecourt.pages.notes.writing import NotePages
from forecourt.pages.ports import FormSessions
from forecourt.pages.render import Renderer, finish
from forecourt.pages.site import FormMode, FormStep, MultistepForm, Page, Site, StepKind
from forecourt.pages.subgrids import SubgridPages, Subgrids
from forecourt.pages.visit import Visit
from forecourt.web.requests import local_url, read_posted
from forecourt.web.translation import N_
from forecourt.web.uploads import Upload

#: The buttons of a step.
MOVE = "@move"
PREVIOUS = "previous"
RESTART = "restart"

#: In what was typed and is kept: files had been chosen, which are not.
CHOSEN = "@files"

_SENT = N_("It is sent. Thank you.")
_CLOSED = N_("You have already completed a submission. Thank you!")
_CHOOSE_AGAIN = N_("What you typed is kept; files are not. Choose them again.")
_LOST = N_("What you were working on is no longer there, or no longer open to you.")


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
        grids: Subgrids,
        beneath: SubgridPages,
        notes: Notes,
        noting: NotePages,
    ) -> None:
        self._noting = noting
        self._site = site
        self._forms = forms
        self._rows = rows
        self._renderer = renderer
        self._filling = filling
        self._sessions = sessions
        self._subgrids = grids
        self._beneath = beneath
        self._branching = Branching(forms.tables, rows)
        self._keeping = Keeping(sessions, forms.tables, rows)
        self._steps = Steps(forms, rows, filling)
        self._showing = Showing(site, forms, renderer, filling, self._steps, grids, notes)

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
        session = await self._keeping.session(visit, form)
        wanted = uuid_of(visit.query.get(STEP)) or session.current
        if wanted is None or await self._keeping.closed(visit, form, session):
            return await self._end(visit, page, form, session)
        if not session.open_to(wanted):
            return self._to(visit, page, session, session.current)
        at = At(visit, page, form, session, form.steps[wanted], owner_of(visit))
        if at.made is not None and wanted != session.current and not self._steps.may_read(visit, at.step):
            return self._to(visit, page, session, session.current)
        draft = session.drafts.get(wanted)
        try:
            if _beneath(visit.query):
                return await self._of_row(at, visit.query)
            if self._steps.reads(at):
                return await self._showing.row(at)
            opened = await self._steps.open(at)
            filled = opened.editor.again(opened.row, draft, {}) if draft else self._filling.blank(opened)
            banner = _CHOOSE_AGAIN if draft and CHOSEN in draft else ""
            return await self._showing.form(at, opened, Asked(filled, banner=banner), draft or {})
        except Refusal as refusal:
            return await self._lost(at, refusal)

    async def post(self, visit: Visit, page: Page, form: MultistepForm) -> Response:
        """Takes a step, and leads to the one that follows."""
        if form.sign_in and not visit.signed_in:
            raise Refusal("FC2001", "Sign in first.")
        session = await self._keeping.session(visit, form)
        wanted = uuid_of(visit.query.get(STEP)) or session.current
        if wanted is None or not session.open_to(wanted) or await self._keeping.closed(visit, form, session):
            return self._to(visit, page, session, session.current)
        at = At(visit, page, form, session, form.steps[wanted], owner_of(visit))
        if _beneath(visit.query):
            try:
                return await self._of_row(at, visit.query)
            except Refusal as refusal:
                return await self._lost(at, refusal)
        reads = self._steps.reads(at)
        offered = None if reads or at.step.basic is None else self._filling.attach(visit, at.step.basic)
        sent = await read_posted(visit.request, bounds(offered))
        posted = sent.fields
        try:
            visit.require_token(posted.get(csrf.FIELD))
            trusted = True
        except Refusal:
            trusted = False
        if not trusted and (reads or posted.get(MOVE)):
            return await (self._showing.row(at, TOO_OLD) if reads else self._again(at, posted, TOO_OLD))
        if trusted and posted.get(MOVE) == RESTART and form.several:
            await self._sessions.drop(session.id, at.owner)
            return finish(visit, RedirectResponse(address_of(page, self._start(form, session.subject)), 303))
        if trusted and not session.version:
            at = await self._keeping.begin(at)
            if at.session.finished:
                return finish(visit, RedirectResponse(page.path, 303))
        if trusted and posted.get(MOVE) == PREVIOUS:
            return await self._back(at, {**posted, CHOSEN: "1"} if sent.files else posted)
        return await self._forward(at, posted, sent.files)

    async def replay(self, visit: Visit, page: Page, query: Mapping[str, str], posted: Mapping[str, str]) -> Response:
        """The step with what was typed before the session of the browser ended. Nothing is written."""
        form = self._site.multistep_of(page)
        if form is None:
            raise Refusal("FC4042", "The form does not exist.")
        session = await self._keeping.session(visit, form, query)
        wanted = uuid_of(query.get(STEP)) or session.current
        if wanted is None or session.finished or not session.open_to(wanted):
            return self._to(visit, page, session, session.current)
        at = At(visit, page, form, session, form.steps[wanted], owner_of(visit))
        if _beneath(query):
            return await self._of_row(at, query, posted)
        return await self._again(at, posted, AGAIN, replayed=True)

    async def _of_row(self, at: At, query: Mapping[str, str], replayed: Mapping[str, str] | None = None) -> Response:
        """What is asked of a subgrid of the step or of its row's notes. The session stays where it is."""
        definition = at.step.basic
        assert definition is not None
        if definition.mode is FormMode.INSERT and at.made is None:
            raise Refusal("FC4042", "The form has no row yet.")
        row = (await self._steps.row(at)).row
        if not subgrids.asked(query):
            shown, url = shown_as(definition), self._showing.address(at)
            return await self._noting.answer(at.visit, at.page, shown, row, query, url, replayed)
        beneath = self._subgrids.at(at.page, definition, row, self._showing.address(at), query)
        return await self._beneath.answer(at.visit, beneath, replayed)

    # -- coming and going --------------------------------------------------------------------------------------

    async def _arrive(self, visit: Visit, page: Page, form: MultistepForm) -> Response:
        """Leads to the session to go on with, or to a new one."""
        if form.start is None:
            raise Refusal("FC4042", "The form has no step to begin with.")
        subject, owner = subject_of(form, visit.query), owner_of(visit)
        text = urlencode(sorted(subject.items()))
        notice = {"notice": visit.query["notice"]} if "notice" in visit.query else {}
        if owner and not form.fresh:
            open_one = await self._sessions.latest(owner, form.id, text, False)
            if open_one is not None:
                return finish(visit, RedirectResponse(address_of(page, {SESSION: str(open_one), **notice}), 303))
        if owner and not form.several:
            sent = await self._sessions.latest(owner, form.id, text, True)
            if sent is not None:
                return await self._revisit(visit, page, form, sent)
        return finish(visit, RedirectResponse(address_of(page, {**self._start(form, subject), **notice}), 303))

    def _start(self, form: MultistepForm, subject: Mapping[str, str]) -> Mapping[str, str]:
        return {**subject, SESSION: str(uuid4()), STEP: str(form.start)}

    async def _revisit(self, visit: Visit, page: Page, form: MultistepForm, session_id: UUID) -> Response:
        """What somebody finds who has sent a form that is sent once: what they sent, where it may still be changed."""
        if not form.edit:
            return await self._said(visit, page, form.closed_text or _CLOSED)
        session = await self._keeping.stored(visit, form, session_id)
        if session is None or await self._keeping.closed(visit, form, session):
            return await self._said(visit, page, form.expired_text or _CLOSED)
        return self._to(visit, page, session, session.path[0])

    async def _back(self, at: At, posted: Mapping[str, str]) -> Response:
        """To the step before; what was typed here stays in the session."""
        target = self._steps.previous(at)
        if target is None:
            return self._to(at.visit, at.page, at.session, at.step.id)
        typed = {name: text for name, text in posted.items() if name not in (csrf.FIELD, MOVE)}
        reads = self._steps.reads(at)
        session = at.session if reads else await self._keeping.keep(at, lambda found: found.drafted(at.step.id, typed))
        return self._to(at.visit, at.page, session, target)

    async def _forward(self, at: At, posted: Mapping[str, str], files: Sequence[Upload]) -> Response:
        """Writes the step, and leads on."""
        if at.step.id in at.session.path and not self._steps.may_read(at.visit, at.step):
            return self._to(at.visit, at.page, at.session, at.session.current)  # sent twice; nothing to compare with
        opened: Opened | None = None
        try:
            if self._steps.reads(at):
                made, values = await self._steps.row(at), {}
            else:
                done, opened = await self._steps.write(at, posted, files)
                if isinstance(done, Asked):
                    return await self._showing.form(at, opened, done, posted)
                once = at.made.once if at.made is not None else posted.get(ONCE, "")
                before = at.made.files if at.made is not None else ""
                made, values = Made(done.row, once, digest(files) or before), dict(done.values)
        except Refusal as refusal:
            return await self._lost(at, refusal)
        answer = Answer(at.step, made.row, values)
        try:
            following = await self._branching.following(at.visit.principal, at.form, at.session, answer)
        except Unavailable:
            if opened is None:
                raise
            # The row is there; the next sending changes it, and finds the way.
            kept = await self._keeping.keep(at, lambda found: found.holding(at.step.id, made))
            return await self._showing.form(
                replace(at, session=kept), opened, self._filling.kept(opened, posted), posted
            )
        shows = following.id if following is not None and following.basic is not None else None
        session = await self._keeping.keep(at, lambda found: found.done(at.step.id, made, shows))
        if following is not None and following.kind is StepKind.REDIRECT:
            return finish(at.visit, RedirectResponse(await self._redirect(at, following, made.row), 303))
        return self._to(at.visit, at.page, session, shows)

    def _to(self, visit: Visit, page: Page, session: FormSession, step: UUID | None) -> Response:
        more = {STEP: str(step)} if step is not None else {}
        return finish(visit, RedirectResponse(address_of(page, {SESSION: str(session.id), **more}), 303))

    async def _redirect(self, at: At, step: FormStep, row: UUID) -> str:
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

    # -- pages -------------------------------------------------------------------------------------------------

    async def _again(self, at: At, posted: Mapping[str, str], banner: str, replayed: bool = False) -> Response:
        """The step with what was typed."""
        if self._steps.reads(at):
            return await self._showing.row(at)
        opened = await self._steps.open(at, posted)
        if opened.away:
            return await self._showing.form(at, opened, self._filling.kept(opened, posted), posted)
        filled = opened.editor.again(opened.row, posted, {})
        return await self._showing.form(at, opened, Asked(filled, 200 if replayed else 400, banner), posted)

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

    async def _lost(self, at: At, refusal: Refusal) -> Response:
        """A row of the session that is no longer there ends it; every other refusal is the page's."""
        if refusal.code != "FC4041" or not at.session.rows:
            raise refusal
        await self._sessions.drop(at.session.id, at.owner)
        text = at.step.columns.get("adx_recordnotfoundmessage", "") or _LOST
        return await self._said(at.visit, at.page, text, at.page.path, 404)


def _beneath(query: Mapping[str, str]) -> bool:
    """Whether a request is about what belongs to the step's row."""
    return subgrids.asked(query) or notes_written.asked(query)
