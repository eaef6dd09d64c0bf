"""Shapes of the files under ``dataverse/`` of a solution.

``tables/*.yaml``: :class:`TableFile`, either a native table (``columns``) or a virtual one (``virtual`` names the
data entity; its columns are generated, ``mserp_`` + lower-case field name). ``roles.yaml``: :class:`DataverseRoles`.
Vocabulary: pages-and-dataverse B4, B5; operations-and-integration 2.
"""

from __future__ import annotations

from typing import Literal

from forecourt.kernel.label import UNNAMED, Label
from forecourt.kernel.model import AssignAction, DeleteAction
from forecourt.kernel.solution import Record

ColumnType = Literal[
    "text",
    "memo",
    "whole",
    "big",
    "decimal",
    "double",
    "money",
    "date",
    "datetime",
    "choice",
    "choices",
    "yesno",
    "lookup",
    "customer",
    "owner",
    "uniqueid",
    "autonumber",
]
Behavior = Literal["user_local", "date_only", "time_zone_independent"]


class Option(Record, frozen=True):
    value: int
    label: Label


class ColumnDefinition(Record, frozen=True):
    """A column of a native table.

    A choice holds one of its ``options``, choices any number of them.
    A lookup holds the id of a row of ``target``, or of one of ``targets``; a customer that of an account or contact.
    An autonumber fills a row that brings no value: ``SO-{SEQNUM:5}-{RANDSTRING:3}-{DATETIMEUTC:yyyyMM}``.
    """

    type: ColumnType
    label: Label = UNNAMED
    description: str = ""
    schema_name: str = ""
    length: int | None = None
    precision: int | None = None
    min: int | float | None = None
    max: int | float | None = None
    required: bool = False
    default: bool | int | float | str | None = None
    behavior: Behavior = "user_local"
    options: tuple[Option, ...] = ()
    target: str | None = None
    targets: tuple[str, ...] = ()
    relationship: str | dict[str, str] = ""
    on_delete: DeleteAction = "clear"
    on_assign: AssignAction = "none"
    format: str = ""
    seed: int = 1000


class ReasonDefinition(Record, frozen=True):
    """A status reason: a value of ``statuscode``."""

    value: int
    label: Label


class StateDefinition(Record, frozen=True):
    """A value of ``statecode`` with its status reasons. The first reason is the one that the state brings."""

    value: int
    label: Label
    reasons: tuple[ReasonDefinition, ...]


class ManyToManyDefinition(Record, frozen=True):
    """A many-to-many relationship to another table: pairs of ids in a table of their own."""

    name: str
    target: str
    table: str = ""
    set: str = ""


class RelationshipDefinition(Record, frozen=True):
    """A many-to-one relationship to a native table or between virtual tables.

    ``match``: own column -> column of the target, the synthetic form of virtual tables (reference 2.9). ``schema
    name`` is what table permissions name.
    """

    name: str
    target: str
    match: dict[str, str]
    label: Label = UNNAMED


class ViewColumn(Record, frozen=True):
    column: str
    label: Label = UNNAMED
    width: int | None = None


class ViewOrder(Record, frozen=True):
    column: str
    descending: bool = False


class View(Record, frozen=True):
    """A saved query: columns in order, sort, and a filter in OData syntax over the table's columns."""

    id: str
    name: Label
    columns: tuple[str | ViewColumn, ...]
    order: tuple[ViewOrder, ...] = ()
    filter: str = ""


ChartType = Literal["column", "bar", "line", "pie", "doughnut"]
Measure = Literal["count", "sum", "avg", "min", "max"]
DateGrouping = Literal["", "day", "month", "quarter", "year"]


class Chart(Record, frozen=True):
    """A saved query visualization: rows of a view, counted or summed up by a ``category``, of dates by ``grouping``.

    Instead of these, ``data`` and ``presentation`` take the two descriptions of an exported chart, as XML.
    """

    id: str
    name: Label
    type: ChartType = "column"
    category: str = ""
    grouping: DateGrouping = ""
    measure: Measure = "count"
    column: str = ""
    data: str = ""
    presentation: str = ""


class FormColumn(Record, frozen=True):
    column: str
    label: Label = UNNAMED
    read_only: bool = False
    required: bool = False


class FormSection(Record, frozen=True):
    columns: tuple[str | FormColumn, ...]
    label: Label = UNNAMED
    tab: str = ""


class Subgrid(Record, frozen=True):
    """Rows of another table that belong to the form's row: ``relation`` is the collection navigation to them."""

    relation: str
    view: str
    label: Label = UNNAMED
    name: str = ""


class Form(Record, frozen=True):
    name: Label
    sections: tuple[FormSection, ...]
    subgrids: tuple[Subgrid, ...] = ()


class TableFile(Record, frozen=True):
    """One table: a native one, or with ``virtual`` a virtual one. ``extends`` adds to a table that is built in."""

    table: str
    virtual: str | None = None
    extends: bool = False
    set: str | None = None
    schema_name: str = ""
    label: Label = UNNAMED
    label_plural: Label = UNNAMED
    description: str = ""
    ownership: Literal["user", "organization"] = "user"
    primary_id: str | None = None
    primary_name: str | None = None
    states: tuple[StateDefinition, ...] | None = None
    notes: bool = False
    columns: dict[str, ColumnDefinition] = {}
    keys: dict[str, tuple[str, ...]] = {}
    relationships: tuple[RelationshipDefinition, ...] = ()
    many_to_many: tuple[ManyToManyDefinition, ...] = ()
    views: tuple[View, ...] = ()
    forms: tuple[Form, ...] = ()
    charts: tuple[Chart, ...] = ()


PrivilegeName = Literal["read", "create", "write", "delete", "append", "append_to", "assign"]
DepthName = Literal["none", "user", "business_unit", "parent_child", "organization"]


class SecurityRole(Record, frozen=True):
    """Privileges per table, '*' for every virtual table: ``account: {read: business_unit, write: user}``, or a list of
    privileges at organization depth, ``account: [read, write]``."""

    label: str = ""
    tables: dict[str, tuple[PrivilegeName, ...] | dict[PrivilegeName, DepthName]] = {}


class DataverseRoles(Record, frozen=True):
    """``roles.yaml``: security roles, and who holds them from the start, by operations user id. Rows of the tables
    ``systemuserroles`` and ``teamroles`` give further ones."""

    roles: dict[str, SecurityRole] = {}
    users: dict[str, tuple[str, ...]] = {}
