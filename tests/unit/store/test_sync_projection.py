"""What the source sends: which rows, under which keys, and in which order; who takes part at all."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from forecourt.kernel.model import DataSource, Entity
from forecourt.kernel.predicate import Compare, Const, Field
from forecourt.kernel.relation import TableName
from forecourt.kernel.sync import Captured, Leg, LegColumn, Merged, Side, WireRow
from forecourt.kernel.types import Kind
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.sync.capture import remembered
from support.ends import Pair, pair
from support.sync import ACCOUNT, CUSTOMERS, DATAVERSE, OPERATIONS, ORDERS, ORDERS_BACK, TO_COMPANY, entity

ROWS = """
insert into erp.party (name) values ('Ann'), ('Bob'), ('Cleo');
insert into erp.cust (dataareaid, account, party, grp) values ('usmf', 'C1', 1, 'x'), ('usmf', 'C2', 2, ''),
    ('usmf', 'C3', 3, '');
alter table erp.cust alter grp drop not null;
"""
PARTY, CUST = TableName("erp", "party"), TableName("erp", "cust")
AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
async def both(postgres: EmbeddedServer) -> AsyncIterator[Pair]:
    async with pair(postgres, [OPERATIONS, ROWS], [DATAVERSE]) as made:
        yield made


def noted(number: int, table: TableName, *rows: dict[str, object]) -> Captured:
    return Captured(number, table, "update", rows, AT)


async def affected(both: Pair, leg: Leg, *changes: Captured) -> list[WireRow]:
    return await both.between(leg, lambda source, _: both.ends.affected(source, leg, changes))


async def test_rows_come_once_in_the_order_of_their_last_change_whichever_table_it_was_in(both: Pair) -> None:
    first = noted(1, CUST, {"recid": 2, "party": 2}, {"recid": 1, "party": 1})
    second = noted(2, PARTY, {"recid": 3})
    third = noted(3, PARTY, {"recid": 2})
    assert await affected(both, CUSTOMERS, first, second, third) == [(1,), (3,), (2,)]
    assert await affected(both, CUSTOMERS, noted(1, PARTY, {"recid": 77})) == []


async def test_a_filter_over_a_column_without_a_value_admits_what_the_algebra_says(both: Pair) -> None:
    await both.operations.script("none", "update erp.cust set grp = null where recid = 3")
    leg = replace(CUSTOMERS, filter=Compare("ne", Field(("Group",)), Const("x")))
    assert [row[1] for row in await both.project(leg, (1,), (2,), (3,))] == ["C2", "C3"]


async def test_a_row_without_a_company_takes_no_part(both: Pair) -> None:
    await both.dataverse.script(
        "no company",
        "alter table dataverse.salesorder alter company drop not null; "
        "insert into dataverse.salesorder (orderid, number, status) "
        "values ('00000000-0000-0000-0000-00000000000a', 'S1', 100)",
    )
    roots = await both.rows(Side.DATAVERSE, "select orderid from dataverse.salesorder")
    assert len(roots) == 1
    assert await both.project(ORDERS_BACK, *roots) == []
    assert await both.segments(ORDERS_BACK, "source") == []
    assert await both.segments(ORDERS, "target") == []


async def test_a_value_that_means_none_travels_as_null_and_is_stored_as_such(both: Pair) -> None:
    await both.operations.script("orders", "insert into erp.orders (dataareaid, salesid) values ('usmf', 'S1')")
    (row,) = await both.project(ORDERS, (1,))
    assert row == ("usmf", "S1", None, Decimal(0), None, 100, None)
    assert await both.merge(ORDERS, row) == Merged(inserted=(0,))
    ids = await both.rows(Side.DATAVERSE, "select orderid from dataverse.salesorder")
    await both.operations.script("again", "delete from erp.orders")
    assert await both.copy(ORDERS_BACK, *ids) == Merged(inserted=(0,))
    assert await both.rows(Side.OPERATIONS, "select account, entered::text, note from erp.orders") == [
        ("", "1900-01-01 00:00:00", "")
    ]


NUMBERED: Entity = entity(
    "Numbered",
    (
        DataSource("c", CUST),
        DataSource("p", PARTY, "inner", ((("c", "party"), "recid"),)),
    ),
    ("dataAreaId", "Name"),
    dataAreaId=("c", "dataareaid", Kind.STRING),
    Name=("p", "name", Kind.STRING),
)
BY_NAME = Leg(
    "names",
    Side.OPERATIONS,
    NUMBERED,
    ACCOUNT,
    (
        LegColumn("dataAreaId", "company", Kind.STRING, key=True, company=True, target_reference=TO_COMPANY),
        LegColumn("Name", "number", Kind.STRING, key=True),
    ),
)


async def test_a_key_in_a_joined_table_is_known_as_long_as_that_row_is_there(both: Pair) -> None:
    capture = next(c for c in both.ends.capture([BY_NAME], Side.OPERATIONS) if c.table == CUST)
    assert remembered(capture) == ("recid", "dataareaid", "party")
    gone = [
        noted(1, CUST, {"recid": 1, "dataareaid": "usmf", "party": 1}, {"recid": 9, "dataareaid": "usmf", "party": 9})
    ]
    assert await both.between(BY_NAME, lambda source, _: both.ends.noted_keys(source, BY_NAME, gone)) == [
        ("usmf", "Ann")
    ]


async def test_what_is_captured_is_what_the_legs_read(both: Pair) -> None:
    captures = {capture.table: capture for capture in both.ends.capture([CUSTOMERS, ORDERS_BACK], Side.OPERATIONS)}
    assert set(captures) == {CUST, PARTY}
    assert set(captures[CUST].watched) == {"dataareaid", "account", "credit", "blocked", "since", "grp", "party"}
    assert (captures[PARTY].identity, set(captures[PARTY].watched)) == (("recid",), {"name", "recid"})
