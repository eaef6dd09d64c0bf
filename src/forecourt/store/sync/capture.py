"""Capture: triggers that note which rows a statement has changed, in the transaction that changes them.

One row of ``forecourt.outbox`` is a statement's rows as a set (at most :data:`CHUNK` of them): per changed row, the
values of the columns that are remembered, the identity first. An update that changes a remembered column notes the row
twice, as it was and as it is. A row that is noted says no more than "look at me again": what became of it is read when
the note is worked off, except where whole images are kept. Among images, a row as it was is marked by ``@was``; it
comes before those of the same statement as they are.

Who writes is told by the setting ``forecourt.origin``::

    (unset)   another program         noted, and a sleeping worker is woken by NOTIFY
    work      Forecourt, for people   noted; no NOTIFY, after which a transaction could not be prepared
    sync      the integration         its own statements are not noted, what other triggers do in reply to them is

The functions are ``security definer``, for other programs have no rights here; every operator in them is qualified,
since the search path is the caller's. TRUNCATE is refused while a table is captured: it fires no row's trigger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from forecourt.kernel.relation import TableName
from forecourt.kernel.sync import WAS, Capture

#: Rows in one row of the outbox.
CHUNK = 2_000

PREFIX = "forecourt_capture_"

#: The outbox. ``awake``: 2 while a worker sleeps and wants to be notified; not transactional, so that it costs nothing.
OUTBOX = """
create schema if not exists forecourt;
create table if not exists forecourt.outbox (
    id bigint generated always as identity,
    xid xid8 not null default pg_current_xact_id(),
    relation text not null,
    operation "char" not null,
    images boolean not null default false,
    at timestamptz not null default clock_timestamp(),
    taken text[] not null default '{}',
    columns text[] not null,
    rows jsonb not null);
create index if not exists outbox_xid on forecourt.outbox (xid, id);
create sequence if not exists forecourt.outbox_awake;
"""

_FUNCTION = """
create or replace function forecourt.{name}() returns trigger language plpgsql security definer as $capture$
#variable_conflict use_column
declare
    written_by text := pg_catalog.current_setting('forecourt.origin', true);
    how_many bigint;
begin
    if written_by operator(pg_catalog.=) 'sync' and pg_catalog.pg_trigger_depth() operator(pg_catalog.=) 1 then
        return null;
    end if;
    select pg_catalog.count(*) into how_many from {source};
    if how_many operator(pg_catalog.=) 0 then
        return null;
    end if;
    if how_many operator(pg_catalog.<=) {chunk} then
        insert into forecourt.outbox (relation, operation, images, columns, rows)
        select {relation}, '{operation}', {images}, {columns}, pg_catalog.jsonb_agg({row}) from {source};
    else
        insert into forecourt.outbox (relation, operation, images, columns, rows)
        select {relation}, '{operation}', {images}, {columns}, pg_catalog.jsonb_agg(chunked.row)
        from (select {row} as row, (pg_catalog.row_number() over () operator(pg_catalog.-) 1)
                  operator(pg_catalog./) {chunk} as chunk from {source}) as chunked
        group by chunked.chunk order by chunked.chunk;
    end if;
    if written_by is null or written_by operator(pg_catalog.=) '' then
        if (select last_value operator(pg_catalog.=) 2 from forecourt.outbox_awake) then
            perform pg_catalog.pg_notify('forecourt_outbox', '');
        end if;
    end if;
    return null;
end $capture$"""

_TRUNCATE = """
create or replace function forecourt.{name}() returns trigger language plpgsql as $capture$
begin
    raise exception 'Table {shown} is kept in step by Forecourt and cannot be truncated.'
        using hint = 'Use DELETE, or stop the table map first.';
end $capture$"""


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(table: TableName) -> str:
    """A table's name, quoted."""
    return f"{quoted(table.schema)}.{quoted(table.name)}"


def literal(text: str) -> str:
    """Text as an SQL literal: where DDL takes no parameters."""
    mark = "E" if "\\" in text else ""
    return mark + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def relation_of(table: TableName) -> str:
    """How the outbox names a table."""
    return f"{table.schema}.{table.name}"


def remembered(capture: Capture) -> tuple[str, ...]:
    """The columns that are noted of each row, the identity first."""
    return tuple(dict.fromkeys((*capture.identity, *capture.remembered)))


def merged(captures: Sequence[Capture]) -> list[Capture]:
    """One capture per table: what any consumer needs."""
    tables: dict[TableName, Capture] = {}
    for capture in captures:
        known = tables.get(capture.table)
        if known is None:
            tables[capture.table] = capture
            continue
        watched = () if not (known.watched and capture.watched) else (*known.watched, *capture.watched)
        tables[capture.table] = Capture(
            capture.table,
            known.identity,
            tuple(dict.fromkeys((*known.remembered, *capture.remembered))),
            tuple(dict.fromkeys(watched)),
            known.images or capture.images,
        )
    return list(tables.values())


def statements(capture: Capture) -> Iterator[tuple[str, str, str]]:
    """(function name, its definition, the trigger's definition) for each kind of statement."""
    key = hashlib.sha256(relation_of(capture.table).encode()).hexdigest()[:16]
    on = f"on {qualified(capture.table)}"
    for kind, transition in (
        ("insert", "referencing new table as new_rows"),
        ("update", "referencing old table as old_rows new table as new_rows"),
        ("delete", "referencing old table as old_rows"),
    ):
        name = f"{PREFIX}{key}_{kind[0]}"
        function = _FUNCTION.format(
            name=name,
            chunk=CHUNK,
            relation=literal(relation_of(capture.table)),
            operation=kind[0],
            images="true" if capture.images else "false",
            columns="array[" + ", ".join(literal(name) for name in remembered(capture)) + "]::text[]",
            source=_source(capture, kind),
            row=_row(capture, kind),
        )
        yield (
            name,
            function,
            (
                f"create or replace trigger {name} after {kind} {on} {transition} "
                f"for each statement execute function forecourt.{name}()"
            ),
        )
    name = f"{PREFIX}{key}_t"
    shown = relation_of(capture.table).replace("%", "%%").replace("'", "''").replace("$", "")
    yield (
        name,
        _TRUNCATE.format(name=name, shown=shown),
        (
            f"create or replace trigger {name} before truncate {on} "
            f"for each statement execute function forecourt.{name}()"
        ),
    )


def _source(capture: Capture, kind: str) -> str:
    if kind == "insert":
        return "new_rows as changed"
    if kind == "delete":
        return "old_rows as changed"
    kept = ", ".join(quoted(name) for name in remembered(capture))
    watched = ", ".join(quoted(name) for name in dict.fromkeys((*remembered(capture), *capture.watched)))
    if capture.images:
        mark = f"'{{\"{WAS}\": true}}'::pg_catalog.jsonb"
        return (
            f"(select pg_catalog.to_jsonb(was) operator(pg_catalog.||) {mark} as image "
            f"from (select {kept} from old_rows except select {kept} from new_rows) as was "
            "union all select pg_catalog.to_jsonb(now) from new_rows as now) as changed"
        )
    changed = "new_rows"
    if capture.watched:
        changed = f"(select {watched} from new_rows except select {watched} from old_rows) as altered"
    return (
        f"(select {kept} from {changed} union all "
        f"(select {kept} from old_rows except select {kept} from new_rows)) as changed"
    )


def _row(capture: Capture, kind: str) -> str:
    if capture.images:
        return "changed.image" if kind == "update" else "pg_catalog.to_jsonb(changed)"
    return "pg_catalog.jsonb_build_array(" + ", ".join(f"changed.{quoted(name)}" for name in remembered(capture)) + ")"
