"""The register of jobs: what was asked for, how far it is, who works on it. Every change of it is one statement.

A job is worked on under a lease. A worker that is gone lets it lapse; the next one raises the fence, and what the old
one still writes is refused, in the transaction in which it writes it. So no row is applied twice.
Source: operations-and-integration 5.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.operations.packages.records import (
    Job,
    LeaseLost,
    NewJob,
    Options,
    Owner,
    Part,
    RowState,
    StagedRow,
    Status,
    WrongRow,
)
from forecourt.store.database import Database, Transaction
from forecourt.store.failures import UniqueViolation
from forecourt.store.unit import Unit

#: Seconds for which a worker has a job, unless it says that it is still at it.
LEASE = 30.0


#: Jobs of one owner that may wait or run.
MOST = 50

_OPEN = "select count(*) from forecourt.package_job where owner = $1 and status in ('NotRun', 'Executing')"
_JOB = (
    "number, id, project, direction, owner, contact, company, options, status, message, source, result, created_at, "
    "started_at, ended_at, fence"
)
_CREATE = f"""
insert into forecourt.package_job
    (id, project, direction, owner, contact, company, options, source, status, fence, started_at, lease_until)
values ($1, $2, $3, $4, $5, $6, $7, $8, case when $9 then 'Executing' else 'NotRun' end, case when $9 then 1 else 0 end,
    case when $9 then now() end, case when $9 then now() + make_interval(secs => $10) end)
returning {_JOB}
"""  # noqa: S608
_CLAIM = f"""
update forecourt.package_job
set status = 'Executing', fence = fence + 1, started_at = coalesce(started_at, now()),
    lease_until = now() + make_interval(secs => $1)
where number = (
    select number from forecourt.package_job
    where (status = 'NotRun' or (status = 'Executing' and lease_until < now())) and ($2::text is null or id = $2)
    order by number limit 1 for update skip locked)
returning {_JOB}
"""  # noqa: S608
_HOLD = """
update forecourt.package_job set lease_until = now() + make_interval(secs => $3)
where number = $1 and fence = $2 and status = 'Executing' returning 1
"""
_FINISH = """
update forecourt.package_job
set status = $3, message = $4, result = coalesce($5, result), ended_at = now(), lease_until = null
where number = $1 and fence = $2 and status = 'Executing' returning 1
"""
_STAGE = """
insert into forecourt.package_row (job, place, n, state, texts, message, field)
select $1, $2, t.* from unnest($3::bigint[], $4::smallint[], $5::text[], $6::text[], $7::text[]) as t
"""


class Register:
    """Jobs with their parts and staged rows."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # -- jobs -----------------------------------------------------------------------------------------------------

    async def create(self, new: NewJob, claimed: bool = False) -> Job:
        """Enters a job. ``claimed``: for the one who enters it, who starts at once.

        Raises Refusal FC4802 where the id is taken, or an import of the project is not done yet.
        """
        options = msgspec.json.encode(new.options).decode()
        owner = new.owner
        arguments = (new.id, new.project, new.direction, owner.user, owner.contact, new.company, options, new.source)
        try:
            async with self.database.transaction("enter a data package job") as tx:
                if await tx.value(_OPEN, owner.user) >= MOST:
                    message = f"{MOST} jobs of {owner.user} are not done yet."
                    raise Refusal("FC4802", message, hint="Wait for them, or cancel some.")
                row = await tx.row(_CREATE, *arguments, claimed, LEASE)
                assert row is not None
                job = _job(row)
                parts = [
                    Part(place, item.entity, item.file, item.format.value, item.columns)
                    for place, item in enumerate(new.parts)
                ]
                await self._add_parts(tx, job, parts)
        except UniqueViolation as error:
            if error.constraint_name == "package_job_import":
                message = f"An import of project '{new.project}' is not done yet."
                raise Refusal(
                    "FC4802", message, hint="Wait for it, or cancel it.", source="definitionGroupId"
                ) from None
            raise Refusal("FC4802", "There is a job of this id already.", source="executionId") from None
        return job

    @staticmethod
    async def _add_parts(tx: Transaction, job: Job, parts: Sequence[Part]) -> None:
        await tx.executemany(
            "insert into forecourt.package_part (job, place, entity, file, format, columns) values ($1,$2,$3,$4,$5,$6)",
            [(job.number, item.place, item.entity, item.file, item.format, list(item.columns)) for item in parts],
        )

    async def get(self, job_id: str) -> Job | None:
        """A job by its id."""
        sql = f"select {_JOB} from forecourt.package_job where id = $1"  # noqa: S608
        rows = await self.database.lookup(SystemPlan("look up a data package job", sql, (job_id,)))
        return _job(rows[0]) if rows else None

    async def jobs(self, limit: int) -> list[Job]:
        """The latest jobs, the newest first."""
        sql = f"select {_JOB} from forecourt.package_job order by number desc limit $1"  # noqa: S608
        return [_job(row) for row in await self.database.system(SystemPlan("list data package jobs", sql, (limit,)))]

    async def claim(self, job_id: str | None = None) -> Job | None:
        """The next job that nobody works on, or that one; None: there is none."""
        rows = await self.database.system(SystemPlan("take a data package job", _CLAIM, (LEASE, job_id)))
        return _job(rows[0]) if rows else None

    async def hold(self, job: Job) -> None:
        """Says that the job is being worked on. Raises LeaseLost."""
        plan = SystemPlan("go on with a data package job", _HOLD, (job.number, job.fence, LEASE))
        if not await self.database.system(plan):
            raise LeaseLost

    async def cancel(self, job: Job) -> bool:
        """Ends a job; what is done stays done. False: it had ended."""
        sql = (
            "update forecourt.package_job set status = 'Canceled', ended_at = now(), lease_until = null "
            "where number = $1 and status in ('NotRun', 'Executing') returning 1"
        )
        return bool(await self.database.system(SystemPlan("cancel a data package job", sql, (job.number,))))

    async def again(self, job: Job) -> None:
        """Lets a job that has ended run again: an import goes on with what waits, an export starts anew.

        Raises Refusal FC4802.
        """
        async with self.database.transaction("run a data package job again") as tx:
            try:
                done = await tx.value(
                    "update forecourt.package_job set status = 'NotRun', message = '', ended_at = null, "
                    "options = $2 where number = $1 and status not in ('NotRun', 'Executing') returning 1",
                    job.number,
                    msgspec.json.encode(msgspec.structs.replace(job.options, execute=True)).decode(),
                )
            except UniqueViolation:
                done = None
            if not done:
                raise Refusal("FC4802", "The job is not done yet, or another import of its project is running.")
            if job.direction == "export":
                await tx.execute(
                    "update forecourt.package_part set staged = 0, complete = false where job = $1", job.number
                )

    async def finish(
        self, tx: Transaction, job: Job, status: Status, message: str = "", result: UUID | None = None
    ) -> None:
        """Ends a job. Raises LeaseLost."""
        if not await tx.value(_FINISH, job.number, job.fence, status.value, message, result):
            raise LeaseLost

    async def fail(self, job: Job, message: str) -> None:
        """Ends a job that could not be done. Raises LeaseLost."""
        async with self.database.transaction("end a data package job") as tx:
            await self.finish(tx, job, Status.FAILED, message)

    # -- parts ----------------------------------------------------------------------------------------------------

    async def parts(self, job: Job) -> list[Part]:
        """The entities of a job, in order."""
        sql = (
            "select place, entity, file, format, columns, staged, complete, position, applied, failed, message, "
            "keys_file from forecourt.package_part where job = $1 order by place"
        )
        rows = await self.database.system(SystemPlan("parts of a data package job", sql, (job.number,)))
        return [Part(**{**dict(row), "columns": tuple(row["columns"])}) for row in rows]

    async def add_parts(self, job: Job, parts: Sequence[Part]) -> None:
        """Enters the entities of a package. Raises LeaseLost."""
        async with self.database.transaction("parts of a data package") as tx:
            await self._held(tx, job)
            await self._add_parts(tx, job, parts)

    async def progress(self, job: Job, place: int, rows: int) -> None:
        """Says how many rows of a file are written."""
        sql = "update forecourt.package_part set staged = $3 where job = $1 and place = $2"
        await self.database.system(SystemPlan("progress of an export", sql, (job.number, place, rows)))

    async def stop(self, job: Job, place: int, message: str) -> None:
        """Says why a file could not be read to its end. Raises LeaseLost."""
        async with self.database.transaction("a file that cannot be read") as tx:
            await self._held(tx, job)
            sql = "update forecourt.package_part set message = $3 where job = $1 and place = $2"
            await tx.execute(sql, job.number, place, message)

    async def _held(self, tx: Transaction, job: Job) -> None:
        if not await tx.value(_HOLD, job.number, job.fence, LEASE):
            raise LeaseLost

    # -- rows -----------------------------------------------------------------------------------------------------

    async def stage(self, job: Job, place: int, rows: Sequence[StagedRow], complete: bool) -> None:
        """Takes rows of a file in. ``complete``: they are the last. Raises LeaseLost."""
        states = [RowState.WRONG if row.message else RowState.WAITING for row in rows]
        async with self.database.transaction("stage rows of a data package") as tx:
            await self._held(tx, job)
            await tx.execute(
                _STAGE,
                job.number,
                place,
                [row.n for row in rows],
                states,
                [msgspec.json.encode(row.texts).decode() for row in rows],
                [row.message for row in rows],
                [row.field for row in rows],
            )
            await tx.execute(
                "update forecourt.package_part set staged = coalesce($3, staged), failed = failed + $4, complete = $5 "
                "where job = $1 and place = $2",
                job.number,
                place,
                rows[-1].n if rows else None,
                sum(1 for row in rows if row.message),
                complete,
            )

    async def waiting(self, job: Job, part: Part, after: int, limit: int) -> list[StagedRow]:
        """Staged rows that have not been tried."""
        sql = (
            "select n, texts from forecourt.package_row where job = $1 and place = $2 and n > $3 and state = 0 "
            "order by n limit $4"
        )
        arguments = (job.number, part.place, after, limit)
        rows = await self.database.system(SystemPlan("staged rows of a data package", sql, arguments))
        return [StagedRow(row["n"], msgspec.json.decode(row["texts"])) for row in rows]

    async def applied(self, unit: Unit, job: Job, place: int, rows: Sequence[StagedRow]) -> None:
        """Notes, in the unit of work that writes them, that rows are applied. Raises LeaseLost."""
        await self._tried(unit, job, place, [row.n for row in rows], RowState.APPLIED, "", "")

    async def refused(self, unit: Unit, job: Job, place: int, row: StagedRow, field: str, message: str) -> None:
        """Notes that the target has turned a row down. Raises LeaseLost."""
        await self._tried(unit, job, place, [row.n], RowState.REFUSED, field, message)

    @staticmethod
    async def _tried(
        unit: Unit, job: Job, place: int, numbers: list[int], state: int, field: str, message: str
    ) -> None:
        sql = (
            "update forecourt.package_row set state = $4, field = $5, message = $6 "
            "where job = $1 and place = $2 and n = any($3::bigint[]) and state = 0 returning 1"
        )
        given = (job.number, place, numbers, state, field, message)
        done = await unit.system(SystemPlan("outcome of staged rows", sql, given))
        applied = len(numbers) if state == RowState.APPLIED else 0
        sql = (
            "update forecourt.package_part set position = greatest(position, $3), applied = applied + $4, "
            "failed = failed + $5 where job = $1 and place = $2"
        )
        counts = (job.number, place, numbers[-1], applied, len(numbers) - applied)
        await unit.system(SystemPlan("progress of an import", sql, counts))
        held = await unit.system(SystemPlan("go on with an import", _HOLD, (job.number, job.fence, LEASE)))
        if not held or len(done) != len(numbers):
            raise LeaseLost

    async def wrong(self, job: Job, place: int, state: int, after: int, limit: int) -> list[WrongRow]:
        """Rows that were left out, wrong in the file (2) or turned down by the target (3); 0 for both."""
        sql = (
            "select n, texts, state, field, message from forecourt.package_row where job = $1 and place = $2 "
            "and state > 1 and ($3::int = 0 or state = $3) and n > $4 order by n limit $5"
        )
        arguments = (job.number, place, state, after, limit)
        rows = await self.database.system(SystemPlan("rows left out of an import", sql, arguments))
        return [
            WrongRow(row["n"], msgspec.json.decode(row["texts"]), row["state"], row["field"], row["message"])
            for row in rows
        ]

    async def keys_file(self, job: Job, place: int, blob: UUID) -> None:
        """Notes the file with the keys of the rows that the target has turned down."""
        sql = "update forecourt.package_part set keys_file = $3 where job = $1 and place = $2"
        await self.database.system(SystemPlan("error keys of an import", sql, (job.number, place, blob)))

    async def purge(self, days: int) -> None:
        """Drops what has expired: blobs, and jobs with their rows, that ended so many days ago."""
        async with self.database.transaction("drop old data packages") as tx:
            await tx.execute("delete from forecourt.package_blob where expires_at < now()")
            await tx.execute(
                "delete from forecourt.package_job where ended_at < now() - make_interval(days => $1)", days
            )
            await tx.execute(
                "delete from forecourt.package_message where created_at < now() - make_interval(days => $1)", days
            )


def _job(row: Any) -> Job:
    values = dict(row)
    owner = Owner(values.pop("owner"), values.pop("contact"))
    options = msgspec.json.decode(values.pop("options"), type=Options)
    return Job(**{**values, "status": Status(values["status"])}, owner=owner, options=options)
