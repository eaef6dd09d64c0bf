"""Native tables as PostgreSQL tables in schema ``dataverse``: columns, keys, foreign keys, indexes, triggers, as data.

A lookup is a uuid column; one that leads to several tables has ``<column>_type`` beside it, which holds the name of
the table and is kept by a trigger. A lookup to one table is a foreign key, deferrable for loads in cycles and checked
at once otherwise: ``clear`` sets null, all others refuse, for the rows beneath are deleted before (``cascades``); a
lookup with ``on_delete: none`` may name a row that is gone. Alternate keys are unique where no part of them is null.

What is made here is only said, not done: ``schema_plan`` compares it with the database, ``schema_apply`` does it.
Sources: pages-and-dataverse B1.7, B2.3, B2.4, B4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from forecourt.dataverse import schema_functions as functions
from forecourt.dataverse.definitions import ColumnDefinition
from forecourt.dataverse.design import BASE, CURRENCY, RATE, VERSION, Design, Lookup, Pairing, TableDesign
from forecourt.dataverse.schema_functions import Function
from forecourt.dataverse.schema_types import (
    BASE_CURRENCY,
    ROOT_UNIT,
    SCHEMA,
    SYSTEM_USER,
    constant,
    limits,
    literal,
    quoted,
    stored,
)

#: Link tables of web roles, which are files of the site and no rows of a table.
LINKS: Final = """
create table if not exists dataverse.adx_webrole_contact (
    contactid uuid not null, adx_webroleid uuid not null, primary key (contactid, adx_webroleid));
create table if not exists dataverse.adx_webrole_account (
    accountid uuid not null, adx_webroleid uuid not null, primary key (accountid, adx_webroleid));
"""
LINK_TABLES: Final = frozenset({"adx_webrole_contact", "adx_webrole_account"})

#: First characters of the names of triggers and checks that belong to definitions.
OURS: Final = "dv_"

_VERSION_DEFAULT = "((pg_current_xact_id())::text)::bigint"
#: Defaults of columns that the system adds: rows written as a set get these.
_DEFAULTS: Final[Mapping[str, str]] = {
    "ownerid": f"'{SYSTEM_USER}'::uuid",
    "owningbusinessunit": f"'{ROOT_UNIT}'::uuid",
    "owninguser": f"'{SYSTEM_USER}'::uuid",
    "createdby": f"'{SYSTEM_USER}'::uuid",
    "modifiedby": f"'{SYSTEM_USER}'::uuid",
    "createdon": "now()",
    "modifiedon": "now()",
    VERSION: _VERSION_DEFAULT,
    CURRENCY: f"'{BASE_CURRENCY}'::uuid",
    RATE: "1",
}
#: Columns of the system that are never null.
NOT_NULL: Final = frozenset({"ownerid", "createdon", "modifiedon", "statecode", "statuscode", VERSION})


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """``type``, ``default``, ``generated``: as the database's catalogue writes them; '' without. ``fill``: what rows
    get that were there before the column."""

    name: str
    type: str
    not_null: bool = False
    default: str = ""
    generated: str = ""
    fill: str = ""


@dataclass(frozen=True, slots=True)
class ForeignSpec:
    """``action`` on delete: ``no action``, ``set null`` or ``cascade``."""

    name: str
    column: str
    target: str
    target_column: str
    action: str


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """``method``: btree or brin. A unique one is an alternate key."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    method: str = "btree"


@dataclass(frozen=True, slots=True)
class CheckSpec:
    name: str
    condition: str


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """``clause``: what stands after the trigger's name."""

    name: str
    clause: str


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    name: str
    start: int


@dataclass(frozen=True)
class TableSpec:
    name: str
    key: str
    columns: Mapping[str, ColumnSpec]
    foreign: tuple[ForeignSpec, ...] = ()
    indexes: tuple[IndexSpec, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    triggers: tuple[TriggerSpec, ...] = ()

    @property
    def sql_name(self) -> str:
        return f"{SCHEMA}.{quoted(self.name)}"


@dataclass(frozen=True)
class Layout:
    """All that the definitions want of the database."""

    tables: Mapping[str, TableSpec]
    functions: Mapping[str, Function]
    sequences: Mapping[str, SequenceSpec] = field(default_factory=dict)


def layout(found: Design) -> Layout:
    """The tables that a design asks for."""
    made: dict[str, Function] = {item.name: item for item in functions.SHARED}
    sequences: dict[str, SequenceSpec] = {}
    tables: dict[str, TableSpec] = {}
    gone: dict[str, list[TriggerSpec]] = {}
    for table in found.tables.values():
        for lookup in table.lookups.values():
            if lookup.polymorphic and not lookup.system:
                for target, function in _releases(lookup, found):
                    made[function.name] = function
                    clause = f"after delete on {SCHEMA}.{quoted(target)} referencing old table as gone"
                    clause += f" for each statement execute function {SCHEMA}.{quoted(function.name)}()"
                    gone.setdefault(target, []).append(_trigger("gone", clause, function.name))
                function = _point(table, lookup, found)
                made[function.name] = function
    for table in found.tables.values():
        for name, column in table.columns.items():
            if column.type == "autonumber":
                sequence = SequenceSpec(sequence_name(table.name, name), column.seed)
                sequences[sequence.name] = sequence
        tables[table.name] = _table(table, found, gone.get(table.name, []))
    for pairing in found.pairings:
        tables[pairing.table] = _pairs(pairing)
    return Layout(tables, made, sequences)


def _table(table: TableDesign, found: Design, gone: list[TriggerSpec]) -> TableSpec:
    columns: dict[str, ColumnSpec] = {}
    checks = []
    for name, column in table.columns.items():
        columns[name] = _column(table, name, column)
        lookup = table.lookups.get(name)
        if lookup is not None and lookup.polymorphic:
            columns[beside(name)] = _beside(name, lookup, found)
        condition = limits(name, column)
        if condition:
            checks.append(CheckSpec(short(f"{OURS}{name}_{_digest(condition)}"), condition))
    return TableSpec(
        name=table.name,
        key=table.key,
        columns=columns,
        foreign=tuple(_foreign(table, found)),
        indexes=tuple(_indexes(table)),
        checks=tuple(checks),
        triggers=(*_triggers(table), *gone),
    )


def beside(lookup: str) -> str:
    """The column that holds which table a polymorphic lookup leads to."""
    return f"{lookup}_type"


def sequence_name(table: str, column: str) -> str:
    return short(f"{table}_{column}_numbers")


def _column(table: TableDesign, name: str, column: ColumnDefinition) -> ColumnSpec:
    kind = stored(column)[0]
    if name == table.key:
        return ColumnSpec(name, kind, True, "gen_random_uuid()")
    system = name not in table.file.columns
    if system and name.endswith(BASE) and name.removesuffix(BASE) in table.money:
        amount = quoted(name.removesuffix(BASE))
        return ColumnSpec(name, kind, generated=f"round(({amount} / NULLIF({RATE}, (0)::numeric)), 4)")
    default = constant(column)
    if system and name in _DEFAULTS:
        default = _DEFAULTS[name]
    elif column.type == "autonumber":
        numbers = literal(f"{SCHEMA}.{sequence_name(table.name, name)}")
        default = f"{SCHEMA}.numbered({numbers}::regclass, {literal(column.format)}::text)"
    return ColumnSpec(name, kind, system and name in NOT_NULL, default)


def _beside(name: str, lookup: Lookup, found: Design) -> ColumnSpec:
    if name == "ownerid" and lookup.system:
        return ColumnSpec(beside(name), "text", default="'systemuser'::text")
    cases = [
        f"when exists (select from {SCHEMA}.{quoted(target)} t where t.{quoted(found.tables[target].key)} ="
        f" {quoted(lookup.table)}.{quoted(name)}) then {literal(target)}"
        for target in lookup.targets
    ]
    return ColumnSpec(beside(name), "text", fill=f"case {' '.join(cases)} end")


def _foreign(table: TableDesign, found: Design) -> Iterator[ForeignSpec]:
    for lookup in table.lookups.values():
        if lookup.polymorphic or lookup.on_delete == "none" or not lookup.targets:
            continue
        target = found.tables[lookup.targets[0]]
        action = "set null" if lookup.on_delete == "clear" else "no action"
        yield ForeignSpec(short(f"{table.name}_{lookup.column}_fkey"), lookup.column, target.name, target.key, action)


def _indexes(table: TableDesign) -> Iterator[IndexSpec]:
    led = set()
    for name, columns in table.file.keys.items():
        led.add(columns[0])
        yield IndexSpec(short(name), columns, unique=True)
    for lookup in table.lookups.values():
        if lookup.column not in led and (not lookup.system or lookup.column in ("ownerid", "owningbusinessunit")):
            yield IndexSpec(short(f"{table.name}_{lookup.column}"), (lookup.column,))
    yield IndexSpec(short(f"{table.name}_{VERSION}"), (VERSION,), method="brin")


def _triggers(table: TableDesign) -> Iterator[TriggerSpec]:
    """In the order of their names, as PostgreSQL fires them."""
    on = f"on {SCHEMA}.{quoted(table.name)} for each row"
    for name, column in table.columns.items():
        if column.type == "autonumber":
            arguments = f"{literal(name)}, {literal(f'{SCHEMA}.{sequence_name(table.name, name)}')}"
            clause = f"before insert {on} when (new.{quoted(name)} is null or new.{quoted(name)} = '')"
            clause += f" execute function {SCHEMA}.number({arguments}, {literal(column.format)})"
            yield _trigger("1_number", clause, name)
    if table.owned:
        condition = "new.ownerid is distinct from coalesce(new.owningteam, new.owninguser)"
        condition += " or (new.owningteam is not null) is distinct from (new.ownerid_type = 'team')"
        clause = f"before insert or update {on} when ({condition}) execute function {SCHEMA}.own()"
        yield _trigger("2_own", clause)
    if table.money:
        run = f"execute function {SCHEMA}.exchange()"
        base = f"new.{CURRENCY} is distinct from '{BASE_CURRENCY}'::uuid"
        yield _trigger("3_exchange", f"before insert {on} when ({base}) {run}", "insert")
        moved = f"new.{CURRENCY} is distinct from old.{CURRENCY}"
        yield _trigger("3_exchange", f"before update {on} when ({moved}) {run}", "update")
    for lookup in table.lookups.values():
        if lookup.polymorphic and not lookup.system:
            own, kind = quoted(lookup.column), quoted(beside(lookup.column))
            clause = f"before insert or update of {own}, {kind} {on}"
            clause += f" when (new.{own} is not null or new.{kind} is not null)"
            clause += f" execute function {SCHEMA}.{quoted(_point_name(lookup))}()"
            yield _trigger("4_point", clause, lookup.column)
    if {"firstname", "lastname", "fullname"} <= table.columns.keys():
        names = "before insert or update of firstname, lastname, fullname"
        yield _trigger("5_name", f"{names} {on} execute function {SCHEMA}.full_name()")
    yield _trigger("9_touch", f"before update {on} execute function {SCHEMA}.touch()")


def _trigger(what: str, clause: str, subject: str = "") -> TriggerSpec:
    """A trigger whose name changes with its definition, so that a database tells whether it has it."""
    return TriggerSpec(short(f"{OURS}{what}_{_digest(subject + clause)}"), clause)


def _point_name(lookup: Lookup) -> str:
    return short(f"point_{lookup.table}_{lookup.column}")


def _point(table: TableDesign, lookup: Lookup, found: Design) -> Function:
    targets = [(name, found.tables[name].key) for name in lookup.targets]
    column = lookup.column
    return functions.point(_point_name(lookup), table.name, table.key, column, beside(column), targets)


def _releases(lookup: Lookup, found: Design) -> Iterator[tuple[str, Function]]:
    """For each target of a polymorphic lookup, what happens when its rows go."""
    if lookup.on_delete == "none":
        return
    for target in lookup.targets:
        name = short(f"gone_{lookup.table}_{lookup.column}_{target}")
        key, clear = found.tables[target].key, lookup.on_delete == "clear"
        yield target, functions.gone(name, lookup.table, lookup.column, beside(lookup.column), key, clear)


def _pairs(pairing: Pairing) -> TableSpec:
    """The table of a many-to-many relationship. Pairs go with either end."""
    ends = (pairing.first, pairing.second)
    columns = {pairing.key: ColumnSpec(pairing.key, "uuid", True, "gen_random_uuid()")}
    columns |= {key: ColumnSpec(key, "uuid", True) for _, key in ends}
    columns[VERSION] = ColumnSpec(VERSION, "bigint", True, _VERSION_DEFAULT)
    foreign = tuple(
        ForeignSpec(short(f"{pairing.table}_{key}_fkey"), key, target, key, "cascade") for target, key in ends
    )
    both, second = tuple(key for _, key in ends), pairing.second[1]
    indexes = (
        IndexSpec(short(f"{pairing.table}_pair"), both, unique=True),
        IndexSpec(short(f"{pairing.table}_{second}"), (second,)),
    )
    return TableSpec(pairing.table, pairing.key, columns, foreign, indexes)


def short(name: str) -> str:
    """A name within PostgreSQL's 63 bytes; what is too long ends in a digest.

    >>> len(short("x" * 80)), short("contact_parentcustomerid")
    (63, 'contact_parentcustomerid')
    """
    return name if len(name) <= 63 else f"{name[:54]}_{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


__all__ = [
    "LINKS",
    "OURS",
    "SCHEMA",
    "CheckSpec",
    "ColumnSpec",
    "ForeignSpec",
    "IndexSpec",
    "Layout",
    "SequenceSpec",
    "TableSpec",
    "TriggerSpec",
    "layout",
    "quoted",
]
