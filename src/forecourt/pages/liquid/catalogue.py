"""What there is of Liquid, and what of the original is not: the reference page is made of it.

Each name has what it takes and a sentence. A test holds the lists against the dialect: no tag or filter is missing
here, and none is here that is missing there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forecourt.pages.liquid.faults import MISSING_FILTERS, MISSING_OBJECTS
from forecourt.pages.liquid.tags import UNSUPPORTED

#: Names that the library registers for itself.
INTERNAL = frozenset({"#", "content", "illegal", "output"})

OBJECTS: Mapping[str, str] = {
    "entities": "`entities.<table>[id]`: a row; nothing where it is not for the person",
    "entitylist": "within the tag: the list's `name`, `views`, `page_size`, `search_enabled`, …",
    "entityview": "within the tag: `records`, `columns`, `total_records`, `total_pages`, `page`, `pages`, `next_page`, "
    "`entity_permission_denied`, …",
    "forloop, tablerowloop": "`index`, `index0`, `first`, `last`, `length`, …",
    "language": "`code`, `url_code`, `name`, `url` of the language that the page is in",
    "now, today": "the moment of the request, in UTC",
    "page": "`title`, `url`, `breadcrumbs`, `children`, `parent`, `id`, and the page's own columns (`adx_copy`)",
    "params": "the query's parameters, as `request.params`",
    "searchindex": "within the tag: `results` (`title`, `url`, `fragment`, `score`, `id`, `entity_logical_name`, …), "
    "`approximate_total_hits`, `page`, `page_size`",
    "request": "`path`, `url`, `query`, `path_and_query`, `params`; no cookies and no posted fields",
    "resx": "the portal's own words by resource name, in the person's language; of an unknown name its words",
    "settings": "site settings by name, those left out whose name speaks of a secret",
    "sitemap": "`root`, `current`, `['/path/']`: pages that the person may read",
    "sitemarkers": "`sitemarkers['Name'].url`, where the person may read the page",
    "snippets": "content snippets by name, in the person's language",
    "uniqueid": "`new_guid`: an id that nothing else on the page has",
    "user": "the contact's columns, `roles`, `id`; nothing for who is not signed in",
    "weblinks": "`weblinks['Set']`, by name or id, with `title`, `copy` and `weblinks`: the links that the person "
    "may follow",
    "website": "`name`, `id`, `languages`, `selected_language`, `sign_in_url_substitution`, "
    "`sign_out_url_substitution`",
}

TAGS: Mapping[str, tuple[str, str]] = {
    "assign": ("name = value", "gives a value a name"),
    "block": ("name … endblock", "a part that an extending template replaces"),
    "break": ("", "ends a loop"),
    "capture": ("name … endcapture", "gives what is put out a name"),
    "case": ("value, when …, else, endcase", "chooses by a value"),
    "chart": ("id, viewid", "draws a chart of a table over the rows of a view that the person may read"),
    "comment": ("… endcomment", "is left out"),
    "continue": ("", "goes on with a loop's next turn"),
    "cycle": ("'a', 'b'", "puts out the next of its values each time"),
    "decrement": ("name", "counts down"),
    "doc": ("… enddoc", "is left out"),
    "echo": ("value", "puts a value out"),
    "editable": ("object 'name', type, default, escape, liquid", "puts a text out; it is not edited in the page"),
    "entityform": ("name or id", "is where the page's basic form stands; a page that names no form shows this one"),
    "entitylist": (
        "id, name or key … endentitylist",
        "a list of the site as an object; `mine = name: …` calls it otherwise",
    ),
    "entityview": (
        "id, or logical_name and name; page, page_size, order, search … endentityview",
        "rows by a view of a table; within a list also `filter` and `metafilter`",
    ),
    "extends": ("'Name'", "is the first of a template: its blocks stand in another template"),
    "fetchxml": ("name … endfetchxml", "rows by FetchXML, as `name.results.entities`; the query is `name.xml`"),
    "for": ("item in items, limit, offset, reversed … endfor", "repeats; `else` for no items"),
    "if": ("condition, elsif, else, endif", "chooses; also with `contains`, `startswith`, `endswith`"),
    "ifchanged": ("… endifchanged", "puts out what differs from the last time"),
    "include": (
        "'Name', argument: value",
        "puts a web template out, its name in any case, with blanks or underscores; also those that every site has: "
        "`'page_copy'`, `'breadcrumbs'`, `'layout_1_column'`, `'search'`, `'snippet'`, …",
    ),
    "increment": ("name", "counts up"),
    "liquid": ("lines of tags", "several tags in one"),
    "raw": ("… endraw", "is not read as Liquid"),
    "searchindex": (
        "query; page, page_size, logical_names, filter … endsearchindex",
        "what a search of the site finds that the person may read: `results`, `approximate_total_hits`",
    ),
    "render": ("'Name', argument: value", "a web template that does not see the variables around it"),
    "substitution": ("… endsubstitution", "its block: nothing is cached here"),
    "tablerow": ("item in items, cols, limit, offset … endtablerow", "the rows and cells of a table"),
    "webform": ("name or id", "is where the page's multistep form stands; a page that names no form shows this one"),
    "unless": ("condition, else, endunless", "chooses where a condition does not hold"),
}

FILTERS: Mapping[str, str] = {
    "Arrays": "all any batch compact concat current_sort except find find_index first group_by has join last map "
    "metafilters order_by random reject reverse reverse_sort search_filter_options select shuffle "
    "size skip sort sort_natural sum take "
    "then_by top uniq where",
    "Dates": "date date_add_days date_add_hours date_add_minutes date_add_months date_add_seconds date_add_years "
    "date_to_iso date_to_iso8601 date_to_rfc822",
    "Numbers": "abs at_least at_most ceil decimal divided_by file_size floor integer minus modulo money plus round "
    "times",
    "Texts": "append base64_decode base64_encode base64_url_safe_decode base64_url_safe_encode capitalize downcase "
    "lstrip newline_to_br prepend remove remove_first remove_last replace replace_first replace_last rstrip slice "
    "split squish string strip strip_html strip_newlines text_to_html truncate truncate_words truncatewords upcase",
    "URLs": "add_query base host path path_and_query port remove_query scheme url_decode url_encode url_escape",
    "Escaping": "escape escape_once escapejs h html_safe_escape rawhtml xml_escape",
    "Others": "boolean default has_role liquid",
}


def rows(kind: str) -> Iterator[tuple[str, ...]]:
    """The rows of the reference's table of ``objects``, ``tags``, ``filters`` or ``missing``."""
    match kind:
        case "objects":
            for names, text in OBJECTS.items():
                yield ", ".join(f"`{name}`" for name in names.split(", ")), text
        case "tags":
            for name, (takes, text) in TAGS.items():
                yield f"`{name}`", f"`{takes}`" if takes else "", text
        case "filters":
            for group, names in FILTERS.items():
                yield group, " ".join(f"`{name}`" for name in names.split())
        case "missing":
            for name, (_, hint) in UNSUPPORTED.items():
                yield f"tag `{name}`", hint
            for name, hint in MISSING_OBJECTS.items():
                yield f"object `{name}`", hint
            for name, hint in MISSING_FILTERS.items():
                yield f"filter `{name}`", hint
        case _:
            raise KeyError(kind)


HEADINGS: Mapping[str, tuple[str, ...]] = {
    "objects": ("object", "what it is"),
    "tags": ("tag", "takes", "what it does"),
    "filters": ("about", "filters"),
    "missing": ("what", "instead"),
}
