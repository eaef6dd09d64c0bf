"""``forecourt sync audit``: what dual-write has written, and on whose account."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import click
import msgspec

from forecourt.cli.moments import MOMENT, zoned
from forecourt.cli.workspace import opened, solution_argument
from forecourt.kernel.integration_log import Filter, Logged
from forecourt.store.integration_log import IntegrationLog

#: Keys of one entry that are printed.
SHOWN = 5


@click.command("audit")
@solution_argument
@click.argument("maps", nargs=-1)
@click.option("--key", multiple=True, metavar="VALUE", help="Of the row's integration key; may be given repeatedly.")
@click.option("--since", type=MOMENT, help="From this time on, in the local time zone unless it names one.")
@click.option("--until", type=MOMENT, help="Before this time.")
@click.option("--before", type=int, metavar="NUMBER", help="Entries with lower numbers: the next page.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Entries at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with all keys.")
def sync_audit(
    solution: Path,
    data: Path | None,
    maps: tuple[str, ...],
    key: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Shows every write of the integration to the rows of MAPS (all by default), the newest first.

    The log is kept in the Dataverse database, in the unit of work that writes the rows, and is only ever added to.

    \b
    Examples:
      forecourt sync audit examples/contoso --limit 10
      forecourt sync audit examples/contoso sales-orders --key 000001      who has written this order?
      forecourt sync audit examples/contoso --since 2026-11-01 --until 2026-12-01 --json > november.jsonl
    """
    wanted = Filter(maps, key, zoned(since), zoned(until), before, limit)

    async def read() -> list[Logged]:
        async with opened(solution, data) as forecourt:
            return await IntegrationLog(forecourt.databases.dataverse).read(wanted)

    for logged in asyncio.run(read()):
        click.echo(msgspec.json.encode(logged).decode() if as_json else _line(logged))


def _line(logged: Logged) -> str:
    entry = logged.entry
    at = logged.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    way = entry.direction.replace("_", " ")
    account = f" for {entry.caused_by}" if entry.caused_by else ""
    rows = "1 row" if entry.rows == 1 else f"{entry.rows} rows"
    return (
        f"{logged.number}  {at}  {entry.map}, {entry.engine} {way}: {entry.operation} {rows} of {entry.target} "
        f"by {logged.principal}{account}: {_keys(logged)}"
    )


def _keys(logged: Logged) -> str:
    entry = logged.entry
    if entry.span is not None:
        after = "the start" if entry.span.after is None else "/".join(map(str, entry.span.after))
        return f"source rows behind {after} to {'/'.join(map(str, entry.span.last))}"
    shown = ", ".join("/".join(map(str, key)) for key in entry.keys[:SHOWN])
    return shown if len(entry.keys) <= SHOWN else f"{shown} and {len(entry.keys) - SHOWN} more"
