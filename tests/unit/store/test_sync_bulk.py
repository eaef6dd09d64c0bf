"""Large amounts: staged by COPY or within one database, merged as a set, in batches that go on where one ended."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from forecourt.kernel.bulk import BulkMerged, Range, Roots, Selection, Staged, WholeTable
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.sync import Leg, LegColumn, Reference, Side, WireRow
from forecourt.kernel.types import Kind
from forecourt.store.catalog import read_catalog
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.sync.ends import Ends
from forecourt.store.unit import Unit
from support.ends import Pair, pair
from support.sync import ACCOUNT, CUSTOMER, CUSTOMERS, DATAVERSE, OPERATIONS, ORDERS, TO_COMPANY, entity

NOTHING: frozenset[str] = frozenset()
ROWS = """
insert into erp.party (name) select 'Name ' || n from generate_series(1, 250) n;
insert into erp.cust (dataareaid, account, party, credit, blocked, grp)
select 'usmf', 'C' || n, n, n, n % 2, case when n % 50 = 0 then 'internal $1' else '' end
from generate_series(1, 250) n;
insert into erp.orders (dataareaid, salesid, account, total)
select 'usmf', 'S' || n, 'C' || n, n from generate_series(1, 250) n;
"""


@pytest.fixture(params=[False, True], ids=["two databases", "one database"])
async def both(request: pytest.FixtureRequest, postgres: EmbeddedServer) -> AsyncIterator[Pair]:
    async with pair(postgres, [OPERATIONS, ROWS], [DATAVERSE], shared=request.param) as made:
        yield made


async def load(
    both: Pair,
    leg: Leg,
    selection: Selection,
    defer: frozenset[str] = NOTHING,
    having: frozenset[str] = NOTHING,
) -> tuple[Staged, BulkMerged]:
    async def attempt(source: Unit, target: Unit) -> tuple[Staged, BulkMerged]:
        staged = await both.bulk.stage(source, target, leg, selection, having)
        return staged, await both.bulk.merge(target, leg, defer)

    return await both.between(leg, attempt)


async def test_a_whole_table_goes_over_and_a_second_time_changes_nothing(both: Pair) -> None:
    staged, merged = await load(both, CUSTOMERS, WholeTable())
    assert (staged, merged) == (Staged(245), BulkMerged(inserted=245))
    assert await both.agree(CUSTOMERS)
    assert await both.segments(CUSTOMERS, "target", 1) != []
    before = await both.rows(Side.DATAVERSE, "select xmin, * from dataverse.account order by number")
    assert (await load(both, CUSTOMERS, WholeTable()))[1] == BulkMerged(unchanged=245)
    assert await both.rows(Side.DATAVERSE, "select xmin, * from dataverse.account order by number") == before


async def test_batches_count_rows_of_the_root_table_and_end_where_nothing_is_left(both: Pair) -> None:
    after: WireRow | None = None
    seen = []
    while True:
        staged, merged = await load(both, CUSTOMERS, Range(after, 100))
        if staged.last is None:
            break
        assert staged.rows == merged.inserted
        seen.append((staged.rows, staged.last))
        after = staged.last
    assert seen == [(98, (100,)), (98, (200,)), (49, (250,))]
    assert await both.agree(CUSTOMERS)


async def test_chosen_rows_go_over_in_the_order_given_and_the_last_of_one_key_stands(both: Pair) -> None:
    await load(both, CUSTOMERS, WholeTable())
    staged, merged = await load(both, ORDERS, Roots([(3,), (1,), (999,)]))
    assert (staged.rows, merged) == (2, BulkMerged(inserted=2))
    await both.operations.script("more", "update erp.orders set total = 99 where recid = 1")
    assert (await load(both, ORDERS, Roots([(3,), (1,)])))[1] == BulkMerged(updated=1, unchanged=1)


async def test_every_row_in_error_is_named_by_its_root_key_and_the_others_are_written(both: Pair) -> None:
    await load(both, CUSTOMERS, Range(None, 200))
    await both.dataverse.script("rule", "alter table dataverse.salesorder add check (total <> 7)")
    await both.operations.script("odd", "update erp.orders set status = 9 where recid = 5")
    _, merged = await load(both, ORDERS, WholeTable())
    unknown = [50, 100, 150, *range(200, 251)]
    assert merged.inserted == 250 - 2 - len(unknown)
    assert [error.root for error in merged.errors] == [(n,) for n in sorted([5, 7, *unknown])]
    assert [(error.root, error.field, error.message) for error in merged.errors[:3]] == [
        ((5,), "", "Status: 9"),
        ((7,), "", "The database refuses the change: a rule of its own is violated."),
        ((50,), "customer", "customer: no row of account has this key: C50"),
    ]


async def test_two_rows_of_the_source_with_one_key_are_told(both: Pair) -> None:
    await both.operations.script(
        "twice",
        "alter table erp.cust drop constraint cust_dataareaid_account_key; "
        "update erp.cust set account = 'C1' where recid = 2",
    )
    _, merged = await load(both, CUSTOMERS, WholeTable())
    assert [(error.root, error.message) for error in merged.errors] == [
        ((1,), "another row of the source has the same key")
    ]
    assert merged.inserted == 244


async def test_a_stage_is_gone_with_its_transaction_and_may_be_made_again_within_it(both: Pair) -> None:
    async def attempt(source: Unit, target: Unit) -> int:
        for _ in range(2):
            staged = await both.bulk.stage(source, target, CUSTOMERS, WholeTable())
        return staged.rows

    assert await both.between(CUSTOMERS, attempt) == 245
    assert await both.rows(Side.DATAVERSE, "select 1 from pg_class where relname = 'forecourt_stage'") == []


# -- cycles ------------------------------------------------------------------------------------------------------------

PARENTS = "alter table erp.cust add parent varchar(20) not null default ''"
PARENT = "alter table dataverse.account add parent uuid references dataverse.account"


def _with_parent() -> Leg:
    customer: Entity = entity(
        "Customer",
        CUSTOMER.sources,
        CUSTOMER.key,
        dataAreaId=("c", "dataareaid", Kind.STRING),
        Account=("c", "account", Kind.STRING),
        Parent=("c", "parent", Kind.STRING),
    )
    account = entity(
        "account",
        ACCOUNT.sources,
        ACCOUNT.key,
        accountid=("t", "accountid", Kind.GUID),
        number=("t", "number", Kind.STRING),
        company=("t", "company", Kind.GUID),
        parent=("t", "parent", Kind.GUID),
    )
    columns = (
        LegColumn("dataAreaId", "company", Kind.STRING, key=True, company=True, target_reference=TO_COMPANY),
        LegColumn("Account", "number", Kind.STRING, key=True),
        LegColumn(
            "Parent",
            "parent",
            Kind.STRING,
            null_in="",
            target_reference=Reference(account, "accountid", "number", "company"),
        ),
    )
    return Leg("customers", Side.OPERATIONS, customer, account, columns)


async def test_rows_that_name_each_other_arrive_in_two_passes(postgres: EmbeddedServer) -> None:
    leg, later = _with_parent(), frozenset({"parent"})
    cycle = "update erp.cust set parent = 'C' || (1 + recid % 250) where recid % 10 = 0"
    async with pair(postgres, [OPERATIONS, ROWS, PARENTS, cycle], [DATAVERSE, PARENT]) as both:
        _, refused = await load(both, leg, WholeTable())
        assert len(refused.errors) == 25
        await both.dataverse.script("again", "delete from dataverse.account")
        assert (await load(both, leg, WholeTable(), defer=later))[1] == BulkMerged(inserted=250)
        staged, merged = await load(both, leg, WholeTable(), having=later)
        assert (staged.rows, merged) == (25, BulkMerged(updated=25))
        assert await both.agree(leg)


async def test_a_row_finds_its_parent_in_the_same_batch(postgres: EmbeddedServer) -> None:
    async with pair(postgres, [OPERATIONS], [DATAVERSE, PARENT]) as both:
        chain: list[WireRow] = [("usmf", "C3", "C2"), ("usmf", "C2", "C1"), ("usmf", "C1", None), ("usmf", "C9", "C8")]
        merged = await both.merge(_with_parent(), *chain)
        assert merged.inserted == (0, 1, 2)
        assert [(error.index, error.field) for error in merged.errors] == [(3, "parent")]


async def test_a_lookup_that_a_row_cannot_do_without_is_not_put_off(both: Pair) -> None:
    with pytest.raises(Refusal, match="company"):
        await load(both, ORDERS, Range(None, 10), defer=frozenset({"company"}))


async def test_a_lookup_that_is_ambiguous_is_an_error_of_the_row(both: Pair) -> None:
    await both.dataverse.script(
        "twice",
        "alter table dataverse.company drop constraint company_code_key; "
        "insert into dataverse.company (code) values ('usmf')",
    )
    ends = Ends(await read_catalog(both.operations), await read_catalog(both.dataverse))
    _, merged = await load(Pair(both.operations, both.dataverse, ends), CUSTOMERS, Range(None, 10))
    assert merged.inserted == 0
    assert {error.message for error in merged.errors} == {"several rows of the target have this key"}
