"""Large amounts of rows between the two ends of a leg: what is moved at once, and what became of it.

:class:`Bulk` is the port through which initial sync and batches reach a database; the store implements it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from forecourt.kernel.sync import Leg, Unit, WireRow


@dataclass(frozen=True, slots=True)
class Range:
    """The next ``limit`` rows of the source's root table, in the order of its primary key, behind ``after``."""

    after: WireRow | None
    limit: int


@dataclass(frozen=True, slots=True)
class Roots:
    """The rows with these root keys, in this order."""

    keys: Sequence[WireRow]


@dataclass(frozen=True, slots=True)
class WholeTable:
    """All rows."""


Selection = Range | Roots | WholeTable


@dataclass(frozen=True, slots=True)
class Staged:
    """``rows``: that wait in the stage. ``last``: the root key that a range has come to; None: there was nothing left,
    or no range was asked for."""

    rows: int
    last: WireRow | None = None


@dataclass(frozen=True, slots=True)
class StagedError:
    """A row that could not be merged: its root key, what is wrong, and the field ('' for the whole row)."""

    root: WireRow
    message: str
    field: str = ""


@dataclass(frozen=True)
class BulkMerged:
    """What became of the staged rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: tuple[StagedError, ...] = ()


class Bulk(Protocol):
    """Rows of legs as sets of any size. Implemented by ``store/sync/bulk.py``."""

    async def stage(
        self, source: Unit, target: Unit, leg: Leg, selection: Selection, having: frozenset[str] = frozenset()
    ) -> Staged:
        """Puts wire rows of the source beside the target, in its transaction, in place of an earlier stage.

        ``having``: target fields; only rows in which one of them has a value.
        """
        ...

    async def merge(self, target: Unit, leg: Leg, defer: frozenset[str] = frozenset()) -> BulkMerged:
        """Merges what is staged. ``defer``: target fields, lookups, that are left out for now.

        Raises Refusal FC6004 where no set can be written to the target.
        """
        ...
