"""Columns as ``AttributeMetadata`` (pages-and-dataverse B3): native ones by their definitions, virtual ones by fields.

A lookup's attribute has the column's name; the Web API's property is ``_<name>_value``. Leaves out the attributes that
Dataverse derives from others (names of lookups, types of lookups).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from forecourt.dataverse.definitions import ColumnDefinition
from forecourt.dataverse.design import BASE, VERSION, TableDesign
from forecourt.dataverse.metadata_items import Item, Value, label, managed, metadata_id, option, option_set
from forecourt.dataverse.schema_types import WHOLE_DIGITS, length
from forecourt.kernel.label import Label
from forecourt.kernel.model import Entity, EntityField, Enum
from forecourt.kernel.types import Kind

#: Column type -> (class of the metadata, AttributeType).
TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "text": ("String", "String"),
    "autonumber": ("String", "String"),
    "memo": ("Memo", "Memo"),
    "whole": ("Integer", "Integer"),
    "big": ("BigInt", "BigInt"),
    "decimal": ("Decimal", "Decimal"),
    "double": ("Double", "Double"),
    "money": ("Money", "Money"),
    "date": ("DateTime", "DateTime"),
    "datetime": ("DateTime", "DateTime"),
    "choice": ("Picklist", "Picklist"),
    "choices": ("MultiSelectPicklist", "Virtual"),
    "yesno": ("Boolean", "Boolean"),
    "lookup": ("Lookup", "Lookup"),
    "customer": ("Lookup", "Customer"),
    "owner": ("Lookup", "Owner"),
    "uniqueid": ("UniqueIdentifier", "Uniqueidentifier"),
}
#: Kind of a virtual table's field -> column type.
_KINDS: Final[Mapping[Kind, str]] = {
    Kind.STRING: "text",
    Kind.INT32: "whole",
    Kind.INT64: "big",
    Kind.DECIMAL: "decimal",
    Kind.DOUBLE: "double",
    Kind.BOOLEAN: "yesno",
    Kind.DATE: "date",
    Kind.DATETIME: "datetime",
    Kind.GUID: "uniqueid",
    Kind.ENUM: "choice",
}
_BEHAVIORS: Final[Mapping[str, str]] = {
    "user_local": "UserLocal",
    "date_only": "DateOnly",
    "time_zone_independent": "TimeZoneIndependent",
}
_MOST: Final[Mapping[str, float]] = {"whole": 2**31 - 1, "big": 2**63 - 1, "double": 1e11, "money": 922337203685477}
_LONGEST_MEMO: Final = 1_048_576


def native_attributes(table: TableDesign, answers: tuple[Label, Label]) -> tuple[Item, ...]:
    """The columns of a native table. ``answers``: what no and yes are called."""
    named = enumerate(table.columns.items(), 1)
    return tuple(_native(table, number, name, column, answers) for number, (name, column) in named)


def _native(table: TableDesign, number: int, name: str, column: ColumnDefinition, answers: tuple[Label, Label]) -> Item:
    kept, key = name in table.kept, name == table.key
    found = _common(table.name, number, name, column.label or name, column.description)
    required = "SystemRequired" if key else "ApplicationRequired" if column.required else "None"
    base, calculated = name.removesuffix(BASE), name.endswith(BASE) and name.removesuffix(BASE) in table.money
    found |= {
        "SchemaName": column.schema_name or (table.schema_name + "Id" if key else name),
        "IsPrimaryId": key,
        "IsPrimaryName": name == table.primary_name and not key,
        "IsCustomAttribute": table.custom and not kept,
        "IsValidForCreate": not kept,
        "IsValidForUpdate": not kept and not key,
        "RequiredLevel": managed(required, "canmodifyrequirementlevelsettings"),
        "AutoNumberFormat": column.format or None,
        "SourceType": 0 if column.type in ("text", "autonumber", "whole", "decimal", "money", "choice") else None,
    }
    kind = _typed(found, column)
    links: dict[str, Item | tuple[Item, ...] | None] = {}
    match name:
        case "statecode" if name not in table.file.columns:
            kind = _as(found, "State", "State")
            states = [
                option(
                    state.value,
                    state.label,
                    f"{table.name}_statecode",
                    InvariantName=state.label,
                    DefaultStatus=state.reasons[0].value,
                )
                for state in table.states
            ]
            links = {"OptionSet": option_set(f"{table.name}_statecode", column.label, states, "State")}
        case "statuscode" if name not in table.file.columns:
            kind = _as(found, "Status", "Status")
            reasons = [
                option(reason.value, reason.label, f"{table.name}_statuscode", State=state.value, TransitionData=None)
                for state in table.states
                for reason in state.reasons
            ]
            links = {"OptionSet": option_set(f"{table.name}_statuscode", column.label, reasons, "Status")}
        case _ if column.type in ("choice", "choices"):
            options = [option(item.value, item.label, f"{table.name}_{name}") for item in column.options]
            links = {"OptionSet": option_set(f"{table.name}_{name}", column.label, options)}
        case _ if column.type == "yesno":
            links = {"OptionSet": _yes_no(f"{table.name}_{name}", column.label, answers)}
        case _ if column.type == "money":
            found |= {"IsBaseCurrency": calculated, "CalculationOf": base if calculated else None}
        case _:
            pass
    if column.type in ("lookup", "customer", "owner"):
        found["Targets"] = list(table.lookups[name].targets)
    if name == VERSION:
        found["IsValidForCreate"] = found["IsValidForUpdate"] = False
    if "OptionSet" in links and kind in ("PicklistAttributeMetadata", "MultiSelectPicklistAttributeMetadata"):
        links["GlobalOptionSet"] = None
    return Item(kind, found, links)


def virtual_attributes(
    entity: Entity, primary_name: str, enums: Mapping[str, Enum], answers: tuple[Label, Label]
) -> tuple[Item, ...]:
    """The columns of a virtual table, or of a table of pairs. ``answers``: what no and yes are called."""
    found = []
    for number, field in enumerate(entity.fields.values(), 1):
        found.append(_virtual(entity, number, field, primary_name, enums, answers))
    return tuple(found)


def _virtual(
    entity: Entity,
    number: int,
    field: EntityField,
    primary_name: str,
    enums: Mapping[str, Enum],
    answers: tuple[Label, Label],
) -> Item:
    key = field.name == entity.key[0]
    values = _common(entity.name, number, field.name, field.label or field.name, "")
    required = "SystemRequired" if key else "ApplicationRequired" if field.required else "None"
    values |= {
        "SchemaName": field.name,
        "IsPrimaryId": key,
        "IsPrimaryName": field.name == primary_name and not key,
        "IsCustomAttribute": entity.virtual_of is not None,
        "IsValidForCreate": field.creatable,
        "IsValidForUpdate": field.editable and not key,
        "RequiredLevel": managed(required, "canmodifyrequirementlevelsettings"),
        "ExternalName": field.base or None,
    }
    kind = "uniqueid" if field.record_of is not None else "memo" if field.memo else _KINDS[field.kind]
    column = ColumnDefinition(type=kind, length=field.length)  # type: ignore[arg-type]
    typed = _typed(values, column)
    links: dict[str, Item | tuple[Item, ...] | None] = {}
    if field.enum is not None and field.enum in enums:
        shared = global_choice(enums[field.enum])
        links = {"OptionSet": shared, "GlobalOptionSet": shared}
    elif kind == "yesno":
        links = {"OptionSet": _yes_no(f"{entity.name}_{field.name}", field.label, answers)}
    return Item(typed, values, links)


def global_choice(enum: Enum) -> Item:
    """The choice of an enum of the operations side."""
    options = [option(member.choice, member.label or member.symbol, enum.name) for member in enum.members]
    return option_set(enum.name.lower(), enum.name, options, shared=True)


def _common(table: str, number: int, name: str, text: str, description: str) -> dict[str, Value]:
    return {
        "MetadataId": metadata_id("attribute", f"{table}.{name}"),
        "HasChanged": None,
        "LogicalName": name,
        "SchemaName": name,
        "EntityLogicalName": table,
        "AttributeOf": None,
        "AttributeType": None,
        "AttributeTypeName": None,
        "ColumnNumber": number,
        "DisplayName": label(text, f"{table}.{name}"),
        "Description": label(description, f"{table}.{name}/description"),
        "ExternalName": None,
        "IsLogical": False,
        "IsManaged": False,
        "IsSecured": False,
        "IsFilterable": True,
        "IsSearchable": True,
        "IsRetrievable": True,
        "IsValidForRead": True,
        "IsValidODataAttribute": True,
        "IsValidForAdvancedFind": managed(True, "canmodifysearchsettings"),
        "IsCustomizable": managed(False, "iscustomizable"),
        "IsRenameable": managed(False, "isrenameable"),
        "SourceType": None,
    }


def _typed(values: dict[str, Value], column: ColumnDefinition) -> str:
    """Adds what a type says of its values; gives the class of the metadata."""
    kind = _as(values, *TYPES[column.type])
    most = _MOST.get(column.type)
    match column.type:
        case "text" | "autonumber":
            values |= {"MaxLength": length(column), "Format": "Text", "FormatName": {"Value": "Text"}}
            values |= {"ImeMode": "Auto", "IsLocalizable": False, "DatabaseLength": 2 * (length(column) or 0)}
        case "memo":
            values |= {"MaxLength": column.length or _LONGEST_MEMO, "Format": "TextArea", "ImeMode": "Auto"}
        case "whole" | "big" | "double":
            assert most is not None
            low = -most - 1 if column.type != "double" else -most
            values |= {"MinValue": column.min if column.min is not None else low}
            values |= {"MaxValue": column.max if column.max is not None else most}
            values |= {"Precision": 5} if column.type == "double" else {"Format": "None"}
        case "decimal" | "money":
            most = most or 10 ** min(11, WHOLE_DIGITS)
            values |= {"MinValue": column.min if column.min is not None else -most}
            values |= {"MaxValue": column.max if column.max is not None else most}
            values["Precision"] = 2 if column.precision is None else column.precision
            values |= {"PrecisionSource": 0} if column.type == "money" else {}
        case "date" | "datetime":
            behavior = "DateOnly" if column.type == "date" else _BEHAVIORS[column.behavior]
            values |= {"Format": "DateOnly" if behavior == "DateOnly" else "DateAndTime"}
            values |= {"DateTimeBehavior": {"Value": behavior}, "ImeMode": "Inactive"}
        case "choice" | "choices":
            values |= {"DefaultFormValue": -1 if column.default is None else column.default}
        case "yesno":
            values |= {"DefaultValue": bool(column.default)}
        case "lookup" | "customer" | "owner":
            values |= {"Targets": [], "Format": "None"}
        case _:
            pass
    return kind


def _as(values: dict[str, Value], shape: str, kind: str) -> str:
    values["AttributeType"] = kind
    values["AttributeTypeName"] = {"Value": f"{shape if kind == 'Virtual' else kind}Type"}
    return f"{shape}AttributeMetadata"


def _yes_no(name: str, text: str, answers: tuple[Label, Label]) -> Item:
    values = dict(option_set(name, text, [], "Boolean").values)
    del values["Options"]
    values |= {"TrueOption": option(1, answers[1], name), "FalseOption": option(0, answers[0], name)}
    return Item("BooleanOptionSetMetadata", values)
