"""Whatever a solution's rules are, an identity is told what it may read, and nothing that is hidden shows.

Roles, policies, security roles, table permissions, columns and settings are drawn at random over the rows of a small
company. Of each configuration, random requests are answered at every door as the rules say, and two copies of the
databases that differ in nothing that the asker may read give the same answers.

``CONFIGURATIONS=300 pytest tests/property/test_drawn_configurations.py`` tries out so many; the first seed
is ``FIRST_SEED``.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import pytest

from forecourt.cli.fuzzing.agreement import Tally, agreement, arrive, comparable, pool_of
from forecourt.cli.fuzzing.findings import Findings
from forecourt.cli.fuzzing.interference import Lockstep, Stuck
from forecourt.cli.fuzzing.worlds import copied, people
from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support import drawn_solution

SETTINGS = Settings(lane_size=2)
COUNT, FIRST = int(os.environ.get("CONFIGURATIONS", "2")), int(os.environ.get("FIRST_SEED", "3"))

#: Of a configuration: people, questions at one door, rounds of two worlds, and in each so many reads and writes.
PEOPLE, REQUESTS, ROUNDS, READS, WRITES = 10, 40, 3, 16, 6


@dataclass(frozen=True)
class Tried:
    tally: Tally
    findings: Findings

    @property
    def clean(self) -> bool:
        return not self.tally.differences and not self.findings.found

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.tally.differences, *self.findings.found)))


async def tried(root: Path, url: str, seed: int) -> Tried:
    """Both promises, under one configuration."""
    draw, findings = random.Random(seed), Findings()
    async with copied(root, [url], SETTINGS) as first, copied(root, [url], SETTINGS) as second:
        pool = await pool_of(first, seed)
        asking = await people(first.forecourt, draw, PEOPLE)
        await arrive(second, asking)
        tally = await agreement(first, asking, REQUESTS, draw, pool)
        steps = Lockstep(first, second, pool, draw, await first.cells["operations"].transaction_number())
        able = await comparable(first, asking)
        with suppress(Stuck):
            for _ in range(ROUNDS):
                await steps.round(draw.choice(able), READS, WRITES, findings)
    return Tried(tally, findings)


@pytest.fixture(scope="module")
async def url(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    await drawn_solution.ensure_loaded(postgres, tmp_path_factory.mktemp("first"))
    address = postgres.url(drawn_solution.TEMPLATE)
    os.environ["SMALL_ERP"] = address
    yield address


async def test_under_any_configuration_nothing_shows_that_is_hidden(url: str, tmp_path: Path) -> None:
    answers: Counter[tuple[str, int]] = Counter()
    doors: Counter[str] = Counter()
    asked = rounds = declared = 0
    wrong: list[str] = []
    for seed in range(FIRST, FIRST + COUNT):
        root = drawn_solution.drawn(tmp_path / str(seed), seed)
        found = await tried(root, url, seed)
        rmtree(tmp_path / str(seed))
        if not found.clean:
            wrong.append(f"configuration {seed}: {found}")
            print(wrong[-1], flush=True)
        answers.update(found.tally.answers)
        doors.update(found.findings.doors)
        asked += found.tally.requests + found.findings.requests
        rounds, declared = rounds + found.findings.rounds, declared + found.findings.declared
        print(f"{seed}: {asked} requests, {rounds} rounds, {declared} collisions, {len(wrong)} wrong", flush=True)
    print(sorted(doors.items()), sorted(answers.items()), sep="\n")
    assert not wrong, "\n".join(wrong)
    assert rounds, "nothing was changed that nobody may see"
    assert sum(count for (_, status), count in answers.items() if status == 200), "nobody reads anything"
