"""What a text may speak of: ``page request params user website settings snippets sitemap sitemarkers weblinks entities
now language resx`` (pages-and-dataverse A4.2).

Objects are made for one request. Cookies are not in ``request.params``, and settings that hold secrets are not in
``settings``. The page's own texts and snippets are the maker's markup; everything else is escaped where it is put out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid5

from forecourt.kernel.principal import Principal
from forecourt.pages import languages
from forecourt.pages.liquid.dialect import FORM, PAGE, Clock, site_text
from forecourt.pages.liquid.navigation import LinkSets, Node, SiteMap, SiteMarkers, Tree
from forecourt.pages.liquid.resources import Resources
from forecourt.pages.liquid.values import Lookup, day, moment
from forecourt.pages.site import Page, Site
from forecourt.pages.visit import Visit

if TYPE_CHECKING:
    from forecourt.pages.liquid.data import Data
    from forecourt.pages.lists import Lists
    from forecourt.pages.searching import Searching

#: The columns of a table (contact, account) that the person may not read, by logical name.
Hidden = Callable[[Principal, str], frozenset[str]]


@dataclass(frozen=True)
class PageScope:
    """What tags and filters have of the page behind a text."""

    clock: Clock
    data: Data
    site: Site
    visit: Visit
    lists: Lists
    searching: Searching


class Entities(Mapping[str, object]):
    """``entities``: rows by table and id."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def __getitem__(self, name: str) -> object:
        if str(name).lower() not in self._data.tables.by_name:
            raise KeyError(name)
        return Rows(self._data, str(name).lower())

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Rows(Mapping[str, object]):
    """The rows of a table, by id."""

    def __init__(self, data: Data, table: str) -> None:
        self._data, self._table = data, table

    def __getitem__(self, row_id: str) -> object:
        raise KeyError(row_id)

    async def __getitem_async__(self, row_id: object) -> object:
        return await self._data.record(self._table, str(row_id))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Snippets(Mapping[str, object]):
    """``snippets``: the maker's texts in the person's language, by name in any case."""

    def __init__(self, scope: PageScope) -> None:
        self._site, self._languages = scope.site, scope.visit.languages

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {name.lower(): name for texts in self._site.snippets.values() for name in texts}

    def __getitem__(self, name: str) -> object:
        return site_text(self._site.snippet(self._names[str(name).lower()], self._languages))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._names)


class Ids(Mapping[str, object]):
    """``uniqueid``: ``new_guid`` is another id at each use, the same ones each time that the page is shown."""

    def __init__(self, data: Data, page: Page) -> None:
        self._data, self._page = data, page

    def __getitem__(self, name: str) -> object:
        if str(name).lower() != "new_guid":
            raise KeyError(name)
        return str(uuid5(self._page.id, self._data.fresh("guid")))

    def __iter__(self) -> Iterator[str]:
        return iter(("new_guid",))

    def __len__(self) -> int:
        return 1


def objects(scope: PageScope, page: Page, title: str, hidden: Hidden) -> Mapping[str, object]:
    """The objects of a page's texts."""
    site, visit = scope.site, scope.visit
    tree = Tree(site, visit)
    params = Lookup(dict(visit.query))
    spoken = [_language(visit, code) for code in site.codes or visit.languages[:1]]
    language = next((item for item in spoken if item["code"] == visit.languages[0]), spoken[0])
    form, steps, listing = site.form_of(page), site.multistep_of(page), site.list_of(page)
    shown = form or steps
    columns = {
        **page.columns,
        "title": title,
        "adx_entitylist": Lookup({"id": str(listing.id), "name": listing.name}) if listing else None,
        "adx_entityform": Lookup({"id": str(form.id), "name": form.name}) if form else None,
        "adx_webform": Lookup({"id": str(steps.id), "name": steps.name}) if steps else None,
    }
    for name in ("adx_copy", "adx_summary"):
        columns.pop(name, None)
    now = moment(dt.datetime.now(dt.UTC))
    return {
        PAGE: scope,
        FORM: frozenset((shown.name.lower(), str(shown.id))) if shown else frozenset(),
        "user": _user(visit, hidden),
        "page": Node(tree, page, columns),
        "website": Lookup(
            {
                "name": site.name,
                "id": str(site.id),
                "sign_in_url_substitution": "/SignIn",
                "sign_out_url_substitution": "/Account/Login/LogOff",
                "languages": spoken,
                "selected_language": language,
            },
            site.name,
        ),
        "settings": Lookup(dict(site.open_settings)),
        "snippets": Snippets(scope),
        "resx": Resources(visit.locales),
        "sitemap": SiteMap(tree),
        "sitemarkers": SiteMarkers(tree),
        "weblinks": LinkSets(tree),
        "entities": Entities(scope.data),
        "uniqueid": Ids(scope.data, page),
        "language": language,
        "now": now,
        "today": day(now),
        "request": Lookup(
            {
                "path": visit.path,
                "url": str(visit.request.url),
                "query": f"?{visit.request.url.query}" if visit.request.url.query else "",
                "path_and_query": visit.return_url,
                "params": params,
            }
        ),
        "params": params,
    }


def _language(visit: Visit, code: str) -> Lookup:
    """A language of the site, with the way to this page in it."""
    address = f"/{code}{visit.return_url}"
    names = {"code": code, "url_code": code, "name": languages.own_name(code)}
    return Lookup({**names, "url": address, "url_substitution": address}, code)


def _user(visit: Visit, hidden: Hidden) -> Mapping[str, object] | None:
    """The signed-in contact's columns and roles, as far as column permissions go; None for a visitor."""
    contact = visit.principal.contact
    if contact is None:
        return None
    own, above = hidden(visit.principal, "contact"), hidden(visit.principal, "account")
    account = {name: value for name, value in contact.account_columns if name not in above}
    if account and contact.account is not None:
        account |= {"id": str(contact.account), "logical_name": "account"}
    columns = {
        **dict(contact.columns),
        "fullname": contact.name,
        "emailaddress1": contact.email,
        "parentcustomerid": Lookup(account, str(account.get("name") or "")) if account else None,
    }
    kept = {name: value for name, value in columns.items() if name not in own}
    roles = sorted(visit.principal.web_roles)
    about = {"id": str(contact.id), "contactid": str(contact.id), "logical_name": "contact", "roles": roles}
    return Lookup({**kept, **about}, str(kept.get("fullname") or ""))
