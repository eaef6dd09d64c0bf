"""``forecourt bench copies``: what does it cost to keep two sides in step, next to plain SQL in the same minutes?"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import uvloop
from rich.console import Console

from forecourt import __version__
from forecourt.cli.benching import copy_rounds, machine
from forecourt.cli.benching.copy_cases import SCENES
from forecourt.cli.benching.copy_rounds import Outcome
from forecourt.cli.workspace import console
from forecourt.store.embedded import EmbeddedServer

#: Of the tables, where they do not go to a terminal.
WIDTH = 132

ROWS, QUICK_ROWS = 100_000, 20_000


@click.command()
@click.option("--rows", type=click.IntRange(20_000), default=ROWS, show_default=True, help="Of the initial sync.")
@click.option("--rounds", type=click.IntRange(1, 100), default=7, show_default=True, help="Rounds of all contenders.")
@click.option(
    "--case", "names", multiple=True, type=click.Choice(list(SCENES)), help="Only this; may be given several times."
)
@click.option("--quick", is_flag=True, help="One round, few rows: does everything work? The figures mean little.")
@click.option("--strict", is_flag=True, help="End with 1 where a goal is missed.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write every sample down here.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the databases' server here.")
def copies(
    rows: int, rounds: int, names: tuple[str, ...], quick: bool, strict: bool, file: Path | None, data: Path | None
) -> None:
    """Measures live writes, capture, the queue and initial sync against plain SQL, interleaved, and prints the ratios.

    After each case both sides are compared: nothing counts that has not arrived.

    \b
    Examples:
      forecourt bench copies
      forecourt bench copies --quick
      forecourt bench copies --case initial --rows 1000000 --rounds 3
    """
    if quick:
        rows, rounds = QUICK_ROWS, 1
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forecourt-bench-")))
        facts = machine.describe() | {"forecourt": __version__, "rows": rows, "rounds": rounds}
        outcomes = uvloop.run(_run(folder, names or tuple(SCENES), rows, rounds))
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=WIDTH)
    verdicts = [item for outcome in outcomes for item in outcome.verdicts()]
    for outcome in outcomes:
        out.print(copy_rounds.table(outcome))
    for item in verdicts:
        out.print(f"[{'green' if item.met else 'red'}]{'ok ' if item.met else 'NO '}[/] {item}", soft_wrap=True)
    if facts["load_before"] > 0.5:
        out.print(f"The machine was busy already (load {facts['load_before']}): measure again.", soft_wrap=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"about": facts, **copy_rounds.as_json(outcomes)}, indent=1) + "\n", "utf-8")
    if strict and not all(item.met for item in verdicts):
        raise click.exceptions.Exit(1)


async def _run(folder: Path, names: Sequence[str], rows: int, rounds: int) -> list[Outcome]:
    folder.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    with console.status("Starting the server") as status:
        server = await asyncio.to_thread(EmbeddedServer.start, folder / "postgres")
        try:
            for name in names:
                status.update(f"Filling the databases of {name}")
                async with SCENES[name](server, folder, rows) as scene:
                    outcomes += await copy_rounds.measure(scene.cases, rounds, scene.between, status.update)
                    await scene.check()
        finally:
            await asyncio.to_thread(server.stop)
    return outcomes
