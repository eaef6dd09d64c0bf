"""``forecourt audit``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.progress import Progress

from forecourt.cli.auditing import document, text
from forecourt.cli.auditing.people import identities
from forecourt.cli.auditing.surroundings import surroundings
from forecourt.cli.workspace import console, opened, solution_argument
from forecourt.security.audit import Auditor, Report, Severity

FORMATS: dict[str, Callable[[Report], str]] = {
    "text": lambda report: "\n".join(text.lines(report)),
    "json": document.as_json,
}

SEVERITIES = {severity.word: severity for severity in Severity}


@click.command()
@solution_argument
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the report to this file.")
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON report of an earlier run: only what is new counts.",
)
@click.option(
    "--fail-on",
    type=click.Choice(list(SEVERITIES)),
    default="note",
    show_default=True,
    help="The least severity that ends with 1. 'unknown' is what could not be compared.",
)
def audit(
    solution: Path,
    data: Path | None,
    form: str,
    as_json: bool,
    output: Path | None,
    baseline: Path | None,
    fail_on: str,
) -> None:
    """Compares what every external identity reaches at each door of SOLUTION.

    Exit code 1 when there is a finding: rows that one door shows and another hides, a grant that no active policy
    constrains, an administrator behind a portal contact, a policy that can never be active. Exit code 2 when there is
    nobody to compare.

    \b
    Examples:
      forecourt audit examples/contoso
      forecourt audit my-solution --format json --output audit.json
      forecourt audit my-solution --baseline audit.json --fail-on warning
    """
    known = document.baseline(baseline) if baseline is not None else None
    report = asyncio.run(_audit(solution, data, known))
    shown = FORMATS["json" if as_json else form](report)
    if output is not None:
        output.write_text(shown + "\n", "utf-8")
    else:
        click.echo(shown)
    if any(finding.severity >= SEVERITIES[fail_on] for finding in report.findings):
        raise click.exceptions.Exit(1)
    if not report.identities:
        raise click.exceptions.Exit(2)


async def _audit(solution: Path, data: Path | None, known: document.Baseline | None) -> Report:
    async with opened(solution, data) as forecourt:
        with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("Looking people up", total=None)
            people = await identities(forecourt)
            progress.update(task, description="Comparing doors", total=len(people))
            auditor = Auditor(
                forecourt.operations_gate,
                forecourt.dataverse_gate,
                lambda done: progress.advance(task, done),
                around=await surroundings(forecourt, solution),
                known=None if known is None else known.rights,
            )
            report = await auditor.run(people, forecourt.definitions.findings)
    return report if known is None else document.compared(report, known)
