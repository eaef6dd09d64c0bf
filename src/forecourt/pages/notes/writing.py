"""Notes that people write on a row's page: added, and their own changed and deleted, as the form's metadata lets them.

::

    <address of the row's page>&note=new | &note=<id> | &note=<id>&do=delete

A note that is written here begins with the prefix of notes that the portal shows, and its subject ends with its
author, ``[contact:<id>]``, which nobody types: by it a note is somebody's own. The rights are the store's: Create and
Append on notes and Append To on the row, Write, Delete; they are decided for the very note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from forecourt.dataverse.rows import Beneath, Row, Rows
from forecourt.dataverse.tables import Table
from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal, Unavailable, not_found
from forecourt.kernel.observe import Fault, Observer, nobody
from forecourt.pages.acting import told_at
from forecourt.pages.asking import Asking, Question, told
from forecourt.pages.details import Forms, heading_of
from forecourt.pages.editing import ONCE, VERSION, sent_once
from forecourt.pages.filling import AGAIN, AWAY, TOO_OLD, mark_of
from forecourt.pages.notes.attaching import FIELD, NOTES, REGARDING, Attaching, Offered, bounds, digest, prefix
from forecourt.pages.notes.reading import DO, NEW, NOTE, PLACE, Notes, signed, text_of, url_of
from forecourt.pages.render import Renderer, finish
from forecourt.pages.site import FormDefinition, FormMode, Page, Site
from forecourt.pages.visit import Visit
from forecourt.web.requests import read_form, read_posted
from forecourt.web.uploads import Upload

#: The field of a note's text.
TEXT = "notetext"


def asked(query: Mapping[str, str]) -> bool:
    """Whether a request is about a note."""
    return NOTE in query


@dataclass(frozen=True, slots=True)
class _At:
    """A row's note. ``note``: as it is stored, None for one that is ``new`` and while it cannot be read (``away``);
    ``here``: its address; ``back``: that of the row's notes."""

    visit: Visit
    page: Page
    definition: FormDefinition
    table: Table
    above: Row
    note: Row | None
    here: str
    back: str
    new: bool
    away: bool


class NotePages:
    """Answers what is asked of notes."""

    def __init__(
        self,
        site: Site,
        forms: Forms,
        rows: Rows,
        notes: Notes,
        attaching: Attaching,
        renderer: Renderer,
        observer: Observer = nobody,
    ) -> None:
        self._site = site
        self._forms = forms
        self._rows = rows
        self._notes = notes
        self._attaching = attaching
        self._renderer = renderer
        self._asking = Asking(renderer, observer)
        self._observer = observer

    async def answer(
        self,
        visit: Visit,
        page: Page,
        definition: FormDefinition,
        row_id: UUID,
        query: Mapping[str, str],
        url: str,
        replayed: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer to a request. ``row_id``: the row that is noted; ``url``: of its page or step; ``replayed``: what
        was typed before the browser's session ended, of which nothing is written. Raises Refusal FC4042, FC4041,
        FC3001."""
        rule = definition.notes
        deletes = query.get(DO) == "delete"
        new = query[NOTE] == NEW and not deletes
        if rule is None or definition.mode is FormMode.INSERT or (DO in query and not deletes):
            raise Refusal("FC4042", "There is no such note here.")
        if not (rule.create if new else rule.delete if deletes else rule.edit):
            raise Refusal("FC4042", "There is no such action here.")
        table, _ = self._forms.form(definition)
        if new and not self._rows.may(visit.principal, NOTES, "create"):
            raise Refusal("FC3001", "You may not write notes here.", source=NOTES)
        note, away = None, False
        try:
            above = await self._forms.row(visit.principal, table, row_id, ())
            if not new:
                note = await self._own(visit, table, above, query[NOTE], "delete" if deletes else "update")
        except Unavailable:
            if deletes or (visit.request.method != "POST" and replayed is None):
                raise
            above, away = Row(row_id, {}, ""), True
        here = url_of(url, query[NOTE], query.get(DO, ""))
        at = _At(visit, page, definition, table, above, note, here, f"{url}#{PLACE}", new, away)
        if note is not None and deletes:
            return await self._delete(at, note, replayed)
        return await self._write(at, replayed)

    async def _own(self, visit: Visit, table: Table, above: Row, named: str, right: str) -> Row:
        """A note of the row that the person has written. Raises Refusal FC4041, FC3001."""
        try:
            note = await self._notes.note(visit.principal, table, above, UUID(named))
        except ValueError:
            note = None
        if note is None:
            raise not_found("The note")
        if right not in note.rights or not signed(note, visit.principal.contact):
            raise Refusal("FC3001", "You may do this with your own notes only.", source=NOTES)
        return note

    # -- writing -------------------------------------------------------------------------------------------------

    async def _write(self, at: _At, replayed: Mapping[str, str] | None) -> Response:
        visit, note = at.visit, at.note
        stored = text_of(note, self._site) if note is not None else ""
        attach = self._offered(at)
        if replayed is not None:
            banner, status = (AWAY, 503) if at.away else (AGAIN, 200)
            return await self._show(at, attach, replayed.get(TEXT, stored), replayed, banner=banner, status=status)
        if visit.request.method != "POST":
            return await self._show(at, attach, stored, {})
        sent = await read_posted(visit.request, bounds(attach))
        posted, text = sent.fields, sent.fields.get(TEXT, "").strip()
        try:
            visit.require_token(posted.get(csrf.FIELD))
        except Refusal as refusal:
            return await self._show(at, attach, text, posted, banner=TOO_OLD, status=refusal.status)
        if at.away:
            return await self._show(at, attach, text, posted, banner=AWAY, status=503)
        made, faults = self._attaching.check(attach, sent.files, visit.locales) if attach is not None else ((), ())
        errors = self._wrong(at, attach, text, sent.files, faults)
        if errors:
            return await self._show(at, attach, text, posted, errors, status=422)
        try:
            await self._store(at, made, text, sent.files, posted)
        except Unavailable as error:
            self._observer(Fault(visit.correlation, error))
            return await self._show(at, attach, text, posted, banner=AWAY, status=503)
        except Refusal as refusal:
            said = ((TEXT, told(visit, self._observer, refusal, "")),)
            if refusal.code == "FC4121":
                return await self._show(at, attach, text, {}, theirs=stored, status=409)
            return await self._show(at, attach, text, posted, said, status=refusal.status)
        return finish(visit, RedirectResponse(told_at(at.back, "added" if at.new else "changed"), 303))

    def _offered(self, at: _At) -> Offered | None:
        """The field for the note's file. Who changes a note need not choose its file again."""
        rule = at.definition.notes
        attach = rule.attach if rule is not None else None
        if attach is not None and not at.new:
            attach = replace(attach, required=False)
        definition = replace(at.definition, attach=attach)
        return self._attaching.offered(at.visit.principal, definition, at.table, at.visit.locales)

    def _wrong(
        self, at: _At, attach: Offered | None, text: str, files: Sequence[Upload], faults: Sequence[str]
    ) -> tuple[tuple[str, str], ...]:
        """What is wrong, by field. ``faults``: of the files."""
        _ = at.visit.locales.gettext
        if attach is None and files:
            return ((TEXT, _("You may not attach files here.")),)
        errors = tuple((FIELD, item) for item in faults)
        if not text and not files and not (at.note is not None and at.note.values.get("isdocument")):
            errors = ((TEXT, _("Write something, or choose a file.") if attach else _("Write something.")), *errors)
        return errors

    async def _store(
        self, at: _At, made: Sequence[Beneath], text: str, files: Sequence[Upload], posted: Mapping[str, str]
    ) -> None:
        """Writes the note. ``made``: of its file."""
        visit = at.visit
        values = {**(made[0].values if made else {}), "notetext": f"{prefix(self._site)}{text}"}
        values.pop("subject", None)
        if at.note is not None:
            version = posted.get(VERSION) or at.note.version
            await self._rows.update(visit.principal, NOTES, at.note.id, values, version)
            return
        values |= {"subject": self._notes.subject(visit), f"_{REGARDING}_value": str(at.above.id)}
        said = {"text": text, "above": at.above.id, "file": digest(files)}
        mark = mark_of(posted.get(ONCE, ""), visit.principal.label, at.definition.id, said)
        await self._rows.create(visit.principal, NOTES, values, mark)

    async def _show(
        self,
        at: _At,
        attach: Offered | None,
        text: str,
        posted: Mapping[str, str],
        errors: tuple[tuple[str, str], ...] = (),
        banner: str = "",
        theirs: str | None = None,
        status: int = 200,
    ) -> Response:
        _ = at.visit.locales.gettext
        return await self._renderer.page(
            at.visit,
            "note.html",
            title=_("New note") if at.new else _("Change the note"),
            page=at.page,
            status=status,
            subject=at.table.label if at.away else f"{at.table.label} {heading_of(at.table, at.above)}",
            action=at.here,
            cancel_url=at.back,
            text=text,
            theirs=theirs,
            errors=errors,
            banner=_(banner) if banner else "",
            attach=attach,
            attach_field=FIELD,
            file=str(at.note.values.get("filename") or "") if at.note is not None else "",
            once=sent_once(posted, True) if at.new else "",
            version=posted.get(VERSION) or (at.note.version if at.note is not None else ""),
            notice=None,
        )

    # -- deleting ------------------------------------------------------------------------------------------------

    async def _delete(self, at: _At, note: Row, replayed: Mapping[str, str] | None) -> Response:
        visit = at.visit
        _ = visit.locales.gettext
        question = Question(
            at.page,
            _("Delete the note"),
            f"{at.table.label} {heading_of(at.table, at.above)}",
            text_of(note, self._site) or str(note.values.get("filename") or ""),
            note.version,
            at.here,
            at.back,
            _("Delete"),
        )
        if visit.request.method != "POST" or replayed is not None:
            return await self._asking.ask(visit, question)

        async def do(version: str) -> None:
            await self._rows.delete(visit.principal, NOTES, note.id, version)

        return await self._asking.settle(
            visit, question, await read_form(visit.request), do, told_at(at.back, "deleted")
        )
