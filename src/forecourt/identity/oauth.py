"""The wire shapes of a token request: its form, its client authentication, its errors. Pure functions.

RFC 6749 2.3.1, 3.2, 5.1, 5.2; the error object has the further members of Microsoft's endpoint, with its numbers
(``AADSTS…``) where one fits, since clients print them.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

#: Larger bodies are not read.
LARGEST_BODY: Final = 65_536
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(eq=False)
class OAuthError(Exception):
    """A refused token request. ``number``: Microsoft's, in ``error_codes``."""

    error: str
    description: str
    number: int
    status: int = 400
    headers: tuple[tuple[str, str], ...] = ()

    def body(self, correlation: str, now: dt.datetime) -> dict[str, Any]:
        """The JSON object of RFC 6749 5.2."""
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.number}: {self.description}",
            "error_codes": [self.number],
            "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
            "trace_id": correlation,
            "correlation_id": correlation,
        }


def invalid_request(description: str, number: int = 900144) -> OAuthError:
    """The request itself is faulty."""
    return OAuthError("invalid_request", description, number)


def parse_form(content_type: str | None, body: bytes) -> dict[str, str]:
    """The parameters of the body. Raises OAuthError for another content type, bad text, or a repeated parameter."""
    kind, _, parameters = (content_type or "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != _FORM or charset not in {"", "charset=utf-8"}:
        raise invalid_request(f"The content type must be {_FORM}.", 900561)
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), errors="strict", max_num_fields=50
        )
    except ValueError:
        raise invalid_request("The body is not a valid form.", 900561) from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise invalid_request("A parameter is given more than once.", 90023)
    return found


def client_of(authorization: str | None, form: dict[str, str]) -> tuple[str, str | None]:
    """Client id and secret, from the Basic header or the form, not both. The secret is None for a public client."""
    scheme, _, value = (authorization or "").partition(" ")
    if authorization is None:
        client_id = form.get("client_id", "")
        if not client_id:
            raise invalid_request("The request body must contain the following parameter: 'client_id'.")
        return client_id, form.get("client_secret")
    if scheme.lower() != "basic":
        raise invalid_request("The Authorization header must be of the Basic scheme.", 90023)
    if "client_secret" in form:
        raise invalid_request("The client authenticates in two ways at once.", 90023)
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = text.partition(":")
        client_id, secret = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise invalid_request("The Authorization header is not valid.", 90023) from None
    if not colon or not client_id or form.get("client_id", client_id) != client_id:
        raise invalid_request("The Authorization header is not valid.", 90023)
    return client_id, secret
