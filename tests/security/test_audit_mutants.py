"""Rules removed or weakened, a few of each kind: audit names what opened. ``make mutants`` does all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import yaml

from forecourt.cli.auditing.surroundings import surroundings
from forecourt.kernel.relation import TableName
from forecourt.kernel.row_security import Directory, Protection
from forecourt.operations.native import NativeAccess
from forecourt.security.audit import Auditor, Finding, Planes
from forecourt.security.audit.copies import Copies
from forecourt.security.audit.direct import Direct
from forecourt.security.audit.doors import Doors
from forecourt.security.audit.identities import classes
from forecourt.security.audit.plain_sql import Enforced
from forecourt.security.audit.surroundings import Surroundings
from forecourt.security.native import protection
from forecourt.security.standing import id_of
from forecourt.store.embedded import EmbeddedServer
from support.mutant_ranges import contoso_range
from support.mutants import Mutant, Range

pytestmark = [pytest.mark.xdist_group("mutants"), pytest.mark.slow]

#: Parts of the names of mutants that show rows to somebody, and the code under which audit tells of it first.
OPENED = (
    ("range dropped: VendProfileAccount: {'column': 'DirPersonUser.user_'", "FC7001"),
    ("relation condition dropped: VendProfileAccount: erp.purchtable.dataareaid", "FC7001"),
    ("scope widened to Global: Everybody: account of the own contact", "FC7010"),
    ("scope widened to Global: Vendor: own purchase orders", "FC7006"),
    ("permission removed: Vendor: own vendor record", "FC7001"),
    ("mapped to another user: v-us-101", "FC7001"),
    ("legal entities widened: v-fr-101", "FC7001"),
    ("Webapi fields widened: Webapi/contact/fields", "FC7019"),
    ("right added: Customer: own account, to order for: create", "FC7015"),
    ("security role widened: contact", "FC7001"),
    ("range dropped: PurchPublishedRFQ: {'column': 'expirydate'", "FC7011"),
    ("relation condition dropped: PurchPublishedRFQ: erp.purchrfqcaseline.rfqcaseid", "FC7011"),
)

#: Mutants that open no row by themselves, and the code.
SAID = (
    ("mapped to an administrator: v-us-101", "FC7004"),
    ("context misspelt: HcmWorkerSelf", "FC7005"),
    ("columns widened: VendVendorExternalView", "FC7008"),
    ("columns widened: VendPurchaseOrderConfirm, PurchPurchaseOrderHeaderV2Entity: update", "FC7018"),
    ("Webapi fields widened: Webapi/account/fields", "FC7009"),
    ("columns widened: HcmWorkerSelfMaintain, LeaveRequestEntity: update", "FC7018"),
)


@pytest.fixture(scope="module")
async def field(
    postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Range, list[Mutant]]]:
    async with contoso_range(postgres, tmp_path_factory.mktemp("mutants")) as found:
        yield found


def mutant(field: tuple[Range, list[Mutant]], text: str) -> Mutant:
    return next(item for item in field[1] if str(item).startswith(text))


async def test_the_sample_is_clean_with_the_rows_that_were_added(field: tuple[Range, list[Mutant]]) -> None:
    assert field[0].report.findings == ()
    assert len(field[1]) > 200


@pytest.mark.parametrize(("text", "code"), OPENED)
async def test_what_opened_is_named_with_identity_count_and_row(
    field: tuple[Range, list[Mutant]], text: str, code: str
) -> None:
    fate = await field[0].fate(mutant(field, text))
    assert fate.audit is not None
    assert fate.audit.identity
    assert fate.audit.rows
    assert fate.audit.example
    assert code in {finding.code for finding in fate.new}
    if not fate.mutant.do:
        assert fate.diff is not None or code == "FC7006", "what the source still hides changes nothing for anybody"


@pytest.mark.parametrize(("text", "code"), SAID)
async def test_what_is_wrong_is_said_though_no_row_is_open(
    field: tuple[Range, list[Mutant]], text: str, code: str
) -> None:
    fate = await field[0].fate(mutant(field, text))
    assert code in {finding.code for finding in fate.new}


async def test_what_opens_nothing_to_anybody_is_told_from_what_does(field: tuple[Range, list[Mutant]]) -> None:
    fates = [await field[0].fate(mutant(field, f"legal entities widened: {user}")) for user in ("v-us-102", "v-fr-101")]
    assert [fate.opens for fate in fates] == [False, True]
    assert fates[0].audit is None


async def test_what_a_data_package_alone_shows_is_named(field: tuple[Range, list[Mutant]]) -> None:
    file = "operations/roles.yaml"
    roles = yaml.safe_load((field[0].root / file).read_text("utf-8"))
    vendor = roles["privileges"]["VendVendorExternalView"]["entities"]["VendVendorV2Entity"]
    vendor["modes"] = "DataManagement"
    fate = await field[0].fate(Mutant("packages alone", "vendors", file, roles))
    wider = [finding for finding in fate.new if finding.code == "FC7020"]
    assert {finding.subject for finding in wider} == {"read at data packages"}
    assert all(finding.identity and finding.rows and finding.example for finding in wider)


#: Gives the operations user the security role of salespersons, by rows of Dataverse.
SELLS = """
insert into dataverse.systemuser (systemuserid, domainname, fullname, businessunitid)
select gen_random_uuid(), '{0}', '{0}', businessunitid from dataverse.businessunit
where parentbusinessunitid is null and not exists (select from dataverse.systemuser where domainname = '{0}');
insert into dataverse.systemuserroles (systemuserid, roleid)
select systemuserid, '{1}' from dataverse.systemuser where domainname = '{0}'
"""
UNSOLD = """
delete from dataverse.systemuserroles where systemuserid in
    (select systemuserid from dataverse.systemuser where domainname = '{0}')
"""


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "without a contact"])
async def test_security_roles_given_by_rows_are_looked_at(field: tuple[Range, list[Mutant]], mapped: bool) -> None:
    user, role = "v-us-102", id_of("role", "Salesperson")
    away = "update dataverse.msdyn_externalportalusermapping set statecode = {} where msdyn_userid = '{}'"
    do, undo = [("dataverse", SELLS.format(user, role))], [("dataverse", UNSOLD.format(user))]
    if not mapped:
        do.append(("dataverse", away.format(1, user)))
        undo.append(("dataverse", away.format(0, user)))
    changed = ("systemuser", "systemuserroles", "msdyn_externalportalusermapping")
    tables = frozenset(TableName("dataverse", name) for name in changed)
    fate = await field[0].fate(Mutant("security role given", user, do=tuple(do), undo=tuple(undo), tables=tables))
    (accounts,) = [f for f in fate.new if f.code == "FC7001" and f.entity == "account"]
    assert user in accounts.identity
    assert (accounts.subject, "Salesperson" in accounts.rule) == ("the Dataverse Web API", True)
    assert accounts.rows > 10
    assert accounts.example.startswith("accountid=")


async def test_plain_sql_is_compared_under_the_rules_that_the_database_was_given(
    field: tuple[Range, list[Mutant]],
) -> None:
    found = field[0].forecourt
    access = await NativeAccess.open(found.definitions.operations, found.users, found.databases.operations)
    around = await surroundings(found, field[0].root)
    same = Enforced(access.protection)
    assert not await told(field[0], replace(around, sql=same))
    kept = tuple(rule for rule in access.protection.rows if rule.policy != "VendProfileAccount")
    wider = replace(access.protection, rows=kept)
    new = await told(field[0], replace(around, sql=replace(same, protection=wider)))
    vendors = [finding for finding in new if finding.identity.endswith("(v-us-101)")]
    assert {finding.code for finding in new} == {"FC7020"}
    assert {finding.subject for finding in vendors} == {"read at plain SQL"}
    assert all(finding.rows and finding.example for finding in vendors)


async def test_a_database_with_other_rules_or_a_role_with_other_rights_is_named(
    field: tuple[Range, list[Mutant]],
) -> None:
    stale = Enforced(access_of(field[0]), (("anna", "v-us-101"),), ("alter view forecourt_data.x",), ("Role anna …",))
    around = await surroundings(field[0].forecourt, field[0].root)
    new = await told(field[0], replace(around, sql=stale))
    assert {(finding.code, finding.subject) for finding in new} == {("FC7021", "steps"), ("FC7021", "Role anna …")}
    unknown = await told(field[0], replace(around, sql=replace(stale, missing=(), beside=(), unknown="no right")))
    assert [finding.code for finding in unknown] == ["FC7000"]


def access_of(found: Range) -> Protection:
    """The solution's own protection, without a database to give it to."""
    gate = found.forecourt.operations_gate
    return protection(gate.enforcer.rules.operations, gate.model, Directory(None), gate.key_of)


async def told(found: Range, around: Surroundings) -> list[Finding]:
    """The findings with other surroundings."""
    forecourt = found.forecourt
    auditor = Auditor(forecourt.operations_gate, forecourt.dataverse_gate, around=around, memory=found.memory)
    return list((await auditor.run(found.people)).findings)


async def test_no_comparison_of_the_sample_goes_through_rows_person_by_person(
    field: tuple[Range, list[Mutant]],
) -> None:
    """Pairs of people and rows are found by joining: the plan does not depend on how many there are of both."""
    found = field[0].forecourt
    planes = Planes(found.operations_gate, found.dataverse_gate)
    around = await surroundings(found, field[0].root)
    kinds = (Doors(planes), Direct(planes, around), Copies(planes, around))
    groups = list(classes(field[0].people, 1000))
    asked = [check.asked for kind in kinds for group in groups for check in kind.checks(group)]
    assert len(asked) > 40
    ways = {question.way for question in asked if "published" not in question.entity.name.lower()}
    assert ways == {"joined", "contained"}, "what is published is nobody's own: there is nothing to join it by"
