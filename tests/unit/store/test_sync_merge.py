"""Merging into several tables at once, and what becomes of values at the edges of their types."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from forecourt.kernel.bulk import WholeTable
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import DataSource, Entity
from forecourt.kernel.relation import TableName
from forecourt.kernel.sync import Leg, LegColumn, Merged, Reference, Side
from forecourt.kernel.types import Kind
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.unit import Unit
from support.ends import Pair, pair
from support.sync import ACCOUNT, CUSTOMER, CUSTOMERS, DATAVERSE, OPERATIONS, TO_COMPANY, entity

#: A customer with its party, which comes before it, and an extension, which comes after it.
EXTENSION = """
create table erp.cust_ext (cust bigint primary key references erp.cust, remark varchar(10));
"""
WIDE: Entity = entity(
    "Customer",
    (
        *CUSTOMER.sources,
        DataSource("x", TableName("erp", "cust_ext"), "left", ((("c", "recid"), "cust"),), writable=True),
    ),
    CUSTOMER.key,
    dataAreaId=("c", "dataareaid", Kind.STRING),
    Account=("c", "account", Kind.STRING),
    Name=("p", "name", Kind.STRING),
    Credit=("c", "credit", Kind.DECIMAL),
    Remark=("x", "remark", Kind.STRING),
)
BACK = Leg(
    "customers",
    Side.DATAVERSE,
    ACCOUNT,
    WIDE,
    (
        LegColumn("company", "dataAreaId", Kind.STRING, key=True, company=True, source_reference=TO_COMPANY),
        LegColumn("number", "Account", Kind.STRING, key=True),
        LegColumn("name", "Name", Kind.STRING, null_out=""),
        LegColumn("credit", "Credit", Kind.DECIMAL, default=0),
        LegColumn("", "Remark", Kind.STRING, default="copied"),
    ),
)
LOOK = """
select c.account, p.name, c.credit, x.remark from erp.cust c join erp.party p on p.recid = c.party
left join erp.cust_ext x on x.cust = c.recid order by 1
"""
ANN = ("usmf", "C1", "Ann", Decimal(1), "copied")
BOB = ("usmf", "C2", "Bob", Decimal(2), "copied")


@pytest.fixture
async def both(postgres: EmbeddedServer) -> AsyncIterator[Pair]:
    async with pair(postgres, [OPERATIONS + EXTENSION], [DATAVERSE]) as made:
        yield made


async def test_a_row_of_three_tables_is_inserted_whole(both: Pair) -> None:
    assert await both.merge(BACK, ANN, BOB) == Merged(inserted=(0, 1))
    assert await both.rows(Side.OPERATIONS, LOOK) == [("C1", "Ann", 1, "copied"), ("C2", "Bob", 2, "copied")]
    assert await both.merge(BACK, ANN, BOB) == Merged(unchanged=(0, 1))
    await both.operations.script("numbers go on", "insert into erp.party (name) values ('next')")


async def test_only_the_table_that_differs_is_touched(both: Pair) -> None:
    await both.merge(BACK, ANN, BOB)
    versions = "select c.xmin, p.xmin from erp.cust c join erp.party p on p.recid = c.party where c.account = 'C1'"
    before = await both.rows(Side.OPERATIONS, versions)
    renamed = (*ANN[:2], "Anne", *ANN[3:])
    assert await both.merge(BACK, renamed, BOB) == Merged(updated=(0,), unchanged=(1,))
    after = await both.rows(Side.OPERATIONS, versions)
    assert (after[0][0] == before[0][0], after[0][1] == before[0][1]) == (True, False)


async def test_an_extension_that_is_missing_is_added(both: Pair) -> None:
    await both.merge(BACK, ANN)
    await both.operations.script("lost", "delete from erp.cust_ext")
    await both.merge(BACK, ANN)
    assert await both.rows(Side.OPERATIONS, LOOK) == [("C1", "Ann", 1, "copied")]


async def test_a_row_that_cannot_be_inserted_leaves_nothing_of_itself_behind(both: Pair) -> None:
    await both.operations.script("rule", "alter table erp.cust add check (credit <> 13)")
    unlucky = ("usmf", "C13", "Joe", Decimal(13), "copied")
    merged = await both.merge(BACK, ANN, unlucky, BOB)
    assert (merged.inserted, [error.index for error in merged.errors]) == ((0, 2), [1])
    assert await both.rows(Side.OPERATIONS, "select name from erp.party order by 1") == [("Ann",), ("Bob",)]


async def test_a_deleted_row_takes_its_extension_along_and_leaves_its_party(both: Pair) -> None:
    await both.merge(BACK, ANN, BOB)
    keys = [("usmf", "C1"), ("usmf", "C7")]
    assert await both.between(BACK, lambda _, target: both.ends.delete(target, BACK, keys)) == [0]
    assert await both.rows(Side.OPERATIONS, LOOK) == [("C2", "Bob", 2, "copied")]
    assert await both.rows(Side.OPERATIONS, "select count(*) from erp.cust_ext") == [(1,)]
    assert await both.rows(Side.OPERATIONS, "select count(*) from erp.party") == [(2,)]


async def test_many_rows_of_several_tables_are_staged_and_merged(both: Pair) -> None:
    await both.dataverse.script(
        "rows",
        "insert into dataverse.account (number, company, name, credit) select 'C' || n, companyid, 'N' || n, n "
        "from generate_series(1, 300) n, dataverse.company where code = 'usmf'",
    )

    async def attempt(source: Unit, target: Unit) -> int:
        await both.bulk.stage(source, target, BACK, WholeTable())
        return (await both.bulk.merge(target, BACK)).inserted

    assert await both.between(BACK, attempt) == 300
    assert await both.agree(BACK)


async def test_a_table_that_is_not_written_through_the_entity_takes_no_set(both: Pair) -> None:
    shared = replace(WIDE, sources=tuple(replace(source, writable=False) for source in WIDE.sources))
    with pytest.raises(Refusal, match="not written"):
        await both.merge(replace(BACK, target=shared), ANN)


# -- edges of types ----------------------------------------------------------------------------------------------------


async def test_what_a_column_rounds_is_not_a_difference(both: Pair) -> None:
    await both.operations.script(
        "fractions",
        "insert into erp.party (name) values ('x'); "
        "insert into erp.cust (dataareaid, account, party, credit) values ('usmf', 'C1', 1, 1.123456)",
    )
    assert await both.copy(CUSTOMERS, (1,)) == Merged(inserted=(0,))
    assert await both.copy(CUSTOMERS, (1,)) == Merged(unchanged=(0,))
    assert await both.rows(Side.DATAVERSE, "select credit from dataverse.account") == [(Decimal("1.1235"),)]
    assert await both.agree(CUSTOMERS)


async def test_a_number_that_is_too_large_is_an_error_of_its_field(both: Pair) -> None:
    huge = ("usmf", "C1", None, Decimal(10) ** 15, False, None)
    merged = await both.merge(CUSTOMERS, huge, ("usmf", "C2", None, Decimal(10) ** 15 - 1, False, None))
    assert (merged.inserted, [(error.field, error.message) for error in merged.errors]) == (
        (1,),
        [("credit", "credit: the number is too large")],
    )


ODD_OPERATIONS = """
create schema erp;
create table erp.odd (id int primary key, padded char(6), at timestamp(6), small int, ratio float8, code numeric(8, 3),
    state int not null default 0, company varchar(4));
"""
ODD_DATAVERSE = """
create schema dataverse;
create table dataverse.odd (oddid uuid primary key default gen_random_uuid(), id bigint unique, padded char(4),
    at timestamptz(3), small int2, ratio float4, code numeric(10, 5), state text, extra jsonb);
"""
ODD = entity(
    "Odd",
    (DataSource("o", TableName("erp", "odd")),),
    ("Id",),
    Id=("o", "id", Kind.INT32),
    Padded=("o", "padded", Kind.STRING),
    At=("o", "at", Kind.DATETIME),
    Small=("o", "small", Kind.INT32),
    Ratio=("o", "ratio", Kind.DOUBLE),
    Code=("o", "code", Kind.DECIMAL),
    State=("o", "state", Kind.INT32),
    Company=("o", "company", Kind.STRING),
)
ODD_TABLE = entity(
    "odd",
    (DataSource("t", TableName("dataverse", "odd")),),
    ("oddid",),
    id=("t", "id", Kind.INT64),
    padded=("t", "padded", Kind.STRING),
    at=("t", "at", Kind.DATETIME),
    small=("t", "small", Kind.INT32),
    ratio=("t", "ratio", Kind.DOUBLE),
    code=("t", "code", Kind.DECIMAL),
    state=("t", "state", Kind.STRING),
    extra=("t", "extra", Kind.STRING),
)
ODDS = Leg(
    "odds",
    Side.OPERATIONS,
    ODD,
    ODD_TABLE,
    (
        LegColumn("Id", "id", Kind.INT64, key=True),
        LegColumn("Padded", "padded", Kind.STRING),
        LegColumn("At", "at", Kind.DATETIME),
        LegColumn("Small", "small", Kind.INT32),
        LegColumn("Ratio", "ratio", Kind.DOUBLE),
        LegColumn("Code", "code", Kind.DECIMAL),
        LegColumn("State", "state", Kind.STRING, values=((0, None), (1, "open")), default="none"),
        LegColumn("", "extra", Kind.STRING, default='{"a": 1}'),
    ),
)


async def test_types_that_differ_between_the_ends_settle_in_one_copy(postgres: EmbeddedServer) -> None:
    rows = """insert into erp.odd values
        (1, 'ab', '2024-05-06 07:08:09.123456', 32767, 0.1, 1.5, 0), (2, null, null, null, null, null, 1)"""
    async with pair(postgres, [ODD_OPERATIONS, rows], [ODD_DATAVERSE]) as both:
        assert await both.copy(ODDS, (1,), (2,)) == Merged(inserted=(0, 1))
        assert await both.copy(ODDS, (1,), (2,)) == Merged(unchanged=(0, 1))
        assert await both.agree(ODDS)
        assert await both.rows(Side.DATAVERSE, "select at, state, code from dataverse.odd order by id") == [
            (dt.datetime(2024, 5, 6, 7, 8, 9, 123000, dt.UTC), "none", Decimal("1.50000")),
            (None, "open", None),
        ]
        await both.operations.script("wide", "update erp.odd set small = 32768 where id = 1")
        assert [(error.index, error.field) for error in (await both.copy(ODDS, (1,), (2,))).errors] == [(0, "small")]


async def test_a_lookup_is_told_apart_by_a_company_that_is_a_plain_column(postgres: EmbeddedServer) -> None:
    operations = """
    create schema erp;
    create table erp.grp (recid bigint generated by default as identity primary key, area varchar(4), name text,
        unique (area, name));
    create table erp.item (recid bigint generated by default as identity primary key, area varchar(4), number text,
        grp bigint references erp.grp, unique (area, number));
    insert into erp.grp (area, name) values ('dat', 'G'), ('usmf', 'G');
    """
    dataverse = "create schema dataverse; create table dataverse.item (id uuid primary key, area text, number text)"
    group = entity(
        "Group",
        (DataSource("g", TableName("erp", "grp")),),
        ("RecId",),
        RecId=("g", "recid", Kind.INT64),
        Area=("g", "area", Kind.STRING),
        Name=("g", "name", Kind.STRING),
    )
    item = entity(
        "Item",
        (DataSource("i", TableName("erp", "item")),),
        ("Area", "Number"),
        Area=("i", "area", Kind.STRING),
        Number=("i", "number", Kind.STRING),
        Group=("i", "grp", Kind.INT64),
    )
    table = entity(
        "item",
        (DataSource("t", TableName("dataverse", "item")),),
        ("id",),
        id=("t", "id", Kind.GUID),
        area=("t", "area", Kind.STRING),
        number=("t", "number", Kind.STRING),
    )
    leg = Leg(
        "items",
        Side.DATAVERSE,
        table,
        item,
        (
            LegColumn("area", "Area", Kind.STRING, key=True, company=True),
            LegColumn("number", "Number", Kind.STRING, key=True),
            LegColumn(
                "", "Group", Kind.STRING, default="G", target_reference=Reference(group, "RecId", "Name", "Area")
            ),
        ),
    )
    async with pair(postgres, [operations], [dataverse]) as both:
        assert await both.merge(leg, ("usmf", "I1", "G"), ("dat", "I1", "G")) == Merged(inserted=(0, 1))
        assert await both.rows(Side.OPERATIONS, "select area, grp from erp.item order by 1") == [
            ("dat", 1),
            ("usmf", 2),
        ]
        found = await both.between(leg, lambda _, target: both.ends.resolve(target, leg, [("usmf", "I2", "G")]))
        assert found == [{"Area": "usmf", "Number": "I2", "Group": 2}]
