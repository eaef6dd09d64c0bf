"""A request's shape against the model: a ReadPlan, and the slots that turn its literals into bound values.

Runs once per :attr:`~forecourt.odata.request.Request.shape_key` (and page size); what it returns holds no value of any
request. Decides what each path means as a read::

    Set                    rows                       Set/$count       the total alone; of the options $filter counts
    Set(key)               one row                    Set(key)/Field   one row, of which one property is written
    Set(key)/Many          the target's rows whose relation back leads to the key: a set like any other
    Set(key)/One           the row with that relation expanded, of which only the child is written

``Set(key)/Many`` needs the relation back, or a key that holds the relation's own fields; otherwise the row is read with
the relation expanded (no paging). ``$apply`` shapes the rows of a set. Leaves out ``$search``, ``$value``, ``$ref``:
FC1004.
Sources: operations-and-integration 5.2-5.4; pages-and-dataverse B1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal as Choice

from forecourt.kernel import predicate as p
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model, Relation
from forecourt.kernel.plan import Expand, OrderBy, ReadPlan
from forecourt.odata.apply import parse_apply, parse_order
from forecourt.odata.cursor import Cursor, Slots
from forecourt.odata.dialect import Dialect
from forecourt.odata.expand import ExpandParser, parse_count_literal, parse_orderby, parse_select
from forecourt.odata.filter import parse_filter
from forecourt.odata.lexer import Literal, LiteralKind
from forecourt.odata.paging import with_key
from forecourt.odata.path import KeyPart, PathKind
from forecourt.odata.request import Request
from forecourt.odata.scope import Scope, entity_of, target_of, unknown_name
from forecourt.odata.shapes import completed, result_entity
from forecourt.odata.slots import SlotSpec, bind, field_slot, position_slot

Result = Choice["set", "row", "count", "property", "child", "children"]


@dataclass(frozen=True)
class Parsed:
    """A read, parsed. ``entity`` is the plan's, or that of the columns of a shaped answer.

    ``result`` says what the answer is: a set, a row, a number, one property of the row (``member``), or the row or rows
    under relation ``member`` of the row (404 where the row itself is not found). ``order``: the effective one, whose
    values make the paging token.
    """

    plan: ReadPlan
    slots: tuple[SlotSpec, ...]
    entity: Entity
    result: Result
    order: tuple[OrderBy, ...]
    member: str = ""

    def bind(self, literals: Sequence[Literal]) -> tuple[object, ...]:
        """The bound values, in the order of the slots. Raises Refusal FC1003."""
        return bind(self.slots, literals)


@dataclass(frozen=True)
class RowKey:
    """A key in a URL, parsed: pairs (field, slot)."""

    fields: tuple[tuple[str, p.Slot], ...]
    slots: tuple[SlotSpec, ...]

    def bind(self, literals: Sequence[Literal]) -> tuple[tuple[str, object], ...]:
        """Pairs (field, bound value). Raises Refusal FC1003."""
        values = bind(self.slots, literals)
        return tuple((name, values[slot.index]) for name, slot in self.fields)


def plan(request: Request, model: Model, dialect: Dialect, page_size: int | None = None) -> Parsed:
    """The read that a request asks for. ``page_size``: rows per page asked for; the dialect's maximum bounds it.

    Raises Refusal FC1001-FC1004, FC1007, FC4042.
    """
    path = request.path
    if path.kind not in _READS:
        raise Refusal("FC1004", "This resource cannot be read here.", source="path")
    entity = entity_of(model, path.set)
    slots = Slots(request.literals, model)
    size = min(page_size or dialect.max_page, dialect.max_page)
    base = ReadPlan(entity.name, cross_company=request.cross_company)
    if path.kind in (PathKind.SET, PathKind.COUNT):
        only_count = path.kind is PathKind.COUNT
        return _set(base, entity, request, slots, dialect, p.TRUE, size, only_count)
    key = _key(path.key, entity, slots, dialect)
    if path.kind is PathKind.ROW:
        scoped = _options(replace(base, key=key), entity, request, slots, dialect, _ROW_OPTIONS)
        return Parsed(scoped, slots.done(), entity, "row", ())
    relation = entity.relations.get(path.member)
    if relation is not None:
        return _navigation(base, entity, relation, key, request, slots, dialect, size)
    if path.kind is PathKind.MEMBER and path.member in entity.fields:
        _options(base, entity, request, slots, dialect, frozenset())
        fields = tuple(dict.fromkeys((path.member, *(entity.key if dialect.key_always else ()))))
        return Parsed(replace(base, key=key, select=fields), slots.done(), entity, "property", (), path.member)
    if path.member in entity.fields:
        raise Refusal("FC4042", "Resource not found for the segment '$count'.", source="path")
    error = unknown_name(path.member, entity, "path")
    raise Refusal(
        "FC4042", f"Resource not found for the segment '{path.member[:100]}'.", hint=error.hint, source="path"
    )


def row_key(request: Request, model: Model, dialect: Dialect) -> tuple[Entity, RowKey]:
    """The row that ``Set(key)`` and what is below it names. Raises Refusal FC1001-FC1003, FC4042."""
    entity = entity_of(model, request.path.set)
    slots = Slots(request.literals, model)
    key = _key(request.path.key, entity, slots, dialect)
    return entity, RowKey(key, slots.done())


_READS = (PathKind.SET, PathKind.COUNT, PathKind.ROW, PathKind.MEMBER, PathKind.MEMBER_COUNT)
_ROW_OPTIONS = frozenset({"$select", "$expand", "$format"})
_SET_OPTIONS = _ROW_OPTIONS | {"$filter", "$orderby", "$top", "$skip", "$count", "$skiptoken"}
_APPLIED_OPTIONS = frozenset({"$apply", "$orderby", "$top", "$count", "$skiptoken"})


def _key(parts: tuple[KeyPart, ...], entity: Entity, slots: Slots, dialect: Dialect) -> tuple[tuple[str, p.Slot], ...]:
    """The fields of the key or of an alternate key, in its order, with their slots."""
    given = {part.name: part for part in parts}
    if len(parts) == 1 and parts[0].name == "" and len(entity.key) == 1:
        given = {entity.key[0]: parts[0]}
    keys = (entity.key, *entity.alternate_keys.values())
    fields = next((names for names in keys if set(names) == set(given)), None)
    if fields is None:
        form = ",".join(f"{name}=..." for name in entity.key) if len(entity.key) > 1 else "..."
        raise Refusal(
            "FC1001",
            f"The key in the request URI is not valid for resource '{entity.collection}'.",
            hint=f"Write {entity.collection}({form}).",
            source="key",
        )
    pairs = []
    for name in fields:
        token = given[name].token
        literal = LiteralKind("e" if token.type == "enum" else token.text)
        enum_type = token.text if token.type == "enum" else ""
        spec = field_slot(entity.fields[name], literal, enum_type, slots.model, dialect)
        pairs.append((name, slots.set(token.index, spec)))
    return tuple(pairs)


def _set(
    base: ReadPlan,
    entity: Entity,
    request: Request,
    slots: Slots,
    dialect: Dialect,
    restriction: p.Predicate,
    size: int,
    only_count: bool,
) -> Parsed:
    if request.option("$apply") is not None and not only_count:
        return _applied(replace(base, page_size=size), entity, request, slots, dialect, restriction)
    scoped = _options(base, entity, request, slots, dialect, _SET_OPTIONS)
    condition = p.all_of(restriction, scoped.filter or p.TRUE)
    scoped = replace(scoped, filter=None if condition == p.TRUE else condition)
    if only_count:
        total = replace(base, filter=scoped.filter, want="count")
        return Parsed(total, slots.done(), entity, "count", ())
    order = with_key(scoped.order, entity)
    scoped = replace(scoped, page_size=size, after=_after(request, order, entity, slots))
    return Parsed(scoped, slots.done(), entity, "set", order)


def _applied(
    base: ReadPlan, entity: Entity, request: Request, slots: Slots, dialect: Dialect, restriction: p.Predicate
) -> Parsed:
    """A set whose rows ``$apply`` shapes."""
    option = request.option("$apply")
    assert option is not None
    cursor = Cursor(option.shape, option.first, option.name)
    shape, condition = parse_apply(cursor, Scope(slots.model, entity), slots, dialect)
    cursor.expect_end()
    scoped = _options(base, entity, request, slots, dialect, _APPLIED_OPTIONS)
    sort = request.option("$orderby")
    if sort is not None:
        cursor = Cursor(sort.shape, sort.first, sort.name)
        scoped = replace(scoped, order=parse_order(cursor, shape))
        cursor.expect_end()
    where = p.all_of(restriction, condition)
    shaped = completed(replace(scoped, filter=None if where == p.TRUE else where, shape=shape), slots.model)
    result = result_entity(shaped, slots.model)
    shaped = replace(shaped, after=_after(request, shaped.order, result, slots))
    return Parsed(shaped, slots.done(), result, "set", shaped.order)


def _options(
    base: ReadPlan, entity: Entity, request: Request, slots: Slots, dialect: Dialect, allowed: frozenset[str]
) -> ReadPlan:
    scope = Scope(slots.model, entity)
    result = base
    for option in request.options:
        name = option.name
        if name not in allowed:
            raise Refusal("FC1004", f"{name} has no use on this resource.", source=name)
        if name in ("$skiptoken", "$format", "$apply") or (name == "$orderby" and "$apply" in allowed):
            continue
        cursor = Cursor(option.shape, option.first, name)
        match name:
            case "$select":
                result = replace(result, select=parse_select(cursor, entity, dialect))
            case "$filter":
                result = replace(result, filter=parse_filter(cursor, scope, slots, dialect))
            case "$orderby":
                result = replace(result, order=parse_orderby(cursor, scope))
            case "$expand":
                result = replace(result, expand=ExpandParser(cursor, slots, dialect).parse(scope))
            case "$top":
                result = replace(result, top=parse_count_literal(cursor, slots))
            case "$skip":
                result = replace(result, skip=parse_count_literal(cursor, slots))
            case "$count":
                word = cursor.expect_word()
                if word not in ("true", "false"):
                    raise Refusal("FC1001", "$count is true or false.", source=name)
                result = replace(result, want="rows+count" if word == "true" else "rows")
        cursor.expect_end()
    return result


def _after(
    request: Request, order: tuple[OrderBy, ...], entity: Entity, slots: Slots
) -> tuple[p.Slot | None, ...] | None:
    """The slots of the position that ``$skiptoken`` names, one per key of the effective order."""
    if request.position is None:
        return None
    option = request.option("$skiptoken")
    assert option is not None
    kinds = option.shape.split(" ")
    if len(kinds) != len(order):
        raise Refusal("FC1007", "The paging token was not issued for this query.", source="$skiptoken")
    result: list[p.Slot | None] = []
    index = option.first
    for item, kind in zip(order, kinds, strict=True):
        if kind == "null":
            result.append(None)
            continue
        field_entity = entity
        for step in item.path[:-1]:
            field_entity = target_of(field_entity.relations[step], slots.model)
        spec = position_slot(field_entity.fields[item.path[-1]], LiteralKind(kind[1]))
        if spec is None:
            raise Refusal("FC1007", "The paging token was not issued for this query.", source="$skiptoken")
        result.append(slots.set(index, spec))
        index += 1
    return tuple(result)


# ------------------------------------------------------------------------------------------ Set(key)/Relation


def _navigation(
    base: ReadPlan,
    entity: Entity,
    relation: Relation,
    key: tuple[tuple[str, p.Slot], ...],
    request: Request,
    slots: Slots,
    dialect: Dialect,
    size: int,
) -> Parsed:
    target = target_of(relation, slots.model)
    only_count = request.path.kind is PathKind.MEMBER_COUNT
    if relation.many:
        restriction = _back_to(entity, relation, target, key)
        if restriction is not None:
            rows = ReadPlan(target.name, cross_company=base.cross_company)
            return _set(rows, target, request, slots, dialect, restriction, size, only_count)
    if only_count:
        raise Refusal("FC1004", f"'{relation.name}' cannot be counted here.", source="path")
    allowed = _ROW_OPTIONS | ({"$filter", "$orderby", "$top"} if relation.many else frozenset())
    inner = _options(ReadPlan(target.name), target, request, slots, dialect, allowed)
    child = Expand(relation.name, inner.select, inner.filter, inner.order, inner.top, inner.expand)
    parent = replace(base, key=key, select=entity.key, expand=(child,))
    return Parsed(parent, slots.done(), entity, "children" if relation.many else "child", (), relation.name)


def _back_to(
    entity: Entity, relation: Relation, target: Entity, key: tuple[tuple[str, p.Slot], ...]
) -> p.Predicate | None:
    """The condition on the target's rows that they belong to the row with that key, or None where none can be said.

    By the relation back the parent's policies apply as well; by equal fields the target's rows speak for themselves.
    """
    if relation.through is not None:
        for back in target.relations.values():
            through = back.through
            if through is not None and back.target == entity.name and through.table == relation.through.table:
                return p.Any((back.name,), p.all_of(*(p.Compare("eq", p.Field((name,)), slot) for name, slot in key)))
        return None
    mirrored = {(theirs, own) for own, theirs in relation.on}
    for back in target.relations.values():
        if not back.many and back.target == entity.name and set(back.on) == mirrored:
            return p.all_of(*(p.Compare("eq", p.Field((back.name, name)), slot) for name, slot in key))
    values = dict(key)
    pairs = [(theirs, values.get(own)) for own, theirs in relation.on]
    if all(slot is not None and slot.kind == target.fields[name].kind for name, slot in pairs if name in target.fields):
        conditions = [p.Compare("eq", p.Field((name,)), slot) for name, slot in pairs if slot is not None]
        return p.all_of(*conditions) if len(conditions) == len(pairs) else None
    return None
