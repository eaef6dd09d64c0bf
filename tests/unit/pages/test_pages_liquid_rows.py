"""Rows and the site in page texts: what the person may read, escaped, and within a number of queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from pages_browser import Browser

from forecourt.pages.liquid import Engine
from forecourt.pages.liquid.reading import notices
from forecourt.pages.site import LinkImage, LinkSet, PageContent, Site, WebLink
from forecourt.pages.site.definitions import (
    PageTemplate,
    TemplateKind,
    WebTemplate,
)
from support.portal import LINES, ORDERS, Preview, contoso, preview, row_id

XSS = "<script>alert('1')</script>\"><img src=x onerror=alert(1)>"
FETCH = (
    f'<fetch top="3"><entity name="{ORDERS}"><attribute name="mserp_purchaseordernumber"/>'
    '<attribute name="mserp_purchaseordername"/><attribute name="mserp_purchaseorderstatus"/>'
    '<attribute name="mserp_requesteddeliverydate"/>{inner}</entity></fetch>'
)


def site_with(copy: str, **more: Any) -> Site:
    """The sample company's site with this text on its home page."""
    site = contoso().site
    assert site is not None and site.home is not None
    home = replace(site.home, contents={site.language: PageContent("Home", copy)})
    return replace(site, pages={**site.pages, home.id: home}, **more)


class Reader:
    """Reads the home page of a site with a text of its own, as somebody."""

    def __init__(self, copy: str, change: Callable[[Preview], None] | None = None, **more: Any) -> None:
        self.shown = preview(site_with(copy, **more))
        if change is not None:
            change(self.shown)

    async def get(self, person: str = "vendor", path: str = "/") -> str:
        transport = httpx.ASGITransport(app=self.shown.portal, client=("192.0.2.7", 1))
        async with Browser(transport=transport, base_url="http://portal.example") as browser:
            if person:
                await browser.sign_in(person)
            answer = await browser.get(path)
        assert answer.status_code == 200 and not self.shown.faults
        return answer.text


def copy_of(page: str) -> str:
    """The text of a page that a test put there, between brackets."""
    return " ".join(re.findall(r"\[\[(.*?)\]\]", page, re.DOTALL))


def makers(site_setting: str = "true") -> dict[str, Any]:
    site = contoso().site
    assert site is not None
    return {"settings": {**site.settings, "Liquid/ShowErrors": site_setting, "Smtp/Password": "s3cret"}}


def named(value: Any) -> Callable[[Preview], None]:
    """Every column of text of the orders holds ``value``."""

    def change(shown: Preview) -> None:
        for row in list(shown.rows.rows[ORDERS]):
            texts = {name: value for name, held in row.values.items() if isinstance(held, str)}
            shown.rows.put(ORDERS, row.id, texts)

    return change


async def test_fetchxml_gives_rows_with_labels_and_dates() -> None:
    source = (
        "{% fetchxml orders %}" + FETCH.replace("{inner}", "") + "{% endfetchxml %}"
        "[[{{ orders.results.entities.size }} {{ orders.results.MoreRecords }} {{ orders.results.entity_name }}]]"
        "{% for o in orders.results.entities limit: 1 %}[[{{ o.mserp_purchaseordernumber }}|"
        "{{ o.mserp_purchaseorderstatus.label }}|{{ o['mserp_requesteddeliverydate'] | date: 'yyyy' }}|{{ o.id }}|"
        "{{ o.logical_name }}|{{ o.nothing }}]]{% endfor %}[[{{ orders.xml | escape | size }}]]"
    )
    page = copy_of(await Reader(source).get())
    assert page.startswith(f"3 false {ORDERS} PO-001000|")
    assert f"|2026|{row_id(ORDERS, 0)}|{ORDERS}|" in page


async def test_values_of_a_request_are_values_in_fetchxml_and_never_markup_of_it() -> None:
    condition = (
        '<filter><condition attribute="mserp_purchaseordernumber" operator="eq" value="{{ params.n }}"/></filter>'
    )
    source = (
        "{% fetchxml q %}" + FETCH.replace("{inner}", condition) + "{% endfetchxml %}"
        "[[{% for o in q.results.entities %}{{ o.mserp_purchaseordernumber }} {% endfor %}]]"
    )
    reader = Reader(source)
    assert copy_of(await reader.get(path="/?n=PO-001002")) == "PO-001002 "
    hostile = 'PO-1"/></filter><filter><condition attribute="mserp_dataareaid" operator="not-null'
    assert copy_of(await reader.get(path=f"/?n={quote(hostile)}")) == ""
    assert "&#34;" in reader.shown.fetches.asked[-1] and "<filter><filter>" not in reader.shown.fetches.asked[-1]


@pytest.mark.parametrize(
    "source",
    [
        "{% fetchxml q %}" + FETCH.replace("{inner}", "<all-attributes/>") + "{% endfetchxml %}"
        "[[{% for o in q.results.entities %}{% for p in o %}{{ p | last }} {{ p }}{% endfor %}{{ o }}{% endfor %}]]",
        f"{{% assign o = entities.{ORDERS}['{row_id(ORDERS, 1)}'] %}}"
        "[[{% for p in o %}{{ p | last | default: 'none' }}{% endfor %}{{ o.mserp_email | append: o.mserp_email }}]]",
        f"{{% entityview logical_name: '{ORDERS}', name: params.view %}}[[{{% for r in entityview.records %}}"
        "{% for c in entityview.columns %}{{ r[c.logical_name] }}{% endfor %}{% endfor %}]]{% endentityview %}",
    ],
)
async def test_markup_in_a_column_is_text(source: str) -> None:
    view = contoso().tables.by_name[ORDERS].views[0].name
    page = await Reader(source, named(XSS)).get(path=f"/?view={quote(view)}")
    assert "&lt;script&gt;alert" in copy_of(page)
    assert "<script>alert" not in page and "<img src=x" not in page


@pytest.mark.parametrize(
    "part", ["request.params.q", "params['Q']", "request.url", "request.path_and_query", "request.query"]
)
async def test_markup_in_a_request_is_text(part: str) -> None:
    page = await Reader("[[{{ " + part + ' }}]]<a href="{{ ' + part + ' }}">x</a>').get(path=f"/?q={quote(XSS)}")
    assert "<script>alert" not in page and "<img src=x" not in page and '">x</a>' in page


async def test_a_table_without_permission_has_no_rows_and_says_so() -> None:
    source = (
        "{% fetchxml q %}" + FETCH.replace("{inner}", "") + "{% endfetchxml %}"
        "[[{{ q.results.entities.size }} {{ q.results.entity_permission_denied }}"
        f" {{{{ entities.{ORDERS}[params.id] }}}}]]"
        f"{{% entityview logical_name: '{ORDERS}', name: params.view %}}[[{{{{ entityview.records.size }}}} "
        "{{ entityview.entity_permission_denied }}]]{% endentityview %}"
    )
    view = contoso().tables.by_name[ORDERS].views[0].name
    page = await Reader(source, lambda shown: shown.rows.refused.add(ORDERS)).get(
        path=f"/?id={row_id(ORDERS, 1)}&view={quote(view)}"
    )
    assert copy_of(page) == "0 true  0 true"


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ('<fetch><entity name="secret"/></fetch>', "The entity with a name = &#39;secret&#39; was not found."),
        (f'<fetch><entity name="{ORDERS}"><attribute name="secret"/></entity></fetch>', "secret"),
        ("<fetch>", "Invalid XML"),
        ('<!DOCTYPE x [<!ENTITY y "z">]><fetch/>', "Document types and entities are not allowed"),
    ],
)
async def test_a_wrong_fetch_is_told_to_makers_alone(xml: str, told: str) -> None:
    source = "[[a]]\n{% fetchxml q %}" + xml + "{% endfetchxml %}[[b{{ q.results.entities.size }}]]"
    page = await Reader(source, **makers()).get()
    assert copy_of(page) == "a b" and told in page and "<code>Home:2:4: " in page
    page = await Reader(source).get()
    assert copy_of(page) == "a b" and told not in page and "Home:2" not in page
    assert "A part of this page cannot be shown." in page


async def test_a_row_leads_to_the_rows_that_belong_to_it() -> None:
    relation = next(
        name
        for name, item in contoso().tables.by_name[ORDERS].entity.relations.items()
        if item.many and item.target == LINES
    )
    source = (
        f"{{% assign o = entities['{ORDERS}'][params.id] %}}[[{{{{ o.mserp_purchaseordernumber }}}} "
        f"{{{{ o.{relation} | size }}}} {{{{ o.{relation}.first.mserp_linenumber }}}} "
        "{{ o.permissions.can_read }}]]"
    )
    assert copy_of(await Reader(source).get(path=f"/?id={row_id(ORDERS, 4)}")) == "PO-001004 5 1 true"
    assert copy_of(await Reader(source).get(path="/?id=nothing")) == " 0  "


async def test_a_view_has_pages_order_and_search() -> None:
    view = contoso().tables.by_name[ORDERS].views[0].name
    source = (
        f"{{% entityview logical_name:'{ORDERS}' name:params.view page:params.page page_size:5 "
        "order:'mserp_purchaseordernumber DESC' search:params.s %}"
        "[[{{ entityview.page }} {{ entityview.page_size }} {{ entityview.next_page }} {{ entityview.first_page }} "
        "{{ entityview.records.size }} {{ entityview.records.first.mserp_purchaseordernumber }} "
        "{{ entityview.columns.first.logical_name }}]]{% endentityview %}"
    )
    reader = Reader(source)
    first = copy_of(await reader.get(path=f"/?view={quote(view)}")).split()
    second = copy_of(await reader.get(path=f"/?view={quote(view)}&page=2")).split()
    assert first[:5] == ["1", "5", "2", "1", "5"] and second[:5] == ["2", "5", "3", "1", "5"] and first[5] > second[5]
    found = copy_of(await reader.get(path=f"/?view={quote(view)}&s=*{first[5][-3:]}")).split()
    assert first[5] in found
    told = await Reader(source.replace("search:", "metafilter:"), **makers()).get(path=f"/?view={quote(view)}&s=1")
    assert "metafilter" in told and copy_of(told) == ""


async def test_a_list_says_what_it_is_and_gives_its_view() -> None:
    site = contoso().site
    assert site is not None
    definition = next(item for item in site.lists.values() if item.table == ORDERS)
    source = (
        f"{{% entitylist name:'{definition.name}' %}}[[{{{{ entitylist.page_size }}}} {{{{ entitylist.views.size }}}}]]"
        "{% entityview %}[[{{ entityview.page_size }} {{ entityview.logical_name }}]]{% endentityview %}"
        "{% endentitylist %}"
    )
    page = copy_of(await Reader(source).get())
    renamed = source.replace("entitylist name", "entitylist mine = name").replace("entitylist.", "mine.")
    renamed = renamed.replace("{% entityview %}", "{% entityview rows = page: 1 %}").replace("entityview.", "rows.")
    assert copy_of(await Reader(renamed).get()) == page
    assert page == f"{definition.page_size} {len(definition.views)} {definition.page_size} {ORDERS}"


async def test_the_site_is_there_as_far_as_the_person_may_read_it() -> None:
    site = contoso().site
    assert site is not None
    marker, page_id = next((name, page) for name, page in site.markers.items() if name != "Home")
    links = {
        site.language: {
            "Side": LinkSet(
                (WebLink("Start", site.home.id if site.home else None), WebLink("Bad", None, "javascript:x"))
            )
        }
    }
    source = (
        f"[[{{{{ sitemarkers['{marker.lower()}'].url }}}} {{{{ sitemap.root.title }}}} {{{{ sitemap.current.url }}}} "
        "{{ weblinks.Side.weblinks | select: 'url' | join: ' ' }} {{ website.name }} {{ page.title }} {{ page.url }} "
        "{{ user.fullname }} {{ user.roles | join: ',' }} {{ settings['smtp/password'] }}]]"
        "[[{{ sitemap.root.children | select: 'url' | join: ' ' }}]]"
    )
    reader = Reader(source, links=links, **makers("false"))
    mine = copy_of(await reader.get())
    assert mine.startswith(f"{site.pages[page_id].path} Home / / {site.name} Home / Anna Berg ")
    assert "Vendors" in mine and "s3cret" not in mine and "javascript" not in mine
    theirs = copy_of(await reader.get(""))
    assert "Anna" not in theirs and len(theirs.split()) < len(mine.split())


async def test_a_page_makes_so_many_queries_and_no_more() -> None:
    source = (
        "{% for i in (1..500) %}{% fetchxml q %}"
        + FETCH.replace("{inner}", "")
        + "{% endfetchxml %}{% endfor %}[[end]]"
    )
    reader = Reader(source, **makers())
    page = await reader.get()
    assert "the texts of a page make at most 100 queries" in page and len(reader.shown.fetches.asked) == 100
    assert copy_of(page) == ""


async def test_errors_are_told_to_administrators_and_managers_of_snippets() -> None:
    def administrator(shown: Preview) -> None:
        principal = shown.people.people["vendor"]
        shown.people.people["vendor"] = replace(principal, web_roles=principal.web_roles | {"Administrators"})

    assert "a filter is not known" in await Reader("{{ 1 | no }}", administrator).get()
    assert "a filter is not known" not in await Reader("{{ 1 | no }}").get()
    assert "a filter is not known" not in await Reader("{{ 1 | no }}").get("")


async def test_a_footer_with_rows_does_not_keep_an_error_page_from_being_shown() -> None:
    site = contoso().site
    assert site is not None
    footer = "[[{{ user.fullname }}]]{% fetchxml q %}" + FETCH.replace("{inner}", "") + "{% endfetchxml %}"
    reader = Reader("x", snippets={site.language: {"Footer": footer}})
    assert copy_of(await reader.get()) == "Anna Berg"


def templated(source: str, media: str = "text/html", *, around: bool = True) -> Reader:
    """The home page by a web template, its own copy beside it."""
    web = WebTemplate(UUID(int=1), "Home Layout", source, media)
    part = WebTemplate(UUID(int=2), "Hello", "<b>{{ who }}</b>")
    how = PageTemplate(UUID(int=3), "Home", TemplateKind.WEB_TEMPLATE, web.id, header_and_footer=around)
    site = site_with("copy for {{ user.fullname }}")
    assert site.home is not None
    pages = {**site.pages, site.home.id: replace(site.home, template=how.id)}
    templates = {item.id: item for item in (web, part)}
    reader = Reader("")
    reader.shown = preview(replace(site, pages=pages, web_templates=templates, page_templates={how.id: how}))
    return reader


async def test_a_page_is_laid_out_by_its_web_template() -> None:
    source = "[[{% include 'HELLO' who: user.fullname %} {% editable page 'adx_copy' type: 'html' %}]]"
    page = await templated(source).get()
    assert copy_of(page) == "<b>Anna Berg</b> copy for Anna Berg" and "fc-footer" in page


async def test_templates_of_every_site_are_included_and_extended_by_either_name() -> None:
    source = (
        "{% extends 'Layout 1 Column' %}{% block title %}{% include 'page_header' title: 'Mine' %}{% endblock %}"
        "{% block main %}{% include 'Page Copy' %}{% include 'entity_list' key: page.adx_entitylist.id %}{% endblock %}"
    )
    page = await templated(source).get()
    assert "<h1>Mine</h1>" in page and 'class="page-copy">copy for Anna Berg</div>' in page and "breadcrumb" in page


async def test_a_sites_own_template_goes_before_the_one_of_every_site() -> None:
    site = templated("").shown.portal._pages._site
    templates = {item.name: item.source for item in site.web_templates.values()} | {"Page Copy": "own", "a b": "c"}
    found = await Engine(templates).render(
        "{% include 'page_copy' %}{% include 'Page copy' %}{% include 'A_B' %}", "", {}
    )
    assert "page-copy" in found.markup and found.markup.endswith("ownc")


async def test_what_rests_on_the_originals_own_tables_is_left_out_without_a_word_to_visitors() -> None:
    source = (
        "[[{% fetchxml q %}<fetch><entity name='adx_poll'/></fetch>{% endfetchxml %}{{ q.results.entities.size }}"
        "{% assign best = knowledge.articles | top: 3, 'en' %}{% for one in best %}!{% endfor %}"
        "{% assign tree = knowledge.categories | top_level: 0 %}{{ tree }}]]"
    )
    page = await Reader(source).get()
    assert copy_of(page) == "0" and "cannot be shown" not in page
    page = await Reader(source, **makers()).get()
    assert "&#39;adx_poll&#39; was not found." in page and "the object &#39;knowledge&#39; is not supported." in page


async def test_the_filters_of_a_search_box_and_ids_of_a_page() -> None:
    source = (
        "[[{% assign found = 'Pages:adx_webpage, adx_webfile;Rows:;Cases:incident' | search_filter_options %}"
        "{% for one in found %}{{ one.display_name }}={{ one.value }};{% endfor %}"
        "{% if uniqueid.new_guid == uniqueid.new_guid %}same{% endif %}{{ uniqueid.new_guid.size }}]]"
    )
    assert copy_of(await Reader(source).get()) == "Pages=adx_webpage, adx_webfile;Cases=incident;36"


async def test_a_web_template_without_header_and_footer_is_the_whole_answer_in_its_media_type() -> None:
    source = '{"user": "{{ user.fullname }}", "q": "{{ params.q }}"}'
    reader = templated(source, "application/json", around=False)
    transport = httpx.ASGITransport(app=reader.shown.portal, client=("192.0.2.7", 1))
    async with Browser(transport=transport, base_url="http://portal.example") as browser:
        await browser.sign_in("vendor")
        answer = await browser.get(f"/?q={quote(XSS)}")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["user"] == "Anna Berg" and "<" not in answer.text
    assert await templated("<i>{{ 1 | no }}</i>", "text/html\r\nX-A: b", around=False).get() == "<i></i>"


async def test_the_texts_of_a_site_are_read_without_being_rendered() -> None:
    reader = templated("{% include 'hello' %}\n{% powerbi path:'x' %}")
    site = replace(reader.shown.portal._pages._site, snippets={"en-US": {"Footer": "{{ 1 | top_level }}"}})
    assert [text.partition(": ")[2] for text in notices(site)] == [
        "the web template 'Home Layout', line 2, column 4: the tag 'powerbi' is not supported. Reports are not "
        "embedded.",
        "the snippet 'Footer' (en-US), line 1, column 8: the filter 'top_level' is not supported. There are no "
        "articles of a knowledge base.",
    ]


async def test_a_block_above_may_read_rows() -> None:
    base = "{% block main %}{% fetchxml q %}" + FETCH.replace("{inner}", "") + "{% endfetchxml %}"
    base += "{{ q.results.entities.size }}{% editable page 'title' %}{% endblock %}"
    site = site_with("{% extends 'Base' %}{% block main %}[[{{ block.super }}]]{% endblock %}")
    part = WebTemplate(
        UUID(int=2), "Base", base.replace("{% editable page 'adx_copy' %}", "{% editable page 'title' %}")
    )
    reader = Reader("")
    reader.shown = preview(replace(site, web_templates={part.id: part}))
    assert copy_of(await reader.get()) == "3Home"


async def test_a_link_set_is_found_by_name_or_id_and_its_links_say_how_they_look() -> None:
    key, image = UUID(int=7), LinkImage("/house.png", "A <house>", only=True)
    links = (WebLink("Home", None, "/", description="Start", image=image, child_pages=True, follow=False),)
    site = contoso().site
    assert site is not None
    sets = {site.language: {"Top": LinkSet(links, key, "The top", "<b>Copy</b>")}}
    source = (
        "[[{% assign set = weblinks['" + str(key).upper() + "'] %}{{ set.name }} {{ set.title }} {{ set.copy }} "
        "{{ weblinks.top.id }} {% for l in set.weblinks %}{{ l.tooltip }} {{ l.image.url }} "
        "{{ l.image.alternate_text }} {{ l.display_image_only }} "
        "{{ l.display_page_child_links }} {{ l.nofollow }}{% endfor %}]]"
    )
    found = copy_of(await Reader(source, links=sets, **makers("false")).get())
    assert found == f"Top The top <b>Copy</b> {key} Start /house.png A &lt;house&gt; true true true"
