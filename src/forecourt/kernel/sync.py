"""Copies kept in step: the legs of a table map, captured changes, and what an engine asks of a database.

A table map pairs a data entity with a Dataverse table (operations-and-integration 1.3). Each of its directions is a
:class:`Leg`. A row travels as a *wire row*: the leg's columns in order, in the target's stored form, except that a
lookup travels as the natural key of the row it refers to. Three things are made of a leg, always as SQL over sets::

    project   wire rows of the source, by root keys or by range, transforms applied
    image     wire rows of the target as they are now, by key: what to compare with
    merge     wire rows into the target: lookups resolved, inserted, updated where different, told apart

Changes are *captured* by statement triggers into an outbox, in the transaction that made them. A row of the outbox is
a statement's keys as a set. What has been captured is consumed by *snapshot difference*: the transactions that are
visible in one snapshot and not in the one before, in the order of their sequence numbers, so that nothing that commits
late is skipped and the changes of one row come in the order in which they were made.

The ports through which the engines reach a database are in ``kernel/sync_ports``. ``Unit`` is a unit of a database's
work (the store's), opaque here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from forecourt.kernel.model import NOWHERE, Entity, Where
from forecourt.kernel.predicate import TRUE, Predicate
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind, Scalar

WireRow = tuple[object, ...]
Unit = Any


class Side(StrEnum):
    """One of the two planes of a map."""

    OPERATIONS = "operations"
    DATAVERSE = "dataverse"

    @property
    def other(self) -> Side:
        return Side.DATAVERSE if self is Side.OPERATIONS else Side.OPERATIONS


@dataclass(frozen=True, slots=True)
class Reference:
    """A lookup by natural key: the end that has it stores ``id_field`` of a row of ``entity`` whose field ``natural``
    is what travels. ``company``: the field of ``entity`` with its company lookup, where its rows are told apart by
    company; it must equal the referring row's own company lookup. None: ``natural`` alone is unique.
    """

    entity: Entity
    id_field: str
    natural: str
    company: str | None = None


@dataclass(frozen=True, slots=True)
class LegColumn:
    """One column of a leg.

    ``source``, ``target``: field names, '' for a constant without a source. ``source_reference``,
    ``target_reference``: the field holds a row id and the natural key travels. ``values``: pairs of stored values
    (source, target), all of the value map; a value that is not in it is an error of the row. ``default``: what the
    target gets where the source has no value. ``null_in``: the source value that means "none" ('' or 1900-01-01),
    None where null does; ``null_out``: what the target stores for "none". ``company``: the row's legal entity.
    ``kind``: of the wire value.
    """

    source: str
    target: str
    kind: Kind
    key: bool = False
    company: bool = False
    source_reference: Reference | None = None
    target_reference: Reference | None = None
    values: tuple[tuple[Scalar, Scalar | None], ...] = ()
    default: Scalar | None = None
    null_in: Scalar | None = None
    null_out: Scalar | None = None
    where: Where = NOWHERE


@dataclass(frozen=True)
class Leg:
    """One direction of a map. ``filter``: over fields of the source entity, with Consts; rows that it does not admit
    do not travel. ``target_filter``: over fields of the target entity: the rows of the target that belong to the map,
    which is the filter of the way back.

    ``owner_field``: target field (``_ownerid_value``) that gets the default owning team of the row's company, '' where
    the target has none.
    """

    map: str
    source_side: Side
    source: Entity
    target: Entity
    columns: tuple[LegColumn, ...]
    filter: Predicate = TRUE
    owner_field: str = ""
    target_filter: Predicate = TRUE

    @property
    def key(self) -> tuple[LegColumn, ...]:
        """The columns of the integration key, in order."""
        return tuple(column for column in self.columns if column.key)

    @cached_property
    def key_places(self) -> tuple[int, ...]:
        """Where they are in a wire row."""
        return tuple(place for place, column in enumerate(self.columns) if column.key)

    @property
    def target_side(self) -> Side:
        return self.source_side.other


Versions = Literal["latest", "every"]

#: Name in an image that marks a row as it was before an update: its identity, key and links, to know what it left.
WAS = "@was"


@dataclass(frozen=True)
class Capture:
    """What the triggers of one table keep of each changed row.

    ``identity``: columns of its primary key. ``remembered``: columns kept of a row that is deleted (identity, key and
    link columns). ``watched``: an update that changes none of these is not captured; () for any. ``images``: every
    version is kept whole.
    """

    table: TableName
    identity: tuple[str, ...]
    remembered: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    images: bool = False


@dataclass(frozen=True, slots=True)
class Captured:
    """A row of the outbox: one statement's rows (at most some thousand). ``rows``: what was kept of each, by column:
    the identity (insert, update), all remembered columns (delete), the whole row (images).
    ``taken``: maps for which this has been dealt with in its own transaction.
    """

    id: int
    table: TableName
    operation: Literal["insert", "update", "delete"]
    rows: tuple[Mapping[str, object], ...]
    at: dt.datetime
    images: bool = False
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Position:
    """How far a consumer of an outbox has come. ``since``: everything visible in this snapshot is done. ``until``: the
    snapshot being worked off, '' for none; ``after``: the last number of it that is done.
    """

    since: str = ""
    until: str = ""
    after: int = 0


@dataclass(frozen=True, slots=True)
class RowError:
    """A wire row that could not be merged: its place in the batch, what is wrong, and the field."""

    index: int
    message: str
    field: str = ""
    code: str = ""


@dataclass(frozen=True)
class Merged:
    """What became of a batch of wire rows: places (indexes) of the rows by outcome."""

    inserted: tuple[int, ...] = ()
    updated: tuple[int, ...] = ()
    unchanged: tuple[int, ...] = ()
    errors: tuple[RowError, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of one key range of an end, as a number of rows and a hash that does not depend on their order."""

    number: int
    rows: int
    hash: int


class Unsent(tuple[object, ...]):
    """A wire row with a value that the value map lacks. ``reason`` says which."""

    reason: str

    def __new__(cls, reason: str, values: WireRow) -> Unsent:
        row = super().__new__(cls, values)
        row.reason = reason
        return row


MapState = Literal["not running", "initializing", "running", "paused", "resuming"]
Mode = Literal["live", "queued"]


@dataclass(frozen=True)
class MapRecord:
    """A map as the registry keeps it. ``detail``: progress or the reason of the state, for people."""

    name: str
    version: str
    state: MapState
    mode: Mode
    detail: str = ""
    changed_at: dt.datetime | None = None
    positions: Mapping[Side, Position] = field(default_factory=dict)


@dataclass(frozen=True)
class SyncError:
    """A row that did not arrive, kept until it does or is dismissed. ``key``: of the root row or integration key."""

    id: int
    map: str
    source: Side
    operation: Literal["upsert", "delete"]
    key: tuple[object, ...]
    message: str
    kind: Literal["application", "system", "concurrency", "conflict"]
    attempts: int = 1
    at: dt.datetime | None = None


@dataclass(frozen=True)
class Activity:
    """An entry of a map's activity log: what happened, by whom, how many rows."""

    map: str
    what: str
    by: str
    rows: int = 0
    detail: str = ""
    at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a map for a while. ``token`` grows with each lease, and fences off the ones before."""

    map: str
    token: int
    until: dt.datetime
