"""The test run itself: tests of one group share a worker, for some count what the others did."""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("groups")
def test_a_test_of_a_group_is_handed_out_by_its_group(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("tests run in one process, which is one group")
    assert request.node.nodeid.endswith("@groups")
