"""A session with a cohort: its table is made and filled, questions are asked of it, and nothing is left behind.

It works on a connection of the system's own. Only temporary tables are written. A question has a time limit; one that
is not answered in time, or not at all, raises :class:`Unanswered`, so that who asks can say so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from asyncpg import exceptions as pg

from forecourt.kernel.observe import SystemWork
from forecourt.store.cohort.attributes import COHORT, LISTS, NUMBER, ROWS, Attributes
from forecourt.store.cohort.statements import NUMBERS
from forecourt.store.database import Database
from forecourt.store.failures import is_gone, refuse
from forecourt.store.lanes import Connection
from forecourt.store.statements import ReadStatement

#: Megabytes that a sort or a hash of one question may take before it goes to disk.
MEMORY = 64

#: Questions are joins without an order of their own, so the planner has to look at all of them. Up to eleven tables it
#: tries every order; beyond, that would take it more memory than a machine has, and it searches as it can.
_SETTINGS = """
set plan_cache_mode = force_custom_plan; set join_collapse_limit = 100; set from_collapse_limit = 100;
set geqo = on; set geqo_threshold = 12; set geqo_effort = 8;
set work_mem = '{memory}MB'; set statement_timeout = {limit}
"""

#: How the text of a value is read before it is stored: a value that a type does not take is null.
_READERS: Mapping[str, Callable[[str], object]] = {
    "int8": int,
    "numeric": Decimal,
    "float8": float,
    "date": dt.date.fromisoformat,
    "timestamp": dt.datetime.fromisoformat,
    "timestamptz": dt.datetime.fromisoformat,
    "uuid": UUID,
}

_BOOLEANS = {"true": "t", "t": "t", "1": "t", "false": "f", "f": "f", "0": "f"}


class Count(NamedTuple):
    """How many rows a person has, and the key of one of them, each part as text."""

    person: int
    rows: int
    key: tuple[str | None, ...]


class Unanswered(Exception):
    """A question that the database did not answer. ``reason``: why, in words of our own."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Session:
    """Asks questions about the people of one cohort."""

    def __init__(self, connection: Connection, limit: float) -> None:
        self._connection = connection
        self._limit = limit

    async def fill(self, attributes: Attributes, people: Sequence[Mapping[str, object]]) -> None:
        """Makes the cohort anew. A person's number is its place in ``people``."""
        columns = {name: key for key, name in attributes.columns.items()}
        types = ", ".join(f"{name} {kind}" for name, (_, kind) in columns.items())
        kinds = sorted({kind for _, kind in attributes.lists})
        lists = "".join(f", value_{kind} {kind}" for kind in kinds)
        await self._connection.execute(
            f"drop table if exists {COHORT}; drop table if exists {LISTS};"
            f"create temporary table {COHORT.name} ({NUMBER} int not null{', ' if types else ''}{types});"
            f"create temporary table {LISTS.name} ({NUMBER} int not null, list int not null{lists})"
        )
        await self._copy(COHORT.name, [NUMBER, *columns], _rows(columns, people))
        if attributes.lists:
            await self._copy(
                LISTS.name, [NUMBER, "list", *(f"value_{kind}" for kind in kinds)], _members(attributes, kinds, people)
            )
        await self._connection.execute(f"analyze {COHORT}; analyze {LISTS}")

    async def carry(self, attributes: Attributes, rows: Sequence[Sequence[object]]) -> None:
        """Makes the table of pairs anew: (number, key, what leads to rows here …)."""
        kinds = [f"k{place} {kind}" for place, kind in enumerate(attributes.carried)]
        await self._connection.execute(
            f"drop table if exists {ROWS};"
            f"create temporary table {ROWS.name} ({', '.join([f'{NUMBER} int not null', 'key text', *kinds])})"
        )
        types = ("int4", "text", *attributes.carried)
        lines = ("\t".join(_text(v, kind) for v, kind in zip(row, types, strict=True)) + "\n" for row in rows)
        names = [NUMBER, "key", *(f"k{place}" for place in range(len(attributes.carried)))]
        await self._copy(ROWS.name, names, lines)
        await self._connection.execute(f"analyze {ROWS}")

    async def chunks(self, statement: ReadStatement, size: int) -> AsyncIterator[list[Any]]:
        """The rows of a statement, so many at a time, never all of them in memory. Raises Unanswered."""
        try:
            async with self._connection.transaction():
                cursor = await self._connection.cursor(statement.sql, *statement.collect((), {}))
                while rows := await cursor.fetch(size):
                    yield list(rows)
        except pg.QueryCanceledError:
            raise Unanswered(f"the database had no answer within {self._limit:g} seconds") from None

    async def _copy(self, table: str, columns: list[str], rows: Iterable[str]) -> None:
        async def source() -> AsyncIterator[bytes]:
            for row in rows:
                yield row.encode()

        await self._connection.copy_to_table(table, columns=columns, source=source(), format="text")

    async def counts(self, statement: ReadStatement, numbers: Sequence[int] = ()) -> list[Count]:
        """The people who have rows. Raises Unanswered."""
        rows = await self._fetch(statement, numbers)
        return [Count(number, count, tuple(key)) for number, count, key in rows if count]

    async def total(self, statement: ReadStatement) -> Count:
        """How many rows there are, whoever asks. Raises Unanswered."""
        ((count, key),) = await self._fetch(statement, ())
        return Count(-1, count, tuple(key or ()))

    async def _fetch(self, statement: ReadStatement, numbers: Sequence[int]) -> list[Any]:
        try:
            return list(await self._connection.fetch(statement.sql, *statement.collect((), {NUMBERS: numbers})))
        except pg.QueryCanceledError:
            raise Unanswered(f"the database had no answer within {self._limit:g} seconds") from None
        except (pg.DiskFullError, pg.OutOfMemoryError, pg.ConfigurationLimitExceededError):
            raise Unanswered("the database has no room for the comparison") from None
        except (pg.DataError, asyncpg.DataError):
            raise Unanswered("a value does not fit the type of the column it is compared with") from None
        except (pg.SyntaxOrAccessError, asyncpg.InterfaceError) as error:
            if is_gone(error):
                raise
            raise Unanswered("the database turned the comparison down") from None


@asynccontextmanager
async def cohort(database: Database, limit: float, memory: int = MEMORY) -> AsyncIterator[Session]:
    """A session. ``limit``: seconds for one question; ``memory``: megabytes for one sort. Raises Unavailable."""
    database.observer(SystemWork("compare what people reach"))
    try:
        async with database.connection(slow=True) as connection:
            await connection.execute(_SETTINGS.format(memory=memory, limit=int(limit * 1000)))
            try:
                yield Session(connection, limit)
            finally:
                if not connection.is_closed():
                    gone = (f"drop table if exists {name}" for name in (COHORT, LISTS, ROWS))
                    await connection.execute("; ".join((*gone, "reset all")))
    except Exception as error:
        if is_gone(error):
            refuse(error)
        raise


def _rows(columns: Mapping[str, tuple[str, str]], people: Sequence[Mapping[str, object]]) -> Iterable[str]:
    for number, person in enumerate(people):
        values = (_text(person[name], kind) for name, kind in columns.values())
        yield "\t".join((str(number), *values)) + "\n"


def _members(attributes: Attributes, kinds: list[str], people: Sequence[Mapping[str, object]]) -> Iterable[str]:
    for number, person in enumerate(people):
        for (name, kind), place in attributes.lists.items():
            values = person[name]
            for value in values if isinstance(values, list | tuple | set | frozenset) else ():
                cells = (_text(value, kind) if other == kind else "\\N" for other in kinds)
                yield "\t".join((str(number), str(place), *cells)) + "\n"


def _text(value: object, kind: str) -> str:
    """A value in PostgreSQL's text format for COPY."""
    if value is None:
        return "\\N"
    text = str(value)
    if kind == "bool":
        return _BOOLEANS.get(text.lower(), "\\N")
    if kind in _READERS:
        try:
            return str(_READERS[kind](text))
        except (ValueError, ArithmeticError):
            return "\\N"
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "")
