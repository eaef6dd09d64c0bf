"""A list's file holds the rows of its pages, for whoever asks, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import zipfile
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import pytest
import python_calamine as calamine

from forecourt.kernel.observe import Exported
from forecourt.pages import downloads
from forecourt.pages.downloads import guarded
from support import contoso as sample
from support.server import Answer, Case, Installation, Person, next_page, table_rows


@pytest.fixture
def orders(contoso: Installation) -> Case:
    return sample.case(contoso)


def address(path: str, **options: str) -> str:
    base, _, query = path.partition("?")
    return f"{base}?{urlencode({**dict(parse_qsl(query)), **options})}"


def rows_of(answer: Answer) -> list[list[str]]:
    assert answer.status == 200, answer.text[:300]
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.body.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))


async def shown(person: Person, path: str) -> list[str]:
    """The first cells of all pages of a list, in order."""
    found: list[str] = []
    target: str | None = path
    while target is not None:
        page = await person.get(target)
        found += [text for _, text in table_rows(page.text)]
        target = next_page(page.text)
    return found


@pytest.mark.parametrize("options", [{}, {"sort": "-mserp_purchaseordernumber"}, {"search": "PO-0001"}])
async def test_a_file_holds_the_rows_of_the_lists_pages_in_their_order(
    orders: Case, options: Mapping[str, str]
) -> None:
    for number in (0, 2):
        person = orders.person(number)
        listed = await shown(person, address(orders.list_path, **options))
        headings, *rows = rows_of(await person.get(address(orders.list_path, download="csv", **options)))
        assert [row[0] for row in rows] == listed
        own = {order.key[-1] for order in await orders.own(person)}
        assert set(listed) <= own and (options or len(listed) == len(own))
        assert len(headings) == len(rows[0]) if rows else True


async def test_a_workbook_holds_the_same_with_numbers_and_dates(orders: Case) -> None:
    person = orders.person(0)
    texts = rows_of(await person.get(address(orders.list_path, download="csv")))
    answer = await person.get(address(orders.list_path, download="xlsx"))
    assert answer.headers["content-type"].endswith("spreadsheetml.sheet")
    sheet = calamine.CalamineWorkbook.from_filelike(io.BytesIO(answer.body)).get_sheet_by_index(0)
    cells = sheet.to_python()
    assert cells[0] == texts[0] and [row[0] for row in cells] == [row[0] for row in texts]
    assert any(isinstance(value, dt.date) for value in cells[1])
    with zipfile.ZipFile(io.BytesIO(answer.body)) as book:
        assert not re.search(rb"<f[ >]", book.read("xl/worksheets/sheet1.xml"))


async def test_a_download_is_told_of(orders: Case) -> None:
    person = orders.person(0)
    before = len(orders.site.observed)
    rows = rows_of(await person.get(address(orders.list_path, download="csv")))
    told = [item for item in orders.site.observed[before:] if isinstance(item, Exported)]
    assert [(item.door, item.entity, item.rows) for item in told] == [("portal", sample.ORDERS, len(rows) - 1)]


async def test_a_list_is_offered_as_a_file_where_it_says_so_and_in_known_formats_alone(orders: Case) -> None:
    person = orders.person(0)
    page = await person.get(address(orders.list_path, search="PO"))
    assert "download=xlsx" in page.text and "download=csv" in page.text
    for path in (address(orders.list_path, download="pdf"), address("/vendor-account/", download="csv")):
        assert (await person.get(path)).status == 404
    assert "download=" not in (await person.get("/vendor-account/")).text


async def test_who_may_not_open_the_list_gets_no_file(orders: Case) -> None:
    answer = await orders.site.ask("GET", address(orders.list_path, download="csv"))
    assert answer.status != 200 or "content-disposition" not in answer.headers


async def test_a_list_that_is_too_long_is_refused_whole(orders: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MOST", 2)
    answer = await orders.person(0).get(address(orders.list_path, download="csv"))
    assert answer.status == 400 and "PO-" not in answer.text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", " =1", "\r=1", "\uff1d1", "\tx"])
def test_no_text_becomes_a_formula(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=b", "1-2", "V-100"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text
