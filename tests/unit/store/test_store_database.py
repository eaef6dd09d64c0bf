"""Reads, updates and the system's work on a real database."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from forecourt.kernel.errors import Refusal, Unavailable, not_found
from forecourt.kernel.observe import Observation, SystemWork
from forecourt.kernel.plan import SecuredExpand, SecuredPlan, SecuredWrite, SystemPlan, TableChange, Witness
from forecourt.kernel.predicate import And, Arith, Column, Compare, Const, Exists, Not, Param, Slot
from forecourt.kernel.relation import ROW_VERSION, Output, Select, Sort, Source, TableName
from forecourt.kernel.types import Kind
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.compile import compile_read, compile_select, compile_witness
from forecourt.store.compile_write import compile_write
from forecourt.store.database import Database
from forecourt.store.statements import ReadStatement
from forecourt.store.witness import fingerprint
from forecourt.store.work import Coordinator, Work

ORDERS, LINES, NOTES, LINKS = (TableName("public", name) for name in ("orders", "lines", "notes", "links"))

SCHEMA = """
create table orders (
    id int primary key, vendor varchar(10) not null, number varchar(10) not null unique, amount numeric(6, 2),
    pieces smallint check (pieces > 0), made timestamp, seen timestamptz, row_id uuid, note text);
insert into orders values
    (1, 'V1', 'A', 1.50, 3, '2026-11-23 10:00', '2026-11-23 10:00+02', '00000000-0000-0000-0000-000000000001', 'x'),
    (2, 'V1', 'B', null, null, null, null, null, null), (3, 'V2', 'C', 9, 9, null, null, null, 'z');
create table lines (order_id int, company varchar(4), number smallint, primary key (order_id, company, number));
insert into lines select o, c, n from generate_series(1, 2) o, unnest(array['usmf', 'dat']) c, generate_series(1, 3) n;
create table notes (order_id int, company varchar(4), number int, text text);
insert into notes values (1, 'usmf', 1, 'first'), (1, 'usmf', 1, 'second'), (2, 'dat', 3, 'third');
create table links (person text, vendor text);
insert into links values ('ann', 'V1');
"""


@dataclass
class Store:
    database: Database
    catalog: Catalog


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    await database.script("make tables", SCHEMA)
    yield Store(database, await read_catalog(database))


def outputs(alias: str, **kinds: Kind | None) -> tuple[Output, ...]:
    return tuple(Output(name, Column(alias, name), kind) for name, kind in kinds.items())


def orders(**changes: object) -> Select:
    select = Select(
        (Source("o", ORDERS),),
        Compare("eq", Column("o", "vendor"), Param("vendor")),
        outputs("o", id=Kind.INT32, number=Kind.STRING),
        (Sort(Column("o", "number"), nullable=False),),
    )
    return replace(select, **changes)  # type: ignore[arg-type]


PERSON = Select(
    (Source("l", LINKS),), Compare("eq", Column("l", "person"), Param("user.id")), outputs("l", vendor=None)
)


async def params(store: Store) -> dict[str, object]:
    rows = (await store.database.read(compile_witness(PERSON, store.catalog), (), {"user.id": "ann"})).rows
    return {"user.id": "ann", "vendor": rows[0][0], "seen": fingerprint(rows)}


# ------------------------------------------------------------------------------------------------------- reads


async def test_values_come_back_in_the_types_of_their_kinds(store: Store) -> None:
    kinds = {"amount": Kind.DECIMAL, "pieces": Kind.INT32, "made": Kind.DATETIME, "seen": Kind.DATETIME}
    select = orders(outputs=outputs("o", **kinds, row_id=Kind.GUID, note=Kind.STRING), limit=Const(1))
    row = (await store.database.read(compile_select(select, store.catalog), (), {"vendor": "V1"})).rows[0]
    assert tuple(row) == (
        Decimal("1.50"),
        3,
        dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC),
        UUID(int=1),
        "x",
    )
    assert isinstance(row[4], UUID)


async def test_the_total_counts_all_rows_also_when_the_page_is_empty(store: Store) -> None:
    plan = SecuredPlan("Order", orders(limit=Const(1), offset=Slot(0, Kind.INT64)), count=orders())
    statement = compile_read(plan, store.catalog)
    for skipped, rows in ((0, 1), (5, 0)):
        result = await store.database.read(statement, (skipped,), {"vendor": "V1"})
        assert (len(result.rows), result.total) == (rows, 2)


async def test_a_count_alone_is_the_total(store: Store) -> None:
    statement = compile_read(SecuredPlan("Order", orders(count=True)), store.catalog)
    assert (await store.database.read(statement, (), {"vendor": "V1"})).total == 2


async def test_children_come_for_all_parents_at_once_and_nest(store: Store) -> None:
    notes = Select((Source("n", NOTES),), outputs=outputs("n", text=Kind.STRING), order=(Sort(Column("n", "text")),))
    keys = tuple(Column("n", name) for name in ("order_id", "company", "number"))
    nested = SecuredExpand("Notes", True, "Note", notes, ("order_id", "company", "number"), keys)
    lines = Select(
        (Source("l", LINES),),
        outputs=outputs("l", order_id=Kind.INT32, company=Kind.STRING, number=Kind.INT32),
        order=(
            Sort(Column("l", "number"), descending=True, nullable=False),
            Sort(Column("l", "company"), False, False),
        ),
    )
    expand = SecuredExpand("Lines", True, "Line", lines, ("id",), (Column("l", "order_id"),), expands=(nested,))
    result = await store.database.read(
        compile_read(SecuredPlan("Order", orders(), expands=(expand,)), store.catalog), (), {"vendor": "V1"}
    )
    (child,) = result.children
    first = [tuple(row)[1:3] for row in child.of(result.rows[0])]
    assert first == [("dat", 3), ("usmf", 3), ("dat", 2), ("usmf", 2), ("dat", 1), ("usmf", 1)]
    (grandchild,) = child.children
    texts = {tuple(row)[:3]: [note[0] for note in grandchild.of(row)] for row in child.rows}
    assert texts[(1, "usmf", 1)] == ["first", "second"] and texts[(2, "dat", 3)] == ["third"]
    assert texts[(1, "dat", 1)] == []


async def test_each_parent_has_its_first_children_up_to_the_limit(store: Store) -> None:
    lines = Select(
        (Source("l", LINES),),
        outputs=outputs("l", number=Kind.INT32),
        order=(Sort(Column("l", "number"), descending=True, nullable=False),),
    )
    expand = SecuredExpand("Lines", True, "L", lines, ("id",), (Column("l", "order_id"),), limit=Slot(0, Kind.INT32))
    result = await store.database.read(
        compile_read(SecuredPlan("Order", orders(), expands=(expand,)), store.catalog), (3,), {"vendor": "V1"}
    )
    assert [[line[0] for line in result.children[0].of(row)] for row in result.rows] == [[3, 3, 2], [3, 3, 2]]


async def test_parents_without_a_key_value_have_no_children(store: Store) -> None:
    lines = Select((Source("l", LINES),), outputs=outputs("l", number=Kind.INT32))
    expand = SecuredExpand("Lines", True, "Line", lines, ("pieces",), (Column("l", "order_id"),))
    plan = SecuredPlan("Order", orders(outputs=outputs("o", pieces=Kind.INT32), offset=Const(1)), expands=(expand,))
    result = await store.database.read(compile_read(plan, store.catalog), (), {"vendor": "V1"})
    assert result.rows[0][0] is None and list(result.children[0].of(result.rows[0])) == []


async def test_a_changed_witness_gives_no_rows_and_no_total(store: Store) -> None:
    values = await params(store)
    plan = SecuredPlan("Order", orders(), count=orders(), witnesses=(Witness(PERSON, "seen"),))
    statement = compile_read(plan, store.catalog)
    assert (await store.database.read(statement, (), values)).total == 2
    await store.database.script("revoke", "delete from links")
    assert await store.database.read(statement, (), values) == ([], None, ())


async def test_a_changed_witness_makes_a_read_with_children_empty(store: Store) -> None:
    values = await params(store)
    lines = Select((Source("l", LINES),), outputs=outputs("l", number=Kind.INT32))
    expand = SecuredExpand("Lines", True, "Line", lines, ("id",), (Column("l", "order_id"),))
    plan = SecuredPlan("Order", orders(), expands=(expand,), witnesses=(Witness(PERSON, "seen"),))
    statement = compile_read(plan, store.catalog)
    assert (await store.database.read(statement, (), values)).children[0].rows
    await store.database.script("revoke", "delete from links")
    assert await store.database.read(statement, (), values) == ([], None, ())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.INT64, 2**63),
        (Kind.STRING, "nul \0"),
        (Kind.STRING, "half a pair \ud800"),
        (Kind.DECIMAL, "no number"),
    ],
)
async def test_values_that_do_not_fit_are_refused_whether_driver_or_database_finds_out(
    store: Store, kind: Kind, value: object
) -> None:
    column = Column("o", "note" if kind is Kind.STRING else "amount")
    statement = compile_select(orders(where=Compare("eq", column, Slot(0, kind))), store.catalog)
    for _ in range(3):  # the connection stays usable
        with pytest.raises(Refusal) as refusal:
            await store.database.read(statement, (value,), {})
        assert refusal.value.code == "FC1003"
        assert str(value) not in refusal.value.text


async def test_a_literal_wider_than_the_column_is_compared_not_refused(store: Store) -> None:
    where = Compare("lt", Column("o", "pieces"), Slot(0, Kind.INT32))
    statement = compile_select(orders(where=where), store.catalog)
    assert len((await store.database.read(statement, (2**40,), {})).rows) == 2


async def test_no_row_can_make_a_filter_fail(store: Store) -> None:
    amount, pieces = Column("o", "amount"), Column("o", "pieces")
    nothing = Arith("sub", pieces, Const(3))
    for operand in (Arith("div", amount, nothing), Arith("mod", amount, nothing), Arith("mul", pieces, Const(2**62))):
        statement = compile_select(orders(where=Compare("gt", operand, Const(0))), store.catalog)
        await store.database.read(statement, (), {})


async def test_a_read_that_takes_too_long_is_refused(database_url: str) -> None:
    database = await Database.open(database_url, statement_timeout=0.05)
    statement = ReadStatement("select count(*) from generate_series(1, 1000000000)", (), ("n",))
    with pytest.raises(Refusal) as refusal:
        await database.read(statement, (), {})
    assert refusal.value.code == "FC5031"
    assert [tuple(row) for row in (await database.read(ReadStatement("select 1", (), ("n",)), (), {})).rows] == [(1,)]
    await database.close()


@pytest.mark.parametrize("lane", ["key", "list"])
async def test_a_read_cannot_write(store: Store, lane: str) -> None:
    statement = ReadStatement("delete from orders", (), (), lane=lane)  # type: ignore[arg-type]
    with pytest.raises(Refusal):
        await store.database.read(statement, (), {})


async def test_each_lane_has_its_own_planning(database: Database) -> None:
    modes = []
    for lane in ("key", "list"):
        statement = ReadStatement("select current_setting('plan_cache_mode')", (), ("mode",), lane=lane)  # type: ignore[arg-type]
        modes.append((await database.read(statement, (), {})).rows[0][0])
    assert modes == ["auto", "force_custom_plan"]


# ----------------------------------------------------------------------------------------------------- updates


def write(*assignments: tuple[str, Slot | None], **changes: object) -> SecuredWrite:
    key = Compare("eq", Column("o", "id"), Slot(0, Kind.INT32))
    mine = Compare("eq", Column("o", "vendor"), Param("vendor"))
    shown = (Output("@version", Column("o", ROW_VERSION), None), Output("@id.o.0", Column("o", "id"), None))
    find = Select(
        (Source("o", ORDERS), Source("l", LINKS, "left", Compare("eq", Column("l", "vendor"), Column("o", "vendor")))),
        And((key, mine)),
        shown,
    )
    check = Select((Source("o", ORDERS),), And((Compare("eq", Column("o", "id"), Param("@id.0")), mine)), shown)
    table = TableChange("o", ORDERS, "update", ("id",), assignments)
    plan = SecuredWrite("Order", "update", (table,), find, check, (Witness(PERSON, "seen"),))
    return replace(plan, **changes)  # type: ignore[arg-type]


async def update(store: Store, plan: SecuredWrite, slots: Sequence[object], values: dict[str, object]) -> object:
    """The row after the write, in a unit of work of its own."""
    statement = compile_write(plan, store.catalog)
    params = {"forecourt.origin": "work", **values}

    async def attempt(work: Work) -> object:
        unit = await work.unit(store.database)
        found = await unit.find(statement, slots, params)
        if found is None:
            raise not_found()
        return await unit.apply(statement, found, slots, params)

    return await Coordinator({"operations": store.database}).run(attempt, "test")


async def order(store: Store, number: int) -> asyncpg.Record:
    return (await store.database.system(SystemPlan("look", "select *, xmin from orders where id = $1", (number,))))[0]


async def refused(store: Store, plan: SecuredWrite, *slots: object, **changes: object) -> str:
    before = await order(store, 1)
    with pytest.raises(Refusal) as refusal:
        await update(store, plan, slots, {**await params(store), **changes})
    assert await order(store, 1) == before
    return refusal.value.code


async def test_an_update_sets_the_columns_of_the_one_row(store: Store) -> None:
    plan = write(
        ("amount", Slot(1, Kind.DECIMAL)),
        ("made", Slot(2, Kind.DATETIME)),
        ("row_id", Slot(3, Kind.GUID)),
        ("note", None),
        version=Slot(4, Kind.INT64),
    )
    moment, version = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC), (await order(store, 1))["xmin"]
    slots = (1, Decimal("2.345"), moment, UUID(int=9), version)
    assert await update(store, plan, slots, await params(store)) is not None
    row = await order(store, 1)
    assert tuple(row)[:9] == (
        1,
        "V1",
        "A",
        Decimal("2.35"),
        3,
        moment.replace(tzinfo=None),
        row["seen"],
        UUID(int=9),
        None,
    )
    assert (await order(store, 2))["amount"] is None


async def test_a_row_of_somebody_else_does_not_exist(store: Store) -> None:
    assert await refused(store, write(("note", Slot(1, Kind.STRING))), 3, "mine now") == "FC4041"
    assert await refused(store, write(("note", Slot(1, Kind.STRING))), 99, "x") == "FC4041"


async def test_a_changed_witness_lets_no_update_through(store: Store) -> None:
    assert await refused(store, write(("note", Slot(1, Kind.STRING))), 1, "x", seen="something else") == "FC4041"


async def test_an_outdated_version_is_refused(store: Store) -> None:
    plan = write(("note", Slot(1, Kind.STRING)), version=Slot(2, Kind.INT64))
    assert await refused(store, plan, 1, "x", 1) == "FC4121"


async def test_a_change_that_moves_the_row_out_of_reach_is_undone(store: Store) -> None:
    assert await refused(store, write(("vendor", Slot(1, Kind.STRING))), 1, "V2") == "FC3005"


@pytest.mark.parametrize(
    ("column", "kind", "value", "code"),
    [
        ("number", Kind.STRING, "B", "FC4092"),
        ("pieces", Kind.INT32, -1, "FC4091"),
        ("pieces", Kind.INT32, 40000, "FC1003"),
        ("amount", Kind.DECIMAL, Decimal(99999), "FC1003"),
        ("vendor", Kind.STRING, "much too long", "FC1003"),
        ("note", Kind.STRING, 7, "FC1003"),
    ],
)
async def test_a_change_against_the_rules_of_the_database_is_refused_without_its_text(
    store: Store, column: str, kind: Kind, value: object, code: str
) -> None:
    assert await refused(store, write((column, Slot(1, kind))), 1, value) == code


async def test_a_required_column_cannot_be_emptied(store: Store) -> None:
    assert await refused(store, write(("number", None)), 1) == "FC4091"


async def test_what_a_trigger_of_the_database_forbids_is_refused(store: Store) -> None:
    await store.database.script(
        "a rule",
        "create function no() returns trigger language plpgsql as $$ begin raise 'secret'; end $$;"
        "create trigger t before update on orders for each row execute function no()",
    )
    assert await refused(store, write(("note", Slot(1, Kind.STRING))), 1, "x") == "FC4091"


async def test_writers_of_one_row_take_turns(store: Store) -> None:
    plan = write(("note", Slot(1, Kind.STRING)))
    values = await params(store)
    await asyncio.gather(*(update(store, plan, (1, f"n{number}"), values) for number in range(20)))
    assert (await order(store, 1))["note"].startswith("n")


async def test_a_deadlock_between_two_writers_is_retried(store: Store) -> None:
    # Each update touches, by trigger, the row that the other one has locked.
    await store.database.script(
        "entangle",
        "create function touch() returns trigger language plpgsql as $$ begin"
        " if new.note like 'n%' then update orders set note = note || '.' where id = 3 - new.id; end if;"
        " return null; end $$; create trigger t after update of amount on orders for each row execute function touch()",
    )
    plan = write(("amount", Slot(1, Kind.DECIMAL)))
    await store.database.script("mark", "update orders set note = 'n'")
    values = await params(store)
    await asyncio.gather(*(update(store, plan, (1 + n % 2, Decimal(n)), values) for n in range(4)))
    notes = await store.database.system(SystemPlan("look", "select note from orders where id < 3 order by id"))
    assert sorted(row["note"] for row in notes) == ["n..", "n.."]


# ------------------------------------------------------------------------------------------- the system's own work


async def test_the_system_s_work_is_observed_with_its_reason(database_url: str) -> None:
    seen: list[Observation] = []
    database = await Database.open(database_url, seen.append)
    await database.system(SystemPlan("look around", "select 1"))
    await database.script("set up", "create table a (x int); create table b (x int)")
    await database.close()
    assert seen == [SystemWork("look around"), SystemWork("set up")]


async def test_a_transaction_is_undone_when_its_block_raises(database: Database) -> None:
    await database.script("set up", "create table a (x int)")
    with pytest.raises(ZeroDivisionError):
        async with database.transaction("try") as transaction:
            await transaction.execute("insert into a values (1)")
            raise ZeroDivisionError
    assert (await database.system(SystemPlan("count", "select count(*) from a")))[0][0] == 0


async def test_rows_are_loaded_from_text_with_progress(database: Database) -> None:
    await database.script("set up", 'create schema "S"; create table "S"."T" (id int, "n m" text)')
    chunks = [b"1\ta\n2\t", b"\\N\n", b"3\tc\\td\n"]
    heard: list[int] = []
    assert await database.copy_in(TableName("S", "T"), ["id", "n m"], iter(chunks), heard.append) == 3
    assert heard == [6, 9, 16]
    rows = await database.system(SystemPlan("look", 'select * from "S"."T" order by id'))
    assert [tuple(row) for row in rows] == [(1, "a"), (2, None), (3, "c\td")]


async def test_a_load_that_breaks_off_leaves_nothing(database: Database) -> None:
    await database.script("set up", "create table a (x int)")
    with pytest.raises(asyncpg.PostgresError):
        await database.copy_in(TableName("public", "a"), ["x"], [b"1\n", b"two\n"])
    assert (await database.system(SystemPlan("count", "select count(*) from a")))[0][0] == 0


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: object) -> None:
    with pytest.raises(Unavailable):
        await Database.open(f"postgresql://postgres@/x?host={tmp_path}", patience=0.5)


async def test_exists_and_not_exists_split_the_rows(store: Store) -> None:
    inner = Select((Source("n", NOTES),), Compare("eq", Column("n", "order_id"), Column("o", "id")))
    with_notes = compile_select(orders(where=Exists(inner)), store.catalog)
    without = compile_select(orders(where=Not(Exists(inner))), store.catalog)
    assert [row["id"] for row in (await store.database.read(with_notes, (), {})).rows] == [1, 2]
    assert [row["id"] for row in (await store.database.read(without, (), {})).rows] == [3]


async def test_a_refusal_costs_no_connection(store: Store) -> None:
    plan, values = write(("note", Slot(1, Kind.STRING))), await params(store)
    sessions = []
    for _ in range(3):
        with pytest.raises(Refusal):
            await update(store, plan, (99, "x"), values)
        count = "select count(*) from pg_stat_activity where datname = current_database()"
        sessions.append(await store.database.system(SystemPlan("count", count)))
    assert sessions[0] == sessions[-1]


async def test_a_literal_so_large_that_a_product_could_overflow_is_refused_whatever_the_rows_hold(store: Store) -> None:
    product = Compare("gt", Arith("mul", Column("o", "amount"), Slot(0, Kind.DECIMAL)), Const(0))
    statement = compile_select(orders(where=And((orders().where, product))), store.catalog)
    for vendor in ("V1", "nobody"):
        with pytest.raises(Refusal) as refusal:
            await store.database.read(statement, (Decimal("1e131070"),), {"vendor": vendor})
        assert refusal.value.code == "FC1003"


async def test_a_database_that_does_not_exist_is_named_as_the_reason(database_url: str) -> None:
    with pytest.raises(Unavailable, match="no database"):
        await Database.open(database_url.replace("/test_", "/no_"))
