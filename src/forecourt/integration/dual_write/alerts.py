"""Alerts: what a map does when too much goes wrong with it, and classes of what goes wrong.

``application``   business logic or a rule of the data turns a row down     operations-and-integration 1.9
``system``        a database is away, busy, or not as the map has it; worth another attempt
``concurrency``   somebody else was at the same row or map; the newer one counts
``conflict``      both sides have changed a row

A failure counts from the moment that the map's state last changed, so a map that is resumed starts afresh. What an
alert does, it does at once, in whichever process has seen the failure that was one too many; its next time is when its
minutes have passed. Source: operations-and-integration 1.13.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from forecourt.integration.dual_write.definitions import Alert
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.errors import Refusal, Unavailable
from forecourt.kernel.journal import FailureKind, Failures, Journal
from forecourt.kernel.observe import Alerted, Observer, nobody

#: Does what an alert says with a map: (its name, pause or stop, the reason).
Act = Callable[[str, str, str], Awaitable[None]]

#: Why a map no longer fits the databases, '' where it does.
Doubt = Callable[[TableMap], Awaitable[str]]

#: Seconds for which the answer to a doubt is kept.
CERTAIN = 5.0

_SYSTEM = frozenset({"FC5031", "FC5000", "FC6004"})
_CONCURRENCY = frozenset({"FC4121"})


def kind_of(code: str) -> FailureKind:
    """The class of a failure, by the code of its refusal."""
    if code in _SYSTEM:
        return "system"
    return "concurrency" if code in _CONCURRENCY else "application"


def due(alert: Alert, failures: Iterable[Failures]) -> int:
    """How many failures an alert has to tell of, 0 for fewer than it waits for. Pure."""
    wanted = {"any": ("application", "system", "concurrency", "conflict")}.get(alert.errors, (alert.errors,))
    seconds = alert.minutes * 60
    count = sum(item.rows for item in failures if item.kind in wanted and item.age <= seconds)
    return count if count >= alert.count else 0


def text_of(alert: Alert) -> str:
    """An alert in words, which is its name as well."""
    return f"{alert.count} {alert.errors} errors in {alert.minutes} minutes"


class Alarm:
    """Counts failures and sets off alerts. ``act`` is handed over by who owns the maps' states."""

    def __init__(self, journal: Journal, observer: Observer = nobody) -> None:
        self._journal = journal
        self._observer = observer
        self.act: Act | None = None
        self.doubt: Doubt | None = None
        self._doubted: dict[str, tuple[float, str]] = {}
        #: Maps with failures that no alert has looked at yet.
        self.fresh: set[str] = set()

    async def failed(self, item: TableMap, kinds: Sequence[FailureKind]) -> None:
        """Counts failures. Those of a database that is away itself are not kept."""
        if not kinds:
            return
        counts: Mapping[FailureKind, int] = Counter(kinds)
        with suppress(Unavailable, Refusal):
            await self._journal.failed(item.name, counts)
            self.fresh.add(item.name)

    async def drifted(self, item: TableMap) -> str:
        """Why a map no longer fits the databases, after something has gone wrong with it; '' where it does."""
        now = time.monotonic()
        at, reason = self._doubted.get(item.name, (0.0, ""))
        if at + CERTAIN < now and self.doubt is not None:
            reason = await self.doubt(item)
            self._doubted[item.name] = now, reason
        return reason

    async def pause(self, item: TableMap, reason: str) -> None:
        """Pauses a map that can't go on."""
        self._observer(Alerted(item.name, reason, 1, "pause", ()))
        self._doubted.pop(item.name, None)
        if self.act is not None:
            await self.act(item.name, "pause", reason)

    async def check(self, item: TableMap) -> bool:
        """Sets off the alerts of a map that are due. Returns whether one of them stops or pauses it."""
        self.fresh.discard(item.name)
        alerts = item.record.alerts
        if not alerts:
            return False
        acted = False
        with suppress(Unavailable, Refusal):
            failures = await self._journal.failures([item.name], max(alert.minutes for alert in alerts))
            for alert in alerts:
                count = due(alert, failures)
                if count and await self._journal.alerted(item.name, text_of(alert), alert.minutes):
                    self._observer(Alerted(item.name, text_of(alert), count, alert.action, alert.notify))
                    if self.act is not None:
                        await self.act(item.name, alert.action, f"{text_of(alert)}: {count}")
                    acted = acted or alert.action != "none"
        return acted
