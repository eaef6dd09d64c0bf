"""Pages that are given again: only to whom they were made for, and only while nothing has changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from forecourt.kernel import answers
from forecourt.kernel.errors import Unavailable
from forecourt.pages import remembering
from forecourt.pages.remembering import IDENTITY, LONGEST, SPOKEN, UNTIL, Remembered

NOON = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


class World:
    """A server whose rows, clock and pages are the test's."""

    def __init__(self) -> None:
        self.state, self.now, self.made, self.down = 0, NOON, 0, False
        self.until: dt.datetime | None = NEVER
        self.within: Callable[[], None] = lambda: None
        self.headers: dict[str, str] = {}
        self.status, self.size = 200, 10
        self.remembered = Remembered(self._moment, lambda: self.now)

    async def _moment(self) -> object:
        if self.down:
            raise Unavailable("gone")
        return self.state

    async def _make(self, request: Request) -> Response:
        self.made += 1
        request.scope.update({IDENTITY: "mia", SPOKEN: "en", UNTIL: self.until})
        text = f"page {self.made} of state {self.state}"
        self.within()
        return HTMLResponse(text.ljust(self.size), self.status, self.headers)

    async def get(self, path: str = "/things/", query: str = "", **headers: str) -> str:
        given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "GET", "scheme": "http", "path": path, "query_string": query.encode()}
        request = Request({**scope, "headers": [(b"host", b"localhost"), *given]})
        answer = await self.remembered.answer(request, self._make)
        assert (request.scope[IDENTITY], request.scope[SPOKEN]) == ("mia", "en"), "the log names who asked"
        return bytes(answer.body).decode().strip()


@pytest.fixture
def world() -> World:
    return World()


async def twice(world: World) -> None:
    """A page that is kept from here on."""
    for _ in range(2):
        await world.get()


async def test_a_page_is_made_once_more_when_it_is_asked_for_again_and_then_given_while_nothing_changes(
    world: World,
) -> None:
    assert [await world.get() for _ in range(4)] == ["page 1 of state 0", *["page 2 of state 0"] * 3]


async def test_whatever_is_written_ends_it(world: World) -> None:
    await twice(world)
    world.state = 1
    assert await world.get() == "page 3 of state 1"


async def test_what_is_written_while_it_is_made_ends_it(world: World) -> None:
    await world.get()

    def written() -> None:
        world.state = 7

    world.within = written
    assert await world.get() == "page 2 of state 0", "it was read before the change"
    assert await world.get() == "page 3 of state 7"


@pytest.mark.parametrize(
    "other",
    [
        {"cookie": "session=other"},
        {"accept_language": "de"},
        {"accept_encoding": "gzip"},
        {"host": "elsewhere"},
        {"if_none_match": '"1"'},
        {"path": "/other/"},
        {"query": "page=2"},
    ],
    ids=str,
)
async def test_who_asks_otherwise_gets_a_page_of_their_own(world: World, other: dict[str, str]) -> None:
    await twice(world)
    assert await world.get(**other) == "page 3 of state 0"


async def test_two_headers_are_not_taken_for_one(world: World) -> None:
    for _ in range(2):
        await world.get(cookie="a', b'accept-language', b'de")
    assert await world.get(cookie="a", accept_language="de") == "page 3 of state 0"


def _one_use(world: World) -> None:
    world.within = answers.passing


def _cookie(world: World) -> None:
    world.headers = {"set-cookie": "a=b"}


def _refused(world: World) -> None:
    world.status = 403


def _troubled(world: World) -> None:
    world.until = None


def _large(world: World) -> None:
    world.size = remembering.LARGEST + 1


@pytest.mark.parametrize("otherwise", [_one_use, _cookie, _refused, _troubled, _large])
async def test_what_holds_for_one_answer_only_is_never_given_again(
    world: World, otherwise: Callable[[World], None]
) -> None:
    otherwise(world)
    for _ in range(4):
        await world.get()
    assert world.made == 4


async def test_nobody_sees_a_page_after_the_end_of_the_session_nor_longer_than_the_limit(world: World) -> None:
    world.until = NOON + dt.timedelta(seconds=3)
    await twice(world)
    world.now = world.until - dt.timedelta(microseconds=1)
    assert await world.get() == "page 2 of state 0"
    world.now = world.until
    assert await world.get() == "page 3 of state 0"
    world.until = NEVER
    await world.get()
    world.now += LONGEST
    assert await world.get() == "page 5 of state 0"


async def test_a_right_that_ends_at_a_moment_ends_a_page_at_that_moment(world: World) -> None:
    ends = NOON + dt.timedelta(seconds=5)
    world.within = lambda: answers.holds_until(ends)
    await twice(world)
    world.now = ends - dt.timedelta(microseconds=1)
    assert await world.get() == "page 2 of state 0"
    world.now = ends
    assert await world.get() == "page 3 of state 0"


async def test_without_the_database_nothing_is_given_again(world: World) -> None:
    await twice(world)
    world.down = True
    assert [await world.get() for _ in range(2)] == ["page 3 of state 0", "page 4 of state 0"]


async def test_the_room_is_bounded_and_the_oldest_go_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "ROOM", 250)
    world.size = 100
    pages: list[Callable[[], Awaitable[str]]] = [lambda name=name: world.get(f"/{name}/") for name in "abc"]  # type: ignore[misc]
    for page in pages:
        await page()
        await page()
    made = world.made
    await pages[2]()
    await pages[1]()
    assert world.made == made, "the two newest are there"
    await pages[0]()
    assert world.made == made + 1
