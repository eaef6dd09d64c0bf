"""Seals: what makes the logs tamper-evident.

A seal covers entries of one log by their exact numbers, holds the hash of their contents, and is chained to the seal
before it: ``sha256(hash before || numbers || sha256 of each entry, by number)``. An entry that is changed or removed
breaks its seal; a seal that is changed or removed breaks the chain. Numbers are given out before a transaction commits,
so a seal covers what has been committed, and a later one what came late; numbers of transactions that were undone are
covered by none.

What a chain cannot show is that its own end was cut off: whoever owns the database can remove the last seals with
their entries. So every new seal is also told to the observers (the process's own log), and ``verify`` takes such an
*anchor*: a seal that must be there. Entries wait a few seconds for their seal; :meth:`Seals.verify` counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from forecourt.kernel.observe import Observer, Sealed
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

#: The logs by name: their table, and the columns that a seal vouches for, beside ``id``.
LOGS: Final[Mapping[str, tuple[str, str]]] = {
    "security": (
        "forecourt.security_log",
        "id, extract(epoch from at)::text, kind, actor, subject, outcome, door, count, detail",
    ),
    "integration": (
        "forecourt.integration_log",
        "id, extract(epoch from at)::text, work, principal, map, engine, direction, target, operation, rows, fields, "
        "keys, span, caused_by",
    ),
}

SCRIPTS: Final = (
    (
        "log_seals",
        """
    create table forecourt.log_seal (
        log text not null,
        number bigint not null,
        entries int8multirange not null,
        count bigint not null,
        at timestamptz not null default clock_timestamp(),
        before bytea not null,
        hash bytea not null,
        primary key (log, number));
    create trigger log_seal_stays before update or delete or truncate on forecourt.log_seal
        for each statement execute function forecourt.log_stays();
    """,
    ),
)

#: Entries in one seal at most.
SIZE: Final = 20_000

#: Seals at the end of the chain that late entries are looked for behind.
RECENT: Final = 2_000

_LOCK: Final = 0x464F525345414C

_HASH: Final = """sha256({before} || convert_to({entries}::text, 'UTF8') || coalesce((
        select string_agg(sha256(convert_to(jsonb_build_array({columns})::text, 'UTF8')), ''::bytea order by id)
        from {table} where id >= lower({entries}) and id < upper({entries}) and id <@ {entries}), ''::bytea))"""

_SEAL: Final = """
with recent as materialized (
    select number, entries, hash from forecourt.log_seal where log = $1 order by number desc limit {recent}),
covered as (select range_agg(entries) as entries from (
    select unnest(entries) as entries from recent) as part),
floor as (select case when count(*) < {recent} then 0 else min(lower(entries)) end as id from recent),
open as (
    select range_agg(int8range(id, id, '[]')) as entries, count(*) as count from (
        select id from {table} where id >= (select id from floor)
          and not exists (select from covered where covered.entries @> id)
        order by id limit {size}) as found),
last as (select number, hash from recent order by number desc limit 1)
insert into forecourt.log_seal (log, number, entries, count, before, hash)
select $1, coalesce(last.number, 0) + 1, open.entries, open.count, coalesce(last.hash, ''::bytea), {hash}
from open left join last on true where open.count > 0
returning number, count, encode(hash, 'hex')
"""
_VERIFY: Final = """
select number, count, at, encode(hash, 'hex') as hash,
    before is not distinct from lag(hash, 1, ''::bytea) over chain as chained,
    number = row_number() over chain as follows,
    hash = {hash} as holds,
    (select count(*) from {table}
     where id >= lower(entries) and id < upper(entries) and id <@ entries) as found
from forecourt.log_seal seal where log = $1 window chain as (order by number) order by number
"""
_WAITING: Final = """
with covered as (select range_agg(part) as entries from forecourt.log_seal, unnest(entries) as part where log = $1)
select count(*) from {table} where not exists (select from covered where covered.entries @> id)
"""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A seal that somebody has noted elsewhere: ``log:number:hash``, the hash in hex."""

    log: str
    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.log}:{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Breach:
    """What does not hold: the seal's number, 0 where none is meant."""

    log: str
    seal: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``sealed``: entries under seals that hold; ``waiting``: those without one; ``head``: the last seal, if any."""

    log: str
    seals: int
    sealed: int
    waiting: int
    head: Anchor | None
    breaches: tuple[Breach, ...]


class Seals:
    """Seals the logs of a database, and verifies them."""

    def __init__(self, database: Database, observer: Observer) -> None:
        self._database = database
        self._observer = observer

    async def seal(self) -> int:
        """Seals what waits. Returns how many entries were."""
        return sum([await self._seal(log) for log in LOGS])

    async def _seal(self, log: str) -> int:
        sql, done = _statement(_SEAL, log, "coalesce(last.hash, ''::bytea)", "open.entries"), 0
        while True:
            async with self._database.transaction("seal a log") as transaction:
                await transaction.execute("select pg_advisory_xact_lock($1)", _LOCK)
                rows = await transaction.fetch(sql, log)
            if not rows:
                return done
            number, count, digest = rows[0]
            self._observer(Sealed(str(Anchor(log, number, digest)), count))
            done += int(count)
            if count < SIZE:
                return done

    async def verify(self, anchors: Iterable[Anchor] = ()) -> list[Verdict]:
        """Each log's verdict. ``anchors``: seals that must be there."""
        noted = list(anchors)
        return [await self._verify(log, [anchor for anchor in noted if anchor.log == log]) for log in LOGS]

    async def _verify(self, log: str, anchors: list[Anchor]) -> Verdict:
        rows = await self._database.system(
            SystemPlan("verify a log", _statement(_VERIFY, log, "before", "entries"), (log,))
        )
        breaches: list[Breach] = []
        sealed = 0
        for row in rows:
            number = int(row["number"])
            faults = [
                (not row["follows"], "a seal before it is missing"),
                (row["follows"] and not row["chained"], "it is not chained to the seal before it"),
                (row["found"] != row["count"], f"it covers {row['count']} entries, and {row['found']} are there"),
                (row["found"] == row["count"] and not row["holds"], "an entry under it, or the seal, was changed"),
            ]
            found = [Breach(log, number, text) for wrong, text in faults if wrong]
            breaches += found
            sealed += 0 if found else int(row["count"])
        hashes = {int(row["number"]): str(row["hash"]) for row in rows}
        for anchor in anchors:
            if hashes.get(anchor.number) != anchor.hash:
                what = "was removed" if anchor.number not in hashes else "is another one"
                breaches.append(Breach(log, anchor.number, f"the seal that was noted {what}"))
        last = max(hashes, default=0)
        head = Anchor(log, last, hashes[last]) if last else None
        return Verdict(log, len(rows), sealed, await self._waiting(log), head, tuple(breaches))

    async def _waiting(self, log: str) -> int:
        sql = _WAITING.format(table=LOGS[log][0])
        rows = await self._database.system(SystemPlan("count what waits for a seal", sql, (log,)))
        return int(rows[0][0])


def anchor(text: str) -> Anchor:
    """``log:number:hash``. Raises ValueError."""
    log, number, digest = text.split(":")
    if log not in LOGS or len(digest) != 64:
        raise ValueError(text)
    return Anchor(log, int(number), digest.lower())


def _statement(sql: str, log: str, before: str, entries: str) -> str:
    table, columns = LOGS[log]
    digest = _HASH.format(before=before, entries=entries, columns=columns, table=table)
    return sql.format(table=table, hash=digest, recent=RECENT, size=SIZE)
