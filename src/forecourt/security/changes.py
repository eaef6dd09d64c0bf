"""Requests that write: one operation each, parsed first and done inside of a unit of work.

An :class:`~forecourt.security.operation.Operation` is parsed before its unit of work is opened, and answered after the
commit, when nothing can be refused any more: a row that its maker may not read is answered by its address alone.
References to other rows are read as the asker, in the same unit of work: nobody binds a row that they cannot see.

==========  ==========================================================================================
``POST``    a row of a set, with what is nested in it; a bulk action; ``$ref``; a service
``PATCH``   a row; on Dataverse's native tables also one that does not exist yet
``PUT``     one property; ``$ref``
``DELETE``  a row; one property; ``$ref``
==========  ==========================================================================================

Leaves out files and images (``/$value``). Sources: pages-and-dataverse B2; operations-and-integration 5.2, 5.4, 5.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from forecourt.kernel.change import Write, Written
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.model import Entity
from forecourt.kernel.principal import Principal
from forecourt.odata.body import parse_object
from forecourt.odata.keys import row_path
from forecourt.odata.path import PathKind
from forecourt.odata.prefer import content_is_json, parse_prefer
from forecourt.odata.request import analyse
from forecourt.odata.rows import BodyReader, RowBody
from forecourt.odata.scope import entity_of
from forecourt.security.bulk import Bulk
from forecourt.security.gate import Gate
from forecourt.security.inserts import Inserts
from forecourt.security.links import Links
from forecourt.security.operation import Asked, Operation, conditions, no_content
from forecourt.security.references import Batch, Key, References
from forecourt.security.requests import Requests
from forecourt.security.scope import Scope
from forecourt.security.services import NO_CONTENT, VERSION, Answer, Service, base_url
from forecourt.store.work import Work


class Changes:
    """Writes of one door."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._gate: Gate = requests.gate
        self._dialect = requests.dialect
        self._references = References(requests.gate, requests.dialect, requests.root)
        self._inserts = Inserts(requests.gate, self._references)
        self._links = Links(requests.gate, self._references, self._inserts)
        self._bulk = Bulk(requests, self._references, self._inserts)

    async def change(
        self,
        principal: Principal,
        method: str,
        raw_path: str,
        raw_query: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        """POST, PATCH, PUT or DELETE in a unit of work of its own. Raises Refusal; nothing is changed then."""
        service = self._requests.services.find(raw_path)
        if service is not None:
            scope = await self._gate.scope(principal, self._requests.door)
            return await service(self._requests.call(scope, method, raw_path, raw_query, headers, body))
        operation = self.operation(principal, method, raw_path, raw_query, headers, body)
        scope = await self._gate.scope(principal, self._requests.door)
        written = await self._gate.coordinator.run(
            lambda work: operation.run(work, scope, Batch()), f"{method} {raw_path[:80]}"
        )
        return await operation.answer(written)

    def operation(
        self,
        principal: Principal,
        method: str,
        raw_path: str,
        raw_query: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Operation:
        """Parses a write. Raises Refusal."""
        service = self._requests.services.find(raw_path)
        if service is not None:
            return self._served(service, method, raw_path, raw_query, headers, body)
        request = analyse(raw_path, raw_query, self._dialect)
        asked = Asked(principal, method, request, headers, body, parse_prefer(headers.get("prefer"), self._dialect))
        kind = request.path.kind
        if kind in (PathKind.SET, PathKind.ROW, PathKind.MEMBER, PathKind.OTHER, PathKind.OPERATION):
            self._requests.check_open(request)
        reference = kind is PathKind.OTHER and request.path.segments[-1].name == "$ref"
        allowed = ("$id",) if reference else ("$select", "$expand", "$format")
        for option in request.options:
            if option.name not in allowed:
                raise Refusal("FC1004", f"{option.name} has no use in this write.", source=option.name)
        match method, kind:
            case "POST", PathKind.SET:
                return self._create(asked)
            case "POST", PathKind.OPERATION:
                return self._bulk.operation(asked, self._reader(asked))
            case "PATCH", PathKind.ROW:
                return self._update(asked)
            case "DELETE", PathKind.ROW:
                return self._delete(asked)
            case (("PUT" | "DELETE"), PathKind.MEMBER):
                return self._property(asked)
            case (("POST" | "PUT" | "DELETE"), PathKind.OTHER) if reference:
                return self._links.operation(asked)
        hint = _METHODS.get(kind, "Use GET.")
        raise Refusal("FC1008", f"{method} is not supported on this resource.", hint=hint)

    # -- operations -----------------------------------------------------------------------------------------------

    def _served(
        self, service: Service, method: str, raw_path: str, raw_query: str, headers: Mapping[str, str], body: bytes
    ) -> Operation:
        """A service that takes part in a unit of work."""
        given: list[Answer] = []

        async def run(work: Work, scope: Scope, batch: Batch) -> None:
            call = self._requests.call(scope, method, raw_path, raw_query, headers, body, work)
            given[:] = [await service(call)]

        async def answer(_: Written | None) -> Answer:
            return given[0]

        return Operation(run, answer)

    def _create(self, asked: Asked) -> Operation:
        entity = entity_of(self._gate.model, asked.request.path.set)
        row = self._reader(asked).row(parse_object(asked.body), entity)

        async def run(work: Work, scope: Scope, batch: Batch) -> Written:
            return await self._inserts.create(work, scope, batch, entity, row)

        async def answer(written: Written | None) -> Answer:
            assert written is not None
            representation = asked.prefer.representation
            if representation is None:
                representation = self._dialect.name == "operations"
            return await self._written(asked, entity, written, representation)

        return Operation(run, answer)

    def _update(self, asked: Asked) -> Operation:
        entity, key = self._references.key(asked.request)
        wanted = conditions(asked.headers)
        # The id of a virtual table's row is made of its record id, so that no row can be created under it.
        creates = self._dialect.name != "operations" and entity.virtual_of is None
        may_create = creates and not wanted.must_exist
        row = self._reader(asked).row(parse_object(asked.body), entity, dict(key), may_create)
        unchanged = Refusal("FC1006", "The body changes no column.", hint='Write {"Column": value}.', source="body")
        if row.empty and not may_create:
            raise unchanged

        async def run(work: Work, scope: Scope, batch: Batch) -> Written:
            if wanted.must_be_new or row.empty:
                if await self._references.seen(work, scope, entity, key) is not None:
                    if row.empty and not wanted.must_be_new:
                        raise unchanged
                    raise Refusal("FC4092", "A record with matching key values already exists.", status=412)
                if not creates:
                    raise not_found(f"{entity.public_name} with this key")
                return await self._inserts.create(work, scope, batch, entity, _with_key(row, key))
            values = (*row.values, *await self._inserts.links(work, scope, batch, row))
            operation: Literal["update", "upsert"] = "upsert" if may_create else "update"
            return await self._inserts.write(work, scope, entity, operation, key, values, wanted.version)

        async def answer(written: Written | None) -> Answer:
            assert written is not None
            return await self._written(asked, entity, written, asked.prefer.representation is True)

        return Operation(run, answer)

    def _delete(self, asked: Asked) -> Operation:
        entity, key = self._references.key(asked.request)
        if entity.read_only:
            raise Refusal("FC1003", f"{entity.collection} is read-only.", source="path")
        version = conditions(asked.headers).version

        async def run(work: Work, scope: Scope, batch: Batch) -> Written:
            return await self._gate.write(work, scope, Write(entity.name, "delete", key, (), version))

        return Operation(run, no_content)

    def _property(self, asked: Asked) -> Operation:
        """``PUT Set(key)/Field {"value": …}``, ``DELETE Set(key)/Field``."""
        entity, key = self._references.key(asked.request)
        name = asked.request.path.member
        found = entity.fields.get(name)
        if found is None:
            raise Refusal("FC4042", f"Resource not found for the segment '{name[:100]}'.", source="path")
        if name in entity.key:
            raise Refusal("FC1003", f"'{name}' is part of the key and cannot be changed.", source=name)
        if asked.method == "PUT":
            data = parse_object(asked.body)
            if "value" not in data or any("@" not in other for other in data if other != "value"):
                raise Refusal("FC1006", "The body is not one value.", hint='Write {"value": …}.', source="body")
        else:
            data = {"value": None}
        row = self._reader(asked).row({name: data["value"]}, entity, {})
        version = conditions(asked.headers).version

        async def run(work: Work, scope: Scope, batch: Batch) -> Written:
            return await self._inserts.write(work, scope, entity, "update", key, row.values, version)

        return Operation(run, no_content)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _reader(self, asked: Asked) -> BodyReader:
        ieee754 = bool(asked.body) and content_is_json(asked.headers.get("content-type"))
        return BodyReader(self._gate.model, self._dialect, ieee754)

    async def _written(self, asked: Asked, entity: Entity, written: Written, representation: bool) -> Answer:
        """The answer to a create or update: the row, or where it is."""
        created = written.operation == "create"
        path = row_path(entity, written.after or {}, self._gate.model, self._dialect)
        if representation:
            shown = await self._shown(asked, path)
            if shown is not None:
                where = (("Location", self._location(asked, path)),) if created else ()
                return replace(shown, status=201 if created else 200, headers=(*shown.headers, *where))
        if self._dialect.name == "operations" and not created:
            return NO_CONTENT
        named = asked.method == "PATCH" and asked.request.path.key[0].name
        location = self._location(asked, asked.request.raw_path.strip("/") if named else path)
        headers = (VERSION, ("OData-EntityId", location))
        return Answer(204, (*headers, ("Location", location)) if created else headers)

    async def _shown(self, asked: Asked, path: str) -> Answer | None:
        """The row as its writer reads it, None where they may not: it is written all the same."""
        plain = {name: value for name, value in asked.headers.items() if not name.startswith("if-")}
        query = asked.request.raw_query
        if self._dialect.name == "operations" and not asked.request.cross_company:
            query = "&".join(part for part in query.split("&") if part and not part.startswith("cross-company"))
            query += "&cross-company=true" if query else "cross-company=true"
        try:
            return await self._requests.get(asked.principal, path, query, plain)
        except Refusal:
            return None

    def _location(self, asked: Asked, path: str) -> str:
        return f"{base_url(asked.headers)}{self._requests.root}/{path}"


_METHODS = {
    PathKind.SET: "Use GET or POST.",
    PathKind.ROW: "Use GET, PATCH or DELETE.",
    PathKind.MEMBER: "Use GET, PUT or DELETE.",
}


def _with_key(row: RowBody, key: Key) -> RowBody:
    given = dict(row.values)
    return replace(row, values=(*(pair for pair in key if pair[0] not in given), *row.values))
