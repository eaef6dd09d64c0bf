"""``forecourt check``: is a solution well-formed, and can its rules mean what they say?"""

from __future__ import annotations

import asyncio
import textwrap
from pathlib import Path

import click
import msgspec

from forecourt.app import Definitions, connect, load_definitions
from forecourt.cli.label_words import unused_words
from forecourt.cli.workspace import data_folder, solution_argument
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Where
from forecourt.operations.duties import user_conflicts
from forecourt.operations.policies.findings import user_findings
from forecourt.operations.users import Users
from forecourt.security.xds.listing import Listed, listed
from forecourt.settings import from_environment
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.database import Database


@click.command()
@solution_argument
@click.option("--database/--no-database", default=None, help="Check names, types and users against the database too.")
@click.option("--policies", is_flag=True, help="List the policies with their conditions instead.")
@click.option("--json", "as_json", is_flag=True, help="With --policies: print them as JSON.")
def check(solution: Path, data: Path | None, database: bool | None, policies: bool, as_json: bool) -> None:
    """Checks every file of SOLUTION. Faults are printed as file:line: what, and what to write instead.

    Without --database, the database is asked only where its data folder exists already. With it, the users that the
    database keeps are looked at as well: who holds duties that a rule keeps apart, whom no policy constrains, and what
    stays closed to whom from outside.

    --policies lists each policy with its tables, context, operation and state, and the condition it puts on each table.

    \b
    Examples:
      forecourt check examples/contoso
      forecourt check my-solution --database
      forecourt check examples/contoso --policies
    """
    if as_json and not policies:
        raise click.UsageError("--json goes with --policies.")
    wanted = database if database is not None else (data_folder(solution, data) / "postgres").is_dir()
    definitions, found, looked = asyncio.run(_looked(solution, data)) if wanted else _read(solution)
    if policies:
        _list(listed(definitions.operations.rules), as_json)
        return
    for finding in (*found, *definitions.notices, *unused_words(solution)):
        click.echo(str(finding), err=True)
    if found:
        raise click.exceptions.Exit(1)
    operations, tables = definitions.operations, definitions.tables
    click.echo(
        f"{definitions.header.name}: {len(operations.model.entities)} data entities, "
        f"{len(operations.rules.roles)} roles, "
        f"{len(operations.rules.policies)} policies, {len(tables.by_name)} tables, "
        f"{len(definitions.rules.portal.permissions)} table permissions: no faults"
        + ("." if looked else " (names and types in the database were not checked).")
    )


Looked = tuple[Definitions, tuple[DefinitionError, ...], bool]


def _read(root: Path) -> Looked:
    """The definitions and what is found of them; the last part says whether a database was looked at."""
    definitions = load_definitions(root, None)
    return definitions, definitions.findings, False


async def _looked(root: Path, data: Path | None) -> Looked:
    """The same, held against the database."""
    databases = await connect(root, data_folder(root, data), from_environment())
    try:
        catalog = await read_catalog(databases.operations)
        own = {"forecourt", "dataverse"}
        if all(name.schema in own for name in catalog.tables):
            return _read(root)
        definitions = load_definitions(root, catalog)
        kept = await _of_users(root, definitions, databases.operations, catalog)
        return definitions, (*definitions.findings, *kept), True
    finally:
        await databases.close()


async def _of_users(
    root: Path, definitions: Definitions, database: Database, catalog: Catalog
) -> list[DefinitionError]:
    """What is found of the users that the database keeps."""
    operations = definitions.operations
    users = await Users(operations.users, operations.user_tables, database, catalog).held()
    where = Where(str(root / "operations" / "roles.yaml"), 1)
    return [
        *user_conflicts(operations.rules, users),
        *user_findings(operations.rules, operations.model.entities, users, where),
    ]


def _list(policies: list[Listed], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(policies), indent=2).decode())
        return
    for policy in policies:
        click.echo(f"{policy.name}: {policy.state}, {policy.operation}, {policy.context}")
        lines = [
            ("roles", ", ".join(policy.roles)),
            ("constructs", ", ".join(policy.constructs)),
            ("tags", ", ".join(policy.tags)),
            ("primary table", policy.primary_table),
            ("label", policy.label),
            ("file", policy.where),
            *policy.tables,
        ]
        for name, text in lines:
            if text:
                shown = textwrap.fill(text, 118, initial_indent="      ", subsequent_indent="      ")
                click.echo(f"  {name}\n{shown}" if (name, text) in policy.tables else f"  {name}: {text}")
