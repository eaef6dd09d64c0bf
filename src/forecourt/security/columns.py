"""Columns at the portal's doors: what ``Webapi/<table>/fields`` opens, and what column permissions leave of it.

A person for whom no profile of a table counts has all of its columns. Otherwise a column allows what one of the
profiles says that do: by the column's own line, or, where it is not listed, by what the profile says of all others.
``/_api`` opens the listed columns alone, of which column permissions leave some (pages-and-dataverse A1.5, A2.2).

Ours is safer in one point: column permissions hold at every door of the portal, lists, forms and texts included. The
row's id stays readable: a row that somebody may see has to be named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from forecourt.kernel.model import Entity, Model
from forecourt.kernel.principal import Door
from forecourt.security.rules import ColumnProfile, ColumnRight, Operation, PortalRules
from forecourt.security.scope import Scope

RIGHTS = {
    Operation.READ: ColumnRight.READ,
    Operation.CREATE: ColumnRight.CREATE,
    Operation.UPDATE: ColumnRight.UPDATE,
}


def open_columns(rules: PortalRules, scope: Scope, entity: Entity, operation: Operation) -> frozenset[str] | None:
    """The fields of a table that the door opens to the person for an operation; None for all. A pair holds the ids of
    two rows and nothing else: who reaches both rows names them."""
    if not scope.portal_door or entity.pairs:
        return None
    found = permitted(rules, entity, operation, scope.principal.web_roles)
    if scope.door is not Door.PORTAL_API:
        return found
    listed = rules.columns.get(entity.name, frozenset())
    return listed if found is None else listed & found


def permitted(
    rules: PortalRules, entity: Entity, operation: Operation, web_roles: frozenset[str]
) -> frozenset[str] | None:
    """The fields that the column permissions of the web roles allow; None for all."""
    counting = [item for item in rules.profiles if item.table == entity.name and item.web_roles & web_roles]
    if not counting or operation is Operation.DELETE:
        return None
    right = RIGHTS[operation]
    return frozenset(
        name for name in entity.fields if any(right in item.columns.get(name, item.others) for item in counting)
    )


def named(columns: frozenset[str], entity: Entity | None) -> frozenset[str]:
    """Logical names of columns as names of fields: a lookup goes by its own name (``customerid``) or by that of its
    value (``_customerid_value``), which is what requests name."""
    fields = entity.fields.values() if entity is not None and entity.virtual_of is None else ()
    return columns | {field.name for field in fields if field.column in columns}


def opened(columns: Mapping[str, frozenset[str]], model: Model) -> Mapping[str, frozenset[str]]:
    """``Webapi/<table>/fields`` as names of fields."""
    return {table: named(listed, model.entities.get(table)) for table, listed in columns.items()}


def profiled(profiles: tuple[ColumnProfile, ...], model: Model) -> tuple[ColumnProfile, ...]:
    """Profiles with their columns as names of fields."""
    found = []
    for profile in profiles:
        entity = model.entities.get(profile.table)
        columns = {
            name: rights for column, rights in profile.columns.items() for name in named(frozenset({column}), entity)
        }
        found.append(replace(profile, columns=columns))
    return tuple(found)
