"""Liquid in page texts: escaped, bounded, and its faults told to the maker without more."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from forecourt.pages.liquid import render


def test_values_are_escaped_and_the_makers_markup_is_not() -> None:
    shown = render("<p>{{ user.fullname }}</p>{{ snippet }}", "P", {
        "user": {"fullname": "<script>alert(1)</script>"}, "snippet": Markup("<b>ok</b>"),
    })  # fmt: skip
    assert shown.markup == "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p><b>ok</b>"


@pytest.mark.parametrize("name", ["url_escape", "h", "escape", "string", "xml_escape"])
def test_filters_of_the_dialect_let_no_markup_through(name: str) -> None:
    assert "<" not in render("{{ x | " + name + " }}", "P", {"x": "<i>\"'&"}).markup


def test_filters_of_the_dialect() -> None:
    source = (
        "{{ '/a?x=1&y=2' | add_query: 'y', 'a b' }} {{ '/a?x=1' | remove_query: 'x' }} {{ 'yes' | boolean }} "
        "{{ '12.7' | integer }} {{ user | has_role: 'Vendors' }} {{ 'https://h.example/p?q=1' | path_and_query }}"
    )
    shown = render(source, "P", {"user": {"roles": ["Vendors"]}}).markup
    assert shown.unescape() == "/a?x=1&y=a+b /a true 12 true /p?q=1"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("one\n{% nothing %}", "in line 2: a tag or expression is not written right"),
        ("{% include 'x' %}", "it includes a template that does not exist"),
        ("{{ 1 | unknown }}", "a filter is not known"),
        ("{% for i in (1..100000) %}{% for j in (1..100000) %}x{% endfor %}{% endfor %}", "a limit is reached"),
        ("{{ 1 | divided_by: 0 }}", "a value does not fit its use"),
        ("{% if %}", "is not written right"),
    ],
)
def test_a_fault_is_told_by_line_and_kind_alone(source: str, told: str) -> None:
    shown = render(source, "Home", {"secret": "s3cret"})
    assert shown.fault.startswith("The text of 'Home' has a template error") and told in shown.fault
    assert "s3cret" not in shown.fault and not shown.markup


def test_an_unknown_name_is_nothing() -> None:
    assert render("[{{ user.fullname }}{{ nobody }}]", "P", {"user": None}).markup == "[]"


def test_a_text_without_end_is_not_rendered() -> None:
    assert render("x" * 300_000, "Home", {}).fault.startswith("The text of 'Home' is longer than")
