"""Anti-forgery: a form or script must show that a page of this site gave it a token, and come from this site.

Pure functions over two secrets: a session's ``csrf_secret``, and for a visitor without a session a random number in
the cookie ``__RequestVerificationToken``. A token is the HMAC of the secret under a mask that is new each time, so
that pages are never compressed around a constant secret (BREACH)::

    proof = HMAC-SHA-256(secret, purpose)        token = base64url(mask || (proof XOR mask)),  32 bytes each

A session's token is worthless in another session, and an anonymous one is worthless after sign-in. Beside the token,
``Sec-Fetch-Site`` must not name another site, or where a browser does not send it, ``Origin`` must be ours. Both must
pass. A client that sends neither is no browser and still needs the token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from forecourt.kernel.errors import Refusal

#: Name of the form field, of the header, and of the anonymous visitor's cookie (reference: pages-and-dataverse A6).
FIELD: Final = "__RequestVerificationToken"
HEADER: Final = "__RequestVerificationToken"
COOKIE: Final = "__RequestVerificationToken"

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_SESSION: Final = b"forecourt anti-forgery: session"
_VISITOR: Final = b"forecourt anti-forgery: visitor"
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{86}", re.ASCII)
_PORTS = {"http": 80, "https": 443}


def new_visitor_cookie() -> str:
    """A value for the anonymous visitor's cookie: 256 random bits."""
    return secrets.token_urlsafe(32)


def set_visitor_cookie(value: str, *, secure: bool) -> str:
    """The ``Set-Cookie`` value for it, for the length of the browser session."""
    return f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")


def is_visitor_cookie(value: str | None) -> bool:
    """Whether the browser holds a well-formed cookie (else it wants a new one)."""
    return value is not None and _COOKIE_VALUE.fullmatch(value) is not None


def session_token(csrf_secret: bytes) -> str:
    """A token for a page of a signed-in person; another text at each call."""
    return _masked(_proof(csrf_secret, _SESSION))


def visitor_token(cookie: str) -> str:
    """A token for a page of a visitor who holds ``cookie``."""
    return _masked(_proof(cookie.encode(), _VISITOR))


def is_session_token(token: str | None, csrf_secret: bytes) -> bool:
    """Whether ``token`` was given out in this session."""
    return _matches(token, _proof(csrf_secret, _SESSION))


def is_visitor_token(token: str | None, cookie: str | None) -> bool:
    """Whether ``token`` was given out to the holder of ``cookie``."""
    if cookie is None or not is_visitor_cookie(cookie):
        return False
    return _matches(token, _proof(cookie.encode(), _VISITOR))


def is_same_site(sec_fetch_site: str | None, origin: str | None, own: Collection[str]) -> bool:
    """Whether the request does not come from a page of another site.

    ``own``: our origins (``https://portal.example``). A sibling sub-domain (``same-site``) is another site.

    >>> is_same_site(None, "https://portal.example:443", {"https://portal.example"})
    True
    >>> is_same_site("same-origin", "null", {"https://portal.example"}), is_same_site("cross-site", None, set())
    (True, False)
    """
    if sec_fetch_site is not None:
        return sec_fetch_site.strip().lower() in {"same-origin", "none"}
    if origin is None:
        return True
    asked = normal_origin(origin)
    return asked is not None and asked in {normal_origin(item) for item in own}


def normal_origin(origin: str) -> str | None:
    """``scheme://host[:port]`` in one spelling (lower case, no default port); None when it is not an origin."""
    try:
        parts = urlsplit(origin.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, _PORTS[parts.scheme]} else "")


def require(
    method: str,
    token: str | None,
    *,
    csrf_secret: bytes | None,
    visitor_cookie: str | None,
    sec_fetch_site: str | None,
    origin: str | None,
    own_origins: Collection[str],
) -> None:
    """Raises Refusal FC2005 unless the request may change something. ``csrf_secret``: the session's, None without.

    ``token`` is the header's or else the form field's.
    """
    if method in SAFE_METHODS:
        return
    if not is_same_site(sec_fetch_site, origin, own_origins):
        raise Refusal("FC2005", "The request comes from another site.", source="Origin")
    signed_in = csrf_secret is not None and is_session_token(token, csrf_secret)
    visiting = csrf_secret is None and is_visitor_token(token, visitor_cookie)
    if not (signed_in or visiting):
        raise Refusal(
            "FC2005",
            "The anti-forgery token is missing or does not match.",
            hint="Load the page again, then repeat what you did.",
            source=FIELD,
        )


def _proof(secret: bytes, purpose: bytes) -> bytes:
    return hmac.new(secret, purpose, hashlib.sha256).digest()


def _masked(proof: bytes) -> str:
    mask = secrets.token_bytes(32)
    return base64.urlsafe_b64encode(mask + _xor(proof, mask)).decode().rstrip("=")


def _matches(token: str | None, proof: bytes) -> bool:
    if token is None or not _TOKEN.fullmatch(token):
        return False
    try:
        data = base64.urlsafe_b64decode(token + "==")
    except binascii.Error:  # cannot happen for the checked alphabet and length
        return False
    return hmac.compare_digest(_xor(data[:32], data[32:]), proof)


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(32, "big")
