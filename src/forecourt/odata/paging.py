"""Paging: ``$skiptoken`` and next links.

A token is the position of the last row (its values in the effective order), the number of rows returned so far (what
``$top`` still allows follows from it) and a fingerprint of the query: its shape and its literals. It carries no
secret and proves nothing; whoever alters it can only ask for another position in rows that he may read anyway, for
security is applied to every page anew. A token of another query, or one that can't be read, is refused: FC1007.

::

    token = base64url(msgpack([version, fingerprint, taken, [value ...]]))       value = null | [kind, text]

Coming back, the values are literals that join the request's; which of them are null belongs to the shape. Order and
tie-breakers: :func:`effective_order`. Leaves out backward paging. Sources: operations-and-integration 5.3;
pages-and-dataverse B1.2 (clients must not look inside).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID

import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import OrderBy, ReadPlan
from forecourt.odata.lexer import KINDS, Literal, LiteralKind

if TYPE_CHECKING:
    from forecourt.odata.request import Request

MAX_TOKEN = 8192
MAX_KEYS = 64
_VERSION = 1


class Position(msgspec.Struct, frozen=True):
    """Where a page continues. ``shape``: one word per value, its kind or ``null``, as in ``'s' null 'i'``."""

    taken: int
    shape: str
    literals: tuple[Literal, ...]


class _Token(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: int
    fingerprint: bytes
    taken: int
    values: tuple[tuple[str, str] | None, ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Token)


def _refused() -> Refusal:
    return Refusal(
        "FC1007",
        "The paging token was not issued for this query.",
        hint="Follow @odata.nextLink as it is, or start again without $skiptoken.",
        source="$skiptoken",
    )


def fingerprint(shape_key: Hashable, literals: Sequence[Literal]) -> bytes:
    """Eight bytes that tell queries apart: shape and literals, the same in every process."""
    text = repr(shape_key) + "\x00" + "\x00".join(f"{item.kind.value}{item.text}" for item in literals)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def read_token(text: str, expected: bytes) -> Position:
    """A ``$skiptoken`` as a position. Raises Refusal FC1007 for anything but a token of the same query."""
    if not text or len(text) > MAX_TOKEN or not text.isascii():
        raise _refused()
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        token = _DECODER.decode(raw)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise _refused() from None
    if (
        token.version != _VERSION
        or token.fingerprint != expected
        or not 0 <= token.taken < 2**53
        or not 0 < len(token.values) <= MAX_KEYS
    ):
        raise _refused()
    shapes: list[str] = []
    literals: list[Literal] = []
    for value in token.values:
        if value is None:
            shapes.append("null")
            continue
        kind = KINDS.get(value[0])
        if kind is None or kind in (LiteralKind.WILDCARD, LiteralKind.ENUM):
            raise _refused()
        shapes.append(f"'{kind.value}'")
        literals.append(Literal(kind, value[1]))
    return Position(token.taken, " ".join(shapes), tuple(literals))


def _value(value: object) -> tuple[str, str] | None:
    """A keyset value (a Python value as the store returns it) as kind and text."""
    match value:
        case None:
            return None
        case bool():
            return "b", "true" if value else "false"
        case int():
            return "i", str(value)
        case str():
            return "s", value
        case Decimal():
            return "n", str(value)
        case float():
            return "f", repr(value)
        case dt.datetime():
            moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
            return "t", moment.astimezone(dt.UTC).isoformat()
        case dt.date():
            return "d", value.isoformat()
        case UUID():
            return "g", str(value)
        case _:
            raise TypeError(f"no keyset value: {type(value).__name__}")


def make_token(request: Request, values: Sequence[object], returned: int) -> str:
    """The token after a page of ``returned`` rows. ``values``: the last row's values in the effective order."""
    before = request.position.taken if request.position else 0
    key, literals = request.fingerprint_source or (request.shape_key, request.literals)
    return token_of(fingerprint(key, literals), values, before + returned)


def token_of(query: bytes, values: Sequence[object], taken: int) -> str:
    """The token of a position in the query with that fingerprint. Raises Refusal FC1004 for values too long."""
    token = _Token(_VERSION, query, taken, tuple(_value(v) for v in values))
    text = base64.urlsafe_b64encode(_ENCODER.encode(token)).rstrip(b"=").decode("ascii")
    if len(text) > MAX_TOKEN:
        raise Refusal("FC1004", "The rows cannot be paged in this order: a sort value is too long.", source="$orderby")
    return text


def next_link(base_url: str, request: Request, token: str) -> str:
    """The URL of the next page: the request's own, with the token. ``base_url``: the service root, without a slash."""
    path = quote(request.raw_path.removeprefix("/"), safe="/%()',=$@:;+*!~-._")
    query = quote(request.raw_query, safe="/%()',=$@:;+*!~-._&?")
    return f"{base_url}/{path}?{query + '&' if query else ''}$skiptoken={token}"


def effective_order(plan: ReadPlan, entity: Entity) -> tuple[OrderBy, ...]:
    """The order that rows are returned in: the request's, then the key as tie-breaker, each field once.

    Nothing follows once the whole key has been named, for nothing can be tied any more. Tie-breakers take the
    direction of the last key of the request, so that an index on (column, key) serves both directions.
    """
    return with_key(plan.order, entity)


def with_key(order: tuple[OrderBy, ...], entity: Entity) -> tuple[OrderBy, ...]:
    """``order`` completed as :func:`effective_order` says."""
    result: list[OrderBy] = []
    missing = dict.fromkeys(entity.key)
    seen: set[tuple[str, ...]] = set()
    for item in order:
        if item.path in seen:
            continue
        seen.add(item.path)
        result.append(item)
        if len(item.path) == 1:
            missing.pop(item.path[0], None)
            if not missing:
                return tuple(result)
    descending = result[-1].descending if result else False
    result.extend(OrderBy((name,), descending) for name in missing)
    return tuple(result)
