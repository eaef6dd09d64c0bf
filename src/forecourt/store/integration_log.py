"""Where the integration log is kept: ``forecourt.integration_log`` of the Dataverse database.

That database decides every unit of work over two, so an entry is there exactly when its write is, whichever side was
written to, and an attached operations database holds no table for it. Entries are inserted, by one statement for a
unit of work, and never changed: a trigger refuses update, delete and truncate to everybody, also to the table's owner,
who would have to switch it off first. Leaves out when entries are written (``work``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final, Literal, cast

import msgspec

from forecourt.kernel.integration_log import Engine, Entry, Filter, Logged, Operation, Span, divided
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.principal import INTEGRATION
from forecourt.store.database import Database
from forecourt.store.sync.capture import literal

SCRIPTS: Final = (
    (
        "integration_log",
        """
    create schema if not exists forecourt;
    create table forecourt.integration_log (
        id bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(),
        work bigint not null,
        principal text not null,
        map text not null,
        engine text not null,
        direction text not null,
        target text not null,
        operation text not null,
        rows bigint not null,
        fields text[] not null,
        keys jsonb not null,
        span jsonb,
        caused_by text not null);
    create index integration_log_at on forecourt.integration_log using brin (at);
    create function forecourt.integration_log_stays() returns trigger language plpgsql as $body$
    begin
        raise exception 'The integration log is only ever added to.' using errcode = 'insufficient_privilege';
    end $body$;
    create trigger integration_log_stays before update or delete or truncate on forecourt.integration_log
        for each statement execute function forecourt.integration_log_stays();
    """,
    ),
)

_COLUMNS = "map, engine, direction, target, operation, rows, fields, keys, span, caused_by"
_INSERT = f"insert into forecourt.integration_log (work, principal, {_COLUMNS})"
_DECISION = f"""
with logged as ({_INSERT}
    select $1, $2, {_COLUMNS} from jsonb_to_recordset($3::text::jsonb) as entry(
        map text, engine text, direction text, target text, operation text, rows bigint, fields text[], keys jsonb,
        span jsonb, caused_by text))
insert into forecourt.decision (id) values ($1)"""
_READ = """
select id, at, work, principal, map, engine, direction, target, operation, rows, fields, keys::text, span::text,
    caused_by from forecourt.integration_log
where ($1::text[] = '{}' or map = any($1)) and ($2::timestamptz is null or at >= $2)
  and ($3::timestamptz is null or at < $3) and ($4::bigint is null or id < $4)
  and ($5::text is null or exists (select from jsonb_array_elements(keys) as key where not exists (
      select from unnest($6::text[]) as wanted where not exists (
          select from jsonb_array_elements_text(key) as value where value = wanted))))
order by id desc limit $7"""


def insertion(work: int, entries: Iterable[Entry]) -> str:
    """The entries' statement without parameters, to go in one message with the commit: parsed each time, so plain."""
    head = f"{work}, {literal(INTEGRATION.label)}"
    rows = [f"({head}, {_values(part)})" for entry in entries for part in divided(entry)]
    return f"{_INSERT} values {', '.join(rows)}"


def decision(work: int, entries: Iterable[Entry]) -> SystemPlan:
    """The row that decides a unit of work over two databases, and what was written in it."""
    args = (work, INTEGRATION.label, _json(entries))
    return SystemPlan("decide a unit of work", _DECISION, args)


class IntegrationLog:
    """The log, for administrators. ``database``: of the Dataverse plane."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, wanted: Filter) -> list[Logged]:
        """Entries, the newest first."""
        text = "given" if wanted.key else None
        args = (list(wanted.maps), wanted.since, wanted.until, wanted.before, text, list(wanted.key), wanted.limit)
        rows = await self._database.system(SystemPlan("read the integration log", _READ, args))
        return [_logged(*row) for row in rows]


def _logged(
    number: int,
    at: dt.datetime,
    work: int,
    principal: str,
    map_: str,
    engine: str,
    direction: str,
    target: str,
    operation: str,
    rows: int,
    fields: list[str],
    keys: str,
    span: str | None,
    caused_by: str,
) -> Logged:
    entry = Entry(
        map_,
        cast("Engine", engine),
        cast("Literal['to_dataverse', 'to_operations']", direction),
        target,
        cast("Operation", operation),
        rows,
        tuple(fields),
        tuple(tuple(key) for key in msgspec.json.decode(keys)),
        msgspec.json.decode(span, type=Span | None) if span else None,
        caused_by,
    )
    return Logged(number, at, work, principal, entry)


def _values(entry: Entry) -> str:
    texts = (entry.map, entry.engine, entry.direction, entry.target, entry.operation)
    fields = ", ".join(map(literal, entry.fields))
    values = [
        *map(literal, texts),
        str(entry.rows),
        f"array[{fields}]::text[]",
        literal(msgspec.json.encode(entry.keys, enc_hook=str).decode()),
        "null" if entry.span is None else literal(msgspec.json.encode(entry.span, enc_hook=str).decode()),
        literal(entry.caused_by),
    ]
    return ", ".join(values)


def _json(entries: Iterable[Entry]) -> str:
    parts = [part for entry in entries for part in divided(entry)]
    return msgspec.json.encode(parts, enc_hook=str).decode()
