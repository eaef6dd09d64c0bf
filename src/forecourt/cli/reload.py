"""``forecourt reload``: every server takes up the rules as the files say them now."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from forecourt.cli.rule_files import digest_of, rule_digests
from forecourt.cli.workspace import opened, solution_argument
from forecourt.store.servers import Served, Servers

#: Seconds between two looks.
POLL = 0.2


@click.command()
@solution_argument
@click.option("--wait", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds for every server.")
def reload(solution: Path, data: Path | None, wait: int) -> None:
    """Has every running server of SOLUTION read its files again, and waits until each has.

    When it ends with 0, the next request to any server is decided by the files as they are: a policy that was
    tightened, a permission that was taken away. Files with faults are refused before any server is asked. Each server
    reads the files of its own machine: copy them there first.

    \b
    Examples:
      forecourt reload examples/contoso
      forecourt check my-solution && forecourt reload my-solution --wait 120
    """
    servers, digest, number = asyncio.run(_reload(solution, data, wait))
    if not servers:
        click.echo("No server runs. The rules are in force when one starts.")
        return
    problems = 0
    for server in servers:
        problem = _problem(server, number, digest)
        problems += bool(problem)
        click.echo(f"{server.host}, process {server.process}: {problem or 'serves by the new rules'}")
    if problems:
        raise click.exceptions.Exit(1)


async def _reload(solution: Path, data: Path | None, wait: int) -> tuple[list[Served], str, int]:
    async with opened(solution, data) as forecourt:
        servers, digest = Servers(forecourt.databases.dataverse), digest_of(rule_digests(solution))
        number = await servers.ask(digest)
        return await taken_up(servers, number, wait), digest, number


async def taken_up(servers: Servers, number: int, wait: float) -> list[Served]:
    """The servers, when each has taken up a reload or refused it, or after ``wait`` seconds."""
    deadline = time.monotonic() + wait
    while True:
        live = await servers.live()
        if all(server.reload >= number for server in live) or time.monotonic() > deadline:
            return live
        await asyncio.sleep(POLL)


def _problem(server: Served, number: int, digest: str) -> str:
    if server.reload < number:
        return "has not answered, and serves by the old rules"
    if server.refused:
        return f"serves by the old rules: {server.refused}"
    return "" if server.digest == digest else "serves by other files than those here: copy them to that machine"
