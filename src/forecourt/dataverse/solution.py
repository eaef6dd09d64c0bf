"""The Dataverse part of a solution: table files, the built-in ones first, and security roles, loaded and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forecourt.dataverse.definitions import DataverseRoles, TableFile
from forecourt.dataverse.schema import native_table
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.document import Document, suggest
from forecourt.kernel.model import Enum
from forecourt.security.rules import (
    BASIC_USER,
    DataverseRules,
    Operation,
    PersonRelationship,
    SecurityRole,
)
from forecourt.store.folder import Faults, Loaded, read_file, read_files

STANDARD = Path(__file__).parent / "standard"
SYSTEM_ADMIN_ROLE = "System Administrator"

OPERATIONS = {
    "read": Operation.READ,
    "create": Operation.CREATE,
    "write": Operation.UPDATE,
    "delete": Operation.DELETE,
}


@dataclass(frozen=True)
class DataverseSolution:
    """``files``: all table files, built-in ones first; ``native``: tables of schema ``dataverse``."""

    files: tuple[Loaded[TableFile], ...]
    native: Mapping[str, Table]
    enums: Mapping[str, Enum] = field(default_factory=dict)
    rules: DataverseRules = field(default_factory=DataverseRules)


def load_dataverse(root: Path, entities: frozenset[str], faults: Faults) -> DataverseSolution:
    """Reads ``dataverse/``. ``entities``: names of the data entities that virtual tables may stand on."""
    files: dict[str, Loaded[TableFile]] = {}
    for item in read_files(STANDARD, "*.yaml", TableFile, faults):
        files[item.record.table] = item
    for item in read_files(root, "dataverse/tables/*.yaml", TableFile, faults):
        if _sound(item, files, entities, faults):
            files[item.record.table] = item
    native: dict[str, Table] = {}
    enums: dict[str, Enum] = {}
    for item in files.values():
        if item.record.virtual is None:
            table, choices = native_table(item.record)
            native[table.name] = table
            enums |= choices
    path = root / "dataverse" / "roles.yaml"
    roles = read_file(root, path, DataverseRoles, faults) if path.exists() else None
    return DataverseSolution(tuple(files.values()), native, enums, _rules(roles, files, faults))


def _sound(
    item: Loaded[TableFile], known: Mapping[str, Loaded[TableFile]], entities: frozenset[str], faults: Faults
) -> bool:
    file, document = item.record, item.document
    if file.table in known:
        faults.add(document.error(f"table {file.table} is defined twice or built in.", "table", code="FC6003"))
        return False
    if (file.virtual is None) == (not file.columns):
        faults.add(document.error("a table has either 'virtual' or 'columns'.", "table"))
        return False
    if file.virtual is not None and file.virtual not in entities:
        hint = suggest(file.virtual, entities)
        faults.add(document.error(f"data entity '{file.virtual}' is not known.", "virtual", hint=hint, code="FC6002"))
        return False
    return True


def check_tables(tables: Tables, files: tuple[Loaded[TableFile], ...], faults: Faults) -> None:
    """Checks what views, forms and relationships name against the finished tables."""
    for item in files:
        file, document = item.record, item.document
        table = tables.by_name.get(file.table)
        if table is None:
            if file.virtual is not None:
                faults.add(
                    document.error(
                        f"data entity {file.virtual} has no record id, so it can't be a virtual table.",
                        "virtual",
                        hint="Give its root a 'record_id:': a column with a unique integer per row.",
                        code="FC6004",
                    )
                )
            continue
        for position, relationship in enumerate(file.relationships):
            for own in relationship.match:
                _known(document, own, table, faults, "relationships", position, "match", own)
        for position, view in enumerate(file.views):
            for place, column in enumerate(view.columns):
                name = column if isinstance(column, str) else column.column
                _known(document, name, table, faults, "views", position, "columns", place)
            for place, order in enumerate(view.order):
                _known(document, order.column, table, faults, "views", position, "order", place)
        for position, form in enumerate(file.forms):
            for place, section in enumerate(form.sections):
                for at, cell in enumerate(section.columns):
                    name = cell if isinstance(cell, str) else cell.column
                    _known(document, name, table, faults, "forms", position, "sections", place, "columns", at)
            for place, grid in enumerate(form.subgrids):
                path = ("forms", position, "subgrids", place)
                relation = table.entity.relations.get(grid.relation)
                if relation is None or not relation.many:
                    known = [name for name, found in table.entity.relations.items() if found.many]
                    faults.add(
                        document.error(
                            f"'{grid.relation}' is not a collection relation of {table.name}.",
                            *path,
                            "relation",
                            hint=suggest(grid.relation, known),
                            code="FC6002",
                        )
                    )
                elif tables.by_name[relation.target].view(grid.view) is None:
                    known = [view.name for view in tables.by_name[relation.target].views]
                    faults.add(
                        document.error(
                            f"view '{grid.view}' of {relation.target} is not known.",
                            *path,
                            "view",
                            hint=suggest(grid.view, known),
                            code="FC6002",
                        )
                    )


def _known(document: Document, name: str, table: Table, faults: Faults, *path: str | int) -> None:
    if name not in table.entity.fields:
        hint = suggest(name, table.entity.fields)
        faults.add(document.error(f"{table.name} has no column '{name}'.", *path, hint=hint, code="FC6002"))


def relationships(files: tuple[Loaded[TableFile], ...], faults: Faults) -> dict[tuple[str, str], PersonRelationship]:
    """Relationships to contact and account, by (table, name): what table permissions stand on."""
    found: dict[tuple[str, str], PersonRelationship] = {}
    for item in files:
        for position, definition in enumerate(item.record.relationships):
            if definition.target not in ("contact", "account"):
                faults.add(
                    item.document.error(
                        f"a relationship leads to contact or account, not to {definition.target}.",
                        "relationships",
                        position,
                        "target",
                        hint="Relations between data entities belong to the entity's file.",
                    )
                )
                continue
            match = tuple(definition.match.items())
            key = (item.record.table, definition.name)
            found[key] = PersonRelationship(definition.name, item.record.table, definition.target, match)
    return found


def _rules(
    loaded: Loaded[DataverseRoles] | None, files: Mapping[str, Loaded[TableFile]], faults: Faults
) -> DataverseRules:
    everything = frozenset(Operation)
    native = tuple((name, everything) for name, item in files.items() if item.record.virtual is None)
    roles = {
        BASIC_USER: SecurityRole(BASIC_USER, (("*", everything),)),
        SYSTEM_ADMIN_ROLE: SecurityRole(SYSTEM_ADMIN_ROLE, (("*", everything), *native)),
    }
    if loaded is None:
        return DataverseRules(roles, {})
    for name, definition in loaded.record.roles.items():
        for table in definition.tables:
            if table != "*" and table not in files:
                faults.add(
                    loaded.document.error(
                        f"table '{table}' is not known.",
                        "roles",
                        name,
                        "tables",
                        table,
                        hint=suggest(table, files),
                        code="FC6002",
                    )
                )
        roles[name] = SecurityRole(
            name,
            tuple((table, frozenset(OPERATIONS[item] for item in given)) for table, given in definition.tables.items()),
        )
    for user, given in loaded.record.users.items():
        for name in given:
            if name not in roles:
                faults.add(
                    loaded.document.error(
                        f"security role '{name}' is not known.", "users", user, hint=suggest(name, roles), code="FC6002"
                    )
                )
    return DataverseRules(roles, {user: frozenset(given) for user, given in loaded.record.users.items()})
