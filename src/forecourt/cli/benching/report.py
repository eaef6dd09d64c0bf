"""What came out: medians with their spread, and ratios, which are taken within a round and then their median.

Two ratios to pgbench. *Rate*: requests per second to transactions per second. *CPU*: the same, worked out from CPU time
on the busier core of each; where something else uses the machine, believe this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.table import Table

from forecourt.cli.benching.questions import HAND, SENT, name_of
from forecourt.cli.benching.rounds import Sample, Samples
from forecourt.cli.benching.subject import DOORS, IDENTITIES, UNCONSTRAINED
from forecourt.cli.benching.suite import Suite

#: Rates per second, latencies in ms, CPU in microseconds per request; ratios to pgbench with both statements.
HEADINGS = ("per s", "p50", "p99", "server", "PG", "load", "rate / hand", "CPU / hand", "rate / sent")

Pick = Callable[[Sample], float]


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of some rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """
    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0)
    """
    return Spread(median(values), min(values), max(values))


def ratios(above: Sequence[Sample], below: Sequence[Sample], pick: Pick) -> Spread:
    """The ratio of two contenders, round by round."""
    return spread([pick(one) / pick(other) for one, other in zip(above, below, strict=True)])


@dataclass(frozen=True)
class Verdict:
    """A goal. ``most``: whether ``wanted`` is the most that is allowed, else the least."""

    scenario: str
    what: str
    ratio: Spread
    wanted: float
    most: bool = False

    @property
    def met(self) -> bool:
        return self.ratio.median <= self.wanted if self.most else self.ratio.median >= self.wanted

    def __str__(self) -> str:
        sign = "at most" if self.most else "at least"
        found = self.ratio
        return (
            f"{self.scenario}: {self.what} {found.median:.2f} ({found.low:.2f} to {found.high:.2f}), "
            f"wanted {sign} {self.wanted:.2f}: {'met' if self.met else 'missed'}"
        )


def verdicts(suite: Suite, samples: Samples) -> tuple[Verdict, ...]:
    """Every goal, with what came out."""
    found = []
    data, virtual = (name_of(door, IDENTITIES[0]) for door in DOORS)
    for scenario in suite.scenarios:
        taken = samples.get(scenario.name)
        if taken is None:
            continue
        name, least = scenario.name, scenario.wanted
        found += [
            Verdict(name, "rate of /data to pgbench, the same SQL", ratios(taken[data], taken[SENT], _rate), least),
            Verdict(name, "rate of /data to pgbench, SQL by hand", ratios(taken[data], taken[HAND], _rate), least),
            Verdict(
                name,
                "CPU of a virtual table to /data",
                ratios(taken[virtual], taken[data], _cost),
                suite.virtual_limit,
                most=True,
            ),
        ]
        free = name_of(DOORS[0], UNCONSTRAINED)
        if free in taken:
            what = "CPU of the policy to its predicate in $filter"
            ratio = ratios(taken[data], taken[free], _cost)
            found.append(Verdict(name, what, ratio, suite.policy_limit, most=True))
    return tuple(found)


def table(title: str, taken: Mapping[str, Sequence[Sample]]) -> Table:
    """One scenario. Figures are medians; ratios are followed by their spread."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("contender", overflow="fold", min_width=20)
    for heading in HEADINGS:
        shown.add_column(heading, justify="right", no_wrap=True)
    for name, rows in taken.items():
        p99 = [row.p99 for row in rows if row.p99 is not None]
        shown.add_row(
            name,
            f"{_median(rows, _rate):,.0f}",
            f"{_median(rows, lambda row: row.p50):.2f}",
            f"{median(p99):.2f}" if p99 else "",
            f"{_median(rows, lambda row: row.server):.0f}" if rows[0].server else "",
            f"{_median(rows, lambda row: row.postgres):.0f}",
            f"{_median(rows, lambda row: row.load):.0f}",
            _shown(ratios(rows, taken[HAND], _rate)),
            _shown(ratios(taken[HAND], rows, _busiest)),
            f"{ratios(rows, taken[SENT], _rate).median:.2f}",
        )
    return shown


def as_json(suite: Suite, samples: Samples) -> dict[str, Any]:
    """Summaries and verdicts for JSON."""
    return {
        "summary": {
            scenario: {
                name: {
                    "rate": _median(rows, _rate),
                    "server_us": _median(rows, lambda row: row.server),
                    "postgres_us": _median(rows, lambda row: row.postgres),
                    "rate_to_hand": vars(ratios(rows, taken[HAND], _rate)),
                    "cpu_to_hand": vars(ratios(taken[HAND], rows, _busiest)),
                    "rate_to_sent": vars(ratios(rows, taken[SENT], _rate)),
                }
                for name, rows in taken.items()
            }
            for scenario, taken in samples.items()
        },
        "goals": [
            {
                "scenario": item.scenario,
                "what": item.what,
                "ratio": vars(item.ratio),
                "at_most" if item.most else "at_least": item.wanted,
                "met": item.met,
            }
            for item in verdicts(suite, samples)
        ],
    }


def _rate(sample: Sample) -> float:
    return sample.rate


def _busiest(sample: Sample) -> float:
    return sample.busiest


def _cost(sample: Sample) -> float:
    return sample.cost


def _median(rows: Sequence[Sample], pick: Pick) -> float:
    return median(pick(row) for row in rows)


def _shown(found: Spread) -> str:
    return f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"
