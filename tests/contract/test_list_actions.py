"""What rows of a list offer: to whom they may be done, decided row by row, and never without being asked."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from forecourt.identity import csrf
from support.forms import opened, post
from support.server import Answer, Person
from support.things import Things

ROW = re.compile(r"<tr role=\"row\".*?</tr>", re.DOTALL)


def offered(text: str) -> dict[str, list[str]]:
    """The actions of each row, by its name."""
    found = {}
    for row in ROW.findall(text)[1:]:
        name = re.search(r'(?:fc-row-link"[^>]*>|role="rowheader"[^>]*>)\s*([^<]+)', row)
        assert name is not None
        found[name[1].strip()] = re.findall(r'btn-sm[^>]*>([^<]+)<span class="visually-hidden">', row)
    return found


async def everything(things: Things, person: Person) -> dict[str, list[str]]:
    found = {}
    target: str | None = "/things/?sort=cts_name"
    while target is not None:
        answer = await person.get(target)
        assert answer.status == 200
        found.update(offered(answer.text))
        link = re.search(r'href="([^"]*)" rel="next"', answer.text)
        target = link[1].replace("&amp;", "&") if link else None
    return found


async def confirmed(person: Person, target: str, **changes: str) -> Answer:
    """The page that asks, and its form sent."""
    return await post(person, target, {**await opened(person, target), **changes})


def address(things: Things, name: str, do: str, **more: str) -> str:
    return "/things/?" + urlencode({"do": do, "row": things.ids[name], **more})


async def test_each_row_offers_what_its_reader_may_do_to_it(things: Things) -> None:
    own = ["Change", "Deactivate", "Delete"]
    assert set(map(tuple, (await everything(things, things.ann)).values())) == {tuple(own)}
    seen = await everything(things, things.meg)
    assert seen["M1"] == own and [name for name, acts in seen.items() if acts] == ["M1"]
    assert not any((await everything(things, things.ron)).values())


async def test_rights_come_with_the_rows_in_one_statement(things: Things) -> None:
    site = things.portal.site.forecourt
    asked: list[object] = []
    database = site.databases.dataverse
    read = database.read

    async def counted(*args: object, **named: object) -> object:
        asked.append(args)
        return await read(*args, **named)  # type: ignore[arg-type]

    database.read = counted  # type: ignore[method-assign, assignment]
    try:
        await things.ann.get("/things/")
        before = len(asked)
        await things.ann.get("/things/?search=A1")
        assert len(asked) - before == before, "as many statements for one row as for three"
    finally:
        database.read = read  # type: ignore[method-assign]


async def test_a_row_is_put_away_and_taken_up_again(things: Things) -> None:
    answer = await confirmed(things.meg, address(things, "M1", "deactivate", search="M1"))
    assert answer.status == 303 and answer.headers["location"] == "/things/?search=M1&notice=deactivated"
    assert (await things.portal.stored(things.ids["M1"]))["statecode"] == 1
    assert (await everything(things, things.meg))["M1"] == ["Change", "Activate", "Delete"]
    assert (await things.meg.get(address(things, "M1", "deactivate"))).status == 403
    assert (await confirmed(things.meg, address(things, "M1", "activate"))).status == 303
    assert (await things.portal.stored(things.ids["M1"]))["statecode"] == 0


async def test_a_row_is_deleted_after_being_asked(things: Things) -> None:
    things.ids["A9"] = await things.portal.thing("A9", things.ann.contact)
    target = address(things, "A9", "delete")
    asked = await things.ann.get(target)
    assert "Really &amp; truly?" in asked.text and await things.portal.stored(things.ids["A9"])
    for wrong in ({csrf.FIELD: "x"}, {"@version": "1"}, {"@version": ""}):
        assert (await confirmed(things.ann, target, **wrong)).status in (200, 403, 412)
        assert await things.portal.stored(things.ids["A9"])
    answer = await confirmed(things.ann, target)
    assert answer.status == 303
    assert "Gone for good." in (await things.ann.get(answer.headers["location"])).text
    assert not await things.portal.stored(things.ids["A9"])
    assert (await things.ann.get(target)).status == 404


@pytest.mark.parametrize(
    ("name", "do", "status"),
    [("B1", "delete", 404), ("A1", "workflow", 404), ("A1", "edit", 404), ("A1", "details", 404), ("A1", "", 404)],
)
async def test_rows_of_others_and_unknown_actions_do_not_exist(things: Things, name: str, do: str, status: int) -> None:
    assert (await things.ann.get(address(things, name, do))).status == status
    assert (await post(things.ann, address(things, name, do), {"@version": "1"})).status == status
    assert await things.portal.stored(things.ids[name])


async def test_who_reads_a_row_and_may_not_change_it_is_refused(things: Things) -> None:
    for person in (things.meg, things.ron):
        for do in ("delete", "deactivate"):
            assert (await person.get(address(things, "A1", do))).status == 403
            assert (await post(person, address(things, "A1", do), {"@version": "1"})).status == 403
    assert (await things.portal.stored(things.ids["A1"]))["statecode"] == 0


async def test_an_id_that_is_none_is_not_found(things: Things) -> None:
    for text in ("x", "' or 1=1", "00000000-0000-0000-0000-000000000000", ""):
        target = "/things/?" + urlencode({"do": "delete", "row": text})
        assert (await things.ann.get(target)).status == 404


async def test_an_action_that_is_not_known_is_told_to_the_maker(things: Things) -> None:
    notices = things.portal.site.forecourt.definitions.site.notices
    assert any("WorkflowAction" in notice and "not supported" in notice for notice in notices)
