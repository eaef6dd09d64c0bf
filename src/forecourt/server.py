"""The server: which door a path belongs to.

Built from the parts of the composition root (``app``); nothing but the command line imports it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from forecourt import __version__
from forecourt.app import Forecourt
from forecourt.dataverse.impersonation import Impersonation
from forecourt.dataverse.metadata import Metadata
from forecourt.dataverse.metadata_query import metadata_services
from forecourt.dataverse.web_api import web_api_requests
from forecourt.dataverse.who_am_i import organization_id
from forecourt.integration.dual_write.gauges import Gauges
from forecourt.integration.dual_write.service import map_services
from forecourt.integration.virtual.actions import virtual_actions
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.plan import SystemPlan
from forecourt.operations.actions import entity_actions
from forecourt.operations.packages.actions import package_services
from forecourt.operations.packages.door import PackageDoor
from forecourt.operations.packages.queues import Queues
from forecourt.operations.service import data_requests
from forecourt.security.http import AsgiScope, ODataDoor, Receive, Send

#: What a browser is told where the solution has no site.
NO_SITE = "This solution has no portal. It serves /data, /api/data/v9.2 and the token endpoint.\n"


class Server:
    """The ASGI application: which door a path belongs to.

    ``/data``, ``/api/data/v9.2``, data packages and the token endpoint come first; everything else is the portal's.
    """

    def __init__(self, forecourt: Forecourt, registry: CollectorRegistry) -> None:
        observer, timing = forecourt.observer, forecourt.settings.server_timing
        authenticate = forecourt.bearer.authenticate
        self._forecourt = forecourt
        self._registry = registry
        self._gauges = Gauges(forecourt.dual_write, forecourt.doubts, observer)
        definitions = forecourt.definitions
        actions = entity_actions(definitions.operations.hooks, forecourt.operations_gate)
        apis = virtual_actions(definitions.tables.model.entities.values(), actions)
        jobs, queues = forecourt.packages, Queues(forecourt.packages)
        served = {**package_services(jobs, queues), **map_services(forecourt.copies), **actions}
        self._packages = PackageDoor(jobs.blobs, queues, authenticate, observer)
        self._data = ODataDoor(data_requests(forecourt.operations_gate, served), authenticate, observer, timing)
        self._web_api = ODataDoor(
            web_api_requests(
                forecourt.dataverse_gate,
                organization_id(forecourt.header.name),
                {**metadata_services(Metadata(definitions.tables, definitions.dataverse.design)), **apis},
                [api.signature for api in apis.values()],
            ),
            authenticate,
            observer,
            timing,
            Impersonation(forecourt.dataverse_gate, forecourt.principals.for_operations_user),
        )
        self._tokens = Starlette(routes=forecourt.token_endpoint.routes())
        self._token_prefix = f"/{forecourt.header.tenant}/"

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return

        async def settled(message: Any) -> None:
            """No answer is ahead of the security log."""
            await self._forecourt.security_log.settle()
            await send(message)

        await self._answer(scope, receive, settled)

    async def _answer(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith("/data/") or path == "/data":
            await self._data(scope, receive, send)
        elif path.startswith("/api/data/v9.2/") or path == "/api/data/v9.2":
            await self._web_api(scope, receive, send)
        elif path.startswith(self._token_prefix) or path.endswith("/oauth2/v2.0/token"):
            await self._tokens(scope, receive, send)
        elif PackageDoor.owns(path):
            await self._packages(scope, receive, send)
        elif path.startswith("/studio/") or path == "/studio":
            await self._forecourt.studio(scope, receive, send)
        elif path == "/health":
            await self._health(scope, receive, send)
        elif path == "/metrics":
            await self._gauges.refresh()
            text = generate_latest(self._registry)
            await _respond(send, 200, CONTENT_TYPE_LATEST, text)
        elif self._forecourt.portal is not None:
            await self._forecourt.portal(scope, receive, send)
        else:
            await PlainTextResponse(NO_SITE, 404)(scope, receive, send)

    async def _health(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """200 while both databases answer, else 503."""
        databases = self._forecourt.databases
        try:
            for database in {id(d): d for d in (databases.operations, databases.dataverse)}.values():
                await database.system(SystemPlan("health", "select 1"))
            body, status = {"status": "ok", "version": __version__}, 200
        except (Refusal, Unavailable):
            body, status = {"status": "database unavailable", "version": __version__}, 503
        await _respond(send, status, "application/json", msgspec.json.encode(body))


async def _respond(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing to start: a server is built before it listens and closed by who built it."""
    while True:
        message: Any = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
