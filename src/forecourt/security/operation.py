"""What is common to requests that write: the request, the operation that it is parsed to, its conditions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from forecourt.kernel.change import Written
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.odata import etag
from forecourt.odata.prefer import Preferences
from forecourt.odata.request import Request
from forecourt.security.references import Batch
from forecourt.security.scope import Scope
from forecourt.security.services import NO_CONTENT, Answer
from forecourt.store.work import Work


@dataclass(frozen=True)
class Asked:
    """A request that writes."""

    principal: Principal
    method: str
    request: Request
    headers: Mapping[str, str]
    body: bytes
    prefer: Preferences


@dataclass(frozen=True)
class Operation:
    """``run``: does it, and gives what was written to the addressed row, None where no row is left to speak of; may be
    run again in a new unit of work. ``answer``: the answer once it is committed, which refuses nothing any more."""

    run: Callable[[Work, Scope, Batch], Awaitable[Written | None]]
    answer: Callable[[Written | None], Awaitable[Answer]]


async def no_content(_: Written | None) -> Answer:
    """204."""
    return NO_CONTENT


@dataclass(frozen=True, slots=True)
class Conditions:
    """``must_exist``: the row is updated or deleted, never created. ``must_be_new``: the opposite. ``version``: which
    the row must still have."""

    must_exist: bool = False
    must_be_new: bool = False
    version: str | None = None


def conditions(headers: Mapping[str, str]) -> Conditions:
    """If-Match and If-None-Match of a write. Raises Refusal FC1001 (pages-and-dataverse B2.2, B2.3)."""
    match = etag.parse(headers.get("if-match"))
    none = etag.parse(headers.get("if-none-match"), "If-None-Match")
    if match is not None and len(match.versions) > 1:
        raise Refusal("FC1001", "If-Match names more than one version.", hint="Send the ETag of the row as received.")
    if none is not None and not none.any:
        hint = "Send If-Match with the ETag of the row."
        raise Refusal("FC1001", "If-None-Match of a write is *.", hint=hint, source="If-None-Match")
    if match is not None and none is not None:
        raise Refusal("FC1001", "If-Match and If-None-Match cannot both hold.", hint="Send one of them.")
    version = None if match is None or match.any else match.versions[0]
    return Conditions(match is not None, none is not None, version)
