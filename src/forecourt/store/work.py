"""Units of work: what happens in one database or in two, and happens wholly or not at all.

With one database that has been written to, a unit of work is its transaction. With two, the operations database's part
is *prepared* and the Dataverse database decides::

    begin      both transactions; Dataverse's takes an advisory lock on the number of the work
    settle     live dual-write adds what the other side needs
    prepare    PREPARE TRANSACTION in operations, while Dataverse inserts its row of ``forecourt.decision``
    decide     COMMIT in Dataverse: with that row, the work is done; without it, it never was
    finish     COMMIT PREPARED in operations, which may come late: ``recovery`` sees to it

It is always the Dataverse database that decides, whichever side a write starts on: an attached ERP database needs no
table of ours for it. What the integration has written is logged there too, by the statement that decides, or in one
message with the commit where there is nothing to decide (``integration_log``). Whoever looks for the decision takes
the lock first, and so waits for a transaction that a cut connection has left running. Leaves out: the statements
(``unit``), finishing after a crash (``recovery``).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from asyncpg.exceptions import LockNotAvailableError

from forecourt.kernel.change import NoPartner, Partner
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.integration_log import Entries
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.steps import Step, unwatched
from forecourt.store.database import Database
from forecourt.store.failures import ATTEMPTS, contended, is_gone, refuse
from forecourt.store.integration_log import decision, insertion
from forecourt.store.unit import Unit

T = TypeVar("T")

#: The instants of a unit of work (see ``kernel/steps``). The decision's row and the prepared part come in either order.
STEPS: Final = (
    "work: begun",
    "work: attempted",
    "work: settled",
    "work: decision noted",
    "work: target prepared",
    "work: prepared",
    "work: undoing",
    "work: committing",
    "work: committed",
    "work: finished",
)

#: Seconds to wait for another transaction's row: a deadlock across two databases is seen by neither.
LOCK_TIMEOUT = 4.0

#: The table of decisions, in the Dataverse database, and the name of this decider.
SCRIPTS: Final = (
    (
        "decisions",
        """
    create schema if not exists forecourt;
    create table forecourt.decision (
        id bigint primary key,
        at timestamptz not null default now());
    create table forecourt.decider (
        name uuid primary key default gen_random_uuid(),
        single boolean not null unique default true check (single));
    insert into forecourt.decider default values;
    """,
    ),
)


class Contended(Exception):
    """The same unit of work may succeed when it is tried again; ``refusal`` says what stands in its way if not."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class Work:
    """One unit of work. ``notes``: what those who take part in it keep for its time; ``entries``: of the integration
    log, written with the commit; ``caused_by``: label of whoever's write it began with, '' where nobody's did."""

    def __init__(self, coordinator: Coordinator, reason: str, slow: bool) -> None:
        self.reason = reason
        self.id = secrets.randbits(62)
        self.notes: dict[object, object] = {}
        self.entries = Entries()
        self.caused_by = ""
        self.units: dict[int, Unit] = {}
        self._coming: dict[int, asyncio.Task[Unit]] = {}
        self._coordinator = coordinator
        self._slow = slow

    async def unit(self, database: Database) -> Unit:
        """The part of the work in a database; its transaction begins with the first use."""
        found = self.units.get(id(database))
        if found is None:
            coming = self._coming.pop(id(database), None)
            found = await (coming or self._coordinator.begin(database, self.id, self._slow))
            self.units[id(database)] = found
        return found

    def foresee(self, database: Database) -> None:
        """Begins the part in a database beside what is done meanwhile: it is going to be used."""
        if id(database) not in self.units and id(database) not in self._coming:
            begin = self._coordinator.begin(database, self.id, self._slow)
            self._coming[id(database)] = asyncio.create_task(begin)

    async def gather(self) -> None:
        """What was foreseen and not used is there now, or could not be begun."""
        coming, self._coming = self._coming, {}
        for key, unit in zip(coming, await asyncio.gather(*coming.values(), return_exceptions=True), strict=True):
            if isinstance(unit, Unit):
                self.units[key] = unit

    async def abandon(self) -> None:
        """Undoes everything."""
        await self.gather()
        units, self.units = list(self.units.values()), {}
        for unit in units:
            await unit.abandon()


class Coordinator:
    """Opens, repeats and ends units of work over the databases named ``operations`` and ``dataverse`` (which may be one
    and the same). ``partner``: who takes part in each. ``step``: told each label of ``STEPS``."""

    def __init__(
        self, databases: Mapping[str, Database], partner: Partner | None = None, step: Step = unwatched
    ) -> None:
        self.databases = dict(databases)
        self.partner: Partner = partner or NoPartner()
        self.operations = self.databases["operations"]
        self.decider = self.databases.get("dataverse", self.operations)
        self.step = step
        self._name: str | None = None

    @property
    def shared(self) -> bool:
        """Whether both planes are in one database, where one transaction does it all."""
        return self.decider is self.operations

    async def run(
        self, attempt: Callable[[Work], Awaitable[T]], reason: str, settle: bool = True, slow: bool = False
    ) -> T:
        """Runs ``attempt`` in a unit of work and commits it. What it raises undoes everything.

        ``attempt`` runs again after a collision with another transaction. ``settle``: whether the partner takes part.
        ``slow``: statements have no time limit.
        """
        last: Exception | None = None
        for count in range(ATTEMPTS):
            if count:
                await asyncio.sleep(0.01 * count + secrets.randbelow(20) / 1000)
            work = Work(self, reason, slow)
            try:
                result = await attempt(work)
                await self.step("work: attempted")
                if settle:
                    await self.partner.settle(work)
                await self.step("work: settled")
                await self._commit(work)
            except BaseException as error:
                await work.abandon()
                await self.partner.settled(work, False)
                if not isinstance(error, Exception) or not (isinstance(error, Contended) or contended(error)):
                    raise
                last = error
            else:
                await self.partner.settled(work, True)
                return result
        assert last is not None
        if isinstance(last, Contended):
            raise last.refusal
        refuse(last)

    async def begin(self, database: Database, number: int, slow: bool = False) -> Unit:
        """Begins a transaction of a unit of work."""
        lane = database.connection(slow)
        connection = await lane.__aenter__()
        lock = f"; select pg_advisory_xact_lock({number})" if database is self.decider and not self.shared else ""
        try:
            await connection.execute(
                f"begin; set local forecourt.origin = 'work'; set local lock_timeout = {int(LOCK_TIMEOUT * 1000)}{lock}"
            )
        except BaseException as error:
            connection.terminate()
            with suppress(BaseException):
                await lane.__aexit__(type(error), error, error.__traceback__)
            if isinstance(error, Exception):
                refuse(error)
            raise
        await self.step("work: begun")
        return Unit(database, connection, lane)

    # -- the end --------------------------------------------------------------------------------------------------

    async def _commit(self, work: Work) -> None:
        writers = [unit for unit in work.units.values() if unit.wrote]
        if work.entries and all(unit.database is not self.decider for unit in writers):
            writers.append(await work.unit(self.decider))
        for unit in work.units.values():
            if writers and unit not in writers:  # its locks have to be held until all is written
                await unit.system(SystemPlan("see that locks are held", "select 1"), writes=False)
        if len(writers) > 1:
            await self._decide(work)
        elif writers:
            await self.step("work: committing")
            logged = f"{insertion(work.id, work.entries)}; " if work.entries else ""
            await self._close(work, writers[0], f"{logged}commit")
            await self.step("work: committed")
        await work.gather()
        for unit in [*work.units.values()]:  # read only, or locks that had to outlast the commit
            with suppress(Unavailable, Refusal):
                await self._close(work, unit)

    async def _close(self, work: Work, unit: Unit, command: str = "commit") -> None:
        del work.units[id(unit.database)]
        try:
            await unit.close(command)
        except Exception as error:
            if contended(error):
                raise
            refuse(error)

    async def _decide(self, work: Work) -> None:
        """Two databases: prepare, decide, finish."""
        name = await self._decider_name()
        target, source = await work.unit(self.operations), await work.unit(self.decider)
        prepared = f"forecourt:{name}:{work.id}"
        del work.units[id(target.database)]
        outcomes = await asyncio.gather(
            self._then("work: decision noted", source.system(decision(work.id, work.entries))),
            self._then("work: target prepared", target.close(f"prepare transaction '{prepared}'")),
            return_exceptions=True,
        )
        failed = [error for error in outcomes if isinstance(error, BaseException)]
        if failed:
            await self.step("work: undoing")
            await self._finish(prepared, "rollback")
            for error in failed:
                if isinstance(error, Refusal | Unavailable) or not isinstance(error, Exception) or contended(error):
                    raise error
            refuse(failed[0])  # type: ignore[arg-type]
        await self.step("work: prepared")
        del work.units[id(source.database)]
        try:
            await self.step("work: committing")
            await source.close("commit")
        except BaseException as error:
            done = await self._outcome(work.id) if not isinstance(error, Exception) or is_gone(error) else False
            if not done:
                if done is False:
                    await self.step("work: undoing")
                    await self._finish(prepared, "rollback")
                if isinstance(error, Exception) and not contended(error):
                    refuse(error)
                raise
        await self.step("work: committed")
        await self._finish(prepared, "commit")
        await self.step("work: finished")

    async def _outcome(self, number: int) -> bool | None:
        """Whether a work was decided, asked anew after its connection was lost; None: nobody can say now."""
        try:
            return await decided(self.decider, number, wait=True)
        except (Unavailable, Refusal):
            return None

    async def _finish(self, prepared: str, verb: str) -> None:
        """Ends a prepared transaction. What can't be reached now is left to recovery: the decision is made."""
        with suppress(Unavailable, Refusal):
            await finish(self.operations, prepared, verb)

    async def _decider_name(self) -> str:
        if self._name is None:
            self._name = await decider_name(self.decider)
        return self._name

    async def _then(self, label: str, doing: Coroutine[Any, Any, object]) -> None:
        await doing
        await self.step(label)


async def decider_name(database: Database) -> str:
    """What the prepared transactions of a Dataverse database are named after."""
    rows = await database.system(SystemPlan("name of the decider", "select name::text from forecourt.decider"))
    return str(rows[0][0])


async def decided(database: Database, number: int, wait: bool) -> bool | None:
    """Whether the decision of a unit of work has been committed. None: its transaction is still running.

    ``wait``: for it to end, a few seconds.
    """
    try:
        async with database.transaction("look for a decision") as transaction:
            await transaction.execute(f"set local lock_timeout = {int(LOCK_TIMEOUT * 1000)}")
            if wait:
                await transaction.execute("select pg_advisory_xact_lock($1)", number)
            elif not await transaction.value("select pg_try_advisory_xact_lock($1)", number):
                return None
            return bool(await transaction.value("select exists (select from forecourt.decision where id = $1)", number))
    except LockNotAvailableError:
        return None


async def finish(database: Database, prepared: str, verb: str) -> bool:
    """Commits or rolls back a prepared transaction by its name. False: somebody else did, or is about to."""
    assert verb in ("commit", "rollback") and all(part.isalnum() or part in ":-" for part in prepared)
    return await database.finish(f"{verb} prepared '{prepared}'")
