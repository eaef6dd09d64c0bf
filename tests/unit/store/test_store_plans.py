"""On skewed data no page is sorted that an index orders, whatever stands in its condition besides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from forecourt.kernel.plan import SecuredExpand, SecuredPlan, Witness
from forecourt.kernel.predicate import TRUE, After, And, Column, Compare, Const, Param, Predicate, Slot
from forecourt.kernel.relation import Output, Select, Sort, Source, TableName
from forecourt.kernel.types import Kind
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.compile import compile_read, compile_witness
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.statements import ReadStatement
from forecourt.store.witness import fingerprint
from support.postgres import explain, fresh_database

ORDERS, LINES, LINKS = (TableName("public", name) for name in ("orders", "lines", "links"))

#: Half of the orders belong to five vendors, the rest to a thousand.
SCHEMA = """
create table orders (id int primary key, vendor varchar(20) not null, number varchar(20) not null, note text,
    amount numeric(12, 2) not null);
insert into orders select i, 'V' || case when i % 2 = 0 then i % 5 else i % 1000 end, 'PO' || lpad(i::text, 8, '0'),
    'n' || i, i % 1000 from generate_series(1, 40000) i;
create index on orders (vendor, number);
create index on orders (amount);
create table lines (order_id int, number smallint, primary key (order_id, number));
insert into lines select i, n from generate_series(1, 40000) i, generate_series(1, 3) n;
create table links (person varchar primary key, vendor varchar);
insert into links select 'u' || i, 'V' || i from generate_series(0, 2000) i;
"""


@dataclass
class Data:
    url: str
    database: Database
    catalog: Catalog
    params: dict[str, object]

    async def explained(self, statement: ReadStatement, *slots: object) -> str:
        mode = "auto" if statement.lane == "key" else "force_custom_plan"
        return await explain(self.url, statement, slots, self.params, mode)


PERSON = Select(
    (Source("u", LINKS),),
    Compare("eq", Column("u", "person"), Param("user.id")),
    (Output("vendor", Column("u", "vendor"), None),),
)


@pytest.fixture(scope="module")
async def data(postgres: EmbeddedServer) -> AsyncIterator[Data]:
    async with fresh_database(postgres) as url:
        database = await Database.open(url)
        await database.script("make tables", SCHEMA)
        await database.script("look at them", "analyze")
        catalog = await read_catalog(database)
        params: dict[str, object] = {"user.id": "u2", "vendors": ["V2"], "vendor": "V2"}
        params["seen"] = fingerprint((await database.read(compile_witness(PERSON, catalog), (), params)).rows)
        yield Data(url, database, catalog, params)
        await database.close()


def page(where: Predicate = TRUE, **options: object) -> SecuredPlan:
    outputs = tuple(Output(name, Column("o", name), Kind.STRING) for name in ("number", "note"))
    select = Select(
        (Source("o", ORDERS),),
        And((Compare("eq", Column("o", "vendor"), Param("vendor")), where)),
        (Output("id", Column("o", "id"), Kind.INT32), *outputs),
        (Sort(Column("o", "number"), nullable=False),),
        limit=Const(51),
    )
    return SecuredPlan("Order", select, **options)  # type: ignore[arg-type]


def ordered(text: str) -> bool:
    return "Sort" not in text and "Bitmap" not in text and "Seq Scan" not in text


async def test_a_page_of_a_big_vendor_walks_the_index(data: Data) -> None:
    assert ordered(text := await data.explained(compile_read(page(), data.catalog))), text


async def test_a_witness_is_looked_at_once_and_leaves_the_order_to_the_index(data: Data) -> None:
    plan = page(witnesses=(Witness(PERSON, "seen"),), single=True)
    text = await data.explained(compile_read(plan, data.catalog))
    assert "One-Time Filter" in text
    outer = text[text.index("One-Time Filter") :]
    assert "Index Scan using orders_vendor_number_idx" in outer
    assert "Bitmap" not in text and text.count("Sort") == text.count("Sort Key: ((COALESCE") * 2, text


async def test_a_total_beside_the_page_leaves_the_order_to_the_index(data: Data) -> None:
    plan = page(count=page().select)
    text = await data.explained(compile_read(plan, data.catalog))
    assert "Limit" in text and "Sort" not in text, text


async def test_the_next_page_starts_in_the_index(data: Data) -> None:
    after = After(((Column("o", "number"), False, False),), (Slot(0, Kind.STRING),))
    text = await data.explained(compile_read(page(after), data.catalog), "PO00020000")
    assert ordered(text) and "number)::text > 'PO00020000'" in text, text


@pytest.mark.parametrize(("kind", "value"), [(Kind.INT32, 7), (Kind.INT64, 7), (Kind.DECIMAL, 7), (Kind.DOUBLE, 7)])
async def test_numbers_of_another_kind_still_use_the_index_of_a_decimal(data: Data, kind: Kind, value: int) -> None:
    select = Select(
        (Source("o", ORDERS),),
        Compare("eq", Column("o", "amount"), Slot(0, kind)),
        (Output("id", Column("o", "id"), Kind.INT32),),
    )
    text = await data.explained(compile_read(SecuredPlan("Order", select), data.catalog), value)
    assert "orders_amount_idx" in text, text


async def test_a_row_is_found_by_its_key(data: Data) -> None:
    select = Select(
        (Source("o", ORDERS),),
        Compare("eq", Column("o", "id"), Slot(0, Kind.INT64)),
        (Output("id", Column("o", "id"), Kind.INT32),),
    )
    text = await data.explained(compile_read(SecuredPlan("Order", select, single=True), data.catalog), 7)
    assert "Index Only Scan using orders_pkey" in text, text


@pytest.mark.parametrize("limit", [None, Const(2)])
async def test_children_are_found_in_their_index(data: Data, limit: Const | None) -> None:
    lines = Select(
        (Source("l", LINES),),
        outputs=(Output("Number", Column("l", "number"), Kind.INT32),),
        order=(Sort(Column("l", "number"), nullable=False),),
    )
    expand = SecuredExpand("Lines", True, "Line", lines, ("id",), (Column("l", "order_id"),), limit)
    (child,) = compile_read(page(expands=(expand,)), data.catalog).children
    parents = list(range(100, 150))
    values = [parents, *([2] if limit else [])]
    filled = ReadStatement(child.read.sql, tuple(Const(value) for value in values), child.read.outputs)  # type: ignore[arg-type]
    text = await data.explained(filled)
    assert "using lines_pkey" in text and "Seq Scan" not in text, text
