"""The operations service at ``/data``: OData v4 over the data entities (operations-and-integration 5.2-5.4)."""

from __future__ import annotations

from collections.abc import Mapping

from forecourt.kernel.principal import Door
from forecourt.odata.dialect import OPERATIONS
from forecourt.operations.actions import EntityAction
from forecourt.security.gate import Gate
from forecourt.security.requests import Requests
from forecourt.security.services import Service

ROOT = "/data"


def data_requests(gate: Gate, services: Mapping[str, Service] | None = None) -> Requests:
    """The requests of ``/data``. ``services``: by name, what it answers beside rows: actions, data packages."""
    actions = [service.signature for service in (services or {}).values() if isinstance(service, EntityAction)]
    return Requests(gate, OPERATIONS, Door.OPERATIONS, ROOT, services, actions=actions)
