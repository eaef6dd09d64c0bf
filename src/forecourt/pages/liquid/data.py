"""A page's way to rows: as the person, at the portal's door, within a number of queries.

Where a permission is missing there are no rows, and ``entity_permission_denied`` says so; a query that is wrong is an
error of the text. Nothing here decides who may read what: :class:`~forecourt.dataverse.rows.Rows` and the fetches do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from liquid import Token

from forecourt.dataverse.rows import Query, Rows
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Relation
from forecourt.kernel.principal import Principal
from forecourt.odata.fetchxml.filters import NO_ENTITY
from forecourt.odata.fetchxml.markup import entity_of, read
from forecourt.pages.liquid.dialect import Clock, gathering
from forecourt.pages.liquid.faults import DataError, Denied, Stop, Unsupported
from forecourt.pages.liquid.records import Record, Reference, fetched, record
from forecourt.pages.liquid.values import Lookup
from forecourt.pages.ports import Fetching, ViewFilter

#: Queries of one page's texts.
MAX_QUERIES = 100

#: Rows beneath a row that are read at a time.
MAX_RELATED = 250

#: Refusals that mean: not for this person.
_DENIED = frozenset({401, 403, 404})


class Data:
    """Reads rows for one page."""

    def __init__(
        self,
        tables: Tables,
        rows: Rows,
        fetches: Fetching,
        view_filter: ViewFilter,
        principal: Principal,
        clock: Clock,
        label: Callable[[str], str] = str,
    ) -> None:
        self.tables = tables
        self.rows = rows
        self.view_filter = view_filter
        self.principal = principal
        self.label = label
        self._fetches = fetches
        self._clock = clock
        self._left = MAX_QUERIES
        self._count = 0
        self._names: dict[tuple[str, str], str | None] = {}
        self._records: dict[tuple[str, UUID], Record | None] = {}

    def may(self, table: str, right: str) -> bool:
        return self.rows.may(self.principal, table, right)

    def fresh(self, name: str) -> str:
        """An id that no other thing on the page has."""
        self._count += 1
        return f"{name}-{self._count}"

    def spend(self) -> None:
        """Counts a query. Raises Stop when there were too many."""
        self._clock.check()
        if self._left <= 0:
            raise Stop(f"a limit is reached: the texts of a page make at most {MAX_QUERIES} queries", token=None)
        self._left -= 1

    async def readable(self, table: str) -> frozenset[str]:
        return await self.rows.columns(self.principal, table, "read")

    async def record(self, table_name: str, row_id: str) -> Record | None:
        """The row of a table with all columns that the person may read; None where it is not for this person."""
        table = self.tables.by_name.get(table_name.lower())
        if table is None:
            raise DataError(f"the table '{table_name[:100]}' does not exist", token=None)
        try:
            key = (table.name, UUID(row_id))
        except ValueError:
            return None
        if key not in self._records:
            self.spend()
            try:
                columns = await self.readable(table.name)
                names = tuple(name for name in table.entity.fields if name in columns)
                row = await self.rows.row(self.principal, table.name, key[1], names)
            except Refusal as refusal:
                if refusal.status not in _DENIED:
                    raise DataError(refusal.message, token=None) from refusal
                self._records[key] = None
            else:
                self._records[key] = record(self, table, row)
        return self._records[key]

    async def name_of(self, table_name: str, row_id: str) -> str | None:
        """The name of a row, None where it is not for this person."""
        key = (table_name, row_id)
        if key not in self._names:
            self._names[key] = await self._name_of(self.tables.by_name.get(table_name), row_id)
        return self._names[key]

    async def _name_of(self, table: Table | None, row_id: str) -> str | None:
        if table is None or table.primary_name not in await self.readable(table.name):
            return None
        self.spend()
        try:
            row = await self.rows.row(self.principal, table.name, UUID(row_id), (table.primary_name,))
        except Refusal as refusal:
            if refusal.status not in _DENIED:
                raise DataError(refusal.message, token=None) from refusal
            return None
        return str(row.values.get(table.primary_name) or "")

    async def related(
        self, table: Table, row_id: UUID, relation: tuple[str, Relation], values: Mapping[str, object]
    ) -> object:
        """What a relation of a row leads to: rows, at most :data:`MAX_RELATED`, or the one row of a lookup, or of a
        virtual table's relation to one row."""
        name, way = relation
        if not way.many and way.column:
            found = values.get(way.column)
            return await self.record(way.target, str(found["id"])) if isinstance(found, Reference) else None
        target = self.tables.by_name.get(way.target)
        if target is None:
            return [] if way.many else None
        self.spend()
        try:
            columns = await self.readable(target.name)
            names = tuple(field for field in target.entity.fields if field in columns)
            query = Query(target.name, names, size=MAX_RELATED if way.many else 1, related=(name, table.name, row_id))
            page = await self.rows.page(self.principal, query)
        except Refusal as refusal:
            if refusal.status not in _DENIED:
                raise DataError(refusal.message, token=None) from refusal
            return [] if way.many else None
        found = [record(self, target, row) for row in page.rows]
        return found if way.many else next(iter(found), None)

    async def fetch(self, text: str, token: Token | None = None) -> Lookup:
        """The results of FetchXML. Raises Refusal for what is not right."""
        self.spend()
        try:
            page = await self._fetches.page(self.principal, text)
        except Refusal as refusal:
            if refusal.surface == NO_ENTITY and _of_the_original(str(entity_of(read(text)).get("name"))):
                gathering.get().append(Unsupported(refusal.message, token=token))
                return _results("", [])
            if refusal.status not in (401, 403):
                raise
            gathering.get().append(Denied(f"the query has no rows for you. {refusal.message}", token=token))
            return _results("", [], denied=True)
        table = self.tables.by_name.get(page.entity)
        rows = [fetched(self, table, page.columns, row) for row in page.rows]
        return _results(page.entity, rows, page.cookie, page.total)

    async def page(self, query: Query) -> tuple[Sequence[Record], int] | None:
        """A page of rows and the number of all; None where the person may not read them."""
        table = self.tables.by_name[query.table]
        self.spend()
        try:
            found = await self.rows.page(self.principal, replace(query, total=True))
        except Refusal as refusal:
            if refusal.status not in _DENIED:
                raise DataError(refusal.message, token=None) from refusal
            return None
        return [record(self, table, row) for row in found.rows], found.total or 0


def _of_the_original(table: str) -> bool:
    """Whether a table that is not here is of the original's own: forums, polls, ads, the site's configuration."""
    return table.startswith(("adx_", "mspp_"))


def _results(
    entity: str, rows: list[Record], cookie: str = "", total: int | None = None, *, denied: bool = False
) -> Lookup:
    return Lookup(
        {
            "entities": rows,
            "entity_name": entity,
            "more_records": bool(cookie),
            "paging_cookie": cookie or None,
            "total_record_count": -1 if total is None else total,
            "total_record_count_limit_exceeded": False,
            "entity_permission_denied": denied,
        }
    )
