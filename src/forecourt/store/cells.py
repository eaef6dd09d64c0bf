"""Single rows and cells, changed around all rules and put back: for proving that nobody notices what he may not read.

Rows travel as JSON, which PostgreSQL turns into a table's own types, so that every table with a primary key is served.
For scratch databases only. Leaves out which changes are worth making (``cli/fuzzing``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from asyncpg import exceptions as pg

from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName
from forecourt.store.catalog import Catalog, Table
from forecourt.store.database import Database
from forecourt.store.tombstones import DELETED

Row = Mapping[str, Any]

_SAMPLE = "select to_jsonb(t)::text from {table} t order by md5(t::text || $1) limit $2"
_FIND = "select to_jsonb(t)::text from {table} t where {key} limit 1"
_UPDATE = 'update {table} t set "{column}" = n."{column}" from jsonb_populate_record(null::{table}, $1) n where {key}'
_DELETE = "delete from {table} t using jsonb_populate_record(null::{table}, $1) n where {key}"
_TRACKED = f"""
select n.nspname, c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace where t.tgname = '{DELETED}'
"""
_INSERT = (
    "insert into {table} ({columns}) overriding system value "
    "select {columns} from jsonb_populate_record(null::{table}, $1) n"
)


@dataclass(frozen=True)
class Change:
    """One change of one row. ``before``, ``after``: the whole row, None where there is none; ``column``: the cell that
    differs, '' for a row that comes or goes."""

    kind: Literal["update", "insert", "delete"]
    table: TableName
    before: Row | None = field(repr=False)
    after: Row | None = field(repr=False)
    column: str = ""

    def undone(self) -> Change:
        """The change back."""
        kinds: Mapping[str, Literal["update", "insert", "delete"]] = {
            "update": "update",
            "insert": "delete",
            "delete": "insert",
        }
        return Change(kinds[self.kind], self.table, self.after, self.before, self.column)


class Cells:
    """The rows of a scratch database."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog
        self._tracked: set[TableName] | None = None

    @property
    def tables(self) -> list[Table]:
        """Tables with a primary key that are not Forecourt's own, by name."""
        found = [
            table
            for table in self._catalog.tables.values()
            if table.primary and not table.view and table.name.schema not in OWN_SCHEMAS
        ]
        return sorted(found, key=lambda table: str(table.name))

    async def sample(self, table: TableName, count: int, seed: str) -> list[Row]:
        """Some rows of a table, the same ones for the same seed."""
        plan = SystemPlan("sample rows", _SAMPLE.format(table=_quoted(table)), (seed, count))
        return [json.loads(row[0]) for row in await self._database.system(plan)]

    async def find(self, table: TableName, values: Row) -> Row | None:
        """The row whose columns have these values, as JSON gives them."""
        columns = self._catalog.tables[table].columns
        key = " and ".join(f"""t."{name}" = ($1::jsonb ->> '{name}')::{columns[name].type}""" for name in values)
        sql = _FIND.format(table=_quoted(table), key=key)
        rows = await self._database.system(SystemPlan("find a row", sql, (json.dumps(dict(values), default=str),)))
        return json.loads(rows[0][0]) if rows else None

    async def transaction_number(self) -> int:
        """A number that later transactions exceed."""
        rows = await self._database.system(SystemPlan("a transaction's number", "select pg_current_xact_id()::text"))
        return int(rows[0][0])

    async def change(self, changes: Iterable[Change]) -> bool:
        """Makes the changes, all or none. False where a constraint of the database does not allow one.

        Triggers are passed over: they would change other columns (a version, a time), which no change back undoes.
        But for the one that remembers what was deleted.
        """
        if self._tracked is None:
            rows = await self._database.system(SystemPlan("tables whose deletes are tracked", _TRACKED))
            self._tracked = {TableName(*row) for row in rows}
        try:
            async with self._database.transaction("change cells") as tx:
                for item in changes:
                    row = item.before if item.kind == "delete" else item.after
                    await tx.execute(f"alter table {_quoted(item.table)} disable trigger user")
                    if item.kind == "delete" and item.table in self._tracked:
                        await tx.execute(f"alter table {_quoted(item.table)} enable trigger {DELETED}")
                    if not (await tx.execute(self._sql(item), json.dumps(row))).endswith(" 1"):
                        raise _Missed
                    await tx.execute(f"alter table {_quoted(item.table)} enable trigger user")
        except (_Missed, pg.IntegrityConstraintViolationError, pg.DataError, pg.RaiseError):
            return False
        return True

    def _sql(self, change: Change) -> str:
        found = self._catalog.tables[change.table]
        table = _quoted(change.table)
        key = " and ".join(f't."{name}" = n."{name}"' for name in found.primary)
        if change.kind == "update":
            return _UPDATE.format(table=table, column=change.column, key=key)
        if change.kind == "delete":
            return _DELETE.format(table=table, key=key)
        stored = [f'"{name}"' for name, column in found.columns.items() if column.generated != "computed"]
        return _INSERT.format(table=table, columns=", ".join(stored))


#: Where Forecourt keeps what is its own: accounts, sessions, tokens, jobs.
OWN_SCHEMAS = frozenset({"forecourt", "pg_catalog", "information_schema"})


class _Missed(Exception):
    """The row is not as it was."""


def _quoted(table: TableName) -> str:
    return f'"{table.schema}"."{table.name}"'
