"""One answer that is made of several reads, such as a page with its lists, asks what all of them rest on once.

A read that rests on rows which somebody else may change (a membership, a policy's allowed set) is accompanied by its
guard: a statement that says whether they are as they were. Inside of :func:`one_answer` the same guard runs once and
tells what was so when the answer began; the next answer asks anew. Not for work that goes on for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_ASKED: ContextVar[dict[object, asyncio.Task[bool]] | None] = ContextVar("asked", default=None)


@contextmanager
def one_answer() -> Iterator[None]:
    """The reads inside of the block belong to one answer."""
    token = _ASKED.set({})
    try:
        yield
    finally:
        _ASKED.reset(token)


async def once(key: object, ask: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
    """What ``ask`` says; inside of one answer, what it said first under this key."""
    asked = _ASKED.get()
    if asked is None:
        return await ask()
    if key not in asked:
        asked[key] = asyncio.ensure_future(ask())
    return await asyncio.shield(asked[key])
