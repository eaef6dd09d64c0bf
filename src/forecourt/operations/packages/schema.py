"""Tables of data packages and recurring jobs, in schema ``forecourt`` of the Dataverse database.

An attached ERP database holds nothing of them. Blobs are rows too: any process on any machine can serve what another
has taken in, and a backup of the database is a backup of them.

``package_job.fence`` grows with each worker that takes a job over; whoever writes for a job checks that it is still
the one. A staged row is 0 waiting, 1 applied, 2 wrong in the file, 3 turned down by the target.
"""

from __future__ import annotations

from typing import Final

_PACKAGES = """
create table forecourt.package_key (
    single          bool primary key default true check (single),
    secret          bytea not null
);

create table forecourt.package_blob (
    id              uuid primary key default gen_random_uuid(),
    owner           text not null,
    name            text not null,
    size            bigint,
    created_at      timestamptz not null default now(),
    expires_at      timestamptz not null
);
create index package_blob_expiry on forecourt.package_blob (expires_at);
comment on column forecourt.package_blob.size is 'Bytes; null until all of it has arrived.';

create table forecourt.package_chunk (
    blob            uuid not null references forecourt.package_blob on delete cascade,
    place           int not null,
    data            bytea not null,
    primary key (blob, place)
);
alter table forecourt.package_chunk alter column data set storage external;

create table forecourt.package_job (
    number          bigint primary key generated always as identity,
    id              text not null unique,
    project         text not null,
    direction       text not null check (direction in ('import', 'export')),
    owner           text not null,
    contact         uuid,
    company         text not null,
    options         text not null,
    status          text not null default 'NotRun',
    message         text not null default '',
    source          uuid references forecourt.package_blob on delete set null,
    result          uuid references forecourt.package_blob on delete set null,
    created_at      timestamptz not null default now(),
    started_at      timestamptz,
    ended_at        timestamptz,
    fence           bigint not null default 0,
    lease_until     timestamptz
);
create unique index package_job_import on forecourt.package_job (project)
    where direction = 'import' and status in ('NotRun', 'Executing');
create index package_job_due on forecourt.package_job (number) where status in ('NotRun', 'Executing');

create table forecourt.package_part (
    job             bigint not null references forecourt.package_job on delete cascade,
    place           int not null,
    entity          text not null,
    file            text not null,
    format          text not null,
    columns         text[] not null,
    staged          bigint not null default 0,
    complete        bool not null default false,
    position        bigint not null default 0,
    applied         bigint not null default 0,
    failed          bigint not null default 0,
    message         text not null default '',
    keys_file       uuid references forecourt.package_blob on delete set null,
    primary key (job, place)
);

create table forecourt.package_row (
    job             bigint not null,
    place           int not null,
    n               bigint not null,
    state           smallint not null,
    texts           text not null,
    field           text not null default '',
    message         text not null default '',
    primary key (job, place, n),
    foreign key (job, place) references forecourt.package_part on delete cascade
);
create index package_row_wrong on forecourt.package_row (job, place, n) where state > 1;

create table forecourt.package_recurrence (
    activity        uuid primary key,
    next_run        timestamptz not null
);

create table forecourt.package_message (
    id              uuid primary key default gen_random_uuid(),
    activity        uuid not null,
    direction       text not null check (direction in ('import', 'export')),
    status          text not null,
    message         text not null default '',
    entity          text not null default '',
    company         text not null default '',
    blob            uuid references forecourt.package_blob on delete set null,
    job             bigint references forecourt.package_job on delete set null,
    receipt         uuid,
    created_at      timestamptz not null default now(),
    visible_at      timestamptz not null default now()
);
create index package_message_queue on forecourt.package_message (activity, created_at);
"""

#: For ``store/migrate.py``: (name, SQL), in order.
SCRIPTS: Final[tuple[tuple[str, str], ...]] = (("packages-0001", _PACKAGES),)
