"""Steps: the labelled instants of a protocol, between any two of which its process may die.

A protocol has its labels in one tuple, named ``STEPS``, beside its code, and says each as it passes. Tests of faults
listen, and end the process there. In production nobody listens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Step = Callable[[str], Awaitable[None]]


async def unwatched(label: str) -> None:
    """Nobody listens."""
