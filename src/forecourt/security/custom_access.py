"""Access type Custom of table permissions: the filter of a FetchXML as the rows that a permission reaches.

Only the filter counts; attributes, order and paging are passed over (pages-and-dataverse A1.2). Conditions on the
asking user compare with the person's contact, of whom a visitor has none. A query without a filter is refused, since
it would be Global access under another name, and so is one that cannot be read.
"""

from __future__ import annotations

from dataclasses import replace

from forecourt.kernel.errors import DefinitionError, Refusal
from forecourt.kernel.model import Model
from forecourt.kernel.predicate import TRUE
from forecourt.odata.fetchxml.filters import rule_filter
from forecourt.security.rules import Scope, TablePermission


def with_conditions(
    permissions: tuple[TablePermission, ...], model: Model
) -> tuple[tuple[TablePermission, ...], tuple[DefinitionError, ...]]:
    """The permissions, those of access type Custom with their conditions, and what is wrong with these."""
    found: list[TablePermission] = []
    faults: list[DefinitionError] = []
    for permission in permissions:
        entity = model.entities.get(permission.table)
        if permission.scope is Scope.CUSTOM and entity is not None and permission.fetch:
            try:
                condition = rule_filter(permission.fetch, entity, model)
                if condition == TRUE:
                    raise Refusal("FC1001", "Its FetchXML has no condition.", hint="Use access type Global for that.")
            except Refusal as refusal:
                message = f"permission '{permission.name}' has a filter that is not valid: {refusal.message}"
                faults.append(DefinitionError(permission.where.file, permission.where.line, message, refusal.hint))
            else:
                permission = replace(permission, condition=condition)
        found.append(permission)
    return tuple(found), tuple(faults)
