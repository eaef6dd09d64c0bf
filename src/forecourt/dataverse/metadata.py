"""The tables of Dataverse as ``EntityMetadata``, with their relationships, keys and choices (pages-and-dataverse B3).

Made once from the solution's tables, native and virtual; nothing of it is a person's. What a table is not asked about
here (icons, forms, mobile clients, duplicate rules) is left out rather than made up. Reading it: ``metadata_query``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from forecourt.dataverse.design import Design, Lookup, Pairing, TableDesign
from forecourt.dataverse.metadata_attributes import global_choice, native_attributes, virtual_attributes
from forecourt.dataverse.metadata_items import Item, Value, label, managed, metadata_id
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.model import AssignAction, DeleteAction

#: What becomes of rows on a delete, in the metadata's words.
CASCADES: Mapping[DeleteAction, str] = {
    "none": "NoCascade",
    "restrict": "Restrict",
    "cascade": "Cascade",
    "clear": "RemoveLink",
}

#: What becomes of rows when the row above them gets another owner.
ASSIGNS: Mapping[AssignAction, str] = {
    "none": "NoCascade",
    "cascade": "Cascade",
    "active": "Active",
    "user_owned": "UserOwned",
}

#: Numbers of tables (``ObjectTypeCode``) that Dataverse itself gives.
_CODES: Mapping[str, int] = {
    "account": 1,
    "contact": 2,
    "annotation": 5,
    "systemuser": 8,
    "team": 9,
    "businessunit": 10,
    "role": 1036,
    "transactioncurrency": 9105,
}
#: First number of the others, in the order of their names.
_FIRST_CODE = 10_000


@dataclass(frozen=True)
class Metadata:
    """All definitions. ``tables``: native and virtual ones; ``design``: the native ones."""

    tables: Tables
    design: Design

    @cached_property
    def entities(self) -> tuple[Item, ...]:
        """Every table, in the order of names."""
        names = sorted(self.tables.by_name)
        codes = {name: _FIRST_CODE + number for number, name in enumerate(name for name in names if name not in _CODES)}
        return tuple(self._entity(self.tables.by_name[name], {**codes, **_CODES}[name]) for name in names)

    @cached_property
    def relationships(self) -> tuple[Item, ...]:
        """Every relationship, one-to-many ones first."""
        return (*self._one_to_many, *self._many_to_many)

    @cached_property
    def choices(self) -> tuple[Item, ...]:
        """The global choices: those of the operations side's enums."""
        used = {
            field.enum
            for table in self.tables.by_name.values()
            if table.virtual
            for field in table.entity.fields.values()
            if field.enum is not None
        }
        return tuple(global_choice(self.tables.enums[name]) for name in sorted(used) if name in self.tables.enums)

    @cached_property
    def _one_to_many(self) -> tuple[Item, ...]:
        return tuple(
            _one_to_many(lookup, target, self.design)
            for table in self.design.tables.values()
            for lookup in table.lookups.values()
            for target in lookup.targets
        )

    @cached_property
    def _many_to_many(self) -> tuple[Item, ...]:
        return tuple(_many_to_many(pairing) for pairing in self.design.pairings)

    def _entity(self, table: Table, code: int) -> Item:
        design = self.design.tables.get(table.name)
        values = _entity(table, design, code, table.name in {pairing.table for pairing in self.design.pairings})
        if design is not None:
            attributes = native_attributes(design, self.design.answers)
        else:
            attributes = virtual_attributes(table.entity, table.primary_name, self.tables.enums, self.design.answers)
        links: dict[str, Item | tuple[Item, ...] | None] = {
            "Attributes": attributes,
            "Keys": tuple(_keys(table, design)),
            "ManyToOneRelationships": self._of("ReferencingEntity", table.name),
            "OneToManyRelationships": self._of("ReferencedEntity", table.name),
            "ManyToManyRelationships": tuple(
                item
                for item in self._many_to_many
                if table.name in (item.values["Entity1LogicalName"], item.values["Entity2LogicalName"])
            ),
        }
        return Item("EntityMetadata", values, links)

    def _of(self, end: str, table: str) -> tuple[Item, ...]:
        return tuple(item for item in self._one_to_many if item.values[end] == table)


def _entity(table: Table, design: TableDesign | None, code: int, pairs: bool) -> dict[str, Value]:
    entity = table.entity
    schema_name = design.schema_name if design is not None else table.name
    owned = design is not None and design.owned
    return {
        "MetadataId": metadata_id("entity", table.name),
        "HasChanged": None,
        "LogicalName": table.name,
        "SchemaName": schema_name,
        "LogicalCollectionName": entity.collection,
        "CollectionSchemaName": entity.collection,
        "EntitySetName": entity.collection,
        "DisplayName": label(entity.label or table.name, table.name),
        "DisplayCollectionName": label(entity.label_plural or entity.collection, f"{table.name}/plural"),
        "Description": label(design.file.description if design is not None else "", f"{table.name}/description"),
        "ObjectTypeCode": code,
        "PrimaryIdAttribute": table.primary_id,
        "PrimaryNameAttribute": table.primary_name if table.primary_name != table.primary_id else None,
        "OwnershipType": "None" if pairs else "UserOwned" if owned else "OrganizationOwned",
        "TableType": "Virtual" if table.virtual else "Standard",
        "DataProviderId": "7015a531-cc0d-4537-b5f2-c882a1eb65ad" if table.virtual else None,
        "DataSourceId": None,
        "ExternalName": entity.virtual_of,
        "ExternalCollectionName": None,
        "IsCustomEntity": table.virtual or (design is not None and design.custom),
        "IsIntersect": pairs,
        "IsPrivate": False,
        "IsActivity": False,
        "IsActivityParty": False,
        "IsChildEntity": False,
        "IsLogicalEntity": False,
        "IsBPFEntity": False,
        "IsManaged": False,
        "HasNotes": design is not None and design.file.notes,
        "HasActivities": False,
        "ChangeTrackingEnabled": design is not None,
        "IsOptimisticConcurrencyEnabled": True,
        "IsValidForAdvancedFind": not pairs,
        "IsAvailableOffline": False,
        "IsStateModelAware": design is not None and bool(design.states),
        "EnforceStateTransitions": False,
        "IsReadOnlyInMobileClient": managed(entity.read_only, "isreadonlyinmobileclient"),
        "IsAuditEnabled": managed(False, "canmodifyauditsettings"),
        "IsCustomizable": managed(False, "iscustomizable"),
        "IsRenameable": managed(False, "isrenameable"),
        "IsMappable": managed(False, "ismappable"),
        "IsDuplicateDetectionEnabled": managed(False, "canmodifyduplicatedetectionsettings"),
        "CanCreateAttributes": managed(False, "cancreateattributes"),
        "CanCreateForms": managed(False, "cancreateforms"),
        "CanCreateViews": managed(False, "cancreateviews"),
        "CanBeRelatedEntityInRelationship": managed(not table.virtual, "canberelatedentityinrelationship"),
        "CanBePrimaryEntityInRelationship": managed(not table.virtual, "canbeprimaryentityinrelationship"),
        "CanBeInManyToMany": managed(not table.virtual, "canbeinmanytomany"),
        "Privileges": [
            {
                "PrivilegeId": metadata_id("privilege", f"prv{verb}{schema_name}"),
                "Name": f"prv{verb}{schema_name}",
                "PrivilegeType": verb,
                "CanBeBasic": owned,
                "CanBeLocal": owned,
                "CanBeDeep": owned,
                "CanBeGlobal": True,
            }
            for verb in ("Create", "Read", "Write", "Delete", *(("Assign",) if owned else ()), "Append", "AppendTo")
        ],
    }


def _keys(table: Table, design: TableDesign | None) -> Iterator[Item]:
    keys = design.file.keys if design is not None else table.entity.alternate_keys
    for name, columns in keys.items():
        values = {
            "MetadataId": metadata_id("key", f"{table.name}.{name}"),
            "HasChanged": None,
            "LogicalName": name.lower(),
            "SchemaName": name,
            "DisplayName": label(name, f"{table.name}.{name}"),
            "EntityLogicalName": table.name,
            "KeyAttributes": list(columns),
            "EntityKeyIndexStatus": "Active",
            "IsManaged": False,
            "IsSynchronous": True,
            "IsExportKey": False,
            "IsSecondaryKey": False,
        }
        yield Item("EntityKeyMetadata", values)


def _relationship(name: str, kind: str, custom: bool) -> dict[str, Value]:
    return {
        "MetadataId": metadata_id("relationship", name),
        "HasChanged": None,
        "SchemaName": name,
        "RelationshipType": kind,
        "SecurityTypes": "None",
        "IsCustomRelationship": custom,
        "IsManaged": False,
        "IsValidForAdvancedFind": True,
        "IsCustomizable": managed(False, "iscustomizable"),
    }


def _one_to_many(lookup: Lookup, target: str, design: Design) -> Item:
    name, action = lookup.relationships[target], CASCADES[lookup.on_delete]
    values = _relationship(name, "OneToManyRelationship", design.tables[lookup.table].custom and not lookup.system)
    values |= {
        "ReferencedEntity": target,
        "ReferencedAttribute": design.tables[target].key,
        "ReferencedEntityNavigationPropertyName": name,
        "ReferencingEntity": lookup.table,
        "ReferencingAttribute": lookup.column,
        "ReferencingEntityNavigationPropertyName": lookup.navigation[target],
        "IsHierarchical": False,
        "RelationshipBehavior": 1 if action == "Restrict" else 0,
        "CascadeConfiguration": {
            "Assign": ASSIGNS[lookup.on_assign],
            "Delete": action,
            "Merge": "NoCascade",
            "Reparent": "NoCascade",
            "Share": "NoCascade",
            "Unshare": "NoCascade",
            "RollupView": "NoCascade",
        },
    }
    return Item("OneToManyRelationshipMetadata", values)


def _many_to_many(pairing: Pairing) -> Item:
    values = _relationship(pairing.name, "ManyToManyRelationship", False)
    values["IntersectEntityName"] = pairing.table
    for number, (table, key) in enumerate((pairing.first, pairing.second), 1):
        values[f"Entity{number}LogicalName"] = table
        values[f"Entity{number}IntersectAttribute"] = key
        values[f"Entity{number}NavigationPropertyName"] = pairing.name
    return Item("ManyToManyRelationshipMetadata", values)
