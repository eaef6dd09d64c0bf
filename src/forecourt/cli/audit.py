"""``forecourt audit``."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.progress import Progress

from forecourt.app import Forecourt, build
from forecourt.cli.auditing import document, page, sarif, text
from forecourt.cli.auditing.people import identities, readers
from forecourt.cli.auditing.surroundings import surroundings
from forecourt.cli.fuzzing.run import fuzz
from forecourt.cli.workspace import console, opened, solution_argument
from forecourt.security.audit import Auditor, Differ, Limits, Memory, Planes, Report, Severity
from forecourt.security.audit.asking import LIMITS
from forecourt.settings import from_environment

FORMATS: dict[str, Callable[[Report], str]] = {
    "text": lambda report: "\n".join(text.lines(report)),
    "json": document.as_json,
    "sarif": sarif.as_sarif,
    "html": page.as_html,
}

SEVERITIES = {severity.word: severity for severity in Severity}


@click.command()
@solution_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="Of the report: for a terminal, for programs and baselines, for code scanning, or a page.",
)
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
@click.option(
    "--diff",
    "earlier",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="EARLIER",
    help="Compare SOLUTION with this one over the data of SOLUTION: who gains or loses which rows?",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    help="Seconds for one comparison; what takes longer is reported as unknown.",
)
@click.option(
    "--fuzz",
    "requests",
    type=click.IntRange(min=1),
    metavar="N",
    help="Instead: N random requests of random identities at every door (OData, FetchXML, change tracking, data "
    "packages, plain SQL), worked out beside it, and rounds in which pages, files of lists and lookups are asked, too, "
    "while what the asker may not read changes. On scratch copies of the databases; stop the server first.",
)
@click.option("--seed", type=int, default=None, help="Of --fuzz: ask the same again.")
def audit(
    solution: Path,
    data: Path | None,
    form: str,
    as_json: bool,
    output: Path | None,
    baseline: Path | None,
    fail_on: str,
    earlier: Path | None,
    patience: float,
    requests: int | None,
    seed: int | None,
) -> None:
    """Compares what every external identity reaches at each door of SOLUTION.

    Finds rows that one door shows and another hides, copies that show more than their source, columns that leak, what
    visitors and whoever registers reach, administrators behind portal contacts, rules without effect. What could not
    be compared is a finding, too.

    Exit code 1 when there is a finding, 2 when there is nobody to compare.

    \b
    Examples:
      forecourt audit examples/contoso
      forecourt audit my-solution --format html --output audit.html
      forecourt audit --diff last-release my-solution
      forecourt audit my-solution --format json --output audit.json
      forecourt audit my-solution --baseline audit.json --fail-on warning
      forecourt audit my-solution --fuzz 10000 --seed 7
    """
    if requests is not None:
        _fuzz(solution, data, requests, seed if seed is not None else secrets.randbelow(10**6))
        return
    known = document.baseline(baseline) if baseline is not None else None
    limits = Limits(patience=patience)
    if earlier is not None:
        report = asyncio.run(_compared(earlier, solution, data, limits))
        report = report if known is None else document.compared(report, known)
    else:
        report = asyncio.run(_audit(solution, data, known, limits))
    shown = FORMATS["json" if as_json else form](report)
    if output is not None:
        output.write_text(shown + "\n", "utf-8")
    else:
        click.echo(shown)
    if any(finding.severity >= SEVERITIES[fail_on] for finding in report.findings):
        raise click.exceptions.Exit(1)
    if not report.identities:
        raise click.exceptions.Exit(2)


async def _audit(solution: Path, data: Path | None, known: document.Baseline | None, limits: Limits) -> Report:
    async with opened(solution, data) as forecourt:
        with _progress() as progress:
            report = await audited(forecourt, solution, progress, known, limits)
    return report if known is None else document.compared(report, known)


async def audited(
    forecourt: Forecourt,
    solution: Path,
    progress: Progress,
    known: document.Baseline | None = None,
    limits: Limits = LIMITS,
    memory: Memory | None = None,
) -> Report:
    """The report on a solution that is open. ``memory``: answers of earlier audits of the same data."""
    task = progress.add_task("Looking people up", total=None)
    people = await identities(forecourt)
    around = await surroundings(forecourt, solution)
    people += await readers(forecourt, around.sql.logins if around.sql is not None else (), people)
    progress.update(task, description="Comparing doors", total=len(people))
    auditor = Auditor(
        forecourt.operations_gate,
        forecourt.dataverse_gate,
        lambda done: progress.advance(task, done),
        limits,
        around,
        None if known is None else known.rights,
        memory,
    )
    return await auditor.run(people, forecourt.definitions.findings)


async def _compared(earlier: Path, solution: Path, data: Path | None, limits: Limits) -> Report:
    """The solution against an earlier one, over one set of databases."""
    async with opened(solution, data) as later:
        before = await build(earlier, later.databases, from_environment())
        with _progress() as progress:
            task = progress.add_task("Looking people up", total=None)
            then, now = await identities(before), await identities(later)
            progress.update(task, description="Comparing solutions", total=len(now))
            differ = Differ(
                Planes(before.operations_gate, before.dataverse_gate),
                Planes(later.operations_gate, later.dataverse_gate),
                lambda done: progress.advance(task, done),
                limits,
            )
            return await differ.run(then, now)


def _fuzz(solution: Path, data: Path | None, requests: int, seed: int) -> None:
    """Random requests, reported as text."""
    with _progress() as progress:
        task = progress.add_task(f"Asking, seed {seed}", total=requests)
        found = asyncio.run(
            fuzz(solution, data, requests, seed, from_environment(), lambda done: progress.update(task, completed=done))
        )
    click.echo("\n".join(found.lines()))
    if not found.clean:
        raise click.exceptions.Exit(1)


def _progress() -> Progress:
    return Progress(console=console, transient=True, disable=not sys.stderr.isatty())
