"""Rounds of the benchmark of copies: who is timed in which order, and what came out.

A case has contenders that do comparable work; the first is the baseline. Each runs once per round, the order rotating,
after a round that does not count. Ratios are taken within a round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.table import Table

from forecourt.cli.benching.report import Verdict, spread


@dataclass(frozen=True)
class Timed:
    """What one contender took in one round, in microseconds per unit. ``megabytes``: the most that the process held
    in memory meanwhile, where that was looked at. ``apart``: microseconds per unit that any number of units takes."""

    microseconds: float
    megabytes: float = 0.0
    apart: float = 0.0

    @property
    def net(self) -> float:
        """Microseconds per unit for the units alone."""
        return self.microseconds - self.apart


Contender = Callable[[], Awaitable[Timed]]
Round = Mapping[str, Timed]


@dataclass(frozen=True)
class Goal:
    """``figure``: out of one round. ``most``: whether ``wanted`` is the most that is allowed, else the least."""

    what: str
    figure: Callable[[Round], float]
    wanted: float
    most: bool = True


@dataclass(frozen=True)
class Case:
    """``unit``: what the times are of."""

    name: str
    title: str
    unit: str
    contenders: Mapping[str, Contender]
    goals: tuple[Goal, ...]


@dataclass(frozen=True)
class Outcome:
    """A case and its rounds."""

    case: Case
    rounds: tuple[Round, ...]

    def verdicts(self) -> list[Verdict]:
        """Every goal, with what came out."""
        return [
            Verdict(
                self.case.name, goal.what, spread([goal.figure(one) for one in self.rounds]), goal.wanted, goal.most
            )
            for goal in self.case.goals
        ]


def times(above: str, below: str) -> Callable[[Round], float]:
    """How many times as long one contender takes as another.

    >>> times("a", "b")({"a": Timed(6.0), "b": Timed(4.0)})
    1.5
    """
    return lambda one: one[above].microseconds / one[below].microseconds


def turned(names: Sequence[str], by: int) -> list[str]:
    """
    >>> turned(["a", "b", "c"], 4)
    ['b', 'c', 'a']
    """
    at = by % len(names)
    return [*names[at:], *names[:at]]


async def measure(
    cases: Sequence[Case], rounds: int, between: Callable[[], Awaitable[None]], told: Callable[[str], None]
) -> list[Outcome]:
    """Times the cases' contenders in turns. ``between``: runs before each round, untimed."""
    taken: dict[str, list[Round]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        told("Warming up" if not number else f"Round {number} of {rounds}: {', '.join(case.name for case in cases)}")
        await between()
        for case in cases:
            found: dict[str, Timed] = {}
            for name in turned(list(case.contenders), number):
                found[name] = await case.contenders[name]()
            if number:
                taken[case.name].append(found)
    return [Outcome(case, tuple(taken[case.name])) for case in cases]


def table(outcome: Outcome) -> Table:
    """A case. Figures are medians; the ratio, of times, is followed by its spread."""
    case = outcome.case
    shown = Table(title=case.title, title_justify="left")
    shown.add_column("contender", overflow="fold", min_width=20)
    for heading in (f"µs per {case.unit}", f"{case.unit}s per s", "time / baseline", "MB"):
        shown.add_column(heading, justify="right", no_wrap=True)
    baseline = next(iter(case.contenders))
    for name in case.contenders:
        took = median(one[name].microseconds for one in outcome.rounds)
        ratio = spread([times(name, baseline)(one) for one in outcome.rounds])
        memory = max(one[name].megabytes for one in outcome.rounds)
        shown.add_row(
            name,
            f"{took:,.1f}",
            f"{1_000_000 / took:,.0f}",
            f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})",
            f"{memory:.0f}" if memory else "",
        )
    return shown


def as_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Every sample, and the goals."""
    return {
        "cases": {
            outcome.case.name: {
                name: {
                    "microseconds": [round(one[name].microseconds, 3) for one in outcome.rounds],
                    "apart": [round(one[name].apart, 3) for one in outcome.rounds],
                    "megabytes": max(one[name].megabytes for one in outcome.rounds) or None,
                    "unit": outcome.case.unit,
                }
                for name in outcome.case.contenders
            }
            for outcome in outcomes
        },
        "goals": [
            {
                "case": item.scenario,
                "what": item.what,
                "figure": vars(item.ratio),
                "at_most" if item.most else "at_least": item.wanted,
                "met": item.met,
            }
            for outcome in outcomes
            for item in outcome.verdicts()
        ],
    }
