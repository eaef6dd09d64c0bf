"""Whether anything at all has been changed in the databases since an answer was made.

A moment is what a new statement would see: PostgreSQL's snapshot, of all transactions of the server (documentation:
System Information Functions, ``pg_current_snapshot``), and when the server started. Snapshots only move on: where one
moment was before a read and is still so after it, the read saw that very state, and another one would see it now.
A moment does not tell what has changed, nor for whom; whatever is written, anywhere on the server, ends it.

Values that statements take from the clock are not part of it. In a database with foreign tables no moment stays, for
what they hold is written elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from forecourt.store.database import Database

Moment = tuple[str, ...]


class Moments:
    """Asks for the moment, once for all who ask while the last question is on its way."""

    def __init__(self, databases: Sequence[Database]) -> None:
        self._databases = tuple({id(database): database for database in databases}.values())
        self._next: asyncio.Task[Moment] | None = None
        self._asking = asyncio.Lock()

    async def __call__(self) -> Moment:
        """The present moment: of a question that is sent after the call. Raises Unavailable."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._next)

    async def _ask(self) -> Moment:
        async with self._asking:
            self._next = None  # who comes from now on may have written after this question was sent
            return tuple(await asyncio.gather(*(database.moment() for database in self._databases)))
