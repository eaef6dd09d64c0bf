"""The addresses of blobs, and those of recurring jobs' queues, on the ASGI side.

=========================================  ========================================================================
``PUT /api/blobs/<id>?…``                  writes a blob once; ``x-ms-blob-type: BlockBlob``
``GET /api/blobs/<id>?…``                  reads it
``POST /api/connector/enqueue/<act.>``     ``?entity=…&company=…``, a package or a data file; the message's id
``GET /api/connector/dequeue/<act.>``      the next package's address, or 204
``POST /api/connector/ack/<act.>``         the body of ``dequeue``, unchanged
=========================================  ========================================================================

An address of a blob carries its own right; queues want a bearer token. Bodies are streamed. What is refused is said in
the shape of ``/data``. Source: operations-and-integration 5.8, 5.9.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Denied, Fault, Observer
from forecourt.kernel.principal import Door
from forecourt.odata.body import parse_object
from forecourt.odata.dialect import OPERATIONS
from forecourt.odata.errors import render
from forecourt.operations.packages.blobs import PATH as BLOBS
from forecourt.operations.packages.blobs import Blobs
from forecourt.operations.packages.queues import Queues
from forecourt.security.http import CORRELATION, AsgiScope, Authenticate, Receive, Send, read_body
from forecourt.security.services import Answer, base_url, json_answer

CONNECTOR = "/api/connector/"

_KINDS = {"zip": "application/zip", "csv": "text/csv; charset=utf-8"}


class PackageDoor:
    """Serves blobs and queues."""

    def __init__(self, blobs: Blobs, queues: Queues, authenticate: Authenticate, observer: Observer) -> None:
        self._blobs = blobs
        self._queues = queues
        self._authenticate = authenticate
        self._observer = observer

    @staticmethod
    def owns(path: str) -> bool:
        """Whether a path is of this door."""
        return path.startswith((BLOBS, CONNECTOR))

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path: str = scope["path"]
        query = scope["query_string"].decode("latin-1")
        method: str = scope["method"]
        try:
            if path.startswith(BLOBS) and method in ("GET", "HEAD"):
                await self._read(path, query, method, send)
                return
            if path.startswith(BLOBS):
                answer = await self._write(path, query, method, headers, receive)
            else:
                answer = await self._queue(path.removeprefix(CONNECTOR), query, method, headers, receive)
        except Exception as error:
            answer = self._failed(error, path)
        await _send(send, answer)

    # -- blobs ----------------------------------------------------------------------------------------------------

    async def _write(self, path: str, query: str, method: str, headers: Mapping[str, str], receive: Receive) -> Answer:
        if method != "PUT":
            raise Refusal("FC1008", f"{method[:20]} is not supported here.", hint="Use PUT or GET.")
        blob = await self._blobs.admitted(path, query, "w")
        if headers.get("x-ms-blob-type", "").lower() != "blockblob" or "comp" in parse_qs(query):
            message = "The blob is to be sent as a whole."
            raise Refusal("FC1004", message, hint="Send x-ms-blob-type: BlockBlob, without comp=.")
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > self._blobs.limit:
            raise Refusal("FC1005", f"The package is larger than {self._blobs.limit // 1024**2} MB.")
        await self._blobs.fill(blob.id, _body(receive))
        return Answer(201, ())

    async def _read(self, path: str, query: str, method: str, send: Send) -> None:
        blob = await self._blobs.admitted(path, query, "r")
        if blob.size is None:
            raise Refusal("FC4802", "The blob is not written yet.")
        kind = _KINDS.get(blob.name.rpartition(".")[2], "application/octet-stream")
        headers = (
            ("Content-Type", kind),
            ("Content-Length", str(blob.size)),
            ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(blob.name, safe='')}"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        )
        await send({"type": "http.response.start", "status": 200, "headers": _encoded(headers)})
        if method == "GET":
            async for chunk in self._blobs.chunks(blob.id):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    # -- queues ---------------------------------------------------------------------------------------------------

    async def _queue(self, path: str, query: str, method: str, headers: Mapping[str, str], receive: Receive) -> Answer:
        principal = await self._authenticate(headers.get("authorization"))
        verb, _, activity = path.partition("/")
        activity = activity.strip("/")
        match method, verb:
            case "POST", "enqueue":
                given = {name: values[0] for name, values in parse_qs(query).items()}
                entity, company = given.get("entity", ""), given.get("company", "")
                message = await self._queues.enqueue(principal, activity, entity, company, _body(receive))
                return json_answer(str(message))
            case "GET", "dequeue":
                found = await self._queues.dequeue(principal, activity)
                if found is None:
                    return Answer(204, ())
                return json_answer(
                    {
                        "CorrelationId": str(found.id),
                        "PopReceipt": str(found.receipt),
                        "DownloadLocation": await self._blobs.address(base_url(headers), found.blob, "r"),
                        "IsDownLoadFileExist": True,
                        "FileDownLoadErrorMessage": None,
                    }
                )
            case "POST", "ack":
                body = parse_object(await read_body(receive, dict(headers)))
                await self._queues.acknowledge(
                    principal, activity, _guid(body, "CorrelationId"), _guid(body, "PopReceipt")
                )
                return Answer(200, ())
            case _, ("enqueue" | "dequeue" | "ack"):
                raise Refusal("FC1008", f"{method[:20]} is not supported here.", hint="Use GET to dequeue, else POST.")
        raise Refusal("FC4042", "There is nothing at this address.", hint="Use enqueue, dequeue or ack.")

    # -- answers --------------------------------------------------------------------------------------------------

    def _failed(self, error: Exception, path: str) -> Answer:
        if isinstance(error, Refusal):
            if error.status in (401, 403):
                self._observer(Denied(Door.PACKAGES.value, "", error.code, path))
            return Answer(*render(error, OPERATIONS))
        correlation = str(uuid.uuid4())
        self._observer(Fault(correlation, error))
        headers = ((CORRELATION, correlation),)
        if isinstance(error, Unavailable):
            refusal = Refusal("FC5031", "A database cannot be reached now.", headers=(("Retry-After", "5"), *headers))
        else:
            text = f"An unexpected error occurred. Correlation id: {correlation}."
            refusal = Refusal("FC5000", text, headers=headers)
        return Answer(*render(refusal, OPERATIONS))


def _guid(body: Mapping[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(str(body.get(name)))
    except ValueError:
        raise Refusal("FC1003", f"'{name}' is a GUID.", hint="Send the body of dequeue unchanged.") from None


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """The body of a request, as it arrives. Raises Refusal FC1006 where the client goes away."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal("FC1006", "The client closed the connection before the body was complete.")
        if chunk := message.get("body", b""):
            yield chunk
        if not message.get("more_body", False):
            return


def _encoded(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


async def _send(send: Send, answer: Answer) -> None:
    headers = (*answer.headers, ("Cache-Control", "no-store"), ("Content-Length", str(len(answer.body))))
    await send({"type": "http.response.start", "status": answer.status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": answer.body})
