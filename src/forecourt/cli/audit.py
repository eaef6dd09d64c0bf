"""``forecourt audit``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import msgspec
from rich.progress import Progress

from forecourt.app import Forecourt
from forecourt.cli.workspace import console, opened, solution_argument
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.security.audit import Auditor, Finding, Identity, Report

#: Findings of one kind on one entity that are printed in full.
SHOWN = 3


@click.command()
@solution_argument
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def audit(solution: Path, data: Path | None, as_json: bool) -> None:
    """Compares what every external identity reads at each door of SOLUTION.

    Exit code 1 when there is a finding: rows that one door shows and another hides, a grant that no active policy
    constrains, an administrator behind a portal contact, a policy that can never be active. Exit code 2 when there is
    nobody to compare.

    \b
    Examples:
      forecourt audit examples/contoso
      forecourt audit my-solution --json > audit.json
    """
    report = asyncio.run(_audit(solution, data))
    if as_json:
        document = {
            "identities": report.identities,
            "comparisons": report.comparisons,
            "findings": [msgspec.to_builtins(finding) for finding in report.findings],
        }
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
    else:
        _print(report)
    if report.findings:
        raise click.exceptions.Exit(1)
    if not report.identities:
        raise click.exceptions.Exit(2)


async def _audit(solution: Path, data: Path | None) -> Report:
    async with opened(solution, data) as forecourt:
        people = await identities(forecourt)
        with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("Comparing doors", total=len(people))
            auditor = Auditor(forecourt.operations_gate, forecourt.dataverse_gate, lambda: progress.advance(task))
            return await auditor.run(people, forecourt.definitions.findings)


async def identities(forecourt: Forecourt) -> list[Identity]:
    """Every external identity: mapped contacts, external users without a contact, and anonymous visitors."""
    found: list[Identity] = []
    mapped: set[str] = set()
    for contact_id, user_id in await forecourt.contacts.mapped():
        mapped.add(user_id)
        try:
            portal = await forecourt.principals.for_contact(contact_id)
        except Refusal as refusal:
            found.append(Identity(f"{user_id} (contact {contact_id})", fault=refusal))
            continue
        user = portal.operations_user
        direct = Principal(operations_user=user) if user is not None else None
        found.append(Identity(f"{portal.label} ({user_id})", direct, portal))
    for user in await forecourt.users.external():
        if user.id not in mapped:
            found.append(Identity(user.id, Principal(operations_user=user)))
    try:
        visitor = await forecourt.principals.anonymous()
    except Refusal as refusal:
        found.append(Identity("anonymous visitors", fault=refusal))
    else:
        user = visitor.operations_user
        if user is not None:
            found.append(Identity("anonymous visitors", Principal(operations_user=user), visitor))
    return found


def _print(report: Report) -> None:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.code, finding.entity), []).append(finding)
    for group in groups.values():
        for finding in group[:SHOWN]:
            click.echo(_line(finding))
        if len(group) > SHOWN:
            click.echo(f"  … and the same for {len(group) - SHOWN} more identities (all of them with --json)")
    if not report.identities:
        click.echo("Nothing was compared: there is no mapped contact and no external user.")
        return
    verdict = f"{len(report.findings)} findings" if report.findings else "no finding"
    click.echo(f"{report.identities} identities, {report.comparisons} comparisons of doors: {verdict}.")


def _line(finding: Finding) -> str:
    parts = [f"{finding.code} {finding.message.rstrip('.')}"]
    if finding.identity:
        parts.append(f"identity {finding.identity}")
    if finding.example:
        parts.append(f"for example {finding.example}")
    if finding.rule:
        parts.append(finding.rule if finding.code == "FC7005" else f"missing: {finding.rule}")
    if finding.where:
        parts.append(f"see {finding.where}")
    return "; ".join(parts)
