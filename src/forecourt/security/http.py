"""The ASGI side of an OData door: who asks, what they ask, and refusals in the protocol's own shape.

Kept bare (no framework) since it is the hot path (reference: performance, 3). What is not expected becomes a 500 with
a correlation id; the exception itself is observed, never shown.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Denied, Fault, Impersonated, Observer, RequestDone
from forecourt.kernel.principal import Principal
from forecourt.odata.batch import MAX_BYTES
from forecourt.odata.errors import render
from forecourt.security.batches import Batches
from forecourt.security.changes import Changes
from forecourt.security.requests import Requests
from forecourt.security.services import Answer

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Authenticate = Callable[[str | None], Awaitable[Principal]]
#: From who asks, and the headers, to whom the request is decided for.
Acting = Callable[[Principal, Mapping[str, str]], Awaitable[Principal]]

#: Bytes of a body that are read at most; more is a 413.
MAX_BODY = 1024 * 1024

#: Header that says under which id a fault is logged.
CORRELATION = "x-ms-service-request-id"

WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})

#: Last segments of requests that hold many rows, and so may be larger.
MANY = ("$batch", "Microsoft.")
ALLOWED = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")


class ODataDoor:
    """Serves one service root to callers with a bearer token. ``acting``: whose name a request may be in."""

    def __init__(
        self,
        requests: Requests,
        authenticate: Authenticate,
        observer: Observer,
        timing: bool = False,
        acting: Acting | None = None,
    ) -> None:
        self._acting = acting
        self._requests = requests
        self._changes = Changes(requests)
        self._batches = Batches(requests, self._changes, self._failed)
        self._authenticate = authenticate
        self._observer = observer
        self._timing = timing
        self._prefix = len(requests.root)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers.setdefault("x-forwarded-proto", scope.get("scheme", "http"))
        method: str = scope["method"]
        correlation = ""
        identity = ""
        try:
            principal = await self._authenticate(headers.get("authorization"))
            identity = principal.label
            if self._acting is not None:
                acting = await self._acting(principal, headers)
                if acting is not principal:
                    self._observer(Impersonated(self._requests.door.value, identity, acting.label))
                    identity, principal = f"{identity} as {acting.label}", acting
            answer = await self._answer(principal, method, scope, headers, receive)
        except Exception as error:
            answer = self._failed(error, method in WRITES)
            if isinstance(error, Refusal) and error.status in (401, 403):
                self._observer(Denied(self._requests.door.value, identity, error.code, scope["path"]))
            correlation = dict(answer.headers).get(CORRELATION, "")
        seconds = time.perf_counter() - started
        await self._send(send, answer, method, seconds)
        self._observer(RequestDone(self._requests.door.value, method, answer.status, seconds, identity, correlation))

    async def _answer(
        self, principal: Principal, method: str, scope: AsgiScope, headers: dict[str, str], receive: Receive
    ) -> Answer:
        path = scope["raw_path"].partition(b"?")[0][self._prefix :].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        if method in ("GET", "HEAD"):
            return await self._requests.get(principal, path, query, headers)
        if method in WRITES:
            many = method == "POST" and path.rpartition("/")[2].startswith(MANY)
            body = await read_body(receive, headers, MAX_BYTES if many else MAX_BODY)
            if method == "POST" and path.strip("/") == "$batch":
                return await self._batches.batch(principal, headers, body)
            return await self._changes.change(principal, method, path, query, headers, body)
        raise Refusal(
            "FC1008",
            f"{method[:20]} is not supported on this resource.",
            hint="Use GET, POST, PATCH, PUT or DELETE.",
            headers=(("Allow", ", ".join(ALLOWED)),),
        )

    def _failed(self, error: Exception, writing: bool) -> Answer:
        """The answer to a request that could not be done; of a fault it holds no more than its correlation id."""
        dialect = self._requests.dialect
        if isinstance(error, Refusal):
            return Answer(*render(error, dialect, writing=writing))
        correlation = str(uuid.uuid4())
        self._observer(Fault(correlation, error))
        headers = ((CORRELATION, correlation),)
        if isinstance(error, Unavailable):
            refusal = Refusal("FC5031", "A database cannot be reached now.", headers=(("Retry-After", "5"), *headers))
        else:
            text = f"An unexpected error occurred. Correlation id: {correlation}."
            refusal = Refusal("FC5000", text, headers=headers)
        return Answer(*render(refusal, dialect, writing=writing))

    async def _send(self, send: Send, answer: Answer, method: str, seconds: float) -> None:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers
        ]
        headers.append((b"cache-control", b"no-store"))
        headers.append((b"content-length", str(len(answer.body)).encode()))
        if self._timing:
            headers.append((b"server-timing", f"total;dur={seconds * 1000:.2f}".encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})


async def read_body(receive: Receive, headers: dict[str, str], limit: int = MAX_BODY) -> bytes:
    """The request's body. Refusal FC1005 (413) where it is larger than ``limit`` bytes."""
    too_large = Refusal("FC1005", f"The body is larger than {limit} bytes.", status=413)
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal("FC1006", "The client closed the connection before the body was complete.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
