"""What commands share: the solution argument, the data folder, an opened solution, sample data, progress.

A solution with sample data finds its databases filled: they are loaded when first opened, in one transaction, so that
a killed load leaves nothing behind.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from forecourt.app import PREPARING, Databases, Forecourt, build, connect, prepare, read_header
from forecourt.cli.credentials import ensure_applications, ensure_credentials
from forecourt.kernel.errors import DefinitionError, DefinitionErrors
from forecourt.kernel.observe import Observer, nobody
from forecourt.kernel.relation import TableName
from forecourt.kernel.solution import EMBEDDED, Sample
from forecourt.settings import Settings, from_environment
from forecourt.store.database import Database, Transaction

console = Console(stderr=True, highlight=False)

MARKS = """
create schema if not exists forecourt;
create table if not exists forecourt.sample (
    name text primary key, scale int not null, loaded_at timestamptz not null default now());
"""


def solution_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """The SOLUTION argument with its ``--data`` option."""
    command = click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=None,
        help="Folder of the embedded database. Default: .forecourt/<solution name>.",
    )(command)
    return click.argument("solution", type=click.Path(file_okay=False, path_type=Path))(command)


def data_folder(root: Path, data: Path | None) -> Path:
    """The data folder of a solution. It belongs to whom runs it, not to the solution."""
    return data if data is not None else Path(".forecourt") / read_header(root).name


def example(name: str) -> Path:
    """The folder of a bundled solution: of the installed package, else of the source tree."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "_examples" / name, package.parent.parent / "examples" / name):
        if (candidate / "solution.yaml").is_file():
            return candidate
    raise click.ClickException(f"The example '{name}' is not installed.")


@asynccontextmanager
async def opened(
    root: Path,
    data: Path | None,
    settings: Settings | None = None,
    observer: Observer = nobody,
    scale: int = 1,
) -> AsyncIterator[Forecourt]:
    """The solution, connected, prepared, with its sample loaded and its sign-ins made."""
    folder = data_folder(root, data)
    chosen = settings or from_environment()
    databases = await connect(root, folder, chosen, observer)
    try:
        await prepare(root, databases)
        header = read_header(root)
        if header.sample is not None:
            await load_sample(root, header.name, header.sample, databases, scale)
        try:
            forecourt = await build(root, databases, chosen, observer)
        except DefinitionErrors as error:
            if header.sample is not None and any(item.code == "FC6004" for item in error.errors):
                click.echo(
                    f"The sample data in {folder} may be of another version: delete the folder to load it anew.",
                    err=True,
                )
            raise
        if header.sample is not None and header.sample.generator:
            people = _module(root, header.sample.generator).people()
            await ensure_credentials(forecourt, people, folder)
        await ensure_applications(forecourt, root, folder)
        try:
            yield forecourt
        finally:
            await forecourt.security_log.flush()
    finally:
        await databases.close()


async def load_sample(root: Path, name: str, sample: Sample, databases: Databases, scale: int) -> None:
    """Loads sample data where it is not loaded yet. An attached operations database is never written to."""
    loads = list(_module(root, sample.generator).loads(scale)) if sample.generator else []
    theirs = [load for load in loads if load.table.startswith("dataverse.")]
    ours = [load for load in loads if not load.table.startswith("dataverse.")]
    attached = read_header(root).connections.operations != EMBEDDED
    if attached and (ours or sample.schema or sample.finish):
        raise DefinitionErrors(
            (
                DefinitionError(
                    str(root / "solution.yaml"), 1, "sample data cannot be loaded into an attached database."
                ),
            )
        )
    if databases.shared:
        await _load(root, name, sample, databases.operations, ours + theirs, scale, True)
        return
    if not attached:
        await _load(root, name, sample, databases.operations, ours, scale, True)
    await _load(root, name, sample, databases.dataverse, theirs, scale, False)


async def _load(
    root: Path, name: str, sample: Sample, database: Database, loads: list[Any], scale: int, scripts: bool
) -> None:
    await database.script("sample bookkeeping", MARKS)
    async with database.transaction("load sample data") as tx:
        await tx.execute("select pg_advisory_xact_lock($1)", PREPARING)
        if await tx.value("select 1 from forecourt.sample where name = $1", name):
            return
        for path in sample.schema if scripts else ():
            await tx.execute((root / path).read_text("utf-8"))
        await _copy(tx, loads, name, scale)
        for path in sample.finish if scripts else ():
            await tx.execute((root / path).read_text("utf-8"))
        await tx.execute("insert into forecourt.sample (name, scale) values ($1, $2)", name, scale)


async def _copy(tx: Transaction, loads: list[Any], name: str, scale: int) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not sys.stderr.isatty()) as progress:
        total = sum(load.rows for load in loads)
        task = progress.add_task(f"Loading sample '{name}', scale {scale}", total=total)

        def counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
            for chunk in chunks:
                yield chunk
                progress.advance(task, chunk.count(b"\n"))

        for load in loads:
            schema, _, table = load.table.partition(".")
            await tx.copy_in(TableName(schema, table), load.columns, counted(load.chunks))


def _module(root: Path, path: str) -> ModuleType:
    """A solution's Python file as a module. Raises DefinitionErrors where it is missing."""
    file = root / path
    spec = importlib.util.spec_from_file_location(f"forecourt_solution_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise DefinitionErrors((DefinitionError(str(file), 1, "the file does not exist."),))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
