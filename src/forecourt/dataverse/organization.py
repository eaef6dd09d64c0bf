"""The rows that every Dataverse has: the root business unit with its default team, the system's users, the roles.

Their ids are the same in every database. Roles are listed for whoever assigns them; what a role allows is the
solution's to say. A user gets its row when it comes to Dataverse's door for the first time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from forecourt.dataverse.definitions import DataverseRoles, TableFile
from forecourt.dataverse.design import design
from forecourt.dataverse.schema_types import SCHEMA
from forecourt.dataverse.stamps import PORTAL_USER, SYSTEM_USER
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.principal import SYSTEM_ADMIN_ROLE, OperationsUser
from forecourt.kernel.relation import TableName
from forecourt.security.rules import BASIC_USER
from forecourt.security.standing import id_of
from forecourt.store.database import Database, Transaction
from forecourt.store.folder import Faults, read_file
from forecourt.store.tombstones import SCRIPT, tracking

#: Used where the database has no root of its own.
ROOT_UNIT: Final = id_of("businessunit", "root")

#: Tables of a schema whose deletes are tracked. A trigger is not made again: that would wait for running writes.
_TRACKED: Final = """
select c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where t.tgname = 'forecourt_truncated' and n.nspname = $1
"""
_ROOT: Final = """
insert into dataverse.businessunit (businessunitid, name)
select $1, $2 where not exists (select from dataverse.businessunit where parentbusinessunitid is null)
"""
_ROOT_ID: Final = """
select businessunitid from dataverse.businessunit where parentbusinessunitid is null order by businessunitid limit 1
"""
_DEFAULT_TEAM: Final = """
insert into dataverse.team (teamid, name, businessunitid, isdefault)
select $1, name, businessunitid, true from dataverse.businessunit b
where businessunitid = $2
  and not exists (select from dataverse.team t where t.businessunitid = b.businessunitid and t.isdefault)
"""
_USER: Final = """
insert into dataverse.systemuser (systemuserid, domainname, fullname, internalemailaddress, businessunitid)
values ($1, $2, $3, $4, $5) on conflict do nothing
"""
_ENLIST: Final = """
insert into dataverse.systemuser (systemuserid, domainname, fullname, internalemailaddress, businessunitid)
select $1, $2, $3, nullif($4, ''), businessunitid from dataverse.businessunit
where parentbusinessunitid is null order by businessunitid limit 1
on conflict do nothing
"""
_ROLE: Final = """
insert into dataverse.role (roleid, name, businessunitid) values ($1, $2, $3) on conflict do nothing
"""


#: Tables that hold the organization.
TABLES: Final = frozenset({"businessunit", "systemuser", "team", "role"})


async def settle(tx: Transaction, root: Path, title: str, files: Iterable[TableFile]) -> None:
    """What the native tables of a solution need beside their columns: their deletes are tracked, and the rows of the
    organization are there. ``title`` names the root business unit. Safe to run again."""
    found = design(files)
    keys = {table.name: table.key for table in found.tables.values()}
    keys |= {pairing.table: pairing.key for pairing in found.pairings}
    await tx.execute(SCRIPT)
    known = {row[0] for row in await tx.fetch(_TRACKED, SCHEMA)}
    for table, key in keys.items():
        for statement in tracking(TableName(SCHEMA, table), key) if table not in known else ():
            await tx.execute(statement)
    if found.tables.keys() >= TABLES:
        path, faults = root / "dataverse" / "roles.yaml", Faults()
        loaded = read_file(root, path, DataverseRoles, faults) if path.exists() else None
        faults.raise_any()
        await ensure_organization(tx, title, loaded.record.roles if loaded is not None else ())


async def ensure_organization(tx: Transaction, title: str, roles: Iterable[str]) -> None:
    """Makes the rows that are missing. ``title`` names the root business unit; ``roles``: the solution's."""
    await tx.execute(_ROOT, ROOT_UNIT, title)
    root = await tx.value(_ROOT_ID)
    await tx.execute(_DEFAULT_TEAM, id_of("team", "root"), root)
    await tx.execute(_USER, SYSTEM_USER, "SYSTEM", "SYSTEM", None, root)
    await tx.execute(_USER, PORTAL_USER, "PORTAL", "# Portals", None, root)
    for name in dict.fromkeys((SYSTEM_ADMIN_ROLE, BASIC_USER, *roles)):
        await tx.execute(_ROLE, id_of("role", name), name, root)


class Enlisting:
    """Makes the row of an operations user who has none, in the root business unit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, user: OperationsUser) -> None:
        args = (id_of("systemuser", f"user/{user.id}"), user.id, user.name, user.email)
        await self._database.system(SystemPlan("enlist a user", _ENLIST, args))
