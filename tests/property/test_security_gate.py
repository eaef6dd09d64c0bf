"""For any rules over any rows, what comes through the gate is what the rules mean.

Rules, people, requests and rows are drawn at random. Three readings of the same request have to agree: the SQL that
the gate runs, with the person's own rows bound as values; the same secured select in memory; and in memory again with
every policy left as a subquery, so that binding can be no more than a form of it.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import DataSource, Entity, EntityField, Model, Relation
from forecourt.kernel.plan import OrderBy, ReadPlan, SecuredPlan
from forecourt.kernel.predicate import (
    TRUE,
    Column,
    Compare,
    Const,
    Field,
    In,
    IsNull,
    Match,
    Not,
    Param,
    Predicate,
    all_of,
    any_of,
)
from forecourt.kernel.predicate import Any as Some
from forecourt.kernel.principal import Contact, Door, OperationsUser, Principal
from forecourt.kernel.relation import Source, TableName
from forecourt.kernel.types import Kind
from forecourt.security.constructs import Construct, ConstructJoin, Refresh
from forecourt.security.constructs import given as given_param
from forecourt.security.contexts import context
from forecourt.security.enforce import LIMIT, OFFSET
from forecourt.security.gate import Gate, Plane
from forecourt.security.rules import (
    BYPASS,
    EXTERNAL_USER,
    PORTAL_USER,
    SYSTEM_ADMINISTRATOR,
    Constraint,
    Grant,
    Operation,
    OperationsRules,
    PersonRelationship,
    Policy,
    PortalRules,
    Right,
    Role,
    Rules,
    TablePermission,
)
from forecourt.security.rules import Scope as Access
from forecourt.security.scopes import Scopes
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.memory import evaluate
from support.policy_oracle import Oracle
from support.postgres import fresh_database

SCHEMA = """
create schema t;
create table t.vendor (id int primary key, area text not null, code text, party int);
create table t.orders (id int primary key, area text not null, vendor int, amount int);
create table t.line (id int primary key, orders int not null, quantity int);
create table t.link (id int primary key, who text not null, party int, closed int not null);
"""

VENDOR, ORDERS, LINE, LINK = (TableName("t", name) for name in ("vendor", "orders", "line", "link"))
COLUMNS: dict[TableName, tuple[str, ...]] = {
    VENDOR: ("id", "area", "code", "party"),
    ORDERS: ("id", "area", "vendor", "amount"),
    LINE: ("id", "orders", "quantity"),
    LINK: ("id", "who", "party", "closed"),
}
AREAS, CODES, PEOPLE = ("a", "b"), ("V1", "V2", "V3"), ("ann", "ben", "cat")
ROLES, CONTEXTS = ("One", "Two"), ("ContextOne", "ContextTwo")


def field(name: str, source: str, column: str, kind: Kind, nullable: bool) -> EntityField:
    return EntityField(name, source, column, kind, nullable, storage={Kind.STRING: "text"}.get(kind, "int4"))


def entity(name: str, sources: tuple[DataSource, ...], fields: list[EntityField], **more: Any) -> Entity:
    return Entity(name, name, name + "s", sources, {item.name: item for item in fields}, ("Id",), **more)


ENTITIES = {
    "Order": entity(
        "Order",
        (DataSource("o", ORDERS), DataSource("v", VENDOR, "left", ((("o", "vendor"), "id"),))),
        [
            field("Id", "o", "id", Kind.INT32, False),
            field("Area", "o", "area", Kind.STRING, False),
            field("Vendor", "o", "vendor", Kind.INT32, True),
            field("Amount", "o", "amount", Kind.INT32, True),
            field("Code", "v", "code", Kind.STRING, True),
        ],
        relations={
            "Lines": Relation("Lines", "Line", True, (("Id", "Order"),)),
            "OfVendor": Relation("OfVendor", "Vendor", False, (("Vendor", "Id"),)),
        },
        company="Area",
    ),
    "Line": entity(
        "Line",
        (DataSource("l", LINE), DataSource("o", ORDERS, "inner", ((("l", "orders"), "id"),))),
        [
            field("Id", "l", "id", Kind.INT32, False),
            field("Order", "l", "orders", Kind.INT32, False),
            field("Quantity", "l", "quantity", Kind.INT32, True),
            field("Amount", "o", "amount", Kind.INT32, True),
        ],
        relations={"OfOrder": Relation("OfOrder", "Order", False, (("Order", "Id"),))},
    ),
    "Vendor": entity(
        "Vendor",
        (DataSource("v", VENDOR),),
        [
            field("Id", "v", "id", Kind.INT32, False),
            field("Area", "v", "area", Kind.STRING, False),
            field("Code", "v", "code", Kind.STRING, True),
        ],
        relations={"Orders": Relation("Orders", "Order", True, (("Id", "Vendor"),))},
        company="Area",
    ),
}
#: At the portal the same entities are virtual tables under the same names.
VIRTUAL = {name: dataclasses.replace(item, virtual_of=name) for name, item in ENTITIES.items()}

RELATIONSHIPS = {
    ("Order", "own"): PersonRelationship("own", "Order", "account", (("Code", "accountnumber"), ("Area", "company"))),
    ("Vendor", "own"): PersonRelationship("own", "Vendor", "account", (("Code", "accountnumber"),)),
    ("Vendor", "me"): PersonRelationship("me", "Vendor", "contact", (("Code", "code"),)),
}


# ------------------------------------------------------------------------------------------------- the draws


def choice(*items: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(items)


@st.composite
def constructs(draw: st.DrawFn) -> Construct:
    """What is mine: the parties of a user, by one key or by two."""
    closed = Compare("eq", Column("m", "closed"), Const(0))
    who = Compare("eq", Column("m", "who"), Param("user.id"))
    keys = (("party", Column("m", "party")), ("number", Column("m", "id")))[: draw(st.integers(1, 2))]
    return Construct(
        f"My{len(keys)}{draw(choice('A', 'B'))}",
        (Source("m", LINK),),
        all_of(who, closed) if draw(st.booleans()) else who,
        keys,
        draw(choice(Refresh.PER_SESSION, Refresh.PER_SESSION, Refresh.PER_INVOCATION)),
    )


@st.composite
def expressions(draw: st.DrawFn, own: str, column: str, above: tuple[tuple[str, str], ...]) -> Predicate:
    """What a node's expression says beside its relation: nothing, or a comparison with a table above or a value."""
    if draw(st.integers(0, 2)):
        return TRUE
    other = draw(choice(Const(1), Const(2), *(Column(alias, name) for alias, name in above)))
    return Compare(draw(choice("eq", "ne", "lt", "ge")), Column(own, column), other)


@st.composite
def policies(draw: st.DrawFn, name: str) -> Policy:
    """A policy from the vendors (or straight from the orders) of a user to what hangs on them."""
    from_vendor = draw(st.booleans())
    primary = VENDOR if from_vendor else ORDERS
    ranges: list[Predicate] = []
    sources = [Source("p", primary)]
    joins: list[ConstructJoin] = []
    if from_vendor and draw(st.integers(0, 3)):
        if draw(st.booleans()):
            construct = draw(constructs())
            ends = {"party": Column("p", "party"), "number": Column("p", "id")}
            joins.append(ConstructJoin(construct, tuple((key, ends[key]) for key, _ in construct.keys)))
            ranges.append(joins[0].condition)
        else:
            sources.append(Source("k", LINK, "inner", Compare("eq", Column("p", "party"), Column("k", "party"))))
            ranges.append(Compare("eq", Column("k", "who"), Param("user.id")))
            if draw(st.booleans()):
                ranges.append(Compare("eq", Column("k", "closed"), Const(0)))
    number = "party" if from_vendor else "amount"
    extra = draw(
        choice(
            None,
            Compare("eq", Column("p", "area"), Param("user.company")),
            Compare("ne", Column("p", "area"), Const("a")),
            Compare("ne", Column("p", number), Const(1)),
            Compare("lt", Column("p", number), Const(2)),
            all_of(Compare("ge", Column("p", number), Const(1)), Compare("le", Column("p", number), Const(2))),
            In(Column("p", "area"), (Const("a"), Const("c"))),
            Match("wildcard", Column("p", "area"), Const("A*")),
            Match("startswith", Column("p", "area"), Param("user.company")),
            all_of(Compare("ne", Column("p", "area"), Param("user.nothing")), given_param(Param("user.nothing"))),
            IsNull(Column("p", "code" if from_vendor else "amount")),
        )
    )
    if extra is not None:
        ranges.append(extra)
    root = "party" if from_vendor else "vendor"
    above = (("co", "amount"), ("p", root)) if from_vendor else (("p", root),)
    lines = Constraint(LINE, "cl", (("orders", "id"),), condition=draw(expressions("cl", "quantity", above)))
    orders = Constraint(
        ORDERS,
        "co",
        (("vendor", "id"),),
        draw(st.booleans()),
        (lines,) if draw(st.booleans()) else (),
        condition=draw(expressions("co", "amount", (("p", root),))),
    )
    nodes = ((orders,) if draw(st.integers(0, 3)) else ()) if from_vendor else ((lines,) if draw(st.booleans()) else ())
    return Policy(
        name=name,
        primary=primary,
        sources=tuple(sources),
        filter=all_of(*ranges),
        constrain_primary=draw(choice(True, True, False)),
        constraints=nodes,
        operations=draw(choice(frozenset(Operation), frozenset({Operation.READ}), frozenset({Operation.UPDATE}))),
        context=draw(
            choice(
                *(("RoleName", role) for role in ROLES),
                *(("RoleProperty", context) for context in CONTEXTS),
                ("ContextString", "Auditing"),
                ("RoleName", "Misspelt"),
            )
        ),
        not_exists=draw(choice(False, False, False, True)),
        enabled=draw(choice(True, True, True, False)),
        constructs=tuple(joins),
    )


@st.composite
def permissions(draw: st.DrawFn) -> tuple[TablePermission, ...]:
    """A forest: roots on any table, children along the relations that lead to a parent."""
    found: list[TablePermission] = []
    for number in range(draw(st.integers(0, 4))):
        table = draw(choice("Order", "Line", "Vendor"))
        options: list[tuple[Access, str | None, UUID | None]] = [(Access.GLOBAL, None, None)]
        if table != "Line":
            options += [(Access.ACCOUNT, "own", None)] * 2
        if table == "Vendor":
            options.append((Access.CONTACT, "me", None))
        for parent in found:
            for relation in ENTITIES[table].relations.values():
                if relation.target == parent.table:
                    options += [(Access.PARENT, relation.name, parent.id)] * 3
        access, relationship, above = draw(choice(*options))
        found.append(
            TablePermission(
                UUID(int=number + 1),
                f"permission {number}",
                table,
                access,
                draw(choice(frozenset({Right.READ}), frozenset({Right.READ, Right.WRITE}), frozenset({Right.WRITE}))),
                frozenset(draw(st.lists(choice("Vendors", "Others"), max_size=2))),
                relationship,
                above,
            )
        )
    return tuple(found)


@st.composite
def conditions(draw: st.DrawFn, name: str, depth: int = 2) -> Predicate:
    """A filter over an entity, along its relations as well."""
    leaves: list[Predicate] = []
    for item in ENTITIES[name].fields.values():
        value = Const("a" if item.name == "Area" else "V1") if item.kind is Kind.STRING else Const(2)
        leaves += [
            Compare("eq", Field((item.name,)), value),
            Compare("ne", Field((item.name,)), value),
            IsNull(Field((item.name,))),
        ]
    for relation in ENTITIES[name].relations.values():
        if not relation.many:
            target = ENTITIES[relation.target]
            for item in target.fields.values():
                value = Const("a" if item.name == "Area" else "V1") if item.kind is Kind.STRING else Const(2)
                leaves += [
                    Compare("eq", Field((relation.name, item.name)), value),
                    Compare("ne", Field((relation.name, item.name)), value),
                    IsNull(Field((relation.name, item.name))),
                ]
    if depth == 0:
        return draw(st.sampled_from(leaves))
    kind = draw(st.integers(0, 6))
    if kind < 2:
        return draw(st.sampled_from(leaves))
    if kind == 2:
        return Not(draw(conditions(name, depth - 1)))
    if kind in (3, 4):
        parts = [draw(conditions(name, depth - 1)) for _ in range(2)]
        return all_of(*parts) if kind == 3 else any_of(*parts)
    collections = [r for r in ENTITIES[name].relations.values() if r.many]
    if not collections:
        return draw(st.sampled_from(leaves))
    relation = draw(st.sampled_from(collections))
    inner = Some((relation.name,), draw(conditions(relation.target, depth - 1)))
    return inner if kind == 5 else Not(inner)


@dataclass(frozen=True)
class Drawn:
    rules: Rules
    user: OperationsUser
    principal: Principal
    door: Door
    plan: ReadPlan
    seed: int
    saying: frozenset[str]


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    roles = {}
    for name, carried in zip(ROLES, CONTEXTS, strict=True):
        grants = tuple(
            Grant(
                item,
                frozenset({Operation.READ, Operation.UPDATE}),
                "privilege",
                draw(choice(None, None, None, frozenset({"Id", "Area", "Amount"}))),
                denied=draw(choice(*[frozenset[Operation]()] * 8, frozenset({Operation.UPDATE}), frozenset(Operation))),
                denied_read=draw(choice(frozenset(), frozenset(), frozenset({"Amount"}), frozenset({"Code"}))),
            )
            for item in draw(st.lists(choice(*ENTITIES), min_size=1, max_size=3, unique=True))
        )
        roles[name] = Role(name, name, draw(choice(carried, None)), grants)
    found = tuple(draw(policies(f"policy{number}")) for number in range(draw(st.integers(0, 3))))
    rules = Rules(
        OperationsRules(roles, found, draw(choice("policy-required", "open")), strings=frozenset({"Auditing"})),
        PortalRules(draw(permissions()), RELATIONSHIPS),
    )
    own = frozenset(draw(st.lists(choice(*ROLES), min_size=1, max_size=2)))
    external = draw(st.booleans())
    markers = {PORTAL_USER} | ({EXTERNAL_USER} if external else set())
    if draw(st.integers(0, 9)) == 0:
        markers.add(draw(choice(SYSTEM_ADMINISTRATOR, BYPASS)))
    limits = tuple(
        (role, frozenset(draw(st.lists(choice(*AREAS), min_size=1, max_size=2))))
        for role in sorted(own)
        if draw(st.booleans())
    )
    user = OperationsUser(
        draw(choice(*PEOPLE)),
        "",
        "",
        draw(choice(*AREAS)),
        own | markers,
        limits,
        external,
        draw(st.integers(0, 9)) > 0,
    )
    door = draw(choice(Door.OPERATIONS, Door.PORTAL))
    principal = Principal(operations_user=user)
    if door is Door.PORTAL:
        account = (("accountnumber", draw(choice(*CODES))), ("company", draw(choice(*AREAS))))
        contact = Contact(UUID(int=7), "x", "x", UUID(int=8), (("code", draw(choice(*CODES))),), account)
        principal = Principal(contact, frozenset({"Vendors"}), user)
    name = draw(choice(*ENTITIES))
    plan = ReadPlan(
        name,
        select=("Id",),
        filter=draw(st.one_of(st.none(), conditions(name))),
        order=draw(choice((), (OrderBy(("Id",), True),))),
        want=draw(choice("rows", "rows+count", "count")),
        cross_company=draw(choice(True, True, False)),
        page_size=1000,
    )
    saying = draw(choice(frozenset(), frozenset({"Auditing"})))
    return Drawn(rules, user, principal, door, plan, draw(st.integers(0, 2**32)), saying)


@contextmanager
def said(case: Drawn) -> Iterator[None]:
    """What business logic has said that it is doing."""
    with ExitStack() as stack:
        for value in case.saying:
            stack.enter_context(context(value))
        yield


def rows(seed: int) -> dict[TableName, list[dict[str, object]]]:
    """Few rows that often meet, and often miss each other by one column."""
    pick = random.Random(seed)
    vendors = [
        {
            "id": n,
            "area": pick.choice(AREAS),
            "code": pick.choice([*CODES, None]),
            "party": pick.choice([1, 2, 3, None]),
        }
        for n in range(1, pick.randrange(2, 7))
    ]
    orders = [
        {
            "id": n,
            "area": pick.choice(AREAS),
            "vendor": pick.choice([1, 2, 3, 9, None]),
            "amount": pick.choice([1, 2, None]),
        }
        for n in range(1, pick.randrange(2, 9))
    ]
    lines = [
        {"id": n, "orders": pick.randrange(1, 9), "quantity": pick.choice([1, 2, None])}
        for n in range(1, pick.randrange(2, 10))
    ]
    links = [
        {"id": n, "who": pick.choice(PEOPLE), "party": pick.choice([1, 2, 3, None]), "closed": pick.choice([0, 0, 1])}
        for n in range(1, pick.randrange(2, 7))
    ]
    return {VENDOR: vendors, ORDERS: orders, LINE: lines, LINK: links}


# ------------------------------------------------------------------------------------------------- the promise


@dataclass
class Bench:
    database: Database
    catalog: Catalog

    async def load(self, tables: Mapping[TableName, list[dict[str, object]]]) -> None:
        async with self.database.transaction("load rows") as transaction:
            for table, found in tables.items():
                await transaction.execute(f"delete from {table}")
                places = ", ".join(f"${place}" for place in range(1, len(COLUMNS[table]) + 1))
                if found:
                    await transaction.executemany(
                        f"insert into {table} values ({places})",
                        [tuple(row[column] for column in COLUMNS[table]) for row in found],
                    )


class Book:
    """One user, written in a file."""

    def __init__(self, user: OperationsUser) -> None:
        self.user = user

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser:
        return self.user

    def witness(self, user: OperationsUser) -> None:
        return None


@pytest.fixture(scope="module")
async def bench(postgres: EmbeddedServer) -> AsyncIterator[Bench]:
    async with fresh_database(postgres) as url:
        database = await Database.open(url, lane_size=2)
        await database.script("make tables", SCHEMA)
        yield Bench(database, await read_catalog(database))
        await database.close()


class Values(dict[str, object]):
    """The scope's values, those of the page, and null for a column that the person's rows lack."""

    def __missing__(self, name: str) -> object:
        return None


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=drawn())
async def test_what_comes_through_the_gate_is_what_the_rules_mean(bench: Bench, case: Drawn) -> None:
    with said(case):
        tables = rows(case.seed)
        await bench.load(tables)
        entities = ENTITIES if case.door is Door.OPERATIONS else VIRTUAL
        scopes = Scopes(case.rules, Book(case.user), bench.database, bench.catalog)
        plane = Plane(bench.database, bench.catalog)
        gate = Gate(case.rules, Model(entities), scopes, plane, plane)
        scope = await gate.scope(case.principal, case.door)
        secured: list[SecuredPlan] = []

        def keep(plan: SecuredPlan, statement: object) -> None:
            secured.append(plan)

        try:
            _, result = await gate.read(scope, case.plan, lambda: case.plan, keep, ())
        except Refusal as refusal:
            assert refusal.status == 403
            return
        values = Values({**scope.values, LIMIT.name: 1001, OFFSET.name: 0})
        subqueries = dataclasses.replace(scope, sizes=tuple((name, None) for name, _ in scope.sizes))
        unbound = gate.enforcer.read(case.plan, subqueries)
        for plan in (secured[0], unbound):
            expected = evaluate(plan.select, _versioned(tables), (), values)
            if plan.select.count:
                assert expected == [(result.total or 0,)]
            else:
                at = [output.name for output in plan.select.outputs].index("Id")
                assert [row[at] for row in expected] == [row["Id"] for row in result.rows]
            if plan.count is not None and not plan.select.count:
                assert evaluate(plan.count, _versioned(tables), (), values) == [(len(expected),)]
        if case.plan.want == "rows+count":
            assert (result.total or 0) == len(result.rows)


def _versioned(tables: Mapping[TableName, list[dict[str, object]]]) -> dict[TableName, list[dict[str, object]]]:
    return {table: [{**row, "@version": 0} for row in found] for table, found in tables.items()}


@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=drawn())
async def test_no_filter_shows_a_row_that_is_hidden_without_one(bench: Bench, case: Drawn) -> None:
    with said(case):
        tables = rows(case.seed)
        await bench.load(tables)
        entities = ENTITIES if case.door is Door.OPERATIONS else VIRTUAL
        scopes = Scopes(case.rules, Book(case.user), bench.database, bench.catalog)
        plane = Plane(bench.database, bench.catalog)
        gate = Gate(case.rules, Model(entities), scopes, plane, plane)
        scope = await gate.scope(case.principal, case.door)
        plan = dataclasses.replace(case.plan, want="rows")
        plain = dataclasses.replace(plan, filter=None)
        try:
            _, everything = await gate.read(scope, plain, lambda: plain, lambda *_: None, ())
        except Refusal:
            with pytest.raises(Refusal):
                await gate.read(scope, plan, lambda: plan, lambda *_: None, ())
            return
        try:
            _, some = await gate.read(scope, plan, lambda: plan, lambda *_: None, ())
        except Refusal as refusal:
            assert refusal.status == 403
            return
        assert {row["Id"] for row in some.rows} <= {row["Id"] for row in everything.rows}


@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=drawn())
async def test_the_portal_shows_no_row_that_the_direct_door_hides(bench: Bench, case: Drawn) -> None:
    """Every layer only narrows."""
    with said(case):
        tables = rows(case.seed)
        await bench.load(tables)
        scopes = Scopes(case.rules, Book(case.user), bench.database, bench.catalog)
        plane = Plane(bench.database, bench.catalog)
        plan = ReadPlan(case.plan.entity, select=("Id",), cross_company=True, page_size=1000)
        contact = Contact(
            UUID(int=7), "x", "x", UUID(int=8), (("code", "V1"),), (("accountnumber", "V1"), ("company", "a"))
        )
        found: dict[Door, set[object]] = {}
        for door, model, principal in (
            (Door.OPERATIONS, ENTITIES, Principal(operations_user=case.user)),
            (Door.PORTAL, VIRTUAL, Principal(contact, frozenset({"Vendors"}), case.user)),
        ):
            gate = Gate(case.rules, Model(model), scopes, plane, plane)
            try:
                _, result = await gate.read(await gate.scope(principal, door), plan, lambda: plan, lambda *_: None, ())
                found[door] = {row["Id"] for row in result.rows}
            except Refusal:
                found[door] = set()
        assert found[Door.PORTAL] <= found[Door.OPERATIONS]


#: The tables themselves, as entities that nothing is joined to.
PLAIN = {
    name: entity(
        name,
        (DataSource("x", table),),
        [field("Id", "x", "id", Kind.INT32, False), *(field(c, "x", c, Kind.INT32, True) for c in COLUMNS[table][3:])],
    )
    for name, table in (("Order", ORDERS), ("Line", LINE), ("Vendor", VENDOR))
}


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=drawn())
async def test_policies_let_through_what_the_reference_says(bench: Bench, case: Drawn) -> None:
    """Row by row, by words that share nothing with the predicates that requests run under."""
    with said(case):
        tables = rows(case.seed)
        await bench.load(tables)
        grants = tuple(Grant(name, frozenset(Operation), "all") for name in PLAIN)
        roles = {name: dataclasses.replace(role, grants=grants) for name, role in case.rules.operations.roles.items()}
        operations = dataclasses.replace(case.rules.operations, roles=roles)
        rules = dataclasses.replace(case.rules, operations=operations)
        user = dataclasses.replace(case.user, companies=(), enabled=True)
        plane = Plane(bench.database, bench.catalog)
        gate = Gate(rules, Model(PLAIN), Scopes(rules, Book(user), bench.database, bench.catalog), plane, plane)
        scope = await gate.scope(Principal(operations_user=user), Door.OPERATIONS)
        asked = scope.principal.operations_user
        assert asked is not None
        oracle = Oracle(operations, asked, tables, scope.values)
        for name, found in PLAIN.items():
            table = found.root.table
            plan = ReadPlan(name, select=("Id",), cross_company=True, page_size=1000)
            _, result = await gate.read(scope, plan, lambda plan=plan: plan, lambda *_: None, ())
            strict = user.external and operations.external_users != "open" and SYSTEM_ADMINISTRATOR not in user.roles
            closed = strict and not any(
                policy.enabled
                and Operation.READ in policy.operations
                and table in oracle.constrained(policy)
                and not oracle.impossible(policy)
                and oracle.active(policy)
                for policy in operations.policies
            )
            expected = {row["id"] for row in tables[table] if not closed and oracle.sees(table, row)}
            assert {row["Id"] for row in result.rows} == expected, name
