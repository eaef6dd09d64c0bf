"""Services: what a door answers beside rows of entity sets, as functions that it is given.

::

    WhoAmI()                                       function or action by itself         "WhoAmI"
    EntityDefinitions(LogicalName='x')/Attributes  everything below one head            "EntityDefinitions"
    Set(key)/Namespace.Confirm                     operation of any set                 "Confirm"
    Set(key)/Namespace.Confirm                     operation of one set                 "Set/Confirm" (goes first)

A :class:`Service` gets a :class:`Call` and gives an :class:`Answer`, or raises Refusal. In a change set it takes part
in the unit of work of the others: :meth:`Call.run` sees to that. A :class:`Reader` takes over whole reads (change
tracking). Leaves out what the services do, and the portal, which has none (pages-and-dataverse A2.1).
Sources: pages-and-dataverse B3; operations-and-integration 5.5, 5.8.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.principal import Principal
from forecourt.odata.arguments import read_arguments
from forecourt.odata.body import parse_object
from forecourt.odata.dialect import Dialect
from forecourt.odata.path import decode
from forecourt.odata.query import row_key
from forecourt.odata.request import analyse
from forecourt.security.gate import Gate
from forecourt.security.scope import Scope
from forecourt.store.work import Work

T = TypeVar("T")
Headers = tuple[tuple[str, str], ...]

VERSION = ("OData-Version", "4.0")
JSON = "application/json; odata.metadata={}"

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Headers
    body: bytes = b""


NO_CONTENT = Answer(204, (VERSION,))


@dataclass(frozen=True)
class Call:
    """A request to a service. ``path``: below the service root, ``query``: both percent-encoded as they came;
    ``headers``: lower-case names; ``root``: path of the service root, ``/api/data/v9.2``. ``work``: the unit of work of
    a change set, None outside of one."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    principal: Principal
    scope: Scope
    gate: Gate
    dialect: Dialect
    root: str
    work: Work | None = None

    @property
    def base(self) -> str:
        """The service root as the client called it: ``https://host/api/data/v9.2``."""
        return base_url(self.headers) + self.root

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The path, split and decoded."""
        return tuple(decode(part, "path") for part in self.path.strip("/").split("/"))

    @cached_property
    def options(self) -> Mapping[str, str]:
        """The query options, decoded: ``$select``, ``@p1``. Refusal FC1001 for one given twice."""
        pairs = parse_qsl(self.query, keep_blank_values=True, errors="replace")
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Refusal("FC1001", "A query option is given twice.")
        return found

    @cached_property
    def arguments(self) -> Mapping[str, str]:
        """What stands in the parentheses of the last segment: name -> text without its quotes, aliases resolved.
        Raises Refusal FC1001."""
        return read_arguments(self.segments[-1], self.options)

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """The body as a JSON object, empty without a body. Raises Refusal FC1005, FC1006."""
        return parse_object(self.body) if self.body.strip() else {}

    def target(self) -> tuple[Entity, tuple[tuple[str, object], ...]]:
        """The row that an operation is bound to, ``Set(key)/Operation``: its entity, pairs (field, value) of the key.
        The key is not looked for. Raises Refusal FC1001-FC1003, FC4042."""
        head = self.path.strip("/").partition("/")[0]
        request = analyse(head, "", self.dialect)
        if not request.path.key:
            raise Refusal("FC4042", "The operation needs a row.", hint="Write Set(key)/Operation.", source="path")
        entity, key = row_key(request, self.gate.model, self.dialect)
        return entity, key.bind(request.literals)

    async def run(self, attempt: Callable[[Work], Awaitable[T]], reason: str) -> T:
        """Runs ``attempt`` in the unit of work of the change set, or else in one of its own."""
        if self.work is not None:
            return await attempt(self.work)
        return await self.gate.coordinator.run(attempt, reason)

    def value(self, name: str, value: Mapping[str, object]) -> Answer:
        """The result of a function or action: ``name`` is its type, ``Microsoft.Dynamics.CRM.WhoAmIResponse``."""
        return json_answer({"@odata.context": f"{self.base}/$metadata#{name}", **value})


class Service(Protocol):
    """Answers calls. Raises Refusal."""

    async def __call__(self, call: Call) -> Answer: ...


class Reader(Protocol):
    """Takes over reads of entity sets that are asked for in a certain way."""

    def concerns(self, raw_query: str, headers: Mapping[str, str]) -> bool: ...

    async def get(self, principal: Principal, raw_path: str, raw_query: str, headers: Mapping[str, str]) -> Answer: ...


@dataclass(frozen=True)
class Services:
    """The services of a door, by name."""

    named: Mapping[str, Service]

    def find(self, raw_path: str) -> Service | None:
        """The service that a path belongs to."""
        if not self.named:
            return None
        head, _, rest = raw_path.strip("/").partition("/")
        name = head.partition("(")[0]
        if rest:
            last = rest.rpartition("/")[2].partition("(")[0]
            if "." in last:
                operation = last.rpartition(".")[2]
                found = self.named.get(f"{name}/{operation}") or self.named.get(operation)
                if found is not None:
                    return found
        return self.named.get(name) or self.named.get(name.rpartition(".")[2])


def json_answer(value: object, status: int = 200, headers: Headers = ()) -> Answer:
    """A JSON answer."""
    return Answer(status, (("Content-Type", JSON.format("minimal")), VERSION, *headers), _ENCODE(value))


def base_url(headers: Mapping[str, str]) -> str:
    """The origin that a client called, from Host and X-Forwarded-Proto, as Microsoft's clients expect it."""
    return _origin(headers.get("host", ""), headers.get("x-forwarded-proto", ""))


@lru_cache(maxsize=256)
def _origin(host: str, protocol: str) -> str:
    scheme = "https" if protocol.lower() == "https" else "http"
    if not host or not all(c.isalnum() or c in ".-:[]" for c in host):
        host = "localhost"
    return f"{scheme}://{host}"
