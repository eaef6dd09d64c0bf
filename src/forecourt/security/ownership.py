"""Dataverse's security roles on rows: how deep a privilege reaches, and which rows that is (pages-and-dataverse B4).

Depths are additive over all roles of a user and of its teams; nothing denies. Of an owned table

    user            the rows whose owner is the user or one of its teams
    business unit   those, and the rows of the business units in which the granting roles are held
    parent-child    those, and the rows of the units beneath
    organization    every row

A table without owner (every virtual table is one) knows all or nothing: any depth is organization. Which depth it is
follows from the roles' names alone, so people of the same roles share statements; whose rows and which units they are
is bound when a statement runs (``standing``).

A lookup that somebody sets needs Append on the row that holds it and AppendTo on the row it names; another owner needs
Assign. A row that is given away may leave the giver's reach. A pair of a many-to-many relationship is made and removed
by who has Append on both of its rows, and read by who reads both, unless a role speaks of the table of pairs itself.

Leaves out: sharing of single rows, the manager hierarchy, secured columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField
from forecourt.kernel.plan import WritePlan
from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    Column,
    Compare,
    Exists,
    InParam,
    Predicate,
    all_of,
    any_of,
)
from forecourt.kernel.principal import Door
from forecourt.kernel.relation import Select, aliases_of
from forecourt.security.rules import SYSTEM_ADMIN_ROLE, DataverseRules, Depth, Operation, Privilege

if TYPE_CHECKING:
    from forecourt.security.lowering import Lowering

#: Columns of an owned table: its owner, a user or team, and the business unit of that owner.
OWNER = "ownerid"
UNIT = "owningbusinessunit"

#: Bound at run time: the ids of the user and of its teams.
OWN = "dataverse.own"

PRIVILEGES = {
    Operation.READ: Privilege.READ,
    Operation.CREATE: Privilege.CREATE,
    Operation.UPDATE: Privilege.WRITE,
    Operation.DELETE: Privilege.DELETE,
}


#: What a privilege on a table of pairs is on the tables of its two ends (pages-and-dataverse B4).
ENDS = {
    Privilege.READ: Privilege.READ,
    Privilege.CREATE: Privilege.APPEND,
    Privilege.DELETE: Privilege.APPEND,
}


def field_of(entity: Entity, column: str) -> EntityField | None:
    """The field of a column of the entity's root table."""
    root = entity.root.alias
    return next((f for f in entity.fields.values() if f.column == column and f.source == root), None)


def owned(entity: Entity) -> bool:
    """Whether rows have an owner and a business unit."""
    return entity.virtual_of is None and field_of(entity, OWNER) is not None and field_of(entity, UNIT) is not None


def units(table: str, privilege: Privilege) -> str:
    """Name of the value that lists the business units a privilege on a table reaches."""
    return f"dataverse.units.{table}.{privilege.value}"


def depth(rules: DataverseRules, roles: frozenset[str], entity: Entity, privilege: Privilege) -> Depth:
    """How far the roles' privilege on a table reaches; on a table of pairs, as far as it does on both ends."""
    if SYSTEM_ADMIN_ROLE in roles:
        return Depth.ORGANIZATION
    if entity.pairs and not spoken_of(rules, roles, entity) and privilege in ENDS:
        tables = [entity.fields[name].targets[0] for name in entity.pairs]
        return min(_deepest(rules, roles, (table,), ENDS[privilege]) for table in tables)
    names = (entity.name, "*") if entity.virtual_of is not None else (entity.name,)
    found = _deepest(rules, roles, names, privilege)
    return found if owned(entity) or found is Depth.NONE else Depth.ORGANIZATION


def _deepest(rules: DataverseRules, roles: frozenset[str], tables: tuple[str, ...], privilege: Privilege) -> Depth:
    return max(
        (
            role.tables.get(table, {}).get(privilege, Depth.NONE)
            for name in roles
            if (role := rules.roles.get(name)) is not None
            for table in tables
        ),
        default=Depth.NONE,
    )


def spoken_of(rules: DataverseRules, roles: frozenset[str], entity: Entity) -> bool:
    """Whether a role says something of the table by its own name."""
    found = (rules.roles.get(name) for name in roles)
    return SYSTEM_ADMIN_ROLE in roles or any(role is not None and entity.name in role.tables for role in found)


def reach(entity: Entity, prefix: str, privilege: Privilege, found: Depth) -> Predicate:
    """The rows of a table that a privilege of this depth reaches."""
    if found in (Depth.NONE, Depth.ORGANIZATION):
        return FALSE if found is Depth.NONE else TRUE
    alias = prefix + entity.root.alias
    own = InParam(Column(alias, OWNER), OWN)
    if found is Depth.USER:
        return own
    return any_of(own, InParam(Column(alias, UNIT), units(entity.name, privilege)))


def rows(lowering: Lowering, entity: Entity, prefix: str, privilege: Privilege) -> Predicate:
    """The rows that the asker reaches with a privilege; all of them at doors that security roles do not guard."""
    if lowering.scope.door is not Door.DATAVERSE:
        return TRUE
    roles = lowering.scope.principal.security_roles
    found = depth(lowering.rules.dataverse, roles, entity, privilege)
    if entity.pairs and found is not Depth.NONE and not spoken_of(lowering.rules.dataverse, roles, entity):
        return all_of(*(_end(lowering, entity, prefix, name, ENDS[privilege]) for name in entity.pairs))
    return reach(entity, prefix, privilege, found)


def _end(lowering: Lowering, entity: Entity, prefix: str, name: str, privilege: Privilege) -> Predicate:
    """The row at one end of a pair is within reach of a privilege."""
    target = lowering.model.entities[entity.fields[name].targets[0]]
    roles = lowering.scope.principal.security_roles
    found = depth(lowering.rules.dataverse, roles, target, privilege)
    return _exists(lowering, entity, prefix, name, target, privilege, found)


def require(lowering: Lowering, entity: Entity, privilege: Privilege) -> None:
    """Raises Refusal FC3001 where no role of the asker has the privilege on the table at any depth."""
    if lowering.scope.door is not Door.DATAVERSE:
        return
    roles = lowering.scope.principal.security_roles
    if depth(lowering.rules.dataverse, roles, entity, privilege) is Depth.NONE:
        raise Refusal(
            "FC3001",
            f"You have no security role with the privilege to {privilege.value.replace('_', ' ')} {entity.name}.",
            source=entity.collection,
        )


@dataclass(frozen=True, slots=True)
class Ties:
    """What a write needs beside its own privilege: of the row as it is (``before``), of the row as it has become
    (``after``). ``leaves``: the row may leave the asker's reach, since its owner is another one."""

    before: Predicate = TRUE
    after: Predicate = TRUE
    leaves: bool = False


NO_TIES = Ties()


def ties(lowering: Lowering, entity: Entity, plan: WritePlan) -> Ties:
    """Assign, Append and AppendTo, for what the asker itself sets. Raises Refusal FC3001."""
    if lowering.scope.door is not Door.DATAVERSE or entity.virtual_of is not None or plan.operation == "delete":
        return NO_TIES
    if entity.pairs and not spoken_of(lowering.rules.dataverse, lowering.scope.principal.security_roles, entity):
        return NO_TIES  # what it takes to make a pair is the right to make it
    given = {name for name, value in plan.changes if value is not None}
    creating = plan.operation == "create"
    before: Predicate = TRUE
    after: Predicate = TRUE
    owner = field_of(entity, OWNER)
    # An owner that business logic sets, or the system by default, is not for the asker's rights to judge.
    trusted = owner is not None and owner.name in {name for name, _ in plan.computed}
    leaves = trusted
    if owner is not None and owner.name in given and owned(entity):
        given.discard(owner.name)
        if creating:
            mine = InParam(Column(entity.root.alias, OWNER), OWN)
            after = any_of(mine, rows(lowering, entity, "", Privilege.ASSIGN))
        else:
            require(lowering, entity, Privilege.ASSIGN)
            before, leaves = rows(lowering, entity, "", Privilege.ASSIGN), True
    appended = {name: entity.fields[name].targets for name in sorted(given) if entity.fields[name].targets}
    if appended:
        require(lowering, entity, Privilege.APPEND)
        append = rows(lowering, entity, "", Privilege.APPEND)
        if not creating:
            before = all_of(before, append)
        elif not trusted:
            after = all_of(after, append)
    for name, tables in appended.items():
        after = all_of(after, _appendable(lowering, entity, name, tables))
    return Ties(before, after, leaves)


def _appendable(lowering: Lowering, entity: Entity, name: str, tables: tuple[str, ...]) -> Predicate:
    """The row that a lookup names is one that the asker may append to; of several possible tables, in one of them."""
    roles = lowering.scope.principal.security_roles
    targets = [lowering.model.entities[table] for table in tables]
    depths = [depth(lowering.rules.dataverse, roles, target, Privilege.APPEND_TO) for target in targets]
    if all(found is Depth.ORGANIZATION for found in depths):
        return TRUE
    if all(found is Depth.NONE for found in depths):
        require(lowering, targets[0], Privilege.APPEND_TO)
    return any_of(
        *(
            _exists(lowering, entity, "", name, target, Privilege.APPEND_TO, found)
            for target, found in zip(targets, depths, strict=True)
            if found is not Depth.NONE
        )
    )


def _exists(
    lowering: Lowering, entity: Entity, prefix: str, name: str, target: Entity, privilege: Privilege, found: Depth
) -> Predicate:
    inner = lowering.fresh("")
    link = Compare("eq", lowering.column(target, inner, target.key[0]), lowering.column(entity, prefix, name))
    where = all_of(link, reach(target, inner, privilege, found))
    return Exists(
        Select(
            sources=lowering.sources(target, inner, Operation.READ, aliases_of(where)),
            where=where,
            nullable=lowering.nullable(target, inner) | lowering.nullable(entity, prefix),
        )
    )
