"""The rules that decide, as data: grants, policies, table permissions, security roles.

Loaders build them from a solution's files; nothing here decides. Each rule knows where it was written, so that
explain and audit can name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Literal
from uuid import UUID

from forecourt.kernel.model import NOWHERE, Where
from forecourt.kernel.predicate import Predicate
from forecourt.kernel.principal import SYSTEM_ADMIN_ROLE as SYSTEM_ADMIN_ROLE
from forecourt.kernel.principal import SYSTEM_ADMINISTRATOR as SYSTEM_ADMINISTRATOR
from forecourt.kernel.relation import Source, TableName

#: Roles with a fixed meaning (operations-and-integration 3.1, 6).
SECURITY_ADMINISTRATOR = "SysSecSecurityAdministrator"
EXTERNAL_USER = "SystemExternalUser"
PORTAL_USER = "CDSVirtualEntityAuthenticatedPortalUser"
PORTAL_ANONYMOUS = "CDSVirtualEntityAnonymousPortalUser"
ADMINISTRATORS = frozenset({SYSTEM_ADMINISTRATOR, SECURITY_ADMINISTRATOR})

#: The security role that every operations user holds in Dataverse (operations-and-integration 2.13).
BASIC_USER = "Finance and Operations Basic User"


class Operation(StrEnum):
    """What is done to a row."""

    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Mode(StrEnum):
    """The ways to a data entity that a privilege opens (operations-and-integration 5.10)."""

    DATA_SERVICES = "DataServices"
    DATA_MANAGEMENT = "DataManagement"


#: Both ways.
ALL_MODES = frozenset(Mode)


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege's permission on one data entity. ``read_fields``/``update_fields`` None: every field.
    ``actions``: names of those that may be called; no operation brings any along. ``modes``: ``/data`` and virtual
    tables (DataServices), data packages (DataManagement)."""

    entity: str
    operations: frozenset[Operation]
    privilege: str
    read_fields: frozenset[str] | None = None
    update_fields: frozenset[str] | None = None
    where: Where = NOWHERE
    actions: frozenset[str] = frozenset()
    modes: frozenset[Mode] = ALL_MODES


@dataclass(frozen=True)
class Role:
    """An operations role with the grants of its duties, privileges and sub-roles, flattened."""

    name: str
    label: str
    context: str | None
    grants: tuple[Grant, ...]
    where: Where = NOWHERE

    @cached_property
    def by_entity(self) -> Mapping[str, tuple[Grant, ...]]:
        found: dict[str, list[Grant]] = {}
        for grant in self.grants:
            found.setdefault(grant.entity, []).append(grant)
        return {name: tuple(grants) for name, grants in found.items()}


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constrained table of a policy. ``relation``: pairs (own column, column of the table above)."""

    table: TableName
    alias: str
    relation: tuple[tuple[str, str], ...]
    constrained: bool = True
    nested: tuple[Constraint, ...] = ()
    where: Where = NOWHERE


@dataclass(frozen=True)
class Policy:
    """An XDS policy (operations-and-integration 4).

    ``sources``/``filter``: the policy query; its first source is the primary table, its predicate speaks of the
    sources' aliases and of ``user.*`` Params. ``operations``: those it applies to. ``context``: (type, value).
    """

    name: str
    primary: TableName
    sources: tuple[Source, ...]
    filter: Predicate
    constrain_primary: bool
    constraints: tuple[Constraint, ...]
    operations: frozenset[Operation]
    context: tuple[Literal["RoleName", "RoleProperty", "ContextString"], str]
    not_exists: bool = False
    enabled: bool = True
    label: str = ""
    where: Where = NOWHERE

    @cached_property
    def tables(self) -> frozenset[TableName]:
        """Every table that the policy constrains."""
        found = {self.primary} if self.constrain_primary else set()
        pending = list(self.constraints)
        while pending:
            node = pending.pop()
            if node.constrained:
                found.add(node.table)
            pending.extend(node.nested)
        return frozenset(found)


class Scope(IntEnum):
    """Access type of a table permission (pages-and-dataverse A1.2)."""

    GLOBAL = 756150000
    CONTACT = 756150001
    ACCOUNT = 756150002
    PARENT = 756150003
    SELF = 756150004


class Right(StrEnum):
    """A table permission's privilege."""

    READ = "read"
    WRITE = "write"
    CREATE = "create"
    DELETE = "delete"
    APPEND = "append"
    APPEND_TO = "appendto"


@dataclass(frozen=True, slots=True)
class TablePermission:
    """A node of the permission forest. ``web_roles``: names; a child's are ignored, its root's count."""

    id: UUID
    name: str
    table: str
    scope: Scope
    rights: frozenset[Right]
    web_roles: frozenset[str] = frozenset()
    relationship: str | None = None
    parent: UUID | None = None
    where: Where = NOWHERE


@dataclass(frozen=True, slots=True)
class PersonRelationship:
    """A many-to-one relationship of a table to contact or account, by values.

    ``match``: pairs (own column, column of contact or account).
    """

    name: str
    table: str
    target: str
    match: tuple[tuple[str, str], ...]


class Privilege(StrEnum):
    """What a Dataverse security role allows on a table (pages-and-dataverse B4)."""

    CREATE = "create"
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    APPEND = "append"
    APPEND_TO = "append_to"
    ASSIGN = "assign"


class Depth(IntEnum):
    """How far a privilege reaches; the numbers are Dataverse's depth masks. A deeper one includes the shallower.

    ``USER``: rows of the user's own and of its teams; ``BUSINESS_UNIT``: rows of the unit in which the role is held;
    ``PARENT_CHILD``: those of the units beneath it, too.
    """

    NONE = 0
    USER = 1
    BUSINESS_UNIT = 2
    PARENT_CHILD = 4
    ORGANIZATION = 8


@dataclass(frozen=True)
class SecurityRole:
    """A Dataverse security role: table -> privilege -> depth. Table ``*`` stands for every virtual table."""

    name: str
    tables: Mapping[str, Mapping[Privilege, Depth]] = field(default_factory=dict)
    where: Where = NOWHERE


@dataclass(frozen=True)
class OperationsRules:
    roles: Mapping[str, Role] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    external_users: Literal["policy-required", "open"] = "policy-required"

    @cached_property
    def contexts(self) -> frozenset[str]:
        """Every context string that some role carries."""
        return frozenset(role.context for role in self.roles.values() if role.context)


@dataclass(frozen=True)
class PortalRules:
    """``columns``: what ``Webapi/<table>/fields`` opens to ``/_api``, by table; a table not in it is not enabled."""

    permissions: tuple[TablePermission, ...] = ()
    relationships: Mapping[tuple[str, str], PersonRelationship] = field(default_factory=dict)
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class DataverseRules:
    """``users``: security roles by operations user id, beside the one that every user holds and those that rows of the
    tables give (``standing``). The role System Administrator passes every check and is never among ``roles``."""

    roles: Mapping[str, SecurityRole] = field(default_factory=dict)
    users: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """Everything that decides, of all layers."""

    operations: OperationsRules = OperationsRules()
    portal: PortalRules = PortalRules()
    dataverse: DataverseRules = DataverseRules()
