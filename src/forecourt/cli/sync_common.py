"""What the commands of ``forecourt sync`` share: their argument, an opened solution with maps, tables and lines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Table

from forecourt.app import Forecourt
from forecourt.cli.workspace import console, opened

T = TypeVar("T")

maps_argument = click.argument("maps", nargs=-1)


def run(solution: Path, data: Path | None, work: Callable[[Forecourt], Awaitable[T]]) -> T:
    """Does ``work`` with the opened solution. Raises ClickException where it has no maps."""

    async def inside() -> T:
        async with opened(solution, data) as forecourt:
            if not forecourt.dual_write.maps:
                raise click.ClickException(f"{solution} has no table maps (maps/*.yaml).")
            return await work(forecourt)

    return asyncio.run(inside())


async def said(lines: Awaitable[Iterable[str]]) -> None:
    """Says what has been done."""
    say(await lines)


def say(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def show(table: Table) -> None:
    """Prints a table; wide enough for programs where nobody looks."""
    Console(width=None if console.is_terminal else 160, highlight=False).print(table)
