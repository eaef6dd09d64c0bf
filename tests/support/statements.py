"""The statements that are run, as a test counts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from forecourt.store.lanes import Lane


def recorded(monkeypatch: pytest.MonkeyPatch, wanted: Callable[[str], bool] = lambda sql: True) -> list[str]:
    """A list that grows by each statement that is wanted."""
    seen: list[str] = []
    original = Lane.fetch

    async def counted(self: Lane, sql: str, arguments: Sequence[object]) -> Any:
        if wanted(sql):
            seen.append(sql)
        return await original(self, sql, arguments)

    monkeypatch.setattr(Lane, "fetch", counted)
    return seen
