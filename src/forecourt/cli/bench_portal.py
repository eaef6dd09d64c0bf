"""``forecourt bench portal``: how long do pages take under many people, and what does a browser make of them?"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from forecourt import __version__
from forecourt.cli.benching import browser, machine, portal, report
from forecourt.cli.benching.browser import Look
from forecourt.cli.benching.questions import HAND, name_of
from forecourt.cli.benching.rounds import Load, Sample, Samples, as_record, measure
from forecourt.cli.benching.subject import served
from forecourt.cli.benching.suite import Suite, read_suite, suite_folder
from forecourt.cli.workspace import console

#: Of the tables, where they do not go to a terminal.
WIDTH = 132

#: What a page may need: milliseconds until the first contentful paint, and bytes.
PAINT, WEIGHT = 1_000.0, 200_000

_PORTAL = name_of(portal.DOOR, portal.IDENTITY)


@click.command("portal")
@click.option("--people", type=click.IntRange(1, 90), default=50, show_default=True, help="At once.")
@click.option("--scale", type=click.IntRange(1, 200), default=1, show_default=True, help="Size of the sample data.")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="Rounds of all contenders.")
@click.option("--seconds", type=click.IntRange(1, 600), default=4, show_default=True, help="Per contender and round.")
@click.option("--page", "names", multiple=True, help="Only this page; may be given several times.")
@click.option("--browser/--no-browser", "looking", default=True, help="Whether Chromium looks at the pages as well.")
@click.option("--writing", is_flag=True, help="Something is written all the time, so that every page is made anew.")
@click.option("--quick", is_flag=True, help="Two rounds of a second: does everything work? The figures mean little.")
@click.option("--strict", is_flag=True, help="End with 1 where a goal is missed.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write every sample down here.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the sample's database here.")
def portal_(
    people: int,
    scale: int,
    rounds: int,
    seconds: int,
    names: tuple[str, ...],
    looking: bool,
    writing: bool,
    quick: bool,
    strict: bool,
    file: Path | None,
    data: Path | None,
) -> None:
    """Measures pages of the portal with many people at once, next to the bare SQL, and what Chromium sees of them.

    Everybody asks again as soon as the answer is there, and so does pgbench with as many connections. A page that is
    asked for again is given again while nothing is written; with --writing it never is.

    \b
    Examples:
      forecourt bench portal
      forecourt bench portal --writing
      forecourt bench portal --quick --no-browser
      forecourt bench portal --page list --people 20 --json bench/results/portal.json
    """
    cores = machine.two_cores()
    suite = read_suite(suite_folder() / "scenarios.py")
    if unknown := set(names) - {page.name for page in suite.pages}:
        known = ", ".join(page.name for page in suite.pages)
        raise click.UsageError(f"No such page: {', '.join(sorted(unknown))}. There are: {known}.")
    load = Load(2, 1, 0.3, people) if quick else Load(rounds, seconds, connections=people)
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forecourt-bench-")))
        facts = machine.describe() | {"forecourt": __version__, "scale": scale, "load": asdict(load)}
        run = _run(suite, names, folder, scale, load, cores, looking, writing, 1 if quick else 5)
        samples, looks = asyncio.run(run)
    _print(suite, samples, looks)
    if facts["load_before"] > 0.5:
        click.echo(f"The machine was busy already (load {facts['load_before']}): go by CPU, and measure again.")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        about = facts | {"writing": writing}
        record = {"about": about, "samples": as_record(samples), "browser": [asdict(look) for look in looks]}
        file.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    met = [item.met for item in verdicts(suite, samples)] + [not _missed(look) for look in looks]
    if strict and not all(met):
        raise click.exceptions.Exit(1)


async def _run(
    suite: Suite,
    names: Sequence[str],
    folder: Path,
    scale: int,
    load: Load,
    cores: tuple[int, int],
    looking: bool,
    writing: bool,
    times: int,
) -> tuple[Samples, list[Look]]:
    async with portal.prepared(suite, names, folder, scale, load.connections) as (subject, paths, cookie):
        with console.status("Starting the server") as status:
            async with portal.written(subject.url) if writing else nullcontext():
                samples = await asyncio.to_thread(measure, subject, load, cores, status.update)

            def look() -> list[Look]:
                with served(subject, cores[0]):
                    return browser.looks(subject.origin, paths, cookie, times)

            status.update("Chromium looks at the pages")
            return samples, await asyncio.to_thread(look) if looking else []


def verdicts(suite: Suite, samples: Samples) -> tuple[report.Verdict, ...]:
    """The goal for each page: its 95th percentile next to that of the SQL by hand, round by round."""
    what = "95 of 100 pages, to the SQL by hand"
    return tuple(
        report.Verdict(
            name, what, report.ratios(taken[_PORTAL], taken[HAND], lambda one: one.p95), suite.pages_limit, most=True
        )
        for name, taken in samples.items()
    )


def _print(suite: Suite, samples: Samples, looks: Sequence[Look]) -> None:
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=WIDTH)
    titles = {page.name: page.title for page in suite.pages}
    for name, taken in samples.items():
        out.print(_table(titles[name], taken))
    for verdict in verdicts(suite, samples):
        out.print(f"{_mark(verdict.met)} {verdict}", soft_wrap=True)
    for look in looks:
        told = (
            f"{look.page}, {look.width} px: first contentful paint {look.paint:.0f} ms, {look.weight / 1000:.1f} KB in "
            f"{look.parts} requests, layout shift {look.shift:.3f}"
        )
        out.print(f"{_mark(not _missed(look))} {told}", soft_wrap=True)


def _mark(met: bool) -> str:
    return "[green]ok [/]" if met else "[red]NO [/]"


def _missed(look: Look) -> bool:
    return look.paint >= PAINT or look.weight >= WEIGHT or look.shift > 0


def _table(title: str, taken: Mapping[str, Sequence[Sample]]) -> Table:
    shown = Table(title=title, title_justify="left")
    shown.add_column("contender")
    for heading in ("per s", "p50", "p95", "server", "PG", "p95 / hand", "CPU / hand"):
        shown.add_column(heading, justify="right", no_wrap=True)
    hand = taken[HAND]
    for name, rows in taken.items():
        server = report.spread([row.server for row in rows]).median
        shown.add_row(
            name,
            f"{report.spread([row.rate for row in rows]).median:,.0f}",
            f"{report.spread([row.p50 for row in rows]).median:.2f}",
            f"{report.spread([row.p95 for row in rows]).median:.2f}",
            f"{server:.0f}" if server else "",
            f"{report.spread([row.postgres for row in rows]).median:.0f}",
            f"{report.ratios(rows, hand, lambda row: row.p95).median:.1f}",
            f"{report.ratios(rows, hand, lambda row: row.cost).median:.1f}",
        )
    return shown
