"""The dialog of a lookup offers the rows that its reader may read, and no others, to who may fill the form."""

from __future__ import annotations

import re

from support.server import Person
from support.things import Things


async def offered(things: Things, person: Person, path: str = "/things/new/", **query: str) -> tuple[int, list[str]]:
    answer = await things.page(person, path, **query)
    names = re.findall(r'class="btn btn-link fc-choose"[^>]*data-name="([^"]*)"', answer.text)
    return answer.status, names


async def test_a_dialog_offers_rows_by_the_first_view_in_pages(things: Things) -> None:
    answer = await things.page(things.ann, "/things/new/", lookup="_cts_parent_value")
    assert answer.status == 200 and "note 1" in answer.text and "<html" not in answer.text
    assert await offered(things, things.ann, lookup="_cts_parent_value") == (200, ["A1", "A2", "A3", "A4", "A5"])
    assert await offered(things, things.ann, lookup="_cts_parent_value", q="note 3") == (200, ["A3"])
    assert await offered(things, things.bob, lookup="_cts_parent_value", q="note") == (200, [])
    assert (await offered(things, things.ann, lookup="_cts_parent_value", cursor="nonsense"))[1][0] == "A1"


async def test_a_lookup_of_several_tables_offers_those_that_are_open(things: Things) -> None:
    assert await offered(things, things.ann, lookup="_cts_buyer_value") == (200, ["ann"])
    assert await offered(things, things.ann, lookup="_cts_buyer_value", of="account") == (200, ["ann"])


async def test_what_is_no_lookup_of_the_form_is_not_there(things: Things) -> None:
    for name in ("cts_name", "_cts_maker_value", "", "'"):
        assert (await offered(things, things.ann, lookup=name))[0] == 404


async def test_who_may_not_fill_the_form_gets_no_dialog(things: Things) -> None:
    assert (await offered(things, things.ron, lookup="_cts_parent_value"))[0] == 403
    answer = await things.portal.site.ask("GET", "/things/new/?lookup=_cts_parent_value")
    assert answer.status != 200 or "fc-choose" not in answer.text
