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
from forecourt.kernel.principal import Principal
from forecourt.pages.formatting import Locales, locales_for, preferred_languages
from forecourt.pages.options import PortalOptions
from forecourt.pages.ports import Principals, Sessions
from forecourt.web.requests import own_origins

if TYPE_CHECKING:
    from forecourt.identity.sessions import Session
    from forecourt.pages.liquid.objects import PageScope


@dataclass
class Visit:
    """One request. ``expired``: the browser sent a session that is no more. ``cookies``: Set-Cookie values to send;
    ``texts``: what its Liquid texts share."""

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

    @property
    def signed_in(self) -> bool:
        return self.session is not None

    @property
    def path(self) -> str:
        return self.request.url.path

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


async def begin(request: Request, sessions: Sessions, principals: Principals, options: PortalOptions) -> Visit:
    """The visit behind a request: one look-up of the session, one of the principal."""
    languages = preferred_languages(request.headers.get("accept-language", ""))
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
    own = principal.operations_user.language if principal.operations_user else ""
    return Visit(
        request,
        principal,
        session,
        locales_for((*languages, own) if own else languages, options.time_zone),
        languages,
        options,
        request.scope.get("forecourt.correlation", ""),
        expired=bool(cookie) and session is None,
        trouble=trouble,
        cookies=cookies,
        visitor_cookie=visitor if csrf.is_visitor_cookie(visitor) else None,
    )
