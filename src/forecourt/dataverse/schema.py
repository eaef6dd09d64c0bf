"""Native tables as PostgreSQL tables in schema ``dataverse``, and their entities.

Columns that every native table has: ``statecode``, ``statuscode``, ``createdon``, ``modifiedon``. A lookup column
``x`` is stored as a uuid and shown as ``_x_value``. DDL only adds: a column or table that a solution no longer
defines stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forecourt.dataverse.definitions import ColumnDefinition, TableFile
from forecourt.dataverse.tables import Table
from forecourt.kernel.model import DataSource, Entity, EntityField, Enum, EnumMember
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind

SCHEMA = "dataverse"

#: Column type -> (PostgreSQL type, kind, storage name).
TYPES: dict[str, tuple[str, Kind, str]] = {
    "text": ("varchar", Kind.STRING, "varchar"),
    "memo": ("text", Kind.STRING, "text"),
    "whole": ("integer", Kind.INT32, "int4"),
    "big": ("bigint", Kind.INT64, "int8"),
    "decimal": ("numeric", Kind.DECIMAL, "numeric"),
    "double": ("double precision", Kind.DOUBLE, "float8"),
    "money": ("numeric(19, 4)", Kind.DECIMAL, "numeric"),
    "date": ("date", Kind.DATE, "date"),
    "datetime": ("timestamptz", Kind.DATETIME, "timestamptz"),
    "choice": ("integer", Kind.ENUM, "int4"),
    "yesno": ("boolean", Kind.BOOLEAN, "bool"),
    "lookup": ("uuid", Kind.GUID, "uuid"),
    "uniqueid": ("uuid", Kind.GUID, "uuid"),
}

STANDARD: dict[str, ColumnDefinition] = {
    "statecode": ColumnDefinition(type="whole", label="Status"),
    "statuscode": ColumnDefinition(type="whole", label="Status Reason"),
    "createdon": ColumnDefinition(type="datetime", label="Created On"),
    "modifiedon": ColumnDefinition(type="datetime", label="Modified On"),
}
DEFAULTS = {"statecode": "0", "statuscode": "1", "createdon": "now()", "modifiedon": "now()"}

#: Link tables of web roles: many-to-many relationships of contact and account.
LINKS = """
create table if not exists dataverse.adx_webrole_contact (
    contactid uuid not null, adx_webroleid uuid not null, primary key (contactid, adx_webroleid));
create table if not exists dataverse.adx_webrole_account (
    accountid uuid not null, adx_webroleid uuid not null, primary key (accountid, adx_webroleid));
create index if not exists contact_parentcustomerid on dataverse.contact (parentcustomerid);
create index if not exists mapping_contactid on dataverse.msdyn_externalportalusermapping (msdyn_contactid);
"""


def ddl(files: Iterable[TableFile]) -> Iterator[str]:
    """Statements that bring the schema up to the definitions, safe to run again."""
    yield f"create schema if not exists {SCHEMA}"
    for file in files:
        yield f"create table if not exists {SCHEMA}.{quoted(file.table)} ({quoted(_primary(file))} uuid primary key)"
        for name, column in {**file.columns, **STANDARD}.items():
            if name == _primary(file):
                continue
            kind = TYPES[column.type][0]
            if column.type == "text":
                kind = f"varchar({column.length or 100})"
            default = f" default {DEFAULTS[name]}" if name in DEFAULTS else ""
            yield f"alter table {SCHEMA}.{quoted(file.table)} add column if not exists {quoted(name)} {kind}{default}"
        for key, columns in file.keys.items():
            names = ", ".join(quoted(name) for name in columns)
            yield f"create unique index if not exists {quoted(key)} on {SCHEMA}.{quoted(file.table)} ({names})"


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _primary(file: TableFile) -> str:
    return file.primary_id or f"{file.table}id"


def native_table(file: TableFile) -> tuple[Table, dict[str, Enum]]:
    """The table of a definition, and the choices of its columns (named ``table_column``)."""
    primary = _primary(file)
    fields: dict[str, EntityField] = {}
    enums: dict[str, Enum] = {}
    for name, column in {primary: ColumnDefinition(type="uniqueid"), **file.columns, **STANDARD}.items():
        _, kind, storage = TYPES[column.type]
        shown = f"_{name}_value" if column.type == "lookup" else name
        enum = None
        if column.options:
            enum = f"{file.table}_{name}"
            enums[enum] = Enum(enum, tuple(EnumMember(str(o.value), o.value, o.label, o.value) for o in column.options))
        elif kind is Kind.ENUM:
            kind = Kind.INT32
        fields[shown] = EntityField(
            name=shown,
            source="t",
            column=name,
            kind=kind,
            nullable=name != primary,
            enum=enum,
            editable=name != primary and name not in STANDARD,
            label=column.label or name,
            length=column.length,
            memo=column.type == "memo",
            storage=storage,
            choice=enum is not None,
        )
    entity = Entity(
        name=file.table,
        public_name=file.table,
        collection=file.set or f"{file.table}s",
        sources=(DataSource("t", TableName(SCHEMA, file.table)),),
        fields=fields,
        key=(primary,),
        label=file.label,
        label_plural=file.label_plural,
    )
    shown_name = file.primary_name if file.primary_name in fields else primary
    return Table(entity, primary, shown_name, False, file.views, file.forms), enums
