"""Deleted rows, remembered for change tracking: a trigger of each tracked table notes the keys of what is deleted.

A tombstone carries the number of the transaction that deleted, so that who asks by a snapshot misses no delete that
committed late. A truncated table leaves one tombstone without a key: everything known of it is out of date. Tombstones
are kept for some days (:func:`purge`); who asks about a time before that has to read everything again. Beside them is
the key under which tokens that name snapshots and tombstones are sealed, made with the tables.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName
from forecourt.store.beneath import named, quoted

#: Kept a little longer than asked for, so that an answer under way finds what it needs.
GRACE = dt.timedelta(hours=1)

#: The trigger of a tracked table that remembers its deletes.
DELETED = "forecourt_deleted"

SCRIPT = """
create schema if not exists forecourt;
create table if not exists forecourt.tombstone (
    id bigint generated always as identity primary key,
    table_name text not null,
    row_id uuid,
    deleted_by xid8 not null default pg_current_xact_id(),
    deleted_at timestamptz not null default clock_timestamp());
create index if not exists tombstone_of_table on forecourt.tombstone (table_name, id);
create index if not exists tombstone_of_row on forecourt.tombstone (table_name, row_id);
create index if not exists tombstone_age on forecourt.tombstone (deleted_at);

create table if not exists forecourt.tracking_key (single boolean primary key default true check (single),
    key bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
insert into forecourt.tracking_key default values on conflict do nothing;

create or replace function forecourt.note_deleted() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'TRUNCATE' then
        insert into forecourt.tombstone (table_name) values (tg_argv[0]);
    else
        execute format('insert into forecourt.tombstone (table_name, row_id) select $1, %I from gone', tg_argv[1])
        using tg_argv[0];
    end if;
    return null;
end $$;
"""


def tracking(table: TableName, key: str) -> Iterator[str]:
    """Statements that track a table's deletes, safe to run again. ``key``: its uuid primary key."""
    name, column = _literal(str(table)), _literal(key)
    yield f"""
        create or replace trigger {DELETED} after delete on {named(table)}
        referencing old table as gone
        for each statement execute function forecourt.note_deleted({name}, {column})"""
    yield f"""
        create or replace trigger forecourt_truncated after truncate on {named(table)}
        for each statement execute function forecourt.note_deleted({name}, {column})"""


#: The key that tokens of this database are sealed under.
KEY = SystemPlan("read the key of change tracking", "select key from forecourt.tracking_key")

#: The snapshot that a token carries, and the time at which it was taken.
SNAPSHOT = SystemPlan(
    "take a snapshot", "select pg_current_snapshot()::text, extract(epoch from clock_timestamp())::bigint"
)


def gone(table: TableName, key: str, since: str, after: int, limit: int) -> SystemPlan:
    """Rows (id of the tombstone, key or null) deleted since a snapshot and not made again, in order."""
    sql = f"""
        select d.id, d.row_id from forecourt.tombstone d
        where d.table_name = $1 and d.id > $2
          and not pg_visible_in_snapshot(d.deleted_by, $3::text::pg_snapshot)
          and not exists (select from forecourt.tombstone l
                          where l.table_name = d.table_name and l.row_id = d.row_id and l.id > d.id)
          and not exists (select from {named(table)} t where t.{quoted(key)} = d.row_id)
        order by d.id limit $4"""
    return SystemPlan("list deleted rows", sql, (str(table), after, since, limit))


def purge(keep: dt.timedelta) -> SystemPlan:
    """Forgets tombstones that no valid token can ask about."""
    sql = "delete from forecourt.tombstone where deleted_at < clock_timestamp() - $1::interval"
    return SystemPlan("forget deleted rows", sql, (keep + GRACE,))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
