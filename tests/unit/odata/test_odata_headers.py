"""Errors per surface, ETags, Prefer, Accept, Content-Type."""

from __future__ import annotations

import json

import pytest

from forecourt.kernel.errors import CODES, Refusal
from forecourt.odata import etag
from forecourt.odata.dialect import DATAVERSE, OPERATIONS, PORTAL
from forecourt.odata.errors import DATAVERSE_CODES, render
from forecourt.odata.etag import Condition
from forecourt.odata.prefer import (
    FORMATTED_VALUE,
    Preferences,
    accept_any,
    accept_json,
    content_is_json,
    parse_prefer,
)

UNKNOWN = Refusal("FC1002", "Could not find a property named 'Emial'.", hint="Did you mean 'Email'?")


def test_operations_say_the_truth_in_both_places() -> None:
    status, headers, body = render(UNKNOWN, OPERATIONS)
    assert status == 400 and ("odata-version", "4.0") in headers
    text = "Could not find a property named 'Emial'. Did you mean 'Email'?"
    assert json.loads(body) == {
        "error": {
            "code": "FC1002",
            "message": text,
            "innererror": {"message": text, "type": "Forecourt.Refusal", "stacktrace": ""},
        }
    }


def test_dataverse_keeps_its_codes() -> None:
    for refusal, writing, code in (
        (UNKNOWN, False, "0x0"),
        (UNKNOWN, True, "0x80048d19"),
        (Refusal("FC4042", "x"), False, "0x8006088a"),
        (Refusal("FC4041", "x"), False, "0x80040217"),
        (Refusal("FC4121", "x"), True, "0x80060882"),
        (Refusal("FC3001", "x"), False, "0x80040220"),
    ):
        error = json.loads(render(refusal, DATAVERSE, writing=writing)[2])["error"]
        assert (error["code"], error["@Forecourt.code"]) == (code, refusal.code)


def test_every_code_that_can_leave_has_a_place_on_the_microsoft_surface() -> None:
    assert {code for code, (status, _) in CODES.items() if status} == set(DATAVERSE_CODES)


def test_the_portal_has_codes_of_its_own() -> None:
    assert json.loads(render(Refusal("FC4042", "x"), PORTAL)[2])["error"] == {"code": "9004010C", "message": "x"}
    passed_on = json.loads(render(Refusal("FC1001", "x"), PORTAL, inner=True)[2])["error"]
    assert passed_on == {
        "code": "9004010D",
        "message": "x",
        "cdscode": "0x80060888",
        "innererror": {"code": "FC1001", "message": "x"},
    }
    assert render(Refusal("FC2005", "x"), PORTAL)[0] == 401
    assert json.loads(render(Refusal("FC3001", "x"), PORTAL, writing=True)[2])["error"]["code"] == "90040102"


def test_an_error_can_always_be_written_and_never_tells_details() -> None:
    refusal = Refusal("FC2004", "\ud800", detail="secret", headers=(("retry-after", "5"),))
    for dialect in (OPERATIONS, DATAVERSE, PORTAL):
        _, headers, body = render(refusal, dialect, inner=True)
        assert b"secret" not in body
        assert ("retry-after", "5") in headers


# ------------------------------------------------------------------------------------------ ETags


def test_etags_are_read_as_they_are_written() -> None:
    assert etag.parse(etag.make(501097)) == Condition(versions=("501097",))
    assert etag.parse('"5"') == etag.parse('W/"5"')
    assert etag.parse('W/"1", W/"2"') == Condition(versions=("1", "2"))
    assert etag.parse("*") == Condition(any=True)
    assert etag.parse(None) is None
    assert etag.parse("null", "If-None-Match") is None


def test_conditions_hold_by_equality() -> None:
    assert Condition(any=True).holds("5")
    assert Condition(versions=("5",)).holds("5")
    assert not Condition(versions=("5",)).holds("05")


@pytest.mark.parametrize("header", ["", " ", "null", "5", 'W/"5', '"5" x', "W/", '"a"' * 1000, "*,*"])
def test_a_condition_that_cannot_be_read_is_refused_not_ignored(header: str) -> None:
    with pytest.raises(Refusal) as caught:
        etag.parse(header)
    assert caught.value.status == 400


# ------------------------------------------------------------------------------------------ Prefer, Accept


def test_preferences_are_read() -> None:
    found = parse_prefer('odata.maxpagesize=50, odata.include-annotations="*",return=representation', DATAVERSE)
    assert (found.page_size, found.annotations, found.representation) == (50, ("*",), True)
    assert FORMATTED_VALUE in found.beside and found.wants("Microsoft.Dynamics.CRM.lookuplogicalname")
    assert found.applied() == 'odata.maxpagesize=50,odata.include-annotations="*",return=representation'


def test_annotations_are_asked_for_by_name_or_pattern() -> None:
    assert FORMATTED_VALUE in parse_prefer(f'odata.include-annotations="{FORMATTED_VALUE}"', DATAVERSE).beside
    assert FORMATTED_VALUE in parse_prefer('odata.include-annotations="OData.Community.*"', DATAVERSE).beside
    assert FORMATTED_VALUE not in parse_prefer('odata.include-annotations="Microsoft.*"', DATAVERSE).beside
    assert FORMATTED_VALUE not in parse_prefer('odata.include-annotations="*,-OData.*"', DATAVERSE).beside
    assert FORMATTED_VALUE not in parse_prefer(None, DATAVERSE).beside


def test_the_page_size_is_bounded() -> None:
    assert parse_prefer("odata.maxpagesize=999999", DATAVERSE).page_size == 5_000
    assert parse_prefer("maxpagesize=7", OPERATIONS).page_size == 7


@pytest.mark.parametrize(
    "header", ["", ",,,", "odata.maxpagesize=0", "odata.maxpagesize=x", "odata.maxpagesize", '"', "=", "x" * 10_000]
)
def test_a_wish_that_cannot_be_read_is_passed_over(header: str) -> None:
    assert parse_prefer(header, DATAVERSE) == Preferences()


def test_other_wishes_are_noted() -> None:
    found = parse_prefer("odata.continue-on-error, odata.track-changes; x=1, return=minimal", DATAVERSE)
    assert found.continue_on_error and found.track_changes and found.representation is False


@pytest.mark.parametrize(
    ("header", "level"),
    [
        (None, "minimal"),
        ("*/*", "minimal"),
        ("application/json", "minimal"),
        ("application/json;odata.metadata=none", "none"),
        ("application/json; odata.metadata=full; charset=utf-8", "full"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "minimal"),
    ],
)
def test_the_metadata_level_is_negotiated(header: str | None, level: str) -> None:
    assert accept_json(header) == level


@pytest.mark.parametrize("header", ["application/atom+xml", "text/html", "application/json;q=0"])
def test_an_answer_that_is_not_json_is_not_available(header: str) -> None:
    with pytest.raises(Refusal) as caught:
        accept_json(header)
    assert caught.value.status == 406


def test_other_kinds_of_answer_are_negotiated() -> None:
    assert accept_any("application/xml", "application/xml", "application/json") == "application/xml"
    assert accept_any("*/*", "application/xml") == "application/xml"
    assert accept_any("text/*", "application/xml", "text/plain") == "text/plain"
    with pytest.raises(Refusal):
        accept_any("image/png", "application/xml")


def test_a_body_is_json() -> None:
    assert content_is_json("application/json;IEEE754Compatible=true")
    assert not content_is_json("application/json; charset=utf-8")
    assert not content_is_json(None)
    with pytest.raises(Refusal) as caught:
        content_is_json("text/xml")
    assert caught.value.status == 415
