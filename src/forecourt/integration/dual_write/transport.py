"""How workers on other machines learn that something waits for a map.

A message is a reference and never data (operations-and-integration 1.9): *something waits for this map*. What waits is
read in the database, under the map's lease, and how far it has come is kept with what was written. So a message that
is lost, late or delivered twice changes nothing but when the work is done, and there is nothing to lose in a transport.

    relay    looks at the outboxes, woken by them, and offers each map for which something waits
    worker   takes what was offered, works it off by the queue, and looks at all maps by itself now and then

A :class:`Transport` carries the offers; ``jetstream`` is one over NATS. Without one, the queue itself is woken by the
databases (``queued``). Leaves out what is done for a map (``queued``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from forecourt.integration.dual_write.flow import Flow
from forecourt.integration.dual_write.maps import TableMap
from forecourt.integration.dual_write.queued import Queue
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import Fault, Observer
from forecourt.kernel.sync_ports import Outbox, Registry

#: Seconds between two looks of a worker that nobody calls, between two signs that it is still at work, and until
#: something is tried again that could not be finished.
POLL = 10.0
SIGN = 10.0
AGAIN = 1.0

#: The maps of a solution as they are now, by name.
Maps = Callable[[], Mapping[str, TableMap]]


@dataclass(frozen=True, slots=True)
class Offer:
    """Something waits for a map. ``mark`` is another one as soon as it has been worked off."""

    map: str
    mark: str


class Errand(Protocol):
    """An offer in the hands of a worker. None of these fails: an answer that is lost brings the errand back."""

    @property
    def map(self) -> str: ...

    async def busy(self) -> None:
        """The worker is still at it."""
        ...

    async def done(self) -> None:
        """Nothing is left of it."""
        ...

    async def later(self, seconds: float) -> None:
        """Something is left; any worker may have it again, a bounded number of times."""
        ...

    async def drop(self) -> None:
        """Nobody can do anything with it."""
        ...


class Transport(Protocol):
    """Carries offers from a relay to one of many workers."""

    async def offer(self, offer: Offer) -> None:
        """Hands an offer on; the same one again counts once. Raises Unavailable."""
        ...

    def errands(self) -> AsyncIterator[Errand]:
        """One errand after the other, for as long as it is asked for; waits while the transport is away."""
        ...

    async def close(self) -> None: ...


class Waiting:
    """Looks whether something waits for a map. ``maps``: those that are looked after."""

    def __init__(self, maps: Maps, flow: Flow, registry: Registry) -> None:
        self.maps = maps
        self._flow = flow
        self._registry = registry

    @property
    def outboxes(self) -> list[Outbox]:
        """Of both databases, one where they are the same."""
        return list({id(plane.outbox): plane.outbox for plane in self._flow.planes.values()}.values())

    async def offers(self) -> list[Offer]:
        """Of all maps. Raises Unavailable, Refusal."""
        return [offer for item in self.maps().values() if (offer := await self.offer(item)) is not None]

    async def offer(self, item: TableMap) -> Offer | None:
        """What waits for a map; None where nothing does, or the map is not worked on. Raises Unavailable, Refusal."""
        record = (await self._registry.maps()).get(item.name)
        if record is None or record.state not in ("running", "resuming"):
            return None
        for side, leg in item.legs.items():
            position = await self._registry.position(item.name, side)
            if position is None:
                continue
            tables = [source.table for source in leg.source.sources]
            changes, _ = await self._flow.planes[side].outbox.read(position, tables, 1)
            if changes:
                mark = f"{side} {position.since} {position.until} {position.after} {changes[0].id}"
                return Offer(item.name, mark)
        return None


class Relay:
    """Offers what waits, for as long as it runs. Any number of processes may run one."""

    def __init__(self, waiting: Waiting, transport: Transport, observer: Observer) -> None:
        self._waiting = waiting
        self._transport = transport
        self._observer = observer

    async def run(self) -> None:
        """Until cancelled. A database or a transport that is away is tried again."""
        woken = asyncio.Event()

        async def watch(outbox: Outbox) -> None:
            async with aclosing(outbox.listen()) as wakes:
                async for _ in wakes:
                    woken.set()

        async with asyncio.TaskGroup() as tasks:
            for outbox in self._waiting.outboxes:
                tasks.create_task(watch(outbox))
            while True:
                await woken.wait()
                woken.clear()
                try:
                    for offer in await self._waiting.offers():
                        await self._transport.offer(offer)
                except (Unavailable, Refusal):
                    await asyncio.sleep(AGAIN)
                except Exception as error:
                    self._observer(Fault("relay of dual-write", error))
                    await asyncio.sleep(AGAIN)


class Worker:
    """Works off what is offered. ``at_once``: errands at a time; 0: it only looks at all maps now and then."""

    def __init__(
        self, waiting: Waiting, queue: Queue, transport: Transport, observer: Observer, at_once: int = 1
    ) -> None:
        self._waiting = waiting
        self._queue = queue
        self._transport = transport
        self._observer = observer
        self._at_once = at_once

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._poll())
            for _ in range(self._at_once):
                tasks.create_task(self._take())

    async def _poll(self) -> None:
        """What nobody was called for: an offer was lost, or the transport is away."""
        while True:
            for item in list(self._waiting.maps().values()):
                await self._left(item)
            await asyncio.sleep(POLL)

    async def _take(self) -> None:
        async with aclosing(self._transport.errands()) as errands:  # type: ignore[type-var]
            async for errand in errands:
                item = self._waiting.maps().get(errand.map)
                if item is None:
                    await errand.drop()
                    continue
                async with _signs(errand):
                    left = await self._left(item)
                if left:
                    await errand.later(AGAIN)
                else:
                    await errand.done()

    async def _left(self, item: TableMap) -> bool:
        """Works a map off. Whether something is left: it was out of reach, or another worker has the map."""
        try:
            await self._queue.drain(item)
            return await self._waiting.offer(item) is not None
        except (Unavailable, Refusal):
            return True
        except Exception as error:
            self._observer(Fault(f"worker of {item.name}", error))
            return True


@asynccontextmanager
async def _signs(errand: Errand) -> AsyncIterator[None]:
    """Shows that a worker is at an errand, for as long as the block lasts."""

    async def show() -> None:
        while True:
            await asyncio.sleep(SIGN)
            await errand.busy()

    task = asyncio.create_task(show())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
