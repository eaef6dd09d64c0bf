"""Liquid for the texts of pages: autoescaped, bounded, with few objects and no files.

What a maker writes in a page's copy is markup; what comes out of ``{{ }}`` is escaped, snippets (markup of the maker
again) excepted. Objects are plain values made for one request: ``user page website settings snippets sitemarkers
request`` (pages-and-dataverse A4.2). No tag reads rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from liquid import BoundTemplate, DictLoader, Environment
from liquid.exceptions import LiquidError
from markupsafe import Markup

from forecourt.kernel.principal import Principal
from forecourt.pages import page_rules
from forecourt.pages.liquid_filters import FILTERS
from forecourt.pages.site import Page, Site
from forecourt.pages.visit import Visit

MAX_SOURCE = 256 * 1024


class _Bounded(Environment):
    """Limits that a page's text never comes near and that a runaway template meets soon."""

    context_depth_limit = 16
    loop_iteration_limit = 10_000
    local_namespace_limit = 1_000_000
    output_stream_limit = 1_000_000


_ENVIRONMENT = _Bounded(autoescape=True, loader=DictLoader({}))
for _name, _filter in FILTERS.items():
    _ENVIRONMENT.add_filter(_name, _filter)


@dataclass(frozen=True, slots=True)
class Fragment:
    """Rendered markup, or what is wrong: ``fault`` speaks to the maker and names nothing of the row or the server."""

    markup: Markup = field(default_factory=Markup)
    fault: str = ""

    def __bool__(self) -> bool:
        return bool(self.fault) or bool(self.markup.strip())


class Lookup(Mapping[str, object]):
    """A mapping whose names match without regard to case, as the portal's do."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}
        self._names = tuple(values)

    def __getitem__(self, name: str) -> object:
        return self._values[str(name).lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@lru_cache(maxsize=1024)
def _parsed(source: str) -> BoundTemplate:
    return _ENVIRONMENT.from_string(source)


def render(source: str, name: str, objects: Mapping[str, object]) -> Fragment:
    """The markup of a Liquid text. ``name`` says which text it is, for the maker."""
    if not source.strip():
        return Fragment()
    if len(source) > MAX_SOURCE:
        return Fragment(fault=f"The text of '{name}' is longer than {MAX_SOURCE // 1024} KB.")
    try:
        return Fragment(Markup(_parsed(source).render(**objects)))  # noqa: S704 - autoescaped above
    except LiquidError as error:
        return Fragment(fault=f"The text of '{name}' has a template error{_line(error)}: {_kind(error)}.")
    except (ArithmeticError, ValueError, TypeError, RecursionError, KeyError, AttributeError):
        return Fragment(fault=f"The text of '{name}' has a template error: a value does not fit its use.")


def _line(error: LiquidError) -> str:
    token = error.token
    if token is None or token.start_index < 0:
        return ""
    return f" in line {token.source.count(chr(10), 0, token.start_index) + 1}"


def _kind(error: LiquidError) -> str:
    name = type(error).__name__
    return {
        "LiquidSyntaxError": "a tag or expression is not written right, or is not supported here",
        "UnknownFilterError": "a filter is not known",
        "TemplateNotFoundError": "it includes a template that does not exist",
        "UndefinedError": "a name is not known",
    }.get(name, "a limit is reached" if name.endswith("LimitError") else "a value does not fit its use")


#: The columns of a table (contact, account) that the person may not read, by logical name.
Hidden = Callable[[Principal, str], frozenset[str]]


def objects(site: Site, visit: Visit, page: Page, title: str, hidden: Hidden) -> Mapping[str, object]:
    """What a page's text may speak of."""
    return {
        "user": _user(visit, hidden),
        "page": {
            **page.columns,
            "title": title,
            "url": page.path,
            "name": page.name,
            "id": str(page.id),
            "breadcrumbs": [
                {"title": site.content(item, visit.languages).title, "url": item.path}
                for item in reversed(site.chain(page)[1:])
            ],
            "children": [
                {"title": site.content(item, visit.languages).title, "url": item.path}
                for item in site.children(page)
                if item.in_sitemap and page_rules.may_read(site, item, visit.principal.web_roles)
            ],
        },
        "website": {
            "name": site.name,
            "id": str(site.id),
            "sign_in_url_substitution": "/SignIn",
            "sign_out_url_substitution": "/Account/Login/LogOff",
        },
        "settings": Lookup(dict(site.open_settings)),
        "snippets": Lookup(
            {
                name: Markup(site.snippet(name, visit.languages))  # noqa: S704 - a maker's own markup
                for texts in site.snippets.values()
                for name in texts
            }
        ),
        "sitemarkers": Lookup(
            {
                name: {"url": site.pages[page_id].path, "title": site.pages[page_id].name}
                for name, page_id in site.markers.items()
            }
        ),
        "request": {
            "path": visit.path,
            "url": str(visit.request.url),
            "query": visit.request.url.query,
            "path_and_query": visit.return_url,
            "params": Lookup(dict(visit.query)),
        },
        "params": Lookup(dict(visit.query)),
    }


def _user(visit: Visit, hidden: Hidden) -> Mapping[str, object] | None:
    """The signed-in contact's columns and roles, as far as column permissions go; None for a visitor."""
    contact = visit.principal.contact
    if contact is None:
        return None
    own, above = hidden(visit.principal, "contact"), hidden(visit.principal, "account")
    account = {name: value for name, value in contact.account_columns if name not in above}
    columns = {
        **dict(contact.columns),
        "fullname": contact.name,
        "emailaddress1": contact.email,
        "parentcustomerid": account or None,
    }
    shown = {name: value for name, value in columns.items() if name not in own}
    return {**shown, "id": str(contact.id), "roles": sorted(visit.principal.web_roles)}
