"""Runs both promises on a maker's solution, over scratch copies of its databases, and says what came of it.

The databases themselves are only read, as templates of the copies: nobody else may be connected to them meanwhile.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from forecourt.app import connect
from forecourt.cli.fuzzing import kinds
from forecourt.cli.fuzzing.agreement import Tally, agreement, arrive, comparable, pool_of
from forecourt.cli.fuzzing.findings import Findings
from forecourt.cli.fuzzing.furnished import furnished
from forecourt.cli.fuzzing.interference import Lockstep, Stuck
from forecourt.cli.fuzzing.native import NativeTally, plain_sql
from forecourt.cli.fuzzing.worlds import Person, copied, people
from forecourt.cli.workspace import data_folder, opened
from forecourt.settings import Settings

#: People who ask in one run.
PEOPLE = 14
#: How many of them ask by plain SQL, too.
LOGINS = 4
#: Of so many requests, a round of two worlds for each hundred; in a round, so many reads and writes.
REQUESTS_PER_ROUND, READS, WRITES = 100, 20, 6


@dataclass(frozen=True)
class Fuzzed:
    """What came of a run. The same ``seed`` over the same databases asks the same."""

    seed: int
    seconds: float
    tally: Tally
    findings: Findings
    native: NativeTally

    @property
    def clean(self) -> bool:
        return not self.tally.differences and not self.findings.found and not self.native.differences

    def lines(self) -> list[str]:
        """The report as text."""
        tally, findings = self.tally, self.findings
        hidden = sum(count for name, count in findings.changed.items() if not name.startswith("("))
        changes = ", ".join(f"{count} {name}" for name, count in sorted(findings.changed.items()))
        doors = ", ".join(f"{count} {name}" for name, count in sorted(findings.doors.items()))
        return [
            *(f"DIFFERENCE {item}" for item in tally.differences),
            *(f"DIFFERENCE {item}" for item in self.native.differences),
            *(f"INTERFERENCE {item}" for item in findings.found),
            f"{tally.requests} requests by {len(tally.people)} identities, {tally.unknown} beyond what is compared: "
            f"{len(tally.differences) or 'no'} differences.",
            *kinds.lines(tally.answers, tally.kinds),
            f"{findings.requests} requests in {findings.rounds} rounds by {len(findings.people)} identities, while "
            f"{hidden} things changed that they may not read ({changes}): {len(findings.found) or 'no'} interferences, "
            f"{findings.declared} collisions with rules of the database.",
            *((f"  asked: {doors}",) if doors else ()),
            self.native.line(),
            f"Seed {self.seed}, {self.seconds:.0f} seconds.",
        ]


async def fuzz(
    root: Path,
    data: Path | None,
    requests: int,
    seed: int,
    settings: Settings,
    progress: Callable[[int], None] = lambda _: None,
) -> Fuzzed:
    """Asks ``requests`` questions, then goes through rounds of two worlds. Raises Refusal FC7102, DefinitionErrors."""
    async with _templates(root, data, settings) as urls:
        return await fuzzed(root, urls, requests, seed, settings, progress)


async def fuzzed(
    root: Path,
    urls: list[str],
    requests: int,
    seed: int,
    settings: Settings,
    progress: Callable[[int], None] = lambda _: None,
    rounds: int | None = None,
) -> Fuzzed:
    """The same over databases that are loaded and that nobody is connected to. ``rounds``: of two worlds."""
    started = time.monotonic()
    draw = random.Random(seed)  # noqa: S311 - the same seed has to ask the same again
    own = replace(settings, lane_size=min(settings.lane_size, 4))
    findings, tally = Findings(), Tally()
    wanted = max(2, requests // REQUESTS_PER_ROUND) if rounds is None else rounds
    tried = 0
    async with furnished(root, urls, own, seed) as (templates, holders):
        while tried < wanted:
            met: list[Person] = []
            async with copied(root, templates, own) as first, copied(root, templates, own) as second:
                pool = await pool_of(first, seed)
                if not tally.requests:
                    asking = _joined(holders, await people(first.forecourt, draw, PEOPLE))
                    tally = await agreement(first, asking, requests, draw, pool, progress)
                    met = asking
                asking = _joined(holders, await people(first.forecourt, draw, PEOPLE))
                for world in (first, second):
                    await arrive(world, [*met, *asking])
                asking = await comparable(first, asking)
                since = await first.cells["operations"].transaction_number()
                steps = Lockstep(first, second, pool, draw, since)
                asking = [person for person in asking if await steps.alike(person)]
                while asking and tried < wanted:
                    tried += 1
                    try:
                        await steps.round(draw.choice(asking), READS, WRITES, findings)
                    except Stuck:
                        break
                if not asking:
                    break
    async with copied(root, urls, own) as third:
        native = await plain_sql(third, await people(third.forecourt, draw, PEOPLE), LOGINS, draw)
    return Fuzzed(seed, time.monotonic() - started, tally, findings, native)


def _joined(holders: Sequence[Person], others: Sequence[Person]) -> list[Person]:
    """At most so many people, those who hold something first."""
    return [*dict.fromkeys((*holders, *others))][:PEOPLE]


@asynccontextmanager
async def _templates(root: Path, data: Path | None, settings: Settings) -> AsyncIterator[list[str]]:
    """The addresses of a solution's databases, loaded, with nobody of ours connected."""
    async with opened(root, data, settings):
        pass
    databases = await connect(root, data_folder(root, data), settings)
    try:
        await databases.operations.close()
        if not databases.shared:
            await databases.dataverse.close()
        yield list(dict.fromkeys((databases.operations.url, databases.dataverse.url)))
    finally:
        if databases.server is not None:
            databases.server.stop()
