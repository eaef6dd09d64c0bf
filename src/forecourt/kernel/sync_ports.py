"""What the engines of dual-write ask of a database: the ports that the store implements.

An :class:`Outbox` holds what was captured, :class:`Ends` reads and writes the two ends of legs, a :class:`Registry`
keeps what becomes of maps. Their values are in ``kernel/sync``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol

from forecourt.kernel.relation import TableName
from forecourt.kernel.sync import (
    Activity,
    Capture,
    Captured,
    Lease,
    Leg,
    MapRecord,
    MapState,
    Merged,
    Mode,
    Position,
    RowError,
    Segment,
    Side,
    SyncError,
    Unit,
    WireRow,
)


class Outbox(Protocol):
    """Captured changes of one database. Implemented by ``store/sync/outbox.py``."""

    side: Side

    async def install(self, captures: Sequence[Capture]) -> tuple[str, ...]:
        """Makes the triggers be these and no others; says what was done, '' nothing. Idempotent, online."""
        ...

    async def remove(self) -> None:
        """Removes every trigger, function and table of capture: nothing stays behind."""
        ...

    async def own(self, unit: Unit, maps: Sequence[str]) -> list[Captured]:
        """What the unit's own transaction has captured and ``maps`` have not taken; marks it taken by them."""
        ...

    async def captured(self, unit: Unit) -> bool:
        """Whether the unit's own transaction has captured anything."""
        ...

    async def release(self, unit: Unit, maps: Sequence[str]) -> None:
        """Leaves to the queue what the unit's own transaction has captured for these maps."""
        ...

    async def snapshot(self) -> str:
        """The present snapshot, as text."""
        ...

    async def read(
        self, position: Position, tables: Sequence[TableName], limit: int
    ) -> tuple[list[Captured], Position]:
        """The next captured changes of these tables, at most ``limit`` rows of the outbox, and the position after
        them. Opens a new snapshot where the old one is worked off."""
        ...

    async def backlog(self, position: Position, tables: Sequence[TableName], map: str) -> tuple[int, float]:
        """Changed rows that wait for the map, and the age of the oldest in seconds."""
        ...

    async def tidy(self, consumers: Sequence[tuple[Position, Sequence[TableName] | None]]) -> int:
        """Deletes what every consumer of a table is done with; None: of any. Returns how many rows of the outbox."""
        ...

    def wake(self) -> None:
        """Something of Forecourt's own may have been captured."""
        ...

    def listen(self) -> AsyncGenerator[None, None]:
        """Wakes at once, whenever something may have been captured, and every few seconds. For one listener."""
        ...


class Ends(Protocol):
    """The two ends of legs, as SQL over sets. Implemented by ``store/sync/ends.py``. ``unit`` is the unit of the
    database in question: of the source for ``affected`` and ``project``, of the target for ``image`` and ``merge``."""

    def capture(self, legs: Sequence[Leg], side: Side, images: bool = False) -> tuple[Capture, ...]:
        """What must be captured on one side for the legs that start there."""
        ...

    async def affected(self, unit: Unit, leg: Leg, changes: Sequence[Captured]) -> list[WireRow]:
        """Root keys (values of the root table's primary key) whose rows inserts, updates and changes of joined tables
        may have changed, each once, in the order of their last change."""
        ...

    async def noted_keys(self, unit: Unit, leg: Leg, changes: Sequence[Captured]) -> list[WireRow]:
        """Integration keys (wire values of ``leg.key``) that rows of the root table had when they were noted, each
        once. A key that can't be said any more, since a lookup's row is gone too, is left out."""
        ...

    async def images(
        self, unit: Unit, leg: Leg, rows: Sequence[Mapping[str, object]]
    ) -> list[tuple[WireRow, WireRow] | None]:
        """The same as :meth:`project` of noted images of the root table, joined tables as they are now; by place, None
        for a row that the filter or a join does not admit."""
        ...

    async def image_keys(self, unit: Unit, leg: Leg, rows: Sequence[Mapping[str, object]]) -> list[WireRow | None]:
        """Integration keys of noted rows of the root table, by place; None for one that can't be said any more."""
        ...

    async def changed(
        self, unit: Unit, leg: Leg, changes: Sequence[Captured]
    ) -> tuple[list[tuple[WireRow, WireRow]], bool]:
        """:meth:`project` of the :meth:`affected` rows, in one statement; and whether every noted row is among them
        with the key that it was noted with, so that there are no :meth:`noted_keys` of others."""
        ...

    async def project(self, unit: Unit, leg: Leg, roots: Sequence[WireRow]) -> list[tuple[WireRow, WireRow]]:
        """(root key, wire row) of the source rows with these root keys that exist and pass the filter, in the order
        given. A row with a value that the value map lacks is an :class:`Unsent`."""
        ...

    async def roots(self, unit: Unit, leg: Leg, after: WireRow | None, limit: int) -> list[WireRow]:
        """Root keys of the source in their order, behind ``after``."""
        ...

    async def count(self, unit: Unit, leg: Leg) -> int:
        """About how many rows the source's root table has."""
        ...

    async def keys(self, unit: Unit, leg: Leg, fields: Mapping[str, object]) -> list[WireRow]:
        """Integration keys of the source rows whose fields have these stored values."""
        ...

    async def by_key(self, unit: Unit, leg: Leg, keys: Sequence[WireRow]) -> list[tuple[WireRow, WireRow]]:
        """The same, of the source rows with these integration keys, in no order."""
        ...

    async def touched(
        self, unit: Unit, leg: Leg, position: Position, keys: Sequence[WireRow]
    ) -> list[dt.datetime | None]:
        """When changes behind a position, which the leg's map has not taken, last touched the source's rows with these
        integration keys; by place, None where none did. In a unit that has written to these rows the answer is final.
        """
        ...

    async def image(self, unit: Unit, leg: Leg, keys: Sequence[WireRow]) -> list[WireRow | None]:
        """The target's rows with these integration keys as wire rows, None where there is none."""
        ...

    async def merge(self, unit: Unit, leg: Leg, rows: Sequence[WireRow], apart: bool = True) -> Merged:
        """Inserts and updates, as a set. Rows in error are left out and named; the others are written. Not ``apart``,
        what the database refuses is raised, and nothing of the unit can be kept."""
        ...

    async def delete(self, unit: Unit, leg: Leg, keys: Sequence[WireRow]) -> list[int]:
        """Deletes the target's rows with these integration keys, as a set. Returns the places of those there were."""
        ...

    async def resolve(self, unit: Unit, leg: Leg, rows: Sequence[WireRow]) -> list[Mapping[str, object] | RowError]:
        """Wire rows as values of the target entity's fields, lookups resolved: for writing row by row."""
        ...

    async def segments(self, unit: Unit, leg: Leg, end: Literal["source", "target"], segments: int) -> list[Segment]:
        """One end's rows by key range (a hash of the integration key modulo ``segments``)."""
        ...

    async def segment(
        self, unit: Unit, leg: Leg, end: Literal["source", "target"], segments: int, number: int
    ) -> list[WireRow]:
        """The wire rows of one segment of one end."""
        ...

    def settable(self, leg: Leg) -> bool:
        """Whether rows may be merged as a set: all columns are of tables that the entity writes."""
        ...

    def check(self, leg: Leg) -> list[str]:
        """What a leg reads or writes and the databases no longer have, for people."""
        ...


class Registry(Protocol):
    """What becomes of maps, and how far they have come. Implemented by ``store/sync/registry.py``."""

    async def install(self) -> None: ...

    async def installed(self) -> bool: ...

    async def check_both(self) -> None:
        """Refusal FC6004 where the databases can't take part in one unit of work."""
        ...

    async def remove(self) -> bool: ...

    async def register(self, name: str, version: str, mode: Mode) -> None: ...

    async def maps(self) -> dict[str, MapRecord]: ...

    async def enter(
        self, unit: Unit, names: Sequence[str], pairs: Sequence[str] = ()
    ) -> dict[str, tuple[MapState, Mode]]:
        """State and mode of maps, which nobody changes until the end of the unit (of operations). ``pairs``: names of
        pairs of rows that other writers are kept out of until then."""
        ...

    async def hold(self, unit: Unit, name: str) -> None:
        """Keeps every live writer of a map out until the end of the unit (of operations)."""
        ...

    async def set_state(
        self, name: str, state: MapState, expected: Sequence[MapState] = (), detail: str = ""
    ) -> bool: ...

    async def lease(self, name: str, worker: str, seconds: float) -> Lease | None: ...

    async def renew(self, lease: Lease, seconds: float, states: Sequence[MapState] = ()) -> Lease | None:
        """The same lease for longer; None where somebody else has it, or the map is in none of these states."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def position(self, name: str, side: Side) -> Position | None: ...

    async def save_position(
        self, unit: Unit, name: str, side: Side, position: Position, token: int, known: Position | None = None
    ) -> None:
        """Keeps a position in the target's unit. Refusal FC4121 where a newer lease has been at work, or where it is
        not ``known`` any more."""
        ...

    async def fence(self, unit: Unit, name: str, side: Side, token: int) -> None:
        """Claims a direction for a lease, in the target's unit. Refusal FC4121 where a newer one has been at work, or
        the map was stopped."""
        ...

    async def positions(self) -> dict[tuple[str, Side], Position]:
        """How far every direction has come."""
        ...

    async def forget_positions(self, name: str) -> None: ...

    async def progress(self, name: str, side: Side) -> tuple[WireRow | None, int]:
        """How far an initial sync from ``side`` has come: the last root key and the rows; (None, 0) at its start."""
        ...

    async def save_progress(self, unit: Unit, name: str, after: WireRow | None, rows: int) -> None:
        """Keeps that in the target's unit; None: it is over."""
        ...

    async def add_errors(self, name: str, side: Side, errors: Sequence[SyncError]) -> None: ...

    async def errors(self, name: str = "", limit: int = 1000) -> list[SyncError]: ...

    async def error_counts(self) -> dict[str, int]: ...

    async def error(self, number: int) -> SyncError | None: ...

    async def dismiss(self, ids: Sequence[int]) -> int: ...

    async def forget(self, name: str, side: Side, keys: Sequence[WireRow]) -> None: ...

    async def note(self, activity: Activity) -> None: ...

    async def activities(self, name: str = "", limit: int = 100) -> list[Activity]: ...
