"""``forecourt package``: data packages in and out, as an operations user, and what became of them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import click
from rich.console import Console
from rich.progress import TaskID
from rich.table import Table

from forecourt.app import Forecourt
from forecourt.cli.progress import rows_progress
from forecourt.cli.workspace import console, opened, solution_argument
from forecourt.operations.packages.archive import Package
from forecourt.operations.packages.archive import Part as PackagePart
from forecourt.operations.packages.archive import single as wrapped
from forecourt.operations.packages.error_files import write_errors
from forecourt.operations.packages.files import entity_of
from forecourt.operations.packages.formats import Format, format_of
from forecourt.operations.packages.imports import Progress
from forecourt.operations.packages.jobs import Wanted
from forecourt.operations.packages.projects import ProjectEntity, project_entity
from forecourt.operations.packages.records import Job, Options, Owner, Part, Status

T = TypeVar("T")

#: Wrong rows that are shown.
SHOWN = 20

_FORMATS = click.Choice([item.value for item in Format], case_sensitive=False)
_as_user = click.option("--as", "user", required=True, metavar="USER", help="Operations user that the job runs as.")
_company = click.option("--company", default="", metavar="ID", help="Legal entity of the run. Default: the user's own.")
_job = click.argument("job", metavar="JOB")


@click.group()
def package() -> None:
    """Exchanges rows of data entities as data packages: zip archives of CSV, XLSX, XML or Parquet files.

    A job runs as an operations user, with that user's rights: rows that the user may not read are not exported, rows
    that the user may not write are not imported. Exit codes: 0 fine, 1 refused, 2 done with rows left out.

    \b
    Examples:
      forecourt package export examples/contoso orders.zip --as purch.clerk --entity PurchaseOrderHeadersV2
      forecourt package import examples/contoso orders.zip --as purch.clerk
      forecourt package list examples/contoso
      forecourt package errors examples/contoso JOB --to wrong-rows.csv
    """


@package.command("export")
@solution_argument
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@_as_user
@click.option("--project", default="", help="Project of the solution (operations/projects.yaml).")
@click.option("--entity", "entities", multiple=True, metavar="NAME", help="Data entity; may be given repeatedly.")
@click.option("--format", "kind", type=_FORMATS, default="CSV", show_default=True, help="Format of --entity.")
@click.option("--columns", default="", metavar="A,B", help="Columns of --entity. Default: all that the user may read.")
@_company
@click.option("--cross-company", is_flag=True, help="Rows of every legal entity of the user.")
@click.option("--preview", type=click.IntRange(1), default=None, metavar="ROWS", help="So many rows of each entity.")
def export_command(
    solution: Path,
    data: Path | None,
    target: Path,
    user: str,
    project: str,
    entities: tuple[str, ...],
    kind: str,
    columns: str,
    company: str,
    cross_company: bool,
    preview: int | None,
) -> None:
    """Exports a package to TARGET: a project of SOLUTION, or the data entities that are named.

    \b
    Examples:
      forecourt package export examples/contoso orders.zip --as purch.clerk --project purchase-orders
      forecourt package export examples/contoso items.zip --as integration --entity ReleasedProductsV2 --format XLSX
      forecourt package export examples/contoso look.zip --as v-us-101 --entity PurchaseOrderHeadersV2 --preview 10
    """
    if bool(project) == bool(entities):
        raise click.UsageError("Give --project, or --entity once or several times.")

    async def work(forecourt: Forecourt) -> None:
        jobs = forecourt.packages
        model = forecourt.operations_gate.model
        named = tuple(name.strip() for name in columns.split(",") if name.strip())
        found: list[ProjectEntity] = []
        for name in entities:
            entity = entity_of(name, model, "--entity")
            for column in named:
                if column not in entity.fields:
                    raise click.ClickException(f"'{column}' is not a field of {entity.public_name}.")
            found.append(project_entity(entity, Format(kind), named))
        options = Options(cross_company=cross_company, preview=preview or 0)
        wanted = Wanted(Owner(user), project or "export", "", company, tuple(found), options)
        job = await jobs.ask_export(wanted, claimed=True)
        with _shown() as progress:
            job = await jobs.run(job, progress)
        if job.status is not Status.SUCCEEDED or job.result is None:
            raise click.ClickException(job.message or f"The export ended as {job.status}.")
        with target.open("wb") as file:
            await jobs.blobs.write_to(job.result, file)
        for part in await jobs.register.parts(job):
            click.echo(f"{part.file}: {part.staged} rows.")

    _run(solution, data, work)


@package.command("import")
@solution_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_as_user
@click.option("--project", default="", help="Project of the solution; the package may hold its entities alone.")
@click.option("--entity", default="", metavar="NAME", help="FILE is no package but a data file of this data entity.")
@_company
@click.option("--stage-only", is_flag=True, help="Read and check the files; write nothing to the data entities.")
def import_command(
    solution: Path,
    data: Path | None,
    file: Path,
    user: str,
    project: str,
    entity: str,
    company: str,
    stage_only: bool,
) -> int:
    """Imports the package FILE: rows whose key is there are updated, others are created.

    Rows that cannot be written are left out and kept with the reason; see 'forecourt package errors'. An import that
    was killed goes on where it was, by 'forecourt package resume' or by a running server.

    \b
    Examples:
      forecourt package import examples/contoso orders.zip --as purch.clerk
      forecourt package import examples/contoso items.csv --as integration --entity ReleasedProductsV2 --company usmf
      forecourt package import examples/contoso orders.zip --as purch.clerk --stage-only
    """

    async def work(forecourt: Forecourt) -> int:
        jobs = forecourt.packages
        with tempfile.TemporaryFile() as wrapping, file.open("rb") as source:
            given: BinaryIO = source
            if entity:
                named = entity_of(entity, forecourt.operations_gate.model, "--entity")
                kind = format_of(file.suffix.removeprefix("."), file.name)
                wrapped(PackagePart(named.name, file.name, kind.value), "command-line", source, wrapping)
                wrapping.seek(0)
                given = wrapping
            blob = await jobs.blobs.new(user, file.name)
            await jobs.blobs.fill(blob, _chunks(given))
        options = Options(execute=not stage_only, open=not project)
        name = project or f"import-{blob.hex[:12]}"
        wanted = Wanted(Owner(user), name, "" if project else name, company, (), options)
        job = await jobs.ask_import(wanted, blob, claimed=True)
        return await _imported(forecourt, job)

    return _run(solution, data, work)


@package.command("resume")
@solution_argument
@_job
def resume_command(solution: Path, data: Path | None, job: str) -> int:
    """Goes on with a JOB whose process was killed, or applies one that was only staged.

    \b
    Examples:
      forecourt package resume examples/contoso JOB
    """

    async def work(forecourt: Forecourt) -> int:
        found = await _found(forecourt, job)
        if found.status not in (Status.NOT_RUN, Status.EXECUTING):
            await forecourt.packages.again(found)
        claimed = await forecourt.packages.register.claim(job)
        if claimed is None:
            raise click.ClickException("The job is being worked on; a killed process is forgotten after 30 seconds.")
        return await _imported(forecourt, claimed)

    return _run(solution, data, work)


@package.command("cancel")
@solution_argument
@_job
def cancel_command(solution: Path, data: Path | None, job: str) -> None:
    """Cancels a JOB that is not done. Rows that were imported stay.

    \b
    Examples:
      forecourt package cancel examples/contoso JOB
    """

    async def work(forecourt: Forecourt) -> None:
        if not await forecourt.packages.register.cancel(await _found(forecourt, job)):
            raise click.ClickException("The job has ended already.")
        click.echo("Canceled.")

    _run(solution, data, work)


@package.command("status")
@solution_argument
@_job
def status_command(solution: Path, data: Path | None, job: str) -> int:
    """Shows how far a JOB is, and how it ended.

    \b
    Examples:
      forecourt package status examples/contoso JOB
    """

    async def work(forecourt: Forecourt) -> int:
        return await _report(forecourt, await _found(forecourt, job))

    return _run(solution, data, work)


@package.command("errors")
@solution_argument
@_job
@click.option("--entity", default="", metavar="NAME", help="Of this data entity alone.")
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all of them to a CSV file, of --entity.",
)
def errors_command(solution: Path, data: Path | None, job: str, entity: str, target: Path | None) -> int:
    """Shows the rows that a JOB has left out, and why. Exit code 2 where there are some.

    \b
    Examples:
      forecourt package errors examples/contoso JOB
      forecourt package errors examples/contoso JOB --entity ReleasedProductsV2 --to wrong.csv
    """

    async def work(forecourt: Forecourt) -> int:
        jobs = forecourt.packages
        found = await _found(forecourt, job)
        parts = await jobs.register.parts(found)
        if entity:
            parts = [(await jobs.part(found, entity))[0]]
        if target is not None and len(parts) != 1:
            raise click.UsageError("Name the entity of the file by --entity.")
        for part in parts:
            for row in await jobs.register.wrong(found, part.place, 0, 0, SHOWN):
                click.echo(f"{part.file}: row {row.n}: {row.message}")
            if part.failed > SHOWN:
                click.echo(f"{part.file}: ... and {part.failed - SHOWN} more")
        if target is not None:
            with target.open("wb") as file:
                entity_found = forecourt.operations_gate.model.entities[parts[0].entity]
                await write_errors(jobs.register, found, parts[0], entity_found, file)
        return 2 if any(part.failed for part in parts) else 0

    return _run(solution, data, work)


@package.command("list")
@solution_argument
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Jobs at most.")
def list_command(solution: Path, data: Path | None, limit: int) -> None:
    """Lists the latest jobs, those of the data-management actions and recurring ones included.

    \b
    Examples:
      forecourt package list examples/contoso
    """

    async def work(forecourt: Forecourt) -> None:
        table = Table(box=None, pad_edge=False)
        for title in ("job", "direction", "as", "status", "entered"):
            table.add_column(title, no_wrap=True)
        for job in await forecourt.packages.register.jobs(limit):
            entered = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
            table.add_row(job.id, job.direction, job.owner.user, job.status.value, entered)
        Console(width=None if console.is_terminal else 200, highlight=False).print(table)

    _run(solution, data, work)


@package.command("show")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def show_command(file: Path) -> None:
    """Shows what the package FILE holds, without a solution or a database.

    \b
    Examples:
      forecourt package show orders.zip
    """
    with file.open("rb") as source:
        found = Package(source)
        if found.manifest.project:
            click.echo(f"project {found.manifest.project}")
        for part in found.manifest.parts:
            kind = format_of(part.format, part.file)
            click.echo(f"{part.entity}: {part.file}, {kind.value}, {found.size(part.file):,} bytes")


# ------------------------------------------------------------------------------------------------------ what is shared


def _run(solution: Path, data: Path | None, work: Callable[[Forecourt], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened(solution, data) as forecourt:
            return await work(forecourt)

    return asyncio.run(run())


async def _found(forecourt: Forecourt, job: str) -> Job:
    found = await forecourt.packages.find(job)
    if found is None:
        raise click.ClickException(f"There is no job {job}. See: forecourt package list.")
    return found


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := file.read(1024 * 1024):
        yield chunk


async def _imported(forecourt: Forecourt, job: Job) -> int:
    click.echo(f"job {job.id}")
    with _shown() as progress:
        job = await forecourt.packages.run(job, progress)
    return await _report(forecourt, job)


async def _report(forecourt: Forecourt, job: Job) -> int:
    """Says how a job stands. The exit code: 1 where it failed, 2 where rows were left out."""
    parts = await forecourt.packages.register.parts(job)
    for part in parts:
        if job.direction == "export":
            click.echo(f"{part.file}: {part.staged} rows")
        else:
            click.echo(f"{part.file}: {part.staged} rows read, {part.applied} imported, {part.failed} left out")
    click.echo(f"{job.status.value}{': ' + job.message if job.message else ''}")
    if job.status in (Status.FAILED, Status.CANCELED):
        return 1
    return 2 if any(part.failed for part in parts) else 0


@contextmanager
def _shown() -> Iterator[Progress]:
    """A progress bar per file and phase, as what jobs tell."""
    with rows_progress() as progress:
        tasks: dict[tuple[str, str], TaskID] = {}

        def told(phase: str, part: Part, rows: int, total: int) -> None:
            key = (phase, part.file)
            if key not in tasks:
                tasks[key] = progress.add_task(f"{phase} {part.file}", total=total or None)
            progress.update(tasks[key], completed=rows, total=total or None)

        yield told
