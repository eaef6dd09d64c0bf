"""``BulkDelete``: rows of tables deleted by their ids, in one request and all or none.

::

    POST BulkDelete  {"JobName": …, "QuerySet": [{"EntityName": "account", "Criteria": {"Conditions": [
        {"AttributeName": "accountid", "Operator": "In", "Values": [{"Value": id, "Type": "System.Guid"}, …]}]}}]}
    200 {"JobId": …}

The original starts a job and answers before it is done. Ours is done when it is answered: ``JobId`` is the number of
its unit of work. Rows that are gone already, or that the asker does not see, are passed over; a row that may not be
deleted turns the request down. Leaves out recurrence, e-mail, and queries by anything but the ids of rows.
Source: clients; pages-and-dataverse B2.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from forecourt.kernel.change import Write
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.security.services import Answer, Call
from forecourt.store.work import Work

RESPONSE = "Microsoft.Dynamics.CRM.BulkDeleteResponse"

#: Rows of one request.
MOST = 5_000


async def bulk_delete(call: Call) -> Answer:
    """The service. Raises Refusal FC1003-FC1008, and what a delete of one of the rows raises."""
    if call.method != "POST":
        raise Refusal("FC1008", f"{call.method[:20]} is not supported on an action.", hint="Use POST.")
    given = call.parameters
    if given.get("RecurrencePattern"):
        raise Refusal("FC1004", "BulkDelete does not recur here.", source="RecurrencePattern")
    queries = _objects(given.get("QuerySet"), "QuerySet")
    rows = [pair for query in queries for pair in _rows(query, call.gate.model)]
    if not 0 < len(rows) <= MOST:
        raise Refusal("FC1006", f"BulkDelete takes 1 to {MOST} rows; this one names {len(rows)}.", source="QuerySet")

    async def attempt(work: Work) -> int:
        for entity, row in rows:
            try:
                await call.gate.write(work, call.scope, Write(entity.name, "delete", ((entity.key[0], row),)))
            except Refusal as refusal:
                if refusal.code != "FC4041":
                    raise
        return work.id

    return call.value(RESPONSE, {"JobId": str(UUID(int=await call.run(attempt, "delete rows in bulk")))})


def _rows(query: Mapping[str, Any], model: Model) -> list[tuple[Entity, UUID]]:
    """The rows that one query names."""
    name = str(query.get("EntityName", ""))
    entity = model.entities.get(name)
    if entity is None:
        raise Refusal(
            "FC1003", f"There is no table {name[:100]}.", hint=suggest(name, model.entities), source="QuerySet"
        )
    criteria = query.get("Criteria")
    criteria = criteria if isinstance(criteria, Mapping) else {}
    conditions = _objects(criteria.get("Conditions"), "Conditions")
    asked = [(item.get("AttributeName"), item.get("Operator")) for item in conditions]
    if asked != [(entity.key[0], "In")] or criteria.get("Filters") or query.get("LinkEntities"):
        hint = f"Write one condition: {entity.key[0]} In a list of ids."
        raise Refusal("FC1004", "BulkDelete takes rows by their ids alone.", hint=hint, source="Criteria")
    values = _objects(conditions[0].get("Values"), "Values")
    try:
        return [(entity, UUID(str(value.get("Value")))) for value in values]
    except ValueError:
        raise Refusal("FC1003", f"A value of {entity.key[0]} is no GUID.", source="Values") from None


def _objects(value: object, name: str) -> Sequence[Mapping[str, Any]]:
    """A list of JSON objects. Refusal FC1006 for anything else."""
    if not isinstance(value, list) or not value or any(not isinstance(item, Mapping) for item in value):
        raise Refusal("FC1006", f"{name} is a list of objects.", source=name)
    return value
