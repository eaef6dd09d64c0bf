"""Both examples are proved as they are shipped; what one rule less opens is refuted, with rows that show it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forecourt.cli import proofs as command
from forecourt.cli.auditing.people import identities
from forecourt.kernel.errors import Refusal
from forecourt.security.rules import Operation
from forecourt.store.embedded import EmbeddedServer
from support import contoso
from support.command import run
from support.server import Installation, installed

pytest.importorskip("z3", reason="z3-solver, of requirements/dev.txt, is not installed")

from forecourt.security.prove.prover import Prover, Report, Verdict
from forecourt.security.prove.questions import Questioner, kinds

ORDERS_TABLE = "dataverse/tables/purchase_order.yaml"


@pytest.fixture(scope="module")
async def clean(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with contoso.contoso_site(postgres) as site:
        yield site


def copied(folder: Path) -> Path:
    """A copy of the sample solution."""
    root = folder / "solution"
    shutil.copytree(contoso.ROOT, root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


async def changed(clean: Installation, folder: Path, file: str, old: str, new: str) -> Report:
    """The report on a copy of the sample solution in which one text of one file is another."""
    root = copied(folder)
    path = root / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    async with installed(root, clean.url) as site:
        return await command.proofs(site.forecourt)


def refuted(report: Report) -> list[Verdict]:
    return [verdict for verdict in report.verdicts if verdict.status == "refuted"]


async def test_the_sample_company_is_proved(clean: Installation) -> None:
    report = await command.proofs(clean.forecourt)
    assert not [verdict for verdict in report.verdicts if verdict.status == "refuted"], command.document(report)
    unknown = [verdict for verdict in report.verdicts if verdict.status == "unknown"]
    # Two views, which nobody can write; and a permission that compares an account's legal entity and not its number.
    views = ("the view erp.leavereach", "the view erp.custaddressbook")
    known = [verdict for verdict in unknown if any(view in verdict.reason for view in views)]
    left = [verdict for verdict in unknown if verdict not in known]
    assert all(
        verdict.containment == "permission" and verdict.entity == "EcoResReleasedProductV2Entity" for verdict in left
    ), command.document(report)
    assert len(unknown) < len(report.verdicts) / 5
    assert report.questions > 60
    assert {verdict.containment for verdict in report.verdicts} == {"portal", "direct", "permission"}
    proved = [verdict for verdict in report.verdicts if verdict not in left]
    assert all(state.holds and state.people for verdict in proved for state in verdict.assumptions)


async def test_adventureworks_is_proved(adventureworks: Installation) -> None:
    report = await command.proofs(adventureworks.forecourt)
    assert {verdict.status for verdict in report.verdicts} == {"proved"}, [
        v for v in report.verdicts if v.status != "proved"
    ]
    assert report.questions > 30
    assert any("refers to" in fact for verdict in report.verdicts for fact in verdict.facts)


async def test_a_row_that_the_source_alone_lets_be_created_is_the_counterexample_of_a_portal_that_creates_none(
    clean: Installation, tmp_path: Path
) -> None:
    root = copied(tmp_path)
    path = root / "site/table-permissions/Worker-own-addresses.tablepermission.yml"
    path.write_text(path.read_text("utf-8").replace("adx_create: true", "adx_create: false"), "utf-8")
    async with installed(root, clean.url) as site:
        forecourt = site.forecourt
        operations, dataverse = forecourt.operations_gate, forecourt.dataverse_gate
        workers = [item for item in await identities(forecourt) if item.user is not None and item.user.id == "w-000001"]
        asked = Questioner(operations.enforcer, dataverse.enforcer).all(kinds(workers))
        prover = Prover(operations.operations.database, operations.operations.catalog)
        report = await prover.run(item for item in asked if item.entity == "HcmWorkerAddressEntity")
    (found,) = refuted(report)
    assert (found.containment, found.operation) == ("direct", Operation.CREATE)
    assert found.counterexample is not None
    assert found.counterexample.rows


async def test_an_order_of_another_legal_entity_is_the_counterexample_of_a_permission_without_one(
    clean: Installation, tmp_path: Path
) -> None:
    old = "{mserp_ordervendoraccountnumber: accountnumber, mserp_dataareaid: msdyn_companycode}"
    report = await changed(clean, tmp_path, ORDERS_TABLE, old, "{mserp_ordervendoraccountnumber: accountnumber}")
    found = [verdict for verdict in refuted(report) if verdict.containment == "permission"]
    assert {verdict.entity for verdict in found} == {"PurchPurchaseOrderHeaderV2Entity"}
    verdict = found[0]
    assert "Vendor-own-purchase-orders" in verdict.where
    assert verdict.counterexample is not None
    rows = {str(table): rows for table, rows in verdict.counterexample.rows.items()}
    (order,) = rows["erp.purchtable"]
    assert order["orderaccount"] == verdict.counterexample.values["account.accountnumber"]
    assert order["dataareaid"] is not None


async def test_a_policy_without_the_legal_entity_is_wider_than_the_portal(clean: Installation, tmp_path: Path) -> None:
    old = "relation: {orderaccount: accountnum, dataareaid: dataareaid}"
    file = "operations/policies/VendProfileAccount.yaml"
    report = await changed(clean, tmp_path, file, old, "relation: {orderaccount: accountnum}")
    assert "PurchPurchaseOrderHeaderV2Entity" in {
        verdict.entity for verdict in refuted(report) if verdict.containment == "direct"
    }


async def test_the_scratch_tables_leave_nothing_behind(clean: Installation) -> None:
    await command.proofs(clean.forecourt)
    left = await clean.sql("select relname from pg_class where relname like 'scratch%'")
    assert left == []


async def test_a_contact_with_the_account_of_another_is_named(postgres: EmbeddedServer) -> None:
    async with contoso.contoso_site(postgres) as site:
        contact = (
            await site.dataverse(
                """
                update dataverse.contact c set parentcustomerid = o.accountid from dataverse.account o
                where c.contactid = (
                    select m.msdyn_contactid from dataverse.msdyn_externalportalusermapping m
                    where m.msdyn_userid = 'v-us-101')
                  and o.accountid = (
                    select d.parentcustomerid from dataverse.contact d
                    join dataverse.msdyn_externalportalusermapping m on m.msdyn_contactid = d.contactid
                    where m.msdyn_userid = 'v-us-102')
                returning c.emailaddress1
                """
            )
        )[0][0]
        report = await command.proofs(site.forecourt)
    states = [state for verdict in report.verdicts for state in verdict.assumptions]
    broken = [state for state in states if state.broken and "VendProfileAccount" in state.text]
    assert broken
    assert all(len(state.broken) == 1 and contact in state.broken[0] for state in broken)
    found = refuted(report)
    assert "PurchPurchaseOrderHeaderV2Entity" in {verdict.entity for verdict in found}
    assert all(verdict.counterexample is not None for verdict in found)


async def test_the_command_ends_with_one_and_names_the_rows_where_something_is_refuted(
    clean: Installation, tmp_path: Path
) -> None:
    """A role that reads workers, and no policy for it: with external users let in, the source shows them all."""
    root = copied(tmp_path)
    header = root / "solution.yaml"
    database = json.dumps(clean.url)
    text = header.read_text("utf-8").partition("\nsample:")[0]
    old = "connections: {dataverse: embedded, operations: embedded}"
    assert old in text
    text = text.replace(old, f"connections: {{dataverse: {database}, operations: {database}}}")
    header.write_text(text.replace("external_users: policy-required", "external_users: open") + "\n", "utf-8")
    (root / "operations" / "policies" / "HcmWorkerSelf.yaml").unlink()
    told = await run("prove", root, "--data", tmp_path / "data", "--json")
    report = json.loads(told.out)
    assert told.code == 1
    assert report["refuted"] and report["proved"]
    wide = [item for item in report["verdicts"] if item["status"] == "refuted" and item["containment"] == "direct"]
    assert {item["entity"] for item in wide} >= {"HcmWorkerEntity"}
    assert all(item["counterexample"]["row"] and item["where"] and item["people"] for item in wide)
    told = await run("prove", root, "--data", tmp_path / "data")
    assert told.code == 1
    assert "refuted  what the source admits of Workers is what the portal shows" in told.out
    assert "shown to leak: PersonnelNumber=" in told.out


async def test_without_the_solver_the_command_says_what_to_install(
    clean: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match="z3-solver") as refusal:
        command.needed()
    assert refusal.value.code == "FC7101"
    assert "forecourt[prove]" in refusal.value.hint
