"""``forecourt init``: a first solution for a database that exists already.

The database is only read, and its address is written nowhere. The folder appears whole or not at all: the draft is
made beside it under another name, checked like any solution, and moved.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click
from asyncpg import exceptions as pg

from forecourt.app import load_definitions
from forecourt.kernel.errors import DefinitionErrors, Refusal, Unavailable
from forecourt.operations.draft import draft, variable
from forecourt.operations.draft_entities import printable
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.database import Database

LEFT_OUT = 2

#: How long to wait for the database's first answer, in seconds.
PATIENCE = 9.0

#: Schemas of Forecourt's own, drafted only when named.
_OWN = frozenset({"forecourt", "dataverse"})

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@click.command()
@click.option(
    "--from-database", "url", metavar="URL", required=True, help="Address of the database: postgresql://user@host/name."
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--schema", "schemas", metavar="NAME", multiple=True, help="Draft this schema only. Can be repeated.")
@click.option("--name", default=None, help="Name of the solution. Default: made of DIR's.")
def init(url: str, folder: Path, schemas: tuple[str, ...], name: str | None) -> None:
    """Drafts a solution in DIR from an existing PostgreSQL database, which is only read.

    DIR holds a data entity for every table with a primary key, a role that reads them, an administrator, and virtual
    tables; its README.md says what to do next. Exit code 2: done, but tables were left out (named on stderr). The
    address of the database is not written down: DIR asks for it in an environment variable.

    \b
    Examples:
      forecourt init --from-database postgresql://reader@db.example.com/erp erp
      forecourt init --from-database "$ERP_URL" erp --schema sales --schema purchasing
      forecourt init --from-database "$ERP_URL" my-solution --name contoso-erp
    """
    target = folder.resolve()
    chosen = _chosen_name(name, target)
    _require_address(url)
    _require_empty(folder, target)
    catalog = asyncio.run(_catalog(url, schemas))
    result = draft(catalog, chosen)
    if not result.entities:
        for line in result.left_out:
            click.echo(f"left out: {line}", err=True)
        where = f"schema {', '.join(map(printable, schemas))}" if schemas else "the database"
        raise click.ClickException(f"{where} has no table with a primary key that can be used; nothing was drafted.")
    _write(target, result.files, catalog)
    views = f" Views passed over: {result.views}." if result.views else ""
    click.echo(
        f"{folder}: data entities: {result.entities}, virtual tables: {result.virtual_tables}.{views}\n"
        f"Next: export {variable(chosen)}=<the database's address>, then forecourt check {folder} --database. "
        f"{folder / 'README.md'} says more."
    )
    for line in result.left_out:
        click.echo(f"left out: {line}", err=True)
    if result.left_out:
        sys.exit(LEFT_OUT)


# ------------------------------------------------------------------------------------------------------- arguments


def _chosen_name(name: str | None, target: Path) -> str:
    if name is None:
        name = re.sub(r"[^a-z0-9]+", "-", target.name.lower()).strip("-")[:63] or "solution"
    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            "use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit.", param_hint="--name"
        )
    return name


def _require_address(url: str) -> None:
    """The text of the address is never repeated: it may hold a password."""
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("postgresql", "postgres") and parts.port != 0
    except ValueError:
        fit = False
    if not fit:
        raise click.BadParameter(
            "not the address of a PostgreSQL database. Write postgresql://user:password@host:5432/database.",
            param_hint="--from-database",
        )


def _require_empty(folder: Path, target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise click.ClickException(f"{folder} is a file. Name a folder that does not exist yet.")
    if target.is_dir() and any(target.iterdir()):
        raise click.ClickException(f"{folder} is not empty, and nothing in it is overwritten. Name another folder.")


# -------------------------------------------------------------------------------------------------------- database


async def _catalog(url: str, schemas: tuple[str, ...]) -> Catalog:
    """The tables to draft. Raises ClickException where there are none, or no database."""
    database = await _opened(url)
    try:
        catalog = await read_catalog(database, schemas or None)
        found = {table.schema for table in catalog.tables}
        missing = [name for name in schemas if name not in found]
        others = await read_catalog(database) if missing else Catalog()
    finally:
        await database.close()
    if missing:
        known = ", ".join(sorted({printable(table.schema) for table in others.tables})) or "none"
        raise click.ClickException(
            f"The database has no tables in schema {printable(missing[0])}. Schemas with tables: {known}."
        )
    if not schemas:
        catalog = replace(
            catalog, tables={name: table for name, table in catalog.tables.items() if name.schema not in _OWN}
        )
    if not catalog.tables:
        raise click.ClickException("The database has no tables that its user may know of; nothing was drafted.")
    return catalog


async def _opened(url: str) -> Database:
    try:
        async with asyncio.timeout(PATIENCE):
            return await Database.open(url, lane_size=1)
    except TimeoutError:
        problem = f"The database did not answer within {PATIENCE:.0f} seconds. Check host, port and network."
    except Unavailable as error:
        problem = f"{error} Check the address given with --from-database."
    except Refusal:
        problem = "The database does not let this user connect."
    except (pg.InterfaceError, pg.InternalClientError, ValueError, TypeError):
        problem = "The address cannot be understood. Write postgresql://user:password@host:5432/database."
    except pg.PostgresError as error:
        problem = f"The server refuses the connection (SQLSTATE {error.sqlstate})."
    raise click.ClickException(problem)


# ----------------------------------------------------------------------------------------------------------- files


def _write(target: Path, files: Mapping[str, str], catalog: Catalog) -> None:
    """All files, or none. Raises ClickException."""
    missing = [path for path in target.parents if not path.exists()]
    draft_folder = None
    done = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft_folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        _fill(draft_folder, files)
        load_definitions(draft_folder, catalog)
        _move(draft_folder, target, files)
        done = True
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error.strerror}.") from None
    except DefinitionErrors as error:
        text = str(error).replace(f"{draft_folder}{os.sep}", "")
        raise click.ClickException(f"The draft does not pass its own check; nothing was written.\n{text}") from None
    finally:
        if draft_folder is not None:
            shutil.rmtree(draft_folder, ignore_errors=True)
        for folder in () if done else missing:
            with suppress(OSError):  # it holds something of somebody else's by now
                folder.rmdir()


def _fill(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)


def _move(made: Path, target: Path, files: Mapping[str, str]) -> None:
    """The draft to its place. An empty folder that is there stays the same folder; solution.yaml comes last."""
    if not target.exists():
        made.rename(target)
        return
    if any(target.iterdir()):
        raise OSError(0, "it is not empty any more")
    top = sorted({Path(name).parts[0] for name in files}, key=lambda name: name == "solution.yaml")
    try:
        for name in top:
            (made / name).rename(target / name)
    except OSError:
        for name in top:
            with suppress(OSError):
                (target / name).rename(made / name)
        raise
