"""The forest of table permissions on random forests and rows, against a second implementation of its algorithm.

The second one is written as the portal's last open release does it (pages-and-dataverse A1.3): it builds the trees,
drops roots, walks chains of joins from row to row. It shares nothing with the product but the definitions.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecourt.kernel.model import DataSource, Entity, EntityField, Model, Relation, Through
from forecourt.kernel.predicate import Compare, Const, Field
from forecourt.kernel.principal import Contact, Door, Principal
from forecourt.kernel.relation import Output, Select, TableName, aliases_of
from forecourt.kernel.types import Kind
from forecourt.security.enforce import LIMIT, OFFSET, Enforcer
from forecourt.security.gate import Gate, Plane
from forecourt.security.lowering import Lowering
from forecourt.security.permissions import root_of
from forecourt.security.rules import Operation, PersonRelationship, PortalRules, Right, Rules, TablePermission
from forecourt.security.rules import Scope as Access
from forecourt.security.scope import Scope
from forecourt.security.scopes import Scopes
from forecourt.store.catalog import read_catalog
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.memory import evaluate
from support.postgres import fresh_database

Row = Mapping[str, Any]
Data = Mapping[str, list[Row]]

#: Table -> its key, and its lookups with the table that each leads to.
TABLES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "account": ("accountid", {"parent": "account", "chief": "contact"}),
    "contact": ("contactid", {"employer": "account"}),
    "deal": ("dealid", {"customer": "contact", "payer": "account"}),
    "note": ("noteid", {"deal": "deal", "about": "note"}),
}
#: Many-to-many relationships: name -> (table, column) of both ends.
PAIRS: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "deal_contact": (("deal", "dealid"), ("contact", "contactid")),
    "note_account": (("note", "noteid"), ("account", "accountid")),
    "deal_note": (("deal", "dealid"), ("note", "noteid")),
}
COLORS = ("red", "blue", None)
ROLES = ("A", "B", "C")


def schema_name(table: str, lookup: str) -> str:
    return f"{TABLES[table][1][lookup]}_{table}_{lookup}"


def model() -> Model:
    relations: dict[str, dict[str, Relation]] = {name: {} for name in TABLES}
    for table, (_, lookups) in TABLES.items():
        for lookup, target in lookups.items():
            key = TABLES[target][0]
            relations[table][lookup] = Relation(lookup, target, False, ((f"_{lookup}_value", key),), lookup)
            name = schema_name(table, lookup)
            relations[target][name] = Relation(name, table, True, ((key, f"_{lookup}_value"),))
    for name, ends in PAIRS.items():
        for (table, own), (other, theirs) in (ends, ends[::-1]):
            through = Through(TableName("p", name), ((own, own),), ((theirs, theirs),))
            relations[table][name] = Relation(name, other, True, (), through=through)
    entities = {}
    for table, (key, lookups) in TABLES.items():
        fields = [
            EntityField(key, "t", key, Kind.INT32, nullable=False),
            EntityField("color", "t", "color", Kind.STRING),
            *(EntityField(f"_{n}_value", "t", n, Kind.INT32, targets=(target,)) for n, target in lookups.items()),
        ]
        source = (DataSource("t", TableName("p", table)),)
        entities[table] = Entity(
            table, table, f"{table}s", source, {f.name: f for f in fields}, (key,), relations[table]
        )
    return Model(entities)


MODEL = model()

#: Relationships to people, both ways: a row that names the person, and a row that the person's own row names.
RELATIONSHIPS: Mapping[tuple[str, str], PersonRelationship] = {
    **{
        (target, schema_name(table, lookup)): PersonRelationship(
            schema_name(table, lookup), target, table, ((TABLES[target][0], lookup),)
        )
        for table in ("contact", "account")
        for lookup, target in TABLES[table][1].items()
        if target != table
    },
    **{
        (table, schema_name(table, lookup)): PersonRelationship(
            schema_name(table, lookup), table, target, ((f"_{lookup}_value", TABLES[target][0]),)
        )
        for table, (_, lookups) in TABLES.items()
        for lookup, target in lookups.items()
        if target in ("contact", "account") and table != "contact" and (table, target) != ("account", "contact")
    },
    ("account", "contact_account_chief"): PersonRelationship(
        "contact_account_chief", "account", "contact", (("_chief_value", "contactid"),)
    ),
    ("contact", "account_contact_employer"): PersonRelationship(
        "account_contact_employer", "contact", "account", (("_employer_value", "accountid"),)
    ),
}


# ------------------------------------------------------------------------------------------------- the draws


@dataclass(frozen=True)
class Case:
    permissions: tuple[TablePermission, ...]
    roles: frozenset[str]
    data: Data
    pairs: Mapping[str, list[tuple[int, int]]]
    contact: int | None
    table: str
    right: Right


def links(table: str, other: str) -> list[str]:
    """Names by which a permission of ``table`` may hang on one of ``other``."""
    own, above = MODEL.entities[table].relations, MODEL.entities[other].relations
    names = {name for name, found in own.items() if found.target == other}
    names |= {name for name, found in above.items() if found.target == table and found.many}
    return sorted(names)


#: Access types of roots that seldom admit every row.
NARROW = (Access.CONTACT, Access.ACCOUNT, Access.CUSTOM)


def forest(pick: random.Random, table: str) -> tuple[TablePermission, ...]:
    """Trees whose leaves are often of ``table``, now and then broken."""
    found: list[TablePermission] = []
    size = pick.randrange(1, 8)
    for number in range(size):
        own = table if pick.random() < 0.5 else pick.choice(sorted(TABLES))
        access = pick.choice([*Access, *NARROW, *NARROW, *([Access.PARENT] * 10 if found else [])])
        relationship: str | None = None
        parent: UUID | None = None
        if access in (Access.CONTACT, Access.ACCOUNT):
            person = access.name.lower()
            known = [name for (item, name), link in RELATIONSHIPS.items() if item == own and link.target == person]
            known += [n for n, r in MODEL.entities[own].relations.items() if r.through and r.target == person]
            relationship = pick.choice([*known, *known, *known, "missing", None])
        if access is Access.PARENT:
            options: list[tuple[str | None, int]] = [("missing", 1), ("deal", 99), (None, 0)]
            for place, other in enumerate(found):
                options += [(name, place + 1) for name in links(own, other.table)] * 4
            if pick.random() < 0.1:  # one that comes later, so that circles come up
                options += [(name, number + 2) for name in links(own, own)] * 4
            relationship, above = pick.choice(options)
            parent = UUID(int=above) if above else None
        found.append(
            TablePermission(
                UUID(int=number + 1),
                f"permission {number + 1}",
                own,
                access,
                frozenset(pick.sample([Right.READ, Right.WRITE], pick.choice([1, 1, 2]))),
                frozenset(pick.sample(ROLES, pick.choice([0, 1, 2, 2, 2]))),
                relationship,
                parent,
                condition=Compare("eq", Field(("color",)), Const("red")),
            )
        )
    return tuple(found)


def drawn(seed: int) -> Case:
    pick = random.Random(seed)
    sizes = {table: pick.randrange(2, 9) for table in TABLES}
    data: dict[str, list[Row]] = {
        table: [
            {
                key: number,
                "color": pick.choice(COLORS),
                **{lookup: pick.choice([None, *range(1, sizes[target] + 1)]) for lookup, target in lookups.items()},
            }
            for number in range(1, sizes[table] + 1)
        ]
        for table, (key, lookups) in TABLES.items()
    }
    pairs = {
        name: sorted({
            (pick.randrange(1, sizes[one[0]] + 1), pick.randrange(1, sizes[other[0]] + 1))
            for _ in range(pick.randrange(0, 7))
        })
        for name, (one, other) in PAIRS.items()
    }  # fmt: skip
    table = pick.choice(sorted(TABLES))
    roles = frozenset(pick.sample(ROLES, pick.choice([0, 1, 2, 2, 3])))
    right = pick.choice([Right.READ, Right.READ, Right.WRITE])
    return Case(forest(pick, table), roles, data, pairs, pick.choice([None, 1, 1, 1]), table, right)


seeds = st.integers(0, 2**40)


# ------------------------------------------------------------------------------------------- the second one


class Forest:
    """The algorithm, step by step, over rows."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.children: dict[UUID, list[TablePermission]] = {}
        self.roots = []
        for item in case.permissions:
            if item.scope is Access.PARENT:
                if item.parent is not None:
                    self.children.setdefault(item.parent, []).append(item)
            else:
                self.roots.append(item)
        contacts = {row["contactid"]: row for row in case.data["contact"]}
        self.me = contacts.get(case.contact)
        accounts = {row["accountid"]: row for row in case.data["account"]}
        self.mine = accounts.get(self.me["employer"]) if self.me is not None else None

    def reached(self) -> set[int]:
        """Keys of the rows of the case's table that its right reaches."""
        found: set[int] = set()

        def visit(node: TablePermission, above: set[int], parent: TablePermission | None) -> None:
            rows = self.rows(node, parent, above)
            if node.table == self.case.table and self.case.right in node.rights:
                found.update(rows)
            for child in self.children.get(node.id, ()):
                visit(child, rows, node)

        for root in self.roots:
            if root.web_roles & self.case.roles:
                visit(root, set(), None)
        return found

    def rows(self, node: TablePermission, parent: TablePermission | None, above: set[int]) -> set[int]:
        key = TABLES[node.table][0]
        every = self.case.data[node.table]
        if node.scope is Access.GLOBAL:
            return {row[key] for row in every}
        if node.scope is Access.CUSTOM:
            return {row[key] for row in every if row["color"] == "red"}
        if node.scope is Access.SELF:
            return {self.me["contactid"]} if self.me is not None and node.table == "contact" else set()
        name = node.relationship or ""
        if node.scope is Access.CONTACT:
            return self.tied(node.table, name, "contact", {self.me["contactid"]} if self.me is not None else set())
        if node.scope is Access.ACCOUNT:
            own = {self.mine["accountid"]} if self.mine is not None else set()
            return self.tied(node.table, name, "account", own)
        assert parent is not None
        if name in TABLES[node.table][1] and TABLES[node.table][1][name] == parent.table:
            return {row[key] for row in every if row[name] in above}
        return self.tied(node.table, name, parent.table, above)

    def tied(self, table: str, name: str, other: str, rows: set[int]) -> set[int]:
        """Rows of ``table`` that the relationship of the schema name ``name`` ties to some of the rows of ``other``."""
        key, lookups = TABLES[table]
        for lookup, target in lookups.items():  # many to one comes first
            if target == other and schema_name(table, lookup) == name:
                return {row[key] for row in self.case.data[table] if row[lookup] in rows}
        their_key, their_lookups = TABLES[other]
        for lookup, target in their_lookups.items():
            if target == table and schema_name(other, lookup) == name:
                return {row[lookup] for row in self.case.data[other] if row[their_key] in rows} - {None}
        if name in PAIRS:
            (one, _), (two, _) = PAIRS[name]
            if (table, other) == (one, two):
                return {left for left, right in self.case.pairs[name] if right in rows}
            if (table, other) == (two, one):
                return {right for left, right in self.case.pairs[name] if left in rows}
        return set()


# --------------------------------------------------------------------------------------------- the promises


def rules_of(case: Case) -> Rules:
    return Rules(portal=PortalRules(case.permissions, RELATIONSHIPS))


def principal_of(case: Case) -> Principal:
    if case.contact is None:
        return Principal(web_roles=case.roles)
    contact = next(row for row in case.data["contact"] if row["contactid"] == case.contact)
    account = next((row for row in case.data["account"] if row["accountid"] == contact["employer"]), None)
    columns = tuple((name, value) for name, value in contact.items() if value is not None)
    above = tuple((name, value) for name, value in (account or {}).items() if value is not None)
    return Principal(Contact(UUID(int=1), "x", "x", None, columns, above), case.roles)


class Values(dict[str, object]):
    def __missing__(self, name: str) -> object:
        return None


def values_of(case: Case) -> Values:
    """What identifies the person; ids are numbers here."""
    found = Values({LIMIT.name: 1001, OFFSET.name: 0})
    contact = principal_of(case).contact
    if contact is not None:
        found.update({f"contact.{name}": value for name, value in contact.columns})
        found.update({f"account.{name}": value for name, value in contact.account_columns})
    return found


class Nobody:
    async def get(self, user_id: str, fresh: bool = False) -> None:
        return None

    def witness(self, user: object) -> None:
        return None


def in_memory(case: Case) -> dict[TableName, list[Row]]:
    tables = {TableName("p", table): [{**row, "@version": 0} for row in found] for table, found in case.data.items()}
    for name, ((_, own), (_, theirs)) in PAIRS.items():
        tables[TableName("p", name)] = [{own: left, theirs: right} for left, right in case.pairs[name]]
    return tables


def key_of(table: object) -> tuple[str, ...]:
    return (TABLES[table.name][0],) if isinstance(table, TableName) and table.name in TABLES else ()


def lowered(case: Case) -> Select:
    """The keys of the rows that the product's predicate admits."""
    enforcer = Enforcer(rules_of(case), MODEL, key_of)
    entity = MODEL.entities[case.table]
    lowering = Lowering(enforcer.rules, MODEL, Scope(principal_of(case), Door.PORTAL), key_of)
    where = lowering.permitted(entity, "", case.right)
    sources = lowering.sources(entity, "", Operation.READ, aliases_of(where))
    outputs = (Output("key", lowering.column(entity, "", entity.key[0]), Kind.INT32),)
    return Select(sources, where, outputs, nullable=lowering.nullable(entity, ""))


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=seeds)
def test_the_forest_reaches_what_its_algorithm_reaches(seed: int) -> None:
    case = drawn(seed)
    found = evaluate(lowered(case), in_memory(case), (), values_of(case))
    assert sorted(str(row[0]) for row in found) == sorted(map(str, Forest(case).reached()))


def test_the_draws_are_worth_their_name() -> None:
    """Each access type, and chains of each kind of relationship, reach some rows and miss others."""
    reached: Counter[str] = Counter()

    for seed in range(3000):
        case = drawn(seed)
        found = len(Forest(case).reached())
        if not 0 < found < len(case.data[case.table]):
            continue
        by_id = {item.id: item for item in case.permissions}
        for item in case.permissions:
            root = root_of(item, by_id)
            if item.table != case.table or case.right not in item.rights or root is None:
                continue
            if not root.web_roles & case.roles:
                continue
            reached[item.scope.name] += 1
            above = by_id.get(item.parent) if item.parent is not None else None
            if above is not None and above.scope is Access.PARENT:
                reached["two levels"] += 1
            if item.relationship in PAIRS and above is not None:
                reached["pairs"] += 1
    for kind in ("CONTACT", "ACCOUNT", "PARENT", "CUSTOM", "two levels", "pairs"):
        assert reached[kind] >= 10, (kind, reached)


@pytest.fixture(scope="module")
async def bench(postgres: EmbeddedServer) -> AsyncIterator[Database]:
    async with fresh_database(postgres) as url:
        database = await Database.open(url, lane_size=2)
        tables = [
            f"create table p.{table} ({key} int primary key, color text, "
            + ", ".join(f"{lookup} int" for lookup in lookups)
            + ");"
            for table, (key, lookups) in TABLES.items()
        ]
        tables += [f"create table p.{name} ({one[1]} int, {two[1]} int);" for name, (one, two) in PAIRS.items()]
        await database.script("make tables", "create schema p;" + "".join(tables))
        yield database
        await database.close()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=seeds)
async def test_the_database_reaches_the_same(bench: Database, seed: int) -> None:
    case = drawn(seed)
    async with bench.transaction("load rows") as transaction:
        for table, (_, lookups) in TABLES.items():
            await transaction.execute(f"delete from p.{table}")
            places = ", ".join(f"${place}" for place in range(1, len(lookups) + 3))
            rows = [tuple(row.values()) for row in case.data[table]]
            await transaction.executemany(f"insert into p.{table} values ({places})", rows)
        for name, found in case.pairs.items():
            await transaction.execute(f"delete from p.{name}")
            await transaction.executemany(f"insert into p.{name} values ($1, $2)", found)
    catalog = await read_catalog(bench)
    plane = Plane(bench, catalog)
    gate = Gate(rules_of(case), MODEL, Scopes(rules_of(case), Nobody(), bench, catalog), plane, plane)
    result = await gate.look(MODEL.entities[case.table], lowered(case), values_of(case))
    assert sorted(row[0] for row in result.rows) == sorted(Forest(case).reached())
