"""Table maps being started, with a progress bar for the rows that are copied.

A solution with sample data is shown at work: ``forecourt demo`` starts its maps when they were never started before,
or when that was cut off. Maps that somebody has stopped stay stopped.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from forecourt.app import Forecourt
from forecourt.cli.workspace import console


async def start_maps(forecourt: Forecourt, maps: Sequence[str], initial: bool = True) -> list[str]:
    """Starts MAPS (all where none is given) and says for each what was done. Raises Refusal as ``DualWrite.start``."""
    with _progress() as progress:
        tasks: dict[str, Any] = {}

        def told(name: str, rows: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name)
            progress.update(tasks[name], completed=rows, total=total)

        return await forecourt.dual_write.start(maps, me(), initial, told)


async def start_untouched(forecourt: Forecourt) -> list[str]:
    """Starts the maps that nobody has started yet, and those whose start was cut off; says for each what was done."""
    dual_write = forecourt.dual_write
    known = await dual_write.registry.maps() if await dual_write.registry.installed() else {}
    wanted = [name for name in dual_write.maps if name not in known or known[name].state == "initializing"]
    return await start_maps(forecourt, wanted) if wanted else []


def me() -> str:
    """Who is at the command line, for the activity log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "command line"


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} rows/s")


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)
