"""Pages that are given again while nothing has changed, without being made again.

What makes a page the same is its request (address, language, host, cookies, what the browser takes) and the databases'
moment (:mod:`forecourt.store.moments`), asked anew for every request: whatever is written, rows, permissions, mappings,
sessions, or anything else, ends all pages that are kept. Site and rules do not change while a portal lives.

Kept are whole answers that set no cookie and hold nothing for one use (:func:`forecourt.kernel.answers.passing`), no
longer than the session lasts and rights that are held against the time of day (``holds_until``). What else goes by the
clock, ``now`` in a text or a view of the last days, may be :data:`LONGEST` behind: no page is given again for longer.

A page is kept from its second request on; who asks once costs nothing more. Nothing is shared between persons, for
the cookie is part of the request; its hash is kept, not the cookie.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from forecourt.kernel.answers import one_answer
from forecourt.kernel.errors import Unavailable

#: How long a page is given again, at most.
LONGEST = dt.timedelta(seconds=10)

#: The largest page that is kept, and the room for all of them, in bytes.
LARGEST = 256 * 1024
ROOM = 32 * 1024 * 1024

#: Requests that are remembered, seen once or kept; the longest request that is, in characters.
ENTRIES = 20_000
LONGEST_REQUEST = 8_000

#: Headers of a request that a page rests on.
HEADERS = (b"host", b"cookie", b"accept-language", b"accept-encoding", b"if-none-match")

#: What the portal notes of a request in its scope: who asked, the language of the answer, and how long the answer may
#: be given again (None: not at all).
IDENTITY, SPOKEN, UNTIL = "forecourt.identity", "forecourt.spoken", "forecourt.until"

Make = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A page as it was sent."""

    moment: object
    until: dt.datetime
    identity: str
    spoken: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def response(self) -> Response:
        response = Response(self.body)
        response.raw_headers = list(self.headers)
        return response


class Remembered:
    """The pages of one portal. ``moments``: asks for the databases' present moment; ``clock``: now, in UTC."""

    def __init__(
        self,
        moments: Callable[[], Awaitable[object]],
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._moments = moments
        self._clock = clock
        self._known: OrderedDict[bytes, Kept | None] = OrderedDict()
        self._held = 0

    async def answer(self, request: Request, make: Make) -> Response:
        """The answer to a request for a page: the one that was given before where it still holds, else a new one."""
        key = _key(request)
        if key is None or key not in self._known:
            if key is not None:
                self._put(key, None)
            with one_answer():
                return await make(request)
        try:
            moment = await self._moments()
        except Unavailable:
            moment = None
        kept = self._known.get(key)
        if kept is not None and kept.moment == moment and self._clock() < kept.until:
            self._known.move_to_end(key)
            request.scope.update({IDENTITY: kept.identity, SPOKEN: kept.spoken})
            return kept.response()
        began = self._clock()
        with one_answer() as made:
            response = await make(request)
        until = request.scope.get(UNTIL)
        if moment is None or until is None or not _lasting(response):
            self._put(key, None)
        else:
            who, spoken = request.scope.get(IDENTITY, ""), request.scope.get(SPOKEN, "")
            ends = min(until, made.until, began + LONGEST)
            self._put(key, Kept(moment, ends, who, spoken, tuple(response.raw_headers), bytes(response.body)))
        return response

    def _put(self, key: bytes, kept: Kept | None) -> None:
        self._held += _size(kept) - _size(self._known.pop(key, None))
        self._known[key] = kept
        while self._held > ROOM or len(self._known) > ENTRIES:
            self._held -= _size(self._known.popitem(last=False)[1])


def _size(kept: Kept | None) -> int:
    return len(kept.body) if kept is not None else 0


def _lasting(response: Response) -> bool:
    """Whether an answer is a whole page that sets nothing."""
    body = getattr(response, "body", None)  # a file's answer has none in memory
    fits = response.status_code == 200 and isinstance(body, bytes) and len(body) <= LARGEST
    return fits and type(response).__call__ is Response.__call__ and "set-cookie" not in response.headers


def _key(request: Request) -> bytes | None:
    """What a page rests on, hashed; None for what is never kept."""
    scope = request.scope
    if scope["method"] != "GET" or b"download" in scope["query_string"]:
        return None
    given = [(name, value) for name, value in scope["headers"] if name in HEADERS]
    if len(scope["path"]) + len(scope["query_string"]) + sum(len(value) for _, value in given) > LONGEST_REQUEST:
        return None
    about = (scope.get("scheme"), scope.get("root_path"), scope["path"], scope["query_string"])
    return hashlib.sha256(repr((about, scope.get("forecourt.language", ""), given)).encode()).digest()
