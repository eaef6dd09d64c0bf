"""Pages packed for the way to the browser: a list of fifty rows is a fifteenth of its size.

The length of a packed text tells how much of it occurs twice. A page shows what its address says (a search) beside what
is secret, so whoever sees lengths and chooses addresses could guess the secret bit by bit (BREACH, CVE-2013-3587).
Anti-forgery tokens are another text on each page already; what rows hold is hidden by a file name of random length in
the header of gzip, which has no other meaning (RFC 1952, 2.3.1; "Heal the BREACH", 2022).
"""

from __future__ import annotations

import secrets
import struct
import zlib

#: Less is not worth the work: it fits into one packet as it is.
LEAST = 1_400

#: Bytes that the length of a page may vary by.
NOISE = 100

#: The quickest level: the others make a tenth less of a page, and take three times as long.
_LEVEL = 1

#: Magic, deflate, with a file name, no time, made by the quickest level, of no known system.
_HEADER = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x04\xff"


def accepts(header: str) -> bool:
    """Whether a client unpacks gzip, by its Accept-Encoding.

    >>> accepts("br, gzip;q=0.5"), accepts("gzip;q=0"), accepts("identity")
    (True, False, False)
    """
    for part in header.split(","):
        name, _, weight = part.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def pack(text: bytes) -> bytes:
    """The text as a gzip file, another length each time."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    name = b"a" * secrets.randbelow(NOISE)
    end = struct.pack("<LL", zlib.crc32(text), len(text) & 0xFFFFFFFF)
    return b"".join((_HEADER, name, b"\0", deflate.compress(text), deflate.flush(), end))
