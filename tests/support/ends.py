"""Two databases, a company on each, and units of work over both: for tests of the two ends of legs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.sync import Leg, Merged, Segment, Side, WireRow
from forecourt.store.catalog import read_catalog
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.sync.bulk import Bulk
from forecourt.store.sync.ends import Ends
from forecourt.store.unit import Unit
from forecourt.store.work import Coordinator, Work
from support import postgres as support

T = TypeVar("T")
End = Literal["source", "target"]


@dataclass
class Pair:
    """An operations and a Dataverse database, which may be one."""

    operations: Database
    dataverse: Database
    ends: Ends
    bulk: Bulk = field(init=False)

    def __post_init__(self) -> None:
        self.bulk = Bulk(self.ends)

    async def between(self, leg: Leg, attempt: Callable[[Unit, Unit], Awaitable[T]]) -> T:
        """Runs ``attempt(source, target)`` in a unit of work."""

        async def run(work: Work) -> T:
            units = {
                Side.OPERATIONS: await work.unit(self.operations),
                Side.DATAVERSE: await work.unit(self.dataverse),
            }
            return await attempt(units[leg.source_side], units[leg.target_side])

        databases = {"operations": self.operations, "dataverse": self.dataverse}
        return await Coordinator(databases).run(run, "test", slow=True)

    async def merge(self, leg: Leg, *rows: WireRow) -> Merged:
        return await self.between(leg, lambda _, target: self.ends.merge(target, leg, rows))

    async def project(self, leg: Leg, *roots: WireRow) -> list[WireRow]:
        found = await self.between(leg, lambda source, _: self.ends.project(source, leg, roots))
        return [row for _, row in found]

    async def copy(self, leg: Leg, *roots: WireRow) -> Merged:
        """Project and merge."""
        return await self.merge(leg, *await self.project(leg, *roots))

    async def segments(self, leg: Leg, end: End, number: int = 16) -> list[Segment]:
        async def attempt(source: Unit, target: Unit) -> list[Segment]:
            return await self.ends.segments(source if end == "source" else target, leg, end, number)

        return await self.between(leg, attempt)

    async def agree(self, leg: Leg) -> bool:
        return await self.segments(leg, "source") == await self.segments(leg, "target")

    async def rows(self, side: Side, sql: str) -> list[tuple[object, ...]]:
        database = self.operations if side is Side.OPERATIONS else self.dataverse
        return [tuple(row) for row in await database.system(SystemPlan("look", sql))]


@asynccontextmanager
async def pair(
    server: EmbeddedServer, operations: Sequence[str], dataverse: Sequence[str], shared: bool = False
) -> AsyncIterator[Pair]:
    """Two fresh databases, or one, after these scripts."""
    async with support.fresh_database(server) as url, support.fresh_database(server) as other:
        left = await Database.open(url)
        right = left if shared else await Database.open(other)
        try:
            for script in operations:
                await left.script("make tables", script)
            for script in dataverse:
                await right.script("make tables", script)
            yield Pair(left, right, Ends(await read_catalog(left), await read_catalog(right)))
        finally:
            await left.close()
            if not shared:
                await right.close()
