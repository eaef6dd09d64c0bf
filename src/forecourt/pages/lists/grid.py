"""A list as a table to show: its columns, its rows as cells, and where their links lead."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from forecourt.dataverse.definitions import View, ViewColumn
from forecourt.dataverse.rows import Row
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy, WriteOperation
from forecourt.kernel.types import Kind
from forecourt.pages import formatting
from forecourt.pages.formatting import Cell, Locales

#: Formats of a list's rows as a file, with their labels.
FORMATS: Mapping[str, str] = {"xlsx": "Excel", "csv": "CSV"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view. ``sort``: address that sorts by it, '' where it cannot; ``sorted``: as ``aria-sort``."""

    name: str
    label: str
    numeric: bool
    sort: str = ""
    sorted: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done with a row, where its link leads."""

    label: str
    url: str
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """What rows offer. ``rights``: that have to be known of each row; ``columns``: that have to be read for it;
    ``of``: the actions of a row."""

    rights: tuple[WriteOperation, ...]
    columns: tuple[str, ...]
    of: Callable[[Row], tuple[Action, ...]]


@dataclass(frozen=True, slots=True)
class Line:
    """A row to show. ``url``: its details, '' where there is no page for them. ``actions``: what it offers."""

    cells: tuple[Cell, ...]
    url: str
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """Everything that the table macro shows."""

    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    total: int | None
    number: int = 1
    pages: int = 1
    next: str = ""
    first: str = ""

    @property
    def acting(self) -> bool:
        """Whether a row offers something."""
        return any(line.actions for line in self.lines)


def view_columns(table: Table, view: View, readable: Collection[str]) -> tuple[tuple[EntityField, str], ...]:
    """The columns of a view that the table has and the person may read, with their labels."""
    found = []
    for item in view.columns:
        name, label = (item.column, item.label) if isinstance(item, ViewColumn) else (item, "")
        column = table.column(name)
        if column is not None and column.name in readable:
            found.append((column, label or column.label or column.name))
    return tuple(found)


def needed(columns: Sequence[EntityField], readable: Collection[str]) -> tuple[str, ...]:
    """The columns to ask for: those shown and the currencies beside their amounts."""
    beside = [name for name in formatting.currencies(columns) if name in readable]
    return tuple(dict.fromkeys([column.name for column in columns] + beside))


def view_order(view: View, readable: Collection[str]) -> tuple[OrderBy, ...]:
    """The order of a view, columns that the person may not read left out: it would tell what they hold."""
    return tuple(OrderBy((item.column,), item.descending) for item in view.order if item.column in readable)


def cells_of(
    row: Row, columns: Sequence[tuple[EntityField, str]], tables: Tables, locales: Locales
) -> tuple[Cell, ...]:
    return tuple(formatting.cell(column, row.values, tables.enums, locales) for column, _ in columns)


def row_url(path: str | None, parameter: str, row: Row) -> str:
    return f"{path}?{quote_plus(parameter)}={row.id}" if path else ""


def key_of(label: str) -> str:
    """A view's name in a URL.

    >>> key_of("Open purchase orders (2026)")
    'open-purchase-orders-2026'
    """
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def is_text(column: EntityField) -> bool:
    """Whether the column is one that a search looks in."""
    return column.kind is Kind.STRING and column.enum is None
