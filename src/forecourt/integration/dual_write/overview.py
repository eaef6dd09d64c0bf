"""How maps stand: state, what waits, what is in error. For the command line, the API and the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forecourt.integration.dual_write.active import Versions, runs
from forecourt.integration.dual_write.flow import Flow
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.sync import MapRecord, Side
from forecourt.kernel.sync_ports import Registry


@dataclass(frozen=True)
class Status:
    """A map as people see it. ``backlog``: changed rows that wait, ``lag``: age of the oldest in seconds, by side.
    ``standing``: why it can't go on though it runs, '' where it can."""

    item: TableMap
    record: MapRecord
    backlog: Mapping[Side, int]
    lag: Mapping[Side, float]
    errors: int
    standing: str = ""


async def overview(registry: Registry, flow: Flow, versions: Versions, items: Sequence[TableMap]) -> list[Status]:
    """How maps stand. Raises Unavailable."""
    known = await registry.installed()
    records = await registry.maps() if known else {}
    positions = await registry.positions() if known else {}
    errors = await registry.error_counts() if known else {}
    found = []
    for item in items:
        record = records.get(item.name) or MapRecord(item.name, item.version, "not running", item.mode)
        backlog, lag = {}, {}
        for side, leg in item.legs.items():
            position = positions.get((item.name, side))
            if runs(record) and position is not None:
                tables = [source.table for source in leg.source.sources]
                outbox = flow.planes[side].outbox
                backlog[side], lag[side] = await outbox.backlog(position, tables, item.name)
        standing = versions.standing(record)
        found.append(Status(item, record, backlog, lag, errors.get(item.name, 0), standing))
    return found
