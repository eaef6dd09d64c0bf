"""Wire rows: what the source sends, what the target makes of it, and what cannot be written is said per row."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import pytest

from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.sync import Captured, Merged, Position, RowError, Side, Unsent
from forecourt.store.catalog import read_catalog
from forecourt.store.database import Database
from forecourt.store.sync.ends import Ends
from forecourt.store.sync.outbox import Outbox
from forecourt.store.unit import Unit
from forecourt.store.work import Coordinator, Work
from support.sync import CUSTOMER, CUSTOMERS, DATAVERSE, OPERATIONS, ORDERS, ORDERS_BACK

T = TypeVar("T")

ROWS = """
insert into erp.party (name) values ('Ann'), (''), ('In house');
insert into erp.cust (dataareaid, account, party, credit, blocked, since, grp) values
    ('usmf', 'C1', 1, 10.5, 1, '2026-01-02', ''), ('dat', 'C1', 2, 0, 0, '1900-01-01', ''),
    ('usmf', 'C9', 3, 0, 0, '1900-01-01', 'internal $1');
insert into erp.orders (dataareaid, salesid, account, total, entered, status) values
    ('usmf', 'S1', 'C1', 5, '2026-01-02 10:00', 1), ('usmf', 'S2', '', 0, '1900-01-01', 2);
"""
ANN = ("usmf", "C1", "Ann", Decimal("10.5"), True, dt.date(2026, 1, 2))
OTHER = ("dat", "C1", None, Decimal(0), False, None)
S1 = ("usmf", "S1", "C1", Decimal(5), dt.datetime(2026, 1, 2, 10, tzinfo=dt.UTC), 100, None)
S2 = ("usmf", "S2", None, Decimal(0), None, 200, None)


@dataclass
class Case:
    database: Database
    ends: Ends
    outbox: Outbox

    async def within(self, attempt: Callable[[Unit], Awaitable[T]]) -> T:
        async def run(work: Work) -> T:
            unit = await work.unit(self.database)
            return await attempt(unit)

        return await Coordinator({"operations": self.database}).run(run, "test")

    async def merge(self, *rows: tuple[object, ...], leg: object = CUSTOMERS) -> Merged:
        return await self.within(lambda unit: self.ends.merge(unit, leg, rows))  # type: ignore[arg-type]

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self.database.system(SystemPlan("look", sql))]

    async def noted(self, sql: str, *legs: object) -> list[Captured]:
        """What is captured of a script."""
        await self.outbox.install(self.ends.capture(legs, Side.OPERATIONS))  # type: ignore[arg-type]
        start = Position(await self.outbox.snapshot())
        await self.database.script("another program", sql)
        tables = [source.table for leg in legs for source in leg.source.sources]  # type: ignore[attr-defined]
        return (await self.outbox.read(start, tables, 100))[0]


@pytest.fixture
async def case(database: Database) -> AsyncIterator[Case]:
    await database.script("make tables", OPERATIONS + DATAVERSE + ROWS)
    catalog = await read_catalog(database)
    yield Case(database, Ends(catalog, catalog), Outbox(Side.OPERATIONS, database, catalog))


async def test_the_source_sends_mapped_values_of_rows_that_pass_the_filter(case: Case) -> None:
    found = await case.within(lambda unit: case.ends.project(unit, CUSTOMERS, [(2,), (3,), (1,), (99,)]))
    assert found == [((2,), OTHER), ((1,), ANN)]
    found = await case.within(lambda unit: case.ends.by_key(unit, ORDERS, [("usmf", "S1"), ("usmf", "S7")]))
    assert found == [((1,), S1)]


async def test_a_value_that_the_value_map_lacks_is_named(case: Case) -> None:
    await case.database.script("odd", "update erp.orders set status = 7 where salesid = 'S1'")
    ((_, row),) = await case.within(lambda unit: case.ends.project(unit, ORDERS, [(1,)]))
    assert isinstance(row, Unsent) and row.reason == "Status: 7"


async def test_new_rows_are_inserted_different_ones_updated_equal_ones_left_alone(case: Case) -> None:
    assert await case.merge(ANN, OTHER) == Merged(inserted=(0, 1))
    before = await case.rows("select xmin, * from dataverse.account order by name")
    assert await case.merge(ANN, OTHER) == Merged(unchanged=(0, 1))
    assert await case.rows("select xmin, * from dataverse.account order by name") == before
    renamed = (*ANN[:2], "Anne", *ANN[3:])
    assert await case.merge(renamed, OTHER) == Merged(updated=(0,), unchanged=(1,))
    assert await case.rows("select name, ownerid::text from dataverse.account where name is not null") == [
        ("Anne", "00000000-0000-0000-0000-000000000001")
    ]
    assert await case.within(lambda unit: case.ends.image(unit, CUSTOMERS, [("usmf", "C1"), ("usmf", "?")])) == [
        renamed,
        None,
    ]


async def test_the_last_of_several_rows_with_one_key_wins(case: Case) -> None:
    assert (await case.merge(ANN, (*ANN[:2], "Later", *ANN[3:]))).errors == ()
    assert await case.rows("select name from dataverse.account") == [("Later",)]


async def test_lookups_are_told_apart_by_company(case: Case) -> None:
    await case.merge(ANN, OTHER)
    assert await case.merge(S1, ("dat", *S1[1:]), leg=ORDERS) == Merged(inserted=(0, 1))
    found = await case.rows(
        "select c.code, ac.code from dataverse.salesorder o join dataverse.company c on c.companyid = o.company "
        "join dataverse.account a on a.accountid = o.customer join dataverse.company ac on ac.companyid = a.company"
    )
    assert sorted(found) == [("dat", "dat"), ("usmf", "usmf")]


async def test_a_row_in_error_is_told_and_the_others_are_written(case: Case) -> None:
    await case.merge(ANN)
    rows = [
        S1,
        ("usmf", "S3", "nobody", Decimal(1), None, 100, None),
        ("usmf", None, None, Decimal(1), None, 100, None),
        ("nowhere", "S4", None, Decimal(1), None, 100, None),
        ("usmf", "S" * 21, None, Decimal(1), None, 100, None),
        ("usmf", "S5", None, Decimal(1), None, 2**40, None),
        S2,
    ]
    merged = await case.merge(*rows, leg=ORDERS)
    assert merged.inserted == (0, 6)
    assert [(error.index, error.field) for error in merged.errors] == [
        (1, "customer"), (2, "number"), (3, "company"), (4, "number"), (5, "status"),
    ]  # fmt: skip
    assert merged.errors[0].message == "customer: no row of account has this key: nobody"


async def test_a_row_that_only_the_database_can_refuse_is_found_among_many(case: Case) -> None:
    await case.database.script("rule", "alter table dataverse.account add check (name <> 'bad')")
    rows = [("usmf", f"C{n}", "bad" if n == 37 else "good", Decimal(1), False, None) for n in range(100)]
    merged = await case.merge(*rows)
    assert ([error.index for error in merged.errors], len(merged.inserted)) == ([37], 99)


async def test_a_value_that_must_be_unique_is_an_error_of_its_row(case: Case) -> None:
    await case.database.script("rule", "alter table dataverse.account add unique (name)")
    merged = await case.merge(ANN, ("dat", "C1", "Ann", Decimal(0), False, None))
    assert (merged.inserted, [error.index for error in merged.errors]) == ((0,), [1])


async def test_the_way_back_stores_what_the_source_calls_none(case: Case) -> None:
    await case.merge(ANN)
    await case.merge(S1, S2, leg=ORDERS)
    await case.database.script("empty", "delete from erp.orders; update dataverse.salesorder set total = null")
    ids = [row[:1] for row in await case.rows("select orderid from dataverse.salesorder order by number")]
    sent = await case.within(lambda unit: case.ends.project(unit, ORDERS_BACK, ids))
    merged = await case.merge(*(row for _, row in sent), leg=ORDERS_BACK)
    assert merged == Merged(inserted=(0, 1))
    assert await case.rows("select salesid, account, total, entered::text, status from erp.orders order by 1") == [
        ("S1", "C1", 0, "2026-01-02 10:00:00", 1),
        ("S2", "", 0, "1900-01-01 00:00:00", 2),
    ]


async def test_rows_become_values_of_the_targets_fields(case: Case) -> None:
    await case.merge(ANN)
    found = await case.within(lambda unit: case.ends.resolve(unit, ORDERS, [S1, ("usmf", "S3", "nobody", *S1[3:])]))
    first, second = found
    assert isinstance(first, dict) and first["status"] == 100 and first["number"] == "S1"
    assert await case.rows("select accountid from dataverse.account") == [(first["customer"],)]
    assert isinstance(second, RowError) and second.field == "customer"


async def test_a_change_of_any_table_leads_to_the_rows_that_it_alters(case: Case) -> None:
    noted = await case.noted("update erp.party set name = 'Zoe' where recid = 2", CUSTOMERS)
    assert await case.within(lambda unit: case.ends.affected(unit, CUSTOMERS, noted)) == [(2,)]
    noted = await case.noted(
        "update erp.cust set credit = 1 where recid = 1; update erp.cust set grp = 'x' where recid = 2;"
        "update erp.cust set credit = 2 where recid = 1",
        CUSTOMERS,
    )
    assert await case.within(lambda unit: case.ends.affected(unit, CUSTOMERS, noted)) == [(2,), (1,)]


async def test_a_row_that_is_gone_is_known_by_the_key_that_it_had(case: Case) -> None:
    noted = await case.noted(
        "delete from erp.cust where recid = 2; update erp.cust set account = 'C2' where recid = 1", CUSTOMERS
    )
    keys = await case.within(lambda unit: case.ends.noted_keys(unit, CUSTOMERS, noted))
    assert sorted(keys) == [("dat", "C1"), ("usmf", "C1"), ("usmf", "C2")]
    await case.merge(ANN, OTHER)
    assert await case.within(lambda unit: case.ends.delete(unit, CUSTOMERS, [("dat", "C1"), ("dat", "C7")])) == [0]
    assert await case.rows("select name from dataverse.account") == [("Ann",)]


async def test_both_ends_have_the_same_hash_where_their_rows_are_equal(case: Case) -> None:
    await case.merge(ANN, OTHER)
    await case.merge(S1, S2, leg=ORDERS)
    for leg in (CUSTOMERS, ORDERS):
        source = await case.within(lambda unit, leg=leg: case.ends.segments(unit, leg, "source", 8))  # type: ignore[misc]
        target = await case.within(lambda unit, leg=leg: case.ends.segments(unit, leg, "target", 8))  # type: ignore[misc]
        assert source == target and sum(segment.rows for segment in source) == 2
    await case.database.script("drift", "update dataverse.account set credit = 10.6 where name = 'Ann'")
    source = await case.within(lambda unit: case.ends.segments(unit, CUSTOMERS, "source", 8))
    target = await case.within(lambda unit: case.ends.segments(unit, CUSTOMERS, "target", 8))
    (number,) = [a.number for a, b in zip(source, target, strict=True) if a != b]
    rows = await case.within(lambda unit: case.ends.segment(unit, CUSTOMERS, "target", 8, number))
    assert (*ANN[:3], Decimal("10.6"), *ANN[4:]) in rows


async def test_a_column_that_was_dropped_is_named(case: Case) -> None:
    assert case.ends.check(CUSTOMERS) == []
    await case.database.script("drop", "alter table erp.cust drop column credit")
    catalog = await read_catalog(case.database)
    assert Ends(catalog, catalog).check(CUSTOMERS) == [
        f"{CUSTOMER.name}.Credit: erp.cust has no column credit any more"
    ]
