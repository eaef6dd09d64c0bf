"""The operations service at ``/data``: OData v4 over the data entities (operations-and-integration 5.2-5.4)."""

from __future__ import annotations

from forecourt.kernel.principal import Door
from forecourt.odata.dialect import OPERATIONS
from forecourt.security.gate import Gate
from forecourt.security.requests import Requests

ROOT = "/data"


def data_requests(gate: Gate) -> Requests:
    """The requests of ``/data``."""
    return Requests(gate, OPERATIONS, Door.OPERATIONS, ROOT)
