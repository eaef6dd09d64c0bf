"""``forecourt tables``: the native tables' definitions against the database: what differs, apply it, take it back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click

from forecourt.app import base_currency, connect, read_header, read_table_files
from forecourt.cli.workspace import data_folder, solution_argument
from forecourt.dataverse import schema_apply
from forecourt.dataverse.schema_plan import Step
from forecourt.settings import from_environment
from forecourt.store.database import Database

T = TypeVar("T")


@click.group()
def tables() -> None:
    """Brings the database's native tables to a solution's definitions, online and reversibly.

    What only adds is done at every start; these commands show it, do the rest when asked, and take it back.

    \b
    Examples:
      forecourt tables plan my-solution
      forecourt tables apply my-solution
      forecourt tables apply my-solution --drop
      forecourt tables undo my-solution
    """


@tables.command("plan")
@solution_argument
@click.option("--sql", is_flag=True, help="Show the statements, and those that take them back.")
def plan_command(solution: Path, data: Path | None, sql: bool) -> None:
    """Shows what lies between the definitions of SOLUTION and its database. Changes nothing.

    \b
    Examples:
      forecourt tables plan my-solution
      forecourt tables plan my-solution --sql
    """
    files, currency = read_table_files(solution), base_currency(read_header(solution))
    found = _run(solution, data, lambda database: schema_apply.preview(database, files, currency))
    _steps("Done at the next start:", found.of("add"), sql)
    _steps("Done by 'tables apply':", found.of("change"), sql)
    _steps("Done by 'tables apply --drop':", found.of("drop"), sql)
    _notices(found.notices)
    if not found.steps and not found.notices:
        click.echo("The database has every table as it is defined.")


@tables.command("apply")
@solution_argument
@click.option("--drop", is_flag=True, help="Set aside tables and columns, and drop keys, that no definition names.")
@click.option("--yes", is_flag=True, help="Do not ask before setting anything aside.")
def apply_command(solution: Path, data: Path | None, drop: bool, yes: bool) -> None:
    """Brings the database of SOLUTION to its definitions.

    With --drop, a table or column that no file names any more is renamed to <name>__dropped_<n>: its rows are kept,
    and 'tables undo' gives it back.

    \b
    Examples:
      forecourt tables apply my-solution
      forecourt tables apply my-solution --drop --yes
    """
    files, currency = read_table_files(solution), base_currency(read_header(solution))
    if drop and not yes:
        steps = _run(solution, data, lambda database: schema_apply.preview(database, files, currency)).of("drop")
        _steps("To be set aside or dropped:", steps, False)
        if steps:
            click.confirm("Go on?", abort=True)
    done = _run(solution, data, lambda database: schema_apply.apply(database, files, drop, currency))
    for what in done.done:
        click.echo(what)
    _notices(done.notices)
    click.echo(f"{len(done.done)} changes." + (" Take them back with 'tables undo'." if done.done else ""))


@tables.command("undo")
@solution_argument
def undo_command(solution: Path, data: Path | None) -> None:
    """Takes back the last application that stands. Change the definitions back as well, or it is done again.

    Columns and tables that it had added are set aside with what they hold.

    \b
    Examples:
      forecourt tables undo my-solution
    """
    done = _run(solution, data, schema_apply.undo)
    for what in done.done:
        click.echo(f"taken back: {what}")
    click.echo(f"Application {done.number} is taken back." if done.number else "There is nothing to take back.")


@tables.command("history")
@solution_argument
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Changes shown.")
def history_command(solution: Path, data: Path | None, limit: int) -> None:
    """Lists the changes that were applied to the database of SOLUTION, the last one first.

    \b
    Examples:
      forecourt tables history my-solution
    """
    for change in _run(solution, data, lambda database: schema_apply.history(database, limit)):
        state = f", taken back {change.undone_at:%Y-%m-%d %H:%M}" if change.undone_at is not None else ""
        click.echo(f"{change.application:>4}  {change.applied_at:%Y-%m-%d %H:%M}  {change.what}{state}")


def _run(solution: Path, data: Path | None, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs something over the Dataverse database of a solution."""

    async def run() -> T:
        databases = await connect(solution, data_folder(solution, data), from_environment())
        try:
            return await work(databases.dataverse)
        finally:
            await databases.close()

    return asyncio.run(run())


def _steps(title: str, steps: Iterable[Step], sql: bool) -> None:
    shown = list(steps)
    if not shown:
        return
    click.echo(title)
    for step in shown:
        click.echo(f"  {step.what}" + (f"  ({step.lock})" if step.lock else ""))
        if sql:
            click.echo("\n".join(f"      {line}" for line in step.sql.splitlines()))
            if step.undo:
                click.echo(f"      -- undo: {' '.join(step.undo.split())}")


def _notices(notices: Iterable[str]) -> None:
    for notice in notices:
        click.echo(f"Note: {notice}", err=True)
