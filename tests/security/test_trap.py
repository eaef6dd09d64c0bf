"""The trap that the product closes: a portal that hides rows which the same credentials read elsewhere.

Copies of the sample solution, each with one thing wrong, over one database: what doors show, what ``check`` and
``audit`` say of it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.progress import Progress

from forecourt.app import build
from forecourt.cli.audit import audited
from forecourt.cli.auditing import document
from forecourt.security.audit import Memory
from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.command import Said, run
from support.server import SETTINGS, Case, Installation, Known, Person, installed, table_rows, url

pytestmark = pytest.mark.xdist_group("trap")

ODATA = ("data", "web", "api")

#: Whom the database keeps: as many people of each kind as it takes, so that an audit is quick.
KEPT = (
    "v-us-101",
    "v-de-101",
    "v-fr-101",
    "v-common-1-usmf",
    "v-common-1-demf",
    "c-us-00001",
    "c-de-00001",
    "w-000001",
)


@pytest.fixture(scope="module")
async def clean(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    """The sample company with a few people, as shipped otherwise."""
    async with sample.contoso_site(postgres) as site:
        await site.dataverse(
            "delete from dataverse.msdyn_externalportalusermapping where not (msdyn_userid = any($1))", list(KEPT)
        )
        await site.sql(
            "delete from erp.securityuserrole where role = 'SystemExternalUser' and not (user_ = any($1)) "
            "and user_ <> 'portal.anonymous'",
            list(KEPT),
        )
        yield site


@dataclass(frozen=True)
class Copy:
    """A copy of the solution that may be changed, with its data folder."""

    root: Path
    data: Path
    site: Installation
    memory: Memory

    def edit(self, path: str, old: str, new: str) -> int:
        """Replaces one text of a file; the line where it stood."""
        file = self.root / path
        text = file.read_text("utf-8")
        assert text.count(old) >= 1, (path, old)
        file.write_text(text.replace(old, new, 1), "utf-8")
        return text[: text.index(old)].count("\n") + 1

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    async def audit(self, changed: bool = False) -> tuple[int, list[dict[str, object]]]:
        """Exit code and findings of ``forecourt audit --json``. Questions that another copy has put as well are not
        put again, unless rows have ``changed``."""
        forecourt = await build(self.root, self.site.forecourt.databases, SETTINGS)
        report = await audited(forecourt, self.root, Progress(disable=True), memory=None if changed else self.memory)
        return int(bool(report.findings)), json.loads(document.as_json(report))["findings"]

    async def command(self, *options: str) -> Said:
        """The same as a command."""
        return await run("audit", self.root, "--data", self.data, *options)

    async def check(self) -> Said:
        return await run("check", self.root, "--data", self.data, "--database")

    def opened(self) -> contextlib.AbstractAsyncContextManager[Installation]:
        """The changed solution over the same database."""
        return installed(self.root, self.site.url, "", sample.credentials())


def copy_of(site: Installation, folder: Path, memory: Memory) -> Copy:
    root = folder / "contoso"
    shutil.copytree(sample.ROOT, root, ignore=shutil.ignore_patterns("sample", "__pycache__"))
    result = Copy(root, folder / "data", site, memory)
    database = json.dumps(site.url)
    result.edit(
        "solution.yaml",
        "connections: {dataverse: embedded, operations: embedded}",
        f"connections: {{dataverse: {database}, operations: {database}}}",
    )
    header = root / "solution.yaml"
    header.write_text(header.read_text("utf-8").partition("\nsample:")[0] + "\n", "utf-8")
    return result


@pytest.fixture(scope="module")
def memory() -> Memory:
    """Answers over the rows of ``clean``."""
    return {}


@pytest.fixture
def copy(clean: Installation, tmp_path: Path, memory: Memory) -> Copy:
    return copy_of(clean, tmp_path, memory)


def vendor(site: Installation) -> tuple[Case, Person]:
    case = sample.case(site)
    return case, case.person(0)


async def at_portal(case: Case, person: Person) -> set[str]:
    """Order numbers on the first page of the portal's list."""
    page = await person.get("/purchase-orders/?view=all-purchase-orders")
    return {text for _, text in table_rows(page.text)} if page.status == 200 else set()


async def everywhere(case: Case, person: Person) -> dict[str, set[object]]:
    """What each door shows; a refusal shows nothing."""
    found: dict[str, set[object]] = {"portal": set(await at_portal(case, person))}
    for door in ODATA:
        surface = case.surface(door)
        answer = await person.get(surface.selecting(_top=4000), {"prefer": "odata.maxpagesize=4000"})
        found[door] = set(surface.keys(answer.rows)) if answer.status == 200 else set()
    return found


# ------------------------------------------------------------------------------------------------ as shipped


@pytest.mark.slow
async def test_as_shipped_no_door_shows_more_than_another(contoso_alone: Installation, tmp_path: Path) -> None:
    """All people of the sample, 600 of them."""
    shipped = copy_of(contoso_alone, tmp_path, {})
    said = await shipped.command("--json")
    assert (said.code, json.loads(said.out)["findings"]) == (0, [])


async def test_as_shipped_the_few_are_as_clean_and_check_finds_nothing(copy: Copy) -> None:
    said = await copy.command()
    assert (said.code, said.err) == (0, "")
    assert "no finding" in said.out
    assert await copy.audit() == (0, [])
    assert (await copy.check()).code == 0


async def test_the_attached_solution_as_shipped_is_clean(adventureworks: Installation) -> None:
    from forecourt.cli.auditing.people import identities
    from forecourt.cli.auditing.surroundings import surroundings
    from forecourt.security.audit import Auditor
    from support import adventureworks as attached

    forecourt = adventureworks.forecourt
    people = await identities(forecourt)
    around = await surroundings(forecourt, attached.ROOT)
    auditor = Auditor(forecourt.operations_gate, forecourt.dataverse_gate, around=around)
    report = await auditor.run(people, forecourt.definitions.findings)
    assert report.findings == ()
    assert report.identities >= 13
    assert report.comparisons >= 20


# ------------------------------------------------------------------------------------------------- the trap


async def test_an_open_solution_without_the_policy_is_the_trap_and_audit_names_it(copy: Copy) -> None:
    copy.edit("solution.yaml", "external_users: policy-required", "external_users: open")
    copy.remove("operations/policies/VendProfileAccount.yaml")
    async with copy.opened() as site:
        case, person = vendor(site)
        own = {order.key for order in await case.own(person)}
        everything = await site.value("select count(*) from erp.purchtable where dataareaid = 'usmf'")
        seen = await everywhere(case, person)
        assert seen["portal"]
        assert seen["portal"] <= {key[1] for key in own}, "the portal hides what it always hid"
        assert seen["api"] == own
        assert len(seen["data"]) == min(4000, everything) > len(own), "and the direct door shows the competitor's"
        assert (await person.get("/data/PurchaseOrderHeadersV2/$count?cross-company=true")).text == str(everything)
        rows = await site.sql(
            "select dataareaid, purchid, recid from erp.purchtable where dataareaid = 'usmf' "
            "and orderaccount = 'US-102' limit 1"
        )
        stranger = Known(tuple(rows[0])[:2], rows[0][2])
        assert (await person.get(case.surface("data").row(stranger))).status == 200
        assert (await person.get(case.surface("api").row(stranger))).status == 404
    code, findings = await copy.audit()
    assert code == 1
    wider = [f for f in findings if f["code"] == "FC7001" and f["entity"] == "PurchPurchaseOrderHeaderV2Entity"]
    assert {str(f["identity"]) for f in wider} == {
        identity for identity in (str(f["identity"]) for f in wider) if "(v-" in identity
    }
    (anna,) = [f for f in wider if "v-us-101" in str(f["identity"])]
    assert anna["rows"] == everything - len(own)
    assert "anna.berg@northwind-parts.example" in str(anna["identity"])
    company, number = (part.partition("=")[2] for part in str(anna["example"]).split(","))
    assert (company, number) not in own
    assert await copy.site.value(
        "select count(*) from erp.purchtable where dataareaid = $1 and purchid = $2", company, number
    )
    assert "no active XDS policy constrains erp.purchtable" in str(anna["rule"])
    assert "PurchPurchaseOrderHeaderV2Entity.yaml:" in str(anna["where"])
    assert {"FC7003"} <= {str(f["code"]) for f in findings}
    text = await copy.command()
    assert text.code == 1
    assert "anna.berg@northwind-parts.example" in text.out


async def test_by_default_a_missing_policy_closes_every_door_and_audit_says_so(copy: Copy) -> None:
    copy.remove("operations/policies/VendProfileAccount.yaml")
    async with copy.opened() as site:
        case, person = vendor(site)
        assert await everywhere(case, person) == {"portal": set(), "data": set(), "web": set(), "api": set()}
        (order,) = (await case.own(person))[:1]
        before = await case.stored(order)
        for door in ODATA:
            surface = case.surface(door)
            assert (await person.get(url(surface.row(order), **surface.options))).status == 404
            answer = await person.patch(surface.row(order), {surface.column(case.writable): case.value})
            assert answer.status in (403, 404)
        assert await case.stored(order) == before
    code, findings = await copy.audit()
    assert code == 1
    closed = {str(f["entity"]): f for f in findings if f["code"] == "FC7003"}
    assert set(closed) == {
        "PurchPurchaseOrderHeaderV2Entity",
        "PurchPurchaseOrderLineV2Entity",
        "PurchaseOrderResponseHeaderEntity",
        "PurchaseOrderResponseLineEntity",
        "VendVendorV2Entity",
    }
    orders = closed["PurchPurchaseOrderHeaderV2Entity"]
    assert "5 external users" in str(orders["message"])
    assert "VendVendorExternal" in str(orders["message"])
    assert "erp.purchtable" in str(orders["rule"])


@pytest.mark.parametrize(
    ("old", "new", "suggestion"),
    [
        (
            "context: {type: RoleProperty, value: PolicyForVendorRoles}",
            "context: {type: RoleProperty, value: PolicyForVendorRole}",
            "PolicyForVendorRoles",
        ),
        (
            "context: {type: RoleProperty, value: PolicyForVendorRoles}",
            "context: {type: RoleName, role: VendVendorExternl}",
            "VendVendorExternal",
        ),
        (
            "context: {type: RoleProperty, value: PolicyForVendorRoles}",
            "context: {type: ContextString, value: PolicyForVendorRoles}",
            "RoleProperty",
        ),
    ],
)
async def test_a_misspelt_context_is_told_with_its_place_and_denies(
    copy: Copy, old: str, new: str, suggestion: str
) -> None:
    path = "operations/policies/VendProfileAccount.yaml"
    line = copy.edit(path, old, new)
    said = await copy.check()
    assert said.code == 1
    assert f"{path}:{line}: " in said.err
    assert suggestion in said.err
    assert "Traceback" not in said.err
    async with copy.opened() as site:
        case, person = vendor(site)
        assert await everywhere(case, person) == {"portal": set(), "data": set(), "web": set(), "api": set()}
        clerk = site.signed_up("purch.clerk")
        assert (await clerk.get("/data/PurchaseOrderHeadersV2/$count?cross-company=true")).text == "0"
        admin = site.signed_up("admin")
        assert (await admin.get("/data/PurchaseOrderHeadersV2/$count?cross-company=true")).text != "0"
    code, findings = await copy.audit()
    assert code == 1
    assert any(f["code"] == "FC7005" and f"{path}:{line}" in str(f["where"]) for f in findings)


async def test_a_policy_that_is_switched_off_is_as_one_that_is_missing(copy: Copy) -> None:
    copy.edit("operations/policies/VendProfileAccount.yaml", "operation: AllOperations", "enabled: false")
    async with copy.opened() as site:
        case, person = vendor(site)
        assert await everywhere(case, person) == {"portal": set(), "data": set(), "web": set(), "api": set()}
    code, findings = await copy.audit()
    assert code == 1
    assert "FC7003" in {str(f["code"]) for f in findings}


async def test_a_policy_for_reading_alone_leaves_no_way_to_write(copy: Copy) -> None:
    """What no policy constrains for an operation, an external user cannot do."""
    copy.edit("operations/policies/VendProfileAccount.yaml", "operation: AllOperations", "operation: Select")
    async with copy.opened() as site:
        case, person = vendor(site)
        order = (await case.own(person))[0]
        before = await case.stored(order)
        for door in ODATA:
            surface = case.surface(door)
            assert (await person.get(url(surface.row(order), **surface.options))).status == 200
            answer = await person.patch(surface.row(order), {surface.column(case.writable): case.value})
            assert answer.status in (403, 404), door
            (other,) = await case.others(person, 1)
            answer = await person.patch(surface.row(other), {surface.column(case.writable): case.value})
            assert answer.status in (403, 404), door
        assert await case.stored(order) == before


async def test_a_policy_that_forgets_the_company_is_seen_by_audit(copy: Copy) -> None:
    """Account numbers belong to a legal entity: without it the other company's vendor of the same number shows."""
    path = "operations/policies/VendProfileAccount.yaml"
    copy.edit(
        path, "relation: {orderaccount: accountnum, dataareaid: dataareaid}", "relation: {orderaccount: accountnum}"
    )
    site = copy.site
    users = ["v-common-1-usmf", "v-common-1-demf"]
    await site.sql("delete from erp.securityuserroleorganization where user_ = any($1)", users)
    try:
        code, findings = await copy.audit(changed=True)
    finally:
        await site.sql(
            "insert into erp.securityuserroleorganization select r.user_, r.role, u.company "
            "from erp.securityuserrole r join erp.userinfo u on u.id = r.user_ where r.user_ = any($1)",
            users,
        )
    assert code == 1
    wider = [f for f in findings if f["code"] == "FC7001" and f["entity"] == "PurchPurchaseOrderHeaderV2Entity"]
    assert sorted(user for f in wider for user in users if user in str(f["identity"])) == sorted(users)


async def test_a_table_permission_that_is_missing_is_named(copy: Copy) -> None:
    copy.remove("site/table-permissions/Vendor-own-purchase-orders.tablepermission.yml")
    lines = "site/table-permissions/Vendor-lines-of-own-purchase-orders.tablepermission.yml"
    copy.remove(lines)
    async with copy.opened() as site:
        case, person = vendor(site)
        seen = await everywhere(case, person)
        assert seen["portal"] == seen["api"] == set()
        assert seen["data"] == seen["web"] == {order.key for order in await case.own(person)}
    code, findings = await copy.audit()
    assert code == 1
    named = [f for f in findings if f["entity"] == "PurchPurchaseOrderHeaderV2Entity"]
    assert {str(f["code"]) for f in named} == {"FC7001", "FC7007"}
    hidden = [f for f in named if f["code"] == "FC7001"]
    assert all(
        "no table permission on mserp_purchpurchaseorderheaderv2entity for web roles" in str(f["rule"]) for f in hidden
    )
    assert all("Vendors" in str(f["rule"]) for f in hidden)
    assert all("can be changed at /data" in str(f["message"]) for f in named if f["code"] == "FC7007")


async def test_a_table_permission_that_is_too_narrow_is_named_with_its_file(copy: Copy) -> None:
    path = "site/table-permissions/Vendor-own-purchase-orders.tablepermission.yml"
    copy.edit(
        "dataverse/tables/purchase_order.yaml",
        "match: {mserp_ordervendoraccountnumber: accountnumber, mserp_dataareaid: msdyn_companycode}",
        "match: {mserp_ordervendoraccountnumber: name, mserp_dataareaid: msdyn_companycode}",
    )
    code, findings = await copy.audit()
    assert code == 1
    orders = [f for f in findings if f["entity"] == "PurchPurchaseOrderHeaderV2Entity"]
    assert orders
    assert all(path in str(f["rule"]) and "VendProfileAccount" in str(f["rule"]) for f in orders)


async def test_a_table_permission_that_admits_everything_shows_no_more_than_the_policy(copy: Copy) -> None:
    path = "site/table-permissions/Vendor-own-purchase-orders.tablepermission.yml"
    copy.edit(path, "adx_scope: 756150002", "adx_scope: 756150000")
    async with copy.opened() as site:
        case, person = vendor(site)
        assert (await everywhere(case, person))["api"] == {order.key for order in await case.own(person)}
    code, findings = await copy.audit()
    assert code == 1
    wide = [f for f in findings if f["entity"] == "PurchPurchaseOrderHeaderV2Entity"]
    assert {(str(f["code"]), str(f["severity"])) for f in wide} == {("FC7006", "warning")}
    assert all(path in str(f["where"]) for f in wide), "the source alone hides them, and the rule is named"
    everything = await copy.site.value("select count(*) from erp.purchtable")
    assert all(0 < int(str(f["rows"])) < everything for f in wide)
    said = await copy.command("--fail-on", "error")
    assert said.code == 0


async def test_audit_without_a_portal_mapping_still_sees_external_users_grants(copy: Copy) -> None:
    copy.edit("solution.yaml", "external_users: policy-required", "external_users: open")
    copy.remove("operations/policies/HcmWorkerSelf.yaml")
    code, findings = await copy.audit()
    assert code == 1
    (worker,) = [f for f in findings if f["code"] == "FC7003" and f["entity"] == "HcmWorkerEntity"]
    assert "HcmWorkerExternal" in str(worker["message"])
    assert "reads every row" in str(worker["message"])


# --------------------------------------------------------------------------------------- who is behind a contact


async def _remapped(site: Installation, person: Person, user: str) -> None:
    await site.dataverse(
        "update dataverse.msdyn_externalportalusermapping set msdyn_userid = $2 where msdyn_contactid = $1",
        person.contact,
        user,
    )


@pytest.mark.parametrize("user", ["admin", "purch.clerk", "security"])
async def test_a_contact_mapped_to_somebody_who_may_not_be_used_is_refused_everywhere(copy: Copy, user: str) -> None:
    site = copy.site
    await site.sql(
        "insert into erp.userinfo (id, name) values ('security', 'Security administrator') on conflict do nothing"
    )
    await site.sql(
        "insert into erp.securityuserrole values ('security', 'SysSecSecurityAdministrator'), "
        "('security', 'CDSVirtualEntityAuthenticatedPortalUser') on conflict do nothing"
    )
    case, person = vendor(site)
    await everywhere(case, person)
    await _remapped(site, person, user)
    try:
        for door in ODATA:
            answer = await person.get(case.surface(door).orders())
            assert answer.status == 403, door
            assert b'"value"' not in answer.body
        assert (await person.get("/purchase-orders/")).status == 403
        assert table_rows((await person.get("/purchase-orders/")).text) == []
        code, findings = await copy.audit(changed=True)
    finally:
        await _remapped(site, person, str(person.operations_user))
    named = [f for f in findings if f["code"] == "FC7004"]
    assert (code, len(named)) == (1, 1)
    assert user in str(named[0]["identity"])
    assert len(await at_portal(case, person)) == 25


async def test_a_contact_without_a_mapping_is_refused_and_told_so(copy: Copy) -> None:
    case, _ = vendor(copy.site)
    stranger = copy.site.signed_up("nora.falk@baltic-tooling.example")
    answer = await stranger.get(case.surface("api").orders())
    assert answer.status == 403
    assert answer.json["error"]["code"] == "90040120"
    page = await stranger.get("/purchase-orders/")
    assert page.status in (200, 403)
    assert table_rows(page.text) == []


async def test_a_mapping_to_nobody_and_to_a_disabled_user_give_nothing(copy: Copy) -> None:
    site = copy.site
    case, person = vendor(site)
    for user in ("nobody", "", "'; drop table erp.purchtable; --"):
        await _remapped(site, person, user)
        try:
            for door in ODATA:
                assert (await person.get(case.surface(door).orders())).status == 403
        finally:
            await _remapped(site, person, str(person.operations_user))
    await site.sql("update erp.userinfo set enable = 0 where id = $1", person.operations_user)
    try:
        for door in ODATA:
            assert (await person.get(case.surface(door).orders())).status in (401, 403)
        assert await at_portal(case, person) == set()
        code, _ = await copy.audit(changed=True)
        assert code == 0
    finally:
        await site.sql("update erp.userinfo set enable = 1 where id = $1", person.operations_user)
    assert len(await at_portal(case, person)) == 25


async def test_visitors_read_nothing_even_where_their_user_is_given_a_privilege(copy: Copy) -> None:
    """The anonymous user needs a policy, a privilege, a table permission and a web role to show one row."""
    site = copy.site
    case, _ = vendor(site)
    await site.sql("insert into erp.securityuserrole values ('portal.anonymous', 'VendVendorExternal')")
    try:
        for door in ODATA:
            assert (await site.ask("GET", case.surface(door).orders())).status in (401, 403)
        page = await site.ask("GET", "/purchase-orders/")
        assert page.status in (303, 302, 401, 403)
        assert table_rows(page.text) == []
    finally:
        await site.sql(
            "delete from erp.securityuserrole where user_ = 'portal.anonymous' and role = 'VendVendorExternal'"
        )


async def test_a_visitors_user_that_is_an_administrator_serves_nobody(copy: Copy) -> None:
    copy.edit("solution.yaml", "anonymous_user: portal.anonymous", "anonymous_user: admin")
    async with copy.opened() as site:
        case = sample.case(site)
        answer = await site.ask("GET", case.surface("api").orders())
        assert answer.status == 403
    code, findings = await copy.audit()
    assert code == 1
    assert [f["identity"] for f in findings if f["code"] == "FC7004"] == ["anonymous visitors"]


async def test_both_customers_roles_together_show_less_never_more(copy: Copy) -> None:
    """Policies combine by AND, also across roles: a vendor who is made a customer as well sees no further order."""
    site = copy.site
    case, person = vendor(site)
    before = await everywhere(case, person)
    await site.sql("insert into erp.securityuserrole values ($1, 'CustCustomerExternal')", person.operations_user)
    try:
        after = await everywhere(case, person)
        assert all(after[door] <= before[door] for door in before)
        sales = await person.get("/data/SalesOrderHeadersV2?cross-company=true")
        assert sales.rows == []
    finally:
        await site.sql(
            "delete from erp.securityuserrole where user_ = $1 and role = 'CustCustomerExternal'",
            person.operations_user,
        )
    assert await everywhere(case, person) == before


# -------------------------------------------------------------------------------------------------- explain


async def test_explain_names_the_rule_that_hides_and_the_one_that_admits(copy: Copy) -> None:
    site = copy.site
    case, person = vendor(site)
    own = (await case.own(person))[0]
    (other,) = await case.others(person, 1)
    for order, admitted in ((own, True), (other, False)):
        said = await run(
            "explain", copy.root, "--data", copy.data, "--as", person.username,
            "--table", "PurchaseOrderHeadersV2", "--key", ",".join(map(str, order.key)), "--json",
        )  # fmt: skip
        assert said.code == 0, said.err
        answers = json.loads(said.out)["answers"]
        assert {answer["address"]: answer["admits"] for answer in answers} == {
            "pages, lists and forms": admitted,
            "/_api": admitted,
            "/api/data/v9.2": admitted,
            "/data": admitted,
            "data packages": admitted,
        }
        for answer in answers:
            verdicts = [verdict for layer in answer["layers"] for verdict in layer["verdicts"]]
            (policy,) = [verdict for verdict in verdicts if verdict["rule"] == "VendProfileAccount"]
            assert policy["admits"] is admitted
            assert bool(policy["failed"]) is not admitted
            assert "VendProfileAccount.yaml:" in policy["where"]
    unknown = await run(
        "explain", copy.root, "--data", copy.data, "--as", "nobody", "--table", "PurchaseOrderHeadersV2"
    )
    assert unknown.code == 1
    assert "Traceback" not in unknown.err
