"""Reads by FetchXML: ``GET Set?fetchXml=…`` through the gate, on every door that speaks Dataverse's language.

A :class:`~forecourt.security.services.Reader` beside the door's other reads. Of the query options only ``$count`` goes
with it. Null values are left out of the rows, as in the original. Source: pages-and-dataverse B1.8; A2.1 for ``/_api``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import unquote_plus

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.plan import ReadPlan, SecuredPlan
from forecourt.kernel.principal import Door, Principal
from forecourt.odata.dialect import Dialect
from forecourt.odata.fetchxml import cookie
from forecourt.odata.fetchxml.filters import table
from forecourt.odata.fetchxml.markup import SOURCE
from forecourt.odata.fetchxml.markup import entity_of as root_of
from forecourt.odata.fetchxml.query import ParsedFetch, Wish, plan, wish
from forecourt.odata.fetchxml.values import Asker
from forecourt.odata.lexer import printable
from forecourt.odata.paging import token_of
from forecourt.odata.path import PathKind
from forecourt.odata.payload import Metadata, Row, RowWriter, collection, shaped_context
from forecourt.odata.prefer import (
    COOKIE,
    FORMATTED_VALUE,
    LOOKUP_TABLE,
    MORE,
    TOTAL,
    TOTAL_EXCEEDED,
    Preferences,
    accept_json,
    parse_prefer,
)
from forecourt.odata.request import analyse
from forecourt.odata.scope import entity_of
from forecourt.security.gate import Gate, Prepared, Window
from forecourt.security.scope import Scope
from forecourt.security.services import JSON, VERSION, Answer, base_url
from forecourt.store.database import ReadResult
from forecourt.store.statements import ReadStatement

OPTION = "fetchxml"

#: Annotations that come with rows of :meth:`Fetches.page`.
ANNOTATIONS = frozenset({FORMATTED_VALUE, LOOKUP_TABLE})

#: Characters of a query, encoded (pages-and-dataverse B1.1: what a part of a batch may have).
MAX_QUERY = 262_144


def utc_now() -> dt.datetime:
    """Now, in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class _Kept:
    """What is kept with a prepared plan."""

    parsed: ParsedFetch
    writer: RowWriter
    positions: tuple[int, ...]


@dataclass(frozen=True)
class _Options:
    text: str
    count: bool


@dataclass(frozen=True)
class FetchedPage:
    """Rows of a fetch, for who asks within the product.

    ``entity``: the fetch's; ``columns``: the answer's fields by name. ``rows``: values by name as the protocol shows
    them, annotations under ``name@annotation``, nulls left out. ``cookie``: where the next page begins, '' on the last;
    ``total``: all rows, where the fetch asks for it.
    """

    entity: str
    columns: Mapping[str, EntityField]
    rows: tuple[Mapping[str, object], ...]
    number: int
    cookie: str
    total: int | None


class Fetches:
    """Answers FetchXML at one door. ``root``: path of its service root; ``clock``: now, in UTC."""

    def __init__(
        self, gate: Gate, dialect: Dialect, door: Door, root: str, clock: Callable[[], dt.datetime] = utc_now
    ) -> None:
        self._gate = gate
        self._dialect = dialect
        self._door = door
        self._root = root
        self._clock = clock
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The tables that a fetch may name: at ``/_api`` those that settings open, as if there were no others."""
        if self._door is not Door.PORTAL_API:
            return self._gate.model
        if self._model is None:
            opened = self._gate.enforcer.rules.portal.columns
            entities = {name: entity for name, entity in self._gate.model.entities.items() if name in opened}
            self._model = replace(self._gate.model, entities=entities)
        return self._model

    def concerns(self, raw_query: str, headers: Mapping[str, str]) -> bool:
        """Whether a read is asked for by FetchXML."""
        if OPTION not in raw_query.lower():
            return False
        return any(_name(part).lower() == OPTION for part in raw_query.split("&"))

    async def get(self, principal: Principal, raw_path: str, raw_query: str, headers: Mapping[str, str]) -> Answer:
        """The rows. Raises Refusal."""
        entity = self._entity(raw_path)
        options = _options(raw_query)
        wanted = parse_prefer(headers.get("prefer"), self._dialect)
        level = accept_json(headers.get("accept"))
        asked = wish(options.text, wanted.page_size)
        prepared, result = await self._read(
            principal, entity, asked, options.count, wanted.beside, level, level != "none"
        )
        answer = self._answer(prepared, result, asked, wanted, options, level, base_url(headers) + self._root)
        applied = wanted.applied()
        return replace(answer, headers=(*answer.headers, ("Preference-Applied", applied))) if applied else answer

    async def page(self, principal: Principal, text: str) -> FetchedPage:
        """The rows of a fetch, whichever table it names, with their annotations. Raises Refusal."""
        asked = wish(text)
        entity = table(self.model, root_of(asked.fetch).get("name"))
        prepared, result = await self._read(principal, entity, asked, False, ANNOTATIONS, "minimal", versions=False)
        rows, cookie_ = self._page(prepared, result, asked)
        kept = prepared.extra
        return FetchedPage(
            entity.name, kept.parsed.result.fields, tuple(kept.writer.mappings(rows)), asked.page, cookie_, result.total
        )

    async def _read(
        self,
        principal: Principal,
        entity: Entity,
        asked: Wish,
        count: bool,
        beside: frozenset[str],
        level: Metadata,
        versions: bool,
    ) -> tuple[Prepared[_Kept], ReadResult]:
        """The rows through the gate; one more than a page has, where there are more. ``versions``: with ETags."""
        scope = await self._gate.scope(principal, self._door)
        shape: Hashable = ("fetch", self._door, entity.name, asked.shape, count, beside, level, versions)
        kept: list[ParsedFetch] = []

        def parse() -> ParsedFetch:
            if not kept:
                kept.append(plan(asked, entity, self.model))
            return kept[0]

        def make() -> ReadPlan:
            found = replace(parse().plan, beside=beside, versions=versions)
            return replace(found, want="rows+count") if count else found

        def finish(secured: SecuredPlan, statement: ReadStatement) -> _Kept:
            return self._kept(parse(), secured, beside, level)

        known = cast("Prepared[_Kept] | None", self._gate.known(scope, shape))
        parsed = known.extra.parsed if known is not None else parse()
        values = parsed.bind(asked.texts, _asker(scope, self._clock()))
        window = Window(asked.top, asked.offset)
        return await self._gate.read(scope, shape, make, finish, values, window, known)

    @staticmethod
    def _page(prepared: Prepared[_Kept], result: ReadResult, asked: Wish) -> tuple[Sequence[Row], str]:
        """The rows of the page, and the cookie of the next one, '' on the last."""
        rows = result.rows
        if asked.size is None or len(rows) <= asked.size:
            return rows, ""
        rows = rows[: asked.size]
        last = [rows[-1][at] for at in prepared.extra.positions]
        taken = (asked.position.taken if asked.position is not None else asked.offset) + len(rows)
        return rows, cookie.make(token_of(asked.query, last, taken), asked.page)

    def _entity(self, raw_path: str) -> Entity:
        path = analyse(raw_path, "", self._dialect).path
        if path.kind is not PathKind.SET:
            raise Refusal("FC1004", "FetchXML asks for the rows of a set.", hint="Write Set?fetchXml=….", source="path")
        return entity_of(self.model, path.set)

    def _kept(self, parsed: ParsedFetch, secured: SecuredPlan, beside: frozenset[str], level: Metadata) -> _Kept:
        outputs = [output.name for output in secured.select.outputs]
        writer = RowWriter(
            parsed.result,
            self._gate.model,
            outputs,
            self._dialect,
            annotations=beside,
            metadata="none" if level == "none" else "minimal",
            sparse=True,
        )
        return _Kept(parsed, writer, tuple(outputs.index(name) for name in secured.keyset))

    def _answer(
        self,
        prepared: Prepared[_Kept],
        result: ReadResult,
        asked: Wish,
        wanted: Preferences,
        options: _Options,
        level: Metadata,
        base: str,
    ) -> Answer:
        kept = prepared.extra
        rows, next_cookie = self._page(prepared, result, asked)
        notes: dict[str, object] = {}
        if level != "none":
            notes[TOTAL] = -1 if result.total is None else result.total
            notes[TOTAL_EXCEEDED] = False
            notes[MORE] = bool(next_cookie)
            if next_cookie and wanted.wants(COOKIE):
                notes[COOKIE] = next_cookie
        context = ""
        if level != "none" and self._dialect.context:
            context = shaped_context(base, kept.parsed.result)
        total = result.total if options.count else None
        shown = {name: value for name, value in notes.items() if wanted.wants(name)}
        body = collection(kept.writer.encode(rows), context=context, count=total, notes=shown)
        return Answer(200, (("Content-Type", JSON.format(level)), VERSION), body)


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])


def _options(raw_query: str) -> _Options:
    """The FetchXML, and whether the rows are to be counted."""
    if len(raw_query) > MAX_QUERY:
        raise Refusal("FC1005", f"The query is longer than {MAX_QUERY} characters.", status=414)
    text: str | None = None
    count = False
    for part in raw_query.split("&"):
        name, value = _name(part), unquote_plus(part.partition("=")[2], errors="replace")
        if name.lower() == OPTION:
            if text is not None:
                raise Refusal("FC1001", "The option fetchXml is given twice.", source=SOURCE)
            text = value
        elif name == "$count" and value in ("true", "false"):
            count = value == "true"
        elif name.startswith("$"):
            shown = printable(name[:40])
            raise Refusal(
                "FC1004", f"{shown} has no use beside fetchXml.", hint="Say it in the FetchXML.", source=shown
            )
    assert text is not None
    return _Options(text, count)


def _asker(scope: Scope, now: dt.datetime) -> Asker:
    user, contact = scope.principal.dataverse_user, scope.principal.contact
    if user is not None:
        return Asker(now, user.id, user.business_unit)
    return Asker(now, contact.id if contact is not None else None)
