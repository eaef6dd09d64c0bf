"""Compiled statements: SQL text and what to bind, in order. Frozen data; a cache keeps them by plan shape.

Running one is: collect the values, fetch. A value comes from one of four places::

    Slot      the request's n-th literal
    Param     the asking identity, by name
    Const     the solution's author
    Carried   the n-th output of an earlier statement: of the parents of an expand, as a list
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from forecourt.kernel.plan import WriteOperation
from forecourt.kernel.predicate import Const, Param, Slot
from forecourt.kernel.relation import TableName

Lane = Literal["key", "list"]
Collect = Callable[[Sequence[object], Mapping[str, object]], list[object]]

#: Name of the output that holds a total, always the last.
COUNT = "@count"


@dataclass(frozen=True, slots=True)
class Carried:
    """A value of an earlier statement's output, by its place."""

    index: int


Bind = Slot | Param | Const | Carried


@dataclass(frozen=True)
class ReadStatement:
    """A read, compiled.

    ``outputs``: names of the columns of a row, in order. ``lane``: a read by key, whose plan PostgreSQL may keep, or a
    list, which it plans for the very values. ``count``: the total alone; ``counted``: the total is also the last
    output of each row. ``guard``: a statement that gives one row as long as the plan's witnesses hold.
    """

    sql: str
    binds: tuple[Bind, ...]
    outputs: tuple[str, ...]
    lane: Lane = "list"
    counted: bool = False
    totals: bool = False
    count: ReadStatement | None = None
    children: tuple[ChildStatement, ...] = ()
    guard: ReadStatement | None = None
    collect: Collect = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "collect", collector(self.binds))


@dataclass(frozen=True)
class ChildStatement:
    """An expand: ``read`` takes the distinct values of the parents' outputs ``parent`` and gives back, at ``keys`` of
    each row, those that the row belongs to."""

    name: str
    many: bool
    entity: str
    read: ReadStatement
    parent: tuple[int, ...]
    keys: tuple[int, ...]


@dataclass(frozen=True)
class TableStatement:
    """What one table of an entity receives. Parameters ``@id.<alias>.<n>`` and ``<alias>.<column>`` are values of the
    row that was found, or of a row written before; ``outputs`` are those that this one gives for later ones.
    ``answers``: other tables may be changed in reply.
    """

    alias: str
    table: TableName
    operation: WriteOperation
    sql: str
    binds: tuple[Bind, ...]
    identity: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    root: bool = False
    answers: bool = False
    collect: Collect = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "collect", collector(self.binds))


@dataclass(frozen=True)
class WriteStatement:
    """A write of one row: ``find`` locks it, ``tables`` change it in order, ``check`` finds it again under the rules
    for what it may become. ``identity``: where the root's identity is. ``version``: what its row version must be.
    """

    entity: str
    operation: WriteOperation
    find: ReadStatement | None
    tables: tuple[TableStatement, ...]
    check: ReadStatement | None
    identity: tuple[str, ...]
    version: Slot | None = None


def collector(binds: Sequence[Bind]) -> Collect:
    """A function that lists the values to bind, with a gap (None) for what is carried.

    >>> collector((Param("me"), Const(7), Carried(0)))((), {"me": "V1"})
    ['V1', 7, None]
    """
    places: list[tuple[int, object]] = []
    for bind in binds:
        match bind:
            case Slot(index, _):
                places.append((0, index))
            case Param(name):
                places.append((1, name))
            case Const(value):
                places.append((2, value))
            case Carried():
                places.append((2, None))
    if all(place == 0 for place, _ in places):
        indexes = [bind.index for bind in binds if isinstance(bind, Slot)]
        return lambda slots, params: [slots[index] for index in indexes]
    if all(place == 1 for place, _ in places):
        names = [bind.name for bind in binds if isinstance(bind, Param)]
        return lambda slots, params: [params[name] for name in names]

    def collect(slots: Sequence[object], params: Mapping[str, object]) -> list[object]:
        return [
            slots[ref] if place == 0 else params[ref] if place == 1 else ref  # type: ignore[call-overload, index]
            for place, ref in places
        ]

    return collect
