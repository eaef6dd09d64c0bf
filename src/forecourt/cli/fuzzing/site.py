"""The doors of a portal's pages: what a person comes to by links, and what the pages found there offer beside.

Pages are content with Liquid's ``fetchxml`` and ``entitylist``, lists, details and forms: whatever is linked. From
what they show, further doors are knocked at: lists searched and sorted, lists as files, lookups of forms searched. A
door is one line of :data:`SITE_DOORS`: what it asks, given the pages.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qsl, urlencode

from forecourt.cli.fuzzing.client import Answered, Asked
from forecourt.cli.fuzzing.questions import Pool
from forecourt.cli.fuzzing.worlds import PROOF, Person, World
from forecourt.identity import csrf
from forecourt.pages.lists import FORMATS
from forecourt.pages.lookups import FIND, FOUND, SEARCH

#: Pages that a person is sent to, and addresses of one path among them.
PAGES, OF_ONE = 24, 3
#: Requests of one of the other doors.
MOST = 4

_LINK = re.compile(rb'href="([/?][^"#]*)"')
_LEAVING = ("/_layout", "/SignOut", "/signout", "/Account", "/assets", "/static")
_FILE = re.compile(r"[?&]download=")
_SEARCHED = re.compile(rb'name="search"')
_LOOKUP = re.compile(rb'name="' + re.escape(FIND).encode() + rb'([^"]+)"')
_FILTER = re.compile(rb'name="(mf\.[^"]+)"[^>]*?(?:value="([^"]*)")?[^>]*>')
_SITE_SEARCH = re.compile(rb'fc-site-search"[^>]*action="([^"]+)"')
_FORM = (("content-type", "application/x-www-form-urlencoded"),)


@dataclass(frozen=True)
class Shown:
    """A page as a person has seen it. ``links``: addresses that it leads to."""

    asked: Asked
    answer: Answered
    links: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """Draws what is typed into searches: parts of values of rows, hidden ones too."""

    pool: Pool
    draw: random.Random

    def word(self) -> str:
        """A few characters, '' now and then."""
        tables = [rows for rows in self.pool.values() if rows]
        row = self.draw.choice(self.draw.choice(tables)) if tables else {}
        texts = [value for value in row.values() if isinstance(value, str) and value.isprintable()]
        if not texts or self.draw.random() < 0.1:
            return ""
        text = self.draw.choice(texts)
        start = self.draw.randrange(len(text)) if text else 0
        return text[start : start + self.draw.randint(1, 6)]


SiteDoor = Callable[[Sequence[Shown], Words], Iterator[Asked]]


async def crawl(world: World, person: Person) -> list[Shown]:
    """The pages that a person comes to from the home page by following links."""
    seen, waiting = {"/"}, ["/"]
    often: Counter[str] = Counter()
    found: list[Shown] = []
    while waiting and len(found) < PAGES:
        asked = Asked("GET", waiting.pop(0))
        answer = await world.ask(person, asked)
        links = tuple(_links(asked, answer))
        found.append(Shown(asked, answer, links))
        for target in links:
            path = target.partition("?")[0]
            if target in seen or _FILE.search(target) or often[path] >= OF_ONE:
                continue
            often[path] += 1
            seen.add(target)
            waiting.append(target)
    return found


def _links(asked: Asked, answer: Answered) -> Iterator[str]:
    path = asked.target.partition("?")[0]
    for link in dict.fromkeys(_LINK.findall(answer.body)):
        target = unescape(link.decode("utf-8", "replace"))
        target = path + target if target.startswith("?") else target
        if target.isascii() and not target.startswith(_LEAVING):
            yield target


def list_search(pages: Sequence[Shown], words: Words) -> Iterator[Asked]:
    """Lists that can be searched, for some word."""
    for page in pages:
        if _SEARCHED.search(page.answer.body):
            yield Asked("GET", _with(page.asked.target, search=words.word()))


def list_filters(pages: Sequence[Shown], words: Words) -> Iterator[Asked]:
    """Lists with a panel of filters, by one that is offered or by some word."""
    for page in pages:
        offered = [
            tuple(unescape(item.decode("utf-8", "replace")) for item in pair)
            for pair in _FILTER.findall(page.answer.body)
        ]
        if offered:
            name, value = words.draw.choice(offered)
            yield Asked("GET", _with(page.asked.target, **{name: value if words.draw.random() < 0.5 else words.word()}))


def site_search(pages: Sequence[Shown], words: Words) -> Iterator[Asked]:
    """The search of the whole site, where it is or may be."""
    found = {unescape(path.decode()) for page in pages for path in _SITE_SEARCH.findall(page.answer.body)}
    for path in sorted(found) or ["/search"]:
        for _ in range(MOST):
            yield Asked("GET", _with(path, q=words.word()))


def list_files(pages: Sequence[Shown], words: Words) -> Iterator[Asked]:
    """Lists as files, searched now and then; and files of pages that offer none."""
    offered = dict.fromkeys(link for page in pages for link in page.links if _FILE.search(link))
    for link in offered:
        yield Asked("GET", link if words.draw.random() < 0.7 else _with(link, search=words.word()))
    for page in words.draw.sample(pages, min(1, len(pages))):
        yield Asked("GET", _with(page.asked.target, download=words.draw.choice(sorted(FORMATS))))


def lookups(pages: Sequence[Shown], words: Words) -> Iterator[Asked]:
    """Lookups of forms, searched as the button beside them does."""
    for page in pages:
        for name in dict.fromkeys(_LOOKUP.findall(page.answer.body)):
            column = unescape(name.decode("utf-8", "replace"))
            typed = {SEARCH: column, FIND + column: words.word(), FOUND + column: ""}
            body = urlencode(typed).encode() + f"&{csrf.FIELD}=".encode() + PROOF
            yield Asked("POST", page.asked.target, _FORM, body)


#: The doors beside the pages themselves, by the name that reports give them.
SITE_DOORS: Mapping[str, SiteDoor] = {
    "list search": list_search,
    "list filters": list_filters,
    "site search": site_search,
    "list files": list_files,
    "lookups": lookups,
}


def further(pages: Sequence[Shown], words: Words) -> Iterator[tuple[str, Asked]]:
    """Requests at the other doors, each with its door's name."""
    for name, door in SITE_DOORS.items():
        asked = list(door(pages, words))
        for item in words.draw.sample(asked, min(MOST, len(asked))):
            yield name, item


def _with(target: str, **options: str) -> str:
    path, _, query = target.partition("?")
    return f"{path}?{urlencode({**dict(parse_qsl(query)), **options})}"
