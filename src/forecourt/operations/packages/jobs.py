"""Jobs: what is asked for is entered here, and here it is run, by whichever process takes it first.

An import or export is an entry of the register until a worker claims it. While it runs, the worker says every few
seconds that it is still there; a worker that dies lets its lease lapse, and the next one goes on.
Who may ask: an identity whose privileges open the entities to data management. As whom it runs: always that identity,
resolved anew; never as an administrator unless the owner is one.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.model import Entity
from forecourt.kernel.observe import Fault, Observer
from forecourt.kernel.principal import Principal
from forecourt.kernel.steps import Step, unwatched
from forecourt.operations.packages.blobs import DAYS, Blobs
from forecourt.operations.packages.exports import Exporter
from forecourt.operations.packages.files import entity_of
from forecourt.operations.packages.imports import Importer, Progress, Resolve
from forecourt.operations.packages.projects import Project, ProjectEntity, Projects
from forecourt.operations.packages.records import Job, LeaseLost, NewJob, Options, Owner, Part, Status
from forecourt.operations.packages.register import LEASE, Register
from forecourt.operations.packages.rows import may
from forecourt.security.gate import Gate
from forecourt.security.rules import Operation
from forecourt.store.recovery import recover

#: Characters of a job's id, and of a project's name, at most.
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. ``id``: '' for a new one; ``company``: '' for the owner's; ``entities``: of an export that
    names no project of the solution."""

    owner: Owner
    project: str
    id: str = ""
    company: str = ""
    entities: tuple[ProjectEntity, ...] = ()
    options: Options | None = None


def no_progress(phase: str, part: Part, rows: int, total: int) -> None:
    """Nobody listens."""


class Jobs:
    """The data package jobs of a solution."""

    def __init__(
        self,
        gate: Gate,
        projects: Projects,
        register: Register,
        blobs: Blobs,
        resolve: Resolve,
        observer: Observer,
        step: Step = unwatched,
    ) -> None:
        self.gate = gate
        self.projects = projects
        self.register = register
        self.blobs = blobs
        self.resolve = resolve
        self._observer = observer
        self._importer = Importer(gate, register, blobs, resolve, observer, step)
        self._exporter = Exporter(gate, register, blobs, resolve, observer)
        self._woken = asyncio.Event()

    # -- what is asked for ----------------------------------------------------------------------------------------

    async def ask_import(self, wanted: Wanted, blob: uuid.UUID, claimed: bool = False) -> Job:
        """Enters an import of a package. Raises Refusal FC3001, FC4801, FC4802, FC1003."""
        options = wanted.options or Options()
        principal = await self.resolve(wanted.owner)
        project = self._project(wanted.project, required=not options.open)
        named = [item.entity for item in project.entities] if project is not None and not options.open else []
        entities = [self.gate.model.entities[name] for name in named] or list(self.gate.model.entities.values())
        self._permitted(principal, entities, bool(named), Operation.CREATE, Operation.UPDATE)
        new = NewJob(
            self._id(wanted), wanted.project, "import", wanted.owner, self._company(wanted.company), options, blob
        )
        job = await self.register.create(new, claimed)
        self._woken.set()
        return job

    async def ask_export(self, wanted: Wanted, claimed: bool = False) -> Job:
        """Enters an export. Raises Refusal FC3001, FC4801, FC4802, FC1003."""
        options = wanted.options or Options()
        principal = await self.resolve(wanted.owner)
        entities = wanted.entities
        if not entities:
            project = self._project(wanted.project, required=True)
            assert project is not None
            entities = project.entities
            if project.cross_company and not wanted.company:
                options = Options(options.execute, True, options.preview, options.open)
        found = [self.gate.model.entities[item.entity] for item in entities]
        self._permitted(principal, found, True, Operation.READ)
        new = NewJob(
            id=self._id(wanted),
            project=wanted.project,
            direction="export",
            owner=wanted.owner,
            company=self._company(wanted.company),
            options=options,
            parts=entities,
        )
        job = await self.register.create(new, claimed)
        self._woken.set()
        return job

    async def again(self, job: Job) -> None:
        """Lets a job that has ended run again. Raises Refusal FC4802."""
        await self.register.again(job)
        self._woken.set()

    def _project(self, name: str, required: bool) -> Project | None:
        found = self.projects.projects.get(name)
        if found is None and required:
            hint = suggest(name[:100], self.projects.projects) or "Projects are in operations/projects.yaml."
            raise Refusal("FC1003", f"The project '{name[:100]}' is not known.", hint=hint, source="definitionGroupId")
        return found

    def _company(self, name: str) -> str:
        known = self.gate.model.legal_entities
        if name and known and name not in known:
            message = f"The legal entity '{name[:40]}' is not known."
            raise Refusal("FC1003", message, hint=suggest(name[:40], known), source="legalEntityId")
        return name

    @staticmethod
    def _id(wanted: Wanted) -> str:
        for name, source in ((wanted.id, "executionId"), (wanted.project, "definitionGroupId")):
            if len(name) > LONGEST_NAME or not name.isprintable():
                raise Refusal("FC1003", f"A name has at most {LONGEST_NAME} printable characters.", source=source)
        return wanted.id or f"{wanted.project}-{uuid.uuid4()}"

    def _permitted(self, principal: Principal, entities: Sequence[Entity], each: bool, *operations: Operation) -> None:
        """Raises Refusal FC3001 unless data management of ``each`` (else of any) of the entities is allowed."""
        allowed = [entity for entity in entities if may(self.gate, principal, entity, *operations)]
        if each and len(allowed) < len(entities):
            entity = next(item for item in entities if item not in allowed)
            what = "export" if operations[0] is Operation.READ else "import"
            message = f"You have no right to {what} {entity.public_name}."
            raise Refusal("FC3001", message, source=entity.collection)
        if not allowed:
            raise Refusal("FC3001", "You have no right to exchange data packages.")

    def any_right(self, principal: Principal) -> None:
        """Raises Refusal FC3001 for somebody whom nothing is opened to."""
        self._permitted(principal, list(self.gate.model.entities.values()), False, *Operation)

    # -- what is known --------------------------------------------------------------------------------------------

    async def find(self, job_id: str, owner: Owner | None = None) -> Job | None:
        """A job by its id; ``owner``: only of that identity."""
        job = await self.register.get(job_id)
        return job if job is not None and (owner is None or job.owner == owner) else None

    async def part(self, job: Job, entity: str) -> tuple[Part, Entity]:
        """The part of an entity. Raises Refusal FC4801, FC4042."""
        found = entity_of(entity, self.gate.model, "entityName")
        for part in await self.register.parts(job):
            if part.entity == found.name:
                return part, found
        raise Refusal("FC4042", f"The job has no {found.public_name}.", source="entityName")

    # -- running --------------------------------------------------------------------------------------------------

    async def run(self, job: Job, progress: Progress = no_progress) -> Job:
        """Runs a claimed job to its end, and gives it as it is then. Raises Unavailable.

        What the worker before has left in doubt between two databases is finished first: it may hold rows.
        """
        if job.fence > 1 and not self.gate.coordinator.shared:
            await recover(self.gate.coordinator)
        beating = asyncio.create_task(self._beat(job))
        try:
            await self._run(job, progress)
        except LeaseLost:
            pass  # canceled, or somebody else's by now
        except Unavailable:
            raise
        except Refusal as refusal:
            with suppress(LeaseLost):
                await self.register.fail(job, refusal.text)
        except Exception as error:
            correlation = str(uuid.uuid4())
            self._observer(Fault(correlation, error))
            with suppress(LeaseLost):
                await self.register.fail(job, f"An unexpected error occurred. Correlation id: {correlation}.")
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        found = await self.register.get(job.id)
        return found if found is not None else replace(job, status=Status.UNKNOWN)

    async def _run(self, job: Job, progress: Progress) -> None:
        if job.direction == "export":
            await self._exporter.run(job, progress)
            return
        status = await self._importer.run(job, self.projects.projects.get(job.project), progress)
        async with self.register.database.transaction("end an import") as tx:
            await self.register.finish(tx, job, status)

    async def _beat(self, job: Job) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            with suppress(LeaseLost, Unavailable):
                await self.register.hold(job)

    async def run_due(self) -> int:
        """Runs every job that nobody works on. Returns how many."""
        count = 0
        while (job := await self.register.claim()) is not None:
            await self.run(job)
            count += 1
        return count

    async def wait(self, seconds: float) -> None:
        """Waits until a job is entered here, or for so long: another process may have entered one."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        self._woken.clear()

    async def purge(self) -> None:
        """Drops what has expired."""
        await self.register.purge(DAYS)
