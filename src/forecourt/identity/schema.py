"""Tables of identity, in schema ``forecourt`` of the Dataverse database: forward-only migration scripts.

Nothing here can be used as it is read: passwords and client secrets are argon2id hashes, a session is the hash of its
cookie, a link the hash of its code. The exceptions are what a server must be able to use: the signing keys of tokens,
the secrets of second factors, and mail that waits to be sent: both are encrypted where the settings have a key
(``vault``). Who reads
``forecourt.signing_key`` can sign as anybody, so no role but the server's own is granted the schema.

Usernames are unique without regard to case. A credential belongs to a contact or to an operations user, never both.
"""

from __future__ import annotations

from typing import Final

_PEOPLE = """
create schema if not exists forecourt;

create table forecourt.credential (
    id              uuid primary key default gen_random_uuid(),
    username        text not null,
    contact_id      uuid,
    operations_user text,
    password_hash   text not null,
    failed_count    int not null default 0,
    locked_until    timestamptz,
    security_stamp  uuid not null default gen_random_uuid(),
    enabled         bool not null default true,
    created_at      timestamptz not null,
    last_sign_in    timestamptz,
    constraint credential_owner check (num_nonnulls(contact_id, operations_user) = 1)
);
create unique index credential_username on forecourt.credential (lower(username));
create unique index credential_contact on forecourt.credential (contact_id) where contact_id is not null;

create table forecourt.session (
    id_hash         bytea primary key,
    credential_id   uuid not null references forecourt.credential (id) on delete cascade,
    csrf_secret     bytea not null,
    created_at      timestamptz not null,
    expires_at      timestamptz not null,
    last_seen       timestamptz not null,
    security_stamp  uuid not null,
    persistent      bool not null default false,
    user_agent      text not null default ''
);
create index session_credential on forecourt.session (credential_id);
create index session_expiry on forecourt.session (expires_at);

create table forecourt.sign_in_failure (
    id              bigint primary key generated always as identity,
    address         text not null,
    at              timestamptz not null
);
create index sign_in_failure_address on forecourt.sign_in_failure (address, at);
create index sign_in_failure_at on forecourt.sign_in_failure (at);
comment on table forecourt.sign_in_failure is
    'Attempts that failed or are still undecided, by address: an attempt is charged before it is decided.';
"""

_TOKENS = """
create table forecourt.signing_key (
    kid             text primary key,
    jwk             text not null,
    created_at      timestamptz not null,
    retired_at      timestamptz
);

create table forecourt.application (
    client_id       text primary key,
    secret_hash     text not null,
    operations_user text not null,
    created_at      timestamptz not null
);
"""

_LINKS = """
create table forecourt.link (
    code_hash       bytea primary key,
    purpose         text not null,
    email           text not null,
    credential_id   uuid references forecourt.credential (id) on delete cascade,
    security_stamp  uuid,
    invitation_id   uuid,
    created_at      timestamptz not null,
    expires_at      timestamptz not null
);
create index link_credential on forecourt.link (credential_id);
create index link_expiry on forecourt.link (expires_at);
comment on table forecourt.link is
    'Links that were sent by mail, by the hash of their code; purpose nobody: one that was never sent.';
"""

_INVITATIONS = """
create table forecourt.invitation (
    id              uuid primary key default gen_random_uuid(),
    code_hash       bytea not null unique,
    contact_id      uuid,
    account_id      uuid,
    web_roles       uuid[] not null default '{}',
    most            int not null,
    redeemed        int not null default 0,
    created_at      timestamptz not null,
    expires_at      timestamptz not null
);

create table forecourt.invitation_redemption (
    invitation_id   uuid not null references forecourt.invitation (id) on delete cascade,
    contact_id      uuid not null,
    at              timestamptz not null,
    primary key (invitation_id, contact_id)
);
"""

_SECOND_FACTORS = """
alter table forecourt.credential add column second_factor bool not null default false;
alter table forecourt.credential alter column password_hash drop not null;
drop trigger if exists forecourt_watched on forecourt.credential;
comment on column forecourt.credential.second_factor is
    'No session of the account begins without a code. Set with forecourt.second_factor.confirmed_at.';
comment on column forecourt.credential.password_hash is
    'Null: nobody signs in to the account with a password.';

alter table forecourt.session add column provider text not null default '';
comment on column forecourt.session.provider is 'The sign-in provider that vouched for the person; empty: a password.';

create table forecourt.second_factor (
    credential_id   uuid primary key references forecourt.credential (id) on delete cascade,
    secret          text not null,
    created_at      timestamptz not null,
    confirmed_at    timestamptz,
    last_step       bigint not null default 0,
    failed_count    int not null default 0,
    locked_until    timestamptz
);
comment on column forecourt.second_factor.last_step is
    'Time step of the last code that was taken: no code of this step or an earlier one is taken again.';

create table forecourt.recovery_code (
    credential_id   uuid not null references forecourt.second_factor (credential_id) on delete cascade,
    code_hash       bytea not null,
    primary key (credential_id, code_hash)
);

create table forecourt.trusted_browser (
    id_hash         bytea primary key,
    credential_id   uuid not null references forecourt.second_factor (credential_id) on delete cascade,
    security_stamp  uuid not null,
    expires_at      timestamptz not null
);
create index trusted_browser_credential on forecourt.trusted_browser (credential_id);
comment on table forecourt.trusted_browser is 'Browsers that are not asked for a code again.';

create table forecourt.pending_sign_in (
    id_hash         bytea primary key,
    purpose         text not null,
    credential_id   uuid references forecourt.credential (id) on delete cascade,
    security_stamp  uuid,
    detail          text not null,
    created_at      timestamptz not null,
    expires_at      timestamptz not null
);
create index pending_sign_in_credential on forecourt.pending_sign_in (credential_id);
create index pending_sign_in_expiry on forecourt.pending_sign_in (expires_at);
comment on table forecourt.pending_sign_in is
    'Sign-ins that wait for their second half, by the hash of a cookie; each is continued once.';
"""

_PROVIDERS = """
create table forecourt.external_identity (
    id              uuid primary key default gen_random_uuid(),
    credential_id   uuid not null references forecourt.credential (id) on delete cascade,
    provider        text not null,
    issuer          text not null,
    subject         text not null,
    label           text not null,
    created_at      timestamptz not null,
    last_sign_in    timestamptz,
    unique (issuer, subject),
    unique (credential_id, issuer)
);
comment on table forecourt.external_identity is
    'Whom sign-in providers vouch for: the subject of an issuer is one account, and an account has one of each issuer.';
"""

_INVITED_USERS = """
alter table forecourt.invitation add column operations_user text;
drop trigger if exists forecourt_watched on forecourt.invitation;
comment on column forecourt.invitation.operations_user is
    'The operations user that who redeems it is mapped to; null for none.';
"""

_MAIL = """
create table forecourt.mail (
    id              uuid primary key default gen_random_uuid(),
    kind            text not null,
    recipient       text not null,
    sealed          text,
    created_at      timestamptz not null,
    expires_at      timestamptz not null,
    due_at          timestamptz,
    attempts        int not null default 0,
    said            text not null default ''
);
create index mail_due on forecourt.mail (due_at) where due_at is not null;
create index mail_created on forecourt.mail (created_at);
comment on table forecourt.mail is
    'Messages that wait for the mail server or were set aside. A row is gone when its message is sent.';
comment on column forecourt.mail.sealed is
    'Subject and texts, encrypted where the settings have a key; null when they are of no use any more.';
comment on column forecourt.mail.due_at is 'When it is tried; null: it was set aside for an administrator.';
"""

#: For ``store/migrate.py``: (name, SQL), in order.
SCRIPTS: Final[tuple[tuple[str, str], ...]] = (
    ("identity-0001-people", _PEOPLE),
    ("identity-0002-tokens", _TOKENS),
    ("identity-0003-links", _LINKS),
    ("identity-0004-invitations", _INVITATIONS),
    ("identity-0005-second-factors", _SECOND_FACTORS),
    ("identity-0006-providers", _PROVIDERS),
    ("identity-0007-invited-users", _INVITED_USERS),
    ("identity-0008-mail", _MAIL),
)
