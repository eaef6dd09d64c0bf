"""What is kept of table maps beside their states: chosen versions, failures and alerts, and work that was asked for.

A *failure* is counted when it happens and stays counted, whatever becomes of the row; alerts look at how many there
were of late. A *job* is long work that somebody has asked for over the API: it waits in the operations database until a
process takes it, and when that process dies another one does. :class:`Journal` is the port; the store implements it.
Source: operations-and-integration 1.12, 1.13, 1.16.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

JobKind = Literal["Verify", "Repair", "Retry"]
JobState = Literal["Waiting", "Executing", "Succeeded", "PartiallySucceeded", "Failed"]

#: A failure's class (operations-and-integration 1.9).
FailureKind = Literal["application", "system", "concurrency", "conflict"]


@dataclass(frozen=True)
class Job:
    """Work that was asked for. ``input``, ``result``: values of JSON, by name."""

    id: int
    map: str
    kind: JobKind
    by: str
    state: JobState = "Waiting"
    input: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    asked_at: dt.datetime | None = None
    done_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of one class of a map. ``age``: seconds since they were counted."""

    map: str
    kind: FailureKind
    rows: int
    age: float


class Journal(Protocol):
    """Implemented by ``store/sync/journal.py``."""

    async def install(self) -> None:
        """Makes the tables where they are missing."""
        ...

    async def remove(self) -> bool:
        """Takes the tables away, but for the versions that somebody chose. False: there is a job to do, nothing is
        taken away."""
        ...

    # -- versions -------------------------------------------------------------------------------------------------

    async def choices(self) -> dict[str, str]:
        """The chosen version of each map for which one was chosen."""
        ...

    async def choose(self, map: str, version: str) -> None:
        """Chooses a version; '' for the highest."""
        ...

    # -- failures and alerts --------------------------------------------------------------------------------------

    async def failed(self, map: str, counts: Mapping[FailureKind, int]) -> None:
        """Counts failures."""
        ...

    async def failures(self, maps: Sequence[str], minutes: int) -> list[Failures]:
        """Failures of the last minutes, of what maps have been through since their state last changed."""
        ...

    async def alerted(self, map: str, alert: str, minutes: int) -> bool:
        """Notes that an alert has gone off. False: it did within the last minutes already, or another process is
        ahead."""
        ...

    # -- jobs -----------------------------------------------------------------------------------------------------

    async def ask(self, map: str, kind: JobKind, by: str, given: Mapping[str, Any]) -> int:
        """Keeps work to be done; its number."""
        ...

    async def job(self, number: int) -> Job | None: ...

    async def jobs(self, map: str = "", limit: int = 100) -> list[Job]:
        """The latest jobs, the newest first, without their results."""
        ...

    async def take(self, worker: str, seconds: float) -> Job | None:
        """A job that waits, or whose worker has not been heard of; None: there is none."""
        ...

    async def hold(self, number: int, worker: str, seconds: float) -> bool:
        """The worker is still at it. False: somebody else is."""
        ...

    async def finish(
        self, number: int, worker: str, state: JobState, result: Mapping[str, Any], detail: str = ""
    ) -> None:
        """What has become of a job. Nothing happens where another worker has it by now."""
        ...

    async def tidy(self) -> None:
        """Forgets failures, alerts and finished jobs of a week ago."""
        ...
