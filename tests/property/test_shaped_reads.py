"""Linked, grouped and distinct rows are made of the rows that the person reads by themselves, and of nothing else.

Rules, people, rows, links and groups are drawn at random. Three readings have to agree: the SQL that the gate runs; the
same secured select in memory, with policies as values and as subqueries; and a plain nested loop over what the person
gets of each entity alone, which knows no rules at all. Where they may not read an entity, or not a field, there is none
of it in any form.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_security_gate import ENTITIES, VIRTUAL, Bench, Book, Drawn, Values, _versioned, bench, choice, drawn, rows

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Model
from forecourt.kernel.plan import Link, OrderBy, ReadPlan, SecuredPlan, Shape, ShapeColumn
from forecourt.kernel.predicate import And, Compare, Const, Field, IsNull, Linked, Not, Operand, Or, Predicate
from forecourt.kernel.principal import Door
from forecourt.kernel.types import Kind
from forecourt.odata.shapes import completed
from forecourt.security.enforce import LIMIT, OFFSET
from forecourt.security.gate import Gate, Plane
from forecourt.security.rules import Grant, Operation, Right, TablePermission
from forecourt.security.rules import Scope as Access
from forecourt.security.scopes import Scopes
from forecourt.store.memory import evaluate

__all__ = ["bench"]

Row = Mapping[str, object]


@dataclass(frozen=True)
class Case:
    drawn: Drawn
    plan: ReadPlan


@st.composite
def condition(draw: st.DrawFn, entity: str, others: Mapping[str, str]) -> Predicate:
    """A condition over an entity's own fields, or those of linked ones (alias -> entity)."""
    alias = draw(choice("", "", *others))
    item = draw(st.sampled_from([*ENTITIES[others.get(alias, entity)].fields.values()]))
    operand: Operand = Linked(alias, item.name) if alias else Field((item.name,))
    value = Const(draw(choice("a", "V1"))) if item.kind is Kind.STRING else Const(draw(choice(1, 2)))
    return draw(
        choice(Compare("eq", operand, value), Compare("ne", operand, value), IsNull(operand), Not(IsNull(operand)))
    )


@st.composite
def links(draw: st.DrawFn, entity: str, aliases: dict[str, str], depth: int) -> tuple[Link, ...]:
    found = []
    for relation in draw(st.lists(st.sampled_from([*ENTITIES[entity].relations.values()]), max_size=2)):
        if len(aliases) == 3:
            break
        alias = f"l{len(aliases)}"
        aliases[alias] = relation.target
        inner = draw(links(relation.target, aliases, depth - 1)) if depth else ()
        where = draw(st.one_of(st.none(), condition(relation.target, {})))
        named = draw(choice("", relation.name))
        found.append(Link(alias, relation.target, relation.on, draw(st.booleans()), where, inner, named))
    return tuple(found)


def widened(draw: st.DrawFn, base: Drawn) -> Drawn:
    """The same rules with a right to every entity, so that it is the rows that differ."""
    roles = {
        name: dataclasses.replace(
            role, grants=tuple(Grant(item, frozenset({Operation.READ}), "privilege") for item in ENTITIES)
        )
        for name, role in base.rules.operations.roles.items()
    }
    reaches = [
        ("Order", draw(choice(Access.GLOBAL, Access.ACCOUNT))),
        ("Vendor", draw(choice(Access.GLOBAL, Access.ACCOUNT))),
        ("Line", Access.GLOBAL),
    ]
    more = [
        TablePermission(
            UUID(int=100 + place),
            table,
            table,
            access,
            frozenset({Right.READ}),
            frozenset({"Vendors"}),
            "own" if access is Access.ACCOUNT else None,
        )
        for place, (table, access) in enumerate(reaches)
    ]
    rules = dataclasses.replace(
        base.rules,
        operations=dataclasses.replace(base.rules.operations, roles=roles),
        portal=dataclasses.replace(
            base.rules.portal, permissions=(*(base.rules.portal.permissions if draw(st.booleans()) else ()), *more)
        ),
    )
    user = dataclasses.replace(base.user, enabled=True)
    principal = dataclasses.replace(base.principal, operations_user=user)
    return dataclasses.replace(base, rules=rules, user=user, principal=principal)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    base = draw(drawn())
    if draw(st.integers(0, 5)):
        base = widened(draw, base)
    entity, aliases = base.plan.entity, {}
    tree = draw(links(entity, aliases, 1))
    form = draw(choice("plain", "plain", "grouped", "distinct"))
    places = [("", entity), *aliases.items()]
    columns: list[ShapeColumn] = []
    for number in range(draw(st.integers(1, 3))):
        alias, name = draw(st.sampled_from(places))
        columns.append(ShapeColumn(f"c{number}", alias, draw(st.sampled_from([*ENTITIES[name].fields]))))
    if form == "grouped":
        columns = columns[: draw(st.integers(0, 2))]
        columns.append(ShapeColumn("n", "", "", "count"))
        alias, name = draw(st.sampled_from(places))
        numbers = [item.name for item in ENTITIES[name].fields.values() if item.kind is Kind.INT32]
        for function in ("sum", "min", "max", "avg", "countcolumn", "countdistinct"):
            columns.append(ShapeColumn(function, alias, draw(st.sampled_from(numbers)), function))  # type: ignore[arg-type]
    where = draw(st.one_of(st.none(), condition(entity, aliases)))
    order = tuple(OrderBy((column.name,), draw(st.booleans())) for column in columns[: draw(st.integers(0, 2))])
    shape = Shape(tuple(columns), tree, form == "grouped", form == "distinct")
    plan = ReadPlan(
        entity,
        filter=where,
        order=order,
        want="rows+count",
        cross_company=base.plan.cross_company,
        page_size=1000,
        shape=shape,
    )
    return Case(base, completed(plan, Model(ENTITIES)))


# ------------------------------------------------------------------------------------------- the nested loop


def holds(item: Predicate | None, own: Row, linked: Mapping[str, Row | None]) -> bool:
    match item:
        case None:
            return True
        case And(items):
            return all(holds(child, own, linked) for child in items)
        case Or(items):
            return any(holds(child, own, linked) for child in items)
        case Not(child):
            return not holds(child, own, linked)
        case IsNull(operand):
            return value_of(operand, own, linked) is None
        case Compare(op, operand, Const(value)):
            found = value_of(operand, own, linked)
            return op == "ne" if found is None else getattr(operator, op)(found, value)
    raise AssertionError(item)


def value_of(operand: Operand, own: Row, linked: Mapping[str, Row | None]) -> object:
    if isinstance(operand, Linked):
        row = linked[operand.alias]
        return None if row is None else row[operand.name]
    assert isinstance(operand, Field)
    return own[operand.path[0]]


Combination = dict[str, Row | None]


def joined(row: Row, tree: Sequence[Link], visible: Mapping[str, list[Row]]) -> Iterator[Combination]:
    """Everything that can stand beside a row."""
    if not tree:
        yield {}
        return
    link, *rest = tree
    found: list[Combination] = [
        {link.alias: other, **inner}
        for other in visible[link.entity]
        if all(row[own] is not None and row[own] == other[theirs] for own, theirs in link.on)
        and holds(link.filter, other, {})
        for inner in joined(other, link.links, visible)
    ]
    if not found and not link.required:
        found = [dict.fromkeys(beneath([link]))]
    for combination in found:
        for others in joined(row, rest, visible):
            yield {**combination, **others}


def beneath(tree: Sequence[Link]) -> list[str]:
    return [name for link in tree for name in (link.alias, *beneath(link.links))]


def expected(plan: ReadPlan, own: list[Row], visible: Mapping[str, list[Row]]) -> list[tuple[object, ...]]:
    """The rows of the answer by the nested loop, in no order."""
    shape = plan.shape
    assert shape is not None
    found = [
        {"": row, **linked}
        for row in own
        for linked in joined(row, shape.links, visible)
        if holds(plan.filter, row, linked)
    ]

    def value(column: ShapeColumn, combination: Combination) -> object:
        row = combination[column.alias]
        return None if row is None else row[column.field]

    if not shape.grouped:
        plain = [tuple(value(column, each) for column in shape.columns) for each in found]
        return list(dict.fromkeys(plain)) if shape.distinct else plain
    keys = [column for column in shape.columns if column.function is None]
    groups: dict[tuple[object, ...], list[Combination]] = {} if keys else {(): []}
    for each in found:
        groups.setdefault(tuple(value(column, each) for column in keys), []).append(each)
    result = []
    for key, members in groups.items():
        row: list[object] = list(key)
        for column in shape.columns[len(keys) :]:
            values: list[Any] = [] if not column.field else [v for m in members if (v := value(column, m)) is not None]
            row.append(summed(column, members, values))
        result.append(tuple(row))
    return result


def summed(column: ShapeColumn, members: Sequence[object], values: list[Any]) -> object:
    match column.function:
        case "count":
            return len(members)
        case "countcolumn":
            return len(values)
        case "countdistinct":
            return len(set(values))
        case "sum":
            return sum(values) if values else None
        case "avg":
            return Decimal(sum(values)) / len(values) if values else None
        case "min":
            return min(values, default=None)
        case _:
            return max(values, default=None)


def named(plan: ReadPlan) -> set[tuple[str, str]]:
    """The fields that a plan names, as (entity, field)."""
    shape = plan.shape
    assert shape is not None
    entities = {"": plan.entity}
    found: set[tuple[str, str]] = set()

    def visit(tree: Sequence[Link], above: str) -> None:
        for link in tree:
            entities[link.alias] = link.entity
            if not link.relation:
                found.update((above, own) for own, _ in link.on)
                found.update((link.entity, theirs) for _, theirs in link.on)
            found.update((link.entity, name) for _, name in operands_of(link.filter))
            visit(link.links, link.entity)

    visit(shape.links, plan.entity)
    found.update((entities[alias], name) for alias, name in operands_of(plan.filter))
    found.update((entities[column.alias], column.field) for column in shape.columns if column.field)
    return found


def operands_of(item: Predicate | None) -> set[tuple[str, str]]:
    match item:
        case Not(child):
            return operands_of(child)
        case IsNull(operand) | Compare(_, operand, _):
            if isinstance(operand, Linked):
                return {(operand.alias, operand.name)}
            assert isinstance(operand, Field)
            return {("", operand.path[0])}
    return set()


def near(left: Sequence[tuple[object, ...]], right: Sequence[tuple[object, ...]]) -> bool:
    """Whether rows are equal, averages up to how far a database carries a quotient."""

    def same(one: object, other: object) -> bool:
        if isinstance(one, Decimal) and isinstance(other, Decimal):
            return abs(one - other) < Decimal("1e-9")
        return one == other

    return len(left) == len(right) and all(
        len(one) == len(other) and all(map(same, one, other)) for one, other in zip(left, right, strict=True)
    )


def by_text(found: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    def text(value: object) -> str:
        return f"{value:.6f}" if isinstance(value, Decimal | int) else str(value)

    return sorted(found, key=lambda row: [text(value) for value in row])


@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
async def test_shaped_rows_are_made_of_rows_that_the_person_reads(bench: Bench, case: Case) -> None:
    tables = rows(case.drawn.seed)
    await bench.load(tables)
    entities = ENTITIES if case.drawn.door is Door.OPERATIONS else VIRTUAL
    scopes = Scopes(case.drawn.rules, Book(case.drawn.user), bench.database, bench.catalog)
    plane = Plane(bench.database, bench.catalog)
    gate = Gate(case.drawn.rules, Model(entities), scopes, plane, plane)
    scope = await gate.scope(case.drawn.principal, case.drawn.door)
    shape = case.plan.shape
    assert shape is not None
    open_fields = {name: gate.enforcer.readable(entity, scope) for name, entity in entities.items()}
    touched = {case.plan.entity, *(link.entity for link in flat(shape.links))}
    allowed = all(open_fields[name] for name in touched) and all(
        field in open_fields[name] for name, field in named(case.plan)
    )
    secured: list[SecuredPlan] = []

    def keep(plan: SecuredPlan, statement: object) -> None:
        secured.append(plan)

    if not allowed:
        with pytest.raises(Refusal) as caught:
            await gate.read(scope, case.plan, lambda: case.plan, keep, ())
        assert caught.value.status == 403
        return
    _, result = await gate.read(scope, case.plan, lambda: case.plan, keep, ())
    names = [column.name for column in shape.columns]
    got = [tuple(row[name] for name in names) for row in result.rows]

    values = Values({**scope.values, LIMIT.name: 1001, OFFSET.name: 0})
    subqueries = dataclasses.replace(scope, sizes=tuple((name, None) for name, _ in scope.sizes))
    for plan in (secured[0], gate.enforcer.read(case.plan, subqueries)):
        at = [[output.name for output in plan.select.outputs].index(name) for name in names]
        meant = [tuple(row[place] for place in at) for row in evaluate(plan.select, _versioned(tables), (), values)]
        assert near(meant, got)
        assert plan.count is not None
        assert evaluate(plan.count, _versioned(tables), (), values) == [(result.total,)] == [(len(got),)]

    on = {(above, own) for above, link in pairs(case.plan.entity, shape.links) for own, _ in link.on}
    on |= {(link.entity, theirs) for link in flat(shape.links) for _, theirs in link.on}
    if any(field not in open_fields[name] for name, field in on):
        return  # a relation joins by what the person may not read: the loop cannot
    visible: dict[str, list[Row]] = {}
    for name in touched:
        alone = ReadPlan(name, cross_company=True, page_size=1000)
        _, found = await gate.read(scope, alone, lambda alone=alone: alone, keep, ())  # type: ignore[misc]
        visible[name] = [dict(row.items()) for row in found.rows]
    own = ReadPlan(case.plan.entity, cross_company=case.plan.cross_company, page_size=1000)
    _, found = await gate.read(scope, own, lambda: own, keep, ())
    assert near(by_text(expected(case.plan, [dict(row.items()) for row in found.rows], visible)), by_text(got))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_rows_are_sorted_by_related_rows_as_far_as_the_person_reads_them(
    bench: Bench, data: st.DataObject
) -> None:
    base = widened(data.draw, data.draw(drawn()))
    name, relation, target = data.draw(choice(("Order", "OfVendor", "Vendor"), ("Line", "OfOrder", "Order")))
    column, descending = data.draw(st.sampled_from([*ENTITIES[target].fields])), data.draw(st.booleans())
    plan = ReadPlan(name, order=(OrderBy((relation, column), descending),), cross_company=True, page_size=1000)
    tables = rows(base.seed)
    await bench.load(tables)
    entities = ENTITIES if base.door is Door.OPERATIONS else VIRTUAL
    plane = Plane(bench.database, bench.catalog)
    gate = Gate(
        base.rules, Model(entities), Scopes(base.rules, Book(base.user), bench.database, bench.catalog), plane, plane
    )
    scope = await gate.scope(base.principal, base.door)
    secured: list[SecuredPlan] = []

    def keep(found: SecuredPlan, statement: object) -> None:
        secured.append(found)

    if column not in gate.enforcer.readable(entities[target], scope) or not gate.enforcer.readable(
        entities[name], scope
    ):
        with pytest.raises(Refusal):
            await gate.read(scope, plan, lambda: plan, keep, ())
        return
    _, result = await gate.read(scope, plan, lambda: plan, keep, ())
    values = Values({**scope.values, LIMIT.name: 1001, OFFSET.name: 0})
    at = [output.name for output in secured[0].select.outputs].index("Id")
    meant = [row[at] for row in evaluate(secured[0].select, _versioned(tables), (), values)]
    assert meant == [row["Id"] for row in result.rows]

    related: dict[str, list[Row]] = {}
    for each in (name, target):
        alone = ReadPlan(each, cross_company=True, page_size=1000)
        _, found = await gate.read(scope, alone, lambda alone=alone: alone, keep, ())  # type: ignore[misc]
        related[each] = [dict(row.items()) for row in found.rows]
    ((own, theirs),) = ENTITIES[name].relations[relation].on
    if any(own not in row for row in related[name]):
        return

    def key(row: Row) -> tuple[Any, ...]:
        found = next((other for other in related[target] if other[theirs] == row[own]), None)
        value = None if found is None else found[column]
        return (value is not None, value if value is not None else 0, row["Id"])

    expected_rows = sorted(related[name], key=key, reverse=descending)
    assert [row["Id"] for row in expected_rows] == [row["Id"] for row in result.rows]


def flat(tree: Sequence[Link]) -> list[Link]:
    return [each for link in tree for each in (link, *flat(link.links))]


def pairs(above: str, tree: Sequence[Link]) -> list[tuple[str, Link]]:
    return [each for link in tree for each in ((above, link), *pairs(link.entity, link.links))]
