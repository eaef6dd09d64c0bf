"""For any rules over any rows, explain says what the doors do, and its layers together are its verdict."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_security_gate import (
    AREAS,
    CODES,
    ENTITIES,
    PEOPLE,
    ROLES,
    SCHEMA,
    VIRTUAL,
    Bench,
    Book,
    Drawn,
    drawn,
    rows,
)

from forecourt.kernel.change import Write
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Model
from forecourt.kernel.plan import ReadPlan, SystemPlan
from forecourt.kernel.predicate import Slot
from forecourt.kernel.principal import Contact, Door, OperationsUser, Principal
from forecourt.kernel.types import Kind
from forecourt.security.explain import Asked, Explainer, Question, Reverse
from forecourt.security.gate import Gate, Plane
from forecourt.security.rules import Operation, Right
from forecourt.security.scopes import Scopes
from forecourt.store.catalog import read_catalog
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from support.postgres import fresh_database

PLENTY = list(HealthCheck)
DOORS = (Door.OPERATIONS, Door.PACKAGES, Door.DATAVERSE, Door.PORTAL, Door.PORTAL_API)


@pytest.fixture(scope="module")
async def bench(postgres: EmbeddedServer) -> AsyncIterator[Bench]:
    async with fresh_database(postgres) as url:
        database = await Database.open(url, lane_size=2)
        await database.script("make tables", SCHEMA)
        yield Bench(database, await read_catalog(database))
        await database.close()


def gates(bench: Bench, case: Drawn) -> tuple[Gate, Gate]:
    """The gate of the data entities, and the one of their virtual tables."""
    scopes = Scopes(case.rules, Book(case.user), bench.database, bench.catalog)
    plane = Plane(bench.database, bench.catalog)
    direct = Gate(case.rules, Model(ENTITIES), scopes, plane)
    return direct, Gate(case.rules, Model(VIRTUAL), scopes, plane, plane, behind=direct)


def opened(case: Drawn, seed: int) -> Drawn:
    """The case with some tables open to ``/_api``, with some of their columns."""
    pick = random.Random(seed)
    columns = {
        name: frozenset(pick.sample(sorted(item.fields), pick.randrange(1, len(item.fields) + 1)))
        for name, item in ENTITIES.items()
        if pick.random() < 0.8
    }
    portal = dataclasses.replace(case.rules.portal, columns=columns)
    return dataclasses.replace(case, rules=dataclasses.replace(case.rules, portal=portal))


async def shown(gate: Gate, person: Principal, door: Door, name: str, key: int, column: str | None) -> tuple[bool, Any]:
    """Whether the door gives the row, and the column's value."""
    select = ("Id",) if column is None else tuple({"Id": None, column: None})
    plan = ReadPlan(name, select=select, key=(("Id", Slot(0, Kind.INT32)),), cross_company=True)
    try:
        scope = await gate.scope(person, door, fresh=True)
        _, result = await gate.read(scope, (plan, door), lambda: plan, lambda *_: None, (key,))
    except Refusal as refusal:
        assert refusal.status in (403, 404)
        return False, None
    if not result.rows:
        return False, None
    return True, result.rows[0][column] if column is not None else None


@settings(max_examples=60, deadline=None, suppress_health_check=PLENTY)
@given(case=drawn(), seed=st.integers(0, 2**20))
async def test_explain_says_what_each_door_gives(bench: Bench, case: Drawn, seed: int) -> None:
    case = opened(case, seed)
    tables = rows(case.seed)
    await bench.load(tables)
    direct, virtual = gates(bench, case)
    explainer = Explainer(direct, virtual)
    asked = Asked("somebody", case.principal)
    pick = random.Random(seed)
    name = case.plan.entity
    held = next(found for table, found in tables.items() if table == ENTITIES[name].root.table)
    column = pick.choice([None, *ENTITIES[name].fields])
    for row in pick.sample(held, min(2, len(held))):
        key = row["id"]
        subject = explainer.subject(name, str(key))
        for door in DOORS:
            gate = explainer.gate(door)
            (answer,) = await explainer.explain(asked, subject, Question(column=column, door=door), changes=False)
            given_row, value = await shown(gate, case.principal, door, name, key, column)
            exists = await _exists(bench, name, key)
            if column is None:
                assert answer.admits == given_row, (door, answer)
            elif answer.admits:
                assert given_row
            elif given_row and value is not None:
                raise AssertionError((door, column, value, answer))
            if exists:
                assert answer.admits == all(layer.admits for layer in answer.layers), (door, answer)
            for layer in answer.layers:
                for verdict in layer.verdicts:
                    assert not verdict.failed or verdict.admits is False


async def _exists(bench: Bench, name: str, key: int) -> bool:
    """Whether the entity has the row: an inner join may leave it out."""
    if name != "Line":
        return True
    found = await bench.database.system(_count(key))
    return bool(found[0][0])


def _count(key: int) -> Any:
    text = "select count(*) from t.line l join t.orders o on o.id = l.orders where l.id = $1"
    return SystemPlan("look", text, (key,))


@settings(max_examples=50, deadline=None, suppress_health_check=PLENTY)
@given(case=drawn(), seed=st.integers(0, 2**20), operation=st.sampled_from(["update", "delete"]))
async def test_explain_says_what_each_door_lets_be_written(
    bench: Bench, case: Drawn, seed: int, operation: str
) -> None:
    case = widened(opened(case, seed))
    pick = random.Random(seed)
    name = pick.choice(["Order", "Vendor"])
    tables = rows(case.seed)
    held = next(found for table, found in tables.items() if table == ENTITIES[name].root.table)
    column = {"Order": "Amount", "Vendor": "Code"}[name] if operation == "update" else None
    direct, virtual = gates(bench, case)
    explainer = Explainer(direct, virtual)
    row = pick.choice(held)
    for door in (Door.OPERATIONS, Door.PORTAL, Door.PORTAL_API):
        await bench.load(tables)
        gate = explainer.gate(door)
        question = Question(operation, column, door=door)  # type: ignore[arg-type]
        subject = explainer.subject(name, str(row["id"]))
        (answer,) = await explainer.explain(Asked("somebody", case.principal), subject, question, changes=False)
        values = () if column is None else ((column, row[column.lower()]),)
        write = Write(name, operation, (("Id", row["id"]),), values)  # type: ignore[arg-type]
        try:
            await gate.change(await gate.scope(case.principal, door, fresh=True), write)
            done = True
        except Refusal as refusal:
            assert refusal.status in (400, 403, 404), refusal
            done = False
        assert answer.admits == done, (door, answer)
        assert answer.admits == all(layer.admits for layer in answer.layers), (door, answer)


def widened(case: Drawn) -> Drawn:
    """The case with rights to delete as well, that the question does not end at the privilege."""
    operations = case.rules.operations
    roles = {
        name: dataclasses.replace(
            role,
            grants=tuple(
                dataclasses.replace(item, operations=item.operations | {Operation.DELETE}) for item in role.grants
            ),
        )
        for name, role in operations.roles.items()
    }
    permissions = tuple(
        dataclasses.replace(item, rights=item.rights | {Right.DELETE}) for item in case.rules.portal.permissions
    )
    rules = dataclasses.replace(
        case.rules,
        operations=dataclasses.replace(operations, roles=roles),
        portal=dataclasses.replace(case.rules.portal, permissions=permissions),
    )
    return dataclasses.replace(case, rules=rules)


class Crowd:
    """Everybody of a small world, as the explainer's port wants them."""

    def __init__(self, contacts: list[Asked], users: list[OperationsUser]) -> None:
        self._contacts, self._users = contacts, users

    async def contacts(self) -> list[Asked]:
        return self._contacts

    async def users(self) -> list[OperationsUser]:
        return self._users

    async def visitor(self) -> Asked:
        return Asked("anonymous", Principal(web_roles=frozenset({"Others"})))

    async def standings(self) -> None:
        return None


class Directory(Book):
    """Several users, written in a file."""

    def __init__(self, users: list[OperationsUser]) -> None:
        super().__init__(users[0])
        self.users = {user.id: user for user in users}

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser:
        return self.users[user_id]


def crowd(case: Drawn, seed: int) -> tuple[list[Asked], list[OperationsUser]]:
    """Users and contacts who share roles in part, and differ in what rules compare."""
    pick = random.Random(seed)
    users = [
        dataclasses.replace(
            case.user,
            id=name,
            company=pick.choice(AREAS),
            roles=frozenset({pick.choice(ROLES)} | (case.user.roles - set(ROLES))),
            enabled=pick.random() < 0.9,
        )
        for name in PEOPLE
    ]
    contacts = []
    for number in range(6):
        columns = (("code", pick.choice([*CODES, None])),)
        account = (("accountnumber", pick.choice(CODES)), ("company", pick.choice(AREAS)))
        contact = Contact(UUID(int=number + 1), f"c{number}", f"c{number}", UUID(int=8), columns, account)
        roles = frozenset(pick.sample(["Vendors", "Others"], pick.randrange(1, 3)))
        contacts.append(Asked(f"c{number}", Principal(contact, roles, pick.choice([*users, None]))))
    return contacts, users


@settings(max_examples=40, deadline=None, suppress_health_check=PLENTY)
@given(case=drawn(), seed=st.integers(0, 2**20))
async def test_who_can_see_a_row_is_whom_the_doors_show_it(bench: Bench, case: Drawn, seed: int) -> None:
    """All at once by one statement for each shape, against one request for each person and door."""
    case = opened(case, seed)
    tables = rows(case.seed)
    await bench.load(tables)
    contacts, users = crowd(case, seed)
    scopes = Scopes(case.rules, Directory(users), bench.database, bench.catalog)
    plane = Plane(bench.database, bench.catalog)
    direct = Gate(case.rules, Model(ENTITIES), scopes, plane)
    virtual = Gate(case.rules, Model(VIRTUAL), scopes, plane, plane, behind=direct)
    explainer = Explainer(direct, virtual)
    people = Crowd(contacts, users)
    pick = random.Random(seed)
    name = case.plan.entity
    key = pick.choice(next(found for table, found in tables.items() if table == ENTITIES[name].root.table))["id"]
    found = await Reverse(direct, virtual, people).who(explainer.subject(name, str(key)), Question(), name, str(key))
    seen = {(item.door, item.identity) for item in found.seen}
    expected = set()
    for door in DOORS:
        portal = door in (Door.PORTAL, Door.PORTAL_API)
        everybody = (
            [*contacts, await people.visitor()]
            if portal
            else [Asked(user.id, Principal(operations_user=user)) for user in users]
        )
        for asked in everybody:
            if (await shown(explainer.gate(door), asked.principal, door, name, int(str(key)), None))[0]:
                expected.add((door.value, asked.label))
    assert seen == expected


@settings(max_examples=25, deadline=None, suppress_health_check=PLENTY)
@given(case=drawn(), seed=st.integers(0, 2**20))
async def test_a_change_is_offered_only_where_the_door_says_no_and_has_steps(
    bench: Bench, case: Drawn, seed: int
) -> None:
    case = opened(case, seed)
    tables = rows(case.seed)
    await bench.load(tables)
    direct, virtual = gates(bench, case)
    explainer = Explainer(direct, virtual)
    pick = random.Random(seed)
    name = pick.choice(["Order", "Vendor"])
    row = pick.choice(next(found for table, found in tables.items() if table == ENTITIES[name].root.table))
    question = Question(door=pick.choice(DOORS))
    subject = explainer.subject(name, str(row["id"]))
    (answer,) = await explainer.explain(Asked("somebody", case.principal), subject, question)
    assert not (answer.admits and answer.changes)
    for steps in answer.changes:
        assert steps
        assert len({step.text for step in steps}) == len(steps)
    further = [
        step.text.removeprefix("a row in ")
        for steps in answer.changes[:1]
        for step in steps
        if len(steps) == 1 and step.text.startswith("a row in t.")
    ]
    for text in further:  # the one step that is a row: with it the door says yes
        table, _, pairs = text.partition(" with ")
        values = dict(pair.split(" = ") for pair in pairs.split(", ")) if pairs else {}
        values.setdefault("id", "77")
        if table == "t.link":
            values.setdefault("who", "'nobody'")
            values.setdefault("closed", "0")
        if table in ("t.vendor", "t.orders"):
            values.setdefault("area", "'z'")
        if table == "t.line":
            values.setdefault("orders", "999")
        held = {str(item["id"]) for key, found in tables.items() if str(key) == table for item in found}
        if values["id"] in held:
            continue  # the row is there and would have to be another one
        async with bench.database.transaction("suppose a row") as transaction:
            await transaction.execute(
                f"insert into {table} ({', '.join(values)}) values ({', '.join(values.values())})"
            )
        (after,) = await explainer.explain(Asked("somebody", case.principal), subject, question, changes=False)
        assert after.admits, (text, answer)
