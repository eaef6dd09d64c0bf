"""Where the security log is kept: ``forecourt.security_log`` of the Dataverse database, which is only ever added to.

A process collects what it observes and writes it in one statement: at once where an answer waits for it
(:meth:`SecurityLog.settle`), else within a second. What could not be written stays collected and is written later.
Collected events are bounded by their number of kinds, never by dropping some: beyond the bound they are one entry that
says how many. Leaves out seals (``seals``) and what the database itself notes (``watched``).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Fault, Observation, Observer
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.security_log import Event, Filter, Kind, Logged, event_of, urgent
from forecourt.store.database import Database
from forecourt.store.operator import operator

SCRIPTS: Final = (
    (
        "security_log",
        """
    create schema if not exists forecourt;
    create table forecourt.security_log (
        id bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(),
        kind text not null,
        actor text not null,
        subject text not null,
        outcome text not null default '',
        door text not null default '',
        count bigint not null default 1,
        detail jsonb not null default '{}');
    create index security_log_at on forecourt.security_log using brin (at);
    create function forecourt.log_stays() returns trigger language plpgsql as $body$
    begin
        raise exception 'A log is only ever added to.' using errcode = 'insufficient_privilege';
    end $body$;
    create trigger security_log_stays before update or delete or truncate on forecourt.security_log
        for each statement execute function forecourt.log_stays();
    create table forecourt.security_rule (
        path text primary key,
        digest text not null);
    """,
    ),
)

#: Different events that a process collects at most before it adds up the rest.
KEPT: Final = 5_000

#: In place of events beyond ``KEPT``.
_REST: Final = Event("denial", "(several)", "(more kinds of denials than are listed)")

_INSERT: Final = """
insert into forecourt.security_log (kind, actor, subject, outcome, door, count)
select kind, actor, subject, outcome, door, count from jsonb_to_recordset($1::text::jsonb) as event(
    kind text, actor text, subject text, outcome text, door text, count bigint)
"""
_READ: Final = """
select id, at, kind, actor, subject, outcome, door, count, detail::text from forecourt.security_log
where ($1::text[] = '{}' or kind = any($1))
  and ($2 = '' or position(lower($2) in lower(actor)) > 0 or position(lower($2) in lower(subject)) > 0)
  and ($3::timestamptz is null or at >= $3) and ($4::timestamptz is null or at < $4)
  and ($5::bigint is null or id < $5)
order by id desc limit $6
"""
_RULES: Final = """
with given as (select key as path, value as digest from jsonb_each_text($1::text::jsonb)),
changed as (
    select coalesce(g.path, r.path) as path, r.digest as before, g.digest as after
    from given g full join forecourt.security_rule r on r.path = g.path
    where g.digest is distinct from r.digest),
first as (select not exists (select from forecourt.security_rule) as yes),
gone as (delete from forecourt.security_rule r using changed c where r.path = c.path and c.after is null),
kept as (
    insert into forecourt.security_rule (path, digest) select path, after from changed where after is not null
    on conflict (path) do update set digest = excluded.digest)
insert into forecourt.security_log (kind, actor, subject, outcome, detail)
select 'rule', $2, path,
    case when before is null then case when yes then 'in force' else 'added' end
         when after is null then 'removed' else 'changed' end,
    jsonb_strip_nulls(jsonb_build_object('before', before, 'after', after))
from changed, first order by path
"""

#: Held while rules are compared, so that two processes that start at once do not note a change twice.
_RULES_LOCK: Final = 0x464F525255


class SecurityLog:
    """The log of a process. ``database``: of the Dataverse plane."""

    def __init__(self, database: Database, observer: Observer) -> None:
        self._database = database
        self._observer = observer
        self._collected: Counter[Event] = Counter()
        self._urgent = False
        self._turn = asyncio.Lock()

    def observe(self, observation: Observation) -> None:
        """Collects what the log keeps: an :data:`~forecourt.kernel.observe.Observer`."""
        event = event_of(observation)
        if event is None:
            return
        if event not in self._collected and len(self._collected) >= KEPT:
            event = _REST
        self._collected[event] += 1
        self._urgent = self._urgent or urgent(event)

    async def settle(self) -> None:
        """Before an answer leaves: what it must not be ahead of is written."""
        if self._urgent:
            await self.flush()

    async def flush(self) -> None:
        """Writes what is collected. Where the database cannot be reached that is a fault, and it stays collected."""
        async with self._turn:
            if not self._collected:
                return
            taken, self._collected, self._urgent = self._collected, Counter(), False
            rows = [{**msgspec.to_builtins(event), "count": count} for event, count in taken.items()]
            try:
                await self._database.system(
                    SystemPlan("keep the security log", _INSERT, (msgspec.json.encode(rows).decode(),))
                )
            except (Refusal, Unavailable) as error:
                self._collected.update(taken)
                self._urgent = self._urgent or any(map(urgent, taken))
                self._observer(Fault("security log", error))

    async def note_rules(self, digests: Mapping[str, str]) -> None:
        """Notes which files of rules have changed since rules were last in force. ``digests``: path -> digest."""
        async with self._database.transaction("note changed rules") as transaction:
            await transaction.execute("select pg_advisory_xact_lock($1)", _RULES_LOCK)
            await transaction.execute(_RULES, msgspec.json.encode(digests).decode(), operator())

    async def read(self, wanted: Filter) -> list[Logged]:
        """Events, the newest first."""
        args = (list(wanted.kinds), wanted.person, wanted.since, wanted.until, wanted.before, wanted.limit)
        rows = await self._database.system(SystemPlan("read the security log", _READ, args))
        return [_logged(*row) for row in rows]


def _logged(
    number: int,
    at: dt.datetime,
    kind: str,
    actor: str,
    subject: str,
    outcome: str,
    door: str,
    count: int,
    detail: str,
) -> Logged:
    event = Event(cast("Kind", kind), actor, subject, outcome, door)
    return Logged(number, at, event, count, msgspec.json.decode(detail))
