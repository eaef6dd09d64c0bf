"""Filter panels narrow lists, and tell nothing of what a person may not read."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from support.server import next_page, table_rows
from support.things import Things


def chips(text: str) -> list[str]:
    return re.findall(r'class="fc-chip"[^>]*><span[^>]*>[^<]*</span>(.*?) <span', text)


@pytest.mark.parametrize(
    ("mf", "left"),
    [
        ("", ["A1", "A2", "A3"]),
        ("0=1", ["A2", "A4"]),
        ("0=1&0=2", ["A1", "A2", "A3"]),
        ("1=small", ["A1", "A2"]),
        ("1=large&0=2", ["A3", "A5"]),
        ("1=large&1=small", ["A1", "A2"]),
        ("2=NOTE+4", ["A4"]),
        ("2=%25_d", ["A1", "A2", "A3"]),
        ("2=note*5", ["A5"]),
        ("3=2026-11-03&3=2026-11-04", ["A3", "A4"]),
        ("3=&3=2026-11-02", ["A1", "A2"]),
        ("6=6", ["A4", "A5"]),
        ("7=12", ["A1", "A3"]),
        ("7=1&7=2", ["A1", "A3"]),
        ("7=2", ["A3"]),
        ("5=c0", ["A1"]),
        ("5=c0&5=c1", ["A1", "A2"]),
    ],
)
async def test_what_is_chosen_narrows_the_list(things: Things, mf: str, left: list[str]) -> None:
    assert await things.names(things.ann, mf=mf) == left


async def test_a_form_without_script_means_the_same(things: Things) -> None:
    assert await things.names(things.ann, mf__0=["1"], mf__2="", mf__3=["", "2026-11-03"]) == ["A2"]


async def test_rows_to_choose_from_are_those_that_the_person_may_read(things: Things) -> None:
    answer = await things.page(things.ann)
    own, other = str(things.ann.contact), str(things.bob.contact)
    assert f'value="{own}"' in answer.text and other not in answer.text
    assert await things.names(things.ann, mf=f"4={own}") == ["A1", "A2", "A3"]
    assert await things.names(things.ann, mf=f"4={other}") == ["A1", "A2", "A3"], "it is no choice of hers"


async def test_filters_go_with_pages_order_search_and_files(things: Things) -> None:
    page = await things.page(things.ann, mf="1=small&0=1&0=2", sort="-cts_name")
    assert [name for _, name in table_rows(page.text)] == ["A2", "A1"]
    assert chips(page.text)[1:] == ["Kind: One", "Kind: Two"] and chips(page.text)[0].endswith(": Up to 10")
    first = await things.page(things.ann, mf="2=note", sort="-cts_name")
    assert "<strong>5</strong>" in first.text
    link = next_page(first.text)
    assert link is not None and "mf=" in link
    second = await things.ann.get(link)
    assert [name for _, name in table_rows(second.text)] == ["A2", "A1"]
    assert await things.names(things.ann, mf="2=note", search="A4") == ["A4"]


async def test_a_chip_takes_its_choice_away(things: Things) -> None:
    page = await things.page(things.ann, mf="0=1&2=note")
    [link] = re.findall(r'class="fc-chip" href="([^"]*)"[^>]*><span[^>]*>[^<]*</span>Kind', page.text)
    after = await things.ann.get(link.replace("&amp;", "&"))
    assert chips(after.text) == ["Note: note"]


async def test_a_column_that_is_not_open_is_no_filter(things: Things) -> None:
    page = await things.page(things.ron)
    offered = re.findall(r'name="(mf\.[^"]*)"', page.text)
    assert set(offered) == {"mf.1"}
    for hidden in ("0=1", "2=note", "3=2026-11-03", "4=" + str(things.ann.contact), "5=c0", "6=6"):
        answer = await things.page(things.ron, mf=hidden)
        assert "<strong>8</strong>" in answer.text and not chips(answer.text), hidden


@pytest.mark.parametrize(
    "mf",
    [
        "3=yesterday",
        "3=0001-01-01",
        "6=1e400",
        "6=' or 1=1--",
        "9=1",
        "0=99",
        "0=1'",
        "1=[]",
        "4=not-an-id",
        "%00=%00",
        "=&&=;",
        "&".join(f"0={number}" for number in range(900)),
    ],
)
async def test_hostile_choices_narrow_nothing_and_break_nothing(things: Things, mf: str) -> None:
    answer = await things.page(things.ann, mf=mf)
    assert answer.status == 200 and "<strong>5</strong>" in answer.text and not chips(answer.text)


async def test_hostile_texts_are_texts(things: Things) -> None:
    for text in ("<script>alert(1)</script>", "%27%3B--", "\\", "{{ 1 }}", "[x]", "\x00", "*" * 50):
        answer = await things.page(things.ann, mf=f"2={quote(text)}")
        assert answer.status == 200 and "<script>alert" not in answer.text


async def test_a_file_has_the_filtered_rows(things: Things) -> None:
    answer = await things.page(things.ann, mf="0=1", download="csv")
    assert answer.status == 200
    names = [line.partition(",")[0] for line in answer.text.lstrip("\ufeff").splitlines()]
    assert names[1:] == ["A2", "A4"]


async def test_a_list_in_a_text_has_the_same_panel(things: Things) -> None:
    shown = (await things.page(things.ann, "/listed/", mf="1=small&0=1")).text
    [text] = re.findall(r"\[\[(.*?)\]\]", shown, re.DOTALL)
    assert text.startswith("1 A2;") and ";1 cts_whole Up to 10;" in text and ";0 Kind One;" in text
    [text] = re.findall(r"\[\[(.*?)\]\]", (await things.page(things.ron, "/listed/", mf="0=1")).text, re.DOTALL)
    assert text.startswith("8 ") and ";0 " not in text
