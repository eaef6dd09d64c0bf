"""What is captured for the maps that are not stopped, and what is left of it when they are done.

One process at a time changes it: two that start different maps would each take the other's triggers away. Leaves out
what triggers note (``kernel/sync``), and when maps start and stop (``life``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from forecourt.integration.dual_write.active import Versions, runs
from forecourt.integration.dual_write.flow import Flow
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.journal import Journal
from forecourt.kernel.relation import TableName
from forecourt.kernel.steps import Step
from forecourt.kernel.sync import Capture, Position, Side
from forecourt.kernel.sync_ports import Registry

#: What is held, in place of a map, while capture is changed. No map has such a name.
CAPTURE: Final = "* capture"


class Captures:
    """The triggers, outboxes, registry and journal of a solution's maps."""

    def __init__(self, flow: Flow, registry: Registry, journal: Journal, versions: Versions, step: Step) -> None:
        self._flow = flow
        self._registry = registry
        self._journal = journal
        self._versions = versions
        self._step = step

    @property
    def _shared(self) -> bool:
        planes = self._flow.planes
        return planes[Side.OPERATIONS].database is planes[Side.DATAVERSE].database

    async def alone(self, doing: Callable[[], Awaitable[None]]) -> None:
        """What changes which maps there are, or what is captured for them: one process at a time. Two that start
        different maps would each take the other's triggers away; one that cleans up, what another has just made."""

        async def attempt(work: Any) -> None:
            await self._registry.hold(await self._flow.unit(work, Side.OPERATIONS), CAPTURE)
            await doing()

        coordinator = self._flow.planes[Side.OPERATIONS].gate.coordinator
        await coordinator.run(attempt, "change what is captured", settle=False, slow=True)

    async def change(self, maps: Mapping[str, TableMap]) -> None:
        """:meth:`renew`, :meth:`alone`."""
        await self.alone(lambda: self.renew(maps))

    async def renew(self, maps: Mapping[str, TableMap]) -> None:
        """Makes the triggers of both sides be those of the maps that are not stopped."""
        records = await self._registry.maps()
        started = [item for name, item in maps.items() if name in records and records[name].state != "not running"]
        captures: dict[Side, list[Capture]] = {side: [] for side in Side}
        for item in started:
            for side, leg in item.legs.items():
                images = item.record.versions == "every"
                captures[Side.OPERATIONS if self._shared else side] += self._flow.ends.capture([leg], side, images)
        for side in (Side.OPERATIONS,) if self._shared else tuple(Side):
            outbox = self._flow.planes[side].outbox
            if captures[side]:
                await outbox.install(captures[side])
            else:
                await outbox.remove()
        await self._step("life: captured")

    async def leave(self) -> None:
        """Leaves an operations database that is attached as it was found, once no map runs: registry, log and journal
        go. While there is a job to do they stay; :meth:`tidy` looks again."""
        if self._shared:
            return

        async def leave() -> None:
            # Why a map was stopped by itself stays to be read, until somebody stops or starts it.
            kept = any(runs(record) or record.detail for record in (await self._registry.maps()).values())
            if not kept and await self._journal.remove() and await self._registry.remove():
                await self._flow.planes[Side.OPERATIONS].outbox.remove()

        await self.alone(leave)

    async def tidy(self, maps: Mapping[str, TableMap]) -> bool:
        """Deletes from the outboxes what every map is done with. False: no map runs any more."""
        consumers: dict[Side, list[tuple[Position, list[TableName] | None]]] = {side: [] for side in Side}
        records = await self._registry.maps() if await self._registry.installed() else {}
        if records and not any(runs(record) for record in records.values()):
            return False
        for name, record in records.items():
            if not runs(record):
                continue
            # Of a map whose file is gone, nobody can say which tables it waits for.
            item = None if self._versions.standing(record) else maps.get(name)
            for side in Side if item is None else item.legs:
                position = await self._registry.position(name, side)
                if position is not None:
                    tables = None if item is None else [source.table for source in item.legs[side].source.sources]
                    consumers[side].append((position, tables))
        if self._shared:
            consumers = {Side.OPERATIONS: [item for found in consumers.values() for item in found]}
        for side, found in consumers.items():
            if found:
                await self._flow.planes[side].outbox.tidy(found)
        return True
