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
from uuid import UUID

from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from forecourt.kernel import answers
from forecourt.kernel.errors import Unavailable
from forecourt.kernel.label import stem
from forecourt.pages import formatting, language_links, languages, liquid, navigation, page_files, page_rules
from forecourt.pages.caching import finish
from forecourt.pages.liquid.data import Data
from forecourt.pages.liquid.dialect import Clock
from forecourt.pages.liquid.objects import PageScope
from forecourt.pages.lists import Lists
from forecourt.pages.navigation import Link
from forecourt.pages.options import PortalOptions
from forecourt.pages.ports import Fetching
from forecourt.pages.searching import Searching
from forecourt.pages.site import Page, Site, WebsiteRight
from forecourt.pages.site.definitions import (
    PageTemplate,
    WebTemplate,
)
from forecourt.pages.visit import Visit
from forecourt.web.assets import Assets
from forecourt.web.requests import local_url
from forecourt.web.templates import environment
from forecourt.web.translation import LANGUAGES, N_, language_of

__all__ = ["NOTICES", "Link", "Renderer", "finish", "notice_of", "person_of"]

#: What a redirect may tell the page it leads to: the query carries the key, never text.
NOTICES = {
    "saved": N_("Your changes are saved."),
    "created": N_("It is sent. Thank you."),
    "deleted": N_("It is deleted."),
    "added": N_("It is added."),
    "changed": N_("The change is saved."),
    "associated": N_("It belongs here now."),
    "disassociated": N_("It no longer belongs here."),
    "unchanged": N_("You changed nothing, so nothing was saved."),
    "activated": N_("It is active again."),
    "deactivated": N_("It is no longer active."),
    "signed-out": N_("You are signed out."),
    "registered": N_("Welcome. Your account is made, and you are signed in."),
    "signed-out-everywhere": N_("You are signed out on all devices."),
    "device-signed-out": N_("The device is signed out."),
    "others-signed-out": N_("All other devices are signed out."),
    "two-factor-off": N_("Your second factor is turned off."),
    "provider-connected": N_("The sign-in provider is connected with your account."),
    "provider-disconnected": N_("The sign-in provider is disconnected."),
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
        self._codes_in_links = language_links.in_use(site)
        self._liquid = liquid.Engine({item.name: item.source for item in site.web_templates.values()})
        self._options = options
        self.title = options.title or site.name
        icons = (path for path in ("/favicon.ico", "/favicon.svg") if site.file_at(path) is not None)
        shared = {"asset": assets.url, "site_title": self.title, "icon": next(icons, "/favicon.svg")}
        folder = Path(__file__).parent / "templates"
        self._templates = {
            spoken: environment(folder, language_of(spoken), shared, {"count": formatting.count}, spoken)
            for spoken in {*LANGUAGES, *(stem(code).lower() for code in site.codes or (site.language,))}
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
        header = await self._around(visit, page, self._site.header, "")
        text = (
            self._templates.get(visit.locales.locale.language, self._templates[visit.locales.language])
            .get_template(template)
            .render(
                language=visit.languages[0],
                offered=self._offered(visit),
                here=here_of(visit),
                title=title,
                visit=visit,
                page=page,
                locales=visit.locales,
                navigation=navigation.navigation(self._site, visit, page),
                crumbs=navigation.breadcrumbs(self._site, visit, page),
                person=person_of(visit),
                header=header if header.markup.strip() and not header.incomplete else None,
                footer=await self._around(visit, page, self._site.footer, "Footer"),
                style_sheets=self._style_sheets(visit, page),
                page_files=page_files.addresses(self._site, visit, page),
                page_path=self._page_path(visit, page),
                public=status == 200 and page is not None and navigation.is_public(self._site, page),
                origin=origin_of(visit),
                help=self.help(visit),
                search_url=self._searching.page(visit),
                token=visit.token,
                **{"notice": notice_of(visit), **context},
            )
        )
        response = HTMLResponse(self._coded(visit, text), status, headers=dict(headers or {}))
        return finish(visit, response)

    def _page_path(self, visit: Visit, page: Page | None) -> str:
        """Where the page is, in the language that it is in."""
        path = page.path if page is not None else ""
        return language_links.coded(path, visit.languages[0], self._site.codes) if self._codes_in_links else path

    def _coded(self, visit: Visit, text: str) -> str:
        """A page with the language code in its links, where the site says so."""
        if not self._codes_in_links:
            return text
        return language_links.with_codes(text, visit.languages[0], self._site.codes)

    def help(self, visit: Visit) -> str:
        """Whom to ask for access."""
        own = self._options.help or self._site.setting("Support/Contact")
        return own or visit.locales.gettext("your contact at %(site)s", site=self.title)

    def _offered(self, visit: Visit) -> tuple[Language, ...]:
        """The languages to choose from, the way to this page in each; () where there is one."""
        codes, here = self._site.codes, here_of(visit)
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
        return navigation.readable(self._site, visit, page)

    def _style_sheets(self, visit: Visit, page: Page | None) -> tuple[str, ...]:
        """Addresses of the site's own style sheets for a page: web files of the pages above it, Home's first."""
        places = {item.id: place for place, item in enumerate(reversed(self._site.chain(page)))} if page else {}
        if not places and self._site.home is not None:
            places = {self._site.home.id: 0}
        roles = visit.principal.web_roles
        found = (file for file in self._site.style_sheets if file.parent in places)
        return tuple(
            file.path
            for file in sorted(found, key=lambda file: (places[file.parent], file.order))
            if page_rules.may_read_file(self._site, file, roles)
        )

    async def text(self, visit: Visit, page: Page) -> liquid.Fragment:
        """The page's copy, with what is wrong with it where the person is to know; its web template, where that says
        where the page's form stands."""
        content = self._site.content(page, visit.languages)
        layout = self.template_of(page) if page.form_in_template else None
        if layout is not None:
            return await self._rendered(visit, page, content.title, layout[1].source, layout[1].name)
        return await self._rendered(visit, page, content.title, content.copy, page.name)

    def template_of(self, page: Page) -> tuple[PageTemplate, WebTemplate] | None:
        """The page template of a page and the web template that it stands on, None where it is one of our own."""
        found = self._site.page_templates.get(page.template) if page.template else None
        template = self._site.web_templates.get(found.web_template) if found and found.web_template else None
        return (found, template) if found is not None and template is not None else None

    async def by_template(
        self,
        visit: Visit,
        page: Page,
        around: PageTemplate,
        template: WebTemplate,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A page as its web template has it: within the site's header and footer, or all of the answer."""
        title = self._site.content(page, visit.languages).title
        text = await self._rendered(visit, page, title, template.source, template.name)
        if around.header_and_footer:
            return await self.page(
                visit, "web_template.html", title=title, page=page, status=status, headers=headers, text=text
            )
        media = template.media_type if _MEDIA.fullmatch(template.media_type) else "text/html"
        body = text.markup
        if media == "text/html" and text.faults:
            body += Markup('<pre role="note">{}</pre>').format("\n".join(map(str, text.faults)))
        body = Markup(self._coded(visit, body)) if media == "text/html" else body  # noqa: S704 -- as it was, but for links
        return finish(visit, Response(body.encode(), status, headers, media_type=media))

    async def _rendered(self, visit: Visit, page: Page, title: str, source: str, name: str) -> liquid.Fragment:
        if not source.strip():
            return liquid.Fragment()
        if visit.texts is None:
            clock = Clock()
            lists = self._lists
            data = Data(
                lists.tables, lists.rows, self._fetches, lists.view_filter, visit.principal, clock, visit.locales.label
            )
            visit.texts = PageScope(clock, data, self._site, visit, lists, self._searching)
        objects = liquid.objects(visit.texts, page, title, self._lists.rows.hidden)
        found = await self._liquid.render(source, name, objects)
        return found if self.is_maker(visit) else found.for_visitors()

    def is_maker(self, visit: Visit) -> bool:
        """Whether the person reads what is wrong with the site's texts."""
        roles = visit.principal.web_roles
        everybody = self._site.setting(SHOW_ERRORS).lower() == "true"
        return everybody or MAKERS in roles or self._site.may(WebsiteRight.MANAGE_CONTENT_SNIPPETS, roles)

    async def _around(self, visit: Visit, page: Page | None, template: UUID | None, snippet: str) -> liquid.Fragment:
        """The website's header or footer, on ``page``: rendered for each request, only its parsed text is kept."""
        found = self._site.web_templates.get(template) if template else None
        source = found.source if found else self._site.snippet(snippet, visit.languages) if snippet else ""
        shown = page or self._site.home
        if not source or shown is None:
            return liquid.Fragment()
        try:
            title = navigation.title(self._site, visit, shown)
            return await self._rendered(visit, shown, title, source, found.name if found else snippet)
        except Unavailable:
            answers.passing()
            return liquid.Fragment()


def here_of(visit: Visit) -> str:
    """The address of this page, for the way back to it: without what is said once, and without other sites."""
    kept = {name: local_url(value) if name.lower() == "returnurl" else value for name, value in visit.query.items()}
    for name in (languages.QUERY, "notice"):
        kept.pop(name, None)
    return f"{visit.path}?{urlencode(kept)}" if kept else visit.path


def origin_of(visit: Visit) -> str:
    """The site's own origin, for addresses that stand alone: the one that is set, else the one that was asked."""
    return min(visit.options.origins, default="") or str(visit.request.base_url).rstrip("/")


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
