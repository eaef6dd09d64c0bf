"""Plans carried out: online, one step at a time, each recorded with what takes it back.

One process at a time changes the schema. What touches only new tables is one transaction; every other step is a short
one of its own that waits two seconds for its lock at most, gives way to the work that holds it, and tries again. An
index on a table with rows is built beside its writers. A process that dies leaves a schema that the next plan goes on
from. ``forecourt.schema_change`` has every step that was applied; :func:`undo` takes back the last application.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from forecourt.dataverse.definitions import TableFile
from forecourt.dataverse.design import design
from forecourt.dataverse.schema import LINKS, layout
from forecourt.dataverse.schema_catalog import read_actual
from forecourt.dataverse.schema_plan import Kind, Plan, Step, plan
from forecourt.dataverse.schema_types import SCHEMA
from forecourt.kernel.errors import ForecourtError, Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database, Transaction
from forecourt.store.failures import contended, translated

#: Held by who changes the schema.
_LOCK: Final = 0x464F52455343484D
#: Seconds to wait for another process that does; for a table's lock; how often to try.
_PATIENCE: Final = 120.0
_LOCK_TIMEOUT: Final = 2.0
_ATTEMPTS: Final = 8

_BOOKKEEPING: Final = f"""
create schema if not exists forecourt;
create schema if not exists {SCHEMA};
create table if not exists forecourt.schema_change (
    id bigint generated always as identity primary key,
    application int not null,
    what text not null,
    statement text not null,
    inverse text not null,
    applied_at timestamptz not null default clock_timestamp(),
    undone_at timestamptz);
"""
_NUMBER: Final = "select coalesce(max(application), 0) + 1 from forecourt.schema_change"
_RECORD: Final = "insert into forecourt.schema_change (application, what, statement, inverse) values ($1, $2, $3, $4)"
_LAST: Final = """
select id, application, what, inverse from forecourt.schema_change
where application = (select max(application) from forecourt.schema_change where undone_at is null)
  and undone_at is null
order by id desc
"""
_HISTORY: Final = """
select application, what, statement, inverse <> '', applied_at, undone_at from forecourt.schema_change
order by id desc limit $1
"""


class SchemaError(ForecourtError):
    """The schema cannot be brought to its definitions now; what is done so far stands."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``done``: what was done, step by step; ``notices``: what differs from the definitions and was left as it is.
    ``number``: of the application, 0 where nothing was done."""

    done: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """An applied step. ``reversible``: something takes it back."""

    application: int
    what: str
    statement: str
    reversible: bool
    applied_at: dt.datetime
    undone_at: dt.datetime | None


async def bring_up(database: Database, files: Iterable[TableFile], currency: str = "USD") -> Outcome:
    """Adds what the definitions have and the database lacks, and loses nothing: for every start.

    ``files``: checked, built-in ones first. ``currency``: the base currency of a new database. Raises SchemaError.
    """
    return await _carry_out(database, files, ("add",), currency)


async def apply(database: Database, files: Iterable[TableFile], drop: bool = False, currency: str = "USD") -> Outcome:
    """All that leads to the definitions; with ``drop`` also sets aside what they name no more. Raises SchemaError."""
    return await _carry_out(database, files, ("add", "change", "drop") if drop else ("add", "change"), currency)


async def preview(database: Database, files: Iterable[TableFile], currency: str = "USD") -> Plan:
    """The plan, without doing anything."""
    known = await database.system(
        SystemPlan("look for applied changes", "select to_regclass('forecourt.schema_change') is not null")
    )
    number = 1
    if known[0][0]:
        number = (await database.system(SystemPlan("number the next application", _NUMBER)))[0][0]
    return plan(layout(design(files)), await read_actual(database), number, currency)


async def undo(database: Database) -> Outcome:
    """Takes back the last application that stands, all of it or nothing. Raises SchemaError."""
    async with _alone(database):
        await database.script("bookkeeping of the Dataverse tables", _BOOKKEEPING)
        done: list[str] = []
        number = 0

        async def run(transaction: Transaction) -> None:
            nonlocal number
            done.clear()
            for row in await transaction.fetch(_LAST):
                number = row["application"]
                if row["inverse"]:
                    await _run(transaction, row["what"], row["inverse"])
                    done.append(row["what"])
                await transaction.execute(
                    "update forecourt.schema_change set undone_at = clock_timestamp() where id = $1", row["id"]
                )

        await _patiently(database, "undo", run)
    return Outcome(tuple(done), (), number)


async def history(database: Database, limit: int = 200) -> list[Change]:
    """Applied steps, the last one first."""
    await database.script("bookkeeping of the Dataverse tables", _BOOKKEEPING)
    return [Change(*row) for row in await database.system(SystemPlan("list applied changes", _HISTORY, (limit,)))]


# ------------------------------------------------------------------------------------------------------------ steps


async def _carry_out(database: Database, files: Iterable[TableFile], kinds: Sequence[Kind], currency: str) -> Outcome:
    wanted = layout(design(files))
    async with _alone(database) as connection:
        await database.script("bookkeeping of the Dataverse tables", _BOOKKEEPING + LINKS)
        number: int = (await database.system(SystemPlan("number an application", _NUMBER)))[0][0]
        found = plan(wanted, await read_actual(database), number, currency)
        steps = found.of(*kinds)
        notices = [*found.notices]
        notices += [
            f"left to 'forecourt tables apply': {step.what}." for step in found.of("change") if step not in steps
        ]
        fresh = [step for step in steps if step.fresh]
        if fresh:
            await _patiently(database, "new tables", lambda tx: _all(tx, fresh, number))
        done = [step.what for step in fresh]
        for step in steps[len(fresh) :]:
            try:
                if step.alone:
                    await _online(database, connection, step, number)
                else:
                    await _patiently(database, step.what, lambda tx, step=step: _all(tx, [step], number))  # type: ignore[misc]
                done.append(step.what)
            except SchemaError as error:
                if not step.may_fail or not isinstance(error.__cause__, Refusal):
                    raise
                notices.append(f"rows of today stand against it: {step.what}.")
        return Outcome(tuple(done), tuple(notices), number if done else 0)


async def _all(transaction: Transaction, steps: Sequence[Step], number: int) -> None:
    for step in steps:
        await _run(transaction, step.what, step.sql)
        await transaction.execute(_RECORD, number, step.what, step.sql, step.undo)


async def _run(transaction: Transaction, what: str, sql: str) -> None:
    """One statement. Raises SchemaError with the refusal as its cause; a collision stays the driver's."""
    try:
        await transaction.execute(sql)
    except Exception as error:
        if contended(error):
            raise
        raise SchemaError(f"{what}: the database refuses it.") from translated(error)


async def _patiently(database: Database, what: str, run: Callable[[Transaction], Awaitable[None]]) -> None:
    """A transaction that gives way to others and tries again."""
    for attempt in range(_ATTEMPTS):
        try:
            async with database.transaction(f"change the Dataverse tables: {what}") as transaction:
                await transaction.execute(f"set local lock_timeout = {int(_LOCK_TIMEOUT * 1000)}")
                await run(transaction)
            return
        except Exception as error:
            if not contended(error):
                raise
            if attempt == _ATTEMPTS - 1:
                raise SchemaError(f"{what}: the table is in use. Try again when less is going on.") from error
        await asyncio.sleep(0.1 * 2**attempt)


async def _online(database: Database, connection: Any, step: Step, number: int) -> None:
    """A statement that cannot run inside of a transaction: an index, built beside writers."""
    try:
        await connection.execute(step.sql)
    except Exception as error:
        await connection.execute(step.undo.replace("drop index", "drop index concurrently if exists", 1))
        raise SchemaError(f"{step.what}: the database refuses it.") from translated(error)
    record = SystemPlan("record a change", _RECORD, (number, step.what, step.sql, step.undo))
    await database.system(record)


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[Any]:
    """The right to change the schema, with the connection that holds it. Waiting holds no snapshot, for which the
    build of an index would wait in turn."""
    async with database.connection(slow=True) as connection:
        clock = asyncio.get_running_loop().time
        deadline = clock() + _PATIENCE
        while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
            if clock() > deadline:
                raise SchemaError("Another process is changing the Dataverse tables. Try again later.")
            await asyncio.sleep(0.1)
        try:
            yield connection
        finally:
            await connection.execute("select pg_advisory_unlock($1)", _LOCK)
