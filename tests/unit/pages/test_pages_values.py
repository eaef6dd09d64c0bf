"""Values for people: what is shown, what an input holds, what typed text means; the accent's contrast; local URLs."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from forecourt.kernel.label import preferred_languages
from forecourt.kernel.model import EntityField, Enum, EnumMember
from forecourt.kernel.types import Kind
from forecourt.pages.formatting import cell, locales_for, tone_of
from forecourt.pages.inputs import FormField, InputKind, Unreadable, text_of, value_of
from forecourt.web import theme
from forecourt.web.requests import local_url

STATUS = Enum(
    "Status",
    (EnumMember("None", 0, "", 200000000), EnumMember("Open", 1, "Open order", 200000001),
     EnumMember("Canceled", 4, "Canceled", 200000004)),
)  # fmt: skip
NO_YES = Enum("NoYes", (EnumMember("No", 0, "No", 200000000), EnumMember("Yes", 1, "Yes", 200000001)))
ENUMS = {"Status": STATUS, "NoYes": NO_YES}
ENGLISH, GERMAN = locales_for(("en-US",)), locales_for(("de-DE", "en"))


def column(kind: Kind, **more: Any) -> EntityField:
    return EntityField("value", "T", "value", kind, label="Value", **more)


@pytest.mark.parametrize(
    ("made", "value", "english", "german"),
    [
        (column(Kind.DATE), dt.date(2026, 3, 9), "Mar 9, 2026", "09.03.2026"),
        (column(Kind.DECIMAL), Decimal("1234.500000"), "1,234.5", "1.234,5"),
        (column(Kind.INT32), 1234567, "1,234,567", "1.234.567"),
        (column(Kind.DECIMAL, currency="cur"), Decimal("1234.5"), "1,234.50\u00a0USD", "1.234,50\u00a0USD"),
        (column(Kind.BOOLEAN), True, "Yes", "Ja"),
        (column(Kind.ENUM, enum="Status", choice=True), 200000001, "Open order", "Open order"),
        (column(Kind.ENUM, enum="NoYes", choice=True), 200000000, "No", "No"),
        (column(Kind.STRING), "Nut <M8>", "Nut <M8>", "Nut <M8>"),
    ],
)  # fmt: skip
def test_values_are_written_in_the_persons_language(made: EntityField, value: Any, english: str, german: str) -> None:
    row = {"value": value, "cur": "USD"}
    assert cell(made, row, ENUMS, ENGLISH).text == english
    assert cell(made, row, ENUMS, GERMAN).text == german


def test_money_has_as_many_decimals_as_its_currency() -> None:
    made = column(Kind.DECIMAL, currency="cur")
    assert cell(made, {"value": Decimal("1500"), "cur": "JPY"}, {}, ENGLISH).text == "1,500\u00a0JPY"
    assert cell(made, {"value": Decimal("1500"), "cur": None}, {}, ENGLISH).text == "1,500.00"


def test_moments_name_their_zone() -> None:
    shown = cell(column(Kind.DATETIME), {"value": dt.datetime(2026, 3, 9, 12, tzinfo=dt.UTC)}, {},
                 locales_for(("en",), "Europe/Berlin"))  # fmt: skip
    assert "1:00" in shown.text and "CET" in shown.text
    assert shown.machine == "2026-03-09T12:00:00+00:00"


def test_nothing_is_empty() -> None:
    assert cell(column(Kind.DATE), {"value": None}, {}, ENGLISH).kind == "empty"
    assert cell(column(Kind.STRING), {"value": ""}, {}, ENGLISH).kind == "empty"


@pytest.mark.parametrize(
    ("label", "tone"),
    [("Open order", "info"), ("Approved", "good"), ("Not approved", "warn"), ("Canceled", "bad"), ("Draft", ""),
     ("In external review", "warn"), ("Invoiced", "good"), ("Inactive", "warn"), ("Unpaid", "warn"),
     ("Chocolate", ""), ("In review", "warn")],
)  # fmt: skip
def test_a_status_has_the_tone_of_its_words(label: str, tone: str) -> None:
    assert tone_of(EnumMember("X", 1, label)) == tone


def test_languages_are_taken_in_order_of_weight_and_nonsense_is_left_out() -> None:
    assert preferred_languages("fr;q=0.5, de-CH, en;q=0.9, <script>, x;q=a, *") == ("de-CH", "en", "fr")
    assert locales_for(("xx-YY",)).code == "en-US"
    assert locales_for(("de-CH",)).code == "de-CH"


def field(kind: InputKind, of: Kind, required: bool = False, **more: Any) -> FormField:
    options = tuple((str(m.choice), m.label or m.symbol) for m in STATUS.members) if kind == "choice" else ()
    return FormField(column(of, **more), "Value", kind, required, False, options)


@pytest.mark.parametrize(
    ("made", "value", "text"),
    [
        (field("date", Kind.DATE), dt.date(2026, 12, 31), "2026-12-31"),
        (field("datetime", Kind.DATETIME), dt.datetime(2026, 12, 31, 17, 30, tzinfo=dt.UTC), "2026-12-31T17:30"),
        (field("number", Kind.DECIMAL), Decimal("1234.50"), "1234,5"),
        (field("number", Kind.INT32), 12, "12"),
        (field("choice", Kind.ENUM, enum="Status", choice=True), 200000004, "200000004"),
        (field("yesno", Kind.ENUM, enum="NoYes", choice=True), 200000001, "1"),
        (field("yesno", Kind.BOOLEAN), False, "0"),
        (field("text", Kind.STRING), "A & B", "A & B"),
        (field("memo", Kind.STRING, memo=True), "one\ntwo", "one\ntwo"),
    ],
)
def test_what_an_input_holds_is_read_back_as_the_same_value(made: FormField, value: Any, text: str) -> None:
    assert text_of(made, value, ENUMS, GERMAN) == text
    assert value_of(made, text, ENUMS, GERMAN) == value


def test_emptied_fields_are_null_and_empty_text_where_null_cannot_be() -> None:
    assert value_of(field("date", Kind.DATE), "", ENUMS, ENGLISH) is None
    assert value_of(field("text", Kind.STRING), " ", ENUMS, ENGLISH) is None
    assert value_of(field("text", Kind.STRING, nullable=False), "", ENUMS, ENGLISH) == ""


@pytest.mark.parametrize(
    ("made", "text", "message"),
    [
        (field("date", Kind.DATE, True), "", "Wählen Sie"),
        (field("text", Kind.STRING, True), " ", "ausfüllen"),
        (field("date", Kind.DATE), "31.12.2026", "wie 2026-12-31"),
        (field("date", Kind.DATE), "0900-01-01", "zwischen 1901 und 2154"),
        (field("number", Kind.DECIMAL), "12.345,6,7", "keine Zahl"),
        (field("number", Kind.DECIMAL), "NaN", "keine Zahl"),
        (field("number", Kind.INT32), "1,5", "ganze Zahl"),
        (field("number", Kind.INT32), "99999999999", "zu groß"),
        (field("choice", Kind.ENUM, enum="Status"), "7", "aus der Liste"),
        (field("text", Kind.STRING, length=3), "abcd", "höchstens 3 Zeichen haben; es sind 4"),
        (field("email", Kind.STRING), "nobody", "name@firma.de"),
        (field("text", Kind.GUID), "x", "kein gültiger Verweis"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(made: FormField, text: str, message: str) -> None:
    with pytest.raises(Unreadable, match=message.replace("(", "\\(")):
        value_of(made, text, ENUMS, GERMAN)


def test_a_label_within_an_english_sentence_begins_small() -> None:
    with pytest.raises(Unreadable, match=r"^Choose value\.$"):
        value_of(field("date", Kind.DATE, True), "", ENUMS, ENGLISH)
    with pytest.raises(Unreadable, match=r"^Enter value\.$"):
        value_of(field("text", Kind.STRING, True), " ", ENUMS, ENGLISH)


@pytest.mark.parametrize("accent", ["#ffff00", "#0f6b5c", "#000000", "#ffffff", "#3366ff", "nonsense"])
def test_any_accent_is_made_readable(accent: str) -> None:
    light, dark = theme.stylesheet(theme.from_settings({"Theme/Accent": accent})).split("@media", 1)
    for sheet, page in ((light, (246, 247, 248)), (dark, (30, 35, 41))):
        colour = sheet.split("--fc-accent:#")[1][:6]
        rgb = int(colour[:2], 16), int(colour[2:4], 16), int(colour[4:], 16)
        assert theme.contrast(rgb, page) >= 4.5


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example", "/\\evil", "\\\\evil", "javascript:alert(1)", "/a\nb", "", None,
     "evil", "/%0d%0a\r", "///x", "/ x"],
)  # fmt: skip
def test_no_return_url_leads_elsewhere(wanted: str | None) -> None:
    assert local_url(wanted) == "/"


def test_a_path_of_the_site_is_a_return_url() -> None:
    assert local_url("/orders/?id=1&view=a%20b") == "/orders/?id=1&view=a%20b"
