"""Which servers run, and by which reading of the solution's files each serves.

A server reads the rules once, when it starts. A *reload* asks all of them to read the files again, and each says by
which reload it serves: who asked waits until all have, and knows then that the next request of any server is decided by
the new rules. A server that has not been seen for :data:`GONE` seconds is not waited for. Leaves out the reading itself
(``cli/serving``).
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database
from forecourt.store.lanes import Record

SCRIPTS: Final = (
    (
        "servers",
        """
    create table forecourt.server (
        id uuid primary key,
        host text not null,
        process int not null,
        seen timestamptz not null,
        reload bigint not null,
        digest text not null,
        refused text not null default '');
    create table forecourt.reload (
        id bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(),
        digest text not null);
    """,
    ),
)

#: Seconds after which a server that has not been seen is gone.
GONE: Final = 10

_BEAT: Final = """
with gone as (delete from forecourt.server where seen < clock_timestamp() - make_interval(secs => 3600))
insert into forecourt.server (id, host, process, seen, reload, digest, refused)
values ($1, $2, $3, clock_timestamp(), $4, $5, $6)
on conflict (id) do update set seen = excluded.seen, reload = excluded.reload, digest = excluded.digest,
    refused = excluded.refused
"""
_LIVE: Final = f"""
select host, process, reload, digest, refused from forecourt.server
where seen > clock_timestamp() - make_interval(secs => {GONE}) order by host, process
"""


@dataclass(frozen=True, slots=True)
class Served:
    """A server: the ``reload`` that it has taken up, the ``digest`` of the files that it serves by, and why it
    ``refused`` to take it up and serves as before, '' where it did not."""

    host: str
    process: int
    reload: int
    digest: str
    refused: str = ""


class Servers:
    """The servers of a database. ``database``: of the Dataverse plane."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last(self) -> int:
        """The number of the last reload, 0 for none."""
        rows = await self._system("which rules are wanted", "select coalesce(max(id), 0) from forecourt.reload")
        return int(rows[0][0])

    async def ask(self, digest: str) -> int:
        """Asks for a reload; its number. ``digest``: of the files as who asks has them."""
        sql = "insert into forecourt.reload (digest) values ($1) returning id"
        return int((await self._system("ask for a reload", sql, digest))[0][0])

    async def live(self) -> list[Served]:
        """The servers that run."""
        rows = await self._system("which servers run", _LIVE)
        return [Served(str(row[0]), int(row[1]), int(row[2]), str(row[3]), str(row[4])) for row in rows]

    async def leave(self, server: UUID) -> None:
        """A server that stops."""
        await self._system("a server stops", "delete from forecourt.server where id = $1", server)

    async def beat(self, server: UUID, served: Served) -> None:
        """Says that a server runs, and by what."""
        args = (server, served.host, served.process, served.reload, served.digest, served.refused)
        await self._system("a server runs", _BEAT, *args)

    async def _system(self, reason: str, sql: str, *args: object) -> list[Record]:
        return await self._database.system(SystemPlan(reason, sql, args))


def here(reload: int, digest: str) -> tuple[UUID, Served]:
    """This process as a server that has just started."""
    return uuid4(), Served(socket.gethostname(), os.getpid(), reload, digest)
