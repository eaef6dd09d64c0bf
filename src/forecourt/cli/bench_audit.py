"""``forecourt bench audit``: how long does an audit of many people over many rows take, and what does it need?"""

from __future__ import annotations

import asyncio
import json
import resource
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from forecourt import __version__
from forecourt.app import Forecourt
from forecourt.cli.auditing.people import identities
from forecourt.cli.auditing.surroundings import surroundings
from forecourt.cli.benching import machine
from forecourt.cli.benching.crowd import populate
from forecourt.cli.workspace import console, example, opened
from forecourt.kernel.plan import SystemPlan
from forecourt.security.audit import Auditor, Identity, Limits

#: Orders of each sort that one step of the sample's scale has.
ORDERS = 40_000

#: People who are asked about one at a time, to compare.
SINGLE = 20


@dataclass(frozen=True)
class Outcome:
    """``seconds``: of the audit; ``resolving``: of it, to find out who people are. ``memory``: peak of this process, in
    megabytes; ``before``: the same before the audit. ``temporary``: megabytes that the database put on disk for sorts
    and hashes. ``single``: seconds for each person where each is asked about alone."""

    people: int
    orders: int
    identities: int
    comparisons: int
    findings: int
    seconds: float
    resolving: float
    memory: float
    before: float
    temporary: float
    single: float


@click.command()
@click.option("--contacts", type=click.IntRange(100), default=10_000, show_default=True, help="People from outside.")
@click.option(
    "--orders", type=click.IntRange(ORDERS), default=1_000_000, show_default=True, help="Orders of both sorts."
)
@click.option("--quick", is_flag=True, help="1,000 people and the smallest sample: does everything work?")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures down here.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the sample's database here.")
def audit(contacts: int, orders: int, quick: bool, file: Path | None, data: Path | None) -> None:
    """Measures 'forecourt audit' of many people over many orders: minutes, memory, and what goes to disk.

    \b
    Examples:
      forecourt bench audit
      forecourt bench audit --quick
      forecourt bench audit --contacts 20000 --orders 2000000 --json bench/results/audit.json
    """
    if quick:
        contacts, orders = 1_000, ORDERS
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forecourt-bench-")))
        facts = machine.describe() | {"forecourt": __version__}
        outcome = asyncio.run(_run(folder, contacts, orders))
    click.echo(f"{outcome.identities:,} identities, {outcome.orders:,} orders, {outcome.comparisons} comparisons")
    click.echo(f"{outcome.seconds / 60:.1f} minutes, {outcome.resolving:.0f} s of them to find out who people are")
    click.echo(f"{outcome.memory:.0f} MB at most, {outcome.before:.0f} MB before; {outcome.temporary:.0f} MB on disk")
    alone = outcome.single * outcome.identities / 60
    click.echo(f"one person at a time: {outcome.single:.2f} s each, which makes {alone:.0f} minutes for all")
    click.echo(f"{outcome.findings} findings")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"about": facts, **asdict(outcome)}, indent=1) + "\n", "utf-8")


async def _run(folder: Path, contacts: int, orders: int) -> Outcome:
    root = example("contoso")
    async with opened(root, folder, scale=max(1, orders // ORDERS)) as forecourt:
        database = forecourt.databases.operations
        there = (await database.system(SystemPlan("count the crowd", _CROWD)))[0][0]
        if there < contacts:
            with console.status("Making people"):
                await populate(database, contacts - there)
        counted = (await database.system(SystemPlan("count orders", _ORDERS)))[0][0]
        before, spilt = _memory(), await _spilt(forecourt)
        with console.status("Auditing"):
            started = time.monotonic()
            people = await identities(forecourt)
            resolved = time.monotonic()
            auditor = Auditor(
                forecourt.operations_gate, forecourt.dataverse_gate, around=await surroundings(forecourt, root)
            )
            report = await auditor.run(people, forecourt.definitions.findings)
            done = time.monotonic()
        return Outcome(
            people=contacts,
            orders=counted,
            identities=report.identities,
            comparisons=report.comparisons,
            findings=len(report.findings),
            seconds=done - started,
            resolving=resolved - started,
            memory=_memory(),
            before=before,
            temporary=await _spilt(forecourt) - spilt,
            single=await _single(forecourt, people),
        )


async def _single(forecourt: Forecourt, people: list[Identity]) -> float:
    """Seconds for each of some people where a statement is about one person."""
    some = [identity for identity in people if identity.sort == "mapped"][:: max(1, len(people) // SINGLE)][:SINGLE]
    auditor = Auditor(forecourt.operations_gate, forecourt.dataverse_gate, limits=Limits(at_once=1))
    started = time.monotonic()
    await auditor.run(some)
    return (time.monotonic() - started) / max(1, len(some))


def _memory() -> float:
    """The most that this process has had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _spilt(forecourt: Forecourt) -> float:
    """What the database has put into temporary files so far, in megabytes."""
    rows = await forecourt.databases.operations.system(SystemPlan("read statistics", _SPILT))
    return float(rows[0][1]) / 1024**2


_CROWD = "select count(*) from dataverse.msdyn_externalportalusermapping"
_ORDERS = "select (select count(*) from erp.purchtable) + (select count(*) from erp.salestable)"
_SPILT = "select pg_stat_force_next_flush(), temp_bytes from pg_stat_database where datname = current_database()"
