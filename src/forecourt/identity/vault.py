"""Secrets that a server must be able to use again, as they are kept: encrypted under a key of the settings.

The key (``FORECOURT_SECRET_KEY``) is any text of 32 characters or more; what is encrypted under it is a JWE (RFC 7516)
with ``dir`` and ``A256GCM``. Without a key secrets are kept as they are, which is said in their first sign; the schema
they are in is open to nobody but the server. A key can be given later: what was kept before stays readable. With
another key nothing can be read any more, and whoever needs it is told so.
"""

from __future__ import annotations

import hashlib
from typing import Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from forecourt.kernel.errors import ForecourtError

SHORTEST: Final = 32

_PLAIN: Final = "="
_HEADER: Final = {"alg": "dir", "enc": "A256GCM"}


class VaultError(ForecourtError):
    """The key cannot be used, or is not the one that a secret was encrypted under."""


class Vault:
    """``key``: the settings' text, '' for none. Raises VaultError for one that is too short."""

    def __init__(self, key: str = "") -> None:
        if key and len(key) < SHORTEST:
            raise VaultError(f"FORECOURT_SECRET_KEY needs {SHORTEST} characters or more.")
        digest = hashlib.sha256(b"forecourt secrets: " + key.encode()).digest()
        self._key = OctKey.import_key(digest) if key else None

    def seal(self, secret: str) -> str:
        """The secret as it is to be kept."""
        if self._key is None:
            return _PLAIN + secret
        return jwe.encrypt_compact(_HEADER, secret.encode(), self._key)

    def open(self, kept: str) -> str:
        """The secret. Raises VaultError where it was encrypted under another key."""
        if kept.startswith(_PLAIN):
            return kept[len(_PLAIN) :]
        if self._key is None:
            raise VaultError("A secret is encrypted, and FORECOURT_SECRET_KEY is not set.")
        try:
            return (jwe.decrypt_compact(kept, self._key).plaintext or b"").decode()
        except (JoseError, ValueError):
            raise VaultError("A secret is encrypted under another FORECOURT_SECRET_KEY.") from None
