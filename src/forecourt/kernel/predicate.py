"""The one predicate algebra: what ``$filter``, FetchXML, table permissions, XDS policies and map filters become.

The algebra is two-valued, as OData v4 defines it (Part 2, 5.1.1.1): a comparison with null is false, except ``ne``
between null and a value, which is true; ``Not`` is plain negation. A store must keep that meaning even where its own
logic has three values.

Operands::

    Field    a path over an entity: single-valued relations, then a field          (before securing)
    Linked   a field of an entity that the plan links to, by the link's alias      (before securing)
    Column   a column of a table source by its alias                               (after securing)
    Slot     the n-th literal of the request; its value is bound at run time
    Const    a value that the solution's author wrote
    Param    a value of the principal, bound at run time: ``user.id``, ``account.accountnumber``
    Arith    ``add sub mul div mod`` of two operands

``Exists`` holds a correlated :class:`~forecourt.kernel.relation.Select`; ``Any`` and ``AnyRow`` are its counterparts
over an entity's collection relation and over any entity by equal fields. Securing turns them and every navigation path
into ``Exists`` or a join, with the policies of the tables they cross.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from forecourt.kernel.types import Kind, Scalar

if TYPE_CHECKING:
    from forecourt.kernel.relation import Select

CompareOp = Literal["eq", "ne", "lt", "le", "gt", "ge"]
MatchOp = Literal["contains", "startswith", "endswith", "wildcard", "like", "words", "includes"]
ArithOp = Literal["add", "sub", "mul", "div", "mod"]


@dataclass(frozen=True, slots=True)
class Field:
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Linked:
    """``alias``: of a :class:`~forecourt.kernel.plan.Link` of the plan; ``name``: a field of its entity."""

    alias: str
    name: str


@dataclass(frozen=True, slots=True)
class Column:
    """``day``: of the moment that it holds, the day in UTC."""

    alias: str
    name: str
    day: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    index: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Const:
    value: Scalar


@dataclass(frozen=True, slots=True)
class Param:
    name: str


@dataclass(frozen=True, slots=True)
class Arith:
    op: ArithOp
    left: Operand
    right: Operand


Operand = Field | Linked | Column | Slot | Const | Param | Arith


@dataclass(frozen=True, slots=True)
class Bool:
    """A constant truth value; ``TRUE`` and ``FALSE`` are its two instances."""

    value: bool


@dataclass(frozen=True, slots=True)
class Compare:
    op: CompareOp
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class In:
    """``operand`` equals one of ``values``; empty means false."""

    operand: Operand
    values: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class InParam:
    """``operand`` equals one of the values of a list-valued parameter of the principal (its legal entities, say)."""

    operand: Operand
    param: str


@dataclass(frozen=True, slots=True)
class Match:
    """Text match, ignoring case. ``wildcard`` takes ``*`` for any run of characters (operations-and-integration 5.3);
    ``like`` takes ``%`` for any run and ``_`` for any one (pages-and-dataverse B1.8). ``words``: the text fits the
    text search query on the right (PostgreSQL 12.1), in the configuration ``simple``. ``includes``: the text is values
    with commas between them, and the right is one of them."""

    op: MatchOp
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class IsNull:
    operand: Operand


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: Predicate


@dataclass(frozen=True, slots=True)
class Any:
    """Some row of the collection relation at ``path`` satisfies ``where``, whose Fields start at that row."""

    path: tuple[str, ...]
    where: Predicate


@dataclass(frozen=True, slots=True)
class AnyRow:
    """Some row of ``entity`` whose fields equal those of this row satisfies ``where``, whose Fields start at that row.

    ``on``: pairs (own field, field of that entity), never empty.
    """

    entity: str
    on: tuple[tuple[str, str], ...]
    where: Predicate


@dataclass(frozen=True, slots=True)
class Exists:
    """The correlated select has a row; ``select.where`` may name columns of enclosing sources."""

    select: Select


@dataclass(frozen=True, slots=True)
class After:
    """The row sorts after the position ``values`` in the order ``by``: keyset paging.

    Each item of ``by`` is (operand, descending, nullable); null sorts lowest. ``None`` in ``values`` is null.
    """

    by: tuple[tuple[Operand, bool, bool], ...]
    values: tuple[Operand | None, ...]


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """The row's version, the number of the transaction that wrote it last, is not yet seen by a snapshot.

    ``snapshot`` is text: ``xmin:xmax:running,…`` (PostgreSQL, 9.28, ``pg_snapshot``). A row whose transaction was
    running when the snapshot was taken has changed since, whenever it committed.
    """

    operand: Operand
    snapshot: Operand


Predicate = (
    Bool | Compare | In | InParam | Match | IsNull | And | Or | Not | Any | AnyRow | Exists | After | ChangedSince
)

TRUE = Bool(True)
FALSE = Bool(False)


def all_of(*items: Predicate) -> Predicate:
    """Conjunction with the trivial cases folded, each condition once.

    >>> all_of(TRUE, IsNull(Field(("a",)))) == IsNull(Field(("a",)))
    True
    """
    flat: list[Predicate] = []
    for item in items:
        if item == FALSE:
            return FALSE
        if isinstance(item, And):
            flat.extend(item.items)
        elif item != TRUE:
            flat.append(item)
    flat = list(dict.fromkeys(flat))
    if not flat:
        return TRUE
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(*items: Predicate) -> Predicate:
    """Disjunction with the trivial cases folded, each condition once.

    >>> any_of() == FALSE and any_of(FALSE, TRUE) == TRUE
    True
    """
    flat: list[Predicate] = []
    for item in items:
        if item == TRUE:
            return TRUE
        if isinstance(item, Or):
            flat.extend(item.items)
        elif item != FALSE:
            flat.append(item)
    flat = list(dict.fromkeys(flat))
    if not flat:
        return FALSE
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def negate(item: Predicate) -> Predicate:
    """Negation with constants and double negation folded."""
    if isinstance(item, Bool):
        return FALSE if item.value else TRUE
    return item.item if isinstance(item, Not) else Not(item)


def map_operands(item: Predicate, change: Callable[[Operand], Operand]) -> Predicate:
    """The same predicate with every leaf operand passed through ``change``.

    Does not descend into ``Exists`` (its select has sources of its own); bodies of ``Any``, ``AnyRow`` are mapped too.
    """

    def operand(value: Operand) -> Operand:
        if isinstance(value, Arith):
            return Arith(value.op, operand(value.left), operand(value.right))
        return change(value)

    match item:
        case Compare(op, left, right):
            return Compare(op, operand(left), operand(right))
        case In(left, values):
            return In(operand(left), tuple(operand(value) for value in values))
        case InParam(left, param):
            return InParam(operand(left), param)
        case Match(op, left, right):
            return Match(op, operand(left), operand(right))
        case IsNull(left):
            return IsNull(operand(left))
        case And(items):
            return And(tuple(map_operands(child, change) for child in items))
        case Or(items):
            return Or(tuple(map_operands(child, change) for child in items))
        case Not(child):
            return Not(map_operands(child, change))
        case Any(path, where):
            return Any(path, map_operands(where, change))
        case AnyRow(entity, on, where):
            return AnyRow(entity, on, map_operands(where, change))
        case After(by, values):
            return After(
                tuple((operand(key), descending, nullable) for key, descending, nullable in by),
                tuple(None if value is None else operand(value) for value in values),
            )
        case ChangedSince(left, snapshot):
            return ChangedSince(operand(left), operand(snapshot))
        case _:
            return item


def shift_slots(item: Predicate, by: int) -> Predicate:
    """The same predicate behind ``by`` other values: each Slot counts from there.

    >>> shift_slots(IsNull(Slot(0, Kind.STRING)), 2)
    IsNull(operand=Slot(index=2, kind=<Kind.STRING: 'string'>))
    """
    return map_operands(item, lambda value: Slot(value.index + by, value.kind) if isinstance(value, Slot) else value)


def operands(item: Predicate) -> Iterator[Operand]:
    """Every leaf operand of the predicate, bodies of ``Any`` and ``AnyRow`` included, ``Exists`` left out."""
    found: list[Operand] = []

    def note(value: Operand) -> Operand:
        found.append(value)
        return value

    map_operands(item, note)
    return iter(found)


def linked_entities(item: Predicate) -> Iterator[str]:
    """The entities that a predicate asks for by equal fields, however deep."""
    match item:
        case And(items) | Or(items):
            for child in items:
                yield from linked_entities(child)
        case Not(child) | Any(_, child):
            yield from linked_entities(child)
        case AnyRow(entity, _, child):
            yield entity
            yield from linked_entities(child)
        case _:
            return
