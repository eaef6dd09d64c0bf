"""Asks an issuer: https only (http on this machine), no redirects, 5 s, answers of 1 MB at most.

The addresses come from the solution's files and from an issuer's discovery document, never from a request or a token.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPResponse
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit

SECONDS: Final = 5.0
LARGEST: Final = 1_048_576


async def fetch(url: str) -> bytes:
    """The body of ``url``. Raises OSError (not reachable, not 200, too slow) or ValueError (not allowed, too big)."""
    return await ask(url)


async def ask(url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """The answer of ``url`` to a posted form, or to GET without one. Raises as :func:`fetch`."""
    if not is_allowed(url):
        raise ValueError("only https addresses, or http on this machine, are read")
    data = urlencode(form).encode() if form is not None else None
    return await asyncio.wait_for(asyncio.to_thread(_read, url, data, dict(headers or {})), SECONDS + 1)


def is_allowed(url: str) -> bool:
    """Whether the address may be read.

    >>> is_allowed("https://login.example/keys"), is_allowed("http://127.0.0.1:1/keys"), is_allowed("http://a.example/")
    (True, True, False)
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme != "http":
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(url: str, data: bytes | None, headers: dict[str, str]) -> bytes:
    deadline = time.monotonic() + SECONDS
    opener = urllib.request.OpenerDirector()  # holds no handler for redirects: they are errors like any other answer
    if url.startswith("https:"):
        opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler())
    opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    headers = {"Accept": "application/json", **headers}
    if data is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    request = urllib.request.Request(url, data, headers)  # noqa: S310 -- see is_allowed
    try:
        answer: HTTPResponse = opener.open(request, timeout=SECONDS)
    except HTTPError as error:
        error.close()
        raise OSError(f"the issuer answers {error.code}") from None
    with answer:
        body = bytearray()
        while chunk := answer.read1(65_536):
            body += chunk
            if len(body) > LARGEST:
                raise ValueError("the document is larger than 1 MB")
            if time.monotonic() > deadline:
                raise TimeoutError("the document takes too long")
        return bytes(body)
