"""Rows of Dataverse tables for a person: pages, single rows, creates, updates, deletes. The portal's only way to data.

Every call carries the asking Principal and the Door it came through and goes through the security gate; values are
as Dataverse shows them (choice numbers, GUIDs as text, null for an empty date).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from forecourt.kernel.plan import OrderBy, WriteOperation
from forecourt.kernel.predicate import TRUE, Predicate
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.relation import AggregateFunction, DateUnit


@dataclass(frozen=True, slots=True)
class Query:
    """A page of a table's rows.

    ``filter`` speaks of the table's columns (Field paths) and of Slots; ``slots`` holds their values in order, as the
    database stores them. ``order`` is completed by the primary id. ``cursor``: an opaque token of the page before.
    ``related``: (collection relation of another table, that table, the row's id) limits to the rows beneath a row.
    ``apart``: the same, of which it has none. ``key``: limits to the row with this id. ``rights``: what is to be said
    of each row, whether the person may do it. ``size``: 0 with ``total`` for the number of rows alone.
    ``versions``: the rows bring theirs, which cost something where columns are hidden.
    """

    table: str
    columns: tuple[str, ...]
    filter: Predicate = TRUE
    slots: tuple[object, ...] = ()
    order: tuple[OrderBy, ...] = ()
    size: int = 25
    cursor: str | None = None
    skip: int = 0
    total: bool = False
    related: tuple[str, str, UUID] | None = None
    apart: tuple[str, str, UUID] | None = None
    key: UUID | None = None
    rights: tuple[WriteOperation, ...] = ()
    versions: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``values`` by column name, ``version`` for optimistic concurrency, '' where none was asked for;
    ``rights``: of those that the query asked about, what the person may do to it."""

    id: UUID
    values: Mapping[str, Any]
    version: str
    rights: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Beneath:
    """A row that is made with another: one of ``table`` with ``values``. ``lookup``: logical name of the column that
    names the other row."""

    table: str
    lookup: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Page:
    """``cursor``: where the next page begins, None on the last. ``total``: all rows, where asked."""

    rows: tuple[Row, ...]
    total: int | None
    cursor: str | None


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The rows of a table that fit a search, the best first. ``columns``: texts that are searched, the title first, and
    shown; ``words``: PostgreSQL's text search queries, each of which some column has to fit; ``filter``: as of a page.
    """

    table: str
    columns: tuple[str, ...]
    words: tuple[str, ...]
    filter: Predicate = TRUE
    slots: tuple[object, ...] = ()
    size: int = 10
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """``rows``: with how well each fits; ``total``: all that fit."""

    rows: tuple[tuple[Row, float], ...]
    total: int


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """A table's rows in groups. ``by``: columns, each with the part of its date that counts, or None; ``measure``: what
    is computed of each group, of ``column`` ('' where rows are counted). ``size``: groups at most."""

    table: str
    by: tuple[tuple[str, DateUnit | None], ...]
    measure: AggregateFunction = "count"
    column: str = ""
    filter: Predicate = TRUE
    slots: tuple[object, ...] = ()
    size: int = 200


@dataclass(frozen=True, slots=True)
class Groups:
    """``rows``: values of the groups' columns, and the measure. ``more``: there are further groups."""

    rows: tuple[tuple[tuple[object, ...], object], ...]
    more: bool


class Rows(Protocol):
    """What the portal asks. Raises Refusal: FC3001 (no right to the table), FC4041 (no such row), FC1003, FC4121."""

    async def page(self, principal: Principal, query: Query, door: Door = Door.PORTAL) -> Page:
        """One page of rows that the person may read."""
        ...

    async def search(self, principal: Principal, query: SearchQuery, door: Door = Door.PORTAL) -> Found:
        """Rows that the person may read and that fit a search. FC3004 for a column that is not open to them."""
        ...

    async def groups(self, principal: Principal, query: GroupQuery, door: Door = Door.PORTAL) -> Groups:
        """Rows that the person may read, in groups, ordered by these. FC3004 for a column that is not open to them."""
        ...

    async def row(
        self, principal: Principal, table: str, row_id: UUID, columns: tuple[str, ...], door: Door = Door.PORTAL
    ) -> Row:
        """One row. FC4041 where it does not exist for this person."""
        ...

    async def update(
        self,
        principal: Principal,
        table: str,
        row_id: UUID,
        changes: Mapping[str, object],
        version: str | None = None,
        mark: bytes = b"",
        door: Door = Door.PORTAL,
        beneath: Sequence[Beneath] = (),
    ) -> None:
        """Changes columns of one row; ``changes`` are Dataverse values (choice numbers, dates, text, None). A second
        call with the same ``mark`` changes nothing.

        ``beneath`` is made with it: all or nothing."""
        ...

    async def create(
        self,
        principal: Principal,
        table: str,
        values: Mapping[str, object],
        mark: bytes = b"",
        door: Door = Door.PORTAL,
        beneath: Sequence[Beneath] = (),
        related: tuple[str, str, UUID] | None = None,
    ) -> UUID:
        """Makes a row and gives its id. A second call with the same ``mark`` gives the id of the first one's row.

        ``beneath`` is made with it, and it is added to the collection ``related`` of another row: all or nothing."""
        ...

    async def delete(
        self, principal: Principal, table: str, row_id: UUID, version: str | None = None, door: Door = Door.PORTAL
    ) -> None:
        """Deletes one row."""
        ...

    async def associate(
        self,
        principal: Principal,
        table: str,
        row_id: UUID,
        relation: str,
        others: Sequence[UUID],
        door: Door = Door.PORTAL,
    ) -> None:
        """Adds rows to a collection of a row, by their lookup or as pairs: all or none. FC4041 where the person sees
        one of them not."""
        ...

    async def disassociate(
        self, principal: Principal, table: str, row_id: UUID, relation: str, other: UUID, door: Door = Door.PORTAL
    ) -> None:
        """Takes a row out of a collection of another. FC4041 where it is not in it."""
        ...

    async def columns(self, principal: Principal, table: str, right: str) -> frozenset[str]:
        """The columns of a table that are open to the person for a right (``read``, ``write``, ``create``)."""
        ...

    def hidden(self, principal: Principal, table: str) -> frozenset[str]:
        """Logical names of the columns that column permissions hide from the person, whatever rows they may read."""
        ...

    def may(self, principal: Principal, table: str, right: str, without: str = "") -> bool:
        """Whether any rule grants the right (``read``, ``write``, ``create``, ``delete``, ``append``, ``appendto``) on
        the table at all: to show or hide controls. ``without``: beside those that reach rows by this relation from
        above."""
        ...
