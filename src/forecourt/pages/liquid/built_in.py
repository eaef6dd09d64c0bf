"""Web templates that every site has, unless it has one of that name: the original keeps them in its own files, and a
site's templates include and extend them by either of their names (``'page_copy'``, ``'Page Copy'``).

They are written for this portal's style sheet, with the class names that sites' scripts and styles look for
(pages-and-dataverse A4.2). A template that shows what is not here (polls, ads) shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HEADING: Final = (
    "<div class=\"page-heading\">{% block breadcrumbs %}{% include 'breadcrumbs' %}{% endblock %}"
    "{% block title %}{% include 'page_header' %}{% endblock %}</div>"
)
_MAIN: Final = "{% block main %}{% include 'page_copy' %}{% endblock %}"
_ASIDE: Final = "{% block aside %}{% endblock %}"


def _columns(*columns: tuple[int, str]) -> str:
    """A layout of columns, each as wide as its twelfths."""
    cells = "".join(f'<div class="col-md-{width}">{text}</div>' for width, text in columns)
    return f'<div class="container">{_HEADING}<div class="row">{cells}</div></div>'


def _links(items: str, classes: str) -> str:
    return (
        f'{{% if {items}.size > 0 %}}<ul class="{classes}">{{% for item in {items} %}}'
        '<li><a href="{{ item.url }}">{{ item.title | default: item.name }}</a></li>{% endfor %}</ul>{% endif %}'
    )


BUILT_IN: Final[Mapping[str, str]] = {
    "ads": "",
    "breadcrumbs": (
        '<ul class="breadcrumb">{% for crumb in page.breadcrumbs %}'
        '<li><a href="{{ crumb.url }}">{{ crumb.title }}</a></li>{% endfor %}'
        '<li class="active" aria-current="page">{{ title | default: page.title }}</li></ul>'
    ),
    "child_navigation": "{% assign items = page.children %}" + _links("items", "child-navigation"),
    "entity_list": (
        "{% if key %}{% entitylist id: key %}{% entityview %}{% if entityview.records.size > 0 %}"
        '<div class="entitylist"><table class="table table-striped"><thead><tr>'
        "{% for column in entityview.columns %}<th>{{ column.name }}</th>{% endfor %}</tr></thead><tbody>"
        "{% for row in entityview.records %}<tr>{% for column in entityview.columns %}"
        "<td>{{ row[column.logical_name] }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>"
        "{% else %}<p>{{ entitylist.empty_list_text }}</p>{% endif %}{% endentityview %}{% endentitylist %}{% endif %}"
    ),
    "languages_dropdown": (
        '<ul class="dropdown-menu">{% for item in website.languages %}'
        '<li><a href="{{ item.url }}" lang="{{ item.code }}">{{ item.name }}</a></li>{% endfor %}</ul>'
    ),
    "layout_1_column": _columns((12, _MAIN)),
    "layout_2_column_wide_left": _columns((8, _MAIN), (4, _ASIDE)),
    "layout_2_column_wide_right": _columns((4, _ASIDE), (8, _MAIN)),
    "layout_3_column_wide_middle": _columns((3, _ASIDE), (6, _MAIN), (3, "{% block right %}{% endblock %}")),
    "page_copy": (
        "<div class=\"page-copy\">{% editable page 'adx_copy' type: 'html', escape: false, liquid: true %}</div>"
    ),
    "page_header": '<div class="page-header"><h1>{{ title | default: page.title }}</h1></div>',
    "poll": "",
    "search": (
        "{% assign search_page = sitemarkers['Search'] %}{% if search_page %}"
        '<form method="get" action="{{ search_page.url }}" role="search" class="form-search">'
        '<input type="search" name="q" id="{{ search_id | default: \'q\' }}" value="{{ params.q }}" '
        'class="form-control" aria-label="{{ resx.Search_DefaultText }}">'
        '<button class="btn btn-default">{{ resx.Search_DefaultText }}</button>'
        "</form>{% endif %}"
    ),
    "side_navigation": "{% assign items = page.parent.children %}" + _links("items", "side-navigation"),
    "snippet": "{{ snippets[snippet_name] | liquid }}",
    "top_navigation": (
        "{% assign items = weblinks[weblinkset_name | default: 'Primary Navigation'].weblinks %}"
        + _links("items", "nav navbar-nav weblinks")
    ),
    "weblink_list_group": ("{% assign items = weblinks[weblink_set_name].weblinks %}" + _links("items", "list-group")),
}
