"""Templates to answers: the layout every page shares, and the headers that every answer carries.

The layout shows the site's name, the links that the person may follow, who is signed in and for which account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from forecourt.kernel.errors import Unavailable
from forecourt.pages import formatting, languages, liquid, page_rules
from forecourt.pages.liquid.data import Data
from forecourt.pages.liquid.dialect import Clock
from forecourt.pages.liquid.objects import PageScope
from forecourt.pages.lists import Lists
from forecourt.pages.options import PortalOptions
from forecourt.pages.ports import Fetching
from forecourt.pages.searching import Searching
from forecourt.pages.site import Page, Site, WebsiteRight
from forecourt.pages.site.definitions import PageTemplate, WebTemplate
from forecourt.pages.visit import Visit
from forecourt.web import packing
from forecourt.web.assets import Assets
from forecourt.web.requests import local_url
from forecourt.web.templates import environment
from forecourt.web.translation import LANGUAGES, N_

#: Names of the link set that makes the navigation; the first that the site has.
NAVIGATION = ("Primary Navigation", "Default")

#: What a redirect may tell the page it leads to: the query carries the key, never text.
NOTICES = {
    "saved": N_("Your changes are saved."),
    "created": N_("It is sent. Thank you."),
    "deleted": N_("It is deleted."),
    "unchanged": N_("You changed nothing, so nothing was saved."),
    "activated": N_("It is active again."),
    "deactivated": N_("It is no longer active."),
    "signed-out": N_("You are signed out."),
    "registered": N_("Welcome. Your account is made, and you are signed in."),
    "signed-out-everywhere": N_("You are signed out on all devices."),
    "device-signed-out": N_("The device is signed out."),
    "others-signed-out": N_("All other devices are signed out."),
    "two-factor-off": N_("Your second factor is turned off."),
    "too-late": N_("That took too long. Please sign in again."),
    "password-changed": N_("Your password is changed, and all other devices are signed out."),
    "invited": N_("The invitation is redeemed."),
    "password-set": N_("Your new password is set. Sign in with it."),
}


def notice_of(visit: Visit) -> str | None:
    """What the address says that has been done, None where it says nothing."""
    text = NOTICES.get(visit.query.get("notice", ""))
    return visit.locales.gettext(text) if text else None


@dataclass(frozen=True, slots=True)
class Language:
    """A language to choose. ``url``: this page in it."""

    code: str
    name: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str
    current: bool = False
    new_window: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in. ``acting_for``: the account, '' where there is none."""

    name: str
    email: str
    acting_for: str
    initials: str


#: What may stand in Content-Type.
_MEDIA = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,60}", re.IGNORECASE)

#: The web role whose holders read what is wrong with a site's texts, and the setting that shows it to everybody.
MAKERS = "Administrators"
SHOW_ERRORS = "Liquid/ShowErrors"


class Renderer:
    """Makes answers from templates. ``lists``, ``fetches``, ``searching``: ways to rows, for the site's texts."""

    def __init__(
        self, site: Site, assets: Assets, options: PortalOptions, lists: Lists, fetches: Fetching, searching: Searching
    ) -> None:
        self._site = site
        self._lists = lists
        self._fetches = fetches
        self._searching = searching
        self._liquid = liquid.Engine({item.name: item.source for item in site.web_templates.values()})
        self._options = options
        self.title = options.title or site.name
        shared = {"asset": assets.url, "site_title": self.title}
        self._templates = {
            language: environment(Path(__file__).parent / "templates", language, shared, {"count": formatting.count})
            for language in LANGUAGES
        }

    async def page(
        self,
        visit: Visit,
        template: str,
        *,
        title: str,
        status: int = 200,
        page: Page | None = None,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        """An HTML answer. ``page``: the site's page that it belongs to, for navigation and breadcrumbs."""
        text = (
            self._templates[visit.locales.language]
            .get_template(template)
            .render(
                language=visit.languages[0],
                offered=self._offered(visit),
                title=title,
                visit=visit,
                page=page,
                locales=visit.locales,
                navigation=self.navigation(visit, page),
                crumbs=self.breadcrumbs(visit, page),
                person=person_of(visit),
                footer=await self._footer(visit),
                help=self.help(visit),
                search_url=self._searching.page(visit),
                token=visit.token,
                **{"notice": notice_of(visit), **context},
            )
        )
        response = HTMLResponse(text, status, headers=dict(headers or {}))
        return finish(visit, response)

    def help(self, visit: Visit) -> str:
        """Whom to ask for access."""
        own = self._options.help or self._site.setting("Support/Contact")
        return own or visit.locales.gettext("your contact at %(site)s", site=self.title)

    def _offered(self, visit: Visit) -> tuple[Language, ...]:
        """The languages to choose from, the way to this page in each; () where there is one."""
        codes = self._site.codes
        kept = {name: local_url(value) if name.lower() == "returnurl" else value for name, value in visit.query.items()}
        for name in (languages.QUERY, "notice"):
            kept.pop(name, None)
        here = f"{visit.path}?{urlencode(kept)}" if kept else visit.path
        return tuple(
            Language(code, languages.own_name(code), f"/{code}{here}", code == visit.languages[0])
            for code in codes
            if len(codes) > 1
        )

    def profile(self, visit: Visit) -> str:
        """Path of the page marked "Profile", '' where there is none that the person may read."""
        page = self._site.marked("Profile")
        return page.path if page is not None and self.readable(visit, page) else ""

    def readable(self, visit: Visit, page: Page) -> bool:
        return page_rules.may_read(self._site, page, visit.principal.web_roles)

    def navigation(self, visit: Visit, page: Page | None) -> tuple[Link, ...]:
        """Links of the navigation that the person may follow; without a link set, the pages under Home."""
        site = self._site
        here = {item.id for item in site.chain(page)} if page else set()
        found: list[Link] = []
        for name in NAVIGATION:
            links = site.link_set(name, visit.languages)
            for link in links:
                target = site.pages.get(link.page) if link.page else None
                if target is None:
                    if link.url.startswith(("/", "https://", "http://")):
                        found.append(Link(link.name, link.url, False, link.new_window))
                elif not link.validate or self.readable(visit, target):
                    found.append(Link(link.name, target.path, _is_current(target, page, here), link.new_window))
            if links:
                return tuple(found)
        home = site.home
        if home is None:
            return ()
        return tuple(
            Link(site.content(child, visit.languages).title, child.path, _is_current(child, page, here))
            for child in site.children(home)
            if child.in_sitemap and child.form is None and not _is_system(site, child) and self.readable(visit, child)
        )

    def breadcrumbs(self, visit: Visit, page: Page | None) -> tuple[Link, ...]:
        """The ancestors of a page, Home first; () on Home itself."""
        if page is None:
            return ()
        chain = self._site.chain(page)[1:]
        return tuple(Link(self._site.content(item, visit.languages).title, item.path) for item in reversed(chain))

    async def text(self, visit: Visit, page: Page) -> liquid.Fragment:
        """The page's copy, with what is wrong with it where the person is to know."""
        content = self._site.content(page, visit.languages)
        return await self._rendered(visit, page, content.title, content.copy, page.name)

    def template_of(self, page: Page) -> tuple[PageTemplate, WebTemplate] | None:
        """The page template of a page and the web template that it stands on, None where it is one of our own."""
        found = self._site.page_templates.get(page.template) if page.template else None
        template = self._site.web_templates.get(found.web_template) if found and found.web_template else None
        return (found, template) if found is not None and template is not None else None

    async def by_template(self, visit: Visit, page: Page, around: PageTemplate, template: WebTemplate) -> Response:
        """A page as its web template has it: within the site's header and footer, or all of the answer."""
        title = self._site.content(page, visit.languages).title
        text = await self._rendered(visit, page, title, template.source, template.name)
        if around.header_and_footer:
            return await self.page(visit, "web_template.html", title=title, page=page, text=text)
        media = template.media_type if _MEDIA.fullmatch(template.media_type) else "text/html"
        body = text.markup
        if media == "text/html" and text.faults:
            body += Markup('<pre role="note">{}</pre>').format("\n".join(map(str, text.faults)))
        return finish(visit, Response(body.encode(), media_type=media))

    async def _rendered(self, visit: Visit, page: Page, title: str, source: str, name: str) -> liquid.Fragment:
        if not source.strip():
            return liquid.Fragment()
        if visit.texts is None:
            clock = Clock()
            lists = self._lists
            data = Data(lists.tables, lists.rows, self._fetches, lists.view_filter, visit.principal, clock)
            visit.texts = PageScope(clock, data, self._site, visit, lists, self._searching)
        objects = liquid.objects(visit.texts, page, title, self._lists.rows.hidden)
        found = await self._liquid.render(source, name, objects)
        return found if self.is_maker(visit) else found.for_visitors()

    def is_maker(self, visit: Visit) -> bool:
        """Whether the person reads what is wrong with the site's texts."""
        roles = visit.principal.web_roles
        everybody = self._site.setting(SHOW_ERRORS).lower() == "true"
        return everybody or MAKERS in roles or self._site.may(WebsiteRight.MANAGE_CONTENT_SNIPPETS, roles)

    async def _footer(self, visit: Visit) -> liquid.Fragment:
        template = self._site.web_templates.get(self._site.footer) if self._site.footer else None
        source = template.source if template else self._site.snippet("Footer", visit.languages)
        home = self._site.home
        if not source or home is None:
            return liquid.Fragment()
        try:
            return await self._rendered(visit, home, self.title, source, template.name if template else "Footer")
        except Unavailable:
            return liquid.Fragment()


def _is_current(target: Page, page: Page | None, here: set[Any]) -> bool:
    return target.id in here and (target.parent is not None or (page is not None and page.id == target.id))


def _is_system(site: Site, page: Page) -> bool:
    """Whether the page is one that people come to by other ways than the navigation."""
    names = ("Access Denied", "Page Not Found", "Profile", "Search", "Login")
    return any((marked := site.marked(name)) is not None and marked.id == page.id for name in names)


def person_of(visit: Visit) -> Person | None:
    """Who is signed in, for the header."""
    if visit.session is None:
        return None
    contact = visit.principal.contact
    user = visit.principal.operations_user
    name = visit.session.credential.username
    email = acting_for = ""
    if contact is not None:
        name, email = contact.name or contact.email or name, contact.email
        account = dict(contact.account_columns)
        acting_for = str(account.get("name") or account.get("accountnumber") or "")
    elif user is not None:
        name, email, acting_for = user.name or user.id, user.email, user.company.upper()
    initials = "".join(part[0] for part in name.replace("@", " ").split()[:2]).upper()
    return Person(name, email, acting_for, initials or "?")


def finish(visit: Visit, response: Response) -> Response:
    """Cookies, no copy of a signed-in person's page in any cache, and pages packed."""
    for cookie in visit.cookies:
        response.headers.append("set-cookie", cookie)
    response.headers.setdefault("cache-control", "no-store" if visit.signed_in else "private, no-cache")
    response.headers.setdefault("vary", "cookie, accept-language")
    if isinstance(response, HTMLResponse) and len(response.body) >= packing.LEAST:
        response.headers["vary"] += ", accept-encoding"
        if packing.accepts(visit.request.headers.get("accept-encoding", "")):
            response.body = packing.pack(bytes(response.body))
            response.headers["content-encoding"] = "gzip"
            response.headers["content-length"] = str(len(response.body))
    return response
