"""Records of multistep forms: the form, its steps, and where each leads (pages-and-dataverse A4.4).

Numbers of choices and ``columns`` are as in :mod:`~forecourt.pages.site.definitions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from uuid import UUID

from forecourt.kernel.model import NOWHERE, Where
from forecourt.pages.site.conditions import Condition
from forecourt.pages.site.definitions import FormDefinition, FormMode


class StepSource(IntEnum):
    """Where the row of a step comes from. ``EARLIER_STEP``: it was made or opened by a step before."""

    QUERY_STRING = 100000001
    CURRENT_USER = 100000002
    EARLIER_STEP = 100000003
    RELATED_TO_USER = 100000004


class ReferenceSource(IntEnum):
    """Where the row comes from that a step's row is bound to."""

    QUERY_STRING = 100000000
    EARLIER_STEP = 100000001
    RELATED_TO_USER = 100000002


class ProgressKind(IntEnum):
    """How a multistep form shows the way."""

    TITLE = 756150000
    NUMERIC = 756150001
    BAR = 756150002


class ProgressPlace(IntEnum):
    TOP = 756150000
    BOTTOM = 756150001
    LEFT = 756150002
    RIGHT = 756150003


class StepKind(IntEnum):
    """What a step of a multistep form does (A4.4)."""

    CONDITION = 100000000
    LOAD_FORM = 100000001
    LOAD_TAB = 100000002
    REDIRECT = 100000003
    LOAD_USER_CONTROL = 100000004


@dataclass(frozen=True, slots=True)
class Redirection:
    """Where a redirect step leads: to ``page``, else to ``url``. ``keep_query``: with the query of the form's address;
    ``id_parameter``: with the row's id by this name, '' without; ``query``: with this text; ``column`` and
    ``parameter``: with a value of the row."""

    page: UUID | None = None
    url: str = ""
    keep_query: bool = False
    id_parameter: str = ""
    query: str = ""
    column: str = ""
    parameter: str = ""


@dataclass(frozen=True, slots=True)
class FormStep:
    """A step of a multistep form. ``next``: the step after it; ``otherwise``: after a condition that does not hold.

    ``basic``: the form that a step shows, as it would stand on a page. ``source`` and ``source_step``: where its row
    comes from; ``reference_step``: the step whose row is named by the form's ``parent_column``. ``back``: the person
    may go back from it. ``condition``, ``redirection``: of steps of those kinds.
    """

    id: UUID
    name: str
    kind: StepKind
    next: UUID | None = None
    otherwise: UUID | None = None
    table: str = ""
    form: str = ""
    mode: FormMode | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Where = NOWHERE
    basic: FormDefinition | None = None
    source: StepSource = StepSource.QUERY_STRING
    source_step: UUID | None = None
    reference_step: UUID | None = None
    condition: Condition | None = None
    redirection: Redirection | None = None
    title: str = ""
    instructions: str = ""
    back: bool = True
    previous_label: str = ""
    next_label: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How the way is shown. ``numbered``: titles begin with the step's number; ``without_last``: the last step does not
    count."""

    kind: ProgressKind = ProgressKind.TITLE
    place: ProgressPlace = ProgressPlace.TOP
    numbered: bool = False
    without_last: bool = False


@dataclass(frozen=True, slots=True)
class MultistepForm:
    """A multistep form (``adx_webform``). ``steps``: by id.

    ``sign_in``: only for who is signed in. ``fresh``: it begins anew each time it is opened. ``several``: a person may
    send it more than once; otherwise ``edit`` lets them change what they sent, until the row has the state ``expired``
    (state, status), where ``expired_text`` is said; ``closed_text`` where nothing may be changed.
    """

    id: UUID
    name: str
    start: UUID | None
    steps: Mapping[UUID, FormStep]
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Where = NOWHERE
    sign_in: bool = False
    fresh: bool = False
    several: bool = True
    edit: bool = False
    expired: tuple[int | None, int | None] = (None, None)
    expired_text: str = ""
    closed_text: str = ""
    progress: Progress | None = None
