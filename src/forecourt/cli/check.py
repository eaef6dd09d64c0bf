"""``forecourt check``: is a solution well-formed, and can its rules mean what they say?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from forecourt.app import connect, load_definitions
from forecourt.cli.workspace import data_folder, solution_argument
from forecourt.settings import from_environment
from forecourt.store.catalog import Catalog, read_catalog


@click.command()
@solution_argument
@click.option("--database/--no-database", default=None, help="Check names and types against the database as well.")
def check(solution: Path, data: Path | None, database: bool | None) -> None:
    """Checks every file of SOLUTION. Faults are printed as file:line: what, and what to write instead.

    Without --database, the database is asked only where its data folder exists already.

    \b
    Examples:
      forecourt check examples/contoso
      forecourt check my-solution --database
    """
    wanted = database if database is not None else (data_folder(solution, data) / "postgres").is_dir()
    catalog = asyncio.run(_catalog(solution, data)) if wanted else None
    definitions = load_definitions(solution, catalog)
    for finding in (*definitions.findings, *definitions.notices):
        click.echo(str(finding), err=True)
    if definitions.findings:
        raise click.exceptions.Exit(1)
    operations, tables = definitions.operations, definitions.tables
    click.echo(
        f"{definitions.header.name}: {len(operations.model.entities)} data entities, "
        f"{len(operations.rules.roles)} roles, "
        f"{len(operations.rules.policies)} policies, {len(tables.by_name)} tables, "
        f"{len(definitions.rules.portal.permissions)} table permissions: no faults"
        + ("." if catalog is not None else " (names and types in the database were not checked).")
    )


async def _catalog(root: Path, data: Path | None) -> Catalog | None:
    databases = await connect(root, data_folder(root, data), from_environment())
    try:
        catalog = await read_catalog(databases.operations)
    finally:
        await databases.close()
    own = {"forecourt", "dataverse"}
    return catalog if any(name.schema not in own for name in catalog.tables) else None
