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
from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    Param,
    Predicate,
    all_of,
    operands,
)
from forecourt.kernel.principal import SYSTEM_ADMIN_ROLE as SYSTEM_ADMIN_ROLE
from forecourt.kernel.principal import SYSTEM_ADMINISTRATOR as SYSTEM_ADMINISTRATOR
from forecourt.kernel.relation import Source, TableName, columns_of
from forecourt.security.constructs import NOW as NOW
from forecourt.security.constructs import TODAY as TODAY
from forecourt.security.constructs import ConstructJoin, timed

#: Roles with a fixed meaning (operations-and-integration 3.1, 6).
SECURITY_ADMINISTRATOR = "SysSecSecurityAdministrator"
EXTERNAL_USER = "SystemExternalUser"
PORTAL_USER = "CDSVirtualEntityAuthenticatedPortalUser"
PORTAL_ANONYMOUS = "CDSVirtualEntityAnonymousPortalUser"
ADMINISTRATORS = frozenset({SYSTEM_ADMINISTRATOR, SECURITY_ADMINISTRATOR})

#: The role whose holders no policy constrains (operations-and-integration 4.3): to find out which policy hides a row.
#: Nobody outside ever bypasses, and nobody behind the portal may hold it.
BYPASS = "XDSDataAccessPolicyBypassRole"

#: Roles that nobody may hold who acts for a person of the portal (operations-and-integration 3.1).
NEVER_BEHIND_PORTAL = ADMINISTRATORS | {BYPASS}

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
    """One privilege's permission on one data entity: what it grants and what it denies. A denial in any role, duty or
    privilege wins over every grant, in the legal entities in which the role counts (operations-and-integration 6).

    ``read_fields``/``update_fields`` None: every field. ``actions``: names of those that may be called; no operation
    brings any along. ``modes``: ``/data`` and virtual tables (DataServices), data packages (DataManagement).
    ``denied``: operations; Read among them stands for all. ``denied_read``/``denied_update``: fields; one that may not
    be read may not be updated either.
    """

    entity: str
    operations: frozenset[Operation]
    privilege: str
    read_fields: frozenset[str] | None = None
    update_fields: frozenset[str] | None = None
    where: Where = NOWHERE
    actions: frozenset[str] = frozenset()
    modes: frozenset[Mode] = ALL_MODES
    denied: frozenset[Operation] = frozenset()
    denied_read: frozenset[str] = frozenset()
    denied_update: frozenset[str] = frozenset()
    denied_actions: frozenset[str] = frozenset()

    def denies(self, operation: Operation) -> bool:
        """Whether an operation is denied: Deny Read implies the rest, each other one stands for itself."""
        return operation in self.denied or Operation.READ in self.denied


@dataclass(frozen=True)
class Role:
    """An operations role with the grants of its duties, privileges and sub-roles, flattened.

    ``duties``, ``roles``: names of the duties and sub-roles in it, at any depth. A policy that is bound to a sub-role
    does not constrain who holds only this one (operations-and-integration 4.3).
    """

    name: str
    label: str
    context: str | None
    grants: tuple[Grant, ...]
    where: Where = NOWHERE
    duties: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @cached_property
    def by_entity(self) -> Mapping[str, tuple[Grant, ...]]:
        found: dict[str, list[Grant]] = {}
        for grant in self.grants:
            found.setdefault(grant.entity, []).append(grant)
        return {name: tuple(grants) for name, grants in found.items()}


@dataclass(frozen=True, slots=True)
class DutyRule:
    """A rule for the segregation of duties: nobody should have both (operations-and-integration 6).

    ``overrides``: (subject, reason) where somebody accepted the risk: a role's name, or ``user:<id>``.
    """

    name: str
    first: str
    second: str
    severity: Literal["Low", "Medium", "High"] = "Medium"
    risk: str = ""
    overrides: tuple[tuple[str, str], ...] = ()
    where: Where = NOWHERE

    def concerns(self, duties: frozenset[str]) -> bool:
        """Whether both duties are among these."""
        return self.first in duties and self.second in duties


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constrained table of a policy (operations-and-integration 4.2).

    ``relation``: pairs (own column, column of the table above). ``condition``: what else an expression says, over
    Columns of this node's alias and of those above it, the primary table's among them. A row belongs to one of the
    table above where both hold. ``constrained`` False: only passed through.
    """

    table: TableName
    alias: str
    relation: tuple[tuple[str, str], ...]
    constrained: bool = True
    nested: tuple[Constraint, ...] = ()
    where: Where = NOWHERE
    condition: Predicate = TRUE


@dataclass(frozen=True)
class Policy:
    """An XDS policy (operations-and-integration 4).

    ``sources``/``filter``: the policy query; its first source is the primary table, its predicate speaks of the
    sources' aliases, of ``user.*`` Params, and of NOW and TODAY. ``constructs``: joins of constructs; the ``condition``
    of each is part of ``filter``. ``operations``: those it applies to. ``context``: (type, value).
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
    constructs: tuple[ConstructJoin, ...] = ()
    help_text: str = ""
    obsolete: bool = False
    tags: tuple[str, ...] = ()

    @cached_property
    def tables(self) -> frozenset[TableName]:
        """Every table that the policy constrains."""
        found = {self.primary} if self.constrain_primary else set()
        return frozenset(found | {node.table for node in self.nodes if node.constrained})

    @cached_property
    def nodes(self) -> tuple[Constraint, ...]:
        """Every node of its tree, those that are only passed through included."""
        found: list[Constraint] = []
        pending = list(self.constraints)
        while pending:
            node = pending.pop()
            found.append(node)
            pending.extend(node.nested)
        return tuple(found)

    @cached_property
    def timed(self) -> bool:
        """Whether it depends on the moment of the call."""
        return timed(self.filter) or any(join.construct.timed for join in self.constructs)

    @cached_property
    def columns(self) -> frozenset[tuple[str, str]]:
        """The columns that its query compares, those of constructs left out."""
        return columns_of(all_of(self.filter, *(source.on for source in self.sources)))

    @cached_property
    def user_values(self) -> tuple[str, ...]:
        """The values that its query compares with and a user may lack, as names of Params; the id is always there."""
        parts = [self.filter, *(join.construct.filter for join in self.constructs)]
        found = {item.name for part in parts for item in operands(part) if isinstance(item, Param)}
        return tuple(sorted(name for name in found if name.startswith("user.") and name != "user.id"))


class Scope(IntEnum):
    """Access type of a table permission (pages-and-dataverse A1.2)."""

    GLOBAL = 756150000
    CONTACT = 756150001
    ACCOUNT = 756150002
    PARENT = 756150003
    SELF = 756150004
    CUSTOM = 756150005


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
    """A node of the permission forest. ``web_roles``: names; a child's are ignored, its root's count.

    ``fetch``: of access type Custom, the FetchXML as it is written; ``condition``: its filter over the table's fields.
    """

    id: UUID
    name: str
    table: str
    scope: Scope
    rights: frozenset[Right]
    web_roles: frozenset[str] = frozenset()
    relationship: str | None = None
    parent: UUID | None = None
    where: Where = NOWHERE
    fetch: str = ""
    condition: Predicate = FALSE


class ColumnRight(IntEnum):
    """A column permission's privilege (pages-and-dataverse A1.5)."""

    CREATE = 746610000
    READ = 746610001
    UPDATE = 746610002


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """A column permission profile: for holders of its web roles, what each column of a table allows.

    ``columns``: by logical name; ``others``: what every column allows that is not listed.
    """

    name: str
    table: str
    web_roles: frozenset[str]
    others: frozenset[ColumnRight] = frozenset()
    columns: Mapping[str, frozenset[ColumnRight]] = field(default_factory=dict)
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
    #: Context strings that business logic sets. A policy of context type ContextString with another one is misspelt.
    strings: frozenset[str] = frozenset()
    #: The tables beneath each view of the database.
    views: Mapping[TableName, frozenset[TableName]] = field(default_factory=dict)
    segregation: tuple[DutyRule, ...] = ()

    @cached_property
    def compared(self) -> Mapping[TableName, frozenset[str]]:
        """The columns of each constrained table that some policy compares in place."""
        found: dict[TableName, set[str]] = {}
        for policy in self.policies:
            pairs = [(policy.primary, policy.sources[0].alias, policy.columns)]
            pairs += [(node.table, node.alias, columns_of(node.condition)) for node in policy.nodes]
            for table, alias, columns in pairs:
                found.setdefault(table, set()).update(name for named, name in columns if named == alias)
        return {table: frozenset(names) for table, names in found.items()}

    @cached_property
    def contexts(self) -> frozenset[str]:
        """Every context string that some role carries."""
        return frozenset(role.context for role in self.roles.values() if role.context)


@dataclass(frozen=True)
class PortalRules:
    """``columns``: what ``Webapi/<table>/fields`` opens to ``/_api``, by table; a table not in it is not enabled.
    ``profiles``: column permissions, which hold at every door of the portal."""

    permissions: tuple[TablePermission, ...] = ()
    relationships: Mapping[tuple[str, str], PersonRelationship] = field(default_factory=dict)
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    profiles: tuple[ColumnProfile, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[UUID, TablePermission]:
        return {permission.id: permission for permission in self.permissions}


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
