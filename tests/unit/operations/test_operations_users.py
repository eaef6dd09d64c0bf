"""The directory of operations users: the file's, the tables', and what is remembered of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from forecourt.kernel.principal import OperationsUser
from forecourt.operations.definitions import UserCompaniesTable, UserRolesTable, UsersTable, UserTables
from forecourt.operations.users import Users
from forecourt.store.catalog import read_catalog
from forecourt.store.database import Database

SCHEMA = """
create schema s;
create table s.people (id text primary key, name text, mail text, firm text, active int, tongue text);
create table s.roles (who text, role text);
create table s.areas (who text, role text, area text);
insert into s.people values
    ('ann', 'Ann', 'Ann@A.example', 'usmf', 1, 'de'), ('ben', null, 'ben@b.example', null, 0, null),
    ('cat', 'Cat', 'ann@a.example', 'demf', 1, 'en-us'), ('dan', 'Dan', 'dan@d.example', 'usmf', null, ''),
    ('eve', 'Eve', '', 'usmf', 1, 'fr');
insert into s.roles values
    ('ann', 'Vendor'), ('ann', 'SystemExternalUser'), ('ann', 'CDSVirtualEntityAuthenticatedPortalUser'),
    ('ben', 'SystemExternalUser'), ('eve', 'Clerk'), ('ghost', 'SystemExternalUser');
insert into s.areas values ('ann', 'Vendor', 'usmf'), ('ann', 'Vendor', 'demf'), ('ann', 'Other', 'frrt');
"""

TABLES = UserTables(
    users=UsersTable(
        table="s.people", id="id", name="name", email="mail", company="firm", enabled="active", language="tongue"
    ),
    roles=UserRolesTable(table="s.roles", user="who", role="role"),
    companies=UserCompaniesTable(table="s.areas", user="who", role="role", company="area"),
)

DECLARED = OperationsUser("admin", "Admin", "admin@x.example", "", frozenset({"-SYSADMIN-"}))


@pytest.fixture
async def users(database: Database) -> AsyncIterator[Users]:
    await database.script("make users", SCHEMA)
    yield Users({"admin": DECLARED}, TABLES, database, await read_catalog(database), keep=3)


async def test_a_user_is_read_with_roles_and_legal_entities(users: Users) -> None:
    ann = await users.get("ann")
    assert ann is not None
    assert (ann.id, ann.name, ann.email, ann.company, ann.language) == ("ann", "Ann", "Ann@A.example", "usmf", "de")
    assert ann.roles == {"Vendor", "SystemExternalUser", "CDSVirtualEntityAuthenticatedPortalUser"}
    assert dict(ann.companies) == {"Vendor": {"usmf", "demf"}}, "a legal entity counts for a role that is held"
    assert ann.external
    assert ann.enabled
    assert ann.fingerprint


async def test_what_a_row_lacks_means_no(users: Users) -> None:
    ben, dan = await users.get("ben"), await users.get("dan")
    assert ben is not None
    assert dan is not None
    assert not ben.enabled
    assert not dan.enabled
    assert (ben.name, ben.company, ben.language) == ("ben", "", "en-US")
    assert dan.roles == frozenset()


async def test_ids_are_compared_as_they_are(users: Users) -> None:
    for odd in ("", "ANN", "ann ", "ghost", "'; drop table s.people; --", "\ufffd"):
        assert await users.get(odd) is None


async def test_a_user_of_the_file_wins_and_rests_on_no_row(users: Users) -> None:
    admin = await users.get("admin")
    assert admin == DECLARED
    assert users.witness(DECLARED) is None
    ann = await users.get("ann")
    assert ann is not None
    assert users.witness(ann) is not None


async def test_a_user_is_remembered_until_somebody_asks_afresh(users: Users, database: Database) -> None:
    before = await users.get("ann")
    await database.script("give a role", "insert into s.roles values ('ann', 'Clerk')")
    assert await users.get("ann") == before
    fresh = await users.get("ann", fresh=True)
    assert fresh is not None
    assert before is not None
    assert fresh.roles == before.roles | {"Clerk"}
    assert fresh.fingerprint != before.fingerprint
    assert await users.get("ann") == fresh


@pytest.mark.parametrize(
    ("take", "give"),
    [
        ("update s.people set active = 0 where id = 'ann'", "update s.people set active = 1 where id = 'ann'"),
        ("insert into s.roles values ('ann', '-SYSADMIN-')", "delete from s.roles where role = '-SYSADMIN-'"),
        (
            "delete from s.roles where who = 'ann' and role like 'CDS%'",
            "insert into s.roles values ('ann', 'CDSVirtualEntityAuthenticatedPortalUser')",
        ),
    ],
)
async def test_who_is_refused_before_any_row_is_read_is_looked_at_again(
    users: Users, database: Database, take: str, give: str
) -> None:
    """No statement runs for such a user, so that none could notice the change."""
    before = await users.get("ann")
    await database.script("take", take)
    refused = await users.get("ann", fresh=True)
    assert refused != before
    await database.script("give", give)
    assert await users.get("ann") == before


async def test_a_user_that_is_gone_is_forgotten(users: Users, database: Database) -> None:
    assert await users.get("eve") is not None
    await database.script("remove", "delete from s.people where id = 'eve'")
    assert await users.get("eve", fresh=True) is None
    assert await users.get("eve") is None


async def test_an_address_finds_the_one_user_who_has_it(users: Users) -> None:
    admin, ben = await users.by_email("ADMIN@x.example"), await users.by_email("BEN@b.example")
    assert admin == DECLARED
    assert ben is not None
    assert ben.id == "ben"
    for several_or_none in ("ann@a.example", "", "*", "*@b.example", "ben@b.exampl_", "%"):
        assert await users.by_email(several_or_none) is None, several_or_none


async def test_audit_is_told_of_enabled_external_users(users: Users) -> None:
    assert [user.id for user in await users.external()] == ["ann"]


async def test_without_tables_there_are_the_users_of_the_file(database: Database) -> None:
    users = Users({"admin": DECLARED}, None, database, await read_catalog(database))
    assert await users.get("admin") == DECLARED
    assert await users.get("ann") is None
    assert await users.by_email("admin@x.example") == DECLARED
    assert await users.external() == []


async def test_everybody_who_is_enabled_is_listed_with_the_roles_they_hold(users: Users, database: Database) -> None:
    await database.script("shadow a declared user", "insert into s.people values ('admin', '', '', '', 1, '')")
    await database.script("give it a role", "insert into s.roles values ('admin', 'Clerk')")
    outside = frozenset({"Vendor", "SystemExternalUser", "CDSVirtualEntityAuthenticatedPortalUser"})
    assert await users.held() == [("ann", outside), ("eve", frozenset({"Clerk"}))]
