"""A protocol request through the gate: URL and headers in, status, headers and bytes out.

One class serves all OData doors; the dialect says how they differ. Parsing depends on the request's shape alone and
runs where a plan is prepared; a request of a known shape binds its literals, runs and renders.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.plan import Expand, ReadPlan, SecuredPlan
from forecourt.kernel.principal import Door, Principal
from forecourt.odata import etag
from forecourt.odata.csdl import metadata, service_document
from forecourt.odata.dialect import Dialect
from forecourt.odata.paging import make_token, next_link
from forecourt.odata.path import PathKind
from forecourt.odata.payload import (
    Fetched,
    Metadata,
    RowWriter,
    collection,
    context_url,
    count_text,
    property_value,
    shaped_context,
    single,
    writer_for,
)
from forecourt.odata.prefer import TOTAL, TOTAL_EXCEEDED, Preferences, accept_any, accept_json, parse_prefer
from forecourt.odata.query import Parsed, plan
from forecourt.odata.request import Request, analyse
from forecourt.odata.signature import Signature
from forecourt.security.gate import Gate, Prepared, Window
from forecourt.security.scope import Scope
from forecourt.security.services import (
    JSON,
    VERSION,
    Answer,
    Call,
    Headers,
    Reader,
    Service,
    Services,
    base_url,
    json_answer,
)
from forecourt.store.database import ChildResult, ReadResult
from forecourt.store.statements import ReadStatement
from forecourt.store.work import Work

__all__ = ["VERSION", "Answer", "Headers", "Requests", "base_url"]


@dataclass(frozen=True)
class _Kept:
    """What is kept with a prepared plan."""

    parsed: Parsed
    writer: RowWriter | None
    context: str
    positions: tuple[int, ...]


class Requests:
    """Answers reads of one door. ``root``: path of the service root, ``/data``. ``services``: by name, what is answered
    beside rows; ``readers``: who takes over reads that ask for it; ``actions``: what ``$metadata`` says of actions."""

    def __init__(
        self,
        gate: Gate,
        dialect: Dialect,
        door: Door,
        root: str,
        services: Mapping[str, Service] | None = None,
        readers: Sequence[Reader] = (),
        actions: Sequence[Signature] = (),
    ) -> None:
        self.gate = gate
        self.dialect = dialect
        self.door = door
        self.root = root
        self.services = Services(services or {})
        self.readers = tuple(readers)
        self._actions = tuple(actions)
        self._metadata: bytes | None = None

    async def get(self, principal: Principal, raw_path: str, raw_query: str, headers: Mapping[str, str]) -> Answer:
        """A read. ``raw_path`` is below the service root; ``headers`` have lower-case names.

        Raises Refusal with the status of its code.
        """
        service = self.services.find(raw_path)
        if service is not None:
            scope = await self.gate.scope(principal, self.door)
            return await service(self.call(scope, "GET", raw_path, raw_query, headers, b""))
        for reader in self.readers:
            if reader.concerns(raw_query, headers):
                return await reader.get(principal, raw_path, raw_query, headers)
        request = analyse(raw_path, raw_query, self.dialect)
        for name, _ in request.custom:
            if name.lower() in OTHER_LANGUAGES:
                raise Refusal("FC1004", f"{name[:20]} is not supported here.", hint="Use $filter.", source=name[:20])
        kind = request.path.kind
        base = base_url(headers) + self.root
        self.check_open(request)
        if kind is PathKind.SERVICE:
            return Answer(200, (_json("minimal"), VERSION), service_document(self.gate.model, base))
        if kind is PathKind.METADATA:
            accept_any(headers.get("accept"), "application/xml")
            if self._metadata is None:
                self._metadata = metadata(self.gate.model, self.dialect, self._actions)
            return Answer(200, (("Content-Type", "application/xml"), VERSION), self._metadata)
        wanted = parse_prefer(headers.get("prefer"), self.dialect)
        counting = kind in (PathKind.COUNT, PathKind.MEMBER_COUNT)
        level = "minimal" if counting else accept_json(headers.get("accept"))
        scope = await self.gate.scope(principal, self.door)
        return await self._rows(scope, request, wanted, level, base, headers)

    async def _rows(
        self,
        scope: Scope,
        request: Request,
        wanted: Preferences,
        level: Metadata,
        base: str,
        headers: Mapping[str, str],
    ) -> Answer:
        kept: list[Parsed] = []

        def parse() -> Parsed:
            if not kept:
                kept.append(plan(request, self.gate.model, self.dialect, wanted.page_size))
            return kept[0]

        def make() -> ReadPlan:
            return _with(parse().plan, beside, level)

        def finish(secured: SecuredPlan, statement: ReadStatement) -> _Kept:
            return self._kept(parse(), secured, beside, level)

        beside = wanted.beside if self.dialect.name != "operations" else frozenset()
        shape: Hashable = (self.door, request.shape_key, wanted.page_size, beside, level)
        known = cast("Prepared[_Kept] | None", self.gate.known(scope, shape))
        parsed = known.extra.parsed if known is not None else parse()
        values = parsed.bind(request.literals)
        window = _window(parsed.plan, values)
        prepared, result = await self.gate.read(scope, shape, make, finish, values, window, known)
        notes = _notes(wanted, result.total) if self.dialect.name == "dataverse" and level != "none" else {}
        answer = self._answer(prepared, result, request, level, base, headers, notes)
        applied = wanted.applied()
        if applied:
            answer = dataclasses.replace(answer, headers=(*answer.headers, ("Preference-Applied", applied)))
        return answer

    def call(
        self,
        scope: Scope,
        method: str,
        raw_path: str,
        raw_query: str,
        headers: Mapping[str, str],
        body: bytes,
        work: Work | None = None,
    ) -> Call:
        """A request as services get it."""
        return Call(
            method=method,
            path=raw_path,
            query=raw_query,
            headers=headers,
            body=body,
            principal=scope.principal,
            scope=scope,
            gate=self.gate,
            dialect=self.dialect,
            root=self.root,
            work=work,
        )

    def value(self, headers: Mapping[str, str], name: str, value: Mapping[str, object]) -> Answer:
        """The result of an operation that is no row: ``name`` is its type."""
        return json_answer({"@odata.context": f"{base_url(headers)}{self.root}/$metadata#{name}", **value})

    def check_open(self, request: Request) -> None:
        """A table that ``/_api`` does not open looks as if it did not exist (reference A2.3)."""
        if self.door is not Door.PORTAL_API:
            return
        entity = self.gate.model.by_collection.get(request.path.set)
        if entity is None or entity.name not in self.gate.enforcer.rules.portal.columns:
            raise Refusal("FC4042", f"Resource not found for the segment '{request.path.set[:100]}'.", source="path")

    # -- rendering -----------------------------------------------------------------------------------------------

    def _kept(
        self,
        parsed: Parsed,
        secured: SecuredPlan,
        beside: frozenset[str],
        level: Metadata,
    ) -> _Kept:
        if secured.select.count:
            return _Kept(parsed, None, "", ())
        visible = parsed.plan.select if parsed.result == "property" else None
        outputs = [output.name for output in secured.select.outputs]
        if parsed.plan.shape is None:
            writer = writer_for(
                secured, self.gate.model, self.dialect, annotations=beside, metadata=level, visible=visible
            )
        else:
            plain: Metadata = "none" if level == "none" else "minimal"
            writer = RowWriter(
                parsed.entity, self.gate.model, outputs, self.dialect, annotations=beside, metadata=plain
            )
        positions = tuple(outputs.index(name) for name in secured.keyset)
        return _Kept(parsed, writer, self._context(parsed, level), positions)

    def _context(self, parsed: Parsed, level: Metadata) -> str:
        """The context below the service root: the origin is the caller's to choose, so a kept plan doesn't hold it."""
        if level == "none" or not self.dialect.context:
            return ""
        if parsed.plan.shape is not None:
            return shaped_context("", parsed.entity)
        row = parsed.result in ("row", "property", "child")
        return context_url("", parsed.entity.collection, parsed.plan, single=row)

    def _answer(
        self,
        prepared: Prepared[_Kept],
        result: ReadResult,
        request: Request,
        level: Metadata,
        base: str,
        headers: Mapping[str, str],
        notes: Mapping[str, object],
    ) -> Answer:
        kept = prepared.extra
        parsed = kept.parsed
        if parsed.result == "count":
            return Answer(200, (("Content-Type", "text/plain"), VERSION), count_text(result.total or 0))
        assert kept.writer is not None
        if prepared.secured.single:
            return self._one(prepared, result, level, base, headers)
        rows = result.rows
        link = ""
        size = prepared.secured.page_size
        if size is not None and len(rows) > size:
            rows = rows[:size]
            last = rows[-1]
            token = make_token(request, [last[at] for at in kept.positions], len(rows))
            link = next_link(base, request, token)
        body = kept.writer.encode(rows, [_fetched(child) for child in result.children])
        total = result.total if parsed.plan.want == "rows+count" else None
        context = _absolute(kept.context, base)
        answer = collection(body, context=context, count=total, next_link=link, notes=notes)
        return Answer(200, (_json(level), VERSION), answer)

    def _one(
        self, prepared: Prepared[_Kept], result: ReadResult, level: Metadata, base: str, headers: Mapping[str, str]
    ) -> Answer:
        kept = prepared.extra
        parsed, writer = kept.parsed, kept.writer
        context = _absolute(kept.context, base)
        assert writer is not None
        if not result.rows:
            alternate = {name for name, _ in parsed.plan.key} != set(parsed.entity.key)
            raise not_found(f"{parsed.entity.public_name} with this key", alternate)
        row = result.rows[0]
        children = [_fetched(child) for child in result.children]
        version = str(row[0])
        if parsed.result == "property":
            value = writer.encode_member(row, parsed.member, children)
            return Answer(200, (_json(level), VERSION), property_value(value, context=context))
        if parsed.result in ("child", "children"):
            value = writer.encode_member(row, parsed.member, children)
            if parsed.result == "children":
                return Answer(200, (_json(level), VERSION), collection(value, context=context))
            if value == b"null":
                return Answer(204, (VERSION,))
            return Answer(200, (_json(level), VERSION), single(value, context=context))
        tag = etag.make(version)
        condition = etag.parse(headers.get("if-none-match"), "If-None-Match")
        if condition is not None and version in condition.versions:
            return Answer(304, (VERSION, ("ETag", tag)))
        body = single(writer.encode_one(row, children), context=context)
        return Answer(200, (_json(level), VERSION, ("ETag", tag)), body)


#: Options that would be a query of another language: passing them over would give all rows instead of the asked ones.
OTHER_LANGUAGES = frozenset({"fetchxml", "sql", "savedquery", "userquery"})


def _with(plan: ReadPlan, beside: frozenset[str], level: Metadata) -> ReadPlan:
    """A plan that brings annotations along, also of the rows that it expands, and ETags where the answer shows them."""

    def inner(item: Expand) -> Expand:
        return dataclasses.replace(item, beside=beside, expand=tuple(inner(child) for child in item.expand))

    if level == "none" and not plan.key:
        plan = dataclasses.replace(plan, versions=False)
    if not beside:
        return plan
    return dataclasses.replace(plan, beside=beside, expand=tuple(inner(item) for item in plan.expand))


def _notes(wanted: Preferences, total: int | None) -> dict[str, object]:
    """Annotations of a set (reference B1.6): the total, -1 where none was asked for. It is never cut off."""
    if not wanted.annotations:
        return {}
    values = {TOTAL: -1 if total is None else total, TOTAL_EXCEEDED: False}
    return {name: value for name, value in values.items() if wanted.wants(name)}


def _absolute(context: str, base: str) -> str:
    return base + context if context else ""


def _json(level: Metadata) -> tuple[str, str]:
    return ("Content-Type", JSON.format(level))


def _fetched(child: ChildResult) -> Fetched:
    return Fetched(child.rows, tuple(_fetched(inner) for inner in child.children))


def _window(read: ReadPlan, values: tuple[object, ...]) -> Window:
    limit = values[read.top.index] if read.top is not None else None
    offset = values[read.skip.index] if read.skip is not None else 0
    return Window(int(str(limit)) if limit is not None else None, int(str(offset)))
