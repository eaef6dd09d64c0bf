"""``forecourt native``: the rules given to PostgreSQL itself: plain SQL under a mapped role gets the same rows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import click

from forecourt.app import Forecourt
from forecourt.cli.workspace import opened, solution_argument
from forecourt.kernel.observe import AccessChanged, nobody
from forecourt.operations.native import NativeAccess
from forecourt.store.database import Database
from forecourt.store.native.service import Plan
from forecourt.store.native.steps import Step
from forecourt.store.operator import operator

T = TypeVar("T")


def as_option(command: Callable[..., object]) -> Callable[..., object]:
    """The ``--as`` option: another connection than the solution's."""
    return click.option(
        "--as",
        "variable",
        metavar="VARIABLE",
        default="",
        help="Environment variable with the address to connect with: somebody who owns the tables and may make roles.",
    )(command)


@click.group()
def native() -> None:
    """Gives the operations database the rules of a solution, so that plain SQL under a mapped role obeys them.

    Views in the schema forecourt_data show each data entity under its public names; row security beneath them, roles
    and grants come from the same policies and privileges that decide requests.

    \b
    Examples:
      forecourt native plan my-solution --sql         every statement, and nothing done
      forecourt native apply my-solution --yes
      forecourt native map my-solution v-us-101 anna  the role anna reads as the user v-us-101
      forecourt native drop my-solution --yes         the database as it was
    """


@native.command("plan")
@solution_argument
@as_option
@click.option("--sql", is_flag=True, help="Show the statements.")
def plan_command(solution: Path, data: Path | None, variable: str, sql: bool) -> None:
    """Shows what lies between the rules of SOLUTION and its operations database. Changes nothing.

    What somebody changed by hand is shown as 'restore'. Exit code 1 when there is something to do.

    \b
    Examples:
      forecourt native plan my-solution
      forecourt native plan my-solution --sql
      forecourt native plan my-solution --as ADMIN_URL
    """
    found = _run(solution, data, variable, lambda access: access.plan())
    _steps(found.steps, sql)
    for role, user in found.logins:
        click.echo(f"{role} reads as {user}.")
    _notices(found)
    if found.steps:
        click.echo(f"{len(found.steps)} steps. Take them with 'forecourt native apply'.")
        raise click.exceptions.Exit(1)
    click.echo("The database enforces the rules as they are.")


@native.command("apply")
@solution_argument
@as_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def apply_command(solution: Path, data: Path | None, variable: str, yes: bool) -> None:
    """Brings the operations database of SOLUTION to its rules, in one transaction.

    Only what differs is done. Tables are altered: row security is switched on where a policy speaks of them, and leaves
    every role but the mapped ones as it was.

    \b
    Examples:
      forecourt native apply my-solution
      forecourt native apply my-solution --yes --as ADMIN_URL
    """
    if not yes:
        planned = _run(solution, data, variable, lambda access: access.plan())
        _steps(planned.steps, False)
        if planned.steps:
            click.confirm("Go on?", abort=True)
    done = _run(solution, data, variable, lambda access: access.apply(), ("native access", "applied"))
    if yes:
        _steps(done.steps, False)
    _notices(done)
    click.echo(f"{len(done.steps)} steps done.")


@native.command("drop")
@solution_argument
@as_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop_command(solution: Path, data: Path | None, variable: str, yes: bool) -> None:
    """Takes everything away that was applied to the operations database of SOLUTION, the mapping of roles too.

    The mapped roles stay; they can read nothing any more.

    \b
    Examples:
      forecourt native drop my-solution
      forecourt native drop my-solution --yes
    """
    if not yes:
        click.confirm("Everything that was applied goes, and no mapped role reads any more. Go on?", abort=True)
    done = _run(solution, data, variable, lambda access: access.drop(), ("native access", "dropped"))
    click.echo(f"{len(done)} steps done.")


@native.command("map")
@solution_argument
@click.argument("user")
@click.argument("role")
@as_option
def map_command(solution: Path, data: Path | None, user: str, role: str, variable: str) -> None:
    """Lets whoever signs in with the database role ROLE read as the operations user USER.

    The role must exist, be able to sign in, and have no right to read around row security.

    \b
    Examples:
      forecourt native map my-solution v-us-101 anna
    """
    change = (f"database role {role}", f"reads as {user}")
    done = _run(solution, data, variable, lambda access: access.map(role, user), change)
    _notices(done)
    click.echo(f"{role} reads as {user}.")


@native.command("unmap")
@solution_argument
@click.argument("role")
@as_option
def unmap_command(solution: Path, data: Path | None, role: str, variable: str) -> None:
    """Takes away what the database role ROLE may read; the role itself stays.

    \b
    Examples:
      forecourt native unmap my-solution anna
    """
    change = (f"database role {role}", "is mapped to nobody")
    done = _run(solution, data, variable, lambda access: access.unmap(role), change)
    _notices(done)
    click.echo(f"{role} is mapped to nobody.")


def _run(
    solution: Path,
    data: Path | None,
    variable: str,
    work: Callable[[NativeAccess], Awaitable[T]],
    change: tuple[str, str] | None = None,
) -> T:
    """Runs something over the native access of a solution. ``change``: what of and how, for the security log."""

    async def run() -> T:
        async with opened(solution, data) as forecourt:
            async with _connected(forecourt, variable) as database:
                done = await work(await NativeAccess.open(forecourt.definitions.operations, forecourt.users, database))
            if change is not None:
                forecourt.observer(AccessChanged(operator(), *change))
            return done

    return asyncio.run(run())


@asynccontextmanager
async def _connected(forecourt: Forecourt, variable: str) -> AsyncIterator[Database]:
    """The operations database, by the address in an environment variable where one is named."""
    if not variable:
        yield forecourt.databases.operations
        return
    if not os.environ.get(variable):
        raise click.UsageError(f"The environment variable {variable} is not set.")
    other = await Database.open(os.environ[variable], nobody, lane_size=1)
    try:
        yield other
    finally:
        await other.close()


def _steps(steps: Iterable[Step], sql: bool) -> None:
    for step in steps:
        click.echo(step.what)
        if sql:
            for statement in step.sql:
                click.echo("\n".join(f"    {line}" for line in f"{statement};".splitlines()))


def _notices(plan: Plan) -> None:
    for notice in plan.notices:
        click.echo(f"Note: {notice}", err=True)
