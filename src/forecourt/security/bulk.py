"""Bulk actions of Dataverse: many rows of one table in one request, all or none.

::

    POST Set/Microsoft.Dynamics.CRM.CreateMultiple  {"Targets": [{…}, …]}   200 {"Ids": […]}
         UpdateMultiple, UpsertMultiple                                      204

A target of an update says which row it is by its id, an alternate key or ``@odata.id``. ``@odata.type``, where given,
names the table. Leaves out DeleteMultiple, which the original has for elastic tables only.
Source: pages-and-dataverse B2.6; clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from forecourt.kernel.change import Written
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.odata.batch import MAX_BYTES
from forecourt.odata.body import parse_object, read_value
from forecourt.odata.keys import key_text
from forecourt.odata.lexer import printable
from forecourt.odata.rows import BodyReader, RowBody
from forecourt.odata.scope import entity_of
from forecourt.security.inserts import Inserts
from forecourt.security.operation import Asked, Operation
from forecourt.security.references import Batch, Key, References
from forecourt.security.requests import Requests
from forecourt.security.scope import Scope
from forecourt.security.services import NO_CONTENT, Answer
from forecourt.store.work import Work

#: The actions by name.
ACTIONS: Mapping[str, Literal["create", "update", "upsert"]] = {
    "CreateMultiple": "create",
    "UpdateMultiple": "update",
    "UpsertMultiple": "upsert",
}

#: Targets of one request. The original has no limit and advises 100 to 1,000.
MOST = 5_000


class Bulk:
    """Bulk actions of one door."""

    def __init__(self, requests: Requests, references: References, inserts: Inserts) -> None:
        self._requests = requests
        self._model = requests.gate.model
        self._references = references
        self._inserts = inserts

    def operation(self, asked: Asked, reader: BodyReader) -> Operation:
        """Parses a bulk action. Raises Refusal."""
        path = asked.request.path
        namespace, _, name = path.operation.rpartition(".")
        dialect = self._requests.dialect
        if dialect.name != "dataverse" or namespace != dialect.namespace or name not in ACTIONS or path.key:
            raise Refusal("FC4042", f"Resource not found for the segment '{path.operation[:100]}'.", source="path")
        entity = entity_of(self._model, path.set)
        action = ACTIONS[name]
        if action == "upsert" and entity.virtual_of is not None:
            raise Refusal("FC1004", f"{name} is not supported on virtual tables.", source="path")
        targets = parse_object(asked.body, MAX_BYTES).get("Targets")
        if not isinstance(targets, list) or any(not isinstance(item, dict) for item in targets):
            raise Refusal("FC1006", "Targets is a list of rows.", hint='Write {"Targets": [{…}, …]}.', source="body")
        if not 0 < len(targets) <= MOST:
            raise Refusal("FC1006", f"Targets holds 1 to {MOST} rows; this one has {len(targets)}.", source="Targets")
        rows = [self._target(entity, reader, item, action) for item in targets]
        ids: list[str] = []
        name_of = entity.key[0]

        async def run(work: Work, scope: Scope, batch: Batch) -> None:
            ids.clear()
            for key, row in rows:
                if action == "create":
                    written = await self._inserts.create(work, scope, batch, entity, row)
                    ids.append(key_text(entity.fields[name_of], (written.after or {})[name_of], self._model, dialect))
                    continue
                values = (*row.values, *await self._inserts.links(work, scope, batch, row))
                await self._inserts.write(work, scope, entity, action, key, values)

        async def answer(_: Written | None) -> Answer:
            if action != "create":
                return NO_CONTENT
            return self._requests.value(asked.headers, f"{dialect.namespace}.{name}Response", {"Ids": ids})

        return Operation(run, answer)

    def _target(self, entity: Entity, reader: BodyReader, item: Mapping[str, Any], action: str) -> tuple[Key, RowBody]:
        """The key and the row of one target."""
        _check_type(entity, item.get("@odata.type"), self._requests.dialect.namespace)
        if action == "create":
            return (), reader.row(item, entity)
        key = self._key(entity, item)
        row = reader.row(item, entity, dict(key))
        if row.empty and action == "update":
            raise Refusal("FC1006", "A target changes no column.", source="Targets")
        return key, row

    def _key(self, entity: Entity, item: Mapping[str, Any]) -> Key:
        if (reference := item.get("@odata.id")) is not None:
            named, key = self._references.address(reference, "@odata.id")
            if named is not entity:
                raise Refusal("FC1003", f"'@odata.id' names a row of {named.collection}.", source="@odata.id")
            return key
        keys = (entity.key, *entity.alternate_keys.values())
        fields = next((names for names in keys if all(item.get(name) is not None for name in names)), None)
        if fields is None:
            hint = f"Give {entity.key[0]}, an alternate key or @odata.id."
            raise Refusal("FC1003", "A target does not say which row it is.", hint=hint, source="Targets")
        return tuple(
            (name, read_value(item[name], entity.fields[name], self._model, self._requests.dialect)) for name in fields
        )


def _check_type(entity: Entity, given: object, namespace: str) -> None:
    """``@odata.type`` of a target, with or without ``#``."""
    if given is None:
        return
    if not isinstance(given, str) or given.removeprefix("#") != f"{namespace}.{entity.public_name}":
        shown = printable(str(given)[:100])
        hint = f'Write "@odata.type": "{namespace}.{entity.public_name}".'
        raise Refusal("FC1003", f"A target is of type {shown}.", hint=hint, source="@odata.type")
