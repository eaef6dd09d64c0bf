"""The world of the sample company: its calendar, its legal entities and their trades, words, chance."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

ANCHOR = date(2026, 10, 1)
RECID = 5637144576
NEVER, FOREVER = "1900-01-01", "2154-12-31 23:59:59+00"

# Days are counted from DAY[1]; DAY[0] is the empty date. WORKDAY[d] is the first working day from d on.
TODAY = 601
DAY = [NEVER] + [(ANCHOR + timedelta(d - TODAY)).isoformat() for d in range(1, 900)]
_weekday = [(ANCHOR + timedelta(d - TODAY)).weekday() for d in range(900)]
WORKDAY = [d + max(0, 7 - _weekday[d]) if _weekday[d] > 4 else d for d in range(900)]
ORDER_DAYS = [d for d in range(TODAY - 548, TODAY + 14) if _weekday[d] < 5]
CLOCK = [f"{7 + s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}+00" for s in range(0, 39600, 11)]


@dataclass(frozen=True)
class Place:
    city: str
    state: str
    zipcode: str
    country: str


@dataclass(frozen=True)
class Site:
    site: str
    warehouse: str
    name: str
    street: str
    place: Place


@dataclass(frozen=True, eq=False)
class Company:
    """A legal entity, and what people, streets and organisations are called where it is."""

    area: str
    prefix: str
    name: str
    currency: str
    language: str
    share: int  # of 20 accounts and orders
    rate: float  # of its currency against the US dollar
    sites: tuple[Site, ...]
    places: tuple[Place, ...]
    streets: list[str]
    forms: list[str]
    first: list[str]
    last: list[str]
    stems: list[str]
    customer_words: list[str]


@dataclass(frozen=True, eq=False)
class Category:
    """Products of a kind, and what those who make them call their trade, by legal entity."""

    code: str
    name: str
    unit: str
    price: list[float]  # of the cheapest and the dearest, in US dollars
    products: list[str]  # six of them, in five variants
    variants: list[str]
    trades: dict[str, list[str]]


def _place(text: str) -> Place:
    return Place(*text.split("/"))


def _company(data: dict[str, Any]) -> Company:
    sites = tuple(Site(site, house, name, street, _place(at)) for site, house, name, street, at in data["sites"])
    return Company(**{**data, "sites": sites, "places": tuple(map(_place, data["places"]))})


_world = tomllib.loads(Path(__file__).with_name("world.toml").read_text(encoding="utf-8"))
COMPANIES = USMF, DEMF, FRRT = tuple(map(_company, _world["companies"]))
CATEGORIES = tuple(Category(**data) for data in _world["categories"])
NAMED: dict[str, dict[str, dict[str, Any]]] = _world["named"]
TURN = tuple({"U": USMF, "D": DEMF, "F": FRRT}[letter] for letter in "UDFUUUDUFDFUUUUUUUDD")
COMMON = {5: 1, 6: 1, 7: 2, 8: 2, 9: 3, 10: 3}  # index of an account: the number that two legal entities share
_ASCII = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "ß": "ss",
        "é": "e",
        "è": "e",
        "ê": "e",
        "ë": "e",
        "â": "a",
        "ô": "o",
        "î": "i",
        "ï": "i",
        "ç": "c",
        "&": None,
        ".": None,
        "'": None,
        " ": "-",
    }
)


def slug_of(text: str) -> str:
    return text.lower().translate(_ASCII).replace("--", "-")


def stream(name: str) -> Random:
    """A stream of chance; only its `random()` may be used, which gives the same numbers on every Python."""
    return Random(name)  # noqa: S311


def pick(draw: Random, items: Sequence[Any]) -> Any:
    return items[int(draw.random() * len(items))]


def shuffled(draw: Random, items: Iterable[Any]) -> list[Any]:
    result, random = list(items), draw.random
    for i in range(len(result) - 1, 0, -1):
        j = int(random() * (i + 1))
        result[i], result[j] = result[j], result[i]
    return result
