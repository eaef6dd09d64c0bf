"""One answer that is made of several reads, such as a page with its lists: what holds for all of them.

A read that rests on rows which somebody else may change (a membership, a policy's allowed set) is accompanied by its
guard: a statement that says whether they are as they were. Inside of :func:`one_answer` the same guard runs once and
tells what was so when the answer began; the next answer asks anew. Not for work that goes on for long.

An answer also knows until when it may be given again while no row has changed: not at all where it is :func:`passing`,
and no longer than a right that is held against the time of day (:func:`holds_until`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

_PAST, _NEVER = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(slots=True, eq=False)
class Answer:
    """What is known of an answer while it is made. ``until``: when it may be another one though no row has changed."""

    asked: dict[object, asyncio.Task[bool]] = field(default_factory=dict)
    until: dt.datetime = _NEVER


_ANSWER: ContextVar[Answer | None] = ContextVar("answer", default=None)


@contextmanager
def one_answer() -> Iterator[Answer]:
    """The reads inside of the block belong to one answer."""
    answer = Answer()
    token = _ANSWER.set(answer)
    try:
        yield answer
    finally:
        _ANSWER.reset(token)


async def once(key: object, ask: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
    """What ``ask`` says; inside of one answer, what it said first under this key."""
    answer = _ANSWER.get()
    if answer is None:
        return await ask()
    if key not in answer.asked:
        answer.asked[key] = asyncio.ensure_future(ask())
    return await asyncio.shield(answer.asked[key])


def holds_until(moment: dt.datetime) -> None:
    """The answer that is being made rests on something that may be otherwise from ``moment`` on, aware."""
    answer = _ANSWER.get()
    if answer is not None:
        answer.until = min(answer.until, moment)


def passing() -> None:
    """The answer that is being made holds something that is for one use, or that may be otherwise at once."""
    holds_until(_PAST)
