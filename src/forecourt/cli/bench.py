"""``forecourt bench``: how fast is it, next to pgbench on the same machine in the same minutes?"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from forecourt import __version__
from forecourt.cli.bench_audit import audit
from forecourt.cli.bench_copies import copies
from forecourt.cli.bench_portal import portal_
from forecourt.cli.benching import machine, report
from forecourt.cli.benching.rounds import Load, Samples, as_record, measure
from forecourt.cli.benching.subject import prepared
from forecourt.cli.benching.suite import Suite, read_suite, suite_folder
from forecourt.cli.workspace import console

#: Of the tables, where they do not go to a terminal.
WIDTH = 132


@click.group(invoke_without_command=True)
@click.option("--scale", type=click.IntRange(1, 200), default=1, show_default=True, help="Size of the sample data.")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="Rounds of all contenders.")
@click.option("--seconds", type=click.IntRange(1, 600), default=4, show_default=True, help="Per contender and round.")
@click.option("--connections", type=click.IntRange(1, 64), default=8, show_default=True, help="Kept busy at once.")
@click.option("--scenario", "names", multiple=True, help="Only this scenario; may be given several times.")
@click.option("--quick", is_flag=True, help="Two rounds of a second: does everything work? The figures mean little.")
@click.option("--strict", is_flag=True, help="End with 1 where a goal is missed.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write every sample down here.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the sample's database here.")
@click.option("--suite", "path", type=click.Path(dir_okay=False, path_type=Path), help="Default: bench/scenarios.py.")
@click.pass_context
def bench(
    context: click.Context,
    scale: int,
    rounds: int,
    seconds: int,
    connections: int,
    names: tuple[str, ...],
    quick: bool,
    strict: bool,
    file: Path | None,
    data: Path | None,
    path: Path | None,
) -> None:
    """Measures reads by key and pages against pgbench, interleaved, and prints the ratios.

    What keeps two sides in step is measured by 'forecourt bench copies', an audit by 'forecourt bench audit', pages
    of the portal by 'forecourt bench portal'.

    Needs two cores: the server has one, PostgreSQL the other. Every answer is checked before anything is timed.

    \b
    Examples:
      forecourt bench
      forecourt bench --quick
      forecourt bench --scale 10 --rounds 9 --json bench/results/today.json
      forecourt bench copies --json bench/results/copies.json
    """
    if context.invoked_subcommand is not None:
        return
    cores = machine.two_cores()
    suite = read_suite(path if path is not None else suite_folder() / "scenarios.py")
    unknown = set(names) - {scenario.name for scenario in suite.scenarios}
    if unknown:
        known = ", ".join(scenario.name for scenario in suite.scenarios)
        raise click.UsageError(f"No such scenario: {', '.join(sorted(unknown))}. There are: {known}.")
    load = Load(rounds, seconds, connections=connections)
    if quick:
        load = replace(load, rounds=2, seconds=1, warm_up=0.3)
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forecourt-bench-")))
        facts = machine.describe() | {"forecourt": __version__, "scale": scale, "load": asdict(load)}
        samples, version = asyncio.run(_run(suite, names, folder, scale, load, cores))
    _print(suite, samples, facts)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        about = facts | {"postgresql": version}
        record = {"about": about, **report.as_json(suite, samples), "samples": as_record(samples)}
        file.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if strict and not all(item.met for item in report.verdicts(suite, samples)):
        raise click.exceptions.Exit(1)


bench.add_command(audit)
bench.add_command(copies)
bench.add_command(portal_)


async def _run(
    suite: Suite, names: Sequence[str], folder: Path, scale: int, load: Load, cores: tuple[int, int]
) -> tuple[Samples, str]:
    async with prepared(suite, names, folder, scale) as subject:
        with console.status("Starting the server") as status:
            samples = await asyncio.to_thread(measure, subject, load, cores, status.update)
        return samples, subject.postgresql


def _print(suite: Suite, samples: Samples, facts: dict[str, Any]) -> None:
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=WIDTH)
    for scenario in suite.scenarios:
        if scenario.name in samples:
            out.print(report.table(scenario.title, samples[scenario.name]))
    for item in report.verdicts(suite, samples):
        out.print(f"[{'green' if item.met else 'red'}]{'ok ' if item.met else 'NO '}[/] {item}", soft_wrap=True)
    if facts["load_before"] > 0.5:
        busy = f"The machine was busy already (load {facts['load_before']}): go by CPU, and measure again."
        out.print(busy, soft_wrap=True)
