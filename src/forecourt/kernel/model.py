"""The logical model: data entities over joined tables, enums, relations, legal entities.

An :class:`Entity` is a public, updatable view (reference: operations-and-integration 5.1). Dataverse's native tables
are entities too, over one table. Everything here is frozen: a solution is loaded once, a change makes a new model.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from forecourt.kernel.predicate import Column
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind, Scalar


@dataclass(frozen=True, slots=True)
class Where:
    """Where in the solution something was written: shown in messages, explain and audit."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


#: The database's names of types that hold a moment.
TIMESTAMPS = frozenset({"timestamp", "timestamptz"})

NOWHERE = Where("(built in)", 0)


@dataclass(frozen=True, slots=True)
class EnumMember:
    """``value`` is what the database stores; ``symbol`` is what crosses OData; ``choice`` is the Dataverse number."""

    symbol: str
    value: int | str
    label: str
    choice: int = 0


@dataclass(frozen=True)
class Enum:
    name: str
    members: tuple[EnumMember, ...]

    @cached_property
    def by_symbol(self) -> Mapping[str, EnumMember]:
        return {member.symbol: member for member in self.members}

    @cached_property
    def by_value(self) -> Mapping[int | str, EnumMember]:
        return {member.value: member for member in self.members}

    @cached_property
    def by_choice(self) -> Mapping[int, EnumMember]:
        return {member.choice: member for member in self.members}

    @cached_property
    def _labels(self) -> Mapping[str, str]:
        return {str(member.choice): member.label or member.symbol for member in self.members}

    def chosen(self, numbers: str) -> tuple[tuple[str, str], ...]:
        """What a field holds that takes several choices, ``1,3``: each number with its label; one that there is not has
        itself."""
        return tuple((number, self._labels.get(number, number)) for number in numbers.split(","))


@dataclass(frozen=True, slots=True)
class DataSource:
    """A table of an entity. ``on``: pairs (alias.column of an earlier source, column of this table).

    ``writable``: a write of the entity may change this table. The root always is; a joined table only where the
    solution says so, since others may share its rows.
    """

    alias: str
    table: TableName
    join: Literal["root", "inner", "left"] = "root"
    on: tuple[tuple[tuple[str, str], str], ...] = ()
    writable: bool = False


@dataclass(frozen=True, slots=True)
class EntityField:
    """A field of an entity: one column of one source.

    ``nullable``: the answer may hold null (the column, or an outer-joined source). ``storage``: the database's own
    type name (``int4``, ``timestamp``, …) or ''. ``editable``: an update may set it; ``creatable``: a create may;
    grants may narrow both per user. ``required``: a row needs a value (null or '' is refused). ``filled``: a new row
    that brings no value gets one, from a default or a number sequence.

    Virtual tables (reference 2.5, 2.7) use the rest: ``base`` is the data entity's field that this one stands for;
    ``choice``: an enum whose values cross the protocol as choice numbers; ``empty_date``: the day 1900-01-01 in the
    column means null; ``record_of``: the column is a record id, shown as the GUID made of this entity id and it.

    ``several``: a text that holds choice numbers of the enum, ascending, with commas between them, as in ``1,3``.
    ``least``, ``most``: what a number of a native table may be. Lookups of native tables: ``targets`` are the tables
    whose rows the field may name; ``target_column`` is the column beside it that holds which of them it is, '' where
    there is one.
    """

    name: str
    source: str
    column: str
    kind: Kind
    nullable: bool = True
    enum: str | None = None
    editable: bool = True
    label: str = ""
    length: int | None = None
    memo: bool = False
    currency: str | None = None
    storage: str = ""
    base: str = ""
    choice: bool = False
    empty_date: bool = False
    record_of: int | None = None
    creatable: bool = True
    required: bool = False
    targets: tuple[str, ...] = ()
    target_column: str = ""
    filled: bool = False
    least: int | float | None = None
    most: int | float | None = None
    several: bool = False

    @property
    def day(self) -> bool:
        """Whether it is a date over a column that holds a moment: the day of it in UTC, written as its midnight."""
        return self.kind is Kind.DATE and self.storage in TIMESTAMPS

    def at(self, prefix: str = "") -> Column:
        """Its column, under the alias of its source with the prefix."""
        return Column(prefix + self.source, self.column, self.day)


DeleteAction = Literal["none", "restrict", "cascade", "clear"]
AssignAction = Literal["none", "cascade", "active", "user_owned"]


@dataclass(frozen=True, slots=True)
class Through:
    """The intersect table of a many-to-many relation: pairs (field of an end, column of the table)."""

    table: TableName
    own: tuple[tuple[str, str], ...]
    theirs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A navigation from an entity to another: ``on`` pairs (own field, target field); () where ``through`` is given.

    ``column``: the lookup column behind a many-to-one relation of a native table, '' elsewhere. ``on_delete``,
    ``on_assign``: what becomes of the rows of a collection when the row above them is deleted, or gets another owner.
    ``others``: further tables whose rows it may be bound to (an owner is a user, or a team).
    """

    name: str
    target: str
    many: bool
    on: tuple[tuple[str, str], ...]
    column: str = ""
    on_delete: DeleteAction = "none"
    through: Through | None = None
    others: tuple[str, ...] = ()
    on_assign: AssignAction = "none"


@dataclass(frozen=True)
class Entity:
    """A data entity (or a native Dataverse table).

    ``name``: physical name (``PurchPurchaseOrderHeaderV2Entity``); ``public_name``: singular public type name;
    ``collection``: entity set name. ``key``: field names in order. ``company``: the field that holds the legal
    entity, or None for a shared entity. ``record_id``: (alias, column) of a unique 64-bit number of the root table,
    needed for a virtual table, or None. ``virtual_of``: the data entity behind a virtual table, whose security decides.
    ``version``: column of the root table that holds a row's version, '' where the database's own row version is used.
    ``alternate_keys``: further unique keys, name -> field names. ``primary_name``: field whose value names a row.
    ``natural_key``: of a virtual table the fields of the data entity's key: no two rows share them.
    ``pairs``: of a table of a many-to-many relationship's pairs, the fields with the ids of its two ends.
    """

    name: str
    public_name: str
    collection: str
    sources: tuple[DataSource, ...]
    fields: Mapping[str, EntityField]
    key: tuple[str, ...]
    relations: Mapping[str, Relation] = field(default_factory=dict)
    company: str | None = None
    record_id: tuple[str, str] | None = None
    label: str = ""
    label_plural: str = ""
    read_only: bool = False
    declared_id: int | None = None
    virtual_of: str | None = None
    where: Where = NOWHERE
    version: str = ""
    alternate_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    primary_name: str = ""
    pairs: tuple[str, ...] = ()
    natural_key: tuple[str, ...] = ()

    @cached_property
    def entity_id(self) -> int:
        """The number that stands for the entity in virtual-table row ids: declared, or CRC-32 of the name."""
        return self.declared_id if self.declared_id is not None else zlib.crc32(self.name.encode()) & 0x7FFFFFFF

    @property
    def root(self) -> DataSource:
        return self.sources[0]


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """A company: ``id`` is what ``dataAreaId`` holds."""

    id: str
    name: str
    currency: str


@dataclass(frozen=True)
class Model:
    """All entities and enums of one plane."""

    entities: Mapping[str, Entity]
    enums: Mapping[str, Enum] = field(default_factory=dict)
    legal_entities: Mapping[str, LegalEntity] = field(default_factory=dict)
    namespace: str = "Microsoft.Dynamics.DataEntities"

    @cached_property
    def by_collection(self) -> Mapping[str, Entity]:
        return {entity.collection: entity for entity in self.entities.values()}

    @cached_property
    def by_public_name(self) -> Mapping[str, Entity]:
        return {entity.public_name: entity for entity in self.entities.values()}


@dataclass(frozen=True, slots=True)
class Constant:
    """A typed constant of a definition file."""

    value: Scalar
    kind: Kind
