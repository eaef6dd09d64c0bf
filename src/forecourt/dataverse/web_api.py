"""The Dataverse Web API at ``/api/data/v9.2`` and the portal's ``/_api``, over the same tables (reference B, A2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from forecourt.dataverse.bulk_delete import bulk_delete
from forecourt.dataverse.changes import ChangeTracking
from forecourt.dataverse.who_am_i import WhoAmI
from forecourt.kernel.principal import Door, Principal
from forecourt.odata.dialect import DATAVERSE, PORTAL
from forecourt.odata.signature import Signature
from forecourt.security.changes import Changes
from forecourt.security.fetches import Fetches
from forecourt.security.gate import Gate
from forecourt.security.requests import Headers, Requests
from forecourt.security.services import Service

ROOT = "/api/data/v9.2"


def web_api_requests(
    gate: Gate,
    organization: UUID,
    services: Mapping[str, Service] | None = None,
    actions: Sequence[Signature] = (),
) -> Requests:
    """The requests of the Web API. ``organization``: the organization's id; ``services``: further ones, by name;
    ``actions``: what ``$metadata`` says of those that are actions."""
    return Requests(
        gate,
        DATAVERSE,
        Door.DATAVERSE,
        ROOT,
        services={"WhoAmI": WhoAmI(organization), "BulkDelete": bulk_delete, **(services or {})},
        readers=(Fetches(gate, DATAVERSE, Door.DATAVERSE, ROOT), ChangeTracking(gate, ROOT)),
        actions=actions,
    )


class PortalRequests:
    """The requests of ``/_api``: only the tables and columns that ``Webapi/`` settings open."""

    def __init__(self, gate: Gate) -> None:
        fetches = Fetches(gate, PORTAL, Door.PORTAL_API, "/_api")
        self._requests = Requests(gate, PORTAL, Door.PORTAL_API, "/_api", readers=(fetches,))
        self._changes = Changes(self._requests)

    async def get(
        self, principal: Principal, raw_path: bytes, raw_query: bytes, headers: Mapping[str, str], door: Door
    ) -> tuple[int, Headers, bytes]:
        """A read, as (status, headers, body)."""
        path, query = raw_path.decode("latin-1"), raw_query.decode("latin-1")
        answer = await self._requests.get(principal, path, query, headers)
        return answer.status, answer.headers, answer.body

    async def change(
        self,
        principal: Principal,
        method: str,
        raw_path: bytes,
        raw_query: bytes,
        headers: Mapping[str, str],
        body: bytes,
    ) -> tuple[int, Headers, bytes]:
        """POST, PATCH, PUT or DELETE, as (status, headers, body)."""
        path, query = raw_path.decode("latin-1"), raw_query.decode("latin-1")
        answer = await self._changes.change(principal, method, path, query, headers, body)
        return answer.status, answer.headers, answer.body
