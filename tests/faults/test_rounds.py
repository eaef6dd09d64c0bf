"""Whatever dies, both sides end up the same, and hold everything that was acknowledged."""

from __future__ import annotations

import os
import random
import secrets

import pytest

from support.fault_rounds import LABELS, arena, plans

#: Rounds of a run of all tests; ``make faults`` asks for more.
FEW = 6

#: Rounds from which on every label has had its turn.
ENOUGH = 3 * len(LABELS)


@pytest.mark.slow
async def test_nothing_is_lost_doubled_or_different_whatever_dies_and_whenever(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rounds = int(os.environ.get("ROUNDS", FEW))
    seed = os.environ.get("SEED", "") or secrets.token_hex(4)
    chance = random.Random(seed)
    with capsys.disabled():
        print(f"\n{rounds} rounds; SEED={seed} plays the same plans again", flush=True)
        async with arena() as everything:
            for plan in plans(rounds, chance):
                said, wrong = await everything.round(plan, chance)
                print(f"round {plan.number}/{rounds}: {plan}: {said}{': WRONG' if wrong else ''}", flush=True)
                assert wrong == [], "\n".join((f"SEED={seed}, round {plan.number}: {plan}", *wrong[:20]))
            print(f"killed at {len(everything.killed)} of {len(LABELS)} labels", flush=True)
            if rounds >= ENOUGH:
                assert set(LABELS) - everything.killed == set()
