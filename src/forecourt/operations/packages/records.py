"""What the register of jobs holds, as values: jobs, their parts, the rows of their files.

::

    NotRun -> Executing -> Succeeded | PartiallySucceeded | Failed        Canceled from the first two

Source: operations-and-integration 5.8.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

import msgspec

from forecourt.operations.packages.projects import Direction, ProjectEntity


class Status(StrEnum):
    """Statuses of an execution, as the data-management API has them."""

    UNKNOWN = "Unknown"
    NOT_RUN = "NotRun"
    EXECUTING = "Executing"
    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


OPEN = frozenset({Status.NOT_RUN, Status.EXECUTING})


class RowState:
    """States of a staged row."""

    WAITING = 0
    APPLIED = 1
    WRONG = 2
    REFUSED = 3


class LeaseLost(Exception):
    """Somebody else has the job by now, or it was canceled: nothing more may be written for it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a job runs as: an operations user, and the contact behind which it was found, if any."""

    user: str
    contact: UUID | None = None


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a job runs. ``preview``: rows per entity of an export, 0 for all. ``open``: the package's own list of
    entities holds, not the project's."""

    execute: bool = True
    cross_company: bool = False
    preview: int = 0
    open: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One entity of a job. ``staged``: rows taken from the file, or written to it; ``complete``: all of them;
    ``position``: the last staged row that was tried; ``applied``, ``failed``: rows."""

    place: int
    entity: str
    file: str
    format: str
    columns: tuple[str, ...] = ()
    staged: int = 0
    complete: bool = False
    position: int = 0
    applied: int = 0
    failed: int = 0
    message: str = ""
    keys_file: UUID | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """``company``: legal entity of the run, '' where the owner's default one or the rows themselves say."""

    number: int
    id: str
    project: str
    direction: Direction
    owner: Owner
    company: str
    options: Options
    status: Status
    message: str
    source: UUID | None
    result: UUID | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    fence: int


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is asked for. ``parts``: of an export."""

    id: str
    project: str
    direction: Direction
    owner: Owner
    company: str = ""
    options: Options = field(default_factory=Options)
    source: UUID | None = None
    parts: tuple[ProjectEntity, ...] = ()


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A row of a file. ``texts``: by field; ``message``: what is wrong with it, '' for nothing."""

    n: int
    texts: Mapping[str, str | None]
    message: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row that was left out, with the reason."""

    n: int
    texts: Mapping[str, str | None]
    state: int
    field: str
    message: str
