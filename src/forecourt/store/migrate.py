"""Forward-only migrations of Forecourt's own schema, ``forecourt``.

A migration is a name and a script, neither of which changes once it is released; the caller gives them all. Those that
the bookkeeping table does not name are run, in the order given, all in one transaction: either the schema is as new as
the program, or nothing has happened. A script may rest on those before it, in a new database and in one that is brought
up to date: so a module appends to its own scripts, and uses no table of a module that comes later. An advisory lock
lets one process at a time do so; the others then find nothing left to do.

A database that knows a migration which the program lacks was written by a newer program, and is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from forecourt.kernel.errors import ForecourtError
from forecourt.store.database import Database, Transaction

SCHEMA = "forecourt"

#: Any number, as long as nobody else takes the same one.
_LOCK = 0x464F5245434F5552

_BOOKKEEPING = """
create schema if not exists forecourt;
create table if not exists forecourt.migration (
    place int primary key,
    name text not null unique,
    digest text not null,
    applied_at timestamptz not null default now()
);
"""


class MigrationError(ForecourtError):
    """The database was written by another version of the program."""


async def migrate(database: Database, scripts: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Brings the schema up to date. ``scripts``: (name, SQL) in order. Returns the names of those that were run.

    Raises MigrationError when the database holds a migration that is not among ``scripts``, or another of that name.
    """
    async with database.transaction("migrate the schema forecourt") as transaction:
        await transaction.execute("select pg_advisory_xact_lock($1)", _LOCK)
        await transaction.execute(_BOOKKEEPING)
        rows = await transaction.fetch("select name, digest from forecourt.migration order by place")
        done = {str(row["name"]): str(row["digest"]) for row in rows}
        given = dict(scripts)
        for name, digest in done.items():
            if name not in given:
                raise MigrationError(
                    f"Migration {name} of the database is not known. A newer version of Forecourt wrote it."
                )
            if digest != _digest(given[name]):
                raise MigrationError(
                    f"Migration {name} of the database is not the program's. "
                    "Use the version of Forecourt that wrote this database, or a later one."
                )
        missing = [(name, sql) for name, sql in scripts if name not in done]
        for place, (name, sql) in enumerate(missing, len(done)):
            await _apply(transaction, place, name, sql)
    return tuple(name for name, _ in missing)


async def _apply(transaction: Transaction, place: int, name: str, sql: str) -> None:
    await transaction.execute(sql)
    await transaction.execute(
        "insert into forecourt.migration (place, name, digest) values ($1, $2, $3)", place, name, _digest(sql)
    )


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()
