"""Plans: frozen data that say what a request wants, and, once secured, what the store may do.

A :class:`ReadPlan` or :class:`WritePlan` speaks of entities and fields. ``security/enforce.py`` alone turns one,
together with a :class:`~forecourt.kernel.principal.Principal`, into a :class:`SecuredPlan`, which speaks of tables;
the store takes nothing else from a request. System work (migrations, start-up, credentials) carries a
:class:`SystemPlan` with its reason, which is observed.

Literals of a request never stand in a plan: the parser lifts them into Slots, so that a plan is the request's shape
and may be cached; the values travel beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from forecourt.kernel.predicate import Operand, Predicate, Slot
from forecourt.kernel.relation import AggregateFunction, DateUnit, Select, TableName

WriteOperation = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class OrderBy:
    path: tuple[str, ...]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Expand:
    """One ``$expand`` item: a relation and the query options inside its parentheses. ``beside``: see ReadPlan."""

    relation: str
    select: tuple[str, ...] | None = None
    filter: Predicate | None = None
    order: tuple[OrderBy, ...] = ()
    top: Slot | None = None
    expand: tuple[Expand, ...] = ()
    beside: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Link:
    """Rows of another entity beside those of the one above: ``on`` pairs (field of the entity above, own field).

    ``required``: a row above without one is left out. ``filter`` decides which rows are linked, so it takes no row
    above away unless they are required. ``relation``: of the entity above, where the link follows one; '' where the
    request names the fields. ``links``: to the rows of this one; a required one there belongs to what is linked here.
    """

    alias: str
    entity: str
    on: tuple[tuple[str, str], ...]
    required: bool = True
    filter: Predicate | None = None
    links: tuple[Link, ...] = ()
    relation: str = ""


@dataclass(frozen=True, slots=True)
class ShapeColumn:
    """A column of a shaped answer. ``alias``: of the link whose field it is, '' for the entity's own; ``field`` ''
    where rows are counted. Names that begin with ``@`` are not shown."""

    name: str
    alias: str
    field: str
    function: AggregateFunction | None = None
    part: DateUnit | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows that are more, or less, than those of one entity: linked, grouped, each once.

    ``grouped``: one row for each combination of the columns without a function. ``rank``: the entity's fields and the
    text search query by which rows have a column ``@rank``, for their order; not with groups or links.
    """

    columns: tuple[ShapeColumn, ...]
    links: tuple[Link, ...] = ()
    grouped: bool = False
    distinct: bool = False
    rank: tuple[tuple[str, ...], Slot] | None = None


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A read of one entity.

    ``key``: pairs (field, slot) for a single row, () for a set. ``select`` None: all fields. ``want``: rows, rows
    with a total (``$count=true``) or the total alone (``/$count``). ``cross_company``: every legal entity of the
    user, else its default one. ``after``: slots (or None for null) of the keyset position a page continues from, one
    per effective sort key. ``page_size``: rows per page at most, plus one is fetched to know whether more follow.
    ``beside``: annotations that need more than the row, by qualified name: the names of the rows that lookups name.

    ``versions`` False: the answer shows no ETags, so none are made.
    ``rights``: whether the asker may do these to each row, as outputs ``@may.<operation>``, decided with the row.

    ``shape``: the rows are of that shape. ``select`` and ``expand`` are empty then; ``order`` names columns of the
    shape and is complete, so that no two rows are tied (``odata/shapes``).
    """

    entity: str
    key: tuple[tuple[str, Slot], ...] = ()
    select: tuple[str, ...] | None = None
    filter: Predicate | None = None
    order: tuple[OrderBy, ...] = ()
    top: Slot | None = None
    skip: Slot | None = None
    expand: tuple[Expand, ...] = ()
    want: Literal["rows", "rows+count", "count"] = "rows"
    cross_company: bool = False
    after: tuple[Slot | None, ...] | None = None
    page_size: int | None = None
    beside: frozenset[str] = frozenset()
    shape: Shape | None = None
    rights: tuple[WriteOperation, ...] = ()
    versions: bool = True


@dataclass(frozen=True, slots=True)
class WritePlan:
    """A write of one row.

    ``key``: pairs (field, slot) that find the row, of any unique key; () for a create. ``changes``: pairs (field,
    slot), None for null, that the asker sets and must be allowed to. ``computed``: the same, set by business logic or
    by the system, which no grant limits. ``version``: If-Match, or None.
    """

    entity: str
    key: tuple[tuple[str, Slot], ...]
    changes: tuple[tuple[str, Slot | None], ...]
    cross_company: bool = True
    version: Slot | None = None
    operation: WriteOperation = "update"
    computed: tuple[tuple[str, Slot | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Witness:
    """Rows that a decision rests on, looked at again whenever the decision is used.

    ``select`` finds them; its Params are bound like all others. ``param`` names the value that holds their expected
    fingerprint: the distinct rows, outputs as text joined by U+001F (null: U+001D), rows sorted by code point and
    joined by U+001E; no row at all is U+001E alone. The store compares once per read, not per row. A mismatch gives no
    rows, whereupon the caller resolves the decision anew: a change of membership takes effect at once. ``plane``: whose
    database has the rows.
    """

    select: Select
    param: str
    plane: Literal["operations", "dataverse"] = "operations"


@dataclass(frozen=True, slots=True)
class SecuredExpand:
    """A relation fetched by a second statement, for all parents at once.

    ``name``: property in the parent's JSON. ``parent``: names of the parent's outputs whose values, as lists, are
    bound to the ``keys`` columns of ``select`` (outputs ``@key0``, ``@key1``, … carry them back for grouping).
    ``limit``: rows per parent, a Slot or None.
    """

    name: str
    many: bool
    entity: str
    select: Select
    parent: tuple[str, ...]
    keys: tuple[Operand, ...]
    limit: Operand | None = None
    expands: tuple[SecuredExpand, ...] = ()


@dataclass(frozen=True, slots=True)
class SecuredPlan:
    """A read that security has decided. Made by ``security/enforce.py`` only.

    A shape, like the plan it comes from: Params are named here, their values belong to the asking identity and are
    bound when it runs. ``count``: the select that counts all rows without paging. ``page_size``: rows per page; the
    select's limit is one more. ``keyset``: names of outputs (``@sort0``…) that hold a row's position for the next
    page. Outputs that begin with ``@`` are not part of the row; ``@version``, where present, makes its ETag.
    """

    entity: str
    select: Select
    count: Select | None = None
    expands: tuple[SecuredExpand, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    single: bool = False
    keyset: tuple[str, ...] = ()
    page_size: int | None = None


@dataclass(frozen=True, slots=True)
class TableChange:
    """What one table of an entity receives.

    ``assignments``: pairs (column, operand or None for null). ``identity``: columns that identify the row: for an
    update or delete they equal the outputs ``@id.<alias>.<n>`` of the row that was found; after an insert the store
    has their values. ``carried``: for an insert, pairs (column, (alias, column)) filled from the row of a table that
    was written before.
    """

    alias: str
    table: TableName
    operation: WriteOperation
    identity: tuple[str, ...]
    assignments: tuple[tuple[str, Operand | None], ...] = ()
    carried: tuple[tuple[str, tuple[str, str]], ...] = ()


@dataclass(frozen=True, slots=True)
class SecuredWrite:
    """A write of one row that security has decided. Made by ``security/enforce.py`` only.

    In the transaction of a unit of work the store

    1. update, delete: locks the row of the root table that ``find`` finds (none: it does not exist for this person)
       and compares output ``@version`` with ``version``;
    2. changes ``tables``, in their order;
    3. create, update: runs ``check``, the row under the rules for what a row may become, keyed by the root's identity
       (bound to Params ``@id.<n>``): no row means that the change would move it out of reach, and all is undone.

    ``find`` and ``check`` give ``@version``, ``@id.<alias>.<n>`` and every field of the entity, by name: the row before
    and after.
    """

    entity: str
    operation: WriteOperation
    tables: tuple[TableChange, ...]
    find: Select | None = None
    check: Select | None = None
    witnesses: tuple[Witness, ...] = ()
    version: Slot | None = None


@dataclass(frozen=True, slots=True)
class SystemPlan:
    """Work of the system itself, never of a person. ``reason`` is observed with it."""

    reason: str
    sql: str
    args: tuple[object, ...] = field(default=())


__all__ = [
    "Expand",
    "Link",
    "OrderBy",
    "ReadPlan",
    "SecuredExpand",
    "SecuredPlan",
    "SecuredWrite",
    "Shape",
    "ShapeColumn",
    "SystemPlan",
    "TableChange",
    "Witness",
    "WriteOperation",
    "WritePlan",
]
