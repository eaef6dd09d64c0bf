"""The pair: a solution over two databases, in one server or in two, with its maps started."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from forecourt.app import Forecourt, build, connect, prepare
from forecourt.kernel.change import Write, Written
from forecourt.kernel.observe import Observer, nobody
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.principal import INTEGRATION, Door
from forecourt.kernel.steps import Step, unwatched
from forecourt.security.scope import Scope
from forecourt.settings import from_environment

ROOT = Path(__file__).parent / "pair"

OPERATIONS = Scope(INTEGRATION, Door.OPERATIONS)
DATAVERSE = Scope(INTEGRATION, Door.DATAVERSE)


async def make(operations: str) -> None:
    """The ERP's own tables."""
    connection = await asyncpg.connect(operations)
    try:
        await connection.execute((ROOT / "schema.sql").read_text("utf-8"))
    finally:
        await connection.close()


def variant(folder: Path, **maps: str) -> Path:
    """A copy of the solution in which lines are added to maps, by the map's name."""
    shutil.copytree(ROOT, folder, dirs_exist_ok=True)
    for name, lines in maps.items():
        file = folder / "maps" / f"{name}.yaml"
        file.write_text(file.read_text("utf-8") + lines, "utf-8")
    return folder


@asynccontextmanager
async def opened(
    operations: str, dataverse: str, observer: Observer = nobody, root: Path = ROOT, step: Step = unwatched
) -> AsyncIterator[Pair]:
    """The solution over two databases, its native tables made. ``root``: the solution or a :func:`variant` of it."""
    os.environ["PAIR_OPERATIONS"], os.environ["PAIR_DATAVERSE"] = operations, dataverse
    databases = await connect(root, Path("unused"), from_environment(), observer)
    try:
        await prepare(root, databases)
        yield Pair(await build(root, databases, from_environment(password_grant=True), observer, step))
    finally:
        await databases.close()


class Pair:
    """What tests do with the pair."""

    def __init__(self, forecourt: Forecourt) -> None:
        self.forecourt = forecourt
        self.dual_write = forecourt.dual_write

    async def erp(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """Plain SQL of another program in the ERP database."""
        return [tuple(row) for row in await self.forecourt.databases.operations.system(SystemPlan("ERP", sql, args))]

    async def dataverse(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """Plain SQL of another program in the Dataverse database."""
        return [tuple(row) for row in await self.forecourt.databases.dataverse.system(SystemPlan("DV", sql, args))]

    async def order(self, **values: object) -> Written:
        """A new order in the ERP."""
        return await self.forecourt.operations_gate.change(
            OPERATIONS, Write("PairOrderEntity", "create", values=tuple(values.items()))
        )

    async def change_order(self, number: str, **values: object) -> Written:
        write = Write("PairOrderEntity", "update", (("Number", number),), tuple(values.items()))
        return await self.forecourt.operations_gate.change(OPERATIONS, write)

    async def delete_order(self, number: str) -> Written:
        return await self.forecourt.operations_gate.change(
            OPERATIONS, Write("PairOrderEntity", "delete", (("Number", number),))
        )

    async def cts(self, operation: Any, table: str, key: Mapping[str, object] = {}, **values: object) -> Written:
        """A write of a Dataverse table."""
        write = Write(table, operation, tuple(key.items()), tuple(values.items()))
        return await self.forecourt.dataverse_gate.change(DATAVERSE, write)

    async def drain(self) -> int:
        total = 0
        for item in self.dual_write.maps.values():
            total += await self.dual_write.queue.drain(item)
        return total

    async def differences(self) -> list[str]:
        """What verify finds, as text."""
        found = []
        for item in self.dual_write.maps.values():
            for comparison in await self.forecourt.verifier.compare(item):
                found += [f"{item.name} {d.key}: {d.kind} {d.columns}" for d in comparison.differences]
        return found
