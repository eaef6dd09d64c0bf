"""What somebody with a mapped role may try by plain SQL, and what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from forecourt.kernel.errors import Refusal
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.native.pieces import Names
from support import contoso as sample
from support.native import address_of, ensure_mapped, forget, native_access, native_connection, role_of
from support.server import Installation

ORDERS = 'forecourt_data."PurchaseOrderHeadersV2"'
VENDORS = 'forecourt_data."VendorsV2"'
VENDOR, OTHER = "v-us-101", "v-us-102"

DENIED = asyncpg.InsufficientPrivilegeError


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with sample.contoso_site(postgres) as opened:
        yield opened
        logins = (await (await native_access(opened)).plan()).logins
        await forget(opened, *(user for _, user in logins))


@pytest.fixture
async def vendor(site: Installation) -> AsyncIterator[asyncpg.Connection]:
    """A connection of a vendor's user."""
    async with native_connection(site, VENDOR) as connection:
        yield connection


async def own(site: Installation, user: str = VENDOR) -> set[tuple[str, str]]:
    """A vendor's purchase orders, by hand-written SQL."""
    return {(row[0], row[1]) for row in await site.sql(sample.OWN_ORDERS, user)}


async def seen(connection: asyncpg.Connection, where: str = "true") -> set[tuple[str, str]]:
    rows = await connection.fetch(f'select "dataAreaId", "PurchaseOrderNumber" from {ORDERS} where {where}')
    return {(row[0], row[1]) for row in rows}


# ------------------------------------------------------------------------------------------------ what is shown


async def test_a_vendor_sees_its_orders_and_no_other(site: Installation, vendor: asyncpg.Connection) -> None:
    expected = await own(site)
    assert expected and await seen(vendor) == expected
    total = await site.value("select count(*) from erp.purchtable")
    assert await vendor.fetchval(f"select count(*) from {ORDERS}") == len(expected) < total


async def test_fields_that_no_role_of_the_user_shows_are_refused(vendor: asyncpg.Connection) -> None:
    for column in ("CreditRating", "Notes"):
        with pytest.raises((DENIED, asyncpg.UndefinedColumnError)):
            await vendor.fetch(f'select "{column}" from {VENDORS}')
    with pytest.raises(DENIED):
        await vendor.fetch(f'select "VendorAccountNumber" from {VENDORS} order by "CreditRating"')
    with pytest.raises(DENIED):
        await vendor.fetch(f'select count(*) from {VENDORS} where "CreditRating" is not null')
    with pytest.raises(DENIED):
        await vendor.fetch(f"select v from {VENDORS} v")
    assert await vendor.fetch(f'select "VendorAccountNumber", "VendorOrganizationName" from {VENDORS}')


async def test_an_entity_that_no_role_of_the_user_grants_is_refused(vendor: asyncpg.Connection) -> None:
    for collection in ("CustomersV3", "Workers", "SalesOrderHeadersV2", "ReleasedProductsV2"):
        with pytest.raises((DENIED, asyncpg.UndefinedTableError)):
            await vendor.fetch(f'select 1 from forecourt_data."{collection}"')


async def test_no_table_beneath_is_open_whatever_it_is_named_by(site: Installation, vendor: asyncpg.Connection) -> None:
    tables = await site.sql(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p') and n.nspname in ('erp', 'forecourt', 'dataverse', 'forecourt_native')"
    )
    assert len(tables) > 20
    for (table,) in tables:
        for statement in (
            f"select count(*) from {table}",
            f"select pg_catalog.query_to_xml('select * from {table}', true, true, '')",
            f"copy {table} to stdout",
            f"truncate {table}",
            f"delete from {table}",
            f"do $$ begin lock table {table}; end $$",
        ):
            with pytest.raises(DENIED):
                await vendor.execute(statement)


async def test_helpers_cannot_be_called_or_read(vendor: asyncpg.Connection) -> None:
    for statement in (
        "select forecourt_native.holds(array['-SYSADMIN-'])",
        "select * from forecourt_native.person()",
        "select * from forecourt_native.declared_user",
        "select * from forecourt_native.database_role",
        'select * from forecourt_native."erp.vendtable"',
        "insert into forecourt_native.database_role (role, user_id) values (1, 'admin')",
        "select query_to_xml('select * from forecourt_native.database_role', true, true, '')",
    ):
        with pytest.raises((DENIED, asyncpg.FeatureNotSupportedError)):
            await vendor.execute(statement)


# -------------------------------------------------------------------------------------------- who somebody is


async def test_the_identity_cannot_be_changed_by_setting_anything(
    site: Installation, vendor: asyncpg.Connection
) -> None:
    other = await ensure_mapped(site, OTHER)
    expected = await own(site)
    for role in (other, "postgres", *await native_roles(site)):
        for statement in (f'set role "{role}"', f'set session authorization "{role}"'):
            with pytest.raises(DENIED):
                await vendor.execute(statement)
    for statement in (
        "set search_path = pg_temp, public",
        "set session_authorization = default",
        "set role none",
        "select set_config('forecourt.user', 'admin', false)",
        "select set_config('app.user_id', 'admin', false)",
        "set application_name = 'admin'",
    ):
        await vendor.execute(statement)
        assert await seen(vendor) == expected
    with pytest.raises(DENIED):
        await vendor.execute("set session_replication_role = replica")
    await vendor.execute("set row_security = off")
    with pytest.raises(DENIED):
        await seen(vendor)


async def native_roles(site: Installation) -> list[str]:
    """The roles that native access made for this database."""
    names = Names.of(await site.value("select current_database()"))
    rows = await site.sql("select rolname from pg_roles where rolname in ($1, $2) order by 1", names.users, names.views)
    assert len(rows) == 2
    return [row[0] for row in rows]


async def test_functions_and_tables_of_the_same_names_change_nothing(
    site: Installation, vendor: asyncpg.Connection
) -> None:
    expected = await own(site)
    await vendor.execute("create temp table purchtable as select 1 as x; create temp table database_role (role oid)")
    await vendor.execute(
        "create function pg_temp.holds(roles text[]) returns boolean language sql as 'select false';"
        "create function pg_temp.texteq(text, text) returns boolean language sql as 'select true';"
        "create operator pg_temp.= (leftarg = text, rightarg = text, function = pg_temp.texteq)"
    )
    await vendor.execute("set search_path = pg_temp, pg_catalog")
    assert await seen(vendor) == expected


async def test_a_function_of_the_users_own_never_hears_of_a_hidden_row(
    site: Installation, vendor: asyncpg.Connection
) -> None:
    expected = await own(site)
    await vendor.execute("create temp table heard (n text)")
    await vendor.execute(
        "create function pg_temp.listen(n text) returns boolean language plpgsql cost 0.0000001 as $$"
        " begin insert into heard values (n); return true; end $$"
    )
    assert await seen(vendor, 'pg_temp.listen("PurchaseOrderNumber")') == expected
    assert {row[0] for row in await vendor.fetch("select n from heard")} == {number for _, number in expected}
    for table in ("PurchaseOrderLinesV2", "VendorsV2"):
        await vendor.execute("truncate heard")
        await vendor.fetch(f'select 1 from forecourt_data."{table}" where pg_temp.listen("dataAreaId")')
        heard = await vendor.fetchval("select count(*) from heard")
        assert heard == await vendor.fetchval(f'select count("dataAreaId") from forecourt_data."{table}"') > 0


async def test_no_error_tells_of_a_hidden_row(site: Installation, vendor: asyncpg.Connection) -> None:
    mine = await own(site)
    numbers = {number for _, number in mine}
    others = [row[1] for row in await site.sql(sample.OTHERS_ORDERS, VENDOR, 5000)]
    hidden = next(number for number in others if number not in numbers)
    for where in (
        f"1 / (case when \"PurchaseOrderNumber\" = '{hidden}' then 0 else 1 end) = 1",
        f'("PurchaseOrderNumber" <> \'{hidden}\' or "PurchaseOrderNumber"::int = 0)',
        f"\"PurchaseOrderNumber\" ~ (case when \"PurchaseOrderNumber\" = '{hidden}' then '(' else '' end)",
    ):
        assert await seen(vendor, where) == mine
        with pytest.raises(asyncpg.PostgresError):  # of a row of one's own it does tell
            await seen(vendor, where.replace(hidden, min(numbers)))


# ------------------------------------------------------------------------------------------------- what is written


async def test_nothing_is_written_by_any_statement(site: Installation, vendor: asyncpg.Connection) -> None:
    before = await site.value("select md5(string_agg(t::text, '' order by recid)) from erp.purchtable t")
    for statement in (
        f"update {ORDERS} set \"VendorOrderReference\" = 'x'",
        f"delete from {ORDERS}",
        f"insert into {ORDERS} (\"PurchaseOrderNumber\") values ('x')",
        f"insert into {ORDERS} (\"PurchaseOrderNumber\") values ('x') on conflict do nothing",
        f"merge into {ORDERS} o using (select 1) s on true when matched then delete",
        f"select 1 from {ORDERS} for update",
        "insert into erp.purchtable (purchid) values ('x') on conflict do nothing",
        "merge into erp.purchtable o using (select 1) s on true when matched then delete",
        "update erp.purchtable set vendorref = 'x'",
        "create table erp.mine (id int)",
        "create table public.mine (id bigint references erp.purchtable (recid))",
        "create temp table mine (id bigint references erp.purchtable (recid))",
        "create trigger t before update on erp.purchtable execute function suppress_redundant_updates_trigger()",
        "alter table erp.purchtable disable row level security",
        "drop policy forecourt_users on erp.purchtable",
        f"alter view {ORDERS} set (security_barrier = false)",
        f"create or replace view {ORDERS} as select 1",
        f"grant select on {ORDERS} to public",
        "copy erp.purchtable from stdin",
    ):
        with pytest.raises((asyncpg.PostgresError,)) as refused:
            await vendor.execute(statement)
        assert refused.value.sqlstate in ("42501", "42P16", "55000", "42P17"), (statement, refused.value)
    assert await site.value("select md5(string_agg(t::text, '' order by recid)) from erp.purchtable t") == before


# ----------------------------------------------------------------------------------------------------- revocation


async def test_what_is_taken_away_is_gone_at_the_next_statement_and_back_when_it_is_given_again(
    site: Installation,
) -> None:
    contact = "from erp.dirpersonuser u where u.personparty = c.party and u.user_ = $1"
    taken = (
        "update erp.securityuserrole set role = 'was ' || role where user_ = $1",
        "update erp.userinfo set enable = 0 where id = $1",
        f"update erp.contactperson c set inactive = 1 {contact}",
    )
    given = (
        "update erp.securityuserrole set role = substr(role, 5) where user_ = $1",
        "update erp.userinfo set enable = 1 where id = $1",
        f"update erp.contactperson c set inactive = 0 {contact}",
    )
    async with native_connection(site, OTHER) as connection:
        mine = await seen(connection)
        assert mine == await own(site, OTHER) and mine
        statement = await connection.prepare(f'select count("dataAreaId") from {ORDERS}')
        for _ in range(8):  # past the point where PostgreSQL keeps a generic plan
            assert await statement.fetchval() == len(mine)
        for take, give in zip(taken, given, strict=True):
            await site.sql(take, OTHER)
            assert await seen(connection) == set() and await statement.fetchval() == 0
            await site.sql(give, OTHER)
            assert await seen(connection) == mine and await statement.fetchval() == len(mine)
        await (await native_access(site)).unmap(role_of(site, OTHER))
        with pytest.raises(DENIED):
            await seen(connection)
        with pytest.raises(DENIED):
            await statement.fetchval()


async def test_a_field_that_the_users_roles_do_not_show_any_more_is_null_at_the_next_statement(
    site: Installation,
) -> None:
    """Rights on columns are as they were when the role was mapped; what is in them is decided by each statement."""
    find = "select user_ from erp.securityuserrole where role = 'PurchPurchasingAgent' order by 1 limit 1"
    agent = await site.value(find)
    ask = f'select count("dataAreaId"), count("CreditRating") from {VENDORS}'
    async with native_connection(site, agent) as connection:
        before = tuple(await connection.fetchrow(ask))
        assert all(before)
        change = "update erp.securityuserrole set role = $3 where user_ = $1 and role = $2"
        await site.sql(change, agent, "PurchPurchasingAgent", "VendVendorExternal")
        assert (await connection.fetchrow(ask))[1] == 0
        await site.sql(change, agent, "VendVendorExternal", "PurchPurchasingAgent")
        assert tuple(await connection.fetchrow(ask)) == before


# --------------------------------------------------------------------------------------------- mapping, by hand


async def test_a_role_with_which_more_could_be_read_is_not_mapped(site: Installation) -> None:
    access = await native_access(site)
    await access.apply()
    superuser, bypass, reader, nobody, owner = made = [
        role_of(site, name) for name in ("super", "bypass", "reader", "nobody", "owner")
    ]
    views = Names.of(await site.value("select current_database()")).views
    try:
        await site.sql(f"create role {superuser} login superuser")
        await site.sql(f"create role {bypass} login bypassrls")
        await site.sql(f"create role {reader} login in role pg_read_all_data")
        await site.sql(f"create role {nobody}")
        await site.sql(f"create role {owner} login")
        with pytest.raises(Refusal):
            await access.map(owner, "there.is.nobody")
        await site.sql(f'grant "{views}" to {owner}')
        for role in (*made, "there_is_none"):
            with pytest.raises(Refusal) as refused:
                await access.map(role, VENDOR)
            assert refused.value.code == "FC6006", role
        assert [step.what for step in (await access.plan()).steps] == [f"restore role {views}"]
        await access.apply()
        assert (await access.plan()).steps == ()
        await access.map(owner, VENDOR)
        await access.unmap(owner)
    finally:
        for role in made:
            await site.sql(f"drop role if exists {role}")


async def test_another_role_of_the_same_name_is_not_taken_for_the_mapped_one(site: Installation) -> None:
    user = "v-us-103"
    role = await ensure_mapped(site, user)
    await site.sql(f"drop owned by {role}")
    await site.sql(f"drop role {role}")
    await site.sql(f"create role {role} login")
    connection = await asyncpg.connect(address_of(site, role))
    try:
        with pytest.raises(DENIED):
            await seen(connection)
    finally:
        await connection.close()
    access = await native_access(site)
    assert any(user in notice for notice in (await access.plan()).notices)
    assert not any(user in notice for notice in (await access.apply()).notices)
    await site.sql(f"drop role {role}")
