"""Tables whose changes the security log keeps: who is mapped, who holds a role, who can sign in.

The database notes them itself, by a trigger of each table and in the transaction that makes the change, whichever door
or program it comes through. ``actor`` is what the transaction says of itself (:func:`acting`), else the database role.
A changed secret is named and not kept. Leaves out the operations side's own tables, which are the ERP's to log.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName
from forecourt.store.database import Transaction
from forecourt.store.sync.capture import literal

#: Parameter of a transaction: whose doing its changes are.
ACTING: Final = "forecourt.acting"


@dataclass(frozen=True, slots=True)
class Watched:
    """``columns``: kept with the change; ``secrets``: kept by name; ``inserts``: whether new and removed rows count.
    Updates count where one of the columns has changed."""

    table: TableName
    kind: str
    columns: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    inserts: bool = True


def _dataverse(table: str, *columns: str, inserts: bool = True) -> Watched:
    return Watched(TableName("dataverse", table), "membership", columns, inserts=inserts)


TABLES: Final = (
    _dataverse("msdyn_externalportalusermapping", "msdyn_contactid", "msdyn_userid", "statecode"),
    _dataverse("adx_webrole_contact", "adx_webroleid", "contactid"),
    _dataverse("adx_webrole_account", "adx_webroleid", "accountid"),
    _dataverse("systemuserroles", "systemuserid", "roleid"),
    _dataverse("teamroles", "teamid", "roleid"),
    _dataverse("teammembership", "teamid", "systemuserid"),
    _dataverse("contact", "contactid", "parentcustomerid", "statecode", inserts=False),
    _dataverse("systemuser", "systemuserid", "domainname", "businessunitid", "isdisabled", inserts=False),
    Watched(
        TableName("forecourt", "credential"),
        "account",
        ("username", "contact_id", "operations_user", "enabled", "second_factor"),
        ("password_hash",),
    ),
    Watched(TableName("forecourt", "external_identity"), "account", ("credential_id", "provider", "issuer", "subject")),
    Watched(
        TableName("forecourt", "invitation"),
        "membership",
        ("contact_id", "account_id", "web_roles", "operations_user", "redeemed"),
    ),
    Watched(TableName("forecourt", "application"), "account", ("client_id", "operations_user"), ("secret_hash",)),
)

SCRIPTS: Final = (
    (
        "security_watch",
        """
    create function forecourt.note_change() returns trigger language plpgsql as $body$
    declare
        shown text[] := string_to_array(tg_argv[1], ',');
        secret text[] := string_to_array(tg_argv[2], ',');
        older jsonb := case when tg_op = 'INSERT' then '{}' else to_jsonb(old) end;
        newer jsonb := case when tg_op = 'DELETE' then '{}' else to_jsonb(new) end;
        changed text[];
    begin
        changed := array(
            select name from unnest(shown || secret) as name where older -> name is distinct from newer -> name);
        if cardinality(changed) = 0 then
            return null;
        end if;
        insert into forecourt.security_log (kind, actor, subject, outcome, detail)
        values (
            tg_argv[0],
            coalesce(nullif(current_setting('forecourt.acting', true), ''), 'database role ' || session_user),
            tg_table_name,
            case tg_op when 'INSERT' then 'added' when 'DELETE' then 'removed' else 'changed' end,
            jsonb_strip_nulls(jsonb_build_object(
                'changed', to_jsonb(changed),
                'before', (select jsonb_object_agg(name, older -> name) from unnest(shown) name where older ? name),
                'after', (select jsonb_object_agg(name, newer -> name) from unnest(shown) name where newer ? name))));
        return null;
    end $body$;
    """,
    ),
)

_BY_TABLE: Final = {watched.table: watched for watched in TABLES}

_MISSING: Final = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname in ('dataverse', 'forecourt')
  and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'forecourt_watched')
"""


async def watch(transaction: Transaction, tables: Iterable[Watched] = TABLES) -> None:
    """Makes the triggers that are missing on tables that are there."""
    missing = {TableName(*row) for row in await transaction.fetch(_MISSING)}
    for watched in tables:
        if watched.table in missing:
            await transaction.execute(_trigger(watched))


def notes(table: TableName, operation: str, names: Container[str]) -> bool:
    """Whether a write of columns of a table is noted, so that it has to be said who is acting."""
    watched = _BY_TABLE.get(table)
    if watched is None or (operation != "update" and not watched.inserts):
        return False
    return operation != "update" or any(column in names for column in watched.columns)


def acting(label: str) -> SystemPlan:
    """Says whose doing the changes of a transaction are."""
    return SystemPlan("say who is acting", "select set_config($1, $2, true)", (ACTING, label))


def _trigger(watched: Watched) -> str:
    columns = ", ".join((*watched.columns, *watched.secrets))
    events = f"insert or delete or update of {columns}" if watched.inserts else f"update of {columns}"
    given = ", ".join(literal(text) for text in (watched.kind, ",".join(watched.columns), ",".join(watched.secrets)))
    return (
        f"create trigger forecourt_watched after {events} on {watched.table.schema}.{watched.table.name} "
        f"for each row execute function forecourt.note_change({given})"
    )
