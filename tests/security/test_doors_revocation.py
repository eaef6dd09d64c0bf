"""What is taken away is gone at the very next request, at every door; what is given is there. Caches are warm first."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncpg
import pytest

from forecourt.dataverse.rows import Query
from forecourt.kernel.errors import Refusal
from forecourt.security.standing import id_of
from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import Case, Installation, Known, Person, installed, table_rows, url
from support.small_erp import small_erp

DOORS = ("data", "web", "api", "rows", "page", "expand", "count")


async def seen(case: Case, person: Person, door: str) -> set[object] | int:
    """What the person sees at a door: record ids of orders, or the status of a refusal."""
    if door == "rows":
        table = case.surface("web").table(case.orders)
        column = case.surface("web").column(case.key[-1])
        try:
            page = await case.site.forecourt.rows.page(await person.principal(), Query(table, (column,), size=5000))
        except Refusal as refusal:
            return refusal.status
        return {row.values[column] for row in page.rows}
    if door == "page":
        answer = await person.get("/purchase-orders/?view=all-purchase-orders")
        return {text for _, text in table_rows(answer.text)} if answer.status == 200 else answer.status
    if door == "expand":
        surface = case.surface("data")
        number = surface.column(case.key[-1])
        answer = await person.get(url(surface.set(case.vendor), _expand=f"{case.to_orders}($select={number})"))
        if answer.status != 200:
            return answer.status
        return {below[number] for row in answer.rows for below in row[case.to_orders]}
    if door == "count":
        answer = await person.get(url(case.surface("data").set(case.orders) + "/$count"))
        return set(range(int(answer.text))) if answer.status == 200 else answer.status
    surface = case.surface(door)
    answer = await person.get(surface.selecting())
    return {row[surface.column(case.key[-1])] for row in answer.rows} if answer.status == 200 else answer.status


def nothing(found: set[object] | int) -> bool:
    """No row: an empty answer, a refusal, or a session that is no more."""
    return found == set() or found in (401, 403)


async def warm(case: Case, person: Person) -> None:
    for door in DOORS:
        for _ in range(2):
            found = await seen(case, person, door)
            assert isinstance(found, set), (door, found)
            assert found, door


Change = Callable[[Installation, Person], Awaitable[object]]

CHANGES: dict[str, tuple[Change, Change]] = {
    "the role of the user": (
        lambda site, p: site.sql(
            "delete from erp.securityuserrole where user_ = $1 and role = 'VendVendorExternal'", p.operations_user
        ),
        lambda site, p: site.sql(
            "insert into erp.securityuserrole values ($1, 'VendVendorExternal')", p.operations_user
        ),
    ),
    "the legal entity of the role": (
        lambda site, p: site.sql(
            "update erp.securityuserroleorganization set dataareaid = 'none' where user_ = $1", p.operations_user
        ),
        lambda site, p: site.sql(
            "update erp.securityuserroleorganization set dataareaid = "
            "(select company from erp.userinfo where id = user_) where user_ = $1",
            p.operations_user,
        ),
    ),
    "the user": (
        lambda site, p: site.sql("update erp.userinfo set enable = 0 where id = $1", p.operations_user),
        lambda site, p: site.sql("update erp.userinfo set enable = 1 where id = $1", p.operations_user),
    ),
    "the contact person": (
        lambda site, p: site.sql(
            "update erp.contactperson set inactive = 1 where party = "
            "(select personparty from erp.dirpersonuser where user_ = $1)",
            p.operations_user,
        ),
        lambda site, p: site.sql(
            "update erp.contactperson set inactive = 0 where party = "
            "(select personparty from erp.dirpersonuser where user_ = $1)",
            p.operations_user,
        ),
    ),
    "the person of the user": (
        lambda site, p: site.sql(
            "update erp.dirpersonuser set user_ = user_ || '!' where user_ = $1", p.operations_user
        ),
        lambda site, p: site.sql("update erp.dirpersonuser set user_ = $1 where user_ = $1 || '!'", p.operations_user),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_revocation_at_the_source_counts_at_the_next_request_of_every_door(
    contoso: Installation, what: str
) -> None:
    case = sample.case(contoso)
    take, give = CHANGES[what]
    person = await sample.fresh_vendor(contoso)
    await warm(case, person)
    before = {door: await seen(case, person, door) for door in DOORS}
    for _ in range(2):
        for door in DOORS:  # each door is the first to be asked once
            await take(contoso, person)
            assert nothing(await seen(case, person, door)), (door, what)
            await give(contoso, person)
            assert await seen(case, person, door) == before[door], (door, what)
    await take(contoso, person)
    found = {door: await seen(case, person, door) for door in DOORS}
    assert all(map(nothing, found.values())), found


PORTAL = ("api", "rows", "page")

PORTAL_CHANGES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "the mapping": (
        lambda site, p: site.dataverse(
            "delete from dataverse.msdyn_externalportalusermapping where msdyn_contactid = $1", p.contact
        ),
        DOORS,
    ),
    "the mapping's state": (
        lambda site, p: site.dataverse(
            "update dataverse.msdyn_externalportalusermapping set statecode = 1 where msdyn_contactid = $1", p.contact
        ),
        DOORS,
    ),
    "the web role": (
        lambda site, p: site.dataverse("delete from dataverse.adx_webrole_contact where contactid = $1", p.contact),
        PORTAL,
    ),
    "the contact": (
        lambda site, p: site.dataverse("update dataverse.contact set statecode = 1 where contactid = $1", p.contact),
        DOORS,
    ),
    "the contact's account": (
        lambda site, p: site.dataverse(
            "update dataverse.contact set parentcustomerid = null where contactid = $1", p.contact
        ),
        PORTAL,
    ),
    "the account's number": (
        lambda site, p: site.dataverse(
            "update dataverse.account set accountnumber = 'X-' || accountnumber where accountid = "
            "(select parentcustomerid from dataverse.contact where contactid = $1)",
            p.contact,
        ),
        PORTAL,
    ),
}


@pytest.mark.parametrize("what", PORTAL_CHANGES)
async def test_revocation_in_dataverse_counts_at_the_next_request(contoso: Installation, what: str) -> None:
    case = sample.case(contoso)
    take, doors = PORTAL_CHANGES[what]
    person = await sample.fresh_vendor(contoso)
    await warm(case, person)
    await take(contoso, person)
    for door in doors:
        try:
            found = await seen(case, person, door)
        except Refusal as refusal:
            assert refusal.code == "FC2001", "the contact is not active"
            continue
        assert nothing(found), (door, what, found)


@pytest.fixture(scope="module")
async def second(contoso: Installation) -> AsyncIterator[Installation]:
    """Another server of the same solution over the same databases, which shares nothing else with the first."""
    entries = list(contoso.credentials.values())
    async with installed(contoso.root, contoso.url, contoso.dataverse_url, entries) as site:
        yield site


TAKEN = {what: (take, DOORS) for what, (take, _) in CHANGES.items()} | PORTAL_CHANGES


@pytest.mark.parametrize("what", TAKEN)
async def test_what_is_taken_is_gone_at_the_next_request_of_every_process(
    contoso: Installation, second: Installation, what: str
) -> None:
    take, doors = TAKEN[what]
    for first in (doors[0], doors[-1]):
        here = await sample.fresh_vendor(contoso)
        there = replace(here, site=second)
        places = ((sample.case(second), there), (sample.case(contoso), here))
        for case, person in places:
            await warm(case, person)
        await take(contoso, here)
        for door in (first, *doors):
            for case, person in places:
                try:
                    found = await seen(case, person, door)
                except Refusal as refusal:
                    assert refusal.code == "FC2001", "the contact is not active"
                    continue
                assert nothing(found), (what, door, found)


async def test_a_security_role_that_is_taken_is_gone_at_the_next_request_of_every_process(
    postgres: EmbeddedServer,
) -> None:
    accounts = "/api/data/v9.2/accounts"
    async with small_erp(postgres) as site, installed(site.root, site.url, site.dataverse_url) as other:
        here = await site.operations_user("reader")
        there = replace(here, site=other)
        assert (await here.get("/api/data/v9.2/WhoAmI")).status == 200
        user = id_of("systemuser", "user/reader")
        await site.dataverse(
            "insert into dataverse.systemuserroles (systemuserid, roleid) "
            "select $1, roleid from dataverse.role where name = 'System Administrator'",
            user,
        )
        await site.dataverse("insert into dataverse.account (accountid, name) values (gen_random_uuid(), 'A')")
        assert [len((await person.get(accounts)).rows) for person in (here, there)] == [1, 1]
        await site.dataverse("delete from dataverse.systemuserroles where systemuserid = $1", user)
        assert [(await person.get(accounts)).rows for person in (there, here)] == [[], []]


async def test_revocation_counts_for_a_write_as_well(contoso: Installation) -> None:
    case = sample.case(contoso)
    for door in ("data", "web", "api"):
        for what, (take, _) in CHANGES.items():
            person = await sample.fresh_vendor(contoso)
            surface = case.surface(door)
            order = (await case.own(person))[0]
            target = url(surface.row(order), **surface.options)
            assert (await person.patch(target, {surface.column(case.writable): "2026-12-01"})).status == 204
            before = await case.stored(order)
            await take(contoso, person)
            answer = await person.patch(target, {surface.column(case.writable): case.value})
            assert answer.status in (401, 403, 404), (door, what, answer.text)
            assert await case.stored(order) == before


async def test_a_vendor_that_is_granted_appears_at_the_next_request(contoso: Installation) -> None:
    """A second contact person row makes the person a contact of another vendor of the same legal entity."""
    case = sample.case(contoso)
    person, other = await sample.fresh_vendor(contoso), await sample.fresh_vendor(contoso)
    await warm(case, person)
    mine, theirs = await case.own(person), await case.own(other)
    await contoso.sql(
        "insert into erp.contactperson (dataareaid, contactpersonid, party, contactforparty) "
        "select c.dataareaid, 'CP-' || $1, u.personparty, c.contactforparty "
        "from erp.dirpersonuser u, erp.contactperson c join erp.dirpersonuser o on o.personparty = c.party "
        "where u.user_ = $1 and o.user_ = $2",
        person.operations_user,
        other.operations_user,
    )
    await contoso.sql(
        "insert into erp.securityuserroleorganization "
        "select $1, role, a.dataareaid from erp.securityuserrole r, "
        "(select dataareaid from erp.securityuserroleorganization where user_ = $2 limit 1) a "
        "where r.user_ = $1 on conflict do nothing",
        person.operations_user,
        other.operations_user,
    )
    expected = sorted(order.key for order in [*mine, *theirs])
    assert sorted(order.key for order in await case.own(person)) == expected
    for door in ("data", "web"):
        surface = case.surface(door)
        assert sorted(surface.keys(await person.everything(surface.selecting()))) == expected
    portal = case.surface("api")
    assert sorted(portal.keys(await person.everything(portal.selecting()))) == sorted(order.key for order in mine), (
        "at the portal the account of the contact counts as well"
    )


async def test_an_order_that_is_handed_over_changes_sides_at_once(contoso: Installation) -> None:
    case = sample.case(contoso)
    person, other = await sample.fresh_vendor(contoso), await sample.fresh_vendor(contoso)
    order, theirs = (await case.own(person))[0], (await case.own(other))[0]
    company, account = (
        await contoso.sql("select dataareaid, orderaccount from erp.purchtable where recid = $1", theirs.recid)
    )[0]
    for door in ("data", "web", "api"):
        assert (await person.get(url(case.surface(door).row(order), **case.surface(door).options))).status == 200
    await contoso.sql(
        "update erp.purchtable set orderaccount = $1, dataareaid = $2, purchid = 'PO-HANDED' where recid = $3",
        account,
        company,
        order.recid,
    )
    order = Known((company, "PO-HANDED"), order.recid)
    for door in ("data", "web", "api"):
        surface = case.surface(door)
        assert (await person.get(url(surface.row(order), **surface.options))).status == 404
        assert (await other.get(url(surface.row(order), **surface.options))).status == 200


async def test_a_contact_has_one_mapping_at_most(contoso: Installation) -> None:
    """Which of two users a contact acts as is never guessed: the table takes one row for a contact."""
    person = await sample.fresh_vendor(contoso)
    with pytest.raises(asyncpg.UniqueViolationError):
        await contoso.dataverse(
            "insert into dataverse.msdyn_externalportalusermapping "
            "(msdyn_externalportalusermappingid, msdyn_contactid, msdyn_userid) values ($1, $2, 'v-us-102')",
            uuid.uuid4(),
            person.contact,
        )


@pytest.mark.parametrize("first", ["data", "web", "api", "rows", "page"])
async def test_a_mapped_user_who_becomes_an_administrator_is_refused_at_the_next_request(
    contoso: Installation, first: str
) -> None:
    """No policy restrains an administrator: not one request may run as one through a portal contact."""
    case = sample.case(contoso)
    person = await sample.fresh_vendor(contoso)
    await warm(case, person)
    for role in ("-SYSADMIN-", "SysSecSecurityAdministrator"):
        await contoso.sql("insert into erp.securityuserrole values ($1, $2)", person.operations_user, role)
        for door in (first, *DOORS):
            assert await refused(case, person, door), door
        await contoso.sql(
            "delete from erp.securityuserrole where user_ = $1 and role = $2", person.operations_user, role
        )
        await warm(case, person)


@pytest.mark.parametrize("first", ["data", "web", "api", "rows", "page"])
async def test_a_mapped_user_who_loses_the_portals_role_is_refused_and_one_who_regains_it_is_not(
    contoso: Installation, first: str
) -> None:
    case = sample.case(contoso)
    person = await sample.fresh_vendor(contoso)
    await warm(case, person)
    role = "CDSVirtualEntityAuthenticatedPortalUser"
    await contoso.sql("delete from erp.securityuserrole where user_ = $1 and role = $2", person.operations_user, role)
    for door in (first, *DOORS):
        assert await refused(case, person, door), door
    await contoso.sql("insert into erp.securityuserrole values ($1, $2)", person.operations_user, role)
    assert isinstance(await seen(case, person, first), set)
    await warm(case, person)


@pytest.mark.parametrize("door", ["data", "web", "api"])
async def test_a_write_right_after_the_user_became_an_administrator_is_refused(
    contoso: Installation, door: str
) -> None:
    case = sample.case(contoso)
    person = await sample.fresh_vendor(contoso)
    await warm(case, person)
    surface = case.surface(door)
    (order,) = await case.others(person, 1)
    own = (await case.own(person))[0]
    await contoso.sql("insert into erp.securityuserrole values ($1, '-SYSADMIN-')", person.operations_user)
    for target in (order, own):
        before = await case.stored(target)
        answer = await person.patch(
            url(surface.row(target), **surface.options), {surface.column(case.writable): case.value}
        )
        assert answer.status in (403, 404), answer.text
        assert await case.stored(target) == before


async def refused(case: Case, person: Person, door: str) -> bool:
    try:
        return nothing(await seen(case, person, door))
    except Refusal as refusal:
        return refusal.status == 403


async def test_a_password_that_is_changed_ends_the_sessions(contoso: Installation) -> None:
    person = await sample.fresh_vendor(contoso)
    assert (await person.get(sample.case(contoso).surface("api").orders())).status == 200
    credential = await contoso.forecourt.accounts.find(person.username)
    assert credential is not None
    await contoso.forecourt.accounts.set_password(credential.id, "quite-another-password-7")
    assert (await person.get(sample.case(contoso).surface("api").orders())).status in (401, 403)


async def test_a_contact_of_an_attached_database_loses_its_orders_at_once(adventureworks: Installation) -> None:
    """Users stand in a file there; the link to the vendor is the database's own row."""
    from support import adventureworks as aw

    case = aw.case(adventureworks)
    person = adventureworks.signed_up("sheela1@adventure-works.com")
    link = "from person.businessentitycontact c using person.emailaddress e where e.businessentityid = c.personid"
    for door in ("data", "web", "api", "rows", "page"):
        found = await seen(case, person, door)
        assert isinstance(found, set)
        assert found
    kept = await adventureworks.sql(
        "select c.* from person.businessentitycontact c join person.emailaddress e on e.businessentityid = c.personid "
        "where e.emailaddress = $1",
        person.username,
    )
    await adventureworks.sql(f"delete {link} and e.emailaddress = $1", person.username)
    try:
        for door in ("data", "web", "api", "rows", "page"):
            assert nothing(await seen(case, person, door)), door
    finally:
        for row in kept:
            names = ", ".join(row.keys())
            places = ", ".join(f"${number + 1}" for number in range(len(row)))
            await adventureworks.sql(
                f"insert into person.businessentitycontact ({names}) values ({places})", *row.values()
            )
    assert await seen(case, person, "data")
