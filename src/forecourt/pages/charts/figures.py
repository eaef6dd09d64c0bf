"""What a chart says to one person: the groups of a view's rows with a number each, named as the person reads them.

Rows are those that the person may read, counted by the database at the portal's door; a chart of a column that is not
open to them, or of a table that is not, is none. Amounts of several currencies are never added up: each has a figure of
its own. Groups of dates stand in their order, all others by their number; beyond :data:`MOST` the rest is one group,
where numbers can be added up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal

from forecourt.dataverse.charts import Drawn, drawn
from forecourt.dataverse.definitions import Chart, ChartType, View
from forecourt.dataverse.rows import GroupQuery, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.principal import Principal
from forecourt.kernel.relation import DateUnit
from forecourt.kernel.types import MOMENTS
from forecourt.pages import formatting
from forecourt.pages.formatting import Locales
from forecourt.pages.lookups import HIDDEN, Lookups
from forecourt.pages.ports import ViewFilter
from forecourt.web.translation import N_

#: Groups of a figure, and of a question to the database, at most.
MOST = 24
SIZE = 500

#: By which parts of a date its groups are told apart.
_PARTS: dict[str, tuple[DateUnit, ...]] = {
    "year": ("year",),
    "quarter": ("year", "quarter"),
    "month": ("year", "month"),
    "day": ("year", "month", "day"),
}

_MEASURES = {
    "count": N_("Number"),
    "sum": N_("Sum"),
    "avg": N_("Average"),
    "min": N_("Least"),
    "max": N_("Greatest"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A group: its name, its number, and the number as it is read."""

    label: str
    value: Decimal
    shown: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart to draw. ``category``, ``measure``: what its columns are called. ``more``: not all groups are here."""

    title: str
    type: ChartType
    category: str
    measure: str
    points: tuple[Point, ...]
    more: bool = False


@dataclass(frozen=True)
class Charts:
    """Reads charts."""

    tables: Tables
    rows: Rows
    view_filter: ViewFilter

    def find(self, chart_id: str, view_id: str) -> tuple[Table, Chart, View] | None:
        """A chart and a view of its table, by their ids."""
        wanted, view_wanted = chart_id.strip("{}").lower(), view_id.strip("{}").lower()
        for table in self.tables.by_name.values():
            chart = next((item for item in table.charts if item.id.lower() == wanted), None)
            view = next((item for item in table.views if item.id.lower() == view_wanted), None)
            if chart is not None and view is not None:
                return table, chart, view
        return None

    async def figures(
        self, principal: Principal, table: Table, chart: Chart, view: View, locales: Locales
    ) -> tuple[Figure, ...]:
        """The chart for the person, one figure for each currency; () where it is not for them. Raises Refusal."""
        wanted = drawn(chart)
        category = table.column(wanted.category) if wanted is not None else None
        column = table.column(wanted.column) if wanted is not None and wanted.column else None
        if wanted is None or category is None or (wanted.column and column is None):
            return ()
        readable = await self.rows.columns(principal, table.name, "read")
        if category.name not in readable or (column is not None and column.name not in readable):
            return ()
        currency = column.currency if column is not None else None
        if currency is not None and currency not in readable:
            return ()  # amounts without their currencies say nothing
        dated = category.kind in MOMENTS and category.enum is None
        parts: tuple[DateUnit | None, ...] = _PARTS[wanted.grouping or "day"] if dated else (None,)
        by = [(category.name, part) for part in parts]
        if currency is not None:
            by.insert(0, (currency, None))
        where, slots = self.view_filter(table, view.filter)
        name = column.name if column is not None else ""
        query = GroupQuery(table.name, tuple(by), wanted.measure, name, where, slots, SIZE)
        try:
            found = await self.rows.groups(principal, query)
        except Refusal as refusal:
            if refusal.status not in (401, 403):
                raise
            return ()
        names = await self._names(principal, category, [row[0][-1] for row in found.rows])
        split: dict[str, list[tuple[tuple[Any, ...], Decimal]]] = {}
        for values, value in found.rows:
            number = formatting.as_number(value)
            if number is None:
                continue
            code = str(values[0] or "") if currency is not None else ""
            own = values[1:] if currency is not None else values
            split.setdefault(code, []).append((own, Decimal(str(number))))
        return tuple(
            self._figure(chart, wanted, category, column, code, groups, names, locales, found.more, len(split) > 1)
            for code, groups in split.items()
        )

    async def _names(self, principal: Principal, category: EntityField, values: Sequence[object]) -> dict[str, str]:
        if not category.targets:
            return {}
        found = await Lookups(self.tables, self.rows).names(principal, ((category, value) for value in values))
        return dict(found)

    def _figure(
        self,
        chart: Chart,
        wanted: Drawn,
        category: EntityField,
        column: EntityField | None,
        code: str,
        groups: Sequence[tuple[tuple[Any, ...], Decimal]],
        names: dict[str, str],
        locales: Locales,
        more: bool,
        several: bool,
    ) -> Figure:
        dated = category.kind in MOMENTS and category.enum is None
        added: dict[str, Decimal] = {}
        for values, number in groups:
            label = (
                _day(values, wanted.grouping, locales) if dated else self._label(category, values[0], names, locales)
            )
            adds = wanted.measure in ("count", "sum")
            added[label] = added[label] + number if adds and label in added else number
        labelled = list(added.items())
        if not dated:
            labelled.sort(key=lambda pair: (-pair[1], pair[0]))
        if len(labelled) > MOST:
            kept = labelled[-MOST:] if dated else labelled[: MOST - 1]
            rest = sum((number for _, number in labelled[MOST - 1 :]), Decimal())
            if dated or wanted.measure not in ("count", "sum"):
                more = True
            else:
                kept = [*kept, (locales.gettext("Others"), rest)]
            labelled = kept
        measure = locales.gettext(_MEASURES[wanted.measure])
        if column is not None:
            measure = f"{measure}: {locales.label(column.label or column.name)}"

        def shown(number: Decimal) -> str:
            if code:
                return formatting.money(number, code, locales)
            return format_decimal(number, "#,##0.##", locale=locales.locale)

        return Figure(
            f"{locales.label(chart.name)} ({code})" if several and code else chart.name,
            wanted.type,
            category.label or category.name,
            measure,
            tuple(Point(label, number, shown(number)) for label, number in labelled),
            more,
        )

    def _label(self, category: EntityField, value: object, names: dict[str, str], locales: Locales) -> str:
        if value is None or value == "":
            return locales.gettext("None")
        if category.targets:
            return names.get(str(value).lower()) or locales.gettext(HIDDEN)
        cell = formatting.cell(category, {category.name: value}, self.tables.enums, locales)
        return cell.text[:80]


def _day(values: Sequence[Any], grouping: str, locales: Locales) -> str:
    """A group of dates, by its parts: year, then quarter or month, then day."""
    if any(value is None for value in values):
        return locales.gettext("None")
    year, *rest = (int(value) for value in values)
    match grouping, rest:
        case "year", _:
            return str(year)
        case "quarter", [quarter]:
            return format_date(dt.date(year, 3 * quarter - 2, 1), "QQQ yyyy", locale=locales.locale)
        case "month", [month]:
            return format_date(dt.date(year, month, 1), "MMM yyyy", locale=locales.locale)
        case _, [month, day]:
            return format_date(dt.date(year, month, day), "medium", locale=locales.locale)
    return str(year)
