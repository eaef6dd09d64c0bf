"""The same person gets the same rows, whatever door a request comes through; plain SQL is the measure."""

from __future__ import annotations

import pytest

from forecourt.dataverse.rows import Query
from forecourt.kernel.principal import Door
from support import contoso as sample
from support.server import Case, Installation, next_page, table_rows, url

ODATA = ("data", "web", "api")


@pytest.mark.parametrize("vendor", [0, 1, 2])
@pytest.mark.parametrize("door", ODATA)
async def test_an_odata_door_shows_exactly_the_orders_that_plain_sql_finds(case: Case, door: str, vendor: int) -> None:
    person, surface = case.person(vendor), case.surface(door)
    own = sorted(order.key for order in await case.own(person))
    rows = await person.everything(surface.selecting(), {"prefer": "odata.maxpagesize=97"})
    assert sorted(surface.keys(rows)) == own
    assert len(own) > 3, "a vendor without orders proves nothing"


@pytest.mark.parametrize("door", ODATA)
async def test_small_pages_lose_nothing_and_repeat_nothing(case: Case, door: str) -> None:
    person, surface = case.person(2), case.surface(door)
    own = await case.own(person)
    size = max(1, len(own) // 7)
    sort = surface.column(case.key[-1])
    pages = await person.pages(surface.selecting(_orderby=f"{sort} desc"), {"prefer": f"odata.maxpagesize={size}"})
    assert [len(page.rows) for page in pages[:-1]] == [size] * (len(pages) - 1)
    found = surface.keys([row for page in pages for row in page.rows])
    assert found == sorted((order.key for order in own), key=lambda key: key[-1], reverse=True)


@pytest.mark.parametrize("door", ODATA)
async def test_every_count_is_the_number_of_rows(case: Case, door: str) -> None:
    for number in range(3):
        person, surface = case.person(number), case.surface(door)
        expected = len(await case.own(person))
        total = await person.get(url(surface.set(case.orders) + "/$count", **surface.options))
        assert total.text == str(expected)
        first = await person.get(surface.selecting(_count=True, _top=2))
        assert first.json["@odata.count"] == expected
        assert len(first.rows) == min(2, expected)


async def test_the_portals_list_shows_exactly_the_orders_that_plain_sql_finds(case: Case) -> None:
    for number in (0, 2):
        person = case.person(number)
        surface = case.surface("web")
        expected = {case.site.row_id(surface.table(case.orders), order.recid) for order in await case.own(person)}
        shown: list[object] = []
        target: str | None = case.list_path
        while target is not None:
            page = await person.get(target)
            assert page.status == 200
            assert f"<strong>{len(expected):,}</strong>" in page.text
            rows = table_rows(page.text)
            shown += [row for row, _ in rows]
            assert rows, "an empty page would never end"
            target = next_page(page.text)
        assert len(shown) == len(set(shown))
        assert set(shown) == expected


async def test_rows_of_the_service_behind_the_portal_are_those_that_plain_sql_finds(case: Case) -> None:
    for number in range(3):
        person, surface = case.person(number), case.surface("web")
        table = surface.table(case.orders)
        columns = tuple(map(surface.column, case.key))
        found: list[tuple[object, ...]] = []
        cursor = None
        while True:
            page = await case.site.forecourt.rows.page(
                await person.principal(), Query(table, columns, size=211, cursor=cursor, total=True)
            )
            found += [tuple(row.values[name] for name in columns) for row in page.rows]
            cursor = page.cursor
            if cursor is None:
                break
        own = [order.key for order in await case.own(person)]
        assert sorted(found) == sorted(own)
        assert page.total == len(own)


async def test_lines_follow_their_orders_at_every_door(case: Case) -> None:
    person = case.person(2)
    own = {order.key for order in await case.own(person)}
    for door in ODATA:
        surface = case.surface(door)
        names = ",".join(map(surface.column, case.key))
        rows = await person.everything(url(surface.set(case.lines), _select=names, **surface.options))
        assert set(surface.keys(rows)) <= own
        expanded = await person.everything(
            surface.selecting(_expand=f"{surface.column(case.to_lines)}($select={names})")
        )
        below = [key for row in expanded for key in surface.keys(row[surface.column(case.to_lines)])]
        assert sorted(below) == sorted(surface.keys(rows))


async def test_a_page_at_data_without_cross_company_is_the_default_company_of_the_user(contoso: Installation) -> None:
    case = sample.case(contoso)
    person = case.person(0)
    await contoso.sql("update erp.userinfo set company = 'demf' where id = $1", person.operations_user)
    try:
        assert await person.everything(case.surface("data").set(case.orders)) == []
    finally:
        await contoso.sql("update erp.userinfo set company = 'usmf' where id = $1", person.operations_user)
    rows = await person.everything(case.surface("data").set(case.orders) + "?$select=dataAreaId")
    assert len(rows) == len(await case.own(person))


async def test_the_same_number_in_another_company_is_another_order(contoso: Installation) -> None:
    """V-COMMON-1 exists in two legal entities for parties that have nothing to do with each other."""
    case = sample.case(contoso)
    one, other = await contoso.contact_of("v-common-1-usmf"), await contoso.contact_of("v-common-1-demf")
    for door in ODATA:
        surface = case.surface(door)
        keys = [set(surface.keys(await each.everything(surface.selecting()))) for each in (one, other)]
        assert keys[0] and keys[1] and not keys[0] & keys[1]
        assert {key[0] for key in keys[0]} == {"usmf"}
        assert {key[0] for key in keys[1]} == {"demf"}


@pytest.mark.parametrize(
    ("role", "entity", "query"),
    [
        (
            "Customer representatives",
            "SalesOrderHeaderV2Entity",
            "select o.salesid from erp.salestable o join erp.custtable a on a.accountnum = o.custaccount "
            "and a.dataareaid = o.dataareaid join erp.contactperson c on c.contactforparty = a.party "
            "and c.dataareaid = a.dataareaid join erp.dirpersonuser u on u.personparty = c.party where u.user_ = $1",
        ),
        (
            "Workers",
            "HcmWorkerEntity",
            "select w.personnelnumber from erp.hcmworker w join erp.dirpersonuser u on u.personparty = w.person "
            "where u.user_ = $1",
        ),
        (
            "Vendors",
            "VendVendorV2Entity",
            "select v.accountnum from erp.vendtable v join erp.contactperson c on c.contactforparty = v.party "
            "and c.dataareaid = v.dataareaid join erp.dirpersonuser u on u.personparty = c.party where u.user_ = $1",
        ),
    ],
)
async def test_customers_workers_and_vendors_see_their_own_records_at_every_door(
    contoso: Installation, role: str, entity: str, query: str
) -> None:
    person = contoso.in_role(role)
    own = sorted(row[0] for row in await contoso.sql(query, person.operations_user))
    assert own
    model = contoso.forecourt.definitions.operations.model
    field = model.entities[entity].key[-1]
    for door in ODATA:
        surface = sample.case(contoso).surface(door)
        rows = await person.everything(url(surface.set(entity), _select=surface.column(field), **surface.options))
        assert sorted(row[surface.column(field)] for row in rows) == own


async def test_people_of_one_role_read_nothing_of_the_other_roles_entities(contoso: Installation) -> None:
    surfaces = [sample.case(contoso).surface(door) for door in ODATA]
    foreign = {
        "Vendors": ("SalesOrderHeaderV2Entity", "CustCustomerV3Entity", "HcmWorkerEntity"),
        "Customer representatives": ("PurchPurchaseOrderHeaderV2Entity", "VendVendorV2Entity", "HcmWorkerEntity"),
        "Workers": ("PurchPurchaseOrderHeaderV2Entity", "CustCustomerV3Entity"),
    }
    for role, entities in foreign.items():
        person = contoso.in_role(role)
        for entity in entities:
            for surface in surfaces:
                answer = await person.get(url(surface.set(entity), **surface.options))
                assert answer.status == 403, (role, entity, surface.name)
    released = await contoso.in_role("Vendors").get("/data/ReleasedProductsV2?cross-company=true")
    assert released.status == 403


async def test_two_contacts_of_one_store_see_the_same(adventureworks: Installation) -> None:
    mark = adventureworks.signed_up("mark3@adventure-works.com")
    jeff = adventureworks.signed_up("jeff5@adventure-works.com")
    rows = [await each.everything("/data/SalesOrderHeaders?$select=SalesOrderId") for each in (mark, jeff)]
    assert rows[0] and rows[0] == rows[1]
    own = await adventureworks.sql(
        "select h.salesorderid from sales.salesorderheader h join sales.customer c using (customerid) "
        "where c.storeid = 1018 order by 1"
    )
    assert [row["SalesOrderId"] for row in rows[0]] == [row[0] for row in own]


async def test_an_employee_sees_one_record_and_a_namesake_does_not(adventureworks: Installation) -> None:
    arvind = adventureworks.signed_up("arvind0@adventure-works.com")
    rows = await arvind.everything("/data/Employees?$select=EmployeeId")
    assert [row["EmployeeId"] for row in rows] == [252]
    namesake = adventureworks.signed_up("arvind1@adventure-works.com")
    assert (await namesake.get("/data/Employees")).status == 403


async def test_a_clerk_reads_the_legal_entities_of_the_role_and_no_other(contoso: Installation) -> None:
    clerk = contoso.signed_up("purch.clerk")
    surface = sample.case(contoso).surface("data")
    expected = await contoso.value("select count(*) from erp.purchtable where dataareaid in ('usmf', 'demf')")
    assert (await clerk.get("/data/PurchaseOrderHeadersV2/$count?cross-company=true")).text == str(expected)
    rows = await clerk.everything(surface.selecting(_filter="dataAreaId eq 'frrt'"))
    assert rows == []


async def test_an_administrator_reads_everything_at_data_and_nothing_through_the_portal(
    contoso: Installation,
) -> None:
    admin = contoso.signed_up("admin")
    everything = await contoso.value("select count(*) from erp.purchtable")
    assert (await admin.get("/data/PurchaseOrderHeadersV2/$count?cross-company=true")).text == str(everything)
    assert (await admin.get(sample.case(contoso).surface("api").orders())).status == 403


async def test_every_decision_rests_on_rows_that_each_statement_looks_at_again(case: Case) -> None:
    person = case.person(0)
    scope = await case.site.forecourt.dataverse_gate.scope(await person.principal(Door.PORTAL), Door.PORTAL)
    assert scope.principal.operations_user is not None
    assert scope.principal.operations_user.id == person.operations_user
    assert scope.witnesses
