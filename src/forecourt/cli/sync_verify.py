"""``forecourt sync verify``, ``repair`` and ``resolve``: whether both sides agree, and what makes them agree again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from forecourt.app import Forecourt
from forecourt.cli.copying import me
from forecourt.cli.sync_common import maps_argument, run
from forecourt.cli.workspace import console, solution_argument
from forecourt.integration.dual_write.change_set import Line, by_map, decoded, encoded, lines_of
from forecourt.integration.dual_write.decide import decide
from forecourt.integration.dual_write.verify import Comparison, Difference
from forecourt.kernel.errors import Refusal
from forecourt.kernel.sync import Activity, Side

#: Differences that are shown of a map.
SHOWN = 20

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object per direction of a map, on stdout.")


@click.command("verify")
@solution_argument
@maps_argument
@_json
def sync_verify(solution: Path, data: Path | None, maps: tuple[str, ...], as_json: bool) -> int:
    """Compares both sides of MAPS (all by default), while people work. Exit code 1 where they differ.

    \b
    Examples:
      forecourt sync verify examples/contoso
      forecourt sync verify examples/contoso customers --json
    """

    async def work(forecourt: Forecourt) -> int:
        differing = 0
        for comparison, name in await _compared(forecourt, maps):
            _show(name, comparison, as_json)
            differing += len(comparison.differences)
        return 1 if differing else 0

    return run(solution, data, work)


@click.command("repair")
@solution_argument
@maps_argument
@click.option("--propose", type=click.Path(dir_okay=False, path_type=Path), help="Write the change set to this file.")
@click.option(
    "--apply",
    "given",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Apply exactly this change set.",
)
@click.option("--yes", is_flag=True, help="Apply what differs now, without a review.")
def sync_repair(
    solution: Path, data: Path | None, maps: tuple[str, ...], propose: Path | None, given: Path | None, yes: bool
) -> int:
    """Proposes what would make the copies of MAPS (all by default) what their master sides are; applies it when told.

    A change set is a file with one line of JSON per row, made to be read: take out what you do not want. A row that has
    changed since is skipped and said. Without an option the change set is printed and nothing is written.

    \b
    Examples:
      forecourt sync repair examples/contoso customers
      forecourt sync repair examples/contoso --propose changes.jsonl
      forecourt sync repair examples/contoso --apply changes.jsonl
      forecourt sync repair examples/contoso --yes
    """
    if sum((propose is not None, given is not None, yes)) > 1:
        raise click.UsageError("Choose one of --propose, --apply and --yes.")

    async def work(forecourt: Forecourt) -> int:
        if given is not None:
            return await _apply(forecourt, _read(given, maps), maps)
        compared = await _compared(forecourt, maps)
        lines = [line for comparison, name in compared for line in lines_of(name, comparison)]
        for comparison, name in compared:
            for difference in comparison.differences:
                if difference.reason:
                    click.echo(f"{name} {_row(comparison, difference)}", err=True)
        if yes:
            return await _apply(forecourt, lines, maps)
        text = b"".join(encoded(line) + b"\n" for line in lines)
        if propose is None:
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
        else:
            propose.write_bytes(text)
            click.echo(f"{len(lines)} rows differ. Review {propose}, then: forecourt sync repair --apply {propose}")
        return 0

    return run(solution, data, work)


@click.command("resolve")
@solution_argument
@click.argument("number", type=int)
@click.option(
    "--take", type=click.Choice([side.value for side in Side]), required=True, help="Whose values stand on both sides."
)
def sync_resolve(solution: Path, data: Path | None, number: int, take: str) -> None:
    """Decides a row in error, by its NUMBER in 'sync errors': one side's values stand, and the error is forgotten.

    \b
    Examples:
      forecourt sync resolve examples/contoso 17 --take operations
    """

    async def work(forecourt: Forecourt) -> None:
        click.echo(await decide(forecourt.copies, number, Side(take), me()))

    run(solution, data, work)


async def _compared(forecourt: Forecourt, maps: Sequence[str]) -> list[tuple[Comparison, str]]:
    """Every direction of the maps, with their names. Raises Refusal FC6004 for a map that no longer fits."""
    chosen = forecourt.dual_write.named(maps)
    await forecourt.dual_write.check_fit(chosen)
    found: list[tuple[Comparison, str]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for item in chosen:
            task = progress.add_task(f"{item.name}, segments")

            def told(done: int, total: int, task: Any = task) -> None:
                progress.update(task, completed=done, total=total)

            found += [(comparison, item.name) for comparison in await forecourt.verifier.compare(item, told)]
    return found


def _read(path: Path, maps: Sequence[str]) -> list[Line]:
    lines = []
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        if text.strip():
            try:
                line = decoded(text)
            except Refusal as refusal:
                raise click.ClickException(f"{path}:{number}: {refusal.text}") from None
            if not maps or line.map in maps:
                lines.append(line)
    return lines


async def _apply(forecourt: Forecourt, lines: Sequence[Line], maps: Sequence[str]) -> int:
    """Applies a change set, deletions children first."""
    grouped = by_map(lines)
    forecourt.dual_write.named([*grouped, *maps])
    left = 0
    gone = {name: [line for line in part if line.kind == "surplus"] for name, part in grouped.items()}
    rest = {name: [line for line in part if line.kind != "surplus"] for name, part in grouped.items()}
    order = list(forecourt.dual_write.maps)
    steps = [(name, gone.get(name)) for name in reversed(order)] + [(name, rest.get(name)) for name in order]
    for name, part in steps:
        if not part:
            continue
        done = await forecourt.copies.repairer.apply(forecourt.dual_write.maps[name], part)
        for line in done.skipped:
            click.echo(f"{name} {_key(line)}: has changed since, skipped", err=True)
        for line, reason in done.errors:
            click.echo(f"{name} {_key(line)}: {reason}", err=True)
        left += len(done.skipped) + len(done.errors)
        click.echo(f"{name}: {done.applied} rows repaired.")
        told = f"{len(done.skipped)} skipped, {len(done.errors)} in error"
        await forecourt.dual_write.registry.note(Activity(name, "repair", me(), done.applied, told))
    if not lines:
        click.echo("Nothing differs.")
    return 2 if left else 0


def _key(line: Line) -> str:
    return ", ".join(map(str, line.key.values()))


def _show(name: str, comparison: Comparison, as_json: bool) -> None:
    leg = comparison.leg
    if as_json:
        value = {
            "map": name,
            "direction": f"to_{leg.target_side}",
            "rows": comparison.rows,
            "segments": comparison.segments,
            "in_flight": comparison.pending,
            "differences": [msgspec.to_builtins(line) for line in lines_of(name, comparison)],
            "unsent": [
                {"key": [str(value) for value in item.key], "reason": item.reason}
                for item in comparison.differences
                if item.reason
            ],
        }
        click.echo(msgspec.json.encode(value).decode())
        return
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
