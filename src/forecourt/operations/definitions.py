"""Shapes of the files under ``operations/`` of a solution.

``entities/*.yaml``: :class:`EntityFile`; ``enums.yaml``: :class:`EnumsFile`; ``roles.yaml``: :class:`RolesFile`;
``policies/*.yaml``: :class:`PolicyFile`; ``constructs/*.yaml``: :class:`ConstructFile`.
Vocabulary: operations-and-integration 4.1, 4.4, 5.1, 6.

Tables are written ``schema.table``; a column of a joined table is written ``Alias.column``.
"""

from __future__ import annotations

from typing import Literal

from forecourt.kernel.label import UNNAMED, Label
from forecourt.kernel.solution import Record

KindName = Literal["string", "int32", "int64", "decimal", "double", "boolean", "date", "datetime", "guid", "enum"]
Grant = Literal["read", "create", "update", "delete"]
OperationName = Literal["Select", "Insert", "Update", "Delete", "InsertUpdateDelete", "AllOperations"]


class Root(Record, frozen=True):
    """The root (primary) data source. ``record_id``: column with a unique integer per row (RecId)."""

    table: str
    alias: str | None = None
    record_id: str | None = None


class Join(Record, frozen=True):
    """A joined table. ``on``: own column -> ``Alias.column`` of an earlier source (alias left out: the root).
    ``writable``: a write of the entity may create, change and delete its row, which must be the entity's own."""

    table: str
    on: dict[str, str]
    alias: str | None = None
    outer: bool = False
    writable: bool = False


class FieldDefinition(Record, frozen=True):
    """A field. ``column`` is ``Alias.column`` or a column of the root. ``type`` may be left to the database."""

    column: str
    type: KindName | None = None
    enum: str | None = None
    label: Label = UNNAMED
    length: int | None = None
    memo: bool = False
    editable: bool = True
    creatable: bool | None = None
    required: bool = False
    default: str | int | float | bool | None = None
    number_sequence: str | None = None
    currency: str | None = None


class RelationDefinition(Record, frozen=True):
    """A navigation. ``on``: own field -> field of the target entity."""

    entity: str
    on: dict[str, str]
    many: bool = False


class EnumMemberDefinition(Record, frozen=True):
    symbol: str
    value: int | str
    label: Label = UNNAMED


#: Short form ``{No: 0, Yes: 1}`` or a list of members with labels.
EnumDefinition = dict[str, int | str] | tuple[EnumMemberDefinition, ...]


class EntityFile(Record, frozen=True):
    """One data entity. A field may be written short: ``Name: Alias.column``."""

    name: str
    public_name: str
    collection: str
    root: Root
    fields: dict[str, str | FieldDefinition]
    key: tuple[str, ...]
    id: int | None = None
    label: Label = UNNAMED
    label_plural: Label = UNNAMED
    joins: tuple[Join, ...] = ()
    company: str | None = None
    relations: dict[str, RelationDefinition] = {}
    enums: dict[str, EnumDefinition] = {}
    read_only: bool = False


class EnumsFile(Record, frozen=True):
    """Enums that several entities share."""

    enums: dict[str, EnumDefinition]


class NumberSequenceDefinition(Record, frozen=True):
    """A number sequence. ``format``: with ``{number}`` or ``{number:6}`` (digits), and ``{company}``."""

    format: str
    start: int = 1
    step: int = 1
    largest: int | None = None
    per_company: bool = True


class NumberSequencesFile(Record, frozen=True):
    """``number_sequences.yaml``: sequences by name."""

    sequences: dict[str, NumberSequenceDefinition]


class FieldGrants(Record, frozen=True):
    """The fields a grant is limited to, left out: all fields; and those that are denied, whatever else is granted."""

    read: tuple[str, ...] | None = None
    update: tuple[str, ...] | None = None
    deny_read: tuple[str, ...] = ()
    deny_update: tuple[str, ...] = ()


class EntityPermission(Record, frozen=True):
    """What is granted and what is denied; a denial wins over every grant. ``actions``: those of the entity that may be
    called; a right to rows brings none of them along. ``modes``: data services are ``/data`` and virtual tables, data
    management are data packages."""

    grant: tuple[Grant, ...] = ()
    deny: tuple[Grant, ...] = ()
    fields: FieldGrants = FieldGrants()
    actions: tuple[str, ...] = ()
    deny_actions: tuple[str, ...] = ()
    modes: Literal["All", "DataServices", "DataManagement"] = "All"


class PrivilegeDefinition(Record, frozen=True):
    """What one task needs: grants per data entity (by physical name)."""

    entities: dict[str, EntityPermission]
    label: str = ""


class DutyDefinition(Record, frozen=True):
    privileges: tuple[str, ...]
    label: str = ""


class RoleDefinition(Record, frozen=True):
    """``context``: the context string that policies of context type RoleProperty look for."""

    label: str = ""
    duties: tuple[str, ...] = ()
    privileges: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    context: str | None = None


class UserDefinition(Record, frozen=True):
    """An operations user written in the solution. ``roles``: names, or name -> legal entities ([]: all)."""

    id: str
    roles: tuple[str, ...] | dict[str, tuple[str, ...]]
    name: str = ""
    email: str = ""
    company: str = ""
    enabled: bool = True
    language: str = "en-US"
    attributes: dict[str, str] = {}


class UsersTable(Record, frozen=True):
    """Columns of the ERP table that holds users."""

    table: str
    id: str
    name: str | None = None
    email: str | None = None
    company: str | None = None
    enabled: str | None = None
    language: str | None = None


class UserRolesTable(Record, frozen=True):
    table: str
    user: str
    role: str


class UserCompaniesTable(Record, frozen=True):
    """Legal entities to which a user's role is limited; no row for a (user, role): all of them."""

    table: str
    user: str
    role: str
    company: str


class UserTables(Record, frozen=True):
    """Where the ERP database keeps its users and their roles."""

    users: UsersTable
    roles: UserRolesTable
    companies: UserCompaniesTable | None = None


class DutyOverride(Record, frozen=True):
    """A role or a user of whom a conflict of duties has been accepted."""

    reason: str
    role: str | None = None
    user: str | None = None


class DutyRuleDefinition(Record, frozen=True):
    """Two duties that nobody should have at once (segregation of duties)."""

    name: str
    first: str
    second: str
    severity: Literal["Low", "Medium", "High"] = "Medium"
    risk: str = ""
    overrides: tuple[DutyOverride, ...] = ()


class RolesFile(Record, frozen=True):
    """``roles.yaml``."""

    privileges: dict[str, PrivilegeDefinition] = {}
    duties: dict[str, DutyDefinition] = {}
    roles: dict[str, RoleDefinition] = {}
    users: tuple[UserDefinition, ...] = ()
    user_tables: UserTables | None = None
    segregation_of_duties: tuple[DutyRuleDefinition, ...] = ()


class QueryJoin(Record, frozen=True):
    """A table or a construct joined in a query. ``on``: own column, or key of the construct -> ``Alias.column`` (alias
    left out: the primary table)."""

    on: dict[str, str]
    table: str | None = None
    construct: str | None = None
    alias: str | None = None


RangeValue = str | int | float | bool


class Range(Record, frozen=True):
    """A condition of a query. A text that starts with ``$`` names a value of the user: ``$user.id``, ``$user.email``,
    ``$user.company``, ``$user.<attribute>``; or the moment of the call, in UTC: ``$now`` beside a date and time,
    ``$today`` beside a date. Several conditions on one column may stand together (``ge`` and ``lt``)."""

    column: str
    equals: RangeValue | None = None
    not_equals: RangeValue | None = None
    one_of: tuple[RangeValue, ...] | None = None
    lt: RangeValue | None = None
    le: RangeValue | None = None
    gt: RangeValue | None = None
    ge: RangeValue | None = None
    between: tuple[RangeValue, ...] | None = None
    like: str | None = None
    starts_with: str | None = None
    is_null: bool | None = None


class PolicyQuery(Record, frozen=True):
    """Which rows of a query's first table are the user's."""

    joins: tuple[QueryJoin, ...] = ()
    ranges: tuple[Range, ...] = ()


class ConstrainedTable(Record, frozen=True):
    """A constrained table or view and those nested under it. ``relation``: own column -> column of the table above;
    ``expression``: where no such pairs tell it, comparisons with tables above: ``VendTable.party =
    ContactPerson.contactforparty and ContactPerson.inactive = 0``. ``constrained: false``: only passed through."""

    table: str
    relation: dict[str, str] = {}
    expression: str | None = None
    alias: str | None = None
    constrained: bool = True
    tables: tuple[ConstrainedTable, ...] = ()


class Context(Record, frozen=True):
    """When the policy is active: RoleName (``role``), RoleProperty or ContextString (``value``)."""

    type: Literal["RoleName", "RoleProperty", "ContextString"]
    role: str | None = None
    value: str | None = None


class PolicyFile(Record, frozen=True):
    """One XDS policy."""

    name: str
    primary_table: str
    context: Context
    query: PolicyQuery = PolicyQuery()
    label: str = ""
    alias: str | None = None
    constrain_primary: bool = True
    constrained_tables: tuple[ConstrainedTable, ...] = ()
    operation: OperationName = "AllOperations"
    not_exists: bool = False
    enabled: bool = True
    help_text: str = ""
    obsolete: bool = False
    tags: tuple[str, ...] = ()


class ConstructFile(Record, frozen=True):
    """One construct: a set of keys that is the user's own, for queries of policies to join."""

    name: str
    table: str
    keys: dict[str, str]
    query: PolicyQuery = PolicyQuery()
    alias: str | None = None
    label: str = ""
    refresh: Literal["PerSession", "PerInvocation"] = "PerSession"
