"""Tables of the shape of real ones, to try rows out: temporary, of one transaction, gone when it ends.

A copy has the columns, defaults, NOT NULL, checks and keys of its model (``like ... including all``); foreign keys
between the copies are added after the rows. Nothing of the database is changed, and nobody else sees any of it: it
takes the right to temporary tables, which everybody has by default. Selects over the models run over the copies, by
the same compiler as everything else.

Leaves out: triggers, row security, and views, whose rows nobody can write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

from asyncpg import exceptions as pg

from forecourt.kernel.predicate import And, Exists, Not, Or, Predicate
from forecourt.kernel.relation import Select, TableName
from forecourt.store.catalog import Catalog, Table, TableColumn
from forecourt.store.compile import compile_select
from forecourt.store.database import Database, Transaction

#: The schema of temporary tables, whichever session's it is.
TEMPORARY = "pg_temp"

Rows = Mapping[TableName, Sequence[Mapping[str, object]]]


class Rejected(Exception):
    """The database does not take the rows, or may not be asked to; the text says why."""


@dataclass
class Scratch:
    """An open transaction with its copies."""

    _transaction: Transaction
    catalog: Catalog
    _copies: dict[TableName, TableName] = field(default_factory=dict)

    async def copy(self, tables: Collection[TableName]) -> None:
        """Makes an empty copy of each table. From here on, selects mean the copies."""
        for table in tables:
            name = _temporary()
            await self._transaction.execute(
                f"create temp table {_quoted(name.name)} (like {_table(table)} including all) on commit drop"
            )
            self._known(replace(self.catalog.tables[table], name=name))
            self._copies[table] = name

    async def table(self, columns: Mapping[str, str], rows: Sequence[Sequence[object]]) -> TableName:
        """A table of its own: names of columns with their types, and its rows."""
        name = _temporary()
        typed = ", ".join(f"{_quoted(column)} {type_}" for column, type_ in columns.items())
        await self._transaction.execute(f"create temp table {_quoted(name.name)} ({typed}) on commit drop")
        self._known(Table(name, {column: TableColumn(column, type_) for column, type_ in columns.items()}))
        places = ", ".join(f"${place + 1}" for place in range(len(columns)))
        await self._transaction.executemany(f"insert into {_quoted(name.name)} values ({places})", rows)
        return name

    async def fill(self, rows: Rows) -> None:
        """Writes rows into the copies, then holds them to their foreign keys. Raises Rejected."""
        for table, each in rows.items():
            for row in each:
                await self._insert(self._copies[table], row)
        for table, name in self._copies.items():
            for key in self.catalog.tables[table].foreign:
                if key.valid and key.target in self._copies:
                    own, theirs = (", ".join(map(_quoted, part)) for part in (key.columns, key.target_columns))
                    target = _quoted(self._copies[key.target].name)
                    await self._transaction.execute(
                        f"alter table {_quoted(name.name)} add foreign key ({own}) references {target} ({theirs})"
                    )

    async def _insert(self, name: TableName, row: Mapping[str, object]) -> None:
        known = self.catalog.tables[name].columns
        given = {column: value for column, value in row.items() if known[column].generated != "computed"}
        if not given:
            await self._transaction.execute(f"insert into {_quoted(name.name)} default values")
            return
        columns = ", ".join(map(_quoted, given))
        places = ", ".join(f"${place + 1}" for place in range(len(given)))
        await self._transaction.execute(
            f"insert into {_quoted(name.name)} ({columns}) overriding system value values ({places})", *given.values()
        )

    async def sample(self, table: TableName) -> Mapping[str, object]:
        """Some row of a real table, by column; nothing where it is empty."""
        rows = await self._transaction.fetch(f"select * from {_table(table)} limit 1")
        return dict(rows[0]) if rows else {}

    async def read(self, select: Select, values: Mapping[str, object]) -> list[tuple[object, ...]]:
        """The rows of a select, the copies in place of the tables that have one."""
        statement = compile_select(self._moved(select), self.catalog)
        rows = await self._transaction.fetch(statement.sql, *statement.collect((), values))
        return [tuple(row) for row in rows]

    def _known(self, table: Table) -> None:
        self.catalog = replace(self.catalog, tables={**self.catalog.tables, table.name: table})

    def _moved(self, select: Select) -> Select:
        sources = tuple(
            replace(source, table=self._copies.get(source.table, source.table), on=self._within(source.on))
            for source in select.sources
        )
        return replace(select, sources=sources, where=self._within(select.where))

    def _within(self, item: Predicate) -> Predicate:
        match item:
            case Exists(select):
                return Exists(self._moved(select))
            case And(items):
                return And(tuple(map(self._within, items)))
            case Or(items):
                return Or(tuple(map(self._within, items)))
            case Not(child):
                return Not(self._within(child))
            case _:
                return item


@asynccontextmanager
async def scratch(database: Database, catalog: Catalog, reason: str) -> AsyncIterator[Scratch]:
    """A transaction to try rows out in. Nothing of it stays. Raises Rejected for what the database refuses in it."""
    try:
        async with database.transaction(reason) as transaction:
            yield Scratch(transaction, catalog)
    except (pg.PostgresError, pg.InterfaceError) as error:
        raise Rejected(str(error).splitlines()[0]) from error


def _temporary() -> TableName:
    """A name that no statement has been prepared for."""
    return TableName(TEMPORARY, f"scratch_{uuid4().hex[:16]}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table(table: TableName) -> str:
    return f"{_quoted(table.schema)}.{_quoted(table.name)}"
