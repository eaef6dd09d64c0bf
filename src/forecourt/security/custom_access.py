"""FetchXML in rules: its filter as the rows that a table permission of access type Custom reaches, or that are meant to
be public.

Only the filter counts; attributes, order and paging are passed over (pages-and-dataverse A1.2). Conditions on the
asking user compare with the person's contact, of whom a visitor has none. A query without a filter is refused, since
it would be Global access under another name, and so is one that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from forecourt.kernel.errors import DefinitionError, Refusal
from forecourt.kernel.model import Entity, Model, Where
from forecourt.kernel.predicate import TRUE, Predicate
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
                condition = _filter(permission.fetch, entity, model, "Use access type Global for that.")
            except Refusal as refusal:
                message = f"permission '{permission.name}' has a filter that is not valid: {refusal.message}"
                faults.append(DefinitionError(permission.where.file, permission.where.line, message, refusal.hint))
            else:
                permission = replace(permission, condition=condition)
        found.append(permission)
    return tuple(found), tuple(faults)


def meant(
    rows: Mapping[str, str], public: Mapping[str, object], model: Model, where: Where
) -> tuple[dict[str, Predicate], tuple[DefinitionError, ...]]:
    """Which rows of public tables are meant, by table, and what is wrong with that. ``rows``: FetchXML by table."""
    found: dict[str, Predicate] = {}
    faults: list[DefinitionError] = []
    for name, text in rows.items():
        entity = model.entities.get(name)
        try:
            if entity is None or name not in public:
                raise Refusal("FC1002", "It is not a table under public:.", hint="Say there what may be done to it.")
            found[name] = _filter(text, entity, model, "Leave it out where every row is meant.")
        except Refusal as refusal:
            message = f"public_rows of '{name}' cannot be used: {refusal.message}"
            faults.append(DefinitionError(where.file, where.line, message, refusal.hint))
    return found, tuple(faults)


def _filter(text: str, entity: Entity, model: Model, hint: str) -> Predicate:
    """The rows that a filter admits. Raises Refusal, also where it admits all."""
    condition = rule_filter(text, entity, model)
    if condition == TRUE:
        raise Refusal("FC1001", "Its FetchXML has no condition.", hint=hint)
    return condition
