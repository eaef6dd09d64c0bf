"""Definitions brought to a database: online, recorded, taken back; nothing with values is ever dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from forecourt.dataverse.definitions import TableFile
from forecourt.dataverse.schema_apply import SchemaError, apply, bring_up, history, preview, undo
from forecourt.dataverse.schema_types import format_fault, lossless
from forecourt.dataverse.solution import read_tables
from forecourt.store.database import Database
from forecourt.store.folder import Faults
from support.native_tables import company_files, solution_folder

THING = """
table: fc_thing
primary_name: fc_name
columns:
  fc_name: {type: text, length: 20}
  fc_size: {type: whole}
  fc_accountid: {type: lookup, target: account}
keys:
  fc_thing_name: [fc_name]
"""


@pytest.fixture
async def plain(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of another program, once the table of things is there."""
    await bring_up(database, things())
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def things(*changes: tuple[str, str]) -> list[TableFile]:
    """The built-in tables and things, with parts of their file replaced."""
    text = THING
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return company_files(text)


def added(line: str) -> tuple[str, str]:
    return "keys:", f"  {line}\nkeys:"


async def columns(plain: asyncpg.Connection, table: str = "fc_thing") -> dict[str, str]:
    rows = await plain.fetch(
        "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a where not a.attisdropped"
        " and a.attnum > 0 and a.attrelid = $1::regclass",
        f"dataverse.{table}",
    )
    return dict(rows)


# ------------------------------------------------------------------------------------------------------------ adding


async def test_a_column_is_added_with_its_default_and_taken_back_with_its_values(
    plain: asyncpg.Connection, database: Database
) -> None:
    await plain.execute("insert into dataverse.fc_thing (fc_name) values ('a')")
    done = await bring_up(database, things(added("fc_color: {type: text, length: 10, default: red}")))
    assert done.done == ("column fc_thing.fc_color, character varying(10)",)
    assert await plain.fetchval("select fc_color from dataverse.fc_thing") == "red"
    await plain.execute("update dataverse.fc_thing set fc_color = 'blue'")
    back = await undo(database)
    assert back.done == done.done
    aside = f"fc_color__dropped_{done.number}"
    assert "fc_color" not in await columns(plain)
    await plain.execute("insert into dataverse.fc_thing (fc_name) values ('b')")
    assert await plain.fetch(f'select "{aside}" from dataverse.fc_thing order by fc_name') == [("blue",), (None,)]
    assert (await bring_up(database, things())).done == ()


async def test_a_table_that_is_taken_back_keeps_its_rows_aside(plain: asyncpg.Connection, database: Database) -> None:
    files = company_files(THING, "table: fc_more\ncolumns:\n  fc_thingid: {type: lookup, target: fc_thing}")
    done = await bring_up(database, files)
    await plain.execute("insert into dataverse.fc_thing (fc_name) values ('a')")
    await plain.execute("insert into dataverse.fc_more (fc_thingid) select fc_thingid from dataverse.fc_thing")
    await undo(database)
    assert await plain.fetchval(f'select count(*) from dataverse."fc_more__dropped_{done.number}"') == 1
    await plain.execute("delete from dataverse.fc_thing")  # nothing of the table that is aside stands in the way
    again = await bring_up(database, files)
    assert again.done[0].startswith("table fc_more")
    assert (await preview(database, files)).steps == []


async def test_text_grows_at_once_and_never_shrinks(plain: asyncpg.Connection, database: Database) -> None:
    done = await bring_up(database, things(("length: 20", "length: 60")))
    assert done.done == ("fc_thing.fc_name from character varying(20) to character varying(60)",)
    done = await bring_up(database, things(("length: 20", "length: 30")))
    assert done.done == ()
    assert "wider than character varying(30)" in done.notices[0]
    assert (await columns(plain))["fc_name"] == "character varying(60)"
    await undo(database)
    assert (await columns(plain))["fc_name"] == "character varying(20)"


async def test_a_column_is_rewritten_only_when_asked_for(plain: asyncpg.Connection, database: Database) -> None:
    await plain.execute("insert into dataverse.fc_thing (fc_size) values (7)")
    files = things(("type: whole", "type: big"))
    started = await bring_up(database, files)
    assert started.done == ()
    assert started.notices == ("left to 'forecourt tables apply': fc_thing.fc_size from integer to bigint.",)
    await apply(database, files)
    assert (await columns(plain))["fc_size"] == "bigint"
    assert await plain.fetchval("select fc_size from dataverse.fc_thing") == 7
    await undo(database)
    assert (await columns(plain))["fc_size"] == "integer"


async def test_a_type_that_would_lose_values_is_left_alone(plain: asyncpg.Connection, database: Database) -> None:
    done = await apply(database, things(("fc_size: {type: whole}", "fc_size: {type: date}")), drop=True)
    assert done.done == ()
    assert "cannot become date without losing values" in done.notices[0]
    assert (await columns(plain))["fc_size"] == "integer"


async def test_limits_and_defaults_follow_the_file(plain: asyncpg.Connection, database: Database) -> None:
    await bring_up(database, things(("type: whole", "type: whole, min: 1, default: 3")))
    assert await plain.fetchval("insert into dataverse.fc_thing default values returning fc_size") == 3
    with pytest.raises(asyncpg.CheckViolationError):
        await plain.execute("insert into dataverse.fc_thing (fc_size) values (0)")
    await bring_up(database, things(("type: whole", "type: whole, min: -1")))
    assert await plain.fetchval("insert into dataverse.fc_thing default values returning fc_size") is None
    await plain.execute("insert into dataverse.fc_thing (fc_size) values (0)")
    await plain.execute("delete from dataverse.fc_thing where fc_size < 1")
    await undo(database)
    with pytest.raises(asyncpg.CheckViolationError):
        await plain.execute("insert into dataverse.fc_thing (fc_size) values (-1)")


async def test_an_autonumber_can_grow_longer(plain: asyncpg.Connection, database: Database) -> None:
    short = added("fc_number: {type: autonumber, length: 10, format: 'A{SEQNUM:2}'}")
    long = added("fc_number: {type: autonumber, length: 50, format: 'A{SEQNUM:2}'}")
    await plain.execute("insert into dataverse.fc_thing default values")
    await bring_up(database, things(short))
    await bring_up(database, things(long))
    await plain.execute("insert into dataverse.fc_thing (fc_number) values (null)")
    assert await plain.fetch("select fc_number from dataverse.fc_thing order by 1") == [("A1000",), ("A1001",)]


# ---------------------------------------------------------------------------------------------- rows that stand against


async def test_rows_that_lead_nowhere_are_reported_and_new_ones_refused(
    plain: asyncpg.Connection, database: Database
) -> None:
    await plain.execute("alter table dataverse.fc_thing drop constraint fc_thing_fc_accountid_fkey")
    await plain.execute("insert into dataverse.fc_thing (fc_accountid) values ($1)", uuid4())
    done = await bring_up(database, things())
    assert done.done == ("foreign key fc_thing.fc_accountid to account",)
    assert done.notices == ("rows of today stand against it: check the rows of fc_thing.fc_accountid.",)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await plain.execute("insert into dataverse.fc_thing (fc_accountid) values ($1)", uuid4())
    await plain.execute("update dataverse.fc_thing set fc_accountid = null")
    assert (await bring_up(database, things())).done == ("check the rows of fc_thing.fc_accountid",)


async def test_a_key_that_rows_violate_leaves_nothing_behind(plain: asyncpg.Connection, database: Database) -> None:
    for _ in range(2):
        await plain.execute("insert into dataverse.fc_thing (fc_size) values (1)")
    files = things(("  fc_thing_name: [fc_name]", "  fc_thing_name: [fc_name]\n  fc_thing_size: [fc_size]"))
    done = await bring_up(database, files)
    assert done.notices == ("rows of today stand against it: alternate key fc_thing_size on fc_thing (fc_size).",)
    assert await plain.fetchval("select to_regclass('dataverse.fc_thing_size')") is None
    await plain.execute("update dataverse.fc_thing set fc_size = null")
    assert (await bring_up(database, files)).notices == ()


async def test_a_key_of_other_columns_replaces_the_old_one_when_asked_for(
    plain: asyncpg.Connection, database: Database
) -> None:
    files = things(("[fc_name]", "[fc_name, fc_size]"))
    assert (await bring_up(database, files)).done == ()
    await apply(database, files)
    await plain.execute("insert into dataverse.fc_thing (fc_name, fc_size) values ('a', 1), ('a', 2)")
    with pytest.raises(SchemaError, match="refuses"):
        await undo(database)  # the old key cannot hold these rows
    await plain.execute("delete from dataverse.fc_thing where fc_size = 2")
    await undo(database)
    with pytest.raises(asyncpg.UniqueViolationError):
        await plain.execute("insert into dataverse.fc_thing (fc_name, fc_size) values ('a', 3)")


# ------------------------------------------------------------------------------------------------------- dropping


async def test_what_no_file_names_is_reported_and_stays(plain: asyncpg.Connection, database: Database) -> None:
    files = things(("  fc_size: {type: whole}\n", ""))
    done = await apply(database, files)
    assert done.done == ()
    assert done.notices == ("fc_thing.fc_size is in no definition; 'tables apply --drop' sets it aside.",)
    assert "fc_size" in await columns(plain)


async def test_a_dropped_column_is_set_aside_and_comes_back(plain: asyncpg.Connection, database: Database) -> None:
    await plain.execute("insert into dataverse.fc_thing (fc_size) values (7)")
    done = await apply(database, things(("  fc_size: {type: whole}\n", "")), drop=True)
    aside = f"fc_size__dropped_{done.number}"
    assert done.done == (f"fc_thing.fc_size set aside as {aside}",)
    assert (await columns(plain))[aside] == "integer"
    assert (await preview(database, things(("  fc_size: {type: whole}\n", "")))).notices == []
    await undo(database)
    assert await plain.fetchval("select fc_size from dataverse.fc_thing") == 7


async def test_a_dropped_lookup_holds_nothing_any_more(plain: asyncpg.Connection, database: Database) -> None:
    files = things(("  fc_accountid: {type: lookup, target: account}\n", ""))
    await apply(database, files, drop=True)
    acme = await plain.fetchval("insert into dataverse.account (name) values ('Acme') returning accountid")
    await plain.execute("delete from dataverse.account where accountid = $1", acme)
    await undo(database)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await plain.execute("insert into dataverse.fc_thing (fc_accountid) values ($1)", uuid4())
    assert (await preview(database, things())).steps == []


async def test_a_dropped_table_is_set_aside_and_comes_back(plain: asyncpg.Connection, database: Database) -> None:
    await plain.execute("insert into dataverse.fc_thing (fc_name) values ('a')")
    files = company_files("table: fc_other\ncolumns:\n  fc_name: {type: text}")
    assert (await bring_up(database, files)).notices[-1].startswith("table fc_thing is in no definition")
    done = await apply(database, files, drop=True)
    assert await plain.fetchval(f'select fc_name from dataverse."fc_thing__dropped_{done.number}"') == "a"
    await undo(database)
    assert await plain.fetchval("select fc_name from dataverse.fc_thing") == "a"
    assert (await preview(database, things())).of("add", "change") == []


async def test_the_tables_of_web_roles_are_never_in_the_way(plain: asyncpg.Connection, database: Database) -> None:
    done = await apply(database, things(), drop=True)
    assert (done.done, done.notices) == ((), ())
    assert await plain.fetchval("select to_regclass('dataverse.adx_webrole_contact') is not null")


# -------------------------------------------------------------------------------------------------- online, recorded


async def test_a_change_gives_way_to_work_that_holds_the_table(
    plain: asyncpg.Connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.dataverse.schema_apply._LOCK_TIMEOUT", 0.05)
    monkeypatch.setattr("forecourt.dataverse.schema_apply._ATTEMPTS", 2)
    transaction = plain.transaction()
    await transaction.start()
    await plain.execute("insert into dataverse.fc_thing (fc_name) values ('a')")
    with pytest.raises(SchemaError, match="in use"):
        await bring_up(database, things(added("fc_color: {type: text}")))
    await transaction.commit()
    assert len((await bring_up(database, things(added("fc_color: {type: text}")))).done) == 1


async def test_an_index_is_built_beside_writers(plain: asyncpg.Connection, database: Database) -> None:
    files = things(added("fc_contactid: {type: lookup, target: contact}"))
    found = await preview(database, files)
    index = next(step for step in found.steps if step.what.startswith("index"))
    assert index.alone and "concurrently" in index.sql
    await bring_up(database, files)
    names = await plain.fetch("select indexname from pg_indexes where tablename = 'fc_thing'")
    assert ("fc_thing_fc_contactid",) in names


async def test_two_processes_that_start_at_once_do_it_once(database: Database) -> None:
    first, second = await asyncio.gather(bring_up(database, things()), bring_up(database, things()))
    assert sorted([bool(first.done), bool(second.done)]) == [False, True]


async def test_every_step_is_recorded_with_what_takes_it_back(plain: asyncpg.Connection, database: Database) -> None:
    await bring_up(database, things(added("fc_color: {type: text}")))
    last = (await history(database))[0]
    assert (last.what, last.reversible, last.undone_at) == (
        "column fc_thing.fc_color, character varying(100)",
        True,
        None,
    )
    await undo(database)
    assert (await history(database))[0].undone_at is not None
    await undo(database)  # all that the first application made
    assert await plain.fetchval("select to_regclass('dataverse.account')") is None
    assert (await undo(database)).number == 0


async def test_tables_of_the_first_version_are_brought_up_with_their_rows(database: Database) -> None:
    await database.script(
        "an early database",
        """
        create schema dataverse;
        create table dataverse.account (accountid uuid primary key, name varchar(160), statecode integer default 0,
            statuscode integer default 1, createdon timestamptz default now(), modifiedon timestamptz default now());
        create table dataverse.contact (contactid uuid primary key, fullname varchar(160), parentcustomerid uuid,
            statecode integer default 0, statuscode integer default 1, createdon timestamptz default now(),
            modifiedon timestamptz default now());
        create index contact_parentcustomerid on dataverse.contact (parentcustomerid);
        insert into dataverse.account (accountid, name) values ('11111111-1111-1111-1111-111111111111', 'Acme');
        insert into dataverse.contact (contactid, parentcustomerid, statecode)
        select gen_random_uuid(), accountid, null from dataverse.account;
        """,
    )
    done = await bring_up(database, things())
    assert done.notices == ()
    async with database.transaction("look") as tx:
        found = await tx.row("select * from dataverse.contact")
    assert found is not None
    assert (found["parentcustomerid_type"], found["statecode"], found["ownerid_type"]) == ("account", 0, "systemuser")
    assert found["versionnumber"] > 0
    assert (await preview(database, things())).steps == []


# ------------------------------------------------------------------------------------------------------------- files


def test_types_that_hold_every_value() -> None:
    assert lossless("character varying(20)", "text")
    assert lossless("numeric(20,2)", "numeric(22,4)")
    assert not lossless("text", "character varying(20)")
    assert not lossless("bigint", "double precision")
    assert not lossless("timestamp with time zone", "date")


@pytest.mark.parametrize(
    "text", ["", "SO-", "{SEQNUM:0}", "{SEQNUM:5}{SEQNUM:5}", "{SEQNUM:5}}", "{DATETIMEUTC:xx}{SEQNUM:1}"]
)
def test_a_format_that_makes_no_numbers_is_refused(text: str) -> None:
    assert format_fault(text) != ""


FAULTS = {
    "fc_x: {type: lookup, target: nothing}": "table 'nothing' is not a native table",
    "fc_x: {type: lookup}": "a lookup has either 'target' or 'targets'",
    "fc_x: {type: text, target: account}": "leads to no table",
    "fc_x: {type: autonumber}": "a format has one {SEQNUM:n}",
    "fc_x: {type: choice}": "a choice has options",
    "fc_x: {type: whole, default: many}": "the default does not fit",
    "fc_x: {type: whole, min: 5, max: 1}": "'min' is greater than 'max'",
    "fc_x: {type: text, min: 5}": "only numbers have 'min' and 'max'",
    "fc_x: {type: date, behavior: date_only}": "only a datetime has a behavior",
    "fc_x: {type: memo, precision: 3}": "digits after the point",
    "createdon: {type: datetime}": "has 'createdon' of itself",
    "fc_X: {type: text}": "in lower case",
    "fc_x: {type: owner}": "rows have one owner",
    "fc_x: {type: lookup, target: account, relationship: contact_customer_accounts}": "is defined twice",
}


@pytest.mark.parametrize("line", FAULTS)
def test_a_fault_in_a_table_file_has_its_line(tmp_path: Path, line: str) -> None:
    text = THING.replace("keys:", f"  {line}\nkeys:")
    faults = Faults()
    read_tables(solution_folder(tmp_path, thing=text), faults)
    (error,) = faults.errors
    assert FAULTS[line] in str(error)
    assert (Path(error.file).name, error.line) == ("thing.yaml", 8)


def test_a_key_names_columns_that_can_be_part_of_one(tmp_path: Path) -> None:
    text = THING.replace("[fc_name]", "[fc_nome, fc_memo]").replace("keys:", "  fc_memo: {type: memo}\nkeys:")
    faults = Faults()
    read_tables(solution_folder(tmp_path, thing=text), faults)
    assert [error.message for error in faults.errors] == [
        "fc_thing has no column 'fc_nome'.",
        "'fc_memo' cannot be part of a key: it is a memo.",
    ]


def test_a_built_in_table_is_extended_and_not_replaced(tmp_path: Path) -> None:
    faults = Faults()
    root = solution_folder(
        tmp_path,
        one="table: account\nextends: true\ncolumns:\n  fc_rank: {type: whole}\nkeys:\n  fc_ranked: [fc_rank]",
        two="table: contact\ncolumns:\n  fc_rank: {type: whole}",
        three="table: account\nextends: true\nset: others\ncolumns:\n  name: {type: text}",
        four="table: fc_thing\nextends: true\ncolumns:\n  name: {type: text}",
    )
    read_tables(root, faults)
    assert sorted(error.message for error in faults.errors) == [
        "'set' of account is built in.",
        "account has 'name' already.",
        "table 'fc_thing' is not built in.",
        "table contact is defined twice or built in.",
    ]
