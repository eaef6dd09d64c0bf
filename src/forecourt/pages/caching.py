"""What caches may keep of the portal's answers: nothing that a change of data or permission could make false.

=========================  ============================================================================================
a signed-in person's page  ``no-store``: no cache keeps it
an anonymous page          ``private, no-cache`` and the hash of its text: a browser keeps it and asks at each use;
                           where the text is the same, the answer is 304
a web file                 the same, signed in or not, with the hash of its content: its permission is asked first
an asset of the product    immutable: its address holds its hash (:mod:`forecourt.web.assets`)
=========================  ============================================================================================

An answer that sets a cookie or holds an anti-forgery token is a new one each time and has no hash.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from forecourt.pages.visit import Visit
from forecourt.web import packing

REVALIDATED = "private, no-cache"


def finish(visit: Visit, response: Response) -> Response:
    """The answer with its cookies and what caches may do with it; 304 where the browser has it already."""
    headers = response.headers
    for cookie in visit.cookies:
        headers.append("set-cookie", cookie)
    if "cache-control" not in headers:
        headers["cache-control"] = "no-store" if visit.signed_in else REVALIDATED
    headers.setdefault("vary", "cookie, accept-language")
    kept = not visit.signed_in and headers["cache-control"] == REVALIDATED and "set-cookie" not in headers
    body = getattr(response, "body", None)  # a file's answer has none in memory
    if kept and response.status_code == 200 and not visit.token_given and isinstance(body, bytes):
        headers["etag"] = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        response = unchanged(visit, response)
    return _packed(visit, response) if isinstance(response, HTMLResponse) else response


def _packed(visit: Visit, response: HTMLResponse) -> Response:
    """The page packed, where it is worth it and the browser takes that."""
    if len(response.body) < packing.LEAST:
        return response
    response.headers["vary"] += ", accept-encoding"
    if packing.accepts(visit.request.headers.get("accept-encoding", "")):
        response.body = packing.pack(bytes(response.body))
        response.headers["content-encoding"] = "gzip"
        response.headers["content-length"] = str(len(response.body))
    return response


def unchanged(visit: Visit, response: Response) -> Response:
    """304 where the browser already has what ``etag`` names, else the answer."""
    known = {tag.strip().removeprefix("W/") for tag in visit.request.headers.get("if-none-match", "").split(",")}
    if visit.request.method not in {"GET", "HEAD"} or response.headers.get("etag", "").removeprefix("W/") not in known:
        return response
    names = ("cache-control", "etag", "vary", "set-cookie")
    short = Response(status_code=304)
    for name, value in response.headers.items():
        if name in names:
            short.headers.append(name, value)
    return short


def file_tag(path: Path) -> str:
    """The entity tag of a file: the hash of its content, read anew when the file has changed."""
    about = path.stat()
    return _hash(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=1024)
def _hash(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return f'"{hashlib.file_digest(file, "sha256").hexdigest()[:32]}"'
