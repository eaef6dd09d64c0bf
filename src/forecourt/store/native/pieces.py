"""Pieces: the objects that native protection is made of, each with the SQL that makes it and that takes it away.

A piece is compared by its text: with what was recorded when it was made, and, as PostgreSQL's catalogue shows it, with
what is there now. Pieces stand in the order in which they are made; they are taken away in the opposite one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

#: Longest name that PostgreSQL keeps, in bytes.
LONGEST = 63

#: The schema of everything that the protection itself needs, and the one of the entities' views.
HELPERS, ENTITIES = "forecourt_native", "forecourt_data"


@dataclass(frozen=True, slots=True)
class Piece:
    """``kind`` and ``name`` identify it. ``drop`` () where it goes with another piece. ``alter``: makes an existing one
    of the same kind and name to this one, () where it has to be made anew. ``needs``: keys of pieces that it names."""

    kind: str
    name: str
    create: tuple[str, ...]
    drop: tuple[str, ...]
    alter: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        return f"{self.kind} {self.name}"


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as an SQL literal (``standard_conforming_strings`` on).

    >>> text("O'Hara")
    "'O''Hara'"
    """
    return "'" + value.replace("'", "''") + "'"


def texts(values: Sequence[str]) -> str:
    """Texts as a literal array, in order of code points."""
    return f"array[{', '.join(text(value) for value in sorted(values))}]::text[]"


def fitted(name: str) -> str:
    """A name that PostgreSQL keeps whole: a long one ends in a digest of itself.

    >>> fitted("short"), len(fitted("x" * 80))
    ('short', 63)
    """
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return name.encode()[: LONGEST - 11].decode(errors="ignore") + "_" + digest


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the two roles of one database; roles belong to a whole server.

    ``users``: whom every mapped role is a member of. ``views``: owns the entities' views and reads the tables beneath;
    row security applies to it, and nobody signs in with it or is a member of it.
    """

    users: str
    views: str

    @staticmethod
    def of(database: str) -> Names:
        return Names(fitted(f"forecourt_users_{database}"), fitted(f"forecourt_views_{database}"))
