"""Site search finds what its reader may read, and neither totals nor order tell of anything else."""

from __future__ import annotations

import re

import pytest

from forecourt.dataverse.rows import SearchQuery
from forecourt.kernel.principal import Door
from support.server import Person
from support.things import Things


async def found(things: Things, person: Person, q: str, **more: str) -> tuple[str, list[str]]:
    """The total, and the titles."""
    answer = await things.page(person, "/search", q=q, **more)
    assert answer.status == 200, answer.text[:300]
    total = re.search(r'role="status"><strong>([^<]*)</strong>', answer.text)
    return total[1] if total else "", re.findall(r"<h2><a href=\"[^\"]*\">([^<]*)</a></h2>", answer.text)


async def test_each_person_finds_their_own_rows_and_the_pages_open_to_them(things: Things) -> None:
    assert await found(things, things.ann, "note") == ("5", ["A1", "A2", "A3", "A4", "A5"])
    assert await found(things, things.bob, "note") == ("0", [])
    assert await found(things, things.ann, "terms deliv") == ("1", ["Terms"])
    assert sorted((await found(things, things.meg, "deliver"))[1]) == ["Closed", "Terms"]
    anonymous = await things.portal.site.ask("GET", "/search?q=note")
    assert anonymous.status == 200 and "<strong>0</strong>" in anonymous.text


async def test_the_search_is_there_however_its_address_is_written(things: Things) -> None:
    for path in ("/search/?q=A1", "/Search?q=A1"):
        assert "<strong>1</strong>" in (await things.ann.get(path)).text


async def test_a_column_that_is_not_open_is_not_searched(things: Things) -> None:
    assert await found(things, things.ron, "note") == ("0", [])
    assert (await found(things, things.ron, "A1"))[1] == ["A1"]


async def test_a_search_is_by_words_from_their_beginning_and_by_phrases(things: Things) -> None:
    assert (await found(things, things.ann, "NOT 100"))[0] == "5"
    assert (await found(things, things.ann, "ote"))[0] == "0"
    assert await found(things, things.ann, '"note 3"') == ("1", ["A3"])
    assert (await found(things, things.ann, "note nothing"))[0] == "0"


async def test_what_fits_better_comes_first(things: Things) -> None:
    extra = await things.portal.thing("zebra", things.ann.contact, cts_memo="one")
    other = await things.portal.thing("A0", things.ann.contact, cts_memo="zebra crossing")
    assert (await found(things, things.ann, "zebra"))[1] == ["zebra", "A0"]
    for row in (extra, other):
        await things.portal.site.dataverse("delete from dataverse.cts_thing where cts_thingid = $1::uuid", row)
    assert (await found(things, things.ann, "zebra"))[0] == "0", "nothing is kept"


async def test_a_right_that_is_taken_away_counts_at_the_next_search(things: Things) -> None:
    assert (await found(things, things.ann, "A5"))[1] == ["A5"]
    move = "update dataverse.cts_thing set cts_buyer = $2::uuid where cts_thingid = $1::uuid"
    await things.portal.site.dataverse(move, things.ids["A5"], things.bob.contact)
    assert (await found(things, things.ann, "A5"))[0] == "0" and (await found(things, things.bob, "A5"))[0] == "1"
    await things.portal.site.dataverse(move, things.ids["A5"], things.ann.contact)


async def test_what_is_searched_can_be_chosen_and_paged(things: Things) -> None:
    assert (await found(things, things.meg, "deliver", filter="Rows"))[0] == "0"
    assert (await found(things, things.meg, "deliver", filter="Pages"))[0] == "2"
    assert (await found(things, things.meg, "deliver", filter="Nothing"))[0] == "2"
    answer = await things.page(things.ann, "/found/", q="note", names="cts_thing")
    shown = re.search(r"\[\[(.*?)\]\]", answer.text, re.DOTALL)
    assert shown is not None
    total, *rows = shown[1].split(";")
    assert total == "5" and len(rows) == 2
    assert rows[0].startswith(f"1 cts_thing A1 /things/thing/?id={things.ids['A1']} ")
    assert "<mark>note</mark> 1" in rows[0]


@pytest.mark.parametrize(
    "q",
    ["'", "\\", "':*", "a' | 'b", "!", "&", "((", "<->", "\x00", "<script>", '"', "%", "x" * 5000, "💥", "' :* & !"],
)
async def test_hostile_words_are_words(things: Things, q: str) -> None:
    total, titles = await found(things, things.ann, q)
    assert total in ("", "0") or (q == "%" and not titles)
    answer = await things.page(things.ann, "/search", q=f"<b>note</b> {q}")
    assert answer.status == 200 and "<b>note" not in answer.text and "<script>" not in answer.text.partition("<main")[2]


async def test_an_index_of_the_operators_serves_a_search(things: Things) -> None:
    site = things.portal.site
    asked: list[tuple[str, object]] = []
    database = site.forecourt.databases.dataverse
    lane = database._list
    fetch = lane.fetch

    async def noted(sql: str, values: object) -> object:
        asked.append((sql, values))
        return await fetch(sql, values)  # type: ignore[arg-type]

    lane.fetch = noted  # type: ignore[method-assign, assignment]
    try:
        query = SearchQuery("cts_thing", ("cts_name", "cts_memo"), ("'note':*",))
        result = await site.forecourt.rows.search(await things.meg.principal(), query, Door.PORTAL)
    finally:
        lane.fetch = fetch  # type: ignore[method-assign]
    assert result.total == 5 and all(row.values["cts_memo"] for row, _ in result.rows)
    for column in ("cts_name", "cts_memo"):
        await site.dataverse(
            f"create index on dataverse.cts_thing using gin (to_tsvector('simple'::regconfig, {column}))"
        )
    sql, values = asked[0]
    connection = await site._connection(site.dataverse_url)
    await connection.execute("set enable_seqscan = off")
    plan = "\n".join(row[0] for row in await connection.fetch(f"explain {sql}", *values))  # type: ignore[misc]
    await connection.execute("set enable_seqscan = on")
    assert "Bitmap Index Scan" in plan and plan.count("to_tsvector_idx") >= 2, plan
