"""A request to the portal as one value: who asks, in which language, with which tokens.

A signed-in person whose principal is refused (an unusable mapping, a deactivated contact) keeps the session, acts as
nobody, and sees the refusal on each page; sign-out still works.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from forecourt.identity import csrf
from forecourt.identity import sessions as session_cookies
from forecourt.kernel.errors import Refusal
from forecourt.kernel.label import preferred_languages
from forecourt.kernel.principal import Principal
from forecourt.pages import languages
from forecourt.pages.formatting import Locales
from forecourt.pages.options import PortalOptions
from forecourt.pages.ports import Principals, Sessions
from forecourt.pages.site import Site
from forecourt.web.requests import own_origins

if TYPE_CHECKING:
    from forecourt.identity.sessions import Session
    from forecourt.pages.liquid.objects import PageScope


#: The cookie that keeps the palette a person chose.
THEME = "fc-theme"


@dataclass
class Visit:
    """One request. ``expired``: the browser sent a session that is no more. ``cookies``: Set-Cookie values to send;
    ``texts``: what its Liquid texts share. ``languages``: codes of languages that contents are chosen by, best first;
    the first is the site's language that is spoken. ``token_given``: the answer holds an anti-forgery token."""

    request: Request
    principal: Principal
    session: Session | None
    locales: Locales
    languages: tuple[str, ...]
    options: PortalOptions
    correlation: str
    expired: bool = False
    trouble: Refusal | None = None
    cookies: list[str] = field(default_factory=list)
    visitor_cookie: str | None = None
    texts: PageScope | None = field(default=None, init=False)
    token_given: bool = field(default=False, init=False)

    @property
    def theme(self) -> str:
        """The palette that was chosen, ``light`` or ``dark``; '' for the browser's."""
        chosen = self.request.cookies.get(THEME, "")
        return chosen if chosen in {"light", "dark"} else ""

    @property
    def signed_in(self) -> bool:
        return self.session is not None

    @property
    def path(self) -> str:
        """The path as it was asked, decoded: not as a parser of addresses would mend it, which drops characters."""
        return str(self.request.scope["path"])

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of one given twice the last."""
        return dict(self.request.query_params)

    @property
    def return_url(self) -> str:
        """Path and query, for the way back after sign-in."""
        query = self.request.url.query
        return f"{self.path}?{query}" if query else self.path

    def token(self) -> str:
        """A fresh anti-forgery token; a visitor without the cookie gets one with the answer."""
        self.token_given = True
        if self.session is not None:
            return csrf.session_token(self.session.csrf_secret)
        if self.visitor_cookie is None:
            self.visitor_cookie = csrf.new_visitor_cookie()
            self.cookies.append(csrf.set_visitor_cookie(self.visitor_cookie, secure=self.options.secure))
        return csrf.visitor_token(self.visitor_cookie)

    def require_token(self, token: str | None) -> None:
        """Raises Refusal FC2005 unless the request may change something."""
        headers = self.request.headers
        csrf.require(
            self.request.method,
            token,
            csrf_secret=self.session.csrf_secret if self.session else None,
            visitor_cookie=self.visitor_cookie,
            sec_fetch_site=headers.get("sec-fetch-site"),
            origin=headers.get("origin"),
            own_origins=self.options.origins or own_origins(self.request),
        )


async def begin(
    request: Request, site: Site, sessions: Sessions, principals: Principals, options: PortalOptions
) -> Visit:
    """The visit behind a request: one look-up of the session, one of the principal."""
    cookie = request.cookies.get(session_cookies.COOKIE)
    session = await sessions.load(cookie)
    cookies: list[str] = []
    trouble: Refusal | None = None
    try:
        if session is not None:
            principal = await principals.for_credential(session.credential)
        else:
            principal = await principals.anonymous()
    except Refusal as refusal:
        principal, trouble = Principal(), refusal
    if session is not None and session.reissue:
        cookies.append(session_cookies.set_cookie(session, secure=options.secure))
    if session is None and cookie:
        cookies.append(session_cookies.clear_cookie(secure=options.secure))
    visitor = request.cookies.get(csrf.COOKIE)
    accepted = preferred_languages(request.headers.get("accept-language", ""))
    asked = languages.Asked(
        request.scope.get("forecourt.language", ""),
        request.query_params.get(languages.QUERY, ""),
        request.cookies.get(languages.COOKIE, ""),
        languages.of_person(site, principal),
        accepted,
        principal.operations_user.language if principal.operations_user is not None else "",
    )
    language = languages.chosen(site, asked)
    if (asked.path or asked.query) and language in site.codes and language != asked.cookie:
        cookies.append(languages.cookie(language, secure=options.secure))
    return Visit(
        request,
        principal,
        session,
        languages.locales(language, accepted, options.time_zone),
        (language, *accepted),
        options,
        request.scope.get("forecourt.correlation", ""),
        expired=bool(cookie) and session is None,
        trouble=trouble,
        cookies=cookies,
        visitor_cookie=visitor if csrf.is_visitor_cookie(visitor) else None,
    )
