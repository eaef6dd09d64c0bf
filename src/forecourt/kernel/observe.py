"""Observations: what happened, as values. Modules emit them; logs, metrics and traces subscribe (design, section 8).

No module writes log lines. An observation never carries a secret or a value of a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestDone:
    """An answered request. ``seconds`` by stage: parse, plan, run, render."""

    door: str
    method: str
    status: int
    seconds: float
    identity: str
    correlation: str


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal that is a matter of security."""

    door: str
    identity: str
    code: str
    what: str


@dataclass(frozen=True, slots=True)
class Fault:
    """An unexpected exception; its text stays in the log, the person sees the correlation id."""

    correlation: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class SystemWork:
    """A statement of the system itself, with its reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in that succeeded (``outcome='ok'``) or not (``'refused'``, ``'locked'``)."""

    identity: str
    kind: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Impersonated:
    """A request is decided as somebody else: ``identity`` asked, ``acting_as`` is whom it asked for."""

    door: str
    identity: str
    acting_as: str


@dataclass(frozen=True, slots=True)
class AccessChanged:
    """An administrator has changed what somebody reads outside of the doors: a database role, ``subject``."""

    identity: str
    subject: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Exported:
    """Rows of an entity or table have left as a file: an export of a list, a data package."""

    door: str
    identity: str
    entity: str
    rows: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """Entries of a log are under a seal. ``anchor``: ``log:number:hash``, to be kept where the database is not."""

    anchor: str
    entries: int


@dataclass(frozen=True, slots=True)
class PlanCompiled:
    """A plan shape was compiled and cached."""

    plane: str
    entity: str


@dataclass(frozen=True, slots=True)
class Synced:
    """A table map has moved changes that started on ``side``: rows written, deleted, and set aside in error."""

    map: str
    side: str
    rows: int
    deleted: int
    errors: int


@dataclass(frozen=True, slots=True)
class MapSeen:
    """How a table map stands: by side on which changes start, how many wait and how old the oldest is in seconds."""

    map: str
    state: str
    sides: tuple[tuple[str, int, float], ...]
    errors: int


@dataclass(frozen=True, slots=True)
class DoubtSeen:
    """Prepared transactions of units of work over two databases: how many there are, the age of the oldest."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Alerted:
    """An alert of a table map has gone off: how many errors there were, what is done (none, pause, stop), and who is to
    be told, as the map's file says."""

    map: str
    alert: str
    count: int
    action: str
    notify: tuple[str, ...]


Observation = (
    RequestDone
    | Denied
    | Fault
    | SystemWork
    | SignIn
    | Impersonated
    | AccessChanged
    | Exported
    | Sealed
    | PlanCompiled
    | Synced
    | Alerted
    | MapSeen
    | DoubtSeen
)
Observer = Callable[[Observation], None]


def nobody(observation: Observation) -> None:
    """The observer of tests and tools that watch nothing."""


def fan_out(*observers: Observer) -> Observer:
    """One observer that tells several."""

    def tell(observation: Observation) -> None:
        for observer in observers:
            observer(observation)

    return tell
