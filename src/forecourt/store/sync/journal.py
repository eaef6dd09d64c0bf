"""The journal of table maps, in the operations database: chosen versions, failures, alerts and jobs.

Implements :class:`~forecourt.kernel.journal.Journal`. Everything that two processes may do at once is decided by one
statement: who goes off with an alert, who takes a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from asyncpg import exceptions as pg

from forecourt.kernel.errors import Refusal
from forecourt.kernel.journal import FailureKind, Failures, Job, JobKind, JobState
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

_TABLES = """
create schema if not exists forecourt;
create table if not exists forecourt.sync_choice (map text primary key, version text not null);
create table if not exists forecourt.sync_failure (
    map text not null, kind text not null, rows bigint not null, at timestamptz not null default now());
create index if not exists sync_failure_at on forecourt.sync_failure (at);
create table if not exists forecourt.sync_alert (
    map text not null, alert text not null, at timestamptz not null default now(), primary key (map, alert));
create table if not exists forecourt.sync_job (
    id bigint generated always as identity primary key, map text not null, kind text not null, by text not null,
    state text not null default 'Waiting', input jsonb not null, result jsonb not null default '{}',
    detail text not null default '', asked_at timestamptz not null default now(), done_at timestamptz,
    worker text, held_until timestamptz);
"""
NAMES = ("sync_choice", "sync_failure", "sync_alert", "sync_job")

_FAILURES = """
select f.map, f.kind, f.rows, extract(epoch from now() - f.at)::float8
from forecourt.sync_failure f join forecourt.sync_map m on m.name = f.map
where f.map = any($1) and f.at > greatest(now() - make_interval(mins => $2), m.changed_at)"""
_ALERTED = """
insert into forecourt.sync_alert as a (map, alert) values ($1, $2)
on conflict (map, alert) do update set at = now() where a.at <= now() - make_interval(mins => $3) returning 1"""
_JOB = "id, map, kind, by, state, input::text, result::text, detail, asked_at, done_at"
_TAKE = f"""
update forecourt.sync_job set state = 'Executing', worker = $1, held_until = now() + make_interval(secs => $2)
where id = (select id from forecourt.sync_job
    where state = 'Waiting' or (state = 'Executing' and held_until < now())
    order by id limit 1 for update skip locked)
returning {_JOB}"""
_HOLD = """
update forecourt.sync_job set held_until = now() + make_interval(secs => $3)
where id = $1 and worker = $2 and state = 'Executing' returning 1"""
_FINISH = """
update forecourt.sync_job set state = $3, result = $4::text::jsonb, detail = $5, done_at = now(), worker = null
where id = $1 and worker = $2 and state = 'Executing'"""
_OPEN = "select exists (select from forecourt.sync_job where state in ('Waiting', 'Executing'))"
_TIDY = (
    "delete from forecourt.sync_failure where at < now() - interval '7 days'",
    "delete from forecourt.sync_alert where at < now() - interval '7 days'",
    "delete from forecourt.sync_job where done_at < now() - interval '7 days'",
)


class Journal:
    """``operations``: where maps are registered."""

    def __init__(self, operations: Database) -> None:
        self._database = operations

    async def install(self) -> None:
        """Makes the tables where they are missing."""
        await self._database.script("make the journal of maps", _TABLES)

    async def remove(self) -> bool:
        """Takes the tables away, but for the versions that somebody chose. False: there is a job to do, nothing is
        taken away."""
        there = "select to_regclass('forecourt.sync_job') is not null"
        if not (await self._run("look for the journal", there))[0][0]:
            return True
        if (await self._run("look for jobs", _OPEN))[0][0]:
            return False
        kept = ("sync_choice",) if await self.choices() else ()
        drops = "; ".join(f"drop table if exists forecourt.{name}" for name in NAMES if name not in kept)
        await self._database.script("remove the journal of maps", drops)
        return True

    async def choices(self) -> dict[str, str]:
        """The chosen version of each map for which one was chosen."""
        if not (await self._run("look for choices", "select to_regclass('forecourt.sync_choice') is not null"))[0][0]:
            return {}
        return {row[0]: row[1] for row in await self._run("read", "select map, version from forecourt.sync_choice")}

    async def choose(self, map: str, version: str) -> None:
        """Chooses a version; '' for the highest."""
        sql = """insert into forecourt.sync_choice (map, version) values ($1, $2)
        on conflict (map) do update set version = excluded.version"""
        if version:
            await self._run("choose a version", sql, map, version)
        else:
            await self._run("choose the highest version", "delete from forecourt.sync_choice where map = $1", map)

    async def failed(self, map: str, counts: Mapping[FailureKind, int]) -> None:
        """Counts failures."""
        sql = """insert into forecourt.sync_failure (map, kind, rows)
        select $1, kind, rows from unnest($2::text[], $3::bigint[]) as given(kind, rows) where rows > 0"""
        await self._run("count failures", sql, map, list(counts), list(counts.values()))

    async def failures(self, maps: Sequence[str], minutes: int) -> list[Failures]:
        """Failures of the last minutes, of what maps have been through since their state last changed."""
        return [Failures(*row) for row in await self._run("count failures", _FAILURES, list(maps), minutes)]

    async def alerted(self, map: str, alert: str, minutes: int) -> bool:
        """Notes that an alert has gone off. False: it did within the last minutes already, or another process is
        ahead."""
        return bool(await self._run("an alert goes off", _ALERTED, map, alert, minutes))

    async def ask(self, map: str, kind: JobKind, by: str, given: Mapping[str, Any]) -> int:
        """Keeps work to be done; its number."""
        sql = """insert into forecourt.sync_job (map, kind, by, input) values ($1, $2, $3, $4::text::jsonb)
        returning id"""
        return int((await self._run("keep a job", sql, map, kind, by, _json(given)))[0][0])

    async def job(self, number: int) -> Job | None:
        """A job by its number."""
        rows = await self._run("read a job", f"select {_JOB} from forecourt.sync_job where id = $1", number)
        return _job(rows[0]) if rows else None

    async def jobs(self, map: str = "", limit: int = 100) -> list[Job]:
        """The latest jobs, the newest first, without their results."""
        light = _JOB.replace("input::text, result::text", "'{}', '{}'")
        sql = f"select {light} from forecourt.sync_job where $1 = '' or map = $1 order by id desc limit $2"
        return [_job(row) for row in await self._run("list jobs", sql, map, limit)]

    async def take(self, worker: str, seconds: float) -> Job | None:
        """A job that waits, or whose worker has not been heard of; None: there is none."""
        rows = await self._run("take a job", _TAKE, worker, seconds)
        return _job(rows[0]) if rows else None

    async def hold(self, number: int, worker: str, seconds: float) -> bool:
        """The worker is still at it. False: somebody else is."""
        return bool(await self._run("hold a job", _HOLD, number, worker, seconds))

    async def finish(
        self, number: int, worker: str, state: JobState, result: Mapping[str, Any], detail: str = ""
    ) -> None:
        """What has become of a job. Nothing happens where another worker has it by now."""
        await self._run("finish a job", _FINISH, number, worker, state, _json(result), detail)

    async def tidy(self) -> None:
        """Forgets failures, alerts and finished jobs of a week ago."""
        for sql in _TIDY:
            await self._run("tidy the journal", sql)

    async def _run(self, reason: str, sql: str, *args: object) -> list[Any]:
        try:
            return list(await self._database.system(SystemPlan(reason, sql, args)))
        except pg.UndefinedTableError:
            raise Refusal("FC4121", "The maps have been stopped meanwhile.", hint="Try again.") from None


def _json(value: Mapping[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


def _job(row: Sequence[Any]) -> Job:
    number, name, kind, by, state, given, result, detail, asked, done = row
    return Job(
        number, name, kind, by, state, msgspec.json.decode(given), msgspec.json.decode(result), detail, asked, done
    )
