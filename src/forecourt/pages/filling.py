"""Filling in a form: opened for a person, written when it is sent, or what stands in the way.

Every way out but success is a form to show again, with what was typed: what is wrong with it, what the store refuses,
what somebody else has changed, what a lookup has found, a token that is too old. Leaves out where a form stands and
where it leads, which are the pages' (:mod:`~forecourt.pages.form_pages`, :mod:`~forecourt.pages.multistep`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from forecourt.dataverse.rows import Beneath, Row, Rows
from forecourt.dataverse.tables import Table
from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.model import Relation
from forecourt.kernel.observe import Denied, Fault, Observer, nobody
from forecourt.kernel.principal import Door
from forecourt.pages import lookups
from forecourt.pages.details import Forms
from forecourt.pages.editing import BLANK, ONCE, VERSION, Editor, Filled
from forecourt.pages.inputs import ruled, text_of
from forecourt.pages.notes import attaching
from forecourt.pages.notes.attaching import Attaching, Offered
from forecourt.pages.presets import value_of as preset_value
from forecourt.pages.site import FormDefinition, FormMode, Page
from forecourt.pages.site.field_rules import FieldRule, Preset
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_
from forecourt.web.uploads import Upload

AGAIN = N_("You are signed in again. Nothing that you typed is lost, and nothing is saved yet: check it and save.")
TOO_OLD = N_("For your safety the form was not sent: it was opened too long ago. Check it and save again.")
AWAY = N_("We cannot be reached at the moment. What you typed is still here: send it again in a minute.")


@dataclass(frozen=True)
class Opened:
    """A form for one visitor. ``row``: as it is stored, a blank one for a form that makes it. ``given``: what a new row
    brings without being typed, as texts by column; ``query``: of the form's address; ``forced``: what is stored
    whatever was typed, by column; ``attach``: the field for files. ``away``: what is stored cannot be read now; the
    form holds what was typed, and nothing can be written; ``related``: collection of another row that a new one is
    added to."""

    visit: Visit
    page: Page
    definition: FormDefinition
    table: Table
    editor: Editor
    row: Row
    given: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    forced: Mapping[str, object] = field(default_factory=dict)
    attach: Offered | None = None
    away: bool = False
    related: tuple[str, str, UUID] | None = None

    @property
    def new(self) -> bool:
        return self.editor.new

    def beneath(self, above: Mapping[str, object], related: tuple[str, str, UUID] | None) -> Opened:
        """The form for a row that holds ``above`` whatever is typed: nobody is asked for these columns."""
        sections = tuple(
            replace(section, fields=tuple(item for item in section.fields if item.name not in above))
            for section in self.editor.sections
        )
        editor = replace(self.editor, sections=tuple(section for section in sections if section.fields))
        return replace(self, editor=editor, forced={**self.forced, **above}, related=related)


@dataclass(frozen=True, slots=True)
class Written:
    """What a form has done. ``values``: what was written, by column; empty where nothing was changed. ``files``:
    attached ones."""

    row: UUID
    values: Mapping[str, object]
    files: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A form that goes back to the person. ``status``: of the answer; ``banner``: said above it."""

    filled: Filled
    status: int = 200
    banner: str = ""

    @property
    def away(self) -> bool:
        """Whether what is stored cannot be read now: the page shows nothing but the form."""
        return self.status == 503


class Filling:
    """Opens forms and writes them."""

    def __init__(self, forms: Forms, rows: Rows, attaching: Attaching, observer: Observer = nobody) -> None:
        self._forms = forms
        self._attaching = attaching
        self._rows = rows
        self._observer = observer

    async def open(
        self,
        visit: Visit,
        page: Page,
        definition: FormDefinition,
        query: Mapping[str, str],
        row_id: UUID | None = None,
        parent: UUID | None = None,
        typed: Mapping[str, str] | None = None,
        away: bool = False,
    ) -> Opened:
        """The form; ``row_id``: its row, where the query does not say it; ``parent``: the row that a new one belongs
        to. ``typed``: what was typed into it, which is not to be lost while what is stored cannot be read; ``away``:
        that is known already. Raises Refusal FC3001, FC4041, FC4042."""
        table, form = self._forms.form(definition)
        enums, new = self._forms.tables.enums, definition.mode is FormMode.INSERT
        given: Mapping[str, str] = {}
        wanted, row = BLANK.id, BLANK
        if new:
            sections = await self._forms.new_sections(visit.principal, table, form, definition.all_required)
        else:
            wanted = row_id if row_id is not None else self._forms.row_id(definition, visit.principal, query)
            sections = await self._forms.sections(visit.principal, table, form)
        try:
            if new and not away:
                given = await self._given(visit, definition, table, query, parent)
            elif not away:
                row = await self._forms.row(visit.principal, table, wanted, sections)
        except Unavailable as error:
            if typed is None:
                raise
            self._observer(Fault(visit.correlation, error))
            away = True
        if away and typed is not None:
            row = Row(wanted, {}, typed.get(VERSION, ""))
            sections = tuple(
                replace(section, fields=fields)
                for section in sections
                if (fields := tuple(item for item in section.fields if item.name in typed and not item.read_only))
            )
        sections = tuple(ruled(section, definition.fields) for section in sections)
        editor = Editor(table, sections, enums, visit.locales, new)
        forced = self._presets(visit, definition, table, lambda rule: rule.on_save)
        shown = {item.name: item for section in sections for item in section.fields}
        if new:
            found = self._presets(visit, definition, table, lambda rule: rule.prefill)
            filled = {
                name: text_of(shown[name], value, enums, visit.locales)
                for name, value in found.items()
                if name in shown
            }
            given = {**filled, **given}
        attach = self._attaching.offered(visit.principal, definition, table, visit.locales)
        return Opened(visit, page, definition, table, editor, row, given, query, forced, attach, away)

    def _presets(
        self, visit: Visit, definition: FormDefinition, table: Table, of: Callable[[FieldRule], Preset | None]
    ) -> dict[str, object]:
        """What the form itself gives to columns."""
        found: dict[str, object] = {}
        hidden = self._rows.hidden(visit.principal, "contact")
        for name, rule in definition.fields.items():
            column, preset = table.column(name), of(rule)
            if column is not None and preset is not None and column.name != table.primary_id:
                contact, enums = visit.principal.contact, self._forms.tables.enums
                value = preset_value(preset, column, enums, visit.locales, contact, hidden)
                if value is not None:
                    found[column.name] = value
        return found

    async def _given(
        self, visit: Visit, definition: FormDefinition, table: Table, query: Mapping[str, str], parent: UUID | None
    ) -> Mapping[str, str]:
        """What a new row brings without being typed: who makes it, and the row that it belongs to."""
        found: dict[str, str] = {}
        contact = visit.principal.contact
        person = table.column(definition.person_column)
        if person is not None and contact is not None:
            found[person.name] = str(contact.id)
        lookup = table.column(definition.parent_column or self._lookup(table, definition.parent_relation))
        above = table.entity.relations.get(definition.parent_column)
        wanted = {name.lower(): value for name, value in query.items()}.get(definition.parent_parameter.lower())
        if (lookup is None and above is None) or (parent is None and not wanted):
            return found
        try:
            row_id = parent or UUID(wanted)
        except ValueError:
            raise Refusal("FC4041", "The row that this belongs to does not exist.") from None
        if lookup is not None:
            return {**found, lookup.name: str(row_id)}
        return {**found, **await self._shared(visit, above, row_id)}

    async def _shared(self, visit: Visit, above: Relation | None, row_id: UUID) -> Mapping[str, str]:
        """What a row of a virtual table has from the row that its relation leads to, which the person can read."""
        if above is None or above.many or above.column:
            return {}
        columns = tuple(theirs for _, theirs in above.on)
        row = await self._rows.row(visit.principal, above.target, row_id, columns)
        return {own: str(row.values[theirs]) for own, theirs in above.on}

    def _lookup(self, table: Table, relationship: str) -> str:
        """The lookup of ``table`` behind a relationship, '' where there is none."""
        for other in self._forms.tables.by_name.values():
            relation = other.entity.relations.get(relationship)
            if relation is not None and relation.many and relation.target == table.name and relation.on:
                return relation.on[0][1]
        return ""

    def attach(self, visit: Visit, definition: FormDefinition) -> Offered | None:
        """The field for files that a form has for a visitor."""
        table, _ = self._forms.form(definition)
        return self._attaching.offered(visit.principal, definition, table, visit.locales)

    def blank(self, opened: Opened) -> Filled:
        """The form as it is opened first."""
        editor = opened.editor
        return editor.again(BLANK, opened.given, {}) if opened.new else editor.opened(opened.row)

    async def write(
        self,
        opened: Opened,
        posted: Mapping[str, str],
        mark: bytes | None = None,
        files: Sequence[Upload] = (),
    ) -> Written | Asked:
        """Writes what was typed, and ``files`` with it. ``mark``: by which a new row is known when it is made twice;
        None: by the form's own number and what was typed. Raises Refusal FC4041 where the row to change is no more."""
        editor, row, visit = opened.editor, opened.row, opened.visit
        try:
            visit.require_token(posted.get(csrf.FIELD))
        except Refusal as refusal:
            return Asked(editor.again(row, posted, {}), refusal.status, TOO_OLD)
        if opened.away:
            return self.kept(opened, posted)
        if lookups.wanted(editor.sections, posted):
            return Asked(editor.again(row, posted, {}))
        changes, errors = editor.changes(posted)
        notes, wrong = self._attached(opened, files)
        if errors or wrong:
            filled = editor.again(row, posted, errors)
            about = tuple((attaching.FIELD, text) for text in wrong)
            return Asked(replace(filled, errors=(*filled.errors, *about)), 422)
        try:
            if opened.new:
                return await self._make(opened, changes, posted, mark, notes, files)
            return await self._change(opened, changes, posted, notes, files)
        except Unavailable as error:
            self._observer(Fault(visit.correlation, error))
            return self.kept(opened, posted)
        except Refusal as error:
            if error.code == "FC4041" and not opened.new:
                raise
            if error.status == 403:
                self._observer(Denied(Door.PORTAL, visit.principal.label, error.code, visit.path))
            refused = error
        if refused.code == "FC4121":
            return await self.conflict(opened, posted)
        found, general = editor.refusal(refused)
        return Asked(editor.again(row, posted, found, general), refused.status)

    def kept(self, opened: Opened, posted: Mapping[str, str]) -> Asked:
        """The form with what was typed, while it cannot be written."""
        return Asked(opened.editor.again(opened.row, posted, {}), 503, AWAY)

    def _attached(self, opened: Opened, files: Sequence[Upload]) -> tuple[tuple[Beneath, ...], tuple[str, ...]]:
        """The notes of files that are sent, and what is wrong with these."""
        if opened.attach is not None:
            return self._attaching.check(opened.attach, files, opened.visit.locales)
        return (), (opened.visit.locales.gettext("You may not attach files here."),) if files else ()

    async def conflict(self, opened: Opened, posted: Mapping[str, str]) -> Asked:
        """The form after somebody else's change, field by field."""
        editor = opened.editor
        now = await self._forms.row(opened.visit.principal, opened.table, opened.row.id, editor.sections)
        return Asked(editor.conflicting(now, posted), 409)

    async def _make(
        self,
        opened: Opened,
        changes: dict[str, object],
        posted: Mapping[str, str],
        mark: bytes | None,
        notes: tuple[Beneath, ...],
        files: Sequence[Upload],
    ) -> Written:
        shown = {item.name for section in opened.editor.sections for item in section.fields}
        values = {
            **{name: value for name, value in opened.given.items() if name not in shown},
            **changes,
            **opened.forced,
        }
        if not values:
            raise Refusal("FC1003", "Nothing is filled in yet.")
        visit, definition = opened.visit, opened.definition
        if mark is None:
            sent = {**values, attaching.FIELD: attaching.digest(files)} if files else values
            mark = mark_of(posted.get(ONCE, ""), visit.principal.label, definition.id, sent)
        row_id = await self._rows.create(
            visit.principal, opened.table.name, values, mark, beneath=notes, related=opened.related
        )
        return Written(row_id, values, len(notes))

    async def _change(
        self,
        opened: Opened,
        changes: dict[str, object],
        posted: Mapping[str, str],
        notes: tuple[Beneath, ...],
        files: Sequence[Upload],
    ) -> Written:
        visit, row = opened.visit, opened.row
        changes = {**changes, **opened.forced}
        if changes or notes:
            version = posted.get(VERSION) or row.version
            sent = {**changes, VERSION: version, attaching.FIELD: attaching.digest(files), "row": row.id}
            mark = mark_of(posted.get(ONCE, ""), visit.principal.label, opened.definition.id, sent) if notes else b""
            await self._rows.update(visit.principal, opened.table.name, row.id, changes, version, mark, beneath=notes)
        return Written(row.id, changes, len(notes))

    async def dressed(self, opened: Opened, asked: Asked, posted: Mapping[str, str]) -> Asked:
        """The form with the names of the rows that its lookups hold, and with what they look for. Where these cannot be
        asked for just now, it is as it was typed: nothing of it is to be lost."""
        look, principal, filled = self._forms.lookups, opened.visit.principal, asked.filled
        held = [(entry.field.column, value) for entry in filled.entries for value in (entry.text, entry.shown.text)]
        wanted = lookups.wanted(opened.editor.sections, posted)
        try:
            found = {
                item.name: await look.search(principal, item.column, posted.get(lookups.FIND + item.name, ""))
                for item in wanted
            }
            return replace(asked, filled=filled.dressed(await look.names(principal, held), found))
        except Unavailable as error:
            self._observer(Fault(opened.visit.correlation, error))
            return replace(asked, status=503, banner=AWAY) if wanted else asked


def mark_of(once: str, person: str, form: UUID, values: Mapping[str, object]) -> bytes:
    """What tells a form that is sent twice from one that is filled in anew: the same page, person and values."""
    if not once:
        return b""
    text = repr((once, person, form, sorted((name, str(value)) for name, value in values.items())))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
