"""Imports: file -> staging -> target, in steps that can be taken up again where a worker was killed.

::

    stage    rows of each file, 500 at a time, with what is wrong with them; one transaction each
    apply    staged rows, 100 at a time, through the gate as the owner; one unit of work each, with its progress

Nothing reaches the target before every file has been read to its end: a broken file stops the whole package, a wrong
row is left out alone. A batch that is turned down is halved until the row is found whose fault it is; the others go
in. Whose rights count is asked anew for every batch. Source: operations-and-integration 5.8.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import BinaryIO, Final

from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.model import Entity
from forecourt.kernel.observe import Fault, Observer
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.steps import Step
from forecourt.operations.packages.archive import Package, broken
from forecourt.operations.packages.blobs import Blobs
from forecourt.operations.packages.files import CODECS, entity_of
from forecourt.operations.packages.formats import Format, Table, TextRow, format_of
from forecourt.operations.packages.projects import Project
from forecourt.operations.packages.records import Job, LeaseLost, Owner, Part, StagedRow, Status
from forecourt.operations.packages.register import Register
from forecourt.operations.packages.rows import BATCH, Importing, may
from forecourt.security.gate import Gate
from forecourt.security.rules import Operation
from forecourt.store.work import Work

#: Rows of a transaction while a file is staged.
STAGE = 500

#: How often a row is tried again that somebody else holds.
PATIENCE = 3

#: Finds the principal of an owner as it is now. Raises Refusal where there is none any more.
Resolve = Callable[[Owner], Awaitable[Principal]]

#: Hears how far a job is: what it does, for which part, rows done, and rows in all as far as known (0: not).
Progress = Callable[[str, Part, int, int], None]

#: Labels of the instants at which a worker may die.
STEPS: Final = ("package: staged", "package: written", "package: applied", "package: refused")


class Importer:
    """Runs imports."""

    def __init__(
        self, gate: Gate, register: Register, blobs: Blobs, resolve: Resolve, observer: Observer, step: Step
    ) -> None:
        self._gate = gate
        self._register = register
        self._blobs = blobs
        self._resolve = resolve
        self._observer = observer
        self._step = step

    async def run(self, job: Job, project: Project | None, progress: Progress) -> Status:
        """Runs a claimed job to its end. Raises Refusal where nothing of it can be done, LeaseLost, Unavailable."""
        parts = await self._register.parts(job)
        if not parts or not all(part.complete for part in parts):
            with tempfile.TemporaryFile() as file:
                await self._stage(job, project, parts, file, progress)
            parts = await self._register.parts(job)
        if job.options.execute:
            for part in parts:
                await self._apply(job, part, progress)
            parts = await self._register.parts(job)
        return outcome(parts, job.options.execute)

    # -- file -> staging ------------------------------------------------------------------------------------------

    async def _stage(
        self, job: Job, project: Project | None, parts: list[Part], file: BinaryIO, progress: Progress
    ) -> None:
        if job.source is None:
            raise Refusal("FC4802", "The package is no longer kept.", hint="Start the import again.")
        await self._blobs.write_to(job.source, file)
        package = await asyncio.to_thread(Package, file)
        if not parts:
            parts = self._parts(package, project, job)
            await self._register.add_parts(job, parts)
        for part in parts:
            await self._permitted(job, self._gate.model.entities[part.entity])
        for part in parts:
            if part.complete:
                continue
            try:
                await self._stage_part(job, part, package, progress)
            except Refusal as refusal:
                await self._register.stop(job, part.place, refusal.text)
                raise

    def _parts(self, package: Package, project: Project | None, job: Job) -> list[Part]:
        """The parts of a package. Raises Refusal for what is not known, or not of the project."""
        found: list[Part] = []
        allowed = {item.entity for item in project.entities} if project is not None else set()
        for place, part in enumerate(package.manifest.parts):
            entity = entity_of(part.entity, self._gate.model, part.file)
            if not job.options.open and entity.name not in allowed:
                message = f"The project '{job.project}' does not hold {entity.public_name}."
                raise broken(message, part.file, "Import with overwrite to take the package's own list.")
            kind = format_of(part.format, part.file)
            found.append(Part(place, entity.name, part.file, kind.value))
        return found

    async def _permitted(self, job: Job, entity: Entity) -> None:
        principal = await self._resolve(job.owner)
        if entity.read_only or not may(self._gate, principal, entity, Operation.CREATE, Operation.UPDATE):
            message = f"{job.owner.user} has no right to import {entity.public_name}."
            raise Refusal("FC3001", message, source=entity.collection)

    async def _stage_part(self, job: Job, part: Part, package: Package, progress: Progress) -> None:
        entity = self._gate.model.entities[part.entity]
        importing = Importing(self._gate, entity, job.company)
        size = package.size(part.file)
        with package.open(part.file) as stream:
            rows = CODECS[Format(part.format)].read(stream, Table(entity, self._gate.model, part.file))
            last = part.staged
            complete = False
            while not complete:
                batch = await asyncio.to_thread(_take, rows, last, importing)
                complete = len(batch) < STAGE
                await self._register.stage(job, part.place, batch, complete)
                await self._step("package: staged")
                last = batch[-1].n if batch else last
                read = stream.tell()
                progress("reading", part, last, max(last, last * size // read) if read else last)

    # -- staging -> target ----------------------------------------------------------------------------------------

    async def _apply(self, job: Job, part: Part, progress: Progress) -> None:
        entity = self._gate.model.entities[part.entity]
        importing = Importing(self._gate, entity, job.company)
        after = part.position
        while rows := await self._register.waiting(job, part, after, BATCH):
            principal = await self._resolve(job.owner)
            await self._tried(job, part, importing, principal, rows)
            after = rows[-1].n
            progress("importing", part, after, part.staged)

    async def _tried(
        self,
        job: Job,
        part: Part,
        importing: Importing,
        principal: Principal,
        rows: Sequence[StagedRow],
        tries: int = 0,
    ) -> None:
        """Applies rows, or finds out which of them cannot be. ``tries``: how often a single one was in the way of
        somebody else's lock."""

        async def attempt(work: Work) -> None:
            scope = await self._gate.scope(principal, Door.PACKAGES)
            await importing.write(work, scope, rows)
            await self._step("package: written")
            await self._register.applied(await work.unit(self._register.database), job, part.place, rows)

        try:
            await self._gate.coordinator.run(attempt, f"import {importing.entity.name}")
            await self._step("package: applied")
            return
        except (LeaseLost, Unavailable):
            raise
        except Exception as error:
            if len(rows) == 1:
                if isinstance(error, Refusal) and error.status == 503 and tries < PATIENCE:
                    await self._tried(job, part, importing, principal, rows, tries + 1)
                else:
                    await self._refuse(job, part, rows[0], error)
                return
        middle = len(rows) // 2
        await self._tried(job, part, importing, principal, rows[:middle])
        await self._tried(job, part, importing, principal, rows[middle:])

    async def _refuse(self, job: Job, part: Part, row: StagedRow, error: Exception) -> None:
        """Leaves a row out, with the reason; that of a fault of ours is in the log."""
        field = ""
        if isinstance(error, Refusal):
            field, message = error.source, error.text
        else:
            correlation = str(uuid.uuid4())
            self._observer(Fault(correlation, error))
            message = f"An unexpected error occurred. Correlation id: {correlation}."

        async def note(work: Work) -> None:
            unit = await work.unit(self._register.database)
            await self._register.refused(unit, job, part.place, row, field, message)

        await self._gate.coordinator.run(note, "leave a row out", settle=False)
        await self._step("package: refused")


def outcome(parts: Sequence[Part], executed: bool) -> Status:
    """The status of an import that has come to its end."""
    failed = sum(part.failed for part in parts)
    done = sum(part.applied if executed else part.staged - part.failed for part in parts)
    if not failed:
        return Status.SUCCEEDED
    return Status.PARTIALLY_SUCCEEDED if done else Status.FAILED


def _take(rows: Iterator[TextRow], after: int, importing: Importing) -> list[StagedRow]:
    """The next rows of a file, behind those that are staged already, with what is wrong with them."""
    found: list[StagedRow] = []
    for row in rows:
        if row.number <= after:
            continue
        staged = StagedRow(row.number, row.texts, row.fault)
        if not row.fault:
            try:
                importing.check(staged)
            except Refusal as refusal:
                staged = StagedRow(row.number, row.texts, refusal.text, refusal.source)
        found.append(staged)
        if len(found) == STAGE:
            break
    return found
