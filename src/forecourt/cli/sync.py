"""``forecourt sync``: the life of table maps, what waits, what went wrong, whether both sides agree."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from forecourt.app import Forecourt
from forecourt.cli.copying import me, start_maps
from forecourt.cli.sync_common import maps_argument, run, said, say, show
from forecourt.cli.workspace import solution_argument
from forecourt.integration.dual_write.decide import both_sides
from forecourt.integration.dual_write.overview import Status
from forecourt.store.recovery import recover


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
      forecourt sync repair examples/contoso --propose changes.jsonl
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
        for title in ("map", "version", "versions", "data entity", "table", "direction", "mode", "state"):
            table.add_column(title)
        for status in await forecourt.dual_write.status():
            item = forecourt.dual_write.maps[status.record.name]
            way = "both" if item.both else f"from {next(iter(item.legs))}"
            others = ", ".join(found.version for found in forecourt.dual_write.versions.maps.versions[item.name])
            cells = (item.name, status.record.version, others, item.entity.public_name, item.table.name, way, item.mode)
            table.add_row(*cells, status.record.state)
        show(table)

    run(solution, data, work)


@sync.command("status")
@solution_argument
@maps_argument
def status_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> None:
    """Shows the state of MAPS (all by default), what waits for them, and how many rows are in error.

    Columns that were dropped or retyped in a database since a map was made for them are named.

    \b
    Examples:
      forecourt sync status examples/contoso
      forecourt sync status examples/contoso sales-orders
    """

    async def work(forecourt: Forecourt) -> None:
        table = Table(box=None, pad_edge=False)
        for title in ("map", "state", "waiting", "oldest", "errors", "since"):
            table.add_column(title, justify="right" if title in ("waiting", "oldest", "errors") else "left")
        found = await forecourt.dual_write.status(maps)
        for status in found:
            table.add_row(*_cells(status))
        show(table)
        for status in found:
            reason = status.standing or status.record.detail
            if reason:
                click.echo(f"{status.item.name}: {reason}")
        for drift in await forecourt.dual_write.drift([status.item for status in found]):
            click.echo(f"{'broken' if drift.breaks else 'changed'}: {drift}")

    run(solution, data, work)


def _cells(status: Status) -> tuple[str, ...]:
    record = status.record
    since = record.changed_at.astimezone().strftime("%Y-%m-%d %H:%M") if record.changed_at is not None else ""
    oldest = max(status.lag.values(), default=0.0)
    waiting = sum(status.backlog.values())
    return record.name, record.state, str(waiting), f"{oldest:.0f} s" if waiting else "", str(status.errors), since


@sync.command("start")
@solution_argument
@maps_argument
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
        say(await start_maps(forecourt, maps, not no_initial))

    run(solution, data, work)


@sync.command("pause")
@solution_argument
@maps_argument
@click.option("--related", is_flag=True, help="Pause the maps too whose rows refer to theirs, or the other way round.")
def pause_command(solution: Path, data: Path | None, maps: tuple[str, ...], related: bool) -> None:
    """Pauses MAPS (all by default): what changes waits, for as long as it takes.

    \b
    Examples:
      forecourt sync pause examples/contoso sales-orders
      forecourt sync pause examples/contoso sales-orders --related
    """

    async def work(forecourt: Forecourt) -> None:
        others = forecourt.dual_write.related(maps)
        say(await forecourt.dual_write.pause([*maps, *others] if related else maps, me()))
        running = [s.item.name for s in await forecourt.dual_write.status(others) if s.record.state == "running"]
        if others and running:
            click.echo(f"Related maps still run: {', '.join(running)}. Pause them too with --related.", err=True)

    run(solution, data, work)


@sync.command("resume")
@solution_argument
@maps_argument
@click.option("--catch-up", "how", flag_value="catch_up", help="Go live at once and catch up behind.")
@click.option("--discard", "how", flag_value="discard", help="Pass over what has changed meanwhile; verify afterwards.")
def resume_command(solution: Path, data: Path | None, maps: tuple[str, ...], how: Any) -> None:
    """Resumes paused MAPS (all by default); what has changed is played back first.

    \b
    Examples:
      forecourt sync resume examples/contoso sales-orders
      forecourt sync resume examples/contoso --catch-up
    """
    run(solution, data, lambda forecourt: said(forecourt.dual_write.resume(maps, me(), how or "play_back")))


@sync.command("stop")
@solution_argument
@maps_argument
def stop_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> None:
    """Stops MAPS (all by default). With the last one, everything that capture has put into a database goes away.

    \b
    Examples:
      forecourt sync stop examples/contoso
      forecourt sync stop examples/contoso customers
    """
    run(solution, data, lambda forecourt: said(forecourt.dual_write.stop(maps, me())))


@sync.command("version")
@solution_argument
@click.argument("name", metavar="MAP")
@click.argument("version", required=False, default="")
def version_command(solution: Path, data: Path | None, name: str, version: str) -> None:
    """Chooses the VERSION of a MAP that is not running; left out, the highest counts again.

    \b
    Examples:
      forecourt sync version examples/contoso customers 1.0.0.0
      forecourt sync version examples/contoso customers
    """

    async def work(forecourt: Forecourt) -> None:
        click.echo(await forecourt.dual_write.choose(name, version, me()))

    run(solution, data, work)


@sync.command("errors")
@solution_argument
@maps_argument
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
        for title in ("number", "map", "from", "row", "class", "tries", "reason"):
            table.add_column(title, overflow="fold")
        for error in found:
            key = ", ".join(map(str, error.key))
            cells = (str(error.id), error.map, error.source.value, key, error.kind, str(error.attempts), error.message)
            table.add_row(*cells)
        if found:
            show(table)
        for error in found:
            sides = await both_sides(forecourt.copies, error) if error.kind == "conflict" else None
            for column, ours, theirs in sides.differing if sides is not None else ():
                click.echo(f"{error.id}: {column}: {error.source} has {ours}, {error.source.other} has {theirs}")
        click.echo(f"{len(found)} rows in error.")

    run(solution, data, work)


@sync.command("retry")
@solution_argument
@maps_argument
def retry_command(solution: Path, data: Path | None, maps: tuple[str, ...]) -> None:
    """Tries the rows in error of MAPS (all by default) again now.

    \b
    Examples:
      forecourt sync retry examples/contoso
    """

    async def work(forecourt: Forecourt) -> None:
        click.echo(f"{await forecourt.dual_write.retry(maps)} rows have arrived.")

    run(solution, data, work)


@sync.command("drain")
@solution_argument
@maps_argument
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

    run(solution, data, work)


@sync.command("log")
@solution_argument
@maps_argument
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

    run(solution, data, work)


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

    run(solution, data, work)
