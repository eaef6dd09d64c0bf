"""The way through a multistep form, as far as it can be seen from a step.

Behind lie the steps that are done; ahead, those that follow when every condition holds: a branch that goes elsewhere
changes what is ahead, and the way is drawn anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from forecourt.kernel.label import each
from forecourt.pages.multistep.session import FormSession
from forecourt.pages.site.step_definitions import (
    FormStep,
    MultistepForm,
    ProgressKind,
    ProgressPlace,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A step on the way."""

    title: str
    state: Literal["done", "here", "ahead"]


@dataclass(frozen=True, slots=True)
class Way:
    """``number`` of ``total``; ``percent`` that lies behind."""

    kind: Literal["title", "numeric", "bar"]
    place: Literal["top", "bottom", "left", "right"]
    marks: tuple[Mark, ...]
    number: int
    total: int

    @property
    def percent(self) -> int:
        return round(100 * (self.number - 1) / self.total)


def way(form: MultistepForm, session: FormSession, here: FormStep) -> Way | None:
    """The way, None where the form does not show it."""
    progress = form.progress
    if progress is None:
        return None
    steps = [*session.path, *([session.current] if session.current else [])]
    seen = [form.steps[step] for step in dict.fromkeys([*steps, here.id]) if step in form.steps]
    known = [*seen, *_ahead(form, seen[-1], {step.id for step in seen})]
    at = next(place for place, step in enumerate(known) if step.id == here.id)
    counted = known[:-1] if progress.without_last and len(known) > 1 and at < len(known) - 1 else known
    marks = []
    for place, step in enumerate(counted):
        title = each(step.title, f"{place + 1}. {{}}".format) if progress.numbered else step.title
        marks.append(Mark(title, "here" if place == at else "done" if place < at else "ahead"))
    kinds: dict[ProgressKind, Literal["title", "numeric", "bar"]] = {
        ProgressKind.TITLE: "title",
        ProgressKind.NUMERIC: "numeric",
        ProgressKind.BAR: "bar",
    }
    places: dict[ProgressPlace, Literal["top", "bottom", "left", "right"]] = {
        ProgressPlace.TOP: "top",
        ProgressPlace.BOTTOM: "bottom",
        ProgressPlace.LEFT: "left",
        ProgressPlace.RIGHT: "right",
    }
    return Way(kinds[progress.kind], places[progress.place], tuple(marks), at + 1, len(counted))


def _ahead(form: MultistepForm, last: FormStep, passed: set[UUID]) -> Iterator[FormStep]:
    """The steps with a form behind ``last``, by the way on which every condition holds."""
    step = form.steps.get(last.next) if last.next else None
    while step is not None and step.id not in passed:
        passed.add(step.id)
        if step.basic is not None:
            yield step
        step = form.steps.get(step.next) if step.next else None
