"""Where a tracked read stands, as the token that a client carries and cannot read.

What a read needs to know (snapshots of the database, numbers of tombstones) tells how much goes on in all tables, so it
is sealed: encrypted under a key of the database, with AES-256-GCM, bound to the set and its columns. Plain text is
filled up to a multiple of :data:`BLOCK` octets, so that the length of a token tells nothing either. A token that was
altered or is of another query, another database or another key is refused: FC1007. Leaves out what the values mean
(``changes``).

::

    token = base64url(nonce || AES-256-GCM(msgpack([phase, since, until, taken at, position ...]) ..., mark))
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from forecourt.kernel.errors import Refusal
from forecourt.odata.paging import fingerprint
from forecourt.odata.request import Request

OPTION: Final = "$deltatoken"

#: What is sealed is of so many octets, or a multiple.
BLOCK: Final = 256

#: Characters of a token at most; a snapshot names every transaction under way.
MAX_TOKEN: Final = 16384

_NONCE: Final = 12
#: Ends what is said; zeros follow.
_END: Final = b"\x80"

Phase = Literal["full", "rows", "gone"]


class Progress(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a tracked read stands. ``since``: '' for a first read; ``until``: the snapshot that the next one starts
    from; ``taken_at``: when it was taken, in seconds; ``version``, ``row``, ``tombstone``: the position within the
    phase, of the last row or the last tombstone told of."""

    phase: Phase
    since: str
    until: str
    taken_at: int
    version: int | None = None
    row: UUID | None = None
    tombstone: int | None = None

    @property
    def begun(self) -> bool:
        """Whether a page of this read has been given already."""
        return self.row is not None or self.tombstone is not None


@dataclass(frozen=True, slots=True)
class DeltaTokens:
    """Makes and reads tokens. ``key``: 32 octets, of the database that the rows are in."""

    key: bytes

    def make(self, request: Request, progress: Progress) -> str:
        """The token of where a read of ``request`` stands."""
        plain = _ENCODER.encode(progress) + _END
        plain += b"\x00" * (-len(plain) % BLOCK)
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(self.key).encrypt(nonce, plain, mark(request))
        return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode("ascii")

    def read(self, request: Request, token: str) -> Progress:
        """Where a token of the same query stands. Raises Refusal FC1007 for anything else."""
        if not token.isascii() or len(token) > MAX_TOKEN:
            raise _foreign()
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            plain = AESGCM(self.key).decrypt(sealed[:_NONCE], sealed[_NONCE:], mark(request))
            return _DECODER.decode(plain.rstrip(b"\x00")[:-1])
        except (ValueError, InvalidTag, msgspec.MsgspecError):
            raise _foreign() from None


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Progress)


def mark(request: Request) -> bytes:
    """Ties a token to the set and its columns: with others, rows would have to be read anew."""
    return fingerprint(("changes", request.path.set, *(option.shape for option in request.options)), ())


def _foreign() -> Refusal:
    return Refusal(
        "FC1007",
        "The token was not issued for this table and these columns.",
        hint="Follow @odata.deltaLink as it is, or read the set again with Prefer: odata.track-changes.",
        source=OPTION,
    )
