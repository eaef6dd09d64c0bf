"""The security log: who came, what was refused, and what has changed in who may do what.

An :class:`Event` is what one thing that happened says; the same thing said again within a moment counts up instead of
being kept twice, so that a flood of denials is one entry. Leaves out where events are kept (``store/security_log``),
the writes of the integration, which have a log of their own (``integration_log``), and what changes in tables, which
the database notes itself (``store/watched``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from forecourt.kernel.observe import AccessChanged, Denied, Exported, Impersonated, Observation, SignIn

Kind = Literal["sign-in", "denial", "impersonation", "export", "membership", "account", "rule"]

KINDS: Final = ("sign-in", "denial", "impersonation", "export", "membership", "account", "rule")

#: Characters of a text that a caller chooses.
LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Event:
    """``actor``: whose doing it is; ``subject``: what it was done to; ``outcome``: how it ended, a code of refusal or a
    word; ``door``: the way in, '' for none."""

    kind: Kind
    actor: str
    subject: str
    outcome: str = ""
    door: str = ""


@dataclass(frozen=True, slots=True)
class Logged:
    """An event as it is kept. ``number`` grows; ``count``: how often it happened in that moment; ``detail``: what a
    changed row or file holds that matters."""

    number: int
    at: dt.datetime
    event: Event
    count: int
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events to look at: of these kinds (() for all), by or about somebody whose name contains ``person``, from
    ``since`` and before ``until``, with numbers below ``before``; ``limit`` at most, the newest first."""

    kinds: tuple[str, ...] = ()
    person: str = ""
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    before: int | None = None
    limit: int = 100


def event_of(observation: Observation) -> Event | None:
    """What the log keeps of an observation, None for nothing.

    >>> event_of(SignIn("ann", "password", "locked"))
    Event(kind='sign-in', actor='ann', subject='password', outcome='locked', door='')
    """
    match observation:
        case SignIn(identity, kind, outcome):
            return Event("sign-in", identity[:LONGEST], kind, outcome)
        case Denied(door, identity, code, what):
            return Event("denial", identity[:LONGEST], what[:LONGEST], code, str(door))
        case Impersonated(door, identity, acting_as):
            return Event("impersonation", identity[:LONGEST], acting_as[:LONGEST], "", str(door))
        case AccessChanged(identity, subject, outcome):
            return Event("membership", identity, subject, outcome)
        case Exported(door, identity, entity, rows):
            return Event("export", identity[:LONGEST], entity, f"{rows} rows", str(door))
        case _:
            return None


def urgent(event: Event) -> bool:
    """Whether an answer waits until the event is kept. Denials may be many, and are kept within a second."""
    return event.kind != "denial"
