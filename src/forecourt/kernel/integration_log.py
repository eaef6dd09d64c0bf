"""The integration log: what dual-write has written, to which rows, and on whose account.

The integration writes as an administrator of its own and never acts for a person (operations-and-integration 1.15), so
each of its writes is kept: one :class:`Entry` for what one statement or batch did to one table, with the integration
keys of the rows as a set. An entry is part of the unit of work that it tells of: both are there, or neither.
Leaves out where entries are kept (``store/integration_log``) and who makes them (``integration/dual_write/flow``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

#: What moved the rows: a person's own unit of work, the queue's worker, initial sync, repair.
Engine = Literal["live", "queued", "initial", "repair"]

#: ``give back``: columns that the target has computed, written to the row that was sent.
Operation = Literal["create", "update", "delete", "give back"]

Key = Sequence[object]

#: Keys in one entry at most.
KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of an initial sync: root keys of the source behind ``after`` (None: from the start) up to ``last``."""

    after: tuple[object, ...] | None
    last: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """Rows that were written. ``target``: the entity or table; ``rows``: how many of it; ``fields``: names of the
    keys' values, of the target; ``span``: in place of keys. ``caused_by``: label of whoever's write this follows from,
    '' where no person's does."""

    map: str
    engine: Engine
    direction: Literal["to_dataverse", "to_operations"]
    target: str
    operation: Operation
    rows: int
    fields: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    span: Span | None = None
    caused_by: str = ""


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry as it is kept. ``number`` grows; ``work``: the unit of work, the same for all that it wrote;
    ``principal``: who wrote."""

    number: int
    at: dt.datetime
    work: int
    principal: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries to look at: of these maps (() for all), with a row whose key has all of these values, from
    ``since`` and before ``until``, with numbers below ``before``; ``limit`` at most, the newest first."""

    maps: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    before: int | None = None
    limit: int = 100


class Entries:
    """The entries of a unit of work, in the order of the first of each kind; those that differ in their keys alone are
    one."""

    def __init__(self) -> None:
        self._keys: dict[Entry, list[Key]] = {}

    def add(self, entry: Entry) -> None:
        head = replace(entry, rows=0, keys=()) if entry.keys else entry
        self._keys.setdefault(head, []).extend(entry.keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __iter__(self) -> Iterator[Entry]:
        for head, keys in self._keys.items():
            yield replace(head, rows=len(keys), keys=tuple(keys)) if keys else head


def divided(entry: Entry) -> Iterator[Entry]:
    """An entry in parts of at most ``KEYS`` keys; nothing for one without rows.

    >>> [part.rows for part in divided(Entry("m", "queued", "to_dataverse", "t", "create", 1500, keys=((1,),) * 1500))]
    [1000, 500]
    """
    if len(entry.keys) <= KEYS:
        if entry.rows:
            yield entry
        return
    for at in range(0, len(entry.keys), KEYS):
        part = entry.keys[at : at + KEYS]
        yield replace(entry, keys=part, rows=len(part))
