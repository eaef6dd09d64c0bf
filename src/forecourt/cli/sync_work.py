"""``forecourt sync work``: a worker process for copies, without a web server; and what calls such workers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import uvloop

from forecourt.app import Forecourt
from forecourt.cli.observers import logger
from forecourt.cli.workspace import opened, solution_argument
from forecourt.integration.dual_write.transport import Relay, Transport, Worker
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Fault, Observation, Synced, fan_out
from forecourt.settings import Settings, from_environment
from forecourt.store.recovery import watch
from forecourt.store.work import decider_name

#: Seconds between two looks at which maps are started.
REFRESH = 2.0


@asynccontextmanager
async def transport_of(forecourt: Forecourt) -> AsyncIterator[Transport | None]:
    """The transport that the settings name; None where they name none. Raises ClickException for what can't be used."""
    settings = forecourt.settings
    if not settings.nats_url:
        yield None
        return
    try:
        from forecourt.integration.dual_write.jetstream import Access, JetStream
    except ImportError:
        text = "Workers are called over NATS by the extra 'nats': install forecourt[nats]."
        raise click.ClickException(text) from None
    try:
        access = Access.of(settings.nats_url, settings.nats_credentials, settings.nats_authority)
    except (ValueError, OSError) as error:
        raise click.ClickException(f"The NATS server cannot be used: {error}") from None
    transport = JetStream(access, await decider_name(forecourt.databases.dataverse), forecourt.observer)
    try:
        yield transport
    finally:
        await transport.close()


def copying(
    forecourt: Forecourt, transport: Transport | None, relay: bool, at_once: int
) -> list[Coroutine[Any, Any, None]]:
    """What moves the copies of a process. ``relay``: it calls workers; ``at_once``: errands that it takes itself."""
    copies, observer = forecourt.dual_write, forecourt.observer
    if transport is None:
        return [copies.queue.run()]
    work = [Worker(copies.waiting, copies.queue, transport, observer, at_once).run()]
    return [*work, Relay(copies.waiting, transport, observer).run()] if relay else work


@click.command("work")
@solution_argument
@click.option("--nats", "nats_url", default=None, metavar="URL", help="NATS server. Default: FORECOURT_NATS_URL.")
@click.option("--relay", is_flag=True, help="Also call the other workers: where no server (forecourt serve) runs.")
@click.option("--at-once", type=click.IntRange(1, 64), default=1, show_default=True, help="Maps worked on at a time.")
@click.option("--verbose", is_flag=True, help="Say what was written.")
def sync_work(
    solution: Path, data: Path | None, nats_url: str | None, relay: bool, at_once: int, verbose: bool
) -> None:
    """Works off what waits for the maps of SOLUTION, without a web server. Any number of them may run at once.

    With a NATS server, workers on any machine are called by the server or by a worker with --relay. Without one, the
    databases wake each worker themselves. A worker that dies loses nothing: another one takes its map over.

    \b
    Examples:
      forecourt sync work examples/contoso
      forecourt sync work my-solution --nats nats://queue.example.com:4222 --at-once 4
    """
    settings = from_environment(nats_url=nats_url)
    uvloop.run(_work(solution, data, settings, relay, at_once, verbose))


async def _work(root: Path, data: Path | None, settings: Settings, relay: bool, at_once: int, verbose: bool) -> None:
    observer = fan_out(logger(), _tell) if verbose else logger()
    async with opened(root, data, settings, observer) as forecourt:
        if not forecourt.dual_write.maps:
            raise click.ClickException(f"{root} has no table maps (maps/*.yaml).")
        async with transport_of(forecourt) as transport:
            works = [watch(forecourt.coordinator), _follow(forecourt), *copying(forecourt, transport, relay, at_once)]
            tasks = [asyncio.create_task(work) for work in works]
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            click.echo(f"Working on the maps of {forecourt.header.title or forecourt.header.name}  (Ctrl+C stops)")
            stopping = asyncio.create_task(stop.wait())
            try:
                done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
            finally:
                for task in [*tasks, stopping]:
                    task.cancel()
                await asyncio.gather(*tasks, stopping, return_exceptions=True)


async def _follow(forecourt: Forecourt) -> None:
    """Follows which maps are started, and in which version, by whichever process."""
    while True:
        try:
            await forecourt.dual_write.refresh()
        except (Refusal, Unavailable) as error:
            forecourt.observer(Fault("copies", error))
        await asyncio.sleep(REFRESH)


def _tell(observation: Observation) -> None:
    match observation:
        case Synced(name, side, rows, deleted, errors):
            click.echo(f"{name}, from {side}: {rows} written, {deleted} deleted, {errors} in error")
        case _:
            return
