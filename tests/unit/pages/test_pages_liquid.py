"""Liquid in page texts: escaped, bounded, and its faults told to the maker without more."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal
from typing import Any

import pytest
from markupsafe import Markup

from forecourt.pages.liquid import Engine, Fragment, catalogue
from forecourt.pages.liquid.dialect import site_text
from forecourt.pages.liquid.faults import MISSING_FILTERS
from forecourt.pages.liquid.tags import UNSUPPORTED
from forecourt.pages.liquid.values import Choice, Lookup, day, moment

XSS = "<script>alert('1')</script>\"><img src=x onerror=alert(1)>"

TEMPLATES = {
    "Card": "<b>{{ title }}</b>",
    "Endless": "{% include 'endless' %}",
    "Twice": "{% include 'twice' %}{% include 'twice' %}{% include 'twice' %}{% include 'twice' %}",
    "Layout": "<main>{% block main %}nothing{% endblock %}</main>",
    "Page": "{% extends 'layout' %}{% block main %}{{ title }}{% endblock %}",
    "Ring A": "{% extends 'Ring B' %}",
    "Ring B": "{% extends 'Ring A' %}",
    "Broken": "one\n{{ 1 | nonsense }}",
}


async def render(source: str, **objects: Any) -> Fragment:
    return await Engine(TEMPLATES).render(source, "Home", objects)


async def text(source: str, **objects: Any) -> str:
    found = await render(source, **objects)
    assert found.faults == ()
    return str(found.markup)


async def test_values_are_escaped_and_the_makers_markup_is_not() -> None:
    assert await text("<p>{{ x }}</p>{{ snippet }}{{ '<i>' }}", x=XSS, snippet=Markup("<b>ok</b>")) == (
        f"<p>{Markup.escape(XSS)}</p><b>ok</b><i>"
    )


async def test_words_of_one_tag_are_names_in_the_others() -> None:
    source = (
        "{% include 'Field' label: 'Title' required: true limit: 3 as: 'h2' %}"
        "{% assign offset = 2 %}{% for item in (1..9) limit: 2 offset: offset reversed %}{{ item }}{% endfor %}"
        "{{ offset }}"
    )
    fields = {"Field": "{{ label }}{% if required and as == 'h2' %}*{% endif %}{{ limit }};"}
    found = await Engine(fields).render(source, "Home", {})
    assert (found.faults, str(found.markup)) == ((), "Title*3;432")


@pytest.mark.parametrize(
    "use",
    [
        *("x", "x | url_escape", "x | h", "x | escape", "x | string", "x | xml_escape", "x | html_safe_escape"),
        *("x | text_to_html", "x | newline_to_br", "x | strip_html", "x | truncate: 60", "x | truncate_words: 9"),
        *("x | append: x", "x | prepend: '<i>'", "x | replace: 'script', 'script'", "x | split: ' ' | join: ' '"),
        *("x | liquid", "x | default: 'y'", "empty | default: x", "x | upcase", "x | downcase", "x | strip_newlines"),
        *("x | escape_once", "x | url_encode | url_decode", "x | base64_encode | base64_decode", "rows | join: '; '"),
        *("rows | first", "rows | sort | last", "row.name", "row", "'a' | append: x", "'a@b' | replace: '@', x"),
        *(
            "x | date: x",
            "'2026-03-01' | date: x",
            "x | add_query: x, x",
            "'/' | add_query: 'q', x",
            "x | slice: 0, 99",
        ),
        *("rows | where: 'a', 1 | join: x", "x | money: x", "x | remove: 'zz'", "rows | batch: 2 | first"),
    ],
)
async def test_no_filter_lets_markup_of_a_value_through(use: str) -> None:
    found = await render("{{ " + use + " }}", x=XSS, rows=[XSS, XSS], row=Lookup({"name": XSS}, XSS), empty="")
    shown = str(found.markup).lower().replace("<i>", "").replace("<p>", "").replace("</p>", "").replace("<br />", "")
    assert "<" not in shown and ">" not in shown and '"' not in shown


async def test_what_is_captured_is_not_escaped_twice_and_stays_escaped() -> None:
    source = "{% capture c %}<i>{{ x }}</i>{% endcapture %}{{ c }}{% assign u = c | url_decode %}{{ u }}"
    found = await text(source, x="%3Cb%3E<")
    assert found.startswith("<i>%3Cb%3E&lt;</i>") and "<b>" not in found


@pytest.mark.parametrize(
    "use", ["x", "x | liquid", "c | liquid", "snippet | append: x | liquid", "m | liquid", "row.n"]
)
async def test_no_value_is_ever_a_template(use: str) -> None:
    source = "{% capture c %}{{ x }}{% endcapture %}{{ " + use + " }}"
    value = "{{ secret }}{% include 'Card' %}"
    objects = {
        "x": value,
        "secret": "s3cret",
        "snippet": site_text("a"),
        "m": Markup(value),  # noqa: S704 - on purpose
        "row": Lookup({"n": value}),
    }
    found = await render(source, **objects)
    assert "s3cret" not in found.markup and "<b>" not in found.markup


async def test_the_sites_own_texts_are_templates_where_the_maker_says_so() -> None:
    snippets = Lookup({"Greeting": site_text("<b>{{ name }}</b>"), "Empty": site_text("")})
    assert await text("{{ snippets.greeting | liquid }}", snippets=snippets, name=XSS) == f"<b>{Markup.escape(XSS)}</b>"
    source = "{% editable snippets 'Greeting' type: 'html' %}|{% editable snippets 'Empty' default: 'none' %}"
    assert await text(source, snippets=snippets, name="A") == "<b>A</b>|none"
    assert await text("{% editable snippets 'Greeting' liquid: false %}", snippets=snippets) == "<b>{{ name }}</b>"
    assert await text("{% include 'snippet' snippet_name: 'greeting' %}", snippets=snippets, name="A") == "<b>A</b>"
    assert await text("{% editable snippets['Greeting'] type: 'html' %}", snippets=snippets, name="A") == "<b>A</b>"
    assert await text("{% editable snippets %}{{ snippets.editable }}", snippets=snippets) == ""
    assert await text("{% editable row 'name' %}{% editable row 'gone' %}", row={"name": XSS}) == Markup.escape(XSS)


async def test_rawhtml_is_the_makers_word() -> None:
    assert await text("{{ x | rawhtml }}", x="<b>") == "<b>"
    assert "safe" not in Engine().dialect.filters


async def test_templates_are_included_in_any_case_and_extended() -> None:
    assert await text("{% include 'card' title: x %}{% include 'CARD', title: '2' %}", x="<1>") == (
        "<b>&lt;1&gt;</b><b>2</b>"
    )
    assert await text("{% include 'card' other: x['a'] title: x[0] %}", x=["3"]) == "<b>3</b>"
    assert await text("{% assign title = 'T' %}{% include 'page' %}") == "<main>T</main>"
    assert await text("{% include 'layout' %}") == "<main>nothing</main>"
    above = "{% extends 'page' %}{% block main %}1 {{ block.super }} 3{% endblock %}"
    assert await text("{% assign title = '<2>' | append: x %}" + above, x="<") == "<main>1 <2>&lt; 3</main>"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{% if 'abc' startswith 'ab' and 'abc' endswith 'c' %}y{% endif %}", "y"),
        ("{% unless x endswith 'z' or x startswith 'q' %}n{% endunless %}", "n"),
        ("{% if nothing startswith 'a' %}y{% else %}n{% endif %}", "n"),
        ("{% for i in (1..9) limit:3 offset:2 reversed %}{{ i }}{% endfor %}", "543"),
        ("{% for i in (1..4) %}{% if forloop.last %}{{ forloop.index }}{% endif %}{% endfor %}", "4"),
        ("{% raw %}{{ x }}{% endraw %}{% comment %}{{ 1 | no }}{% endcomment %}", "{{ x }}"),
        ("{% substitution %}{{ x }}{% endsubstitution %}", "abc"),
        ("{% case x %}{% when 'abc' %}1{% endcase %}{% cycle 'a', 'b' %}", "1a"),
        ("[{{ user.fullname }}{{ nobody }}]", "[]"),
        ("{{ settings['Search/Enabled'] | boolean }}{{ settings['search/ENABLED'] }}", "trueyes"),
    ],
)
async def test_tags_and_operators_of_the_dialect(source: str, shown: str) -> None:
    assert await text(source, x="abc", user=None, settings=Lookup({"Search/Enabled": "yes"})) == shown


ROWS = [
    Lookup({"name": "b", "size": 2, "kind": Lookup({"value": 1}), "on": day(dt.date(2026, 1, 2))}),
    Lookup({"name": "A", "size": 10, "kind": Lookup({"value": 2}), "on": None}),
    Lookup({"name": "c", "size": 2, "kind": Lookup({"value": 1}), "on": day(dt.date(2025, 1, 2))}),
]


@pytest.mark.parametrize(
    ("use", "shown"),
    [
        ("rows | order_by: 'size' | then_by: 'name', 'desc' | select: 'name' | join: ','", "c,b,A"),
        ("rows | order_by: 'on', 'desc' | select: 'name' | join: ','", "b,c,A"),
        ("rows | where: 'kind.value', 1 | select: 'name' | join: ','", "b,c"),
        ("rows | except: 'size', 2 | select: 'name' | join: ','", "A"),
        ("rows | skip: 1 | take: 1 | first", "A"),
        ("rows | top: 2 | size", "2"),
        ("rows | any: 'name', 'c'", "true"),
        ("rows | all: 'size', 2", "false"),
        ("rows | batch: 2 | size", "2"),
        ("rows | concat: rows | size", "6"),
        ("'name ASC, createdon DESC' | current_sort: 'createdon' | reverse_sort", "ASC"),
        ("nothing | where: 'a', 1 | size", "0"),
    ],
)
async def test_filters_of_arrays(use: str, shown: str) -> None:
    rows = [Lookup({name: row[name] for name in row}, str(row["name"])) for row in ROWS]
    assert await text("{{ " + use + " }}", rows=rows) == shown


async def test_groups_have_a_key_and_items() -> None:
    source = "{% assign g = rows | group_by: 'size' %}{% for x in g %}{{ x.key }}:{{ x.items.size }} {% endfor %}"
    assert await text(source, rows=ROWS) == "2:2 10:1 "


MOMENT = moment(dt.datetime(2026, 3, 1, 15, 5, 9, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("use", "shown"),
    [
        ("m", "3/1/2026 3:05 PM"),
        ("d", "3/1/2026"),
        ("m | date: 'g'", "3/1/2026 3:05 PM"),
        ("m | date: 'D'", "Sunday, March 1, 2026"),
        ("m | date: 'ddd, MMM d, yyyy h:mm tt'", "Sun, Mar 1, 2026 3:05 PM"),
        ("m | date: 'yyyy-MM-ddTHH:mm:ss'", "2026-03-01T15:05:09"),
        ("m | date: '%Y/%m'", "2026/03"),
        ("'3/1/2026 3:05 PM' | date: 'HH:mm'", "15:05"),
        ("'no date' | date: 'd'", "no date"),
        ("m | date_add_months: 12 | date: 'MMM yyyy'", "Mar 2027"),
        ("e | date_add_months: 1", "2/28/2026"),
        ("m | date_add_years: -1 | date_add_days: 1.5 | date: 's'", "2025-03-03T03:05:09"),
        ("m | date_add_hours: 9 | date_add_minutes: 1 | date_add_seconds: 1 | date: 's'", "2026-03-02T00:06:10"),
        ("m | date_to_iso8601", "2026-03-01T15:05:09Z"),
        ("d | date_to_iso", "2026-03-01"),
        ("m | date_to_rfc822", "Sun, 01 Mar 2026 15:05:09 +0000"),
    ],
)
async def test_filters_of_dates(use: str, shown: str) -> None:
    days = {"d": day(dt.date(2026, 3, 1)), "e": day(dt.date(2026, 1, 31))}
    assert await text("{{ " + use + " }}", m=MOMENT, **days) == shown


@pytest.mark.parametrize(
    ("use", "shown"),
    [
        ("'/a?x=1&y=2' | add_query: 'y', 'a b'", "/a?x=1&amp;y=a+b"),
        ("'/a?x=1' | remove_query: 'x'", "/a"),
        ("'https://h.example:81/p?q=1' | path_and_query", "/p?q=1"),
        ("'https://h.example:81/p?q=1' | base", "https://h.example:81"),
        ("'https://h.example/p' | scheme", "https"),
        ("'https://h.example/p' | port", "443"),
        ("'12.7' | integer", "12"),
        ("'12.70' | decimal | times: 2", "25.40"),
        ("'1e999999' | decimal", ""),
        ("7 | divided_by: 2", "3"),
        ("7 | divided_by: 2.0", "3.5"),
        ("'7.25' | round: 1 | plus: '1'", "8.3"),
        ("7.2 | ceil | minus: 1 | modulo: 4", "3"),
        ("price | times: 3", "0.30"),
        ("user | has_role: 'Vendors'", "true"),
        ("nobody | has_role: 'Vendors'", "false"),
        ("2048 | file_size: 1", "2.0 KB"),
        ("1234.5 | money: 'EUR'", "€1,234.50"),
        ("'a b c' | truncate_words: 2", "a b..."),
        ("choice", "Open"),
        ("choice.value", "3"),
        ("'<b>x</b><script>y</script>' | strip_html", "x"),
        ("'see https://a.example/x.\n\nb' | text_to_html",
         '<p>see <a href="https://a.example/x" rel="nofollow noopener">https://a.example/x</a>.</p>\n<p>b</p>'),
    ],
)  # fmt: skip
async def test_other_filters(use: str, shown: str) -> None:
    assert (
        await text("{{ " + use + " }}", user={"roles": ["Vendors"]}, choice=Choice(3, "Open"), price=Decimal("0.10"))
        == shown
    )


@pytest.mark.parametrize(
    ("source", "shown", "told"),
    [
        ("one\n {% nothing %} two", "one\n  two", "Home:2:5: the tag 'nothing' is not known"),
        ("{% include 'x' %}!", "!", "Home:1:12: the web template 'x' does not exist"),
        ("{{ 1 | unknown }}!", "!", "Home:1:8: a filter is not known: 'unknown'"),
        ("{{ 1 | divided_by: 0 }}!", "!", "Home:1:8: a value does not fit its use"),
        ("{% if %}a{% endif %}!", "!", "Home:1:4: it is not written right"),
        ("{{ x", "", "Home:1:1: it is not written right"),
        ("{% include 'Broken' %}!", "one\n!", "Broken:2:8: a filter is not known: 'nonsense'"),
        ("{% include 'Ring A' %}!", "!", "Ring A:1:4: it is not written right: circular extends"),
        ("{% fetchxml q %}<fetch/>{% endfetchxml %}!", "!", "Home:1:4: rows are not at hand here"),
        ("{% powerbi path:'a' %}!", "!", "Home:1:4: the tag 'powerbi' is not supported."),
        ("{% rating a: x %}a{% endrating %}!", "!", "Home:1:4: the tag 'rating' is not supported."),
    ],
)
async def test_an_error_leaves_its_place_empty_and_is_told_by_template_line_and_column(
    source: str, shown: str, told: str
) -> None:
    found = await render(source, secret="s3cret", x="s3cret")
    assert found.markup == shown and str(found.faults[0]).startswith(told)
    assert "s3cret" not in " ".join(map(str, found.faults))


async def test_visitors_learn_that_something_is_missing_and_nothing_of_what_is_unsupported() -> None:
    found = (await render("a{{ 1 | no }}")).for_visitors()
    assert (found.markup, found.faults, found.incomplete) == ("a", (), True)
    assert (await render("a{% powerbi path:'x' %}")).for_visitors() == Fragment(Markup("a"))


async def test_what_is_not_there_is_named_where_it_is_used() -> None:
    found = await render("a{{ polls['Ke'] }}{{ 'x' | top_level: 3 }}{% assign log = 1 %}{{ log }}")
    assert [str(fault) for fault in found.faults] == [
        "Home:1:5: the object 'polls' is not supported.",
        "Home:1:28: the filter 'top_level' is not supported. There are no articles of a knowledge base.",
    ]


def test_the_catalogue_is_what_there_is() -> None:
    dialect = Engine().dialect
    assert set(catalogue.TAGS) | set(UNSUPPORTED) | catalogue.INTERNAL == set(dialect.tags) | {"raw"}
    listed = [name for names in catalogue.FILTERS.values() for name in names.split()]
    assert sorted(listed) == sorted(dialect.filters)
    assert not set(MISSING_FILTERS) & set(dialect.filters)


def test_a_text_is_checked_without_rendering_it() -> None:
    engine = Engine(TEMPLATES)
    assert engine.check("{{ x | date: 'd' }}{% assign polls = 1 %}{{ polls }}", "Home") == ()
    assert [str(fault) for fault in engine.check("{% if x %}\n {{ polls['K'] }}{% endif %}", "Home")] == [
        "Home:2:5: the object 'polls' is not supported."
    ]
    source = "{% include 'card' %}{% include x %}{% if x %}{% include 'Gone' %}{% endif %}"
    assert [str(fault) for fault in engine.check(source, "Home")] == [
        "Home:1:49: the web template 'Gone' does not exist"
    ]
    assert engine.check("{% extends 'LAYOUT' %}", "Home") == ()
    assert [str(fault) for fault in engine.check("\n{% codecomponent name:x %}", "Home")] == [
        "Home:2:4: the tag 'codecomponent' is not supported. Code components are not run."
    ]


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..100000) %}{% for j in (1..100000) %}x{% endfor %}{% endfor %}",
        "{% include 'endless' %}",
        "{% include 'twice' %}",
        "{% assign s = 'aaaaaaaaaa' %}{% for i in (1..40) %}{% assign s = s | append: s %}{% endfor %}",
        "{% assign n = 9 %}{% for i in (1..40) %}{% assign n = n | times: n %}{% endfor %}",
        "{% capture s %}{% for i in (1..9999) %}xxxxxxxxxx{% endfor %}{% endcapture %}{{ s | replace: 'x', s | size }}",
        "{{ (1..999999999) | join: 'x' }}",
        "{% capture s %}{% for i in (1..9999) %}xxxxxxxxxx{% endfor %}{% endcapture %}{% assign a = s | split: '|' %}"
        "{% for i in (1..40) %}{% assign a = a | concat: a %}{% endfor %}{{ a }}",
        "{% capture s %}{% for i in (1..9999) %}xxxxxxxxxx{% endfor %}{% endcapture %}{{ (1..9999) | join: s }}",
        "{% for i in (1..9999) %}{{ '" + "x" * 1000 + "' }}{% endfor %}",
        "x" * 300_000,
    ],
)
async def test_a_runaway_text_meets_a_limit(source: str) -> None:
    found = await render(source)
    assert "a limit is reached" in str(found.faults[-1]) and len(found.markup) <= 2_000_000


async def test_a_text_ends_with_its_time_and_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.001
        return now[0]

    monkeypatch.setattr(time, "monotonic", clock)
    loops = "{% for i in (1..9999) %}{% assign a = i %}{% endfor %}" * 9
    found = await render(loops)
    assert [str(fault) for fault in found.faults] == [
        "Home:1:4: a limit is reached: the texts of a page take at most 10 seconds"
    ]
