"""Principals: whose web roles and whose operations user a request gets, and who gets none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import pytest
from test_identity_support import BASE, Identity, wired

from forecourt.identity.bearer import Bearer
from forecourt.identity.claims import ExternalClaims
from forecourt.identity.issuers import Issuers
from forecourt.identity.principals import Principals, require_mapped
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Denied
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.principal import OperationsUser, Principal

TABLES = """
create schema dataverse;
create table dataverse.account (accountid uuid primary key, name text, statecode int not null default 0);
create table dataverse.contact (
    contactid uuid primary key, fullname text, emailaddress1 text, parentcustomerid uuid,
    statecode int not null default 0, creditlimit numeric, preferred bool, adx_identity_passwordhash text
);
create table dataverse.adx_webrole_contact (contactid uuid not null, adx_webroleid uuid not null);
create table dataverse.adx_webrole_account (accountid uuid not null, adx_webroleid uuid not null);
create table dataverse.msdyn_externalportalusermapping (
    id uuid primary key default gen_random_uuid(), msdyn_contactid uuid not null, msdyn_userid text,
    statecode int not null default 0
);
"""


@pytest.fixture
async def identity(database_url: str) -> AsyncIterator[Identity]:
    async with wired(database_url) as made:
        yield made


BUYER, VENDOR, OTHER_SITE = uuid4(), uuid4(), uuid4()
PORTAL = frozenset({"CDSVirtualEntityAuthenticatedPortalUser", "VendorPortal"})
VISITORS = frozenset({"CDSVirtualEntityAnonymousPortalUser"})


def user(user_id: str, roles: frozenset[str] = PORTAL, *, enabled: bool = True) -> OperationsUser:
    return OperationsUser(user_id, user_id, f"{user_id}@contoso.example", "USMF", roles, enabled=enabled)


class Directory:
    def __init__(self, *users: OperationsUser) -> None:
        self.users = {item.id: item for item in users}

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser | None:
        return self.users.get(user_id)

    async def by_email(self, email: str) -> OperationsUser | None:
        return next((item for item in self.users.values() if item.email == email), None)


@dataclass(frozen=True)
class Book:
    names: dict[UUID, str] = field(default_factory=lambda: {BUYER: "Buyer", VENDOR: "Vendor"})
    authenticated: frozenset[str] = frozenset({"Authenticated Users"})
    anonymous: frozenset[str] = frozenset({"Anonymous Users"})

    def name_of(self, web_role_id: UUID) -> str | None:
        return self.names.get(web_role_id)


@dataclass
class World:
    """A contact Vera of the account Acme, mapped to the operations user ``vera``."""

    identity: Identity
    directory: Directory
    principals: Principals
    vera: UUID = field(default_factory=uuid4)
    acme: UUID = field(default_factory=uuid4)

    async def run(self, sql: str, *args: object) -> None:
        await self.identity.database.system(SystemPlan("test", sql, args))

    async def refused(self, contact: UUID | None = None) -> Refusal:
        with pytest.raises(Refusal) as caught:
            await self.principals.for_contact(contact or self.vera)
        return caught.value

    def anonymous_user(self, name: str) -> Principals:
        seen = self.identity.seen.append
        return Principals(self.identity.database, self.directory, Book(), seen, anonymous_user=name)


@pytest.fixture
async def world(identity: Identity) -> AsyncIterator[World]:
    async with identity.database.transaction("test tables") as tx:
        for statement in TABLES.strip().removesuffix(";").split(";"):
            await tx.execute(statement)
    directory = Directory(user("vera"), user("visitor", VISITORS))
    made = World(identity, directory, Principals(identity.database, directory, Book(), identity.seen.append))
    await made.run("insert into dataverse.account (accountid, name) values ($1, 'Acme')", made.acme)
    await made.run(
        "insert into dataverse.contact values ($1, 'Vera Vendor', 'vera@acme.example', $2, 0, 1.5, true, 'hash')",
        made.vera, made.acme,
    )  # fmt: skip
    await made.run("insert into dataverse.adx_webrole_contact values ($1, $2)", made.vera, VENDOR)
    await made.run("insert into dataverse.adx_webrole_contact values ($1, $2)", made.vera, OTHER_SITE)
    await made.run("insert into dataverse.adx_webrole_account values ($1, $2)", made.acme, BUYER)
    await made.run(
        "insert into dataverse.msdyn_externalportalusermapping (msdyn_contactid, msdyn_userid) values ($1, 'vera')",
        made.vera,
    )
    yield made


async def test_a_contact_has_its_own_its_accounts_and_everybodys_web_roles(world: World) -> None:
    principal = await world.principals.for_contact(world.vera)
    assert principal.web_roles == {"Vendor", "Buyer", "Authenticated Users"}
    assert principal.operations_user == user("vera")
    assert principal.contact is not None
    assert (principal.contact.name, principal.contact.account) == ("Vera Vendor", world.acme)
    columns = dict(principal.contact.columns)
    assert columns["parentcustomerid"] == str(world.acme)
    assert columns["statecode"] == 0
    assert "adx_identity_passwordhash" not in columns
    assert "creditlimit" not in columns
    assert dict(principal.contact.account_columns)["name"] == "Acme"


async def test_an_inactive_account_gives_no_web_roles(world: World) -> None:
    await world.run("update dataverse.account set statecode = 1")
    assert (await world.principals.for_contact(world.vera)).web_roles == {"Vendor", "Authenticated Users"}


async def test_a_revoked_web_role_is_gone_at_the_next_request(world: World) -> None:
    await world.principals.for_contact(world.vera)
    await world.run("delete from dataverse.adx_webrole_contact")
    await world.run("delete from dataverse.adx_webrole_account")
    assert (await world.principals.for_contact(world.vera)).web_roles == {"Authenticated Users"}


async def test_an_inactive_or_deleted_contact_is_nobody(world: World) -> None:
    assert (await world.refused(uuid4())).code == "FC2001"
    await world.run("update dataverse.contact set statecode = 1")
    assert (await world.refused()).code == "FC2001"


async def test_a_contact_costs_one_query(world: World) -> None:
    asked: list[str] = []

    class Counting:
        async def lookup(self, plan: SystemPlan) -> object:
            asked.append(plan.reason)
            return await world.identity.database.lookup(plan)

    await Principals(Counting(), world.directory, Book(), print).for_contact(world.vera)  # type: ignore[arg-type]
    assert asked == ["resolve a contact"]


async def test_an_unmapped_contact_has_no_operations_user_and_never_the_visitors(world: World) -> None:
    await world.run("delete from dataverse.msdyn_externalportalusermapping")
    principal = await world.anonymous_user("visitor").for_contact(world.vera)
    assert principal.operations_user is None
    with pytest.raises(Refusal) as caught:
        require_mapped(principal)
    assert caught.value.code == "FC3002"


async def test_a_deactivated_mapping_counts_as_none(world: World) -> None:
    await world.run("update dataverse.msdyn_externalportalusermapping set statecode = 1")
    assert (await world.principals.for_contact(world.vera)).operations_user is None


async def test_two_mappings_are_refused_even_when_they_agree(world: World) -> None:
    await world.run(
        "insert into dataverse.msdyn_externalportalusermapping (msdyn_contactid, msdyn_userid) values ($1, 'vera')",
        world.vera,
    )
    refusal = await world.refused()
    assert refusal.code == "FC3002"
    assert "one row" in refusal.hint


@pytest.mark.parametrize("target", ["gone", "", None])
async def test_a_mapping_to_a_user_that_does_not_exist_maps_to_nobody(world: World, target: str | None) -> None:
    await world.run("update dataverse.msdyn_externalportalusermapping set msdyn_userid = $1::text", target)
    assert (await world.principals.for_contact(world.vera)).operations_user is None
    assert isinstance(world.identity.seen[-1], Denied)


async def test_a_mapping_to_a_disabled_user_maps_to_nobody(world: World) -> None:
    world.directory.users["vera"] = user("vera", enabled=False)
    assert (await world.principals.for_contact(world.vera)).operations_user is None
    assert isinstance(world.identity.seen[-1], Denied)


@pytest.mark.parametrize("role", ["-SYSADMIN-", "SysSecSecurityAdministrator", "-sysadmin-"])
async def test_a_mapping_to_an_administrator_is_refused_at_the_call(world: World, role: str) -> None:
    assert (await world.principals.for_contact(world.vera)).operations_user is not None
    world.directory.users["vera"] = user("vera", PORTAL | {role})
    assert (await world.refused()).code == "FC3003"
    assert world.identity.seen[-1] == Denied(
        "identity", str(world.vera), "FC3003", "The mapped operations user is an administrator."
    )


async def test_a_mapping_to_a_user_without_the_portals_role_is_refused(world: World) -> None:
    world.directory.users["vera"] = user("vera", frozenset({"VendorPortal"}))
    assert (await world.refused()).code == "FC3003"


async def test_visitors_have_the_anonymous_roles_and_the_one_configured_user(world: World) -> None:
    assert await world.principals.anonymous() == Principal(web_roles=frozenset({"Anonymous Users"}))
    principal = await world.anonymous_user("visitor").anonymous()
    assert principal.operations_user == user("visitor", VISITORS)
    assert (await world.anonymous_user("gone").anonymous()).operations_user is None


@pytest.mark.parametrize("roles", [VISITORS | {"-SYSADMIN-"}, VISITORS | {"SysSecSecurityAdministrator"}, PORTAL])
async def test_visitors_never_act_as_an_administrator_or_a_user_not_meant_for_them(
    world: World, roles: frozenset[str]
) -> None:
    world.directory.users["visitor"] = user("visitor", roles)
    with pytest.raises(Refusal) as caught:
        await world.anonymous_user("visitor").anonymous()
    assert caught.value.code == "FC3003"


async def test_an_operations_user_works_directly_while_it_is_enabled(world: World) -> None:
    world.directory.users["admin"] = user("admin", frozenset({"-SYSADMIN-"}))
    principal = await world.principals.for_operations_user("admin")
    assert principal.operations_user == world.directory.users["admin"]
    world.directory.users["admin"] = replace(world.directory.users["admin"], enabled=False)
    for name in ("admin", "gone"):
        with pytest.raises(Refusal) as caught:
            await world.principals.for_operations_user(name)
        assert caught.value.code == "FC2002"


def bearer(world: World) -> Bearer:
    return Bearer(world.identity.tokens, Issuers((), _no_fetch, world.identity.time), world.principals)


async def _no_fetch(url: str) -> bytes:
    raise OSError(url)


async def test_a_token_names_a_contact_or_an_operations_user_as_it_says(world: World) -> None:
    tokens = world.identity.tokens
    contact = tokens.issue(str(world.vera), "contact", client_id="forecourt-cli")
    principal = await bearer(world).authenticate(f"Bearer {contact}")
    assert principal.contact is not None
    assert principal.contact.id == world.vera
    assert principal.claims["appid"] == "forecourt-cli"
    assert principal.claims["iss"] == f"{BASE}/contoso/v2.0"
    direct = await bearer(world).authenticate(f"bearer {tokens.issue('vera', 'operations', client_id='x')}")
    assert direct.contact is None
    assert direct.operations_user == user("vera")
    confused = tokens.issue("vera", "contact", client_id="x")
    with pytest.raises(Refusal) as caught:
        await bearer(world).authenticate(f"Bearer {confused}")
    assert caught.value.code == "FC2002"


async def test_a_token_of_a_deleted_user_or_contact_is_worthless_at_once(world: World) -> None:
    tokens = world.identity.tokens
    held = [
        tokens.issue(str(world.vera), "contact", client_id="x"),
        tokens.issue("vera", "operations", client_id="x"),
    ]
    for token in held:
        await bearer(world).authenticate(f"Bearer {token}")
    del world.directory.users["vera"]
    await world.run("delete from dataverse.contact")
    for token in held:
        with pytest.raises(Refusal) as caught:
            await bearer(world).authenticate(f"Bearer {token}")
        assert (caught.value.code, caught.value.status) == ("FC2002", 401)


async def test_a_token_of_an_unmapped_contact_opens_no_direct_door(world: World) -> None:
    await world.run("delete from dataverse.msdyn_externalportalusermapping")
    token = world.identity.tokens.issue(str(world.vera), "contact", client_id="x")
    with pytest.raises(Refusal) as caught:
        await bearer(world).authenticate(f"Bearer {token}")
    assert caught.value.code == "FC3002"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dmVyYTp4", "Token x"])
async def test_without_a_token_a_request_is_told_to_bring_one(world: World, header: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        await bearer(world).authenticate(header)
    assert (caught.value.code, caught.value.status) == ("FC2001", 401)
    assert caught.value.headers == (("WWW-Authenticate", "Bearer"),)


async def test_a_session_of_an_operations_user_ends_with_the_user(world: World) -> None:
    credential = await world.identity.accounts.create("vera", "Correct-horse-1", operations_user="vera")
    assert (await world.principals.for_credential(credential)).operations_user == user("vera")
    del world.directory.users["vera"]
    with pytest.raises(Refusal) as caught:
        await world.principals.for_credential(credential)
    assert caught.value.code == "FC2001"


async def test_a_token_of_another_issuer_names_an_operations_user_by_id_or_address(world: World) -> None:
    claims = ExternalClaims(
        "https://idp.example", "forecourt", "s-1", "email", "vera@contoso.example", world.identity.time()
    )
    assert (await world.principals.from_token(claims)).operations_user == user("vera")
    assert (await world.principals.from_token(replace(claims, match="id", value="vera"))).label == "vera"
    with pytest.raises(Refusal) as caught:
        await world.principals.from_token(replace(claims, value="vera"))
    assert caught.value.code == "FC2002"
