"""Native tables in PostgreSQL: each keeps its own rows right, whoever writes them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import UUID, uuid4

import asyncpg
import pytest

from forecourt.dataverse.organization import ensure_organization
from forecourt.dataverse.schema_apply import bring_up, preview
from forecourt.dataverse.schema_types import BASE_CURRENCY, ROOT_UNIT, SYSTEM_USER
from forecourt.store.database import Database
from support.native_tables import company_files

#: Whether somebody waits for a lock of this database.
WAITING = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())"

FOREIGN = asyncpg.ForeignKeyViolationError


@pytest.fixture
async def plain(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with the sample tables; another program's, as it were."""
    await bring_up(database, company_files(), "EUR")
    async with database.transaction("make the organization") as tx:
        await ensure_organization(tx, "Small", ())
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def account(plain: asyncpg.Connection, name: str = "Acme") -> UUID:
    made: UUID = await plain.fetchval("insert into dataverse.account (name) values ($1) returning accountid", name)
    return made


async def order(plain: asyncpg.Connection, **values: object) -> UUID:
    names = ", ".join(values)
    marks = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    sql = (
        f"insert into dataverse.fc_order ({names}) values ({marks})"
        if values
        else "insert into dataverse.fc_order default values"
    )
    made: UUID = await plain.fetchval(f"{sql} returning fc_orderid", *values.values())
    return made


async def row(plain: asyncpg.Connection, made: UUID) -> asyncpg.Record:
    return await plain.fetchrow("select * from dataverse.fc_order where fc_orderid = $1", made)


async def test_a_database_that_has_every_table_needs_nothing(plain: asyncpg.Connection, database: Database) -> None:
    found = await preview(database, company_files(), "EUR")
    assert [step.what for step in found.steps] == []
    assert found.notices == []
    again = await bring_up(database, company_files(), "EUR")
    assert (again.done, again.notices, again.number) == ((), (), 0)


async def test_a_row_without_values_has_the_defaults_of_its_columns(plain: asyncpg.Connection) -> None:
    found = await row(plain, await order(plain))
    assert found["fc_text"] == "it's new"
    assert (found["fc_memo"], found["fc_whole"], found["fc_big"]) == ("long", -5, 5)
    assert (found["fc_decimal"], found["fc_double"], found["fc_choice"]) == (Decimal("2.5"), 0.5, 2)
    assert (found["fc_yes"], found["fc_amount"], found["fc_date"]) == (True, None, None)
    assert (found["statecode"], found["statuscode"]) == (0, 1)
    assert (found["ownerid"], found["owninguser"], found["owningteam"]) == (SYSTEM_USER, SYSTEM_USER, None)
    assert (found["ownerid_type"], found["owningbusinessunit"]) == ("systemuser", ROOT_UNIT)
    assert (found["createdby"], found["modifiedby"]) == (SYSTEM_USER, SYSTEM_USER)
    assert found["createdon"] == found["modifiedon"]


async def test_each_column_type_keeps_its_values(plain: asyncpg.Connection) -> None:
    moment = dt.datetime(2026, 10, 1, 12, 30, tzinfo=dt.UTC)
    values = {
        "fc_memo": "x" * 2000,
        "fc_big": 2**60,
        "fc_decimal": Decimal("99.1234"),
        "fc_date": dt.date(2026, 10, 1),
        "fc_day": dt.date(2026, 10, 2),
        "fc_moment": moment,
        "fc_clock": moment.replace(tzinfo=None),
        "fc_guid": uuid4(),
    }
    found = await row(plain, await order(plain, **values))
    assert {name: found[name] for name in values} == values


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("fc_whole", 11),
        ("fc_whole", -11),
        ("fc_decimal", Decimal("99.6")),
        ("fc_amount", Decimal(-1)),
        ("fc_memo", "x" * 2001),
    ],
)
async def test_the_database_refuses_values_out_of_limits(plain: asyncpg.Connection, column: str, value: object) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await order(plain, **{column: value})


async def test_a_text_is_no_longer_than_its_column(plain: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.StringDataRightTruncationError):
        await order(plain, fc_text="x" * 41)


# ------------------------------------------------------------------------------------------------ numbers and money


async def test_an_autonumber_grows_from_its_seed(plain: asyncpg.Connection) -> None:
    numbers = [(await row(plain, await order(plain)))["fc_number"] for _ in range(3)]
    assert numbers == ["SO-00007", "SO-00008", "SO-00009"]


async def test_an_autonumber_is_drawn_for_null_and_empty_text_and_left_where_given(plain: asyncpg.Connection) -> None:
    numbers = [(await row(plain, await order(plain, fc_number=given)))["fc_number"] for given in (None, "", "own")]
    assert numbers == ["SO-00007", "SO-00008", "own"]


async def test_autonumbers_are_unique_among_concurrent_writers(plain: asyncpg.Connection, database_url: str) -> None:
    async def write() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            for _ in range(20):
                await connection.execute("insert into dataverse.fc_order default values")
        finally:
            await connection.close()

    await asyncio.gather(*(write() for _ in range(4)))
    assert await plain.fetchval("select count(distinct fc_number) from dataverse.fc_order") == 80


async def test_a_format_has_number_time_and_chance(plain: asyncpg.Connection) -> None:
    await plain.execute("create sequence dataverse.some_numbers start with 123456")
    sql = "select dataverse.numbered('dataverse.some_numbers', $1)"
    assert await plain.fetchval(sql, "{SEQNUM:3}") == "123456"
    assert await plain.fetchval(sql, "A{DATETIMEUTC:yyyy-MM-dd HH}Z{SEQNUM:8}") == (
        await plain.fetchval("select to_char(now() at time zone 'utc', '\"A\"YYYY-MM-DD HH24\"Z\"')") + "00123457"
    )
    one, two = [await plain.fetchval(sql, "{RANDSTRING:4}-{RANDSTRING:6}{SEQNUM:1}") for _ in range(2)]
    assert len(one) == len(two) == 17 and one[:11] != two[:11]
    assert set(one[:4] + one[5:11]) <= set("ABCDEFGHJKLMNPQRSTUVWXYZ23456789")


async def test_an_amount_is_in_base_currency_as_well(plain: asyncpg.Connection) -> None:
    dollar = await plain.fetchval(
        "insert into dataverse.transactioncurrency (isocurrencycode, currencyname, exchangerate)"
        " values ('USD', 'Dollar', 1.25) returning transactioncurrencyid"
    )
    made = await order(plain, fc_amount=Decimal(100))
    found = await row(plain, made)
    assert (found["transactioncurrencyid"], found["exchangerate"]) == (BASE_CURRENCY, 1)
    assert found["fc_amount_base"] == 100
    await plain.execute("update dataverse.fc_order set transactioncurrencyid = $1", dollar)
    assert (await row(plain, made))["fc_amount_base"] == 80
    found = await row(plain, await order(plain, fc_amount=Decimal("0.1"), transactioncurrencyid=dollar))
    assert (found["exchangerate"], found["fc_amount_base"]) == (Decimal("1.25"), Decimal("0.08"))
    found = await row(plain, await order(plain, fc_amount=Decimal(5), transactioncurrencyid=None))
    assert (found["transactioncurrencyid"], found["fc_amount_base"]) == (BASE_CURRENCY, 5)
    assert (
        await plain.fetchval("select isocurrencycode from dataverse.transactioncurrency where exchangerate = 1")
        == "EUR"
    )


# ---------------------------------------------------------------------------------------------------------- lookups


async def test_a_polymorphic_lookup_knows_its_table(plain: asyncpg.Connection) -> None:
    acme = await account(plain)
    ann = await plain.fetchval("insert into dataverse.contact (fullname) values ('Ann') returning contactid")
    made = await order(plain, fc_customerid=acme)
    assert (await row(plain, made))["fc_customerid_type"] == "account"
    await plain.execute("update dataverse.fc_order set fc_customerid = $1", ann)
    assert (await row(plain, made))["fc_customerid_type"] == "contact"
    await plain.execute("update dataverse.fc_order set fc_customerid_type = 'account'")
    assert (await row(plain, made))["fc_customerid_type"] == "contact"
    await plain.execute("update dataverse.fc_order set fc_customerid = null")
    assert (await row(plain, made))["fc_customerid_type"] is None


async def test_a_polymorphic_lookup_leads_to_a_row(plain: asyncpg.Connection) -> None:
    with pytest.raises(FOREIGN):
        await order(plain, fc_customerid=uuid4())
    own = uuid4()
    await order(plain, fc_orderid=own, fc_regardingid=own)


async def test_a_polymorphic_lookup_is_emptied_or_holds_its_row(plain: asyncpg.Connection) -> None:
    one, two = await account(plain), await account(plain, "Two")
    cleared, holding = await order(plain, fc_customerid=one), await order(plain, fc_regardingid=two)
    await plain.execute("delete from dataverse.account where accountid = $1", one)
    found = await row(plain, cleared)
    assert (found["fc_customerid"], found["fc_customerid_type"]) == (None, None)
    with pytest.raises(FOREIGN):
        await plain.execute("delete from dataverse.account where accountid = $1", two)
    await plain.execute("delete from dataverse.fc_order where fc_orderid = $1", holding)
    await plain.execute("delete from dataverse.account where accountid = $1", two)


async def test_a_row_that_is_being_named_cannot_go_meanwhile(plain: asyncpg.Connection, database_url: str) -> None:
    acme = await account(plain)
    other = await asyncpg.connect(database_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("insert into dataverse.fc_order (fc_regardingid) values ($1)", acme)
        deleting = asyncio.ensure_future(plain.execute("delete from dataverse.account where accountid = $1", acme))
        while not await other.fetchval(WAITING):
            pass
        await transaction.commit()
        with pytest.raises(FOREIGN):
            await deleting
    finally:
        await other.close()


async def test_a_lookup_is_a_foreign_key_and_is_emptied(plain: asyncpg.Connection) -> None:
    with pytest.raises(FOREIGN):
        await order(plain, fc_accountid=uuid4())
    acme = await account(plain)
    made = await order(plain, fc_accountid=acme)
    before = (await row(plain, made))["versionnumber"]
    await plain.execute("delete from dataverse.account where accountid = $1", acme)
    found = await row(plain, made)
    assert found["fc_accountid"] is None and found["versionnumber"] > before


@pytest.mark.parametrize("column", ["fc_parentid"])
async def test_a_restricted_lookup_holds_its_row(plain: asyncpg.Connection, column: str) -> None:
    above = await order(plain)
    await order(plain, **{column: above})
    with pytest.raises(FOREIGN):
        await plain.execute("delete from dataverse.fc_order where fc_orderid = $1", above)


async def test_rows_in_a_cycle_load_with_deferred_keys_and_can_be_prepared(plain: asyncpg.Connection) -> None:
    one, two = uuid4(), uuid4()
    await plain.execute("begin")
    await plain.execute("set constraints all deferred")
    await plain.execute("insert into dataverse.fc_order (fc_orderid, fc_parentid) values ($1, $2)", one, two)
    await plain.execute("insert into dataverse.fc_order (fc_orderid, fc_parentid) values ($1, $2)", two, one)
    await plain.execute("prepare transaction 'cycle'")
    await plain.execute("commit prepared 'cycle'")
    assert await plain.fetchval("select count(*) from dataverse.fc_order") == 2


async def test_an_alternate_key_is_unique_where_it_is_whole(plain: asyncpg.Connection) -> None:
    acme = await account(plain)
    await order(plain, fc_text="a", fc_accountid=acme)
    with pytest.raises(asyncpg.UniqueViolationError):
        await order(plain, fc_text="a", fc_accountid=acme)
    for _ in range(2):
        await order(plain, fc_text="a")


async def test_pairs_go_with_either_end(plain: asyncpg.Connection) -> None:
    made = await order(plain)
    ann = await plain.fetchval("insert into dataverse.contact (fullname) values ('Ann') returning contactid")
    pair = "insert into dataverse.fc_order_contact (fc_orderid, contactid) values ($1, $2)"
    await plain.execute(pair, made, ann)
    with pytest.raises(asyncpg.UniqueViolationError):
        await plain.execute(pair, made, ann)
    with pytest.raises(FOREIGN):
        await plain.execute(pair, made, uuid4())
    await plain.execute("delete from dataverse.contact where contactid = $1", ann)
    assert await plain.fetchval("select count(*) from dataverse.fc_order_contact") == 0


async def test_notes_lead_to_the_tables_that_have_some(plain: asyncpg.Connection) -> None:
    made = await order(plain)
    note = await plain.fetchrow("insert into dataverse.annotation (objectid) values ($1) returning objectid_type", made)
    assert note["objectid_type"] == "fc_order"
    line = await plain.fetchval("insert into dataverse.fc_line (fc_orderid) values ($1) returning fc_lineid", made)
    with pytest.raises(FOREIGN):
        await plain.execute("insert into dataverse.annotation (objectid) values ($1)", line)


# ------------------------------------------------------------------------------------------------- owner and version


async def test_business_unit_user_and_team_follow_the_owner(plain: asyncpg.Connection) -> None:
    unit = await plain.fetchval(
        "insert into dataverse.businessunit (name, parentbusinessunitid) values ('North', $1) returning businessunitid",
        ROOT_UNIT,
    )
    team = await plain.fetchval(
        "insert into dataverse.team (name, businessunitid) values ('USMF', $1) returning teamid", unit
    )
    made = await order(plain, ownerid=team)
    found = await row(plain, made)
    assert (found["owningteam"], found["owninguser"], found["owningbusinessunit"]) == (team, None, unit)
    assert found["ownerid_type"] == "team"
    await plain.execute("update dataverse.fc_order set ownerid = $1", SYSTEM_USER)
    found = await row(plain, made)
    assert (found["owningteam"], found["owninguser"], found["owningbusinessunit"]) == (None, SYSTEM_USER, ROOT_UNIT)
    assert found["ownerid_type"] == "systemuser"
    with pytest.raises(FOREIGN):
        await plain.execute("update dataverse.fc_order set ownerid = $1", uuid4())


async def test_a_change_moves_version_and_time(plain: asyncpg.Connection) -> None:
    made = await order(plain)
    first = await row(plain, made)
    await plain.execute("update dataverse.fc_order set fc_text = 'x'")
    second = await row(plain, made)
    assert second["versionnumber"] > first["versionnumber"]
    assert second["modifiedon"] > first["modifiedon"]
    assert second["createdon"] == first["createdon"]


async def test_who_sets_the_time_of_a_change_keeps_it(plain: asyncpg.Connection) -> None:
    moment = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = await order(plain)
    await plain.execute("update dataverse.fc_order set modifiedon = $1", moment)
    assert (await row(plain, made))["modifiedon"] == moment


async def test_a_full_name_follows_its_parts_until_another_is_given(plain: asyncpg.Connection) -> None:
    async def change(values: str) -> str:
        return str(await plain.fetchval(f"update dataverse.contact set {values} returning fullname"))

    await plain.execute("insert into dataverse.contact (firstname, lastname) values ('Ann', 'Smith')")
    assert await change("lastname = 'Jones'") == "Ann Jones"
    assert await change("fullname = 'Dr. A. Jones'") == "Dr. A. Jones"
    assert await change("firstname = 'Anna'") == "Dr. A. Jones"
    assert await change("fullname = null") == "Anna Jones"


async def test_a_table_of_the_organization_has_no_owner_and_may_have_no_state(plain: asyncpg.Connection) -> None:
    columns = {
        record["column_name"]
        for record in await plain.fetch(
            "select column_name from information_schema.columns"
            " where table_schema = 'dataverse' and table_name = 'fc_line'"
        )
    }
    assert columns == {
        "fc_lineid",
        "fc_name",
        "fc_orderid",
        "createdby",
        "modifiedby",
        "createdon",
        "modifiedon",
        "versionnumber",
    }
