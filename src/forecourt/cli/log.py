"""``forecourt log``: the security log, and whether the logs are as they were written."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import click
import msgspec

from forecourt.cli.moments import MOMENT, zoned
from forecourt.cli.workspace import opened, solution_argument
from forecourt.kernel.security_log import KINDS, Filter, Logged
from forecourt.store.seals import Anchor, Verdict, anchor


@click.group()
def log() -> None:
    """The security log of SOLUTION: sign-ins, denials, impersonation, exports, changed mappings, roles and rules.

    What dual-write has written is in a log of its own: forecourt sync audit. Both are only ever added to, and sealed
    every few seconds by a chain of hashes.

    \b
    Examples:
      forecourt log show my-solution --kind denial --limit 20
      forecourt log verify my-solution
    """


@log.command()
@solution_argument
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Events of this kind; may be repeated.")
@click.option("--person", default="", metavar="TEXT", help="By or about somebody whose name contains this.")
@click.option("--since", type=MOMENT, help="From this time on, in the local time zone unless it names one.")
@click.option("--until", type=MOMENT, help="Before this time.")
@click.option("--before", type=int, metavar="NUMBER", help="Events with lower numbers: the next page.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Events at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def show(
    solution: Path,
    data: Path | None,
    kinds: tuple[str, ...],
    person: str,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Shows events, the newest first.

    \b
    Examples:
      forecourt log show examples/contoso
      forecourt log show examples/contoso --kind membership --kind rule      who may do what has changed
      forecourt log show examples/contoso --person anna --since 2026-11-01 --json > anna.jsonl
    """
    wanted = Filter(kinds, person, zoned(since), zoned(until), before, limit)

    async def read() -> list[Logged]:
        async with opened(solution, data) as forecourt:
            return await forecourt.security_log.read(wanted)

    for logged in asyncio.run(read()):
        click.echo(msgspec.json.encode(logged).decode() if as_json else _line(logged))


@log.command()
@solution_argument
@click.option("--anchor", "anchors", multiple=True, metavar="LOG:NUMBER:HASH", help="A seal that must be there.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
def verify(solution: Path, data: Path | None, anchors: tuple[str, ...], as_json: bool) -> None:
    """Says whether every entry of the logs is as it was when it was sealed.

    Exit code 1 when one was changed or removed, or a seal was. That the end of a log was cut off shows only against an
    anchor: note the last line of this command, or a 'sealed' line of the server's output, where the database is not.

    \b
    Examples:
      forecourt log verify examples/contoso
      forecourt log verify my-solution --anchor "$(cat /mnt/elsewhere/anchor.txt)"
    """
    try:
        noted = [anchor(text) for text in anchors]
    except ValueError as error:
        raise click.UsageError(f"'{error}' is no anchor: write security:NUMBER:HASH or integration:…") from None
    verdicts = asyncio.run(_verify(solution, data, noted))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(verdicts), indent=2).decode())
    else:
        for verdict in verdicts:
            _print(verdict)
    if any(verdict.breaches for verdict in verdicts):
        raise click.exceptions.Exit(1)


async def _verify(solution: Path, data: Path | None, noted: list[Anchor]) -> list[Verdict]:
    async with opened(solution, data) as forecourt:
        return await forecourt.seals.verify(noted)


def _print(verdict: Verdict) -> None:
    for breach in verdict.breaches:
        click.echo(f"{breach.log} log, seal {breach.seal}: {breach.what}.")
    state = f"{len(verdict.breaches)} breaches" if verdict.breaches else "untouched"
    click.echo(
        f"{verdict.log} log: {verdict.sealed} entries under {verdict.seals} seals, {verdict.waiting} not sealed yet: "
        f"{state}." + (f" Anchor: {verdict.head}" if verdict.head else "")
    )


def _line(logged: Logged) -> str:
    event = logged.event
    at = logged.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    parts = [f"{logged.number}  {at}  {event.kind}: {event.actor}", event.subject, event.outcome]
    if event.door:
        parts.append(f"at {event.door}")
    if logged.count > 1:
        parts.append(f"{logged.count} times")
    if logged.detail:
        parts.append(msgspec.json.encode(logged.detail).decode())
    return ", ".join(part for part in parts if part)
