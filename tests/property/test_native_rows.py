"""For any rules over any rows, plain SQL under a mapped role shows what the gate shows, and what the rules mean.

Four readings have to agree for everybody: what the database gives by itself, what audit takes it to give, what the gate
gives, and the gate's decision evaluated in memory. Several people are declared at once, and the role is mapped to one
after the other, so that roles and legal entities are found at the time of the query. Writes are tried under the owner
of the views, on whom row security acts: it lets through what the gate's decision lets through.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.kernel.plan import ReadPlan, WriteOperation, WritePlan
from forecourt.kernel.predicate import Slot
from forecourt.kernel.principal import Door, OperationsUser, Principal
from forecourt.kernel.relation import Output, Select, TableName, aliases_of
from forecourt.kernel.types import Kind
from forecourt.operations.native import NativeAccess
from forecourt.operations.solution import OperationsSolution
from forecourt.operations.users import Users
from forecourt.security.audit.plain_sql import shown
from forecourt.security.enforce import LIMIT, OFFSET
from forecourt.security.gate import Gate, Plane
from forecourt.security.lowering import Lowering
from forecourt.security.rules import (
    BYPASS,
    EXTERNAL_USER,
    SYSTEM_ADMINISTRATOR,
    Grant,
    Mode,
    Operation,
    OperationsRules,
    Role,
    Rules,
)
from forecourt.security.scope import Scope
from forecourt.security.scopes import Scopes, values_of
from forecourt.store.catalog import read_catalog
from forecourt.store.compile import compile_select
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.memory import evaluate
from forecourt.store.native.pieces import Names
from property.test_security_gate import (
    AREAS,
    COLUMNS,
    CONTEXTS,
    ENTITIES,
    ORDERS,
    PEOPLE,
    ROLES,
    SCHEMA,
    VENDOR,
    Bench,
    Values,
    choice,
    policies,
    rows,
)
from support.postgres import fresh_database

#: Roles that some grant or denial is given to, and one that grants everything and is named by no policy.
ALL, FULL = (*ROLES, "Denying", "Plain"), "Full"

MODEL = Model(ENTITIES)

#: A failing case is shown as it was drawn: to make it smaller would take hours of DDL.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@dataclass(frozen=True)
class Drawn:
    rules: OperationsRules
    users: tuple[OperationsUser, ...]
    seed: int


@st.composite
def grants(draw: st.DrawFn, entity: str, denying: bool) -> Grant:
    """What one privilege says of an entity: grants, denials, fields of either."""
    fields = ("Id", "Area", "Amount", "Code", "Quantity")
    some = st.frozensets(choice(*fields), min_size=1, max_size=3)
    operations = choice(
        frozenset({Operation.READ, Operation.UPDATE}), frozenset(Operation), frozenset({Operation.UPDATE})
    )
    return Grant(
        entity,
        draw(operations),
        "privilege",
        draw(st.one_of(st.none(), st.none(), some)),
        modes=draw(choice(frozenset(Mode), frozenset(Mode), frozenset({Mode.DATA_MANAGEMENT}))),
        denied=draw(choice(frozenset(), frozenset({Operation.READ}), frozenset({Operation.UPDATE})))
        if denying
        else frozenset(),
        denied_read=draw(st.one_of(st.just(frozenset()), some)) if denying else frozenset(),
    )


@st.composite
def cases(draw: st.DrawFn, full: bool = False) -> Drawn:
    roles = {}
    for name, context in zip(ALL, (*CONTEXTS, None, None), strict=True):
        entities = draw(st.lists(choice(*ENTITIES), min_size=1, max_size=3, unique=True))
        found = tuple(draw(grants(entity, name == "Denying")) for entity in entities)
        roles[name] = Role(name, name, draw(choice(context, context, None)), found)
    roles[FULL] = Role(FULL, FULL, None, tuple(Grant(name, frozenset(Operation), "all") for name in ENTITIES))
    for name in (SYSTEM_ADMINISTRATOR, EXTERNAL_USER, BYPASS):
        roles[name] = Role(name, name, None, ())
    found = tuple(draw(policies(f"policy{number}")) for number in range(draw(st.integers(0, 3))))
    rules = OperationsRules(roles, found, draw(choice("policy-required", "open")))
    return Drawn(rules, tuple(draw(people(name, full)) for name in PEOPLE), draw(st.integers(0, 2**32)))


@st.composite
def people(draw: st.DrawFn, name: str, full: bool) -> OperationsUser:
    own = draw(st.frozensets(choice(*ALL), min_size=1, max_size=3))
    if full:
        return OperationsUser(name, "", "", draw(choice(*AREAS)), own - {"Denying"} | {FULL})
    external = draw(st.booleans())
    markers = {EXTERNAL_USER} if external else set()
    markers |= draw(choice(set(), set(), set(), set(), {BYPASS}, {SYSTEM_ADMINISTRATOR}))
    limits = tuple(
        (role, frozenset(draw(st.lists(choice(*AREAS, "c"), min_size=1, max_size=2))))
        for role in sorted(own)
        if draw(st.booleans())
    )
    enabled = draw(st.integers(0, 9)) > 0
    return OperationsUser(name, "", "", draw(choice(*AREAS)), own | markers, limits, external, enabled)


@dataclass
class Ground(Bench):
    """A database with a role to sign in with, and a superuser's connection."""

    role: str
    login: asyncpg.Connection
    superuser: asyncpg.Connection
    names: Names

    async def access(self, case: Drawn) -> NativeAccess:
        declared = {user.id: user for user in case.users}
        solution = OperationsSolution(MODEL, case.rules, declared)
        return NativeAccess(solution, Users(declared, None, self.database, self.catalog), self.database, self.catalog)

    def gate(self, case: Drawn) -> Gate:
        declared = {user.id: user for user in case.users}
        users = Users(declared, None, self.database, self.catalog)
        rules, plane = Rules(case.rules), Plane(self.database, self.catalog)
        return Gate(rules, MODEL, Scopes(rules, users, self.database, self.catalog), plane)


@pytest.fixture(scope="module")
async def ground(postgres: EmbeddedServer) -> AsyncIterator[Ground]:
    role = f"native_{uuid.uuid4().hex[:12]}"
    async with fresh_database(postgres) as url:
        database = await Database.open(url, lane_size=2)
        await database.script("make tables", SCHEMA)
        superuser = await asyncpg.connect(url)
        await superuser.execute(f"create role {role} login")
        parts = urlsplit(url)
        login = await asyncpg.connect(urlunsplit(parts._replace(netloc=f"{role}@")))
        catalog = await read_catalog(database)
        names = Names.of(await superuser.fetchval("select current_database()"))
        made = Ground(database, catalog, role, login, superuser, names)
        yield made
        await login.close()
        await superuser.execute(f'revoke all on all tables in schema t from "{names.views}"')
        await superuser.execute(f'revoke all on schema t from "{names.views}"')
        await (await made.access(Drawn(OperationsRules(), (), 0))).drop()
        await superuser.execute(f"drop owned by {role}; drop role {role}")
        await superuser.close()
        await database.close()


@settings(max_examples=15, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(case=cases())
async def test_plain_sql_under_a_mapped_role_shows_what_the_gate_shows(ground: Ground, case: Drawn) -> None:
    tables = rows(case.seed)
    await ground.load(tables)
    access, gate = await ground.access(case), ground.gate(case)
    await access.apply()
    for user in case.users:
        await access.map(ground.role, user.id)
        assert (await access.plan()).steps == ()
        for entity in ENTITIES.values():
            expected = await at_the_gate(gate, user, entity.name, tables)
            assert await by_sql(ground.login, entity.collection, ("Id",)) == expected, (user, entity.name)
            assert await as_audited(ground, access, user, entity) == expected, (user, entity.name)
            for name in entity.fields:
                assert await same_field(ground, gate, user, entity.name, name), (user, entity.name, name)


async def at_the_gate(
    gate: Gate, user: OperationsUser, name: str, tables: Mapping[TableName, Sequence[Mapping[str, object]]]
) -> list[tuple[Any, ...]]:
    """The ids that the gate gives, after they were found to be those that its decision means; [] for a refusal."""
    plan = ReadPlan(name, select=("Id",), cross_company=True, page_size=1000)
    scope = await gate.scope(Principal(operations_user=user), Door.OPERATIONS)
    try:
        _, result = await gate.read(scope, plan, lambda: plan, lambda *_: None, ())
    except Refusal:
        return []
    secured = gate.enforcer.read(plan, dataclasses.replace(scope, sizes=tuple((n, None) for n, _ in scope.sizes)))
    at = [output.name for output in secured.select.outputs].index("Id")
    values = Values({**scope.values, LIMIT.name: 1001, OFFSET.name: 0})
    meant = evaluate(secured.select, versioned(tables), (), values)
    assert sorted(row[at] for row in meant) == sorted(row["Id"] for row in result.rows)
    return sorted((row["Id"],) for row in result.rows)


async def as_audited(ground: Ground, access: NativeAccess, user: OperationsUser, entity: Entity) -> list[Any]:
    """The ids that audit takes a mapped role to get, from what the database was told."""
    where = shown(access.protection, entity, user)
    person = Principal(operations_user=user)
    lowering = Lowering(Rules(), MODEL, Scope(person, Door.OPERATIONS), lambda table: ())
    key = lowering.column(entity, "", "Id")
    sources = lowering.sources(entity, "", Operation.READ, aliases_of(where) | {key.alias})
    nullable = frozenset((field.source, field.column) for field in entity.fields.values())
    select = Select(sources, where, (Output("Id", key, entity.fields["Id"].kind),), nullable=nullable)
    result = await ground.database.read(compile_select(select, ground.catalog), (), values_of(person))
    return sorted(tuple(row) for row in result.rows)


async def by_sql(login: asyncpg.Connection, collection: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    listed = ", ".join(f'"{name}"' for name in columns)
    try:
        found = await login.fetch(f'select {listed} from forecourt_data."{collection}"')
    except asyncpg.InsufficientPrivilegeError:
        return []
    return sorted((tuple(row) for row in found), key=repr)


async def same_field(ground: Ground, gate: Gate, user: OperationsUser, name: str, field: str) -> bool:
    """Whether a field's values are those of the gate, and refused where the gate refuses it."""
    plan = ReadPlan(name, select=(field,), cross_company=True, page_size=1000)
    scope = await gate.scope(Principal(operations_user=user), Door.OPERATIONS)
    statement = f'select "{field}" from forecourt_data."{ENTITIES[name].collection}"'
    try:
        _, result = await gate.read(scope, plan, lambda: plan, lambda *_: None, ())
    except Refusal:
        try:
            await ground.login.fetch(statement)
        except asyncpg.InsufficientPrivilegeError:
            return True
        return False
    shown = await ground.login.fetch(statement)
    return sorted((row[0] for row in shown), key=repr) == sorted((row[field] for row in result.rows), key=repr)


@settings(max_examples=15, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(case=cases(full=True))
async def test_what_row_security_lets_be_written_is_what_the_gate_lets_be_written(ground: Ground, case: Drawn) -> None:
    tables = rows(case.seed)
    await ground.load(tables)
    access, gate = await ground.access(case), ground.gate(case)
    await access.apply()
    for user in case.users:
        await access.map(ground.role, user.id)
        for statement in ("grant usage on schema t to {0}", "grant all on all tables in schema t to {0}"):
            await ground.superuser.execute(statement.format(f'"{ground.names.views}"'))
        await ground.superuser.execute(f'grant "{ground.names.views}" to {ground.role} with inherit false, set true')
        await ground.login.execute(f'set role "{ground.names.views}"')
        bound = await gate.scope(Principal(operations_user=user), Door.OPERATIONS)
        scope = dataclasses.replace(bound, sizes=tuple((name, None) for name, _ in bound.sizes))
        try:
            for attempt in attempts(tables):
                expected = decided(gate, scope, tables, attempt)
                assert await tried(ground.login, attempt) == expected, (user, attempt)
        finally:
            await ground.login.execute("reset role")
            await ground.superuser.execute(f'revoke "{ground.names.views}" from {ground.role}')


@dataclass(frozen=True)
class Attempt:
    """One write of one row, by what the entity and the table call it."""

    operation: WriteOperation
    entity: str
    table: TableName
    id: int
    values: tuple[tuple[str, str, object], ...] = ()


def attempts(tables: Mapping[TableName, Sequence[Mapping[str, object]]]) -> list[Attempt]:
    """Every row moved to each area and vendor, deleted, and new ones."""
    found = []
    for entity, table in (("Vendor", VENDOR), ("Order", ORDERS)):
        for row in tables[table]:
            number = int(str(row["id"]))
            found.append(Attempt("delete", entity, table, number))
            found += [Attempt("update", entity, table, number, (("Area", "area", area),)) for area in AREAS]
            if entity == "Order":
                found += [Attempt("update", entity, table, number, (("Vendor", "vendor", to),)) for to in (1, 2, None)]
        more: tuple[tuple[str, str, object], ...] = (("Code", "code", "V1"),)
        if entity == "Order":
            more = (("Vendor", "vendor", 1), ("Amount", "amount", 2))
        found += [
            Attempt("create", entity, table, 77, (("Id", "id", 77), ("Area", "area", area), *more)) for area in AREAS
        ]
    return found


def decided(
    gate: Gate, scope: Scope, tables: Mapping[TableName, Sequence[Mapping[str, object]]], attempt: Attempt
) -> str:
    """What the gate's decision means: ``done``, ``not found`` or ``refused``."""
    kinds = {name: ENTITIES[attempt.entity].fields[name].kind for name, _, _ in attempt.values}
    key = () if attempt.operation == "create" else (("Id", Slot(0, Kind.INT32)),)
    slots = ((attempt.id,) if key else ()) + tuple(value for _, _, value in attempt.values)
    changes = tuple((name, Slot(place + len(key), kinds[name])) for place, (name, _, _) in enumerate(attempt.values))
    secured = gate.enforcer.write(WritePlan(attempt.entity, key, changes, operation=attempt.operation), scope)
    values = Values({**scope.values, "@id.0": attempt.id})
    if secured.find is not None and not evaluate(secured.find, versioned(tables), slots, values):
        return "not found"
    if secured.check is None:
        return "done"
    new = {column: value for _, column, value in attempt.values}
    after = dict(tables)
    if attempt.operation == "create":
        after[attempt.table] = [*tables[attempt.table], {**dict.fromkeys(COLUMNS[attempt.table]), **new}]
    else:
        after[attempt.table] = [{**row, **new} if row["id"] == attempt.id else row for row in tables[attempt.table]]
    return "done" if evaluate(secured.check, versioned(after), slots, values) else "refused"


async def tried(login: asyncpg.Connection, attempt: Attempt) -> str:
    """What becomes of the write, which is undone."""
    columns = [column for _, column, _ in attempt.values]
    values = [value for _, _, value in attempt.values]
    places = [f"${place}" for place in range(1, len(columns) + 1)]
    statement = {
        "create": f"insert into {attempt.table} ({', '.join(columns)}) values ({', '.join(places)})",
        "update": f"update {attempt.table} set {', '.join(f'{c} = {p}' for c, p in zip(columns, places, strict=True))}"
        f" where id = {attempt.id}",
        "delete": f"delete from {attempt.table} where id = {attempt.id}",
    }[attempt.operation]
    transaction = login.transaction()
    await transaction.start()
    try:
        tag = await login.execute(statement, *values)
        return "done" if tag.endswith(" 1") else "not found"
    except asyncpg.InsufficientPrivilegeError:
        return "refused"
    finally:
        await transaction.rollback()


def versioned(tables: Mapping[TableName, Sequence[Mapping[str, object]]]) -> dict[TableName, list[dict[str, object]]]:
    return {table: [{**row, "@version": 0} for row in found] for table, found in tables.items()}
