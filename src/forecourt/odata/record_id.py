"""Row ids of virtual tables: a GUID made of an entity's number and the record id of the entity's root table.

::

    00000a6c-0000-0000-0d00-005001000000
    entity id, 4 zero bytes,  record id
    big-endian                8 bytes, little-endian

Deterministic and reversible, so that a row is found by its GUID without a map table. A GUID of another entity (or one
with anything in the middle) finds nothing: it decodes to :data:`NO_RECORD`, the lowest 64-bit number, which no table
hands out. Source: operations-and-integration 2.5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from uuid import UUID

#: The record id that stands for "no row": it is compared like any other, and equals none.
NO_RECORD = -(2**63)

_RECORD = struct.Struct("<q")


def encode(entity_id: int, record: int) -> UUID:
    """The row id of a record.

    >>> encode(0xA6C, 5637144589)
    UUID('00000a6c-0000-0000-0d00-005001000000')
    """
    return UUID(bytes=struct.pack(">I4x", entity_id) + _RECORD.pack(record))


def decode(entity_id: int, row: UUID) -> int:
    """The record id in ``row``, or NO_RECORD where it is not an id of this entity.

    >>> decode(0xA6C, UUID('00000a6c-0000-0000-0d00-005001000000'))
    5637144589
    """
    raw = row.bytes
    if raw[:8] != struct.pack(">I4x", entity_id):
        return NO_RECORD
    return int(_RECORD.unpack(raw[8:])[0])


def writer(entity_id: int) -> Callable[[int], str]:
    """A function from record id to the text of the row id, for writing many rows."""
    head = f"{entity_id:08x}-0000-0000-"
    pack = _RECORD.pack

    def text(record: int) -> str:
        tail = pack(record).hex()
        return f"{head}{tail[:4]}-{tail[4:]}"

    return text
