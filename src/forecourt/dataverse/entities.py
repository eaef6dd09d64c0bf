"""Native tables as entities: fields, keys, relations both ways.

Names are the Web API's (pages-and-dataverse B1.7): a lookup ``x`` is the field ``_x_value``, and the way to its row is
``x``, or ``x_<table>`` for each table where it leads to several. The way back is the relationship's schema name, and so
are both ways of a many-to-many relationship. A relationship whose schema name is taken on a table (a lookup of a table
to itself under the name of a column) has no way back.

Tables of pairs are entities too, so that pairs can be made and removed like rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from forecourt.dataverse.definitions import ColumnDefinition
from forecourt.dataverse.design import BASE, CURRENCY, GIVEN, VERSION, Design, Pairing, TableDesign
from forecourt.dataverse.schema import NOT_NULL, beside
from forecourt.dataverse.schema_types import NUMBERS, SCHEMA, length, stored
from forecourt.dataverse.stamps import Status
from forecourt.dataverse.tables import Table
from forecourt.kernel.model import DataSource, Entity, EntityField, Enum, EnumMember, Relation, Through
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.security.rules import PersonRelationship

#: Alias of a native table in its entity.
ALIAS = "t"

#: Tables whose rows are people: relationships to them are what table permissions stand on.
PEOPLE = ("contact", "account")


def native_tables(design: Design) -> tuple[dict[str, Table], dict[str, Enum]]:
    """The tables of a design and the choices of their columns, named ``<table>_<column>``."""
    enums: dict[str, Enum] = {}
    fields: dict[str, dict[str, EntityField]] = {}
    for table in design.tables.values():
        fields[table.name] = {}
        for name, column in table.columns.items():
            if column.options:
                members = (EnumMember(str(o.value), o.value, o.label, o.value) for o in column.options)
                enums[f"{table.name}_{name}"] = Enum(f"{table.name}_{name}", tuple(members))
            found = _field(table, name, column)
            fields[table.name][found.name] = found
    relations = _relations(design)
    tables = {}
    for table in design.tables.values():
        own = fields[table.name]
        taken = relations[table.name]
        entity = Entity(
            name=table.name,
            public_name=table.name,
            collection=table.collection,
            sources=(DataSource(ALIAS, TableName(SCHEMA, table.name)),),
            fields=own,
            key=(table.key,),
            relations=taken,
            label=table.file.label,
            label_plural=table.file.label_plural,
            version=VERSION,
            alternate_keys={
                name: tuple(shown(table, column) for column in columns) for name, columns in table.file.keys.items()
            },
            primary_name=table.primary_name,
        )
        tables[table.name] = Table(
            entity, table.key, table.primary_name, False, table.file.views, table.file.forms, table.file.charts
        )
    for pairing in design.pairings:
        tables[pairing.table] = _pairs(pairing)
    return tables, enums


def shown(table: TableDesign, column: str) -> str:
    """The field of a column."""
    return f"_{column}_value" if column in table.lookups else column


def _field(table: TableDesign, name: str, column: ColumnDefinition) -> EntityField:
    _, kind, storage = stored(column)
    lookup = table.lookups.get(name)
    enum = f"{table.name}_{name}" if column.options else None
    kept = name in table.kept
    # What is in the base currency is not in the currency of the row.
    based = name.endswith(BASE) and name.removesuffix(BASE) in table.money
    money = f"_{CURRENCY}_value" if column.type == "money" and not based else None
    return EntityField(
        name=shown(table, name),
        source=ALIAS,
        column=name,
        kind=kind,
        nullable=name != table.key and not (name in NOT_NULL and (kept or name in GIVEN)),
        enum=enum,
        editable=name != table.key and not kept,
        label=column.label or name,
        length=length(column),
        memo=column.type == "memo",
        currency=money,
        storage=storage,
        choice=enum is not None,
        several=column.type == "choices",
        creatable=not kept,
        required=column.required,
        targets=lookup.targets if lookup is not None else (),
        target_column=beside(name) if lookup is not None and lookup.polymorphic else "",
        least=column.min if column.type in NUMBERS else None,
        most=column.max if column.type in NUMBERS else None,
        filled=kept or name in GIVEN or name == table.key or column.default is not None or column.type == "autonumber",
    )


def _relations(design: Design) -> dict[str, dict[str, Relation]]:
    found: dict[str, dict[str, Relation]] = {name: {} for name in design.tables}
    for table in design.tables.values():
        for lookup in table.lookups.values():
            own = f"_{lookup.column}_value"
            for target, name in lookup.navigation.items():
                others = lookup.targets[1:] if lookup.polymorphic and name == lookup.column else ()
                pairs = ((own, design.tables[target].key),)
                found[table.name][name] = Relation(name, target, False, pairs, lookup.column, others=others)
    for table in design.tables.values():
        for lookup in table.lookups.values():
            for target, name in lookup.relationships.items():
                pairs = ((design.tables[target].key, f"_{lookup.column}_value"),)
                back = Relation(name, table.name, True, pairs, on_delete=lookup.on_delete, on_assign=lookup.on_assign)
                found[target].setdefault(name, back)
    for pairing in design.pairings:
        for (end, key), (other, other_key) in (
            (pairing.first, pairing.second),
            (pairing.second, pairing.first),
        ):
            through = Through(TableName(SCHEMA, pairing.table), ((key, key),), ((other_key, other_key),))
            found[end].setdefault(pairing.name, Relation(pairing.name, other, True, (), through=through))
    return found


def _pairs(pairing: Pairing) -> Table:
    """The table of a many-to-many relationship's pairs."""
    key = EntityField(pairing.key, ALIAS, pairing.key, Kind.GUID, False, editable=False, storage="uuid")
    fields = {key.name: key}
    ends = (pairing.first, pairing.second)
    for table, column in ends:
        fields[column] = replace(key, name=column, column=column, required=True, targets=(table,))
    version = EntityField(VERSION, ALIAS, VERSION, Kind.INT64, False, editable=False, creatable=False, storage="int8")
    fields[VERSION] = version
    entity = Entity(
        name=pairing.table,
        public_name=pairing.table,
        collection=pairing.collection,
        sources=(DataSource(ALIAS, TableName(SCHEMA, pairing.table)),),
        fields=fields,
        key=(pairing.key,),
        label=pairing.name,
        label_plural=pairing.name,
        version=VERSION,
        alternate_keys={f"{pairing.table}_pair": tuple(column for _, column in ends)},
        primary_name=pairing.key,
        pairs=tuple(column for _, column in ends),
    )
    return Table(entity, pairing.key, pairing.key, False)


def statuses(design: Design) -> dict[str, Status]:
    """Which status reason belongs to which state, by table; for :class:`~forecourt.dataverse.stamps.Stamps`."""
    return {
        table.name: Status(
            {reason.value: state.value for state in table.states for reason in state.reasons},
            {state.value: state.reasons[0].value for state in table.states},
        )
        for table in design.tables.values()
        if table.states
    }


def person_relationships(design: Design) -> Mapping[tuple[str, str], PersonRelationship]:
    """The relationships to contact and account that lookups make, by (table, schema name).

    Both directions: a row that names the person, and a row that the person's own row names.
    """
    found: dict[tuple[str, str], PersonRelationship] = {}
    for table in design.tables.values():
        for lookup in table.lookups.values():
            for target, name in lookup.relationships.items():
                if table.name in PEOPLE and not lookup.system:
                    match = ((design.tables[target].key, lookup.column),)
                    found[target, name] = PersonRelationship(name, target, table.name, match)
            for target, name in lookup.relationships.items():
                if target in PEOPLE:
                    match = ((f"_{lookup.column}_value", design.tables[target].key),)
                    found[table.name, name] = PersonRelationship(name, table.name, target, match)
    return found
