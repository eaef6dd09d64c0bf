"""A request to the studio: the administrator behind it, or nobody.

Whoever comes in is an operations user with an administrator's role, signed in by a local account of that user
(``forecourt user add --operations-user``). Contacts never are, whatever they are mapped to. The user is read anew for
each request, so that a role taken away counts at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from forecourt.identity import csrf
from forecourt.identity import sessions as cookies
from forecourt.identity.accounts import Credential
from forecourt.identity.sessions import Session
from forecourt.kernel.principal import OperationsUser
from forecourt.security.rules import ADMINISTRATORS
from forecourt.studio.ports import Sessions, Users
from forecourt.web.requests import own_origins


@dataclass
class Visit:
    """``session``: of whoever is signed in; ``user``: set for administrators alone. ``cookies``: Set-Cookie values."""

    request: Request
    session: Session | None
    user: OperationsUser | None
    secure: bool
    correlation: str
    cookies: list[str] = field(default_factory=list)
    visitor_cookie: str | None = None

    @property
    def return_url(self) -> str:
        """Path and query, for the way back after sign-in."""
        query = self.request.url.query
        return f"{self.request.url.path}?{query}" if query else self.request.url.path

    def token(self) -> str:
        """A fresh anti-forgery token; a visitor without the cookie gets one with the answer."""
        if self.session is not None:
            return csrf.session_token(self.session.csrf_secret)
        if self.visitor_cookie is None:
            self.visitor_cookie = csrf.new_visitor_cookie()
            self.cookies.append(csrf.set_visitor_cookie(self.visitor_cookie, secure=self.secure))
        return csrf.visitor_token(self.visitor_cookie)

    def require_token(self, token: str | None) -> None:
        """Raises Refusal FC2005 for a form that no page of ours made."""
        headers = self.request.headers
        csrf.require(
            self.request.method,
            token,
            csrf_secret=self.session.csrf_secret if self.session is not None else None,
            visitor_cookie=self.visitor_cookie,
            sec_fetch_site=headers.get("sec-fetch-site"),
            origin=headers.get("origin"),
            own_origins=own_origins(self.request),
        )


async def administrator(credential: Credential, users: Users) -> OperationsUser | None:
    """The administrator whose account it is, or None."""
    if credential.operations_user is None or credential.contact_id is not None:
        return None
    user = await users.get(credential.operations_user, fresh=True)
    return user if user is not None and user.enabled and user.roles & ADMINISTRATORS else None


async def begin(request: Request, sessions: Sessions, users: Users, secure: bool) -> Visit:
    """The visit behind a request."""
    session = await sessions.load(request.cookies.get(cookies.COOKIE))
    user = await administrator(session.credential, users) if session is not None else None
    visitor = request.cookies.get(csrf.COOKIE)
    return Visit(
        request,
        session,
        user,
        secure,
        str(request.scope.get("forecourt.correlation", "")),
        [cookies.set_cookie(session, secure=secure)] if session is not None and session.reissue else [],
        visitor if csrf.is_visitor_cookie(visitor) else None,
    )
