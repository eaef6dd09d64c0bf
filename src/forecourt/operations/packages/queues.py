"""Queues of recurring jobs: messages put in for import, packages laid out for those who fetch them.

::

    import   Enqueued -> Preprocessing -> Processing -> Processed | ProcessedWithErrors
                         PreProcessingError (the file is no good)     PostProcessingFailed (the job could not be done)
    export   Processing -> Enqueued -> Dequeued -> Acked              (Dequeued -> visible again after 30 minutes)

Who may use a queue is its job's owner and nobody else; to others it does not exist. Any number of processes may run
the schedule: which of them starts a run is decided by the database, and a run that was cut off is started anew.
Source: operations-and-integration 5.9.
"""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO, Final
from uuid import UUID, uuid4

from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.principal import Principal
from forecourt.operations.packages.archive import MANIFEST, Part, broken, single
from forecourt.operations.packages.files import entity_of
from forecourt.operations.packages.formats import Format
from forecourt.operations.packages.jobs import Jobs, Wanted
from forecourt.operations.packages.projects import Direction, Recurring
from forecourt.operations.packages.records import Owner

#: Minutes after which a message that was fetched and not acknowledged shows again.
HIDDEN: Final = 30

#: Minutes that a step of the schedule may take before another process takes it over.
PATIENCE: Final = 5


@dataclass(frozen=True, slots=True)
class Dequeued:
    """A message that was fetched. ``receipt``: what acknowledges it."""

    id: UUID
    receipt: UUID
    blob: UUID


_TAKE_DUE = """
insert into forecourt.package_recurrence as r (activity, next_run)
values ($1, now() + make_interval(mins => $2))
on conflict (activity) do update set next_run = excluded.next_run where r.next_run <= now()
returning 1
"""
_TAKE_MESSAGE = """
update forecourt.package_message set status = 'Preprocessing', visible_at = now() + make_interval(mins => $2)
where id = (
    select id from forecourt.package_message
    where activity = $1 and direction = 'import'
        and (status = 'Enqueued' or (status = 'Preprocessing' and visible_at < now()))
    order by created_at limit 1 for update skip locked)
returning id, blob, entity, company
"""
_DEQUEUE = """
update forecourt.package_message
set status = 'Dequeued', receipt = gen_random_uuid(), visible_at = now() + make_interval(mins => $2)
where id = (
    select id from forecourt.package_message
    where activity = $1 and direction = 'export' and blob is not null
        and (status = 'Enqueued' or (status = 'Dequeued' and visible_at < now()))
    order by created_at limit 1 for update skip locked)
returning id, receipt, blob
"""
_SETTLE = """
update forecourt.package_message m
set blob = case when m.direction = 'export' then j.result else m.blob end,
    status = case
        when m.direction = 'export' then case j.status when 'Succeeded' then 'Enqueued' else 'PostProcessingFailed' end
        when j.status = 'Succeeded' then 'Processed'
        when exists (select from forecourt.package_part p where p.job = j.number and p.complete and p.failed > 0)
            then 'ProcessedWithErrors'
        when exists (select from forecourt.package_part p where p.job = j.number and p.complete)
            then 'PostProcessingFailed'
        else 'PreProcessingError' end
from forecourt.package_job j
where m.job = j.number and m.status = 'Processing' and j.status not in ('NotRun', 'Executing')
"""


class Queues:
    """The queues of a solution's recurring jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._database = jobs.register.database

    # -- those who put in and fetch -------------------------------------------------------------------------------

    def _of(self, principal: Principal, activity: str, direction: Direction | None = None) -> Recurring:
        """The job of an activity. Raises Refusal FC4042 for one that is not the asker's."""
        try:
            found = self._jobs.projects.recurring.get(UUID(activity))
        except ValueError:
            found = None
        user = principal.operations_user
        if found is None or user is None or user.id != found.owner:
            raise Refusal("FC4042", "There is no recurring job of this activity.", source="activity")
        if direction is not None and found.direction != direction:
            raise Refusal("FC4802", f"The job {found.name} is for {found.direction}.", source="activity")
        return found

    async def enqueue(
        self, principal: Principal, activity: str, entity: str, company: str, body: AsyncIterator[bytes]
    ) -> UUID:
        """Puts a package, or a data file of ``entity``, into the queue of an import. Raises Refusal."""
        job = self._of(principal, activity, "import")
        if entity:
            entity_of(entity, self._jobs.gate.model, "entity")
        if company and job.company and company != job.company:
            raise Refusal("FC1003", f"The job {job.name} is for legal entity '{job.company}'.", source="company")
        blob = await self._jobs.blobs.new(job.owner, f"{job.name}.message")
        await self._jobs.blobs.fill(blob, body)
        sql = (
            "insert into forecourt.package_message (activity, direction, status, entity, company, blob) "
            "values ($1, 'import', 'Enqueued', $2, $3, $4) returning id"
        )
        plan = SystemPlan("enqueue a message", sql, (job.activity, entity, company or job.company, blob))
        return UUID(str((await self._database.system(plan))[0][0]))

    async def dequeue(self, principal: Principal, activity: str) -> Dequeued | None:
        """The oldest package that is laid out; None: there is none. It is hidden for 30 minutes. Raises Refusal."""
        job = self._of(principal, activity, "export")
        rows = await self._database.system(SystemPlan("fetch a message", _DEQUEUE, (job.activity, HIDDEN)))
        return Dequeued(*rows[0]) if rows else None

    async def acknowledge(self, principal: Principal, activity: str, message: UUID, receipt: UUID) -> None:
        """Takes a message away for good. Raises Refusal FC4802 where it has been shown to somebody else since."""
        job = self._of(principal, activity, "export")
        sql = (
            "update forecourt.package_message set status = 'Acked' "
            "where id = $1 and receipt = $2 and activity = $3 and status in ('Dequeued', 'Acked') returning 1"
        )
        plan = SystemPlan("acknowledge a message", sql, (message, receipt, job.activity))
        if not await self._database.system(plan):
            raise Refusal("FC4802", "The message is not yours to acknowledge: it was fetched again, or never.")

    async def status(self, principal: Principal, message: UUID) -> str:
        """The state of a message. Raises Refusal FC4042 for one of somebody else's."""
        await self.settle()
        sql = "select activity, status from forecourt.package_message where id = $1"
        rows = await self._database.system(SystemPlan("look up a message", sql, (message,)))
        if not rows:
            raise Refusal("FC4042", "There is no such message.", source="messageId")
        self._of(principal, str(rows[0]["activity"]))
        return str(rows[0]["status"])

    # -- the schedule ---------------------------------------------------------------------------------------------

    async def tick(self) -> int:
        """Starts the runs that are due. Returns how many."""
        await self.settle()
        started = 0
        for job in self._jobs.projects.recurring.values():
            if not job.enabled:
                continue
            taken = SystemPlan("take a run of a recurring job", _TAKE_DUE, (job.activity, PATIENCE))
            if not await self._database.system(taken):
                continue
            started += await (self._start_import(job) if job.direction == "import" else self._start_export(job))
            sql = (
                "update forecourt.package_recurrence set next_run = now() + make_interval(mins => $2) "
                "where activity = $1"
            )
            await self._database.system(SystemPlan("next run of a recurring job", sql, (job.activity, job.every)))
        return started

    async def settle(self) -> None:
        """Gives messages whose jobs have ended their state."""
        await self._database.system(SystemPlan("settle messages", _SETTLE))

    async def _start_export(self, job: Recurring) -> int:
        """Starts an export; its message is laid out when it is done."""
        number, status, text = None, "Processing", ""
        try:
            wanted = Wanted(Owner(job.owner), job.project, f"{job.name}-{uuid4()}", job.company)
            number = (await self._jobs.ask_export(wanted)).number
        except Refusal as refusal:
            status, text = "PostProcessingFailed", refusal.text
        sql = (
            "insert into forecourt.package_message (activity, direction, status, message, job) "
            "values ($1, 'export', $2, $3, $4)"
        )
        await self._database.system(SystemPlan("lay a message out", sql, (job.activity, status, text, number)))
        return 0 if number is None else 1

    async def _start_import(self, job: Recurring) -> int:
        """Starts the import of the oldest message: those of one project follow one another."""
        rows = await self._database.system(SystemPlan("take a message", _TAKE_MESSAGE, (job.activity, PATIENCE)))
        if not rows:
            return 0
        message, blob, entity, company = rows[0]
        job_id = f"{job.name}-{message}"
        try:
            known = await self._jobs.find(job_id)
            if known is None:
                source = await self._package(job, blob, entity)
                known = await self._jobs.ask_import(Wanted(Owner(job.owner), job.project, job_id, company), source)
        except Refusal as refusal:
            if refusal.code == "FC4802":  # the one before is not done: this one waits
                back = "update forecourt.package_message set status = 'Enqueued' where id = $1"
                await self._database.system(SystemPlan("put a message back", back, (message,)))
            else:
                await self._failed(message, "PreProcessingError", refusal)
            return 0
        await self._processing(message, known.number)
        return 1

    async def _processing(self, message: UUID, number: int) -> None:
        sql = "update forecourt.package_message set status = 'Processing', job = $2 where id = $1"
        await self._database.system(SystemPlan("process a message", sql, (message, number)))

    async def _failed(self, message: UUID, status: str, refusal: Refusal) -> None:
        sql = "update forecourt.package_message set status = $2, message = $3 where id = $1"
        await self._database.system(SystemPlan("give a message up", sql, (message, status, refusal.text)))

    async def _package(self, job: Recurring, blob: UUID | None, entity: str) -> UUID:
        """The message as a package: as it is, or made of its data file. Raises Refusal."""
        if blob is None:
            raise Refusal("FC4802", "What was enqueued is no longer kept.")
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as wrapped:
            await self._jobs.blobs.write_to(blob, file)
            kind = await asyncio.to_thread(_kind, file)
            if kind is None:
                return blob
            if not entity:
                raise broken("The message is a data file, and names no entity.", hint="Enqueue it with ?entity=.")
            file.seek(0)
            found = entity_of(entity, self._jobs.gate.model, "entity")
            part = Part(found.name, f"{found.public_name}.{kind.suffix}", kind.value)
            await asyncio.to_thread(single, part, job.project, file, wrapped)
            wrapped.seek(0)
            async with self._database.transaction("wrap a data file") as tx:
                return await self._jobs.blobs.keep(tx, job.owner, f"{job.name}.zip", wrapped)


def _kind(file: BinaryIO) -> Format | None:
    """The format of a data file, by how it begins; None for a package."""
    file.seek(0)
    start = file.read(4)
    if start == b"PAR1":
        return Format.PARQUET
    if start[:2] == b"PK":
        try:
            with zipfile.ZipFile(file) as archive:
                names = {name.casefold() for name in archive.namelist()}
        except (zipfile.BadZipFile, ValueError, OSError):
            return None
        return None if MANIFEST.casefold() in names else Format.XLSX
    return Format.XML if start.lstrip(b"\xef\xbb\xbf").lstrip()[:1] == b"<" else Format.CSV
