"""Keys as text: the URL of a row, as answers name it and as bodies refer to it.

Leaves out what a key means (``query.row_key``). Sources: pages-and-dataverse B2.1, B2.4; OData 4.0 Part 2, section 4.3.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.types import Kind
from forecourt.odata import record_id
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import printable


def row_path(entity: Entity, values: Mapping[str, object], model: Model, dialect: Dialect) -> str:
    """``Set(key)`` below the service root, percent-encoded."""
    texts = [key_text(entity.fields[name], values[name], model, dialect) for name in entity.key]
    if len(entity.key) == 1:
        inner = texts[0]
    else:
        inner = ",".join(f"{name}={text}" for name, text in zip(entity.key, texts, strict=True))
    return f"{entity.collection}({inner})"


def key_text(field: EntityField, value: object, model: Model, dialect: Dialect) -> str:
    """A value of a key as it stands in a URL, percent-encoded; ids are bare GUIDs."""
    match value:
        case int() if field.record_of is not None:
            return str(record_id.encode(field.record_of, value))
        case _ if field.enum is not None and not field.choice:
            member = next(m for m in model.enums[field.enum].members if m.value == value)
            return quote(f"{dialect.namespace}.{field.enum}'{member.symbol}'", safe=".'")
        case str():
            return quote("'" + value.replace("'", "''") + "'", safe="'")
        case dt.datetime():
            return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case dt.date():
            return f"{value}T12:00:00Z" if dialect.date_as_datetime else str(value)
        case bool():
            return "true" if value else "false"
        case _ if field.kind is Kind.STRING:
            return quote(f"'{value}'", safe="'")
        case _:
            return str(value)


def reference_path(reference: object, root: str, source: str) -> str:
    """What ``@odata.bind`` or ``@odata.id`` refers to, as a path below the service root: ``Set(key)`` or ``$1``.

    Relative, from the root of the host or with an origin, which is the caller's to choose. Raises Refusal FC1006.
    """
    if not isinstance(reference, str) or not reference or len(reference) > 2000:
        raise Refusal("FC1006", f"'{printable(source[:100])}' is a row's address as text.", hint='Write "/Set(key)".')
    path = urlsplit(reference).path if "://" in reference[:12] else reference
    if path.startswith(root + "/"):
        path = path[len(root) :]
    return path.removeprefix("/")
