"""What a server does beside answering: upkeep, mail, logs and their seals, data packages, copies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forecourt.app import Forecourt
from forecourt.cli.sync_work import copying, transport_of
from forecourt.identity.mail.outbox import EXPIRED
from forecourt.identity.mail.smtp import MailError
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Fault
from forecourt.operations.packages.queues import Queues
from forecourt.store.recovery import watch


@asynccontextmanager
async def background(forecourt: Forecourt) -> AsyncIterator[None]:
    """All of it, for as long as the block runs. Raises ClickException for a NATS server that cannot be used."""
    async with transport_of(forecourt) as transport:
        works = [_upkeep(forecourt), watch(forecourt.coordinator), _log(forecourt), _seal(forecourt)]
        works += [_packages(forecourt), _schedule(forecourt)]
        if forecourt.dual_write.maps:
            works += [*copying(forecourt, transport, relay=True, at_once=0), _copies(forecourt)]
            works.append(forecourt.copies.jobs.run())
        if forecourt.sender is not None:
            works.append(forecourt.sender.run())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if forecourt.sender is not None:
                forecourt.sender.close()
            await forecourt.security_log.flush()


async def _upkeep(forecourt: Forecourt) -> None:
    """What a server does now and then: follow key rotation, drop what has expired."""
    while True:
        await asyncio.sleep(60)
        try:
            await forecourt.tokens.refresh()
            await forecourt.sessions.purge()
            await forecourt.throttle.purge()
            await forecourt.links.purge()
            await forecourt.pending.purge()
            await forecourt.factors.purge()
            await forecourt.packages.purge()
            if late := await forecourt.mail.tidy():
                forecourt.observer(Fault("mail", MailError(f"{EXPIRED} ({late})")))
        except (Refusal, Unavailable) as error:
            forecourt.observer(Fault("upkeep", error))


async def _log(forecourt: Forecourt) -> None:
    """Writes what no answer waits for: denials."""
    while True:
        await asyncio.sleep(1)
        await forecourt.security_log.flush()


async def _seal(forecourt: Forecourt) -> None:
    """Seals the logs."""
    while True:
        await asyncio.sleep(5)
        try:
            await forecourt.seals.seal()
        except (Refusal, Unavailable) as error:
            forecourt.observer(Fault("seals", error))


async def _packages(forecourt: Forecourt) -> None:
    """Runs data package jobs, one at a time, whichever process they were entered in."""
    while True:
        try:
            await forecourt.packages.run_due()
        except (Refusal, Unavailable) as error:
            forecourt.observer(Fault("packages", error))
        await forecourt.packages.wait(2)


async def _schedule(forecourt: Forecourt) -> None:
    """Starts the runs of recurring jobs."""
    queues = Queues(forecourt.packages)
    while True:
        try:
            await queues.tick()
        except (Refusal, Unavailable) as error:
            forecourt.observer(Fault("recurring jobs", error))
        await asyncio.sleep(5)


async def _copies(forecourt: Forecourt) -> None:
    """Follows which maps are started, by whichever process, and tidies the outboxes."""
    while True:
        try:
            await forecourt.dual_write.refresh()
            await forecourt.dual_write.tidy()
        except (Refusal, Unavailable) as error:
            forecourt.observer(Fault("copies", error))
        await asyncio.sleep(2)
