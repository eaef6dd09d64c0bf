"""Charts count the rows that their reader may read, and say nothing of columns that are not open."""

from __future__ import annotations

import re

import pytest

from support.server import Person
from support.things import Things


def table(text: str) -> list[tuple[str, str]]:
    """The numbers behind the page's first chart."""
    found = re.search(r'class="fc-numbers".*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    return re.findall(r'<th scope="row">([^<]*)</th><td[^>]*>([^<]*)</td>', found[1]) if found else []


async def chart(person: Person, name: str) -> list[tuple[str, str]]:
    answer = await person.get(f"/charts/?chart={name}")
    assert answer.status == 200
    return table(answer.text)


async def test_each_person_has_the_numbers_of_their_own_rows(things: Things) -> None:
    assert await chart(things.ann, "c1") == [("Two", "3"), ("One", "2")]
    assert await chart(things.bob, "c1") == [("One", "2")]
    assert dict(await chart(things.meg, "c1"))["One"] == "4"
    assert await chart(things.ron, "c1") == [], "the column is not open to him"


async def test_dates_stand_in_their_order_and_numbers_are_summed_up(things: Things) -> None:
    assert await chart(things.ann, "c2") == [("Nov 2026", "22.5")]
    assert await chart(things.ann, "c3") == [("Nov 2026", "5")]


async def test_a_chart_by_a_lookup_names_rows_as_their_reader_sees_them(things: Things) -> None:
    assert await chart(things.ann, "c4") == [("ann", "5")]
    found = dict(await chart(things.meg, "c4"))
    assert found == {"Not visible to you": "7", "meg": "1"}


async def test_a_chart_is_drawn_with_a_name(things: Things) -> None:
    text = (await things.ann.get("/charts/?chart=c1")).text
    drawn = re.search(r'<figcaption[^>]*id="([^"]*)">By kind &amp; &lt;all&gt;</figcaption>', text)
    assert drawn is not None and f'role="img" aria-labelledby="{drawn[1]}"' in text and "<rect" in text
    assert "<path" in (await things.ann.get("/charts/?chart=c3")).text


@pytest.mark.parametrize("name", ["c9", "", "'; drop", "c1' viewid:'x"])
async def test_a_chart_that_is_not_there_shows_nothing(things: Things, name: str) -> None:
    answer = await things.portal.site.ask("GET", "/charts/?chart=c1")
    assert answer.status == 200 and not table(answer.text)
    assert await chart(things.ann, name.replace(" ", "%20")) == []
