"""``forecourt sync``: the life of table maps, what waits, what went wrong, whether both sides agree."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from forecourt.app import Forecourt
from forecourt.cli.copying import me, start_maps
from forecourt.cli.workspace import console, opened, solution_argument
from forecourt.integration.dual_write.overview import Status
from forecourt.integration.dual_write.verify import Comparison, Difference
from forecourt.store.recovery import recover

T = TypeVar("T")

#: Differences that are shown of a map.
SHOWN = 20

_maps = click.argument("maps", nargs=-1)


@click.group()
def sync() -> None:
    """Keeps Dataverse tables and data entities in step, by the table maps of a solution.

    \b
    Examples:
      forecourt sync list examples/contoso
      forecourt sync start examples/contoso                     all maps, with initial sync
      forecourt sync start examples/contoso customers --no-initial
      forecourt sync pause examples/contoso sales-orders
      forecourt sync resume examples/contoso sales-orders --catch-up
      forecourt sync errors examples/contoso
      forecourt sync verify examples/contoso                    exit code 1 where the sides differ
      forecourt sync repair examples/contoso --yes
      forecourt sync audit examples/contoso --key 000001        who has written this row?
    """


@sync.command("list")
@solution_argument
def list_command(solution: Path, data: Path | None) -> None:
    """Lists the maps of SOLUTION: what they pair, and how they stand.

    \b
    Examples:
      forecourt sync list examples/contoso
    """

    async def work(forecourt: Forecourt) -> None:
        table = Table(box=None, pad_edge=False)
        for title in ("map", "version", "data entity", "table", "direction", "mode", "state"):
            table.add_column(title)
        for status in await forecourt.dual_write.status():
            item = forecourt.dual_write.maps[status.record.name]
            way = "both" if item.both else f"from {next(iter(item.legs))}"
            cells = (item.name, item.version, item.entity.public_name, item.table.name, way, item.mode)
            table.add_row(*cells, status.record.state)
        _print(table)

    _run(solution, data, work)


@sync.command("status")
@solution_argument
@_maps
def status_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> None:
    """Shows the state of MAPS (all by default), what waits for them, and how many rows are in error.

    \b
    Examples:
      forecourt sync status examples/contoso
      forecourt sync status examples/contoso sales-orders
    """

    async def work(forecourt: Forecourt) -> None:
        table = Table(box=None, pad_edge=False)
        for title in ("map", "state", "waiting", "oldest", "errors", "since"):
            table.add_column(title, justify="right" if title in ("waiting", "oldest", "errors") else "left")
        for status in await forecourt.dual_write.status(maps):
            table.add_row(*_cells(status))
        _print(table)

    _run(solution, data, work)


def _cells(status: Status) -> tuple[str, ...]:
    record = status.record
    since = record.changed_at.astimezone().strftime("%Y-%m-%d %H:%M") if record.changed_at is not None else ""
    oldest = max(status.lag.values(), default=0.0)
    waiting = sum(status.backlog.values())
    return record.name, record.state, str(waiting), f"{oldest:.0f} s" if waiting else "", str(status.errors), since


@sync.command("start")
@solution_argument
@_maps
@click.option("--no-initial", is_flag=True, help="Without initial sync: both sides are known to be equal.")
def start_command(solution: Path, data: Path | None, maps: tuple[str, ...], no_initial: bool) -> None:
    """Starts MAPS (all by default), parents first, after an initial sync. One that was cut off goes on.

    Starting puts triggers on the tables of the data entities; stopping the last map takes them away.

    \b
    Examples:
      forecourt sync start examples/contoso
      forecourt sync start examples/contoso customers --no-initial
    """

    async def work(forecourt: Forecourt) -> None:
        _say(await start_maps(forecourt, maps, not no_initial))

    _run(solution, data, work)


@sync.command("pause")
@solution_argument
@_maps
def pause_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> None:
    """Pauses MAPS (all by default): what changes waits, for as long as it takes.

    \b
    Examples:
      forecourt sync pause examples/contoso sales-orders
    """
    _run(solution, data, lambda forecourt: _said(forecourt.dual_write.pause(maps, me())))


@sync.command("resume")
@solution_argument
@_maps
@click.option("--catch-up", "how", flag_value="catch_up", help="Go live at once and catch up behind.")
@click.option("--discard", "how", flag_value="discard", help="Pass over what has changed meanwhile; verify afterwards.")
def resume_command(solution: Path, data: Path | None, maps: tuple[str, ...], how: Any) -> None:
    """Resumes paused MAPS (all by default); what has changed is played back first.

    \b
    Examples:
      forecourt sync resume examples/contoso sales-orders
      forecourt sync resume examples/contoso --catch-up
    """
    _run(solution, data, lambda forecourt: _said(forecourt.dual_write.resume(maps, me(), how or "play_back")))


@sync.command("stop")
@solution_argument
@_maps
def stop_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> None:
    """Stops MAPS (all by default). With the last one, everything that capture has put into a database goes away.

    \b
    Examples:
      forecourt sync stop examples/contoso
      forecourt sync stop examples/contoso customers
    """
    _run(solution, data, lambda forecourt: _said(forecourt.dual_write.stop(maps, me())))


@sync.command("errors")
@solution_argument
@_maps
@click.option("--dismiss", type=int, multiple=True, metavar="NUMBER", help="Forget an error; may be given repeatedly.")
def errors_command(solution: Path, data: Path | None, maps: tuple[str, ...], dismiss: tuple[int, ...]) -> None:
    """Shows rows that did not arrive, with the reason. They are tried again by themselves, and by 'sync retry'.

    \b
    Examples:
      forecourt sync errors examples/contoso
      forecourt sync errors examples/contoso --dismiss 17
    """

    async def work(forecourt: Forecourt) -> None:
        registry = forecourt.dual_write.registry
        if not await registry.installed():
            click.echo("No map was ever started.")
            return
        if dismiss:
            click.echo(f"{await registry.dismiss(dismiss)} forgotten.")
        chosen = [item.name for item in forecourt.dual_write.named(maps)]
        found = [error for error in await registry.errors() if error.map in chosen]
        table = Table(box=None, pad_edge=False)
        for title in ("number", "map", "from", "row", "tries", "reason"):
            table.add_column(title, overflow="fold")
        for error in found:
            key = ", ".join(map(str, error.key))
            table.add_row(str(error.id), error.map, error.source.value, key, str(error.attempts), error.message)
        if found:
            _print(table)
        click.echo(f"{len(found)} rows in error.")

    _run(solution, data, work)


@sync.command("retry")
@solution_argument
@_maps
def retry_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> None:
    """Tries the rows in error of MAPS (all by default) again now.

    \b
    Examples:
      forecourt sync retry examples/contoso
    """

    async def work(forecourt: Forecourt) -> None:
        click.echo(f"{await forecourt.dual_write.retry(maps)} rows have arrived.")

    _run(solution, data, work)


@sync.command("drain")
@solution_argument
@_maps
def drain_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> None:
    """Works off what waits for MAPS (all by default) now. A running server does so by itself.

    \b
    Examples:
      forecourt sync drain examples/contoso sales-order-lines
    """

    async def work(forecourt: Forecourt) -> None:
        total = 0
        for item in forecourt.dual_write.named(maps):
            total += await forecourt.dual_write.queue.drain(item)
        click.echo(f"{total} rows applied.")

    _run(solution, data, work)


@sync.command("log")
@solution_argument
@_maps
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Entries at most.")
def log_command(solution: Path, data: Path | None, maps: tuple[str, ...], limit: int) -> None:
    """Shows what was done with MAPS (all by default), by whom, the newest first.

    \b
    Examples:
      forecourt sync log examples/contoso --limit 10
    """

    async def work(forecourt: Forecourt) -> None:
        registry = forecourt.dual_write.registry
        chosen = [item.name for item in forecourt.dual_write.named(maps)]
        entries = await registry.activities(limit=limit) if await registry.installed() else []
        for entry in entries:
            if entry.map in chosen:
                at = (entry.at or datetime.now(UTC)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
                rows = f", {entry.rows} rows" if entry.rows else ""
                detail = f": {entry.detail}" if entry.detail else ""
                click.echo(f"{at}  {entry.map}  {entry.what} by {entry.by}{rows}{detail}")

    _run(solution, data, work)


@sync.command("verify")
@solution_argument
@_maps
def verify_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> int:
    """Compares both sides of MAPS (all by default), while people work. Exit code 1 where they differ.

    \b
    Examples:
      forecourt sync verify examples/contoso
      forecourt sync verify examples/contoso customers
    """

    async def work(forecourt: Forecourt) -> int:
        differing = 0
        for item in forecourt.dual_write.named(maps):
            for comparison in await forecourt.verifier.compare(item):
                _show(item.name, comparison)
                differing += len(comparison.differences)
        return 1 if differing else 0

    return _run(solution, data, work)


@sync.command("repair")
@solution_argument
@_maps
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
def repair_command(solution: Path, data: Path | None, maps: tuple[str, ...], yes: bool) -> int:
    """Shows what differs in MAPS (all by default), and makes the copy what the master side is.

    \b
    Examples:
      forecourt sync repair examples/contoso customers
      forecourt sync repair examples/contoso --yes
    """

    async def work(forecourt: Forecourt) -> int:
        wrong = 0
        for item in forecourt.dual_write.named(maps):
            for comparison in await forecourt.verifier.compare(item):
                _show(item.name, comparison)
                if not comparison.differences:
                    continue
                target = comparison.leg.target_side
                if not yes:
                    click.confirm(f"Write {len(comparison.differences)} rows to {target}?", abort=True)
                errors = await forecourt.verifier.repair(item, comparison)
                wrong += len(errors)
                for error in errors:
                    click.echo(f"  {error.message}", err=True)
                click.echo(f"{item.name}: {len(comparison.differences) - len(errors)} rows repaired.")
        return 2 if wrong else 0

    return _run(solution, data, work)


@sync.command("recover")
@solution_argument
def recover_command(solution: Path, data: Path | None) -> None:
    """Finishes or undoes what a crash has left in doubt between two databases. A running server does so by itself.

    \b
    Examples:
      forecourt sync recover examples/contoso
    """

    async def work(forecourt: Forecourt) -> None:
        done = await recover(forecourt.coordinator)
        click.echo(f"{done.committed} committed, {done.undone} rolled back, {done.running} still running.")

    _run(solution, data, work)


def _show(name: str, comparison: Comparison) -> None:
    leg = comparison.leg
    pending = f", {comparison.pending} were on their way" if comparison.pending else ""
    click.echo(
        f"{name}, {leg.source_side} to {leg.target_side}: {comparison.rows} rows in {comparison.segments} segments, "
        f"{len(comparison.differences)} differ{pending}."
    )
    for difference in comparison.differences[:SHOWN]:
        click.echo(f"  {_row(comparison, difference)}")
    if len(comparison.differences) > SHOWN:
        click.echo(f"  ... and {len(comparison.differences) - SHOWN} more")


def _row(comparison: Comparison, difference: Difference) -> str:
    key = ", ".join(map(str, difference.key))
    match difference.kind:
        case "missing":
            return f"{key}: missing in {comparison.leg.target_side}"
        case "surplus":
            return f"{key}: only in {comparison.leg.target_side}"
        case "unsent":
            return f"{key}: cannot be sent: {difference.reason}"
    places = [place for place, c in enumerate(comparison.leg.columns) if c.target in difference.columns]
    source, target = difference.source or (), difference.target or ()
    columns = comparison.leg.columns
    told = ", ".join(f"{columns[place].target} {target[place]!s} instead of {source[place]!s}" for place in places)
    return f"{key}: {told}"


def _run(solution: Path, data: Path | None, work: Callable[[Forecourt], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened(solution, data) as forecourt:
            if not forecourt.dual_write.maps:
                raise click.ClickException(f"{solution} has no table maps (maps/*.yaml).")
            return await work(forecourt)

    return asyncio.run(run())


async def _said(lines: Awaitable[Iterable[str]]) -> None:
    _say(await lines)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _print(table: Table) -> None:
    Console(width=None if console.is_terminal else 160, highlight=False).print(table)
