"""What a verified token says, and the refusal of one that is not valid. Values only."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from forecourt.kernel.errors import Refusal

#: Longer texts are refused unread (a token with many groups has some 4,000 characters).
LONGEST_TOKEN: Final = 16_384

#: How far a token's "not before" may lie ahead of our clock.
NOT_BEFORE_LEEWAY: Final = dt.timedelta(seconds=60)

SubjectKind = Literal["contact", "operations"]


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """A token of our own. ``subject``: a contact's id or an operations user's id, as ``kind`` says."""

    issuer: str
    audience: str
    subject: str
    kind: SubjectKind
    tenant: str
    client_id: str
    issued_at: dt.datetime
    expires_at: dt.datetime
    token_id: str


@dataclass(frozen=True, slots=True)
class ExternalClaims:
    """A token of a configured issuer: the operations user is looked up by ``match`` = ``value``."""

    issuer: str
    audience: str
    subject: str
    match: Literal["id", "email"]
    value: str
    expires_at: dt.datetime


def invalid_token(why: str) -> Refusal:
    """FC2002. ``why`` is for the operator's log; the asker learns no more than that the token is not valid."""
    return Refusal(
        "FC2002",
        "The token is not valid.",
        detail=why,
        hint="Ask for a new one at the token endpoint.",
        headers=(("WWW-Authenticate", 'Bearer error="invalid_token"'),),
    )
