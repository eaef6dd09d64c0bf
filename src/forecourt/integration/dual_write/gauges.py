"""How copies stand, for the metrics: looked up when somebody scrapes them, and not again within a few seconds.

However many ask, one looks; the others are given what it finds. A database that is away leaves the last values standing
with the time at which they were seen. Leaves out what has happened (rows moved, errors): engines tell that themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from forecourt.integration.dual_write.life import DualWrite
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.observe import DoubtSeen, MapSeen, Observer

#: Seconds for which a look is good.
FRESH = 5.0


class Gauges:
    """Looks at copies. ``ages``: gives the age in seconds of each prepared transaction."""

    def __init__(
        self, life: DualWrite, ages: Callable[[], Awaitable[Sequence[float]]], observer: Observer, fresh: float = FRESH
    ) -> None:
        self._life = life
        self._ages = ages
        self._observer = observer
        self._fresh = fresh
        self._lock = asyncio.Lock()
        self._seen = float("-inf")

    async def refresh(self) -> None:
        """Tells the observer how every map stands, unless that was done just now."""
        async with self._lock:
            if time.monotonic() - self._seen < self._fresh:
                return
            self._seen = time.monotonic()
            try:
                statuses = await self._life.status() if self._life.maps else []
                ages = await self._ages()
            except (Refusal, Unavailable):
                return
        for status in statuses:
            sides = tuple((side.value, status.backlog[side], status.lag[side]) for side in status.backlog)
            self._observer(MapSeen(status.item.name, status.record.state, sides, status.errors))
        self._observer(DoubtSeen(len(ages), max(ages, default=0.0)))
