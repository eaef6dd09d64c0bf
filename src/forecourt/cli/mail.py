"""``forecourt mail``: what waits for the mail server, and what was set aside.

Says to whom a message goes, what it is about and why it did not go; never what it says, for its link lets whoever
reads it in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import click
import msgspec

from forecourt.cli.workspace import opened, solution_argument
from forecourt.identity.mail.outbox import Kept


@click.group()
def mail() -> None:
    """Mail of SOLUTION that is not sent yet: messages that wait, and those that were set aside.

    The server sends what waits, again and again with longer pauses. What the mail server refuses for good, and what it
    did not take for as long as its link works, is set aside.

    \b
    Examples:
      forecourt mail list my-solution
      forecourt mail retry my-solution
    """


@mail.command("list", short_help="Lists the messages that are not sent.")
@solution_argument
@click.option("--aside", is_flag=True, help="Only those that were set aside.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def list_(solution: Path, data: Path | None, aside: bool, as_json: bool) -> None:
    """Lists the messages of SOLUTION that are not sent, oldest first: whose, about what, and why.

    Exit code 1 where one was set aside.

    \b
    Examples:
      forecourt mail list examples/contoso
      forecourt mail list my-solution --aside --json
    """

    async def read() -> Sequence[Kept]:
        async with opened(solution, data) as forecourt:
            return await forecourt.mail.list(not aside)

    found = asyncio.run(read())
    for kept in found:
        click.echo(msgspec.json.encode(kept).decode() if as_json else _line(kept))
    if not found and not as_json:
        click.echo("Everything is sent.")
    if any(kept.due_at is None for kept in found):
        raise click.exceptions.Exit(1)


@mail.command()
@solution_argument
@click.argument("messages", nargs=-1, type=click.UUID, metavar="[NUMBER]...")
def retry(solution: Path, data: Path | None, messages: tuple[UUID, ...]) -> None:
    """Has messages sent again at once: these, or all that were set aside. A server that runs sends them within seconds.

    A message whose link has ended is empty and stays aside: who still wants one asks for it on the portal.

    \b
    Examples:
      forecourt mail retry examples/contoso
      forecourt mail retry my-solution 6f1c2a80-4d55-4f0e-9a51-0d6f1d1f7c11
    """

    async def work() -> int:
        async with opened(solution, data) as forecourt:
            return sum([await forecourt.mail.retry(message) for message in messages or (None,)])

    again = asyncio.run(work())
    click.echo(f"{again} due now." if again else "Nothing to send again.")
    if again < len(messages):
        raise click.exceptions.Exit(1)


@mail.command()
@solution_argument
@click.argument("messages", nargs=-1, required=True, type=click.UUID, metavar="NUMBER...")
def drop(solution: Path, data: Path | None, messages: tuple[UUID, ...]) -> None:
    """Removes messages unsent. Waits for one that is being sent.

    \b
    Examples:
      forecourt mail drop my-solution 6f1c2a80-4d55-4f0e-9a51-0d6f1d1f7c11
    """

    async def work() -> int:
        async with opened(solution, data) as forecourt:
            return sum([await forecourt.mail.drop(message) for message in messages])

    dropped = asyncio.run(work())
    click.echo(f"{dropped} dropped.")
    if dropped < len(messages):
        raise click.exceptions.Exit(1)


def _line(kept: Kept) -> str:
    """One message as a line."""
    state = "aside" if kept.due_at is None else f"due {kept.due_at:%Y-%m-%d %H:%M:%S}"
    empty = "" if kept.whole else "  (empty: its link has ended)"
    return f"{kept.id}  {state}  {kept.attempts} tried  {kept.recipient}  {kept.kind}  {kept.said}{empty}".rstrip()
