"""``$batch``: a multipart body as the requests that it holds, and answers as a multipart body.

::

    batch      = part *( part )           part = one request | a change set, which holds requests in turn
    request    = "METHOD SP URL SP HTTP/1.1" headers [ body ]

Lines end with CRLF; a bare LF is taken as well. Leaves out running them (``security/batches``).
Sources: pages-and-dataverse B2.5; operations-and-integration 5.5; OData 4.0 Part 1, 11.7; RFC 2046, 5.1.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise

from forecourt.kernel.errors import Refusal
from forecourt.odata.dialect import Dialect

#: Requests in one batch.
MOST = {"operations": 5_000, "dataverse": 1_000, "portal": 1_000}
MAX_BYTES = 16 * 1024 * 1024

_BOUNDARY = re.compile(r'(?i)\bboundary\s*=\s*("(?P<quoted>[^"]{1,70})"|(?P<plain>[^\s;,"]{1,70}))')
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*\Z")
_REQUEST = re.compile(rb"(GET|POST|PATCH|PUT|DELETE)[ \t]+(\S(?:.*\S)?)[ \t]+HTTP/[0-9.]{1,8}")


@dataclass(frozen=True, slots=True)
class Part:
    """One request. ``path`` is relative to the service root or ``$1/…``, without a leading slash; ``headers`` have
    lower-case names. ``id``: its Content-ID, ''."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    id: str = ""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Requests that are done together or not at all."""

    parts: tuple[Part, ...]


def read_batch(body: bytes, content_type: str | None, root: str, dialect: Dialect) -> tuple[Part | ChangeSet, ...]:
    """The requests of a batch in order. ``root``: path of the service root. Raises Refusal FC1001, FC1005, FC1006."""
    items = [_item(headers, text, root) for headers, text in _split(body, _boundary(content_type))]
    count = sum(len(item.parts) if isinstance(item, ChangeSet) else 1 for item in items)
    if count > MOST[dialect.name]:
        raise Refusal("FC1005", f"A batch holds at most {MOST[dialect.name]} requests; this one has {count}.")
    return tuple(items)


def _item(headers: Mapping[str, str], text: bytes, root: str) -> Part | ChangeSet:
    kind = headers.get("content-type", "")
    if kind.lower().startswith("multipart/"):
        parts = []
        for inner, content in _split(text, _boundary(kind)):
            part = _part(inner, content, root)
            if part.method == "GET":
                raise Refusal("FC1001", "A change set holds no GET.", hint="Put it before or after the change set.")
            parts.append(part)
        names = [part.id for part in parts if part.id]
        if len(set(names)) < len(names):
            raise Refusal("FC1006", "A Content-ID is given twice in a change set.", source="body")
        return ChangeSet(tuple(parts))
    return _part(headers, text, root)


def _boundary(content_type: str | None) -> bytes:
    found = _BOUNDARY.search(content_type or "")
    if not (content_type or "").lower().lstrip().startswith("multipart/mixed") or found is None:
        hint = 'Send "Content-Type: multipart/mixed; boundary=…".'
        raise Refusal("FC1009", "A batch is multipart/mixed with a boundary.", hint=hint)
    return (found["quoted"] or found["plain"]).encode("latin-1", "replace")


def _split(body: bytes, boundary: bytes) -> list[tuple[dict[str, str], bytes]]:
    """The parts between the boundaries, as (headers, content)."""
    marker = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    marks = list(marker.finditer(body))
    if not marks or marks[-1][1] is None:
        raise Refusal("FC1006", "The batch is not complete: its last boundary is missing.", source="body")
    parts = []
    for mark, following in pairwise(marks):
        if mark[1] is not None:
            raise Refusal("FC1006", "The batch goes on after its last boundary.", source="body")
        parts.append(_headed(re.sub(rb"\A\r?\n", b"", body[mark.end() : following.start()], count=1)))
    return parts


def _headed(text: bytes) -> tuple[dict[str, str], bytes]:
    """Header lines up to an empty one, and the rest."""
    headers: dict[str, str] = {}
    at = 0
    while at < len(text):
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end].removesuffix(b"\r").decode("latin-1")
        at = end + 1
        if not line:
            break
        found = _HEADER.match(line)
        if found is None:
            raise Refusal("FC1006", "A header of a part of the batch cannot be read.", source="body")
        headers[found[1].lower()] = found[2]
    return headers, text[at:]


def _part(headers: Mapping[str, str], text: bytes, root: str) -> Part:
    if not headers.get("content-type", "").lower().startswith("application/http"):
        raise Refusal("FC1006", "A part of the batch is not application/http.", source="body")
    line, _, rest = text.lstrip(b"\r\n").partition(b"\n")
    found = _REQUEST.fullmatch(line.strip())
    if found is None:
        raise Refusal("FC1006", "A part of the batch is no request.", hint='Write "GET Set(key) HTTP/1.1".')
    inner, body = _headed(rest)
    path, query = _address(found[2], root)
    if path.strip("/") == "$batch":
        raise Refusal("FC1006", "A batch holds no other batch.", source="body")
    name = headers.get("content-id", inner.get("content-id", ""))
    return Part(found[1].decode("ascii"), path, query, inner, body, name)


def _address(raw: bytes, root: str) -> tuple[str, str]:
    """Path below the service root, and query. Blanks that a client left in are taken as such."""
    try:
        text = raw.decode("utf-8").replace(" ", "%20").replace("\t", "%09")
    except UnicodeDecodeError:
        raise Refusal("FC1006", "The URL of a part of the batch is not UTF-8.", source="body") from None
    path, _, query = text.partition("#")[0].partition("?")
    if "://" in path[:12]:
        path = "/" + path.partition("://")[2].partition("/")[2]
    if path.startswith("/"):
        if not path.startswith(root + "/"):
            raise Refusal("FC1006", "A part of the batch is addressed to another service.", source="body")
        path = path[len(root) + 1 :]
    return path, query


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """The answer to one request of a batch."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    id: str = ""


def write_batch(answers: Sequence[PartAnswer | Sequence[PartAnswer]]) -> tuple[str, bytes]:
    """The content type and the body of a batch's answer; a sequence is a change set's."""
    boundary = f"batchresponse_{uuid.uuid4()}"
    chunks: list[bytes] = []
    for answer in answers:
        chunks.append(f"--{boundary}\r\n".encode())
        if isinstance(answer, PartAnswer):
            chunks.append(_http(answer))
            continue
        inner = f"changesetresponse_{uuid.uuid4()}"
        chunks.append(f"Content-Type: multipart/mixed; boundary={inner}\r\n\r\n".encode())
        chunks += [b"".join((f"--{inner}\r\n".encode(), _http(item))) for item in answer]
        chunks.append(f"--{inner}--\r\n".encode())
    chunks.append(f"--{boundary}--\r\n".encode())
    return f"multipart/mixed; boundary={boundary}", b"".join(chunks)


def _http(answer: PartAnswer) -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if answer.id:
        lines.append(f"Content-ID: {answer.id}")
    lines += ["", f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    head = "\r\n".join((*lines, "", "")).encode("latin-1", "replace")
    return head + answer.body + b"\r\n"
