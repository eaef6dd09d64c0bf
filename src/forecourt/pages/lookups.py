"""Lookups: the rows that a person may choose for one, found by their names, and the names of rows already chosen.

Whom a lookup may name is decided where it is written; what is found and named here is what the person may read.
``@find.<column>`` of a form is what the person looks for, ``@found.<column>`` what was last looked for: where the two
differ, the form is shown again with the rows found, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from forecourt.dataverse.rows import Query, Row, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import TRUE, Field, In, Match, Slot
from forecourt.kernel.principal import Principal
from forecourt.kernel.types import Kind
from forecourt.pages import formatting
from forecourt.pages.formatting import Message
from forecourt.pages.inputs import FormField, Section
from forecourt.web.translation import N_

FIND = "@find."
FOUND = "@found."
SEARCH = "@search"

MAX_SEARCH = 100

#: Rows of each table that a search shows.
SHOWN = 10

#: Names are asked for by so many ids at once; few sizes make few statements.
SIZES = (1, 10, 50, 250)

#: The table of currencies, and the column with their codes.
CURRENCIES, CODE = "transactioncurrency", "isocurrencycode"

#: Shown for a row that the person may not read.
HIDDEN = Message(N_("Not visible to you"))


@dataclass(frozen=True, slots=True)
class Choice:
    """A row to choose. ``kind``: what its table is called, where a lookup leads to several."""

    id: str
    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked for and found. ``more``: there are further rows."""

    text: str
    choices: tuple[Choice, ...]
    more: bool


def wanted(sections: Sequence[Section], posted: Mapping[str, str]) -> tuple[FormField, ...]:
    """The lookups whose rows a posted form looks for."""
    found = []
    for item in (item for section in sections for item in section.fields if item.kind == "lookup"):
        typed = posted.get(FIND + item.name, "").strip()
        if posted.get(SEARCH) == item.name or typed != posted.get(FOUND + item.name, typed).strip():
            found.append(item)
    return tuple(found)


@dataclass(frozen=True)
class Lookups:
    """Finds and names rows for one who asks."""

    tables: Tables
    rows: Rows

    async def search(self, principal: Principal, column: EntityField, text: str) -> Search:
        """Rows of the lookup's tables whose names contain ``text``, by name; the first ones where it is empty."""
        text = " ".join(text.split())[:MAX_SEARCH]
        choices: list[Choice] = []
        more = False
        for name in column.targets:
            table = self.tables.by_name.get(name)
            if table is None:
                continue
            title = (table.primary_name,)
            where = Match("contains", Field(title), Slot(0, Kind.STRING)) if text else TRUE
            slots = (text,) if text else ()
            query = Query(name, title, where, slots, (OrderBy(title),), size=SHOWN)
            kind = table.label if len(column.targets) > 1 else ""
            found, further = await self._page(principal, table, query)
            more = more or further
            choices.extend(Choice(str(row.id), _name(table, row), kind) for row in found)
        return Search(text, tuple(choices), more)

    async def names(self, principal: Principal, values: Iterable[tuple[EntityField, object]]) -> Mapping[str, str]:
        """Names of the rows that lookups hold, by id; ids that the person sees no row of are left out."""
        by_table: dict[str, set[UUID]] = {}
        for column, value in values:
            for name in column.targets if value else ():
                if name in self.tables.by_name and (found := uuid_of(value)) is not None:
                    by_table.setdefault(name, set()).add(found)
        names: dict[str, str] = {}
        for name, ids in by_table.items():
            ordered = sorted(ids)
            for start in range(0, len(ordered), SIZES[-1]):
                names.update(
                    await self._named(principal, self.tables.by_name[name], ordered[start : start + SIZES[-1]])
                )
        return names

    async def priced(
        self, principal: Principal, columns: Sequence[EntityField], rows: Sequence[Row]
    ) -> tuple[Row, ...]:
        """The rows with the codes of the currencies that their amounts are in, where a lookup holds these.

        A currency that is not open to the person is not said, as in annotations of the Web API."""
        table = self.tables.by_name.get(CURRENCIES)
        held = [name for name in formatting.currencies(columns) if name.startswith("_")]
        ids = {found for row in rows for name in held if (found := uuid_of(row.values.get(name))) is not None}
        if table is None or not ids:
            return tuple(rows)
        codes = await self._named(principal, table, sorted(ids), CODE)
        return tuple(
            replace(
                row,
                values={
                    **row.values,
                    **{formatting.code_of(name): codes.get(str(row.values.get(name)).lower(), "") for name in held},
                },
            )
            for row in rows
        )

    async def named(self, principal: Principal, columns: Sequence[EntityField], rows: Sequence[Row]) -> tuple[Row, ...]:
        """The rows with the names of the rows that their lookups hold, and the codes of currencies, to be shown."""
        rows = await self.priced(principal, columns, rows)
        lookups = [column for column in columns if column.targets]
        if not lookups:
            return tuple(rows)
        names = await self.names(
            principal, ((column, row.values.get(column.name)) for row in rows for column in lookups)
        )
        return tuple(
            replace(
                row,
                values={
                    **row.values,
                    **{
                        column.name: names.get(str(value).lower(), HIDDEN)
                        for column in lookups
                        if (value := row.values.get(column.name))
                    },
                },
            )
            for row in rows
        )

    async def _named(self, principal: Principal, table: Table, ids: list[UUID], column: str = "") -> Mapping[str, str]:
        """What rows are called, or what a column says of them, by id."""
        title = column or table.primary_name
        size = next(size for size in SIZES if len(ids) <= size)
        slots = (*ids, *(ids[-1:] * (size - len(ids))))
        where = In(Field((table.primary_id,)), tuple(Slot(place, Kind.GUID) for place in range(size)))
        query = Query(table.name, (title,), where, slots, size=size)
        found, _ = await self._page(principal, table, query)
        return {str(row.id): str(row.values.get(title) or "") or _name(table, row) for row in found}

    async def _page(self, principal: Principal, table: Table, query: Query) -> tuple[tuple[Row, ...], bool]:
        """Rows, and whether there are more; none where the person may not read the table or what is asked of it."""
        if not set(query.columns) <= await self.rows.columns(principal, table.name, "read"):
            return (), False
        try:
            page = await self.rows.page(principal, query)
        except Refusal as refusal:
            if refusal.status != 403:
                raise
            return (), False
        return page.rows, page.cursor is not None


def _name(table: Table, row: Row) -> str:
    return str(row.values.get(table.primary_name) or table.label)


def uuid_of(value: object) -> UUID | None:
    """A row's id; None where it is none."""
    try:
        return UUID(str(value))
    except ValueError:
        return None
