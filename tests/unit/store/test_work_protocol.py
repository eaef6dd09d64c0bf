"""The live protocol, explored: whatever happens in whatever order, both databases keep a unit of work or neither does.

The model is ``support/protocol``; that the real processes do the same is for ``tests/faults``.
"""

from __future__ import annotations

import pytest

from forecourt.store.recovery import STEPS as RECOVERY
from forecourt.store.work import STEPS as WORK
from support.protocol import Protocol, explore

#: Steps before there is anything to lose, and the second of two in either order, which the model sends at once.
OUTSIDE = {"work: begun", "work: attempted", "work: target prepared"}


def test_no_order_of_events_with_up_to_three_faults_leaves_one_side_only() -> None:
    found = explore(most_faults=3)
    assert found.fault == "", found.moves
    assert found.states > 10_000
    assert {*WORK, *RECOVERY} - OUTSIDE <= found.labels, "the model takes the steps of the code"


@pytest.mark.parametrize(
    ("mutant", "faults"),
    [
        pytest.param(Protocol(lock=False), 1, id="without the lock"),
        pytest.param(Protocol(look=False), 1, id="rolling back without looking"),
        pytest.param(Protocol(prepare_first=False), 1, id="deciding before the target is prepared"),
        pytest.param(Protocol(old_first=False), 1, id="forgetting by age what was decided since"),
        pytest.param(Protocol(on_disk=False), 1, id="forgetting before the commit is on disk"),
    ],
)
def test_a_protocol_with_a_part_left_out_is_found_wrong(mutant: Protocol, faults: int) -> None:
    found = explore(mutant, faults)
    assert found.fault, f"{found.states} states"
    assert len(found.moves) > 2
