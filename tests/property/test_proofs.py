"""For any two predicates: what is proved no data shows otherwise, and what is refuted the database shows.

Predicates over three tables are drawn at random, with nulls, outer joins, negation and related rows within related
rows; so are databases that keep the tables' keys. A proof has to survive all of them, in memory and in SQL. A candidate
for a counterexample has to leak when its rows are written, unless something was not interpreted on the way.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecourt.kernel.predicate import (
    Column,
    Compare,
    Const,
    Exists,
    In,
    InParam,
    IsNull,
    Match,
    Not,
    Param,
    Predicate,
    all_of,
    any_of,
    negate,
)
from forecourt.kernel.relation import Output, Select, Source, TableName
from forecourt.kernel.types import Kind
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.compile import compile_select
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.memory import evaluate
from support.postgres import fresh_database

pytest.importorskip("z3", reason="z3-solver, of requirements/dev.txt, is not installed")

from forecourt.security.prove.decide import Candidate, Proof, decide
from forecourt.security.prove.joins import Unfit
from forecourt.security.prove.witness import reproduce

#: One worker: the last test counts what the others did.
pytestmark = pytest.mark.xdist_group("proofs")

SCHEMA = """
create schema t;
create table t.vendor (id int primary key, area text not null, code text, party int, unique (area, code));
create table t.orders (id int primary key, area text not null, vendor int references t.vendor (id), amount int,
    code varchar(9), price numeric(8, 2));
create table t.link (id int primary key, who text not null, party int, closed int not null);
"""

VENDOR, ORDERS, LINK = (TableName("t", name) for name in ("vendor", "orders", "link"))
TEXTS, NUMBERS = ("a", "b", "V1"), (0, 1, 2, 3)
#: Columns by kind, those that may be null last.
TEXT = {VENDOR: ("area", "code"), ORDERS: ("area", "code"), LINK: ("who",)}
NUMBER = {VENDOR: ("id", "party"), ORDERS: ("id", "vendor", "amount", "price"), LINK: ("id", "closed", "party")}


def choice(*items: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(items)


Sight = tuple[tuple[str, TableName], ...]


@st.composite
def leaves(draw: st.DrawFn, sight: Sight) -> Predicate:
    """A comparison over the sources in sight."""
    alias, table = draw(choice(*sight))
    texts = draw(st.booleans())
    column = Column(alias, draw(choice(*(TEXT if texts else NUMBER)[table])))
    others = [Column(a, name) for a, t in sight for name in (TEXT if texts else NUMBER)[t]]
    values = [Const(draw(choice(*(TEXTS if texts else NUMBERS)))), Param("me" if texts else "number")]
    other = draw(choice(*values, *values, *others))
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return IsNull(column)
    if kind == 1:
        return In(column, tuple(Const(value) for value in draw(st.lists(choice(*(TEXTS if texts else NUMBERS))))))
    if kind == 2 and texts:
        return Match("contains", column, Const(draw(choice("a", "v"))))
    if kind == 3 and texts:
        return InParam(column, "list")
    operators = ("eq", "eq", "eq", "ne") if texts else ("eq", "eq", "eq", "ne", "lt", "le", "gt", "ge")
    return Compare(draw(choice(*operators)), column, other)


@st.composite
def predicates(draw: st.DrawFn, sight: Sight, depth: int) -> Predicate:
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind < 4:
        return draw(leaves(sight))
    if kind == 4:
        return Not(draw(predicates(sight, depth - 1)))
    if kind in (5, 6):
        parts = [draw(predicates(sight, depth - 1)) for _ in range(2)]
        return all_of(*parts) if kind == 5 else any_of(*parts)
    alias, table = draw(choice(*sight))
    other, own, theirs = draw(
        choice(*{ORDERS: [(VENDOR, "vendor", "id")], VENDOR: [(LINK, "party", "party"), (ORDERS, "id", "vendor")],
                 LINK: [(VENDOR, "party", "party")]}[table])
    )  # fmt: skip
    name = f"s{len(sight)}"
    link = Compare("eq", Column(name, theirs), Column(alias, own))
    sources = [Source(name, other)]
    inside: Sight = (*sight, (name, other))
    if other == VENDOR and draw(st.integers(0, 2)) == 0:
        on = Compare("eq", Column(f"{name}k", "party"), Column(name, "party"))
        sources.append(Source(f"{name}k", LINK, draw(choice("inner", "left")), on))
        inside = (*inside, (f"{name}k", LINK))
    found = Exists(Select(tuple(sources), all_of(link, draw(predicates(inside, depth - 1)))))
    return Not(found) if kind == 9 else found


@dataclass(frozen=True)
class Pair:
    wide: Predicate
    narrow: Predicate
    seed: int


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    """Two predicates that share some of their conditions, so that containment is neither rare nor sure."""
    sight: Sight = (("o", ORDERS),)
    shared = [draw(predicates(sight, 2)) for _ in range(draw(st.integers(1, 3)))]
    more = [draw(predicates(sight, 1)) for _ in range(2)]
    wide = all_of(*(item for item in shared if draw(st.integers(0, 4))), *more[: draw(st.integers(0, 1))])
    narrow = all_of(*(item for item in shared if draw(st.integers(0, 3))))
    if draw(st.integers(0, 2)) == 0:
        narrow = any_of(narrow, more[1])
    if draw(st.integers(0, 2)) == 0:
        narrow = all_of(narrow, more[0])
    return Pair(wide, narrow, draw(st.integers(0, 2**32)))


def database_of(pick: random.Random) -> dict[TableName, list[dict[str, object]]]:
    """Rows that keep the tables' keys, and often meet."""
    vendors: list[dict[str, object]] = []
    taken: set[tuple[object, object]] = set()
    for number in range(pick.randrange(4)):
        row = {"id": number, "area": pick.choice(TEXTS), "code": pick.choice([*TEXTS, None]), "party": _number(pick)}
        if row["code"] is None or (row["area"], row["code"]) not in taken:
            taken.add((row["area"], row["code"]))
            vendors.append(row)
    known = [row["id"] for row in vendors]
    orders = [
        {
            "id": number,
            "area": pick.choice(TEXTS),
            "vendor": pick.choice([*known, None]),
            "amount": _number(pick),
            "code": pick.choice([*TEXTS, None]),
            "price": _number(pick),
        }
        for number in range(pick.randrange(5))
    ]
    links = [
        {"id": number, "who": pick.choice(TEXTS), "party": _number(pick), "closed": pick.choice(NUMBERS)}
        for number in range(pick.randrange(4))
    ]
    return {VENDOR: vendors, ORDERS: orders, LINK: links}


def _number(pick: random.Random) -> int | None:
    return pick.choice([*NUMBERS, None])


def values_of(pick: random.Random) -> dict[str, object]:
    return {
        "me": pick.choice([*TEXTS, None]),
        "number": _number(pick),
        "list": pick.sample(TEXTS, pick.randrange(3)),
    }


@dataclass
class Bench:
    database: Database
    catalog: Catalog
    found: Counter[str]

    async def load(self, tables: dict[TableName, list[dict[str, object]]]) -> None:
        async with self.database.transaction("load rows") as transaction:
            for table in (ORDERS, VENDOR, LINK):
                await transaction.execute(f"delete from {table}")
            for table in (VENDOR, ORDERS, LINK):
                for row in tables[table]:
                    places = ", ".join(f"${place + 1}" for place in range(len(row)))
                    await transaction.execute(
                        f"insert into {table} ({', '.join(row)}) values ({places})", *row.values()
                    )


@pytest.fixture(scope="module")
async def bench(postgres: EmbeddedServer) -> AsyncIterator[Bench]:
    async with fresh_database(postgres) as url:
        database = await Database.open(url, lane_size=2)
        await database.script("make tables", SCHEMA)
        yield Bench(database, await read_catalog(database, ["t"]), Counter())
        await database.close()


KEY = (Output("id", Column("o", "id"), Kind.INT32),)


def rows_of(where: Predicate) -> Select:
    return Select((Source("o", ORDERS),), where, KEY)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(pair=pairs())
async def test_proofs_survive_and_counterexamples_leak(bench: Bench, pair: Pair) -> None:
    leak = all_of(pair.wide, negate(pair.narrow))
    answer = decide(Exists(Select((Source("o", ORDERS),), leak)), (), bench.catalog)
    bench.found[type(answer).__name__] += 1
    pick = random.Random(pair.seed)
    tables, values = database_of(pick), values_of(pick)
    await bench.load(tables)
    statement = compile_select(rows_of(leak), bench.catalog)
    in_sql = (await bench.database.read(statement, (), values)).rows
    assert sorted(tuple(row) for row in in_sql) == sorted(evaluate(rows_of(leak), tables, (), values))
    if isinstance(answer, Proof):
        assert in_sql == []
        for _ in range(30):
            assert evaluate(rows_of(leak), database_of(pick), (), values_of(pick)) == []
    elif isinstance(answer, Candidate):
        try:
            shown = await reproduce(
                bench.database, bench.catalog, rows_of(pair.wide), rows_of(pair.narrow), answer, ("id",)
            )
            assert shown.row
        except Unfit as error:
            assert answer.doubts, str(error)
            bench.found["not reproduced"] += 1


def test_there_was_something_to_prove_and_to_refute(bench: Bench) -> None:
    assert bench.found["Proof"] > 20
    assert bench.found["Candidate"] - bench.found["not reproduced"] > 20
