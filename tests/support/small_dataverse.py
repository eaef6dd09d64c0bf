"""A small Dataverse for tests of security and plug-ins: its security tables, and three tables with rows.

``deal`` is owned, with lines beneath (cascade), notes beneath those (restrict), visits and calls (clear); ``region`` is
the organization's. Business units: root > north > north-east, and south.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from forecourt.dataverse.cascades import Cascades
from forecourt.dataverse.organization import Enlisting, ensure_organization
from forecourt.dataverse.pipeline import Pipeline
from forecourt.dataverse.plugins import Plugins
from forecourt.dataverse.stamps import Stamps, Status
from forecourt.kernel.change import Write, Written
from forecourt.kernel.model import DataSource, DeleteAction, Entity, EntityField, Model, Relation
from forecourt.kernel.plan import ReadPlan, SecuredPlan, Witness
from forecourt.kernel.predicate import Column, Compare, Param
from forecourt.kernel.principal import Door, OperationsUser, Principal
from forecourt.kernel.relation import Output, Select, Source, TableName
from forecourt.kernel.types import Kind
from forecourt.security.gate import Gate, Plane
from forecourt.security.rules import BASIC_USER, DataverseRules, Depth, Privilege, Rules, SecurityRole
from forecourt.security.scopes import Scopes
from forecourt.security.standing import Standings, id_of
from forecourt.store.catalog import Catalog, read_catalog
from forecourt.store.database import Database
from forecourt.store.tombstones import SCRIPT, tracking

OWNED = """
    ownerid uuid, owningbusinessunit uuid, owninguser uuid, owningteam uuid, createdby uuid, modifiedby uuid,
    statecode int not null default 0, statuscode int not null default 1,
    versionnumber bigint not null default pg_current_xact_id()::text::bigint"""

SCHEMA = f"""
create schema dataverse;
create table dataverse.businessunit (
    businessunitid uuid primary key default gen_random_uuid(), name text, parentbusinessunitid uuid);
create table dataverse.systemuser (
    systemuserid uuid primary key default gen_random_uuid(), domainname text unique, fullname text,
    internalemailaddress text, businessunitid uuid, isdisabled boolean not null default false);
create table dataverse.team (
    teamid uuid primary key default gen_random_uuid(), name text, businessunitid uuid,
    isdefault boolean not null default false);
create table dataverse.role (roleid uuid primary key, name text, businessunitid uuid);
create table dataverse.teammembership (systemuserid uuid, teamid uuid, primary key (systemuserid, teamid));
create table dataverse.systemuserroles (systemuserid uuid, roleid uuid, primary key (systemuserid, roleid));
create table dataverse.teamroles (teamid uuid, roleid uuid, primary key (teamid, roleid));

create table dataverse.region (
    regionid uuid primary key default gen_random_uuid(), name text,
    versionnumber bigint not null default pg_current_xact_id()::text::bigint);
create table dataverse.deal (
    dealid uuid primary key default gen_random_uuid(), name text, amount numeric, regionid uuid, parentdealid uuid,
    {OWNED});
create table dataverse.dealline (lineid uuid primary key default gen_random_uuid(), name text, dealid uuid, {OWNED});
create table dataverse.note (noteid uuid primary key default gen_random_uuid(), name text, lineid uuid, {OWNED});
create table dataverse.visit (visitid uuid primary key default gen_random_uuid(), name text, dealid uuid, {OWNED});
create table dataverse.call (callid uuid primary key default gen_random_uuid(), name text,
    dealid uuid references dataverse.deal (dealid) on delete set null, {OWNED});

create function dataverse.own() returns trigger language plpgsql as $$
begin
    select businessunitid, systemuserid, null into new.owningbusinessunit, new.owninguser, new.owningteam
    from dataverse.systemuser where systemuserid = new.ownerid;
    if not found then
        select businessunitid, null, teamid into new.owningbusinessunit, new.owninguser, new.owningteam
        from dataverse.team where teamid = new.ownerid;
    end if;
    return new;
end $$;

create function dataverse.touch() returns trigger language plpgsql as $$
begin
    new.versionnumber := pg_current_xact_id()::text::bigint;
    return new;
end $$;
"""
VERSIONED = ("region", "deal", "dealline", "note", "visit", "call")


def lookup(name: str, *targets: str) -> EntityField:
    return EntityField(f"_{name}_value", "t", name, Kind.GUID, storage="uuid", targets=targets)


def column(name: str, kind: Kind = Kind.STRING, **more: Any) -> EntityField:
    return EntityField(name, "t", name, kind, **more)


def one(name: str, target: str, key: str) -> Relation:
    return Relation(name, target, False, ((f"_{name}_value", key),), name)


def many(name: str, target: str, own: str, theirs: str, on_delete: DeleteAction = "none") -> Relation:
    return Relation(name, target, True, ((own, f"_{theirs}_value"),), "", on_delete)


def entity(
    name: str, key: str, *fields: EntityField, relations: tuple[Relation, ...] = (), owned: bool = False
) -> Entity:
    every = [column(key, Kind.GUID, nullable=False, editable=False), *fields]
    if owned:
        every += [lookup(item) for item in ("ownerid", "owningbusinessunit", "owninguser", "owningteam")]
        every += [EntityField(f"_{n}_value", "t", n, Kind.GUID, editable=False) for n in ("createdby", "modifiedby")]
        every += [column("statecode", Kind.INT32), column("statuscode", Kind.INT32)]
    version = "versionnumber" if name in VERSIONED else ""
    if version:
        every.append(column(version, Kind.INT64, nullable=False, editable=False, creatable=False))
    return Entity(
        name, name, f"{name}s", (DataSource("t", TableName("dataverse", name)),), {f.name: f for f in every}, (key,),
        {relation.name: relation for relation in relations}, version=version, label=name.capitalize(),
    )  # fmt: skip


MODEL = Model(
    {
        item.name: item
        for item in (
            entity("businessunit", "businessunitid", column("name"), lookup("parentbusinessunitid")),
            entity(
                "systemuser",
                "systemuserid",
                column("domainname"),
                column("fullname"),
                column("isdisabled", Kind.BOOLEAN),
                lookup("businessunitid"),
            ),
            entity("team", "teamid", column("name"), column("isdefault", Kind.BOOLEAN), lookup("businessunitid")),
            entity("region", "regionid", column("name")),
            entity(
                "deal",
                "dealid",
                column("name"),
                column("amount", Kind.DECIMAL),
                lookup("regionid", "region"),
                lookup("parentdealid", "deal"),
                owned=True,
                relations=(
                    one("regionid", "region", "regionid"),
                    one("parentdealid", "deal", "dealid"),
                    many("lines", "dealline", "dealid", "dealid", "cascade"),
                    many("children", "deal", "dealid", "parentdealid", "cascade"),
                    many("visits", "visit", "dealid", "dealid", "clear"),
                    many("calls", "call", "dealid", "dealid", "clear"),
                ),
            ),
            entity(
                "dealline",
                "lineid",
                column("name"),
                lookup("dealid", "deal"),
                owned=True,
                relations=(one("dealid", "deal", "dealid"), many("notes", "note", "lineid", "lineid", "restrict")),
            ),
            entity("note", "noteid", column("name"), lookup("lineid", "dealline"), owned=True),
            entity(
                "visit",
                "visitid",
                column("name"),
                lookup("dealid", "deal"),
                owned=True,
                relations=(one("dealid", "deal", "dealid"),),
            ),
            entity("call", "callid", column("name"), lookup("dealid", "deal"), owned=True),
        )
    },
    namespace="Microsoft.Dynamics.CRM",
)

EVERYTHING = dict.fromkeys(Privilege, Depth.ORGANIZATION)
STATUS = Status({1: 0, 2: 1, 3: 1}, {0: 1, 1: 2})


def role(name: str, **tables: Mapping[Privilege, Depth]) -> SecurityRole:
    return SecurityRole(name, tables)


def upto(depth: Depth, *privileges: Privilege) -> dict[Privilege, Depth]:
    return dict.fromkeys(privileges or Privilege, depth)


#: A row of the operations database that an operations user rests on.
IN_ERP = Witness(
    Select(
        (Source("u", TableName("public", "erpuser")),),
        Compare("eq", Column("u", "id"), Param("user.id")),
        (Output("enabled", Column("u", "enabled"), None),),
    ),
    "witness.user",
)


@dataclass
class Book:
    """Operations users that a test makes up."""

    known: dict[str, OperationsUser] = field(default_factory=dict)

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser | None:
        return self.known.get(user_id)

    def witness(self, user: OperationsUser) -> Witness | None:
        return IN_ERP if user.fingerprint else None


@dataclass
class SmallDataverse:
    """``units``: business units by name. Values and keys are by field name."""

    gate: Gate
    database: Database
    catalog: Catalog
    plain: asyncpg.Connection
    book: Book
    units: Mapping[str, UUID]

    async def user(self, name: str, unit: str = "root", *roles: str) -> Principal:
        """Somebody who has been at the door before, in a business unit, with roles of its own."""
        user = OperationsUser(name, name.capitalize(), f"{name}@example.com", "usmf", frozenset())
        self.book.known[name] = user
        row = id_of("systemuser", f"user/{name}")
        await self.plain.execute(
            "insert into dataverse.systemuser (systemuserid, domainname, businessunitid) values ($1, $2, $3)",
            row,
            name,
            self.units[unit],
        )
        for item in roles:
            await self.give(row, item)
        return Principal(operations_user=user)

    async def give(self, user: UUID, name: str) -> None:
        await self.plain.execute("insert into dataverse.systemuserroles values ($1, $2)", user, id_of("role", name))

    async def team(self, name: str, unit: str, *members: Principal, roles: tuple[str, ...] = ()) -> UUID:
        row: UUID = await self.plain.fetchval(
            "insert into dataverse.team (name, businessunitid) values ($1, $2) returning teamid", name, self.units[unit]
        )
        for member in members:
            await self.plain.execute("insert into dataverse.teammembership values ($1, $2)", row_of(member), row)
        for item in roles:
            await self.plain.execute("insert into dataverse.teamroles values ($1, $2)", row, id_of("role", item))
        return row

    async def deal(self, name: str, owner: UUID, unit: str) -> UUID:
        """A row made by plain SQL."""
        made: UUID = await self.plain.fetchval(
            "insert into dataverse.deal (name, ownerid, owningbusinessunit) values ($1, $2, $3) returning dealid",
            name,
            owner,
            self.units[unit],
        )
        return made

    async def names(self, principal: Principal, table: str = "deal") -> list[str]:
        """Names of the rows that somebody reads at the Dataverse door."""
        scope = await self.gate.scope(principal, Door.DATAVERSE)

        def finish(secured: SecuredPlan, statement: object) -> int:
            return [output.name for output in secured.select.outputs].index("name")

        prepared, result = await self.gate.read(
            scope, ("names", table), lambda: ReadPlan(table, select=("name",)), finish, ()
        )
        return sorted(row[prepared.extra] for row in result.rows)

    async def write(self, principal: Principal, write: Write) -> Written:
        scope = await self.gate.scope(principal, Door.DATAVERSE)
        return await self.gate.change(scope, write)

    async def create(self, principal: Principal, table: str, **values: object) -> UUID:
        written = await self.write(principal, Write(table, "create", values=tuple(values.items())))
        row = (written.after or {})[MODEL.entities[table].key[0]]
        assert isinstance(row, UUID)
        return row

    async def update(self, principal: Principal, table: str, row: UUID, **values: object) -> Written:
        key = MODEL.entities[table].key[0]
        return await self.write(principal, Write(table, "update", ((key, row),), tuple(values.items())))

    async def delete(self, principal: Principal, table: str, row: UUID) -> None:
        await self.write(principal, Write(table, "delete", ((MODEL.entities[table].key[0], row),)))


def row_of(principal: Principal) -> UUID:
    """The id of the row of systemuser."""
    assert principal.operations_user is not None
    return id_of("systemuser", f"user/{principal.operations_user.id}")


@asynccontextmanager
async def small_dataverse(
    url: str,
    *roles: SecurityRole,
    plugins: Plugins | None = None,
    users: Mapping[str, frozenset[str]] = {},
    operations: Database | None = None,
) -> AsyncIterator[SmallDataverse]:
    """Over an empty database. ``operations``: another one for the operations side."""
    plain = await asyncpg.connect(url)
    database = await Database.open(url, lane_size=3)
    try:
        await plain.execute(SCHEMA + SCRIPT)
        for name in VERSIONED:
            await plain.execute(
                f"create trigger touch before update on dataverse.{name} "
                f"for each row execute function dataverse.touch()"
            )
            item = MODEL.entities[name]
            if name != "region":
                await plain.execute(
                    f"create trigger owned before insert on dataverse.{name} for each row"
                    f" when (new.owningbusinessunit is null) execute function dataverse.own();"
                    f"create trigger own before update on dataverse.{name} for each row"
                    f" when (new.ownerid is distinct from old.ownerid) execute function dataverse.own()"
                )
            for statement in tracking(item.root.table, item.key[0]):
                await plain.execute(statement)
        known = {BASIC_USER: SecurityRole(BASIC_USER, {"*": EVERYTHING}), **{item.name: item for item in roles}}
        async with database.transaction("make the organization") as tx:
            await ensure_organization(tx, "Small", known)
        units = {"root": await plain.fetchval("select businessunitid from dataverse.businessunit")}
        for name, above in (("north", "root"), ("south", "root"), ("north-east", "north")):
            units[name] = await plain.fetchval(
                "insert into dataverse.businessunit (name, parentbusinessunitid) values ($1, $2)"
                " returning businessunitid",
                name,
                units[above],
            )
        catalog = await read_catalog(database)
        rules = Rules(dataverse=DataverseRules(known, users))
        book = Book()
        standings = Standings(rules.dataverse, database, catalog, Enlisting(database))
        plane = Plane(database, catalog)
        erp = plane if operations is None else Plane(operations, await read_catalog(operations))
        scopes = Scopes(rules, book, erp.database, erp.catalog, standings=standings)
        pipeline = Pipeline(plugins or Plugins(), Cascades(MODEL, database, plugins or Plugins()))
        stamps = Stamps({name: STATUS for name in MODEL.entities if "statecode" in MODEL.entities[name].fields})
        gate = Gate(rules, MODEL, scopes, erp, plane, logic=pipeline, stamp=stamps)
        yield SmallDataverse(gate, database, catalog, plain, book, units)
    finally:
        await database.close()
        await plain.close()
