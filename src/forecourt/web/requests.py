"""Requests of browsers: posted forms within limits, ways back that stay on this site, our own origins."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from forecourt.kernel.errors import Refusal
from forecourt.web.uploads import MAX_FIELDS, MAX_FORM, Bounds, Posted, is_multipart, put, read_multipart


def own_origins(request: Request) -> frozenset[str]:
    """The origins that a request's own Host stands for; a browser sets that header, another site cannot."""
    host = request.headers.get("host", "")
    return frozenset({f"http://{host}", f"https://{host}"}) if host else frozenset()


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a posted form; of one given twice the last (``name[]``: all), of files none.

    Raises Refusal FC1009 (another content type), FC1005 (too large), FC1006 (not UTF-8, too many fields).
    """
    return (await read_posted(request, Bounds())).fields


async def read_posted(request: Request, bounds: Bounds) -> Posted:
    """A posted form with its files: ``multipart/form-data``, or ``application/x-www-form-urlencoded`` without any.

    Raises Refusal as :func:`read_form` does.
    """
    return await read_multipart(request, bounds) if is_multipart(request) else Posted(await _read_encoded(request))


async def _read_encoded(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise Refusal("FC1005", "The form is larger than the server takes.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise Refusal("FC1009", "The form was sent in a way that is not understood.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise Refusal("FC1006", "The form cannot be read.") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        put(fields, name, value.replace("\r\n", "\n").replace("\0", ""))
    return fields


def local_url(wanted: str | None, default: str = "/") -> str:
    """``wanted`` where it is a path of this site, else ``default``: no way to send a person elsewhere.

    >>> local_url("/orders/?id=1"), local_url("//evil.example"), local_url("https://evil.example")
    ('/orders/?id=1', '/', '/')
    """
    if not wanted or not wanted.startswith("/") or wanted.startswith("//") or len(wanted) > 2000:
        return default
    if "\\" in wanted or any(ord(character) < 33 or ord(character) == 127 for character in wanted):
        return default
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return default
    return wanted if not parts.scheme and not parts.netloc and not parts.path.startswith("//") else default


def new_correlation() -> str:
    """An id by which an answer is found in the log."""
    return secrets.token_hex(8)
