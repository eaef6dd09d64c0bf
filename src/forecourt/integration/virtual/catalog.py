"""The virtual-table catalog: Dataverse tables generated from data entities (operations-and-integration 2.4-2.9).

Names: ``mserp_`` + lower-case physical entity name, set name with its plural, columns ``mserp_`` + lower-case field
name, id ``<table>id``, relations ``mserp_`` + lower-case relation name (only to entities that are generated too).
Row ids are computed from the entity's number and the root row's record id, so no id is stored. Enums become choices
numbered from 200000000 by position, matched by symbol. Dates that a finance and operations database keeps as
1900-01-01 show as null. ``mserp_primaryfield``, the key as text, is left to the label of a row: it is computed where
it is shown.

A virtual table reads the same tables by the same plan as ``/data``: it is the entity under other names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from forecourt.dataverse.definitions import TableFile
from forecourt.dataverse.tables import Table
from forecourt.kernel.model import Entity, EntityField, Enum, Model, Relation
from forecourt.kernel.types import MOMENTS, Kind

PREFIX = "mserp_"

#: The number of the first choice of a generated option set.
FIRST_CHOICE = 200_000_000

#: Relations with a longer schema name are left out (reference 2.9).
LONGEST_RELATION = 92


def table_name(entity: str) -> str:
    """The logical name of an entity's virtual table.

    >>> table_name("PurchPurchaseOrderHeaderV2Entity")
    'mserp_purchpurchaseorderheaderv2entity'
    """
    return PREFIX + entity.lower()


def set_name(table: str) -> str:
    """The entity set name: the plural of the table's name.

    >>> set_name("mserp_currencyentity"), set_name("mserp_purchbox")
    ('mserp_currencyentities', 'mserp_purchboxes')
    """
    if table.endswith("y") and table[-2] not in "aeiou":
        return table[:-1] + "ies"
    return table + ("es" if table.endswith(("s", "x", "z", "ch", "sh")) else "s")


def column_name(field: str) -> str:
    return PREFIX + field.lower()


def choices(enum: Enum) -> Enum:
    """The enum as a global choice."""
    members = tuple(
        dataclasses.replace(member, choice=FIRST_CHOICE + position) for position, member in enumerate(enum.members)
    )
    return Enum(enum.name, members)


def virtual_entity(entity: Entity, generated: Mapping[str, str], file: TableFile) -> Entity | None:
    """The entity of a virtual table, or None where the data entity has no record id to make row ids from.

    ``generated``: names of the data entities that have a virtual table -> that table's name.
    """
    if entity.record_id is None:
        return None
    alias, column = entity.record_id
    name = file.table
    row_id = EntityField(
        name=f"{name}id",
        source=alias,
        column=column,
        kind=Kind.GUID,
        nullable=False,
        editable=False,
        creatable=False,
        label=entity.label or entity.name,
        storage="int8",
        record_of=entity.entity_id,
    )
    fields = {row_id.name: row_id}
    for found in entity.fields.values():
        fields[column_name(found.name)] = _column(found, found.name in entity.key)
    relations = {}
    for relation in entity.relations.values():
        target = generated.get(relation.target)
        schema_name = PREFIX + relation.name.lower()
        if target is not None and len(schema_name) <= LONGEST_RELATION:
            pairs = tuple((column_name(own), column_name(theirs)) for own, theirs in relation.on)
            relations[schema_name] = Relation(schema_name, target, relation.many, pairs)
    return Entity(
        name=name,
        public_name=name,
        collection=file.set or set_name(name),
        sources=entity.sources,
        fields=fields,
        key=(row_id.name,),
        relations=relations,
        company=column_name(entity.company) if entity.company else None,
        record_id=entity.record_id,
        label=file.label or entity.label,
        label_plural=file.label_plural or entity.label_plural,
        read_only=entity.read_only,
        declared_id=entity.entity_id,
        virtual_of=entity.name,
        where=entity.where,
        natural_key=tuple(column_name(field) for field in entity.key),
    )


def _column(found: EntityField, is_key: bool) -> EntityField:
    empty = found.kind in MOMENTS and not found.nullable
    return dataclasses.replace(
        found,
        name=column_name(found.name),
        base=found.name,
        choice=found.kind is Kind.ENUM,
        empty_date=empty,
        nullable=found.nullable or empty,
        editable=found.editable and not is_key,
        creatable=found.creatable,
        required=found.required,
        currency=column_name(found.currency) if found.currency else None,
    )


def virtual_tables(model: Model, files: Iterable[TableFile]) -> tuple[dict[str, Table], dict[str, Enum]]:
    """The virtual tables that the files ask for, and their choices. Files of native tables are passed over."""
    wanted = [file for file in files if file.virtual is not None and file.virtual in model.entities]
    generated = {str(file.virtual): file.table for file in wanted}
    tables = {}
    for file in wanted:
        source = model.entities[str(file.virtual)]
        entity = virtual_entity(source, generated, file)
        if entity is not None:
            shown = file.primary_name or column_name(source.key[-1])
            tables[file.table] = Table(entity, entity.key[0], shown, True, file.views, file.forms, file.charts)
    return tables, {name: choices(enum) for name, enum in model.enums.items()}
