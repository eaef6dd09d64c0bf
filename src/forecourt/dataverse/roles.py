"""``dataverse/roles.yaml``: security roles as rules, loaded and checked (pages-and-dataverse B4).

Two roles are always there: System Administrator, which passes every check and cannot be defined anew, and the one that
every operations user holds (operations-and-integration 2.13); a solution may say what the second one allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forecourt.dataverse.definitions import DataverseRoles, DepthName, PrivilegeName, SecurityRole
from forecourt.kernel.document import Document, suggest
from forecourt.kernel.model import Entity
from forecourt.security import rules
from forecourt.security.ownership import owned
from forecourt.security.rules import BASIC_USER, SYSTEM_ADMIN_ROLE, DataverseRules, Depth, Privilege
from forecourt.store.folder import Faults, read_file

#: Every virtual table.
VIRTUAL = "*"

DEPTHS: Mapping[DepthName, Depth] = {
    "none": Depth.NONE,
    "user": Depth.USER,
    "business_unit": Depth.BUSINESS_UNIT,
    "parent_child": Depth.PARENT_CHILD,
    "organization": Depth.ORGANIZATION,
}


def load_roles(root: Path, tables: frozenset[str], native: Mapping[str, Entity], faults: Faults) -> DataverseRules:
    """The rules of a solution. ``tables``: names of all tables; ``native``: the entities of those with rows of their
    own."""
    basic = rules.SecurityRole(BASIC_USER, {VIRTUAL: dict.fromkeys(Privilege, Depth.ORGANIZATION)})
    found = {BASIC_USER: basic}
    path = root / "dataverse" / "roles.yaml"
    loaded = read_file(root, path, DataverseRoles, faults) if path.exists() else None
    if loaded is None:
        return DataverseRules(found)
    document = loaded.document
    for name, definition in loaded.record.roles.items():
        if name == SYSTEM_ADMIN_ROLE:
            hint = "Leave it out, or give your role another name."
            faults.add(document.error(f"'{name}' is built in and passes every check.", "roles", name, hint=hint))
            continue
        _check(name, definition, document, tables, native, faults)
        given = {table: privileges(item) for table, item in definition.tables.items()}
        found[name] = rules.SecurityRole(name, given, document.where("roles", name))
    for user, names in loaded.record.users.items():
        for name in names:
            if name not in found and name != SYSTEM_ADMIN_ROLE:
                hint = suggest(name, (*found, SYSTEM_ADMIN_ROLE))
                message = f"security role '{name}' is not known."
                faults.add(document.error(message, "users", user, hint=hint, code="FC6002"))
    return DataverseRules(found, {user: frozenset(names) for user, names in loaded.record.users.items()})


def privileges(item: tuple[PrivilegeName, ...] | dict[PrivilegeName, DepthName]) -> dict[Privilege, Depth]:
    """The privileges on one table; a list of them stands for organization depth."""
    if isinstance(item, dict):
        return {Privilege(name): DEPTHS[depth] for name, depth in item.items()}
    return {Privilege(name): Depth.ORGANIZATION for name in item}


def _check(
    name: str,
    definition: SecurityRole,
    document: Document,
    tables: frozenset[str],
    native: Mapping[str, Entity],
    faults: Faults,
) -> None:
    for table, item in definition.tables.items():
        path = ("roles", name, "tables", table)
        if table != VIRTUAL and table not in tables:
            message = f"table '{table}' is not known."
            faults.add(document.error(message, *path, hint=suggest(table, tables), code="FC6002"))
            continue
        ownable = table in native and owned(native[table])
        for privilege, depth in item.items() if isinstance(item, dict) else ():
            if depth not in ("none", "organization") and not ownable:
                message = f"rows of {'virtual tables' if table == VIRTUAL else table} have no owner: '{depth}' cannot"
                message += " be told apart from all."
                hint = "Write 'organization' or 'none'."
                faults.add(document.error(message, *path, privilege, hint=hint, code="FC6003"))
            elif privilege == "assign" and not ownable:
                message = f"rows of {'virtual tables' if table == VIRTUAL else table} have no owner to assign."
                faults.add(document.error(message, *path, privilege, hint="Leave it out.", code="FC6003"))
