"""SQL and its in-memory meaning agree, for any predicate over any rows."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import product, zip_longest
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecourt.kernel import predicate as p
from forecourt.kernel.relation import Aggregate, DatePart, Output, Plain, Select, Sort, Source, TableName
from forecourt.kernel.types import Kind
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.compile import compile_select
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.memory import evaluate
from support.postgres import fresh_database

HEAD, LINE = TableName("Odd Schema", "Head"), TableName("Odd Schema", "select")

SCHEMA = """
create schema "Odd Schema";
create domain "Odd Schema".money2 as numeric;
create table "Odd Schema"."Head" (
    id int primary key, n int, s smallint, m bigint not null, d "Odd Schema".money2, f float8, t varchar(80),
    u text not null, b bool, day date, at timestamp, tz timestamptz, g uuid);
create table "Odd Schema"."select" (id int primary key, head int, n int, "T x" text, d numeric not null);
"""

KINDS: dict[str, dict[str, Kind]] = {
    "head": {
        "id": Kind.INT32,
        "n": Kind.INT32,
        "s": Kind.INT32,
        "m": Kind.INT64,
        "d": Kind.DECIMAL,
        "f": Kind.DOUBLE,
        "t": Kind.STRING,
        "u": Kind.STRING,
        "b": Kind.BOOLEAN,
        "day": Kind.DATE,
        "at": Kind.DATETIME,
        "tz": Kind.DATETIME,
        "g": Kind.GUID,
    },
    "line": {"id": Kind.INT32, "head": Kind.INT32, "n": Kind.INT32, "T x": Kind.STRING, "d": Kind.DECIMAL},
}
REQUIRED = {"head": {"id", "m", "u"}, "line": {"id", "d"}}
NUMBERS = (Kind.INT32, Kind.INT64, Kind.DECIMAL, Kind.DOUBLE)
GROUPS = {kind: (kind,) for kind in (Kind.STRING, Kind.BOOLEAN, Kind.GUID)}
GROUPS |= dict.fromkeys(NUMBERS, NUMBERS) | dict.fromkeys((Kind.DATE, Kind.DATETIME), (Kind.DATE, Kind.DATETIME))

DAYS = [dt.date(1900, 1, 1), dt.date(2024, 2, 29), dt.date(2026, 11, 23)]
POOL: dict[Kind, list[Any]] = {
    Kind.INT32: [-2, -1, 0, 1, 2, 3],
    Kind.INT64: [-(2**62), -2, -1, 0, 1, 2, 3, 2**53 - 1],
    Kind.DECIMAL: [Decimal(text) for text in ("-2", "-0.5", "0", "0.1", "1", "1.00", "2.5", "3")],
    Kind.DOUBLE: [-2.0, -1e-7, -0.0, 0.1, 1.0, 2.5, 3.0, 1e15],
    # Letters whose folding is longer than one letter, or special in any other way, and what LIKE takes for a pattern.
    Kind.STRING: [
        *("", "a", "A", "ab", "a%b", "a_b", "%", "_", "\\", "*", "*b", "a*", "a\nb", "'", "😀", "\uffff"),
        *("Straße", "STRASSE", "ẞſ", "İi", "ΣΑΣ", "σας", "K", "k", "é", "e\u0301"),
    ],
    Kind.BOOLEAN: [False, True],
    Kind.DATE: DAYS,
    Kind.DATETIME: [
        dt.datetime(day.year, day.month, day.day, hour, 0, 0, hour, dt.UTC) for day in DAYS for hour in (0, 9)
    ],
    Kind.GUID: [UUID(int=number) for number in (0, 1, 2**127, 2**128 - 1)],
}
VALUES: dict[Kind, st.SearchStrategy[Any]] = {kind: st.sampled_from(values) for kind, values in POOL.items()}
VALUES[Kind.STRING] |= st.text("aAbsSßſẞİıΣσςKé%_\\*' 😀", max_size=4)
VALUES[Kind.DECIMAL] |= st.decimals(-4, 4, places=1)
DIVISORS = [Decimal(-2), Decimal(0), Decimal("0.5"), Decimal(4), Decimal(10)]


@dataclass
class Case:
    """A select with the values that belong to it."""

    select: Select
    slots: list[object] = field(default_factory=list)
    params: dict[str, object] = field(default_factory=dict)


class Maker:
    """Draws predicates over the sources in sight: alias -> kind of table."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.slots: list[object] = []
        self.params: dict[str, object] = {}
        self.aliases = 0

    def one_of(self, items: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(items))

    def slot(self, kind: Kind, value: object) -> p.Slot:
        self.slots.append(value)
        return p.Slot(len(self.slots) - 1, kind)

    def param(self, value: object) -> p.Param:
        name = f"user.p{len(self.params)}"
        self.params[name] = value
        return p.Param(name)

    def columns(self, sight: dict[str, str], kinds: Sequence[Kind]) -> list[p.Column]:
        return [
            p.Column(alias, name)
            for alias, table in sight.items()
            for name, kind in KINDS[table].items()
            if kind in kinds
        ]

    def any_column(self, sight: dict[str, str]) -> tuple[p.Column, Kind]:
        alias = self.one_of(list(sight))
        name = self.one_of(list(KINDS[sight[alias]]))
        kind = KINDS[sight[alias]][name]
        if kind is Kind.DATETIME and self.draw(st.booleans()):
            return p.Column(alias, name, day=True), Kind.DATE
        return p.Column(alias, name), kind

    def bound(self, kind: Kind, *, nulls: bool = True) -> p.Operand:
        kind = self.one_of(GROUPS[kind])
        value = self.draw(VALUES[kind])
        match self.draw(st.integers(0, 2 if nulls else 1)):
            case 0:
                return self.slot(kind, value)
            case 1:
                return p.Const(value)
        return self.param(value)

    def scalar(self, sight: dict[str, str], kind: Kind) -> p.Operand:
        columns = self.columns(sight, GROUPS[kind])
        return self.one_of(columns) if columns and self.draw(st.booleans()) else self.bound(kind, nulls=False)

    def arithmetic(self, sight: dict[str, str], depth: int) -> p.Operand:
        if depth == 0 or self.draw(st.integers(0, 2)) == 0:
            return self.scalar(sight, Kind.DECIMAL)
        op = self.one_of(["add", "sub", "mul", "div", "mod"])
        left = self.arithmetic(sight, depth - 1)
        if op == "div":  # by what leaves no endless fraction
            whole = self.draw(st.booleans())
            divisor = self.one_of(DIVISORS)
            right: p.Operand = self.slot(Kind.INT32, int(divisor)) if whole else p.Const(divisor)
        else:
            right = self.arithmetic(sight, depth - 1)
        return p.Arith(op, left, right)

    def leaf(self, sight: dict[str, str], depth: int) -> p.Predicate:
        kinds = [*("compare", "match", "after", "exists") * 3, *("arith", "in", "listed", "null") * 2, "constant"]
        match self.one_of(kinds):
            case "compare":
                column, kind = self.any_column(sight)
                op = self.one_of(["eq", "ne", "lt", "le", "gt", "ge"])
                if self.draw(st.booleans()):
                    return p.Compare(op, column, self.same(sight, column, kind))
                return p.Compare(op, self.same(sight, column, kind), column)
            case "arith":
                op = self.one_of(["eq", "ne", "lt", "ge"])
                return p.Compare(op, self.arithmetic(sight, 2), self.arithmetic(sight, 1))
            case "in":
                column, kind = self.any_column(sight)
                return p.In(column, tuple(self.bound_like(kind) for _ in range(self.draw(st.integers(0, 3)))))
            case "listed":
                column, kind = self.any_column(sight)
                values = self.draw(st.none() | st.lists(VALUES[kind], max_size=3))
                return p.InParam(column, self.param(values).name)
            case "match":
                op = self.one_of(["contains", "startswith", "endswith", "wildcard", "like", "includes"])
                return p.Match(op, self.scalar(sight, Kind.STRING), self.scalar(sight, Kind.STRING))
            case "null":
                operand = self.any_column(sight)[0] if self.draw(st.booleans()) else self.arithmetic(sight, 1)
                return p.IsNull(operand)
            case "after":
                return self.after(sight)
            case "exists" if depth > 0:
                return p.Exists(self.correlated(sight, depth - 1))
            case _:
                return p.Bool(self.draw(st.booleans()))

    def same(self, sight: dict[str, str], column: p.Column, kind: Kind) -> p.Operand:
        """Something to compare the column with: another column, a literal, a constant, a parameter (perhaps null)."""
        match self.draw(st.integers(0, 3)):
            case 0:
                return self.one_of(self.columns(sight, GROUPS[kind]))
            case 1:
                return self.param(self.draw(st.none() | VALUES[kind]))
        return self.bound_like(kind)

    def bound_like(self, kind: Kind) -> p.Operand:
        """A parameter has the column's own type; literals and constants any type that compares with it."""
        if self.draw(st.integers(0, 3)) == 0:
            return self.param(self.draw(st.none() | VALUES[kind]))
        return self.bound(kind, nulls=False)

    def after(self, sight: dict[str, str]) -> p.After:
        by, values = [], []
        for _ in range(self.draw(st.integers(1, 3))):
            column, kind = self.any_column(sight)
            nullable = (column.alias, column.name) in NULLABLE_HERE or column.name not in REQUIRED[sight[column.alias]]
            descending = self.draw(st.booleans())
            by.append((column, descending, nullable))
            null = nullable and self.draw(st.integers(0, 3)) == 0
            values.append(None if null else self.slot(kind, self.draw(VALUES[kind])))
        return p.After(tuple(by), tuple(values))

    def correlated(self, sight: dict[str, str], depth: int) -> Select:
        table = self.one_of(["head", "line"])
        self.aliases += 1
        # Sometimes an alias of the enclosing select once more, which it then hides.
        alias = self.one_of([f"x{self.aliases}", *sight])
        inner = {**sight, alias: table}
        source = Source(alias, HEAD if table == "head" else LINE)
        own = p.Column(alias, "id" if table == "head" else "head")
        link = p.Compare("eq", own, self.one_of(self.columns(inner, (Kind.INT32,))))
        where = p.all_of(link, self.predicate(inner, depth)) if self.draw(st.booleans()) else link
        return Select((source,), where, nullable=nullable({alias: table}))

    def predicate(self, sight: dict[str, str], depth: int) -> p.Predicate:
        if depth == 0:
            return self.leaf(sight, 0)
        match self.one_of(["leaf", "not", "or", "and", "leaf", "not"]):
            case "and":
                return p.And(tuple(self.predicate(sight, depth - 1) for _ in range(self.one_of([2, 2, 3, 1, 0]))))
            case "or":
                return p.Or(tuple(self.predicate(sight, depth - 1) for _ in range(self.one_of([2, 2, 3, 1, 0]))))
            case "not":
                return p.Not(self.predicate(sight, depth - 1))
            case _:
                return self.leaf(sight, depth)


#: Required columns of an outer-joined source may be null after all.
NULLABLE_HERE = frozenset(("l", name) for name in KINDS["line"])


def nullable(sight: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (alias, name)
        for alias, table in sight.items()
        for name in KINDS[table]
        if name not in REQUIRED[table] or (alias, name) in NULLABLE_HERE
    )


@st.composite
def cases(draw: Any) -> Case:
    maker = Maker(draw)
    sight = {"h": "head"}
    sources = [Source("h", HEAD)]
    join = draw(st.sampled_from([None, "inner", "left"]))
    if join is not None:
        sight["l"] = "line"
        on = p.Compare("eq", p.Column("l", "head"), p.Column("h", "id"))
        extra = maker.predicate(sight, 0) if draw(st.booleans()) else p.TRUE
        sources.append(Source("l", LINE, join, p.all_of(on, extra)))
    where = maker.predicate(sight, 3)
    order = []
    for _ in range(draw(st.integers(0, 2))):
        column, _ = maker.any_column(sight)
        null = (column.alias, column.name) in nullable(sight)
        order.append(Sort(column, draw(st.booleans()), null))
    order += [Sort(p.Column(alias, "id"), draw(st.booleans()), alias == "l") for alias in sight]
    outputs = [
        Output(f"{alias}.{name}", p.Column(alias, name), KINDS[sight[alias]][name])
        for alias in sight
        for name in KINDS[sight[alias]]
    ]
    limit = draw(st.sampled_from([None] * 6 + [3, 1, 0]))
    offset = draw(st.sampled_from([None] * 6 + [1, 3]))
    select = Select(
        tuple(sources),
        where,
        tuple(outputs),
        tuple(order),
        None if limit is None else maker.slot(Kind.INT64, limit),
        None if offset is None else p.Const(offset),
        count=draw(st.sampled_from([False] * 9 + [True])),
        nullable=nullable(sight),
    )
    return Case(select, maker.slots, maker.params)


def rows(table: str, choose: random.Random) -> list[dict[str, object]]:
    """Rows out of few values, so that comparisons come out both ways; a third of what may be null is."""
    made = []
    for number in range(choose.choice((0, *(6, 8, 12) * 3))):
        row: dict[str, object] = {}
        for name, kind in KINDS[table].items():
            null = name not in REQUIRED[table] and choose.randrange(3) == 0
            value = None if null else choose.choice(POOL[kind])
            row[name] = value.replace(tzinfo=None) if name == "at" and isinstance(value, dt.datetime) else value
        row["id"] = number
        made.append(row)
    return made


@dataclass
class Bench:
    database: Database
    catalog: Catalog

    async def load(self, heads: list[dict[str, object]], lines: list[dict[str, object]]) -> None:
        async with self.database.transaction("load rows") as transaction:
            await transaction.execute('delete from "Odd Schema"."Head"; delete from "Odd Schema"."select"')
            for table, found, columns in (("Head", heads, KINDS["head"]), ("select", lines, KINDS["line"])):
                if found:
                    marks = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
                    await transaction.executemany(
                        f'insert into "Odd Schema"."{table}" values ({marks})', [tuple(row.values()) for row in found]
                    )


@pytest.fixture(scope="module")
async def bench(postgres: EmbeddedServer) -> AsyncIterator[Bench]:
    async with fresh_database(postgres) as url:
        database = await Database.open(url)
        await database.script("make tables", SCHEMA)
        yield Bench(database, await read_catalog(database))
        await database.close()


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(case=cases())
async def test_the_same_rows_in_the_same_order_come_from_sql_and_from_memory(bench: Bench, case: Case) -> None:
    choose = random.Random(repr(case))  # rows that differ from case to case, and come again with it
    heads, lines = rows("head", choose), rows("line", choose)
    await bench.load(heads, lines)
    opposite = replace(case.select, where=p.Not(case.select.where), limit=None, offset=None)
    for select in (case.select, opposite):
        expected = evaluate(select, {HEAD: heads, LINE: lines}, case.slots, case.params)
        statement = compile_select(select, bench.catalog)
        result = await bench.database.read(statement, case.slots, case.params)
        assert [tuple(row) for row in result.rows] == expected, statement.sql


@pytest.mark.parametrize("op", ["contains", "startswith", "endswith", "wildcard", "like", "includes"])
async def test_every_odd_text_matches_every_odd_pattern_alike(bench: Bench, op: p.MatchOp) -> None:
    blank = dict.fromkeys(KINDS["head"])
    texts = POOL[Kind.STRING]
    heads = [{**blank, "id": number, "m": 0, "u": text} for number, text in enumerate(texts)]
    await bench.load(heads, [])
    where = p.Match(op, p.Column("h", "u"), p.Slot(0, Kind.STRING))
    output, order = Output("u", p.Column("h", "u"), Kind.STRING), Sort(p.Column("h", "id"), nullable=False)
    select = Select((Source("h", HEAD),), where, (output,), (order,))
    statement = compile_select(select, bench.catalog)
    for pattern in [*texts, "a?b", "[a]", "**", "*%*", "a*B", "ss", "\\%", "\\\\", "i"]:
        found = (await bench.database.read(statement, (pattern,), {})).rows
        assert [tuple(row) for row in found] == evaluate(select, {HEAD: heads}, (pattern,)), pattern


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "mod"])
async def test_arithmetic_gives_the_same_numbers_whatever_their_kinds(bench: Bench, op: p.ArithOp) -> None:
    blank = dict.fromkeys(KINDS["head"])
    # Without numbers of so many digits that the database gives a quotient no fraction.
    values = [[value for value in POOL[kind] if abs(value) < 2**53 - 1] for kind in NUMBERS]
    heads = [
        {**blank, "id": place, "n": n, "m": m, "d": d, "f": f, "u": ""}
        for place, (n, m, d, f) in enumerate(zip_longest(*values, fillvalue=7))
    ]
    await bench.load(heads, [])
    order = (Sort(p.Column("h", "id"), nullable=False),)
    for kind, other in product(NUMBERS, [Decimal(number) for number in DIVISORS]):
        value = {Kind.DECIMAL: Decimal, Kind.DOUBLE: float}.get(kind, int)(other)
        outputs = tuple(
            Output(name, p.Arith(op, p.Column("h", name), p.Slot(0, kind)), None) for name in ("n", "m", "d", "f")
        )
        select = Select((Source("h", HEAD),), outputs=outputs, order=order)
        found = (await bench.database.read(compile_select(select, bench.catalog), (value,), {})).rows
        assert [tuple(row) for row in found] == evaluate(select, {HEAD: heads}, (value,)), (kind, value)


# ------------------------------------------------------------------------------------------------- groups

EMPTIES = {"day": p.Const(dt.date(1900, 1, 1)), "at": p.Const(dt.datetime(1900, 1, 1, tzinfo=dt.UTC))}


@st.composite
def groupings(draw: Any) -> Case:
    """Groups, or distinct rows, as the source of a select that shows them."""
    maker = Maker(draw)
    columns = {name: p.Column("h", name) for name in KINDS["head"]}
    kinds = KINDS["head"]
    inner: list[Output] = []
    shown: dict[str, Kind | None] = {}
    for place in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(list(columns)))
        operand: Any = columns[name]
        kind: Kind | None = kinds[name]
        if name in EMPTIES and draw(st.booleans()):
            operand = Plain(operand, EMPTIES[name])
        if kinds[name] in (Kind.DATE, Kind.DATETIME) and draw(st.booleans()):
            operand = DatePart(draw(st.sampled_from(["day", "week", "month", "quarter", "year"])), operand)
            kind = Kind.INT32
        inner.append(Output(f"k{place}", operand, None))
        shown[f"k{place}"] = kind
    grouped = not inner or draw(st.booleans())
    for function in ("count", "countcolumn", "countdistinct", "sum", "avg", "min", "max") if grouped else ():
        fitting = [name for name, kind in kinds.items() if kind in NUMBERS or (function[:3] == "cou" and name != "id")]
        if function in ("min", "max"):
            fitting += ["day", "at", "tz"]
        name = draw(st.sampled_from(fitting))
        operand = Plain(columns[name], EMPTIES[name]) if name in EMPTIES else columns[name]
        inner.append(Output(function, Aggregate(function, None if function == "count" else operand), None))  # type: ignore[arg-type]
        counted = function.startswith("count")
        shown[function] = Kind.INT64 if counted else Kind.DECIMAL if function in ("sum", "avg") else kinds[name]
    select = Select(
        (Source("h", HEAD),),
        maker.predicate({"h": "head"}, 2),
        tuple(inner),
        nullable=nullable({"h": "head"}),
        grouped=grouped,
        distinct=not grouped,
    )
    around = Select(
        (Source("@rows", HEAD, rows=select),),
        outputs=tuple(Output(name, p.Column("@rows", name), kind) for name, kind in shown.items()),
        count=draw(st.sampled_from([False, False, False, True])),
        nullable=frozenset(("@rows", name) for name in shown),
    )
    return Case(around, maker.slots, maker.params)


def rounded(found: Sequence[Sequence[object]]) -> list[list[str]]:
    """Rows as texts, in no order; quotients as far as a database carries them."""

    def text(value: object) -> str:
        if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
            return f"{Decimal(value) + 0:.7e}" if value else "0"
        return str(value)

    return sorted([text(value) for value in row] for row in found)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(case=groupings(), seed=st.integers(0, 2**32))
async def test_groups_are_the_same_in_sql_and_in_memory(bench: Bench, case: Case, seed: int) -> None:
    choose = random.Random(seed)
    heads = rows("head", choose)
    await bench.load(heads, [])
    statement = compile_select(case.select, bench.catalog)
    result = await bench.database.read(statement, case.slots, case.params)
    expected = evaluate(case.select, {HEAD: heads, LINE: []}, case.slots, case.params)
    assert rounded([tuple(row) for row in result.rows]) == rounded(expected)
