"""``/_api/<entity set>``: who asks, whether a write is meant, then the Dataverse protocol behind the portal's door.

Reads need no token; writes need the one of the session (or visitor) in the header ``__RequestVerificationToken``.
Which tables and columns are open, and which rows, is decided behind ``Door.PORTAL_API``. As scripts of portals expect
(pages-and-dataverse A2.1): a new row's id is in the header ``entityid``, and values come with their annotations unless
``Prefer`` names others.
"""

from __future__ import annotations

import re

from starlette.responses import Response

from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Door
from forecourt.pages.ports import DataverseRequests
from forecourt.pages.render import finish
from forecourt.pages.site import Site
from forecourt.pages.visit import Visit
from forecourt.pages.web_api import errors
from forecourt.pages.web_api.errors import Failure

PREFIX = b"/_api/"

#: Largest body of a write.
MAX_BODY = 1024 * 1024

#: Annotations that a read has without asking.
ANNOTATIONS = (
    'odata.include-annotations="OData.Community.Display.V1.FormattedValue,'
    'Microsoft.Dynamics.CRM.associatednavigationproperty,Microsoft.Dynamics.CRM.lookuplogicalname"'
)

_JSON = "application/json; odata.metadata=minimal"
_CREATED = re.compile(r".*\(([0-9a-f-]{36})\)")
_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
_ALLOWED = ", ".join(_METHODS)


class PortalApi:
    """Answers ``/_api``."""

    def __init__(self, requests: DataverseRequests, site: Site) -> None:
        self._requests = requests
        self._inner = site.setting("Webapi/error/innererror").lower() == "true"

    async def answer(self, visit: Visit) -> Response:
        """The answer to one request; never raises Refusal."""
        method = visit.request.method
        write = method not in csrf.SAFE_METHODS
        try:
            if method not in _METHODS:
                return self._failed(
                    visit, Failure(405, errors.INVALID_OPERATION, "Invalid Operation performed."), {"allow": _ALLOWED}
                )
            if visit.trouble is not None:
                raise visit.trouble
            if write:
                failure = self._unproved(visit)
                if failure is not None:
                    return self._failed(visit, failure)
            status, headers, body = await self._forward(visit, write)
        except Refusal as refusal:
            return self._failed(visit, errors.from_refusal(refusal, write=write), dict(refusal.headers))
        if status >= 400:
            return self._failed(visit, errors.from_answer(status, body, write=write))
        response = Response(body, status)
        for name, value in headers:
            response.headers[name] = value
        if row := _CREATED.fullmatch(response.headers.get("odata-entityid", "")):
            response.headers["entityid"] = row[1]
        response.headers.setdefault("content-type", _JSON)
        response.headers["cache-control"] = "no-store"
        return finish(visit, response)

    async def _forward(self, visit: Visit, write: bool) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        request = visit.request
        raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        path = raw_path.partition(b"?")[0].removeprefix(PREFIX)
        headers = {name.lower(): value for name, value in request.headers.items() if name.lower() != "cookie"}
        headers.setdefault("x-forwarded-proto", request.scope["scheme"])
        query: bytes = request.scope["query_string"]
        if not write:
            wanted = headers.get("prefer", "")
            if "odata.include-annotations" not in wanted.lower():
                headers["prefer"] = f"{wanted},{ANNOTATIONS}" if wanted.strip() else ANNOTATIONS
            return await self._requests.get(visit.principal, path, query, headers, Door.PORTAL_API)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise Refusal("FC1005", "The body is larger than the server takes.")
        return await self._requests.change(visit.principal, request.method, path, query, headers, bytes(body))

    @staticmethod
    def _unproved(visit: Visit) -> Failure | None:
        """What is wrong with the anti-forgery token of a write."""
        token = visit.request.headers.get(csrf.HEADER)
        if not token:
            text = "The required anti-forgery header __RequestVerificationToken is not present."
            return Failure(401, errors.FORGERY_MISSING, text)
        try:
            visit.require_token(token)
        except Refusal:
            text = "The anti-forgery cookie token and form field token do not match."
            return Failure(401, errors.FORGERY_MISMATCH, text)
        return None

    def _failed(self, visit: Visit, failure: Failure, headers: dict[str, str] | None = None) -> Response:
        response = Response(failure.body(show_inner=self._inner), failure.status, headers, _JSON)
        response.headers["cache-control"] = "no-store"
        return finish(visit, response)
