"""Shapes of the files under ``dataverse/`` of a solution.

``tables/*.yaml``: :class:`TableFile`, either a native table (``columns``) or a virtual one (``virtual`` names the
data entity; its columns are generated, ``mserp_`` + lower-case field name). ``roles.yaml``: :class:`DataverseRoles`.
Vocabulary: pages-and-dataverse B4, B5; operations-and-integration 2.
"""

from __future__ import annotations

from typing import Literal

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
    "yesno",
    "lookup",
    "uniqueid",
]


class Option(Record, frozen=True):
    value: int
    label: str


class ColumnDefinition(Record, frozen=True):
    """A column of a native table. A lookup is stored as the id of a row of ``target``."""

    type: ColumnType
    label: str = ""
    length: int | None = None
    required: bool = False
    target: str | None = None
    options: tuple[Option, ...] = ()


class RelationshipDefinition(Record, frozen=True):
    """A many-to-one relationship to a native table or between virtual tables.

    ``match``: own column -> column of the target, the synthetic form of virtual tables (reference 2.9). ``schema
    name`` is what table permissions name.
    """

    name: str
    target: str
    match: dict[str, str]
    label: str = ""


class ViewColumn(Record, frozen=True):
    column: str
    label: str = ""
    width: int | None = None


class ViewOrder(Record, frozen=True):
    column: str
    descending: bool = False


class View(Record, frozen=True):
    """A saved query: columns in order, sort, and a filter in OData syntax over the table's columns."""

    id: str
    name: str
    columns: tuple[str | ViewColumn, ...]
    order: tuple[ViewOrder, ...] = ()
    filter: str = ""


class FormColumn(Record, frozen=True):
    column: str
    label: str = ""
    read_only: bool = False
    required: bool = False


class FormSection(Record, frozen=True):
    columns: tuple[str | FormColumn, ...]
    label: str = ""


class Subgrid(Record, frozen=True):
    """Rows of another table that belong to the form's row: ``relation`` is the collection navigation to them."""

    relation: str
    view: str
    label: str = ""


class Form(Record, frozen=True):
    name: str
    sections: tuple[FormSection, ...]
    subgrids: tuple[Subgrid, ...] = ()


class TableFile(Record, frozen=True):
    """One table. Exactly one of ``virtual`` and ``columns`` is given."""

    table: str
    virtual: str | None = None
    set: str | None = None
    label: str = ""
    label_plural: str = ""
    primary_id: str | None = None
    primary_name: str | None = None
    columns: dict[str, ColumnDefinition] = {}
    keys: dict[str, tuple[str, ...]] = {}
    relationships: tuple[RelationshipDefinition, ...] = ()
    views: tuple[View, ...] = ()
    forms: tuple[Form, ...] = ()


class SecurityRole(Record, frozen=True):
    """Privileges per table at organisation depth: ``{account: [read, write]}``; '*' for every virtual table."""

    label: str = ""
    tables: dict[str, tuple[Literal["read", "create", "write", "delete"], ...]] = {}


class DataverseRoles(Record, frozen=True):
    """``roles.yaml``: security roles, and who holds them (operations user ids or application client ids)."""

    roles: dict[str, SecurityRole] = {}
    users: dict[str, tuple[str, ...]] = {}
