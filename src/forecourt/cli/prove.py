"""``forecourt prove``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.progress import Progress

from forecourt.cli.proofs import document, lines, needed, proofs
from forecourt.cli.workspace import console, opened, solution_argument

if TYPE_CHECKING:
    from forecourt.security.prove.prover import Report


@click.command()
@solution_argument
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def prove(solution: Path, data: Path | None, as_json: bool) -> None:
    """Proves that the doors of SOLUTION agree, for every row that its database could hold.

    Each answer is proved, refuted with a counterexample that was run through both doors, or unknown with the reason.
    What a proof assumes of contacts and their operations users is checked on the data. Needs forecourt[prove].

    Exit code 1 when something is refuted, 2 when something is left unknown or there is nobody to ask for.

    \b
    Examples:
      forecourt prove examples/contoso
      forecourt prove my-solution --json > proofs.json
    """
    needed()
    report = asyncio.run(_prove(solution, data))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(document(report)), indent=2).decode())
    else:
        click.echo("\n".join(lines(report)))
    if report.count("refuted"):
        raise click.exceptions.Exit(1)
    if report.count("unknown") or not report.questions:
        raise click.exceptions.Exit(2)


async def _prove(solution: Path, data: Path | None) -> Report:
    async with opened(solution, data) as forecourt:
        with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("Proving", total=None)
            return await proofs(forecourt, lambda: progress.advance(task))
