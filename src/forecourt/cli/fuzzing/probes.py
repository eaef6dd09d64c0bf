"""Probes: writes, of which nothing is known but that the answer must not depend on what is hidden; and comparing.

Writes of rows that the person reads, of hidden ones, of rows that do not exist; with values of hidden rows, and with
ETags that were right once.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from forecourt.cli.fuzzing.client import Answered, Asked
from forecourt.cli.fuzzing.doors import Door
from forecourt.cli.fuzzing.questions import Asking, Key
from forecourt.cli.fuzzing.worlds import ROOTS
from forecourt.kernel.model import Entity
from forecourt.kernel.types import Kind

_JSON = (("content-type", "application/json"),)


def write(door: Door, asking: Asking, subject: Entity, keys: Sequence[Key], tags: Sequence[str]) -> Asked | None:
    """A random write at a door; None where the door has no such row. ``tags``: ETags that the person has seen."""
    entity = door.entity(subject.name)
    if entity is None:
        return None
    draw = asking.draw
    address = f"{ROOTS[door.name]}/{entity.collection}"
    options = "?cross-company=true" if door.name == "data" else ""
    method = draw.choice(("PATCH", "PATCH", "PATCH", "POST", "DELETE"))
    if method == "POST":
        return Asked("POST", address + options, _JSON, _body(door, asking, entity, new=True))
    key = door.key(entity, asking.key(subject, keys))
    if key is None:
        return None
    matches = draw.choice((None, None, "*", 'W/"1"', *tags[:3]))
    headers = _JSON if matches is None else (*_JSON, ("if-match", matches))
    if draw.random() < 0.15:
        headers = (*headers, ("if-none-match", "*"))
    body = b"" if method == "DELETE" else _body(door, asking, entity, new=False)
    return Asked(method, f"{address}({key}){options}", headers, body)


def _body(door: Door, asking: Asking, entity: Entity, new: bool) -> bytes:
    """Values of rows, hidden ones too, under the names of the door."""
    draw = asking.draw
    fields = [field for field in entity.fields.values() if field.kind in _WRITTEN and field.record_of is None]
    chosen = fields if new and draw.random() < 0.7 else draw.sample(fields, min(len(fields), draw.randint(1, 3)))
    values: dict[str, Any] = {}
    for field in chosen:
        if new and not field.creatable:
            continue
        value = asking.value(entity, field)
        if value is not None and field.kind is not Kind.DATETIME:
            values[field.name] = door.written(field, value)
    return json.dumps(values, default=_plain).encode()


_WRITTEN = frozenset({Kind.STRING, Kind.INT32, Kind.INT64, Kind.DECIMAL, Kind.DATE, Kind.BOOLEAN, Kind.ENUM})


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


# ------------------------------------------------------------------------------------------------- comparing

#: Headers that differ from answer to answer by design.
_PASSING = frozenset(
    {"date", "x-correlation-id", "x-ms-service-request-id", "set-cookie", "content-length", "location"}
)

_NOISE = (
    (re.compile(rb'value="[A-Za-z0-9_\-]{40,}"'), b'value="(proof)"'),
    (re.compile(rb'name="@once" value="[^"]*"'), b'name="@once" value="(once)"'),
    (re.compile(rb"batchresponse_[0-9a-f-]{36}|changesetresponse_[0-9a-f-]{36}"), b"(boundary)"),
    (re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), b"(random)"),
    (re.compile(rb"<code>[0-9a-f]{16}</code>"), b"<code>(reference)</code>"),
    (re.compile(rb"deltatoken=[^\"]+"), lambda found: b"deltatoken=(sealed, %d)" % len(found[0])),
)
_VERSION = re.compile(rb'(W/\\?"|"versionnumber":)(\d+)')
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def told(answer: Answered, since: int, day: str) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """An answer without what differs by design: proofs, random ids, moments of today, numbers of transactions since
    ``since``. A number from before stays, so that a row's version which has moved is seen."""

    def version(found: re.Match[bytes]) -> bytes:
        return found[1] + (found[2] if int(found[2]) < since or len(found[2]) > 12 else b"(new)")

    def moment(found: re.Match[bytes]) -> bytes:
        return b"(now)" if found[0][:10].decode() >= day else found[0]

    def plain(text: bytes) -> bytes:
        for pattern, word in _NOISE:
            text = pattern.sub(word, text)
        return _MOMENT.sub(moment, _VERSION.sub(version, text))

    headers = tuple(
        sorted((name, plain(value.encode()).decode()) for name, value in answer.headers if name not in _PASSING)
    )
    return answer.status, headers, plain(_unpacked(answer.body))


def _unpacked(body: bytes) -> bytes:
    """The files of a workbook or package, which tell when they were made in their archive's own form."""
    if not body.startswith(b"PK\x03\x04"):
        return body
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return b"\n".join(name.encode() + b"\n" + archive.read(name) for name in archive.namelist())


def tags_in(answers: Sequence[Answered]) -> list[str]:
    """The ETags of an answer's rows."""
    found: list[str] = []
    for answer in answers:
        found += [item.decode().replace('\\"', '"') for item in re.findall(rb'W/\\?"[^"\\]+\\?"', answer.body)]
    return found
