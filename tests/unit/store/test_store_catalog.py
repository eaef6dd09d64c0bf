"""The catalogue says what a database's tables look like."""

from __future__ import annotations

from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.store.catalog import ForeignKey, TableColumn, read_catalog
from forecourt.store.database import Database

SCHEMA = """
create schema "Erp";
create domain "Erp".name as varchar(20);
create domain "Erp".required as "Erp".name not null;
create type "Erp".mood as enum ('good', 'bad');
create table "Erp".vendor (company varchar(4), account "Erp".required, primary key (company, account));
create table "Erp"."Order" (
    number text, id bigint primary key, company char(4) not null, vendor "Erp".name, mood "Erp".mood,
    total numeric(10, 2), at timestamp, dropped int,
    unique (company, number), foreign key (company, vendor) references "Erp".vendor (company, account));
alter table "Erp"."Order" drop column dropped;
create unique index on "Erp"."Order" (lower(number));
create unique index on "Erp"."Order" (vendor) where vendor is not null;
create view "Erp".open as select id, total from "Erp"."Order";
create table elsewhere (x int);
"""


async def test_columns_keys_and_references_are_read_with_domains_resolved(database: Database) -> None:
    await database.script("make tables", SCHEMA)
    catalog = await read_catalog(database, ["Erp"])
    order = catalog.tables[TableName("Erp", "Order")]
    assert list(order.columns.values()) == [
        TableColumn("number", "text"),
        TableColumn("id", "int8", nullable=False),
        TableColumn("company", "bpchar", nullable=False, length=4),
        TableColumn("vendor", "varchar", length=20),
        TableColumn("mood", "mood"),
        TableColumn("total", "numeric", digits=10, scale=2),
        TableColumn("at", "timestamp"),
    ]
    assert order.primary == ("id",)
    assert order.unique == (("company", "number"),)
    target = TableName("Erp", "vendor")
    assert order.foreign == (ForeignKey(("company", "vendor"), target, ("company", "account")),)
    assert catalog.tables[target].primary == ("company", "account")
    assert catalog.column(target, "account") == TableColumn("account", "varchar", nullable=False, length=20)
    assert catalog.tables[TableName("Erp", "open")].view
    assert catalog.version >= 160000


async def test_without_names_every_schema_but_the_system_s_is_read(database: Database) -> None:
    await database.script("make tables", SCHEMA)
    tables = (await read_catalog(database)).tables
    assert {table.schema for table in tables} == {"Erp", "public"}


def test_a_type_without_a_kind_of_its_own_crosses_as_text() -> None:
    assert TableColumn("x", "inet").kind is Kind.STRING
    assert TableColumn("x", "int2").kind is Kind.INT32


async def test_what_the_database_does_not_hold_its_rows_to_is_told_apart(database: Database) -> None:
    """Proofs rest on keys and NOT NULL; what was never validated, or is of no table of its own, does not count."""
    script = """
    create schema kept;
    create table kept.parent (id int primary key, other int);
    create table kept.child (parent int, other int) inherits (kept.parent);
    create table kept.own (id int primary key, parent int, checked int not null,
        constraint valid foreign key (parent) references kept.parent (id));
    alter table kept.own add constraint loose foreign key (checked) references kept.parent (id) not valid;
    create table kept.parted (id int primary key) partition by range (id);
    create view kept.seen as select id from kept.own;
    """
    if database.version >= 180000:
        script += "alter table kept.own add column later int; alter table kept.own add not null later not valid;"
    await database.script("make tables", script)
    catalog = await read_catalog(database, ["kept"])
    kept = {table.name.name: table.kept for table in catalog.tables.values()}
    assert kept == {"parent": False, "child": True, "own": True, "parted": True, "seen": False}
    own = catalog.tables[TableName("kept", "own")]
    assert {key.columns: key.valid for key in own.foreign} == {("parent",): True, ("checked",): False}
    assert not own.columns["checked"].nullable
    assert "later" not in own.columns or own.columns["later"].nullable
    assert not any(column.folds for column in own.columns.values())
